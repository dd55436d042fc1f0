"""Activation functions (torch.nn.functional).

The one trick: an activation is written once, as a formula of primitives. Where a formula would
overflow far from 0, the branch that is not taken is kept finite by clamping: `where` sends back
0 * anything, and 0 * inf is nan.
"""

import math
import warnings

from minigrad import functions, ops
from minigrad.arguments import one_dim
from minigrad.engine import describe
from minigrad.functions import clamp, sigmoid, tanh
from minigrad.shaping import chunk, reshape


def in_place(function, input, *options):
    """function(input) written into input; what input was before lives on in a copy."""
    return input.copy_(function(input.clone(), *options))


def relu(input, inplace=False):
    """max(input, 0); the derivative at 0 is 0."""
    return input.relu_() if inplace else ops.relu(input)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, else negative_slope * input."""
    if inplace:
        return in_place(leaky_relu, input, negative_slope)
    return ops.leaky_relu(input, slope=negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha * (exp(input) - 1)."""
    if inplace:
        return in_place(elu, input, alpha)
    return ops.where(input > 0, input, alpha * ops.expm1(clamp(input, max=0)))


def gelu(input, approximate="none"):
    """input * Phi(input), Phi the normal distribution function; "tanh" for its approximation."""
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
        return 0.5 * input * (1 + tanh(inner))
    if approximate != "none":
        raise RuntimeError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))


def silu(input, inplace=False):
    """input * sigmoid(input), also called swish."""
    return in_place(silu, input) if inplace else input * sigmoid(input)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * input)) / beta; the identity where beta * input > threshold."""
    if beta == 1:
        return ops.where(input > threshold, input, ops.softplus(input))
    return ops.where(input * beta > threshold, input, ops.softplus(input * beta) / beta)


def logsigmoid(input):
    """log(sigmoid(input)), computed stably."""
    return -ops.softplus(-input)


def softmax(input, dim=None, dtype=None):
    """exp(input) / sum(exp(input)) along dim: probabilities. (Without dim: see implied_dim.)"""
    dim = implied_dim(input, "softmax") if dim is None else dim
    return functions.softmax(input, dim, dtype)


def log_softmax(input, dim=None, dtype=None):
    """log(softmax(input)) along dim, computed stably. (Without dim: see implied_dim.)"""
    dim = implied_dim(input, "log_softmax") if dim is None else dim
    return functions.log_softmax(input, dim, dtype)


def implied_dim(input, what):
    """PyTorch's old guess of the class dimension, with a warning: 0 of 1 or 3, else 1."""
    dim = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(f"{what} without dim is taken along dim={dim} of shape {tuple(input.shape)}: "
                  f"say which dimension you mean, {what}(x, dim=-1) for the last", stacklevel=3)
    return dim


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """input limited to [min_val, max_val]; at the limits the derivative is 0 (clamp's is 1)."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} cannot be greater than max_val {max_val}")
    if inplace:
        return in_place(hardtanh, input, min_val, max_val)
    inside = (input > min_val) & (input < max_val)
    return ops.where(inside, input, clamp(input.detach(), min_val, max_val))


def relu6(input, inplace=False):
    """input limited to [0, 6]."""
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input, inplace=False):
    """A straight line from 0 at -3 to 1 at 3."""
    return in_place(hardsigmoid, input) if inplace else relu6(input + 3) / 6


def hardswish(input, inplace=False):
    """input * hardsigmoid(input). (Howard et al., 2019)"""
    return in_place(hardswish, input) if inplace else input * relu6(input + 3) / 6


def selu(input, inplace=False):
    """scale * elu(input, alpha), with the two numbers that keep mean 0 and variance 1 from layer
    to layer. (Klambauer et al., 2017)"""
    if inplace:
        return in_place(selu, input)
    return 1.0507009873554804934193349852946 * elu(input, 1.6732632423543772848170429916717)


def celu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha * (exp(input / alpha) - 1). (Barron, 2017)"""
    if alpha == 0:
        raise ZeroDivisionError("celu: alpha cannot be 0")
    if inplace:
        return in_place(celu, input, alpha)
    below = alpha * ops.expm1(clamp(input, max=0) / alpha)
    return ops.where(input > 0, input, below)


def mish(input, inplace=False):
    """input * tanh(softplus(input)). (Misra, 2019)"""
    return in_place(mish, input) if inplace else input * tanh(ops.softplus(input))


def softsign(input):
    """input / (1 + |input|)"""
    return input / (1 + ops.abs(input))


def tanhshrink(input):
    """input - tanh(input)"""
    return input - tanh(input)


def hardshrink(input, lambd=0.5):
    """input, or 0 between -lambd and lambd."""
    return ops.where((input >= -lambd) & (input <= lambd), 0.0, input)


def softshrink(input, lambd=0.5):
    """input moved toward 0 by lambd, and not beyond."""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambda must be greater or equal to 0, but found {lambd}")
    below = ops.where(input < -lambd, input + lambd, 0.0 * input)
    return ops.where(input > lambd, input - lambd, below)


def threshold(input, threshold, value, inplace=False):
    """input where greater than threshold, else value."""
    output = ops.where(input > threshold, input.clone() if inplace else input, float(value))
    return input.copy_(output) if inplace else output


def prelu(input, weight):
    """input where positive, else weight * input: one learned slope, or one for each channel
    (dimension 1). (He et al., 2015)"""
    if weight.ndim > 1:
        raise RuntimeError("prelu: weight must be a number or a vector, got the "
                           f"{describe(weight)}")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise RuntimeError(f"prelu: mismatch of parameter numbers and input channel size: the "
                           f"{describe(weight)} has {weight.numel()}, the {describe(input)} has "
                           f"{channels} channels")
    if weight.numel() > 1:
        weight = reshape(weight, (-1,) + (1,) * (input.ndim - 2))
    elif not input.ndim:
        weight = reshape(weight, ())
    return ops.where(input > 0, input, weight * input)


def glu(input, dim=-1):
    """a * sigmoid(b), where a and b are the halves of input along dim. (Dauphin et al., 2016)"""
    size = input.shape[one_dim(dim, input.ndim)] if input.ndim else 1
    if size % 2:
        raise RuntimeError(f"glu: dimension {dim} of the {describe(input)} must be even to be "
                           "halved")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)


def softmin(input, dim=None, dtype=None):
    """softmax of -input. (Without dim: see implied_dim.)"""
    dim = implied_dim(input, "softmin") if dim is None else dim
    return functions.softmax(-input, dim, dtype)
