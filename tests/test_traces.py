"""Traces: files of every form say the same as the optimizer that wrote them."""

import json

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.coursework.optimizers.diagnosis import diagnose
from minigrad.coursework.optimizers.printed import Digits
from minigrad.coursework.optimizers.traces import read_trace


def recorded(kind, before, **options):
    minigrad.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), **options)
    x = np.linspace(-1, 2, 12).reshape(4, 3)

    def train(steps):
        for i in range(steps):
            optimizer.zero_grad()
            (model(minigrad.tensor(x * (i - 1.2)))**2).sum().backward()
            optimizer.step()
    train(before)
    with minigrad.trace(model, optimizer) as run:
        train(4)
    return run


@pytest.mark.parametrize("rule, kind, options", [
    ("adamw", optim.AdamW, {"lr": 0.1, "weight_decay": 0.2}),
    ("adam", optim.Adam, {"lr": 0.1, "weight_decay": 0.2}),
    ("momentum", optim.SGD, {"lr": 0.1, "momentum": 0.9}), ("rmsprop", optim.RMSprop, {}),
    ("sgd", optim.SGD, {"lr": 0.1}), ("adagrad", optim.Adagrad, {})])
@pytest.mark.parametrize("before", [0, 3])
def test_a_recorded_run_is_a_trace(rule, kind, options, before, tmp_path):
    run = recorded(kind, before, **options)
    run.save(tmp_path / "run.npz")
    run.to_csv(tmp_path / "run.csv")
    for source in (run, tmp_path / "run.npz", tmp_path / "run.csv"):
        assert diagnose(source, rule=rule, most=1).verdict == "correct"


SGD = ("step,parameter,index,value,gradient\n"
       "0,w,0,1.00,\n0,w,1,2.00,\n1,w,0,0.50,1\n1,w,1,2.20,-.4\n")


def written(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [
    SGD, "\ufeff" + SGD, SGD.replace(",", ";"), SGD.replace("\n", "\r\n"),
    "\n".join([SGD.split("\n")[0], *SGD.strip().split("\n")[:0:-1]]),
    SGD.replace("0.50", "5.00e-01").replace("1.00", "1.00e+00").replace("2.00", "2.00e0"),
    SGD.replace("value", "weight").replace("gradient", "grad"),
    "step,w,grad\n0,1.0,\n1,0.5,1\n2,0.3,.4\n"])
def test_csv_files_may_be_written_in_many_ways(tmp_path, text):
    found = diagnose(written(tmp_path, text), rule="sgd", hyperparameters={"learning_rate": 0.5})
    assert found.verdict == "correct", found


@pytest.mark.parametrize("text, message", [
    (SGD.replace("-.4", ""), "line 5, column 'gradient': is empty"),
    (SGD.replace("2.20", "abc"), "line 5, column 'value': 'abc' is no number"),
    (SGD + "1,w,1,2,1\n", "line 6: step 1, parameter 'w', index .* was there before, in line 5"),
    (SGD.replace("0,w,1,2.00,\n", ""), "no row of step 0, index"),
    ("step,parameter,index,value,gradient\n1,w,0,1,1\n", "begins at step 1; add rows of step 0"),
    ("a,b\n1,2\n", "it has no step"), ("", "has no rows")])
def test_messages_name_the_place(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_trace(written(tmp_path, text), "sgd")


def test_json_and_npz_files_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="line 1, column 2"):
        read_trace(written(tmp_path, "{", "t.json"), "sgd")
    with pytest.raises(ValueError, match="no archive of plain arrays"):
        read_trace(written(tmp_path, "x", "t.npz"), "sgd")
    np.savez(tmp_path / "o.npz", **{"parameters/w": np.array([None, 1], object)})
    with pytest.raises(ValueError, match="no archive of plain arrays"):
        read_trace(tmp_path / "o.npz", "sgd")


def test_parameters_of_any_shape_and_states_of_other_names(tmp_path):
    data = {"parameters": {"a": [1.0, 0.5], "b": [[[1.0, 2.0]], [[1.25, 2.0]]]},
            "gradients": {"a": [1.0], "b": [[[-0.5, 0.0]]]},
            "states": {"velocity": {"a": [1.0], "b": [[[-0.5, 0.0]]]}},
            "hyperparameters": {"eta": 0.5, "mu": 0.9}}
    path = written(tmp_path, json.dumps(data), "t.json")
    assert diagnose(path, rule="momentum", most=1).verdict == "correct"
    with pytest.raises(ValueError, match="has no hyperparameter 'zz'"):
        diagnose({**data, "hyperparameters": {"zz": 1}}, rule="momentum")


@pytest.mark.parametrize("texts, tolerance", [
    (("1.25", "-0.03", "12.50"), 0.501e-2), (("0.1234567890123", "1.5"), None), ((), None)])
def test_printed_decimals_are_the_tolerance(texts, tolerance):
    digits = Digits()
    for text in texts:
        digits.value(text)
    assert (digits.tolerance() or (None,))[0] == tolerance


def test_printed_significant_digits_are_a_relative_tolerance():
    for texts in (("1.25e-03", "7.00e+01"), ("0.0125", "1.37", "12.3")):
        digits = Digits()
        for text in texts:
            digits.value(text)
        assert digits.tolerance()[1] == pytest.approx(0.501e-2)


def printed_trace(rule, decimals, seed, sign=1):
    """A run of its own, by NumPy, printed with few digits."""
    random = np.random.default_rng(seed)
    w, b, weights, gradients = random.normal(size=3), 0, [], []
    weights.append(w)
    for _ in range(6):
        g = random.normal(size=3)
        b = 0.8 * b + g if rule == "momentum" else g
        w = w - sign * 0.05 * b
        weights.append(w)
        gradients.append(g)
    options = {"lr": 0.05, **({"momentum": 0.8} if rule == "momentum" else {})}
    return {"parameters": {"w": np.round(weights, decimals)},
            "gradients": {"w": np.round(gradients, decimals)}, "hyperparameters": options}


@pytest.mark.parametrize("decimals", [2, 3, 4, 5])
@pytest.mark.parametrize("rule", ["sgd", "momentum"])
def test_rounded_numbers_of_a_right_optimizer_are_right(rule, decimals):
    for seed in range(3):
        trace = printed_trace(rule, decimals, seed)
        assert diagnose(trace, rule=rule, decimals=decimals).verdict == "correct"
        assert diagnose(trace, rule=rule).verdict == "correct"  # the digits are seen
        wrong = diagnose(printed_trace(rule, decimals, seed, -1), rule=rule)
        assert "ascent" in {wrong.causes[0], *(tie[0] for tie in wrong.ties)}


def test_hyperparameters_that_were_assumed_are_told():
    trace = printed_trace("momentum", 4, 0)
    del trace["hyperparameters"]["momentum"]
    found = diagnose(trace, rule="momentum", most=1)
    assert found.assumed["momentum"] == 0.9 and "momentum = 0.9" in found.notes[0]
    assert str(found).index("not given") < str(found).index("First difference")
    trace = printed_trace("sgd", 4, 0)
    del trace["hyperparameters"]["lr"]
    found = diagnose(trace, rule="sgd")
    assert found.verdict == "correct" and "0.05 explains" in found.notes[-1]


def test_columns_of_a_csv_may_be_hyperparameters(tmp_path):
    text = "step,w,grad,lr\n0,1.0,,\n1,0.5,1,.5\n2,0.3,.4,.5\n"
    assert diagnose(written(tmp_path, text), rule="sgd").verdict == "correct"
