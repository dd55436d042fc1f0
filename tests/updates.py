"""Updates to explain: every built-in rule in all its forms, on random and on given numbers."""

import numpy as np

from minigrad.optim import rules
from minigrad.optim.reading import Update

RULES = [rules.sgd, rules.momentum, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adadelta,
         rules.adam, rules.amsgrad, rules.adamw, rules.adamax, rules.nadam, rules.radam,
         rules.rprop, rules.lion, rules.muon]
# fmt: off
VARIANTS = [(rule, {}, {}) for rule in RULES] + [
    (rules.momentum, {"form": "sutskever"}, {}), (rules.momentum, {"dampening": 0.3}, {}),
    (rules.nesterov, {"form": "sutskever"}, {}), (rules.adagrad, {"eps_inside_sqrt": True}, {}),
    (rules.adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.2}, {}),
    (rules.rmsprop, {"centered": True, "momentum": 0.9}, {}),
    (rules.rmsprop, {"eps_inside_sqrt": True}, {}),
    (rules.amsgrad, {"convention": "corrected"}, {}), (rules.amsgrad, {"convention": "paper"}, {}),
    (rules.radam, {"beta2": 0.7}, {}), (rules.lion, {"weight_decay": 0.1}, {}),
    (rules.muon, {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}, {}),
    (rules.adam, {}, {"maximize": True, "weight_decay": 0.1}),
    (rules.adam, {}, {"weight_decay": 0.1, "decay_rate": 0.01}),
    (rules.sgd, {}, {"weight_decay": 0.1}), (rules.momentum, {}, {"maximize": True})]
# fmt: on


def label(value):
    return getattr(value, "__name__", None) or (str(value) if value else None)


def updates(rule, steps=4, shape=(3, 4), dtype=float, modifiers=None, seed=0, **options):
    """One Update per step of a rule on random gradients, and the weights after it."""
    random = np.random.default_rng(seed)
    anatomy = rules.anatomy(rule)
    values = {**anatomy.hyperparameters, **options}
    w, states = random.normal(size=shape).astype(dtype), [0.0] * len(anatomy.states)
    for t in range(1, steps + 1):
        g = random.normal(size=shape).astype(dtype)
        before = Update("net.0.weight", "Kind", rule, t, t, w, g, dict(zip(anatomy.states, states)),
                        values, modifiers or {})
        with np.errstate(all="ignore"):
            w, *states = rules.update(rule, w, g, states, t, values, **(modifiers or {}))
        yield before, w


def update(rule, steps=4, **options):
    return list(updates(rule, steps, **options))[-1][0]


def single(rule, w, g, states=None, t=5, dtype=float, modifiers=None, **options):
    """The Update of one weight with given numbers."""
    values = {**rules.anatomy(rule).hyperparameters, **options}
    arrays = {k: np.array([v], dtype) for k, v in (states or {}).items()}
    return Update("w", rule.__name__, rule, t, t, np.array([w], dtype), np.array([g], dtype),
                  arrays, values, modifiers or {})
