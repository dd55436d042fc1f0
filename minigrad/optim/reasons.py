"""Why a weight did not move, or moved so little.

The one trick: the rule is asked again. What would it have done without eps, without the decay,
with one state forgotten? The difference is the reason, whatever the rule looks like. Only which
quantity stands under the fraction is read off its lines.
"""

import ast
from types import SimpleNamespace

import numpy as np

from minigrad.numbers import multiple
from minigrad.optim import rules
from minigrad.optim.formula import figure, names_in, written

EPS = ("eps", "epsilon")
MANY = 10       # a denominator so many times |g| remembers larger gradients
HELD = 2        # without eps the step would be so many times as large: eps held it back


class Facts:
    """What one step did to one weight, and what the rule would have done otherwise.

    w, at      the parameter as the rule sees it, and the weight's place in it: elementwise rules
               see a vector
    before, after, delta, gradient, states    of the weight, exact
    """

    def __init__(self, update, place):
        flat = getattr(update.rule, "elementwise", False)
        w = np.asarray(update.w)
        self.update = update
        self.w = w.reshape(-1) if flat else w
        self.at = (int(np.ravel_multi_index(place, w.shape)) if w.ndim else 0,) if flat else place
        self.place, self.flat = place, flat
        self.result = self.asked()
        self.before = w[place]
        self.after = self.stepped(self.result)
        with np.errstate(all="ignore"):
            self.delta = self.after - self.before
        self.gradient = np.asarray(update.grad)[place]
        names = rules.anatomy(update.rule).states
        self.states = {name: self.one(update.states.get(name, 0.0)) for name in names}

    def asked(self, hyperparameters=None, states=None, **modifiers):
        """What `rules.update` returns, with changes to what it was given; nothing is changed."""
        update = self.update
        with np.errstate(all="ignore"):
            return rules.update(
                update.rule, *self.inputs(states), update.t,
                {**update.hyperparameters, **(hyperparameters or {})},
                **{**update.modifiers, **modifiers})

    def inputs(self, states=None):
        """Copies of w, g and the list of states, in the arrangement in which the rule sees them."""
        def seen(value):
            if not isinstance(value, np.ndarray):
                return value
            return value.copy().reshape(-1) if self.flat else value.copy()

        given = {**self.update.states, **(states or {})}
        names = rules.anatomy(self.update.rule).states
        return (seen(self.w), seen(np.asarray(self.update.grad)),
                [seen(given.get(name, 0.0)) for name in names])

    def one(self, value):
        """The number of a value at this weight, or the value."""
        if isinstance(value, np.ndarray) and value.shape == np.shape(self.update.w):
            return value[self.place]
        return value

    def stepped(self, result):
        """The weight after a step, in the dtype it is kept in."""
        with np.errstate(all="ignore"):
            return np.asarray(result[0]).astype(self.w.dtype)[self.at]

    def bare(self, states=None, **hyperparameters):
        """How far the weight would have moved without decay, and with these changes; nan if that
        fails."""
        if "weight_decay" in self.update.hyperparameters:
            hyperparameters["weight_decay"] = 0.0
        try:
            with np.errstate(all="ignore"):
                result = self.asked(hyperparameters, states, weight_decay=0.0)
                return float(self.stepped(result) - self.before)
        except Exception:
            return float("nan")

    def results(self):
        """{name: value at this weight} after the step: the weights and the states."""
        names = ["w", *rules.anatomy(self.update.rule).states]
        after = [self.after, *self.result[1:]]
        return {name: value[self.at] if np.shape(value) == self.w.shape else value
                for name, value in zip(names, after)}

    @property
    def decays(self):
        return bool(self.update.modifiers.get("weight_decay")
                    or self.update.hyperparameters.get("weight_decay"))


@np.errstate(all="ignore")
def reasons_of(facts, walk):
    """The sentences. walk: the Walk of the update, or None if its lines are not known."""
    broken = not_finite(facts, walk)
    if broken:
        return broken
    found = [reason(facts, walk) for reason in (no_rate, no_gradient, rounding, eps, memory)]
    found = [sentence for sentence in found if sentence]
    if not found and facts.delta == 0:
        found = [first_zero(facts, walk)]
    return found


def not_finite(facts, walk):
    """NaN and infinity: where they came from."""
    def bad(value):
        return isinstance(value, (float, np.floating)) and not np.isfinite(value)

    spoilt = [f"{name} is {figure(value)}" for name, value in facts.states.items() if bad(value)]
    if spoilt:
        return [f"not finite: {' and '.join(spoilt)} since an earlier step. A state that was "
                "spoilt once stays so: begin again from a saved state, with "
                "error_if_nonfinite=True"]
    if bad(facts.before):
        return [f"not finite: the weight itself was {figure(facts.before)} before this step"]
    if bad(facts.gradient):
        return [f"not finite: the gradient is {figure(facts.gradient)}, and states keep it for "
                "ever. Lower lr, clip the gradients, or skip such batches with "
                "error_if_nonfinite=True"]
    after = facts.results().values()
    if facts.delta != 0 and not any(bad(value) for value in after):
        return []
    lines = walk.lines if walk else []
    where = next((line for line in lines if line.target and bad(line.value)), None)
    if where is None:
        return [f"not finite: the rule made the weight {figure(facts.after)}"] if (
            bad(facts.after)) else []
    return [f"not finite: {where.target} = {where.source or where.note} is {where.shown} where all "
            "it was given is finite"]


def no_rate(facts, walk):
    lr = facts.update.hyperparameters.get("lr")
    if lr != 0 or facts.delta != 0:
        return ""
    return ("lr is 0, and the step is a multiple of it. If a schedule has brought it there, look "
            "at the schedule's length or its warm-up")


def no_gradient(facts, walk):
    """A gradient of exactly 0, and what moved the weight all the same."""
    if facts.gradient != 0:
        return ""
    text = ("the gradient is exactly 0: to first order the loss does not depend on this weight "
            "here (a unit that is off, an input that is 0)")
    if facts.update.hyperparameters.get("lr") == 0:
        return text
    movers = []
    bare = facts.bare()
    if facts.decays and bare != float(facts.delta):
        movers.append("weight decay")
    for name, value in facts.states.items():
        if np.any(value != 0) and bare != 0 and facts.bare(
                {name: forgotten(facts.update.states[name])}) == 0:
            movers.append(f"what {name} remembers of earlier gradients")
    if facts.delta == 0:
        return text + "; nothing else moves it either"
    if not movers:
        return text
    return text + f"; it was moved by {figure(facts.delta)}, by {' and '.join(movers)}"


def forgotten(state):
    return np.zeros_like(state) if isinstance(state, np.ndarray) else 0.0


def rounding(facts, walk):
    """A step too small to change the weight in its dtype."""
    last = last_step(walk)
    if last is None or facts.delta != 0:
        return ""
    base, step = (last.scope.element(last.scope.value(part)) for part in (last.base, last.step))
    if base is None or step is None or step == 0 or not np.isfinite(step) or base != facts.before:
        return ""
    dtype = facts.w.dtype
    gap = np.spacing(np.abs(np.asarray(base, dtype)))
    return (f"rounding: the step, {figure(step)}, is less than half the distance between "
            f"neighbouring {dtype} numbers at {figure(base)}, which is {figure(gap)}; adding it "
            "gives the same number again. A larger lr, or a wider dtype")


def last_step(walk):
    """base and step of a last line `base - step` (or +), or None."""
    found = walk and walk.formulas.get(walk.weights)
    if not found:
        return None
    node, scope = found
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub)):
        return None
    return SimpleNamespace(base=node.left, step=node.right, scope=scope)


def eps(facts, walk):
    """A denominator that is mostly eps."""
    names = [name for name in EPS if facts.update.hyperparameters.get(name)]
    if not names or facts.gradient == 0:
        return ""
    step, free = abs(facts.bare()), abs(facts.bare(**{names[0]: 0.0}))
    if not np.isfinite(free) or free <= HELD * step:
        return ""
    value = figure(facts.update.hyperparameters[names[0]])
    under = denominator(walk)
    mostly = f"{under.name} = {figure(under.value)} is mostly {names[0]} = {value}" if (
        under) else f"{names[0]} = {value} is large beside these gradients"
    return (f"{names[0]} dominates: {mostly}; without it the step would be "
            + (f"{multiple(free / step)} times as large" if step else f"{free:.3g}, now it is 0"))


def memory(facts, walk):
    """A denominator that remembers gradients much larger than this one."""
    under = denominator(walk)
    lr = facts.update.hyperparameters.get("lr")
    if under is None or not under.states or not lr:
        return ""
    g = abs(float(walk.values.get(walk.gradient, facts.gradient)))
    step = abs(facts.bare())
    size = float(under.size)
    if not g or not np.isfinite(size) or size < MANY * g or step > lr / MANY:
        return ""
    value = sum(float(facts.update.hyperparameters.get(name, 0.0)) for name in EPS)
    if size <= 2 * value or under.states[0] not in remembered(facts):
        return ""
    return (f"{under.states[0]} remembers gradients about {multiple(size / g)} times larger than "
            f"this one ({figure(g)}), and the step is divided by {under.name} = "
            f"{figure(under.value)}. Its steps stay small until the rule has forgotten those")


def remembered(facts):
    """The states that were something before this step."""
    return [name for name, value in facts.states.items() if np.any(value != 0)]


def denominator(walk):
    """What the step is divided by, read off the lines from the last one backwards: .name, .value,
    .size (in the unit of a gradient), .states it comes from. None if there is no such fraction."""
    last = last_step(walk)
    if last is None:
        return None
    for name, node, scope in ancestors(walk, last.step, last.scope):
        for part, rooted in fractions(node):
            if scope.is_fixed(part.right):
                continue
            value = scope.element(scope.value(part.right))
            states = [n for n, _, _ in ancestors(walk, part.right, scope)
                      if n in walk.anatomy.states]
            if value is None or not states or not has_root(walk, part.right, scope) and not rooted:
                continue
            size = np.sqrt(value) if rooted else value
            return SimpleNamespace(name=written(part.right, scope.letters), value=value,
                                   size=size, states=list(dict.fromkeys(states)))
    return None


def ancestors(walk, node, scope):
    """(name, expression, Scope) of an expression and, breadth first, of the names it is made of."""
    waiting, seen = [(None, node, scope)], set()
    for name, node, scope in waiting:
        yield name, node, scope
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id not in seen and part.id in scope.moving:
                seen.add(part.id)
                formula = walk.formulas.get(part.id)
                known = formula is not None and part.id != walk.weights
                waiting.append((part.id, *(formula if known else (ast.Constant(0), scope))))


def fractions(node):
    """(division, is it under a root?) in an expression."""
    waiting = [(node, False)]
    while waiting:
        node, rooted = waiting.pop(0)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield node, rooted
        below = rooted or is_root(node)
        waiting += [(child, below) for child in ast.iter_child_nodes(node)]


def is_root(node):
    if isinstance(node, ast.Call):
        return written(node.func).rpartition(".")[2] == "sqrt"
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and (
        written(node.right) == "0.5")


def has_root(walk, node, scope):
    """Does a denominator have the unit of a gradient: a root, or a largest |g|?"""
    named = ("sqrt", "abs", "absolute", "fabs")
    return any(is_root(part) or (isinstance(part, ast.Call)
                                 and written(part.func).rpartition(".")[2] in named)
               for _, formula, _ in ancestors(walk, node, scope) for part in ast.walk(formula))


def first_zero(facts, walk):
    """The first line that made a 0 on the way to the weight."""
    last = last_step(walk)
    if last is not None:
        if np.all(last.scope.local(last.scope.value(last.step)) == 0) and (
                not isinstance(last.step, ast.Name)):
            return f"the rule itself made the step 0: {written(last.step)} is 0"
        made = {name for name, _, _ in ancestors(walk, last.step, last.scope)}
        for name, (node, scope) in walk.formulas.items():
            if name in made and names_in(node) & scope.moving and np.all(
                    walk.values[name] == 0):
                return f"the rule itself made the step 0: {name} = {written(node)} is 0"
    return "the rule returned the same weight"
