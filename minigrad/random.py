"""Randomness: one generator for everything. `minigrad.manual_seed(n)` makes a program repeatable."""

import numpy as np

from minigrad import dtypes
from minigrad.engine import wrap
from minigrad.arguments import array, shape_of

_generator = None  # made when first needed: numpy.random is a tenth of the time of an import


def generator():
    """The numpy.random.Generator that every layer, shuffle and dropout draws from."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


the_one = generator  # where an argument is called generator


def manual_seed(seed):
    """Starts the one generator anew from an integer; returns it."""
    global _generator
    _generator = np.random.default_rng(int(seed) % 2**64)
    return _generator


def made(values, dtype, requires_grad):
    t = wrap(np.asarray(values, dtype=dtype or dtypes.get_default_dtype()))
    return t.requires_grad_() if requires_grad else t


def rand(*size, dtype=None, requires_grad=False, generator=None, device=None):
    """Uniform on [0, 1)."""
    rng = generator or the_one()
    return made(rng.random(shape_of(size)), dtype, requires_grad)


def randn(*size, dtype=None, requires_grad=False, generator=None, device=None):
    """Normal with mean 0 and variance 1."""
    rng = generator or the_one()
    return made(rng.standard_normal(shape_of(size)), dtype, requires_grad)


def randint(low, high=None, size=None, *, dtype=dtypes.int64, requires_grad=False, generator=None,
            device=None):
    """Integers from low (included) to high (excluded): randint(high, size) or (low, high, size)."""
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise RuntimeError(f"randint expects low < high, got low={low}, high={high}")
    rng = generator or the_one()
    return made(rng.integers(low, high, shape_of((size,))), dtype, requires_grad)


def randperm(n, *, dtype=dtypes.int64, generator=None, device=None):
    """The integers 0 to n - 1 in random order."""
    return made((generator or the_one()).permutation(n), dtype, False)


def rand_like(input, *, dtype=None, requires_grad=False):
    """rand of input's shape and dtype."""
    return rand(*array(input).shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input, *, dtype=None, requires_grad=False):
    """randn of input's shape and dtype."""
    return randn(*array(input).shape, dtype=dtype or input.dtype, requires_grad=requires_grad)
