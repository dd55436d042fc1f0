"""More submissions, by other hands than those of coursework_answers.py: closures, arrays changed in
place, loops over rows. Each wrong answer is (ids that may be named, old, new)."""

ENGINE = '''
import math
class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data = data
        self.grad = 0.0
        self._prev = tuple(_children)
        self._backward = lambda: None
        self._op = _op
    def __repr__(self): return f"Value({self.data})"
    def __add__(self, other):
        if not isinstance(other, Value): other = Value(other)
        out = Value(self.data + other.data, (self, other), '+')
        def bw():
            self.grad += out.grad  # add self
            other.grad += out.grad
        out._backward = bw
        return out
    def __mul__(self, other):
        if not isinstance(other, Value): other = Value(other)
        out = Value(self.data * other.data, (self, other), '*')
        def bw():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = bw
        return out
    def __pow__(self, k):
        out = Value(self.data ** k, (self,), 'p')
        def bw():
            self.grad += k * self.data ** (k - 1) * out.grad
        out._backward = bw
        return out
    def tanh(self):
        out = Value(math.tanh(self.data), (self,), 'tanh')
        def bw():
            self.grad += (1 - out.data ** 2) * out.grad
        out._backward = bw
        return out
    def exp(self):
        out = Value(math.exp(self.data), (self,), 'exp')
        def bw():
            self.grad += out.data * out.grad
        out._backward = bw
        return out
    def relu(self):
        out = Value(self.data if self.data > 0 else 0, (self,), 'relu')
        def bw():
            self.grad += (out.data > 0) * out.grad
        out._backward = bw
        return out
    def __neg__(self): return self * -1
    def __sub__(self, o): return self + (-o)
    def __rsub__(self, o): return (-self) + o
    def __radd__(self, o): return self + o
    def __rmul__(self, o): return self * o
    def __truediv__(self, o): return self * o ** -1
    def backward(self):
        topo = []
        visited = set()
        def walk(v):
            if v in visited: return
            visited.add(v)
            for c in v._prev: walk(c)
            topo.append(v)
        walk(self)
        for v in topo:
            if v._prev: v.grad = 0.0
        self.grad += 1.0
        for v in reversed(topo):
            v._backward()
'''

LOOP = ENGINE[ENGINE.index("        topo = []"):]

# fmt: off
ENGINE_WRONG = [
    (['overwrites-gradient'],
     '''self.grad += other.data * out.grad
            other.grad += self.data * out.grad''',
     '''self.grad = other.data * out.grad
            other.grad = self.data * out.grad'''),
    (['wrong-visit-order', 'interior-gradients-not-cleared'],
     LOOP,
     '''        self.grad = 1.0
        queue = [self]
        seen = {self}
        while queue:
            v = queue.pop(0)
            v._backward()
            for c in v._prev:
                if c not in seen:
                    seen.add(c); queue.append(c)
'''),
    (['repropagates-accumulated', 'interior-gradients-not-cleared'],
     LOOP,
     '''        self.grad = 1.0
        def go(v):
            v._backward()
            for c in v._prev: go(c)
        go(self)
'''),
    (['interior-gradients-not-cleared'],
     '''        for v in topo:
            if v._prev: v.grad = 0.0
        self.grad += 1.0''',
     '        self.grad = 1.0'),
    (['seed-missing'],
     '''        self.grad += 1.0
''',
     ''),
    (['upstream-ignored'],
     'k * self.data ** (k - 1) * out.grad',
     'k * self.data ** (k - 1)'),
    (['product-rule-wrong-factor'],
     '''self.grad += other.data * out.grad
            other.grad += self.data * out.grad''',
     '''self.grad += self.data * out.grad
            other.grad += other.data * out.grad'''),
    (['subtraction-sign'],
     'def __sub__(self, o): return self + (-o)',
     'def __sub__(self, o): return self + o'),
    (['reflected-operator-missing'],
     '''    def __rmul__(self, o): return self * o
''',
     ''),
    (['power-exponent-not-reduced'],
     'k * self.data ** (k - 1)',
     'k * self.data ** k'),
    (['relu-mask-missing'],
     '(out.data > 0) * out.grad',
     '(out.data >= 0) * out.grad'),
    (['operands-swapped'],
     'return self * o ** -1',
     'return o * self ** -1'),
    (['topological-order-without-visited'],
     '''            if v in visited: return
''',
     ''),
]
# fmt: on

OPTIMIZERS = '''
import numpy as np
def sgd(w, dw, config=None):
    w -= config["lr"] * dw
    return w, config
def momentum(w, dw, config=None):
    v = config.get("v")
    if v is None:
        v = np.zeros_like(w)
    v *= config["momentum"]
    v += dw
    w -= config["lr"] * v
    config["v"] = v
    return w, config
def nesterov(w, dw, config=None):
    if "v" not in config:
        config["v"] = np.zeros_like(w)
    mu = config["momentum"]
    config["v"] = mu * config["v"] + dw
    look = dw + mu * config["v"]
    return w - config["lr"] * look, config
def adagrad(w, dw, config=None):
    config["s"] = config.get("s", 0) + dw * dw
    update = dw / (np.sqrt(config["s"]) + config["eps"])
    next_w = w - config["lr"] * update
    return next_w, config
def rmsprop(w, dw, config=None):
    b = config["decay"]
    config["s"] = b * config.get("s", np.zeros_like(w)) + (1 - b) * (dw ** 2)
    next_w = w - config["lr"] * dw / (np.sqrt(config["s"]) + config["eps"])
    return next_w, config
def adam(w, dw, config=None):
    config.setdefault("m", np.zeros_like(w))
    config.setdefault("v", np.zeros_like(w))
    config.setdefault("t", 0)
    config["t"] += 1
    t = config["t"]
    b1, b2, eps, lr = config["beta1"], config["beta2"], config["eps"], config["lr"]
    config["m"] = b1 * config["m"] + (1 - b1) * dw
    config["v"] = b2 * config["v"] + (1 - b2) * (dw ** 2)
    mt = config["m"] / (1 - b1 ** t)
    vt = config["v"] / (1 - b2 ** t)
    next_w = w - lr * mt / (np.sqrt(vt) + eps)
    return next_w, config
def adamw(w, dw, config=None):
    next_w, config = adam(w.copy(), dw, config)
    next_w = next_w - config["lr"] * config["weight_decay"] * w
    return next_w, config
'''

# fmt: off
OPTIMIZERS_WRONG = [
    (['state-not-stored'],
     '''    config["v"] = v
    return w, config
def nest''',
     '''    return w, config
def nest'''),
    (['momentum/lr-inside'],
     '''v += dw
    w -= config["lr"] * v''',
     '''v -= config["lr"] * dw
    w += v'''),
    (['momentum-lr-twice'],
     '''v += dw
    w -= config["lr"] * v''',
     '''v += config["lr"] * dw
    w -= config["lr"] * v'''),
    (['nesterov-sign'],
     'look = dw + mu * config["v"]',
     'look = dw - mu * config["v"]'),
    (['averages-instead-of-accumulating'],
     'config["s"] = config.get("s", 0) + dw * dw',
     'config["s"] = 0.9 * config.get("s", 0) + 0.1 * dw * dw'),
    (['stale-moment'],
     '''    config["s"] = b * config.get("s", np.zeros_like(w)) + (1 - b) * (dw ** 2)
    next_w = w - config["lr"] * dw / (np.sqrt(config["s"]) + config["eps"])
''',
     '''    s = config.get("s", np.zeros_like(w))
    next_w = w - config["lr"] * dw / (np.sqrt(s) + config["eps"])
    config["s"] = b * s + (1 - b) * (dw ** 2)
'''),
    (['t-starts-at-zero'],
     '''    config["t"] += 1
    t = config["t"]
''',
     '''    t = config["t"]
    config["t"] += 1
'''),
    (['t-off-by-one'],
     'config.setdefault("t", 0)',
     'config.setdefault("t", 1)'),
    (['t-stuck'],
     '''    config["t"] += 1
    t = config["t"]
''',
     '''    t = config["t"] + 1
'''),
    (['corrected-moments-stored'],
     '    next_w = w - lr * mt / (np.sqrt(vt) + eps)',
     '''    config["m"], config["v"] = mt, vt
    next_w = w - lr * mt / (np.sqrt(vt) + eps)'''),
    (['missing-sqrt'],
     '(np.sqrt(vt) + eps)',
     '(vt + eps)'),
    (['eps-added-to-step'],
     'lr * mt / (np.sqrt(vt) + eps)',
     'lr * mt / np.sqrt(vt) + eps'),
    (['numerator-is-gradient'],
     'lr * mt /',
     'lr * dw /'),
    (['correction-multiplied'],
     '/ (1 - b1 ** t)',
     '* (1 - b1 ** t)'),
    (['adamw/decay-after', 'decay-after-step'],
     '''config["weight_decay"] * w
''',
     '''config["weight_decay"] * next_w
'''),
    (['decay-ignored'],
     '''    next_w = next_w - config["lr"] * config["weight_decay"] * w
''',
     ''),
]
# fmt: on

MLP = '''
import numpy as np
def linear(x, W, b):
    return np.dot(x, W) + b
def linear_backward(dout, x, W, b):
    N = x.shape[0]
    dW = np.zeros_like(W)
    for i in range(N):
        dW += np.outer(x[i], dout[i])
    dx = np.dot(dout, W.T)
    db = np.sum(dout, axis=0)
    return dx, dW, db
def relu(x):
    return x * (x > 0)
def relu_backward(dout, x):
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx
def softmax(z):
    z = z - np.max(z, axis=1, keepdims=True)
    return np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
def cross_entropy(z, y):
    N = len(z)
    p = softmax(z)
    loss = 0
    for i in range(N):
        loss += -np.log(p[i, y[i]])
    loss /= N
    dz = p
    dz[range(N), y] -= 1
    dz = dz / N
    return loss, dz
def gradients(params, x, y):
    W1, b1, W2, b2 = params
    z1 = linear(x, W1, b1)
    a1 = relu(z1)
    z2 = linear(a1, W2, b2)
    loss, dz2 = cross_entropy(z2, y)
    da1, dW2, db2 = linear_backward(dz2, a1, W2, b2)
    dz1 = relu_backward(da1, z1)
    _, dW1, db1 = linear_backward(dz1, x, W1, b1)
    return loss, [dW1, db1, dW2, db2]
def train(params, x, y, lr, steps):
    losses = []
    params = list(params)
    for _ in range(steps):
        loss, grads = gradients(params, x, y)
        losses.append(loss)
        for i in range(len(params)):
            params[i] = params[i] - lr * grads[i]
    return params, losses
'''

# fmt: off
MLP_WRONG = [
    (['reshaped-not-transposed'],
     'np.dot(dout, W.T)',
     'np.dot(dout, W.reshape(W.shape[::-1]))'),
    (['mean-for-sum'],
     'db = np.sum(dout, axis=0)',
     '''db = np.mean(dout, axis=0)
    dW = dW / N'''),
    (['bias-missing'],
     'np.dot(x, W) + b',
     'np.dot(x, W)'),
    (['overwrites-gradient'],
     'dW += np.outer',
     'dW = np.outer'),
    (['relu-mask-from-upstream'],
     'dx[x <= 0] = 0',
     'dx[dout <= 0] = 0'),
    (['relu-mask-inverted'],
     'dx[x <= 0] = 0',
     'dx[x > 0] = 0'),
    (['softmax-wrong-axis'],
     'np.sum(np.exp(z), axis=1, keepdims=True)',
     'np.sum(np.exp(z))'),
    (['loss-other-log'],
     'np.log(p[i',
     'np.log2(p[i'),
    (['sum-for-mean'],
     '''    loss /= N
''',
     ''),
    (['divided-by-elements'],
     'dz = dz / N',
     'dz = dz / dz.size'),
    (['gradient-sign'],
     'dz = dz / N',
     'dz = -dz / N'),
    (['gradient-by-probabilities'],
     '''    dz = p
    dz[range(N), y] -= 1
''',
     '''    dz = np.zeros_like(p)
    dz[range(N), y] = -1 / p[range(N), y]
'''),
    (['wrong-input-kept'],
     'linear_backward(dz2, a1, W2, b2)',
     'linear_backward(dz2, z1, W2, b2)'),
    (['gradients-in-other-order'],
     'return loss, [dW1, db1, dW2, db2]',
     'return loss, [dW2, db2, dW1, db1]'),
    (['double-softmax'],
     'cross_entropy(z2, y)',
     'cross_entropy(softmax(z2), y)'),
    (['lr-divided-by-rows'],
     'lr * grads[i]',
     'lr * grads[i] / len(x)'),
    (['biases-not-trained'],
     'range(len(params))',
     'range(0, len(params), 2)'),
    (['steps-off-by-one'],
     'range(steps)',
     'range(steps - 1)'),
    (['stale-gradients'],
     '''    for _ in range(steps):
        loss, grads = gradients(params, x, y)
''',
     '''    loss, grads = gradients(params, x, y)
    for _ in range(steps):
'''),
    (['lr-squared'],
     'lr * grads[i]',
     'lr * (lr * grads[i])'),
    (['factor-two'],
     'dz = dz / N',
     'dz = dz / N * 2'),
]
# fmt: on

STUDENTS = {"autograd": (ENGINE, ENGINE_WRONG), "optimizers": (OPTIMIZERS, OPTIMIZERS_WRONG),
            "mlp_digits": (MLP, MLP_WRONG)}
