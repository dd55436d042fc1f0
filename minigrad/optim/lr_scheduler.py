"""Learning-rate schedulers: what writes `group["lr"]` between epochs.

The one trick: a schedule is one formula, `next_lr`; see scheduling.py, which does the rest. Here
are the schedules that go one way. Those that come back are in cycles.py, those made of others in
combined.py; all of them can be had from here.

Call `scheduler.step()` after `optimizer.step()`. Names, arguments, defaults and sequences are
those of torch.optim.lr_scheduler.
"""

import math

from minigrad.optim.combined import ChainedScheduler, SequentialLR
from minigrad.optim.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from minigrad.optim.scheduling import (
    LRScheduler,
    Saved,
    callables,
    check_optimizer,
    per_group,
    positive,
)

__all__ = ["ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
           "CyclicLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
           "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR",
           "StepLR"]


class LambdaLR(LRScheduler):
    """base_lr * lr_lambda(epoch); one function, or a list with one for each group."""

    _functions = "lr_lambdas"

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(optimizer)
        self.lr_lambdas = callables("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        return base_lr * self.lr_lambdas[i](self.last_epoch)


class MultiplicativeLR(LambdaLR):
    """lr * lr_lambda(epoch), every epoch but the first; one function, or a list with one for each
    group."""

    def next_lr(self, i, lr, base_lr):
        return lr if self.starting else lr * self.lr_lambdas[i](self.last_epoch)

    def take_turn(self):
        """Goes on from the rate it finds, as PyTorch's does: it knows no rate of epoch 0."""
        self.last_epoch, self._step_count = -1, 1
        self._set_rates()


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


class ConstantLR(LRScheduler):
    """factor * base_lr for total_iters epochs, then base_lr.

    Raises ValueError unless 0 <= factor <= 1.
    """

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        if not 0 <= factor <= 1:
            raise ValueError(f"factor is {factor}; it must be from 0 to 1")
        self.factor, self.total_iters = factor, positive("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        if self.last_epoch == 0:
            return lr * self.factor
        if self.last_epoch != self.total_iters:
            return lr
        return lr * (1.0 / self.factor) if self.factor else base_lr  # from 0 no factor leads back


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


class PolynomialLR(LRScheduler):
    """base_lr * (1 - epoch / total_iters) ** power, 0 from epoch total_iters on."""

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = positive("total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def next_lr(self, i, lr, base_lr):
        if self.starting or self.last_epoch > self.total_iters:
            return lr
        return lr * (self.left(self.last_epoch) / self.left(self.last_epoch - 1)) ** self.power

    def left(self, epoch):
        """The share of the epochs that is still to come."""
        return 1.0 - epoch / self.total_iters


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
