"""Values that are known at run time only, and the statements that make them.

The one trick: an unknown carries an example of itself. So shapes, dtypes and which way a function
goes are known while its lines are written down, and every statement has been run once.
"""

import ast
import builtins
import functools
import inspect
import math
import operator
import types

import numpy as np

from minigrad.engine import Recorded

OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Pow: operator.pow,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.MatMult: operator.matmul, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.USub: operator.neg, ast.UAdd: operator.pos,
    ast.Invert: operator.invert, ast.Not: operator.not_,
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda x, y: x in y, ast.NotIn: lambda x, y: x not in y,
}
FACTS = {"shape", "ndim", "dtype", "size"}  # of an array: known, since a program is for one shape
DRAWING = {"minigrad.random", "random"}  # modules whose functions are called, never followed
SMALL = 4096  # numbers of arrays that are compared to find equal ones
# Answered by the example:
ASKING = {isinstance, type, len, callable, hasattr, id, np.ndim, np.shape}
CONTAINERS = {tuple, list, zip, enumerate, reversed, iter, next, range}  # whatever is in them


class Unfollowed(Exception):
    """Why a function is called as it is instead of being taken apart."""


class Unknown:
    """A value that is known at run time only: its name in the program, and an example of it."""

    __slots__ = ("name", "value")

    def __init__(self, name, value):
        self.name, self.value = name, value


class Statement:
    """`target = node`, or (target None) a `node` that writes into an array. `value`: example.

    Not `pure` is what may give something else each time, a random number: it is done every time.
    """

    __slots__ = ("target", "node", "value", "pure")

    def __init__(self, target, node, value, pure=True):
        self.target, self.node, self.value, self.pure = target, node, value, pure


class Method:
    """x.name of an unknown x, about to be called."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name


def as_argument(node):
    """An index as an argument: there a:b has to be spelled slice(a, b)."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return type(node)([as_argument(part) for part in node.elts])
    if isinstance(node, ast.Slice):
        parts = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
        return ast.Call(ast.Name("slice"), parts, [])
    return node


def as_load(node):
    """A target, as an expression that reads it."""
    return ast.parse(ast.unparse(node), mode="eval").body


NEUTRAL = (ast.Mult, ast.Div, ast.Pow)


def as_number(x, value, op):
    """A known array of equal numbers as that number, where an operation stretches it anyway."""
    if isinstance(value, (np.ndarray, np.generic)) and not isinstance(op, ast.MatMult):
        return as_one(x, value.dtype)
    return x


def is_one(x):
    return type(x) in (int, float) and x == 1


def is_like(x, value):
    """Have two arrays one shape and dtype, and their numbers in one order in memory? The order
    decides in which order they will be added up."""
    if np.shape(x) != np.shape(value) or getattr(x, "dtype", 0) != getattr(value, "dtype", 1):
        return False
    return not isinstance(x, np.ndarray) or not isinstance(value, np.ndarray) or (
        x.flags.c_contiguous and value.flags.c_contiguous) or x.strides == value.strides


def same_kind(x, value):
    """Has an unknown x the type (of an array: dtype and shape) that `value` has?"""
    if isinstance(x, Unknown) and isinstance(value, np.ndarray):
        return isinstance(x.value, np.ndarray) and is_like(x.value, value)
    return isinstance(x, Unknown) and type(x.value) is type(value)


def looks_at(array, others):
    """Does one of the arrays among `others` share its memory?"""
    waiting = [others]
    while waiting:
        x = example(waiting.pop())
        if isinstance(x, np.ndarray) and np.may_share_memory(array, x):
            return True
        if isinstance(x, (tuple, list, dict)):
            waiting += x.values() if isinstance(x, dict) else x
    return False


def lasts(owner):
    """Will a function's surroundings, an object's attributes, be the same next time? Those of
    NumPy and minigrad, and of what Python itself has made."""
    if isinstance(owner, (types.FunctionType, type)):
        where = owner.__module__
    elif isinstance(owner, types.ModuleType):
        where = owner.__name__
    else:
        where = type(owner).__module__
    return (where or "").split(".")[0] in ("minigrad", "numpy", "math", "builtins")


def as_one(x, dtype):
    """A known array (or NumPy number) of equal floating-point numbers of a dtype as that number;
    anything else as it is."""
    if isinstance(x, (np.ndarray, np.generic)) and x.size and x.dtype == dtype and (
            x.dtype.kind == "f") and (x.ndim == 0 or x.flat[0] == x.flat[-1] and (
                x == x.flat[0]).all()) and (x.flat[0] or not np.signbit(x).any()):
        return x.flat[0].item()
    return x


def unknowns(x):
    """The unknowns in a value, or in the items of a container."""
    if isinstance(x, Unknown):
        yield x
    elif isinstance(x, Method):
        yield x.owner
    elif isinstance(x, (tuple, list, dict)):
        for item in x.values() if isinstance(x, dict) else x:
            yield from unknowns(item)
    elif isinstance(x, slice):
        yield from unknowns((x.start, x.stop, x.step))


def holds_unknown(x):
    """Is there an unknown in a value, or in the items of a container?"""
    return next(unknowns(x), None) is not None


def example(x):
    """A value with examples in the place of unknowns."""
    if isinstance(x, Unknown):
        return x.value
    if isinstance(x, Method):
        return getattr(x.owner.value, x.name)
    if isinstance(x, (tuple, list)) and holds_unknown(x):
        return type(x)([example(item) for item in x])
    if isinstance(x, dict):
        return {k: example(v) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(example(x.start), example(x.stop), example(x.step))
    return x.array if isinstance(x, Recorded) else x


IMPURE = {print, input, open, next, iter, exec, eval, setattr, delattr, globals, locals, vars}


def is_pure(function):
    """Does a function give the same result whenever it is called with the same arguments?"""
    if numpy_name(function) is not None:
        return function not in IMPURE
    function = inspect.unwrap(function) if callable(function) else function
    if isinstance(function, types.FunctionType):
        module = function.__module__ or ""
        return module.split(".")[0] in ("minigrad", "numpy", "math") and (
            module not in DRAWING and "random" not in function.__code__.co_names)
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        return isinstance(owner, (np.ndarray, np.generic, np.ufunc, np.dtype, list, tuple, dict,
                                  str, int, float))
    return isinstance(function, type)


@functools.lru_cache(4096)
def name_in_numpy(x):
    name = getattr(x, "__name__", None)
    for module, where in ((np, "np"), (np.linalg, "np.linalg"), (math, "math")):
        if name and getattr(module, name, None) is x:
            return f"{where}.{name}"
    owner = getattr(x, "__self__", None)
    if isinstance(owner, np.ufunc) and name:
        return f"np.{owner.__name__}.{name}"
    if getattr(builtins, name or "", None) is x:
        return name
    return None


def numpy_name(x):
    """How a program calls a function or dtype of NumPy, math or Python itself; None for others."""
    if isinstance(x, np.dtype):
        return f"np.dtype({x.name!r})"
    try:
        return name_in_numpy(x) if callable(x) else None
    except TypeError:  # unhashable
        return None
