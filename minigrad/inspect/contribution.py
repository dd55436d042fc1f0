"""What one record adds to the gradient of each of its inputs, as text: "g * (1 - h**2)".

The one trick: the text is not written anywhere, it is read off the rule. The record is replayed on
stand-ins for g, its output and its inputs, by the same function that backward uses. The rule runs
on tensors, so what it computes is recorded, and records print themselves (expression.py).

Rules at kinks ask questions like `x > 0`, which are constants to the engine. A stand-in remembers
its answers too, so that the question is printed and not the answer.
"""

import ast
import collections
import keyword
import re
from dataclasses import dataclass

import numpy as np

from minigrad.backward import contributions, sweep
from minigrad.engine import Primitive, Recorded, as_of, clock, recording, wrap
from minigrad.inspect.expression import CUT, has_slice, place, text, tree
from minigrad.inspect.graph_calls import arranged
from minigrad.tensor import Tensor


@dataclass
class Contribution:
    """c, what a record adds to x.grad: its value for the given g and, as NumPy, how it is computed.

    `text` is an expression, or a statement that changes `grad` ("grad[0] += g"), or None if the
    rule cannot be printed. `names` says which tensor each identifier in it means.
    """

    value: object
    text: object
    names: dict
    node: object = None


def noted(function, name, symbol=None):
    """A method that NumPy answers, and whose answer is a stand-in that knows the question."""
    row = Primitive(function, name=name, symbol=symbol)

    def answer(self, *others, **options):
        arrays = [x.array if isinstance(x, Recorded) else x for x in (self, *others)]
        t = wrap(row.forward(*arrays, **options), StandIn)
        t.op, t.inputs, t.options, t.order = row, (self, *others), options, clock()
        t.requires_grad = True
        return t
    return answer


class StandIn(Tensor):
    """A tensor in the place of another, which also records comparisons."""

    __slots__ = ()
    # fmt: off
    __eq__, __ne__ = noted(np.equal, "eq", "=="), noted(np.not_equal, "ne", "!=")
    __lt__, __le__ = noted(np.less, "lt", "<"), noted(np.less_equal, "le", "<=")
    __gt__, __ge__ = noted(np.greater, "gt", ">"), noted(np.greater_equal, "ge", ">=")
    __and__, __or__ = noted(np.bitwise_and, "and", "&"), noted(np.bitwise_or, "or", "|")
    __invert__ = noted(np.invert, "not", "~")
    __hash__ = Tensor.__hash__
    # fmt: on
    counted = noted(lambda x, dim, keepdim: x.sum(axis=dim, keepdims=keepdim), "sum")

    def sum(self, dim=None, keepdim=False, axis=None, keepdims=False):
        """Counting true answers is a question as well."""
        dim, keepdim = axis if dim is None else dim, keepdim or keepdims
        if self.array.dtype.kind == "b":
            return self.counted(dim=dim, keepdim=keepdim)
        return super().sum(dim, keepdim)


def stand_in(array):
    t = wrap(array, StandIn)
    t.requires_grad = True
    return t


def explained(t, names, g=None):
    """{input position: Contribution} of the record of tensor t, for all inputs gradients flow to.

    names: {id(tensor): its name} of t and its inputs (any strings; identifiers are made of them).
    g: the gradient at t as an array, or None if it is not known yet.
    """
    twins = {}
    y = twin_record(t, twins)
    wanted = {twin for x, twin in twins.values() if isinstance(x, Recorded) and x.requires_grad}
    gradient = stand_in(np.ones_like(t.array) if g is None else g)
    try:
        with recording(True), np.errstate(all="ignore"):
            shares = contributions(y, gradient, create_graph=True, useful=wanted)
    except Exception:  # a rule of the user's that runs on arrays only: nothing to print
        return {}
    twins[id(t)] = t, y
    return {i: c for (i, _, _), c in zip(shares, printed([c for _, _, c in shares],
                                                         twins, names, gradient))}


def explained_call(records, t, names, g=None):
    """{id(input): Contribution} of several records in one, ending in tensor t: a folded module."""
    twins, inner = {}, set()
    for r in records:
        y = twin_record(r, twins)
        twins[id(r)] = r, y
        inner.add(id(r))
    wanted = {twin: key for key, (x, twin) in twins.items()
              if key not in inner and isinstance(x, Recorded) and x.requires_grad}
    if any(key not in names for key in wanted.values()):
        return {}
    gradient = stand_in(np.ones_like(t.array) if g is None else g)
    found = {}
    try:
        with recording(True), np.errstate(all="ignore"):
            for x, c, _ in sweep([twins[id(t)][1]], [gradient], True, list(wanted)):
                if x in wanted:
                    found[wanted[x]] = c
    except Exception:  # as above
        return {}
    visible = {key: names[key] for key in twins
               if key in names and (key not in inner or key == id(t))}
    return dict(zip(found, printed(list(found.values()), twins, visible, gradient)))


def twin_record(t, twins):
    """A stand-in for t whose record has stand-ins for inputs. twins: {id(x): (x, its stand-in)}"""
    inputs = []
    for x in t.inputs:
        if isinstance(x, Recorded):
            x = as_of(x, t.order)
        elif not isinstance(x, np.ndarray):
            inputs.append(x)
            continue
        inputs.append(twin(x, twins))
    y = stand_in(t.array)
    y.op, y.inputs, y.options, y.order = t.op, tuple(inputs), t.options, clock()
    return y


def twin(x, twins):
    """The stand-in for an input. What is only arranged anew keeps its record, so that it prints as
    x.reshape((6, 2))."""
    chain = [x]
    while (base := arranged(chain[-1])) is not None:
        chain.append(base)
    below = None
    for t in reversed(chain):
        if id(t) not in twins:
            twins[id(t)] = t, stand_in(getattr(t, "array", t))
            if below is not None:
                y = twins[id(t)][1]
                y.op, y.inputs, y.options = t.op, (below, *t.inputs[1:]), t.options
                y.order = clock()
        below = twins[id(t)][1]
    return below


def printed(shares, twins, names, gradient):
    """The Contribution of each share, with a word for every stand-in that has a name."""
    words = identifiers([(key, names.get(key)) for key in twins])
    called = {id(twin): words[key] for key, (_, twin) in twins.items() if words[key]}
    called[id(gradient)] = "g"
    meaning = {words[key]: x for key, (x, _) in twins.items() if words[key]}
    return [one_printed(c, called, meaning) for c in shares]


def one_printed(c, called, meaning):
    written = statement(c, called)
    node = None
    if written is None:
        node = tree(c, called)
        written = text(node) if complete(node) else None
    return Contribution(c.array, written, meaning, node)


def complete(node):
    """Is a tree all NumPy, with a name for every value in it?"""
    return not any(part is CUT or isinstance(part, ast.Name) and part.id in ("scatter", "setitem")
                   for part in ast.walk(node))


def statement(c, called):
    """The text of a contribution that only NumPy statements can make, or None: parts of an array
    cannot be added to in an expression."""
    if c.op is None or id(c) in called:
        return None
    if c.op.name == "cast":
        return statement(c.inputs[0], called)
    if c.op.name not in ("scatter", "setitem"):
        return None
    source, arrays = c.inputs[0], c.inputs[1 if c.op.name == "scatter" else 2:]
    if id(source) not in called:
        return None
    source = called[id(source)]
    arrays = [a if isinstance(a, Recorded) else wrap(a) for a in arrays]
    index = place(c.options["index"], [tree(a, called) for a in arrays])
    if not complete(index):
        return None
    where = text(ast.Subscript(ast.Name("grad"), index))[5:-1]
    if c.op.name == "setitem":
        if not isinstance(c.inputs[1], (int, float)) or c.inputs[1] != 0:
            return None
        return f"grad += {source}; grad[{where}] -= {source}[{where}]"
    if all(a.array.dtype.kind == "b" for a in arrays):  # also no arrays at all
        return f"grad[{where}] += {source}"
    if has_slice(index):
        where = f"np.s_[{where}]"
    elif isinstance(index, ast.Tuple):
        where = f"({where})"
    return f"np.add.at(grad, {where}, {source})"


RESERVED = {"g", "np", "grad", "math", "scatter", "setitem", *keyword.kwlist}


def words_of(names):
    """{key: identifier} of {key: name}; what has one name has one identifier."""
    words = identifiers((name, name) for name in dict.fromkeys(names.values()))
    return {key: words[name] for key, name in names.items()}


def identifiers(named):
    """{key: identifier} for (key, name) pairs: the last part of each path, made a unique word;
    where several paths end alike, the whole path ("0.weight" is weight_0)."""
    named = list(named)
    endings = collections.Counter(name.rsplit(".", 1)[-1] for _, name in named if name)
    words, taken = {}, set(RESERVED)
    for key, name in named:
        if not name:
            words[key] = None
            continue
        path, _, last = name.rpartition(".")
        if last.isdigit() or (path and (endings[last] > 1 or last in taken)):
            last = f"{last}_{path}" if name[0].isdigit() and path else name
        word = first = as_word(last)
        n = 1
        while word in taken:
            n += 1
            word = f"{first}_{n}"
        taken.add(word)
        words[key] = word
    return words


def as_word(name):
    word = re.sub(r"\W", "_", name)
    return word if word.isidentifier() else "v" + word
