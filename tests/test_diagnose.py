"""Diagnosing optimizers: every mistake is made by hand here, in code of its own, and named."""

import itertools

import numpy as np
import pytest

from minigrad.coursework.diagnosis import diagnose
from minigrad.coursework.mistakes import MISTAKES

ADAM = """no-bias-correction bias-correction-only-m bias-correction-only-v t-starts-at-zero
t-off-by-one t-stuck correction-beta-times-t correction-without-power correction-multiplied
corrected-moments-stored betas-swapped first-moment-not-averaged second-moment-not-averaged
second-moment-of-abs second-moment-of-m second-moment-centered second-moment-over-elements
missing-sqrt eps-inside-sqrt eps-before-correction eps-added-to-step eps-multiplied eps-missing
numerator-is-gradient stale-moment state-not-stored state-starts-at-gradient moments-swapped
ascent lr-squared lr-missing decay-decoupled decay-half decay-double decay-sign decay-ignored
gradient-mutated misplaced-parenthesis correction-outside-sqrt correction-betas-swapped""".split()

MEANS_THE_SAME = {"no-bias-correction": "adam/uncorrected", "eps-inside-sqrt": "adam/eps-inside",
                  "eps-before-correction": "adam/eps-hat"}


def adam_with(*faults):
    """CS231n's form of Adam, with mistakes made by hand."""
    def has(name):
        return name in faults

    def student(w, dw, config=None):
        c = config
        for key, value in dict(learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8,
                               weight_decay=0, t=0).items():
            c.setdefault(key, value)
        wd = c["weight_decay"]
        wd = (0 if has("decay-ignored") else wd / 2 if has("decay-half") else
              2 * wd if has("decay-double") else -wd if has("decay-sign") else wd)
        g = dw
        lr = c["learning_rate"]
        if has("decay-decoupled"):
            w = w - lr * wd * w
        elif has("gradient-mutated"):
            g += wd * w
        else:
            g = dw + wd * w
        b1, b2, eps = c["beta1"], c["beta2"], c["epsilon"]
        if has("betas-swapped"):
            b1, b2 = b2, b1
        fresh = "m" not in c
        zero = np.zeros_like(w)
        m0, v0 = c.get("m", zero), c.get("v", zero)
        if has("moments-swapped"):
            m0, v0 = v0, m0
        if has("state-starts-at-gradient") and fresh:
            m0, v0 = g, g * g
        m = b1 * m0 + (g if has("first-moment-not-averaged") else (1 - b1) * g)
        s = (np.abs(g) if has("second-moment-of-abs") else m**2 if has("second-moment-of-m") else
             (g - m)**2 if has("second-moment-centered") else
             np.full(g.shape, (g**2).mean()) if has("second-moment-over-elements") else g**2)
        v = b2 * v0 + (s if has("second-moment-not-averaged") else
                       1 - b2 * s if has("misplaced-parenthesis") else (1 - b2) * s)
        t = c["t"] + 1
        c["t"] = c["t"] if has("t-stuck") else t
        t += has("t-off-by-one") - has("t-starts-at-zero")
        c1, c2 = 1 - b1**t, 1 - b2**t
        if has("correction-beta-times-t"):
            c1, c2 = 1 - b1 * t, 1 - b2 * t
        if has("correction-without-power"):
            c1, c2 = 1 - b1, 1 - b2
        if has("correction-betas-swapped"):
            c1, c2 = c2, c1
        if has("correction-multiplied"):
            c1, c2 = 1 / np.float64(c1), 1 / np.float64(c2)
        c1, c2 = np.float64(c1), np.float64(c2)
        if has("no-bias-correction") or has("bias-correction-only-v"):
            c1 = 1
        if has("no-bias-correction") or has("bias-correction-only-m"):
            c2 = 1
        m_used, v_used = (m0, v0) if has("stale-moment") else (m, v)
        mh, vh = m_used / c1, v_used / c2
        root = vh if has("missing-sqrt") else np.sqrt(vh)
        if has("correction-outside-sqrt"):
            root = np.sqrt(v) / c2
        below = (np.sqrt(vh + eps) if has("eps-inside-sqrt") else
                 root * eps if has("eps-multiplied") else
                 root if has("eps-missing") or has("eps-added-to-step") else
                 (np.sqrt(v) + eps) / np.sqrt(c2) if has("eps-before-correction") else root + eps)
        rate = 1 if has("lr-missing") else lr * lr if has("lr-squared") else lr
        step = rate * (g if has("numerator-is-gradient") else mh) / below
        w = w + step if has("ascent") else w - step
        if has("eps-added-to-step"):
            w = w + eps
        if has("corrected-moments-stored"):
            m, v = mh, vh
        if has("moments-swapped"):
            m, v = v, m
        if not has("state-not-stored"):
            c["m"], c["v"] = m, v
        return w, c

    return student


def test_adam_without_mistakes_is_correct():
    for seed in range(5):
        assert diagnose(adam_with(), seed=seed).verdict == "correct"


@pytest.mark.parametrize("id", ADAM)
def test_every_mistake_in_adam_is_named(id):
    found = diagnose(adam_with(id))
    assert found.causes == (MEANS_THE_SAME.get(id, id),) or (id,) in found.ties, found
    assert found.verdict == ("convention" if id in MEANS_THE_SAME else "mistake")
    assert found.residual < 1e-6
    for level in ("where", "concept", "formula"):
        assert found.hint(level)


def test_pairs_of_mistakes_in_adam_are_named():
    """Pairs that share a line would overwrite each other; where a simpler set gives the same
    numbers, that is the diagnosis."""
    random = np.random.default_rng(0)
    pairs = [pair for pair in itertools.combinations(ADAM, 2)
             if MISTAKES[pair[0]].group != MISTAKES[pair[1]].group]
    wrong = []
    for k in random.choice(len(pairs), 30, replace=False):
        pair = pairs[k]
        found = diagnose(adam_with(*pair), most=2)
        explained = any(set(ids) == set(pair) for ids in (found.causes, *found.ties))
        simpler = len(found.causes) == 1 or found.verdict == "correct"
        if not explained and not simpler:
            wrong.append((pair, found.causes))
    assert not wrong, wrong
