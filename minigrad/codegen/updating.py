"""The update of a printed program: the optimizer's rule in its own words, and lines that call it.

The one trick: what stands in front of a rule (maximize, weight decay) is read off the functions in
rules.py with the names of this parameter put in. No formula is written here.
"""

import ast
from dataclasses import dataclass

import numpy as np

from minigrad.codegen.names import RESERVED, free
from minigrad.codegen.wording import copied, text_of
from minigrad.optim import rules
from minigrad.sources import source


@dataclass
class Update:
    """The update of one parameter: `line` calls the rule.

    function, rule   its name in the text, and itself
    states           names of its states in the line
    given            {name: value} that the line reads besides the parameter and its gradient
    arguments        "lr=0.1, ...": the hyperparameters that are not the rule's defaults
    before           (expression of the weights, of the gradient) with "w" and "g" for the two
    time             the number of the step
    packed           does the rule return a tuple?
    """

    parameter: str
    function: str
    rule: object
    states: list
    given: dict
    arguments: str
    before: tuple
    counts: bool
    kind: str
    time: int
    packed: bool
    line: str = ""

    def call(self, w, g, states, t):
        """`rule(w, g, m, t, lr=0.1)`, for the names given."""
        new_w, new_g = (put(text, {"w": w, "g": g}) for text in self.before)
        operands = [new_w, new_g, *states, *([t] if self.counts else [])]
        return f"{self.function}({', '.join(operands)}{self.arguments})"

    def set_line(self, g, t="t"):
        """`W1, m_W1 = rule(W1, dW1, m_W1, t, lr=0.1)`"""
        targets = ", ".join([self.parameter, *self.states])
        targets += "," if self.packed and not self.states else ""
        self.line = f"{targets} = {self.call(self.parameter, g, self.states, t)}"


def updates_of(optimizer, names, printed):
    """The Updates of an optimizer's next step: one for each parameter that gets a gradient."""
    found, taken = [], RESERVED - {"sgd"} | set(names.values())
    for group in optimizer.param_groups:
        rule, hyperparameters, modifiers = optimizer.settings(group)
        anatomy = rules.anatomy(rule)
        called = getattr(rule, "__name__", "rule")
        called = free(called if called.isidentifier() else "rule", taken)
        for p in group["params"]:
            name = names.get(id(p))
            gradient = printed.gradients.get(name)
            if gradient is None:
                continue
            memory = optimizer.state[p]
            given = {f"{state}_{name}": memory.get(state, 0.0) for state in anatomy.states}
            if anatomy.counts:
                given["t"] = memory.get("step", 0) + 1
            more = {k: v for k, v in hyperparameters.items() if v != anatomy.hyperparameters[k]}
            update = Update(name, called, rule, [f"{state}_{name}" for state in anatomy.states],
                            given, arguments(more), before(modifiers), anatomy.counts,
                            optimizer.kind, memory.get("step", 0) + 1,
                            bool(anatomy.states) or packs(rule, p.array, hyperparameters))
            update.set_line(gradient)
            found.append(update)
    one_clock(found)
    return found


def packs(rule, w, hyperparameters):
    """Does a rule without states return (w,), or just w?"""
    times = (1,) if rules.anatomy(rule).counts else ()
    with np.errstate(all="ignore"):
        return isinstance(rule(w.copy(), np.zeros_like(w), *times, **hyperparameters), tuple)


def one_clock(updates):
    """Where parameters have taken different numbers of steps, each line has a t of its own."""
    times = {u.given["t"] for u in updates if "t" in u.given}
    if len(times) > 1:
        for u in updates:
            if "t" in u.given:
                u.given[f"t_{u.parameter}"] = u.given.pop("t")
                u.set_line(f"d{u.parameter}", f"t_{u.parameter}")


def arguments(values):
    return "".join(f", {name}={value!r}" for name, value in values.items())


def before(modifiers):
    """What a rule is given as weights and as gradient, in terms of `w` and `g`: as rules.update."""
    w, g = "w", "g"
    decay, rate = modifiers.get("weight_decay"), modifiers.get("decay_rate")
    if modifiers.get("maximize"):
        g = said(rules.ascend, {"g": g})
    if decay and rate is None:
        g = said(rules.l2, {"g": g, "w": w, "weight_decay": repr(decay)})
    elif decay:
        w = said(rules.decoupled_decay, {"w": w, "rate": repr(rate), "weight_decay": repr(decay)})
    return w, g


def said(function, values):
    """The expression that a function of one line returns, with values for its arguments."""
    return put(text_of(source(function).node.body[-1].value), values)


def put(text, values):
    """An expression with other expressions in the places of names."""
    trees = {name: ast.parse(value, mode="eval").body for name, value in values.items()}

    class Putting(ast.NodeTransformer):
        def visit_Name(self, node):
            return copied(trees[node.id]) if node.id in trees else node
    return text_of(Putting().visit(ast.parse(text, mode="eval").body))
