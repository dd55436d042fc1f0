"""What notebooks show: true numbers, in HTML that untrusted notebooks keep, and no exceptions."""

import base64
import html
import html.parser
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import minigrad
from minigrad import markup, nn, richtext
from minigrad.engine import wrap

ALLOWED = {"div", "b", "pre", "img", "table", "thead", "tbody", "tr", "th", "td"}
NASTY = ["<script>alert(1)</script>", "a\"b'c", "</pre><iframe>", "&amp;", "\u2207w\n\x00", "-->"]


class Checked(html.parser.HTMLParser):
    """Collects text and cells, and insists that every tag is allowed and closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.titles, self.alts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in ALLOWED
        assert {name for name, _ in attributes} <= {"style", "title", "alt", "src"}
        self.titles += [value for name, value in attributes if name == "title"]
        self.alts += [value for name, value in attributes if name == "alt"]
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def words(thing):
    """The pieces of text of a notebook's form."""
    return Checked(thing._repr_html_()).words


def titles(thing):
    return [float(number) for number in Checked(thing._repr_html_()).titles]


def shown(thing):
    """The bundle of anything, checked: a fragment of allowed HTML, and its repr."""
    bundle = thing._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/html"] == thing._repr_html_()
    Checked(bundle["text/html"])
    return bundle


def trained():
    """(network, optimizer with two groups) after two steps."""
    minigrad.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    net[1].bias.requires_grad_(False)
    optimizer = minigrad.optim.Adam([{"params": net[0].parameters()},
                                     {"params": net[3].named_parameters(), "lr": 0.5}])
    for _ in range(2):
        optimizer.zero_grad()
        net(minigrad.randn(5, 3)).pow(2).mean().backward()
        optimizer.step()
    return net, optimizer


# --- markup ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", NASTY)
def test_any_text_survives_as_text(name):
    assert markup.escaped(name) == html.escape(name)
    assert "".join(Checked(markup.pre(name)).words) == name
    assert Checked(markup.table([name], [[name]])).words == [name, name]
    assert Checked(markup.image("<svg/>", name)).alts == [name]


def test_an_image_holds_its_picture_as_text_or_bytes():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><text>\u03b2</text></svg>'
    image = ET.fromstring(markup.image(svg, "a picture").replace('">', '"/>'))
    kind, data = image.attrib["src"].split(",")
    assert (kind, image.attrib["alt"]) == ("data:image/svg+xml;base64", "a picture")
    assert base64.b64decode(data).decode() == svg
    assert markup.image(svg.encode(), "a picture") == markup.image(svg, "a picture")


def test_a_bundle_without_html_shows_its_text():
    assert markup.bundle("1 < 2") == {"text/plain": "1 < 2", "text/html": "<pre>1 &lt; 2</pre>"}
    more = {"image/svg+xml": "<svg/>"}
    assert markup.bundle("a", "<b>a</b>", **more) == {"text/plain": "a", "text/html": "<b>a</b>",
                                                      "image/svg+xml": "<svg/>"}


# --- tensors --------------------------------------------------------------------------------------

def test_a_tensor_shows_its_numbers_and_its_gradient():
    w = minigrad.tensor([[1.0, -2.0], [3.0, 0.5]], requires_grad=True, name="w")
    assert words(w) == ["w", " Tensor of shape (2, 2), float64, a leaf that requires grad",
                        "data", "grad", "0", "1", "0", "1.00", "-2.00", "1", "3.00", "0.50",
                        "none yet"]
    (w * minigrad.tensor([[1.0, 10.0], [100.0, 0.0]])).sum().backward()
    assert titles(w) == [1, -2, 3, 0.5, 1, 10, 100, 0]
    assert shown(w)["text/plain"] == repr(w)


def test_the_operation_is_named_with_what_it_was_given():
    net = nn.Sequential(nn.Tanh())
    y = net(minigrad.tensor([1.0], requires_grad=True, name="x"))
    assert "made by tanh in 0 from tensor 'x' of shape (1,)" in words(y)[1]
    assert "no gradient flows here" in words(y.detach())[1]
    assert "grad" not in words(y.detach())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8"])
def test_numbers_are_those_of_the_array(dtype):
    array = (np.arange(24).reshape(2, 3, 4) / (7 if dtype.startswith("float") else 1)).astype(dtype)
    t = minigrad.tensor(array, dtype=dtype)
    assert titles(t) == array.ravel().tolist()
    heads = [word for word in words(t) if re.fullmatch(r"\d, \d", word)]
    assert heads == ["0, 0", "0, 1", "0, 2", "1, 0", "1, 1", "1, 2"]


def test_signs_are_blue_and_orange_and_the_largest_darkest():
    text = minigrad.tensor([0.0, 4.0, -4.0, 1.0])._repr_html_()
    fills = re.findall(r"background:#(..)(..)(..)", text)
    red, green, blue = zip(*[[int(level, 16) for level in fill] for fill in fills])
    assert (red[0], green[0], blue[0]) == (255, 255, 255)
    assert red[1] < blue[1] and red[2] > blue[2] and red[1] < red[3]
    assert text.count("background:") == text.count(";color:#")  # never ink without its paper


def test_a_long_vector_goes_on_in_the_next_row_and_a_longer_one_is_shortened():
    values = np.linspace(-1, 1, 20)
    assert titles(minigrad.tensor(values)) == values.tolist()
    assert words(minigrad.tensor(values)).count("16") == 1  # the third row begins with 16
    assert titles(minigrad.arange(65.0)) == [0, 1, 2, 62, 63, 64]
    assert words(minigrad.arange(65.0)).count("...") == 2   # in the head and in the row


def test_corners_stand_at_their_own_indices():
    array = np.random.default_rng(0).normal(size=(3, 40, 30))
    t = minigrad.tensor(array)
    edge = [0, 1, 2, -3, -2, -1]
    assert titles(t) == array[0][np.ix_(edge, edge)].ravel().tolist()
    text = words(t)
    assert {"0, 0", "0, 39", "29", "..."} <= set(text)
    assert text.count("...") == 1 + 6 + 8 + 8  # head, rows, the middle row, further matrices


def test_the_summary_is_that_of_all_numbers():
    array = np.random.default_rng(1).normal(size=(100, 30)) * 10
    line = next(word for word in words(minigrad.tensor(array)) if word.startswith("min"))
    found = [float(word.split()[1]) for word in line.split(", ")]
    exact = [array.min(), array.mean(), array.max(), np.sqrt((array**2).mean())]
    assert np.allclose(found, exact, rtol=5e-3)
    array[0, 0], array[5, 5], array[6, 6] = np.nan, np.inf, -np.inf
    assert "1 nan and 2 inf among 3000 numbers" in words(minigrad.tensor(array))
    assert "min 0, mean 31.5, max 63, rms 36.5" in words(minigrad.arange(64))
    assert "10 of 20 are True" in words(minigrad.arange(20) < 10)


def test_tiny_numbers_have_a_common_factor():
    text = words(minigrad.tensor([1e-7, -2.5e-7]))
    assert "all x 1e-7" in text and "-2.50" in text


EXTREME = {
    "0-d": np.array(2.0), "empty": np.zeros((0, 3)), "no columns": np.zeros((3, 0, 9)),
    "5-d": np.ones((2, 3, 2, 2, 4)), "row": np.ones((1, 1000)), "column": np.ones((1000, 1)),
    "nan": np.full(3, np.nan), "many nan": np.full(99, np.nan), "inf": np.array([np.inf, -np.inf]),
    "huge": np.full(100, 1e308), "tiny": np.full(100, 5e-324), "bool": np.ones((9, 9), dtype=bool),
    "wide": np.ones((4, 17)), "just fits": np.ones((4, 16)), "half": np.full(70, 6e4, np.float16),
    "int64": np.full(70, -2**63), "large": np.zeros((1000, 1000)),
}


@pytest.mark.parametrize("array", EXTREME.values(), ids=EXTREME)
def test_every_array_is_shown(array):
    t = minigrad.tensor(array)
    assert "data" in words(t)  # not the fallback
    assert shown(t)["text/plain"] == repr(t)
    assert len(t._repr_html_()) < 20_000


@pytest.mark.parametrize("edgeitems", [0, 1, 5, 1000])
def test_print_options_choose_the_corners(edgeitems):
    try:
        minigrad.set_printoptions(edgeitems=edgeitems)
        Checked(minigrad.zeros(30, 30)._repr_html_())
        assert len(titles(minigrad.zeros(30, 30))) == min(30, 2 * edgeitems) ** 2
    finally:
        minigrad.set_printoptions(profile="default")


@pytest.mark.parametrize("name", NASTY)
def test_exotic_names_are_only_text(name):
    t = minigrad.tensor([1.0], requires_grad=True, name=name)
    assert name in words(t)
    shown(t * 2)
    shown(minigrad.primitive(lambda x: x, lambda g, y, x: g, name=name)(t))


def test_looking_changes_nothing():
    net, optimizer = trained()
    before = [p.grad.numpy().copy() for p in net.parameters() if p.grad is not None]
    for thing in (net, optimizer, *net.parameters()):
        shown(thing)
    after = [p.grad.numpy() for p in net.parameters() if p.grad is not None]
    assert all(map(np.array_equal, before, after))
    assert len(before) == 5


def test_subclasses_show_what_they_are():
    class Weight(minigrad.Tensor):
        __slots__ = ()

    assert words(wrap(np.ones(1), Weight))[0] == "Weight"
    assert "Parameter of shape (1,)" in words(nn.Parameter([1.0], name="p"))[1]


def test_deleted_attributes_do_not_raise():
    t = minigrad.tensor([1.0])
    del t.array
    bundle = shown(t)
    assert "its repr raised AttributeError" in bundle["text/plain"]
    t = minigrad.tensor([1.0], requires_grad=True)
    del t._grad
    assert shown(t)["text/html"] == markup.pre(repr(t))


def test_a_view_and_a_value_changed_in_place_are_shown_as_they_are_now():
    base = minigrad.tensor([[1.0, 2.0], [3.0, 4.0]])
    view = base.T
    base[0, 1] = 9.0
    assert titles(view) == [1, 3, 9, 4]


# --- modules --------------------------------------------------------------------------------------

def table_rows(text):
    """The cells of every row of the tables in some HTML."""
    rows = [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in re.findall("<tr>(.*?)</tr>", text)]
    return {row[0]: row[1:] for row in rows}


def test_a_module_shows_its_tree_and_its_parameters():
    net, _ = trained()
    rows, weight = table_rows(net._repr_html_()), net[0].weight
    assert list(rows) == ["name", *(name for name, _ in net.named_parameters()),
                          *(name for name, _ in net.named_buffers())]
    assert rows["0.weight"][:3] == ["(4, 3)", "12", "yes"]
    for said, array in zip(rows["0.weight"][3:], (weight.numpy(), weight.grad.numpy())):
        assert float(said.split()[1]) == pytest.approx(np.sqrt((array**2).mean()), rel=5e-3)
    assert rows["1.bias"][2] == "frozen" and rows["1.running_var"][2] == "buffer"
    assert words(net)[0] == repr(net)
    assert words(net)[-1] == "29 numbers in 6 parameters, 25 of them trained"
    assert table_rows(nn.Linear(1, 1)._repr_html_())["weight"][-1] == "none yet"


def test_modules_without_parameters_or_with_very_many():
    assert words(nn.Tanh()) == ["Tanh()", "0 numbers in 0 parameters, 0 of them trained"]
    deep = nn.Sequential(*(nn.Linear(1, 1) for _ in range(40)))
    assert "... and 20 more rows" in words(deep)
    assert "80 numbers in 80 parameters, 80 of them trained" in words(deep)


def test_a_half_built_module_is_shown():
    shown(object.__new__(nn.Linear))  # neither __new__ nor __init__ of it ran
    bare = nn.Linear.__new__(nn.Linear, 2, 3)
    assert "its repr raised AttributeError" in shown(bare)["text/plain"]
    assert "its repr raised AttributeError" in shown(bare)["text/html"]

    class Own(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

        def extra_repr(self):
            raise KeyError("later")

    assert "its repr raised KeyError" in shown(Own())["text/plain"]


# --- optimizers -----------------------------------------------------------------------------------

def test_an_optimizer_shows_groups_and_states():
    net, optimizer = trained()
    text = richtext.optimizer_html(optimizer)
    assert Checked(text).words[:2] == ["Adam", " steps taken: 2"]
    rows = table_rows(text)
    assert rows["option"] == ["group 0", "group 1"] and rows["lr"] == ["0.001", "0.5"]
    assert rows["parameter"] == ["group", "shape", "steps", "grad", "m", "v"]
    weight = net[0].weight
    assert rows["0.weight"][:3] == ["0", "(4, 3)", "2"]
    for said, array in zip(rows["0.weight"][3:], (weight.grad.numpy(), optimizer.state[weight]["m"],
                                                  optimizer.state[weight]["v"])):
        assert float(said.split()[1]) == pytest.approx(np.sqrt((array**2).mean()), rel=5e-3)
    assert rows["weight"][0] == "1"  # given as ("weight", p): that is its name here


def test_a_half_built_optimizer_is_shown():
    _, optimizer = trained()
    assert shown(optimizer)["text/html"] == richtext.optimizer_html(optimizer)
    bare = object.__new__(minigrad.optim.Adam)
    assert "its repr raised AttributeError" in shown(bare)["text/html"]


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "RMSprop", "AdamW", "NAdam", "Adadelta"])
def test_every_optimizer_is_shown_before_and_after_a_step(name):
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    optimizer = getattr(minigrad.optim, name)([w], lr=0.1)
    before = table_rows(richtext.optimizer_html(optimizer))
    assert before["unnamed"][2:4] == ["0", "none yet"]
    (w * w).sum().backward()
    optimizer.step()
    assert table_rows(richtext.optimizer_html(optimizer))["unnamed"][2:4] == ["1", "2.00 4.00"]


# --- the library ----------------------------------------------------------------------------------

def test_importing_the_library_does_not_open_the_room_of_pictures():
    code = "import sys, minigrad; print('minigrad.inspect' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_ipython_shows_the_html():
    formatters = pytest.importorskip("IPython.core.formatters")
    t = minigrad.tensor([1.0, 2.0], name="t")
    data, _ = formatters.DisplayFormatter().format(t)
    assert data["text/html"] == t._repr_html_() and data["text/plain"] == repr(t)
