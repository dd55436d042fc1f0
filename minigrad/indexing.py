"""Choosing elements by position or by rank: index_select, scatter, sort, topk, unique, ...

The one trick: the order of a sort is a constant, so sorting is indexing. Where the elements went,
the gradients come back from.
"""

import collections

import numpy as np

from minigrad import ops
from minigrad.arguments import array, as_tensor, numpy_names, one_dim
from minigrad.arranging import broadcast_tensors, ravel
from minigrad.engine import Recorded, describe, wrap
from minigrad.shaping import expand, gather, getitem, grid, narrow, parsed, reshape

Sorted = collections.namedtuple("Sorted", "values indices")


def whole_numbers(index, what):
    if not isinstance(index, Recorded) or index.dtype.kind not in "iu":
        raise RuntimeError(f"{what}: index must be a tensor of integers, got "
                           f"{getattr(index, 'dtype', type(index).__name__)}")
    return index


@numpy_names
def index_select(input, dim, index):
    """The slices of input along dim that index (a vector of positions) names, in its order."""
    dim = one_dim(dim, input.ndim)
    places = np.atleast_1d(whole_numbers(index, "index_select").array)
    if places.ndim > 1:
        raise IndexError(f"index_select(): Index is supposed to be a vector, got the "
                         f"{describe(index)}")
    n = input.shape[dim] if input.ndim else 1
    wrong = places[(places < 0) | (places >= n)]
    if wrong.size:
        raise IndexError(f"index_select: index {wrong[0]} is out of range for dimension {dim} of "
                         f"the {describe(input)}")
    if input.ndim == 0:
        return reshape(getitem(reshape(input, (1,)), (places,)), ())
    return getitem(input, (slice(None),) * dim + (places,))


def take(input, index):
    """Elements of the flattened input, in the shape of index."""
    whole_numbers(index, "take")
    flat = ravel(input)
    places = array(index)
    if places.size and not -flat.shape[0] <= places.min() <= places.max() < flat.shape[0]:
        raise IndexError(f"take: an index is out of range for the {flat.shape[0]} elements of the "
                         f"{describe(input)}")
    return reshape(getitem(flat, (places.reshape(-1),)), places.shape)


@numpy_names
def take_along_dim(input, indices, dim=None):
    """gather, with input and indices broadcast; without dim, of the flattened tensors."""
    whole_numbers(indices, "take_along_dim")
    if dim is None:
        return gather(ravel(input), 0, ravel(indices))
    if input.ndim != indices.ndim:
        raise RuntimeError("take_along_dim: input and indices should have the same number of "
                           f"dimensions, got the {describe(input)} and the {describe(indices)}")
    dim = one_dim(dim, input.ndim)
    full = list(np.broadcast_shapes(*[(*x.shape[:dim], 1, *x.shape[dim + 1:])
                                      for x in (input, indices)]))
    shapes = [(*full[:dim], x.shape[dim], *full[dim + 1:]) for x in (input, indices)]
    return gather(expand(input, shapes[0]), dim, expand(indices, shapes[1]))


def masked_select(input, mask):
    """A vector of the elements of input where mask is true (both are broadcast)."""
    if mask.dtype != bool:
        raise RuntimeError(f"masked_select: expected a boolean mask, got {mask.dtype}")
    input, mask = broadcast_tensors(input, mask)
    return getitem(atleast_vector(input), (atleast_vector(mask),))


def atleast_vector(x):
    return x if x.ndim else reshape(x, (1,))


# --- writing at positions -------------------------------------------------------------------------

def placed(input, dim, index, src, what):
    """(values, index arrays, index): where, and what, scatter writes."""
    dim, index = one_dim(dim, input.ndim), whole_numbers(index, what)
    if index.ndim != input.ndim:
        raise RuntimeError(f"{what}: index has {index.ndim} dimensions, the {describe(input)} has "
                           f"{input.ndim}: they must be equal")
    if not isinstance(src, Recorded):
        src = expand(wrap(np.asarray(src).astype(input.dtype)), index.shape)
    if src.dtype != input.dtype:
        raise RuntimeError(f"{what}: expected self.dtype to be equal to src.dtype, got "
                           f"{input.dtype} and {src.dtype}")
    if src.ndim != index.ndim or any(
            i > s or (i > n and d != dim)
            for d, (i, s, n) in enumerate(zip(index.shape, src.shape, input.shape))):
        raise RuntimeError(f"{what}: expected index of shape {tuple(index.shape)} to be no larger "
                           f"than src of shape {tuple(src.shape)}, and than the {describe(input)} "
                           f"apart from dimension {dim}")
    arrays, places = parsed(grid(input, dim, index, what))
    return getitem(src, tuple(slice(n) for n in index.shape)), arrays, places


def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """A copy of input with out[index[i][j]][j] = src[i][j] for dim 0, and so on; src is a tensor
    or a number. reduce: None, "add" or "multiply" what is there (torch.scatter)."""
    src = value if src is None else src
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if input.ndim == 0:
        return reshape(scatter(reshape(input, (1,)), dim, atleast_vector(index),
                               atleast_vector(as_tensor(src).to(input.dtype)), reduce=reduce), ())
    values, arrays, places = placed(input, dim, index, src, "scatter")
    if reduce is None:
        return ops.setitem(input, values, *arrays, index=places) if values.array.size else \
            ops.clone(input)
    if reduce != "multiply":
        raise RuntimeError(f"scatter: reduce must be None, 'add' or 'multiply', got {reduce!r}")
    if input.requires_grad or values.requires_grad:
        raise RuntimeError("scatter: reduce='multiply' has no derivative; use prod() and where()")
    product = input.array.copy()
    np.multiply.at(product, tuple(map(array, arrays)), values.array)
    return wrap(product)


def scatter_add(input, dim, index, src):
    """input with src[i][j] added to [index[i][j]][j] for dim 0, and so on; positions named several
    times add up."""
    if input.ndim == 0:
        return reshape(scatter_add(reshape(input, (1,)), dim, atleast_vector(index),
                                   atleast_vector(as_tensor(src).to(input.dtype))), ())
    values, arrays, places = placed(input, dim, index, src, "scatter_add")
    return input + ops.scatter(values, *arrays, index=places, shape=tuple(input.shape))


def index_add(input, dim, index, source, *, alpha=1):
    """input with the slices of alpha * source added to its own at the positions in index."""
    dim, places = one_dim(dim, input.ndim), whole_numbers(index, "index_add").array
    wanted = (*input.shape[:dim], places.size, *input.shape[dim + 1:])
    if places.ndim > 1 or tuple(source.shape) != wanted:
        raise RuntimeError(f"index_add: source must have shape {wanted} for the {describe(input)} "
                           f"and index of shape {places.shape}, got {tuple(source.shape)}")
    arrays, at = parsed((slice(None),) * dim + (places,))
    added = source if alpha == 1 else source * alpha
    return input + ops.scatter(added, *arrays, index=at, shape=tuple(input.shape))


def index_fill(input, dim, index, value):
    """A copy of input with value in the slices along dim that index names."""
    dim, places = one_dim(dim, input.ndim), whole_numbers(index, "index_fill").array
    chosen = np.zeros(input.shape[dim], bool)
    chosen[places] = True
    return ops.where(chosen.reshape((-1,) + (1,) * (input.ndim - 1 - dim)), value, input)


# --- rank -----------------------------------------------------------------------------------------

@numpy_names
def argsort(input, dim=-1, descending=False, stable=False):
    """Positions of the elements of input along dim, from the smallest up (or largest down)."""
    dim, values = one_dim(dim, input.ndim), array(input)
    if not descending or values.ndim == 0:
        order = np.argsort(np.atleast_1d(values), axis=dim, kind="stable")
        return wrap(order.reshape(values.shape))
    backwards = np.argsort(np.flip(values, dim), axis=dim, kind="stable")
    return wrap(np.flip(values.shape[dim] - 1 - backwards, dim).copy())


@numpy_names
def sort(input, dim=-1, descending=False, stable=False):
    """(values, indices) of input in order along dim. Equal elements keep theirs."""
    indices = argsort(input, dim, descending)
    return Sorted(gather(input, dim, indices), indices)


@numpy_names
def topk(input, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the k largest (or smallest) elements along dim, in order."""
    n = input.shape[one_dim(dim, input.ndim)] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: selected index k out of range: k={k}, but the {describe(input)} "
                           f"has {n} elements along dim {dim}")
    indices = argsort(input, dim, largest)
    if input.ndim:
        indices = wrap(narrow(indices, dim, 0, k).array.copy())
    return Sorted(gather(input, dim, indices), indices)


# --- counting: constants, no gradient -------------------------------------------------------------

def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements of input (or slices along dim) in order; on request also where each
    element went, and how often each one occurs."""
    values = array(input)
    dim = None if dim is None else one_dim(dim, values.ndim)
    found = np.unique(values, return_inverse=True, return_counts=True, axis=dim)
    inverse = found[1].reshape(values.shape if dim is None else -1)
    results = [found[0]] + [inverse] * bool(return_inverse) + [found[2]] * bool(return_counts)
    return wrap(results[0]) if len(results) == 1 else tuple(map(wrap, results))


def nonzero(input, *, as_tuple=False):
    """The positions of the elements that are not 0: one row for each, or (as_tuple) one tensor
    of indices for each dimension."""
    values = array(input)
    if as_tuple:
        return tuple(wrap(i) for i in np.nonzero(np.atleast_1d(values)))
    return wrap(np.argwhere(values))


def argwhere(input):
    """The positions of the elements that are not 0, one row for each."""
    return nonzero(input)


@numpy_names
def count_nonzero(input, dim=None):
    """How many elements (along dim) are not 0."""
    return wrap(np.asarray(np.count_nonzero(array(input), axis=dim)))


def bincount(input, weights=None, minlength=0):
    """How often 0, 1, 2, ... occur in a vector of whole numbers; with weights, their sums."""
    values = whole_numbers(input, "bincount").array
    if values.ndim != 1 or (values < 0).any():
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs, got the "
                           f"{describe(input)}")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    if weights is None:
        return wrap(np.bincount(values, minlength=minlength))
    if tuple(weights.shape) != values.shape:
        raise RuntimeError(f"bincount: weights of shape {tuple(weights.shape)} do not fit the "
                           f"{describe(input)}")
    sums = np.bincount(values, array(weights), minlength)
    return wrap(sums.astype(np.float32) if weights.dtype == np.float32 else sums)
