"""Traces: what an optimizer did, written to a file, read as if it had been watched.

    .npz   parameters/NAME (steps + 1, *shape), gradients/NAME (steps, *shape), and if there are
           any states/STATE/NAME (steps, *shape), the state after each step, and
           hyperparameters/NAME, a number or one for each step
    .json  the same, nested: {"parameters": {NAME: ...}, "gradients": {...}, "states": {...},
           "hyperparameters": {"lr": 0.1, ...}}
    .csv   columns step, parameter, index, value, gradient; step 0 has the values before the first
           step and no gradient; other columns are states (m, v, velocity, exp_avg, ...)

A run that minigrad.trace has recorded is a trace, too: the Run itself, or what its save(path) and
to_csv(path) wrote. A trace that begins in the middle has "t": the number of its first step, and
states with one entry more, that before the first step.

The one trick: the printed digits are the tolerance. A number written 1.25 may be off by 0.005, one
written 1.25e-7 by 0.005e-7; and so may all that a step starts from (see coursework.rounding).

Hyperparameters that a trace does not give are assumed to be the defaults, and the diagnosis says
so. A .csv may have them as columns (lr, beta1, ...), with the value used in each row's step.
"""

import csv
import json
import os
import re
import zipfile

import numpy as np

from minigrad.coursework.optimizers.layouts import FLOAT32, FLOAT64
from minigrad.coursework.optimizers.naming import STATE_NAMES, guessed, plain_name, state_names
from minigrad.coursework.optimizers.printed import Digits
from minigrad.coursework.optimizers.probes import Run
from minigrad.coursework.optimizers.reference import FAMILIES, settings_of
from minigrad.coursework.optimizers.rounding import Rounding, Units
from minigrad.coursework.optimizers.search import Record
from minigrad.inspect.trace import Run as Recorded
from minigrad.inspect.trace import load_trace

# fmt: off
COLUMNS = {
    "step":      ("step", "t", "iteration", "iter"),
    "parameter": ("parameter", "param", "name"),
    "index":     ("index", "i", "element", "position"),
    "value":     ("value", "data", "w", "weight", "theta", "parameter_value"),
    "gradient":  ("gradient", "grad", "dw", "g"),
}
# fmt: on
TELLING = ("g", "m_hat", "v_hat", "denominator", "step (rule)", "adaptive", "decay", "delta",
           "ratio", "look_ahead", "rate", "variance", "v_used")  # what to_csv writes besides

STATES_SAID = {name for names in STATE_NAMES.values() for name in names}


def is_trace(source):
    """Is this a trace, and no optimizer?"""
    return isinstance(source, (str, os.PathLike, dict, Recorded))


def read_trace(source, rule, hyperparameters=None, decimals=None):
    """The Records of a trace: a path, a recorded Run, or a dict as in the JSON form.

    hyperparameters may hold, besides numbers, lists with one number per step. Raises ValueError
    for a file of another kind, missing parts, wrong lengths or unknown hyperparameters.
    """
    return trace_read(source, rule, hyperparameters, decimals)[0]


def trace_read(source, rule, hyperparameters=None, decimals=None):
    """(Records as `read_trace`, {hyperparameter: default} of those that were not given)."""
    digits = Digits()
    if isinstance(source, Recorded):
        data = of_run(source, rule)
    elif isinstance(source, dict):
        data = source
    else:
        path = os.fspath(source)
        readers = {".npz": read_npz, ".json": read_json, ".csv": read_csv}
        ending = os.path.splitext(path)[1].lower()
        if ending not in readers:
            raise ValueError(f"trace {path!r} must end in {', '.join(readers)}")
        try:
            data, digits = readers[ending](path, rule)
        except UnicodeDecodeError as error:
            raise ValueError(f"trace {path!r} is no text in UTF-8 ({error.reason}); save it as "
                             "UTF-8") from error
    for part in ("parameters", "gradients"):
        if not isinstance(data.get(part), dict) or not data[part]:
            raise ValueError(f"the trace has no {part!r}; it needs parameters and gradients, "
                             "by name")
    given = data.get("hyperparameters") or {}, hyperparameters or {}
    options, assumed = settings_given(rule, *given)
    record = record_of(data, rule, options, FLOAT64)
    if not digits.values and not isinstance(source, Recorded):
        digits.arrays(data)
    return [printed(record, digits, data, decimals)], assumed


def printed(record, digits, data, decimals):
    """A Record with its tolerance, and its Rounding if its numbers are not in full."""
    single = any(getattr(value, "dtype", None) == np.float32
                 for value in data["parameters"].values())
    full = FLOAT32 if single else FLOAT64
    units = Units(*digits.units())
    if decimals is not None:
        units = units._replace(weights=(0.501 * 10.0**-decimals, 1e-12))
    tolerance = units.weights if any(units.weights) else full
    if not any(units.weights) and not any(units.gradients):
        return record._replace(tolerance=tolerance)
    if not any(units.states):
        units = units._replace(states=full)
    return record._replace(tolerance=tolerance, rounding=Rounding(record.run, units))


def settings_given(rule, *given):
    """({hyperparameter: value} of a rule: its defaults and what was given, by any usual name;
    {hyperparameter: default} of what was not given)."""
    usual = settings_of(rule)
    options, seen = dict(usual), set()
    for named in given:
        named = dict(named)
        if "betas" in named and "beta1" in usual:
            named["beta1"], named["beta2"] = named.pop("betas")
        mapped = {theirs: name for name, theirs in guessed(usual, named).items()}
        mapped.update({name: name for name in named if name in usual})
        unknown = sorted(set(named) - set(mapped))
        if unknown:
            raise ValueError(f"{rule} has no hyperparameter {unknown[0]!r}; it has "
                             + ", ".join(usual))
        options.update({mapped[name]: value for name, value in named.items()})
        seen.update(mapped.values())
    return options, {name: value for name, value in usual.items() if name not in seen}


def as_numbers(what, value):
    """An array of floats. ValueError, naming what it is, where it is none."""
    try:
        return np.array([np.nan if x is None else x for x in value]
                        if isinstance(value, list) and None in value else value, float)
    except (ValueError, TypeError) as error:
        raise ValueError(f"trace: {what} is no array of numbers ({error}); every step needs the "
                         "same shape") from error


def record_of(data, rule, options, tolerance):
    names = [*data["parameters"]]
    weights = [as_numbers(f"parameter {name!r}", data["parameters"][name]) for name in names]
    missing = [name for name in names if name not in data["gradients"]]
    if missing:
        raise ValueError(f"the trace has no gradients of {', '.join(missing)}; it has those of "
                         + ", ".join(data["gradients"]))
    gradients = [as_numbers(f"the gradient of {name!r}", data["gradients"][name])
                 for name in names]
    for name, w, g in zip(names, weights, gradients):
        if not w.ndim or not g.ndim or len(w) != len(g) + 1 or w.shape[1:] != g.shape[1:]:
            raise ValueError(f"trace of {name}: parameters have shape {w.shape}, gradients "
                             f"{g.shape}; parameters need one entry more, that before step 1")
    steps = len(gradients[0])
    if steps == 0:
        raise ValueError("the trace has no step; it needs one at least")
    for name, g in zip(names, gradients):
        if len(g) != steps:
            raise ValueError(f"trace of {name}: {len(g)} steps, but {steps} of {names[0]}")
    settings = [{name: of_step(name, value, i, steps) for name, value in options.items()}
                for i in range(steps)]
    first = data.get("t", 1)
    seen, starts = states_in(data, rule, names, weights, steps)
    if first != 1 and steps > 1 and not any(starts):
        # from the middle, without the states before it: those after its first step will do
        starts, first, steps = [kept[0] for kept in seen], first + 1, steps - 1
        weights, gradients = [w[1:] for w in weights], [g[1:] for g in gradients]
        seen, settings = [kept[1:] for kept in seen], settings[1:]
    if first != 1 and any(set(start) != set(FAMILIES[rule].states) for start in starts):
        raise ValueError(f"the trace begins at step {first}; it needs the states before it: "
                         f"{', '.join(FAMILIES[rule].states)} with {steps + 1} entries, the first "
                         "that before the first step")
    run = Run("warm" if starts[0] else "cold", [w[0] for w in weights],
              [[g[i] for g in gradients] for i in range(steps)], starts, int(first), settings)
    return Record(run, [[{"w": w[i + 1], **kept[i]} for w, kept in zip(weights, seen)]
                        for i in range(steps)], tolerance)


def of_step(name, value, i, steps):
    """A hyperparameter at a step."""
    if not isinstance(value, (list, tuple, np.ndarray)) or np.ndim(value) == 0:
        return float(value)
    if len(value) != steps:
        raise ValueError(f"hyperparameter {name!r} has {len(value)} values for {steps} steps; give "
                         "one number, or one for each step")
    return float(value[i])


def states_in(data, rule, names, weights, steps):
    """(states after each step, states before the first), for each parameter."""
    states = data.get("states") or {}
    known = state_names(FAMILIES[rule].states, states)
    seen, starts = [[{} for _ in range(steps)] for _ in names], [{} for _ in names]
    for state, theirs in known.items():
        for k, name in enumerate(names):
            if name not in states[theirs]:
                continue
            values = as_numbers(f"state {theirs!r} of {name!r}", states[theirs][name])
            if values.shape[1:] != weights[k].shape[1:] or len(values) not in (steps, steps + 1):
                raise ValueError(f"trace of {name}: state {theirs!r} has shape {values.shape}; it "
                                 f"needs {(steps, *weights[k].shape[1:])}, one entry for each step")
            if len(values) == steps + 1:
                if data.get("t", 1) != 1:
                    starts[k][state] = values[0]
                values = values[1:]
            for i in range(steps):
                seen[k][i][state] = values[i]
    return seen, starts


# --- a recorded run ------------------------------------------------------------------------------

def of_run(run, rule):
    """The parts of a trace, of a Run that minigrad.trace has recorded."""
    if not len(run):
        raise ValueError("nothing is recorded in this run: no step was taken inside the `with`")
    names = [name for name in run.names if (run.tape.film(name).settings >= 0).all()]
    if not names or run.every != 1:
        raise ValueError("every step has to be recorded, with a gradient; trace with every=1")
    data = {"parameters": {}, "gradients": {}, "states": {}, "hyperparameters": {},
            "t": int(run.tape.film(names[0]).t[0])}
    for name in names:
        entry, film = run[name], run.tape.film(name)
        last = entry["data"][-1] + entry["delta"][-1]
        data["parameters"][name] = np.concatenate([entry["data"], last[None]])
        data["gradients"][name] = entry["grad"]
        for state, before in film.before.items():
            if state in entry and entry[state].shape == entry["grad"].shape:
                first = np.broadcast_to(before[0], entry["grad"].shape[1:])[None]
                data["states"].setdefault(state, {})[name] = np.concatenate([first, entry[state]])
    used = [run.tape.settings[k] for k in run.tape.film(names[0]).settings]
    for name in settings_of(rule):
        if all(name in one.hyperparameters for one in used):
            data["hyperparameters"][name] = [one.hyperparameters[name] for one in used]
    if all("weight_decay" in one.modifiers for one in used):
        data["hyperparameters"]["weight_decay"] = [one.modifiers["weight_decay"] for one in used]
    return data


# --- files ---------------------------------------------------------------------------------------

def read_npz(path, rule):
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if not key.endswith(".json")}
            is_run = "minigrad.json" in archive.files or any(
                key.startswith("minigrad") for key in archive.files)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, ValueError) and "pickle" not in str(error):
            raise ValueError(f"trace {path!r} cannot be read: {error}") from error
        raise ValueError(f"trace {path!r} is no archive of plain arrays; write it with np.savez "
                         "and arrays of numbers") from error
    if is_run:
        return of_run(load_trace(path), rule), Digits()
    data = {}
    for key, array in arrays.items():
        part, _, name = key.partition("/")
        if part == "states":
            state, _, name = name.partition("/")
            data.setdefault(part, {}).setdefault(state, {})[name] = array
        elif name:
            data.setdefault(part, {})[name] = array
        else:
            data[part] = array.item() if array.ndim == 0 else array
    return data, Digits()


def read_json(path, rule):
    """Nested lists; how the numbers of the parameters are written tells how exact they are."""
    digits = Digits()
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    try:
        data = json.loads(text)
        written = json.loads(text, parse_float=Written, parse_int=Written)
    except json.JSONDecodeError as error:
        raise ValueError(f"trace {path!r}, line {error.lineno}, column {error.colno}: "
                         f"{error.msg}") from error
    if not isinstance(data, dict):
        raise ValueError(f"trace {path!r} holds a {type(data).__name__}; it must be an object with "
                         "parameters and gradients")
    for part, add in (("parameters", digits.value), ("gradients", digits.gradient),
                      ("states", digits.state)):
        todo = [written.get(part)]
        while todo:
            one = todo.pop()
            if isinstance(one, Written):
                add(one)
            elif isinstance(one, (list, dict)):
                todo += one.values() if isinstance(one, dict) else one
    return data, digits


class Written(str):
    """A number as it stands in a file."""


def read_csv(path, rule):
    digits = Digits()
    with open(path, encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=head.count)
        rows = [{(key or "").strip(): (value or "").strip() if not isinstance(value, list) else ""
                 for key, value in row.items()}
                for row in csv.DictReader(file, delimiter=delimiter)]
    rows = [{**row, "line": number} for number, row in enumerate(rows, 2) if any(row.values())]
    if not rows:
        raise ValueError(f"trace {path!r} has no rows")
    columns = {name: next((one for choice in choices for one in rows[0]
                           if str(one).lower() == choice), None)
               for name, choices in COLUMNS.items()}
    missing = [name for name in ("step", "value", "gradient") if columns[name] is None]
    if missing:
        raise ValueError(f"trace {path!r} needs the columns step, parameter, index, value, "
                         f"gradient; it has no {' and no '.join(missing)}, but "
                         + ", ".join(str(key) for key in rows[0] if key != "line"))
    before = "delta" in rows[0]  # as Run.to_csv: the values of a row are those before the step
    table = Table(path, rows, columns)
    if not before:
        table.take_settings(rule)
    data = {"parameters": {}, "gradients": {}, "states": {}, "hyperparameters": {}}
    for name, cells in table.parameters().items():
        first = min(step for step, _ in cells)
        if first != 0 and not before:
            raise ValueError(f"trace {path!r}: parameter {name!r} begins at step {first}; add rows "
                             "of step 0 with the values before the first step, without gradient")
        table.fill(data, name, cells, first, before, digits)
    if before:
        data["t"], data["hyperparameters"] = table.rest(rows, rule)
    else:
        data["hyperparameters"] = table.settings
    return data, digits


class Table:
    """The rows of a CSV file, which knows where everything stood."""

    def __init__(self, path, rows, columns):
        self.path, self.rows, self.columns, self.settings = path, rows, columns, {}
        used = {column for column in columns.values() if column} | {"line"} | {*TELLING}
        self.others = [column for column in rows[0] if column not in used and column]

    def take_settings(self, rule):
        """Takes the columns of hyperparameters out of those of states: `.settings`. What has more
        than one value in a step is no hyperparameter, whatever it is called."""
        by_step = {}
        for row in self.rows:
            by_step.setdefault(self.cell(row, self.columns["step"]), []).append(row)
        steps = [rows for step, rows in sorted(by_step.items()) if step > 0]
        wanted, free = settings_of(rule), []
        for column in self.others:
            told = [{row[column] for row in rows if row[column]} for rows in steps]
            if told and all(len(values) == 1 for values in told) and (
                    column in wanted or plain_name(column) not in STATES_SAID):
                free.append(column)
        for name, column in guessed(wanted, free).items():
            self.settings[name] = [next(self.cell(row, column) for row in rows if row[column])
                                   for rows in steps]
            self.others.remove(column)

    def cell(self, row, column):
        """A number, or ValueError with its place."""
        text = row[column]
        try:
            return float(text)
        except (ValueError, TypeError):
            what = f"{text!r} is no number" if text else "is empty"
            raise ValueError(f"trace {self.path!r}, line {row['line']}, column {column!r}: {what}; "
                             "every step needs a number for each index") from None

    def parameters(self):
        """{name: {(step, index): row}}"""
        found = {}
        for row in self.rows:
            name = row.get(self.columns["parameter"]) or "w"
            index = tuple(map(int, re.findall(r"\d+", row.get(self.columns["index"]) or "")))
            place = int(self.cell(row, self.columns["step"])), index
            cells = found.setdefault(name, {})
            if place in cells:
                raise ValueError(f"trace {self.path!r}, line {row['line']}: step {place[0]}, "
                                 f"parameter {name!r}, index {list(index)} was there before, in "
                                 f"line {cells[place]['line']}")
            cells[place] = row
        return found

    def fill(self, data, name, cells, first, before, digits):
        """Puts the arrays of one parameter into the parts of a trace."""
        indices = sorted({index for _, index in cells})
        last = max(step for step, _ in cells)
        shape = tuple(1 + max(index[k] for index in indices) for k in range(len(indices[0])))

        def rows(step):
            for index in indices:
                if (step, index) not in cells:
                    raise ValueError(f"trace {self.path!r}: parameter {name!r} has no row of step "
                                     f"{step}, index {list(index)}")
                yield cells[step, index]

        def array(column, begin, note=None):
            values = []
            for step in range(begin, last + 1):
                for row in rows(step):
                    values.append(self.cell(row, column))
                    if note:
                        note(row[column])
            return np.array(values).reshape(-1, *shape)

        begin = first if before else 1
        values = array(self.columns["value"], first, digits.value)
        if before:
            moved = values[-1:] + array("delta", last)
            values = np.concatenate([values, moved])
        data["parameters"][name] = values
        data["gradients"][name] = array(self.columns["gradient"], begin, digits.gradient)
        for column in self.others:
            if all(row[column] for step in range(begin, last + 1) for row in rows(step)):
                try:
                    found = array(column, begin, digits.state)
                except ValueError:
                    continue  # a column of words
                data["states"].setdefault(column, {})[name] = found

    def rest(self, rows, rule):
        """(t, hyperparameters) of a file of Run.to_csv."""
        steps = sorted({int(row[self.columns["step"]]) for row in rows})
        by_step = {int(row[self.columns["step"]]): row for row in rows}
        found = {name: [float(by_step[step][name]) for step in steps]
                 for name in settings_of(rule) if by_step[steps[0]].get(name)}
        decay = 0.0
        for row in rows:
            w = float(row["data"])
            if row.get("g") and w and float(row["g"]) != float(row["grad"]):
                decay = (float(row["g"]) - float(row["grad"])) / w
            elif row.get("decay") and w and float(row["decay"]):
                decay = -float(row["decay"]) / w / float(row["lr"])
            if decay:
                break
        return int(rows[0].get("t") or steps[0]), {**found, "weight_decay": decay}
