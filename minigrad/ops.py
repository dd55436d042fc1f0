"""The table of primitives: the derivative table of calculus class, one row per operation.

A row is a NumPy function and, for each input, how a gradient passes through it. The rules are written
in operators and NumPy functions, which work on arrays and on tensors alike: run on tensors they are
recorded themselves, and that is all there is to gradients of gradients.

Letters: g the gradient arriving at the output, y (z for two inputs) the output, x, w, b the inputs.
`*_` takes whatever a rule does not need. Broadcasting is undone by the engine: the rules are bare
calculus. At kinks and ties the rules take the subgradient that PyTorch 2.13 takes.
"""

import math

import numpy as np

from minigrad.engine import Recorded, primitive

# --- helpers of rows with more than a line of NumPy -----------------------------------------------


def quiet(function):
    """A NumPy function without the warnings for log(0), 1/0, overflow: like PyTorch's, it returns
    inf or nan and goes on."""
    def quietly(*arrays, **options):
        with np.errstate(all="ignore"):
            return function(*arrays, **options)
    quietly.__name__, quietly.ufunc = function.__name__, function
    return quietly


def kept(g, dim, keepdim):
    """g of a reduction, with the reduced dimensions back at length 1 (a single number needs none)."""
    return g if keepdim or dim is None else np.expand_dims(g, dim)


def repeated(g, shape, dim, keepdim):
    """g of a reduction, repeated over the dimensions that were summed."""
    x = np.empty(shape, g.dtype)
    x[...] = kept(g, dim, keepdim)
    return x


def count(shape, dim):
    """How many numbers a reduction over `dim` of an array of `shape` combines into one."""
    dims = range(len(shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
    return math.prod(shape[d] for d in dims)


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


def matmul_rule_a(g, z, a, b):
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    return (np.expand_dims(g, -2) @ b.mT)[..., 0, :] if a.ndim == 1 else g @ b.mT


def matmul_rule_b(g, z, a, b):
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    return (a.mT @ np.expand_dims(g, -1))[..., 0] if b.ndim == 1 else a.mT @ g


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
    index = [np.arange(n).reshape((-1,) + (1,) * (labels.ndim - 1 - d)) for d, n in enumerate(labels.shape)]
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
    """The distribution a label stands for: all on its class, or `smoothing` of it spread over all."""
    labels = labels.array if isinstance(labels, Recorded) else labels
    t = np.full(shape, smoothing / shape[dim], dtype)
    t[places(labels, dim)] += 1 - smoothing
    return t


erf_values = np.frompyfunc(math.erf, 1, 1)  # NumPy has no erf


def bce(p, t):
    """Binary cross-entropy; like PyTorch, the logarithms stop at -100."""
    with np.errstate(all="ignore"):
        return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))


# --- the table --------------------------------------------------------------------------------------
# fmt: off

# arithmetic
add        = primitive(np.add,              lambda g, *_: g,
                                            lambda g, *_: g, symbol="+")
sub        = primitive(np.subtract,         lambda g, *_: g,
                                            lambda g, *_: -g, name="sub", symbol="-")
mul        = primitive(np.multiply,         lambda g, z, x, w: g * w,
                                            lambda g, z, x, w: g * x, name="mul", symbol="*")
div        = primitive(quiet(np.divide),    lambda g, z, x, w: g / w,
                                            lambda g, z, x, w: -g * z / w, name="div", symbol="/")
neg        = primitive(np.negative,         lambda g, *_: -g, name="neg", symbol="-")
power      = primitive(quiet(lambda x, n: x ** n),
                                            lambda g, y, x, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g),
                                            name="power", symbol="**")
pow        = primitive(quiet(np.power),     lambda g, z, x, n: g * np.where(n == 0, 0.0, n * x ** (n - 1)),
                                            lambda g, z, x, n: g * np.where((x == 0) & (n >= 0), 0.0, z * np.log(1.0 * x)),
                                            name="pow", symbol="**")
square     = primitive(np.square,           lambda g, y, x: g * (2 * x), symbol="**2")
reciprocal = primitive(quiet(lambda x: 1 / x), lambda g, y, x: -g * y**2, name="reciprocal", symbol="1/")
abs        = primitive(np.absolute,         lambda g, y, x: g * np.sign(x), name="abs")
sign       = primitive(np.sign,             lambda g, *_: 0 * g)

# elementary functions
exp        = primitive(quiet(np.exp),       lambda g, y, x: g * y)
expm1      = primitive(quiet(np.expm1),     lambda g, y, x: g * (y + 1))
log        = primitive(quiet(np.log),       lambda g, y, x: g / x)
log1p      = primitive(quiet(np.log1p),     lambda g, y, x: g / (1 + x))
sqrt       = primitive(quiet(np.sqrt),      lambda g, y, x: g / (2 * y))
sin        = primitive(np.sin,              lambda g, y, x: g * np.cos(x))
cos        = primitive(np.cos,              lambda g, y, x: -g * np.sin(x))
tanh       = primitive(np.tanh,             lambda g, y, x: g * (1 - y**2))
sigmoid    = primitive(logistic,            lambda g, y, x: g * (y * (1 - y)), name="sigmoid")
erf        = primitive(lambda x: np.asarray(erf_values(x), x.dtype),
                                            lambda g, y, x: g * (2 / math.sqrt(math.pi) * np.exp(-x**2)), name="erf")
softplus   = primitive(lambda x: np.logaddexp(x, 0), lambda g, y, x: g * sigmoid(x), name="softplus")

# kinks: which side of the kink an input is on is a constant
relu       = primitive(lambda x: np.maximum(x, 0), lambda g, y, x: np.where(y <= 0, 0.0, g), name="relu")
leaky_relu = primitive(lambda x, slope: np.where(x > 0, x, slope * x),
                                            lambda g, y, x, slope: np.where(x > 0, g, slope * g), name="leaky_relu")
maximum    = primitive(np.maximum,          lambda g, z, x, w: g * (1 - (x < w) - 0.5 * (x == w)),
                                            lambda g, z, x, w: g * (1 - (w < x) - 0.5 * (x == w)))
minimum    = primitive(np.minimum,          lambda g, z, x, w: g * (1 - (x > w) - 0.5 * (x == w)),
                                            lambda g, z, x, w: g * (1 - (w > x) - 0.5 * (x == w)))
clamp      = primitive(limited,
                                            lambda g, y, x, min, max: np.where((x >= min) & (x <= max), g, 0.0), name="clamp")
where      = primitive(np.where,      None, lambda g, z, c, x, w: np.where(c, g, 0.0),
                                            lambda g, z, c, x, w: np.where(c, 0.0, g), name="where")

# reductions
sum        = primitive(lambda x, dim, keepdim: np.add.reduce(x, axis=dim, keepdims=keepdim),
                                            lambda g, y, x, dim, keepdim: spread(g, shape=x.shape, dim=dim, keepdim=keepdim), name="sum")
spread     = primitive(repeated,            lambda g, *_, shape, dim, keepdim: g.sum(axis=dim, keepdims=keepdim), name="spread")
mean       = primitive(lambda x, dim, keepdim: np.add.reduce(x, axis=dim, keepdims=keepdim) / count(x.shape, dim),
                                            lambda g, y, x, dim, keepdim: spread(g / count(x.shape, dim), shape=x.shape, dim=dim, keepdim=keepdim), name="mean")
prod       = primitive(lambda x, dim, keepdim: x.prod(axis=dim, keepdims=keepdim), prod_rule, name="prod")
var        = primitive(variance,            lambda g, y, x, dim, correction, keepdim:
                                            kept(g, dim, keepdim) * (2 * deviation(x, dim, correction)), name="var")
std        = primitive(lambda x, **options: np.sqrt(variance(x, **options)),
                                            lambda g, y, x, dim, correction, keepdim:
                                            kept(np.where(y == 0, 0.0, g / np.where(y == 0, 1.0, y)), dim, keepdim)
                                            * deviation(x, dim, correction), name="std")
amax       = primitive(lambda x, dim, keepdim: x.max(axis=dim, keepdims=keepdim), extreme_rule, name="amax")
amin       = primitive(lambda x, dim, keepdim: x.min(axis=dim, keepdims=keepdim), extreme_rule, name="amin")
logsumexp  = primitive(log_sum_exp,         lambda g, y, x, dim, keepdim:
                                            kept(g, dim, keepdim) * np.exp(x - kept(y, dim, keepdim)), name="logsumexp")
softmax    = primitive(softly,              lambda g, y, x, dim: y * (g - (g * y).sum(axis=dim, keepdims=True)), name="softmax")
log_softmax = primitive(softly_log,         lambda g, y, x, dim: g - np.exp(y) * g.sum(axis=dim, keepdims=True), name="log_softmax")
cross_entropy = primitive(label_loss,       lambda g, y, x, labels, dim, smoothing:
                                            np.expand_dims(g, dim) * (softmax(x, dim=dim) - one_hot(labels, x.shape, x.dtype, dim, smoothing)),
                                            name="cross_entropy")
binary_cross_entropy = primitive(bce,       lambda g, y, p, t: g * (p - t) / np.maximum(p * (1 - p), 1e-12),
                                            lambda g, y, p, t: g * (log1p(-p) - log(p)), name="binary_cross_entropy")

# linear algebra
matmul     = primitive(np.matmul,           matmul_rule_a, matmul_rule_b, symbol="@")
linear     = primitive(lambda x, w, b: x @ w.T + b,
                                            lambda g, y, x, w, b: g @ w,
                                            lambda g, y, x, w, b: g.T @ x,
                                            lambda g, *_: g, name="linear", symbol="x @ W.T + b")

# the same numbers in another shape or place
reshape    = primitive(lambda x, shape: x.reshape(shape), lambda g, y, x, shape: g.reshape(x.shape), name="reshape", view=True)
permute    = primitive(lambda x, dims: x.transpose(dims), lambda g, y, x, dims: np.transpose(g, np.argsort(dims)), name="permute", view=True)
expand     = primitive(lambda x, shape: np.broadcast_to(x, shape), lambda g, *_, shape: g, name="expand", view=True)
cast       = primitive(lambda x, dtype: x.astype(dtype), lambda g, *_, dtype: g, name="cast")  # the engine casts g back
clone      = primitive(lambda x: x.copy(),  lambda g, *_: g, name="clone")
cat        = primitive(lambda *xs, dim: np.concatenate(xs, axis=dim), each=part, name="cat")
stack      = primitive(lambda *xs, dim: np.stack(xs, axis=dim), each=layer, name="stack")
getitem    = primitive(lambda x, *arrays, index: x[filled(index, arrays)],
                                            lambda g, y, x, *arrays, index: scatter(g, *arrays, index=index, shape=x.shape),
                                            name="getitem", symbol="[]", view=True)
setitem    = primitive(assigned,            lambda g, y, x, value, *arrays, index: setitem(g, 0.0, *arrays, index=index),
                                            lambda g, y, x, value, *arrays, index: taken(g, value.ndim, *arrays, index=index), name="setitem", symbol="[]=")
scatter    = primitive(scattered,           lambda g, y, x, *arrays, index, shape: g[filled(index, arrays)], name="scatter")
# fmt: on

TABLE = {row.name: row for row in list(globals().values()) if isinstance(row, primitive)}
