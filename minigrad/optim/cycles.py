"""Schedules that go up and down: cosine with restarts, cyclic rates, one cycle.

The one trick: a cycle is a shape between 0 and 1, and rates (and, mirrored, momenta) are points
between two bounds.
"""

import math

from minigrad.optim.scheduling import LRScheduler, check_optimizer, per_group, positive


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from base_lr down to eta_min in T_0 epochs, then from base_lr again; every
    cycle is T_mult times as long as the one before.

    Loshchilov and Hutter 2017 (SGDR), eq. 5. `step(epoch)` sets the time instead of counting on,
    also between two epochs: scheduler.step(epoch + batch / batches). T_cur is the time since the
    last restart, T_i the length of the present cycle.

    Unlike PyTorch's, a scheduler resumed by last_epoch knows its cycle when that is the third or
    a later one, and a restart is met exactly: no logarithm is rounded.
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        self.T_0, self.T_mult = positive("T_0", T_0), positive("T_mult", T_mult)
        if isinstance(eta_min, bool) or not isinstance(eta_min, (int, float)):
            raise ValueError(f"eta_min is {eta_min!r}; it must be a number")
        self.eta_min = eta_min
        self.T_cur, self.T_i = self.cycle(max(0, last_epoch))
        super().__init__(optimizer, last_epoch)

    def cycle(self, epoch):
        """The time since the last restart, and the length of the cycle it was the start of."""
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_0
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return epoch, length

    def step(self, epoch=None):
        """Sets the rates of the next epoch, or those of a given time.

        Raises ValueError for a negative or non-finite epoch.
        """
        if epoch is None:
            super().step()
            return
        if not 0 <= epoch < math.inf:
            raise ValueError(f"epoch is {epoch}; it must be a number of at least 0")
        self.last_epoch = math.floor(epoch) - 1
        self._set_rates(epoch)

    def _set_rates(self, epoch=None):
        if self.starting and epoch is None:
            epoch = self.last_epoch + 1
        if epoch is not None:
            self.T_cur, self.T_i = self.cycle(epoch)
        else:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        super()._set_rates()

    def next_lr(self, i, lr, base_lr):
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return self.eta_min + (base_lr - self.eta_min) * height


class CyclicLR(LRScheduler):
    """Smith 2017: up from base_lr to max_lr in step_size_up calls of step(), down in
    step_size_down (as many, if None), and again; momentum mirrored. Call step() once a batch.

    mode "triangular" keeps the height, "triangular2" halves it every cycle, "exp_range" multiplies
    it by gamma every step. scale_fn replaces the mode: a function, with values from 0 to 1, of
    the number of the cycle, from 1 (scale_mode "cycle"), or of the step ("iterations").
    cycle_momentum moves `momentum`, or the first of `betas`, from max_momentum to base_momentum
    and back. base_lr, max_lr and the momenta are numbers or lists with one for each group.

    Raises ValueError for wrong arguments.
    """

    _functions = "_scale_fn_custom"

    def __init__(self, optimizer, base_lr, max_lr, step_size_up=2000, step_size_down=None,
                 mode="triangular", gamma=1.0, scale_fn=None, scale_mode="cycle",
                 cycle_momentum=True, base_momentum=0.8, max_momentum=0.9, last_epoch=-1):
        check_optimizer(optimizer)
        self.max_lrs = per_group("max_lr", max_lr, optimizer)
        up, down = step_size_up, step_size_up if step_size_down is None else step_size_down
        if not (up > 0 and down > 0):
            raise ValueError(f"step_size_up is {up} and step_size_down {down}; both must be "
                             "positive, in calls of step()")
        self.total_size, self.step_ratio = float(up + down), up / (up + down)
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        self._scale_fn_custom = scale_fn
        if scale_fn is None:
            if mode not in ("triangular", "triangular2", "exp_range"):
                raise ValueError(f"mode is {mode!r}; choose 'triangular', 'triangular2' or "
                                 "'exp_range', or pass a scale_fn")
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        elif scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"scale_mode is {scale_mode!r}; choose 'cycle' or 'iterations'")
        self.cycle_momentum = cycle_momentum
        self.momentum_name = momentum_option(optimizer) if cycle_momentum else None
        self.base_momentums = per_group("base_momentum", base_momentum, optimizer)
        self.max_momentums = per_group("max_momentum", max_momentum, optimizer)
        self.low_lrs = per_group("base_lr", base_lr, optimizer)
        bounds = zip(optimizer.param_groups, self.low_lrs, self.max_momentums,
                     self.base_momentums)
        for group, lr, heavy, light in bounds if last_epoch == -1 else ():
            group["lr"] = lr
            if cycle_momentum:
                group["max_momentum"], group["base_momentum"] = heavy, light
        super().__init__(optimizer, last_epoch)
        self.base_lrs = list(self.low_lrs)

    def scale_fn(self, x):
        """The height of cycle x, or at step x, as a share of max_lr - base_lr."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / 2.0 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def next_lr(self, i, lr, base_lr):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        share = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        height = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.momentum_name is not None:
            light, heavy = self.base_momentums[i], self.max_momentums[i]
            set_momentum(self.optimizer.param_groups[i], self.momentum_name,
                         heavy - (heavy - light) * share * height)
        return self.low_lrs[i] + (self.max_lrs[i] - self.low_lrs[i]) * share * height


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
        self.momentum_name = momentum_option(optimizer) if cycle_momentum else None
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
            set_momentum(group, self.momentum_name, momentum)
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


# --- momentum, which goes the other way ----------------------------------------------------------

def momentum_option(optimizer):
    """The option that holds the momentum of an optimizer: "betas" or "momentum"."""
    for name in ("betas", "momentum"):
        if name in optimizer.defaults:
            return name
    raise ValueError(f"{optimizer.kind} has neither momentum nor betas to cycle; pass "
                     "cycle_momentum=False")


def set_momentum(group, name, value):
    """Writes the momentum of a group under the name `momentum_option` found."""
    group[name] = (value, *group["betas"][1:]) if name == "betas" else value
