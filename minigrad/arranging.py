"""More functions that move numbers without computing: flip, roll, repeat, meshgrid, ...

The one trick: all of them are compositions of views, joins and copies of shaping.py, so none has a
rule of its own. Repeating, for one, is `expand` along new dimensions that `reshape` then merges.
"""

import math
import operator

import numpy as np

from minigrad import ops
from minigrad.arguments import array, as_tensor, numpy_names, one_dim, shape_of
from minigrad.engine import Recorded, describe
from minigrad.shaping import cat, expand, getitem, moveaxis, narrow, reshape, transpose

swapdims = transpose
movedim = moveaxis


def swapaxes(input, axis0, axis1):
    """Dimensions axis0 and axis1 swapped."""
    return transpose(input, axis0, axis1)


def ravel(input):
    """All elements in one dimension."""
    return reshape(input, -1)


def unflatten(input, dim, sizes):
    """Dimension dim split into several of the given sizes; one of them may be -1."""
    dim, sizes = one_dim(dim, input.ndim), shape_of((sizes,))
    n = input.shape[dim]
    known = math.prod(k for k in sizes if k != -1)
    if sizes.count(-1) > 1 or (known != n if -1 not in sizes else known == 0 or n % known):
        raise RuntimeError(f"unflatten: sizes {list(sizes)} don't multiply up to the size of dim "
                           f"{dim} ({n}) of the {describe(input)}")
    sizes = tuple(n // known if k == -1 else k for k in sizes)
    return reshape(input, (*input.shape[:dim], *sizes, *input.shape[dim + 1:]))


def select(input, dim, index):
    """The view input[index] along dim."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, i = one_dim(dim, input.ndim), operator.index(index)
    if not -input.shape[dim] <= i < input.shape[dim]:
        raise IndexError(f"select(): index {i} out of range for the {describe(input)} at dimension "
                         f"{dim}")
    return getitem(input, (slice(None),) * dim + (i,))


@numpy_names
def unbind(input, dim=0):
    """Views of input: all its slices along dim, without that dimension."""
    if input.ndim == 0:
        raise IndexError(f"unbind: the {describe(input)} has no dimension to take apart")
    return tuple(select(input, dim, i) for i in range(input.shape[one_dim(dim, input.ndim)]))


# --- joining --------------------------------------------------------------------------------------

def atleast(input, ndim):
    """input with dimensions of size 1 in front until there are ndim."""
    return reshape(input, (1,) * (ndim - input.ndim) + tuple(input.shape))


def atleast_1d(input):
    """input; a number as a vector of one."""
    return atleast(input, 1)


def atleast_2d(input):
    """input; a vector as a matrix of one row."""
    return atleast(input, 2)


def hstack(tensors):
    """The tensors side by side: joined along dim 1 (vectors: dim 0)."""
    tensors = [atleast(x, 1) for x in tensors]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors):
    """The tensors one below the other: joined along dim 0; vectors are rows."""
    return cat([atleast(x, 2) for x in tensors], 0)


row_stack = vstack


def column_stack(tensors):
    """The tensors side by side; vectors are columns."""
    return hstack([reshape(x, (-1, 1)) if x.ndim < 2 else x for x in tensors])


# --- other orders ---------------------------------------------------------------------------------

def several_dims(input, dims, what):
    """dims, each counted from the front and named once."""
    dims = [one_dim(d, input.ndim) for d in shape_of(dims)]
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"{what}: a dimension appears multiple times in dims={tuple(dims)}")
    return dims


def flip(input, *sizes, dims=None):
    """A copy in the opposite order along dims: flip(x, 0, 1) or flip(x, dims=(0, 1))."""
    dims = several_dims(input, sizes if dims is None else (dims,), "flip")
    if input.ndim == 0:
        return ops.clone(input)
    backwards = slice(None, None, -1)
    return ops.clone(getitem(input, tuple(backwards if d in dims else slice(None)
                                          for d in range(input.ndim))))


def fliplr(input):
    """Columns in the opposite order."""
    return flip(input, 1)


def flipud(input):
    """Rows in the opposite order."""
    return flip(input, 0)


def roll(input, shifts, dims=None):
    """Moved by shifts along dims; what leaves at the end comes in at the start. Without dims, in
    the flattened tensor."""
    if dims is None:
        return reshape(roll(ravel(input), shifts, 0), input.shape)
    shifts = shifts if isinstance(shifts, (tuple, list)) else (shifts,)
    dims = dims if isinstance(dims, (tuple, list)) else (dims,)
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: shifts and dims must be equally many, got shifts={shifts} and "
                           f"dims={dims}")
    moved = input
    for shift, dim in zip(shifts, dims):
        n = input.shape[one_dim(dim, input.ndim)] if input.ndim else 0
        if n and shift % n:
            cut = n - shift % n
            moved = cat([narrow(moved, dim, cut, n - cut), narrow(moved, dim, 0, cut)], dim)
    return ops.clone(input) if moved is input else moved


# --- repeating ------------------------------------------------------------------------------------

def repeat(input, *repeats):
    """input, as many times as repeats says along each dimension (np.tile); new dimensions come
    first."""
    repeats = shape_of(repeats)
    if len(repeats) < input.ndim or any(n < 0 for n in repeats):
        raise RuntimeError(f"repeat: need one number of repetitions, 0 or more, for each dimension "
                           f"of the {describe(input)}, got {repeats}")
    shape = (1,) * (len(repeats) - input.ndim) + tuple(input.shape)
    apart = reshape(input, tuple(k for n in shape for k in (1, n)))
    filled = expand(apart, tuple(k for pair in zip(repeats, shape) for k in pair))
    return ops.clone(reshape(filled, tuple(r * n for r, n in zip(repeats, shape))))


def tile(input, *sizes, dims=None):
    """repeat, for which missing leading numbers of repetitions are 1."""
    dims = shape_of(sizes if dims is None else (dims,))
    return repeat(input, (1,) * (input.ndim - len(dims)) + dims)


def repeat_interleave(input, repeats, dim=None):
    """Each element (along dim; None: of the flattened tensor) repeats times in a row; repeats is
    a number, or a tensor with one for each."""
    if dim is None:
        input, dim = ravel(input), 0
    dim = one_dim(dim, input.ndim)
    times, n = np.asarray(array(repeats)), input.shape[dim]
    if times.dtype.kind not in "iu" or times.ndim > 1 or (times < 0).any() or (
            times.size not in (1, n)):
        raise RuntimeError("repeat_interleave: repeats must be whole numbers, 0 or more, one or "
                           f"{n} of them, got {repeats}")
    places = np.repeat(np.arange(n), times)
    return getitem(input, (slice(None),) * dim + (places,))


def meshgrid(*tensors, indexing=None):
    """For vectors of n, m, ... numbers, as many tensors of shape (n, m, ...): the coordinates of
    a grid. indexing "xy" swaps the first two dimensions. (Views, as PyTorch's.)"""
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", got {indexing!r}')
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tensors[0]
    tensors = [atleast(as_tensor(x), 1) for x in tensors]
    for x in tensors:
        if x.ndim > 1:
            raise RuntimeError("meshgrid: expected scalar or 1D tensors in the tensor list, got a "
                               f"{describe(x)}")
    n = len(tensors)
    shape = tuple(x.shape[0] for x in tensors)
    grids = [expand(reshape(x, (1,) * i + (-1,) + (1,) * (n - 1 - i)) if x.shape[0] else
                    reshape(x, (1,) * i + (0,) + (1,) * (n - 1 - i)), shape)
             for i, x in enumerate(tensors)]
    return tuple(transpose(x, 0, 1) for x in grids) if indexing == "xy" and n > 1 else tuple(grids)


def expand_as(input, other):
    """input expanded to other's shape."""
    return expand(input, tuple(other.shape))


def reshape_as(input, other):
    """input in other's shape."""
    return reshape(input, tuple(other.shape))


def broadcast_tensors(*tensors):
    """The tensors, each expanded to the shape they have together."""
    tensors = [x if isinstance(x, Recorded) else as_tensor(x) for x in tensors]
    try:
        shape = np.broadcast_shapes(*[tuple(x.shape) for x in tensors])
    except ValueError:
        raise RuntimeError("broadcast_tensors: the shapes do not fit: "
                           + ", ".join(str(tuple(x.shape)) for x in tensors)) from None
    return tuple(expand(x, shape) for x in tensors)
