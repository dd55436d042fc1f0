"""Autograd engines as different people write them, for planting mistakes in: sources of classes.

Each is written from the idea of its style alone: variables with a creator, dependencies sent back
one by one, a tape, functions with saved values. (More are in coursework_engines.py.)
"""

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
