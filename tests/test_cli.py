"""The command line, as a user meets it: what is printed where, exit codes, files, bad input."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import minigrad
from minigrad import cli, commands, data, doctor, training
from minigrad.inspect import GraphvizNotFound, layout
from minigrad.predictor import Predictor
from minigrad.progress import Progress
from minigrad.terminal import table

try:
    import fcntl
    import pty
    import termios
except ImportError:  # Windows has no pseudo-terminals
    pty = None

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(minigrad.__file__)))
ENVIRONMENT = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
QUICK = ["--epochs", "2", "--hidden", "4"]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command in this process; gives (exit code, stdout, stderr)."""
    def command(*argv):
        code = cli.main(list(map(str, argv)))
        return code, *capsys.readouterr()
    return command


@pytest.fixture
def houses(workplace):
    """A CSV file: a price from an area and a kind."""
    rng = np.random.default_rng(0)
    area, kind = rng.uniform(30, 200, 80), rng.choice(["flat", "house", "villa"], 80)
    price = 3 * area + 100 * (kind == "house") + 300 * (kind == "villa") + rng.normal(0, 10, 80)
    lines = [f"{a:.1f},{k},{p:.2f}" for a, k, p in zip(area, kind, price)]
    path = workplace / "houses.csv"
    path.write_text("\n".join(["area,kind,price", *lines]) + "\n")
    return path


def files(folder):
    return sorted(os.path.relpath(os.path.join(where, name), folder)
                  for where, _, names in os.walk(folder) for name in names)


# --- the main job --------------------------------------------------------------------------------

def test_train_digits_and_predict_the_held_out_rows(run):
    code, out, err = run("train", "digits")
    assert code == 0
    accuracy = float(re.search(r"^test accuracy +([\d.]+)%", out, re.MULTILINE)[1])
    assert accuracy >= 97
    baseline = float(re.search(r"^baseline +([\d.]+)%", out, re.MULTILINE)[1])
    assert 9 < baseline < 11
    assert "seed 0" in err and "next: python -m minigrad predict" in err
    assert files("runs") == ["digits/graph.svg", "digits/model.npz"]
    assert ElementTree.parse("runs/digits/graph.svg").getroot().tag.endswith("svg")

    code, out, err = run("predict", "runs/digits/model.npz", "digits")
    assert code == 0
    assert re.search(r"^accuracy +([\d.]+)%", out, re.MULTILINE)[1] == f"{accuracy:.2f}"
    header, *rows, _ = out.splitlines()
    assert header.split("  ") == ["row", "predicted digit", "true digit", "probability"]
    assert len(rows) == 20 and "more rows" in err


@pytest.mark.parametrize("name, least", [
    ("iris", 93), ("moons", 97), ("spirals", 97), ("xor", 100)])
def test_the_other_data_sets_are_learnt(run, name, least):
    code, out, _ = run("train", name, "--quiet", "--json")
    assert code == 0 and json.loads(out)["test"]["accuracy"] >= least / 100


@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_every_optimizer_learns_with_its_usual_rate(run, optimizer):
    code, out, _ = run("train", "moons", "--optimizer", optimizer, "--quiet", "--json")
    assert code == 0 and json.loads(out)["test"]["accuracy"] >= 0.9


@pytest.mark.parametrize("scheduler", training.SCHEDULERS)
def test_every_scheduler_runs(run, scheduler):
    code, out, _ = run("train", "iris", "--scheduler", scheduler, "--epochs", "20", "--quiet",
                       "--json", "--optimizer", "sgd")
    assert code == 0 and json.loads(out)["settings"]["scheduler"] == scheduler


def test_options_names_agree_with_the_tables():
    parser = cli.root()
    for option, known in (("--optimizer", training.OPTIMIZERS),
                          ("--scheduler", training.SCHEDULERS),
                          ("--activation", minigrad.nn.containers.ACTIVATIONS)):
        for name in known:
            assert parser.parse_args(["train", "iris", option, name])
    assert set(training.LEARNING_RATES) == set(training.OPTIMIZERS)
    assert set(training.RECIPES) == set(data.names())


def test_the_same_seed_gives_the_same_files(run):
    for folder in ("a", "b"):
        assert run("train", "iris", *QUICK, "-o", folder)[0] == 0
    assert run("train", "iris", *QUICK, "-o", "c", "--seed", "1")[0] == 0
    contents = [Path(f"{folder}/model.npz").read_bytes() for folder in "abc"]
    assert contents[0] == contents[1] != contents[2]
    assert Path("a/graph.svg").read_text() == Path("b/graph.svg").read_text()


def test_every_setting_arrives(run):
    words = ("train iris --hidden 5,4 --activation tanh --optimizer nesterov --lr 0.02 --momentum "
             "0.8 --weight-decay 0.001 --batch-size 7 --epochs 3 --seed 11 --scheduler linear "
             "--label-smoothing 0 --dtype float64 --json")
    code, out, err = run(*words.split())
    assert code == 0
    assert json.loads(out)["settings"] == {
        "hidden": [5, 4], "activation": "tanh", "optimizer": "nesterov", "lr": 0.02,
        "momentum": 0.8, "weight_decay": 0.001, "batch_size": 7, "epochs": 3, "seed": 11,
        "scheduler": "linear",
        "label_smoothing": 0.0, "dtype": "float64"}
    assert "nesterov, lr 0.02, momentum 0.8, weight decay 0.001, linear schedule" in err
    model = Predictor.load("runs/iris/model.npz")
    assert model.net.sizes == (4, 5, 4, 3) and model.dtype == np.float64


def test_no_hidden_layer_is_a_linear_model(run):
    assert run("train", "iris", "--hidden", "none", "--epochs", "5")[0] == 0
    assert Predictor.load("runs/iris/model.npz").net.sizes == (4, 3)


# --- files of the user's own ---------------------------------------------------------------------

def test_regression_on_a_csv_file(run, houses):
    code, out, err = run("train", "houses.csv", "--target", "price")
    assert code == 0 and "'price' has numbers that are not whole" in err
    assert float(re.search(r"^test R2 +(\S+)", out, re.MULTILINE)[1]) > 0.9
    rmse, baseline = (float(re.search(rf"^{name} RMSE +(\S+)", out, re.MULTILINE)[1])
                      for name in ("test", "baseline"))
    assert rmse < 60 and baseline > 100
    assert files("runs") == ["houses/graph.svg", "houses/model.npz"]

    (houses.parent / "new.csv").write_text("kind,area\nvilla,100\nflat,50\n")
    code, out, _ = run("predict", "runs/houses/model.npz", "new.csv", "--json")
    rows = json.loads(out)
    assert code == 0 and rows["test"] is None and rows["target"] == "price"
    assert [row["row"] for row in rows["rows"]] == [1, 2]
    assert rows["rows"][0]["predicted"] == pytest.approx(600, abs=80)
    assert rows["rows"][1]["predicted"] == pytest.approx(150, abs=80)

    code, out, err = run("predict", "runs/houses/model.npz", "houses.csv")
    assert code == 0 and re.search(r"^RMSE +\S+ +in the unit of price", out, re.MULTILINE)
    assert "the model was trained on" in err


def test_classification_on_a_csv_file(run, houses):
    code, out, _ = run("train", "houses.csv", "--target", "kind", "--epochs", "60")
    assert code == 0 and float(re.search(r"^test accuracy +([\d.]+)", out, re.MULTILINE)[1]) > 60
    code, out, err = run("predict", "runs/houses/model.npz", "houses.csv", "-o", "-")
    assert code == 0
    header, first, *rest = out.splitlines()
    assert header == "row,predicted kind,true kind,probability" and len(rest) == 79
    _, predicted, _, probability = first.split(",")
    assert predicted in ("flat", "house", "villa") and 1 / 3 <= float(probability) <= 1
    assert "accuracy" in err


def test_the_task_can_be_chosen(run, workplace):
    lines = "".join(f"{i},{i % 3}\n" for i in range(60))
    (workplace / "stars.csv").write_text("x,stars\n" + lines)
    code, _, err = run("train", "stars.csv", "--target", "stars", *QUICK)
    assert code == 0 and "3 classes" in err
    code, out, err = run("train", "stars.csv", "--target", "stars", "--task", "regression", *QUICK)
    assert code == 0 and "a number" in err and "RMSE" in out


def test_predictions_go_to_a_file_once(run, houses):
    assert run("train", "houses.csv", "--target", "price", *QUICK)[0] == 0
    argv = ["predict", "runs/houses/model.npz", "houses.csv", "-o", "out.csv"]
    code, out, err = run(*argv)
    assert code == 0 and "wrote 80 predictions to out.csv" in err and "RMSE" in out
    before = Path("out.csv").read_text()
    assert before.startswith("row,predicted price,true price\n1,")
    code, out, err = run(*argv)
    assert (code, out) == (1, "") and "out.csv exists already" in err and "--force" in err
    assert run(*argv, "--force")[0] == 0 and Path("out.csv").read_text() == before


# --- what is refused, and that nothing is left behind --------------------------------------------

BAD = [  # (words, exit code, what stderr says)
    ("train nope", 2, "there is no data set 'nope'; there are digits, iris, moons, spirals, xor"),
    ("train digts", 2, "Did you mean 'digits'?"),
    ("trian digits", 2, "there is no command 'trian'.*Did you mean 'train'?"),
    ("train", 2, "required: NAME|FILE.csv"),
    ("train iris --optimizer adma", 2, "'adma' is not one of .*Did you mean 'adam'?"),
    ("train iris --scheduler cosin", 2, "Did you mean 'cosine'?"),
    ("train iris --activation rellu", 2, "Did you mean 'relu'?"),
    ("train iris --optmizer adam", 2, "unknown option '--optmizer'. Did you mean '--optimizer'?"),
    ("train iris --epoch 3", 2, "unknown option '--epoch'. Did you mean '--epochs'?"),
    ("train iris moons", 2, "unknown argument 'moons'"),
    ("train iris --epochs 0", 2, "--epochs: it must be a whole number of at least 1, got '0'"),
    ("train iris --epochs 2.5", 2, "--epochs: it must be a whole number"),
    ("train iris --batch-size -3", 2, "--batch-size"),
    ("train iris --seed -1", 2, "--seed"),
    ("train iris --lr nan", 2, "--lr: it must be a number above 0, got 'nan'"),
    ("train iris --lr 0", 2, "--lr"),
    ("train iris --lr=-0.1", 2, "--lr"),
    ("train iris --lr inf", 2, "--lr"),
    ("train iris --momentum 1", 2, "--momentum: it must be a number of at least 0 and below 1"),
    ("train iris --weight-decay=-1", 2, "--weight-decay"),
    ("train iris --hidden 64,x", 2, "--hidden: it must be sizes separated by commas"),
    ("train iris --hidden 0", 2, "--hidden"),
    ("train iris --dtype int8", 2, "--dtype"),
    ("train iris --momentum 0.5", 2, "adamw has no momentum to set; it goes with sgd, momentum"),
    ("train iris --optimizer nesterov --momentum 0", 2, "Nesterov momentum requires a momentum"),
    ("train iris --target species", 2, "--target is for a CSV file"),
    ("train iris --task regression", 2, "--task is for a CSV file"),
    ("train houses.csv", 2, "--target is missing.*It has area, kind, price"),
    ("train houses.csv --target prise", 1, "no column 'prise'.*Did you mean 'price'?"),
    ("train houses.csv --target price --task clasification", 2, "Did you mean 'classification'?"),
    ("train houses.csv --target price --label-smoothing 0.1", 2, "is for classes"),
    ("train missing.csv --target x", 1, "missing.csv: No such file"),
    ("train holes.csv --target y", 1, "'x' is missing, first at holes.csv line 3"),
    ("train iris -o houses.csv", 1, "cannot write into the folder 'houses.csv'"),
    ("train iris -o houses.csv/deep", 1, "cannot write into the folder"),
    ("train iris --optimizer sgd --lr 1e9", 1, "training diverged: the loss.*try --lr 0.1"),
    ("predict", 2, "required: MODEL.npz, FILE.csv|NAME"),
    ("predict missing.npz houses.csv", 1, "missing.npz: No such file"),
    ("predict houses.csv houses.csv", 1, "houses.csv is not a file written by minigrad.save"),
    ("predict weights.npz houses.csv", 1, "not a model of `python -m minigrad train`"),
    ("predict broken.npz houses.csv", 1, "parts do not fit together: the network has 7 inputs"),
    ("predict model.npz iris", 1, "was trained on xor, not on iris"),
    ("predict model.npz xor --json -o x.csv", 2, "leave one of them out"),
    ("predict model.npz irs", 2, "no file 'irs'.*Did you mean 'iris'?"),
    ("predict model.npz houses.csv", 1, "houses.csv lacks 2 of the 2 columns.*: x, y"),
    ("predict model.npz xor -o nowhere/out.csv", 1, "cannot write nowhere/out.csv"),
    ("doctor --verbose", 2, "unknown option '--verbose'"),
]


@pytest.mark.parametrize("words, code, message", BAD, ids=[words for words, _, _ in BAD])
def test_bad_input_is_one_line_and_a_hint(run, houses, words, code, message):
    (houses.parent / "holes.csv").write_text("x,y\n1,2\n,3\n4,5\n")
    minigrad.io.save({"a": 1}, "weights.npz")
    schema = data.Schema.fit(data.load("xor"))
    model = Predictor.new(schema, (4,), about={"data": "xor", "seed": 0})
    model.save("model.npz")
    model.net.sizes = (7, 4, 2)
    model.save("broken.npz")
    before = files(".")
    got, out, err = run(*words.split())
    assert (got, out) == (code, "")
    error, hint = err.strip().splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint:  ")
    pattern = ".*".join(map(re.escape, message.split(".*")))
    assert re.search(pattern, f"{error} {hint}"), err
    assert "Traceback" not in err and files(".") == before and not os.path.exists("runs")


def test_an_unwritable_folder_is_refused_before_training(run, workplace, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained all the same"))
    (workplace / "file").write_text("")
    code, _, err = run("train", "iris", "-o", "file/deeper/still")
    assert code == 1 and "nothing was trained" in err and files(".") == ["file"]


def test_a_folder_of_the_users_own_keeps_its_model(run):
    assert run("train", "iris", *QUICK, "-o", "mine")[0] == 0
    before = Path("mine/model.npz").read_bytes()
    code, out, err = run("train", "iris", *QUICK, "-o", "mine", "--seed", "5")
    assert (code, out) == (1, "") and "exists already" in err and "--force" in err
    assert Path("mine/model.npz").read_bytes() == before
    assert run("train", "iris", *QUICK, "-o", "mine", "--seed", "5", "--force")[0] == 0
    assert Path("mine/model.npz").read_bytes() != before


def test_the_default_folder_is_for_reruns(run):
    assert run("train", "iris", *QUICK)[0] == 0
    assert run("train", "iris", *QUICK, "--seed", "5")[0] == 0
    assert Predictor.load("runs/iris/model.npz").about["seed"] == 5


def test_a_traceback_only_with_debug(run, monkeypatch):
    monkeypatch.setattr(commands, "train", lambda options: {}["gone"])
    code, _, err = run("train", "iris")
    assert code == 1 and "KeyError" in err and "--debug" in err and "Traceback" not in err
    with pytest.raises(KeyError):
        cli.main(["train", "iris", "--debug"])


# --- without a layout program --------------------------------------------------------------------

def test_without_a_layout_program_the_graph_is_text(run, monkeypatch):
    assert run("train", "iris", *QUICK)[0] == 0
    monkeypatch.setenv("MINIGRAD_DOT", "/nowhere/dot")
    code, out, err = run("train", "iris", *QUICK)
    assert code == 0 and "warning: " in err and "graph.dot" in err and "graph.dot" in out
    assert files("runs") == ["iris/graph.dot", "iris/model.npz"]
    assert Path("runs/iris/graph.dot").read_text().startswith("digraph")


def test_doctor_without_a_layout_program(run, monkeypatch):
    def program():
        raise GraphvizNotFound(layout.NOT_FOUND)
    monkeypatch.setattr(doctor.layout, "program", program)
    code, out, _ = run("doctor")
    assert code == 0 and re.search(r"layout program +missing +no Graphviz", out)
    assert '-m pip install -e ".[viz]"' in out and "pip install minigrad" not in out


# --- talk and results ----------------------------------------------------------------------------

def test_results_go_to_stdout_and_talk_to_stderr(run):
    code, out, err = run("train", "iris", *QUICK)
    assert code == 0
    names = [line.split("  ")[0] for line in out.splitlines()]
    assert [name for name in names if name != "mistakes"] == [
        "test accuracy", "baseline", "model", "graph"]
    assert "step/s" in err and "step/s" not in out and "\x1b" not in out + err and "\r" not in err
    assert sum("step/s" in line for line in err.splitlines()) <= 11


def test_quiet_and_json(run):
    code, out, err = run("train", "iris", *QUICK, "--quiet", "--json")
    result = json.loads(out)
    assert (code, err) == (0, "")
    assert result["rows"] == {"train": 120, "test": 30} and result["finished"] is True
    assert result["files"] == {"model": os.path.join("runs", "iris", "model.npz"),
                               "graph": os.path.join("runs", "iris", "graph.svg")}


def test_a_network_that_learnt_nothing_is_warned_about(run):
    code, _, err = run("train", "digits", "--epochs", "1", "--lr", "1e-9", "--hidden", "2")
    assert code == 0 and "no better than the baseline" in err


def test_doctor(run):
    code, out, err = run("doctor")
    assert code == 0 and "all that is required works" in err
    for part in ("Python", "NumPy", "BLAS", "gradients", "data sets", "layout program",
                 "graphviz-pure", "matplotlib", "pytest", "torch"):
        assert re.search(rf"^{part} +(ok|missing) ", out, re.MULTILINE), part
    code, out, _ = run("doctor", "--json")
    assert code == 0 and {part["state"] for part in json.loads(out)["parts"]} <= {"ok", "missing"}


def test_help_and_version(run, monkeypatch):
    code, out, err = run()
    assert (code, err) == (0, "") and "python -m minigrad train digits" in out
    assert run("--version") == (0, f"minigrad {minigrad.__version__}\n", "")
    monkeypatch.setenv("COLUMNS", "80")
    for command in cli.COMMANDS:
        code, out, _ = run(command, "--help")
        assert code == 0 and "examples:\n  python -m minigrad" in out
        assert max(map(len, out.splitlines())) <= 80


def test_tables_count_wide_characters():
    lines = table(["a", "b"], [["日本", "1"], ["x", "22"]], right=(1,))
    assert lines == "a      b\n日本   1\nx     22"


def test_letters_that_the_terminal_lacks_are_spelled_out(workplace):
    lines = "\n".join(f"{i},{'naïve' if i % 2 else '日本'}" for i in range(20))
    (workplace / "words.csv").write_text(f"x,word\n{lines}\n", encoding="utf-8")
    done = python("train", "words.csv", "--target", "word", *QUICK, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert "test accuracy" in done.stdout


# --- as a process, in a terminal, interrupted ----------------------------------------------------

def python(*argv, **environment):
    return subprocess.run([sys.executable, "-m", "minigrad", *argv], text=True, check=False,
                          env={**ENVIRONMENT, **environment}, capture_output=True)


def test_as_a_process():
    done = python("train", "xor", *QUICK)
    assert done.returncode == 0 and "test accuracy" in done.stdout
    assert python("train", "nope").returncode == 2
    assert python().stdout.startswith("usage: python -m minigrad")


def test_a_reader_that_goes_away_is_no_error():
    assert python("train", "xor", *QUICK).returncode == 0
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-m", "minigrad", "predict", "runs/xor/model.npz", "xor", "-o", "-"]
    done = subprocess.run(argv, env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 1 and done.stderr == b""


def in_terminal(*argv, interrupt_at=None, **environment):
    """(exit code, what a terminal of 80 columns receives); Ctrl-C when interrupt_at appears."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    # A test run started in the background ignores Ctrl-C, and would hand that on to the command.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([sys.executable, "-m", "minigrad", *argv], stdin=side, stdout=side,
                               stderr=side, env={**ENVIRONMENT, **environment},
                               start_new_session=True)
    os.close(side)
    received = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        received += part
        if interrupt_at is not None and interrupt_at in received:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    os.close(main)
    return process.wait(), received.decode()


@pytest.mark.skipif(pty is None, reason="needs a pseudo-terminal")
def test_the_progress_line_in_a_terminal():
    code, text = in_terminal("train", "digits", "--epochs", "20")
    drawings = [part for part in re.split(r"[\r\n]+", text) if "step/s" in part]
    assert code == 0 and all(len(part) < 80 for part in drawings)
    assert "460/460  100%" in drawings[-1]
    assert re.search("[▁▂▃▄▅▆▇█]{4}$", drawings[-1].rstrip())
    assert "\x1b" not in text
    for line in text.replace("\r\n", "\n").split("\n"):
        assert len(line.split("\r")[-1]) <= 80, line


@pytest.mark.skipif(pty is None, reason="needs a pseudo-terminal")
def test_colour_only_where_it_is_welcome():
    assert "\x1b[1;31merror:\x1b[0m" in in_terminal("train", "nope", NO_COLOR="")[1]
    assert "\x1b" not in in_terminal("train", "nope", NO_COLOR="1")[1]
    assert "\x1b" not in in_terminal("train", "nope", TERM="dumb")[1]
    text = in_terminal("train", "xor", *QUICK, TERM="dumb")[1].replace("\r\n", "\n")
    assert "\r" not in text and "\x1b" not in text


@pytest.mark.skipif(pty is None, reason="needs a pseudo-terminal")
def test_ctrl_c_saves_what_was_learnt(run):
    code, text = in_terminal("train", "digits", "--epochs", "100000", interrupt_at=b"step/s")
    assert code == 130 and "Traceback" not in text
    assert re.search(r"stopped:.* Ctrl-C after \d+ steps; the model as it was then is saved", text)
    assert "test accuracy" in text and files("runs") == ["digits/graph.svg", "digits/model.npz"]
    model = Predictor.load("runs/digits/model.npz")
    assert model.about["finished"] is False and model.about["steps"] > 0


def interrupted(at):
    """A Progress that is interrupted at a step."""
    class Interrupted(Progress):
        def step(self, **numbers):
            super().step(**numbers)
            if self.count == at:
                raise KeyboardInterrupt
    return Interrupted


def test_ctrl_c_in_this_process(run, monkeypatch):
    monkeypatch.setattr(commands, "Progress", interrupted(5))
    code, out, err = run("train", "iris")
    assert code == 130 and "Ctrl-C after 5 steps" in err and "test accuracy" in out
    assert Predictor.load("runs/iris/model.npz").about["steps"] == 5


def test_ctrl_c_before_the_first_step_leaves_nothing(run, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *_: (0, False))
    code, out, err = run("train", "iris", "-o", "some/where")
    assert (code, out) == (130, "") and "stopped: Ctrl-C" in err and not os.path.exists("some")


def test_ctrl_c_while_loading(run, monkeypatch):
    def load(name):
        raise KeyboardInterrupt
    monkeypatch.setattr(data, "load", load)
    code, out, err = run("train", "iris")
    assert (code, out) == (130, "") and "stopped: Ctrl-C" in err
