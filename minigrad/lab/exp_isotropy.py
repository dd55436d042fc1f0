"""SGD's isotropy: which optimizers care how the axes lie, and what different scales cost.

The one trick: to turn the axes, run the same rule on the turned problem and turn the path back. A
rule that treats all directions equally cannot tell the difference.
"""

import numpy as np

from minigrad import autograd, tensor
from minigrad.lab.descents import descent, first
from minigrad.lab.exp_adagrad import full_matrix_adagrad
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "SGD's isotropy problem"
SMALL = 1e-6  # an error is gone when it is this small

ISOTROPIC = {
    "SGD": (rules.sgd, {"lr": 0.05}),
    "momentum": (rules.momentum, {"lr": 0.02}),
    "Nesterov": (rules.nesterov, {"lr": 0.02}),
    "full-matrix AdaGrad": (full_matrix_adagrad, {"lr": 0.1, "eps": 1e-8}),
}
PER_WEIGHT = {  # each of them moves by a multiple of sign(g) at first
    "AdaGrad": (rules.adagrad, {"lr": 0.1, "eps": 0}),
    "RMSProp": (rules.rmsprop, {"lr": 0.02, "eps": 0}),
    "Adam": (rules.adam, {"lr": 0.05, "eps": 0}),
    "AMSGrad": (rules.amsgrad, {"lr": 0.05, "eps": 0}),
    "Adamax": (rules.adamax, {"lr": 0.05, "eps": 0}),
    "Lion": (rules.lion, {"lr": 0.02}),
    "Rprop": (rules.rprop, {"lr": 0.02}),
    "NAdam": (rules.nadam, {"lr": 0.02, "eps": 0}),
    "Adadelta": (rules.adadelta, {"eps": 1e-12}),
}
LATER = {"RAdam": (rules.radam, {"lr": 0.02})}  # its first five steps are those of momentum


@experiment(SUBJECT, angle=(0, 360), kappa=(1, 30), steps=(1, 200))
def isotropy(*, angle=30.0, kappa=10.0, steps=60):
    """Which optimizers treat all directions equally.

    Slide "SGD's isotropy problem", made exact: turn the axes of the problem, descend, and turn the
    path back. For SGD, momentum, Nesterov and AdaGrad with the full matrix G it is the same path.
    For a rule that scales every weight on its own it is not: its first step is a multiple of
    sign(g), so turning by R makes a difference of |R' sign(R g) - sign(g)|, relative to sign(g).
    (RAdam begins with five steps of momentum, and so begins isotropic.) Exchanging or mirroring
    axes makes no difference to any of them.
    """
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    mirror = np.array([[0.0, -1.0], [1.0, 0.0]])  # the axes exchanged, one of them mirrored
    start, scales = np.array([1.0, 0.5]), np.array([1.0, kappa])

    def path(rule, options, turned):
        def gradient(u, t):
            w = turned.T @ u
            return turned @ (scales * w + w**3)
        return descent(rule, gradient, turned @ start, steps, **options) @ turned

    g = scales * start + start**3
    apart = np.linalg.norm(turn.T @ np.sign(turn @ g) - np.sign(g)) / np.linalg.norm(np.sign(g))
    checks, everything = [], {**ISOTROPIC, **PER_WEIGHT, **LATER}
    straight = {name: path(*chosen, np.eye(2)) for name, chosen in everything.items()}
    turned = {name: path(*chosen, turn) for name, chosen in everything.items()}
    for name in ISOTROPIC:
        checks.append(same(f"{name}, path turned", straight[name], turned[name], 1e-6))
    for name in PER_WEIGHT:
        one, other = (paths[name][1] - start for paths in (straight, turned))
        measured = np.linalg.norm(other - one) / np.linalg.norm(one)
        checks.append(equal(f"{name}, first step turned", measured, apart, 1e-6))
    for name in LATER:
        checks.append(same(f"{name}, first step turned", straight[name][1], turned[name][1]))
    worst = max(np.abs(straight[name] - path(*chosen, mirror)).max()
                for name, chosen in everything.items())
    checks.append(equal("all of them, axes exchanged", worst, 0, 1e-6))
    panels = []
    for name in ("SGD", "Adam"):
        panel = Panel(f"{name}: two paths to the same minimum", "w[0]", "w[1]")
        panel.measured("axes as they are", *straight[name].T)
        panel.measured(f"axes turned by {angle:g} degrees", *turned[name].T)
        panels.append(panel)
    return checks, panels


def descent_steps(kappa):
    """How many steps descent with the best lr, 2 / (1 + kappa), takes from (1, 1) to within SMALL
    of the minimum of (w0^2 + kappa w1^2) / 2. Both errors shrink by (kappa - 1) / (kappa + 1)."""
    most = int(np.ceil(np.log(SMALL / 2) / np.log(max(1e-9, (kappa - 1) / (kappa + 1))))) + 2
    rate = (kappa - 1) / (kappa + 1)
    return first(np.sqrt(2) * rate ** np.arange(most + 1) < SMALL), most


@experiment(SUBJECT, kappa=(1, 1000))
def conditioning(*, kappa=100.0):
    """Descent slows down with the condition number.

    Slide "SGD's isotropy problem": slow progress along shallow directions. On a quadratic whose
    curvatures are 1 and kappa, one lr has to serve both. The best is 2 / (1 + kappa); then every
    step leaves (kappa - 1) / (kappa + 1) of the error, in both directions, and from (1, 1) it takes
    the number of steps after which sqrt(2) times that to the power of t is below 1e-6.
    """
    scales = np.array([1.0, kappa])

    def errors(kappa):
        scales, (_, most) = np.array([1.0, kappa]), descent_steps(kappa)
        path = descent(rules.sgd, lambda w, t: scales * w, np.ones(2), most, lr=2 / (1 + kappa))
        return np.linalg.norm(path, axis=1)

    size = errors(kappa)
    expected = np.sqrt(2) * ((kappa - 1) / (kappa + 1)) ** np.arange(len(size))
    largest = 2 / scales.max()  # a longer lr overshoots in the steep direction
    beyond = descent(rules.sgd, lambda w, t: scales * w, np.ones(2), 400, lr=1.05 * largest)
    checks = [
        equal("steps to an error of 1e-6", first(size < SMALL), descent_steps(kappa)[0]),
        same("error, at every step", size, expected),
        close("growth per step, lr 5% above 2/kappa", abs(beyond[-1, 1] / beyond[-2, 1]), 1.1),
    ]
    several = np.unique(np.geomspace(1.5, max(kappa, 1.6), 9))
    counts = [first(errors(k) < SMALL) for k in several]
    steps = Panel("error", "step", "distance to the minimum", log="y")
    steps.measured("gradient descent", range(len(size)), size)
    steps.predicted(range(len(size)), expected, "rate (kappa - 1) / (kappa + 1)")
    costs = Panel("price of the condition number", "condition number kappa", "steps", log="xy")
    costs.points("gradient descent", several, counts)
    costs.predicted(several, [descent_steps(k)[0] for k in several])
    return checks, [steps, costs]


@experiment(SUBJECT, scale=(1, 30), samples=(4, 400), seed=(0, 10**6))
def input_scales(*, scale=10.0, samples=50, seed=0):
    """Inputs of different scales slow descent down.

    Slide "SGD's isotropy problem": inputs with varying scales worsen it. Linear regression on two
    uncorrelated features, one `scale` times as large as the other: the Hessian of the loss, taken
    by backward through backward, has the condition number scale squared, and descent takes as many
    steps as that says. With both features standardized it is 1, and one step is enough.
    """
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(samples, 2))
    even = np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt(samples)  # variances 1, no overlap
    x = even * [1.0, scale]

    def measured(x):
        target = x @ (1 / x.std(axis=0))  # so that the error begins as (1, 1) in even features

        def loss(w):
            return ((x @ w - target) ** 2).mean() / 2
        hessian = autograd.functional.hessian(loss, tensor(np.zeros(2))).numpy()
        least, largest = np.linalg.eigvalsh(hessian)
        w, goal = np.zeros(2), 1 / x.std(axis=0)
        path = descent(rules.sgd, lambda w, t: x.T @ (x @ w - target) / samples, w,
                       descent_steps(largest / least)[1], lr=2 / (least + largest))
        return largest / least, np.linalg.norm((path - goal) / goal, axis=1)

    kappa, raw = measured(x)
    standard, plain = measured((x - x.mean(axis=0)) / x.std(axis=0))
    expected = descent_steps(scale**2)[0]
    checks = [
        close("condition number", kappa, scale**2, 1e-6),
        equal("steps to an error of 1e-6", first(raw < SMALL), expected),
        close("condition number, standardized", standard, 1, 1e-6),
        equal("steps, standardized", first(plain < SMALL), 1),
    ]
    rate = (scale**2 - 1) / (scale**2 + 1)
    panel = Panel("error", "step", "relative error", log="y")
    panel.measured(f"one feature {scale:g} times the other", range(len(raw)), raw)
    panel.measured("standardized", range(len(plain)), plain)
    panel.predicted(range(len(raw)), np.sqrt(2) * rate ** np.arange(len(raw)))
    return checks, [panel]
