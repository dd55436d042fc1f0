"""torch.utils.data by its PyTorch name: the classes of minigrad.data."""

from minigrad.data import DataLoader, Dataset, Subset, TensorDataset, default_collate, random_split

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "default_collate", "random_split"]
