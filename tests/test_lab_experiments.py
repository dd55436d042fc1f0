"""The experiments of the laboratory: do they hold, would they notice, and are their numbers right?

Every prediction is held against a computation that shares nothing with the package: loops of plain
NumPy, Lyapunov's equation, PyTorch's optimizers, numbers that are known from papers.
"""

import inspect
import json
import math
import sys
import time

import numpy as np
import pytest

from minigrad.lab import exp_isotropy, exp_typos, experiments
from minigrad.lab.descents import recurrence, step_matrix
from minigrad.lab.experiment import at_least, at_most, close, equal, experiment
from minigrad.optim import rules

NAMES = experiments.list()


@pytest.fixture(scope="module")
def results():
    """Every experiment, run once as it is: {name: (result, seconds)}."""
    found = {}
    for name in NAMES:
        started = time.process_time()
        found[name] = experiments.run(name), time.process_time() - started
    return found


# --- every one of them ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", NAMES)
def test_the_claim_holds_in_less_than_five_seconds(name, results):
    result, seconds = results[name]
    assert result.holds and result.verdict == "holds", result.table()
    assert seconds < 5


@pytest.mark.parametrize("name", NAMES)
def test_the_words_fit_a_terminal_and_the_names_are_different(name, results):
    result, _ = results[name]
    assert max(map(len, result.table().splitlines())) <= 80
    assert result.table().isascii() and len(name) <= 20 and len(result.title) <= 51
    for check in result.checks:  # so that the widest numbers find room beside it
        assert len(check.what) <= (39 if check.relation == "=" else 36)
    assert len(result.measured) == len(result.checks) == len(result.rows)
    assert set(result.measured) == set(result.predicted) == set(result.tolerance)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["verdict"] == "holds"


@pytest.mark.parametrize("name", NAMES)
def test_every_curve_has_as_many_x_as_y(name, results):
    for panel in results[name][0].panels:
        assert panel.curves and set(panel.log) <= {"x", "y"}
        for curve in panel.curves:
            assert curve.x.shape == curve.y.shape and curve.x.ndim == 1
            assert np.isfinite(curve.y).any() and np.isfinite(curve.x).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_limits_and_a_sensible_default(name):
    found = experiments.get(name)
    assert set(found.limits) == set(found.defaults) and found.claim
    for parameter, default in found.defaults.items():
        assert found.read(parameter, str(default)) == default
        if isinstance(default, str):
            assert found.range_of(parameter) == "one of " + ", ".join(found.limits[parameter])
        else:
            assert type(found.limits[parameter][0]) in (int, float)


# What makes the others quick while one parameter is at an end of its range.
QUICK = {name: {"steps": experiments.get(name).limits["steps"][0]} for name in NAMES
         if "steps" in experiments.get(name).limits}
QUICK |= {"saddle_escape": {"lr": 0.05}, "saddle_noise": {"lr": 0.05}}
ENDS = [(name, parameter, end) for name in NAMES for parameter, limits
        in experiments.get(name).limits.items() for end in (limits[0], limits[-1])
        if end not in (experiments.get(name).defaults[parameter],
                       QUICK.get(name, {}).get(parameter))]


@pytest.mark.parametrize("name, parameter, end", ENDS)
def test_the_prediction_follows_a_parameter_to_both_ends_of_its_range(name, parameter, end):
    try:
        result = experiments.run(name, **{**QUICK.get(name, {}), parameter: end})
    except ValueError as refusal:  # with the other defaults, it makes no sense
        assert name in str(refusal) and parameter in str(refusal)
        return
    assert result.holds, result.table()
    assert result.parameters[parameter] == end


@pytest.mark.parametrize("name, chosen", [
    ("momentum_rates", {"kappa": 37.5}), ("saddle_escape", {"y0": 3e-6, "lr": 0.03}),
    ("bias_correction", {"beta1": 0.8, "beta2": 0.99}),
    ("step_bound", {"beta1": 0.9, "beta2": 0.9}),
    ("amsgrad", {"large": 10.0}),
    ("adaptive_minimum", {"samples": 30, "positive": 20, "steps": 1500}),
    ("hypergradient", {"rule": "nesterov", "lr": 0.01, "kappa": 7}), ("slide_5", {"momentum": 0.5}),
    ("noise_floor", {"lr": 0.5, "momentum": 0.5, "curvature": 0.7, "seed": 9}),
    ("minibatch", {"samples": 7, "batch": 3, "seed": 2}), ("isotropy", {"angle": 45.0}),
    ("schedule", {"lr": 1.0, "noise": 3.0, "steps": 60}),
    ("l2_is_decay_for_sgd", {"momentum": 0.0})])
def test_several_parameters_at_once(name, chosen, results):
    after = experiments.run(name, **chosen)
    assert after.holds, after.table()
    assert results[name][0].measured != after.measured


def test_a_seed_makes_the_same_numbers_again():
    one, other = (experiments.run("noise_floor", seed=4) for _ in range(2))
    assert one.measured == other.measured != experiments.run("noise_floor", seed=5).measured


# --- would they notice? --------------------------------------------------------------------------

def spoilt(rule, old, new):
    """A rule with one piece of its text replaced."""
    source = "\n".join(line for line in inspect.getsource(rule).splitlines()
                       if not line.startswith("@"))
    assert source.count(old) >= 1
    names = dict(vars(rules))
    exec(source.replace(old, new, 1), names)
    names[rule.__name__].elementwise = True
    return names[rule.__name__]


@pytest.mark.parametrize("name, rule, old, new", [
    ("conditioning", "sgd", "lr * g", "1.001 * lr * g"),
    ("momentum_rates", "momentum", "b = g if t == 1 else", "b = 2 * g if t == 1 else"),
    ("momentum_rates", "momentum", "momentum * b +", "0.99 * momentum * b +"),
    ("momentum_rates", "nesterov", "g + momentum * b\n    step", "momentum * b\n    step"),
    ("stability_edges", "momentum", "(1 - dampening) * g", "g"),
    ("noise_floor", "momentum", "momentum * b +", "0.9 * momentum * b +"),
    ("momentum_forms", "momentum", "momentum * b - lr * g", "lr * (momentum * b - g)"),
    ("saddle_escape", "momentum", "momentum * b +", "0.99 * momentum * b +"),
    ("adagrad_decay", "adagrad", "+ g * g", "+ t * g * g"),
    ("rmsprop_window", "rmsprop", "(1 - alpha) * (g * g)", "g * g"),
    ("bias_correction", "adam", "m / (1 - beta1**t)", "m"),
    ("bias_correction", "adam", "v / (1 - beta2**t)", "v"),
    ("step_bound", "adam", "(1 - beta1) * g", "g"),
    ("gradient_scale", "adam", "+ eps", "+ 1e-8"),
    ("eps_place", "adagrad", "np.sqrt(G + eps)", "np.sqrt(G) + eps"),
    ("amsgrad", "amsgrad", "np.maximum(v_max, v_hat)", "v_hat"),
    ("amsgrad_conventions", "amsgrad", "v_max / (1 - beta2**t) if", "v_max if"),
    ("adamw_fixed_points", "adamw", "decoupled_decay(w, lr, weight_decay)", "w"),
    ("decay_under_noise", "adamw", "decoupled_decay(w, lr, weight_decay)", "w"),
    ("hypergradient", "sgd", "lr * g", "0.999 * lr * g"),
    ("slide_16", "adamw", "adam(w, g, m, v, t", "adam(w, g, m, v, 2 * t"),
])
def test_a_wrong_rule_fails(name, rule, old, new, monkeypatch):
    wrong = spoilt(getattr(rules, rule), old, new)
    module = sys.modules[experiments.get(name).function.__module__]
    monkeypatch.setattr(rules, rule, wrong)
    for table in ("ADAPTIVE", "EDGES", "RULES", "RUNS", "SCALED"):
        for key, entry in getattr(module, table, {}).items():
            entry = entry if isinstance(entry, tuple) else (entry,)
            if entry[0].__name__ == rule:
                replaced = (wrong, *entry[1:]) if len(entry) > 1 else wrong
                monkeypatch.setitem(getattr(module, table), key, replaced)
    assert not experiments.run(name, **QUICK.get(name, {})).holds


def test_a_rule_with_weights_of_its_own_does_not_pass_for_isotropic(monkeypatch):
    monkeypatch.setitem(exp_isotropy.ISOTROPIC, "SGD", (rules.adam, {"lr": 0.05}))
    assert not experiments.run("isotropy").holds


@pytest.mark.parametrize("check, holds", [
    (equal("a", 1.0, 1.1, 0.2), True), (equal("a", 1.0, 1.3, 0.2), False),
    (equal("a", math.inf, math.inf), True), (equal("a", 3, math.inf, 5), False),
    (equal("a", math.nan, math.nan), True), (equal("a", 1, math.nan), False),
    (equal("a", math.nan, 1, 5), False), (close("a", -100.0, -101.0, 0.02), True),
    (at_most("a", 2, 1, 0.5), False), (at_most("a", 1.2, 1, 0.5), True),
    (at_most("a", math.nan, 1), False), (at_least("a", 0.9, 1), False),
    (at_least("a", 0.9, 1, 0.2), True)])
def test_when_a_check_holds(check, holds):
    assert check.holds is holds


def test_a_failing_result_says_so():
    @experiment("none", x=(0, 9))
    def wrong(*, x=1.0):
        """One is two.

        It is not.
        """
        return [equal("x", x, 2), equal("y", 1, 1)], []
    result = wrong()
    assert not result.holds and result.verdict == "fails" and "fails: 1 of 2" in result.table()
    assert "FAILS" in result.table() and repr(result) == "<Result wrong: fails, 1 of 2 checks>"
    assert wrong(x=2).holds


# --- numbers from elsewhere ----------------------------------------------------------------------

def test_steps_known_from_published_analyses(results):
    measured = results["momentum_rates"][0].measured
    assert [measured[f"{name}: steps to 1e-06"] for name in
            ("descent", "heavy ball", "Nesterov, lr = 1/L")] == [709, 95, 157]
    rates = [measured[f"{name}: rate"] for name in
             ("descent", "heavy ball", "Nesterov, lr = 1/L", "Nesterov, tuned")]
    np.testing.assert_allclose(rates, [.980198, .818182, .9, .884722], atol=1e-6)
    edges = list(results["stability_edges"][0].measured.values())[:4]
    np.testing.assert_allclose(edges, [2, 3.8, 38, 1.357143], rtol=1e-6)


def test_recurrence_is_its_own_loop(rng):
    cases = [*rng.uniform(-1, 1, (20, 4)), (0, 0, 1, 2), (1, .25, 1, .5), (1.8, .81, 1, .3),
             (0, -.5, 1, 1), (0.5, 0, 1, 2)]
    for p, q, x0, x1 in cases:
        loop = [x0, x1]
        for _ in range(30):
            loop.append(p * loop[-1] - q * loop[-2])
        np.testing.assert_allclose(recurrence(p, q, x0, x1, np.arange(32)), loop, atol=1e-9)


def test_step_matrix_of_momentum_by_hand():
    lr, b, c = 0.1, 0.7, 3.0
    expected = [[1 - lr * c, -lr * b], [c, b]]
    np.testing.assert_allclose(step_matrix(rules.momentum, c, lr=lr, momentum=b), expected)


@pytest.mark.parametrize("lr, b, c, noise", [(0.1, 0.9, 1.0, 1.0), (0.3, 0.5, 2.0, 3.0)])
def test_noise_floors_solve_lyapunovs_equation(lr, b, c, noise):
    predicted = experiments.run("noise_floor", lr=lr, momentum=b, curvature=c,
                                noise=noise).predicted
    for name, mu in (("descent", 0.0), ("momentum", b)):
        step = np.array([[1 - lr * c, -lr * mu], [c, mu]])
        kick = np.outer([-lr, 1], [-lr, 1]) * noise**2
        solved = np.linalg.solve(np.eye(4) - np.kron(step, step), kick.ravel())
        assert predicted[f"{name}: variance of w"] == pytest.approx(solved[0])


def test_saddle_steps_are_those_of_a_loop(results):
    measured = results["saddle_escape"][0].measured

    def steps(mu, y, lr=0.01):
        b = t = 0
        while abs(y) < 1:
            b = mu * b - 2 * y
            y, t = y - lr * b, t + 1
        return t
    assert measured["descent, steps from y0 = 0.0001"] == steps(0, 1e-4) == 466
    assert measured["descent, steps from y0 = 1e-10"] == steps(0, 1e-10)
    assert measured["momentum, steps from y0 = 0.0001"] == steps(0.9, 1e-4) == 95


def test_bias_correction_peaks_where_a_loop_says(results):
    measured = results["bias_correction"][0].measured
    m = v = 0
    seen = []
    for _ in range(5000):
        m, v = 0.9 * m + 0.1 * 3, 0.999 * v + 0.001 * 9
        seen.append(m / math.sqrt(v))
    assert measured["without: longest step / lr"] == pytest.approx(max(seen)) == pytest.approx(
        6.5685, abs=1e-4)
    assert measured["without: the step it comes at"] == 1 + np.argmax(seen) == 12
    assert measured["without: within 1 % of lr from step"] == 3925
    assert measured["without: travelled too far / lr"] == pytest.approx(sum(seen) - 5000)


def test_no_sequence_steps_further_than_the_bound():
    """The gradients that make the longest last step, found by eigenvalues, not by the formula."""
    beta1, beta2, n = 0.9, 0.999, 400
    ages = np.arange(n)[::-1]
    a = (1 - beta1) * beta1**ages / (1 - beta1**n)
    d = (1 - beta2) * beta2**ages / (1 - beta2**n)
    longest = math.sqrt(np.linalg.eigvalsh(np.outer(a, a) / np.sqrt(np.outer(d, d)))[-1])
    result = experiments.run("step_bound", steps=n)
    assert result.measured["growing gradients: last step / lr"] == pytest.approx(longest)
    supremum = result.predicted["the same, against the supremum"]
    assert supremum == pytest.approx(7.2703, abs=1e-4)


def test_slides_numbers(results):
    by = {name: results[name][0].measured for name in NAMES if name.startswith("slide")}
    steps = [by["slide_16"][f"printed: step {t} / lr"] for t in (1, 2, 10, 100)]
    np.testing.assert_allclose(steps, [31.62, 22.37, 10.02, 3.24], atol=5e-3)
    assert by["slide_16"]["printed: travelled too far / lr"] == pytest.approx(1337, abs=1)
    assert by["slide_5"]["printed: largest stable curvature"] == pytest.approx(
        38 / 9, rel=1e-6)
    assert by["slide_2"]["meant: y at the end"] == pytest.approx(11.739, abs=1e-3)
    assert by["slide_2"]["printed: y at the end"] == pytest.approx(5.154e-4, rel=1e-3)


def test_what_is_printed_differs_from_what_is_meant_by_the_slip_alone():
    """The stray j is 1 at the first step; the missing hat is 1 in the end."""
    g = np.array([0.3, -2.0])
    printed = rules.update(exp_typos.printed_7, g, g, [0.0], 1, {"lr": 0.1})
    meant = rules.update(rules.adagrad, g, g, [0.0], 1, {"lr": 0.1, "eps": 0})
    np.testing.assert_allclose(printed, meant)
    printed, meant = (rules.update(rule, g, g, [g, g * g], 10**6, {"lr": 0.1, "weight_decay": 0.2})
                      for rule in (exp_typos.printed_16, rules.adamw))
    np.testing.assert_allclose(printed, meant)


def test_wilson_margins(results):
    measured = results["adaptive_minimum"][0].measured
    assert measured["Adam: output for a new +1"] == pytest.approx(0.75, abs=1e-6)
    assert measured["Adam: output for a new -1"] == pytest.approx(0.25, abs=1e-6)
    assert measured["gradient descent: output for a new +1"] == pytest.approx(0.962, abs=1e-3)
    assert measured["gradient descent: output for a new -1"] == pytest.approx(-0.749, abs=1e-3)


# --- against PyTorch -----------------------------------------------------------------------------

def torch_path(kind, slope_of, start, steps, project=None, schedule=None, **options):
    """The weights that a torch.optim optimizer goes through."""
    torch = pytest.importorskip("torch")
    w = torch.tensor(np.atleast_1d(start), dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind)([w], **options)
    seen = [w.detach().numpy().copy()]
    for t in range(1, steps + 1):
        w.grad = torch.as_tensor(np.atleast_1d(slope_of(seen[-1], t)), dtype=torch.float64)
        if schedule:
            optimizer.param_groups[0]["lr"] = schedule(t)
        optimizer.step()
        if project:
            with torch.no_grad():
                w.clamp_(-1, 1)
        seen.append(w.detach().numpy().copy())
    return np.array(seen)


def test_amsgrad_takes_pytorchs_path():
    result = experiments.run("amsgrad", steps=3000)
    slopes = [3.0 if t % 3 == 1 else -1.0 for t in range(1, 3001)]
    for name, flag in (("Adam", False), ("AMSGrad, torch", True)):
        path = torch_path("Adam", lambda w, t: slopes[t - 1], 1.0, 3000, project=True,
                          schedule=lambda t: 0.1 / math.sqrt(t), betas=(0.0, 0.1), eps=1e-300,
                          amsgrad=flag)
        assert result.measured[f"{name}: where it ends"] == pytest.approx(path[-1, 0], abs=1e-9)


def test_decay_rests_where_pytorchs_does():
    result = experiments.run("adamw_fixed_points")
    for name, kind, options in (("SGD, L2", "SGD", {}), ("Adam, L2", "Adam", {}),
                                ("AdamW", "AdamW", {"eps": 1e-300})):
        path = torch_path(kind, lambda w, t: 0.5, 0.0, 3000, lr=0.1, weight_decay=0.1, **options)
        assert result.measured[f"{name}, g = 0.5: rests at"] == pytest.approx(path[-1, 0])


@pytest.mark.parametrize("rule, kind, options", [
    ("adam", "Adam", {}), ("rmsprop", "RMSprop", {}), ("adagrad", "Adagrad", {}),
    ("momentum", "SGD", {"momentum": 0.9}), ("adamw", "AdamW", {})])
def test_hypergradient_is_the_difference_of_two_trainings_in_pytorch(rule, kind, options):
    result = experiments.run("hypergradient", rule=rule, steps=12)
    curvature = np.array([1.0, 20.0])

    def loss(lr):
        path = torch_path(kind, lambda w, t: curvature * w, [1.0, 0.7], 12, lr=lr, **options)
        return (path[-1] ** 2 * curvature).sum() / 2
    slope = (loss(0.02 + 1e-6) - loss(0.02 - 1e-6)) / 2e-6
    assert result.measured[f"{rule}: d loss / d lr, by differences"] == pytest.approx(slope, 1e-5)
    assert result.measured[f"{rule}: loss after 12 steps"] == pytest.approx(loss(0.02))


def test_printed_14_is_no_adam_even_where_it_moves():
    path = torch_path("Adam", lambda w, t: 2 * w, 1.0, 1, lr=0.01)
    w = rules.update(exp_typos.printed_14, np.ones(1), np.full(1, 2.0), [0.0], 1, {"lr": 0.01})[0]
    assert path[1, 0] == pytest.approx(0.99) and w[0] == pytest.approx(1 - 0.01 * math.sqrt(0.02))
