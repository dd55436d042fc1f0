"""Is a loss what its record says? It is recorded again, for other numbers, and compared.

The one trick: what straight lines cannot follow (a branch on a number, a value taken out of the
record, a random number) shows when the same function is recorded for other data: other operations,
or other constants.
"""

import warnings

import numpy as np

from minigrad import random
from minigrad.beside import NotCompilable, Tracing
from minigrad.codegen.program import ordered
from minigrad.engine import Recorded, as_of, describe, mode, wrap

UNREPEATED = ("and the compiled step would not repeat that; do it outside loss_fn "
              "(after_backward), or train eagerly")


def all_of(data, parameters):
    return [t for t in (*data, *parameters) if isinstance(t, Recorded)]


def recorded(loss_fn, given, effects):
    """The loss of a call in which everything is recorded, what happens beside it in `effects`."""
    mode.tracing = effects
    try:
        return loss_fn(*given)
    finally:
        mode.tracing = None


def probe(loss_fn, given, parameters, other):
    """The records of loss_fn for other data, other parameters and other random numbers; None if it
    raises an error for them. Leaves everything as it was."""
    data = [wrap(other(t.array, i)) if isinstance(t, Recorded) else t
            for i, t in enumerate(given)]
    arrays, more = [p.array for p in parameters], Tracing(all_of(data, parameters))
    state = random.generator().bit_generator.state
    random.generator().bit_generator.state = np.random.PCG64(271828).state
    try:
        for i, p in enumerate(parameters):
            p.array = other(p.array, i)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss = recorded(loss_fn, data, more)
        return ordered(loss, [t for _, _, tensors, _ in more for t in tensors])
    except Exception:  # of the user's own code, for numbers that it was not meant for
        return None
    finally:
        for p, array in zip(parameters, arrays):
            p.array = array
        random.generator().bit_generator.state = state
        more.undo()


def compared(records, twins, names, effects):
    """Refuses what is not the same for other numbers; names the leaves that last."""
    if forms(records) != forms(twins):
        raise NotCompilable("compile: loss_fn takes another way for other numbers: an `if`, a "
                            "loop or an index in it depends on values, which straight lines "
                            "cannot; train eagerly, or use where() instead of if")
    known = {id(x) for _, _, tensors, _ in effects for x in tensors} | {*names}
    for i, (t, twin) in enumerate(zip(records, twins)):
        if t.op is None and t.array is twin.array and id(t) not in known and (
                t.memory is not None and t.memory.changed > effects.start
                and t.memory.exposed is None):
            raise NotCompilable(f"compile: loss_fn writes into the {describe(t)}, {UNREPEATED}")
        if t is twin and t.op is None:
            names.setdefault(id(t), f"s{i}")
        elif id(t) not in names and not alike(t, twin):
            raise NotCompilable(
                f"compile: the {describe(t)} holds values that change with the data or from "
                "time to time, but no recorded operation made them: values taken out by "
                "item(), numpy() or sort(), gradients without create_graph=True, or random numbers "
                "drawn in loss_fn (dropout is fine); train eagerly, or pass them as arguments")


def turned(array, i):
    """Other numbers of the same kind: in another order, and other signs and sizes."""
    if array.dtype.kind == "f":
        return np.atleast_1d(array)[::-1].reshape(array.shape) * np.asarray(
            -0.7 - 0.1 * (i % 5), array.dtype)
    return np.roll(array.reshape(-1)[::-1], 1).reshape(array.shape)


def alone(array, i):
    """Other numbers of the same kind: all positive; of whole numbers, all the same."""
    if array.dtype.kind == "f":
        return np.abs(array) * np.asarray(1.1 + 0.1 * (i % 5), array.dtype)
    return np.full_like(array, array.max() if array.size else 0)


def drawn(array, i):
    """Other numbers of the same kind: random ones of their size; of whole numbers, some of them."""
    rng = np.random.default_rng(i)
    if array.dtype.kind == "f":
        spread = np.std(array, where=np.isfinite(array)) if array.size > 1 else 0
        return (rng.normal(size=array.shape) * (spread or 1.0)).astype(array.dtype)
    return rng.choice(array.reshape(-1), array.shape) if array.size else array.copy()


WAYS = turned, alone, drawn


def forms(records):
    """What must be the same for other numbers: operations, shapes, and what comes from where."""
    places = {id(t): i for i, t in enumerate(records)}
    return [(t.op and t.op.name, t.array.shape, t.array.dtype,
             [places[id(as_of(x, t.order))] if isinstance(x, Recorded) else None
              for x in t.inputs]) for t in records]


def alike(t, twin):
    """Do a record and its twin have the same constants?"""
    if t.op is None:
        return np.array_equal(t.array, twin.array, equal_nan=t.array.dtype.kind == "f")
    for x, y in zip((*t.inputs, *t.options.values()), (*twin.inputs, *twin.options.values())):
        if not isinstance(x, Recorded) and not same(x, y):
            return False
    return True


def same(x, y):
    if isinstance(x, (tuple, list)):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return np.array_equal(x, y)
    return x is y or x == y or (x != x and y != y)
