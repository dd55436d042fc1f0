"""Tensors made from data, sizes and ranges (torch.tensor, torch.zeros, torch.arange, ...)."""

import numpy as np

from minigrad import dtypes
from minigrad.arguments import array_of, shape_of
from minigrad.engine import Recorded, shared_memory, wrap
from minigrad.words import Device


def tensor(data, dtype=None, requires_grad=False, name=None, device=None):
    """A new leaf holding a copy of data: numbers, nested lists, arrays or tensors.

    Python floats take the default dtype (float64), ints int64, bools bool; arrays keep theirs.
    Raises TypeError for data that are not numbers, ValueError for ragged lists.
    """
    if device is not None:
        Device(device)
    t = wrap(array_of(data, dtype))
    t.name = name
    return t.requires_grad_() if requires_grad else t


def as_tensor(data, dtype=None, device=None):
    """data as a tensor, on the same memory if it is an array or tensor of that dtype."""
    if isinstance(data, Recorded):
        return data.to(dtype) if dtype is not None else data
    if isinstance(data, np.ndarray) and (dtype is None or data.dtype == dtype):
        return from_numpy(data)
    return tensor(data, dtype, device=device)


def from_numpy(array):
    """A tensor on the memory of a NumPy array: a change to one is a change to the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__}): use tensor() for other data")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"from_numpy(): can't make a tensor of {array.dtype} data")
    t = wrap(array)
    shared_memory(t).expose(t.array)
    return t


def made(array, dtype, requires_grad, device):
    if device is not None:
        Device(device)
    t = wrap(np.array(array, dtype=dtype))
    return t.requires_grad_() if requires_grad else t


def zeros(*size, dtype=None, requires_grad=False, device=None):
    """Zeros of the given size."""
    return made(np.zeros(shape_of(size)), dtype or dtypes.get_default_dtype(), requires_grad, device)


def ones(*size, dtype=None, requires_grad=False, device=None):
    """Ones of the given size."""
    return made(np.ones(shape_of(size)), dtype or dtypes.get_default_dtype(), requires_grad, device)


def empty(*size, dtype=None, requires_grad=False, device=None):
    """A tensor of the given size whose contents do not matter (they are zeros)."""
    return zeros(*size, dtype=dtype, requires_grad=requires_grad, device=device)


def full(size, fill_value, *, dtype=None, requires_grad=False, device=None):
    """The given size, filled with fill_value (whose kind decides the dtype)."""
    value = array_of(fill_value, dtype)
    return made(np.full(size, value), value.dtype, requires_grad, device)


def eye(n, m=None, *, dtype=None, requires_grad=False, device=None):
    """n x m with ones on the diagonal."""
    return made(np.eye(n, m), dtype or dtypes.get_default_dtype(), requires_grad, device)


def arange(start, end=None, step=1, *, dtype=None, requires_grad=False, device=None):
    """start, start + step, ... below end; integers if all three are."""
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    start, end, step = (x.item() if hasattr(x, "item") else x for x in (start, end, step))
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: "
                           f"start={start}, end={end}, step={step}")
    whole = all(isinstance(x, int) for x in (start, end, step))
    n = max(0, int(np.ceil((end - start) / step)))
    values = start + step * np.arange(n)
    default = dtypes.int64 if whole else dtypes.get_default_dtype()
    return made(values, dtype or default, requires_grad, device)


def linspace(start, end, steps, *, dtype=None, requires_grad=False, device=None):
    """`steps` numbers from start to end, both included."""
    return made(np.linspace(float(start), float(end), steps), dtype or dtypes.get_default_dtype(),
                requires_grad, device)


def like(function):
    def of(input, *, dtype=None, requires_grad=False, device=None):
        return function(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad,
                        device=device)
    of.__name__ = of.__qualname__ = function.__name__ + "_like"
    of.__doc__ = f"{function.__name__} of input's shape and dtype."
    return of


zeros_like, ones_like, empty_like = like(zeros), like(ones), like(empty)


def full_like(input, fill_value, *, dtype=None, requires_grad=False, device=None):
    """input's shape and dtype, filled with fill_value."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad,
                device=device)
