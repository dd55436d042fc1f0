"""Which mistake is in a layer's backward: `diagnose_backward(forward, backward, inputs)`.

The one trick: the right gradients need no formula: central differences of the student's own
forward, against a random upstream gradient, give them. A mistake is a way to make a wrong gradient
from the right one (or from the arrays at hand); the one that gives the student's numbers is named.
"""

import random
from collections import namedtuple

import numpy as np

from minigrad.coursework.engines.diagnosis import shown
from minigrad.coursework.hints import Found
from minigrad.coursework.layers.adapters import (
    ForwardError,
    ObjectLayer,
    StudentError,
    layer_of,
    told,
)
from minigrad.coursework.layers.cases import (
    SINGLE,
    TooLarge,
    case,
    contracted,
    elementwise,
    oblong,
    outputs,
    plain,
    prepared,
    resized,
    smaller,
    square,
    subgradients,
    with_zero_row,
    with_zeros,
)
from minigrad.coursework.layers.faults import BY_ID, FAULTS, ORDER, VAGUE, constants
from minigrad.coursework.layers.forms import MOST, near, ratio
from minigrad.coursework.layers.formulas import softmax_axes

Difference = namedtuple("Difference", "input index yours right")
Finding = namedtuple("Finding", "claims first worst only_kinks")

AT_ZERO = ("relu-gradient-at-zero",)
ONE_USE, PASSED_ON = ("overwrites-gradient",), ("local-derivative-missing",)
CHANGES = ("cache-changed",)  # then there are no numbers to explain
NOISE = 1e-10  # rounding of the output, over the step of the differences
AVERAGED = {("mean-for-sum",), ("broadcast-averaged",)}
AVERAGES = ("the gradients of the parameters are averaged over the batch, as deeplearning.ai and "
            "early versions of CMU 11-785 define them")


class BackwardDiagnosis(Found):
    """What diagnose_backward found: print() it.

    verdict: "correct", "convention" (another subgradient at a kink, or averages over the batch,
    as some courses define them), "mistake" or "unknown". causes: ids, none of them if a gradient
    stays unknown. by_input: {input: (id, what exactly)}, two ids joined by " + ". ties: other sets
    of ids with the same numbers. first_difference: (input, index, yours, right). residual: the
    largest unexplained relative difference. unexplained: inputs whose gradient no known mistake
    gives. notes: what else was seen, and what could not be told apart.
    """

    def __init__(self, chosen, others, first, residual, unexplained, notes=(), averaged=False):
        self.first_difference, self.residual = first, residual
        self.unexplained, self.notes = unexplained, tuple(notes)
        self.by_input = {name: (" + ".join(ids), detail) for name, (ids, detail) in chosen.items()}
        self.ids = {name: ids for name, (ids, _) in chosen.items()}
        known = union(self.ids)
        self.causes = known if not unexplained else CHANGES if CHANGES[0] in known else ()
        self.others = others
        self.ties = [union({**self.ids, name: ids}) for name, sets in others.items()
                     for ids in sets if not unexplained]
        known = averaged or all(BY_ID[cause].course for cause in self.causes)
        self.verdict = ("unknown" if unexplained and not self.causes else
                        "correct" if not self.causes
                        else "convention" if known else "mistake")

    def where(self):
        return "look at the gradient of " + ", ".join([*self.by_input, *self.unexplained])

    def concepts(self):
        return [BY_ID[cause].concept for cause in self.causes]

    def formulas(self):
        return [BY_ID[cause].formula for cause in self.causes]

    def report(self):
        yield self.verdict + (": " + ", ".join(self.causes) if self.causes else "")
        for name, (_, detail) in self.by_input.items():
            titles = "; and ".join(BY_ID[cause].title for cause in self.ids[name])
            place = {"dout": "", "cache": ""}.get(name, f"gradient of {name}: ")
            yield f"  {place}{titles}" + (f" ({detail})" if detail else "")
        for name in self.unexplained:
            yield f"  gradient of {name}: wrong, but no known mistake gives these numbers"
        for name, sets in self.others.items():
            yield f"  as well for {name}: {', '.join(' + '.join(ids) for ids in sets)}"
        d = self.first_difference
        if d is not None:
            at = f"[{', '.join(map(str, d.index))}]" if d.index else ""
            yield (f"first difference: the gradient of {d.input}{at}: yours {shown(d.yours)}, "
                   f"right {shown(d.right)}")
        for note in self.notes:
            yield f"note: {note}"


def union(ids):
    return tuple(dict.fromkeys(cause for found in ids.values() for cause in found))


# --- the student's gradients ----------------------------------------------------------------------

def given(at):
    """(the gradients by input, those of another upstream gradient, ids of what else backward does).
    """
    outs = list(parts(at, at.g))
    kept = [g.copy() for g in outs]
    _, _, back, _ = outputs(at.layer, at.values)
    first = back(outs)
    besides = [] if all(map(np.array_equal, outs, kept)) else ["upstream-changed-in-place"]
    owned = isinstance(at.layer, ObjectLayer)
    second = back(list(parts(at, at.g)))
    if any(not same(second.get(name), d) for name, d in first.items()
           if not (owned and at.layer.owns(name))):  # parameters' gradients may be added up
        besides.append("cache-changed")
    if not at.layer.has_upstream:
        return first, {}, besides
    return first, outputs(at.layer, at.values)[2](list(parts(at, 1.0 - 2.5 * at.g))), besides


def parts(at, g):
    """The upstream gradient of each output."""
    start, flat = 0, np.ravel(g)
    for shape in at.shapes:
        size = int(np.prod(shape))
        yield flat[start:start + size].reshape(shape).copy()
        start += size


def same(x, y):
    if x is None or np.shape(x) != np.shape(y):
        return False
    scale = max(np.max(np.abs(y), initial=0.0), 1e-3)
    return bool(np.all((np.abs(x - y) <= 1e-5 * scale) | (np.isnan(x) & np.isnan(y)) | (x == y)))


# --- one gradient in one case ---------------------------------------------------------------------

def judged(at, name, yours, other):
    """A Finding about a gradient that is wrong; None if it is right."""
    right = at.right[name]
    bent, low, high = subgradients(at, name)
    tolerance = max(at.tolerance, 1e-4 if yours.dtype == np.float32 else 0.0)
    if yours.shape != right.shape:
        first = Difference(name, (), f"shape {yours.shape}", f"shape {right.shape}")
        return Finding(explained(yours, at, name, other, bent, tolerance), first, np.inf, False)
    scale = max(np.max(np.abs(right), initial=0.0), 1e-6)
    noise = NOISE * max(1.0, np.abs(at.out).max(initial=0.0)) * at.g.size**0.5
    slack = np.where(bent, max(tolerance, 1e-4), tolerance) * scale + noise
    wrong = ~((yours >= low - slack) & (yours <= high + slack))  # nan is wrong, too
    if not wrong.any():
        return at_zero(at, name, yours, bent)
    index = tuple(map(int, np.argwhere(wrong)[0]))
    first = Difference(name, index, float(yours[index]), float(right[index]))
    worst = float(np.abs(yours - right)[wrong].max() / scale)
    only = not (wrong & ~bent).any()
    claims = {} if only else explained(yours, at, name, other, bent, tolerance)
    return Finding(claims, first, worst, only)


def at_zero(at, name, yours, bent):
    """The Finding that relu passes on something where its input is 0; None if it does not, or if
    the output is not that of a relu."""
    left, after, J = at.left[name], at.after[name], at.J[name]
    kink = (np.minimum(np.abs(left), np.abs(after)) < 1e-6) & (np.abs(left - after) > 1e-2)
    zero = np.abs(at.out).reshape(at.out.shape + (1,) * (J.ndim - at.out.ndim)) < 1e-9
    dead = zero & ~(np.abs(J) > 1e-9).any(axis=tuple(range(at.out.ndim, J.ndim)), keepdims=True)
    relu = at.arrays[name].shape == at.out.shape and near(at.out, np.maximum(at.arrays[name], 0))
    if np.min(at.out, initial=0) < 0 or (kink & ~zero).any() or not (relu or dead.any()):
        return None  # a relu is flat on one side, and has units that are off; a maximum has none
    held = np.tensordot(at.g, np.where(kink, 0.0, J), at.g.ndim)
    passed = np.tensordot(at.g, np.where(kink, left + after, J), at.g.ndim)
    moved = bent & ~np.isclose(passed, held, rtol=1e-3, atol=1e-6)
    k = ratio((yours - held)[moved], (passed - held)[moved]) if moved.any() else None
    if k is None or not 1e-3 < k < 1.001:  # all of it, or the same share everywhere
        return None
    index = tuple(map(int, np.argwhere(moved)[0]))
    first = Difference(name, index, float(yours[index]), float(held[index]))
    return Finding({AT_ZERO: {"0": ""}}, first, 0.0, True)


def explained(yours, at, name, other, bent, tolerance):
    """{ids: {key: what exactly}}: the mistakes, alone and with a constant, that give `yours`."""
    yours = yours.astype(float)
    if not np.isfinite(yours).all():
        return {}
    found = {}
    if other is not None and np.any(yours) and near(other, yours, 1e-9):
        ones = contracted(at, np.ones(at.g.shape))
        found = {("upstream-ignored",): {"": ""}}
        if near(yours, ones.right[name], tolerance * 3):
            return found
        for ids, details in matches(yours, ones, name, bent, tolerance).items():
            if ids != ("constant-factor",) and len(ids) == 1:
                found[("upstream-ignored", *ids)] = details
        return found
    return matches(yours, at, name, bent, tolerance)


def matches(yours, at, name, bent, tolerance):
    found, right = {}, at.right[name]
    keep = ~bent.ravel()

    def claim(ids, key, text):
        found.setdefault(tuple(dict.fromkeys(ids)), {}).setdefault(key, text)

    def entries(x):
        x = np.ravel(x)
        return x[keep] if x.size == keep.size else x
    if yours.shape == right.shape and entries(yours).size:
        k = ratio(entries(yours), entries(right))
        for ids, key, text in constants(k, at, name) if k and abs(k - 1) > tolerance else ():
            claim(ids, key, text)
    for fault in FAULTS:
        for form in fault.forms(yours, at, name) if fault.forms else ():
            if np.shape(form.yours) != np.shape(form.made) or not np.isfinite(form.made).all():
                continue
            mine, made = entries(form.yours), entries(form.made)
            if near(mine, made, tolerance * 5):
                claim((fault.id,), form.key, form.text)
                continue
            k = ratio(mine, made) if mine.size > 1 else None
            if k is None or form.made.shape == right.shape and ratio(
                    made, entries(right)) is not None and form.yours is yours:
                continue
            for ids, key, text in constants(k, at, name):
                if "." not in text or "/" in text or "shape" in text:
                    claim((fault.id, *ids), (form.key, key), "; ".join(filter(None, (form.text,
                                                                                    text))))
    if any(isinstance(key, tuple) and key[0] == "use" for key in found.get(ONE_USE, ())):
        found.pop(PASSED_ON, None)  # dout itself is what one of several uses contributes
    return found


# --- the diagnosis --------------------------------------------------------------------------------

def diagnose_backward(forward, backward, inputs, *, seed=0):
    """The BackwardDiagnosis of a layer in CS231n's style.

    forward(*inputs) -> (out, cache); backward(dout, cache) -> the gradient of each input, in order
    (or a dict of "dx" or "x", or the one of the first input; None for what has none). Several
    outputs before the cache are taken, as is backward(cache, dout). backward=None: forward returns
    (loss, gradients), or is an object with forward and backward methods whose parameters are
    attributes, with gradients under dW, dLdW, grad_W or grads["W"].

    inputs: a dict, tuple or list of float arrays, of functions that make one, or of shapes, which
    are filled at random: non-square shapes tell a transpose. Integer arrays (labels), numbers,
    texts and dicts (bn_param) have no gradient, and are handed over as copies. Every case is tried
    at random entries, with exact zeros (where kinks are), and with sizes of its own if those given
    are alike. Raises TypeError if forward and backward are not of that form, ValueError if one of
    them fails, is not deterministic or not finite.
    """
    kept, kept_random = np.random.get_state(), random.getstate()
    try:
        return diagnosed(layer_of(forward, backward), inputs, np.random.default_rng(seed))
    finally:
        np.random.set_state(kept)
        random.setstate(kept_random)


def diagnosed(layer, inputs, rng):
    values, notes = prepared(inputs, layer, rng), []
    if isinstance(layer, ObjectLayer):
        values.update(layer.held(values))
    try:
        first = case(layer, values, rng)
    except TooLarge:
        values = smaller(layer, values, rng)
        if values is None:
            raise
        first = case(layer, values, rng)
        notes.append(f"the inputs are large; smaller ones were made: {told(values)}")
    if first.tolerance == SINGLE[1]:
        notes.append("forward computes in float32: three digits are compared")
    if any(x.ndim > 1 and not x.any() for x in first.arrays.values()):
        first = first._replace(role="zeros")
    try:
        results = [(first, given(first))]
    except StudentError as error:
        return of_square(layer, values, rng, error, notes)
    failures = []
    for role, made in more_cases(layer, values, rng, notes):
        try:
            at = case(layer, made, rng)._replace(role=role)
            if max(J.size for J in at.J.values()) <= MOST:  # what loops do is not gone through
                results.append((at, given(at)))
        except (StudentError, TooLarge, TypeError, ValueError) as error:
            if isinstance(error, StudentError) and not isinstance(error, ForwardError):
                failures.append(f"{error}")
    found = concluded(results, notes)
    if found.verdict != "correct":  # sizes of our own that forward took by chance say nothing
        found.notes += tuple(failures)
    return found


def of_square(layer, values, rng, error, notes):
    """backward fails with these shapes: its mistake can be seen if all sizes are alike."""
    made = square(layer, values, rng)
    if made is None:
        raise error
    try:
        results = [(at, given(at)) for at in (case(layer, made, rng),
                                              case(layer, resized(made, {}, rng), rng))]
    except (StudentError, TypeError, ValueError):
        raise error from None
    found = concluded(results, [*notes, f"{error}", f"what is named was seen with {told(made)}"])
    if found.verdict == "correct":
        raise error
    return found


def more_cases(layer, values, rng, notes):
    """Exact zeros, other random numbers, and other sizes."""
    yield "zeros", with_zeros(values)
    row = with_zero_row(values)
    if row is not None:
        yield "kinks", row
    hidden = plain(values)
    if hidden:
        notes.append(f"all entries of {', '.join(hidden)} are alike or symmetric, which hides "
                     "mistakes: random ones were tried as well")
    if hidden or sum(x.size for x in values.values() if isinstance(x, np.ndarray)) < 200:
        yield "", resized(values, {}, rng)
    other = oblong(layer, values, rng)
    if other is not None:
        yield "", other
    elif any(isinstance(x, np.ndarray) and x.ndim and x.shape[0] == 1 for x in values.values()):
        notes.append("with a batch of 1 a sum and a mean are the same; give more rows")


def gathered(results):
    """({input: its claims in all cases}, the first differences, {input: the worst})."""
    claims, firsts, worst, proven = {}, [], {}, set()
    off = (results[0][0].out == 0).any()  # units of a relu are; of a maximum, none
    for at, (found, others, _) in results:
        for name in (n for n in at.right if n in found):
            finding, alone = judged(at, name, found[name], others.get(name)), elementwise(at, name)
            if finding is None or at.role == "kinks" and not finding.only_kinks:
                continue
            if AT_ZERO in finding.claims and not (off or alone):
                continue
            if (not at.role or alone or AT_ZERO in finding.claims
                    or not np.isfinite(found[name]).all()):
                proven.add(name)
            firsts.append((finding.only_kinks, len(firsts), finding.first))
            worst[name] = max(worst.get(name, 0.0), finding.worst)
            merge(claims, name, finding, vetoes=not at.role)
    for name in claims.keys() - proven:  # at kinks inside: several may meet in one entry, whose
        del claims[name]                 # left and right derivatives do not bound what is allowed
    return claims, [first for first in firsts if first[2].input in claims], worst


def concluded(results, notes):
    """The BackwardDiagnosis of what all cases say together."""
    claims, firsts, worst = gathered(results)
    besides = [cause for _, (_, _, more) in results for cause in more]
    at, (found, _, _) = results[0]
    notes += unstable(at)
    silent = [n for n in at.right if n not in found and np.any(at.right[n])]
    if silent and not found:  # a forgotten return
        return missing(at, silent, notes)
    if silent:
        notes.append(f"no gradient of {', '.join(silent)} was returned: not checked")
    chosen, others = {}, {}
    exchanged = [name for name in claims if swapped(name, claims)]
    for name, (_, possible) in claims.items():
        if name not in exchanged:
            possible.pop(SWAPPED, None)
        elif ("product-rule-wrong-factor",) not in possible:
            claims[name] = False, {SWAPPED: possible[SWAPPED]}
    sets = [set(possible) for _, possible in claims.values() if possible]
    common = {ids for ids in set.intersection(*sets) if not SAYS_LITTLE & set(ids)
              } if len(sets) > 1 else set()
    for name, (_, possible) in claims.items():
        if possible:
            if len(possible) > 1:  # what else is wrong if dout is taken for 1 says more
                possible = {k: d for k, d in possible.items() if k != ("upstream-ignored",)}
            ordered = sorted(possible, key=lambda ids: rank(ids, ids in common))
            ids, details = ordered[0], possible[ordered[0]]
            chosen[name] = ids, next(iter(details.values()))
            ties = [o for o in ordered[1:] if len(o) == len(ids) and not VAGUE & set(o)]
            others.update({name: ties} if ties else {})
    unexplained = tuple(name for name, (_, possible) in claims.items() if not possible)
    notes += [block for name in unexplained if (block := confined(at, name, found[name]))]
    averaged = convention_of(at, found, chosen, unexplained, besides)
    notes += [AVERAGES] if averaged else []
    for cause in dict.fromkeys(besides):
        chosen["dout" if "upstream" in cause else "cache"] = (cause,), ""
    residual = max((worst[name] for name in unexplained), default=0.0)
    first = min(firsts)[2] if firsts else None
    return BackwardDiagnosis(chosen, others, first, residual, unexplained,
                             dict.fromkeys(notes), averaged)


SWAPPED = ("gradients-swapped",)
SAYS_LITTLE = VAGUE - {"local-derivative-missing"}


def swapped(name, claims):
    """Is this gradient that of another input, and that one's the gradient of a third?"""
    return any(SWAPPED in claims.get(other, ((), {}))[1]
               for other in claims[name][1].get(SWAPPED, ()))


def confined(at, name, yours):
    """A note, if all that is wrong stands side by side in the last axis: one gate of an LSTM."""
    right = at.right[name]
    if yours.shape != right.shape or not right.ndim:
        return None
    off = np.abs(yours - right) > 1e-4 * max(np.abs(right).max(initial=0.0), 1e-6)
    columns = np.flatnonzero(off.any(axis=tuple(range(right.ndim - 1))))
    if not columns.size or columns.size == right.shape[-1] or np.ptp(columns) >= columns.size:
        return None
    return f"of {name}, only [..., {columns[0]}:{columns[-1] + 1}] is wrong"


def missing(at, silent, notes):
    """The BackwardDiagnosis of a backward that returned no gradient at all."""
    chosen = {name: (("gradient-missing",), "backward returned None") for name in silent}
    index = tuple(map(int, np.argwhere(at.right[silent[0]])[0]))
    first = Difference(silent[0], index, "None", float(at.right[silent[0]][index]))
    return BackwardDiagnosis(chosen, {}, first, 0.0, (), notes)


def merge(claims, name, finding, vetoes):
    """What explains a gradient in all cases. Those wrong at kinks alone say least, and exact zeros
    may hide what would fit (a factor of 0, a kink): they narrow claims down, but refute none."""
    old_kinks, old = claims.get(name, (None, None))
    if old is None or (old_kinks and not finding.only_kinks):
        claims[name] = finding.only_kinks, finding.claims
    elif not finding.only_kinks:
        kept = {ids: {key: text for key, text in old[ids].items() if key in details}
                for ids, details in finding.claims.items() if ids in old}
        kept = {ids: details for ids, details in kept.items() if details}
        if kept or vetoes:
            claims[name] = False, kept
    elif old_kinks:
        claims[name] = True, {ids: d for ids, d in old.items() if ids in finding.claims}


def rank(ids, common):
    """Fewest first; then what explains all that is wrong; then in the order of the table."""
    return len(ids), not common, [ORDER.get(cause, 0) for cause in ids]


def unstable(at):
    """A note, if forward is a softmax that fails for large logits."""
    for name, x in at.arrays.items():
        if softmax_axes(at, name) is not None:
            made = outputs(at.layer, {**at.values, name: x + 1000.0})[0]
            if not np.isfinite(made).all():
                return ["forward gives nan for logits around 1000 (softmax-unstable): subtract "
                        "the maximum of each row before np.exp"]
    return []


def convention_of(at, found, chosen, unexplained, besides):
    """Are the gradients of all parameters, and only they, averaged over the batch?"""
    names = [name for name in at.right if name in found]
    return bool(len(chosen) > 1 and not unexplained and not besides and [*chosen] == names[1:]
                and all(ids in AVERAGED for ids, _ in chosen.values()))
