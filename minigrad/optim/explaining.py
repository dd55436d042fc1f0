"""One update explained: every line of the rule that ran, with the numbers of one weight.

The one trick: nothing is known here about any optimizer. The lines come from the source
(walking.py), the numbers from running them on the parameter's own arrays, and the result is held
against `rules.update`, bit for bit, before it is shown.
"""

import inspect
import operator
import textwrap
from dataclasses import dataclass, field

import numpy as np

from minigrad.markup import bundle, pre
from minigrad.optim import rules
from minigrad.optim.formula import escaped, figure
from minigrad.optim.notation import letters
from minigrad.optim.reasons import Facts, reasons_of
from minigrad.optim.walking import Unwalkable, Walk, built_in, needed
from minigrad.sources import behind

WIDTH = 80


@dataclass
class UpdateExplanation:
    """What one step did to one weight, and how: print it.

    title   the weight, the step, the optimizer; `about` says where the rule comes from
    lines   list of Line(target, source, substituted, value, ...), in the order of the rule
    values  {name in the source: exact value for this weight}, as the step left them
    before, after, delta    the weight, exactly; delta is after - before
    why     sentences: why it did not move, or moved so little; empty for an ordinary step
    notes   what else there is to know

    str() is for terminals of 80 columns, latex() an aligned environment, and notebooks show the
    text.
    """

    title: str
    about: str = ""
    lines: list = field(default_factory=list)
    values: dict = field(default_factory=dict)
    before: object = None
    after: object = None
    delta: object = 0.0
    why: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    given: list = field(default_factory=list)

    def __str__(self):
        text = wrapped(self.title, "  ")
        for part in (self.about, *self.notes):
            text += wrapped(part, "") if part else []
        if self.given:
            whole = "   ".join(item.replace(" ", "\0") for item in self.given)
            text += ["", *(row.replace("\0", " ") for row in wrapped("given  " + whole, " " * 7))]
        if self.lines:
            text.append("")
            for line in self.lines:
                text += line_text(line)
        if self.after is not None:
            text += ["", self.change()]
        if self.why:
            text += ["", self.question()]
            for sentence in self.why:
                text += wrapped("- " + sentence, "  ")
        return "\n".join(text)

    def change(self):
        digits = needed(self.after, self.before)
        return (f"delta = {figure(self.delta)}, from {figure(self.before, digits)} to "
                f"{figure(self.after, digits)}")

    def question(self):
        if not self.delta:
            return "Why it did not move:"
        return "What held it back:" if np.isfinite(self.delta) else "What went wrong:"

    def __repr__(self):
        return str(self)

    def latex(self):
        """The lines as a LaTeX aligned environment (amsmath), to put between $$ and $$."""
        rows = []
        for line in self.lines:
            first, *others = line.latex
            aside = "; ".join(part for part in (line.equation, line.because) if part)
            if aside:
                first += rf" \quad \text{{{escaped(aside)}}}"
            rows += [first, *others]
        return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])

    def _repr_mimebundle_(self, include=None, exclude=None):
        text = str(self)
        return bundle(text, pre(text))


def explained(update, index, notation=None):
    """The UpdateExplanation of a reading.Update, for the weight at `index`.

    index     an int for a vector, a tuple of ints, () for a single number; negative from the end.
              None if there is only one number
    notation  None for the letters of the rule's source, "slides", "paper" or "torch"

    Raises IndexError for an index the parameter does not have, TypeError for one that is not made
    of ints, ValueError for an unknown notation.
    """
    letters("", notation)
    place = checked_index(update, index)
    facts = Facts(update, place)
    explanation = UpdateExplanation(
        title(update, place), about(update), before=facts.before, after=facts.after,
        delta=facts.delta, notes=[update.note] if update.note else [])
    walk, trouble = walked(facts, notation)
    if otherwise(facts):
        return unrepeatable(explanation, update, facts)
    if walk is not None:
        explanation.lines, explanation.values = walk.lines, walk.values
    else:
        explanation.notes.append(f"Its lines cannot be shown: {trouble}.")
        explanation.values = facts.results()
    explanation.given = given(update, facts, walk, notation)
    explanation.why = reasons_of(facts, walk)
    return explanation


def reasons(update, index):
    """Why the weight at `index` did not move, or moved so little: a list of sentences, empty for
    an ordinary step. Raises as `explained` does."""
    facts = Facts(update, checked_index(update, index))
    return reasons_of(facts, walked(facts, None)[0])


def walked(facts, notation):
    """(the Walk, None), or (None, why there is none)."""
    try:
        walk = Walk(facts, notation)
    except Unwalkable as trouble:
        return None, str(trouble)
    except Exception as trouble:  # a rule that depends on how it is called
        return None, f"followed by themselves they raise {type(trouble).__name__}: {trouble}"
    if not same(walk.result, facts.result):
        return None, ("followed by themselves they lead to another result than the rule; a "
                      "decorator or something outside the rule has a part in it")
    return walk, None


def otherwise(facts):
    """Did the step that ran take the weight elsewhere than the rule does when it is asked again?
    What is recorded of it holds to 1 ulp."""
    if facts.update.after is None:
        return False
    ran = facts.update.after[facts.place]
    numbers = [abs(float(x)) for x in (ran, facts.before, ran - facts.before) if np.isfinite(x)]
    gap = 4 * np.spacing(np.asarray(max(numbers, default=0.0), facts.w.dtype))
    return not np.isclose(ran, facts.after, rtol=0, atol=gap, equal_nan=True)


def unrepeatable(explanation, update, facts):
    """The explanation of a step that cannot be repeated: what was recorded, without lines."""
    ran = update.after[facts.place]
    explanation.notes.append(
        f"Its lines cannot be shown: the step took this weight to {ran}, but asked again, the "
        f"rule takes it to {facts.after}. It draws random numbers, or "
        "remembers more than its states.")
    explanation.after, explanation.delta = ran, ran - facts.before
    explanation.given = given(update, facts, None, None)
    return explanation


def same(results, others):
    """Are the two tuples equal bit for bit (NaN included)?"""
    return results is not None and len(results) == len(others) and all(
        np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=True)
        for a, b in zip(results, others))


def checked_index(update, index):
    """The index as a tuple of ints from 0."""
    shape = np.shape(update.w)
    named = f"{update.name or 'the parameter'} has shape {shape}"
    if index is None:
        if np.size(update.w) != 1:
            raise IndexError(f"{named}; one weight is explained: say which, by {len(shape)} "
                             "indices")
        index = (0,) * len(shape)
    parts = tuple(index) if isinstance(index, (tuple, list)) else (index,)
    try:
        place = tuple(operator.index(i) for i in parts)
    except TypeError:
        raise TypeError(f"{named}; the index {index!r} is not made of ints. One weight is "
                        f"explained: give {len(shape)} ints") from None
    if len(place) != len(shape):
        raise IndexError(f"{named}, so one weight has {len(shape)} indices; got {index!r}")
    for i, n in zip(place, shape):
        if not -n <= i < n:
            raise IndexError(f"{named}; the index {index!r} is out of range: "
                             + (f"{i} is not in {-n} .. {n - 1}" if n else "it is empty"))
    return tuple(i % n for i, n in zip(place, shape))


# --- texts ----------------------------------------------------------------------------------------

def title(update, place):
    where = f"[{', '.join(map(str, place))}]" if place else ""
    lr = update.hyperparameters.get("lr")
    rate = f", lr {figure(lr, 6)}" if lr is not None else ""
    own = f", the {ordinal(update.t)} of this parameter" if update.t != update.step else ""
    return f"{update.name or 'parameter'}{where}, step {update.step}{own}: {update.kind}{rate}"


def ordinal(n):
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def about(update):
    """Where the rule comes from, paper, slide, PyTorch's name; and, if the optimizer puts decoupled
    decay in front of it, where that does."""
    rule = behind(inspect.unwrap(update.rule))[0] or update.rule
    words = origin(rule)
    name = getattr(rule, "__name__", "__call__")
    name = type(update.rule).__name__ if name == "__call__" else name
    lines = [f"rule {name}: {words}" if words else f"rule {name}"]
    if update.modifiers.get("weight_decay") and update.modifiers.get("decay_rate") is not None:
        lines = [f"{update.kind} is decoupled decay, then the rule {name}.",
                 f"decay: {origin(rules.adamw)}", *lines]
    return "\n".join(lines)


def origin(rule):
    """The first line of a rule's docstring."""
    return inspect.cleandoc(rule.__doc__ or "").partition("\n")[0]


def given(update, facts, walk, notation):
    """What the rule was given for this weight: "w = 0.5", "g = -0.1", the states."""
    words = letters(built_in(update.rule), notation)
    weights, gradient = (walk.weights, walk.gradient) if walk else ("w", "g")
    pairs = [(weights, facts.before), (gradient, facts.gradient), *facts.states.items()]
    if walk is None:
        pairs += [*update.hyperparameters.items(), *update.modifiers.items(), ("t", update.t)]
    return [f"{words.get(name, (name,))[0]} = {figure(value, 6)}" for name, value in pairs]


def wrapped(text, indent):
    lines = []
    for part in str(text).split("\n"):
        lines += textwrap.wrap(part, WIDTH, subsequent_indent=indent, break_long_words=False,
                               break_on_hyphens=False) or [""]
    return lines


def line_text(line):
    """A Line for a terminal: in one row if it fits, else in one row per "=", these aligned; with
    what is beside it at the right margin."""
    options = line.because.startswith("(")
    asides = [line.equation, line.because if options or not line.because else f"as {line.because}",
              line.note]
    aside = ", ".join(part for part in asides if part).replace(", (", " (")
    if not line.target:
        numbers = f": {line.substituted}" if line.substituted else ""
        return wrapped(f"since {line.source}{numbers}", "      ")
    parts = [part for part in (line.source, line.substituted, line.shown) if part]
    parts = parts[:-1] if len(parts) > 1 and parts[-2] == parts[-1] else parts  # x = 1.0
    whole = " = ".join([line.target, *parts])
    room = WIDTH - len(aside) - 2 if aside else WIDTH
    rows = [whole] if len(whole) <= room or len(parts) == 1 else in_rows(line.target, parts)
    if not aside:
        return rows
    place = next((i for i in (len(rows) - 1, *range(len(rows))) if len(rows[i]) <= room), None)
    if place is None:
        return [*rows, aside.rjust(WIDTH)]
    rows[place] = rows[place].ljust(room + 2) + aside
    return rows


def in_rows(target, parts):
    """One row per "=", the result beside the numbers where it fits."""
    margin, rows = " " * (len(target) + 1), []
    for i, part in enumerate(parts):
        first, *rest = folded(part, WIDTH - len(margin) - 2)
        rows.append((f"{margin}= " if i else f"{target} = ") + first)
        rows += [f"{margin}  {row}" for row in rest]
    if len(parts) > 1 and len(rows[-2]) + 3 + len(parts[-1]) <= WIDTH:
        rows[-2:] = [f"{rows[-2]} = {parts[-1]}"]
    return rows


def folded(text, width):
    """A long formula in rows, broken before an operator or after a comma, as far outside of the
    brackets as can be."""
    rows = []
    while len(text) > width:
        depth, places = 0, []
        for i, c in enumerate(text[:width + 1]):
            depth += (c in "([") - (c in ")]")
            if c == " " and (text[i + 1] in "+-" or text[i - 1] == ",") and i > width // 3:
                places.append((depth, -i))
        if not places:
            break
        at = -min(places)[1]
        rows.append(text[:at])
        text = text[at + 1:]
    return [*rows, text]


# --- parameters without an update -----------------------------------------------------------------

SITUATIONS = {
    "no gradient": (
        "{name} was not stepped: its .grad is None, so no backward() since the last zero_grad() "
        "reached it. (A gradient of zeros is another thing: that is a step, with momentum and "
        "decay.)",
        "To train it, compute the loss from it and call loss.backward() before {kind}.step(); a "
        "detach(), no_grad() or .data on the way cuts it off, and so does giving the model another "
        "tensor in its place."),
    "frozen": (
        "{name} was not stepped: it is frozen, its requires_grad is False, so backward() "
        "computes no gradient for it.",
        "To train it: {name}.requires_grad_(True), before the loss is computed."),
    "not in any group": (
        "{name} was not stepped: it is in none of the groups of {kind}, which steps only the "
        "parameters it was given.",
        "Give it to the optimizer: build {kind} with model.parameters(), or add it by "
        "add_param_group."),
    "replaced": (
        "{name} was not stepped: {name} of the model is now another tensor than the one {kind} "
        "was built with, and {kind} still steps the old one.",
        "Build the optimizer after replacing it, or use add_param_group; to change the values "
        "only, write into the tensor (copy_)."),
}


def not_stepped(name, situation, **facts):
    """The UpdateExplanation of a parameter that a step left alone.

    situation  "no gradient", "frozen", "not in any group" or "replaced"
    facts      kind= what the optimizer is called, step= the number of the step, index= the weight
               asked for, note= one more sentence

    Raises ValueError for another situation, TypeError for other facts.
    """
    if situation not in SITUATIONS:
        raise ValueError(f"situation is {situation!r}; it is one of {sorted(SITUATIONS)}")
    unknown = set(facts) - {"kind", "step", "index", "note"}
    if unknown:
        raise TypeError(f"not_stepped got {sorted(unknown)}; facts are kind, step, index, note")
    kind, index = facts.get("kind") or "the optimizer", facts.get("index")
    parts = index if isinstance(index, (tuple, list)) else () if index is None else (index,)
    where = f"[{', '.join(map(str, parts))}]" if parts else ""
    step = f", step {facts['step']}" if facts.get("step") is not None else ""
    sentences = [text.replace("{name}", name).replace("{kind}", kind)
                 for text in SITUATIONS[situation]]
    note = [facts["note"]] if facts.get("note") else []
    return UpdateExplanation(f"{name}{where}{step}: {kind}", why=sentences + note)
