"""How a tensor prints: PyTorch's form, with the name and the operation that made it.

The one trick: all numbers of a tensor share one form (whole, 4 decimals, or powers of ten), chosen
from the smallest and the largest of those that will be shown, so that columns line up.
"""

import itertools
import math

import numpy as np

from minigrad import dtypes

options = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}
PROFILES = {"default": options.copy(),
            "short": options | {"precision": 2, "edgeitems": 2},
            "full": options | {"threshold": math.inf}}
START = "tensor("


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None,
                     sci_mode=None):
    """How tensors print from now on: decimals, from how many elements on and how many at each edge
    to summarize, columns, powers of ten always (True), never (False) or where they are needed
    (None). (torch.set_printoptions)"""
    if profile is not None and profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
             "linewidth": linewidth}
    options.update(PROFILES.get(profile, {}))
    options.update({name: value for name, value in given.items() if value is not None})
    options["sci_mode"] = sci_mode


def text_of(t):
    """tensor([1., 2.], name='w', requires_grad=True)"""
    array = t.array
    summarized = array.size > options["threshold"]
    numbers = array[np.ix_(*map(edges, array.shape))] if summarized else array
    form = form_of(numbers.reshape(-1))
    body = rows(array, form, len(START), summarized) if array.size else "[]"
    notes = []
    if array.size == 0 and array.ndim != 1:
        notes.append(f"size={array.shape}")
    if array.dtype not in (dtypes.get_default_dtype(), np.int64, np.bool_):
        notes.append(f"dtype={array.dtype}")
    if t.name:
        notes.append(f"name={t.name!r}")
    if t.requires_grad:
        notes.append("requires_grad=True" if t.is_leaf else f"grad_fn=<{t.op.name}>")
    return START + body + "".join(placed(notes, body)) + ")"


def placed(notes, body):
    """The notes, each behind the previous one while it fits on the line."""
    column = len(body) - body.rfind("\n") + 1
    for note in notes:
        if column + len(note) + 2 > options["linewidth"]:
            yield ",\n" + " " * len(START) + note
            column = len(START) + len(note)
        else:
            yield ", " + note
            column += len(note) + 2


def edges(n):
    """The positions shown of n along a dimension of a long tensor: a few at each end."""
    edge = options["edgeitems"]
    return list(range(n)) if n <= 2 * edge else [*range(edge), *range(n - edge, n)]


def form_of(numbers):
    """A function from a number to its text; texts of `numbers` are equally wide."""
    write = str
    if numbers.dtype.kind == "f":  # as in PyTorch, 0, inf and nan take no part in the choice
        numbers = numbers[np.isfinite(numbers) & (numbers != 0)]
        write = writer(np.abs(numbers))
    width = max([len(write(x)) for x in numbers.tolist()], default=0)
    return lambda x: write(x).rjust(width)


def writer(sizes):
    """How floats of these absolute values are written: 2., 2.5000 or 2.5000e+10."""
    sizes, digits = sizes.astype(np.float64), options["precision"]
    whole, powers = bool((np.ceil(sizes) == sizes).all()), options["sci_mode"]
    if powers is None and sizes.size:
        low, high = sizes.min(), sizes.max()
        with np.errstate(over="ignore"):
            powers = high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole)
    if powers and sizes.size:
        return f"{{:.{digits}e}}".format
    if whole:
        return lambda x: f"{x:.0f}." if math.isfinite(x) else str(x)
    return f"{{:.{digits}f}}".format


def rows(array, form, indent, summarized):
    """The nested brackets of an array, each line under the first number of its bracket."""
    if array.ndim == 0:
        return form(array.item())
    places = edges(len(array)) if summarized else range(len(array))
    shortened = len(places) < len(array)
    if array.ndim == 1:
        return line_of([form(array[i].item()) for i in places], shortened, indent)
    parts = [rows(array[i], form, indent + 1, summarized) for i in places]
    if shortened:
        parts.insert(len(places) // 2, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def line_of(texts, shortened, indent):
    """[1., 2., 3.], broken into lines of as many numbers as fit."""
    per_line = max(1, (options["linewidth"] - indent) // (max(map(len, texts), default=0) + 2))
    if shortened:
        texts.insert(len(texts) // 2, " ...")
    remaining = iter(texts)
    lines = iter(lambda: ", ".join(itertools.islice(remaining, per_line)), "")
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
