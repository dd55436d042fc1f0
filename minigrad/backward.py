"""The backward pass: the Wengert list, walked youngest first.

`sweep` is the one loop that applies rules. backward() and grad() collect what it yields; pictures,
explanations and printed programs read the same loop.
"""

import heapq
import operator

import numpy as np

from minigrad import engine
from minigrad.engine import Recorded, as_of, describe, notice, recording, wrap, written


def tracked_inputs(t):
    """The inputs of t's record that gradients flow to, as they were then, with their positions."""
    for i, x in enumerate(t.inputs):
        if isinstance(x, Recorded):
            if x.order >= t.order:
                x = as_of(x, t.order)
            if x.requires_grad:
                yield i, x


def history(outputs):
    """All tracked tensors that `outputs` were computed from, youngest first."""
    found = set(outputs)
    waiting = list(found)
    while waiting:
        t = waiting.pop()
        order = t.order
        for x in t.inputs:
            if isinstance(x, Recorded):
                if x.order >= order:
                    x = as_of(x, order)
                if x.requires_grad and x not in found:
                    found.add(x)
                    waiting.append(x)
    return sorted(found, key=operator.attrgetter("order"), reverse=True)


def sweep(outputs, gradients, create_graph=False, wanted=None):
    """The backward pass, one tensor at a time: yields (t, g, shares), youngest first.

    g is the finished gradient of t; shares lists the (input position, input, contribution) that t's
    record sends on. Everything that uses gradients (backward, grad, pictures, explanations) is
    a reading of this one loop. With `wanted`, only paths that lead to those tensors are followed.
    """
    useful = None if wanted is None else leading_to(wanted, outputs)
    # Tensors with a gradient waiting, in a heap whose top is the youngest (id breaks ties: a change
    # in place can leave two snapshots of one tick). Leaves send nothing on, so they wait aside.
    pending, waiting, leaves = {}, [], []
    arrivals = [(None, *start) for start in zip(outputs, gradients)]
    t = g = shares = None
    while True:
        for _, x, c in arrivals:
            if x in pending:
                pending[x] = pending[x] + c
                continue
            if not create_graph and (c is g or c.base is not None):
                c = c.copy()  # c is g or a view of it: every gradient gets memory of its own
            pending[x] = c
            if x.op is None:
                leaves.append(x)
            else:
                heapq.heappush(waiting, (-x.order, id(x), x))
        if t is not None:
            yield t, g, shares
        if not waiting:
            break
        t = heapq.heappop(waiting)[2]
        g = pending.pop(t)
        arrivals = shares = contributions(t, g, create_graph, useful)
    for t in leaves:
        yield t, pending.pop(t), []


def observed(steps):
    """The steps of a sweep, shown to the observer (if there is one) as they pass."""
    return steps if engine.observer is None else engine.observer.steps(steps)


def leading_to(wanted, outputs):
    """The tensors on the paths from `wanted` to `outputs`."""
    useful = set(wanted)
    for t in reversed(history(outputs)):
        if any(x in useful for _, x in tracked_inputs(t)):
            useful.add(t)
    return useful


def contributions(t, g, create_graph=False, useful=None):
    """What the record of t sends on when gradient g arrives: (input position, input, contribution).

    This is where rules are applied, and nowhere else: to arrays, or (create_graph) to tensors.
    """
    op, options, values, targets = t.op, t.options, [], []
    tick, memory = t.order, t.memory
    suspect = memory is not None and (memory.changed > tick or memory.exposed is not None)
    for i, x in enumerate(t.inputs):
        if not isinstance(x, Recorded):
            values.append(x)
            continue
        memory = x.memory
        if memory is not None and (memory.changed > tick or memory.exposed is not None):
            suspect = True
        if x.order >= tick:
            x = as_of(x, tick)
        values.append(x if create_graph else x.array)
        if x.requires_grad and (useful is None or x in useful):
            targets.append((i, x))
    if suspect:
        check_unchanged(t)
    y = t if create_graph else t.array
    shares, found = [], op.joint and op.joint(g, y, *values, **options)
    for i, x in targets:
        if found is not None:
            c = found[i]
        else:
            rule = op.vjps[i] if i < len(op.vjps) else op.rule(i)
            c = None if rule is None else rule(g, y, *values, **options)
        if c is None:  # no gradient this way
            continue
        if type(c) is not np.ndarray and not isinstance(c, (np.generic, Recorded)):
            c = np.asarray(c)
        array = x.array
        if c.shape != array.shape:
            c = broadcasting_undone(c, array.shape, op, i)
        if c.dtype is not array.dtype and c.dtype != array.dtype:
            c = c.astype(array.dtype)
        shares.append((i, x, c))
    return shares


def broadcasting_undone(c, shape, op, i):
    """c summed over the dimensions that broadcasting had added to an input of `shape`."""
    full, extra = c.shape, c.ndim - len(shape)
    if extra > 0:
        c = c.sum(axis=0 if extra == 1 else tuple(range(extra)))
    if c.shape != shape and extra >= 0:
        stretched = tuple(d for d, n in enumerate(shape) if n == 1 and c.shape[d] != 1)
        c = c.sum(axis=stretched, keepdims=True)
    if c.shape != shape:
        raise RuntimeError(f"the rule of {op.name} for input {i} returned a gradient of shape "
                           f"{tuple(full)} for an input of shape {shape}; it must have the input's "
                           "shape, or the shape the input was broadcast to")
    return c


def check_unchanged(t):
    """Refuses a rule whose values were overwritten after t was recorded."""
    for j, x in enumerate((t, *t.inputs), start=-1):
        memory = x.memory if isinstance(x, Recorded) else None
        if memory is None:
            continue
        memory.look()
        if memory.changed > t.order and any(
                t.op.reads_value(i, j) for i, _ in tracked_inputs(t)):
            role = "its result" if j < 0 else f"its input {j}"
            raise RuntimeError(
                f"{t.op.name} needs {role} for its gradient, but that {describe(x)} was changed in "
                "place after the forward pass (one of the variables needed for gradient computation"
                " has been modified by an inplace operation). Call backward() before changing it "
                "(optimizer.step() changes the weights), or change a clone()")


def seed(t, gradient, create_graph):
    """The gradient that backward starts from: given, or 1 for a single number."""
    notice((t,))  # a view whose base was changed in place is a view of the new values
    if not t.requires_grad:
        raise RuntimeError(
            f"backward from a {describe(t)} that does not require grad and has no grad_fn: nothing "
            "it was computed from has requires_grad=True, or it was made under no_grad()")
    if gradient is None:
        if t.array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, this {describe(t)} has "
                f"{t.array.size} numbers: reduce it (.sum(), .mean()) or pass gradient= of its shape")
        gradient = np.ones_like(t.array)
    elif not isinstance(gradient, Recorded):
        gradient = np.asarray(gradient)
    if gradient.shape != t.array.shape:
        raise RuntimeError(f"gradient has shape {tuple(gradient.shape)}, but the {describe(t)} "
                           f"needs one of shape {t.array.shape}")
    if gradient.dtype != t.array.dtype:
        gradient = gradient.astype(t.array.dtype)
    if create_graph:
        return gradient if isinstance(gradient, Recorded) else wrap(gradient)
    return np.array(gradient.array if isinstance(gradient, Recorded) else gradient)


def backward(outputs, gradients, create_graph=False, inputs=None):
    """Adds d(outputs)/dt to the gradient of every tensor t on the way (or only of `inputs`).

    A generalisation of PyTorch's accumulation: what PyTorch does for leaves and for tensors with
    retain_grad() is done for all, so every gradient of the graph can be read afterwards.
    """
    starts = [seed(t, g, create_graph) for t, g in zip(outputs, gradients)]
    inputs = None if inputs is None else set(inputs)
    with recording(create_graph), np.errstate(all="ignore"):
        for t, g, _ in observed(sweep(outputs, starts, create_graph, inputs)):
            if inputs is not None and t not in inputs:
                continue
            if t._grad is None and type(g) is np.ndarray:
                t._grad = g
            else:
                accumulate(t, g)
    for recorder in engine.mode.recorders:
        recorder.saw_backward(outputs, gradients)


def accumulate(t, g):
    """t.grad += g. The sweep has given every gradient memory of its own."""
    old = t._grad
    if old is None:
        t._grad = g.clone() if isinstance(g, Recorded) else np.asarray(g)
    elif isinstance(g, Recorded):
        t._grad = old + g
    elif isinstance(old, Recorded):
        old.array += g
        written(old)
    else:
        old += g
