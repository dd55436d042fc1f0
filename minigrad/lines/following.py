"""Following a Python function: what depends on known values is computed, the rest written down.

The one trick: a Frame is a small interpreter of the few kinds of statements that rules are made of.
What it meets beyond these is Unfollowed, and the function stays a call.
"""

import ast
import types

import numpy as np

from minigrad.lines.values import (
    FACTS, NEUTRAL, OPERATORS, as_load, as_number, as_one, example, holds_unknown, is_like,
    is_one, lasts, looks_at, Method, same_kind, Statement, Unfollowed, Unknown, unknowns)


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
