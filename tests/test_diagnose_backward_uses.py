"""Contributions that overwrite each other are named, wherever the input is used; labels keep rows.

Every right backward here is found correct by the same call, so what is named is the one slip.
"""

import numpy as np
import pytest

from minigrad.coursework import diagnose_backward
from minigrad.coursework.layers.adapters import layer_of
from minigrad.coursework.layers.cases import case
from minigrad.coursework.layers.uses import uses

ONE_USE = ("overwrites-gradient",)


# --- recurrent nets: W is used in every step ------------------------------------------------------

def rnn(x, h, Wx, Wh, b):
    hs = [h]
    for t in range(x.shape[1]):
        hs.append(np.tanh(x[:, t] @ Wx + hs[-1].dot(Wh) + b))
    return np.stack(hs[1:], 1), (x, np.stack(hs, 1), Wx, Wh)


def rnn_backward(overwritten, cut=False):
    def backward(dout, cache):
        x, hs, Wx, Wh = cache
        total, dx, dh = {}, np.zeros_like(x), 0
        for t in reversed(range(x.shape[1])):
            a = (dout[:, t] + dh) * (1 - hs[:, t + 1] ** 2)
            dx[:, t], dh = a @ Wx.T, 0 if cut else a @ Wh.T
            for n, d in (("Wx", x[:, t].T @ a), ("Wh", hs[:, t].T @ a), ("b", a.sum(0))):
                total[n] = d if n in overwritten else total.get(n, 0) + d
        return dx, a @ Wh.T, total["Wx"], total["Wh"], total["b"]
    return backward


RNN = [(2, 4, 3), (2, 5), (3, 5), (5, 5), (5,)]


@pytest.mark.parametrize("overwritten", [[], ["Wx"], ["Wh"], ["b"], ["Wx", "Wh", "b"]])
def test_a_weight_that_is_assigned_in_each_step_is_overwritten(overwritten):
    found = diagnose_backward(rnn, rnn_backward(overwritten), RNN)
    assert found.causes == (ONE_USE if overwritten else ()), found
    assert [*found.by_input] == overwritten


def test_an_unknown_gradient_leaves_no_causes():
    """A gradient that stops after a step is in no table: one input alone would fit by chance."""
    found = diagnose_backward(rnn, rnn_backward([], cut=True), RNN)
    assert (found.verdict, found.causes, found.ties) == ("unknown", (), [])


# --- overlapping windows, in one axis -------------------------------------------------------------

def max_pool(x):
    return np.array([x[i:i + 2].max() for i in range(len(x) - 1)]), x


def max_pool_backward(assigned):
    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, d in enumerate(dout):
            old = 0 if assigned else dx[i:i + 2]
            dx[i:i + 2] = old + d * (x[i:i + 2] == x[i:i + 2].max())
        return dx
    return backward


def conv(x, w):
    k = len(w)
    return np.array([x[i:i + k] @ w for i in range(len(x) - k + 1)]), (x, w)


def conv_backward(assigned):
    def backward(dout, cache):
        x, w = cache
        dx, dw, k = np.zeros_like(x), np.zeros_like(w), len(w)
        for i, d in enumerate(dout):
            dx[i:i + k] = d * w + (0 if "x" in assigned else dx[i:i + k])
            dw = d * x[i:i + k] + (0 if "w" in assigned else dw)
        return dx, dw
    return backward


@pytest.mark.parametrize("forward, made, slips, inputs", [
    (max_pool, max_pool_backward, (False, True), [(7,)]),
    (conv, conv_backward, ("", "x", "w", "xw"), [(8,), (3,)])])
def test_windows_that_overlap_are_added(forward, made, slips, inputs):
    for slip in slips:
        found = diagnose_backward(forward, made(slip), inputs)
        assert found.causes == (ONE_USE if slip else ()), (slip, found)


# --- branches -------------------------------------------------------------------------------------

def residual(x):
    return x + np.tanh(x), x


def polynomial(x):
    return x * x + 3 * x, x


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (3,), (5, 2)])
@pytest.mark.parametrize("forward, backward", [
    (residual, lambda d, x: d), (residual, lambda d, x: d * (1 - np.tanh(x) ** 2)),
    (polynomial, lambda d, x: 3 * d), (polynomial, lambda d, x: 2 * x * d)])
def test_one_branch_of_several_is_named(forward, backward, shape):
    found = diagnose_backward(forward, backward, [shape])
    assert (found.verdict, found.causes) == ("mistake", ONE_USE), found


def test_the_shares_of_all_uses_are_those_of_calculus():
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    layer = layer_of(lambda x, w: (np.tanh(x.dot(w)) @ w, 0), lambda dout, cache: None)
    at = case(layer, {"x": x, "w": w}, rng)
    found, h = uses(at, "w"), np.tanh(x @ w)
    first, second = x.T @ (at.g @ w.T * (1 - h**2)), h.T @ at.g
    np.testing.assert_allclose(found.shares, [first.ravel(), second.ravel()], rtol=1e-5, atol=1e-8)
    assert uses(at, "x") is None  # used once


# --- sizes ----------------------------------------------------------------------------------------

def test_a_factor_of_an_entrywise_layer_is_no_size():
    for shape in ((3, 4), (4, 3), (3, 3), (3,)):
        found = diagnose_backward(lambda x: (np.sin(x), x), lambda d, x: 3 * d * np.cos(x), [shape])
        assert found.by_input == {"x": ("constant-factor", "times 3")}, found


def softmax_loss(x, y):
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    n, g = len(y), p.copy()
    g[np.arange(n), y] -= 1
    return -np.log(p[np.arange(n), y]).mean(), g / n


def hinge_loss(W, x, y, reg):
    n, rows = len(y), np.arange(len(y))
    margins = np.maximum(0, x @ W - (x @ W)[rows, y][:, None] + 1)
    margins[rows, y] = 0
    d = (margins > 0) * 1.0
    d[rows, y] = -d.sum(1)
    return margins.sum() / n + reg * np.sum(W * W), {"W": x.T @ d / n + 2 * reg * W}


@pytest.mark.parametrize("classes", [3, 4, 5])
def test_there_are_as_many_labels_as_rows_in_every_trial(classes):
    y = np.array([0, 2, 1, 1])
    found = diagnose_backward(softmax_loss, None, [(4, classes), y])
    assert found.verdict == "correct", found
    found = diagnose_backward(hinge_loss, None, [(4, classes), (4, 4), y, 0.1])
    assert found.verdict == "correct", found
