"""How to talk to somebody else's autograd class: leaves, values, gradients, backward.

The one trick: nothing is asked that a small trial cannot answer. A leaf is made in the ways that
constructors allow, and whatever attributes are called is found by what they hold. What cannot be
found is given, in five lines:

    adapter = EngineAdapter(
        Node,
        data=lambda node: node.number,
        backward=lambda node: sweep(node),
        functions={"exp": exp, "add": plus})
    print(diagnose_autograd(adapter))
"""

import ast
import functools
import inspect
import numbers

import numpy as np

from minigrad.coursework.engines.graphs import ARRAY_FUNCTIONS, FUNCTIONS

DATA = ("data", "value", "array", "cached_data", "val", "v", "_data", "_value", "x")
GRAD = ("grad", "derivative", "gradient", "_grad", "adjoint", "grad_value", "bar", "g")
ARRAY = ("numpy", "to_numpy", "realize_cached_data")
BACKWARD = ("backward", "backprop", "backpropagate", "backward_pass", "backwards")
OTHER_NAMES = {"sum": ("sum", "summation"), "transpose": ("T", "transpose", "t"),
               "sigmoid": ("sigmoid", "sigm", "logistic"), "log": ("log", "ln"),
               "log_softmax": ("log_softmax", "logsoftmax"), "matmul": ("matmul", "dot", "mm"),
               "mul": ("mul", "multiply"), "div": ("div", "truediv", "divide"),
               "sub": ("sub", "subtract"), "neg": ("neg", "negate"), "pow": ("pow", "power")}
OPERATORS = {"Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div", "Pow": "pow",
             "MatMult": "matmul", "USub": "neg"}
SPECIAL = {"div": "__truediv__"}  # the others are called as they read
# What a constructor may ask for besides the number.
FILLED = {"requires_grad": True, "label": "", "name": "", "op": "", "_op": "", "children": (),
          "_children": (), "parents": (), "prev": (), "inputs": ()}


class EngineAdapter:
    """What diagnose_autograd needs of a class. Every part may be given, the rest is found.

    make: the class, or a function that makes a leaf. leaf(x): a leaf that wants a gradient, of a
    float or an ndarray. data(t), grad(t): the numbers of a node (grad may be None: none arrived).
    backward(t): fills the gradients. functions: {"tanh": f, "sum": f, "add": f, ...} where they are
    neither methods nor functions beside the class.
    """

    def __init__(self, make, leaf=None, data=None, grad=None, backward=None, functions=None):
        self.make = make
        # Functions in the file of the class: exp(x), backward(y).
        around = getattr(getattr(make, "__init__", None), "__globals__", {})
        self.beside = {name: f for name, f in around.items()
                       if getattr(f, "__globals__", None) is around and isinstance(make, type)}
        self.functions = {**self.operators(), **(functions or {})}
        self.data = data or self.found_data
        self.grad = grad or self.found_grad
        self.backward = backward or self.found_backward
        self.leaf = leaf or self.found_leaf
        # As a student would type them; what is found out says more.
        self.typed_leaf, self.typed_grad, self.typed_backward = "{}", "{}.grad", "y.backward()"

    def operators(self):
        """{"add": f} of a class that has a method add, but no +."""
        if not isinstance(self.make, type):
            return {}
        found = {}
        for name in OPERATORS.values():
            method = next((m for m in OTHER_NAMES.get(name, (name,))
                           if callable(getattr(self.make, m, None))), None)
            if method and not hasattr(self.make, SPECIAL.get(name, f"__{name}__")):
                found[name] = lambda a, *b, method=method: getattr(a, method)(*b)
        return found

    def found_leaf(self, x):
        t = self.first_made(np.asarray(x, dtype=float) if np.ndim(x) else float(x))
        if getattr(t, "requires_grad", True) is False:
            t.requires_grad = True
        elif callable(getattr(t, "requires_grad_", None)):
            t.requires_grad_(True)
        return t

    def first_made(self, x):
        """A leaf, by the first way of making one that the class takes."""
        needed, known = self.parameters
        ways = [(x, {"requires_grad": True})] if "requires_grad" in known else []
        ways += [(x, needed), (np.array(x), needed), (np.array([x]) if np.ndim(x) == 0 else x, {})]
        if not known:
            ways.insert(0, (x, {"requires_grad": True}))
        for value, more in ways[:-1]:
            options = {**needed, **more}
            try:
                made = self.make(value, **options)
            except TypeError:
                continue
            array = isinstance(value, np.ndarray) and np.ndim(x) == 0
            self.typed_leaf = ", ".join(["np.array({})" if array else "{}", *(
                f"{name}={given!r}" for name, given in options.items())])
            return made
        return self.make(ways[-1][0], **ways[-1][1])

    @functools.cached_property
    def parameters(self):
        """({what the constructor needs besides the number: a value}, all its names)."""
        try:
            given = [*inspect.signature(self.make).parameters.values()][1:]
        except (TypeError, ValueError):  # as of functions written in C
            return {}, ()
        needed = {p.name: FILLED[p.name] for p in given
                  if p.default is p.empty and p.name in FILLED}
        names = tuple(p.name for p in given if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
        return needed, names or ("nothing more",)

    def found_data(self, t):
        """The numbers of a node, as an ndarray. AttributeError if nothing in it is a number."""
        t = t.detach() if callable(getattr(t, "detach", None)) else t
        for _ in range(4):  # a Value in a Value in ...
            if isinstance(t, (numbers.Real, list, tuple, np.ndarray, np.generic)):
                return np.array(t, dtype=float)
            method = next((name for name in ARRAY if callable(getattr(t, name, None))), None)
            name = next((name for name in DATA if getattr(t, name, None) is not None), None)
            name = name or next((n for n, x in getattr(t, "__dict__", {}).items()
                                 if n not in GRAD and measured(x)), None)
            if method is None and name is None:
                break
            t = getattr(t, method)() if method else getattr(t, name)
            t = t() if inspect.ismethod(t) else t
        raise AttributeError(f"a {type(t).__name__} shows no numbers: looked for "
                             f"{', '.join((*ARRAY, *DATA))}; give data= to EngineAdapter")

    def found_grad(self, t):
        others = [n for n, x in getattr(t, "__dict__", {}).items()
                  if ("grad" in n or "deriv" in n) and not callable(x) and not isinstance(x, bool)]
        for name in (*GRAD, *others):
            if hasattr(t, name):
                g = getattr(t, name)
                self.typed_grad = "{}." + name + ("()" if inspect.ismethod(g) else "")
                g = g() if inspect.ismethod(g) else g
                return None if g is None else self.data(g)
        raise AttributeError(f"a {type(t).__name__} has no gradient: looked for "
                             f"{', '.join(GRAD)}; give grad= to EngineAdapter")

    def found_backward(self, t):
        for name in BACKWARD:
            f = getattr(t, name, None)
            if f is not None:
                given = self.seed(f, t)
                self.typed_backward = f"y.{name}({'1.0' if given else ''})"
                return f(*given)
            if name in self.beside:
                f = self.beside[name]
                given = self.seed(f, t, skipped=1)
                self.typed_backward = f"{name}(y{', 1.0' if given else ''})"
                return f(t, *given)
        raise AttributeError(f"a {type(t).__name__} has no backward: looked for "
                             f"{', '.join(BACKWARD)}; give backward= to EngineAdapter")

    def seed(self, f, t, skipped=0):
        """(1,) for a backward that must be given the gradient of the result; otherwise ()."""
        try:
            given = [*inspect.signature(f).parameters.values()][skipped:]
        except (TypeError, ValueError):
            return ()
        if not given or given[0].default is not given[0].empty or given[0].kind not in (
                given[0].POSITIONAL_ONLY, given[0].POSITIONAL_OR_KEYWORD):
            return ()
        ones = np.ones(np.shape(self.data(t)))
        return (ones if isinstance(getattr(t, "data", None), np.ndarray) else float(ones.sum()),)

    def names(self):
        """The functions that the lines of graphs call."""
        wanted = (*FUNCTIONS, *ARRAY_FUNCTIONS, *OPERATORS.values())
        return {name: Call(self, name) for name in wanted}

    def compiled(self, line):
        """The code of a line; operators that the class has as functions are called."""
        return called(line, frozenset(self.functions))


    def program(self, graph, shown):
        """The lines of a graph as one would type them for this class, what is wrong last.

        shown: the leaf whose gradient is wrong, or "value", or "y" (backward raises)."""
        make = getattr(self.make, "__name__", "")
        make = make if make.isidentifier() else "leaf"
        lines = [f"{name} = {make}({self.typed_leaf.format(typed(x))})"
                 for name, x in graph.leaves.items()]
        for line in graph.lines:
            tree = Typed(self.make).visit(Operators(self.functions).visit(ast.parse(line)))
            lines.append(ast.unparse(ast.fix_missing_locations(tree)))
        if shown == "value":
            return [*lines, "print(y)"]
        lines += [self.typed_backward] * graph.calls
        return lines if shown == "y" else [*lines, f"print({self.typed_grad.format(shown)})"]


def measured(x):
    """Is this a number that may be a value? (A whole number may as well count something.)"""
    return isinstance(x, np.ndarray) or isinstance(x, numbers.Real) and not isinstance(x, int)


def typed(x):
    return repr(x) if np.ndim(x) == 0 else f"np.array({np.asarray(x).tolist()})"


class Typed(ast.NodeTransformer):
    """f(x) as x.f(), where the class has such a method."""

    def __init__(self, make):
        self.make = make

    def visit_Call(self, node):
        node = self.generic_visit(node)
        name, (x, *more) = node.func.id, node.args
        names = [n for n in OTHER_NAMES.get(name, (name,)) if hasattr(self.make, n)]
        if name == "sum_keepdims":
            return ast.Call(ast.Attribute(x, "sum", ast.Load()), more, [
                ast.keyword("keepdims", ast.Constant(True))])
        if name == "reshape":
            more = [ast.Starred(ast.parse(f"{ast.unparse(x)}.shape[::-1]", mode="eval").body)]
        if not names:
            return node
        method = ast.Attribute(x, names[0], ast.Load())
        return method if names[0] == "T" else ast.Call(method, more, [])


@functools.cache
def called(line, functions):
    """The code of a line in which operators of these names are calls."""
    tree = Operators(functions).visit(ast.parse(line))
    return compile(ast.fix_missing_locations(tree), "<graph>", "exec")


class Operators(ast.NodeTransformer):
    """a + b as add(a, b), for the operators in `functions`."""

    def __init__(self, functions):
        self.functions = functions

    def visit_BinOp(self, node):
        return self.turned(self.generic_visit(node), node.left, node.right)

    def visit_UnaryOp(self, node):
        return node if isinstance(node.operand, ast.Constant) else self.turned(
            self.generic_visit(node), node.operand)

    def turned(self, node, *operands):
        name = OPERATORS.get(type(node.op).__name__)
        if name not in self.functions:
            return node
        return ast.Call(ast.Name(name, ast.Load()), [*operands], [])


class Missing(Exception):
    """The class does not have this operation."""


class Call:
    """One function of the lines, called on a student's node."""

    def __init__(self, adapter, name):
        self.adapter, self.name = adapter, name

    def __call__(self, x, *more, **options):
        given = self.adapter.functions.get(self.name)
        if given is not None:
            return given(x, *more, **options)
        names = OTHER_NAMES.get(self.name, (self.name,))
        for name in names:
            method = getattr(x, name, None)
            if method is not None:  # x.T is no method
                return self.called(method, x, *more, **options) if callable(method) else method
        for name in names:
            if name in self.adapter.beside:
                return self.adapter.beside[name](x, *more, **options)
        raise Missing(self.name)

    def called(self, method, x, *more, **options):
        if self.name == "reshape":
            shape = self.adapter.data(x).shape[::-1]
            return first_that_fits(method, [(shape,), shape])
        if self.name in ("softmax", "log_softmax"):
            return first_that_fits(method, [(-1,), (1,), ()])
        return method(*more, **options)


def first_that_fits(method, choices):
    """method(*arguments) of the first choice that its signature takes."""
    for arguments in choices[:-1]:
        try:
            return method(*arguments)
        except TypeError:
            continue
    return method(*choices[-1])
