"""Panels: the curves of an experiment as numbers, and as a picture for those with matplotlib.

The one trick: what is measured is a coloured line, what is predicted a dashed black one on top of
it. Where the claim holds, the eye sees one line. Of lines
that coincide the later one is thinner, so both are seen.
"""

import io
from dataclasses import dataclass, field

import numpy as np

from minigrad.inspect.runs import COLOURS

NEEDED = ("the picture of an experiment needs matplotlib: python -m pip install matplotlib; "
          ".table() works without")
BLACK, GRID = "#000000", "#E4E7EC"


@dataclass(frozen=True, eq=False)
class Curve:
    """Numbers y over x. kind: "measured", "predicted", or "points", measured here and there."""

    label: str
    x: np.ndarray
    y: np.ndarray
    kind: str = "measured"


@dataclass(frozen=True, eq=False)
class Panel:
    """Curves in one pair of axes. log: which axes are logarithmic, "", "x", "y" or "xy"."""

    title: str
    xlabel: str
    ylabel: str
    curves: list = field(default_factory=list)
    log: str = ""

    def measured(self, label, x, y):
        self.curves.append(Curve(label, np.asarray(x, float), np.asarray(y, float)))
        return self

    def points(self, label, x, y):
        self.curves.append(Curve(label, np.asarray(x, float), np.asarray(y, float), "points"))
        return self

    def predicted(self, x, y, label="predicted"):
        self.curves.append(Curve(label, np.asarray(x, float), np.asarray(y, float), "predicted"))
        return self


def figure(title, panels):
    """A matplotlib Figure of the panels, side by side. ImportError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(NEEDED) from None
    drawn = Figure(figsize=(0.6 + 5.2 * len(panels), 4.4), layout="constrained")
    drawn.suptitle(title, fontsize=11)
    for axis, panel in zip(np.atleast_1d(drawn.subplots(1, len(panels))), panels):
        draw(axis, panel)
    # A Figure that pyplot does not know would show as its repr in a notebook.
    drawn._repr_png_ = lambda: rendered(drawn, "png")
    return drawn


def draw(axis, panel):
    """One panel: curves, and their names below the axes."""
    colours = iter(COLOURS * (1 + len(panel.curves) // len(COLOURS)))
    width, seen = 2 + 0.7 * sum(curve.kind == "measured" for curve in panel.curves), set()
    for curve in panel.curves:
        label = None if curve.label in seen else curve.label
        seen.add(curve.label)
        if curve.kind == "predicted":
            axis.plot(curve.x, curve.y, "--", color=BLACK, linewidth=1.1, label=label, zorder=3,
                      marker="x" if len(curve.x) == 1 else None)
        elif curve.kind == "points":
            axis.plot(curve.x, curve.y, "o", color=next(colours), markersize=5, label=label)
        else:
            width -= 0.7
            axis.plot(curve.x, curve.y, color=next(colours), linewidth=width, label=label)
    for letter in panel.log:
        getattr(axis, f"set_{letter}scale")("log", nonpositive="mask")
        low, high = getattr(axis, f"get_{letter}lim")()
        if high > 10 * low > 0:  # powers of ten are enough to read
            getattr(axis, f"{letter}axis").set_minor_formatter("")
    axis.set_title(panel.title, fontsize="medium")
    axis.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    axis.grid(True, color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False,
                fontsize="small")


def rendered(drawn, form):
    """The bytes of a Figure as "png", "svg" or "pdf": the same ones whenever it is drawn."""
    import matplotlib
    file, dated = io.BytesIO(), {"svg": "Date", "pdf": "CreationDate"}
    with matplotlib.rc_context({"svg.hashsalt": "minigrad"}):
        drawn.savefig(file, format=form, dpi=90,
                      metadata={dated[form]: None} if form in dated else None)
    return file.getvalue()
