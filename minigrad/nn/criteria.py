"""Losses as functions (torch.nn.functional).

The one trick: a loss is a formula for each sample, and `reduced` makes one number of them. The
rest are the checks that make its mistakes understandable.
"""

import warnings

import numpy as np

from minigrad import functions, ops, shaping
from minigrad.beside import NotCompilable, Unfit, assume
from minigrad.engine import describe, mode, wrap
from minigrad.nn.checks import operand


def check_reduction(reduction, *more):
    if not isinstance(reduction, str) or reduction not in ("none", "mean", "sum", *more):
        names = "".join(f", {name!r}" for name in more)
        raise ValueError(f"{reduction!r} is not a valid value for reduction: use 'none', 'mean'"
                         f"{names} or 'sum'")


def reduced(loss, reduction):
    """The losses themselves, their mean or their sum."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    check_reduction(reduction)
    return loss


def error(input, target, what):
    """input - target, with a warning where broadcasting makes more of it than there are inputs."""
    input, target = operand(input, f"{what}: input"), operand(target, f"{what}: target")
    try:
        away = input - target
    except RuntimeError:
        raise RuntimeError(f"{what}: the input, a {describe(input)}, and the target, a "
                           f"{describe(target)}, do not fit together: give both one shape") from None
    if target.shape != input.shape:
        warnings.warn(f"{what}: target of shape {tuple(target.shape)} is broadcast against input "
                      f"of shape {tuple(input.shape)}, which is rarely meant: reshape one of them",
                      stacklevel=3)
    return away


def mse_loss(input, target, reduction="mean"):
    """(input - target)**2"""
    return reduced(ops.square(error(input, target, "mse_loss")), reduction)


def l1_loss(input, target, reduction="mean"):
    """|input - target|"""
    return reduced(ops.abs(error(input, target, "l1_loss")), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Half the squared error up to delta, delta * (|error| - delta / 2) beyond. (Huber, 1964)"""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta, "
                           f"got {delta}")
    away = error(input, target, "huber_loss")
    size = ops.abs(away)
    return reduced(ops.where(size <= delta, 0.5 * ops.square(away), delta * (size - 0.5 * delta)),
                   reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """huber_loss / beta, which is |error| for beta = 0. (Girshick, 2015)"""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


def all_positive(indices):
    """Raises Unfit for indices below 0, which would count from the end. (Those that are too large
    are errors anyway.)"""
    if indices.size and np.minimum.reduce(indices, axis=None) < 0:
        raise Unfit


def class_indices(target, classes, shape, ignore_index):
    """(labels as a tensor with ignored ones set to 0, mask of those kept or None for all)."""
    target = operand(target, "cross_entropy and nll_loss: target")
    labels = target.array
    if labels.dtype.kind not in "iu":
        raise RuntimeError("class labels must be integers (expected scalar type Long), got "
                           f"{labels.dtype} of shape {labels.shape}: use .long(), or give "
                           "cross_entropy probabilities of the input's shape")
    if labels.shape != shape:
        column = len(shape) == 1 and labels.size == shape[0]
        cure = ": use target.reshape(-1)" if column else ""
        raise ValueError(f"Expected target of shape {shape} (one label per sample), got "
                         f"{labels.shape}{cure}")
    if not labels.size or (labels.min() >= 0 and labels.max() < classes and ignore_index < 0):
        assume(all_positive, target)
        return target, None
    if mode.tracing is not None:
        raise NotCompilable(f"compile: labels that are ignored (ignore_index={ignore_index}) are "
                            "others in every step, and the compiled step would leave out the same "
                            "samples for ever; leave them out of the data, or train eagerly")
    kept = labels != ignore_index
    wrong = ((labels < 0) | (labels >= classes)) & kept
    if wrong.any():
        raise IndexError(f"Target {labels[wrong][0]} is out of bounds: there are {classes} "
                         f"classes, labels must be 0 to {classes - 1}")
    return (target, None) if kept.all() else (wrap(np.where(kept, labels, 0)), kept)


def at_labels(logp, labels, dim):
    """logp at the label of each sample: labels take the place of dimension dim."""
    positions = [np.arange(n) for n in labels.shape]
    if len(positions) > 1:
        positions = list(np.ix_(*positions))
    positions.insert(dim, labels)
    return ops.getitem(logp, *positions, index=(ops.ARRAY,) * logp.ndim)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """Minus the log-probability (N, C, ...) of the target classes (N, ...), weighted per class.

    "mean" divides by the sum of the weights of the samples that are not ignored.
    """
    return indexed_loss(input, target, weight, ignore_index, reduction, 0.0)


def class_weights(weight, classes):
    """The weights (C,) of the classes as a tensor."""
    weight = operand(weight, "weight")
    if weight.shape != (classes,):
        raise RuntimeError(f"weight tensor should be defined for all {classes} classes, but got "
                           f"weight tensor of shape {tuple(weight.shape)}")
    if weight.requires_grad:
        raise RuntimeError(f"class weights get no gradient: detach() the {describe(weight)}")
    return weight


def per_class(weight, logp, dim):
    """weight (C,) in a shape that multiplies the classes of logp."""
    return weight.reshape((weight.array.size,) + (1,) * (logp.ndim - 1 - dim))


def indexed_loss(logp, target, weight, ignore_index, reduction, smoothing):
    if logp.ndim == 0:
        raise ValueError("the loss needs class scores of shape (C,), (N, C) or (N, C, ...), got "
                         "a 0-d tensor")
    dim = min(logp.ndim - 1, 1)
    shape, classes = logp.shape[:dim] + logp.shape[dim + 1:], logp.shape[dim]
    labels, kept = class_indices(target, classes, shape, ignore_index)
    loss = -at_labels(logp, labels, dim)
    if weight is None and kept is None and not smoothing:
        return reduced(loss, reduction)
    scale = wrap(np.ones(shape, logp.dtype))
    if weight is not None:
        weight = class_weights(weight, classes)
        scale = ops.cast(shaping.getitem(weight, labels), dtype=logp.dtype)
        loss = loss * scale
    if smoothing:
        spread = logp if weight is None else logp * per_class(weight, logp, dim)
        loss = (1 - smoothing) * loss - (smoothing / classes) * spread.sum(dim)
    if kept is not None:  # not times 0: ignored ones may be infinite
        loss, scale = ops.where(kept, loss, 0.0), ops.where(kept, scale, 0.0)
    if reduction == "mean":
        return loss.sum() / scale.sum()
    return reduced(loss, reduction)


def label_loss(input, target, ignore_index, reduction, smoothing, dim):
    """cross_entropy of class indices without weights, the case of every lesson: one primitive."""
    shape = input.shape[:dim] + input.shape[dim + 1:]
    labels, kept = class_indices(target, input.shape[dim], shape, ignore_index)
    loss = ops.cross_entropy(functions.floats(input, "cross_entropy"), labels, dim=dim,
                             smoothing=smoothing)
    if kept is None:
        return reduced(loss, reduction)
    loss = ops.where(kept, loss, 0.0)  # not times 0: an ignored loss may be infinite
    if reduction == "mean":
        return loss.sum() / wrap(kept.sum(dtype=input.dtype))
    return reduced(loss, reduction)


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean",
                  label_smoothing=0.0):
    """-log softmax(input) at the target: input (C,), (N, C) or (N, C, ...) scores ("logits").

    target: class indices (integers, without the class dimension), or probabilities of input's
    shape. weight (C,) scales the classes; "mean" divides by the sum of the weights of the targets
    that are not ignore_index (with probabilities: by the number of samples). label_smoothing in
    [0, 1] mixes the target with the uniform distribution. (Szegedy et al., 2016, section 7)
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    input = operand(input, "cross_entropy: input")
    target = operand(target, "cross_entropy: target")
    if input.ndim == 0:
        raise ValueError("cross_entropy needs class scores of shape (C,), (N, C) or (N, C, ...), "
                         "got a 0-d tensor")
    dim = min(input.ndim - 1, 1)
    indices = target.array.dtype.kind != "f" or target.shape != input.shape
    if indices and weight is None:
        return label_loss(input, target, ignore_index, reduction, label_smoothing, dim)
    logp = functions.log_softmax(input, dim)
    if indices:
        return indexed_loss(logp, target, weight, ignore_index, reduction, label_smoothing)
    classes = input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    loss = logp * target
    if weight is not None:
        loss = loss * per_class(class_weights(weight, classes), logp, dim)
    loss = -loss.sum(dim)
    if reduction == "mean":
        return loss.sum() / loss.array.size
    return reduced(loss, reduction)


def matching(input, target, what):
    input, target = operand(input, f"{what}: input"), operand(target, f"{what}: target")
    if target.shape != input.shape:
        raise ValueError(f"{what}: target of shape {tuple(target.shape)} must have the shape of "
                         f"the input, {tuple(input.shape)}")
    if target.dtype.kind != "f":
        raise RuntimeError(f"{what}: targets must be floating point (probabilities), got "
                           f"{target.dtype}: use .float() or .double()")
    return input, target


def weighted(loss, weight):
    return loss if weight is None else loss * operand(weight, "weight")


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)) for probabilities p; logarithms stop at -100."""
    input, target = matching(input, target, "binary_cross_entropy")
    values = input.array
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1, found "
                           f"{values[~((values >= 0) & (values <= 1))][0]}: apply sigmoid first, "
                           "or use binary_cross_entropy_with_logits")
    return reduced(weighted(ops.binary_cross_entropy(input, target), weight), reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean",
                                     pos_weight=None):
    """binary_cross_entropy of sigmoid(input), computed stably; pos_weight scales the positives."""
    input, target = matching(input, target, "binary_cross_entropy_with_logits")
    if pos_weight is None:
        loss = (1 - target) * input + ops.softplus(-input)
    else:
        scale = 1 + (operand(pos_weight, "pos_weight") - 1) * target
        loss = (1 - target) * input + scale * ops.softplus(-input)
    return reduced(weighted(loss, weight), reduction)
