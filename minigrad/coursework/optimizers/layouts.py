"""What a course's optimizer finds in its parameters, and how they are handed to it.

The one trick: nobody has to say which course it is. The forms are tried, the one that works is it.

An adapter of your own is an object with two functions, `parameter(array)`, which makes what your
optimizer updates, and `gradient(array)`, which makes what stands in its .grad. If your optimizer
is called in yet another way, wrap it in a class with the usual one and diagnose that:

    class Wrapped:
        def __init__(self, params, lr, beta1, beta2, eps): ...   # params: .data and .grad, arrays
        def step(self): ...
"""

import sys
import types
from types import SimpleNamespace

import numpy as np

from minigrad import tensor

# (absolute, relative): how close numbers must be. MIXED: computed in double precision, but with
# constants of single precision, as where 0.9 has become an array of float32.
FLOAT64, FLOAT32, MIXED = (1e-9, 1e-7), (2e-5, 5e-4), (1e-6, 1e-5)


class Parameter:
    """.data and .grad are arrays, or what a layout makes of them."""

    requires_grad, trainable = True, True

    def __init__(self, data, grad=None):
        self.data, self.grad = data, grad

    @property
    def shape(self):
        return self.data.shape

    @property
    def size(self):
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def value(self):
        return self.data

    @value.setter
    def value(self, value):
        self.data = value

    def update(self, value):
        self.data = getattr(value, "data", value) if isinstance(value, Boxed) else value

    def zero_grad(self):
        self.grad = None

    def numpy(self):
        return self.data if isinstance(self.data, np.ndarray) else numbers(self.data)

    def detach(self):
        return type(self)(self.data)


class Boxed(Parameter):
    """A gradient that is a tensor itself: its .data is the array."""

    def detach(self):
        return self


class ArrayWithGradient(np.ndarray):
    """An array with .grad, as `for p in params: p[:] -= lr * p.grad` wants it."""

    grad = None


def array_with_gradient(data):
    return data.view(ArrayWithGradient)


def minigrad_parameter(data):
    return tensor(data, requires_grad=True)


def torch_parameter(data):
    return sys.modules["torch"].tensor(data, requires_grad=True)


def same(data):
    return data


def scalar_parameter(data):
    return Parameter(float(data))


LAYOUTS = {
    "arrays":   SimpleNamespace(parameter=Parameter, gradient=same),
    "tensors":  SimpleNamespace(parameter=Parameter, gradient=Boxed),
    "subclass": SimpleNamespace(parameter=array_with_gradient, gradient=same),
    "minigrad": SimpleNamespace(parameter=minigrad_parameter,
                                gradient=lambda g: minigrad_parameter(g).detach()),
    "torch":    SimpleNamespace(parameter=torch_parameter,
                                gradient=lambda g: sys.modules["torch"].tensor(g)),
}
SCALARS = SimpleNamespace(parameter=scalar_parameter, gradient=float)
TENSOR_NAMES = ("Parameter", "Tensor", "Variable", "Var", "Value", "Scalar")


def layouts_for(student, layout=None):
    """[(name, layout)] to try, the likeliest first.

    layout: the name of one of LAYOUTS, an object with .parameter(array) and .gradient(array), or
    None to try all, those of tensor classes that the student's module has included. Raises
    ValueError for another name.
    """
    if isinstance(layout, str):
        if layout not in LAYOUTS:
            raise ValueError(f"layout is {layout!r}; choose one of {', '.join(LAYOUTS)}, or give "
                             "an object with .parameter(array) and .gradient(array)")
        return [(layout, LAYOUTS[layout])]
    if layout is not None:
        if not (callable(getattr(layout, "parameter", None))
                and callable(getattr(layout, "gradient", None))):
            raise TypeError(f"layout is a {type(layout).__name__}; an adapter needs the functions "
                            "parameter(array) and gradient(array)")
        return [("layout", layout)]
    bases = getattr(student, "__mro__", (student,))
    homes = {(getattr(base, "__module__", None) or "").split(".")[0] for base in bases}
    names = [name for name in LAYOUTS if name != "torch" or "torch" in sys.modules]
    names.sort(key=lambda name: name not in homes)
    own = [] if {"torch", "minigrad"} & homes else found_layouts(student)
    return [*((name, LAYOUTS[name]) for name in names[:2]), *own,
            *((name, LAYOUTS[name]) for name in names[2:])]


def found_layouts(student):
    """The tensor classes that a student's module knows, as layouts: [(name, layout)]."""
    home = vars(sys.modules.get(getattr(student, "__module__", None), SimpleNamespace()))
    home = {**home, **getattr(getattr(student, "__init__", None), "__globals__", {}),
            **getattr(student, "__globals__", {})}
    places = [home] + [vars(x) for x in home.values() if isinstance(x, types.ModuleType)
                       and x.__name__.split(".")[0] not in {"numpy", "torch", "minigrad", "jax"}]
    kinds = {}
    for name in TENSOR_NAMES:
        for place in places:
            found = place.get(name)
            if isinstance(found, type) and found.__module__ not in {"torch", "typing"}:
                kinds.setdefault(found, name)
    found = []
    for kind, name in kinds.items():
        made = maker(kind)
        found += [(f"{name} objects", SimpleNamespace(parameter=made, gradient=made)),
                  (f"{name} objects with arrays as .grad",
                   SimpleNamespace(parameter=made, gradient=same))]
    return found


def maker(kind):
    """A function that makes an object of a tensor class from an array."""
    def make(data):
        try:
            return kind(data, requires_grad=True)
        except TypeError:
            return kind(data)
    return make


def numbers(value):
    """The array in a parameter, tensor or array; None if there is none."""
    for _ in range(4):
        if isinstance(value, (np.ndarray, np.generic, float, int)):
            return np.array(value)
        if isinstance(value, (list, tuple)):
            try:
                return np.array(value, float)
            except (ValueError, TypeError):
                return None
        if isinstance(value, Parameter):
            value = value.data
            continue
        if hasattr(value, "detach"):
            value = value.detach()
        if hasattr(value, "numpy"):
            value = value.numpy()
        elif hasattr(value, "__array__"):
            value = np.asarray(value)
        else:
            value = next((getattr(value, name) for name in ("data", "value", "cached_data")
                          if hasattr(value, name)), None)
    return None


# --- models of layers ----------------------------------------------------------------------------

def alias(part, name):
    """A property that stands for layer.params[name] or layer.grads[name]."""
    return property(lambda layer: getattr(layer, part)[name],
                    lambda layer, value: getattr(layer, part).__setitem__(name, value))


class Layer:
    """A layer with weights and biases, under all the names that courses have for them."""

    def __init__(self, W, b):
        self.params, self.grads = {"W": W, "b": b}, {"W": np.zeros_like(W), "b": np.zeros_like(b)}

    W = weights = weight = w = alias("params", "W")
    b = biases = bias = alias("params", "b")
    dW = dweights = dw = grad_W = grad_w = dLdW = weights_grad = d_weights = alias("grads", "W")
    db = dbiases = dbias = grad_b = dLdb = bias_grad = d_biases = alias("grads", "b")


class Model:
    """Two layers of four parameters in all. between: is there an activation after each layer?"""

    def __init__(self, weights, between=False):
        self.held = [Layer(*weights[k:k + 2]) for k in range(0, len(weights), 2)]
        self.layers = [one for layer in self.held
                       for one in ([layer, Activation()] if between else [layer])]
        self.trainable_layers = self.held

    def set_gradients(self, gradients):
        for layer, k in zip(self.held, range(0, len(gradients), 2)):
            layer.grads["W"], layer.grads["b"] = gradients[k:k + 2]

    def arrays(self, part="params"):
        return [values for layer in self.held for values in getattr(layer, part).values()]

    def params_and_grads(self):
        for layer in self.held:
            for name, values in layer.params.items():
                yield values, layer.grads[name]

    @property
    def params(self):
        return {f"{name}{i + 1}": values for i, layer in enumerate(self.held)
                for name, values in layer.params.items()}


class Activation:
    """A layer without parameters."""
