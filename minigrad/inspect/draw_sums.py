"""Where the number in a card's grad row comes from: "0.316 + 0.160".

The one trick: nothing is claimed that was not added up. What the arrows bring is summed and held
against grad. If the two differ, grad has been added to by other backward calls, or was cleared,
clipped or scaled, and the card says how much of it is not from here.
"""

import numpy as np

from minigrad import numbers

FEW = 4       # contributions that are spelled out
CALLS = 1000  # most backward calls that a multiple is taken for


def lines_of(shares, g):
    """Lines for under the grad row, none if there is one arrow and it brings all of g.

    shares: what each arrow brings, arrays of g's shape, None where that is not known.
    """
    known = [c for c in shares if c is not None]
    if not shares or not known:
        return [f"used {len(shares)} times"] if len(shares) > 1 else []
    with np.errstate(all="ignore"):
        total = np.sum(known, axis=0, dtype=float)
        g = np.asarray(g, dtype=float)
        size = np.sum(np.abs(known), axis=0, dtype=float)
        exact = precision(known)
    if same(total, g, size, exact):
        if len(known) < len(shares):
            return [f"from {len(known)} of {len(shares)} arrows"]
        return [sum_of(known)] if len(known) > 1 else []
    if len(known) < len(shares):
        return [f"used {len(shares)} times"]
    return differing(known, total, g, size, exact)


def precision(arrays):
    """How far sums may be apart, as a part of the largest that was added."""
    return min(0.02, max(float(np.finfo(c.dtype).eps) for c in arrays) * 100)


def same(a, b, size, exact):
    """Are two arrays the same but for rounding? Also where both are infinite or nan."""
    with np.errstate(all="ignore"):
        close = np.abs(a - b) <= exact * numbers.largest_of(size)
    return bool(np.all(close | (a == b) | (np.isnan(a) & np.isnan(b))))


def sum_of(known):
    """0.316 + 0.160, or in words."""
    if known[0].size == 1 and len(known) <= FEW:
        shown = [float(c.reshape(())) for c in known]
        largest = numbers.largest_of(np.array(shown))
        decimals, exponent = numbers.scale(largest)
        if not exponent:
            words = " + ".join(numbers.number(v, decimals) for v in shown)
            return words.replace("+ -", "- ")
    return f"sum of {len(known)} gradients"


def differing(known, total, g, size, exact):
    """Lines for a grad that is not what the arrows bring."""
    scalar, several = g.size == 1, len(known) > 1
    part = sum_of(known) if several else "what arrives"
    if scalar and not several:
        part = numbers.short(total.item())
    k = ratio(total, g)
    if k and same(k * total, g, abs(k) * size, 4 * exact):
        if whole(k):
            inner = f"({part})" if scalar and several else part
            return [f"{round(k)} x {inner}", f"as after {round(k)} backward calls"]
        if whole(1 / k):
            return [f"1/{round(1 / k)} of {numbers.short(total.item()) if scalar else part}",
                    "cleared in between, or scaled"]
        if not scalar:
            return [f"{numbers.short(k)} x {part}", "clipped or scaled"]
    if scalar:
        return [part, f"{numbers.short((g - total).item())} is not from here"]
    return [part, "not all of it is from here"]


def whole(k):
    return 2 <= round(k) <= CALLS and abs(k - round(k)) < 1e-3


def ratio(total, g):
    """The number that total must be multiplied with to be g, as near as can be; None of zeros."""
    a, b = total.ravel(), g.ravel()
    largest = numbers.largest_of(a)
    if not largest or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    a, b = a / largest, b / largest
    return float(a @ b / (a @ a))
