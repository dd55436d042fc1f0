"""Anomaly detection: an error where the first NaN or infinity is born, forward or backward.

The one trick: a number that is not finite is *born* in an operation whose inputs had none. Further
on it only spreads, and the place where it is seen at last says little. While detection is on, every
result of an operation and every step of a backward pass is looked at; while it is off, nothing is.
"""

import collections
import functools
import linecache
import os
import sys

import numpy as np

from minigrad import engine
from minigrad.engine import Recorded, describe

__all__ = ["detect_anomaly", "set_detect_anomaly", "is_anomaly_enabled",
           "is_anomaly_check_nan_enabled"]

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
REMEMBERED = 200_000  # lines of the youngest records; with older ones they would pile up forever


class Observer:
    """What looks at results and gradients (engine.observer)."""

    def __init__(self, check_nan):
        self.check_nan = check_nan
        self.lines = collections.OrderedDict()  # order of a record: the user's line that made it

    def result(self, op, inputs, t):
        """After an operation, run by anyone: Primitive.__call__ and Function.apply."""
        if not self.check_nan:
            return
        if t.requires_grad:
            self.lines[t.order] = user_line()
            if len(self.lines) > REMEMBERED:
                self.lines.popitem(last=False)
        if t.array.dtype.kind != "f":
            return
        came = [x for x in inputs if not finite(x)]
        kind = born(t.array, came)
        if kind is None or in_a_rule():  # (a rule's own result is looked at when it is passed on)
            return
        made = f"{op.name} made {kind} (in {share(t.array)})"
        if not came:
            raise RuntimeError(f"anomaly: {made} out of finite numbers: {engine.operands(inputs)}"
                               + at(user_line()))
        raise RuntimeError(f"anomaly: {made}; {not_finite(came[0])} came in with "
                           f"{engine.operands(came[:1])}" + at(user_line()))

    def steps(self, steps):
        """The steps of a backward pass, each looked at before it is passed on."""
        for t, g, shares in steps:
            if self.check_nan:
                self.look(t, g, shares)
            yield t, g, shares

    def look(self, t, g, shares):
        if t.op is None and not finite(g):  # each share was finite, or would have been refused
            raise RuntimeError(f"anomaly: the gradients of the {describe(t)} add up to "
                               f"{not_finite(g)}")
        for i, x, c in shares:
            kind = born(array_of(c), [] if finite(g) else [g])
            if kind is not None:
                arrived = "" if finite(g) else f" ({not_finite(g)} arrived at its result)"
                raise RuntimeError(f"anomaly: the backward of {t.op.name} made {kind} (in "
                                   f"{share(array_of(c))}) in the gradient of its input {i}, the "
                                   f"{describe(x)}{arrived}" + at(self.lines.get(t.order)))


def array_of(x):
    return x.array if isinstance(x, Recorded) else x


def finite(x):
    """Is there no NaN and no infinity in x? (What is no number counts as finite.)"""
    x = array_of(x)
    if isinstance(x, np.ndarray):
        return x.dtype.kind != "f" or bool(np.isfinite(x).all())
    return not isinstance(x, (float, np.floating)) or bool(np.isfinite(x))


def not_finite(x):
    """"nan" or "infinity": what x, which is not finite, has."""
    return "nan" if np.isnan(array_of(x)).any() else "infinity"


def born(array, came):
    """"nan" or "infinity" if the array has one that was not there before; else None.

    An infinity that comes in is often meant (a mask of -inf before softmax), and may go on. NaN
    never is: also one that came in with the data is an anomaly.
    """
    if finite(array):
        return None
    kind = not_finite(array)
    return kind if kind == "nan" or not came else None


def share(array):
    """How many numbers of an array are not finite: "2 of 6 numbers"."""
    return f"{int((~np.isfinite(array)).sum())} of {array.size} numbers"


# --- whose line it was ---------------------------------------------------------------------------

def user_line():
    """(file, line) of the innermost running frame outside this package, or None."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def in_a_rule():
    """Is a backward pass applying a rule? (Its operations run too when create_graph is on.)"""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "contributions" and code.co_filename.startswith(PACKAGE):
            return True
        frame = frame.f_back
    return False


def at(line):
    """The end of a message: where it was, and what stands there."""
    if line is None:
        return ""
    source = linecache.getline(*line).strip()
    return f"\n  in {line[0]}, line {line[1]}" + (f": {source}" if source else "")


# --- switches ------------------------------------------------------------------------------------

class set_detect_anomaly:
    """Switches detection on or off at once, or for a `with` block. (torch.autograd's.)

    mode: on or off, for all threads. check_nan=False looks at nothing. An anomaly is a RuntimeError
    that names the operation, its tensors and the user's line. PyTorch looks for NaN in backward
    passes only; here results are looked at as well, and infinity counts, unless it came in.
    """

    def __init__(self, mode, check_nan=True):
        self.previous = engine.observer
        engine.observer = Observer(bool(check_nan)) if mode else None

    def __enter__(self):
        return None

    def __exit__(self, *exception):
        engine.observer = self.previous


class detect_anomaly:
    """`with detect_anomaly(): ...` (or as a decorator) raises RuntimeError where the first NaN or
    infinity is born. See set_detect_anomaly (torch.autograd.detect_anomaly)."""

    def __init__(self, check_nan=True):
        self.check_nan, self.entered = check_nan, []

    def __enter__(self):
        self.entered.append(set_detect_anomaly(True, self.check_nan))

    def __exit__(self, *exception):
        self.entered.pop().__exit__(*exception)

    def __call__(self, function):
        @functools.wraps(function)
        def watched(*args, **kwargs):
            with detect_anomaly(self.check_nan):
                return function(*args, **kwargs)
        return watched


def is_anomaly_enabled():
    """Is detection on?"""
    return engine.observer is not None


def is_anomaly_check_nan_enabled():
    """Would a NaN be found? (PyTorch: also True while detection is off, its setting being kept.)"""
    return engine.observer is not None and engine.observer.check_nan
