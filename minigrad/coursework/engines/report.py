"""What a diagnosis of an autograd engine says: in a terminal, in a notebook, as hints.

The one trick: the picture is minigrad's own of the smallest graph that shows the fault, with the
right gradients in it.
"""

import textwrap
from collections import namedtuple

import numpy as np

from minigrad.coursework.engines.faults import BY_ID
from minigrad.coursework.engines.model import recorded
from minigrad.coursework.hints import asked
from minigrad.inspect.draw import draw
from minigrad.markup import bundle, pre

FirstDifference = namedtuple("FirstDifference", "graph quantity tensor yours right")


class EngineDiagnosis:
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
        _, y, _, _ = recorded(self.smallest)
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
            yield from ("    " + line for line in self.program)
            apart = "\n    " if max(np.ndim(d.yours), np.ndim(d.right)) > 1 else " "
            yield f"  {d.quantity}: yours{apart}{shown(d.yours)}"
            yield f"  right{apart}{shown(d.right)}"
        if self.untested:
            yield from wrapped("not tested, as the class has none: " + ", ".join(self.untested))
        for note in self.notes:
            yield from wrapped("note: " + note)

    def __str__(self):
        return "\n".join(line for text in self.lines() for line in wrapped(text))

    __repr__ = __str__

    def _repr_mimebundle_(self, include=None, exclude=None):
        html = pre(str(self))
        if self.smallest is not None:
            html += self.graph()._repr_mimebundle_().get("text/html", "")
        return bundle(str(self), html)


def wrapped(text, width=79):
    """Lines of a text; what is longer goes on, further in. Lines of numbers stay."""
    if len(text) <= width or "\n" in text:
        return [text]
    margin = " " * (len(text) - len(text.lstrip()) + 4)
    return textwrap.wrap(text, width, subsequent_indent=margin, break_long_words=False)


def shown(x):
    if isinstance(x, str) or x is None:
        return str(x)
    text = np.array2string(np.asarray(x), precision=5, separator=", ", threshold=40)
    return text.replace("\n", "\n    ")
