"""The source of a Python function, as a syntax tree.

The one trick: the tree is only believed if it compiles to the very code that the function runs. So
a file that was edited after it was imported, or one of two lambdas in a line, is never mistaken.
"""

import __future__

import ast
import builtins
import copy
import functools
import linecache
import types
from collections import namedtuple

Source = namedtuple("Source", "node names text")
CACHED = type(functools.cache(len))

FUTURE = functools.reduce(lambda flags, name: flags | getattr(__future__, name).compiler_flag,
                          __future__.all_feature_names, 0)
LAMBDAS = 10**7  # line numbers given to lambdas, so that two in a line are told apart


def source(function):
    """The Source of a Python function: its ast.FunctionDef (a lambda becomes one; the decorators'
    names are left out), the names its lines can see, and its text. None if the lines cannot be
    found, or have changed since the function was made.

    It is what the function runs: where a decorator has put another function around (and
    functools.wraps its name on it), the lines of that one. inspect.unwrap leads to the inner one.
    """
    function, bound = behind(function)
    if function is None:
        return None
    found = node_of(function)
    if found is None:
        return None
    cells = zip(function.__code__.co_freevars, function.__closure__ or ())
    closure = {name: cell.cell_contents for name, cell in cells if filled(cell)}
    names = {**vars(builtins), **function.__globals__, **closure, **bound}
    return Source(found[0], names, found[1])


def plain(function):
    """The Python function that a callable is: itself, or what a partial calls or a functools.cache
    remembers. None if that is no Python function."""
    found, bound = behind(function)
    return None if bound else found


def behind(function):
    """(the Python function that a callable runs, or None; {"self": what a method is bound to}): as
    `plain`, and the functions of methods and of objects with __call__."""
    while not isinstance(function, types.FunctionType):
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, CACHED):
            function = function.__wrapped__
        else:
            break
    if not callable(function) or isinstance(function, (types.FunctionType, type)):
        return (function if isinstance(function, types.FunctionType) else None), {}
    if not isinstance(function, types.MethodType):
        function = getattr(function, "__call__", None)
    inner = getattr(function, "__func__", None)
    if not isinstance(inner, types.FunctionType) or not inner.__code__.co_argcount:
        return None, {}
    return inner, {inner.__code__.co_varnames[0]: function.__self__}


def filled(cell):
    try:
        cell.cell_contents
    except ValueError:  # assigned later than the function was made
        return False
    return True


@functools.lru_cache(1024)
def node_of(function):
    """(ast.FunctionDef, its text) of a function in its file, or None."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not 0 < code.co_firstlineno <= len(lines):
        return None
    modules = tuple(sorted(name for name, value in function.__globals__.items()
                           if isinstance(value, types.ModuleType) and name.isidentifier()))
    for first, last in (around(code.co_firstlineno, lines), (1, len(lines))):
        for node, compiled in functions_in("".join(lines[first - 1:last]), first, modules):
            if same_code(compiled, code) and stands_at(node, code):
                node = as_function(node)
                return node, ast.unparse(node)
    return None


def around(number, lines):
    """(first, last) line of the top-level statement that holds a line: parsing only this one is
    much faster than parsing the file."""
    def begins(line):
        return line[:1] not in " \t\n\r#)]}" and line.strip() != ""
    first = number
    while first > 1 and not begins(lines[first - 1]):
        first -= 1
    while first > 1 and lines[first - 2].startswith("@"):
        first -= 1
    last = number
    while last < len(lines) and (not begins(lines[last]) or lines[last - 1].startswith("@")):
        last += 1
    return first, last


@functools.lru_cache(256)
def functions_in(text, first, modules):
    """[(node, its code)] of all defs and lambdas in a text that begins at line `first` of a file.

    `modules` are names that the file imports: Python compiles calls of their functions another way.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    ast.increment_lineno(tree, first - 1)
    marked = copy.deepcopy(tree)
    nodes, by_line = {}, {}
    for node, twin in zip(ast.walk(tree), ast.walk(marked)):
        if isinstance(node, ast.FunctionDef):
            nodes[node.name, min([node.lineno, *[d.lineno for d in node.decorator_list]])] = node
        elif isinstance(node, ast.Lambda):
            twin.lineno = twin.end_lineno = LAMBDAS + len(by_line)
            by_line[twin.lineno] = node
    if modules:
        marked.body.insert(0, ast.Import([ast.alias(name) for name in modules]))
        ast.fix_missing_locations(marked)
    try:
        whole = compile(marked, "<source>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return []
    found = []
    for code in codes_in(whole):
        node = by_line.get(code.co_firstlineno) or nodes.get((code.co_name, code.co_firstlineno))
        if node is not None:
            found.append((node, code))
    return found


def codes_in(code):
    """All code objects inside a code object, at any depth."""
    waiting = [code]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [c for c in code.co_consts if isinstance(c, types.CodeType)]


def same_code(one, other):
    """Do two code objects compute the same, in the same way?"""
    return (one.co_name == other.co_name and one.co_code == other.co_code
            and one.co_varnames == other.co_varnames and one.co_names == other.co_names
            and constants(one) == constants(other))


def constants(code):
    return [(type(c), c) for c in code.co_consts if not isinstance(c, types.CodeType)]


def stands_at(node, code):
    """Does the code come from the line where the node stands?"""
    lines = [node.lineno, *[d.lineno for d in getattr(node, "decorator_list", [])]]
    return min(lines) == code.co_firstlineno


def as_function(node):
    """A def without its decorators; a lambda as a def that returns its expression."""
    node = copy.deepcopy(node)
    if isinstance(node, ast.Lambda):
        node = ast.FunctionDef("<lambda>", node.args, [ast.Return(node.body)], [], None, None)
    node.decorator_list = []
    if "type_params" in ast.FunctionDef._fields and not hasattr(node, "type_params"):
        node.type_params = []  # Python 3.12
    return ast.fix_missing_locations(node)
