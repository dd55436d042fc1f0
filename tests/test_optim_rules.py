"""The update rules against their papers: first steps by hand, closed forms, published
counterexamples.

Nothing here uses an optimizer object: `run` iterates a rule as the papers' loops do.
"""

import math

import numpy as np
import pytest

import minigrad
from minigrad.optim import rules

ALL_RULES = [rules.sgd, rules.momentum, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adam,
             rules.amsgrad, rules.adamw, rules.adadelta, rules.adamax, rules.nadam, rules.radam,
             rules.rprop, rules.lion]
ADAPTIVE = [rules.adagrad, rules.rmsprop, rules.adam, rules.amsgrad, rules.adamax, rules.nadam]
VARIANTS = [(rule, {}) for rule in ALL_RULES] + [
    (rules.momentum, {"form": "sutskever"}), (rules.momentum, {"dampening": 0.5}),
    (rules.nesterov, {"form": "sutskever"}), (rules.adagrad, {"eps_inside_sqrt": True}),
    (rules.adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    (rules.rmsprop, {"centered": True, "momentum": 0.9}),
    (rules.rmsprop, {"eps_inside_sqrt": True}),
    (rules.amsgrad, {"convention": "corrected"}), (rules.amsgrad, {"convention": "paper"}),
    (rules.radam, {"beta2": 0.7}), (rules.lion, {"weight_decay": 0.1})]


def steps(rule, gradients, w=0.0, **options):
    """All iterates w_0, w_1, ... under given gradients (or a function of w and t)."""
    states = [0.0] * len(rules.anatomy(rule).states)
    path = [w]
    count = range(1, 10**9) if callable(gradients) else range(1, len(gradients) + 1)
    for t in count:
        g = gradients(path[-1], t) if callable(gradients) else gradients[t - 1]
        if g is None:
            break
        now = {name: value(t) if callable(value) else value for name, value in options.items()}
        w, *states = rules.update(rule, w, g, states, t, now)
        path.append(w)
    return path


def run(rule, gradient, w, n, **options):
    """The weights after n steps on a gradient function of w."""
    return steps(rule, lambda w, t: gradient(w) if t <= n else None, w, **options)[-1]


# --- first steps by hand -------------------------------------------------------------------------

@pytest.mark.parametrize("g", [1e-9, 1e-3, 1.0, -40.0])
def test_the_first_step_of_adam_is_lr_g_over_abs_g_plus_eps(g):
    w, m, v = rules.adam(np.array([2.0]), np.array([g]), 0.0, 0.0, 1, lr=0.1)
    assert w[0] == pytest.approx(2 - 0.1 * g / (abs(g) + 1e-8), rel=1e-14)
    assert (m[0], v[0]) == pytest.approx((0.1 * g, 0.001 * g * g), rel=1e-12)


def test_two_steps_of_adam_by_hand():
    path = steps(rules.adam, [3.0, -1.0], w=1.0, lr=0.1, beta1=0.5, beta2=0.75, eps=0.0)
    # m: 1.5, .25; m_hat: 3, .25/.75; v: 2.25, 1.9375; v_hat: 9, 1.9375/.4375
    assert path == pytest.approx([1.0, 0.9, 0.9 - 0.1 * (1 / 3) / math.sqrt(31 / 7)], rel=1e-14)


def test_two_steps_of_each_classic_rule_by_hand():
    g = [2.0, -1.0]
    assert steps(rules.sgd, g, lr=0.5) == [0, -1, -0.5]
    assert steps(rules.momentum, g, lr=0.5, momentum=0.5) == [0, -1, -1]
    assert steps(rules.nesterov, g, lr=0.5, momentum=0.5) == [0, -1.5, -1]
    assert steps(rules.adagrad, g, lr=1.0, eps=0.0) == pytest.approx([0, -1, -1 + 5**-0.5])
    assert steps(rules.rmsprop, g, lr=1.0, alpha=0.75, eps=0.0) == pytest.approx([0, -2, -1])


def test_the_first_momentum_buffer_is_the_gradient_whatever_the_dampening():
    path = steps(rules.momentum, [1.0, 1.0], lr=1.0, momentum=0.9, dampening=0.9)
    assert path == pytest.approx([0, -1, -2])  # buffers 1, .9 + .1


@pytest.mark.parametrize("alpha, first", [(0.99, 10.0), (0.9, 3.1623)])
def test_rmsprop_is_not_bias_corrected_so_its_first_step_is_too_long(alpha, first):
    assert -steps(rules.rmsprop, [1.0], lr=1.0, alpha=alpha)[-1] == pytest.approx(first, rel=1e-5)


# --- the slides' and papers' variants, with measured numbers -------------------------------------

@pytest.mark.parametrize("convention, lengths", [
    ("torch", [1, 0.6697, 0.5174, 0.4236, 0.3579]),
    ("corrected", [1, 0.4737, 0.2989, 0.2120, 0.1602]),
    ("paper", [3.1623, 2.8460, 2.5614, 2.3053, 2.0748])])
def test_amsgrad_conventions_differ_after_one_large_gradient(convention, lengths):
    path = steps(rules.amsgrad, [1.0, 0, 0, 0, 0], lr=1.0, convention=convention)
    assert -np.diff(path) == pytest.approx(lengths, abs=6e-5)


@pytest.mark.parametrize("rule", [rules.adagrad, rules.rmsprop])
def test_eps_inside_the_root_matters_for_small_gradients(rule):
    options = {"lr": 1.0, "eps": 1e-8} | ({"alpha": 0.0} if rule is rules.rmsprop else {})
    inside = -steps(rule, [1e-6], eps_inside_sqrt=True, **options)[-1]
    outside = -steps(rule, [1e-6], **options)[-1]
    assert inside == pytest.approx(0.0100, rel=1e-3)
    assert outside == pytest.approx(0.9901, rel=1e-4)
    same = [-steps(rule, [1e3], eps_inside_sqrt=inside, **options)[-1] for inside in (True, False)]
    assert same[0] == pytest.approx(same[1], rel=1e-10)


def test_momentum_forms_agree_at_constant_lr_and_part_when_lr_changes():
    for rule in (rules.momentum, rules.nesterov):
        torch, sutskever = (run(rule, lambda w: w, 1.0, 50, lr=0.01, momentum=0.9, form=form)
                            for form in ("torch", "sutskever"))
        assert torch == pytest.approx(sutskever, abs=1e-15)
        falling = [run(rule, lambda w: w, 1.0, 50, lr=lambda t: 0.01 if t <= 25 else 0.001,
                       momentum=0.9, form=form) for form in ("torch", "sutskever")]
        assert abs(falling[0] - falling[1]) > 0.05
        if rule is rules.momentum:
            assert falling == pytest.approx([-0.0549, -0.2308], abs=5e-5)


def test_torch_nesterov_is_the_look_ahead_point_of_sutskever():
    theta, v, mu, lr = 1.0, 0.0, 0.9, 0.05
    path = steps(rules.nesterov, lambda w, t: 2 * w if t <= 30 else None, w=1.0, lr=lr,
                 momentum=mu)
    for w in path[1:]:
        v = mu * v - lr * 2 * (theta + mu * v)
        theta = theta + v
        assert w == pytest.approx(theta + mu * v, abs=1e-14)


def test_the_saddle_escapes_after_the_predicted_number_of_steps():
    for y0, expected in ((1e-1, 117), (1e-4, 466), (1e-8, 931), (1e-12, 1396)):
        path = steps(rules.sgd, lambda y, t: -2 * y if abs(y) < 1 else None, w=y0, lr=0.01)
        assert len(path) - 1 == expected == math.ceil(math.log(1 / y0) / math.log(1.02))
    assert run(rules.adam, lambda y: -2 * y, 0.0, 100, lr=0.01) == 0  # exactly on it: never


# --- closed forms --------------------------------------------------------------------------------

def test_constant_gradient_step_lengths():
    ones = [1.0] * 400
    assert -np.diff(steps(rules.adam, ones, lr=0.1, eps=0.0)) == pytest.approx(0.1, rel=1e-10)
    t = np.arange(1, 401)
    assert -np.diff(steps(rules.adagrad, ones, lr=0.1, eps=0.0)) == pytest.approx(0.1 / np.sqrt(t))
    assert -np.diff(steps(rules.momentum, ones, lr=0.1))[-1] == pytest.approx(1.0, rel=1e-12)
    decayed = -np.diff(steps(rules.adagrad, ones, lr=0.1, eps=0.0, lr_decay=0.5))
    assert decayed == pytest.approx(0.1 / np.sqrt(t) / (1 + 0.5 * (t - 1)))


def test_adagrad_is_rmsprop_with_vanishing_forgetting():
    g = np.random.default_rng(0).normal(size=50)
    a = steps(rules.adagrad, g, lr=0.1, eps=0.0)
    b = steps(rules.rmsprop, g, lr=lambda t: 0.1 / math.sqrt(t), alpha=lambda t: 1 - 1 / t,
              eps=0.0)
    assert a == pytest.approx(b, abs=1e-14)


def test_without_memory_adam_and_rmsprop_take_sign_steps():
    g = np.random.default_rng(1).normal(size=20)
    signs = -0.1 * np.sign(g)
    assert np.diff(steps(rules.adam, g, lr=0.1, beta1=0, beta2=0, eps=0)) == pytest.approx(signs)
    assert np.diff(steps(rules.rmsprop, g, lr=0.1, alpha=0, eps=0)) == pytest.approx(signs)


@pytest.mark.parametrize("rule, options, expected", [
    (rules.sgd, {"lr": 2 / 101}, 709),
    (rules.momentum, {"lr": (2 / 11) ** 2, "momentum": (9 / 11) ** 2}, 95),
    (rules.nesterov, {"lr": 1 / 100, "momentum": 9 / 11}, 157),
    (rules.sgd, {"lr": 1 / 100}, 1375),
    (rules.momentum, {"lr": 0.01, "momentum": 0.9}, 264)])
def test_the_quadratic_of_condition_100_takes_the_known_number_of_steps(rule, options, expected):
    curvature = np.array([1.0, 100.0])
    path = steps(rule, lambda w, t: curvature * w if np.linalg.norm(w) >= 1e-6 else None,
                 w=np.ones(2), **options)
    assert len(path) - 1 == expected


@pytest.mark.parametrize("rule, edge", [(rules.sgd, 2.0), (rules.momentum, 3.8),
                                        (rules.nesterov, 2 * 1.9 / 2.8)])
def test_stability_ends_at_the_known_learning_rate(rule, edge):
    options = {} if rule is rules.sgd else {"momentum": 0.9}
    assert abs(run(rule, lambda w: w, 1.0, 4000, lr=edge - 0.01, **options)) < 1e-3
    assert abs(run(rule, lambda w: w, 1.0, 4000, lr=edge + 0.01, **options)) > 1e3


def test_momentum_as_a_running_mean_is_heavy_ball_with_a_smaller_rate():
    m = w = 0.0
    g = np.random.default_rng(2).normal(size=40)
    for value in g:
        m = 0.9 * m + 0.1 * value
        w -= 0.5 * m
    assert steps(rules.momentum, g, lr=0.05, momentum=0.9)[-1] == pytest.approx(w, abs=1e-14)
    dampened = steps(rules.momentum, g, lr=0.5, momentum=0.9, dampening=0.9)[-1]
    assert abs(dampened - w) > 0.01  # not the same: the first buffer is not dampened


@pytest.mark.parametrize("rule", ADAPTIVE)
def test_adaptive_rules_do_not_see_the_scale_of_the_loss(rule):
    g = np.random.default_rng(3).normal(size=(30, 5))
    plain, scaled = (steps(rule, c * g, w=np.ones(5), eps=0.0) for c in (1, 2.0**-20))
    assert np.array_equal(plain, scaled)


def test_sgd_commutes_with_rotations_and_adam_does_not():
    a = np.random.default_rng(4).normal(size=(3, 3))
    hessian, q = a @ a.T, np.linalg.qr(a)[0]
    def gap(rule):
        straight = run(rule, lambda w: hessian @ w, np.ones(3), 20, lr=0.01)
        turned = run(rule, lambda w: q @ hessian @ q.T @ w, q @ np.ones(3), 20, lr=0.01)
        return np.abs(q @ straight - turned).max()
    assert gap(rules.sgd) < 1e-14 and gap(rules.momentum) < 1e-14
    assert gap(rules.adam) > 1e-3


def test_adam_steps_can_exceed_kingmas_bound_as_measured():
    sparse = steps(rules.adam, [0.0] * 20000 + [1.0], lr=1.0, eps=1e-300)
    assert -np.diff(sparse)[-1] == pytest.approx(3.162278, abs=1e-6)  # (1 - b1) / sqrt(1 - b2)
    growing = (0.999 / 0.9) ** np.arange(3000.0)
    lengths = -np.diff(steps(rules.adam, growing, lr=1.0, eps=0.0))
    assert lengths.max() == pytest.approx(7.087, abs=2e-3)


@pytest.mark.parametrize("C, average_regret", [(3, 0.6672), (4, 1.3338)])
def test_adam_fails_on_reddis_counterexample_and_amsgrad_does_not(C, average_regret):
    def play(rule, T, **options):
        x, states, loss = 1.0, [0.0] * len(rules.anatomy(rule).states), 0.0
        for t in range(1, T + 1):
            g = C if t % 3 == 1 else -1.0
            loss += g * x
            x, *states = rule(x, g, *states, t, lr=0.1 / math.sqrt(t), beta1=0.0,
                              beta2=1 / (1 + C * C), **options)
            x = min(1.0, max(-1.0, x))
        return x, loss / T + (C - 2) / 3  # regret against the best point, -1
    x, regret = play(rules.adam, 30000)
    assert x == 1.0 and regret == pytest.approx(average_regret, abs=2e-4)
    for convention in ("torch", "corrected", "paper"):
        assert play(rules.amsgrad, 30000, convention=convention)[0] < -0.99


# --- decay ---------------------------------------------------------------------------------------

def test_adamw_is_decay_then_adam_and_uses_the_old_weights():
    w, g = np.array([1.0, -2.0]), np.array([0.5, 1e-3])
    new, *_ = rules.adamw(w, g, 0.0, 0.0, 1, lr=0.1, weight_decay=0.1)
    expected = w * (1 - 0.01) - 0.1 * g / (np.abs(g) + 1e-8)
    assert new == pytest.approx(expected, rel=1e-14)
    composed = rules.update(rules.adam, w, g, [0.0, 0.0], 1, {"lr": 0.1}, weight_decay=0.1,
                            decay_rate=0.1)
    assert np.array_equal(composed[0], new)


def test_decay_on_a_zero_gradient():
    def first(**modifiers):
        return rules.update(rules.adam, 1.0, 0.0, [0.0, 0.0], 1, {"lr": 0.1}, **modifiers)[0]
    assert first(weight_decay=0.1, decay_rate=0.1) == pytest.approx(0.99)
    assert first(weight_decay=0.1) == pytest.approx(0.9)  # a whole sign step, whatever the decay
    assert first(weight_decay=1e-3) == pytest.approx(0.9, abs=2e-6)
    assert first(weight_decay=0.1, maximize=True) == pytest.approx(0.9)  # decay shrinks even then


def test_weights_settle_where_decay_and_gradient_balance():
    for g in (1e-3, 1.0, 50.0):
        w, states = 0.0, [0.0, 0.0]
        for t in range(1, 2001):
            w, *states = rules.update(rules.adam, w, g, states, t, {"lr": 0.1, "eps": 0.0},
                                      weight_decay=0.1, decay_rate=0.1)
        assert w == pytest.approx(-10, rel=1e-6)
    assert run(rules.sgd, lambda w: rules.l2(1.0, w, 0.1), 0.0, 3000, lr=0.1) == pytest.approx(-10)


def test_for_plain_sgd_l2_and_decoupled_decay_are_the_same():
    coupled = rules.update(rules.sgd, 2.0, 0.3, [], 1, {"lr": 0.1}, weight_decay=0.5)
    decoupled = rules.update(rules.sgd, 2.0, 0.3, [], 1, {"lr": 0.1}, weight_decay=0.5,
                             decay_rate=0.1)
    assert coupled[0] == pytest.approx(decoupled[0], rel=1e-15)


# --- what every rule promises --------------------------------------------------------------------

@pytest.mark.parametrize("rule, options", VARIANTS)
def test_rules_are_pure_keep_float32_and_never_see_where_a_number_stands(rule, options):
    rng = np.random.default_rng(5)
    w = rng.normal(size=(3, 4)).astype(np.float32)
    states = [0.0] * len(rules.anatomy(rule).states)
    parts = [states, states]
    halves = [w[0], w[1:]]
    for t in (1, 2, 3):
        g = rng.normal(size=(3, 4)).astype(np.float32)
        for array in (w, g, *states):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        w, *states = rules.update(rule, w, g, states, t, options)
        assert w.dtype == np.float32
        assert all(s.dtype == np.float32 for s in states if isinstance(s, np.ndarray))
        for i, piece in enumerate((g[0], g[1:])):
            halves[i], *parts[i] = rules.update(rule, halves[i], piece, parts[i], t, options)
    assert np.array_equal(w, np.vstack(halves)) and rule.elementwise


@pytest.mark.parametrize("rule, options, unused", [
    (rules.rmsprop, {}, {"m", "b"}), (rules.rmsprop, {"centered": True}, {"b"}),
    (rules.rmsprop, {"momentum": 0.9}, {"m"}), (rules.adam, {}, set())])
def test_a_state_that_an_option_leaves_unused_stays_the_number_zero(rule, options, unused):
    names = rules.anatomy(rule).states
    _, *states = rules.update(rule, np.ones(2), np.ones(2), [0.0] * len(names), 1, options)
    assert {name for name, state in zip(names, states) if type(state) is float} == unused


@pytest.mark.parametrize("rule, options", VARIANTS)
def test_an_update_can_be_differentiated(rule, options):
    """d(sum of w after three steps)/dw0, through tensors, against central differences."""
    w0 = np.array([0.7, -1.3, 2.1])

    def final(w):
        states = [0.0] * len(rules.anatomy(rule).states)
        for t in (1, 2, 3):
            w, *states = rules.update(rule, w, w * w * t, states, t, options, weight_decay=0.1)
        return w
    w = minigrad.tensor(w0, requires_grad=True)
    result = final(w)
    result.sum().backward()
    assert result.numpy() == pytest.approx(final(w0), rel=1e-13)
    h = 1e-6
    numeric = [(final(w0 + h * e).sum() - final(w0 - h * e).sum()) / (2 * h) for e in np.eye(3)]
    assert w.grad.numpy() == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-7)


def test_an_update_can_be_differentiated_with_respect_to_the_learning_rate():
    lr = minigrad.tensor(0.1, requires_grad=True)
    w, = rules.sgd(minigrad.tensor([1.0, 2.0]), minigrad.tensor([3.0, 4.0]), lr=lr)
    (w * w).sum().backward()
    assert lr.grad.item() == pytest.approx(2 * (0.7 * -3 + 1.6 * -4))


def test_a_signature_declares_states_counting_and_hyperparameters():
    states, counts, options = rules.anatomy(rules.amsgrad)
    assert states == ("m", "v", "v_max") and counts
    assert options == {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
                       "convention": "torch"}
    assert rules.anatomy(rules.sgd)[:2] == ((), False)


@pytest.mark.parametrize("rule, part", [
    (3, "must be a function"), (lambda w, g, lr=0.1: w, "after a star"),
    (lambda w: w, "expected w, g"),
    (lambda w, g, t, m: w, "expected w, g"), (lambda w, g, *rest: w, "neither a state")])
def test_a_function_that_is_no_rule_is_refused(rule, part):
    with pytest.raises(TypeError, match=part):
        rules.anatomy(rule)
