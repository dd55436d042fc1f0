"""Adaptive methods and simple solutions: the data of Wilson et al. 2017.

"The Marginal Value of Adaptive Gradient Methods in Machine Learning", section 3.3.
"""

import numpy as np

from minigrad.lab.descents import descent, slope
from minigrad.lab.experiment import equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "Adam"
OWN = {1: 1, -1: 5}  # features of its own that a sample of each class has

PLAIN = {"gradient descent": rules.sgd, "heavy ball": rules.momentum}
ADAPTIVE = {
    "AdaGrad": (rules.adagrad, {"lr": 0.1, "eps": 1e-30}),
    "RMSProp": (rules.rmsprop, {"lr": lambda t: 0.01 * 0.99**t, "eps": 1e-30}),
    "Adam": (rules.adam, {"lr": lambda t: 0.02 * 0.99**t, "eps": 1e-30}),
}


def wilson_data(labels):
    """(samples, features): the label; 1 and 1, which say nothing; and features of the sample's own,
    one for the positive ones and five for the negative."""
    x = np.zeros((len(labels), 3 + sum(OWN[label] for label in labels)))
    x[:, 0], x[:, 1:3], at = labels, 1, 3
    for row, label in zip(x, labels):
        row[at:at + OWN[label]] = 1
        at += OWN[label]
    return x


@experiment(SUBJECT, samples=(4, 40), positive=(3, 39), steps=(1500, 4000))
def adaptive_minimum(*, samples=20, positive=12, steps=2500):
    """Adaptive methods can end where nothing generalizes.

    Wilson et al. 2017. Feature 1 is the label, features 2 and 3 are always 1, and every sample has
    features of its own: one if it is positive, five if not. More than half are positive. Then
    X sign(X'y) = 4 y, and AdaGrad, RMSProp and Adam, started at 0, move along sign(X'y) only and
    end at sign(X'y) / 4: zero loss, and every weight of the same size. Of a new sample only the
    first three features are known: (y + 2) / 4 is positive for either class. Gradient descent and
    the heavy ball end at the solution of least norm, X^+ y, and tell the classes apart.
    """
    if not samples / 2 < positive < samples:
        raise ValueError(f"adaptive_minimum: {positive} of {samples} samples are positive; choose "
                         "more than half and not all")
    labels = np.array([1] * positive + [-1] * (samples - positive))
    x = wilson_data(labels)

    def loss(w):
        return ((x @ w - labels) ** 2).mean()
    signs = np.sign(x.T @ labels)
    ends = {True: signs / 4, False: np.linalg.pinv(x) @ labels}
    top = 2 * np.linalg.eigvalsh(x @ x.T / samples)[-1]  # the largest curvature
    checks = [same("X sign(X'y) - 4 y", x @ signs, 4 * labels)]
    panel = Panel("training", "step", "mean squared error", log="y")
    test = Panel("a new negative sample", "step", "output: should be negative", log="x")
    methods = {name: (rule, {"lr": 1 / top}) for name, rule in PLAIN.items()} | ADAPTIVE
    near = 1e-6
    for name, (rule, options) in methods.items():
        path = descent(rule, lambda w, t: slope(loss, w), np.zeros(x.shape[1]), steps, **options)
        goal = ends[name in ADAPTIVE]
        checks.append(same(f"{name}: w - predicted end", path[-1], goal, near))
        for label in (1, -1):
            new = path[-1][0] * label + path[-1][1] + path[-1][2]
            expected = goal[0] * label + goal[1] + goal[2]
            checks.append(equal(f"{name}: output for a new {label:+d}", new, expected, 3 * near))
        panel.measured(name, range(steps + 1), ((path @ x.T - labels) ** 2).mean(axis=1))
        test.measured(name, range(1, steps + 1), path[1:, 1] + path[1:, 2] - path[1:, 0])
    for goal in ends.values():
        test.predicted([1, steps], [goal[1] + goal[2] - goal[0]] * 2)
    return checks, [panel, test]
