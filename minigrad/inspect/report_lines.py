"""The lines of an update rule for all weights at once: what the run page puts its numbers into.

The one trick: a line with the numbers put in is the same for every weight but for the numbers. So
the walk that explains one weight (optim/walking.py) is taken once for a whole step, and where it
prints a number it leaves a slot. What belongs into the slots are arrays; the page picks the weight.

Parameters that an elementwise rule steps alike are walked as one vector, as they were stepped.
"""

import ast
import re
from collections import namedtuple
from dataclasses import replace

import numpy as np

from minigrad.optim.explaining import same, walked
from minigrad.optim.formula import RESULT, Scope, branched, figure, with_numbers, written
from minigrad.optim.reasons import Facts
from minigrad.optim.walking import (
    INSIDE,
    Walk,
    inlined,
    is_measured,
    option,
    target_text,
    which_way,
)

OPEN, CLOSE = "\ue000", "\ue001"  # around the number of a slot
SLOT = re.compile(f"{OPEN}(\\d+){CLOSE}")

# A line: texts, and the values of its slots. `numbers` is the source with slots for numbers,
# `shown` the slot of the result or, where the result is no number per weight, its text.
Row = namedtuple("Row", "target source numbers shown equation because note weights values")


class Slot:
    """Stands for a value where a number is printed."""

    def __init__(self, number):
        self.number = number

    def __repr__(self):
        return f"{OPEN}{self.number}{CLOSE}"


class Slots(Scope):
    """A Scope in which values have slots in the place of numbers."""

    def __init__(self, scope):
        super().__init__(scope.names, scope.moving, scope.shape, scope.at, scope.letters, scope.old)
        self.values = []

    def value(self, node):
        found = super().value(node)
        return np.choose if found is np.where else found  # its branch is not that of all weights

    def element(self, value):
        if super().element(value) is None:
            return None
        self.values.append(np.broadcast_to(value, self.shape) if np.size(value) > 1 else value)
        return Slot(len(self.values) - 1)

    def used(self, *texts):
        """(the texts with their slots numbered from 0, copies of the values of these slots)"""
        order = dict.fromkeys(number for text in texts for number in SLOT.findall(text))
        places = {number: str(i) for i, number in enumerate(order)}
        values = [np.array(self.values[int(number)]) for number in order]
        return [SLOT.sub(lambda m: f"{OPEN}{places[m[1]]}{CLOSE}", text) for text in texts], values


class Filled(Walk):
    """A Walk whose lines are Rows."""

    def condition(self, test, scope):
        slots, told = Slots(scope), is_measured(test, scope)
        numbers = written(with_numbers(test, slots, RESULT)) if told else ""
        (numbers,), values = slots.used(numbers)
        text = option(test, scope) or written(test, scope.letters)
        self.lines.append(Row("", text, numbers, "", "", "", "", False, values))

    def result_only(self, name, scope, note, owner):
        scope.old.discard(name)
        target = scope.letters.get(name, (name,))[0]
        self.row(target, "", Slots(scope), scope.names[name], "", (name, owner), note, "")

    def line(self, target, expression, before, value, scope, owner):
        node, conditions = branched(inlined(expression, before), before)
        slots = Slots(before)
        numbers = written(with_numbers(node, slots, RESULT))
        text = written(node, before.letters)
        name = next(part.id for part in ast.walk(target) if isinstance(part, ast.Name))
        self.row(target_text(target, scope), text, slots, value, numbers, (name, owner),
                 scope.names[INSIDE], which_way(conditions, before))

    def row(self, target, text, slots, value, numbers, named, note, because):
        """Adds a Row. named: (name of the first target, whose rule it stands in)"""
        one = slots.element(value)
        shown = figure(value) if one is None else repr(one)
        if one is None or SLOT.fullmatch(numbers) or not SLOT.search(numbers):
            numbers = ""  # no numbers to put in, or nothing but the result
        (numbers, shown), values = slots.used(numbers, shown)
        name, owner = named
        self.lines.append(Row(target, text, numbers, shown, self.equation(owner, name), because,
                              note, name == self.weights, values))


def filled(update):
    """([Row, ...], None) of an Update, or (None, why its lines cannot be shown)."""
    if not callable(update.rule):
        return None, (f"the file of this run does not hold the rule {update.rule!r}, which is not "
                      "one of minigrad's; load_trace(path, rule=...) takes it")
    try:
        facts = Facts(update, (0,) * np.ndim(update.w))
    except Exception as error:  # a rule of the user's that has been changed since
        return None, f"the rule, asked again, raises {type(error).__name__}: {error}"
    if not repeatable(facts):
        return None, ("the rule, asked again, gives another result than it gave in the run; "
                      "something outside it has a part in it")
    try:
        walk = Filled(facts)
    except Exception:  # whatever it is, `walked` has the words for it
        walk = None
    if walk is not None and same(walk.result, facts.result):
        return walk.lines, None
    return None, walked(facts, None)[1] or "they cannot be followed for all weights at once"


def repeatable(facts):
    """Does the rule, asked again, take all weights where the step took them? What is recorded of
    that holds to 1 ulp."""
    with np.errstate(all="ignore"):
        result = facts.result[0].astype(facts.w.dtype)
        after = np.reshape(facts.update.after, result.shape)
        numbers = [np.nan_to_num(np.abs(x), nan=0, posinf=0)
                   for x in (facts.w, after, after - facts.w)]
        gap = 4 * np.spacing(np.maximum.reduce(numbers))
        return bool(np.isclose(after, result, rtol=0, atol=gap, equal_nan=True).all())


# --- a whole step -------------------------------------------------------------------------------

def steps_worked(run, positions):
    """Yields (name, k, rows, trouble) for every parameter and every k-th of the positions where
    it was stepped; the values of rows are those of this parameter."""
    for k, position in enumerate(positions):
        step = run.tape.steps[position]
        together = {}
        for name in run.names:
            update = run.update(name, step)
            if update is not None and np.size(update.w):
                together.setdefault(company(update), []).append(update)
        for updates in together.values():
            rows, trouble = filled(joined(updates))
            for i, update in enumerate(updates):
                yield update.name, k, rows and parted(rows, updates, i), trouble


def company(update):
    """Equal for updates that can be walked as one."""
    if not getattr(update.rule, "elementwise", False):
        return update.name
    numbers = tuple((name, value) for name, value in update.states.items()
                    if not isinstance(value, np.ndarray))
    return (update.rule, id(update.hyperparameters), str(update.modifiers), update.t,
            update.w.dtype, numbers)


def joined(updates):
    """The one Update of several under the same settings, with flat arrays."""
    if len(updates) == 1:
        return updates[0]

    first = updates[0]
    states = {name: flat([u.states[name] for u in updates]) if isinstance(value, np.ndarray)
              else value for name, value in first.states.items()}
    return replace(first, name="", states=states, w=flat([u.w for u in updates]),
                   grad=flat([u.grad for u in updates]), after=flat([u.after for u in updates]))


def flat(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def parted(rows, updates, i):
    """The rows of the i-th of the updates that were joined."""
    n, start = sum(u.w.size for u in updates), sum(u.w.size for u in updates[:i])
    end, shape = start + updates[i].w.size, updates[i].w.shape

    def mine(value):
        return value.reshape(-1)[start:end].reshape(shape) if value.size == n else value
    return [row._replace(values=[mine(value) for value in row.values]) for row in rows]
