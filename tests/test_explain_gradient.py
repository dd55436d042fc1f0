"""explain(loss, w, index): the paths, their contributions and the text, against other means."""

import math
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.inspect.paths import explain

EPS = 1e-6


def leaf(value, name=None, dtype=None):
    t = mg.tensor(value, dtype=dtype, requires_grad=True)
    t.name = name
    return t


def slope(function, array, index):
    """d function / d array[index] by central differences; array is left as it was."""
    value = array[index]
    array[index] = value + EPS
    above = function(array)
    array[index] = value - EPS
    below = function(array)
    array[index] = value
    return (above - below) / (2 * EPS)


def gradient_of(loss, w, index):
    """What backward() says."""
    return float(mg.grad(loss, w, retain_graph=True)[0].numpy()[index])


def consistent(e, rtol=1e-12):
    """Uses sum to the gradient, paths and remainder too, and each path's steps to its part."""
    scale = sum(abs(p.contribution) for p in e.paths) + abs(e.gradient) + 1e-300
    assert abs(sum(u.share for u in e.uses) - e.gradient) <= rtol * scale
    total = sum(p.contribution for p in e.paths) + e.remainder
    assert abs(total - e.gradient) <= rtol * scale
    for p in e.paths:
        for step in p.locals:
            assert step.share == pytest.approx(p.contribution, rel=100 * rtol, abs=rtol * scale)
    assert all(len(line) <= 80 for line in str(e).splitlines())


# --- by hand --------------------------------------------------------------------------------------

def test_a_chain_of_numbers_reads_as_in_calculus_class():
    w, x, y = leaf(3.0, "w"), mg.tensor(2.0), mg.tensor(5.0)
    x.name, y.name = "x", "y"
    p = w * x
    p.name = "p"
    e = p - y
    e.name = "e"
    loss = e**2
    found = explain(loss, w)
    assert found.gradient == 2 * (3 * 2 - 5) * 2
    assert "dL/dw = dL/de * de/dp * dp/dw = 2 * 1 * 2 = 4" in str(found)
    assert "dp/dw = x = 2" in str(found) and "dL/de = 2 * e = 2" in str(found)
    assert [None if s.derivative is None else s.derivative.item()
            for s in found.paths[0].locals] == [None, 2, 1, 2]


def test_w_times_w_has_two_paths():
    w = leaf(3.0, "w")
    e = explain(w * w, w)
    assert e.total_paths == 2 and [u.share for u in e.uses] == [3, 3]
    assert sorted(u.position for u in e.uses) == [0, 1]
    assert "(input 1)" in str(e) and "all paths together: 3 + 3 = 6" in str(e)


def test_paths_are_sorted_by_size():
    w = leaf(2.0)
    e = explain(w * 3 + w * -5 + w, w)
    assert [p.contribution for p in e.paths] == [-5, 3, 1]
    assert e.exact and e.remainder == 0


def test_the_loss_itself_is_a_path_of_one_tensor():
    w = leaf(2.0)
    loss = w * 3
    e = explain(loss, loss)
    assert e.gradient == 1 and e.total_paths == 1 and e.uses == []
    assert str(e)


# --- networks against finite differences ----------------------------------------------------------

X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
Y = np.array([[0.0], [1], [1], [0]])


@pytest.fixture
def net():
    mg.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid())


def test_xor_steps_are_the_differences_of_each_tensor(net, rng):
    loss = nn.MSELoss()(net(mg.tensor(X)), mg.tensor(Y))
    e = explain(loss, "0.weight", (2, 1))
    w, b, v, c = [p.detach().numpy().copy() for p in net.parameters()]

    def layers(w):
        z = X @ w.T + b
        h = np.tanh(z)
        o = h @ v.T + c
        s = 1 / (1 + np.exp(-o))
        return [z, h, o, s, s - Y, (s - Y)**2, np.mean((s - Y)**2)]
    path = e.paths[0]
    assert len(path.locals) == 8
    for k, step in enumerate(path.locals[1:]):
        expected = slope(lambda w: layers(w)[k], w, (2, 1))
        np.testing.assert_allclose(step.change, expected, atol=1e-8)
    np.testing.assert_allclose(path.locals[2].derivative, 1 - layers(w)[1]**2, atol=1e-12)
    assert e.gradient == gradient_of(loss, net[0].weight, (2, 1))
    consistent(e)
    assert "1 - v2**2" in str(e)


def test_each_use_of_a_tied_weight_is_its_own_finite_difference(rng):
    w, x = rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    W = leaf(w.copy(), "W")
    h = (mg.tensor(x) @ W).tanh()
    loss = ((h @ W.T)**2).mean()
    e = explain(loss, W, (0, 1))

    def value(first, second):
        return np.mean((np.tanh(x @ first) @ second.T)**2)
    shares = {u.tensor.op.name: u.share for u in e.uses}
    assert shares["matmul"] == pytest.approx(slope(lambda a: value(a, w), w.copy(), (0, 1)), 1e-6)
    assert shares["permute"] == pytest.approx(slope(lambda a: value(w, a), w.copy(), (0, 1)), 1e-6)
    consistent(e)


def test_residual_paths_are_differences_with_the_other_branch_held_still(rng):
    x = rng.normal(size=(2, 3))
    w = rng.normal(size=(3, 3))
    X = leaf(x.copy(), "x")
    loss = ((X + (X @ mg.tensor(w)).tanh())**2).sum()
    e = explain(loss, X, (1, 2))
    skip = slope(lambda a: ((a + np.tanh(x @ w))**2).sum(), x.copy(), (1, 2))
    block = slope(lambda a: ((x + np.tanh(a @ w))**2).sum(), x.copy(), (1, 2))
    by_length = {len(p.tensors): p.contribution for p in e.paths}
    assert by_length[4] == pytest.approx(skip, rel=1e-6)
    assert by_length[6] == pytest.approx(block, rel=1e-6)
    consistent(e)


def test_rnn_shows_every_time_step():
    mg.manual_seed(0)
    net = nn.RNN(1, 3, batch_first=True)
    out, _ = net(mg.randn(2, 6, 1))
    loss = (out[:, -1]**2).sum()
    e = explain(loss, net.weight_hh_l0, (0, 1))
    assert len(e.uses) == 6 and {u.where for u in e.uses} == {"RNN"}
    assert e.gradient == gradient_of(loss, net.weight_hh_l0, (0, 1))
    assert e.total_paths == 21
    consistent(e)


def test_a_module_used_twice_names_where():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    h = net(mg.ones(1, 2))
    loss = net(h).sum()
    e = explain(loss, net[0].weight, (0, 0))
    assert [u.where for u in e.uses] == ["0", "0"] and "in 0" in str(e)
    consistent(e)


CASES = {
    "broadcast": lambda w: (mg.ones(4, 3) * w).exp().mean(),
    "several dims": lambda w: (mg.ones(2, 4, 1) + w).square().sum(),
    "gather": lambda w: (w[mg.tensor([0, 2, 2])]**3).sum(),
    "slices": lambda w: (w[1:] * w[:-1]).sum(),
    "cat": lambda w: (mg.cat([w, w * 2]) ** 2).sum(),
    "stack": lambda w: mg.stack([w, w.sin()]).prod(),
    "softmax": lambda w: (w.softmax(0) * mg.tensor([1.0, 2, 3])).sum(),
    "logsumexp": lambda w: w.logsumexp(0),
    "cross_entropy": lambda w: nn.functional.cross_entropy(
        mg.tensor([[1.0, 2, 3], [3, 1, 1]]) * w, mg.tensor([0, 2])),
    "max": lambda w: (w * mg.tensor([[1.0, 2, 3], [6, 1, 1]])).max(1).values.sum(),
    "var": lambda w: w.var(),
    "norm": lambda w: w.norm(),
    "cumsum": lambda w: (w.cumsum(0)**2).sum(),
    "cumprod": lambda w: w.cumprod(0).sum(),
    "where": lambda w: mg.where(w > 0, w * 2, w.exp()).sum(),
    "outer": lambda w: mg.outer(w, w).tanh().sum(),
    "einsum": lambda w: mg.einsum("i,j,ij->", w, w, mg.ones(3, 3)),
    "layer norm": lambda w: (nn.functional.layer_norm(
        w, (3,)) * mg.tensor([1.0, 2, 4])).sum(),
    "reshape": lambda w: (w.reshape(3, 1) @ w.reshape(1, 3)).tanh().sum(),
    "double power": lambda w: (w.abs() ** w).sum(),
    "std": lambda w: w.std() * w.mean(),
    "embedding": lambda w: nn.functional.embedding(
        mg.tensor([0, 0, 2]), w.reshape(3, 1)).exp().sum(),
    "clamp": lambda w: (w.clamp(-1, 0.5) * w).sum(),
    "minimum": lambda w: mg.minimum(w, w * w).sum(),
}


@pytest.mark.parametrize("name", CASES)
def test_every_operation_is_read_forwards_as_well(name):
    function, values = CASES[name], np.array([0.3, -0.7, 1.1])
    for index in range(3):
        w = leaf(values.copy(), "w")
        loss = function(w)
        e = explain(loss, w, index)
        numeric = slope(lambda a: float(function(mg.tensor(a)).item()), values.copy(), index)
        assert e.gradient == pytest.approx(numeric, rel=1e-5, abs=1e-8)
        assert all(step.change is not None for p in e.paths for step in p.locals)
        consistent(e)


def test_convolution():
    mg.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(2, 3))
    x = mg.randn(3, 1, 4, 4)
    loss = nn.CrossEntropyLoss()(net(x), mg.tensor([0, 2, 1]))
    e = explain(loss, "0.weight", (1, 0, 1, 2))
    assert e.gradient == gradient_of(loss, net[0].weight, (1, 0, 1, 2))
    step, w = e.paths[0].locals[1], net[0].weight.detach().numpy().copy()

    def first(w):
        return nn.functional.conv2d(x, mg.tensor(w), stride=2, padding=1).numpy()
    np.testing.assert_allclose(step.change, slope(first, w, (1, 0, 1, 2)), atol=1e-8)
    consistent(e)


def test_torch_agrees(doubles, net):
    import torch
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1),
                                 torch.nn.Sigmoid())
    with torch.no_grad():
        for p, q in zip(theirs.parameters(), net.parameters()):
            p.copy_(torch.tensor(q.detach().numpy()))
    torch.nn.MSELoss()(theirs(torch.tensor(X)), torch.tensor(Y)).backward()
    loss = nn.MSELoss()(net(mg.tensor(X)), mg.tensor(Y))
    for index in np.ndindex(4, 2):
        assert explain(loss, net[0].weight, index).gradient == pytest.approx(
            theirs[0].weight.grad[index].item(), rel=1e-12)


def test_two_uses_by_one_record_are_kept_apart(rng):
    w = rng.normal(size=(3, 3))
    W = leaf(w.copy(), "W")
    e = explain((W @ W).tanh().sum(), W, (0, 2))
    first = slope(lambda a: np.tanh(a @ w).sum(), w.copy(), (0, 2))
    second = slope(lambda a: np.tanh(w @ a).sum(), w.copy(), (0, 2))
    assert {u.position: u.share for u in e.uses} == pytest.approx({0: first, 1: second}, rel=1e-6)
    consistent(e)
    w = leaf(2.0, "w")
    e = explain(w - w * 3, w)
    assert {tuple(p.positions): p.contribution for p in e.paths} == {(0,): 1, (0, 1): -3}


# --- many paths, long paths -----------------------------------------------------------------------

class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.inner = nn.Linear(n, n)

    def forward(self, x):
        return x + self.inner(x).tanh()


def test_a_million_paths_are_counted_and_the_shown_ones_leave_a_remainder():
    mg.manual_seed(0)
    net = nn.Sequential(*[Block(4) for _ in range(20)])
    x = leaf(np.ones((3, 4)), "x")
    loss = (net(x)**2).mean()
    start = time.perf_counter()
    e = explain(loss, x, (0, 1))
    text = str(e)
    assert time.perf_counter() - start < 1
    assert e.total_paths == 2**20 and len(e.paths) == 10 and not e.exact
    assert "and 1,048,566 more paths" in text and "others may be as large" in text
    consistent(e, rtol=1e-10)


def test_among_scalars_the_largest_of_a_million_paths_are_certain():
    factors = [(1.0, 0.3), (0.5, -0.9), (1.1, 0.2), (0.7, 0.6)] * 5
    x = leaf(1.0, "x")
    h = x
    for a, b in factors:
        h = h * a + h * b
    e = explain(h, x, limit=7)
    assert e.total_paths == 2**20 and e.exact
    products = np.ones(1)
    for a, b in factors:
        products = np.concatenate([products * a, products * b])
    expected = np.sort(np.abs(products))[::-1][:7]
    np.testing.assert_allclose([abs(p.contribution) for p in e.paths], expected, rtol=1e-12)


def test_what_is_found_among_too_many_vector_paths_is_true_and_large(rng):
    matrices, x = rng.normal(size=(8, 3, 3)) / 2, leaf(rng.normal(size=3), "x")
    h = x
    for m in matrices:
        h = h + mg.tensor(m) @ h
    e = explain((h * mg.tensor([1.0, -1, 2])).sum(), x, 1)
    products = [np.eye(3)[1]]
    for m in matrices:
        products += [m @ u for u in products]
    every = np.array(products) @ [1, -1, 2]
    assert e.total_paths == 256 and not e.exact
    found = np.array([p.contribution for p in e.paths])
    assert np.abs(every[:, None] - found).min(axis=0).max() < 1e-12
    largest = np.sort(np.abs(every))[::-1][:10]
    assert abs(found[0]) == pytest.approx(largest[0]) and np.abs(found).sum() > 0.9 * largest.sum()
    consistent(e)


def test_with_few_paths_none_is_missed_whatever_the_limit(rng):
    x = leaf(rng.normal(size=3), "x")
    h = x
    for _ in range(6):
        h = h * 0.5 + h.tanh()
    loss = h.sum()
    every = explain(loss, x, 0, limit=100)
    few = explain(loss, x, 0, limit=3)
    assert every.total_paths == 64 == len(every.paths) and every.remainder == 0
    assert [p.contribution for p in few.paths] == [p.contribution for p in every.paths[:3]]
    consistent(every)
    consistent(few)


def test_ten_thousand_operations_in_a_row():
    x = leaf([1.0, 2.0], "x")
    h = x
    for _ in range(10_000):
        h = h * 0.9999
    e = explain(h.sum(), x, 1)
    assert e.gradient == pytest.approx(0.9999**10_000, rel=1e-10)
    assert len(e.paths[0].tensors) == 10_002 and "9,989 more steps" in str(e)
    assert len(str(e).splitlines()) < 40


def test_ten_thousand_forks_have_as_many_digits():
    x = leaf(1.0, "x")
    h = x
    for _ in range(3000):
        h = (h + h) * 0.5
    e = explain(h, x)
    assert e.total_paths == 2**3000 and e.gradient == 1 and str(e)


# --- where nothing arrives ------------------------------------------------------------------------

def test_a_dead_relu_is_named():
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with mg.no_grad():
        net[0].bias[2] = -50.0
    e = explain(net(mg.tensor(X)).sum(), "0.weight", (2, 1))
    assert e.gradient == 0 and "dead relu" in str(e) and "Cut at v2" in str(e)
    consistent(e)


def test_a_sum_that_cancels_is_no_cut():
    w = leaf([1.0, 2.0], "w")
    e = explain((w * mg.tensor([[1.0], [-1.0]])).sum(), w, 0)
    assert e.gradient == 0 and "cancels" in str(e)


def test_a_number_that_was_not_picked_has_no_gradient():
    w = leaf([1.0, 2.0, 3.0], "w")
    e = explain(w[0] * 2 + w[2], w, 1)
    assert e.gradient == 0 and e.total_paths == 2 and "exactly 0" not in str(e).split("path 1")[0]
    assert "takes nothing" in str(e)


def test_nan_and_infinity_are_shown():
    w = leaf([0.0, 4.0], "w")
    e = explain(w.sqrt().sum(), w, 0)
    assert e.gradient == math.inf and "inf" in str(e)
    e = explain((w.sqrt() * 0).sum(), w, 0)
    assert math.isnan(e.gradient) and math.isnan(e.paths[0].contribution) and "nan" in str(e)
    e = explain(w.sqrt().sum(), w, 1)  # infinity beside it does not spoil the other's steps
    assert e.gradient == 0.25
    consistent(e)
