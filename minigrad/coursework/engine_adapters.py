"""How to talk to somebody else's autograd class: leaves, values, gradients, backward.

The one trick: nothing is asked that a small trial cannot answer. A Value is made, doubled and sent
backward, and whatever its attributes are called is found by what they hold.
"""

import numpy as np

from minigrad.coursework.engine_graphs import FUNCTIONS

DATA = ("data", "value", "array", "cached_data", "val", "v")
GRAD = ("grad", "derivative", "gradient", "_grad", "adjoint", "g")
ARRAY = ("numpy", "to_numpy", "realize_cached_data")
BACKWARD = ("backward", "backprop", "backpropagate", "backward_pass")
OTHER_NAMES = {"sum": ("sum", "summation"), "transpose": ("T", "transpose", "t"),
               "sigmoid": ("sigmoid", "sigm"), "log": ("log", "ln")}


class EngineAdapter:
    """What diagnose_autograd needs of a class. Every part may be given, the rest is found:

    leaf(x): a leaf that wants a gradient, of a float or an ndarray. data(t), grad(t): the numbers
    of a node. backward(t): fills the gradients. functions: {"tanh": f, "sum": f, ...} where they
    are no methods.
    """

    def __init__(self, make, leaf=None, data=None, grad=None, backward=None, functions=None):
        self.make, self.functions = make, dict(functions or {})
        self.leaf = leaf or self.found_leaf
        self.data = data or self.found_data
        self.grad = grad or self.found_grad
        self.backward = backward or self.found_backward

    def found_leaf(self, x):
        x = np.asarray(x, dtype=float) if np.ndim(x) else float(x)
        try:
            t = self.make(x, requires_grad=True)
        except TypeError:
            t = self.make(x)
        if getattr(t, "requires_grad", True) is False:
            t.requires_grad = True
        elif callable(getattr(t, "requires_grad_", None)):
            t.requires_grad_(True)
        return t

    def found_data(self, t):
        """The numbers of a node, as an ndarray. AttributeError if nothing in it is a number."""
        t = t.detach() if callable(getattr(t, "detach", None)) else t
        for _ in range(4):  # a Value in a Value in ...
            if isinstance(t, (int, float, list, tuple, np.ndarray, np.generic)):
                return np.array(t, dtype=float)
            method = next((name for name in ARRAY if callable(getattr(t, name, None))), None)
            name = next((name for name in DATA if getattr(t, name, None) is not None), None)
            if method is None and name is None:
                break
            t = getattr(t, method)() if method else getattr(t, name)
        raise AttributeError(f"a {type(t).__name__} shows no numbers: looked for "
                             f"{', '.join((*ARRAY, *DATA))}; give data= to EngineAdapter")

    def found_grad(self, t):
        for name in GRAD:
            if hasattr(t, name):
                g = getattr(t, name)
                return None if g is None else self.data(g)
        raise AttributeError(f"a {type(t).__name__} has no gradient: looked for "
                             f"{', '.join(GRAD)}; give grad= to EngineAdapter")

    def found_backward(self, t):
        for name in BACKWARD:
            if hasattr(t, name):
                getattr(t, name)()
                return
        raise AttributeError(f"a {type(t).__name__} has no backward: looked for "
                             f"{', '.join(BACKWARD)}; give backward= to EngineAdapter")

    def names(self):
        """The functions that the lines of graphs call."""
        wanted = (*FUNCTIONS, "sum", "mean", "transpose", "reshape", "softmax", "log_softmax")
        return {name: Call(self, name) for name in wanted}


class Missing(Exception):
    """The class does not have this operation."""


class Call:
    """One function of the lines, called on a student's node."""

    def __init__(self, adapter, name):
        self.adapter, self.name = adapter, name

    def __call__(self, x):
        given = self.adapter.functions.get(self.name)
        if given is not None:
            return given(x)
        for name in OTHER_NAMES.get(self.name, (self.name,)):
            method = getattr(x, name, None)
            if method is None:
                continue
            if not callable(method):  # x.T
                return method
            return self.called(method, x)
        raise Missing(self.name)

    def called(self, method, x):
        if self.name == "reshape":
            shape = self.adapter.data(x).shape[::-1]
            return first_that_fits(method, [(shape,), shape])
        if self.name in ("softmax", "log_softmax"):
            return first_that_fits(method, [(-1,), (1,), ()])
        return method()


def first_that_fits(method, choices):
    """method(*arguments) of the first choice that its signature takes."""
    for arguments in choices[:-1]:
        try:
            return method(*arguments)
        except TypeError:
            continue
    return method(*choices[-1])
