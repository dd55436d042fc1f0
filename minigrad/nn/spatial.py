"""Convolution, pooling and padding (torch.nn.functional), for 1 and for 2 spatial dimensions.

The one trick: nothing here counts dimensions. What is written for 2 holds for 1, and an input
without a batch dimension is a batch of one.
"""

import math

import numpy as np

from minigrad import convolution, ops
from minigrad.engine import Primitive, describe, wrap
from minigrad.functions import matmul, mean
from minigrad.nn.checks import floating, for_each
from minigrad.shaping import getitem, reshape

FORMS = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)"}


def batched(input, n, what):
    """(input with a batch dimension, whether it had one)."""
    input = floating(input, f"{what}: input")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {what}, "
                           f"{FORMS[n]}, got the {describe(input)}")
    if input.ndim == n + 2:
        return input, True
    return reshape(input, (1, *input.shape)), False


def unbatched(output, had_batch):
    return output if had_batch else reshape(output, output.shape[1:])


# --- convolution ---------------------------------------------------------------------------------

def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of input (N, C, L) with weight (O, C / groups, K), plus bias (O,):
    output (N, O, L'). padding: a number, "valid" (none) or "same" (L' = L)."""
    return conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of input (N, C, H, W) with weight (O, C / groups, KH, KW), plus bias (O,):
    output (N, O, H', W').

    stride, padding, dilation: one number or a pair; padding also "valid" (none) or "same" (the
    output as large as the input). groups: the channels are split, each part has its own filters.
    H' = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1
    """
    return conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv(n, input, weight, bias, stride, padding, dilation, groups):
    what = f"conv{n}d"
    input, had_batch = batched(input, n, what)
    weight = floating(weight, f"{what}: weight")
    stride, dilation = for_each(stride, n, "stride"), for_each(dilation, n, "dilation")
    fitting_weight(input, weight, bias, groups, n, what)
    if padding == "same":
        if max(stride) > 1:
            raise RuntimeError(f"{what}: padding='same' is not supported for strided convolutions, "
                               f"stride is {stride}")
        input, padding = same(input, weight.shape[2:], dilation)
    padding = for_each(0 if padding == "valid" else padding, n, "padding", least=0)
    out = convolution.out_sizes(input.shape[2:], weight.shape[2:], stride, padding, dilation)
    if min(out) < 1:
        raise RuntimeError(f"{what}: the kernel {weight.shape[2:]} with dilation {dilation} is "
                           f"larger than the {describe(input)} with padding {padding}")
    operands = (input, weight) if bias is None else (input, weight, bias)
    output = ops.conv(*operands, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return unbatched(output, had_batch)


def same(input, kernel, dilation):
    """(input, padding) for an output of the input's size; an odd one goes to the end."""
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    ends = [amount for odd in total[::-1] for amount in (0, odd % 2)]
    return pad(input, ends) if any(ends) else input, tuple(amount // 2 for amount in total)


def fitting_weight(input, weight, bias, groups, n, what):
    """Refuses a weight, bias or number of groups that does not go with the input's channels."""
    if weight.ndim != n + 2:
        raise RuntimeError(f"{what}: weight must have {n + 2} dimensions (out_channels, "
                           f"in_channels / groups, *kernel), got the {describe(weight)}")
    outputs, channels = weight.shape[:2]
    if not isinstance(groups, (int, np.integer)) or groups < 1 or outputs % groups:
        raise RuntimeError(f"{what}: groups must be a positive number that divides the {outputs} "
                           f"output channels, got {groups!r}")
    if input.shape[1] != channels * groups:
        raise RuntimeError(f"{what}: given groups={groups} and the weight, a {describe(weight)}, "
                           f"expected input with {channels * groups} channels, but the "
                           f"{describe(input)} has {input.shape[1]}")
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(f"{what}: bias must have one number for each of the {outputs} output "
                           f"channels, got shape {tuple(bias.shape)}")


# --- pooling -------------------------------------------------------------------------------------

def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """Largest number of each window of input (N, C, L). See max_pool2d."""
    return max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """Largest number of each window of input (N, C, H, W): output (N, C, H', W').

    stride: kernel_size if None. ceil_mode: windows that stick out at the end count as well.
    return_indices: also where in the H * W numbers each was found (int64). Of equal numbers the
    first gets the gradient.
    """
    return max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def pool_sizes(n, input, kernel_size, stride, padding, dilation, ceil_mode, what):
    """(kernel, stride, padding, dilation, sizes of the output, padding that it needs at the end)"""
    kernel = for_each(kernel_size, n, "kernel_size")
    stride = kernel if stride is None or stride == [] else for_each(stride, n, "stride")
    padding = for_each(padding, n, "padding", least=0)
    dilation = for_each(dilation, n, "dilation")
    if any(2 * p > k for p, k in zip(padding, kernel)):
        raise RuntimeError(f"{what}: pad should be at most half of effective kernel size, got "
                           f"padding={padding} and kernel_size={kernel}")
    out, ends = [], []
    for size, k, s, p, d in zip(input.shape[2:], kernel, stride, padding, dilation):
        reach = d * (k - 1) + 1
        left = size + 2 * p - reach
        count = (-(-left // s) if ceil_mode else left // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:
            count -= 1  # a window must start in the input or in the padding before it
        out.append(count)
        ends.append(max((count - 1) * s + reach - size - p, 0))
    if min(out) < 1:
        raise RuntimeError(f"{what}: the kernel {kernel} is larger than the {describe(input)}: "
                           f"calculated output size {tuple(out)} is too small")
    return kernel, stride, padding, dilation, tuple(out), tuple(ends)


def max_pool(n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    what = f"max_pool{n}d"
    input, had_batch = batched(input, n, what)
    kernel, stride, padding, dilation, out, ends = pool_sizes(
        n, input, kernel_size, stride, padding, dilation, ceil_mode, what)
    sizes, images = input.shape[2:], math.prod(input.shape[:2])
    position = largest_positions(input, kernel=kernel, stride=stride, padding=padding,
                                 dilation=dilation, counts=out, ends=ends)
    each = np.arange(images).reshape(-1, *(1,) * n) * math.prod(sizes)
    shape = (*input.shape[:2], *out) if had_batch else (input.shape[1], *out)
    flat = reshape(position + wrap(each), shape)
    output = getitem(reshape(input, (-1,)), flat)
    return (output, reshape(position, shape)) if return_indices else output


def where_largest(x, kernel, stride, padding, dilation, counts, ends):
    """For each window of each image of x (N, C, *sizes): where in the image its largest number
    lies, (N * C, *counts), the numbers of windows."""
    n, sizes, images = len(kernel), x.shape[2:], math.prod(x.shape[:2])
    values = x.reshape(1, images, *sizes)
    if any(padding) or any(ends):
        values = np.pad(values, ((0, 0), (0, 0), *zip(padding, ends)), constant_values=-np.inf)
    seen = convolution.windows(values, kernel, stride, dilation)
    seen = seen[(..., *[slice(size) for size in counts])]
    # The place of a window, plus the place of its largest number in it.
    weights = [math.prod(sizes[d + 1:]) for d in range(n)]
    start = sum(weight * (r * s - p) for weight, r, s, p in zip(
        weights, np.ogrid[tuple(slice(size) for size in counts)], stride, padding))
    places = [sum(weight * d * i for weight, d, i in zip(weights, dilation, place))
              for place in np.ndindex(*kernel)]
    return start + largest_at(seen.reshape(len(places), images, *counts), places)


# No rule: where the largest number lies is a constant. An operation all the same, so that a
# compiled step looks for it anew.
largest_positions = Primitive(where_largest, name="largest_positions")


def largest_at(rows, places):
    """For each column the place of its largest number: places[i] if it is in row i. Of equal ones
    the first counts; nan counts as largest."""
    best, found = rows[0].copy(), np.full(rows.shape[1:], places[0])
    nan = np.isnan(rows).any()
    for row, place in zip(rows[1:], places[1:]):
        larger = ~(row <= best) & (best == best) if nan else row > best
        np.copyto(best, row, where=larger)
        np.copyto(found, place, where=larger)
    return found


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Mean of each window of input (N, C, L). See avg_pool2d."""
    return avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """Mean of each window of input (N, C, H, W): output (N, C, H', W').

    stride: kernel_size if None. count_include_pad: zeros of the padding count as numbers.
    divisor_override: what to divide by instead of the count.
    """
    return avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)


def avg_pool(n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor):
    """A convolution of each channel by itself with a kernel of ones, divided by the count."""
    what = f"avg_pool{n}d"
    if divisor == 0:
        raise RuntimeError(f"{what}: divisor must be not zero")
    input, had_batch = batched(input, n, what)
    kernel, stride, padding, dilation, out, ends = pool_sizes(
        n, input, kernel_size, stride, padding, 1, ceil_mode, what)
    if divisor is None:
        divisor = counts(input.shape[2:], kernel, stride, padding, out, count_include_pad)
    images = reshape(input, (math.prod(input.shape[:2]), 1, *input.shape[2:]))
    if any(e > p for e, p in zip(ends, padding)):
        around = [amount for pair in zip(padding[::-1], ends[::-1]) for amount in pair]
        images, padding = pad(images, around), (0,) * n
    whole = isinstance(divisor, (int, float))
    ones = np.full((1, 1, *kernel), 1 / divisor if whole else 1.0, input.dtype)
    output = ops.conv(images, wrap(ones), stride=stride, padding=padding, dilation=dilation,
                      groups=1)
    output = output if whole else output / wrap(divisor.astype(input.dtype))
    return reshape(output, (*(input.shape[:2] if had_batch else input.shape[1:2]), *out))


def counts(sizes, kernel, stride, padding, out, count_include_pad):
    """How many numbers each window averages: one number if all the same, else an array."""
    if not any(padding) and all((o - 1) * s + k <= n for n, k, s, o in zip(
            sizes, kernel, stride, out)):
        return math.prod(kernel)
    total = np.ones(())
    for n, k, s, p, o in zip(sizes, kernel, stride, padding, out):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, n + p)
        if not count_include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, n)
        total = total[..., None] * (end - start)
    return total


def adaptive_avg_pool1d(input, output_size):
    """Means of output_size parts of input (N, C, L), as even as can be."""
    return adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Means over a grid of output_size parts of input (N, C, H, W), as even as can be: part i of
    n goes from floor(i H / n) to ceil((i + 1) H / n). output_size: one number or a pair, None
    keeps a size."""
    return adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool(n, input, output_size):
    """Averaging along a dimension is a matrix: row i has 1 / count at the numbers of part i."""
    input, had_batch = batched(input, n, f"adaptive_avg_pool{n}d")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    out = for_each([size if o is None else o for o, size in zip(wanted, input.shape[2:])]
                   if len(wanted) == n else wanted, n, "output_size", least=0)
    if set(out) == {1}:
        return unbatched(mean(input, tuple(range(2, n + 2)), keepdim=True), had_batch)
    y = matmul(input, wrap(averages(input.shape[-1], out[-1]).T.astype(input.dtype)))
    if n == 2:
        y = matmul(wrap(averages(input.shape[2], out[0]).astype(input.dtype)), y)
    return unbatched(y, had_batch)


def averages(size, parts):
    """The matrix (parts, size) of adaptive_avg_pool."""
    i, at = np.arange(parts)[:, None], np.arange(size)
    member = (at >= i * size // max(parts, 1)) & (at < -(-(i + 1) * size // max(parts, 1)))
    return member / member.sum(axis=1, keepdims=True)


# --- padding -------------------------------------------------------------------------------------

def pad(input, pad, mode="constant", value=None):
    """input with more on its sides: pad = (left, right, top, bottom, ...), last dimension first.

    mode "constant" (value, 0 by default), "reflect" (mirrored at the edge number), "replicate"
    (the edge number again) or "circular" (from the other end). Negative amounts cut off.
    """
    amounts = list(pad)
    if len(amounts) % 2 or len(amounts) > 2 * input.ndim:
        raise RuntimeError(f"pad: needs two amounts for each of up to {input.ndim} dimensions of "
                           f"the {describe(input)}, got {amounts}")
    around = {input.ndim - 1 - d: (amounts[2 * d], amounts[2 * d + 1])
              for d in range(len(amounts) // 2)}
    if any(n + sum(around.get(d, (0, 0))) < 0 for d, n in enumerate(input.shape)):
        raise RuntimeError(f"pad: {amounts} cuts more off the {describe(input)} than it has")
    if mode == "constant":
        return constant_padded(input, around, value or 0)
    if mode not in PAD_INDEX:
        raise NotImplementedError(f"pad: unrecognised padding mode {mode!r}; use 'constant', "
                                  "'reflect', 'replicate' or 'circular'")
    if value is not None:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value!r}")
    for d, (before, after) in around.items():
        if before or after:
            index = PAD_INDEX[mode](input.shape[d], before, after)
            input = getitem(input, (slice(None),) * d + (wrap(index),))
    return input


def constant_padded(input, around, value):
    kept, place, shape = [], [], []
    for d, n in enumerate(input.shape):
        before, after = around.get(d, (0, 0))
        kept.append(slice(max(-before, 0), n - max(-after, 0)))
        place.append(slice(max(before, 0), max(before, 0) + len(range(n)[kept[-1]])))
        shape.append(n + before + after)
    if min((amount for pair in around.values() for amount in pair), default=0) < 0:
        input = getitem(input, tuple(kept))
    output = ops.scatter(input, index=tuple(place), shape=tuple(shape))
    if value == 0:
        return output
    outside = np.full(shape, value, input.dtype)
    outside[tuple(place)] = 0
    return output + wrap(outside)


def reflected(n, before, after):
    if max(before, after) >= n:
        raise RuntimeError("pad: 'reflect' needs padding smaller than the dimension, got "
                           f"{(before, after)} for a dimension of {n}")
    at = np.abs(np.arange(-before, n + after))
    return np.where(at < n, at, 2 * (n - 1) - at)


def circular(n, before, after):
    if max(before, after) > n:
        raise RuntimeError("pad: 'circular' can go around once, got padding "
                           f"{(before, after)} for a dimension of {n}")
    return np.arange(-before, n + after) % n


PAD_INDEX = {"reflect": reflected, "circular": circular,
             "replicate": lambda n, before, after: np.arange(-before, n + after).clip(0, n - 1)}
