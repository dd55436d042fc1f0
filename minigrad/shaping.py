"""Functions that move numbers without computing: shapes, joining, splitting, indexing.

Composed of the view and indexing primitives of ops.py; what PyTorch returns as a view is a view.
"""

import builtins
import math
import operator

import numpy as np

from minigrad import ops
from minigrad.arguments import array, as_tensor, numpy_names, one_dim, shape_of
from minigrad.beside import Unfit, assume, taken_out
from minigrad.engine import Primitive, Recorded, clock, describe, mode, wrap

# --- shapes ---------------------------------------------------------------------------------------

def reshape(input, *sizes, shape=None):
    """The same numbers in another shape, (2, 3) or 2, 3; one size may be -1."""
    shape = shape_of(sizes) if shape is None else shape_of((shape,))
    try:
        return ops.reshape(input, shape=shape)
    except RuntimeError:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size "
                           f"{input.array.size}: {describe(input)}") from None


def flatten(input, start_dim=0, end_dim=-1):
    """Dimensions start_dim to end_dim joined into one."""
    start, end = one_dim(start_dim, input.ndim), one_dim(end_dim, input.ndim)
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = input.shape
    return reshape(input, (*shape[:start], math.prod(shape[start:end + 1]), *shape[end + 1:]))


@numpy_names
def squeeze(input, dim=None):
    """Without the dimensions of size 1 (all, or those named by dim)."""
    dims = range(input.ndim) if dim is None else [
        one_dim(d, input.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    return reshape(input, tuple(n for d, n in enumerate(input.shape) if n != 1 or d not in dims))


@numpy_names
def unsqueeze(input, dim):
    """With a new dimension of size 1 at dim."""
    dim = one_dim(dim, input.ndim + 1)
    return reshape(input, (*input.shape[:dim], 1, *input.shape[dim:]))


def permute(input, *order, dims=None):
    """The dimensions in another order."""
    order = order if dims is None else (dims,)
    dims = tuple(one_dim(d, input.ndim) for d in shape_of(order))
    if sorted(dims) != list(range(input.ndim)):
        raise RuntimeError(f"permute(dims={dims}): must name each of the {input.ndim} dimensions "
                           f"of the {describe(input)} once")
    return ops.permute(input, dims=dims)


def transpose(input, dim0, dim1):
    """Dimensions dim0 and dim1 swapped."""
    order = list(range(input.ndim))
    a, b = one_dim(dim0, input.ndim), one_dim(dim1, input.ndim)
    if order:
        order[a], order[b] = order[b], order[a]
    return ops.permute(input, dims=tuple(order))


def t(input):
    """The transpose of a matrix; vectors and numbers unchanged."""
    if input.ndim > 2:
        raise RuntimeError("t() expects a tensor with at most 2 dimensions, got the "
                           f"{describe(input)}")
    return ops.permute(input, dims=tuple(range(input.ndim))[::-1])


def broadcast_to(input, *shape):
    """input repeated along dimensions of size 1 (without copying) to fill shape."""
    return expand(input, *shape)


def expand(input, *sizes):
    """input repeated along dimensions of size 1, without copying; -1 keeps a size."""
    sizes = shape_of(sizes)
    extra = len(sizes) - input.ndim
    shape = tuple(input.shape[i - extra] if n == -1 and i >= extra else n
                  for i, n in enumerate(sizes))
    if extra < 0 or -1 in shape:
        raise RuntimeError(f"expand: shape {sizes} does not fit the {describe(input)}")
    return ops.expand(input, shape=shape)


def view(input, *shape):
    """reshape, or (given a dtype) an error: reinterpreting bytes is not supported."""
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise TypeError("view(dtype) is not supported: use .to(dtype) to convert the numbers")
    return reshape(input, *shape)


def moveaxis(input, source, destination):
    """Dimension `source` moved to `destination`, or several of each (torch.movedim)."""
    sources, destinations = ([one_dim(d, input.ndim) for d in (
        dims if isinstance(dims, (tuple, list)) else (dims,))] for dims in (source, destination))
    if len(sources) != len(destinations) or len(set(sources)) < len(sources) or (
            len(set(destinations)) < len(destinations)):
        raise RuntimeError(f"movedim: source {source} and destination {destination} must name "
                           "equally many dimensions, each once")
    order = [d for d in range(input.ndim) if d not in sources]
    for there, d in sorted(zip(destinations, sources)):
        order.insert(there, d)
    return ops.permute(input, dims=tuple(order))


def expand_dims(input, axis):
    """New dimensions of size 1 at the positions `axis` of the result (np.expand_dims)."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = input.ndim + len(axes)
    axes = [one_dim(a, ndim) for a in axes]
    sizes = iter(input.shape)
    return reshape(input, tuple(1 if d in axes else next(sizes) for d in range(ndim)))


# --- joining and splitting ------------------------------------------------------------------------

def same_kind(tensors, what):
    tensors = list(tensors)
    if not tensors:
        kind = ValueError if what == "cat()" else RuntimeError
        raise kind(f"{what} expects at least one tensor, got an empty list")
    for i, x in enumerate(tensors):
        if not isinstance(x, (Recorded, np.ndarray)):
            raise TypeError(f"{what}: element {i} is {type(x).__name__}, expected a Tensor")
    return tensors


@numpy_names
def cat(tensors, dim=0):
    """The tensors joined along an existing dimension."""
    tensors = [x for x in same_kind(tensors, "cat()") if x.shape != (0,)] or list(tensors)
    if tensors[0].ndim == 0:
        raise RuntimeError("zero-dimensional tensors cannot be concatenated: use stack()")
    return ops.cat(*tensors, dim=one_dim(dim, tensors[0].ndim))


@numpy_names
def stack(tensors, dim=0):
    """Tensors of one shape joined along a new dimension."""
    tensors = same_kind(tensors, "stack()")
    for i, x in enumerate(tensors):
        if x.shape != tensors[0].shape:
            raise RuntimeError(f"stack expects each tensor to be equal size, but got "
                               f"{list(tensors[0].shape)} at entry 0 and {list(x.shape)} at "
                               f"entry {i}")
    return ops.stack(*tensors, dim=one_dim(dim, tensors[0].ndim + 1))


@numpy_names
def split(input, split_size_or_sections, dim=0):
    """Views of input: pieces of split_size (the last may be smaller) or of the listed sizes."""
    dim = one_dim(dim, input.ndim)
    if input.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    n, sizes = input.shape[dim], split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise RuntimeError(f"split expects split_size be positive, got {sizes}")
        sizes = [builtins.min(sizes, n - start) for start in range(0, n, sizes)] or [0]
    elif builtins.sum(sizes) != n:
        raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {n} (input "
                           f"tensor's size at dimension {dim}), but got split_sizes={list(sizes)}")
    ends = np.cumsum(sizes).tolist()
    return tuple(narrow(input, dim, end - size, size) for size, end in zip(sizes, ends))


@numpy_names
def chunk(input, chunks, dim=0):
    """Views of input: `chunks` pieces of equal size (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got {chunks}")
    n = input.shape[one_dim(dim, input.ndim)]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


@numpy_names
def narrow(input, dim, start, length):
    """The view input[start : start + length] along dim."""
    dim, start = one_dim(dim, input.ndim), operator.index(start)
    n = input.shape[dim] if input.ndim else 0
    start = start + n if start < 0 else start
    if not 0 <= start <= n or length < 0 or start + length > n:
        raise (IndexError if not 0 <= start <= n else RuntimeError)(
            f"narrow: start ({start}) + length ({length}) exceeds dimension {dim} of size {n} of "
            f"the {describe(input)}")
    return getitem(input, (slice(None),) * dim + (slice(start, start + length),))


# --- choosing -------------------------------------------------------------------------------------

def getitem(input, index):
    """input[index]: slices, numbers, None, ..., boolean and integer tensors, arrays or lists."""
    parts = numbers_first(index)
    if parts is not None:
        return getitem(getitem(input, parts[0]), parts[1])
    arrays, index = parsed(index)
    if not arrays and len(index) == input.ndim and not any(i is Ellipsis for i in index):
        index += (Ellipsis,)  # so that NumPy returns a single number as a 0-d view, not as a copy
    return ops.getitem(input, *arrays, index=index)


def parsed(index):
    """(index arrays, index with a placeholder for each): the arrays become inputs of the record."""
    arrays, places = [], []
    for i in index if isinstance(index, tuple) else (index,):
        if isinstance(i, list) or isinstance(i, range):
            i = np.asarray([array(k) for k in i], dtype=None if len(i) else np.int64)
        if is_number(i):
            i = int(i)
        elif isinstance(i, (Recorded, np.ndarray)):
            if i.dtype.kind not in "iub":
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors, "
                                 f"got {i.dtype}")
            arrays.append(i)
            i = ops.ARRAY
        elif not (i is None or i is Ellipsis or isinstance(i, (slice, bool, np.bool_))):
            raise TypeError(f"a tensor cannot be indexed with {type(i).__name__} {i!r}")
        elif isinstance(i, slice):
            i = slice(*[int(k) if isinstance(k, Recorded) else k
                        for k in (i.start, i.stop, i.step)])
        places.append(i)
    return arrays, tuple(places)


def is_view_at(value, x, index):
    """Is value what x[index], with this basic index, returned?"""
    return (value.op is ops.getitem and len(value.inputs) == 1 and value.inputs[0] is x
            and value.memory is x.memory and value.requires_grad == x.requires_grad
            and value.options["index"] in (index, (*index, Ellipsis)))


def numbers_first(index):
    """(first, rest) such that x[index] = x[first][rest], where numbers meet index arrays; else
    None.

    NumPy counts the numbers among the arrays, which decides where the arrays' dimension goes;
    PyTorch takes numbers (and slices) first.
    """
    index = index if isinstance(index, tuple) else (index,)
    arrays = [isinstance(i, (list, range, Recorded, np.ndarray)) and not is_number(i)
              for i in index]
    if not builtins.any(arrays) or not builtins.any(map(is_number, index)):
        return None
    first, rest = [], []
    for i, is_array in zip(index, arrays):
        mask = is_array and getattr(i, "dtype", None) == bool
        first += [slice(None)] * (i.ndim if mask else 1) if is_array else [i]
        if not is_number(i):
            rest.append(i if is_array or i is Ellipsis else slice(None))
    return tuple(first), tuple(rest)


def is_number(i):
    """Does i, in an index, choose one element of a dimension?"""
    if isinstance(i, (Recorded, np.ndarray)):
        return i.ndim == 0 and i.dtype.kind in "iu"
    return isinstance(i, (int, np.integer)) and not isinstance(i, bool)


def where(condition, input=None, other=None):
    """input where condition is true, else other; where(condition): the indices of true elements."""
    if input is None and other is None:
        return tuple(wrap(i) for i in np.nonzero(array(condition)))
    if np.asarray(array(condition)).dtype != bool:
        raise RuntimeError("where expected condition to be a boolean tensor, got "
                           f"{np.asarray(array(condition)).dtype}")
    if not any_recorded(condition, input, other):
        input = as_tensor(input)
    return ops.where(condition, input, other)


def any_recorded(*xs):
    return builtins.any(isinstance(x, Recorded) for x in xs)


def masked_fill(input, mask, value):
    """input with value (a number) where mask is true."""
    if mask.dtype != bool:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got dtype {mask.dtype}")
    if array(value).dtype.kind == "f" if isinstance(value, Recorded) else isinstance(value, float):
        if input.dtype.kind != "f":
            raise RuntimeError(f"masked_fill: {value!r} can't be put into the {describe(input)} of "
                               f"dtype {input.dtype}: use .float() first")
    return ops.where(mask, value, input)


@numpy_names
def gather(input, dim, index):
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on (torch.gather)."""
    dim = one_dim(dim, input.ndim)
    if index.ndim != input.ndim:
        raise RuntimeError(f"gather: index has {index.ndim} dimensions, the {describe(input)} has "
                           f"{input.ndim}: they must be equal")
    if input.ndim == 0:
        return reshape(getitem(reshape(input, (1,)), (index,)), ())
    return getitem(input, grid(input, dim, index, "gather"))


def grid(input, dim, index, what):
    """Index that pairs `index` along dim with its own positions along all other dimensions."""
    values = array(index)
    if values.dtype.kind not in "iu":
        raise RuntimeError(f"{what}: index must be an integer tensor, got {values.dtype}")
    if values.size and (values.min() < 0 or values.max() >= input.shape[dim]):
        wrong = values[(values < 0) | (values >= input.shape[dim])][0]
        raise IndexError(f"{what}: index {wrong} is out of bounds for dimension {dim} with size "
                         f"{input.shape[dim]}")
    mesh = list(np.ogrid[tuple(slice(n) for n in values.shape)])
    mesh[dim] = index
    return tuple(mesh)


def one_hot(tensor, num_classes=-1):
    """int64 tensor with a new last dimension: 1 at the class, 0 elsewhere (F.one_hot)."""
    labels = array(tensor)
    if labels.dtype.kind not in "iu":
        raise RuntimeError(f"one_hot is only applicable to index tensors, got {labels.dtype}")
    if labels.size and labels.min() < 0:
        raise RuntimeError(f"Class values must be non-negative, got {labels.min()}")
    if num_classes == -1:
        if isinstance(tensor, Recorded):
            taken_out(tensor)
        if not labels.size:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(labels.max()) + 1
    elif labels.size and labels.max() >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes: got {labels.max()} "
                           f"with num_classes={num_classes}")
    t = wrap(indicators(labels, num_classes))
    if mode.tracing is not None and isinstance(tensor, Recorded):
        # A program that is made of this must look at the labels anew.
        assume(within, tensor, num_classes=num_classes)
        t.op, t.inputs, t.options = as_indicators, (tensor,), {"num_classes": num_classes}
        t.order, t.module = clock(), mode.module
    return t


def indicators(labels, num_classes):
    return (labels[..., None] == np.arange(num_classes)).astype(np.int64)


as_indicators = Primitive(indicators, name="one_hot")


def within(labels, num_classes):
    """Refuses a compiled step for labels that are an error."""
    if labels.size and (labels.min() < 0 or labels.max() >= num_classes):
        raise Unfit
