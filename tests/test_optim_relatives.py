"""Adadelta, Adamax, NAdam, RAdam, Rprop and Lion: first steps by hand and closed forms.

(Trajectories: golden_optim.json and test_optim_torch.py. What every rule promises:
test_optim_rules.py.)
"""

import math

import numpy as np
import pytest

from minigrad.optim import rules


def steps(rule, gradients, w=0.0, **options):
    """All iterates w_0, w_1, ... under given gradients."""
    states, path = [0.0] * len(rules.anatomy(rule).states), [w]
    for t, g in enumerate(gradients, 1):
        w, *states = rules.update(rule, path[-1], g, states, t, options)
        path.append(w)
    return path


def test_two_steps_of_adadelta_by_hand():
    path = steps(rules.adadelta, [2.0, -1.0], rho=0.5, eps=0.25)
    first = math.sqrt(0.25 / 2.25) * 2  # v = 2, u = 0
    second = math.sqrt((first**2 / 2 + 0.25) / 1.75) * -1  # v = 1.5, u = first^2 / 2
    assert path == pytest.approx([0, -first, -first - second], rel=1e-14)


def test_the_update_of_adadelta_has_the_unit_of_the_weights():
    """With eps 0 and a running start, scaling the gradient changes nothing."""
    paths = []
    for scale in (1.0, 1024.0):
        w, v, u = 0.0, scale**2, 1.0
        for g in (0.3, -2.0, 5.0):
            w, v, u = rules.adadelta(w, scale * g, v, u, eps=0.0)
        paths.append(w)
    assert paths[0] == paths[1]


@pytest.mark.parametrize("g", [1e-9, 1.0, -40.0])
def test_the_first_step_of_adamax_is_lr_g_over_abs_g_plus_eps(g):
    assert steps(rules.adamax, [g], lr=0.1)[-1] == pytest.approx(-0.1 * g / (abs(g) + 1e-8))


def test_adamax_remembers_the_largest_gradient_and_forgets_it_slowly():
    u = 0.0
    for t, (g, expected) in enumerate([(8.0, 8), (1.0, 4), (1.0, 2), (-3.0, 3)], 1):
        *_, u = rules.adamax(0.0, g, 0.0, u, t, beta2=0.5, eps=0.0)
        assert u == expected
    assert -np.diff(steps(rules.adamax, [5.0] * 50, lr=0.1, eps=0.0)) == pytest.approx(0.1)


def test_the_first_step_of_nadam_by_hand():
    mu, mu_next = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2))
    m_hat = mu_next * 0.3 / (1 - mu * mu_next) + 3.0  # m = .1 g; (1 - mu) / (1 - mu) of g
    w, m, v, product = rules.nadam(0.0, 3.0, 0.0, 0.0, 0.0, 1, lr=0.1)
    assert w == pytest.approx(-0.1 * m_hat / (3 + 1e-8), rel=1e-14) and product == mu
    assert (m, v) == pytest.approx((0.3, 0.009))


def test_nadam_looks_ahead_of_adam_when_the_gradient_turns():
    g = [1.0] * 30 + [-1.0] * 3
    adam, nadam = (np.diff(steps(rule, g, lr=0.1)) for rule in (rules.adam, rules.nadam))
    assert nadam[30] > adam[30]


def test_radam_is_momentum_for_five_steps_and_becomes_adam():
    g = np.random.default_rng(0).normal(size=6)
    path = steps(rules.radam, g, lr=0.1)
    m = w = 0.0
    for t, value in enumerate(g[:5], 1):
        m = 0.9 * m + 0.1 * value
        w -= 0.1 * m / (1 - 0.9**t)
        assert path[t] == pytest.approx(w, rel=1e-13)
    assert abs(path[6] - path[5]) < 0.1 * abs(m)  # the rectifier begins near 0
    late = [rule(0.0, 1.5, 1.0, 2.0, 10**6, lr=0.1)[0] for rule in (rules.radam, rules.adam)]
    assert late[0] == pytest.approx(late[1], rel=1e-7)


def test_radam_never_adapts_with_a_memory_that_is_too_short():
    """rho stays below rho_inf = 2 / (1 - beta2) - 1 = 4."""
    g = [3.0] * 50
    assert -np.diff(steps(rules.radam, g, lr=0.1, beta1=0.0, beta2=0.6)) == pytest.approx(0.3)


def test_rprop_by_hand():
    g = [1e-9, 5.0, -0.1, -0.1, -7.0, 0.0, 3.0]
    lengths = -np.diff(steps(rules.rprop, g, lr=1.0))
    # grows; turned: half, and rests; goes on (after a rest the size is kept); grows; a zero: rests
    assert lengths == pytest.approx([1, 1.2, 0, -0.6, -0.72, 0, 0.72])


def test_rprop_sizes_stay_within_bounds():
    up = -np.diff(steps(rules.rprop, [1.0] * 30, lr=1.0, step_sizes=(0.1, 5.0)))
    assert up.max() == pytest.approx(5) and up[0] == 1
    *_, size = rules.rprop(np.zeros(1), np.ones(1), -np.ones(1), np.full(1, 0.11), 2,
                           step_sizes=(0.1, 5.0))
    assert size == 0.1
    assert -steps(rules.rprop, [1.0], lr=9.0, step_sizes=(0.1, 5.0))[-1] == 5  # lr is bound, too


def test_rprop_needs_few_steps_on_a_badly_scaled_quadratic():
    curvature, w = np.array([1.0, 1e6]), np.ones(2)
    states = [0.0, 0.0]
    for t in range(1, 101):
        w, *states = rules.rprop(w, curvature * w, *states, t, lr=0.1)
    assert np.abs(w).max() < 1e-3


def test_two_steps_of_lion_by_hand():
    path = steps(rules.lion, [2.0, -0.1], w=1.0, lr=0.1, beta1=0.5, beta2=0.75, weight_decay=0.5)
    # c: 1, .2 > 0 although g < 0; the decay is that of the old weight
    assert path == pytest.approx([1, 1 - 0.1 * 1.5, 0.85 - 0.1 * (1 + 0.5 * 0.85)], rel=1e-14)


def test_lion_without_memory_takes_sign_steps_and_rests_at_zero():
    g = [3.0, -1e-9, 0.0, 1e9]
    assert np.diff(steps(rules.lion, g, lr=0.1, beta1=0, beta2=0)) == pytest.approx(
        [-0.1, 0.1, 0, -0.1])
