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
import builtins
import collections
import functools
import inspect
import math
import operator
import types

import numpy as np

from minigrad.engine import Primitive, Recorded
from minigrad.sources import source

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
ASKING = {isinstance, type, len, callable, hasattr, id, np.ndim, np.shape}  # answered by the example
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


class Frame:
    """One function being followed: its local names, and the names around it."""

    def __init__(self, tracer, function, found, local, hint):
        self.tracer, self.function, self.local, self.hint = tracer, function, local, hint
        self.body, self.outside = found.node.body, found.names
        self.given = list(unknowns(local))  # arguments: not to be written into
        self.result, self.done = None, False

    def run(self, body=None):
        """Follows statements until a return; returns what it returned."""
        for statement in self.body if body is None else body:
            handler = getattr(self, "do_" + type(statement).__name__, None)
            if handler is None:
                raise Unfollowed(type(statement).__name__)
            handler(statement)
            if self.done:
                break
        return self.result

    # --- statements -------------------------------------------------------------------------------

    def do_Return(self, node):
        self.result = None if node.value is None else self.value(node.value, self.hint)
        self.done = True

    def do_Expr(self, node):
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def do_Pass(self, node):
        pass

    def do_Assign(self, node):
        hint = node.targets[0].id if isinstance(node.targets[0], ast.Name) else "v"
        value = self.value(node.value, hint)
        for target in node.targets:
            self.assign(target, value)

    def do_AugAssign(self, node):
        old = self.value(as_load(node.target))
        hint = node.target.id if isinstance(node.target, ast.Name) else "v"
        new = self.operate(node.op, [old, self.value(node.value)], hint)
        array, made = example(old), example(new)
        if isinstance(array, np.ndarray) and isinstance(node.target, ast.Name) and (
                holds_unknown((old, new))):
            others = [x for name, x in self.local.items() if name != node.target.id]
            if made.shape != array.shape or made.dtype != array.dtype or looks_at(
                    array, (others, self.given)):
                raise Unfollowed("writes into an array that has another name, too")
        self.assign(node.target, new)

    def do_If(self, node):
        self.run(node.body if self.truth(self.value(node.test)) else node.orelse)

    def do_For(self, node):
        items = self.value(node.iter)
        if isinstance(items, Unknown) or node.orelse:
            raise Unfollowed("a loop over an array")
        for item in items:
            self.assign(node.target, item)
            self.run(node.body)
            if self.done:
                return

    def do_While(self, node):
        while True:
            test = self.value(node.test)
            if isinstance(test, Unknown):
                raise Unfollowed("a loop on an unknown")
            if not test or self.done:
                return
            self.run(node.body)

    def do_With(self, node):
        for item in node.items:
            call = item.context_expr
            if not isinstance(call, ast.Call) or self.value(call.func) is not np.errstate:
                raise Unfollowed("a context")
        self.run(node.body)  # the whole program runs under np.errstate

    def assign(self, target, value):
        if isinstance(target, ast.Name):
            self.local[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = list(value) if not isinstance(value, Unknown) else None
            if values is None or len(values) != len(target.elts):
                raise Unfollowed("unpacks an array")
            for part, item in zip(target.elts, values):
                self.assign(part, item)
        elif isinstance(target, ast.Subscript):
            self.write(target, value)
        else:
            raise Unfollowed("assigns to an attribute")

    def write(self, target, value):
        """x[index] = value: into an array that was made here."""
        array, index = self.value(target.value), self.value(target.slice)
        if not holds_unknown((array, index, value)):
            array[index] = value
            return
        if not isinstance(array, Unknown) and index is Ellipsis:  # all of it
            value = as_one(value, array.dtype)
            filled = self.tracer.called_whole(np.full, (array.shape, value), {})
            self.replace(array, filled)
            return
        if not isinstance(array, Unknown):  # made of known values only, until now
            array = self.replace(array, self.copied(array))
        value = as_one(value, array.value.dtype)
        if looks_at(array.value, self.given):
            raise Unfollowed("writes into an argument")
        array.value[example(index)] = example(value)
        node = ast.Assign([ast.Subscript(self.tracer.refer(array), self.tracer.refer(index))],
                          self.tracer.refer(value))
        self.tracer.statements.append(Statement(None, node, None))

    def copied(self, array):
        """An array of known values that is about to be written into, in the program."""
        node = ast.Call(ast.Attribute(self.tracer.refer(array), "copy"), [], [])
        hint = next((name for name, other in self.local.items() if other is array), "v")
        return self.tracer.emit(node, array.copy(), hint)

    def replace(self, array, unknown):
        """From now on, the local names of a known array stand for an unknown."""
        for name, other in self.local.items():
            if other is array:
                self.local[name] = unknown
        return unknown

    # --- expressions ------------------------------------------------------------------------------

    def value(self, node, hint="v"):
        handler = getattr(self, "get_" + type(node).__name__, None)
        if handler is None:
            raise Unfollowed(type(node).__name__)
        return handler(node, hint)

    def get_Constant(self, node, hint):
        return node.value

    def get_JoinedStr(self, node, hint):
        return "".join([str(self.value(part)) for part in node.values])

    def get_FormattedValue(self, node, hint):
        value = self.value(node.value)
        if holds_unknown(value) or node.conversion != -1 or node.format_spec is not None:
            raise Unfollowed("text made of an array")
        return format(value)

    def get_Name(self, node, hint):
        if node.id in self.local:
            return self.local[node.id]
        if node.id not in self.outside:
            raise Unfollowed(node.id)
        value = self.outside[node.id]
        if not isinstance(value, types.ModuleType) and not lasts(self.function) and not (
                callable(value) and lasts(value)):
            if not self.tracer.whole and not isinstance(value, types.FunctionType):
                raise Unfollowed("reads names from around it that may change")
            self.tracer.outer.append((self.function, node.id, value))
        return value

    def get_Tuple(self, node, hint):
        return tuple(self.spread(node.elts))

    def get_List(self, node, hint):
        return self.spread(node.elts)

    def get_Dict(self, node, hint):
        return {self.value(k): self.value(v) for k, v in zip(node.keys, node.values)}

    def get_Slice(self, node, hint):
        return slice(*[None if part is None else self.value(part)
                       for part in (node.lower, node.upper, node.step)])

    def spread(self, nodes):
        """The values of items, `*items` among them."""
        found = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found += list(self.value(node.value))
            else:
                found.append(self.value(node))
        return found

    def get_BinOp(self, node, hint):
        return self.operate(node.op, [self.value(node.left), self.value(node.right)], hint)

    def get_UnaryOp(self, node, hint):
        x = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not self.truth(x)
        return self.operate(node.op, [x], hint)

    def operate(self, op, operands, hint):
        if not holds_unknown(operands):
            return OPERATORS[type(op)](*operands)
        value = OPERATORS[type(op)](*[example(x) for x in operands])
        if any(isinstance(x, Unknown) and is_like(x.value, value) for x in operands):
            operands = [as_number(x, value, op) for x in operands]
        if isinstance(op, NEUTRAL) and is_one(operands[1]) and same_kind(operands[0], value):
            return operands[0]  # x * 1, x / 1, x ** 1: x to the last bit
        if isinstance(op, ast.Mult) and is_one(operands[0]) and same_kind(operands[1], value):
            return operands[1]
        nodes = [self.tracer.refer(x) for x in operands]
        node = ast.UnaryOp(op, nodes[0]) if len(nodes) == 1 else ast.BinOp(nodes[0], op, nodes[1])
        return self.tracer.emit(node, value, hint)

    def get_Compare(self, node, hint):
        left, result = self.value(node.left), True
        for i, (op, part) in enumerate(zip(node.ops, node.comparators), start=1):
            right = self.value(part)
            if isinstance(op, (ast.Is, ast.IsNot)):
                same = left is right
                result = same if isinstance(op, ast.Is) else not same
            elif holds_unknown((left, right)):
                value = OPERATORS[type(op)](example(left), example(right))
                test = ast.Compare(self.tracer.refer(left), [op], [self.tracer.refer(right)])
                result = self.tracer.emit(test, value, hint)
            else:
                result = OPERATORS[type(op)](left, right)
            left = right
            if i < len(node.ops) and not self.truth(result):
                return result  # a < b < c is (a < b) and (b < c)
        return result

    def get_BoolOp(self, node, hint):
        result = None
        for part in node.values:
            result = self.value(part)
            if self.truth(result) != isinstance(node.op, ast.And):
                return result
        return result

    def get_IfExp(self, node, hint):
        return self.value(node.body if self.truth(self.value(node.test)) else node.orelse, hint)

    def truth(self, x):
        """Is a condition true? One that depends on unknown scalars (t) is guarded."""
        if not isinstance(x, Unknown):
            return bool(x)
        if isinstance(x.value, (np.ndarray, np.generic)):
            made = self.tracer.statements[-1]
            if self.tracer.finite and made.target == x.name and x.value and (
                    ast.unparse(made.node).startswith("np.isfinite(")):
                self.tracer.assumed = True
                return True
            raise Unfollowed("a branch on a number in an array")
        self.tracer.guards.append((x, bool(x.value)))
        return bool(x.value)

    def get_Attribute(self, node, hint):
        owner = self.value(node.value)
        if not isinstance(owner, Unknown):
            found = getattr(owner, node.attr)
            if not lasts(owner) and not lasts(self.function) and not self.tracer.whole:
                raise Unfollowed("reads attributes that may change")
            return found
        if node.attr in FACTS:
            return getattr(owner.value, node.attr)
        found = getattr(owner.value, node.attr)
        if callable(found):
            return Method(owner, node.attr)
        return self.tracer.emit(ast.Attribute(self.tracer.refer(owner), node.attr), found, hint)

    def get_Subscript(self, node, hint):
        owner, index = self.value(node.value), self.value(node.slice)
        if not holds_unknown((owner, index)) or isinstance(owner, (tuple, list, dict)):
            return owner[index]
        value = example(owner)[example(index)]
        if isinstance(owner, np.ndarray) and isinstance(as_one(owner, owner.dtype), float) and (
                all(x.value.dtype.kind != "b" for x in unknowns(index))):
            # Whatever the index, the same number.
            return np.full(value.shape, owner.flat[0], owner.dtype)
        node = ast.Subscript(self.tracer.refer(owner), self.tracer.refer(index))
        return self.tracer.emit(node, value, hint)

    def get_Call(self, node, hint):
        function, args = self.value(node.func), self.spread(node.args)
        keywords = {}
        for keyword in node.keywords:
            value = self.value(keyword.value)
            keywords.update(value if keyword.arg is None else {keyword.arg: value})
        if function == np.add.at and not isinstance(args[0], Unknown) and holds_unknown(args):
            args[0] = self.replace(args[0], self.copied(args[0]))
        return self.tracer.call(function, args, keywords, hint)

    def comprehension(self, node):
        """The values of a comprehension over known items."""
        if len(node.generators) != 1:
            raise Unfollowed("a comprehension of several loops")
        loop, found, outer = node.generators[0], [], dict(self.local)
        items = self.value(loop.iter)
        if isinstance(items, Unknown):
            raise Unfollowed("a loop over an array")
        for item in items:
            self.assign(loop.target, item)
            if all(self.truth(self.value(test)) for test in loop.ifs):
                found.append(self.value(node.elt))
        self.local = outer
        return found

    def get_ListComp(self, node, hint):
        return self.comprehension(node)

    get_GeneratorExp = get_ListComp

    def get_Lambda(self, node, hint):
        raise Unfollowed("a function within a function")


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
        return isinstance(owner, (np.ndarray, np.generic, list, tuple, dict, str, np.ufunc, np.dtype,
                                  int, float))
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
