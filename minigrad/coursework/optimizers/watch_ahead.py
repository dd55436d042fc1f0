"""A first step that fails: 1 / (1 - beta**t) of Python's numbers, where t is still 0.

The one trick: what stops the student tells as much as a number would. NumPy's division gives NaN
there, so NaN is what was seen of that step; and the same optimizer, its count of steps moved on by
one, is watched as a run that begins at step 2. What it does wrong besides shows there.
"""

import numpy as np

from minigrad.coursework.optimizers.naming import is_count, is_number
from minigrad.coursework.optimizers.search import Record
from minigrad.coursework.optimizers.watch_functions import Configured
from minigrad.coursework.optimizers.watching import rate_stays, record_of, watched


def is_undefined(error):
    """Is this error of a first step what NumPy would have called NaN or infinity?"""
    undefined = isinstance(error, ArithmeticError) or "math domain error" in str(error)
    return undefined and getattr(error, "steps", 0) == 0


def records_ahead(make, cold, outside):
    """The Records of an optimizer whose first step is undefined: of a run with the count of steps
    moved on by one, and of that first step.

    Raises LookupError where the count is out of reach; errors of the student's code as they are.
    """
    def ahead(run):
        driver = make(run)
        if not moved_on(driver):
            raise LookupError("there is no count of steps to be moved on")
        return driver

    run = cold._replace(name="one step ahead", t=cold.t + 1)
    lasting, driver = rate_stays(ahead, run), ahead(run)
    later = record_of(*watched(driver, run, outside, lasting))
    return [later, first_undefined(cold, later.tolerance)]


def first_undefined(run, tolerance):
    """The Record of a Run whose first step gave no number."""
    first = run._replace(gradients=run.gradients[:1], settings=run.settings[:1])
    return Record(first, [[{"w": np.full(np.shape(w), np.nan)} for w in run.weights]], tolerance)


def moved_on(driver):
    """Adds one to the counts of steps that a driver or its optimizer keeps. Was there any?"""
    if isinstance(driver, Configured):
        for config in driver.configs:
            if driver.count is None:
                config[driver.clock()] = 1
        return True
    found = "t" in getattr(driver, "roles", {}).values()  # then the caller's count is one ahead
    for one in getattr(driver, "makers", None) or [getattr(driver, "optimizer", None)]:
        for mapping, key in counts_of(getattr(one, "__dict__", {})):
            mapping[key], found = mapping[key] + 1, True
    return found


def counts_of(held):
    """[(dict or list, key)] of the counts in what an object keeps: self.t, self.t[k] of a list or
    a dict, and self.state[p]["step"]."""
    found = []
    for name, value in held.items():
        counts, keys = is_count(name.strip("_")), ()
        if isinstance(value, (dict, list)):
            keys = [*value] if isinstance(value, dict) else range(len(value))
        elif counts and is_number(value):
            found.append((held, name))
        for key in keys:
            inner = value[key]
            if counts and is_number(inner):
                found.append((value, key))
            elif isinstance(inner, dict):
                found += [(inner, n) for n, x in inner.items() if is_count(str(n))
                          and is_number(x)]
    return found
