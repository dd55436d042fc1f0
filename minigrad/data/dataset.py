"""Datasets, splits and batches, under PyTorch's names (torch.utils.data).

A dataset is anything with a length and an index: `len(dataset)` and `dataset[i]`. A loader walks
over shuffled indices and glues samples into batches. The one trick: when the samples are rows of
tensors, a batch needs no gluing; it is the tensor indexed once with all row numbers of the batch.
"""

import bisect
import itertools
import math
import warnings

import numpy as np

from minigrad import dtypes, random, shaping
from minigrad.creation import tensor
from minigrad.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from minigrad.engine import Recorded, wrap


class Dataset:
    """A map-style dataset: subclasses define `__getitem__(index)` and `__len__()`.

    PyTorch: torch.utils.data.Dataset.
    """

    def __add__(self, other):
        return ConcatDataset([self, other])

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} is a Dataset without __getitem__(index)"
                                  ": define it to return one sample")


class TensorDataset(Dataset):
    """Rows of tensors: sample i is `(tensors[0][i], tensors[1][i], ...)`.

    All tensors have the same first size; NumPy arrays are copied into tensors.
    Raises AssertionError if the first sizes differ. PyTorch: torch.utils.data.TensorDataset.
    """

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor, e.g. TensorDataset(x, y)")
        for t in tensors:
            if not isinstance(t, (Recorded, np.ndarray)):
                raise TypeError(f"TensorDataset takes tensors, got {type(t).__name__}; "
                                "make it one with minigrad.tensor(...)")
            if t.ndim == 0:
                raise ValueError("TensorDataset takes tensors with rows, got one of shape ()")
        if len({t.shape[0] for t in tensors}) > 1:
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
            raise AssertionError(f"Size mismatch between tensors: shapes {shapes}; the first size "
                                 "(the number of samples) must be the same in all of them")
        self.tensors = tuple(t if isinstance(t, Recorded) else tensor(t) for t in tensors)

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in that order. PyTorch: torch.utils.data.Subset."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index):
        if isinstance(index, (list, np.ndarray)):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """Several datasets one after the other. PyTorch: torch.utils.data.ConcatDataset."""

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one dataset, e.g. ConcatDataset([a, b])")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index):
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is out of range for a ConcatDataset of {n} samples")
        which = bisect.bisect_right(self.cumulative_sizes, index % n)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index % n - before]

    def __len__(self):
        return self.cumulative_sizes[-1]


def rows(t, indices):
    """t[indices] for an integer array; on plain data without the cost of a record."""
    return t[indices] if t.requires_grad else wrap(t.array[indices])


def chosen_generator(generator, seed):
    """The numpy.random.Generator asked for, or None for the one of `minigrad.manual_seed`."""
    if generator is not None and seed is not None:
        raise ValueError("give generator= or seed=, not both")
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"seed must be an integer of at least 0, got seed={seed!r}")
        return np.random.default_rng(seed)
    if generator is not None and not isinstance(
            generator, (random.Generator, np.random.Generator)):
        raise TypeError("generator must be a numpy.random.Generator, got "
                        f"{type(generator).__name__}; numpy.random.default_rng(n) makes one")
    return generator


def random_split(dataset, lengths, generator=None, *, seed=None):
    """`dataset` cut at random into Subsets that do not overlap.

    lengths: numbers of samples that add up to len(dataset), or fractions that add up to 1 (what
    rounding leaves over goes to the splits in turn). Drawn from `minigrad.random.generator()`
    unless a generator or a seed is given.
    Raises ValueError for other lengths. PyTorch: torch.utils.data.random_split.
    """
    n, lengths = len(dataset), list(lengths)
    generator = chosen_generator(generator, seed)
    if math.isclose(sum(lengths), 1):
        lengths = lengths_from_fractions(n, lengths)
    if any(isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 0 for k in lengths):
        raise ValueError(f"lengths must be whole numbers that add up to {n}, or fractions that "
                         f"add up to 1, got {lengths}")
    if sum(lengths) != n:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset: "
                         f"{lengths} add up to {sum(lengths)}, the dataset has {n} samples")
    order = (generator or random.generator()).permutation(n)
    ends = np.cumsum([0, *lengths])
    return [Subset(dataset, order[a:b].tolist()) for a, b in zip(ends, ends[1:])]


def lengths_from_fractions(n, fractions):
    """Numbers of samples for fractions of n; the remainder is dealt out one by one."""
    for i, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {i} is not between 0 and 1: {fraction}")
    lengths = [math.floor(n * fraction) for fraction in fractions]
    for i in range(n - sum(lengths)):
        lengths[i % len(lengths)] += 1
    for i, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"Length of split at index {i} is 0. This might result in an empty "
                          f"dataset: {fractions[i]} of {n} samples", stacklevel=3)
    return lengths


class DataLoader:
    """Batches of a dataset: `for x, y in DataLoader(dataset, batch_size=32, shuffle=True): ...`

    batch_size      None gives single samples instead of batches
    shuffle         a new order in every pass, drawn from `minigrad.random.generator()`; with `seed`
                    (or a `generator`) from one of the loader's own, so that the run can be repeated
    sampler         the order instead of `shuffle`: anything that gives indices, see sampler.py
    batch_sampler   gives lists of indices, instead of all of these
    collate_fn      makes a batch from a list of samples; by default `default_collate`
    drop_last       leave out the last batch if it is smaller than the others

    num_workers, pin_memory and the other options that speed up loading from disk change nothing
    here: samples are taken in this process. A batch of a TensorDataset is a list of tensors.
    PyTorch: torch.utils.data.DataLoader.
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, sampler=None, batch_sampler=None,
                 num_workers=0, collate_fn=None, pin_memory=False, drop_last=False, timeout=0,
                 worker_init_fn=None, multiprocessing_context=None, generator=None, *,
                 prefetch_factor=None, persistent_workers=False, seed=None):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"DataLoader needs a dataset with a length and an index, but "
                            f"{type(dataset).__name__} lacks __len__ or __getitem__; wrap tensors "
                            "as TensorDataset(x, y)")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle: the sampler "
                             "decides the order")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler or drop_last):
            raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, "
                             "sampler, and drop_last: it decides all of them")
        if batch_size is None and drop_last:
            raise ValueError("batch_size=None gives single samples and is mutually exclusive with "
                             "drop_last")
        if batch_size is not None and (isinstance(batch_size, bool) or batch_size < 1
                                       or not isinstance(batch_size, (int, np.integer))):
            raise ValueError("batch_size should be a positive integer value, but got "
                             f"batch_size={batch_size!r}")
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, got {num_workers}")
        self.generator = chosen_generator(generator, seed)
        if shuffle and len(dataset) == 0:
            raise ValueError("the dataset is empty (num_samples=0): there is nothing to shuffle")
        if sampler is None:
            sampler = (RandomSampler(dataset, generator=self.generator) if shuffle else
                       SequentialSampler(dataset))
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_size = int(batch_size)
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset, self.batch_size, self.shuffle = dataset, batch_size, bool(shuffle)
        self.sampler, self.batch_sampler, self.drop_last = sampler, batch_sampler, bool(drop_last)
        self.num_workers, self.collate_fn = num_workers, collate_fn

    def __len__(self):
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self):
        if self.batch_sampler is None:
            for i in self.sampler:
                yield (self.collate_fn or default_convert)(self.dataset[i])
            return
        for indices in self.batch_sampler:
            yield batch(self.dataset, indices, self.collate_fn)


def batch(dataset, indices, collate_fn=None):
    """The samples of `dataset` at `indices` (a list) as one batch."""
    if collate_fn is None:
        whole, where = dataset, indices
        while type(whole).__getitem__ is Subset.__getitem__:
            whole, where = whole.dataset, np.asarray(whole.indices, dtype=np.int64)[where]
        if type(whole).__getitem__ is TensorDataset.__getitem__:
            return [rows(t, np.asarray(where, dtype=np.int64)) for t in whole.tensors]
    return (collate_fn or default_collate)([dataset[i] for i in indices])


def default_convert(sample):
    """One sample with its arrays as tensors; the rest as it is.

    PyTorch: torch.utils.data.default_convert.
    """
    if isinstance(sample, (np.ndarray, np.number)):
        return tensor(sample)
    if isinstance(sample, dict):
        return {key: default_convert(value) for key, value in sample.items()}
    if isinstance(sample, (tuple, list)) and not hasattr(sample, "_fields"):
        return [default_convert(value) for value in sample]
    return sample


def default_collate(samples):
    """A list of samples as one batch: numbers and arrays become a tensor with one row per sample.

    Tuples, lists and dicts are batched entry by entry (a tuple gives a list, as in PyTorch);
    strings stay a list. RuntimeError if shapes or lengths differ, TypeError for other types.
    PyTorch: torch.utils.data.default_collate.
    """
    first = samples[0]
    if isinstance(first, (Recorded, np.ndarray)):
        return shaping.stack([s if isinstance(s, Recorded) else tensor(s) for s in samples])
    if isinstance(first, (bool, int, float, np.generic)) and not isinstance(first, str):
        dtype = dtypes.get_default_dtype() if type(first) is float else None
        return tensor(np.array(samples), dtype=dtype)
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, dict):
        if any(not isinstance(s, dict) or s.keys() != first.keys() for s in samples):
            raise RuntimeError("the samples of a batch are dicts with different keys; first "
                               f"{sorted(map(str, first))}")
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        lengths = {len(s) for s in samples}
        if len(lengths) > 1:
            raise RuntimeError("each element in list of batch should be of equal size, got "
                               f"samples with {' and '.join(map(str, sorted(lengths)))} entries")
        columns = [default_collate(list(column)) for column in zip(*samples)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError("a batch of samples must contain tensors, arrays, numbers, dicts or lists; "
                    f"found {type(first).__name__}. Convert it in __getitem__ or pass collate_fn=")
