"""The README keeps its word: its programs run and give the values in their comments and below them,
commands and files exist."""

import ast
import os
import pathlib
import re

import numpy as np
import pytest
from test_examples import same

from minigrad import cli, load_trace
from minigrad.inspect import layout
from minigrad.optim import rules

README = pathlib.Path(__file__).parent.parent / "README.md"
PAGE = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))


def blocks_of(section, language):
    """The code blocks of a section; those of the language "" are what a program prints."""
    found = re.findall(r"```(\w*)\n(.*?)```", SECTIONS[section], re.DOTALL)
    return [text for written_in, text in found if written_in == language]


def run(program, space):
    """Runs a program statement by statement. Returns how many values stood in comments, and did."""
    checked = 0
    lines = program.split("\n")
    for statement in ast.parse(program).body:
        source = "\n".join(lines[statement.lineno - 1:statement.end_lineno])
        comment = lines[statement.end_lineno - 1][statement.end_col_offset:].partition("# ")[2]
        if not isinstance(statement, ast.Expr):
            exec(source, space)
            continue
        value = eval(compile(ast.Expression(statement.value), "README.md", "eval"), space)
        wrote = isinstance(value, str) and os.path.exists(value)  # the path that save() returns
        if comment and value is not None and not wrote:
            assert comment.split(":  ")[0].split("    ")[0] == repr(value), source
            checked += 1
    return checked


def test_the_five_minute_tour_prints_what_its_comments_say(tmp_path, monkeypatch):
    pytest.importorskip("graphviz")
    monkeypatch.chdir(tmp_path)
    tour = blocks_of("Five minutes", "python")[0]
    assert run(tour.replace("xor.svg", "xor.dot"), {}) >= 7  # text needs no layout program
    assert (tmp_path / "xor.dot").exists()


@pytest.fixture
def seen(tmp_path, monkeypatch, capsys):
    """The programs of "See every gradient", run one after the other: (names, printed lines)."""
    monkeypatch.chdir(tmp_path)
    programs = "\n".join(blocks_of("See every gradient and every update", "python"))
    try:
        layout.program()
    except layout.GraphvizNotFound:
        programs = re.sub(r"^.*backward\.html.*$", "", programs, flags=re.MULTILINE)
    names = {}
    assert run(programs, names) == 1
    return names, capsys.readouterr().out.splitlines()


def test_every_number_of_the_explanations_is_the_one_printed(seen):
    printed = seen[1]
    shown = [block.splitlines() for block in blocks_of("See every gradient and every update", "")]
    assert [lines[0].split()[0] for lines in shown] == ["0.weight[0,", "d"]
    for lines in shown:
        starts = [i for i in range(len(printed)) if same(lines[0], printed[i])]
        assert len(starts) == 1, lines[0]
        found = printed[starts[0]:starts[0] + len(lines)]
        assert [line for line, other in zip(lines, found) if not same(line, other)] == []


def test_the_explained_update_and_gradient_are_those_of_numpy(seen):
    """The numbers in the text, against a transcription that knows nothing of minigrad."""
    names, _ = seen
    record, t = names["run"]["0.weight"], 0
    m, v, w = 0.0, 0.0, record["data"][0, 0, 1]
    for g in record["grad"][:, 0, 1]:
        t, m, v = t + 1, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    update, gradient = blocks_of("See every gradient and every update", "")
    assert float(update.split()[-1]) == pytest.approx(w, rel=1e-3)
    assert names["net"][0].weight[0, 1].item() == pytest.approx(w, rel=1e-12)

    W1, b1, W2, b2 = [p.numpy() for p in names["net"].parameters()]

    def loss(nudge):
        W = W1 + nudge * np.array([[0, 1], [0, 0]])
        out = np.tanh(names["x"].numpy() @ W.T + b1) @ W2.T + b2
        return ((out - names["y"].numpy()) ** 2).mean()

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert float(gradient.splitlines()[0].split()[-1]) == pytest.approx(slope, rel=1e-3)


def test_the_record_of_the_run_can_be_read_again(seen, tmp_path):
    names, _ = seen
    again = load_trace("run.npz")
    assert np.array_equal(again["0.weight"]["m_hat"], names["run"]["0.weight"]["m_hat"])
    assert (tmp_path / "run.csv").read_text().startswith("step")


def test_the_printed_adam_is_the_one_in_the_rules():
    import inspect
    printed = next(text for _, text in BLOCKS if text.startswith("def adam("))
    source = inspect.getsource(rules.adam)
    assert [line.strip() for line in printed.strip().splitlines()[1:]] == [
        line.strip() for line in source.splitlines() if line.strip() and '"""' not in line][2:]


@pytest.mark.parametrize("line", [line for language, text in BLOCKS if language == "bash"
                                  for line in text.splitlines() if "-m minigrad" in line])
def test_every_command_is_one_the_command_line_knows(line):
    words = line.split("#")[0].split("-m minigrad ")[1].split()
    assert cli.parsed(words).command == words[0]


def test_every_file_of_the_map_exists():
    root = README.parent
    table = SECTIONS["Where things are"].split("\n\n")[0]
    names = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    folder = None
    for name in names:
        if "/" in name:
            folder = (root / name).parent if name.endswith(".py") else root / name
            assert (root / name).exists(), name
        else:
            assert any((base / name).exists() for base in (folder, folder.parent)), name
    assert len(names) > 10


def test_every_picture_and_example_exists_and_pictures_load_quickly():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
    assert len(pictures) == 6
    for name in pictures:
        assert (README.parent / name).stat().st_size < 210_000, name
    for name in re.findall(r"`(examples/\w+\.py)`", PAGE):
        assert (README.parent / name).exists(), name
    numbered = {path.name.split("_")[0] for path in (README.parent / "examples").glob("[0-9]*.py")}
    row = next(line for line in SECTIONS["Where things are"].splitlines() if "`examples/`" in line)
    assert set(re.findall(r"\b\d+\b", row)) == numbered


def test_the_printed_backprop_is_what_source_prints_and_the_compiled_step_runs():
    section = "Print the backprop, and run it"
    names = {}
    exec("import minigrad as mg", names)
    first, second = blocks_of(section, "python")
    exec(first.replace("print(", "printed = str("), names)
    assert blocks_of(section, "")[0].strip() in names["printed"]
    before = names["loss_fn"](names["inputs"], names["targets"]).item()
    exec(second, names)
    assert names["loss"].item() == before
    assert names["loss_fn"](names["inputs"], names["targets"]).item() < before


def test_the_race_of_the_laboratory_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec("import minigrad as mg", names)
    exec(blocks_of("The laboratory", "python")[0], names)
    assert (tmp_path / "race.html").exists()
    assert list(names["race"].names) == ["SGD", "Momentum", "AdaGrad", "Adam"]
    assert len(SECTIONS["The laboratory"].split("](examples/pictures/")) == 4  # three pictures
    assert "32 experiments" in SECTIONS["The laboratory"]
    assert len(names["mg"].lab.experiments.list()) == 32


def test_the_diagnosis_of_the_coursework_is_the_one_printed(capsys):
    first, second = blocks_of("Coursework", "python")
    names = {}
    exec(first, names)
    assert capsys.readouterr().out == blocks_of("Coursework", "")[0]
    values = np.linspace(-0.6, 0.4, 6)
    for dw in (values, 2 * values):  # what the text says of these numbers, by hand
        config = {"beta1": 0.9, "beta2": 0.99, "learning_rate": 0.1, "epsilon": 1e-8}
        names["adam"](values, dw, config)
        assert np.allclose(config["v"], 1 - 0.99 * dw**2)
    for line in second.splitlines():
        assert callable(getattr(names["mg"].coursework, line.split("(")[0].split(".")[-1]))
    assert eval(second.splitlines()[-1].split("  #")[0], names).causes == ("no-bias-correction",)
