"""Activations as modules (torch.nn).

The one trick: an activation module is a function of functional.py with the options it is called
with, so a class is its constructor and a line.
"""

import numpy as np

from minigrad.nn import functional as F
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.init import constant_
from minigrad.nn.module import Module


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


class Softmin(Activation):
    """softmax of -x along dim"""

    function, options = staticmethod(F.softmin), ("dim",)

    def __init__(self, dim=None):
        self.dim = dim


class Softsign(Activation):
    """x / (1 + |x|)"""

    function = staticmethod(F.softsign)


class Tanhshrink(Activation):
    """x - tanh(x)"""

    function = staticmethod(F.tanhshrink)


class Mish(Activation):
    """x * tanh(softplus(x)). (Misra, 2019)"""

    function, options = staticmethod(F.mish), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class SELU(Activation):
    """ELU that keeps mean 0 and variance 1 from layer to layer. (Klambauer et al., 2017)"""

    function, options = staticmethod(F.selu), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class CELU(Activation):
    """x where positive, else alpha * (exp(x / alpha) - 1). (Barron, 2017)"""

    function, options = staticmethod(F.celu), ("alpha", "inplace")

    def __init__(self, alpha=1.0, inplace=False):
        self.alpha, self.inplace = alpha, inplace


class Hardtanh(Activation):
    """x limited to [min_val, max_val]"""

    function, options = staticmethod(F.hardtanh), ("min_val", "max_val", "inplace")

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False):
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace


class ReLU6(Activation):
    """x limited to [0, 6]"""

    function, options = staticmethod(F.relu6), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class Hardsigmoid(Activation):
    """A straight line from 0 at -3 to 1 at 3."""

    function, options = staticmethod(F.hardsigmoid), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class Hardswish(Activation):
    """x * hardsigmoid(x). (Howard et al., 2019)"""

    function, options = staticmethod(F.hardswish), ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace


class Hardshrink(Activation):
    """x, or 0 between -lambd and lambd"""

    function, options = staticmethod(F.hardshrink), ("lambd",)

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def extra_repr(self):
        return f"{self.lambd}"


class Softshrink(Activation):
    """x moved toward 0 by lambd, and not beyond"""

    function, options = staticmethod(F.softshrink), ("lambd",)

    def __init__(self, lambd=0.5):
        self.lambd = lambd

    def extra_repr(self):
        return f"{self.lambd}"


class Threshold(Activation):
    """x where greater than threshold, else value"""

    function, options = staticmethod(F.threshold), ("threshold", "value", "inplace")

    def __init__(self, threshold, value, inplace=False):
        self.threshold, self.value, self.inplace = threshold, value, inplace


class GLU(Activation):
    """a * sigmoid(b), where a and b are the halves of x along dim. (Dauphin et al., 2016)"""

    function, options = staticmethod(F.glu), ("dim",)

    def __init__(self, dim=-1):
        self.dim = dim


class PReLU(Module):
    """x where positive, else weight * x: one learned slope, or one for each of num_parameters
    channels (dimension 1); they start at init. (He et al., 2015)"""

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        positive(num_parameters=num_parameters)
        self.num_parameters, self.init = num_parameters, init
        self.weight = fresh(np.empty, num_parameters, dtype, device)
        self.reset_parameters()

    def reset_parameters(self):
        """Every slope as at the start."""
        constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"
