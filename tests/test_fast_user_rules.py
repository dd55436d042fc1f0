"""Rules of users in place: followed with every bit, or run as they are."""

import math

import numpy as np
import pytest

from minigrad import nn, optim
from minigrad.optim.rules import elementwise

from pure import LARGE, compared, step
from updates import label

# --- rules of users: followed ---------------------------------------------------------------------

def halved(x):
    return x / 2


@elementwise
def with_helper(w, g, m, *, lr=0.1):
    m = 0.9 * m + halved(g)
    return w - lr * m, m


@elementwise
def with_loop(w, g, m, v, *, lr=0.1):
    for _ in range(3):
        m = 0.5 * m + g
    new = [0.9 * state + g for state in (m, v)]
    return (w - lr * sum(new), *new)


@elementwise
def with_branches(w, g, m, t, *, lr=0.1):
    if 2 < t < 5 or t == 7:
        m = m + g
    elif t % 2 == 0 and lr > 0:
        m = 0.5 * m - g
    return w - (lr if t > 3 else 2 * lr) * m, m


@elementwise
def with_scalars(w, g, m, t, *, lr=0.1):
    rate = lr * math.exp(-t) if t % 2 else lr / math.sqrt(t)
    m = m + rate * g
    return w - rate * g * m, m


@elementwise
def with_masks(w, g, m, *, lr=0.1):
    up, down = (g > 0) * 1, 1.0 * (g < 0)
    m = m + up - down
    return w - lr * np.where(m > 0, up, down) / 1, m


@elementwise
def with_names_of_functions(w, g, add, out, *, lr=0.1, np_=2.0):
    square, multiply = g * g, np.square(g)
    out = np.maximum(0.9 * out, multiply)
    add = np.add(add, square) * np_
    return w - lr * add / np.sqrt(out + 1), add, out


@elementwise
def returns_its_arguments(w, g, m, *, lr=0.1):
    return w, g


@elementwise
def one_state_twice(w, g, a, b, *, lr=0.1):
    a = 0.9 * a + g
    return w - lr * b, a, a


@elementwise
def weights_as_state(w, g, a, *, lr=0.1):
    new = w - lr * g
    return new, new


@elementwise
def a_number_for_a_state(w, g, s, *, lr=0.1):
    s = max(s, 0.5) * 1.1
    if s > 0.7:
        s = 0.6
    return w - lr * g / s, s


@elementwise
def more_ways_than_versions(w, g, t, *, lr=0.1):
    for k in range(6):
        if t % 7 == k:
            return w - lr * (k + 1) * g
    return w - lr * g


@elementwise
def with_methods(w, g, m, *, lr=0.1):
    m = (m * 0.5 + g).clip(-1, 1).round(2).copy()
    return w - lr * m.astype(np.float64), m


@elementwise
def writes_into_its_own(w, g, m, *, lr=0.1):
    m = 0.9 * m
    m += g
    direction = np.abs(g)
    direction *= np.sign(m)
    direction[...] = direction * 2
    return w - lr * direction, m


FOLLOWED = [with_helper, with_loop, with_branches, with_masks, with_names_of_functions,
            returns_its_arguments, one_state_twice, weights_as_state, a_number_for_a_state,
            with_methods]


@pytest.mark.parametrize("rule", [*FOLLOWED, more_ways_than_versions, writes_into_its_own],
                         ids=label)
def test_rules_of_users_give_the_same_bits_in_place(rule):
    followed = True if rule in FOLLOWED else None
    compared(rule, ((3, 4), (5,), (LARGE,)), 20, followed=followed)


def test_a_lambda_is_a_rule_too():
    compared(elementwise(lambda w, g, m: (w - 0.1 * (m + g), m + g)), followed=True)


# --- rules of users: run as they are --------------------------------------------------------------

@elementwise
def passes_states_on(w, g, a, b, c, *, lr=0.1):
    return w - lr * (a + b + c), g, a, b


@elementwise
def swaps_states(w, g, a, b, *, lr=0.1):
    return w - lr * a, b, a + g


@elementwise
def keeps_the_old_weights(w, g, old, *, lr=0.1):
    return w - lr * g + 0.1 * (w - old), w


@elementwise
def writes_into_an_alias(w, g, m, *, lr=0.1):
    m = 0.9 * m + g
    half = m
    half *= lr  # m as well
    return w - half, m


@elementwise
def writes_through_a_view(w, g, m, *, lr=0.1):
    m = m + g
    part = m[:]
    part *= 0.5
    part[...] = part + 1
    return w - lr * m, m


@elementwise
def writes_by_out(w, g, m, *, lr=0.1):
    m = 0.9 * m + g
    np.multiply(m, 2.0, out=m)
    np.add(m, 1.0, m)
    m.clip(-1, 1, out=m)
    return w - lr * m, m


@elementwise
def fills(w, g, m, *, lr=0.1):
    m = m + g
    m.fill(3.0)
    np.copyto(m, g)
    return w - lr * m, m


@elementwise
def asserts(w, g, *, lr=0.1):
    assert lr > 0
    try:
        return w - lr * g
    finally:
        pass


@elementwise
def divides_where(w, g, m, *, lr=0.1):
    m = np.where(g > 0, g, m)
    return w - lr * np.divide(g, m, out=np.zeros_like(g), where=m != 0), m


@elementwise
def rounds_to_single(w, g, m, *, lr=0.1):
    m = (0.9 * m + g).astype(np.float32)
    m += g
    return w - lr * m, m.astype(w.dtype)


AS_THEY_ARE = [passes_states_on, swaps_states, keeps_the_old_weights, writes_into_an_alias,
               writes_through_a_view, writes_by_out, fills, asserts, divides_where,
               rounds_to_single]


@pytest.mark.parametrize("rule", AS_THEY_ARE, ids=label)
def test_what_cannot_be_followed_runs_as_it_is(rule):
    compared(rule, ((3, 4), (5,), (LARGE,)), 8, followed=False)


def test_a_closure_runs_as_it_is_and_sees_its_variables_change():
    beta = 0.9

    @elementwise
    def rule(w, g, m, *, lr=0.1):
        m = beta * m + g
        return w - lr * m, m

    def change(optimizer, i):
        nonlocal beta
        beta = 0.9 if i < 4 else 0.1
    compared(rule, steps=8, change=change)


BETA = 0.9


class Settings:
    beta = 0.9


@elementwise
def reads_a_global(w, g, m, *, lr=0.1):
    m = BETA * m + g
    return w - lr * m, m


@elementwise
def reads_a_class(w, g, m, *, lr=0.1):
    m = Settings.beta * m + g
    return w - lr * m, m


@elementwise
def reads_itself(w, g, m, *, lr=0.1):
    m = reads_itself.beta * m + g
    return w - lr * m, m


@pytest.mark.parametrize("rule, owner", [(reads_a_class, Settings), (reads_itself, reads_itself)])
def test_a_rule_sees_attributes_change(rule, owner):
    compared(rule, steps=8, change=lambda _, i: setattr(owner, "beta", 0.9 - 0.1 * i))


def test_a_rule_sees_globals_change(monkeypatch):
    compared(reads_a_global, steps=8,
             change=lambda _, i: monkeypatch.setitem(globals(), "BETA", 0.9 - 0.1 * i))


def test_a_rule_sees_its_helper_defined_anew(monkeypatch):
    def change(optimizer, i):
        if i == 4:
            monkeypatch.setitem(globals(), "halved", lambda x: 3 * x)
    compared(with_helper, steps=8, change=change, followed=True)


@pytest.mark.parametrize("noise", [
    lambda rng, w, lr: np.sqrt(2 * lr) * rng.standard_normal(w.shape),
    lambda rng, w, lr: rng.normal(0.0, lr, w.shape),
    lambda rng, w, lr: rng.normal(w, lr)], ids=["scaled", "of a scale", "around w"])
def test_noise_is_drawn_anew_in_every_step_and_from_the_same_stream(noise):
    """Stochastic gradient Langevin dynamics (Welling and Teh, 2011)."""
    rng = np.random.default_rng(0)

    @elementwise
    def langevin(w, g, *, lr=0.1):
        return w - lr * g + noise(rng, w, lr)
    p, w = nn.Parameter(np.ones(5)), np.ones(5)
    optimizer = optim.Optimizer([p], rule=langevin)
    for _ in range(6):
        step(optimizer, [p], [np.arange(5.0)])
    rng = np.random.default_rng(0)
    for _ in range(6):
        w = langevin(w, np.arange(5.0))
    np.testing.assert_array_equal(p.numpy(), w)


def test_a_rule_that_keeps_a_log_is_called_once_a_step():
    log = []

    @elementwise
    def rule(w, g, *, lr=0.1):
        log.append(lr)
        return w - lr * g
    compared(rule, ((3,),), 5)
    assert log == [0.1] * 10  # five by the optimizer, five by the test


def test_a_rule_that_mixes_its_numbers_is_never_run_in_place():
    def normalized(w, g, *, lr=0.1):
        return w - lr * g / np.sqrt((g * g).sum())
    compared(normalized)
    compared(elementwise(lambda w, g: w - 0.1 * g / (g * g).sum()), ((4,),), followed=False)
