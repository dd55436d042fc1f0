"""What rounding hides: how far a formula's numbers may be off when a trace was printed.

The one trick: every number that was printed is moved by half a unit, up and down, and all these
copies run at once, on an axis of their own behind the others. How far the results part is how far
a formula may be off, for each formula its own: one that divides by a small gradient, much. Errors
rarely all add up, so the bound of many is that of independent ones, if it is the smaller.
"""

from collections import namedtuple

import numpy as np

from minigrad.coursework.optimizers.reference import simulated
from minigrad.coursework.optimizers.rewriting import each, rewritten

# (absolute, relative): half a unit of the last digit
Units = namedtuple("Units", "weights gradients states")
NEVER = 2.2  # times the length of all errors: beyond that, none of a few hundred numbers is
DRAWS, DRAWN = 8, 1.4  # copies moved in all numbers at once, as where errors multiply; their weight
POOR = 3.0   # times the variance to be expected of a fit: above that it is none
AXES = "axis=tuple(range(np.ndim(g) - 1))"
OVER = each(*(f"np.{name}(X) -> np.{name}(X, {AXES})" for name in ("mean", "sum", "max")))


class Rounding:
    """What a Run may have been before it was printed: `.run` has all copies, the first as seen."""

    def __init__(self, run, units):
        self.units, self.taught = units, None
        self.states = sorted({name for start in run.states for name in start})
        steps = len(run.gradients)
        self.count = 1 + 2 * (1 + steps + len(self.states)) + DRAWS
        count = self.count
        self.run = run._replace(
            weights=[copies(w, units.weights, 0, count) for w in run.weights],
            gradients=[[copies(g, units.gradients, 1 + i, count) for g in step]
                       for i, step in enumerate(run.gradients)],
            states=[{name: copies(s, units.states, 1 + steps + self.states.index(name), count)
                     for name, s in start.items()} for start in run.states])

    def forced(self, run, before):
        """(Run, before) for `simulated` with steps that are given what came before them: copies of
        what each step finds, moved."""
        names = sorted({name for one in before.values() for name in one}
                       | {f"{name}_found" for name in self.states} - {"w", "w_found"})
        count = 1 + 2 * (2 + len(names)) + DRAWS

        def moved(name, values):
            weights = name in ("w", "w_found", "w_seen")
            return copies(values, self.units.weights if weights else self.units.states,
                          2 + names.index(name) if name in names else 0, count)
        return run._replace(
            weights=[moved("w", w) for w in run.weights],
            gradients=[[copies(g, self.units.gradients, 1, count) for g in step]
                       for step in run.gradients],
            states=[{name: moved(f"{name}_found", s) for name, s in start.items()}
                    for start in run.states],
        ), {place: {name: moved(name, values) for name, values in one.items()}
            for place, one in before.items()}


def copies(values, unit, place, count):
    """An array with an axis of copies: one is moved up, one down, the last ones by chance."""
    values = np.repeat(np.asarray(values, float)[..., None], count, -1)
    half = unit[0] + unit[1] * np.abs(values[..., 0])
    values[..., 1 + 2 * place] += half
    values[..., 2 + 2 * place] -= half
    chance = np.random.default_rng([place, count]).uniform(-1, 1, (*half.shape, DRAWS))
    values[..., -DRAWS:] += half[..., None] * chance
    return values


def over_copies(lines):
    """Lines that treat every copy by itself, also where they mix the elements of a parameter."""
    for edit in OVER:
        lines = rewritten(lines, edit) or lines
    return lines


def center_and_spread(values):
    """(the number that is expected, how far it may be off, the length of all errors, is it none in
    some copy?) of copies."""
    middle = values[..., 0]
    moved = np.abs(values[..., 1:] - middle[..., None])
    moved = np.where(np.isfinite(moved), moved, 0.0)
    moved, drawn = moved[..., :-DRAWS], moved[..., -DRAWS:].max(-1, initial=0.0)
    moved = np.maximum(moved[..., ::2], moved[..., 1::2])
    length = np.sqrt((moved**2).sum(-1))
    spread = np.maximum(np.minimum(moved.sum(-1), NEVER * length), DRAWN * drawn)
    finite = np.isfinite(values)
    lost = ~finite[..., 0] & finite.any(-1)  # 0 / 0, but only as printed
    if lost.any():
        low = np.where(finite, values, np.inf).min(-1)
        high = np.where(finite, values, -np.inf).max(-1)
        with np.errstate(all="ignore"):
            middle = np.where(lost, (low + high) / 2, middle)
            spread = np.where(lost, (high - low) / 2, spread)
    return middle, spread, np.maximum(length, spread / NEVER), ~finite.all(-1)


def gap_of(seen, values, unit):
    """(distances, what is allowed of each, their deviation to be expected)."""
    seen = np.asarray(seen, float)
    values = np.asarray(values, float)
    if values.ndim == 0:  # nothing that was printed went into it
        values = values[None]
    shape = np.broadcast_shapes(seen.shape, values.shape[:-1])
    values = np.broadcast_to(values, (*shape, values.shape[-1]))
    middle, spread, length, none = center_and_spread(values)
    half = unit[0] + unit[1] * np.minimum(np.abs(middle), 1e300)
    gap = np.abs(seen - middle)
    gap = np.where(~np.isfinite(seen) & none, 0.0, gap)
    return np.where(np.isnan(gap), np.inf, gap), half + spread, np.hypot(half, length) / 3**0.5


def misfit(seen, values, unit):
    """The mean square of how far numbers are off, in deviations to be expected; infinity if one is
    off by more than rounding can explain."""
    gap, allowed, deviation = gap_of(seen, values, unit)
    if not (gap <= allowed).all():
        return np.inf
    return float(np.mean((gap / np.maximum(deviation, 1e-300))**2)) if gap.size else 0.0


def rounded_misfit(hypothesis, record):
    """(misfit of the weights, misfit of the states) of a hypothesis with a printed Record; (inf,
    inf) as soon as a weight cannot be."""
    rounding, sums, states = record.rounding, [], []
    steps = simulated(over_copies(hypothesis.lines), hypothesis.states, rounding.run,
                      hypothesis.shared)
    for i, k, q in steps:
        seen = record.seen[i][k]
        sums.append(misfit(seen["w"], q["next_w"], record.tolerance))
        if sums[-1] == np.inf:
            return np.inf, np.inf
        states += [misfit(seen[state], q[f"next_{state}"], rounding.units.states)
                   for state in hypothesis.states if state in seen]
    means = [sum(one) / max(len(one), 1) for one in (sums, states)]
    means = [np.inf if len(sums) > 5 and mean > POOR else mean for mean in means]
    return means[0], max(means)
