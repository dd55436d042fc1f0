"""Optimizers as students of many courses write them, each style in text, and edits of it that make
a known mistake. `student(name, edit)` runs the text and gives what would be diagnosed."""

import sys
import types

import numpy as np

# name: (rule, convention, object to diagnose, text, {id: (old, new)})
STYLES = {}


def style(name, rule, convention, what, text, **edits):
    STYLES[name] = (rule, convention, what, text,
                    {id.replace("_", "-"): edit for id, edit in edits.items()})


def student(name, id=None):
    rule, convention, what, text, edits = STYLES[name]
    if id is not None:
        old, new = edits[id]
        assert old in text, (name, id)
        text = text.replace(old, new)
    module = types.ModuleType(f"style_{abs(hash((name, id)))}")
    sys.modules[module.__name__] = module
    module.np = np
    exec(compile("import numpy as np, math\n" + text, f"<{name}>", "exec"), module.__dict__)
    return getattr(module, what)


style("cs231n with keys", "adam", "cs231n", "adam", """
def adam(w, dw, config=None):
    if config is None: config = {}
    config.setdefault('learning_rate', 1e-3)
    config.setdefault('beta1', 0.9)
    config.setdefault('beta2', 0.999)
    config.setdefault('epsilon', 1e-8)
    config.setdefault('m', np.zeros_like(w))
    config.setdefault('v', np.zeros_like(w))
    config.setdefault('t', 0)
    m, v, t = config['m'], config['v'], config['t']
    t += 1
    m = config['beta1'] * m + (1 - config['beta1']) * dw
    v = config['beta2'] * v + (1 - config['beta2']) * dw ** 2
    mh = m / (1 - config['beta1'] ** t)
    vh = v / (1 - config['beta2'] ** t)
    next_w = w - config['learning_rate'] * mh / (np.sqrt(vh) + config['epsilon'])
    config['m'], config['v'], config['t'] = m, v, t
    return next_w, config
""", t_stuck=("config['t'] = m, v, t", "config['zz'] = m, v, t"),
     missing_sqrt=("np.sqrt(vh)", "vh"),
     corrected_moments_stored=("config['t'] = m, v, t", "config['t'] = mh, vh, t"))

style("cs231n in place", "momentum", "cs231n", "sgd_momentum", """
def sgd_momentum(w, dw, config=None):
    lr, mu = config.get('learning_rate', 1e-2), config.get('momentum', 0.9)
    v = config.get('velocity', np.zeros_like(w))
    v *= mu
    v -= lr * dw
    w += v
    config['velocity'] = v
    return w, config
""", ascent=("w += v", "w -= v"), momentum_sign=("v *= mu", "v *= -mu"))

style("cs231n with a helper", "rmsprop", "cs231n", "rmsprop", """
DEFAULTS = {'learning_rate': 1e-2, 'decay_rate': 0.99, 'epsilon': 1e-8}
def with_defaults(config):
    for key in ('learning_rate', 'decay_rate', 'epsilon'):
        config.setdefault(key, DEFAULTS[key])
    return config
def rmsprop(x, dx, config=None):
    config = with_defaults(config)
    if 'cache' not in config: config['cache'] = np.zeros_like(x)
    r = config['decay_rate']
    config['cache'] = r * config['cache'] + (1 - r) * dx**2
    return x - config['learning_rate'] * dx / (np.sqrt(config['cache']) + config['epsilon']), config
""", accumulates_instead_of_averaging=("(1 - r) * dx**2", "dx**2 + (1 - r) * config['cache']"),
     missing_sqrt=("np.sqrt(config['cache'])", "config['cache']"))

style("caller keeps t", "adam", "cs231n", "adam", """
def adam(w, dw, config):
    b1, b2, t = config['beta1'], config['beta2'], config['t']
    config['m'] = b1 * config.get('m', 0.) + (1 - b1) * dw
    config['v'] = b2 * config.get('v', 0.) + (1 - b2) * dw * dw
    mh, vh = config['m'] / (1 - b1**(t + 1)), config['v'] / (1 - b2**(t + 1))
    config['t'] = t + 1
    return w - config['learning_rate'] * mh / (np.sqrt(vh) + config['epsilon']), config
""", betas_swapped=("b1, b2, t = ", "b2, b1, t = "))

style("pure rule, other names", "adam", "torch", "step", """
def step(theta, grad, s, r, t, *, eta=0.1, rho1=0.9, rho2=0.999, delta=1e-8):
    s = rho1 * s + (1 - rho1) * grad
    r = rho2 * r + (1 - rho2) * grad * grad
    return theta - eta * (s / (1 - rho1**t)) / (np.sqrt(r / (1 - rho2**t)) + delta), s, r
""", missing_sqrt=("np.sqrt(r / (1 - rho2**t))", "r / (1 - rho2**t)"),
     bias_correction_only_v=("s / (1 - rho1**t)", "s"))

style("pure rule in Greek", "adam", "torch", "step", """
def step(θ, g, m, v, t, α=0.1, β1=0.9, β2=0.999, ϵ=1e-8):
    m = β1 * m + (1 - β1) * g
    v = β2 * v + (1 - β2) * g**2
    return θ - α * (m / (1 - β1**t)) / (np.sqrt(v / (1 - β2**t)) + ϵ), m, v
""", ascent=("θ - α", "θ + α"))

style("pure rule, states first in the result", "adam", "torch", "adam", """
def adam(w, g, m, v, t, lr, beta1, beta2, epsilon):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * np.square(g)
    mhat = m / (1 - beta1 ** t)
    vhat = v / (1 - beta2 ** t)
    w = w - lr * mhat / (np.sqrt(vhat) + epsilon)
    return m, v, w
""", second_moment_of_abs=("np.square(g)", "np.abs(g)"))

style("pure rule, None at first", "momentum", "torch", "sgd", """
def sgd(w, grad, velocity=None, lr=0.01, mu=0.9):
    if velocity is None:
        velocity = np.zeros_like(w)
    velocity = mu * velocity + grad
    return w - lr * velocity, velocity
""", momentum_averaged=("+ grad", "+ (1 - mu) * grad"))

style("scalars with math", "adam", "torch", "adam", """
def adam(x, grad, m, v, t, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad ** 2
    x = x - lr * (m / (1 - beta1 ** t)) / (math.sqrt(v / (1 - beta2 ** t)) + eps)
    return x, m, v
""", numerator_is_gradient=("(m / (1 - beta1 ** t))", "grad"))

style("deeplearning.ai", "adam", "torch", "update_parameters_with_adam", """
def update_parameters_with_adam(parameters, grads, v, s, t, learning_rate=0.01,
                                beta1=0.9, beta2=0.999, epsilon=1e-8):
    L = len(parameters) // 2
    v_corrected, s_corrected = {}, {}
    for l in range(1, L + 1):
        for k in ("W", "b"):
            d = "d" + k + str(l)
            v[d] = beta1 * v[d] + (1 - beta1) * grads[d]
            v_corrected[d] = v[d] / (1 - np.power(beta1, t))
            s[d] = beta2 * s[d] + (1 - beta2) * np.power(grads[d], 2)
            s_corrected[d] = s[d] / (1 - np.power(beta2, t))
            parameters[k + str(l)] = parameters[k + str(l)] - learning_rate * v_corrected[d] / (
                np.sqrt(s_corrected[d]) + epsilon)
    return parameters, v, s, v_corrected, s_corrected
""", correction_without_power=("beta1, t)", "beta1, 1)"), eps_missing=("+ epsilon)", ")"))

style("deeplearning.ai momentum", "momentum", "deeplearning.ai", "update", """
def update(parameters, grads, v, beta, learning_rate):
    L = len(parameters) // 2
    for l in range(L):
        v["dW" + str(l+1)] = beta * v["dW" + str(l+1)] + (1 - beta) * grads['dW' + str(l+1)]
        v["db" + str(l+1)] = beta * v["db" + str(l+1)] + (1 - beta) * grads['db' + str(l+1)]
        parameters["W" + str(l+1)] -= learning_rate * v["dW" + str(l+1)]
        parameters["b" + str(l+1)] -= learning_rate * v["db" + str(l+1)]
    return parameters, v
""", momentum_not_averaged=("(1 - beta) * ", ""))

style("gradient descent of dictionaries", "sgd", "torch", "update_parameters", """
def update_parameters(params, grads, learning_rate=1.2):
    for key in params:
        params[key] = params[key] - learning_rate * grads["d" + key]
    return params
""", ascent=("] - learning_rate", "] + learning_rate"))

style("lists in place", "adagrad", "torch", "adagrad", """
def adagrad(params, grads, caches, lr=0.1, eps=1e-8):
    for p, g, c in zip(params, grads, caches):
        c += g * g
        p -= lr * g / (np.sqrt(c) + eps)
""", missing_sqrt=("np.sqrt(c)", "c"), ascent=("p -=", "p +="))

style("d2l", "adam", "torch", "adam", """
def adam(params, states, hyperparams):
    beta1, beta2, eps = 0.9, 0.999, 1e-6
    for p, (v, s) in zip(params, states):
        v[:] = beta1 * v + (1 - beta1) * p.grad
        s[:] = beta2 * s + (1 - beta2) * np.square(p.grad)
        v_bias_corr = v / (1 - beta1 ** hyperparams['t'])
        s_bias_corr = s / (1 - beta2 ** hyperparams['t'])
        p[:] -= hyperparams['lr'] * v_bias_corr / (np.sqrt(s_bias_corr) + eps)
    hyperparams['t'] += 1
""", t_stuck=("hyperparams['t'] += 1", "pass"), missing_sqrt=("np.sqrt(s_bias_corr)", "s_bias_corr"))

style("d2l momentum", "momentum", "torch", "sgd_momentum", """
def sgd_momentum(params, states, hyperparams):
    for p, v in zip(params, states):
        v[:] = hyperparams['momentum'] * v + p.grad
        p[:] -= hyperparams['lr'] * v
""", momentum_averaged=("+ p.grad", "+ (1 - hyperparams['momentum']) * p.grad"))
