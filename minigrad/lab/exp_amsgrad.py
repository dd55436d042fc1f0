"""AMSGrad: the problem on which Adam goes to the wrong end.

Reddi, Kale, Kumar 2018, "On the Convergence of Adam and Beyond", Theorem 1 and Algorithm 2.
"""

import math

import numpy as np

from minigrad.lab.descents import LATE, descent
from minigrad.lab.experiment import at_most, close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "Adam"
LR = 0.1  # divided by sqrt(t): the theorem's schedule


RUNS = {
    "Adam": (rules.adam, {}),
    "Adam, not corrected": (rules.adam, {"clock": lambda t: LATE}),
    "AMSGrad, torch": (rules.amsgrad, {"convention": "torch"}),
    "AMSGrad, corrected": (rules.amsgrad, {"convention": "corrected"}),
    "AMSGrad, paper": (rules.amsgrad, {"convention": "paper"}),
}


def clipped(x):
    return min(1.0, max(-1.0, float(x)))


@experiment(SUBJECT, large=(2.5, 20.0), steps=(3000, 30_000))
def amsgrad(*, large=3.0, steps=12_000):
    """Where Adam goes to the wrong end, AMSGrad does not.

    Reddi et al. 2018, Theorem 1. On [-1, 1] the loss is C x at every third step, and -x at the
    others: the best is x = -1. Adam with beta1 = 0 and beta2 = 1 / (1 + C^2) has forgotten the
    large gradient when the small ones come, takes three steps of nearly one length, and walks to
    x = +1, with or without bias correction. Its average regret, what it loses per step against
    x = -1, tends to 2 (C - 2) / 3. AMSGrad divides by d, which remembers the largest v: it is at
    1 - sum of lr g / d, and so arrives at -1, in all three conventions: the maximum of v, corrected
    later (PyTorch), of the corrected v (slides, optax), or nothing corrected (the paper). For the
    latter two, whose d only grows, regret is bounded by Zinkevich's sum

        (D^2 d sqrt(T) / (2 lr) + lr/2 * sum of g^2 / (sqrt(t) d)) / T

    where D = 2, and d is from sqrt(1 - beta2) C to C.
    """
    c, beta2 = large, 1 / (1 + large**2)
    t = np.arange(1, steps + 1)
    slopes = np.where(t % 3 == 1, c, -1.0)
    curves = {}
    for name, (rule, more) in RUNS.items():
        x = descent(rule, lambda w, t: slopes[t - 1], 1.0, steps, project=clipped, beta1=0.0,
                    beta2=beta2, eps=0, lr=lambda t: LR / math.sqrt(t), **more)
        curves[name] = x, np.cumsum(slopes * (x[:-1] + 1)) / t

    # v's largest, of three gradients that repeat; or, corrected at the first step, C^2.
    largest = (1 - beta2) * (c * c + beta2 + beta2**2) / (1 - beta2**3)
    paths = {name: np.maximum(-1, 1 - LR * np.cumsum(slopes / np.sqrt(t)) / d) for name, d in
             (("torch", math.sqrt(largest)), ("corrected", c), ("paper", math.sqrt(largest)))}
    # Up to a few of the last steps, and what one of the first ones may have differed by.
    near = 3 * LR / math.sqrt(steps) * c + LR / 10
    checks = []
    for name, (x, _) in curves.items():
        end = 1 if name.startswith("Adam") else paths[name.split()[1]][-1]
        checks.append(equal(f"{name}: where it ends", x[-1], end, near))
    per_step = 2 * (c - 2) / 3
    for name in ("Adam", "Adam, not corrected"):
        checks.append(close(f"{name}: average regret", curves[name][1][-1], per_step,
                            6 * LR * c / math.sqrt(steps) / per_step + 0.01))
    bound = (4 * c * math.sqrt(steps) / (2 * LR) + LR / 2 * (slopes**2 / np.sqrt(t)).sum()
             / (math.sqrt(1 - beta2) * c)) / steps
    for name in ("AMSGrad, corrected", "AMSGrad, paper"):
        checks.append(at_most(f"{name}: average regret", curves[name][1][-1], bound))
    return checks, amsgrad_panels(c, t, curves, paths, per_step)


def amsgrad_panels(c, t, curves, paths, per_step):
    """Where they are, and what it costs."""
    position = Panel(f"C = {c:g}: the best place is -1", "step", "x", log="x")
    losses = Panel("average regret", "step", "lost per step", log="x")
    for name, (x, regret) in curves.items():
        position.measured(name, t, x[1:])
        losses.measured(name, t, regret)
    for path in paths.values():
        position.predicted(t, path)
    return [position, losses.predicted(t[[0, -1]], [per_step] * 2, "2 (C - 2) / 3")]


@experiment(SUBJECT, beta2=(0.5, 0.9999), zeros=(1, 200))
def amsgrad_conventions(*, beta2=0.999, zeros=50):
    """AMSGrad is three different rules.

    One gradient of 1, then zeros, beta1 = 0.9 for m. The slides (and optax) keep the largest
    corrected v: it is 1 from the first step on, and step t is lr m_hat. PyTorch keeps the largest
    v, 1 - beta2, and corrects it afterwards, so its denominator shrinks again, as
    sqrt((1 - beta2) / (1 - beta2^t)). The paper corrects nothing: m / sqrt(1 - beta2).
    """
    t = np.arange(1.0, zeros + 2)
    m = 0.1 * 0.9 ** (t - 1)
    expected = {
        "torch": m / (1 - 0.9**t) * np.sqrt((1 - beta2**t) / (1 - beta2)),
        "corrected": m / (1 - 0.9**t),
        "paper": m / math.sqrt(1 - beta2),
    }
    gradients = np.zeros(len(t))
    gradients[0] = 1.0
    checks, panel = [], Panel("a gradient of 1, then zeros", "step", "length of the step / lr")
    for name in expected:
        made = -np.diff(descent(rules.amsgrad, lambda w, t: gradients[t - 1], 0.0, len(t), lr=1.0,
                                beta2=beta2, eps=0, convention=name))
        checks.append(close(f"{name}: first step / lr", made[0], expected[name][0]))
        checks.append(same(f"{name}: every step", made, expected[name], 1e-9))
        panel.measured(name, t, made)
    for name in expected:
        panel.predicted(t, expected[name])
    return checks, [panel]
