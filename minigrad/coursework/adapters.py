"""Runs a student's optimizer on a probe, in whatever form a course asks for it.

The one trick: names are guessed from what the student's code itself names (its signature, the keys
it reads), and what it does not take is not tested: the reference then uses the usual value.

    "cs231n"  f(w, dw, config) -> (next_w, config)
    "rule"    f(w, g, *states, t, *, lr, ...) -> (w, *states), as in minigrad.optim.rules
    "class"   student(params, lr=..., ...), a class or factory; step() changes params' .data
"""

import inspect
import sys
from types import SimpleNamespace

import numpy as np

from minigrad.coursework.probes import cold_run, settings_for, warm_run
from minigrad.coursework.reference import FAMILIES, settings_of
from minigrad.coursework.search import Record

# fmt: off
OPTION_NAMES = {  # what courses call a hyperparameter; the first that the student's code has
    "lr":           ("lr", "learning_rate", "eta", "step_size", "alpha"),
    "beta1":        ("beta1", "b1", "beta_1"),
    "beta2":        ("beta2", "b2", "beta_2"),
    "eps":          ("eps", "epsilon", "e"),
    "momentum":     ("momentum", "mu", "beta", "rho", "gamma", "beta1"),
    "alpha":        ("decay_rate", "alpha", "rho", "beta", "gamma", "decay", "beta2"),
    "weight_decay": ("weight_decay", "wd", "l2", "reg", "lambda_", "weightdecay"),
}
STATE_NAMES = {
    "m":     ("m", "exp_avg", "ms", "moment1", "first_moment", "grad_avg", "u"),
    "v":     ("v", "exp_avg_sq", "square_avg", "vs", "cache", "s", "moment2", "second_moment"),
    "b":     ("velocity", "momentum_buffer", "b", "v", "u", "buf", "vs", "velocities"),
    "G":     ("cache", "G", "sum", "accumulator", "s", "h"),
    "v_max": ("v_max", "max_exp_avg_sq", "vmax", "max_v", "v_hat_max"),
}
# fmt: on
FLOAT64, FLOAT32 = (1e-9, 1e-7), (2e-5, 5e-4)


def kind_of(student):
    """ "class", "cs231n" or "rule", told by the signature.

    Raises TypeError for what cannot be called.
    """
    if inspect.isclass(student):
        return "class"
    if not callable(student):
        raise TypeError(f"student is a {type(student).__name__}; give a function f(w, dw, config),"
                        " a rule, a class with step(), or the path of a trace")
    parameters = [*inspect.signature(student).parameters.values()]
    names = [parameter.name for parameter in parameters]
    if len(names) >= 3 and names[2] in {"config", "cfg", "state", "conf"}:
        return "cs231n"
    if names and names[0] in {"w", "p", "theta", "param"} and len(names) > 2:
        return "rule"
    return "class"


def observed(student, rule, kind=None, names=None, seed=0, layout=None):
    """([Record of each run], [notes], {causes seen from outside}) of a student.

    Raises ValueError where the student's code fails on every form it could be meant in, with its
    own error as the cause.
    """
    kind = kind_of(student) if kind is None else kind
    if kind not in WATCHERS:
        raise ValueError(f"kind is {kind!r}; choose one of {', '.join(WATCHERS)}")
    takes, notes = options_taken(student, rule, kind, names or {})
    settings = {**settings_of(rule), **{n: x for n, x in settings_for(seed).items() if n in takes}}
    runs = [cold_run(seed, settings=settings)]
    if kind != "class" and FAMILIES[rule].states:
        runs.insert(0, warm_run(FAMILIES[rule].states, seed, settings=settings))
    records, outside = [], set()
    with np.errstate(all="ignore"):
        for run in runs:
            try:
                seen = WATCHERS[kind](student, rule, run, takes, outside, layout, notes)
            except Exception as error:  # a student's code may fail in any way
                raise ValueError(f"the optimizer failed in the {run.name} run: "
                                 f"{type(error).__name__}: {error}") from error
            if any(value.shape != w.shape for step in seen for value, w in
                   zip((one["w"] for one in step), run.weights)):
                raise ValueError("the optimizer returned weights of another shape than it got: "
                                 f"{seen[0][0]['w'].shape}, not {run.weights[0].shape}")
            sample = seen[0][0]["w"]
            single = getattr(sample, "dtype", None) == np.float32
            records.append(Record(run, seen, FLOAT32 if single else FLOAT64))
    return records, notes, outside


def options_taken(student, rule, kind, names):
    """({our name: the student's}, notes): which hyperparameters of a rule the student takes."""
    wanted, notes = settings_of(rule), []
    if kind == "cs231n":
        spoken = strings_in(student)
        free = "learning_rate" not in spoken  # hidden behind another function: the usual keys
        usual = {"lr": "learning_rate", "eps": "epsilon", "alpha": "decay_rate"}
        found = {name: usual.get(name, name) for name in wanted
                 if name != "weight_decay"} if free else guessed(wanted, spoken)
    else:
        parameters = inspect.signature(student).parameters.values()
        spoken = {parameter.name for parameter in parameters}
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            spoken |= set(wanted) - {"beta1", "beta2"} | {"betas"}
        if "beta1" in wanted and "betas" in spoken:
            wanted = {name: x for name, x in wanted.items() if name[:-1] != "beta"}
            found = {"beta1": "betas", "beta2": "betas", **guessed(wanted, spoken)}
        else:
            found = guessed(wanted, spoken)
    found.update(names)
    missing = sorted(set(settings_of(rule)) - set(found))
    if missing:
        notes.append("not taken, so not tested: " + ", ".join(missing))
    return found, notes


def guessed(wanted, spoken):
    """{our name: the student's}, each of the student's names used once."""
    found = {}
    for name in wanted:
        for candidate in OPTION_NAMES[name]:
            if candidate in spoken and candidate not in found.values():
                found[name] = candidate
                break
    return found


def strings_in(function):
    """The strings that a function's code contains: the keys it may read."""
    found = [*getattr(getattr(function, "__code__", None), "co_consts", ())]
    for constant in found:
        if isinstance(constant, tuple):  # for key in ("m", "v"): a constant of constants
            found.extend(constant)
    return {constant for constant in found if isinstance(constant, str)}


def state_key(state, spoken, taken=()):
    """The student's name of a state: the first usual one that occurs, or ours."""
    for name in STATE_NAMES[state]:
        if name in spoken and name not in taken:
            return name
    return state


# --- functions -----------------------------------------------------------------------------------

def watch_function(student, rule, run, takes, outside, layout, notes):
    """What f(w, dw, config) does on a Run."""
    states = FAMILIES[rule].states
    spoken, keys = strings_in(student), {}
    for state in states:
        keys[state] = state_key(state, spoken, keys.values())
    weights, configs = [w.copy() for w in run.weights], []
    for start in run.states:
        config = {takes[name]: value for name, value in run.settings[0].items() if name in takes}
        if start:
            config.update({keys[state]: start[state].copy() for state in states}, t=run.t - 1)
        configs.append(config)
    seen = []
    for i, gradients in enumerate(run.gradients):
        seen.append([])
        for k, g in enumerate(gradients):
            if i and run.settings[i]["lr"] != run.settings[i - 1]["lr"]:
                configs[k][takes.get("lr", "learning_rate")] = run.settings[i]["lr"]
            given = g.copy()
            result = student(weights[k], given, configs[k])
            if not (isinstance(result, tuple) and len(result) == 2):
                raise ValueError(f"the function returned {type(result).__name__}; it must return "
                                 "(next_w, config)")
            weights[k] = np.array(result[0])
            configs[k] = result[1] if isinstance(result[1], dict) else configs[k]
            noted(outside, g, given)
            kept = {s: np.array(configs[k][key]) for s, key in keys.items() if key in configs[k]}
            seen[-1].append({"w": weights[k].copy(), **kept})
    return seen


def watch_rule(student, rule, run, takes, outside, layout, notes):
    """What a pure rule does on a Run."""
    ours = FAMILIES[rule].states
    parameters = inspect.signature(student).parameters.values()
    named = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD
             and p.default is p.empty][2:]
    counts = named[-1:] == ["t"]
    named = named[:-1] if counts else named
    keys = {}
    for state in ours:
        keys[state] = state_key(state, named, keys.values())
    if len(named) == len(ours) and not set(keys.values()) <= set(named):
        keys = dict(zip(ours, named))
    starts = [{keys[s]: x.copy() for s, x in start.items()} for start in run.states]
    kept = [[start.get(name, 0.0) for name in named] for start in starts]
    weights, seen = [w.copy() for w in run.weights], []
    for i, gradients in enumerate(run.gradients):
        options = {takes[name]: x for name, x in run.settings[i].items()
                   if name in takes and takes[name] != "betas"}
        if "betas" in takes.values():
            options["betas"] = run.settings[i]["beta1"], run.settings[i]["beta2"]
        seen.append([])
        for k, g in enumerate(gradients):
            given = g.copy()
            clock = (run.t + i,) if counts else ()
            result = student(weights[k], given, *kept[k], *clock, **options)
            weights[k], *kept[k] = result if isinstance(result, tuple) else (result,)
            noted(outside, g, given)
            by_name = dict(zip(named, kept[k]))
            seen[-1].append({"w": np.array(weights[k]),
                             **{s: np.array(by_name[n]) for s, n in keys.items() if n in by_name}})
    return seen


def noted(outside, before, after):
    """Notes a gradient that the student has changed."""
    if not np.array_equal(before, after, equal_nan=True):
        outside.add("gradient-mutated")


# --- classes -------------------------------------------------------------------------------------

class Parameter:
    """What a course's optimizer sees: .data and .grad are arrays."""

    requires_grad = True

    def __init__(self, data):
        self.data, self.grad = data, None

    @property
    def shape(self):
        return self.data.shape


def minigrad_parameter(data):
    from minigrad import tensor
    return tensor(data, requires_grad=True)


def torch_parameter(data):
    return sys.modules["torch"].tensor(data, requires_grad=True)


def arrays(data):
    return data


# How a parameter is made, and what its .grad is made of. An adapter is such a thing, too.
LAYOUTS = {
    "arrays":   SimpleNamespace(parameter=Parameter, gradient=arrays),
    "minigrad": SimpleNamespace(parameter=minigrad_parameter,
                                gradient=lambda g: minigrad_parameter(g).detach()),
    "torch":    SimpleNamespace(parameter=torch_parameter,
                                gradient=lambda g: sys.modules["torch"].tensor(g)),
}


def numbers(value):
    """The array in a parameter, tensor or array; None if there is none."""
    for _ in range(3):
        if isinstance(value, (np.ndarray, np.generic, float, int)):
            return np.array(value)
        if hasattr(value, "detach"):
            value = value.detach()
        value = value.numpy() if hasattr(value, "numpy") else getattr(value, "data", None)
    return None


def watch_class(student, rule, run, takes, outside, layout, notes):
    """What a class with step() does on a Run, in the first layout that it can work with."""
    if layout is not None:
        tries = [LAYOUTS.get(layout, layout) if isinstance(layout, str) else layout]
    else:
        module = (getattr(student, "__module__", None) or "").split(".")[0]
        order = sorted(LAYOUTS, key=lambda name: name != module)
        tries = [LAYOUTS[name] for name in order if name != "torch" or "torch" in sys.modules]
    failure = None
    for one in tries:
        try:
            return watch_in(one, student, rule, run, takes, outside)
        except Exception as error:  # a student's code may fail in any way
            failure = failure or error
    raise failure


def watch_in(layout, student, rule, run, takes, outside):
    parameters = [layout.parameter(w.copy()) for w in run.weights]
    options = {takes[name]: x for name, x in run.settings[0].items()
               if name in takes and takes[name] != "betas"}
    if "betas" in takes.values():
        options["betas"] = run.settings[0]["beta1"], run.settings[0]["beta2"]
    accepted = inspect.signature(student).parameters
    for flag in {"nesterov", "amsgrad"} & {rule} & set(accepted):
        options[flag] = True
    if rule == "nesterov" and "momentum" not in options:
        options["momentum"] = run.settings[0]["momentum"]
    optimizer = student(parameters, **options)
    seen = []
    for i, gradients in enumerate(run.gradients):
        if i and run.settings[i]["lr"] != run.settings[i - 1]["lr"]:
            if not set_rate(optimizer, takes.get("lr", "lr"), run.settings[i]["lr"]):
                run.settings[:] = run.settings[:1] * len(run.settings)  # its rate stays
        for parameter, g in zip(parameters, gradients):
            parameter.grad = layout.gradient(g.copy())
        optimizer.step()
        seen.append([])
        for k, (parameter, g) in enumerate(zip(parameters, gradients)):
            after = numbers(parameter.grad)
            if after is not None and after.shape == g.shape:
                noted(outside, g, after)
            kept = states_of(optimizer, rule, k, parameter, len(parameters))
            seen[-1].append({"w": numbers(parameter.data), **kept})
    return seen


def set_rate(optimizer, name, value):
    """Sets the learning rate of a student's or a library's optimizer. Could it be found?"""
    groups = getattr(optimizer, "param_groups", None)
    if groups:
        for group in groups:
            group["lr"] = value
        return True
    for attribute in (name, *OPTION_NAMES["lr"]):
        if isinstance(vars(optimizer).get(attribute), float):
            setattr(optimizer, attribute, value)
            return True
    return False


def states_of(optimizer, rule, k, parameter, count):
    """The states that a class keeps for a parameter, where they can be found under usual names."""
    found, used = {}, set()
    inner = vars(optimizer).get("state")
    places = {**vars(optimizer)}
    if isinstance(inner, dict) and is_in(parameter, inner) and isinstance(inner[parameter], dict):
        places = {name: [value] * count for name, value in inner[parameter].items()}
    for state in FAMILIES[rule].states:
        for name in STATE_NAMES[state]:
            if name in places and name not in used:
                value = part_of(places[name], k, parameter, count)
                if value is not None and value.shape == numbers(parameter.data).shape:
                    found[state] = value
                    used.add(name)
                    break
    return found


def part_of(value, k, parameter, count):
    """What a list or dict of states holds for one parameter, as an array; None if unclear."""
    if isinstance(value, (list, tuple)) and len(value) == count:
        return numbers(value[k])
    if isinstance(value, dict):
        for key in (id(parameter), k, parameter):
            if is_in(key, value):
                return numbers(value[key])
    return None


def is_in(key, mapping):
    try:
        return key in mapping
    except Exception:  # not hashable, or compared elementwise
        return False


WATCHERS = {"cs231n": watch_function, "rule": watch_rule, "class": watch_class}
