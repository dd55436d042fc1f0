"""Layers with units inside: no alarm at their kinks, and what is named behind them."""

import numpy as np
import pytest

from minigrad.coursework import diagnose_backward

RANDOM = np.random.default_rng(5)


def normal(*shape):
    return RANDOM.standard_normal(shape)


# --- right ones ----------------------------------------------------------------------------------

def two_layers(x, W1, b1, W2, b2):
    a = x @ W1 + b1
    h = np.maximum(0, a)
    out = np.maximum(0, h @ W2 + b2)
    return out, (x, W1, W2, a, h, out)


def two_layers_backward(dout, cache):
    x, W1, W2, a, h, out = cache
    dout = dout * (out > 0)
    da = (dout @ W2.T) * (a > 0)
    return da @ W1.T, x.T @ da, da.sum(axis=0), h.T @ dout, dout.sum(axis=0)


def network_loss(x, W1, b1, W2, b2, y):
    h = np.maximum(0, x @ W1 + b1)
    scores = h @ W2 + b2
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    p /= len(x)
    dh = p @ W2.T
    dh[h <= 0] = 0
    return loss, {"W1": x.T @ dh, "b1": dh.sum(0), "W2": h.T @ p, "b2": p.sum(0), "x": dh @ W1.T}


def residual(x, W1, W2):
    h = np.maximum(0, x @ W1)
    out = np.maximum(0, x + h @ W2)
    return out, (x, W1, W2, h, out)


def residual_backward(dout, cache):
    x, W1, W2, h, out = cache
    dout = dout * (out > 0)
    dh = (dout @ W2.T) * (h > 0)
    return dout + dh @ W1.T, x.T @ dh, h.T @ dout


def maxout(x, W, V):
    return np.maximum(x @ W, x @ V), (x, W, V)


def maxout_backward(dout, cache):
    x, W, V = cache
    first = x @ W >= x @ V
    p, q = dout * first, dout * ~first
    return p @ W.T + q @ V.T, x.T @ p, x.T @ q


def rows_max(x, w):
    a = np.maximum(0, x @ w)
    return a.max(axis=1), (x, w, a)


def rows_max_backward(dout, cache):
    x, w, a = cache
    da = np.zeros_like(a)
    da[np.arange(len(a)), a.argmax(axis=1)] = dout
    da *= a > 0
    return da @ w.T, x.T @ da


RIGHT = {
    "two layers": (two_layers, two_layers_backward,
                   lambda N, D, H, C: (normal(N, D), normal(D, H), normal(H), normal(H, C),
                                       normal(C))),
    "two layers, begun with zeros": (
        two_layers, two_layers_backward,
        lambda N, D, H, C: (normal(N, D), np.zeros((D, H)), np.zeros(H), normal(H, C),
                            np.zeros(C))),
    "loss of a network": (network_loss, None,
                          lambda N, D, H, C: {"x": normal(N, D), "W1": normal(D, H),
                                              "b1": normal(H), "W2": normal(H, C),
                                              "b2": normal(C), "y": np.arange(N) % C}),
    "residual": (residual, residual_backward,
                 lambda N, D, H, C: (normal(N, D), normal(D, H), normal(H, D))),
    "maxout": (maxout, maxout_backward,
               lambda N, D, H, C: (normal(N, D), normal(D, H), normal(D, H))),
    "largest of relus": (rows_max, rows_max_backward,
                         lambda N, D, H, C: (normal(N, D), normal(D, H))),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("sizes", [(5, 4, 6, 3), (3, 5, 3, 4), (4, 3, 4, 6), (6, 6, 5, 3)])
def test_kinks_inside_are_no_alarm(name, sizes):
    """Sums of several one-sided derivatives meet in one entry: they bound nothing."""
    forward, backward, inputs = RIGHT[name]
    for seed in range(2):
        found = diagnose_backward(forward, backward, inputs(*sizes), seed=seed)
        assert found.verdict == "correct", found


# --- wrong ones ----------------------------------------------------------------------------------

def affine_relu(x, w, b):
    a = x @ w + b
    return np.maximum(0, a), (x, w, a)


def affine_relu_backward(slope_at_zero):
    def backward(dout, cache):
        x, w, a = cache
        d = dout * np.where(a == 0, slope_at_zero, a > 0)
        return d @ w.T, x.T @ d, d.sum(axis=0)
    return backward


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_a_relu_behind_a_product_may_have_another_subgradient(slope):
    inputs = {"x": normal(4, 3), "w": normal(3, 5), "b": normal(5)}
    found = diagnose_backward(affine_relu, affine_relu_backward(slope), inputs)
    assert (found.verdict, found.causes) == ("convention", ("relu-gradient-at-zero",)), found
    assert diagnose_backward(affine_relu, affine_relu_backward(0.0), inputs).verdict == "correct"


def log_softmax(x):
    shifted = x - x.max(axis=1, keepdims=True)
    out = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return out, np.exp(out)


def leaky(x):
    return np.where(x > 0, x, 0.01 * x), x


def skip(x, W):
    return x + np.tanh(x @ W), (x, W, np.tanh(x @ W))


def skip_backward(dout, cache):
    x, W, h = cache
    d = dout * (1 - h**2)
    return d @ W.T, x.T @ d


def cell(x, h, Wx, Wh, b):
    out = np.tanh(x @ Wx + h @ Wh + b)
    return out, (x, h, Wx, Wh)


def cell_without_tanh(dout, cache):
    x, h, Wx, Wh = cache
    return dout @ Wx.T, dout @ Wh.T, x.T @ dout, h.T @ dout, dout.sum(axis=0)


@pytest.mark.parametrize("forward, backward, shapes, cause", [
    (log_softmax, lambda d, p: d - p * d, [(4, 5)], "softmax-diagonal-only"),
    (log_softmax, lambda d, p: d, [(4, 5)], "softmax-diagonal-only"),
    (log_softmax, lambda d, p: d - p * d.sum(axis=0), [(4, 5)], "softmax-wrong-axis"),
    (leaky, lambda d, x: d * (x > 0), [(4, 5)], "relu-mask-missing"),
    (leaky, lambda d, x: d, [(4, 5)], "relu-mask-missing"),
    (leaky, lambda d, x: d * np.where(x > 0, 1, 0.01 * x), [(4, 5)], "relu-mask-missing"),
    (skip, skip_backward, [(4, 5), (5, 5)], "overwrites-gradient"),
    (cell, cell_without_tanh, [(4, 3), (4, 5), (3, 5), (5, 5), (5,)], "local-derivative-missing")])
def test_mistakes_are_named(forward, backward, shapes, cause):
    found = diagnose_backward(forward, backward, shapes)
    assert found.causes == (cause,) and found.verdict == "mistake", found


def gates(x, W, b):
    a = x @ W + b
    n = W.shape[1] // 3
    i, o, g = 1 / (1 + np.exp(-a[:, :n])), 1 / (1 + np.exp(-a[:, n:2 * n])), np.tanh(a[:, 2 * n:])
    return o * np.tanh(i * g), (x, W, i, o, g)


def gates_backward(dout, cache):
    x, W, i, o, g = cache
    c = np.tanh(i * g)
    dc = dout * o * (1 - c**2)
    d = np.hstack([dc * g * i * (1 - i), dout * c * o * (1 - o), dc * i * g * (1 - g)])
    return d @ W.T, x.T @ d, d.sum(axis=0)


def test_a_wrong_gate_is_located():
    found = diagnose_backward(gates, gates_backward, [(5, 2), (2, 9), (9,)])
    assert found.verdict == "unknown"
    assert "of W, only [..., 6:9] is wrong" in found.notes
    assert "of b, only [..., 6:9] is wrong" in str(found)
