"""The page of a run: every number of the training, and how each of them came about.

The one trick: the page computes nothing. Its script picks numbers that were recorded, and puts them
into the slots of lines that were read off the rule (report_lines.py). Values that are the same, or
the same one step later (the m that a step starts from is the m that the last one made), are kept
once.

All names are the user's: they are JSON in the file, and the script writes them as text.
"""

import base64
import copy
import functools
import gzip
import math
import os
import re

import numpy as np

from minigrad import markup
from minigrad.inspect import runs
from minigrad.inspect.cards import printable
from minigrad.inspect.layout import write
from minigrad.inspect.report_lines import steps_worked
from minigrad.inspect.stepper import file, fingerprint, quoted

BUDGET = 2_000_000  # numbers on a page: about 10 MB
STEPS = 1000        # of which every number is on a page


def report(run, path, graph=None, *, budget=BUDGET):
    """Writes the run as one .html file to look at in a browser, offline; returns path.

    It shows loss and gradients over all recorded steps; for every step all numbers: data, grad, the
    states of the rule, delta; for every weight the lines of the rule with its numbers, and its
    history. graph: what minigrad.draw(loss) returned, to be shown as well. budget: numbers on the
    page (4 million bytes or so per million); of a run with more, or with more than 1000 steps, it
    keeps every k-th step, and says so.

    An existing file is replaced, at once or not at all. Raises ValueError for another suffix and
    for a run without steps, TypeError for another graph, OSError if the file cannot be written.
    """
    if os.path.splitext(os.fspath(path))[1].lower() not in (".html", ".htm"):
        raise ValueError(f"cannot save the report of a run as {os.fspath(path)!r}: the page is "
                         "HTML, so the suffix must be .html")
    write(path, page(run, graph, budget).encode())
    return path


def page(run, graph=None, budget=BUDGET):
    """The page of a Run as HTML text."""
    run.position()  # is there anything to show?
    words, numbers = content(still(run), budget)
    picture = "" if graph is None else drawn(graph)
    script = file("report_parts.js") + file("report.js")
    style = file("stepper.css") + file("report.css")
    policy = (f"default-src 'none'; img-src data:; script-src {fingerprint(script)}; "
              f"style-src {fingerprint(style)}; base-uri 'none'; form-action 'none'")
    parts = {"TITLE": markup.escaped(printable(words["title"])), "POLICY": policy, "STYLE": style,
             "GRAPH": picture, "TABLE": markup.escaped(printable_lines(runs.table(run))),
             "SCRIPT": script, "DATA": quoted(words),
             "NUMBERS": base64.b64encode(gzip.compress(numbers, 6, mtime=0)).decode()}
    return re.sub(r"%([A-Z]+)%", lambda m: parts[m[1]], file("report.html"))


def printable_lines(text):
    return "\n".join(map(printable, text.split("\n")))


def drawn(graph):
    """The picture of a minigrad.draw(...), as the last part of the page."""
    if not hasattr(graph, "render"):
        raise TypeError("report: graph must be what minigrad.draw(loss) returns, got "
                        f"{type(graph).__name__}")
    image = markup.image(graph.render("svg"), "computation graph")
    return (f'<details id="graph"><summary>Computation graph</summary>'
            f'<div class="scroll">{image}</div></details>')


class Still:
    """A tape that is written to no more: the film of a parameter is put together once."""

    def __init__(self, tape):
        self.tape = tape
        self.film = functools.cache(tape.film)

    def __getattr__(self, name):
        return getattr(self.tape, name)


def still(run):
    """The run for reading it all: the same numbers, found faster."""
    twin = copy.copy(run)
    twin.tape = Still(run.tape)
    return twin


# --- what is shown --------------------------------------------------------------------------------

def content(run, budget):
    """(what the script is told, as data for JSON; the numbers, as bytes)"""
    positions = positions_shown(run, budget)
    shelf, n = Shelf(), len(run)
    words = {
        "title": runs.short(run)[1:-1], "kind": printable(run.kind), "every": run.every,
        "steps": run.steps[positions].tolist(), "positions": positions, "all": run.steps.tolist(),
        "seen": bool(np.isfinite(run.loss).any()), "loss": shelf.put(run.loss),
        "norm": shelf.put(run.grad_norm),
        "lr": [shelf.put(rates) for rates in run.lr.reshape(n, -1).T],
        "sizes": [], "ratios": [], "note": note(run, positions),
        "remarks": remarks(run, positions)}
    for name in run.names:
        entry = run[name]
        sizes = runs.rms(entry["grad"])
        sizes = np.where(np.isfinite(sizes), sizes, np.inf)
        words["sizes"].append(shelf.put(np.where(runs.absent(entry), np.nan, sizes)))
        words["ratios"].append(shelf.put(runs.ratios(entry)))
    parameters = packed(run, positions, shelf)
    lines, troubles = worked(run, positions, parameters, shelf)
    words |= {"parameters": [p.words for p in parameters.values()], "lines": lines,
              "troubles": troubles, "series": shelf.labels}
    return words, shelf.bytes()


def note(run, positions):
    """What the page leaves out."""
    n, shown = len(run), len(positions)
    words = "Numbers are shown as float32 holds them, to 7 digits; run.save() keeps them all."
    if shown < n:
        words = (f"Too much for one page: of {n} recorded steps, every number of {shown} is here, "
                 f"one in {positions[1] if shown > 1 else n}. Loss, gradients, ratio and lr are "
                 f"here for all; report(..., budget=) allows more. {words}")
    if run.every > 1:
        words = f"One step in {run.every} was recorded. {words}"
    return words


def remarks(run, positions):
    """{k: what is to be said of the gradients of the k-th step shown}."""
    found = {}
    for k, position in enumerate(positions):
        step = run.tape.steps[position]
        updates = (run.update(name, step) for name in run.names)
        text = next((update.note for update in updates if update is not None), "")
        if text:
            found[k] = text
    return found


def positions_shown(run, budget):
    """Which of the recorded steps have all their numbers on the page: every k-th, and the last."""
    n = len(run)
    if n <= 3:
        return list(range(n))
    if n <= STEPS and size_of_step(run, [0, 1, 2]) * n <= budget:
        return list(range(n))
    apart = max(1, n // 4)  # steps that are not neighbours have less in common
    fits = min(STEPS, max(2, int(budget // max(1, size_of_step(run, [0, apart, 2 * apart])))))
    every = max(2 if n > fits else 1, -(-(n - 1) // (fits - 1)))
    return sorted({*range(0, n, every), n - 1})


def size_of_step(run, positions):
    """Numbers that the page would hold for a step."""
    shelf = Shelf()
    worked(run, positions, packed(run, positions, shelf), shelf)
    return sum(rows * n for label in shelf.labels for rows, n in [label[:2]]) / len(positions)


# --- numbers --------------------------------------------------------------------------------------

class Shelf:
    """The numbers of the page, one series after the other. The label of a series is [rows, numbers
    per row, dtype], or, if all its numbers are the same one, [rows, numbers per row, "=", it]."""

    def __init__(self):
        self.labels, self.arrays = [], []

    def put(self, values):
        """Stores rows of numbers; returns the number of the series."""
        rows, n = len(values), math.prod(values.shape[1:])
        if all_equal(values):
            self.labels.append([rows, n, "=", float(values.flat[0])])
        else:
            values = values if values.dtype in (np.float32, np.float64) else values.astype(float)
            self.labels.append([rows, n, f"f{values.dtype.itemsize}"])
            self.arrays.append(values)
        return len(self.labels) - 1

    def bytes(self):
        return b"".join(map(planes, self.arrays))


def all_equal(values):
    """Are these all the same finite number?"""
    return bool(values.size and np.isfinite(values.flat[0]) and (values == values.flat[0]).all())


def planes(values):
    """The bytes of numbers: all first bytes, then all second ones. So they are packed better."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()


def narrow(values):
    """The values as float32 where it holds them, else as float64."""
    values = np.asarray(values)
    with np.errstate(all="ignore"):
        small = values.astype(np.float32)
        finite = np.isfinite(values) & (values != 0)
        size = np.abs(small[finite])
    fits = np.isfinite(size) & (size >= np.finfo(np.float32).tiny)
    return small if fits.all() else values.astype(float)


class Parameter:
    """The numbers of one parameter: every quantity, and whatever else its lines need.

    A reference to numbers is the number, if it is always the same, or [series], [series, shift] or
    [series, shift, 1]. Shift 1 is the value of the step before (0 before the first), -1 that of
    the step after; the 1 at the end means the other sign.
    """

    def __init__(self, name, shape, shelf, count):
        self.shelf, self.count, self.stored = shelf, count, []  # (number of series, values)
        self.reasons = {}  # why it was not stepped: their numbers
        self.words = {"name": printable(name), "shape": list(shape), "quantities": {}, "fixed": {},
                      "grids": [], "lines": [-1] * count, "slots": {}, "still": {}}

    def reference(self, values, places=None, more=0):
        """A reference to the values of the steps at these places (all by default); to what is there
        already if it can be. more: rows to leave room for, after the last."""
        places = np.arange(self.count) if places is None else places
        values = narrow(values) if values.ndim > 1 else values.astype(float)
        if not values.size or all_equal(values) and not more:
            return float(values.flat[0]) if values.size else 0.0
        for number, kept in self.stored:
            if kept.shape[1:] == values.shape[1:]:
                found = same_as(kept, values, places)
                if found is not None:
                    return [number, *found]
        whole = np.full((self.count + more, *values.shape[1:]), np.nan, values.dtype)
        whole[places] = values
        number = self.shelf.put(whole)
        self.stored.append((number, whole))
        return [number]


def same_as(kept, values, places):
    """Are these rows of `kept` the values? Then what comes after the series in a reference."""
    before = kept[places - 1]
    if places[0] == 0:
        before[0] = 0
    for shift, there in ((0, kept[places]), (1, before)):
        for sign in (1, -1):
            if np.array_equal(there, sign * values, equal_nan=True):
                return [shift, 1] if sign < 0 else [shift] if shift else []
    if places[-1] + 1 < len(kept) and np.array_equal(kept[places[:-1] + 1], values[:-1],
                                                     equal_nan=True):
        room = kept[places[-1] + 1:][:1]
        if np.isnan(room).all():  # the row after the last, kept free for this
            room[...] = values[-1]
        if np.array_equal(room, values[-1:], equal_nan=True):
            return [-1]
    return None


def packed(run, positions, shelf):
    """{name: Parameter} with every recorded quantity at these positions."""
    parameters = {}
    for name in run.names:
        film, entry = run.tape.film(name), run[name]
        shape = entry["data"].shape[1:]
        p = parameters[name] = Parameter(name, shape, shelf, len(positions))
        settings = set().union(*(s.hyperparameters for s in run.tape.settings))
        p.words["quantities"]["data"] = p.reference(entry["data"][positions], more=1)
        for key in [k for k in entry if k not in ("data", "ratio")]:
            values = entry[key][positions]
            if key == "t" or key in settings and values.ndim == 1:
                p.words["fixed"][key] = p.reference(values)
            else:
                p.words["quantities"][key] = p.reference(values)
        for key, values in modifiers(run, film, positions).items():
            p.words["fixed"].setdefault(key, p.reference(values))
        states = [s for s in film.before if s in entry and entry[s].shape[1:] == shape]
        p.words["grids"] = ["data", "grad", *states, "delta"]
        p.words["none"] = np.flatnonzero(runs.absent(entry)[positions]).tolist()
        for k in np.flatnonzero(film.settings[positions] < 0).tolist():
            why = printable(" ".join(run.explain(name, None, run.tape.steps[positions[k]]).why))
            p.words["still"][str(k)] = p.reasons.setdefault(why, len(p.reasons))
        p.words["reasons"] = list(p.reasons)
    return parameters


def modifiers(run, film, positions):
    """{name: (steps,)}: the numbers among the modifiers that stood in front of the rule."""
    used = [run.tape.settings[k].modifiers if k >= 0 else {} for k in film.settings[positions]]
    names = [name for name in ("weight_decay", "decay_rate") if any(u.get(name) for u in used)]
    return {name: np.array([u.get(name) or math.nan for u in used]) for name in names}


# --- lines ----------------------------------------------------------------------------------------

def worked(run, positions, parameters, shelf):
    """(lists of lines, reasons why there are none); which of them holds at a step, and what its
    slots are filled with, is noted with the parameters.

    `lines` of a parameter has a number per step: that of the list, -1 where it was not stepped,
    -2 - i if reason i is why there are no lines.
    """
    lines, troubles, filling = {}, {}, {}
    for name, k, rows, trouble in steps_worked(run, positions):
        if rows is None:
            parameters[name].words["lines"][k] = -2 - troubles.setdefault(trouble, len(troubles))
            continue
        texts = tuple(row[:-1] for row in rows)
        number = lines.setdefault(texts, len(lines))
        parameters[name].words["lines"][k] = number
        values = [value for row in rows for value in row.values]
        filling.setdefault((name, number), []).append((k, values))
    for (name, number), steps in filling.items():
        places = np.array([k for k, _ in steps])
        p = parameters[name]
        p.words["slots"][str(number)] = [
            p.reference(gathered([values[i] for _, values in steps]), places)
            for i in range(len(steps[0][1]))]
    return [[line_of(*row) for row in texts] for texts in lines], list(troubles)


def gathered(values):
    """Values of several steps, as rows."""
    shape = max((np.shape(value) for value in values), key=len)
    return np.array([np.broadcast_to(value, shape) for value in values])


def line_of(*row):
    keys = ("target", "source", "numbers", "shown", "equation", "because", "note", "weights")
    return {key: part for key, part in zip(keys, row) if part}
