"""Schedules as sequences of numbers, hands on the wheel, saving, and errors. (test_optim_torch.py
compares them with PyTorch's.)"""

import copy
import json
import math
import warnings

import numpy as np
import pytest

import minigrad
from minigrad.optim import SGD, Adagrad, Adam, Optimizer
from minigrad.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def sgd(lr=1.0, groups=1, **options):
    return SGD([{"params": [minigrad.tensor([1.0], requires_grad=True)]} for _ in range(groups)],
               lr=lr, **options)


def sequence(scheduler, n):
    rates = []
    for _ in range(n):
        rates.append(scheduler.get_last_lr()[0])
        assert scheduler.optimizer.param_groups[0]["lr"] == rates[-1]
        scheduler.optimizer.step()
        scheduler.step()
    return rates


class Warmup:
    """A callable with numbers of its own."""

    def __init__(self, epochs):
        self.epochs = epochs

    def __call__(self, epoch):
        return min(1.0, (epoch + 1) / self.epochs)


# fmt: off
SEQUENCES = [
    (StepLR,            {"step_size": 3, "gamma": 0.5},       [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
    (MultiStepLR,       {"milestones": [5, 2]},               [1, 1, 0.1, 0.1, 0.1, 0.01]),
    (MultiStepLR,       {"milestones": [1, 1], "gamma": 0.5}, [1, 0.25, 0.25]),
    (ExponentialLR,     {"gamma": 0.9},                       [1, 0.9, 0.81, 0.729]),
    (CosineAnnealingLR, {"T_max": 6},
     [1, 0.933, 0.75, 0.5, 0.25, 0.067, 0, 0.067, 0.25]),
    (LinearLR,          {"start_factor": 0.25, "total_iters": 4},
     [0.25, 0.4375, 0.625, 0.8125, 1, 1]),
    (LambdaLR,          {"lr_lambda": lambda epoch: 1 / (1 + epoch)}, [1, 1/2, 1/3, 1/4]),
    (OneCycleLR,        {"max_lr": 1.0, "total_steps": 5, "pct_start": 0.6,
                         "anneal_strategy": "linear", "div_factor": 10.0, "cycle_momentum": False},
     [0.1, 0.55, 1, 0.500005, 1e-5]),
    (ConstantLR,        {"total_iters": 3},                   [1/3, 1/3, 1/3, 1, 1]),
    (ConstantLR,        {"factor": 0, "total_iters": 2},      [0, 0, 1, 1]),
    (PolynomialLR,      {"total_iters": 5, "power": 2},       [1, 0.64, 0.36, 0.16, 0.04, 0, 0]),
    (MultiplicativeLR,  {"lr_lambda": lambda epoch: 1 / epoch}, [1, 1, 1/2, 1/6, 1/24]),
    (CosineAnnealingWarmRestarts, {"T_0": 4},
     [1, 0.8536, 0.5, 0.1464, 1, 0.8536]),
    (CosineAnnealingWarmRestarts, {"T_0": 2, "T_mult": 2, "eta_min": 0.1},
     [1, 0.55, 1, 0.8682, 0.55, 0.2318, 1, 0.9657]),
    (CyclicLR,          {"base_lr": 0.1, "max_lr": 1, "step_size_up": 3, "cycle_momentum": False},
     [0.1, 0.4, 0.7, 1, 0.7, 0.4, 0.1]),
    (CyclicLR,          {"base_lr": 0, "max_lr": 1, "step_size_up": 1, "step_size_down": 2,
                         "mode": "triangular2", "cycle_momentum": False},
     [0, 1, 0.5, 0, 0.5, 0.25, 0, 0.25]),
    (CyclicLR,          {"base_lr": 0, "max_lr": 1, "step_size_up": 2, "mode": "exp_range",
                         "gamma": 0.5, "cycle_momentum": False}, [0, 0.25, 0.25, 0.0625, 0]),
]
# fmt: on


@pytest.mark.parametrize("kind, options, expected", SEQUENCES)
def test_sequences_are_the_known_ones(kind, options, expected):
    assert sequence(kind(sgd(), **options), len(expected)) == pytest.approx(expected, abs=5e-4)


def test_plateau_waits_for_patience_and_then_reduces():
    optimizer = sgd()
    scheduler = ReduceLROnPlateau(optimizer, patience=1)
    rates = []
    for metric in (1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9):
        scheduler.step(minigrad.tensor(metric))
        rates += scheduler.get_last_lr()
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_plateau_counts_nan_as_no_improvement():
    scheduler = ReduceLROnPlateau(sgd(), patience=0)
    scheduler.step(1.0)
    scheduler.step(math.nan)
    assert scheduler.get_last_lr() == [0.1] and scheduler.best == 1.0


@pytest.mark.parametrize("kind, name", [(Adam, "betas"), (SGD, "momentum")])
def test_cyclic_rates_move_momentum_the_other_way(kind, name):
    optimizer = kind([minigrad.tensor([1.0], requires_grad=True)], lr=1.0)
    scheduler = CyclicLR(optimizer, 0.1, 1.0, step_size_up=2)
    seen = []
    for _ in range(5):
        value = optimizer.param_groups[0][name]
        seen.append(value[0] if name == "betas" else value)
        optimizer.step()
        scheduler.step()
    assert seen == pytest.approx([0.9, 0.85, 0.8, 0.85, 0.9])


@pytest.mark.parametrize("kind, name", [(Adam, "betas"), (SGD, "momentum")])
def test_one_cycle_moves_momentum_against_the_rate(kind, name):
    options = {"momentum": 0.9} if kind is SGD else {}
    optimizer = kind([minigrad.tensor([1.0], requires_grad=True)], lr=1.0, **options)
    scheduler = OneCycleLR(optimizer, 0.5, total_steps=10)
    seen = []
    for _ in range(9):
        value = optimizer.param_groups[0][name]
        seen.append((scheduler.get_last_lr()[0], value[0] if name == "betas" else value))
        optimizer.step()
        scheduler.step()
    rates, momenta = zip(*seen)
    assert rates[0] == pytest.approx(0.02) and momenta[0] == pytest.approx(0.95)
    assert max(rates) == pytest.approx(0.5) and min(momenta) == pytest.approx(0.85)
    assert rates.index(max(rates)) == momenta.index(min(momenta)) == 2
    assert name != "betas" or optimizer.param_groups[0]["betas"][1] == 0.999


def test_a_rate_changed_by_hand_is_carried_on_from():
    optimizer = sgd()
    scheduler = ExponentialLR(optimizer, 0.5)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.8
    scheduler.step()
    assert scheduler.get_last_lr() == [0.4]


def test_the_initial_rate_stays_in_the_group():
    optimizer = sgd(groups=2)
    optimizer.param_groups[1]["lr"] = 0.5
    scheduler = LinearLR(optimizer, 0.5)
    assert [g["initial_lr"] for g in optimizer.param_groups] == scheduler.base_lrs == [1.0, 0.5]
    assert scheduler.get_last_lr() == [0.5, 0.25]


def test_the_scheduled_rate_is_the_one_the_optimizer_uses():
    p = minigrad.tensor([0.0], requires_grad=True)
    optimizer = SGD([p], lr=1.0)
    scheduler = StepLR(optimizer, 1, gamma=0.5)
    p.grad = minigrad.tensor([1.0])
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    assert p.item() == -1.75


def test_stepping_before_the_optimizer_warns_once_and_after_it_never():
    optimizer = sgd()
    optimizer.step()  # a step before the scheduler was made does not count
    with pytest.warns(UserWarning, match="optimizer.step"):
        scheduler = StepLR(optimizer, 3)
        scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
        optimizer = sgd()
        sequence(StepLR(optimizer, 3), 3)


@pytest.mark.parametrize("kind, options", [s[:2] for s in SEQUENCES])
def test_resuming_from_saved_states_continues_the_sequence(kind, options):
    if kind is OneCycleLR:
        options = {**options, "total_steps": 9}
    straight = sequence(kind(sgd(), **options), 9)
    optimizer = sgd()
    scheduler = kind(optimizer, **options)
    first = sequence(scheduler, 4)
    saved = json.loads(json.dumps([optimizer.state_dict(), scheduler.state_dict()]))
    frozen = copy.deepcopy(saved)
    resumed = sgd(lr=7.0)
    again = kind(resumed, **options)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert first + sequence(again, 5) == straight and saved == frozen


@pytest.mark.parametrize("T_mult", [1, 2, 3])
def test_warm_restarts_resumed_by_last_epoch_continue_the_sequence(T_mult):
    """Restarts come at 3 (1 + 3 + 9 + 27 + 81), where a logarithm would be rounded, too."""
    straight = sequence(CosineAnnealingWarmRestarts(sgd(), 1, T_mult), 130)
    for last_epoch in (0, 1, 5, 38, 120):
        optimizer = sgd()
        optimizer.param_groups[0]["initial_lr"] = 1.0
        again = CosineAnnealingWarmRestarts(optimizer, 1, T_mult, last_epoch=last_epoch)
        assert sequence(again, 9) == straight[last_epoch + 1:last_epoch + 10]
        scheduler = CosineAnnealingWarmRestarts(sgd(), 1, T_mult)
        scheduler.step(last_epoch)
        assert scheduler.get_last_lr()[0] == straight[last_epoch]


# --- schedules made of schedules -----------------------------------------------------------------

def warm_then_cosine(optimizer):
    return SequentialLR(optimizer, [LinearLR(optimizer, 0.25, total_iters=3),
                                    CosineAnnealingLR(optimizer, 4)], [3])


def chained(optimizer):
    return ChainedScheduler([ConstantLR(optimizer, 0.5, total_iters=2),
                             ExponentialLR(optimizer, 0.5)])


def nested(optimizer):
    """A sequence and a chain inside a sequence."""
    return SequentialLR(optimizer, [warm_then_cosine(optimizer), chained(optimizer),
                                    warm_then_cosine(optimizer)], [5, 8])


WARM = [0.25, 0.5, 0.75, 1, 0.8536, 0.5, 0.1464, 0]
CHAIN = [0.5, 0.25, 0.25, 0.125, 0.0625]


@pytest.mark.parametrize("make, expected", [
    (warm_then_cosine, WARM), (chained, CHAIN), (nested, WARM[:5] + CHAIN[:3] + WARM)])
def test_combined_sequences_resume_from_saved_states(make, expected):
    n = len(expected)
    assert sequence(make(sgd()), n) == pytest.approx(expected, abs=5e-5)
    for stop in range(1, n):
        optimizer = sgd()
        scheduler = make(optimizer)
        first = sequence(scheduler, stop)
        saved = json.loads(json.dumps([optimizer.state_dict(), scheduler.state_dict()]))
        resumed = sgd(lr=7.0)
        again = make(resumed)
        resumed.load_state_dict(saved[0])
        again.load_state_dict(saved[1])
        assert first + sequence(again, n - stop) == pytest.approx(expected, abs=5e-5)


def test_a_combined_state_that_does_not_fit_changes_nothing():
    scheduler = nested(sgd())
    before = scheduler.state_dict()
    for edit, part in [
            (lambda s: s["_schedulers"].pop(), "has 2 schedulers"),
            (lambda s: s["_schedulers"][2]["_schedulers"][1].pop("T_max"), "missing .*T_max")]:
        saved = scheduler.state_dict()
        saved["last_epoch"] = 99
        edit(saved)
        with pytest.raises(ValueError, match=part):
            scheduler.load_state_dict(saved)
        assert scheduler.state_dict() == before


def test_a_scale_function_is_saved_if_it_is_an_object():
    def cyclic(scale_fn):
        return CyclicLR(sgd(), 0.1, 1.0, scale_fn=scale_fn, cycle_momentum=False)
    saved = cyclic(Warmup(4)).state_dict()
    assert saved["_scale_fn_custom"] == {"epochs": 4}
    again = cyclic(Warmup(9))
    again.load_state_dict(saved)
    assert again._scale_fn_custom.epochs == 4
    assert cyclic(lambda x: 1.0).state_dict()["_scale_fn_custom"] is None
    with pytest.raises(ValueError, match="was an object with .'epochs'., here it is"):
        cyclic(lambda x: 1.0).load_state_dict(saved)


def test_a_sequence_steps_before_the_optimizer_with_a_warning():
    with pytest.warns(UserWarning, match="optimizer.step"):
        warm_then_cosine(sgd()).step()


def test_plateau_resumes():
    metrics = np.random.default_rng(0).random(20)

    def feed(scheduler, metrics):
        for metric in metrics:
            scheduler.step(metric)
    straight = ReduceLROnPlateau(sgd(), patience=2)
    feed(straight, metrics)
    half = ReduceLROnPlateau(sgd(), patience=2)
    feed(half, metrics[:9])
    optimizer = sgd(lr=half.get_last_lr()[0])
    again = ReduceLROnPlateau(optimizer, patience=5)
    again.load_state_dict(half.state_dict())
    feed(again, metrics[9:])
    assert again.state_dict() == straight.state_dict()


def test_callable_objects_are_saved_with_a_lambda_schedule_and_functions_are_not():
    scheduler = LambdaLR(sgd(groups=2), [Warmup(4), lambda epoch: 1.0])
    saved = scheduler.state_dict()
    assert saved["lr_lambdas"] == [{"epochs": 4}, None]
    again = LambdaLR(sgd(groups=2), [Warmup(9), lambda epoch: 1.0])
    again.load_state_dict(saved)
    assert again.lr_lambdas[0].epochs == 4 and again.lr_lambdas[1](3) == 1.0


def no_lr():
    return Optimizer([minigrad.tensor([1.0], requires_grad=True)], rule=lambda w, g: w - g)


@pytest.mark.parametrize("make, error, part", [
    (lambda: StepLR(3, 1), TypeError, "needs an Optimizer"),
    (lambda: StepLR(no_lr(), 1), TypeError, "no option 'lr'"),
    (lambda: StepLR(sgd(), 0), ValueError, "step_size is 0"),
    (lambda: StepLR(sgd(), 1, last_epoch=3), KeyError, "initial_lr"),
    (lambda: CosineAnnealingLR(sgd(), 0), ValueError, "T_max"),
    (lambda: LinearLR(sgd(), 0.0), ValueError, "start_factor"),
    (lambda: LinearLR(sgd(), end_factor=1.5), ValueError, "end_factor"),
    (lambda: LambdaLR(sgd(), [abs, abs]), ValueError, "lr_lambda has 2 entries"),
    (lambda: LambdaLR(sgd(), 0.9), TypeError, "lr_lambda is 0.9; it must be a function"),
    (lambda: ConstantLR(sgd(), 1.5), ValueError, "factor is 1.5"),
    (lambda: ConstantLR(sgd(), total_iters=0), ValueError, "total_iters is 0"),
    (lambda: PolynomialLR(sgd(), 0), ValueError, "total_iters"),
    (lambda: CosineAnnealingWarmRestarts(sgd(), 0), ValueError, "T_0 is 0"),
    (lambda: CosineAnnealingWarmRestarts(sgd(), 1, 1.5), ValueError, "T_mult is 1.5"),
    (lambda: CosineAnnealingWarmRestarts(sgd(), 1, eta_min="0"), ValueError, "eta_min is '0'"),
    (lambda: CosineAnnealingWarmRestarts(sgd(), 1).step(-1), ValueError, "epoch is -1"),
    (lambda: CyclicLR(sgd(), 0.1, 1, mode="saw"), ValueError, "mode is 'saw'"),
    (lambda: CyclicLR(sgd(), 0.1, 1, scale_fn=abs, scale_mode="x"), ValueError, "scale_mode"),
    (lambda: CyclicLR(sgd(), 0.1, 1, step_size_up=0), ValueError, "step_size_up is 0"),
    (lambda: CyclicLR(sgd(), [0.1, 0.2], 1), ValueError, "base_lr has 2 entries"),
    (lambda: CyclicLR(Adagrad([minigrad.tensor([1.0], requires_grad=True)]), 0.1, 1), ValueError,
     "cycle_momentum=False"),
    (lambda: SequentialLR(sgd(), [], []), ValueError, "at least one"),
    (lambda: SequentialLR(sgd(), [3], []), TypeError, "scheduler 0 is a int"),
    (lambda: SequentialLR(3, [3], []), TypeError, "needs an Optimizer"),
    (lambda: SequentialLR(sgd(), [StepLR(sgd(), 1)], []), ValueError, "belongs to another"),
    (lambda: SequentialLR(o := sgd(), [ReduceLROnPlateau(o)], []), ValueError, "ReduceLROnPl"),
    (lambda: SequentialLR(o := sgd(), [StepLR(o, 1)], [1]), ValueError, "one milestone less"),
    (lambda: SequentialLR(o := sgd(), [StepLR(o, 1)] * 3, [5, 2]), ValueError, "must rise"),
    (lambda: SequentialLR(o := sgd(), [StepLR(o, 1)], [], last_epoch=2), ValueError,
     "load_state_dict"),
    (lambda: ChainedScheduler([]), ValueError, "at least one"),
    (lambda: ChainedScheduler([3]), TypeError, "scheduler 0 is a int"),
    (lambda: ChainedScheduler([StepLR(sgd(), 1), StepLR(sgd(), 1)]), ValueError, "1, a StepLR"),
    (lambda: OneCycleLR(sgd(), 1.0), ValueError, "needs total_steps"),
    (lambda: OneCycleLR(sgd(), 1.0, total_steps=0), ValueError, "total_steps is 0"),
    (lambda: OneCycleLR(sgd(), 1.0, total_steps=9, pct_start=2), ValueError, "pct_start"),
    (lambda: OneCycleLR(sgd(), 1.0, total_steps=9, anneal_strategy="exp"), ValueError, "'cos' or"),
    (lambda: OneCycleLR(Adagrad([minigrad.tensor([1.0], requires_grad=True)]), 1.0, total_steps=9),
     ValueError, "cycle_momentum=False"),
    (lambda: sequence(OneCycleLR(sgd(), 1.0, total_steps=3), 5), ValueError, "total_steps is 3"),
    (lambda: ReduceLROnPlateau(sgd(), factor=1.0), ValueError, "factor"),
    (lambda: ReduceLROnPlateau(sgd(), mode="least"), ValueError, "mode"),
    (lambda: ReduceLROnPlateau(sgd(), threshold_mode="x"), ValueError, "threshold_mode"),
    (lambda: ReduceLROnPlateau(sgd(), min_lr=[0, 0]), ValueError, "min_lr has 2"),
    (lambda: StepLR(sgd(), 1).load_state_dict({}), ValueError, "not a state of StepLR: missing"),
    (lambda: StepLR(sgd(groups=2), 1).load_state_dict(StepLR(sgd(), 1).state_dict()), ValueError,
     "had 1 parameter groups"),
])
def test_senseless_arguments_are_refused(make, error, part):
    with pytest.raises(error, match=part):
        make()


def test_a_group_added_after_the_scheduler_is_refused_with_the_cure():
    optimizer = sgd()
    scheduler = StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [minigrad.tensor([1.0], requires_grad=True)]})
    optimizer.step()
    with pytest.raises(ValueError, match="make a new one"):
        scheduler.step()
