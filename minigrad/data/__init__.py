"""Data: map-style datasets and loaders as in PyTorch, tables for training, data sets by name."""

from minigrad.data.builtin import digits, iris, load, moons, names, spirals, xor
from minigrad.data.csvfile import TableError
from minigrad.data.dataset import (ConcatDataset, DataLoader, Dataset, Subset, TensorDataset,
                                   default_collate, default_convert, random_split)
from minigrad.data.sampler import (BatchSampler, RandomSampler, Sampler, SequentialSampler,
                                   SubsetRandomSampler, WeightedRandomSampler)
from minigrad.data.table import Column, Schema, Table, read_table
from minigrad.data.wordlist import words

__all__ = [
    "BatchSampler", "Column", "ConcatDataset", "DataLoader", "Dataset", "RandomSampler",
    "Sampler", "Schema", "SequentialSampler", "Subset", "SubsetRandomSampler", "Table",
    "TableError", "TensorDataset", "WeightedRandomSampler", "default_collate",
    "default_convert", "digits", "iris", "load", "moons", "names", "random_split", "read_table",
    "spirals", "words", "xor",
]
