"""Straight-line programs: what Python functions did to arrays, one NumPy statement after the other.

The one trick: the table's rules and the optimizers' rules are short Python functions, and their
source says what they compute. `Tracer` runs that source with some values marked as unknown until
run time. What depends on known values only (options, shapes, branches) is simply computed; what
touches an unknown one is written down. So the program that comes out is the rules themselves, with
names put in, and gives the same numbers to the last bit.

What cannot be followed (a branch on a number in an array, a loop over one) is not taken apart: the
program calls that function as it is.
"""

import ast
import collections
import functools
import inspect
import math
import types

import numpy as np

from minigrad.engine import Primitive
from minigrad.lines.following import Frame
from minigrad.lines.values import (
    ASKING, CONTAINERS, DRAWING, SMALL, as_argument, example, holds_unknown, is_pure, Method,
    numpy_name, Statement, Unfollowed, Unknown)
from minigrad.sources import source


class Tracer:
    """Builds one program: `statements`, and the `constants` they name.

    whole   what cannot be followed is written down as a call. If False, Unfollowed is raised
            instead, before it is called, and where a function reads what may change around it
    finite  take it that gradients are finite where a rule asks (`masked`); `assumed` tells whether
            one did
    entire  functions that stay a call, though they could be followed
    guards  [(unknown scalar, the truth it had)]: the program holds as long as these stay so
    outer   [(function, name, value)] of what followed functions of users read from around them
    reserved  names that no value gets
    """

    def __init__(self, whole=True, finite=False, entire=(), reserved=()):
        self.whole, self.finite, self.entire = whole, finite, entire
        self.statements, self.constants, self.guards = [], {}, []
        self.taken, self.called = collections.Counter(reserved), {}
        self.assumed, self.outer = False, []

    # --- writing down -----------------------------------------------------------------------------

    def fresh(self, hint):
        """A name not used before: hint, hint_2, hint_3, ..."""
        self.taken[hint] += 1
        name = hint if self.taken[hint] == 1 else f"{hint}_{self.taken[hint]}"
        return name if name == hint or name not in self.taken else self.fresh(hint)

    def emit(self, node, value, hint="v"):
        """Writes down a statement; returns the unknown it makes."""
        target = Unknown(self.fresh(hint), value)
        self.statements.append(Statement(target.name, node, value))
        return target

    def refer(self, x):
        """The expression for a value in the program."""
        if isinstance(x, Unknown):
            return ast.Name(x.name)
        if isinstance(x, Method):
            return ast.Attribute(self.refer(x.owner), x.name)
        if x is None or x is Ellipsis or isinstance(x, (bool, str)):
            return ast.Constant(x)
        if isinstance(x, float) and not math.isfinite(x) and type(x) is float:
            return ast.parse("np.nan" if x != x else "np.inf" if x > 0 else "-np.inf",
                             mode="eval").body
        if type(x) in (int, float):
            return ast.Constant(x) if x >= 0 and math.copysign(1, x) > 0 else ast.UnaryOp(
                ast.USub(), ast.Constant(-x))
        if isinstance(x, (tuple, list)):
            return (ast.Tuple if isinstance(x, tuple) else ast.List)([self.refer(v) for v in x])
        if isinstance(x, slice):
            return ast.Slice(*[None if v is None else self.refer(v)
                               for v in (x.start, x.stop, x.step)])
        if isinstance(x, dict):
            return ast.Dict([self.refer(k) for k in x], [self.refer(v) for v in x.values()])
        known = numpy_name(x)
        if known is not None:
            return ast.parse(known, mode="eval").body
        return ast.Name(self.constant(x))

    def constant(self, x):
        """The name of an object that the program is given."""
        key = id(x)
        if isinstance(x, np.ndarray) and x.size <= SMALL:  # equal arrays are one constant
            key = x.dtype, x.shape, x.tobytes()
        if key not in self.called:
            hint = (getattr(x, "__name__", None) or "").partition(" ")[0]  # "erf (vectorized)"
            hint = hint if hint.isidentifier() else "constant"
            name = self.fresh(hint)
            self.called[key], self.constants[name] = name, x
        return self.called[key]

    # --- calling ----------------------------------------------------------------------------------

    def call(self, function, args=(), keywords={}, hint="v"):
        """function(*args, **keywords), with unknowns among the arguments."""
        if isinstance(function, Primitive):
            function = function.forward
        function = getattr(function, "ufunc", function)
        if keywords.get("out") is not None or (
                isinstance(function, np.ufunc) and len(args) > function.nin):
            raise Unfollowed("writes into an array that it was given")
        if isinstance(function, types.MethodType):
            function, args = function.__func__, (function.__self__, *args)
        if isinstance(function, functools.partial):
            args, keywords = (*function.args, *args), {**function.keywords, **keywords}
            function = function.func
        if not holds_unknown((function, args, keywords)) and is_pure(function):
            return function(*args, **keywords)
        if isinstance(getattr(function, "__self__", None), (list, dict)) or (
                function in CONTAINERS and not any(isinstance(a, Unknown) for a in args)):
            return function(*args, **keywords)  # index.insert(dim, labels), zip(xs, sizes)
        if function in ASKING or function in (getattr, iter):
            return function(*[example(a) for a in args])
        if isinstance(function, types.FunctionType) and numpy_name(function) is None and (
                function not in self.entire and function.__module__ not in DRAWING):
            return self.inlined(function, args, keywords, hint)
        return self.called_whole(function, args, keywords, hint)

    def called_whole(self, function, args, keywords, hint="v"):
        """A call that stays a call."""
        node = ast.Call(self.refer(function), [as_argument(self.refer(a)) for a in args],
                        [ast.keyword(k, as_argument(self.refer(v))) for k, v in keywords.items()])
        plain = example(function)
        if not self.whole and not is_pure(plain):
            raise Unfollowed("calls something that may not give the same each time")
        value = plain(*example(tuple(args)), **example(dict(keywords)))
        if function == np.add.at:
            self.statements.append(Statement(None, node, None))
            return None
        if value is None:
            raise Unfollowed("calls something for what it changes")
        made = self.emit(node, value, hint)
        self.statements[-1].pure = is_pure(plain)
        return made

    def inlined(self, function, args, keywords, hint):
        """The body of a Python function, followed. If it cannot be, the call as it is."""
        found = source(function)
        mark, guards = len(self.statements), len(self.guards)
        if found is not None:
            try:
                bound = inspect.signature(function).bind(*args, **keywords)
                bound.apply_defaults()
                return Frame(self, function, found, dict(bound.arguments), hint).run()
            except Unfollowed:
                if not self.whole:
                    raise
                del self.statements[mark:], self.guards[guards:]
        return self.called_whole(function, args, keywords, hint)


def found_around(function, name):
    """What a name stands for around a function now."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    return cells[name].cell_contents if name in cells else function.__globals__.get(name)
