"""Randomness: one generator for everything. `minigrad.manual_seed(n)` makes a program repeatable.

The one trick: the generator is reseeded in place, so whoever holds it draws from the new seed too.
"""

import numpy as np

from minigrad import dtypes
from minigrad.arguments import array
from minigrad.creation import asked_shape
from minigrad.engine import wrap
from minigrad.words import Device


class Generator:
    """A source of random numbers of its own (torch.Generator): `Generator().manual_seed(42)`.

    It draws as the numpy.random.Generator in `numpy` does, and has its methods. That one is made when
    first needed: importing numpy.random is a tenth of the time that importing minigrad takes.
    """

    def __init__(self, device="cpu"):
        Device(device)
        self._seed = self._numpy = None

    @property
    def numpy(self):
        """The numpy.random.Generator."""
        if self._numpy is None:
            self._numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self._numpy

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.numpy, name)

    def manual_seed(self, seed):
        """Starts anew from an integer; returns itself."""
        self._seed, self._numpy = int(seed) % 2**64, None
        return self

    def seed(self):
        """Starts anew from a number nobody chose; returns it."""
        self.manual_seed(np.random.SeedSequence().entropy)
        return self._seed

    def initial_seed(self):
        """The number it was started from."""
        return self.seed() if self._seed is None else self._seed


default_generator = Generator()


def generator():
    """The Generator that every layer, shuffle and dropout draws from."""
    return default_generator


def manual_seed(seed):
    """Starts the one generator anew from an integer; returns it."""
    return default_generator.manual_seed(seed)


def source(generator, device):
    """The generator to draw from, after a look at both arguments."""
    if device is not None:
        Device(device)
    if generator is None:
        return default_generator
    if not isinstance(generator, (Generator, np.random.Generator)):
        raise TypeError(f"generator must be a minigrad.Generator, got {type(generator).__name__}: "
                        "minigrad.Generator().manual_seed(n) makes one")
    return generator


def made(values, dtype, requires_grad):
    t = wrap(np.asarray(values, dtype=dtype))
    return t.requires_grad_() if requires_grad else t


def real(dtype):
    """The dtype of real random numbers."""
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    if dtype.kind != "f":
        raise TypeError(f"rand and randn make real numbers, not {dtype}: use randint for whole "
                        "ones")
    return dtype


def rand(*sizes, size=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Uniform on [0, 1): rand(2, 3) or rand((2, 3))."""
    rng, shape, dtype = source(generator, device), asked_shape(sizes, size), real(dtype)
    if dtype == np.float32:  # drawn as such: rounding a float64 could give 1
        return made(rng.random(shape, dtype), dtype, requires_grad)
    return made(rng.random(shape), dtype, requires_grad)


def randn(*sizes, size=None, dtype=None, requires_grad=False, generator=None, device=None):
    """Normal with mean 0 and variance 1: randn(2, 3) or randn((2, 3))."""
    rng, shape = source(generator, device), asked_shape(sizes, size)
    return made(rng.standard_normal(shape), real(dtype), requires_grad)


def randint(low=0, high=None, size=None, *, dtype=dtypes.int64, requires_grad=False,
            generator=None, device=None):
    """Integers from low (included) to high (excluded): randint(high, size) or (low, high,
    size)."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint needs a size: randint(high, size) or randint(low, high, size)")
    if not low < high:
        raise RuntimeError(f"randint expects low < high, got low={low}, high={high}")
    rng, shape = source(generator, device), asked_shape((), size)
    return made(rng.integers(low, high, shape), dtype, requires_grad)


def randperm(n, *, dtype=dtypes.int64, requires_grad=False, generator=None, device=None):
    """The integers 0 to n - 1 in random order."""
    rng, (n,) = source(generator, device), asked_shape((n,), None)
    return made(rng.permutation(n), dtype, requires_grad)


def rand_like(input, *, dtype=None, requires_grad=False, generator=None, device=None):
    """rand of input's shape and dtype."""
    return rand(size=array(input).shape, dtype=dtype or input.dtype, requires_grad=requires_grad,
                generator=generator, device=device)


def randn_like(input, *, dtype=None, requires_grad=False, generator=None, device=None):
    """randn of input's shape and dtype."""
    return randn(size=array(input).shape, dtype=dtype or input.dtype, requires_grad=requires_grad,
                 generator=generator, device=device)
