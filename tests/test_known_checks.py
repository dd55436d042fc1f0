"""Numbers of public checks: right values against those that the courses print, wrong ones named."""

import numpy as np
import pytest

from minigrad import cli
from minigrad.coursework.known_checks import check, checks, diagnose_number, run_of
from minigrad.terminal import Refusal

W, DW = np.linspace(-0.4, 0.6, 20), np.linspace(-0.6, 0.4, 20)


def error(x, y):
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


def adam(correct=True, power=True, inside=False):
    m = 0.9 * np.linspace(0.6, 0.9, 20) + 0.1 * DW
    v = 0.999 * np.linspace(0.7, 0.5, 20) + 0.001 * DW**2
    t = 6 if power else 1
    c1, c2 = (1 - 0.9**t, 1 - 0.999**t) if correct else (1, 1)
    return W - 0.01 * (m / c1) / (np.sqrt(v / c2) + 1e-8)


def test_right_values_are_those_of_an_independent_transcription():
    np.testing.assert_allclose(
        adam()[:5], [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977], atol=1e-8)
    assert diagnose_number("cs231n/adam", "next_w error", 1.1e-7).verdict == "correct"
    run = run_of(check("cs231n/adam"))
    assert np.array_equal(run.weights[0].ravel(), W) and run.t == 6


@pytest.mark.parametrize("wrong, id", [
    ({"correct": False}, "no-bias-correction"), ({"power": False}, "correction-without-power")])
def test_one_wrong_number_names_its_mistake(wrong, id):
    number = f"{error(adam(**wrong), adam()):.4f}"
    found = diagnose_number("cs231n/adam", "next_w error", number)
    assert (id,) in (found.causes, *found.ties), found
    assert id in str(found) and not found.right


def test_the_number_of_missing_bias_correction():
    found = diagnose_number("cs231n/adam", "next_w error", 0.2072)
    assert found.causes == ("adam/uncorrected",) and found.ties == [("no-bias-correction",)]


def test_momentum_that_climbs():
    v = 0.9 * np.linspace(0.6, 0.9, 20) - 1e-3 * DW
    number = error(W - v, W + v)
    found = diagnose_number("cs231n/sgd_momentum", "next_w error", float(f"{number:.6f}"))
    assert ("ascent",) in (found.causes, *found.ties)


def test_an_unknown_number_is_unknown():
    found = diagnose_number("cs231n/rmsprop", "next_w error", "0.123456789")
    assert found.verdict == "unknown" and found.causes == ()


def test_messages():
    with pytest.raises(ValueError, match="did you mean 'cs231n/adam'"):
        diagnose_number("cs231n/adm", "next_w error", 1)
    with pytest.raises(ValueError, match="it has next_w error"):
        diagnose_number("cs231n/adam", "w", 1)
    with pytest.raises(ValueError, match="give a number"):
        diagnose_number("cs231n/adam", "next_w error", "x")
    assert len(checks()) == 3


def told(*words):
    options = cli.parsed(["diagnose", *words])
    return options.run(options)


def test_the_command(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("def adam(w, g, m, v, t, *, lr, beta1, beta2, eps):\n"
                    "    m = beta1 * m + g\n"
                    "    v = beta2 * v + (1 - beta2) * g * g\n"
                    "    below = (v / (1 - beta2**t))**.5 + eps\n"
                    "    return w - lr * m / (1 - beta1**t) / below, m, v\n")
    assert told(f"{path}:adam") == 1
    assert "first-moment-not-averaged" in capsys.readouterr().out
    assert told(f"{path}:adam", "--hint", "concept") == 1
    assert "running mean" in capsys.readouterr().out
    assert told("cs231n/adam", "--quantity", "next_w error", "--number", "1e-8") == 0
    with pytest.raises(Refusal, match="has no 'adm'"):
        told(f"{path}:adm")
    with pytest.raises(Refusal, match="cannot read"):
        told("nothing.csv")
