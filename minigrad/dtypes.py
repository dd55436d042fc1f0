"""dtypes and PyTorch's rules for mixing them.

A dtype here *is* a numpy.dtype: `minigrad.float32 == np.dtype("float32")`. Two things differ from
NumPy and follow PyTorch instead: an integer tensor meeting a float tensor takes the float's dtype
(NumPy would widen int64 with float32 to float64), and tensors with dimensions outrank 0-d tensors.
"""

import numpy as np

# fmt: off
float16, float32, float64 = (np.dtype(f"float{n}") for n in (16, 32, 64))
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, bool_              = np.dtype("uint8"), np.dtype("bool")
half, float_, double      = float16, float32, float64   # torch.float is 32 bits wide
short, int_, long         = int16, int32, int64         # torch.int is 32 bits wide
# fmt: on

_default = float64


def get_default_dtype():
    """dtype of floating-point tensors made from Python numbers: float64 (PyTorch: float32)."""
    return _default


def set_default_dtype(dtype):
    """Sets the dtype of tensors made from Python floats and by zeros, randn, nn.Linear, ..."""
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    _default = dtype


def result_type(operands):
    """dtype of an operation as PyTorch decides it: tensors with dimensions outrank 0-d tensors,
    those outrank Python numbers; a lower rank only counts if it is of a higher kind (bool, int,
    float)."""
    ranks = [None, None, None]
    for a in operands:
        if isinstance(a, np.ndarray):
            rank, dtype = (0 if a.ndim else 1), a.dtype
        else:
            rank = 2
            dtype = (np.dtype(bool) if isinstance(a, bool) else
                     np.dtype(np.int64) if isinstance(a, int) else _default)
        ranks[rank] = promote_types(ranks[rank], dtype)
    kinds = "biuf"
    result = ranks[2]
    for higher in (ranks[1], ranks[0]):
        if higher is None or result is None:
            result = higher or result
        elif higher.kind == "f" or (higher.kind != "b" and result.kind != "f"):
            result = higher
        else:
            result = promote_types(higher, result) if kinds.index(result.kind) else higher
    return result


def promote_types(a, b):
    """PyTorch's promotion of two dtypes: an integer meeting a float takes the float's dtype."""
    if a is None or b is None:
        return a or b
    if (a.kind == "f") != (b.kind == "f"):
        return a if a.kind == "f" else b
    return np.promote_types(a, b)
