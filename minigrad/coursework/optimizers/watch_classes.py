"""Runs optimizers that are objects: class or factory, with its parameters or without.

The one trick: how an object wants to be used can be read off two signatures, its maker's and its
step's. Who takes no parameters at first wants them at every step (`update(params, grads)`), who
takes a model wants layers with W, b, dW, db.
"""

import re

import numpy as np

from minigrad.coursework.optimizers.layouts import Layer, Model, Parameter, numbers
from minigrad.coursework.optimizers.naming import (
    guessed,
    is_count,
    is_number,
    parameters_of,
    plain_name,
    state_names,
)
from minigrad.coursework.optimizers.reference import FAMILIES, settings_of
from minigrad.coursework.optimizers.watch_functions import (
    CONFIGS,
    EACH,
    GRADIENTS,
    WEIGHTS,
    Calls,
    tried_packs,
)

STEPS = ("step", "update", "update_params", "update_parameters", "apply_gradients", "apply",
         "update_weights", "optimize", "update_param", "compute_update", "get_update", "calculate",
         "__call__", "update_one", "minimize", "run")
MODELS = {"model", "net", "network", "layers", "target", "nn"}


def made(student, run, rule, takes, first=()):
    """student(*first, **options): an optimizer. Options that it refuses by name are left out, and
    struck from `takes`."""
    names = {p.name for p in parameters_of(student)}
    options = {}
    for name, theirs in takes.items():
        if name in run.settings[0]:
            pair = plain_name(theirs) == "betas"
            settings = run.settings[0]
            options[theirs] = (settings["beta1"], settings["beta2"]) if pair else settings[name]
    for flag in {"nesterov", "amsgrad"} & {rule} & names:
        options[flag] = True
    if first and names:
        positional = [p for p in parameters_of(student) if p.kind is not p.KEYWORD_ONLY]
        named = next((p for p in positional if plain_name(p.name) in WEIGHTS), None)
        if named is not None and positional[0] is not named and named.kind is not \
                named.POSITIONAL_ONLY:
            options[named.name], first = first[0], ()
    while True:
        try:
            return student(*first, **options)
        except TypeError as error:
            refused = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            if not refused or options.pop(refused[1], None) is None:
                raise
            for name in [name for name, theirs in takes.items() if theirs == refused[1]]:
                del takes[name]


class NoStep(TypeError):
    """An optimizer could be made; how it steps is not known."""

    steps = -0.5  # further than one that could not be made, not as far as one that took a step


def required(function):
    """The names of the arguments that a function cannot do without."""
    return [p.name for p in parameters_of(function) if p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def step_of(optimizer, arguments=0):
    """The bound method that updates: the first that needs so many arguments, or else the first.
    Raises TypeError if there is none."""
    found = []
    for name in STEPS:
        method = getattr(optimizer, name, None)
        if callable(method) and (name != "__call__" or callable(optimizer)):
            found.append(optimizer if name == "__call__" else method)
    enough = [one for one in found if arguments and len(required(one)) >= arguments]
    if found:
        return (enough or found)[0]
    known = [name for name in dir(optimizer) if not name.startswith("_")]
    raise NoStep(f"{type(optimizer).__name__} has no step() or update(); it has "
                 + (", ".join(known[:8]) or "no methods"))


class Objects:
    """Parameters that carry their gradient, in a layout."""

    def __init__(self, layout, weights):
        self.layout = layout
        self.parameters = [layout.parameter(w.copy()) for w in weights]
        for k, parameter in enumerate(self.parameters):
            if isinstance(parameter, Parameter):
                parameter.name = f"parameter{k}"

    def set_gradients(self, gradients):
        for parameter, g in zip(self.parameters, gradients):
            parameter.grad = self.layout.gradient(g)

    def gradients(self):
        return [numbers(parameter.grad) for parameter in self.parameters]

    def weights(self):
        return [numbers(getattr(p, "data", p)) if not isinstance(p, np.ndarray) else np.array(p)
                for p in self.parameters]

    def named(self):
        return [(f"parameter{k}", parameter) for k, parameter in enumerate(self.parameters)]


class Net:
    """A model that gives its parameters away in the usual ways."""

    def __init__(self, objects):
        self.objects = objects

    def parameters(self):
        return self.objects.parameters

    def named_parameters(self):
        return self.objects.named()

    def params(self):
        return iter(self.objects.parameters)

    trainable_params = get_parameters = params


class Layers:
    """Parameters that are W and b of layers."""

    def __init__(self, between, weights):
        self.model = Model([w.copy() for w in weights], between)

    def set_gradients(self, gradients):
        self.model.set_gradients(gradients)

    def gradients(self):
        return self.model.arrays("grads")

    def weights(self):
        return [numbers(w) for w in self.model.arrays()]


# How the parameters are given to a maker, the usual ones first.
FORMS = {
    "a list": lambda objects: objects.parameters,
    "a dictionary": lambda objects: dict(objects.named()),
    "pairs": lambda objects: objects.named(),
    "a model": Net,
}


class Owner:
    """An optimizer that was made with its parameters, and whose step() takes at most gradients."""

    def __init__(self, student, rule, run, takes, holder, form):
        self.rule, self.run, self.holder = rule, run, holder
        self.given = form(holder)
        self.optimizer = made(student, run, rule, takes, (self.given,))
        self.name = takes.get("lr", "lr")
        self.method = step_of(self.optimizer)
        self.wants = required(self.method)
        if len(self.wants) > 1:
            raise TypeError(f"its step takes {', '.join(self.wants)}")

    def step(self, i, gradients):
        self.holder.set_gradients(gradients)
        named = isinstance(self.given, dict)
        if not self.wants:
            self.method()
        elif plain_name(self.wants[0]) in GRADIENTS:
            self.method(dict(zip(self.given, gradients)) if named else gradients)
        elif is_count(self.wants[0]):
            self.method(self.run.t + i)
        else:
            self.method(lambda: 0.0)
        if named:  # an entry may have been replaced
            self.holder.parameters = [*self.given.values()]

    def weights(self):
        return self.holder.weights()

    def seen_states(self):
        count = len(self.run.weights)
        keys = getattr(self.holder, "parameters", [None] * count)
        return [states_of(self.optimizer, self.rule, k, keys[k], count, self.run.weights[k].shape)
                for k in range(count)]

    def set_rate(self, value):
        return set_rate(self.optimizer, self.name, value)


class Handed(Owner):
    """An optimizer without parameters: they come with every step, or by setup()."""

    def __init__(self, student, rule, run, takes, holder, form):
        self.rule, self.run, self.holder = rule, run, holder
        self.optimizer, self.name = made(student, run, rule, takes), takes.get("lr", "lr")
        if hasattr(self.optimizer, "setup"):
            self.optimizer.setup(form(holder))
        self.method = step_of(self.optimizer)
        self.wants, self.form = required(self.method), form
        if len(self.wants) > 1 or not self.wants and not hasattr(self.optimizer, "setup"):
            raise TypeError(f"its step takes {', '.join(self.wants) or 'nothing'}")

    def step(self, i, gradients):
        self.holder.set_gradients(gradients)
        for hook in ("pre_update_params", "pre_update"):
            getattr(self.optimizer, hook, lambda: None)()
        name = plain_name(self.wants[0]) if self.wants else None
        if name is None:
            self.method()
        elif name in {"layer", "l", "layers"} and isinstance(self.holder, Layers):
            for layer in [self.holder.model.held] if name == "layers" else self.holder.model.held:
                self.method(layer)
        elif name in {"p", "param", "parameter"}:
            for parameter in self.holder.parameters:
                self.method(parameter)
        elif "and" in name or "zip" in name:
            held = getattr(self.holder, "parameters", None) or self.holder.model.arrays()
            self.method([*zip(gradients, held)])
        else:
            self.method(self.form(self.holder))
        for hook in ("post_update_params", "post_update"):
            getattr(self.optimizer, hook, lambda: None)()


class Updating(Calls):
    """An object, or a closure, that is called with weights and gradients."""

    def __init__(self, student, rule, run, takes, pack):
        probe = made(student, run, rule, takes)
        method = step_of(probe, 2)
        shared = pack is not EACH or any(plain_name(n) in {"name", "key", "paramname", "layername",
                                                           "idx", "index"} for n in
                                         [p.name for p in parameters_of(method)])
        self.makers = [probe] if shared else [made(student, run, rule, takes)
                                              for _ in run.weights]
        inner = guessed(settings_of(rule), [p.name for p in parameters_of(method)])
        super().__init__([step_of(one, 2) for one in self.makers], rule, run, inner, pack)
        if "g" not in self.roles.values():
            raise TypeError("its step takes no gradients")
        self.rate_name = takes.get("lr", "lr")
        counts = getattr(probe, "step", None)  # beside update(w, g), it only counts
        self.counts = callable(counts) and counts not in self.functions and not required(counts)

    def step(self, i, gradients):
        for hook in ("pre_update_params", "pre_update", *["step"] * self.counts):
            getattr(self.makers[0], hook, lambda: None)()
        super().step(i, gradients)

    @property
    def optimizer(self):
        return self.makers[0]

    def seen_states(self):
        count = len(self.run.weights)
        shared = len(self.makers) == 1
        return [states_of(self.makers[0 if shared else k], self.rule, k, None, count,
                          self.run.weights[k].shape, shared) for k in range(count)]

    def set_rate(self, value):
        if super().set_rate(value):
            return True
        return all([set_rate(one, self.rate_name, value) for one in self.makers])


class Transformed:
    """Functions init(weights) and update(gradients, state, weights) -> (moves, state), as optax has
    them: moves are added. each: called for one array after the other."""

    def __init__(self, student, rule, run, takes, each):
        self.run, self.each = run, each
        self.optimizer = made(student, run, rule, takes)
        if not all(callable(getattr(self.optimizer, name, None)) for name in ("init", "update")):
            raise TypeError(f"{type(self.optimizer).__name__} has no init() and update()")
        self.held = [w.copy() for w in run.weights]
        self.states = [self.optimizer.init(one) for one in self.parts(self.held)]

    def parts(self, arrays):
        return arrays if self.each else [arrays]

    def step(self, i, gradients):
        moves = []
        for k, pair in enumerate(zip(self.parts(gradients), self.parts(self.held))):
            move, self.states[k] = self.optimizer.update(pair[0], self.states[k], pair[1])
            moves += [move] if self.each else move
        moves = [np.asarray(move) for move in moves]
        self.held = [np.asarray(w + move, move.dtype) for w, move in zip(self.held, moves)]

    def weights(self):
        return self.held

    def seen_states(self):
        return [{} for _ in self.held]

    def set_rate(self, value):
        return False


class Threefold(Transformed):
    """Functions (init, update, weights of): update(i, gradient, state) -> state, from step 0 on, as
    the example optimizers of JAX have them."""

    def __init__(self, student, rule, run, takes):
        self.run, self.optimizer = run, made(student, run, rule, takes)
        if not (isinstance(self.optimizer, tuple) and len(self.optimizer) == 3
                and all(map(callable, self.optimizer))):
            raise TypeError(f"{type(self.optimizer).__name__} is not (init, update, weights of)")
        self.states = [self.optimizer[0](w.copy()) for w in run.weights]

    def step(self, i, gradients):
        self.states = [self.optimizer[1](self.run.t - 1 + i, g, state)
                       for g, state in zip(gradients, self.states)]

    @property
    def held(self):
        return [np.asarray(self.optimizer[2](state)) for state in self.states]


# --- attributes ----------------------------------------------------------------------------------

def attributes(optimizer):
    """{name: value} of what an object, or a closure, keeps."""
    found = dict(getattr(optimizer, "__dict__", {}))
    for kind in type(optimizer).__mro__:
        for name in getattr(kind, "__slots__", ()):
            if hasattr(optimizer, name):
                found[name] = getattr(optimizer, name)
    return found


def set_rate(optimizer, name, value):
    """Sets the learning rate of a student's or a library's optimizer. Could it be found?"""
    groups = getattr(optimizer, "param_groups", None)
    if groups and all(isinstance(group, dict) and "lr" in group for group in groups):
        for group in groups:
            group["lr"] = value
        return True
    held = {n: x for n, x in attributes(optimizer).items() if is_number(x)
            or isinstance(x, np.floating)}
    theirs = name if name in held else guessed({"lr": 0}, [n.strip("_") for n in held]).get("lr")
    theirs = next((n for n in held if n == theirs or n.strip("_") == theirs), None)
    if theirs is None:
        return False
    setattr(optimizer, theirs, value)
    if hasattr(optimizer, "current_learning_rate"):
        optimizer.current_learning_rate = value
    return True


def kept_by(optimizer, wanted):
    """{hyperparameter: number} that an optimizer has fixed itself, among those wanted."""
    groups = getattr(optimizer, "param_groups", None)
    held = dict(attributes(optimizer))
    if groups and isinstance(groups[0], dict):
        held.update(groups[0])
    if "betas" in held and isinstance(held["betas"], (tuple, list)) and len(held["betas"]) == 2:
        held["beta1"], held["beta2"] = held["betas"]
    held = {n.strip("_"): x for n, x in held.items() if is_number(x)}
    return {name: float(held[theirs]) for name, theirs in guessed(wanted, held).items()}


def states_of(optimizer, rule, k, parameter, count, shape, shared=True):
    """The states that an object keeps for a parameter, where they are found under usual names."""
    return {state: numbers(raw) for state, raw in
            raw_states(optimizer, rule, k, parameter, count, shape, shared).items()}


def raw_states(optimizer, rule, k, parameter, count, shape, shared=True):
    places = {}
    for name, value in attributes(optimizer).items():
        part = part_of(value, k, parameter, count) if shared else value
        if isinstance(part, dict):
            places.update({str(key): x for key, x in part.items()})
        elif isinstance(part, tuple) and len(part) == len(FAMILIES[rule].states):
            places.update(zip(FAMILIES[rule].states, part))
        else:
            places[name] = part
    if isinstance(parameter, Parameter):  # some keep their states on the parameter
        places.update({n: x for n, x in vars(parameter).items() if n not in {"data", "grad"}})
    fitting = {}
    for name, value in places.items():
        array = None if isinstance(value, (str, Layer, Model)) else numbers(value)
        if array is not None and array.shape == shape and (shape or not is_count(name)):
            fitting[name] = value
    named = state_names(FAMILIES[rule].states, fitting)
    return {state: fitting[name] for state, name in named.items()}


def part_of(value, k, parameter, count):
    """What a list or dict of states holds for one parameter; None if unclear."""
    if isinstance(value, (list, tuple)) and len(value) == count:
        return value[k]
    if isinstance(value, dict):
        for key in (id(parameter), k, parameter, f"parameter{k}"):
            if is_in(key, value):
                return value[key]
        if len(value) == count:
            return [*value.values()][k]
    return None


def is_in(key, mapping):
    try:
        return key in mapping
    except Exception:  # not hashable, or compared elementwise
        return False


# --- which ways to try ---------------------------------------------------------------------------

def ways(student, layouts):
    """[(how, maker of a driver, does it need four parameters?)] in which an object can be meant.

    A maker is called with (student, rule, run, takes).
    """
    names = [p.name for p in parameters_of(student) if p.kind is not p.VAR_KEYWORD]
    plain = [plain_name(name) for name in names]
    takes_model = any(name in MODELS for name in plain)
    takes_some = any(name in WEIGHTS for name in plain)
    owners = [(f"student({how_given}) of {name}", owner(Owner, layout, form), False)
              for how_given, form in FORMS.items() for name, layout in layouts]
    layered = [(f"student(model) of layers{' and activations' * between}",
                layered_owner(Owner, between), True) for between in (False, True)]
    if takes_model:
        owners = [*layered, *sorted(owners, key=lambda way: "a model" not in way[0])]
    handed = [(f"update({how_given}) of {name}", owner(Handed, layout, form), False)
              for how_given, form in FORMS.items() for name, layout in layouts]
    handed = [("update(layer)", layered_owner(Handed, False), True)] + sorted(
        handed, key=lambda way: "a model" not in way[0])
    updating = [(f"update(weights, gradients) of {pack.name}", updater(pack), pack.keys not in
                 (None, "each")) for pack in tried_packs(["w"])]
    pure = [("update(gradients, state, weights) -> (moves, state)", transformed(False), False),
            ("update(gradient, state, weight) -> (move, state)", transformed(True), False),
            ("update(i, gradient, state) -> state", Threefold, False)]
    without = [*pure, *updating, *handed]
    if takes_some:
        return owners
    first = parameters_of(student)[:1]
    needs_one = first and first[0].default is first[0].empty and not CONFIGS & {plain[0]} \
        and not guessed({"lr": 0}, names[:1])
    return [*owners, *without] if needs_one else [*without, *owners]


def owner(kind, layout, form):
    return lambda student, rule, run, takes: kind(student, rule, run, takes,
                                                  Objects(layout, run.weights), form)


def transformed(each):
    return lambda student, rule, run, takes: Transformed(student, rule, run, takes, each)


def layered_owner(kind, between):
    return lambda student, rule, run, takes: kind(student, rule, run, takes,
                                                  Layers(between, run.weights),
                                                  lambda holder: holder.model)


def updater(pack):
    return lambda student, rule, run, takes: Updating(student, rule, run, takes, pack)
