"""What can be done with a tensor: operators, and the functions of the library as methods.

One line per name, so that a reader (and an editor) finds where `t.exp()` leads.
"""

import numpy as np

from minigrad import (arguments, arranging, dtypes, elementary, functions, indexing, linalg,
                      matrices, ops, random, shaping)
from minigrad.engine import Recorded, describe, wrap
from minigrad.inplace import change


def in_place(op):
    """The method that does op in the tensor's own memory (PyTorch's trailing underscore)."""
    def method(self, *others, **options):
        return change(self, op, *others, setitem=ops.setitem, **options)
    method.__name__ = method.__qualname__ = op.name + "_"
    method.__doc__ = f"{op.name}, changing this tensor in place."
    return method


def rewritten(function):
    """The method that writes function's result into the tensor's own memory. The function is given
    a copy, which its gradient can still read when the memory is overwritten."""
    def method(self, *args, **options):
        return overwritten(self, function(self.clone(), *args, **options), function.__name__)
    method.__name__ = method.__qualname__ = function.__name__ + "_"
    method.__doc__ = f"{function.__name__}, changing this tensor in place."
    return method


def overwritten(t, value, what):
    """t with value in its place, which must have t's shape and a dtype that t can hold."""
    if value.shape != t.shape:
        raise RuntimeError(f"{what}_: the result has shape {tuple(value.shape)} and does not fit "
                           f"in place into the {describe(t)}")
    if not np.can_cast(value.dtype, t.dtype, "same_kind"):
        raise RuntimeError(f"{what}_: result type {value.dtype} can't be cast to the desired "
                           f"output type {t.dtype}")
    t[...] = value
    return t


FOREIGN = (type(None), str)


class Methods:
    """The operators and methods of Tensor."""

    __slots__ = ()

    # fmt: off
    def float(self):  return self.to(dtypes.float32)
    def double(self): return self.to(dtypes.float64)
    def half(self):   return self.to(dtypes.float16)
    def short(self):  return self.to(dtypes.int16)
    def byte(self):   return self.to(dtypes.uint8)
    def char(self):   return self.to(dtypes.int8)
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
    def __floordiv__(self, other):  return elementary.floor_divide(self, other)
    def __rfloordiv__(self, other): return elementary.rdivide(self, other)
    def __mod__(self, other):       return elementary.remainder(self, other)
    def __rmod__(self, other):      return elementary.rremainder(self, other)
    def __pow__(self, other):       return functions.pow(self, other)
    def __rpow__(self, other):      return ops.pow(arguments.as_tensor(other), self)
    def __matmul__(self, other):    return functions.matmul(self, other)
    def __rmatmul__(self, other):   return functions.matmul(other, self)
    def __neg__(self):              return ops.neg(self)
    def __pos__(self):              return self
    def __abs__(self):              return ops.abs(self)
    # What is no number is not equal (Python then compares identities): `p.grad == None` is a bool.
    def __eq__(self, other):        return NotImplemented if isinstance(other, FOREIGN) else functions.eq(self, other)
    def __ne__(self, other):        return NotImplemented if isinstance(other, FOREIGN) else functions.ne(self, other)
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
    def __ifloordiv__(self, other): return self.floor_divide_(other)
    def __imod__(self, other):      return self.remainder_(other)
    def __ipow__(self, other):      return self.pow_(other)

    # --- the table's rows and functions as methods ------------------------------------------------

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
    allclose, equal                 = functions.allclose, functions.equal
    all, any                        = functions.all, functions.any
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
    exp2, log2, log10, rsqrt        = ops.exp2, ops.log2, ops.log10, elementary.rsqrt
    tan, sinh, cosh                 = ops.tan, ops.sinh, ops.cosh
    asin, acos, atan, atan2         = ops.asin, ops.acos, ops.atan, ops.atan2
    arcsin, arccos, arctan, arctan2 = ops.asin, ops.acos, ops.atan, ops.atan2
    asinh, acosh, atanh             = ops.asinh, ops.acosh, ops.atanh
    arcsinh, arccosh, arctanh       = ops.asinh, ops.acosh, ops.atanh
    floor, ceil, trunc, round       = (elementary.floor, elementary.ceil, elementary.trunc,
                                       elementary.round)
    fix, frac, sgn                  = elementary.trunc, elementary.frac, ops.sign
    remainder, fmod, floor_divide   = elementary.remainder, elementary.fmod, elementary.floor_divide
    lerp, clamp_min, clamp_max      = elementary.lerp, elementary.clamp_min, elementary.clamp_max
    nan_to_num, isclose             = elementary.nan_to_num, elementary.isclose
    isposinf, isneginf              = elementary.isposinf, elementary.isneginf
    bitwise_and, bitwise_or         = elementary.bitwise_and, elementary.bitwise_or
    bitwise_xor, bitwise_not        = elementary.bitwise_xor, elementary.bitwise_not
    cumsum, cumprod                 = functions.cumsum, functions.cumprod
    norm, inverse, det              = linalg.tensor_norm, linalg.inv, linalg.det
    matrix_power                    = linalg.matrix_power
    mm, bmm, mv, dot, inner         = (matrices.mm, matrices.bmm, matrices.mv, matrices.dot,
                                       matrices.inner)
    outer, ger, addmm, trace        = matrices.outer, matrices.ger, matrices.addmm, matrices.trace
    diag, diagonal, diag_embed      = matrices.diag, matrices.diagonal, matrices.diag_embed
    tril, triu                      = matrices.tril, matrices.triu
    ravel, unflatten, select        = arranging.ravel, arranging.unflatten, arranging.select
    movedim, moveaxis, unbind       = shaping.moveaxis, shaping.moveaxis, arranging.unbind
    swapaxes, swapdims              = arranging.swapaxes, arranging.swapdims
    flip, fliplr, flipud, roll      = (arranging.flip, arranging.fliplr, arranging.flipud,
                                       arranging.roll)
    repeat, tile, repeat_interleave = (arranging.repeat, arranging.tile,
                                       arranging.repeat_interleave)
    expand_as, reshape_as, view_as  = (arranging.expand_as, arranging.reshape_as,
                                       arranging.reshape_as)
    index_select, take              = indexing.index_select, indexing.take
    take_along_dim, masked_select   = indexing.take_along_dim, indexing.masked_select
    scatter, scatter_add            = indexing.scatter, indexing.scatter_add
    index_add, index_fill           = indexing.index_add, indexing.index_fill
    sort, argsort, topk             = indexing.sort, indexing.argsort, indexing.topk
    unique, nonzero, argwhere       = indexing.unique, indexing.nonzero, indexing.argwhere
    count_nonzero, bincount         = indexing.count_nonzero, indexing.bincount
    multinomial, bernoulli          = random.multinomial, random.bernoulli

    def where(self, condition, other):
        """This tensor where condition is true, else other."""
        return shaping.where(condition, self, other)

    def type_as(self, other):
        """This tensor in other's dtype."""
        return self.to(other.dtype)

    exp_, log_, sqrt_, neg_, abs_   = (in_place(ops.exp), in_place(ops.log), in_place(ops.sqrt),
                                       in_place(ops.neg), in_place(ops.abs))
    tanh_, sigmoid_, relu_          = in_place(ops.tanh), in_place(ops.sigmoid), in_place(ops.relu)
    mul_                            = in_place(ops.mul)
    square_, reciprocal_            = in_place(ops.square), in_place(ops.reciprocal)
    expm1_, log1p_, exp2_           = in_place(ops.expm1), in_place(ops.log1p), in_place(ops.exp2)
    log2_, log10_, erf_             = in_place(ops.log2), in_place(ops.log10), in_place(ops.erf)
    sin_, cos_, tan_                = in_place(ops.sin), in_place(ops.cos), in_place(ops.tan)
    asin_, acos_, atan_             = in_place(ops.asin), in_place(ops.acos), in_place(ops.atan)
    sinh_, cosh_, sign_             = in_place(ops.sinh), in_place(ops.cosh), in_place(ops.sign)
    floor_, ceil_, trunc_           = (rewritten(elementary.floor), rewritten(elementary.ceil),
                                       rewritten(elementary.trunc))
    round_, rsqrt_, lerp_           = (rewritten(elementary.round), rewritten(elementary.rsqrt),
                                       rewritten(elementary.lerp))
    remainder_, fmod_               = rewritten(elementary.remainder), rewritten(elementary.fmod)
    floor_divide_                   = rewritten(elementary.floor_divide)
    clamp_min_, clamp_max_          = (rewritten(elementary.clamp_min),
                                       rewritten(elementary.clamp_max))
    nan_to_num_, addmm_             = rewritten(elementary.nan_to_num), rewritten(matrices.addmm)
    cumsum_, cumprod_               = rewritten(functions.cumsum), rewritten(functions.cumprod)
    tril_, triu_                    = rewritten(matrices.tril), rewritten(matrices.triu)
    scatter_, scatter_add_          = rewritten(indexing.scatter), rewritten(indexing.scatter_add)
    index_add_, index_fill_         = rewritten(indexing.index_add), rewritten(indexing.index_fill)
    # fmt: on

    def add_(self, other, *, alpha=1):
        """self + alpha * other, in place."""
        other = other if alpha == 1 else ops.mul(arguments.as_tensor(other), alpha)
        return change(self, ops.add, other, setitem=ops.setitem)

    def sub_(self, other, *, alpha=1):
        """self - alpha * other, in place."""
        other = other if alpha == 1 else ops.mul(arguments.as_tensor(other), alpha)
        return change(self, ops.sub, other, setitem=ops.setitem)

    def div_(self, other, *, rounding_mode=None):
        """self / other, in place; rounding_mode as in div."""
        if rounding_mode is not None:
            return overwritten(self, functions.div(self.clone(), other,
                                                   rounding_mode=rounding_mode), "div")
        return change(self, ops.div, other, setitem=ops.setitem)

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
            raise RuntimeError("masked_fill_ only supports boolean masks, but got dtype "
                               f"{mask.dtype}")
        self[np.broadcast_to(arguments.array(mask), self.array.shape)] = value
        return self

    # fmt: off
    subtract_, multiply_, divide_   = sub_, mul_, div_
    absolute_, negative_, clip_     = abs_, neg_, clamp_
    # fmt: on

    def fill_diagonal_(self, fill_value):
        """fill_value on the main diagonal of a matrix."""
        matrices.diagonal(self).fill_(fill_value)
        return self

    def normal_(self, mean=0.0, std=1.0, *, generator=None):
        """Every element drawn from the normal distribution with mean and std."""
        return overwritten(self, random.normal(mean, std, self.shape, generator=generator).to(
            functions.floats(self, "normal_").dtype), "normal")

    def uniform_(self, low=0.0, high=1.0, *, generator=None):
        """Every element drawn uniformly between low (included) and high."""
        if low > high:
            raise RuntimeError(f"uniform_ expects low <= high, got low={low}, high={high}")
        values = random.rand(self.shape, dtype=functions.floats(self, "uniform_").dtype,
                             generator=generator)
        return overwritten(self, values * (high - low) + low, "uniform")

    def bernoulli_(self, p=0.5, *, generator=None):
        """Every element 1 with probability p (a number or a tensor), else 0."""
        return overwritten(self, random.bernoulli(self.detach(), p, generator=generator),
                           "bernoulli")

    def random_(self, low=0, high=None, *, generator=None):
        """Every element a whole number from low (included) to high (excluded); random_(high)."""
        low, high = (0, low) if high is None else (low, high)
        return overwritten(self, random.randint(low, high, self.shape, generator=generator).to(
            self.dtype), "random")

    # fmt: off
    def new_tensor(self, data, dtype=None, requires_grad=False):
        """A copy of data with this tensor's dtype."""
        return wrap(arguments.array_of(data, dtype or self.dtype)).requires_grad_(requires_grad)

    def new_zeros(self, *size):      return wrap(np.zeros(arguments.shape_of(size), self.dtype))
    def new_ones(self, *size):       return wrap(np.ones(arguments.shape_of(size), self.dtype))
    def new_empty(self, *size):      return self.new_zeros(*size)
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
