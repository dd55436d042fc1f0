"""minigrad.explain(loss, w) for every kind of tensor: dtypes, views, in-place changes, odd names."""

import numpy as np
import pytest
import minigrad as mg
from minigrad import nn
from minigrad.inspect.paths import explain
from test_explain_gradient import leaf, gradient_of, consistent, X, Y, net  # noqa: F401


# --- kinds of tensors -----------------------------------------------------------------------------

def test_float32_stays_float32(net):
    net.float()
    loss = nn.MSELoss()(net(mg.tensor(X, dtype=mg.float32)), mg.tensor(Y, dtype=mg.float32))
    e = explain(loss, "0.weight", (1, 1))
    assert {s.change.dtype for s in e.paths[0].locals} == {np.dtype("float32")}
    consistent(e, rtol=1e-5)


def test_a_cast_on_the_way():
    w = leaf([1.0, 2.0], "w", dtype=mg.float32)
    e = explain((w.double()**2).sum(), w, 1)
    assert e.gradient == 4
    consistent(e)


def test_results_in_between_and_inputs_can_be_asked(net):
    h = net[1](net[0](mg.tensor(X)))
    loss = net[3](net[2](h)).sum()
    e = explain(loss, h, (1, 2))
    assert e.gradient == gradient_of(loss, h, (1, 2))
    assert e.paths[0].tensors[0] is h
    consistent(e)
    assert explain(loss, e.words.names[id(h)], (1, 2)).gradient == e.gradient


def test_a_loss_of_several_numbers_needs_a_gradient():
    w = leaf([1.0, 2.0], "w")
    y = w * w
    with pytest.raises(RuntimeError, match="scalar"):
        explain(y, w, 0)
    e = explain(y, w, 1, gradient=mg.tensor([5.0, 7.0]))
    assert e.gradient == 2 * 2 * 7
    consistent(e)
    e = explain(w[1] * 3, w, 1, gradient=2.0)
    assert e.gradient == 6
    consistent(e)


def test_a_given_gradient_is_a_factor_of_the_product():
    w = leaf(3.0, "w")
    text = str(explain(w * w.detach() * 2, w, gradient=5.0))
    assert "dL/dw * gradient" in text and "5 * 2 * 3 = 30" in text


def test_single_numbers_of_any_shape():
    w = leaf([[3.0]], "w")
    e = explain((w * mg.tensor([2.0])).mean(), w)
    assert e.gradient == 2 and "dL/dw" in str(e)
    consistent(e)


def test_views_and_changes_in_place():
    w = leaf([1.0, 2.0, 3.0], "w")
    h = w * 2
    h[0] *= w[1]
    h.tanh_()
    loss = (h.view(3, 1) * h).sum()
    for index in range(3):
        e = explain(loss, w, index)
        assert e.gradient == gradient_of(loss, w, index)
        consistent(e)


def test_a_value_changed_after_forward_is_refused():
    w = leaf([1.0, 2.0], "w")
    x = mg.tensor([1.0, 1.0])
    loss = (w * x).sum()
    x += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        explain(loss, w, 0)


def test_the_text_is_from_before_an_update_and_steps_read_after_it_are_refused():
    w = leaf([1.0, 2.0], "w")
    e = explain((w * w * w * w).sum(), w, 1)
    text = str(e)
    with mg.no_grad():
        w -= 1
    assert str(e) == text and e.gradient == 32
    with pytest.raises(RuntimeError, match="changed in place"):
        print(e.paths[3])


def test_grad_is_neither_needed_nor_changed(net):
    loss = nn.MSELoss()(net(mg.tensor(X)), mg.tensor(Y))
    explain(loss, "0.weight", (0, 0))
    assert net[0].weight.grad is None
    loss.backward()
    before = [p.grad.numpy().copy() for p in net.parameters()]
    e = explain(loss, "0.weight", (0, 0))
    assert e.gradient == before[0][0, 0]
    assert all((p.grad.numpy() == g).all() for p, g in zip(net.parameters(), before))


def test_inside_no_grad_and_inference_of_others():
    w = leaf([1.0, 2.0], "w")
    loss = (w * w).sum()
    with mg.no_grad():
        e = explain(loss, w, 0)
    consistent(e)
    assert e.gradient == 2


def test_rules_of_the_user():
    cube = mg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2, name="cube")
    arrays_only = mg.primitive(lambda x: np.sort(x), lambda g, y, x: np.asarray(g)[
        np.argsort(np.argsort(np.asarray(x)))], name="sorted")
    w = leaf([3.0, 1.0, 2.0], "w")
    e = explain((cube(w) * mg.tensor([1.0, 2, 3])).sum(), w, 1)
    assert e.gradient == 2 * 3
    consistent(e)
    e = explain((arrays_only(w) * mg.tensor([1.0, 2, 4])).sum(), w, 2)
    assert e.gradient == 2
    np.testing.assert_array_equal(e.paths[0].locals[1].change, [0, 1, 0])
    consistent(e)


def test_functions_of_the_user_with_one_and_two_outputs():
    class Both(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x, x * 3

        @staticmethod
        @mg.autograd.function.once_differentiable
        def backward(ctx, g, u):
            x, = ctx.saved_tensors
            return g * 2 * x + u * 3
    w = leaf([1.0, 2.0], "w")
    a, b = Both.apply(w)
    e = explain((a * b).sum(), w, 1)
    assert e.gradient == 9 * 2**2
    consistent(e)
