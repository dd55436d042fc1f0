"""The smallest sets of switches that give a student's numbers on every graph, right and wrong.

The one trick: a switch is only tried if it spoils no graph that the student has right, and a second
one only if it mends the first graph that is not explained yet. So pairs cost a few singles, not
their square.
"""

import math
import re
import time

import numpy as np

from minigrad.coursework.engines.faults import AXES, BY_ID, ELEMENTWISE, switches
from minigrad.coursework.engines.graphs import PLAIN, spellings
from minigrad.coursework.engines.model import Engine, operations

MOST = 3  # switches at once
ALONE = ("order", "seed", "second", "overflow", "aliased", *AXES)  # kinds with one value
# What Python says where a rule meets a gradient that never came.
NOTHING_CAME = {"leaf": re.compile("KeyError"), "node": re.compile(
    "NoneType|KeyError|has no attribute '_?(grad|derivative|adjoint)")}


def agrees(found, right, tolerance):
    """Are the student's numbers those of an outcome of the model?"""
    if right is None or isinstance(found, tuple):  # the model's shapes do not fit, or an exception
        if right is not None and any(NOTHING_CAME[what].search(found[1]) for what in right.starved):
            return True
        unfit = right is None or any(np.shape(right[n]) != shape for n, shape in shapes(right))
        return isinstance(found, tuple) and unfit
    if np.isnan(right["value"]).any() and np.isfinite(found["value"]).all():
        return False
    return all(close(found[name], right[name], tolerance) for name in right)


def shapes(right):
    """(leaf, the shape that its gradient must have)."""
    return [(name, np.shape(x)) for name, x in right.leaves.items()]


def close(x, y, tolerance):
    """Are the numbers x those of y? (nan in y: any number.)"""
    if np.size(x) == np.size(y) == 1:  # most graphs: no array needed
        x, y = np.asarray(x).item(), np.asarray(y).item()
        return y != y or x == y or (
            math.isfinite(y) and abs(x - y) <= tolerance * max(1.0, abs(y)))
    if np.shape(x) != np.shape(y):
        return False
    x, y = np.ravel(x), np.ravel(y)
    scale = max(1.0, np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(x - y) <= tolerance * scale) | np.isnan(y) | (x == y)))


class Search:
    """The smallest sets of switches that give the student's numbers on every graph."""

    def __init__(self, results, tolerance, until):
        self.results, self.tolerance, self.until = results, tolerance, until
        self.memory, self.spellings = {}, [spellings(graph) for graph, _ in results]
        self.names = [name_of(graph) for graph, _ in results]
        self.inside = [set().union(*(operations(graph, how) for how in known))
                       for (graph, _), known in zip(results, self.spellings)]
        present = set().union(*self.inside)
        self.switches = [s for s in switches() if matters(s, present)]
        right = [i for i in range(len(results)) if self.agrees(i, ())]
        # What would spoil a graph that the student has right is no mistake of theirs ..
        self.spoiling = [s for s in self.switches if any(
            self.changes(s, i) for i in right if matters(s, self.inside[i]))]
        spoiling = {*map(id, self.spoiling)}
        self.switches = [s for s in self.switches if id(s) not in spoiling]

    def agrees(self, i, chosen):
        """Does the student's outcome of graph i agree with the model's, these switches on?"""
        key = (i, frozenset(s for s in map(Key, chosen) if matters(s.switch, self.inside[i])))
        if key not in self.memory:
            graph, found = self.results[i]
            self.memory[key] = any(
                agrees(found, right, self.tolerance) for how in self.spellings[i]
                for right in predicted(graph, self.names[i], how, key[1]))
        return self.memory[key]

    def add_hidden(self, among):
        """.. unless another one hides it there: what is overwritten may be sent twice, and a mask
        that is missing is not missed where a product sends 0."""
        wrong = [i for i in among if not self.agrees(i, ())]
        self.switches += [s for s in self.spoiling if s.kind in ("order", "overwrite") or any(
            self.agrees(i, (s,)) for i in wrong if matters(s, self.inside[i]))]
        self.spoiling = []

    def changes(self, s, i):
        """Does a switch change graph i? (For all students alike: kept.)"""
        key = (self.names[i], id(s), self.tolerance)
        if key not in CHANGES:
            graph = self.results[i][0]
            right = predicted(graph, self.names[i], PLAIN, frozenset())[0]
            CHANGES[key] = not any(
                agrees(right, other, self.tolerance) for how in self.spellings[i]
                for other in predicted(graph, self.names[i], how, frozenset({Key(s)})))
        return CHANGES[key]

    def nameless(self, i):
        """Did graph i raise an exception that no switch explains?"""
        return isinstance(self.results[i][1], tuple) and not any(
            self.agrees(i, (s,)) for s in self.switches if matters(s, self.inside[i]))

    def mismatch(self, chosen, among):
        """The first of these graphs that the switches do not explain, or None."""
        return next((i for i in among if not self.agrees(i, chosen)), None)

    def solutions(self, among, most):
        """All smallest tuples of switches (of up to `most`) that explain these graphs."""
        level = [()]
        if self.mismatch((), among) is None:
            return level
        for _ in range(most):
            found, following, seen = [], [], set()
            for chosen in level:
                if time.process_time() > self.until:
                    return []
                i = self.mismatch(chosen, among)
                for s in self.switches:
                    if not matters(s, self.inside[i]) or conflict(s, chosen):
                        continue
                    larger = (*chosen, s)
                    key = frozenset(map(id, larger))
                    if key in seen:
                        continue
                    seen.add(key)
                    if chosen and not self.agrees(i, larger):
                        continue
                    if self.mismatch(larger, among) is None:
                        found.append(larger)
                    else:
                        following.append(larger)
            if found:
                return found
            level = following
        return []

    def with_habits(self, found, among):
        """Those of the solutions that explain these graphs too; or that do with a way to go on
        after a first backward(), as solutions with it."""
        plain = [chosen for chosen in found if self.mismatch(chosen, among) is None]
        habits = [s for s in self.switches if s.kind == "second"]
        return plain or [
            (*chosen, s) for chosen in found for s in habits
            if not conflict(s, chosen) and self.mismatch((*chosen, s), among) is None]


CHANGES = {}       # {(graph, switch, tolerance): does it change the outcome?}
def right_outcome(graph):
    """What the right engine gives."""
    return predicted(graph, name_of(graph), PLAIN, frozenset())[0]


def name_of(graph):
    """A key for what a graph gives: leaves may be lists."""
    return graph.lines, repr(graph.leaves), graph.calls


PREDICTED = {}     # what switches make of graphs: the same for every student
ENOUGH = 40_000    # of them, at about 1 KB each


def predicted(graph, name, how, switched):
    """The outcomes that a set of switches allows (None: the engine fails)."""
    key = (name, how, switched)
    if key not in PREDICTED:
        if len(PREDICTED) >= ENOUGH:
            PREDICTED.clear()
            CHANGES.clear()
        PREDICTED[key] = [*Engine(s.switch for s in switched).outcomes(graph, how)]
    return PREDICTED[key]


class Key:
    """A switch as a key: its value may be a dict of rules."""

    def __init__(self, switch):
        self.switch = switch

    def __hash__(self):
        return id(self.switch)

    def __eq__(self, other):
        return self.switch is other.switch


def matters(s, inside):
    """Can a switch change a graph of these operations?"""
    if s.kind == "rules":
        return any(op in inside for op, _ in s.value)
    if s.kind in ("count", "writes"):
        return s.value in inside
    if s.kind in ("overflow", *AXES):
        return not inside.isdisjoint(s.value)
    if s.kind == "broadcast" and s.place is None:
        return not inside.isdisjoint(ELEMENTWISE)
    return s.place is None or s.place in inside


def conflict(s, chosen):
    """Would a switch undo, or repeat, one of those chosen?"""
    for other in chosen:
        if other is s or s.fault == other.fault and (s.place is None or other.place is None):
            return True
        if s.kind == other.kind == "rules" and set(s.value) & set(other.value):
            return True
        if s.kind == other.kind and s.kind in ALONE:
            return True
        if s.kind == other.kind and s.kind in ("scale", "broadcast") and s.place == other.place:
            return True
    return False


def tolerance_of(results, rights):
    """1e-9, or what float32 allows if the forward values are of that kind."""
    worst = max((np.max(np.abs(found["value"] - right["value"]) / (1 + np.abs(right["value"])))
                 for (_, found), right in zip(results, rights)
                 if not isinstance(found, tuple) and np.size(found["value"]) == 1
                 and close(found["value"], right["value"], 1e-4)
                 and np.all(np.isfinite(right["value"]))), default=0.0)
    return 1e-9 if worst < 1e-11 else 1e-4


def explanation(results, tolerance, until):
    """(the chosen switches, other sets of ids as small, which results they do not explain).

    A walk that is wrong seldom has a second backward() worth a name, and a rule may raise an
    exception besides: what one backward() gave, and what gave numbers, is explained nevertheless.
    """
    search = Search(results, tolerance, until)
    once = [i for i, (graph, _) in enumerate(results) if graph.calls == 1]
    twice = [i for i, (graph, _) in enumerate(results) if graph.calls > 1]
    nameless = [i for i in once if search.nameless(i)]
    once = [i for i in once if i not in nameless]
    for most in (2, 2, MOST):  # pairs that hide each other are likelier than three that do not
        found = search.solutions(once, most)
        found = search.with_habits(found, twice) or [chosen for chosen in found if chosen]
        if found:
            break
        search.add_hidden(once)
    found = [chosen for chosen in found if not nameless or any(
        BY_ID[s.fault].course is None for s in chosen)]  # an exception is no convention
    if not found or not found[0]:
        return (), [], []
    found.sort(key=lambda chosen: (len(ids(chosen)), sum(s.kind == "order" for s in chosen),
                                   sum(BY_ID[s.fault].course is None for s in chosen)))
    least = ids(found[0])
    sets = {ids(chosen) for chosen in found if len(ids(chosen)) == len(least)}
    aside = [i for i in range(len(results)) if not search.agrees(i, found[0])]
    return found[0], sorted(sets - {least}), aside


def ids(chosen):
    """Mistakes first, then what is right by another convention."""
    return tuple(sorted({s.fault for s in chosen}, key=lambda i: (BY_ID[i].course is not None, i)))
