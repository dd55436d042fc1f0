"""The styles of classes and closures, as in coursework_styles."""

from coursework_styles import STYLES, style

style("needle", "adam", "torch", "Adam", """
class Tensor:
    def __init__(self, array, requires_grad=False):
        self._a = array._a if isinstance(array, Tensor) else np.asarray(array)
        self.grad = None
    @property
    def data(self): return Tensor(self._a)
    @data.setter
    def data(self, value):
        assert isinstance(value, Tensor)
        self._a = value._a
    def numpy(self): return self._a
    def detach(self): return Tensor(self._a)
    def _of(x): return x._a if isinstance(x, Tensor) else x
    def __add__(self, o): return Tensor(self._a + Tensor._of(o))
    def __sub__(self, o): return Tensor(self._a - Tensor._of(o))
    def __mul__(self, o): return Tensor(self._a * Tensor._of(o))
    def __truediv__(self, o): return Tensor(self._a / Tensor._of(o))
    def __pow__(self, o): return Tensor(self._a ** o)
    __radd__, __rmul__ = __add__, __mul__
    @property
    def shape(self): return self._a.shape
class Optimizer:
    def __init__(self, params): self.params = params
    def step(self): raise NotImplementedError()
    def reset_grad(self):
        for p in self.params: p.grad = None
class Adam(Optimizer):
    def __init__(self, params, lr=0.01, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
        super().__init__(params)
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.weight_decay = weight_decay
        self.t = 0
        self.m, self.v = {}, {}
    def step(self):
        self.t += 1
        for w in self.params:
            grad = w.grad.data + self.weight_decay * w.data
            self.m[w] = self.beta1 * self.m.get(w, 0) + (1 - self.beta1) * grad
            self.v[w] = self.beta2 * self.v.get(w, 0) + (1 - self.beta2) * (grad ** 2)
            u = self.m[w] / (1 - self.beta1 ** self.t)
            s = self.v[w] / (1 - self.beta2 ** self.t)
            w.data = w.data - self.lr * (u / (s ** 0.5 + self.eps))
""", t_per_parameter=("        self.t += 1\n        for w in self.params:\n",
                      "        for w in self.params:\n            self.t += 1\n"),
     decay_ignored=(" + self.weight_decay * w.data", " + 0 * w.data"),
     eps_inside_sqrt=("s ** 0.5 + self.eps", "(s + self.eps) ** 0.5"))

style("needle momentum", "momentum", "cmu10414", "SGD",
      STYLES["needle"][3].split("class Adam")[0] + """
class SGD(Optimizer):
    def __init__(self, params, lr=0.01, momentum=0.0, weight_decay=0.0):
        super().__init__(params)
        self.lr, self.momentum, self.u, self.weight_decay = lr, momentum, {}, weight_decay
    def step(self):
        for i, p in enumerate(self.params):
            if self.u.get(i) is None: self.u[i] = p.grad * 0
            g = p.grad + self.weight_decay * p.data
            self.u[i] = self.momentum * self.u[i] + (1 - self.momentum) * g.data
            p.data = p.data - self.lr * self.u[i]
""", momentum_not_averaged=("(1 - self.momentum) * g", "g"))

style("TinyTorch", "adamw", "tinytorch", "AdamW", """
class Tensor:
    def __init__(self, data, requires_grad=False):
        self.data, self.requires_grad, self.grad = np.array(data), requires_grad, None
class AdamW:
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.params = params
        self.lr, self.beta1, self.beta2, self.eps = lr, *betas, eps
        self.weight_decay, self.step_count = weight_decay, 0
        self.m_buffers = [None for _ in self.params]
        self.v_buffers = [None for _ in self.params]
    def zero_grad(self):
        for p in self.params: p.grad = None
    def step(self):
        self.step_count += 1
        for i, param in enumerate(self.params):
            if param.grad is None: continue
            grad = param.grad.data if isinstance(param.grad, Tensor) else param.grad
            if self.m_buffers[i] is None:
                self.m_buffers[i] = np.zeros_like(param.data)
                self.v_buffers[i] = np.zeros_like(param.data)
            self.m_buffers[i] = self.beta1 * self.m_buffers[i] + (1 - self.beta1) * grad
            self.v_buffers[i] = self.beta2 * self.v_buffers[i] + (1 - self.beta2) * (grad ** 2)
            mh = self.m_buffers[i] / (1 - self.beta1 ** self.step_count)
            vh = self.v_buffers[i] / (1 - self.beta2 ** self.step_count)
            param.data = param.data - self.lr * mh / (np.sqrt(vh) + self.eps)
            param.data = param.data * (1 - self.lr * self.weight_decay)
""", decay_not_times_lr=("1 - self.lr * self.weight_decay", "1 - self.weight_decay"),
     second_moment_of_m=("(grad ** 2)", "self.m_buffers[i] ** 2"))

style("11-785", "momentum", "torch", "SGD", """
class SGD:
    def __init__(self, model, lr=0.1, momentum=0):
        self.l = model.layers
        self.L = len(model.layers)
        self.lr = lr
        self.mu = momentum
        self.v_W = [np.zeros(self.l[i].W.shape, dtype="f") for i in range(self.L)]
        self.v_b = [np.zeros(self.l[i].b.shape, dtype="f") for i in range(self.L)]
    def step(self):
        for i in range(self.L):
            self.v_W[i] = self.mu * self.v_W[i] + self.l[i].dLdW
            self.v_b[i] = self.mu * self.v_b[i] + self.l[i].dLdb
            self.l[i].W = self.l[i].W - self.lr * self.v_W[i]
            self.l[i].b = self.l[i].b - self.lr * self.v_b[i]
""", momentum_sign=("self.mu * self", "-self.mu * self"))

style("11-785 Adam", "adam", "torch", "Adam", """
class Adam():
    def __init__(self, model, lr, beta1=0.9, beta2=0.999, eps=1e-8):
        self.l = model.layers[::2]
        self.L = len(self.l)
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.t = 0
        self.m_W = [np.zeros(l.W.shape, dtype="f") for l in self.l]
        self.v_W = [np.zeros(l.W.shape, dtype="f") for l in self.l]
        self.m_b = [np.zeros(l.b.shape, dtype="f") for l in self.l]
        self.v_b = [np.zeros(l.b.shape, dtype="f") for l in self.l]
    def step(self):
        self.t += 1
        for i, layer in enumerate(self.l):
            for m, v, w, g in ((self.m_W, self.v_W, 'W', layer.dLdW), (self.m_b, self.v_b, 'b', layer.dLdb)):
                m[i] = self.beta1 * m[i] + (1 - self.beta1) * g
                v[i] = self.beta2 * v[i] + (1 - self.beta2) * g**2
                mh, vh = m[i] / (1 - self.beta1**self.t), v[i] / (1 - self.beta2**self.t)
                setattr(layer, w, getattr(layer, w) - self.lr * mh / np.sqrt(vh + self.eps))
""", missing_sqrt=("np.sqrt(vh + self.eps)", "(vh + self.eps)"))

style("Saito", "adam", "eps-hat", "Adam", """
class Adam:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr, self.beta1, self.beta2, self.iter = lr, beta1, beta2, 0
        self.m = None
        self.v = None
    def update(self, params, grads):
        if self.m is None:
            self.m, self.v = {}, {}
            for key, val in params.items():
                self.m[key] = np.zeros_like(val)
                self.v[key] = np.zeros_like(val)
        self.iter += 1
        lr_t = self.lr * np.sqrt(1.0 - self.beta2**self.iter) / (1.0 - self.beta1**self.iter)
        for key in params.keys():
            self.m[key] += (1 - self.beta1) * (grads[key] - self.m[key])
            self.v[key] += (1 - self.beta2) * (grads[key]**2 - self.v[key])
            params[key] -= lr_t * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)
""")

style("nnfs", "rmsprop", "torch", "Optimizer_RMSprop", """
class Optimizer_RMSprop:
    def __init__(self, learning_rate=0.001, decay=0., epsilon=1e-7, rho=0.9):
        self.learning_rate = learning_rate
        self.current_learning_rate = learning_rate
        self.decay, self.iterations, self.epsilon, self.rho = decay, 0, epsilon, rho
    def pre_update_params(self):
        if self.decay:
            self.current_learning_rate = self.learning_rate * (1. / (1. + self.decay * self.iterations))
    def update_params(self, layer):
        if not hasattr(layer, 'weight_cache'):
            layer.weight_cache = np.zeros_like(layer.weights)
            layer.bias_cache = np.zeros_like(layer.biases)
        layer.weight_cache = self.rho * layer.weight_cache + (1 - self.rho) * layer.dweights**2
        layer.bias_cache = self.rho * layer.bias_cache + (1 - self.rho) * layer.dbiases**2
        layer.weights += -self.current_learning_rate * layer.dweights / (np.sqrt(layer.weight_cache) + self.epsilon)
        layer.biases += -self.current_learning_rate * layer.dbiases / (np.sqrt(layer.bias_cache) + self.epsilon)
    def post_update_params(self):
        self.iterations += 1
""", second_moment_not_averaged=("(1 - self.rho) * ", ""), ascent=("+= -self", "+= self"))

style("DeZero", "adam", "eps-hat", "Adam", """
class Variable:
    def __init__(self, data): self.data, self.grad = data, None
class Optimizer:
    def __init__(self): self.target, self.hooks = None, []
    def setup(self, target):
        self.target = target
        return self
    def update(self):
        params = [p for p in self.target.params() if p.grad is not None]
        for f in self.hooks: f(params)
        for param in params: self.update_one(param)
    def update_one(self, param): raise NotImplementedError()
class Adam(Optimizer):
    def __init__(self, alpha=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__()
        self.t, self.alpha, self.beta1, self.beta2, self.eps = 0, alpha, beta1, beta2, eps
        self.ms, self.vs = {}, {}
    def update(self, *args, **kwargs):
        self.t += 1
        super().update(*args, **kwargs)
    @property
    def lr(self):
        return self.alpha * math.sqrt(1. - self.beta2**self.t) / (1. - self.beta1**self.t)
    def update_one(self, param):
        key = id(param)
        if key not in self.ms:
            self.ms[key] = np.zeros_like(param.data)
            self.vs[key] = np.zeros_like(param.data)
        m, v = self.ms[key], self.vs[key]
        grad = param.grad.data
        m += (1 - self.beta1) * (grad - m)
        v += (1 - self.beta2) * (grad * grad - v)
        param.data -= self.lr * m / (np.sqrt(v) + self.eps)
""", betas_swapped=("beta1=0.9, beta2=0.999, eps=1e-8):\n        super().__init__()",
                    "beta1=0.9, beta2=0.999, eps=1e-8):\n        super().__init__(); "
                    "beta1, beta2 = beta2, beta1"))

style("one object for each array", "adam", "torch", "Adam", """
class Adam():
    def __init__(self, learning_rate=0.001, b1=0.9, b2=0.999):
        self.learning_rate = learning_rate
        self.eps = 1e-6
        self.m = None
        self.v = None
        self.b1, self.b2 = b1, b2
    def update(self, w, grad_wrt_w):
        if self.m is None:
            self.m = np.zeros(np.shape(grad_wrt_w))
            self.v = np.zeros(np.shape(grad_wrt_w))
            self.t = 0
        self.t += 1
        self.m = self.b1 * self.m + (1 - self.b1) * grad_wrt_w
        self.v = self.b2 * self.v + (1 - self.b2) * np.power(grad_wrt_w, 2)
        m_hat = self.m / (1 - self.b1 ** self.t)
        v_hat = self.v / (1 - self.b2 ** self.t)
        self.w_updt = self.learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)
        return w - self.w_updt
""", missing_sqrt=("np.sqrt(v_hat)", "v_hat"))

style("micrograd", "momentum", "torch", "SGD", """
class Value:
    def __init__(self, data, _children=(), _op=''):
        self.data, self.grad = data, 0.0
class SGD:
    def __init__(self, parameters, lr=0.1, momentum=0.9):
        self.parameters, self.lr, self.momentum = parameters, lr, momentum
        self.velocity = [0.0] * len(parameters)
    def step(self):
        for i, p in enumerate(self.parameters):
            self.velocity[i] = self.momentum * self.velocity[i] + float(p.grad)
            p.data -= self.lr * self.velocity[i]
""", ascent=("p.data -=", "p.data +="))

style("dataclass", "momentum", "torch", "SGD", """
from dataclasses import dataclass, field
@dataclass
class SGD:
    params: list
    lr: float = 0.1
    momentum: float = 0.9
    velocity: list = field(default_factory=list)
    def step(self):
        if not self.velocity:
            self.velocity = [np.zeros_like(p.data) for p in self.params]
        for v, p in zip(self.velocity, self.params):
            v *= self.momentum
            v += p.grad
            p.data = p.data - self.lr * v
""", momentum_lr_twice=("v += p.grad", "v += self.lr * p.grad"))

style("closure with parameters", "rmsprop", "torch", "make", """
def make(params, *, lr=0.01, rho=0.9, eps=1e-8):
    cache = [0.0 for _ in params]
    class Opt: pass
    def step():
        for i, p in enumerate(params):
            cache[i] = rho * cache[i] + (1 - rho) * p.grad**2
            p.data = p.data - lr * p.grad / (np.sqrt(cache[i]) + eps)
    opt = Opt()
    opt.step = step
    return opt
""", missing_sqrt=("np.sqrt(cache[i])", "cache[i]"))

style("closure without parameters", "momentum", "torch", "make", """
def make(lr=0.01, momentum=0.9):
    velocity = {}
    def update(params, grads):
        for i in range(len(params)):
            velocity[i] = momentum * velocity.get(i, 0) + grads[i]
            params[i] = params[i] - lr * velocity[i]
        return params
    return update
""", momentum_sign=("momentum * velocity", "-momentum * velocity"))

style("lambda factory", "adam", "torch", "make", """
class Adam:
    def __init__(self, params, lr, b1, b2):
        self.params, self.lr, self.b1, self.b2, self.n = params, lr, b1, b2, 0
        self.m = [0] * len(params); self.v = [0] * len(params)
    def step(self):
        self.n += 1
        for i, p in enumerate(self.params):
            self.m[i] = self.b1 * self.m[i] + (1 - self.b1) * p.grad
            self.v[i] = self.b2 * self.v[i] + (1 - self.b2) * p.grad**2
            p.data -= self.lr * self.m[i] / (1 - self.b1**self.n) / (1e-8 + (self.v[i] / (1 - self.b2**self.n))**.5)
make = lambda params: Adam(params, 0.03, 0.8, 0.95)
""", ascent=("p.data -=", "p.data +="))

style("kwargs to a base", "adagrad", "torch", "Adagrad", """
class Base:
    def __init__(self, params, lr=0.01, eps=1e-8):
        self.params, self.lr, self.eps = list(params), lr, eps
class Adagrad(Base):
    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)
        self.h = {id(p): np.zeros_like(p.data) for p in self.params}
    def step(self):
        for p in self.params:
            self.h[id(p)] += p.grad ** 2
            p.data -= self.lr * p.grad / (np.sqrt(self.h[id(p)]) + self.eps)
""", missing_sqrt=("np.sqrt(self.h[id(p)])", "self.h[id(p)]"))

style("step with gradients", "momentum", "torch", "Momentum", """
class Momentum:
    def __init__(self, params, lr=0.1, gamma=0.9):
        self.params, self.eta, self.gamma = params, lr, gamma
        self.v = [np.zeros_like(p.data) for p in params]
    def step(self, grads):
        for p, g, v in zip(self.params, grads, self.v):
            v[...] = self.gamma * v + g
            p.data[...] = p.data - self.eta * v
""", ascent=("p.data - self", "p.data + self"))

style("named parameters", "sgd", "torch", "SGD", """
class SGD:
    def __init__(self, named_parameters, lr=0.1, weight_decay=0.0):
        self.params = {name: p for name, p in named_parameters}
        self.lr, self.wd = lr, weight_decay
    def step(self, closure=None):
        for name, p in self.params.items():
            p.data = p.data - self.lr * (p.grad + self.wd * p.data)
""", decay_double=("self.wd * p", "2 * self.wd * p"))

style("model with parameters()", "sgd", "torch", "SGD", """
class SGD:
    def __init__(self, model, learning_rate=0.1):
        self.model, self.learning_rate = model, learning_rate
    def step(self):
        for p in self.model.parameters():
            p.data -= self.learning_rate * p.grad
""", lr_squared=("self.learning_rate * p", "self.learning_rate**2 * p"))

style("layers of a net", "sgd", "torch", "SGD", """
class SGD:
    def __init__(self, lr=0.01): self.lr = lr
    def step(self, net):
        for param, grad in net.params_and_grads():
            param -= self.lr * grad
""", lr_missing=("self.lr * ", ""))

style("rate copied", "sgd", "torch", "SGD", """
class SGD:
    def __init__(self, params, lr=0.01):
        self.params, self.lr, self._rate = list(params), lr, -lr
    def step(self):
        for p in self.params:
            p.data = p.data + self._rate * p.grad
""", ascent=("-lr", "lr"))

style("gradient kept as state", "momentum", "torch", "sgd", """
def sgd(w, g, v, lr, momentum):
    g += momentum * v
    return w - lr * g, g
""", gradient_mutated=("momentum * v", "momentum * v"))
