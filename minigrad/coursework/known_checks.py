"""Public checks with one known input: which mistake gives the wrong number that they print?

    print(diagnose_number("cs231n/adam", "next_w error", 0.2072))

The one trick: the check is a Run of one step, so every hypothesis gives the number that the check
would have printed for it. Right values are not stored: they are what the reference gives.
"""

import difflib
import functools
import json
import math
from collections import namedtuple
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from minigrad.coursework.hints import asked
from minigrad.coursework.mistakes import MISTAKES
from minigrad.coursework.probes import Run
from minigrad.coursework.reference import CONVENTIONS, convention_id, settings_of, simulated
from minigrad.coursework.search import levels, plain

FILE = Path(__file__).parent / "files" / "checks.json"


class NumberDiagnosis(namedtuple("NumberDiagnosis", "check quantity number right causes ties")):
    """What a wrong number of a check means: causes is the smallest set of ids that gives it, ties
    every other set as small; both empty if no known mistake does. right tells that nothing is
    wrong."""

    __slots__ = ()

    @property
    def verdict(self):
        if self.right:
            return "correct"
        if not self.causes:
            return "unknown"
        only = len(self.causes) == 1 and self.causes[0] in CONVENTIONS
        return "convention" if only else "mistake"

    def hint(self, level="where"):
        """The hint of the causes: the "concept", or the "formula" in words. A number alone does
        not tell where. Raises ValueError for another level."""
        level = asked(level)
        rows = [MISTAKES[id] for id in self.causes if id in MISTAKES]
        if level == "where" or not rows:
            return f"{self.check}: {self.quantity}"
        return "\n".join(row.concept if level == "concept" else row.title for row in rows)

    def __str__(self):
        said = [f"{self.check}, {self.quantity} {self.number}: {self.verdict}"]
        said += [f"  {id}: " + (MISTAKES[id].title if id in MISTAKES else CONVENTIONS[id].who)
                 for id in self.causes]
        said += ["The same number: " + " + ".join(tie) for tie in self.ties[:8]]
        if len(self.ties) > 8:
            said.append(f"... and {len(self.ties) - 8} other sets")
        return "\n".join(said)


def checks():
    """The names of all known checks."""
    return [*table()]


def check(name):
    """A known check as a dict: source, rule, inputs and quantities. Raises ValueError for an
    unknown name."""
    if name not in table():
        near = difflib.get_close_matches(str(name), table(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no check {name!r}; {hint}known are {', '.join(table())}")
    return table()[name]


def diagnose_number(check_name, quantity, number, most=2):
    """The NumberDiagnosis of one printed number of a public check.

    number: as a float or, better, as the text that was printed: its digits are the tolerance.
    The relative error of a check is max |x - y| / max(1e-8, |x| + |y|). Raises ValueError for an
    unknown check or quantity, or a text that is no number.
    """
    facts = check(check_name)
    if quantity not in facts["quantities"]:
        raise ValueError(f"{check_name} has no quantity {quantity!r}; it has "
                         + ", ".join(facts["quantities"]))
    value, tolerance = printed(number)
    key, run = facts["quantities"][quantity], run_of(facts)
    asked = convention_id(facts["rule"], facts["convention"])
    right = computed(plain(facts["rule"], asked), run, key)
    with np.errstate(all="ignore"):
        for size, hypotheses in enumerate(levels(facts["rule"], asked, most)):
            found = [h.ids for h in hypotheses
                     if fits(error(computed(h, run, key), right), value, tolerance)]
            if found:
                sets = [*dict.fromkeys(found)]
                return NumberDiagnosis(check_name, quantity, number, size == 0, sets[0], sets[1:])
    return NumberDiagnosis(check_name, quantity, number, False, (), [])


@functools.cache
def table():
    return json.loads(FILE.read_text(encoding="utf-8"))


def run_of(facts):
    """The Run of a check: its numbers are evenly spaced, from the first to the last given."""
    def spaced(ends):
        return np.linspace(*ends, math.prod(facts["shape"])).reshape(facts["shape"])

    settings = {**settings_of(facts["rule"]), **facts["hyperparameters"]}
    states = {name: spaced(ends) for name, ends in facts["states"].items()}
    return Run("warm", [spaced(facts["weights"])], [[spaced(facts["gradient"])]], [states],
               facts["t"], [settings])


def computed(hypothesis, run, key):
    steps = simulated(hypothesis.lines, hypothesis.states, run, hypothesis.shared)
    return [q[key] for _, _, q in steps][-1]


def error(x, y):
    """The relative error that checks print."""
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))


def printed(number):
    """(value, tolerance) of a number as it was printed."""
    try:
        exact = Decimal(str(number))
    except InvalidOperation:
        raise ValueError(f"number is {number!r}; give a number or the text of one") from None
    if not exact.is_finite():
        return float(exact), 0.0
    return float(exact), 0.501 * 10.0 ** exact.as_tuple().exponent


def fits(found, value, tolerance):
    """Is this the number that was printed? Errors below 1e-6 all mean the same: right."""
    if math.isnan(value) or math.isinf(value):
        return str(found) == str(value)
    if value < 1e-6:
        return found < 1e-6
    rounding = 1e-6 * value  # the right values of a check are printed with about eight digits
    return found >= 1e-6 and abs(found - value) <= tolerance + rounding
