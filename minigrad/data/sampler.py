"""Samplers: the order in which a DataLoader takes its samples (torch.utils.data).

A sampler is anything that can be walked over and gives indices; a batch sampler gives lists of
them. Those that draw take a generator, by default `minigrad.random.generator()`.
"""

import numpy as np

from minigrad import random
from minigrad.arguments import array


class Sampler:
    """Base of samplers: subclasses define `__iter__`, which yields indices, and `__len__`."""

    def __init__(self, data_source=None):
        pass  # a subclass may hand over its dataset, as in older lessons

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} is a Sampler without __iter__: define it "
                                  "to yield one index after another")


class SequentialSampler(Sampler):
    """0, 1, ... len(data_source) - 1."""

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """All indices in a new random order in every pass; with replacement, num_samples draws."""

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source, self.replacement = data_source, bool(replacement)
        self.generator = generator
        self.num_samples = len(data_source) if num_samples is None else num_samples
        if not isinstance(self.num_samples, int) or self.num_samples < 1:
            raise ValueError("num_samples should be a positive integer value, but got "
                             f"num_samples={self.num_samples!r}")

    def __iter__(self):
        rng, n = self.generator or random.generator(), len(self.data_source)
        if self.replacement:
            return iter(rng.integers(0, n, self.num_samples).tolist())
        passes = -(-self.num_samples // n)  # more samples than there are: several orders in a row
        order = np.concatenate([rng.permutation(n) for _ in range(passes)])
        return iter(order[:self.num_samples].tolist())

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a new random order in every pass."""

    def __init__(self, indices, generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self):
        order = (self.generator or random.generator()).permutation(len(self.indices))
        return iter([int(self.indices[i]) for i in order.tolist()])

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """num_samples indices, i drawn with a probability proportional to weights[i]."""

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        weights = np.asarray(array(weights), dtype=np.float64)
        if weights.ndim != 1 or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise ValueError("weights should be a 1-d sequence of finite numbers of at least 0, "
                             f"not all 0, got shape {weights.shape}")
        if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
            raise ValueError("num_samples should be a positive integer value, but got "
                             f"num_samples={num_samples!r}")
        if not replacement and num_samples > np.count_nonzero(weights):
            raise ValueError(f"cannot draw {num_samples} samples without replacement from "
                             f"{np.count_nonzero(weights)} weights above 0")
        self.weights, self.num_samples = weights, num_samples
        self.replacement, self.generator = bool(replacement), generator

    def __iter__(self):
        rng, p = self.generator or random.generator(), self.weights / self.weights.sum()
        return iter(rng.choice(len(p), self.num_samples, replace=self.replacement, p=p).tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of batch_size indices from another sampler; drop_last leaves out a shorter last one."""

    def __init__(self, sampler, batch_size, drop_last=False):
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, bool(drop_last)

    def __iter__(self):
        indices = list(self.sampler)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield indices[start:start + self.batch_size]

    def __len__(self):
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)
