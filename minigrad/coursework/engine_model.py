"""The right engine, with switches: what a known mistake would make of a graph.

The one trick: the graph is minigrad's record and the derivatives are minigrad's rules; a mistake
changes the order in which records send their gradients on, how shares are collected, or one rule.
The order in which a wrong engine visits nodes depends on the graph alone, so each order is a list
of (tensor, which of its inputs get their share).
"""

import functools

import numpy as np

from minigrad.backward import contributions, history, tracked_inputs
from minigrad.coursework.engine_graphs import FUNCTIONS, PLAIN, compiled
from minigrad.creation import tensor
from minigrad.dtypes import float64

RECURSION_BOUND = 4000  # visits of a wrong order; the graphs are tiny
SAME = {"square": "power"}  # minigrad has an operation of its own for x**2
ELEMENTWISE = {"add", "sub", "mul", "div"}


def names_for():
    """The functions that the lines of graphs may call, for minigrad's tensors."""
    found = {name: functools.partial(method, name) for name in (*FUNCTIONS, "sum", "mean")}
    found["transpose"] = lambda x: x.T
    found["reshape"] = lambda x: x.reshape(x.shape[::-1])
    found["softmax"] = lambda x, axis=-1: x.softmax(axis)
    found["log_softmax"] = lambda x: x.log_softmax(-1)
    return found


def method(name, x):
    return getattr(x, name)()


def built(graph, spelling=PLAIN, swapped=(), axis=-1):
    """(leaves, result, values by name, what in-place lines changed) of a graph, recorded."""
    names = names_for()
    if axis != -1:
        names["softmax"] = functools.partial(names["softmax"], axis=axis)
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


def breadth(root, last_first=False):
    seen, order = {root}, [root]
    for t in order:  # grows while it is walked
        for x in inputs_of(t)[::-1] if last_first else inputs_of(t):
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


def unvisited(root):
    """The topological sort without its set of visited nodes, reversed."""
    waiting, order = [root], []
    while waiting and len(order) < RECURSION_BOUND:  # root, then inputs: postorder, from its end
        t = waiting.pop()
        order.append((t, None))
        waiting += inputs_of(t)
    return order


ORDERS = {  # what a switch may say, and the orders (one must fit) that it means
    "topological": [topological], "forward": [forward], "breadth": [breadth],
    "breadth, last first": [functools.partial(breadth, last_first=True)],
    "unvisited": [unvisited], "recursive": [recursive], "recursive by input": [recursive_by_input],
    "recursive, set": any_order(recursive), "depth": [depth], "depth, set": any_order(depth),
    "stack": [functools.partial(depth, reverse=True)],
    "stack, marked early": [functools.partial(depth, reverse=True, early=True)],
}


# --- the walk ------------------------------------------------------------------------------------

class Engine:
    """The walk of backward, with some switches on."""

    def __init__(self, switches=()):
        self.order, self.parents, self.seed, self.second = "topological", "list", 1.0, "right"
        self.overwrite, self.ignoring, self.local, self.scale = set(), set(), set(), {}
        self.rules, self.broadcast, self.count, self.swapped, self.axis = {}, None, set(), [], -1
        self.in_place = self.overflow = self.within = False
        for s in switches:
            self.turn(s)

    def turn(self, s):
        sets = {"overwrite": self.overwrite, "upstream": self.ignoring, "local": self.local}
        if s.kind in sets:
            sets[s.kind].add(s.place)
            self.within = self.within or s.value == "within one pass"
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
        name = SAME.get(t.op.name, t.op.name)
        if {None, name} & self.ignoring:
            g = np.ones_like(t.array)
        if {None, name} & self.local and name in LOCAL:
            return [(i, x, g) for i, x in tracked_inputs(t)]
        replaced = {i: rule for (op, i), rule in self.rules.items() if op == name}
        raw = replaced or (self.broadcast and name in ELEMENTWISE)
        if raw or (self.in_place and changed):
            now = changed if self.in_place else {}
            values = [now.get(x, x.array) if hasattr(x, "array") else x for x in t.inputs]
            values += [2] if t.op.name == "square" else []
            found = [(i, x, (replaced.get(i) or t.op.vjps[i])(g, t.array, *values, **t.options))
                     for i, x in tracked_inputs(t)]
            found = [(i, x, self.unbroadcast(np.asarray(c), x.shape)) for i, x, c in found]
        else:
            found = contributions(t, g)
        factor = self.scale.get(None, 1.0) * self.scale.get(name, 1.0)
        if name in self.count:  # the sum's rule with a 1 / N, the mean's without
            n = t.inputs[0].array.size / t.array.size
            factor *= n if name == "mean" else 1 / n
        return [(i, x, c * factor) for i, x, c in found]

    def unbroadcast(self, c, shape):
        if c.shape == shape or self.broadcast == "kept":
            return c
        reduce = np.mean if self.broadcast == "mean" else np.sum
        extra = c.ndim - len(shape)
        if extra < 0:
            return c
        c = reduce(c, axis=tuple(range(extra))) if extra else c
        axes = tuple(d for d, n in enumerate(shape) if n == 1 and c.shape[d] != 1)
        return reduce(c, axis=axes, keepdims=True) if axes else c

    def backward(self, root, grads, changed, order):
        """One backward pass: adds to `grads`, {tensor: array}."""
        grads[root] = np.full(root.shape, self.seed) + (
            grads.get(root, 0.0) if self.second == "all kept" else 0.0)
        for t, positions in order(root):
            if t.op is None:
                continue
            g = grads.get(t)
            g = np.zeros(t.shape) if g is None else g
            shares = self.shares(t, g, changed)
            if self.parents == "set":
                shares = [*{x: (i, x, c) for i, x, c in shares}.values()]
            over = {None, SAME.get(t.op.name, t.op.name)} & self.overwrite
            for i, x, c in shares:
                if positions is None or i in positions:
                    grads[x] = c if over or x not in grads else grads[x] + c

    def outcomes(self, graph, spelling=PLAIN):
        """The outcomes of a graph that these switches allow: one, but for orders left to sets."""
        for order in ORDERS[self.order]:
            yield self.outcome(graph, spelling, order)

    def outcome(self, graph, spelling=PLAIN, order=topological):
        """{"value": .., leaf: its gradient, ..} of a graph; None where the engine would fail."""
        leaves, y, _, changed = built(graph, spelling, tuple(self.swapped), self.axis)
        kept = {}
        with np.errstate(all="ignore"):
            for _ in range(graph.calls):
                if self.second == "right":
                    kept = {x: g for x, g in kept.items() if x.op is None}
                elif self.second == "cleared":
                    kept = {}
                start = {} if self.within else kept
                try:
                    self.backward(y, start, changed, order)
                except ValueError:  # shapes that do not fit
                    return None
                if self.within:
                    kept = {x: g + kept.get(x, 0.0) for x, g in start.items() if x.op is None}
        found = {name: np.asarray(kept.get(x, np.zeros(x.shape))) for name, x in leaves.items()}
        found = {"value": y.array, **found}
        if self.overflow and overflows(graph):  # nan: any number
            rows = np.abs(leaves["a"].array).max(axis=1, keepdims=True) > 700
            found = {name: np.where(rows if np.ndim(v) else True, np.nan, v)
                     for name, v in found.items()}
        return found


LOCAL = {"power", "tanh", "sigmoid", "exp", "log", "sqrt"}


def overflows(graph):
    """Does a softmax of the graph see logits beyond exp's range?"""
    return "softmax(" in graph.lines[0] and np.abs(graph.leaves["a"]).max() > 700


def operations(graph, spelling=PLAIN):
    """The names of the operations of a graph."""
    return {SAME.get(t.op.name, t.op.name) for t in history([built(graph, spelling)[1]])
            if t.op is not None}
