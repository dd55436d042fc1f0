"""Layers with parameters or state, and activations (torch.nn).

The one trick: a layer is a function of functional.py that remembers its arguments. What is
computed is written there, what is kept is written here.
"""

import math

import numpy as np

from minigrad import dtypes
from minigrad.creation import ones, tensor, zeros
from minigrad.engine import describe, written
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module, Parameter
from minigrad.shaping import flatten
from minigrad.words import Device


def positive(**sizes):
    """Refuses sizes that are not positive whole numbers. (PyTorch makes empty layers of 0.)"""
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{name} must be a positive whole number, got {n!r}")


def fresh(make, shape, dtype, device):
    """A Parameter of shape made by np.empty, np.zeros or np.ones; only floats can be trained."""
    if device is not None:
        Device(device)
    dtype = np.dtype(dtype or dtypes.get_default_dtype())
    if dtype.kind != "f":
        raise TypeError(f"parameters must be floating point, got dtype {dtype}: use float32 or "
                        "float64")
    return Parameter(make(shape, dtype))


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


class BatchNorm1d(Module):
    """Normalizes each of num_features features over the batch: input (N, C) or (N, C, L).

    While training, the running statistics move by `momentum` toward the batch's (momentum=None:
    they are the plain average over all batches); in eval mode they are what normalizes.
    (Ioffe and Szegedy, 2015)
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
                 device=None, dtype=None, *, bias=True):
        positive(num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        n, dtype = num_features, np.dtype(dtype or dtypes.get_default_dtype())
        scale, shift = affine, affine and bias
        self.register_parameter("weight", fresh(np.ones, n, dtype, device) if scale else None)
        self.register_parameter("bias", fresh(np.zeros, n, dtype, device) if shift else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(n, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(n, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)

    def reset_running_stats(self):
        """The running statistics as before the first batch: mean 0, variance 1."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self):
        """Everything as before the first batch."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        if input.ndim not in (2, 3):
            raise ValueError("expected 2D or 3D input (N, C) or (N, C, L), got the "
                             f"{describe(input)}")
        if input.shape[1] != self.num_features:
            raise RuntimeError(f"BatchNorm1d({self.num_features}): the {describe(input)} has "
                               f"{input.shape[1]} features in dimension 1")
        batch, momentum = self.training or self.running_mean is None, self.momentum
        if self.training and self.track_running_stats:
            F.refuse_single(input)  # before anything is counted
            self.num_batches_tracked.array[...] += 1
            written(self.num_batches_tracked)
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        kept = (None, None) if self.training and not self.track_running_stats else (
            self.running_mean, self.running_var)
        return F.batch_norm(input, *kept, self.weight, self.bias, batch, momentum or 0.0, self.eps)

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
                f"affine={self.affine}, bias={self.bias is not None}, "
                f"track_running_stats={self.track_running_stats}")


class LayerNorm(Module):
    """Normalizes each sample over its last dimensions. (Ba, Kiros and Hinton, 2016)"""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
                 dtype=None):
        many = isinstance(normalized_shape, (tuple, list))
        shape = tuple(normalized_shape) if many else (normalized_shape,)
        for n in shape:
            positive(normalized_shape=n)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        scale, shift = elementwise_affine, elementwise_affine and bias
        self.register_parameter("weight", fresh(np.ones, shape, dtype, device) if scale else None)
        self.register_parameter("bias", fresh(np.zeros, shape, dtype, device) if shift else None)

    def reset_parameters(self):
        """weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (f"{self.normalized_shape}, eps={self.eps}, "
                f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}")


class Flatten(Module):
    """Joins dimensions start_dim to end_dim: (N, 8, 8) becomes (N, 64)."""

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


# --- activations: the functions of functional.py, as modules -------------------------------------

class Activation(Module):
    """A function without parameters; `options` names the attributes it is called with."""

    function = staticmethod(F.relu)
    options = ()

    def forward(self, input):
        return self.function(input, **{name: getattr(self, name) for name in self.options})

    def extra_repr(self):
        shown = [name for name in self.options if name != "inplace" or self.inplace]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)


class ReLU(Activation):
    """max(x, 0)"""

    options = ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return F.relu(input, self.inplace)


class Tanh(Activation):
    """tanh(x)"""

    function = staticmethod(F.tanh)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))"""

    function = staticmethod(F.sigmoid)


class LogSigmoid(Activation):
    """log(sigmoid(x))"""

    function = staticmethod(F.logsigmoid)


class LeakyReLU(Activation):
    """x where positive, else negative_slope * x. (Maas et al., 2013)"""

    function, options = staticmethod(F.leaky_relu), ("negative_slope", "inplace")

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(Activation):
    """x where positive, else alpha * (exp(x) - 1). (Clevert et al., 2016)"""

    function, options = staticmethod(F.elu), ("alpha", "inplace")

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha, self.inplace = alpha, inplace


class GELU(Activation):
    """x * Phi(x); approximate="tanh" for its older approximation. (Hendrycks and Gimpel, 2016)"""

    function, options = staticmethod(F.gelu), ("approximate",)

    def __init__(self, approximate="none"):
        self.approximate = approximate


class SiLU(Activation):
    """x * sigmoid(x)"""

    function, options = staticmethod(F.silu), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x > threshold."""

    function, options = staticmethod(F.softplus), ("beta", "threshold")

    def __init__(self, beta=1.0, threshold=20.0):
        self.beta, self.threshold = beta, threshold


class Softmax(Activation):
    """exp(x) / sum(exp(x)) along dim"""

    function, options = staticmethod(F.softmax), ("dim",)

    def __init__(self, dim=None):
        self.dim = dim


class LogSoftmax(Activation):
    """log(softmax(x)) along dim"""

    function, options = staticmethod(F.log_softmax), ("dim",)

    def __init__(self, dim=None):
        self.dim = dim


class Identity(Module):
    """Its input, unchanged. Takes and ignores any arguments."""

    def __init__(self, *args, **kwargs):
        pass

    def forward(self, input):
        return input
