"""Layers with parameters or state, activations, and containers (torch.nn)."""

import itertools
import math

import numpy as np

from minigrad import dtypes
from minigrad.arguments import as_tensor
from minigrad.creation import ones, tensor, zeros
from minigrad.engine import Recorded, describe, written
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.module import Module, Parameter
from minigrad.shaping import flatten, stack


def positive(**sizes):
    """Refuses sizes that are not positive whole numbers."""
    for name, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{name} must be a positive whole number, got {n!r}")


class Linear(Module):
    """x @ weight.T + bias. weight (out_features, in_features) and bias (out_features,) start uniform on
    +-1/sqrt(in_features), as in PyTorch."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        positive(in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        dtype = dtype or dtypes.get_default_dtype()
        self.weight = Parameter(np.empty((out_features, in_features), dtype))
        self.bias = Parameter(np.empty(out_features, dtype)) if bias else None
        if self.bias is None:
            self.register_parameter("bias", None)
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
    """A learned row of embedding_dim numbers for each of num_embeddings integers, starting normal(0, 1)."""

    def __init__(self, num_embeddings, embedding_dim, device=None, dtype=None):
        positive(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim),
                                         dtype or dtypes.get_default_dtype()))
        init.normal_(self.weight)

    def forward(self, input):
        return F.embedding(input, self.weight)

    def extra_repr(self):
        return f"{self.num_embeddings}, {self.embedding_dim}"


class Dropout(Module):
    """While training: zeroes elements with probability p, scales the others by 1 / (1 - p)."""

    def __init__(self, p=0.5, inplace=False):
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p

    def forward(self, input):
        return F.dropout(input, self.p, self.training)

    def extra_repr(self):
        return f"p={self.p}, inplace=False"


class BatchNorm1d(Module):
    """Normalizes each of num_features features over the batch: input (N, C) or (N, C, L).

    In eval mode the running statistics are used. momentum=None makes them a plain average.
    (Ioffe and Szegedy, 2015)
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True,
                 device=None, dtype=None):
        positive(num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        dtype = dtype or dtypes.get_default_dtype()
        for name, value in (("weight", np.ones), ("bias", np.zeros)):
            self.register_parameter(name, Parameter(value(num_features, dtype)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)

    def forward(self, input):
        if input.ndim not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (N, C) or (N, C, L), got the {describe(input)}")
        if input.shape[1] != self.num_features:
            raise RuntimeError(f"BatchNorm1d({self.num_features}): the {describe(input)} has "
                               f"{input.shape[1]} features in dimension 1")
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.array[...] += 1
            written(self.num_batches_tracked)
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
                            self.training or not self.track_running_stats, momentum, self.eps)

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"track_running_stats={self.track_running_stats}")


class LayerNorm(Module):
    """Normalizes each sample over its last dimensions. (Ba, Kiros and Hinton, 2016)"""

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None,
                 dtype=None):
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        dtype = dtype or dtypes.get_default_dtype()
        self.register_parameter("weight", Parameter(np.ones(shape, dtype)) if elementwise_affine else None)
        self.register_parameter("bias", Parameter(np.zeros(shape, dtype))
                                if elementwise_affine and bias else None)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class Flatten(Module):
    """Joins dimensions start_dim to end_dim: (N, 8, 8) becomes (N, 64)."""

    def __init__(self, start_dim=1, end_dim=-1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


# --- activations: the functions of functional.py, as modules ------------------------------------------

class Activation(Module):
    """A function without parameters; its options are attributes and show in its repr."""

    function = staticmethod(F.relu)
    options = {}
    shown = ()

    def __init__(self, **options):
        for name, value in options.items():
            setattr(self, name, value)

    def forward(self, input):
        return self.function(input, **{name: getattr(self, name) for name in self.options})

    def extra_repr(self):
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown or self.options)


class ReLU(Activation):
    """max(x, 0)"""

    function = staticmethod(F.relu)

    def __init__(self, inplace=False):
        self.inplace = inplace

    def forward(self, input):
        return input.relu_() if self.inplace else F.relu(input)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Tanh(Activation):
    """tanh(x)"""

    function = staticmethod(F.tanh)


class Sigmoid(Activation):
    """1 / (1 + exp(-x))"""

    function = staticmethod(F.sigmoid)


class LeakyReLU(Activation):
    """x where positive, else negative_slope * x"""

    function, options = staticmethod(F.leaky_relu), ("negative_slope",)

    def __init__(self, negative_slope=0.01, inplace=False):
        self.negative_slope = negative_slope


class ELU(Activation):
    """x where positive, else alpha * (exp(x) - 1)"""

    function, options = staticmethod(F.elu), ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha = alpha


class GELU(Activation):
    """x * Phi(x)"""

    function, options = staticmethod(F.gelu), ("approximate",)

    def __init__(self, approximate="none"):
        self.approximate = approximate


class SiLU(Activation):
    """x * sigmoid(x)"""

    function = staticmethod(F.silu)

    def __init__(self, inplace=False):
        pass


class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta"""

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


# --- containers -----------------------------------------------------------------------------------

class Sequential(Module):
    """Modules applied one after another: Sequential(a, b) or Sequential(OrderedDict(first=a, ...))."""

    def __init__(self, *modules):
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], dict) else enumerate(modules)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input

    def append(self, module):
        """Adds a module at the end; returns self."""
        self.add_module(free_name(self), module)
        return self

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)._from(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[at(self, index)]

    @classmethod
    def _from(cls, modules):
        return Sequential(modules) if modules else Sequential()

    def __setitem__(self, index, module):
        self.add_module(list(self._modules)[at(self, index)], module)

    def __delitem__(self, index):
        delattr(self, list(self._modules)[at(self, index)])


def at(container, index):
    """A position in a container, or PyTorch's IndexError."""
    if not -len(container) <= index < len(container):
        raise IndexError(f"index {index} is out of range: {type(container).__name__} has "
                         f"{len(container)} modules")
    return index


def free_name(container):
    return next(str(n) for n in itertools.count(len(container)) if str(n) not in container._modules)


class ModuleList(Module):
    """A list of modules whose parameters are found."""

    def __init__(self, modules=()):
        self.extend(modules)

    def append(self, module):
        """Adds a module at the end; returns self."""
        self.add_module(free_name(self), module)
        return self

    def extend(self, modules):
        """Adds several modules at the end; returns self."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index, module):
        """Adds a module before position index."""
        members = list(self._modules.values())
        members.insert(index, module)
        for name in list(self._modules):
            delattr(self, name)
        self.extend(members)

    __len__, __iter__ = Sequential.__len__, Sequential.__iter__
    __setitem__, __delitem__ = Sequential.__setitem__, Sequential.__delitem__

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ModuleList(list(self._modules.values())[index])
        return list(self._modules.values())[at(self, index)]


ACTIVATIONS = {"relu": ReLU, "tanh": Tanh, "sigmoid": Sigmoid, "leaky_relu": LeakyReLU, "elu": ELU,
               "gelu": GELU, "silu": SiLU, "softplus": Softplus}


class MLP(Sequential):
    """A multilayer perceptron: MLP(2, [16, 16, 1]) has layers 2-16-16-1, an activation after all but
    the last. activation: a name (relu, tanh, ...) or a Module class. Inputs are tensors, arrays or
    plain lists of n_in numbers, one sample or a batch."""

    def __init__(self, n_in, n_outs, activation="relu"):
        n_outs = [n_outs] if isinstance(n_outs, int) else list(n_outs)
        if not n_outs:
            raise ValueError("MLP needs at least one layer: MLP(n_in, [hidden, ..., n_out])")
        make = ACTIVATIONS.get(activation) if isinstance(activation, str) else activation
        if make is None:
            raise ValueError(f"unknown activation {activation!r}: use one of {', '.join(ACTIVATIONS)}, or a "
                             "Module class")
        sizes = [n_in, *n_outs]
        layers = []
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            layers += [Linear(fan_in, fan_out), make()]
        super().__init__(*layers[:-1])
        self.sizes = tuple(sizes)

    def forward(self, input):
        if not isinstance(input, Recorded):
            tensors = isinstance(input, (list, tuple)) and any(isinstance(x, Recorded) for x in input)
            input = stack([as_tensor(x) for x in input]) if tensors else as_tensor(np.asarray(input))
            if input.dtype.kind != "f":
                input = input.to(self[0].weight.dtype)
        return super().forward(input)
