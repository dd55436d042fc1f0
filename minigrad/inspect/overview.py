"""A whole run in one picture: the loss as a curve, every parameter as a row of colours.

The one trick: of each stretch of steps the extremes are drawn, never the mean, so a picture of 560
pixels shows a spike of one step among 100,000. SVG text, written by hand: no library is needed.
"""

import itertools
import math

import numpy as np

from minigrad import markup, numbers
from minigrad.inspect.cards import printable
from minigrad.terminal import width_of

LEFT, ACROSS, RIGHT = 170, 560, 30   # pixels: names, curves, margin
ROWS, COLUMNS, LEVELS = 60, 140, 24  # of the heatmap at most, and its shades
FLAT = 0.005  # a change by less than this part of a number is not seen in its three digits
INK, SOFT, LINE = "#1D2939", "#475467", "#1F6FB2"
PALE, DARK, NOTHING = "#F3E3F1", "#5B1A53", "#D0D5DD"


def cuts(names, width):
    """Names in at most `width` columns each. The cut is made where the names stay different, and
    as near to their middle as that allows."""
    names = [printable(name) for name in names]
    long = [name for name in names if width_of(name) > width]
    middle = (width - 2) // 2

    def worth(front):
        return len({cut(name, width, front) for name in long}), -abs(front - middle)
    front = max(range(width - 1), key=worth) if long else middle
    return [cut(name, width, front) for name in names]


def cut(name, width, front):
    """`front` columns of a name's start and as many of its end as fit, with ".." between them."""
    if width_of(name) <= width:
        return name
    start = fitting(name, front)
    end = fitting(name[::-1], width - 2 - front)[::-1]
    return f"{start}..{end}"


def fitting(letters, width):
    """The first of the letters, as many as fit into `width` columns."""
    used = itertools.accumulate(map(width_of, letters))
    return letters[:sum(columns <= width for columns in used)]


def picture(title, steps, loss, sizes, total):
    """An SVG of a run with at least one step: its loss, and {name: length of the gradient at each
    step} as one row of colours each. total: how many parameters there are with those left out."""
    tall = max(9, min(18, 400 // max(1, len(sizes))))
    top = 214
    bottom = top + tall * len(sizes)
    grid = np.array([columns_of(values) for values in sizes.values()])
    parts = [words(16, 24, title, 14, INK), *loss_curve(loss, 56, 120),
             *heatmap(list(sizes), grid, top, tall),
             words(LEFT, bottom + 16, f"step {steps[0]}", 11, SOFT),
             words(LEFT + ACROSS, bottom + 16, f"step {steps[-1]}", 11, SOFT, "end")]
    if total > len(sizes):
        parts.append(words(LEFT, bottom + 32, f"the first {len(sizes)} of {total} parameters",
                           11, SOFT))
    width, height = LEFT + ACROSS + RIGHT, bottom + 44
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica,Arial,sans-serif" role="img">'
            f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>{"".join(parts)}</svg>')


def words(x, y, content, size, colour, anchor="start", more=""):
    """A line of text."""
    return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}"{more}>{markup.escaped(printable(content))}</text>')


def columns_of(values):
    """At most COLUMNS numbers: the largest of each stretch of values, so that no peak is lost."""
    stretches = np.array_split(values, min(len(values), COLUMNS))
    return np.array([stretch.max() for stretch in stretches])


def is_flat(values):
    """Do numbers hardly differ? Their curve is drawn flat then, not blown up to full height."""
    values = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        return not values.size or np.ptp(values) <= FLAT * np.abs(values).max()


def loss_curve(loss, top, tall):
    """The loss as a line from its largest (top) to its smallest value, logarithmic if it can be."""
    loss = np.asarray(loss, dtype=float)
    known = loss[np.isfinite(loss)]
    logarithmic = known.size > 0 and known.min() > 0
    scale = " (log scale)" if logarithmic else ""
    parts = [words(LEFT, top - 8, f"loss{scale}", 12, SOFT)]
    if not known.size:
        return [*parts, words(LEFT, top + 20, "no finite loss was seen", 12, SOFT)]
    low, high = float(known.min()), float(known.max())
    flat = is_flat(known)
    marks = [(tall / 2 + 4, high)] if flat else [(10, high), (tall, low)]
    parts += [*(words(LEFT - 8, top + y, numbers.short(x), 11, SOFT, "end") for y, x in marks),
              f'<path d="M{LEFT} {top}V{top + tall}H{LEFT + ACROSS}" fill="none" '
              'stroke="#D0D5DD"/>']
    with np.errstate(all="ignore"):
        heights = np.log(loss) if logarithmic else loss.copy()
        low, high = (math.log(low), math.log(high)) if logarithmic else (low, high)
    span = high - low
    if flat:  # in the middle of a scale that is as high as the number itself
        span = 1.0 if logarithmic else abs(high) or 1.0
        low = low / 2 + high / 2 - span / 2
    places = LEFT + ACROSS * (np.arange(len(loss)) + 0.5) / len(loss)
    pen, line = "M", []
    for k in extremes(heights):
        if math.isfinite(heights[k]):
            height = top + tall * (1 - (heights[k] - low) / span)
            line.append(f"{pen}{places[k]:.1f} {height:.1f}" + ("h0" if pen == "M" else ""))
            pen = "L"  # and h0 makes a dot of a number between two that are not finite
        else:
            pen = "M"
            parts.append(f'<rect x="{places[k] - 1:.1f}" y="{top}" width="2" height="{tall}" '
                         f'fill="{numbers.ALARM}"/>')
    parts.append(f'<path d="{"".join(line)}" fill="none" stroke="{LINE}" stroke-width="1.5" '
                 'stroke-linecap="round" stroke-linejoin="round"/>')
    return parts


def extremes(values):
    """The indices worth drawing: all, or of long curves the lowest, the highest and a wrong number
    of each stretch, in their order."""
    if len(values) <= ACROSS:
        return range(len(values))
    chosen = set()
    for stretch in np.array_split(np.arange(len(values)), ACROSS // 2):
        part = values[stretch]
        wrong = ~np.isfinite(part)
        chosen |= {int(stretch[i]) for i in (np.argmin(np.where(wrong, np.inf, part)),
                                             np.argmax(np.where(wrong, -np.inf, part)),
                                             np.argmax(wrong))}
    return sorted(chosen)


def heatmap(names, grid, top, tall):
    """One row of colours for each parameter, dark where the gradient is large."""
    known = grid[np.isfinite(grid) & (grid > 0)]
    largest = float(known.max()) if known.size else 1.0
    smallest = min(float(known.min()) if known.size else 1.0, largest / 10)
    legend = (f"length of each gradient (log scale): {numbers.short(smallest)} pale, "
              f"{numbers.short(largest)} dark; grey: zero or none; red: not finite")
    parts = [words(LEFT, top - 8, legend, 12, SOFT)]
    step = ACROSS / grid.shape[1] if grid.size else ACROSS
    mono = ' font-family="ui-monospace,Menlo,Consolas,monospace"'
    for row, name in enumerate(cuts(names, 22)):
        y = top + row * tall
        parts.append(words(LEFT - 8, y + tall - max(2, (tall - 8) / 2), name, min(11, tall),
                           INK, "end", mono))
        x = 0
        for colour, run_of_same in itertools.groupby(
                colour_of(size, smallest, largest) for size in grid[row]):
            n = len(list(run_of_same))
            parts.append(f'<rect x="{LEFT + x * step:.1f}" y="{y}" width="{n * step + 0.1:.1f}" '
                         f'height="{tall - 1}" fill="{colour}"/>')
            x += n
    return parts


def colour_of(size, smallest, largest):
    """The colour of a gradient of this length."""
    if not math.isfinite(size):
        return numbers.ALARM
    if size == 0:
        return NOTHING
    part = math.log(size / smallest) / math.log(largest / smallest)
    part = round(max(0.0, min(1.0, part)) * LEVELS) / LEVELS
    ends = ([int(colour[i:i + 2], 16) for i in (1, 3, 5)] for colour in (PALE, DARK))
    return "#" + "".join(f"{round(a + part * (b - a)):02X}" for a, b in zip(*ends))
