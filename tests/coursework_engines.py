"""Autograd engines as different people write them, for planting mistakes in: sources of classes.

Each is written from the idea of its style alone: closures and labels, functions with saved values,
derivatives in a dict, generations in a heap, a tape, dependencies sent back one by one.
"""

import heapq
import math

import numpy as np
from coursework_array_engines import DEPENDENCIES, DEZERO, TAPE, TINY


def engine(source, *changes, name):
    """The class `name` of a source in which texts were replaced."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    names = {"math": math, "np": np, "heapq": heapq}
    exec(source, names)
    return names[name]


# A lecture's Value: children in a set, labels, an assertion in __pow__, no clearing.
LECTURE = '''
class Value:
    def __init__(self, data, _children=(), _op="", label=""):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op
        self.label = label
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")
        def _backward():
            self.grad += 1.0 * out.grad
            other.grad += 1.0 * out.grad
        out._backward = _backward
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")
        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out
    def __pow__(self, other):
        assert isinstance(other, (int, float))
        out = Value(self.data ** other, (self,), f"**{other}")
        def _backward():
            self.grad += other * (self.data ** (other - 1)) * out.grad
        out._backward = _backward
        return out
    def __rmul__(self, other): return self * other
    def __radd__(self, other): return self + other
    def __truediv__(self, other): return self * other ** -1
    def __neg__(self): return self * -1
    def __sub__(self, other): return self + (-other)
    def tanh(self):
        x = self.data
        t = (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)
        out = Value(t, (self,), "tanh")
        def _backward():
            self.grad += (1 - t ** 2) * out.grad
        out._backward = _backward
        return out
    def exp(self):
        out = Value(math.exp(self.data), (self,), "exp")
        def _backward():
            self.grad += out.data * out.grad
        out._backward = _backward
        return out
    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), "ReLU")
        def _backward():
            self.grad += (out.data > 0) * out.grad
        out._backward = _backward
        return out
    def backward(self):
        topo, visited = [], set()
        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build_topo(child)
                topo.append(v)
        build_topo(self)
        self.grad = 1.0
        for node in reversed(topo):
            node._backward()
'''
# Functions that compute and differentiate; gradients are lists per node, then summed.
NEEDLE = '''
class Op:
    def __call__(self, *inputs):
        inputs = [x if isinstance(x, Tensor) else Tensor(x, requires_grad=False) for x in inputs]
        out = Tensor.__new__(Tensor)
        out.op, out.inputs, out.grad = self, inputs, None
        out.requires_grad = any(x.requires_grad for x in inputs)
        out.cached_data = self.compute(*[x.cached_data for x in inputs])
        return out
class EWiseAdd(Op):
    def compute(self, a, b): return a + b
    def gradient(self, g, node): return fit(g, node.inputs[0]), fit(g, node.inputs[1])
class EWiseMul(Op):
    def compute(self, a, b): return a * b
    def gradient(self, g, node):
        lhs, rhs = node.inputs
        return fit(g * rhs.cached_data, lhs), fit(g * lhs.cached_data, rhs)
class AddScalar(Op):
    def __init__(self, scalar): self.scalar = scalar
    def compute(self, a): return a + self.scalar
    def gradient(self, g, node): return g
class MulScalar(Op):
    def __init__(self, scalar): self.scalar = scalar
    def compute(self, a): return a * self.scalar
    def gradient(self, g, node): return g * self.scalar
class PowerScalar(Op):
    def __init__(self, scalar): self.scalar = scalar
    def compute(self, a): return a ** self.scalar
    def gradient(self, g, node):
        return g * self.scalar * node.inputs[0].cached_data ** (self.scalar - 1)
class EWiseDiv(Op):
    def compute(self, a, b): return a / b
    def gradient(self, g, node):
        lhs, rhs = [x.cached_data for x in node.inputs]
        return fit(g / rhs, node.inputs[0]), fit(-g * lhs / rhs ** 2, node.inputs[1])
class DivScalar(Op):
    def __init__(self, scalar): self.scalar = scalar
    def compute(self, a): return a / self.scalar
    def gradient(self, g, node): return g / self.scalar
class Transpose(Op):
    def __init__(self, axes=None): self.axes = axes
    def compute(self, a): return np.swapaxes(a, *(self.axes or (-1, -2)))
    def gradient(self, g, node): return np.swapaxes(g, *(self.axes or (-1, -2)))
class Reshape(Op):
    def __init__(self, shape): self.shape = shape
    def compute(self, a): return a.reshape(self.shape)
    def gradient(self, g, node): return g.reshape(node.inputs[0].shape)
class Summation(Op):
    def __init__(self, axes=None): self.axes = axes
    def compute(self, a): return a.sum(self.axes)
    def gradient(self, g, node):
        shape = node.inputs[0].shape
        kept = [1 if self.axes is None or i in np.atleast_1d(self.axes) % len(shape) else n for i, n in enumerate(shape)]
        return np.broadcast_to(g.reshape(kept), shape)
class MatMul(Op):
    def compute(self, a, b): return a @ b
    def gradient(self, g, node):
        a, b = node.inputs
        da = g @ np.swapaxes(b.cached_data, -1, -2)
        db = np.swapaxes(a.cached_data, -1, -2) @ g
        return fit(da, a), fit(db, b)
class Negate(Op):
    def compute(self, a): return -a
    def gradient(self, g, node): return -g
class Log(Op):
    def compute(self, a): return np.log(a)
    def gradient(self, g, node): return g / node.inputs[0].cached_data
class Exp(Op):
    def compute(self, a): return np.exp(a)
    def gradient(self, g, node): return g * node.cached_data
class ReLU(Op):
    def compute(self, a): return np.maximum(a, 0)
    def gradient(self, g, node): return g * (node.cached_data > 0)
class LogSoftmax(Op):
    def compute(self, z):
        m = z.max(-1, keepdims=True)
        return z - m - np.log(np.exp(z - m).sum(-1, keepdims=True))
    def gradient(self, g, node):
        return g - np.exp(node.cached_data) * g.sum(-1, keepdims=True)
def fit(g, x):
    g = np.asarray(g)
    extra = tuple(range(g.ndim - len(x.shape)))
    g = g.sum(extra) if extra else g
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return g.sum(axes, keepdims=True) if axes else g
class Tensor:
    def __init__(self, array, *, device=None, dtype="float32", requires_grad=True, **kwargs):
        self.op, self.inputs, self.grad = None, [], None
        self.cached_data = np.array(array, dtype=dtype)
        self.requires_grad = requires_grad
    shape = property(lambda self: self.cached_data.shape)
    def realize_cached_data(self): return self.cached_data
    def numpy(self): return self.cached_data
    def detach(self): return Tensor(self.cached_data, requires_grad=False)
    def is_leaf(self): return self.op is None
    def backward(self, out_grad=None):
        out_grad = np.ones(self.shape, dtype="float32") if out_grad is None else out_grad.cached_data
        compute_gradient_of_variables(self, out_grad)
    def __add__(self, other):
        return EWiseAdd()(self, other) if isinstance(other, Tensor) else AddScalar(other)(self)
    def __mul__(self, other):
        return EWiseMul()(self, other) if isinstance(other, Tensor) else MulScalar(other)(self)
    def __pow__(self, other): return PowerScalar(other)(self)
    def __sub__(self, other):
        return EWiseAdd()(self, Negate()(other)) if isinstance(other, Tensor) else AddScalar(-other)(self)
    def __rsub__(self, other): return AddScalar(other)(Negate()(self))
    def __truediv__(self, other):
        return EWiseDiv()(self, other) if isinstance(other, Tensor) else DivScalar(other)(self)
    def __matmul__(self, other): return MatMul()(self, other)
    matmul = __matmul__
    def sum(self, axes=None): return Summation(axes)(self)
    def reshape(self, shape): return Reshape(shape)(self)
    def __neg__(self): return Negate()(self)
    def transpose(self, axes=None): return Transpose(axes)(self)
    def log(self): return Log()(self)
    def exp(self): return Exp()(self)
    def relu(self): return ReLU()(self)
    def log_softmax(self): return LogSoftmax()(self)
    __radd__, __rmul__ = __add__, __mul__
def compute_gradient_of_variables(output_tensor, out_grad):
    node_to_output_grads_list = {output_tensor: [out_grad]}
    for node in reversed(find_topo_sort([output_tensor])):
        if not node.requires_grad: continue
        g = sum(node_to_output_grads_list[node])
        node.grad = Tensor(g, requires_grad=False)
        if node.op is None: continue
        grads = node.op.gradient(g, node)
        grads = grads if isinstance(grads, tuple) else (grads,)
        for x, share in zip(node.inputs, grads):
            node_to_output_grads_list.setdefault(x, []).append(share)
def find_topo_sort(nodes):
    visited, order = set(), []
    for node in nodes: topo_sort_dfs(node, visited, order)
    return order
def topo_sort_dfs(node, visited, order):
    if node in visited: return
    for x in node.inputs: topo_sort_dfs(x, visited, order)
    visited.add(node)
    order.append(node)
'''
# Derivatives in a dict by identity; a context that saves values; leaves accumulate.
MINITORCH = '''
class Context:
    def save_for_backward(self, *values): self.saved_values = values
class ScalarFunction:
    @classmethod
    def apply(cls, *vals):
        scalars = [v if isinstance(v, Scalar) else Scalar(v) for v in vals]
        context = Context()
        c = cls.forward(context, *[s.data for s in scalars])
        return Scalar(c, (cls, context, scalars))
    @classmethod
    def _backward(cls, context, d):
        found = cls.backward(context, d)
        return found if isinstance(found, tuple) else (found,)
class Add(ScalarFunction):
    @staticmethod
    def forward(context, a, b): return a + b
    @staticmethod
    def backward(context, d): return d, d
class Mul(ScalarFunction):
    @staticmethod
    def forward(context, a, b):
        context.save_for_backward(a, b)
        return a * b
    @staticmethod
    def backward(context, d):
        a, b = context.saved_values
        return b * d, a * d
class Inv(ScalarFunction):
    @staticmethod
    def forward(context, a):
        context.save_for_backward(a)
        return 1.0 / a
    @staticmethod
    def backward(context, d):
        (a,) = context.saved_values
        return -(1.0 / a ** 2) * d
class Neg(ScalarFunction):
    @staticmethod
    def forward(context, a): return -a
    @staticmethod
    def backward(context, d): return -d
class Sigmoid(ScalarFunction):
    @staticmethod
    def forward(context, a):
        s = 1.0 / (1.0 + math.exp(-a)) if a >= 0 else math.exp(a) / (1.0 + math.exp(a))
        context.save_for_backward(a, s)
        return s
    @staticmethod
    def backward(context, d):
        a, s = context.saved_values
        return s * (1.0 - s) * d
class ReLU(ScalarFunction):
    @staticmethod
    def forward(context, a):
        context.save_for_backward(a)
        return a if a > 0 else 0.0
    @staticmethod
    def backward(context, d):
        (a,) = context.saved_values
        return d if a > 0 else 0.0
class Exp(ScalarFunction):
    @staticmethod
    def forward(context, a):
        r = math.exp(a)
        context.save_for_backward(a, r)
        return r
    @staticmethod
    def backward(context, d):
        a, r = context.saved_values
        return d * r
class Log(ScalarFunction):
    @staticmethod
    def forward(context, a):
        context.save_for_backward(a)
        return math.log(a)
    @staticmethod
    def backward(context, d):
        (a,) = context.saved_values
        return d / a
class Scalar:
    def __init__(self, v, back=None, name=None):
        self.data, self.history, self.derivative = float(v), back, None
        self.unique_id = id(self)
    def __add__(self, b): return Add.apply(self, b)
    def __sub__(self, b): return Add.apply(self, Neg.apply(b))
    def __neg__(self): return Neg.apply(self)
    def __mul__(self, b): return Mul.apply(self, b)
    def __truediv__(self, b): return Mul.apply(self, Inv.apply(b))
    def __rtruediv__(self, b): return Mul.apply(b, Inv.apply(self))
    def __rsub__(self, b): return Add.apply(b, Neg.apply(self))
    def __radd__(self, b): return self + b
    def __rmul__(self, b): return self * b
    def relu(self): return ReLU.apply(self)
    def sigmoid(self): return Sigmoid.apply(self)
    def exp(self): return Exp.apply(self)
    def log(self): return Log.apply(self)
    def is_leaf(self): return self.history is None
    def accumulate_derivative(self, x):
        if self.derivative is None: self.derivative = 0.0
        self.derivative += x
    def backward(self, d_output=None):
        d_output = 1.0 if d_output is None else d_output
        backpropagate(self, d_output)
def topological_sort(variable):
    order, seen = [], set()
    def visit(v):
        if v.unique_id in seen: return
        seen.add(v.unique_id)
        if not v.is_leaf():
            for p in v.history[2]: visit(p)
        order.insert(0, v)
    visit(variable)
    return order
def backpropagate(variable, deriv):
    derivs = {variable.unique_id: deriv}
    for v in topological_sort(variable):
        d = derivs.get(v.unique_id, 0.0)
        if v.is_leaf():
            v.accumulate_derivative(d)
        else:
            cls, context, parents = v.history
            for p, share in zip(parents, cls._backward(context, d)):
                derivs[p.unique_id] = derivs.get(p.unique_id, 0.0) + share
'''
STYLES = {"lecture": (LECTURE, "Value"), "needle": (NEEDLE, "Tensor"),
          "minitorch": (MINITORCH, "Scalar"), "dezero": (DEZERO, "Variable"),
          "dependencies": (DEPENDENCIES, "Tensor"), "tiny": (TINY, "Tensor")}


def styled(style, *changes):
    source, name = STYLES[style]
    return engine(source, *changes, name=name)


def tape(*changes):
    """(Var, backward, its functions) of the engine with a tape."""
    names = {}
    for name in ("Var", "backward", "exp", "log", "tanh"):
        names[name] = name
    source = TAPE + "\nall_of_it = (Var, backward, {'exp': exp, 'log': log, 'tanh': tanh})\n"
    return engine(source, *changes, name="all_of_it")
