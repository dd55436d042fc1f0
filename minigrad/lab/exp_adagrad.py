"""AdaGrad and RMSProp: a learning rate for every weight, with a long memory or a short one."""

import math

import numpy as np

from minigrad.lab.descents import descent, steps_taken
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "AdaGrad and RMSProp"
ZETA = -1.4603545088095868  # Riemann's zeta at 1/2: 1 + 1/sqrt(2) + ... + 1/sqrt(n) - 2 sqrt(n)


def full_matrix_adagrad(w, g, G, t, *, lr=1e-2, eps=1e-8):
    """Duchi, Hazan, Singer 2011, Figure 1, full matrix: G sums the outer products g g', (d, d),
    and the step is lr (eps I + G^(1/2))^-1 g. Its d^3 operations a step are why the slides'
    equation (8) takes the diagonal alone. w: (d,)."""
    G = G + np.outer(g, g)
    values, vectors = np.linalg.eigh(G)
    roots = np.sqrt(np.maximum(values, 0))
    return w - lr * (vectors @ ((vectors.T @ g) / (eps + roots))), G


@experiment(SUBJECT, lr=(1e-4, 10.0), gradient=(1e-3, 1e6), steps=(10, 20_000))
def adagrad_decay(*, lr=0.1, gradient=3.0, steps=5000):
    """AdaGrad's steps shrink as 1 / sqrt(t).

    Slides (7) and (8): G only grows. Under a constant gradient of whatever size, step t is
    lr / sqrt(t), and all of them together get as far as lr (1 + 1/sqrt(2) + ... + 1/sqrt(T)), which
    is lr (2 sqrt(T) - 1.46) nearly: it slows down, but it never stops.
    """
    taken = steps_taken(rules.adagrad, np.full(steps, gradient), lr=lr, eps=0)
    t = np.arange(1, steps + 1)
    travel = lr * (2 * math.sqrt(steps) + ZETA)
    checks = [
        same("step / lr * sqrt(t) - 1, any t", taken / lr * np.sqrt(t), 1, 1e-7),
        close("distance, by the sum", taken.sum(), lr * (1 / np.sqrt(t)).sum(), 1e-9),
        equal("distance, by 2 sqrt(T) - 1.46", taken.sum(), travel, lr * 0.51 / math.sqrt(steps)),
    ]
    panel = Panel(f"constant gradient {gradient:g}", "step", "length of the step", log="xy")
    panel.measured("AdaGrad", t, taken)
    return checks, [panel.predicted(t, lr / np.sqrt(t), "lr / sqrt(t)")]


@experiment(SUBJECT, angle=(1, 89), kappa=(2, 1000), steps=(20, 2000))
def full_matrix(*, angle=30.0, kappa=100.0, steps=300):
    """What AdaGrad loses with all but the diagonal of G.

    Slide (7) sums whole outer products g g', a d x d matrix; (8) uses its diagonal. With the whole
    matrix (Duchi et al. 2011) the path in a ravine does not depend on how the ravine lies: turned
    by `angle` it is the same path. Along the axes, where there is nothing off the diagonal, a first
    step is lr in length with the matrix and lr sqrt(2) without; and under a constant gradient the
    step with the matrix is lr / sqrt(t) in length, in any direction.
    """
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    scales, lr = np.array([1.0, kappa]), 0.5

    def path(rule, turned, eps):
        return descent(rule, lambda u, t: turned @ (scales * (turned.T @ u)),
                       turned @ [1.0, 0.3], steps, lr=lr, eps=eps) @ turned
    paths = {name: [path(rule, turned, eps) for turned in (np.eye(2), turn)] for name, rule, eps in
             (("matrix", full_matrix_adagrad, 1e-8), ("diagonal", rules.adagrad, 0.0))}
    direction = np.array([3.0, 4.0]) / 5
    t = np.arange(1, 101)
    constant = steps_taken(full_matrix_adagrad, np.tile(direction, (100, 1)), lr=lr, eps=1e-8)
    axes = np.tile([[1.0, 0.0], [0.0, 2.0]], (50, 1))  # one axis at a time
    one, other = (steps_taken(rule, axes, lr=lr, eps=1e-8)
                  for rule in (full_matrix_adagrad, rules.adagrad))
    g = scales * [1.0, 0.3]
    apart = np.linalg.norm(turn.T @ np.sign(turn @ g) - np.sign(g)) * lr
    straight, turned = paths["diagonal"]
    checks = [
        same("matrix: path turned - path", *paths["matrix"], 1e-5),
        close("diagonal: first step, turned - not",
              np.linalg.norm(turned[1] - straight[1]), apart, 1e-6),
        close("matrix: length of the first step", np.linalg.norm(np.diff(
            paths["matrix"][1][:2], axis=0)), lr, 1e-6),
        close("diagonal: length of the first step", np.linalg.norm(np.diff(
            paths["diagonal"][1][:2], axis=0)), lr * math.sqrt(2), 1e-6),
        same("matrix: step * sqrt(t) / lr - 1",
             np.linalg.norm(constant, axis=1) * np.sqrt(t) / lr, 1, 1e-6),
        same("along the axes: matrix - diagonal", one, other, 1e-6),
    ]
    panel = Panel(f"a ravine with kappa = {kappa:g}", "step", "distance to the minimum", log="y")
    for name, both in paths.items():
        for lies, path in zip(("", f", turned by {angle:g}"), both):
            distance = np.linalg.norm(path, axis=1)
            panel.measured(name + lies, range(steps + 1),
                           np.where(distance > 1e-15, distance, np.nan))
    return checks, [panel]


@experiment(SUBJECT, alpha=(0.0, 0.999), lr=(1e-4, 1.0), burst=(1.0, 1e4), seed=(0, 10**6))
def rmsprop_window(*, alpha=0.9, lr=0.01, burst=100.0, seed=0):
    """RMSProp is AdaGrad with a window.

    Slides (9) and (10): a running mean of g * g in place of their sum. With alpha = 1 - 1/t and the
    learning rate lr / sqrt(t), which is a window over everything, RMSProp takes AdaGrad's path on
    any gradients. With a constant alpha it forgets: under a constant gradient step t is
    lr / sqrt(1 - alpha^t), the first one 1 / sqrt(1 - alpha) times lr. When five gradients of size
    `burst` are followed by 200 of size 1, AdaGrad's last step is lr / sqrt(5 burst^2 + 200), but
    RMSProp's is lr / sqrt(1 - alpha^205 + alpha^200 (1 - alpha^5) (burst^2 - 1)).
    """
    rng = np.random.default_rng(seed)
    gradients = rng.normal(size=(300, 4)) * [1.0, 10.0, 0.1, 1e-3]
    adagrad = steps_taken(rules.adagrad, gradients, lr=lr, eps=0)
    window = steps_taken(rules.rmsprop, gradients, lr=lambda t: lr / math.sqrt(t), eps=0,
                         alpha=lambda t: 1 - 1 / t)
    t = np.arange(1, 301)
    constant = steps_taken(rules.rmsprop, np.full(300, 7.0), lr=lr, alpha=alpha, eps=0)
    after = np.array([burst] * 5 + [1.0] * 200)
    long = steps_taken(rules.adagrad, after, lr=lr, eps=0)
    fading = steps_taken(rules.rmsprop, after, lr=lr, alpha=alpha, eps=0)
    n = np.arange(1, 201)
    recovering = lr / np.sqrt(1 - alpha ** (n + 5.0)
                              + alpha ** (1.0 * n) * (1 - alpha**5) * (burst**2 - 1))
    checks = [
        same("RMSProp, alpha = 1 - 1/t, minus AdaGrad", window, adagrad),
        close("first step / lr", constant[0] / lr, 1 / math.sqrt(1 - alpha)),
        same("step / lr * sqrt(1 - alpha^t) - 1",
             constant / lr * np.sqrt(1 - alpha ** (1.0 * t)), 1, 1e-9),
        close("AdaGrad's last step after the burst", long[-1], lr / math.sqrt(5 * burst**2 + 200)),
        close("RMSProp's last step after the burst", fading[-1], recovering[-1]),
    ]
    panel = Panel(f"five gradients of {burst:g}, then 1", "step", "length of the step / lr",
                  log="y")
    panel.measured("AdaGrad", range(1, 206), long / lr)
    panel.measured(f"RMSProp, alpha {alpha:g}", range(1, 206), fading / lr)
    panel.predicted(n + 5, recovering / lr)
    return checks, [panel.predicted(n + 5, 1 / np.sqrt(5 * burst**2 + n))]
