"""Convolution in NumPy: windows laid out as columns of one matrix, then one matrix product.

The one trick: sum(g * conv(x, w)) is linear in each of g, x and w. What it multiplies g by is the
convolution; what it multiplies x by is the gradient of the input; what it multiplies w by is the
gradient of the weight. The derivative of any of the three is again one of the three: a closed
circle, right to every order.

Letters: x input (N, C, *sizes), w weight (O, C / groups, *kernel), y output and g its gradient
(N, O, *out), all for any number of spatial dimensions. stride, padding and dilation are tuples,
one number for each spatial dimension. (For channels first in memory, arrays are turned to
(C, N, ...): then the columns are filled by long runs, and one product serves the whole batch.)
"""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided


def out_sizes(sizes, kernel, stride, padding, dilation):
    """How many windows fit along each spatial dimension."""
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1
                 for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation))


def padded(x, padding):
    """x (C, N, *sizes) with zeros around it."""
    if not any(padding):
        return x
    wide = np.zeros((*x.shape[:2], *[n + 2 * p for n, p in zip(x.shape[2:], padding)]), x.dtype)
    wide[inside(x.shape[2:], padding)] = x
    return wide


def inside(sizes, padding):
    """Where in a padded array the unpadded one lies."""
    return (..., *[slice(p, p + n) for n, p in zip(sizes, padding)])


def windows(x, kernel, stride, dilation):
    """A view (C, *kernel, N, *out) of x (C, N, *sizes): entry (c, i, j, n, r, s) is what element
    (i, j) of the window at (r, s) sees. No copy: only the strides are new."""
    out = out_sizes(x.shape[2:], kernel, stride, (0,) * len(kernel), dilation)
    steps = x.strides[2:]
    return as_strided(x, (x.shape[0], *kernel, x.shape[1], *out),
                      (x.strides[0], *[d * step for d, step in zip(dilation, steps)],
                       x.strides[1], *[s * step for s, step in zip(stride, steps)]),
                      writeable=False)


def columns(x, kernel, stride, padding, dilation, groups):
    """The windows of x (N, C, *sizes) as a matrix per group: (groups, C / groups * K, N * out)."""
    seen = windows(padded(x.swapaxes(0, 1), padding), kernel, stride, dilation)
    return seen.reshape(groups, x.shape[1] // groups * math.prod(kernel), math.prod(
        seen.shape[1 + len(kernel):]))


def rows(g, groups):
    """g (N, O, *out) as a matrix per group: (groups, O / groups, N * out)."""
    return g.swapaxes(0, 1).reshape(groups, g.shape[1] // groups, g.size // max(g.shape[1], 1))


def convolved(x, w, *b, stride, padding, dilation, groups):
    """The convolution of x with w (plus b, one number for each output channel)."""
    kernel, outputs = w.shape[2:], w.shape[0]
    out = out_sizes(x.shape[2:], kernel, stride, padding, dilation)
    filters = w.reshape(groups, outputs // groups, math.prod(w.shape[1:]))
    y = filters @ columns(x, kernel, stride, padding, dilation, groups)
    y = y.reshape(outputs, x.shape[0], *out)
    for shift in b:
        y += shift.reshape((-1,) + (1,) * (y.ndim - 1))
    return y.swapaxes(0, 1)


def input_gradient(g, w, shape, stride, padding, dilation, groups):
    """What each element of an input of `shape` receives from the windows that saw it.

    With g for an input this is the transposed convolution: each number of g paints a kernel."""
    kernel, sizes = w.shape[2:], shape[2:]
    filters = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))
    share = (filters.mT @ rows(g, groups)).reshape(shape[1], *kernel, shape[0], *g.shape[2:])
    wide = np.zeros((shape[1], shape[0], *[n + 2 * p for n, p in zip(sizes, padding)]), g.dtype)
    for place in np.ndindex(*kernel):
        # Windows overlap, but not in what one and the same element of the kernel sees.
        seen = [slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, n, s in zip(
            place, dilation, g.shape[2:], stride)]
        wide[(..., *seen)] += share[(slice(None), *place)]
    return wide[inside(sizes, padding)].swapaxes(0, 1)


def weight_gradient(g, x, shape, stride, padding, dilation, groups):
    """What each element of a weight of `shape` receives from all windows it was laid on."""
    seen = columns(x, shape[2:], stride, padding, dilation, groups)
    return (rows(g, groups) @ seen.mT).reshape(shape)
