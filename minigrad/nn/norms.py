"""Normalization layers (torch.nn).

The one trick: all of them subtract a mean and divide by a deviation, and differ in which numbers
these are taken over: the batch for each feature (BatchNorm), the features of each sample
(LayerNorm, RMSNorm) or groups of them (GroupNorm).
"""

import numpy as np

from minigrad import dtypes
from minigrad.beside import NotCompilable, beside
from minigrad.creation import ones, tensor, zeros
from minigrad.engine import describe, mode
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.module import Module


def shape_tuple(normalized_shape):
    """A shape given as a number or a sequence of positive numbers."""
    many = isinstance(normalized_shape, (tuple, list))
    shape = tuple(normalized_shape) if many else (normalized_shape,)
    for n in shape:
        positive(normalized_shape=n)
    return shape


class Norm(Module):
    """Base of normalizations with a weight and a bias, either of which may be None."""

    def reset_parameters(self):
        """weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


def count_up(x, count):
    """One batch more."""
    count[...] += 1


class BatchNorm(Norm):
    """What BatchNorm1d and BatchNorm2d have in common: each of num_features features (dimension 1)
    is normalized over the batch.

    While training, the running statistics move by `momentum` toward the batch's (momentum=None:
    they are the plain average over all batches); in eval mode they are what normalizes.
    (Ioffe and Szegedy, 2015)
    """

    forms = {}

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
        super().reset_parameters()

    def forward(self, input):
        if input.ndim not in self.forms:
            raise ValueError(f"expected {' or '.join(f'{n}D' for n in self.forms)} input "
                             f"{' or '.join(self.forms.values())}, got the {describe(input)}")
        if input.shape[1] != self.num_features:
            raise RuntimeError(f"{type(self).__name__}({self.num_features}): the "
                               f"{describe(input)} has {input.shape[1]} features in dimension 1")
        batch, momentum = self.training or self.running_mean is None, self.momentum
        if self.training and self.track_running_stats:
            F.refuse_single(input)  # before anything is counted
            beside(count_up, input, self.num_batches_tracked)
            if momentum is None:
                if mode.tracing is not None:
                    raise NotCompilable(
                        f"{type(self).__name__}(momentum=None) has another momentum in every "
                        "step, which a compiled step cannot follow; train it eagerly, or give it "
                        "a momentum")
                momentum = 1 / self.num_batches_tracked.item()
        kept = (None, None) if self.training and not self.track_running_stats else (
            self.running_mean, self.running_var)
        return F.batch_norm(input, *kept, self.weight, self.bias, batch, momentum or 0.0, self.eps)

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
                f"affine={self.affine}, bias={self.bias is not None}, "
                f"track_running_stats={self.track_running_stats}")


class BatchNorm1d(BatchNorm):
    """Batch normalization of input (N, C) or (N, C, L). See BatchNorm."""

    forms = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(BatchNorm):
    """Batch normalization of images (N, C, H, W): one mean and variance for each channel. See
    BatchNorm."""

    forms = {4: "(N, C, H, W)"}


class LayerNorm(Norm):
    """Normalizes each sample over its last dimensions. (Ba, Kiros and Hinton, 2016)"""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
                 dtype=None):
        shape = shape_tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        scale, shift = elementwise_affine, elementwise_affine and bias
        self.register_parameter("weight", fresh(np.ones, shape, dtype, device) if scale else None)
        self.register_parameter("bias", fresh(np.zeros, shape, dtype, device) if shift else None)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (f"{self.normalized_shape}, eps={self.eps}, "
                f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}")


class RMSNorm(Module):
    """Divides each sample by the root of its mean square over its last dimensions.
    (Zhang and Sennrich, 2019)"""

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None,
                 dtype=None):
        shape = shape_tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        weight = fresh(np.ones, shape, dtype, device) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self):
        """weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return (f"{self.normalized_shape}, eps={self.eps}, "
                f"elementwise_affine={self.elementwise_affine}")


class GroupNorm(Norm):
    """Normalizes each sample over each of num_groups groups of its num_channels channels
    (dimension 1). (Wu and He, 2018)"""

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None,
                 *, bias=True):
        positive(num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups "
                             f"({num_groups})")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        scale, shift = affine, affine and bias
        n = num_channels
        self.register_parameter("weight", fresh(np.ones, n, dtype, device) if scale else None)
        self.register_parameter("bias", fresh(np.zeros, n, dtype, device) if shift else None)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
                f"bias={self.bias is not None}")
