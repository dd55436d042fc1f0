"""The README keeps its word: the tour runs and gives the values in its comments, commands exist."""

import ast
import pathlib
import re

import pytest

from minigrad import cli
from minigrad.optim import rules

README = pathlib.Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_five_minute_tour_prints_what_its_comments_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tour = next(text for language, text in BLOCKS
                if language == "python" and "import minigrad" in text)
    if "graph.save" in tour:
        pytest.importorskip("graphviz")
        tour = tour.replace("xor.svg", "xor.dot")  # text needs no layout program
    space, checked = {}, 0
    lines = tour.split("\n")
    for statement in ast.parse(tour).body:
        source = "\n".join(lines[statement.lineno - 1:statement.end_lineno])
        comment = lines[statement.end_lineno - 1][statement.end_col_offset:].partition("# ")[2]
        if not isinstance(statement, ast.Expr):
            exec(source, space)
            continue
        value = eval(compile(ast.Expression(statement.value), "README.md", "eval"), space)
        if comment and value is not None:
            assert comment.split(":  ")[0].split("    ")[0] == repr(value), source
            checked += 1
    assert checked >= 7
    assert (tmp_path / "xor.dot").exists()


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
    table = README.read_text(encoding="utf-8").split("## Where things are")[1].split("\n\n")[1]
    names = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    folder = None
    for name in names:
        if "/" in name:
            folder = (root / name).parent if name.endswith(".py") else root / name
            assert (root / name).exists(), name
        else:
            assert any((base / name).exists() for base in (folder, folder.parent)), name
    assert len(names) > 10
