"""The symptoms of an unhealthy layer: vanishing, exploding, dead, saturated, unused, immobile.

The one trick: a symptom is a function that looks at one Layer and returns a Finding, in words, or
None. The functions stand in the order of causes: the first grave Finding explains the others.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from minigrad.inspect.runs import absent, gradient_lengths, lengths, significant
from minigrad.numbers import multiple

# fmt: off
# Limits beyond which a line is a complaint. None of them is a law.
DEAD      = 0.4   # of the units of a relu: CS231n's example of trouble. Networks that read 98 % of
                  # the digits rightly were measured with up to 25 %
SATURATED = 0.7   # of the values of a tanh or sigmoid. Karpathy ("makemore part 3", 2022) likes 5 %
                  # at the start; networks that had fitted their data were measured with up to 65 %
SAMPLES   = 16    # fewer than these say little about whether a unit ever wakes
TOO_LARGE = 1e-1  # update / weight: every step redraws a tenth of the layer
TOO_SMALL = 1e-5  # update / weight: 100,000 steps to redraw it; the rule of thumb is 1e-3
APART     = 100   # gradient norm of a layer against that of the last one (Bengio et al., 1994);
                  # an update so many times as large as the weights is no fine-tuning either
STEEP     = 1e3   # gradient norm / weight norm: SGD with lr 1e-3 would step as far as 0
GROWN     = 100   # gradient norm at the end of the run against its beginning, while the loss rises
# fmt: on

FINE, NOTE, COMPLAINT, BROKEN = range(4)
INITIAL = "He or Xavier initialisation"


@dataclass
class Finding:
    """What is seen, and what to try."""

    severity: int
    words: str
    advice: str = ""


@dataclass
class Layer:
    """A Module with parameters of its own, and what is known about them.

    gradients, ratios: arrays over the recorded steps (one number without a run; None if unknown).
    """

    label: str
    parameters: dict
    place: float = 0.0                           # the tick at which it was first used
    gradients: object = None
    ratios: object = None
    missing: list = field(default_factory=list)  # parameters without a gradient
    wrong: str = ""                              # where something stopped being finite
    stepped: bool = True

    def trains(self):
        """Has it a parameter that gradients go to?"""
        return any(p.requires_grad for p in self.parameters.values())


# --- what is known of each layer ------------------------------------------------------------------

def measure(layers, run):
    """Fills in what the run, or without one .grad, says about each layer."""
    found = False
    for layer in layers:
        if run is None:
            measure_now(layer)
        else:
            found = measure_run(layer, run) or found
    if run is not None and layers and not found:
        raise ValueError("this run recorded other parameters than the model has: "
                         f"{', '.join(run.names[:4])}; the model has "
                         f"{', '.join(layers[0].parameters)}, ...")


def measure_now(layer):
    norms = []
    for name, p in layer.parameters.items():
        layer.wrong = layer.wrong or nonfinite(name, "weights", p.array[None])
        if p.grad is None:
            layer.missing.append(name)
            continue
        g = p.grad.array[None]
        norms.append(lengths(g))
        layer.wrong = layer.wrong or nonfinite(name, "gradient", g)
    if norms:
        layer.gradients = together(norms)


def measure_run(layer, run):
    """Returns whether the run knows the layer."""
    entries = {}
    for name, p in layer.parameters.items():
        known = name_in(run, name, p)
        if known is not None:
            entries[name] = run[known]
    if not entries:
        layer.missing = list(layer.parameters)
        return False
    layer.stepped = any((entry["t"] > 0).any() for entry in entries.values())
    layer.missing = [name for name, entry in entries.items() if absent(entry).all()]
    for name, entry in entries.items():
        known = ~absent(entry)
        layer.wrong = (layer.wrong
                       or nonfinite(name, "gradient", entry["grad"][known], run.steps[known])
                       or nonfinite(name, "weights", entry["data"], run.steps))
    if len(layer.missing) < len(entries):
        layer.gradients = together(map(gradient_lengths, entries.values()))
    with np.errstate(all="ignore"):
        layer.ratios = (together(lengths(entry["delta"]) for entry in entries.values())
                        / together(lengths(entry["data"]) for entry in entries.values()))
    return True


def name_in(run, name, p):
    """What a run calls a parameter; None if it does not know it."""
    for key in (p, name):
        try:
            return run.named(key)
        except KeyError:
            continue
    return None


def together(norms):
    """The norm of several parameters taken as one, at each step: (n,)."""
    return np.hypot.reduce(np.array(list(norms)), axis=0)


def nonfinite(name, what, stack, steps=None):
    """Words for the first array of a stack (n, *shape) that is not finite, or ""."""
    wrong = ~np.isfinite(stack).all(axis=tuple(range(1, stack.ndim)))
    if not wrong.any():
        return ""
    when = "" if steps is None else f" from step {steps[int(np.argmax(wrong))]} on"
    return f"{what} of {name.rpartition('.')[2]} not finite{when}"


def typical(values):
    """The median of what is finite; None if nothing is."""
    values = np.asarray([] if values is None else values, dtype=float)
    values = values[np.isfinite(values)]
    return float(np.median(values)) if values.size else None


# --- symptoms: each looks at one layer and returns a Finding, or None -----------------------------

@dataclass
class Surroundings:
    """What a layer is compared with: the last layer that has a gradient, the run, the record; and
    whether a sigmoid stands between the layers."""

    last: object
    record: object
    run: object
    any_gradient: bool
    sigmoid: bool = False


def not_finite(layer, around):
    if layer.wrong:
        return Finding(BROKEN, layer.wrong,
                       "lower lr, clip_grad_norm_, look for inf and nan in the data")
    return None


def without_gradient(layer, around):
    wanting = [name for name in layer.missing if layer.parameters[name].requires_grad]
    if not wanting:
        return None
    if not around.any_gradient:
        return Finding(NOTE, "no gradient yet", "call loss.backward() first")
    if len(wanting) < len(layer.parameters):
        names = ", ".join(name.rpartition(".")[2] for name in wanting)
        return Finding(COMPLAINT, f"no gradient for {names}", "it has no part in the loss")
    return Finding(COMPLAINT, "no gradient", "call it in forward(), and do not cut its way to the "
                                             "loss (detach, no_grad)")


def unused(layer, around):
    """Not in the record, though it was to be trained."""
    parameters = layer.parameters.values()
    if around.record is None or not layer.trains() or any(p in around.record.used
                                                          for p in parameters):
        return None
    return Finding(COMPLAINT, "not used in this forward pass", "call it in forward(), or remove it")


def zero_gradient(layer, around):
    if typical(layer.gradients) == 0 and layer.trains():
        return Finding(COMPLAINT, "gradient is 0",
                       "see whether units after it are dead, or the loss is flat")
    return None


def out_of_scale(layer, around):
    """Vanishing and exploding gradients: Hochreiter, 1991; Bengio, Simard and Frasconi, 1994."""
    here, last = typical(layer.gradients), around.last
    if not here or last is None or last is layer or not layer.trains():
        return None
    there, leaps = typical(last.gradients), (typical(layer.ratios) or 0) > TOO_LARGE
    if there > APART * here and not leaps:  # what is redrawn at every step gets gradient enough
        other = "relu or tanh instead of sigmoid, " if around.sigmoid else ""
        return Finding(COMPLAINT, f"vanishing, gradient {times(there / here)} smaller than in "
                                  f"{last.label}",
                       f"{other}{INITIAL}, normalisation, skip connections")
    if here > APART * there:
        return Finding(COMPLAINT, f"exploding, gradient {times(here / there)} larger than in "
                                  f"{last.label}",
                       f"{'lower lr, ' * leaps}{INITIAL}, normalisation, clip_grad_norm_")
    return None


def steep(layer, around):
    here = typical(layer.gradients)
    weights = math.hypot(*(float(lengths(p.array[None])[0]) for p in layer.parameters.values()))
    if not here or not weights or not here > STEEP * weights or not layer.trains():
        return None
    return Finding(COMPLAINT, f"exploding, gradient {times(here / weights)} weights",
                   f"{INITIAL}, scaled data and targets, clip_grad_norm_")


def growing(layer, around):
    if around.run is None or layer.gradients is None or len(layer.gradients) < 20:
        return None
    n = len(layer.gradients) // 10
    start, end = typical(layer.gradients[:n]), typical(layer.gradients[-n:])
    loss = typical(around.run.loss[:n]), typical(around.run.loss[-n:])
    falls = None not in loss and loss[1] < loss[0]
    if not start or end is None or falls or not end > GROWN * start:
        return None
    return Finding(COMPLAINT, f"exploding, gradient grew {times(end / start)} over the run",
                   "lower lr, clip_grad_norm_")


def moves(layer, around):
    """Updates too large or too small for the weights. The rule of thumb is Karpathy's."""
    ratio, gradient = typical(layer.ratios), typical(layer.gradients)
    if ratio is None or not layer.trains():
        return None
    if not layer.stepped:
        return Finding(COMPLAINT, "never stepped", "give it to the optimizer") if gradient else None
    if ratio > TOO_LARGE:
        words = "exploding, " * (ratio > APART) + f"each step changes it by {share(ratio)} its size"
        return Finding(COMPLAINT, words, "lower lr; a thousandth is the rule of thumb")
    if ratio < TOO_SMALL and gradient != 0:
        return Finding(COMPLAINT, f"hardly moves, {significant(ratio)} of its size a step",
                       "raise lr, unless a line below explains it")
    return None


def frozen(layer, around):
    fixed = [name for name, p in layer.parameters.items() if not p.requires_grad]
    if not fixed:
        return None
    if len(fixed) == len(layer.parameters):
        return Finding(NOTE, "frozen (requires_grad=False)")
    return Finding(NOTE, f"frozen: {', '.join(name.rpartition('.')[2] for name in fixed)}")


# The first that finds something grave names the cause; what follows from it is not said again.
SYMPTOMS = (not_finite, unused, without_gradient, zero_gradient, out_of_scale, steep, growing,
            moves, frozen)


def judged(findings):
    """The gravest Finding, the first of them."""
    findings = [finding for finding in findings if finding is not None]
    return max(findings, key=lambda finding: finding.severity, default=Finding(FINE, "fine"))


# --- activations ----------------------------------------------------------------------------------

def sleep(a):
    """The Finding on a relu."""
    if a.dead <= DEAD * a.units:
        return Finding(FINE, "fine")
    share = f"{percent(a.dead / a.units)} of {a.units:,} units"
    if a.samples < SAMPLES:
        return Finding(NOTE, f"{share} 0 for all of {counted(a.samples, 'sample')}",
                       f"give {SAMPLES} samples or more to see whether they are dead")
    return Finding(COMPLAINT, f"{share} dead", "lower lr, He initialisation or LeakyReLU")


def saturation(a):
    """The Finding on a tanh or sigmoid."""
    if a.saturated <= SATURATED * a.values:
        return Finding(FINE, "fine")
    if a.output:
        return Finding(FINE, "fine (an output may be near its limits)")
    return Finding(COMPLAINT, f"{percent(a.saturated / a.values)} of {a.values:,} values saturated",
                   "smaller initial weights (Xavier), scaled inputs, lower lr")


# --- words ----------------------------------------------------------------------------------------

def times(factor):
    """4,000x, 7e9x: such a factor is an order of magnitude, one digit is enough."""
    digit, exponent = f"{factor:.0e}".split("e")
    return f"{float(f'{factor:.0e}'):,.0f}x" if factor < 1e6 else f"{digit}e{int(exponent)}x"


def share(ratio):
    """"25 % of" what it is a part of, or "3.7e14 times" it."""
    return f"{100 * ratio:.3g} % of" if ratio < 2 else f"{multiple(ratio)} times"


def counted(n, noun):
    return f"{n} {noun}{'s' * (n != 1)}"


def percent(share):
    """12 %, and never 0 % or 100 % of what is not none or all."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
