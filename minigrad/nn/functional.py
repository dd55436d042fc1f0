"""torch.nn.functional: activations, layers and losses as functions, composed of primitives.

The one trick: nothing here has a derivative rule. Whatever is written in tensors' own operations
can be differentiated, so a layer is its formula and the checks that make its mistakes
understandable. Layers and attention stand here; activations, losses, distances, convolution and
pooling stand in files of their own and are passed on.
"""

import functools
import math

import numpy as np

from minigrad import ops, random
from minigrad.beside import assume, beside
from minigrad.engine import Primitive, describe, wrap
from minigrad.functions import eq, matmul, sigmoid, tanh
from minigrad.nn.activations import (
    celu, elu, gelu, glu, hardshrink, hardsigmoid, hardswish, hardtanh, leaky_relu, log_softmax,
    logsigmoid, mish, prelu, relu, relu6, selu, silu, softmax, softmin, softplus, softshrink,
    softsign, tanhshrink, threshold,
)
from minigrad.nn.checks import floating, operand
from minigrad.nn.criteria import (
    all_positive, binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy,
    huber_loss, l1_loss, mse_loss, nll_loss, smooth_l1_loss,
)
from minigrad.nn.distances import (
    cosine_embedding_loss, cosine_similarity, gaussian_nll_loss, hinge_embedding_loss, kl_div,
    margin_ranking_loss, multi_margin_loss, normalize, pairwise_distance, poisson_nll_loss,
    soft_margin_loss, triplet_margin_loss,
)
from minigrad.nn.spatial import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, avg_pool1d, avg_pool2d, conv1d, conv2d, max_pool1d,
    max_pool2d, pad,
)
from minigrad.shaping import getitem, one_hot, reshape, transpose, unsqueeze

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool2d", "batch_norm",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d",
    "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dropout", "dropout2d", "elu",
    "embedding", "gaussian_nll_loss", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss",
    "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "margin_ranking_loss",
    "max_pool1d", "max_pool2d", "mish", "mse_loss", "multi_margin_loss", "nll_loss", "normalize",
    "one_hot", "pad", "pairwise_distance", "poisson_nll_loss", "prelu", "relu", "relu6",
    "rms_norm", "scaled_dot_product_attention", "selu", "sigmoid", "silu", "smooth_l1_loss",
    "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "triplet_margin_loss",
]


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
    assume(all_positive, input)
    rows = getitem(weight, input)
    if padding_idx is None:
        return rows
    padding = eq(unsqueeze(input, -1), padding_row(padding_idx, n))
    return ops.where(padding, rows.detach(), rows)


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
    mask = dropout_mask(input, p=p)
    return input.mul_(mask) if inplace else input * mask


def kept_or_zero(x, p):
    """Numbers like x: 0 with probability p, else 1 / (1 - p)."""
    keep = random.generator().random(x.shape) >= p
    return (keep * (0.0 if p == 1 else 1 / (1 - p))).astype(x.dtype)


dropout_mask = Primitive(kept_or_zero, name="dropout_mask")


def dropout2d(input, p=0.5, training=True, inplace=False):
    """Zeroes whole channels of input (N, C, H, W) with probability p. (Tompson et al., 2014)"""
    if not probability(p) or not training:
        return input
    if input.ndim not in (3, 4):
        raise RuntimeError(f"dropout2d: expected input (N, C, H, W) or (C, H, W), got the "
                           f"{describe(input)}")
    shape = (*input.shape[:-2], 1, 1)
    mask = dropout(wrap(np.ones(shape, floating(input, "dropout2d: input").dtype)), p)
    return input.mul_(mask) if inplace else input * mask


# --- normalization -------------------------------------------------------------------------------

def scaled(y, weight, bias):
    """y * weight + bias, without what is None."""
    if weight is None:
        return y if bias is None else y + bias
    return y * weight if bias is None else ops.affine(y, weight, bias)


def last_dims(input, normalized_shape, what):
    """The last dimensions of input, those of normalized_shape."""
    shape = tuple(normalized_shape)
    first = input.ndim - len(shape)
    if not shape or first < 0 or input.shape[first:] != shape:
        raise RuntimeError(f"{what}: expected input whose last dimensions are {shape}, got the "
                           f"{describe(input)}")
    return first if len(shape) == 1 else tuple(range(first, input.ndim))


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Each sample normalized over its last dimensions, normalized_shape:
    (input - mean) / sqrt(var + eps) * weight + bias."""
    dims = last_dims(input, normalized_shape, "layer_norm")
    return scaled(ops.standardize(input, dim=dims, eps=eps), weight, bias)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """input / sqrt(mean(input**2) + eps) * weight over the last dimensions, normalized_shape;
    eps=None: the dtype's machine epsilon. (Zhang and Sennrich, 2019)"""
    dims = last_dims(input, normalized_shape, "rms_norm")
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    size = ops.sqrt(ops.mean(ops.square(input), dim=dims, keepdim=True) + eps)
    return scaled(input / size, weight, None)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Each sample (N, C, ...) normalized over each of num_groups groups of its channels.
    (Wu and He, 2018)"""
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise RuntimeError("group_norm: expected number of channels in input to be divisible by "
                           f"num_groups={num_groups}, got the {describe(input)}")
    parts = (input.shape[0], num_groups, math.prod(input.shape[1:]) // num_groups)
    y = reshape(ops.standardize(reshape(input, parts), dim=2, eps=eps), input.shape)
    return scaled(y, column(weight, input), column(bias, input))


def column(vector, input):
    """A vector (C,) in a shape that stands along dimension 1 of input."""
    if vector is None or input.ndim == 2:
        return vector
    return reshape(vector, (1, input.shape[1]) + (1,) * (input.ndim - 2))


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False,
               momentum=0.1, eps=1e-5):
    """Each feature (dimension 1) normalized over the batch, or by the running statistics.

    While training, running_mean and running_var move by `momentum` toward the batch's mean and
    unbiased variance.
    """
    if training or running_mean is None:
        n = refuse_single(input) if training else 0
        dims = 0 if input.ndim == 2 else (0, *range(2, input.ndim))
        y = ops.standardize(input, dim=dims, eps=eps)
        if training and running_mean is not None:
            beside(move, input, running_mean, running_var, dims=dims, n=n, momentum=momentum)
    else:
        y = (input - column(running_mean, input)) / ops.sqrt(column(running_var, input) + eps)
    return scaled(y, column(weight, input), column(bias, input))


def move(x, mean, var, dims, n, momentum):
    """The running statistics, part of the way (momentum) toward those of the batch x."""
    mean[...] = (1 - momentum) * mean + momentum * x.mean(axis=dims).reshape(-1)
    var[...] = (1 - momentum) * var + momentum * (x.var(axis=dims) * n / (n - 1)).reshape(-1)


def refuse_single(input):
    """How many numbers each feature (dimension 1) has: one has no variance to normalize by."""
    n = input.array.size // max(input.shape[1], 1)
    if n <= 1:
        raise ValueError("Expected more than 1 value per channel when training, got input size "
                         f"{tuple(input.shape)}: use larger batches (drop_last=True drops a last "
                         "one of 1), or eval()")
    return n


# --- attention -----------------------------------------------------------------------------------

def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0,
                                 is_causal=False, scale=None):
    """softmax(query @ key.T * scale) @ value: each query (..., L, E) looks for keys (..., S, E)
    like itself and takes the mean of their values (..., S, V): result (..., L, V).

    attn_mask (broadcast to (..., L, S)): True where a query may look, or numbers that are added to
    the scores. is_causal: query i may look at keys 0 to i. scale: 1 / sqrt(E) if None. A query
    that may look nowhere gets 0. (Vaswani et al., 2017)
    """
    query, key = floating(query, "attention: query"), floating(key, "attention: key")
    value = floating(value, "attention: value")
    fitting_heads(query, key, value)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return ops.matmul(dropout(weights, dropout_p), value)


def attention_weights(query, key, attn_mask=None, is_causal=False, scale=None):
    """The weights (..., L, S) with which each query takes the mean of the values."""
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    scores = ops.matmul(query * scale, transpose(key, -1, -2))
    if is_causal:
        if attn_mask is not None:
            raise RuntimeError("attention: explicit attn_mask should not be set when "
                               "is_causal=True: give one of them")
        scores = scores + wrap(future(*scores.shape[-2:], scores.dtype))
    blind = None
    if attn_mask is not None:
        scores, blind = masked(scores, operand(attn_mask, "attention: attn_mask"))
    weights = ops.softmax(scores, dim=scores.ndim - 1)
    return weights if blind is None else ops.where(blind, 0.0, weights)


@functools.lru_cache(maxsize=16)
def future(queries, keys, dtype):
    """(L, S) numbers to add to the scores: -inf where a key comes later than the query."""
    return np.where(np.tri(queries, keys, dtype=bool), 0.0, -np.inf).astype(dtype)


def fitting_heads(query, key, value):
    """Refuses shapes that do not go together."""
    few = min(query.ndim, key.ndim, value.ndim) < 2
    if few or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"attention: got query {query.shape}, key {key.shape}, value {value.shape}: they need "
            "at least 2 dimensions, queries and keys the same last dimension, keys and values the "
            "same number (dimension -2)")


def masked(scores, mask):
    """(scores where nothing may be seen that the mask hides, rows that may see nothing or None)"""
    values = mask.array
    if values.dtype.kind != "b":
        if values.dtype.kind != "f":
            raise RuntimeError("attention: attn_mask must be boolean or floating point, got "
                               f"{values.dtype}")
        scores, values = scores + mask, values > -np.inf
    try:
        np.broadcast_to(values, scores.shape)
    except ValueError:
        raise RuntimeError(f"attention: attn_mask of shape {values.shape} does not broadcast to "
                           f"the scores, {scores.shape}") from None
    blind = ~values.any(axis=-1, keepdims=True)
    if mask.array.dtype.kind == "b":
        scores = ops.where(wrap(values), scores, -math.inf)
    if not blind.any():
        return scores, None
    return ops.where(wrap(blind), 0.0, scores), wrap(blind)
