"""The backward pass: the Wengert list, walked youngest first.

`sweep` is the one loop that applies rules. backward() and grad() collect what it yields; pictures,
explanations and printed programs read the same loop.
"""

import operator

import numpy as np

from minigrad.engine import Recorded, as_of, describe, recording, wrap, written


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

    g is the finished gradient of t; shares is the list of (input position, input, contribution) that
    t's record sends on. Everything that uses gradients (backward, grad, pictures, explanations) is
    a reading of this one loop. With `wanted`, only paths that lead to those tensors are followed.
    """
    order = history(outputs)
    if wanted is not None:
        useful = set(wanted)
        for t in reversed(order):
            if any(x in useful for _, x in tracked_inputs(t)):
                useful.add(t)
        order = [t for t in order if t in useful]
    pending = {}
    for t, g in zip(outputs, gradients):
        pending[t] = pending[t] + g if t in pending else g
    for t in order:
        g = pending.pop(t, None)
        if g is None:
            continue  # every rule on the way here returned None: no gradient arrives
        shares = []
        if t.op is not None:
            check_unchanged(t)
            op, options, tick = t.op, t.options, t.order
            if create_graph:
                y = t
                values = [as_of(x, tick) if isinstance(x, Recorded) and x.order >= tick else x
                          for x in t.inputs]
            else:
                y = t.array
                values = [x.array if isinstance(x, Recorded) else x for x in t.inputs]
            for i, x in enumerate(t.inputs):
                if not isinstance(x, Recorded):
                    continue
                if x.order >= tick:
                    x = as_of(x, tick)
                if not x.requires_grad or (wanted is not None and x not in useful):
                    continue
                rule = op.vjps[i] if op.each is None else op.rule(i)
                c = rule(g, y, *values, **options)
                if c is None:
                    continue
                if type(c) is not np.ndarray and not isinstance(c, (Recorded, np.generic)):
                    c = np.asarray(c)
                array = x.array
                if c.shape != array.shape:
                    c = broadcasting_undone(c, array.shape, op, i)
                if c.dtype is not array.dtype and c.dtype != array.dtype:
                    c = c.astype(array.dtype)
                shares.append((i, x, c))
                if x in pending:
                    pending[x] = pending[x] + c
                elif create_graph or owned(c, g, values):
                    pending[x] = c
                else:
                    pending[x] = c.copy()
        yield t, g, shares


def broadcasting_undone(c, shape, op, i):
    """c summed over the dimensions that broadcasting had added to an input of `shape`."""
    extra = c.ndim - len(shape)
    stretched = tuple(range(extra)) + tuple(
        d + extra for d, n in enumerate(shape) if n == 1 and c.shape[d + extra] != 1)
    if extra < 0 or any(n not in (1, c.shape[d + extra]) for d, n in enumerate(shape)):
        raise RuntimeError(f"the rule of {op.name} for input {i} returned a gradient of shape "
                           f"{tuple(c.shape)} for an input of shape {shape}; it must have the "
                           "input's shape, or the shape the input was broadcast to")
    c = c.sum(axis=stretched)
    return c if c.shape == shape else c.reshape(shape)


def owned(c, g, values):
    """Is the contribution in memory of its own? Rules may hand on g itself, or a view of it."""
    return c.base is None and c is not g and not any(c is v for v in values)


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
                "place after the forward pass (one of the variables needed for gradient computation "
                "has been modified by an inplace operation). Call backward() before changing it, or "
                "change a clone()")


def seed(t, gradient, create_graph):
    """The gradient that backward starts from: given, or 1 for a single number."""
    if not t.requires_grad:
        raise RuntimeError(
            f"backward from a {describe(t)} that does not require grad and has no grad_fn: nothing "
            "it was computed from has requires_grad=True, or it was made under no_grad()")
    if gradient is None:
        if t.array.size != 1:
            raise RuntimeError(
                f"grad can be implicitly created only for scalar outputs, this {describe(t)} has "
                f"{t.array.size} numbers: reduce it (.sum(), .mean()) or pass gradient= of that shape")
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
        for t, g, _ in sweep(outputs, starts, create_graph, inputs):
            if inputs is None or t in inputs:
                accumulate(t, g)


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
