"""More autograd engines as people write them: sources of classes, right ones.

Local derivatives kept in a dataclass; closures that accumulate into None; functions in a heap by
generation; recursion that hands the gradient on; a dict of gradients and a free backward().
"""

# Local derivatives as numbers, a sort without recursion, gradients in a dict.
DATACLASS = '''
from dataclasses import dataclass, field
import math
from typing import Callable, Sequence

@dataclass(eq=False)
class Node:
    number: float
    parents: tuple = ()
    locals_: tuple = ()
    grad: float = None

    def __post_init__(self):
        self.number = float(self.number)

    @staticmethod
    def lift(x):
        return x if isinstance(x, Node) else Node(x)
    def __add__(self, o):
        o = Node.lift(o)
        return Node(self.number + o.number, (self, o), (1., 1.))
    __radd__ = __add__
    def __mul__(self, o):
        o = Node.lift(o)
        return Node(self.number * o.number, (self, o), (o.number, self.number))
    __rmul__ = __mul__
    def __neg__(self): return Node(-self.number, (self,), (-1.,))
    def __sub__(self, o):
        o = Node.lift(o)
        return Node(self.number - o.number, (self, o), (1., -1.))
    def __rsub__(self, o): return Node.lift(o) - self
    def __truediv__(self, o):
        o = Node.lift(o)
        return Node(self.number / o.number, (self, o), (1 / o.number, -self.number / o.number ** 2))
    def __rtruediv__(self, o): return Node.lift(o) / self
    def __pow__(self, k):
        return Node(self.number ** k, (self,), (k * self.number ** (k - 1),))
    def exp(self):
        e = math.exp(self.number)
        return Node(e, (self,), (e,))
    def log(self): return Node(math.log(self.number), (self,), (1 / self.number,))
    def tanh(self):
        t = math.tanh(self.number)
        return Node(t, (self,), (1 - t * t,))
    def sigmoid(self):
        s = 1 / (1 + math.exp(-self.number))
        return Node(s, (self,), (s * (1 - s),))
    def relu(self): return Node(max(0., self.number), (self,), (1. if self.number > 0 else 0.,))
    def backward(self):
        order, seen = [], set()
        stack = [(self, iter(self.parents))]
        seen.add(id(self))
        while stack:
            node, it = stack[-1]
            for p in it:
                if id(p) not in seen:
                    seen.add(id(p))
                    stack.append((p, iter(p.parents)))
                    break
            else:
                order.append(node)
                stack.pop()
        acc = {id(self): 1.0}
        for node in reversed(order):
            g = acc.pop(id(node), 0.0)
            if not node.parents:
                node.grad = g if node.grad is None else node.grad + g
                continue
            for p, d in zip(node.parents, node.locals_):
                acc[id(p)] = acc.get(id(p), 0.0) + d * g
'''
# An array class with closures; .grad is None until something arrives.
CLOSURES = '''
class Tensor:
    __slots__ = ("data", "grad", "_ctx", "_back", "requires_grad")
    def __init__(self, data, requires_grad=False, _ctx=(), _back=None):
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = None
        self.requires_grad = requires_grad
        self._ctx = _ctx
        self._back = _back
    def _acc(self, g):
        if not self.requires_grad:
            return
        g = _unbroadcast(g, self.data.shape)
        if self.grad is None:
            self.grad = g.copy()
        else:
            self.grad += g
    @staticmethod
    def _wrap(x):
        return x if isinstance(x, Tensor) else Tensor(x)
    def _op(self, data, parents, back):
        rg = any(p.requires_grad for p in parents)
        return Tensor(data, rg, tuple(parents) if rg else (), back if rg else None)
    def __add__(self, other):
        other = Tensor._wrap(other)
        def back(g):
            self._acc(g)
            other._acc(g)
        return self._op(self.data + other.data, (self, other), back)
    __radd__ = __add__
    def __mul__(self, other):
        other = Tensor._wrap(other)
        def back(g):
            self._acc(g * other.data)
            other._acc(g * self.data)
        return self._op(self.data * other.data, (self, other), back)
    __rmul__ = __mul__
    def __sub__(self, other):
        other = Tensor._wrap(other)
        def back(g):
            self._acc(g)
            other._acc(-g)
        return self._op(self.data - other.data, (self, other), back)
    def __rsub__(self, other):
        return Tensor._wrap(other) - self
    def __truediv__(self, other):
        other = Tensor._wrap(other)
        def back(g):
            self._acc(g / other.data)
            other._acc(-g * self.data / other.data ** 2)
        return self._op(self.data / other.data, (self, other), back)
    def __rtruediv__(self, other):
        return Tensor._wrap(other) / self
    def __neg__(self):
        return self._op(-self.data, (self,), lambda g: self._acc(-g))
    def __pow__(self, p):
        return self._op(self.data ** float(p), (self,), lambda g: self._acc(g * p * self.data ** float(p - 1)))
    def __matmul__(self, other):
        def back(g):
            self._acc(g @ other.data.T)
            other._acc(self.data.T @ g)
        return self._op(self.data @ other.data, (self, other), back)
    def sum(self, axis=None, keepdims=False):
        def back(g):
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            self._acc(np.broadcast_to(g, self.data.shape))
        return self._op(self.data.sum(axis=axis, keepdims=keepdims), (self,), back)
    def mean(self, axis=None, keepdims=False):
        n = self.data.size if axis is None else self.data.shape[axis]
        def back(g):
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            self._acc(np.broadcast_to(g, self.data.shape) / n)
        return self._op(self.data.mean(axis=axis, keepdims=keepdims), (self,), back)
    def max(self):
        m = self.data.max()
        return self._op(m, (self,), lambda g: self._acc(g * (self.data == m)))
    @property
    def T(self):
        return self._op(self.data.T, (self,), lambda g: self._acc(g.T))
    def reshape(self, *shape):
        return self._op(self.data.reshape(*shape), (self,), lambda g: self._acc(g.reshape(self.data.shape)))
    def __getitem__(self, i):
        def back(g):
            z = np.zeros_like(self.data)
            np.add.at(z, i, g)
            self._acc(z)
        return self._op(self.data[i], (self,), back)
    def relu(self):
        return self._op(np.where(self.data > 0, self.data, 0), (self,), lambda g: self._acc(np.where(self.data > 0, g, 0)))
    def tanh(self):
        y = np.tanh(self.data)
        return self._op(y, (self,), lambda g: self._acc((1 - y * y) * g))
    def exp(self):
        y = np.exp(self.data)
        return self._op(y, (self,), lambda g: self._acc(y * g))
    def log(self):
        return self._op(np.log(self.data), (self,), lambda g: self._acc(g / self.data))
    def sigmoid(self):
        y = 1 / (1 + np.exp(-self.data))
        return self._op(y, (self,), lambda g: self._acc(y * (1 - y) * g))
    def sqrt(self):
        y = np.sqrt(self.data)
        return self._op(y, (self,), lambda g: self._acc(g / (2 * y)))
    def softmax(self, axis=-1):
        z = self.data - self.data.max(axis=axis, keepdims=True)
        e = np.exp(z)
        s = e / e.sum(axis=axis, keepdims=True)
        return self._op(s, (self,), lambda g: self._acc(s * (g - (g * s).sum(axis=axis, keepdims=True))))
    def log_softmax(self, axis=-1):
        z = self.data - self.data.max(axis=axis, keepdims=True)
        ls = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
        return self._op(ls, (self,), lambda g: self._acc(g - np.exp(ls) * g.sum(axis=axis, keepdims=True)))
    def zero_grad(self):
        self.grad = None
    def backward(self, gradient=None):
        gradient = np.ones_like(self.data) if gradient is None else gradient
        order, seen = [], set()
        def visit(t):
            if t in seen: return
            seen.add(t)
            for p in t._ctx: visit(p)
            order.append(t)
        visit(self)
        for t in order:
            if t._ctx: t.grad = None
        self._acc(gradient)
        for t in reversed(order):
            if t._back is not None and t.grad is not None:
                t._back(t.grad)

def _unbroadcast(g, shape):
    g = np.asarray(g)
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for i, n in enumerate(shape):
        if n == 1 and g.shape[i] != 1:
            g = g.sum(axis=i, keepdims=True)
    return g
'''
# Functions with generations in a heap; gradients are Vars; no methods for exp and tanh.
HEAP = '''
class Var:
    _count = 0
    def __init__(self, value):
        self._v = float(value)
        self._grad = None
        self.creator = None
        self.gen = 0
    @property
    def value(self): return self._v
    @property
    def grad(self): return self._grad
    def clear(self): self._grad = None
    def backprop(self):
        self._grad = Var(1.0)
        heap = []
        seen = set()
        def push(f):
            if f is not None and id(f) not in seen:
                seen.add(id(f))
                heapq.heappush(heap, (-f.gen, id(f), f))
        push(self.creator)
        while heap:
            _, _, f = heapq.heappop(heap)
            g = f.out._grad
            for x, gx in zip(f.ins, f.pull(g.value)):
                gx = Var(gx)
                x._grad = gx if x._grad is None else Var(x._grad.value + gx.value)
                push(x.creator)
            f.out._grad = None
class Fn:
    def __call__(self, *ins):
        ins = [i if isinstance(i, Var) else Var(i) for i in ins]
        self.ins = ins
        self.out = Var(self.push(*[i.value for i in ins]))
        self.gen = max(i.gen for i in ins)
        self.out.gen = self.gen + 1
        self.out.creator = self
        return self.out
class AddF(Fn):
    def push(self, a, b): return a + b
    def pull(self, g): return g, g
class MulF(Fn):
    def push(self, a, b):
        self.a, self.b = a, b
        return a * b
    def pull(self, g): return g * self.b, g * self.a
class PowF(Fn):
    def __init__(self, n): self.n = n
    def push(self, a):
        self.a = a
        return a ** self.n
    def pull(self, g): return (g * self.n * self.a ** (self.n - 1),)
class TanhF(Fn):
    def push(self, a):
        self.y = math.tanh(a)
        return self.y
    def pull(self, g): return (g * (1 - self.y ** 2),)
class ExpF(Fn):
    def push(self, a):
        self.y = math.exp(a)
        return self.y
    def pull(self, g): return (g * self.y,)
def add(a, b): return AddF()(a, b)
def mul(a, b): return MulF()(a, b)
def power(a, n): return PowF(n)(a)
def tanh(a): return TanhF()(a)
def exp(a): return ExpF()(a)
def neg(a): return mul(a, -1)
def sub(a, b): return add(a, neg(b))
def div(a, b): return mul(a, power(b if isinstance(b, Var) else Var(b), -1))
Var.__add__ = lambda a, b: add(a, b)
Var.__radd__ = lambda a, b: add(a, b)
Var.__mul__ = lambda a, b: mul(a, b)
Var.__rmul__ = lambda a, b: mul(a, b)
Var.__neg__ = neg
Var.__sub__ = sub
Var.__rsub__ = lambda a, b: sub(b, a)
Var.__truediv__ = div
Var.__rtruediv__ = lambda a, b: div(b, a)
Var.__pow__ = power
'''
# Each path to a leaf is walked on its own.
HANDED_ON = '''
import numpy
class Scalar:
    def __init__(self, v, deps=()):
        self.v = v; self.deps = list(deps); self.derivative = 0.
    def __add__(self, o):
        o = o if isinstance(o, Scalar) else Scalar(o)
        return Scalar(self.v + o.v, [(self, 1.), (o, 1.)])
    def __radd__(self, o): return self + o
    def __mul__(self, o):
        o = o if isinstance(o, Scalar) else Scalar(o)
        return Scalar(self.v * o.v, [(self, o.v), (o, self.v)])
    def __rmul__(self, o): return self * o
    def __sub__(self, o): return self + o * -1. if isinstance(o, Scalar) else self + (-o)
    def __rsub__(self, o): return self * -1. + o
    def relu(self): return Scalar(self.v if self.v > 0 else 0., [(self, float(self.v > 0))])
    def tanh(self):
        t = numpy.tanh(self.v)
        return Scalar(t, [(self, 1 - t ** 2)])
    def backward(self, upstream=1.0):
        self.derivative += upstream
        for d, local in self.deps:
            d.backward(upstream * local)
'''
# Operators set from outside the class, a dict of gradients, a free backward().
FREE = '''
class Node:
    def __init__(self, array, parents=(), pull=None):
        self.array = np.array(array, dtype=float); self.parents = parents; self.pull = pull
        self.gradient = None
    def numpy(self): return self.array
def const(x): return x if isinstance(x, Node) else Node(x)
def mk(v, ps, pull): return Node(v, ps, pull)
Node.__add__ = lambda a, b: (lambda b: mk(a.array + b.array, (a, b), lambda g: (g, g)))(const(b))
Node.__radd__ = Node.__add__
Node.__mul__ = lambda a, b: (lambda b: mk(a.array * b.array, (a, b), lambda g: (g * b.array, g * a.array)))(const(b))
Node.__rmul__ = Node.__mul__
Node.__neg__ = lambda a: a * -1.0
Node.__sub__ = lambda a, b: a + (-const(b))
Node.__rsub__ = lambda a, b: (-a) + b
Node.__matmul__ = lambda a, b: mk(a.array @ b.array, (a, b), lambda g: (g @ b.array.T, a.array.T @ g))
Node.sum = lambda a: mk(a.array.sum(), (a,), lambda g: (np.full(a.array.shape, g),))
Node.relu = lambda a: mk(np.maximum(a.array, 0), (a,), lambda g: (g * (a.array > 0),))
Node.exp = lambda a: (lambda y: mk(y, (a,), lambda g: (g * y,)))(np.exp(a.array))
def unb(g, shape):
    g = np.asarray(g)
    if g.shape == shape: return g
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] > 1), keepdims=True)
def backward(y):
    order, seen = [], set()
    def dfs(n):
        if id(n) in seen: return
        seen.add(id(n)); [dfs(p) for p in n.parents]; order.append(n)
    dfs(y)
    grads = {id(y): np.ones_like(y.array)}
    while order:
        n = order.pop()
        g = grads[id(n)]
        if not n.parents:
            n.gradient = g if n.gradient is None else n.gradient + g
            continue
        for p, s in zip(n.parents, n.pull(g)):
            s = unb(s, p.array.shape)
            if id(p) in grads: grads[id(p)] = grads[id(p)] + s
            else: grads[id(p)] = s
'''
