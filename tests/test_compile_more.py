"""What loss functions do beside computing a loss: compiled alike, or refused untouched."""

import numpy as np
import pytest
from compiling import STEPS, adam, agree, classify, labelled, mlp, regression, trained

import minigrad
from minigrad import nn, optim
from minigrad.beside import NotCompilable
from minigrad.nn import functional as F


def smooth():
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def physics(model):
    def loss(x):
        time = x.clone().requires_grad_()
        u = model(time)
        slope, = minigrad.grad(u.sum(), [time], create_graph=True)
        bend, = minigrad.grad(slope.sum(), [time], create_graph=True)
        return (bend + u).pow(2).mean()
    return loss


def physics_of_data(model):
    def loss(x):
        x.requires_grad_()
        slope, = minigrad.grad(model(x).sum(), [x], create_graph=True)
        return (slope - 1).pow(2).mean()
    return loss


def gradient_penalty(model):
    def loss(x, y):
        between = (0.3 * x + 0.7 * y).requires_grad_(True)
        slope, = minigrad.grad(model(between).sum(), [between], create_graph=True)
        return model(x).mean() - model(y).mean() + 10 * (slope.norm(2, dim=1) - 1).pow(2).mean()
    return loss


def adversarial(model):
    def loss(x, y):
        near = x.clone().requires_grad_()
        slope, = minigrad.grad(F.cross_entropy(model(near), y), [near], create_graph=True)
        return F.cross_entropy(model(x + 0.1 * slope.sign()), y)
    return loss


@pytest.mark.parametrize("build, loss, data", [
    (smooth, physics, [(x,) for x, _ in regression()]),
    (smooth, physics_of_data, [(x,) for x, _ in regression()]),
    (smooth, gradient_penalty, regression(out=(3,))),
    (mlp, adversarial, labelled())])
def test_derivatives_with_respect_to_data_may_be_part_of_the_loss(build, loss, data):
    agree(build, data, loss)


def test_an_inner_step_may_be_differentiated_through():
    def adapted(model):
        W, b = model.weight, model.bias

        def loss(x, y, more, less):
            inner = F.mse_loss(x @ W.T + b, y)
            dW, db = minigrad.grad(inner, [W, b], create_graph=True)
            return F.mse_loss(more @ (W - 0.1 * dW).T + b - 0.1 * db, less)
        return loss
    one, other = regression(seed=1), regression(seed=2)
    agree(lambda: nn.Linear(3, 4), [(*a, *b) for a, b in zip(one, other)], adapted)


def bigram(model):
    return lambda x, y: F.cross_entropy(F.one_hot(x, 5).to(model.weight.dtype)
                                        @ model.weight.T, y)


def test_one_hot_is_taken_anew_in_every_step():
    rng = np.random.default_rng(0)
    batches = [(rng.integers(0, 5, 8), rng.integers(0, 4, 8)) for _ in range(STEPS)]
    step = agree(lambda: nn.Linear(5, 4, bias=False), batches, bigram)
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        step(np.full(8, 5), np.zeros(8, int))


def test_the_number_of_classes_may_not_be_read_off_the_data():
    model = nn.Linear(5, 4, bias=False)
    step = minigrad.compile(lambda x, y: (F.one_hot(x).double() @ model.weight.T).mean(),
                            optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(NotCompilable, match="number"):
        step(np.arange(5), np.zeros(5, int))


class Normalized:
    """Batch normalization of a learner's own: a plain class, running averages in attributes."""

    def __init__(self, n):
        self.gain, self.mean = minigrad.ones(n, requires_grad=True), minigrad.zeros(n)

    def __call__(self, x):
        self.out = self.gain * (x - x.mean(0)) / x.std(0)
        with minigrad.no_grad():
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        return self.out


class Averaging(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.register_buffer("mean", minigrad.zeros(4))

    def forward(self, x):
        h = self.layer(x)
        self.mean = 0.9 * self.mean + 0.1 * h.detach().mean(0)
        return h


def test_averages_kept_in_attributes_are_refused_and_stay_what_they_were():
    layer, model = Normalized(3), Averaging()
    kept = layer.mean, model.mean
    for loss, parameters in ((lambda x, y: layer(x).mean() + (layer.gain**2).sum(), [layer.gain]),
                             (classify(model), model.parameters())):
        step = minigrad.compile(loss, optim.SGD(parameters, lr=0.1))
        with pytest.raises(NotCompilable, match="computes a new 'mean' from the old one"):
            step(*labelled(1)[0])
    assert layer.mean is kept[0] and model.mean is kept[1]
    assert not hasattr(layer, "out")


def test_averages_kept_in_variables_are_refused_and_stay_what_they_were():
    mean, place, model = minigrad.zeros(4), {"mean": minigrad.zeros(4)}, nn.Linear(3, 4)
    before, entry = mean, place["mean"]

    def rebinding(x, y):
        nonlocal mean
        h = model(x)
        with minigrad.no_grad():
            mean = 0.9 * mean + 0.1 * h.mean(0)
        return F.cross_entropy(h, y)

    def entering(x, y):
        h = model(x)
        place["mean"] = 0.9 * place["mean"] + 0.1 * h.detach().mean(0)
        return F.cross_entropy(h, y)

    def writing(x, y):
        h = model(x)
        with minigrad.no_grad():
            mean.mul_(0.9).add_(h.mean(0))
        return F.cross_entropy(h, y)
    for loss, word in ((rebinding, "'mean'"), (entering, "'mean'"), (writing, "writes into")):
        with pytest.raises(NotCompilable, match=word):
            minigrad.compile(loss, adam(model))(*labelled(1)[0])
    assert mean is before and place["mean"] is entry and not mean.numpy().any()


def test_trying_a_loss_function_out_leaves_no_traces_in_lists_and_attributes():
    seen = []

    class Watched:
        def __init__(self):
            self.model, self.calls = nn.Linear(3, 4), 0

        def loss(self, x, y):
            self.calls += 1
            self.scores = self.model(x)
            seen.append(x.shape)
            return F.cross_entropy(self.scores, y)
    watched = Watched()
    x, y = labelled(1)[0]
    step = minigrad.compile(watched.loss, adam(watched.model))
    loss = step(x, y)
    assert watched.calls == len(seen) == 1
    assert F.cross_entropy(watched.scores, minigrad.tensor(y)).item() == loss.item()


def test_backward_within_the_loss_is_refused_and_gradients_stay():
    model = mlp()
    for p in model.parameters():
        p.grad = minigrad.ones(*p.shape)

    def loss(x, y):
        found = F.cross_entropy(model(x), y)
        found.backward()
        return found
    with pytest.raises(NotCompilable, match="leave backward"):
        minigrad.compile(loss, adam(model))(*labelled(1)[0])
    assert all((p.grad == 1).all() for p in model.parameters())


def test_a_variable_that_is_assigned_later_does_no_harm():
    model = nn.Linear(3, 4)

    def loss(x, y):
        return F.cross_entropy(model(x), y) if True else later
    step = minigrad.compile(loss, adam(model))
    step(*labelled(1)[0])
    later = 1
    for data in labelled(3):
        step(*data)
    assert step.remade == 0 and later == 1


def test_two_players_train_as_eagerly():
    def played(compiled):
        minigrad.manual_seed(0)
        maker, judge = nn.Linear(2, 2), nn.Linear(2, 1)
        ours, theirs = adam(maker), adam(judge)

        def judged(real, noise):
            made = maker(noise).detach()
            return F.softplus(-judge(real)).mean() + F.softplus(judge(made)).mean()

        def made(noise):
            return F.softplus(-judge(maker(noise))).mean()

        def eagerly(loss_fn, optimizer):
            def step(*data):
                optimizer.zero_grad()
                loss = loss_fn(*map(minigrad.tensor, data))
                loss.backward()
                optimizer.step()
                return loss
            return step
        steps = [(minigrad.compile if compiled else eagerly)(*pair)
                 for pair in ((judged, theirs), (made, ours))]
        rng, losses = np.random.default_rng(0), []
        for _ in range(STEPS):
            noise = rng.normal(size=(5, 2))
            losses += [steps[0](rng.normal(size=(5, 2)), noise).item(), steps[1](noise).item()]
        return losses
    np.testing.assert_allclose(played(True), played(False), rtol=1e-12)


def test_a_moving_average_of_weights_is_kept_between_steps():
    averages = {}

    def average(model, optimizer, i):
        with minigrad.no_grad():
            for p in model.parameters():
                mean = averages.setdefault((id(model), p.name), p.detach().clone())
                mean.mul_(0.9).add_(p, alpha=0.1)
    eager = trained(mlp, labelled(), classify, False, change=average)
    values = [v.numpy().copy() for v in averages.values()]
    averages.clear()
    compiled = trained(mlp, labelled(), classify, True, change=average)
    np.testing.assert_allclose(compiled[0], eager[0], rtol=1e-12)
    for one, other in zip(averages.values(), values):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-12)
