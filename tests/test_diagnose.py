"""Diagnosing optimizers by the front door: in every form, and as people write them."""

import textwrap

import numpy as np
import pytest
from coursework_forms import FORMS
from coursework_planted import ONLY_CLASS, PLANTED

from minigrad.coursework.optimizers.diagnosis import diagnose

UNSEEN = {  # what a form cannot show
    "rule": {"t-stuck"},           # the caller counts
    "trace": {"moments-swapped"},  # from a cold start, as long as states are not watched
}


def named(form, family, *faults, seed=0):
    rule, _, convention = family.partition("/")
    return diagnose(FORMS[form](family, *faults), rule, convention or "torch", seed=seed)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", PLANTED)
def test_a_planted_mistake_is_named_in_every_form(family, form):
    """Every fourth one, another in each form; all are named in test_confusion_optimizers."""
    assert named(form, family).verdict == "correct"
    more = ONLY_CLASS * (form == "class" and family != "sgd")
    for id in [*PLANTED[family][list(FORMS).index(form)::4], *more]:
        if id not in UNSEEN.get(form, ()):
            found = named(form, family, id)
            assert (id,) in (found.causes, *found.ties), (id, found)


# --- CS231n's Adam as students write it ----------------------------------------------------------

HEAD = """
def adam(w, dw, config=None):
    if config is None:
        config = {{}}
    config.setdefault("learning_rate", 1e-3)
    config.setdefault("beta1", 0.9)
    config.setdefault("beta2", 0.999)
    config.setdefault("epsilon", 1e-8)
    config.setdefault("m", np.zeros_like(w))
    config.setdefault("v", np.zeros_like(w))
    config.setdefault("t", {start})
    lr, b1, b2, eps = [config[k] for k in ("learning_rate", "beta1", "beta2", "epsilon")]
    m, v = config["m"], config["v"]
{body}
    return next_w, config
"""
RIGHT = """
config["t"] += 1
t = config["t"]
m = b1*m + (1-b1)*dw
v = b2*v + (1-b2)*dw**2
mt = m/(1-b1**t)
vt = v/(1-b2**t)
next_w = w - lr*mt/(np.sqrt(vt)+eps)
config["m"], config["v"] = m, v
"""
LATE = ('config["t"] += 1\nt = config["t"]', 't = config["t"]\nconfig["t"] += 1')
NEVER = ('config["t"] += 1\nt = config["t"]', 't = config["t"]')
UNKEPT = ('config["t"] += 1\nt = config["t"]', 't = config["t"] + 1')
HATS = ('config["v"] = m, v', 'config["v"] = mt, vt')
RAW = ("mt = m/(1-b1**t)\nvt = v/(1-b2**t)", "mt, vt = m, v")
INSIDE = ("(np.sqrt(vt)+eps)", "np.sqrt(vt+eps)")
# fmt: off
WRITTEN = [  # what it is, where t starts, what is written instead of what
    ("", 0), ("", 1, LATE), ("adam/eps-inside", 0, INSIDE), ("adam/uncorrected", 0, RAW),
    ("t-off-by-one", 1), ("t-starts-at-zero", 0, LATE), ("t-stuck", 0, UNKEPT),
    ("t-stuck", 1, NEVER), ("t-stuck", 0, NEVER),
    ("t-counted-twice", 0, ("+= 1", "+= 2")),
    ("corrected-moments-stored", 0, HATS),
    ("misplaced-parenthesis", 0, ("(1-b2)*dw**2", "(1-b2*dw**2)")),
    ("misplaced-parenthesis", 0, ("(1-b2)*dw**2", "((1-b2)*dw)**2")),
    ("moment-one-coefficient", 0, ("(1-b1)*dw", "b1*dw")),
    ("moment-used-twice", 0, ("vt = v/", "vt = m/")),
    ("step-returned", 0, ("next_w = w -", "next_w = -")),
    ("eps-added-to-step", 0, ("(np.sqrt(vt)+eps)", "np.sqrt(vt)+eps")),
    ("eps-missing", 0, ("+eps", "")), ("eps-multiplied", 0, ("+eps", "*eps")),
    ("moments-swapped", 0, ('config["m"], config["v"] = m, v', 'config["v"], config["m"] = m, v')),
    ("moments-swapped no-bias-correction", 0, RAW, ('config["v"] = m, v', 'config["v"] = v, m')),
    ("corrected-moments-stored t-starts-at-zero", 0, LATE, HATS),
    ("corrected-moments-stored t-stuck", 1, NEVER, HATS),
    ("misplaced-parenthesis t-off-by-one", 1, ("(1-b2)*dw**2", "(1-b2*dw**2)")),
    ("misplaced-parenthesis t-stuck", 1, NEVER, ("(1-b2)*dw**2", "(1-b2*dw**2)")),
    ("eps-inside-sqrt t-stuck", 0, UNKEPT, INSIDE),
    ("missing-sqrt second-moment-of-abs", 0, ("dw**2", "abs(dw)"), ("np.sqrt(vt)", "vt")),
    ("correction-multiplied t-stuck", 0, UNKEPT, ("m/(1", "m*(1"), ("v/(1", "v*(1")),
]
# fmt: on


@pytest.mark.parametrize("ids, start, edits", [(ids, start, edits) for ids, start, *edits
                                               in WRITTEN])
def test_adam_as_students_write_it(ids, start, edits):
    body = RIGHT
    for old, new in edits:
        assert old in body
        body = body.replace(old, new)
    space = {"np": np}
    exec(HEAD.format(start=start, body=textwrap.indent(body, "    ")), space)
    for seed in range(1 if " " in ids else 2):
        found = diagnose(space["adam"], "adam", seed=seed)
        assert set(ids.split()) in [set(found.causes), *map(set, found.ties)], found
        assert not found.states_differ


# --- NaN -----------------------------------------------------------------------------------------

class Late:
    """Its first step is number 0, and divides by zero."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        self.params, self.lr, self.betas, self.eps = list(params), lr, betas, eps
        self.wd, self.t = weight_decay, 0
        self.m = [np.zeros_like(p.data) for p in self.params]
        self.v = [np.zeros_like(p.data) for p in self.params]

    def step(self):
        b1, b2 = self.betas
        for k, p in enumerate(self.params):
            g = p.grad + self.wd * p.data
            self.m[k] = b1 * self.m[k] + (1 - b1) * g
            self.v[k] = b2 * self.v[k] + (1 - b2) * g * g
            with np.errstate(all="ignore"):
                m, v = self.m[k] / (1 - b1**self.t), self.v[k] / (1 - b2**self.t)
                p.data = p.data - self.lr * m / (np.sqrt(v) + self.eps)
        self.t += 1


def test_a_class_that_gives_nan_is_named_by_what_it_does_later():
    found = diagnose(Late, "adam")
    assert found.causes == ("t-starts-at-zero",) and found.ties == []


def test_where_nan_is_all_there_is_everything_that_gives_it_is_listed():
    def hidden(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        inner = Late(params, lr, betas, eps, weight_decay)
        return type("Hidden", (), {"step": lambda self: inner.step()})()

    found = diagnose(hidden, "adam")
    assert found.causes == ("t-starts-at-zero",) and ("t-stuck",) in found.ties
    assert any("NaN" in note for note in found.notes)


# --- what no number shows ------------------------------------------------------------------------

def test_a_gradient_that_was_changed_is_the_first_difference():
    def step(w, g, *, lr=0.1):
        g *= lr
        return w - g

    found = diagnose(step, "sgd")
    first = found.first_difference
    assert found.causes == ("gradient-mutated",)
    assert (first.quantity, first.step, first.parameter, first.run) == ("g", 1, 0, "cold")
    assert abs(first.got) < abs(first.expected)
    assert "g[" in found.hint("where")


def test_a_changed_gradient_is_noted_where_nothing_explains_the_weights():
    def step(w, g, *, lr=0.1):
        g *= lr
        return w - np.tanh(g) + np.cos(w)

    found = diagnose(step, "sgd")
    assert found.verdict == "unknown"
    assert any("changes the gradient" in note for note in found.notes)


def test_keys_of_config_need_not_stand_in_the_code_that_reads_them():
    keys = {"rate": "learning_rate", "a": "beta1", "b": "beta2", "small": "epsilon"}

    def adam(w, dw, config=None):
        lr, b1, b2, eps = (config[keys[name]] for name in ("rate", "a", "b", "small"))
        print_as = {"lr": lr}  # a string that is no key
        config["t"] = t = config.get("t", 0) + 1
        config["m"] = b1 * config.get("m", 0) + (1 - b1) * dw
        config["v"] = b2 * config.get("v", 0) + (1 - b2) * dw * dw
        root = np.sqrt(config["v"] / (1 - b2**t)) + eps
        return w - print_as["lr"] * config["m"] / (1 - b1**t) / root, config

    assert diagnose(adam, "adam").verdict == "correct"
