"""Tiny graphs that tell autograd engines apart: data, smallest first.

The one trick: a graph is text. The same lines run on minigrad's tensors and on a student's class,
and they are what is shown. Gradients are asked of the leaves.
"""

import ast
import functools
import itertools
from collections import namedtuple

Graph = namedtuple("Graph", "lines leaves calls", defaults=(1,))

A, B = {"a": -2.0}, {"a": -2.0, "b": 3.0}
POSITIVE = {"a": 0.8}
TABLE = ((0.5, -1.0, 2.0), (1.5, 0.25, -0.75))
WEIGHTS = ((1.0, -2.0, 3.0), (0.5, 4.0, -1.5))
ROW, COLUMN = (0.3, -0.7, 1.2), ((0.6,), (-1.1,))
TALL = ((1.0, -2.0), (0.5, 4.0), (-1.5, 3.0))
SQUARE, OTHER = ((0.5, -1.0), (1.5, 0.25)), ((0.3, -0.7), (1.2, 0.9))
SQUARE_WEIGHTS = ((1.0, -2.0), (3.0, 0.5))
WIDE = ((1.0, 0.5, -0.5, 2.0), (-1.0, 1.5, 0.7, 0.2), (0.4, -0.6, 1.1, -1.3))
WIDE_WEIGHTS = ((0.3, 1.0, -0.8, 0.6), (1.4, -0.2, 0.9, -1.7))
FUNCTIONS = ("relu", "tanh", "sigmoid", "exp", "log", "sqrt")
ARRAY_FUNCTIONS = ("sum", "sum_keepdims", "mean", "max", "transpose", "reshape", "softmax",
                   "log_softmax")
LARGE = ((1000.0, 0.0, 1.0), (0.0, 2.0, -3.0))


def graphs(*rows):
    return [Graph(tuple(lines.split("; ")), leaves) for lines, leaves in rows]


def scalar_graphs():
    """Graphs of single numbers, in a list."""
    return [*all_scalar_graphs()]


@functools.cache
def all_scalar_graphs():
    one = [("y = a + b", B), ("y = a * b", B), ("y = a - b", B), ("y = -a", A), ("y = a / b", B),
           ("y = a ** 3", A), ("y = a ** 2", A), ("y = a ** -1", A)]
    one += [(f"y = {f}(a)", POSITIVE) for f in FUNCTIONS]
    one += [("y = relu(a)", A), ("y = relu(a)", {"a": 0.0})]
    numbers = [(f"y = {x}", {"a": -3.0})  # not -2: there 2 / a is a / 2
               for x in ("a + 2", "a * 2", "a - 2", "a / 2", "2 + a", "2 * a", "2 - a", "2 / a")]
    again = [("y = a + a", A), ("y = a * a", A), ("y = a - a", A), ("y = a / a", A)]
    above = [(f"c = {x}; y = c * 3", {**B}) for x in ("a + b", "a * b", "a - b", "a / b")]
    above += [("c = -a; y = c * 3", A), ("c = a ** 3; y = c * -3", A)]
    above += [(f"c = {f}(a); y = c * -3", POSITIVE) for f in FUNCTIONS]
    above += [("c = relu(a); y = c * 3", A), ("c = relu(a); y = c * 3", {"a": 0.0})]
    forks = [(f"c = {x}; y = c + {other}", B) for x in ("a + b", "a * b", "a - b", "a / b")
             for other in "ab"]
    forks += [("c = -a; y = c + a", A), ("c = a ** 3; y = c + a", A)]
    forks += [(f"c = {f}(a); y = c + a", POSITIVE) for f in FUNCTIONS]
    deep = [("c = a * b; d = a + b; y = c * d", B),
            ("b = a * 3; c = b * 2; d = c * b; y = d + b", {"a": 2.0}),
            ("b = a * 3; c = b * 2; d = b * c; y = b + d", {"a": 2.0}),
            ("b = a * 3; c = b * 2; d = c * 2; e = d * 2; y = e * b", A),
            ("b = a * 3; c = b * 2; d = c * 2; e = d * 2; y = b * e", A),
            ("c = a * b; d = c + c; e = d * c; y = e + a", B),
            ("c = a + b; d = c * c; e = d + c; f = e * d; y = f + c", B),
            ("c = a * a; d = c * c; e = d + d; y = c * e", A)]
    twice = [Graph(("c = a * b", "y = c * 3"), B, 2),
             Graph(("c = a * b", "d = c + a", "y = d * c"), B, 2)]
    in_place = [("b = a * 2; c = b; d = b * b; c += 1; y = d + c", A)]
    return graphs(*one, *numbers, *again, *above, *forks, *deep) + twice + graphs(*in_place)


def array_graphs():
    """Graphs of arrays; each result is one number, with a different upstream for each entry."""
    return [*all_array_graphs()]


@functools.cache
def all_array_graphs():
    a, w = {"a": TABLE}, {"a": TABLE, "w": WEIGHTS}
    rows = [("y = sum(a)", a), ("y = mean(a)", a), ("y = mean(a)", {"a": WIDE}),
             ("y = sum(a * w)", w),
            ("c = sum(a); y = c * 3", a), ("c = mean(a); y = c * 3", a),
             ("c = a * w; y = mean(c)", w)]
    rows += [(f"c = {x}; y = sum(c * w)", {**w, "b": b})
             for b in (ROW, COLUMN, 2.0) for x in ("a + b", "a * b", "b * a", "a - b", "b - a")]
    rows += [("c = a / b; y = sum(c * w)", {**w, "b": ROW}),
             ("c = a @ b; y = sum(c * w)", {"a": SQUARE, "b": OTHER, "w": SQUARE_WEIGHTS}),
             ("c = a @ b; y = sum(c * w)", {"a": TABLE, "b": WIDE, "w": WIDE_WEIGHTS}),
             ("c = transpose(a); y = sum(c * w)", {"a": TABLE, "w": TALL}),
             ("c = transpose(a); y = sum(c * w)", {"a": SQUARE, "w": OTHER}),
             ("c = reshape(a); y = sum(c * w)", {"a": TABLE, "w": TALL}),
             ("c = softmax(a); y = sum(c * w)", w), ("c = log_softmax(a); y = sum(c * w)", w),
             ("c = softmax(a); y = sum(c * w)", {"a": LARGE, "w": WEIGHTS}),
             ("c = log_softmax(a); y = sum(c * w)", {"a": LARGE, "w": WEIGHTS}),
             ("c = sum(a, 0); y = sum(c * w)", {"a": TABLE, "w": ROW}),
             ("c = sum(a, 1); y = sum(c * w)", {"a": TABLE, "w": (2.0, -1.0)}),
             ("c = sum(a, 1); y = sum(c * w)", {"a": SQUARE, "w": (2.0, -1.0)}),
             ("c = sum_keepdims(a, 1); y = sum(c * w)", {"a": TABLE, "w": COLUMN}),
             ("y = max(a)", a), ("c = max(a); y = c * 3", a),
             ("c = a[0]; y = sum(c * w)", {"a": TABLE, "w": ROW}),
             ("c = a[0]; d = a[1]; y = sum(c * d)", a),
             ("c = relu(a); y = sum(c * w)", w), ("c = tanh(a); y = sum(c * w)", w),
             ("c = a @ b; d = c + a; y = sum(d * d)", {"a": SQUARE, "b": OTHER}),
             ("c = a + b; d = c + a; y = sum(d * w)",
              {"a": SQUARE, "b": OTHER, "w": SQUARE_WEIGHTS}),
             ("c = relu(a); d = c + a; y = sum(d * w)", w),
             ("c = a + b; d = relu(c); y = mean(d * c)", {"a": TABLE, "b": ROW})]
    return graphs(*rows)


# --- spelling ------------------------------------------------------------------------------------

# How engines compose: a - b as a + b * -1 (micrograd) or a + (-b) (needle); a / b as a * b**-1;
# 2 * a as a * 2.
SPELLINGS = tuple(itertools.product((None, "times", "neg"), (None, "power"), (False, True)))
PLAIN = SPELLINGS[0]


def spellings(graph):
    """The spellings under which a graph's lines differ."""
    return spellings_of(graph.lines)


@functools.cache
def spellings_of(lines):
    found = {}
    for spelling in SPELLINGS:
        found.setdefault("\n".join(spelled(line, spelling) for line in lines), spelling)
    return [*found.values()]


@functools.cache
def spelled(line, spelling):
    return ast.unparse(ast.fix_missing_locations(Spelled(spelling).visit(ast.parse(line))))


class Spelled(ast.NodeTransformer):
    """The operations that an engine composes, written out; reflected operands swapped if asked."""

    def __init__(self, spelling=PLAIN, swapped=()):
        self.minus, self.over, self.commuted = spelling
        self.swapped = swapped

    def visit_BinOp(self, node):
        node = self.generic_visit(node)
        kind, left, right = type(node.op).__name__, node.left, node.right
        if kind in self.swapped and isinstance(left, ast.Constant):
            left, right = right, left
        if kind == "Sub" and self.minus:
            return self.turned(left, ast.Add(), self.negative(right))
        if kind == "Div" and self.over:
            inverse = ast.BinOp(right, ast.Pow(), ast.UnaryOp(ast.USub(), ast.Constant(1)))
            return self.turned(left, ast.Mult(), inverse)
        return self.turned(left, node.op, right)

    def turned(self, left, op, right):
        """2 * a as a * 2, if that is how it is spelled."""
        if self.commuted and isinstance(left, ast.Constant) and isinstance(op, (ast.Add, ast.Mult)):
            left, right = right, left
        return ast.BinOp(left, op, right)

    def visit_UnaryOp(self, node):
        if isinstance(node.operand, ast.Constant):
            return node
        return self.negative(self.generic_visit(node).operand) if self.minus else node

    def visit_AugAssign(self, node):
        """c += 1 as c = c + 1: by the calculus, a change in place makes a new value."""
        old = ast.Name(node.target.id, ast.Load())
        return ast.Assign([node.target], ast.BinOp(old, node.op, node.value))

    def negative(self, node):
        if self.minus == "times":
            minus = ast.UnaryOp(ast.USub(), ast.Constant(1))
            return ast.BinOp(node, ast.Mult(), minus)
        return ast.UnaryOp(ast.USub(), node)


@functools.cache
def compiled(line, spelling=PLAIN, swapped=()):
    """The code of one line."""
    tree = Spelled(spelling, swapped).visit(ast.parse(line))
    return compile(ast.fix_missing_locations(tree), "<graph>", "exec")
