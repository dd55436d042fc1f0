"""What a result was made from, in words that tell everything apart: reshapes, batches, layers."""

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.creation import tensor
from minigrad.inspect import backward_steps, draw, explain
from minigrad.inspect.expression import expression


# --- what only arranges numbers anew --------------------------------------------------------------

@pytest.mark.parametrize("text, function", [
    ("x[None]", lambda x: x.unsqueeze(0)),
    ("x[:, None]", lambda x: x.unsqueeze(1)),
    ("x.reshape((1, 1, 3))", lambda x: x.reshape(1, 1, 3)),
    ("x.reshape((3,))", lambda x: x.reshape(3)),
    ("np.broadcast_to(x, (2, 3))", lambda x: x.expand(2, 3)),
])
def test_a_record_that_only_reshapes_or_repeats_says_so(text, function):
    x = tensor([1.0, 2, 3], requires_grad=True, name="x")
    t = function(x)
    assert expression(t, {id(x): "x"}) == text
    value = eval(text, {"np": np, "x": x.numpy()})
    assert value.shape == t.shape
    np.testing.assert_array_equal(value, t.numpy())
    loss = (t * 2).sum()
    short = text.replace("np.", "")
    assert f"  {short}  " in str(draw(loss)) and f"v1 = {short} " in str(backward_steps(loss))
    assert f"v1 = {short} " in str(explain(loss, x, 0))


def test_inside_an_expression_broadcasting_still_needs_no_words():
    x = tensor([1.0, 2, 3], requires_grad=True, name="x")
    y = tensor(np.ones((2, 3)), name="y")
    assert expression(x.unsqueeze(0) * y, {id(x): "x", id(y): "y"}) == "x * y"
    assert "v1    clone(x)  " in str(draw(x.clone().sum()))  # and not "v1 is x"


def sequences(batch, name="x"):
    minigrad.manual_seed(0)
    layer = nn.Linear(batch.shape[-1], 2)
    batch.name = name
    return layer, layer(batch).square().sum()


def test_the_input_of_a_layer_is_drawn_as_it_was_given():
    x = tensor(np.arange(12.0).reshape(2, 3, 2))
    layer, loss = sequences(x)
    graph = draw(loss)
    card = next(c for c in graph.picture.cards if c.name == "x")
    assert card.tensor is x and "(2, 3, 2)" in str(graph).splitlines()[1]
    assert "x.reshape((6, 2)) @ weight.T + bias" in str(graph)
    loss.backward()
    share = next(s for step in backward_steps(loss) for s in step.contributions
                 if s.input is layer.weight)
    assert share.rule == "g.T @ x.reshape((6, 2))" and share.names["x"] is x
    g = next(step.incoming for step in backward_steps(loss) if step.op == "linear")
    np.testing.assert_array_equal(eval(share.rule, {"g": g, "x": x.numpy()}),
                                  layer.weight.grad.numpy())
    assert "x.reshape((6, 2)) @ weight.T" in str(explain(loss, layer.weight, (0, 1)))
    folded = draw(loss, fold=True)
    assert [c.tensor for c in folded.picture.cards if c.role == "input"] == [x]


def test_a_batch_used_by_several_layers_is_one_card():
    x = tensor(np.ones((2, 3, 2)), name="x")
    loss = (nn.Linear(2, 2)(x) + nn.Linear(2, 2)(x.transpose(1, 2).mT)).sum()
    inputs = [c for c in draw(loss).picture.cards if c.role == "input"]
    assert [(c.name, c.tensor) for c in inputs] == [("x", x)]


def test_an_arrangement_with_a_name_or_a_part_of_a_tensor_stays_itself():
    x = tensor(np.ones((4, 3)), name="x")
    w = tensor(np.ones((3, 1)), requires_grad=True, name="w")
    flat = x.reshape(2, 6).reshape(4, 3)
    flat.name = "flat"
    assert [c.name for c in draw((flat @ w).sum()).picture.cards][0] == "flat"
    rows = next(c for c in draw((x[0:2] @ w).sum()).picture.cards if c.role == "input")
    assert rows.array.shape == (2, 3)


def test_a_weight_arranged_under_no_grad_gets_no_purple_arrow():
    w = tensor(np.ones((2, 3)), requires_grad=True, name="w")
    with minigrad.no_grad():
        fixed = w.T
    x = tensor(np.ones((3, 1)), requires_grad=True, name="x")
    graph = draw((fixed * x).sum())
    assert "w" not in [c.name for c in graph.picture.cards]
    assert sum(arrow.tracked for arrow in graph.picture.arrows) == 2


@pytest.mark.parametrize("view", [draw, backward_steps])
def test_layers_are_told_apart_by_the_words_that_explain_has(view):
    minigrad.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = net(tensor(np.ones((4, 2)), name="x")).mean()
    explained = str(explain(loss, "0.weight", (1, 1)))
    for layer in ("x @ weight_0.T + bias_0", "v2 @ weight_2.T + bias_2"):
        assert layer in str(view(loss)) and layer in explained
    assert "g @ weight_2<" in draw(loss).source


def test_a_tensor_changed_in_place_has_one_word():
    w = tensor([1.0, 2.0], requires_grad=True, name="w")
    h = w * 1
    h.name = "h"
    y = h * h
    h.relu_()
    words = draw((y + h).sum()).picture.words
    assert len(set(words.values())) == len(set(draw((y + h).sum()).picture.names.values()))
