"""Update rules: one pure function per optimizer, written as its paper writes it.

    w, *states = rule(w, g, *states, t, *, hyperparameters)

The one trick: the signature says everything. What stands between `g` and `t` are the rule's
states, what stands after the star are its hyperparameters with their defaults; `t` is left out by
rules that do not count. A rule changes nothing, it returns the new weights and states. It runs on
NumPy arrays and, since it only uses operators and NumPy functions, on Tensors too: an update can
be differentiated.

Every state begins as the number 0.0, so that `m = beta1 * m + (1 - beta1) * g` makes the array at
the first step. A state that an option leaves unused stays that number and costs nothing.

Letters                                     slides                  PyTorch
    w  weights                              beta                    params, theta
    g  gradient of the loss                 nabla L                 grad
    t  number of this step, from 1          t                       step
    lr learning rate                        eta                     lr, gamma
    b  momentum buffer (velocity)           v                       momentum_buffer
    m  first moment, mean of g              v (11)                  exp_avg, grad_avg
    v  second moment, mean of g * g         E[g^2] (9) (13)         exp_avg_sq, square_avg
    G  sum of all g * g                     diag G (7)              sum
    m_hat, v_hat: bias-corrected m and v    v^, E^ (14)
"""

import functools
import inspect
from collections import namedtuple

import numpy as np


def elementwise(rule):
    """Marks a rule in which every number of w is updated from its own g and states alone.

    Such a rule gives the same numbers whether it is called once per parameter, once for many small
    parameters joined into one vector, or once per block of a large one. The optimizer makes use of
    that. A rule that mixes the numbers of a parameter (a norm, a mean) must not carry this mark.
    """
    rule.elementwise = True
    return rule


# --- gradient descent and momentum ---------------------------------------------------------------

@elementwise
def sgd(w, g, *, lr=1e-3):
    """Gradient descent: the slides' "Recap" equation; torch.optim.SGD(momentum=0)."""
    step = lr * g
    return (w - step,)  # a tuple as from every rule: the weights, then the states (here none)


@elementwise
def momentum(w, g, b, t, *, lr=1e-3, momentum=0.9, dampening=0.0, form="torch"):
    """Heavy ball: slide "Momentum", equations (4) and (5) with eta; torch.optim.SGD(momentum=...).

    form="torch" is Polyak's: lr stands outside the buffer. The first buffer is g itself, dampening
    or not. form="sutskever" (Sutskever et al. 2013, eq. 1 and 2; Keras) keeps lr inside. The two
    are equal as long as lr is constant.
    """
    if form == "sutskever":
        b = momentum * b - lr * g
        return w + b, b
    b = g if t == 1 else momentum * b + (1 - dampening) * g
    step = lr * b
    return w - step, b


@elementwise
def nesterov(w, g, b, t, *, lr=1e-3, momentum=0.9, form="torch"):
    """Nesterov's accelerated gradient; torch.optim.SGD(nesterov=True).

    Here w is the point looked ahead to, theta + mu b of Sutskever et al. 2013 (eq. 3 and 4), so
    that the gradient is taken where w is. form as in `momentum`.
    """
    if form == "sutskever":
        b = momentum * b - lr * g
        step = lr * g - momentum * b
        return w - step, b
    b = g if t == 1 else momentum * b + g
    look_ahead = g + momentum * b
    step = lr * look_ahead
    return w - step, b


# --- a learning rate for each weight -------------------------------------------------------------

@elementwise
def adagrad(w, g, G, t, *, lr=1e-2, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10,
            eps_inside_sqrt=False):
    """Duchi, Hazan, Singer 2011, diagonal form; slide equations (7), (8); torch.optim.Adagrad.

    eps_inside_sqrt=True is the slide's (8), also Keras' and optax's; it differs where |g| is not
    much larger than sqrt(eps).
    """
    G = (initial_accumulator_value if t == 1 else G) + g * g
    rate = lr / (1 + (t - 1) * lr_decay)
    denominator = np.sqrt(G + eps) if eps_inside_sqrt else np.sqrt(G) + eps
    step = rate * g / denominator
    return w - step, G


@elementwise
def rmsprop(w, g, v, m, b, *, lr=1e-2, alpha=0.99, eps=1e-8, momentum=0.0, centered=False,
            eps_inside_sqrt=False):
    """Tieleman and Hinton 2012 (lecture 6.5), slide equations (9), (10); torch.optim.RMSprop.

    centered=True (Graves 2013, eq. 38 to 45) divides by the standard deviation of g instead of its
    root mean square. Nothing is bias-corrected: the first step is ten lr, lr / sqrt(1 - alpha).
    """
    v = alpha * v + (1 - alpha) * (g * g)
    variance = v
    if centered:
        m = alpha * m + (1 - alpha) * g
        variance = v - m * m
    denominator = np.sqrt(variance + eps) if eps_inside_sqrt else np.sqrt(variance) + eps
    if momentum == 0:
        step = lr * g / denominator
    else:
        b = momentum * b + g / denominator
        step = lr * b
    return w - step, v, m, b


# --- Adam ----------------------------------------------------------------------------------------

@elementwise
def adam(w, g, m, v, t, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Kingma and Ba 2015, Algorithm 1; slide equations (11) to (15); torch.optim.Adam."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    denominator = np.sqrt(v_hat) + eps
    step = lr * m_hat / denominator
    return w - step, m, v


@elementwise
def amsgrad(w, g, m, v, v_max, t, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8,
            convention="torch"):
    """Reddi, Kale, Kumar 2018, Algorithm 2; slide "Adam pseudo-code"; Adam(amsgrad=True).

    A weight's denominator remembers the largest second moment so far. Largest of what?
    "torch": of v, corrected afterwards (so the denominator can still shrink);
    "corrected": of v_hat, as the slides and optax have it; "paper": of v, nothing is corrected.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = m if convention == "paper" else m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t) if convention == "corrected" else v
    v_max = np.maximum(v_max, v_hat)
    v_used = v_max / (1 - beta2**t) if convention == "torch" else v_max
    denominator = np.sqrt(v_used) + eps
    step = lr * m_hat / denominator
    return w - step, m, v, v_max


@elementwise
def adamw(w, g, m, v, t, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2):
    """Loshchilov, Hutter 2019, Algorithm 2; slide equation (16) with its hat; torch.optim.AdamW.

    The optimizer puts the same decay in front of AMSGrad, or of any other rule: see `update`.
    """
    w = decoupled_decay(w, lr, weight_decay)
    return adam(w, g, m, v, t, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


# --- what can stand in front of every rule -------------------------------------------------------

def ascend(g):
    """The gradient with its sign flipped, to climb instead of descend (maximize=True)."""
    return -g


def l2(g, w, weight_decay):
    """The gradient of loss + weight_decay/2 * |w|^2: coupled decay, seen by the moments too."""
    return g + weight_decay * w


def decoupled_decay(w, rate, weight_decay):
    """The weights shrunk directly, past the moments. `rate` is lr (PyTorch), or lr divided by its
    initial value (the paper's schedule multiplier)."""
    return w * (1 - rate * weight_decay)


def update(rule, w, g, states, t, hyperparameters, *, maximize=False, weight_decay=0.0,
           decay_rate=None):
    """One whole update: sign flip, decay, rule, in PyTorch's order. Returns (w, *states).

    w, g and the states have one shape. decay_rate None means L2, a number decoupled decay at that
    rate. Every step of every optimizer goes through here.
    """
    if maximize:
        g = ascend(g)
    if weight_decay and decay_rate is None:
        g = l2(g, w, weight_decay)
    elif weight_decay:
        w = decoupled_decay(w, decay_rate, weight_decay)
    if anatomy(rule).counts:
        result = rule(w, g, *states, t, **hyperparameters)
    else:
        result = rule(w, g, *states, **hyperparameters)
    return result if type(result) is tuple else (result,)


# --- reading a rule ------------------------------------------------------------------------------

Anatomy = namedtuple("Anatomy", "states counts hyperparameters")


@functools.cache
def anatomy(rule):
    """What a rule's signature declares: names of its states, whether it takes t, and its
    hyperparameters as {name: default} (`inspect.Parameter.empty` where a value must be given)."""
    named = getattr(rule, "__name__", repr(rule))
    if not callable(rule):
        raise TypeError("rule must be a function w, *states = rule(w, g, *states, t), "
                        f"got {rule!r}")
    positional, keywords = [], {}
    empty = inspect.Parameter.empty
    for parameter in inspect.signature(rule).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            keywords[parameter.name] = parameter.default
        elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.default is empty:
            positional.append(parameter.name)
        else:
            raise TypeError(f"rule {named}: argument '{parameter}' is neither a state nor a "
                            "hyperparameter; write states without defaults and hyperparameters "
                            "after a star: rule(w, g, m, t, *, lr=0.1)")
    counts = positional[-1:] == ["t"]
    states = tuple(positional[2:-1] if counts else positional[2:])
    if len(positional) < 2 or "t" in states or "step" in states:
        raise TypeError(f"rule {named} takes {positional}; expected w, g, then its states (none "
                        "may be called 'step'), then t if it counts steps")
    return Anatomy(states, counts, keywords)
