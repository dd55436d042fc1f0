"""NumPy on either side, recording switched on and off, names, primitives of one's own."""

import threading

import numpy as np
import pytest

import minigrad
from minigrad.gradcheck import gradcheck


def tracked(*values, name=None):
    return minigrad.tensor(list(values), requires_grad=True, name=name)


# --- NumPy on either side -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [np.array([2.0, 3.0]), np.array(2.0), np.float64(2.0), np.float32(2.0), np.int64(2)],
    ids=lambda a: f"{type(a).__name__}{a.shape}{a.dtype}",
)
def test_numpy_on_either_side(array):
    operations = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
    ]
    if array.ndim:
        operations.append(lambda a, b: a @ b)
    for operation in operations:
        for flip in (False, True):
            t = tracked(1.5, 2.5)
            y = operation(array, t) if flip else operation(t, array)
            plain = operation(array, t.array) if flip else operation(t.array, array)
            assert type(y) is minigrad.Tensor and y.dtype == minigrad.float64 and y.requires_grad
            np.testing.assert_allclose(y.detach().numpy(), plain, rtol=1e-7)
            y.sum().backward()
            assert t.grad.shape == (2,)
    t = minigrad.tensor([1.5, 2.5])
    for compare in (
        lambda a, b: a < b,
        lambda a, b: a == b,
        lambda a, b: a >= b,
        lambda a, b: a != b,
    ):
        for result, plain in (
            (compare(t, array), compare(t.array, array)),
            (compare(array, t), compare(array, t.array)),
        ):
            assert type(result) is minigrad.Tensor and result.tolist() == plain.tolist()


def test_numpy_functions_are_recorded_or_refused():
    x = tracked(0.5, 1.5)
    for f in (
        np.tanh,
        np.exp,
        np.sqrt,
        np.square,
        np.abs,
        np.negative,
        np.reciprocal,
        np.sum,
        np.mean,
        np.max,
        np.log1p,
    ):
        assert gradcheck(f, x)
    y = np.concatenate([x, np.stack([x[0], x[1]])])
    assert type(y) is minigrad.Tensor and y.requires_grad
    for f in (
        np.cbrt,
        np.median,
        np.fft.fft,
        np.linalg.svd,
        np.add.reduce,
        lambda t: np.add(t, 1, where=[True, False]),
    ):
        with pytest.raises(TypeError, match="no derivative rule"):
            f(x)
    with pytest.raises(TypeError, match=r"detach\(\)"):
        np.asarray(x)
    a = np.ones(2)
    with pytest.raises(TypeError, match="in place"):
        a += x


def test_numbers_on_either_side():
    x = tracked(0.5, 1.5)
    for f in (
        lambda x: 1 - x,
        lambda x: 2 / x,
        lambda x: 2**x,
        lambda x: x**3,
        lambda x: -x,
        lambda x: abs(x),
        lambda x: +x,
        lambda x: x**x,
        lambda x: sum(x),
        lambda x: True * x,
    ):
        assert gradcheck(f, x, order=2)


# --- recording ------------------------------------------------------------------------------------


def test_modes_as_contexts():
    x = tracked(1.0)
    with minigrad.no_grad():
        assert not (x * 2).requires_grad and not minigrad.is_grad_enabled()
        with minigrad.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        assert minigrad.tensor(
            [1.0], requires_grad=True
        ).requires_grad  # leaves are as they are told
    with minigrad.inference_mode(), pytest.raises(KeyError):
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad and minigrad.is_grad_enabled()
    with minigrad.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    minigrad.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    minigrad.set_grad_enabled(True)
    assert (x * 2).requires_grad


def test_modes_as_decorators():
    x = tracked(1.0)

    @minigrad.no_grad()
    def quiet(x):
        """its docstring"""
        return x * 2

    loud = minigrad.enable_grad()(lambda x: x * 2)
    assert (
        not quiet(x).requires_grad
        and quiet.__doc__ == "its docstring"
        and quiet.__name__ == "quiet"
    )
    assert not minigrad.no_grad(lambda x: x * 2)(x).requires_grad
    assert not minigrad.inference_mode()(lambda x: x * 2)(x).requires_grad
    assert not minigrad.set_grad_enabled(False)(lambda x: x * 2)(x).requires_grad
    with minigrad.no_grad():
        assert loud(x).requires_grad
    assert minigrad.is_grad_enabled()


def test_each_thread_has_its_own_mode():
    x, seen, inside, leave = tracked(1.0), [], threading.Event(), threading.Event()

    def other():
        with minigrad.no_grad():
            inside.set()
            leave.wait(5)
            seen.append((x * 2).requires_grad)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(5)
    assert (x * 2).requires_grad
    leave.set()
    thread.join()
    assert seen == [False]


def test_threads_compute_gradients_side_by_side():
    results = [None] * 4

    def work(k):
        x = tracked(float(k + 1))
        y = x
        for _ in range(300):
            y = y * 1.0 + x
        y.sum().backward()
        results[k] = x.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert results == [301.0] * 4


def test_detach_shares_memory_and_cuts_the_graph():
    x = tracked(1.0, 2.0, name="x")
    y = x * 2
    d = y.detach()
    assert not d.requires_grad and d.is_leaf and np.shares_memory(d.array, y.array)
    (d * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="does not require grad"):
        (d * 2).sum().backward()


def test_integers_and_booleans_carry_no_gradient():
    x = tracked(1.5, -2.5)
    for t in (x.long(), x > 0, x.argmax(), x.int() + 1, minigrad.where(x > 0), x.bool()):
        for each in t if isinstance(t, tuple) else (t,):
            assert not each.requires_grad and each.is_leaf


# --- names, leaves, determinism -------------------------------------------------------------------


def test_names_and_leaves():
    w = tracked(1.0, name="weight")
    y = w * 2
    assert w.name == "weight" and "name='weight'" in repr(w) and w.grad_fn is None and w.is_leaf
    assert not y.is_leaf and y.grad_fn.name == "mul" and "mul" in repr(y)
    assert w.detach().requires_grad_().requires_grad and not w.detach().requires_grad
    y.detach_()
    assert y.is_leaf and not y.requires_grad


def test_freezing_and_unfreezing():
    w = tracked(2.0)
    w.requires_grad_(False)
    assert not (w * 2).requires_grad
    w.requires_grad_(True)
    (w * w).sum().backward()
    assert w.grad.item() == 4


def test_two_runs_are_equal_to_the_bit():
    def run():
        minigrad.manual_seed(0)
        x, w = minigrad.randn(6, 5), minigrad.randn(5, 4, requires_grad=True)
        h = (x @ w).tanh()
        (h.softmax(1).log() * h.sigmoid() + h.T.reshape(6, 4)).sum().backward()
        return w.grad.numpy().tobytes()

    assert run() == run()


# --- primitives of one's own ----------------------------------------------------------------------


def test_custom_primitive():
    cube = minigrad.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2, name="cube")
    x = tracked(1.0, 2.0)
    y = cube(x)
    y.sum().backward()
    assert x.grad.tolist() == [3, 12] and y.grad_fn is cube and gradcheck(cube, x, order=2)
    assert cube(np.array([2.0])).tolist() == [8]  # on arrays it is just its function
    assert cube(minigrad.tensor([2])).dtype == minigrad.int64


def test_custom_primitive_with_options_broadcasting_and_constants():
    scaled = minigrad.primitive(
        lambda x, b, *, k: k * x * b,
        lambda g, y, x, b, *, k: g * k * b,
        lambda g, y, x, b, *, k: g * k * x,
        name="scaled",
    )
    assert gradcheck(
        lambda x, b: scaled(x, b, k=3.0),
        (minigrad.rand(4, 3, requires_grad=True), tracked(1.0, 2.0, 3.0)),
        order=2,
    )
    constant = minigrad.primitive(np.multiply, None, lambda g, z, x, w: g * x, name="weighted")
    a, w = tracked(1.0, 2.0), tracked(3.0, 4.0)
    constant(a, w).sum().backward()
    assert a.grad is None and w.grad.tolist() == [1, 2]


def test_a_rule_may_return_none_for_no_gradient():
    stop = minigrad.primitive(np.copy, lambda g, *_: None, name="stop")
    x = tracked(3.0)
    (stop(x) * x).sum().backward()
    assert x.grad.item() == 3
    y = tracked(3.0)
    stop(y).sum().backward()
    assert y.grad is None


def test_a_rule_may_return_the_gradient_itself_or_a_number():
    same = minigrad.primitive(lambda a, b: a + b, lambda g, *_: g, lambda g, *_: g, name="plus")
    a, b = tracked(1.0), tracked(2.0)
    y = same(a, b)
    y.sum().backward()
    assert not np.shares_memory(a.grad.array, b.grad.array) and not np.shares_memory(
        a.grad.array, y.grad.array
    )
    number = minigrad.primitive(lambda x: 2 * x, lambda g, *_: 2.0, name="two")
    x = minigrad.tensor(1.0, requires_grad=True)
    number(x).backward()
    assert x.grad.item() == 2
