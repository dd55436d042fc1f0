"""What every diagnosis says alike: levels of hints, and words for verdicts."""

LEVELS = ("where", "concept", "formula")  # an instructor chooses how much a student is told

VERDICTS = {
    "correct": "Correct: every number is that of the reference.",
    "convention": "Right by another definition than the one asked for.",
    "mistake": "A known mistake gives exactly these numbers.",
    "unknown": "No known mistake gives these numbers.",
}

# fmt: off
LEGEND = {  # names that stand in a student's lines, but not in the rule's
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
