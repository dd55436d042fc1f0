"""Numbers for people: a whole array on one scale, shaded by sign and size.

The one trick: an array is read as a pattern first. All its numbers share their decimals (three
significant digits of the largest), so columns line up, and a colour (blue above zero, orange below)
shows the pattern before a digit is read. More than 16 numbers become a strip: how many lie where.
"""

import math
from collections import namedtuple

import numpy as np

INK, GREY, WHITE, ALARM = "#1D2939", "#475467", "#FFFFFF", "#B42318"
BLUE, ORANGE, MIDDLE, NONE = "#89B6DB", "#F1B884", "#A3ACBA", "#F5F6F8"
FEW = 16        # up to so many numbers are printed
ACROSS = 8      # a vector longer than this goes on in the next row
BINS = 11


# A text on a colour.
Cell = namedtuple("Cell", "text fill ink", defaults=[INK])
# Rows of cells; `note` is the common factor ("all x 1e-5") or None.
Grid = namedtuple("Grid", "rows note", defaults=[None])
# Colours of the bins from -max to +max, and lines of text under them. `alarm` is in red.
Strip = namedtuple("Strip", "fills text alarm", defaults=[None])


def blend(colour, part):
    """White turned `part` of the way (0 to 1) to `colour`; small values stay visible."""
    part = max(0.0, min(1.0, part)) ** 0.8
    levels = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + part * (level - 255)):02X}" for level in levels)


def shade(value, largest):
    """The colour of a finite number among numbers up to `largest`."""
    if not largest or not value:
        return WHITE
    return blend(BLUE if value > 0 else ORANGE, abs(value) / largest)


def largest_of(array):
    """The largest finite absolute value, as a float; 0.0 if there is none."""
    values = np.abs(np.asarray(array, dtype=float))
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 0.0


def scale(largest):
    """(decimals, power of ten taken out) for numbers up to `largest`."""
    if not largest:
        return 0, 0
    exponent = int(f"{largest:.2e}".partition("e")[2])  # after rounding: 9.999 is 10.0
    if largest < 1e-3 or largest >= 1e5:
        return 2, exponent
    return min(4, max(0, 2 - exponent)), 0


def number(value, decimals, exponent=0):
    """One number at the scale of its array: "0" is zero, "+0" and "-0" are too small to show."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    # Two divisions for tiny numbers: 10.0**320 is beyond floating point.
    scaled = value / 10.0 ** (exponent // 2) / 10.0 ** (exponent - exponent // 2)
    text = f"{scaled:.{decimals}f}"
    if float(text) == 0:
        return "+0" if value > 0 else "-0"
    return text


def short(value):
    """A number on its own, to three significant digits."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    value = float(value)
    decimals, exponent = scale(abs(value)) if math.isfinite(value) else (0, 0)
    text = number(value, decimals, exponent)
    return f"{text}e{exponent:+03d}" if exponent else text


def multiple(factor):
    """How many times, to three digits: "2.5", "1,090", "3.7e14"."""
    if factor < 1e6:
        return f"{float(f'{factor:.3g}'):,.12g}"
    digits, e, exponent = f"{factor:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}" if e else digits


def grid(array):
    """A Grid of up to 16 numbers: vectors in rows of eight, matrices as they are, higher dimensions
    as their matrices below one another."""
    largest = largest_of(array)
    whole = array.dtype.kind in "iub"
    decimals, exponent = (0, 0) if whole else scale(largest)
    flat = array.reshape(-1)
    if array.ndim < 2 or array.shape[-1] > ACROSS:
        rows = [flat[i:i + ACROSS] for i in range(0, flat.size, ACROSS)]
    else:
        rows = list(array.reshape(-1, array.shape[-1]))

    def cell(value):
        if whole:
            return Cell(str(value), shade(float(value), largest))
        value = float(value)
        text = number(value, decimals, exponent)
        if not math.isfinite(value):
            return Cell(text, ALARM, WHITE)
        return Cell(text, shade(value, largest))
    note = f"all x 1e{exponent}" if exponent else None
    return Grid([[cell(v) for v in row] for row in rows], note)


def strip(array):
    """A Strip of many numbers: where between -max and +max they lie, rms and max."""
    values = np.asarray(array, dtype=float).ravel()
    finite = values[np.isfinite(values)]
    largest = largest_of(array)
    counts = np.zeros(BINS)
    if finite.size:
        places = (finite / (largest or 1.0) + 1) * (BINS / 2)
        counts = np.bincount(np.clip(places.astype(int), 0, BINS - 1), minlength=BINS)
    top = max(counts.max(), 1)
    colours = [ORANGE] * (BINS // 2) + [MIDDLE] + [BLUE] * (BINS // 2)
    fills = [blend(colour, math.sqrt(n / top)) if n else NONE
             for colour, n in zip(colours, counts)]
    alarm = [f"{n} {word}" for word, n in (("nan", int(np.isnan(values).sum())),
                                           ("inf", int(np.isinf(values).sum()))) if n]
    words = f"rms {short(rms(finite))}  max {short(largest)}"
    return Strip(fills, words, "  ".join(alarm) or None)


def rms(values):
    """Root of the mean square, without overflow; 0.0 of nothing."""
    largest = largest_of(values)
    if not largest:
        return 0.0
    return largest * float(np.sqrt(np.mean((np.asarray(values, dtype=float) / largest) ** 2)))


def summary(array, most=3):
    """An array in a few words, for a line of text: its numbers if they are at most three."""
    if array.size == 0:
        return "empty"
    if array.size <= most:
        return " ".join(short(v) for v in array.reshape(-1))
    values = np.asarray(array, dtype=float)
    wrong = int((~np.isfinite(values)).sum())
    text = f"rms {short(rms(values[np.isfinite(values)]))}"
    return f"{text}, {wrong} not finite" if wrong else text


def exact(array):
    """The numbers in full precision, for a tooltip; beyond 16, what is known about all of them."""
    if array.size <= FEW:
        return str(array.tolist())
    values = np.asarray(array, dtype=float)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return f"{array.size} numbers, none finite"
    return (f"{array.size} numbers from {finite.min():.6g} to {finite.max():.6g}, "
            f"mean {finite.mean():.6g}, rms {rms(finite):.6g}")
