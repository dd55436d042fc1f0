"""Batch and minibatch: what a gradient of few samples has to do with the gradient of all.

Letters: N samples, B of them in a minibatch, s2 the variance of the gradients of single samples.
"""

import itertools
import math

import numpy as np

from minigrad.lab.descents import slope
from minigrad.lab.experiment import close, equal, experiment, same
from minigrad.lab.panels import Panel

SUBJECT = "Gradient descent"


@experiment(SUBJECT, samples=(2, 12), batch=(1, 12), seed=(0, 10**6))
def minibatch(*, samples=10, batch=4, seed=0):
    """A minibatch gradient is right on average.

    Slide "Recap" and equation (6): batch descent asks all N samples for the direction, SGD only B
    of them. The mean of all possible minibatch gradients is the gradient of the whole set, and so
    is their mean over one epoch. They scatter around it with the variance

        s2 / B * (N - B) / (N - 1)

    where s2 is the variance of single samples' gradients (drawing without replacement). Every
    possible minibatch of a linear regression is drawn here, and its gradient taken by backward.
    """
    if batch > samples:
        raise ValueError(f"minibatch: batch is {batch} of only {samples} samples; "
                         "choose a batch up to samples")
    rng = np.random.default_rng(seed)
    x, y, w = rng.normal(size=(samples, 3)), rng.normal(size=samples), rng.normal(size=3)

    def gradient(chosen):
        return slope(lambda w: ((x[chosen] @ w - y[chosen]) ** 2).mean(), w)

    order = rng.permutation(samples)
    epoch = [order[i:i + batch] for i in range(0, samples, batch)]
    mean = sum(len(part) / samples * gradient(part) for part in epoch)
    scatter, middle = {}, {}
    for size in range(1, samples + 1):
        drawn = np.array([gradient(list(chosen)) for chosen
                          in itertools.combinations(range(samples), size)])
        middle[size] = drawn.mean(axis=0)
        scatter[size] = ((drawn - middle[size]) ** 2).mean(axis=0).sum()

    single = 2 * (x @ w - y)[:, None] * x  # by hand: the derivative of (x w - y)^2
    full, s2 = single.mean(axis=0), single.var(axis=0).sum()
    sizes = np.arange(1, samples + 1)
    variances = s2 / sizes * (samples - sizes) / max(1, samples - 1)
    checks = [
        same("one epoch's mean - gradient of all", mean, full),
        same(f"mean of all {math.comb(samples, batch)} minibatches - that", middle[batch], full),
        equal(f"variance of a minibatch of {batch}", scatter[batch], variances[batch - 1],
              1e-9 * s2),
        close("variance of a single sample (s2)", scatter[1], s2),
        equal("variance of the whole set", scatter[samples], 0, 1e-12),
    ]
    panel = Panel("how far minibatch gradients scatter", "samples in a minibatch, B", "variance")
    panel.points("all minibatches of that size", sizes, list(scatter.values()))
    return checks, [panel.predicted(sizes, variances, "s2 / B * (N - B) / (N - 1)")]
