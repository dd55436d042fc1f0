"""What drives a submission inside the sandbox: an update rule on a script of gradients, an
autograd class on tiny graphs.

The one trick: this file is sent to the sandbox as text and runs there, beside the submission. So it
imports NumPy alone, is given its inputs as data, and returns numbers: what is right is not here.
"""

import numpy as np

FUNCTIONS = ("relu", "tanh", "sigmoid", "exp", "log", "sqrt", "sin", "cos", "abs")


def update_rule(student, given):
    """{quantity: (steps, parameters, *shape)} of f(w, g, config) -> (next_w, config).

    given: "function"; "weights", one per parameter; "gradients", for each step one per parameter;
    "settings", the options of each step; "starts", for each parameter what its config begins with;
    "states", the keys of config that are asked for.
    """
    function = getattr(student, given["function"])
    weights = [np.array(w, dtype=float) for w in given["weights"]]
    configs = [{**given["settings"][0],
                **{name: np.array(x) if isinstance(x, list) else x for name, x in start.items()}}
               for start in given["starts"]]
    seen = {name: [] for name in ("w", *given["states"])}
    for i, gradients in enumerate(given["gradients"]):
        before, options = given["settings"][max(i - 1, 0)], given["settings"][i]
        changed = {name: x for name, x in options.items() if x != before[name]}
        step = {name: [] for name in seen}
        for k, g in enumerate(gradients):
            configs[k].update(changed)
            result = function(np.copy(weights[k]), np.array(g, dtype=float), configs[k])
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError(f"{given['function']} returned a {type(result).__name__}; "
                                "it must return (w, config)")
            weights[k] = np.array(result[0])
            configs[k] = result[1] if isinstance(result[1], dict) else configs[k]
            step["w"].append(weights[k])
            for name in given["states"]:
                step[name].append(state(configs[k].get(name), weights[k].shape))
        for name, values in step.items():
            seen[name].append(values)
    return {name: "is not in config" if any(x is None for step in values for x in step) else values
            for name, values in seen.items()}


def state(value, shape):
    """A copy of a state; a single number stands for one in every place."""
    if value is None:
        return None
    value = np.array(value)
    return np.full(shape, value) if value.ndim == 0 and value.dtype.kind in "bif" else value


def graphs(student, given):
    """{"0 value": y, "0 a": gradient, ...} of the graphs by their numbers; where one failed,
    {"0": "lacks ..."} for what the class cannot do and {"0": "raises ..."} for other errors."""
    make = getattr(student, given["class"])
    found = {}
    for number, graph in given["graphs"].items():
        found.update((f"{number} {name}".rstrip(), value)
                     for name, value in outcome(make, graph).items())
    return found


def outcome(make, graph):
    """{"value": y, leaf: gradient}, or {"": why there is none}."""
    try:
        leaves = {name: make(float(x)) for name, x in graph["leaves"].items()}
        values = dict(leaves)
        names = {name: caller(name) for name in FUNCTIONS}
        for line in graph["lines"]:
            exec(compile(line, "<graph>", "exec"), names, values)
        y = values["y"]
        found = {"value": y.data}
    except (TypeError, AttributeError, NotImplementedError) as error:
        return {"": told("lacks", error)}
    except Exception as error:
        return {"": told("raises", error)}
    try:
        for _ in range(graph["calls"]):
            y.backward()
        found.update((name, leaf.grad) for name, leaf in leaves.items())
    except Exception as error:
        return {"": told("raises", error)}
    return found


def caller(name):
    return lambda x: getattr(x, name)()


def told(kind, error):
    return f"{kind} {type(error).__name__}: {error}"
