"""The program of a computation: forward and backward, as straight-line NumPy.

The one trick: forward is the record, oldest first; backward is the sweep, in its own order. Each
record's function, and each of its rules, is followed by the Tracer (lines/tracer.py) with the
names of the arrays put in. What the engine does between the rules (undoing broadcasting, adding up
what arrives) is written down as well, so the program gives the engine's numbers, to the last bit.
"""

import ast
from dataclasses import dataclass, field

import numpy as np

from minigrad import dtypes
from minigrad.backward import seed, sweep
from minigrad.lines.tracer import Tracer
from minigrad.lines.values import Statement, Unknown, as_one, is_like
from minigrad.engine import Recorded, as_of, describe, recording


@dataclass
class Program:
    """What `build` made of a computation.

    tracer     statements and constants; `backward_from` is where the backward pass begins
    inputs     {name: tensor or array} that the program is given: parameters and data
    values     {id(tensor): name or known array} of everything computed
    loss       name of the result
    gradients  {name of a parameter: name of its gradient, or a known array, or None}
    arriving   {id(tensor): name or known array of its gradient} of everything on the way
    kinds      {name of a statement: "value", "gradient"} of those that stand for a tensor
    promised   names that are kept for records to come
    """

    tracer: Tracer
    inputs: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    loss: object = None
    gradients: dict = field(default_factory=dict)
    backward_from: int = 0
    arriving: dict = field(default_factory=dict)
    kinds: dict = field(default_factory=dict)
    promised: set = field(default_factory=set)


def build(loss, parameters, names, effects=(), tracer=None):
    """The Program of `loss`, with the gradients of `parameters`.

    names: {id(tensor): identifier} of the leaves, and of whatever else should keep its name.
    effects: [(tick, function, tensors, options)] that happened beside the records, in order.
    """
    tracer = tracer or Tracer()
    program = Program(tracer)
    records = ordered(loss, [x for _, _, tensors, _ in effects for x in tensors])
    leaves = [t for t in records if t.op is None]
    for t in leaves:
        given(program, t, names)
    program.promised = {names[id(t)] for t in records if t.op is not None and id(t) in names}
    program.promised -= program.inputs.keys() | tracer.taken.keys()
    for name in names.values():  # no temporary may take one of these
        tracer.taken.setdefault(name, 1)
    waiting = list(effects)
    for t in records:
        while waiting and t.op is not None and waiting[0][0] < t.order:
            put_effect(program, *waiting.pop(0)[1:])
        if t.op is not None:
            forward(program, t, names)
    for effect in waiting:
        put_effect(program, *effect[1:])
    program.loss = program.values[id(loss)]
    program.backward_from = len(tracer.statements)
    backward(program, loss, parameters, names)
    return program


def ordered(loss, more=()):
    """Everything that a tensor was computed from, oldest first, untracked records as well."""
    found, waiting = {}, [loss, *more]
    while waiting:
        t = waiting.pop()
        if id(t) in found:
            continue
        found[id(t)] = t
        waiting += [as_of(x, t.order) if t.op is not None else x
                    for x in t.inputs if isinstance(x, Recorded)]
    return sorted(found.values(), key=lambda t: (t.op is not None, t.order))


def given(program, t, names):
    """A leaf: an input of the program, or if it has no name a constant."""
    name = names.get(id(t))
    if name is None:
        program.values[id(t)] = t.array
        return
    program.tracer.taken[name] = max(1, program.tracer.taken[name])
    program.inputs[name] = t
    program.values[id(t)] = Unknown(name, t.array)


def value_of(program, x):
    return program.values[id(x)] if isinstance(x, Recorded) else x


def operands(program, t):
    """The inputs of a record, as the program knows them; cast as the engine casts them."""
    xs = [value_of(program, as_of(x, t.order) if isinstance(x, Recorded) else x)
          for x in t.inputs]
    arrays = [x.value if isinstance(x, Unknown) else x for x in xs]
    kinds = {a.dtype for a in arrays if isinstance(a, np.ndarray)}
    counting = [i for i in range(len(arrays)) if t.op.each is not None or (
        i < len(t.op.vjps) and t.op.vjps[i] is not None)] or range(len(arrays))
    if len(kinds) > 1:
        dtype = dtypes.result_type([arrays[i] for i in counting])
        if dtype.kind != "f" and t.array.dtype.kind == "f":
            dtype = t.array.dtype
        for i in counting:
            if isinstance(arrays[i], np.ndarray) and arrays[i].dtype != dtype:
                xs[i] = cast(program.tracer, xs[i], dtype)
    return xs


def cast(tracer, x, dtype):
    if not isinstance(x, Unknown):
        return np.asarray(x).astype(dtype)
    node = ast.Call(ast.Attribute(tracer.refer(x), "astype"), [tracer.refer(np.dtype(dtype))], [])
    return tracer.emit(node, x.value.astype(dtype))


def forward(program, t, names):
    """One record: its function, followed."""
    tracer, hint = program.tracer, names.get(id(t), "v")
    if hint in program.promised:  # to the first of those that ask for it
        program.promised.remove(hint)
        tracer.taken[hint] = 0 if tracer.taken[hint] == 1 else tracer.taken[hint]
    y = tracer.call(t.op, operands(program, t), t.options, hint)
    example = y.value if isinstance(y, Unknown) else y
    if np.asarray(example).dtype != t.array.dtype:
        y = cast(tracer, y, t.array.dtype)
    if isinstance(y, Unknown):
        program.kinds.setdefault(y.name, "value")
    program.values[id(t)] = y


def put_effect(program, function, tensors, options):
    """Something that a forward pass changes beside the records: running statistics."""
    tracer = program.tracer
    node = ast.Call(tracer.refer(function), [tracer.refer(value_of(program, x)) for x in tensors],
                    [ast.keyword(k, tracer.refer(v)) for k, v in options.items()])
    tracer.statements.append(Statement(None, node, None))


# --- backward -------------------------------------------------------------------------------------

def backward(program, loss, parameters, names):
    """The sweep, written down."""
    start = seed(loss, None, False)
    pending, wanted = {id(loss): start}, list(parameters)
    program.gradients = {names[id(p)]: None for p in parameters}
    targets = {id(p): names[id(p)] for p in parameters}
    with recording(False), np.errstate(all="ignore"):
        for t, g, shares in sweep([loss], [start], wanted=wanted):
            known = program.arriving[id(t)] = pending.pop(id(t))
            if id(t) in targets:
                program.gradients[targets[id(t)]] = known
            for i, x, c in shares:
                sent = contribution(program, t, i, known, x, c)
                if id(x) in pending:
                    sent = added(program.tracer, pending[id(x)], sent, gradient_name(x, names))
                elif x.op is not None and (c is g or c.base is not None) and (
                        isinstance(sent, Unknown) and not c.flags.c_contiguous):
                    sent = in_order(program.tracer, sent)
                pending[id(x)] = sent


def in_order(tracer, c):
    """c with its numbers in their order in memory: the sweep copies views, and in which order the
    numbers of an array lie decides in which order they are added up later."""
    node = ast.Call(ast.Attribute(tracer.refer(c), "copy"), [], [])
    return tracer.emit(node, c.value.copy(), "dv")


def gradient_name(x, names):
    return f"d{names[id(x)]}" if id(x) in names else "dv"


def contribution(program, t, i, g, x, c):
    """What record t sends to its input i: its rule, followed; cut back to the input's shape."""
    tracer, op = program.tracer, t.op
    if op.joint is not None:
        raise NotImplementedError(
            f"the gradient of {op.name} is computed by Python code of its own (autograd.Function), "
            f"at the {describe(t)}; it cannot be printed as NumPy")
    rule, before = op.rule(i) if op.each is None else op.each, ()
    if op.each is not None:
        before = (i,)
    args = (*before, g, value_of(program, t), *operands(program, t))
    sent = tracer.call(rule, args, t.options, "dv")
    shape = np.shape(example_of(sent))
    if shape != x.array.shape:
        sent = reduced(tracer, sent, x.array.shape)
    if np.asarray(example_of(sent)).dtype != x.array.dtype:
        sent = cast(tracer, sent, x.array.dtype)
    return sent


def example_of(x):
    return x.value if isinstance(x, Unknown) else x


def reduced(tracer, c, shape):
    """c summed over the dimensions that broadcasting had added (backward.broadcasting_undone)."""
    full, extra = np.shape(example_of(c)), np.ndim(example_of(c)) - len(shape)
    if extra > 0:
        c = summed(tracer, c, 0 if extra == 1 else tuple(range(extra)), False)
    full = np.shape(example_of(c))
    if full != shape:
        stretched = tuple(d for d, n in enumerate(shape) if n == 1 and full[d] != 1)
        c = summed(tracer, c, stretched, True)
    return c


def summed(tracer, c, dim, keepdims):
    if not isinstance(c, Unknown):
        return np.asarray(c).sum(axis=dim, keepdims=keepdims)
    keywords = [ast.keyword("keepdims", ast.Constant(True))] if keepdims else []
    node = ast.Call(ast.Attribute(tracer.refer(c), "sum"), [tracer.refer(dim)], keywords)
    return tracer.emit(node, c.value.sum(dim, keepdims=keepdims))


def added(tracer, one, other, hint):
    """Two contributions that meet."""
    if not isinstance(one, Unknown) and not isinstance(other, Unknown):
        return one + other
    value = example_of(one) + example_of(other)
    if any(isinstance(x, Unknown) and is_like(x.value, value) for x in (one, other)):
        one, other = as_one(one, value.dtype), as_one(other, value.dtype)
    node = ast.BinOp(tracer.refer(one), ast.Add(), tracer.refer(other))
    return tracer.emit(node, value, hint)


def run(program, arrays):
    """{name: value} of everything, by executing the statements one by one: slow, and plain."""
    scope = {"np": np, **program.tracer.constants, **arrays}
    with np.errstate(all="ignore"):
        for statement in program.tracer.statements:
            body = statement.node if isinstance(statement.node, ast.Assign) else (
                ast.Expr(statement.node) if statement.target is None else
                ast.Assign([ast.Name(statement.target)], statement.node))
            exec(ast.unparse(ast.fix_missing_locations(body)), scope)
    return scope
