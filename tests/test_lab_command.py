"""The laboratory's experiments with other parameters, their pictures, and the command."""

import inspect
import json
import math
import sys
from types import SimpleNamespace
import numpy as np
import pytest
from minigrad.lab import experiments, labcommand, panels
from minigrad.lab.experiment import Experiment, equal, experiment
from minigrad.terminal import Refusal
from test_lab_experiments import NAMES, results, QUICK  # noqa: F401


# --- parameters ----------------------------------------------------------------------------------

@pytest.mark.parametrize("chosen, error, words", [
    ({"kappa": 1.0}, ValueError, "momentum_rates: kappa is 1; it must be a number from 1.5 to"),
    ({"kappa": math.nan}, ValueError, "kappa is nan"),
    ({"kappa": math.inf}, ValueError, "kappa is inf"),
    ({"kappa": "10"}, TypeError, "kappa is '10'; it must be a number"),
    ({"kappa": True}, TypeError, "kappa is True"),
    ({"kappa": None}, TypeError, "kappa is None"),
    ({"kapa": 10}, TypeError, "no parameter 'kapa'; did you mean 'kappa'"),
    ({"<&\u00fc'": 10}, TypeError, "It has kappa")])
def test_senseless_parameters_are_refused(chosen, error, words):
    with pytest.raises(error) as refusal:
        experiments.momentum_rates(**chosen)
    assert words in str(refusal.value)


@pytest.mark.parametrize("name, chosen, words", [
    ("minibatch", {"samples": 4, "batch": 5}, "batch is 5 of only 4 samples"),
    ("minibatch", {"batch": 2.5}, "must be a whole number"),
    ("noise_floor", {"lr": 1.0, "curvature": 2.0}, "diverges"),
    ("step_bound", {"beta1": 0.9, "beta2": 0.8}, "beta1 up to beta2"),
    ("adaptive_minimum", {"positive": 10}, "more than half"),
    ("hypergradient", {"rule": "adan"}, "choose one of sgd, momentum"),
    ("hypergradient", {"rule": 3}, "choose one of")])
def test_parameters_that_do_not_go_together_are_refused(name, chosen, words):
    with pytest.raises((TypeError, ValueError), match=words):
        experiments.run(name, **chosen)


def test_numpy_numbers_are_parameters_too():
    result = experiments.run("minibatch", samples=np.int64(5), batch=np.int32(2))
    assert result.parameters == {"samples": 5, "batch": 2, "seed": 0}
    assert type(result.parameters["samples"]) is int


def test_an_unknown_name_meets_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean 'momentum_rates'"):
        experiments.run("momentum_rate")
    with pytest.raises(ValueError, match="names them all"):
        experiments.run("</script>")


def test_every_experiment_is_a_function_of_the_module():
    for name in NAMES:
        assert isinstance(getattr(experiments, name), Experiment) and name in dir(experiments)
    assert "kappa" in inspect.signature(experiments.conditioning).parameters


def test_experiments_do_not_mind_no_grad_or_another_default_dtype(doubles):
    mg = pytest.importorskip("minigrad")
    before = mg.get_default_dtype()
    mg.set_default_dtype(mg.float32)
    try:
        with mg.no_grad():
            for name in ("hypergradient", "maximize", "schedule", "slide_2", "saddle_escape",
                         "input_scales", "decay_conventions", "minibatch"):
                assert experiments.run(name, **QUICK.get(name, {})).holds, name
            assert not mg.is_grad_enabled()
    finally:
        mg.set_default_dtype(before)


# --- pictures and displays -----------------------------------------------------------------------

def test_a_picture_shows_the_numbers_of_the_panels(results):
    pytest.importorskip("matplotlib")
    result = results["momentum_rates"][0]
    figure = result.plot()
    assert len(figure.axes) == len(result.panels)
    for axis, panel in zip(figure.axes, result.panels):
        assert axis.get_title() == panel.title and axis.get_legend() is not None
        for line, curve in zip(axis.lines, panel.curves):
            np.testing.assert_array_equal(line.get_ydata(), curve.y)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_has_the_same_bytes_whenever_it_is_drawn(form, results):
    pytest.importorskip("matplotlib")
    result = results["slide_2"][0]
    assert panels.rendered(result.plot(), form) == panels.rendered(result.plot(), form)


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_its_panels(name, results):
    pytest.importorskip("matplotlib")
    result = results[name][0]
    assert [axis.get_title() for axis in result.plot().axes] == [p.title for p in result.panels]


def kinds(result):
    """What is particular about a picture: scales and sorts of curves."""
    return tuple((panel.log, *sorted({curve.kind for curve in panel.curves}))
                 for panel in result.panels)


def test_pictures_of_every_kind_can_be_drawn(results):
    pytest.importorskip("matplotlib")
    for result in {kinds(result): result for result, _ in results.values()}.values():
        figure = result.plot()
        figure.set_layout_engine("none")  # it draws all of it twice; others below have it
        figure.draw_without_rendering()


def test_without_matplotlib_the_table_works_and_the_picture_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = experiments.slide_2()
    with pytest.raises(ImportError, match=r"pip install matplotlib; \.table\(\) works without"):
        result.plot()
    assert "holds" in result.table()
    shown = result._repr_mimebundle_()
    assert "<pre>" in shown["text/html"] and "<img" not in shown["text/html"]


def test_a_notebook_shows_picture_and_table():
    pytest.importorskip("matplotlib")
    shown = experiments.slide_2()._repr_mimebundle_()
    assert shown["text/html"].startswith("<img") and "<pre>" in shown["text/html"]
    assert "slide_2" in shown["text/plain"]


# --- the command ---------------------------------------------------------------------------------

def command(name=None, **chosen):
    options = SimpleNamespace(name=name, settings=[], output=None, force=False, json=False)
    vars(options).update(chosen)
    return labcommand.lab(options)


@pytest.fixture
def few(monkeypatch):
    """A catalogue of two quick experiments, one of which can be made to fail."""
    two = {name: experiments.catalogue[name] for name in ("slide_2", "eps_place")}
    monkeypatch.setattr(experiments, "catalogue", two)
    return two


def test_lab_lists_every_experiment(capsys):
    assert command() == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in NAMES)
    assert max(map(len, out.splitlines())) <= 80


def test_lab_lists_as_json(capsys):
    assert command(json=True) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == NAMES
    assert listed[0]["parameters"]["batch"] == {
        "default": 4, "range": "a whole number from 1 to 12"}


def test_lab_runs_one_with_another_parameter(capsys):
    assert command("slide_2", settings=["lr=0.1", "steps=3"]) == 0
    said = capsys.readouterr()
    assert "with y0=0.1, lr=0.1, steps=3" in said.out and "0.1728" in said.out  # 0.1 * 1.2^3
    assert "lr" in said.err and "--set" in said.err


def test_lab_speaks_json(capsys):
    assert command("slide_14", json=True) == 0
    found = json.loads(capsys.readouterr().out)
    nan = next(c for c in found["checks"] if c["what"] == "printed: w after a step on w^2 from -1")
    assert nan["measured"] == nan["predicted"] == "nan" and nan["holds"]


def test_lab_writes_a_picture_once(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = str(tmp_path / "a picture.png")
    assert command("slide_2", output=path) == 0
    first = (tmp_path / "a picture.png").read_bytes()
    assert first.startswith(b"\x89PNG") and f"wrote {path}" in capsys.readouterr().err
    with pytest.raises(Refusal, match="exists already"):
        command("slide_2", output=path)
    assert command("slide_2", output=path, force=True) == 0
    assert (tmp_path / "a picture.png").read_bytes() == first


def test_lab_all_is_a_line_each(few, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert command("all", output=str(tmp_path / "pictures")) == 0
    out = capsys.readouterr().out
    assert "  holds slide_2 " in out and "2 of 2 claims hold" in out
    assert max(map(len, out.splitlines())) <= 80
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == [
        "eps_place.png", "slide_2.png"]
    with pytest.raises(Refusal, match="exists already"):
        command("all", output=str(tmp_path / "pictures"))


def test_the_lines_of_lab_all_fit_for_every_experiment():
    for name, found in experiments.catalogue.items():
        assert len(f"  holds {name:<20} {found.title}") <= 80


def test_lab_fails_if_a_claim_does(few, capsys):
    @experiment("none", x=(0, 9))
    def wrong(*, x=1.0):
        """One is two.

        It is not.
        """
        return [equal("x", x, 2), equal("y", 1, 1)], []
    few["wrong"] = wrong
    assert command("wrong") == 1
    assert command("all") == 1
    out = capsys.readouterr().out
    assert "FAILS wrong" in out and "wrong fails:" in out and "2 of 3 claims hold" in out
    assert command("all", json=True) == 1
    assert [entry["verdict"] for entry in json.loads(capsys.readouterr().out)].count("fails") == 1


@pytest.mark.parametrize("name, chosen, words, hint", [
    ("slide_3", {}, "no experiment 'slide_3'", "lists them"),
    ("slide_2", {"settings": ["lr"]}, "PARAMETER=VALUE, got 'lr'", "y0, lr, steps"),
    ("slide_2", {"settings": ["=3"]}, "PARAMETER=VALUE", "y0, lr, steps"),
    ("slide_2", {"settings": ["lr=fast"]}, "lr is 'fast'", "as it is"),
    ("slide_2", {"settings": ["lr=nan"]}, "lr is nan", "as it is"),
    ("slide_2", {"settings": ["steps=2.5"]}, "a whole number from 1 to 200", "as it is"),
    ("slide_2", {"settings": ["rate=1"]}, "no parameter 'rate'", "as it is"),
    ("slide_2", {"output": "x.gif"}, "must be .png, .svg or .pdf", "slide_2.png"),
    ("slide_2", {"output": "nowhere/x.png"}, "no folder 'nowhere'", "create it"),
    ("all", {"settings": ["lr=1"]}, "--set is for one experiment", "kappa"),
    (None, {"settings": ["lr=1"]}, "--set is for an experiment", "lists"),
    (None, {"output": "x.png"}, "-o is for an experiment", "lists")])
def test_what_the_command_refuses(name, chosen, words, hint):
    if "output" in chosen:
        pytest.importorskip("matplotlib")
    with pytest.raises(Refusal) as refusal:
        command(name, **chosen)
    assert words in str(refusal.value) and hint in refusal.value.hint


def test_the_command_refuses_a_picture_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for name in ("slide_2", "all"):
        with pytest.raises(Refusal, match="need matplotlib") as refusal:
            command(name, output="x.png")
        assert "pip install matplotlib" in refusal.value.hint
