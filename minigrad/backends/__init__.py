"""torch.backends: which libraries are there (none but NumPy's), and the switches lessons set."""

from types import SimpleNamespace

from minigrad.backends import cudnn, mps

cuda = SimpleNamespace(is_built=lambda: False, matmul=SimpleNamespace(allow_tf32=False))

__all__ = ["cuda", "cudnn", "mps"]
