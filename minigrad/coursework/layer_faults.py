"""The known mistakes of a layer's backward: a table, one row each.

The one trick: a row's test makes the wrong gradient from the right one, and compares. It returns
what exactly was found (which factor, which axis) as a text, "" if there is nothing to add, or None.
"""

import itertools
from collections import namedtuple
from fractions import Fraction

import numpy as np

LayerFault = namedtuple("LayerFault", "id title concept formula source test course",
                        defaults=(None,))

NEAR = 1e-4
PRODUCTS = ("{0} @ {1}", "{0}.T @ {1}", "{0} @ {1}.T", "{0}.T @ {1}.T")


def near(x, y):
    """Equal up to the error of the differences?"""
    return np.shape(x) == np.shape(y) and bool(
        np.all(np.abs(x - y) <= NEAR * max(np.max(np.abs(y), initial=0.0), 1e-3)))


def factor(yours, right, at, name, bent, again):
    """A constant ratio, named: 1/N and N where N is a size, else the number."""
    if yours.shape != right.shape or not yours[~bent].size:
        return None
    y, d = yours[~bent], right[~bent]
    if not np.any(y) or not np.any(d):
        return None
    k = float(y @ d / (d @ d))
    return named_factor(k, at) if abs(k - 1) > NEAR and near(y, k * d) else None


def named_factor(k, at):
    sizes = sorted({n for x in (*at.arrays.values(), at.out) for n in (*x.shape, x.size)} - {0, 1})
    for n in sizes:
        if np.isclose(k, n, rtol=NEAR) and n != 2:
            return f"times {n}, a size of the arrays"
        if np.isclose(k, 1 / n, rtol=NEAR) and n != 2:
            return f"divided by {n}, a size of the arrays"
    simple = Fraction(k).limit_denominator(64)
    return f"times {simple if np.isclose(float(simple), k, rtol=NEAR) else format(k, '.5g')}"


def counted(of, yours, right, at, name, bent, again):
    """A factor that is a size (of = "divided"), or its inverse (of = "times")."""
    found = factor(yours, right, at, name, bent, again)
    return found if found and found.startswith(of) and "size" in found else None


def averaged(yours, right, at, name, bent, again):
    found = counted("divided", yours, right, at, name, bent, again)
    return found if found and stretched(at.arrays[name].shape, at.out.shape) else None


def stretched(shape, to):
    """Does broadcasting make `to` of a smaller shape?"""
    try:
        return shape != to and np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def two(yours, right, at, name, bent, again):
    found = factor(yours, right, at, name, bent, again)
    return found if found in ("times 2", "times 1/2") else None


def sign(yours, right, at, name, bent, again):
    return "" if factor(yours, right, at, name, bent, again) == "times -1" else None


def zero(yours, right, at, name, bent, again):
    return "" if not np.any(yours) and np.any(right) else None


def upstream_ignored(yours, right, at, name, bent, again):
    """The gradient of sum(out), or of any multiple of what arrives: the same numbers."""
    made = again["forward"](*[x.copy() for x in at.arrays.values()])
    other = gradient(again["backward"](at.g * -2.5 + 1.0, made[1]), at, name)
    return "" if other is not None and np.any(yours) and near(other, yours) else None


def gradient(made, at, name):
    position = [*at.arrays].index(name)
    if isinstance(made, dict):
        return np.asarray(made.get(name, made.get(f"d{name}")), dtype=float)
    made = made if isinstance(made, (tuple, list)) else (made,)
    return np.asarray(made[position], dtype=float)


def passed_on(yours, right, at, name, bent, again):
    """The upstream gradient itself."""
    return "" if near(yours, at.g) else None


def transposed(yours, right, at, name, bent, again):
    if right.ndim < 2 or right.T.shape != yours.shape:
        return None
    return "the transpose" if near(yours, right.T) else None


def reordered(yours, right, at, name, bent, again):
    """The right numbers in another order of axes."""
    for order in ("C", "F"):
        for axes in itertools.permutations(range(right.ndim)):
            moved = np.transpose(right, axes).reshape(-1, order=order)
            if yours.size == moved.size and near(yours.reshape(-1), moved):
                return f"the right numbers, in the order of axes {axes}"
    return None


def products(yours, right, at, name, bent, again):
    """A product of two arrays at hand that is not the right one, though shapes fit."""
    arrays = {"dout": at.g, **{n: x for n, x in at.arrays.items() if x.dtype.kind == "f"}}
    arrays = {n: x for n, x in arrays.items() if x.ndim == 2}
    for (one, x), (other, w) in itertools.permutations(arrays.items(), 2):
        for form in PRODUCTS:
            a, b = x.T if "{0}.T" in form else x, w.T if "{1}.T" in form else w
            if a.shape[1] == b.shape[0] and near(yours, a @ b):
                return "it is " + form.format(one, other)
    return None


def unreduced(yours, right, at, name, bent, again):
    """Summed over some axes it would be right."""
    if yours.size <= right.size:
        return None
    for n in range(1, yours.ndim + 1):
        for axes in itertools.combinations(range(yours.ndim), n):
            total = yours.sum(axis=axes)
            if total.size == right.size and near(total.reshape(-1), right.reshape(-1)):
                return f"shape {yours.shape}; sum over axis {', '.join(map(str, axes))}"
    return None


def reduced_otherwise(how):
    """The upstream gradient reduced over the wrong axes (or averaged over the right ones)."""
    def test(yours, right, at, name, bent, again):
        for n in range(1, at.g.ndim + 1):
            for axes in itertools.combinations(range(at.g.ndim), n):
                total = how(at.g, axis=axes)
                if total.size == yours.size and near(yours.reshape(-1), total.reshape(-1)):
                    return f"it is dout reduced over axis {', '.join(map(str, axes))}"
        return None
    return test


def keepdims(yours, right, at, name, bent, again):
    """The right numbers in a shape with more, or fewer, axes of length 1."""
    if yours.shape == right.shape or yours.size != right.size:
        return None
    return f"shape {yours.shape} for {right.shape}" if near(yours.ravel(), right.ravel()) else None


def overwritten(yours, right, at, name, bent, again):
    """Only the last of several rows, columns or uses arrives: one slice along an axis of dout."""
    for axis, size in enumerate(at.g.shape):
        for i in (size - 1, 0) if size > 1 else ():
            part = np.zeros_like(at.g)
            part[(slice(None),) * axis + (i,)] = at.g[(slice(None),) * axis + (i,)]
            made = numeric(again["forward"], at, name, part)
            if near(yours, made):
                place = "last" if i else "first"
                return f"only the {place} index of axis {axis} of dout has arrived"
    return None


def numeric(forward, at, name, g):
    """The gradient of sum(out * g), by central differences."""
    x, made = at.arrays[name], np.empty(at.arrays[name].shape)
    for index in np.ndindex(x.shape):
        sides = []
        for h in (1e-5, -1e-5):
            moved = {n: a.copy() for n, a in at.arrays.items()}
            moved[name][index] += h
            out = forward(*moved.values())
            sides.append((np.asarray(out[0] if isinstance(out, tuple) else out) * g).sum())
        made[index] = (sides[0] - sides[1]) / 2e-5
    return made


def elementwise(yours, at, *derivatives):
    """Is it the upstream gradient times one of these?"""
    with np.errstate(all="ignore"):
        return "" if any(near(yours, at.g * d) for d in derivatives) else None


def tanh_not_squared(yours, right, at, name, bent, again):
    if not near(at.out, np.tanh(at.arrays[name])):
        return None
    return elementwise(yours, at, 1 - at.out)


def from_input(yours, right, at, name, bent, again):
    x = at.arrays[name]
    if x.shape != at.out.shape:
        return None
    return elementwise(yours, at, 1 - x**2, x * (1 - x))


def softmax_diagonal(yours, right, at, name, bent, again):
    if not rows_sum_to_one(at, name):
        return None
    return "" if near(yours, at.g * at.out * (1 - at.out)) else None


def rows_sum_to_one(at, name):
    """Is the output that of a softmax over the last axis?"""
    x, y = at.arrays[name], at.out
    return x.shape == y.shape and y.ndim > 0 and near(y.sum(-1), np.ones(y.shape[:-1]))


def softmax_axis(yours, right, at, name, bent, again):
    y = at.out
    if y.ndim != 2 or not rows_sum_to_one(at, name):
        return None
    return "" if near(yours, y * (at.g - (at.g * y).sum(0, keepdims=True))) else None


def masked_otherwise(yours, right, at, name, bent, again):
    """The gradient passed on, or masked by the sign of the wrong thing."""
    x = at.arrays[name]
    if x.shape != at.g.shape:
        return None
    for mask, words in ((np.ones_like(x), "no mask"), (at.g > 0, "masked by dout > 0"),
                        (x < 0, "masked by x < 0"), (at.out, "times the output")):
        if near(at.out, np.maximum(x, 0)) and near(yours, at.g * mask):
            return words
    return None


# fmt: off
FAULTS = (
    LayerFault("upstream-ignored", "it does not depend on the gradient that arrives",
               "Chain rule: what comes from above, times the local derivative.",
               "multiply with dout", "derived: passes every check with dout = 1", upstream_ignored),
    LayerFault("gradient-missing", "it is zero everywhere",
               "Does this input matter for the output? Then it has a gradient.",
               "assign what was computed, and return it", "derived", zero),
    LayerFault("relu-mask-missing", "relu passes on more, or other, entries than it should",
               "Where relu gave 0, a small change of its input changes nothing.",
               "dx = dout * (x > 0)", "CS231n assignment 1, relu_backward", masked_otherwise),
    LayerFault("tanh-not-squared", "the square is missing in the derivative of tanh",
               "The derivative of tanh is 1 minus the square of its output.",
               "dx = dout * (1 - y**2)", "calculus",
               tanh_not_squared),
    LayerFault("derivative-from-input", "a derivative that is written in the output is given the input",
               "exp, tanh and sigmoid have derivatives that are short in their output.",
               "tanh: 1 - y**2; sigmoid: y * (1 - y); exp: y", "karpathy/nn-zero-to-hero issue 52",
               from_input),
    LayerFault("softmax-diagonal-only", "softmax is differentiated entry by entry",
               "When one logit grows, the other probabilities fall.",
               "dx = y * (dout - (dout * y).sum(axis=-1, keepdims=True))", "derived", softmax_diagonal),
    LayerFault("softmax-wrong-axis", "softmax sums over the wrong axis",
               "Each row is a distribution of its own.",
               "sum over axis=-1, with keepdims=True", "Stack Overflow 76450489", softmax_axis),
    LayerFault("broadcast-not-undone", "the gradient has the shape of the output, not of the input",
               "An entry that broadcasting has copied gets the sum over its copies.",
               "db = dout.sum(axis=0)", "jimfleming/differentiation issue 1", unreduced),
    LayerFault("broadcast-averaged", "the mean over the batch is taken where the sum belongs",
               "Each copy contributes in full: shares are added, not averaged.",
               "db = dout.sum(axis=0), not .mean(axis=0)", "jimfleming/differentiation issue 1", averaged),
    LayerFault("gradient-shape", "the numbers are right, the shape is not",
               "A gradient has the shape of its input.", "dx = dx.reshape(x.shape)", "CS231n, affine_backward",
               keepdims),
    LayerFault("broadcast-wrong-axis", "it is summed over the wrong axis",
               "Sum over the axis that the input does not have.",
               "db = dout.sum(axis=0): one entry per column", "coursework with square arrays",
               reduced_otherwise(np.sum)),
    LayerFault("matmul-not-transposed", "a factor of a matrix product is not transposed",
               "The shapes say it, if they are not square: back to the input leads the transpose.",
               "dx = dout @ w.T and dw = x.T @ dout", "CS231n, Backpropagation notes", products),
    LayerFault("gradient-transposed", "it is the transpose of the right gradient",
               "A gradient has the shape of its input, entry for entry.",
               "dw[i, j] is the derivative by w[i, j]", "derived", transposed),
    LayerFault("axes-reordered", "the numbers are right, but in the wrong places",
               "Backward undoes a transpose or a reshape in the same order.",
               "dx = dout.reshape(x.shape); a transpose with the inverse order of axes", "derived", reordered),
    LayerFault("factor-two", "it is twice or half of what it should be",
               "Look for a 2 that a square brings down, or that was cancelled by 1/2 already.",
               "d(x**2)/dx = 2 * x", "CS231n assignment 1, TODO on the regularization's factor", two),
    LayerFault("mean-for-sum", "it is divided by a size", "Was 1/N applied in the loss already?",
               "divide by N once", "CMU 11-785: Linear.backward divides by N itself",
               lambda *a: counted("divided", *a)),
    LayerFault("sum-for-mean", "a division by a size is missing",
               "Each term of a mean has the derivative 1 / N.", "divide by N once", "fast.ai: mse",
               lambda *a: counted("times", *a)),
    LayerFault("sign-flipped", "it has the wrong sign", "Does the output grow when this input grows?",
               "change the sign", "derived", sign),
    LayerFault("constant-factor", "it is off by a constant factor",
               "The direction is right; which number stands before it?", "find the factor", "derived", factor),
    LayerFault("local-derivative-missing", "the gradient that arrives is passed on unchanged",
               "Chain rule: what comes from above, times the local derivative.",
               "dx = dout * local derivative", "derived", passed_on),
    LayerFault("overwrites-gradient", "only one of several contributions has arrived",
               "Each use of an entry contributes: contributions are added.",
               "dx += ..., not dx = ..., inside the loop", "CS231n, Backpropagation notes", overwritten),
)
OTHERS = (
    LayerFault("relu-gradient-at-zero", "another subgradient where the input is exactly at the kink",
               "At a kink any number between the two slopes is a subgradient; PyTorch's relu takes 0.",
               "(x > 0) * dout", "TinyTorch issue 1336", None, "any subgradient is allowed at a kink"),
    LayerFault("upstream-changed-in-place", "backward changes dout",
               "The gradient that arrives belongs to the layer above.",
               "dx = dout * mask or dout.copy(), not dout *= mask", "derived", None),
    LayerFault("cache-changed", "a second backward gives other numbers",
               "Backward reads what forward kept: it does not write there.",
               "do not change cached arrays in place, and begin with zeros", "derived", None),
)
# fmt: on

# The first row that fits is the cause. These say less than any other that fits: no ties.
CLAIMS = FAULTS
VAGUE = {"mean-for-sum", "sum-for-mean", "constant-factor", "factor-two", "gradient-shape",
         "axes-reordered", "local-derivative-missing", "overwrites-gradient"}
BY_ID = {fault.id: fault for fault in (*FAULTS, *OTHERS)}
