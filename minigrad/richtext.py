"""What a notebook shows of a tensor, a module and an optimizer.

The one trick: everything is said in words and tables first; colour is added to them (blue above
zero, orange below, as in drawn graphs). So a notebook that strips styles loses shades and no fact.
Should anything go wrong on the way, the repr is shown: looking at an object never fails.
"""

import itertools

import numpy as np

from minigrad import numbers, printing
from minigrad.engine import operands
from minigrad.markup import bundle, escaped, pre, table

FEW = 64       # up to so many numbers are shown, of more the corners
WIDE = 16      # columns of a matrix that is shown whole
ROW = 8        # numbers of a vector in one row
LONGEST = 60   # rows of a table
GAP = "<td>...</td>"


class Shown:
    """Base of what shows itself in notebooks: `_html` makes the HTML, or it is the repr."""

    __slots__ = ()

    def _html(self):
        return pre(plain(self))

    def _repr_html_(self):
        try:
            return self._html()
        except Exception:  # whatever it is: a half-built module, a deleted attribute, no memory
            return pre(plain(self))

    def _repr_mimebundle_(self, include=None, exclude=None):
        return bundle(plain(self), Shown._repr_html_(self))


def plain(thing):
    """repr(thing), or, if even that fails, why."""
    try:
        return repr(thing)
    except Exception as error:
        return f"<{type(thing).__name__} at {id(thing):#x}: its repr raised {type(error).__name__}>"


# --- tensors --------------------------------------------------------------------------------------

def tensor_html(t):
    """A card: what t is and how it was made, its numbers and its gradient."""
    parts = [("data", array_html(t.array))]
    if t.grad is not None:
        parts.append(("grad", array_html(t.grad.array)))
    elif t.requires_grad:
        parts.append(("grad", "none yet"))
    heads = [f'<th style="text-align:left">{word}</th>' for word, _ in parts]
    cells = [f'<td style="text-align:left;vertical-align:top">{inside}</td>' for _, inside in parts]
    if t.array.ndim and t.array.shape[-1] > ROW:  # wide: one above the other
        rows = [f"<tr>{head}{cell}</tr>" for head, cell in zip(heads, cells)]
    else:
        rows = [f"<tr>{''.join(row)}</tr>" for row in (heads, cells)]
    card = f"<table><tbody>{''.join(rows)}</tbody></table>"
    return heading(t.name or type(t).__name__, about(t)) + card


def heading(name, words):
    """A line: the name in bold, and words about it."""
    return f"<div><b>{escaped(name)}</b> {escaped(words)}</div>"


def about(t):
    """Parameter of shape (8, 2), float64, trained"""
    kind = f"{type(t).__name__} of shape" if t.name else "of shape"
    words = [f"{kind} {t.array.shape}", str(t.array.dtype)]
    if t.requires_grad and t.op is not None:
        words.append(f"made by {t.op.name}{place_of(t)} from {shortened(operands(t.inputs))}")
    elif t.requires_grad:
        words.append("a leaf that requires grad")
    else:
        words.append("no gradient flows here")
    return ", ".join(words)


def place_of(t):
    """In which module t was made."""
    path = getattr(t.module, "_path", None)
    return f" in {path}" if path else ""


def shortened(words, longest=160):
    return words if len(words) <= longest else words[:longest - 3] + "..."


def array_html(array):
    """The numbers of an array; before those of more than a row, what is known about them all."""
    if array.size == 0:
        return "empty"
    lines = summary(array) if array.size > ROW else []
    whole = array.size <= FEW and (array.ndim < 2 or array.shape[-1] <= WIDE)
    return "".join(f"<div>{escaped(line)}</div>" for line in lines) + (
        all_html(array) if whole else corners_html(array))


def summary(array):
    """["min -1.25, mean 0.01, max 1.31, rms 0.5", "2 nan and 1 inf among 64 numbers"]"""
    if array.dtype.kind == "b":
        return [f"{int(array.sum())} of {array.size} are True"]
    short, values = numbers.short, array.astype(np.float64)
    finite = values[np.isfinite(values)]
    wrong = [f"{n} {word}" for word, n in (("nan", np.isnan(values).sum()),
                                           ("inf", np.isinf(values).sum())) if n]
    lines = [f"{' and '.join(wrong)} among {array.size} numbers"] if wrong else []
    if finite.size:
        with np.errstate(over="ignore"):
            mean = finite.mean()
        ends = finite if array.dtype.kind == "f" else array  # whole numbers stay whole
        lines.insert(0, f"min {short(ends.min())}, mean {short(mean)}, max {short(ends.max())}, "
                        f"rms {short(numbers.rms(finite))}")
    return lines


def all_html(array):
    """Every number in its place. What stands at the left and above are together its index."""
    if array.ndim < 2:
        columns, starts = range(min(ROW, array.size)), range(0, array.size, ROW)
    else:
        columns = range(array.shape[-1])
        starts = [", ".join(map(str, index)) for index in np.ndindex(array.shape[:-1])]
    rows, note = cells(array, len(columns))
    if array.ndim == 0:
        columns, starts = [], [""]
    return grid_html(columns, starts, rows, note)


def corners_html(array):
    """The edges of a vector, or the corners of a matrix, the first of several."""
    shape, first = array.shape, (0,) * (array.ndim - 2)
    places = [printing.edges(n) for n in shape[-2:]]
    columns, starts = places[-1], [0]
    if array.ndim > 1:
        starts = [", ".join(map(str, (*first, i))) for i in places[0]]
    rows, note = cells(array[first][np.ix_(*places)], len(columns))
    if len(columns) < shape[-1]:
        middle = len(columns) // 2
        columns.insert(middle, "...")
        for row in rows:
            row.insert(middle, GAP)
    gaps = [len(starts) // 2] if array.ndim > 1 and len(starts) < shape[-2] else []
    gaps += [len(starts) + len(gaps)] if any(n > 1 for n in shape[:-2]) else []
    for place in gaps:
        starts.insert(place, "...")
        rows.insert(place, [GAP] * len(columns))
    return grid_html(columns, starts, rows, note)


def cells(array, across):
    """(rows of `across` cells, a common factor or None): numbers on one scale, shaded by size.
    The pointer on one shows all its digits."""
    grid = numbers.grid(array.reshape(-1))
    flat = [f'<td title="{exact}" style="background:{cell.fill};color:{cell.ink};'
            f'text-align:right;font-family:monospace">{cell.text}</td>' for cell, exact in
            zip(itertools.chain.from_iterable(grid.rows), array.reshape(-1).tolist())]
    return [flat[i:i + across] for i in range(0, len(flat), across)], grid.note


def grid_html(columns, starts, rows, note):
    """Rows of cells as a table with its heads."""
    head = "".join(f"<th>{column}</th>" for column in ("", *columns))
    head = f"<tr>{head}</tr>" if columns else ""
    body = "".join(f"<tr><th>{start}</th>{''.join(row)}</tr>" for start, row in zip(starts, rows))
    factor = f"<div>{note}</div>" if note else ""
    return f"{factor}<table><tbody>{head}{body}</tbody></table>"


# --- modules and optimizers -----------------------------------------------------------------------

def module_html(module):
    """The tree of a module, and its parameters and buffers one by one."""
    parameters, buffers = list(module.named_parameters()), list(module.named_buffers())
    rows = [member_row(path, p, "yes" if p.requires_grad else "frozen") for path, p in parameters]
    rows += [member_row(path, b, "buffer") for path, b in buffers]
    total = sum(p.numel() for _, p in parameters)
    trained = sum(p.numel() for _, p in parameters if p.requires_grad)
    words = f"{total:,} numbers in {len(parameters)} parameters, {trained:,} of them trained"
    heads = ["name", "shape", "numbers", "trained", "data", "grad"]
    return pre(repr(module)) + (long_table(heads, rows) if rows else "") + f"<div>{words}</div>"


def member_row(path, t, trained):
    """One row of a module's table."""
    return [path, t.shape, f"{t.numel():,}", trained, numbers.summary(t.array), grad_words(t)]


def grad_words(t):
    """The gradient of a tensor in a few words."""
    if t.grad is None:
        return "none yet" if t.requires_grad else ""
    return numbers.summary(t.grad.array)


def long_table(heads, rows):
    """A table; of a very long one the beginning, and how much more there is."""
    more = f"<div>... and {len(rows) - LONGEST} more rows</div>" if len(rows) > LONGEST else ""
    return table(heads, rows[:LONGEST]) + more


def optimizer_html(optimizer):
    """The options of an optimizer's groups side by side, and the states of every parameter."""
    groups, state = optimizer.param_groups, optimizer.state
    names = sorted({name for group in groups for name in group} - {"params", "param_names"})
    options = [[name, *(group.get(name, "") for group in groups)] for name in names]
    members = [(name or p.name or "unnamed", i, p) for i, group in enumerate(groups)
               for name, p in zip(group["param_names"], group["params"])]
    kept = list(dict.fromkeys(word for _, _, p in members for word in state[p] if word != "step"))
    rows = [[name, i, p.array.shape, state[p].get("step", 0), grad_words(p),
             *(numbers.summary(np.asarray(state[p][word])) if word in state[p] else ""
               for word in kept)] for name, i, p in members]
    return "".join([
        heading(optimizer.kind, f"steps taken: {optimizer.steps_taken:,}"),
        table(["option", *(f"group {i}" for i in range(len(groups)))], options),
        long_table(["parameter", "group", "shape", "steps", "grad", *kept], rows)])
