"""One [[check]] of an assignment: what is run in the sandbox for it, and which numbers are right.

The one trick: three kinds of checks differ in two answers only, the probe that they send to the
sandbox and the numbers that they expect. A rule expects those of the reference formula, an engine
those of minigrad's own backward pass, a probe those of the assignment's solution.
"""

import os
from dataclasses import dataclass, field

import numpy as np

from minigrad.coursework.engines.graphs import Graph, scalar_graphs
from minigrad.coursework.engines.model import Engine
from minigrad.coursework.grading.sandbox import HERE, Probe
from minigrad.coursework.grading.settings import SettingsError
from minigrad.coursework.optimizers.probes import cold_run, settings_for, warm_run
from minigrad.coursework.optimizers.reference import (
    FAMILIES,
    convention_id,
    formula,
    settings_of,
    simulated,
)

# fmt: off
KEYS = {
    "rule":   {"rule", "convention", "function", "run", "states", "options"},
    "engine": {"engine", "graphs", "backward"},
    "probe":  {"probe"},
}
COMMON = {"title", "group", "points", "hidden"}
# fmt: on
SINGLE = 2e-5       # of the largest number: what single precision may lose in a few steps
ROUNDING = 1e-12    # what sums that should be 0 leave over
UNWRITTEN = "NotImplementedError"
NOT_YET = "not written yet"
REST = "the other graphs of "  # a probe that gives no points, for the diagnosis alone


def drivers():
    """The text that drives rules and engines in the sandbox."""
    with open(os.path.join(HERE, "drivers.py"), encoding="utf-8") as file:
        return file.read()


@dataclass(frozen=True)
class Check:
    """A probe of assignment's own, and its points: a number, shared evenly by its quantities, or
    {quantity: points}. kind: checks of one group are of one kind."""

    name: str
    title: str
    group: str
    points: object
    hidden: bool
    kind: tuple = ("probe",)

    @property
    def most(self):
        return sum(self.points.values()) if isinstance(self.points, dict) else self.points

    def shares(self, quantities):
        """{quantity: points} for the quantities that the reference has."""
        if isinstance(self.points, dict):
            return self.points
        return {name: self.points / len(quantities) for name in quantities}

    def probe(self, text, seed):
        """What is asked of the submission; text: that of probes.py."""
        return Probe(self.name, text, self.name)

    def expected(self, seed):
        """The right {quantity: array}; None if only the reference solution knows it."""
        return None

    def wrong(self, values, expected, tolerance):
        """{quantity: what is wrong with it} of the quantities that there are points for."""
        found = {name: difference(values.get(name, "is missing"), expected[name], tolerance,
                                  self.place) for name in self.shares(expected)}
        return {name: problem for name, problem in found.items() if problem}

    def place(self, index):
        return span(index)


@dataclass(frozen=True)
class RuleCheck(Check):
    """A function f(w, g, config) -> (w, config) that is an update rule by some convention.

    states and options: {our name: the key in config}. run: "cold", from nothing, or "warm", from
    states at step 5.
    """

    function: str = ""
    run: str = "cold"
    states: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    @property
    def rule(self):
        return self.kind[1]

    @property
    def convention(self):
        return self.kind[2]

    def run_for(self, seed):
        """The Run of a seed. Options that are not asked for have their usual value."""
        takes = set(self.options) | {"lr"}
        settings = {**settings_of(self.rule),
                    **{name: x for name, x in settings_for(seed).items() if name in takes}}
        if self.run == "cold":
            return cold_run(seed, settings=settings)
        return warm_run(FAMILIES[self.rule].states, seed, settings=settings)

    def probe(self, text, seed):
        run = self.run_for(seed)
        settings = [{key: step[name] for name, key in self.options.items()}
                    for step in run.settings]
        starts = [{self.states[name]: x.tolist() for name, x in start.items()}
                  | ({"t": run.t - 1} if start else {}) for start in run.states]
        given = {"function": self.function, "settings": settings, "starts": starts,
                 "weights": [w.tolist() for w in run.weights],
                 "gradients": [[g.tolist() for g in step] for step in run.gradients],
                 "states": [*self.states.values(), "t"]}
        return Probe(self.name, drivers(), "update_rule", given)

    def counts(self, seed):
        """The right step counts."""
        run = self.run_for(seed)
        steps, shape = len(run.gradients), run.weights[0].shape
        each = np.arange(run.t, run.t + steps, dtype=float).reshape(-1, 1, *[1 for _ in shape])
        return np.broadcast_to(each, (steps, len(run.weights), *shape))

    def expected(self, seed):
        run, found = self.run_for(seed), formula(self.rule, self.convention)
        steps, parameters = len(run.gradients), len(run.weights)
        shape = (steps, parameters, *run.weights[0].shape)
        values = {name: np.zeros(shape) for name in ("w", *self.states.values())}
        for i, k, q in simulated(found.lines, found.states, run):
            values["w"][i, k] = q["next_w"]
            for name, key in self.states.items():
                values[key][i, k] = q[f"next_{name}"]
        if isinstance(self.points, dict) and "t" in self.points:
            values["t"] = self.counts(seed)
        return values

    def place(self, index):
        if len(index) < 2:
            return ""
        first = 1 if self.run == "cold" else 5
        rest = f" at [{', '.join(map(str, index[2:]))}]" if index[2:] else ""
        return f" in step {index[0] + first}, parameter {index[1] + 1}{rest}"


@dataclass(frozen=True)
class EngineCheck(Check):
    """Some graphs on an autograd class. A graph is right if its value and all gradients are.

    texts: the graphs as the assignment has them, names of the quantities that there are points for.
    """

    graphs: tuple = ()
    texts: tuple = ()

    def graphs_for(self, seed):
        return {number: varied(graph, seed) for number, graph in enumerate(self.graphs)}

    def probe(self, text, seed):
        return Probe(self.name, drivers(), "graphs", {
            "class": self.kind[1],
            "graphs": {str(number): {"lines": graph.lines, "leaves": graph.leaves,
                                     "calls": graph.calls}
                       for number, graph in self.graphs_for(seed).items()}})

    def expected(self, seed):
        with np.errstate(all="ignore"):
            return {text: Engine().outcome(graph)
                    for text, graph in zip(self.texts, self.graphs_for(seed).values())}

    def wrong(self, values, expected, tolerance):
        found = {}
        for number, text in enumerate(self.texts):
            why = failure_of(values, number).partition(" ")[2]
            why = NOT_YET if UNWRITTEN in why else why
            for name, right in () if why else expected[text].items():
                given = values.get(f"{number} {name}", "is missing")
                problem = difference(given, np.asarray(right), tolerance)
                what = "the value" if name == "value" else f"the gradient of {name}"
                why = why or (f"{what} {problem}" if problem else "")
            if why:
                found[text] = why
        return found

    def outcomes(self, values, seed):
        """[(graph, outcome)] as engines.explained reads them; no outcome where there is no answer.
        """
        found = []
        for number, graph in self.graphs_for(seed).items():
            given = {name: values.get(f"{number} {name}") for name in ("value", *graph.leaves)}
            kind, _, text = failure_of(values, number).partition(" ")
            if UNWRITTEN in text:
                found.append((graph, ("lacks", text)))
            elif kind:
                found.append((graph, (kind, text)))
            elif given["value"] is not None:
                found.append((graph, {name: None if isinstance(x, str) and x == "is None" else x
                                      for name, x in given.items()}))
        return found

    def rest(self):
        """As this check, without points, and with the graphs of the catalogue."""
        graphs = (Graph(("y = a",), {"a": -2.0}), *scalar_graphs())
        return EngineCheck(REST + self.kind[1], "", self.group, 0, True, self.kind, graphs,
                           tuple(map(line_of, graphs)))


def failure_of(values, number):
    """"lacks ..." or "raises ..." of a graph, "" if it has numbers."""
    text = values.get(str(number))
    return text if isinstance(text, str) else ""


def line_of(graph):
    """A graph as an instructor writes it."""
    return "; ".join(graph.lines)


def varied(graph, seed):
    """A graph with other numbers for each seed, of the same sign; 0 stays 0."""
    leaves = {}
    for name, x in graph.leaves.items():
        random = np.random.default_rng([seed, 4, *name.encode()])
        leaves[name] = round(float(x) * random.uniform(0.8, 1.25), 3)
    return graph._replace(leaves=leaves)


def parsed_graph(text, calls, where):
    """The Graph in "a = 0; y = relu(a)": names that are not set are leaves, as are numbers."""
    lines, leaves, known = [], {}, set()
    for line in (part.strip() for part in text.split(";")):
        try:
            code = compile(line, "<graph>", "exec")
        except SyntaxError:
            raise SettingsError(f"{where}: graph {text!r} has {line!r}, which is no Python"
                                ) from None
        name, _, value = line.partition(" = ")
        try:
            leaves[name] = float(value)
        except ValueError:
            lines.append(line)
            for read in sorted(set(code.co_names) - known - {"relu", "tanh", "sigmoid", "exp",
                                                             "log", "sqrt", name}):
                leaves.setdefault(read, 3.0 if read == "b" else -2.0 - 0.7 * (ord(read[0]) % 3))
            known.add(name)
    if "y" not in known:
        raise SettingsError(f"{where}: graph {text!r} has no line y = ...")
    return Graph(tuple(lines), leaves, calls)


# --- comparing -------------------------------------------------------------------------------

def difference(given, expected, tolerance, place=None):
    """Words for what is wrong with an array, "" if nothing is. The expected numbers are not told.

    Numbers are right if they differ by less than tolerance times the largest expected one; those
    that came in single precision, by less than it allows. place(index): words for where.
    """
    if isinstance(given, str) or isinstance(expected, str):
        return "" if isinstance(given, str) and isinstance(expected, str) else str(given)
    if given.shape != expected.shape:
        return f"has shape {given.shape}, expected {expected.shape}"
    if given.dtype == np.float32:
        tolerance = max(tolerance, SINGLE)
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0.0) or 1.0
    with np.errstate(all="ignore"):
        near = np.abs(given - expected) <= tolerance * scale + ROUNDING
    right = near | (given == expected) | (np.isnan(given) & np.isnan(expected))
    if right.all():
        return ""
    first = tuple(int(i) for i in np.argwhere(~right)[0]) if given.ndim else ()
    bad = f"{given[first]:.6g}" + ("" if np.isfinite(given[first]) else " (not a number to use)")
    return f"differs{(place or span)(first)}: you have {bad}"


def span(index):
    """Words for where in an array a number differs."""
    return f" from [{', '.join(map(str, index))}] on" if index else ""


# --- reading -------------------------------------------------------------------------------------

def known(row, keys, what, path):
    if unknown := set(row) - keys:
        raise SettingsError(f"{path}: {what} has no {sorted(unknown)[0]!r}; it may have "
                            + ", ".join(sorted(keys)))


def check_of(row, functions, path):
    """The check in a row of the assignment. Raises SettingsError."""
    kinds = [kind for kind in KEYS if kind in row]
    if len(kinds) != 1:
        raise SettingsError(f"{path}: a [[check]] needs one of {', '.join(KEYS)}; this has "
                            + (" and ".join(kinds) or ", ".join(row) or "nothing"))
    known(row, KEYS[kinds[0]] | COMMON, f"a [[check]] with {kinds[0]}", path)
    points = row.get("points", 1)
    parts = points.values() if isinstance(points, dict) else [points]
    if not parts or not all(type(part) in (int, float) and part >= 0 for part in parts):
        raise SettingsError(f"{path}: check {row[kinds[0]]} has points {points!r}; give a number, "
                            "or {quantity = points, ...}")
    return READERS[kinds[0]](row, points, functions, path)


def probe_check(row, points, functions, path):
    name = row["probe"]
    if name not in functions:
        raise SettingsError(f"{path}: a check asks for the probe {name!r}; probes.py has "
                            + ", ".join(functions))
    return Check(name, row.get("title", name), row.get("group", name), points,
                 row.get("hidden", False))


def rule_check(row, points, functions, path):
    rule, run = row["rule"], row.get("run", "cold")
    try:
        convention = convention_id(rule, row.get("convention", "torch"))
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None
    if run not in ("cold", "warm"):
        raise SettingsError(f"{path}: run is {run!r}; it is \"cold\" or \"warm\"")
    function = row.get("function", rule)
    states = {name: name for name in FAMILIES[rule].states} | row.get("states", {})
    usual = {name: name for name in settings_of(rule) if name != "weight_decay" or rule == "adamw"}
    options = usual | row.get("options", {})
    for what, names, ours in (("states", states, FAMILIES[rule].states),
                              ("options", options, settings_of(rule))):
        known(names, set(ours), f"the {what} of {rule}", path)
    name = function if run == "cold" else f"{function}_{run}"
    return RuleCheck(name, row.get("title", name), row.get("group", function), points,
                     row.get("hidden", False), ("rule", rule, convention, function), function, run,
                     states, options)


def engine_check(row, points, functions, path):
    where = f"{path}: check {row.get('title', row['engine'])!r}"
    texts = row.get("graphs", [])
    if not texts or not all(isinstance(text, str) for text in texts):
        raise SettingsError(f"{where} needs graphs = [\"y = a * b\", ...]")
    graphs = tuple(parsed_graph(text, row.get("backward", 1), where) for text in texts)
    title = row.get("title", texts[0])
    return EngineCheck(title, title, row.get("group", row["engine"]), points,
                       row.get("hidden", False), ("engine", row["engine"]), graphs, tuple(texts))


READERS = {"rule": rule_check, "engine": engine_check, "probe": probe_check}
