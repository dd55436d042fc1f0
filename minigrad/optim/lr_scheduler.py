"""Learning-rate schedulers: what writes `group["lr"]` between epochs.

The one trick: a schedule is one function, `next_lr(i, lr, base_lr)`, from the present rate of
group i and its initial rate to the next one. Where PyTorch computes the next rate from the
present one rather than from the epoch, so does this: a rate changed by hand in between is carried
on from.

Call `scheduler.step()` after `optimizer.step()`. Names, arguments, defaults and sequences are
those of torch.optim.lr_scheduler.
"""

import copy
import math
import types
import warnings

from minigrad.optim.optimizer import Optimizer


class Saved:
    """state_dict and load_state_dict of all schedulers: plain data, everything but the
    optimizer."""

    _not_saved = ("optimizer", "_steps_before")

    def state_dict(self):
        """A deep copy of the scheduler's numbers. (The rates themselves are in the
        optimizer's.)"""
        return {name: copy.deepcopy(value) for name, value in self.__dict__.items()
                if name not in self._not_saved}

    def load_state_dict(self, state_dict):
        """Takes over a copy of a saved state. Raises ValueError if it is not one of this scheduler
        or for another number of groups, and then changes nothing."""
        own = set(self.state_dict())
        if set(state_dict) != own:
            missing, unknown = sorted(own - set(state_dict)), sorted(set(state_dict) - own)
            raise ValueError(f"not a state of {type(self).__name__}: missing {missing}, "
                             f"unknown {unknown}")
        groups = len(self.optimizer.param_groups)
        if len(state_dict["_last_lr"]) != groups:
            raise ValueError(f"the saved scheduler had {len(state_dict['_last_lr'])} parameter "
                             f"groups, this optimizer has {groups}")
        self.__dict__.update(copy.deepcopy(state_dict))

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
        self._step_count = 0
        self._steps_before = optimizer.steps_taken
        self._set_rates()

    def next_lr(self, i, lr, base_lr):
        """The rate of group i at `self.last_epoch`, coming from `lr`."""
        raise NotImplementedError(f"{type(self).__name__} must define next_lr(i, lr, base_lr)")

    @property
    def starting(self):
        """Is this the call from the constructor, for the first epoch?"""
        return self._step_count == 0

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


class LambdaLR(LRScheduler):
    """base_lr * lr_lambda(epoch); one function, or a list with one for each group."""

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(optimizer)
        self.lr_lambdas = per_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        return base_lr * self.lr_lambdas[i](self.last_epoch)

    def state_dict(self):
        """As of every scheduler, but functions are left out: of callable objects the attributes
        are saved, plain functions must be given again."""
        saved = {name: copy.deepcopy(value) for name, value in self.__dict__.items()
                 if name not in (*self._not_saved, "lr_lambdas")}
        saved["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else copy.deepcopy(vars(f))
            for f in self.lr_lambdas]
        return saved

    def load_state_dict(self, state_dict):
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        for f, attributes in zip(functions, self.lr_lambdas):
            if attributes is not None:
                vars(f).update(attributes)
        self.lr_lambdas = functions


class StepLR(LRScheduler):
    """lr * gamma every step_size epochs."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = positive("step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return lr * self.gamma if due else lr


class MultiStepLR(LRScheduler):
    """lr * gamma at each of the milestones (epochs); a milestone given twice counts twice."""

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        return lr * self.gamma ** self.milestones.count(self.last_epoch)


class ExponentialLR(LRScheduler):
    """lr * gamma every epoch."""

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        return lr if self.starting else lr * self.gamma


class LinearLR(LRScheduler):
    """A straight line from start_factor * base_lr to end_factor * base_lr in total_iters epochs.

    Raises ValueError unless 0 < start_factor <= 1 and 0 <= end_factor <= 1.
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5,
                 last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor is {start_factor}; it must be above 0 and at most 1")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor is {end_factor}; it must be from 0 to 1")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = positive("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        if self.last_epoch == 0:
            return lr * self.start_factor
        if self.starting or self.last_epoch > self.total_iters:
            return lr
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return lr * (1 + rise / before)


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from base_lr down to eta_min in T_max epochs; after that it rises again.

    Loshchilov and Hutter 2017 (SGDR), eq. 5, without the restarts.
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = positive("T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        if self.starting:
            return lr
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            # Up from the very bottom: there is no lr - eta_min left to multiply.
            return lr + (base_lr - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        ratio = self.height(self.last_epoch) / self.height(self.last_epoch - 1)
        return self.eta_min + ratio * (lr - self.eta_min)

    def height(self, epoch):
        """Twice the share of base_lr - eta_min that the cosine has left at an epoch."""
        return 1 + math.cos(math.pi * epoch / self.T_max)


class OneCycleLR(LRScheduler):
    """Smith and Topin 2018: up from max_lr / div_factor to max_lr, then far down; momentum
    mirrored.

    total_steps, or epochs * steps_per_epoch, calls of step(), once a batch. pct_start is the
    rising share. three_phase=True comes down to the initial rate first, and to the lowest from
    there. cycle_momentum moves `momentum`, or the first of `betas`, from max_momentum to
    base_momentum and back. max_lr and the momenta are numbers or lists with one for each group.

    Raises ValueError for wrong arguments, and when stepped more often than total_steps.
    """

    def __init__(self, optimizer, max_lr, total_steps=None, epochs=None, steps_per_epoch=None,
                 pct_start=0.3, anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85,
                 max_momentum=0.95, div_factor=25.0, final_div_factor=1e4, three_phase=False,
                 last_epoch=-1):
        check_optimizer(optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = positive("epochs", epochs) * positive("steps_per_epoch", steps_per_epoch)
        self.total_steps = positive("total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is {pct_start}; it must be from 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is {anneal_strategy!r}; choose 'cos' or 'linear'")
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        self.phases = one_cycle_phases(self.total_steps, pct_start, three_phase)
        momenta = [name for name in ("betas", "momentum") if name in optimizer.defaults]
        if cycle_momentum and not momenta:
            raise ValueError(f"{optimizer.kind} has neither momentum nor betas to cycle; pass "
                             "cycle_momentum=False")
        self.momentum_name = momenta[0] if cycle_momentum else None
        bounds = zip(optimizer.param_groups, per_group("max_lr", max_lr, optimizer),
                     per_group("max_momentum", max_momentum, optimizer),
                     per_group("base_momentum", base_momentum, optimizer))
        for group, highest, heavy, light in bounds if last_epoch == -1 else ():
            group["initial_lr"] = highest / div_factor
            group["max_lr"], group["min_lr"] = highest, group["initial_lr"] / final_div_factor
            if cycle_momentum:
                group["max_momentum"], group["base_momentum"] = heavy, light
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR was stepped {self.last_epoch} times, but total_steps is "
                             f"{self.total_steps}; plan one step per batch")
        group = self.optimizer.param_groups[i]
        start = 0.0
        for end, lrs, momenta in self.phases[:-1]:
            if self.last_epoch <= end:
                break
            start = end
        else:
            end, lrs, momenta = self.phases[-1]
        share = (self.last_epoch - start) / (end - start)
        if self.momentum_name is not None:
            momentum = self.between(group[momenta[0]], group[momenta[1]], share)
            if self.momentum_name == "betas":
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
        return self.between(group[lrs[0]], group[lrs[1]], share)

    def between(self, first, last, share):
        """The value after `share` of the way from first to last."""
        if self.anneal_strategy == "linear":
            return first + (last - first) * share
        return last + (first - last) / 2 * (1 + math.cos(math.pi * share))


def one_cycle_phases(total_steps, pct_start, three_phase):
    """[last step of the phase, [lr from, to], [momentum from, to]] with names of group entries."""
    last, peak = total_steps - 1, pct_start * total_steps - 1
    rise = [peak, ["initial_lr", "max_lr"], ["max_momentum", "base_momentum"]]
    if not three_phase:
        return [rise, [last, ["max_lr", "min_lr"], ["base_momentum", "max_momentum"]]]
    return [rise,
            [2 * peak, ["max_lr", "initial_lr"], ["base_momentum", "max_momentum"]],
            [last, ["initial_lr", "min_lr"], ["max_momentum", "max_momentum"]]]


class ReduceLROnPlateau(Saved):
    """lr * factor when a measured number (`step(metrics)`) has not improved for `patience` epochs.

    Improved: below (mode "min") or above ("max") the best so far by more than threshold, relative
    to the best ("rel") or as it stands ("abs"). After a reduction, bad epochs are not counted for
    `cooldown` epochs. Rates do not fall below min_lr (a number or one per group), nor by less
    than eps.
    """

    def __init__(self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4,
                 threshold_mode="rel", cooldown=0, min_lr=0, eps=1e-8):
        check_optimizer(optimizer)
        if not 0 <= factor < 1:
            raise ValueError(f"factor is {factor}; it must be at least 0 and below 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}; choose 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is {threshold_mode!r}; choose 'rel' or 'abs'")
        self.optimizer = optimizer
        self.mode, self.factor, self.patience, self.cooldown = mode, factor, patience, cooldown
        self.threshold, self.threshold_mode, self.eps = threshold, threshold_mode, eps
        self.min_lrs = per_group("min_lr", min_lr, optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics):
        """Takes note of one epoch's number (a float or a one-element Tensor)."""
        current = float(metrics)
        self.last_epoch += 1
        self.num_bad_epochs += 1
        if self.improved(current):
            self.best, self.num_bad_epochs = current, 0
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def improved(self, current):
        """Is this clearly better than the best so far? (A NaN never is.)"""
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            goal = self.best * (1 + sign * self.threshold)
        else:
            goal = self.best + sign * self.threshold
        return current < goal if self.mode == "min" else current > goal

    def reduce(self):
        """Lowers the rate of every group."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            raise ValueError(f"the optimizer has {len(groups)} parameter groups now, but had "
                             f"{len(self.min_lrs)} when ReduceLROnPlateau was made; "
                             "make a new one")
        for group, least in zip(groups, self.min_lrs):
            lower = max(group["lr"] * self.factor, least)
            if group["lr"] - lower > self.eps:
                group["lr"] = lower


# --- checks --------------------------------------------------------------------------------------

def check_optimizer(optimizer):
    """Refuses what is no Optimizer, or has no learning rate."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"a scheduler needs an Optimizer, got a {type(optimizer).__name__}")
    if "lr" not in optimizer.defaults:
        raise TypeError(f"{optimizer.kind} has no option 'lr' to schedule")


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
