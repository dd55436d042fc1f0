"""Momentum: rates, edges, floors and forms.

The one trick: on a quadratic, momentum is a linear recurrence of two terms, and everything about it
is in the roots of z^2 = (1 + b - lr c) z - b.  b: momentum, c: curvature.
"""

import math

import numpy as np

from minigrad.lab.descents import descent, first, radius, recurrence, steps_taken
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "Momentum"
SMALL = 1e-6
COPIES = 10_000  # of a noisy weight


def tuned(kappa):
    """{name: (rule, options, rate)} for a quadratic with curvatures 1 to kappa: the best lr and
    momentum, and by how much they shrink the error per step."""
    root, wide = math.sqrt(kappa), math.sqrt(3 * kappa + 1)
    best = (root - 1) / (root + 1)
    return {
        "descent": (rules.sgd, {"lr": 2 / (1 + kappa)}, (kappa - 1) / (kappa + 1)),
        "heavy ball": (rules.momentum, {"lr": (2 / (1 + root)) ** 2, "momentum": best**2}, best),
        "Nesterov, lr = 1/L": (rules.nesterov, {"lr": 1 / kappa, "momentum": best}, 1 - 1 / root),
        "Nesterov, tuned": (rules.nesterov, {"lr": 4 / (3 * kappa + 1),
                                             "momentum": (wide - 2) / (wide + 2)}, 1 - 2 / wide),
    }


def error(name, options, curvature, t):
    """What is left, in theory, of an error of 1 after t steps."""
    lr, b = options["lr"], options.get("momentum", 0)
    left = 1 - lr * curvature
    if name.startswith("Nesterov"):
        return recurrence((1 + b) * left, b * left, 1, 1 - lr * curvature * (1 + b), t)
    return recurrence(left + b, b, 1, left, t)


@experiment(SUBJECT, kappa=(1.5, 1000))
def momentum_rates(*, kappa=100.0):
    """Momentum replaces the condition number by its root.

    On a quadratic with curvatures from 1 to L = kappa, the best that can be chosen leaves per step
    (kappa - 1) / (kappa + 1) of the error with descent, (s - 1) / (s + 1) with the heavy ball,
    where s = sqrt(kappa), 1 - 1/s with Nesterov's lr = 1/L, and 1 - 2 / sqrt(3 kappa + 1) with
    Nesterov's method tuned (Lessard, Recht, Packard 2016; "Why Momentum Really Works"). The rates
    are read off the rules: spectral radii of one step. Then each is run from (1, 1), and the steps
    to an error of 1e-6 are those of the two-term recurrence.
    """
    curvatures, checks = np.array([1.0, kappa]), []
    most = math.ceil(math.log(SMALL / 2) / math.log((kappa - 1) / (kappa + 1))) + 5
    t = np.arange(most + 1)
    panel = Panel(f"condition number {kappa:g}", "step", "distance to the minimum", log="y")
    curves = []
    for name, (rule, options, rate) in tuned(kappa).items():
        checks.append(equal(f"{name}: rate", radius(rule, curvatures, **options), rate, 1e-6))
        path = descent(rule, lambda w, t: curvatures * w, np.ones(2), most, **options)
        size = np.linalg.norm(path, axis=1)
        theory = np.hypot(*(error(name, options, c, t) for c in curvatures))
        steps = first(size < SMALL)
        checks.append(equal(f"{name}: steps to {SMALL:g}", steps, first(theory < SMALL)))
        seen = slice(0, int(min(steps, most)) + 1)
        panel.measured(name, t[seen], size[seen])
        curves.append((t[seen], theory[seen]))
    for curve in curves:
        panel.predicted(*curve)
    return checks, [panel, rates_panel(kappa)]


def rates_panel(kappa):
    """Steps per digit over the condition number."""
    panel = Panel("price of the condition number", "condition number", "steps per digit", log="xy")
    several, fine = np.geomspace(2, max(kappa, 10), 7), np.geomspace(2, max(kappa, 10), 60)
    for name in tuned(2):
        read = [radius(tuned(k)[name][0], [1, k], **tuned(k)[name][1]) for k in several]
        panel.points(name, several, -math.log(10) / np.log(read))
    for name in tuned(2):
        panel.predicted(fine, [-math.log(10) / math.log(tuned(k)[name][2]) for k in fine])
    return panel


EDGES = {  # name: (rule, its options given b, the largest stable lr given b and curvature)
    "descent": (rules.sgd, lambda b: {}, lambda b, c: 2 / c),
    "heavy ball": (rules.momentum, lambda b: {"momentum": b}, lambda b, c: 2 * (1 + b) / c),
    "mean of gradients": (rules.momentum, lambda b: {"momentum": b, "dampening": b},
                          lambda b, c: 2 * (1 + b) / (1 - b) / c),
    "Nesterov": (rules.nesterov, lambda b: {"momentum": b},
                 lambda b, c: 2 * (1 + b) / (1 + 2 * b) / c),
}


@experiment(SUBJECT, momentum=(0.01, 0.99), curvature=(1e-3, 1e3))
def stability_edges(*, momentum=0.9, curvature=1.0):
    """The largest learning rate that does not diverge.

    On a quadratic of curvature c, descent is stable below lr = 2 / c, the heavy ball below
    2 (1 + b) / c, momentum as a running mean (dampening = b) below 2 (1 + b) / (1 - b) / c, and
    Nesterov's method already no more above 2 (1 + b) / (1 + 2b) / c. The edge is found by halving
    intervals until the spectral radius of one step of the rule is 1. At lr = 2 / c exactly, descent
    jumps from side to side for ever.
    """
    checks, t = [], np.arange(61)
    panel = Panel("per step, the error grows by", "lr * curvature", "spectral radius", log="x")
    grid = np.geomspace(0.05, 60, 200)
    for name, (rule, chosen, edge) in EDGES.items():
        options, predicted = chosen(momentum), edge(momentum, curvature)
        low, high = 0.0, 1e6 / curvature
        for _ in range(80):
            middle = (low + high) / 2
            stable = radius(rule, curvature, lr=middle, **options) < 1
            low, high = (middle, high) if stable else (low, middle)
        checks.append(close(f"{name}: largest stable lr", low, predicted, 1e-6))
        read = [radius(rule, 1.0, lr=lr, **options) for lr in grid]
        panel.measured(name, grid, np.where(np.array(read) < 1.6, read, np.nan))
        panel.predicted([predicted * curvature], [1.0], "predicted edges")
    path = descent(rules.sgd, lambda w, t: curvature * w, 1.0, len(t) - 1, lr=2 / curvature)
    checks.append(same("descent at 2 / c: |w| - 1", abs(path), 1))
    return checks, [panel]


@experiment(SUBJECT, lr=(0.01, 1.0), momentum=(0.0, 0.98), curvature=(0.1, 2.0), noise=(1e-3, 1e3),
            seed=(0, 10**6))
def noise_floor(*, lr=0.1, momentum=0.9, curvature=1.0, noise=1.0, seed=0):
    """With a constant learning rate, SGD never arrives.

    On a quadratic of curvature c with noise of variance s2 in the gradients, the weight ends up
    wandering around the minimum with the variance lr s2 / (c (2 - lr c)), and with momentum b
    lr s2 (1 + b) / (c (1 - b) (2 (1 + b) - lr c)): about 1 / (1 - b) times as much. 10,000 weights
    are run at once, and five standard errors of the variance are allowed (7 %).
    """
    if lr * curvature >= 2:
        raise ValueError(f"noise_floor: lr * curvature is {lr * curvature:g} and descent diverges "
                         "from 2 on; choose a smaller lr")
    rng = np.random.default_rng(seed)
    s2, b, c = noise**2, momentum, curvature
    floors = {"descent": lr * s2 / (c * (2 - lr * c)),
              "momentum": lr * s2 * (1 + b) / (c * (1 - b) * (2 * (1 + b) - lr * c))}
    checks = []
    panel = Panel("10,000 noisy weights", "step", "variance of w", log="y")
    for name, (rule, options) in {"descent": (rules.sgd, {}),
                                  "momentum": (rules.momentum, {"momentum": b})}.items():
        rate = radius(rule, c, lr=lr, **options)
        steps = min(4000, math.ceil(math.log(1e-3) / math.log(max(rate, 0.5))))
        variances = np.empty(steps)

        def gradient(w, t, variances=variances):
            variances[t - 1] = (w * w).mean()
            return c * w + rng.normal(0, noise, w.shape)
        last = last_weights(rule, gradient, np.zeros(COPIES), steps, lr=lr, **options)
        sure = 5 * math.sqrt(2 / COPIES)
        checks.append(close(f"{name}: variance of w", (last**2).mean(), floors[name], sure))
        panel.measured(name, range(1, steps), variances[1:])
        panel.predicted([1, steps], [floors[name]] * 2)
    return checks, [panel]


def last_weights(rule, gradient, w, steps, **options):
    """Where a descent ends, without a memory of how it got there."""
    states = [0.0] * len(rules.anatomy(rule).states)
    for t in range(1, steps + 1):
        w, *states = rules.update(rule, w, gradient(w, t), states, t, options)
    return w


@experiment(SUBJECT, momentum=(0.0, 0.99), lr=(1e-4, 1.0), drop=(1.0, 1000.0), steps=(2, 300))
def momentum_forms(*, momentum=0.9, lr=0.1, drop=10.0, steps=40):
    """Two forms of momentum part when lr changes.

    Slide "Momentum" has v = momentum v + g, and lr outside; Sutskever et al. 2013 keep lr inside:
    v = momentum v - lr g. With a constant lr both take the same path. When lr drops to lr / drop
    after `steps` steps, Sutskever's v still holds steps of the old size. On a constant gradient of
    1 it travels further, in as many steps again, by

        (lr - lr/drop) * (1 - b^n) / (1 - b) * b (1 - b^n) / (1 - b)

    b: momentum, n: steps. Two more identities: a constant gradient makes a step of lr / (1 - b) in
    the end, and a running mean of gradients is a heavy ball whose lr is (1 - b) times as large.
    """
    b, n, ones = momentum, steps, np.ones(2 * steps)
    curvature = np.array([0.5, 1.0])

    def rate(t):
        return lr if t <= n else lr / drop
    paths = {form: -np.cumsum(steps_taken(rules.momentum, ones, lr=rate, momentum=b, form=form))
             for form in ("torch", "sutskever")}
    bowls = {form: descent(rules.momentum, lambda w, t: curvature * w, [1.0, 1.0], 2 * n, lr=rate,
                           momentum=b, form=form) for form in paths}
    part = (1 - b**n) / (1 - b)
    excess = (lr - lr / drop) * part * b * part
    long = math.ceil(math.log(1e-12) / math.log(max(b, 0.5)))
    last = steps_taken(rules.momentum, np.ones(long), lr=lr, momentum=b)[-1]
    mixed = np.random.default_rng(0).normal(size=50)  # any gradients will do
    mean, means = 0.0, []
    for g in mixed:
        mean = b * mean + (1 - b) * g
        means.append(lr * mean)
    ball = steps_taken(rules.momentum, mixed, lr=lr * (1 - b), momentum=b)
    checks = [
        same("difference before lr changes", bowls["torch"][:n + 1], bowls["sutskever"][:n + 1]),
        equal("Sutskever's further travel, constant g", paths["torch"][-1] - paths["sutskever"][-1],
              excess, 1e-9 * max(1, excess)),
        close("step under a constant gradient", last, lr / (1 - b)),
        same("running mean - ball with lr (1 - b)", means, ball),
    ]
    panel = Panel(f"gradient 1, lr / {drop:g} after step {n}", "step", "distance travelled")
    for form, name in (("torch", "lr outside (slides, PyTorch)"),
                       ("sutskever", "lr inside (Sutskever et al.)")):
        panel.measured(name, range(1, 2 * n + 1), -paths[form])
    panel.predicted([2 * n], [-paths["torch"][-1] + excess], "predicted end")
    return checks, [panel]
