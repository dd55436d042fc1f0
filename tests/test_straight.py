"""The Tracer: what is followed, what stays a call, what is done anew, what is guarded."""

import ast
import math

import numpy as np
import pytest

from minigrad import ops, random
from minigrad.lines.lower import Lowering, needed, shared
from minigrad.lines.tracer import Tracer
from minigrad.lines.values import Unfollowed, Unknown

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


def traced(function, *values, names="xyz", **how):
    """(lines, result, tracer) of a function of unknown values."""
    tracer = Tracer(**how)
    unknown = [Unknown(tracer.fresh(name), value) for name, value in zip(names, values)]
    result = tracer.call(function, unknown)
    return [line_of(s) for s in tracer.statements], result, tracer


def line_of(statement):
    node = statement.node if statement.target is None else ast.Assign(
        [ast.Name(statement.target)], statement.node)
    return ast.unparse(ast.fix_missing_locations(node))


def executed(lines, result, tracer, **values):
    scope = {"np": np, "math": math, **tracer.constants, **values}
    exec("\n".join(lines), scope)
    return scope[result.name]


def check(function, expected=None, value=X, **how):
    """Holds the lines, run for other numbers, against the function itself."""
    lines, result, tracer = traced(function, value.copy(), **how)
    other = value[::-1] * -0.7
    np.testing.assert_array_equal(executed(lines, result, tracer, x=other.copy()),
                                  function(other.copy()))
    if expected is not None:
        assert lines == expected
    return lines


# --- functions that are followed: named, for their source is read ---------------------------------

def helper(x, scale=2.0):
    return x * scale


def calls_a_helper(x):
    return helper(x) + helper(x, scale=3.0)


def chooses_by_shape(x):
    if x.ndim == 2 and x.shape[0] < 5:
        return x.T @ x
    return x


def loops(x):
    total = 0
    for i in range(x.shape[1]):
        total = total + x[:, i]
    return total


def comprehends(x):
    return sum([x * k for k in (1, 2, 3) if k != 2])


def writes_into_its_own(x):
    y = np.zeros((2, 3))
    y[0] = x[1]
    y[1, :] = 1.0
    y[0] += x[0]
    return y


def keeps_its_kind(x):
    return (x > 0) * 1 + 1.0 * (x < 0) + x * 1 - x / 1


def stretches(x):
    return np.full((2, 2, 3), 2.0) * x + np.ones((2, 1, 1)) * x


def ignores_errors(x):
    with np.errstate(all="ignore"):
        return np.sqrt(x * x)


def names_of_numpy(x):
    square, add = x * x, x + 1
    return np.add(square, add) + np.square(x)


FOLLOWED = [calls_a_helper, chooses_by_shape, loops, comprehends, writes_into_its_own,
            keeps_its_kind, stretches, ignores_errors, names_of_numpy]


@pytest.mark.parametrize("function", FOLLOWED, ids=lambda f: f.__name__)
def test_followed_functions_give_the_same_numbers_for_others(function):
    lines = check(function)
    assert not any(function.__name__ in line or "helper" in line for line in lines)


def test_the_lines_are_the_function_s_own():
    assert check(calls_a_helper) == ["v = x * 2.0", "v_2 = x * 3.0", "v_3 = v + v_2"]
    assert check(chooses_by_shape) == ["v = x.T", "v_2 = v @ x"]


def test_known_values_are_computed_at_once():
    lines, result, _ = traced(lambda x: np.zeros(x.shape) + x.ndim, X)
    assert lines == [] and (result == 2).all()


def test_an_operation_that_changes_nothing_is_left_out_only_if_it_changes_nothing():
    assert traced(lambda x: x * 1, X)[0] == []
    assert traced(lambda x: x * 1, X > 0)[0] == ["v = x * 1"]
    assert traced(lambda x: x / 1, np.arange(3))[0] == ["v = x / 1"]
    assert traced(lambda x: np.ones((2, 2, 3)) * x, X)[0] != []


# --- functions that stay a call -------------------------------------------------------------------

def branches_on_numbers(x):
    if x[0, 0] > 0:
        return x
    return -x


def tries(x):
    try:
        return x * 2
    finally:
        pass


def writes_into_an_argument(x):
    x[0] = 0
    return x * 2


def writes_into_a_view_of_an_argument(x):
    y = x[:]
    y[0] = 0
    return x * 2


def writes_into_an_alias(x):
    y = x + 1
    z = y
    z *= 2
    return y + z


def writes_by_out(x):
    y = x + 1
    np.multiply(y, 2.0, out=y)
    np.add(y, 1.0, y)
    return y


def fills(x):
    y = x + 1
    np.copyto(y, x, where=x > 0)
    y.sort()
    return y


def changes_the_dtype(x):
    y = x.astype(np.float32)
    y += x
    return y


def unpacks(x):
    a, b = x
    return a + b


def nests(x):
    def twice(y):
        return 2 * y
    return twice(x)


STAY = [branches_on_numbers, tries, writes_into_an_argument, writes_into_a_view_of_an_argument,
        writes_into_an_alias, writes_by_out, fills, changes_the_dtype, unpacks, nests]


@pytest.mark.parametrize("function", STAY, ids=lambda f: f.__name__)
def test_what_cannot_be_followed_stays_one_call(function):
    (line,) = check(function)
    assert line.endswith(f"= {function.__name__}(x)")
    with pytest.raises(Unfollowed):
        traced(function, X.copy(), whole=False)


@pytest.mark.parametrize("function", STAY, ids=lambda f: f.__name__)
def test_only_the_part_that_cannot_be_followed_stays_a_call(function):
    def outer(x):
        return function(x * 2) + 1
    lines, _, _ = traced(outer, X.copy())
    assert [line.split(" = ")[1] for line in lines][:2] == [
        "x * 2", f"{function.__name__}(v)"]
    assert len(lines) == 3 and lines[2].endswith("+ 1")


def test_functions_named_entire_stay_calls():
    assert traced(calls_a_helper, X, entire=(helper,))[0][0] == "v = helper(x)"


# --- what may differ from time to time ------------------------------------------------------------

rng = np.random.default_rng(0)
GLOBAL = [1.0]


def noisy(x):
    return x + rng.normal(size=x.shape) + rng.normal(size=x.shape)


def reads_a_global(x):
    return x * GLOBAL[0]


def test_random_numbers_are_drawn_once_for_each_time_they_are_written():
    lines, result, tracer = traced(noisy, X)
    statements, _ = shared(tracer.statements)
    assert sum(not s.pure for s in statements) == 2
    assert len(needed(statements, [result.name])) == len(lines)
    one, two = (executed(lines, result, tracer, x=X) for _ in range(2))
    assert (one != two).all()


def test_the_generator_is_asked_for_anew_so_that_a_seed_is_heard():
    def drawing(x):
        return x + random.generator().random(x.shape)
    lines, result, tracer = traced(drawing, X)
    random.manual_seed(3)
    found = executed(lines, result, tracer, x=X)
    random.manual_seed(3)
    np.testing.assert_array_equal(found, drawing(X))


@pytest.mark.parametrize("function", [noisy, reads_a_global])
def test_a_strict_tracer_follows_nothing_that_may_change_and_calls_nothing(function):
    before = rng.bit_generator.state
    with pytest.raises(Unfollowed):
        traced(function, X, whole=False)
    assert rng.bit_generator.state == before


def test_what_a_function_of_users_reads_from_around_it_is_told():
    _, _, tracer = traced(reads_a_global, X)
    assert tracer.outer == [(reads_a_global, "GLOBAL", GLOBAL)]


# --- guards ---------------------------------------------------------------------------------------

def by_time(x, t):
    if 2 < t < 5 or t == 9:
        return x * 2
    return x if t > 3 and not t % 2 else -x


@pytest.mark.parametrize("t", range(1, 11))
def test_a_branch_on_a_scalar_is_guarded_exactly(t):
    """The program of one t is right for another if and only if its guards hold there."""
    lines, result, tracer = traced(by_time, X, t, names="xt")
    for other in range(1, 11):
        scope = {"np": np, "x": X, "t": other}
        exec("\n".join(lines), scope)
        if all(bool(scope[x.name]) == truth for x, truth in tracer.guards):
            np.testing.assert_array_equal(scope[result.name], by_time(X, other))
        else:
            assert other != t


# --- the same once, and where results go ----------------------------------------------------------

def test_what_is_computed_twice_is_computed_once():
    _, result, tracer = traced(lambda x: np.exp(x + 1) * np.where(x > 0, x + 1, np.exp(x + 1)), X)
    statements, _ = shared(tracer.statements)
    assert [line_of(s) for s in statements].count("v = x + 1") == 1
    assert len(statements) == len(tracer.statements) - 3


def test_arrays_that_are_written_into_are_not_mistaken_for_one_another():
    def two(x):
        a, b = x.copy(), x.copy()
        a[0] = 0
        return a + b
    lines, result, tracer = traced(two, X)
    statements, names = shared(tracer.statements)
    scope = {"np": np, "x": X}
    exec("\n".join(map(line_of, statements)), scope)
    np.testing.assert_array_equal(scope[names.get(result.name, result.name)], two(X))


PRIMITIVES = [ops.tanh, ops.sigmoid, ops.exp, ops.square, ops.abs, ops.relu, ops.softplus]


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lowered_rules_reuse_memory_and_keep_every_bit(primitive, dtype):
    rng = np.random.default_rng(0)
    tracer = Tracer()
    x = Unknown(tracer.fresh("x"), X.astype(dtype))
    y = tracer.call(primitive, (x,))
    dx = tracer.call(primitive.rule(0), (Unknown(tracer.fresh("g"), X.astype(dtype)), y, x))
    statements, names = shared(tracer.statements)
    results = [names.get(r.name, r.name) for r in (y, dx)]
    lowering = Lowering(statements, {}, {}, results).run()
    text = "\n".join(lowering.lines)
    for _ in range(3):
        values = {"x": rng.normal(size=X.shape).astype(dtype),
                  "g": rng.normal(size=X.shape).astype(dtype)}
        scope = {"np": np, **tracer.constants, **lowering.names, **values}
        exec(text, scope)
        expected = primitive.forward(values["x"])
        rule = primitive.rule(0)(values["g"], expected, values["x"])
        for name, value in zip(results, (expected, rule)):
            found = scope[lowering.where.get(name, name)]
            np.testing.assert_array_equal(found, value)
            assert found.dtype == dtype
