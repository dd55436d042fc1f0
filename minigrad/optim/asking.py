"""Asking an optimizer about its last step.

The one trick: a step keeps what it started from (weights, gradients, states), so that the rule can
be run once more, line by line, on the very same numbers. Parameters too large for that to be free
are kept from the first time they are asked about.
"""

import difflib

import numpy as np

from minigrad.engine import Recorded, describe
from minigrad.optim import explaining
from minigrad.optim.apply import SMALL
from minigrad.optim.reading import Update


class Asking:
    """explain() of an Optimizer."""

    def explain(self, parameter, index=None, notation=None):
        """How the last step() changed one number of a parameter: the rule that ran, line by line,
        with its numbers; and why, if it did not move.

        parameter: its name, or the tensor. index: of the number, (2, 3); may be left out if there
        is only one. notation: None for the letters of the rule as it is written, "slides", "paper"
        or "torch" for theirs. Returns an UpdateExplanation: print it, or read its `values`.

        Raises RuntimeError before the first step, KeyError for an unknown name, IndexError for an
        index out of range, ValueError for another notation, or if the step of a parameter of more
        than 16,384 numbers was not kept.
        """
        p, name = self.sought(parameter)
        facts = {"kind": self.kind, "step": self.steps_taken, "index": index}
        if p is None:
            return explaining.not_stepped(name, "not in any group", **facts)
        if self.steps_taken == 0:
            raise RuntimeError(f"{self.kind} has taken no step yet, so there is none to explain; "
                               "call loss.backward() and step() first")
        if isinstance(parameter, Recorded) and parameter is not p:
            return explaining.not_stepped(name, "replaced", **facts)
        update = self.last_update(p, name)
        if update is None:
            situation = "no gradient" if p.requires_grad else "frozen"
            return explaining.not_stepped(name, situation, **facts)
        explanation = explaining.explained(update, index, notation)
        if p.array.shape == update.w.shape:
            now = p.array[explaining.checked_index(update, index)]
            if now != explanation.after and not (now != now and np.isnan(explanation.after)):
                explanation.notes.append(
                    f"The weight is {now} now: it was changed after the step, or the "
                    "rule draws random numbers, or remembers more than its states.")
        return explanation

    def sought(self, parameter):
        """(tensor, name) of a parameter given by name or as a tensor; (None, name) if it is a
        tensor that no group has. Of a tensor whose name another one has here: that one."""
        members = [(p, name or p.name) for group in self.param_groups
                   for p, name in zip(group["params"], group["param_names"])]
        members = [(p, name or f"parameter {i}") for i, (p, name) in enumerate(members)]
        if isinstance(parameter, Recorded):
            for p, name in members:
                if p is parameter:
                    return p, name
            same = [(p, name) for p, name in members if parameter.name and name == parameter.name]
            return same[0] if same else (None, parameter.name or f"the {describe(parameter)}")
        same = [p for p, name in members if name == parameter]
        if len(same) == 1:
            return same[0], parameter
        if same:
            raise KeyError(Message(f"{self.kind} has {len(same)} parameters named {parameter!r}, "
                                   f"of shapes {', '.join(str(p.array.shape) for p in same)}; "
                                   "pass the tensor itself"))
        raise KeyError(unknown_name(parameter, [name for _, name in members], self.kind))

    def last_update(self, p, name):
        """The Update that the last step made of p; None if it was left out."""
        for plan in self._plans.values():
            for batch in plan.batches:
                if not any(member is p for member in batch.parameters):
                    continue
                if batch.last is None:
                    batch.keeps = True
                    raise ValueError(
                        f"the last step of {name} was not kept: it was stepped together with "
                        f"{batch.w.size} numbers, and only up to {SMALL} are kept unasked. From "
                        "now on they are: explain it after the next step, or record the run with "
                        "minigrad.trace")
                w, g, states, t, hyperparameters, modifiers = batch.last
                return Update(name, self.kind, batch.rule, self.steps_taken, t, batch.share(p, w),
                              batch.share(p, g),
                              {n: batch.share(p, s) for n, s in zip(batch.names, states)},
                              hyperparameters, modifiers)
        return None


class Message(str):
    """Text that a KeyError shows as it stands, without quotes around it."""

    __repr__ = str.__str__


def unknown_name(name, known, who):
    """The message for a parameter name that does not exist, with the nearest ones that do."""
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? It" if near else "it"
    shown = ", ".join(known[:12]) + (f", and {len(known) - 12} more" if len(known) > 12 else "")
    return Message(f"{who} has no parameter named {name!r}; {hint} has {shown}")
