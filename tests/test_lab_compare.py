"""Comparing optimizers on data: what is trained, what is kept, what is told."""

import math
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import minigrad
from minigrad import data, optim, random, training
from minigrad.data import DataLoader, Schema, TensorDataset
from minigrad.lab import trials as lab
from minigrad.lab.comparefile import CURVES, Trial
from minigrad.lab.comparison import Comparison

QUICK = {"epochs": 2, "seeds": 2}
NASTY = 'my "opt" <b>&\u00fc$x_1$ </script> /../ with a very long name'


def quick(data="iris", **more):
    return lab.compare(data, **{"optimizers": ["sgd", "adam"], "lrs": [0.1, 0.01], **QUICK,
                                **more})


def numbers(trial):
    """All of a trial that has to repeat."""
    return (trial.optimizer, trial.lr, trial.seed, trial.settings, trial.about, trial.curve,
            trial.diverged)


# --- what is trained ------------------------------------------------------------------------------

TORCH = {
    "sgd": ("SGD", {}), "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}), "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {}), "adam": ("Adam", {}), "adamw": ("AdamW", {}),
    "amsgrad": ("Adam", {"amsgrad": True})}


@pytest.mark.parametrize("name", TORCH)
def test_every_number_of_a_trial_is_that_of_the_same_loop_in_pytorch(name, doubles):
    torch = pytest.importorskip("torch")
    table, seed = data.load("iris"), 3
    trial = lab.compare(table, [name], lrs=0.02, seeds=[seed], epochs=3, batch_size=16, hidden=[5],
                        dtype="float64").trials[0]
    held_in, test = table.split(0.2, seed=seed)
    train, validation = held_in.split(0.2, seed=seed)
    schema = Schema.fit(train)
    random.manual_seed(seed)
    first = minigrad.nn.MLP(4, [5, 3])
    net = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    net.load_state_dict({key: torch.tensor(w.numpy()) for key, w in first.state_dict().items()})
    rows = {part: tuple(map(torch.tensor, schema.encode(part_table))) for part, part_table in
            (("train", train), ("validation", validation), ("test", test))}
    kind, options = TORCH[name]
    optimizer = getattr(torch.optim, kind)(net.parameters(), lr=0.02, **options)
    measure = torch.nn.functional.cross_entropy
    expected = {curve: [] for curve in CURVES}

    def look(step):
        expected["step"].append(step)
        for part, (x, y) in rows.items():
            with torch.no_grad():
                out = net(x)
            expected[f"{part}_loss"].append(measure(out, y).item())
            expected[f"{part}_score"].append((out.argmax(1) == y).double().mean().item())
    look(0)
    order = DataLoader(TensorDataset(minigrad.arange(len(train))), 16, shuffle=True)
    steps = 0
    for _ in range(3):
        for (chosen,) in order:
            x, y = (part[chosen.numpy()] for part in rows["train"])
            optimizer.zero_grad()
            measure(net(x), y).backward()
            optimizer.step()
            steps += 1
            if steps in trial.curve["step"]:
                look(steps)
    assert trial.curve["step"] == expected["step"] and steps == 18 == trial.curve["step"][-1]
    for curve in CURVES:
        assert trial.curve[curve] == pytest.approx(expected[curve], rel=1e-9), curve


def test_r2_of_values_is_that_of_numpy(tmp_path, rng):
    x = rng.standard_normal((60, 2))
    y = 3 * x[:, 0] - x[:, 1] + 0.1 * rng.standard_normal(60)
    path = tmp_path / "plane.csv"
    path.write_text("a,b,y\n" + "\n".join(f"{a},{b},{c}" for (a, b), c in zip(x, y)) + "\n")
    table = data.read_table(path, "y")
    c = lab.compare(table, ["momentum"], lrs=0.05, seeds=1, epochs=20, hidden=[], dtype="float64")
    assert c.score == "R2" and c.rows[0]["test_score"][1] > 0.98
    held_in, test = table.split(0.2, seed=0)
    schema = Schema.fit(held_in.split(0.2, seed=0)[0])
    inputs, truth = schema.encode(test)
    mse = np.array(c.trials[0].curve["test_loss"])  # of the standardized values, as is the loss
    assert c.trials[0].curve["test_score"] == pytest.approx(1 - mse / truth.var(), abs=1e-12)
    assert "test R2" in c.table() and "%" not in c.table() and len(inputs) == 12


def test_a_comparison_trains_under_no_grad_too():
    expected = quick(seeds=1).trials
    with minigrad.no_grad():
        assert [numbers(t) for t in quick(seeds=1).trials] == [numbers(t) for t in expected]
        assert not minigrad.is_grad_enabled()


def test_numbers_of_numpy_are_learning_rates():
    plan = lab.planned("iris", ["sgd"], lrs=np.array([0.25, 0.5], np.float32))
    assert plan.lrs == {"sgd": [0.25, 0.5]} and type(plan.lrs["sgd"][0]) is float
    assert lab.planned("iris", ["sgd"], lrs=np.float64(0.5)).lrs == {"sgd": [0.5]}


@pytest.mark.parametrize("chosen, words", [
    ({"weight_decay": "a"}, "weight_decay must be at least 0 .* got 'a'"),
    ({"label_smoothing": True}, "label_smoothing must be .* got True"),
    ({"hidden": 2.5}, "hidden is the sizes of the hidden layers, .* got 2.5"),
    ({"dtype": "float16"}, "dtype must be one of float32, float64, got 'float16'"),
    ({"seeds": 0}, "seeds is how many .* got 0"),
    ({"lrs": True}, "a learning rate is a number above 0, got True")])
def test_settings_that_cannot_be_are_refused_in_words(chosen, words):
    with pytest.raises(ValueError, match=words):
        quick(**chosen)


def test_the_three_parts_of_the_rows_share_none_and_miss_none():
    table = data.load("moons")
    table.features[:, 0] = np.arange(len(table))
    parts = [part.features[:, 0] for part in lab.split(table, 5)]
    assert [len(part) for part in parts] == [256, 64, 80]
    assert sorted(np.concatenate(parts)) == list(range(400))


def test_all_optimizers_begin_with_the_same_numbers_and_see_the_same_batches():
    c = quick(optimizers={"sgd": None, "twin": lambda p, lr: optim.SGD(p, lr=lr), "adam": None})
    for seed in (0, 1):
        of_seed = [t for t in c.trials if t.seed == seed]
        assert len({(t.curve["train_loss"][0], t.curve["test_loss"][0]) for t in of_seed}) == 1
        sgd, twin = ([t.curve for t in of_seed if t.optimizer == name] for name in ("sgd", "twin"))
        assert sgd == twin
    assert len({t.curve["train_loss"][0] for t in c.trials}) == 2


def test_the_same_call_gives_the_same_numbers_and_leaves_the_generator_alone():
    random.manual_seed(7)
    expected = random.generator().random(3).tolist()
    random.manual_seed(7)
    first = quick()
    assert random.initial_seed() == 7
    assert random.generator().random(3).tolist() == expected
    again = quick(optimizers=["adam", "sgd"], lrs=[0.01, 0.1])
    by_key = {(t.optimizer, t.lr, t.seed): numbers(t) for t in again.trials}
    assert all(by_key[t.optimizer, t.lr, t.seed] == numbers(t) for t in first.trials)


def test_learning_rates_that_nobody_chose_surround_the_usual_one():
    plan = lab.planned("iris")
    assert plan.lrs["sgd"] == [0.01, 0.03, 0.1, 0.3, 1.0]
    assert plan.lrs["rmsprop"] == [0.0003, 0.001, 0.003, 0.01, 0.03]
    for name, lrs in plan.lrs.items():
        assert lrs[2] == training.LEARNING_RATES[name]
    assert 400 <= plan.steps(96) <= 600


def test_weight_decay_is_that_of_adamw_alone_unless_it_is_asked_for():
    plan = lab.planned("digits")
    decays = {name: plan.recipe(name, 0.1, 0).weight_decay for name in plan.makers}
    assert decays == {**dict.fromkeys(TORCH, 0.0), "adamw": 0.01}
    asked = lab.planned("digits", weight_decay=0.3)
    assert {asked.recipe(name, 0.1, 0).weight_decay for name in plan.makers} == {0.3}


def test_a_rule_of_ones_own_is_compared_like_the_others(tmp_path):
    def halved(w, g, *, lr=0.1):
        return w - 0.5 * lr * g
    calls = []

    def maker(parameters, lr):
        calls.append(lr)
        return optim.Optimizer(parameters, rule=halved, lr=lr)
    mine = {"halved": maker, "sgd": None}
    c = quick(optimizers=mine, lrs={"halved": [0.2], "sgd": [0.1]}, folder=tmp_path)
    for one, other in zip(c.of("halved"), c.of("sgd")):
        assert one.curve["train_loss"] == pytest.approx(other.curve["train_loss"], rel=1e-5)
    assert c.best == {"halved": 0.2, "sgd": 0.1}
    quick(optimizers=mine, lrs={"halved": [0.2], "sgd": [0.1]}, folder=tmp_path)
    assert calls == [0.2] * 4  # its rule may have changed: run anew
    with pytest.raises(TypeError, match="'bad' must return an Optimizer, got NoneType"):
        quick(optimizers={"bad": lambda p, lr: None})


# --- what is told ---------------------------------------------------------------------------------

def trial(optimizer="sgd", lr=0.1, seed=0, loss=(2, 1, 0.5), score=(0.1, 0.5, 0.9), validation=None,
          diverged=None, baseline=0.1):
    n, loss = len(loss), list(map(float, loss))
    curve = {"step": [0, 10, 20][:n], "train_loss": list(loss), "train_score": list(score),
             "validation_loss": list(loss), "validation_score": list(validation or score),
             "test_loss": list(loss), "test_score": list(score)}
    about = {"task": "classification", "score": "accuracy", "baseline": baseline, "steps": 20,
             "rows": {"train": 6, "validation": 2, "test": 2}, "sizes": [2, 2], "parameters": 6,
             "target": "y"}
    settings = {"data": "toy", "activation": "relu", "batch_size": 3, "scheduler": "none",
                "optimizer": optimizer, "lr": lr, "seed": seed}
    return Trial(optimizer, lr, seed, settings, about, curve, [0.0, 0.5, 1.5][:n], diverged)


def test_rows_are_medians_and_ranges_of_the_seeds():
    ends = [0.7, 0.95, 0.8, 0.9]
    c = Comparison([trial(seed=k, score=(0.1, end - 0.1, end), loss=(2, 1, 0.1 * (k + 1)))
                    for k, end in enumerate(ends)], goal=0.8)
    row = c.rows[0]
    assert row["test_score"] == [min(ends), np.median(ends), max(ends)]
    assert row["train_loss"] == pytest.approx([0.1, 0.25, 0.4])
    assert row["steps"] == [10, 15, math.inf]       # inf, 10, 20, 10
    assert row["seconds"] == [0.5, 1.0, math.inf]
    assert row["us_per_step"] == pytest.approx(75_000)  # of 50 and 100 ms: the middle
    steps, low, mid, high = c.band("test_score", "sgd")
    values = np.array([t.curve["test_score"] for t in c.trials])
    assert steps.tolist() == [0, 10, 20] and (low == values.min(0)).all()
    assert (high == values.max(0)).all() and (mid == np.median(values, 0)).all()
    line = c.table().splitlines()[1].split()
    assert line == ["sgd", "0.1", "85.0%", "(70.0-95.0)", "0.250", "15", "(10-never)", "1.00"]


def test_the_learning_rate_is_chosen_on_the_validation_rows_and_not_on_the_tests():
    slow = trial(lr=0.1, score=(0.1, 0.2, 0.6), validation=(0.1, 0.2, 0.9), loss=(2, 1, 0.5))
    quick_one = trial(lr=1.0, score=(0.1, 0.8, 0.99), validation=(0.1, 0.8, 0.8), loss=(2, 1, 0.3))
    both = [slow, quick_one]
    assert Comparison(both).best == {"sgd": 0.1}
    assert Comparison(both, by="loss").best == {"sgd": 1.0}
    assert Comparison(both, by="steps", goal=0.8).best == {"sgd": 1.0}
    assert Comparison(both, by="steps", goal=0.85).best == {"sgd": 0.1}
    assert Comparison(both, by="steps", goal_loss=0.4).best == {"sgd": 1.0}
    assert Comparison(both).rows[0]["edge"] == "<"


def test_without_a_goal_it_is_95_percent_of_the_way_to_the_best_result():
    c = Comparison([trial(score=(0.1, 0.85, 0.9)), trial("adam", score=(0.1, 0.3, 0.5))])
    assert c.goal == ("test_score", pytest.approx(0.1 + 0.95 * (0.9 - 0.1)))
    assert [row["steps"][1] for row in c.rows] == [20, math.inf]
    assert "steps to 86.0%" in c.table() and "never" in c.table()
    hopeless = Comparison([trial(score=(0.1, 0.1, 0.1))])
    assert hopeless.goal is None and "steps" not in hopeless.table()
    assert "no optimizer did better than a constant guess" in str(hopeless)


def test_a_loss_can_be_the_goal():
    c = Comparison([trial(loss=(2, 0.04, 0.01))], goal_loss=0.04)
    assert c.rows[0]["steps"] == [10] * 3 and "steps to loss 0.04" in c.table()


def test_divergence_is_said_and_cut_and_never_the_best():
    c = quick(optimizers=["sgd", "adam"], lrs=[0.01, 1e30], epochs=5)
    assert c.best == {"sgd": 0.01, "adam": 0.01}
    lost = c.of("sgd", 1e30)
    for t in lost:
        assert "at step" in t.diverged and t.curve["step"][-1] < 30
        assert all(np.isfinite(t.curve[name]).all() for name in CURVES)
        assert len({len(t.curve[name]) for name in CURVES}) == 1
    assert "sgd diverged with lr 1e+30 (2 of 2)" in str(c) and "diverged" in c.grid()
    assert c.final("test_score", "sgd", 1e30) == -math.inf


def test_if_everything_diverges_tables_and_pictures_say_so(tmp_path):
    c = Comparison([trial(seed=k, loss=(2,), score=(0.1,), diverged="the loss became nan at step 1")
                    for k in range(2)])
    assert c.best == {"sgd": None} and c.goal is None and c.of("sgd") == []
    assert c.table().splitlines()[1].split() == ["sgd", "none", "diverged", "-"]
    assert "try smaller ones" in str(c)
    ElementTree.fromstring(c.picture())
    assert [len(x) for x in c.band("train_loss", "sgd")] == [0] * 4
    pytest.importorskip("matplotlib")
    c.plot().savefig(tmp_path / "all.png")


def test_one_seed_of_three_that_diverges_is_a_range_and_two_are_divergence():
    good = [trial(seed=k) for k in range(3)]
    bad = [trial(seed=k, loss=(2, 9), score=(0.1, 0.1), diverged="the loss became inf at step 12")
           for k in range(3)]
    one = Comparison([good[0], good[1], bad[2]])
    assert one.best == {"sgd": 0.1} and one.rows[0]["diverged"] == 1
    assert "90.0% (diverged-90.0)" in one.table()
    assert one.band("test_score", "sgd")[2].tolist() == [0.1, 0.5, 0.9]
    assert Comparison([good[0], bad[1], bad[2]]).best == {"sgd": None}


def test_tables_fit_a_terminal_whatever_the_names():
    names = [NASTY, *TORCH]
    lrs = [10.0**-k for k in range(12)]
    c = Comparison([trial(name, lr, seed) for name in names for lr in lrs for seed in range(2)],
                   names=names)
    assert max(map(len, str(c).splitlines())) <= 80
    assert c.optimizers == names
    c = lab.compare("iris", **QUICK)
    assert max(map(len, str(c).splitlines())) <= 80
    assert " ".join(c.headline().split()) == (
        "iris: 96 rows to learn from, 24 to choose the learning rate by, 30 for the test. "
        "MLP 4-16-3, relu, 12 steps in batches of 16, 2 seeds: median (range).")


def test_trials_of_different_comparisons_are_not_mixed():
    other = trial(lr=0.2)
    other.settings["batch_size"] = 4
    with pytest.raises(ValueError, match="different comparisons: batch_size 3, not 4"):
        Comparison([trial(), other])
    with pytest.raises(ValueError, match="no trials"):
        Comparison([])


def test_unknown_names_and_rates_are_key_errors_that_help():
    c = Comparison([trial("adam")])
    with pytest.raises(KeyError, match="Did you mean 'adam'"):
        c.of("adm")
    with pytest.raises(KeyError, match="not tried with lr 3; with 0.1 it was"):
        c.band("test_score", "adam", 3)


# --- pictures -------------------------------------------------------------------------------------

def test_the_figure_draws_the_numbers_of_the_bands():
    pytest.importorskip("matplotlib")
    c = quick()
    losses, scores, rates, goals = c.plot().axes
    for axis, curve in ((losses, "train_loss"), (scores, "test_score")):
        for drawn, name in zip(axis.lines, c.optimizers):
            values = np.array([t.curve[curve] for t in c.of(name)])
            assert drawn.get_xdata().tolist() == c.of(name)[0].curve["step"]
            assert drawn.get_ydata() == pytest.approx(np.median(values, axis=0))
    middle = [np.median([t.curve["validation_score"][-1] for t in c.of("sgd", lr)])
              for lr in (0.01, 0.1)]
    assert rates.lines[0].get_ydata() == pytest.approx(middle)
    assert [tick.get_text() for tick in goals.get_yticklabels()] == ["sgd", "adam"]


def test_the_svg_is_well_formed_and_repeats_for_any_name():
    c = Comparison([trial(NASTY, 0.1, k) for k in range(2)] + [trial("sgd", 0.1, 0)])
    root = ElementTree.fromstring(c.picture())
    assert root.tag.endswith("svg") and c.picture() == c.picture()
    assert "<b>" not in c.picture() and "script>" not in c.picture()
    pytest.importorskip("matplotlib")
    c.plot()._repr_png_()


def test_the_svg_has_a_point_for_every_look_where_it_belongs():
    def points_of(*steps):
        one = trial(loss=(100, 10, 1))
        one.curve["step"][:] = steps
        root = ElementTree.fromstring(Comparison([one]).picture())
        path = next(p for p in root.iter("{http://www.w3.org/2000/svg}path")
                    if p.get("stroke-width") == "1.6")
        return [tuple(map(float, p.split())) for p in path.get("d")[1:].split("L")]
    assert len(points_of(0, 10, 20)) == 2  # step 0 has no place on a logarithmic axis
    points = points_of(1, 10, 20)
    assert [y for _, y in points] == pytest.approx([64, 64 + 125, 64 + 250])
    assert [x for x, _ in points] == pytest.approx(
        [62, 62 + 330 * math.log(10) / math.log(20), 62 + 330], abs=0.06)


def test_without_matplotlib_the_error_says_what_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install matplotlib; \.table\(\).*work without"):
        Comparison([trial()]).plot()


def test_a_notebook_shows_picture_and_tables_and_never_an_error():
    c = Comparison([trial(NASTY)])
    shown = c._repr_mimebundle_()
    assert "data:image/svg+xml;base64," in shown["text/html"] and "<b>" not in shown["text/html"]
    assert shown["text/plain"] == str(c)
    del c.optimizers
    assert "cannot be shown" in c._repr_mimebundle_()["text/plain"]
