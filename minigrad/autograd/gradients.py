"""Gradients as values (`grad`), and the gradient of several outputs at once (`backward`).

The one trick: both are readings of the one backward loop (`sweep`). backward() writes down every
gradient it passes, grad() keeps those that were asked for.
"""

import numpy as np

from minigrad.backward import backward as accumulate_all
from minigrad.backward import observed, seed, sweep
from minigrad.engine import Recorded, describe, recording, wrap

__all__ = ["grad", "backward"]


def sequence(x):
    return [x] if isinstance(x, Recorded) or x is None else list(x)


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         only_inputs=True, allow_unused=None, materialize_grads=False):
    """d(outputs)/d(inputs) as a tuple of tensors; no .grad is touched (torch.autograd.grad).

    outputs, inputs: a tensor or a sequence. grad_outputs: where each output starts (1 for single
    numbers). create_graph: the results can be differentiated again. An input that the outputs do
    not depend on is an error, or None with allow_unused=True, or zeros with materialize_grads=True.
    only_inputs is always True, and there only because older lessons say so.
    """
    outputs, inputs = sequence(outputs), sequence(inputs)
    starts = [None] * len(outputs) if grad_outputs is None else sequence(grad_outputs)
    if len(starts) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} outputs and {len(starts)} grad_outputs")
    if not inputs:
        raise ValueError("grad requires non-empty inputs.")
    for i, x in enumerate(inputs):
        if not isinstance(x, Recorded) or not x.requires_grad:
            what = describe(x) if isinstance(x, Recorded) else type(x).__name__
            raise RuntimeError(f"input {i} ({what}) does not require grad: one of the "
                               "differentiated Tensors does not require grad")
    found = {}
    starts = [seed(t, g, create_graph) for t, g in zip(outputs, starts)]
    with recording(create_graph), np.errstate(all="ignore"):
        for t, g, _ in observed(sweep(outputs, starts, create_graph, inputs)):
            found[t] = g
        if create_graph:
            separate(found, starts)
    results = []
    for i, x in enumerate(inputs):
        g = found.get(x)
        if g is None and materialize_grads:
            g = np.zeros_like(x.array)
        elif g is None and not allow_unused:
            raise RuntimeError(f"input {i} ({describe(x)}) was not used to compute the outputs; "
                               "pass allow_unused=True to get None for it (one of the "
                               "differentiated Tensors appears to not have been used in the graph)")
        if g is not None and any(x is other for other in inputs[:i]):
            g = g.clone() if isinstance(g, Recorded) else g.copy()
        results.append(g if g is None or isinstance(g, Recorded) else wrap(g))
    return tuple(results)


def separate(found, starts):
    """Gives each gradient memory of its own: rules may hand on the very tensor they got, or a
    view."""
    taken = {id(start) for start in starts}
    for t, g in found.items():
        if id(g) in taken or g.memory is not None:
            found[t] = g.clone()
        taken.add(id(g))


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Sum of the gradients of several tensors, accumulated in .grad (torch.autograd.backward)."""
    from_ = sequence(tensors)
    starts = [None] * len(from_) if grad_tensors is None else sequence(grad_tensors)
    accumulate_all(from_, starts, create_graph, None if inputs is None else sequence(inputs))
