"""Wrong gradients of the layers every course has: matrix products, softmax, normalization, losses.

The one trick: a layer is known by its numbers. If the output is that of a softmax (or of a batch
normalization, or of a hinge loss), the slips that are made in its backward are tried on it.

Letters: g is the upstream gradient, x the input, y the output, p probabilities, z = (x - mean)/std.
"""

import itertools

import numpy as np

from minigrad.coursework.layers.cases import differences, outputs
from minigrad.coursework.layers.forms import Form, fits, near, ratio, sigmoid, subsets, summed_to

PRODUCTS = ("{0} @ {1}", "{0}.T @ {1}", "{0} @ {1}.T", "{0}.T @ {1}.T")
EPS = (1e-5, 1e-8, 1e-6, 1e-3, 1e-12, 0.0, 1e-7, 1e-4, 1e-10, 1e-2)


# --- matrix products, with or without a nonlinearity behind them ----------------------------------

ACTIVATIONS = {  # cause of its absence, a name, what dout becomes behind it
    "linear": (None, lambda g, y: g),
    "relu": ("relu-mask-missing", lambda g, y: g * (y > 0)),
    "tanh": ("local-derivative-missing", lambda g, y: g * (1 - y**2)),
    "sigmoid": ("local-derivative-missing", lambda g, y: g * y * (1 - y)),
    "tanh, not squared": ("tanh-not-squared", lambda g, y: g * (1 - y)),
}


def flat2(x):
    """An array as a matrix: its first axis, and all others."""
    return x if x.ndim == 2 else x.reshape(len(x), -1) if x.ndim > 2 else None


def product_table(at):
    """{(activation, product): its value}: all products of dout with an input, either way round."""
    found = {}
    given = {**at.arrays, "out": at.out}
    stacked = at.g.ndim == 3 and all(x.ndim == 3 for x in at.arrays.values())
    form2 = (lambda x: x) if stacked else flat2
    others = {n: form2(x) for n, x in given.items() if x.ndim > 1 and x.size}
    for kind, (_, behind) in ACTIVATIONS.items():
        d = form2(behind(at.g, at.out)) if at.g.ndim > 1 else None
        arrays = {"dout": d, **{n: x for n, x in others.items() if n != "dout"}}
        for one, other in itertools.permutations(arrays, 2):
            x, w = arrays[one], arrays[other]
            if x is None or w is None or ("dout" not in (one, other) and kind != "linear"):
                continue
            for form in PRODUCTS:
                a = x.swapaxes(-1, -2) if "{0}.T" in form else x
                b = w.swapaxes(-1, -2) if "{1}.T" in form else w
                if a.shape[-1] == b.shape[-2]:
                    found[kind, form.format(one, other)] = a @ b
        if d is not None:
            found[kind, "sum over axis 0"] = d.sum(axis=0)
            found[kind, "sum over axis 1"] = d.sum(axis=1)
    return found


def product_forms(cause):
    """The forms of products with a wrong transpose (or behind another activation)."""
    def forms(yours, at, name):
        if at.g.ndim < 2 or len(at.shapes) > 1 or len(at.arrays) < 2:
            return
        table, right = product_table(at), at.right[name]
        home = next((key for key, made in table.items() if made.size == right.size
                     and ratio(right.ravel(), made.ravel()) is not None), None)
        scale = 1.0 if home is None else ratio(right.ravel(), table[home].ravel())
        for (kind, text), made in table.items():
            if home is not None and (kind, text) == home or made.size != yours.size:
                continue
            made = made * scale
            slip = ACTIVATIONS[kind][0] if home is None or home[0] == "linear" else (
                ACTIVATIONS[home[0]][0] if kind == "linear" else ACTIVATIONS[kind][0])
            behind = home is not None and kind != home[0] and text == home[1]
            turned = (home is None or kind == home[0]) and "sum" not in text
            if (behind and slip == cause) or (turned and cause == "matmul-not-transposed"):
                said = f"it is {text}" + (f" (for {home[1]})" if home and turned else "")
                if made.shape == yours.shape or behind:
                    yield Form((kind, text), said, yours.ravel(), made.ravel())
    return forms


# --- softmax --------------------------------------------------------------------------------------

def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax_axes(at, name):
    """The axis that the output sums to one over, if it is the softmax of the input; else None."""
    x, y = at.arrays[name], at.out
    if x.shape != y.shape or not x.ndim or not x.size:
        return None
    return next((axis for axis in range(x.ndim) if near(y, softmax(x, axis), 1e-6)), None)


def log_softmax_axis(at, name):
    """The same of log-softmax."""
    if np.any(at.out > 0):
        return None
    return softmax_axes(at._replace(out=np.exp(at.out)), name)


def softmax_diagonal(yours, at, name):
    y, g, axis = at.out, at.g, softmax_axes(at, name)
    if axis is not None:
        yield Form("y (1 - y)", "dout * y * (1 - y)", yours, g * y * (1 - y))
        yield Form("y", "dout * y", yours, g * y)
        yield Form("unweighted", "y * (dout - dout.sum())", yours,
                   y * (g - g.sum(axis, keepdims=True)))
        yield Form("factor y", "dout - (dout * y).sum(): y is missing", yours,
                   g - (g * y).sum(axis, keepdims=True))
        yield Form("not squared", "y * dout - (y * dout).sum()", yours,
                   g * y - (g * y).sum(axis, keepdims=True))
    elif log_softmax_axis(at, name) is not None:
        yield Form("1 - p", "dout * (1 - p)", yours, g * (1 - np.exp(y)))
        yield Form("1", "dout: the sum is missing", yours, g)


def softmax_axis(yours, at, name):
    for right_axis, of_sum in ((softmax_axes(at, name), lambda axis: at.out * (
                                   at.g - (at.g * at.out).sum(axis, keepdims=True))),
                               (log_softmax_axis(at, name), lambda axis: (
                                   at.g - np.exp(at.out) * at.g.sum(axis, keepdims=True)))):
        for axis in [*range(at.out.ndim), None] if right_axis is not None else ():
            if axis != right_axis:
                yield Form(axis, "summed over " + ("everything" if axis is None
                                                   else f"axis {axis}"), yours, of_sum(axis))


# --- normalization --------------------------------------------------------------------------------

def normalized(at, name):
    """(axes, z, std, the gradient that reaches z) of a normalization of this input, or None."""
    x, y = at.arrays[name], at.out
    if x.shape != y.shape or x.ndim < 2 or x.size < 4:
        return None
    for axes in subsets(x.ndim):
        mean = x.mean(axes, keepdims=True)
        for eps in EPS:
            std = np.sqrt(x.var(axes, keepdims=True) + eps)
            if np.any(std < 1e-9):
                continue
            z = (x - mean) / std
            for gamma, beta in affine(at, name):
                if near(y, z * gamma + beta, 1e-7):
                    return axes, z, std, at.g * gamma
    return None


def affine(at, name):
    """The scales and shifts that a normalization may have: none, or two other inputs."""
    yield 1.0, 0.0
    others = [x for n, x in at.arrays.items() if n != name and x.size]
    kinds = [[x for x in (o, *channels(o, at.out.ndim)) if fits(x.shape, at.out.shape)]
             for o in others]
    for some, more in itertools.permutations(kinds, 2):
        yield from itertools.product(some, more)


def channels(x, ndim):
    """A vector of scales along axis 1 of images."""
    return [x.reshape(1, -1, *[1] * (ndim - 2))] if x.ndim == 1 and ndim > 2 else []


def statistics_constant(yours, at, name):
    """Mean or variance taken for numbers that do not depend on the input."""
    found = normalized(at, name)
    if found is None:
        return
    axes, z, std, d = found
    level, slope = d.mean(axes, keepdims=True), z * (d * z).mean(axes, keepdims=True)
    yield Form("both", "mean and variance as constants", yours, d / std)
    yield Form("variance", "the variance as a constant", yours, (d - level) / std)
    yield Form("mean", "the mean as a constant", yours, (d - slope) / std)


def normalization_slips(yours, at, name):
    """Other slips in the three terms of a normalization's gradient."""
    found = normalized(at, name)
    if found is None:
        return
    axes, z, std, d = found
    g, full = at.g, centered(d, z, axes)
    if not near(g, d):
        yield Form("gamma", "gamma is missing", yours, centered(g, z, axes) / std)
    yield Form("std", "the division by std is missing", yours, full)
    yield Form("var", "divided by the variance, not by std", yours, full / std**2)
    yield Form("times", "multiplied by std", yours, full * std)
    yield Form("sums", "sums for means", yours,
               (d - d.sum(axes, keepdims=True) - z * (d * z).sum(axes, keepdims=True)) / std)
    yield Form("sign", "the variance's term has the wrong sign", yours,
               (d - d.mean(axes, keepdims=True) + z * (d * z).mean(axes, keepdims=True)) / std)
    for other in subsets(z.ndim):
        if other != axes:
            yield Form(other, f"means over axes {other}, not {axes}", yours,
                       centered(d, z, other) / std)


def centered(d, z, axes):
    return d - d.mean(axes, keepdims=True) - z * (d * z).mean(axes, keepdims=True)


def scale_of_raw_input(yours, at, name):
    """dgamma of the input (or the output), not of the normalized input."""
    for other, x in at.arrays.items():
        found = None if other == name else normalized(at, other)
        if found is None:
            continue
        axes, z, std, _ = found
        for text, factor in (("x", x), ("out", at.out), ("x - mean", z * std), ("1", 1 + 0 * z),
                             ("(x - mean) / var", z / std)):
            total = at.g * factor
            made = total.sum(axes) if total.sum(axes).size == yours.size else None
            if made is None and fits(yours.shape, total.shape):
                made = summed_to(total, yours.shape)
            made = made if made is not None else channel_sum(total, yours)
            if made is not None and not near(made.ravel(), at.right[name].ravel()):
                yield Form(text, f"it is sum(dout * {text})", yours.ravel(), made.ravel())


def channel_sum(total, yours):
    if total.ndim > 2 and yours.size == total.shape[1]:
        return total.sum(axis=(0, *range(2, total.ndim)))
    return None


# --- losses ---------------------------------------------------------------------------------------

def labels(at, name):
    """(scores, one-hot targets) if this input is scores and another input their labels."""
    x = at.arrays[name]
    if x.ndim != 2 or at.out.size not in (1, len(x)):
        return
    for other, y in at.values.items():
        if not isinstance(y, np.ndarray) or other == name:
            continue
        if y.dtype.kind in "iu" and y.shape in ((len(x),), (len(x), 1)) and y.size:
            if y.min() >= 0 and y.max() < x.shape[1]:
                yield x, np.eye(x.shape[1])[y.ravel()]
        elif y.shape == x.shape and y.dtype.kind in "fb":
            yield x, y.astype(float)


def scaled_to_right(at, name, formula):
    """The number that makes a formula the right gradient: 1/N, or dout/N; None if there is none."""
    right = at.right[name]
    i = np.argmax(np.abs(formula))
    if not formula.size or abs(formula.flat[i]) < 1e-9:
        return None
    rows = at.g.reshape(-1, 1) if at.out.size == len(formula) and at.out.size > 1 else 1.0
    formula = formula * rows
    k = right.flat[i] / formula.flat[i] if abs(formula.flat[i]) > 1e-9 else 0.0
    return k * rows if near(right, k * formula) else None


def cross_entropy_slips(cause):
    def forms(yours, at, name):
        for x, t in labels(at, name):
            p = softmax(x)
            k = scaled_to_right(at, name, p - t)
            if k is None:
                continue
            twice, across = softmax(p), softmax(x, 0)
            made = {
                "target-not-subtracted": (("p for p - y", p), ("-y for p - y", -t),
                                          ("-y / p: the loss alone", -t / p)),
                "softmax-missing": (("scores - y for p - y", x - t),
                                    ("exp(scores) - y", np.exp(x) - t)),
                "softmax-twice": (("softmax of p", twice - t),),
                "softmax-wrong-axis": (("softmax over axis 0", across - t),),
                "subtraction-sign": (("p + y for p - y", p + t),),
                "softmax-diagonal-only": (("only the entry of the label", t * (p - t)),
                                    ("the entry of the label is missing", (1 - t) * p)),
            }
            for text, formula in made.get(cause, ()):
                yield Form(text, text, yours, k * formula)
    return forms


def hinge_slips(yours, at, name):
    for x, t in labels(at, name):
        margins = x - (x * t).sum(1, keepdims=True) + 1
        mask = ((margins > 0) & (t == 0)).astype(float)
        k = scaled_to_right(at, name, mask - t * mask.sum(1, keepdims=True))
        if k is None:
            continue
        count = mask.sum(1, keepdims=True)
        yield Form("count", "the label's entry gets nothing", yours, k * mask)
        yield Form("once", "the label's entry is counted once, not once per margin", yours,
                   k * (mask - t * (count > 0)))
        yield Form("minus", "the label's entry is -1, not once per margin", yours, k * (mask - t))
        yield Form("self", "the label's own margin of 1 is counted", yours,
                   k * (mask + t - t * (count + 1)) + k * t)
        yield Form("values", "the margins for 1", yours,
                   k * (mask * margins - t * (mask * margins).sum(1, keepdims=True)))
        yield Form("sign", "the label's entry has the wrong sign", yours, k * (mask + t * count))


def binary_slips(yours, at, name):
    """Binary cross-entropy of probabilities or of logits."""
    x = at.arrays[name]
    for other, t in at.values.items():
        if not isinstance(t, np.ndarray) or other == name or t.shape != x.shape:
            continue
        with np.errstate(all="ignore"):
            inside = sigmoid(x) - t
            outside = (x - t) / (x * (1 - x))
            for text, base, wrong in (
                    ("x - y: that is the gradient by the logits", outside, x - t),
                    ("the division by 1 - x is missing", outside, (x - t) / x),
                    ("-y / x: the term of 1 - y is missing", outside, -t / x),
                    ("x - y for sigmoid(x) - y", inside, x - t),
                    ("sigmoid(x): the target is missing", inside, sigmoid(x)),
                    ("times y (1 - y) once more", inside, inside * sigmoid(x) * sigmoid(-x))):
                if np.isfinite(base).all() and np.isfinite(wrong).all():
                    k = scaled_to_right(at, name, base)
                    if k is not None:
                        yield Form(text, text, yours, k * wrong)


PENALTIES = {"decay-ignored": 0.0, "decay-half": 0.5, "decay-double": 2.0, "decay-sign": -1.0}


def penalty_slips(cause):
    """The gradient of a penalty (reg * sum(w**2)): missing, halved, doubled or of the wrong sign.
    What it is, is seen by setting reg to 0."""
    def forms(yours, at, name):
        right = at.right[name]
        for setting in at.settings if yours.shape == right.shape and yours.size > 1 else ():
            if not isinstance(at.values.get(setting), float):
                continue
            without = {**at.values, setting: 0.0}
            try:
                sides = differences(at.layer, without, name, outputs(at.layer, without)[0], 1e-5)
            except (ValueError, TypeError):
                continue
            rest = np.tensordot(at.g, sides.mean(axis=0), at.g.ndim)
            penalty = right - rest
            if near(penalty, 0 * penalty) or near(penalty, right):
                continue
            yield Form(setting, f"the term of {setting}", yours,
                       rest + PENALTIES[cause] * penalty)
    return forms
