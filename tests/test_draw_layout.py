"""From DOT text to files: programs found and missing, files written whole or not at all."""

import os
import shutil
import struct
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from minigrad.creation import tensor
from minigrad.inspect import GraphvizNotFound, draw, layout

pure = layout.packaged()
needs_pure = pytest.mark.skipif(pure is None, reason="the graphviz-pure package is not installed")
SVG = "{http://www.w3.org/2000/svg}"


def graph(name="L"):
    w = tensor([[0.5, -1.0]], requires_grad=True, name="w")
    loss = (w * tensor([1.0, 2.0], name="x")).tanh().sum()
    loss.name = name
    loss.backward()
    return draw(loss)


@pytest.fixture
def with_pure(monkeypatch):
    if pure is None:
        pytest.skip("the graphviz-pure package is not installed")
    monkeypatch.setenv("MINIGRAD_DOT", pure)


@pytest.fixture
def without_program(monkeypatch):
    monkeypatch.delenv("MINIGRAD_DOT", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(layout, "packaged", lambda: None)


def test_svg_is_valid_and_tells_what_it_is(with_pure, tmp_path):
    path = graph().save(tmp_path / "g.svg")
    root = ElementTree.fromstring(path.read_bytes())
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    assert root.get("aria-label") == "computation graph of L: 5 tensors"
    assert "monospace" in root.find(f"{SVG}style").text
    ids = {element.get("id") for element in root.iter(f"{SVG}g")}
    assert {"t-w", "t-x", "t-L"} <= ids
    assert graph().render() == path.read_bytes()


def test_png_is_a_png(with_pure, tmp_path):
    path = graph().save(str(tmp_path / "g.PNG"))
    with open(path, "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "name",
    [
        'a"b',
        "<b>&amp;",
        "back\\slash\\N\\",
        "two\nlines",
        "tab\t\x00",
        "λ→日本",
        "</TD></TABLE>>]; x",
        "&#0;",
        "x" * 300,
        "--",
        "]]>",
    ],
)
def test_any_name_survives_the_layout_program(with_pure, name):
    root = ElementTree.fromstring(graph(name).render())
    texts = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    if len(shown) > 28:
        shown = shown[:26] + ".."
    assert shown in texts
    assert len([g for g in root.iter(f"{SVG}g") if (g.get("class") or "").startswith("node")]) == 5


def test_values_of_every_kind_are_laid_out(with_pure):
    for data in (
        np.zeros((0, 3)),
        np.array([np.nan, np.inf]),
        np.full(40, np.nan),
        np.zeros((2, 2, 2)),
    ):
        ElementTree.fromstring(draw(tensor(data, requires_grad=True) * 2).render())


def test_dot_needs_no_program(without_program, tmp_path):
    g = graph()
    g.save(tmp_path / "g.dot")
    assert (tmp_path / "g.dot").read_text() == g.source
    assert os.listdir(tmp_path) == ["g.dot"]


def test_no_program_is_one_clear_error(without_program, tmp_path):
    with pytest.raises(
        GraphvizNotFound, match="(?s)no Graphviz layout program.*pip install graphviz-pure"
    ):
        graph().save(tmp_path / "g.svg")
    assert os.listdir(tmp_path) == []


def test_a_wrong_variable_is_named(monkeypatch, tmp_path):
    for wrong in ("/nope", str(tmp_path), __file__):
        monkeypatch.setenv("MINIGRAD_DOT", wrong)
        with pytest.raises(
            GraphvizNotFound, match="MINIGRAD_DOT is set to .*not an executable file"
        ):
            graph().render()


def script(tmp_path, body, name="dot"):
    path = tmp_path / name
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path


needs_shebang = pytest.mark.skipif(os.name == "nt", reason="needs #! scripts")


@needs_shebang
def test_the_order_of_the_search(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGRAD_DOT", raising=False)
    monkeypatch.setattr(layout, "packaged", lambda: "the package")
    monkeypatch.setenv("PATH", "")
    assert layout.program() == "the package"
    found = script(tmp_path, "pass")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert layout.program() == str(found)
    mine = script(tmp_path, "pass", "mine")
    monkeypatch.setenv("MINIGRAD_DOT", str(mine))
    assert layout.program() == str(mine)


@needs_shebang
def test_a_program_that_fails_is_quoted(monkeypatch, tmp_path):
    body = "import sys; print('<stdin>: syntax error', file=sys.stderr); sys.exit(3)"
    monkeypatch.setenv("MINIGRAD_DOT", str(script(tmp_path, body)))
    with pytest.raises(RuntimeError, match=r"failed \(exit code 3\): <stdin>: syntax error"):
        graph().render()


@needs_shebang
def test_a_program_that_hangs_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(layout, "TIMEOUT", 0.2)
    monkeypatch.setenv("MINIGRAD_DOT", str(script(tmp_path, "import time; time.sleep(20)")))
    with pytest.raises(RuntimeError, match="more than 0.2 s.*depth=1"):
        graph().render()


def test_pdf_needs_a_system_graphviz(with_pure, tmp_path):
    with pytest.raises(RuntimeError, match="PDF needs a system Graphviz; svg and png work"):
        graph().save(tmp_path / "g.pdf")


@pytest.mark.skipif(shutil.which("dot") is None, reason="no system Graphviz")
def test_pdf_with_a_system_graphviz(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGRAD_DOT", raising=False)
    assert graph().save(tmp_path / "g.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["g.gif", "g", "g.svg.txt", ".svg"])
def test_unknown_suffixes_are_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf or \.dot"):
        graph().save(tmp_path / name)


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        graph().save(tmp_path / "no" / "g.dot")
    (tmp_path / "d.dot").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        graph().save(tmp_path / "d.dot")


def test_a_failed_write_leaves_the_old_file(monkeypatch, tmp_path):
    path = tmp_path / "g.dot"
    path.write_text("old")

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(layout.os, "replace", refused)
    with pytest.raises(PermissionError, match="cannot write .*g.dot: Permission denied"):
        graph().save(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["g.dot"]


def test_notebooks_get_a_picture(with_pure):
    bundle = graph("a<b")._repr_mimebundle_()
    assert bundle["text/html"].startswith(
        '<img alt="computation graph of a&lt;b: 5 tensors" src="data:image/svg'
    )
    assert bundle["image/svg+xml"].lstrip().startswith("<?xml") and "tanh" in bundle["text/plain"]


def test_notebooks_get_text_without_a_program(without_program):
    bundle = graph("a<b")._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/html", "text/plain"}
    assert "pip install graphviz-pure" in bundle["text/html"] and "a&lt;b" in bundle["text/html"]
    assert "tanh" in bundle["text/plain"]


def test_a_graph_can_be_handed_to_the_graphviz_package():
    graphviz = pytest.importorskip("graphviz")
    x = tensor(2.0, requires_grad=True, name="x")
    graph = draw(x * x)
    assert isinstance(graph.graphviz(), graphviz.Source)
    assert graph.graphviz().source.strip() == graph.source.strip()


def test_a_long_picture_is_a_png_that_programs_can_open(with_pure, monkeypatch):
    h = tensor(np.ones((2, 2)), name="x")
    for i in range(40):
        h = (h @ tensor(np.ones((2, 2)), requires_grad=True, name=f"W{i}")).tanh()
    graph = draw(h, fold=False)
    assert len(graph.source) > layout.LONG
    monkeypatch.setattr(layout, "SIDE", 2000)
    width, height = struct.unpack(">II", graph.render("png")[16:24])
    assert 1900 < height <= 2010 and width < height
    monkeypatch.setattr(layout, "SIDE", 32_000)
    monkeypatch.setattr(layout, "PIXELS", 1_000_000)
    width, height = struct.unpack(">II", graph.render("png")[16:24])
    assert 900_000 < width * height < 1_050_000
