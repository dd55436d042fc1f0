"""Diagnosing classes, libraries, traces and the other families, from code of their own."""

import json
import time

import numpy as np
import pytest

import minigrad
from minigrad.coursework.optimizers.diagnosis import diagnose
from minigrad.coursework.optimizers.probes import cold_run, warm_run
from minigrad.coursework.optimizers.reference import (
    CONVENTIONS,
    FAMILIES,
    formula,
    settings_of,
    simulated,
)
from minigrad.optim import rules


class Optimizer:
    """A base class as courses have it; what `faults` names is done wrong."""

    def __init__(self, params, lr=0.1, eps=1e-8, beta1=0.9, beta2=0.999, weight_decay=0.0):
        self.params, self.lr, self.eps = list(params), lr, eps
        self.beta1, self.beta2, self.weight_decay, self.t = beta1, beta2, weight_decay, 0
        self.m, self.v = {}, {}

    faults = ()

    def step(self):
        has = self.faults.__contains__
        self.t += 1
        for i, p in enumerate(self.params):
            if has("t-per-parameter") and i:
                self.t += 1
            key = 0 if has("state-shared-between-parameters") else i
            w, g = p.data, p.grad
            if has("decay-coupled"):
                g = g + self.weight_decay * w
            elif has("decay-not-times-lr"):
                w = w - self.weight_decay * w
            elif not has("decay-after-step"):
                w = w - self.lr * self.weight_decay * w
            m = self.m[key] = self.beta1 * self.m.get(key, 0) + (1 - self.beta1) * g
            v = self.v[key] = self.beta2 * self.v.get(key, 0) + (1 - self.beta2) * g**2
            c1, c2 = 1 - self.beta1**self.t, 1 - self.beta2**self.t
            w = w - self.lr * (m / c1) / (np.sqrt(v / c2) + self.eps)
            if has("decay-after-step"):
                w = w * (1 - self.lr * self.weight_decay)
            if has("parameter-not-updated-in-place"):
                p = type(p)(w)
            else:
                p.data = w


@pytest.mark.parametrize("id", ["", "t-per-parameter", "state-shared-between-parameters",
                                "decay-coupled", "decay-not-times-lr", "decay-after-step",
                                "parameter-not-updated-in-place"])
def test_mistakes_of_classes_are_named(id):
    student = type("AdamW", (Optimizer,), {"faults": (id,)})
    found = diagnose(student, rule="adamw")
    assert (found.causes == ((id,) if id else ())) or (id,) in found.ties, found


def function_of(update, states):
    """A CS231n function around one line of mathematics."""
    def student(w, dw, config=None):
        config.setdefault("learning_rate", 1e-2)
        config.setdefault("decay_rate", 0.99)
        config.setdefault("epsilon", 1e-8)
        config.setdefault("momentum", 0.9)
        for state in ("velocity", "cache"):
            config.setdefault(state, np.zeros_like(w))
        state = config[states]
        w, config[states] = update(w, dw, state, config["learning_rate"], config["momentum"],
                                   config["decay_rate"], config["epsilon"])
        return w, config
    return student


def velocity(v_of, w_of=lambda w, g, v, old, lr, mu: w + v):
    def update(w, g, old, lr, mu, d, e):
        v = v_of(old, g, lr, mu)
        return w_of(w, g, v, old, lr, mu), v
    return function_of(update, "velocity")


def cached(s_of, w_of=lambda w, g, s, old, lr, e: w - lr * g / (np.sqrt(s) + e)):
    def update(w, g, old, lr, mu, d, e):
        s = s_of(old, g, d)
        return w_of(w, g, s, old, lr, e), s
    return function_of(update, "cache")


def inside(v, g, lr, mu):
    return mu * v - lr * g


def mean(s, g, d):
    return d * s + (1 - d) * g**2


def total(s, g, d):
    return s + g**2


# fmt: off
OTHERS = [
    ("momentum", "cs231n", "", velocity(inside)),
    ("momentum", "torch", "momentum/lr-inside", velocity(inside)),
    ("momentum", "cs231n", "momentum-sign", velocity(lambda v, g, lr, mu: -mu * v - lr * g)),
    ("momentum", "cs231n", "ascent", velocity(inside, lambda w, g, v, old, lr, mu: w - v)),
    ("momentum", "cs231n", "stale-moment", velocity(inside, lambda w, g, v, old, lr, mu: w + old)),
    ("momentum", "cs231n", "momentum-averaged",
     velocity(lambda v, g, lr, mu: mu * v - (1 - mu) * lr * g)),
    ("momentum", "cs231n", "momentum-lr-twice",
     velocity(inside, lambda w, g, v, old, lr, mu: w + lr * v)),
    ("momentum", "torch", "momentum/ema", velocity(
        lambda v, g, lr, mu: mu * v + (1 - mu) * g, lambda w, g, v, old, lr, mu: w - lr * v)),
    ("momentum", "ema", "momentum-not-averaged", velocity(
        lambda v, g, lr, mu: mu * v + g, lambda w, g, v, old, lr, mu: w - lr * v)),
    ("momentum", "ema", "momentum-coefficients-swapped", velocity(
        lambda v, g, lr, mu: (1 - mu) * v + mu * g, lambda w, g, v, old, lr, mu: w - lr * v)),
    ("nesterov", "cs231n", "", velocity(
        inside, lambda w, g, v, old, lr, mu: w - mu * old + (1 + mu) * v)),
    ("nesterov", "cs231n", "nesterov-without-previous-velocity", velocity(
        inside, lambda w, g, v, old, lr, mu: w + (1 + mu) * v)),
    ("nesterov", "torch", "nesterov-sign", velocity(
        lambda v, g, lr, mu: mu * v + g, lambda w, g, v, old, lr, mu: w - lr * (g - mu * v))),
    ("rmsprop", "torch", "", cached(mean)),
    ("rmsprop", "torch", "accumulates-instead-of-averaging", cached(total)),
    ("rmsprop", "torch", "rmsprop/eps-inside", cached(
        mean, lambda w, g, s, old, lr, e: w - lr * g / np.sqrt(s + e))),
    ("rmsprop", "torch", "stale-moment", cached(
        mean, lambda w, g, s, old, lr, e: w - lr * g / (np.sqrt(old) + e))),
    ("rmsprop", "torch", "missing-sqrt", cached(
        mean, lambda w, g, s, old, lr, e: w - lr * g / (s + e))),
    ("adagrad", "torch", "", cached(total)),
    ("adagrad", "torch", "adagrad/eps-inside", cached(
        total, lambda w, g, s, old, lr, e: w - lr * g / np.sqrt(s + e))),
    ("adagrad", "torch", "averages-instead-of-accumulating", cached(
        lambda s, g, d: 0.9 * s + 0.1 * g**2)),
    ("sgd", "torch", "", function_of(lambda w, g, s, lr, *more: (w - lr * g, s), "cache")),
    ("sgd", "torch", "ascent", function_of(lambda w, g, s, lr, *more: (w + lr * g, s), "cache")),
    ("sgd", "torch", "lr-squared", function_of(
        lambda w, g, s, lr, *more: (w - lr**2 * g, s), "cache")),
]
# fmt: on


@pytest.mark.parametrize("rule, convention, id, student", OTHERS)
def test_other_families(rule, convention, id, student):
    found = diagnose(student, rule=rule, convention=convention)
    assert found.causes == ((id,) if id else ()) or (id,) in found.ties, found


@pytest.mark.parametrize("fault, id", [
    ("corrected", "amsgrad/corrected"), ("stored", "amsgrad-max-not-stored"),
    ("into v", "amsgrad-max-written-into-v"), ("eps", "eps-before-correction"),
    ("stale", "stale-moment"), ("", "")])
def test_amsgrad(fault, id):
    def student(w, g, m, v, top, t, *, lr, beta1, beta2, eps):
        before = m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        first, second = before if fault == "stale" else (m, v)
        c = 1 - beta2**t
        new = np.maximum(top, second / c if fault == "corrected" else second)
        used = new if fault == "corrected" else new / c
        below = (np.sqrt(new) + eps) / c**0.5 if fault == "eps" else np.sqrt(used) + eps
        w = w - lr * first / (1 - beta1**t) / below
        return w, m, new if fault == "into v" else v, top if fault == "stored" else new

    found = diagnose(student, rule="amsgrad")
    assert found.causes == ((id,) if id else ()) or (id,) in found.ties, found


def test_lr_that_compounds():
    def student(w, dw, config=None):
        for key in ("learning_rate", "beta1", "beta2", "epsilon"):
            config[key]
        t = config["t"] = config.get("t", 0) + 1
        m = config["m"] = config["beta1"] * config.get("m", 0) + (1 - config["beta1"]) * dw
        v = config["v"] = config["beta2"] * config.get("v", 0) + (1 - config["beta2"]) * dw**2
        config["learning_rate"] *= (1 - config["beta2"]**t)**0.5 / (1 - config["beta1"]**t)
        return w - config["learning_rate"] * m / (np.sqrt(v) + config["epsilon"]), config
    assert diagnose(student).causes == ("lr-compounds",)


# --- the reference is the rule -------------------------------------------------------------------

@pytest.mark.parametrize("id", CONVENTIONS)
def test_formulas_give_what_the_rules_give(id):
    """The lines are those of optim.rules: the same numbers, for conventions that rules have."""
    rule, convention = id.split("/")
    if CONVENTIONS[id].edits:
        assert formula(rule, convention).lines != formula(rule).lines
        return
    family, (lines, states) = FAMILIES[rule], formula(rule, convention)
    options = {**family.fixed, **CONVENTIONS[id].options}
    settings = {n: x for n, x in cold_run().settings[0].items() if n in settings_of(rule)}
    for run in (cold_run(settings=settings), warm_run(states, settings=settings)):
        weights = list(run.weights)
        kept = [[start.get(s, 0.0) for s in rules.anatomy(family.rule).states]
                for start in run.states]
        for i, k, q in simulated(lines, states, run):
            here = dict(run.settings[i])
            decay = here.pop("weight_decay")
            weights[k], *kept[k] = rules.update(
                family.rule, weights[k], run.gradients[i][k], kept[k], run.t + i,
                {**options, **here}, weight_decay=decay,
                decay_rate=here["lr"] if rule == "adamw" else None)
            np.testing.assert_allclose(q["next_w"], weights[k], rtol=1e-14, atol=1e-15)


# --- libraries: never a false alarm --------------------------------------------------------------

LIBRARY = [("sgd", "SGD"), ("momentum", "SGD"), ("nesterov", "SGD"), ("adagrad", "Adagrad"),
           ("rmsprop", "RMSprop"), ("adam", "Adam"), ("adamw", "AdamW"), ("amsgrad", "Adam")]


@pytest.mark.parametrize("rule, name", LIBRARY)
def test_pytorch_is_correct(rule, name):
    torch = pytest.importorskip("torch")
    for seed in range(2):
        found = diagnose(getattr(torch.optim, name), rule=rule, seed=seed)
        assert found.verdict == "correct", found


@pytest.mark.parametrize("rule, name", LIBRARY)
def test_minigrad_is_correct(rule, name):
    found = diagnose(getattr(minigrad.optim, name), rule=rule)
    assert found.verdict == "correct", found


@pytest.mark.parametrize("rule, verdict", [
    ("adam", "correct"), ("adamw", "correct"), ("adagrad", "convention"),
    ("rmsprop", "convention"), ("amsgrad", "convention")])
def test_optax_is_correct_or_another_convention(rule, verdict):
    optax = pytest.importorskip("optax")

    def factory(params, lr=0.1, eps=1e-8, **options):
        takes = {"adam": ("b1", "b2"), "adamw": ("b1", "b2", "weight_decay"),
                 "amsgrad": ("b1", "b2"), "rmsprop": ("decay",), "adagrad": ()}[rule]
        more = {"initial_accumulator_value": 0.0} if rule == "adagrad" else {}
        more.update({name: options[name] for name in takes})
        made = getattr(optax, rule)(lr, eps=eps, **more)
        return Held(made, params, optax)

    source = {"adam": ("b1", "b2"), "adamw": ("b1", "b2", "weight_decay"), "amsgrad": ("b1", "b2"),
              "rmsprop": ("decay",), "adagrad": ()}[rule]
    signature = "params, lr=0.1, eps=1e-8" + "".join(f", {name}=0.1" for name in source)
    scope = {"factory": factory}
    passed = ", ".join(f"{name}={name}" for name in ("lr", "eps", *source))
    exec(f"def student({signature}): return factory(params, {passed})", scope)
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    found = diagnose(scope["student"], rule=rule)
    assert found.verdict == verdict, found


class Held:
    """An optax transformation with a step() of its own."""

    def __init__(self, made, params, optax):
        self.made, self.params, self.optax = made, params, optax
        self.kept = made.init([p.data for p in params])

    def step(self):
        weights = [p.data for p in self.params]
        updates, self.kept = self.made.update([p.grad for p in self.params], self.kept, weights)
        for p, w in zip(self.params, self.optax.apply_updates(weights, updates)):
            p.data = np.asarray(w)


# --- unknown, decimals, traces, time -------------------------------------------------------------

def test_a_mistake_outside_the_table_is_unknown():
    def student(w, g, m, v, t, *, lr, beta1, beta2, eps):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        return w - lr * np.tanh(m) / (np.cbrt(v) + eps), m, v
    found = diagnose(student)
    assert (found.verdict, found.causes, found.ties) == ("unknown", (), [])
    assert found.residual > 0.01 and "No known mistake" in str(found)
    assert found.first_difference.quantity == "parameter"


def test_teacher_forcing_names_the_first_state_that_differs():
    def student(w, g, m, v, t, *, lr, beta1, beta2, eps):
        m = beta1 * m + (1 - beta1) * np.tanh(g)
        v = beta2 * v + (1 - beta2) * g**2
        return w - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v
    found = diagnose(student)
    assert found.verdict == "unknown" and found.first_difference.quantity == "m"
    assert not found.first_difference.inferred


def traced(id, decimals):
    student = type("Adam", (Optimizer,), {"faults": ("decay-coupled", id)})
    settings = {n: x for n, x in cold_run(3).settings[0].items() if n in settings_of("adam")}
    run = cold_run(3, settings=settings)
    params = [type("P", (), {})() for _ in run.weights]
    optimizer = student(params, **settings)
    for p, w in zip(params, run.weights):
        p.data = w
    seen = [[p.data for p in params]]
    for gradients, here in zip(run.gradients, run.settings):
        optimizer.lr = here["lr"]
        for p, g in zip(params, gradients):
            p.grad = g
        optimizer.step()
        seen.append([p.data for p in params])
    values = [np.round([step[k] for step in seen], decimals) for k in (0, 1)]
    return {"parameters": {"a": values[0].tolist(), "b": values[1].tolist()},
            "gradients": {"a": [g[0].tolist() for g in run.gradients],
                          "b": [g[1].tolist() for g in run.gradients]},
            "hyperparameters": {**settings, "lr": [here["lr"] for here in run.settings]}}


@pytest.mark.parametrize("id", ["t-per-parameter", "state-shared-between-parameters"])
def test_two_printed_decimals_are_enough(id, tmp_path):
    data = traced(id, 2)
    assert diagnose(data, decimals=2).causes == (id,)
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(data))
    assert diagnose(path).causes == (id,)
    lines = ["step,parameter,index,value,gradient"]
    for name in "ab":
        values, slopes = (np.array(data[part][name]).reshape(-1, 6)
                          for part in ("parameters", "gradients"))
        lines += [f"{i},{name},{j},{values[i, j]:.2f},{slopes[i - 1, j] if i else ''}"
                  for i in range(len(values)) for j in range(6)]
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(lines) + "\n")
    assert diagnose(path, hyperparameters=data["hyperparameters"]).causes == (id,)


def test_an_npz_trace_in_full_precision(tmp_path):
    data = traced("t-per-parameter", 15)
    np.savez(tmp_path / "t.npz", **{f"{part}/{name}": data[part][name]
                                    for part in ("parameters", "gradients") for name in "ab"})
    found = diagnose(tmp_path / "t.npz", hyperparameters=data["hyperparameters"])
    assert found.causes == ("t-per-parameter",)


def test_a_diagnosis_with_pairs_takes_less_than_three_seconds():
    def student(w, g, m, v, t, *, lr, beta1, beta2, eps, weight_decay):
        return w - lr * np.tanh(g) - weight_decay * np.sin(w), m, v
    start = time.perf_counter()
    assert diagnose(student, most=2).verdict == "unknown"
    assert time.perf_counter() - start < 3


def test_float32_students_are_understood():
    def student(w, g, m, v, t, *, lr, beta1, beta2, eps):
        w, g, m, v = (np.float32(x) for x in (w, g, m, v))
        m, v = np.float32(beta1 * m + (1 - beta1) * g), np.float32(beta2 * v + (1 - beta2) * g * g)
        return np.float32(w - lr * m / (np.sqrt(v) + eps)), m, v
    assert ("no-bias-correction",) in diagnose(student).ties


def test_an_unknown_class_is_unknown():
    class Student(Optimizer):
        def step(self):
            for p in self.params:
                p.data = p.data - self.lr * np.tanh(p.grad)
    found = diagnose(Student, most=2)
    assert found.verdict == "unknown" and "parameter" in found.hint("where")


def test_code_that_fails_is_told_with_its_own_error():
    def student(w, dw, config=None):
        return w - config["nothing"] * dw, config
    with pytest.raises(ValueError, match="cannot be run: KeyError: 'nothing'"):
        diagnose(student)
    with pytest.raises(ValueError, match="another shape"):
        diagnose(lambda w, dw, config: (w[:1], config), rule="sgd")
    with pytest.raises(ValueError, match="cannot be run: ZeroDivisionError"):
        diagnose(type("A", (Optimizer,), {"step": lambda self: 1 / 0}))


def test_messages_name_what_is_wrong():
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        diagnose(rules.adam, rule="adm")
    with pytest.raises(ValueError, match="has no convention 'x'"):
        diagnose(rules.adam, convention="x")
    with pytest.raises(TypeError, match="student is a int"):
        diagnose(3)
    with pytest.raises(ValueError, match="choose one of where"):
        diagnose(rules.adam).hint("all")
