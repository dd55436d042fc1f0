"""Numbers that are none: NaN, a division by zero, an exit, shapes that do not fit together."""

import math
from pathlib import Path

import numpy as np
import pytest

from minigrad.coursework import diagnose, diagnose_autograd, diagnose_backward
from minigrad.coursework.grading.grader import Grader
from minigrad.coursework.optimizers.reference import ALIASES, COURSES, convention_id

ASSIGNMENT = Path(__file__).parent.parent / "examples" / "assignments" / "optimizers"


def cs231n(first=0, square=lambda g: g * g):
    """Adam as a function that corrects before it counts, with numbers of Python."""
    def adam(w, dw, config):
        beta1, beta2, t = config["beta1"], config["beta2"], config.setdefault("t", first)
        m = beta1 * config.get("m", 0) + (1 - beta1) * dw
        v = beta2 * config.get("v", 0) + (1 - beta2) * square(dw)
        c1, c2 = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
        config.update(m=m, v=v, t=t + 1)
        return w - config["learning_rate"] * m * c1 / (np.sqrt(v * c2) + config["epsilon"]), config
    return adam


class Late:
    """Adam that counts after the step."""

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.beta1, self.beta2, self.eps = params, lr, beta1, beta2, eps
        self.t, self.m, self.v = 0, [0.0 for _ in params], [0.0 for _ in params]

    def step(self):
        for k, p in enumerate(self.params):
            self.m[k] = self.beta1 * self.m[k] + (1 - self.beta1) * p.grad
            self.v[k] = self.beta2 * self.v[k] + (1 - self.beta2) * p.grad**2
            rate = self.lr / (1 - self.beta1**self.t)
            p.data = p.data - rate * self.m[k] / (
                np.sqrt(self.v[k] / (1 - self.beta2**self.t)) + self.eps)
        self.t += 1


class Nested(Late):
    """The same with a count for each parameter, in its state."""

    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(params, lr, beta1, beta2, eps)
        self.state = {id(p): {"step": 0, "m": 0.0, "v": 0.0} for p in params}

    def step(self):
        for p in self.params:
            s = self.state[id(p)]
            s["m"] = self.beta1 * s["m"] + (1 - self.beta1) * p.grad
            s["v"] = self.beta2 * s["v"] + (1 - self.beta2) * p.grad**2
            root = math.sqrt(1 - self.beta2 ** s["step"])
            rate = self.lr * root / (1 - self.beta1 ** s["step"])
            p.data = p.data - rate * s["m"] / (np.sqrt(s["v"]) + self.eps * root)
            s["step"] += 1


class Handed:
    """The same without parameters; its division gives NaN, and its states have no usual names."""

    def __init__(self, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.iter, self.left, self.right = 0, None, None

    def update(self, params, grads):
        self.left = self.left or [np.zeros_like(p) for p in params]
        self.right = self.right or [np.zeros_like(p) for p in params]
        for k, g in enumerate(grads):
            self.left[k] += (1 - self.beta1) * (g - self.left[k])
            self.right[k] += (1 - self.beta2) * (g**2 - self.right[k])
            params[k] -= self.lr * self.left[k] / (1 - self.beta1**self.iter) / (
                np.sqrt(self.right[k] / (1 - self.beta2**self.iter)) + self.eps)
        self.iter += 1


@pytest.mark.parametrize("student", [cs231n(), Late, Nested, Handed])
def test_a_first_step_that_divides_by_zero_starts_at_zero(student):
    found = diagnose(student)
    assert (found.verdict, found.causes, found.ties) == ("mistake", ("t-starts-at-zero",), [])
    assert found.first_difference.step == 1 and np.isnan(found.first_difference.got)
    assert any("moved on by one" in note for note in found.notes)


def test_a_division_by_zero_does_not_hide_a_second_mistake():
    found = diagnose(cs231n(square=np.abs))
    assert found.causes == ("second-moment-of-abs", "t-starts-at-zero")


def test_what_always_divides_by_zero_is_no_matter_of_counting():
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        diagnose(lambda w, dw, config: (w - dw * (1 / 0), config))


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adagrad", "rmsprop", "adam", "amsgrad"])
def test_nothing_is_claimed_of_nan_alone(rule):
    found = diagnose(lambda w, g, config: (w * np.nan, config), rule=rule)
    assert (found.verdict, found.causes) == ("unknown", ())


def trace(values, gradients, **hyperparameters):
    return {"parameters": values, "gradients": gradients, "hyperparameters": hyperparameters}


def test_a_trace_that_becomes_nan_at_once_can_be_adam_from_step_zero_but_not_sgd():
    values = {"w": np.array([[1.0, 2.0]] + 4 * [[np.nan, np.nan]])}
    given = trace(values, {"w": np.ones((4, 2)) * [0.5, -0.1]}, lr=0.1)
    assert diagnose(given, rule="sgd").verdict == "unknown"
    found = diagnose(given, rule="adam")
    assert found.causes == ("t-starts-at-zero",) and found.ties == [("t-stuck",)]


@pytest.mark.parametrize("shapes", [((6,), (3,)), ((3, 4), (5,)), ((2, 3), (3,)), ((), (2,))])
@pytest.mark.parametrize("ascent", [False, True])
def test_parameters_of_a_trace_may_differ_in_shape(shapes, ascent):
    random, values, gradients = np.random.default_rng(3), {}, {}
    for k, shape in enumerate(shapes):
        w, velocity, seen = random.normal(size=shape), np.zeros(shape), []
        grads = random.normal(size=(5, *shape))
        for g in [*grads, 0 * grads[0]]:
            seen.append(w)
            velocity = 0.8 * velocity + 0.2 * g
            w = w + 0.05 * velocity if ascent else w - 0.05 * velocity
        values[f"w{k}"], gradients[f"w{k}"] = np.array(seen), grads
    found = diagnose(trace(values, gradients, lr=0.05, momentum=0.8), rule="momentum",
                     convention="dlsys")
    assert found.causes == (("ascent",) if ascent else ())


@pytest.mark.parametrize("step, verdict, ids", [
    ("m * (1 / (1 - beta1**t))", "mistake", ("t-starts-at-zero",)),
    ("m / (1 - beta1**t) + 1 / 0", "failed", ("failed",))])
def test_a_submission_that_divides_by_zero(step, verdict, ids, tmp_path):
    source = ASSIGNMENT / "solution.py"
    text = source.read_text().replace("    t = t + 1\n", "", 1)
    text = text.replace("m / (1 - beta1**t)", step).replace("v=v, t=t)", "v=v, t=t + 1)")
    (tmp_path / "submission.py").write_text(text)
    found = Grader(str(ASSIGNMENT)).grade(str(tmp_path / "submission.py")).findings
    assert [(f.verdict, f.ids) for f in found if f.group == "adam"] == [(verdict, ids)]


# --- an exit -------------------------------------------------------------------------------------

def leaves(*_):
    raise SystemExit(3)


class Leaving:
    def __init__(self, params, lr=0.1):
        self.params = params

    step = leaves


class Value:
    """A class whose backward ends the program."""

    def __init__(self, data):
        self.data, self.grad = data, 0.0

    def __add__(self, other):
        return Value(self.data + getattr(other, "data", other))

    __mul__ = __add__
    backward = leaves


@pytest.mark.parametrize("run", [
    lambda: diagnose(lambda w, dw, config: leaves()),
    lambda: diagnose(Leaving),
    lambda: diagnose_autograd(leaves),
    lambda: diagnose_backward(leaves, leaves, [np.ones((2, 3))]),
    lambda: diagnose_backward(lambda x: (2 * x, x), leaves, [np.ones((2, 3))]),
], ids=["function", "class", "engine", "forward", "backward"])
def test_an_exit_is_an_error_of_the_student_and_not_of_the_caller(run):
    with pytest.raises((ValueError, TypeError, RuntimeError), match="SystemExit"):
        run()


def test_an_exit_in_a_backward_of_a_class_is_seen_as_any_other_error():
    assert diagnose_autograd(Value).verdict in ("mistake", "unknown")


# --- courses -------------------------------------------------------------------------------------

@pytest.mark.parametrize("rule, course, convention", [
    ("adam", "cmu11785", "eps-inside"), ("adamw", "11-785", "decay-after"),
    ("momentum", "cmu11785", "torch"), ("rmsprop", "d2l", "eps-inside"),
    ("adagrad", "d2l", "eps-inside"), ("adam", "d2l", "torch"),
    ("adam", "little-learner", "uncorrected"), ("momentum", "tll", "lr-inside"),
    ("momentum", "needle", "ema"), ("momentum", "dlai", "ema"), ("adam", "fast.ai", "eps-inside"),
    ("adam", "tensorflow", "eps-hat"), ("nesterov", "keras", "cs231n"),
    ("adamw", "torch", "decay-before"), ("adamw", "cs336", "decay-after")])
def test_a_course_stands_for_its_convention(rule, course, convention):
    assert convention_id(rule, course) == f"{rule}/{convention}"


def test_every_alias_is_of_a_course_that_is_known():
    assert set(ALIASES.values()) <= set(COURSES) and not set(ALIASES) & set(COURSES)
