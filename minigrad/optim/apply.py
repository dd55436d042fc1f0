"""Applying a rule to many parameters fast, without a second version of any formula.

The one trick: an elementwise rule does not care how its numbers are arranged. So small parameters
are joined into one vector (twenty layers cost about as much as one), and large ones are walked in
blocks whose intermediate arrays stay in the processor's cache. The rule is the one in rules.py, or
the in-place form that fast.py derives from it; the numbers are equal to the last bit.

Who is joined with whom is a plan, kept from step to step and made again when it no longer fits: a
gradient came or went, an array was replaced, the group or its rule was changed.
"""

import itertools
import operator

import numpy as np

from minigrad.engine import clock, describe, shared_memory
from minigrad.optim.fast import fast, scalars_of
from minigrad.optim.rules import anatomy, update

SMALL = 16384  # parameters below this many numbers are joined
BLOCK = 32768  # numbers per block: the dozen arrays of one update nearly fit a cache of 1 MB


def passed_on(state, i, w, states):
    """Is new state i what the rule was given as weights or as another state? Where that stands is
    about to be written."""
    given = [w, *[old for j, old in enumerate(states) if j != i]]
    return isinstance(state, np.ndarray) and any(
        isinstance(old, np.ndarray) and np.may_share_memory(old, state) for old in given)


def is_number(state):
    """Is this state still (or again) a plain number, one for the whole parameter?"""
    return type(state) is float or type(state) is int


class Plan:
    """How the parameters of one group are stepped under one rule.

    `memory` maps each parameter that was ever stepped to {"step": t, name of state: array or
    number}. The plan writes there; the arrays it holds for joined parameters are views into one
    vector.
    """

    def __init__(self, rule, parameters, memory):
        self.rule, self.parameters = rule, list(parameters)
        self.absent = [p for p in self.parameters if p._grad is None]
        self.batches = [Batch(rule, members, joined, memory) for members, joined in
                        arranged(rule, self.parameters, memory)]

    def fits(self, rule, parameters):
        """Is this still the right plan? Also collects the gradients, refusing unfit ones."""
        return (rule is self.rule and len(parameters) == len(self.parameters)
                and all(map(operator.is_, parameters, self.parameters))
                and not any([p._grad is not None for p in self.absent])
                and all([batch.collect() for batch in self.batches]))

    def step(self, hyperparameters, modifiers, witness=None):
        for batch in self.batches:
            batch.step(hyperparameters, modifiers, witness)


def arranged(rule, parameters, memory):
    """The parameters that have a gradient, as (members, joined?) of the calls to be made."""
    active = [p for p in parameters if p._grad is not None]
    if not getattr(rule, "elementwise", False):
        return [([p], False) for p in active]
    if shares_memory([p.array for p in active]):
        return [([p], not p.array.flags.c_contiguous) for p in active]
    alone, together = [], {}
    for p in active:
        if p.array.size >= SMALL and p.array.flags.c_contiguous:
            alone.append(([p], False))
        else:
            past = memory.get(p, {"step": 0})
            numbers = tuple(sorted(item for item in past.items() if is_number(item[1])))
            together.setdefault((p.array.dtype, numbers), []).append(p)
    return [(members, True) for members in together.values()] + alone


def shares_memory(arrays):
    """Do any two of the arrays overlap? Then one must be written before the next is read."""
    spans = sorted(np.lib.array_utils.byte_bounds(array) for array in arrays if array.size)
    return any(following[0] < this[1] for this, following in itertools.pairwise(spans))


class Batch:
    """The parameters of one call of the rule: one of any size, or several small ones joined.

    An elementwise rule sees vectors: of a single contiguous parameter a flat view, of joined ones
    a buffer they are gathered in. Any other rule sees the one parameter in its own shape.
    """

    def __init__(self, rule, members, joined, memory):
        self.rule, self.parameters, self.joined, self.memory = rule, members, joined, memory
        self.flat = getattr(rule, "elementwise", False)
        self.names = anatomy(rule).states
        self.arrays, self.gradients = [p.array for p in members], []
        self.dtype = self.arrays[0].dtype
        n = sum(array.size for array in self.arrays)
        if joined:  # w is gathered from the members, and new_w goes back to them
            self.w, self.g, self.new_w = (np.empty(n, self.dtype) for _ in range(3))
            self.w_parts, self.g_parts = self.parts(self.w), self.parts(self.g)
            self.new_parts = self.parts(self.new_w)
        else:
            self.w = self.new_w = self.arrays[0].reshape(-1) if self.flat else self.arrays[0]
        self.blocks = [...]
        if self.flat and n > BLOCK:
            self.blocks = [slice(i, i + BLOCK) for i in range(0, n, BLOCK)]
        self.t = memory[members[0]]["step"] if members[0] in memory else 0
        self.states = [self.recalled(name) for name in self.names]
        self.entries = None  # of the memory, made at the first step: None leaves no trace before
        self.keeps, self.last = n <= SMALL, None  # what the last step started from, to explain it
        self.form = self.memory_of = self.buffers = None  # of the rule in place: see in_place

    def parts(self, vector):
        """Views of a vector, one per parameter, in the parameter's shape."""
        ends = np.cumsum([array.size for array in self.arrays]).tolist()
        return [vector[end - array.size:end].reshape(array.shape)
                for array, end in zip(self.arrays, ends)]

    def recalled(self, name):
        """A state as the last plan left it, in the arrangement of this one."""
        past = [self.memory.get(p, {}).get(name, 0.0) for p in self.parameters]
        if is_number(past[0]) or not self.flat:
            return past[0]
        for p, state in zip(self.parameters, past):
            if state.shape != p.array.shape:
                raise ValueError(f"the {describe(p)} had shape {state.shape} when its state "
                                 f"'{name}' was made; a parameter of another shape needs a "
                                 "new optimizer")
        vector = np.concatenate(past, axis=None, dtype=self.dtype)
        self.remember(name, vector)
        return vector

    def remember(self, name, state):
        """Makes `state` what the memory of the parameters says under this name."""
        values = [state] * len(self.parameters)
        if not is_number(state) and self.flat:
            values = self.parts(state)
        for p, value in zip(self.parameters, values):
            if is_number(value) and value == 0:
                self.memory[p].pop(name, None)
            else:
                self.memory[p][name] = value

    def collect(self):
        """Takes up the gradients of this step. False if a member has none or got another array."""
        self.gradients, dtype = [], self.dtype
        for p, array in zip(self.parameters, self.arrays):
            g = p._grad
            if g is None or p.array is not array:
                return False
            if type(g) is not np.ndarray:
                g = g.array  # a Tensor, after create_graph
            if g.shape != array.shape or (g.dtype is not dtype and g.dtype != dtype):
                raise ValueError(
                    f"the gradient of the {describe(p)} and dtype {array.dtype} has shape "
                    f"{g.shape} and dtype {g.dtype}; give .grad the shape and dtype of its tensor")
            self.gradients.append(g)
        return True

    def step(self, hyperparameters, modifiers, witness=None):
        """One update of all members, written into their arrays and into the memory. `witness`, if
        there is one, is told of every block: what the rule was given, and what it called it."""
        t, w, g = self.t + 1, self.w, self.gathered()
        start = self.copied(w, g) if self.keeps else None
        if witness is not None or not self.in_place(t, g, hyperparameters, modifiers):
            if start and self.joined:  # a rule as it is written may write into them
                start = w.copy(), *start[1:]
            self.compute(t, w, g, hyperparameters, modifiers, witness)
        self.t, self.gradients = t, []
        self.last = start and (*start, t, hyperparameters, modifiers)
        for entry in self.entries:
            entry["step"] = t
        if self.joined:
            for array, part in zip(self.arrays, self.new_parts):
                array[...] = part
        tick = clock()
        for p in self.parameters:
            (p.memory or shared_memory(p)).changed = tick

    def in_place(self, t, g, hyperparameters, modifiers):
        """The update by the rule's in-place form (fast.py), from the second step on, when there is
        memory for the states. False, with nothing changed, if the rule has none."""
        if not self.flat or self.entries is None:
            return False
        settings = hyperparameters, modifiers
        if self.form is None or self.form[0] is not hyperparameters:
            numbers = tuple(i for i, state in enumerate(self.states) if is_number(state))
            self.form = hyperparameters, fast(self.rule, self.dtype, numbers, settings), \
                scalars_of(*settings)
        _, form, scalars = self.form
        version = form.version(t, settings, self.states)
        if version is None:
            return False
        if self.memory_of is not version:
            self.memory_of, self.buffers = version, self.set_aside(version)
        for block, w, out, views, buffers in self.buffers:
            for i in form.numbers:
                views[i] = self.states[i]
            found = version.run(w, g[block], out, *views, t, *scalars, *buffers)
            if not self.joined and not version.aliased:
                w[...] = out
        for i, number in zip(form.numbers, found):
            if number is not self.states[i]:
                self.states[i] = number
                self.remember(self.names[i], number)
        return True

    def set_aside(self, version):
        """(block, w, out, states, buffers) of every block: the arrays that `version` works in."""
        most = min(self.w.size, BLOCK)
        buffers = [np.empty(most, dtype) for dtype in version.buffers]
        spare = None if self.joined or version.aliased else np.empty(most, self.dtype)
        found = []
        for block in self.blocks:
            w = self.w[block]
            out = self.new_w[block] if spare is None else spare[:w.size]
            found.append((block, w, out, [s if is_number(s) else s[block] for s in self.states],
                          [buffer[:w.size] for buffer in buffers]))
        return found

    def compute(self, t, w, g, hyperparameters, modifiers, witness):
        """The update by the rule as it is written."""
        states, kept = self.states, list(self.states)
        rule = self.rule if witness is None else witness.rule(self.rule)
        for block in self.blocks:
            old = [state if is_number(state) else state[block] for state in states]
            old_w, old_g = w[block], g[block]
            new_w, *new = update(rule, old_w, old_g, old, t, hyperparameters, **modifiers)
            if self.entries is None:
                self.begin(old_w, new_w, new)
            if witness is not None:
                witness.block(self, block, t, old_w, old_g, old, new_w,
                              (hyperparameters, modifiers))
            new = [state.copy() if passed_on(state, i, old_w, old) else state
                   for i, state in enumerate(new)]
            self.new_w[block] = new_w
            for i, state in enumerate(new):
                kept[i] = self.stored(kept[i], block, state)
        for name, state, before in zip(self.names, kept, states):
            if state is not before:
                self.remember(name, state)
                if is_number(state) != is_number(before):  # no longer what the form was made for
                    self.form = self.memory_of = None
        self.states = kept

    def copied(self, w, g):
        """What a step starts from, safe until the next one. A gathered w is left alone by a rule in
        place."""
        states = [state if is_number(state) else state.copy() for state in self.states]
        return w if self.joined else w.copy(), g.copy(), states

    def share(self, p, value):
        """The part of a vector of this batch that is parameter p's, in p's shape; a number."""
        i = next(i for i, member in enumerate(self.parameters) if member is p)
        return value if is_number(value) or not self.flat else self.parts(value)[i]

    def gathered(self):
        """The gradients as the rule will see them. Joined weights are gathered as well."""
        if not self.joined:
            return self.gradients[0].reshape(-1) if self.flat else self.gradients[0]
        for part, array in zip(self.w_parts, self.arrays):
            part[...] = array
        for part, gradient in zip(self.g_parts, self.gradients):
            if part is not gradient:  # a compiled step writes gradients here itself
                part[...] = gradient
        return self.g

    def begin(self, w, new_w, new):
        """Before the first result is written: is it one? Then the members get their memory."""
        called = f"rule {getattr(self.rule, '__name__', self.rule)}"
        if len(new) != len(self.names):
            raise ValueError(f"{called} returned {len(new)} states, but its signature declares "
                             f"{len(self.names)}: {self.names}; return (w, *states)")
        if np.shape(new_w) != w.shape:
            raise ValueError(f"{called} returned weights of shape {np.shape(new_w)} "
                             f"for weights of shape {w.shape}")
        self.entries = [self.memory.setdefault(p, {"step": 0}) for p in self.parameters]

    def stored(self, store, block, state):
        """Where a state stands after a block: a number, or copied into memory of its own."""
        if is_number(state) and (is_number(store) or not self.flat):
            return state
        if not self.flat:
            return np.array(state, dtype=self.dtype)
        if is_number(store):
            store = np.empty(self.w.shape, self.dtype)
        store[block] = state
        return store
