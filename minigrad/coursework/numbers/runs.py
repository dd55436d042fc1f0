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
    also         another convention that the course has: mistakes are tried in either
    rounding     relative: what single precision may change
    long         does a run take long? Then only what is usual is tried in pairs
    like         the entry of checks_shared.json that has what is not said here
"""

import functools
import itertools
import re

import numpy as np

from minigrad.coursework.optimizers.mistakes import MISTAKES, RARER
from minigrad.coursework.optimizers.probes import Run
from minigrad.coursework.optimizers.reference import (
    CONVENTIONS,
    convention_id,
    conventions_of,
    settings_of,
    simulated,
)
from minigrad.coursework.optimizers.search import level, plain, with_mistakes

NUMPY = {name: getattr(np, name) for name in (
    "array", "ones", "zeros", "eye", "linspace", "sqrt", "exp", "log", "maximum", "sum", "max")}
NUMPY["RandomState"] = np.random.RandomState  # the stream of np.random.seed
BY_PARAMETER = re.compile(r"t_each|position|last|mean|sum|np.max\(")  # not entry by entry
DIGITS = 8  # of the right values that errors are told from


class RunCheck:
    """A check of an optimizer, and what it prints for any formula."""

    kind = "optimizer"
    most = 2

    def __init__(self, name, facts):
        self.name, self.facts, self.rule = name, facts, facts["rule"]
        self.convention = convention_id(self.rule, facts["convention"])
        self.parameters = facts["parameters"]
        self.errors = facts.get("errors", {})
        self.quantities = (*facts["quantities"], *self.errors)
        self.rounding = facts.get("rounding", 1e-9)
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

    @functools.cached_property
    def joined(self):
        """The same Run with all parameters in one vector, which is faster."""
        def gradients(i, weights):
            return [joined(self.gradients(i, self.parts(weights[0])))]

        states = [{state: joined(start[state] for start in self.run.states)
                   for state in self.run.states[0]}]
        steps = range(len(self.run.settings))
        return self.run._replace(weights=[joined(self.run.weights)], states=states,
                                 gradients=[functools.partial(gradients, i) for i in steps])

    def parts(self, vector):
        """The parameters in a vector of all of them; a state may be one number for all."""
        if np.ndim(vector) == 0:
            vector = np.full(self.joined.weights[0].shape, vector)
        return [vector[place].reshape(shape) for place, shape in self.places]

    @functools.cached_property
    def places(self):
        """(where it stands in that vector, shape) of each parameter."""
        ends = np.cumsum([w.size for w in self.run.weights])
        return [(slice(end - w.size, end), w.shape) for end, w in zip(ends, self.run.weights)]

    def gradients(self, i, weights):
        """The gradients of step i, where the weights are these."""
        names = {**self.given, **dict(zip(self.parameters, weights)), "i": i}
        run_lines(self.facts.get("each_step", ()), names)
        return [evaluated(text, names) for text in self.facts["gradients"]]

    def value(self, text):
        return evaluated(text, self.given)

    def levels(self, most):
        """Lists of pairs (ids, hypothesis), the simplest first."""
        for size in range(most + 1):
            found = (self.usual_pairs if size == 2 and self.facts.get("long")
                     else level(self.rule, self.convention, size))
            if size and self.also:  # a mistake in a course's other formula is one mistake, too
                found = found + [hypothesis for hypothesis in level(self.rule, *self.also, size)
                                 if CONVENTIONS.keys().isdisjoint(hypothesis.ids)
                                 and hypothesis.base in self.also]
            yield [(hypothesis.ids, hypothesis) for hypothesis in found]

    @functools.cached_property
    def usual_pairs(self):
        """Pairs of what is seen often, and of what alone gives another number than the right one.
        """
        visible = {}
        for row in MISTAKES.values():
            ways = [way for way in row.switches for one in with_mistakes(
                        self.reference, (row._replace(switches=(way,)),)) if self.shows(one)]
            if ways and row.id not in RARER:
                visible[row.id] = row._replace(switches=tuple(ways))
        found = [hypothesis for chosen in itertools.combinations(visible.values(), 2)
                 for hypothesis in with_mistakes(self.reference, chosen)]
        others = [plain(self.rule, other) for other in conventions_of(self.rule)
                  if other != self.convention]
        return found + [hypothesis._replace(ids=(other.base, *hypothesis.ids))
                        for other in others for row in visible.values()
                        for hypothesis in with_mistakes(other, (row,))]

    def shows(self, hypothesis):
        """Does a formula give other numbers than the right one, and numbers at all?"""
        try:
            value_of, right = self.outcomes(hypothesis)[0], self.outcomes(self.reference)[0]
        except (ArithmeticError, ValueError):
            return False
        return all(np.isfinite(value_of(q)).all() for q in self.quantities) and any(
            np.any(value_of(q) != right(q)) for q in self.quantities)

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
        whole = len(self.parameters) < 3 or hypothesis.shared or any(
            BY_PARAMETER.search(line) for line in hypothesis.lines)
        texts = " ".join(self.facts["quantities"].values())
        run, made = self.run if whole else self.joined, {}
        with np.errstate(all="ignore"):
            for i, k, q in simulated(hypothesis.lines, hypothesis.states, run, hypothesis.shared):
                made |= {(f"{state}_{{}}", k): q[f"next_{state}"] for state in hypothesis.states}
                made["{}", k] = q["next_w"]
                if f"_{i + 1}" in texts:
                    made[f"{{}}_{i + 1}", k] = q["next_w"]
            names = {**self.given, "i": len(self.run.settings)}
            for (form, k), value in made.items():
                of = ([(self.parameters[k], value)] if whole
                      else zip(self.parameters, self.parts(value)))
                names |= {form.format(name): part for name, part in of}
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


def joined(arrays):
    return np.concatenate([np.ravel(x) for x in arrays])


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
