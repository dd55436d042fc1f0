"""Names for a printed program: what a person would call the values of a computation.

The one trick: names come from what is known already, in this order: the name a tensor was given,
the path of a parameter in its module (its layers numbered in the order in which they run: W1, b1,
W2, b2), and the part a value plays (z1 = x @ W1.T + b1, h1 = np.tanh(z1)). Only values that a
person would name get one here; the printer finds words for the rest.
"""

import builtins
import keyword
import re
import unicodedata

import numpy as np

from minigrad.engine import Recorded, as_of

RESERVED = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", "math", "time",
                      "params", "gradients", "states", "loss", "step", "rng", "t",
                      "loss_and_gradients", "update", "start", "microseconds", "sgd"})
ACTIVATIONS = {"tanh", "sigmoid", "relu", "leaky_relu", "softplus", "erf", "exp", "sin", "cos",
               "clamp"}
FURTHER = {"reshape", "standardize", "affine", "permute", "clone", "cast", "mul", "add", "getitem"}
LETTERS = {"weight": "W", "bias": "b"}
# fmt: off
WORDS = {"getitem": "part", "reshape": "flat", "softmax": "p", "log_softmax": "log_p", "permute":
         "turned", "standardize": "normed", "cat": "joined", "stack": "stacked", "mul": "product",
         "exp": "e", "mean": "mean", "sum": "total", "div": "ratio", "matmul": "product", "add":
         "total", "sub": "diff", "affine": "scaled", "sqrt": "root", "square": "squares", "setitem":
         "changed", "tanh": "h", "relu": "h", "sigmoid": "gate", "abs": "size", "var": "variance",
         "cross_entropy": "losses", "linear": "z", "conv": "z", "log": "logs", "power": "power",
         "expand": "wide", "neg": "minus", "where": "chosen", "norm": "norm", "einsum": "product"}
LAYERS = {"MaxPool": "pooled", "AvgPool": "pooled", "AdaptiveAvgPool": "pooled", "Flatten": "flat",
          "Dropout": "dropped", "Embedding": "embedded", "BatchNorm": "normed", "LayerNorm":
          "normed", "GroupNorm": "normed", "RMSNorm": "normed"}
# fmt: on


def identifier(text):
    """Any text as a Python identifier: what cannot stand in one becomes `_`."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", str(text))).strip("_")
    return name if name and not name[0].isdigit() else f"p{name}"


class Namer:
    """Gives each tensor one name, and no name twice. `names`: {id(tensor): identifier}."""

    def __init__(self, records, loss, parameters, reserved=()):
        self.records, self.loss = records, loss
        self.names, self.taken, self.layer = {}, {*RESERVED, *reserved}, {}
        self.users, self.first = {}, {}
        known = {id(t): t for t in records}
        for t in records:
            for x in inputs_of(t):
                self.users.setdefault(id(x), []).append(t)
                self.first.setdefault(id(x), t.order)
        self.leaves = [t for t in records if t.op is None]
        wanted = {id(p) for p in parameters}
        self.parameters = by_first_use(records, [  # frozen ones and buffers among them
            t for t in self.leaves if id(t) in wanted or (t.name and module_path(t.name))
            or (t.requires_grad and not self.fed(t))])
        self.parameters += [p for p in parameters if id(p) not in known]

    def fed(self, t):
        """Is this a nameless tensor that a layer is fed with: data that gradients are taken of?"""
        return not t.name and any(u.op.name in ("linear", "conv") and inputs_of(u)[0] is t
                                  for u in self.users.get(id(t), ()))

    def give(self, t, wish):
        """Names t as wished, or wish_2, wish_3, ... where others have the name."""
        if id(t) not in self.names:
            self.names[id(t)] = free(wish, self.taken)
            self.taken.add(self.names[id(t)])

    def run(self):
        if self.loss.op is not None:
            self.names[id(self.loss)] = "loss"
        for t in self.records:
            if t.name and not module_path(t.name) and t.name.isidentifier():
                self.give(t, identifier(t.name))
        self.name_layers()
        self.name_data()
        self.name_values()
        return self.names

    def word(self, t):
        """What a value is called if it needs a line although nobody would name it."""
        followed = any(u.module is t.module for u in self.users.get(id(t), ()))
        if t.module is not None and not followed and t.op.name != "affine":
            layer = re.sub(r"\d[dD]$", "", type(t.module).__name__)
            if layer in LAYERS:
                return LAYERS[layer]
        if t.op.view and inputs_of(t)[0].op is None and id(inputs_of(t)[0]) in self.names:
            return f"{self.names[id(inputs_of(t)[0])]}_view"
        if t.op.name == "sub" and any(self.names.get(id(x)) == "y" for x in inputs_of(t)):
            return "error"
        return WORDS.get(t.op.name, "u" if t.op.name in RESERVED else identifier(t.op.name))

    def words(self):
        """{id(tensor): word} of all values without a name of their own."""
        return {id(t): self.word(t) for t in self.records
                if t.op is not None and id(t) not in self.names}

    # --- what the program is given ---

    def name_layers(self):
        """W1, b1 of layers; gamma1, beta1 of normalizations; E of embeddings."""
        groups = {}
        for p in self.parameters:
            if id(p) not in self.names:
                prefix, _, last = (p.name or "").rpartition(".")
                key, copy = ((prefix, 0) if p.name else (None, id(p))), 0
                while any(last == other for other, _ in groups.get(key, ())):
                    copy += 1  # another module of the same name
                    key = prefix, copy
                groups.setdefault(key, []).append((last, p))
        kinds = {}
        for key, members in groups.items():
            kinds.setdefault(self.kind(members), []).append(members)
        for (weight, bias), layers in kinds.items():
            for number, members in enumerate(layers, start=1):
                count = str(number) if len(layers) > 1 else ""
                for last, p in members:
                    self.give(p, parameter_name(last, p, weight, bias, count, members))

    def kind(self, members):
        """The letters of a layer's weight and bias."""
        for last, p in members:
            users = self.users.get(id(p), ())
            if last == "weight" and any(type(u.module).__name__ == "PReLU" for u in users):
                return "a", "b"
            if last == "weight" and p.array.ndim == 1:
                return "gamma", "beta"
            if last == "weight" and users and users[0].op.name == "getitem":
                return "E", "b"
            if not last and p.array.ndim < 2:
                third = any(u.op.name in ("linear", "conv") and any(
                    x is p for x in inputs_of(u)[2:]) for u in users)
                return ("b" if third or self.uses(p) == {"add"} else "w"), "b"
        return "W", "b"

    def name_data(self):
        """x and y: what is used first, and what comes in when all parameters have been used."""
        for t in self.leaves:
            if id(t) not in self.names and self.buffer_name(t):
                self.give(t, identifier(self.buffer_name(t)))
        data = sorted((t for t in self.leaves if id(t) not in self.names),
                      key=lambda t: self.first.get(id(t), 0))
        if not data:
            return
        used = [self.first[id(p)] for p in self.parameters if id(p) in self.first]
        late = [t for t in data if used and self.first.get(id(t), 0) > max(used)]
        target = late[-1] if late and self.is_target(late[-1], len(data)) else None
        rest = [t for t in data if t is not target]
        varied = [t for t in rest if not is_one_number(t.array)] or (
            rest if target is None or is_one_number(target.array) else [])
        for t in varied[:1]:
            self.give(t, "mask" if t.array.dtype.kind == "b" else "x")
        if target is not None and (varied or not is_one_number(target.array)):
            self.give(target, "y")
        for t in varied[1:]:
            self.give(t, self.data_name(t))

    def is_target(self, t, count):
        """May this be what the network should have said? No condition, no mask that is added to
        scores, and alone among the data no index."""
        uses = self.uses(t)
        return t.array.dtype.kind != "b" and uses != {"add"} and (
            count > 1 or "getitem" not in uses)

    def buffer_name(self, t):
        """What a Module that reads t calls it (running_mean), or None."""
        for module in (u.module for u in self.users.get(id(t), ()) if u.module is not None):
            for name, buffer in module._buffers.items():
                if buffer is t:
                    return name
        return None

    def uses(self, t):
        """Names of the operations that read t."""
        return {u.op.name for u in self.users.get(id(t), ())}

    def data_name(self, t):
        kind = t.array.dtype.kind
        if kind == "b" or self.uses(t) == {"mul"}:
            return "mask"
        return "index" if kind in "iu" else "c"

    # --- values on the way ---

    def name_values(self):
        """z1 what a layer makes of its input, h1 what an activation makes of that."""
        for t in self.records:
            if t.op is None:
                continue
            number = self.weighted(t)
            if number is not None:
                users = self.users.get(id(t), ())
                if t.op.name == "matmul" and len(users) == 1 and users[0].op.name == "add" and (
                        users[0] is not self.loss) and any(
                        id(x) in self.names and x.op is None for x in inputs_of(users[0])):
                    t = users[0]
                self.layer[id(t)] = number
                self.give(t, f"z{number}")
                continue
            self.name_activation(t)

    def weighted(self, t):
        """The number of the layer whose weight t multiplies its input by, or None."""
        if t.op.name not in ("linear", "conv", "matmul"):
            return None
        for x in inputs_of(t)[:2] if t.op.name == "matmul" else inputs_of(t)[1:2]:
            while x.op is not None and x.op.view:
                x = inputs_of(x)[0]
            name = self.names.get(id(x), "")
            if x.array.ndim > 1 and len(self.users[id(x)]) == 1 and any(
                    x is p for p in self.parameters):
                digits = re.fullmatch(r"[A-Za-z]+?_?(\d*)", name)
                return digits[1] if digits else name[1:] if name.startswith("W_") else f"_{name}"
        return None

    def name_activation(self, t):
        sources = [x for x in inputs_of(t) if id(x) in self.layer]
        if not sources:
            return
        number, users = self.layer[id(sources[0])], self.users.get(id(sources[0]), ())
        if is_activation(t.module):
            followed = [u for u in self.users.get(id(t), ()) if u.module is t.module]
            if followed:
                self.layer[id(t)] = number
            else:
                self.give(t, f"h{number}")
        elif t.op.name in ACTIVATIONS and len(users) == 1:
            self.give(t, f"h{number}")
        elif t.op.name in FURTHER and len(sources) == 1 and len(users) == 1:
            self.layer[id(t)] = number


def by_first_use(records, tensors):
    """Tensors in the order in which the records read them; of one record W before b."""
    first = {}
    for t in records:
        for i, x in enumerate(inputs_of(t)):
            first.setdefault(id(x), (t.order, i))
    return sorted(tensors, key=lambda t: first.get(id(t), (0, 0)))


def inputs_of(t):
    """The tensors a record was made from, as they were then."""
    return [as_of(x, t.order) for x in t.inputs if isinstance(x, Recorded)]


def is_activation(module):
    return module is not None and type(module).__module__ == "minigrad.nn.units"


def is_one_number(array):
    """Is this one number, or the same number everywhere?"""
    return array.size > 0 and array.dtype.kind in "fiu" and bool((array == array.flat[0]).all())


def module_path(name):
    """Is this the path that a Module gave its parameter (0.weight, lstm.weight_ih_l0)?"""
    last = name.rpartition(".")[2]
    return last != name or re.search(r"(^|_)(weight|bias)(_|$)", last) is not None


def parameter_name(last, p, weight, bias, count, members):
    """What a parameter is called: W1 for 0.weight, W_ih for weight_ih_l0, its own word if it has
    one (theta for net.theta)."""
    if last in LETTERS or not last:
        return (bias if last == "bias" else weight) + count
    found = re.fullmatch(r"(weight|bias)_(\w+)|(\w+?)(?:_proj)?_(weight|bias)", last)
    if not found:
        return identifier(last)
    rest = found[2] or found[3]
    if rest.endswith("_l0") and not any(other.endswith("_l1") for other, _ in members):
        rest = rest[:-3]
    return f"{LETTERS[found[1] or found[4]]}_{rest}"


def free(wish, taken):
    """The wished name, or with the smallest number that makes it new."""
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    return name


def sizes(array):
    """The shape of an array as people write it: (100, 2); a single number has none."""
    return str(np.shape(array)) if np.ndim(array) else "(a number)"
