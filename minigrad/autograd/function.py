"""autograd.Function: an operation of your own in PyTorch's form, forward and backward with a ctx.

The one trick: it is the engine's own way (`primitive(forward, *vjps)`) in another dress. Each call
makes one record whose primitive remembers the ctx, and whose rule is your backward, called once for
all inputs together. Several outputs are recorded as one: a vector that joins them, and then a part
of it for each. So by the time backward is called the gradients of all of them have arrived.

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x ** 3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x ** 2

    y = Cube.apply(x)

A backward written in tensor operations can be differentiated again, like any rule.
"""

import functools
import inspect

import numpy as np

from minigrad import engine, ops
from minigrad.engine import (Primitive, Recorded, clock, describe, mode, notice, own, recording,
                             shared_memory, wrap)
from minigrad.inplace import record

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """The ctx of one call: what forward leaves there for backward. Any attribute may be set."""

    def __init__(self, name, inputs):
        self.needs_input_grad = tuple(isinstance(x, Recorded) and x.requires_grad for x in inputs)
        self._name, self._to_save, self._constants, self._materialize = name, (), (), True
        self._restored = None

    def save_for_backward(self, *tensors):
        """Keeps tensors for backward: inputs, outputs, others, or None. Unlike a plain attribute,
        a tensor saved here is checked (it must not be changed in place before backward), and a
        saved output keeps no memory alive."""
        for t in tensors:
            if t is not None and not isinstance(t, Recorded):
                raise TypeError(f"{self._name}: save_for_backward can only save tensors, got "
                                f"{type(t).__name__}; store it as an attribute of ctx")
        self._to_save = tensors

    @property
    def saved_tensors(self):
        """What save_for_backward was given, as a tuple."""
        if self._restored is None:
            raise RuntimeError(f"{self._name}: saved_tensors can be read while backward runs")
        return self._restored

    def mark_non_differentiable(self, *outputs):
        """These outputs are constants: they do not require grad. (Integer and boolean ones never
        do.) backward still gets a gradient for each, of zeros."""
        self._constants = outputs

    def set_materialize_grads(self, value):
        """False: backward gets None, not zeros, for an output that no gradient has reached."""
        self._materialize = bool(value)


class Function:
    """Subclass it with static methods forward and backward, then call `.apply(...)`.

    forward(ctx, *args) computes the outputs, a tensor or a tuple, without being recorded. The newer
    form is forward(*args) with setup_context(ctx, inputs, output). backward(ctx, *grads) gets a
    gradient for each output and returns one for each argument of forward, None where there is
    none. (torch.autograd.Function; without vmap, jvp and mark_dirty.)
    """

    def __init__(self, *args, **kwargs):
        raise RuntimeError(f"{type(self).__name__} is an autograd.Function: it isn't instantiated, "
                           f"call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args, **kwargs):
        """The operation, on tensors."""
        raise NotImplementedError("an autograd.Function needs a static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Saves what backward needs, for a forward without ctx."""
        raise NotImplementedError("setup_context is called for Functions that define it")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """A gradient for each argument of forward."""
        raise NotImplementedError("to be differentiated, an autograd.Function needs a static "
                                  "backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args, **kwargs):
        """The outputs of forward, recorded. Keywords only for a forward without ctx."""
        new_form = cls.setup_context is not Function.setup_context
        if new_form:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        elif kwargs:
            raise TypeError(f"{cls.__name__}.apply() takes no keyword arguments, got "
                            f"{sorted(kwargs)}")
        notice(args)
        ctx = FunctionCtx(cls.__name__, args)
        with recording(False):
            result = cls.forward(*args) if new_form else cls.forward(ctx, *args)
            if new_form:
                cls.setup_context(ctx, args, result)
        outputs = recorded(cls, ctx, args, result if isinstance(result, tuple) else (result,))
        return outputs if isinstance(result, tuple) else outputs[0]


def recorded(function, ctx, inputs, outputs):
    """The outputs as tensors of their own, and (if an input is tracked) with their record."""
    tensors = [own_output(y, inputs) for y in outputs]
    live = [k for k, y in enumerate(tensors)
            if isinstance(y, Recorded) and y.array.dtype.kind == "f"
            and not any(outputs[k] is constant for constant in ctx._constants)]
    if mode.recording and any(ctx.needs_input_grad) and live:
        op = Applied(function, ctx, inputs, outputs, live)
        if len(live) == 1:
            joined = record(tensors[live[0]], op, own(inputs), {})
        else:
            joined = wrap(np.concatenate([tensors[k].array.reshape(-1) for k in live]))
            record(joined, op, own(inputs), {})
            for k in live:
                record(tensors[k], op.part(k), (joined,), {})
        if engine.observer is not None:
            engine.observer.result(op, inputs, joined)
    ctx._to_save = ctx._constants = ()  # an output must not keep itself alive
    return tuple(tensors)


def own_output(y, inputs):
    """An output as a new tensor, with memory that no input looks at; no tensors as they are."""
    if not isinstance(y, Recorded):
        return y
    if any(np.may_share_memory(y.array, x.array) for x in inputs if isinstance(x, Recorded)):
        return wrap(y.array.copy())
    t = wrap(y.array)
    t.memory = shared_memory(y)
    return t


def unrepeatable(name, *arrays, **options):
    raise RuntimeError(f"{name} is an autograd.Function: its record belongs to one call, which"
                       " can't be repeated on other arrays; write it as primitive(forward, *vjps)")


class Applied(Primitive):
    """The primitive of one call of a Function. Its rule is the Function's backward."""

    def __init__(self, function, ctx, inputs, outputs, live):
        super().__init__(functools.partial(unrepeatable, function.__name__), name=function.__name__)
        self.function, self.ctx, self.differentiable = function, ctx, True
        self.tensors = [isinstance(x, Recorded) for x in inputs]
        self.live, self.arrived = live, set()
        self.kinds = [(y.array.shape, y.array.dtype) if isinstance(y, Recorded) else None
                      for y in outputs]
        ends = np.cumsum([outputs[k].array.size for k in live]).tolist()
        self.places = {k: slice(start, end) for k, start, end in zip(live, [0, *ends], ends)}
        self.saved = [self.kept(t, inputs, outputs) for t in ctx._to_save]

    def kept(self, t, inputs, outputs):
        """How a saved tensor is found again: as an input or output of the record, or as itself,
        with the tick after which it must not change."""
        for role, tensors in (("input", inputs), ("output", outputs)):
            for k, other in enumerate(tensors):
                if t is not None and t is other and (role == "input" or k in self.live):
                    return role, k
        return "other", (t, clock())

    def rule(self, i):
        return lambda *args: self.joint(*args)[i]

    def reads_value(self, i, j):
        return ("input", j) in self.saved if j >= 0 else len(self.live) == 1 and any(
            role == "output" for role, _ in self.saved)

    def joint(self, g, y, *values):
        """The contributions to all inputs: one call of backward."""
        g, y = [t if isinstance(t, Recorded) else wrap(t) for t in (g, y)]
        saved = tuple(self.restored(*entry, y, values) for entry in self.saved)
        starts = self.gradients(g)
        self.ctx._restored = saved
        try:
            results = self.function.backward(self.ctx, *starts)
        finally:
            self.ctx._restored = None
        results = self.checked(results if isinstance(results, tuple) else (results,))
        if not mode.recording:
            return [c if c is None else c.array.copy() for c in results]
        if hasattr(self.function.backward, "once_differentiable"):
            sources = tuple(t for t in (g, *values) if isinstance(t, Recorded) and t.requires_grad)
            refusal = Refusal(self.name)
            return [c if c is None else record(wrap(c.array.copy()), refusal, sources, {})
                    for c in results]
        given = {id(t) for t in (*saved, *values)}  # whose tensors must stay theirs alone
        return [ops.clone(c) if id(c) in given else c for c in results]

    def restored(self, role, what, y, values):
        """A saved tensor again, as the record saw it."""
        if role == "input":
            return values[what] if isinstance(values[what], Recorded) else wrap(values[what])
        if role == "output":
            return y if len(self.live) == 1 else self.cut(y, what)
        t, tick = what
        if t is not None and t.memory is not None:
            t.memory.look()
            if t.memory.changed > tick:
                raise RuntimeError(f"{self.name} saved a {describe(t)} for its gradient, but it "
                                   "was changed in place after the forward pass; save a clone()")
        return t

    def cut(self, joined, k):
        """Output k out of the vector that joins them."""
        shape, dtype = self.kinds[k]
        return joined[self.places[k]].reshape(shape).to(dtype)

    def gradients(self, g):
        """The gradient of each output: what arrived, or zeros (or None, if that was asked for)."""
        if len(self.live) == 1:
            found = {self.live[0]: g}
        else:
            some = self.arrived and not self.ctx._materialize
            arrived = set(self.arrived) if some else self.live
            self.arrived.clear()
            found = {k: self.cut(g, k) for k in arrived}
        return [found.get(k) if k in found or kind is None or not self.ctx._materialize
                else wrap(np.zeros(*kind)) for k, kind in enumerate(self.kinds)]

    def part(self, k):
        """The primitive that takes output k out of the vector that joins them."""
        place, arrived, (shape, dtype) = self.places[k], self.arrived, self.kinds[k]

        def rule(g, y, joined):
            arrived.add(k)
            return ops.scatter(g.reshape((-1,)), index=(place,), shape=joined.shape)
        return Primitive(lambda joined: joined[place].reshape(shape).astype(dtype), rule,
                         name=f"{self.name}[{k}]")

    def checked(self, results):
        """What backward returned, if it is one gradient (or None) for each argument."""
        n = len(self.tensors)
        if len(results) < n or any(c is not None for c in results[n:]):
            raise RuntimeError(f"{self.name}.backward returned an incorrect number of gradients "
                               f"(expected {n}, got {len(results)}): one for each argument of "
                               "forward, None for those without")
        for i, (c, is_tensor) in enumerate(zip(results, self.tensors)):
            if c is not None and not is_tensor:
                raise RuntimeError(f"{self.name}.backward returned a gradient different than None "
                                   f"at position {i}, whose argument was not a tensor")
            if c is not None and not isinstance(c, Recorded):
                raise TypeError(f"{self.name}.backward must return tensors or None, got "
                                f"{type(c).__name__} at position {i}")
        return results[:n]


class Refusal(Primitive):
    """What makes the results of a once_differentiable backward: no way back through it."""

    def __init__(self, name):
        super().__init__(lambda *tensors: tensors[0], name=name)
        self.differentiable = True

    def joint(self, g, y, *values):
        raise RuntimeError(f"trying to differentiate twice {self.name}, whose backward is marked "
                           "with @once_differentiable; write it in tensor operations, unmarked")


def once_differentiable(backward):
    """Decorator of a backward that computes in NumPy, or in any way that can't be recorded: its
    results can be used, but not differentiated (torch.autograd.function.once_differentiable).

    Louder than PyTorch, which forgets the mark where no arriving gradient requires grad.
    """
    @functools.wraps(backward)
    def once(ctx, *grads):
        with recording(False):
            return backward(ctx, *grads)
    once.once_differentiable = True
    return once
