"""Linear algebra (torch.linalg): norms, inverses, determinants, systems of equations.

The one trick: the derivative of solving is solving, with the transposed matrix; so `solve` needs no
inverse, neither forward nor backward.
"""

import math

import numpy as np

from minigrad import ops
from minigrad.arguments import array, dims_of, numpy_names, one_dim
from minigrad.engine import Recorded, describe, wrap
from minigrad.functions import amax, amin, floats
from minigrad.functions import sum as total
from minigrad.shaping import squeeze, unsqueeze

# --- norms ----------------------------------------------------------------------------------------

@numpy_names
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """(sum |x|^ord)^(1/ord) over dim (None: all); ord inf, -inf and 0: the largest, the smallest
    absolute value, and how many elements are not 0. Where the norm is 0, its derivative is 0."""
    x = widened(x, dtype, "linalg.vector_norm")
    if isinstance(ord, str):
        raise RuntimeError(f"vector_norm: ord must be a number, got {ord!r}")
    dims = dims_of(x, dim)
    if ord == 2:
        return ops.norm(x, dim=dims, keepdim=keepdim)
    if ord == 0:
        return total(ops.sign(ops.abs(x)), dims, keepdim)
    if ord == 1:
        return total(ops.abs(x), dims, keepdim)
    if math.isinf(ord):
        return (amax if ord > 0 else amin)(ops.abs(x), dims, keepdim)
    return powers(x, ord, dims, keepdim)


def widened(x, dtype, what):
    if dtype is not None and not np.can_cast(x.dtype, dtype):
        raise RuntimeError(f"{what}: the dtype of the input ({x.dtype}) should be convertible "
                           f"without narrowing to the specified dtype ({np.dtype(dtype)})")
    return floats(x if dtype is None else x.to(dtype), what)


def powers(x, ord, dims, keepdim):
    """The general case. Zeros, where |x|^ord may have no derivative, take 0 instead."""
    zero = array(x) == 0
    sizes = ops.power(ops.where(zero, 1.0, ops.abs(x)), ord)
    sizes = ops.where(zero, 0.0 if ord > 0 else math.inf, sizes)
    sums = total(sizes, dims, keepdim)
    none = array(sums) == 0
    return ops.where(none, 0.0 if ord > 0 else math.inf,
                     ops.power(ops.where(none, 1.0, sums), 1 / ord))


@numpy_names
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """Norms of matrices over two dimensions: "fro" (of all elements), 1 and -1 (largest and
    smallest column sum of |A|), inf and -inf (row sums)."""
    A = widened(A, dtype, "linalg.matrix_norm")
    if A.ndim < 2 or len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: needs a matrix over 2 dimensions, got dim={dim} "
                           f"for the {describe(A)}")
    row, column = (one_dim(d, A.ndim) for d in dim)
    if row == column:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different, got {tuple(dim)}")
    if ord == "fro":
        return vector_norm(A, 2, (row, column), keepdim)
    if ord not in (1, -1, math.inf, -math.inf):
        raise RuntimeError(f"linalg.matrix_norm: ord={ord!r} is not among 'fro', 1, -1, inf, -inf; "
                           "norms of singular values: np.linalg.norm(A.detach().numpy(), ord)")
    added, chosen = (row, column) if abs(ord) == 1 else (column, row)
    sums = total(ops.abs(A), added, True)
    norms = (amax if ord > 0 else amin)(sums, chosen, True)
    return norms if keepdim else squeeze(norms, (row, column))


@numpy_names
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """vector_norm, or matrix_norm where ord is given for a matrix (or for two dims). Without
    ord, the square root of the sum of all squares."""
    two = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and (two or isinstance(ord, str) or (dim is None and A.ndim == 2)):
        return matrix_norm(A, ord, dim if two else (-2, -1), keepdim, dtype=dtype)
    if ord is not None and dim is None and A.ndim > 2:
        raise RuntimeError("linalg.norm: with ord and without dim, A must have 1 or 2 dimensions, "
                           f"got the {describe(A)}")
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


@numpy_names
def tensor_norm(input, p="fro", dim=None, keepdim=False, *, dtype=None):
    """The p-norm of all elements, or of those along dim; "fro" is 2 (torch.norm)."""
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm: p={p!r} is not supported, use 'fro' or a number")
    return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype)


tensor_norm.__name__ = tensor_norm.__qualname__ = "norm"


# --- matrices -------------------------------------------------------------------------------------

def square(A, what):
    floats(A, what)
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise RuntimeError(f"{what}: A must be batches of square matrices, got the {describe(A)}")
    return A


def inv(A):
    """The inverse of a matrix, or of each in a batch. RuntimeError if there is none."""
    return ops.inv(square(A, "linalg.inv"))


def det(A):
    """The determinant of a matrix, or of each in a batch."""
    return ops.det(square(A, "linalg.det"))


def solve(A, B, *, left=True):
    """X with A @ X = B (left=False: X @ A = B), for a vector, a matrix or a batch of each.
    RuntimeError if A is singular."""
    square(A, "linalg.solve")
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    if vector and not left:
        raise RuntimeError("linalg.solve: left=False needs matrices B, got the "
                           f"{describe(B)}")
    if vector:
        return squeeze(solve(A, unsqueeze(B, -1)), -1)
    if B.shape[-2 if left else -1] != A.shape[-1]:
        raise RuntimeError(f"linalg.solve: incompatible shapes of A and B for the equation "
                           f"{'AX = B' if left else 'XA = B'}: {describe(A)} and {describe(B)}")
    return ops.solve(A, floats(B, "linalg.solve")) if left else ops.solve(A.mT, B.mT).mT


def matrix_power(A, n):
    """A @ A @ ... @ A, n times; of the inverse if n is negative."""
    square(A, "linalg.matrix_power")
    if n < 0:
        A, n = inv(A), -n
    if n == 0:
        return wrap(np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype), A.shape).copy())
    result = None
    while n:
        if n % 2:
            result = A if result is None else result @ A
        A, n = (A @ A, n // 2) if n > 1 else (A, 0)
    return result if isinstance(result, Recorded) else A
