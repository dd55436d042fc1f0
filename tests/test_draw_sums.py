"""Where a gradient comes from: what cards say about sums holds, also when grad is not the sum."""

import re

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.creation import tensor
from minigrad.engine import Primitive
from minigrad.inspect import draw
from minigrad.inspect.draw_sums import lines_of

SPOKEN = r">([^<>]*(?:sum of|arrives|from here|backward calls|cleared|clipped|used \d|arrows)" \
         r"[^<>]*)</FONT>"


def said(graph):
    """All lines about sums, and lone sums of numbers."""
    lines = re.findall(SPOKEN, graph.source)
    return lines + re.findall(r">(-?\d+\.\d+(?: [+-] \d+\.\d+)+)</FONT>", graph.source)


def loss_of(w, x=1.5, y=0.5):
    return (w * x - y) ** 2 + 0.1 * w**2


def test_contributions_of_one_backward_are_added_up():
    w = tensor(0.8, requires_grad=True, name="w")
    loss_of(w).backward()
    d_square, d_decay = 2 * (0.8 * 1.5 - 0.5) * 1.5, 0.2 * 0.8
    assert w.grad.item() == pytest.approx(d_square + d_decay)
    loss = loss_of(tensor(0.8, requires_grad=True, name="w"))
    loss.backward()
    assert said(draw(loss)) == [f"{d_square:.2f} + {d_decay:.2f}"]


def test_two_backward_calls_through_one_graph_show_the_doubled_sum():
    w = tensor(0.8, requires_grad=True, name="w")
    loss = loss_of(w)
    loss.backward()
    loss.backward()
    d_square, d_decay = 2 * 2 * (0.8 * 1.5 - 0.5) * 1.5, 2 * 0.2 * 0.8
    assert w.grad.item() == pytest.approx(d_square + d_decay)
    assert said(draw(loss)) == [f"{d_square:.2f} + {d_decay:.2f}"]


def test_a_grad_from_two_graphs_says_how_much_is_from_elsewhere():
    w = tensor(0.8, requires_grad=True, name="w")
    loss_of(w).backward()
    before = w.grad.item()
    loss = loss_of(w, 2.0, 1.0)
    loss.backward()
    lines = said(draw(loss))
    assert f"{before:.2f} is not from here" in lines and "2.40 + 0.16" in lines


def test_the_same_step_twice_is_told_as_two_calls():
    w = tensor(0.8, requires_grad=True, name="w")
    for _ in range(2):
        loss = loss_of(w)
        loss.backward()
    assert said(draw(loss))[:1] == ["as after 2 backward calls"]
    assert "2 x (2.10 + 0.16)" in draw(loss).source


def test_a_grad_cleared_between_two_calls_is_half_of_what_arrives():
    w = tensor(0.8, requires_grad=True, name="w")
    loss = loss_of(w)
    loss.backward()
    w.grad = None
    loss.backward()
    assert "1/2 of 4.52" in draw(loss).source  # 2 * (2.10 + 0.16)
    assert "cleared in between, or scaled" in said(draw(loss))


def test_a_clipped_grad_is_not_called_the_sum():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    loss = net(tensor(np.ones((2, 2)), name="x")).square().mean()
    loss.backward()
    assert not said(draw(loss))
    norm = np.sqrt(sum(float((p.grad.numpy() ** 2).sum()) for p in net.parameters()))
    nn.utils.clip_grad_norm_(net.parameters(), norm / 3.7)
    lines = said(draw(loss))
    assert lines.count("0.270 x what arrives") == 4 == lines.count("clipped or scaled")


def test_tensors_say_it_in_words():
    w = tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True, name="w")
    (w * np.array([1.0, -1.0, 5.0])).sum().backward()
    loss = (w * w).sum() + w.sum()
    loss.backward()
    assert "not all of it is from here" in said(draw(loss))


def test_after_an_optimizer_step_no_number_is_computed_from_the_new_weights():
    w = tensor(0.8, requires_grad=True, name="w")
    loss = (w * 3.0) ** 2 + w * w
    loss.backward()
    assert "* w = " in draw(loss).source
    optim.SGD([w], lr=0.1).step()
    graph = draw(loss)
    assert "changed in place since" in graph.source and "* w = " not in graph.source
    assert said(graph) == ["used 3 times"]
    assert ">4.80 * 3.0 = 14.4<" in graph.source  # 2 * (3 * 0.8): no weight is read


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_no_difference(dtype):
    rng = np.random.default_rng(0)
    w = tensor(rng.normal(size=(30, 30)).astype(dtype), requires_grad=True, name="w")
    h = w
    for _ in range(4):
        h = (h @ w).tanh() + w
    loss = h.sum()
    loss.backward()
    lines = said(draw(loss, fold=False))
    assert len(lines) == 1
    assert all(line.startswith("sum of ") for line in lines), lines


def test_a_rule_that_does_not_print_still_counts():
    odd = Primitive(lambda x: x**2, lambda g, y, x: g * np.hypot(x, x), name="odd")
    w = tensor(2.0, requires_grad=True, name="w")
    loss = odd(w) + w * 3.0
    loss.backward()
    assert said(draw(loss)) == [f"{np.hypot(2, 2):.2f} + 3.00"]


def test_before_backward_nothing_is_summed_and_after_a_partial_one_only_what_came():
    w = tensor(2.0, requires_grad=True, name="w")
    a, b = w * 3.0, w * 5.0
    assert not said(draw([a, b]))
    a.backward()
    assert said(draw([a, b])) == ["from 1 of 2 arrows"]


def test_results_of_a_folded_module_are_kept_apart():
    class Two(nn.Module):
        def forward(self, x):
            a = x * 2.0
            return a, a * 3.0

    x = tensor(np.array([1.0, 2.0]), requires_grad=True, name="x")
    a, b = Two()(x)
    loss = a.sum() + (b * b).sum()
    loss.backward()
    graph = draw(loss, fold=True)
    assert "2 results, the last is shown" in graph.source
    assert not [line for line in said(graph) if "arrives" in line or "here" in line]
    (arrow,) = [arrow for arrow in graph.picture.arrows if arrow.source.name == "x"]
    np.testing.assert_allclose(arrow.value, x.grad.numpy())
    np.testing.assert_allclose(arrow.value, 2 + 2 * 36 * np.array([1.0, 2.0]))


@pytest.mark.parametrize("shares, g, lines", [
    ([], [1.0], []),
    ([[1.0]], [1.0], []),
    ([[1.0], [2.0]], [3.0], ["1.00 + 2.00"]),
    ([[1.0], [-2.0]], [-1.0], ["1.00 - 2.00"]),
    ([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0], ["sum of 2 gradients"]),
    ([[1.0, 2.0], [2.0, 1.0]], [9.0, 9.0], ["3 x sum of 2 gradients",
                                            "as after 3 backward calls"]),
    ([[1.0], None], [1.0], ["from 1 of 2 arrows"]),
    ([None, None], [1.0], ["used 2 times"]),
    ([None], [1.0], []),
    ([[0.0]], [5.0], ["0", "5.00 is not from here"]),
    ([[np.nan, 1.0], [1.0, 1.0]], [np.nan, 2.0], ["sum of 2 gradients"]),
    ([[np.inf], [1.0]], [np.inf], ["inf + 1.00"]),
    ([[np.inf], [-np.inf]], [np.nan], ["inf - inf"]),
    ([[np.nan]], [1.0], ["nan", "nan is not from here"]),
])
def test_every_case(shares, g, lines):
    shares = [None if c is None else np.array(c) for c in shares]
    assert lines_of(shares, np.array(g)) == lines


def test_empty_gradients():
    assert lines_of([np.zeros((0, 3))] * 2, np.zeros((0, 3))) == ["sum of 2 gradients"]
