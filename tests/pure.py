"""An optimizer beside its rule, called as it is written: what tests of updates in place share."""

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.optim import rules

LARGE = 32768 + 123  # numbers in two blocks, the second one partial


def made(arrays):
    return [nn.Parameter(array.copy()) for array in arrays]


def options_of(values):
    """Hyperparameters of a rule, and modifiers of rules.update, as options of an optimizer."""
    options = {**values}
    if "beta2" in options:
        options["betas"] = (0.9, options.pop("beta2"))
    if "decay_rate" in options:
        options["lr"], options["decoupled_weight_decay"] = options.pop("decay_rate"), True
    return options


class Pure:
    """What an optimizer must do: its rule, called for each parameter as it is written."""

    def __init__(self, arrays, rule):
        self.weights, self.rule = [array.copy() for array in arrays], rule
        self.states = [[0.0] * len(rules.anatomy(rule).states) for _ in arrays]
        self.times = [0] * len(arrays)

    def step(self, gradients, hyperparameters, modifiers):
        for i, g in enumerate(gradients):
            if g is None:
                continue
            self.times[i] += 1
            with np.errstate(all="ignore"):
                self.weights[i], *self.states[i] = rules.update(
                    self.rule, self.weights[i], g, self.states[i], self.times[i], hyperparameters,
                    **modifiers)


def step(optimizer, parameters, gradients):
    for p, g in zip(parameters, gradients):
        p.grad = None if g is None else minigrad.tensor(g)
    optimizer.step()


def in_place(optimizer):
    """Did every joined or walked group of parameters run in place last?"""
    return all(batch.memory_of is not None
               for plan in optimizer._plans.values() for batch in plan.batches if batch.flat)


def same(optimizer, parameters, pure):
    """Are all weights and states equal, to the last bit?"""
    for p, w, states, t in zip(parameters, pure.weights, pure.states, pure.times):
        np.testing.assert_array_equal(p.numpy(), w)
        entry = optimizer.state[p]
        assert entry.get("step", 0) == t
        for name, state in zip(rules.anatomy(pure.rule).states, states):
            np.testing.assert_array_equal(entry.get(name, 0.0), np.asarray(state))
            assert np.asarray(entry.get(name, 0.0)).dtype == np.asarray(state).dtype


def compared(rule, shapes=((3, 4), (5,), ()), steps=6, dtype=float, seed=0, change=None,
             followed=None, draw=None, **options):
    """An optimizer beside the pure rule, on random gradients; `change(optimizer, i)` before each
    step. followed: must the rule have run in place?"""
    rng = np.random.default_rng(seed)
    draw = draw or (lambda i, shape: rng.normal(size=shape))
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    parameters, pure = made(arrays), Pure(arrays, rule)
    optimizer = optim.Optimizer(parameters, rule=rule, **options)
    for i in range(steps):
        if change is not None:
            change(optimizer, i)
        gradients = [np.asarray(draw(i, shape), dtype) for shape in shapes]
        step(optimizer, parameters, gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
        same(optimizer, parameters, pure)
    if followed is not None:
        assert in_place(optimizer) == followed
    return optimizer
