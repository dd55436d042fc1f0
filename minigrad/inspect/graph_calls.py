"""The records behind a result, in order, and which of them go on one card.

The one trick: the records of one module's call are neighbours in time, so folding a module is
joining neighbours, and modules alike in a row (Linear, Tanh, Linear, Tanh, ...) are a word that
repeats in the text of these neighbours.
"""

import itertools
import re
from dataclasses import dataclass

import numpy as np

from minigrad.backward import history
from minigrad.engine import Recorded, as_of
from minigrad.inspect.expression import regular

MOVES = {"reshape", "permute"}  # the same numbers, in another arrangement
REPEATED = 3  # modules, or groups of them, alike in a row that become one card
LONGEST = 28  # characters of the title of several
GROUP = 8     # most modules of such a group
PLAIN = ("in_features=", "out_features=", "num_embeddings=", "embedding_dim=", "num_features=")
USUAL = {"bias=True", "inplace=False", "affine=True", "elementwise_affine=True", "eps=1e-05",
         "track_running_stats=True", "momentum=0.1", "approximate='none'", "stride=1",
         "stride=(1,)", "stride=(1, 1)", "padding=0", "padding=(0,)", "padding=(0, 0)",
         "dilation=1", "groups=1", "ceil_mode=False", "start_dim=1",
         "end_dim=-1"}  # titles leave them out


def operands(t):
    """(position, tensor or array) of the inputs of t's record, as they were then."""
    for i, x in enumerate(t.inputs):
        if isinstance(x, Recorded):
            yield i, origin(as_of(x, t.order))
        elif isinstance(x, np.ndarray) and not (t.op.name in ("getitem", "setitem") and regular(x)):
            yield i, x


def origin(x):
    """x, or the tensor of which it is another arrangement: Linear reshapes a batch of sequences
    before it multiplies, and people look for the tensor that they gave it."""
    while (base := arranged(x)) is not None:
        x = base
    return x


def arranged(x):
    """The constant that x, a constant without a name, is a reshape or permute of; else None."""
    if not isinstance(x, Recorded) or x.requires_grad or x.name or x.op is None or (
            x.op.name not in MOVES or not isinstance(x.inputs[0], Recorded)):
        return None
    base = as_of(x.inputs[0], x.order)
    return None if base.requires_grad else base  # under no_grad(), no gradient passes here


def computed(t):
    """Is t the result of a tracked record (rather than a leaf)?"""
    return isinstance(t, Recorded) and t.op is not None and t.requires_grad


def tensors(outputs):
    """All tensors and arrays behind outputs, every one after what it was computed from."""
    found, order = set(), []

    def meet(x):
        if id(x) not in found:
            found.add(id(x))
            order.append(x)
    for t in reversed(history(outputs)):
        if computed(t):
            for _, x in operands(t):
                if not computed(x):
                    meet(x)
            meet(t)
    for t in outputs:
        meet(t)
    return order


# --- modules --------------------------------------------------------------------------------------

def path_of(module):
    return getattr(module, "_path", "") or ""


def is_loss(module):
    return type(module).__name__.endswith("Loss")


def title_of(module):
    """A module in a few words: "l1: Linear(2, 3)"."""
    kind, text = type(module).__name__, repr(module)
    if "\n" in text or not text.startswith(kind):
        text = kind
    if text.endswith(")") and "(" in text:
        head, _, inside = text[:-1].partition("(")
        parts = [part for part in re.split(r", (?=\w+=)", inside) if part and part not in USUAL]
        for prefix in PLAIN:
            parts = [part.removeprefix(prefix) for part in parts]
        text = f"{head}({', '.join(parts)})"
    path = path_of(module)
    return f"{path}: {text}" if path else text


def folding(records, fold, depth, expand):
    """record -> the key of the module call it is folded into, or None."""
    paths = {path_of(t.module) for t in records if t.module is not None}
    known = {".".join(p.split(".")[:n]) for p in paths for n in range(1, p.count(".") + 2)}
    for path in expand:
        if path not in known:
            there = ", ".join(map(repr, sorted(known))) or "no modules"
            raise ValueError(f"draw: expand names {path!r}, but no module of that path computed "
                             f"anything here; there are {there}")

    def key(t):
        module = t.module
        if module is None or not (fold or depth is not None):
            return None
        path = path_of(module)
        if any(path == e or path.startswith(e + ".") for e in expand):
            return None
        if depth is None or is_loss(module):
            return id(module)
        parts = path.split(".") if path else []
        return ".".join(parts[:depth]) if len(parts) >= depth else None
    return key


@dataclass(eq=False)
class Call:
    """Records that go on one card; `key` is None for a single record that is not folded."""

    key: object
    records: list
    repeats: int = 1


def calls(order, key):
    """The Calls of a picture: runs of neighbouring records with one key. Leaves are left out."""
    runs = []
    for t in order:
        if computed(t):
            k = key(t)
            if runs and k is not None and runs[-1].key == k:
                runs[-1].records.append(t)
            else:
                runs.append(Call(k, [t]))
    return runs


def merged(runs, ends=()):
    """The Calls with modules alike in a row made one Call, and so with groups of modules alike
    (Linear and Tanh, twenty times): each computed from the one before and from nothing else, and
    no result within used elsewhere. `ends`: ids of the tensors that must be seen."""
    forms, words = [looks(run) for run in runs], {}
    word = [words.setdefault(form, len(words)) if form else None for form in forms]
    users = used_by(runs)
    inner = [not any(id(t) in ends for t in run.records) for run in runs]
    result, i = [], 0
    while i < len(runs):
        size, times = longest(runs, word, users, inner, i)
        row = runs[i:i + size * times]
        if times > 1:
            row = [Call(row[0].key, [t for run in row for t in run.records], times)]
        result += row
        i += size * times
    return result


def longest(runs, word, users, inner, i):
    """(size, times) of the group of Calls from the i-th on that repeats over most Calls."""
    best = 1, 1
    for size in range(1, GROUP + 1):
        group = word[i:i + size]
        if len(group) < size or None in group:
            break
        times = 1
        while (word[i + times * size:i + (times + 1) * size] == group
               and leads(runs, users, inner, i + (times - 1) * size, size)):
            times += 1
        if times >= REPEATED and times * size > best[0] * best[1]:
            best = size, times
    return best


def leads(runs, users, inner, i, size):
    """Does the group of Calls from i on pass its last result, and nothing else, to the next?"""
    own = range(i, i + 2 * size)
    for k in range(i, i + size):
        if not inner[k]:
            return False
        for t in runs[k].records:
            last = t is runs[i + size - 1].records[-1]
            for user in users.get(id(t), ()):
                if user not in own or (not last and user >= i + size):
                    return False
    following = [t for run in runs[i + size:i + 2 * size] for t in run.records]
    known = {id(t) for t in following} | {id(runs[i + size - 1].records[-1])}
    return all(id(x) in known for t in following for _, x in operands(t) if computed(x))


def used_by(runs):
    """{id(record): numbers of the Calls that use it}"""
    users = {}
    for number, run in enumerate(runs):
        for t in run.records:
            for _, x in operands(t):
                if computed(x):
                    users.setdefault(id(x), set()).add(number)
    return users


def looks(call):
    """What calls of modules that are alike have in common; None of a record that is no module's."""
    if call.key is None:
        return None
    module = call.records[0].module
    path = call.key if isinstance(call.key, str) else path_of(module)
    return (path.rpartition(".")[0], type(module).__name__, tuple(
        (t.op.name, t.array.shape, tuple(getattr(x, "shape", ()) for x in t.inputs))
        for t in call.records))


def title_of_call(records, repeats=1):
    """A folded call in a few words: "l1: Linear(2, 3)", "0-39: (Linear, Tanh) x20"."""
    modules = list({id(t.module): t.module for t in records}.values())
    paths = [path_of(m).split(".") for m in modules]
    common = list(itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*paths)))
    stem = ".".join(parts[0] for parts in common)
    if repeats == 1:
        return title_of(modules[0]) if len(modules) == 1 else stem or "model"
    first, last = (".".join(path[len(common):len(common) + 1]) for path in (paths[0], paths[-1]))
    if first and last:
        stem = f"{stem}.{first}-{last}".lstrip(".")
    group = {id(t.module): t.module for t in records[:len(records) // repeats]}
    kinds = ", ".join(type(m).__name__ for m in group.values())
    title = f"{stem}: {kinds if len(group) == 1 else f'({kinds})'} x{repeats}".removeprefix(": ")
    return title if len(title) <= LONGEST else f"{stem or 'model'} x{repeats}"
