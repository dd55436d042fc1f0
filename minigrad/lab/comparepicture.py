"""The picture of a comparison: a matplotlib Figure, and an SVG for those who have none.

The one trick: an optimizer has its colour and its dashes by its name, not by its place, so it looks
the same in every comparison. The colours are Okabe and Ito's, which people who confuse red and
green can tell apart, and lines whose colours are near have other dashes.
"""

import math

import numpy as np

from minigrad.inspect.overview import INK, SOFT, cuts, words
from minigrad.inspect.runs import COLOURS, plain, png
from minigrad.training import OPTIMIZERS

NEEDED = ("comparison.plot needs matplotlib: python -m pip install matplotlib; .table() and "
          ".picture(), an SVG, work without")
DASHES = {"-": "", "--": "7 4", ":": "2 3"}      # as matplotlib calls them, as SVG does
GRID, FRAME = "#E4E7EC", "#98A2B3"
WIDE, TALL, LEFT, GAP, TOP = 330, 250, 62, 74, 64  # of the SVG's two panels, in pixels


def styles(names):
    """{name: (colour, dashes)}: known optimizers have theirs, others get what is left over."""
    known = list(OPTIMIZERS)
    free = (len(known) + k for k in range(len(names)))
    places = {name: known.index(name) if name in known else next(free) for name in names}
    return {name: (COLOURS[k % len(COLOURS)], list(DASHES)[(k + k // len(COLOURS)) % len(DASHES)])
            for name, k in places.items()}


def label(comparison, name):
    """"adam, lr 0.003"."""
    lr = comparison.best[name]
    return f"{name}, diverged" if lr is None else f"{name}, lr {lr:g}"


def title(comparison):
    sizes, n = "-".join(map(str, comparison.about["sizes"])), len(comparison.seeds)
    return (f"{comparison.settings['data']}, MLP {sizes}: each optimizer with its best learning "
            f"rate, {'median and range of' if n > 1 else ''} {n} seed{'s' * (n > 1)}"
            ).replace("  ", " ")


def baseline(comparison):
    """The score of the best constant guess on the test rows."""
    return float(np.median([trial.about["baseline"] for trial in comparison.trials]))


def score_floor(comparison):
    """Where the axis of the scores begins: a good way above a constant guess, so that the end,
    where the optimizers differ, has most of the room; lower if one of them ends there."""
    ends = [row["test_score"][0] for row in comparison.rows]
    ends, base = [end for end in ends if math.isfinite(end)], baseline(comparison)
    if not ends:
        return base
    lowest = 0.0 if comparison.is_share() else -1.0
    return max(min(base + 0.5 * (max(ends) - base), min(ends)), lowest)


# --- matplotlib -----------------------------------------------------------------------------------

def figure(comparison):
    """The Figure of four panels. ImportError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(NEEDED) from None
    drawn = Figure(figsize=(11, 7), layout="constrained")
    drawn.suptitle(plain(title(comparison)), fontsize="medium")
    (losses, scores), (rates, goals) = drawn.subplots(2, 2)
    looks = styles(comparison.optimizers)
    handles = [curves(losses, comparison, "train_loss", name, looks[name])
               for name in comparison.optimizers]
    losses.set_title("Training loss")
    if any(comparison.best.values()):
        losses.set_yscale("log", nonpositive="mask")
    else:
        for axis in (losses, scores):
            axis.text(0.5, 0.5, "every learning rate diverged", transform=axis.transAxes,
                      ha="center")
    for name in comparison.optimizers:
        curves(scores, comparison, "test_score", name, looks[name])
    floor = score_floor(comparison)
    scores.set(title=f"Test {comparison.score}")
    top = max([row["test_score"][2] for row in comparison.rows if row["lr"]], default=floor)
    if top > floor:
        scores.set_ylim(floor, top + 0.04 * (top - floor))
    for axis, name in ((losses, "train_loss"), (scores, "test_score")):
        in_steps(axis, comparison.about["steps"])
        if comparison.goal and comparison.goal[0] == name:
            axis.axhline(comparison.goal[1], color=SOFT, linestyle=(0, (1, 3)), linewidth=1)
    sensitivity(rates, comparison, looks)
    to_the_goal(goals, comparison, looks)
    for axis in (losses, scores, rates, goals):
        axis.grid(True, color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
    drawn.legend(handles, [plain(label(comparison, name)) for name in comparison.optimizers],
                 loc="outside right upper", frameon=False, handlelength=3)
    drawn._repr_png_ = lambda: png(drawn)  # a Figure without pyplot would show as its repr
    return drawn


def in_steps(axis, total):
    """Lets the horizontal axis be steps, from 1 to the last, logarithmic: most is learnt at first.
    """
    axis.set(xlabel="step", xscale="log", xlim=(0.9, 1.1 * total))
    axis.xaxis.set_major_formatter("{x:g}")


def curves(axis, comparison, curve, name, look):
    """The median of an optimizer's seeds as a line, the range as a band, and a cross where one of
    them diverged; returns the line."""
    steps, low, mid, high = comparison.band(curve, name)
    axis.fill_between(steps, low, high, color=look[0], alpha=0.13, linewidth=0)
    for trial in comparison.of(name):
        if trial.diverged is not None:
            axis.plot(trial.curve["step"][-1], trial.curve[curve][-1], "x", color=look[0])
    return axis.plot(steps, mid, color=look[0], linestyle=look[1], linewidth=1.6)[0]


def sensitivity(axis, comparison, looks):
    """The score by which a learning rate is chosen, over the learning rates, the chosen one ringed.
    Where the median diverged, a cross stands on the lower edge."""
    values = {cell: comparison.final("validation_score", *cell) for cell in comparison.cells}
    known = [value for value in values.values() if math.isfinite(value)]
    top, low = (max(known), min(known)) if known else (1.0, 0.0)
    low = max(low, top - 0.15 * max(top - baseline(comparison), 0.01))
    floor = low - 0.06 * max(top - low, 0.01)
    for name in comparison.optimizers:
        (colour, dashes), lrs = looks[name], comparison.lrs[name]
        heights = np.array([values[name, lr] for lr in lrs])
        lost = np.isneginf(heights)
        axis.plot(lrs, np.where(lost, np.nan, heights), color=colour, linestyle=dashes,
                  linewidth=1.6, marker="o", markersize=3.5)
        if lost.any():  # nothing to draw would be a thing at 0, far outside of logarithmic axes
            axis.plot(np.array(lrs)[lost], np.full(lost.sum(), floor), "x", color=colour,
                      clip_on=False, zorder=3)
        if comparison.best[name] is not None:
            axis.plot(comparison.best[name], values[name, comparison.best[name]], "o", color=colour,
                      markersize=9, markerfacecolor="none", markeredgewidth=1.4)
    axis.set(title=f"Validation {comparison.score} at the end (x: diverged)",
             xlabel="learning rate", xscale="log")
    axis.set_ylim(floor, top + 0.08 * max(top - low, 0.01))


def to_the_goal(axis, comparison, looks):
    """Steps to the goal: a dot for every seed, a line at their median; on the right edge those
    that never got there."""
    names = comparison.optimizers
    total, ends = comparison.about["steps"], {row["optimizer"]: row for row in comparison.rows}
    for k, name in enumerate(names):
        colour, steps = looks[name][0], comparison.steps_to_goal(name)
        never = np.isinf(steps)
        axis.plot(steps[~never], np.full((~never).sum(), k), "o", color=colour, markersize=5,
                  alpha=0.7, markeredgewidth=0)
        if never.any():
            axis.plot(np.full(never.sum(), total), np.full(never.sum(), k), "x", color=colour,
                      clip_on=False)
        mid = ends[name]["steps"][1]
        if math.isfinite(mid):
            axis.plot([mid, mid], [k - 0.32, k + 0.32], color=colour, linewidth=2.5)
    goal = comparison.goal_text() if comparison.goal else "the goal"
    axis.set(title=f"Steps to {goal} (x: never)", ylim=(len(names) - 0.5, -0.5))
    in_steps(axis, total)
    axis.set_yticks(range(len(names)), [plain(name) for name in cuts(names, 16)])


# --- SVG ------------------------------------------------------------------------------------------

def svg(comparison):
    """Training loss and test score over the steps, with a legend: SVG text, the same every time."""
    looks = styles(comparison.optimizers)
    right = LEFT + 2 * WIDE + GAP
    width, height = right + 210, TOP + TALL + 46
    floor = score_floor(comparison)
    parts = [words(16, 24, title(comparison), 14, INK)]
    for left, curve, head, low in (
            (LEFT, "train_loss", "training loss (log scale)", None),
            (LEFT + WIDE + GAP, "test_score", f"test {comparison.score}", floor)):
        parts += panel(comparison, looks, left, curve, head, low)
    names = cuts([label(comparison, name) for name in comparison.optimizers], 26)
    for k, (text, look) in enumerate(zip(names, looks.values())):
        y = TOP + 8 + 20 * k
        parts += [line([(right + 16, y), (right + 50, y)], look), words(right + 58, y + 4, text, 12,
                                                                       INK)]
    height = max(height, TOP + 20 * len(names) + 20)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica,Arial,sans-serif" role="img">'
            f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>{"".join(parts)}</svg>')


def panel(comparison, looks, left, curve, head, low):
    """One pair of axes; low: where the scale begins, None for a logarithmic one."""
    bands = {name: after_the_start(comparison.band(curve, name)) for name in comparison.optimizers}
    values = np.concatenate([np.concatenate(band[1:]) for band in bands.values()])
    values = values[np.isfinite(values) & ((values > 0) if low is None else (values >= low))]
    parts = [words(left, TOP - 10, head, 12, SOFT)]
    if not values.size:
        return [*parts, words(left + 8, TOP + 20, "nothing to show", 12, SOFT)]
    scale = np.log10 if low is None else np.asarray
    bottom, top = float(scale(values.min() if low is None else low)), float(scale(values.max()))
    span, total = max(top - bottom, 1e-12), comparison.about["steps"]

    def place(step, value):
        with np.errstate(all="ignore"):
            part = (float(scale(max(value, 1e-300) if low is None else value)) - bottom) / span
        across = math.log(max(step, 1)) / max(math.log(total), 1e-12)
        return left + WIDE * min(across, 1.0), TOP + TALL * (1 - min(max(part, -9.0), 9.0))

    for value in ticks(bottom, top, low is None):
        y = place(0, value)[1]
        parts += [f'<path d="M{left} {y:.1f}H{left + WIDE}" stroke="{GRID}"/>',
                  words(left - 6, y + 4, f"{value:g}", 11, SOFT, "end")]
    for step in [10**k for k in range(len(str(total)))]:
        parts.append(words(place(step, 1)[0], TOP + TALL + 18, str(step), 11, SOFT, "middle"))
    parts += [words(left + WIDE, TOP + TALL + 34, f"step (1 to {total}, log scale)", 11, SOFT,
                    "end"),
              f'<path d="M{left} {TOP}V{TOP + TALL}H{left + WIDE}" fill="none" stroke="{FRAME}"/>']
    # An svg in the svg cuts off what is not on its paper: curves that begin below the scale.
    parts.append(f'<svg x="{left}" y="{TOP}" width="{WIDE}" height="{TALL}" '
                 f'viewBox="{left} {TOP} {WIDE} {TALL}">')
    if len(comparison.seeds) > 1:
        parts += [area(band, place, looks[name][0]) for name, band in bands.items()]
    for name, (steps, _, mids, _) in bands.items():
        known = np.isfinite(mids)
        if known.any():
            parts.append(line([place(*p) for p in zip(steps[known], mids[known])], looks[name]))
    return [*parts, "</svg>"]


def after_the_start(band):
    """A band without step 0, which has no place on a logarithmic axis."""
    return [part[np.asarray(band[0]) > 0] for part in map(np.asarray, band)]


def area(band, place, colour):
    """The range of the seeds; place: (step, value) in pixels."""
    steps, lows, _, highs = band
    known = np.isfinite(lows) & np.isfinite(highs)
    edge = [place(*point) for point in zip(steps[known], highs[known])]
    edge += [place(*point) for point in zip(steps[known][::-1], lows[known][::-1])]
    return f'<path d="M{path(edge)}Z" fill="{colour}" opacity="0.13"/>' if edge else ""


def ticks(bottom, top, logarithmic):
    """Round values between two ends: powers of ten, or steps of 1, 2 or 5 times one."""
    if logarithmic:
        powers = range(math.ceil(bottom - 1e-9), math.floor(top + 1e-9) + 1)
        if len(powers) > 1:
            return [10.0**k for k in powers[::max(1, len(powers) // 6)]]
        return [float(f"{10**bottom:.2g}"), float(f"{10**top:.2g}")]
    rough = max(top - bottom, 1e-12) / 5
    power = 10.0**math.floor(math.log10(rough))
    step = next(k * power for k in (1, 2, 5, 10) if k * power >= rough)
    return [round(k * step, 12) for k in range(math.ceil(bottom / step),
                                               math.floor(top / step) + 1)]


def path(points):
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def line(points, look):
    """A curve in the colour and the dashes of an optimizer."""
    dashes = f' stroke-dasharray="{DASHES[look[1]]}"' if DASHES[look[1]] else ""
    return (f'<path d="M{path(points)}" fill="none" stroke="{look[0]}" stroke-width="1.6"'
            f'{dashes} stroke-linejoin="round"/>')
