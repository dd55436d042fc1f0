"""Traces: what an optimizer did, written to a file, read as if it had been watched.

    .npz   parameters/NAME (steps + 1, *shape), gradients/NAME (steps, *shape), and if there are
           any states/STATE/NAME (steps, *shape): the state after each step
    .json  the same, nested: {"parameters": {NAME: ...}, "gradients": {...}, "states": {...},
           "hyperparameters": {"lr": 0.1, ...}}
    .csv   columns step, parameter, index, value, gradient; step 0 has the values before the first
           step and no gradient; other columns are states by their letter (m, v, b, G, v_max)

The one trick: the printed digits are the tolerance. A number written 1.25 may be off by 0.005.
"""

import csv
import json
import math
import os
from decimal import Decimal

import numpy as np

from minigrad.coursework.adapters import FLOAT64
from minigrad.coursework.probes import Run
from minigrad.coursework.reference import FAMILIES, settings_of
from minigrad.coursework.search import Record


def read_trace(source, rule, hyperparameters=None, decimals=None):
    """The Records of a trace: a path, or a dict as in the JSON form.

    hyperparameters may hold, besides numbers, lists with one number per step. Raises ValueError
    for a file of another kind, missing parts, wrong lengths or unknown hyperparameters.
    """
    if isinstance(source, dict):
        data, printed = source, None
    else:
        path = os.fspath(source)
        readers = {".npz": read_npz, ".json": read_json, ".csv": read_csv}
        ending = os.path.splitext(path)[1].lower()
        if ending not in readers:
            raise ValueError(f"trace {path!r} must end in {', '.join(readers)}")
        data, printed = readers[ending](path)
    for part in ("parameters", "gradients"):
        if not isinstance(data.get(part), dict) or not data[part]:
            raise ValueError(f"the trace has no {part!r}; it needs parameters and gradients, "
                             "by name")
    decimals = printed if decimals is None else decimals
    tolerance = FLOAT64 if decimals is None else (0.501 * 10.0**-decimals, 1e-12)
    options = {**settings_of(rule), **data.get("hyperparameters", {}), **(hyperparameters or {})}
    return [record_of(data, rule, options, tolerance)]


def record_of(data, rule, options, tolerance):
    names = [*data["parameters"]]
    weights = [np.array(data["parameters"][name], float) for name in names]
    missing = [name for name in names if name not in data["gradients"]]
    if missing:
        raise ValueError(f"the trace has no gradients of {', '.join(missing)}")
    gradients = [np.array(data["gradients"][name], float) for name in names]
    for name, w, g in zip(names, weights, gradients):
        if len(w) != len(g) + 1 or w.shape[1:] != g.shape[1:]:
            raise ValueError(f"trace of {name}: parameters have shape {w.shape}, gradients "
                             f"{g.shape}; parameters need one entry more, that before step 1")
    steps = len(gradients[0])
    unknown = sorted(set(options) - set(settings_of(rule)))
    if unknown:
        raise ValueError(f"{rule} has no hyperparameter {unknown[0]!r}; it has "
                         + ", ".join(settings_of(rule)))
    settings = [{name: value[i] if isinstance(value, (list, tuple, np.ndarray)) else value
                 for name, value in options.items()} for i in range(steps)]
    states = {s: data.get("states", {}).get(s, {}) for s in FAMILIES[rule].states}
    seen = [[{"w": w[i + 1], **{s: np.array(by_name[name], float)[i]
                                for s, by_name in states.items() if name in by_name}}
             for name, w in zip(names, weights)] for i in range(steps)]
    run = Run("cold", [w[0] for w in weights], [[g[i] for g in gradients] for i in range(steps)],
              [{} for _ in names], 1, settings)
    return Record(run, seen, tolerance)


def read_npz(path):
    data = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            *folders, name = key.split("/")
            place = data
            for folder in folders:
                place = place.setdefault(folder, {})
            place[name] = archive[key]
    return data, None


def read_json(path):
    """Nested lists; the parameters' longest fraction tells how many digits were printed."""
    digits = []

    def number(text):
        digits.append(max(0, -Decimal(text).as_tuple().exponent))

    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    if not isinstance(data, dict):
        raise ValueError(f"trace {path!r} holds a {type(data).__name__}; it must be an object with "
                         "parameters and gradients")
    json.loads(json.dumps(data.get("parameters", {})), parse_float=number)
    return data, decimals_told(digits)


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    needed = {"step", "parameter", "index", "value", "gradient"}
    if not rows or not needed <= set(rows[0]):
        raise ValueError(f"trace {path!r} needs the columns {', '.join(sorted(needed))}")
    digits = [max(0, -Decimal(row["value"]).as_tuple().exponent) for row in rows
              if math.isfinite(float(row["value"]))]
    data = {"parameters": {}, "gradients": {}, "states": {}}
    states = [column for column in rows[0] if column not in needed]
    for name in dict.fromkeys(row["parameter"] for row in rows):
        mine = sorted((row for row in rows if row["parameter"] == name),
                      key=lambda row: (int(row["step"]), int(row["index"] or 0)))
        steps = 1 + max(int(row["step"]) for row in mine)
        after = [row for row in mine if int(row["step"]) > 0]
        data["parameters"][name] = column_of(mine, "value", steps)
        data["gradients"][name] = column_of(after, "gradient", steps - 1)
        for state in states:
            data["states"].setdefault(state, {})[name] = column_of(after, state, steps - 1)
    return data, decimals_told(digits)


def column_of(rows, column, steps):
    """A column as an array (steps, numbers)."""
    return np.array([float(row[column]) for row in rows]).reshape(steps, -1)


def decimals_told(digits):
    """How many decimals were printed, if few; None for numbers in full."""
    most = max(digits, default=99)
    return most if most <= 10 else None
