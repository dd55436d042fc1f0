"""Options of optimizers: what is known, what is allowed, and a message with the cure for the rest.

The one trick: options are checked by name against one table, whether they come from a
constructor, a parameter group, a loaded state or a scheduler that has just written `group["lr"]`.
"""

import difflib
import inspect
import math

import numpy as np

from minigrad.engine import Recorded, describe
from minigrad.optim.rules import anatomy

# fmt: off
AT_LEAST_0 = (0, math.inf, "a finite number of at least 0")
BELOW_1    = (0, 1,        "at least 0 and below 1")
UP_TO_1    = (0, math.nextafter(1, 2), "from 0 to 1")
WITHIN_1   = (math.nextafter(0, 1), 1, "above 0 and below 1")
ABOVE_1    = (math.nextafter(1, 2), math.inf, "a finite number above 1")
BELOW_100  = (0, 100,      "a whole number from 0 to 99")
ANY_NUMBER = (-math.inf, math.inf, "a finite number")

RANGES = {  # name: (least, below, in words)
    "lr":           AT_LEAST_0,  "eps":       AT_LEAST_0,  "momentum": AT_LEAST_0,
    "weight_decay": AT_LEAST_0,  "lr_decay":  AT_LEAST_0,  "initial_accumulator_value": AT_LEAST_0,
    "alpha":        BELOW_1,     "beta1":     BELOW_1,     "beta2":    BELOW_1,
    "dampening":    ANY_NUMBER,  "rho":       UP_TO_1,     "momentum_decay": AT_LEAST_0,
    "etas[0]":      WITHIN_1,    "etas[1]":   ABOVE_1,     "ns_steps": BELOW_100,
    "step_sizes[0]": AT_LEAST_0, "step_sizes[1]": AT_LEAST_0,
}
SEVERAL = {  # options that are several numbers: what each is called in RANGES and in messages
    "betas":           ("beta1", "beta2"),
    "etas":            ("etas[0]", "etas[1]"),
    "step_sizes":      ("step_sizes[0]", "step_sizes[1]"),
    "ns_coefficients": ("ns_coefficients[0]", "ns_coefficients[1]", "ns_coefficients[2]"),
}
FLAGS = {"nesterov", "centered", "maximize", "eps_inside_sqrt", "decoupled_weight_decay",
         "error_if_nonfinite"}
CHOICES = {
    "form":         ("torch", "sutskever"),
    "decay":        ("torch", "paper"),
    "convention":   ("torch", "corrected", "paper"),
    "amsgrad":      (False, True, "torch", "corrected", "paper"),
    "adjust_lr_fn": (None, "original", "match_rms_adamw"),
}
MEANT = {   # what people write, and what it is called here
    "learning_rate": "lr",     "eta":   "lr",     "step_size": "lr",    "epsilon": "eps",
    "beta1":         "betas",  "beta2": "betas",  "rho":       "alpha", "l2":      "weight_decay",
}
# fmt: on

# What a group holds beside options: its tensors, and what schedulers keep there.
KEPT_IN_GROUPS = {"params", "param_names", "name", "initial_lr", "max_lr", "min_lr",
                  "max_momentum", "base_momentum"}


def default_options(rule):
    """{option: default} of the optimizer made from a rule: its hyperparameters, as a user gives
    them, and what every optimizer can do besides."""
    options = dict(anatomy(rule).hyperparameters)
    if "beta1" in options and "beta2" in options:
        betas = options.pop("beta1"), options.pop("beta2")
        options["betas"] = inspect.Parameter.empty if inspect.Parameter.empty in betas else betas
    if "weight_decay" not in options:
        options["weight_decay"] = 0
        if "lr" in options:
            options["decoupled_weight_decay"] = False
    options.setdefault("maximize", False)
    options.setdefault("error_if_nonfinite", False)
    return options


def checked(options, known, rule, who):
    """The options with plain Python numbers in them. Refuses unknown names and senseless values.

    Raises TypeError for an unknown name or a wrong kind of value, ValueError for a wrong value.
    """
    result, declared = {}, anatomy(rule).hyperparameters
    for name, value in options.items():
        if name in known:
            result[name] = checked_value(name, value, declared.get(name), who)
        elif name not in KEPT_IN_GROUPS:
            raise TypeError(unknown(name, known, who))
    return result


def unknown(name, known, who):
    """The message for an option that does not exist, with the name that was probably meant."""
    meant = MEANT.get(name)
    near = [meant] if meant in known else difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{who} has no option '{name}'; {hint}It has {', '.join(sorted(known))}"


def checked_value(name, value, default, who):
    """One option, as a plain Python value. `default` (the rule's own) tells what kind it is of,
    where the name does not."""
    if name in SEVERAL:
        return several(name, value, default, who)
    if name in CHOICES:
        if not any(value is choice or (isinstance(value, str) and value == choice)
                   for choice in CHOICES[name]):
            raise ValueError(f"{who}: {name} is {value!r}; choose one of "
                             + ", ".join(map(repr, CHOICES[name])))
        return value
    if name in FLAGS or isinstance(default, bool):
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{who}: {name} is {value!r}; it must be True or False")
        return bool(value)
    if name in RANGES or isinstance(default, (int, float)):
        return number(name, value, who)
    return value


def several(name, value, default, who):
    """An option that is a pair or a triple, as a tuple of plain numbers."""
    called = SEVERAL[name]
    if not isinstance(value, (tuple, list)) or len(value) != len(called):
        example = (0.9, 0.999) if name == "betas" else default
        raise TypeError(f"{who}: {name} is {value!r}; give {('two', 'three')[len(called) - 2]} "
                        f"numbers, {name}={example}")
    values = tuple(number(part, item, who) for part, item in zip(called, value))
    if name == "step_sizes" and values[0] > values[1]:
        raise ValueError(f"{who}: step_sizes is {values}; the least comes first, then the most")
    return values


def number(name, value, who):
    """A finite Python number, in its range. (A NumPy scalar would widen float32 parameters.)"""
    plain = value.array if isinstance(value, Recorded) else value
    if isinstance(plain, (np.ndarray, np.generic)) and plain.size == 1:
        plain = plain.item()
    if type(plain) not in (int, float):
        raise TypeError(f"{who}: {name} is {value!r}, a {type(value).__name__}; "
                        "it must be a number")
    least, below, words = RANGES.get(name, ANY_NUMBER)
    if name == "ns_steps" and type(plain) is not int:
        raise TypeError(f"{who}: ns_steps is {plain}; it must be {words}")
    if not (least <= plain < below and math.isfinite(plain)):
        raise ValueError(f"{who}: {name} is {plain}; it must be {words}")
    return plain


# --- parameters ----------------------------------------------------------------------------------

def groups_of(params):
    """What a user may pass as params, as a list of fresh groups: dicts with "params" in them."""
    if isinstance(params, Recorded):
        raise TypeError(f"params is a single {describe(params)}; put it in a list: [tensor]")
    if isinstance(params, (set, frozenset)):
        raise TypeError("params is a set, whose order changes from run to run; pass a list")
    if isinstance(params, dict):
        raise TypeError('params is a dict; pass a list of groups, [{"params": ...}], or the '
                        "tensors themselves")
    if hasattr(params, "parameters"):
        raise TypeError(f"params is a {type(params).__name__}; pass its .parameters()")
    try:
        entries = list(params)
    except TypeError:
        raise TypeError(f"params is a {type(params).__name__}; pass tensors, (name, tensor) pairs "
                        "or group dicts, e.g. model.parameters()") from None
    if not entries:
        raise ValueError("optimizer got an empty parameter list; a model without parameters, or a "
                         "generator that was used before? Call model.parameters() anew")
    if not isinstance(entries[0], dict):
        return [{"params": entries}]
    return [dict(entry) if isinstance(entry, dict) else entry for entry in entries]


def named_tensors(params):
    """The tensors of one group and their names (None where unknown), checked one by one."""
    if isinstance(params, Recorded):
        params = [params]
    if isinstance(params, (set, frozenset)):
        raise TypeError("params of a group is a set, whose order changes from run to run; "
                        "pass a list")
    entries = list(params)
    pairs = [entry for entry in entries if isinstance(entry, tuple)]
    if pairs and len(pairs) != len(entries):
        raise ValueError("some parameters come with a name and some without; name all or none")
    given = [pair[0] for pair in pairs]
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise ValueError(f"two parameters of a group have the name '{twice}'; rename one")
    names, tensors = [], []
    for i, entry in enumerate(entries):
        name, p = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        if not isinstance(p, Recorded):
            raise TypeError(f"parameter {i} is a {type(p).__name__}; optimizers take Tensors, "
                            "(name, Tensor) pairs or group dicts")
        if p.op is not None and p.requires_grad:
            raise ValueError(f"can't optimize a non-leaf Tensor: the {describe(p)}; optimize what "
                             "it was computed from, or its .detach().requires_grad_()")
        if p.array.dtype.kind != "f":
            raise ValueError(f"can't optimize the {describe(p)} and dtype {p.array.dtype}; only "
                             "floating-point tensors have gradients: convert it, e.g. by .float()")
        names.append(p.name if name is None else str(name))
        tensors.append(p)
    return tensors, names
