"""The steps of backward are backward: their sums are its gradients, their rules are NumPy."""

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.engine import Primitive
from minigrad.inspect.steps import BackwardSteps, backward_steps
from tests.nets import Net
from tests.test_draw_labels import executed


def leaf(*shape, name=None, dtype=None):
    values = np.random.default_rng(5).uniform(0.2, 0.9, shape)
    return mg.tensor(values, requires_grad=True, name=name, dtype=dtype)


def neuron():
    w, b, x = leaf(3, name="w"), leaf(name="b"), mg.tensor([1.0, -2.0, 0.5], name="x")
    return ((w @ x + b).tanh() - 1)**2


def xor():
    mg.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = mg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], name="x")
    return nn.MSELoss()(net(x), mg.tensor([[0.0], [1.0], [1.0], [0.0]]))


def walk():
    mg.manual_seed(1)
    return (Net()(mg.randn(5, 2))**2).mean()


def classifier():
    mg.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    return nn.CrossEntropyLoss()(net(mg.randn(5, 4)), mg.tensor([0, 2, 1, 1, 0]))


def residual():
    mg.manual_seed(1)
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    x = mg.randn(4, 3)
    for layer in (first, second, first):  # a layer used twice
        x = x + layer(x).relu()
    return x.sum()


def pictures():
    mg.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(2 * 3 * 3, 2))
    return net(mg.randn(2, 1, 8, 8)).logsumexp(1).sum()


def twice():
    x = leaf(2, 2, name="x")
    return (x + x).sum()


def square():
    x = leaf(2, 2, name="x")
    return (x * x).sum()


def views():
    x = leaf(3, 4, name="x")
    return (x[0] * x.T[:, 1] + x.reshape(2, 6)[1, 2:]).sum()


def rows():
    return (leaf(4, 3, name="x")[mg.tensor([0, 2, 2])]**2).sum()


def in_place():
    x = leaf(3, name="x")
    y = x * 2
    y[0] = 5.0
    y *= x
    y.add_(1.0)
    return (y * y).sum()


def kept_for_its_rule():
    x = leaf(3, name="x")
    y = x * 1.0
    z = y.exp()
    z.mul_(y)
    return (z + y).sum()


def broadcast():
    return (leaf(2, 1, 3, name="x") * leaf(4, 1, name="y") + leaf(name="z")).mean()


def single():
    x, w = leaf(3, 2, name="x", dtype=mg.float32), leaf(2, name="w", dtype=mg.float32)
    return (x @ w).exp().sum()


def empty():
    return leaf(0, 3, name="x").sum()


def infinite():
    x = mg.tensor([0.0, 1.0, math.inf, math.nan], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        return (x.log() + 1 / x + x).sum()


def half_frozen():
    return (leaf(3, name="x").floor() * leaf(3, name="w")).sum()


GRAPHS = [neuron, xor, walk, classifier, residual, pictures, twice, square, views, rows, in_place,
          kept_for_its_rule, broadcast, single, empty, infinite, half_frozen]
each_graph = pytest.mark.parametrize("graph", GRAPHS, ids=lambda f: f.__name__)


@each_graph
def test_the_shares_of_a_tensor_sum_to_its_grad_bit_for_bit(graph):
    loss = graph()
    steps = backward_steps(loss)
    loss.backward()
    total = {}
    for step in steps:
        for share in step.contributions:
            before = total.get(id(share.input))
            with np.errstate(all="ignore"):
                total[id(share.input)] = share.value if before is None else before + share.value
    for step in steps:
        grad = step.node.grad.numpy()
        assert step.incoming.dtype == grad.dtype and step.incoming.shape == grad.shape
        assert np.array_equal(step.incoming, grad, equal_nan=True)
        if step.number > 1:
            assert np.array_equal(total[id(step.node)], grad, equal_nan=True)


@each_graph
def test_a_rule_run_by_numpy_gives_what_was_added_to_the_bit(graph):
    printed = 0
    for step in backward_steps(graph()):
        for share in step.contributions:
            if share.rule is not None:
                printed += 1
                found = executed(share.rule, share.names, step.incoming, share.value.shape)
                if "softmax" in share.rule or "np.sqrt" in share.rule:  # rounded another way
                    np.testing.assert_allclose(found, share.value, rtol=1e-11)
                else:
                    assert np.array_equal(found, share.value, equal_nan=True), share.line
    assert printed or graph is empty


@each_graph
def test_a_node_is_reached_after_everything_that_sends_to_it(graph):
    steps = backward_steps(graph())
    number = {id(step.node): step.number for step in steps}
    assert len(number) == len(steps) and [s.number for s in steps] == [*range(1, len(steps) + 1)]
    for step in steps:
        assert all(number[id(share.input)] > step.number for share in step.contributions)
        assert (step.op is None) == (step.node.op is None)


@each_graph
def test_running_totals_end_at_the_gradient(graph):
    steps = backward_steps(graph())
    grads = {id(step.node): step.incoming for step in steps}
    for step in steps:
        for share in step.contributions:
            assert (share.before is None) == (share.part == 1)
            if share.part == share.parts:
                assert np.array_equal(share.after, grads[id(share.input)], equal_nan=True)


@each_graph
def test_the_table_has_80_columns_and_every_step(graph):
    steps = backward_steps(graph())
    lines = str(steps).splitlines()
    assert max(map(len, lines)) <= 80 and str(steps).isascii()
    assert [line.split()[0] for line in lines[1:] if line[3:4].isdigit()] == [
        str(step.number) for step in steps]
    assert sum(".grad +=" in line or ".grad[" in line or "np.add.at" in line for line in lines) >= (
        sum(len(step.contributions) for step in steps))


def test_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    x, w = np.random.default_rng(0).normal(size=(2, 3, 3))
    mine = [mg.tensor(a, requires_grad=True) for a in (x, w)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    kept = []
    for a, b in (mine, theirs):
        h = (a @ b).tanh()
        kept += [h, ((h + a) * h).sum()]
    theirs_h, theirs_loss = kept[2:]
    theirs_h.retain_grad()
    theirs_loss.backward()
    found = {id(step.node): step.incoming for step in backward_steps(kept[1])}
    for t, other in zip((*mine, kept[0]), (*theirs, theirs_h)):
        np.testing.assert_allclose(found[id(t)], other.grad.numpy(), rtol=1e-12)


def test_the_table_of_one_neuron_reads_like_the_calculus():
    x, y = mg.tensor(1.5, name="x"), mg.tensor(1.0, name="y")
    w = mg.tensor(0.5, requires_grad=True, name="w")
    z = w * x
    z.name = "z"
    h = z.tanh()
    h.name = "h"
    loss = (h - y)**2 + 0.1 * w**2
    loss.name = "L"
    g = 2 * (math.tanh(0.75) - 1)
    dz = g * (1 - math.tanh(0.75)**2)
    text = str(backward_steps(loss))
    assert "h = tanh(z)" in text and "z.grad += g * (1 - h**2)" in text
    assert f"{g:.3f} * (1 - {math.tanh(0.75):.3f}**2) = {dz:.3f}" in text
    assert f"2 of 2 shares: w.grad so far 0.100, now - {-dz * 1.5:.3f} = " \
           f"{0.1 + dz * 1.5:.3f}, complete" in text


def test_powers_of_negative_numbers_have_their_parentheses():
    h = mg.tensor(-0.5, requires_grad=True, name="h")
    share = backward_steps(h.tanh())[0].contributions[0]
    value = math.tanh(-0.5)
    assert share.worked == f"1.00 * (1 - (-{-value:.3f})**2) = {1 - value**2:.3f}"


def test_x_plus_x_sends_two_shares():
    step = backward_steps(twice())[1]
    assert [(s.name, s.rule, s.part, s.parts) for s in step.contributions] == [
        ("x", "g", 1, 2), ("x", "g", 2, 2)]


def test_grads_are_left_alone_whether_or_not_backward_ran():
    loss = xor()
    before = str(backward_steps(loss))
    assert all(step.node.grad is None for step in backward_steps(loss))
    loss.backward()
    loss.backward()
    held = {id(step.node): step.node.grad.numpy().copy() for step in backward_steps(loss)}
    again = backward_steps(loss)
    assert str(again) == before
    for step in again:
        assert np.array_equal(step.node.grad.numpy(), held[id(step.node)])
        assert not np.shares_memory(step.incoming, step.node.grad.numpy())


def test_the_numbers_cannot_be_changed_and_do_not_change():
    w = leaf(2, name="w")
    steps = backward_steps((w * w).sum())
    text, incoming = str(steps), steps[1].incoming.copy()
    with mg.no_grad():
        w.mul_(3.0)
    assert str(steps) == text and np.array_equal(steps[1].incoming, incoming)
    with pytest.raises(ValueError, match="read-only"):
        steps[0].incoming[...] = 1.0


def test_steps_are_a_sequence():
    steps = backward_steps(neuron())
    assert isinstance(steps, BackwardSteps) and [*steps] == [*steps]
    assert steps[-1] is [*steps][len(steps) - 1] and len(steps[1:3]) == 2
    assert repr(steps) == f"<BackwardSteps of L: {len(steps)} steps>"
    assert repr(steps[0]) == "<BackwardStep 1: L>" and str(steps[0]) in str(steps)


def test_another_gradient_than_one():
    x = leaf(3, name="x")
    y = x**2
    steps = backward_steps(y, [1.0, 0.0, -2.0])
    assert np.array_equal(steps[0].incoming, [1.0, 0.0, -2.0])
    assert np.array_equal(steps[-1].incoming, np.array([1.0, 0.0, -2.0]) * 2 * x.numpy())


def test_a_leaf_alone_is_one_step():
    steps = backward_steps(mg.tensor(2.0, requires_grad=True, name="x"))
    assert len(steps) == 1 and steps[0].op is None and steps[0].contributions == []


def test_a_rule_that_runs_on_arrays_only_has_no_text():
    row = Primitive(lambda x: np.cbrt(x), lambda g, y, x: g / (3 * np.frombuffer(y.tobytes())**2),
                    name="cube_root")
    x = leaf(2, name="x")
    step = backward_steps(row(x).sum())[1]
    share = step.contributions[0]
    assert share.rule is None and share.worked == ""
    assert share.line == "x.grad += rule of cube_root (no NumPy text)" and share.line in str(step)
    np.testing.assert_allclose(share.value, 1 / (3 * np.cbrt(x.numpy())**2))


def test_words_that_are_not_the_name_of_their_tensor_are_explained():
    text = str(backward_steps(xor()))
    assert "2.weight.grad += g.T @ v2" in text and "where weight_2 is 2.weight" in text


def test_strange_names_stay_on_their_line():
    x = mg.tensor([1.0, 2.0], requires_grad=True, name='a"<b>\n</script>')
    steps = backward_steps((x * 3).sum())
    assert all(line.startswith(("   ", "backward")) for line in str(steps).splitlines())
    page = steps._repr_mimebundle_()["text/html"]
    assert "<b>" not in page and "</script>" not in page


def test_a_notebook_gets_a_table():
    bundle = backward_steps(xor())._repr_mimebundle_()
    assert bundle["text/plain"] == str(backward_steps(xor()))
    assert bundle["text/html"].startswith("<table>") and "g * (1 - v2**2)" in bundle["text/html"]


def test_a_deep_graph_needs_no_recursion():
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0001
    steps = backward_steps(y)
    assert len(steps) == 3001
    np.testing.assert_allclose(steps[-1].incoming, 1.0001**3000, rtol=1e-9)


def test_what_backward_refuses_is_refused():
    x = leaf(2, name="x")
    with pytest.raises(TypeError, match="expected one Tensor, got list"):
        backward_steps([x])
    with pytest.raises(RuntimeError, match="only for scalar outputs"):
        backward_steps(x * 2)
    with pytest.raises(RuntimeError, match="does not require grad"):
        backward_steps(mg.tensor(1.0))
    with pytest.raises(RuntimeError, match="gradient has shape"):
        backward_steps(x * 2, [1.0])
    y = (x * x).sum()
    with mg.no_grad():
        x.add_(1.0)
    with pytest.raises(RuntimeError, match="was changed in place"):
        backward_steps(y)


@pytest.mark.parametrize("W", [
    [[1.4, -1.8], [0.3, -0.3]], [[-0.0599, -0.0967], [-0.0168, -0.0411]],
    [[-1.25e-5, -1.5e-5], [-2.5e-5, -1e-5]], [[1.0, 2.0], [np.nan, -np.inf]]])
@pytest.mark.parametrize("name", ["W", "a_rather_long_name_of_a_matrix_of_weights_of_a_layer"])
def test_a_matrix_of_two_by_two_shows_its_numbers(W, name):
    W = mg.tensor(W, requires_grad=True, name=name)
    steps = backward_steps((W * W).sum())
    lines = str(steps).splitlines()
    assert max(map(len, lines)) <= 80
    shown = [re.search(r"(?:g|\+|now|is)  ?(\S+ \S+ \S+ \S+)$", line) for line in lines]
    shown = [np.array([float(word.rstrip(",")) for word in m[1].split()]) for m in shown if m]
    expected = [np.ones(4), W.numpy().ravel(), 2 * W.numpy().ravel()]
    for numbers in expected:
        assert any(np.allclose(numbers, found, rtol=6e-3, atol=0, equal_nan=True)
                   for found in shown), numbers
    five = mg.tensor(np.ones(5), requires_grad=True, name="five")
    assert "rms 1.00" in str(backward_steps(five.sum()))
