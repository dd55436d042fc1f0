"""Pictures as text: cards, names, folding, escaping. No layout program is needed here."""

import re
import time

import numpy as np
import pytest

import minigrad
from minigrad import nn, shaping
from minigrad.creation import tensor
from minigrad.inspect import draw
from minigrad.inspect.picture import title_of


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_rule_of_the_loss_prints_for_a_batch_of_any_size(smoothing):
    scores = minigrad.rand(40, 10, requires_grad=True)
    labels = minigrad.randint(0, 10, (40,))
    loss = nn.functional.cross_entropy(scores, labels, label_smoothing=smoothing)
    text = draw(loss).source
    assert "softmax(w, dim=1) - (" in text and "y == np.arange(10)[:, None]" in text
    assert "does not print" not in text


def test_titles_are_readable():
    x = tensor([1.0, -2.0], requires_grad=True, name="x")
    assert "L = where(i, x, 0.0).sum()" in draw(shaping.where(x > 0, x, 0.0).sum()).source


def example(backward=True):
    """Two layers written out: twelve tensors."""
    x = tensor([[1, 2], [-1, 0.5], [0.3, -1.2], [2, -0.7]], name="x")
    y = tensor([[1.0], [-1], [0.5], [0]], name="y")
    W1 = tensor([[1.4, -1.8, 0.3], [-0.4, -0.3, -0.2]], requires_grad=True, name="W1")
    b1 = tensor([0.1, -0.2, 0.05], requires_grad=True, name="b1")
    W2 = tensor([[-1.6], [-0.2], [-0.7]], requires_grad=True, name="W2")
    h = (x @ W1 + b1).tanh()
    h.name = "h"
    loss = ((h @ W2 - y) ** 2).mean()
    loss.name = "L"
    if backward:
        loss.backward()
    return loss


def net(*sizes, batch=5):
    minigrad.random.manual_seed(0)
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    rng = np.random.default_rng(0)
    x = tensor(rng.normal(size=(batch, sizes[0])), name="x")
    y = tensor(rng.normal(size=(batch, sizes[-1])), name="y")
    return nn.MSELoss()(model(x), y)


def names(graph):
    return [card.name for card in graph.picture.cards]


def roles(graph):
    return {card.name: card.role for card in graph.picture.cards}


def test_the_example_has_twelve_cards_with_their_roles():
    graph = draw(example())
    assert names(graph) == ["x", "W1", "v1", "b1", "v2", "h", "W2", "v3", "y", "v4", "v5", "L"]
    assert roles(graph)["x"] == "input" and roles(graph)["y"] == "target"
    assert (
        roles(graph)["W1"] == "param" and roles(graph)["L"] == "loss" and roles(graph)["h"] == "op"
    )
    assert graph.title == "L = ((tanh(x @ W1 + b1) @ W2 - y)**2).mean()"
    for label in ("x.T @ g", "g.sum(0)", "g * (1 - h**2)", "g @ W2.T", "h.T @ g", "g / 4"):
        assert f">{label}</FONT>" in graph.source
    assert 'id="t-W1" class="tensor param"' in graph.source and "rankdir=LR" in graph.source


def test_two_lanes_where_a_gradient_flows_and_one_where_not():
    graph = draw(example())
    lanes = {(a.source.name, a.target.name): a.tracked for a in graph.picture.arrows}
    assert lanes[("W1", "v1")] and not lanes[("x", "v1")] and not lanes[("y", "v4")]
    assert graph.source.count("dir=both") == sum(lanes.values())


def test_before_backward_gradients_are_none_yet():
    graph = draw(example(backward=False))
    assert graph.source.count(">none yet<") == 10
    assert "none yet" in str(graph)
    assert ">none yet<" not in draw(example()).source


def test_two_runs_give_the_same_bytes():
    assert draw(example()).source == draw(example()).source
    assert draw(net(2, 4, 1)).source == draw(net(2, 4, 1)).source


def test_source_is_ascii_and_colours_have_six_digits():
    source = draw([example(), net(2, 20, 1)]).source
    assert source.isascii()
    assert all(len(c) == 6 for c in re.findall(r'#([0-9A-Za-z]+)[":]', source))


def test_lone_tensors_lists_and_repeated_inputs():
    assert names(draw(tensor(3))) == ["x"]
    assert names(draw(tensor([1.0], requires_grad=True))) == ["w"]
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    graph = draw(x + x)
    assert (
        len(graph.picture.arrows) == 2
        and names(graph) == ["x", "v"]
        or names(graph) == ["x", "v1"]
    )
    several = draw([x * 2, x.sum(), x])
    assert len(several.picture.outputs) == 3 and roles(several)["L"] == "loss"


def test_names_of_the_user_stay_theirs():
    v1 = tensor(1.0, requires_grad=True, name="v1")
    again = tensor(2.0, requires_grad=True, name="v1")
    graph = draw((v1 * again * 2).exp() + 1)
    assert names(graph)[:2] == ["v1", "v1_2"] and "h1" in names(graph)
    assert len(set(names(graph))) == len(names(graph))


def test_numbers_are_part_of_the_operation_and_arrays_are_cards():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    graph = draw(np.ones(2) * (1 - (2 * x + 1) ** 3 / 4))
    tags = re.findall(r'COLOR="#6B4E00"><B>([^<]*)</B>', graph.source)
    assert tags == ["2 *", "+1", "**3", "/4", "1 -", "*"]
    assert len(graph.picture.cards) == 8


def test_options_show_in_the_operation():
    x = tensor(np.ones((2, 3)), requires_grad=True)
    for t, tag in [
        (x.sum(0), "sum(0)"),
        (x.T, ".T"),
        (x[0], "[0]"),
        (x[:, 1:], "[:, 1:]"),
        (x.mean(), "mean"),
        (x.softmax(1), "softmax(1)"),
        (shaping.cat([x, x], 1), "cat(1)"),
    ]:
        assert f"<B>{tag}</B>" in draw(t).source


WICKED = [
    'a"b',
    "<b>&amp;",
    "back\\slash\\N",
    "two\nlines",
    "tab\t\x00",
    "\\\\N\\G",
    "λ→日本",
    "</TD></TABLE>>]; x",
    "",
    "n1",
    "x" * 300,
    "{curly|record}",
    "%s",
    "'",
]


@pytest.mark.parametrize("name", WICKED)
def test_any_name_is_escaped(name):
    x = tensor([1.0, 2.0], requires_grad=True, name=name)
    graph = draw((x * 2).sum())
    assert graph.source.isascii() and "\x00" not in graph.source
    assert graph.source.count("\n") == draw(
        (tensor([1.0, 2.0], requires_grad=True) * 2).sum()
    ).source.count("\n")
    balanced = re.sub(r'"[^"]*"', "", graph.source)
    assert balanced.count("<TABLE") == balanced.count("</TABLE>")
    assert max(map(len, str(graph).splitlines())) <= 80


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((0, 3)),
        np.array([np.nan, np.inf, -np.inf]),
        np.zeros(()),
        np.full(40, np.nan),
        np.array([5e-324]),
        np.array([1.7e308, -1.7e308]),
    ],
)
def test_values_of_every_kind(data):
    x = tensor(data, requires_grad=True)
    t = x * 1.0
    t.backward(np.ones_like(data))
    graph = draw(t)
    assert "data" in graph.source and str(graph)
    assert ("empty" in graph.source) == (data.size == 0)


def test_integer_and_boolean_tensors_have_no_gradient_row():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    graph = draw(x * tensor([1, 2]) * tensor([True, False]))
    assert graph.source.count(">grad<") == sum(card.tracked for card in graph.picture.cards) == 3


def test_a_change_in_place_keeps_the_older_versions():
    x = tensor([1.0, 2.0], requires_grad=True, name="x")
    h = x * 2
    h.name = "h"
    k = h.exp()
    h.mul_(k)
    h.add_(1)
    graph = draw(h)
    assert names(graph) == ["x", "h", "v1", "h_2", "h_3"]
    data = {card.name: card.overwritten for card in graph.picture.cards}
    assert data == {"x": False, "h": False, "v1": False, "h_2": True, "h_3": False}


def test_shared_parameters_are_one_card_and_show_their_sum():
    w = tensor(0.8, requires_grad=True, name="w")
    loss = (w * 1.5).tanh() + 0.1 * w**2
    loss.backward()
    graph = draw(loss)
    assert names(graph).count("w") == 1
    assert re.search(r">0\.\d{3} \+ 0\.\d{3}<", graph.source)
    assert " = " in graph.source and "g = 1.00" in graph.source


def test_modules_are_boxes_and_own_their_parameters():
    source = draw(net(2, 4, 1)).source
    for title in ("0: Linear(2, 4)", "1: Tanh()", "2: Linear(4, 1)", "MSELoss()"):
        assert title in source
    assert source.count("subgraph") == 4
    first = source[source.index("0: Linear") : source.index("1: Tanh")]
    assert "t-0.weight" in first and "t-0.bias" in first and "t-x" not in first


class Body(nn.Module):
    def __init__(self):
        self.body = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
        self.head = nn.Linear(4, 1)

    def forward(self, x):
        h = self.body(x)
        return self.head(h + h.tanh())


def boxes(source):
    """[(depth, title)] of the boxes, and {card: titles of the boxes around it}"""
    found, around, open_boxes = [], {}, []
    for line in source.splitlines():
        if "subgraph" in line:
            title = re.search(r"<B>(.*?)</B>", line)[1]
            found.append((len(open_boxes), title))
            open_boxes.append(title)
        elif line.strip() == "}" and open_boxes:
            open_boxes.pop()
        elif 'class="tensor' in line:
            around[re.search(r'id="t-([^"]*)"', line)[1]] = list(open_boxes)
    assert not open_boxes
    return found, around


def test_boxes_nest_as_modules_do():
    found, around = boxes(draw(Body()(tensor(np.ones((3, 2)), name="x"))).source)
    assert found == [
        (0, "Body"),
        (1, "body"),
        (2, "body.0: Linear(2, 4)"),
        (2, "body.1: ReLU()"),
        (1, "head: Linear(4, 1)"),
    ]
    assert around["x"] == [] and around["body.0.weight"] == [
        "Body",
        "body",
        "body.0: Linear(2, 4)",
    ]


class Block(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(2, 2)

    def forward(self, x):
        return x + self.inner(x * 2)


def test_a_module_that_computes_around_its_parts_is_one_box():
    net = nn.Sequential(Block(), Block())
    found, around = boxes(draw(net(tensor(np.ones((3, 2)), name="x"))).source)
    assert found == [
        (0, "0: Block"),
        (1, "0.inner: Linear(2, 2)"),
        (0, "1: Block"),
        (1, "1.inner: Linear(2, 2)"),
    ]
    assert around["v2"] == ["0: Block"] and around["v1"][0] == "0: Block"


class Fake:
    """All that a drawing needs to know about a module."""

    def __init__(self, path):
        self._path = path

    def __repr__(self):
        return "Fake()"


def test_modules_of_any_class_are_boxes():
    x = tensor([1.0], requires_grad=True, name="x")
    h = x * 2
    h.module = Fake("net")
    y = h * 3
    y.module = Fake("net.0")
    assert boxes(draw(y).source)[0] == [(0, "net: Fake()"), (1, "net.0: Fake()")]


def test_a_module_prints_with_its_arguments():
    assert title_of(nn.Linear(2, 3)) == "Linear(2, 3)"
    assert title_of(nn.Linear(2, 3, bias=False)) == "Linear(2, 3, bias=False)"
    assert title_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU())) == "Sequential"


def test_folding():
    loss = net(2, 4, 4, 1)
    assert len(draw(loss).picture.cards) == 16 and not draw(loss).picture.folded
    graph = draw(loss, fold=True)
    assert len(graph.picture.cards) == 8 and "folded into 6 cards" in graph.source
    assert "3 ops folded" in graph.source and ">weight<" in graph.source.replace(
        "<B>", ""
    ).replace("</B>", "")
    assert "g / 5 * (2 * (v5 - y))" in graph.source
    assert len(draw(loss, fold=True, expand="2").picture.cards) == 10
    assert len(draw(loss, depth=0).picture.cards) == 4
    with pytest.raises(ValueError, match="expand names '7'.*'0', '1'"):
        draw(loss, expand=["7"])


def test_many_cards_are_folded_and_too_many_refused():
    loss = net(*[3] * 17)
    assert len(draw(loss).picture.cards) < 60 < len(draw(loss, fold=False).picture.cards)
    assert "folded" in draw(loss).source
    with pytest.raises(ValueError, match="max_nodes=20.*depth=1"):
        draw(loss, max_nodes=20)
    assert len(draw(loss, max_nodes=20, depth=0).picture.cards) == 4


def test_modules_alike_in_a_row_are_one_card():
    minigrad.random.manual_seed(0)
    blocks = nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(12)])
    out = blocks(tensor(np.ones((2, 3)), name="x"))
    graph = draw(out, depth=1)
    assert (
        len(graph.picture.cards) == 2 and "x12" in graph.source and "24 parameters" in graph.source
    )
    assert len(draw(out, depth=1, merge=False).picture.cards) == 13
    assert len(draw(out, depth=1, expand="5").picture.cards) == 1 + 1 + 2 + 2 + 1


def test_a_long_chain_is_refused_quickly():
    t = tensor(1.0, requires_grad=True)
    for _ in range(100_000):
        t = t * 1.0
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"100001 tensors.*max_nodes=400.*depth=1"):
        draw(t)
    assert time.perf_counter() - start < 2
    with pytest.raises(ValueError, match="max_nodes="):
        draw(t, depth=1)


def test_a_deep_graph_is_drawn_when_asked_for():
    t = tensor(1.0, requires_grad=True)
    for _ in range(1500):
        t = t + 1
    assert len(draw(t, max_nodes=2000).picture.cards) == 1501


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: draw(3), TypeError, "int"),
        (lambda x: draw([x, "x"]), TypeError, "str"),
        (lambda x: draw([]), ValueError, "no tensor"),
        (lambda x: draw(x, direction="UP"), ValueError, "'UP'"),
        (lambda x: draw(x, depth=-1), ValueError, "-1"),
        (lambda x: draw(x, expand="net"), ValueError, "'net'"),
    ],
)
def test_senseless_arguments_are_refused(call, error, words):
    with pytest.raises(error, match=words):
        call(tensor(1.0, requires_grad=True) * 2)


def test_direction_title_and_values():
    graph = draw(example(), direction="TB", title="<mine>", values=False)
    assert (
        "rankdir=TB" in graph.source
        and "&lt;mine&gt;" in graph.source
        and ">data<" not in graph.source
    )
    assert "rankdir=TB" in draw(net(2, 3, 3, 3, 3, 1)).source


def test_print_lists_every_tensor_in_order():
    lines = str(draw(example())).splitlines()
    assert lines[0].split() == ["name", "made", "by", "shape", "data", "grad"]
    assert [line.split()[0] for line in lines[1:]] == names(draw(example()))
    assert "tanh(v2)" in lines[6] and "(4, 3)" in lines[6] and lines[1].rstrip().endswith("-")
    assert max(map(len, lines)) <= 80
