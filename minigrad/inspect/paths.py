"""explain(loss, w, index): where one number of a gradient comes from, path by path.

The one trick: the chain rule is walked from both ends. From the loss, each record's rule sends a
gradient back along one path at a time: what reaches w[index] is the path's contribution, and the
contributions of all paths sum to the gradient. From w, a change of 1 is pushed forwards along the
same path. Rules only go backwards, but they are linear in g: where x sends back c(g), a change u of
x changes the output by d sum(c(g) * u) / dg, a gradient like any other. So every rule there is can
be read forwards as well, and none is written twice. At each tensor of a path the changes times the
gradients that arrive there sum to the same number: the contribution.

A residual network of 20 blocks has 2**20 paths. They are counted without being walked; where they
are too many, only the most promising ends of paths are kept at each tensor.

Letters: t a tensor and its record, i the position of an input, x that input, g a gradient, u a
change ("what t grows by if w[index] grows by 1, to first order").
"""

import difflib
import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minigrad import markup
from minigrad.backward import contributions, seed, sweep
from minigrad.engine import Recorded, as_of, describe, recording, wrap
from minigrad.inspect.cards import printable
from minigrad.inspect.contribution import words_of
from minigrad.inspect.expression import elementwise
from minigrad.inspect.pathtext import (DETAILED, explanation_lines, index_text, module_name, page,
                                       path_lines, short)
from minigrad.inspect.picture import Call, computed, give_names, make_cards, tensors

ALL, WORK = 200, 20_000  # so many paths, and rules on the way, are all walked
BEAM = 20                # otherwise: so many ends of paths are kept at each tensor
TRIED = 1024             # numbers in a result, up to which a rule is tried on each of them


def explain(loss, w, index=None, *, gradient=None, limit=10):
    """Where d loss / d w[index] comes from: a GradientExplanation, to print.

    loss: a tensor of one number, or of any shape with gradient= of that shape, as for backward().
    w: a tensor that loss was computed from (a parameter, an input, a result in between), or its
    name ("net.0.weight"). index: which number of w; not needed if it has only one.
    limit: most paths to keep, the largest first.

    Needs no backward() and changes no .grad. Raises TypeError or ValueError for what is no tensor
    of the graph, IndexError for an index out of range, and the errors of backward().
    (The chain rule as a sum over paths: Bauer, Computational Graphs and Rounding Error, 1974.)
    """
    if not isinstance(loss, Recorded):
        raise TypeError(f"explain: loss must be a Tensor, got {type(loss).__name__}")
    if isinstance(limit, bool) or not isinstance(limit, (int, np.integer)) or limit < 1:
        raise ValueError(f"explain: limit must be a whole number from 1 on, got {limit!r}")
    start = seed(loss, gradient, False)
    words = Words(loss)
    w = found(words, w)
    index = place(w, index, words)
    with recording(False), np.errstate(all="ignore"):
        return measured(Source(loss, start, w, index), int(limit), words)


@dataclass(eq=False)
class Source:
    """What is asked: the gradient of loss, started with `start`, for w[index]."""

    loss: object
    start: object
    w: object
    index: tuple


@dataclass(eq=False)
class Use:
    """One use of w: as input `position` of the record of `tensor`, and its share of the
    gradient. `where` is the path of the Module that used it, or ""."""

    tensor: object
    position: int
    share: float

    @property
    def where(self):
        return module_name(self.tensor)


@dataclass(eq=False)
class Local:
    """One step of a path, which enters `tensor` by input `position` (None: the path starts here).

    derivative: the local derivative, where each number of the result depends on one number of the
    input only (else None). change: what the tensor grows by if w[index] grows by 1, along this
    path only (None if the rule cannot tell). gradient: what arrives here, along this path only.
    All are arrays of the tensor's shape, and (change * gradient).sum() is `share`.
    """

    tensor: object
    position: object
    derivative: object
    change: object
    gradient: object

    @property
    def products(self):
        """change * gradient: which numbers of the tensor carry the contribution."""
        return None if self.change is None else times(self.change, self.gradient)

    @property
    def share(self):
        with np.errstate(all="ignore"):
            return None if self.change is None else float(self.products.sum())


@dataclass(eq=False, repr=False)
class Path:
    """One way from w (tensors[0]) to loss (tensors[-1]); `positions` are the inputs it enters by.
    `contribution` is its part of the gradient; print() shows its steps."""

    tensors: list
    positions: list
    contribution: float
    source: Source
    words: object

    @cached_property
    def locals(self):
        """The Local of each tensor, from w to loss. RuntimeError if values that a rule needs were
        changed in place since."""
        with recording(False), np.errstate(all="ignore"):
            return steps_of(self)

    def __str__(self):
        with np.errstate(all="ignore"):
            return "\n".join(path_lines(self, self.words))

    def __repr__(self):
        return f"<Path of {len(self.tensors)} tensors: {short(self.contribution)}>"


@dataclass(eq=False, repr=False)
class GradientExplanation:
    """d loss / d w[index] as a sum over paths. print() shows it.

    gradient: the number that backward() adds to w.grad[index]. uses: each Use of w, largest share
    first; the shares sum to the gradient. paths: up to `limit` Paths, the largest first.
    total_paths: how many there are. remainder: what those not in `paths` contribute together.
    exact: are those in `paths` certainly the largest?
    """

    source: Source
    gradient: float
    uses: list
    paths: list
    total_paths: int
    remainder: float
    exact: bool
    words: object

    @property
    def target(self):
        """What the gradient is of, as text: "net.0.weight[2, 3]"."""
        return printable(self.words.names[id(self.source.w)]) + index_text(self.source.index)

    def __str__(self):
        with np.errstate(all="ignore"):
            return "\n".join(explanation_lines(self))

    def __repr__(self):
        return (f"<GradientExplanation of {self.target}: {short(self.gradient)}, "
                f"{len(self.paths)} of {self.total_paths:,} paths>")

    def _repr_mimebundle_(self, include=None, exclude=None):
        """What a notebook shows. Never an exception."""
        plain = repr(self)
        try:
            plain = str(self)
            return markup.bundle(plain, page(self))
        except Exception as error:
            return markup.bundle(f"{plain}\n{error}")


# --- what was asked -------------------------------------------------------------------------------

class Words:
    """The names of all tensors behind loss, as pictures have them."""

    def __init__(self, loss):
        self.loss = loss
        self.order = tensors([loss])  # keeps alive what the ids below stand for
        groups = [Call(None, [t]) for t in self.order if computed(t)]
        cards, _ = make_cards(self.order, groups, [loss])
        self.names = give_names(cards)

    @cached_property
    def identifiers(self):
        """{id(tensor): its name as a word of Python}"""
        return words_of(self.names)

    def named(self, name):
        """The tensors whose own name it is, or else the one that is shown under it."""
        own = [t for t in self.order if getattr(t, "name", None) == name]
        return own or [t for t in self.order if self.names.get(id(t)) == name]


def found(words, w):
    """w itself, or the tensor of that name, if loss was computed from it."""
    if isinstance(w, str):
        w = called(words, w)
    elif not isinstance(w, Recorded):
        raise TypeError("explain: w must be a Tensor or the name of one, such as 'net.0.weight', "
                        f"got {type(w).__name__}")
    if any(t is w for t in words.order) and w.requires_grad:
        return w
    raise ValueError(f"explain: the {describe(w)} {reason(words, w)}")


def called(words, name):
    """The one tensor of that name."""
    same = words.named(name)
    if len(same) > 1:
        raise ValueError(f"explain: {len(same)} tensors behind loss are called {name!r}: pass the "
                         "tensor itself")
    if same and isinstance(same[0], Recorded):
        return same[0]
    known = [words.names[id(t)] for t in words.order
             if getattr(t, "requires_grad", False) and id(t) in words.names]
    near = difflib.get_close_matches(name, known, n=3) or known[:5]
    raise ValueError(f"explain: no tensor called {name!r} was used to compute loss; "
                     f"{'there are' if len(near) > 1 else 'there is'} "
                     + ", ".join(map(repr, near)))


def reason(words, w):
    """Why there is no gradient of loss for w, as the end of a sentence."""
    if not w.requires_grad:
        if any(t is w for t in words.order):
            return ("does not require grad, so loss has no gradient for it: set "
                    "requires_grad=True before the forward pass")
        return ("was not used to compute loss, and does not require grad: it was detached, made "
                "under no_grad(), or never given requires_grad=True")
    why = "was not used to compute loss"
    earlier = w.before
    while earlier is not None:
        if any(t is earlier for t in words.order):
            return f"{why}: loss used its value from before it was changed in place"
        earlier = earlier.before
    if w.memory is not None and any(getattr(t, "memory", None) is w.memory and t.op is None
                                    for t in words.order):
        return f"{why}: a detached copy of it was (.detach(), .data or no_grad() cut the graph)"
    if w.name and words.named(w.name):
        return (f"{why}: another tensor called {w.name!r} was. Is it of another model, or was it "
                "replaced after the forward pass?")
    if w.order > words.loss.order:
        return f"{why}: it was computed after loss"
    return (f"{why}, or only where no gradient flows: through .detach(), .item(), a comparison, "
            "or under no_grad()")


def place(w, index, words):
    """index as a tuple of non-negative ints, one for each dimension of w."""
    shape, name = w.array.shape, words.names.get(id(w), "w")
    if index is None:
        if w.array.size != 1:
            last = ", ".join(str(n - 1) for n in shape)
            which = (f"say which one: explain(loss, w, ({last},))" if len(shape) == 1 else
                     f"say which one, such as explain(loss, w, ({last}))") if w.array.size else \
                "so no gradient"
            raise ValueError(f"explain: {name} has {w.array.size} numbers (shape {shape}), {which}")
        return (0,) * len(shape)
    try:
        index = tuple(operator.index(k) for k in (index if isinstance(index, (tuple, list))
                                                  else (index,)))
    except TypeError:
        raise TypeError(f"explain: index must be whole numbers, one for each dimension of {name} "
                        f"(shape {shape}), got {index!r}") from None
    if len(index) != len(shape) or not all(-n <= k < n for k, n in zip(index, shape)):
        raise IndexError(f"explain: index {index} is out of range for {name} of shape {shape}")
    return tuple(k % n for k, n in zip(index, shape))


# --- backwards: which paths there are, and what each contributes ----------------------------------

def measured(source, limit, words):
    """The GradientExplanation: one sweep for the uses, one walk for the paths."""
    w, index, number, uses = source.w, source.index, 0.0, []
    edges, ways = {}, {source.loss: 1}  # t -> its (i, x); t -> number of paths from t to loss
    for t, g, shares in sweep([source.loss], [source.start], wanted=[w]):
        if t is w:
            number = float(g[index])
            edges[t] = []
            continue
        edges[t] = [(i, x) for i, x, _ in shares]
        for i, x, c in shares:
            ways[x] = ways.get(x, 0) + ways[t]
            if x is w:
                uses.append(Use(t, i, float(c[index])))
    uses.sort(key=lambda use: size_of(use.share), reverse=True)
    total, scalar = ways.get(w, 0), all(t.array.size == 1 for t in edges)
    every = total <= ALL and sum(ways[t] for t in edges) <= WORK
    ranks = None if every or scalar else changes(source, edges)
    ends = walked(source, edges, None if every else max(BEAM, limit), ranks)
    paths = [path_from(link, c, source, words) for c, link in ends[:limit]]
    for path in paths[:DETAILED]:
        path.locals  # now, before anyone changes the weights
    rest = sum(c for c, _ in ends[limit:]) if every else number - sum(c for c, _ in ends[:limit])
    return GradientExplanation(source, number, uses, paths, total, float(rest), every or scalar,
                               words)


def walked(source, edges, beam, ranks):
    """(contribution, link) of paths, the largest first; links lead from w to loss.

    With a beam, so many of the ways from a tensor to loss are kept. Where every tensor is one
    number this misses nothing: what is small here is small in all that it is multiplied with. For
    others `ranks`, the change of each tensor along all paths together, tell what to expect.
    """
    w = source.w
    useful, arrived = set(edges), {source.loss: [(source.start, None)]}
    for t, inputs in edges.items():  # youngest first; w, which everything leads to, is last
        if t is w:
            break
        ways = arrived.pop(t, [])
        if beam is not None and len(ways) > beam:
            u = None if ranks is None else ranks[t]
            ways = sorted(ways, key=lambda way: promise(way[0], u), reverse=True)[:beam]
        for g, link in ways:
            for i, x, c in contributions(t, g, useful=useful) if inputs else ():
                arrived.setdefault(x, []).append((c, (t, i, link)))
    ends = [(float(g[source.index]), link) for g, link in arrived.get(w, ())]
    return sorted(ends, key=lambda end: size_of(end[0]), reverse=True)


def size_of(number):
    """The key that sorts by absolute value; nan, which hides everything, comes first."""
    return float("inf") if np.isnan(number) else abs(number)


def promise(g, u):
    """How much a way to loss, along which g arrives, promises where w[index] changes t by u."""
    expected = 0.0 if u is None else size_of(times(u, g).sum())
    return expected, size_of(np.abs(g).sum())


def path_from(link, contribution, source, words):
    path = [source.w]
    positions = []
    while link is not None:
        t, i, link = link
        path.append(t)
        positions.append(i)
    return Path(path, positions, contribution, source, words)


# --- forwards: what a change of w[index] does -----------------------------------------------------

def times(u, factor):
    """u * factor, where what does not change (u is 0) counts for 0, whatever the factor."""
    with np.errstate(all="ignore"):
        return np.multiply(u, factor, out=np.zeros_like(u), where=u != 0)


def first_change(source):
    u = np.zeros_like(source.w.array)
    u[source.index] = 1
    return u


def changes(source, edges):
    """{t: what it grows by, along all paths, if w[index] grows by 1, or None if not known}"""
    u = {source.w: first_change(source)}
    for t in reversed(list(edges)):
        if t is not source.w:
            parts = [None if u[x] is None else pushed(t, i, u[x])[1] for i, x in edges[t]]
            u[t] = None if any(part is None for part in parts) else sum(parts)
    return u


def steps_of(path):
    """The Locals of a path: gradients from its end, changes from its start."""
    gradients = [path.source.start]
    for x, t, i in reversed(list(zip(path.tensors, path.tensors[1:], path.positions))):
        gradients.append(sent(t, i, x, gradients[-1]))
    gradients.reverse()
    u = first_change(path.source)
    steps = [Local(path.tensors[0], None, None, u, gradients[0])]
    for t, i, g in zip(path.tensors[1:], path.positions, gradients[1:]):
        derivative, u = pushed(t, i, u)
        steps.append(Local(t, i, derivative, u, g))
    return steps


def sent(t, i, x, g):
    """What the record of t sends to its input i, which is x, when g arrives."""
    return next((c for k, _, c in contributions(t, g, useful={x}) if k == i),
                np.zeros_like(x.array))


def pushed(t, i, u):
    """(local derivative or None, what t grows by or None) if its input i grows by u.

    u None: not known. An output number that depends on one input number only has one derivative,
    which is what the rule sends back for g = 1.
    """
    x, shape, single = as_of(t.inputs[i], t.order), t.array.shape, t.array.size == 1
    if x.array.size == 1 == t.array.size or (x.array.shape == shape and elementwise(t.op)):
        derivative = sent(t, i, x, np.ones_like(t.array)).reshape(shape)
        return derivative, None if u is None else times(u.reshape(shape), derivative)
    if u is None:
        return None, None
    if not single:
        try:
            return None, pushed_by_rule(t, i, u)
        except Exception:  # a rule of the user's that runs on arrays only
            pass
    return None, pushed_one_by_one(t, i, x, u) if t.array.size <= TRIED else None


def pushed_by_rule(t, i, u):
    """d sum(c(g) * u) / dg. The record is replayed on leaves, which keeps this to one record."""
    inputs = []
    for k, x in enumerate(t.inputs):
        if isinstance(x, Recorded):
            x = wrap(as_of(x, t.order).array)
            x.requires_grad = k == i
        inputs.append(x)
    y, g = wrap(t.array), wrap(np.ones_like(t.array))
    y.op, y.inputs, y.options, y.order, g.requires_grad = t.op, tuple(inputs), t.options, 1, True
    with recording(True):
        shares = contributions(y, g, create_graph=True)
    for _, _, c in shares:
        if c.requires_grad:
            for x, change, _ in sweep([c], [u.astype(c.array.dtype)], wanted=[g]):
                if x is g:
                    return change
    return np.zeros_like(t.array)


def pushed_one_by_one(t, i, x, u):
    """The same, by asking each number of t for its gradient."""
    change = np.zeros_like(t.array)
    for place in np.ndindex(t.array.shape):
        g = np.zeros_like(t.array)
        g[place] = 1
        change[place] = times(u, sent(t, i, x, g)).sum()
    return change
