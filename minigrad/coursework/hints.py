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
