"""Which mistake is in an autograd engine: `diagnose_autograd(Value)`.

The one trick: tiny graphs run on the student's class and on a right engine with switches. What is
reported is the smallest set of switches that gives the student's numbers on every graph, right and
wrong ones alike.
"""

import time

import numpy as np

from minigrad.coursework.engines.adapters import EngineAdapter
from minigrad.coursework.engines.faults import AXES, BY_ID, REFLECTED, Switch
from minigrad.coursework.engines.graphs import array_graphs, scalar_graphs
from minigrad.coursework.engines.report import EngineDiagnosis, FirstDifference, shown
from minigrad.coursework.engines.search import (
    agrees,
    close,
    explanation,
    ids,
    right_outcome,
    tolerance_of,
)
from minigrad.coursework.engines.trials import LONG, observed, sorted_out, too_deep, untested

SECONDS = 2.5  # of computing, for the search: mistakes alone take a few tenths, pairs more


def diagnose_autograd(value, *, convention=None, complete=False, arrays=None, seconds=SECONDS,
                      **adapter):
    """The EngineDiagnosis of an autograd class: micrograd's Value, needle's or minitorch's Tensor.

    value: the class, a function that makes a leaf of a number (or of an ndarray), or an
    EngineAdapter. convention, of a second backward(): "torch", "micrograd" (it is not asked for) or
    "needle" (it sets .grad). None: "torch", but beside a mistake the habits of micrograd and needle
    are told in a note, not among the causes. Most students start from micrograd, which is so as its
    author meant it: whoever has one line wrong there should read of that line alone, and nothing
    outside tells a line left out from a line that never was.
    complete: a missing __radd__, __rsub__, .. is a mistake, not a note. arrays: run the graphs of
    arrays too (None: if sums of them work). Other keywords are EngineAdapter's. TypeError if a leaf
    cannot be made at all.
    """
    adapter = value if isinstance(value, EngineAdapter) else EngineAdapter(value, **adapter)
    check(adapter)
    graphs = scalar_graphs()
    if arrays or (arrays is None and takes_arrays(adapter)):
        graphs += array_graphs()
    outcomes = [(graph, observed(adapter, graph)) for graph in graphs]
    found = explained(outcomes, convention=convention, complete=complete, seconds=seconds)
    if found.smallest is not None:
        found.program = adapter.program(found.smallest, found.first_difference.tensor)
    if found.verdict != "unknown" and not STUCK.intersection(found.causes) and too_deep(adapter):
        found.notes += (f"recursion-too-deep: backward() of {LONG} nodes in a chain exceeds "
                        "Python's recursion; a stack of one's own does not",)
    return found


def explained(outcomes, *, convention="torch", complete=False, seconds=SECONDS):
    """The EngineDiagnosis of what graphs gave, wherever they ran: [(graph, outcome)].

    graph: one of scalar_graphs() or array_graphs() (.lines, .leaves, .calls: plain data). outcome:
    {"value": y, leaf: its gradient or None, ..}, numbers or nested lists; or ("lacks", text) of an
    operation that the class does not have (TypeError, AttributeError, NotImplementedError in
    forward); or ("raises", text). convention, complete: diagnose_autograd's. ValueError for a
    convention there is not.
    """
    if convention is not None and convention not in ACCEPTED:
        raise ValueError(f"convention is {convention!r}; choose one of {', '.join(ACCEPTED)}")
    results, lacking, reflected = sorted_out(outcomes)
    rights = [right_outcome(graph) for graph, _ in results]
    tolerance = tolerance_of(results, rights)
    wrong = [i for i, (_, found) in enumerate(results)
             if not agrees(found, rights[i], tolerance)]
    chosen, ties, aside = (), [], []
    if wrong:
        chosen, ties, aside = explanation(results, tolerance, time.process_time() + seconds)
    found = summed_up(results, rights, wrong, chosen, ties, (lacking, reflected), convention)
    if aside:
        found.notes += ("not explained by this: " + "; ".join(
            told_of(*results[i]) for i in aside[:3]) + (", .." if len(aside) > 3 else ""),)
    return reflecting(found, reflected, complete)


def told_of(graph, found):
    """A result that is not explained, in words."""
    text = graph_text(graph)
    return text + f" raises {found[1]}" if isinstance(found, tuple) else text


# With these a long chain may never end, or says nothing.
STUCK = {"repropagates-accumulated", "topological-order-without-visited"}
BASIC = {"y = a + b", "y = a * b"}  # without these nothing can be said
ACCEPTED = {"torch": (), "micrograd": ("interior-gradients-not-cleared",),
            "needle": ("leaf-gradients-cleared",)}
HABITS = {id for ids in ACCEPTED.values() for id in ids}


def check(adapter):
    """Refuses a class of which not even a leaf can be made and read."""
    try:
        found = adapter.data(adapter.leaf(2.0))
    except (Exception, SystemExit) as error:
        raise TypeError(f"no leaf could be made by {adapter.make!r}: {type(error).__name__}: "
                        f"{error}; give EngineAdapter(leaf=..., data=...)") from error
    if np.size(found) != 1 or not np.allclose(found, 2.0):
        raise TypeError(f"a leaf made of 2.0 reads as {found}; give EngineAdapter(data=...)")


def takes_arrays(adapter):
    """Can the class hold an array and sum it?"""
    try:
        x = adapter.leaf(np.ones((2, 3)))
        return np.size(adapter.data(adapter.names()["sum"](x))) == 1
    except (Exception, SystemExit):
        return False


def summed_up(results, rights, wrong, chosen, ties, without, convention):
    """The EngineDiagnosis of what was found."""
    causes, ties, notes = aside_of_habits(ids(chosen), ties, convention)
    places = {id: [place for s in chosen if s.fault == id for place in where(s)] for id in causes}
    first = graph = None
    if wrong:
        alone = all(BY_ID[c].course for c in causes)  # otherwise show the mistake, not these
        shows = [i for i in wrong if alone or results[i][0].calls == 1] or wrong
        graph, first = difference(results, rights, shows[0])
    unexplained = bool(wrong) and not chosen
    if unexplained or any("; ".join(lines) in BASIC for lines in (g.lines for g in without[0])):
        verdict = "unknown"
    elif not causes or all(c in ACCEPTED[convention or "torch"] for c in causes):
        verdict = "correct"
    else:
        verdict = "convention" if all(BY_ID[c].course for c in causes) else "mistake"
    residual = 0.0 if not unexplained else apart(results, rights, wrong)
    return EngineDiagnosis(verdict, causes, places, ties, first, graph,
                           untested(results, *without), residual, len(results), notes)


def aside_of_habits(causes, ties, convention):
    """(causes, ties, notes): beside a mistake, what is usual on a second backward() is a note."""
    usual = HABITS if convention is None else ACCEPTED[convention]
    habits = [c for c in causes if c in usual]
    if not habits or len(habits) == len(causes):
        return causes, ties, ()
    fewer = tuple(c for c in causes if c not in usual)
    others = {tuple(c for c in tie if c not in usual) for tie in ties} - {fewer}
    notes = [f"{BY_ID[h].title}, as by {BY_ID[h].course} ({h})" for h in habits]
    return fewer, sorted(tie for tie in others if len(tie) == len(fewer)), tuple(notes)


def reflecting(found, reflected, complete):
    """The diagnosis, with what is said of operators that fail with a number on their left."""
    if not reflected:
        return found
    missing = [graph.lines[0].split(" = ")[1] for graph in reflected]
    if complete and found.verdict != "unknown":
        found.verdict = "mistake"
        found.causes += (REFLECTED.id,)
        found.places[REFLECTED.id] = missing
        if found.smallest is None:
            found.smallest = reflected[0]
            found.first_difference = FirstDifference(
                reflected[0].lines[0], "the value y", "y", "an exception", "a value")
    else:
        names = ", ".join(LEFT[text.split()[1]] for text in missing)
        found.notes += (f"with a number on the left: no {', '.join(missing)} (add {names})",)
    return found


CALLED = {"permute": "transpose"}
LEFT = {"+": "__radd__", "-": "__rsub__", "*": "__rmul__", "/": "__rtruediv__"}


def where(s: Switch):
    """The operations that a switch sits in."""
    if s.kind == "rules":
        return sorted({CALLED.get(op, op) for op, _ in s.value})
    if s.kind in ("overflow", *AXES):
        return [*s.value]
    return [CALLED.get(s.place, s.place)] if s.place else (
        [s.value] if s.kind in ("count", "writes") else [])


def difference(results, rights, i):
    """(the graph, the FirstDifference) of a result that is wrong."""
    (graph, found), right = results[i], rights[i]
    text = graph_text(graph)
    if isinstance(found, tuple):
        return graph, FirstDifference(text, "backward", "y", found[1], "no exception")
    for name in right:
        if not close(found[name], right[name], 1e-4):
            break
    quantity = "the value y" if name == "value" else f"the gradient of {name}"
    return graph, FirstDifference(text, quantity, name, found[name], right[name])


def graph_text(graph):
    """A graph in one line: "y = a + a  (a = -2.)"."""
    given = ", ".join(f"{name} = {shown(x)}" for name, x in graph.leaves.items()
                      if np.ndim(x) == 0)
    text = "; ".join(graph.lines) + (f"  ({given})" if given else "")
    return text + "  (backward twice)" if graph.calls > 1 else text


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
