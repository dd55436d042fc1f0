"""Which mistake is in a layer's backward: `diagnose_backward(forward, backward, inputs)`.

The one trick: the right gradients need no formula: central differences of the student's own
forward, against a random upstream gradient, give them. A mistake is a way to make a wrong gradient
from the right one (or from the arrays at hand); the one that gives the student's numbers is named.

Letters: g is the upstream gradient (dout), d a right gradient, x its input.
"""

from collections import namedtuple

import numpy as np

from minigrad.coursework.engines import shown
from minigrad.coursework.hints import asked
from minigrad.coursework.layer_faults import BY_ID, CLAIMS, VAGUE

Difference = namedtuple("Difference", "input index yours right")
Case = namedtuple("Case", "arrays out g right slopes")

STEP = 1e-5        # of the central differences, relative to an entry of 1
TOLERANCE = 1e-5   # of a gradient, relative to its largest entry


class BackwardDiagnosis:
    """What diagnose_backward found: print() it.

    verdict: "correct", "convention" (another subgradient at a kink), "mistake" or "unknown".
    causes: ids. by_input: {input: (id, what exactly)}. ties: other ids with the same numbers.
    first_difference: (input, index, yours, right). residual: the largest unexplained relative
    difference.
    """

    def __init__(self, by_input, ties, first, residual, unexplained):
        self.by_input, self.ties, self.first_difference = by_input, ties, first
        self.residual, self.unexplained = residual, unexplained
        self.causes = tuple(dict.fromkeys(cause for cause, _ in by_input.values()))
        courses = [BY_ID[cause].course for cause in self.causes]
        self.verdict = ("unknown" if unexplained else "correct" if not courses
                        else "convention" if all(courses) else "mistake")

    def hint(self, level="where"):
        """What a student may be told: "where", "concept" or "formula". ValueError otherwise."""
        level = asked(level)
        if level == "where":
            return "look at the gradient of " + ", ".join([*self.by_input, *self.unexplained])
        hints = [getattr(BY_ID[cause], level) for cause in self.causes]
        return "\n".join(hints) or "No known mistake reproduces these numbers."

    def __str__(self):
        lines = [self.verdict + (": " + ", ".join(self.causes) if self.causes else "")]
        for name, (cause, detail) in self.by_input.items():
            lines.append(f"  gradient of {name}: {BY_ID[cause].title}"
                         + (f" ({detail})" if detail else ""))
        for name in self.unexplained:
            lines.append(f"  gradient of {name}: wrong, but no known mistake gives these numbers")
        for name, others in self.ties.items():
            lines.append(f"  as well for {name}: {', '.join(others)}")
        d = self.first_difference
        if d is not None:
            at = f"[{', '.join(map(str, d.index))}]" if d.index else ""
            lines.append(f"first difference: the gradient of {d.input}{at}: yours "
                         f"{shown(d.yours)}, right {shown(d.right)}")
        return "\n".join(lines)

    __repr__ = __str__


# --- the right gradients --------------------------------------------------------------------------

def case(forward, arrays, rng):
    """A Case: inputs, the output, a random upstream, and the gradients by differences."""
    out = output(forward, arrays)
    g = rng.standard_normal(out.shape)
    right, slopes = {}, {}
    for name, x in arrays.items():
        if x.dtype.kind == "f":
            right[name], slopes[name] = differences(forward, arrays, name, g)
    return Case(arrays, out, g, right, slopes)


def output(forward, arrays):
    """What forward returns first, as an ndarray; its inputs are copies."""
    made = forward(*[x.copy() for x in arrays.values()])
    out = made[0] if isinstance(made, tuple) else made
    return np.asarray(out, dtype=float)


def differences(forward, arrays, name, g):
    """(the gradient of sum(out * g) by central differences, (left, right) slopes)."""
    x = arrays[name]
    middle = (output(forward, arrays) * g).sum()
    sides = np.empty((2, *x.shape))
    for index in np.ndindex(x.shape):
        h = STEP * max(1.0, abs(x[index]))
        for side, sign in enumerate((-1, 1)):
            moved = x.copy()
            moved[index] += sign * h
            value = (output(forward, {**arrays, name: moved}) * g).sum()
            sides[(side, *index)] = sign * (value - middle) / h
    return sides.mean(axis=0), sides


def kinks(slopes):
    """Where the slopes to the left and to the right differ: no derivative, but subgradients."""
    left, right = slopes
    return np.abs(left - right) > 1e-2 * np.maximum(1e-2, np.abs(left) + np.abs(right))


# --- the student's gradients ----------------------------------------------------------------------

def given(forward, backward, arrays, g):
    """(the gradients by input name, ids of what backward does besides)."""
    made = forward(*[x.copy() for x in arrays.values()])
    if not isinstance(made, tuple) or len(made) != 2:
        raise TypeError(f"forward returned a {type(made).__name__}; diagnose_backward expects "
                        "forward(*inputs) -> (out, cache) and backward(dout, cache) -> gradients")
    cache, upstream = made[1], g.copy()
    first = named(backward(upstream, cache), arrays)
    besides = ["upstream-changed-in-place"] if not np.array_equal(upstream, g) else []
    second = named(backward(g.copy(), cache), arrays)
    if any(not same(first[name], second[name]) for name in first):
        besides.append("cache-changed")
    return first, besides


def named(made, arrays):
    """The gradients that backward returned, {input: array}; a dict's "dx" or "x" is that of x."""
    if isinstance(made, dict):
        found = {name: made.get(name, made.get(f"d{name}")) for name in arrays}
    else:
        made = made if isinstance(made, (tuple, list)) else (made,)
        if len(made) > len(arrays):
            raise TypeError(f"backward returned {len(made)} gradients for {len(arrays)} inputs")
        found = dict(zip(arrays, made))
    return {name: np.array(d, dtype=float) for name, d in found.items() if d is not None}


def same(x, y, tolerance=TOLERANCE):
    if np.shape(x) != np.shape(y):
        return False
    scale = max(np.max(np.abs(y), initial=0.0), 1e-3)
    return bool(np.all((np.abs(x - y) <= tolerance * scale) | (np.isnan(x) & np.isnan(y))))


# --- the diagnosis --------------------------------------------------------------------------------

def diagnose_backward(forward, backward, inputs, *, seed=0):
    """The BackwardDiagnosis of a layer in CS231n's style.

    forward(*inputs) -> (out, cache); backward(dout, cache) -> the gradient of each input, in order
    (or a dict, or the one of the first input). inputs: a dict (or tuple) of float arrays, or of
    shapes, which are filled at random: non-square shapes tell a transpose. Integer arrays (labels)
    have no gradient. Every case is tried at random entries and with exact zeros, where kinks are.
    Raises TypeError if forward and backward are not of that form, ValueError if backward fails.
    """
    rng = np.random.default_rng(seed)
    arrays = prepared(inputs, rng)
    zeroed = {name: with_zeros(x) for name, x in arrays.items()}
    cases = [case(forward, arrays, rng), case(forward, zeroed, rng)]
    claims, bent, besides, first, residual = {}, {}, [], None, 0.0
    for at in cases:
        found, more = tried(forward, backward, at)
        besides += more
        for name in found:
            if name not in at.right:
                continue
            possible, worst, where = judged(at, name, found[name], backward, forward)
            if possible is not None and where is None:  # wrong at kinks alone
                bent.setdefault(name, possible)
            elif possible is not None:
                first = first or where
                old = claims.get(name, possible)
                claims[name] = {k: v for k, v in possible.items() if k in old}
                residual = max(residual, 0.0 if claims[name] else worst)
    claims = {**bent, **claims}
    by_input = {name: next(iter(found.items())) for name, found in claims.items() if found}
    ties = {name: [other for other in [*found][1:] if other not in VAGUE]
            for name, found in claims.items()}
    ties = {name: others for name, others in ties.items() if others}
    for cause in dict.fromkeys(besides):
        by_input.setdefault("dout" if "upstream" in cause else "cache", (cause, ""))
    unexplained = tuple(name for name, found in claims.items() if not found)
    return BackwardDiagnosis(by_input, ties, first, residual, unexplained)


def tried(forward, backward, at):
    """As `given`; an exception of the student's backward becomes one that tells the shapes."""
    try:
        return given(forward, backward, at.arrays, at.g)
    except (ValueError, IndexError) as error:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in at.arrays.items())
        raise ValueError(f"backward failed with inputs {shapes} and dout {at.g.shape}: {error}"
                         ) from error


def prepared(inputs, rng):
    """The inputs as a dict of arrays, shapes filled at random."""
    if not isinstance(inputs, dict):
        inputs = {f"x{i}" if i else "x": x for i, x in enumerate(inputs)}
    if not inputs:
        raise ValueError("diagnose_backward needs at least one input: an array or a shape")
    arrays = {}
    for name, x in inputs.items():
        if isinstance(x, tuple) and all(isinstance(n, int) for n in x):
            x = rng.standard_normal(x)
        x = np.array(x)
        arrays[name] = x.astype(float) if x.dtype.kind == "f" else x
    return arrays


def with_zeros(x):
    """x with every third entry exactly 0, where most kinks are."""
    if x.dtype.kind != "f" or x.size < 3:
        return x
    x = x.copy()
    x.reshape(-1)[::3] = 0.0
    return x


def judged(at, name, yours, backward, forward):
    """({id: detail} that explain a wrong gradient or None, how far off it is, the Difference)."""
    right, bent = at.right[name], kinks(at.slopes[name])
    if yours.shape == right.shape:
        apart = np.abs(yours - right)
        scale = max(np.max(np.abs(right), initial=0.0), 1e-3)
        wrong = ~(apart <= TOLERANCE * scale) & ~bent  # nan is wrong, too
        if not wrong.any():
            return kink_claims(at, name, yours, bent), 0.0, None
        index = tuple(map(int, np.argwhere(wrong)[0]))
        first = Difference(name, index, yours[index], right[index])
        worst = float(apart[~bent].max() / scale)
    else:
        first = Difference(name, (), f"shape {yours.shape}", f"shape {right.shape}")
        worst = np.inf
    again = {"backward": backward, "forward": forward}
    found = {}
    for claim in CLAIMS:
        detail = claim.test(yours, right, at, name, bent, again)
        if detail is not None:
            found.setdefault(claim.id, detail)
    return found, worst, first


def kink_claims(at, name, yours, bent):
    """What a gradient that is right elsewhere does at kinks: 0 is no news, else a convention."""
    if not bent.any():
        return None
    left, right = (side[bent] for side in at.slopes[name])
    least, most = np.minimum(left, right), np.maximum(left, right)
    slack = 1e-3 * np.maximum(1.0, np.abs(left) + np.abs(right))
    inside = (yours[bent] >= least - slack) & (yours[bent] <= most + slack)
    if not inside.all():
        return {}
    smallest = np.where(np.abs(left) < np.abs(right), left, right)
    if same(yours[bent], smallest, 1e-3):
        return None
    return {"relu-gradient-at-zero": "at entries that are exactly at a kink"}
