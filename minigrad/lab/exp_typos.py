"""The slides' typos as lessons: what is printed beside what is meant.

Equations 2, 5, 7, 14 and 16 contain slips. Each is run as it stands, beside the rule that is meant;
what the slip does has a formula, too. Rules that are named `printed_...` are wrong on purpose.
"""

import math

import numpy as np

from minigrad.lab.descents import descent, first, radius, slope, steps_taken
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "The slides' typos"


@experiment(SUBJECT, y0=(1e-6, 0.5), lr=(1e-3, 0.2), steps=(1, 200))
def slide_2(*, y0=0.1, lr=0.05, steps=50):
    """Equation 2: a sign makes the saddle a bowl.

    Printed: for f = x^2 - y^2, df/dy = 2y. Meant: df/dy = -2y, which is what the engine says when
    asked. With the right sign y grows to y0 (1 + 2 lr)^t and leaves the saddle; with the printed
    one it shrinks to y0 (1 - 2 lr)^t, and the saddle looks like a minimum.
    """
    point = np.array([0.3, y0])
    asked = slope(lambda w: w[0] ** 2 - w[1] ** 2, point)
    t = np.arange(steps + 1)
    meant = descent(rules.sgd, lambda w, t: slope(lambda w: w[0] ** 2 - w[1] ** 2, w), point, steps,
                    lr=lr)[:, 1]
    printed = descent(rules.sgd, lambda w, t: 2 * w, point, steps, lr=lr)[:, 1]
    checks = [
        close("df/dy at y0, by the engine", asked[1], -2 * y0),
        close("meant: y at the end", meant[-1], y0 * (1 + 2 * lr) ** steps),
        close("printed: y at the end", printed[-1], y0 * (1 - 2 * lr) ** steps),
    ]
    panel = Panel("gradient descent beside a saddle", "step", "y", log="y")
    panel.measured("meant: df/dy = -2y", t, meant).measured("printed: df/dy = 2y", t, printed)
    panel.predicted(t, y0 * (1 + 2 * lr) ** t)
    return checks, [panel.predicted(t, y0 * (1 - 2 * lr) ** t)]


@experiment(SUBJECT, momentum=(0.1, 0.98), curvature=(0.5, 4.0), lr=(1e-3, 0.4), steps=(10, 500))
def slide_5(*, momentum=0.9, curvature=3.0, lr=0.1, steps=150):
    """Equation 5: momentum in place of the learning rate.

    Printed: beta = beta' - tau v, with the momentum tau of equation (4) as the step size. Meant:
    beta = beta' - eta v. As printed there is no learning rate to choose; it works as long as the
    curvature of the loss is below 2 (1 + tau) / tau, and diverges beyond. With eta the edge is
    2 (1 + tau) / eta, as far away as one likes.
    """
    tau = momentum

    def edge(step_size):
        low, high = 0.0, 1e6
        for _ in range(80):
            middle = (low + high) / 2
            stable = radius(rules.momentum, middle, lr=step_size, momentum=tau) < 1
            low, high = (middle, high) if stable else (low, middle)
        return low
    limit = 2 * (1 + tau) / tau

    def path(curvature, step_size):
        return abs(descent(rules.momentum, lambda w, t: curvature * w, 1.0, steps, lr=step_size,
                           momentum=tau))
    checks = [
        close("printed: largest stable curvature", edge(tau), limit, 1e-6),
        close("meant: largest stable curvature", edge(lr), 2 * (1 + tau) / lr, 1e-6),
    ]
    beyond = radius(rules.momentum, 1.01 * limit, lr=tau, momentum=tau)
    b = (1 + tau - tau * 1.01 * limit) / 2  # half the sum of the roots of z^2 = 2 b z - tau
    checks.append(close("printed, 1 % beyond: growth per step", beyond,
                        -b + math.sqrt(b * b - tau), 1e-6))
    t = np.arange(steps + 1)
    panel = Panel("heavy ball on a quadratic", "step", "|w|", log="y")
    panel.measured(f"printed, curvature {curvature:g}", t, path(curvature, tau))
    panel.measured(f"printed, curvature {1.01 * limit:.3g}", t, path(1.01 * limit, tau))
    panel.measured(f"meant, lr {lr:g}, curvature {curvature:g}", t, path(curvature, lr))
    return checks, [panel]


def printed_7(w, g, G, t, *, lr=1e-2):
    """Equation (7) with its stray j, and (8): G = sum of j g_j g_j'."""
    G = G + t * g * g
    return w - lr * g / np.sqrt(G), G


@experiment(SUBJECT, lr=(1e-3, 1.0), steps=(10, 10_000))
def slide_7(*, lr=0.1, steps=2000):
    """Equation 7: a stray j that nearly stops AdaGrad.

    Printed: G = sum of j g_j g_j'. Meant: sum of g_j g_j'. The factor j weights late gradients
    more. Under a constant gradient, step t becomes lr / sqrt(t (t + 1) / 2) in place of
    lr / sqrt(t): together sqrt(2) lr ln(T), about, in place of 2 lr sqrt(T). (Two more slips: the
    limits of the sum are missing, and of the whole matrix only the diagonal is used in (8).)
    """
    gradients, t = np.full(steps, 0.5), np.arange(1.0, steps + 1)
    meant = steps_taken(rules.adagrad, gradients, lr=lr, eps=0)
    printed = steps_taken(printed_7, gradients, lr=lr)
    expected = lr / np.sqrt(t * (t + 1) / 2)
    checks = [
        same("meant: step / lr * sqrt(t) - 1, any t", meant / lr * np.sqrt(t), 1, 1e-7),
        same("printed: step / predicted step - 1", printed / expected, 1, 1e-6),
        close("meant: distance", meant.sum(), (lr / np.sqrt(t)).sum()),
        close("printed: distance", printed.sum(), expected.sum()),
    ]
    panel = Panel("constant gradient", "step", "distance travelled", log="x")
    panel.measured("meant: sum of g g'", t, np.cumsum(meant))
    panel.measured("printed: sum of j g g'", t, np.cumsum(printed))
    panel.predicted(t, np.cumsum(lr / np.sqrt(t)))
    return checks, [panel.predicted(t, np.cumsum(expected))]


def printed_14(w, g, v, t, *, lr=1e-3, gamma1=0.9, gamma2=0.999, eps=1e-8):
    """Equations (11), (14) and (15), letter by letter, where v is the slides' v: the first moment.
    (14) has Kingma and Ba's m and v for it, so that both hats are made of the one v."""
    v = gamma1 * v + (1 - gamma1) * g
    v_hat = v / (1 - gamma1**t)
    second_hat = v / (1 - gamma2**t)
    return w - lr * v_hat / (np.sqrt(second_hat) + eps), v


@experiment(SUBJECT, gamma1=(0.0, 0.95), gamma2=(0.95, 0.9999), gradient=(1e-4, 1e4))
def slide_14(*, gamma1=0.9, gamma2=0.999, gradient=2.0):
    """Equation 14: two papers' letters in one formula.

    Printed: v^ = m / (1 - gamma1^t), E^[g^2] = v / (1 - gamma2^t), with Kingma and Ba's m and v.
    Meant: v and E[g^2], for on these slides v is the first moment. Who takes v at its word takes
    the root of the mean gradient in place of that of its square. A negative gradient gives NaN at
    once. A positive one makes a first step of lr sqrt(g (1 - gamma2) / (1 - gamma1)), which depends
    on the size of the loss: what Adam is there to avoid. Its own first step is lr.
    """
    lr, hyper = 0.01, {"gamma1": gamma1, "gamma2": gamma2, "lr": 0.01, "eps": 0}
    adam = {"beta1": gamma1, "beta2": gamma2, "lr": lr, "eps": 0}

    def first_steps(rule, sizes, options):
        return steps_taken(rule, np.atleast_2d(sizes), **options)[0] / lr
    sizes = gradient * np.geomspace(1e-3, 1e3, 25)
    stretched = np.sqrt((1 - gamma2) / (1 - gamma1))
    bowl = [descent(rule, lambda w, t: 2 * w, start, 50, **options) for rule, options, start in
            ((printed_14, hyper, -1.0), (rules.adam, adam, -1.0))]
    checks = [
        close("meant: first step / lr", first_steps(rules.adam, gradient, adam)[0], 1),
        close("printed: first step / lr", first_steps(printed_14, gradient, hyper)[0],
              math.sqrt(gradient) * stretched),
        close("printed: the same, g four times larger",
              first_steps(printed_14, 4 * gradient, hyper)[0], 2 * math.sqrt(gradient) * stretched),
        equal("printed: w after a step on w^2 from -1", bowl[0][1], math.nan),
        close("meant: w after a step on w^2 from -1", bowl[1][1], -1 + lr),
        equal("printed: first step that is NaN", first(np.isnan(bowl[0])), 1),
    ]
    panel = Panel("the first step", "gradient g", "step / lr", log="xy")
    panel.measured("meant: v^ / sqrt(E^)", sizes, first_steps(rules.adam, sizes, adam))
    panel.measured("printed: v^ / sqrt(v / (1 - gamma2^t))", sizes,
                   first_steps(printed_14, sizes, hyper))
    return checks, [panel.predicted(sizes, np.sqrt(sizes) * stretched)]


def printed_16(w, g, m, v, t, *, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2):
    """Equation (16) without the hat on E[g^2]."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * (g * g)
    m_hat = m / (1 - beta1**t)
    return w - lr * (m_hat / (np.sqrt(v) + eps) + weight_decay * w), m, v


@experiment(SUBJECT, beta2=(0.9, 0.9995), steps=(100, 20_000))
def slide_16(*, beta2=0.999, steps=5000):
    """Equation 16: a missing hat, and steps far too long.

    Printed: eta (v^ / (sqrt(E[g^2]) + eps) + lambda beta). Meant: sqrt(E^[g^2]), as in (15). The
    first moment is corrected, the second not, and it is the second that is too small. Under a
    constant gradient step t is lr / sqrt(1 - beta2^t) in place of lr: with beta2 = 0.999 the first
    is 31.6 lr, the tenth 10 lr, and the excess adds up to 1337 lr in 5000 steps.
    """
    options = {"lr": 1.0, "beta2": beta2, "eps": 0, "weight_decay": 0}
    gradients, t = np.full(steps, 0.5), np.arange(1.0, steps + 1)
    meant = steps_taken(rules.adamw, gradients, **options)
    printed = steps_taken(printed_16, gradients, **options)
    expected = 1 / np.sqrt(1 - beta2**t)
    checks = [same("meant: step / lr - 1, any t", meant, 1, 1e-8)]
    checks += [close(f"printed: step {n} / lr", printed[n - 1], expected[n - 1])
               for n in (1, 2, 10, 100)]
    checks.append(close("printed: travelled too far / lr", printed.sum() - steps,
                        expected.sum() - steps, 1e-6))
    w = descent(printed_16, lambda w, t: np.ones(1), np.ones(1), 1, **{**options, "lr": 0.01,
                                                                      "weight_decay": 0.1})
    checks.append(close("printed, with decay 0.1: w after a step", w[1, 0],
                        1 - 0.01 * (expected[0] + 0.1)))
    panel = Panel("constant gradient", "step", "length of the step / lr", log="xy")
    panel.measured("meant: both hats", t, meant).measured("printed: one hat", t, printed)
    return checks, [panel.predicted(t, expected)]
