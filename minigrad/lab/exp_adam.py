"""Adam: what the hats are for, how long a step can be, and what eps does.

The one trick: the bias correction is switched off by telling the rule that it is step 10^9, when
beta**t has long been 0. So there is no second Adam here to compare Adam with.
"""

import math

import numpy as np

from minigrad.lab.descents import LATE, descent, first, slope, steps_taken
from minigrad.lab.experiment import at_most, close, equal, experiment, same
from minigrad.lab.panels import Panel
from minigrad.optim import rules

SUBJECT = "Adam"
SCALED = {  # rules that should not see the size of the loss, and one that does
    "AdaGrad": rules.adagrad, "RMSProp": rules.rmsprop, "Adam": rules.adam,
    "AMSGrad": rules.amsgrad, "AdamW": rules.adamw, "Adamax": rules.adamax, "Rprop": rules.rprop,
}


@experiment(SUBJECT, beta1=(0.0, 0.99), beta2=(0.5, 0.9995), steps=(10, 20_000))
def bias_correction(*, beta1=0.9, beta2=0.999, steps=5000):
    """What Adam does without its bias correction.

    Kingma and Ba, Algorithm 1; slide (14). m and v start at 0, too small, and v more so. Under a
    constant gradient m is 1 - beta1^t of it and v 1 - beta2^t of its square, so without the hats
    step t is not lr but

        lr (1 - beta1^t) / sqrt(1 - beta2^t)

    With beta1 = 0.9 and beta2 = 0.999 that begins at 3.16 lr, rises to 6.57 lr at t = 12, and takes
    3925 steps to come within 1 % of lr. The rule is run with its correction, and without.
    """
    options = {"lr": 1.0, "beta1": beta1, "beta2": beta2, "eps": 0}
    gradients, t = np.full(steps, 0.25), np.arange(1, steps + 1)
    hats = steps_taken(rules.adam, gradients, **options)
    bare = steps_taken(rules.adam, gradients, **options, clock=lambda t: LATE)
    expected = (1 - beta1 ** (1.0 * t)) / np.sqrt(1 - beta2 ** (1.0 * t))
    peak = int(np.argmax(expected))
    checks = [
        same("with hats: step / lr - 1, any t", hats, 1, 1e-9),
        close("without: first step / lr", bare[0], (1 - beta1) / math.sqrt(1 - beta2)),
        close("without: longest step / lr", bare.max(), expected[peak]),
        equal("without: the step it comes at", np.argmax(bare > (1 - 1e-12) * bare.max()) + 1,
              np.argmax(expected > (1 - 1e-12) * expected.max()) + 1),
        equal("without: within 1 % of lr from step", 1 + first(abs(bare - 1) <= 0.01),
              1 + first(abs(expected - 1) <= 0.01)),
        close("without: travelled too far / lr", bare.sum() - steps,
              expected.sum() - steps, 1e-6),
    ]
    panel = Panel("constant gradient", "step", "length of the step / lr", log="x")
    panel.measured("Adam", t, hats).measured("without bias correction", t, bare)
    return checks, [panel.predicted(t, expected)]


@experiment(SUBJECT, beta1=(0.05, 0.95), beta2=(0.5, 0.9995), steps=(100, 5000), seed=(0, 10**6))
def step_bound(*, beta1=0.9, beta2=0.999, steps=3000, seed=0):
    """How long an Adam step can be.

    Kingma and Ba, section 2.1: |step| <= lr (1 - beta1) / sqrt(1 - beta2) after gradients that were
    all zero until now, which is indeed reached. But it is no bound for all sequences: gradients
    that grow by beta2 / beta1 per step, for T steps, make steps of

        lr (1 - beta1) / sqrt(1 - beta2) * sqrt(1 + q + ... + q^(T-1))
           * sqrt(1 - beta2^T) / (1 - beta1^T),     q = beta1^2 / beta2

    By Cauchy and Schwarz, no T gradients do more. For T without end that becomes
    lr (1 - beta1) / sqrt(1 - beta2) / sqrt(1 - q): 7.27 lr with Adam's defaults, and lr where beta1
    and beta2 are equal. Gradients that are normal noise rarely get beyond lr.
    """
    if beta1 > beta2:
        raise ValueError(f"step_bound: beta1 is {beta1:g} and beta2 {beta2:g}; the supremum is "
                         "derived for beta1 up to beta2, as Adam is used")
    q = beta1**2 / beta2
    options = {"lr": 1.0, "beta1": beta1, "beta2": beta2, "eps": 1e-150}
    late = math.ceil(math.log(1e-15) / math.log(beta2))  # no trace of the correction is left
    sparse = np.zeros(late)
    sparse[-1] = 1.0
    alone = steps_taken(rules.adam, sparse, **options)[-1]
    t = np.arange(1, steps + 1)
    growing = np.exp((t - steps) * math.log(beta2 / beta1))
    growing = growing * (growing > 1e-140)  # whose squares are not 0 yet
    last = steps_taken(rules.adam, growing, **options)[-1]
    rng = np.random.default_rng(seed)
    noise = abs(steps_taken(rules.adam, rng.normal(size=(steps, 20)), **options))
    heavy = abs(steps_taken(rules.adam, rng.standard_cauchy((steps, 20)), **options))

    first_line = (1 - beta1) / math.sqrt(1 - beta2)
    reached = (first_line * np.sqrt((1 - q ** (1.0 * t)) / (1 - q))
               * np.sqrt(1 - beta2 ** (1.0 * t)) / (1 - beta1 ** (1.0 * t)))
    supremum = first_line / math.sqrt(1 - q)
    checks = [
        close("zeros, then one gradient: step / lr", alone, first_line),
        close("growing gradients: last step / lr", last, reached[-1], 1e-6),
        at_most("the same, against the supremum", last, supremum, 1e-9),
        at_most("normal noise: longest step / lr", noise.max(), supremum, 1e-9),
        at_most("Cauchy noise: longest step / lr", heavy.max(), supremum, 1e-9),
        at_most("Cauchy noise: step / its bound", (heavy / reached[:, None]).max(), 1, 1e-9),
    ]
    tried = np.unique(np.geomspace(2, steps, 10).astype(int))
    lasts = [steps_taken(rules.adam, growing[-n:], **options)[-1] for n in tried]
    panel = Panel("the longest possible step", "number of steps T", "step / lr", log="x")
    panel.points("growing gradients", tried, lasts)
    panel.measured("longest of Cauchy noise", t, heavy.max(axis=1))
    panel.predicted(t, reached, "Cauchy and Schwarz")
    return checks, [panel.predicted([1, steps], [supremum] * 2, "supremum")]


@experiment(SUBJECT, scale=(1e-6, 1e6), eps=(1e-12, 1e-3), steps=(1, 500))
def gradient_scale(*, scale=1e-6, eps=1e-8, steps=200):
    """Adaptive rules do not see the scale of the loss.

    Slide "Gradient scale": multiply the loss by `scale`. With eps = 0 the paths of AdaGrad,
    RMSProp, Adam, AMSGrad, AdamW, Adamax and Rprop stay as they are (to the last bit, if scale is a
    power of two), while a step of SGD becomes scale times as long. With eps, Adam's first step is
    lr |g| / (|g| + eps): as long as lr only while the gradients are much larger than eps.
    """
    curvature, start = np.array([1.0, 10.0, 100.0]), np.array([1.0, -2.0, 0.5])
    power = 2.0 ** round(math.log2(scale))

    def path(rule, factor, **options):
        def loss(w):
            return factor * ((curvature * w * w).sum() + (w**4).sum())
        return descent(rule, lambda w, t: slope(loss, w), start, steps, lr=0.01, **options)
    checks = []
    for name, rule in SCALED.items():
        options = {"eps": 0} if "eps" in rules.anatomy(rule).hyperparameters else {}
        plain = path(rule, 1.0, **options)
        for how, factor, rounding in (("", scale, 1e-9), (" (2^k)", power, 0.0)):
            checks.append(same(f"{name}: path, scaled by {factor:.3g}{how}", plain,
                               path(rule, factor, **options), rounding))
    gradients = slope(lambda w: (curvature * w * w).sum() + (w**4).sum(), start)
    ratio = np.diff(path(rules.sgd, scale)[:2], axis=0) / np.diff(path(rules.sgd, 1.0)[:2], axis=0)
    checks.append(same("SGD: first step, scaled / scale - 1", ratio / scale, 1, 1e-6))
    sizes = np.abs(gradients) * scale
    steps_made = abs(np.diff(path(rules.adam, scale, eps=eps)[:2], axis=0))[0] / 0.01
    for i, (made, size) in enumerate(zip(steps_made, sizes)):
        checks.append(equal(f"Adam, eps, weight {i}: first step / lr", made,
                            size / (size + eps), 1e-9))
    wide = np.geomspace(1e-4, 1e4, 60) * eps
    panel = Panel(f"Adam's first step, eps = {eps:g}", "|g|", "step / lr", log="x")
    panel.measured("Adam", wide, steps_taken(rules.adam, wide[None], lr=1.0, eps=eps)[0])
    return checks, [panel.predicted(wide, wide / (wide + eps), "|g| / (|g| + eps)")]


@experiment(SUBJECT, gradient=(1e-12, 1e3), eps=(1e-16, 1e-2), alpha=(0.0, 0.999))
def eps_place(*, gradient=1e-6, eps=1e-8, alpha=0.99):
    """eps inside the root is not eps outside it.

    Slides (8) and (10), Keras and optax have sqrt(G + eps); Duchi et al., slide (15) and PyTorch
    have sqrt(G) + eps. Inside, eps counts as its root: with eps = 1e-8, gradients below 1e-4 are
    already held back, and not only below 1e-8. The first step of AdaGrad is
    lr |g| / sqrt(g^2 + eps) or lr |g| / (|g| + eps); for RMSProp, put (1 - alpha) g^2 for g^2 under
    the root. Where |g| is much larger than sqrt(eps), it makes no difference.
    """
    g, checks, share = gradient, [], 1 - alpha

    def step(rule, g, inside, **options):
        return steps_taken(rule, np.atleast_2d(g), lr=1.0, eps=eps, eps_inside_sqrt=inside,
                           **options)[0]
    inside = step(rules.adagrad, g, True)[0]
    outside = step(rules.adagrad, g, False)[0]
    large = 1e4 * math.sqrt(eps)
    equals = step(rules.adagrad, large, False)[0] / step(rules.adagrad, large, True)[0]
    checks += [
        close("AdaGrad, inside: first step / lr", inside, g / math.sqrt(g * g + eps)),
        close("AdaGrad, outside: first step / lr", outside, g / (g + eps)),
        close("outside / inside", outside / inside, math.sqrt(g * g + eps) / (g + eps)),
        equal("the same, |g| = 10^4 sqrt(eps)", equals, 1, 1e-3),
        close("RMSProp, inside: first step / lr", step(rules.rmsprop, g, True, alpha=alpha)[0],
              g / math.sqrt(share * g * g + eps)),
        close("RMSProp, outside: first step / lr", step(rules.rmsprop, g, False, alpha=alpha)[0],
              g / (math.sqrt(share) * g + eps)),
    ]
    wide = np.geomspace(1e-3 * eps, 1e2 * math.sqrt(eps), 80)
    panel = Panel(f"AdaGrad's first step, eps = {eps:g}", "|g|", "step / lr", log="x")
    panel.measured("outside the root (PyTorch)", wide, step(rules.adagrad, wide, False))
    panel.measured("inside the root (slides, Keras)", wide, step(rules.adagrad, wide, True))
    panel.predicted(wide, wide / (wide + eps))
    return checks, [panel.predicted(wide, wide / np.sqrt(wide**2 + eps))]
