"""Known mistakes in optimizers: what they are called, how to hint at them, and how to make them.

The one trick: a mistake is a row. Its switches are edits of the reference's own lines (see
rewriting.py), so it holds for every rule in which its pattern occurs, combines with any other row,
and can show the line it changes. To add a misconception, add a row to one of the two tables; rows
that reshape a line stand above those that exchange a name in it, for they are applied in order.

A row has several switches where a mistake can be made in several ways: any of them is it.
Mistakes of one `group` exclude each other.
"""

from collections import namedtuple

from minigrad.coursework.optimizers import mistakes_of_states, mistakes_of_steps

# `switches`: a tuple of ways to make it, each a tuple of edits, or SHARED.
Mistake = namedtuple("Mistake", "id title concept citation group switches")
SHARED = mistakes_of_states.SHARED

MISTAKES = {row[0]: Mistake(*row) for row in (*mistakes_of_states.ROWS, *mistakes_of_steps.ROWS)}

# Tried alone and in pairs; three at a time only in rules shorter than Adam's, where it would be a
# million.
RARER = frozenset("""moment-never-fades moment-coefficients-swapped square-missing
first-moment-of-square moments-are-one-array momentum-multiplies-gradient state-starts-at-constant
amsgrad-minimum amsgrad-max-over-elements correction-power-misplaced correction-parenthesis-missing
correction-not-from-one correction-unasked eps-twice eps-squared eps-as-least-value root-multiplies
root-of-quotient moments-exchanged looks-ahead nesterov-velocities-swapped nesterov-looks-too-far
decay-times-lr-twice decay-not-in-second-moment decay-both-ways decay-of-sign decay-not-derived
lr-change-ignored lr-decays one-parameter-updated one-beta-for-both hyperparameter-ignored
misplaced-parenthesis correction-betas-swapped moment-one-coefficient moment-used-twice
step-returned t-counted-twice decay-skips-parameters parameters-mixed-up""".split())
