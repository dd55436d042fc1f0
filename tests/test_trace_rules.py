"""Rules of every style under trace: the same training, and every number that of the update."""

import functools

import numpy as np
import pytest

import minigrad
from minigrad import optim
from minigrad.optim.rules import elementwise

START, GRADIENTS = np.array([[0.5, -1.0], [2.0, 0.25]]), [0.5, -2.0, 1.25]


def clipped(rule):
    """A decorator that changes what its rule is given."""
    @functools.wraps(rule)
    def inner(w, g, *states, **options):
        return rule(w, np.clip(g, -0.01, 0.01), *states, **options)
    return inner


@clipped
def decorated(w, g, m, *, lr=0.1):
    m = 0.9 * m + g
    return w - lr * m, m


def calling(w, g, m, *, lr=0.1):
    return decorated(w, g, m, lr=lr)


def in_place(w, g, *, lr=0.1):
    w -= lr * g
    return w


def shrunk_in_place(w, g, *, lr=0.1):
    w *= 0.99
    return w - lr * g


@elementwise
def joined_in_place(w, g, m, *, lr=0.1):
    if type(m) is float:
        m = np.zeros_like(g)
    m *= 0.5
    m += g
    np.subtract(w, lr * m, out=w)
    return w, m


def unnamed_state(w, g, m, *, lr=0.1):
    return w - lr * (m + g), m + g


def in_another_order(g, w, lr):
    return g * lr + w


def helped(w, g, *, lr=0.1):
    return in_another_order(-g, w, lr)


class Averaged:
    """A rule with a hyperparameter of its own kind, callable, and as a method."""

    def __init__(self, share):
        self.share = share

    def __call__(self, w, g, m, *, lr=0.1):
        m = self.share * m + g
        return w - lr * m, m

    def rule(self, w, g, m, *, lr=0.1):
        m = self.share * m + g
        return w - lr * m, m


def trained(rule, traced=True, **options):
    """(the weights at every step and after the last, the states, the Run, the optimizer)"""
    w = minigrad.tensor(START.copy(), requires_grad=True)
    optimizer = optim.Optimizer([("w", w)], rule=rule, **options)
    run, weights = minigrad.trace(None, optimizer), []

    def loop():
        for factor in GRADIENTS:
            weights.append(w.numpy().copy())
            optimizer.zero_grad()
            (w * w * factor).sum().backward()
            optimizer.step()
    if traced:
        with run:
            loop()
    else:
        loop()
    states = [value for key, value in optimizer.state[w].items() if key != "step"]
    return np.array([*weights, w.numpy()]), states, run, optimizer


RULES = [decorated, calling, in_place, shrunk_in_place, joined_in_place, unnamed_state, helped,
         Averaged(0.5), Averaged(0.5).rule, functools.partial(decorated, lr=0.3)]
DECAYED = {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, DECAYED], ids=str)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: getattr(rule, "__name__", "object"))
def test_tracing_changes_no_training_and_records_what_happened(rule, options):
    plain, states, _, _ = trained(rule, traced=False, **options)
    weights, kept, run, _ = trained(rule, **options)
    np.testing.assert_array_equal(weights, plain)
    np.testing.assert_array_equal(kept, states)
    entry = run["w"]
    np.testing.assert_array_equal(entry["data"], weights[:-1])
    grads = 2 * weights[:-1] * np.array(GRADIENTS)[:, None, None]
    np.testing.assert_array_equal(entry["grad"], grads)
    np.testing.assert_allclose(entry["data"] + entry["delta"], weights[1:], rtol=0, atol=1e-15)
    np.testing.assert_allclose(entry["adaptive"] + entry["decay"], entry["delta"], rtol=0,
                               atol=1e-15)
    if states:
        np.testing.assert_array_equal(entry["m" if "m" in entry else "b"][-1], states[0])
    shrinkage = 0.1 * 0.1 if options is DECAYED else 0
    if rule is shrunk_in_place:
        shrinkage = 1 - 0.99 * (1 - shrinkage)
    lr = 0.3 if isinstance(rule, functools.partial) else 0.1
    if lr == 0.1 and rule not in (in_place, joined_in_place):  # these have no line w - step
        np.testing.assert_allclose(entry["decay"], -shrinkage * weights[:-1], atol=1e-15)


@pytest.mark.parametrize("rule", RULES[:-1], ids=lambda rule: getattr(rule, "__name__", "object"))
def test_an_explanation_ends_where_the_step_did(rule):
    weights, _, run, _ = trained(rule)
    for step in (1, 2, 3):
        shown = run.explain("w", (1, 0), step)
        assert shown.before == weights[step - 1][1, 0] and shown.after == weights[step][1, 0]


def test_a_method_and_an_object_are_explained_line_by_line():
    for rule in (Averaged(0.5), Averaged(0.5).rule):
        _, _, run, _ = trained(rule)
        shown = run.explain("w", (0, 0))
        assert [line.source for line in shown.lines] == ["self.share * m + g", "w - lr * m"]
        assert shown.values["m"] == run["w"]["m"][-1, 0, 0]
    assert "rule Averaged" in str(trained(Averaged(0.5))[2].explain("w", (0, 0)))


def test_a_rule_that_cannot_be_repeated_says_so_and_shows_what_was_recorded():
    generator = np.random.default_rng(0)

    def noisy(w, g, *, lr=0.1):
        step = lr * (g + generator.normal(size=g.shape))
        return w - step
    weights, _, run, optimizer = trained(noisy)
    shown = run.explain("w", (0, 1), 2)
    assert shown.lines == [] and "draws random numbers" in " ".join(str(shown).split())
    assert shown.after == pytest.approx(weights[2][0, 1], abs=1e-15)
    assert shown.delta == pytest.approx(weights[2][0, 1] - weights[1][0, 1], abs=1e-15)
    assert "draws random numbers" in " ".join(str(optimizer.explain("w", (0, 1))).split())


def test_a_weight_changed_after_the_step_is_noted():
    weights, _, _, optimizer = trained(unnamed_state)
    assert optimizer.explain("w", (0, 1)).notes == []
    w = optimizer.param_groups[0]["params"][0]
    w.data[0, 1] = 7.0
    shown = optimizer.explain("w", (0, 1))
    assert shown.after == weights[-1][0, 1] and "The weight is 7.0 now" in shown.notes[-1]
    assert optimizer.explain("w", (0, 0)).notes == []


def test_a_loaded_run_does_not_take_a_rule_for_minigrads_of_the_same_name(tmp_path):
    def adam(w, g, m, *, lr=0.1):
        m = 0.5 * m + g
        return w - lr * m, m
    for rule in (adam, Averaged(0.5)):
        _, _, run, _ = trained(rule)
        run.save(tmp_path / "run.npz")
        with pytest.raises(ValueError, match=r"load_trace\(path, rule=...\)"):
            minigrad.load_trace(tmp_path / "run.npz").explain("w", (0, 0))
        assert str(minigrad.load_trace(tmp_path / "run.npz")) == str(run)
        again = minigrad.load_trace(tmp_path / "run.npz", rule=rule)
        assert str(again.explain("w", (0, 0))) == str(run.explain("w", (0, 0)))


def test_the_opposite_of_a_negative_number_has_brackets():
    def climb(w, g, *, lr=0.1):
        step = -g
        return w - lr * step
    _, _, run, _ = trained(climb)
    g = run["w"]["grad"][0, 0, 1]
    assert g == -1.0 and "step = -g = -(-1) = 1" in str(run.explain("w", (0, 1), 1))


def test_a_decorated_elementwise_rule_trains_with_its_decorator():
    """The in-place form of a rule is made from its source: that of the decorated one."""
    def halved(rule):
        @functools.wraps(rule)
        def inner(w, g, m, *, lr=0.1):
            return rule(w, 0.5 * g, m, lr=lr)
        return inner

    @elementwise
    @halved
    def momentum(w, g, m, *, lr=0.1):
        m = 0.9 * m + g
        return w - lr * m, m
    for traced in (False, True):
        w, m = START, 0
        for factor in GRADIENTS:
            m = 0.9 * m + 0.5 * 2 * w * factor
            w = w - 0.1 * m
        np.testing.assert_allclose(trained(momentum, traced)[0][-1], w, atol=1e-12)
