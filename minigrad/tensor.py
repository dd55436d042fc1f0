"""Tensor: what users hold. Its methods are the rows of ops.py and the functions of functions.py."""

import numpy as np

from minigrad import arguments, dtypes, functions, ops, shaping
from minigrad.backward import backward
from minigrad.engine import Recorded, clock, describe, shared_memory, snapshot, wrap, written
from minigrad.inplace import change
from minigrad.numpy_names import NUMPY
from minigrad.printing import text_of
from minigrad.words import Device, Size


DTYPE_NAMES = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"}


def in_place(op):
    """The method that does op in the tensor's own memory (PyTorch's trailing underscore)."""
    def method(self, *others, **options):
        return change(self, op, *others, setitem=ops.setitem, **options)
    method.__name__ = method.__qualname__ = op.name + "_"
    method.__doc__ = f"{op.name}, changing this tensor in place."
    return method


class Tensor(Recorded, results=True):
    """A NumPy array that remembers how it was computed.

    Made by minigrad.tensor(...). `array` is the value; `grad` the accumulated gradient; `op`,
    `inputs` and `options` say which operation made it and from what.
    """

    __slots__ = ()
    __array_priority__ = 1000

    def __new__(cls, data=(), requires_grad=False, name=None):
        """Tensor(data): a copy of data in the default dtype (torch.Tensor)."""
        t = wrap(arguments.array_of(data, dtypes.get_default_dtype()))
        t.name = name
        return t.requires_grad_(requires_grad)

    # --- what it is -------------------------------------------------------------------------------

    @property
    def shape(self):
        """The sizes, as a tuple."""
        return self.array.shape

    @property
    def dtype(self):
        """The numpy.dtype of the elements."""
        return self.array.dtype

    @property
    def ndim(self):
        """Number of dimensions."""
        return self.array.ndim

    @property
    def device(self):
        """Always the CPU."""
        return Device()

    @property
    def itemsize(self):
        """Bytes of one element."""
        return self.array.itemsize

    def size(self, dim=None):
        """The shape, or the size of one dimension."""
        return Size(self.array.shape) if dim is None else \
            self.array.shape[arguments.one_dim(dim, self.ndim)]

    def dim(self):
        """Number of dimensions."""
        return self.array.ndim

    def numel(self):
        """Number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self):
        """Bytes of one element."""
        return self.array.itemsize

    def stride(self, dim=None):
        """Steps, in elements, from one index to the next of each dimension."""
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[arguments.one_dim(dim, self.ndim)]

    def is_contiguous(self):
        """True if the elements lie in memory in order."""
        return self.array.flags.c_contiguous

    def is_floating_point(self):
        """True for dtypes that can carry a gradient."""
        return self.array.dtype.kind == "f"

    # --- gradients --------------------------------------------------------------------------------

    @property
    def grad(self):
        """The accumulated gradient, a Tensor of this shape and dtype, or None.

        After backward() it can be read on *every* tensor of the graph. (PyTorch keeps it for leaves
        and where retain_grad() was called; accumulation is the same.)
        """
        if type(self._grad) is np.ndarray:
            self._grad = wrap(self._grad)
            if self.name:
                self._grad.name = self.name + ".grad"
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            if not isinstance(value, Recorded):
                raise TypeError(f"grad must be a Tensor or None, got {type(value).__name__}")
            if value.array.shape != self.array.shape or value.array.dtype != self.array.dtype:
                raise RuntimeError(f"grad has shape {value.array.shape} and dtype {value.array.dtype}, "
                                   f"but the {describe(self)} has dtype {self.array.dtype}")
        self._grad = value

    @property
    def is_leaf(self):
        """True if no recorded operation made it: parameters, inputs, untracked results."""
        return self.op is None or not self.requires_grad

    @property
    def grad_fn(self):
        """The primitive that made this tensor; None for a leaf."""
        return None if self.is_leaf else self.op

    def retain_grad(self):
        """For PyTorch's sake: every gradient is kept anyway. Refused on untracked tensors."""
        if not self.requires_grad:
            raise RuntimeError(f"can't retain_grad on a {describe(self)} that has requires_grad=False")

    retains_grad = property(lambda self: self.requires_grad and not self.is_leaf)

    def requires_grad_(self, requires_grad=True):
        """Sets whether gradients flow here; only leaves can be changed, only floats can be tracked.

        For a parameter that is frozen and unfrozen, what counts is its state when backward runs.
        """
        if self.requires_grad == bool(requires_grad):
            return self
        if requires_grad:
            if self.array.dtype.kind != "f":
                raise RuntimeError("only Tensors of floating point dtype can require gradients, this "
                                   f"{describe(self)} has dtype {self.array.dtype}: use .float() first")
            if self.order == 0 or self.op is not None:
                # Never tracked before: records made so far saw a constant, and go on seeing one.
                self.op, self.inputs, self.options, self.before = None, (), {}, None
                self.before, self.order = snapshot(self), clock()
        elif self.op is not None:
            raise RuntimeError("you can only change requires_grad flags of leaf variables; use "
                               f"detach() on the {describe(self)}")
        self.requires_grad = bool(requires_grad)
        return self

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Adds d(self)/dt to t.grad for every tensor t that self was computed from.

        gradient: where to start, of self's shape (default 1 for a single number). create_graph: the
        gradients can be differentiated again. inputs: accumulate only there. retain_graph is
        accepted and changes nothing: the graph is kept as long as self lives, and a second
        backward() is correct (PyTorch: an error unless retain_graph=True).
        """
        if isinstance(inputs, Recorded):
            inputs = [inputs]
        backward([self], [gradient], create_graph, inputs)

    def detach(self):
        """A leaf on the same memory, without history."""
        t = wrap(self.array)
        t.memory, t.name = shared_memory(self), self.name
        return t

    def detach_(self):
        """Forgets how this tensor was made."""
        self.op, self.inputs, self.options, self.before, self.order = None, (), {}, None, 0
        self.requires_grad = False
        return self

    @property
    def data(self):
        """A detached tensor on the same memory. Unlike PyTorch's, writes through it are noticed by a
        later backward. Assigning replaces the value: `w.data = w.data - lr * w.grad`."""
        return self.detach()

    @data.setter
    def data(self, value):
        value = arguments.as_tensor(value)
        if self.requires_grad and value.array.dtype.kind != "f":
            raise RuntimeError(f"data set to a {describe(value)} of dtype {value.array.dtype}, but the "
                               f"{describe(self)} requires grad and must stay floating point")
        self.array, self.memory = value.array, shared_memory(value)
        written(self)

    def written(self):
        """Tells the engine that `array` was just written to directly."""
        written(self)

    # --- to Python and NumPy ----------------------------------------------------------------------

    def numpy(self):
        """The array itself, not a copy: writing to it changes this tensor."""
        shared_memory(self).expose(self.array)
        return self.array

    def item(self):
        """The value of a tensor with one element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar:"
                               f" item() of {describe(self)}")
        return self.array.item()

    def tolist(self):
        """Nested lists of Python numbers."""
        return self.array.tolist()

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise TypeError(f"the {describe(self)} requires grad and would lose its history as a plain "
                            "array: use .detach().numpy(), or a minigrad function in place of NumPy's")
        array = self.numpy() if dtype is None else self.array.astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        function = NUMPY.get(ufunc)
        if function is None or method != "__call__" or options:
            called = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            raise TypeError(f"{called} has no derivative rule in minigrad"
                            f"{f' with {sorted(options)}' if options else ''}: apply it to "
                            ".detach().numpy(), or write a primitive(forward, *vjps)")
        if out is not None:  # `array += tensor` would lose the history
            raise TypeError(f"np.{ufunc.__name__} cannot write a Tensor's result into an array in place")
        return function(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        ours = NUMPY.get(function)
        if ours is None:
            raise TypeError(f"np.{function.__name__} has no derivative rule in minigrad: apply it to "
                            ".detach().numpy(), or use a minigrad function")
        return ours(*args, **kwargs)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self):
        if self.array.size != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous: "
                               f"{describe(self)}; use .any() or .all()")
        return bool(self.item())

    def __len__(self):
        if not self.array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self):
        if not self.array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter([self[i] for i in range(len(self.array))])

    def __contains__(self, value):
        return bool((self.array == arguments.array(value)).any())

    def __repr__(self):
        return text_of(self)

    def __format__(self, spec):
        return format(self.item(), spec) if spec and self.array.size == 1 else \
            object.__format__(self, spec)

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError("only leaf tensors can be deep-copied; use .detach().clone() on the "
                               f"{describe(self)}")
        t = wrap(self.array.copy(), type(self))
        t.name = self.name
        if self.requires_grad:
            t.requires_grad = True
        if self._grad is not None:
            t._grad = arguments.array(self._grad).copy()
        memo[id(self)] = t
        return t

    def __reduce_ex__(self, protocol):
        raise TypeError("tensors are not pickled: minigrad.save() writes .npz files, which run no code "
                        "when loaded")

    # --- dtype and device -------------------------------------------------------------------------

    def to(self, *args, dtype=None, device=None, copy=False, non_blocking=False):
        """to(dtype), to(device) or to(other): itself if nothing changes, else a recorded copy."""
        for a in args:
            if isinstance(a, Recorded):
                dtype = a.dtype
            elif isinstance(a, (Device, str)) and a not in DTYPE_NAMES:
                device = a
            elif a is not None:
                dtype = a
        if device is not None:
            Device(device)
        if dtype is None or np.dtype(dtype) == self.array.dtype:
            return ops.clone(self) if copy else self
        return ops.cast(self, dtype=np.dtype(dtype))

    def astype(self, dtype):
        """A copy in another dtype."""
        return ops.cast(self, dtype=np.dtype(dtype))

    def type(self, dtype=None):
        """The name of the dtype, or this tensor in another dtype."""
        return str(self.array.dtype) if dtype is None else self.to(dtype)

    def cpu(self):
        """Itself: there is only the CPU."""
        return self

    def contiguous(self):
        """Itself, or a copy whose elements lie in memory in order."""
        return self if self.is_contiguous() else ops.clone(self)

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
