"""How a tensor prints: PyTorch's form, with the name and the operation that made it."""

import numpy as np


def text_of(t):
    """tensor([1., 2.], name='w', requires_grad=True)"""
    body = np.array2string(t.array, precision=4, suppress_small=False, separator=", ", prefix="tensor(",
                           threshold=1000, edgeitems=3, max_line_width=88)
    notes = []
    if t.array.dtype not in (np.float64, np.int64, np.bool_):
        notes.append(f"dtype={t.array.dtype}")
    if t.array.size == 0 and len(t.array.shape) > 1:
        notes.append(f"size={t.array.shape}")
    if t.name:
        notes.append(f"name={t.name!r}")
    if t.requires_grad:
        notes.append("requires_grad=True" if t.is_leaf else f"grad_fn=<{t.op.name}>")
    return f"tensor({', '.join([body, *notes])})"
