"""How a student's layer is called: functions with a cache, objects, losses with their gradient.

The one trick: whatever the style, `run(values)` gives the outputs and a function that takes the
gradients of these outputs back to the inputs. Everything handed over is a copy, and NumPy's global
random numbers begin anew with each call: dropout draws the same mask twice.
"""

import copy
import inspect
import random

import numpy as np

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
FORM = ("diagnose_backward expects forward(*inputs) -> (out, cache) and "
        "backward(dout, cache) -> gradients")
GRADIENT_NAMES = ("d{}", "dLd{}", "dL_d{}", "d_{}", "grad_{}", "{}_grad", "grad{}", "{}")


def parameters(function):
    """The names of a function's positional parameters; None if Python cannot tell."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in found):
        return None
    return [p.name for p in found if p.kind in POSITIONAL]


def starts_at_one(backward):
    """Is it backward(dout=1), of a loss that nothing comes after?"""
    if not parameters(backward):
        return False
    return next(iter(inspect.signature(backward).parameters.values())).default in (1, 1.0)


def called(function, part):
    """The name of a function, and its part, as a message says it."""
    name = getattr(function, "__name__", type(function).__name__)
    return f"the {part}" if name == "<lambda>" else f"{name} (the {part})"


def cure(error, part):
    """What to do about an exception of the student's code."""
    if isinstance(error, (ValueError, IndexError)):
        return f"print the shapes of what {part} puts together there"
    return f"call {part} with these inputs, and look at the last line of its traceback"


class StudentError(ValueError):
    """An exception of the student's own code, and what it was given."""


class ForwardError(StudentError):
    """An exception of the student's forward."""


class Layer:
    """forward and backward functions. backward=None: forward returns (loss, its gradients)."""

    def __init__(self, forward, backward):
        self.forward, self.backward = forward, backward
        self.takes = parameters(backward) if backward is not None else []
        self.has_upstream = self.takes != [] and not starts_at_one(backward)

    def names(self):
        """What forward calls its inputs, or None."""
        return parameters(self.forward)

    def asked(self, values):
        """forward(*values), as copies; by keyword if the names are those of the signature."""
        fresh = {name: copy.deepcopy(x) for name, x in values.items()}
        random.seed(0)
        np.random.seed(0)  # what np.random.rand in a student's dropout reads
        names = self.names() or []
        try:
            with np.errstate(all="ignore"):
                if set(fresh) <= set(names) and [*fresh] != names[:len(fresh)]:
                    return self.forward(**fresh)
                return self.forward(*fresh.values())
        except (Exception, SystemExit) as error:
            raise ForwardError(f"{called(self.forward, 'forward')} failed with {told(values)}: "
                               f"{type(error).__name__}: {error}; {cure(error, 'forward')}"
                               ) from error

    def run(self, values):
        """(the outputs, back): back(upstreams) is {input: gradient}."""
        made = self.asked(values)
        if self.backward is None:
            if not isinstance(made, tuple) or len(made) < 2:
                raise TypeError(f"forward returned a {type(made).__name__}; without a backward it "
                                "must return (loss, gradients)")
            grads = made[1] if len(made) == 2 else made[1:]
            return [made[0]], lambda upstreams: named(grads, values)
        if isinstance(made, list) and len(made) == 2 and len(self.takes or ()) == 2:
            made = tuple(made)
        keywords = self.keywords(values, made)
        if isinstance(made, tuple) and len(made) > 1:
            outs, cache = list(made[:-1]), made[-1:]
        elif not self.has_upstream or len(self.takes or ()) == 1 + len(keywords):
            outs, cache = [made], ()
        else:
            raise TypeError(f"forward returned a {type(made).__name__}; {FORM}")
        if self.takes:  # deeplearning.ai returns outputs that backward is not told about
            outs = outs[:max(1, len(self.takes) - len(keywords) - len(cache))]
        return outs, lambda upstreams: named(self.back(upstreams, cache, keywords, values), values)

    def keywords(self, values, made):
        """What backward asks for by the name of an input: activation="relu", mode="max", x."""
        first = 2 if isinstance(made, tuple) else 1
        return {n: copy.deepcopy(values[n]) for n in (self.takes or [])[first:] if n in values}

    def back(self, upstreams, cache, keywords, values):
        handed = () if not self.has_upstream else (*upstreams, *cache)
        if self.takes and "cache" in self.takes[0].lower():
            handed = (*cache, *upstreams)
        try:
            with np.errstate(all="ignore"):
                return self.backward(*handed, **keywords)
        except (Exception, SystemExit) as error:
            shapes = ", ".join(str(np.shape(g)) for g in upstreams)
            raise StudentError(f"{called(self.backward, 'backward')} failed with inputs "
                               f"{told(values)} and dout {shapes}: {type(error).__name__}: {error}"
                               f"; {cure(error, 'backward')}") from error


class ObjectLayer(Layer):
    """An object with forward and backward methods, that keeps dLdW (or dW, grad_W) itself."""

    def __init__(self, layer, methods=("forward", "backward")):
        self.layer, self.methods = layer, methods
        super().__init__(getattr(layer, methods[0]), getattr(layer, methods[1]))

    def held(self, values):
        """{name: array} of the parameters of the object that have a gradient after backward."""
        made, layer = self.started(values)
        getattr(layer, self.methods[1])(*([np.ones(np.shape(made))] if self.has_upstream else []))
        return {name: np.array(x, dtype=float) for name, x in vars(self.layer).items()
                if isinstance(x, np.ndarray) and x.dtype.kind == "f" and name not in values
                and gradient_of(layer, name) is not None and name in vars(layer)}

    def started(self, values):
        layer = copy.deepcopy(self.layer)
        mine = {n: x for n, x in values.items() if n in vars(self.layer) and n not in self.given()}
        for name, x in mine.items():
            setattr(layer, name, copy.deepcopy(x))
        inner = Layer(getattr(layer, self.methods[0]), None)
        return inner.asked({n: x for n, x in values.items() if n not in mine}), layer

    def given(self):
        return parameters(self.forward) or []

    def run(self, values):
        made, layer = self.started(values)
        out = made[0] if isinstance(made, tuple) else made

        def back(upstreams):
            self.backward = getattr(layer, self.methods[1])
            made = self.back(upstreams, (), {}, values)
            inputs = {n: x for n, x in values.items() if not self.owns(n)}
            found = named(made, inputs) if made is not None else {}
            for name in values:
                if self.owns(name) and gradient_of(layer, name) is not None:
                    found[name] = np.array(gradient_of(layer, name), dtype=float)
            return found
        return [out], back

    def owns(self, name):
        return name in vars(self.layer) and name not in self.given()


def gradient_of(layer, name):
    """The gradient of a parameter that an object keeps: dLdW, dW, grads["W"], or None."""
    held = vars(layer)
    for form in GRADIENT_NAMES[:-1]:
        if isinstance(held.get(form.format(name)), (np.ndarray, float)):
            return held[form.format(name)]
    grads = held.get("grads")
    return from_dict(grads, name) if isinstance(grads, dict) else None


def layer_of(forward, backward):
    """The Layer of whatever diagnose_backward was given."""
    owner = getattr(forward, "__self__", None)
    if owner is not None and owner is getattr(backward, "__self__", ...) and vars_of(owner):
        return ObjectLayer(owner, (forward.__name__, backward.__name__))
    if backward is None and hasattr(forward, "forward") and hasattr(forward, "backward"):
        try:
            return ObjectLayer(forward() if isinstance(forward, type) else forward)
        except TypeError as error:
            raise TypeError(f"{forward.__name__}() could not be made: {error}; give an object, "
                            f"{forward.__name__}(...)") from error
    if not callable(forward) or not (backward is None or callable(backward)):
        raise TypeError(f"forward is {forward!r} and backward {backward!r}; {FORM}")
    return Layer(forward, backward)


def vars_of(owner):
    return hasattr(owner, "__dict__") and not inspect.ismodule(owner)


# --- what backward returned -----------------------------------------------------------------------

def named(made, values):
    """The gradients that backward returned, {input: array}; None is no gradient."""
    if isinstance(made, dict):
        found = {name: from_dict(made, name) for name in values}
        if made and all(d is None for d in found.values()):
            raise TypeError(f"backward returned the gradients {', '.join(map(str, made))}, but the "
                            f"inputs are {', '.join(values)}; name them d + the input's name")
    else:
        made = list(made) if isinstance(made, (tuple, list)) else [made]
        found = dict(zip(receivers(len(made), values), made))
    wanted = {n: d for n, d in found.items() if d is not None}
    try:
        return {name: numbers(d) for name, d in wanted.items()}
    except (TypeError, ValueError) as error:
        raise TypeError(f"a gradient that backward returned is no array of numbers: {error}"
                        ) from error


def numbers(d):
    d = np.array(d)
    return d if d.dtype == np.float32 else d.astype(float)


def receivers(count, values):
    """The inputs that the gradients in a tuple belong to: all of them, or all that have one."""
    floats = [n for n, x in values.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    if count > len(values):
        raise TypeError(f"backward returned {count} gradients for {len(values)} inputs "
                        f"({', '.join(values)}); return one for each input, in their order")
    return floats if count <= len(floats) else [*values]


def from_dict(made, name):
    """The gradient of an input in a dict: "dx", "x", "grad_x", in any case of letters."""
    lower = {str(key).lower(): d for key, d in made.items()}
    for form in GRADIENT_NAMES:
        if form.format(name) in made:
            return made[form.format(name)]
    return next((lower[form.format(name).lower()] for form in GRADIENT_NAMES
                 if form.format(name).lower() in lower), None)


def told(values):
    """The inputs of a case in a message."""
    return ", ".join(f"{name} {x.shape}" if isinstance(x, np.ndarray) else f"{name} {x!r:.40}"
                     for name, x in values.items())
