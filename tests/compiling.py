"""Compiled training beside eager training: what tests of the compiled step share."""

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.nn import functional as F

STEPS = 20


def mlp(activation=nn.Tanh):
    return nn.Sequential(nn.Linear(3, 8), activation(), nn.Linear(8, 4))


def restless():
    """A network with everything that differs from step to step."""
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3),
                         nn.Linear(8, 4))


def classify(model):
    return lambda x, y: F.cross_entropy(model(x), y)


def fit(model):
    return lambda x, y: F.mse_loss(model(x), y)


def labelled(steps=STEPS, n=6, shape=(3,), classes=4, dtype=float, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(n, *shape)).astype(dtype), rng.integers(0, classes, n))
            for _ in range(steps)]


def regression(steps=STEPS, n=6, shape=(3,), out=(4,), seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(n, *shape)), rng.normal(size=(n, *out))) for _ in range(steps)]


def adam(model):
    return optim.Adam(model.parameters(), lr=0.01)


def tensors(data):
    return [minigrad.tensor(x) if isinstance(x, np.ndarray) else x for x in data]


def trained(build, batches, loss_of, compiled, make=adam, clip=None, change=None):
    """(losses, values of parameters and buffers, a number of the generator afterwards, step)."""
    minigrad.manual_seed(1)
    model = build()
    optimizer, loss_fn = make(model), loss_of(model)
    after = clip and (lambda: clip(model))
    step = minigrad.compile(loss_fn, optimizer, after_backward=after) if compiled else None
    losses = []
    for i, data in enumerate(batches):
        if change is not None:
            change(model, optimizer, i)
        if compiled:
            loss = step(*data)
        else:
            optimizer.zero_grad()
            loss = loss_fn(*tensors(data))
            loss.backward()
            if after:
                after()
            optimizer.step()
        losses.append(loss.item())
    values = [t.numpy().copy() for t in (*model.parameters(), *model.buffers())]
    return losses, values, minigrad.rand(1).item(), step


def agree(build, batches, loss_of, tolerance=1e-12, programs=1, **how):
    """Holds compiled training against eager training; returns the compiled step."""
    losses, values, drawn, _ = trained(build, batches, loss_of, False, **how)
    found, compiled, drawn_too, step = trained(build, batches, loss_of, True, **how)
    np.testing.assert_allclose(found, losses, rtol=tolerance, atol=tolerance)
    for one, other in zip(compiled, values):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    assert drawn_too == drawn, "the generator was left elsewhere"
    assert len(step.programs) == programs
    return step
