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

    It draws as the numpy.random.Generator in `numpy` does, and has its methods. That one is made
    when first needed: importing numpy.random is a tenth of the time that importing minigrad takes.
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


def seed():
    """Starts the one generator anew from a number nobody chose; returns that number."""
    return default_generator.seed()


def initial_seed():
    """The number that the one generator was started from."""
    return default_generator.initial_seed()


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


# --- draws from given distributions: constants, no gradient ---------------------------------------

def normal(mean=0.0, std=1.0, size=None, *, dtype=None, requires_grad=False, generator=None,
           device=None):
    """Normal with mean and std: numbers and a size, or a tensor for either (or both), which then
    gives the size."""
    m, s = array(mean), array(std)
    if (np.asarray(s) < 0).any():
        raise RuntimeError(f"normal expects all elements of std >= 0.0, got {std}")
    if np.ndim(m) or np.ndim(s) or isinstance(m, np.ndarray) or isinstance(s, np.ndarray):
        if size is not None:
            raise TypeError(f"normal: mean and std of shapes {np.shape(m)} and {np.shape(s)} give "
                            "the size; leave size out")
        size = np.broadcast_shapes(np.shape(m), np.shape(s))
        dtype = dtype or (m if isinstance(m, np.ndarray) else s).dtype
    elif size is None:
        raise TypeError("normal: the size is missing: normal(mean, std, size) with numbers, or "
                        "tensors for mean or std")
    rng = source(generator, device)
    values = rng.standard_normal(asked_shape((), size)) * s + m
    return made(values, real(dtype), requires_grad)


def bernoulli(input, p=None, *, generator=None):
    """1 with the probability that stands in input (or with probability p), else 0; of input's
    shape and dtype."""
    chance = array(input) if p is None else np.broadcast_to(array(p), input.shape)
    if p is None and input.dtype.kind != "f":
        raise RuntimeError(f"bernoulli: probabilities must be real numbers, got {input.dtype}")
    if chance.size and not (0 <= chance.min() and chance.max() <= 1):
        raise RuntimeError("bernoulli expects probabilities between 0 and 1, got "
                           f"{chance.min()} to {chance.max()}")
    return made(source(generator, None).random(chance.shape) < chance, input.dtype, False)


def multinomial(input, num_samples, replacement=False, *, generator=None):
    """num_samples indices drawn with probabilities proportional to input: a vector, or a matrix of
    one distribution per row. int64, of shape (num_samples,) or (rows, num_samples)."""
    weights = np.asarray(array(input))
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f":
        raise RuntimeError("multinomial: prob_dist must be 1 or 2 dim and of real numbers, got "
                           f"shape {weights.shape}, {weights.dtype}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples, got {num_samples}")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise RuntimeError("multinomial: probability tensor contains either inf, nan or element "
                           "< 0")
    possible = (weights > 0).sum(axis=-1)
    if weights.size and (possible == 0).any():
        raise RuntimeError("multinomial: invalid distribution (sum of probabilities <= 0)")
    if not replacement and weights.size and num_samples > possible.min():
        raise RuntimeError(f"multinomial: cannot sample {num_samples} different ones of "
                           f"{possible.min()} with a probability above 0: use replacement=True")
    rng, shape = source(generator, None), (*weights.shape[:-1], num_samples)
    if replacement:
        edges = np.cumsum(weights.astype(np.float64), axis=-1)
        drawn = (1 - rng.random(shape)) * edges[..., -1:]  # above 0: an empty stretch is never hit
        rows = [np.searchsorted(*row) for row in zip(np.atleast_2d(edges), np.atleast_2d(drawn))]
        return made(np.reshape(rows, shape), np.int64, False)
    # The first of several exponential waiting times comes from i with probability w[i] / sum(w):
    # their order is a draw without replacement.
    with np.errstate(divide="ignore"):
        waiting = rng.standard_exponential(weights.shape) / weights
    return made(np.argsort(waiting, axis=-1)[..., :num_samples], np.int64, False)
