"""The cases on which a layer's backward is tried, and the right gradients in them.

The one trick: the right gradients need no formula. Central differences of the student's own forward
give the Jacobian J of each input, and J with any upstream gradient g gives the right gradient.

Letters: g is the upstream gradient (dout), J[o, i] the derivative of output o by entry i.
"""

import itertools
import time
from collections import namedtuple

import numpy as np

from minigrad.coursework.layers.adapters import StudentError, told

# role: "" for random numbers; "zeros" and "kinks" where some are 0, which may hide what would fit
Case = namedtuple("Case", "layer values arrays settings out g J left after right tolerance shapes "
                  "role", defaults=("",))

STEP = 1e-5         # of the differences, relative to an entry of 1
TOLERANCE = 2e-6    # of a gradient, relative to its largest entry
SINGLE = (1e-2, 1e-3)   # the same if forward computes in float32
ENTRIES = 4_000_000     # of a Jacobian, at most
SECONDS = 8.0           # for the differences of a case, at most


def prepared(inputs, layer, rng):
    """The inputs by name: arrays, shapes filled at random, and settings as they are."""
    if not isinstance(inputs, dict):
        inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        names = layer.names()
        if names is None or len(names) < len(inputs):
            names = [f"x{i}" if i else "x" for i in range(len(inputs))]
        inputs = dict(zip(names, inputs))
    elif set(inputs) <= set(layer.names() or ()):  # gradients are returned in forward's order
        inputs = {name: inputs[name] for name in layer.names() if name in inputs}
    if not inputs:
        raise ValueError("diagnose_backward needs at least one input: an array or a shape")
    values = {name: value(x, rng) for name, x in inputs.items()}
    if not any(differentiable(x) for x in values.values()):
        values = {n: np.array(x) if isinstance(x, float) else x for n, x in values.items()}
    if not any(differentiable(x) for x in values.values()):
        raise ValueError("no input is an array of floats, so there is no gradient to look at: "
                         f"{told(values)}; give x.astype(float)")
    return values


def value(x, rng):
    """An input as it is handed to forward: float64 arrays; a shape is filled at random."""
    if callable(x):
        try:
            x = x(rng)
        except TypeError:
            x = x()
    if isinstance(x, tuple) and all(isinstance(n, (int, np.integer)) for n in x):
        return rng.standard_normal(x)
    if isinstance(x, (list, tuple)):
        made = np.array(x)
        x = made if made.dtype.kind in "biuf" else x
    if isinstance(x, (np.ndarray, np.floating)):
        x = np.array(x)
        return x.astype(float) if x.dtype.kind == "f" else x
    return x


def differentiable(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


# --- the right gradients --------------------------------------------------------------------------

def outputs(layer, values):
    """(the outputs of a run as one array, their shapes, back, is one of them float32?)"""
    outs, back = layer.run(values)
    shapes = [np.shape(o) for o in outs]
    single = any(getattr(o, "dtype", None) == np.float32 for o in outs)
    try:
        arrays = [np.asarray(o, dtype=float) for o in outs]
    except (TypeError, ValueError) as error:
        raise TypeError(f"forward's output is no array of numbers: {error}") from error
    out = arrays[0].copy() if len(arrays) == 1 else np.concatenate([o.ravel() for o in arrays])
    return out, shapes, back, single


def case(layer, values, rng):
    """A Case: the output, a random upstream, and the Jacobians. Raises ValueError, TypeError."""
    started = time.perf_counter()
    out, shapes, _, single = outputs(layer, values)
    seconds = time.perf_counter() - started
    if not np.isfinite(out).all():
        raise ValueError(f"forward's output is not finite ({int((~np.isfinite(out)).sum())} nan "
                         f"or inf) with {told(values)}: there is no gradient to compare. "
                         + (OVERFLOW if overflows(values) else
                            "Give other inputs, or mend forward first"))
    if not np.array_equal(out, outputs(layer, values)[0]):
        raise ValueError("forward is not deterministic: it gave other numbers for the same inputs, "
                         "so no gradient can be checked. Seed its random numbers in every call "
                         "(np.random.default_rng(0) inside forward)")
    arrays = {name: x for name, x in values.items() if differentiable(x)}
    entries = sum(x.size for x in arrays.values())
    if 2 * entries * seconds > SECONDS or out.size * entries > ENTRIES:
        raise TooLarge(f"the inputs have {entries} entries, and each takes two runs of forward; "
                       f"give smaller ones than {told(values)}")
    g = rng.standard_normal(out.shape) if layer.has_upstream else np.ones(out.shape)
    if not layer.has_upstream and out.size != 1:
        raise TypeError(f"backward takes no dout, but the output has shape {out.shape}; only the "
                        "gradient of a single number needs no dout")
    step, tolerance = SINGLE if single else (STEP, TOLERANCE)
    left, after = {}, {}
    for name in arrays:
        left[name], after[name] = differences(layer, values, name, out, step)
    J = {name: (left[name] + after[name]) / 2 for name in arrays}
    return contracted(Case(layer, values, arrays, settings(values), out, g, J, left, after, {},
                           tolerance, shapes), g)


OVERFLOW = ("Some inputs are large, and np.exp overflows above 709: a softmax subtracts the "
            "maximum of each row first (softmax-unstable)")


def overflows(values):
    return any(x.size and np.abs(x).max() > 300 for x in values.values() if differentiable(x))


def settings(values):
    """{name: number} of what is no array: reg=0.1, or {"p": 0.8}."""
    found = {n: x for n, x in values.items() if isinstance(x, float)}
    for name, x in values.items():
        if isinstance(x, dict):
            found.update({f"{name}[{key!r}]": p for key, p in x.items() if isinstance(p, float)})
    return found


class TooLarge(ValueError):
    """More entries than differences are good for."""


def contracted(at, g):
    """The case with another upstream gradient."""
    right = {name: np.tensordot(g, J, g.ndim) for name, J in at.J.items()}
    return at._replace(g=g, right=right)


def differences(layer, values, name, out, step):
    """The one-sided Jacobians (left, right) of an input, of shape out.shape + x.shape."""
    x = values[name]
    sides = np.empty((2, *out.shape, *x.shape))
    for index in np.ndindex(x.shape):
        h = step * max(1.0, abs(x[index]))
        for side, sign in enumerate((-1, 1)):
            moved = x.copy()
            moved[index] += sign * h
            h_exact = moved[index] - x[index]
            made = outputs(layer, {**values, name: moved})[0]
            sides[(side, ..., *index)] = (made - out) / h_exact
    return sides


def subgradients(at, name):
    """(where there is a kink, the least and the largest subgradient): one entry each per input."""
    left, after = at.left[name], at.after[name]
    bend = np.abs(left - after) > 1e-2 * np.maximum(1e-2, np.abs(left) + np.abs(after))
    axes = tuple(range(at.out.ndim))
    g = at.g.reshape(at.g.shape + (1,) * (left.ndim - at.g.ndim))
    middle = np.where(bend, 0.0, g * at.J[name])
    low = middle + np.where(bend, np.minimum(g * left, g * after), 0.0)
    high = middle + np.where(bend, np.maximum(g * left, g * after), 0.0)
    return bend.any(axis=axes), low.sum(axis=axes), high.sum(axis=axes)


def elementwise(at, name):
    """Does each entry of the output depend on the same entry of this input alone?"""
    x = at.arrays[name]
    if x.shape != at.out.shape:
        return False
    return not np.any(at.J[name].reshape(x.size, x.size)[~np.eye(x.size, dtype=bool)])


# --- cases of our own -----------------------------------------------------------------------------

def with_zeros(values):
    """The inputs with every third entry exactly 0, where most kinks are."""
    made = dict(values)
    for name, x in values.items():
        if differentiable(x) and x.size >= 3 and not only_bits(x):
            made[name] = x.copy()
            made[name].reshape(-1)[::3] = 0.0
    return made


def with_zero_row(values):
    """These with the whole first row of the first input 0, so that a product with weights is 0 as
    well: the kink of a relu behind it. None if there is no product."""
    first, *others = (x for x in values.values() if isinstance(x, np.ndarray))
    if not others or first.ndim != 2 or len(first) < 3 or not differentiable(first):
        return None
    made = with_zeros(values)
    name = next(n for n, x in values.items() if x is first)
    made[name] = made[name].copy()
    made[name][0] = 0.0
    return made


def only_bits(x):
    """Is x a mask, or one-hot? It is kept as it is."""
    return bool(x.size) and bool(np.isin(x, (0.0, 1.0)).all()) and len(np.unique(x)) == 2


def like(x, shape, rng):
    """Random numbers where x has its own: positive, or between 0 and 1, if x is."""
    if not differentiable(x) or only_bits(x):
        return np.resize(x, shape)
    if x.size and x.min() > 0:
        if x.max() < 1:
            total = x.sum(axis=-1) if x.ndim else x
            made = rng.uniform(0.1, 0.9, shape)
            return made / made.sum(-1, keepdims=True) if np.allclose(total, 1) and x.ndim else made
        return rng.uniform(x.min(), x.max() + 0.5, shape)
    scale = float(np.sqrt(np.mean(x**2))) if x.size else 1.0
    return rng.standard_normal(shape) * (scale or 1.0)


def resized(values, sizes, rng):
    """The inputs with other sizes: {(name, axis): size}."""
    made = {}
    for name, x in values.items():
        if not isinstance(x, np.ndarray):
            made[name] = x
            continue
        shape = tuple(sizes.get((name, i), n) for i, n in enumerate(x.shape))
        made[name] = like(x, shape, rng)
    return made


def runs(layer, values):
    """Does forward take these inputs, with a finite output?"""
    try:
        return bool(np.isfinite(outputs(layer, values)[0]).all())
    except (StudentError, TypeError, ValueError):
        return False


def axes_of(values):
    return {(name, i): n for name, x in values.items() if isinstance(x, np.ndarray)
            for i, n in enumerate(x.shape)}


def oblong(layer, values, rng):
    """The inputs with sizes that differ wherever forward allows it, or None: x (3, 3) @ w (3, 3)
    becomes (4, 5) @ (5, 6). An axis of 1 is left alone, unless there is but one: a batch of 1."""
    sizes, free = {}, axes_of(values)
    ones = [axis for axis, n in free.items() if n == 1]
    used = set(free.values()) | {0, 1}
    if len(ones) == 1:
        fresh = next(n for n in itertools.count(3) if n not in used)
        if runs(layer, resized(values, {ones[0]: fresh}, rng)):
            sizes[ones[0]] = fresh
            used.add(fresh)
    for size in sorted(set(free.values()) - {0, 1}):
        same = [axis for axis, n in free.items() if n == size]
        while len(same) > 1:
            fresh = next(n for n in itertools.count(3) if n not in used)
            groups = (group for k in (1, 2, 3) for group in itertools.combinations(same, k))
            found = next((group for group in itertools.islice(groups, 60)
                          if len(group) < len(same) and not torn(group, same, values)
                          and runs(layer, resized(values, {**sizes, **dict.fromkeys(group, fresh)},
                                                  rng))), None)
            if found is None:
                break
            sizes.update(dict.fromkeys(found, fresh))
            used.add(fresh)
            same = [axis for axis in same if axis not in found]
    return resized(values, sizes, rng) if sizes else None


def torn(group, same, values):
    """Would labels be one for each row no more? A forward that goes by len(y) takes no notice, and
    leaves rows out. group: axes that get another size, of those of the same size."""
    labels = [(name, i) for name, i in same if not differentiable(values[name])]
    return any((axis in group) != (other in group) for axis in labels for other in same
               if other[1] == axis[1])


def square(layer, values, rng):
    """The inputs with all sizes (but those of 1) alike, or None if forward does not take them."""
    for size in (4, 3, 6):
        made = resized(values, {axis: size for axis, n in axes_of(values).items() if n > 1}, rng)
        if runs(layer, made):
            return made
    return None


def smaller(layer, values, rng):
    """The inputs with each size above 6 replaced by a small one of its own, or None."""
    large = sorted({n for n in axes_of(values).values() if n > 6})
    names = {n: small for n, small in zip(large, itertools.count(4))}
    made = resized(values, {axis: names[n] for axis, n in axes_of(values).items() if n in names},
                   rng)
    for name, x in made.items():
        if isinstance(x, np.ndarray) and x.dtype.kind in "iu" and names:
            made[name] = x % 4
    return made if names and runs(layer, made) else None


def plain(values):
    """The inputs that hide a mistake: all entries equal, or symmetric."""
    found = []
    for name, x in values.items():
        if not differentiable(x) or x.size < 2 or only_bits(x):
            continue
        alike = x.ndim == 2 and x.shape[0] == x.shape[1] and np.array_equal(x, x.T)
        if alike or len(np.unique(x)) <= max(1, x.size // 3):
            found.append(name)
    return found
