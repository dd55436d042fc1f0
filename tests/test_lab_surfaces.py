"""The test surfaces: their heights, gradients and minima are the published ones."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.lab import surfaces
from minigrad.lab.surfaces import SURFACES, Surface, surface

# Each surface once more, in NumPy, from its source.
WRITTEN = {
    "quadratic": lambda x, y: (x**2 + 10 * y**2) / 2,
    "noisy": lambda x, y: (x**2 + 10 * y**2) / 2,
    "saddle": lambda x, y: x**2 - y**2,
    "monkey_saddle": lambda x, y: np.real((x + 1j * y)**3),
    "rosenbrock": lambda x, y: (1 - x)**2 + 100 * (y - x**2)**2,
    "beale": lambda x, y: sum((c - x * (1 - y**k))**2
                              for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))),
    "himmelblau": lambda x, y: (x**2 + y - 11)**2 + (x + y**2 - 7)**2,
    "styblinski_tang": lambda x, y: sum(z**4 - 16 * z**2 + 5 * z for z in (x, y)) / 2,
    "ravine": lambda x, y: x**2 / 20 + 2.5 * (y - np.sin(x))**2,
    "cliff": lambda x, y: 1 / (1 + np.exp(10 * x)) + ((x - 1.5)**2 + y**2) / 100,
}
# (lowest height, the minima as published, in as many digits)
PUBLISHED = {
    "rosenbrock": (0, [(1, 1)]),
    "beale": (0, [(3, 0.5)]),
    "himmelblau": (0, [(3, 2), (-2.805118, 3.131312), (-3.779310, -3.283186),
                       (3.584428, -1.848126)]),
    "styblinski_tang": (-39.16616570377142 * 2, [(-2.903534, -2.903534)]),
}

every = pytest.mark.parametrize("name", SURFACES)


def grid(s, n=7):
    return [(x, y) for x in np.linspace(*s.domain[0], n) for y in np.linspace(*s.domain[1], n)]


@every
def test_heights_are_those_of_the_formula(name):
    s = surface(name)
    assert s.name == name and s.source and s.formula
    for x, y in grid(s):
        assert s.value((x, y)) == pytest.approx(WRITTEN[name](x, y), rel=1e-12, abs=1e-12)


@every
def test_gradients_are_those_of_finite_differences_to_second_order(name):
    s = surface(name)
    for x, y in grid(s, 3):
        w = mg.tensor([x + 0.01, y - 0.02], requires_grad=True)
        assert mg.gradcheck(s, [w], order=2)


@every
def test_the_gradient_is_zero_where_it_is_said_to_be(name):
    s = surface(name)
    scale = np.abs(s.gradient(s.start)).max()
    for place in (*s.minima, *s.saddles):
        assert np.abs(s.gradient(place)).max() < 1e-12 * max(1, scale)
        assert s.holds(place)
    for place in s.minima:
        assert np.linalg.eigvalsh(s.hessian(place)).min() > 0
    if name != "monkey_saddle":
        for place in s.saddles:
            low, high = np.linalg.eigvalsh(s.hessian(place))
            assert low < 0 < high


@every
def test_no_height_in_the_picture_is_below_the_lowest_minimum(name):
    s = surface(name)
    heights = np.array([[WRITTEN[name](x, y) for x in np.linspace(*s.domain[0], 61)]
                        for y in np.linspace(*s.domain[1], 61)])
    if s.minima:
        assert s.lowest <= heights.min() + 1e-12
        assert s.value(s.minima[0]) == s.lowest
    else:
        assert s.lowest is None and heights.min() < 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_minima_are_the_published_ones(name):
    s, (lowest, places) = surface(name), PUBLISHED[name]
    assert s.lowest == pytest.approx(lowest, abs=1e-9)
    for place, published in zip(s.minima, places):
        assert place == pytest.approx(published, abs=1.1e-6)


def test_the_monkey_saddle_is_flat_to_second_order_and_falls_three_ways():
    s = surface("monkey_saddle")
    np.testing.assert_array_equal(s.hessian((0, 0)), np.zeros((2, 2)))
    falls = [s.value((math.cos(a), math.sin(a))) for a in np.radians([60, 180, 300])]
    rises = [s.value((math.cos(a), math.sin(a))) for a in np.radians([0, 120, 240])]
    assert falls == pytest.approx([-1] * 3) and rises == pytest.approx([1] * 3)


@pytest.mark.parametrize("condition, rotation", [(1, 0), (100, 0), (7, 30), (1e4, -77)])
def test_a_quadratic_bowl_has_the_condition_number_and_axes_asked_for(condition, rotation):
    hessian = surfaces.quadratic(condition, rotation).hessian((0.3, -0.2))
    values, axes = np.linalg.eigh(hessian)
    assert values == pytest.approx([1, condition], rel=1e-9)
    if condition > 1:
        angle = math.radians(rotation)
        assert abs(axes[:, 0] @ [math.cos(angle), math.sin(angle)]) == pytest.approx(1)


def test_other_parameters_move_the_minimum():
    s = surfaces.rosenbrock(a=2, b=10)
    assert s.minima == ((2.0, 4.0),) and s.lowest == 0 and s.holds((2, 4))
    assert np.abs(s.gradient((2, 4))).max() == 0
    assert surfaces.noisy(noise=0.3).noise == 0.3 and surfaces.saddle(y=0).start == (1.2, 0)
    steep = surfaces.cliff(steepness=40)
    assert np.abs(steep.gradient(steep.minima[0])).max() < 1e-15


def test_grids_have_rows_of_y_and_holes_where_nothing_is():
    s = Surface(lambda w: w[0].log() + w[1], "half", (1, 0), ((-1, 1), (0, 2)))
    with np.errstate(all="ignore"):
        heights = s.heights([-1, 0, 1], [0, 2])
    np.testing.assert_array_equal(heights, [[np.nan, np.nan, 0], [np.nan, np.nan, 2]])


def test_a_surface_without_a_domain_gets_one_with_the_start_in_it():
    for start in ((0, 0), (3, -4), (1e-9, 0)):
        s = Surface(lambda w: (w * w).sum(), "f", start)
        assert s.holds(start) and s.domain[0] == s.domain[1]
    assert Surface(lambda w: w.sum(), "f", mg.tensor([1.0, 2.0])).start == (1.0, 2.0)


def test_heights_in_float32():
    before = mg.get_default_dtype()
    mg.set_default_dtype(mg.float32)
    try:
        s = surface("rosenbrock")
        w = mg.tensor(s.start, requires_grad=True)
        assert s(w).dtype == mg.float32
        np.testing.assert_allclose(s.gradient(s.start), [-215.6, -88], rtol=1e-5)
    finally:
        mg.set_default_dtype(before)


def test_functions_that_are_no_surface_are_refused():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    cases = [(lambda w: w * 2, ValueError, r"one number, got shape \(2,\); sum\(\) or mean"),
             (lambda w: 3.0, TypeError, "must return a tensor, got float"),
             (lambda w: (w * w).sum().item(), TypeError, "operations of tensors"),
             (lambda w: (w * w).sum().detach(), ValueError, "does not depend on its argument"),
             (lambda w: mg.tensor(1.0), ValueError, "does not depend")]
    for function, error, words in cases:
        with pytest.raises(error, match=words):
            Surface(function, "f", (1, 2))(w)
    assert Surface(lambda w: w[:1] * 2, "f", (1, 2))(w).shape == ()


def test_unfit_starts_and_domains_are_refused():
    f = SURFACES["saddle"]().function
    for start in ((1,), (1, 2, 3), "ab", (1, math.nan), None, (1, math.inf), 3):
        with pytest.raises(ValueError, match="start must be two finite numbers"):
            Surface(f, "f", start)
    for domain in (((0, 1),), ((1, 0), (0, 1)), ((0, 0), (0, 1)), 3, ((0, math.inf), (0, 1))):
        with pytest.raises(ValueError, match="domain must be"):
            Surface(f, "f", (0.5, 0.5), domain)
    with pytest.raises(ValueError, match=r"start \(5, 0\) is outside its domain, x from -1 to 1"):
        Surface(f, "f", (5, 0), ((-1, 1), (-1, 1)))
    with pytest.raises(TypeError, match="a surface is a function"):
        Surface(3, "f", (0, 0))


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"no surface 'rosenbrok'; there are .* 'rosenbrock'\?"):
        surface("rosenbrok")
    with pytest.raises(TypeError, match="no parameter 'conditon'.* Did you mean 'condition'"):
        surface("quadratic", conditon=3)
    with pytest.raises(TypeError, match="it has none"):
        surface("beale", a=3)
    assert surface("Styblinski-Tang").name == "styblinski_tang"


def test_nonsense_parameters_are_refused():
    for make, options in ((surfaces.quadratic, {"condition": 0.5}),
                          (surfaces.quadratic, {"condition": "ten"}),
                          (surfaces.quadratic, {"rotation": math.inf}),
                          (surfaces.noisy, {"noise": -1}), (surfaces.ravine, {"steepness": 0}),
                          (surfaces.cliff, {"steepness": math.nan}),
                          (surfaces.rosenbrock, {"b": -1}), (surfaces.rosenbrock, {"a": True})):
        with pytest.raises(ValueError, match="must be a number"):
            make(**options)
