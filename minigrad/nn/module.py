"""Module: a function with parameters, and Parameter.

A Module finds its parameters and submodules by attribute assignment. Every parameter is named by
its path ("net.0.weight"), and while a module's forward runs the engine notes it in each record:
that is how pictures know which operation belongs to which layer.
"""

import collections.abc

import numpy as np

from minigrad.creation import tensor
from minigrad.engine import Recorded, mode, written
from minigrad.richtext import Shown, module_html
from minigrad.tensor import Tensor


class Parameter(Tensor):
    """A tensor that a Module trains: requires_grad from the start, found by Module.parameters().

    data is copied (PyTorch's Parameter looks at the memory of the tensor it is given).
    """

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

    def __deepcopy__(self, memo):
        """A copy of the value; as in PyTorch a copied parameter starts without a gradient."""
        copied = super().__deepcopy__(memo)
        copied._grad = None
        return copied


class IncompatibleKeys(collections.namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")):
    """What load_state_dict found on one side only."""

    __slots__ = ()

    def __repr__(self):
        return super().__repr__() if any(self) else "<All keys matched successfully>"


class HookHandle:
    """What registering a hook returns: remove() ends it, and so does leaving `with handle:`."""

    def __init__(self, module, when, hook, with_kwargs):
        if module._hooks is None:
            module.__dict__["_hooks"] = {}
        self.hooks = module._hooks
        self.hooks[self] = when, hook, with_kwargs

    def remove(self):
        """The hook is called no more."""
        self.hooks.pop(self, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


class Module(Shown):
    """Base of layers, losses and networks: assign parameters and submodules, define forward.

    A subclass may leave out super().__init__(): there is nothing to forget.
    """

    training = True
    _hooks = None  # on the instance once there are any: {handle: (when, function, with_kwargs)}

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self.__dict__.update(_parameters={}, _buffers={}, _modules={}, _transient=set(), _path="")
        return self

    def __init__(self):
        pass  # members are kept ready by __new__; arguments that nobody takes are refused here

    def __call__(self, *inputs, **options):
        outer, mode.module = mode.module, self
        if mode.tracing is not None:
            mode.tracing.called(self, [b for _, b in self.named_buffers(recurse=False)])
        try:
            if self._hooks:
                return self._hooked(inputs, options)
            return self.forward(*inputs, **options)
        finally:
            mode.module = outer

    def forward(self, *inputs):
        """What the module computes. Subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(): add "
                                  "`def forward(self, x): ...` to the class")

    # --- hooks -----------------------------------------------------------------------------------

    def register_forward_pre_hook(self, hook, *, with_kwargs=False):
        """hook(module, inputs) before every forward; what it returns, if not None, replaces the
        inputs.

        with_kwargs: hook(module, inputs, options) -> (inputs, options) or None. Returns a handle
        whose remove() ends it.
        """
        return HookHandle(self, "before", hook, with_kwargs)

    def register_forward_hook(self, hook, *, with_kwargs=False):
        """hook(module, inputs, output) after every forward; what it returns, if not None, replaces
        the output.

        with_kwargs: hook(module, inputs, options, output). Returns a handle whose remove() ends it.
        """
        return HookHandle(self, "after", hook, with_kwargs)

    def _hooks_at(self, time):
        return [(hook, named) for when, hook, named in tuple(self._hooks.values()) if when == time]

    def _hooked(self, inputs, options):
        """forward, with the hooks before and after it."""
        for hook, named in self._hooks_at("before"):
            changed = hook(self, inputs, options) if named else hook(self, inputs)
            if changed is not None and named:
                inputs, options = changed
            elif changed is not None:
                inputs = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*inputs, **options)
        for hook, named in self._hooks_at("after"):
            changed = hook(self, inputs, options, output) if named else hook(self, inputs, output)
            output = output if changed is None else changed
        return output

    # --- registration ----------------------------------------------------------------------------

    def __setattr__(self, name, value):
        home = self._home(name, value)
        self._forget(name, home)
        if home is not None:
            home[name] = value
        object.__setattr__(self, name, value)
        if isinstance(value, (Parameter, Module)):
            self._name_paths(home, value)

    def __delattr__(self, name):
        self._forget(name)
        object.__delattr__(self, name)

    def _home(self, name, value):
        """The registry in which `value` belongs as self.name; None for a plain attribute."""
        if isinstance(value, Parameter):
            return self._parameters
        if isinstance(value, Module) and name not in self._parameters:
            return self._modules
        for home, kind, what, cure in (
                (self._parameters, Parameter, "parameter", "wrap it in nn.Parameter or set .data"),
                (self._modules, Module, "child module", "a Module or None is expected"),
                (self._buffers, Recorded, "buffer", "a Tensor or None is expected")):
            if name in home:
                if value is None or isinstance(value, kind):
                    return home  # a known name keeps its place, also when it is emptied
                raise TypeError(f"cannot assign {type(value).__name__} as {what} '{name}': {cure}")
        return None

    def _forget(self, name, home=None):
        """Drops `name` from every registry but `home`."""
        for other in (self._parameters, self._modules, self._buffers):
            if other is not home:
                other.pop(name, None)
        if home is not self._buffers:
            self._transient.discard(name)

    def _name_paths(self, home, member):
        """Gives `member`, just assigned, and all below it the paths they have from this module."""
        first = next(name for name, other in home.items() if other is member)
        path = f"{self._path}.{first}" if self._path else first
        if isinstance(member, Parameter):
            member.name = path
            return
        for below, module in member.named_modules(path):
            module.__dict__["_path"] = below
        for below, parameter in member.named_parameters(path):
            parameter.name = below

    def _check_name(self, name, home, what):
        if not isinstance(name, str):
            raise TypeError(f"{what} name must be a string, got {type(name).__name__} {name!r}")
        if not name or "." in name:
            raise KeyError(f"{what} name {name!r} must not be empty or contain '.'")
        if hasattr(self, name) and name not in home:
            raise KeyError(f"attribute '{name}' already exists: choose another {what} name")

    def register_buffer(self, name, tensor, persistent=True):
        """A Tensor (or None) that belongs to the state but is not trained, like a running mean.

        persistent=False keeps it out of state_dict.
        """
        self._check_name(name, self._buffers, "buffer")
        if tensor is not None and not isinstance(tensor, Recorded):
            raise TypeError(f"cannot assign {type(tensor).__name__} as buffer '{name}': a Tensor "
                            "or None is expected")
        self._buffers[name] = tensor
        object.__setattr__(self, name, tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_parameter(self, name, param):
        """self.name = param, a Parameter or None (a parameter this module does without)."""
        self._check_name(name, self._parameters, "parameter")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"cannot assign {type(param).__name__} as parameter '{name}': an "
                            "nn.Parameter or None is expected")
        self._parameters[name] = param
        setattr(self, name, param)

    def add_module(self, name, module):
        """self.name = module, also for names that are not identifiers ("0")."""
        self._check_name(name, self._modules, "module")
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{name!r}: {type(module).__name__} {module!r} is not a Module; "
                            "activations are classes to be called, such as nn.ReLU()")
        self._modules[name] = module
        setattr(self, name, module)

    register_module = add_module

    # --- walking ---------------------------------------------------------------------------------

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
        """(name, module) of the direct submodules, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct submodules."""
        return (m for _, m in self.named_children())

    def get_submodule(self, target):
        """The module at a path such as "net.0"; "" is this module."""
        return self._at(target, "submodule", self.named_modules(remove_duplicate=False))

    def get_parameter(self, target):
        """The parameter at a path such as "net.0.weight"."""
        return self._at(target, "parameter", self.named_parameters(remove_duplicate=False))

    def get_buffer(self, target):
        """The buffer at a path such as "net.1.running_mean"."""
        return self._at(target, "buffer", self.named_buffers(remove_duplicate=False))

    def _at(self, target, what, members):
        members = dict(members)
        if target not in members:
            raise AttributeError(f"{type(self).__name__} has no {what} {target!r}; it has "
                                 f"{', '.join(name for name in members if name) or 'none'}")
        return members[target]

    def apply(self, fn):
        """fn(module) for every module below and then this one; returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- modes and gradients ---------------------------------------------------------------------

    def train(self, mode=True):
        """Training mode for this module and all below: Dropout drops, BatchNorm uses the batch."""
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

    # --- dtype -----------------------------------------------------------------------------------

    def to(self, *args, dtype=None, device=None):
        """Casts floating-point parameters and buffers in place; the only device is "cpu"."""
        asked = {tensor(x).to(*args, dtype=dtype, device=device).dtype for x in (False, 0)}
        if len(asked) > 1:  # both kept their own: no dtype among the arguments
            return self
        dtype = asked.pop()
        if dtype.kind != "f":
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, got {dtype}")
        for t in (*self.parameters(), *self.buffers()):
            if t.dtype.kind == "f" and t.dtype != dtype:
                grad, t.grad = t.grad, None
                t.data = t.detach().to(dtype)
                t.grad = grad if grad is None else grad.detach().to(dtype)
        return self

    def float(self):
        """All floating-point parameters and buffers as float32."""
        return self.to(np.dtype("float32"))

    def double(self):
        """All floating-point parameters and buffers as float64."""
        return self.to(np.dtype("float64"))

    def half(self):
        """All floating-point parameters and buffers as float16."""
        return self.to(np.dtype("float16"))

    def cpu(self):
        """Itself: there is only the CPU."""
        return self

    def cuda(self, device=None):
        """Refused: there is only the CPU."""
        return self.to("cuda" if device is None else device)

    # --- state -----------------------------------------------------------------------------------

    def _named_state(self):
        for path, module in self.named_modules(remove_duplicate=False):
            for name, member in (*module._parameters.items(), *module._buffers.items()):
                if member is not None and name not in module._transient:
                    yield (f"{path}.{name}" if path else name), member

    def state_dict(self):
        """Copies of all parameters and buffers by path. (PyTorch's alias the live values.)"""
        return {name: t.detach().clone() for name, t in self._named_state()}

    def load_state_dict(self, state_dict, strict=True):
        """Copies the values of a state dict into parameters and buffers.

        Raises RuntimeError, with everything that does not fit, before changing anything; with
        strict=False missing and unknown names are returned instead. Shapes must always agree.
        """
        if not isinstance(state_dict, collections.abc.Mapping):
            raise TypeError("Expected state_dict to be dict-like, got "
                            f"{type(state_dict).__name__}")
        own, values, problems = dict(self._named_state()), {}, []
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        if strict and missing:
            problems.append("missing: " + ", ".join(missing))
        if strict and unexpected:
            problems.append("unknown: " + ", ".join(map(str, unexpected)))
        for name, t in own.items():
            if name in state_dict:
                value, problem = fitting(state_dict[name], t)
                values[name] = value
                if problem:
                    problems.append(f"{name}: {problem}")
        if problems:
            raise RuntimeError(f"load_state_dict for {type(self).__name__}: " + "; ".join(problems)
                               + ". The model is unchanged")
        for name, value in values.items():
            own[name].array[...] = value
            written(own[name])
        return IncompatibleKeys(missing, unexpected)

    # --- printing --------------------------------------------------------------------------------

    def extra_repr(self):
        """What stands in the parentheses of a layer's repr."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        members = [f"({name}): {indented(m)}" for name, m in self._modules.items()]
        return framed(type(self).__name__, extra, members)

    def _html(self):
        return module_html(self)


def fitting(value, t):
    """(value as an array, None), or (None, what keeps it from being copied into the tensor t)."""
    try:
        array = value.array if isinstance(value, Recorded) else np.asarray(value)
    except ValueError as error:
        return None, f"not an array: {error}"
    if array.dtype.kind not in "fiub":
        return None, f"not numeric: dtype {array.dtype}"
    if array.shape != t.shape:
        return None, f"size mismatch, {array.shape} in the state dict, {t.shape} in the model"
    return array, None


def indented(module):
    """repr of a module, its further lines two columns to the right."""
    return repr(module).replace("\n", "\n  ")


def framed(name, extra, members):
    """Name(extra), or with members one line for each."""
    if not members and "\n" not in extra:
        return f"{name}({extra})"
    lines = [*extra.split("\n"), *members] if extra else members
    return f"{name}(\n  " + "\n  ".join(lines) + "\n)"
