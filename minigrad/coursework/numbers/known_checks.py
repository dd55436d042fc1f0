"""Public checks with one known input: which mistake gives the wrong number that they print?

    print(diagnose_number("cs231n/adam", "next_w error", 0.2072))

The one trick: of the student only a number is known, but of the check everything. So each known
mistake is asked what this check would print for it, and the digits decide.
"""

import difflib
import functools
import json
import re
from collections import namedtuple
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from minigrad.coursework.engines.faults import BY_ID
from minigrad.coursework.hints import VERDICTS, Found
from minigrad.coursework.numbers.graphs import GraphCheck
from minigrad.coursework.numbers.runs import RunCheck
from minigrad.coursework.optimizers.diagnosis import changed_lines
from minigrad.coursework.optimizers.mistakes import MISTAKES, RARER
from minigrad.coursework.optimizers.reference import ALIASES, CONVENTIONS
from minigrad.coursework.optimizers.search import plain

FILES = Path(__file__).parent / "files"
RIGHT = 1e-6  # a relative error below this means: right

NumberDifference = namedtuple("NumberDifference", "quantity expected got")


class NumberDiagnosis(Found, namedtuple("NumberDiagnosis", "check quantity number verdict causes ties "
                                 "first_difference residual gives unseen lines places tried "
                                 "vague", defaults=(False,))):
    """What a number of a check means.

    verdict           "correct", "convention", "mistake" or "unknown"
    causes, ties      the smallest set of ids that gives the number, and every other set as small;
                      mistakes stand before conventions, for a check has one right answer
    first_difference  NumberDifference(quantity, expected, got), or None
    residual          how far the number is from what the causes give (if none do: from the right
                      one)
    gives             what the causes give, with all digits; None without causes
    unseen            of a right number: single mistakes that give it, too, so the check cannot
                      tell them from the right formula
    lines             pairs (line of the rule, line that gives the number)
    places            {id: operations of the graph that the fault may sit in}
    tried             how many mistakes were combined at most
    vague             have the numbers so few digits that a pair may fit by chance?
    """

    __slots__ = ()

    @property
    def right(self):
        return self.verdict == "correct"

    def concepts(self):
        rows = [known_as(id) for id in self.causes]
        return [row.concept if hasattr(row, "concept") else f"This is how {row.who} define it."
                for row in rows]

    def formulas(self):
        said = [f"The rule has    {rule or '(no such line)'}\n"
                f"your number     {yours or '(no such line)'}" for rule, yours in self.lines]
        return said or [getattr(known_as(id), "formula", None) or title_of(id)
                        for id in self.causes]

    def where(self):
        """Which number differs, in a sentence."""
        found = self.first_difference
        return (f"{self.check}: {found.quantity} should be {short(found.expected)}, "
                f"yours is {short(found.got)}.")

    def report(self):
        report = [f"{self.check}, {self.quantity}: {self.verdict}", VERDICTS[self.verdict]]
        if self.first_difference is not None:
            report.append(self.where())
        for id in self.causes:
            at = ", ".join(self.places.get(id, ()))
            report.append(f"  {id}: {title_of(id)}" + (f" (in {at})" if at else ""))
        report += [f"  {rule or '(no line)'}\n    -> {yours or '(no line)'}"
                   for rule, yours in self.lines]
        if self.causes:
            report.append(f"With this the number is {short(self.gives)}.")
        if len(self.causes) > 1 and self.vague:
            report.append("Of so few digits, some pair gives nearly any. Is there a longer number?")
        report += ["The same number: " + " + ".join(tie) for tie in self.ties[:8]]
        if len(self.ties) > 8:
            report.append(f"... and {len(self.ties) - 8} other sets. More digits, or another "
                          "quantity of the check, part them.")
        if self.verdict == "unknown":
            report.append(f"Tried: up to {self.tried} at once (most={self.tried + 1} tries more).")
        if self.unseen:
            more = f" and {len(self.unseen) - 6} more" if len(self.unseen) > 6 else ""
            report.append("Not seen by this number: " + ", ".join(self.unseen[:6]) + more)
        return report


def known_as(id):
    """The row of an id: a mistake of a rule or of an engine, or a convention."""
    return MISTAKES.get(id) or BY_ID.get(id) or CONVENTIONS[id]


def title_of(id):
    row = known_as(id)
    return f"by the definition of {row.who}" if id in CONVENTIONS else row.title


def short(value):
    """A number, or numbers, for a line of a report."""
    if np.ndim(value) == 0:
        return f"{float(value):.8g}"
    return np.array2string(np.asarray(value), precision=8, threshold=12).replace("\n", " ")


# --- the checks ----------------------------------------------------------------------------------

def checks():
    """The names of all known checks."""
    return [*table()]


def check(name):
    """The facts of a known check, as a dict. Raises ValueError for an unknown name.

    title, source, kind ("optimizer" or "autograd"), quantities (their names), published (the right
    values, digit for digit), right (those of all quantities), and its inputs: given, parameters,
    gradients, hyperparameters, ... (see check_runs.py) or leaves and lines (see check_graphs.py).
    """
    known = found(name)
    return {**known.facts, "name": known.name, "kind": known.kind,
            "quantities": known.quantities, "published": known.facts["right"],
            "right": {quantity: known.right(quantity) for quantity in known.quantities}}


@functools.cache
def table():
    """{name: facts} of all data files."""
    read = {kind: json.loads((FILES / f"checks_{kind}.json").read_text(encoding="utf-8"))
            for kind in ("optimizers", "autograd", "shared")}
    runs = {name: {**read["shared"].get(facts.get("like"), {}), **facts}
            for name, facts in read["optimizers"].items()}
    return {**runs, **read["autograd"]}


@functools.lru_cache(maxsize=8)  # each keeps what formulas give
def made(name):
    facts = table()[name]
    return RunCheck(name, facts) if "rule" in facts else GraphCheck(name, facts)


def found(name):
    """The check of a name. Raises ValueError for an unknown one."""
    course, slash, rest = str(name).partition("/")
    name = f"{ALIASES.get(course, course)}{slash}{rest}"
    if name not in table():
        near = difflib.get_close_matches(name, table(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        begun = [one for one in table() if one.startswith(name.partition("/")[0] + "/")]
        others = f"there are {', '.join(begun)}" if begun else "checks() lists all"
        raise ValueError(f"there is no check {name!r}; {hint}{others}")
    return made(name)


# --- numbers -------------------------------------------------------------------------------------

Seen = namedtuple("Seen", "name quantity index value tolerance")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)",
                    re.IGNORECASE)


def seen_of(known, name, number):
    """What was Seen: a quantity, perhaps one entry of it, and the numbers printed."""
    spoken = {spelled(quantity): quantity for quantity in known.quantities}
    plainly, index = spelled(name), ()
    if plainly not in spoken:
        match = re.fullmatch(r"(.*?)((?:\[-?\d+(?:,-?\d+)*\])+)", plainly)
        if match and match[1] in spoken:
            plainly, index = match[1], tuple(map(int, re.findall(r"-?\d+", match[2])))
    if plainly not in spoken:
        near = difflib.get_close_matches(plainly, spoken, n=1)
        hint = f"did you mean {spoken[near[0]]!r}? " if near else ""
        raise ValueError(f"{known.name} has no quantity {name!r}; {hint}it has "
                         + ", ".join(known.quantities))
    quantity, right = spoken[plainly], known.right(spoken[plainly])
    try:
        right = right[index]
    except IndexError:
        raise ValueError(f"{name} is outside of {quantity}, which has shape {right.shape}"
                         ) from None
    value, tolerance = printed(number)
    if value.size == 1 and right.size > 1 and np.ptp(right) > 1e-12:
        first = ", ".join("0" * right.ndim)
        raise ValueError(f"{quantity} has shape {right.shape}: say which number it is, as in "
                         f"'{quantity}[{first}]', or give all")
    if value.size not in (1, right.size):
        raise ValueError(f"{name} is {right.size} number{'s' * (right.size > 1)}, "
                         f"{value.size} were given")
    return Seen(name, quantity, index, value, tolerance)


def spelled(name):
    """A name without what people write in different ways: "next_w_error:" for "next_w error"."""
    return re.sub(r"[\s\"'_]|:$", "", str(name))


def printed(number):
    """(values, tolerances) of numbers as they were printed: flat arrays. ValueError if there are
    none."""
    if isinstance(number, str):
        texts = NUMBER.findall(number)
        if len(texts) < 2:
            texts = [number]
    else:
        texts = [str(x) for x in np.asarray(number, dtype=object).ravel()]
    values, tolerances = [], []
    for text in texts:
        try:
            exact = Decimal(text.strip())
        except InvalidOperation:
            raise ValueError(f"number is {number!r}; give a number or the text of one") from None
        exponent = exact.as_tuple().exponent if exact.is_finite() else -99
        values.append(float(exact))
        whole = exponent == 0 and abs(exact) < 10_000  # not rounded to be so
        tolerances.append(0.501 * 10.0 ** (-1 if whole else exponent))
    if not values:
        raise ValueError(f"number is {number!r}; give a number or the text of one")
    return np.array(values), np.array(tolerances)


def fits(known, value_of, seen):
    """Does an outcome of a check print what was seen?"""
    try:
        value = np.ravel(value_of(seen.quantity)[seen.index])
    except (ArithmeticError, IndexError, ValueError):
        return False
    if value.size != seen.value.size and seen.value.size > 1:
        return False
    if seen.quantity in known.errors and np.all(seen.value < RIGHT):
        return bool(np.all(value < RIGHT))
    with np.errstate(invalid="ignore"):
        near = (np.abs(value - seen.value)
                <= seen.tolerance + known.rounding * np.abs(seen.value))
    same = (value == seen.value) | (np.isnan(value) & np.isnan(seen.value))
    return bool(np.all(near & np.isfinite(value) & np.isfinite(seen.value) | same))


# --- the diagnosis -------------------------------------------------------------------------------

def diagnose_number(check, quantity, number=None, most=None):
    """The NumberDiagnosis of a number of a public check.

    check: one of checks(). quantity: as the check names it, "next_w error"; one entry of an array
    is "next_w[0, 1]". number: a float or, better, the text that was printed: its digits are the
    tolerance; an array, if all of it is known. quantity may also be a dict {quantity: number}, of
    numbers that were seen together. most: how many mistakes are combined at most (None: two, or one
    where the check is long; 0: is it right?).

    Raises ValueError for an unknown check or quantity, or a text that is no number.
    """
    known = found(check)
    numbers = quantity if isinstance(quantity, dict) else {quantity: number}
    seen = [seen_of(known, *item) for item in numbers.items()]
    asked_for = ", ".join(map(str, numbers))
    given = number if number is not None else quantity
    most = known.most if most is None else most
    found_at, fitting = 0, []
    for size, candidates in enumerate(known.levels(most)):
        fitting = [(ids, one) for ids, one in candidates if explains(known, one, seen)]
        if fitting:
            found_at = size
            break
    if fitting and not found_at:
        return NumberDiagnosis(known.name, asked_for, given, "correct", (), [], None, 0.0, None,
                               blind_to(known, seen) if most else (), [], {}, most)
    if known.also in dict(fitting):  # the other formula: what nothing shows of it is no tie
        fitting = [(ids, one) for ids, one in fitting
                   if ids == known.also or one.base == known.convention]
    wrong = next((s for s in seen if not fits(known, known.right, s)), seen[0])
    right = known.right(wrong.quantity)[wrong.index]
    got = wrong.value if wrong.value.size > 1 else wrong.value[0]
    difference = NumberDifference(wrong.name, right, got)
    if not fitting:
        return NumberDiagnosis(known.name, asked_for, given, "unknown", (), [], difference,
                               apart(right, wrong), None, (), [], {}, most)
    sets = smallest(fitting, known.also)
    best = next(one for ids, one in fitting if ids == sets[0])
    value = next(v for v in known.outcomes(best) if all(fits(known, v, s) for s in seen))
    gives = value(wrong.quantity)[wrong.index]
    verdict = "convention" if len(sets[0]) == 1 and elsewhere_right(sets[0][0]) else "mistake"
    vague = all(np.all(s.tolerance > 1e-4 * np.abs(s.value)) for s in seen)
    return NumberDiagnosis(known.name, asked_for, given, verdict, sets[0], sets[1:], difference,
                           apart(gives, wrong), gives, (), *told(known, best, sets[0], fitting),
                           most, vague)


def explains(known, candidate, seen):
    """Does a candidate print all that was seen?"""
    try:
        return any(all(fits(known, value, s) for s in seen) for value in known.outcomes(candidate))
    except (ArithmeticError, NameError, ValueError):  # a formula that breaks down, or its shapes do
        return False


def smallest(fitting, also):
    """The sets of ids with the fewest: what the course has itself, mistakes (those that are seen
    often first), conventions."""
    sets = [*dict.fromkeys(ids for ids, _ in fitting)]
    least = min(map(len, sets))
    return sorted((ids for ids in sets if len(ids) == least),
                  key=lambda ids: (ids != also, sum(map(elsewhere_right, ids)),
                                   sum(id in RARER for id in ids)))


def elsewhere_right(id):
    """Is this right by another definition?"""
    return id in CONVENTIONS or bool(id in BY_ID and id not in MISTAKES and BY_ID[id].course)


def blind_to(known, seen):
    """Single mistakes that print the right numbers, too, in whatever way they are made. (Not those
    of a decay that is 0, or of a rate that does not change.)"""
    _, candidates = known.levels(1)
    decays = known.facts.get("hyperparameters", {}).get("weight_decay")
    unseen = {}
    for (id,), one in candidates:
        if getattr(one, "base", known.convention) != known.convention:
            continue  # in the course's other formula
        if not elsewhere_right(id) and (decays or not id.startswith("decay-")) and (
                id != "lr-change-ignored"):
            unseen[id] = unseen.get(id, True) and explains(known, one, seen)
    return tuple(id for id, all_ways in unseen.items() if all_ways)


def apart(value, seen):
    """The largest difference of numbers from what was seen."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(np.ravel(value) - seen.value)
    return float(np.max(np.where(np.ravel(value) == seen.value, 0.0, gap), initial=0.0))


def told(known, best, ids, fitting):
    """(lines, places) of the causes: what changed in a rule, or where it may sit in a graph."""
    if known.kind == "optimizer":
        begun_with = known.reference if elsewhere_right(ids[0]) else plain(known.rule, best.base)
        return changed_lines(begun_with.lines, best.lines), {}
    places = {}
    for s in (s for found, chosen in fitting if found == ids for s in chosen):
        place = [op for op, _ in s.value] if s.kind == "rules" else [s.place]
        places.setdefault(s.fault, {}).update(dict.fromkeys(place))
    return [], {id: [*found] for id, found in places.items() if None not in found}
