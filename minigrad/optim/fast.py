"""Update rules in place: the same formula, in memory that is there already.

The one trick: a rule is followed once (lines/tracer.py), which makes straight lines of it, and
the lines are given `out` arrays (lines/lower.py). No rule is written a second time, and every
number comes out as from the rule itself, to the last bit. What depends on the step (t, lr, bias
corrections) stays a Python expression; a branch on it (`t == 1`) is checked before anything is
written. A rule that cannot be followed is called as it is.
"""

import math
import weakref
from collections import namedtuple

import numpy as np

from minigrad.lines.lower import RESERVED, Lowering, needed, plain, reads, shared
from minigrad.lines.tracer import Tracer, found_around
from minigrad.lines.values import Unfollowed, Unknown, example, looks_at
from minigrad.optim.rules import anatomy, update

MOST = 4  # versions of one rule (one for each way through its branches)
SAMPLE = 3  # numbers in the arrays that a rule is followed with

# run(w, g, out, *states, t, *scalars, *buffers) -> the states that are plain numbers. `guard` tells
# whether a version holds (None: always), `aliased` whether out may be w itself. `helpers` are the
# functions that the rule found around it, (function, name, value).
Version = namedtuple("Version", "guard run buffers aliased text helpers")


KNOWN = weakref.WeakKeyDictionary()  # rule: {what its lines depend on: Fast}


def fast(rule, dtype, numbers, settings):
    """The Fast of a rule for arrays of a dtype; `numbers` are the positions of the states that are
    plain numbers. What the settings hold besides numbers (form="torch") decides branches."""
    fixed = tuple((name, value) for group in settings for name, value in group.items()
                  if type(value) not in (int, float))
    names = tuple(tuple(group) for group in settings)
    try:
        return KNOWN.setdefault(rule, {}).setdefault((dtype, numbers, fixed, names),
                                                     Fast(rule, dtype, numbers))
    except TypeError:  # not hashable: a list among the settings, a rule that is no function
        return Fast(rule, dtype, numbers)


class Fast:
    """The versions of one rule for one kind of arrays.

    `numbers` are the positions of the states that are plain numbers rather than arrays.
    """

    def __init__(self, rule, dtype, numbers):
        self.rule, self.dtype, self.numbers = rule, dtype, numbers
        self.versions, self.failed = [], False

    def version(self, t, settings, states):
        """The Version that holds at this step, made if need be; None if the rule cannot be
        followed."""
        hyperparameters, modifiers = settings
        scalars = scalars_of(hyperparameters, modifiers)
        if any(found_around(function, name) is not value for version in self.versions
               for function, name, value in version.helpers):
            self.versions = []
        for version in self.versions:
            if version.guard is None or version.guard(
                    t, *scalars, *[states[i] for i in self.numbers]):
                return version
        if self.failed or len(self.versions) >= MOST:
            return None
        try:
            made = followed(self, t, hyperparameters, modifiers, states)
        except (Unfollowed, RecursionError):
            self.failed = True
            return None
        self.versions.append(made)
        return made


def scalars_of(hyperparameters, modifiers):
    """The settings that are plain numbers, in order: these may change from step to step."""
    return [value for group in (hyperparameters, modifiers) for value in group.values()
            if type(value) in (int, float)]


def followed(fast, t, hyperparameters, modifiers, states):
    """A Version of a rule, as it runs at step t."""
    tracer = Tracer(whole=False, reserved=RESERVED)
    sample = np.linspace(0.5, 1.5, SAMPLE).astype(fast.dtype)

    def unknown(name, value):
        return Unknown(tracer.fresh(name), value)
    w, g = unknown("w", sample.copy()), unknown("g", sample[::-1].copy())
    names = anatomy(fast.rule).states
    old = [unknown(name, states[i] if i in fast.numbers else sample * (1 + i))
           for i, name in enumerate(names)]
    count = unknown("t", t)
    scalars = []

    def settings(group):
        found = {}
        for name, value in group.items():
            if type(value) in (int, float):
                value = unknown(name, value)
                scalars.append(value)
            found[name] = value
        return found
    with np.errstate(all="ignore"):
        result = tracer.call(update, (fast.rule, w, g, old, count, settings(hyperparameters)),
                             settings(modifiers))
    if type(result) is not tuple or len(result) != 1 + len(names):
        raise Unfollowed("returns something else than weights and states")
    return version_of(fast, tracer, result, w, g, old, count, scalars)


def version_of(fast, tracer, result, w, g, old, count, scalars):
    statements, names = shared(tracer.statements)

    def final(x):
        return names.get(x.name, x.name) if isinstance(x, Unknown) else x
    new_w, *new = [final(x) for x in result]
    given = [final(x) for x in old]
    arrays = [i for i in range(len(old)) if i not in fast.numbers]
    for i in fast.numbers:
        if type(example(result[i + 1])) not in (int, float):
            raise Unfollowed("makes something else of a number")
    for i in (*arrays, None):
        x = result[0] if i is None else result[i + 1]
        if not isinstance(x, Unknown) or np.shape(x.value) != w.value.shape or (
                x.value.dtype != fast.dtype):
            raise Unfollowed("returns something else than arrays like w")
        others = [y.value for j, y in enumerate((w, *old)) if i is None or j != i + 1]
        if i is not None and looks_at(x.value, others):
            raise Unfollowed("passes on an array that is written before it is read")
    guards = [(names.get(x.name, x.name), truth) for x, truth in tracer.guards]
    outputs = [new_w, *new, *[name for name, _ in guards]]
    statements = needed(statements, [x for x in outputs if isinstance(x, str)])
    scalar = [s for s in statements if not isinstance(s.value, np.ndarray)]
    array = [s for s in statements if isinstance(s.value, np.ndarray)]
    known = {x.name for x in (count, *scalars)} | {given[i] for i in fast.numbers}
    for s in scalar:
        around = {"np", "math", "max", "min", "abs"}
        if s.target is None or not set(reads(s.node)) - around <= known:
            raise Unfollowed("has a number that depends on the arrays")
        known.add(s.target)
    if any(isinstance(s.value, np.ndarray) and s.value.shape != w.value.shape for s in array):
        raise Unfollowed("mixes the numbers of a parameter")
    stable = {w.name: w.value, g.name: g.value, "out": w.value.copy(),
              **{given[i]: old[i].value for i in arrays}, **tracer.constants}
    if any(isinstance(x, np.ndarray) and x.ndim for x in tracer.constants.values()):
        raise Unfollowed("holds an array of its own")
    moved = {new_w: "out"}
    copies = []
    for i in arrays:
        if new[i] == given[i] or new[i] in moved or new[i] == g.name:
            copies.append((given[i], new[i]))
        else:
            moved[new[i]] = given[i]
    lowering = Lowering(array, stable, moved,
                        [n for _, n in copies if n in {s.target for s in array}]).run()
    return compiled(fast, tracer, lowering, scalar, guards, copies, w, g, given, [new_w, *new],
                    count, scalars)


def aliased(lowering, w, new_w):
    """Is w read no more, by itself or through a view, once new_w is written?"""
    statements = lowering.statements
    made = next((i for i, s in enumerate(statements) if s.target == new_w), len(statements))
    return not any(lowering.root.get(name, name) == w
                   for s in statements[made + 1:] for name in reads(s.node))


def compiled(fast, tracer, lowering, scalar, guards, copies, w, g, given, new, count, scalars):
    """The functions of a Version."""
    buffers = sorted(lowering.owned)
    lines = [f"{s.target} = {plain(s.node)}" for s in scalar]
    settings = [count.name, *[x.name for x in scalars]]
    test = " and ".join(f"bool({name}) == {truth}" for name, truth in guards) or "True"
    parameters = [w.name, g.name, "out", *given, *settings, *buffers]
    body = lines + lowering.ahead + lowering.lines
    body += [f"{state}[...] = {lowering.where.get(name, name)}" for state, name in copies
             if state != name]
    returned = ", ".join(plain(tracer.refer(x)) if not isinstance(x, str) else x
                         for x in [new[i + 1] for i in fast.numbers])
    asked = [*settings, *[given[i] for i in fast.numbers]]
    text = "\n    ".join([f"def guard({', '.join(asked)}):",
                          *lines, f"return {test}"])
    text += "\n\n" + "\n    ".join([f"def step({', '.join(parameters)}):", *body,
                                    f"return ({returned}{',' if returned else ''})"])
    scope = {"np": np, "math": math, **tracer.constants, **{n: f for n, f in lowering.names.items()
                                              if callable(f)}}
    exec(compile(text, f"<{getattr(fast.rule, '__name__', 'rule')}, in place>", "exec"), scope)
    return Version(scope["guard"] if guards else None, scope["step"],
                   [lowering.names[name].dtype for name in buffers],
                   aliased(lowering, w.name, new[0]), text, tracer.outer)
