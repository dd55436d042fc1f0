"""PyTorch's functions on numbers, composed of the primitives of ops.py.

Arguments have PyTorch's names and order; `axis` and `keepdims` are accepted for `dim` and
`keepdim`. Nothing here knows about gradients: what is composed of primitives is differentiable, to
every order. (Functions that only move numbers around stand in shaping.py.)
"""

import collections
import math

import numpy as np

from minigrad import dtypes, ops
from minigrad.arguments import array, as_tensor, dims_of, numpy_names, one_dim
from minigrad.engine import Primitive, Recorded, clock, describe, mode, operands, own, wrap
from minigrad.shaping import gather

# --- arithmetic -----------------------------------------------------------------------------------

# fmt: off
neg = negative = ops.neg
abs = absolute = ops.abs
maximum, minimum = ops.maximum, ops.minimum
sign, exp, expm1, log, log1p = ops.sign, ops.exp, ops.expm1, ops.log, ops.log1p
sqrt, square, reciprocal = ops.sqrt, ops.square, ops.reciprocal
sin, cos, tanh, sigmoid, erf = ops.sin, ops.cos, ops.tanh, ops.sigmoid, ops.erf
clone = ops.clone
# fmt: on


def add(input, other, *, alpha=1):
    """input + alpha * other"""
    return ops.add(input, other if alpha == 1 else ops.mul(as_tensor(other), alpha))


def sub(input, other, *, alpha=1):
    """input - alpha * other"""
    return ops.sub(input, other if alpha == 1 else ops.mul(as_tensor(other), alpha))


def mul(input, other):
    """input * other"""
    return ops.mul(input, other)


def div(input, other, *, rounding_mode=None):
    """input / other; rounding_mode "trunc" (toward zero) or "floor": derivatives are 0 then."""
    if rounding_mode is None:
        return ops.div(input, other)
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    row = ops.trunc_divide if rounding_mode == "trunc" else ops.floor_divide
    return row(*divisor("div", input, other))


def divisor(what, input, other):
    """Both operands of a division in whole numbers, of which there is none by 0."""
    dtype = dtypes.result_type([array(x) for x in (input, other)])
    if dtype.kind != "f" and not np.all(array(other)):
        raise RuntimeError(f"{what}: division of whole numbers by zero (ZeroDivisionError) in "
                           f"{operands((input, other))}: use .float() first for inf")
    return (input if isinstance(input, Recorded) else as_tensor(input)), other


def pow(input, exponent):
    """input ** exponent; the derivative for x**0 is 0, also at x = 0."""
    if isinstance(exponent, (Recorded, np.ndarray)):
        return ops.pow(input, exponent)
    if exponent == 2:
        return ops.square(input)
    if exponent == 0.5:
        return ops.sqrt(input)
    if not isinstance(exponent, (int, float)):
        raise TypeError("pow: exponent must be a Tensor or a number, got "
                        f"{type(exponent).__name__}")
    if isinstance(exponent, int) and exponent < 0 and input.dtype.kind in "iub":
        raise RuntimeError("Integers to negative integer powers are not allowed: "
                           "use .float() first")
    return ops.power(input, exponent)


def relu(input):
    """max(input, 0); the derivative at 0 is 0."""
    return ops.relu(input)


def clamp(input, min=None, max=None):
    """input limited to [min, max]; numbers or tensors, None for no limit."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: at least one of 'min' or 'max' must not be None")
    if isinstance(min, Recorded) or isinstance(max, Recorded):
        # Not maximum and minimum: at a tie, all of the gradient is the input's.
        bounded = input if min is None else ops.where(array(input) < array(min), min, input)
        return bounded if max is None else ops.where(array(bounded) > array(max), max, bounded)
    return ops.clamp(input, -math.inf if min is None else min, math.inf if max is None else max)


clip = clamp
subtract, multiply, divide, true_divide = sub, mul, div, div


def rpow(base, exponent):
    """base ** exponent with a tensor on either side (np.power)."""
    return pow(base, exponent) if isinstance(base, Recorded) else ops.pow(as_tensor(base), exponent)


# --- comparisons and logic: constants, no gradient ------------------------------------------------

def constant(function, name=None):
    """A NumPy function as a function of tensors whose result carries no gradient."""
    noted = Primitive(function, name=name)

    def constant_function(*inputs):
        y = wrap(function(*[array(x) for x in inputs]))
        if mode.tracing is not None:  # a program that is made of this must compare anew each time
            y.op, y.inputs, y.order, y.module = noted, own(inputs), clock(), mode.module
        return y
    constant_function.__name__ = constant_function.__qualname__ = name or function.__name__
    constant_function.__doc__ = (f"{name or function.__name__}, element by element; "
                                 "carries no gradient.")
    return constant_function


# fmt: off
eq, ne = constant(np.equal, "eq"), constant(np.not_equal, "ne")
lt, le = constant(np.less, "lt"), constant(np.less_equal, "le")
gt, ge = constant(np.greater, "gt"), constant(np.greater_equal, "ge")
logical_and, logical_or = constant(np.logical_and), constant(np.logical_or)
logical_not, logical_xor = constant(np.logical_not), constant(np.logical_xor)
bit_and, bit_or = constant(np.bitwise_and, "bitwise_and"), constant(np.bitwise_or, "bitwise_or")
bit_xor, bit_not = constant(np.bitwise_xor, "bitwise_xor"), constant(np.invert, "bitwise_not")
isnan, isinf, isfinite = constant(np.isnan), constant(np.isinf), constant(np.isfinite)
# fmt: on


def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """True if |input - other| <= atol + rtol * |other| everywhere."""
    return bool(np.allclose(array(input), array(other), rtol, atol, equal_nan))


def equal(input, other):
    """True if both have the same shape and the same elements."""
    return input.shape == other.shape and bool(np.array_equal(array(input), array(other)))


@numpy_names
def all(input, dim=None, keepdim=False):
    """True where all elements (along dim) are true."""
    return all_true(as_tensor(input), dim=dims_of(input, dim), keepdim=keepdim)


@numpy_names
def any(input, dim=None, keepdim=False):
    """True where any element (along dim) is true."""
    return any_true(as_tensor(input), dim=dims_of(input, dim), keepdim=keepdim)


all_true = Primitive(lambda x, dim, keepdim: x.all(axis=dim, keepdims=keepdim), name="all")
any_true = Primitive(lambda x, dim, keepdim: x.any(axis=dim, keepdims=keepdim), name="any")


# --- reductions -----------------------------------------------------------------------------------

def floats(x, what):
    if x.dtype.kind != "f":
        raise RuntimeError(f"{what}(): input dtype must be floating point, got {x.dtype}: "
                           "use .float() or .double() first")
    return x


def nonempty(x, dim, what):
    """Refuses a reduction without an identity over nothing."""
    shape = x.shape or (1,)
    sizes = shape if dim is None else [shape[d] for d in ((dim,) if isinstance(dim, int) else dim)]
    if 0 in sizes:
        kind = RuntimeError if dim is None and not what.startswith("arg") else IndexError
        raise kind(f"{what}(): a {describe(x)} has no element to choose from in "
                         f"{'any dimension' if dim is None else f'dim {dim}'}")
    return x


@numpy_names
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum over dim (an int or a tuple; None: all)."""
    return ops.sum(input if dtype is None else input.to(dtype), dim=dims_of(input, dim),
                   keepdim=keepdim)


@numpy_names
def mean(input, dim=None, keepdim=False, *, dtype=None):
    """Mean over dim (an int or a tuple; None: all)."""
    input = floats(input if dtype is None else input.to(dtype), "mean")
    return ops.mean(input, dim=dims_of(input, dim), keepdim=keepdim)


@numpy_names
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """Product over dim (one int, or None: all). Its gradient is right at zeros too."""
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"prod(): dim must be one int or None, got {dim}")
    return ops.prod(input if dtype is None else input.to(dtype), dim=dims_of(input, dim),
                    keepdim=keepdim)


@numpy_names
def cumsum(input, dim, *, dtype=None):
    """Sums of the elements along dim up to each one."""
    return running(ops.cumsum, input, dim, dtype)


@numpy_names
def cumprod(input, dim, *, dtype=None):
    """Products of the elements along dim up to each one. Its gradient is right at zeros too."""
    return running(ops.cumprod, input, dim, dtype)


def running(op, input, dim, dtype):
    dim = one_dim(dim, input.ndim)
    input = input if dtype is None else input.to(dtype)
    return op(input, dim=dim) if input.ndim else clone(input)


def spread_of(op, input, dim, unbiased, correction, keepdim):
    if isinstance(dim, bool):  # var(unbiased), PyTorch's oldest form
        dim, unbiased = None, dim
    if unbiased is not None:
        correction = int(unbiased)
    return op(floats(input, op.name), dim=dims_of(input, dim), correction=correction,
              keepdim=keepdim)


@numpy_names
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """Variance over dim: sum of squared deviations / (n - correction)."""
    return spread_of(ops.var, input, dim, unbiased, correction, keepdim)


@numpy_names
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """Standard deviation over dim; where it is 0 its derivative is 0, as in PyTorch."""
    return spread_of(ops.std, input, dim, unbiased, correction, keepdim)


@numpy_names
def amax(input, dim=None, keepdim=False):
    """Largest element over dim; tied elements share the gradient equally."""
    dim = dims_of(input, dim)
    return ops.amax(nonempty(input, dim, "amax"), dim=dim, keepdim=keepdim)


@numpy_names
def amin(input, dim=None, keepdim=False):
    """Smallest element over dim; tied elements share the gradient equally."""
    dim = dims_of(input, dim)
    return ops.amin(nonempty(input, dim, "amin"), dim=dim, keepdim=keepdim)


@numpy_names
def argmax(input, dim=None, keepdim=False):
    """Index of the (first) largest element along dim, or in the flattened tensor."""
    dim = None if dim is None else one_dim(dim, input.ndim)
    return where_max(nonempty(input, dim, "argmax"), dim=dim if input.ndim else None,
                     keepdim=keepdim)


@numpy_names
def argmin(input, dim=None, keepdim=False):
    """Index of the (first) smallest element along dim, or in the flattened tensor."""
    dim = None if dim is None else one_dim(dim, input.ndim)
    return where_min(nonempty(input, dim, "argmin"), dim=dim if input.ndim else None,
                     keepdim=keepdim)


where_max = Primitive(lambda x, dim, keepdim: np.argmax(x, axis=dim, keepdims=keepdim),
                      name="argmax")
where_min = Primitive(lambda x, dim, keepdim: np.argmin(x, axis=dim, keepdims=keepdim),
                      name="argmin")


Extreme = collections.namedtuple("Extreme", "values indices")


def extreme(input, dim, keepdim, whole, pairwise, position):
    if isinstance(dim, (Recorded, np.ndarray)):
        return pairwise(input, dim)
    if dim is None:
        return whole(input)
    indices = position(input, dim, True)
    values = gather(input, dim, indices)
    if not keepdim and input.ndim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return Extreme(values, indices)


@numpy_names
def max(input, dim=None, keepdim=False):
    """max(x): largest element. max(x, dim): (values, indices). max(x, y): element by element."""
    return extreme(input, dim, keepdim, amax, maximum, argmax)


@numpy_names
def min(input, dim=None, keepdim=False):
    """min(x): smallest element. min(x, dim): (values, indices). min(x, y): element by element."""
    return extreme(input, dim, keepdim, amin, minimum, argmin)


@numpy_names
def logsumexp(input, dim, keepdim=False):
    """log(sum(exp(input))) over dim, without overflow."""
    return ops.logsumexp(input, dim=dims_of(input, dim), keepdim=keepdim)


@numpy_names
def softmax(input, dim=None, dtype=None):
    """exp(input) / sum(exp(input)) along dim, without overflow."""
    return along(ops.softmax, input, dim, dtype)


@numpy_names
def log_softmax(input, dim=None, dtype=None):
    """log(softmax(input)) along dim, computed stably."""
    return along(ops.log_softmax, input, dim, dtype)


def along(op, input, dim, dtype):
    if dim is None:
        raise TypeError(f"{op.name}() needs dim: the dimension along which the probabilities sum "
                        "to 1 (dim=-1 for classes in the last one), input has shape "
                        f"{tuple(input.shape)}")
    input = floats(input if dtype is None else input.to(dtype), op.name)
    dim = one_dim(dim, input.ndim)
    return op(input, dim=dim if input.ndim else None)


# --- linear algebra -------------------------------------------------------------------------------

def matmul(input, other):
    """input @ other for vectors, matrices and batches of matrices (batch dimensions broadcast)."""
    a, b = as_tensor(input), as_tensor(other)
    if a.ndim == 0 or b.ndim == 0:
        raise RuntimeError(f"matmul: both arguments need at least 1 dimension, got {describe(a)} "
                           f"and {describe(b)}; use * for numbers")
    if a.array.shape[-1] != b.array.shape[-2 if b.ndim > 1 else 0]:
        raise RuntimeError(f"matmul: {describe(a)} and {describe(b)} do not fit: the last "
                           f"dimension of the first ({a.array.shape[-1]}) must equal the "
                           f"{'second to last' if b.ndim > 1 else 'only'} one of the second "
                           f"({b.array.shape[-2 if b.ndim > 1 else 0]})")
    return ops.matmul(a, b)


def numel(input):
    """Number of elements."""
    return input.array.size


def is_tensor(obj):
    """True for a Tensor."""
    return isinstance(obj, Recorded)
