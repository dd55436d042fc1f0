"""What optimizers refuse: a line naming the thing, the values and the cure, and nothing done."""

import math

import numpy as np
import pytest

import minigrad
from minigrad.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop


class Lion(Optimizer, rule=lambda w, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99: (w, m)):
    pass


def leaf(values, grad=None):
    p = minigrad.tensor(values, requires_grad=True)
    if grad is not None:
        p.grad = minigrad.tensor(np.broadcast_to(grad, p.shape))
    return p


def one():
    return leaf([1.0])


def product():
    return one() * 2


BAD = [
    (lambda: SGD([]), ValueError, "empty parameter list"),
    (lambda: SGD([{"params": []}]), ValueError, "empty parameter list"),
    (lambda: SGD(one()), TypeError, r"put it in a list"),
    (lambda: SGD(3), TypeError, "params is a int"),
    (lambda: SGD([3]), TypeError, "parameter 0 is a int"),
    (lambda: SGD([np.ones(2)]), TypeError, "is a ndarray"),
    (lambda: SGD({one()}), TypeError, "set, whose order"),
    (lambda: SGD([{"params": {one()}}]), TypeError, "set, whose order"),
    (lambda: SGD({"params": [one()]}), TypeError, "list of groups"),
    (lambda: SGD([{"lr": 1}]), TypeError, '"params"'),
    (lambda: SGD([{"params": [one()]}, one()]), TypeError, "must be a dict"),
    (lambda: SGD([product()]), ValueError, "non-leaf .* the result of mul"),
    (lambda: SGD([minigrad.tensor([1, 2])]), ValueError, "dtype int64"),
    (lambda: SGD([minigrad.tensor([True])]), ValueError, "dtype bool"),
    (lambda: SGD([minigrad.tensor([1.0])]), ValueError, "requires_grad=True"),
    (lambda: SGD([("a", one()), one()]), ValueError, "name all or none"),
    (lambda: SGD([("a", one()), ("a", one())]), ValueError, "have the name 'a'"),
    (lambda: SGD([p := one(), p]), ValueError, "given twice"),
    (lambda: SGD([{"params": [p := one()]}, {"params": [p]}]), ValueError, "given twice"),
    (lambda: SGD([{"params": [one()], "learning_rate": 9}]), TypeError, "did you mean 'lr'"),
    (lambda: Adam([{"params": [one()], "weigth_decay": 9}]), TypeError, "mean 'weight_decay'"),
    (lambda: Adam([one()], beta1=0.9), TypeError, "beta1"),
    (lambda: Lion([one()], beta1=0.9), TypeError, "no option 'beta1'; did you mean 'betas'"),
    (lambda: Optimizer([one()]), TypeError, "needs rule="),
    (lambda: Optimizer([one()], rule=lambda w, g, *, lr: w), TypeError, "needs a value for 'lr'"),
    (lambda: Optimizer([one()], rule=3), TypeError, "must be a function"),
    (lambda: SGD([one()], lr=-1), ValueError, "lr is -1; it must be a finite number"),
    (lambda: SGD([one()], lr=math.nan), ValueError, "lr is nan"),
    (lambda: Adam([one()], lr=math.inf), ValueError, "lr is inf"),
    (lambda: Adam([one()], lr="0.1"), TypeError, "must be a number"),
    (lambda: Adam([one()], lr=True), TypeError, "must be a number"),
    (lambda: Adam([one()], eps=-1e-8), ValueError, "eps"),
    (lambda: Adam([one()], betas=(1.0, 0.9)), ValueError, "beta1 is 1.0; it must be at"),
    (lambda: Adam([one()], betas=(0.9, -0.1)), ValueError, "beta2"),
    (lambda: Adam([one()], betas=0.9), TypeError, "give two numbers"),
    (lambda: Adam([one()], amsgrad="slides"), ValueError, "choose one of"),
    (lambda: Adam([one()], 1e-3, 0.9, 0.999), TypeError, "betas is 0.9"),
    (lambda: AdamW([one()], decay="none"), ValueError, "choose one of 'torch', 'paper'"),
    (lambda: AdamW([one()], lr=0, decay="paper"), ValueError, "positive lr"),
    (lambda: AdamW([one()], weight_decay=-1), ValueError, "weight_decay"),
    (lambda: SGD([one()], momentum=-0.1), ValueError, "momentum"),
    (lambda: SGD([one()], nesterov=True), ValueError, "requires a momentum and zero dampening"),
    (lambda: SGD([one()], momentum=0.9, dampening=1, nesterov=True), ValueError, "zero dampening"),
    (lambda: SGD([one()], dampening=1, form="sutskever"), ValueError, "no dampening"),
    (lambda: SGD([one()], maximize=1), TypeError, "True or False"),
    (lambda: SGD([one()], foreach=True), ValueError, "foreach=True"),
    (lambda: Adam([one()], fused=True), ValueError, "minigrad has one"),
    (lambda: RMSprop([one()], alpha=1.0), ValueError, "alpha"),
    (lambda: Adagrad([one()], lr_decay=-1), ValueError, "lr_decay"),
    (lambda: Adagrad([one()], initial_accumulator_value=-1), ValueError, "initial_acc"),
]


@pytest.mark.parametrize("make, error, part", BAD, ids=[part for *_, part in BAD])
def test_senseless_arguments_are_refused_in_one_line_with_the_cure(make, error, part):
    with pytest.raises(error, match=part) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_torchs_switches_are_accepted_when_off():
    Adam([one()], foreach=False, fused=None, capturable=False, differentiable=False)


def test_a_generator_can_be_used_once():
    parameters = iter([one()])
    SGD(parameters)
    with pytest.raises(ValueError, match="generator that was used before"):
        SGD(parameters)


@pytest.mark.parametrize("name, value, error", [
    ("lr", math.nan, ValueError), ("lr", -1.0, ValueError), ("learning_rate", 1.0, TypeError),
    ("betas", (0.9, 2.0), ValueError)])
def test_senseless_edits_of_a_group_are_refused_at_the_step_which_does_nothing(name, value, error):
    a, b = leaf([1.0], grad=1.0), leaf([1.0], grad=1.0)
    optimizer = Adam([{"params": [a]}, {"params": [b]}])
    optimizer.step()
    before = a.item()
    optimizer.param_groups[1][name] = value
    with pytest.raises(error):
        optimizer.step()
    assert a.item() == before and optimizer.state[a]["step"] == 1
