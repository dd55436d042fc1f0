"""Products and parts of matrices: mm, bmm, dot, outer, einsum, diagonal, tril, ...

The one trick: whatever a letter of einsum asks for within one operand (a diagonal, a sum, a size of
1) is done before the product. What is left is linear in each operand, with a rule that is again an
einsum.
"""

import string

import numpy as np

from minigrad import ops
from minigrad.arguments import as_tensor, one_dim
from minigrad.engine import describe
from minigrad.functions import matmul
from minigrad.functions import sum as total
from minigrad.shaping import getitem, permute, reshape, squeeze


def dimensional(what, **tensors):
    """Refuses a tensor whose number of dimensions is not the one in its keyword: mat2=(x, 2)."""
    for name, (x, ndim) in tensors.items():
        if x.ndim != ndim:
            raise RuntimeError(f"{what}: {name} must have {ndim} dimension{'s' * (ndim > 1)}, got "
                               f"the {describe(x)}; matmul() takes any")


def mm(input, mat2):
    """The product of two matrices."""
    dimensional("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input, mat2):
    """The products of two equally long batches of matrices."""
    dimensional("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise RuntimeError(f"bmm: the batches are not equally long: {describe(input)} and "
                           f"{describe(mat2)}")
    return matmul(input, mat2)


def mv(input, vec):
    """A matrix times a vector."""
    dimensional("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input, tensor):
    """The sum of the products of two vectors."""
    dimensional("dot", input=(input, 1), tensor=(tensor, 1))
    return matmul(input, tensor)


def inner(input, other):
    """Sums of products over the last dimension of both."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError("inner: the last dimensions must be equal, got the "
                           f"{describe(input)} and the {describe(other)}")
    n = input.shape[-1]
    rows, columns = (x if x.ndim == 2 else reshape(x, (x.array.size // max(n, 1), n))
                     for x in (input, other))
    return reshape(rows @ columns.T, (*input.shape[:-1], *other.shape[:-1]))


def outer(input, vec2):
    """All products of an element of one vector and one of the other."""
    dimensional("outer", input=(input, 1), vec2=(vec2, 1))
    return reshape(input, (-1, 1) if input.array.size else (0, 1)) * vec2


ger = outer


def addmm(input, mat1, mat2, *, beta=1, alpha=1):
    """beta * input + alpha * (mat1 @ mat2)"""
    product = mm(mat1, mat2)
    product = product if alpha == 1 else alpha * product
    if beta == 0:  # as in PyTorch, nan and inf in input do not matter then
        return product
    added = (input if beta == 1 else beta * input) + product
    if added.shape != product.shape:
        raise RuntimeError(f"addmm: the {describe(input)} does not fit the product of shape "
                           f"{tuple(product.shape)}")
    return added


# --- parts of matrices ----------------------------------------------------------------------------

def diagonal(input, offset=0, dim1=0, dim2=1):
    """A view of the diagonal over two dimensions, as the last one; offset > 0: above the main
    diagonal."""
    if input.ndim < 2:
        raise IndexError(f"diagonal needs at least 2 dimensions, got the {describe(input)}")
    one, two = one_dim(dim1, input.ndim), one_dim(dim2, input.ndim)
    if one == two:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rest = [d for d in range(input.ndim) if d not in (one, two)]
    x = permute(input, (*rest, one, two)) if (one, two) != (input.ndim - 2, input.ndim - 1) else \
        input
    top, left = max(-offset, 0), max(offset, 0)
    n = max(min(x.shape[-2] - top, x.shape[-1] - left), 0)
    if (top, left) != (0, 0) or tuple(x.shape[-2:]) != (n, n):
        x = getitem(x, (..., slice(top, top + n), slice(left, left + n)))
    return ops.diagonal(x)


diagonal_of = diagonal


def diag(input, diagonal=0):
    """A vector as the diagonal of a matrix of zeros; of a matrix, a copy of its diagonal."""
    if input.ndim == 2:
        return ops.clone(diagonal_of(input, diagonal))
    dimensional("diag", input=(input, 1))
    return diag_embed(input, diagonal)


def diag_embed(input, offset=0):
    """Matrices of zeros, with the last dimension of input as their diagonals."""
    n = input.shape[-1]
    size = n + abs(offset)
    rows, columns = np.arange(n) + max(-offset, 0), np.arange(n) + max(offset, 0)
    return ops.scatter(input, rows, columns, index=(Ellipsis, ops.ARRAY, ops.ARRAY),
                       shape=(*input.shape[:-1], size, size))


def trace(input):
    """The sum of the diagonal of a matrix."""
    dimensional("trace", input=(input, 2))
    return total(diagonal(input))


def triangle(input, mask, what):
    if input.ndim < 2:
        raise RuntimeError(f"{what}: input tensor must have at least 2 dimensions, got the "
                           f"{describe(input)}")
    return ops.where(mask, input, False if input.dtype == bool else 0)


def tril(input, diagonal=0):
    """The lower triangle: zeros above the diagonal."""
    return triangle(input, np.tri(*input.shape[-2:], diagonal, bool) if input.ndim > 1 else None,
                    "tril")


def triu(input, diagonal=0):
    """The upper triangle: zeros below the diagonal."""
    return triangle(input, ~np.tri(*input.shape[-2:], diagonal - 1, bool) if input.ndim > 1
                    else None, "triu")


# --- einsum ---------------------------------------------------------------------------------------

def einsum(equation, *operands):
    """Sums of products, said in letters: einsum("ij,jk->ik", a, b) is a @ b.

    A letter per dimension, `...` for any more; letters missing behind the arrow are summed over;
    without an arrow, those that occur once remain, in alphabetical order. Sizes of 1 broadcast.
    """
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = operands[0]
    operands = [as_tensor(x) for x in operands]
    letters, result = lettered(equation, operands)
    sizes = sizes_of(letters, operands, equation)
    missing = set(result) - set(sizes)
    if missing or len(set(result)) < len(result):
        raise RuntimeError(f"einsum {equation!r}: each letter behind the arrow must be that of an "
                           "operand, and stand there once")
    for i, (x, word) in enumerate(zip(operands, letters)):
        x, word = without_repetition(x, word)
        ones = tuple(d for d, c in enumerate(word) if x.shape[d] == 1 != sizes[c])
        operands[i] = squeeze(x, ones) if ones else x
        letters[i] = "".join(c for d, c in enumerate(word) if d not in ones)
    for i, (x, word) in enumerate(zip(operands, letters)):
        used = set(result).union(*letters[:i], *letters[i + 1:])
        summed = tuple(d for d, c in enumerate(word) if c not in used)
        operands[i] = total(x, summed) if summed else x
        letters[i] = "".join(c for c in word if c in used)
    return ops.einsum(*operands, equation=f"{','.join(letters)}->{result}")


def lettered(equation, operands):
    """(letters of each operand, letters of the result), with letters in the place of `...`."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    words = left.split(",")
    if len(words) != len(operands):
        raise RuntimeError(f"einsum {equation!r}: {len(words)} operands in the equation, "
                           f"{len(operands)} given")
    fresh = [c for c in string.ascii_letters if c not in equation]
    longest, letters = "", []
    for x, word in zip(operands, words):
        spare = x.ndim - len(word.replace("...", ""))
        if spare < 0 or (spare and "..." not in word) or not all(
                c in string.ascii_letters for c in word.replace("...", "")):
            raise RuntimeError(f"einsum {equation!r}: the subscripts {word!r} do not fit the "
                               f"{describe(x)}: one letter for each dimension")
        dots = "".join(reversed(fresh[:spare]))  # from the right, as broadcasting goes
        longest = max(longest, dots, key=len)
        letters.append(word.replace("...", dots))
    if arrow:
        return letters, result.replace("...", longest)
    every = "".join(letters)
    return letters, longest + "".join(
        sorted(c for c in set(every) if every.count(c) == 1 and c not in longest))


def sizes_of(letters, operands, equation):
    """{letter: size}; a size of 1 gives way to another."""
    sizes = {}
    for x, word in zip(operands, letters):
        for c, n in zip(word, x.shape):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                raise RuntimeError(f"einsum {equation!r}: the sizes along one letter differ, "
                                   f"{sizes[c]} and {n}, in the {describe(x)}")
    return sizes


def without_repetition(x, word):
    """x with a diagonal in the place of each pair of equal letters: "ii" becomes "i"."""
    for c in sorted(set(word)):
        while word.count(c) > 1:
            one, two = word.index(c), word.rindex(c)
            if x.shape[one] != x.shape[two]:
                raise RuntimeError(f"einsum: the letter {c!r} is repeated in {word!r}, but the "
                                   f"sizes in the {describe(x)} differ")
            x = diagonal(x, 0, one, two)
            word = "".join(k for d, k in enumerate(word) if d not in (one, two)) + c
    return x, word
