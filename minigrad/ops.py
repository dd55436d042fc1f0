"""The table of primitives: the derivative table of calculus class, one row per operation.

A row is a NumPy function and, for each input, how a gradient passes through it. The rules are
written in operators and NumPy functions, which work on arrays and on tensors alike: run on tensors
they are recorded themselves, and that is all there is to gradients of gradients.

Letters: g the gradient arriving at the output, y (z for two inputs) the output, x, w, b the inputs.
`*_` takes whatever a rule does not need. Broadcasting is undone by the engine: the rules are bare
calculus. At kinks and ties the rules take the subgradient that PyTorch 2.13 takes.
"""

import math

import numpy as np

from minigrad.calculus import (
    ARRAY, assigned, bce, contracted, count, cumprod_rule, det_rule, deviation, dotted,
    einsum_rule, erf_values, extreme_rule, filled, flipped, kept, label_loss, layer, limited,
    log_sum_exp, logistic, main_diagonal, masked, matmul_rule_a, matmul_rule_b, nothing, one_hot,
    over, pairs, part, prod_rule, quiet, repeated, scattered, softly, softly_log,
    standardize_rule, standardized, taken, truncated, variance)
from minigrad.convolution import convolved, input_gradient, weight_gradient
from minigrad.engine import primitive

# --- the table ------------------------------------------------------------------------------------
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
power      = primitive(quiet(lambda x, n: x ** n), lambda g, y, x, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g), name="power", symbol="**")
pow        = primitive(quiet(np.power),     lambda g, z, x, n: g * np.where(n == 0, 0.0, n * x ** (n - 1)),
                                            lambda g, z, x, n: g * np.where((x == 0) & (n >= 0), 0.0, z * np.log(1.0 * x)), name="pow", symbol="**")
square     = primitive(np.square,           lambda g, y, x: g * (2 * x), symbol="**2")
reciprocal = primitive(quiet(lambda x: 1 / x), lambda g, y, x: -g * y**2, name="reciprocal", symbol="1/")
abs        = primitive(np.absolute,         lambda g, y, x: g * np.sign(x), name="abs")
remainder  = primitive(quiet(np.remainder), lambda g, *_: g, lambda g, z, x, w: -g * np.floor_divide(x, w), symbol="%")
fmod       = primitive(quiet(np.fmod),      lambda g, *_: g, lambda g, z, x, w: -g * trunc_divide(x, w))
atan2      = primitive(np.arctan2,          lambda g, z, x, w: g * over(w, x**2 + w**2), lambda g, z, x, w: -g * over(x, x**2 + w**2), name="atan2")

# steps: flat wherever they have a derivative
sign       = primitive(np.sign,             nothing)
floor      = primitive(np.floor,            nothing)
ceil       = primitive(np.ceil,             nothing)
trunc      = primitive(np.trunc,            nothing)
round      = primitive(lambda x, decimals: np.round(x, decimals), nothing, name="round")
floor_divide = primitive(quiet(np.floor_divide), nothing, nothing, symbol="//")
trunc_divide = primitive(truncated,         nothing, nothing, name="trunc_divide")

# elementary functions
exp        = primitive(quiet(np.exp),       lambda g, y, x: g * y)
expm1      = primitive(quiet(np.expm1),     lambda g, y, x: g * (y + 1))
exp2       = primitive(quiet(np.exp2),      lambda g, y, x: g * (y * math.log(2)))
log        = primitive(quiet(np.log),       lambda g, y, x: g / x)
log1p      = primitive(quiet(np.log1p),     lambda g, y, x: g / (1 + x))
log2       = primitive(quiet(np.log2),      lambda g, y, x: g / (x * math.log(2)))
log10      = primitive(quiet(np.log10),     lambda g, y, x: g / (x * math.log(10)))
sqrt       = primitive(quiet(np.sqrt),      lambda g, y, x: g / (2 * y))
sin        = primitive(np.sin,              lambda g, y, x: g * np.cos(x))
cos        = primitive(np.cos,              lambda g, y, x: -g * np.sin(x))
tan        = primitive(np.tan,              lambda g, y, x: g * (1 + y**2))
asin       = primitive(quiet(np.arcsin),    lambda g, y, x: g / np.sqrt(1 - x**2), name="asin")
acos       = primitive(quiet(np.arccos),    lambda g, y, x: -g / np.sqrt(1 - x**2), name="acos")
atan       = primitive(np.arctan,           lambda g, y, x: g / (1 + x**2), name="atan")
sinh       = primitive(quiet(np.sinh),      lambda g, y, x: g * np.cosh(x))
cosh       = primitive(quiet(np.cosh),      lambda g, y, x: g * np.sinh(x))
asinh      = primitive(np.arcsinh,          lambda g, y, x: g / np.sqrt(x**2 + 1), name="asinh")
acosh      = primitive(quiet(np.arccosh),   lambda g, y, x: g / np.sqrt(x**2 - 1), name="acosh")
atanh      = primitive(quiet(np.arctanh),   lambda g, y, x: g / (1 - x**2), name="atanh")
tanh       = primitive(np.tanh,             lambda g, y, x: g * (1 - y**2))
sigmoid    = primitive(logistic,            lambda g, y, x: g * (y * (1 - y)), name="sigmoid")
erf        = primitive(lambda x: np.asarray(erf_values(x), x.dtype), lambda g, y, x: g * (2 / math.sqrt(math.pi) * np.exp(-x**2)), name="erf")
softplus   = primitive(lambda x: np.logaddexp(x, 0), lambda g, y, x: g * sigmoid(x), name="softplus")

# kinks: which side of the kink an input is on is a constant
relu       = primitive(lambda x: np.maximum(x, 0), lambda g, y, x: masked(g, y != 0), name="relu")
leaky_relu = primitive(lambda x, slope: np.where(x > 0, x, slope * x), lambda g, y, x, slope: np.where(x > 0, g, slope * g), name="leaky_relu")
maximum    = primitive(np.maximum,          lambda g, z, x, w: g * (1 - (x < w) - 0.5 * (x == w)), lambda g, z, x, w: g * (1 - (w < x) - 0.5 * (x == w)))
minimum    = primitive(np.minimum,          lambda g, z, x, w: g * (1 - (x > w) - 0.5 * (x == w)), lambda g, z, x, w: g * (1 - (w > x) - 0.5 * (x == w)))
clamp      = primitive(limited, lambda g, y, x, min, max: np.where((x >= min) & (x <= max), g, 0.0), name="clamp")
where      = primitive(np.where,      None, lambda g, z, c, x, w: np.where(c, g, 0.0), lambda g, z, c, x, w: np.where(c, 0.0, g), name="where")

# reductions
sum        = primitive(lambda x, dim, keepdim: np.add.reduce(x, axis=dim, keepdims=keepdim),
                                            lambda g, y, x, dim, keepdim: spread(g, shape=x.shape, dim=dim, keepdim=keepdim), name="sum")
spread     = primitive(repeated,            lambda g, *_, shape, dim, keepdim: g.sum(axis=dim, keepdims=keepdim), name="spread")
mean       = primitive(lambda x, dim, keepdim: np.add.reduce(x, axis=dim, keepdims=keepdim) / count(x.shape, dim),
                                            lambda g, y, x, dim, keepdim: spread(g / count(x.shape, dim), shape=x.shape, dim=dim, keepdim=keepdim), name="mean")
prod       = primitive(lambda x, dim, keepdim: x.prod(axis=dim, keepdims=keepdim), prod_rule, name="prod")
var        = primitive(variance,            lambda g, y, x, dim, correction, keepdim: kept(g, dim, keepdim) * (2 * deviation(x, dim, correction)), name="var")
std        = primitive(lambda x, **options: np.sqrt(variance(x, **options)), lambda g, y, x, dim, correction, keepdim: kept(over(g, y), dim, keepdim) * deviation(x, dim, correction), name="std")
norm       = primitive(lambda x, dim, keepdim: np.sqrt(np.square(x).sum(axis=dim, keepdims=keepdim)),
                                            lambda g, y, x, dim, keepdim: kept(over(g, y), dim, keepdim) * x, name="norm")
cumsum     = primitive(lambda x, dim: x.cumsum(axis=dim), lambda g, *_, dim: flipped(np.cumsum(flipped(g, dim), dim), dim), name="cumsum")
cumprod    = primitive(lambda x, dim: x.cumprod(axis=dim), cumprod_rule, name="cumprod")
amax       = primitive(lambda x, dim, keepdim: x.max(axis=dim, keepdims=keepdim), extreme_rule, name="amax")
amin       = primitive(lambda x, dim, keepdim: x.min(axis=dim, keepdims=keepdim), extreme_rule, name="amin")
logsumexp  = primitive(log_sum_exp,         lambda g, y, x, dim, keepdim: kept(g, dim, keepdim) * np.exp(x - kept(y, dim, keepdim)), name="logsumexp")
softmax    = primitive(softly,              lambda g, y, x, dim: y * (g - dotted(g, y, dim)), name="softmax")
log_softmax = primitive(softly_log,         lambda g, y, x, dim: g - np.exp(y) * g.sum(axis=dim, keepdims=True), name="log_softmax")
cross_entropy = primitive(label_loss,       lambda g, y, x, labels, dim, smoothing:
                                            np.expand_dims(g, dim) * (softmax(x, dim=dim) - one_hot(labels, x.shape, x.dtype, dim, smoothing)), name="cross_entropy")
standardize = primitive(standardized,       standardize_rule, name="standardize")
affine     = primitive(lambda x, w, b: x * w + b, lambda g, y, x, w, b: g * w, lambda g, y, x, w, b: g * x, lambda g, *_: g, name="affine", symbol="x * w + b")
binary_cross_entropy = primitive(bce,       lambda g, y, p, t: g * (p - t) / np.maximum(p * (1 - p), 1e-12),
                                            lambda g, y, p, t: g * (log1p(-p) - log(p)), name="binary_cross_entropy")

# linear algebra
matmul     = primitive(np.matmul,           matmul_rule_a, matmul_rule_b, symbol="@")
linear     = primitive(lambda x, w, b: x @ w.T + b, lambda g, y, x, w, b: g @ w, lambda g, y, x, w, b: g.T @ x, lambda g, *_: g, name="linear", symbol="x @ W.T + b")
einsum     = primitive(contracted,          each=einsum_rule, name="einsum")
inv        = primitive(np.linalg.inv,       lambda g, y, x: -y.mT @ g @ y.mT)
solve      = primitive(np.linalg.solve,     lambda g, z, a, b: -solve(a.mT, g) @ z.mT, lambda g, z, a, b: solve(a.mT, g))
det        = primitive(np.linalg.det,       det_rule)
conv       = primitive(convolved,           lambda g, y, x, w, *b, **how: conv_input(g, w, shape=x.shape, **how),
                                            lambda g, y, x, w, *b, **how: conv_weight(g, x, shape=w.shape, **how),
                                            lambda g, *_, **how: g.sum(axis=(0, *range(2, g.ndim))), name="conv")
conv_input = primitive(input_gradient,      lambda u, y, g, w, shape, **how: conv(u, w, **how),
                                            lambda u, y, g, w, shape, **how: conv_weight(g, u, shape=w.shape, **how), name="conv_input")
conv_weight = primitive(weight_gradient,    lambda u, y, g, x, shape, **how: conv(x, u, **how),
                                            lambda u, y, g, x, shape, **how: conv_input(g, u, shape=x.shape, **how), name="conv_weight")

# the same numbers in another shape or place
reshape    = primitive(lambda x, shape: x.reshape(shape), lambda g, y, x, shape: g.reshape(x.shape), name="reshape", view=True)
permute    = primitive(lambda x, dims: x.transpose(dims), lambda g, y, x, dims: np.transpose(g, np.argsort(dims)), name="permute", view=True)
expand     = primitive(lambda x, shape: np.broadcast_to(x, shape), lambda g, *_, shape: g, name="expand", view=True)
cast       = primitive(lambda x, dtype: x.astype(dtype), lambda g, *_, dtype: g, name="cast")  # the engine casts g back
diagonal   = primitive(main_diagonal,       lambda g, y, x: scatter(g, *pairs(x.shape), index=(Ellipsis, ARRAY, ARRAY), shape=x.shape), name="diagonal", view=True)
clone      = primitive(lambda x: x.copy(),  lambda g, *_: g, name="clone")
cat        = primitive(lambda *xs, dim: np.concatenate(xs, axis=dim), each=part, name="cat")
stack      = primitive(lambda *xs, dim: np.stack(xs, axis=dim), each=layer, name="stack")
getitem    = primitive(lambda x, *arrays, index: x[filled(index, arrays)], lambda g, y, x, *arrays, index: scatter(g, *arrays, index=index, shape=x.shape),
                                            name="getitem", symbol="[]", view=True)
setitem    = primitive(assigned,            lambda g, y, x, value, *arrays, index: setitem(g, 0.0, *arrays, index=index),
                                            lambda g, y, x, value, *arrays, index: taken(g, value.ndim, *arrays, index=index), name="setitem", symbol="[]=")
scatter    = primitive(scattered,           lambda g, y, x, *arrays, index, shape: g[filled(index, arrays)], name="scatter")
# fmt: on

TABLE = {row.name: row for row in list(globals().values()) if isinstance(row, primitive)}
