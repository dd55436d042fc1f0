"""Autograd engines as different people write them, for planting mistakes in: sources of classes.

Each is written from the idea of its style alone: closures and labels, functions with saved values,
derivatives in a dict, generations in a heap, a tape, dependencies sent back one by one.
"""

import heapq
import math

import numpy as np


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
# Variables of arrays with a creator; functions with generations, popped youngest first.
DEZERO = '''
class Variable:
    __array_priority__ = 200
    def __init__(self, data, name=None):
        if data is not None and not isinstance(data, np.ndarray):
            raise TypeError(f"{type(data)} is not supported")
        self.data, self.name, self.grad, self.creator, self.generation = data, name, None, None, 0
    def set_creator(self, func):
        self.creator, self.generation = func, func.generation + 1
    def cleargrad(self): self.grad = None
    def backward(self, retain_grad=False):
        if self.grad is None: self.grad = np.ones_like(self.data)
        funcs, seen = [], set()
        def add_func(f):
            if f not in seen:
                funcs.append(f)
                seen.add(f)
                funcs.sort(key=lambda f: f.generation)
        add_func(self.creator)
        while funcs:
            f = funcs.pop()
            gys = [output.grad for output in f.outputs]
            gxs = f.backward(*gys)
            gxs = gxs if isinstance(gxs, tuple) else (gxs,)
            for x, gx in zip(f.inputs, gxs):
                if x.grad is None: x.grad = gx
                else: x.grad = x.grad + gx
                if x.creator is not None: add_func(x.creator)
            if not retain_grad:
                for y in f.outputs: y.grad = None
    def __neg__(self): return Neg()(self)
    def __add__(self, other): return Add()(self, other)
    def __radd__(self, other): return Add()(self, other)
    def __mul__(self, other): return Mul()(self, other)
    def __rmul__(self, other): return Mul()(self, other)
    def __sub__(self, other): return Sub()(self, other)
    def __rsub__(self, other): return Sub()(other, self)
    def __truediv__(self, other): return Div()(self, other)
    def __rtruediv__(self, other): return Div()(other, self)
    def __pow__(self, c): return Pow(c)(self)
def as_array(x): return np.array(x) if np.isscalar(x) else x
class Function:
    def __call__(self, *inputs):
        self.inputs = [x if isinstance(x, Variable) else Variable(as_array(x)) for x in inputs]
        y = Variable(as_array(self.forward(*[x.data for x in self.inputs])))
        self.generation = max(x.generation for x in self.inputs)
        y.set_creator(self)
        self.outputs = [y]
        return y
class Add(Function):
    def forward(self, x0, x1): return x0 + x1
    def backward(self, gy): return gy, gy
class Mul(Function):
    def forward(self, x0, x1): return x0 * x1
    def backward(self, gy):
        x0, x1 = self.inputs[0].data, self.inputs[1].data
        return gy * x1, gy * x0
class Sub(Function):
    def forward(self, x0, x1): return x0 - x1
    def backward(self, gy): return gy, -gy
class Neg(Function):
    def forward(self, x): return -x
    def backward(self, gy): return -gy
class Div(Function):
    def forward(self, x0, x1): return x0 / x1
    def backward(self, gy):
        x0, x1 = self.inputs[0].data, self.inputs[1].data
        return gy / x1, gy * (-x0 / x1 ** 2)
class Pow(Function):
    def __init__(self, c): self.c = c
    def forward(self, x): return x ** self.c
    def backward(self, gy):
        x, c = self.inputs[0].data, self.c
        return c * x ** (c - 1) * gy
'''
# Dependencies, each sent its gradient back at once, paths one by one; .grad is a Tensor.
DEPENDENCIES = '''
class Tensor:
    def __init__(self, data, requires_grad=False, depends_on=None):
        self._data = np.array(data, dtype=np.float64)
        self.requires_grad, self.depends_on = requires_grad, depends_on or []
        self.shape, self.grad = self._data.shape, None
        if requires_grad: self.zero_grad()
    data = property(lambda self: self._data)
    def zero_grad(self): self.grad = Tensor(np.zeros_like(self._data))
    def backward(self, grad=None):
        assert self.requires_grad, "called backward on non-requires-grad tensor"
        if grad is None:
            if self.shape == (): grad = Tensor(1.0)
            else: raise RuntimeError("grad must be specified for non-0-tensor")
        self.grad._data = self.grad._data + grad._data
        for tensor, grad_fn in self.depends_on:
            tensor.backward(Tensor(grad_fn(grad._data)))
    def sum(self):
        return make(self._data.sum(), (self, lambda g: g * np.ones(self.shape)))
    def __add__(self, other):
        other = ensure(other)
        return make(self._data + other._data, (self, lambda g: back(g, self.shape)),
                    (other, lambda g: back(g, other.shape)))
    def __mul__(self, other):
        other = ensure(other)
        return make(self._data * other._data, (self, lambda g: back(g * other._data, self.shape)),
                    (other, lambda g: back(g * self._data, other.shape)))
    def __neg__(self): return make(-self._data, (self, lambda g: -g))
    def __sub__(self, other): return self + -ensure(other)
    def __rsub__(self, other): return ensure(other) + -self
    def __matmul__(self, other):
        return make(self._data @ other._data, (self, lambda g: g @ other._data.T),
                    (other, lambda g: self._data.T @ g))
    def __radd__(self, other): return self + other
    def __rmul__(self, other): return self * other
    def __getitem__(self, idxs):
        def grad_fn(g):
            bigger = np.zeros_like(self._data)
            bigger[idxs] = g
            return bigger
        return make(self._data[idxs], (self, grad_fn))
    def tanh(self):
        t = np.tanh(self._data)
        return make(t, (self, lambda g: g * (1 - t * t)))
def ensure(x): return x if isinstance(x, Tensor) else Tensor(x)
def make(data, *deps):
    deps = [(t, f) for t, f in deps if t.requires_grad]
    return Tensor(data, bool(deps), deps)
def back(g, shape):
    for _ in range(g.ndim - len(shape)): g = g.sum(axis=0)
    for i, dim in enumerate(shape):
        if dim == 1: g = g.sum(axis=i, keepdims=True)
    return g
'''
# A global tape of pullbacks, walked from its end; functions instead of methods.
TAPE = '''
TAPE = []
class Var:
    def __init__(self, val): self.val, self.adjoint = val, 0.0
    def __add__(self, o): return record(self.val + val(o), (self, 1.0), (o, 1.0))
    __radd__ = __add__
    def __mul__(self, o): return record(self.val * val(o), (self, val(o)), (o, self.val))
    __rmul__ = __mul__
    def __neg__(self): return record(-self.val, (self, -1.0))
    def __sub__(self, o): return record(self.val - val(o), (self, 1.0), (o, -1.0))
    def __rsub__(self, o): return record(val(o) - self.val, (self, -1.0))
    def __truediv__(self, o):
        return record(self.val / val(o), (self, 1 / val(o)), (o, -self.val / val(o) ** 2))
    def __rtruediv__(self, o): return record(val(o) / self.val, (self, -val(o) / self.val ** 2))
    def __pow__(self, n): return record(self.val ** n, (self, n * self.val ** (n - 1)))
def val(x): return x.val if isinstance(x, Var) else x
def record(value, *partials):
    out = Var(value)
    TAPE.append((out, [(x, d) for x, d in partials if isinstance(x, Var)]))
    return out
def sin(x): return record(math.sin(x.val), (x, math.cos(x.val)))
def exp(x): return record(math.exp(x.val), (x, math.exp(x.val)))
def log(x): return record(math.log(x.val), (x, 1 / x.val))
def tanh(x): return record(math.tanh(x.val), (x, 1 - math.tanh(x.val) ** 2))
def backward(y):
    for out, _ in TAPE: out.adjoint = 0.0
    y.adjoint = 1.0
    for out, partials in reversed(TAPE):
        for x, d in partials: x.adjoint += d * out.adjoint
'''
# A teaching framework's Tensor: requires_grad off by default, float32, functions that return
# gradients, sent on recursively with the gradient of each path.
TINY = '''
class Function:
    def __init__(self, *tensors): self.saved_tensors = tensors
class AddBackward(Function):
    def apply(self, grad_output): return grad_output, grad_output
class MulBackward(Function):
    def apply(self, grad_output):
        a, b = self.saved_tensors
        return grad_output * b.data, grad_output * a.data
class SubBackward(Function):
    def apply(self, grad_output): return grad_output, -grad_output
class DivBackward(Function):
    def apply(self, grad_output):
        a, b = self.saved_tensors
        return grad_output / b.data, -grad_output * a.data / (b.data ** 2)
class MatmulBackward(Function):
    def apply(self, grad_output):
        a, b = self.saved_tensors
        return np.matmul(grad_output, b.data.T), np.matmul(a.data.T, grad_output)
class SumBackward(Function):
    def apply(self, grad_output):
        return (np.ones_like(self.saved_tensors[0].data) * grad_output,)
class ReLUBackward(Function):
    def apply(self, grad_output): return (grad_output * (self.saved_tensors[0].data > 0),)
class SigmoidBackward(Function):
    def apply(self, grad_output):
        s = 1 / (1 + np.exp(-self.saved_tensors[0].data))
        return (grad_output * s * (1 - s),)
class Tensor:
    def __init__(self, data, requires_grad=False):
        self.data = np.array(data, dtype=np.float32)
        self.shape, self.requires_grad, self.grad = self.data.shape, requires_grad, None
    def joined(self, data, kind, *tensors):
        tensors = [x if isinstance(x, Tensor) else Tensor(x) for x in tensors]
        out = Tensor(data, any(x.requires_grad for x in tensors))
        if out.requires_grad: out._grad_fn = kind(*tensors)
        return out
    def __add__(self, other): return self.joined(self.data + raw(other), AddBackward, self, other)
    def __sub__(self, other): return self.joined(self.data - raw(other), SubBackward, self, other)
    def __mul__(self, other): return self.joined(self.data * raw(other), MulBackward, self, other)
    def __truediv__(self, other): return self.joined(self.data / raw(other), DivBackward, self, other)
    def matmul(self, other): return self.joined(self.data @ other.data, MatmulBackward, self, other)
    __matmul__ = matmul
    def sum(self): return self.joined(self.data.sum(), SumBackward, self)
    def relu(self): return self.joined(np.maximum(0, self.data), ReLUBackward, self)
    def sigmoid(self): return self.joined(1 / (1 + np.exp(-self.data)), SigmoidBackward, self)
    def backward(self, gradient=None):
        if not self.requires_grad: return
        if gradient is None:
            if self.data.size == 1: gradient = np.ones_like(self.data)
            else: raise ValueError("backward() called on non-scalar tensor without gradient")
        if self.grad is None: self.grad = np.zeros_like(self.data)
        if gradient.shape != self.grad.shape:
            while gradient.ndim > self.grad.ndim: gradient = gradient.sum(axis=0)
            for i in range(gradient.ndim):
                if self.grad.shape[i] == 1 and gradient.shape[i] != 1:
                    gradient = gradient.sum(axis=i, keepdims=True)
        self.grad += gradient
        grad_fn = getattr(self, "_grad_fn", None)
        if grad_fn is not None:
            for tensor, grad in zip(grad_fn.saved_tensors, grad_fn.apply(gradient)):
                if isinstance(tensor, Tensor) and tensor.requires_grad: tensor.backward(grad)
def raw(x): return x.data if isinstance(x, Tensor) else x
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
