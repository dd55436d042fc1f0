"""torch.nn.functional: activations, layers and losses as functions, composed of primitives."""

import math
import warnings

import numpy as np

from minigrad import ops, random
from minigrad.arguments import array, as_tensor
from minigrad.engine import describe, wrap, written
from minigrad.functions import clamp, log_softmax, matmul, relu, sigmoid, softmax, tanh
from minigrad.shaping import getitem, one_hot, reshape

__all__ = [
    "relu", "tanh", "sigmoid", "softmax", "log_softmax", "one_hot", "leaky_relu", "elu", "gelu", "silu",
    "softplus", "logsigmoid", "linear", "embedding", "dropout", "batch_norm", "layer_norm", "mse_loss",
    "l1_loss", "huber_loss", "nll_loss", "cross_entropy", "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
]

# --- activations ----------------------------------------------------------------------------------


def leaky_relu(input, negative_slope=0.01):
    """input where positive, else negative_slope * input."""
    return ops.leaky_relu(input, slope=negative_slope)


def elu(input, alpha=1.0):
    """input where positive, else alpha * (exp(input) - 1)."""
    return ops.where(input > 0, input, alpha * ops.expm1(clamp(input, max=0)))


def gelu(input, approximate="none"):
    """input * Phi(input), Phi the normal distribution function; "tanh" for its approximation."""
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)
        return 0.5 * input * (1 + tanh(inner))
    if approximate != "none":
        raise RuntimeError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return 0.5 * input * (1 + ops.erf(input / math.sqrt(2)))


def silu(input):
    """input * sigmoid(input), also called swish."""
    return input * sigmoid(input)


def softplus(input, beta=1.0, threshold=20.0):
    """log(1 + exp(beta * input)) / beta; the identity where beta * input > threshold."""
    if beta == 1:
        return ops.where(input > threshold, input, ops.softplus(input))
    return ops.where(input * beta > threshold, input, ops.softplus(input * beta) / beta)


def logsigmoid(input):
    """log(sigmoid(input)), computed stably."""
    return -ops.softplus(-input)


# --- layers ---------------------------------------------------------------------------------------

def linear(input, weight, bias=None):
    """input @ weight.T + bias: input (..., in), weight (out, in), bias (out) or None."""
    shape = input.shape
    if not shape or weight.ndim != 2 or shape[-1] != weight.array.shape[1]:
        raise RuntimeError(f"linear: the {describe(input)} has {shape[-1] if shape else 'no'} features in "
                           f"its last dimension, but the weight, a {describe(weight)}, takes "
                           f"{weight.array.shape[-1]}")
    if bias is None:
        return matmul(input, weight.T)
    if len(shape) == 2:
        return ops.linear(input, weight, bias)
    flat = ops.linear(reshape(input, (math.prod(shape[:-1]), shape[-1])), weight, bias)
    return reshape(flat, (*shape[:-1], weight.array.shape[0]))


def embedding(input, weight):
    """Rows of weight (n, d) at the integers of input (...): result (..., d)."""
    labels = array(input)
    if labels.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: indices must be integers, got {labels.dtype}: use .long()")
    n = weight.array.shape[0]
    if labels.size and (labels.min() < 0 or labels.max() >= n):
        wrong = labels[(labels < 0) | (labels >= n)][0]
        raise IndexError(f"index out of range in self: embedding has rows 0 to {n - 1}, got {wrong}")
    return getitem(weight, as_tensor(input))


def dropout(input, p=0.5, training=True):
    """Zeroes elements with probability p and scales the others by 1 / (1 - p)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    keep = random.generator().random(input.shape) >= p
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return input * wrap((keep * scale).astype(input.dtype))


def normalized(input, dims, eps):
    mean = ops.mean(input, dim=dims, keepdim=True)
    away = input - mean
    var = ops.mean(ops.square(away), dim=dims, keepdim=True)
    return away / ops.sqrt(var + eps), mean, var


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each sample normalized over its last dimensions: (x - mean) / sqrt(var + eps) * weight + bias."""
    shape = tuple(normalized_shape)
    if input.shape[input.ndim - len(shape):] != shape:
        raise RuntimeError(f"layer_norm: expected input whose last dimensions are {shape}, got the "
                           f"{describe(input)}")
    y, _, _ = normalized(input, tuple(range(input.ndim - len(shape), input.ndim)), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1,
               eps=1e-5):
    """Each feature (dimension 1) normalized over the batch, or by the running statistics.

    While training, running_mean and running_var move by `momentum` toward the batch's mean and
    unbiased variance.
    """
    column = (1, input.shape[1]) + (1,) * (input.ndim - 2)
    dims = (0, *range(2, input.ndim))
    if training or running_mean is None:
        n = input.array.size // max(input.shape[1], 1)
        if training and n <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size "
                             f"{tuple(input.shape)}")
        y, mean, var = normalized(input, dims, eps)
        if training and running_mean is not None:
            for running, batch in ((running_mean, mean.array), (running_var, var.array * n / (n - 1))):
                running.array[...] += momentum * (batch.reshape(-1) - running.array)
                written(running)
    else:
        y = (input - running_mean.reshape(column)) / ops.sqrt(running_var.reshape(column) + eps)
    y = y if weight is None else y * weight.reshape(column)
    return y if bias is None else y + bias.reshape(column)


# --- losses ---------------------------------------------------------------------------------------

def reduced(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"{reduction!r} is not a valid value for reduction: use 'none', 'mean' or 'sum'")
    return loss


def same_size(input, target, what):
    if array(target).shape != input.shape:
        warnings.warn(f"{what}: target of shape {tuple(array(target).shape)} is broadcast against input of "
                      f"shape {tuple(input.shape)}, which is rarely meant: reshape one of them",
                      stacklevel=4)
    return as_tensor(target)


def mse_loss(input, target, reduction="mean"):
    """(input - target)**2"""
    return reduced(ops.square(input - same_size(input, target, "mse_loss")), reduction)


def l1_loss(input, target, reduction="mean"):
    """|input - target|"""
    return reduced(ops.abs(input - same_size(input, target, "l1_loss")), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Half the squared error up to delta, delta * (|error| - delta / 2) beyond."""
    if delta <= 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}")
    error = input - same_size(input, target, "huber_loss")
    size = ops.abs(error)
    return reduced(ops.where(size <= delta, 0.5 * ops.square(error), delta * (size - 0.5 * delta)),
                   reduction)


def class_indices(target, classes, shape, ignore_index):
    """(labels as a tensor with ignored ones set to 0, mask of those kept or None for all)."""
    labels = array(target)
    if labels.dtype.kind not in "iu":
        raise RuntimeError(f"class labels must be integers (expected scalar type Long), got {labels.dtype}"
                           f" of shape {labels.shape}: use .long(), or give probabilities of the input's "
                           "shape")
    if labels.shape != shape:
        raise ValueError(f"Expected target of shape {shape} (one label per sample), got {labels.shape}")
    if not labels.size or (labels.min() >= 0 and labels.max() < classes and ignore_index < 0):
        return as_tensor(target), None
    kept = labels != ignore_index
    wrong = ((labels < 0) | (labels >= classes)) & kept
    if wrong.any():
        raise IndexError(f"Target {labels[wrong][0]} is out of bounds: there are {classes} classes, "
                         f"labels must be 0 to {classes - 1}")
    return (as_tensor(target), None) if kept.all() else (wrap(np.where(kept, labels, 0)), kept)


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


def indexed_loss(logp, target, weight, ignore_index, reduction, smoothing):
    if logp.ndim == 0:
        raise ValueError("the loss needs class scores of shape (C,), (N, C) or (N, C, ...), got a 0-d tensor")
    dim = min(logp.ndim - 1, 1)
    shape, classes = logp.shape[:dim] + logp.shape[dim + 1:], logp.shape[dim]
    labels, kept = class_indices(target, classes, shape, ignore_index)
    loss = -at_labels(logp, labels, dim)
    if weight is None and kept is None and not smoothing:
        return reduced(loss, reduction)
    scale = np.ones(shape, logp.dtype) if kept is None else kept.astype(logp.dtype)
    if smoothing:
        spread = -logp
    if weight is not None:
        weight = as_tensor(weight)
        if weight.shape != (classes,):
            raise RuntimeError(f"weight tensor should be defined for all {classes} classes, but got weight "
                               f"tensor of shape {tuple(weight.shape)}")
        scale = scale * weight.array[labels.array].astype(logp.dtype)
        if smoothing:
            spread = spread * weight.reshape((classes,) + (1,) * (logp.ndim - 1 - dim))
    loss = loss * wrap(scale)
    if smoothing:
        spread = spread.sum(dim)
        if kept is not None:
            spread = spread * wrap(kept.astype(logp.dtype))
        loss = (1 - smoothing) * loss + (smoothing / classes) * spread
    if reduction == "mean":
        return loss.sum() / wrap(np.asarray(scale.sum(), logp.dtype))
    return reduced(loss, reduction)


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log softmax(input) at the target: input (C,), (N, C) or (N, C, ...) scores ("logits").

    target: class indices (integers, without the class dimension) or probabilities of input's shape.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim == 0:
        raise ValueError("cross_entropy needs class scores of shape (C,), (N, C) or (N, C, ...), got a 0-d "
                         "tensor")
    dim = min(input.ndim - 1, 1)
    logp = log_softmax(input, dim)
    values = array(target)
    if values.dtype.kind != "f" or values.shape != input.shape:
        return indexed_loss(logp, target, weight, ignore_index, reduction, label_smoothing)
    target, classes = as_tensor(target), input.shape[dim]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    loss = logp * target
    if weight is not None:
        loss = loss * as_tensor(weight).reshape((classes,) + (1,) * (input.ndim - 1 - dim))
    loss = -loss.sum(dim)
    if reduction == "mean":
        return loss.sum() / max(loss.array.size, 1)
    return reduced(loss, reduction)


def matching(input, target, what):
    target = as_tensor(target)
    if target.shape != input.shape:
        raise ValueError(f"{what}: target of shape {tuple(target.shape)} must have the shape of the input, "
                         f"{tuple(input.shape)}")
    if target.dtype.kind != "f":
        raise RuntimeError(f"{what}: targets must be floating point (probabilities), got {target.dtype}: "
                           "use .float() or .double()")
    return target


def weighted(loss, weight):
    return loss if weight is None else loss * as_tensor(weight)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)) for probabilities p; logarithms stop at -100."""
    target = matching(input, target, "binary_cross_entropy")
    values = input.array
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1, found "
                           f"{values[~((values >= 0) & (values <= 1))][0]}: apply sigmoid first, or use "
                           "binary_cross_entropy_with_logits")
    return reduced(weighted(ops.binary_cross_entropy(input, target), weight), reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """binary_cross_entropy of sigmoid(input), computed stably."""
    target = matching(input, target, "binary_cross_entropy_with_logits")
    if pos_weight is None:
        loss = (1 - target) * input + ops.softplus(-input)
    else:
        scale = 1 + (as_tensor(pos_weight) - 1) * target
        loss = (1 - target) * input + scale * ops.softplus(-input)
    return reduced(weighted(loss, weight), reduction)
