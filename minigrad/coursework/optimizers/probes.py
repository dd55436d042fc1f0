"""Probes: gradients by script, chosen so that wrong formulas give other numbers than right ones.

The one trick: every number is there to part two hypotheses. Gradients go over four orders of
magnitude, large between small ones (AMSGrad), with zeros (eps); eps is raised and the betas are
unusual, so that none hides behind another; two parameters have one shape (shared states); lr
changes midway (what is inside the velocity?); and a warm run starts with states at step 5.
"""

from collections import namedtuple

import numpy as np

# weights, states and each step's gradients: one per parameter. states are {} for a cold run. t is
# the number of the first step. settings: hyperparameters of each step. A step's gradients may be a
# function of all weights.
Run = namedtuple("Run", "name weights gradients states t settings")

# fmt: off
SCALES = (0.8, 0.03, 4.0, 0.2, 0.004, 1.5, 0.05)    # of the gradients of each step
SETTINGS = {
    "lr": 0.4, "eps": 0.06, "beta1": 0.7, "beta2": 0.88, "momentum": 0.8, "alpha": 0.85,
    "weight_decay": 0.3,
}
# fmt: on
SHAPE = (2, 3)


def settings_for(seed):
    """Hyperparameters of a probe, a little different for every seed."""
    shifts = np.random.default_rng([seed, 1]).integers(-4, 5, len(SETTINGS)) / 100
    return {name: round(value * (1 + float(shift)), 4)
            for (name, value), shift in zip(SETTINGS.items(), shifts)}


def cold_run(seed=0, *, settings=None, dtype=np.float64):
    """Two parameters of shape (2, 3), seven steps, states that start from nothing."""
    random = np.random.default_rng([seed, 2])
    settings = settings_for(seed) if settings is None else settings
    weights = [drawn(random, 1.5, 2).astype(dtype) for _ in range(2)]
    weights[1].flat[0] = 0
    gradients = []
    for i, scale in enumerate(SCALES):
        pair = [drawn(random, scale, 5).astype(dtype) for _ in range(2)]
        pair[0].flat[0] = 0 if i < 2 else pair[0].flat[0]
        pair[1].flat[-1] = 0  # a weight that never has a gradient: only decay may move it
        pair[1].flat[0] = 0  # nor has this one, which is 0: NaN tells that there is no eps at all
        gradients.append(pair)
    later = {**settings, "lr": settings["lr"] / 2} if "lr" in settings else settings
    half = len(SCALES) // 2
    steps = [settings] * half + [later] * (len(SCALES) - half)
    return Run("cold", weights, gradients, [{}, {}], 1, steps)


def warm_run(states, seed=0, *, settings=None, dtype=np.float64):
    """As `cold_run`, continued from states that are given, at step 5."""
    run = cold_run(seed + 1000, settings=settings or settings_for(seed), dtype=dtype)
    random = np.random.default_rng([seed, 3])
    begin = []
    for _ in run.weights:
        values = {state: np.abs(drawn(random, 0.6, 3)).astype(dtype) for state in states}
        if "v_max" in values:
            values["v_max"] = values["v_max"] + dtype(0.3)
        begin.append(values)
    return run._replace(name="warm", states=begin, t=5)


def drawn(random, scale, digits):
    """Numbers between scale/5 and scale with signs, rounded, so that a report can print them."""
    size = random.uniform(0.2, 1, SHAPE) * random.choice([-1.0, 1.0], SHAPE)
    return np.round(scale * size, digits)
