"""Changing values in place: results and gradients equal PyTorch's, or the change is detected.

The parity half needs PyTorch (it is skipped without); the detection half does not.
"""

import gc
import weakref

import numpy as np
import pytest

import minigrad


def tracked(*values, name=None):
    return minigrad.tensor(list(values), requires_grad=True, name=name)


# --- detected: every public route by which a value that a rule needs can be changed ---------------


def through_setitem(y):
    y[0] = 7.0


def through_augmented_assignment(y):
    y += 1


def through_augmented_part(y):
    y[1] *= 2


def through_data(y):
    y.data[0] = 7.0


def through_data_assigned(y):
    y.data = y.data + 1


def through_detach(y):
    y.detach().mul_(2)


def through_numpy(y):
    y.numpy()[0] = 7.0


def through_detached_numpy(y):
    y.detach().numpy()[0] = 7.0


def through_asarray(y):
    np.asarray(y.detach())[:1] = 7.0


def through_view(y):
    y.view(1, 2)[0, 0] = 7.0


def through_view_of_view(y):
    y.reshape(2, 1).t()[0].add_(1)


def through_array_and_written(y):
    y.array *= 2
    y.written()


def through_no_grad(y):
    with minigrad.no_grad():
        y -= 0.5


def through_view_of_data(y):
    y.data.view(2, 1)[0].zero_()


ROUTES = [f for name, f in list(globals().items()) if name.startswith("through_")]
METHODS = [
    "add_(1)",
    "sub_(1)",
    "mul_(2)",
    "div_(2)",
    "pow_(2)",
    "exp_()",
    "log_()",
    "sqrt_()",
    "neg_()",
    "abs_()",
    "tanh_()",
    "sigmoid_()",
    "relu_()",
    "square_()",
    "reciprocal_()",
    "clamp_(0, 1)",
    "fill_(3)",
    "zero_()",
    "copy_(minigrad.zeros(2))",
    "masked_fill_(minigrad.tensor([True, False]), 2)",
    "clamp_(min=minigrad.tensor(1.0))",
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda f: f.__name__)
def test_route_is_detected(route):
    for needs in (
        lambda y: y * y,
        lambda y: y.square(),
        lambda y: y @ y,
        lambda y: minigrad.sin(y),
    ):
        x = tracked(1.0, 2.0)
        y = x * 1
        y.name = "hidden"
        loss = needs(y).sum()
        route(y)
        with pytest.raises(RuntimeError, match=r"'hidden'.*changed in place"):
            loss.backward()


@pytest.mark.parametrize("method", METHODS)
def test_method_is_detected(method):
    x = tracked(1.0, 2.0)
    y = x * 1
    y.name = "hidden"
    loss = (y * x).sum()
    eval(f"y.{method}")
    with pytest.raises(
        RuntimeError,
        match=r"mul needs its input 0 .*'hidden' of shape \(2,\).* changed in "
        r"place.*clone\(\)",
    ):
        loss.backward()


def test_result_that_a_rule_needs():
    x = tracked(1.0, 2.0, name="x")
    y = x.exp()
    y.data[0] = 5
    with pytest.raises(RuntimeError, match="exp needs its result for its gradient"):
        y.sum().backward()


@pytest.mark.parametrize("program", ["y[0] = 5.0", "y += 1", "y.zero_()", "y.fill_(2)"])
def test_result_that_a_rule_needs_overwritten_by_the_first_change(program):
    x = tracked(1.0, 2.0, name="x")
    y = x.exp()
    exec(program)
    with pytest.raises(RuntimeError, match="exp needs its result for its gradient"):
        y.sum().backward()


def test_parameter_updated_between_forward_and_backward():
    w = tracked(1.0, 2.0, name="w")
    loss = (w * w).sum()
    w.array -= 0.1
    w.written()
    with pytest.raises(RuntimeError, match="'w'"):
        loss.backward()
    (w * w).sum().backward()  # a new forward pass is fine
    assert w.grad.tolist() == pytest.approx([1.8, 3.8])


def test_numpy_source_is_watched():
    source = np.array([1.0, 2.0])
    a, w = minigrad.from_numpy(source), tracked(3.0, 4.0)
    loss = (a * w).sum()
    loss.backward()
    source[0] = 100.0
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    view = source[:1]
    loss = (a * w).sum()
    view[0] = 5.0
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_plain_arrays_and_indices_are_detected_or_kept():
    """An array that was an operand itself may be reused: the record is right, or refuses."""
    operand, index = np.array([1.0, 2.0]), np.array([0, 1])
    for compute in (
        lambda w: w * operand,
        lambda w: operand * w,
        lambda w: w[index],
        lambda w: w @ operand,
        lambda w: minigrad.where(index > 0, w, operand),
        lambda w: minigrad.maximum(w, operand),
        lambda w: operand / w,
    ):
        operand[:], index[:] = [1.0, 2.0], [0, 1]
        w = tracked(3.0, 4.0)
        compute(w).sum().backward()
        expected, w.grad = w.grad.tolist(), None
        loss = compute(w).sum()
        operand[:], index[:] = 50.0, 0
        try:
            loss.backward()
        except RuntimeError as error:
            assert "changed in place" in str(error)
        else:
            assert w.grad.tolist() == expected


def test_index_tensors_and_masks_are_watched():
    w, index = tracked(3.0, 4.0), minigrad.tensor([0, 1])
    loss = w[index].sum()
    index[0] = 1
    with pytest.raises(RuntimeError, match="getitem needs its input 1"):
        loss.backward()
    mask = minigrad.tensor([True, False])
    loss = minigrad.where(mask, w, 0.0).sum()
    mask[0] = False
    with pytest.raises(RuntimeError, match="where needs its input 0"):
        loss.backward()


def test_rules_of_several_inputs_that_read_values_are_watched():
    weighted = minigrad.primitive(
        lambda *xs: sum(x * x for x in xs), name="squares", each=lambda i, g, y, *xs: 2 * xs[i] * g
    )
    y = tracked(1.0, 2.0) * 1
    loss = weighted(y, y).sum()
    y[0] = 9.0
    with pytest.raises(RuntimeError, match="squares needs"):
        loss.backward()


@pytest.mark.parametrize(
    "compute",
    [
        lambda y, x: y + x,
        lambda y, x: y - x,
        lambda y, x: -y,
        lambda y, x: y.sum(),
        lambda y, x: y.mean(),
        lambda y, x: y * 3,
        lambda y, x: y.reshape(2, 1),
        lambda y, x: minigrad.cat([y, x]),
        lambda y, x: y[0],
        lambda y, x: minigrad.stack([y, x]),
        lambda y, x: y.clone(),
        lambda y, x: y.float(),
        lambda y, x: y / 2,
        lambda y, x: minigrad.where(x > 1, y, x),
        lambda y, x: y.expand(3, 2),
        lambda y, x: y[[0, 0, 1]],
    ],
)
def test_not_flagged_when_no_rule_needs_the_value(compute):
    x = tracked(1.0, 2.0)
    y = x * 1
    loss = compute(y, x).sum()
    with minigrad.no_grad():
        y.add_(1)
    loss.backward()
    assert x.grad is not None


def test_bias_may_change_after_the_forward_pass():
    x, w, b = (
        minigrad.ones(4, 3),
        minigrad.ones(2, 3, requires_grad=True),
        minigrad.zeros(2, requires_grad=True),
    )
    loss = minigrad.nn.functional.linear(x, w, b).sum()
    with minigrad.no_grad():
        b += 1
    loss.backward()
    assert b.grad.tolist() == [4, 4]


def test_restored_values_in_exposed_memory_are_accepted():
    source = np.array([1.0, 2.0])
    a, w = minigrad.from_numpy(source), tracked(3.0, 4.0)
    loss = (a * w).sum()
    source[0] = 100.0
    source[0] = 1.0
    loss.backward()
    assert w.grad.tolist() == [1, 2]


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.add_(1),
        lambda w: w.__setitem__(0, 5.0),
        lambda w: w[0].mul_(2),
        lambda w: w.view(2, 1).zero_(),
        lambda w: w.copy_(minigrad.zeros(2)),
        lambda w: w.__isub__(1),
        lambda w: w.exp_(),
    ],
)
def test_leaf_is_refused(change):
    w = tracked(1.0, 2.0, name="w")
    with pytest.raises(RuntimeError, match="leaf.*'w'.*no_grad"):
        change(w)
    assert w.tolist() == [1, 2]
    with minigrad.no_grad():
        change(w)
    assert w.tolist() != [1, 2] and w.is_leaf and w.requires_grad


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda y: y.expand(3, 2).add_(1), "one memory location"),
        (lambda y: y.add_(minigrad.ones(3, 2)), r"shape \(3, 2\)"),
        (lambda y: y.long().add_(0.5), "can't be cast"),
        (lambda y: y.long().div_(2), "can't be cast"),
    ],
)
def test_senseless_changes_are_refused(change, message):
    y = tracked(1.0, 2.0) * 1
    with pytest.raises(RuntimeError, match=message):
        change(y)
    assert y.tolist() == [1, 2]


# --- memory and the graph -------------------------------------------------------------------------


def test_views_see_changes_and_share_memory():
    x = minigrad.zeros(2, 3)
    row, column, flat = x[0], x.T[1], x.view(-1)
    row[1] = 5.0
    assert flat.tolist() == [0, 5, 0, 0, 0, 0] and column.tolist() == [5, 0]
    flat.add_(1)
    assert x.tolist() == [[1, 6, 1], [1, 1, 1]]


def test_view_taken_before_its_base_changed():
    """The old view is a view of the new values: its gradient takes the new way."""
    for use in (
        lambda v: v.backward(),
        lambda v: (v * 1).backward(),
        lambda v: minigrad.autograd.backward([v]),
    ):
        x = tracked(2.0, 3.0)
        y = x * 1
        v = y[0]
        y.mul_(10)
        use(v)
        assert v.item() == 20 and x.grad.tolist() == [10, 0]
    x = tracked(2.0, 3.0)
    y = x * 1
    v = y[0]
    y.mul_(10)
    assert minigrad.autograd.grad(v, x)[0].tolist() == [10, 0]


def test_no_cycles_without_the_collector():
    def step():
        x = tracked(1.0, 2.0, 3.0)
        y = x * 2
        y.mul_(y)
        y[0] = x[1] * 3
        y[1:].add_(x[:2])
        y.view(3, 1)[1:].T.mul_(y[:2])
        y[:2] += y[1:]
        y += y
        y.sum().backward()
        return weakref.ref(y)

    gc.collect()
    gc.disable()
    try:
        assert step()() is None
    finally:
        gc.enable()
