"""Tensor: what users hold: an array, its gradient and its record. (Its operations: methods.py.)"""

import numpy as np

from minigrad import arguments, dtypes, ops
from minigrad.backward import backward
from minigrad.beside import taken_out
from minigrad.engine import (
    Primitive, Recorded, clock, describe, mode, shared_memory, snapshot, wrap, written,
)
from minigrad.methods import Methods
from minigrad.numpy_names import NUMPY
from minigrad.printing import text_of
from minigrad.richtext import Shown, tensor_html
from minigrad.words import Device, Size


DTYPE_NAMES = {"float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"}


same_value = Primitive(lambda x: x, name="detach")


class Tensor(Methods, Shown, Recorded, results=True):
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
                raise RuntimeError(f"grad has shape {value.array.shape} and dtype "
                                   f"{value.array.dtype}, but the {describe(self)} has dtype "
                                   f"{self.array.dtype}")
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
            raise RuntimeError(f"can't retain_grad on a {describe(self)} that has "
                               "requires_grad=False")

    retains_grad = property(lambda self: self.requires_grad and not self.is_leaf)

    def requires_grad_(self, requires_grad=True):
        """Sets whether gradients flow here; only leaves can be changed, only floats can be tracked.

        For a parameter that is frozen and unfrozen, what counts is its state when backward runs.
        """
        if self.requires_grad == bool(requires_grad):
            return self
        if requires_grad:
            if self.array.dtype.kind != "f":
                raise RuntimeError("only Tensors of floating point dtype can require gradients, "
                                   f"this {describe(self)} has dtype {self.array.dtype}: use "
                                   ".float() first")
            if self.order == 0 or self.op is not None:
                # Never tracked before: records made so far saw a constant, and go on seeing one.
                past = snapshot(self)
                self.op, self.inputs, self.options, self.before = None, (), {}, None
                self.before, self.order = snapshot(self), clock()
                if mode.tracing is not None and past.op is not None:  # see detach
                    self.op, self.inputs, self.before = same_value, (past,), past
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
        if mode.tracing is not None:  # a program that is made of this takes the value anew
            t.op, t.inputs, t.order, t.module = same_value, (self,), clock(), mode.module
        return t

    def detach_(self):
        """Forgets how this tensor was made."""
        self.op, self.inputs, self.options, self.before, self.order = None, (), {}, None, 0
        self.requires_grad = False
        return self

    @property
    def data(self):
        """A detached tensor on the same memory. Unlike PyTorch's, writes through it are noticed by
        a later backward. Assigning replaces the value: `w.data = w.data - lr * w.grad`."""
        return self.detach()

    @data.setter
    def data(self, value):
        value = arguments.as_tensor(value)
        if self.requires_grad and value.array.dtype.kind != "f":
            raise RuntimeError(f"data set to a {describe(value)} of dtype {value.array.dtype}, but "
                               f"the {describe(self)} requires grad and must stay floating point")
        self.array, self.memory = value.array, shared_memory(value)
        written(self)

    def written(self):
        """Tells the engine that `array` was just written to directly."""
        written(self)

    # --- to Python and NumPy ----------------------------------------------------------------------

    def numpy(self):
        """The array itself, not a copy: writing to it changes this tensor."""
        taken_out(self)
        shared_memory(self).expose(self.array)
        return self.array

    def item(self):
        """The value of a tensor with one element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to "
                               f"Scalar: item() of {describe(self)}")
        taken_out(self)
        return self.array.item()

    def tolist(self):
        """Nested lists of Python numbers."""
        taken_out(self)
        return self.array.tolist()

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise TypeError(f"the {describe(self)} requires grad and would lose its history as a "
                            "plain array: use .detach().numpy(), or a minigrad function in place "
                            "of NumPy's")
        taken_out(self)
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
            raise TypeError(f"np.{ufunc.__name__} cannot write a Tensor's result into an array in "
                            "place")
        return function(*inputs)

    def __array_function__(self, function, types, args, kwargs):
        ours = NUMPY.get(function)
        if ours is None:
            raise TypeError(f"np.{function.__name__} has no derivative rule in minigrad: apply it "
                            "to .detach().numpy(), or use a minigrad function")
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

    def _html(self):
        return tensor_html(self)

    def __format__(self, spec):
        if self.array.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        if spec:
            raise TypeError(f"unsupported format string {spec!r} passed to {type(self).__name__}."
                            f"__format__ of the {describe(self)}: format .item(), a number")
        return str(self)

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
        raise TypeError("tensors are not pickled: minigrad.save() writes .npz files, which run no "
                        "code when loaded")

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

    def cuda(self, device=None):
        """Refused: there is only the CPU."""
        return self.to("cuda" if device is None else device)

    is_cuda = property(lambda self: False)

    def contiguous(self):
        """Itself, or a copy whose elements lie in memory in order."""
        return self if self.is_contiguous() else ops.clone(self)
