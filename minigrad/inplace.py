"""Changing a tensor in place: PyTorch's methods with a trailing underscore, and `t[index] = value`.

The tensor object becomes the result of the operation; what it was before lives on as a snapshot
that older records go on seeing (engine.as_of). So no record ever has to be mended.
"""

import numpy as np

from minigrad.beside import about_to_change
from minigrad.engine import (Recorded, clock, describe, mode, notice, own, recording, renew,
                             snapshot, view_chain, wrap, written)


def change(t, op, *others, setitem=None, **options):
    """t <- op(t, *others) in t's own memory, as PyTorch's methods with a trailing underscore do.

    A change through a view is written through to the tensor that owns the memory by `setitem`, so
    that gradients take the same way as the numbers."""
    notice((t, *others))
    chain = view_chain(t)
    base = chain[-1].inputs[0] if chain else t
    tracked = mode.recording and op.differentiable and (
        t.requires_grad or base.requires_grad
        or any(isinstance(x, Recorded) and x.requires_grad for x in others))
    if tracked and base.requires_grad and base.op is None:
        what = "a view of a leaf" if chain else "a leaf"
        raise RuntimeError(f"{what} that requires grad is being changed in place by {op.name}_: "
                           f"{describe(base)}. Update parameters under no_grad(), or work on a "
                           "clone()")
    if any(step == 0 and n > 1 for step, n in zip(t.array.strides, t.array.shape)):
        raise RuntimeError(f"{op.name}_: several elements of the expanded {describe(t)} are one "
                           "memory location; clone() it before changing it in place")
    # The rule of this very operation may need the values that it overwrites (of t, and of views of
    # the same memory among the others): then it gets copies of its own.
    same = [x is t or (isinstance(x, Recorded) and x.memory is not None and x.memory is t.memory)
            for x in (t, *others)]
    needed = tracked and any(op.reads_value(i, j) for i in range(len(op.vjps))
                             for j, overwritten in enumerate(same) if overwritten)
    before = snapshot(base)
    old = earlier(t, base, before, needed)
    others = own([old if x is t else earlier(x, base, before, needed) if overwritten else x
                  for x, overwritten in zip(others, same[1:])])
    with recording(False):
        value = op(old, *others, **options).array
    if value.shape != t.array.shape:
        raise RuntimeError(f"{op.name}_: the result has shape {value.shape} and does not fit "
                           f"in place into the {describe(t)}")
    if not np.can_cast(value.dtype, t.array.dtype, "same_kind"):
        raise RuntimeError(f"{op.name}_: result type {value.dtype} can't be cast to the desired "
                           f"output type {t.array.dtype}")
    about_to_change(t)
    t.array[...] = value
    written(t)
    if not tracked:
        return t
    if chain:
        places = np.arange(base.array.size).reshape(base.array.shape)
        for view in reversed(chain):
            places = view.op.forward(places, *view.inputs[1:], **view.options)
        result = record(wrap(t.array), op, (old, *others), options)
        result.memory = t.memory
        index = np.unravel_index(places, base.array.shape)
        record(base, setitem, (before, result), {"index": index}).before = before
        for view in reversed(chain):
            renew(view)
    else:
        t.before = before
        record(t, op, (old, *others), options)
    return t


def earlier(x, base, before, copy):
    """x as a snapshot, and if it is a view of base, one taken from `before`: what base is now made
    from must not refer back to base, or they would keep each other alive."""
    chain = view_chain(x)
    if x is not base and (not chain or chain[-1].inputs[0] is not base):
        return snapshot(x, copy)
    old = before
    for view in reversed(chain):
        source, old = old, snapshot(view, copy and view is x)
        old.inputs, old.before = (source, *view.inputs[1:]), None
    return snapshot(before, copy) if copy and x is base else old


def record(t, op, inputs, options):
    """Makes t the tracked result of op(*inputs, **options), now."""
    t.op, t.inputs, t.options, t.order, t.module = op, inputs, options, clock(), mode.module
    t.requires_grad = True
    return t
