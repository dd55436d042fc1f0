"""What a diagnosis of an autograd engine says: in a terminal, in a notebook, as hints.

The one trick: the picture is minigrad's own of the smallest graph that shows the fault, with the
right gradients in it.
"""

from collections import namedtuple

import numpy as np

from minigrad.coursework.engines.faults import BY_ID
from minigrad.coursework.engines.model import recorded
from minigrad.coursework.hints import Found
from minigrad.inspect.draw import draw
from minigrad.markup import pre

FirstDifference = namedtuple("FirstDifference", "graph quantity tensor yours right")


class EngineDiagnosis(Found):
    """What diagnose_autograd found. print() it; in a notebook it draws the smallest graph.

    verdict: "correct", "convention" (right by another definition, see causes), "mistake" or
    "unknown". causes: the ids that explain the numbers, places: {id: operations it sits in}.
    ties: every other set of ids as small. first_difference: (graph, quantity, tensor, yours,
    right) of the smallest graph that shows it. untested: operations that the class does not have.
    notes: what is no mistake, but good to know. residual: of "unknown", the largest difference.
    program: the lines of the smallest graph, to paste behind the class.
    """

    def __init__(self, verdict, causes, places, ties, first, graph, untested, residual, count,
                 notes=()):
        self.verdict, self.causes, self.places, self.ties = verdict, causes, places, ties
        self.first_difference, self.smallest, self.untested = first, graph, untested
        self.residual, self.count, self.notes = residual, count, notes
        self.program = ()

    def where(self):
        """The smallest graph that shows it, and the operations to look at."""
        d, at = self.first_difference, [", ".join(self.places.get(c, ())) for c in self.causes]
        lines = [] if d is None else [f"{d.quantity} differs in: {d.graph}"]
        return "\n".join(lines + [f"look at: {places}" for places in at if places])

    def concepts(self):
        return [BY_ID[cause].concept for cause in self.causes]

    def formulas(self):
        return [BY_ID[cause].formula for cause in self.causes]

    def graph(self):
        """The picture of the smallest graph that shows it, with the right gradients; or None."""
        if self.smallest is None:
            return None
        _, y, _, _ = recorded(self.smallest)
        y.backward()
        return draw(y)

    def report(self):
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
            yield from ("    " + line for line in self.program)
            apart = "\n    " if max(np.ndim(d.yours), np.ndim(d.right)) > 1 else " "
            yield f"  {d.quantity}: yours{apart}{shown(d.yours)}"
            yield f"  right{apart}{shown(d.right)}"
        if self.untested:
            yield "not tested, as the class has none: " + ", ".join(self.untested)
        for note in self.notes:
            yield "note: " + note

    def _html(self):
        picture = "" if self.smallest is None else self.graph()._repr_mimebundle_()
        return pre(str(self)) + (picture and picture.get("text/html", ""))


def shown(x):
    if isinstance(x, str) or x is None:
        return str(x)
    text = np.array2string(np.asarray(x), precision=5, separator=", ", threshold=40)
    return text.replace("\n", "\n    ")
