"""The letters an explained update is written in, its LaTeX, and which slide says so."""

import re

import pytest

from minigrad.optim import rules
from minigrad.optim.explaining import explained
from minigrad.optim.notation import COMMON, LETTERS, NOTATIONS
from updates import RULES, VARIANTS, label, single, update, updates

# States and hyperparameters that keep the letter of the source: it is that of the paper or of
# PyTorch, or these have none. (Switches and tuples of numbers have no letters anywhere.)
SWITCHES = {"form", "convention", "centered", "eps_inside_sqrt", "nesterov", "adjust_lr_fn",
            "ns_coefficients", "ns_steps", "etas", "step_sizes"}
KEPT = {
    ("sgd", "paper"): "g", ("momentum", "slides"): "dampening",
    ("momentum", "paper"): "dampening",
    ("adagrad", "slides"): "initial_accumulator_value lr_decay",
    ("adagrad", "paper"): "G g initial_accumulator_value lr_decay",
    ("rmsprop", "slides"): "b m", ("rmsprop", "paper"): "alpha b lr m momentum",
    ("rmsprop", "torch"): "g v", ("adadelta", "slides"): "rho u", ("adadelta", "paper"): "g lr",
    ("adadelta", "torch"): "g u v", ("adamax", "slides"): "u",
    ("nadam", "slides"): "momentum_decay mu_product", ("nadam", "paper"): "g m momentum_decay",
    ("rprop", "slides"): "size", ("muon", "slides"): "b",
    **{(rule, "torch"): "g" for rule in ("sgd", "momentum", "nesterov", "adagrad", "rprop",
                                         "muon")},
    **{(rule, "torch"): "g m v" for rule in ("adam", "amsgrad", "adamw", "nadam", "radam")},
    **{(rule, "paper"): "g m v" for rule in ("adam", "amsgrad", "adamw", "radam")},
    **{("adamax", notation): "g m u" for notation in ("paper", "torch")},
    **{("lion", notation): "g m" for notation in ("paper", "torch")}}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("rule", RULES, ids=label)
def test_every_letter_of_every_rule_has_an_entry_or_deliberately_none(rule, notation):
    anatomy = rules.anatomy(rule)
    table = {**COMMON[notation], **LETTERS[rule.__name__][notation]}
    names = {*anatomy.states, *anatomy.hyperparameters, "w", "g"} - SWITCHES
    assert names - set(table) == set(KEPT.get((rule.__name__, notation), "").split())
    assert set(table) <= {name for r in (*RULES, rules.update) for name in r.__code__.co_varnames}


@pytest.mark.parametrize("notation", NOTATIONS)
@pytest.mark.parametrize("rule", RULES, ids=label)
def test_within_one_rule_no_two_quantities_have_one_symbol(rule, notation):
    table = {**COMMON[notation], **LETTERS[rule.__name__][notation]}
    names = [name for name in rule.__code__.co_varnames if name not in SWITCHES]
    texts = [table.get(name, (name,))[0] for name in names]
    assert len(set(texts)) == len(names), sorted(zip(texts, names))


def test_symbols_clash_as_the_sources_do():
    now = update(rules.adam)
    slides, paper, torch = [explained(now, (0, 0), n) for n in NOTATIONS]
    assert [line.target for line in slides.lines] == [
        "v", "E[g^2]", "v_hat", "E_hat[g^2]", "denominator", "step", "beta"]
    assert slides.lines[0].source == "gamma1 * v + (1 - gamma1) * grad_L"
    assert paper.lines[5].source == "alpha * m_hat / denominator"
    assert torch.lines[5].source == "gamma * m_hat / denominator"
    assert slides.values == paper.values == torch.values
    assert [line.substituted for line in slides.lines] == [x.substituted for x in paper.lines]


def test_the_rate_of_the_decay_is_lr_or_the_multiplier_of_the_paper():
    def decay(notation, rate):
        modifiers = {"weight_decay": 0.1, "decay_rate": rate}
        now = single(rules.adam, 1.0, 1.0, modifiers=modifiers, lr=0.01)
        return explained(now, 0, notation).lines[0].source
    assert decay("slides", 0.01) == "beta * (1 - eta * lambda)"      # (16): eta lambda beta
    assert decay("torch", 0.01) == "theta * (1 - gamma * lambda)"
    assert decay("paper", 0.5) == "theta * (1 - eta_t * lambda)"     # decay="paper"
    assert decay("torch", 0.5) == "theta * (1 - decay_rate * lambda)"


def test_latex_has_states_of_the_step_before_and_of_this_one():
    now = single(rules.adam, 0.5, -0.4, {"m": 0.0123, "v": 0.01}, t=2)
    text = explained(now, 0).latex()
    assert text.startswith("\\begin{aligned}\n") and text.endswith("\n\\end{aligned}")
    for row in [r"m_t &= \beta_1 \, m_{t-1} + \left(1 - \beta_1\right) \, g_t "
                r"\quad \text{slide (11)} \\",
                r"&= 0.9 \cdot 0.0123 + 0.1 \cdot \left(-0.4\right) \\", r"&= -0.02893 \\",
                r"v_t &= \beta_2 \, v_{t-1} + \left(1 - \beta_2\right) \, g_t^{2} "
                r"\quad \text{slide (13)} \\",
                r"\hat{m}_t &= \frac{m_t}{1 - \beta_1^{t}} \quad \text{slide (14)} \\",
                r"\mathrm{denominator} &= \sqrt{\hat{v}_t} + \epsilon \\",
                r"&= \sqrt{5.078} + 10^{-8} \\",
                r"w_t &= w_{t-1} - \mathrm{step} \quad \text{slide (15)} \\"]:
        assert row in text.splitlines(), row
    slides = explained(now, 0, "slides").latex()
    assert r"\beta_{t+1} &= \beta_t - \mathrm{step}" in slides
    assert r"E[g^2_t] &= \gamma_2 \, E[g^2_{t-1}]" in slides


COMMANDS = set("""begin end left right frac sqrt hat bar tilde mathrm mathbf text texttt quad cdot
    leftarrow max min exp log tanh infty partial nabla prod neq leq geq in notin top alpha beta
    gamma
    delta epsilon varepsilon eta theta lambda mu nu psi rho tau Delta Gamma""".split())


def sound(text):
    """Is this LaTeX: balanced, known commands, left and right in pairs, no double scripts?"""
    bare = re.sub(r"\\[{}%#$&_]", "", text)
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        assert depth >= 0, text
    assert depth == 0, text
    assert bare.count(r"\left(") == bare.count(r"\right)"), text
    assert set(re.findall(r"\\([A-Za-z]+)", bare)) <= COMMANDS, text
    assert not re.search(r"\^\{[^{}]*\}\^|_\{[^{}]*\}_|\^\w\^|_\w_", bare), text


@pytest.mark.parametrize("notation", [None, *NOTATIONS])
@pytest.mark.parametrize("rule, options, modifiers", VARIANTS, ids=label)
def test_latex_of_every_rule_in_every_notation_is_sound(rule, options, modifiers, notation):
    for now, _ in updates(rule, steps=2, modifiers=modifiers, **options):
        text = explained(now, (0, 0), notation).latex()
        sound(text)
        assert text.isascii()


def test_latex_is_drawn_by_mathtext():
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    for rule in RULES:
        for notation in (None, "slides"):
            text = explained(update(rule, steps=2), (0, 0), notation).latex()
            for row in text.splitlines()[1:-1]:
                if "cases" not in row:
                    row = row.removesuffix(r" \\").replace("&", "")
                    parser.parse("$" + row.replace(r"\text{", r"\mathrm{") + "$")


def test_an_unknown_notation_is_refused():
    with pytest.raises(ValueError, match='"slides", "paper" or "torch"'):
        explained(update(rules.adam), (0, 0), "keras")


def test_slide_equations_stand_only_where_the_slide_says_that():
    def equations(rule, **options):
        lines = explained(update(rule, **options), (0, 0)).lines
        return {line.target: line.equation for line in lines if line.equation}
    assert equations(rules.momentum) == {"b": "slide (4)", "w": "slide (5)"}
    assert equations(rules.momentum, form="sutskever") == {}
    assert equations(rules.adagrad) == {"G": "slide (7)", "w": "slide (8), eps outside"}
    assert equations(rules.rmsprop, eps_inside_sqrt=True) == {"v": "slide (9)", "w": "slide (10)"}
    assert equations(rules.rmsprop, momentum=0.9) == {"v": "slide (9)"}
    assert equations(rules.adadelta) == {}
