"""Submissions as students write them, independent of the reference solutions, and wrong ones.

Each wrong answer is the right one of this file with other words in it: (id, old, new).
"""

ENGINE = '''
import math


class Value:
    def __init__(self, data):
        self.data, self.grad = data, 0
        self.kids, self.local = [], []

    @staticmethod
    def made(data, *pairs):
        new = Value(data)
        new.kids = [kid for kid, slope in pairs]
        new.local = [slope for kid, slope in pairs]
        return new

    @staticmethod
    def wrap(x):
        return x if isinstance(x, Value) else Value(x)

    def __add__(self, o):
        o = Value.wrap(o)
        return Value.made(self.data + o.data, (self, 1.0), (o, 1.0))

    def __mul__(self, o):
        o = Value.wrap(o)
        return Value.made(self.data * o.data, (self, o.data), (o, self.data))

    def __sub__(self, o):
        o = Value.wrap(o)
        return Value.made(self.data - o.data, (self, 1.0), (o, -1.0))

    def __rsub__(self, o):
        return Value.wrap(o) - self

    def __truediv__(self, o):
        o = Value.wrap(o)
        return Value.made(self.data / o.data, (self, 1 / o.data), (o, -self.data / o.data**2))

    def __pow__(self, n):
        return Value.made(self.data**n, (self, n * self.data**(n - 1)))

    def tanh(self):
        t = (math.exp(2 * self.data) - 1) / (math.exp(2 * self.data) + 1)
        return Value.made(t, (self, 1 - t * t))

    def exp(self):
        e = math.exp(self.data)
        return Value.made(e, (self, e))

    def relu(self):
        y = max(self.data, 0.0)
        return Value.made(y, (self, 1.0 if self.data > 0 else 0.0))

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for kid in v.kids:
                    build(kid)
                topo.append(v)
        build(self)
        for v in topo:
            v.grad = v.grad if not v.kids else 0
        self.grad = 1
        for v in topo[::-1]:
            for kid, slope in zip(v.kids, v.local):
                kid.grad = kid.grad + slope * v.grad
'''
RECURSION = '''        for v in topo:
            v.grad = v.grad if not v.kids else 0
        self.grad = 1
        def send(v):
            for kid, slope in zip(v.kids, v.local):
                kid.grad = kid.grad + slope * v.grad
            for kid in v.kids:
                send(kid)
        send(self)
'''
LOOP = ENGINE[ENGINE.index("        for v in topo:"):]
# fmt: off
ENGINE_WRONG = [
    ("overwrites-gradient",               "kid.grad = kid.grad + slope", "kid.grad = slope"),
    ("repropagates-accumulated",          LOOP, RECURSION),
    ("topological-order-without-visited", "if v not in seen:", "if True:"),
    ("order-not-reversed",                "topo[::-1]", "topo"),
    ("seed-missing",                      "self.grad = 1\n", "pass\n"),
    ("interior-gradients-not-cleared",    "v.grad if not v.kids else 0\n        self.grad = 1",
                                          "v.grad\n        self.grad += 1"),
    ("leaf-gradients-cleared",            "v.grad if not v.kids else 0", "0"),
    ("subtraction-sign",                  "(o, -1.0)", "(o, 1.0)"),
    ("reflected-operands-swapped",        "return Value.wrap(o) - self", "return self - o"),
    ("power-factor-missing",              "n * self.data**(n - 1)", "self.data**(n - 1)"),
    ("tanh-not-squared",                  "1 - t * t", "1 - t"),
    ("derivative-from-input",             "1 - t * t", "1 - self.data**2"),
    ("derivative-from-output",            "(self, e))", "(self, math.exp(e)))"),
    ("relu-mask-missing",                 "1.0 if self.data > 0 else 0.0", "1.0"),
    ("relu-gradient-at-zero",             "1.0 if self.data > 0", "1.0 if self.data >= 0"),
]

OPTIMIZERS = '''
import numpy as np

def sgd(w, g, config):
    return w + (-config["lr"]) * g, config

def momentum(w, g, config):
    speed = config.setdefault("v", 0.0) * config["momentum"] + g
    return w - config["lr"] * speed, {**config, "v": speed}

def nesterov(w, g, config):
    mu = config["momentum"]
    speed = config.setdefault("v", 0.0) * mu + g
    return w - config["lr"] * g - config["lr"] * mu * speed, {**config, "v": speed}

def adagrad(w, g, config):
    config["s"] = config.setdefault("s", 0.0) + np.square(g)
    return w - config["lr"] / (config["s"]**0.5 + config["eps"]) * g, config

def rmsprop(w, g, config):
    rho = config["decay"]
    cache = config.setdefault("s", np.zeros(w.shape))
    cache = cache + (1 - rho) * (g**2 - cache)
    return w - config["lr"] * g * 1 / (cache**.5 + config["eps"]), {**config, "s": cache}

def adam(w, g, config):
    one, two = config["beta1"], config["beta2"]
    old_m, old_v, n = (config.get(k, 0) for k in ("m", "v", "t"))
    n += 1
    m = old_m + (1 - one) * (g - old_m)
    v = two * old_v + (1 - two) * np.square(g)
    c1 = 1 - one ** n
    c2 = 1 - two ** n
    down = (v / c2) ** 0.5 + config["eps"]
    new = w - (config["lr"] / c1) * m / down
    return new, dict(config, m=m, v=v, t=n)

def adamw(w, g, config):
    shrunk = w * (1 - config["lr"] * config["weight_decay"])
    return adam(shrunk, g, config)
'''
OPTIMIZERS_WRONG = [
    ("ascent",                           "(-config[\"lr\"])", "config[\"lr\"]"),
    ("momentum/ema",                     '* config["momentum"] + g',
                                         '* config["momentum"] + (1 - config["momentum"]) * g'),
    ("nesterov-without-previous-velocity", '- config["lr"] * g - config["lr"] * mu * speed',
                                         '- config["lr"] * speed'),
    ("missing-sqrt",                     '(config["s"]**0.5 + config["eps"])',
                                         '(config["s"] + config["eps"])'),
    ("accumulates-instead-of-averaging", "cache = cache + (1 - rho) * (g**2 - cache)",
                                         "cache = cache + g**2"),
    ("eps-inside-sqrt",                  '(cache**.5 + config["eps"])',
                                         '(cache + config["eps"])**.5'),
    ("no-bias-correction",               "c1 = 1 - one ** n\n    c2 = 1 - two ** n", "c1 = c2 = 1"),
    ("bias-correction-only-m",           "c2 = 1 - two ** n", "c2 = 1"),
    ("t-stuck",                          "n += 1", "n = 1"),
    ("t-off-by-one",                     "c1 = 1 - one ** n\n    c2 = 1 - two ** n",
                                         "c1 = 1 - one ** (n + 1)\n    c2 = 1 - two ** (n + 1)"),
    ("betas-swapped",                    'config["beta1"], config["beta2"]',
                                         'config["beta2"], config["beta1"]'),
    ("correction-beta-times-t",          "c1 = 1 - one ** n\n    c2 = 1 - two ** n",
                                         "c1 = 1 - one * n\n    c2 = 1 - two * n"),
    ("second-moment-of-abs",             "(1 - two) * np.square(g)", "(1 - two) * np.abs(g)"),
    ("eps-before-correction",            '(v / c2) ** 0.5 + config["eps"]',
                                         '(v ** 0.5 + config["eps"]) / c2 ** 0.5'),
    ("decay-coupled",                    "return adam(shrunk, g, config)",
                                         'return adam(w, g + config["weight_decay"] * w, config)'),
    ("decay-not-times-lr",               '1 - config["lr"] * config["weight_decay"]',
                                         '1 - config["weight_decay"]'),
]

MLP = '''
import numpy as np

def linear(x, W, b):
    return np.einsum("ri,io->ro", x, W) + b[None, :]

def linear_backward(dout, x, W, b):
    dx = np.einsum("ro,io->ri", dout, W)
    dW = np.einsum("ro,ri->io", dout, x)
    db = np.ones(len(x)) @ dout
    return dx, dW, db

def relu(x):
    return np.where(x > 0, x, 0)

def relu_backward(dout, x):
    return np.where(x > 0, dout, 0)

def softmax(z):
    shift = z.max(axis=1)[:, None]
    e = np.exp(z - shift)
    return e / np.sum(e, axis=1)[:, None]

def cross_entropy(z, y):
    one_hot = np.eye(z.shape[1])[y]
    p = softmax(z)
    n = z.shape[0]
    loss = -np.sum(one_hot * np.log(p)) / n
    return loss, (p - one_hot) / n

def gradients(params, x, y):
    W1, b1, W2, b2 = params
    before = linear(x, W1, b1)
    hidden = relu(before)
    loss, back = cross_entropy(linear(hidden, W2, b2), y)
    back, dW2, db2 = linear_backward(back, hidden, W2, b2)
    _, dW1, db1 = linear_backward(relu_backward(back, before), x, W1, b1)
    return loss, [dW1, db1, dW2, db2]

def train(params, x, y, lr, steps):
    params, losses = [np.array(p) for p in params], []
    while len(losses) < steps:
        loss, grads = gradients(params, x, y)
        losses.append(loss)
        for p, g in zip(params, grads):
            p -= lr * g
    return params, losses
'''
MLP_WRONG = [
    ("matmul-not-transposed",        'np.einsum("ro,io->ri", dout, W)', "dout @ W"),
    ("weight-gradient-transposed",   "ro,ri->io", "ro,ri->oi"),
    ("broadcast-not-undone",         "db = np.ones(len(x)) @ dout", "db = dout"),
    ("broadcast-averaged",           "np.ones(len(x)) @ dout", "np.mean(dout, 0)"),
    ("broadcast-wrong-axis",         "np.ones(len(x)) @ dout", "np.sum(dout, 1)"),
    ("relu-mask-missing",            "np.where(x > 0, dout, 0)", "dout"),
    ("relu-gradient-at-zero",        "np.where(x > 0, dout, 0)", "np.where(x < 0, 0, dout)"),
    ("softmax-wrong-axis",           "np.sum(e, axis=1)[:, None]", "np.sum(e, axis=0)"),
    ("softmax-unstable",             "np.exp(z - shift)", "np.exp(z)"),
    ("sum-for-mean",                 "n = z.shape[0]", "n = 1"),
    ("gradient-not-divided-by-rows", "(p - one_hot) / n", "p - one_hot"),
    ("loss-sign",                    "loss = -np.sum", "loss = np.sum"),
    ("double-softmax",               "p = softmax(z)", "p = softmax(softmax(z))"),
    ("ascent",                       "p -= lr * g", "p += lr * g"),
    ("lr-missing",                   "p -= lr * g", "p -= g"),
]
# fmt: on

ANSWERS = {"autograd": (ENGINE, ENGINE_WRONG), "optimizers": (OPTIMIZERS, OPTIMIZERS_WRONG),
           "mlp_digits": (MLP, MLP_WRONG)}


def wrong(name, id):
    """The text of a wrong answer."""
    right, rows = ANSWERS[name]
    old, new = next((old, new) for each, old, new in rows if each == id)
    assert right.count(old) == 1, (id, right.count(old))
    return right.replace(old, new)
