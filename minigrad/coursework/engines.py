"""Which mistake is in an autograd engine: `diagnose_autograd(Value)`.

The one trick: tiny graphs run on the student's class and on a right engine with switches. What is
reported is the smallest set of switches that gives the student's numbers on every graph, right and
wrong ones alike.
"""

import time
from collections import namedtuple

import numpy as np

from minigrad.coursework.engine_adapters import EngineAdapter, Missing
from minigrad.coursework.engine_faults import BY_ID, REFLECTED, Switch, switches
from minigrad.coursework.engine_graphs import array_graphs, scalar_graphs, spellings
from minigrad.coursework.engine_model import Engine, built, operations
from minigrad.coursework.hints import asked
from minigrad.inspect.draw import draw
from minigrad.markup import bundle, pre

SECONDS = 20  # for the search; singles and pairs take a few
MOST = 3      # switches at once

FirstDifference = namedtuple("FirstDifference", "graph quantity tensor yours right")


class EngineDiagnosis:
    """What diagnose_autograd found. print() it; in a notebook it draws the smallest graph.

    verdict: "correct", "convention" (right by another definition, see causes), "mistake" or
    "unknown". causes: the ids that explain the numbers, places: {id: operations it sits in}.
    ties: every other set of ids as small. first_difference: (graph, quantity, tensor, yours,
    right) of the smallest graph that shows it. untested: graphs the class has no operations for.
    """

    def __init__(self, verdict, causes, places, ties, first, graph, untested, residual, count):
        self.verdict, self.causes, self.places, self.ties = verdict, causes, places, ties
        self.first_difference, self.smallest, self.untested = first, graph, untested
        self.residual, self.count = residual, count

    def hint(self, level="where"):
        """What a student may be told: "where", "concept" or "formula". ValueError otherwise."""
        level = asked(level)
        lines = []
        if level == "where" and self.first_difference is not None:
            d = self.first_difference
            lines.append(f"{d.quantity} differs in: {d.graph}")
        for cause in self.causes:
            fault = BY_ID[cause]
            at = ", ".join(self.places.get(cause, ()))
            if level == "where":
                lines += [f"look at: {at}"] if at else []
            else:
                lines.append(fault.concept if level == "concept" else fault.formula)
        return "\n".join(lines) or "No known mistake reproduces these numbers."

    def graph(self):
        """The picture of the smallest graph that shows it, with the right gradients; or None."""
        if self.smallest is None:
            return None
        _, y, _, _ = built(self.smallest)
        y.backward()
        return draw(y)

    def lines(self):
        if self.verdict == "correct":
            yield f"correct: {self.count} graphs, and every gradient is right"
        elif self.verdict == "unknown":
            yield ("unknown: the gradients are wrong, but no known mistake gives these numbers"
                   if self.first_difference else "unknown: + and * do not work")
        else:
            yield f"{self.verdict}: " + ", ".join(self.causes)
        for cause in self.causes:
            fault, at = BY_ID[cause], ", ".join(self.places.get(cause, ()))
            yield f"  {fault.title}" + (f" (in {at})" if at else "")
            if fault.course:
                yield f"  right by: {fault.course}"
        if self.ties:
            yield "or as well: " + "; ".join(" + ".join(tie) for tie in self.ties)
        d = self.first_difference
        if d is not None:
            yield f"smallest graph that shows it: {d.graph}"
            apart = "\n    " if max(np.ndim(d.yours), np.ndim(d.right)) > 1 else " "
            yield f"  {d.quantity}: yours{apart}{shown(d.yours)}"
            yield f"  right{apart}{shown(d.right)}"
        if self.untested:
            firsts = dict.fromkeys(text.split(";")[0].split(" = ", 1)[1] for text in self.untested)
            yield "not tested, for want of an operation: " + ", ".join([*firsts][:8]) + (
                f" and {len(firsts) - 8} more" if len(firsts) > 8 else "")

    def __str__(self):
        return "\n".join(self.lines())

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None):
        html = pre(str(self))
        if self.smallest is not None:
            html += self.graph()._repr_mimebundle_().get("text/html", "")
        return bundle(str(self), html)


def shown(x):
    if isinstance(x, str) or x is None:
        return str(x)
    text = np.array2string(np.asarray(x), precision=5, separator=", ", threshold=40)
    return text.replace("\n", "\n    ")


# --- what the student's class gives ---------------------------------------------------------------

def observed(adapter, graph):
    """{"value": .., leaf: gradient, ..} of a graph on the student's class.

    Missing, TypeError or AttributeError of an operation it does not have is raised; an exception of
    backward is the outcome: ("raises", its text).
    """
    leaves = {name: adapter.leaf(x) for name, x in graph.leaves.items()}
    values, names = dict(leaves), adapter.names()
    for line in graph.lines:
        exec(compile(line, "<graph>", "exec"), names, values)
    y = values["y"]
    found = {"value": adapter.data(y)}
    try:
        for _ in range(graph.calls):
            adapter.backward(y)
        for name, leaf in leaves.items():
            g = adapter.grad(leaf)
            found[name] = np.zeros(np.shape(graph.leaves[name])) if g is None else g
    except Exception as error:
        return "raises", f"{type(error).__name__}: {error}"
    return found


LACKING = (Missing, TypeError, AttributeError, NotImplementedError)


def trial(adapter, graphs):
    """[(graph, outcome)] of those that can run, the graphs that cannot, and whether it is a number
    on the left that fails."""
    results, lacking, reflected = [], [], []
    for graph in graphs:
        try:
            with np.errstate(all="ignore"):
                found = observed(adapter, graph)
        except LACKING:
            lacking.append(graph)
            continue
        except Exception as error:
            found = ("raises", f"{type(error).__name__}: {error}")
        if isinstance(found, tuple) and (graph.calls > 1 or "+=" in "".join(graph.lines)):
            lacking.append(graph)  # refused, as PyTorch refuses these
            continue
        results.append((graph, found))
    ran = {line for graph, _ in results for line in graph.lines}
    for graph in lacking:
        words = graph.lines[0].split()
        if words[2] == "2" and " ".join((*words[:2], "a", words[3], "2")) in ran:
            reflected.append(graph)
    return results, lacking, reflected


def agrees(found, right, tolerance):
    """Are the student's numbers those of an outcome of the model?"""
    if right is None or isinstance(found, tuple):  # the model's shapes do not fit, or an exception
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
    if np.shape(x) != np.shape(y):
        if np.size(x) != np.size(y) or np.size(x) != 1:
            return False
    x, y = np.ravel(x), np.ravel(y)
    scale = max(1.0, np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
    with np.errstate(invalid="ignore"):
        return bool(np.all((np.abs(x - y) <= tolerance * scale) | np.isnan(y) | (x == y)))


class Outcome(dict):
    """The model's numbers, and the leaves that the graph began with."""

    def __init__(self, numbers, graph):
        super().__init__(numbers)
        self.leaves = graph.leaves


# --- the search -----------------------------------------------------------------------------------

class Search:
    """The smallest sets of switches that give the student's numbers on every graph."""

    def __init__(self, results, tolerance, until):
        self.results, self.tolerance, self.until = results, tolerance, until
        self.memory, self.spellings = {}, [spellings(graph) for graph, _ in results]
        self.inside = [set().union(*(operations(graph, how) for how in known))
                       for (graph, _), known in zip(results, self.spellings)]
        present = set().union(*self.inside)
        self.switches = [s for s in switches() if matters(s, present)]

    def agrees(self, i, chosen):
        """Does the student's outcome of graph i agree with the model's, these switches on?"""
        key = (i, frozenset(s for s in map(Key, chosen) if matters(s.switch, self.inside[i])))
        if key not in self.memory:
            graph, found = self.results[i]
            engine = Engine(s.switch for s in key[1])
            self.memory[key] = any(
                agrees(found, None if right is None else Outcome(right, graph), self.tolerance)
                for how in self.spellings[i] for right in engine.outcomes(graph, how))
        return self.memory[key]

    def mismatch(self, chosen):
        """The first graph that these switches do not explain, or None."""
        return next((i for i in range(len(self.results)) if not self.agrees(i, chosen)), None)

    def solutions(self, most=MOST):
        """All smallest explaining tuples of switches (of up to `most`)."""
        level = [()]
        for _ in range(most):
            found, following, seen = [], [], set()
            for chosen in level:
                if time.monotonic() > self.until:
                    return []
                i = self.mismatch(chosen)
                for s in self.switches:
                    if not matters(s, self.inside[i]) or conflict(s, chosen):
                        continue
                    larger = (*chosen, s)
                    key = frozenset(map(id, larger))
                    if key in seen:
                        continue
                    seen.add(key)
                    if self.mismatch(larger) is None:
                        found.append(larger)
                    elif self.agrees(i, larger) or self.shadowed(i, chosen):
                        following.append(larger)
            if found:
                return found
            level = following
        return []

    def shadowed(self, i, chosen):
        """May a graph need several mistakes at once? Those of one operation need not ask."""
        return not chosen and len(self.inside[i]) > 1


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
    if s.kind == "count":
        return s.value in inside
    return s.place is None or s.place in inside


def conflict(s, chosen):
    """Would a switch undo, or repeat, one of those chosen?"""
    for other in chosen:
        if other is s or s.fault == other.fault and (s.place is None or other.place is None):
            return True
        if s.kind == other.kind == "rules" and set(s.value) & set(other.value):
            return True
        if s.kind == other.kind and s.kind in ("order", "seed", "second", "parents", "broadcast"):
            return True
        if s.kind == other.kind == "scale" and s.place == other.place:
            return True
    return False


# --- the diagnosis --------------------------------------------------------------------------------

def diagnose_autograd(value, *, convention="torch", arrays=None, seconds=SECONDS, **adapter):
    """The EngineDiagnosis of an autograd class: micrograd's Value, needle's or minitorch's Tensor.

    value: the class, a function that makes a leaf of a number (or of an ndarray), or an
    EngineAdapter. convention: "torch", or "micrograd" (one backward() per graph is enough) or
    "needle" (each backward() sets .grad). arrays: run the graphs of arrays too (None: if sums of
    them work). Other keywords are EngineAdapter's. TypeError if a leaf cannot be made at all.
    """
    if convention not in ACCEPTED:
        raise ValueError(f"convention is {convention!r}; choose one of {', '.join(ACCEPTED)}")
    adapter = value if isinstance(value, EngineAdapter) else EngineAdapter(value, **adapter)
    check(adapter)
    results, lacking, reflected = trial(adapter, scalar_graphs())
    if arrays or (arrays is None and takes_arrays(adapter)):
        more, without, _ = trial(adapter, array_graphs())
        results, lacking = results + more, lacking + without
    rights = [Engine().outcome(graph) for graph, _ in results]
    tolerance = tolerance_of(results, rights)
    wrong = [i for i, (_, found) in enumerate(results)
             if not agrees(found, Outcome(rights[i], results[i][0]), tolerance)]
    chosen, ties = (), []
    if wrong:
        chosen, ties = explanation(results, tolerance, time.monotonic() + seconds)
    return summed_up(results, rights, wrong, chosen, ties, lacking, reflected, convention)


BASIC = {"y = a + b", "y = a * b"}  # without these nothing can be said
ACCEPTED = {"torch": (), "micrograd": ("interior-gradients-not-cleared",),
            "needle": ("leaf-gradients-cleared",)}


def check(adapter):
    """Refuses a class of which not even a leaf can be made and read."""
    try:
        found = adapter.data(adapter.leaf(2.0))
    except Exception as error:
        raise TypeError(f"no leaf could be made by {adapter.make!r}: {type(error).__name__}: "
                        f"{error}; give EngineAdapter(leaf=..., data=...)") from error
    if np.size(found) != 1 or not np.allclose(found, 2.0):
        raise TypeError(f"a leaf made of 2.0 reads as {found}; give EngineAdapter(data=...)")


def takes_arrays(adapter):
    """Can the class hold an array and sum it?"""
    try:
        x = adapter.leaf(np.ones((2, 3)))
        return np.size(adapter.data(adapter.names()["sum"](x))) == 1
    except Exception:
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
    """(the chosen switches, other sets of ids as small)"""
    found = Search(results, tolerance, until).solutions()
    if not found:
        return (), []
    found.sort(key=lambda chosen: len(ids(chosen)))
    least = ids(found[0])
    sets = {ids(chosen) for chosen in found if len(ids(chosen)) == len(least)}
    return found[0], sorted(sets - {least})


def ids(chosen):
    return tuple(sorted({s.fault for s in chosen}))


def summed_up(results, rights, wrong, chosen, ties, lacking, reflected, convention):
    """The EngineDiagnosis of what was found."""
    causes, places = list(ids(chosen)), {}
    for s in chosen:
        places.setdefault(s.fault, []).extend(where(s))
    first = graph = None
    if wrong:
        graph, first = difference(results, rights, wrong[0])
    if reflected:
        causes.append(REFLECTED.id)
        places[REFLECTED.id] = [g.lines[0].split(" = ")[1] for g in reflected]
        if not wrong:
            graph = reflected[0]
            first = FirstDifference(graph.lines[0], "the value y", "y", "an exception", "a value")
    unexplained = bool(wrong) and not chosen
    if unexplained or any("; ".join(g.lines) in BASIC for g in lacking):
        verdict = "unknown"
    elif not causes or all(c in ACCEPTED[convention] for c in causes):
        verdict = "correct"
    else:
        verdict = "convention" if all(BY_ID[c].course for c in causes) else "mistake"
    residual = 0.0 if not unexplained else apart(results, rights, wrong)
    untested = tuple("; ".join(g.lines) for g in lacking if g not in reflected)
    return EngineDiagnosis(verdict, tuple(causes), places, ties, first, graph, untested, residual,
                           len(results))


def where(s: Switch):
    """The operations that a switch sits in."""
    if s.kind == "rules":
        return sorted({op for op, _ in s.value})
    return [str(s.place)] if s.place else ([s.value] if s.kind == "count" else [])


def difference(results, rights, i):
    """(the graph, the FirstDifference) of a result that is wrong."""
    (graph, found), right = results[i], rights[i]
    given = ", ".join(f"{name} = {shown(x)}" for name, x in graph.leaves.items()
                      if np.ndim(x) == 0)
    text = "; ".join(graph.lines) + (f"  ({given})" if given else "")
    if graph.calls > 1:
        text += "  (backward twice)"
    if isinstance(found, tuple):
        return graph, FirstDifference(text, "backward", "y", found[1], "no exception")
    for name in right:
        if not close(found[name], right[name], 1e-4):
            break
    quantity = "the value y" if name == "value" else f"the gradient of {name}"
    return graph, FirstDifference(text, quantity, name, found[name], right[name])


def apart(results, rights, wrong):
    """The largest difference of the graphs that are wrong (inf for shapes and exceptions)."""
    worst = 0.0
    for i in wrong:
        found = results[i][1]
        if isinstance(found, tuple):
            return np.inf
        for name, right in rights[i].items():
            if np.shape(found[name]) != np.shape(right):
                return np.inf
            worst = max(worst, float(np.max(np.abs(found[name] - right))))
    return worst
