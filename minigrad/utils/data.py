"""torch.utils.data by its PyTorch name: the classes of minigrad.data."""

from minigrad.data import (BatchSampler, ConcatDataset, DataLoader, Dataset, RandomSampler, Sampler,
                           SequentialSampler, Subset, SubsetRandomSampler, TensorDataset,
                           WeightedRandomSampler, default_collate, default_convert, random_split)

__all__ = ["BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "RandomSampler", "Sampler",
           "SequentialSampler", "Subset", "SubsetRandomSampler", "TensorDataset",
           "WeightedRandomSampler", "default_collate", "default_convert", "random_split"]
