"""What a forward pass does beside its records: running statistics, values taken out.

The one trick: a change of something that is no record is a function of arrays like any other,
called through `beside`. So a program that is made of a forward pass (codegen) can call it again in
every step. What cannot be called again is refused while a program is being made.
"""

import numpy as np

from minigrad.engine import clock, describe, mode, written


class NotCompilable(NotImplementedError):
    """Why a step cannot be compiled; it can always be run eagerly.

    loss    of the step that was asked for, where it was done eagerly all the same; else None, and
            nothing was changed
    """

    loss = None


class Unfit(Exception):
    """Data for which what a program takes for granted is not so."""


class Tracing(list):
    """What is noted while a program is made: the calls of `beside`, (tick, function, tensors,
    options), oldest first. `data`: what loss_fn is given; `before`: [(tensor, its values before)]
    of what may change; `modules`: those that were called, {id: module}; `overwritten`: [(array,
    its values then)] before every change, for `undo`."""

    def __init__(self, data=()):
        self.data, self.before, self.modules = data, [], {}
        self.start, self.overwritten = clock(), []
        self.keep(data)

    def keep(self, tensors):
        """Before they may be changed."""
        values = [t.array.copy() for t in tensors]
        self.before += zip(tensors, values)
        self.overwritten += [(t.array, value) for t, value in zip(tensors, values)]

    def called(self, module, buffers):
        if id(module) not in self.modules:
            self.modules[id(module)] = module
            self.keep(buffers)

    def undo(self):
        """Puts back what was changed."""
        for array, values in reversed(self.overwritten):
            if array.flags.writeable:
                array[...] = values

    def written(self):
        """What was changed otherwise than by `beside`."""
        by_beside = {id(t) for _, _, tensors, _ in self for t in tensors[1:]}
        return [t for t, array in self.before if id(t) not in by_beside
                and not np.array_equal(t.array, array, equal_nan=array.dtype.kind == "f")]


def assume(check, *tensors, **options):
    """Notes, while a program is made, that the code took a way that depends on values:
    check(*arrays, **options) raises Unfit where another one is right."""
    if mode.tracing is not None:
        mode.tracing.append((clock(), check, tensors, options))


def beside(function, *tensors, **options):
    """function(*arrays, **options), which may write into all arrays but the first."""
    if mode.tracing is not None:
        mode.tracing.keep(tensors[1:])
    function(*[t.array for t in tensors], **options)
    for t in tensors[1:]:
        written(t)
    if mode.tracing is not None:
        mode.tracing.append((clock(), function, tensors, options))


def about_to_change(t):
    """Before t is overwritten: keeps its values while a program is made, which may be refused."""
    if mode.tracing is not None:
        mode.tracing.overwritten.append((t.array, t.array.copy()))


def taken_out(t):
    """Before a computed number leaves the record (item(), float(), bool(), an `if`): refuses it
    while a program is being made, in which that number would stay what it is now."""
    if mode.tracing is not None and (t.op is not None or any(t is x for x in mode.tracing.data)):
        raise NotCompilable(
            f"compile: the {describe(t)} is turned into a Python number or an array (item(), "
            "float(), numpy(), an `if`), and the compiled step would keep today's value for ever; "
            "do that outside loss_fn, use where() instead of `if`, or train eagerly")
