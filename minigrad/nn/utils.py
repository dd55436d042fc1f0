"""Limiting gradients; all parameters as one vector (torch.nn.utils)."""

import numpy as np

from minigrad.engine import Recorded, describe, wrap, written
from minigrad.shaping import cat


def gradients(parameters):
    """The gradients (Tensors) of the parameters that have one."""
    parameters = [parameters] if isinstance(parameters, Recorded) else list(parameters)
    return [p.grad for p in parameters if p.grad is not None]


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scales all gradients together so that their joint norm is at most max_norm.

    Returns the norm before clipping, a 0-d Tensor. As in PyTorch the scale is
    max_norm / (norm + 1e-6) where that is below 1.
    """
    grads = gradients(parameters)
    p = float(norm_type)
    with np.errstate(all="ignore"):
        norms = [np.linalg.norm(g.array.reshape(-1), p) for g in grads if g.array.size]
        total = np.linalg.norm(np.array(norms or [0.0]), p)
        if error_if_nonfinite and not np.isfinite(total):
            raise RuntimeError(f"The total norm of order {norm_type} for gradients is non-finite "
                               f"({total}), so it cannot be clipped")
        scale = max_norm / (total + 1e-6)
        if not scale >= 1:
            for g in grads:
                g.array *= g.dtype.type(scale)
                written(g)
    return wrap(np.asarray(total, grads[0].dtype if grads else None))


def clip_grad_value_(parameters, clip_value):
    """Limits every element of the gradients to [-clip_value, clip_value]."""
    for g in gradients(parameters):
        np.clip(g.array, -clip_value, clip_value, out=g.array)
        written(g)


def parameters_to_vector(parameters):
    """All elements of the parameters in one 1-d tensor, recorded."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Writes a vector as `parameters_to_vector` makes it back into the parameters."""
    parameters = list(parameters)
    if not isinstance(vec, Recorded) or vec.shape != (sum(p.numel() for p in parameters),):
        what = describe(vec) if isinstance(vec, Recorded) else type(vec).__name__
        raise ValueError("vector_to_parameters needs a tensor with as many elements as the "
                         f"parameters have, shape ({sum(p.numel() for p in parameters)},), got the {what}")
    start = 0
    for p in parameters:
        p.array[...] = vec.array[start:start + p.numel()].reshape(p.shape)
        written(p)
        start += p.numel()
