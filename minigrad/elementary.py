"""Elementary functions beyond the everyday ones: rounding, remainders, angles, other logarithms.

The one trick: what rounds is flat wherever it has a derivative, so gradients through it are zeros,
not missing: a computation that rounds on the way still differentiates, as in PyTorch.
"""

import numpy as np

from minigrad import dtypes, ops
from minigrad.arguments import array, as_tensor
from minigrad.engine import Recorded, operands, wrap
from minigrad.functions import clamp, constant, divisor, floats

# fmt: off
exp2, log2, log10               = ops.exp2, ops.log2, ops.log10
tan, sinh, cosh                 = ops.tan, ops.sinh, ops.cosh
asin = arcsin                   = ops.asin
acos = arccos                   = ops.acos
atan = arctan                   = ops.atan
asinh = arcsinh                 = ops.asinh
acosh = arccosh                 = ops.acosh
atanh = arctanh                 = ops.atanh
atan2 = arctan2                 = ops.atan2
sgn                             = ops.sign
bitwise_and, bitwise_or         = (constant(f, f.__name__) for f in (np.bitwise_and, np.bitwise_or))
bitwise_xor, bitwise_not        = constant(np.bitwise_xor), constant(np.invert, "bitwise_not")
isposinf, isneginf              = constant(np.isposinf), constant(np.isneginf)
# fmt: on


def rsqrt(input):
    """1 / sqrt(input)"""
    return ops.reciprocal(ops.sqrt(input))


def whole(row):
    """A rounding function: integers are whole already."""
    def rounded(input):
        return row(input) if input.dtype.kind == "f" else ops.clone(input)
    rounded.__name__ = rounded.__qualname__ = row.name
    rounded.__doc__ = f"{row.name} of each element; the derivative is 0."
    return rounded


floor, ceil, trunc = whole(ops.floor), whole(ops.ceil), whole(ops.trunc)
fix = trunc


def round(input, *, decimals=0):
    """Nearest number with that many decimals, ties to even; the derivative is 0."""
    if input.dtype.kind == "f":
        return ops.round(input, decimals)
    if decimals:
        raise RuntimeError(f"round: decimals={decimals} needs a floating point tensor, got "
                           f"{input.dtype}: use .float() first")
    return ops.clone(input)


def frac(input):
    """The part behind the point: input - trunc(input)."""
    return input - ops.trunc(floats(input, "frac"))


def remainder(input, other):
    """input - other * floor(input / other): has the sign of other, as Python's %."""
    return ops.remainder(*divisor("remainder", input, other))


def fmod(input, other):
    """input - other * trunc(input / other): has the sign of input, as C's fmod."""
    return ops.fmod(*divisor("fmod", input, other))


def floor_divide(input, other):
    """floor(input / other); the derivatives are 0."""
    return ops.floor_divide(*divisor("floor_divide", input, other))


def lerp(input, end, weight):
    """input + weight * (end - input); weight is a number or a tensor."""
    if input.dtype != end.dtype:
        raise RuntimeError(f"lerp: expected one dtype for input and end, got {input.dtype} and "
                           f"{end.dtype}")
    return input + weight * (end - input)


def clamp_min(input, min):
    """input, but at least min."""
    return clamp(input, min=min)


def clamp_max(input, max):
    """input, but at most max."""
    return clamp(input, max=max)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """input with its nans, infs and -infs replaced: by 0 and the dtype's largest and smallest
    number, if nothing else is given."""
    if input.dtype.kind != "f":
        return ops.clone(input)
    limits, values = np.finfo(input.dtype), input.array
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    fixed = ops.where(np.isnan(values), 0.0 if nan is None else nan, input)
    return ops.where(np.isneginf(values), low, ops.where(np.isposinf(values), high, fixed))


def isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """True where |input - other| <= atol + rtol * |other|; carries no gradient."""
    a, b = array(input), array(other)
    if a.dtype != b.dtype:
        raise RuntimeError(f"isclose: {operands((input, other))} have different dtypes, {a.dtype} "
                           f"and {b.dtype}: convert one with .to()")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must not be negative, got {rtol} and {atol}")
    return wrap(np.isclose(a, b, rtol, atol, equal_nan))


def is_floating_point(input):
    """True for tensors of real numbers, which can carry a gradient."""
    return input.dtype.kind == "f"


def result_type(tensor1, tensor2):
    """dtype of an arithmetic operation on both."""
    return dtypes.result_type([array(tensor1), array(tensor2)])


def rdivide(input, other):
    """other // input, for Python's reflected operator."""
    return floor_divide(as_tensor(other), input)


def rremainder(input, other):
    """other % input, for Python's reflected operator."""
    return remainder(other if isinstance(other, Recorded) else as_tensor(other), input)
