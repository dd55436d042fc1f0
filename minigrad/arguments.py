"""What functions accept: dimensions, shapes, and operands that are not tensors yet."""

import functools
import operator

import numpy as np

from minigrad import dtypes
from minigrad.engine import Recorded, shared_memory, wrap


def array(x):
    """The plain array (or number) behind x."""
    return x.array if isinstance(x, Recorded) else x


def as_tensor(x):
    """x as a tensor: unchanged, or an array or number wrapped without a copy."""
    if isinstance(x, Recorded):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        t = wrap(x)
        shared_memory(t).expose(t.array)
        return t
    if isinstance(x, float):
        return wrap(np.asarray(x, dtypes.get_default_dtype()))
    if isinstance(x, (bool, int)):
        return wrap(np.asarray(x))
    raise TypeError(f"expected a Tensor, an array or a number, got {type(x).__name__}")


def one_dim(dim, ndim):
    """dim counted from the front. IndexError as PyTorch's if it is out of range."""
    n = ndim or 1
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"dim must be an int, got {type(dim).__name__} {dim!r}") from None
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], "
                         f"but got {dim})")
    return dim % n


def dims_of(x, dim):
    """dim as the primitives want it: None for all dimensions, an int or a tuple, from the front."""
    if dim is None:
        return None
    if (isinstance(dim, (tuple, list)) and not dim) or x.ndim == 0:
        for d in dim if isinstance(dim, (tuple, list)) else (dim,):
            one_dim(d, x.ndim)
        return None
    if not isinstance(dim, (tuple, list)):
        return one_dim(dim, x.ndim)
    dims = tuple(one_dim(d, x.ndim) for d in dim)
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"a dimension appears multiple times in dim={tuple(dim)}")
    return dims


def numpy_names(function):
    """Lets a reduction be called with NumPy's axis= and keepdims= as well."""
    @functools.wraps(function)
    def renamed(*args, **options):
        if options:
            if "axis" in options:
                options["dim"] = options.pop("axis")
            if "keepdims" in options:
                options["keepdim"] = options.pop("keepdims")
        return function(*args, **options)
    return renamed


def shape_of(sizes):
    """A shape given as numbers or as one sequence: (2, 3), ((2, 3),) or ([2, 3],)."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return tuple(operator.index(n) for n in sizes)


def array_of(data, dtype=None):
    """A fresh array of data, with PyTorch's dtype for Python numbers."""
    if isinstance(data, Recorded):
        data = data.array
    if not isinstance(data, (np.ndarray, np.generic)):
        data = _plain(data)
        try:
            array = np.array(data)
        except ValueError as error:
            raise ValueError(f"tensor(): the nested lists are ragged: {error}") from None
        if dtype is None:
            dtype = {"f": dtypes.get_default_dtype(), "i": dtypes.int64,
                     "u": dtypes.int64}.get(array.dtype.kind)
            if array.size == 0 and array.dtype.kind == "f":
                dtype = dtypes.get_default_dtype()
        data = array
    if data.dtype.kind not in "fiub":
        raise TypeError(f"tensor(): can't make a tensor of {data.dtype} data; give numbers (real "
                        "or integer) or booleans")
    return np.array(data, dtype=dtype)


def _plain(data):
    """Lists and tuples with the tensors among their elements turned into arrays."""
    if isinstance(data, Recorded):
        return data.array
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return data
