"""Programs people know from courses, printed both ways: the text gives the bits of backward()."""

import re
import subprocess
import sys

import numpy as np
import pytest

import minigrad
from minigrad.nn import functional as F


def drawn(*shape, dtype=float, scale=0.5):
    return minigrad.tensor((scale * np.random.default_rng(sum(shape)).normal(size=shape))
                           .astype(dtype), requires_grad=True)


def numbers(*shape, dtype=float):
    return drawn(*shape, dtype=dtype).detach()


def labels(n, classes):
    return minigrad.tensor(np.random.default_rng(n).integers(0, classes, n))


def moons(dtype):
    """The demo of micrograd: hinge loss, and the squares of all parameters."""
    W1, b1, W2, b2, W3, b3 = ps = [drawn(*s, dtype=dtype) for s in (
        (2, 8), (8,), (8, 8), (8,), (8, 1), (1,))]
    score = ((numbers(9, 2, dtype=dtype) @ W1 + b1).relu() @ W2 + b2).relu() @ W3 + b3
    sides = minigrad.sign(numbers(9, 1, dtype=dtype))
    return (1 + -sides * score).relu().mean() + 1e-4 * sum((p * p).sum() for p in ps), ps


def normalized_by_hand(dtype):
    """Batch normalization in its single steps, cross-entropy too (makemore)."""
    C, W1, gain, bias, W2 = ps = [drawn(*s, dtype=dtype) for s in (
        (7, 2), (6, 5), (1, 5), (1, 5), (5, 7))]
    h = C[labels(24, 7).reshape(8, 3)].view(8, -1) @ W1
    apart = h - h.sum(0, keepdim=True) * (1 / 8)
    spread = (apart**2).sum(0, keepdim=True) * (1 / 7)
    logits = minigrad.tanh(gain * apart * (spread + 1e-5)**-0.5 + bias) @ W2
    counts = (logits - logits.max(1, keepdim=True).values).exp()
    chances = counts * counts.sum(1, keepdim=True)**-1
    return -chances.log()[range(8), labels(8, 7)].mean(), ps


def convolutional_in_time(dtype):
    """Strides that no single order of memory has: dimensions turned around a batch norm."""
    W1, W2, gain, bias = ps = [drawn(*s, dtype=dtype) for s in ((4, 5), (10, 3), (5,), (5,))]
    h = (numbers(6, 4, 4, dtype=dtype) @ W1).transpose(1, 2)
    h = minigrad.tanh(F.batch_norm(h, None, None, gain, bias, training=True).transpose(1, 2))
    return F.cross_entropy((h.reshape(6, 2, 10) @ W2).sum(1), labels(6, 3)), ps


def hinges(dtype):
    """The support vector machine and two-layer net of CS231n, in NumPy's words."""
    W1, b1, W2 = ps = [drawn(*s, dtype=dtype) for s in ((4, 6), (6,), (6, 3))]
    scores = np.maximum(0, numbers(7, 4, dtype=dtype) @ W1 + b1) @ W2
    right = scores.gather(1, labels(7, 3).reshape(-1, 1))
    e = np.exp(scores - scores.amax(1, keepdim=True))
    chances = e / e.sum(axis=1, keepdims=True)
    return ((scores - right + 1).clamp(min=0).sum() / 7
            - np.log(chances[np.arange(7), labels(7, 3)]).mean()), ps


def judged_twice(dtype):
    """One discriminator for real and made points."""
    W1, W2 = ps = [drawn(*s, dtype=dtype) for s in ((2, 6), (6, 1))]

    def judge(x):
        return F.leaky_relu(x @ W1, 0.2) @ W2
    real, made = judge(numbers(5, 2, dtype=dtype)), judge(numbers(6, 2, dtype=dtype))
    return (F.binary_cross_entropy_with_logits(real, minigrad.ones(5, 1, dtype=real.dtype))
            + F.binary_cross_entropy_with_logits(made, minigrad.zeros(6, 1, dtype=real.dtype))), ps


def physics(dtype):
    """u'' + u = 0: derivatives of the network in the loss."""
    W1, b1, W2 = ps = [drawn(*s, dtype=dtype) for s in ((6, 1), (6,), (1, 6))]
    time = numbers(5, 1, dtype=dtype).requires_grad_()
    u = F.linear(minigrad.tanh(F.linear(time, W1, b1)), W2)
    slope, = minigrad.grad(u.sum(), [time], create_graph=True)
    bend, = minigrad.grad(slope.sum(), [time], create_graph=True)
    return ((bend + u)**2).mean(), ps


PROGRAMS = [moons, normalized_by_hand, convolutional_in_time, hinges, judged_twice, physics]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("style", ["readable", "fast"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_of_courses_give_the_bits_of_backward(program, style, dtype):
    minigrad.set_default_dtype(dtype)
    try:
        loss, parameters = program(dtype)
    finally:
        minigrad.set_default_dtype(np.float64)
    made = minigrad.source(loss, parameters, style=style)
    found = made.run()
    loss.backward()
    assert np.array_equal(found["loss"], loss.numpy())
    names = {id(t): name for name, t in made.names.items()}
    for p in parameters:
        gradient = found[f"d{names[id(p)]}"]
        assert gradient.dtype == dtype
        assert np.array_equal(gradient, p.grad.numpy()), names[id(p)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_their_files_run_with_numpy_alone(program, tmp_path):
    loss, parameters = program(np.float64)
    minigrad.source(loss, parameters, style="fast").save(tmp_path / "fast.py")
    assert all(len(line) <= 100 for line in (tmp_path / "fast.py").read_text().splitlines())
    text = (tmp_path / "fast.py").read_text().replace("number=1000", "number=1")
    (tmp_path / "fast.py").write_text(text)
    shown = subprocess.run([sys.executable, "-I", tmp_path / "fast.py"], capture_output=True,
                           text=True, check=True).stdout
    assert float(re.match(r"loss (\S+)", shown)[1]) == loss.item()


@pytest.mark.parametrize("name", ["matmul", "add", "maximum", "dW", "loss", "h", "product"])
def test_fast_programs_call_no_value_like_a_function_they_call(name):
    W, other = drawn(3, 3), drawn(3, 2)
    W.name, other.name = name, "W"
    loss = (np.maximum(0, numbers(4, 3) @ W).relu() @ other).sum() * 2.0
    made = minigrad.source(loss, [W, other], style="fast")
    found = made.run()
    loss.backward()
    names = {id(t): called for called, t in made.names.items()}
    for p in (W, other):
        assert np.array_equal(found[made.gradients[names[id(p)]]], p.grad.numpy())


def test_gradients_that_meet_are_added_up_where_they_are_wanted():
    W = drawn(3, 3)
    x = numbers(4, 3)
    text = str(minigrad.source(((x @ W) + (x * 2 @ W)).sum() + (W * W).sum(), [W], style="fast"))
    assert re.search(r"add\(.*, dW\)", text)
    assert "dW[...]" not in text


def test_data_that_derivatives_are_taken_of_are_no_parameters():
    made = minigrad.source(*physics(np.float64))
    shapes = {name: tuple(t.shape) for name, t in made.names.items()}
    assert shapes["W1"] == (6, 1) and shapes["W2"] == (1, 6) and shapes["x"] == (5, 1)
    assert shapes["b"] == (6,)
    assert not re.search(r"^\w+ = \w+$", str(made), re.MULTILINE)  # nothing but another name
