"""Data: map-style datasets and loaders as in PyTorch, tables for training, data sets by name."""

from minigrad.data.builtin import digits, iris, load, moons, names, spirals, xor
from minigrad.data.csvfile import TableError
from minigrad.data.dataset import (DataLoader, Dataset, Subset, TensorDataset, default_collate,
                                   random_split)
from minigrad.data.table import Column, Schema, Table, read_table

__all__ = [
    "Column", "DataLoader", "Dataset", "Schema", "Subset", "Table", "TableError", "TensorDataset",
    "default_collate", "digits", "iris", "load", "moons", "names", "random_split", "read_table",
    "spirals", "xor",
]
