"""Lengths, distances and the losses made of them (torch.nn.functional).

The one trick: at a vector of length 0 the length has no derivative, and 0 is taken for it, as
PyTorch does: `where` keeps the square root away from 0.
"""

import math
import warnings

import numpy as np

from minigrad import functions, ops
from minigrad.engine import describe, wrap
from minigrad.functions import clamp, relu
from minigrad.nn.checks import operand
from minigrad.nn.criteria import class_indices, class_weights, reduced
from minigrad.shaping import getitem, reshape, unsqueeze

# --- lengths and angles --------------------------------------------------------------------------


def length(x, p, dim, keepdim=False):
    """(sum of |x|**p over dim) ** (1 / p); for p = inf the largest |x|."""
    if p == math.inf:
        return functions.amax(ops.abs(x), dim, keepdim)
    if p == 1:
        return functions.sum(ops.abs(x), dim, keepdim)
    total = functions.sum(ops.square(x) if p == 2 else
                          ops.power(ops.where(x == 0, 0.0, ops.abs(x)), p), dim, keepdim)
    zero = total == 0
    if not zero.array.any():
        return ops.sqrt(total) if p == 2 else ops.power(total, 1 / p)
    inside = ops.where(zero, 1.0, total)
    return ops.where(zero, 0.0, ops.sqrt(inside) if p == 2 else ops.power(inside, 1 / p))


def at_least(lengths, eps):
    """The lengths, small ones raised to eps; the derivative is that of the length itself."""
    return lengths + wrap(np.maximum(lengths.array, eps) - lengths.array)


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """input / max(length along dim, eps): vectors of length 1."""
    return input / clamp(length(input, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """Cosine of the angle between vectors along dim; lengths count at least eps."""
    x1, x2 = x1 + 0 * x2, x2 + 0 * x1 if x1.shape != x2.shape else x2
    unit1 = x1 / at_least(length(x1, 2, dim, keepdim=True), eps)
    unit2 = x2 / at_least(length(x2, 2, dim, keepdim=True), eps)
    return functions.sum(unit1 * unit2, dim)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """Length (p) of x1 - x2 + eps along the last dimension."""
    return length(x1 - x2 + eps, p, -1, keepdim)


# --- losses --------------------------------------------------------------------------------------

def kl_div(input, target, reduction="mean", log_target=False):
    """Kullback-Leibler divergence, target * (log(target) - input), of log-probabilities `input`
    from probabilities `target` (or their logarithms).

    Its proper mean is reduction="batchmean", the sum divided by the size of dimension 0.
    """
    input, target = operand(input, "kl_div: input"), operand(target, "kl_div: target")
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        zero = target == 0
        entropy = ops.where(zero, 0.0, target * ops.log(ops.where(zero, 1.0, target)))
        loss = entropy - target * input
    if reduction == "batchmean":
        return loss.sum() / (input.shape[0] if input.ndim else 1)
    if reduction == "mean":
        warnings.warn("kl_div: reduction='mean' divides by all elements; 'batchmean' is the "
                      "divergence per sample", stacklevel=2)
    return reduced(loss, reduction)


def hinge_embedding_loss(input, target, margin=1.0, reduction="mean"):
    """input where target is 1, max(0, margin - input) where it is -1: distances of pairs that are
    alike (1) or not (-1)."""
    target = operand(target, "hinge_embedding_loss: target")
    unlike = ops.where(target != 1, clamp(margin - input, min=0), 0.0)
    return reduced(unlike + ops.where(target != -1, input, 0.0), reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """sum over classes i other than the target y of max(0, margin - x[y] + x[i])**p / C, times
    weight[y]: input (N, C) or (C,) scores, target (N,) or () classes."""
    input = operand(input, "multi_margin_loss: input")
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: only p == 1 and p == 2 supported, got {p}")
    if input.ndim not in (1, 2):
        raise RuntimeError("multi_margin_loss: expected scores (N, C) or (C,), got the "
                           f"{describe(input)}")
    classes = input.shape[-1]
    labels, _ = class_indices(target, classes, input.shape[:-1], -100)
    chosen = unsqueeze(labels, -1)
    hit = functions.eq(chosen, np.arange(classes))
    score = functions.sum(ops.where(hit, input, 0.0), -1, keepdim=True)
    excess = ops.where(hit, 0.0, relu(margin - score + input))
    excess = excess if p == 1 else ops.square(excess)
    if weight is not None:
        excess = excess * getitem(class_weights(weight, classes), chosen)
    return reduced(functions.sum(excess, -1) / classes, reduction)


def margin_ranking_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """max(0, margin - target * (input1 - input2)): target 1 wants input1 larger, -1 input2."""
    return reduced(clamp(margin - target * (input1 - input2), min=0), reduction)


def soft_margin_loss(input, target, reduction="mean"):
    """log(1 + exp(-target * input)), for targets 1 and -1."""
    return reduced(ops.softplus(-target * input), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """1 - cosine where target is 1, max(0, cosine - margin) where it is -1: inputs (N, D), target
    (N,), or (D,) and ()."""
    tiny = 1e-12  # inside the root, as in PyTorch
    product = functions.sum(input1 * input2, -1)
    squares = [functions.sum(ops.square(x), -1) + tiny for x in (input1, input2)]
    cosine = product / ops.sqrt(squares[0] * squares[1])
    alike = ops.where(target == 1, 1 - cosine, 0.0)
    unlike = ops.where(target == -1, clamp(cosine - margin, min=0), 0.0)
    return reduced(alike + unlike, reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False,
                        reduction="mean"):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with pairwise_distance d; swap:
    the negative's distance from the positive counts where it is smaller."""
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: margin must be positive, got {margin}")
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = functions.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(clamp(margin + near - far, min=0), reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    """Minus the log-likelihood of counts: exp(input) - target * input, or, if input is the rate
    itself, input - target * log(input + eps). full adds Stirling's approximation of log(target!)
    where target > 1."""
    target = operand(target, "poisson_nll_loss: target")
    loss = ops.exp(input) - target * input if log_input else (
        input - target * ops.log(input + eps))
    if full:
        n = ops.where(target > 1, target, 1.0)
        stirling = n * ops.log(n) - n + 0.5 * ops.log(2 * math.pi * n)
        loss = loss + ops.where(target > 1, stirling, 0.0)
    return reduced(loss, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Minus the log-likelihood of target under normal(input, var): half of
    log(var) + (input - target)**2 / var; var counts at least eps. full adds log(2 pi) / 2."""
    var = operand(var, "gaussian_nll_loss: var")
    if (var.array < 0).any():
        raise ValueError(f"gaussian_nll_loss: var has negative entry/entries: {var.array.min()}")
    if var.shape != input.shape and var.shape == input.shape[:-1]:
        var = reshape(var, (*var.shape, 1))
    var = at_least(var, eps)
    loss = 0.5 * (ops.log(var) + ops.square(input - target) / var)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
