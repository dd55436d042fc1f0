"""Mistakes planted in the backward of layers are named; right ones are left alone."""

import numpy as np
import pytest

from minigrad.coursework.layers.diagnosis import diagnose_backward
from minigrad.coursework.layers.faults import BY_ID


def affine(x, w, b):
    return x @ w + b, (x, w, b)


def relu(x):
    return np.maximum(x, 0), x


def tanh(x):
    return np.tanh(x), (x, np.tanh(x))


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, (x, y)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), e / e.sum(1, keepdims=True)


def scale_rows(x, s):  # s: (n, 1), broadcast along columns
    return x * s, (x, s)


def mse(x, y):
    return ((x - y) ** 2).mean(), (x, y)


def mean_rows(x):
    return x.mean(0), x


def twisted(x):
    return x.T, x


def windows(x):  # every entry but the ends is used twice
    return x[:, :-1] + 2 * x[:, 1:], x


def d_windows(d, x, last_only=False):
    dx = np.zeros_like(x)
    for i in range(d.shape[1]):
        if last_only:
            dx[:] = 0
        dx[:, i] += d[:, i]
        dx[:, i + 1] += 2 * d[:, i]
    return dx


def d_affine(d, cache):
    x, w, b = cache
    return d @ w.T, x.T @ d, d.sum(0)


SHAPES = {"x": (4, 3), "w": (3, 5), "b": (5,)}
SQUARE = {"x": (3, 3), "w": (3, 3), "b": (3,)}
X = {"x": (4, 3)}

RIGHT = [
    (affine, d_affine, SHAPES), (affine, d_affine, SQUARE),
    (relu, lambda d, x: d * (x > 0), X),
    (tanh, lambda d, c: d * (1 - c[1] ** 2), X),
    (sigmoid, lambda d, c: d * c[1] * (1 - c[1]), X),
    (softmax, lambda d, y: y * (d - (d * y).sum(1, keepdims=True)), X),
    (scale_rows, lambda d, c: (d * c[1], (d * c[0]).sum(1, keepdims=True)), {"x": (4, 3), "s": (4, 1)}),
    (mse, lambda d, c: d * 2 * (c[0] - c[1]) / c[0].size, {"x": (4, 3), "y": (4, 3)}),
    (mean_rows, lambda d, x: np.broadcast_to(d / len(x), x.shape), X),
    (twisted, lambda d, x: d.T, X),
    (windows, d_windows, {"x": (2, 5)}),
]


@pytest.mark.parametrize("forward, backward, inputs", RIGHT)
def test_right_layers_have_no_complaint(forward, backward, inputs):
    for seed in range(3):
        found = diagnose_backward(forward, backward, inputs, seed=seed)
        assert found.verdict == "correct" and not found.causes, found


def changed(i, wrong):
    """d_affine with gradient i replaced."""
    def backward(d, cache):
        grads = list(d_affine(d, cache))
        grads[i] = wrong(d, *cache)
        return tuple(grads)
    return backward


def in_place(d, x):
    d *= x > 0
    return d


def in_cache(d, cache):
    x, y = cache
    y *= y
    return d * (1 - y)


def growing(d, x, memory=[]):  # grads += without zero_grad, kept in the layer  # noqa: B006
    memory.append(d * (x > 0) if not memory or memory[-1].shape != x.shape
                  else memory[-1] + d * (x > 0))
    return memory[-1]


# fmt: off
PLANTED = [
    (affine, changed(2, lambda d, x, w, b: d.mean(0)), SHAPES, "broadcast-averaged", "b", "4"),
    (affine, changed(2, lambda d, x, w, b: d), SHAPES, "broadcast-not-undone", "b", "axis 0"),
    (affine, changed(2, lambda d, x, w, b: d.sum(1)), SQUARE, "broadcast-wrong-axis", "b", "axis 1"),
    (affine, changed(2, lambda d, x, w, b: d.sum(1)), SHAPES, "broadcast-wrong-axis", "b", "axis 1"),
    (affine, changed(2, lambda d, x, w, b: d.sum()), SHAPES, "broadcast-wrong-axis", "b", "axis 0, 1"),
    (affine, changed(2, lambda d, x, w, b: d.sum(0, keepdims=True)), SHAPES, "gradient-shape", "b", "(1, 5)"),
    (affine, changed(2, lambda d, x, w, b: d[-1]), SHAPES, "overwrites-gradient", "b", "last index of axis 0"),
    (affine, changed(2, lambda d, x, w, b: np.full(5, len(x) * 1.0)), SHAPES, "upstream-ignored", "b", ""),
    (affine, changed(2, lambda d, x, w, b: np.zeros(5)), SHAPES, "gradient-missing", "b", ""),
    (affine, changed(0, lambda d, x, w, b: d @ w), SQUARE, "matmul-not-transposed", "x", "dout @ w"),
    (affine, changed(1, lambda d, x, w, b: x @ d), SQUARE, "matmul-not-transposed", "w", "x @ dout"),
    (affine, changed(1, lambda d, x, w, b: d.T @ x), SHAPES, "matmul-not-transposed", "w", "dout.T @ x"),
    (affine, changed(0, lambda d, x, w, b: np.ones_like(d) @ w.T), SHAPES, "upstream-ignored", "x", ""),
    (affine, changed(1, lambda d, x, w, b: x.T @ d / len(x)), SHAPES, "mean-for-sum", "w", "divided by 4"),
    (affine, changed(1, lambda d, x, w, b: 7.25 * x.T @ d), SHAPES, "constant-factor", "w", "times 29/4"),
    (affine, changed(1, lambda d, x, w, b: -x.T @ d), SHAPES, "sign-flipped", "w", ""),
    (relu, lambda d, x: d, X, "relu-mask-missing", "x", "no mask"),
    (relu, lambda d, x: d * (d > 0), X, "relu-mask-missing", "x", "dout > 0"),
    (relu, lambda d, x: d * np.maximum(x, 0), X, "relu-mask-missing", "x", "times the output"),
    (relu, lambda d, x: 1.0 * (x > 0), X, "upstream-ignored", "x", ""),
    (tanh, lambda d, c: d * (1 - c[1]), X, "tanh-not-squared", "x", ""),
    (tanh, lambda d, c: d * (1 - c[0] ** 2), X, "derivative-from-input", "x", ""),
    (tanh, lambda d, c: d, X, "local-derivative-missing", "x", ""),
    (sigmoid, lambda d, c: d * c[0] * (1 - c[0]), X, "derivative-from-input", "x", ""),
    (softmax, lambda d, y: d * y * (1 - y), X, "softmax-diagonal-only", "x", ""),
    (softmax, lambda d, y: y * (d - (d * y).sum(0, keepdims=True)), X, "softmax-wrong-axis", "x", ""),
    (scale_rows, lambda d, c: (d * c[1], d * c[0]), {"x": (4, 3), "s": (4, 1)}, "broadcast-not-undone", "s", "axis 1"),
    (scale_rows, lambda d, c: (d * c[1], (d * c[0]).mean(1, keepdims=True)), {"x": (4, 3), "s": (4, 1)}, "broadcast-averaged", "s", "3"),
    (mse, lambda d, c: d * (c[0] - c[1]) / c[0].size, {"x": (4, 3), "y": (4, 3)}, "factor-two", "x", "1/2"),
    (mse, lambda d, c: d * 2 * (c[0] - c[1]), {"x": (4, 3), "y": (4, 3)}, "sum-for-mean", "x", "12"),
    (mse, lambda d, c: 2 * (c[0] - c[1]) / c[0].size, {"x": (4, 3), "y": (4, 3)}, "upstream-ignored", "x", ""),
    (mean_rows, lambda d, x: np.broadcast_to(d, x.shape), X, "sum-for-mean", "x", "4"),
    (twisted, lambda d, x: d.reshape(x.shape), X, "axes-reordered", "x", ""),
    (twisted, lambda d, x: d, {"x": (3, 3)}, "gradient-transposed", "x", "transpose"),
    (windows, lambda d, x: d_windows(d, x, True), {"x": (2, 5)}, "overwrites-gradient", "x", "last index of axis 1"),
]
# fmt: on


@pytest.mark.parametrize("forward, backward, inputs, cause, name, detail", PLANTED)
def test_planted_faults_are_named_with_the_input_and_the_detail(forward, backward, inputs, cause,
                                                                name, detail):
    for seed in range(3):
        found = diagnose_backward(forward, backward, inputs, seed=seed)
        assert found.causes == (cause,), found
        assert [*found.by_input] == [name] and detail in found.by_input[name][1], found
        assert found.verdict == "mistake" and found.first_difference.input == name


def test_every_wrong_gradient_has_its_own_cause():
    def backward(d, cache):
        x, w, b = cache
        return 2 * d @ w.T, x.T @ d / 4, d.mean(0)
    found = diagnose_backward(affine, backward, SHAPES)
    assert {name: cause for name, (cause, _) in found.by_input.items()} == {
        "x": "factor-two", "w": "mean-for-sum", "b": "broadcast-averaged"}


def test_other_subgradients_of_relu_are_a_convention():
    for rule in (lambda d, x: d * (x >= 0), lambda d, x: d * ((x > 0) + 0.5 * (x == 0))):
        found = diagnose_backward(relu, rule, X)
        assert (found.verdict, found.causes) == ("convention", ("relu-gradient-at-zero",))


def test_no_subgradient_at_a_kink_is_no_convention():
    found = diagnose_backward(relu, lambda d, x: d * ((x > 0) + 7 * (x == 0)), X)
    assert found.verdict == "unknown"


def test_changes_in_place_are_found():
    assert diagnose_backward(relu, in_place, X).causes == ("upstream-changed-in-place",)
    assert diagnose_backward(tanh, in_cache, X).causes == ("cache-changed",)
    assert "cache-changed" in diagnose_backward(relu, growing, X).causes


def test_a_mistake_outside_the_table_is_unknown():
    found = diagnose_backward(tanh, lambda d, c: d * (1 - c[1] ** 2) ** 0.7, X)
    assert found.verdict == "unknown" and found.causes == () and found.residual > 1e-3
    assert "no known mistake" in str(found) and "No known mistake" in found.hint("concept")


def test_nan_is_never_right():
    found = diagnose_backward(tanh, lambda d, c: d * np.nan, X)
    assert found.verdict == "unknown" and [*found.unexplained] == ["x"]


def test_a_layer_without_axes_is_taken():
    found = diagnose_backward(lambda x: (x * x, x), lambda d, x: d * x, {"x": np.array(3.0)})
    assert found.by_input["x"] == ("factor-two", "times 1/2")


def test_arrays_labels_and_dicts_are_taken():
    labels = np.array([0, 2, 1, 1])

    def forward(x, y):
        e = np.exp(x - x.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        return -np.log(p[np.arange(4), y]).mean(), (p, y)

    def backward(d, cache, scale=4):
        p, y = cache
        return {"dx": d * (p - np.eye(3)[y]) / scale}
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert diagnose_backward(forward, backward, {"x": x, "y": labels}).verdict == "correct"
    wrong = diagnose_backward(forward, lambda d, c: backward(d, c, 1), {"x": x, "y": labels})
    assert wrong.by_input["x"] == ("sum-for-mean", "times 4 = x.shape[0]")


def test_the_report_and_the_hints_read_well():
    found = diagnose_backward(affine, changed(2, lambda d, x, w, b: d.mean(0)), SHAPES)
    words = " ".join(str(found).split())
    assert "gradient of b" in words and "(divided by 4 = x.shape[0])" in words
    assert found.hint("where") == "look at the gradient of b"
    assert found.hint("formula") == BY_ID["broadcast-averaged"].formula
    with pytest.raises(ValueError, match="where, concept, formula"):
        found.hint("everything")


def test_wrong_use_has_a_message_with_the_cure():
    with pytest.raises(TypeError, match=r"\(out, cache\)"):
        diagnose_backward(np.tanh, lambda d, c: d, X)
    with pytest.raises(TypeError, match="2 gradients for 1 inputs"):
        diagnose_backward(relu, lambda d, x: (d, d), X)
    with pytest.raises(ValueError, match="at least one input"):
        diagnose_backward(relu, lambda d, x: d, {})
