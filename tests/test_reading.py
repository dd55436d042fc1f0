"""The source of a rule is found, or it is said that it is not; its twin gives the same numbers."""

import functools
import inspect
import linecache
import os

import numpy as np
import pytest

from minigrad import ops
from minigrad.optim import elementwise, rules
from minigrad.optim.reading import Narrated
from minigrad.sources import source

EVERY = [rules.sgd, rules.momentum, rules.nesterov, rules.adagrad, rules.rmsprop, rules.adadelta,
         rules.adam, rules.amsgrad, rules.adamw, rules.adamax, rules.nadam, rules.radam,
         rules.rprop, rules.lion, rules.muon]


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.__name__)
def test_a_narrated_rule_returns_the_same_bits_and_its_names(rule):
    generator = np.random.default_rng(0)
    w, narrated = generator.normal(size=(4, 3)), Narrated(rule)
    plain_states = told_states = [0.0] * len(rules.anatomy(rule).states)
    for t in range(1, 9):
        g = generator.normal(size=(4, 3))
        plain = rules.update(rule, w, g, plain_states, t, {})
        told = rules.update(narrated, w, g, told_states, t, {})
        for one, other in zip(plain, told):
            np.testing.assert_array_equal(one, other)
        base, part, sign = narrated.heard[1:]
        np.testing.assert_array_equal(base + sign * part, plain[0])  # every rule says w - step
        w, plain_states, told_states = plain[0], plain[1:], told[1:]
    assert set(rules.anatomy(rule).states) <= set(narrated.heard.values)
    assert rules.anatomy(narrated) == rules.anatomy(rule)


def test_the_source_of_a_decorated_rule_is_its_own_lines():
    @elementwise
    def mine(w, g, *, lr=0.1):
        step = lr * g
        return w - step
    found = source(mine)
    assert found.text.splitlines()[0] == "def mine(w, g, *, lr=0.1):"
    assert "step = lr * g" in found.text and found.names["elementwise"] is elementwise


def test_the_source_of_a_wrapped_function_is_what_runs_not_what_is_inside():
    def mine(w, g, *, lr=0.1):
        return w - lr * g

    @functools.wraps(mine)
    def around(w, g, **keywords):
        return mine(w, 2 * g, **keywords)
    assert "2 * g" in source(around).text
    assert "w - lr * g" in source(inspect.unwrap(around)).text
    assert "w - lr * g" in source(functools.cache(mine)).text


def test_lambdas_are_found_even_two_in_a_line():
    one = lambda w, g, *, lr=0.1: w - lr * np.sqrt(g)  # noqa: E731
    pair = [lambda w, g: w - g, lambda w, g: w + g]
    assert source(one).text.endswith("return w - lr * np.sqrt(g)")
    assert [source(rule).text[-5:] for rule in pair] == ["w - g", "w + g"]
    assert Narrated(pair[1])(np.ones(2), np.ones(2)).tolist() == [2, 2]


def test_every_function_of_the_table_has_its_source():
    for name, row in ops.TABLE.items():
        for rule in row.vjps:
            assert rule is None or source(rule) is not None, name


def test_source_that_cannot_be_known_is_none(tmp_path):
    names = {}
    exec("def typed(w, g): return w - g", names)
    assert source(names["typed"]) is None
    assert source(functools.partial(max)) is None and source(np.add) is None
    path = tmp_path / "changed.py"
    path.write_text("def rule(w, g):\n    return w - g\n")
    exec(compile(path.read_text(), str(path), "exec"), names)
    path.write_text("def rule(w, g):\n    return w + g\n")  # edited after it was imported
    os.utime(path, (0, 0))
    linecache.checkcache(str(path))
    assert source(names["rule"]) is None


def test_the_twin_of_a_closure_shares_its_variables():
    total = 0

    def counting(w, g):
        nonlocal total
        total += 1
        return w - total * g
    narrated = Narrated(counting)
    assert narrated(1.0, 1.0) == 0.0 and narrated(1.0, 1.0) == -1.0 and total == 2


def test_defaults_and_every_return_are_kept():
    def rule(w, g, *, lr=0.5):
        if g > 0:
            climbed = lr * g
            return w + climbed
        return w
    narrated = Narrated(rule)
    assert narrated(1.0, 2.0) == 2.0
    assert narrated.heard.values["climbed"] == 1.0 and narrated.heard.sign == 1
    assert narrated(1.0, -2.0) == 1.0 and narrated.heard.sign == 0
    assert narrated(1.0, 2.0, lr=2.0) == 5.0
