"""Schedules made of schedules: one after the other, or all at once.

The one trick: the parts write `group["lr"]` themselves. What combines them only says whose turn it
is.
"""

import itertools
from bisect import bisect_right

from minigrad.optim.scheduling import LRScheduler, Saved, check_optimizer


class Combined(Saved):
    """Base of schedulers that own others of the same optimizer."""

    _not_saved = ("optimizer", "_schedulers")

    def state_dict(self):
        """As of every scheduler; "_schedulers" is the list of the parts' states."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def check_state(self, state_dict):
        """Refuses what is not a state of this scheduler and its parts."""
        super().check_state(state_dict)
        saved = state_dict["_schedulers"]
        if len(saved) != len(self._schedulers):
            raise ValueError(f"the saved {type(self).__name__} has {len(saved)} schedulers, this "
                             f"one {len(self._schedulers)}; build the same ones")
        for scheduler, state in zip(self._schedulers, saved):
            scheduler.check_state(state)

    def take_over(self, state_dict):
        """Becomes what a checked state says."""
        super().take_over({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.take_over(state)

    def rewind(self):
        """Forgets that the constructors have begun."""
        for scheduler in self._schedulers:
            scheduler.rewind()

    def take_turn(self):
        """Begins at epoch 0 with the initial rates: the milestone of a SequentialLR is reached."""
        self.rewind()
        reset_rates(self.optimizer)
        self.begin()

    def note_rates(self):
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class SequentialLR(Combined):
    """Schedulers one after the other: the next one's turn comes at the next of the milestones.

    optimizer   the one that all the schedulers were made for
    schedulers  n of them; each begins at its own epoch 0, and with the initial rates
    milestones  n - 1 epochs, rising

    Raises TypeError or ValueError for anything else. ReduceLROnPlateau cannot take part: its step
    needs a number. A MultiplicativeLR goes on from the rate it finds. Parts may be SequentialLRs
    and ChainedSchedulers themselves. To resume, load a state.
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        check_optimizer(optimizer)
        if last_epoch != -1:
            raise ValueError(f"last_epoch is {last_epoch}; a SequentialLR cannot tell from it how "
                             "far each part had come: resume by load_state_dict")
        self._schedulers = checked_parts("SequentialLR", schedulers, optimizer)
        self._milestones = list(milestones)
        if len(self._milestones) != len(self._schedulers) - 1:
            raise ValueError(f"SequentialLR has {len(self._schedulers)} schedulers and "
                             f"{len(self._milestones)} milestones; there must be one milestone "
                             "less than schedulers")
        if any(later < earlier for earlier, later in itertools.pairwise(self._milestones)):
            raise ValueError(f"milestones is {self._milestones}; the epochs must rise")
        self.optimizer = optimizer
        self.rewind()
        reset_rates(optimizer)
        self.begin()

    def begin(self):
        """Sets the rates of the first epoch."""
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)].begin()
        self.note_rates()

    def step(self):
        """Sets the rates of the next epoch."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            self._schedulers[turn].take_turn()
        else:
            self._schedulers[turn].step()
        self.note_rates()


class ChainedScheduler(Combined):
    """Schedulers all at once: each changes the rate that the one before it left, so factors
    multiply.

    schedulers  of one optimizer, which may be given, too. Put those that compute their rate from
                the initial one (LambdaLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR) first

    Raises TypeError or ValueError for anything else, ReduceLROnPlateau included.
    """

    def __init__(self, schedulers, optimizer=None):
        parts = list(schedulers)
        if optimizer is None and parts:
            optimizer = getattr(parts[0], "optimizer", None)
        self._schedulers = checked_parts("ChainedScheduler", parts, optimizer)
        self.optimizer = optimizer
        self.note_rates()

    def begin(self):
        """Sets the rates of the first epoch, from the rates as they stand."""
        for scheduler in self._schedulers:
            scheduler.begin()
        self.note_rates()

    def step(self):
        """Sets the rates of the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self.note_rates()


def reset_rates(optimizer):
    """Sets all rates to the initial ones, which the parts' constructors have moved on from."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]


def checked_parts(who, schedulers, optimizer):
    """The schedulers as a list, if they can be stepped together."""
    parts = list(schedulers)
    if not parts:
        raise ValueError(f"{who} got no scheduler; give at least one")
    for i, part in enumerate(parts):
        if not isinstance(part, Saved):
            raise TypeError(f"{who}: scheduler {i} is a {type(part).__name__}; give schedulers")
        if not isinstance(part, (LRScheduler, Combined)):
            raise ValueError(f"{who}: scheduler {i} is a {type(part).__name__}, whose step needs "
                             "an argument; step it by itself")
        if part.optimizer is not optimizer:
            raise ValueError(f"{who}: scheduler {i}, a {type(part).__name__}, belongs to another "
                             "optimizer; make all of them for the same one")
    return parts
