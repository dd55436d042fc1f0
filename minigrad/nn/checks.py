"""What the functions of nn accept: tensors, and options given once or for each dimension."""

import numpy as np

from minigrad.arguments import as_tensor
from minigrad.engine import Recorded, describe


def operand(x, what):
    """x as a tensor; for anything but numbers a TypeError with its name, `what`, and the cure."""
    if isinstance(x, Recorded):
        return x
    try:
        return as_tensor(x)
    except TypeError:
        raise TypeError(f"{what} must be a Tensor, not {type(x).__name__}: wrap it in "
                        "minigrad.tensor(...)") from None


def floating(x, what):
    """x as a tensor of real numbers."""
    x = operand(x, what)
    if x.array.dtype.kind != "f":
        raise RuntimeError(f"{what} must be floating point, but the {describe(x)} has dtype "
                           f"{x.dtype}: use .float() or .double()")
    return x


def for_each(value, n, what, least=1):
    """A whole number (or n of them) as a tuple of n, none smaller than `least`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    if len(values) == 1:
        values *= n
    whole = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    if len(values) != n or not whole:
        raise TypeError(f"{what} must be a whole number or {n} of them, got {value!r}")
    if min(values) < least:
        raise RuntimeError(f"{what} must be at least {least}, got {value!r}")
    return tuple(int(v) for v in values)
