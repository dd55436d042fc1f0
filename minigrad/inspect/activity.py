"""What the activations of a network did, read off the record of one forward pass.

The one trick: every result already says which operation made it and in which Module, so a relu
written as a function in the middle of forward() is found as surely as an nn.ReLU, without a hook.
"""

import contextlib
from dataclasses import dataclass

import numpy as np

from minigrad import random
from minigrad.backward import history
from minigrad.creation import tensor
from minigrad.engine import Recorded, as_of, recording
from minigrad.nn.module import Parameter
from minigrad.nn.recurrent import Recurrent
from minigrad.nn.units import Activation, ReLU, Sigmoid, Tanh

TANH, SIGMOID = 0.97, 0.03  # |tanh| above, sigmoid within this of 0 or 1: slope below 6 % and 3 %
USES = 8  # results of one activation that are listed apart; more (time steps) are one line


@dataclass
class Activity:
    """One activation: the Module it is in, its operation, when it ran, and how it was.

    units and dead: how many there are, and how many were 0 for every sample (relu only). values and
    saturated: how many results, and how many so near a limit that next to no gradient passes.
    output: is no parameter used after it?
    """

    module: object
    op: str
    order: int
    samples: int
    units: int
    dead: int
    values: int
    saturated: int
    output: bool


class Recording:
    """The record of a forward pass: `results` oldest first, `used` {parameter: first tick},
    `activities`, and `broken`, the first result that is not finite though its inputs are."""

    def __init__(self, outputs):
        self.results = history(outputs)[::-1]
        self.leaves = [t for t in self.results if t.op is None]
        self.used, self.consumers = {}, {}
        for t in self.results:
            for x in t.inputs:
                if isinstance(x, Recorded):
                    x = as_of(x, t.order)
                    self.consumers.setdefault(x, []).append(t)
                    if x.op is None and x.requires_grad:
                        self.used.setdefault(x, t.order)
        self.broken = next((t for t in self.results if spoilt(t)), None)
        self.activities = self.found()

    def modules(self):
        """The Modules whose forward made a result, in the order they began."""
        return list(dict.fromkeys(t.module for t in self.results if t.module is not None))

    def last_use(self, parameters):
        """The tick at which one of the parameters was last used; 0 if none was."""
        return max((t.order for p in parameters for t in self.consumers.get(p, ())), default=0)

    def found(self):
        """The Activities, in the order they ran."""
        end = self.last_use([p for p in self.used if isinstance(p, Parameter)])
        places, parts = {}, set()
        for t in self.results:
            if t.op is None or t.op.name not in ("relu", "tanh", "sigmoid"):
                continue
            place = t.module, t.op.name
            if self.is_part(t):
                parts.add(place)  # and so are the others there: the first gate meets a state of 0
            elif t.array.size and not overwritten(t):
                places.setdefault(place, []).append(activity(t, end))
        listed = []
        for place, uses in places.items():
            if place not in parts:
                apart = len(uses) <= USES and not isinstance(place[0], Recurrent)
                listed += uses if apart else [joined(uses)]
        return sorted(listed, key=lambda a: a.order)

    def is_part(self, t):
        """Is this tanh or sigmoid part of something else: a gate, which multiplies a value (LSTM,
        SiLU), or a formula such as GELU's? Being near its limits says nothing about it then."""
        if t.op.name == "relu":
            return False
        if isinstance(t.module, Activation) and not isinstance(t.module, (ReLU, Sigmoid, Tanh)):
            return True
        for value, user in self.users(t):
            others = [x for x in user.inputs if x is not value]
            tracked = any(isinstance(x, Recorded) and x.requires_grad for x in others)
            if (user.op.name == "mul" and tracked) or (
                    user.op.name in ("add", "sub") and any(isinstance(x, (int, float))
                                                           for x in others)):
                return True
        return False

    def users(self, t):
        """(value, the result computed from it) for t and the pieces it was cut into."""
        waiting = [t]
        while waiting:
            value = waiting.pop()
            for user in self.consumers.get(value, ()):
                yield value, user
                if user.op.view or user.op.name == "getitem":
                    waiting.append(user)


def overwritten(t):
    """Was the value of t changed in place after its record was made?"""
    return t.memory is not None and t.memory.changed > t.order


def spoilt(t):
    """Is t not finite, though everything it was computed from is?"""
    if t.op is None or overwritten(t) or np.isfinite(t.array).all():
        return False
    values = [x.array if isinstance(x, Recorded) else x for x in t.inputs]
    return all(np.isfinite(value).all() for value in values
               if isinstance(value, float) or getattr(value, "dtype", np.dtype(bool)).kind == "f")


def by_unit(y):
    """An activation as (samples, units). In images (N, C, H, W, ...) a unit is a channel, and every
    place in it a sample; else every number of a sample is a unit; a vector is one sample."""
    if y.ndim >= 4:
        return np.moveaxis(y, 1, -1).reshape(-1, y.shape[1])
    return y.reshape(len(y), -1) if y.ndim > 1 else y.reshape(1, -1)


def activity(t, end):
    y = by_unit(t.array)
    dead = int((y == 0).all(axis=0).sum()) if t.op.name == "relu" else 0
    near = 0
    if t.op.name == "tanh":
        near = int((np.abs(y) > TANH).sum())
    elif t.op.name == "sigmoid":
        near = int(((y < SIGMOID) | (y > 1 - SIGMOID)).sum())
    samples = len(t.array) if t.array.ndim > 1 else 1
    return Activity(t.module, t.op.name, t.order, samples, y.shape[1], dead, y.size, near,
                    t.order > end)


def joined(uses):
    """Many uses of one activation, such as the time steps of a recurrent layer, as one."""
    first = uses[0]
    total = {name: sum(getattr(use, name) for use in uses)
             for name in ("units", "dead", "values", "saturated")}
    return Activity(first.module, first.op, first.order, first.samples, **total,
                    output=all(use.output for use in uses))


# --- a forward pass that leaves no trace ----------------------------------------------------------

def forward_record(model, x):
    """The Recording of model(x), or model(*x) for a tuple, after which model and random generator
    are as they were. Raises TypeError if no tensor comes out, ValueError if nothing was recorded.
    """
    inputs = [followed(part) for part in (x if isinstance(x, tuple) else (x,))]
    with undisturbed(model), recording(True):
        outputs = [t for t in tensors_in(model(*inputs)) if t.requires_grad]
        if not outputs:
            raise ValueError(f"{type(model).__name__} recorded nothing for this x: neither its "
                             "parameters nor x can be differentiated, or it runs under no_grad()")
        return Recording(outputs)


def followed(x):
    """A copy of x whose way through the network is recorded, even through frozen layers."""
    x = x if isinstance(x, Recorded) else tensor(x)
    if x.dtype.kind != "f":
        return x
    return x.detach().clone().requires_grad_().clone()  # no leaf: it may be changed in place


def tensors_in(output):
    """The tensors in what a forward returned: itself, or the contents of tuples, lists, dicts."""
    waiting, found = [output], []
    while waiting:
        part = waiting.pop()
        if isinstance(part, Recorded):
            found.append(part)
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, (tuple, list)):
            waiting += part
    if not found:
        raise TypeError(f"forward returned {type(output).__name__}, in which there is no Tensor")
    return found


@contextlib.contextmanager
def undisturbed(model):
    """Afterwards the random generator and the model's buffers are as they were, to the bit, and
    what was recorded before still takes them for unchanged."""
    generator = random.generator()
    seed, source = generator._seed, generator._numpy
    state = None if source is None else source.bit_generator.state
    kept = [(module, name, b, b.array, b.array.copy(), b.memory, stamps_of(b.memory))
            for module in model.modules() for name, b in module._buffers.items() if b is not None]
    try:
        yield
    finally:
        generator._seed, generator._numpy = seed, source
        if source is not None:
            source.bit_generator.state = state
        for module, name, b, array, values, memory, stamps in kept:
            array[...] = values
            b.array, b.memory = array, memory
            if memory is not None:
                memory.changed, memory.exposed, memory.digest = stamps
            if module._buffers.get(name) is not b:
                setattr(module, name, b)


def stamps_of(memory):
    return None if memory is None else (memory.changed, memory.exposed, memory.digest)
