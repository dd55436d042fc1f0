"""The wrong gradients themselves: what each mistake of a backward makes of a case.

The one trick: most wrong gradients are the right Jacobian given a wrong upstream gradient, or a
short formula of the arrays at hand. Each function here yields Forms: the student's numbers and the
wrong formula's. They are the same, or one is a constant times the other, which is a second mistake.

Letters: g is the upstream gradient, x the input, y the output, J the Jacobian.
"""

import itertools
from collections import namedtuple

import numpy as np

Form = namedtuple("Form", "key text yours made", defaults=(None,))

NEAR = 1e-4
MOST = 300_000  # entries of a Jacobian whose loops are gone through


def near(x, y, tolerance=NEAR):
    """Equal up to the error of the differences?"""
    if x is None or y is None or np.shape(x) != np.shape(y):
        return False
    scale = np.max(np.abs(y), initial=0.0)
    return bool(scale < np.inf and np.all(np.abs(x - y) <= tolerance * max(scale, 1e-6)))


def ratio(yours, made):
    """The number k with yours = k * made; None if there is none."""
    if yours is None or yours.shape != made.shape or not np.any(made):
        return None
    y, d = yours.ravel(), made.ravel()
    k = float(y @ d / (d @ d))
    return k if np.isfinite(k) and k and near(y, k * d) else None


def subsets(n, least=1):
    """All choices of axes, the smallest first."""
    return itertools.chain.from_iterable(itertools.combinations(range(n), k)
                                         for k in range(least, n + 1))


def words(axes):
    return "axis " + ", ".join(map(str, axes))


# --- the student's numbers, put right -------------------------------------------------------------

def unreduced(yours, at, name):
    """Summed over some axes it would be right."""
    right = at.right[name]
    if yours.size <= right.size:
        return
    for axes in subsets(yours.ndim):
        total = yours.sum(axis=axes)
        if total.size == right.size:
            yield Form(axes, f"shape {yours.shape}; sum over {words(axes)}",
                       total.reshape(right.shape), right)


def reshaped(yours, at, name):
    """The right numbers in a shape with more, or fewer, axes."""
    right = at.right[name]
    if yours.shape != right.shape and yours.size == right.size:
        yield Form("shape", f"shape {yours.shape} for {right.shape}", yours.reshape(right.shape),
                   right)


def transposed(yours, at, name):
    right = at.right[name]
    if right.ndim > 1 and right.T.shape == yours.shape:
        yield Form("T", "the transpose", yours, right.T)


def reordered(yours, at, name):
    """The right numbers in another order of axes, or backwards along some."""
    right = at.right[name]
    if yours.size != right.size or right.ndim > 4:
        return
    for order in ("C", "F"):
        for axes in itertools.permutations(range(right.ndim)):
            moved = np.transpose(right, axes).reshape(-1, order=order)
            yield Form((order, axes), f"the right numbers, in the order of axes {axes}",
                       yours.ravel(), moved)
    if yours.shape == right.shape:
        for axes in subsets(right.ndim):
            yield Form(("flip", axes), f"the right numbers, backwards along {words(axes)}", yours,
                       np.flip(right, axes))


def swapped(yours, at, name):
    """The right gradient of another input."""
    for other, right in at.right.items():
        if other != name and right.size > 1 and not near(right, at.right[name]):
            yield Form(other, f"it is the gradient of {other}", yours, right)


def zero(yours, at, name):
    if not np.any(yours) and np.any(at.right[name]):
        yield Form("0", "", yours, yours)


# --- the right Jacobian, a wrong upstream gradient ------------------------------------------------

def carried(at, name, g):
    """What the Jacobian makes of another upstream gradient."""
    return np.tensordot(g, at.J[name], g.ndim)


def upstream_forms(yours, at, name):
    """dout summed, averaged, transposed, absolute or masked before it is used."""
    g = at.g
    made = {f"dout averaged over {words(axes)}":
            np.broadcast_to(g.mean(axis=axes, keepdims=True), g.shape) for axes in subsets(g.ndim)}
    if g.ndim == 2 and g.shape[0] == g.shape[1]:
        made["dout.T for dout"] = g.T
    made.update({"dout**2 for dout": g**2, "abs(dout) for dout": np.abs(g),
                 "only dout > 0": g * (g > 0)})
    for text, other in made.items():
        if not near(other, g):
            yield Form(text, text, yours, carried(at, name, other))


def overwritten(yours, at, name):
    """Only the last (or first) of several uses arrives: one slice along an axis of dout, or the
    last contribution that a loop over dout makes to each entry."""
    for axis, size in enumerate(at.g.shape):
        for i in (size - 1, 0) if size > 1 else ():
            part = np.zeros_like(at.g)
            part[(slice(None),) * axis + (i,)] = at.g[(slice(None),) * axis + (i,)]
            place = "last" if i else "first"
            yield Form((axis, place), f"only the {place} index of axis {axis} of dout has arrived",
                       yours, carried(at, name, part))
    J = at.J[name]
    if at.arrays[name].shape == at.g.shape and diagonal(at, name) is None:
        yield Form("skip", "what goes straight on, past a branch (x + f(x)), has not arrived",
                   yours, at.right[name] - at.g)
    if not 0 < at.g.ndim < 5 or J.size > MOST or yours.shape != at.right[name].shape:
        return
    touched = np.abs(J) > 1e-8
    yield from last_of_loops(yours, at, name, touched)
    rows = tuple(range(at.g.ndim + 1, J.ndim))
    if rows:  # a whole row (the weights of one filter) is assigned, factors of 0 included
        whole = np.broadcast_to(touched.any(axis=rows, keepdims=True), J.shape)
        yield from last_of_loops(yours, at, name, whole)


def last_of_loops(yours, at, name, touched):
    """Each entry keeps the last contribution of a loop over some axes of dout."""
    J, right = at.J[name], at.right[name]
    shares = at.g.reshape(at.g.shape + (1,) * (J.ndim - at.g.ndim)) * J
    for looped in subsets(at.g.ndim):
        rest = tuple(axis for axis in range(at.g.ndim) if axis not in looped)
        sums, used = shares.sum(axis=rest), touched.any(axis=rest)
        for axes in itertools.permutations(range(len(looped))):
            order = (*axes, *range(len(looped), sums.ndim))
            contributions = sums.transpose(order).reshape(-1, *right.shape)
            uses = used.transpose(order).reshape(-1, *right.shape)
            last = len(uses) - 1 - uses[::-1].argmax(axis=0)
            made = np.take_along_axis(contributions, last[None], 0)[0]
            if not near(made, right):
                yield Form((looped, axes), "each entry has only its last contribution, in a loop "
                           f"over {words(tuple(looped[i] for i in axes))} of dout", yours, made)


def passed_on(yours, at, name):
    """The upstream gradient itself, stretched over the axes that were reduced."""
    x = at.arrays[name]
    yield Form("g", "", yours, at.g)
    for axes in subsets(x.ndim):
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        if at.g.ndim < x.ndim and np.prod(kept) == at.g.size:
            yield Form(("stretched", axes), "dout, copied to every entry", yours,
                       np.broadcast_to(at.g.reshape(kept), x.shape))


def max_unmasked(yours, at, name):
    """dout copied to all entries that a maximum was taken of."""
    x, J = at.arrays[name], at.J[name]
    flat = J.reshape(at.out.size, -1)
    if x.size <= at.out.size or np.count_nonzero(np.abs(flat) > 1e-6) != at.out.size:
        return
    if not near(np.abs(flat).max(axis=1), np.ones(at.out.size)):
        return
    if x.ndim == at.g.ndim and not any(n % max(m, 1) for n, m in zip(x.shape, at.g.shape)):
        d = at.g
        for axis, (n, m) in enumerate(zip(x.shape, at.g.shape)):
            d = np.repeat(d, n // m, axis)
        yield Form("repeat", "dout, copied to every entry", yours, d)
    for form in passed_on(yours, at, name):
        if form.made.shape == x.shape:
            yield form


def output_ignored(yours, at, name):
    """One of several outputs sends nothing back."""
    start = 0
    for i, shape in enumerate(at.shapes if len(at.shapes) > 1 else ()):
        g, size = at.g.copy(), int(np.prod(shape))
        g[start:start + size] = 0.0
        start += size
        yield Form(i, f"output {i}, of {len(at.shapes)}", yours, carried(at, name, g))


def jacobian(yours, at, name):
    """The Jacobian itself, where its transpose belongs: forward once more, of dout."""
    x, J = at.arrays[name], at.J[name]
    if x.shape == at.g.shape and x.ndim:
        made = np.tensordot(J, at.g, x.ndim)
        if not near(made, at.right[name]):
            yield Form("J", "what forward would make of dout", yours, made)


# --- entry by entry -------------------------------------------------------------------------------

def diagonal(at, name):
    """The derivative of each entry of an elementwise layer; None if it is not one."""
    x, J = at.arrays[name], at.J[name]
    if x.shape != at.out.shape or not x.size:
        return None
    square = J.reshape(x.size, x.size)
    slopes = np.diag(square)
    return slopes.reshape(x.shape) if near(square, np.diag(slopes), 1e-6) else None


def shares(at, name):
    """What each output's entry contributes to an input that is copied to the output's shape; None
    if an output depends on more than one entry."""
    x, J = at.arrays[name], at.J[name]
    if not 0 < x.size < at.out.size or len(at.shapes) > 1:
        return None
    flat = J.reshape(at.out.size, x.size)
    if (np.count_nonzero(np.abs(flat) > 1e-9, axis=1) > 1).any():
        return None
    return at.g * flat.sum(axis=1).reshape(at.out.shape)


def stretched(shape, to):
    """Does broadcasting make `to` of a smaller shape?"""
    try:
        return shape != to and np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def wrong_axis(yours, at, name):
    """A broadcast input's shares summed over other axes than it lacks."""
    found, right = shares(at, name), at.right[name].ravel()
    home = {axes for axes in subsets(at.g.ndim) if found is not None
            and near(found.sum(axis=axes).ravel(), right)}
    for text, d in (("dout", at.g), ("its shares", found)):
        if d is None:
            continue
        for axes in subsets(d.ndim):
            total = d.sum(axis=axes)
            if total.size == yours.size and axes not in home and ratio(
                    total.ravel(), right) is None:
                yield Form(axes, f"it is {text} reduced over {words(axes)}", yours.ravel(),
                           total.ravel())


def copies(at, name):
    """How many copies of each entry broadcasting has made; None if it is not broadcast."""
    return None if shares(at, name) is None else at.out.size // at.arrays[name].size


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# name, the function, {cause: wrong derivatives in x and y}: one line each
# fmt: off
KNOWN = (
    ("tanh", np.tanh, {
        "tanh-not-squared": (("1 - y", lambda x, y: 1 - y), ("y**2", lambda x, y: y**2),
                             ("1 + y**2", lambda x, y: 1 + y**2)),
        "derivative-from-input": (("1 - x**2", lambda x, y: 1 - x**2),)}),
    ("sigmoid", sigmoid, {
        "sigmoid-factor-missing": (("y", lambda x, y: y), ("1 - y", lambda x, y: 1 - y),
                                   ("y * y", lambda x, y: y * y),
                                   ("(1 - y)**2", lambda x, y: (1 - y)**2)),
        "derivative-from-input": (("x * (1 - x)", lambda x, y: x * (1 - x)),)}),
    ("exp", np.exp, {"derivative-from-input": (("x", lambda x, y: x),),
                     "power-exponent-not-reduced": (("x * y", lambda x, y: x * y),)}),
    ("sqrt", np.sqrt, {"derivative-from-input": (("1 / (2 * x)", lambda x, y: 0.5 / x),),
                       "power-exponent-not-reduced": (("sqrt(x) / 2", lambda x, y: y / 2),)}),
    ("log", np.log, {"derivative-from-input": (("1 / y", lambda x, y: 1 / y),),
                     "divided-by-derivative": (("x", lambda x, y: x),)}),
    ("1 / x", lambda x: 1 / x, {"derivative-from-input": (("-x**2", lambda x, y: -x**2),),
                                "power-exponent-not-reduced": (("-1 / x", lambda x, y: -1 / x),)}),
    ("softplus", lambda x: np.log1p(np.exp(x)), {
        "derivative-from-input": (("sigmoid(y)", lambda x, y: sigmoid(y)),)}),
    ("silu", lambda x: x * sigmoid(x), {
        "product-rule-wrong-factor": (("sigmoid(x)", lambda x, y: sigmoid(x)),
                                      ("x s (1 - s)", lambda x, y: x * sigmoid(x) * sigmoid(-x)))}),
    *((f"x**{n}", lambda x, n=n: x**n, {
        "power-factor-missing": ((f"x**{n - 1}", lambda x, y, n=n: x**(n - 1)),),
        "power-exponent-not-reduced": ((f"{n} * x**{n}", lambda x, y, n=n: n * x**n),)})
      for n in (2, 3, 4)),
)
# fmt: on


def slopes_of(cause):
    """The forms of the wrong derivatives of a known function, of one cause."""
    def forms(yours, at, name):
        x, y = at.arrays[name], at.out
        if yours.shape != y.shape or x.shape != y.shape or not x.size:
            return
        with np.errstate(all="ignore"):
            for function, f, wrong in KNOWN:
                for text, slope in wrong.get(cause, ()):
                    if near(y, f(x), 1e-6):
                        yield Form((function, text), f"{text} as the derivative of {function}",
                                   yours, at.g * slope(x, y))
    return forms


def derivative_at_output(yours, at, name):
    """The right function's derivative, taken at y: the cache holds the output, not the input."""
    if yours.shape != at.out.shape or diagonal(at, name) is None:
        return
    h, x = 1e-5, at.out
    try:
        sides = [np.asarray(at.layer.run({**at.values, name: x + s * h})[0][0]) for s in (1, -1)]
    except (ValueError, TypeError):
        return
    yield Form("y", "f'(y) for f'(x)", yours, at.g * (sides[0] - sides[1]) / (2 * h))


def divided(yours, at, name):
    """dout divided by the derivative, not multiplied."""
    slopes = diagonal(at, name)
    if slopes is not None and np.all(np.abs(slopes) > 1e-9) and yours.shape == slopes.shape:
        yield Form("1/f'", "dout / f'(x)", yours, at.g / slopes)


def other_factor(yours, at, name):
    """dout times the wrong factor: the input itself, another input, or the output."""
    x = at.arrays[name]
    if not fits(x.shape, at.g.shape) or (diagonal(at, name) is None and shares(at, name) is None):
        return
    with np.errstate(all="ignore"):
        for text, y in (*at.arrays.items(), ("out", at.out)):
            if y.ndim > at.g.ndim or not fits(y.shape, at.g.shape):
                continue
            for how, d in (("dout * {}", at.g * y), ("dout / {}", at.g / y),
                           ("dout / {}**2", at.g / y**2)):
                made = summed_to(d, x.shape)
                if ratio(made, at.right[name]) is None:
                    yield Form((how, text), "it is " + how.format(text), yours, made)
                    yield Form((how, text, "-"), "it is -" + how.format(text), yours, -made)
        made = summed_to(at.g, x.shape)
        if x.size < at.g.size and ratio(made, at.right[name]) is None:
            yield Form("g", "it is dout, summed: the other factor is missing", yours, made)


def fits(shape, to):
    return shape == to or stretched(shape, to)


def summed_to(d, shape):
    """A gradient of the output's shape, reduced to that of an input broadcast to it."""
    if d.shape == shape:
        return d
    d = d.sum(axis=tuple(range(d.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and d.shape[i] != 1)
    return d.sum(axis=axes, keepdims=True)


def masked_otherwise(yours, at, name):
    """relu, also a leaky one: passed on, or masked by the sign of the wrong thing."""
    x, y, g = at.arrays[name], at.out, at.g
    if x.shape != y.shape or not x.size:
        return
    slope = float(np.mean((y / np.where(x, x, 1))[x < 0])) if (x < 0).any() else 0.0
    if not abs(slope) < 0.9 or not near(y, np.where(x > 0, x, slope * x)):
        return
    for mask, text in ((np.ones_like(x), "no mask"), (g > 0, "masked by dout > 0"),
                       (x < 0, "masked by x < 0"), (y, "times the output"),
                       ((x > 0) & (g > 0), "masked by dout > 0 as well")):
        yield Form(text, text, yours, g * mask)
    if slope:
        for other, text in ((0.0, "0"), (slope * x, "slope * x"), (1 / slope, "1 / slope")):
            yield Form(text, f"{text} for the slope {slope:.4g} below 0", yours,
                       g * np.where(x > 0, 1.0, other))


def dropout_unmasked(yours, at, name):
    """dropout: the mask is missing, or was taken without the scale."""
    x = at.arrays[name]
    slopes = diagonal(at, name)
    if slopes is None or not (np.abs(slopes) < 1e-9).any():
        return
    scale = slopes[np.abs(slopes) > 1e-9]
    if not scale.size or not near(scale, np.full(scale.shape, scale[0])):
        return
    if near(at.out, np.maximum(x, 0)) or not near(at.out, x * slopes, 1e-6):
        return
    yield Form("all", "no mask", yours, at.g)
    if abs(scale[0] - 1) > NEAR:
        yield Form("scaled", f"no mask, but the scale {scale[0]:.4g}", yours, at.g * scale[0])
        yield Form("unscaled", f"the mask without the scale {scale[0]:.4g}", yours,
                   at.g * (slopes != 0))
        yield Form("twice", f"the scale {scale[0]:.4g} twice", yours, at.g * slopes * scale[0])
