"""PyTorch's place for data loading: `from minigrad.utils.data import DataLoader`
(see minigrad.data)."""

from minigrad.utils import data

__all__ = ["data"]
