"""Calculus of the table's longer rows: forward functions and rules that need more than one line.

The one trick: rules stay plain NumPy expressions (np.where, np.cumsum, @), so that run on tensors
they are recorded, exactly as the one-line rules of ops.py are.

Letters as in ops.py: g the gradient arriving, y (z for two inputs) the output, x, w the inputs.
"""

import math

import numpy as np

from minigrad.engine import Recorded


def quiet(function):
    """A NumPy function without the warnings for log(0), 1/0, overflow: like PyTorch's, it returns
    inf or nan and goes on."""
    def quietly(*arrays, **options):
        with np.errstate(all="ignore"):
            return function(*arrays, **options)
    quietly.__name__, quietly.ufunc = function.__name__, function
    return quietly


def nothing(g, *_):
    """The rule of a function that is flat wherever it has a derivative."""
    return np.zeros_like(g)


def over(g, y):
    """g / y, and 0 where y is 0: there the subgradient 0 is taken."""
    return np.where(y == 0, 0.0, g / np.where(y == 0, 1.0, y))


def kept(g, dim, keepdim):
    """g of a reduction, with the reduced dimensions back at length 1 (one number needs none)."""
    return g if keepdim or dim is None else np.expand_dims(g, dim)


def repeated(g, shape, dim, keepdim):
    """g of a reduction, repeated over the dimensions that were summed."""
    x = np.empty(shape, g.dtype)
    x[...] = kept(g, dim, keepdim)
    return x


def count(shape, dim):
    """How many numbers a reduction over `dim` of an array of `shape` combines into one."""
    if dim is None:
        return math.prod(shape)
    return shape[dim] if isinstance(dim, int) else math.prod([shape[d] for d in dim])


def masked(g, on):
    """g where `on` is true, else 0, even where g is infinite.

    The product is up to six times as fast as np.where, whose branches no processor can predict; it
    is right unless it meets 0 * inf or 0 * nan, which then shows in the sum.
    """
    c = g * on
    values = c.array if isinstance(c, Recorded) else c
    return c if np.isfinite(values.sum()) else np.where(on, g, 0.0)


def logistic(x):
    e = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, e) / (1 + e)


def log_sum_exp(x, dim, keepdim):
    top = x.max(axis=dim, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(x - top).sum(axis=dim, keepdims=True)) + top
    return total if keepdim else total.squeeze(dim if dim is not None else None)


def softly(x, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
    e /= e.sum(axis=dim, keepdims=True)
    return e


def softly_log(x, dim):
    y = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
    y -= np.log(np.exp(y).sum(axis=dim, keepdims=True))
    return y


def others(x, dim):
    """For each number along `dim`, the product of all others: the same product, with a 1 in its own
    place. Only needed where a zero forbids dividing the whole product by the number."""
    rows = np.expand_dims(np.moveaxis(x, dim, -1), -2)
    own = np.eye(x.shape[dim], dtype=bool)
    return np.moveaxis(np.prod(np.where(own, 1.0, rows), axis=-1), -1, dim)


def prod_rule(g, y, x, dim, keepdim):
    if dim is None:
        flat = x.reshape((-1,))
        rest = others(flat, 0).reshape(x.shape) if (x == 0).any() else y / x
        return g * rest
    g, y = kept(g, dim, keepdim), kept(y, dim, keepdim)
    return g * (others(x, dim) if (x == 0).any() else y / x)


def flipped(x, dim):
    """x backwards along dim."""
    return x[(slice(None),) * dim + (slice(None, None, -1),)]


def cumprod_rule(g, y, x, dim):
    """Number i takes part in all products from the i-th on. A zero forbids dividing by it: then
    each product is taken again with a 1 in the number's own place, as in `others`."""
    if not (x == 0).any():
        return flipped(np.cumsum(flipped(g * y, dim), dim), dim) / x
    n = x.shape[dim]
    rows = np.expand_dims(np.moveaxis(x, dim, -1), -2)
    without = np.cumprod(np.where(np.eye(n, dtype=bool), 1.0, rows), -1)
    g = np.expand_dims(np.moveaxis(g, dim, -1), -2)
    later = np.tri(n, dtype=bool).T
    return np.moveaxis(np.where(later, g * without, 0.0).sum(axis=-1), -1, dim)


def truncated(x, w):
    """x / w, rounded towards 0 (in whole numbers without a detour through floats)."""
    with np.errstate(all="ignore"):
        if np.result_type(x, w).kind == "f":
            return np.trunc(x / w)
        return (x - np.fmod(x, w)) // w


def variance(x, dim, correction, keepdim):
    away = x - x.mean(axis=dim, keepdims=True)
    with np.errstate(all="ignore"):  # fewer than two numbers have no variance: nan
        return (away * away).sum(axis=dim, keepdims=keepdim) / np.float64(
            max(count(x.shape, dim) - correction, 0)).astype(x.dtype)


def deviation(x, dim, correction):
    """(x - mean) / (n - correction): half of what the variance changes by when x does."""
    return (x - x.mean(axis=dim, keepdims=True)) / max(count(x.shape, dim) - correction, 0)


def extreme_rule(g, y, x, dim, keepdim):
    """Of the largest (or smallest) numbers, each tied one takes an equal share."""
    tied = x == kept(y, dim, keepdim)
    return tied * (kept(g, dim, keepdim) / tied.sum(axis=dim, keepdims=True))


def dotted(a, b, dim):
    """sum(a * b) over dim, which stays with length 1."""
    if isinstance(dim, int) and type(a) is type(b) is np.ndarray:
        return np.vecdot(a, b, axis=dim, keepdims=True)  # without the array of products
    return (a * b).sum(axis=dim, keepdims=True)


def standardized(x, dim, eps, values=True):
    """(x - mean) / sqrt(variance + eps) over dim, or without its `values` only 1 / sqrt(...)."""
    n = count(x.shape, dim) or 1
    away = x - x.sum(axis=dim, keepdims=True) / n
    root = np.sqrt(dotted(away, away, dim) / n + eps)
    return away / root if values else 1 / root


def standardize_rule(g, y, x, dim, eps):
    n = count(x.shape, dim) or 1
    across = g - g.sum(axis=dim, keepdims=True) / n - y * (dotted(g, y, dim) / n)
    return across * standardized(x, dim, eps, values=False)


def matmul_rule_a(g, z, a, b):
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    return (np.expand_dims(g, -2) @ b.mT)[..., 0, :] if a.ndim == 1 else g @ b.mT


def matmul_rule_b(g, z, a, b):
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    return (a.mT @ np.expand_dims(g, -1))[..., 0] if b.ndim == 1 else a.mT @ g


def contracted(*xs, equation):
    """np.einsum; from some size on, its search for matrix products in the equation pays."""
    searched = len(xs) > 2 or (len(xs) == 2 and max(x.size for x in xs) >= 256)
    return np.einsum(equation, *xs, optimize=searched)


def einsum_rule(i, g, y, *xs, equation):
    """An einsum is linear in each operand: one's gradient is the einsum of g and the others."""
    operands, result = equation.split("->")
    operands = operands.split(",")
    others = [x for j, x in enumerate(xs) if j != i]
    letters = ",".join([result, *operands[:i], *operands[i + 1:]])
    return np.einsum(f"{letters}->{operands[i]}", g, *others)


def det_rule(g, y, x):
    """Jacobi's formula: det(x) inv(x).T. A singular x has no inverse: then the cofactors
    themselves, each the determinant of x with row i replaced by the unit vector j."""
    if not (y == 0).any():
        return np.expand_dims(g * y, (-2, -1)) * np.linalg.inv(x).mT
    unit = np.eye(x.shape[-1])
    row = unit[:, None, :, None] == 1
    replaced = np.where(row, unit[None, :, None, :], np.expand_dims(x, (-4, -3)))
    return np.expand_dims(g, (-2, -1)) * np.linalg.det(replaced)


def main_diagonal(x):
    """The diagonal of square matrices, as a view that can be written to."""
    y = np.diagonal(x, axis1=-2, axis2=-1)
    y.flags.writeable = x.flags.writeable
    return y


def pairs(shape):
    """The positions of the main diagonal: two index arrays."""
    return np.arange(shape[-1]), np.arange(shape[-1])


ARRAY = object()  # in an index: "the next index array", which is an input of the record


def filled(index, arrays):
    """The index with its arrays in their places."""
    arrays = iter([a.array if isinstance(a, Recorded) else a for a in arrays])
    return tuple([next(arrays) if i is ARRAY else i for i in index])


def scattered(g, *arrays, index, shape):
    """Zeros of `shape` with g added at index; places named several times add up."""
    x = np.zeros(shape, g.dtype)
    if any(a.dtype.kind != "b" for a in arrays):
        np.add.at(x, filled(index, arrays), g)
    else:
        x[filled(index, arrays)] = g
    return x


def assigned(x, value, *arrays, index):
    x = x.copy()
    while np.ndim(value) and len(value) == 1:  # leading dimensions of size 1 broadcast to nothing
        value = value[0]
    x[filled(index, arrays)] = value
    return x


def taken(g, ndim, *arrays, index):
    """g at index, with as many dimensions (ndim) as the value that was assigned there."""
    g = g[filled(index, arrays)]
    return g if g.ndim >= ndim else g.reshape((1,) * (ndim - g.ndim) + tuple(g.shape))


def part(i, g, y, *xs, dim):
    """The part of g that belongs to the i-th of the tensors that were joined."""
    start = int(np.sum([x.shape[dim] for x in xs[:i]]))
    return g[(slice(None),) * (dim % y.ndim) + (slice(start, start + xs[i].shape[dim]),)]


def limited(x, min, max):
    """x between min and max; no limit (an infinite one) leaves integers integers."""
    x = x if min == -math.inf else np.maximum(x, min)
    return x.copy() if max == math.inf else np.minimum(x, max)


def layer(i, g, y, *xs, dim):
    """The part of g that belongs to the i-th of the tensors that were stacked."""
    return g[(slice(None),) * (dim % y.ndim) + (i,)]


part.reads_values = layer.reads_values = False  # only shapes: the joined tensors may be overwritten


def places(labels, dim):
    """Index of the label of each sample in scores that have the classes along dim."""
    index = [np.arange(n).reshape((-1,) + (1,) * (labels.ndim - 1 - d))
             for d, n in enumerate(labels.shape)]
    index.insert(dim, labels)
    return tuple(index)


def label_loss(x, labels, dim, smoothing):
    """-log softmax(x) at the label of each sample, computed stably."""
    x = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
    with np.errstate(all="ignore"):
        score = x[places(labels, dim)]
        if smoothing:
            score = (1 - smoothing) * score + smoothing * x.mean(axis=dim)
        return np.log(np.exp(x).sum(axis=dim)) - score


def one_hot(labels, shape, dtype, dim, smoothing):
    """The distribution a label stands for: its class, or `smoothing` of it spread over all."""
    if isinstance(labels, Recorded):  # as a comparison, which a picture can print
        classes = np.arange(shape[dim]).reshape((-1,) + (1,) * labels.ndim)
        t = (labels == classes) * (1.0 - smoothing)
        order = [*range(1, dim + 1), 0, *range(dim + 1, len(shape))]
        t = np.transpose(t, order) if dim else t
        return t + smoothing / shape[dim] if smoothing else t
    t = np.full(shape, smoothing / shape[dim], dtype)
    t[places(labels, dim)] += 1 - smoothing
    return t


erf_values = np.frompyfunc(math.erf, 1, 1)  # NumPy has no erf


def bce(p, t):
    """Binary cross-entropy; like PyTorch, the logarithms stop at -100."""
    with np.errstate(all="ignore"):
        return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))
