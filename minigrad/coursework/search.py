"""The hypotheses, and which of them give a student's numbers.

The one trick: a wrong formula almost always shows at the first step, so a hypothesis is dropped at
the first number that differs. Thousands cost less than a second.
"""

import itertools
from collections import namedtuple

import numpy as np

from minigrad.coursework.mistakes import MISTAKES, SHARED
from minigrad.coursework.reference import conventions_of, formula, makes_sense, simulated
from minigrad.coursework.rewriting import rewritten

Hypothesis = namedtuple("Hypothesis", "ids lines states shared base")

# What was seen of a student on a Run: `seen[step][parameter]` is {"w": array, state: array, ...};
# tolerance is (absolute, relative).
Record = namedtuple("Record", "run seen tolerance")


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
        lines = base.lines
        for switch in switches:
            if switch != (SHARED,):
                lines = lines and rewritten(lines, switch)
        shared = (SHARED,) in switches
        if lines and makes_sense(lines, base.states) and not (shared and not base.states):
            yield Hypothesis(tuple(m.id for m in mistakes), lines, base.states, shared, base.base)


def levels(rule, asked, most):
    """Lists of hypotheses, the simplest first: as asked; other conventions and single mistakes;
    pairs (of mistakes, or of another convention and a mistake); triples, up to `most`."""
    base = plain(rule, asked)
    yield [base]
    others = [plain(rule, other) for other in conventions_of(rule) if other != asked]
    alone = [other._replace(ids=(other.base,)) for other in others]
    rows = [mistake for mistake in MISTAKES.values() if mistake.switches]
    usable = [row for row in rows if any(True for _ in with_mistakes(base, (row,)))]
    for size in range(1, most + 1):
        found = [] if size > 1 else alone
        pool = rows if size == 2 else usable  # some make sense only after another
        found += [hypothesis for chosen in itertools.combinations(pool, size)
                  for hypothesis in with_mistakes(base, chosen)]
        if size == 2:
            found += [hypothesis._replace(ids=(other.base, *hypothesis.ids))
                      for other in others for row in rows
                      for hypothesis in with_mistakes(other, (row,))]
        yield found


def grade(hypothesis, records):
    """2 if a hypothesis gives all numbers that were seen, 1 if only the weights, else 0."""
    best = 2
    for record in records:
        steps = simulated(hypothesis.lines, hypothesis.states, record.run, hypothesis.shared)
        for i, k, q in steps:
            seen = record.seen[i][k]
            if not close(seen["w"], q["next_w"], record.tolerance):
                return 0
            if best == 2 and any(not close(seen[state], q[f"next_{state}"], record.tolerance)
                                 for state in hypothesis.states if state in seen):
                best = 1
    return best


def close(seen, expected, tolerance):
    """Are two arrays equal within (absolute, relative), NaN to NaN and infinity to infinity?"""
    absolute, relative = tolerance
    seen, expected = np.asarray(seen), np.asarray(expected)
    gap = np.abs(seen - expected)
    if np.all(gap <= absolute + relative * np.abs(expected)):
        return True
    fits = (gap <= absolute + relative * np.abs(expected)) | (seen == expected)
    return bool(np.all(fits | (np.isnan(seen) & np.isnan(expected))))


def explaining(rule, asked, records, most=3):
    """All hypotheses of the simplest level on which one gives the numbers, best grade first, and
    that grade. ([], 0) if none does.

    A hypothesis that gives the weights alone only counts if no single mistake gives the states
    too: a student may keep a state in another form.
    """
    known, weights_only = {}, []
    with np.errstate(all="ignore"):
        for level, hypotheses in enumerate(levels(rule, asked, most)):
            fitting = {1: [], 2: []}
            for hypothesis in hypotheses:
                key = hypothesis.lines, hypothesis.shared
                if key not in known:
                    known[key] = grade(hypothesis, records)
                fitting.get(known[key], []).append(hypothesis)
            if fitting[2]:
                return fitting[2], 2
            weights_only = weights_only or fitting[1]
            if weights_only and level >= 1:
                return weights_only, 1
    return weights_only, int(bool(weights_only))
