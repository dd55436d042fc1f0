"""What every diagnosis says alike: levels of hints, words for verdicts, the form of a report."""

import textwrap

from minigrad.markup import pre
from minigrad.richtext import Shown

LEVELS = ("where", "concept", "formula")  # an instructor chooses how much a student is told

VERDICTS = {
    "correct": "Correct: every number is that of the reference.",
    "convention": "Right by another definition than the one asked for.",
    "mistake": "A known mistake gives exactly these numbers.",
    "unknown": "No known mistake gives these numbers.",
}

# fmt: off
LEGEND = {  # names in lines that are not those of a textbook
    "next_m": "what is kept as m for the next step",
    "next_v": "what is kept as v for the next step",
    "next_b": "what is kept as b for the next step",
    "next_G": "what is kept as G for the next step",
    "next_v_max": "what is kept as v_max for the next step",
    "t_first": "t of the first step, for ever",
    "t_each": "a count that goes on at every parameter",
    "lr_first": "the learning rate of the first step, for ever",
    "w_old": "the weights as they were before the step",
    "m_found": "what is kept as m when the step begins",
    "v_found": "what is kept as v when the step begins",
    "m_old": "m as it was before the step",
    "v_old": "v as it was before the step",
    "b_old": "b as it was before the step",
    "G_old": "G as it was before the step",
    "v_max_old": "v_max as it was before the step",
    "m_first": "m as it was before the first step",
    "v_first": "v as it was before the first step",
    "b_first": "b as it was before the first step",
    "G_first": "G as it was before the first step",
    "v_max_first": "v_max as it was before the first step",
    "fresh_m": "at the first step",
    "fresh_v": "at the first step",
    "fresh_b": "at the first step",
    "fresh_G": "at the first step",
    "cold": "1 in a run from nothing, 0 in one that is continued",
    "compounded": "all corrections so far, multiplied",
    "position": "number of the parameter, from 0",
    "last": "number of the last parameter",
    "w_other": "the parameter before this one",
    "g_other": "the gradient of the parameter before this one",
}
SAID_IN_WORDS = {  # what no line shows
    "gradient-mutated": "The gradient that the step is given is another one afterwards.",
    "state-shared-between-parameters":
        "Your numbers come out if all parameters use the same states.",
}
# fmt: on


def asked(level):
    """The level of a hint. Raises ValueError for one that there is not."""
    if level not in LEVELS:
        raise ValueError(f"there is no hint level {level!r}; choose one of {', '.join(LEVELS)}")
    return level


class Found(Shown):
    """What a diagnosis has found: .verdict, .causes, .ties, .first_difference, .residual, .notes.

    Each room adds `where()` the numbers part, the `concepts()` and `formulas()` of its causes, and
    the lines of its `report()`.
    """

    __slots__ = ()

    def hint(self, level="where"):
        """What a student may be told: "where" the numbers part, the "concept" behind it, or the
        "formula". Raises ValueError for another level."""
        level = asked(level)
        if self.verdict == "correct":
            return "Nothing to correct."
        said = [] if level == "where" else (
            self.concepts() if level == "concept" else self.formulas())
        if self.verdict == "unknown" and not said:
            return f"{VERDICTS['unknown']} {self.where()}"
        return "\n".join(said) or self.where()

    def __str__(self):
        return "\n".join(wrapped(line) for line in self.report())

    __repr__ = __str__

    def _html(self):
        return pre(str(self))


def wrapped(text, width=79):
    """A line of a report, broken where it is too long; what goes on stands further in. Lines of
    numbers stay as they are."""
    if len(text) <= width or "\n" in text:
        return text
    margin = " " * (len(text) - len(text.lstrip()) + 4)
    return textwrap.fill(text, width, subsequent_indent=margin, break_long_words=False,
                         break_on_hyphens=False)
