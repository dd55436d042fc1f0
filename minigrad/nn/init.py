"""Initial values for parameters, in place (torch.nn.init)."""

import math

import numpy as np

from minigrad import random
from minigrad.engine import Recorded, describe, written


def filled(tensor, values):
    if not isinstance(tensor, Recorded):
        raise TypeError(f"nn.init fills a Tensor in place, got {type(tensor).__name__}")
    tensor.array[...] = values
    written(tensor)
    return tensor


def drawn(tensor, draw, generator):
    """tensor filled by draw(generator, shape)."""
    if isinstance(tensor, Recorded) and tensor.dtype.kind != "f":
        raise TypeError(f"random initial values are real numbers, but the {describe(tensor)} has "
                        f"dtype {tensor.dtype}: use .float() or .double()")
    return filled(tensor, draw(generator or random.generator(), tensor.shape))


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform on [a, b)."""
    if not a <= b:
        raise RuntimeError(f"uniform_ expects a <= b, got a={a}, b={b}")
    return drawn(tensor, lambda rng, shape: rng.uniform(a, b, shape), generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    if not std >= 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    return drawn(tensor, lambda rng, shape: rng.normal(mean, std, shape), generator)


def constant_(tensor, val):
    """Every element val."""
    return filled(tensor, val)


def zeros_(tensor):
    """Every element 0."""
    return filled(tensor, 0)


def ones_(tensor):
    """Every element 1."""
    return filled(tensor, 1)


def eye_(tensor):
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ needs a tensor with 2 dimensions, got the {describe(tensor)}")
    return filled(tensor, np.eye(*tensor.shape))


def fans(tensor):
    """(fan_in, fan_out): how many inputs an output sums over, how many outputs an input feeds."""
    if tensor.ndim < 2:
        raise ValueError("fan in and fan out need at least 2 dimensions, got the "
                         f"{describe(tensor)}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def calculate_gain(nonlinearity, param=None):
    """Factor by which a nonlinearity shrinks a signal's deviation, to be made up for."""
    gains = {"linear": 1, "conv1d": 1, "conv2d": 1, "sigmoid": 1, "tanh": 5 / 3,
             "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in gains:
        raise ValueError(f"unsupported nonlinearity {nonlinearity!r}: use one of "
                         f"{', '.join(sorted([*gains, 'leaky_relu']))}")
    return gains[nonlinearity]


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform with variance gain**2 * 2 / (fan_in + fan_out). (Glorot and Bengio, 2010, eq. 16)"""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with variance gain**2 * 2 / (fan_in + fan_out). (Glorot and Bengio, 2010)"""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def kaiming_deviation(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform with variance gain**2 / fan. (He et al., 2015, equation 10)"""
    bound = math.sqrt(3) * kaiming_deviation(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with variance gain**2 / fan. (He et al., 2015, equation 10)"""
    return normal_(tensor, 0.0, kaiming_deviation(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """A random matrix with orthonormal rows or columns, times gain. (Saxe et al., 2014)

    More than 2 dimensions count as rows of the first and columns of all others.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs at least 2 dimensions, got the {describe(tensor)}")
    shape = tensor.shape[0], math.prod(tensor.shape[1:])
    normal = (generator or random.generator()).standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diag(r))  # without this, qr prefers some orientations (Mezzadri, 2007)
    q = q if shape[0] >= shape[1] else q.T
    return drawn(tensor, lambda rng, shape: gain * q.reshape(shape), generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal, drawn again wherever a number falls outside [a, b]."""
    if not (std > 0 and a < b and a < mean + 6 * std and b > mean - 6 * std):
        raise ValueError("trunc_normal_ expects std > 0 and a < b with [a, b] within 6 std of the "
                         f"mean, got mean={mean}, std={std}, a={a}, b={b}")

    def within(rng, shape):
        values = np.asarray(rng.normal(mean, std, shape))
        while (outside := (values < a) | (values > b)).any():
            values[outside] = rng.normal(mean, std, outside.sum())
        return values
    return drawn(tensor, within, generator)


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """A normal matrix in which a fraction `sparsity` of each column is 0. (Martens, 2010)"""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_ needs a tensor with 2 dimensions, got the {describe(tensor)}")

    def thinned(rng, shape):
        rank = rng.random(shape).argsort(0)
        return np.where(rank < math.ceil(sparsity * shape[0]), 0, rng.normal(0, std, shape))
    return drawn(tensor, thinned, generator)
