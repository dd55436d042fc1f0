"""Around the rules: climbing, schedules of the learning rate, and its own gradient.

The one trick: a rule only uses operators and NumPy functions, so it runs on tensors too. Then the
whole training is one recorded computation, and backward goes through the optimizer's own steps.
"""

import math

import numpy as np

from minigrad import autograd, nn, optim, tensor
from minigrad.lab.descents import descent
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import lr_scheduler, rules

SUBJECT = "Around the rules"
COPIES = 10_000  # of a noisy weight

OPTIMIZERS = {
    "SGD": (optim.SGD, {}), "momentum": (optim.SGD, {"momentum": 0.9}),
    "Nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True}), "Adagrad": (optim.Adagrad, {}),
    "RMSprop": (optim.RMSprop, {}), "Adam": (optim.Adam, {}),
    "AMSGrad": (optim.Adam, {"amsgrad": True}), "AdamW": (optim.AdamW, {}),
}


@experiment(SUBJECT, lr=(1e-3, 0.1), weight_decay=(0.05, 1.0), steps=(1, 300))
def maximize(*, lr=0.05, weight_decay=0.5, steps=60):
    """To maximize is to minimize the negative.

    PyTorch's pseudo-code: with maximize=True the sign of the gradient is turned first. Climbing f
    takes the very path of descending -f, to the last bit, for every optimizer. The decay is added
    after that, and pulls towards 0 in both: on f = w with L2, SGD climbs to 1 / decay, and after t
    steps it is at (1 - (1 - lr decay)^t) / decay. Were the sign turned after the decay was added,
    w would run away.
    """
    curvature = np.array([1.0, 3.0])

    def path(kind, climb, **options):
        w = nn.Parameter(np.array([1.0, -0.5]))
        optimizer = kind([w], lr=lr, maximize=climb, **options)
        seen = [w.numpy().copy()]
        for _ in range(steps):
            height = (w * w * curvature).sum() + w.cos().sum()
            optimizer.zero_grad()
            (-height if climb else height).backward()
            optimizer.step()
            seen.append(w.numpy().copy())
        return np.array(seen)
    checks = [same(f"{name}: climbing -f - descending f", path(kind, True, **options),
                   path(kind, False, **options), 0.0)
              for name, (kind, options) in OPTIMIZERS.items()]
    climbed = descent(rules.sgd, lambda w, t: np.ones(1), np.zeros(1), steps, lr=lr,
                      modifiers={"maximize": True, "weight_decay": weight_decay})[:, 0]
    t = np.arange(steps + 1)
    expected = (1 - (1 - lr * weight_decay) ** t) / weight_decay
    checks.append(same("SGD with L2 on f = w: w - formula", climbed, expected, 1e-9))
    away = descent(rules.sgd, lambda w, t: -(1 + weight_decay * w), 0.0, steps, lr=lr)
    checks.append(close("sign turned after the decay: w", away[-1],
                        ((1 + lr * weight_decay) ** steps - 1) / weight_decay))
    panel = Panel(f"maximizing f = w with decay {weight_decay:g}", "step", "w")
    panel.measured("sign first, then decay", t, climbed)
    panel.measured("decay first, then sign", t, away)
    return checks, [panel.predicted(t, expected)]


def schedules(lr, steps):
    """{name: (what makes a scheduler of an optimizer, lr(t) by formula)}; t counts from 0."""
    step = max(1, steps // 3)
    return {
        "constant": (lambda o: lr_scheduler.LambdaLR(o, lambda t: 1.0), lambda t: lr + 0 * t),
        "1 / t": (lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + lr * t)),
                  lambda t: lr / (1 + lr * t)),
        "cosine": (lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=steps),
                   lambda t: lr * (1 + np.cos(np.pi * t / steps)) / 2),
        "steps": (lambda o: lr_scheduler.StepLR(o, step_size=step, gamma=0.1),
                  lambda t: lr * 0.1 ** (t // step)),
        "linear": (lambda o: lr_scheduler.LinearLR(o, 1.0, 1e-3, total_iters=steps),
                   lambda t: lr * (1 - (1 - 1e-3) * t / steps)),
    }


def noisy_descent(lr, noise, steps, scheduler_of, rng):
    """SGD and a scheduler on w^2 / 2 with noise: (the weights in the end, lr of every step,
    variance of the weights after every step)."""
    w = nn.Parameter(np.ones(COPIES))
    optimizer = optim.SGD([w], lr=lr)
    scheduler = scheduler_of(optimizer)
    used, seen = [], []
    for _ in range(steps):
        loss = (w * w / 2 + w * rng.normal(0, noise, COPIES)).sum()
        optimizer.zero_grad()
        loss.backward()
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        seen.append(w.numpy().var())
    return w.numpy(), used, seen


@experiment(SUBJECT, lr=(0.01, 1.5), noise=(0.01, 10.0), steps=(30, 600), seed=(0, 10**6))
def schedule(*, lr=0.3, noise=1.0, steps=200, seed=0):
    """A falling learning rate removes the noise floor.

    On w^2 / 2 with noise of variance s2 in the gradients, SGD from w = 1 has after each step the
    mean (1 - lr_t) mean and the variance (1 - lr_t)^2 variance + lr_t^2 s2, whatever the schedule.
    With a constant lr that tends to lr s2 / (2 - lr), the noise floor; with
    lr_t = lr / (1 + lr t) it is T (lr / (1 + lr (T - 1)))^2 s2 after T steps, soon s2 / T, as if T
    samples were averaged. Optimizer and schedulers are the real ones; 10,000 weights are run at
    once, and five standard errors allowed.
    """
    rng = np.random.default_rng(seed)
    checks, t = [], np.arange(steps)
    sure = 5 * math.sqrt(2 / COPIES)
    variances = Panel("10,000 noisy weights", "step", "variance of w", log="xy")
    rates = Panel("schedules", "step", "lr")
    curves, ends = [], {}
    for name, (scheduler_of, formula) in schedules(lr, steps).items():
        w, used, seen = noisy_descent(lr, noise, steps, scheduler_of, rng)
        mean, variance, theory = 1.0, 0.0, []
        for rate in formula(t):
            mean, variance = (1 - rate) * mean, (1 - rate) ** 2 * variance + rate**2 * noise**2
            theory.append(variance)
        ends[name] = seen[-1]
        checks += [
            same(f"{name}: lr - formula, any step", used, formula(t), 1e-9),
            equal(f"{name}: mean of w", w.mean(), mean,
                  5 * math.sqrt(variance / COPIES) + 1e-9),
            close(f"{name}: variance of w", seen[-1], variance, sure)]
        variances.measured(name, t + 1, seen)
        rates.measured(name, t, used)
        curves.append(theory)
    floor = lr * noise**2 / (2 - lr) * (1 - (1 - lr) ** (2 * steps))
    averaged = steps * (lr * noise / (1 + lr * (steps - 1))) ** 2
    checks += [close("constant: variance, closed form", ends["constant"], floor, sure),
               close("1 / t: variance, closed form", ends["1 / t"], averaged, sure)]
    for theory in curves:
        variances.predicted(t + 1, theory)
    return checks, [rates, variances]


RULES = {"sgd": rules.sgd, "momentum": rules.momentum, "nesterov": rules.nesterov,
         "adagrad": rules.adagrad, "rmsprop": rules.rmsprop, "adam": rules.adam,
         "adamw": rules.adamw}


def final_loss(rule, loss, start, lr, steps):
    """The loss after `steps` steps of a rule, as a tensor that remembers all of them."""
    w, states = tensor(start, requires_grad=True), [0.0] * len(rules.anatomy(rule).states)
    for t in range(1, steps + 1):
        g, = autograd.grad(loss(w), w, create_graph=True)
        w, *states = rules.update(rule, w, g, states, t, {"lr": lr})
    return loss(w)


@experiment(SUBJECT, rule=tuple(RULES), kappa=(1, 50), lr=(1e-3, 0.03), steps=(1, 60))
def hypergradient(*, rule="adam", kappa=20.0, lr=0.02, steps=30):
    """The gradient of the final loss by the learning rate.

    A rule runs on tensors as it runs on arrays, so the training itself can be differentiated:
    backward goes from the loss after the last step through every step to lr. Where it is predicted
    by central differences of whole trainings, for the chosen rule, on (w0^2 + kappa w1^2) / 2. For
    descent there is a formula too: w_T = (1 - lr c)^T w_0 in each direction of curvature c, so

        d loss / d lr = - sum of T c^2 w_0^2 (1 - lr c)^(2T - 1)

    And descending along this gradient, lr finds its best value: for a single step of descent,
    g g / (g H g), where g and H are gradient and Hessian at the start.
    """
    curvature, start = np.array([1.0, kappa]), np.array([1.0, 0.7])

    def loss(w):
        return (w * w * curvature).sum() / 2

    def by_hand(lr, rule):
        path = descent(rule, lambda w, t: curvature * w, start, steps, lr=lr)
        return float((path[-1] ** 2 * curvature).sum() / 2)

    def hyper(lr, rule, steps=steps):
        lr = tensor(np.array(lr), requires_grad=True)
        final = final_loss(rule, loss, start, lr, steps)
        return final.item(), autograd.grad(final, lr)[0].item()

    chosen, h = RULES[rule], 1e-5 * lr
    value, slope_of_lr = hyper(lr, chosen)

    def differences(at):
        return (by_hand(at + h, chosen) - by_hand(at - h, chosen)) / (2 * h)
    numeric = differences(lr)
    left = 1 - lr * curvature
    formula = -(steps * curvature**2 * start**2 * left ** (2 * steps - 1)).sum()
    checks = [
        close(f"{rule}: loss after {steps} steps", value, by_hand(lr, chosen)),
        equal(f"{rule}: d loss / d lr, by differences", slope_of_lr, numeric,
              1e-5 * abs(numeric) + 1e-8 * value / lr),
        close("descent: d loss / d lr, by the formula", hyper(lr, rules.sgd)[1], formula, 1e-8),
    ]
    g = curvature * start
    rate, bend = 0.0, g @ (curvature * g) * 2  # twice the curvature of the loss in lr: half-way
    for _ in range(40):
        rate -= hyper(rate, rules.sgd, 1)[1] / bend
    checks.append(close("best lr of one step: g g / (g H g)", rate, (g @ g) / bend * 2, 1e-9))
    return checks, hyper_panels(rule, steps, lr, lambda at: by_hand(at, chosen),
                                lambda at: hyper(at, chosen)[1], differences)


def hyper_panels(rule, steps, lr, loss, backward, differences):
    """The final loss over lr, and its slope by backward and by differences."""
    grid = np.geomspace(lr / 10, lr * 3, 80)
    panel = Panel(f"after {steps} steps of {rule}", "learning rate", "final loss", log="xy")
    panel.measured("loss", grid, [loss(at) for at in grid])
    some = grid[::8]
    slopes = Panel("its slope", "learning rate", "d loss / d lr", log="x")
    slopes.points("by backward through all steps", some, [backward(at) for at in some])
    slopes.predicted(grid, [differences(at) for at in grid], "by differences")
    return [panel, slopes]
