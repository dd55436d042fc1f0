"""Losses as modules: the functions of functional.py with their options kept (torch.nn).

The one trick: a loss names its options once, in its constructor; forward passes them on.
"""

from minigrad.nn import functional as F
from minigrad.nn.checks import operand
from minigrad.nn.criteria import check_reduction
from minigrad.nn.module import Module


class Loss(Module):
    """A loss function of (input, target); reduction is "mean", "sum" or "none"."""

    function = None
    options = ("reduction",)
    more_reductions = ()

    def __init__(self, reduction="mean"):
        self._set(reduction=reduction)

    def _set(self, **options):
        check_reduction(options["reduction"], *self.more_reductions)
        self.options = tuple(options)
        for name, value in options.items():
            if name in ("weight", "pos_weight"):
                value = None if value is None else operand(value, name)
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


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of log-probabilities from probabilities; its proper mean is
    reduction="batchmean"."""

    function = staticmethod(F.kl_div)
    more_reductions = ("batchmean",)

    def __init__(self, reduction="mean", log_target=False):
        self._set(reduction=reduction, log_target=log_target)


class HingeEmbeddingLoss(Loss):
    """Distances of pairs that are alike (target 1) or not (-1)."""

    function = staticmethod(F.hinge_embedding_loss)

    def __init__(self, margin=1.0, reduction="mean"):
        self._set(margin=margin, reduction=reduction)


class MultiMarginLoss(Loss):
    """Each other class must score at least margin less than the target class."""

    function = staticmethod(F.multi_margin_loss)

    def __init__(self, p=1, margin=1.0, weight=None, reduction="mean"):
        self._set(p=p, margin=margin, weight=weight, reduction=reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)), for targets 1 and -1."""

    function = staticmethod(F.soft_margin_loss)


class MarginRankingLoss(Loss):
    """Which of two inputs shall be larger: the first (target 1) or the second (-1)."""

    function = staticmethod(F.margin_ranking_loss)

    def __init__(self, margin=0.0, reduction="mean"):
        self._set(margin=margin, reduction=reduction)

    def forward(self, input1, input2, target):
        options = {name: getattr(self, name) for name in self.options}
        return F.margin_ranking_loss(input1, input2, target, **options)


class CosineEmbeddingLoss(Loss):
    """Angles of pairs that are alike (target 1) or not (-1)."""

    function = staticmethod(F.cosine_embedding_loss)

    def __init__(self, margin=0.0, reduction="mean"):
        self._set(margin=margin, reduction=reduction)

    def forward(self, input1, input2, target):
        options = {name: getattr(self, name) for name in self.options}
        return F.cosine_embedding_loss(input1, input2, target, **options)


class TripletMarginLoss(Loss):
    """An anchor must be nearer to the positive than to the negative, by margin."""

    function = staticmethod(F.triplet_margin_loss)

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
        self._set(margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)

    def forward(self, anchor, positive, negative):
        options = {name: getattr(self, name) for name in self.options}
        return F.triplet_margin_loss(anchor, positive, negative, **options)


class PoissonNLLLoss(Loss):
    """Minus the log-likelihood of counts."""

    function = staticmethod(F.poisson_nll_loss)

    def __init__(self, log_input=True, full=False, eps=1e-8, reduction="mean"):
        self._set(log_input=log_input, full=full, eps=eps, reduction=reduction)


class GaussianNLLLoss(Loss):
    """Minus the log-likelihood of normal numbers of given variance."""

    function = staticmethod(F.gaussian_nll_loss)

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        self._set(full=full, eps=eps, reduction=reduction)

    def forward(self, input, target, var):
        options = {name: getattr(self, name) for name in self.options}
        return F.gaussian_nll_loss(input, target, var, **options)


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along dim."""

    def __init__(self, dim=1, eps=1e-8):
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """Length (p) of the difference of vectors along the last dimension."""

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
