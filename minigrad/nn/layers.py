"""Layers with parameters or state (torch.nn).

The one trick: a layer is a function of functional.py that remembers its arguments. What is
computed is written there, what is kept is written here.
"""

import math

import numpy as np

from minigrad.arguments import one_dim
from minigrad.engine import written
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.module import Module
from minigrad.shaping import flatten, reshape


class Linear(Module):
    """x @ weight.T + bias. weight (out_features, in_features) and bias (out_features,) start
    uniform on +-1/sqrt(in_features), as in PyTorch."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        positive(in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = fresh(np.empty, (out_features, in_features), dtype, device)
        bias = fresh(np.empty, out_features, dtype, device) if bias else None
        self.register_parameter("bias", bias)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in_features)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input):
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self):
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={self.bias is not None}")


class Embedding(Module):
    """A learned row of embedding_dim numbers for each of num_embeddings integers; it starts
    normal(0, 1).

    The row padding_idx stands for "nothing here": it starts at 0 and gets no gradient.
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, device=None, dtype=None):
        positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = fresh(np.empty, (num_embeddings, embedding_dim), dtype, device)
        self.padding_idx = F.padding_row(padding_idx, num_embeddings)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the rows anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0
            written(self.weight)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """While training: zeroes elements with probability p, scales the others by 1 / (1 - p).
    (Srivastava et al., 2014)"""

    def __init__(self, p=0.5, inplace=False):
        self.p, self.inplace = F.probability(p), inplace

    def forward(self, input):
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """While training: zeroes whole channels of (N, C, H, W) with probability p. (Tompson et al.,
    2014)"""

    def forward(self, input):
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Flatten(Module):
    """Joins dimensions start_dim to end_dim: (N, 8, 8) becomes (N, 64)."""

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """One dimension as several: Unflatten(1, (8, 8)) makes (N, 8, 8) of (N, 64)."""

    def __init__(self, dim, unflattened_size):
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input):
        dim = one_dim(self.dim, input.ndim)
        shape = (*input.shape[:dim], *self.unflattened_size, *input.shape[dim + 1:])
        return reshape(input, shape)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Its input, unchanged. Takes and ignores any arguments."""

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, input):
        return input
