"""`python -m minigrad graph FILE.py:NAME`, as a user meets it."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

import minigrad
from minigrad import cli
from minigrad.inspect import layout

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(minigrad.__file__)))

PROGRAM = """
import sys
import minigrad as mg
from minigrad import nn
from beside import two

print("a word of the program", __name__, sys.argv)
mg.manual_seed(0)
x = mg.tensor([[1.0, two]])
net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
out = net(x)
loss = out.square().mean()
loss.backward()
number, nothing, pair = 3, None, [out, loss]


def both():
    return [out, loss]


def needs(a, b=2):
    return a


def fails():
    return x @ x


def leaves():
    sys.exit(7)


if __name__ == "__main__":
    late = loss * 2.0
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside.py").write_text("two = 2.0\n")
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "broken.py").write_text("import minigrad as mg\nx = mg.tensor([1.0, 2.0])\n\n\n"
                                        "def f():\n    return x.reshape(7)\n\n\ny = f()\n")
    (tmp_path / "syntax.py").write_text("x = (\n")
    (tmp_path / "stops.py").write_text("import sys\nimport minigrad as mg\n"
                                       "a = mg.tensor(1.0)\nsys.exit(3)\nb = a\n")
    (tmp_path / "empty.py").write_text("")
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    return tmp_path


@pytest.fixture
def run(capsys):
    def command(*argv):
        code = cli.main(["graph", *map(str, argv)])
        return code, *capsys.readouterr()
    return command


def test_without_output_the_tensors_are_listed(run):
    code, out, err = run("prog.py:loss")
    assert code == 0 and out.startswith("name ") and max(map(len, out.splitlines())) <= 80
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == ["x", "0.weight", "0.bias", "v1", "v2", "2.weight", "2.bias", "out", "v3",
                     "loss"]
    assert err == "a word of the program __main__ ['prog.py']\n"


def test_a_picture_is_written_once(run):
    code, out, err = run("prog.py:loss", "-o", "graph.svg")
    assert (code, out) == (0, "")
    assert "wrote graph.svg: computation graph of loss: 10 tensors" in err
    assert 't-loss' in open("graph.svg").read().replace("&#45;", "-")
    ElementTree.parse("graph.svg")
    code, out, err = run("prog.py:loss", "-o", "graph.svg")
    assert code == 1 and "graph.svg exists already" in err and "a word" not in err
    assert run("prog.py:loss", "-o", "graph.svg", "--force")[0] == 0


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("dot", b"digraph"),
                                           ("gv", b"digraph"), ("SVG", b"<?xml")])
def test_every_format(run, suffix, start):
    assert run("prog.py:loss", "-o", f"g.{suffix}")[0] == 0
    assert open(f"g.{suffix}", "rb").read().startswith(start)


def test_stdout_has_the_picture_and_nothing_else(run):
    code, out, _ = run("prog.py:loss", "-o", "-")
    assert code == 0 and ElementTree.fromstring(out.encode()).tag.endswith("svg")
    code, out, _ = run("prog.py:loss", "-o", "-", "--format", "dot")
    assert code == 0 and out.startswith("digraph") and out.endswith("}\n")


def test_a_picture_as_bytes_on_stdout():
    done = subprocess.run([sys.executable, "-m", "minigrad", "graph", "prog.py:loss", "-o", "-",
                           "--format", "png"], capture_output=True, check=True,
                          env={**os.environ, "PYTHONPATH": ROOT})
    assert done.stdout.startswith(b"\x89PNG") and b"IEND" in done.stdout[-12:]


def test_functions_lists_and_the_block_of_the_main_program(run):
    for name, last in (("both", "loss"), ("pair", "loss"), ("late", "late")):
        code, out, _ = run(f"prog.py:{name}")
        assert code == 0 and out.splitlines()[-1].split()[0] == last


def test_options_reach_the_drawing(run):
    def dot(*options):
        code, out, err = run("prog.py:loss", "-o", "-", "--format", "dot", *options)
        assert code == 0, err
        return out
    assert "rankdir=TB" in dot("--direction", "TB")
    assert "folded into 1 card;" in dot("--depth", "0")
    assert 'class="op"' in dot("--ops", "nodes")
    assert ">a title<" in dot("--title", "a title").replace("<B>", "").replace("</B>", "")
    assert dot("--no-fold") == dot() == dot("--no-merge")
    assert dot("--depth", "1", "--expand", "0,2").count('class="tensor param"') == 4


def test_json(run):
    code, out, _ = run("prog.py:loss", "--json")
    tensors = json.loads(out)["tensors"]
    assert code == 0 and tensors[0] == {
        "name": "x", "role": "input", "made_by": "input", "shape": [1, 2], "dtype": "float64",
        "tracked": False, "has_grad": False}
    assert tensors[-1]["has_grad"] is True and tensors[-1]["made_by"] == "v3.mean()"


BAD = [
    ("prog.py:los", 1, "no variable 'los'; its tensors are x, out, loss, pair, late.*'loss'?"),
    ("prog.py:net", 1, "net in prog.py is a Sequential.*out = net(x)"),
    ("prog.py:needs", 1, "needs arguments: needs(a, b=2)"),
    ("prog.py:number", 1, "number in prog.py is of type int, expected a tensor"),
    ("prog.py:nothing", 1, "nothing in prog.py is None"),
    ("prog.py:fails", 1, "prog.py stopped with RuntimeError: matmul"),
    ("prog.py:leaves", 1, "leaves() in prog.py ended the program with 7"),
    ("prog.py", 2, "FILE.py:NAME.*'prog.py' names no tensor"),
    ("prog.py:", 2, "FILE.py:NAME"),
    ("prog.py:a-b", 2, "got the name 'a-b'"),
    (":loss", 2, "FILE.py:NAME"),
    ("porg.py:loss", 2, "cannot read porg.py: No such file or directory. Did you mean 'prog.py'?"),
    ("no/where.py:loss", 2, "cannot read no/where.py"),
    (".:loss", 2, "cannot read ."),
    ("broken.py:y", 1, "broken.py stopped with RuntimeError"),
    ("syntax.py:y", 1, "syntax.py stopped with SyntaxError"),
    ("stops.py:b", 1, "stops.py ended itself with 3"),
    ("empty.py:y", 1, "empty.py has no variable 'y'; it has no tensors"),
    ("prog.py:loss -o x.gif", 2, "'x.gif': the suffix says the format"),
    ("prog.py:loss -o x", 2, "the suffix says the format"),
    ("prog.py:loss -o x.svg --format png", 2, "the suffix says the format"),
    ("prog.py:loss -o no/x.svg", 1, "there is no folder 'no'"),
    ("prog.py:loss --format svg", 2, "--format is for -o"),
    ("prog.py:loss -o - --json", 2, "both print to stdout"),
    ("prog.py:loss --max-nodes 3", 1, "max_nodes=3.*--depth 1"),
    ("prog.py:loss --expand 9", 1, "expand names '9'"),
    ("prog.py:loss --depth x", 2, "--depth: it must be a whole number"),
    ("prog.py:loss --ops node", 2, "Did you mean 'nodes'?"),
    ("prog.py:loss --direction up", 2, "'up' is not one of LR, TB"),
    ("prog.py:loss --no-folds", 2, "unknown option '--no-folds'. Did you mean '--no-fold'?"),
    ("", 2, "required: FILE.py:NAME"),
]


@pytest.mark.parametrize("words, code, message", BAD, ids=[words for words, _, _ in BAD])
def test_bad_input_is_one_line_and_a_hint(run, words, code, message):
    before = sorted(os.listdir("."))
    got, out, err = run(*words.split())
    assert (got, out) == (code, "")
    error, hint = err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint:  ")
    place = 0
    for part in message.split(".*"):
        place = f"{error} {hint}".find(part, place) + 1
        assert place, (part, err)
    assert "Traceback" not in err and sorted(set(os.listdir(".")) - {"__pycache__"}) == before


def test_errors_of_the_program_show_its_own_lines_only(run):
    _, _, err = run("broken.py:y")
    assert 'File "broken.py", line 9, in <module>' in err and "return x.reshape(7)" in err
    assert "minigrad/" not in err and err.count("File ") == 2
    _, _, err = run("prog.py:fails")
    assert "in fails" in err and err.count("File ") == 1
    with pytest.raises(Exception, match="broken.py stopped"):
        run("broken.py:y", "--debug")


def test_what_was_computed_before_the_end_can_be_drawn(run):
    assert run("stops.py:a")[0] == 0


def test_the_process_is_left_as_it_was(run):
    before = sys.modules["__main__"], list(sys.path), list(sys.argv), sys.stdout
    for words in ("prog.py:loss", "broken.py:y", "prog.py:both", "prog.py:fails"):
        run(words)
    assert (sys.modules["__main__"], sys.path, sys.argv, sys.stdout) == before


def test_without_a_layout_program_it_is_said_before_anything_runs(run, monkeypatch):
    def missing():
        raise layout.GraphvizNotFound(layout.NOT_FOUND)
    monkeypatch.setattr(layout, "program", missing)
    code, _, err = run("prog.py:loss", "-o", "g.svg")
    assert code == 1 and "no Graphviz layout program" in err and "-o graph.dot" in err
    assert "a word" not in err and not os.path.exists("g.svg")
    assert run("prog.py:loss", "-o", "g.dot")[0] == 0


def test_ctrl_c_in_the_program(run, workplace):
    (workplace / "slow.py").write_text("raise KeyboardInterrupt\n")
    assert run("slow.py:x")[0] == 130


def test_help_says_that_the_file_is_run(run):
    code, out, _ = run("--help")
    assert code == 0 and "FILE.py is RUN" in out and max(map(len, out.splitlines())) <= 80


def test_the_paths_in_the_help_are_those_of_models(run):
    assert "0 of a Sequential, net.0" in " ".join(run("--help")[1].split())
    code, out, _ = run("prog.py:loss", "--depth", 1, "--expand", 0)  # net is a Sequential
    assert code == 0 and "x @ weight_0.T + bias_0" in out


def test_layers_are_told_apart(run):
    _, out, _ = run("prog.py:loss")
    assert "x @ weight_0.T + bias_0" in out and "v2 @ weight_2.T + bias_2" in out
    listed = json.loads(run("prog.py:loss", "--json")[1])["tensors"]
    made = {t["name"]: t["made_by"] for t in listed}
    assert made["out"] == "v2 @ weight_2.T + bias_2"


def test_a_file_in_another_folder_finds_its_neighbours(run, workplace, monkeypatch):
    (workplace / "inner").mkdir()
    os.rename("prog.py", "inner/prog.py")
    os.rename("beside.py", "inner/beside.py")
    assert run("inner/prog.py:loss")[0] == 0


def test_errors_fit_a_narrow_terminal(workplace, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.main(["graph", "prog.py:loss", "--max-nodes", "3"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "a word" not in line]
    assert len(lines) > 4 and max(map(len, lines)) < 60
    assert lines[0].startswith("error: draw: the graph has 10 tensors")
    assert all(line.startswith(("error: ", "hint:  ", "       ")) for line in lines)
