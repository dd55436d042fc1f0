"""Watches an optimizer on a Run of a probe: what it does to weights, states and gradients.

The one trick: everything that is handed over is a copy, so whatever has changed afterwards was
changed by the student.
"""

import numpy as np

from minigrad.coursework.optimizers.layouts import FLOAT32, FLOAT64
from minigrad.coursework.optimizers.search import FirstDifference, Record


class Misfit(ValueError):
    """The student's code ran, but what it gave are no weights."""


def rate_stays(make, run):
    """Is the learning rate beyond reach, once an optimizer is made? Told by trying."""
    weights = []
    for factor in (1, 0.5):
        driver = make(run)
        if factor != 1:
            try:
                if not driver.set_rate(run.settings[0]["lr"] * factor):
                    return True
            except (Exception, SystemExit):  # a property that cannot be set
                return True
            driver.run = run._replace(settings=[{**run.settings[0],
                                                 "lr": run.settings[0]["lr"] * factor}])
        driver.step(0, [g.copy() for g in run.gradients[0]])
        weights.append(driver.weights())
    return all(np.array_equal(x, y, equal_nan=True) for x, y in zip(*weights))


def watched(driver, run, outside, lasting=False):
    """(Run, what was seen): every step, with the weights and what can be seen of the states.

    lasting: the first learning rate stays. outside is filled, see `noted`. A Misfit is raised for
    weights that are none; an error of the student's code gets the number of steps that went well.
    """
    if lasting:
        run = run._replace(settings=run.settings[:1] * len(run.settings))
    driver.run, seen, handed = run, [], []
    for i, gradients in enumerate(run.gradients):
        given = stepped(driver, run, i)
        handed += [(i, k, *pair) for k, pair in enumerate(zip(gradients, given))]
        holder = getattr(driver, "holder", None)
        for after in (given, holder.gradients() if holder else ()):
            for k, pair in enumerate(zip(gradients, after)):
                noted(outside, run, i, k, *pair)
        seen.append(seen_of(driver, run))
    for one in handed:  # m = g without a copy: a later step changes an earlier gradient
        noted(outside, run, *one)
    return run, seen


def stepped(driver, run, i):
    """The gradients that step i was given, after it."""
    if i and run.settings[i]["lr"] != run.settings[i - 1]["lr"]:
        driver.set_rate(run.settings[i]["lr"])
    given = [g.copy() for g in run.gradients[i]]
    try:
        driver.step(i, given)
    except (Exception, SystemExit) as error:
        error.steps = i
        raise
    return given


def seen_of(driver, run):
    """[{"w": array, state: array, ...} of each parameter]. Raises Misfit for weights that are none,
    or of another shape."""
    weights = driver.weights()
    for w, start in zip(weights, run.weights):
        if w is None or w.shape != start.shape:
            got = "no array" if w is None else w.shape
            raise Misfit("the optimizer returned weights of another shape than it got: "
                         f"{got}, not {start.shape}")
    return [{"w": np.array(w), **states} for w, states in zip(weights, driver.seen_states())]


def noted(outside, run, i, k, before, after):
    """Notes a gradient that the student has changed. Setting it to zero or None is none of it."""
    if after is None or after.shape != before.shape or not after.any():
        return
    wrong = np.argwhere(~np.isclose(before, after, rtol=1e-6, atol=0, equal_nan=True))
    if len(wrong):
        index = tuple(int(n) for n in wrong[0])
        outside.setdefault("gradient-mutated", FirstDifference(
            "g", run.t + i, k, index, float(before[index]), float(after[index]), False, run.name))


def record_of(run, seen):
    single = any(value.dtype == np.float32 for value in seen[0][0].values())
    return Record(run, seen, FLOAT32 if single else FLOAT64)
