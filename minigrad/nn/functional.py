"""torch.nn.functional: activations, layers and losses as functions, composed of primitives.

The one trick: nothing here has a derivative rule. Whatever is written in tensors' own operations
can be differentiated, so a layer is its formula and the checks that make its mistakes
understandable.
"""

import math
import warnings

import numpy as np

from minigrad import functions, ops, random
from minigrad.arguments import as_tensor
from minigrad.engine import Recorded, describe, wrap, written
from minigrad.functions import clamp, matmul, sigmoid, tanh
from minigrad.shaping import getitem, one_hot, reshape

__all__ = [
    "relu", "tanh", "sigmoid", "softmax", "log_softmax", "one_hot", "leaky_relu", "elu", "gelu",
    "silu", "softplus", "logsigmoid", "linear", "embedding", "dropout", "batch_norm", "layer_norm",
    "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "nll_loss", "cross_entropy",
    "binary_cross_entropy", "binary_cross_entropy_with_logits",
]


def operand(x, what):
    """x as a tensor; for anything but numbers a TypeError with its name, `what`, and the cure."""
    if isinstance(x, Recorded):
        return x
    try:
        return as_tensor(x)
    except TypeError:
        raise TypeError(f"{what} must be a Tensor, not {type(x).__name__}: wrap it in "
                        "minigrad.tensor(...)") from None


# --- activations ---------------------------------------------------------------------------------


def in_place(function, input, *options):
    """function(input) written into input; what input was before lives on in a copy."""
    return input.copy_(function(input.clone(), *options))


def relu(input, inplace=False):
    """max(input, 0); the derivative at 0 is 0."""
    return input.relu_() if inplace else ops.relu(input)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """input where positive, else negative_slope * input."""
    if inplace:
        return in_place(leaky_relu, input, negative_slope)
    return ops.leaky_relu(input, slope=negative_slope)


def elu(input, alpha=1.0, inplace=False):
    """input where positive, else alpha * (exp(input) - 1)."""
    if inplace:
        return in_place(elu, input, alpha)
    return ops.where(input > 0, input, alpha * ops.expm1(clamp(input, max=0)))


def gelu(input, approximate="none"):
    """input * Phi(input), Phi the normal distribution function; "tanh" for its approximation."""
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
        return 0.5 * input * (1 + tanh(inner))
    if approximate != "none":
        raise RuntimeError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))


def silu(input, inplace=False):
    """input * sigmoid(input), also called swish."""
    return in_place(silu, input) if inplace else input * sigmoid(input)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * input)) / beta; the identity where beta * input > threshold."""
    if beta == 1:
        return ops.where(input > threshold, input, ops.softplus(input))
    return ops.where(input * beta > threshold, input, ops.softplus(input * beta) / beta)


def logsigmoid(input):
    """log(sigmoid(input)), computed stably."""
    return -ops.softplus(-input)


def softmax(input, dim=None, dtype=None):
    """exp(input) / sum(exp(input)) along dim: probabilities. (Without dim: see implied_dim.)"""
    dim = implied_dim(input, "softmax") if dim is None else dim
    return functions.softmax(input, dim, dtype)


def log_softmax(input, dim=None, dtype=None):
    """log(softmax(input)) along dim, computed stably. (Without dim: see implied_dim.)"""
    dim = implied_dim(input, "log_softmax") if dim is None else dim
    return functions.log_softmax(input, dim, dtype)


def implied_dim(input, what):
    """PyTorch's old guess of the class dimension, with a warning: 0 of 1 or 3, else 1."""
    dim = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(f"{what} without dim is taken along dim={dim} of shape {tuple(input.shape)}: "
                  f"say which dimension you mean, {what}(x, dim=-1) for the last", stacklevel=3)
    return dim


# --- layers --------------------------------------------------------------------------------------

def linear(input, weight, bias=None):
    """input @ weight.T + bias: input (..., in), weight (out, in), bias (out) or None."""
    input = operand(input, "linear: input")
    shape = input.shape
    if not shape or weight.ndim != 2 or shape[-1] != weight.array.shape[1]:
        raise RuntimeError(f"linear: the {describe(input)} has {shape[-1] if shape else 'no'} "
                           "features in its last dimension, but the weight, a "
                           f"{describe(weight)}, takes {weight.array.shape[-1]}")
    if bias is None:
        return matmul(input, weight.T)
    if len(shape) == 2:
        return ops.linear(input, weight, bias)
    flat = ops.linear(reshape(input, (math.prod(shape[:-1]), shape[-1])), weight, bias)
    return reshape(flat, (*shape[:-1], weight.array.shape[0]))


def embedding(input, weight, padding_idx=None):
    """Rows of weight (n, d) at the integers of input (...): result (..., d).

    No gradient reaches the row padding_idx.
    """
    input = operand(input, "embedding: input")
    labels, n = input.array, weight.array.shape[0]
    if labels.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: indices must be integers, got {labels.dtype}: use .long()")
    if labels.size and (labels.min() < 0 or labels.max() >= n):
        wrong = labels[(labels < 0) | (labels >= n)][0]
        raise IndexError(f"index out of range in self: embedding has rows 0 to {n - 1}, "
                         f"got {wrong}")
    rows = getitem(weight, input)
    if padding_idx is None:
        return rows
    padding = labels == padding_row(padding_idx, n)
    return ops.where(np.expand_dims(padding, -1), rows.detach(), rows)


def padding_row(padding_idx, n):
    """padding_idx counted from the front."""
    if padding_idx is not None and not -n <= padding_idx < n:
        raise ValueError(f"padding_idx must be within the {n} rows of the embedding, got "
                         f"{padding_idx}")
    return padding_idx if padding_idx is None else padding_idx % n


def probability(p):
    """p, if it can be the probability of being dropped."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


def dropout(input, p=0.5, training=True, inplace=False):
    """Zeroes elements with probability p and scales the others by 1 / (1 - p)."""
    if not probability(p) or not training:
        return input
    if input.dtype.kind != "f":
        raise RuntimeError("dropout scales its input, which must be floating point: the "
                           f"{describe(input)} has dtype {input.dtype}")
    keep = random.generator().random(input.shape) >= p
    mask = wrap((keep * (0.0 if p == 1 else 1 / (1 - p))).astype(input.dtype))
    return input.mul_(mask) if inplace else input * mask


def normalized(input, dims, eps):
    """(input with mean 0 and variance 1 over dims, the mean, the variance)."""
    mean = ops.mean(input, dim=dims, keepdim=True)
    away = input - mean
    var = ops.mean(ops.square(away), dim=dims, keepdim=True)
    return away / ops.sqrt(var + eps), mean, var


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each sample normalized over its last dimensions, normalized_shape:
    (input - mean) / sqrt(var + eps) * weight + bias."""
    shape = tuple(normalized_shape)
    if input.shape[input.ndim - len(shape):] != shape:
        raise RuntimeError(f"layer_norm: expected input whose last dimensions are {shape}, got "
                           f"the {describe(input)}")
    y, _, _ = normalized(input, tuple(range(input.ndim - len(shape), input.ndim)), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """Each feature (dimension 1) normalized over the batch, or by the running statistics.

    While training, running_mean and running_var move by `momentum` toward the batch's mean and
    unbiased variance.
    """
    column = (1, input.shape[1]) + (1,) * (input.ndim - 2)
    if training or running_mean is None:
        n = refuse_single(input) if training else 0
        y, mean, var = normalized(input, (0, *range(2, input.ndim)), eps)
        if training and running_mean is not None:
            move(running_mean, mean.array, momentum)
            move(running_var, var.array * n / (n - 1), momentum)
    else:
        y = (input - running_mean.reshape(column)) / ops.sqrt(running_var.reshape(column) + eps)
    y = y if weight is None else y * weight.reshape(column)
    return y if bias is None else y + bias.reshape(column)


def move(running, batch, momentum):
    """A running statistic, part of the way (momentum) toward that of the batch."""
    running.array[...] = (1 - momentum) * running.array + momentum * batch.reshape(-1)
    written(running)


def refuse_single(input):
    """How many numbers each feature (dimension 1) has: one has no variance to normalize by."""
    n = input.array.size // max(input.shape[1], 1)
    if n <= 1:
        raise ValueError("Expected more than 1 value per channel when training, got input size "
                         f"{tuple(input.shape)}: use larger batches (drop_last=True drops a last "
                         "one of 1), or eval()")
    return n


# --- losses --------------------------------------------------------------------------------------

def check_reduction(reduction):
    if not isinstance(reduction, str) or reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction!r} is not a valid value for reduction: use 'none', 'mean' "
                         "or 'sum'")


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
    away = input - target  # refuses shapes that do not broadcast
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
        return target, None
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
    scale = np.ones(shape, logp.dtype)
    if weight is not None:
        weight = class_weights(weight, classes)
        scale = weight.array[labels.array].astype(logp.dtype)
        loss = loss * wrap(scale)
    if smoothing:
        spread = logp if weight is None else logp * per_class(weight, logp, dim)
        loss = (1 - smoothing) * loss - (smoothing / classes) * spread.sum(dim)
    if kept is not None:  # chosen, not multiplied by 0: an ignored loss may be infinite
        loss, scale = ops.where(kept, loss, 0.0), np.where(kept, scale, 0)
    if reduction == "mean":
        return loss.sum() / wrap(scale.sum(dtype=logp.dtype))
    return reduced(loss, reduction)


def label_loss(input, target, ignore_index, reduction, smoothing, dim):
    """cross_entropy of class indices without weights, the case of every lesson, in one primitive."""
    shape = input.shape[:dim] + input.shape[dim + 1:]
    labels, kept = class_indices(target, input.shape[dim], shape, ignore_index)
    loss = ops.cross_entropy(functions.floats(input, "cross_entropy"), labels, dim=dim,
                             smoothing=smoothing)
    if kept is None:
        return reduced(loss, reduction)
    loss = ops.where(kept, loss, 0.0)  # chosen, not multiplied by 0: an ignored loss may be infinite
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
