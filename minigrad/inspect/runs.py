"""A recorded run for people: a table, a CSV file, a plot, a summary for terminals and notebooks.

The one trick: nothing is computed about the training here. All of it was recorded; what is left is
to choose how much of it fits: one number per parameter (its rms) in a table of 80 columns, one
colour per parameter and step in a picture, and every single number in the CSV file.
"""

import csv
import io
import itertools
import json
import math
import sys
import textwrap

import numpy as np

from minigrad import markup, numbers
from minigrad.inspect.cards import printable
from minigrad.inspect.layout import write
from minigrad.inspect.overview import ROWS, cuts, is_flat, picture
from minigrad.optim.rules import anatomy
from minigrad.progress import BLOCKS, Progress, duration
from minigrad.terminal import table as aligned

WIDTH = 80
NAME = 24      # columns that the name of a parameter may take, if the numbers leave them
SHORTEST = 12
LINES = 8      # parameters that a plot shows as lines; more are rows of a heatmap
SCALES = ("gradient norm", "update / weight")  # always on a logarithmic scale,
SPREAD = 5                                     # other curves if they span more than this factor
RULE_OF_THUMB = 1e-3  # update / weight; Karpathy, "makemore part 3" (2022)
ASCII = str.maketrans(BLOCKS, "_.:-=+*#")
NEEDED = ('run.plot needs matplotlib: python -m pip install matplotlib. Without it, '
          "run.table() and run.to_csv(path) have all the numbers")

# Okabe and Ito's colours (2008), which people who confuse red and green can tell apart; lines of
# a second round are dashed.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#999999")


# --- numbers in few characters --------------------------------------------------------------------

def rms(stack):
    """Root of the mean square of each array in a stack (n, *shape), without overflow: (n,) floats.
    nan or inf where one of the numbers is; 0 of nothing."""
    values = np.asarray(stack, dtype=float)
    if not values.size:
        return np.zeros(len(values))
    values = values.reshape(len(values), -1)
    largest = np.abs(values).max(axis=1)
    finite = np.isfinite(largest)
    scale = np.where(finite & (largest > 0), largest, 1.0)
    with np.errstate(all="ignore"):
        mean = scale * np.sqrt(np.mean((values / scale[:, None]) ** 2, axis=1))
    return np.where(finite, mean, largest)


def significant(value):
    """Three significant digits in at most eight characters: 0.0123, 12.3, 1.23e-5; "0" is zero."""
    if not math.isfinite(value) or value == 0:
        return numbers.number(value, 0)
    digits, _, exponent = f"{value:.2e}".partition("e")
    exponent = int(exponent)
    return f"{value:.{2 - exponent}f}" if -4 < exponent < 3 else f"{digits}e{exponent}"


def brief(value):
    """Up to three significant digits, in the form of `significant`: 0.01, 1e-9, 1.5e-5."""
    digits, e, exponent = f"{value:.3g}".partition("e")
    return f"{digits}e{int(exponent)}" if e else digits


def shape_of(shape):
    """(64, 32) as 64x32."""
    return "x".join(map(str, shape)) or "()"


# --- reading a run --------------------------------------------------------------------------------

def quantities(run):
    """What was recorded of the rules between grad and delta: (m, v, m_hat, ...), in their order."""
    known = ("data", "grad", "delta", "ratio")
    found = (key for name in run.names for key in run[name] if key not in known)
    return tuple(dict.fromkeys(found))


def states(run):
    """The recorded states of the rules that ran, in the order of their signatures."""
    rules = dict.fromkeys(used.rule for used in run.tape.settings)
    if all(map(callable, rules)):
        declared = dict.fromkeys(state for rule in rules for state in anatomy(rule).states)
    else:  # a loaded run of a rule that is not here
        declared = dict.fromkeys(state for name in run.names for state in
                                 run.tape.film(name).before)
    recorded = quantities(run)
    return tuple(state for state in declared if state in recorded)


def lr_text(rates):
    """The learning rate of a step, or those of its groups."""
    rates = [rate for rate in np.atleast_1d(rates).tolist() if not math.isnan(rate)]
    texts = list(dict.fromkeys(map(brief, rates)))
    if len(texts) > 4:
        return f"{brief(min(rates))} to {brief(max(rates))} in {len(rates)} groups"
    return ", ".join(texts)


def lengths(stack):
    """Euclidean norm of each array in a stack (n, *shape): (n,) floats."""
    return rms(stack) * math.sqrt(math.prod(np.shape(stack)[1:]))


def absent(entry):
    """At which recorded steps a parameter had no gradient at all: (n,) booleans."""
    return (entry["t"] == 0) & np.isnan(lengths(entry["grad"]))


def gradient_lengths(entry):
    """Euclidean norm of the gradient of a parameter at every recorded step: (n,) floats; 0 where
    there was none."""
    return np.where(absent(entry), 0.0, lengths(entry["grad"]))


def ratios(entry):
    """|delta| / |w| of a parameter at every recorded step: (n,) floats; nan where all weights are
    0."""
    with np.errstate(all="ignore"):
        return np.divide(rms(entry["delta"]), rms(entry["data"]))


# --- one step, one line for each parameter --------------------------------------------------------

def table(run, step=None):
    """The state of training at one recorded step (default: the last), one line per parameter.

    Columns: shape, then the rms of data (before the update), grad, the states of the rule (after
    it) and delta, and ratio = |delta| / |w|. "-" is what the parameter does not have. At most 80
    columns wide; states that do not fit are named in the last line. ValueError for a step that was
    not recorded, or if there is none.
    """
    i = run.position(step)
    shown = states(run)
    rows = [row_of(name, run[name], i, shown) for name in run.names]
    head = ("parameter", "shape", "data", "grad", *shown, "delta", "ratio")
    numeric = range(2, len(head))
    widths = [max(len(line[k]) for line in [head, *rows]) for k in range(1, len(head))]
    hidden = []
    while len(widths) > 5 and sum(widths) + 2 * len(widths) > WIDTH - SHORTEST:
        k = len(head) - 3  # the last state
        hidden.insert(0, head[k])
        head, rows = (without(head, k), [without(line, k) for line in rows])
        widths.pop(k - 1)
    room = max(SHORTEST, min(NAME, WIDTH - sum(widths) - 2 * len(widths)))
    rows = [(name, *line[1:]) for name, line in zip(cuts(run.names, room), rows)]
    lines = [headline(run, i), "", aligned(head, rows, numeric), "",
             "rms of all numbers of a parameter; ratio = |delta| / |data|"]
    if hidden:
        lines += textwrap.wrap(f"also recorded: {', '.join(hidden)}", WIDTH)
    return "\n".join(lines)


def without(line, k):
    return (*line[:k], *line[k + 1:])


def row_of(name, entry, i, shown):
    """The texts of a parameter's line. "-" is what the rule did not compute at this step."""
    entry = {key: values[i:i + 1] for key, values in entry.items()}
    left_out = entry["t"][0] == 0

    def size(key):
        if key not in entry or left_out and np.isnan(entry[key]).all():
            return "-"
        return significant(rms(entry[key])[0])
    grad = "none" if absent(entry)[0] else size("grad")
    return (name, shape_of(entry["data"].shape[1:]), size("data"), grad, *map(size, shown),
            size("delta"), significant(ratios(entry)[0]))


def headline(run, i):
    return (f"step {run.steps[i]}  loss {significant(run.loss[i])}  "
            f"lr {lr_text(run.lr[i])}  grad norm {significant(run.grad_norm[i])}")


# --- every number ---------------------------------------------------------------------------------

def to_csv(run, path):
    """Writes every recorded number to a CSV file: one row per step, parameter and index.

    Columns: step, parameter, index (as in w[2, 3], [] for a single number), data, grad, the
    quantities of the rule, delta, ratio. A cell is empty where a parameter has no such quantity; a
    quantity that a rule calls `step` is the column "step (rule)". Numbers are written so that
    float(text) is the recorded number, bit for bit. The file is UTF-8, and there is all of it or
    none. Returns path. OSError if it cannot be written.
    """
    columns = ("data", "grad", *quantities(run), "delta", "ratio")
    place = ("step", "parameter", "index")
    file = io.BytesIO()
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*place, *[f"{key} (rule)" if key in place else key for key in columns]))
    entries = {name: run[name] for name in run.names}
    for i, step in enumerate(run.steps.tolist()):
        for name, entry in entries.items():
            shape = entry["data"].shape[1:]
            indices = map(json.dumps, map(list, np.ndindex(shape)))
            cells = [cells_of(entry, key, i, shape) for key in columns]
            writer.writerows(zip(itertools.repeat(step), itertools.repeat(name), indices, *cells))
    text.detach()  # writes what is left, and leaves the file open
    write(path, file.getvalue())
    return path


def cells_of(entry, key, i, shape):
    """The texts of a quantity at a recorded step, one for each index; a number of the whole
    parameter is the same for all."""
    if key not in entry:
        return [""] * math.prod(shape)
    values = np.broadcast_to(np.asarray(entry[key][i]), shape)
    return map(repr, values.reshape(-1).tolist())


# --- words ----------------------------------------------------------------------------------------

def short(run):
    """The run in one line: its repr."""
    n = sum(math.prod(run[name]["data"].shape[1:]) for name in run.names)
    recorded = f"{len(run.steps)} step{'s' * (len(run.steps) != 1)} recorded"
    return (f"<Run: {run.kind}, {n} numbers in {len(run.names)} "
            f"parameter{'s' * (len(run.names) != 1)}, {recorded} (every {run.every})>")


def sparkline(values, width=24):
    """A curve in characters, a line if nothing changes; of ASCII where stdout knows no others."""
    curve = Progress(progress=False)
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    curve.curve = (np.zeros_like(values) if is_flat(values) else values).tolist()
    line = curve.sparkline(width)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return line if encoding.lower().replace("-", "") == "utf8" else line.translate(ASCII)


def loss_line(run):
    """"loss 0.693 -> 0.0123 in 500 steps" with its curve."""
    if not len(run.steps):
        return "nothing recorded yet: no optimizer.step() has run inside the `with` block"
    known = np.isfinite(run.loss)
    first, last = significant(run.loss[0]), significant(run.loss[-1])
    if np.isnan(run.loss).all():
        words = "loss not seen (it is read where backward() starts)"
    else:
        words = f"loss {first} -> {last}"
    words += f", steps {run.steps[0]} to {run.steps[-1]}" if len(run.steps) > 1 else (
        f", step {run.steps[0]}")
    if 0 < known.sum() < len(known):
        words += f", {(~known).sum()} losses not finite"
    seconds = float(run.seconds[-1])
    words += f", {duration(seconds)}" if math.isfinite(seconds) else ""
    return f"{words}  {sparkline(run.loss)}".rstrip()


def text(run):
    """What print(run) shows: what it is, how the loss went, and the table of the last step."""
    lines = [short(run)[1:-1], loss_line(run)]
    return "\n".join([*lines, "", table(run)] if len(run.steps) else lines)


# --- a plot, for those who have matplotlib --------------------------------------------------------

def plot(run, names=None):
    """A matplotlib Figure: loss, gradient norm and |delta| / |w| per parameter, learning rate.

    names: the parameters to show (default all). Up to 8 are lines on logarithmic scales; more are
    rows of a heatmap. Nothing is shown or set globally: `figure.savefig("run.png")`, or let a
    notebook show it. Raises KeyError for an unknown name, ImportError without matplotlib (the
    extra "plot"), ValueError for a run without steps.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(NEEDED) from None
    run.position()  # is there anything to show?
    names = run.names if names is None else [names] if isinstance(names, str) else list(names)
    entries = {name: run[name] for name in names}
    sizes = {name: gradient_lengths(entry) for name, entry in entries.items()}
    moves = {name: ratios(entry) for name, entry in entries.items()}
    many = len(names) > LINES
    tall = 0.8 + 0.16 * len(names) if many else 2.2
    figure = Figure(figsize=(9, 4.4 + 2 * tall), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(2, tall, tall, 1.2))
    figure.suptitle(short(run)[1:-1], fontsize="medium")
    draw_lines(axes[0], run.steps, {"": run.loss}, "loss")
    for axis, series, label, middle in (
            (axes[1], sizes, "gradient norm", None),
            (axes[2], moves, "update / weight", RULE_OF_THUMB)):
        (draw_heatmap if many else draw_lines)(axis, run.steps, series, label, middle)
    rates = run.lr.reshape(len(run.steps), -1)
    many_rates = rates.shape[1] > 1
    draw_lines(axes[3], run.steps, {f"group {k}" if many_rates else "": rates[:, k]
                                    for k in range(rates.shape[1])}, "learning rate")
    axes[3].set_xlabel("step")
    if axes[3].get_yscale() == "linear":
        axes[3].set_ylim(bottom=0)
    figure._repr_png_ = lambda: png(figure)  # a Figure without pyplot would show as its repr
    return figure


def draw_lines(axis, steps, series, label, guide=None):
    """Curves {name: values} against steps, logarithmic where that shows more."""
    values = np.concatenate([np.ravel(v) for v in series.values()]) if series else np.zeros(0)
    values = values[np.isfinite(values)]
    wide = values.size and 0 < values.min() * SPREAD < values.max()
    if wide or label in SCALES and (values > 0).any():
        axis.set_yscale("log", nonpositive="mask")
    for k, (name, curve) in enumerate(series.items()):
        alone = len(steps) == 1 or not np.isfinite(curve).all()
        axis.plot(steps, curve, label=plain(name), color=COLOURS[k % len(COLOURS)], linewidth=1.2,
                  linestyle="-" if k < len(COLOURS) else "--", marker="." if alone else None)
    if guide:
        axis.axhline(guide, color="#475467", linestyle=":", linewidth=1)
        axis.annotate("1e-3, a rule of thumb", (0, guide), xycoords=("axes fraction", "data"),
                      xytext=(4, 3), textcoords="offset points", fontsize="x-small",
                      color="#475467", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    if any(series):
        axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize="small",
                    borderaxespad=0, prop={"family": "monospace", "size": "small"})
    axis.set_ylabel(label)
    axis.grid(True, color="#E4E7EC", linewidth=0.6)
    axis.set_axisbelow(True)


def draw_heatmap(axis, steps, series, label, middle=None):
    """log10 of {name: values}, one row each; zeros and what is not finite stay grey."""
    with np.errstate(all="ignore"):
        grid = np.log10(np.array(list(series.values()), dtype=float))
    grid = np.ma.masked_invalid(grid)
    low, high = (float(grid.min()), float(grid.max())) if grid.count() else (-1.0, 0.0)
    if middle:  # white is where updates should be
        reach = max(high - math.log10(middle), math.log10(middle) - low, 1.0)
        low, high = math.log10(middle) - reach, math.log10(middle) + reach
    axis.set_facecolor("#D0D5DD")
    edges = np.append(steps, steps[-1] + 1) - 0.5 if len(steps) else [0, 1]
    if len(steps):
        mesh = axis.pcolormesh(edges, np.arange(len(series) + 1) - 0.5, grid, vmin=low, vmax=high,
                               cmap="PuOr_r" if middle else "viridis")
        axis.figure.colorbar(mesh, ax=axis, label="log10", pad=0.01)
    axis.set_yticks(range(len(series)), [plain(name) for name in cuts(series, NAME)],
                    family="monospace", fontsize="x-small")
    axis.invert_yaxis()
    axis.set_title(label + (" (white: 1e-3, a rule of thumb)" if middle else ""),
                   fontsize="medium", loc="left")


def plain(name):
    """A name that matplotlib takes as it is: no formula between $ signs, no leading _."""
    return printable(name).replace("$", r"\$").replace("_", "\u200b_", name.startswith("_"))


def png(figure):
    """The bytes of a Figure as a PNG picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


# --- in a notebook --------------------------------------------------------------------------------

def bundle(run):
    """What a notebook shows of a run: a picture of loss and gradients, and the last step's table.
    Never raises."""
    try:
        plain_text, title = text(run), short(run)[1:-1]
        if not len(run.steps):
            return markup.bundle(plain_text)
        sizes = {name: gradient_lengths(run[name]) for name in run.names[:ROWS]}
        svg = picture(title, run.steps, run.loss, sizes, len(run.names))
        alt = f"{title}: loss and size of the gradients over the steps"
        return markup.bundle(plain_text, markup.image(svg, alt) + markup.pre(table(run)))
    except Exception as error:  # a display that raises hides the object
        return markup.bundle(f"<Run that cannot be shown: {type(error).__name__}: {error}>")
