"""Weight decay: L2 in the gradient, or past the moments (AdamW)."""

import math

import numpy as np

from minigrad import nn, optim
from minigrad.lab.descents import descent, recurrence
from minigrad.lab.exp_momentum import last_weights
from minigrad.lab.experiment import at_most, close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "AdamW"
PAIRS = 500  # of noisy weights


@experiment(SUBJECT, lr=(0.01, 0.1), weight_decay=(0.1, 1.0))
def adamw_fixed_points(*, lr=0.1, weight_decay=0.1):
    """Where L2 and decoupled decay come to rest.

    Slides "Decoupled weight decay" and "AdamW". Under a constant gradient g, L2 rests where
    g + decay w = 0, at -g / decay, with Adam as with SGD. In AdamW the step is lr sign(g) whatever
    the size of g, so it rests at -sign(g) / decay: every weight is bounded by 1 / decay. With no
    gradient at all, the first step of Adam with L2 is lr sign(w), however small the decay; AdamW's
    only shrinks w by lr decay w.
    """
    wd = weight_decay
    gradients = np.array([1e-3, 0.5, -1.0])
    steps = max(3000, math.ceil(math.log(1e-6) / math.log(1 - lr * wd)))
    paths = {
        "SGD, L2": descent(rules.sgd, lambda w, t: gradients, np.zeros(3), steps, lr=lr,
                           modifiers={"weight_decay": wd}),
        "Adam, L2": descent(rules.adam, lambda w, t: gradients, np.zeros(3), steps, lr=lr,
                            modifiers={"weight_decay": wd}),
        "AdamW": descent(rules.adamw, lambda w, t: gradients, np.zeros(3), steps, lr=lr,
                         weight_decay=wd, eps=0),
    }
    rests = {"SGD, L2": -gradients / wd, "Adam, L2": -gradients / wd,
             "AdamW": -np.sign(gradients) / wd}
    checks = []
    for name, path in paths.items():
        for i, g in enumerate(gradients):
            near = 1e-2 if name == "Adam, L2" else 1e-5  # it swings around its rest for long
            checks.append(close(f"{name}, g = {g:g}: rests at", path[-1, i], rests[name][i], near))
    zero, start = np.zeros(3), np.array([1.0, -2.0, 3.0])
    coupled = descent(rules.adam, lambda w, t: zero, start, 1, lr=lr, eps=0,
                      modifiers={"weight_decay": wd})[1] - start
    decoupled = descent(rules.adamw, lambda w, t: zero, start, 1, lr=lr, weight_decay=wd)[1] - start
    checks += [same("g = 0, Adam L2: first step + lr sign(w)", coupled, -lr * np.sign(start)),
               same("g = 0, AdamW: first step + lr decay w", decoupled, -lr * wd * start)]
    panel = Panel("constant gradient 0.5", "step", "w")
    for name, path in paths.items():
        panel.measured(name, range(steps + 1), path[:, 1])
    for rest in sorted({float(r[1]) for r in rests.values()}):
        panel.predicted([0, steps], [rest] * 2)
    return checks, [panel]


@experiment(SUBJECT, lr=(1e-3, 0.02), weight_decay=(1e-3, 0.05), steps=(100, 4000), seed=(0, 10**6))
def decay_under_noise(*, lr=0.01, weight_decay=0.01, steps=3000, seed=0):
    """L2 in Adam decays least where gradients are largest.

    Weights that start at 1 see nothing but noise, of standard deviation 1, 10 or 100. AdamW leaves
    (1 - lr decay)^T of them on average, whatever the noise. In Adam with L2 the decay is divided by
    the size of the gradients, like everything else: (1 - lr decay / sd)^T is left. So large
    gradients switch the decay off: what "Decoupled Weight Decay Regularization" (2019) is about.
    500 pairs of weights are run, and the two of a pair see opposite noise, so that its wandering
    cancels in the mean. For Adam with L2, which divides by an estimate of sd, 1 % is allowed.
    """
    rng = np.random.default_rng(seed)
    sizes = np.array([1.0, 10.0, 100.0])

    def gradient(w, t):
        noise = rng.normal(size=(3, PAIRS)) * sizes[:, None]
        return np.concatenate([noise, -noise], axis=1)
    start = np.ones((3, 2 * PAIRS))
    left, more = {}, {"AdamW": {"weight_decay": weight_decay}, "Adam, L2": {}}
    for name, rule in (("AdamW", rules.adamw), ("Adam, L2", rules.adam)):
        seen = gradient if name == "AdamW" else (
            lambda w, t: rules.l2(gradient(w, t), w, weight_decay))
        left[name] = last_weights(rule, seen, start, steps, lr=lr, **more[name]).mean(axis=1)
    expected = {"AdamW": np.full(3, (1 - lr * weight_decay) ** steps),
                "Adam, L2": (1 - lr * weight_decay / sizes) ** steps}
    near = {"AdamW": 1e-9, "Adam, L2": 0.01}
    checks = [equal(f"{name}, noise {size:g}: mean of w", left[name][i], expected[name][i],
                    near[name])
              for name in left for i, size in enumerate(sizes)]
    panel = Panel(f"what is left of 1 after {steps} steps", "standard deviation of the noise",
                  "mean of w", log="x")
    for name, means in left.items():
        panel.points(name, sizes, means)
    for name in left:
        panel.predicted(sizes, expected[name])
    return checks, [panel]


@experiment(SUBJECT, lr=(0.001, 0.5), weight_decay=(1e-3, 1.0), momentum=(0.0, 0.95),
            steps=(1, 300))
def l2_is_decay_for_sgd(*, lr=0.1, weight_decay=0.1, momentum=0.9, steps=100):
    """L2 is weight decay for plain SGD only.

    Without momentum, w - lr (g + decay w) is (1 - lr decay) w - lr g: any gradients give the same
    path. With momentum, L2 goes into the buffer, and decay does not. Where no gradient comes,
    decoupled decay leaves (1 - lr decay)^t of w; L2 leaves what the two-term recurrence
    w(t+1) = (1 + momentum - lr decay) w(t) - momentum w(t-1) says.
    """
    rng = np.random.default_rng(0)  # any gradients will do
    noise = rng.normal(size=(steps, 3))
    l2 = {"weight_decay": weight_decay}
    decoupled = {"weight_decay": weight_decay, "decay_rate": lr}
    plain = [descent(rules.sgd, lambda w, t: noise[t - 1], np.ones(3), steps, lr=lr,
                     modifiers=how) for how in (l2, decoupled)]
    heavy = [descent(rules.momentum, lambda w, t: 0.0 * w, 1.0, steps, lr=lr, momentum=momentum,
                     modifiers=how) for how in (l2, decoupled)]
    t = np.arange(steps + 1)
    left = 1 - lr * weight_decay
    expected = [recurrence(left + momentum, momentum, 1, left, t), left ** (1.0 * t)]
    checks = [
        same("SGD: path with L2 - path with decay", *plain),
        same("momentum, L2: w - recurrence", heavy[0], expected[0], 1e-9),
        same("momentum, decay: w - (1 - lr decay)^t", heavy[1], expected[1], 1e-9),
        equal("momentum: difference at the end", heavy[0][-1] - heavy[1][-1],
              expected[0][-1] - expected[1][-1], 1e-9),
    ]
    panel = Panel(f"momentum {momentum:g}, no gradient but the decay", "step", "w")
    panel.measured("L2", t, heavy[0]).measured("decoupled decay", t, heavy[1])
    return checks, [panel.predicted(t, expected[0]).predicted(t, expected[1])]


@experiment(SUBJECT, lr=(1e-5, 0.1), weight_decay=(1e-4, 0.5), steps=(1, 500))
def decay_conventions(*, lr=1e-3, weight_decay=1e-2, steps=100):
    """The paper's decay is not PyTorch's.

    Slide (16) and PyTorch multiply the decay by lr; Loshchilov and Hutter 2019, Algorithm 2, only
    by the schedule's multiplier, which is lr divided by its initial value. Where no gradient comes,
    (1 - lr decay)^t of a weight is left, or (1 - decay)^t. A decay of 0.01 copied from the paper
    does next to nothing at lr = 0.001. And under a linear schedule to 0, both are products.
    """
    t = np.arange(steps + 1)
    multiplier = 1 - t[:-1] / steps

    def weights(decay, scheduled):
        parameter = nn.Parameter(np.ones(1))
        optimizer = optim.AdamW([parameter], lr=lr, weight_decay=weight_decay, decay=decay)
        path = [1.0]
        for part in multiplier:
            if scheduled:
                optimizer.param_groups[0]["lr"] = float(lr * part)
            parameter.grad = 0.0 * parameter
            optimizer.step()
            path.append(parameter.item())
        return np.array(path)
    checks = []
    panel = Panel("no gradient but the decay", "step", "w")
    for decay, rate in (("torch", lr * weight_decay), ("paper", weight_decay)):
        constant, scheduled = weights(decay, False), weights(decay, True)
        products = np.cumprod([1.0, *(1 - rate * multiplier)])
        checks += [close(f"decay={decay!r}: w at the end", constant[-1], (1 - rate) ** steps),
                   close(f"decay={decay!r}, linear schedule", scheduled[-1], products[-1])]
        panel.measured(f"decay={decay!r}", t, constant)
        panel.predicted(t, (1 - rate) ** (1.0 * t))
    checks.append(at_most("the paper's w, against PyTorch's", panel.curves[2].y[-1],
                          panel.curves[0].y[-1], 1e-12))
    return checks, [panel]
