"""How exact numbers are, told by how they are written.

The one trick: either all were printed with the same decimals (1.25, 0.03) or with the same
significant digits (1.25e-03, 0.0125). What fits with fewer digits missing is what was meant.
"""

import re

FULL = 11  # so many digits and more are numbers in full


class Digits:
    """Collects numbers of a trace as they were written."""

    def __init__(self):
        self.values, self.gradients = [], []

    def value(self, text):
        self.values.append(digits_of(text))

    def gradient(self, text):
        self.gradients.append(digits_of(text))

    def tolerance(self):
        """(absolute, relative) of the values; None for numbers in full, or none at all."""
        found = form(self.values)
        if found is None:
            return None
        kind, digits = found
        if kind == "decimals":
            return 0.501 * 10.0**-digits, 1e-12
        return 1e-12, 0.501 * 10.0 ** (1 - digits)

    def unit_of_gradients(self):
        """By how much a gradient may be off; 0 for numbers in full, or with as many digits as
        scripted ones have."""
        found = form(self.gradients)
        if found is None or found[0] != "decimals" or found[1] > 4:
            return 0.0
        return 0.5 * 10.0 ** -found[1]


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
