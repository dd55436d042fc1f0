"""The hypotheses, and which of them give a student's numbers.

The one trick: a wrong formula almost always shows at the first step, so a hypothesis is dropped at
the first number that differs. Thousands cost less than a second.
"""

import functools
import itertools
from collections import namedtuple

import numpy as np

from minigrad.coursework.optimizers.mistakes import MISTAKES, RARER, SHARED
from minigrad.coursework.optimizers.reference import (
    conventions_of,
    formula,
    makes_sense,
    names_read,
    simulated,
)
from minigrad.coursework.optimizers.rewriting import rewritten
from minigrad.coursework.optimizers.rounding import misfit, over_copies, rounded_misfit

MOST_WAYS = 11  # of a mistake, to be combined with others

Hypothesis = namedtuple("Hypothesis", "ids lines states shared base")

# What was seen of a student on a Run: `seen[step][parameter]` is {"w": array, state: array, ...};
# tolerance is (absolute, relative); rounding, of a Run that was printed, see coursework.rounding.
Record = namedtuple("Record", "run seen tolerance rounding", defaults=(None,))

# expected and got are numbers; inferred: not seen, but computed by the formula that explains
# everything that was seen.
FirstDifference = namedtuple("FirstDifference",
                             "quantity step parameter index expected got inferred run")


def plain(rule, convention):
    """The hypothesis that a convention is followed to the letter."""
    found = formula(rule, convention)
    return Hypothesis((), found.lines, found.states, False, convention)


def with_mistakes(base, mistakes):
    """Every way to make some mistakes at once, as Hypotheses. None where they make no sense."""
    groups = [mistake.group for mistake in mistakes]
    if len(set(groups)) < len(groups):
        return
    ways = [mistake.switches for mistake in mistakes]
    for switches in itertools.product(*ways):
        shared = (SHARED,) in switches
        edits = [switch for switch in switches if switch != (SHARED,)]
        lines = after_all(base.lines, edits) or after_all(base.lines, edits[::-1])
        rule = base.base.partition("/")[0]
        if lines and makes_sense(lines, base.states, rule) and not (shared and not base.states):
            yield Hypothesis(tuple(m.id for m in mistakes), lines, base.states, shared, base.base)


def after_all(lines, switches):
    for switch in switches:
        lines = lines and after(lines, switch)
    return lines


@functools.lru_cache(maxsize=1 << 15)  # two mistakes out of three have been made together before
def after(lines, switch):
    return rewritten(lines, switch)


@functools.lru_cache(maxsize=40)
def level(rule, asked, size):
    """The hypotheses with so many mistakes: as asked; other conventions and single mistakes; pairs
    (of mistakes, or of another convention and a mistake); triples likewise, with RARER ones only
    where a rule is short. Kept: for a class, they are made once."""
    base = plain(rule, asked)
    left_out = RARER if size > 2 and len(base.states) > 1 else ()
    if size == 0:
        return [base]
    others = [plain(rule, other) for other in conventions_of(rule) if other != asked]
    alone = [other._replace(ids=(other.base,)) for other in others]
    rows = [mistake if size < 2 else mistake._replace(switches=mistake.switches[:MOST_WAYS])
            for mistake in MISTAKES.values() if mistake.switches]
    usable = [row for row in rows if any(True for _ in with_mistakes(base, (row,)))]
    found = [] if size > 1 else alone
    pool = rows if size == 2 else usable  # some make sense only after another
    pool = [row for row in pool if row.id not in left_out]
    found += [hypothesis for chosen in itertools.combinations(pool, size)
              for hypothesis in with_mistakes(base, chosen)]
    if size > 1:  # another convention counts as one
        more = [row for row in rows if row.id not in left_out]
        found += [hypothesis._replace(ids=(other.base, *hypothesis.ids))
                  for other in others for chosen in itertools.combinations(more, size - 1)
                  for hypothesis in with_mistakes(other, chosen)]
    return found


def grade(hypothesis, records):
    """2 if a hypothesis gives all numbers that were seen, 1 if only the weights, else 0: also if
    it cannot run on the shapes that the parameters have."""
    try:
        return graded(hypothesis, records)
    except ValueError:
        return 0


def graded(hypothesis, records):
    best = 2
    for record in records:
        if record.rounding:
            weights, states = rounded_misfit(hypothesis, record)
            best = min(best, 0 if weights == np.inf else 1 if states == np.inf else 2)
            if best == 0:
                return 0
            continue
        steps = simulated(hypothesis.lines, hypothesis.states, record.run, hypothesis.shared)
        for i, k, q in steps:
            seen = record.seen[i][k]
            if not close(seen["w"], q["next_w"], record.tolerance):
                return 0
            if best == 2 and any(not close(seen[state], q[f"next_{state}"], record.tolerance)
                                 for state in hypothesis.states if state in seen):
                best = 1
    return best


def misfit_of(hypothesis, records):
    """How badly a hypothesis that gives all printed numbers gives them: about 1 if it is true, 0
    where nothing was printed."""
    fits = [rounded_misfit(hypothesis, record) for record in records if record.rounding]
    return sum(min(weights, states) if states == np.inf else (weights + states) / 2
               for weights, states in fits)


def close(seen, expected, tolerance):
    """Are two arrays equal within (absolute, relative)? What is no number is equal to what is none:
    w - a * w and w * (1 - a) part at infinity."""
    absolute, relative = tolerance
    seen, expected = np.asarray(seen), np.asarray(expected)
    gap = np.abs(seen - expected)
    allowed = absolute + relative * np.minimum(np.abs(expected), 1e300)  # infinity allows nothing
    fits = gap <= allowed
    if not fits.all():
        fits |= ~(np.isfinite(seen) | np.isfinite(expected))
    return bool(fits.all())


def explaining(rule, asked, records, most=3, least=0):
    """All hypotheses of the simplest level on which one gives the numbers, best grade first, and
    that grade. ([], 0) if none does.

    A hypothesis that gives the weights alone only counts if no single mistake gives the states
    too: a student may keep a state in another form. Sets of `least` to `most` mistakes are tried.
    Weights without one finite number prove little: then only single mistakes in what the rule has
    count, and RARER ones only by the states.
    """
    known, weights_only, bare = {}, [], nothing_finite(records)
    if bare:
        least, most = 1, 0 if nothing_finite(records, start=True) else min(most, 1)
    with np.errstate(all="ignore"):
        for size in range(least, most + 1):
            fitting = {1: [], 2: []}
            for hypothesis in level(rule, asked, size):
                key = hypothesis.lines, hypothesis.shared
                if key not in known:
                    known[key] = grade(hypothesis, records)
                if not (bare and far_fetched(hypothesis, rule, asked, records)):
                    fitting.get(known[key], []).append(hypothesis)
            for fits in fitting.values():  # what is seen more often stands first
                fits.sort(key=lambda hypothesis: sum(id in RARER for id in hypothesis.ids)
                          + 5 * misfit_of(hypothesis, records))
            if fitting[2]:
                return fitting[2], 2
            weights_only = weights_only or ([] if bare else fitting[1])
            if weights_only and size >= 1:
                return weights_only, 1
    return weights_only, int(bool(weights_only))


def nothing_finite(records, start=False):
    """Has no weight that was seen a finite number in it? With start, none it started from."""
    held = [w for record in records for w in (
        record.run.weights if start else [one["w"] for step in record.seen for one in step])]
    return any(np.size(w) for w in held) and not any(np.isfinite(w).any() for w in held)


def far_fetched(hypothesis, rule, asked, records):
    """Is this too much to be claimed of weights that are no numbers? So is what is rare, if no
    state tells of it, and what reads a count of steps that the rule does not have, as SGD."""
    told = any(np.isfinite(value).any() for record in records for step in record.seen
               for one in step for name, value in one.items() if name != "w")
    if not told and RARER & {*hypothesis.ids}:
        return True
    ours = {name for line in plain(rule, asked).lines for name in names_read(line)[0]}
    count = {"t", "t_first", "t_each"}
    return not ours & count and any(names_read(line)[0] & count for line in hypothesis.lines)


# --- part by part --------------------------------------------------------------------------------

def parts_explained(rule, asked, records):
    """{quantity: ids of the fewest mistakes that explain it, None if none do}: every state, then
    the parameter, each given all that the student's step was seen to have before it.

    So one fault does not hide the next. {} if a state was not seen.
    """
    base = plain(rule, asked)
    if nothing_finite(records) or not base.states or not all(
            set(base.states) <= set(one) for record in records for step in record.seen
            for one in step):
        return {}
    parts = {}
    with np.errstate(all="ignore"):
        for part in (*base.states, "w"):
            fitting = (h.ids for size in range(3) for h in level(rule, asked, size)
                       if explains(h, part, base.states, records))
            parts["parameter" if part == "w" else part] = next(fitting, None)
    return parts


def explains(hypothesis, part, states, records):
    """Does a hypothesis give one part of every step, from what was seen before that part?"""
    try:
        return explained_by(hypothesis, part, states, records)
    except ValueError:  # as in `grade`
        return False


def explained_by(hypothesis, part, states, records):
    lines = list(hypothesis.lines)
    for state in states[:states.index(part)] if part in states else states:
        at = max(i for i, line in enumerate(lines) if state in names_read(line)[1])
        lines.insert(at + 1, f"{state} = {state}_seen")
    for record in records:
        run, before = taught(record)
        taken = over_copies(tuple(lines)) if record.rounding else tuple(lines)
        for i, k, q in simulated(taken, hypothesis.states, run, hypothesis.shared, before):
            if not fits(record, part, record.seen[i][k][part], q[f"next_{part}"]):
                return False
    return True


def taught(record):
    """(Run, {(step, parameter): all that was seen before it, and of it}) for `simulated`."""
    if record.rounding and record.rounding.taught:
        return record.rounding.taught
    before = {}
    for i, step in enumerate(record.seen):
        for k, one in enumerate(step):
            before[i, k] = {f"{name}_seen": value for name, value in one.items()}
            if i:
                last = record.seen[i - 1][k]
                before[i, k] |= {f"{name}_found": value for name, value in last.items()}
                before[i, k]["w"] = last["w"]
    if record.rounding:  # many copies, made once
        record.rounding.taught = record.rounding.forced(record.run, before)
        return record.rounding.taught
    return record.run, before


def fits(record, part, seen, expected):
    """Is one part of a step what is expected, up to rounding?"""
    if not record.rounding:
        return close(seen, expected, record.tolerance)
    unit = record.tolerance if part == "w" else record.rounding.units.states
    return misfit(seen, expected, unit) < np.inf


def together(rule, asked, records, parts):
    """The hypotheses with the mistakes of all parts that give every number, and their grade."""
    ids = {id for found in parts.values() for id in found}
    others = [id for id in ids if id not in MISTAKES]
    base = plain(rule, others[0] if len(others) == 1 else asked)
    rows = [row for row in MISTAKES.values() if row.id in ids]
    with np.errstate(all="ignore"):
        found = [h._replace(ids=(*others, *h.ids)) for h in with_mistakes(base, rows)
                 if grade(h, records) == 2]
    return found, 2 if found else 0
