"""What all schedulers share: counting epochs, writing rates, saving and resuming.

The one trick: a schedule is one function, `next_lr(i, lr, base_lr)`, from the present rate of
group i and its initial rate to the next one. Where PyTorch computes the next rate from the
present one rather than from the epoch, so does this: a rate changed by hand in between is carried
on from.
"""

import copy
import types
import warnings

from minigrad.optim.optimizer import Optimizer


class Saved:
    """state_dict and load_state_dict of all schedulers: plain data, everything but the
    optimizer."""

    _not_saved = ("optimizer", "_steps_before")
    _functions = None  # the attribute that holds functions the user gave, if there is one

    def state_dict(self):
        """A deep copy of the scheduler's numbers. (The rates themselves are in the
        optimizer's.) Functions are left out: of callable objects the attributes are saved, plain
        functions must be given again."""
        state = {name: copy.deepcopy(value) for name, value in self.__dict__.items()
                 if name not in self._not_saved and name != self._functions}
        if self._functions is not None:
            given = getattr(self, self._functions)
            state[self._functions] = ([attributes(f) for f in given] if isinstance(given, list)
                                      else attributes(given))
        return state

    def load_state_dict(self, state_dict):
        """Takes over a copy of a saved state. Raises ValueError if it is not one of this scheduler
        or for another number of groups, and then changes nothing."""
        self.check_state(state_dict)
        self.take_over(state_dict)

    def check_state(self, state_dict):
        """Refuses what is not a state of this scheduler."""
        own = set(self.state_dict())
        if set(state_dict) != own:
            missing, unknown = sorted(own - set(state_dict)), sorted(set(state_dict) - own)
            raise ValueError(f"not a state of {type(self).__name__}: missing {missing}, "
                             f"unknown {unknown}")
        groups = len(self.optimizer.param_groups)
        if len(state_dict["_last_lr"]) != groups:
            raise ValueError(f"the saved scheduler had {len(state_dict['_last_lr'])} parameter "
                             f"groups, this optimizer has {groups}")
        for f, values in self.functions_and(state_dict):
            if values is not None and attributes(f) is None:
                raise ValueError(f"the saved {self._functions} of {type(self).__name__} was an "
                                 f"object with {sorted(values)}, here it is {f!r}; build the "
                                 "scheduler with such an object")

    def functions_and(self, state_dict):
        """(given function, its saved attributes or None) for each function of this scheduler."""
        if self._functions is None:
            return []
        given, saved = getattr(self, self._functions), state_dict[self._functions]
        return list(zip(given, saved)) if isinstance(given, list) else [(given, saved)]

    def take_over(self, state_dict):
        """Becomes what a checked state says."""
        state = copy.deepcopy(state_dict)
        for f, values in self.functions_and(state):
            if values is not None:
                vars(f).update(values)
        state.pop(self._functions, None)
        self.__dict__.update(state)

    def get_last_lr(self):
        """The present learning rate of each group, as this scheduler left it."""
        return list(self._last_lr)


class LRScheduler(Saved):
    """Base of the schedulers that count epochs: a subclass defines `next_lr`.

    last_epoch=-1 starts anew; any other value resumes there, and needs the "initial_lr" that an
    earlier run left in the groups (KeyError without).
    """

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"'initial_lr' is missing from param_groups[{i}]: to resume at "
                               f"last_epoch={last_epoch}, load the optimizer's state first")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._steps_before = optimizer.steps_taken
        self.begin()

    def next_lr(self, i, lr, base_lr):
        """The rate of group i at `self.last_epoch`, coming from `lr`."""
        raise NotImplementedError(f"{type(self).__name__} must define next_lr(i, lr, base_lr)")

    @property
    def starting(self):
        """Is this the call for the first epoch, from the constructor or from `begin`?"""
        return self._step_count == 0

    def begin(self):
        """Sets the rates of the first epoch, from the rates as they stand."""
        self._step_count = 0
        self._set_rates()

    def rewind(self):
        """Forgets that the constructor has begun. (A SequentialLR lets its parts begin itself.)"""
        self.last_epoch = -1

    def take_turn(self):
        """Begins at epoch 0 with the initial rates: the milestone of a SequentialLR is reached."""
        self.rewind()
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = base_lr
        self.begin()

    def step(self):
        """Sets the rates of the next epoch."""
        if self._step_count == 1 and self.optimizer.steps_taken == self._steps_before:
            warnings.warn("lr_scheduler.step() was called before optimizer.step(): the first "
                          "learning rate of the schedule is skipped. Call optimizer.step() first",
                          UserWarning, stacklevel=2)
        self._set_rates()

    def _set_rates(self):
        self.last_epoch += 1
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(f"the optimizer has {len(groups)} parameter groups now, but had "
                             f"{len(self.base_lrs)} when {type(self).__name__} was made; "
                             "make a new one")
        rates = [self.next_lr(i, group["lr"], base_lr)
                 for i, (group, base_lr) in enumerate(zip(groups, self.base_lrs))]
        for group, rate in zip(groups, rates):
            group["lr"] = rate
        self._last_lr = rates
        self._step_count += 1


# --- checks --------------------------------------------------------------------------------------

def check_optimizer(optimizer):
    """Refuses what is no Optimizer, or has no learning rate."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"a scheduler needs an Optimizer, got a {type(optimizer).__name__}")
    if "lr" not in optimizer.defaults:
        raise TypeError(f"{optimizer.kind} has no option 'lr' to schedule")


def callables(name, value, optimizer):
    """One function per parameter group."""
    functions = per_group(name, value, optimizer)
    for f in functions:
        if not callable(f):
            raise TypeError(f"{name} is {f!r}; it must be a function of the epoch, e.g. "
                            "lambda epoch: 0.95 ** epoch")
    return functions


def positive(name, value):
    """A positive whole number, or a ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a positive whole number")
    return value


def per_group(name, value, optimizer):
    """One value per parameter group: a list as given, anything else repeated."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name} has {len(value)} entries, the optimizer has {groups} "
                         "parameter groups")
    return list(value)


def attributes(f):
    """What can be saved of a callable without running code later: the attributes of an object,
    None for a function."""
    if isinstance(f, types.FunctionType) or not hasattr(f, "__dict__"):
        return None
    return copy.deepcopy(vars(f))
