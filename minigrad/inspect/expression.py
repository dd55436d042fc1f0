"""Records printed as NumPy: expression(loss, names) is "((np.tanh(x @ W + b) - y)**2).mean()".

The one trick: a record becomes a Python syntax tree, operator by operator, and ast.unparse writes
the tree with no parenthesis too many. Binary operators print by their symbol, NumPy's own functions
by their name, so most rows of the table print without being mentioned here.

Broadcasting needs no words in NumPy. Where an operand is only stretched to fit another (`expand`,
leading dimensions of size 1), it prints in its short, *loose* form. Where its very shape counts,
under `@` or a sum, it prints in full, *exact*. At the top of an expression the loose form is taken,
unless the record that is printed does nothing but that: `x.unsqueeze(0)` is "x[None]", not "x".

Letters in templates: x, w, b are the inputs in order; words are options of the operation.
"""

import ast
import math

import numpy as np

from minigrad import ops
from minigrad.engine import Recorded, as_of

OPERATORS = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "**": ast.Pow,
             "@": ast.MatMult, "&": ast.BitAnd, "|": ast.BitOr}
COMPARISONS = {"==": ast.Eq, "!=": ast.NotEq, "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt,
               ">=": ast.GtE}
REDUCTIONS = {"sum": "sum", "mean": "mean", "prod": "prod", "amax": "max", "amin": "min",
              "var": "var", "std": "std"}
# fmt: off
TEMPLATES = {
    "neg":        "-x",
    "square":     "x**2",
    "power":      "x**w",
    "reciprocal": "1 / x",
    "sigmoid":    "1 / (1 + np.exp(-x))",
    "relu":       "np.maximum(x, 0)",
    "softplus":   "np.logaddexp(x, 0)",
    "erf":        "np.vectorize(math.erf)(x)",
    "round":      "np.round(x, w)",
    "trunc_divide": "np.trunc(x / w)",
    "cumsum":     "np.cumsum(x, dim)",
    "cumprod":    "np.cumprod(x, dim)",
    "inv":        "np.linalg.inv(x)",
    "det":        "np.linalg.det(x)",
    "solve":      "np.linalg.solve(x, w)",
    "diagonal":   "np.diagonal(x, 0, -2, -1)",
    "clamp":      "np.clip(x, w, b)",
    "where":      "np.where(x, w, b)",
    "linear":     "x @ w.T + b",
    "affine":     "x * w + b",
    "standardize": "(x - x.mean(dim, keepdims=True)) / np.sqrt(x.var(dim, keepdims=True) + eps)",
}
# fmt: on
SHORT = {"sigmoid", "relu", "erf", "softplus", "clamp"}  # rows that readers know by their name
ELEMENTWISE = {"where", "power", "square", "reciprocal", "sigmoid", "relu", "softplus", "erf",
               "clamp", "clone", "cast", "affine"}  # besides NumPy's ufuncs
STRETCHES = {"reshape", "expand", "spread"}  # what they do may be all that a record does
SILENT = {"smoothing": 0.0}  # options that readers need not be told
CUT = ast.Constant(...)  # what prints as "...": a value without a name, or text beyond the limit


def expression(t, names, limit=None, short=False):
    """The record of tensor t as text of a NumPy expression.

    names: {id(tensor): identifier}, where printing stops; leaves without a name print as `...`.
    limit: number of operators beyond which a part prints as `...` (None: no limit). short: for
    readers rather than for NumPy: `tanh(x)`, `sigmoid(x)`. The value has t's shape after
    np.broadcast_to.
    """
    node = tree(t, names, limit, short, t.op is not None and t.op.name in STRETCHES)
    if isinstance(node, ast.Name) and id(t) not in names and t.op is not None:
        if t.op.name == "reshape":  # to the shape that it has
            node = method(node, "reshape", constant(t.array.shape))
        elif short:
            node = call(t.op.name, node)  # clone(x) is more than x
    return text(node)


def text(node):
    """A syntax tree as one line, in the spacing of formulas: x**2."""
    return ast.unparse(unshared(node)).replace(" ** ", "**")


def unshared(node):
    """A copy of a tree in which nothing stands in two places: ast.unparse notes for each node
    whether it needs parentheses, once."""
    if isinstance(node, list):
        return [unshared(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    return type(node)(**{field: unshared(part) for field, part in ast.iter_fields(node)})


def tree(t, names, limit=None, short=False, exact=False):
    """The syntax tree of an expression, in its loose form or its exact one. No recursion over the
    records."""
    done = {}  # id -> (exact tree, loose tree, number of operators)
    waiting = [t]
    while waiting:
        x = waiting[-1]
        if id(x) in done:
            waiting.pop()
            continue
        if id(x) in names:
            node = ast.Name(names[id(x)])
            done[id(x)] = node, node, 0
            continue
        operands = [as_of(a, x.order) if isinstance(a, Recorded) else a for a in x.inputs]
        if x.op is None:
            node = constant(x.array)
            done[id(x)] = node, node, 0
            continue
        missing = [a for a in operands if isinstance(a, Recorded) and id(a) not in done]
        if missing:
            waiting += missing
            continue
        done[id(x)] = record(x, operands, done, names, limit, short)
    return done[id(t)][0 if exact else 1]


def record(x, operands, done, names, limit, short):
    """(exact, loose, number of operators) of one record whose operands are done."""
    known = []
    for a in operands:
        if not isinstance(a, Recorded):
            node = ast.Name(names[id(a)]) if id(a) in names else constant(a)
            known.append((node, node, 0))
        else:
            known.append(done[id(a)])
    size = 1 + sum(n for _, _, n in known)
    if limit is not None and size > limit:
        return CUT, CUT, 0
    exact, loose = [e for e, _, _ in known], [e for _, e, _ in known]
    if x.op.name == "expand":
        return broadcast(exact[0], x.array.shape, short), loose[0], size
    if x.op.name == "reshape":
        return (*reshaped(x, operands[0], exact[0], loose[0]), size)
    if x.op.name == "spread":
        return (*spread(x, operands[0].array.shape, exact[0], loose[0], short), size)
    if not elementwise(x.op):
        node = operation(x, operands, exact, short)
        return node, node, size
    shapes = [np.shape(getattr(a, "array", a)) for a in operands]
    if x.array.shape in shapes:  # one operand has the full shape: the others may stretch to it
        full = shapes.index(x.array.shape)
        exact = loose[:full] + [exact[full]] + loose[full + 1:]
    return operation(x, operands, exact, short), operation(x, operands, loose, short), size


def elementwise(op):
    return op.name in ELEMENTWISE or (op.name != "matmul" and isinstance(ufunc(op), np.ufunc))


def ufunc(op):
    return getattr(op.forward, "ufunc", op.forward)


# --- one operation --------------------------------------------------------------------------------

def operation(x, operands, nodes, short):
    """The tree of x's operation applied to the trees of its operands."""
    op, options = x.op, x.options
    if op.name in ("clone", "cast"):
        return nodes[0]
    if op.name in REDUCTIONS and "dim" in options:
        return reduction(op.name, nodes[0], options, operands[0].ndim)
    if op.name in SPECIAL:
        return SPECIAL[op.name](x, operands, nodes)
    if op.name == "power" and isinstance(operands[1], (int, float)) and operands[1] == 1:
        return nodes[0]
    if op.name in TEMPLATES and not (short and op.name in SHORT):
        return filled_in(TEMPLATES[op.name], nodes, options)
    if op.symbol in OPERATORS and len(nodes) == 2:
        return ast.BinOp(nodes[0], OPERATORS[op.symbol](), nodes[1])
    if op.symbol in COMPARISONS and len(nodes) == 2:
        return ast.Compare(nodes[0], [COMPARISONS[op.symbol]()], [nodes[1]])
    if op.symbol == "~":
        return ast.UnaryOp(ast.Invert(), nodes[0])
    if isinstance(ufunc(op), np.ufunc) and not short:
        return call("np." + ufunc(op).__name__, *nodes)
    values = {k: constant(v) for k, v in options.items()
              if not (short and k in SILENT and SILENT[k] == v)}
    return call(op.name, *nodes, **values)


def call(function, *args, **keywords):
    return ast.Call(ast.parse(function, mode="eval").body, list(args),
                    [ast.keyword(k, v) for k, v in keywords.items()])


def method(node, name, *args, **keywords):
    return ast.Call(ast.Attribute(node, name), list(args),
                    [ast.keyword(k, v) for k, v in keywords.items()])


class Filled(ast.NodeTransformer):
    """A template with trees in place of its letters."""

    def __init__(self, nodes):
        self.nodes = nodes

    def visit_Name(self, node):
        return self.nodes.get(node.id, node)


def filled_in(template, nodes, options):
    letters = dict(zip("xwb", nodes)) | {k: constant(v) for k, v in options.items()}
    return Filled(letters).visit(ast.parse(template, mode="eval").body)


def constant(value):
    """The tree of a Python value, or of a small or regular array."""
    if isinstance(value, np.ndarray) and value.ndim:
        return array_constant(value)
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if isinstance(value, (tuple, list)):
        return (ast.Tuple if isinstance(value, tuple) else ast.List)([constant(v) for v in value])
    if isinstance(value, slice):
        return ast.Slice(*[None if v is None else constant(v)
                           for v in (value.start, value.stop, value.step)])
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return ast.parse("np.nan", mode="eval").body
        return ast.parse("np.inf" if value > 0 else "-np.inf", mode="eval").body
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
    if value is None or value is Ellipsis or isinstance(value, bool):
        return ast.Constant(value)
    return CUT


def array_constant(a):
    """np.arange(n) in some dimension, or the numbers of a small array, or `...`."""
    long = [d for d, n in enumerate(a.shape) if n > 1]
    if regular(a):
        node = call("np.arange", ast.Constant(a.size))
        return node if not long or long[0] == a.ndim - 1 else stretched(node, a.shape, long[0])
    if a.dtype.kind == "f" and not a.any():
        return call("np.zeros", constant(a.shape))
    if a.size <= 16 and np.isfinite(a).all():
        numbers = constant(a.tolist())
        return call("np.array", numbers)
    return CUT


def regular(a):
    """Is a 0, 1, 2, ... along one dimension and of size 1 in all others?"""
    return (a.ndim > 0 and a.dtype.kind in "iu" and a.size == max(a.shape) and a.size > 0
            and bool((a.ravel() == np.arange(a.size)).all()))


def stretched(node, shape, dim):
    """node[:, None, None]: a vector laid along dimension dim."""
    new = [ast.Constant(None)] * (len(shape) - dim - 1)
    return ast.Subscript(node, ast.Tuple([ast.Slice(), *new]))


# --- operations whose text depends on shapes ------------------------------------------------------

def reduction(name, node, options, ndim):
    """x.sum(0), x.var((0, 1), ddof=1, keepdims=True)"""
    dim, keywords = options["dim"], {}
    if isinstance(dim, tuple) and len(dim) == 1:
        dim = dim[0]
    every = dim is None or (isinstance(dim, tuple) and len(dim) == ndim) or (ndim == 1)
    if options.get("correction"):
        keywords["ddof"] = constant(options["correction"])
    if options.get("keepdim"):
        keywords["keepdims"] = ast.Constant(True)
    return method(node, REDUCTIONS[name], *([] if every else [constant(dim)]), **keywords)


def reshaped(x, source, exact, loose):
    """(exact, loose) of a reshape: dimensions of size 1 print as None, the rest as .reshape."""
    old, new = source.array.shape, x.array.shape
    if old == new:
        return exact, loose
    summed = kept_sum(source, new)
    if summed is not None and isinstance(exact, ast.Call):
        full = ast.Call(exact.func, exact.args, [ast.keyword("keepdims", ast.Constant(True))])
        return full, exact if old == new[len(new) - len(old):] else full
    return with_ones(exact, loose, old, new)


def with_ones(exact, loose, old, new):
    """(exact, loose) of a reshape from `old` to `new`; new dimensions of size 1 print as None."""
    lead = len(new) - len(old)
    if lead > 0 and new[:lead] == (1,) * lead and new[lead:] == old:
        if lead == 1:
            return ast.Subscript(exact, ast.Constant(None)), loose
        return method(exact, "reshape", constant(new)), loose
    index = inserted(old, new)
    if index is not None:
        return (ast.Subscript(exact, index),) * 2
    return (method(exact, "reshape", constant(new)),) * 2


def broadcast(node, shape, short):
    return call("broadcast_to" if short else "np.broadcast_to", node, constant(shape))


def spread(x, old, exact, loose, short):
    """(exact, loose) of what a sum sends back: g, repeated along the summed dimensions."""
    dim, shape = x.options["dim"], x.options["shape"]
    if old != () and not x.options["keepdim"]:
        dims = range(len(shape)) if dim is None else (dim,) if isinstance(dim, int) else dim
        kept = tuple(1 if d in dims else n for d, n in enumerate(shape))
        exact, loose = with_ones(exact, loose, old, kept)
    return broadcast(exact, shape, short), loose


def kept_sum(source, new):
    """The record of a sum that this reshape gives its dimensions of size 1 back, or None."""
    if source.op is None or source.op.name != "sum" or source.options["keepdim"]:
        return None
    dim, before = source.options["dim"], source.inputs[0].array.shape
    dims = range(len(before)) if dim is None else (dim,) if isinstance(dim, int) else dim
    kept = tuple(1 if d in dims else n for d, n in enumerate(before))
    return source if kept == new else None


def inserted(old, new):
    """The index that inserts dimensions of size 1 to get from shape old to new, or None."""
    index, rest = [], list(old)
    for n in new:
        if rest and n == rest[0]:
            index.append(ast.Slice())
            rest.pop(0)
        elif n == 1:
            index.append(ast.Constant(None))
        else:
            return None
    return None if rest else ast.Tuple(index)


def permuted(x, operands, nodes):
    """x.T, x.mT or x.transpose(...)"""
    dims = tuple(int(d) for d in x.options["dims"])
    n = len(dims)
    if dims == tuple(range(n)):
        return nodes[0]
    if dims == tuple(range(n))[::-1]:
        return ast.Attribute(nodes[0], "T")
    if dims == (*range(n - 2), n - 1, n - 2):
        return ast.Attribute(nodes[0], "mT")
    return method(nodes[0], "transpose", constant(dims))


def place(index, arrays):
    """The tree between the brackets of x[...]; `arrays` fill the index's gaps."""
    arrays = iter(arrays)
    if len(index) > 1 and index[-1] is Ellipsis:
        index = index[:-1]  # says nothing
    parts = [next(arrays) if i is ops.ARRAY else listed(i) for i in index]
    return parts[0] if len(parts) == 1 else ast.Tuple(parts)


def listed(i):
    """A constant of an index; short index arrays print as lists."""
    if isinstance(i, np.ndarray) and i.ndim == 1 and 0 < i.size <= 16:
        return constant(i.tolist())
    return constant(i)


def indexed(x, operands, nodes):
    return ast.Subscript(nodes[0], place(x.options["index"], nodes[1:]))


def joined(x, operands, nodes):
    name = "np.concatenate" if x.op.name == "cat" else "np.stack"
    dim = x.options["dim"]
    return call(name, ast.List(nodes), *([] if dim == 0 else [constant(dim)]))


def scattered(x, operands, nodes):
    """scatter(g, index, shape): NumPy has no such function, see contribution.statement."""
    index = place(x.options["index"], nodes[1:])
    if has_slice(index):
        index = ast.Subscript(ast.Attribute(ast.Name("np"), "s_"), index)
    return call("scatter", nodes[0], index, constant(x.options["shape"]))


def has_slice(node):
    return any(isinstance(part, ast.Slice) for part in getattr(node, "elts", [node]))


def assigned(x, operands, nodes):
    index = place(x.options["index"], nodes[2:])
    if has_slice(index):
        index = ast.Subscript(ast.Attribute(ast.Name("np"), "s_"), index)
    return call("setitem", nodes[0], index, nodes[1])


def summed(x, operands, nodes):
    return call("np.einsum", ast.Constant(x.options["equation"]), *nodes)


def length(x, operands, nodes):
    """np.sqrt((x**2).sum(0))"""
    squares = ast.BinOp(nodes[0], ast.Pow(), ast.Constant(2))
    return call("np.sqrt", reduction("sum", squares, x.options, operands[0].ndim))


SPECIAL = {"permute": permuted, "einsum": summed, "norm": length, "getitem": indexed,
           "cat": joined, "stack": joined,
           "scatter": scattered, "setitem": assigned}
