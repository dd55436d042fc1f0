"""Public checks of optimizers: right values by plain NumPy against the published digits and against
the reference; numbers of wrong formulas, written here once more, named."""

import numpy as np
import pytest

from minigrad.coursework.numbers.known_checks import check, checks, diagnose_number, found, printed
from minigrad.coursework.optimizers.mistakes import MISTAKES

RUNS = [name for name in checks() if check(name)["kind"] == "optimizer"]
W, DW = np.linspace(-0.4, 0.6, 20).reshape(4, 5), np.linspace(-0.6, 0.4, 20).reshape(4, 5)


# --- update rules, as their courses write them ---------------------------------------------------

def sgd(lr, wd=0.0):
    def step(w, g, s, t, k):
        return w - lr * (g + wd * w)
    return step


def momentum(lr, mu, form, wd=0.0):
    def step(w, g, s, t, k):
        g = g + wd * w
        new = {"sum": mu * s.get("u", 0) + g, "mean": mu * s.get("u", 0) + (1 - mu) * g,
               "inside": mu * s.get("u", 0) - lr * g}[form]
        s["u"] = new
        return w + new if form == "inside" else w - lr * new
    return step


def squares(lr, eps, gamma=None, inside=True):
    """Adagrad (gamma None) or RMSProp."""
    def step(w, g, s, t, k):
        old, new = (1, 1) if gamma is None else (gamma, 1 - gamma)
        s["v"] = old * s.get("v", 0) + new * g**2
        return w - lr * g / (np.sqrt(s["v"] + eps) if inside else np.sqrt(s["v"]) + eps)
    return step


def adam(lr=0.001, b1=0.9, b2=0.999, eps=1e-8, wd=0.0, wrong=None, decay=0.0):
    def step(w, g, s, t, k):
        g, w = g + wd * w, w - lr * decay * w
        first, second = (b2, b1) if wrong == "swapped" else (b1, b2)
        n = {"per parameter": (t - 1) * 4 + k + 1}.get(wrong, t)
        s["m"] = first * s.get("m", 0) + (1 - first) * g
        s["v"] = second * s.get("v", 0) + (1 - second) * g * g
        m, v = s["m"] / (1 - first**n), s["v"] / (1 - second**n)
        if wrong == "uncorrected":
            m, v = s["m"], s["v"]
        if wrong == "uncorrected, swapped":
            m = s["m"] = b2 * s.get("old", 0) + (1 - b2) * g
            v = s["v"] = b1 * s.get("sq", 0) + (1 - b1) * g * g
            s["old"], s["sq"] = m, v
        if wrong == "stored":
            s["m"], s["v"] = m, v
        if wrong == "inside":
            return w - lr * m / np.sqrt(v + eps)
        if wrong == "eps-hat":
            return w - lr * m / (np.sqrt(s["v"]) + eps) * np.sqrt(1 - second**n)
        return w - lr * m / (np.sqrt(v) + eps)
    return step


def run(step, weights, gradients, steps, t=1, states=None):
    """The weights and states after some steps; gradients(weights, i) gives those of step i."""
    weights, states = list(weights), states or [{} for _ in weights]
    for i in range(steps):
        given = gradients(weights, i)
        weights = [step(w, g, s, t + i, k)
                   for k, (w, g, s) in enumerate(zip(weights, given, states))]
    return weights, states


# --- the checks, once more -----------------------------------------------------------------------

def needle(step):
    """The loss of CMU 10-414's network in step 32."""
    np.random.seed(42)
    weights = []
    for i, o in ((64, 32), (32, 16)):
        for fan, shape in ((i, (i, o)), (o, (o, 1))):
            bound = np.sqrt(2) * np.sqrt(3 / fan)
            weights.append(np.random.rand(*shape) * 2 * bound - bound)
    weights[1::2] = [b.reshape(1, -1) for b in weights[1::2]]
    np.random.seed(1024 * 64 * 2)
    xs = np.random.randint(0, 100, size=(1024, 64)) / 20
    np.random.seed(1024)
    ys = np.random.randint(0, 16, size=1024)
    losses = []

    def gradients(weights, i):
        w1, b1, w2, b2 = weights
        x, y, rows = xs[32 * i:][:32], ys[32 * i:][:32], np.arange(32)
        hidden = np.maximum(x @ w1 + b1, 0)
        p = np.exp(hidden @ w2 + b2)
        p /= p.sum(1, keepdims=True)
        losses.append(-np.log(p[rows, y]).mean())
        p[rows, y] -= 1
        up = p / 32
        below = (up @ w2.T) * (hidden > 0)
        return x.T @ below, below.sum(0), hidden.T @ up, up.sum(0)

    run(step, weights, gradients, 32)
    return losses[-1]


def dlai(step, t=1):
    """The new parameters, and the states, of deeplearning.ai's check."""
    np.random.seed(1)
    shapes = {"W1": (2, 3), "b1": (2, 1), "W2": (3, 3), "b2": (3, 1)}
    weights = [np.random.randn(*shape) for shape in shapes.values()]
    gradients = [np.random.randn(*shape) for shape in shapes.values()]
    weights, states = run(step, weights, lambda *_: gradients, 1, t)
    found = dict(zip(shapes, weights))
    for name, state in zip(shapes, states):
        found |= {f"v[d{name}]": state.get("u", state.get("m")), f"s[d{name}]": state.get("v")}
    return found


def on_bowl(step, scale=(0.2, 4.0), steps=20):
    """d2l: 0.1 x1^2 + 2 x2^2 from (-5, -2)."""
    weights, _ = run(step, [-5.0, -2.0], lambda w, i: [scale[0] * w[0], scale[1] * w[1]], steps)
    return {"x1": weights[0], "x2": weights[1]}


def fitted(columns, ys, lr):
    """The Little Learner: least squares, 1000 revisions."""
    columns, ys = np.array(columns), np.array(ys)
    theta = np.zeros(len(columns))
    for _ in range(1000):
        theta = theta - lr * 2 * columns @ (theta @ columns - ys)
    return theta


def alone(step, start, slope, steps):
    (w,), _ = run(step, [np.float64(start)], lambda w, i: [slope(w[0])], steps)
    return w


def pseudo_model(step):
    def after(steps):
        return run(step, [np.ones((3, 2)), np.ones((3, 1))],
                   lambda *_: [np.ones((3, 2)) / 10, np.ones((3, 1)) / 10], steps)[0]
    return {f"{name}_{i}": after(i)[k] for i in (1, 2) for k, name in enumerate("Wb")}


def cs231n(rule):
    start = {k: np.linspace(*ends, 20).reshape(4, 5) for k, ends in {
        "u": (0.6, 0.9), "cache": (0.6, 0.9), "m": (0.6, 0.9), "v": (0.7, 0.5)}.items()}
    if rule == "adam":
        (w,), (s,) = run(adam(0.01), [W], lambda *_: [DW], 1, 6, [{**start}])
        return {"next_w": w, "m": s["m"], "v": s["v"]}
    if rule == "rmsprop":
        (w,), (s,) = run(squares(0.01, 1e-8, 0.99, inside=False), [W], lambda *_: [DW], 1, 1,
                         [{"v": start["cache"]}])
        return {"next_w": w, "cache": s["v"]}
    (w,), (s,) = run(momentum(0.001, 0.9, "inside"), [W], lambda *_: [DW], 1, 1, [{**start}])
    return {"next_w": w, "velocity": s["u"]}


LINE = [[2.0, 1.0, 4.0, 3.0], [1.0] * 4]
QUAD = [[1.0, 0, 1, 4, 9], [-1.0, 0, 1, 2, 3], [1.0] * 5]
PLANE = [[1.0, 1, 2, 2, 3, 4], [2.05, 3, 2, 3.91, 6.13, 8.09], [1.0] * 6]

def plane():
    theta = fitted(PLANE, [13.99, 15.99, 18.0, 22.4, 30.2, 37.94], 0.001)
    return {"w": theta[:2], "b": theta[2]}


def toward_30(theta):
    return 2 * (theta - 30)


DERIVED = {
    "cs231n/sgd_momentum": lambda: cs231n("momentum"),
    "cs231n/rmsprop": lambda: cs231n("rmsprop"), "cs231n/adam": lambda: cs231n("adam"),
    "cmu10414/sgd": lambda: {"loss": needle(sgd(0.01))},
    "cmu10414/sgd_momentum": lambda: {"loss": needle(momentum(0.01, 0.9, "mean"))},
    "cmu10414/sgd_weight_decay": lambda: {"loss": needle(sgd(0.01, 0.01))},
    "cmu10414/sgd_momentum_weight_decay":
        lambda: {"loss": needle(momentum(0.01, 0.9, "mean", 0.01))},
    "cmu10414/adam": lambda: {"loss": needle(adam())},
    "cmu10414/adam_weight_decay": lambda: {"loss": needle(adam(wd=0.01))},
    "cmu11785/sgd": lambda: pseudo_model(sgd(0.9)),
    "cmu11785/sgd_momentum": lambda: pseudo_model(momentum(0.9, 0.9, "sum")),
    "cmu11785/adam": lambda: pseudo_model(adam(0.001)),
    "cmu11785/adamw": lambda: pseudo_model(adam(0.001, decay=0.01)),
    "deeplearning.ai/gd": lambda: dlai(sgd(0.01)),
    "deeplearning.ai/momentum": lambda: dlai(momentum(0.01, 0.9, "mean")),
    "deeplearning.ai/adam": lambda: dlai(adam(0.01, wrong="inside"), 2),
    "deeplearning.ai/adam_eps_1e-2": lambda: dlai(adam(0.02, 0.8, 0.888, 1e-2), 2),
    "d2l/gd_1d": lambda: {"x": alone(sgd(0.2), 10, lambda x: 2 * x, 10)},
    "d2l/gd_1d_small_lr": lambda: {"x": alone(sgd(0.05), 10, lambda x: 2 * x, 10)},
    "d2l/gd_1d_diverging": lambda: {"x": alone(sgd(1.1), 10, lambda x: 2 * x, 10)},
    "d2l/gd": lambda: on_bowl(sgd(0.1), (2.0, 4.0)),
    "d2l/gd_ill_conditioned": lambda: on_bowl(sgd(0.4)),
    "d2l/gd_diverging": lambda: on_bowl(sgd(0.6)),
    "d2l/momentum": lambda: on_bowl(momentum(0.6, 0.5, "sum")),
    "d2l/momentum_0.25": lambda: on_bowl(momentum(0.6, 0.25, "sum")),
    "d2l/adagrad": lambda: on_bowl(squares(0.4, 1e-6)),
    "d2l/adagrad_lr_2": lambda: on_bowl(squares(2, 1e-6)),
    "d2l/rmsprop": lambda: on_bowl(squares(0.4, 1e-6, 0.9)),
    "little-learner/line":
        lambda: dict(zip("wb", fitted(LINE, [1.8, 1.2, 4.2, 3.3], 0.01))),
    "little-learner/quad":
        lambda: dict(zip("abc", fitted(QUAD, [2.55, 2.1, 4.35, 10.2, 18.25], 0.001))),
    "little-learner/plane": plane,
    "little-learner/naked": lambda: {"theta": alone(sgd(0.01), 3, toward_30, 500)},
    "little-learner/velocity":
        lambda: {"theta": alone(momentum(0.01, 0.9, "inside"), 3, toward_30, 70)},
    "little-learner/rms":
        lambda: {"theta": alone(squares(0.1, 1e-8, 0.999, inside=False), 3, toward_30, 170)},
    "little-learner/adam":
        lambda: {"theta": alone(adam(0.1, eps=1e-7, wrong="uncorrected"), 3, toward_30, 150)},
}


def test_every_check_is_derived_here():
    assert set(DERIVED) == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_published_digits_are_derived_twice(name):
    facts, derived = check(name), DERIVED[name]()
    for quantity, texts in facts["published"].items():
        values, tolerances = printed(texts)
        ours = np.ravel(derived[quantity])
        assert np.all(np.abs(ours - values) <= tolerances + 2e-15 * np.abs(values)), quantity
    for quantity, value in derived.items():
        if quantity in facts["right"]:
            np.testing.assert_allclose(facts["right"][quantity], np.reshape(
                value, np.shape(facts["right"][quantity])), rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("name", RUNS)
def test_published_right_numbers_are_correct(name):
    for quantity, texts in check(name)["published"].items():
        assert diagnose_number(name, quantity, texts, most=0).verdict == "correct", quantity


def test_printed_errors_of_right_code_come_out_digit_for_digit():
    for name, quantity, error in [("cs231n/adam", "next_w error", 1.1395691798535431e-07),
                                  ("cs231n/rmsprop", "next_w error", 9.524687511038133e-08),
                                  ("cs231n/sgd_momentum", "velocity error", 4.269287743278663e-09)]:
        assert float(check(name)["right"][quantity]) == pytest.approx(error, rel=1e-6)
        assert diagnose_number(name, quantity, error).verdict == "correct"


# --- wrong numbers -------------------------------------------------------------------------------

@pytest.mark.parametrize("wrong, number, id", [
    ("uncorrected", 2.831685, "no-bias-correction"), ("per parameter", 3.405221, "t-per-parameter"),
    ("swapped", 4.023173, "betas-swapped"), ("stored", 6.222660, "corrected-moments-stored"),
    ("inside", 3.705202, "eps-inside-sqrt")])
def test_one_scalar_after_32_steps_names_the_mistake(wrong, number, id):
    assert needle(adam(wrong=wrong)) == pytest.approx(number, abs=6e-7)
    diagnosis = diagnose_number("cmu10414/adam", "loss", f"{number:.6f}")
    assert diagnosis.causes == (id,) and diagnosis.verdict == "mistake"
    assert diagnosis.gives == pytest.approx(number, abs=1e-6)


def test_the_number_of_missing_bias_correction():
    diagnosis = diagnose_number(check="cs231n/adam", quantity="next_w error", number=0.2072)
    assert diagnosis.causes == ("no-bias-correction",)
    assert ("adam/uncorrected",) in diagnosis.ties
    first = diagnosis.first_difference
    assert first.quantity == "next_w error" and first.got == 0.2072 and first.expected < 1e-6
    assert diagnosis.residual < 5e-5


def relative(x, y):
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


M, V = 0.9 * np.linspace(0.6, 0.9, 20).reshape(4, 5) + 0.1 * DW, (
    0.999 * np.linspace(0.7, 0.5, 20).reshape(4, 5) + 0.001 * DW**2)
C1, C2 = 1 - 0.9**6, 1 - 0.999**6


@pytest.mark.parametrize("next_w, id", [
    (W - 0.01 * (M / 0.1) / (np.sqrt(V / 0.001) + 1e-8), "correction-without-power"),
    (W + 0.01 * (M / C1) / (np.sqrt(V / C2) + 1e-8), "ascent"),
    (W - 0.01 * (M / C1) / (V / C2 + 1e-8), "missing-sqrt"),
    (W - 0.01 * DW / (np.sqrt(V / C2) + 1e-8), "numerator-is-gradient"),
    (W - 0.01 * (M / (1 - 0.9**5)) / (np.sqrt(V / (1 - 0.999**5)) + 1e-8), "t-starts-at-zero"),
    (W - 0.01 * (M / C1) / (np.sqrt(V) + 1e-8), "bias-correction-only-m"),
    (W - 0.01 * M / (np.sqrt(V / C2) + 1e-8), "bias-correction-only-v"),
    (W - (M / C1) / (np.sqrt(V / C2) + 1e-8), "lr-missing")])
def test_cs231n_adam_errors(next_w, id):
    right = np.round(W - 0.01 * (M / C1) / (np.sqrt(V / C2) + 1e-8), 8)
    for digits in ("{:.4f}", "{!r}"):
        number = digits.format(float(relative(next_w, right)))
        diagnosis = diagnose_number("cs231n/adam", "next_w error", number)
        assert (id,) in (diagnosis.causes, *diagnosis.ties), (number, diagnosis)
    diagnosis = diagnose_number("cs231n/adam", "next_w[2, 3]", f"{next_w[2, 3]:.8f}")
    assert (id,) in (diagnosis.causes, *diagnosis.ties)


@pytest.mark.parametrize("name, step, id", [
    ("d2l/momentum", momentum(0.6, 0.5, "mean"), "momentum-averaged"),
    ("d2l/adagrad", squares(0.4, 1e-6, 0.9), "averages-instead-of-accumulating"),
    ("d2l/rmsprop", squares(0.4, 1e-6), "accumulates-instead-of-averaging")])
def test_d2l_trajectories_of_wrong_rules(name, step, id):
    wrong = on_bowl(step)
    diagnosis = diagnose_number(name, {q: f"{x:.6f}" for q, x in wrong.items()})
    assert (id,) in (diagnosis.causes, *diagnosis.ties), diagnosis


def test_the_published_adam_of_the_first_notebook_has_eps_under_the_root():
    outside = dlai(adam(0.01), 2)["W2"]
    assert f"{outside[2, 1]:.8f}" == "-1.09244991"
    assert diagnose_number("dlai/adam", "W2[2, 1]", "-1.09245036").verdict == "correct"
    diagnosis = diagnose_number("dlai/adam", "W2[2][1]", "-1.09244991")
    assert diagnosis.verdict == "convention" and diagnosis.causes == ("adam/torch",)
    assert ("eps-outside-sqrt",) in diagnosis.ties and len(diagnosis.ties) < 4


def test_a_pair_is_named_where_no_single_mistake_fits():
    m = 0.9 * np.linspace(0.6, 0.9, 20).reshape(4, 5) + DW  # not averaged, not corrected
    next_w = W - 0.01 * m / (np.sqrt(V) + 1e-8)
    diagnosis = diagnose_number("cs231n/adam", {"next_w[0, 0]": f"{next_w[0, 0]:.8f}",
                                                "next_w[3, 1]": f"{next_w[3, 1]:.8f}"})
    pair = {"first-moment-not-averaged", "no-bias-correction"}
    assert any(set(ids) == pair for ids in (diagnosis.causes, *diagnosis.ties)), diagnosis


@pytest.mark.parametrize("name, quantity", [
    ("cs231n/sgd_momentum", "next_w error"), ("deeplearning.ai/momentum", "W1"),
    ("d2l/rmsprop", "x1"), ("little-learner/velocity", "theta"), ("cs231n/rmsprop", "cache error")])
def test_every_single_mistake_that_shows_is_among_the_answers(name, quantity):
    known = found(name)
    _, singles = known.levels(1)
    for (id,), one in singles:
        try:
            value = known.outcomes(one)[0](quantity)
        except ValueError:  # one state for parameters of two shapes
            continue
        if np.all(np.isfinite(value)) and id in MISTAKES:
            text = " ".join(f"{x:.9g}" for x in np.ravel(value))
            diagnosis = diagnose_number(name, quantity, text)
            assert diagnosis.right or (id,) in (diagnosis.causes, *diagnosis.ties), id


def test_a_pair_is_named_after_32_steps_of_a_network():
    number = f"{needle(adam(wrong='uncorrected, swapped')):.6f}"
    diagnosis = diagnose_number("cmu10414/adam", "loss", number)
    assert {"no-bias-correction", "betas-swapped"} in map(set, (diagnosis.causes, *diagnosis.ties))


@pytest.mark.parametrize("wrong, id", [
    ("swapped", "betas-swapped"), ("uncorrected", "no-bias-correction")])
def test_a_mistake_in_either_formula_of_a_course_is_one_mistake(wrong, id):
    """deeplearning.ai's text has eps outside of the root, its published digits have it inside."""
    new = dlai(adam(0.01, wrong=wrong), 2)
    diagnosis = diagnose_number("dlai/adam", {q: str(new[q]) for q in ("W1", "b2")})
    assert diagnosis.causes == (id,) and diagnosis.verdict == "mistake", diagnosis
    assert not any("eps" in rule for rule, _ in diagnosis.lines)


@pytest.mark.parametrize("spelling", ["next_w_error", "next_w  error:", "'next_w error'"])
def test_a_quantity_may_be_spelled_as_people_do(spelling):
    assert diagnose_number("cs231n/adam", spelling, 0.2072).causes == ("no-bias-correction",)


def test_an_unknown_number_is_unknown():
    diagnosis = diagnose_number("cs231n/rmsprop", "next_w error", "0.123456789")
    assert diagnosis.verdict == "unknown" and diagnosis.causes == ()
    assert diagnosis.residual == pytest.approx(0.123456789, abs=1e-6)
    assert "No known mistake" in str(diagnosis)


def test_nan_is_what_a_count_from_zero_gives():
    diagnosis = diagnose_number("cmu10414/adam", "loss", "nan")
    assert ("t-starts-at-zero",) in (diagnosis.causes, *diagnosis.ties)
    assert diagnose_number("cs231n/adam", "v[0, 0]", float("inf")).verdict == "unknown"


def test_a_right_number_tells_what_it_cannot_see():
    diagnosis = diagnose_number("cs231n/adam", "next_w error", "1.1e-7")
    assert diagnosis.right and diagnosis.causes == () and diagnosis.hint("formula")
    assert {"t-per-parameter", "eps-missing"} <= set(diagnosis.unseen)


def test_reports_and_hints_fit_a_terminal():
    diagnosis = diagnose_number("cs231n/adam", "next_w error", 0.2072)
    assert all(len(line) <= 80 for line in str(diagnosis).splitlines())
    assert "next_w error" in diagnosis.hint() and "no-bias" not in diagnosis.hint()
    assert "starts at 0" in diagnosis.hint("concept")
    assert "m_hat = m" not in diagnosis.hint("concept")
    assert "m_hat = m" in diagnosis.hint("formula")


def test_a_pair_that_fits_few_digits_says_so():
    few = diagnose_number("cs231n/adam", "next_w error", "0.193")
    more = diagnose_number("cs231n/adam", "next_w error", "0.193242009")
    assert len(few.causes) == len(more.causes) == 2
    assert few.vague and "so few digits" in str(few) and not more.vague


def test_a_notebook_shows_the_report():
    diagnosis = diagnose_number("cs231n/adam", "next_w error", 0.2072)
    assert repr(diagnosis) == str(diagnosis) == diagnosis._repr_mimebundle_()["text/plain"]
    assert "no-bias-correction" in diagnosis._repr_mimebundle_()["text/html"]


def test_messages():
    with pytest.raises(ValueError, match="did you mean 'cs231n/adam'"):
        diagnose_number("cs231n/adm", "next_w error", 1)
    with pytest.raises(ValueError, match="did you mean 'next_w'"):
        diagnose_number("cs231n/adam", "nxt_w", 1)
    with pytest.raises(ValueError, match="it has next_w"):
        diagnose_number("cs231n/adam", "w", 1)
    with pytest.raises(ValueError, match="give a number"):
        diagnose_number("cs231n/adam", "next_w error", "x")
    with pytest.raises(ValueError, match=r"shape \(4, 5\).*next_w\[0, 0\]"):
        diagnose_number("cs231n/adam", "next_w", "0.25")
    with pytest.raises(ValueError, match="outside"):
        diagnose_number("cs231n/adam", "next_w[4, 0]", "0.25")
    with pytest.raises(ValueError, match="there are little-learner/line, .*little-learner/adam"):
        diagnose_number("tll/quadratic equation", "a", 1)
    with pytest.raises(ValueError, match="lists all"):
        diagnose_number("nowhere", "a", 1)
    with pytest.raises(ValueError, match="20 numbers, 2 were given"):
        diagnose_number("cs231n/adam", "next_w", [0.1, 0.2])
