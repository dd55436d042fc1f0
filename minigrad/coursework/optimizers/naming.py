"""What courses call things, and what a student's code itself says.

The one trick: names are compared without case, underscores and alphabets (beta_1, Beta1 and a
Greek beta are one), and a name is looked for where code can have it: in a signature, among the keys
it reads, or beside a number it has fixed (`beta1, beta2, eps = 0.9, 0.999, 1e-6`).
"""

import dis
import functools
import inspect
import re
import types

# fmt: off
OPTION_NAMES = {  # of a hyperparameter; the first that the student's code has
    "lr":           ("lr", "learningrate", "eta", "stepsize", "rate", "learnrate", "lrate", "alpha",
                     "initiallr", "baselr", "currentlearningrate"),
    "beta1":        ("beta1", "b1", "rho1", "decay1", "gamma1", "mu1", "betam"),
    "beta2":        ("beta2", "b2", "rho2", "decay2", "gamma2", "mu2", "betav"),
    "eps":          ("eps", "epsilon", "e", "delta", "fudge", "small"),
    "momentum":     ("momentum", "mu", "beta", "rho", "gamma", "beta1", "mom", "mass", "alpha"),
    "alpha":        ("decayrate", "alpha", "rho", "beta", "gamma", "decay", "beta2", "smoothing",
                     "discount", "rmsdecay"),
    "weight_decay": ("weightdecay", "wd", "l2", "reg", "lambda", "lambd", "lam", "l2reg",
                     "weightdecayrate", "regularization"),
}
STATE_NAMES = {
    "m":     ("m", "expavg", "firstmoment", "moment1", "moment", "gradavg", "u", "momentum", "mom",
              "mean", "m1", "mw", "avg", "weightmomentum"),
    "v":     ("v", "expavgsq", "squareavg", "secondmoment", "moment2", "cache", "s", "r", "sqavg",
              "var", "h", "rms", "v2", "vw", "square", "avgsq", "weightcache", "meansquare"),
    "b":     ("velocity", "momentumbuffer", "b", "v", "u", "buf", "buffer", "velocities", "vel",
              "momentum", "m", "weightmomentum", "z"),
    "G":     ("cache", "g", "sum", "accumulator", "s", "h", "r", "sumsq", "gradsquared",
              "squaresum", "weightcache", "v", "acc"),
    "v_max": ("vmax", "maxexpavgsq", "maxv", "vhatmax", "vhat", "maxvhat", "top"),
}
PAIRS = (("v", "s"), ("s", "r"))  # the first and the second moment, where there is no m
ENDINGS = ("", "s", "t", "buffers", "buffer", "bufs", "buf", "list", "dict", "states", "state",
           "prev", "old")
COUNT_NAMES = ("t", "step", "stepcount", "steps", "iteration", "iterations", "iter", "it", "n", "k",
               "i", "timestep", "numsteps", "count", "counter", "nsteps", "globalstep",
               "epoch", "time", "stepnum", "stept")
GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "ε": "eps", "ϵ": "eps", "η": "eta",
                       "λ": "lambda", "μ": "mu", "µ": "mu", "ρ": "rho", "θ": "theta", "δ": "delta"})
# fmt: on


@functools.lru_cache(maxsize=4096)
def plain_name(name):
    """A name without case, underscores and alphabets: "Beta_1" is "beta1"."""
    return str(name).translate(GREEK).replace("_", "").lower()


def guessed(wanted, spoken):
    """{our name: the student's} of hyperparameters, each of the student's names used once."""
    by_plain, found = {}, {}
    for name in spoken:
        by_plain.setdefault(plain_name(name), name)
    for name in wanted:
        for candidate in OPTION_NAMES[name]:
            theirs = by_plain.get(candidate)
            if theirs is not None and theirs not in found.values():
                found[name] = theirs
                break
    return found


def aliases(name, taken, spoken):
    """What else a student's code may call a hyperparameter: both "lr" and "learning_rate" may be
    among its strings, and only one of them a key."""
    return [theirs for theirs in spoken
            if plain_name(theirs) in OPTION_NAMES[name][:2] and theirs not in taken.values()]


def state_names(states, spoken):
    """{state: the student's name} of the states that are spoken of under a usual name."""
    by_plain = {}
    for name in spoken:
        for ending in ENDINGS:
            if plain_name(name).endswith(ending) and plain_name(name) != ending:
                stem = plain_name(name)[:len(plain_name(name)) - len(ending)]
                by_plain.setdefault((bool(ending), stem), name)
    exact = {stem: name for (ended, stem), name in by_plain.items() if not ended}
    known = {**{stem: name for (ended, stem), name in by_plain.items() if ended}, **exact}
    for name in spoken:  # "s" and "t" are names, too, not only endings
        known.setdefault(plain_name(name), name)
    if {"m", "v"} <= set(states) and "m" not in known:
        for pair in PAIRS:
            if set(pair) <= set(known):
                known["m"], known["v"] = (known[one] for one in pair)
                break
    found = {}
    for state in states:
        for candidate in STATE_NAMES[state]:
            if candidate in known and known[candidate] not in found.values():
                found[state] = known[candidate]
                break
    return found


def is_count(name):
    """Is this what the number of a step is called?"""
    return plain_name(name) in COUNT_NAMES


# --- what code says ------------------------------------------------------------------------------

def parameters_of(student):
    """The inspect.Parameters that a callable takes. **kwargs of a class are those of its bases.
    Raises TypeError where Python cannot tell them."""
    try:
        found = [*inspect.signature(student).parameters.values()]
    except (ValueError, TypeError) as error:
        name = getattr(student, "__name__", type(student).__name__)
        raise TypeError(f"the signature of {name!r} cannot be read ({error}); wrap it: "
                        "lambda w, g, ...: ...") from error
    if inspect.isclass(student) and any(p.kind is p.VAR_KEYWORD for p in found):
        known = {p.name for p in found}
        for base in student.__mro__[1:-1]:
            if "__init__" not in vars(base):
                continue
            more = [*inspect.signature(base.__init__).parameters.values()][1:]
            found += [p.replace(kind=p.KEYWORD_ONLY) for p in more
                      if p.name not in known and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
            known |= {p.name for p in more}
            if not any(p.kind is p.VAR_KEYWORD for p in more):
                break
    return found


def functions_in(student, most=30):
    """The functions that a student's code consists of: itself, its methods, and those of the same
    module, or of a closure, that it calls."""
    todo, found = [student], []
    while todo and len(found) < most:
        one = todo.pop(0)
        one = getattr(one, "__func__", getattr(one, "func", one))
        one = inspect.unwrap(one) if callable(one) else one
        if inspect.isclass(one):
            todo += [value for base in one.__mro__[:-1] if base.__module__ == one.__module__
                     for value in vars(base).values() if isinstance(value, types.FunctionType)]
        elif isinstance(one, types.FunctionType):
            if one in found:
                continue
            found.append(one)
            called = [one.__globals__.get(name) for name in names_in(one.__code__)]
            called += cells_of(one).values()
            todo += [x for x in called if inspect.isfunction(x) or inspect.isclass(x)
                     if getattr(x, "__module__", None) == one.__module__]
        elif isinstance(getattr(type(one), "__call__", None), types.FunctionType):
            todo.append(type(one).__call__)
    return found


def codes_in(code):
    """A code object and those nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def names_in(code):
    return [name for one in codes_in(code) for name in one.co_names]


def cells_of(function):
    """{name: value} of what a closure has kept."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found


def strings_in(student):
    """The strings that a student's code contains: the keys it may read."""
    found = set()
    for function in functions_in(student):
        constants = [c for code in codes_in(function.__code__) for c in code.co_consts]
        for constant in constants:
            if isinstance(constant, (tuple, frozenset)):  # for key in ("m", "v"): constants in one
                constants.extend(constant)
            if isinstance(constant, str) and re.fullmatch(r"\w{1,40}", constant):
                found.add(constant)
        found |= {word for value in cells_of(function).values() if isinstance(value, dict)
                  for pair in value.items() for word in pair if isinstance(word, str)}
        # dict(lr=0.1) names its keys without quotes: a tuple of names, which is a constant
    return found


def fixed_in(student):
    """{name: number} that a student's code has fixed: assigned, or kept by a closure or module."""
    found = {}
    for function in functions_in(student):
        for code in codes_in(function.__code__):
            found = {**assigned_in(code), **found}
        kept = {**{n: function.__globals__.get(n) for n in names_in(function.__code__)},
                **cells_of(function)}
        found.update({n: x for n, x in kept.items() if is_number(x) and n not in found})
    return found


def assigned_in(code):
    """{name: number} of assignments `name = number`, also of several at once."""
    found, waiting = {}, []
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith("LOAD_") and is_number(instruction.argval):
            waiting = [instruction.argval]
        elif instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, tuple):
            waiting = [*instruction.argval]
        elif instruction.opname.startswith("STORE_") and waiting:
            names = instruction.argval
            for name in names if isinstance(names, tuple) else (names,):
                value = waiting.pop(0) if waiting else None
                if is_number(value):
                    found.setdefault(name, value)
        elif instruction.opname != "UNPACK_SEQUENCE":
            waiting = []
    return found


def small_numbers(student):
    """The numbers in a student's code that can only be an eps."""
    return {constant for function in functions_in(student) for code in codes_in(function.__code__)
            for constant in code.co_consts if isinstance(constant, float) and 0 < constant <= 1e-4}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
