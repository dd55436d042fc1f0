"""One update explained: every number against PyTorch's states, NumPy transcriptions and the printed
digits themselves; and rules that a user may write.
"""

import functools
import re

import numpy as np
import pytest

import minigrad
from minigrad.optim import rules
from minigrad.optim.explaining import explained
from minigrad.optim.notation import NOTATIONS
from minigrad.optim.reading import Update
from updates import VARIANTS, label, single, update, updates

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}), ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adagrad", {"lr_decay": 0.1}), ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("RMSprop", {}), ("Adam", {"lr": 0.01}), ("Adam", {"weight_decay": 0.1, "maximize": True}),
    ("Adam", {"amsgrad": True}), ("AdamW", {"lr": 0.01}), ("AdamW", {"amsgrad": True}),
    ("Adadelta", {}), ("Adamax", {}), ("NAdam", {"weight_decay": 0.1}), ("RAdam", {}),
    ("Rprop", {})]
TORCH_STATES = {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq", "G": "sum",
                "b": "momentum_buffer", "mu_product": "mu_product"}
OTHER_STATES = {"RMSprop": {"v": "square_avg", "m": "grad_avg", "b": "momentum_buffer"},
                "Adadelta": {"v": "square_avg", "u": "acc_delta"}, "Adamax": {"u": "exp_inf"},
                "Rprop": {"previous": "prev", "size": "step_size"}}


# --- the numbers ---------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("rule, options, modifiers", VARIANTS, ids=label)
def test_weights_and_states_are_those_of_the_rule_to_the_bit(rule, options, modifiers, dtype):
    names = rules.anatomy(rule).states
    for now, after in updates(rule, dtype=dtype, modifiers=modifiers, **options):
        with np.errstate(all="ignore"):
            _, *states = rules.update(rule, now.w, now.grad, list(now.states.values()), now.t,
                                      now.hyperparameters, **modifiers)
        for index in ((2, 3), (0, 1)):
            shown = explained(now, index)
            assert shown.lines and not shown.notes
            assert shown.after == after[index] == shown.values["w"]
            assert shown.after.dtype == dtype
            assert shown.delta == after[index] - now.w[index]
            for name, state in zip(names, states):
                expected = state[index] if isinstance(state, np.ndarray) else state
                assert shown.values[name] == expected, name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind, options", OPTIMIZERS, ids=label)
def test_values_are_those_of_the_optimizer_and_of_pytorch(kind, options, dtype, doubles):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(5)
    start = [random.normal(size=shape).astype(dtype) for shape in ((2, 3), (5,))]
    ours = [minigrad.tensor(a.copy(), requires_grad=True) for a in start]
    theirs = [torch.tensor(a.copy(), requires_grad=True) for a in start]
    optimizer = getattr(minigrad.optim, kind)(ours, **options)
    reference = getattr(torch.optim, kind)(theirs, **options)
    names = {**TORCH_STATES, **OTHER_STATES.get(kind, {})}
    rtol = 1e-11 if dtype == "float64" else 2e-5
    for step in range(1, 7):
        for p, q in zip(ours, theirs):
            g = random.normal(size=p.shape).astype(dtype)
            p.grad, q.grad = minigrad.tensor(g), torch.tensor(g)
        rule, values, modifiers = optimizer.settings(optimizer.param_groups[0])
        p = ours[0]
        states = {name: np.copy(s) if isinstance(s, np.ndarray) else s
                  for name, s in optimizer.state[p].items() if name != "step"}
        now = Update("p", kind, rule, step, step, p.numpy().copy(), p.grad.numpy().copy(), states,
                     dict(values), dict(modifiers))
        optimizer.step()
        reference.step()
        shown = explained(now, (1, -1))
        assert shown.after == p.numpy()[1, 2] == shown.values["w"]
        assert float(shown.after) == pytest.approx(theirs[0][1, 2].item(), rel=rtol)
        kept = reference.state[theirs[0]]
        for name in rules.anatomy(rule).states:
            if names[name] in kept and kept[names[name]] is not None:
                state = kept[names[name]]
                state = state[1, 2].item() if state.ndim else state.item()
                assert float(shown.values[name]) == pytest.approx(state, rel=rtol), name


@pytest.mark.parametrize("dtype", [float, np.float32])
def test_every_quantity_of_adam_against_a_transcription(dtype):
    m = v = 0.0
    for now, _ in updates(rules.adam, dtype=dtype, lr=0.01, modifiers={"weight_decay": 0.1}):
        w, g = float(now.w[1, 2]), float(now.grad[1, 2]) + 0.1 * float(now.w[1, 2])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        m_hat, v_hat = m / (1 - 0.9**now.t), v / (1 - 0.999**now.t)
        expected = {"g": g, "m": m, "v": v, "m_hat": m_hat, "v_hat": v_hat,
                    "denominator": v_hat**0.5 + 1e-8, "step": 0.01 * m_hat / (v_hat**0.5 + 1e-8)}
        expected["w"] = w - expected["step"]
        values = explained(now, (1, 2)).values
        for name, number in expected.items():
            assert float(values[name]) == pytest.approx(number, rel=1e-12 if dtype is float else
                                                        1e-5), name


@pytest.mark.parametrize("shape, index", [((), ()), ((1,), 0), ((4,), -1), ((2, 3, 2), (1, -3, 0))])
@pytest.mark.parametrize("rule", [rules.adam, rules.nadam, rules.sgd], ids=label)
def test_parameters_of_every_number_of_dimensions(rule, shape, index):
    for now, after in updates(rule, shape=shape):
        shown = explained(now, index)
        assert shown.after == after[index] and shown.lines
        assert len(shown.title.split("]")[0].split(", ")) == max(1, len(shape)) or not shape


def test_an_explanation_changes_nothing():
    def hasty(w, g, m, *, lr=0.1):
        m *= 0.9
        m += g
        w -= lr * m
        return w, m
    now = update(rules.adam)
    now.rule, now.states = hasty, {"m": now.states["m"]}
    now.hyperparameters = {"lr": 0.1}
    kept = now.w.copy(), now.grad.copy(), now.states["m"].copy()
    shown = explained(now, (0, 0))
    for array, before in zip((now.w, now.grad, now.states["m"]), kept):
        assert np.array_equal(array, before)
    assert shown.after == kept[0][0, 0] - 0.1 * (kept[2][0, 0] * 0.9 + kept[1][0, 0])
    assert [line.target for line in shown.lines] == ["m", "m", "w"]


# --- the printed arithmetic ----------------------------------------------------------------------

NAMES = {"np": np, "nan": np.nan, "inf": np.inf, "__builtins__": {}, "max": max}


def significant(text):
    return len(re.sub(r"e.*", "", text).lstrip("-0.").replace(".", "")) or 1


@pytest.mark.parametrize("dtype", [float, np.float32])
@pytest.mark.parametrize("rule, options, modifiers", VARIANTS, ids=label)
def test_what_is_printed_computed_again_is_what_is_printed(rule, options, modifiers, dtype):
    checked = 0
    for now, _ in updates(rule, dtype=dtype, modifiers=modifiers, seed=8, **options):
        for line in explained(now, (1, 1)).lines:
            assert not line.note or dtype is np.float32, line
            if not line.substituted or line.note:
                continue
            value = eval(line.substituted, NAMES)
            if not line.target:
                assert value == line.value, line
                continue
            # Trailing zeros are not printed, so four digits may look like fewer.
            assert f"{value:.{max(4, significant(line.shown))}g}" == line.shown, line
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("rule, options, modifiers", VARIANTS, ids=label)
def test_no_line_is_wider_than_80_columns_and_all_is_ascii(rule, options, modifiers):
    for now, _ in updates(rule, modifiers=modifiers, **options):
        for notation in (None, *NOTATIONS):
            text = str(explained(now, (2, 3), notation))
            assert max(map(len, text.splitlines())) <= 80
            assert text.isascii()


def test_the_lines_of_adam_are_its_source_with_numbers():
    now = single(rules.adam, 0.5, -0.4, {"m": 0.0123, "v": 0.01}, t=2)
    assert str(explained(now, 0)) == """\
w[0], step 2: adam, lr 0.001
rule adam: Kingma and Ba 2015, Algorithm 1; slide equations (11) to (15);
torch.optim.Adam.

given  w = 0.5   g = -0.4   m = 0.0123   v = 0.01

m = beta1 * m + (1 - beta1) * g
  = 0.9 * 0.0123 + 0.1 * -0.4 = -0.02893                              slide (11)
v = beta2 * v + (1 - beta2) * (g * g)
  = 0.999 * 0.01 + 0.001 * (-0.4 * -0.4) = 0.01015                    slide (13)
m_hat = m / (1 - beta1**t) = -0.02893 / 0.19 = -0.1523                slide (14)
v_hat = v / (1 - beta2**t) = 0.01015 / 0.001999 = 5.078               slide (14)
denominator = np.sqrt(v_hat) + eps = np.sqrt(5.078) + 1e-08 = 2.253
step = lr * m_hat / denominator = 0.001 * -0.15226 / 2.2533 = -6.757e-05
w = w - step = 0.5 - -6.757e-05 = 0.500068                            slide (15)

delta = 6.757e-05, from 0.5 to 0.500068"""


def test_only_the_branches_taken_are_shown_and_why():
    first = explained(single(rules.momentum, 1.0, 2.0, t=1), 0).lines[0]
    assert (first.source, first.because, first.shown) == ("g", "t == 1", "2")
    later = explained(single(rules.momentum, 1.0, 2.0, {"b": 4.0}, t=2), 0).lines[0]
    assert (later.source, later.because) == ("momentum * b + (1 - dampening) * g", "t != 1")
    assert later.substituted == "0.9 * 4 + 1 * 2"
    adagrad = explained(single(rules.adagrad, 1.0, 2.0, t=1), 0).lines
    assert [line.because for line in adagrad] == ["t == 1", "", "(eps_inside_sqrt=False)", "", ""]
    radam = explained(single(rules.radam, 1.0, 2.0, {"m": 1.0, "v": 1.0}, t=1), 0).lines
    assert [line.source for line in radam if not line.target] == ["rho <= 5"]
    radam = explained(single(rules.radam, 1.0, 2.0, {"m": 1.0, "v": 1.0}, t=50), 0).lines
    assert [line.source for line in radam if not line.target] == ["rho > 5"]


def test_modifiers_come_first_as_rules_update_applies_them():
    now = single(rules.sgd, 2.0, 3.0, modifiers={"maximize": True, "weight_decay": 0.1}, lr=0.5)
    lines = explained(now, 0).lines
    assert [(line.target, line.source, line.shown) for line in lines] == [
        ("g", "-g", "-3"), ("g", "g + weight_decay * w", "-2.8"), ("step", "lr * g", "-1.4"),
        ("w", "w - step", "3.4")]
    now = single(rules.sgd, 2.0, 3.0, modifiers={"weight_decay": 0.1, "decay_rate": 0.5}, lr=0.5)
    line = explained(now, 0).lines[0]
    assert (line.target, line.source) == ("w", "w * (1 - decay_rate * weight_decay)")
    assert (line.substituted, line.shown, line.equation) == (
        "2 * (1 - 0.5 * 0.1)", "1.9", "slide (16)")


def test_small_steps_show_the_digits_that_change():
    shown = explained(single(rules.sgd, 0.123456789, 1e-6), 0)
    assert shown.lines[-1].shown == "0.123456788"
    assert str(shown).endswith("delta = -1e-09, from 0.123456789 to 0.123456788")


def test_a_number_that_float32_rounding_decides_is_marked():
    now = single(rules.rmsprop, 1.0, 1.0, {"v": 1.0, "m": 1.0, "b": 0.0}, dtype=np.float32,
                 centered=True, alpha=0.999)
    lines = {line.target: line for line in explained(now, 0).lines}
    assert lines["variance"].value == np.float32(lines["v"].value - lines["m"].value ** 2)


# --- rules of the user's -------------------------------------------------------------------------

HALF = 0.5


def halved(x):
    return x * HALF


def blended(old, new, beta):
    mixed = beta * old + (1 - beta) * new
    return mixed


def normalized(p, dp, vel, t, *, lr=0.1, mu=0.9):
    """Steps of one length."""
    vel = blended(vel, dp, mu)
    dp = halved(dp)
    if t == 1 and mu > 0:
        vel += dp
    length = np.sqrt((vel * vel).sum())
    return p - lr * vel / length, vel


def looped(w, g, m, *, lr=0.1):
    for weight in (1.0, 0.5):
        m = m + weight * g
    a, *rest = w.shape
    gram = m @ m.T
    out = (w - lr * m, m)
    return out


def early(w, g, *, lr=0.1):
    for factor in (1, 2):
        if factor == 2:
            return w - lr * g


def doubled(rule):
    @functools.wraps(rule)
    def inner(w, g, *, lr=0.1):
        w, = rule(w, g, lr=lr)
        return (2 * w,)
    return inner


@doubled
def disguised(w, g, *, lr=0.1):
    return (w - lr * g,)


def greek(w, g, größe, *, λ=0.1):
    größe = größe + g
    return w - λ * größe, größe


class Callable:
    def __call__(self, w, g, *, lr=0.1):
        return w - lr * g


MINE = [normalized, looped, early, disguised, greek, Callable(), lambda w, g, *, lr=0.1: w - lr * g,
        functools.partial(normalized, lr=0.3)]


@pytest.mark.parametrize("rule", MINE, ids=lambda rule: getattr(rule, "__name__", "object"))
def test_any_rule_is_explained_with_the_numbers_it_gave(rule):
    for now, after in updates(rule, modifiers={"maximize": True, "weight_decay": 0.1}):
        shown = explained(now, (2, -1))
        assert shown.after == after[2, 3]
        assert str(shown) and shown.latex() and shown.why == []
        assert max(map(len, str(shown).splitlines())) <= 80
        assert all(not line.equation for line in shown.lines)


def test_a_users_names_helpers_and_constants_are_kept():
    lines = explained(update(normalized, steps=2), (0, 0), "slides").lines
    found = [(line.target, line.source, line.note) for line in lines]
    assert found == [
        ("mixed", "beta * old + (1 - beta) * new", "in blended"), ("vel", "mixed", ""),
        ("dp", "dp * HALF", ""),
        ("length", "np.sqrt((vel * vel).sum())", ""), ("p", "p - lr * vel / length", "")]
    first = explained(update(normalized, steps=1, modifiers={"maximize": True}), (0, 0)).lines
    assert ("dp", "-dp") == (first[0].target, first[0].source)
    assert [line.source for line in first if not line.target] == ["t == 1 and mu > 0"]


def test_loops_are_run_as_a_whole_and_show_results():
    now = update(looped, steps=1)
    lines = explained(now, (0, 0)).lines
    m = next(line for line in lines if line.target == "m")
    assert m.value == now.grad[0, 0] + 0.5 * now.grad[0, 0]
    assert m.note == "for weight in (1.0, 0.5)"
    assert any(row.startswith("m_t &=") for line in lines for row in line.latex)
    gram = next(line for line in lines if line.target == "gram")
    assert gram.shown == "array of shape (3, 3)"
    assert lines[-1].target == "w"


def test_parts_that_are_overwritten_show_the_result():
    def masked(w, g, *, lr=0.1, strict=False):
        if not strict:
            step = lr * g
        step[g < 0] = 0.0
        return w - step
    for now, after in updates(masked):
        shown = explained(now, (0, 0))
        assert [(line.target, line.source) for line in shown.lines] == [
            ("", "strict=False"), ("step", "lr * g"), ("step", ""), ("w", "w - step")]
        assert shown.values["step"] == max(0.0, 0.1 * now.grad[0, 0])
        assert shown.lines[2].note == "step[g < 0] = 0.0" and shown.after == after[0, 0]
    strict = Update(**{**vars(now), "hyperparameters": {"lr": 0.1, "strict": True}})
    with pytest.raises(UnboundLocalError):
        explained(strict, (0, 0))


def test_the_opposite_of_a_condition_is_said_where_it_failed():
    def switched(w, g, *, lr=0.1, sign=True, depth=3):
        if not sign:
            step = lr * g
        elif depth < 2:
            step = g
        else:
            step = lr * np.sign(g)
        return w - step
    lines = explained(update(switched), (0, 0)).lines
    assert [(line.source, line.substituted) for line in lines[:2]] == [
        ("sign=True", ""), ("depth >= 2", "3 >= 2")]


def test_rules_without_lines_say_why():
    for rule, words in [(early, "inside a 'for' block"), (disguised, "another result")]:
        shown = explained(update(rule), (0, 0))
        assert shown.lines == [] and words in " ".join(str(shown).split())
        assert shown.values["w"] == shown.after
    names = {"np": np}
    exec("def typed(w, g, m, *, lr=0.1):\n    m = m + g\n    return w - lr * m, m", names)
    shown = explained(update(names["typed"]), (0, 0))
    assert "source" in str(shown) and set(shown.values) == {"w", "m"}


def test_strange_names_survive_every_form():
    now = update(rules.adam)
    now.name, now.kind = '</script><b>"x"', "K<i>"
    shown = explained(now, (0, 0))
    page = shown._repr_mimebundle_()
    assert set(page) == {"text/plain", "text/html"}
    assert "<b>" not in page["text/html"] and "&lt;b&gt;" in page["text/html"]
    assert repr(shown) == str(shown) == page["text/plain"]
    assert "größe" in explained(update(greek), (0, 0)).latex()


# --- words that a beginner believes --------------------------------------------------------------

@pytest.mark.parametrize("rule, w, g, options, modifiers", [
    (rules.lion, -1.9999, -0.004, {"lr": 1e-4}, {}),
    (rules.lion, -1.9999, -0.004, {"lr": 1e-4, "weight_decay": 1e-3}, {}),
    (rules.adam, -1.99898, -0.004, {}, {"weight_decay": 1e-2, "decay_rate": 1e-3}),
    (rules.sgd, 3.000001, 1e-9, {"lr": 1.0}, {"weight_decay": 1e-12, "decay_rate": 1.0}),
])
def test_every_line_of_the_weight_begins_with_the_weight_it_was_given(rule, w, g, options,
                                                                      modifiers):
    now = single(rule, w, g, t=1, modifiers=modifiers, **options)
    now.grad = np.array([g])
    shown = explained(now, 0)
    lines = [line for line in shown.lines if line.target == "w"]
    assert len(lines) == 2
    left = w  # what a reader carries from line to line
    for line in lines:
        first = float(line.substituted.split(" ")[0])
        assert abs(first - left) <= 0.51 * abs(shown.delta)
        assert eval(line.substituted, {"np": np}) == pytest.approx(float(line.shown), rel=1e-4)
        left = float(line.shown)
    assert shown.after == pytest.approx(left, abs=0.51 * abs(shown.delta))


def test_the_decay_shows_both_its_factors():
    now = single(rules.adam, 2.0, 3.0, modifiers={"weight_decay": 1e-2, "decay_rate": 1e-3})
    shown = explained(now, 0)
    assert shown.lines[0].substituted == "2 * (1 - 0.001 * 0.01)"
    assert float(shown.lines[0].shown) == pytest.approx(2 * (1 - 1e-5), rel=1e-5)
    assert r"\left(1 - 0.001 \cdot 0.01\right)" in shown.latex()
    lines = explained(single(rules.adam, 2.0, 3.0, t=2), 0).lines
    assert lines[0].substituted.endswith("0.1 * 3")  # 1 - beta1 is one number as before


def test_adamw_is_headed_by_itself_and_both_its_sources():
    w = minigrad.tensor([1.0], requires_grad=True)
    optimizer = minigrad.optim.AdamW([w])
    (w * w).sum().backward()
    optimizer.step()
    title, *about = str(optimizer.explain(w, 0)).partition("\n\n")[0].split("\n")
    about = " ".join(about)
    assert "AdamW" in title and about.startswith("AdamW is decoupled decay, then the rule adam.")
    for source in ("Loshchilov, Hutter 2019", "slide equation (16)", "torch.optim.AdamW",
                   "Kingma and Ba 2015", "(11) to (15)"):
        assert source in about
    for rule, modifiers in ((rules.adam, {}), (rules.adam, {"weight_decay": 0.1})):
        assert "decoupled" not in explained(single(rule, 1.0, 1.0, modifiers=modifiers), 0).about


def test_options_are_said_by_their_values():
    now = single(rules.amsgrad, 1.0, 2.0)
    text = str(explained(now, 0))
    assert "slide (14) (convention='torch')" in text and "!=" not in text
    assert "(eps_inside_sqrt=True)" in str(
        explained(single(rules.adagrad, 1.0, 2.0, eps_inside_sqrt=True), 0))
    assert "as t == 1" in str(explained(single(rules.momentum, 1.0, 2.0, t=1), 0))
    text = str(explained(single(rules.rmsprop, 1.0, 2.0), 0))
    assert "since momentum == 0\n" in text and "0 == 0" not in text


def test_an_option_beside_a_condition():
    def both(w, g, t, *, lr=0.1, mode="fast", deep=None):
        step = (g if t == 1 else 2 * g) if mode == "fast" else lr * g
        again = step if deep is None else 0 * step
        return w - again
    lines = explained(update(both), (0, 0)).lines
    assert [line.because for line in lines][:2] == ["mode='fast' and t != 1", "(deep=None)"]


# --- bad input -----------------------------------------------------------------------------------

@pytest.mark.parametrize("index", [(3, 0), (0, 4), (-4, 0), 0, (0,), (0, 0, 0), ()])
def test_an_index_the_parameter_does_not_have_is_refused_by_name(index):
    with pytest.raises(IndexError, match=r"net.0.weight has shape \(3, 4\).*" + re.escape(
            repr(index))):
        explained(update(rules.adam), index)


@pytest.mark.parametrize("index", ["a", 1.5, (slice(None), 0), (0, 1.0)])
def test_an_index_that_is_none_is_refused(index):
    with pytest.raises(TypeError, match="net.0.weight has shape"):
        explained(update(rules.adam), index)


def test_the_index_may_be_left_out_where_there_is_only_one_number():
    for shape in ((), (1,), (1, 1)):
        assert explained(update(rules.adam, shape=shape), None).lines
    with pytest.raises(IndexError, match="say which, by 2 indices"):
        explained(update(rules.adam), None)


def test_an_empty_parameter_has_no_weight_to_explain():
    with pytest.raises(IndexError, match="it is empty"):
        explained(update(rules.sgd, shape=(0, 4)), (0, 0))
