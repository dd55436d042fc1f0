"""The engine: a tensor remembers how it was made, and backward reads that memory.

There is no separate graph. Applying a primitive stores in its output which primitive it was, its
inputs and a tick of one global clock: the output *is* the record of the operation, and all records
in the order of their ticks are the Wengert list. Backward walks that list youngest first: by the
time a tensor is reached, everything computed from it has sent its share of the gradient back.

The same clock tells whether a value was overwritten between forward and backward: memory notes the
tick of its last write, and a rule that needs a value written after its record was made is refused.

The one trick: a primitive's rules (its vector-Jacobian products, vjp) are plain NumPy expressions.
Run on arrays they give numbers, fast; run on tensors they are recorded like any other computation,
which is all it takes to differentiate a gradient again.

Letters: g gradient arriving at an output, y output, x (x1, x2) inputs, c contribution to one input.
"""

import dis
import itertools
import threading
import types
import zlib

import numpy as np

from minigrad import dtypes

clock = itertools.count(1).__next__


class Mode(threading.local):
    """What each thread is doing now: is it recording, inside which Module, and who watches."""
    recording, module = True, None
    recorders = ()  # of minigrad.trace: told of every backward pass
    tracing = None  # or a list, while a program is made of what runs: see `beside`


mode = Mode()
observer = None  # or, while something watches for anomalies, what every result is shown to


class recording:
    """Context in which operations are recorded (or not)."""

    def __init__(self, on):
        self.on = on

    def __enter__(self):
        self.previous, mode.recording = mode.recording, self.on

    def __exit__(self, *exception):
        mode.recording = self.previous


class Memory:
    """When a block of memory was last written. Shared by all tensors that look at the block.

    Writes through tensors are stamped at once. Once the bare array has been handed out
    (`numpy()`, `from_numpy`) anyone can write unseen, so from then on a checksum is compared
    whenever the block is read by a record or by a backward pass.
    """

    __slots__ = ("changed", "exposed", "digest")

    def __init__(self):
        self.changed, self.exposed, self.digest = 0, None, None

    def expose(self, array):
        self.look()
        while isinstance(array.base, np.ndarray):
            array = array.base
        self.exposed = array
        self.digest = zlib.crc32(np.ascontiguousarray(array))

    def look(self):
        """Stamps a write that went past the tensors, if there was one since the last look."""
        if self.exposed is not None:
            digest = zlib.crc32(np.ascontiguousarray(self.exposed))
            if digest != self.digest:
                self.changed, self.digest = clock(), digest


class Recorded:
    """The slots of a tensor: its value, its gradient and the record of how it was made.

    `Tensor` is the one subclass that operations return. It stands in tensor.py, after the table of
    primitives, because its methods are rows of that table; it announces itself with `results=True`.
    """

    __slots__ = (
        "array",          # numpy.ndarray: the value
        "requires_grad",  # does backward send gradients here?
        "_grad",          # accumulated gradient: None, an ndarray or (after create_graph) a Tensor
        "op", "inputs", "options",  # the record: primitive, its inputs as given, its keywords
        "order",          # tick at which the record was made; 0 for leaves
        "before",         # what this tensor was before it was last changed in place
        "memory",         # Memory, or None as long as nobody shares or overwrites the array
        "module",         # the Module whose forward was running
        "name",
        "__weakref__",
    )
    result_class: type = None

    def __init_subclass__(cls, results=False, **kwargs):
        super().__init_subclass__(**kwargs)
        if results:
            Recorded.result_class = cls

    __hash__ = object.__hash__  # identity: equal values are still different variables


def wrap(array, cls=None):
    """A new untracked tensor on `array` (no copy)."""
    t = object.__new__(cls or Recorded.result_class)
    t.array = array if type(array) is np.ndarray else np.asarray(array)
    t.requires_grad = False
    t._grad = t.op = t.before = t.memory = t.module = t.name = None
    t.inputs, t.options, t.order = (), {}, 0
    return t


def shared_memory(t):
    """The Memory of t's array, made when first needed."""
    if t.memory is None:
        t.memory = Memory()
    return t.memory


def as_of(t, order):
    """t as the record made at tick `order` saw it: before later changes in place."""
    while t.order >= order:
        t = t.before
    return t


def describe(t):
    """How messages call a tensor: its name, its shape, and the operation it came from."""
    called = f"'{t.name}' of" if t.name else "of"
    made = f", the result of {t.op.name}" if t.op is not None else ""
    return f"tensor {called} shape {t.array.shape}{made}"


def operands(inputs):
    """How messages call the inputs of an operation."""
    return " and ".join(describe(x) if isinstance(x, Recorded) else
                        f"array of shape {x.shape}" if isinstance(x, np.ndarray) else repr(x)
                        for x in inputs)


# --- primitives -----------------------------------------------------------------------------------

METADATA = {"shape", "ndim", "dtype", "size"}


def values_read(rule):
    """Names of the arguments of `rule` whose *values* it reads (not just their shape or dtype).

    Read off the bytecode, so that a row of the table need not declare it: overwriting x after
    `x + 1` harms nobody, overwriting it after `x * w` makes the gradient of w wrong.
    """
    if not isinstance(rule, types.FunctionType):
        return None  # unknown: taken as reading everything
    names, instructions = set(), list(dis.get_instructions(rule))
    for this, following in zip(instructions, instructions[1:]):
        if this.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "MAKE_CELL")) or (
                this.opname.startswith("STORE_FAST_LOAD")):
            loaded = this.argval if isinstance(this.argval, tuple) else (this.argval,)
            if following.opname in ("LOAD_ATTR", "LOAD_METHOD") and following.argval in METADATA:
                loaded = loaded[:-1]
            names.update(loaded)
    return names


def positions_read(rule):
    """Which of (y, *inputs) a rule reads: a predicate on the position; y is -1, inputs 0, 1, ..."""
    names = values_read(rule)
    if names is None:
        return lambda i: True
    code = rule.__code__
    positional = code.co_varnames[1:code.co_argcount]
    rest = None
    if code.co_flags & 0x04:  # *args
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
    return lambda i: (positional[i + 1] if i + 1 < len(positional) else rest) in names


class Primitive:
    """A NumPy function together with one vector-Jacobian product per input.

    forward(*arrays, **options) -> array
    vjps[i](g, y, *inputs, **options) -> contribution to the gradient of input i; broadcasting is
    undone by the engine. An input without a rule (None, or beyond the last rule) is a constant.
    `each(i, g, y, *inputs, **options)` takes the place of vjps where the number of inputs varies.
    `view=True` says that the output may look at the memory of the first input.
    `joint(g, y, *inputs, **options)`, a method of subclasses, gives all contributions at once.
    Applied to arrays alone, a primitive is just its NumPy function: rules may use one another.
    `symbol` is what pictures show.
    """

    joint = None

    def __init__(self, forward, *vjps, name=None, each=None, view=False, symbol=None):
        self.forward, self.vjps, self.each, self.view = forward, vjps, each, view
        self.name = name or forward.__name__
        self.symbol = symbol or self.name
        self.__name__ = self.__qualname__ = self.name
        self.__doc__ = getattr(forward, "__doc__", None)
        self.differentiable = each is not None or any(rule is not None for rule in vjps)
        self.reads = {}

    def __repr__(self):
        return f"<primitive {self.name}>"

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def rule(self, i):
        """The vjp for input i, or None if that input is a constant."""
        if self.each is not None:
            return lambda *args, **options: self.each(i, *args, **options)
        return self.vjps[i] if i < len(self.vjps) else None

    def reads_value(self, i, j):
        """Does the rule of input i read the value of input j (or, for j = -1, of the output)?"""
        if self.each is not None:
            return getattr(self.each, "reads_values", True)
        if self.rule(i) is None:
            return False
        if i not in self.reads:  # looked into when first asked: most programs never do
            self.reads[i] = positions_read(self.vjps[i])
        return self.reads[i](j)

    def __call__(self, *inputs, **options):
        # The hot path of every forward pass: one loop over the inputs, one over nothing else.
        arrays, tracked, watched, dtype, plain = [], False, False, None, True
        for x in inputs:
            if isinstance(x, Recorded):
                a = x.array
                if x.requires_grad:
                    tracked = True
                if x.memory is not None:
                    watched = True
                if a.dtype is not dtype:
                    plain = plain and dtype is None
                    dtype = a.dtype
            else:
                a = x
                if type(a) is not float and type(a) is not int:
                    plain = False
            arrays.append(a)
        if dtype is None:
            return self.forward(*inputs, **options)
        recording = mode.recording and self.differentiable
        if watched and recording:
            tracked = notice(inputs) or tracked
        try:
            if plain and dtype.kind == "f":
                y = self.forward(*arrays, **options)
            else:
                y = self.promoted(arrays, options)
        except (ValueError, IndexError) as error:
            kind = IndexError if isinstance(error, IndexError) else RuntimeError
            raise kind(f"{self.name} of {operands(inputs)}: {error}") from None

        t = object.__new__(Recorded.result_class)
        t._grad = t.before = t.memory = t.name = None
        if type(y) is not np.ndarray:
            y = np.asarray(y)
        elif y.base is not None or y is arrays[0]:
            y = self.owned(t, y, inputs)
        t.array = y
        t.requires_grad = tracked and recording and y.dtype.kind == "f"
        if t.requires_grad or t.memory is not None or mode.tracing is not None:  # views: their base
            t.op, t.inputs, t.options = self, inputs if plain else own(inputs), options
            t.order, t.module = clock(), mode.module
        else:
            t.op = t.module = None
            t.inputs, t.options, t.order = (), {}, 0
        if observer is not None:
            observer.result(self, inputs, t)
        return t

    def owned(self, t, y, inputs):
        """y with its memory accounted for: shared with the first input by a view, else its own."""
        for i, x in enumerate(inputs):
            array = x.array if isinstance(x, Recorded) else x
            if isinstance(array, np.ndarray) and np.may_share_memory(y, array):
                if self.view and i == 0 and isinstance(x, Recorded):
                    t.memory = shared_memory(x)
                    return y
                return y.copy()
        return y

    def promoted(self, arrays, options):
        """The forward value for operands of several dtypes, under PyTorch's promotion rules."""
        counting = [i for i in range(len(arrays)) if self.each is not None or (
            i < len(self.vjps) and self.vjps[i] is not None)] or range(len(arrays))
        for i in counting:  # constants (indices, conditions) keep their dtype
            a = arrays[i]
            if isinstance(a, np.generic):
                arrays[i] = a = a.item()
            if not isinstance(a, (np.ndarray, float, int)) or (
                    isinstance(a, np.ndarray) and a.dtype.kind not in "fiub"):
                raise TypeError(f"{self.name}: an operand is {type(a).__name__}"
                                f"{f' of dtype {a.dtype}' if isinstance(a, np.ndarray) else ''}"
                                ", expected a Tensor, a NumPy array of numbers or a number")
        dtype = dtypes.result_type([arrays[i] for i in counting])
        for i in counting:
            if isinstance(arrays[i], np.ndarray):
                arrays[i] = arrays[i].astype(dtype, copy=False)
        y = self.forward(*arrays, **options)
        if y.dtype.kind == "f" and y.dtype not in (dtype, options.get("dtype")):
            if dtype.kind != "f":  # a float result of integers: NumPy's would depend on their width
                dtype = dtypes.get_default_dtype()
                y = self.forward(*[a.astype(dtype) if i in counting and isinstance(a, np.ndarray)
                                   else a for i, a in enumerate(arrays)], **options)
            y = y.astype(dtype, copy=False)
        return y.astype(np.int64) if y.dtype == np.uint64 else y  # sums of uint8


def own(inputs):
    """Inputs for a record to keep: arrays that were operands may be overwritten unseen."""
    return tuple([x.copy() if isinstance(x, np.ndarray) else x for x in inputs])


primitive = Primitive  # cube = primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2, name="cube")


# --- views and writes ----------------------------------------------------------------------------

def snapshot(t, copy=False):
    """t as it is now, as a tensor of its own: older records go on pointing to it."""
    old = wrap(t.array.copy() if copy else t.array)
    old.requires_grad, old.op, old.inputs, old.options = t.requires_grad, t.op, t.inputs, t.options
    old.order, old.before, old.module, old.name = t.order, t.before, t.module, t.name
    old.memory = None if copy else shared_memory(t)  # what is written next is seen in it
    return old


def renew(view):
    """Stamps a view anew: same operation, on its base as the base is now."""
    view.before = snapshot(view)
    view.requires_grad = view.requires_grad or view.inputs[0].requires_grad
    view.order = clock()


def view_chain(t):
    """t and the views it was taken from, youngest first, without the one that owns the memory."""
    chain = []
    while t.op is not None and t.op.view and t.memory is not None and (
            t.inputs[0].memory is t.memory):
        chain.append(t)
        t = t.inputs[0]
    return chain


def written(t):
    """Notes that t's array was just written to."""
    shared_memory(t).changed = clock()


def notice(inputs):
    """Before a record is made: looks for unseen writes, and renews views whose base was rewritten.
    Returns whether a renewed view is tracked now."""
    tracked = False
    for x in inputs:
        if isinstance(x, Recorded) and x.memory is not None:
            if x.memory.exposed is not None:
                x.memory.look()
            if x.op is not None and x.op.view and x.memory.changed > x.order:
                for view in reversed(view_chain(x)):
                    if view.inputs[0].order > view.order:
                        renew(view)
                tracked = tracked or x.requires_grad
    return tracked
