"""The recorder of a run: what every recorded step of an optimizer started from, and what it made.

The one trick: the optimizer steps many parameters joined into one vector, and they are recorded as
that vector, one row of a growing table per step. That is a dozen copies of a few hundred numbers.
Which numbers are whose is asked when somebody looks.
"""

import itertools
import math
import operator
import time
import warnings
from collections import namedtuple

import numpy as np

from minigrad.backward import history
from minigrad.engine import Recorded
from minigrad.optim.reading import Narrated

# One recorded step of one run of the rule: (rule, hyperparameters, modifiers, number of the group).
Settings = namedtuple("Settings", "rule hyperparameters modifiers group")

# What is known of one parameter: {quantity: (steps, *shape)}, {state: before the step}, the rule's
# t at each step (0: not stepped) and which Settings it was stepped under. Below 0 none: then it is
# a position in WHY, from its end.
Film = namedtuple("Film", "quantities before t settings")
WHY = ("replaced", "not in any group", "frozen", "no gradient")  # and so it was not stepped


CHUNK = 65536  # numbers
NUMBERS = (float, int, np.generic)  # bool is an int


class Column:
    """One quantity of one batch: numbers, in the shape of the batch, of each row written so far.

    They stand in chunks, so that a long run is never copied to make room.
    """

    def __init__(self, shape):
        self.shape, self.written = shape, []
        self.chunks, self.start, self.chunk = [], 0, None  # (position in `written`, table)
        self.numbers = {}  # by position in `written`

    def put(self, row, block, value):
        """Writes part of a row. A plain number holds for all of it."""
        written = self.written
        if not written or written[-1] != row:
            written.append(row)
        if type(value) is not np.ndarray or not value.ndim and self.shape:
            self.numbers[len(written) - 1] = value
            return
        i, chunk = len(written) - 1 - self.start, self.chunk
        if chunk is None or i >= len(chunk) or chunk.dtype != value.dtype:
            i, chunk = self.room(i, value.dtype)
        chunk[i][block] = value

    def room(self, i, dtype):
        """(row, chunk) to write to, where the present chunk is full or of another dtype."""
        if self.chunk is not None and i < len(self.chunk):
            self.chunk = self.chunk.astype(np.result_type(self.chunk.dtype, dtype))
            self.chunks[-1] = self.start, self.chunk
            return i, self.chunk
        self.start += i
        rows = max(1, CHUNK // max(1, math.prod(self.shape)))
        self.chunk = np.empty((rows, *self.shape), dtype)
        self.chunks.append((self.start, self.chunk))
        return 0, self.chunk

    def keep(self, rows):
        """Keeps these rows only, renumbered: {old: new}."""
        kept = [k for k, row in enumerate(self.written) if row in rows]
        if self.chunks:
            self.start, self.chunk = 0, self.values()[kept]
            self.chunks = [(0, self.chunk)]
        self.numbers = {new: self.numbers[k] for new, k in enumerate(kept) if k in self.numbers}
        self.written = [rows[self.written[k]] for k in kept]

    def values(self, part=lambda rows: rows):
        """The rows as one array, of each the part that is asked for."""
        n = len(self.written)
        if not self.chunks:
            return np.array([self.numbers[k] for k in range(n)])
        parts = [(start, part(chunk[:max(0, n - start)])) for start, chunk in self.chunks]
        whole = np.zeros((n, *parts[0][1].shape[1:]),
                         np.result_type(*[rows.dtype for _, rows in parts]))
        for start, rows in parts:
            whole[start:start + len(rows)] = rows
        for k, number in self.numbers.items():
            whole[k] = number
        return whole


def column(columns, name, shape):
    """The column of this name, made when it is first written to."""
    found = columns.get(name)
    if found is None:
        found = columns[name] = Column(shape)
    return found


class Reel:
    """Everything recorded of one batch: the parameters that one call of the rule steps."""

    def __init__(self, batch):
        self.batch, self.shape = batch, batch.w.shape
        self.columns, self.before = {}, {}
        self.where, self.t, self.settings = [], [], []  # of each row: position of the step, ...

    def begin(self, position, t, setting):
        """A new row."""
        self.where.append(position)
        self.t.append(t)
        self.settings.append(setting)

    def put(self, name, row, block, value):
        column(self.columns, name, self.shape).put(row, block, value)

    def keep(self, positions):
        """Keeps the rows of these steps: {old position: new position}."""
        kept = [row for row, position in enumerate(self.where) if position in positions]
        rows = {old: new for new, old in enumerate(kept)}
        for one in (*self.columns.values(), *self.before.values()):
            one.keep(rows)
        self.where = [positions[self.where[row]] for row in kept]
        self.t, self.settings = [self.t[row] for row in kept], [self.settings[r] for r in kept]

    def pieces(self, p, columns):
        """(name, positions of the steps, values of parameter p there) of every column."""
        def part(rows):
            if not self.batch.flat:
                return rows
            start = 0
            for member in self.batch.parameters:
                if member is p:
                    break
                start += member.array.size
            mine = rows[:, start:start + p.array.size]
            return mine.reshape(len(rows), *p.array.shape)
        for name, one in columns.items():
            yield name, [self.where[row] for row in one.written], one.values(part)


def assembled(pieces, n):
    """{name: array of n steps} from (name, positions, values); NaN where nothing is known."""
    gathered = {}
    for name, positions, values in pieces:
        gathered.setdefault(name, []).append((positions, values))
    whole = {}
    for name, found in gathered.items():
        shape = max((values.shape[1:] for _, values in found), key=len)
        dtype = np.result_type(*[values.dtype for _, values in found])
        if sum(len(positions) for positions, _ in found) < n and dtype.kind != "f":
            dtype = np.dtype(float)
        whole[name] = np.full((n, *shape), math.nan if dtype.kind == "f" else 0, dtype)
        for positions, values in found:
            stretched = values.reshape(values.shape + (1,) * (len(shape) + 1 - values.ndim))
            whole[name][positions] = stretched
    return whole


OUTSIDE = " (not in the model)"  # after the name of a tensor that the model has replaced


def parameters_of(model, optimizer):
    """({name: tensor} of the model and the optimizer, {other name of a shared tensor: its name})"""
    named, aliases, first = {}, {}, {}
    if model is not None:
        for name, p in model.named_parameters(remove_duplicate=False):
            if id(p) in first:
                aliases[name] = first[id(p)]
            else:
                named[name], first[id(p)] = p, name
    number = 0
    for group in optimizer.param_groups:
        for p, name in zip(group["params"], group["param_names"]):
            name = name or p.name or f"parameter {number}"
            number += 1
            if id(p) in first:
                aliases.setdefault(name, first[id(p)])
                continue
            if model is not None and name in named:  # of a tensor that was replaced in the model
                name += OUTSIDE
            called, copies = name, 1
            while name in named:  # two models have it
                copies += 1
                name = f"{called} ({copies})"
            named[name], first[id(p)] = p, name
    return named, {alias: name for alias, name in aliases.items() if alias not in named}


class Recorder:
    """Watches one optimizer, and the backward passes before its steps."""

    def __init__(self, model, optimizer, every, budget):
        self.model, self.optimizer, self.kind = model, optimizer, optimizer.kind
        self.every, self.budget = every, budget
        self.parameters, self.aliases, self.still, self.members = {}, {}, {}, []
        self.meet()
        self.reels, self.settings, self.numbered, self.narrated = {}, [], {}, {}
        self.steps, self.loss, self.lr, self.seconds = [], [], [], []
        self.backwards = []  # (backward calls in the gradient, of these before the last step)
        self.begun = time.perf_counter()
        self.taken, self.wanted, self.touched = 0, False, set()
        self.losses, self.carried, self.seen = [], 0, []

    def meet(self):
        """Takes up the parameters of the model and the optimizer; again when a group was added."""
        self.groups = len(self.optimizer.param_groups)
        known = {id(p) for p in self.parameters.values()}
        named, self.aliases = parameters_of(self.model, self.optimizer)
        for name, p in named.items():
            if id(p) not in known:
                while name in self.parameters:  # replaced since the recording began
                    name += " (new)"
                self.parameters[name] = p
                self.still[name] = {}  # {position: (data, grad, why)} of steps that left it out
        self.members = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.numbers = sum(p.array.size for p in self.parameters.values())

    # --- what the optimizer says ------------------------------------------------------------------

    def begin(self):
        """A step begins. Is it one to record? Then self, else None."""
        if len(self.optimizer.param_groups) != self.groups:
            self.meet()
        self.forget()
        self.wanted = self.taken % self.every == 0
        return self if self.wanted else None

    def forget(self):
        """Drops the rows of a step that was broken off half-way, by an error or by Ctrl-C."""
        for reel in self.reels.values():
            if reel.where and reel.where[-1] >= len(self.steps):
                reel.keep({i: i for i in range(len(self.steps))})
        self.touched = set()

    def rule(self, rule):
        """The rule, in the form that also tells its names."""
        found = self.narrated.get(rule)
        if found is None:
            found = self.narrated[rule] = Narrated(rule)
        return found

    def block(self, batch, block, t, w, g, old, new_w, settings):
        """A block of a batch has been computed, and is about to be written."""
        reel = self.reels.get(batch)
        if reel is None:
            reel = self.reels[batch] = Reel(batch)
        if batch not in self.touched:
            self.touched.add(batch)
            reel.begin(len(self.steps), t, self.setting(batch, *settings))
        narrated, row = self.narrated[batch.rule], len(reel.where) - 1
        before = narrated.was(w)
        reel.put(".data", row, block, before)
        reel.put(".grad", row, block, narrated.was(g))
        values = narrated.heard.values
        values.update(zip(batch.names, narrated.states))  # returned, under whatever name
        for name, value in values.items():
            kind = type(value)
            if kind is np.ndarray:
                if name == narrated.weights or value.ndim and value.shape != w.shape:
                    continue  # weights are data; other shapes are not one number per weight
                if name == narrated.gradient:
                    name = "g"
            elif name == "t" or name in settings[0] or not isinstance(value, NUMBERS):
                continue
            reel.put(name, row, block, value)
        for name, value in zip(batch.names, old):
            column(reel.before, name, reel.shape).put(row, block, narrated.was(value))
        base, part, sign = narrated.heard[1:]
        if sign and base is w and w.tobytes() == before.tobytes():
            # w - step: the change is -step, to the last bit
            reel.put(".delta", row, block, part if sign > 0 else -part)
            return
        reel.put(".delta", row, block, new_w - before)
        if sign or narrated.args[0] is not w:  # shrunk by the rule, or before it
            base = base if sign else narrated.given
            reel.put(".decay", row, block, base - before)
            reel.put(".adaptive", row, block,
                     new_w - base if not sign else part if sign > 0 else -part)

    def setting(self, batch, hyperparameters, modifiers):
        """The number of these Settings. A group's dicts stay the same objects until it changes."""
        key = id(hyperparameters), id(batch.rule)
        if key not in self.numbered:
            group = next(i for i, group in enumerate(self.optimizer.param_groups)
                         if any(p is batch.parameters[0] for p in group["params"]))
            self.numbered[key] = len(self.settings)
            self.settings.append(Settings(batch.rule, hyperparameters, modifiers, group))
        return self.numbered[key]

    def end(self):
        """The step is done."""
        seen, self.seen = self.seen, [array_of(p._grad) for p in self.members]
        if not self.losses and not any(map(operator.is_, seen, self.seen)):
            self.carried = 0  # gradients that were put there by hand
        if self.wanted:
            position = len(self.steps)
            if sum(len(batch.parameters) for batch in self.touched) < len(self.parameters):
                self.note_still(position)
            self.steps.append(self.optimizer.steps_taken)
            self.loss.append(sum(self.losses) if self.losses else math.nan)
            self.lr.append([group.get("lr", math.nan) for group in self.optimizer.param_groups])
            self.backwards.append((len(self.losses) + self.carried, self.carried))
            self.seconds.append(time.perf_counter() - self.begun)
        self.carried += len(self.losses)
        self.losses, self.wanted = [], False
        self.taken += 1
        if len(self.steps) > max(2, self.budget // max(1, self.numbers)):
            self.thin()

    def note_still(self, position):
        """Parameters that this step left out: what they are, the gradient they have, if any, and
        why they were left out."""
        stepped = {id(p) for batch in self.touched for p in batch.parameters}
        left = [(name, p) for name, p in self.parameters.items() if id(p) not in stepped]
        members = {id(p) for p in self.members}
        now = None
        for name, p in left:
            if not p.requires_grad and id(p) in members:
                why = "frozen"
            elif id(p) not in members:
                why = "replaced" if name + OUTSIDE in self.parameters else "not in any group"
            else:
                if now is None:
                    now = dict(self.model.named_parameters()) if self.model is not None else {}
                why = "no gradient" if now.get(name, p) is p else "replaced"
            entries, g = self.still[name], array_of(p._grad)
            last = next(reversed(entries.values()))[0] if entries else None
            same = last is not None and last.shape == p.array.shape and (last == p.array).all()
            entries[position] = (last if same else p.array.copy(),
                                 None if g is None else g.copy(), WHY.index(why) - len(WHY))

    def thin(self):
        """Keeps every second step of those recorded, and of those to come."""
        positions = {old: new for new, old in enumerate(range(0, len(self.steps), 2))}
        for reel in self.reels.values():
            reel.keep(positions)
        for name, entries in self.still.items():
            self.still[name] = {positions[i]: entry for i, entry in entries.items()
                                if i in positions}
        for series in (self.steps, self.loss, self.lr, self.seconds, self.backwards):
            series[:] = series[::2]
        self.every *= 2
        warnings.warn(
            f"trace: {self.numbers:,} numbers a step have filled the budget of {self.budget:,}; "
            f"one step in {self.every} is kept from now on, and of the steps so far. "
            "trace(..., budget=) allows more", stacklevel=4)

    # --- what the backward pass says --------------------------------------------------------------

    def saw_backward(self, outputs, gradients):
        """backward() has added to gradients. Of the parameters watched here? Then its loss counts:
        alone if they had no gradient before, else in addition."""
        now = [array_of(p._grad) for p in self.members]
        fresh = any(g is not old for g, old in itertools.zip_longest(now, self.seen)
                    if g is not None)
        self.seen = now
        if fresh:
            self.losses, self.carried = [], 0
        elif not {id(t) for t in history(outputs)} & {id(p) for p in self.members}:
            return
        self.losses.append(sum(float(t.array.sum() if g is None else
                                     (t.array * getattr(g, "array", g)).sum())
                               for t, g in zip(outputs, gradients)))

    # --- what people ask --------------------------------------------------------------------------

    def film(self, name):
        """All that is recorded of a parameter."""
        self.forget()
        p, n = self.parameters[name], len(self.steps)
        t, settings, pieces, before = np.zeros(n, int), np.full(n, -1), [], []
        for position, (weights, g, why) in self.still[name].items():
            if position < n:
                settings[position] = why
                pieces.append((".data", [position], weights[None]))
                if g is not None:
                    pieces.append((".grad", [position], g[None]))
        for reel in self.reels.values():
            if any(member is p for member in reel.batch.parameters):
                t[reel.where], settings[reel.where] = reel.t, reel.settings
                pieces += reel.pieces(p, reel.columns)
                before += reel.pieces(p, reel.before)
        nothing = np.zeros((0, *p.array.shape), p.array.dtype)
        pieces += [(".data", [], nothing), (".grad", [], nothing)]
        return Film(assembled(pieces, n), assembled(before, n), t, settings)


def array_of(g):
    """A gradient as backward left it, as an array."""
    return g.array if isinstance(g, Recorded) else g
