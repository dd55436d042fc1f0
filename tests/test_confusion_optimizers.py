"""Which mistake is called what: every one planted by hand, then named. As a script, a table.

    python tests/test_confusion_optimizers.py 600    every pair in 600 seconds
"""

import itertools
import sys
import time

import numpy as np
import pytest
from coursework_planted import ONLY_CLASS, PLANTED, found, records

from minigrad.coursework.optimizers.diagnosis import explained
from minigrad.coursework.optimizers.mistakes import MISTAKES
from minigrad.coursework.optimizers.reference import CONVENTIONS, convention_id
from minigrad.coursework.optimizers.search import Record

# fmt: off
CONVENTION_OF = {  # a mistake that is right somewhere comes out as that convention
    ("momentum", "momentum-averaged"): "momentum/ema",
    ("momentum/ema", "momentum-not-averaged"): "momentum/torch",
    ("adagrad", "eps-inside-sqrt"): "adagrad/eps-inside",
    ("rmsprop", "eps-inside-sqrt"): "rmsprop/eps-inside",
    ("rmsprop", "state-starts-at-gradient"): "rmsprop/starts-at-g2",
    ("adam", "eps-inside-sqrt"): "adam/eps-inside",
    ("adam", "no-bias-correction"): "adam/uncorrected",
    ("adam", "eps-before-correction"): "adam/eps-hat",
    ("adamw", "decay-after-step"): "adamw/decay-after",
    ("amsgrad", "amsgrad-max-of-corrected"): "amsgrad/corrected",
}
STYLES = {"warm": {}, "cold": {"warm": False}, "weights alone": {"visible": False}}
FIRST = {  # where a mistake shows first in Adam: the quantity, at which step
    "no-bias-correction": ("m_hat", 1), "bias-correction-only-m": ("v_hat", 1),
    "bias-correction-only-v": ("m_hat", 1), "t-starts-at-zero": ("m_hat", 1),
    "t-off-by-one": ("m_hat", 1), "t-stuck": ("m_hat", 2), "betas-swapped": ("m", 1),
    "correction-beta-times-t": ("m_hat", 2), "correction-without-power": ("m_hat", 2),
    "correction-multiplied": ("m_hat", 1), "corrected-moments-stored": ("m", 1),
    "first-moment-not-averaged": ("m", 1), "second-moment-not-averaged": ("v", 1),
    "second-moment-of-abs": ("v", 1), "second-moment-of-m": ("v", 1),
    "second-moment-centered": ("v", 1), "second-moment-over-elements": ("v", 1),
    "square-missing": ("v", 1), "accumulates-instead-of-averaging": ("v", 1),
    "missing-sqrt": ("denominator", 1), "eps-inside-sqrt": ("denominator", 1),
    "eps-before-correction": ("denominator", 1), "eps-added-to-step": ("denominator", 1),
    "eps-multiplied": ("denominator", 1), "eps-missing": ("denominator", 1),
    "numerator-is-gradient": ("step", 2), "stale-moment": ("m_hat", 1),
    "state-not-stored": ("m", 2), "state-starts-at-gradient": ("m", 1),
    "moments-swapped": ("m", 1), "ascent": ("parameter", 1), "lr-squared": ("step", 1),
    "lr-missing": ("step", 1), "decay-decoupled": ("g", 1), "decay-half": ("g", 1),
    "decay-double": ("g", 1), "decay-sign": ("g", 1), "decay-ignored": ("g", 1),
}
NOT_TOGETHER = [{"decay-after-step", "decay-coupled"}]  # one decay, at two places
# fmt: on


def sets_of(diagnosis):
    return [set(ids) for ids in (diagnosis.causes, *diagnosis.ties)]


def pairs_of(family):
    return [pair for pair in itertools.combinations(PLANTED[family], 2)
            if MISTAKES[pair[0]].group != MISTAKES[pair[1]].group
            and set(pair) not in NOT_TOGETHER]


@pytest.mark.parametrize("family", PLANTED)
@pytest.mark.parametrize("style", STYLES)
def test_without_mistakes_it_is_correct_whatever_the_probe(family, style):
    for seed in range(2):
        assert found(family, (), seed, **STYLES[style]).verdict == "correct"


@pytest.mark.parametrize("family", PLANTED)
@pytest.mark.parametrize("style", STYLES)
def test_every_mistake_is_named_alone(family, style):
    """It stands first, or beside what gives the same numbers; see the test of ties."""
    for id in PLANTED[family] + (ONLY_CLASS if style == "cold" and family != "sgd" else []):
        named = found(family, (id,), **STYLES[style])
        assert {id} in sets_of(named), (id, named.causes)
        expected = CONVENTION_OF.get((family, id))
        if expected and style != "cold":
            assert named.causes == (expected,) and named.verdict == "convention"
        else:
            assert named.verdict in ("mistake", "convention")
        assert named.residual < 1e-6
        assert all(named.hint(level) for level in ("where", "concept", "formula"))
        assert max(map(len, str(named).splitlines())) <= 80


@pytest.mark.parametrize("family", PLANTED)
def test_pairs_are_named(family):
    """Both, or one that gives the same numbers. A sample; the script tries all."""
    random = np.random.default_rng(len(family))
    pairs = pairs_of(family)
    few = 1 if len(PLANTED[family]) > 20 else 3
    for k in random.choice(len(pairs), few, replace=False):
        named = found(family, pairs[k], most=2)
        assert named.verdict != "unknown", pairs[k]
        assert set(pairs[k]) in sets_of(named) or len(named.causes) < 2, (pairs[k], named.causes)


def test_three_mistakes_in_adam_are_named():
    faults = ("t-stuck", "missing-sqrt", "ascent")
    assert set(faults) in sets_of(found("adam", faults))


def test_mistakes_in_different_states_are_told_apart_where_states_are_seen():
    faults = ("first-moment-not-averaged", "second-moment-of-abs", "missing-sqrt", "ascent")
    named = found("adam", faults)
    assert set(named.causes) == set(faults)
    assert named.first_difference.quantity == "m"


@pytest.mark.parametrize("family", ["adagrad", "rmsprop", "adam", "adamw", "amsgrad"])
def test_a_missing_eps_is_no_small_eps(family):
    """A weight that is 0 and has no gradient parts them: it becomes NaN."""
    named = found(family, ("eps-missing",), warm=False, visible=False)
    assert named.causes == ("eps-missing",) and named.ties == []


def test_a_tie_stays_one_on_other_probes():
    """What is called a tie gives the same numbers whatever they are: for every mistake that has
    one, from a cold start, which shows least."""
    tied = 0
    for family, ids in PLANTED.items():
        for id in ids:
            ties = sets_of(found(family, (id,), 1, warm=False, most=1))
            if len(ties) > 1:
                tied += 1
                other = sets_of(found(family, (id,), 2, warm=False, most=1))
                assert other == ties, (family, id)
    assert tied > 10


def test_the_first_difference_is_the_quantity_that_is_wrong():
    for id, (quantity, step) in FIRST.items():
        first = found("adam", (id,)).first_difference
        assert (first.quantity, first.step, first.parameter) == (quantity, step, 0), id


def test_the_first_difference_has_a_sensible_name_in_the_other_families():
    """Velocities and sums of squares are called v, what AMSGrad divides by v_hat."""
    for family, faults in {
        "momentum": {"decay-sign": "g", "momentum-lr-twice": "v", "stale-moment": "step"},
        "nesterov": {"momentum-sign": "v", "nesterov-sign": "step", "ascent": "parameter"},
        "adagrad": {"averages-instead-of-accumulating": "v", "stale-moment": "denominator"},
        "rmsprop": {"square-missing": "v", "stale-moment": "denominator", "lr-missing": "step"},
        "adamw": {"decay-coupled": "g", "decay-after-step": "parameter"},
        "amsgrad": {"amsgrad-max-not-stored": "v_hat", "amsgrad-max-written-into-v": "v"},
    }.items():
        for id, quantity in faults.items():
            assert found(family, (id,), most=1).first_difference.quantity == quantity, (family, id)


def test_parameters_are_named_where_only_the_second_is_wrong():
    for id in ("state-shared-between-parameters", "t-per-parameter"):
        named = found("adam", (id,), warm=False)
        assert named.causes == (id,)
        assert (named.first_difference.step, named.first_difference.parameter) == (1, 1)


# --- no known mistake ----------------------------------------------------------------------------

def seen_of(steps_of, family="adam", decimals=None):
    """Records of any function (w, g, t) -> w on the probe of a family."""
    made = []
    for record in records(family, (), visible=False):
        run, tolerance = record.run, record.tolerance
        weights, seen = list(run.weights), []
        for i, gradients in enumerate(run.gradients):
            weights = [steps_of(w, g, run.t + i) for w, g in zip(weights, gradients)]
            shown = weights if decimals is None else [np.round(w, decimals) for w in weights]
            seen.append([{"w": w} for w in shown])
        tolerance = tolerance if decimals is None else (0.501 * 10.0**-decimals, 1e-12)
        made.append(Record(run, seen, tolerance))
    return made


@pytest.mark.parametrize("decimals", [None, 2])
def test_a_formula_outside_the_table_is_unknown(decimals):
    """With its residual and where it parts, even if only two decimals are printed."""
    for other in (lambda w, g, t: w - 0.3 * np.tanh(g), lambda w, g, t: w - 0.1 * np.cbrt(g) / t):
        named = explained("adam", "adam/torch", seen_of(other, decimals=decimals), 2)
        assert named.verdict == "unknown" and named.causes == () and named.ties == []
        assert named.residual > 0.05 and named.first_difference.quantity == "parameter"
        assert "No known mistake" in str(named)


def test_random_programs_match_nothing():
    random = np.random.default_rng(5)
    for _ in range(6):
        a, b, c = random.uniform(0.05, 1, 3)
        records = seen_of(lambda w, g, t: w - a * g / (b + np.abs(g)**c), "rmsprop", 2)
        assert explained("rmsprop", "rmsprop/torch", records, 2).verdict == "unknown"


def test_an_unknown_formula_does_not_hide_what_can_be_named():
    """v is made of |g|**1.5, and eps stands under the root."""
    from coursework_planted import CORES, watched
    run = records("adam", ())[1].run
    quantities = {}

    def core(w, g, s, t, h, has):
        g = g + h["weight_decay"] * w
        s["m"] = h["beta1"] * s.get("m", 0) + (1 - h["beta1"]) * g
        s["v"] = h["beta2"] * s.get("v", 0) + (1 - h["beta2"]) * np.abs(g)**1.5
        root = np.sqrt(s["v"] / (1 - h["beta2"]**t) + h["eps"])
        return w - h["lr"] * s["m"] / (1 - h["beta1"]**t) / root

    CORES["outside"] = core, quantities
    try:
        from coursework_planted import STATES
        STATES["outside"] = STATES["adam"]
        named = explained("adam", "adam/torch", [watched("outside", (), run)], 2)
    finally:
        del CORES["outside"], STATES["outside"]
    assert named.verdict == "unknown"
    assert named.parts == {"m": (), "v": None, "parameter": ("adam/eps-inside",)}
    assert named.first_difference.quantity == "v"


# --- probes --------------------------------------------------------------------------------------

def test_two_decimals_tell_single_mistakes_in_adam_apart():
    """Every two that are no tie differ by more than two hundredths somewhere."""
    seen = {id: records("adam", (id,), visible=False)
            for id in PLANTED["adam"] if id != "t-starts-at-zero"}
    for one, other in itertools.combinations(seen, 2):
        gap = max(np.max(np.abs(np.nan_to_num(a["w"] - b["w"], nan=9.0)))
                  for x, y in zip(seen[one], seen[other])
                  for i, j in zip(x.seen, y.seen) for a, b in zip(i, j))
        assert gap > 0.02, (one, other, gap)


def test_another_seed_is_another_probe():
    one, other = records("adam", (), 1)[1].run, records("adam", (), 2)[1].run
    assert not np.array_equal(one.weights[0], other.weights[0])
    assert not np.array_equal(one.gradients[3][0], other.gradients[3][0])
    assert one.settings[0] != other.settings[0]


def test_every_row_has_words_and_a_source():
    for row in MISTAKES.values():
        assert row.title and row.concept and row.citation
    assert all(convention.who for convention in CONVENTIONS.values())


# --- libraries -----------------------------------------------------------------------------------

def torch_records(make, family):
    torch = pytest.importorskip("torch")
    made = []
    run = records(family, (), warm=False)[0].run
    parameters = [torch.tensor(w, requires_grad=True) for w in run.weights]
    optimizer = make(torch.optim, parameters, run.settings[0])
    seen = []
    for gradients, settings in zip(run.gradients, run.settings):
        optimizer.param_groups[0]["lr"] = settings["lr"]
        for p, g in zip(parameters, gradients):
            p.grad = torch.tensor(g)
        optimizer.step()
        seen.append([{"w": p.detach().numpy().copy()} for p in parameters])
    made.append(Record(run, seen, (1e-9, 1e-7)))
    return made


# fmt: off
TORCH = {
    "sgd":      lambda o, p, h: o.SGD(p, h["lr"], weight_decay=h["weight_decay"]),
    "momentum": lambda o, p, h: o.SGD(p, h["lr"], momentum=h["momentum"],
                                      weight_decay=h["weight_decay"]),
    "nesterov": lambda o, p, h: o.SGD(p, h["lr"], momentum=h["momentum"], nesterov=True,
                                      weight_decay=h["weight_decay"]),
    "adagrad":  lambda o, p, h: o.Adagrad(p, h["lr"], eps=h["eps"],
                                          weight_decay=h["weight_decay"]),
    "rmsprop":  lambda o, p, h: o.RMSprop(p, h["lr"], alpha=h["alpha"], eps=h["eps"],
                                          weight_decay=h["weight_decay"]),
    "adam":     lambda o, p, h: o.Adam(p, h["lr"], (h["beta1"], h["beta2"]), h["eps"],
                                       h["weight_decay"]),
    "adamw":    lambda o, p, h: o.AdamW(p, h["lr"], (h["beta1"], h["beta2"]), h["eps"],
                                        h["weight_decay"]),
    "amsgrad":  lambda o, p, h: o.Adam(p, h["lr"], (h["beta1"], h["beta2"]), h["eps"],
                                       h["weight_decay"], amsgrad=True),
}
# fmt: on


@pytest.mark.parametrize("family", TORCH)
def test_pytorch_is_correct(family):
    asked = convention_id(family)
    assert explained(family, asked, torch_records(TORCH[family], family)).verdict == "correct"


def test_pytorchs_centered_rmsprop_is_a_convention():
    named = explained("rmsprop", "rmsprop/torch", torch_records(
        lambda o, p, h: o.RMSprop(p, h["lr"], alpha=h["alpha"], eps=h["eps"], centered=True,
                                  weight_decay=h["weight_decay"]), "rmsprop"))
    assert named.causes == ("rmsprop/centered",) and named.verdict == "convention"


def test_optaxs_optimizers_are_correct_or_a_convention():
    optax = pytest.importorskip("optax")  # computes in single precision here
    makers = {
        "momentum": lambda lr, h: optax.sgd(lr, h["momentum"]),
        "nesterov": lambda lr, h: optax.sgd(lr, h["momentum"], nesterov=True),
        "adagrad": lambda lr, h: optax.adagrad(lr, eps=h["eps"]),
        "rmsprop": lambda lr, h: optax.rmsprop(lr, h["alpha"], eps=h["eps"]),
        "adam": lambda lr, h: optax.adam(lr, h["beta1"], h["beta2"], h["eps"]),
        "amsgrad": lambda lr, h: optax.amsgrad(lr, h["beta1"], h["beta2"], h["eps"]),
    }
    expected = {"adagrad": "adagrad/starts-at-0.1", "rmsprop": "rmsprop/eps-inside",
                "amsgrad": "amsgrad/corrected"}
    for family, make in makers.items():
        run = records(family, (), warm=False)[0].run
        weights, state, seen = [np.float32(w) for w in run.weights], None, []
        for gradients, h in zip(run.gradients, run.settings):
            optimizer = optax.chain(optax.add_decayed_weights(h["weight_decay"]),
                                    make(h["lr"], h))
            state = optimizer.init(weights) if state is None else state
            moves, state = optimizer.update(gradients, state, weights)
            weights = [np.asarray(w) for w in optax.apply_updates(weights, moves)]
            seen.append([{"w": w} for w in weights])
        named = explained(family, convention_id(family), [Record(run, seen, (2e-5, 5e-4))], 1)
        assert named.causes == ((expected[family],) if family in expected else ()), named


@pytest.mark.parametrize("id", ["beta1", "eps", "lr"])
def test_a_hyperparameter_written_as_a_number_is_named(id):
    """0.9, 1e-8 and 0.001 in the code, whatever the caller asks for."""
    from coursework_planted import watched
    usual = {"beta1": 0.9, "eps": 1e-8, "lr": 1e-3}[id]
    made = []
    for record in records("adam", ()):
        fixed = record.run._replace(settings=[{**h, id: usual} for h in record.run.settings])
        made.append(watched("adam", (), fixed)._replace(run=record.run))
    named = explained("adam", "adam/torch", made)
    assert ("hyperparameter-ignored",) in (named.causes, *named.ties), named


# --- the table -----------------------------------------------------------------------------------

def main(seconds=600):
    """Prints which mistakes were named, alone and in pairs."""
    print(f"{'family':20}{'style':15}{'alone':>12}{'pairs':>8}{'ties':>6}{'simpler':>9}{'missed':>8}")
    start = time.perf_counter()
    for family, (style, options) in itertools.product(PLANTED, STYLES.items()):
        alone = sum({id} in sets_of(found(family, (id,), **options)) for id in PLANTED[family])
        named = tied = simpler = missed = 0
        for pair in pairs_of(family) if time.perf_counter() - start < seconds else ():
            result = found(family, pair, most=2, **options)
            if set(pair) == set(result.causes):
                named += 1
            elif set(pair) in sets_of(result):
                tied += 1
            elif result.verdict != "unknown" and len(result.causes) < 2:
                simpler += 1
            else:
                missed += 1
                print("   ", *pair, "came out as", result.verdict, *result.causes)
        print(f"{family:20}{style:15}{alone:>6} of {len(PLANTED[family]):<3}{named:>6}"
              f"{tied:>6}{simpler:>9}{missed:>8}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
