"""Saddle points: how long it takes to leave one.

The surface is the slides' f = x^2 - y^2, and its gradient is the engine's. An optimizer starts a
little beside the saddle, at y0, and has left it when |y| >= 1.
"""

import math

import numpy as np

from minigrad.lab.descents import descent, first, recurrence, slope
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "Saddle points"
FURTHER = 1e6  # another start is nearer to the saddle by this factor, a million
COPIES = 4000  # of a noisy descent
ADAPTIVE = {"Adam": (rules.adam, {"eps": 0}), "RMSProp": (rules.rmsprop, {"eps": 0}),
            "AdaGrad": (rules.adagrad, {"eps": 0})}


def saddle(w):
    """The slides' equation (1), x^2 - y^2, at many points at once: w is (2, points)."""
    return (w[0] ** 2 - w[1] ** 2).sum()


def heights(rule, starts, steps, **options):
    """|y| at every step of descents from (1, y0), for each y0 of starts: (steps + 1, starts)."""
    start = np.stack([np.ones(len(starts)), starts])
    path = descent(rule, lambda w, t: slope(saddle, w), start, steps, **options)
    return np.abs(path[:, 1])


@experiment(SUBJECT, y0=(1e-9, 1e-4), lr=(0.005, 0.1), momentum=(0.0, 0.95))
def saddle_escape(*, y0=1e-4, lr=0.01, momentum=0.9):
    """How many steps it takes to leave a saddle.

    Slide "Understanding saddle points". Descent multiplies y by 1 + 2 lr, so that it needs ln(1/y0)
    / ln(1 + 2 lr) steps, rounded up: the nearer to the saddle, the longer. Momentum obeys y(t+1) =
    (1 + momentum + 2 lr) y(t) - momentum y(t-1) and leaves much sooner. Adam, RMSProp and AdaGrad
    divide by the size of the gradient, so it makes no difference to them how near they begin: from
    a million times nearer they need the same number of steps, give or take two, or 1 %. From the
    saddle itself, where the gradient is zero, none of them ever leaves.
    """
    starts = np.array([y0, y0 / FURTHER, 0.0])
    growth = 1 + 2 * lr
    most = math.ceil(math.log(1 / starts[1]) / math.log(growth)) + 2
    t = np.arange(most + 1)
    plain = heights(rules.sgd, starts, most, lr=lr)
    heavy = heights(rules.momentum, starts, most, lr=lr, momentum=momentum)
    by_hand = {y: y * recurrence(1 + momentum + 2 * lr, momentum, 1, growth, t) for y in starts[:2]}
    checks = []
    for column, y in enumerate(starts[:2]):
        checks.append(equal(f"descent, steps from y0 = {y:.3g}", first(plain[:, column] >= 1),
                            math.ceil(math.log(1 / y) / math.log(growth))))
    for column, y in enumerate(starts[:2]):
        checks.append(equal(f"momentum, steps from y0 = {y:.3g}", first(heavy[:, column] >= 1),
                            first(by_hand[y] >= 1)))
    panel = Panel(f"leaving the saddle from y0 = {y0:g}", "step", "|y|", log="y")
    shown = slice(0, int(first(plain[:, 0] >= 1)) + 1)
    panel.measured("descent", t[shown], plain[shown, 0])
    panel.measured("momentum", t[shown], np.where(heavy[shown, 0] < 10, heavy[shown, 0], np.nan))
    never = [plain[:, 2].max(), heavy[:, 2].max()]
    for name, (rule, options) in ADAPTIVE.items():
        steps = math.ceil(0.3 / lr**2) + 200 if name == "AdaGrad" else math.ceil(3 / lr) + 200
        y = heights(rule, [y0, y0 / FURTHER], steps, lr=lr, **options)
        left, nearer = first(y[:, 0] >= 1), first(y[:, 1] >= 1)
        checks.append(equal(f"{name}, a million times nearer: steps", nearer, left,
                            2 + left / 100))
        panel.measured(name, *cut(y[:, 0], shown.stop))
        never.append(heights(rule, [0.0], 20, lr=lr, **{**options, "eps": 1e-8}).max())
    panel.predicted(t[shown], y0 * growth ** t[shown])
    checks.append(equal("largest |y| ever reached from y0 = 0", max(never), 0))
    return checks, [panel]


def cut(y, most):
    """(steps, y) of a curve: up to `most` steps, and no further than |y| = 10."""
    y = y[:min(most, int(min(first(y >= 10), len(y))))]
    return np.arange(len(y)), y


@experiment(SUBJECT, lr=(0.005, 0.2), noise=(1e-6, 0.1), seed=(0, 10**6))
def saddle_noise(*, lr=0.05, noise=1e-3, seed=0):
    """Noise lets gradient descent leave a saddle.

    From the saddle itself plain descent never moves. With noise of standard deviation `noise` in
    its gradients, y is after t steps normally distributed around 0 with the variance

        (lr noise)^2 * ((1 + 2 lr)^(2t) - 1) / ((1 + 2 lr)^2 - 1)

    so that after about ln(1 / (lr noise)) / ln(1 + 2 lr) steps it is gone: SGD needs no luck. 4000
    descents are run; a variance estimated from them is good to 2.2 %, and five times that is
    allowed.
    """
    rng = np.random.default_rng(seed)
    growth = 1 + 2 * lr
    steps = math.ceil(math.log(1 / (lr * noise)) / math.log(growth))
    t = np.arange(steps + 1)
    start = np.zeros((2, COPIES))
    path = descent(rules.sgd, lambda w, t: slope(saddle, w) + rng.normal(0, noise, w.shape),
                   start, steps, lr=lr)[:, 1]
    still = descent(rules.sgd, lambda w, t: slope(saddle, w), start[:, :1], steps, lr=lr)
    variance = (lr * noise) ** 2 * (growth ** (2.0 * t) - 1) / (growth**2 - 1)
    sure = 5 * math.sqrt(2 / COPIES)
    gone = np.mean(np.abs(path[-1]) >= 1)
    share = math.erfc(1 / math.sqrt(2 * variance[-1]))
    checks = [
        same("descent without noise, |y|", still, 0, 0.0),
        close("variance of y half way", (path[steps // 2] ** 2).mean(), variance[steps // 2], sure),
        close("variance of y at the end", (path[-1] ** 2).mean(), variance[-1], sure),
        equal("share that has left, |y| >= 1", gone, share, 5 * math.sqrt(0.25 / COPIES)),
    ]
    panel = Panel("from the saddle itself", "step", "standard deviation of y", log="y")
    panel.measured(f"{COPIES} noisy descents", t[1:], path[1:].std(axis=1))
    return checks, [panel.predicted(t[1:], np.sqrt(variance[1:]))]
