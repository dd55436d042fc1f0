"""Which use of an input is missing: x + tanh(x) uses x twice, a recurrent net its W in every step.

The one trick: forward is given an array that counts the operations it goes into, and shows moved
numbers to one of them only. Differences then give what each single use contributes. The uses of an
entry add up to its gradient; whoever assigns where they should add keeps one of them.
"""

import time
from collections import namedtuple

import numpy as np

from minigrad.coursework.layers.cases import STEP, outputs
from minigrad.coursework.layers.forms import Form, near

Uses = namedtuple("Uses", "operations entries shares touched")

RUNS = 600      # of forward, for the uses of an input in a case, at most
SECONDS = 4     # for these
LEAST = 6       # entries that are enough to tell
MOST_USES = RUNS // LEAST
NAMED = 12      # uses that are looked at one by one

# What only moves numbers is no use yet: x[:, t], x.T, a padded x. Their entries are still x's.
MOVES = {np.reshape, np.transpose, np.ravel, np.squeeze, np.expand_dims, np.swapaxes, np.moveaxis,
         np.broadcast_to, np.copy, np.pad, np.flip, np.atleast_1d, np.atleast_2d}


class Tally:
    """The operations that an array went into: [(operation, shift)]. The one at `moved` sees the
    array plus its shift."""

    def __init__(self, moved=None):
        self.uses, self.moved = [], moved

    def shown(self, x, operation):
        """The plain array that an operation is given."""
        plain = np.asarray(x)
        if x.shift is None:
            return plain
        self.uses.append((operation, x.shift))
        return plain + x.shift if len(self.uses) - 1 == self.moved else plain


class Counted(np.ndarray):
    """An array that tells its tally of what it is used for."""

    def __array_finalize__(self, made_from):
        self.shift = self.tally = None

    def __deepcopy__(self, memo):
        return counted(np.array(self, subok=False), self.shift, self.tally)

    def __getitem__(self, key):
        plain = np.asarray(self)[key]
        return plain if self.shift is None else counted(plain, self.shift[key], self.tally)

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        if out:
            options["out"] = tuple(bare(x) for x in out)
        made = getattr(ufunc, method)(*shown(inputs, ufunc), **shown(options, ufunc))
        for x in out:
            if isinstance(x, Counted):  # x -= 1: no longer the input
                x.shift = None
        return out[0] if len(out) == 1 else still(made)

    def __array_function__(self, function, types, inputs, options):
        x, *rest = inputs or (None,)
        moves = function in MOVES and not any(isinstance(o, Counted) for o in rest)
        if moves and isinstance(x, Counted) and "constant_values" not in options:
            return x.moved(lambda array: function(array, *rest, **options))
        return still(function(*shown(inputs, function), **shown(options, function)))

    def moved(self, move):
        """The same view of the array and of its shift."""
        made = move(np.asarray(self))
        return made if self.shift is None else counted(made, move(self.shift), self.tally)

    def dot(self, other):  # of an ndarray it would ask nobody
        return np.dot(self, other)

    T = property(lambda self: self.moved(np.transpose))


def method(name):
    """An array's own method that moves numbers, as one of Counted."""
    return lambda self, *args, **options: self.moved(
        lambda array: getattr(array, name)(*args, **options))


for name in ("reshape", "transpose", "ravel", "flatten", "swapaxes", "squeeze", "copy", "astype"):
    setattr(Counted, name, method(name))


def counted(plain, shift, tally):
    """A Counted of an array, or of a single number."""
    made = np.array(plain).view(Counted) if np.ndim(plain) == 0 else plain.view(Counted)
    made.shift, made.tally = shift, tally
    return made


def still(made):
    """What an operation made, as a Counted that is not the input: h.dot(W) asks h, not W."""
    return made.view(Counted) if type(made) is np.ndarray else made


def bare(x):
    return np.asarray(x) if isinstance(x, Counted) else x


def shown(given, operation):
    """Arguments of an operation, with plain arrays where Counted ones are."""
    if isinstance(given, Counted):
        return bare(given) if given.tally is None else given.tally.shown(given, operation.__name__)
    if type(given) in (list, tuple):
        return type(given)(shown(x, operation) for x in given)
    if type(given) is dict:
        return {key: shown(x, operation) for key, x in given.items()}
    return given


# --- what each use contributes --------------------------------------------------------------------

def uses(at, name):
    """The Uses of an input in a case, of some of its entries: shares[use, entry] of the gradient;
    None if it has but one use, or if the shares do not add up to the right gradient."""
    x, rng = at.arrays[name], np.random.default_rng(0)

    def run(shift, moved=None):
        tally = Tally(moved)
        others = {n: still(x.copy()) for n, x in at.arrays.items()}
        made = outputs(at.layer, {**at.values, **others,
                                  name: counted(x.copy(), shift, tally)})[0]
        return made, tally.uses
    started = [time.perf_counter()]
    for _ in range(3):  # the shortest: others may have kept the machine busy
        seen = run(np.arange(1.0, x.size + 1).reshape(x.shape))[1]
        started.append(time.perf_counter())
    if not 1 < len(seen) <= MOST_USES:
        return None
    touched = np.array([np.isin(np.arange(1.0, x.size + 1), shift) for _, shift in seen])
    entries = np.flatnonzero(touched.any(axis=0))
    most = int(RUNS / 2 * x.size / max(touched.sum(), 1))
    if most < min(LEAST, x.size) or RUNS * min(np.diff(started)) > SECONDS:
        return None
    if len(entries) > most:
        entries = np.sort(rng.choice(entries, most, replace=False))
    shares = np.zeros((len(seen), len(entries)))
    for i, entry in enumerate(entries):
        h = STEP * max(1.0, abs(x.flat[entry]))
        shift = np.zeros(x.shape)
        for use in np.flatnonzero(touched[:, entry]):
            shift.flat[entry] = h
            above = run(shift.copy(), use)[0]
            shift.flat[entry] = -h
            shares[use, i] = np.sum(at.g * (above - run(shift.copy(), use)[0])) / (2 * h)
    if not near(shares.sum(axis=0), at.right[name].ravel()[entries]):
        return None
    return Uses([operation for operation, _ in seen], entries, shares, touched[:, entries])


def of_one_use(yours, at, name):
    """The gradient of one use where there are several, or of all but one."""
    if yours.shape != at.right[name].shape or not yours.size:
        return
    try:
        found = uses(at, name)
    except (TypeError, ValueError, IndexError):  # code that takes no array but NumPy's own
        return
    if found is None:
        return
    mine, total = yours.ravel()[found.entries], found.shares.sum(axis=0)
    count, columns = len(found.shares), np.arange(len(found.entries))
    made = {}  # {key: (text, shares)}: a key without the count, which other sizes change
    for place, use in (("last", count - 1 - found.touched[::-1].argmax(axis=0)),
                       ("first", found.touched.argmax(axis=0))):
        made["use", place] = (f"only the {place} of {count} uses has arrived",
                              found.shares[use, columns])
    matter = [use for use in range(count) if np.any(np.abs(found.shares[use]) > 1e-8)]
    for use in matter if len(matter) <= NAMED else ():
        said = f"use {use + 1} of {count} ({found.operations[use]})"
        made["use", use] = f"only {said} has arrived", found.shares[use]
        made["use", use, "not"] = f"{said} has not arrived", total - found.shares[use]
    for key, (text, share) in made.items():
        if np.any(share) and not near(share, total):
            yield Form(key, text, mine, share)
