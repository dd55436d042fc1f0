"""Tensors made from data, sizes and ranges (torch.tensor, torch.zeros, torch.arange, ...).

The one trick: NumPy makes the numbers, PyTorch's rules choose their dtype.
"""

import operator

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


def typed(name, dtype):
    """PyTorch's oldest constructors: data in one fixed dtype, or a size, LongTensor(2, 3)."""
    def make(*data):
        if len(data) == 1 and isinstance(data[0], (list, tuple, np.ndarray, Recorded)):
            return tensor(data[0], dtype)
        return zeros(size=data if data else (0,), dtype=dtype)
    make.__name__ = make.__qualname__ = name
    make.dtype = np.dtype(dtype)  # so that t.type(FloatTensor) works
    make.__doc__ = f"{name}([1, 2]): a copy of data as {dtype}. {name}(2, 3): zeros of that size."
    return make


FloatTensor = typed("FloatTensor", dtypes.float32)
DoubleTensor = typed("DoubleTensor", dtypes.float64)
IntTensor = typed("IntTensor", dtypes.int32)
LongTensor = typed("LongTensor", dtypes.int64)
HalfTensor, ShortTensor = typed("HalfTensor", dtypes.float16), typed("ShortTensor", dtypes.int16)
ByteTensor, BoolTensor = typed("ByteTensor", dtypes.uint8), typed("BoolTensor", dtypes.bool_)


def as_tensor(data, dtype=None, device=None):
    """data as a tensor, on the same memory if it is an array or tensor of that dtype."""
    if device is not None:
        Device(device)
    if isinstance(data, Recorded):
        return data.to(dtype) if dtype is not None else data
    if isinstance(data, np.ndarray) and (dtype is None or data.dtype == dtype):
        return from_numpy(data)
    return tensor(data, dtype)


def from_numpy(array):
    """A tensor on the memory of a NumPy array: a change to one is a change to the other."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__}): use tensor() for "
                        "other data")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"from_numpy(): can't make a tensor of {array.dtype} data")
    t = wrap(array)
    shared_memory(t).expose(t.array)
    return t


def asked_shape(sizes, size):
    """The shape of a new tensor, given as (2, 3), as ((2, 3),) or by the keyword size."""
    if size is not None:
        if sizes:
            raise TypeError(f"the size is given twice: {sizes} and size={size}")
        sizes = (size,)
    elif not sizes:
        raise TypeError("the size is missing: give numbers, (2, 3), or () for a single number")
    shape = shape_of(sizes)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(shape)}")
    return shape


def made(array, dtype, requires_grad, device):
    """A new tensor of `array` in dtype; only real numbers, integers and bools can be elements."""
    if device is not None:
        Device(device)
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    if dtype.kind not in "fiub":
        raise TypeError(f"tensors hold floats, integers or bools, not {dtype}")
    t = wrap(np.array(array, dtype=dtype))
    return t.requires_grad_() if requires_grad else t


def zeros(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Zeros of the given size: zeros(2, 3) or zeros((2, 3))."""
    return made(np.zeros(asked_shape(sizes, size)), dtype, requires_grad, device)


def ones(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """Ones of the given size: ones(2, 3) or ones((2, 3))."""
    return made(np.ones(asked_shape(sizes, size)), dtype, requires_grad, device)


def empty(*sizes, size=None, dtype=None, requires_grad=False, device=None):
    """A tensor of the given size whose contents do not matter (they are zeros)."""
    return made(np.zeros(asked_shape(sizes, size)), dtype, requires_grad, device)


def full(size, fill_value, *, dtype=None, requires_grad=False, device=None):
    """The given size, filled with the number fill_value (whose kind decides the dtype)."""
    value = array_of(fill_value, dtype)
    if value.ndim:
        raise TypeError(f"full: fill_value must be one number, got the shape {value.shape}")
    return made(np.full(asked_shape((), size), value), value.dtype, requires_grad, device)


def eye(n, m=None, *, dtype=None, requires_grad=False, device=None):
    """n x m with ones on the diagonal; m is n if left out."""
    shape = asked_shape((n, n if m is None else m), None)
    return made(np.eye(*shape), dtype, requires_grad, device)


def number(x):
    """A 0-d tensor or NumPy scalar as a Python number."""
    return x.item() if hasattr(x, "item") else x


def arange(start=0, end=None, step=1, *, dtype=None, requires_grad=False, device=None):
    """start, start + step, ... below end; integers if all three are."""
    if end is None:
        start, end = 0, start
    start, end, step = number(start), number(end), number(step)
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if not np.isfinite([start, end, step]).all():
        raise RuntimeError(f"arange: unsupported range: start={start}, end={end}, step={step}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: "
                           f"start={start}, end={end}, step={step}")
    whole = all(isinstance(x, int) for x in (start, end, step))
    n = -((start - end) // step) if whole else int(np.ceil((end - start) / step))
    values = start + step * np.arange(n)
    return made(values, dtype or (dtypes.int64 if whole else None), requires_grad, device)


def linspace(start, end, steps, *, dtype=None, requires_grad=False, device=None):
    """`steps` numbers from start to end, both included."""
    steps = operator.index(steps)
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative, got {steps}")
    values = np.linspace(float(start), float(end), steps)
    return made(values, dtype, requires_grad, device)


def logspace(start, end, steps, base=10.0, *, dtype=None, requires_grad=False, device=None):
    """base to the powers linspace(start, end, steps)."""
    powers = linspace(start, end, steps).array
    return made(np.power(float(base), powers), dtype, requires_grad, device)


def like(function):
    def of(input, *, dtype=None, requires_grad=False, device=None):
        return function(size=input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad,
                        device=device)
    of.__name__ = of.__qualname__ = function.__name__ + "_like"
    of.__doc__ = f"{function.__name__} of input's shape and dtype."
    return of


zeros_like, ones_like, empty_like = like(zeros), like(ones), like(empty)


def full_like(input, fill_value, *, dtype=None, requires_grad=False, device=None):
    """input's shape and dtype, filled with fill_value."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad,
                device=device)
