"""Straight-line programs made fast: every result is written into memory that is there already.

The one trick: nothing is computed in another way. `a + b` becomes `add(a, b, out)`, in the same
order and with the same rounding; only where the result goes is decided here, once, before the
program runs. A value whose last use has passed lends its memory to the next one of its size, so a
program works in the few arrays that a person would have set aside.
"""

import ast
import builtins
from collections import Counter

import numpy as np

from minigrad.lines.values import Statement

BINARY = {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide",
          ast.MatMult: "matmul", ast.Mod: "remainder", ast.FloorDiv: "floor_divide",
          ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or"}
COMPARE = {ast.Eq: "equal", ast.NotEq: "not_equal", ast.Lt: "less", ast.LtE: "less_equal",
           ast.Gt: "greater", ast.GtE: "greater_equal"}
UNARY = {ast.USub: "negative", ast.Invert: "invert"}
REDUCE = {"sum": "add", "max": "maximum", "min": "minimum", "prod": "multiply"}
RESERVED = {*dir(np), *dir(builtins), "math", "out"}  # values get other names than functions
WHOLE = {"matmul", "vecdot"}  # these read an operand again after writing: never into its memory


def plain(node, names=None):
    """A tree as text; `names` {name: the name it has now}."""
    if isinstance(node, ast.Assign):
        node.lineno, node.type_comment = 1, None  # which ast.unparse asks for
    if not names:
        return ast.unparse(node)
    parts = [(part, part.id) for part in ast.walk(node) if isinstance(part, ast.Name)]
    for part, name in parts:  # there and back: quicker than a copy of the tree
        part.id = names.get(name, name)
    text = ast.unparse(node)
    for part, name in parts:
        part.id = name
    return text


def reads(node):
    """Names that an expression reads."""
    found, waiting = [], [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            found.append(node.id)
        elif not isinstance(node, ast.Constant):
            waiting += ast.iter_child_nodes(node)
    return found


def written_by(statement):
    """The array that a statement without a target writes into, or None."""
    node = statement.node
    if isinstance(node, ast.Assign):
        return node.targets[0].value.id
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.add.at":
        return node.args[0].id
    return None


# --- the same value once, and none that nobody needs ----------------------------------------------

class Renamed(ast.NodeTransformer):
    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id))


def shared(statements):
    """(statements, {name: the name it has now}): what is computed twice is computed once."""
    changing = {written_by(s) for s in statements if s.target is None}
    views = set(changing)
    kept, seen, names = [], {}, {}
    for s in statements:
        node = Renamed(names).visit(s.node) if names else s.node
        key = plain(node)
        touched = (s.target is None or s.target in changing or not s.pure
                   or views & set(reads(node)))
        if touched and s.target is not None:
            views.add(s.target)
        if not touched and key in seen:
            names[s.target] = seen[key]
            continue
        if s.target is not None and not touched:
            seen[key] = s.target
        kept.append(Statement(s.target, node, s.value, s.pure))
    return kept, names


def needed(statements, outputs):
    """The statements that the outputs, or effects outside the program, depend on."""
    wanted, kept = set(outputs), []
    local = {s.target for s in statements if s.target is not None}
    for s in reversed(statements):
        into = None if s.target is not None else written_by(s)
        if s.target in wanted or not s.pure or (s.target is None and (into is None or into in wanted
                                                       or into not in local)):
            wanted.update(reads(s.node))
            kept.append(s)
    return kept[::-1]


# --- where results go -----------------------------------------------------------------------------

class Lowering:
    """One program on the way to its lines.

    stable   {name: array} in memory that stays where it is from call to call
    homes    {name of a result: array of `stable` that it is to be written into}
    keep     names of results that are asked for after the last line

    After `run`: `lines`, and `names`, {name in them: array or function}.
    """

    def __init__(self, statements, stable, homes=(), keep=()):
        self.statements, self.stable, self.homes = statements, dict(stable), dict(homes)
        self.keep = set(keep) | set(self.homes)
        self.lines, self.names, self.ahead = [], dict(stable), []
        self.where, self.root = {}, {}     # of a value: its name in the lines; whose memory it is
        self.pool, self.owned = {}, set()  # free buffers by kind; names of all buffers
        self.holds = {}                    # of a buffer: the values it holds, one after the other
        self.fixed = set(stable)           # names in the lines that never change what they mean
        self.taken = Counter(stable)
        self.values = {s.target: s.value for s in statements if s.target is not None}

    def run(self):
        self.find_roots()
        self.last = last = self.last_uses()
        ends = {}
        for name, i in last.items():
            ends.setdefault(i, []).append(name)
        for i, s in enumerate(self.statements):
            self.dying, self.now = set(ends.get(i, ())), i
            if s.target is None:
                self.lines.append(plain(s.node, self.where))
            else:
                self.place(s)
            for name in ends.get(i, ()):
                self.free(name)
        for name, home in self.homes.items():
            if self.where.get(name, name) != home:
                self.lines.append(f"{home}[...] = {self.where.get(name, name)}")
        return self

    def find_roots(self):
        """Which values are views of which."""
        for s in self.statements:
            if s.target is None or not isinstance(s.value, np.ndarray) or s.value.base is None:
                continue
            for name in reads(s.node):
                value = self.values.get(name, self.stable.get(name))
                if isinstance(value, np.ndarray) and np.may_share_memory(value, s.value):
                    self.root[s.target] = self.root.get(name, name)
                    break

    def last_uses(self):
        """{root: index of the last statement that reads it, or anything that looks at it}"""
        last = {}
        for i, s in enumerate(self.statements):
            for name in (*reads(s.node), *([s.target] if s.target else ())):
                last[self.root.get(name, name)] = i
        for name in self.keep:
            last[self.root.get(name, name)] = len(self.statements)
        return last

    def free(self, root):
        buffer = self.where.get(root)
        if buffer in self.owned and root not in self.keep:
            self.pool.setdefault(kind(self.names[buffer]), []).append(buffer)

    def fresh(self, hint):
        self.taken[hint] += 1
        if self.taken[hint] == 1:
            return hint
        return self.fresh(f"{hint.rstrip('0123456789_')}_{self.taken[hint]}")

    def place(self, s):
        """Writes the line of a statement with a target."""
        if s.target in self.root and self.root[s.target] != s.target:
            return self.view(s)
        call = self.out_form(s)
        if call is None:
            name, total = self.fresh(s.target), whole_reduction(s)
            text = plain(s.node, self.where)
            if total is not None:  # NumPy's shortest way to one number
                function, operand = total
                text = f"{function}({plain(operand, self.where)}, None)"
                self.names[function.split(".")[0]] = getattr(np, function.split(".")[0])
            self.where[s.target] = name
            self.lines.append(f"{name} = {text}")
            return None
        function, operands, rest = call
        text = [plain(x, self.where) for x in operands]
        buffer = self.buffer(s, operands if function not in WHOLE and "." not in function else ())
        self.where[s.target] = buffer
        self.holds.setdefault(buffer, []).append(s.target)
        more = [buffer, *text] if rest is None else [*text, *rest(buffer)]
        self.lines.append(f"{function}({', '.join(more)})")
        self.names[function.split(".")[0]] = getattr(np, function.split(".")[0])
        return None

    def view(self, s):
        """A view: taken once, before the first call, if what it looks at stays in its place."""
        name = self.fresh(s.target)
        names = [self.where.get(n, n) for n in reads(s.node)]
        text = plain(s.node, self.where)
        self.where[s.target] = name
        if all(n in self.fixed or n == "np" or callable(self.names.get(n)) for n in names):
            self.names[name] = eval(text, {"np": np, **self.names})
            self.fixed.add(name)
            self.ahead.append(f"{name} = {text}")
        else:
            self.lines.append(f"{name} = {text}")

    def buffer(self, s, reusable):
        """The name of the memory that a result is written into."""
        home = self.homes.get(s.target)
        if home is not None and self.last.get(self.root.get(home, home), -1) <= self.now:
            return home
        wanted = kind(s.value)
        for node in reusable:  # elementwise: into an operand that nobody reads any more
            if isinstance(node, ast.Name) and self.root.get(node.id, node.id) == node.id and (
                    node.id in self.dying) and self.where.get(node.id) in self.owned and (
                    kind(self.names[self.where[node.id]]) == wanted):
                return self.where.pop(node.id)  # not free when the operand ends
        if self.pool.get(wanted):
            return self.pool[wanted].pop()
        name = self.fresh(s.target)
        self.names[name] = np.empty_like(s.value)
        self.owned.add(name)
        self.fixed.add(name)
        return name

    # --- forms with an `out` ---

    def out_form(self, s):
        """(function, operands, out -> further arguments) of a statement, or None if NumPy has no
        form of it that writes into given memory."""
        node, value = s.node, s.value
        if not isinstance(value, np.ndarray) or value.ndim == 0 or value.size == 0:
            return None
        if isinstance(node, ast.BinOp):
            if isinstance(node.op, ast.Pow):
                two = isinstance(node.right, ast.Constant) and node.right.value == 2
                return ("square", [node.left], out_only) if two else None
            name = BINARY.get(type(node.op))
            return name and (name, [node.left, node.right], out_only)
        if isinstance(node, ast.UnaryOp):
            return UNARY.get(type(node.op)) and (UNARY[type(node.op)], [node.operand], out_only)
        if isinstance(node, ast.Compare):
            return (COMPARE[type(node.ops[0])], [node.left, node.comparators[0]], out_only) \
                if type(node.ops[0]) in COMPARE else None
        return self.call_form(node) if isinstance(node, ast.Call) else None

    def call_form(self, node):
        function = ast.unparse(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and not node.args:
            return "copyto", [node.func.value], None
        keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
        if function.startswith("np.") and function.endswith(".reduce"):
            return reduction(function[3:], node.args[0], node.args[1:], keywords)
        if function.startswith("np."):
            ufunc = getattr(np, function[3:], None)
            if isinstance(ufunc, np.ufunc) and len(node.args) == ufunc.nin and ufunc.nout == 1:
                more = [f"{k}={v}" for k, v in keywords.items()]
                out = "out=" if function[3:] in NAMED else ""
                return function[3:], node.args, lambda buffer: [out + buffer, *more]
            return None
        if isinstance(node.func, ast.Attribute) and node.func.attr in REDUCE:
            return reduction(f"{REDUCE[node.func.attr]}.reduce", node.func.value, node.args,
                             keywords)
        return None


def out_only(out):
    return [out]


NAMED = {"maximum", "minimum"}  # NumPy wants their `out` by name


def reduction(function, operand, args, keywords):
    """x.sum(axis, keepdims=...) as add.reduce(x, axis, None, out, keepdims)."""
    axis = ast.unparse(args[0]) if args else keywords.pop("axis", "None")
    keepdims, initial = keywords.pop("keepdims", "False"), keywords.pop("initial", None)
    if keywords or len(args) > 1:
        return None
    more = ([keepdims, initial] if initial else [keepdims] if keepdims != "False" else [])
    return function, [operand], lambda out: [axis, "None", out, *more]


def whole_reduction(s):
    """(function, operand) of a statement that reduces a whole array to one number, or None."""
    node = s.node
    if isinstance(s.value, np.ndarray) and s.value.ndim or not isinstance(node, ast.Call):
        return None
    function, given = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
    given = {k: v for k, v in given.items() if (k, v) not in (("axis", "None"),
                                                              ("keepdims", "False"))}
    if given or not isinstance(node.func, ast.Attribute):
        return None
    if function.startswith("np.") and function.endswith(".reduce") and len(node.args) == 1:
        return function[3:], node.args[0]
    if node.func.attr in REDUCE and not node.args and not function.startswith("np."):
        return f"{REDUCE[node.func.attr]}.reduce", node.func.value
    return None


def kind(array):
    """What two buffers must have in common to be exchanged."""
    return array.shape, array.dtype, array.strides
