"""How exact numbers are, told by how they are written.

The one trick: either all were printed with the same decimals (1.25, 0.03) or with the same
significant digits (1.25e-03, 0.0125). What fits with fewer digits missing is what was meant.
"""

import re

import numpy as np

FULL = 11  # so many digits and more are numbers in full


class Digits:
    """Collects numbers of a trace as they were written."""

    def __init__(self):
        self.values, self.gradients, self.states = [], [], []

    def value(self, text):
        self.values.append(digits_of(text))

    def gradient(self, text):
        self.gradients.append(digits_of(text))

    def state(self, text):
        self.states.append(digits_of(text))

    def arrays(self, data):
        """Numbers that are no text, by the shortest text that is the same number."""
        for part, add in (("parameters", self.value), ("gradients", self.gradient)):
            for values in data[part].values():
                noted(values, add)
        for by_name in (data.get("states") or {}).values():
            for values in by_name.values():
                noted(values, self.state)

    def tolerance(self):
        """(absolute, relative) of the values; None for numbers in full, or none at all."""
        return half_a_unit(self.values)

    def units(self):
        """(absolute, relative) of values, gradients and states, (0, 0) for numbers in full."""
        return [half_a_unit(one) or (0.0, 0.0)
                for one in (self.values, self.gradients, self.states)]


def noted(values, add):
    """Adds some hundred numbers of an array, as text."""
    values = np.asarray(values)
    if values.dtype.kind in "iuf" and values.size:
        flat = values.ravel()[::1 + values.size // 400]
        texts = [np.format_float_positional(one, trim="-") for one in flat]
        if values.dtype.itemsize < 8 and max(map(len, texts)) > 8:
            return  # single precision, in full
        for text in texts:
            add(text)


def half_a_unit(digits):
    """(absolute, relative) half a unit of the last digit; None for numbers in full."""
    found = form(digits)
    if found is None:
        return None
    kind, digits = found
    if kind == "decimals":
        return 0.501 * 10.0**-digits, 1e-12
    return 1e-12, 0.501 * 10.0 ** (1 - digits)


def digits_of(text):
    """(decimals, significant digits, is there an exponent?) of a number as text; None for zero,
    NaN and infinity, which tell nothing."""
    found = re.fullmatch(r"\s*[+-]?(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?\s*", str(text))
    if not found or not (found[1] or found[2]) or not (found[1] + found[2]).strip("0"):
        return None
    significant = len((found[1] + found[2]).lstrip("0"))
    decimals = len(found[2]) - int(found[3] or 0)
    return decimals, significant, found[3] is not None


def form(digits):
    """("decimals" or "significant", how many) of numbers that were printed; None if in full."""
    digits = [one for one in digits if one is not None]
    if not digits:
        return None
    decimals = max(d for d, _, _ in digits)
    significant = max(s for _, s, _ in digits)
    lost = sum(decimals - d for d, _, _ in digits), sum(significant - s for _, s, _ in digits)
    scientific = any(e for _, _, e in digits)
    if significant >= FULL and decimals >= FULL:
        return None
    if lost[1] < lost[0] or scientific and significant < FULL:
        return None if significant >= FULL else ("significant", significant)
    return None if decimals >= FULL else ("decimals", decimals)
