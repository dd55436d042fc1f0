"""Mistakes planted in layers as courses have them are named; right ones never get an alarm."""

import numpy as np
import pytest
from coursework_layers import (
    Linear,
    MSELoss,
    OldLinear,
    Tanh,
    affine_backward,
    affine_forward,
    affine_relu_backward,
    affine_relu_forward,
    batchnorm_backward,
    batchnorm_forward,
    conv_backward,
    conv_forward,
    dropout_backward,
    dropout_forward,
    layernorm_backward,
    layernorm_forward,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    linear_softmax,
    lstm_step_backward,
    lstm_step_forward,
    max_pool_backward,
    max_pool_backward_ties,
    max_pool_forward,
    relu_backward,
    relu_forward,
    rnn_step_backward,
    rnn_step_forward,
    sigmoid,
    sigmoid_backward,
    sigmoid_forward,
    softmax_loss,
    svm_loss,
)

from minigrad.coursework.layers.diagnosis import diagnose_backward

RNG = np.random.default_rng(1)
normal = RNG.standard_normal
LABELS = np.array([0, 2, 1, 1])
X = [(4, 3)]
AFFINE = [(4, 2, 3), (6, 5), (5,)]
DENSE = [(4, 3), (3, 5), (5,)]
SQUARE = [(3, 3), (3, 3), (3,)]
NORM = [(4, 5), (5,), (5,), {"mode": "train"}]
DROP = [normal((6, 5)), {"p": 0.6, "mode": "train", "seed": 3}]
CONV = [(2, 2, 3, 4), (3, 2, 3, 3), (3,), {"stride": 1, "pad": 1}]
POOL = [(2, 2, 4, 6), {"k": 2}]
RNN = [(4, 5), (4, 6), (5, 6), (6, 6), (6,)]
LSTM = [(3, 2), (3, 4), (3, 4), (2, 16), (4, 16), (16,)]
SCORES = [normal((4, 3)), LABELS]
MODEL = [normal((5, 3)), normal((4, 5)), LABELS, 0.3]
COLUMNS = {"A_prev": (3, 4), "W": (2, 3), "b": (2, 1)}
POSITIVE = [np.abs(normal((4, 3))) + 0.1]


def elementwise(f):
    return lambda x: (f(x), (x, f(x)))


def but(backward, i, wrong):
    """A right backward with gradient i replaced by wrong(dout, cache, the right one)."""
    def made(dout, cache):
        grads = list(backward(dout.copy(), cache))
        grads[i] = wrong(dout, cache, grads[i])
        return tuple(grads)
    return made


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), e / e.sum(1, keepdims=True)


def slip_of_softmax_loss(wrong):
    def made(x, y):
        loss, dx = softmax_loss(x, y)
        return loss, wrong(softmax(x)[0], np.eye(x.shape[1])[y], x, dx)
    return made


def slip_of_svm(wrong):
    def made(x, y):
        loss, dx = svm_loss(x, y)
        t = np.eye(x.shape[1])[y]
        violated = ((x - (x * t).sum(1, keepdims=True) + 1 > 0) & (t == 0)) * 1.0
        return loss, wrong(violated, t, dx)
    return made


def slip_of_penalty(k):
    def made(W, X, y, reg):
        loss, dW = linear_softmax(W, X, y, reg)
        return loss, dW + k * reg * W
    return made


def layernorm_over_rows(d, c, g):
    dz, z = d * c[1], c[0]
    return (dz - dz.mean(0) - z * (dz * z).mean(0)) / c[2]


def in_place(x):
    x[x < 0] = 0
    return x, x


def looked_up(W, indices):
    return W[indices], (W, indices)


def d_looked_up(d, c):
    dW = np.zeros_like(c[0])
    np.add.at(dW, c[1], d)
    return dW, None


def max_of_rows(x):
    return x.max(1), x


def d_max_of_rows(d, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(1)] = d
    return dx


def half_precision(x, w):
    return x.astype(np.float32) @ w.astype(np.float32), (x, w)


class CrossEntropy:
    def forward(self, x, t):
        loss, self.dx = softmax_loss(x, t)
        return loss

    def backward(self, dout=1):
        return self.dx


class Averaging(Linear):
    def backward(self, dLdZ):
        dLdA = super().backward(dLdZ)
        self.dLdb = dLdZ.mean(axis=0)[:, None]
        return dLdA


def multiply(a, b):
    return a * b, (a, b)


def subtract(a, b):
    return a - b, (a, b)


def divide(a, b):
    return a / b, (a, b)


def cross_entropy(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), (p, y)


def scores(q, k):
    return q @ k.T / np.sqrt(q.shape[1]), (q, k)


def batched(a, b):
    return a @ b, (a, b)


# fmt: off
RIGHT = {
    "affine": (affine_forward, affine_backward, AFFINE),
    "affine, square": (affine_forward, affine_backward, SQUARE),
    "affine, a batch of 1": (affine_forward, affine_backward, [(1, 3), (3, 5), (5,)]),
    "affine, ones": (affine_forward, affine_backward, [np.ones((3, 3)), np.ones((3, 3)), np.ones(3)]),
    "affine, large": (affine_forward, affine_backward, [(64, 784), (784, 100), (100,)]),
    "affine, dict in another order": (affine_forward, affine_backward, {"w": (3, 5), "x": (4, 3), "b": (5,)}),
    "relu": (relu_forward, relu_backward, X),
    "relu, in place": (in_place, lambda d, y: d * (y > 0), [(4, 5)]),
    "affine relu": (affine_relu_forward, affine_relu_backward, DENSE),
    "batchnorm": (batchnorm_forward, batchnorm_backward, NORM),
    "batchnorm, far off": (batchnorm_forward, batchnorm_backward, [5 * normal((4, 5)) + 12, normal(5), normal(5), {}]),
    "layernorm": (layernorm_forward, layernorm_backward, NORM),
    "dropout": (dropout_forward, dropout_backward, DROP),
    "dropout, not seeded": (dropout_forward, dropout_backward, [(5, 6), {"p": 0.5, "mode": "train"}]),
    "conv": (conv_forward, conv_backward, CONV),
    "max pool": (max_pool_forward, max_pool_backward, POOL),
    "max pool, all of ties": (max_pool_forward, max_pool_backward_ties, POOL),
    "max of rows": (max_of_rows, d_max_of_rows, [(4, 5)]),
    "softmax loss": (softmax_loss, None, SCORES),
    "svm loss": (svm_loss, None, SCORES),
    "model": (linear_softmax, None, MODEL),
    "rnn": (rnn_step_forward, rnn_step_backward, RNN),
    "lstm": (lstm_step_forward, lstm_step_backward, LSTM),
    "dlai": (linear_activation_forward, linear_activation_backward, {**COLUMNS, "activation": "sigmoid"}),
    "dlai relu": (linear_activation_forward, linear_activation_backward, {**COLUMNS, "activation": "relu"}),
    "sigmoid": (sigmoid_forward, sigmoid_backward, {"Z": (3, 4)}),
    "CMU linear": (Linear(3, 5), None, X),
    "a loss with dout=1": (CrossEntropy(), None, SCORES),
    "CMU tanh": (Tanh, None, X),
    "CMU mse": (MSELoss(), None, {"A": (4, 3), "Y": (4, 3)}),
    "abs": (lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), [(4, 5)]),
    "leaky relu": (lambda x: (np.where(x > 0, x, 0.01 * x), x), lambda d, x: d * np.where(x > 0, 1, 0.01), X),
    "clip": (lambda x: (np.clip(x, -1, 1), x), lambda d, x: d * (np.abs(x) <= 1), [np.array([1.0, -1, 0.5, 2])]),
    "log": (lambda x: (np.log(x), x), lambda d, x: d / x, POSITIVE),
    "embedding": (looked_up, d_looked_up, [normal((5, 3)), np.array([0, 2, 2, 4])]),
    "float32 forward": (half_precision, lambda d, c: (d @ c[1].T, c[0].T @ d), [(4, 3), (3, 5)]),
    "float32 backward": (elementwise(np.tanh), lambda d, c: (d * (1 - c[1]**2)).astype(np.float32), X),
    "no cache": (lambda x, w: x @ w, lambda dout, x, w: (dout @ w.T, x.T @ dout), [(4, 3), (3, 2)]),
    "nothing": (relu_forward, relu_backward, [(0, 3)]),
}
# fmt: on


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_gets_no_alarm(name):
    found = diagnose_backward(*RIGHT[name])
    assert found.verdict == "correct" and found.causes == () and found.residual == 0, found
    assert found.first_difference is None and not found.ties


# fmt: off
PLANTED = [
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d.mean(0)), AFFINE, "broadcast-averaged"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d), AFFINE, "broadcast-not-undone"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d.sum(1)), AFFINE, "broadcast-wrong-axis"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d.sum(0, keepdims=True)), AFFINE, "gradient-shape"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d[-1]), AFFINE, "overwrites-gradient"),
    (affine_forward, but(affine_backward, 0, lambda d, c, g: d @ c[1].T), AFFINE, "gradient-shape"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: g/4), AFFINE, "mean-for-sum"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: g.T), AFFINE, "matmul-not-transposed"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: g.T/4), AFFINE, "matmul-not-transposed mean-for-sum"),
    (affine_forward, but(affine_backward, 0, lambda d, c, g: (np.ones_like(d) @ c[1].T).reshape(4, 2, 3)), AFFINE, "upstream-ignored"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: -g), AFFINE, "sign-flipped"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: 2*g), AFFINE, "factor-two"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: g*2**.5), AFFINE, "constant-factor"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: 0*g), AFFINE, "gradient-missing"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: -d.mean(0)), AFFINE, "broadcast-averaged sign-flipped"),
    (affine_forward, but(affine_backward, 0, lambda d, c, g: d @ c[1]), SQUARE, "matmul-not-transposed"),
    (affine_forward, but(affine_backward, 0, lambda d, c, g: d @ c[1]), DENSE, "matmul-not-transposed"),
    (affine_forward, but(affine_backward, 1, lambda d, c, g: c[0] @ d), DENSE, "matmul-not-transposed"),
    (affine_forward, but(affine_backward, 2, lambda d, c, g: d.mean(0)), [(1, 3), (3, 5), (5,)], "broadcast-averaged"),
    (affine_forward, but(affine_backward, 0, lambda d, c, g: d @ c[1]), [np.ones((3, 3)), np.ones((3, 3)), np.ones(3)], "matmul-not-transposed"),
    (affine_relu_forward, but(affine_relu_backward, 0, lambda d, c, g: d @ c[0][1].T), DENSE, "relu-mask-missing"),
    (affine_relu_forward, but(affine_relu_backward, 1, lambda d, c, g: c[0][0].T @ d), DENSE, "relu-mask-missing"),
    (affine_relu_forward, but(affine_relu_backward, 2, lambda d, c, g: d.sum(0)), DENSE, "relu-mask-missing"),
    (affine_relu_forward, lambda d, c: affine_backward(d, c[0]), DENSE, "relu-mask-missing"),
    (relu_forward, lambda d, x: d*(x<0), X, "relu-mask-missing"),
    (relu_forward, lambda d, x: d*(d>0), X, "relu-mask-missing"),
    (relu_forward, lambda d, x: 1.*(x>0), X, "upstream-ignored"),
    (relu_forward, lambda d, x: d*(x>=0), X, "relu-gradient-at-zero"),
    (relu_forward, lambda d, x: 2*d*(x>=0), X, "factor-two"),
    (elementwise(np.tanh), lambda d, c: d*(1-c[1]), X, "tanh-not-squared"),
    (elementwise(np.tanh), lambda d, c: d*(1-c[0]**2), X, "derivative-from-input"),
    (elementwise(np.tanh), lambda d, c: d*(1-np.tanh(c[1])**2), X, "derivative-from-output"),
    (elementwise(np.tanh), lambda d, c: 1-c[1]**2, X, "upstream-ignored"),
    (elementwise(np.tanh), lambda d, c: 1-c[1], X, "upstream-ignored tanh-not-squared"),
    (elementwise(sigmoid), lambda d, c: d*c[1], X, "sigmoid-factor-missing"),
    (elementwise(sigmoid), lambda d, c: d*c[0]*(1-c[0]), X, "derivative-from-input"),
    (elementwise(sigmoid), lambda d, c: d*sigmoid(c[1])*(1-sigmoid(c[1])), X, "derivative-from-output"),
    (elementwise(sigmoid), lambda d, c: d*c[1]*(c[1]-1), X, "sign-flipped"),
    (elementwise(np.exp), lambda d, c: d*c[0], X, "derivative-from-input"),
    (elementwise(np.exp), lambda d, c: d, X, "local-derivative-missing"),
    (elementwise(np.log), lambda d, c: d*c[0], POSITIVE, "divided-by-derivative"),
    (elementwise(lambda x: x**3), lambda d, c: d*c[0]**2, X, "power-factor-missing"),
    (elementwise(lambda x: x**3), lambda d, c: d*3*c[0]**3, X, "power-exponent-not-reduced"),
    (elementwise(lambda x: x**2), lambda d, c: d*c[0], X, "factor-two"),
    (softmax, lambda d, y: d*y*(1-y), X, "softmax-diagonal-only"),
    (softmax, lambda d, y: y*(d-(d*y).sum(0, keepdims=True)), X, "softmax-wrong-axis"),
    (softmax, lambda d, y: y*(d-(d*y).sum()), X, "softmax-wrong-axis"),
    (softmax, lambda d, y: d-(d*y).sum(1, keepdims=True), X, "softmax-diagonal-only"),
    (softmax, lambda d, y: y*(d-(d*y).sum(1, keepdims=True))/4, X, "mean-for-sum"),
    (multiply, lambda d, c: (d*c[0], d*c[0]), [(4, 3), (4, 3)], "product-rule-wrong-factor"),
    (multiply, lambda d, c: (d*c[1], d*c[0]), [(4, 3), (4, 1)], "broadcast-not-undone"),
    (multiply, lambda d, c: (d*c[1], d.sum(1, keepdims=True)), [(4, 3), (4, 1)], "product-rule-wrong-factor"),
    (subtract, lambda d, c: (d, d), [(4, 3), (4, 3)], "subtraction-sign"),
    (subtract, lambda d, c: (d, d.sum(0)), [(4, 3), (3,)], "subtraction-sign"),
    (divide, lambda d, c: (d/c[1], d*c[0]/c[1]**2), [(4, 3), np.abs(normal((4, 3)))+.5], "sign-flipped"),
    (divide, lambda d, c: (d/c[1], -d*c[0]/c[1]), [(4, 3), np.abs(normal((4, 3)))+.5], "product-rule-wrong-factor"),
    (batchnorm_forward, but(batchnorm_backward, 0, lambda d, c, g: d*c[1]/c[2]), NORM, "statistics-held-constant"),
    (batchnorm_forward, but(batchnorm_backward, 0, lambda d, c, g: (d*c[1]-(d*c[1]).mean(0))/c[2]), NORM, "statistics-held-constant"),
    (batchnorm_forward, but(batchnorm_backward, 0, lambda d, c, g: (lambda z: (d-d.mean(0)-z*(d*z).mean(0))/c[2])(c[0])), NORM, "normalization-term-wrong"),
    (batchnorm_forward, but(batchnorm_backward, 0, lambda d, c, g: g*4), NORM, "sum-for-mean"),
    (batchnorm_forward, but(batchnorm_backward, 1, lambda d, c, g: d.sum(0)), NORM, "scale-of-raw-input"),
    (batchnorm_forward, but(batchnorm_backward, 1, lambda d, c, g: g/4), NORM, "broadcast-averaged"),
    (batchnorm_forward, but(batchnorm_backward, 2, lambda d, c, g: d.sum(1)), NORM, "broadcast-wrong-axis"),
    (batchnorm_forward, but(batchnorm_backward, 2, lambda d, c, g: (d*c[1]).sum(0)), NORM, "product-rule-wrong-factor"),
    (layernorm_forward, but(layernorm_backward, 0, layernorm_over_rows), NORM, "normalization-term-wrong"),
    (layernorm_forward, but(layernorm_backward, 0, lambda d, c, g: d*c[1]/c[2]), NORM, "statistics-held-constant"),
    (dropout_forward, lambda d, c: d, DROP, "dropout-mask-missing"),
    (dropout_forward, lambda d, c: d*(c[1]>0), DROP, "dropout-mask-missing"),
    (dropout_forward, lambda d, c: d*c[1]/c[0]["p"], DROP, "dropout-mask-missing"),
    (conv_forward, lambda d, c: conv_backward(d, c, "dx"), CONV, "overwrites-gradient"),
    (conv_forward, lambda d, c: conv_backward(d, c, "dw"), CONV, "overwrites-gradient"),
    (conv_forward, but(conv_backward, 2, lambda d, c, g: d.sum(0)), CONV, "broadcast-not-undone"),
    (conv_forward, but(conv_backward, 2, lambda d, c, g: d.mean(axis=(0, 2, 3))), CONV, "broadcast-averaged"),
    (conv_forward, but(conv_backward, 1, lambda d, c, g: g[:, :, ::-1, ::-1]), CONV, "axes-reordered"),
    (max_pool_forward, lambda d, c: np.repeat(np.repeat(d, 2, 2), 2, 3), POOL, "max-mask-missing"),
    (max_pool_forward, lambda d, c: np.repeat(np.repeat(d, 2, 2), 2, 3)/4, POOL, "max-mask-missing mean-for-sum"),
    (rnn_step_forward, but(rnn_step_backward, 0, lambda d, c, g: (d*(1-c[4])) @ c[2].T), RNN, "tanh-not-squared"),
    (rnn_step_forward, but(rnn_step_backward, 2, lambda d, c, g: c[0].T @ d), RNN, "local-derivative-missing"),
    (rnn_step_forward, but(rnn_step_backward, 4, lambda d, c, g: (d*(1-c[4])).sum(0)), RNN, "tanh-not-squared"),
    (rnn_step_forward, but(rnn_step_backward, 3, lambda d, c, g: c[4].T @ (d*(1-c[4]**2))), RNN, "matmul-not-transposed"),
    (slip_of_softmax_loss(lambda p, t, x, g: p/4), None, SCORES, "target-not-subtracted"),
    (slip_of_softmax_loss(lambda p, t, x, g: p-t), None, SCORES, "sum-for-mean"),
    (slip_of_softmax_loss(lambda p, t, x, g: -g), None, SCORES, "sign-flipped"),
    (slip_of_softmax_loss(lambda p, t, x, g: (x-t)/4), None, SCORES, "softmax-missing"),
    (slip_of_softmax_loss(lambda p, t, x, g: (x-t)), None, SCORES, "softmax-missing sum-for-mean"),
    (slip_of_softmax_loss(lambda p, t, x, g: t*(p-t)/4), None, SCORES, "softmax-diagonal-only"),
    (slip_of_svm(lambda m, t, g: m/4), None, SCORES, "hinge-label-row"),
    (slip_of_svm(lambda m, t, g: (m-t)/4), None, SCORES, "hinge-label-row"),
    (slip_of_svm(lambda m, t, g: g*4), None, SCORES, "sum-for-mean"),
    (slip_of_penalty(-1), None, MODEL, "decay-half"),
    (slip_of_penalty(-2), None, MODEL, "decay-ignored"),
    (cross_entropy, lambda d, c: d*(c[0]-c[1])/12, [RNG.uniform(.1, .9, (4, 3)), RNG.integers(0, 2, (4, 3))*1.], "cross-entropy-factor"),
    (lambda a, b: (((a-b)**2).mean(), (a, b)), lambda d, c: (d*(c[0]-c[1])/12, -d*2*(c[0]-c[1])/12), [(4, 3), (4, 3)], "factor-two"),
    (lambda a, b: (((a-b)**2).mean(), (a, b)), lambda d, c: d*2*(c[0]-c[1])/4, [(4, 3), (4, 3)], "sum-for-mean"),
    (lambda x: (x.mean(), x), lambda d, x: d*np.ones_like(x), X, "sum-for-mean"),
    (lambda x: (np.cumsum(x, 1), x), lambda d, x: np.cumsum(d, 1), X, "jacobian-not-transposed"),
    (batched, lambda d, c: (d @ c[1], c[0].transpose(0, 2, 1) @ d), [(2, 3, 3), (2, 3, 3)], "matmul-not-transposed"),
    (scores, lambda d, c: (d @ c[1], d.T @ c[0]), [(4, 3), (5, 3)], "constant-factor"),
    (scores, lambda d, c: (d @ c[1] / 3**0.5, d @ c[0] / 3**0.5), [(3, 3), (3, 3)], "matmul-not-transposed"),
    (linear_forward, lambda d, c: (c[1].T @ d, d @ c[0].T, d.sum(0, keepdims=True)), COLUMNS, "broadcast-wrong-axis"),
    (affine_forward, lambda d, c: (2*affine_backward(d, c)[0], affine_backward(d, c)[1]/4, d.mean(0)), AFFINE, "factor-two mean-for-sum broadcast-averaged"),
]
# fmt: on


@pytest.mark.parametrize("forward, backward, inputs, causes", PLANTED)
def test_a_planted_mistake_is_named(forward, backward, inputs, causes):
    found = diagnose_backward(forward, backward, inputs)
    assert found.causes == tuple(causes.split()), found
    assert found.verdict == ("convention" if "at-zero" in causes else "mistake")
    assert found.first_difference is not None and found.residual == 0


def test_averages_over_the_batch_are_a_convention():
    for layer in ((linear_forward, linear_backward, COLUMNS), (OldLinear(3, 5), None, X)):
        found = diagnose_backward(*layer)
        assert found.verdict == "convention" and "deeplearning.ai" in str(found), found
        assert found.causes == ("mean-for-sum", "broadcast-averaged")
    assert diagnose_backward(Averaging(3, 5), None, X).causes == ("broadcast-averaged",)


def test_gradients_in_another_order_are_named():
    found = diagnose_backward(affine_forward, lambda d, c: affine_backward(d, c)[::-1], AFFINE)
    assert found.causes == ("gradients-swapped",) and [*found.by_input] == ["x", "b"], found


def test_the_gradient_of_an_output_that_is_not_used_is_missed():
    found = diagnose_backward(lstm_step_forward, lambda dh, dc, cache: lstm_step_backward(
        dh, 0 * dc, cache), LSTM)
    assert found.causes == ("output-ignored",) and "output 1, of 2" in " ".join(str(found).split())


@pytest.mark.parametrize("name", ["affine", "batchnorm", "lstm", "max pool", "sigmoid", "log"])
def test_what_no_row_explains_is_unknown(name):
    forward, backward, inputs = RIGHT[name]
    for bend in (lambda g: np.sign(g) * np.abs(g) ** 1.1, lambda g: g + 0.01,
                 lambda g: g * np.linspace(1, 1.5, g.size).reshape(g.shape)):
        def wrong(*given, bend=bend):
            made = backward(*given)
            return tuple(map(bend, made)) if isinstance(made, tuple) else bend(made)
        found = diagnose_backward(forward, wrong, inputs)
        assert found.verdict == "unknown" and found.causes == () and found.residual > 1e-4


def test_a_forgotten_return_is_no_right_gradient():
    found = diagnose_backward(relu_forward, lambda d, c: None, X)
    assert (found.verdict, found.causes) == ("mistake", ("gradient-missing",))
    assert "None" in str(found)


def test_errors_name_the_function_the_case_and_the_cure():
    cases = [
        (lambda x, w: (x @ w, x), lambda d, c: d, [(4, 3), (4, 3)], "forward failed with x .4, 3"),
        (relu_forward, lambda d, c: c.foo, X, "backward failed with inputs x .4, 3.*traceback"),
        (lambda x: (x * np.random.default_rng().random(x.shape), x), lambda d, c: d, X,
         "not deterministic"),
        (lambda x: (np.log(x), x), lambda d, x: d / x, X, "not finite"),
        (lambda x: (np.exp(x) / np.exp(x).sum(), x), lambda d, x: d, [1e4 * normal((3, 4))],
         "softmax-unstable"),
        (relu_forward, relu_backward, [np.arange(4)], r"no input is an array of floats"),
    ]
    for forward, backward, inputs, message in cases:
        with pytest.raises(ValueError, match=message):
            diagnose_backward(forward, backward, inputs)
    with pytest.raises(TypeError, match="name them d"):
        diagnose_backward(affine_forward, lambda d, c: {"foo": d}, AFFINE)
    with pytest.raises(TypeError, match="give an object"):
        diagnose_backward(Linear, None, X)


def test_the_global_random_numbers_go_on_as_before():
    np.random.seed(5)
    expected = np.random.rand(2)
    np.random.seed(5)
    diagnose_backward(*RIGHT["dropout"])
    assert np.array_equal(np.random.rand(2), expected)


def test_a_report_fits_into_80_columns_and_into_a_notebook():
    found = diagnose_backward(affine_forward, but(affine_backward, 1, lambda d, c, g: g.T / 4),
                              AFFINE)
    assert max(map(len, str(found).splitlines())) <= 80
    shown = found._repr_mimebundle_()
    assert shown["text/plain"] == str(found) and shown["text/html"].startswith("<pre>mistake")
