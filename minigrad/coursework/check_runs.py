"""Public checks of optimizers: from the facts of a data file to the number that a check prints.

The one trick: a check is a Run like that of any probe, so every formula, right or wrong, gives the
number that the check would have printed for it. Where a check has a loss, each formula follows the
gradients along its own weights.

Facts (all text is an expression of NumPy's names, evaluated here)
    given        lines "name = expression"; each may use those above it
    parameters   names of those given that the optimizer updates, in its order
    each_step    lines that run before each step (i is its number, from 0) and once at the end
    gradients    of the parameters, in their order
    states       {state of the rule: what it starts from, by parameter}; left out: from nothing
    steps, t     how many steps (1), and the number of the first (1)
    quantities   {name: expression} after the last step. W is then the new W, W_1 what it was after
                 step 1, m_W the state m of W
    errors       {name: quantity}: the largest relative error of a quantity, as CS231n prints it
    right        what was published, digit for digit
    also         another convention that the course has
    rounding     relative: what single precision may change
    most         how many mistakes to combine at most, where a run takes long
    like         the entry of checks_shared.json that has what is not said here
"""

import functools

import numpy as np

from minigrad.coursework.probes import Run
from minigrad.coursework.reference import convention_id, settings_of, simulated
from minigrad.coursework.search import levels, plain

NUMPY = {name: getattr(np, name) for name in (
    "array", "ones", "zeros", "eye", "linspace", "sqrt", "exp", "log", "maximum", "sum", "max")}
NUMPY["RandomState"] = np.random.RandomState  # the stream of np.random.seed
DIGITS = 8  # of the right values that errors are told from


class RunCheck:
    """A check of an optimizer, and what it prints for any formula."""

    kind = "optimizer"

    def __init__(self, name, facts):
        self.name, self.facts, self.rule = name, facts, facts["rule"]
        self.convention = convention_id(self.rule, facts["convention"])
        self.parameters = facts["parameters"]
        self.errors = facts.get("errors", {})
        self.quantities = (*facts["quantities"], *self.errors)
        self.rounding = facts.get("rounding", 1e-9)
        self.most = facts.get("most", 2)
        self.given = dict(NUMPY)
        run_lines(facts["given"], self.given)
        self.also = (f"{self.rule}/{facts['also']}",) if "also" in facts else None
        self.memory = {}

    @functools.cached_property
    def run(self):
        """The Run of the check."""
        facts, steps = self.facts, self.facts.get("steps", 1)
        settings = {**settings_of(self.rule), **facts["hyperparameters"]}
        states = [{state: self.value(texts[k]) for state, texts in facts.get("states", {}).items()}
                  for k in range(len(self.parameters))]
        return Run("warm" if facts.get("states") else "cold",
                   [self.given[name] for name in self.parameters],
                   [functools.partial(self.gradients, i) for i in range(steps)], states,
                   facts.get("t", 1), [settings] * steps)

    def gradients(self, i, weights):
        """The gradients of step i, where the weights are these."""
        names = {**self.given, **dict(zip(self.parameters, weights)), "i": i}
        run_lines(self.facts.get("each_step", ()), names)
        return [evaluated(text, names) for text in self.facts["gradients"]]

    def value(self, text):
        return evaluated(text, self.given)

    def levels(self, most):
        """Lists of pairs (ids, hypothesis), the simplest first."""
        for hypotheses in levels(self.rule, self.convention, most):
            yield [(hypothesis.ids, hypothesis) for hypothesis in hypotheses]

    @functools.cached_property
    def reference(self):
        return plain(self.rule, self.convention)

    def right(self, quantity):
        """The right value of a quantity: what the reference gives."""
        return self.outcomes(self.reference)[0](quantity)

    def outcomes(self, hypothesis):
        """A list of functions from a quantity to its value (always one: see GraphCheck). They raise
        where the formula does."""
        key = hypothesis.lines, hypothesis.shared
        if key not in self.memory:
            names = self.names_after(hypothesis)
            self.memory[key] = {name: self.quantity(names, name) for name in self.quantities}
        return [self.memory[key].__getitem__]

    def names_after(self, hypothesis):
        """The names of the check after the last step of a formula."""
        names = dict(self.given)
        with np.errstate(all="ignore"):
            for i, k, q in simulated(hypothesis.lines, hypothesis.states, self.run,
                                     hypothesis.shared):
                name = self.parameters[k]
                names[f"{name}_{i + 1}"] = names[name] = q["next_w"]
                names |= {f"{state}_{name}": q[f"next_{state}"] for state in hypothesis.states}
            names["i"] = len(self.run.settings)
            run_lines(self.facts.get("each_step", ()), names)
        return names

    @functools.cached_property
    def published(self):
        """The right values that errors are told from, rounded as the course prints them."""
        names = self.names_after(self.reference)
        return {quantity: np.round(self.quantity(names, quantity), DIGITS)
                for quantity in self.errors.values()}

    def quantity(self, names, quantity):
        with np.errstate(all="ignore"):
            if quantity in self.errors:
                quantity = self.errors[quantity]
                return relative_error(self.published[quantity], self.quantity(names, quantity))
            return np.asarray(evaluated(self.facts["quantities"][quantity], names))


def relative_error(x, y):
    """The relative error that CS231n's checks print."""
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


def run_lines(lines, names):
    """Runs lines "name = expression"."""
    for line in lines:
        name, _, text = line.partition(" = ")
        names[name] = evaluated(text, names)


@functools.cache
def compiled(text):
    return compile(text, "<check>", "eval")


def evaluated(text, names):
    """The value of an expression of our own data files."""
    return eval(compiled(text), {"__builtins__": {}}, names)
