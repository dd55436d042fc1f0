"""Public autograd graphs with known gradients: which fault of an engine gives a wrong one?

The one trick: the graph is one of those that diagnose_autograd runs, but of the student only a
number is known. So every fault of the table, at every place of the graph, is asked what it gives.

Facts
    leaves   {name: value}
    lines    of the graph; the last one makes the result
    right    what was published, digit for digit: of a name its value, of name.grad its gradient
"""

import functools
import itertools

import numpy as np

from minigrad.coursework.engines.faults import switches
from minigrad.coursework.engines.graphs import Graph, spellings
from minigrad.coursework.engines.model import Engine, built, operations
from minigrad.coursework.engines.orders import ORDERS, SORTS
from minigrad.coursework.engines.search import conflict, matters


class GraphCheck:
    """A graph, and what each set of faults makes of it."""

    kind = "autograd"
    errors = ()
    rounding = 1e-9
    most = 1  # gradients are often small whole numbers: some pair gives nearly any of them
    also = convention = None

    def __init__(self, name, facts):
        self.name, self.facts, self.memory = name, facts, {}
        self.lines = tuple(facts["lines"])
        self.assigned = tuple(dict.fromkeys(line.split()[0] for line in self.lines))
        self.result = self.lines[-1].split()[0]
        last = () if self.result == "y" else (f"y = {self.result}",)
        self.graph = Graph((*self.lines, *last), facts["leaves"])
        names = (*facts["leaves"], *self.assigned)
        self.quantities = tuple(dict.fromkeys((
            *facts["right"], *self.assigned, *(f"{name}.grad" for name in names))))

    @functools.cached_property
    def spellings(self):
        """The ways in which engines compose - and / of other operations, where they differ."""
        return spellings(self.graph)

    @functools.cached_property
    def usable(self):
        """The switches that can change this graph."""
        inside = set().union(*(operations(self.graph, how) for how in self.spellings))
        return [s for s in switches() if matters(s, inside)]

    def levels(self, most):
        """Lists of pairs (ids, switches), the simplest first."""
        for size in range(most + 1):
            found = [chosen for chosen in itertools.combinations(self.usable, size)
                     if not any(conflict(s, chosen[:i]) for i, s in enumerate(chosen))]
            yield [(tuple(sorted({s.fault for s in chosen})), chosen) for chosen in found]

    def right(self, quantity):
        """The right value of a quantity: what minigrad gives."""
        return self.outcomes(())[0](quantity)

    def outcomes(self, chosen):
        """Functions from a quantity to its value: one for every order of nodes that the switches
        allow, and every spelling that matters to them. None where the engine would raise."""
        key = tuple(map(id, chosen))
        if len(chosen) > 1:
            return self.each_outcome(chosen)
        if key not in self.memory:
            self.memory[key] = [*self.each_outcome(chosen)]
        return self.memory[key]

    def each_outcome(self, chosen):
        engine = Engine(chosen)
        for how in self.spellings:
            inside = operations(self.graph, how)
            if not all(matters(s, inside) for s in chosen):
                continue
            for order in orders_of(engine):
                try:
                    walked = self.walked(engine, how, order)
                except (RuntimeError, ValueError):  # shapes that do not fit
                    continue
                yield functools.partial(self.quantity, walked)

    def walked(self, engine, how, order):
        """(leaves, values by name, {tensor: gradient}) after one backward pass."""
        leaves, result, values, changed = built(self.graph, how, tuple(engine.swapped),
                                                engine.columns)
        grads = {}
        with np.errstate(all="ignore"):
            engine.backward(result, grads, changed, order)
        return leaves, values, grads

    def quantity(self, walked, quantity):
        leaves, values, grads = walked
        name, _, gradient = quantity.partition(".")
        tensor = leaves.get(name, values.get(name))
        if not gradient:
            return np.asarray(tensor.array)
        return np.asarray(grads.get(tensor, np.zeros(tensor.shape)))


def orders_of(engine):
    """The orders in which an engine may visit nodes.

    A graph has more than one topological order. Sums do not care, but of gradients that overwrite
    each other the last one stays: Karpathy's sort visits operands as a set gives them.
    """
    right = engine.order == "topological"
    return ORDERS[engine.order] + (SORTS if right and engine.overwrite else [])
