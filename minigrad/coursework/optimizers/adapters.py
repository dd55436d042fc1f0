"""Runs a student's optimizer on a probe, in whatever form a course asks for it.

The one trick: the forms are tried, the likeliest first, and the first in which every parameter
moves is the one that was meant. Names are guessed from what the student's code itself names; what
it does not take is not tested: the reference then uses the value that the code has fixed.

    "cs231n"    f(w, dw, config) -> (next_w, config)
    "rule"      f(w, g, *states, t, *, lr, ...) -> (w, *states), as in minigrad.optim.rules
    "function"  f(parameters, grads, v, s, t, learning_rate, ...): lists or dictionaries W1, b1,
                dW1, db1; or f(params, states, hyperparams) with p.grad, as in d2l
    "class"     student(params, lr=..., ...), a class or factory; step() changes params' .data; or
                student(model), whose layers have W, b, dW, db
    "object"    student(lr=..., ...) without parameters; they come with update(params, grads),
                update(layer) or setup(model)

See coursework.layouts for what parameters can look like and how to write an adapter.
"""

import dis
import inspect
import re
import textwrap

import numpy as np

from minigrad.coursework.optimizers import restoring, watch_classes
from minigrad.coursework.optimizers.layouts import LAYOUTS, SCALARS, layouts_for
from minigrad.coursework.optimizers.naming import (
    fixed_in,
    functions_in,
    guessed,
    parameters_of,
    plain_name,
    small_numbers,
    state_names,
    strings_in,
)
from minigrad.coursework.optimizers.probes import cold_run, settings_for, warm_run
from minigrad.coursework.optimizers.reference import FAMILIES, settings_of
from minigrad.coursework.optimizers.search import nothing_finite
from minigrad.coursework.optimizers.traces import is_trace, read_trace
from minigrad.coursework.optimizers.watch_ahead import is_undefined, records_ahead
from minigrad.coursework.optimizers.watch_functions import (
    CONFIGS,
    GRADIENTS,
    STATES,
    WEIGHTS,
    Calls,
    Configured,
    OnObjects,
    roles_of,
    tried_packs,
)
from minigrad.coursework.optimizers.watching import Misfit, rate_stays, record_of, watched

KINDS = ("cs231n", "rule", "function", "class", "object")


def kind_of(student):
    """What a student's optimizer most likely is, one of KINDS, told by its signature.

    Raises TypeError for what cannot be called, or has no signature that can be read.
    """
    return kinds_of(student)[0]


def kinds_of(student):
    """All kinds that a student's optimizer can be, the likeliest first. Raises as `kind_of`."""
    if not callable(student):
        raise TypeError(f"student is a {type(student).__name__}; give a function f(w, dw, config),"
                        " a rule, a class with step(), or the path of a trace")
    parameters = parameters_of(student)
    names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    plain = [plain_name(name) for name in names]
    if inspect.isclass(student):
        return ["class", "object"] if any(n in WEIGHTS for n in plain) else ["object", "class"]
    configured = len(plain) >= 3 and plain[2] in CONFIGS | {"state", "cache"} or (
        len(plain) == 3 and parameters[2].default is None)
    updates = any(name in GRADIENTS for name in plain) or (
        len(plain) >= 2 and plain[0] in WEIGHTS and not guessed({"lr": 0}, names[1:2])
        and parameters[1].default is parameters[1].empty and plain[1] not in STATES)
    if updates:
        several = plain[0] in WEIGHTS and plain[0].endswith("s")
        order = ["function", "rule"] if several else ["rule", "function"]
        found = ["cs231n", *order] if configured else [*order, "cs231n"]
        return found[:-1] if len(plain) < 3 else found
    if len(plain) >= 3 and plain[1] in STATES | {"s", "vs"}:
        return ["function", "class"]
    some = any(name in WEIGHTS for name in plain)
    return ["class", "function", "object"] if some else ["object", "class"]


def observed(student, rule, kind=None, names=None, seed=0, layout=None):
    """([Record of each run], [notes], {cause seen from outside: FirstDifference}) of a student.

    Raises ValueError where the student's code fails on every form it could be meant in, with its
    own error as the cause.
    """
    if is_trace(student):  # a Run that minigrad has recorded
        return read_trace(student, rule), [], {}
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(KINDS)}")
    kinds = kinds_of(student) if kind is None else [kind]
    layouts, seconds, failures = layouts_for(student, layout), [], []
    with np.errstate(all="ignore"):
        for kind in kinds:
            trial = Trial(student, rule, kind, names or {}, seed, layouts)
            for how, maker, four in trial.ways():
                if "numbers" in how and any(isinstance(e, Misfit) for _, e in failures):
                    continue  # it works with arrays, but not well
                try:
                    found = trial.watched(maker, four)
                except (Exception, SystemExit) as error:  # a student's code may fail in any way
                    failures.append((how, error))
                    continue
                if found.moved == 2:
                    return found.records, found.notes, found.outside
                seconds.append(found)
    if seconds:
        best = max(seconds, key=lambda found: found.moved)  # the first of the best
        return best.records, best.notes, best.outside
    raise ValueError(told(student, failures)) from furthest(failures)[1]


def told(student, failures):
    """What went wrong in the form that came furthest, and the cure, in a few short lines."""
    how, error = furthest(failures)
    if isinstance(error, Misfit):
        return str(error)
    name = getattr(student, "__name__", type(student).__name__)
    said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    said = f"{said[:97]}..." if len(said) > 100 else said
    step = f", at step {error.steps + 1}" if getattr(error, "steps", 0) > 0 else ""
    more = len({one for one, _ in failures}) - 1
    others = f" ({more} other forms fail, too)" if more else ""
    lines = (f"{name} cannot be run: {said}{step}, called as {how}{others}.",
             f"If it is used in another way, say so: kind= {', '.join(KINDS)}; names={{'lr': 'your "
             "name'}; layout= for what its parameters are (see coursework.optimizers.layouts).")
    return "\n".join(textwrap.fill(line, 79, subsequent_indent="  ") for line in lines)


def furthest(failures):
    """The (form, error) of what came furthest: in the student's own code, if any did."""
    return max(failures, key=lambda one: getattr(one[1], "steps", -1))


class Found:
    """What a student did in one form: moved is 2 if every parameter did, 1 if some did."""

    def __init__(self, records, notes, outside):
        self.records, self.notes, self.outside = records, notes, outside
        moves = [any(not np.array_equal(step[k]["w"], w, equal_nan=True) for step in
                     records[0].seen) for k, w in enumerate(records[0].run.weights)]
        self.moved = 2 if all(moves) else int(any(moves))


class Trial:
    """A student, to be tried as one kind of optimizer."""

    def __init__(self, student, rule, kind, names, seed, layouts):
        self.student, self.rule, self.kind, self.seed = student, rule, kind, seed
        self.layouts = layouts
        self.takes = options_taken(student, rule, kind, names)
        if kind in ("rule", "function") and "lr" not in self.takes:
            extra = [role[1] for role in roles_of(student, rule, self.takes).values()
                     if role[0] == "extra"]
            if len(extra) == 1:  # what is left over can only be the rate
                self.takes["lr"] = extra[0]

    def settings(self):
        """The hyperparameters of the probe; those that the code has fixed, where it takes none."""
        usual, fixed = settings_of(self.rule), {}
        missing = {n: x for n, x in usual.items() if n not in self.takes}
        if missing:
            spoken = {n: x for n, x in fixed_in(self.student).items() if isinstance(x, float) and x}
            fixed = {n: spoken[theirs] for n, theirs in guessed(missing, spoken).items()}
        if "eps" in missing and "eps" not in fixed:
            small = small_numbers(self.student)
            fixed |= {"eps": small.pop()} if len(small) == 1 else {}
        fixed |= watch_classes.kept_by(self.student, missing)
        probe = {n: x for n, x in settings_for(self.seed).items() if n in self.takes and n in usual}
        return {**usual, **fixed, **probe}

    def ways(self):
        """[(how, maker, does it need four parameters?)]"""
        if self.kind == "cs231n":
            return [("f(w, dw, config)", configured(count), False)
                    for count in (None, "given", "caller")]
        if self.kind == "rule":
            return [("f(w, g, ...)", caller(tried_packs(["w"])[0]), False)]
        if self.kind == "function":
            names = [p.name for p in parameters_of(self.student)]
            calls = [(f"f(weights, gradients, ...) of {pack.name}", caller(pack),
                      pack.keys not in (None, "each")) for pack in tried_packs(names)]
            own = [("f(params, states, ...) with p.grad", on_objects(LAYOUTS[name], tuples), False)
                   for tuples in ((False, True) if len(FAMILIES[self.rule].states) == 1
                                  else (True,))
                   for name, _ in self.layouts if name in LAYOUTS]
            return [*calls, *own]
        ways = watch_classes.ways(self.student, self.layouts)
        if self.kind == "object":
            return [way for way in ways if way[0].startswith("update")]
        return [way for way in ways if way[0].startswith("student")] + [
            ("student(params) of single numbers",
             watch_classes.owner(watch_classes.Owner, SCALARS, watch_classes.FORMS["a list"]), 0)]

    def watched(self, maker, four):
        """What the student does in one form, as a Found; numbers alone if arrays are refused."""
        try:
            return self.found(maker, four)
        except (TypeError, ValueError) as error:  # math.sqrt and float() know no arrays
            if not re.search(r"length-1|0-dim|must be real number|truth value|size-1|only one elem",
                             str(error)):
                raise
            return self.found(maker, "numbers")

    def found(self, maker, four):
        def make(run):
            return maker(self.student, self.rule, run, self.takes)

        outside, took = {}, len(self.takes)
        cold = shaped(cold_run(self.seed, settings=self.settings()), self.seed, four)
        driver = make(cold)
        if len(self.takes) < took:  # it refused some: their values are its own
            return self.found(maker, four)
        missing = sorted(set(settings_of(self.rule)) - set(self.takes))
        notes = ["not taken, so not tested: " + ", ".join(missing)] * bool(missing)
        if hasattr(driver, "optimizer"):
            cold = self.with_its_own(driver.optimizer, cold)
        try:
            lasting = rate_stays(make, cold)
            cold, seen = watched(driver, cold, outside, lasting)
        except Exception as error:
            if not is_undefined(error):
                raise
            return self.ahead(make, cold, notes, error)
        records = [record_of(cold, seen)]
        warm = self.warm(make, driver, cold, four)
        if warm is not None:
            driver, run = warm
            try:
                records.insert(0, record_of(*watched(driver, run, outside, lasting)))
            except (Exception, SystemExit) as error:
                error.run = "warm"
                raise
        elif nothing_finite(records) and (found := self.ahead(make, cold, notes)):
            return found
        elif FAMILIES[self.rule].states:
            notes.append("only a start from nothing was tested: its states could not be set")
        return Found(records, notes, outside)

    def ahead(self, make, cold, notes, error=None):
        """What a student does whose first step is undefined, as a Found. Where it has no count to
        be moved on, the error is raised, or it is None if there was none."""
        outside = {}
        try:
            records = records_ahead(make, cold, outside)
        except (Exception, SystemExit):  # then the count of steps was not what made it fail
            if error is None:
                return None
            raise error from None
        how = "is NaN from" if error is None else f"fails ({type(error).__name__}: {error}) at"
        said = (f"a start from nothing {how} its first step; it was also run with its count of "
                "steps moved on by one")
        return Found(records, [*notes, said], outside)

    def with_its_own(self, optimizer, run):
        """The Run with the hyperparameters that the optimizer has fixed itself."""
        missing = {n: 0 for n in settings_of(self.rule) if n not in self.takes}
        own = watch_classes.kept_by(optimizer, missing)
        return run._replace(settings=[{**one, **own} for one in run.settings])

    def warm(self, make, driver, cold, four):
        """(driver, Run) that start in the middle; None where states cannot be set."""
        states = FAMILIES[self.rule].states
        if not states:
            return None
        run = shaped(warm_run(states, self.seed, settings=cold.settings[0]), self.seed, four,
                     states)
        if isinstance(driver, Configured):
            keys = driver.keys if set(driver.keys) == set(states) else {}
            spoken = strings_in(self.student)
            if not keys:
                keys = state_names(states, spoken)
            if set(keys) != set(states):
                return None
            return Configured(self.student, self.rule, run, self.takes, driver.count, keys,
                              driver.count_before(run.t)), run
        if isinstance(driver, (Calls, OnObjects)) and not hasattr(driver, "optimizer"):
            known = isinstance(driver, OnObjects) or set(states) <= set(driver.states)
            return (make(run), run) if known else None
        ready = restoring.warm(make, cold, run, self.rule)
        return None if ready is None else (ready, run)


def configured(count):
    return lambda student, rule, run, takes: Configured(student, rule, run, takes, count)


def caller(pack):
    return lambda student, rule, run, takes: Calls([student], rule, run, takes, pack)


def on_objects(layout, tuples):
    return lambda student, rule, run, takes: OnObjects(student, rule, run, takes, layout, tuples)


def shaped(run, seed, four, states=()):
    """The Run as it is, with two more parameters (weights and biases of two layers), or with a few
    single numbers as its parameters."""
    if four == "numbers" or four == 0 and four is not False:
        places = [(0, 0), (0, 1), (1, -2), (1, -1)]
        return run._replace(
            weights=[run.weights[k].flat[i] + np.zeros(()) for k, i in places],
            gradients=[[step[k].flat[i] + np.zeros(()) for k, i in places]
                       for step in run.gradients],
            states=[{s: x.flat[i] + np.zeros(()) for s, x in run.states[k].items()}
                    for k, i in places])
    if not four:
        return run
    other = (warm_run(states, seed + 500, settings=run.settings[0]) if states else
             cold_run(seed + 500, settings=run.settings[0]))
    return run._replace(weights=[*run.weights, *other.weights],
                        gradients=[[*a, *b] for a, b in zip(run.gradients, other.gradients)],
                        states=[*run.states, *other.states])


def options_taken(student, rule, kind, names):
    """{our name: the student's}: which hyperparameters of a rule the student takes."""
    wanted = settings_of(rule)
    found = (keys_taken if kind == "cs231n" else named_options)(student, kind, wanted)
    accepted = {p.name for p in parameters_of(student)}
    loose = any(p.kind is p.VAR_KEYWORD for p in parameters_of(student))
    for name, theirs in names.items():
        if kind in ("rule", "class", "object") and theirs not in accepted and not loose:
            raise ValueError(f"names says that {name} is called {theirs!r}; the optimizer takes "
                             + ", ".join(sorted(accepted)))
    return {**found, **names}


def keys_taken(student, kind, wanted):
    """The hyperparameters that are keys of config, or arguments behind it."""
    spoken = strings_in(student) | {p.name for p in parameters_of(student)[3:]}
    if guessed({"lr": 0}, spoken):
        return guessed(wanted, spoken)
    usual = {"lr": "learning_rate", "eps": "epsilon", "alpha": "decay_rate"}
    return {name: usual.get(name, name) for name in wanted if name != "weight_decay"}


def named_options(student, kind, wanted):
    """The hyperparameters that are arguments; those behind **kwargs only under other names."""
    parameters = parameters_of(student)
    spoken = {p.name for p in parameters}
    if kind == "function" and any(plain_name(p.name) in CONFIGS for p in parameters):
        spoken |= strings_in(student)
    bases = inspect.isclass(student) and len(parameters) > len(
        inspect.signature(student).parameters)  # the names behind **kwargs are known
    loose = any(p.kind is p.VAR_KEYWORD for p in parameters) and not bases
    found = {}
    for names in (spoken, behind_keywords(student, spoken, wanted) if loose else ()):
        left = {name: x for name, x in wanted.items() if name not in found}
        if "beta1" in left and "betas" in names:
            found |= {"beta1": "betas", "beta2": "betas"}
            left = {name: x for name, x in left.items() if name not in found}
        found |= guessed(left, names)
    return found


def behind_keywords(student, spoken, wanted):
    """Names that **kwargs may take: those which the code speaks of; the usual ones where it passes
    everything on. What it only swallows is no hyperparameter."""
    said = strings_in(student)
    passed_on = any(one.opname == "CALL_FUNCTION_EX" for function in functions_in(student)
                    for one in dis.get_instructions(function))
    if guessed({"lr": 0}, said) or guessed({"lr": 0}, spoken) and not passed_on:
        return said
    return set(wanted) - {"beta1", "beta2"} | {"betas"}
