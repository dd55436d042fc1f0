"""NumPy's functions, and the tensor functions that take their place when a Tensor is an argument.

np.tanh(t) is recorded because np.tanh stands here. What does not stand here is refused by name:
nothing is detached silently.
"""

import numpy as np

from minigrad import arranging, elementary, functions, indexing, linalg, matrices, ops, shaping
from minigrad.engine import wrap



def flat_without(x, axis):
    """(x, axis), flattened where NumPy's axis is None."""
    return (arranging.ravel(x), 0) if axis is None else (x, axis)


# fmt: off
NUMPY = {getattr(row.forward, "ufunc", row.forward): row for row in ops.TABLE.values()
         if isinstance(getattr(row.forward, "ufunc", row.forward), np.ufunc)}
NUMPY |= {
    np.matmul: functions.matmul, np.power: functions.rpow, np.where: shaping.where,
    np.equal: functions.eq, np.not_equal: functions.ne, np.less: functions.lt,
    np.less_equal: functions.le, np.greater: functions.gt, np.greater_equal: functions.ge,
    np.logical_and: functions.logical_and, np.logical_or: functions.logical_or,
    np.logical_not: functions.logical_not, np.logical_xor: functions.logical_xor,
    np.isnan: functions.isnan, np.isinf: functions.isinf, np.isfinite: functions.isfinite,
    np.bitwise_and: functions.bit_and, np.bitwise_or: functions.bit_or,
    np.invert: functions.bit_not,
    np.sum: functions.sum, np.mean: functions.mean, np.prod: functions.prod,
    np.amax: functions.amax, np.amin: functions.amin,
    np.max: functions.amax, np.min: functions.amin,
    np.argmax: functions.argmax, np.argmin: functions.argmin,
    np.reshape: shaping.reshape, np.clip: functions.clamp,
    np.squeeze: lambda x, axis=None: shaping.squeeze(x, axis),
    np.concatenate: lambda xs, axis=0: shaping.cat(xs, axis),
    np.stack: lambda xs, axis=0: shaping.stack(xs, axis),
    np.broadcast_to: lambda x, shape: shaping.broadcast_to(x, shape),
    np.transpose: lambda x, axes=None: shaping.permute(
        x, tuple(range(x.ndim))[::-1] if axes is None else tuple(axes)),
    np.swapaxes: lambda x, a, b: shaping.transpose(x, a, b),
    np.moveaxis: shaping.moveaxis, np.expand_dims: shaping.expand_dims,
    np.zeros_like: lambda x: wrap(np.zeros_like(x.array)),
    np.ones_like: lambda x: wrap(np.ones_like(x.array)),
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.array.size,
    np.var: lambda x, axis=None, ddof=0, keepdims=False: functions.var(
        x, axis, correction=ddof, keepdim=keepdims),
    np.std: lambda x, axis=None, ddof=0, keepdims=False: functions.std(
        x, axis, correction=ddof, keepdim=keepdims),
    np.dot: functions.matmul,
    np.all: functions.all, np.any: functions.any, np.copy: ops.clone,
    np.floor: elementary.floor, np.ceil: elementary.ceil, np.trunc: elementary.trunc,
    np.remainder: elementary.remainder, np.fmod: elementary.fmod,
    np.floor_divide: elementary.floor_divide, np.isclose: elementary.isclose,
    np.round: lambda x, decimals=0: elementary.round(x, decimals=decimals),
    np.nan_to_num: lambda x, nan=0.0, posinf=None, neginf=None: elementary.nan_to_num(
        x, nan, posinf, neginf),
    np.cumsum: lambda x, axis=None: functions.cumsum(*flat_without(x, axis)),
    np.cumprod: lambda x, axis=None: functions.cumprod(*flat_without(x, axis)),
    np.ravel: arranging.ravel, np.hstack: arranging.hstack, np.vstack: arranging.vstack,
    np.flip: lambda x, axis=None: arranging.flip(
        x, tuple(range(x.ndim)) if axis is None else shaping.shape_of((axis,))),
    np.roll: lambda x, shift, axis=None: arranging.roll(x, shift, axis),
    np.tile: arranging.tile, np.repeat: lambda x, repeats, axis=None: (
        arranging.repeat_interleave(x, repeats, axis)),
    np.diagonal: matrices.diagonal, np.trace: matrices.trace, np.diag: matrices.diag,
    np.tril: matrices.tril, np.triu: matrices.triu, np.einsum: matrices.einsum,
    np.outer: lambda a, b: matrices.outer(arranging.ravel(a), arranging.ravel(b)),
    np.inner: matrices.inner, np.argsort: indexing.argsort,
    np.sort: lambda x, axis=-1: indexing.sort(*flat_without(x, axis)).values,
    np.linalg.norm: linalg.norm, np.linalg.inv: linalg.inv, np.linalg.det: linalg.det,
    np.linalg.solve: linalg.solve, np.linalg.matrix_power: linalg.matrix_power,
    np.reciprocal: ops.reciprocal, np.allclose: functions.allclose, np.array_equal: functions.equal,
}
# fmt: on
