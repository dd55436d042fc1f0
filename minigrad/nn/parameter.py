"""Parameters in a list or a dict that a Module finds (torch.nn.parameter).

The one trick is that of containers: the members *are* registered parameters, named "0", "1", ... or
by their keys, so walking, saving and moving need to know nothing about them.
"""

from minigrad.engine import Recorded
from minigrad.nn.module import Module, Parameter

__all__ = ["Parameter", "ParameterDict", "ParameterList"]


class Members(Module):
    """What both have in common: tensors become Parameters, other values are refused."""

    def _put(self, name, value):
        if not isinstance(value, Recorded):
            raise TypeError(f"{type(self).__name__} holds Parameters, got {type(value).__name__} "
                            f"for {name!r}: wrap it in nn.Parameter")
        setattr(self, name, value if isinstance(value, Parameter) else Parameter(value))

    def __len__(self):
        return len(self._parameters)

    def __repr__(self):
        lines = [f"    ({name}): Parameter containing: [{p.dtype} of size "
                 f"{'x'.join(map(str, p.shape))}]" for name, p in self._parameters.items()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"]) if lines else \
            f"{type(self).__name__}()"


class ParameterList(Members):
    """Parameters by position: ParameterList([Parameter(w), Parameter(v)]). Tensors are wrapped."""

    def __init__(self, values=None):
        self.extend(() if values is None else values)

    def append(self, value):
        """Adds a parameter at the end; returns self."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values):
        """Adds several parameters at the end; returns self."""
        for value in values:
            self.append(value)
        return self

    __iadd__ = extend

    def _name(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range: ParameterList has {len(self)} "
                             "parameters")
        return str(index % len(self))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return ParameterList(list(self)[index])
        return self._parameters[self._name(index)]

    def __setitem__(self, index, value):
        self._put(self._name(index), value)

    def __iter__(self):
        return iter(self._parameters.values())


class ParameterDict(Members):
    """Parameters by name: ParameterDict({"w": Parameter(w)}). Tensors are wrapped."""

    def __init__(self, parameters=None):
        self.update(() if parameters is None else parameters)

    def update(self, parameters):
        """Takes over the parameters of a mapping, or of (name, parameter) pairs."""
        for name, value in dict(parameters).items():
            self[name] = value

    def __getitem__(self, name):
        return self._parameters[name]

    def __setitem__(self, name, value):
        if name not in self._parameters:
            self._check_name(name, self._parameters, "parameter")
        self._put(name, value)

    def __delitem__(self, name):
        if name not in self._parameters:
            raise KeyError(name)
        delattr(self, name)

    def __iter__(self):
        return iter(self._parameters)

    def __contains__(self, name):
        return name in self._parameters

    def keys(self):
        """The names."""
        return self._parameters.keys()

    def values(self):
        """The parameters."""
        return self._parameters.values()

    def items(self):
        """(name, parameter)."""
        return self._parameters.items()
