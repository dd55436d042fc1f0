"""Functions that a printed program calls, in their own words.

The one trick: a function's source is data. It is printed as it stands in its file, after the
functions it calls in turn; what only the engine's tensors need (`isinstance(x, Recorded)`) is false
for arrays, and so left out.
"""

import ast
import builtins
import importlib
import linecache
import re
import sys
import textwrap
import types

from minigrad.codegen.printer import Names
from minigrad.lines.values import name_in_numpy
from minigrad.codegen.wording import copied, wrapped
from minigrad.engine import Primitive, Recorded
from minigrad.sources import plain, source

HOMES = ("minigrad.calculus", "minigrad.convolution", "minigrad.ops", "minigrad.optim.rules")


class Helpers:
    """The texts of functions and of what they need. `texts`: [text], callees first; `imports`:
    lines of modules to be imported."""

    def __init__(self, taken=()):
        self.texts, self.imports, self.done = [], set(), {}
        self.taken = set(taken)

    def add(self, name, x):
        """Makes sure that `name` means x in the text. ValueError if its source is not known."""
        if name in self.done:
            if self.done[name] is not x:
                raise ValueError(f"two different functions are called {name}: rename one of them")
            return
        self.done[name] = x
        if isinstance(x, Primitive):
            x = x.forward
        x = getattr(x, "ufunc", x)
        known = name_in_numpy(x) if callable(x) else None
        if known is not None and not isinstance(x, types.FunctionType):
            if known != name:
                self.texts.append(f"{name} = {known}")
            self.need_module(known)
        elif isinstance(x, types.FunctionType) and (x.__module__ or "").startswith("numpy"):
            self.imports.add(numpy_import(name, x))
        elif plain(x) is not None:
            self.add_function(name, x)
        else:
            self.add_value(name, x)

    def need_module(self, text):
        if text.startswith("math."):
            self.imports.add("import math")

    def add_function(self, name, function):
        found = source(function)
        if found is None:
            raise ValueError(f"the source of {name} cannot be found (it was not read from a file, "
                             "or the file has changed since): the program that calls it cannot "
                             "be printed; define it in a file")
        node = Arrays(found.names).visit(copied(found.node))
        node.name = name
        changed = ast.dump(node.args) + ast.dump(ast.Module(node.body, [])) != (
            ast.dump(found.node.args) + ast.dump(ast.Module(found.node.body, [])))
        if changed:
            without_aliases(node)
        for used in names_outside(node):
            if used in found.names and not hasattr(builtins, used):
                self.mention(used, found.names[used])
        text = None if changed or name != found.node.name else as_written(function, found)
        self.texts.append(text or unparsed(node))

    def mention(self, name, x):
        """A global that the source of a function names."""
        if isinstance(x, types.ModuleType):
            self.imports.add(f"import {x.__name__}" + (
                f" as {name}" if name != x.__name__ else ""))
        else:
            self.add(name, x)

    def add_value(self, name, x):
        """An object that is no function: by the line of the file that makes it."""
        if isinstance(x, (int, float, str, bool, tuple)):
            self.texts.append(f"{name} = {x!r}")
            return
        home = line_of(x)
        if home is None:
            raise ValueError(f"{name}, a {type(x).__name__}, is used by the program and has no "
                             "source that could be printed")
        text, names = home
        for used in names_outside(ast.parse(text)):
            if used in names and not hasattr(builtins, used):
                self.mention(used, names[used])
        self.texts.append(f"{name} = {text}")


class Arrays(ast.NodeTransformer):
    """A function for arrays only: what asks whether something is a tensor is answered, no."""

    def __init__(self, names):
        self.names = names

    def answer(self, node):
        """True or False, for a test that is known; None for others."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and (
                node.func.id == "isinstance"):
            kind = self.names.get(getattr(node.args[1], "id", None))
            return False if isinstance(kind, type) and issubclass(kind, Recorded) else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.answer(node.operand)
            return None if inner is None else not inner
        return None

    def visit_IfExp(self, node):
        self.generic_visit(node)
        known = self.answer(node.test)
        return node if known is None else node.body if known else node.orelse

    def visit_If(self, node):
        self.generic_visit(node)
        known = self.answer(node.test)
        return node if known is None else node.body if known else node.orelse


def without_aliases(node):
    """Takes `values = c` out of a def: what was an array or a tensor is an array."""
    same = {part.targets[0].id: part.value.id for part in node.body
            if isinstance(part, ast.Assign) and isinstance(part.value, ast.Name)
            and isinstance(part.targets[0], ast.Name)}
    node.body = [Names(same).visit(part) for part in node.body
                 if not (isinstance(part, ast.Assign) and isinstance(part.value, ast.Name))]


def names_outside(node):
    """Names that a function reads from around it, in order."""
    bound = {a.arg for part in ast.walk(node) if isinstance(part, ast.arguments)
             for a in (*part.posonlyargs, *part.args, *part.kwonlyargs,
                       *filter(None, (part.vararg, part.kwarg)))}
    bound |= {part.id for part in ast.walk(node)
              if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    found = dict.fromkeys(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return [name for name in found if name not in bound]


def as_written(function, found):
    """The lines of a def as they stand in the file, comments and all, without decorators; None for
    a lambda."""
    function = plain(function)
    if found.node.name != function.__name__ or function.__name__ == "<lambda>":
        return None
    lines = linecache.getlines(function.__code__.co_filename, function.__globals__)
    text = textwrap.dedent("".join(lines[found.node.lineno - 1:found.node.end_lineno])).rstrip()
    return text if re.match(rf"def {function.__name__}\b", text) else None


def unparsed(node):
    """A def as text, long lines broken."""
    lines = []
    for line in ast.unparse(ast.fix_missing_locations(node)).replace(" ** ", "**").splitlines():
        indent = line[:len(line) - len(line.lstrip())]
        is_text = line.lstrip().startswith(('"', "'"))
        lines += [line] if is_text else wrapped(line, indent=indent)
    return "\n".join(lines)


def line_of(x):
    """(text of the value, names around it) of the top-level line `name = ...` that made an object
    of the table, or None."""
    for home in HOMES:
        module = sys.modules.get(home) or importlib.import_module(home)
        name = next((k for k, v in vars(module).items() if v is x), None)
        if name is None:
            continue
        for node in ast.parse("".join(linecache.getlines(module.__file__))).body:
            if isinstance(node, ast.Assign) and [ast.unparse(t) for t in node.targets] == [name]:
                return ast.unparse(node.value), vars(module)
    return None


def numpy_import(name, x):
    """The import of a function of NumPy's that np itself does not show."""
    for home in ("numpy.lib.stride_tricks", "numpy.linalg", x.__module__):
        if getattr(sys.modules.get(home), x.__name__, None) is x:
            shown = "" if name == x.__name__ else f" as {name}"
            return f"from {home} import {x.__name__}{shown}"
    raise ValueError(f"the program calls {x.__name__} of NumPy, which cannot be imported by name")
