"""The page of a race: the landscape, the paths, and every quantity of every optimizer at a step.

The one trick: the page computes nothing about the race. It holds the numbers that minigrad.trace
recorded, in the form in which the page of a run holds them, and is read by the same script
(report_parts.js); what is new is only where they are drawn.
"""

import base64
import gzip
import math
import re
from importlib import resources

import numpy as np

from minigrad import markup
from minigrad.inspect import report, stepper
from minigrad.inspect.cards import printable
from minigrad.lab import raceplot
from minigrad.optim.rules import anatomy

STEPS = 1000      # shown; of a longer race every k-th
HIDDEN = ("data", "ratio", "t")


def page(race):
    """The page of a Race as HTML text; the same race gives the same bytes."""
    words, numbers = content(race)
    script = stepper.file("report_parts.js") + file("race.js")
    style = stepper.file("stepper.css") + file("race.css")
    policy = (f"default-src 'none'; script-src {stepper.fingerprint(script)}; "
              f"style-src {stepper.fingerprint(style)}; base-uri 'none'; form-action 'none'")
    parts = {"TITLE": markup.escaped(words["title"]), "POLICY": policy, "STYLE": style,
             "SOURCE": markup.escaped(words["source"]), "TABLE": markup.escaped(race.table()),
             "SCRIPT": script, "DATA": stepper.quoted(words),
             "NUMBERS": base64.b64encode(gzip.compress(numbers, 6, mtime=0)).decode()}
    return re.sub(r"%([A-Z]+)%", lambda m: parts[m[1]], file("race.html"))


def file(name):
    return resources.files("minigrad").joinpath("lab", "files", name).read_text("utf-8")


def content(race):
    """(what the script is told, as data for JSON; the numbers, as bytes)"""
    shelf, surface = report.Shelf(), race.surface
    longest = max(map(len, race.lanes.values()))
    steps = shown_steps(longest)
    _, _, heights = raceplot.grid(surface)
    curves, label, logarithmic = raceplot.shown_heights(race)
    low, high = raceplot.height_range(curves, heights, logarithmic)
    words = {
        "title": f"Race on {race.title}", "source": source(surface),
        "steps": steps, "all": steps, "parameters": [],
        "domain": [list(side) for side in surface.domain], "even": raceplot.is_even(surface),
        "start": list(surface.start), "minima": [list(m) for m in surface.minima],
        "saddles": [list(s) for s in surface.saddles],
        "grid": shelf.put(report.narrow(heights)),
        "levels": raceplot.levels(heights, surface.lowest).tolist(),
        "heights": {"label": label, "log": logarithmic, "low": low, "high": high},
        "note": note(steps, longest)}
    looks = raceplot.styles(race.lanes)
    words["lanes"] = [lane_words(lane, curves[name], looks[name], steps, shelf)
                      for name, lane in race.lanes.items()]
    words["series"] = shelf.labels
    return words, shelf.bytes()


def shown_steps(longest):
    """Numbers of the steps on the page, from 0, the start: every k-th, and the last."""
    every = -(-longest // STEPS)
    return sorted({*range(0, longest, max(1, every)), longest})


def source(surface):
    """What the surface is, in a line."""
    formula = f"f(x, y) = {surface.formula}" if surface.formula else ""
    return printable("; ".join(filter(None, (formula, surface.source))))


def note(steps, longest):
    words = ("Numbers are shown as float32 holds them, to 7 digits; race[name].quantities has them "
             "all.")
    if len(steps) <= longest:
        words = f"One step in {steps[1]} is shown, of {longest}. {words}"
    return words


def lane_words(lane, curve, look, steps, shelf):
    """One optimizer for the script. Row k of its numbers belongs to the k-th of the steps shown, as
    far as it came; its last row is its end."""
    own = [step for step in steps if step < len(lane)] + [len(lane)]
    entry, made = lane.quantities, np.array(own) - 1

    def rows(values):
        """Values of the steps that led to the rows; NaN at the start, to which none led."""
        taken = np.asarray(values, float)[np.maximum(made, 0)]
        taken[made < 0] = np.nan
        return shelf.put(report.narrow(taken.reshape(len(own), -1)))
    return {
        "name": printable(lane.label), "kind": printable(lane.kind), "steps": own,
        "colour": look[0], "dashed": look[1], "cut": lane.cut,
        "lr": "" if math.isnan(lane.lr) else f"lr {lane.lr:.3g}", "ending": lane.ending,
        "points": shelf.put(drawn(lane)[own]), "w": shelf.put(report.narrow(lane.points[own])),
        "values": shelf.put(report.narrow(lane.values[own][:, None])),
        "curve": shelf.put(report.narrow(curve[own][:, None])),
        "quantities": {printable(key): rows(entry[key]) for key in ordered(entry, lane)}}


def drawn(lane):
    """(n + 1, 2) points as they can be drawn: see raceplot.drawable; NaN where there is none."""
    points = np.full(lane.points.shape, np.nan)
    good = raceplot.drawable(lane)
    points[np.flatnonzero(np.isfinite(lane.points).all(axis=1))] = good
    return points


def ordered(entry, lane):
    """The names of what is shown of a lane: gradient, states, other names of the rule, change."""
    settings = lane.run.tape.settings
    fixed = set().union(*(used.hyperparameters for used in settings)) if settings else set()
    states = [s for used in settings[:1] for s in anatomy(used.rule).states]
    same = np.array_equal(entry["g"], entry["grad"], equal_nan=True) if "g" in entry else True
    unused = [s for s in states if s in entry and entry[s].ndim == 1 and not entry[s].any()]
    left = {*HIDDEN, *fixed, *unused, *(("g",) if same else ()),
            *(() if entry["decay"].any() else ("adaptive", "decay"))}
    first = [name for name in ("grad", "g", *states) if name in entry and name not in left]
    rest = [name for name in entry if name not in (*first, "delta") and name not in left]
    return [*first, *rest, "delta"]
