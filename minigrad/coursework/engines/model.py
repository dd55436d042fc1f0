"""The right engine, with switches: what a known mistake would make of a graph.

The one trick: the graph is minigrad's record and the derivatives are minigrad's rules; a mistake
changes the order in which records send their gradients on (engine_orders.py), how shares are
collected, or one rule.
"""

import copy
import functools
import itertools
import math

import numpy as np

from minigrad.backward import contributions, history, tracked_inputs
from minigrad.coursework.engines.faults import AXES, BY_NUMBER, ELEMENTWISE, OF_TENSORS
from minigrad.coursework.engines.graphs import FUNCTIONS, PLAIN, compiled
from minigrad.coursework.engines.orders import ORDERS, SORTS, distinct, inputs_of, topological
from minigrad.creation import tensor
from minigrad.dtypes import float64

SAME = {"square": "power", "amax": "max"}  # minigrad has an operation of its own for x**2


def names_for():
    """The functions that the lines of graphs may call, for minigrad's tensors."""
    found = {name: functools.partial(method, name) for name in (*FUNCTIONS, "sum", "mean", "max")}
    found["sum_keepdims"] = lambda x, axis: x.sum(axis, True)
    found["transpose"] = lambda x: x.T
    found["reshape"] = lambda x: x.reshape(x.shape[::-1])
    found["softmax"] = lambda x, axis=-1: x.softmax(axis)
    found["log_softmax"] = lambda x, axis=-1: x.log_softmax(axis)
    return found


def method(name, x, *more):
    return getattr(x, name)(*more)


def wrong_axis(name, how, x, *_):
    """softmax or log_softmax, as summed over columns, or over all entries ("whole"); "shifted": by
    the largest of each row, which cancels in rows alone."""
    if "shifted" in how:
        x = x - tensor(x.array.max(axis=-1, keepdims=True), dtype=float64)
    flat = x.reshape(-1) if "whole" in how else x
    return getattr(flat, name)(0).reshape(x.shape)


def built(graph, spelling=PLAIN, swapped=(), columns=()):
    """(leaves, result, values by name, what in-place lines changed) of a graph, recorded.

    Kept: the search walks the same few records thousands of times, and changes none of them.
    """
    key = (graph.lines, repr(graph.leaves), spelling, swapped, columns)
    if key not in RECORDS:
        RECORDS[key] = recorded(graph, spelling, swapped, columns)
    return RECORDS[key]


RECORDS = {}  # as many as there are graphs, times their few spellings


def recorded(graph, spelling=PLAIN, swapped=(), columns=()):
    names = names_for()
    for name, how in columns:
        names[name] = functools.partial(wrong_axis, name, how)
    leaves = {name: tensor(value, dtype=float64, requires_grad=True)
              for name, value in graph.leaves.items()}
    values, changed = dict(leaves), {}
    for line in graph.lines:
        target = line.split()[0]
        before = values.get(target) if "+=" in line else None
        exec(compiled(line, spelling, swapped), names, values)
        values[target].name = target if values[target].name is None else values[target].name
        if before is not None:
            changed[before] = values[target].array
    for name, leaf in leaves.items():
        leaf.name = name
    return leaves, values["y"], values, changed


# --- the walk ------------------------------------------------------------------------------------

class Engine:
    """The walk of backward, with some switches on."""

    def __init__(self, switches=()):
        self.order, self.seed, self.second = "topological", 1.0, "right"
        self.overwrite, self.ignoring, self.local, self.scale = set(), set(), set(), {}
        self.parents, self.writing = set(), set()
        self.rules, self.broadcast, self.count, self.swapped = {}, {}, set(), []
        self.columns, self.overflow = (), ()
        self.in_place = self.within = self.frozen = self.leftovers = self.closures = False
        self.everything = False  # has no local derivative
        self.by_path = self.aliased = None
        for s in switches:
            self.turn(s)

    def turn(self, s):
        sets = {"overwrite": self.overwrite, "upstream": self.ignoring, "local": self.local}
        if s.kind in sets:
            sets[s.kind].update((s.place, i) for i in (s.value if s.value in ONE else (0, 1)))
            self.within = self.within or s.value == "within one pass"
            self.by_path = s.kind if s.value == "path by path" else self.by_path
            self.everything = self.everything or s.value == "everywhere"
        elif s.kind == "broadcast":
            self.broadcast[s.place] = s.value
        elif s.kind == "count":
            self.count.add(s.value)
        elif s.kind == "parents":
            self.parents.add(s.place)
        elif s.kind == "writes":
            self.writing.add(s.value)
        elif s.kind in AXES:
            self.columns = tuple((name, s.kind) for name in s.value)
        elif s.kind == "swapped":
            self.swapped.append(s.value)
        elif s.kind == "scale":
            self.scale[s.place] = self.scale.get(s.place, 1.0) * s.value
        elif s.kind == "rules":
            self.rules.update(s.value)
        else:
            setattr(self, s.kind.replace(" ", "_"), s.value)

    def shares(self, t, g, changed):
        """[(position, input, contribution)] of a record."""
        names, name = names_of(t), SAME.get(t.op.name, t.op.name)
        if self.everything or {(None, 0), (name, 0)} & self.local and name in LOCAL:
            return [(i, x, g) for i, x in tracked_inputs(t)]
        blind = [any((n, i) in self.ignoring for n in names) for i in (0, 1)]
        if any(blind):  # by input: the shares of an upstream of ones, or the right ones
            seeing = self.other(ignoring=set())
            ones = seeing.shares(t, np.ones_like(t.array), changed)
            seen = seeing.shares(t, g, changed)
            return [a if blind[min(a[0], 1)] else b for a, b in zip(ones, seen)]
        replaced = {i: rule for (op, i), rule in self.rules.items() if op in names}
        how = self.broadcast.get(name, self.broadcast.get(None)) if name in ELEMENTWISE else "kept"
        raw = replaced or (how and name in ELEMENTWISE)
        if raw or (self.in_place and changed):
            now = changed if self.in_place else {}
            values = [now.get(x, x.array) if hasattr(x, "array") else x for x in t.inputs]
            values += [2] if replaced and t.op.name == "square" else []
            found = [(i, x, (replaced.get(i) or t.op.vjps[i])(g, t.array, *values, **t.options))
                     for i, x in tracked_inputs(t)]
            found = [(i, x, unbroadcast(np.asarray(c), x.shape, at(how, i))) for i, x, c in found]
        else:
            found = contributions(t, g)
        factor = math.prod(self.scale.get(n, 1.0) for n in names)
        if name in self.count:  # the sum's rule with a 1 / N, the mean's without
            n = t.inputs[0].array.size / t.array.size
            factor *= n if name == "mean" else 1 / n
        return found if factor == 1 else [(i, x, c * factor) for i, x, c in found]

    def backward(self, root, grads, changed, order):
        """One backward pass: adds to `grads`, {tensor: array}."""
        starved = {"node"} if self.seed == 0.0 else set()
        final = {x: g for x, g in grads.items() if x.op is None}
        seed = np.full(root.shape, self.seed)
        grads[root] = seed + grads.get(root, 0.0) if self.second == "all kept" else seed
        visits = self.paths(root, grads, changed) if self.by_path else order(root)
        for t, positions in visits:
            g = grads.get(t)
            if g is None:
                starved |= {"leaf"} if t.op is None else {"leaf", "node"}
                g = np.zeros(t.shape)
            if t.op is None:
                final[t] = g + final.get(t, 0.0)
                continue
            for i, x, c in self.sent(t, g, changed):
                if positions is None or i in positions:
                    over = any((name, min(i, 1)) in self.overwrite for name in names_of(t))
                    grads[x] = self.held(c) if over or x not in grads else self.sum(grads[x], c)
            if self.leftovers and (positions is None or 0 in positions):
                grads.pop(t, None)
        if self.frozen:  # a leaf's gradient is what it was when the leaf was visited
            grads.update(final)
        return starved

    def sent(self, t, g, changed):
        """The shares as they are sent: each computed when it is its turn, with `closures`."""
        shares = self.shares(t, g, changed)
        if self.parents.intersection(names_of(t)):
            shares = [*{x: (i, x, c) for i, x, c in shares}.values()]
        if self.writing.intersection(names_of(t)) and isinstance(g, np.ndarray):
            g[...] = shares[0][2]  # the rule changes the gradient that arrives
            shares[0] = (*shares[0][:2], g)
        for k, share in enumerate(shares):
            yield self.shares(t, g, changed)[k] if self.closures and k else share

    def held(self, c):
        """A first share, as an engine keeps it: a number, or an array that += changes in place."""
        return np.asarray(c) if self.aliased == "all" else c

    def sum(self, old, c):
        if not self.aliased or np.ndim(old) == 0 and self.aliased == "arrays":
            return old + c
        if isinstance(old, np.ndarray) and not old.flags.writeable:
            old = old.copy()  # a view that np.broadcast_to made
        old += c
        return old

    def paths(self, root, grads, changed):
        """A walk that sends each gradient to the leaves at once, path by path."""
        waiting = [(root, grads.pop(root))]
        while waiting:
            t, g = waiting.pop()
            grads[t] = g if self.by_path == "overwrite" else g + grads.get(t, 0.0)
            if t.op is not None:
                waiting += [(x, c) for _, x, c in self.shares(t, g, changed)][::-1]
        return ()

    def outcomes(self, graph, spelling=PLAIN):
        """The outcomes of a graph that these switches allow: one, but for orders left to sets."""
        _, y, _, _ = built(graph, spelling, tuple(self.swapped), self.columns)
        forks = sum(len(inputs_of(t)) > 1 for t in history([y]))  # a bit of the mask for each
        orders = distinct(y, ORDERS[self.order][:2 ** forks])
        if self.order == "topological":  # right, but who writes last is up to the sort
            orders = orders + distinct(y, SORTS[:2 ** forks]) if self.overwrite else orders
            yield from (self.outcome(graph, spelling, order) for order in orders)
            if self.aliased:
                yield self.other(closures=True).outcome(graph, spelling)
            return
        for order, frozen in itertools.product(orders, (False, True)):
            early = self.order == "stack, marked early" and graph.calls > 1
            early = early or self.order == "unvisited, by generation"
            for leftovers in (False, True)[:1 + early]:
                other = self.other(frozen=frozen, leftovers=leftovers)
                yield other.outcome(graph, spelling, order)

    def other(self, **different):
        """This engine, but for some attributes."""
        found = copy.copy(self)
        vars(found).update(different)
        return found

    def outcome(self, graph, spelling=PLAIN, order=topological):
        """The Outcome of a graph; None where the engine would fail."""
        leaves, y, _, changed = built(graph, spelling, tuple(self.swapped), self.columns)
        kept, starved = {}, set()
        with np.errstate(all="ignore"):
            for _ in range(graph.calls):
                if self.second == "right" and not self.leftovers:
                    kept = {x: g for x, g in kept.items() if x.op is None}
                elif self.second == "cleared":
                    kept = {}
                fresh = self.within or self.frozen
                start = {} if fresh else kept
                try:
                    starved |= self.backward(y, start, changed, order)
                except ValueError:  # shapes that do not fit
                    return None
                if fresh:
                    kept = {x: g + kept.get(x, 0.0) for x, g in start.items() if x.op is None}
        found = {name: np.asarray(kept.get(x, np.zeros(x.shape))) for name, x in leaves.items()}
        found = {"value": y.array, **found}
        if overflows(graph, self.overflow):  # nan: any number
            rows = np.abs(leaves["a"].array).max(axis=1, keepdims=True) > 700
            found = {name: np.where(rows if np.ndim(v) else True, np.nan, v)
                     for name, v in found.items()}
        return Outcome(found, graph, starved)


class Outcome(dict):
    """{"value": .., leaf: its gradient, ..}, the leaves that the graph began with, and whether a
    "node" or a "leaf" was visited before any gradient had come to it."""

    def __init__(self, numbers, graph, starved):
        super().__init__(numbers)
        self.leaves, self.starved = graph.leaves, starved


def unbroadcast(c, shape, how):
    """The share of a broadcast input: the sum over its copies, or what a mistake makes of it."""
    extra = c.ndim - len(shape)
    if c.shape == shape or how == "kept" or extra < 0:
        return c
    added, stretched = REDUCE.get(how, (np.sum, np.sum))
    if how != "only stretched axes" and extra:
        c, extra = added(c, axis=tuple(range(extra))), 0
    axes = tuple(d + extra for d, n in enumerate(shape) if n == 1 and c.shape[d + extra] != 1)
    if how == "only added axes":
        axes = ()
    return stretched(c, axis=axes, keepdims=how != "axes lost") if axes else c


REDUCE = {"mean": (np.mean, np.mean), "mean of added axes": (np.mean, np.sum),
          "mean of stretched axes": (np.sum, np.mean)}


def at(how, i):
    """What is made of the share of input i: "kept, left" is about the first one."""
    kept, _, side = (how or "").partition(", ")
    return how if not side else kept if side == ("left", "right")[min(i, 1)] else None


ONE = {(0,), (1,)}  # a mistake at one operand only
LOCAL = {"power", "tanh", "sigmoid", "exp", "log", "sqrt"}


def overflows(graph, unstable):
    """Does one of the functions that are unstable see logits beyond exp's range?"""
    return any(f" {name}(" in graph.lines[0] for name in unstable) and (
        np.abs(graph.leaves["a"]).max() > 700)


def operations(graph, spelling=PLAIN):
    """The names of the operations of a graph."""
    key = (graph.lines, spelling)  # whatever the leaves
    if key not in OPERATIONS:
        OPERATIONS[key] = set().union(*(names_of(t) for t in history([built(graph, spelling)[1]])
                                        if t.op is not None)) - {None}
    return OPERATIONS[key]


OPERATIONS = {}


def names_of(t):
    """What places may call the operation of a record: "mul", "mul of tensors", anything (None)."""
    name = SAME.get(t.op.name, t.op.name)
    if name not in ELEMENTWISE:
        return None, name
    return None, name, name + (OF_TENSORS if len(inputs_of(t)) == 2 else BY_NUMBER)
