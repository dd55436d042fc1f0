"""What optimizers refuse: a line naming the thing, the values and the cure, and nothing done."""

import math

import numpy as np
import pytest

import minigrad
from minigrad.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)


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
    (lambda: Adadelta([one()], rho=1.1), ValueError, "rho is 1.1; it must be from 0 to 1"),
    (lambda: Adamax([one()], betas=(0.9, 1.0)), ValueError, "beta2"),
    (lambda: NAdam([one()], momentum_decay=-1), ValueError, "momentum_decay is -1"),
    (lambda: RAdam([one()], foreach=True), ValueError, "foreach=True"),
    (lambda: Rprop([one()], etas=(0.0, 1.2)), ValueError, r"etas\[0\] is 0.0; it must be above 0"),
    (lambda: Rprop([one()], etas=(0.5, 1.0)), ValueError, r"etas\[1\] is 1.0"),
    (lambda: Rprop([one()], etas=0.5), TypeError, r"give two numbers, etas=\(0.5, 1.2\)"),
    (lambda: Rprop([one()], step_sizes=(50, 1e-6)), ValueError, "the least comes first"),
    (lambda: Rprop([one()], step_sizes=(-1, 1)), ValueError, r"step_sizes\[0\] is -1"),
    (lambda: Muon([one()]), ValueError, r"Muon steps matrices, but parameter 0 is .* \(1,\)"),
    (lambda: Muon([leaf([[1.0]])], adjust_lr_fn="adam"), ValueError, "choose one of None, 'orig"),
    (lambda: Muon([leaf([[1.0]])], ns_coefficients=(1, 2)), TypeError, "give three numbers"),
    (lambda: Muon([leaf([[1.0]])], ns_steps=100), ValueError, "whole number from 0 to 99"),
    (lambda: Muon([leaf([[1.0]])], ns_steps=2.5), TypeError, "ns_steps is 2.5"),
    (lambda: Muon([leaf([[1.0]])], momentum=-1), ValueError, "momentum"),
    (lambda: Adam([one()], error_if_nonfinite=1), TypeError, "True or False"),
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


def test_a_vector_added_to_muon_is_refused_and_not_added():
    optimizer = Muon([leaf([[1.0]])])
    with pytest.raises(ValueError, match="e.g. AdamW"):
        optimizer.add_param_group({"params": [leaf([[1.0]]), one()]})
    assert len(optimizer.param_groups) == 1


# --- gradients that are not finite ---------------------------------------------------------------

EVERY = [SGD, Adagrad, RMSprop, Adam, AdamW, Adadelta, Adamax, NAdam, RAdam, Rprop, Muon,
         minigrad.optim.Lion]


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_on_request_a_gradient_that_is_not_finite_is_named_and_nothing_is_stepped(kind, bad):
    a, b, c = (leaf([[1.0, 2.0], [3.0, 4.0]], grad=0.5) for _ in range(3))
    optimizer = kind([{"params": [("a", a)]}, {"params": [("b", b), ("c", c)]}], lr=0.1,
                     error_if_nonfinite=True)
    optimizer.step()
    before = optimizer.state_dict()
    weights = [p.numpy().copy() for p in (a, b, c)]
    b.grad = minigrad.tensor([[0.5, 0.5], [bad, 0.5]])
    c.grad = minigrad.tensor([[bad, 0.5], [0.5, 0.5]])
    with pytest.raises(RuntimeError, match=rf"of parameter 0 \(b, .* first {bad} at \[1, 0\]"):
        optimizer.step()
    for p, w in zip((a, b, c), weights):
        assert np.array_equal(p.numpy(), w)
    np.testing.assert_equal(optimizer.state_dict(), before)
    assert optimizer.steps_taken == 1
    b.grad = c.grad = None
    optimizer.step()
    assert optimizer.state[a]["step"] == 2 and optimizer.state[b]["step"] == 1


def test_gradients_that_are_not_finite_pass_without_the_request():
    p = leaf([1.0, 2.0])
    p.grad = minigrad.tensor([math.nan, 1.0])
    SGD([p], lr=1.0).step()
    assert math.isnan(p.tolist()[0]) and p.tolist()[1] == 1.0


def test_the_request_can_be_made_for_one_group_and_of_any_rule():
    a, b = leaf([1.0], grad=math.nan), leaf([1.0], grad=1.0)
    Optimizer([{"params": [a]}, {"params": [b], "error_if_nonfinite": True}],
              rule=lambda w, g: w - g).step()
    assert b.item() == 0
    optimizer = Optimizer([a], rule=lambda w, g: w - g, error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match=r"parameter 0 \(unnamed, shape \(1,\)\) .* 1 of 1"):
        optimizer.step()
    optimizer.param_groups[0]["error_if_nonfinite"] = False
    optimizer.step()


def test_an_optimizer_class_of_ones_own_may_leave_the_request_out():
    class Plain(Optimizer):
        def __init__(self, params, lr=0.5):
            self.start(params, minigrad.optim.rules.sgd, {"lr": lr})
    p = leaf([1.0], grad=1.0)
    Plain([p]).step()
    assert p.item() == 0.5


@pytest.mark.parametrize("name, meant", [("learning_rate", "lr"), ("weight_decy", "weight_decay"),
                                         ("beta", "betas")])
def test_an_unknown_option_of_a_class_is_refused_with_the_name_meant(name, meant):
    w = minigrad.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=f"Adam has no option '{name}'; did you mean '{meant}'"):
        Adam([w], **{name: 0.1})
