"""New parameters: their sizes and dtypes checked."""

import numpy as np

from minigrad import dtypes
from minigrad.nn.module import Parameter
from minigrad.words import Device


def positive(**sizes):
    """Refuses sizes that are not positive whole numbers. (PyTorch makes empty layers of 0.)"""
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{name} must be a positive whole number, got {n!r}")


def fresh(make, shape, dtype, device):
    """A Parameter of shape made by np.empty, np.zeros or np.ones; only floats can be trained."""
    if device is not None:
        Device(device)
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    if dtype.kind != "f":
        raise TypeError(f"parameters must be floating point, got dtype {dtype}: use float32 or "
                        "float64")
    return Parameter(make(shape, dtype))
