"""A program as the lines a person would write.

The one trick: a value gets a line of its own if a person would name it (z1, h1, dW1), if it is
used twice, or if the line that uses it would become hard to read. Everything else moves into the
expression it is used in. Nothing is computed twice and nothing in another way.
"""

import ast
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from minigrad.lines.lower import needed, reads, shared, written_by
from minigrad.codegen.names import RESERVED, free
from minigrad.codegen.spelling import Folding, is_method, short_dtype, spelled
from minigrad.lines.values import Statement, Unknown, as_one, is_like
from minigrad.codegen.wording import SOME, WIDTH, array_text, copied, text_of, wrapped

OPERATIONS = 8    # in a line
FEW = 12          # numbers of a constant array that stands in the line that uses it
VIEWS = ("T", "mT", "real")
# fmt: off
WORDS = {ast.Sub: "diff", ast.Add: "total", ast.Mult: "product", ast.Div: "ratio", ast.MatMult:
         "product", ast.Pow: "power", ast.Compare: "on", ast.Subscript: "part", "exp": "e",
         ast.UnaryOp: "minus", "sqrt": "root", "max": "top", "sum": "total", "copy": "filled",
         "log": "logs", "reshape": "flat", "zeros": "zeros", "tanh": "h", "maximum": "h",
         "abs": "size", "sign": "signs"}
# fmt: on


@dataclass
class Printed:
    """What the printer made of a program.

    forward, backward   lines of text
    gradients           {name of a parameter: name of its gradient, or None}
    given               {name: tensor, array or number} that the lines are given
    functions           {name: function} that the lines call
    """

    forward: list = field(default_factory=list)
    backward: list = field(default_factory=list)
    constants: list = field(default_factory=list)
    gradients: dict = field(default_factory=dict)
    given: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)


class Printer:
    """Prints one Program. names: {id(tensor): identifier} of inputs and of named values; words:
    {id(tensor): word} for the others, should they need one."""

    def __init__(self, program, names, words, loss, reserved=()):
        self.program, self.names, self.words, self.loss = program, names, words, loss
        self.constants = program.tracer.constants
        self.values = {**{n: t.array for n, t in program.inputs.items()}, **self.constants}
        self.printed = Printed(given=dict(program.inputs))
        self.taken = set(names.values()) | {f"d{name}" for name in names.values()} | set(
            self.constants) | {*RESERVED, *reserved}
        self.pending, self.final, self.lines = {}, {}, self.printed.forward

    def run(self):
        statements = self.simplified()
        self.forced, self.wishes = self.forced_names(), self.wished_names()
        self.uses = Counter(name for s in statements for name in reads(s.node))
        self.uses.update(self.outputs())
        self.changing = {written_by(s) for s in statements if s.target is None}
        self.uses.update(self.changing)
        self.rendered = self.constant_nodes()
        backward = set(list(self.order)[self.program.backward_from:])
        for s in statements:
            if s.target in backward and self.lines is self.printed.forward:
                self.close_forward()
            self.place(s)
        self.close_forward()
        self.finish()
        return self.printed

    # --- before anything is printed ---

    def simplified(self):
        """The statements spelled well, each value once, and only what is needed."""
        statements, raw = [], self.program.tracer.statements
        for s in raw:
            if s.target is not None:
                self.values[s.target] = s.value
        self.order = {s.target if s.target is not None else id(s): i for i, s in enumerate(raw)}
        changing = {written_by(s) for s in raw if s.target is None}
        self.same, self.reshaped, self.repeated = {}, {}, {}
        for s in raw:
            node = spelled(s.node, self.values, s.value)
            if s.target is not None:
                node = self.direct(s, node)
            if isinstance(node, ast.Name) and s.target not in changing and (
                    node.id not in changing):
                self.same[s.target] = node.id
            statements.append(Statement(s.target, node, s.value))
        statements, self.merged = shared(self.through(statements))
        return needed(statements, self.outputs())

    def direct(self, s, node):
        """A node that reads past what changes no number: one reshape of another, and an array of
        equal rows where NumPy repeats them by itself."""
        if is_method(node, "reshape") and isinstance(node.func.value, ast.Name):
            owner = node.func.value.id
            whole = self.reshaped.get(owner, owner)
            if self.values[whole].flags.c_contiguous:
                self.reshaped[s.target] = whole
                node.func.value = ast.Name(whole)
        if isinstance(node, ast.Call) and text_of(node.func) == "np.full" and isinstance(
                node.args[1], ast.Name):
            self.repeated[s.target] = node.args[1].id
        if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.MatMult, ast.Pow)):
            for one, other in (("left", "right"), ("right", "left")):
                a, b = getattr(node, one), self.values.get(getattr(getattr(node, other), "id", 0))
                if isinstance(a, ast.Name) and a.id in self.repeated and isinstance(
                        b, np.ndarray) and b.shape == s.value.shape and b.flags.c_contiguous and (
                        b.dtype == s.value.dtype):
                    setattr(node, one, ast.Name(self.repeated[a.id]))
                    break
                known = as_one(self.constants.get(getattr(a, "id", None)), s.value.dtype)
                if type(known) is float and isinstance(b, np.ndarray) and known >= 0 and (
                        is_like(b, s.value) and np.isfinite(known)):
                    setattr(node, one, ast.Constant(known))
                    break
        return node

    def through(self, statements):
        """The statements without `y = x`: what reads y reads x."""
        same = {}
        for name, other in self.same.items():
            same[name] = same.get(other, other)
        self.same = same
        return [Statement(s.target, Names(same).visit(s.node), s.value) for s in statements
                if s.target not in same]

    def name_now(self, x):
        """The name under which the program knows an unknown now; None for a known value."""
        if not isinstance(x, Unknown):
            return None
        name = self.same.get(x.name, x.name)
        return self.merged.get(name, name)

    def outputs(self):
        found = [self.program.loss, *self.program.gradients.values()]
        return [self.name_now(x) for x in found if isinstance(x, Unknown)]

    def forced_names(self):
        """{name in the program: name in print} of what a person would name, and of gradients."""
        forced = {}
        self.claim(forced, self.program.loss, "loss")
        for t, name in self.names.items():
            self.claim(forced, self.program.values.get(t), name)
        arriving = [(f"d{name}", g) for name, g in self.program.gradients.items()]
        arriving += [(f"d{name}", self.program.arriving.get(t)) for t, name in self.names.items()
                     if t != id(self.loss)]
        for name, g in arriving:  # one that is a value of the forward pass keeps its name there
            if self.order.get(self.name_now(g), -1) >= self.program.backward_from:
                self.claim(forced, g, name)
        return forced

    def wished_names(self):
        """{name in the program: word} of the other tensors, and of their gradients."""
        wishes = {}
        for found, d in ((self.program.values, ""), (self.program.arriving, "d")):
            for t, word in self.words.items():
                wishes.setdefault(self.name_now(found.get(t)), d + word)
        for s in self.program.tracer.statements:  # what is only put in order has the same name
            if s.target in wishes and text_of(s.node).endswith(".copy()"):
                wishes.setdefault(reads(s.node)[0], wishes[s.target])
        return wishes

    def claim(self, forced, x, name):
        now = self.name_now(x)
        if now is not None and now not in self.program.inputs and now not in forced and (
                name not in forced.values()):
            forced[now] = name

    # --- constants ---

    def constant_nodes(self):
        """{name of a constant: how it is written}"""
        rendered = {}
        for name, x in self.constants.items():
            if not self.uses[name]:
                continue
            if isinstance(x, (np.ndarray, np.generic)):
                rendered[name] = self.constant_node(name, x)
            else:
                self.printed.functions[name] = x
        return rendered

    def constant_node(self, name, x):
        text = array_text(x)
        if text is None or (len(text) > WIDTH - 30 and x.size > SOME):
            final = self.fresh("index" if x.dtype.kind in "iu" else "mask" if x.dtype.kind == "b"
                               else "c")
            self.printed.given[final] = x
            return ast.Name(final)
        if x.size <= FEW or len(text) < 40:
            return ast.parse(text, mode="eval").body
        final = self.fresh("index" if x.dtype.kind in "iu" else "c")
        self.printed.constants += wrapped(f"{final} = {text}")
        return ast.Name(final)

    # --- lines ---

    def fresh(self, hint):
        name = free(hint, self.taken)
        self.taken.add(name)
        return name

    def place(self, s):
        """One statement: it waits to be put into the line that uses it, or gets a line."""
        if s.target is None:
            self.write(s)
            return
        node = self.completed(s.node)
        if s.target in self.forced or s.target in self.changing:
            self.emit(s.target, node)
        elif isinstance(node, ast.Name) and node.id not in {
                self.final.get(name, name) for name in self.changing}:
            self.final[s.target] = node.id  # x.T.T, which is x
        elif self.uses[s.target] == 1 or is_view(node):
            self.pending[s.target] = node
        else:
            self.emit(s.target, node)

    def completed(self, node):
        """A node with everything that waits for it put in, as far as it stays readable."""
        waiting = [n for n in dict.fromkeys(reads(node)) if n in self.pending]
        while True:
            whole = self.filled(node)
            if not waiting or self.fits(whole):
                break
            largest = max(waiting, key=lambda n: operations(self.pending[n]))
            if operations(self.pending[largest]) == 0:
                break
            waiting.remove(largest)
            self.emit(largest, self.pending.pop(largest))
        for name in waiting:
            if not is_view(self.pending[name]):
                del self.pending[name]
        return whole

    def filled(self, node):
        return Folding().visit(Put(self.pending, self.final, self.rendered).visit(copied(node)))

    def fits(self, node):
        return operations(node) <= OPERATIONS and len(text_of(node)) + 12 <= WIDTH

    def write(self, s):
        """A statement that writes into an array: whatever looks at the array comes before it."""
        array = self.values.get(written_by(s))
        back = {final: raw for raw, final in self.final.items()} if self.pending else {}
        for name in list(self.pending):
            seen = [self.values.get(back.get(n, n)) for n in (name, *reads(self.pending[name]))]
            if any(np.may_share_memory(x, array) for x in seen if isinstance(x, np.ndarray)):
                self.emit(name, self.pending.pop(name))
        node = s.node
        if isinstance(node, ast.Assign):
            target = self.filled(node.targets[0])
            value = self.completed(node.value)
            self.lines.append(Line(None, assignment(target, value)))
        else:
            self.lines.append(Line(None, self.completed(node)))

    def emit(self, name, node):
        final = self.forced.get(name) or self.fresh(self.hint(name, node))
        self.final[name] = final
        self.lines.append(Line(final, node))

    def hint(self, name, node):
        """A word for a value without a name: the rule's own, or what was done last."""
        base = re.sub(r"_\d+$", "", name)
        if name in self.wishes:
            return self.wishes[name]
        if base[1:] in self.program.inputs:
            return f"{base}_part"
        if base not in ("v", "dv", "x", "t", "y"):
            return base
        if base == "t":
            return "targets"
        key = type(node.op) if isinstance(node, ast.BinOp) else type(node)
        if isinstance(node, ast.Call):
            key = node.func.attr if isinstance(node.func, ast.Attribute) else None
        if base == "x" and key is ast.Sub:
            return "shifted"
        return ("d" if base == "dv" else "") + WORDS.get(key, "u")

    # --- ends ---

    def close_forward(self):
        """The last line of the forward pass is the loss."""
        if self.lines is self.printed.backward:
            return
        loss = self.program.loss
        if self.final.get(self.name_now(loss)) != "loss":
            self.alias("loss", loss)
        self.lines = self.printed.backward

    def alias(self, name, x):
        """name = x, for a value that stands under another name already, or is known."""
        now = self.name_now(x)
        if now is None:
            value = np.asarray(x)
            node = ast.parse(array_text(value) or "None", mode="eval").body
            if array_text(value) is None or value.size > SOME and len(text_of(node)) > WIDTH:
                final = self.fresh("c")
                self.printed.given[final] = value
                node = ast.Name(final)
        else:
            node = self.pending.get(now) or self.filled(ast.Name(now))
        self.lines.append(Line(name, node))

    def finish(self):
        """Gradients that are another value, or known."""
        for parameter, g in self.program.gradients.items():
            name = f"d{parameter}"
            if g is not None and self.final.get(self.name_now(g)) != name:
                self.alias(name, g)
            self.printed.gradients[parameter] = None if g is None else name
        parameters_first(self.printed.backward, set(self.printed.gradients.values()))
        for part in ("forward", "backward"):
            lines = getattr(self.printed, part)
            setattr(self.printed, part, [text for line in lines for text in wrapped(line.text())])


class Line:
    """`target = node`, or a node that writes into an array (target None)."""

    def __init__(self, target, node):
        self.target, self.node = target, node

    def text(self):
        text = text_of(self.node)
        return text if self.target is None else f"{self.target} = {text}"


def parameters_first(lines, gradients):
    """Puts the gradients of a layer's parameters before that of its input: dW2, db2, dh1."""
    for i in range(len(lines) - 1):
        j = i
        while j >= 0 and lines[j + 1].target in gradients and lines[j].target is not None and (
                lines[j].target not in gradients) and (
                lines[j].target not in reads(lines[j + 1].node)):
            lines[j], lines[j + 1] = lines[j + 1], lines[j]
            j -= 1


class Names(ast.NodeTransformer):
    """Replaces names by names."""

    def __init__(self, names):
        self.names = names

    def visit_Name(self, node):
        return ast.Name(self.names.get(node.id, node.id), getattr(node, "ctx", ast.Load()))


class Put(ast.NodeTransformer):
    """Puts expressions in the places of names."""

    def __init__(self, pending, final, constants):
        self.pending, self.final, self.constants = pending, final, constants

    def visit_Name(self, node):
        if node.id in self.pending:
            return copied(self.pending[node.id])
        if node.id in self.final:
            return ast.Name(self.final[node.id])
        return copied(self.constants[node.id]) if node.id in self.constants else node

    def visit_Call(self, node):
        self.generic_visit(node)
        if text_of(node.func) == "np.add.at" and isinstance(node.args[1], ast.Tuple) and (
                len(node.args[1].elts) == 1):
            node.args[1] = node.args[1].elts[0]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and not node.args and (
                isinstance(node.func.value, ast.Call) and text_of(node.func.value.func) in MADE):
            return node.func.value  # an array that was just made need not be copied
        node.keywords = [ast.keyword(k.arg, short_dtype(k.value)) for k in node.keywords]
        node.args = [short_dtype(a) for a in node.args]
        return node


MADE = {"np.zeros", "np.ones", "np.full", "np.array", "np.arange"}


def assignment(target, value):
    return ast.Assign([target], value, lineno=0)


def operations(node):
    """How many operations an expression has, those on known numbers not counted."""
    found = 0
    for part in ast.walk(node):
        if isinstance(part, (ast.BinOp, ast.Compare, ast.Subscript)):
            found += 1
        elif isinstance(part, ast.Call) and text_of(part.func) not in MADE:
            found += 1
    return found


def is_view(node):
    """Is this x.T, or a chain of such: nothing is computed?"""
    while isinstance(node, ast.Attribute) and node.attr in VIEWS:
        node = node.value
        if isinstance(node, ast.Name):
            return True
    return False
