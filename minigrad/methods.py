"""What can be done with a tensor: operators, and the functions of the library as methods.

One line per name, so that a reader (and an editor) finds where `t.exp()` leads.
"""

import numpy as np

from minigrad import arguments, dtypes, functions, ops, shaping
from minigrad.engine import Recorded, describe, wrap
from minigrad.inplace import change


def in_place(op):
    """The method that does op in the tensor's own memory (PyTorch's trailing underscore)."""
    def method(self, *others, **options):
        return change(self, op, *others, setitem=ops.setitem, **options)
    method.__name__ = method.__qualname__ = op.name + "_"
    method.__doc__ = f"{op.name}, changing this tensor in place."
    return method


class Methods:
    """The operators and methods of Tensor."""

    __slots__ = ()

    # fmt: off
    def float(self):  return self.to(dtypes.float32)
    def double(self): return self.to(dtypes.float64)
    def half(self):   return self.to(dtypes.float16)
    def int(self):    return self.to(dtypes.int32)
    def long(self):   return self.to(dtypes.int64)
    def bool(self):   return self.to(dtypes.bool_)

    # --- operators --------------------------------------------------------------------------------

    def __add__(self, other):       return ops.add(self, other)
    def __radd__(self, other):      return ops.add(other, self)
    def __sub__(self, other):       return ops.sub(self, other)
    def __rsub__(self, other):      return ops.sub(other, self)
    def __mul__(self, other):       return ops.mul(self, other)
    def __rmul__(self, other):      return ops.mul(other, self)
    def __truediv__(self, other):   return ops.div(self, other)
    def __rtruediv__(self, other):  return ops.div(other, self)
    def __floordiv__(self, other):  return functions.div(self, other, rounding_mode="floor")
    def __rfloordiv__(self, other): return functions.div(arguments.as_tensor(other), self, rounding_mode="floor")
    def __pow__(self, other):       return functions.pow(self, other)
    def __rpow__(self, other):      return ops.pow(arguments.as_tensor(other), self)
    def __matmul__(self, other):    return functions.matmul(self, other)
    def __rmatmul__(self, other):   return functions.matmul(other, self)
    def __neg__(self):              return ops.neg(self)
    def __pos__(self):              return self
    def __abs__(self):              return ops.abs(self)
    def __eq__(self, other):        return functions.eq(self, other)
    def __ne__(self, other):        return functions.ne(self, other)
    def __lt__(self, other):        return functions.lt(self, other)
    def __le__(self, other):        return functions.le(self, other)
    def __gt__(self, other):        return functions.gt(self, other)
    def __ge__(self, other):        return functions.ge(self, other)
    def __and__(self, other):       return functions.bit_and(self, other)
    def __or__(self, other):        return functions.bit_or(self, other)
    def __xor__(self, other):       return functions.bit_xor(self, other)
    def __invert__(self):           return functions.bit_not(self)
    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__
    __hash__ = Recorded.__hash__

    def __getitem__(self, index):   return shaping.getitem(self, index)

    def __setitem__(self, index, value):
        parts = shaping.numbers_first(index)
        if parts is not None:
            shaping.getitem(self, parts[0])[parts[1]] = value
            return
        arrays, index = shaping.parsed(index)
        if isinstance(value, Recorded):
            if shaping.is_view_at(value, self, index):
                return  # the last step of `x[i] += y`: x was already changed through its view x[i]
            value = value.to(self.array.dtype)
        elif self.array.dtype.kind != "f" or not isinstance(value, (int, float)):
            value = np.asarray(value).astype(self.array.dtype)
        change(self, ops.setitem, value, *arrays, setitem=ops.setitem, index=index)

    def __iadd__(self, other):      return self.add_(other)
    def __isub__(self, other):      return self.sub_(other)
    def __imul__(self, other):      return self.mul_(other)
    def __itruediv__(self, other):  return self.div_(other)
    def __ipow__(self, other):      return self.pow_(other)

    # --- the table's rows and functions as methods --------------------------------------------------

    add, sub, mul, div              = functions.add, functions.sub, functions.mul, functions.div
    subtract, multiply, divide      = functions.sub, functions.mul, functions.div
    true_divide, pow                = functions.div, functions.pow
    neg = negative                  = ops.neg
    abs = absolute                  = ops.abs
    sign, exp, expm1, log, log1p    = ops.sign, ops.exp, ops.expm1, ops.log, ops.log1p
    sqrt, square, reciprocal        = ops.sqrt, ops.square, ops.reciprocal
    sin, cos, tanh, sigmoid, erf    = ops.sin, ops.cos, ops.tanh, ops.sigmoid, ops.erf
    relu, clamp, clip               = functions.relu, functions.clamp, functions.clip
    maximum, minimum                = ops.maximum, ops.minimum
    eq, ne, lt, le, gt, ge          = (functions.eq, functions.ne, functions.lt, functions.le,
                                       functions.gt, functions.ge)
    logical_and, logical_or         = functions.logical_and, functions.logical_or
    logical_not, logical_xor        = functions.logical_not, functions.logical_xor
    isnan, isinf, isfinite          = functions.isnan, functions.isinf, functions.isfinite
    allclose, equal, all, any       = functions.allclose, functions.equal, functions.all, functions.any
    sum, mean, prod, var, std       = (functions.sum, functions.mean, functions.prod, functions.var,
                                       functions.std)
    amax, amin, max, min            = functions.amax, functions.amin, functions.max, functions.min
    argmax, argmin, logsumexp       = functions.argmax, functions.argmin, functions.logsumexp
    softmax, log_softmax            = functions.softmax, functions.log_softmax
    matmul                          = functions.matmul
    reshape, view, flatten          = shaping.reshape, shaping.view, shaping.flatten
    squeeze, unsqueeze              = shaping.squeeze, shaping.unsqueeze
    permute, transpose, t           = shaping.permute, shaping.transpose, shaping.t
    expand, broadcast_to            = shaping.expand, shaping.broadcast_to
    split, chunk, narrow, gather    = shaping.split, shaping.chunk, shaping.narrow, shaping.gather
    masked_fill, clone              = shaping.masked_fill, ops.clone

    exp_, log_, sqrt_, neg_, abs_   = (in_place(ops.exp), in_place(ops.log), in_place(ops.sqrt),
                                       in_place(ops.neg), in_place(ops.abs))
    tanh_, sigmoid_, relu_          = in_place(ops.tanh), in_place(ops.sigmoid), in_place(ops.relu)
    mul_, div_                      = in_place(ops.mul), in_place(ops.div)
    square_, reciprocal_            = in_place(ops.square), in_place(ops.reciprocal)
    # fmt: on

    def add_(self, other, *, alpha=1):
        """self + alpha * other, in place."""
        other = other if alpha == 1 else ops.mul(arguments.as_tensor(other), alpha)
        return change(self, ops.add, other, setitem=ops.setitem)

    def sub_(self, other, *, alpha=1):
        """self - alpha * other, in place."""
        other = other if alpha == 1 else ops.mul(arguments.as_tensor(other), alpha)
        return change(self, ops.sub, other, setitem=ops.setitem)

    def pow_(self, exponent):
        """self ** exponent, in place."""
        if isinstance(exponent, (Recorded, np.ndarray)):
            return change(self, ops.pow, exponent, setitem=ops.setitem)
        return change(self, ops.power, exponent, setitem=ops.setitem)

    def clamp_(self, min=None, max=None):
        """Limits the elements to [min, max] in place."""
        if isinstance(min, Recorded) or isinstance(max, Recorded):
            return self.copy_(functions.clamp(self, min, max))
        low, high = -np.inf if min is None else min, np.inf if max is None else max
        return change(self, ops.clamp, setitem=ops.setitem, min=low, max=high)

    def fill_(self, value):
        """Every element set to value."""
        self[...] = value
        return self

    def zero_(self):
        """Every element set to 0."""
        return self.fill_(0)

    def copy_(self, other):
        """The elements of other, broadcast to this shape and cast to this dtype."""
        self[...] = arguments.as_tensor(other)
        return self

    def masked_fill_(self, mask, value):
        """value where mask is true, in place."""
        if mask.dtype != bool:
            raise RuntimeError(f"masked_fill_ only supports boolean masks, but got dtype {mask.dtype}")
        self[np.broadcast_to(arguments.array(mask), self.array.shape)] = value
        return self

    # fmt: off
    def new_tensor(self, data, dtype=None, requires_grad=False):
        """A copy of data with this tensor's dtype."""
        return wrap(arguments.array_of(data, dtype or self.dtype)).requires_grad_(requires_grad)

    def new_zeros(self, *size):      return wrap(np.zeros(arguments.shape_of(size), self.dtype))
    def new_ones(self, *size):       return wrap(np.ones(arguments.shape_of(size), self.dtype))
    def new_full(self, size, value): return wrap(np.full(size, value, self.dtype))
    # fmt: on

    @property
    def T(self):
        """The transpose (dimensions reversed)."""
        return ops.permute(self, dims=tuple(range(self.array.ndim))[::-1])

    @property
    def mT(self):
        """The last two dimensions swapped."""
        if self.array.ndim < 2:
            raise RuntimeError(f"mT needs at least 2 dimensions, got the {describe(self)}")
        return shaping.transpose(self, -1, -2)
