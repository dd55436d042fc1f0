"""Modules that hold modules: Sequential, ModuleList, ModuleDict, and MLP ready made (torch.nn).

The one trick: a container's members *are* its registered submodules, under the names "0", "1", ...
so that walking, saving and printing a Module need to know nothing about containers.
"""

import itertools

from minigrad.arguments import as_tensor
from minigrad.creation import tensor
from minigrad.engine import Recorded
from minigrad.nn import layers, units
from minigrad.nn.module import Module, framed, indented
from minigrad.shaping import stack


def out_of_range(container, index):
    """The error for a position that a container does not have."""
    return IndexError(f"index {index} is out of range: {type(container).__name__} has "
                      f"{len(container)} modules")


class Members(Module):
    """Modules in a row, by position. Sequential and ModuleList are two ways to use them."""

    def _renew(self, members):
        """Takes `members` for its own, numbered anew."""
        for name in list(self._modules):
            delattr(self, name)
        return self.extend(members)

    def append(self, module):
        """Adds a module at the end; returns self."""
        self.add_module(self._free_name(), module)
        return self

    def _free_name(self):
        """The next number that names no module yet (a slice may start at "1")."""
        numbers = map(str, itertools.count(len(self)))
        return next(name for name in numbers if name not in self._modules)

    def extend(self, modules):
        """Adds several modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index, module):
        """Adds a module before position index; returns self."""
        members = list(self)
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} {module!r} is not a Module")
        if not -len(members) <= index <= len(members):
            raise out_of_range(self, index)
        members.insert(index, module)
        return self._renew(members)

    def pop(self, index=-1):
        """Removes the module at index and returns it."""
        module = self[index]
        del self[index]
        return module

    def _key(self, index):
        """The name of the module at a position, which may be negative."""
        if not -len(self) <= index < len(self):
            raise out_of_range(self, index)
        return list(self._modules)[index]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._modules[self._key(index)]
        keys = list(self._modules)[index]
        return self._part({key: self._modules[key] for key in keys})

    def _part(self, members):
        """A container of some of the same modules, which keep the paths they have here."""
        part = (Sequential if isinstance(self, Sequential) else ModuleList)()
        part._modules.update(members)
        part.__dict__.update(members, _path=self._path, training=self.training)
        return part

    def __setitem__(self, index, module):
        if not isinstance(module, Module):
            raise TypeError(f"{type(module).__name__} {module!r} is not a Module")
        setattr(self, self._key(index), module)

    def __delitem__(self, index):
        members = list(self)
        gone = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        if all(key.isdigit() for key in self._modules):
            del members[index]
            self._renew(members)
            return
        for key in gone:  # names given by the user are not renumbered
            delattr(self, key)

    def __add__(self, other):
        if not isinstance(other, Members):
            return NotImplemented
        both = self[:]
        for module in other:
            name = both._free_name()
            both.__dict__[name] = both._modules[name] = module
        return both

    def __iadd__(self, other):
        return self.extend(other)


class Sequential(Members):
    """Modules applied one after another: Sequential(a, b) or Sequential({"first": a, ...})."""

    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input):
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(Members):
    """A list of modules whose parameters are found. It has no forward: its owner decides."""

    def __init__(self, modules=()):
        self.extend(modules or ())

    def _part(self, members):
        return super()._part({str(i): module for i, module in enumerate(members.values())})

    def __repr__(self):
        runs = []  # [first position, last position, repr]: alike neighbours share a line
        for i, module in enumerate(self):
            text = indented(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = i
            else:
                runs.append([i, i, text])
        return framed("ModuleList", "", [
            f"({i}): {text}" if i == last else f"({i}-{last}): {last - i + 1} x {text}"
            for i, last, text in runs])


class ModuleDict(Module):
    """A dict of modules whose parameters are found."""

    def __init__(self, modules=()):
        self.update(modules or ())

    def update(self, modules):
        """Adds the modules of a dict or of (name, module) pairs."""
        for name, module in dict(modules).items():
            self[name] = module

    def pop(self, key):
        """Removes the module called key and returns it."""
        module = self[key]
        del self[key]
        return module

    # fmt: off
    def __len__(self):            return len(self._modules)
    def __iter__(self):           return iter(self._modules)
    def __contains__(self, key):  return key in self._modules
    def __getitem__(self, key):   return self._modules[key]
    def __setitem__(self, key, module): self.add_module(key, module)
    def __delitem__(self, key):   delattr(self, key)
    def keys(self):               return self._modules.keys()
    def values(self):             return self._modules.values()
    def items(self):              return self._modules.items()
    # fmt: on


# --- MLP -----------------------------------------------------------------------------------------

ACTIVATIONS = {"relu": units.ReLU, "tanh": units.Tanh, "sigmoid": units.Sigmoid,
               "leaky_relu": units.LeakyReLU, "elu": units.ELU, "gelu": units.GELU,
               "silu": units.SiLU, "softplus": units.Softplus}


def activation_maker(activation):
    """What makes the activation modules of an MLP, from a name or a Module class."""
    make = ACTIVATIONS.get(activation) if isinstance(activation, str) else activation
    if not callable(make) or not isinstance(make(), Module):
        raise ValueError(f"unknown activation {activation!r}: use one of "
                         f"{', '.join(ACTIVATIONS)}, or a Module class such as nn.ReLU")
    return make


class MLP(Sequential):
    """A multilayer perceptron: MLP(2, [16, 16, 1]) has layers 2-16-16-1, an activation after all
    but the last.

    activation: a name (relu, tanh, ...) or a Module class. Called with tensors, arrays or plain
    lists: one sample (n_in,) or a batch (N, n_in), giving (n_out,) or (N, n_out).
    """

    def __init__(self, n_in, n_outs, activation="relu"):
        sizes = [n_in, *(n_outs if isinstance(n_outs, (list, tuple)) else [n_outs])]
        if len(sizes) < 2:
            raise ValueError("MLP needs at least one layer: MLP(n_in, [hidden, ..., n_out])")
        make = activation_maker(activation)
        for fan_in, fan_out in zip(sizes, sizes[1:]):
            if len(self):
                self.append(make())
            self.append(layers.Linear(fan_in, fan_out))
        self.sizes = tuple(sizes)

    def forward(self, input):
        if not isinstance(input, Recorded):
            input = numbers(input).to(self[0].weight.dtype)
        return super().forward(input)


def numbers(data):
    """Lists, arrays and lists of tensors (gradients flow back into them) as one tensor."""
    if isinstance(data, (list, tuple)):
        return stack([numbers(x) for x in data]) if holds_tensors(data) else tensor(data)
    return as_tensor(data)


def holds_tensors(data):
    return any(isinstance(x, Recorded) or (isinstance(x, (list, tuple)) and holds_tensors(x))
               for x in data)
