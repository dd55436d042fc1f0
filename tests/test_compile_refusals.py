"""What a compiled step refuses, at once and with nothing changed; and what it leaves to eager."""

import random as python_random
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.codegen.compiled import NotCompilable
from minigrad.nn import functional as F

from compiling import adam, agree, classify, labelled, mlp, restless, tensors

class Squared(minigrad.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(context, g):
        x, = context.saved_tensors
        return g * 2 * x


noise = np.random.default_rng(0)


def branch_on_loss(model):
    def loss_fn(x, y):
        loss = F.cross_entropy(model(x), y)
        return loss * 2 if loss > 1 else loss
    return loss_fn


def moving_average(model):
    model[1].register_buffer("mean", minigrad.zeros(8))

    def loss_fn(x, y):
        h = model[0](x)
        model[1].mean.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return F.cross_entropy(model[4](model[1](h - model[1].mean)), y)
    return loss_fn


def counting(model):
    n = 0

    def loss_fn(x, y):
        nonlocal n
        n += 1
        return F.cross_entropy(model(x), y) * n
    return loss_fn


def carried(model):
    box = [minigrad.zeros(4)]

    def loss_fn(x, y):
        out = model(x) + box[0]
        box[0] = out.detach().mean(0)
        return F.cross_entropy(out, y)
    return loss_fn


CE = F.cross_entropy
REFUSED = {
    "branch": (branch_on_loss, "Python number"),
    "item": (lambda m: lambda x, y: CE(m(x), y) * CE(m(x), y).item(), "item"),
    "float": (lambda m: lambda x, y: CE(m(x), y) * float(x.sum()), "float"),
    "numpy": (lambda m: lambda x, y: CE(m(x), y) * x.numpy()[0, 0], "numpy"),
    "asarray": (lambda m: lambda x, y: CE(m(x), y) * np.asarray(y).max(), "numpy"),
    "tolist": (lambda m: lambda x, y: CE(m(x), y) * len(set(y.tolist())), "Python number"),
    "detached item": (lambda m: lambda x, y: CE(m(x) * m(x).detach().sum().item(), y), "item"),
    "branch on a label": (lambda m: lambda x, y: m(x).sum() if y[0] == 1 else m(x).mean(), "`if`"),
    "index": (lambda m: lambda x, y: m(x)[:, int(y[0])].sum(), "Python number"),
    "mask": (lambda m: lambda x, y: m(x)[x[:, 0] > 0].sum(), "mask"),
    "nonzero": (lambda m: lambda x, y: m(x)[minigrad.nonzero(x[:, 0] > 0)].sum(), "compile"),
    "argsort": (lambda m: lambda x, y: m(x)[minigrad.argsort(x[:, 0])[:3]].sum(), "compile"),
    "randn": (lambda m: lambda x, y: CE(m(x + minigrad.randn(6, 3)), y), "random"),
    "NumPy's random": (lambda m: lambda x, y: CE(m(x + noise.normal(size=(6, 3))), y), "random"),
    "Python's random": (lambda m: lambda x, y: CE(m(x), y) * python_random.random(), "random"),
    "counter": (counting, "from time to time"),
    "carried state": (carried, "compile"),
    "buffer": (moving_average, "writes into"),
    "data": (lambda m: lambda x, y: CE(m(x.mul_(2.0)), y), "writes into"),
    "ignored": (lambda m: lambda x, y: CE(m(x), y, ignore_index=1), "ignore_index=1"),
    "Function": (lambda m: lambda x, y: CE(Squared.apply(m(x)), y), "autograd.Function"),
    "vector": (lambda m: lambda x, y: m(x), "one number"),
    "no tensor": (lambda m: lambda x, y: 1.0, "one number"),
    "no parameters": (lambda m: lambda x, y: x.sum(), "computed from parameters"),
}


def state_of(model, optimizer):
    return ([t.array.copy() for t in (*model.parameters(), *model.buffers())],
            [p.grad is None for p in model.parameters()], optimizer.steps_taken,
            [dict(optimizer.state[p]) for p in model.parameters()],
            minigrad.random.generator().bit_generator.state)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_repeated_is_refused_at_once_and_nothing_is_changed(name):
    loss_of, message = REFUSED[name]
    model = restless()
    optimizer, loss_fn = adam(model), loss_of(model)
    step, ((x, y),) = minigrad.compile(loss_fn, optimizer), labelled(1)
    before, given = state_of(model, optimizer), x.copy()
    with pytest.raises(NotCompilable, match=message):
        step(x, y)
    np.testing.assert_equal(state_of(model, optimizer), before)
    np.testing.assert_array_equal(x, given)
    assert minigrad.engine.mode.tracing is None


def test_batch_norm_with_a_plain_average_is_refused():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3, momentum=None),
                          nn.Linear(3, 4))
    optimizer = adam(model)
    before = state_of(model, optimizer)
    with pytest.raises(NotCompilable, match="momentum"):
        minigrad.compile(classify(model), optimizer)(*labelled(1)[0])
    np.testing.assert_equal(state_of(model, optimizer), before)


def test_an_error_in_loss_fn_passes_through_and_changes_nothing():
    model = restless()
    optimizer = adam(model)
    before = state_of(model, optimizer)
    with pytest.raises(ZeroDivisionError):
        minigrad.compile(lambda x, y: model(x).sum() / (1 // 0), optimizer)(*labelled(1)[0])
    np.testing.assert_equal(state_of(model, optimizer), before)


def test_what_changes_unseen_is_found_by_the_comparisons_and_the_step_is_done():
    model, box = mlp(), {"scale": 1.0}
    step = minigrad.compile(lambda x, y: F.cross_entropy(model(x) * box["scale"], y), adam(model))
    batches = labelled(10)
    for i, (x, y) in enumerate(batches[:6]):
        box["scale"] = 1.0 + (i >= 5)
        step(x, y)  # the 2nd and the 4th call are held against the eager step
    step(*batches[6])
    with pytest.raises(NotCompilable, match="differs from the eager one") as refusal:
        step(*batches[7])
    assert refusal.value.loss is not None and step.optimizer.steps_taken == 8


def test_too_many_shapes_and_data_that_require_grad_and_no_data_at_all():
    model = mlp()
    step = minigrad.compile(classify(model), adam(model))
    for n in range(1, 17):
        step(*labelled(1, n=n)[0])
    with pytest.raises(NotCompilable, match="16 programs"):
        step(*labelled(1, n=17)[0])
    x, y = tensors(labelled(1, n=3)[0])
    with pytest.raises(NotCompilable, match="argument 0.*requires grad"):
        step(x.requires_grad_(), y)
    with pytest.raises(TypeError, match="tensors, arrays or plain values, got list"):
        step([1.0], y)
    with pytest.raises(TypeError, match="a function that returns the loss and an optimizer"):
        minigrad.compile(model.parameters(), adam(model))


def test_traces_and_anomaly_detection_run_eagerly_and_say_so_once():
    def change(model, optimizer, i):
        if i == 5:
            contexts.append(minigrad.trace(model, optimizer).__enter__())
        if i == 9:
            contexts.pop().__exit__(None, None, None)
    contexts = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agree(restless, labelled(), classify, change=change)
    assert [str(w.message) for w in caught if "compiled step" in str(w.message)] == [
        "compiled step: a run is being traced, so steps run eagerly meanwhile"]
    model = mlp()
    step = minigrad.compile(classify(model), adam(model))
    for data in labelled(5):
        step(*data)
    with minigrad.autograd.detect_anomaly(), pytest.warns(UserWarning, match="anomalies"):
        step(*data)
