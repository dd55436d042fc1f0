"""Module: a function with parameters, and Parameter.

A Module finds its parameters and submodules by attribute assignment. Every parameter is named by its
path ("net.0.weight"), and while a module's forward runs the engine notes it in each record: that is
how pictures know which operation belongs to which layer.
"""

import collections

import numpy as np

from minigrad.creation import tensor
from minigrad.engine import Recorded, mode, written
from minigrad.tensor import Tensor

IncompatibleKeys = collections.namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")


class Parameter(Tensor):
    """A tensor that a Module trains: requires_grad from the start, found by Module.parameters()."""

    __slots__ = ()

    def __new__(cls, data=(), requires_grad=True, name=None):
        source = tensor(data)
        self = object.__new__(cls)
        for slot in Recorded.__slots__[:-1]:
            setattr(self, slot, getattr(source, slot))
        self.name = name
        return self.requires_grad_(requires_grad)

    def __repr__(self):
        return "Parameter containing:\n" + super().__repr__()


class Module:
    """Base of layers, losses and networks: assign parameters and submodules, define forward."""

    training = True

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _path="")
        return self

    def __call__(self, *inputs, **options):
        outer, mode.module = mode.module, self
        try:
            return self.forward(*inputs, **options)
        finally:
            mode.module = outer

    def forward(self, *inputs):
        """What the module computes. Subclasses define it."""
        raise TypeError(f"{type(self).__name__} does not define forward(): add "
                        "`def forward(self, x): ...` to the class")

    # --- registration -----------------------------------------------------------------------------

    def __setattr__(self, name, value):
        homes = {Parameter: self._parameters, Module: self._modules}
        home = next((h for kind, h in homes.items() if isinstance(value, kind)), None)
        if home is None and isinstance(value, Recorded) and name in self._buffers:
            home = self._buffers
        if home is None and name in self._parameters and value is not None:
            raise TypeError(f"cannot assign {type(value).__name__} as parameter '{name}': wrap it in "
                            "nn.Parameter, or assign to its .data")
        if home is None and value is None:  # a known name keeps its place, empty
            home = next((h for h in (*homes.values(), self._buffers) if name in h), None)
        for other in (*homes.values(), self._buffers):
            if other is not home:
                other.pop(name, None)
        if home is not None:
            home[name] = value
        object.__setattr__(self, name, value)
        if isinstance(value, (Parameter, Module)):
            self._name_paths(name)

    def __delattr__(self, name):
        for home in (self._parameters, self._modules, self._buffers):
            home.pop(name, None)
        object.__delattr__(self, name)

    def _name_paths(self, name):
        """Gives the member `name`, and all below it, the path it has from this module."""
        path = f"{self._path}.{name}" if self._path else name
        member = self.__dict__[name]
        if isinstance(member, Parameter):
            member.name = path
            return
        member.__dict__["_path"] = path
        for below in (*member._parameters, *member._modules):
            if member.__dict__[below] is not None:
                member._name_paths(below)

    def register_buffer(self, name, tensor, persistent=True):
        """A tensor that belongs to the state but is not trained (running statistics)."""
        object.__setattr__(self, name, tensor)
        self._buffers[name] = tensor
        if not persistent:
            self.__dict__.setdefault("_transient", set()).add(name)

    def register_parameter(self, name, param):
        """self.name = param, a Parameter or None."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign {type(param).__name__} as parameter '{name}': "
                            "nn.Parameter or None expected")
        self._parameters[name] = param
        setattr(self, name, param)

    def add_module(self, name, module):
        """self.name = module, for names that are not identifiers ("0")."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{type(module).__name__} {module!r} is not a Module")
        if not name or "." in name:
            raise KeyError(f"module name {name!r} must not be empty or contain '.'")
        self._modules[name] = module
        setattr(self, name, module)

    register_module = add_module

    # --- walking ----------------------------------------------------------------------------------

    def named_modules(self, prefix="", remove_duplicate=True):
        """(path, module) of this module and all below it, each once."""
        seen, waiting = set(), [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            waiting += [(f"{path}.{name}" if path else name, child)
                        for name, child in reversed(module._modules.items()) if child is not None]

    def _named_members(self, home, prefix, recurse, remove_duplicate):
        seen = set()
        walked = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in walked:
            for name, member in getattr(module, home).items():
                if member is not None and not (remove_duplicate and member in seen):
                    seen.add(member)
                    yield (f"{path}.{name}" if path else name), member

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, parameter); a shared parameter comes once, under its first name."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(path, buffer)."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters, each once."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def modules(self):
        """This module and all below it, each once."""
        return (m for _, m in self.named_modules())

    def named_children(self):
        """(name, module) of the direct submodules."""
        return ((name, m) for name, m in self._modules.items() if m is not None)

    def children(self):
        """The direct submodules."""
        return (m for _, m in self.named_children())

    def get_submodule(self, target):
        """The module at a path such as "net.0"; "" is this module."""
        found = dict(self.named_modules(remove_duplicate=False)).get(target)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no submodule {target!r}")
        return found

    def get_parameter(self, target):
        """The parameter at a path such as "net.0.weight"."""
        found = dict(self.named_parameters(remove_duplicate=False)).get(target)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")
        return found

    def apply(self, fn):
        """fn(module) for every module below and then this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- modes and gradients ----------------------------------------------------------------------

    def train(self, mode=True):
        """Training mode (Dropout drops, BatchNorm uses the batch) for this module and all below."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self):
        """Evaluation mode."""
        return self.train(False)

    def zero_grad(self, set_to_none=True):
        """Forgets the gradients of all parameters (or sets them to zero)."""
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None and p._grad is not None:
                    p.grad = None if set_to_none else p.grad.detach().zero_()

    def requires_grad_(self, requires_grad=True):
        """Freezes (False) or unfreezes all parameters."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    # --- dtype ------------------------------------------------------------------------------------

    def to(self, *args, dtype=None, device=None):
        """Casts floating-point parameters and buffers in place; the only device is "cpu"."""
        probe = tensor(0.0).to(*args, dtype=dtype, device=device)
        if dtype is None and not any(isinstance(a, (np.dtype, type)) for a in args):
            return self
        if probe.dtype.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, got {probe.dtype}")
        for t in (*self.parameters(), *self.buffers()):
            if t.dtype.kind == "f" and t.dtype != probe.dtype:
                t.array, t._grad = t.array.astype(probe.dtype), None
                written(t)
        return self

    def float(self):
        """All floating-point parameters and buffers as float32."""
        return self.to(np.dtype("float32"))

    def double(self):
        """All floating-point parameters and buffers as float64."""
        return self.to(np.dtype("float64"))

    def cpu(self):
        """Itself: there is only the CPU."""
        return self

    # --- state ------------------------------------------------------------------------------------

    def _named_state(self):
        for path, module in self.named_modules(remove_duplicate=False):
            transient = module.__dict__.get("_transient", ())
            for name, member in (*module._parameters.items(), *module._buffers.items()):
                if member is not None and name not in transient:
                    yield (f"{path}.{name}" if path else name), member

    def state_dict(self):
        """Copies of all parameters and buffers by path. (PyTorch's alias the live values.)"""
        return {name: t.detach().clone() for name, t in self._named_state()}

    def load_state_dict(self, state_dict, strict=True):
        """Copies the values of a state dict into parameters and buffers.

        Raises RuntimeError, with everything that does not fit, before changing anything; with
        strict=False missing and unknown names are returned instead. Shapes must always agree.
        """
        own = dict(self._named_state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append("missing: " + ", ".join(missing))
        if strict and unexpected:
            problems.append("unknown: " + ", ".join(map(str, unexpected)))
        values = {}
        for name, t in own.items():
            if name in state_dict:
                value = state_dict[name]
                value = value.array if isinstance(value, Recorded) else np.asarray(value)
                if value.shape != t.shape:
                    problems.append(f"size mismatch for {name}: {value.shape} in the state dict, "
                                    f"{t.shape} in the model")
                elif value.dtype.kind not in "fiub":
                    problems.append(f"{name} is not numeric: dtype {value.dtype}")
                values[name] = value
        if problems:
            raise RuntimeError(f"load_state_dict for {type(self).__name__}: " + "; ".join(problems)
                               + ". The model is unchanged")
        for name, value in values.items():
            own[name].array[...] = value
            written(own[name])
        return IncompatibleKeys(missing, unexpected)

    # --- printing ---------------------------------------------------------------------------------

    def extra_repr(self):
        """What stands in the parentheses of a layer's repr."""
        return ""

    def __repr__(self):
        lines = [f"({name}): " + repr(m).replace("\n", "\n  ") for name, m in self._modules.items()]
        extra, name = self.extra_repr(), type(self).__name__
        if not lines:
            return f"{name}({extra})"
        return f"{name}({extra}\n  " + "\n  ".join(lines) + "\n)"
