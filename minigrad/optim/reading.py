"""An update rule heard while it runs: where the names in it get their numbers.

The one trick: the source of a rule is data (sources.py). `Narrated` compiles it once more with one
change: where the rule returns its result, it also tells its local names. So whatever a
rule calls its quantities (m_hat, denominator, step) is what people see, and no rule has to be
written with that in mind.
"""

import ast
import copy
import functools
import inspect
import sys
import types
from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np

from minigrad.sources import FUTURE, behind, source

Heard = namedtuple("Heard", "values base part sign")

BASE, PART = "(base)", "(part)"  # names that no program can have
TAIL, TELL = "(tail)", "(tell)"


@dataclass
class Update:
    """One parameter, one step, and everything the rule was given: enough to repeat it."""

    name: str             # "net.0.weight"
    kind: str             # what the optimizer is called: "AdamW"
    rule: object          # the rule that ran
    step: int             # number of the optimizer's step, from 1
    t: int                # number of this parameter's step, what the rule gets as t
    w: object             # ndarray: the weights before the update
    grad: object          # ndarray: as backward (and clipping) left it
    states: dict          # {name: ndarray or number} before the update
    hyperparameters: dict
    modifiers: dict = field(default_factory=dict)  # maximize, weight_decay, decay_rate
    note: str = ""
    after: object = None  # ndarray: the weights that the step left, to 1 ulp; None if not recorded


# --- the twin that tells --------------------------------------------------------------------------

def recompiled(node, function, more=()):
    """The code of a def, compiled where `function` stands: with its closure, and names in
    `more`, as variables from outside."""
    outside = [*function.__code__.co_freevars, *more]
    arguments = ast.arguments([], [ast.arg(name) for name in outside], None, [], [], None, [])
    around = ast.FunctionDef("around", arguments, [node], [], None, None)
    if hasattr(node, "type_params"):
        around.type_params = []
    module = ast.fix_missing_locations(ast.Module([around], []))
    flags = function.__code__.co_flags & FUTURE
    outer = compile(module, function.__code__.co_filename, "exec", flags, dont_inherit=True)
    inner = next(c for c in outer.co_consts if isinstance(c, types.CodeType))
    return next(c for c in inner.co_consts if isinstance(c, types.CodeType)
                and c.co_name == node.name)


class Narrated:
    """A rule that, after each call, has in `heard` what its local names stood for, and in `given`
    the weights that it got, as they were: a rule may write into what it is given (`was`). In
    `states` are the states it returned.

    `heard.values`: {name: value} at the return. Where the new weights are returned as `base - part`
    or `base + part`, these two and the sign (-1, 1); sign is 0 if they are computed otherwise. base
    is the weights, shrunk at most: a `base` into which the gradient has entered is not one.

    A rule that is no function with a source (typed at a plain prompt, decorated, a method, an
    object with __call__) is listened to through sys.setprofile instead, and tells its names only.
    """

    def __init__(self, rule):
        self.rule, self.heard, self.given = rule, None, None
        self.__name__ = getattr(rule, "__name__", repr(rule))
        self.__signature__ = inspect.signature(rule)
        self.weights, self.gradient = list(self.__signature__.parameters)[:2]  # "w", "g"
        self.twin = telling(rule)
        self.args, self.copies, self.states = (), (), ()

    def __call__(self, *args, **keywords):
        self.args = args
        self.copies = [a.copy() if type(a) is np.ndarray else a for a in args]
        self.given = self.copies[0]
        result, self.heard = self.twin(*args, **keywords)
        self.states = result[1:] if type(result) is tuple else ()
        return result

    def was(self, value):
        """What an array was before the call, if the rule was given it; else the value."""
        for a, copied in zip(self.args, self.copies):
            if a is value:
                return copied
        return value


def telling(rule):
    """A function that returns (what the rule returns, Heard)."""
    if isinstance(rule, types.FunctionType) and not hasattr(rule, "__wrapped__"):
        return compiled_twin(rule)
    return functools.partial(listened_to, rule, behind(inspect.unwrap(rule))[0])


@functools.lru_cache(256)
def compiled_twin(function):
    found = source(function)
    if found is None:
        return functools.partial(listened_to, function, function)
    node = Telling(found.node).visit(copy.deepcopy(found.node))
    outside = frozenset((*function.__code__.co_freevars, TAIL, TELL))
    extra = {TAIL: functools.partial(tail, outside), TELL: functools.partial(tell, outside)}
    code = recompiled(node, function, extra)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
    cells |= {name: types.CellType(value) for name, value in extra.items()}
    twin = types.FunctionType(code, function.__globals__, function.__name__,
                              function.__defaults__, tuple(cells[n] for n in code.co_freevars))
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin


def listened_to(rule, function, *args, **keywords):
    """(result, Heard) of a rule whose source is not known."""
    code, values = getattr(function, "__code__", None), {}

    def look(frame, event, _):
        if event == "return" and frame.f_code is code:
            values.update({k: v for k, v in frame.f_locals.items() if k in code.co_varnames})
    previous = sys.getprofile()
    sys.setprofile(look)
    try:
        result = rule(*args, **keywords)
    finally:
        sys.setprofile(previous)
    return result, Heard(values, None, None, 0)


def tell(outside, result, values, sign):
    """(result, Heard) from the local names at a return."""
    base, part = values.pop(BASE, None), values.pop(PART, None)
    return result, Heard(own(values, outside), base, part, sign)


def own(values, outside):
    """The local names, without those that came from around the function."""
    return {name: value for name, value in values.items() if name not in outside}


def tail(outside, function, outer, shrunk, *args, **keywords):
    """(result, Heard) of a call that a rule returns as it is: `return adam(w, g, m, v, t)`. The
    names of the rule that was called come on top. shrunk: are its first argument the weights?"""
    outer = own(outer, outside)
    if not isinstance(function, types.FunctionType) or hasattr(function, "__wrapped__"):
        return function(*args, **keywords), Heard(outer, None, None, 0)
    result, heard = compiled_twin(function)(*args, **keywords)
    if not shrunk:
        heard = Heard(heard.values, None, None, 0)
    return result, heard._replace(values={**outer, **heard.values})


class Telling(ast.NodeTransformer):
    """Turns the returns of a rule into returns of (result, Heard)."""

    def __init__(self, node):
        self.clean = shrinking(node)
        self.depth = 0

    def inside(self, node):
        """A function within the rule has returns of its own."""
        if self.depth:
            return node
        self.depth = 1
        node = self.generic_visit(node)
        self.depth = 0
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = inside

    def visit_Return(self, node):
        value = node.value or ast.Constant(None)
        names = ast.Call(ast.Name("locals", ast.Load()), [], [])
        if isinstance(value, ast.Call) and value.args:
            shrunk = ast.Constant(names_in(value.args[0]) <= self.clean)
            call = ast.Call(ast.Name(TAIL, ast.Load()), [value.func, names, shrunk, *value.args],
                            value.keywords)
            return ast.copy_location(ast.Return(call), node)
        first = value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value
        sign = 0
        if isinstance(first, ast.BinOp) and isinstance(first.op, (ast.Add, ast.Sub)) and (
                names_in(first.left) <= self.clean):
            sign = -1 if isinstance(first.op, ast.Sub) else 1
            first.left = ast.NamedExpr(ast.Name(BASE, ast.Store()), first.left)
            first.right = ast.NamedExpr(ast.Name(PART, ast.Store()), first.right)
        call = ast.Call(ast.Name(TELL, ast.Load()), [value, names, ast.Constant(sign)], [])
        return ast.copy_location(ast.Return(call), node)


def names_in(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def shrinking(node):
    """The names in a rule that gradient and states have no part in: the weights, the
    hyperparameters, and what is computed from these alone."""
    arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    touched = set(arguments[1:-1] if arguments[-1:] == ["t"] else arguments[1:])
    assigned = [(names_in(part.value), part) for part in ast.walk(node)
                if isinstance(part, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr))
                and part.value is not None]
    while True:
        before = len(touched)
        for used, part in assigned:
            if used & touched:
                targets = part.targets if isinstance(part, ast.Assign) else [part.target]
                touched |= set().union(*map(names_in, targets))
        if len(touched) == before:
            break
    every = {name for part in ast.walk(node) for name in names_in(part)} | set(arguments)
    return every - touched
