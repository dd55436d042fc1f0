"""Losses as modules: the functions of functional.py with their options kept (torch.nn).

The one trick: a loss names its options once, in its constructor; forward passes them on.
"""

from minigrad.nn import functional as F
from minigrad.nn.module import Module


class Loss(Module):
    """A loss function of (input, target); reduction is "mean", "sum" or "none"."""

    function = None
    options = ("reduction",)

    def __init__(self, reduction="mean"):
        self._set(reduction=reduction)

    def _set(self, **options):
        F.check_reduction(options["reduction"])
        self.options = tuple(options)
        for name, value in options.items():
            if name in ("weight", "pos_weight"):
                value = None if value is None else F.operand(value, name)
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, input, target):
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(input, target, **options)


class MSELoss(Loss):
    """Mean of (input - target)**2."""

    function = staticmethod(F.mse_loss)


class L1Loss(Loss):
    """Mean of |input - target|."""

    function = staticmethod(F.l1_loss)


class HuberLoss(Loss):
    """Quadratic up to delta, linear beyond. (Huber, 1964)"""

    function = staticmethod(F.huber_loss)

    def __init__(self, reduction="mean", delta=1.0):
        self._set(reduction=reduction, delta=delta)


class SmoothL1Loss(Loss):
    """HuberLoss / beta. (Girshick, 2015)"""

    function = staticmethod(F.smooth_l1_loss)

    def __init__(self, reduction="mean", beta=1.0):
        self._set(reduction=reduction, beta=beta)


class CrossEntropyLoss(Loss):
    """Cross-entropy of softmax(input): input (N, C) scores, target (N,) classes or (N, C)
    probabilities. See functional.cross_entropy."""

    function = staticmethod(F.cross_entropy)

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        self._set(weight=weight, ignore_index=ignore_index, reduction=reduction,
                  label_smoothing=label_smoothing)


class NLLLoss(Loss):
    """Minus the log-probability of the target class: input (N, C) log-probabilities."""

    function = staticmethod(F.nll_loss)

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        self._set(weight=weight, ignore_index=ignore_index, reduction=reduction)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities."""

    function = staticmethod(F.binary_cross_entropy)

    def __init__(self, weight=None, reduction="mean"):
        self._set(weight=weight, reduction=reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of sigmoid(input)."""

    function = staticmethod(F.binary_cross_entropy_with_logits)

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        self._set(weight=weight, reduction=reduction, pos_weight=pos_weight)
