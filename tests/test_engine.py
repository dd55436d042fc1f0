"""The engine's promises: deep graphs, shared graphs, accumulation, memory, higher order, modes."""

import gc
import time

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.engine import Recorded


def tracked(*values, name=None):
    return minigrad.tensor(list(values), requires_grad=True, name=name)


def random(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).uniform(0.5, 1.5, shape)


# --- deep and shared graphs -----------------------------------------------------------------------


def test_chain_of_100_000_operations():
    x = tracked(1.0)
    y = x
    for _ in range(50_000):
        y = (y + 0.0) * 1.0
    start = time.perf_counter()
    y.sum().backward()
    assert time.perf_counter() - start < 2.0
    assert x.grad.item() == 1.0
    start = time.perf_counter()
    del y  # freeing is no recursion either
    assert time.perf_counter() - start < 2.0


def test_sixty_doublings_take_sixty_steps():
    x = minigrad.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    start = time.perf_counter()
    y.backward()
    assert time.perf_counter() - start < 0.1
    assert x.grad.item() == 2.0**60 == y.item()


def test_node_used_again():
    x = tracked(3.0)
    h = x * 3
    (h * h + h).sum().backward()
    assert x.grad.item() == 2 * 9 * 3 + 3 and h.grad.item() == 19


def test_unfinished_branches_do_not_disturb():
    x = tracked(2.0)
    h = x * 3
    h.exp()  # used, but not by the loss
    with minigrad.no_grad():
        h * 2
    (h * h).sum().backward()
    assert x.grad.item() == 36


def test_equal_constants_are_different_variables():
    a, b = tracked(1.0), tracked(1.0)
    (a * 2 + b * 3).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (2, 3) and a != {b: 1}.get(a, 0)


# --- accumulation ---------------------------------------------------------------------------------


def test_second_backward_doubles_leaf_gradients_exactly():
    w, x = minigrad.tensor(random(3, 2), requires_grad=True), minigrad.tensor(random(4, 3))
    loss = (x @ w).tanh().sum()
    loss.backward()
    first = w.grad.numpy().copy()
    loss.backward(retain_graph=True)
    assert np.array_equal(w.grad.numpy(), 2 * first)


def test_two_losses_that_share_a_subgraph():
    x = tracked(2.0)
    h = x * x
    (3 * h).sum().backward()
    (5 * h).sum().backward()
    assert x.grad.item() == (3 + 5) * 4 and h.grad.item() == 8
    y = tracked(2.0)
    h = y * y
    minigrad.autograd.backward([(3 * h).sum(), (5 * h).sum()])
    assert y.grad.item() == x.grad.item()


def test_intermediate_gradients_equal_retain_grad():
    torch = pytest.importorskip("torch")
    results = []
    for m in (minigrad, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        h = x * x
        y = h.exp()
        for t in (h, y):
            t.retain_grad()
        (y * h).sum().backward(retain_graph=True)
        y.sum().backward()
        results.append([t.grad.tolist() for t in (x, h, y)])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-6)


def test_gradients_of_views_and_of_in_place_results():
    x = tracked(1.0, 2.0, 3.0)
    y = x * 2
    row = y[1:]
    y.mul_(3)
    (y.sum() + row.sum()).backward()
    assert x.grad.tolist() == [6, 12, 12] and y.grad.tolist() == [1, 2, 2]


def test_backward_inputs_touches_only_those():
    a, b = tracked(1.0, 2.0), tracked(3.0, 4.0)
    h = a * b
    loss = (h * h).sum()
    loss.backward(inputs=[b])
    assert a.grad is None and h.grad is None and b.grad.tolist() == [6, 32]
    loss.backward(inputs=a)
    assert a.grad.tolist() == [18, 64] and b.grad.tolist() == [6, 32]


def test_gradient_argument():
    x = tracked(1.0, 2.0)
    for gradient in (
        minigrad.tensor([1.0, 10.0]),
        np.array([1.0, 10.0]),
        [1.0, 10.0],
        minigrad.tensor([1, 10]),
    ):
        x.grad = None
        (x * x).backward(gradient)
        assert x.grad.tolist() == [2, 40] and x.grad.dtype == minigrad.float64


def test_reading_grad_gives_one_tensor_that_follows_accumulation():
    x = tracked(1.0, 2.0, name="x")
    x.sum().backward()
    g = x.grad
    assert (
        g is x.grad
        and isinstance(g, minigrad.Tensor)
        and not g.requires_grad
        and g.name == "x.grad"
    )
    x.sum().backward()
    assert g.tolist() == [2, 2]
    x.grad = None
    assert x.grad is None and g.tolist() == [2, 2]


# --- shape, dtype and memory of gradients ---------------------------------------------------------


def outputs_of_every_operation():
    """(name, inputs, result) of the rows of the table and more, for both float dtypes."""
    for dtype in (minigrad.float64, minigrad.float32):

        def new(*shape, dtype=dtype):
            return minigrad.tensor(random(*shape), dtype=dtype, requires_grad=True)

        for name in (
            "neg abs sign exp expm1 log log1p sqrt square reciprocal sin cos tanh sigmoid relu erf "
            "clone sum mean prod var std amax amin t squeeze flatten T mT"
        ).split():
            a = new(3, 3)
            method = getattr(a, name)
            yield name, (a,), method() if callable(method) else method
        for name in "add sub mul div pow maximum minimum matmul".split():
            a, b = new(3, 3), new(3, 3)
            yield name, (a, b), getattr(a, name)(b)
            a, b = new(2, 3), new(3) if name != "matmul" else new(3, 3)
            yield name, (a, b), getattr(a, name)(b)
        for name, f in {
            "a + a": lambda a, b: a + a,
            "sum(a + b)": lambda a, b: (a + b).sum(),
            "cat": lambda a, b: minigrad.cat([a, b]),
            "stack": lambda a, b: minigrad.stack([a, b, a]),
            "where": lambda a, b: minigrad.where(a > 1, a, b),
            "view": lambda a, b: (a.view(9), b),
            "expand": lambda a, b: a.expand(2, 3, 3) + b,
            "split": lambda a, b: a.split(1),
            "index": lambda a, b: a[0] + b[[0, 1, 1]],
            "permute": lambda a, b: a.permute(1, 0) - b.T,
            "softmax": lambda a, b: a.softmax(0),
            "logsumexp": lambda a, b: a.logsumexp(1),
            "log_softmax": lambda a, b: a.log_softmax(1),
            "clamp": lambda a, b: a.clamp(0.7, 1),
            "masked_fill": lambda a, b: a.masked_fill(b > 1, 0),
            "linear": lambda a, b: nn.functional.linear(a, b, b[0]),
            "max": lambda a, b: a.max(0).values * b,
            "setitem": lambda a, b: setitem(a * 1, b),
            "mixed": lambda a, b: a * b.double(),
        }.items():
            a, b = new(3, 3), new(3, 3)
            yield name, (a, b), f(a, b)


def setitem(a, b):
    a[0] = b[1]
    a += b
    return a


def test_gradients_have_shape_and_dtype_and_memory_of_their_own():
    for name, inputs, result in outputs_of_every_operation():
        results = list(result) if isinstance(result, tuple) else [result]
        starts = [minigrad.ones_like(r) for r in results]
        minigrad.autograd.backward(results, starts)
        graph, found = list(results), []
        while graph:
            t = graph.pop()
            if t.requires_grad and not any(t is f for f in found):
                found.append(t)
                graph += [x for x in t.inputs if isinstance(x, Recorded)]
        arrays = [s.array for s in starts]
        for t in found:
            if t.grad is None:
                assert not any(t is x for x in inputs) or name in (
                    "sign",
                    "linear",
                    "view",
                    "mixed",
                ), name
                continue
            g = t.grad.array
            assert g.shape == t.shape and g.dtype == t.dtype and g.flags.writeable, name
            assert not np.shares_memory(g, t.array), name
            assert not any(np.shares_memory(g, other) for other in arrays), (
                f"{name}: gradients share memory"
            )
            arrays.append(g)
            np.asarray(g)[...] += 1


def test_results_of_grad_share_no_memory():
    for create_graph in (False, True):
        a, b = tracked(1.0, 2.0), tracked(3.0, 4.0)
        start = minigrad.ones(2)
        results = minigrad.autograd.grad(a + b, [a, b, a], start, create_graph=create_graph)
        arrays = [g.array for g in results] + [start.array, a.array, b.array]
        for i, one in enumerate(arrays):
            assert not any(np.shares_memory(one, other) for other in arrays[:i])


def test_memory_returns_to_base_without_the_collector():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, labels = minigrad.tensor(random(5, 4)), minigrad.tensor([0, 2, 1, 0, 2])
    optimizer = minigrad.optim.Adam(net.parameters(), lr=0.01)

    def step():
        loss = nn.functional.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def alive():
        return sum(isinstance(t, Recorded) for t in gc.get_objects())

    for _ in range(2):
        step()
    gc.collect()
    gc.disable()
    gc.freeze()  # objects made so far are not listed: what the steps leave behind is
    try:
        kept = step()
        base, losses = alive(), []
        for _ in range(100):
            losses.append(step())
            assert alive() == base
        kept = [net(x)]
        assert alive() > base  # the count does count
        del kept
    finally:
        gc.unfreeze()
        gc.enable()
    assert losses[-1] < losses[0]


# --- higher order ---------------------------------------------------------------------------------


def test_hessian_of_a_small_network_in_closed_form():
    """L = sum over samples of v . tanh(W x): d2L/dW2 is -2 v y (1 - y^2) x x^T, block by block."""
    W, v, x = random(3, 2), random(3, seed=1), random(5, 2, seed=2)
    weight = minigrad.tensor(W, requires_grad=True)
    loss = ((minigrad.tensor(x) @ weight.T).tanh() @ minigrad.tensor(v)).sum()
    (g,) = minigrad.autograd.grad(loss, weight, create_graph=True)
    hessian = np.array(
        [minigrad.autograd.grad(e, weight)[0].numpy() for e in g.reshape(-1)]
    ).reshape(3, 2, 3, 2)
    y = np.tanh(x @ W.T)
    expected = np.zeros((3, 2, 3, 2))
    for i in range(3):
        curvature = -2 * v[i] * y[:, i] * (1 - y[:, i] ** 2)
        expected[i, :, i, :] = np.einsum("n,na,nb->ab", curvature, x, x)
    np.testing.assert_allclose(hessian, expected, atol=1e-12)


def test_hessian_of_a_two_layer_network_equals_torch():
    torch = pytest.importorskip("torch")
    W, V, x = random(3, 2), random(2, 3, seed=1), random(4, 2, seed=2)

    def loss(m, p):
        w, u = p[:6].reshape(3, 2), p[6:].reshape(2, 3)
        return ((m.tensor(x) @ w.T).tanh() @ u.T).tanh().square().sum()

    flat = np.concatenate([W.ravel(), V.ravel()])
    expected = torch.autograd.functional.hessian(
        lambda p: loss(torch, p), torch.tensor(flat)
    ).numpy()
    p = minigrad.tensor(flat, requires_grad=True)
    (g,) = minigrad.autograd.grad(loss(minigrad, p), p, create_graph=True)
    hessian = np.array([minigrad.autograd.grad(e, p)[0].numpy() for e in g])
    np.testing.assert_allclose(hessian, expected, rtol=1e-10, atol=1e-10)


def test_fifth_derivative():
    x = minigrad.tensor(0.7, requires_grad=True)
    y = x.sin() * x
    for _ in range(5):
        (y,) = minigrad.autograd.grad(y, x, create_graph=True)
    assert y.item() == pytest.approx(0.7 * np.cos(0.7) + 5 * np.sin(0.7), rel=1e-12)


def test_backward_with_create_graph():
    x = tracked(2.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad and x.grad.item() == 12
    penalty = x.grad.square().sum()
    (second,) = minigrad.autograd.grad(penalty, x)
    assert second.item() == 2 * 12 * 12


# --- autograd.grad --------------------------------------------------------------------------------


def test_grad_touches_no_grad():
    x, unused = tracked(3.0), tracked(1.0, name="unused")
    y = x * x
    assert (
        [g.item() for g in minigrad.autograd.grad(y.sum(), x)] == [6]
        and x.grad is None
        and y.grad is None
    )
    with pytest.raises(RuntimeError, match="'unused'.*allow_unused=True"):
        minigrad.autograd.grad((x * x).sum(), [x, unused])
    assert minigrad.autograd.grad((x * x).sum(), [x, unused], allow_unused=True)[1] is None
    zeros = minigrad.autograd.grad((x * x).sum(), [x, unused], materialize_grads=True)[1]
    assert zeros.tolist() == [0]
    a, b = minigrad.autograd.grad(
        [x * 2, x * 3], [x, x], [minigrad.tensor([1.0]), minigrad.tensor([10.0])]
    )
    assert a.tolist() == b.tolist() == [32]
    assert minigrad.autograd.grad(y, [y, x], minigrad.ones(1))[0].tolist() == [1]


def test_freezing_and_unfreezing_between_forward_and_backward_loses_no_gradient():
    w = minigrad.tensor(2.0, requires_grad=True)
    y = w * w
    w.requires_grad_(False).requires_grad_(True)
    y.backward()
    assert w.grad.item() == 4


def test_a_tensor_tracked_only_after_it_was_used_gets_no_gradient_from_that_use():
    x, w = minigrad.tensor(3.0), minigrad.tensor(2.0, requires_grad=True)
    y = x * w
    x.requires_grad_()
    y.backward()
    assert x.grad is None and w.grad.item() == 3
