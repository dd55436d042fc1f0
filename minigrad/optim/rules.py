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
    u  mean of dx * dx (Adadelta)                                   acc_delta
       or largest |g|, fading (Adamax)                              exp_inf
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


def matrices(rule):
    """Marks a rule that steps whole matrices: an optimizer refuses parameters of other than two
    dimensions before it begins."""
    rule.matrices = True
    return rule


def has_states_like_w(rule):
    """Is every state that is no number known to have the shape of w?"""
    return getattr(rule, "elementwise", False) or getattr(rule, "matrices", False)


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


@elementwise
def adadelta(w, g, v, u, *, lr=1.0, rho=0.9, eps=1e-6):
    """Zeiler 2012, Algorithm 1, with eps inside both roots; torch.optim.Adadelta.

    u is the mean square of the updates so far, so an update has the unit of w. The paper has no
    lr: it is 1. The very first update comes from eps alone.
    """
    v = rho * v + (1 - rho) * (g * g)
    dx = np.sqrt((u + eps) / (v + eps)) * g
    u = rho * u + (1 - rho) * (dx * dx)
    step = lr * dx
    return w - step, v, u


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


# --- Adam's relatives ----------------------------------------------------------------------------

@elementwise
def adamax(w, g, m, u, t, *, lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Kingma and Ba 2015, Algorithm 2; torch.optim.Adamax.

    Adam with the largest |g| in place of the root mean square: u fades by beta2 a step until a
    larger gradient comes. It needs no correction. eps, which the paper does without, keeps u
    above 0: it is added to |g|, inside the maximum.
    """
    m = beta1 * m + (1 - beta1) * g
    u = np.maximum(beta2 * u, np.abs(g) + eps)
    m_hat = m / (1 - beta1**t)
    step = lr * m_hat / u
    return w - step, m, u


@elementwise
def nadam(w, g, m, v, mu_product, t, *, lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8,
          momentum_decay=4e-3):
    """Dozat 2016, "Incorporating Nesterov Momentum into Adam"; torch.optim.NAdam.

    Nesterov's look-ahead: the momentum that the next step would apply is applied now, beside the
    gradient. mu is the momentum, warmed up from beta1 / 2 to beta1; mu_product, one number, is the
    product of all mu so far and corrects the bias.
    """
    mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    mu_product = mu if t == 1 else mu_product * mu
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = mu_next / (1 - mu_product * mu_next) * m + (1 - mu) / (1 - mu_product) * g
    v_hat = v / (1 - beta2**t)
    denominator = np.sqrt(v_hat) + eps
    step = lr * m_hat / denominator
    return w - step, m, v, mu_product


@elementwise
def radam(w, g, m, v, t, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """Liu et al. 2020, "On the Variance of the Adaptive Learning Rate", Alg. 2; torch.optim.RAdam.

    v says little while it has seen few gradients: rho is how many it amounts to. Up to 5 (the
    paper: 4) the step is that of momentum; after that Adam's, shortened by `rectifier`. eps is
    added to the root of v as it is, before the correction.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = m / (1 - beta1**t)
    correction = 1 - beta2**t
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / correction
    if rho <= 5:
        step = lr * m_hat
    else:
        gained = (rho - 4) * (rho - 2) / rho
        rectifier = (gained * rho_inf / ((rho_inf - 4) * (rho_inf - 2))) ** 0.5
        denominator = np.sqrt(v) + eps
        step = lr * rectifier * correction**0.5 * m_hat / denominator
    return w - step, m, v


# --- signs and matrices --------------------------------------------------------------------------

@elementwise
def rprop(w, g, previous, size, t, *, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50.0)):
    """Riedmiller and Braun 1993, as iRprop- of Igel and Huesken 2000; torch.optim.Rprop.

    Only the sign of g counts; every weight has a step size of its own, lr at first. It grows by
    etas[1] while the sign stays and shrinks by etas[0] where it turned: there a minimum was jumped
    over, and the weight rests for one step. For whole data sets: the noise of minibatches turns
    signs, too.
    """
    (shrink, grow), (least, most) = etas, step_sizes
    if t == 1:
        size = lr + np.zeros_like(g)
    agreement = g * previous
    size = np.where(agreement > 0, grow * size, np.where(agreement < 0, shrink * size, size))
    size = np.clip(size, least, most)
    g = np.where(agreement < 0, 0.0, g)
    step = np.sign(g) * size
    return w - step, g, size


@elementwise
def lion(w, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", Alg. 2; optax.lion.

    Every weight moves by lr, whatever the size of g. Its direction looks further ahead (beta1)
    than the momentum remembers (beta2). The decay is decoupled.
    """
    w = decoupled_decay(w, lr, weight_decay)
    c = beta1 * m + (1 - beta1) * g
    m = beta2 * m + (1 - beta2) * g
    step = lr * np.sign(c)
    return w - step, m


@matrices
def muon(w, g, b, *, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
         ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None):
    """Jordan et al. 2024, "Muon: An optimizer for hidden layers"; torch.optim.Muon.

    w is a matrix, (rows, columns). The step is the momentum with all singular values made about
    equal, so that no direction dominates. adjust_lr_fn None or "original" scales lr by
    sqrt(max(1, rows / columns)), "match_rms_adamw" (Liu et al. 2025) by
    0.2 sqrt(max(rows, columns)). The momentum is a running mean of g, as in PyTorch's code (its
    documentation has a sum), and PyTorch orthogonalizes in bfloat16, three digits; this is exact.
    """
    rows, columns = w.shape
    b = momentum * b + (1 - momentum) * g
    look_ahead = momentum * b + (1 - momentum) * g if nesterov else b
    direction = orthogonalized(look_ahead, ns_coefficients, ns_steps, eps)
    if adjust_lr_fn == "match_rms_adamw":
        rate = lr * 0.2 * max(rows, columns) ** 0.5
    else:
        rate = lr * max(1, rows / max(1, columns)) ** 0.5
    step = rate * direction
    return decoupled_decay(w, lr, weight_decay) - step, b


def orthogonalized(matrix, coefficients, steps, eps):
    """The matrix with its singular vectors kept and its singular values near 1 (0.7 to 1.2).

    Newton and Schulz's way needs only products: x (a + b x^2 + c x^4), repeated, lifts every
    number in (0, 1] towards 1, and a matrix polynomial does that to all singular values at once.
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # the shorter side makes the smaller gram matrix
    x = x / np.maximum(np.sqrt((x * x).sum()), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x


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
