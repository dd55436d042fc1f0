"""Every example is run as a learner runs it, and prints what its comments (`#> ...`) say."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NUMBERED = sorted(EXAMPLES.glob("[0-9]*.py"), key=lambda path: int(path.stem.split("_")[0]))
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def run(script, *arguments, cwd):
    """A finished run of a script in an empty folder, without a display and on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg",
                   "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, str(script), *arguments], cwd=cwd, env=environment,
                          capture_output=True, encoding="utf-8", timeout=120)


def stated(text):
    """The lines that the comments of an example say it prints."""
    return [line.split("#> ", 1)[1].rstrip() for line in text.splitlines() if "#> " in line]


def same(said, printed):
    """Equal up to one unit in the last place of each number: processors round differently."""
    if NUMBER.sub("#", said) != NUMBER.sub("#", printed):
        return False
    return all(abs(float(a) - float(b)) < 1.001 * last_place(a)
               for a, b in zip(NUMBER.findall(said), NUMBER.findall(printed)))


def last_place(number):
    """0.01 for "2.75"; whole numbers must be equal to the bit."""
    _, point, decimals = number.partition(".")
    return 10.0 ** -len(decimals) if point else 1e-9


def missing(said, printed):
    """The stated lines that were not printed, in their order."""
    printed = iter(printed)
    return [line for line in said if not any(same(line, other) for other in printed)]


@pytest.fixture(scope="module", params=NUMBERED, ids=lambda path: path.stem)
def example(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("anywhere")
    start = time.perf_counter()
    finished = run(request.param, cwd=folder)
    return request.param, folder, finished, time.perf_counter() - start


def test_runs_from_any_folder_without_a_complaint(example):
    _, _, finished, seconds = example
    assert (finished.stderr, finished.returncode) == ("", 0)
    assert seconds < 20


def test_prints_what_its_comments_say(example):
    path, _, finished, _ = example
    said = stated(path.read_text(encoding="utf-8"))
    assert said, "an example states what it prints"
    assert missing(said, finished.stdout.splitlines()) == []


def test_output_is_plain_and_fits_a_terminal(example):
    assert example[2].stdout.isascii()
    assert max(map(len, example[2].stdout.splitlines())) <= 80


def test_writes_only_into_runs(example):
    assert {path.name for path in example[1].iterdir()} <= {"runs"}


def test_reads_like_a_page(example):
    lines = example[0].read_text(encoding="utf-8").splitlines()
    assert 20 <= len(lines) <= 80
    assert max(map(len, lines)) < 100


def test_each_number_is_given_once():
    numbers = [int(path.stem.split("_")[0]) for path in NUMBERED]
    assert numbers == sorted(set(numbers)) and numbers[:7] == list(range(1, 8))


def test_a_wrong_number_in_a_comment_would_be_noticed():
    assert same("loss 0.25, step 3", "loss 0.26, step 3")
    assert not same("loss 0.25, step 3", "loss 0.27, step 3")
    assert not same("loss 0.25, step 3", "loss 0.25, step 4")
    assert not same("loss 0.25", "error 0.25")
    assert missing(["a 1", "b 2"], ["b 2", "a 1"]) == ["b 2"]


def test_moons_draws_its_picture_into_the_folder_given(tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "folder"
    finished = run(EXAMPLES / "4_moons_decision_boundary.py", str(folder), cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert (folder / "moons.png").read_bytes().startswith(b"\x89PNG")


def test_moons_does_without_matplotlib(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')\n")
    script = tmp_path / "4_moons_decision_boundary.py"  # beside the script is searched first
    text = (EXAMPLES / script.name).read_text(encoding="utf-8")
    script.write_text(text.replace("Path(__file__).parents[1]", repr(str(EXAMPLES.parent))))
    finished = run(script, cwd=tmp_path)
    assert (finished.stderr, finished.returncode) == ("", 0)
    assert "With matplotlib installed" in finished.stdout
    assert not (tmp_path / "runs").exists()


def test_the_printed_step_trains_with_numpy_alone(tmp_path):
    finished = run(EXAMPLES / "13_print_the_backprop.py", "new/step.py", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    (tmp_path / "new" / "minigrad.py").write_text("raise ImportError('not here')\n")
    alone = run(tmp_path / "new" / "step.py", cwd=tmp_path)
    losses = [float(number) for number in re.findall(r"loss ([\d.]+)", alone.stdout)]
    assert alone.returncode == 0 and len(losses) > 2 and losses[-1] < losses[0], alone.stderr


def held_out_accuracy(finished):
    return float(re.findall(r"held out ([\d.]+)% right", finished.stdout)[-1])


def test_digits_reaches_97_percent(tmp_path):
    finished = run(EXAMPLES / "5_digits.py", cwd=tmp_path)
    assert held_out_accuracy(finished) >= 97


def test_digits_is_pytorch_code_but_for_its_imports(tmp_path):
    pytest.importorskip("torch")
    text = (EXAMPLES / "5_digits.py").read_text(encoding="utf-8")
    for ours, theirs in (("import minigrad as torch", "import torch"),
                         ("from minigrad import nn, optim", "from torch import nn, optim"),
                         ("from minigrad.utils.data", "from torch.utils.data"),
                         ("Path(__file__).parents[1]", repr(str(EXAMPLES.parent)))):
        assert text.count(ours) == 1
        text = text.replace(ours, theirs)
    script = tmp_path / "digits_in_torch.py"
    script.write_text(text, encoding="utf-8")
    finished = run(script, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert held_out_accuracy(finished) >= 95  # another generator draws other weights and pictures


# --- the benchmark -------------------------------------------------------------------------------

def benchmark(*arguments, cwd):
    return run(EXAMPLES / "benchmark.py", "--rounds", "1", *arguments, cwd=cwd)


def test_benchmark_prints_times_and_ratios(tmp_path):
    finished = benchmark("--nets", "small", "--only", "minigrad,compiled,numpy", cwd=tmp_path)
    assert (finished.stderr, finished.returncode) == ("", 0)
    assert "2-16-16-1" in finished.stdout
    rows = {}
    for title, names, row in re.findall(r"^(\w.*)\n +(minigrad.*)\nsmall +(.*)$", finished.stdout,
                                        re.MULTILINE):
        rows[title] = dict(zip(names.split(), map(float, row.split())))
    times = rows.pop("microseconds per step")
    assert list(times) == list(rows.pop("milliseconds of the first call"))
    for ours in ("minigrad", "compiled"):
        shown = rows.pop(f"{ours}'s time / theirs")
        assert shown == {name: pytest.approx(times[ours] / times[name], abs=0.02)
                         for name in ("minigrad", "compiled", "numpy")}
    assert rows == {}
    assert re.search(r"chain of 100,000 operations: [\d.]+ s", finished.stdout)
    assert max(map(len, finished.stdout.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []


def test_benchmark_contestants_agree_on_every_network(tmp_path):
    """They are only timed if their losses are equal, so times are proof of that."""
    finished = benchmark("--json", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    measured = json.loads(finished.stdout)
    times = measured["microseconds_per_step"]
    assert list(times) == ["small", "digits", "deep", "large"]
    for row in times.values():
        assert {"minigrad", "compiled", "numpy"} <= set(row)
        assert all(value > 0 for value in row.values())
        assert ("torch" in row) == ("torch-fused" in row)
    assert all(times[net]["compiled"] < times[net]["minigrad"] for net in ("small", "deep"))
    assert {net: set(row) for net, row in measured["milliseconds_of_first_call"].items()} == {
        net: set(row) for net, row in times.items()}
    assert measured["chain_backward_seconds"] < 2
    if "torch" in times["small"]:
        million = measured["microseconds_per_update_of_a_million"]
        assert {kind: set(row) for kind, row in million.items()} == {
            kind: {"minigrad", "torch"} for kind in ("Adam", "AdamW")}


def test_benchmark_leaves_out_what_is_not_installed(tmp_path):
    (tmp_path / "mygrad.py").write_text("raise ModuleNotFoundError('no', name='mygrad')\n")
    script = tmp_path / "benchmark.py"
    text = (EXAMPLES / script.name).read_text(encoding="utf-8")
    script.write_text(text.replace("Path(__file__).parents[1]", repr(str(EXAMPLES.parent))))
    finished = run(script, "--rounds", "1", "--nets", "small", "--only", "numpy,mygrad",
                   cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stderr == "mygrad is not installed: left out\n"


@pytest.mark.parametrize("arguments, complaint", [
    (["--nets", "huge"], "there is no 'huge'; there are small, digits, deep, large"),
    (["--only", "numpi"], "there is no 'numpi'"),
    (["--rounds", "0"], "--rounds must be at least 1, got 0"),
])
def test_benchmark_refuses_what_it_does_not_know(arguments, complaint, tmp_path):
    finished = benchmark(*arguments, cwd=tmp_path)
    assert finished.returncode == 2 and complaint in finished.stderr
