"""The reference: each update rule of optim.rules, taken apart into lines that can be rewritten.

The one trick: nothing is written a second time. The lines are read off the rule's own source, the
branches of options that are not asked for cut away, and joined with the decay that stands in front.
A convention of a course, like a student's mistake, is then a rewriting of these lines.

    formula("adam").lines   (..., 'm_old = m_found', ..., 'm = m_old', ...,
                            'm = beta1 * m + (1 - beta1) * g', ...)

Names in the lines, besides those of optim.rules
    m_found, v_found, ...  what is kept of a state when the step begins
    m_old, v_old, ...      a state before this step
    m_first, v_first, ...  a state before the first step that was watched
    next_w, next_m, ...    what the step returns
    t_first                number of the first step watched
    t_each                 a count that goes on at every parameter instead of at every step
    cold                   is this a run from nothing? (1 or 0)
    fresh_m, ...           has nobody set this state yet?
    lr_first               the rate of the first step that was watched
    position, last         which parameter this is, and which is the last
    w_other, g_other       weights and gradient of the parameter before this one
    compounded             product of all of Adam's corrections since lr was set
"""

import ast
import copy
import difflib
import functools
from collections import namedtuple

import numpy as np

from minigrad.coursework.optimizers.rewriting import rewritten
from minigrad.optim import rules
from minigrad.sources import source

# fmt: off
Family = namedtuple("Family", "rule states fixed simplified usual")
FAMILIES = {  # the rule, the states it keeps, options that are fixed, what gets simpler by that
    "sgd":      Family(rules.sgd,      (),                   {},                   (), "torch"),
    "momentum": Family(rules.momentum, ("b",), {"form": "torch", "dampening": 0},
        ("(1 - 0) * g -> g", "g if t == 1 else X -> X"), "torch"),
    "nesterov": Family(rules.nesterov, ("b",), {"form": "torch"},
        ("g if t == 1 else X -> X",), "torch"),
    "adagrad":  Family(rules.adagrad,  ("G",),
        {"eps_inside_sqrt": False, "lr_decay": 0, "initial_accumulator_value": 0},
        ("0 if t == 1 else G -> G", "rate = X -> pass", "rate * g -> lr * g"), "torch"),
    "rmsprop":  Family(rules.rmsprop,  ("v",),
        {"eps_inside_sqrt": False, "centered": False, "momentum": 0}, (), "torch"),
    "adam":     Family(rules.adam,     ("m", "v"),           {},                   (), "torch"),
    "adamw":    Family(rules.adam,     ("m", "v"),           {},                   (),
                       "decay-before"),
    "amsgrad":  Family(rules.amsgrad,  ("m", "v", "v_max"),  {"convention": "torch"}, (), "torch"),
}

# Who defines it so, options of the rule that make it so, or else edits of the usual formula.
Convention = namedtuple("Convention", "who options edits")
CONVENTIONS = {
    "sgd/torch":            Convention("PyTorch", {}, ()),
    "momentum/torch":       Convention("PyTorch, CMU 11-785, d2l", {}, ()),
    "momentum/lr-inside":   Convention("CS231n, The Little Learner, Keras",
                                       {"form": "sutskever"}, ()),
    "momentum/ema":         Convention("CMU 10-414, deeplearning.ai, fast.ai", {},
        ("momentum * b + g -> momentum * b + (1 - momentum) * g",)),
    "nesterov/torch":       Convention("PyTorch", {}, ()),
    "nesterov/cs231n":      Convention("CS231n, Sutskever et al. 2013", {"form": "sutskever"}, ()),
    "adagrad/torch":        Convention("PyTorch, CS231n", {}, ()),
    "adagrad/eps-inside":   Convention("the slides, Keras, optax", {"eps_inside_sqrt": True}, ()),
    "rmsprop/torch":        Convention("PyTorch, CS231n", {}, ()),
    "rmsprop/eps-inside":   Convention("the slides, Keras, optax, d2l",
                                       {"eps_inside_sqrt": True}, ()),
    "adagrad/starts-at-0.1": Convention("TensorFlow, Keras and optax by default",
        {"eps_inside_sqrt": True}, ("G = G_old -> G = 0.1 if fresh_G else G_old",)),
    "rmsprop/starts-at-g2": Convention("fast.ai", {},
                                       ("v = v_old -> v = v_old = g * g if fresh_v else v_old",)),
    "rmsprop/centered":     Convention("Graves 2013; an option of PyTorch, Keras and optax",
                                       {"centered": True}, ()),
    "adam/torch":           Convention("Kingma and Ba's Algorithm 1, PyTorch, CS231n A2", {}, ()),
    "adam/eps-inside":      Convention("fast.ai", {},
                                       ("np.sqrt(X) + eps -> np.sqrt(X + eps)",)),
    "adam/eps-hat":         Convention("CS231n A3, Keras", {},
        ("np.sqrt(v_hat) + eps -> (np.sqrt(v) + eps) / np.sqrt(1 - beta2**t)",)),
    "adam/uncorrected":     Convention("The Little Learner", {}, ("X / (1 - B**t) -> X",)),
    "adamw/decay-before":   Convention("PyTorch, Loshchilov and Hutter's Algorithm 2", {}, ()),
    "adamw/decay-after":    Convention("TinyTorch, the CS336 handout", {},
        ("w = X -> pass", "next_w = w - X -> next_w = (w - X) * (1 - lr * weight_decay)")),
    "amsgrad/torch":        Convention("PyTorch", {}, ()),
    "amsgrad/corrected":    Convention("the slides, optax", {"convention": "corrected"}, ()),
    "amsgrad/paper":        Convention("Reddi, Kale and Kumar's Algorithm 2",
                                       {"convention": "paper"}, ()),
}
COURSES = {  # a course's name in place of a convention's: what it means, where not the usual one
    "cs231n":     {"momentum": "lr-inside", "nesterov": "cs231n"},
    "cmu10414":   {"momentum": "ema"},
    "cmu11785":   {"adam": "eps-inside", "adamw": "decay-after"},
    "cs336":      {"adamw": "decay-after"},
    "d2l":        {"rmsprop": "eps-inside", "adagrad": "eps-inside"},
    "deeplearning.ai": {"momentum": "ema"},
    "fastai":     {"momentum": "ema", "adam": "eps-inside", "rmsprop": "starts-at-g2"},
    "optax":      {"rmsprop": "eps-inside", "adagrad": "eps-inside", "amsgrad": "corrected"},
    "keras":      {"momentum": "lr-inside", "nesterov": "cs231n", "adam": "eps-hat",
                   "rmsprop": "eps-inside", "adagrad": "eps-inside"},
    "little-learner": {"momentum": "lr-inside", "adam": "uncorrected"},
    "pytorch":    {},
    "slides":     {"rmsprop": "eps-inside", "adagrad": "eps-inside", "amsgrad": "corrected"},
    "tinytorch":  {"adamw": "decay-after"},
}
ALIASES = {  # other names of courses
    "needle": "cmu10414", "dlsys": "cmu10414", "10-414": "cmu10414", "10-714": "cmu10414",
    "cmu10-414": "cmu10414", "11-785": "cmu11785", "cmu11-785": "cmu11785",
    "dlai": "deeplearning.ai", "fast.ai": "fastai", "tll": "little-learner",
    "tensorflow": "keras", "tf": "keras", "torch": "pytorch",
}
# fmt: on

Formula = namedtuple("Formula", "lines states")


def convention_id(rule, convention="torch"):
    """The id of a convention: from an id, the part after the slash, or a course's name.

    Raises ValueError for a rule or a convention that is not known, with those that are.
    """
    if rule not in FAMILIES:
        near = difflib.get_close_matches(str(rule), FAMILIES, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"rule is {rule!r}; {hint}known are {', '.join(FAMILIES)}")
    for found in (convention, f"{rule}/{convention}"):
        if found in CONVENTIONS and found.startswith(f"{rule}/"):
            return found
    course = ALIASES.get(convention, convention)
    if course in COURSES:
        return f"{rule}/{COURSES[course].get(rule, FAMILIES[rule].usual)}"
    raise ValueError(f"{rule} has no convention {convention!r}; it has "
                     + ", ".join(conventions_of(rule)) + "; or name " + ", ".join(COURSES))


def conventions_of(rule):
    """The ids of a rule's conventions, the usual one first."""
    return tuple(id for id in CONVENTIONS if id.startswith(f"{rule}/"))


@functools.lru_cache(maxsize=None)
def formula(rule, convention="torch"):
    """The Formula of a rule by a convention: its lines, in the order they run, and its states.

    Raises ValueError as `convention_id`.
    """
    asked = CONVENTIONS[convention_id(rule, convention)]
    family = FAMILIES[rule]
    states = family.states + (("m",) if "centered" in asked.options else ())
    lines = body(family.rule, states, {**family.fixed, **asked.options})
    for edit in family.simplified:  # some concern one form only
        lines = rewritten(lines, (edit,)) or lines
    lines = (decay_line(rule == "adamw"), *(f"{s}_old = {s}_found" for s in states),
             *(f"{s} = {s}_old" for s in states), *lines)
    return Formula(rewritten(lines, asked.edits), states)


def body(rule, states, fixed):
    """The lines of a rule's source, with the branches of its fixed options taken; what it returns
    as lines next_w = ..., next_m = ..."""
    lines = []
    todo = copy.deepcopy(source(rule).node).body  # the tree of a source is shared
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.If):
            todo[:0] = node.body if decided(node.test, fixed) else node.orelse
        elif isinstance(node, ast.Return):
            returned = dict(zip(("w", *rules.anatomy(rule).states), node.value.elts))
            return (*lines, *(f"next_{name} = {ast.unparse(returned[name])}"
                              for name in ("w", *states)))
        elif not isinstance(node, ast.Expr):  # the docstring
            lines.append(ast.unparse(Fixer(fixed).visit(node)))
    raise ValueError(f"rule {rule.__name__} returns nothing")


def decided(test, fixed):
    """The value of a condition on fixed options; None if it depends on anything else."""
    try:
        return eval(ast.unparse(test), {}, dict(fixed))
    except NameError:
        return None


class Fixer(ast.NodeTransformer):
    """Puts fixed options in as numbers, and takes the branches that they decide."""

    def __init__(self, fixed):
        self.fixed = fixed

    def visit_IfExp(self, node):
        value = decided(node.test, self.fixed)
        if value is None:
            return self.generic_visit(node)
        return self.visit(node.body if value else node.orelse)

    def visit_Name(self, node):
        return ast.Constant(self.fixed[node.id]) if node.id in self.fixed else node


def decay_line(decoupled):
    """The line of weight decay that stands in front of a rule: L2, or past the moments."""
    if decoupled:
        (line,) = rewritten((returned_by(rules.decoupled_decay, "w"),), ("rate -> lr",))
        return line
    return returned_by(rules.l2, "g")


def returned_by(function, name):
    """The last line of a function, with what it returns given a name."""
    return f"{name} = {ast.unparse(source(function).node.body[-1].value)}"


# --- running it ----------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def code(line):
    return compile(line, "<formula>", "exec")


@functools.lru_cache(maxsize=None)
def names_read(line):
    """The names that a line reads and those it sets."""
    nodes = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Name)]
    stored = frozenset(n.id for n in nodes if isinstance(n.ctx, ast.Store))
    return frozenset(n.id for n in nodes if isinstance(n.ctx, ast.Load)), stored


@functools.lru_cache(maxsize=None)
def known_before(states, rule):
    """The names that lines may read before they set any."""
    known = {"np", "w", "g", "t", "w_old", "t_first", "t_each", "lr_first", "cold", "compounded",
             "position", "last", "w_other", "g_other", *settings_of(rule)}
    known |= {f"{state}_{when}" for state in states for when in ("found", "first")}
    return frozenset(known | {f"fresh_{state}" for state in states})


def makes_sense(lines, states, rule):
    """Does every line only read what is known by then?"""
    known = set(known_before(states, rule))
    for line in lines:
        read, stored = names_read(line)
        if not read <= known:
            return False
        known |= stored
    return True


def simulated(lines, states, run, shared=False, before=None):
    """Runs a formula on a Run of a probe: yields (step, parameter, all its quantities by name).

    shared keeps one set of states for all parameters, as a class that forgets that each needs
    its own. before, {(step, parameter): quantities}, is what each step finds in place of its own
    past ("teacher forcing"): so one fault does not hide the next.

    Raises ValueError where shapes do not fit, as of one set of states for two shapes.
    """
    if not any(settings["weight_decay"] for settings in run.settings):
        lines = rewritten(lines, ("weight_decay * w -> 0.0",)) or lines  # for 0 * NaN is NaN
    codes = [code(line) for line in lines]
    count = len(run.weights)
    weights = list(run.weights)
    nothing = np.float64(0)  # 0 / 0 of NumPy is NaN, Python's an error
    first = [{**dict.fromkeys(states, nothing), **start} for start in run.states]
    kept = [first[0]] * count if shared else list(first)
    compounded = 1.0
    for i, (gradients, settings) in enumerate(zip(run.gradients, run.settings)):
        t = run.t + i
        numbers = {name: np.float64(value) for name, value in settings.items()}
        if i and settings["lr"] != run.settings[i - 1]["lr"]:
            compounded = 1.0
        if "beta2" in settings:
            compounded *= (1 - numbers["beta2"] ** t) ** 0.5 / (1 - numbers["beta1"] ** t)
        if callable(gradients):  # of a loss: they follow the weights of this formula
            gradients = gradients(tuple(weights))
        for k in range(count):
            q = {"np": np, **numbers, "w": weights[k], "w_old": weights[k], "g": gradients[k],
                 "t": t, "t_first": run.t, "t_each": run.t + i * count + k,
                 "lr_first": np.float64(run.settings[0]["lr"]), "cold": int(not run.states[k]),
                 "compounded": compounded, "position": k, "last": count - 1,
                 "w_other": weights[k - 1], "g_other": gradients[k - 1]}
            for state in states:
                q[f"{state}_found"] = kept[k][state]
                q[f"{state}_first"] = first[k][state]
                q[f"fresh_{state}"] = kept[k][state] is nothing
            if before:
                q.update(before.get((i, k), {}))
            for one in codes:
                exec(one, q)
            if np.shape(q["next_w"]) != np.shape(weights[k]):
                raise ValueError(f"parameter {k} of shape {np.shape(weights[k])} becomes "
                                 f"{np.shape(q['next_w'])}")
            weights[k] = q["next_w"]
            kept[k] = {state: q[f"next_{state}"] for state in states}
            if shared:
                kept = [kept[k]] * count
            yield i, k, q


def settings_of(rule):
    """{hyperparameter: default} of a family, weight_decay included."""
    family = FAMILIES[rule]
    declared = rules.anatomy(family.rule).hyperparameters
    return {**{name: value for name, value in declared.items() if name not in family.fixed},
            "weight_decay": 0.0}
