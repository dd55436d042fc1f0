"""Words of PyTorch that mean little on one CPU with NumPy: sizes, devices, switches."""

import numpy as np


class Size(tuple):
    """A shape. `tuple` with PyTorch's numel()."""

    __slots__ = ()

    def numel(self):
        """Product of the sizes."""
        return int(np.prod(self, dtype=np.int64))


class Device:
    """The one device there is. Equal to "cpu"; any other name is refused."""

    type, index = "cpu", None

    def __init__(self, name="cpu"):
        if str(name) not in ("cpu", "device(type='cpu')"):
            raise RuntimeError(f"minigrad computes on the CPU; there is no device {str(name)!r}. "
                               "Use 'cpu', or leave the device out")

    def __eq__(self, other):
        return isinstance(other, Device) or other == "cpu"

    def __hash__(self):
        return hash("cpu")

    def __str__(self):
        return "cpu"

    def __repr__(self):
        return "device(type='cpu')"


def set_default_device(device):
    """Refuses every device but the CPU, which is the default."""
    if device is not None:
        Device(device)


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Nothing to switch: every result here repeats."""


def set_float32_matmul_precision(precision):
    """Nothing to switch: products are computed in the precision of their factors."""
