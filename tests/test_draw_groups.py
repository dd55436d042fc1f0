"""Repeated modules, nodes of operations, ids, long labels: what a picture does beyond one card."""

import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.creation import tensor
from minigrad.inspect import draw
from minigrad.inspect.draw_arrows import ACROSS, broken
from minigrad.inspect.graph_calls import title_of_call

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(minigrad.__file__)))


def mlp(layers, width=4, norm=False):
    minigrad.random.manual_seed(0)
    block = [nn.Linear, nn.Tanh] + [nn.LayerNorm] * norm
    made = [kind(*[width] * (2 - (kind is nn.LayerNorm)) * (kind is not nn.Tanh))
            for _ in range(layers) for kind in block]
    return nn.Sequential(*made, nn.Linear(width, 1))


def output(net, width=4):
    out = net(tensor(np.random.default_rng(0).normal(size=(8, width)), name="x"))
    out.name = "out"
    return out


def tags(graph):
    return [title_of_call(c.records, c.repeats) for c in graph.picture.cards if c.records]


# --- groups ---------------------------------------------------------------------------------------

def test_alternating_layers_are_one_card():
    out = output(mlp(20))
    graph = draw(out, depth=1)
    assert tags(graph) == ["0-39: (Linear, Tanh) x20", "40: Linear(4, 1)"]
    assert [len(c.records) for c in graph.picture.cards] == [0, 40, 1]
    assert "merge=False shows each" in graph.source
    assert "  0-39: (Linear, Tanh) x20, 40 ops  (8, 4)" in str(graph)
    assert len(draw(out, depth=1, merge=False).picture.cards) == 1 + 41
    assert tags(draw(out)) == tags(graph)  # 105 tensors: folded without being asked


def test_groups_of_three_and_groups_that_differ():
    assert tags(draw(output(mlp(4, norm=True)), depth=1))[0] == "0-11 x4"
    net = nn.Sequential(*[nn.Linear(4, 4), nn.Tanh()] * 1, *[
        m for _ in range(3) for m in (nn.Linear(4, 4), nn.ReLU())], nn.Linear(4, 1))
    assert tags(draw(output(net), fold=True)) == [
        "0: Linear(4, 4)", "1: Tanh()", "2-7: (Linear, ReLU) x3", "8: Linear(4, 1)"]


def test_layers_of_other_sizes_and_two_in_a_row_stay_apart():
    sizes = [4, 5, 6, 7, 8]
    net = nn.Sequential(*[nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])])
    assert len(tags(draw(output(net), fold=True))) == 4
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    assert len(tags(draw(output(net), fold=True))) == 2


def test_a_result_that_is_used_elsewhere_is_never_hidden_in_a_group():
    layers = [nn.Linear(4, 4) for _ in range(5)]
    h, kept = tensor(np.ones((2, 4)), name="x"), []
    for layer in layers:
        h = layer(h)
        kept.append(h)
    loss = (h + kept[1]).sum()
    graph = draw(loss, fold=True)
    shown = {id(card.tensor) for card in graph.picture.cards}
    assert id(kept[1]) in shown and id(kept[4]) in shown
    assert max(card.repeats for card in graph.picture.cards) == 3
    both = draw([kept[2], loss], fold=True)
    assert {id(kept[1]), id(kept[2])} <= {id(card.tensor) for card in both.picture.cards}


def test_modules_called_again_and_again_are_a_group():
    layer, tanh, h = nn.Linear(3, 3), nn.Tanh(), tensor(np.ones((2, 3)), name="x")
    for _ in range(5):
        h = tanh(layer(h))
    graph = draw(h, fold=True)
    (card,) = [card for card in graph.picture.cards if card.records]
    assert card.repeats == 5 and tags(graph) == ["(Linear, Tanh) x5"]
    assert [p.array.shape for p in card.parameters] == [(3, 3), (3,)]


def test_cards_come_after_what_they_were_computed_from():
    class Late(nn.Module):
        def forward(self, x):
            return x * 2.0 * tensor([1.0, 3.0], name="late")

    late = draw(Late()(tensor([1.0, 2.0], requires_grad=True, name="x")), fold=True)
    for graph in (late, draw(output(mlp(5)), fold=True), draw(output(mlp(20)), depth=1)):
        place = {id(card): n for n, card in enumerate(graph.picture.cards)}
        assert all(place[id(a.source)] < place[id(a.target)] for a in graph.picture.arrows)
    assert [card.name for card in late.picture.cards][:2] == ["x", "late"]


def test_what_a_group_sends_back_is_the_gradient():
    x = tensor(np.random.default_rng(0).normal(size=(8, 4)), requires_grad=True, name="x")
    loss = mlp(20)(x).square().mean()
    loss.backward()
    graph = draw(loss, depth=1)
    (arrow,) = [arrow for arrow in graph.picture.arrows if arrow.source.name == "x"]
    np.testing.assert_allclose(arrow.value, x.grad.numpy(), rtol=1e-12)
    assert ">through 40 ops of 0-39<" in graph.source and ">(8, 4)  rms " in graph.source


def test_groups_in_a_large_model_are_found_quickly():
    out = output(mlp(1000))
    start = time.perf_counter()
    assert len(draw(out, depth=1).picture.cards) == 3
    assert time.perf_counter() - start < 5


# --- operations as nodes --------------------------------------------------------------------------

def neuron():
    x, w = tensor(2.0, name="x"), tensor(-3.0, requires_grad=True, name="w")
    b = tensor(6.5, requires_grad=True, name="b")
    h = (x * w + b).tanh()
    h.name = "h"
    h.backward()
    return h


def test_operations_have_nodes_of_their_own():
    graph = draw(neuron(), ops="nodes")
    assert re.findall(r'id="(o-[^"]*)" class="op" tooltip="([^"]*)"', graph.source) == [
        ("o-v1", "*"), ("o-v2", "+"), ("o-h", "tanh")]
    lines = [line.strip() for line in graph.source.split("\n")]
    ends = [line.split(" [")[0] for line in lines if "->" in line.split("[")[0]]
    assert sorted(ends) == sorted(["o3 -> n3", "n1 -> o3", "n2 -> o3", "o5 -> n5", "n3 -> o5",
                                   "n4 -> o5", "o6 -> n6", "n5 -> o6"])
    assert ">result<" in graph.source and ">result<" not in draw(neuron()).source
    assert len(graph.picture.cards) == len(draw(neuron()).picture.cards)


def test_operations_as_nodes_with_folded_modules_leaves_and_lists():
    for made in (tensor(1.0, name="a"), [neuron(), neuron()], output(mlp(12))):
        assert draw(made, ops="nodes").source.isascii()
    with pytest.raises(ValueError, match="'tags' or 'nodes', got 'node'"):
        draw(tensor(1.0), ops="node")


# --- ids and bytes --------------------------------------------------------------------------------

def test_every_card_and_every_arrow_has_an_id_of_its_own():
    x = tensor(3.0, requires_grad=True, name="x")
    z = tensor(3.0, requires_grad=True, name="x 2")
    y = x + x + z
    y.name = "y"
    source = draw(y, ops="nodes").source
    ids = re.findall(r' ?\[?id="([^"]*)"', source)
    assert len(ids) == len(set(ids)) == 4 + 2 + 2 + 4
    assert set(ids) == {"t-x", "t-x_2", "t-v1", "t-y", "o-v1", "o-y", "r-v1", "r-y", "e-x-v1",
                        "e-x-v1-2", "e-v1-y", "e-x_2-y"}


PROGRAM = """
import numpy as np, minigrad, sys
from minigrad import nn
minigrad.random.manual_seed(0)
net = nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(4, 4), nn.Tanh())])
x = minigrad.tensor(np.eye(4), name="x")
loss = nn.CrossEntropyLoss()(net(x), minigrad.tensor([0, 1, 2, 3]))
loss.backward()
for o in ({}, dict(fold=False), dict(ops="nodes"), dict(depth=0)):
    print(minigrad.draw(loss, **o).source, minigrad.draw(loss, **o))
"""


def test_the_same_bytes_in_every_process():
    said = [subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True,
                           cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}).stdout
            for seed in ("0", "1", "77")]
    assert len(set(said)) == 1 and len(said[0]) > 10_000


# --- labels ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [
    "g", "g[:, None] * (softmax(v3, dim=1) - ((y == arange(10)[:, None]) * 1.0).T)",
    "A * (g - (g * A).sum(1, keepdims=True))", "a" * 80, "(" * 50 + "x" + ")" * 50,
    "conv_weight(g, x, shape=(4, 1, 3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1))",
    "g * (2 * aaaaaaaaaaaaaaaaaaaaaaaaaaa) + g * (3 * bbbbbbbbbbbbbbbbbbbbbbbbbb)", "",
])
def test_labels_break_into_short_lines_that_say_the_same(words):
    lines = broken(words)
    assert all(len(line) <= ACROSS for line in lines)
    if not any(line.endswith("..") for line in lines):
        assert " ".join(lines) == words
    else:
        assert "a" * 80 in words or "((((" in words


def test_the_label_of_cross_entropy_is_whole():
    v = tensor(np.zeros((3, 10)), requires_grad=True, name="v")
    loss = nn.CrossEntropyLoss()(v, tensor(np.array([1, 2, 3]), name="y"))
    shown = re.findall(r">([^<>]*(?:softmax|arange|1\.0)[^<>]*)</FONT>", draw(loss).source)
    assert "".join(shown).replace(" ", "").count("softmax(v,dim=1)-((y==arange(10)") == 1
    assert not any(line.endswith("..") for line in shown)


def test_names_that_end_in_np_keep_their_letters():
    inp = tensor(np.ones((2, 2)), requires_grad=True, name="inp")
    w = tensor(np.ones((2, 2)), requires_grad=True, name="w")
    assert ">inp.T @ g<" in draw((inp @ w).sum()).source


def test_parameters_in_a_folded_card_are_told_apart():
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)))
    source = draw(net(tensor(np.ones((1, 2)), name="x")), depth=1).source
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        assert f"<B>{name}</B>" in source


def test_formulas_have_no_parentheses_too_many():
    w, x = tensor(0.5, requires_grad=True, name="w"), tensor(2.0, name="x")
    p = w * x
    loss = p * p + p.exp() + p
    loss.name = "L"
    assert draw(loss).title == "L = w * x * (w * x) + exp(w * x) + w * x"


def test_cards_that_are_drawn_in_a_long_row_stand_straight(monkeypatch):
    """The trunk of a long chain does not drift: the picture of 60 steps is as wide as that of 6."""
    def width(n):
        h = tensor(np.ones((2, 2)), name="x")
        for i in range(n):
            h = (h @ tensor(np.ones((2, 2)), requires_grad=True, name=f"W{i}")).tanh()
        svg = draw(h, fold=False, direction="TB", title="").render("svg").decode()
        return int(re.search(r'width="(\d+)pt"', svg)[1])
    assert width(60) < 1.3 * width(6)
