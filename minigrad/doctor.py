"""The command `doctor`: what is installed, what is missing, and how to get it.

The one trick: it does not look for files, it tries: a gradient is computed, a picture is drawn.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time

import numpy as np

import minigrad
from minigrad import data
from minigrad.inspect import GraphvizNotFound, draw, layout
from minigrad.terminal import as_json, complain, result, table, talk
from minigrad.threads import threads

EXTRA = 'python -m pip install -e ".[{}]", in the folder of minigrad\'s pyproject.toml'

DAMAGED = "this copy of minigrad is damaged: get a fresh one"

# Packages that are not needed to train: (name, what for, how to get it).
OPTIONAL = [
    ("graphviz", "hands a graph on as graphviz.Source", "python -m pip install graphviz"),
    ("graphviz-pure", "draws without a system Graphviz", EXTRA.format("viz")),
    ("matplotlib", "run.plot(), plots of examples", EXTRA.format("plot")),
    ("pytest", "runs the tests", EXTRA.format("test")),
    ("torch", "is compared with in the tests", "python -m pip install torch==2.13.0"),
]


def doctor(options):
    """Prints what was found, as a table; returns 0 if the required parts work, else 1."""
    required = [python(), numpy(), blas(), gradient(), data_sets()]
    found = [*required, *drawing(), *map(package, OPTIONAL)]
    if options.json:
        as_json({"minigrad": minigrad.__version__, "parts": [
            {"part": part, "state": state, "found": text, "cure": cure}
            for part, state, text, cure in found]})
    else:
        result(f"minigrad {minigrad.__version__}, in {os.path.dirname(minigrad.__file__)}\n")
        result(table(["part", "state", "found"], [row[:3] for row in found]))
        cures = [(part, cure) for part, _, _, cure in found if cure]
        if cures:
            result("\nhow to get what is missing")
            result("\n".join(f"  {part}: {cure}" for part, cure in cures))
    broken = [part for part, state, _, _ in required if state == "broken"]
    if broken:
        complain("error", f"minigrad cannot work here: {', '.join(broken)}")
        return 1
    talk("\nall that is required works")
    return 0


# Every check is a row (part, "ok" | "missing" | "broken", what was found, the cure or "").

def python():
    """The interpreter: 3.10 or later."""
    good = sys.version_info >= (3, 10)
    return ("Python", "ok" if good else "broken", f"{platform.python_version()}, {sys.executable}",
            "" if good else "install Python 3.10 or later")


def numpy():
    """NumPy 2 or later."""
    good = int(np.__version__.split(".")[0]) >= 2
    return ("NumPy", "ok" if good else "broken", np.__version__,
            "" if good else 'python -m pip install "numpy>=2"')


def blas():
    """The library that multiplies NumPy's matrices, and how many threads it may use."""
    library = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    name = f"{library.get('name', 'unknown')} {library.get('version', '')}".strip()
    number = threads()
    count = "?" if number is None else number
    return "BLAS", "ok", f"{name}, {count} thread{'' if number == 1 else 's'}", ""


def gradient():
    """Computes d(x**3)/dx at 2."""
    x = minigrad.tensor(2.0, requires_grad=True)
    (x**3).backward()
    good = x.grad.item() == 12
    return ("gradients", "ok" if good else "broken", f"d(x**3)/dx at 2 is {x.grad.item():g}",
            "" if good else DAMAGED)


def data_sets():
    """Loads the data sets that ship with minigrad, and counts their rows."""
    try:
        rows = {name: len(data.load(name)) for name in data.names()}
    except (OSError, ValueError) as error:
        return "data sets", "broken", str(error), DAMAGED
    return "data sets", "ok", ", ".join(f"{name} {n}" for name, n in rows.items()), ""


def drawing():
    """The layout program, and a graph of two tensors drawn by it."""
    try:
        program = layout.program()
    except GraphvizNotFound as error:
        first = str(error).splitlines()[0].removeprefix("minigrad cannot draw this graph: ")
        cure = EXTRA.format("viz") + ", or your system's Graphviz"
        if "MINIGRAD_DOT" in first and "set to" in first:
            cure = "correct the variable MINIGRAD_DOT, or unset it"
        return [("layout program", "missing", first, cure)]
    rows = [("layout program", "ok", f"{version(program)}, {program}", "")]
    x = minigrad.tensor(2.0, requires_grad=True, name="x")
    y = x * x
    y.backward()
    started = time.perf_counter()
    try:
        size = len(draw(y).render("svg"))
    except RuntimeError as error:
        return [*rows, ("drawing", "broken", str(error), "reinstall the layout program")]
    seconds = time.perf_counter() - started
    found = f"2 tensors, {size} bytes of SVG, {1000 * seconds:.0f} ms"
    return [*rows, ("drawing", "ok", found, "")]


def version(program):
    """What a layout program says when asked for its version."""
    try:
        done = subprocess.run([program, "-V"], capture_output=True, timeout=20, text=True,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown version"
    found = re.search(r"\d+\.\d[\w.]*", done.stderr + done.stdout)
    return f"{os.path.basename(program)} {found[0] if found else ''}".strip()


def package(row):
    """An optional package, by its metadata: nothing is imported."""
    name, purpose, cure = row
    try:
        return name, "ok", f"{importlib.metadata.version(name)}, {purpose}", ""
    except importlib.metadata.PackageNotFoundError:
        return name, "missing", f"not needed to train; {purpose}", cure
