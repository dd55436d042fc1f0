"""Update rules in place: bit for bit the numbers of the rule itself."""

import gc

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.optim import lr_scheduler, rules

from pure import LARGE, Pure, compared, in_place, made, options_of, same, step
from updates import VARIANTS, label

FLAT = [case for case in VARIANTS if getattr(case[0], "elementwise", False)]


# --- the built-in rules ---------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule, options, modifiers", FLAT, ids=label)
def test_every_rule_in_all_its_forms_gives_the_bits_of_the_rule(rule, options, modifiers, dtype):
    shapes = (3, 4), (), (5,), (0, 2), (LARGE,)
    compared(rule, shapes, 13, dtype, followed=True, **options_of(options),
             **options_of(modifiers))


@pytest.mark.parametrize("rule", [rules.sgd, rules.adam, rules.rmsprop, rules.lion, rules.nadam])
@pytest.mark.parametrize("more", [{"weight_decay": 0.1}, {"maximize": True},
                                  {"weight_decay": 0.1, "decoupled_weight_decay": True},
                                  {"weight_decay": 0.1, "maximize": True}], ids=str)
def test_decay_and_ascent_stand_in_front_of_a_rule_in_place_too(rule, more):
    if rule is rules.lion:
        more = {k: v for k, v in more.items() if k != "decoupled_weight_decay"}
    compared(rule, steps=12, followed=True, **more)


def test_a_single_large_parameter_is_stepped_without_a_copy_of_it():
    optimizer = compared(rules.adam, ((20000,),), 12, np.float32, followed=True)
    (batch,) = next(iter(optimizer._plans.values())).batches
    assert batch.memory_of.aliased and np.shares_memory(batch.w, batch.parameters[0].array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("rule", [rules.adam, rules.rprop, rules.amsgrad, rules.momentum])
def test_gradients_that_are_no_numbers_do_the_same_harm(rule, value):
    rng = np.random.default_rng(1)

    def draw(i, shape):
        g = rng.normal(size=shape)
        return np.where(rng.random(shape) < 0.3, value, g) if i in (3, 5) else g
    compared(rule, steps=8, draw=draw, followed=True)


def test_numbers_that_change_between_steps_reach_the_rule():
    def change(optimizer, i):
        group = optimizer.param_groups[0]
        group["lr"] = 0.1 / (i + 1)
        if i == 4:
            group["betas"] = (0.5, 0.9)
        if i == 6:
            group["weight_decay"] = 0.3
        if i == 8:
            group["maximize"] = True
        if i == 10:
            group["weight_decay"], group["lr"] = 0, 1  # whole numbers
    compared(rules.adam, steps=14, change=change, followed=True)


def test_an_option_that_is_no_number_chooses_other_lines():
    def change(optimizer, i):
        optimizer.param_groups[0]["form"] = "sutskever" if i % 4 > 1 else "torch"
    compared(rules.momentum, steps=12, change=change, followed=True)


def test_a_cycle_of_rates_and_momenta_is_pytorch_s():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(4, 3)), rng.normal(size=3)]
    mine, theirs = made(arrays), [torch.tensor(a.copy(), requires_grad=True) for a in arrays]
    ours, other = optim.Adam(mine, lr=0.1), torch.optim.Adam(theirs, lr=0.1)
    schedule = lr_scheduler.OneCycleLR(ours, 0.5, total_steps=15)
    reference = torch.optim.lr_scheduler.OneCycleLR(other, 0.5, total_steps=15)
    for _ in range(14):
        gradients = [rng.normal(size=a.shape) for a in arrays]
        for p, g in zip(theirs, gradients):
            p.grad = torch.tensor(g)
        step(ours, mine, gradients)
        other.step()
        schedule.step()
        reference.step()
        for p, q in zip(mine, theirs):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-14)
    assert in_place(ours)


@pytest.mark.parametrize("rule", [rules.adam, rules.nadam, rules.rmsprop, rules.momentum])
def test_gradients_come_and_go(rule):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=n) for n in (3, 4, 2, 20000)]
    parameters, pure = made(arrays), Pure(arrays, rule)
    optimizer = optim.Optimizer(parameters, rule=rule)
    for i in range(16):
        gradients = [rng.normal(size=a.shape) if (i // 3 + k) % 3 or k == 2 else None
                     for k, a in enumerate(arrays)]
        step(optimizer, parameters, gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
        same(optimizer, parameters, pure)


@pytest.mark.parametrize("rule", [rules.adam, rules.nadam, rules.amsgrad])
def test_saving_and_loading_in_the_middle_changes_no_bit(rule):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=n) for n in (3, 4, 20000)]
    parameters, pure = made(arrays), Pure(arrays, rule)
    optimizer = optim.Optimizer(parameters, rule=rule)
    for i in range(12):
        if i == 5:  # into another optimizer
            state = optimizer.state_dict()
            optimizer = optim.Optimizer(parameters, rule=rule)
            optimizer.load_state_dict(state)
        if i == 8:  # into itself, after steps that must be forgotten
            state, weights = optimizer.state_dict(), [p.numpy().copy() for p in parameters]
            for _ in range(2):
                step(optimizer, parameters, [np.ones(a.shape) for a in arrays])
            optimizer.load_state_dict(state)
            for p, w in zip(parameters, weights):
                p.data.copy_(minigrad.tensor(w))
        gradients = [rng.normal(size=a.shape) for a in arrays]
        step(optimizer, parameters, gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
        same(optimizer, parameters, pure)
    assert in_place(optimizer)


def test_states_written_to_by_hand_are_read_by_the_next_step():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=3), rng.normal(size=20000)]
    parameters, pure = made(arrays), Pure(arrays, rules.adam)
    optimizer = optim.Optimizer(parameters, rule=rules.adam)
    for i in range(8):
        if i == 4:
            for p, states in zip(parameters, pure.states):
                optimizer.state[p]["m"][...] = 0.25
                states[0] = np.full_like(states[0], 0.25)
        gradients = [rng.normal(size=a.shape) for a in arrays]
        step(optimizer, parameters, gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
    same(optimizer, parameters, pure)


def test_parameters_that_share_memory_are_written_one_after_the_other():
    base = np.arange(6.0)
    whole = nn.Parameter(base)
    part = nn.Parameter(np.zeros(3))
    whole.array, part.array = base, base[2:5]
    optimizer = optim.SGD([whole, part], lr=0.5, momentum=0.9)
    expected, b_whole, b_part = np.arange(6.0), 0.0, 0.0
    for t in range(1, 6):
        step(optimizer, [whole, part], [np.ones(6), np.full(3, 2.0)])
        b_whole = np.ones(6) if t == 1 else 0.9 * b_whole + np.ones(6)
        expected = expected - 0.5 * b_whole
        b_part = np.full(3, 2.0) if t == 1 else 0.9 * b_part + np.full(3, 2.0)
        expected[2:5] -= 0.5 * b_part
        np.testing.assert_allclose(base, expected, rtol=1e-15)


def test_transposed_and_strided_parameters_are_stepped_like_any_other():
    base = np.random.default_rng(0).normal(size=(4, 6))
    turned, strided = nn.Parameter(np.zeros((6, 4))), nn.Parameter(np.zeros((4, 3)))
    turned.array, strided.array = base.copy().T, base.copy()[:, ::2]
    arrays = [turned.array.copy(), strided.array.copy()]
    pure, optimizer = Pure(arrays, rules.adam), optim.Optimizer([turned, strided], rule=rules.adam)
    rng = np.random.default_rng(1)
    for _ in range(6):
        gradients = [rng.normal(size=a.shape) for a in arrays]
        step(optimizer, [turned, strided], gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
    same(optimizer, [turned, strided], pure)


# --- what looks at steps --------------------------------------------------------------------------

def test_explain_repeats_a_step_that_was_done_in_place():
    rng = np.random.default_rng(0)
    p = nn.Parameter(rng.normal(size=(2, 3)))
    p.name = "weight"
    optimizer = optim.Adam([p], lr=0.1)
    w, m, v = p.numpy().copy(), 0.0, 0.0
    for t in range(1, 6):
        g, before = rng.normal(size=(2, 3)), w
        step(optimizer, [p], [g])
        w, m, v = rules.adam(before, g, m, v, t, lr=0.1)
    assert in_place(optimizer)
    text = str(optimizer.explain(p, (1, 2)))
    for number in (before[1, 2], g[1, 2], m[1, 2], v[1, 2], w[1, 2]):
        assert f"{number:.4g}".lstrip("-") in text


def test_a_trace_in_the_middle_of_a_run_changes_no_bit_and_sees_the_same_numbers():
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=3), rng.normal(size=(2, 2))]
    parameters, pure = made(arrays), Pure(arrays, rules.adam)
    optimizer = optim.Optimizer(parameters, rule=rules.adam)

    def both():
        gradients = [rng.normal(size=a.shape) for a in arrays]
        step(optimizer, parameters, gradients)
        pure.step(gradients, *optimizer.settings(optimizer.param_groups[0])[1:])
        same(optimizer, parameters, pure)
    for _ in range(4):
        both()
    with minigrad.trace(None, optimizer) as run:
        for _ in range(3):
            both()
            m = pure.states[0][0].copy()
    np.testing.assert_array_equal(run[parameters[0]]["m"][-1], m)
    for _ in range(4):
        both()
    assert in_place(optimizer)


def test_steps_in_place_leave_nothing_behind():
    parameters = made([np.ones(5), np.ones(20000)])
    optimizer = optim.AdamW(parameters)
    for _ in range(3):
        step(optimizer, parameters, [np.ones(5), np.ones(20000)])
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(50):
            step(optimizer, parameters, [np.ones(5), np.ones(20000)])
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()
