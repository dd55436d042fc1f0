"""A warm start for objects: their states and step counts are found, written and read back.

The one trick: an object tells itself whether it was understood. One that is set to where another
of its kind stands must take the same next steps; only then is a warm start made.
"""

import numpy as np

from minigrad.coursework.optimizers.layouts import numbers
from minigrad.coursework.optimizers.naming import is_count, is_number
from minigrad.coursework.optimizers.reference import FAMILIES
from minigrad.coursework.optimizers.watch_classes import Owner, attributes, is_in, raw_states


def warm(make, cold, run, rule):
    """A driver that stands where a warm Run begins; None where that cannot be done.

    make(run) gives a new driver; cold is a Run without states.
    """
    if not FAMILIES[rule].states:
        return None
    try:
        return restored(make, cold, run, rule)
    except (Exception, SystemExit):  # a student's code may fail in any way
        return None  # then there is only the cold start


def restored(make, cold, run, rule):
    one, other = make(cold), make(cold)
    if not isinstance(one, Owner):
        return None
    stepped(other, 0, cold)
    first = read_counts(other)
    for i in range(3):
        stepped(one, i, cold)
        if i == 1:
            second = read_counts(one)
    states = one.seen_states()
    if not all(set(found) == set(FAMILIES[rule].states) for found in states):
        return None
    if not write(other, rule, one.weights(), states, read_counts(one)):
        return None
    for i in (3, 4):
        for driver in (one, other):
            stepped(driver, i, cold)
        if not all(np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True)
                   for x, y in zip(one.weights(), other.weights())):
            return None
    ready = make(run._replace(states=[{} for _ in run.weights]))
    ready.step(0, copies(run.gradients[0]))
    counts = [before - (after - before) + run.t - 1 for before, after in zip(first, second)]
    return ready if write(ready, rule, run.weights, run.states, counts) else None


def stepped(driver, i, run):
    """Step i, without what is not finite: where the first step divides by zero, NaN would hide
    all that comes later."""
    driver.step(i, copies(run.gradients[i]))
    for parameter, w, start in zip(driver.holder.parameters, driver.weights(), run.weights):
        if not np.isfinite(w).all():
            fill(parameter, start)


def copies(gradients):
    return [g.copy() for g in gradients]


def write(driver, rule, weights, states, counts):
    """Sets an object to weights, states and counts. Could all of it be read back?"""
    holder = driver.holder
    for k, parameter in enumerate(holder.parameters):
        fill(parameter, weights[k])
        raw = raw_states(driver.optimizer, rule, k, parameter, len(weights), weights[k].shape)
        for state, value in raw.items():
            fill(value, states[k][state])
    places = count_places(driver)
    if len(places) != len(counts):
        return False
    for (mapping, key), count in zip(places, counts):
        if is_number(mapping[key]):
            mapping[key] = type(mapping[key])(count)
        else:
            fill(mapping[key], count)
    read = [{s: x for s, x in found.items()} for found in driver.seen_states()]
    return (all(np.allclose(x, y) for x, y in zip(driver.weights(), weights))
            and all(np.allclose(read[k][s], states[k][s], rtol=1e-6) for k in range(len(weights))
                    for s in states[k]))


def fill(value, numbers_):
    """Writes numbers into the array that a tensor, a parameter or an array holds."""
    for _ in range(4):
        if isinstance(value, np.ndarray):
            value[...] = numbers_
            return
        inner = getattr(value, "data", None)
        if isinstance(inner, np.ndarray) or not hasattr(value, "detach"):
            value = inner
        else:
            value = value.detach().numpy()
    raise TypeError("not an array")


def count_places(driver):
    """[(mapping, key)] of all step counts that an object keeps, also one for each parameter."""
    held, found = getattr(driver.optimizer, "__dict__", {}), []
    for name, value in attributes(driver.optimizer).items():
        if is_count(name.strip("_")) and is_number(value) and name in held:
            found.append((held, name))
        if not isinstance(value, dict):
            continue
        for k, parameter in enumerate(driver.holder.parameters):
            for key in (parameter, id(parameter), k):
                if not is_in(key, value):
                    continue
                inner = value[key]
                if isinstance(inner, dict):
                    found += [(inner, n) for n, x in inner.items() if is_count(n)
                              and numbers(x) is not None and numbers(x).ndim == 0]
                elif is_count(name) and is_number(inner):
                    found.append((value, key))
                break
    return found


def read_counts(driver):
    return [float(numbers(mapping[key])) for mapping, key in count_places(driver)]
