"""What a function sees around it, and what it changes there.

The one trick: what can be reached from the function by its names (modules, objects, lists, other
functions of the user's) is remembered entry by entry. So the calls that only try a loss function
out leave nothing behind, and a running average that is kept in an ordinary variable is noticed.
"""

import dis
import functools
import types

from minigrad.engine import Recorded
from minigrad.nn.module import Module

MANY = 1000  # entries of a list or dict that are looked at; objects in all


def namespaces(function, stored=False):
    """[(namespace, name, value)] of what a function reads around it: numbers, models, tensors.
    stored: also what it only assigns to."""
    code = getattr(function, "__code__", None)
    if code is None:
        return []
    names = names_in(code, stored)
    found = [(function.__globals__, name, function.__globals__[name]) for name in names
             if name in function.__globals__ and name not in code.co_freevars]
    cells = [(Cell(cell), name) for name, cell in zip(code.co_freevars, function.__closure__ or ())
             if name in names]
    return found + [(cell, name, cell.get(name)) for cell, name in cells if not cell.empty()]


@functools.lru_cache(256)
def names_in(code, stored):
    """The names of its surroundings that code reads, or (stored) assigns to, in order."""
    words = ("LOAD", "STORE") if stored else ("LOAD",)
    names = {i.argval for i in dis.get_instructions(code) if i.opname.startswith(words)
             and i.opname.endswith(("_GLOBAL", "_DEREF", "_CLOSURE"))}
    if any(isinstance(x, types.CodeType) for x in code.co_consts):
        names.update(code.co_freevars)  # a function within the function may read any of them
    return sorted(names)


class Cell:
    """A variable of an enclosing function, read and set like an entry of a namespace."""

    def __init__(self, cell):
        self.cell = cell

    def empty(self):
        """Has nothing been assigned yet?"""
        try:
            self.cell.cell_contents
        except ValueError:
            return True
        return False

    def get(self, name):
        return None if self.empty() else self.cell.cell_contents

    def __setitem__(self, name, value):
        self.cell.cell_contents = value


class Around:
    """Everything around a function, as it is now."""

    def __init__(self, function):
        self.variables, self.dicts, self.lists, self.tensors = [], [], [], []
        seen, waiting = set(), [function]
        while waiting and len(seen) < MANY:
            x = waiting.pop()
            if id(x) not in seen:
                seen.add(id(x))
                waiting += self.kept(x)

    def kept(self, x):
        """Remembers what x consists of; returns what is to be looked at next."""
        if isinstance(x, Recorded):
            self.tensors.append((x, x.array))
        elif isinstance(x, types.MethodType):
            return [x.__self__, x.__func__]
        elif isinstance(x, types.FunctionType):
            variables = [] if known(x.__module__) else namespaces(x, stored=True)
            self.variables += variables
            return [value for _, _, value in variables]
        elif type(x) is list and len(x) <= MANY:
            self.lists.append((x, list(x)))
            return x
        elif isinstance(x, tuple) and len(x) <= MANY:
            return x
        elif type(x) is dict and len(x) <= MANY:
            self.dicts.append((x, dict(x)))
            return list(x.values())
        elif isinstance(getattr(x, "__dict__", None), dict) and (
                isinstance(x, Module) or not known(type(x).__module__)):
            return [x.__dict__]
        return ()

    def restore(self):
        """Puts back what is another now."""
        for space, name, value in self.variables:
            if space.get(name) is not value:
                space[name] = value
        for now, before in self.dicts:
            if not alike(list(now.items()), list(before.items())):
                now.clear()
                now.update(before)
        for now, before in self.lists:
            if len(now) != len(before) or any(a is not b for a, b in zip(now, before)):
                now[:] = before
        for t, array in self.tensors:
            if t.array is not array:
                t.array = array

    def replaced(self):
        """[(name, tensor before, tensor now)] of names that stand for another tensor now."""
        pairs = [(name, value, space.get(name)) for space, name, value in self.variables]
        for now, before in self.dicts:
            pairs += [(name, value, now.get(name)) for name, value in before.items()]
        for now, before in self.lists:
            pairs += [("an entry of a list", a, b) for a, b in zip(before, now)]
        return [(name, a, b) for name, a, b in pairs
                if a is not b and isinstance(a, Recorded) and isinstance(b, Recorded)]


def known(module):
    """Is a module Python's, NumPy's or minigrad's own?"""
    return (module or "").split(".")[0] in ("minigrad", "numpy", "builtins", "functools", "types")


def alike(items, others):
    return len(items) == len(others) and all(
        a is c and b is d for (a, b), (c, d) in zip(items, others))
