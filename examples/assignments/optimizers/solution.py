"""Optimizers, from gradient descent to AdamW.

Each function takes weights w, the gradient g of the loss, and a dict with its options and states;
it returns the new weights and the dict for the next step. A state that is not there yet is 0.
"""

import numpy as np


def sgd(w, g, config):
    """Gradient descent. Options: lr."""
    lr = config["lr"]
    ### BEGIN SOLUTION
    w = w - lr * g
    ### END SOLUTION
    return w, config


def momentum(w, g, config):
    """Gradient descent with momentum (heavy ball). Options: lr, momentum. State: v.

    v is the sum of all gradients, each weighted by momentum for every step since; lr multiplies v.
    """
    lr, mu = config["lr"], config["momentum"]
    v = config.get("v", np.zeros_like(w))
    ### BEGIN SOLUTION
    v = mu * v + g
    w = w - lr * v
    ### END SOLUTION
    config["v"] = v
    return w, config


def nesterov(w, g, config):
    """Nesterov's momentum, as in PyTorch: v as above, but the step looks ahead, to g + momentum v.

    Options: lr, momentum. State: v.
    """
    lr, mu = config["lr"], config["momentum"]
    v = config.get("v", np.zeros_like(w))
    ### BEGIN SOLUTION
    v = mu * v + g
    w = w - lr * (g + mu * v)
    ### END SOLUTION
    config["v"] = v
    return w, config


def adagrad(w, g, config):
    """AdaGrad (Duchi et al. 2011). Options: lr, eps (outside the root). State: s, a sum."""
    lr, eps = config["lr"], config["eps"]
    s = config.get("s", np.zeros_like(w))
    ### BEGIN SOLUTION
    s = s + g * g
    w = w - lr * g / (np.sqrt(s) + eps)
    ### END SOLUTION
    config["s"] = s
    return w, config


def rmsprop(w, g, config):
    """RMSProp (Hinton 2012). Options: lr, decay, eps (outside the root). State: s, a mean."""
    lr, decay, eps = config["lr"], config["decay"], config["eps"]
    s = config.get("s", np.zeros_like(w))
    ### BEGIN SOLUTION
    s = decay * s + (1 - decay) * g * g
    w = w - lr * g / (np.sqrt(s) + eps)
    ### END SOLUTION
    config["s"] = s
    return w, config


def adam(w, g, config):
    """Adam (Kingma and Ba 2015, Algorithm 1). Options: lr, beta1, beta2, eps. States: m, v, t.

    t counts steps; it is 1 during the first.
    """
    lr, beta1, beta2, eps = (config[name] for name in ("lr", "beta1", "beta2", "eps"))
    m, v = config.get("m", np.zeros_like(w)), config.get("v", np.zeros_like(w))
    t = config.get("t", 0)
    ### BEGIN SOLUTION
    t = t + 1
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    w = w - lr * m_hat / (np.sqrt(v_hat) + eps)
    ### END SOLUTION
    config.update(m=m, v=v, t=t)
    return w, config


def adamw(w, g, config):
    """AdamW (Loshchilov and Hutter 2019), decay before the step, as in PyTorch.

    As adam; weight_decay shrinks the weights, at the rate lr * weight_decay, past the moments.
    """
    lr, decay = config["lr"], config["weight_decay"]
    ### BEGIN SOLUTION
    w = w - lr * decay * w
    return adam(w, g, config)
    ### END SOLUTION
