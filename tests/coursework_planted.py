"""Optimizers with mistakes planted by hand, in plain NumPy and in three styles.

Nothing here reads the rules of the package: what diagnosis says is held against this code.
"""

import numpy as np

from minigrad.coursework.optimizers.diagnosis import explained
from minigrad.coursework.optimizers.probes import cold_run, settings_for, warm_run
from minigrad.coursework.optimizers.reference import convention_id, settings_of
from minigrad.coursework.optimizers.search import Record

# fmt: off
DECAY = "decay-half decay-double decay-sign decay-ignored".split()
EVERYWHERE = DECAY + "ascent lr-squared lr-missing".split()
T = "t-starts-at-zero t-off-by-one t-stuck".split()
SQUARES = ("second-moment-of-abs second-moment-over-elements square-missing missing-sqrt "
           "eps-inside-sqrt eps-added-to-step eps-multiplied eps-missing stale-moment "
           "state-not-stored state-starts-at-gradient").split()
ADAM = EVERYWHERE + T + SQUARES + """no-bias-correction bias-correction-only-m
bias-correction-only-v correction-beta-times-t correction-without-power correction-multiplied
corrected-moments-stored betas-swapped first-moment-not-averaged second-moment-not-averaged
second-moment-of-m second-moment-centered eps-before-correction numerator-is-gradient
moments-swapped accumulates-instead-of-averaging""".split()
COUPLED = ["decay-decoupled"]
DECOUPLED = "decay-coupled decay-after-step decay-not-times-lr".split()
PLANTED = {
    "sgd": EVERYWHERE + ["decay-not-times-lr"],
    "momentum": EVERYWHERE + COUPLED + """momentum-sign momentum-lr-twice momentum-averaged
        momentum-coefficients-swapped stale-moment state-not-stored""".split(),
    "momentum/ema": EVERYWHERE + COUPLED + """momentum-sign momentum-not-averaged
        momentum-coefficients-swapped stale-moment state-not-stored
        state-starts-at-gradient""".split(),
    "momentum/lr-inside": EVERYWHERE + COUPLED + """momentum-sign momentum-lr-twice
        momentum-averaged momentum-coefficients-swapped stale-moment state-not-stored""".split(),
    "nesterov": EVERYWHERE + COUPLED + """momentum-sign nesterov-without-previous-velocity
        nesterov-sign momentum-averaged state-not-stored""".split(),
    "nesterov/cs231n": EVERYWHERE + COUPLED + """momentum-sign
        nesterov-without-previous-velocity nesterov-sign momentum-averaged
        state-not-stored""".split(),
    "adagrad": EVERYWHERE + COUPLED + SQUARES + ["averages-instead-of-accumulating"],
    "rmsprop": EVERYWHERE + COUPLED + SQUARES + """accumulates-instead-of-averaging
        second-moment-not-averaged""".split(),
    "adam": ADAM + COUPLED,
    "adamw": ADAM + DECOUPLED,
    "amsgrad": [id for id in ADAM if id not in ("eps-before-correction",
        "bias-correction-only-v", "bias-correction-only-m", "no-bias-correction",
        "correction-multiplied", "corrected-moments-stored", "stale-moment")] + COUPLED
        + "amsgrad-max-of-corrected amsgrad-max-not-stored amsgrad-max-written-into-v".split(),
}
ONLY_CLASS = ["state-shared-between-parameters", "parameter-not-updated-in-place"]
# fmt: on


def sized(wd, has):
    """weight_decay, as large as a mistake makes it."""
    factors = {"decay-half": 0.5, "decay-double": 2, "decay-sign": -1, "decay-ignored": 0}
    for id, factor in factors.items():
        wd = wd * factor if has(id) else wd
    return wd


def rated(lr, has):
    return 1.0 if has("lr-missing") else lr * lr if has("lr-squared") else lr


def square(g, m, has):
    if has("second-moment-of-abs"):
        return abs(g)
    if has("square-missing"):
        return g
    if has("second-moment-of-m"):
        return m**2
    if has("second-moment-centered"):
        return (g - m)**2
    if has("second-moment-over-elements"):
        return np.mean(g**2) * np.ones_like(g)
    return g**2


def quotient(top, second, eps, has):
    """top over the root of the second moment, with eps where it is put."""
    root = second if has("missing-sqrt") else second**0.5
    if has("eps-inside-sqrt"):
        return top / (second + eps if has("missing-sqrt") else (second + eps)**0.5)
    if has("eps-missing") or has("eps-added-to-step"):
        return top / root
    return top / (root * eps if has("eps-multiplied") else root + eps)


def decayed(w, g, h, has, decoupled):
    """(w, g) with the decay in one of them."""
    wd = sized(h["weight_decay"], has)
    decoupled = (decoupled or has("decay-decoupled")) and not has("decay-coupled")
    if has("decay-after-step"):
        return w, g
    if not decoupled:
        return w, g + wd * w
    return w - (1 if has("decay-not-times-lr") else h["lr"]) * wd * w, g


def sgd(w, g, s, t, h, has):
    wd = sized(h["weight_decay"], has)
    if has("decay-not-times-lr"):
        shift = rated(h["lr"], has) * g
        return (w + shift if has("ascent") else w - shift) - wd * w
    shift = rated(h["lr"], has) * (g + wd * w)
    return w + shift if has("ascent") else w - shift


def momentum(w, g, s, t, h, has, form="torch", look=False):
    w, g = decayed(w, g, h, has, False)
    mu, lr = h["momentum"], rated(h["lr"], has)
    fresh = "v" not in s
    old = s.get("v", np.zeros_like(w))
    if fresh and has("state-starts-at-gradient"):
        old = g
    keep, add = mu, 1.0
    if (form == "ema") != (has("momentum-averaged") or has("momentum-not-averaged")):
        add = 1 - mu
    if has("momentum-coefficients-swapped"):
        keep, add = 1 - mu, mu
    if has("momentum-sign"):
        keep = -keep
    inside = form in ("lr-inside", "cs231n")
    push = -lr * g if inside else g
    if has("momentum-lr-twice") and not inside:
        push = lr * push
    v = keep * old + add * push
    if not has("state-not-stored"):
        s["v"] = v
    used = old if has("stale-moment") else v
    if inside:
        move = used * (lr if has("momentum-lr-twice") else 1)
        if look and has("nesterov-sign"):
            move = -lr * g - mu * v
        elif look and not has("nesterov-without-previous-velocity"):
            move = -lr * g + mu * v
    else:
        move = -lr * used
        if look and has("nesterov-sign"):
            move = -lr * (g - mu * v)
        elif look and not has("nesterov-without-previous-velocity"):
            move = -lr * (g + mu * v)
    return w - move if has("ascent") else w + move


def squares(w, g, s, t, h, has, sums=False):
    w, g = decayed(w, g, h, has, False)
    a, eps, key = h.get("alpha"), h["eps"], "cache"
    old = s.get(key, np.zeros_like(w))
    if key not in s and has("state-starts-at-gradient"):
        old = g * g
    new = square(g, None, has)
    if sums != (has("accumulates-instead-of-averaging")
                or has("averages-instead-of-accumulating")):
        cache = old + new
    elif sums:
        cache = 0.9 * old + (1 - 0.9) * new
    else:
        cache = a * old + (new if has("second-moment-not-averaged") else (1 - a) * new)
    if not has("state-not-stored"):
        s[key] = cache
    move = rated(h["lr"], has) * quotient(g, old if has("stale-moment") else cache, eps, has)
    w = w + move if has("ascent") else w - move
    return w + eps if has("eps-added-to-step") else w


def corrections(b1, b2, t, has):
    """What the moments are divided by."""
    c1, c2 = 1 - np.float64(b1)**t, 1 - np.float64(b2)**t
    if has("correction-beta-times-t"):
        c1, c2 = 1 - np.float64(b1) * t, 1 - np.float64(b2) * t
    if has("correction-without-power"):
        c1, c2 = np.float64(1 - b1), np.float64(1 - b2)
    if has("correction-multiplied"):
        c1, c2 = 1 / c1, 1 / c2
    if has("no-bias-correction") or has("bias-correction-only-v"):
        c1 = 1.0
    if has("no-bias-correction") or has("bias-correction-only-m"):
        c2 = 1.0
    return c1, c2


def adam(w, g, s, t, h, has, decoupled=False, amsgrad=False):
    w, g = decayed(w, g, h, has, decoupled)
    b1, b2, eps = h["beta1"], h["beta2"], h["eps"]
    if has("betas-swapped"):
        b1, b2 = b2, b1
    names = ("v", "m") if has("moments-swapped") else ("m", "v")
    m0, v0 = (s.get(name, np.zeros_like(w)) for name in names)
    if "m" not in s and has("state-starts-at-gradient"):
        m0, v0 = g, g * g
    m = b1 * m0 + (g if has("first-moment-not-averaged") else (1 - b1) * g)
    new = square(g, m, has)
    v = (v0 + new if has("accumulates-instead-of-averaging") else
         b2 * v0 + (new if has("second-moment-not-averaged") else (1 - b2) * new))
    c1, c2 = corrections(b1, b2, t, has)
    mh, vh = (m0 / c1, v0 / c2) if has("stale-moment") else (m / c1, v / c2)
    kept = dict(zip(names, (mh, vh) if has("corrected-moments-stored") else (m, v)))
    if amsgrad:
        of = v / c2 if has("amsgrad-max-of-corrected") else v
        top = np.maximum(s.get("v_max", np.zeros_like(w)), of)
        vh = top if has("amsgrad-max-of-corrected") else top / c2
        kept["v_max"] = top
        if has("amsgrad-max-not-stored"):
            del kept["v_max"]
        if has("amsgrad-max-written-into-v"):
            kept[names[1]] = top
    if not has("state-not-stored"):
        s.update(kept)
    elif "v_max" in kept:
        s["v_max"] = kept["v_max"]
    top = g if has("numerator-is-gradient") else mh
    if has("eps-before-correction"):
        ratio = top / ((np.sqrt(v0 if has("stale-moment") else v) + eps) / np.sqrt(c2))
    else:
        ratio = quotient(top, vh, eps, has)
    move = rated(h["lr"], has) * ratio
    w = w + move if has("ascent") else w - move
    if has("decay-after-step"):
        rate = 1 if has("decay-not-times-lr") else h["lr"]
        w = w * (1 - rate * sized(h["weight_decay"], has))
    return w + eps if has("eps-added-to-step") else w


# fmt: off
CORES = {
    "sgd": (sgd, {}), "momentum": (momentum, {}), "momentum/ema": (momentum, {"form": "ema"}),
    "momentum/lr-inside": (momentum, {"form": "lr-inside"}),
    "nesterov": (momentum, {"look": True}),
    "nesterov/cs231n": (momentum, {"look": True, "form": "cs231n"}),
    "adagrad": (squares, {"sums": True}), "rmsprop": (squares, {}), "adam": (adam, {}),
    "adamw": (adam, {"decoupled": True}), "amsgrad": (adam, {"amsgrad": True}),
}
STATES = {"sgd": {}, "momentum": {"v": "b"}, "nesterov": {"v": "b"}, "adagrad": {"cache": "G"},
          "rmsprop": {"cache": "v"}, "adam": {"m": "m", "v": "v"}, "adamw": {"m": "m", "v": "v"},
          "amsgrad": {"m": "m", "v": "v", "v_max": "v_max"}}
# fmt: on


def counted(last, has):
    """t as a step uses it, if `last` steps were counted before."""
    return last + 1 + has("t-off-by-one") - has("t-starts-at-zero")


def watched(family, faults, run, visible=True, tolerance=(1e-9, 1e-7)):
    """The Record of an optimizer with mistakes on a Run, watched as a class is."""
    core, options = CORES[family]
    has, names = faults.__contains__, STATES[family.split("/")[0]]
    memory = [{mine: start[theirs] for mine, theirs in names.items() if theirs in start}
              for start in run.states]
    if has("state-shared-between-parameters"):
        memory = [memory[0]] * len(memory)
    weights, seen, last = list(run.weights), [], run.t - 1
    for i, (gradients, h) in enumerate(zip(run.gradients, run.settings)):
        seen.append([])
        for k, g in enumerate(gradients):
            h = {name: np.float64(x) for name, x in h.items()}
            new = core(weights[k], g, memory[k], counted(last, has), h, has, **options)
            weights[k] = weights[k] if has("parameter-not-updated-in-place") else new
            last += has("t-per-parameter")
            kept = {theirs: memory[k][mine] for mine, theirs in names.items()
                    if mine in memory[k]} if visible else {}
            seen[-1].append({"w": weights[k], **kept})
        last += not has("t-stuck") and not has("t-per-parameter")
    return Record(run, seen, tolerance)


def records(family, faults, seed=0, *, warm=True, visible=True, tolerance=(1e-9, 1e-7)):
    """The Records of an optimizer with mistakes on the probe of a seed."""
    rule = family.split("/")[0]
    settings = {**settings_of(rule), **{name: x for name, x in settings_for(seed).items()
                                        if name in settings_of(rule)}}
    runs = [cold_run(seed, settings=settings)]
    if warm and STATES[rule]:
        runs.insert(0, warm_run(tuple(STATES[rule].values()), seed, settings=settings))
    with np.errstate(all="ignore"):
        return [watched(family, faults, run, visible, tolerance) for run in runs]


def found(family, faults, seed=0, most=3, **kind):
    """The Diagnosis of an optimizer with mistakes."""
    rule, _, convention = family.partition("/")
    return explained(rule, convention_id(rule, convention or "torch"),
                     records(family, faults, seed, **kind), most)


def as_function(family, *faults):
    """CS231n's style: f(w, dw, config) -> (next_w, config)."""
    core, options = CORES[family]
    has = faults.__contains__

    def student(w, dw, config):
        c = config
        h = {"lr": c["learning_rate"], "eps": c.get("epsilon"), "beta1": c.get("beta1"),
             "beta2": c.get("beta2"), "momentum": c.get("momentum"),
             "alpha": c.get("decay_rate"), "weight_decay": c["weight_decay"]}
        s = {name: c[name] for name in ("m", "v", "cache", "v_max") if name in c}
        t = counted(c.get("t", 0), has)
        w = core(w, dw, s, t, h, has, **options)
        c.update(s)
        if not has("t-stuck"):
            c["t"] = c.get("t", 0) + 1
        return w, c

    return student
