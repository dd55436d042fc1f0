"""The compiled step: the numbers of the eager step, whatever is computed and changes."""

import gc

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.optim import lr_scheduler, rules

from compiling import (
    STEPS, adam, agree, classify, fit, labelled, mlp, regression, restless, tensors,
)

# --- architectures --------------------------------------------------------------------------------

ACTIVATIONS = [nn.Tanh, nn.ReLU, nn.Sigmoid, nn.GELU, nn.ELU, nn.SiLU, nn.LeakyReLU, nn.Softplus,
               nn.SELU, nn.Mish, nn.ReLU6, nn.Hardswish, nn.Hardtanh, nn.Softsign, nn.Tanhshrink,
               nn.Softshrink, nn.Hardshrink, nn.LogSigmoid, nn.CELU, nn.Hardsigmoid, nn.PReLU]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.__name__)
def test_networks_with_every_activation_train_as_eagerly(activation):
    agree(lambda: mlp(activation), regression(), fit)


def weighted(**options):
    weight = minigrad.tensor([1.0, 2.0, 3.0, 4.0])
    return lambda model: lambda x, y: F.cross_entropy(model(x), y, weight=weight, **options)


LOSSES = {
    "cross_entropy": classify,
    "label_smoothing": lambda m: lambda x, y: F.cross_entropy(m(x), y, label_smoothing=0.1),
    "sum": lambda m: lambda x, y: F.cross_entropy(m(x), y, reduction="sum"),
    "weights": weighted(), "weights and smoothing": weighted(label_smoothing=0.2),
    "nll": lambda m: lambda x, y: F.nll_loss(F.log_softmax(m(x), 1), y),
    "multi_margin": lambda m: lambda x, y: F.multi_margin_loss(m(x), y),
    "largest": lambda m: lambda x, y: m(x).max(1)[0].sum(),
    "straight through": lambda m: lambda x, y: (
        (m(x) + (m(x).round() - m(x)).detach()) ** 2).mean(),
    "a kink without a slope": lambda m: lambda x, y: (m(x).relu() ** 0.5).mean(),
    "one number in a vector": lambda m: lambda x, y: F.cross_entropy(m(x), y).reshape(1),
    "unused layer": lambda m: lambda x, y: F.cross_entropy(m[0](x), y),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_labels(name):
    agree(mlp, labelled(), LOSSES[name])


@pytest.mark.parametrize("loss", [
    F.mse_loss, F.l1_loss, F.huber_loss, F.smooth_l1_loss, F.soft_margin_loss,
    lambda p, y: F.kl_div(p, y.softmax(1), reduction="batchmean"),
    lambda p, y: F.binary_cross_entropy_with_logits(p, (y > 0).double()),
    lambda p, y: F.binary_cross_entropy(p.sigmoid(), (y > 0).double())])
def test_losses_of_numbers(loss):
    agree(mlp, regression(), lambda model: lambda x, y: loss(model(x), y))


def convolutional():
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True),
                         nn.AvgPool2d(2), nn.Dropout2d(0.2), nn.Flatten(), nn.Linear(4, 4))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells, self.out = kind(3, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x):
        return self.out(self.cells(x)[0][:, -1])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.norm = nn.Embedding(7, 8, padding_idx=0), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
        self.out = nn.Linear(8, 4)

    def forward(self, x):
        x = self.words(x)
        return self.out(self.norm(x + self.attention(x, x, x)[0]).mean(1))


class Tied(nn.Module):
    """One matrix for reading words and for saying them, and a layer used twice."""

    def __init__(self):
        super().__init__()
        self.words, self.layer = nn.Embedding(4, 8), nn.Linear(8, 8)
        self.out = nn.Linear(8, 4, bias=False)
        self.out.weight = self.words.weight

    def forward(self, x):
        x = self.words(x[:, 0])
        x = x + self.layer(x).relu()
        return self.out(x + self.layer(x).tanh())


def words(classes=7, steps=STEPS):
    rng = np.random.default_rng(0)
    return [(rng.integers(0, classes, (6, 5)), rng.integers(0, 4, 6)) for _ in range(steps)]


NETWORKS = {
    "dropout and batch norm": (restless, labelled()),
    "convolution": (convolutional, labelled(shape=(1, 8, 8), n=4)),
    "norms": (lambda: nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.GELU(), nn.GroupNorm(2, 8),
                                    nn.RMSNorm(8), nn.Linear(8, 4)), labelled()),
    "RNN": (lambda: Recurrent(nn.RNN), labelled(8, shape=(6, 3))),
    "LSTM": (lambda: Recurrent(nn.LSTM), labelled(8, shape=(6, 3))),
    "GRU": (lambda: Recurrent(nn.GRU), labelled(8, shape=(6, 3))),
    "attention": (Attending, words(steps=8)),
    "tied weights, shared layers": (Tied, words(4)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_as_eagerly_with_the_same_random_numbers(name):
    build, batches = NETWORKS[name]
    agree(build, batches, classify)


def test_single_precision():
    agree(lambda: restless().float(), labelled(dtype=np.float32), classify, tolerance=2e-5)


# --- optimizers -----------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [
    optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.Adadelta, optim.Adamax,
    optim.NAdam, optim.RAdam, optim.Rprop, optim.Lion], ids=lambda kind: kind.__name__)
def test_every_optimizer(kind):
    agree(mlp, labelled(), classify, make=lambda m: kind(m.parameters(), lr=0.01))


def test_muon_and_a_rule_of_the_user():
    def build():
        return nn.Sequential(nn.Linear(3, 8, bias=False), nn.Tanh(), nn.Linear(8, 4, bias=False))
    agree(build, labelled(), classify, make=lambda m: optim.Muon(m.parameters(), lr=0.01))

    def rule(w, g, m, *, lr=0.1):
        m = 0.9 * m + g / (1 + np.abs(g).max())
        return w - lr * m, m
    agree(mlp, labelled(), classify, make=lambda m: optim.Optimizer(m.parameters(), rule=rule))


def test_groups_schedules_and_large_parameters():
    def make(model):
        return optim.Adam([{"params": model[0].parameters(), "lr": 0.1},
                           {"params": model[2].parameters(), "weight_decay": 0.3}], lr=0.01)
    schedules = []

    def change(model, optimizer, i):
        if i == 0:
            schedules.append(lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=STEPS + 1))
        else:
            schedules[-1].step()
    agree(mlp, labelled(), classify, make=make, change=change)
    agree(lambda: nn.Linear(200, 100), labelled(6, shape=(200,), classes=100), classify)


CLIPS = [lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.1),
         lambda m: nn.utils.clip_grad_value_(m.parameters(), 0.01)]


@pytest.mark.parametrize("clip", CLIPS)
def test_gradients_are_clipped_also_constant_ones(clip):
    agree(mlp, labelled(), classify, clip=clip)
    for build in (lambda: nn.Linear(3, 2), lambda: nn.Linear(200, 100)):
        agree(build, labelled(), lambda m: lambda x, y: m.weight.sum() + m.bias.sum(), clip=clip)


def test_parameters_are_frozen_from_the_start_or_later_and_thawed():
    def make(model):
        model[2].weight.requires_grad_(False)
        return adam(model)

    def change(model, optimizer, i):
        if i in (4, 9):
            model[0].weight.requires_grad_(i == 9)
    agree(mlp, labelled(), classify, make=make, change=change)


# --- what changes between steps -------------------------------------------------------------------

def test_every_shape_has_its_program():
    batches = labelled(6) + labelled(1, n=2) + labelled(6, seed=1) + labelled(3, n=1)
    agree(mlp, batches, classify, programs=3)


def test_modes_are_followed_also_of_a_single_module():
    agree(restless, labelled(), classify, change=lambda m, _, i: m.train(i % 5 < 3))
    agree(restless, labelled(), classify, change=lambda m, _, i: m[3].train(i > 5))


def test_a_seed_set_between_steps_is_heard():
    agree(restless, labelled(), classify,
          change=lambda m, _, i: minigrad.manual_seed(5) if i in (3, 7) else None)


def test_loading_replacing_and_adding_parameters():
    saved = {}

    def load(model, optimizer, i):
        if i == 4:
            saved["model"] = {k: v.clone() for k, v in model.state_dict().items()}
            saved["optimizer"] = optimizer.state_dict()
        if i == 8:
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
        if i == 12:
            model[0].weight.data = model[0].weight.data * 0.5
    agree(restless, labelled(), classify, change=load)

    def add(model, optimizer, i):
        if i == 5:
            optimizer.add_param_group({"params": model[2].parameters(), "lr": 0.1})
    agree(mlp, labelled(), classify, make=lambda m: adam(m[0]), change=add)


FACTOR = 1.0


def test_numbers_and_tensors_around_loss_fn_may_change(monkeypatch):
    agree(mlp, labelled(), lambda m: lambda x, y: F.cross_entropy(m(x) * FACTOR, y),
          change=lambda m, _, i: monkeypatch.setitem(globals(), "FACTOR", 1.0 + i // 4))
    box = []

    def loss_of(model):
        beta = minigrad.ones(4)

        def loss_fn(x, y):
            return F.cross_entropy(model(x) * beta, y)

        def put(value, anew):
            nonlocal beta
            if anew:
                beta = minigrad.tensor(np.full(4, value))
            else:
                beta.data.copy_(minigrad.tensor(np.full(4, value)))
        box.append(put)
        return loss_fn
    agree(mlp, labelled(), loss_of, change=lambda m, _, i: box[-1](1.0 + i // 4, i % 8 < 4))


def test_a_program_that_never_lasts_is_mentioned():
    model, scale = mlp(), 0.0

    def loss_fn(x, y):
        return F.cross_entropy(model(x) * scale, y)
    step, (data,) = minigrad.compile(loss_fn, adam(model)), labelled(1)
    with pytest.warns(UserWarning, match="keeps changing"):
        for _ in range(25):
            scale += 0.1
            step(*data)


def test_plain_arguments_are_part_of_the_program():
    batches = [(x, y, (1.0, 2.0, True, 1)[i % 4]) for i, (x, y) in enumerate(labelled())]

    def loss_of(model):
        return lambda x, y, s: F.cross_entropy(model(x) * (5 if s is True else s), y)
    agree(mlp, batches, loss_of, programs=4)


def test_data_in_any_layout_and_slices_of_tensors():
    batches = [(np.asfortranarray(x) if i % 2 else x[::-1], y)
               for i, (x, y) in enumerate(labelled())]
    agree(mlp, batches, classify)
    x, y = (minigrad.tensor(a) for a in labelled(1, n=60)[0])
    slices = [(x[i:i + 6], y[i:i + 6]) for i in range(0, 60, 6)]
    agree(mlp, slices, classify)
    agree(mlp, [(a, b.to(minigrad.int32)) for a, b in slices], classify)


def test_the_same_arrays_with_other_numbers_in_them():
    x, y = labelled(1)[0]
    rng = np.random.default_rng(5)

    def change(model, optimizer, i):
        x[...] = rng.normal(size=x.shape)
        y[...] = rng.integers(0, 4, y.shape)
        if i == 19:
            rng.bit_generator.state = start
    start = rng.bit_generator.state
    agree(mlp, [(x, y)] * 20, classify, change=change)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("when", [0, 1, 6])
def test_infinite_data_do_the_same_harm(when):
    batches = labelled()
    batches[when][0][0, 0] = np.inf
    agree(restless, batches, classify)


def test_labels_out_of_range_are_errors_and_ignored_ones_are_ignored():
    batches = [(x, np.where(np.arange(6) < max(0, i - 12), -1, y))
               for i, (x, y) in enumerate(labelled(18))]
    agree(restless, batches,
          lambda m: lambda x, y: F.cross_entropy(m(x), y, ignore_index=-1))
    model = mlp()
    step, batches = minigrad.compile(classify(model), adam(model)), labelled(6)
    for x, y in batches:
        step(x, y)
    for wrong in (-1, 4):
        with pytest.raises(IndexError, match="out of bounds"):
            step(x, np.full(6, wrong))


def test_gradients_can_be_read_and_used_by_eager_code():
    def final(compiled):
        minigrad.manual_seed(0)
        model = mlp()
        optimizer, loss_fn = adam(model), classify(model)
        step = minigrad.compile(loss_fn, optimizer)
        seen = []
        for i, (x, y) in enumerate(labelled()):
            if compiled and i % 3:
                step(x, y)
            else:
                optimizer.zero_grad()
                loss_fn(*tensors((x, y))).backward()
                optimizer.step()
            seen.append(model[0].weight.grad.numpy().copy())
            if i % 4 == 0:  # accumulates on top of what the step left
                loss_fn(*tensors((x, y))).backward()
                seen.append(model[2].weight.grad.numpy().copy())
                optimizer.step()
        return seen, [p.numpy().copy() for p in model.parameters()]
    for ones, others in zip(final(True), final(False)):
        for one, other in zip(ones, others):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


def test_losses_are_kept_apart():
    model = mlp()
    step = minigrad.compile(lambda x, y: F.cross_entropy(model(x), y).reshape(1), adam(model))
    losses = [step(*data) for data in labelled()]
    assert len({loss.item() for loss in losses}) == len(losses)
    assert not losses[5].requires_grad


# --- the text, and what is left behind ------------------------------------------------------------

def test_the_source_of_a_step_is_shown_and_is_python():
    model = mlp()
    step = minigrad.compile(classify(model), adam(model))
    assert "nothing has been compiled" in step.source
    for data in labelled(4):
        step(*data)
    compile(step.source, "<step>", "exec")
    assert step.source.count("matmul(") == 5 and "sqrt(" in step.source
    assert "1 program" in repr(step)


def test_no_rule_of_the_optimizer_is_skipped():
    w = minigrad.tensor([1.0, -2.0], requires_grad=True)
    step = minigrad.compile(lambda x: ((w - x) ** 2).sum(), optim.Adam([w], lr=0.1))
    expected, m, v = np.array([1.0, -2.0]), 0.0, 0.0
    for t in range(1, 12):
        step(np.array([0.5, t]))
        expected, m, v = rules.adam(expected, 2 * (expected - [0.5, t]), m, v, t, lr=0.1)
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-13)


def test_steps_leave_nothing_behind():
    model = restless()
    step, batches = minigrad.compile(classify(model), adam(model)), labelled()
    for data in batches:
        step(*data)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(10):
            for data in batches:
                step(*data)
        assert len(gc.get_objects()) - before < 50
    finally:
        gc.enable()
