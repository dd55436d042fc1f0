"""Running an update rule without an optimizer around it, and what theory says about it.

The one trick: on a quadratic, a rule without roots and signs is a linear map of (w, states). Its
matrix is read off the rule by stepping unit vectors, so that rates of convergence are measured on
the very code that trains.
"""

import math

import numpy as np

from minigrad import autograd
from minigrad.creation import tensor
from minigrad.optim import rules

LATE = 10**9  # a step number so late that bias corrections are 1: beta**LATE is 0


def descent(rule, gradient, start, steps, *, clock=None, project=None, modifiers=None,
            **hyperparameters):
    """The weights before every step and after the last one: (steps + 1, *shape of start).

    gradient(w, t) is the gradient at step t, from 1 on. A hyperparameter may be a function of t.
    clock(t): the step number that the rule is told. project(w): keeps w in its domain. modifiers:
    those of rules.update (maximize, weight_decay, decay_rate).
    """
    w, modifiers = np.array(start, float), modifiers or {}
    states = [0.0] * len(rules.anatomy(rule).states)
    path = np.empty((steps + 1, *w.shape))
    path[0] = w
    for t in range(1, steps + 1):
        values = {name: value(t) if callable(value) else value
                  for name, value in hyperparameters.items()}
        w, *states = rules.update(rule, w, gradient(w, t), states, clock(t) if clock else t,
                                  values, **modifiers)
        path[t] = w = w if project is None else project(w)
    return path


def steps_taken(rule, gradients, **options):
    """The steps, with their sign turned, that a rule makes of gradients known beforehand: of shape
    (n, ...), as the gradients. As the weights grow large, so does the rounding."""
    path = descent(rule, lambda w, t: gradients[t - 1], np.zeros_like(gradients[0]),
                   len(gradients), **options)
    return -np.diff(path, axis=0)


def slope(function, w):
    """The gradient of a function of a tensor at the array w, by the engine."""
    w = tensor(w, requires_grad=True)
    return autograd.grad(function(w), w)[0].numpy()


def step_matrix(rule, curvature, **hyperparameters):
    """The matrix that takes (w, *states) through one step (not the first) on the quadratic
    curvature / 2 * w**2."""
    n = 1 + len(rules.anatomy(rule).states)
    columns = [rules.update(rule, w, curvature * w, states, 2, hyperparameters)
               for w, *states in np.eye(n)]
    return np.array(columns, float).T


def radius(rule, curvatures, **hyperparameters):
    """By how much an error on a quadratic shrinks per step in the long run, in the worst of its
    directions: the spectral radius of the rule."""
    return max(np.abs(np.linalg.eigvals(step_matrix(rule, curvature, **hyperparameters))).max()
               for curvature in np.atleast_1d(curvatures))


def first(conditions):
    """The index of the first True; infinity if there is none."""
    found = np.flatnonzero(conditions)
    return int(found[0]) if len(found) else math.inf


def recurrence(p, q, x0, x1, t):
    """x_t of x_{t+1} = p x_t - q x_{t-1}, in closed form. t: an array of whole numbers.

    With the roots r, s of z^2 = p z - q:  x_t = x1 U_t - q x0 U_{t-1},  U_t = (r^t - s^t)/(r - s).
    """
    t = np.asarray(t)
    root = np.sqrt(complex(p * p - 4 * q))
    r, s = (p + root) / 2, (p - root) / 2

    def u(t):
        if abs(r - s) <= 1e-7 * abs(r):  # a double root
            return t * np.where(t == 0, 0, r ** np.maximum(t - 1.0, 0)) if r else (t == 1) * 1.0
        return (r**t - s**t) / (r - s)
    later = x1 * u(t) - q * x0 * u(np.maximum(t - 1, 0))
    return np.where(t == 0, x0, later).real
