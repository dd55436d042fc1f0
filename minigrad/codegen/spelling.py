"""The spelling of one NumPy operation: as a person writes it.

The one trick: every rewriting here keeps the numbers to the last bit. `np.add.reduce(x, axis=None,
keepdims=False)` and `x.sum()` are one function; `np.square(x)` is what `x**2` calls; 0.1 * (2 * d)
is 0.2 * d because a power of two only moves the exponent (short of overflow).
"""

import ast
import math

import numpy as np

UFUNCS = {"np.add": ast.Add, "np.subtract": ast.Sub, "np.multiply": ast.Mult, "np.divide": ast.Div,
          "np.matmul": ast.MatMult, "np.floor_divide": ast.FloorDiv, "np.remainder": ast.Mod}
COMPARE = {"np.equal": ast.Eq, "np.not_equal": ast.NotEq, "np.less": ast.Lt,
           "np.less_equal": ast.LtE, "np.greater": ast.Gt, "np.greater_equal": ast.GtE}
REDUCE = {"np.add.reduce": "sum", "np.maximum.reduce": "max", "np.minimum.reduce": "min",
          "np.multiply.reduce": "prod"}
REDUCTIONS = {"sum", "max", "min", "prod", "mean", "any", "all"}


class Spelling(ast.NodeTransformer):
    """Rewrites the node of one statement. `values`: {name: example}; `result`: that of the node."""

    def __init__(self, values, result):
        self.values, self.result = values, result

    def example(self, node):
        return self.values.get(node.id) if isinstance(node, ast.Name) else None

    def visit_Call(self, node):
        self.generic_visit(node)
        function = ast.unparse(node.func)
        keywords = {k.arg: k.value for k in node.keywords}
        if function in UFUNCS and len(node.args) == 2 and not keywords:
            return self.visit_BinOp(ast.BinOp(node.args[0], UFUNCS[function](), node.args[1]))
        if function in COMPARE and len(node.args) == 2 and not keywords:
            return ast.Compare(node.args[0], [COMPARE[function]()], [node.args[1]])
        if function == "np.negative" and not keywords:
            return ast.UnaryOp(ast.USub(), node.args[0])
        if function == "np.square" and is_float(self.example(node.args[0])):
            return self.visit_BinOp(ast.BinOp(node.args[0], ast.Pow(), ast.Constant(2)))
        if function in REDUCE and len(node.args) == 1 and set(keywords) <= {"axis", "keepdims"}:
            return self.reduction(node.args[0], REDUCE[function], [], {"axis": ast.Constant(0),
                                                                       **keywords})
        if isinstance(node.func, ast.Attribute) and node.func.attr in REDUCTIONS and (
                isinstance(node.func.value, ast.Name) and node.func.value.id != "np"):
            return self.reduction(node.func.value, node.func.attr, node.args, keywords)
        return self.turned(node, function, keywords)

    def turned(self, node, function, keywords):
        """The same numbers in another shape."""
        x = node.args[0] if node.args else None
        method = isinstance(node.func, ast.Attribute) and not function.startswith("np.")
        owner = node.func.value if method else x
        dims = (node.args if method else node.args[1:])
        if method and node.func.attr == "reshape" and len(dims) == 1 and (
                isinstance(dims[0], ast.Tuple)) and dims[0].elts:
            return ast.Call(node.func, dims[0].elts, [])
        if (function == "np.transpose" or (method and node.func.attr == "transpose")) and (
                len(dims) == 1 and not keywords):
            order = literal(dims[0], self.values)
            if order is not None:
                return transposed(owner, [int(d) % len(order) for d in order])
        if method and node.func.attr == "copy" and np.ndim(self.result) == 0:
            return ast.Call(ast.parse("np.array", mode="eval").body, [owner], [])
        if method and node.func.attr == "swapaxes" and np.ndim(self.result) == 2:
            return transposed(owner, [1, 0])
        if function == "np.expand_dims" and isinstance(x, ast.Name):
            return self.expanded(x, node)
        if function == "np.einsum" and is_constant(keywords.get("optimize"), False):
            return ast.Call(node.func, node.args, [])
        if function == "np.absolute":
            return ast.Call(ast.parse("np.abs", mode="eval").body, node.args, node.keywords)
        if method and node.func.attr == "astype" and self.same_type(owner):
            return owner
        if method and node.func.attr == "astype" and len(node.args) == 1:
            return ast.Call(node.func, [short_dtype(node.args[0])], [])
        return node

    def same_type(self, owner):
        value = self.example(owner)
        return isinstance(value, (np.ndarray, np.generic)) and (
            value.dtype == self.result.dtype and value.shape == self.result.shape)

    def expanded(self, x, node):
        axis = literal(node.args[1], {}) if len(node.args) == 2 else None
        if not isinstance(axis, int) or not isinstance(self.example(x), np.ndarray):
            return node
        axis %= np.ndim(self.result)
        if axis == np.ndim(self.result) - 1 and axis > 1:
            return ast.Subscript(x, ast.Tuple([ast.Constant(...), ast.Constant(None)]))
        return ast.Subscript(x, ast.Tuple([*[ast.Slice()] * axis, ast.Constant(None)])
                             if axis else ast.Constant(None))

    def reduction(self, owner, name, args, keywords):
        """x.sum(1, keepdims=True), without what goes without saying."""
        keywords, args = dict(keywords), list(args)
        x, axis = self.example(owner), keywords.pop("axis", args[0] if args else None)
        if is_constant(keywords.get("keepdims"), False):
            del keywords["keepdims"]
        if "initial" in keywords and name == "max" and x is not None and x.size and (
                ast.unparse(keywords["initial"]) == "-np.inf"):
            del keywords["initial"]
        if isinstance(axis, ast.Tuple) and len(axis.elts) == 1:
            axis = axis.elts[0]
        axis = [] if axis is None or is_constant(axis, None) else [axis]
        return ast.Call(ast.Attribute(owner, name), axis,
                        [ast.keyword(k, v) for k, v in keywords.items()])

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow) and np.ndim(self.result) == 0:
            return scalar_power(node)
        if isinstance(node.op, ast.Mult) and is_constant(node.left, -1.0):
            return ast.UnaryOp(ast.USub(), node.right)
        if isinstance(node.op, ast.Mult) and is_one(node.left) and self.same_type(node.right):
            return node.right
        if isinstance(node.op, (ast.Mult, ast.Div)) and is_one(node.right) and (
                self.same_type(node.left)):
            return node.left
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if node.attr == "mT" and np.ndim(self.result) == 2:
            return transposed(node.value, [1, 0])
        return node

    def visit_Subscript(self, node):
        self.generic_visit(node)
        return indexed(node)


def indexed(node):
    """x[:4] for x[(slice(0, 4, 1), ...)]."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if len(parts) > 1 and is_constant(parts[-1], ...):
        parts = parts[:-1]
    parts = [short_slice(part) if isinstance(part, ast.Slice) else part for part in parts]
    alone = len(parts) == 1 and not isinstance(parts[0], ast.Tuple)
    return ast.Subscript(node.value, parts[0] if alone else ast.Tuple(parts), node.ctx)


def short_slice(part):
    lower = None if is_constant(part.lower, 0) else part.lower
    return ast.Slice(lower, part.upper, None if is_constant(part.step, 1) else part.step)


def is_float(x):
    return isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"


def is_one(node):
    return is_constant(node, 1) or is_constant(node, 1.0)


def is_constant(node, value):
    """Is a node this constant? (False is not 0 here.)"""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and value:
        return is_constant(node.operand, -value)
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and (
        node.value == value)


def literal(node, values):
    """What a node of known values stands for, or None."""
    if isinstance(node, ast.Name):
        found = values.get(node.id)
        return found.tolist() if isinstance(found, np.ndarray) else None
    try:
        return ast.literal_eval(ast.unparse(node))
    except ValueError:
        return None


def transposed(x, order):
    """x with its dimensions in another order."""
    if order == [1, 0]:
        twice = isinstance(x, ast.Attribute) and x.attr == "T"
        return x.value if twice else ast.Attribute(x, "T")
    if order == list(range(len(order))):
        return x
    if len(order) > 2 and order == [*range(len(order) - 2), len(order) - 1, len(order) - 2]:
        return ast.Attribute(x, "mT")
    return ast.Call(ast.Attribute(x, "transpose"), [ast.Constant(d) for d in order], [])


def scalar_power(node):
    """A power of a single number. NumPy computes x**n of a number and of an array in two ways;
    the functions are one for both."""
    if is_constant(node.right, 2):
        return ast.Call(ast.parse("np.square", mode="eval").body, [node.left], [])
    if is_constant(node.right, 0.5):
        return ast.Call(ast.parse("np.sqrt", mode="eval").body, [node.left], [])
    if is_constant(node.right, -1):
        return ast.BinOp(ast.Constant(1), ast.Div(), node.left)
    return ast.Call(ast.parse("np.power", mode="eval").body, [node.left, node.right], [])


def short_dtype(node):
    """np.dtype('float32') as np.float32."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.dtype":
        name = node.args[0].value
        if getattr(np, name, None) is not None and np.dtype(name).name == name:
            return ast.Attribute(ast.Name("np"), "bool" if name == "bool" else name)
    return node


def spelled(node, values, result):
    """The node of a statement as a person writes it."""
    copied = ast.parse(ast.unparse(ast.fix_missing_locations(node))).body[0]
    body = Spelling(values, result).visit(copied)
    return body.value if isinstance(body, ast.Expr) else body


# --- after expressions were put into one another --------------------------------------------------

class Folding(ast.NodeTransformer):
    """c * (2 * x) as (2 c) * x; a - -b as a + b; (x.T).T as x."""

    def visit_BinOp(self, node):
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult):
            return self.product(node)
        if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(node.right, ast.UnaryOp) and (
                isinstance(node.right.op, ast.USub)) and not isinstance(
                node.right.operand, ast.Constant):
            other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            return ast.BinOp(node.left, other, node.right.operand)
        return node

    def visit_UnaryOp(self, node):
        """-(-a * b) as a * b"""
        self.generic_visit(node)
        inner = node.operand
        if isinstance(node.op, ast.USub) and isinstance(inner, ast.BinOp) and isinstance(
                inner.op, (ast.Mult, ast.Div)) and isinstance(inner.left, ast.UnaryOp) and (
                isinstance(inner.left.op, ast.USub)):
            return ast.BinOp(inner.left.operand, inner.op, inner.right)
        return node

    def product(self, node):
        for c, product in ((node.left, node.right), (node.right, node.left)):
            if not (isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult)):
                continue
            for two, x in ((product.left, product.right), (product.right, product.left)):
                first, second = number(c), number(two)
                if first is not None and second is not None and (
                        is_exact(first) or is_exact(second)):
                    value = first * second
                    if math.isfinite(value) and abs(value) > 1e-30:
                        return scaled(value, x)
        return node

    def visit_Call(self, node):
        """x.copy().T.copy() as x.T.copy(): what is put in order last decides."""
        self.generic_visit(node)
        if is_method(node, "copy"):
            above, inner = node.func, node.func.value
            while (isinstance(inner, ast.Attribute) and inner.attr in ("T", "mT")) or is_method(
                    inner, "transpose"):
                above = inner if isinstance(inner, ast.Attribute) else inner.func
                inner = above.value
            if is_method(inner, "copy"):
                above.value = inner.func.value
        return node

    def visit_Attribute(self, node):
        self.generic_visit(node)
        if node.attr in ("T", "mT") and isinstance(node.value, ast.Attribute) and (
                node.value.attr == node.attr):
            return node.value.value
        return node


def is_method(node, name):
    """Is a node a call of x.name?"""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and (
        node.func.attr == name)


def scaled(value, x):
    """value * x"""
    if abs(value) != 1:
        factor = ast.Constant(abs(value))
        return ast.BinOp(ast.UnaryOp(ast.USub(), factor) if value < 0 else factor, ast.Mult(), x)
    return x if value == 1 else ast.UnaryOp(ast.USub(), x)


def number(node):
    """The float or int that a node is, or None."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = number(node.operand)
        return None if inner is None else -inner
    return None


def is_exact(value):
    """Is multiplying by this number exact (2, 4, 8, -2, ...)?"""
    return abs(value) in (2, 4, 8, 16)
