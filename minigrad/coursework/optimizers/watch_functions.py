"""Runs update functions: each argument is recognized by its name, each result by its place.

The one trick: a function is asked in the words of its own signature. `f(w, g, m, v, t, lr)` is
called for one array after the other, `f(parameters, grads, v, s, t, ...)` for lists or for
dictionaries W1, b1, dW1, db1; what it returns, or changes in place, is what it is given next.
"""

import dis
from collections import namedtuple

import numpy as np

from minigrad.coursework.optimizers.layouts import Parameter, numbers
from minigrad.coursework.optimizers.naming import (
    aliases,
    functions_in,
    is_count,
    is_number,
    parameters_of,
    plain_name,
    state_names,
    strings_in,
)
from minigrad.coursework.optimizers.reference import FAMILIES

# fmt: off
WEIGHTS = {"w", "p", "theta", "param", "params", "parameter", "parameters", "weights", "weight",
           "x", "thetas", "ws", "values", "variables", "vars", "var", "modelparams", "model",
           "net", "network", "layers", "layer", "paramlist", "target", "parms", "variable",
           "namedparameters", "pytree", "xs", "coeffs"}
GRADIENTS = {"dw", "g", "grad", "grads", "gradients", "gradient", "dx", "dtheta", "gs", "dp", "gw",
             "dparams", "gradswrtparams", "gradwrtw", "paramgrad", "paramgrads", "derivatives",
             "derivs", "dws", "updates", "gradw", "nabla", "dparam", "gt", "weightgrad", "gradlist"}
CONFIGS = {"config", "cfg", "conf", "hyperparams", "hyperparameters", "hp", "hparams", "optconfig",
           "options", "opts", "settings"}
STATES = {"state", "states", "optstate", "cache", "caches", "memory", "optstates"}
KEYS = {"name", "key", "paramname", "layername", "idx", "index", "id", "paramid"}
# fmt: on

# A way to hold several arrays: `keys` of a dict (None: a list; EACH: one call for each array), and
# what stands before the keys of gradients and of states.
Pack = namedtuple("Pack", "name keys gradient state", defaults=("", ""))
NAMES = ("W1", "b1", "W2", "b2")
EACH, LISTS = Pack("each array", "each"), Pack("lists", None)
DICTS = (Pack("dictionaries W1, b1, dW1", NAMES, "d", "d"),
         Pack("dictionaries W1, b1", NAMES), Pack("dictionaries W1, b1, dW1", NAMES, "d", ""))


def packed(pack, values, prefix=""):
    values = [*values]
    if pack.keys is None or pack.keys == "each":
        return values
    return {prefix + key: value for key, value in zip(pack.keys, values)}


def unpacked(pack, held, prefix=""):
    if isinstance(held, dict):
        return [held[prefix + key] for key in pack.keys]
    return [*held]


def tried_packs(names):
    """The packs in the order in which a function's names make them likely."""
    first = plain_name(names[0]) if names else ""
    if first in {"parameters", "modelparams"}:
        return (*DICTS, LISTS, EACH)
    if first.endswith("s") and first in WEIGHTS or first in {"layers", "paramlist"}:
        return (LISTS, *DICTS, EACH)
    return (EACH, LISTS, *DICTS)


def roles_of(function, rule, takes):
    """{argument: role}: "w", "g", "t", "key", "config", "states", a state, ("option", name), or
    ("extra", name) for a state that the rule does not have. names= may say w, g and t, too."""
    parameters = [p for p in parameters_of(function)
                  if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    states = FAMILIES[rule].states
    said = {theirs: ours for ours, theirs in takes.items() if ours in {"w", "g", "t", *states}}
    options = {theirs: name for name, theirs in takes.items() if theirs not in said}
    roles = {p.name: said[p.name] for p in parameters if p.name in said}
    left = [p for p in parameters if p.name not in roles]
    for role, names in (("w", WEIGHTS), ("g", GRADIENTS)):
        free = [p for p in left if p.name not in roles and p.name not in options]
        exact = [p.name for p in free if plain_name(p.name) in names and p.name != "G"]
        if exact and role not in roles.values():
            roles[exact[0]] = role
    for p in left:
        if p.name in roles:
            continue
        plain = plain_name(p.name)
        role = (("option", options[p.name]) if p.name in options else
                "config" if plain in CONFIGS else "key" if plain in KEYS else
                "t" if is_count(p.name) and "t" not in roles.values() else None)
        if role:
            roles[p.name] = role
    left = [p for p in parameters if p.name not in roles]
    for state, name in state_names(states, [p.name for p in left]).items():
        roles[name] = state
    left = [p for p in left if p.name not in roles and p.default is p.empty]
    for p in left:
        missing = [state for state in states if state not in roles.values()]
        all_of_them = plain_name(p.name) in STATES and len(missing) == len(states) > 1
        roles[p.name] = ("states" if all_of_them else
                         missing[0] if missing else ("extra", p.name))
    return roles


def returned_names(function):
    """The names in a function's last `return a, b, c`, or None."""
    inner = functions_in(function)[:1]
    loaded, found = [], None
    for one in dis.get_instructions(inner[0].__code__) if inner else ():
        if one.opname.startswith("LOAD_FAST") or one.opname == "LOAD_DEREF":
            loaded += one.argval if isinstance(one.argval, tuple) else (one.argval,)
        elif one.opname == "BUILD_TUPLE":
            found, loaded = loaded[-one.arg:] if len(loaded) >= one.arg else None, []
        elif one.opname not in {"RETURN_VALUE", "NOP"}:
            loaded = []
    return found


class Calls:
    """A function that is called again and again for the same weights.

    functions: one for all, or one for each array (objects that keep the states of one array).
    """

    def __init__(self, functions, rule, run, takes, pack, rate=None):
        self.functions, self.rule, self.run, self.takes = functions, rule, run, takes
        self.pack, self.change_rate = pack, rate
        self.roles = roles_of(functions[0], rule, takes)
        if "w" not in self.roles.values() and "g" not in self.roles.values():
            raise TypeError("no argument is known as the weights or their gradient")
        signature = {p.name: p for p in parameters_of(functions[0])}
        self.signature = signature
        self.names = returned_names(functions[0])
        self.on_objects = "g" not in self.roles.values()
        self.held = packed(pack, [w.copy() for w in run.weights])
        self.states, self.fresh = {}, not any(run.states)
        for role in self.state_roles():
            starts = [start.get(role, np.zeros_like(w)).copy()
                      for start, w in zip(run.states, run.weights)]
            self.states[role] = packed(pack, starts, pack.state)
        self.config = None

    def state_roles(self):
        return [role for role in self.roles.values() if role in FAMILIES[self.rule].states
                or isinstance(role, tuple) and role[0] == "extra"]

    def step(self, i, gradients):
        self.i, self.fresh_now = i, self.fresh and i == 0
        if self.pack is not EACH:
            given = packed(self.pack, gradients, self.pack.gradient)
            self.put(self.called(self.functions[0], self.held, given, self.states), None)
            return
        for k, g in enumerate(gradients):
            mine = {role: held[k] for role, held in self.states.items()}
            function = self.functions[min(k, len(self.functions) - 1)]
            self.put(self.called(function, self.held[k], g, mine, k), k)

    def called(self, function, held, gradients, states, k=0):
        run, i = self.run, self.i
        given, after_gap = {}, False
        values = {"w": held, "g": gradients, "t": run.t + i, "key": f"parameter{k}"}
        for name, role in self.roles.items():
            if role in states and self.fresh_now and self.has_default(name):
                continue  # m=None: the function makes its own start
            if isinstance(role, tuple) and role[0] == "option":
                given[name] = self.setting(role[1], name)
            elif role in states:
                given[name] = states[role]
            elif role in values:
                given[name] = values[role]
            else:
                raise TypeError(f"what is {name!r}? ({role})")
        positional = []
        for name, p in self.signature.items():
            if p.kind is p.POSITIONAL_ONLY and name in given and not after_gap:
                positional.append(given.pop(name))
            else:
                after_gap = True
        return function(*positional, **given)

    def has_default(self, name):
        p = self.signature[name]
        return p.default is not p.empty

    def setting(self, name, theirs):
        settings = self.run.settings[self.i]
        if plain_name(theirs) == "betas":
            return settings["beta1"], settings["beta2"]
        return settings[name]

    def put(self, result, k):
        """Takes what a call returned as the weights and states of the next."""
        if result is None:
            return
        order = ["w"] + [role for role in self.roles.values() if role in self.states]
        if not isinstance(result, tuple):
            result = (result,)
        elif self.names and len(self.names) == len(result):
            by_name = [self.roles.get(name) for name in self.names]
            order = by_name if "w" in by_name and set(self.states) <= set(by_name) else order
        counted = iter(order)
        for value in result:
            role = next(counted, None)
            while role not in (None, "w") and role not in self.states:
                role = next(counted, None) if role != "t" else None
            if role is None or role == "w" and isinstance(value, dict) and self.pack is EACH:
                break
            if is_number(value) and self.run.weights[0].ndim and role != "w":
                continue  # a count that is returned, too
            place = self.held if role == "w" else self.states[role]
            if k is not None:
                place[k] = value
            elif role == "w":
                self.held = value
            else:
                self.states[role] = value

    def weights(self):
        return [numbers(w) for w in unpacked(self.pack, self.held)]

    def seen_states(self):
        count = len(self.run.weights)
        found = [{} for _ in range(count)]
        for role in FAMILIES[self.rule].states:
            if role in self.states:
                held = unpacked(self.pack, self.states[role], self.pack.state)
                for k in range(count):
                    value = numbers(held[k])
                    if value is not None and value.shape == self.run.weights[k].shape:
                        found[k][role] = value
        return found

    def set_rate(self, value):
        if "lr" in self.takes and ("option", "lr") in self.roles.values():
            return True
        return bool(self.change_rate) and self.change_rate(value)


class Configured:
    """f(w, dw, config) -> (next_w, config), CS231n's form: whatever is kept is in config.

    count: who counts the steps? None: the function, from nothing; "given": it wants t to start
    from; "caller": it wants t of each step. keys: {state: its key}, and begin: the count that it
    finds, to start in the middle.
    """

    def __init__(self, student, rule, run, takes, count=None, keys=None, begin=None):
        self.student, self.rule, self.run, self.takes = student, rule, run, takes
        self.count = count
        self.keys = keys or {}
        self.held, self.configs, self.counts = [w.copy() for w in run.weights], [], []
        spoken = strings_in(student)
        self.names = {n: [theirs, *aliases(n, takes, spoken)] for n, theirs in takes.items()
                      if n in run.settings[0]}
        for start in run.states:
            config = {key: run.settings[0][n] for n, keys in self.names.items() for key in keys}
            if "betas" in takes.values():
                config["betas"] = run.settings[0]["beta1"], run.settings[0]["beta2"]
            config.update({self.keys[s]: x.copy() for s, x in start.items() if s in self.keys})
            if start or count:
                config[self.clock()] = run.t - 1 if begin is None else begin
            self.configs.append(config)

    def given(self, i):
        """The hyperparameters that are arguments, and no keys of config."""
        names = {p.name for p in parameters_of(self.student)[3:]}
        return {theirs: self.run.settings[i][n] for n, theirs in self.takes.items()
                if theirs in names and n in self.run.settings[i]}

    def clock(self):
        spoken = [key for key in strings_in(self.student) if is_count(key)]
        return min(spoken, key=lambda key: (key != "t", key), default="t")

    def step(self, i, gradients):
        for k, g in enumerate(gradients):
            if self.count == "caller":
                self.configs[k][self.clock()] = self.run.t + i
            result = self.student(self.held[k], g, self.configs[k], **self.given(i))
            if not (isinstance(result, (tuple, list)) and len(result) == 2):
                raise ValueError(f"the function returned {type(result).__name__}; it must return "
                                 "(next_w, config)")
            self.held[k] = result[0]
            self.configs[k] = result[1] if isinstance(result[1], dict) else self.configs[k]
        self.counts.append(self.configs[0].get(self.clock()))

    def count_before(self, t):
        """What the count in config is before step t, as the first two steps tell: some start it at
        0, some at 1, and it may be stuck. None if it is not kept."""
        if len(self.counts) < 2 or not all(map(is_number, self.counts[:2])):
            return None
        first, second = self.counts[:2]
        return first + (t - 2) * (second - first) if second != first else first + t - 1

    def weights(self):
        return [np.array(w) for w in self.held]

    def seen_states(self):
        found = []
        for config, w in zip(self.configs, self.run.weights):
            arrays = {key: numbers(value) for key, value in config.items()}
            arrays = {key: x for key, x in arrays.items() if x is not None and x.shape == w.shape
                      and (x.ndim or not isinstance(config[key], int))}
            if not self.keys:
                self.keys = state_names(FAMILIES[self.rule].states, arrays)
            found.append({s: arrays[key] for s, key in self.keys.items() if key in arrays})
        return found

    def set_rate(self, value):
        for config in self.configs:
            config.update(dict.fromkeys(self.names.get("lr", ["learning_rate"]), value))
        return True


class OnObjects:
    """f(params, states, hyperparams) as in d2l: params carry .grad, states are lists of arrays or
    of tuples, one for each parameter; both are changed in place."""

    def __init__(self, student, rule, run, takes, layout, tuples):
        self.student, self.run, self.takes, self.rule = student, run, takes, rule
        self.layout = layout
        self.roles = roles_of(student, rule, takes)
        if "g" in self.roles.values() or "w" not in self.roles.values():
            raise TypeError("params with .grad need an argument `params` and none for gradients")
        self.parameters = [layout.parameter(w.copy()) for w in run.weights]
        self.states = [tuple(layout.parameter(start.get(s, np.zeros_like(w)).copy()) if
                             not isinstance(self.parameters[0], Parameter) else
                             start.get(s, np.zeros_like(w)).copy()
                             for s in FAMILIES[rule].states)
                       for w, start in zip(run.weights, run.states)]
        if any(hasattr(one, "requires_grad_") for kept in self.states for one in kept):
            self.states = [tuple(one.detach() for one in kept) for kept in self.states]
        self.given_states = self.states if tuples else [one[0] for one in self.states]
        self.spoken = {key: name for name, key in takes.items()}
        self.config = {key: run.settings[0][name] for key, name in self.spoken.items()
                       if name in run.settings[0]}
        for key in strings_in(student):
            if is_count(key):
                self.config[key] = run.t
        self.gradients = []

    def step(self, i, gradients):
        for parameter, g in zip(self.parameters, gradients):
            parameter.grad = self.layout.gradient(g)
        given = {}
        for name, role in self.roles.items():
            given[name] = (self.parameters if role == "w" else
                           self.config if role == "config" else self.run.t + i if role == "t" else
                           self.run.settings[i][role[1]] if role[0] == "option" else
                           self.given_states)
        self.student(**given)

    def weights(self):
        return [numbers(p) for p in self.parameters]

    def seen_states(self):
        return [{s: numbers(x) for s, x in zip(FAMILIES[self.rule].states, kept)}
                for kept in self.states]

    def set_rate(self, value):
        if "lr" in self.takes:
            self.config[self.takes["lr"]] = value
        return "lr" in self.takes
