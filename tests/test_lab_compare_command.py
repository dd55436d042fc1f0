"""minigrad.lab.compare: what is kept in a folder, bad input, and the command."""

import json
import math
import os
import sys
from pathlib import Path
from xml.etree import ElementTree
import numpy as np
import pytest
from minigrad import cli, data, training
from minigrad.io import FileFormatError
from minigrad.lab import comparefile, comparing
from minigrad.lab import trials as lab
from test_lab_compare import NASTY, quick, numbers, trial  # noqa: F401


# --- what is kept ---------------------------------------------------------------------------------

def test_a_trial_comes_back_from_its_file_to_the_bit(tmp_path):
    odd = trial(NASTY, 0.1 + 0.2, 7, score=(math.nan, 1 / 3, 1e-300), diverged=NASTY)
    comparefile.write(tmp_path, odd)
    (path,) = comparefile.paths(tmp_path)
    assert os.path.dirname(path) == str(tmp_path / "trials") and os.path.basename(path).isascii()
    back = comparefile.read(path)
    assert repr(numbers(back)) == repr(numbers(odd)) and back.seconds == odd.seconds
    real = quick(folder=tmp_path / "real").trials
    saved = comparefile.read_all(tmp_path / "real")
    assert sorted(map(repr, map(numbers, saved))) == sorted(map(repr, map(numbers, real)))


def test_names_that_look_alike_have_files_of_their_own(tmp_path):
    for name in ("a/b", "a_b", "a\\b", "a:b", "A_b"):
        comparefile.write(tmp_path, trial(name))
    assert {t.optimizer for t in comparefile.read_all(tmp_path)} == {
        "a/b", "a_b", "a\\b", "a:b", "A_b"}


class Counted:
    """Counts trials, and presses Ctrl-C in one of them."""

    def __init__(self, monkeypatch, stop=None):
        self.n, self.stop, self.original = 0, stop, training.fit
        monkeypatch.setattr(training, "fit", self)

    def __call__(self, step, batches, scheduler, epochs, watch):
        self.n += 1
        if self.n == self.stop:
            for x, y in batches:
                watch.step(step(x, y).item())
                return 1, False  # as fit does at Ctrl-C
        return self.original(step, batches, scheduler, epochs, watch)


def test_what_was_done_before_ctrl_c_is_kept_and_only_the_rest_is_run(tmp_path, monkeypatch):
    whole = [numbers(t) for t in quick().trials]
    Counted(monkeypatch, stop=4)
    stopped = quick(folder=tmp_path)
    assert not stopped.finished and len(stopped.trials) == 3 == len(comparefile.paths(tmp_path))
    assert "Stopped: 3 trainings were done" in " ".join(str(stopped).split())
    monkeypatch.undo()
    counted = Counted(monkeypatch)
    done = quick(folder=tmp_path)
    assert counted.n == 5 and done.finished and [numbers(t) for t in done.trials] == whole
    quick(folder=tmp_path)
    assert counted.n == 5
    more = quick(folder=tmp_path, optimizers=["sgd", "rmsprop"], seeds=3)
    assert counted.n == 5 + 2 + 6 and more.optimizers == ["sgd", "rmsprop"]
    loaded = lab.load_comparison(tmp_path, goal=0.5)
    assert loaded.optimizers == ["sgd", "rmsprop", "adam"] and len(loaded.trials) == 16


def test_ctrl_c_before_anything_is_done_is_just_that(tmp_path, monkeypatch):
    Counted(monkeypatch, stop=1)
    with pytest.raises(KeyboardInterrupt):
        quick(folder=tmp_path)
    assert comparefile.paths(tmp_path) == []


@pytest.mark.parametrize("more, differs", [
    ({"epochs": 3}, "epochs 2, not 3"), ({"hidden": [3]}, r"hidden \[16\], not \[3\]"),
    ({"weight_decay": 0.1}, "asked_decay None, not 0.1"), ({"dtype": "float64"}, "dtype float32")])
def test_a_folder_holds_one_comparison(tmp_path, more, differs):
    quick(folder=tmp_path, seeds=1)
    before = {path: Path(path).read_bytes() for path in comparefile.paths(tmp_path)}
    with pytest.raises(FileExistsError, match=f"trials of another comparison: {differs}"):
        quick(folder=tmp_path, **{"seeds": 1, **more})
    assert before == {path: Path(path).read_bytes() for path in before}
    quick(folder=tmp_path, force=True, **{"seeds": 1, **more})
    assert len(lab.load_comparison(tmp_path).trials) == 4


def test_other_rows_are_another_comparison(tmp_path):
    quick(folder=tmp_path, seeds=1)
    changed = data.load("iris")
    changed.features[0, 0] += 1e-9
    with pytest.raises(FileExistsError, match="fingerprint"):
        lab.compare(changed, ["sgd"], lrs=0.1, seeds=1, epochs=2, folder=tmp_path)


@pytest.mark.parametrize("content", [
    b"", b"{", b"[1]", b"null", b'{"kind": "other", "version": 1}', b"\xff\xfe",
    b'{"kind": "minigrad comparison trial", "version": 1, "curve": {}}'])
def test_a_file_that_is_no_trial_is_refused_with_its_name(tmp_path, content):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "x.json").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"x\.json is not a trial .*remove it"):
        quick(folder=tmp_path)


def test_a_folder_without_trials_cannot_be_loaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="no trials"):
        lab.load_comparison(tmp_path / "none")


# --- bad input ------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, error, words", [
    ({"data": "digts"}, ValueError, "Did you mean 'digits'"),
    ({"data": np.zeros((3, 2))}, TypeError, "name of a data set or a Table, got ndarray"),
    ({"optimizers": ["adm"]}, ValueError, "no optimizer 'adm'.*Did you mean 'adam'"),
    ({"optimizers": []}, ValueError, "no optimizers to compare"),
    ({"optimizers": {"mine": 3}}, TypeError, "function .*got int"),
    ({"optimizers": {"mine": lambda p, lr: None}, "lrs": None}, ValueError, "usual learning rate"),
    ({"lrs": [0.1, -1]}, ValueError, "above 0, got -1"),
    ({"lrs": [math.nan]}, ValueError, "above 0, got nan"),
    ({"lrs": []}, ValueError, "no learning rate to try with sgd"),
    ({"lrs": {"adm": [1]}}, ValueError, "not compared.*Did you mean 'adam'"),
    ({"seeds": 0}, ValueError, "at least 1"), ({"seeds": [0, -1]}, ValueError, "at least 0"),
    ({"seeds": 1.5}, ValueError, "got 1.5"), ({"seeds": "3"}, ValueError, "got '3'"),
    ({"epochs": 0}, ValueError, "epochs must be a whole number"),
    ({"epoch": 3}, TypeError, "no setting 'epoch'.*Did you mean 'epochs'"),
    ({"momentum": 0.5}, TypeError, "no setting 'momentum'"),
    ({"batch_size": 2.5}, ValueError, "batch_size"),
    ({"scheduler": "cosin"}, ValueError, "Did you mean 'cosine'"),
    ({"activation": "rellu"}, ValueError, "unknown activation 'rellu'"),
    ({"dtype": "float99"}, ValueError, "float99"),
    ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0"),
    ({"by": "speed"}, ValueError, "score, loss or steps, got 'speed'"),
    ({"goal": 95}, ValueError, "got 95; 95 % is 0.95"), ({"goal": -1}, ValueError, "got -1"),
    ({"goal": 0.9, "goal_loss": 1}, ValueError, "both given"),
    ({"goal_loss": math.inf}, ValueError, "training loss above 0")])
def test_what_cannot_be_run_is_refused_before_anything_is(arguments, error, words, monkeypatch):
    counted = Counted(monkeypatch)
    with pytest.raises(error, match=words):
        quick(**arguments)
    assert counted.n == 0


def test_too_few_rows_are_refused(tmp_path):
    (tmp_path / "few.csv").write_text("a,b\n1,2.5\n2,3.5\n")
    with pytest.raises(ValueError, match="rows"):
        lab.compare(data.read_table(tmp_path / "few.csv", "b"))


# --- the command ----------------------------------------------------------------------------------

@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def command(*argv):
        code = cli.main(list(map(str, argv)))
        return code, *capsys.readouterr()
    return command


@pytest.fixture
def undrawn(monkeypatch):
    """Without matplotlib, whose pictures take longer than the trainings: an SVG is written."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)


FEW = ("compare", "iris", "--epochs", 2, "--seeds", 2, "--optimizers", "sgd,adam", "--lrs",
       "0.1,0.01")


def test_the_command_prints_tables_and_writes_everything(run):
    code, out, err = run(*FEW, "--goal", "0.9")
    assert code == 0 and "steps to 90.0%" in out and "trainings   8\n" in err
    folder = Path("runs/compare-iris")
    picture = folder / ("compare.png" if "matplotlib" in sys.modules else "compare.svg")
    assert picture.stat().st_size > 1000 and str(picture) in out
    saved = json.loads((folder / "compare.json").read_text())
    trials = {(t.optimizer, t.lr, t.seed): t for t in comparefile.read_all(folder)}
    for row in saved["best"]:
        ends = [trials[row["optimizer"], row["lr"], seed].curve["test_score"][-1]
                for seed in (0, 1)]
        assert row["test_score"] == pytest.approx([min(ends), np.mean(ends), max(ends)])
    assert len(saved["all"]) == 4 and saved["goal"] == ["test_score", 0.9]


def test_as_json_stdout_is_json_alone_and_the_second_time_nothing_is_trained(
        run, undrawn, monkeypatch):
    first = json.loads(run(*FEW, "--json", "--quiet", "-o", "x")[1])
    counted = Counted(monkeypatch)
    code, out, err = run(*FEW, "--json", "-o", "x")
    assert code == 0 and json.loads(out) == first and counted.n == 0
    assert "8, 8 of them done before" in err
    assert run(*FEW, "--quiet", "-o", "x")[2] == ""


def test_ctrl_c_says_what_is_kept_and_exits_with_130(run, undrawn, monkeypatch):
    Counted(monkeypatch, stop=4)
    code, out, err = run(*FEW, "-o", "x")
    assert code == 130 and "Ctrl-C after 3 of 8 trainings, which are kept" in err and "adam" in out
    assert "the same command does the others" in err
    Counted(monkeypatch, stop=1)
    code, out, err = run(*FEW, "-o", "y")
    assert code == 130 and out == "" and not os.path.exists("y")


def test_without_matplotlib_the_command_draws_an_svg(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    os.makedirs("x")
    Path("x/compare.png").write_bytes(b"of an earlier run")
    assert run(*FEW, "-o", "x")[0] == 0
    assert sorted(os.listdir("x")) == ["compare.json", "compare.svg", "trials"]
    ElementTree.parse("x/compare.svg")


@pytest.mark.parametrize("words, said, code", [
    (["compare", "irs"], "Did you mean 'iris'", 2),
    (["compare", "iris", "--optimizers", "sgd,adm"], "Did you mean 'adam'", 2),
    (["compare", "iris", "--optimizers", "sgd,"], "'' is not one of", 2),
    (["compare", "iris", "--lrs", "0.1,x"], "must be a number above 0", 2),
    (["compare", "iris", "--seeds", "0"], "at least 1", 2),
    (["compare", "iris", "--goal", "95"], "95 % is 0.95", 2),
    (["compare", "iris", "--goal", "0.9", "--goal-loss", "1"], "both given", 2),
    (["compare", "iris", "--by", "speed"], "not one of score, loss, steps", 2),
    (["compare", "iris", "--target", "x"], "for a CSV file", 2),
    (["compare", "no.csv"], "No such file", 1)])
def test_wrong_words_are_refused_in_one_line_with_a_hint(run, words, said, code):
    found, out, err = run(*words)
    assert (found, out) == (code, "") and said in err and "hint:" in err
    assert "minigrad train" not in err and not os.path.exists("runs")


def test_a_folder_of_another_comparison_is_refused_unless_forced(run, undrawn):
    assert run(*FEW, "-o", "x")[0] == 0
    other = [*FEW[:3], 3, *FEW[4:]]
    code, out, err = run(*other, "-o", "x")
    assert code == 1 and "epochs 2, not 3" in err and "--force" in err
    assert run(*other, "-o", "x", "--force")[0] == 0
    Path("x/trials/note.json").write_text("mine")
    code, _, err = run(*FEW, "-o", "x")
    assert code == 1 and "note.json is not a trial" in err


def test_a_csv_file_needs_its_target(run, undrawn):
    Path("t.csv").write_text("a,b\n" + "\n".join(f"{k},{3 * k + 0.5}" for k in range(40)) + "\n")
    code, _, err = run("compare", "t.csv")
    assert code == 2 and "python -m minigrad compare t.csv --target COLUMN" in err
    code, out, _ = run("compare", "t.csv", "--target", "b", "--optimizers", "sgd", "--seeds", 1,
                       "--epochs", 5, "--hidden", "none")
    assert code == 0 and "test R2" in out and os.path.exists("runs/compare-t/trials")


def test_plain_leaves_only_what_json_knows():
    assert comparing.plain({"a": [math.inf, (1, -math.inf)], "b": math.nan, "c": "x"}) == {
        "a": [None, [1, None]], "b": None, "c": "x"}
