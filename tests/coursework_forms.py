"""The planted optimizers of coursework_planted, in the four forms in which a student hands one in.

    FORMS["function"]("adam", "t-stuck")     f(w, dw, config), as in CS231n
    FORMS["rule"](...)                       f(w, g, *states, t, *, lr, ...)
    FORMS["class"](...)                      Student(params, lr=..., ...) with step()
    FORMS["trace"](...)                      what it did on a probe, as the dict of a JSON file
"""

import inspect

import numpy as np
from coursework_planted import CORES, STATES, counted, records

from minigrad.coursework.optimizers.reference import settings_of

KEYS = {"lr": "learning_rate", "eps": "epsilon", "alpha": "decay_rate"}


def parts_of(family, faults):
    core, options = CORES[family]
    rule = family.split("/")[0]
    return core, options, STATES[rule], settings_of(rule), faults.__contains__


FUNCTION = """
def student(w, dw, config=None):
    config = {{}} if config is None else config
    for key, value in {defaults}:
        config.setdefault(key, value)
    kept = {{name: config[name] for name in {states} if name in config}}
    next_w = stepped(w, dw, kept, config["t"], {options})
    config.update(kept)
    config["t"] += {grows}
    return next_w, config
"""


def as_function(family, *faults):
    core, options, states, settings, has = parts_of(family, faults)
    keys = {name: KEYS.get(name, name) for name in settings}

    def stepped(w, g, s, last, h):
        h = {name: np.float64(x) for name, x in h.items()}
        with np.errstate(all="ignore"):
            return core(w, g, s, counted(last, has), h, has, **options)

    text = FUNCTION.format(
        defaults=tuple((keys[name], x) for name, x in settings.items()) + (("t", 0),),
        states=tuple(states), grows=int(not has("t-stuck")),
        options="{" + ", ".join(f"{n!r}: config[{key!r}]" for n, key in keys.items()) + "}")
    space = {"stepped": stepped}
    exec(text, space)
    return space["student"]


def as_rule(family, *faults):
    core, options, states, settings, has = parts_of(family, faults)
    names = [*states]

    def student(w, g, *rest, **h):
        *kept, t = rest
        s = {} if t == 1 else dict(zip(names, kept))
        h = {name: np.float64(x) for name, x in h.items()}
        with np.errstate(all="ignore"):
            next_w = core(w, g, s, counted(t - 1, has), h, has, **options)
        zero = np.zeros_like(w)
        return (next_w, *(s.get(name, zero) for name in names))

    one = inspect.Parameter
    student.__signature__ = inspect.Signature(
        [one(name, one.POSITIONAL_ONLY) for name in ("w", "g", *names, "t")]
        + [one(name, one.KEYWORD_ONLY, default=x) for name, x in settings.items()])
    return student


def as_class(family, *faults):
    core, options, states, settings, has = parts_of(family, faults)

    class Student:
        def __init__(self, params, **h):
            self.params, self.t = list(params), 0
            self.__dict__.update({**settings, **h})
            shared = {}
            self.state = [shared if has("state-shared-between-parameters") else {}
                          for _ in self.params]

        def step(self):
            h = {name: np.float64(getattr(self, name)) for name in settings}
            for p, s in zip(self.params, self.state):
                with np.errstate(all="ignore"):
                    new = core(p.data, p.grad, s, counted(self.t, has), h, has, **options)
                if not has("parameter-not-updated-in-place"):
                    p.data = new
                self.t += has("t-per-parameter")
            self.t += not has("t-stuck") and not has("t-per-parameter")

    one = inspect.Parameter
    Student.__signature__ = inspect.Signature(
        [one("params", one.POSITIONAL_OR_KEYWORD)]
        + [one(name, one.KEYWORD_ONLY, default=x) for name, x in settings.items()])
    return Student


def as_trace(family, *faults, seed=0):
    (record,) = records(family, faults, seed, warm=False)
    run, names = record.run, ("first", "second")
    return {
        "parameters": {name: [run.weights[k].tolist(), *(step[k]["w"].tolist()
                                                         for step in record.seen)]
                       for k, name in enumerate(names)},
        "gradients": {name: [step[k].tolist() for step in run.gradients]
                      for k, name in enumerate(names)},
        "hyperparameters": {name: [step[name] for step in run.settings]
                            for name in run.settings[0]}}


FORMS = {"function": as_function, "rule": as_rule, "class": as_class, "trace": as_trace}
