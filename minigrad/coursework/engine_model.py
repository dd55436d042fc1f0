"""The right engine, with switches: what a known mistake would make of a graph.

The one trick: the graph is minigrad's record and the derivatives are minigrad's rules; a mistake
changes the order in which records send their gradients on, how shares are collected, or one rule.
The order in which a wrong engine visits nodes depends on the graph alone, so each order is a list
of (tensor, which of its inputs get their share).
"""

import copy
import functools
import itertools
import math

import numpy as np

from minigrad.backward import contributions, history, tracked_inputs
from minigrad.coursework.engine_faults import BY_NUMBER, ELEMENTWISE, OF_TENSORS
from minigrad.coursework.engine_graphs import FUNCTIONS, PLAIN, compiled
from minigrad.creation import tensor
from minigrad.dtypes import float64

RECURSION_BOUND = 4000  # visits of a wrong order; the graphs are tiny
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
    for name in columns:  # functions that take columns for rows
        names[name] = functools.partial(names[name], axis=0)
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


# --- orders --------------------------------------------------------------------------------------

def inputs_of(t):
    return [x for _, x in tracked_inputs(t)]


def topological(root):
    return [(t, None) for t in history([root])]


def forward(root):
    return topological(root)[::-1]


def recursive(root, inputs=inputs_of):
    """Each visit sends the gradient on and visits the inputs, however often that happens."""
    waiting, order = [root], []
    while waiting and len(order) < RECURSION_BOUND:
        t = waiting.pop()
        order.append((t, None))
        waiting += inputs(t)[::-1]
    return order


def recursive_by_input(root):
    """As `recursive`, one input at a time: its share, then its visit."""
    waiting, order = [(root, None)], []
    while waiting and len(order) < RECURSION_BOUND:
        t, position = waiting.pop()
        if position is not None:
            order.append((t, {position}))
            continue
        for i, x in reversed([*tracked_inputs(t)]):
            waiting += [(x, None), (t, i)]
    return order


def in_a_set(root, mask):
    """inputs_of, as sets would give them: each once, in an order that `mask` chooses by node."""
    number = {t: i for i, t in enumerate(t for t in history([root]) if len(inputs_of(t)) > 1)}

    def inputs(t):
        found = [*dict.fromkeys(inputs_of(t))]
        return found[::-1] if t in number and mask >> number[t] & 1 else found
    return inputs


def any_order(walk):
    """The orders of a walk over inputs that are kept in sets."""
    return [lambda root, mask=mask: walk(root, inputs=in_a_set(root, mask)) for mask in range(32)]


def breadth(root, last_first=False, inputs=inputs_of):
    seen, order = {root}, [root]
    for t in order:  # grows while it is walked
        for x in inputs(t)[::-1] if last_first else inputs(t):
            if x not in seen:
                seen.add(x)
                order.append(x)
    return [(t, None) for t in order]


def depth(root, reverse=False, early=False, inputs=inputs_of):
    """Depth first, each node when it is first met; `early`: marked when put on the stack."""
    waiting, seen, order = [root], {root} if early else set(), []
    while waiting:
        t = waiting.pop()
        if not early and t in seen:
            continue
        seen.add(t)
        order.append(t)
        for x in inputs(t) if reverse else inputs(t)[::-1]:
            if x not in seen:
                waiting.append(x)
                if early:
                    seen.add(x)
    return [(t, None) for t in order]


def unvisited(root, inputs=inputs_of):
    """The topological sort without its set of visited nodes, reversed."""
    waiting, order = [root], []
    while waiting and len(order) < RECURSION_BOUND:  # root, then inputs: postorder, from its end
        t = waiting.pop()
        order.append((t, None))
        waiting += inputs(t)
    return order


def sorted_by_depth(root, inputs=inputs_of):
    """A topological sort, depth first; siblings in the order of `inputs`."""
    waiting, seen, order = [(root, False)], set(), []
    while waiting:
        t, done = waiting.pop()
        if done:
            order.append((t, None))
        elif t not in seen:
            seen.add(t)
            waiting += [(t, True), *((x, False) for x in inputs(t)[::-1])]
    return order[::-1]


SORTS = any_order(sorted_by_depth)
ORDERS = {  # what a switch may say, and the orders (one must fit) that it means
    "topological": [topological], "forward": [forward], "breadth": [breadth],
    "breadth, last first": [functools.partial(breadth, last_first=True)],
    "unvisited": [unvisited], "unvisited, set": any_order(unvisited),
    "recursive": [recursive], "recursive by input": [recursive_by_input],
    "recursive, set": any_order(recursive), "depth": [depth], "depth, set": any_order(depth),
    "breadth, set": any_order(breadth),
    "stack": [functools.partial(depth, reverse=True)],
    "stack, marked early": [functools.partial(depth, reverse=True, early=True)],
}


# --- the walk ------------------------------------------------------------------------------------

class Engine:
    """The walk of backward, with some switches on."""

    def __init__(self, switches=()):
        self.order, self.parents, self.seed, self.second = "topological", "list", 1.0, "right"
        self.overwrite, self.ignoring, self.local, self.scale = set(), set(), set(), {}
        self.rules, self.broadcast, self.count, self.swapped = {}, {}, set(), []
        self.columns, self.overflow = (), ()
        self.in_place = self.within = self.by_path = self.frozen = self.leftovers = False
        for s in switches:
            self.turn(s)

    def turn(self, s):
        sets = {"overwrite": self.overwrite, "upstream": self.ignoring, "local": self.local}
        if s.kind in sets:
            sets[s.kind].update((s.place, i) for i in (s.value if s.value in ONE else (0, 1)))
            self.within = self.within or s.value == "within one pass"
            self.by_path = self.by_path or s.value == "path by path"
        elif s.kind == "broadcast":
            self.broadcast[s.place] = s.value
        elif s.kind == "count":
            self.count.add(s.value)
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
        if {(None, 0), (name, 0)} & self.local and name in LOCAL:
            return [(i, x, g) for i, x in tracked_inputs(t)]
        blind = [any((n, i) in self.ignoring for n in names) for i in (0, 1)]
        if any(blind):  # by input: the shares of an upstream of ones, or the right ones
            ones = Engine.shares(self.seeing(), t, np.ones_like(t.array), changed)
            seen = Engine.shares(self.seeing(), t, g, changed)
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
            found = [(i, x, unbroadcast(np.asarray(c), x.shape, how)) for i, x, c in found]
        else:
            found = contributions(t, g)
        factor = math.prod(self.scale.get(n, 1.0) for n in names)
        if name in self.count:  # the sum's rule with a 1 / N, the mean's without
            n = t.inputs[0].array.size / t.array.size
            factor *= n if name == "mean" else 1 / n
        return [(i, x, c * factor) for i, x, c in found]

    def seeing(self):
        """This engine, but for the upstream that it ignores."""
        other = copy.copy(self)
        other.ignoring = set()
        return other

    def backward(self, root, grads, changed, order):
        """One backward pass: adds to `grads`, {tensor: array}."""
        starved = {"node"} if self.seed == 0.0 else set()
        final = {x: g for x, g in grads.items() if x.op is None}
        grads[root] = np.full(root.shape, self.seed) + (
            grads.get(root, 0.0) if self.second == "all kept" else 0.0)
        visits = self.paths(root, grads, changed) if self.by_path else order(root)
        for t, positions in visits:
            g = grads.get(t)
            if g is None:
                starved |= {"leaf"} if t.op is None else {"leaf", "node"}
                g = np.zeros(t.shape)
            if t.op is None:
                final[t] = g + final.get(t, 0.0)
                continue
            shares = self.shares(t, g, changed)
            if self.parents == "set":
                shares = [*{x: (i, x, c) for i, x, c in shares}.values()]
            names = names_of(t)
            for i, x, c in shares:
                if positions is None or i in positions:
                    over = any((name, min(i, 1)) in self.overwrite for name in names)
                    grads[x] = c if over or x not in grads else grads[x] + c
            if self.leftovers and (positions is None or 0 in positions):
                grads.pop(t, None)
        if self.frozen:  # a leaf's gradient is what it was when the leaf was visited
            grads.update(final)
        return starved

    def paths(self, root, grads, changed):
        """A walk that sends each gradient to the leaves at once, path by path, overwriting."""
        waiting = [(root, grads[root])]
        while waiting:
            t, g = waiting.pop()
            grads[t] = g
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
            return
        for order, frozen in itertools.product(orders, (False, True)):
            early = self.order == "stack, marked early" and graph.calls > 1
            for leftovers in (False, True)[:1 + early]:
                other = copy.copy(self)
                other.frozen, other.leftovers = frozen, leftovers
                yield other.outcome(graph, spelling, order)

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


def distinct(root, orders):
    """Those of the orders that differ on this graph."""
    if len(orders) == 1:
        return orders
    seen = {tuple(t for t, _ in order(root)): order for order in orders}
    return [*seen.values()]


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
    reduce = np.mean if how == "mean" else np.sum
    if how != "only stretched axes" and extra:
        c, extra = reduce(c, axis=tuple(range(extra))), 0
    axes = tuple(d + extra for d, n in enumerate(shape) if n == 1 and c.shape[d + extra] != 1)
    if how == "only added axes":
        axes = ()
    return reduce(c, axis=axes, keepdims=how != "axes lost") if axes else c


ONE = {(0,), (1,)}  # a mistake at one operand only
LOCAL = {"power", "tanh", "sigmoid", "exp", "log", "sqrt"}


def overflows(graph, unstable):
    """Does one of the functions that are unstable see logits beyond exp's range?"""
    return any(f" {name}(" in graph.lines[0] for name in unstable) and (
        np.abs(graph.leaves["a"]).max() > 700)


def operations(graph, spelling=PLAIN):
    """The names of the operations of a graph."""
    return set().union(*(names_of(t) for t in history([built(graph, spelling)[1]])
                         if t.op is not None)) - {None}


def names_of(t):
    """What places may call the operation of a record: "mul", "mul of tensors", anything (None)."""
    name = SAME.get(t.op.name, t.op.name)
    if name not in ELEMENTWISE:
        return None, name
    return None, name, name + (OF_TENSORS if len(inputs_of(t)) == 2 else BY_NUMBER)
