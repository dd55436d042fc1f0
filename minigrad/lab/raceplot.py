"""The picture of a race: paths over the contours of the surface, and heights over the steps.

The one trick: contour levels are spaced by a power, chosen so that half of the picture lies below
the middle level. So the flat floor of a valley has as many lines as the walls around it, on any
surface, and the levels are still read in order.
"""

import binascii
import math

import numpy as np

from minigrad.inspect.runs import COLOURS, plain, png

LEVELS = 22
GRID = 121         # heights along the longer side
LONGEST = 2.5      # sides of the domain of up to this ratio have one scale
PALE = ("#DCE6F0", "#FBFCFD")  # of the landscape: low, high
DECADES = 12       # of the heights shown, down from the start,
RISE = 30          # and how many times the start up
DOTTED = 60        # steps of a race up to which every point of a path is a dot
NEEDED = ("race.plot needs matplotlib: python -m pip install matplotlib. Without it, race.table() "
          "and race.animate(path) work")


def grid(surface):
    """(xs, ys, heights (len(ys), len(xs))) over the domain; NaN where it is not finite."""
    sides = [high - low for low, high in surface.domain]
    counts = [max(41, round(GRID * side / max(sides))) for side in sides]
    xs, ys = (np.linspace(low, high, n) for (low, high), n in zip(surface.domain, counts))
    with np.errstate(all="ignore"):
        return xs, ys, surface.heights(xs, ys)


def levels(heights, lowest=None):
    """Heights of contour lines, rising: closer together where most of the surface is. lowest: of
    the minima, if they are known."""
    known = heights[np.isfinite(heights)]
    if not known.size:
        return np.zeros(0)
    low = float(known.min()) if lowest is None else min(float(known.min()), lowest)
    high, middle = float(known.max()), float(np.median(known))
    if not 0 < high - low < math.inf:
        return np.array([low])
    share = (middle - low) / (high - low)
    power = min(16.0, max(1.0, math.log(share) / math.log(0.5))) if 0 < share < 1 else 1.0
    return low + (high - low) * np.linspace(0, 1, LEVELS + 1)[1:-1]**power


def styles(lanes):
    """{label: (colour, is it dashed)}"""
    return {label: (COLOURS[k % len(COLOURS)], k >= len(COLOURS)) for k, label in enumerate(lanes)}


def drawable(lane):
    """(n, 2) points of a path: up to the first that is not finite, and the last one no further than
    a few pictures away, on the same line, so that any program can draw it."""
    points = lane.points[np.isfinite(lane.points).all(axis=1)]
    if len(points) < 2:
        return points
    step, reach = points[-1] - points[-2], 10 * lane.surface.size
    with np.errstate(all="ignore"):
        length = np.abs(step).max()
    if length > reach:
        points = np.concatenate([points[:-1], [points[-2] + step / length * reach]])
    return points


def shown_heights(race):
    """({label: heights to draw}, what they are called, is the scale logarithmic?)

    With a known lowest minimum: how far above it, on a logarithmic scale. Else the heights as they
    are, logarithmic if all of them are above 0.
    """
    curves = {label: np.where(np.isfinite(lane.values), lane.values, np.nan)
              for label, lane in race.lanes.items()}
    lowest = race.surface.lowest
    start = next(iter(curves.values()))[0]
    if lowest is None or not start > lowest:
        return curves, "height", all(np.nanmin(curve) > 0 for curve in curves.values())
    least = (start - lowest) * 10.0**-DECADES  # below this, it is rounding
    exact = f", {lowest:.4g}" if abs(lowest) > 1e-4 else ""
    above = {label: np.where(curve - lowest > least, curve - lowest, np.nan)
             for label, curve in curves.items()}
    return above, f"height above the lowest minimum{exact}", True


def height_range(curves, heights, logarithmic):
    """(low, high) of the scale: that of the curves, but not how high those rose that diverged, and
    without a logarithm no more than the heights in the picture."""
    seen = np.concatenate([curve[np.isfinite(curve)] for curve in curves.values()])
    low, high = float(seen.min()), float(seen.max())
    if logarithmic:
        high = min(high, RISE * float(next(iter(curves.values()))[0]))
        return low / 1.5, high * 1.5
    low = max(low, float(np.nanmin(heights)))
    high = max(low, min(high, float(np.nanmax(heights))))
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def figure(race):
    """A matplotlib Figure of a Race: contours with the paths, heights over the steps."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(NEEDED) from None
    picture = Figure(figsize=(9.6, 4.3), layout="constrained")
    left, right = picture.subplots(1, 2, width_ratios=(1.25, 1))
    picture.suptitle(plain(race.title), fontsize="medium")
    xs, ys, heights = grid(race.surface)
    draw_surface(left, race.surface, xs, ys, heights)
    looks = styles(race.lanes)
    for label, lane in race.lanes.items():
        draw_path(left, lane, looks[label], race.steps <= DOTTED)
    draw_heights(right, race, looks, heights)
    picture.legend(*right.get_legend_handles_labels(), loc="outside lower center", frameon=False,
                   ncols=min(5, len(race)), fontsize="small")
    picture._repr_png_ = lambda: png(picture)
    return picture


def draw_surface(axis, surface, xs, ys, heights):
    from matplotlib.colors import LinearSegmentedColormap
    lines = levels(heights, surface.lowest)
    axis.set_facecolor("#D0D5DD")
    if len(lines) > 1:
        known = np.ma.masked_invalid(heights)
        edges = [min(lines[0], known.min()) - 1e-9, *lines, max(lines[-1], known.max()) + 1e-9]
        pale = LinearSegmentedColormap.from_list("pale", PALE, N=len(lines) + 1)
        axis.contourf(xs, ys, known, edges, colors=pale(np.linspace(0, 1, len(lines) + 1)))
        axis.contour(xs, ys, known, lines, colors="#98A2B3", linewidths=0.5,
                     linestyles="solid")
    for places, sign in ((surface.minima, "*"), (surface.saddles, "x")):
        for place in places:
            axis.plot(*place, marker=sign, color="#1D2939", markersize=9 if sign == "*" else 6,
                      linestyle="none", zorder=4)
    axis.plot(*surface.start, marker="o", markersize=7, markerfacecolor="white",
              markeredgecolor="#1D2939", linestyle="none", zorder=5)
    axis.set_xlim(*surface.domain[0])
    axis.set_ylim(*surface.domain[1])
    if is_even(surface):
        axis.set_aspect("equal")
    axis.set_xlabel("x")
    axis.set_ylabel("y")


def is_even(surface):
    """Do both directions have one scale?"""
    sides = [high - low for low, high in surface.domain]
    return max(sides) / min(sides) <= LONGEST


def draw_path(axis, lane, look, dotted):
    colour, dashed = look
    points = drawable(lane)
    axis.plot(points[:, 0], points[:, 1], color=colour, linewidth=1.5, alpha=0.95,
              linestyle="--" if dashed else "-", marker="." if dotted else None, markersize=4)
    if not lane.cut and len(points):
        axis.plot(*points[-1], marker="o", color=colour, markersize=6, linestyle="none", zorder=6,
                  markeredgecolor="white", markeredgewidth=0.8)


def draw_heights(axis, race, looks, heights):
    curves, words, logarithmic = shown_heights(race)
    for label, curve in curves.items():
        colour, dashed = looks[label]
        lane = race[label]
        rate = "" if math.isnan(lane.lr) else f"  lr {lane.lr:.3g}"
        lost = ", diverged" if lane.cut and not lane.ending.startswith("left") else ""
        axis.plot(np.arange(len(curve)), curve, color=colour, linewidth=1.5,
                  linestyle="--" if dashed else "-", label=f"{plain(label)}{rate}{lost}")
    if logarithmic:
        axis.set_yscale("log")
    axis.set_ylim(*height_range(curves, heights, logarithmic))
    axis.set_xlabel("step")
    axis.set_title(words, fontsize="small", loc="left")
    axis.grid(True, color="#E4E7EC", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def image(race):
    """The picture as an <img> with its bytes inside."""
    data = binascii.b2a_base64(png(figure(race)), newline=False).decode()
    return f'<img alt="paths and heights of a race" src="data:image/png;base64,{data}">'
