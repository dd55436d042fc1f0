"""A race: every path is its optimizer's, and table and picture say what happened."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.lab import racepage, raceplot, racing, surfaces
from minigrad.lab.race import OPTIMIZERS, default_lr, race
from minigrad.terminal import Refusal, width_of

NASTY = "a\"'<img src=x onerror=alert(1)></script><!--%DATA%&amp;\u2202\u0007$x_"
TWO = {"SGD": lambda p: optim.SGD(p, lr=0.05), "Adam": lambda p: optim.Adam(p, lr=0.1)}


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Contours of few heights: nothing here depends on how fine they are."""
    monkeypatch.setattr(raceplot, "GRID", 41)


def bowl(w):
    return (w * w).sum()


# --- the paths ------------------------------------------------------------------------------------

def by_hand(name, lr, w, steps, gradient):
    """The path of an optimizer, in plain floats, from its paper."""
    path, m, v, b, G = [w], 0, 0, 0, 0
    for t in range(1, steps + 1):
        g = gradient(w, t - 1)
        if name == "sgd":
            w = w - lr * g
        elif name == "momentum":
            b = 0.9 * b + g
            w = w - lr * b
        elif name == "adagrad":
            G = G + g * g
            w = w - lr * g / (np.sqrt(G) + 1e-10)
        elif name == "rmsprop":
            v = 0.99 * v + 0.01 * g * g
            w = w - lr * g / (np.sqrt(v) + 1e-8)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - lr * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        path.append(w)
    return np.array(path)


def slope(w, t=None):
    """The gradient of Rosenbrock's function."""
    x, y = w
    return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


@pytest.mark.parametrize("noise", [0, 3.0])
@pytest.mark.parametrize("name, lr", [("sgd", 1e-3), ("momentum", 1e-4), ("adagrad", 0.1),
                                      ("rmsprop", 0.01), ("adam", 0.05)])
def test_paths_are_those_of_the_papers_with_the_same_noise_for_all(name, lr, noise):
    lane = race("rosenbrock", [name], steps=40, lr=lr, noise=noise, seed=7)[name]
    tilts = noise * np.random.default_rng(7).normal(size=(40, 2))
    path = by_hand(name, lr, np.array([-1.2, 1.0]), 40, lambda w, t: slope(w) + tilts[t])
    np.testing.assert_allclose(lane.points, path, rtol=1e-9, atol=1e-12)
    heights = (1 - path[:, 0])**2 + 100 * (path[:, 1] - path[:, 0]**2)**2
    np.testing.assert_allclose(lane.values, heights, rtol=1e-8, atol=1e-12)
    assert len(lane) == 40 and lane.lr == lr


@pytest.mark.usefixtures("doubles")
def test_paths_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for name, make in (("amsgrad", lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True)),
                       ("nesterov", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9,
                                                              nesterov=True)),
                       ("nadam", lambda p: torch.optim.NAdam(p, lr=0.1)),
                       ("rprop", lambda p: torch.optim.Rprop(p, lr=0.1))):
        w = torch.tensor([0.4, 0.6], dtype=torch.float64, requires_grad=True)
        optimizer, path = make([w]), [w.detach().numpy().copy()]
        for _ in range(30):
            optimizer.zero_grad()
            ((w**4 - 16 * w**2 + 5 * w).sum() / 2).backward()
            optimizer.step()
            path.append(w.detach().numpy().copy())
        lane = race("styblinski_tang", [name], lr=0.1, steps=30)[name]
        n = len(lane.points)  # nesterov leaves the picture
        np.testing.assert_allclose(lane.points, path[:n], rtol=1e-9, atol=1e-9)


def test_every_quantity_of_the_rule_is_recorded():
    lane = race("quadratic", TWO, steps=25)["Adam"]
    entry = lane.quantities
    np.testing.assert_array_equal(entry["data"], lane.points[:-1])
    g = lane.points[:-1] * [1, 10]
    np.testing.assert_allclose(entry["grad"], g, rtol=1e-12)
    m = np.zeros(2)
    for k in range(25):
        m = 0.9 * m + 0.1 * g[k]
        np.testing.assert_allclose(entry["m_hat"][k], m / (1 - 0.9**(k + 1)), rtol=1e-9)
    np.testing.assert_allclose(np.diff(lane.points, axis=0), entry["delta"], rtol=1e-9, atol=1e-15)
    assert "step" in str(lane.run.explain("w", 0))


def test_the_same_seed_gives_the_same_race_and_another_seed_another():
    points = [race("noisy", ["adam"], steps=20, seed=s)["adam"].points for s in (0, 0, 1)]
    np.testing.assert_array_equal(points[0], points[1])
    assert not np.array_equal(points[0], points[2])
    mg.manual_seed(3)
    before = mg.rand(1).item()
    mg.manual_seed(3)
    race("noisy", ["sgd"], steps=3)
    assert mg.rand(1).item() == before  # the one generator is left alone


def test_saddle_escape_takes_as_long_as_it_must():
    lr, y = 0.01, 1e-4
    lane = race(surfaces.saddle(y=y), ["sgd"], lr=lr, steps=600)["sgd"]
    out = int(np.argmax(np.abs(lane.points[:, 1]) >= 1))
    assert out == math.ceil(math.log(1 / y) / math.log(1 + 2 * lr)) == 466
    stuck = race(surfaces.saddle(y=0), list(OPTIMIZERS), steps=60)
    assert all((lane.points[:, 1] == 0).all() for lane in stuck.lanes.values())


def test_any_function_of_a_tensor_will_do_from_any_start():
    r = race(bowl, TWO, start=(3, -4), steps=5)
    np.testing.assert_allclose(r["SGD"].points[:, 0], 3 * 0.9**np.arange(6))
    assert r["SGD"].surface.holds((3, -4)) and r["SGD"].reached is None
    assert math.isnan(r["SGD"].distances[0]) and "distance" not in r.table()
    r = race("himmelblau", ["sgd"], start=(4, 4), domain=((-6, 6), (-6, 6)), steps=3)
    assert r.surface.start == (4, 4) and len(r.surface.minima) == 4


def test_float32_stays_float32():
    before = mg.get_default_dtype()
    mg.set_default_dtype(mg.float32)
    try:
        lane = race("ravine", ["adam"], steps=5)["adam"]
        assert lane.points.dtype == np.float32 and lane.ending == "on its way"
        assert racepage.page(race("ravine", ["adam"], steps=5))
    finally:
        mg.set_default_dtype(before)


def test_optimizers_may_name_the_parameter_and_gradients_may_be_off():
    with mg.no_grad():
        r = race("saddle", {"a": lambda p: optim.SGD([("<point>", p[0])], lr=0.1),
                            "b": lambda p: optim.SGD([{"params": p, "lr": 0.1}], lr=9)}, steps=3)
        assert default_lr("sgd", surfaces.quadratic()) > 0
    assert r["a"].run.names == ["<point>"] and racepage.page(r)
    np.testing.assert_array_equal(r["a"].points, r["b"].points)
    np.testing.assert_allclose(r["a"].quantities["grad"][0], [2.4, -0.002])
    assert r["b"].lr == 0.1


# --- how it ends ----------------------------------------------------------------------------------

def test_diverging_runs_are_cut_and_said():
    r = race("quadratic", ["sgd", "adam"], lr={"sgd": 0.5}, steps=100)
    lane = r["sgd"]
    v = np.abs(-4.0)**np.arange(len(lane) + 1)  # v is multiplied by 1 - 0.5 * 10
    np.testing.assert_allclose(np.abs(lane.points[:, 1]), v)
    assert lane.cut and lane.ending == "diverged, cut at step 2" in r.table()
    assert np.isfinite(lane.values).all() and not r["adam"].cut
    assert r["adam"].ending.startswith("at the minimum (0, 0)") or len(r["adam"]) == 100


def test_what_is_not_finite_is_cut_and_said():
    r = race("beale", ["sgd"], lr=1e300, steps=9)
    lane = r["sgd"]
    assert lane.cut and len(lane) == 1 and not math.isfinite(lane.values[-1])
    assert "diverged, cut at step 1" in r.table()
    root = race(lambda w: (w[0] * w[0]).sqrt() + w[1] * 0, {"SGD": lambda p: optim.SGD(p, lr=1)},
                start=(1, 0), steps=9)["SGD"]  # lands on 0, where the slope is 0 / 0
    assert root.ending == "not finite from step 2 on" and len(root) == 2
    assert root.summary()["value"] is None
    for broken in (lane, root):
        assert np.isfinite(raceplot.drawable(broken)).all()


def test_leaving_downhill_is_no_divergence():
    lane = race("saddle", ["sgd"], lr=0.2, steps=300)["sgd"]
    assert lane.cut and lane.ending == f"left downhill at step {len(lane)}"
    assert abs(lane.points[-1, 1]) > 4.5 >= abs(lane.points[-2, 1])


def test_arrivals_are_those_of_the_distances():
    r = race("himmelblau", ["sgd", "adam"], steps=150)
    for lane in r.lanes.values():
        gaps = [np.hypot(*(lane.points - m).T) for m in lane.surface.minima]
        np.testing.assert_array_equal(lane.distances, np.min(gaps, axis=0))
        first = lane.reached
        assert (lane.distances[first:] <= 0.1).all() and lane.distances[first - 1] > 0.1
        assert "(-3.78, -3.28)" in lane.ending
    stuck = race(surfaces.saddle(y=0), ["sgd"], lr=0.1, steps=60)["sgd"]
    assert stuck.ending == "at the saddle (0, 0)" and stuck.reached is None


def test_the_table_has_the_numbers_and_fits():
    r = race("himmelblau", {**TWO, NASTY * 3: lambda p: optim.Lion(p, lr=0.3)}, steps=60)
    lines = r.table().splitlines()
    assert str(r) == r.table() and max(map(width_of, lines)) <= 80 and "\x07" not in r.table()
    row = next(line for line in lines if line.startswith("Adam")).split()
    assert float(row[1]) == 0.1
    assert float(row[2]) == pytest.approx(r["Adam"].values[-1], rel=5e-3)
    assert repr(r) == "<Race: 3 optimizers on himmelblau, 60 steps>"
    assert repr(r["SGD"]).startswith("<Lane SGD: 10 steps on himmelblau, diverged")
    with pytest.raises(KeyError, match=r"has no 'adam'; it has .* Did you mean 'Adam'"):
        r["adam"]


@pytest.mark.parametrize("name", surfaces.SURFACES)
def test_every_optimizer_has_a_learning_rate_that_works_on_every_surface(name):
    r = race(name, ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "lion"], steps=60)
    for lane in r.lanes.values():
        assert lane.values[-1] < lane.values[0] and "diverged" not in lane.ending


def test_learning_rates_follow_from_curvature_and_size():
    assert default_lr("sgd", surfaces.quadratic(100)) == pytest.approx(
        min(0.5 / 100, 6 / 20 / math.hypot(2.5, 100)), rel=0.05)
    assert default_lr("adam", surfaces.himmelblau()) == 0.1
    assert default_lr("adadelta", surfaces.himmelblau()) == 1
    flat = surfaces.Surface(lambda w: (w**4).sum(), "flat", (0, 0))
    assert default_lr("sgd", flat) == pytest.approx(0.01 * 3)


def test_bad_input_is_refused_in_words():
    cases = [  # options, error, words
        (dict(surface="rosenbrok"), ValueError, "no surface 'rosenbrok'.* mean 'rosenbrock'"),
        (dict(optimizers=["adma"]), ValueError,
         "no optimizer 'adma'; there are sgd, .* mean 'adam"),
        (dict(optimizers=[]), ValueError, "no optimizers were given"),
        (dict(optimizers={}), ValueError, "no optimizers were given"),
        (dict(optimizers={"a": optim.Adam}, lr=1), TypeError, "lr is for optimizers given by name"),
        (dict(optimizers=[optim.Adam]), TypeError, "optimizers are names, or .* got <class"),
        (dict(optimizers={1: optim.Adam, "1": optim.SGD}), ValueError, "same label: 1, '1'"),
        (dict(optimizers={"a": 3}), TypeError, "'a' must be a function of a list of parameters"),
        (dict(optimizers={"a": lambda p: None}), TypeError, "must return an optimizer, got None"),
        (dict(optimizers={"a": lambda p: optim.SGD([mg.ones(2).requires_grad_()])}), ValueError,
         "has other parameters"),
        (dict(lr={"lion": 1}), ValueError, "an lr for 'lion', which does not take part"),
        (dict(lr=-1), ValueError, "lr of sgd must be a number above 0, got -1"),
        (dict(lr="fast"), ValueError, "lr of sgd must be a number"),
        (dict(steps=0), ValueError, "steps must be a whole number from 1 to 100,000, got 0"),
        (dict(steps=2.5), ValueError, "steps must be"),
        (dict(seed=-1), ValueError, "seed must be a whole number from 0 on"),
        (dict(noise=math.nan), ValueError, "noise must be a number of at least 0"),
        (dict(start=(9, 9)), ValueError, r"start \(9, 9\) is outside its domain"),
        (dict(surface=bowl), ValueError, r"a function needs a start: race\(bowl, ..., start="),
        (dict(surface=3), TypeError, "must be a name, a Surface or a function of a tensor, got"),
        (dict(surface=lambda w: w, start=(1, 1)), ValueError, r"one number, got shape \(2,\)"),
        (dict(surface=lambda w: w.log().sum(), start=(-1, 1)), ValueError,
         r"is nan at the start \(-1, 1\)"),
    ]
    for options, error, words in cases:
        with pytest.raises(error, match=words):
            race(**{"surface": "saddle", "steps": 2, **options})


# --- the picture ----------------------------------------------------------------------------------

def test_half_of_the_picture_lies_below_the_middle_level():
    for name in ("rosenbrock", "saddle", "ravine", "himmelblau"):
        s = surfaces.surface(name)
        _, _, heights = raceplot.grid(s)
        lines = raceplot.levels(heights, s.lowest)
        assert (np.diff(lines) > 0).all() and len(lines) == raceplot.LEVELS - 1
        share = (heights < lines[len(lines) // 2]).mean()
        assert 0.4 < share < 0.6
    assert len(raceplot.levels(np.full((3, 3), np.nan))) == 0
    assert raceplot.levels(np.full((3, 3), 2.0)).tolist() == [2.0]


def test_the_figure_shows_these_paths(tmp_path):
    pytest.importorskip("matplotlib")
    r = race("ravine", {**TWO, NASTY: lambda p: optim.SGD(p, lr=9)}, steps=70)
    figure = r.plot()
    left, right = figure.axes
    for label in TWO:
        assert any(np.array_equal(line.get_xydata(), r[label].points) for line in left.lines)
        assert any(np.array_equal(line.get_ydata(), r[label].values) for line in right.lines)
    assert left.get_xlim() == r.surface.domain[0] and right.get_yscale() == "log"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:2] == ["SGD  lr 0.05", "Adam  lr 0.1"] and "diverged" in texts[2]
    figure.savefig(tmp_path / "race.png")
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_heights_below_zero_have_a_linear_scale_without_what_is_far_outside():
    pytest.importorskip("matplotlib")
    r = race("saddle", ["sgd"], lr=0.3, steps=100)
    right = r.plot().axes[1]
    assert right.get_yscale() == "linear" and right.get_ylim()[0] > -3 > r["sgd"].values[-1]


def test_races_of_any_kind_can_be_shown():
    matplotlib = pytest.importorskip("matplotlib")
    assert matplotlib
    races = [race("beale", ["sgd"], lr=1e300, steps=5), race(bowl, ["sgd"], start=(0, 0), steps=2),
             race(lambda w: w[0].log() + w[1]**2, ["adam"], start=(1, 1), steps=30),
             race(lambda w: w.sum() * 0 + 1, ["sgd"], start=(1, 1), steps=2),
             race("quadratic", list(OPTIMIZERS), steps=1)]
    for r in races:  # the notebook form draws the picture
        assert racepage.page(r) and '<img alt="' in r._repr_mimebundle_()["text/html"]


def test_without_matplotlib_table_page_and_notebook_still_work(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    r = race("saddle", steps=5)
    with pytest.raises(ImportError, match=r"pip install matplotlib.*race.table\(\) and race.anim"):
        r.plot()
    assert r._repr_mimebundle_()["text/html"].startswith("<pre>saddle from")
    assert r.animate(tmp_path / "race.html").exists()
    with pytest.raises(Refusal, match="needs matplotlib"):
        racing.checked_output(SimpleNamespace(output=str(tmp_path / "race.png"), force=False))
