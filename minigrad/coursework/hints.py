"""What every diagnosis says alike: levels of hints, and words for verdicts."""

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
