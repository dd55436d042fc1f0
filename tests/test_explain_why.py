"""Why a weight did not move, or moved so little: each reason on a step whose numbers are known."""

import re

import numpy as np
import pytest

from minigrad.optim import rules
from minigrad.optim.explaining import UpdateExplanation, explained, not_stepped, reasons
from minigrad.optim.reading import Update
from updates import RULES, VARIANTS, label, single, updates


def why(*arguments, **options):
    now = single(*arguments, **options)
    shown = explained(now, 0)
    assert shown.why == reasons(now, 0)
    return " ".join(shown.why)


@pytest.mark.parametrize("rule", [r for r in RULES if r is not rules.muon], ids=label)
def test_an_ordinary_step_has_no_reasons(rule):
    for now, _ in updates(rule, seed=11):
        if explained(now, (0, 0)).delta:
            assert reasons(now, (0, 0)) == []


def test_a_gradient_of_zero_and_what_moved_the_weight_all_the_same():
    assert "exactly 0" in why(rules.sgd, 1.0, 0.0) and "nothing else" in why(rules.sgd, 1.0, 0.0)
    assert "by -0.09, by what b remembers" in why(rules.momentum, 1.0, 0.0, {"b": 1.0}, lr=0.1)
    assert "what m remembers" in why(rules.adam, 1.0, 0.0, {"m": 0.5, "v": 0.1})
    assert "what v remembers" not in why(rules.adam, 1.0, 0.0, {"m": 0.5, "v": 0.1})
    assert "by -0.01, by weight decay" in why(
        rules.adam, 1.0, 0.0, modifiers={"weight_decay": 0.1, "decay_rate": 0.1})
    assert "by weight decay" in why(rules.lion, 1.0, 0.0, weight_decay=0.1)
    assert "by weight decay and what m" in why(rules.lion, 1.0, 0.0, {"m": 1.0}, weight_decay=0.1)


def test_eps_is_named_where_the_rule_without_it_steps_much_further():
    # denominator: |g| + eps = 1.01e-8 at the first step, so 101 times as large without eps
    assert "denominator = 1.01e-08 is mostly eps = 1e-08" in why(rules.adam, 1.0, 1e-10, t=1)
    assert "101 times as large" in why(rules.adam, 1.0, 1e-10, t=1)
    assert "eps dominates" in why(rules.rmsprop, 1.0, 1e-12)
    assert "eps dominates" in why(rules.adagrad, 1.0, 1e-6, eps_inside_sqrt=True, eps=1e-8)
    assert reasons(single(rules.adam, 1.0, 1e-5, t=1), 0) == []


@pytest.mark.parametrize("rule, states, ratio", [
    (rules.adam, {"m": 1e-3, "v": 1.0}, (0.999 / (1 - 0.999**5)) ** 0.5 / 1e-3),
    (rules.adagrad, {"G": 100.0}, 1e4), (rules.rmsprop, {"v": 4.0}, (0.99 * 4) ** 0.5 / 1e-3),
    (rules.adamax, {"m": 1e-3, "u": 1.0}, 999), (rules.adadelta, {"v": 1.0}, 0.9**0.5 / 1e-3),
    (rules.amsgrad, {"v_max": 9.0}, 3 / (1 - 0.999**5) ** 0.5 / 1e-3)], ids=label)
def test_a_large_denominator_is_blamed_on_the_state_that_remembers(rule, states, ratio):
    text = why(rule, 1.0, 1e-3, states)
    found = re.match(r"(\w+) remembers gradients about (\S+) times larger", text)
    assert found[1] == next(name for name in ("v_max", "v", "G", "u") if name in states)
    assert float(found[2].replace(",", "")) == pytest.approx(ratio, rel=1e-2)
    assert "e+" not in found[2]


def test_rate_zero_rounding_and_rest():
    assert "lr is 0" in why(rules.adam, 1.0, 1.0, lr=0.0)
    text = why(rules.sgd, 1000.0, 1e-3, dtype=np.float32)
    assert "rounding: the step, 1e-06" in text and "6.104e-05" in text
    assert float(np.spacing(np.float32(1000))) == pytest.approx(6.104e-05, rel=1e-4)
    assert why(rules.sgd, 1000.0, 1e-3) == ""
    assert "the rule itself made the step 0: g = np.where(agreement < 0, 0.0, g)" in why(
        rules.rprop, 1.0, 1.0, {"previous": -1.0, "size": 0.1})


def test_what_is_not_finite_is_traced_to_where_it_came_from():
    assert "the gradient is nan" in why(rules.adam, 1.0, np.nan)
    assert "m is nan since an earlier step" in why(rules.adam, 1.0, 1.0, {"m": np.nan, "v": 1.0})
    assert "the weight itself was inf" in why(rules.sgd, np.inf, 1.0)
    assert "step = lr * g is inf" in why(rules.sgd, 1.0, 1e200, lr=1e200)
    assert "v = beta2 * v" in why(rules.adam, 1.0, 1e200)


EXTREMES = [0.0, -0.0, 1.0, -2.5, np.nan, np.inf, -np.inf, 1e-320, 1e300, -1e200, 1e-30, 1e-8, 1e3]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [float, np.float32, np.float16])
@pytest.mark.parametrize("rule, options, modifiers", VARIANTS, ids=label)
def test_extreme_numbers_are_explained_and_who_stands_still_has_a_reason(rule, options, modifiers,
                                                                         dtype):
    random = np.random.default_rng(2)
    anatomy = rules.anatomy(rule)
    for t in (1, 2, 9):
        with np.errstate(all="ignore"):
            w, g, *states = random.choice(EXTREMES, size=(5, 2, 2)).astype(dtype)
        given = {n: 0.3 if n == "mu_product" else s for n, s in zip(anatomy.states, states)}
        now = Update("w", "Kind", rule, t, t, w, g, given, {**anatomy.hyperparameters, **options},
                     modifiers)
        with np.errstate(all="ignore"):
            after, *_ = rules.update(rule, w, g, list(given.values()), t, now.hyperparameters,
                                     **modifiers)
        for index in np.ndindex(2, 2):
            shown = explained(now, index)
            assert shown.lines and str(shown).isascii() and shown.latex()
            assert np.array_equal(shown.after, after[index], equal_nan=True)
            assert shown.delta != 0 or shown.why


@pytest.mark.parametrize("situation, words", [
    ("no gradient", ".grad is None"), ("frozen", "requires_grad_(True)"),
    ("not in any group", "add_param_group"), ("replaced", "now another tensor")])
def test_a_parameter_that_was_not_stepped_says_why_and_the_cure(situation, words):
    shown = not_stepped("net.{0}.weight", situation, kind="AdamW", step=3, index=(2, 3))
    text = str(shown)
    assert isinstance(shown, UpdateExplanation) and shown.delta == 0 and shown.lines == []
    assert text.startswith("net.{0}.weight[2, 3], step 3: AdamW\n")
    assert words in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert shown.latex() and "text/html" in shown._repr_mimebundle_()


def test_other_situations_and_facts_are_refused():
    with pytest.raises(ValueError, match="'asleep'.*'frozen'"):
        not_stepped("w", "asleep")
    with pytest.raises(TypeError, match="colour"):
        not_stepped("w", "frozen", colour="red")
