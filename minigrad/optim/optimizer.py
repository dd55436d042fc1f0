"""Optimizers: the one mutable object around a pure update rule.

The one trick: an optimizer knows no formula. It reads from the rule's signature which states and
hyperparameters there are, keeps the states, and calls the rule. So a new optimizer is one rule and
one line:

    def lion(w, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99):
        update = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return w - lr * update, m

    class Lion(Optimizer, rule=elementwise(lion)): pass

and groups, schedules, weight decay, maximize, saving and resuming come with it. For a rule used
only once, `Optimizer(params, rule=lion, lr=1e-3)` does.
"""

import inspect
from types import MappingProxyType

import numpy as np

from minigrad.engine import describe, recording
from minigrad.optim import rules
from minigrad.optim.apply import Plan
from minigrad.optim.asking import Asking
from minigrad.optim.options import checked, default_options, groups_of, named_tensors, unknown
from minigrad.optim.saving import Saving
from minigrad.richtext import Shown, optimizer_html


class Optimizer(Saving, Asking, Shown):
    """Steps parameters along their gradients by an update rule. Base of all optimizers.

    params   tensors, (name, tensor) pairs (model.named_parameters()), or dicts (parameter groups)
             {"params": ..., option: value, ...} whose options override those given here
    rule     a function w, *states = rule(w, g, *states, t, *, hyperparameters); see rules.py.
             Classes declared with `class Name(Optimizer, rule=...)` have it already
    options  the rule's hyperparameters (beta1 and beta2 together as betas=), and weight_decay=0,
             decoupled_weight_decay=False, maximize=False, error_if_nonfinite=False

    With error_if_nonfinite=True, `step()` looks at all gradients first. If one holds a NaN or an
    infinity it raises RuntimeError, naming the first such parameter, and leaves weights, states
    and counts as they were: that step would spoil the states for ever.

    `param_groups` is the list of groups; its values (`group["lr"] = 0.1`) may be changed between
    steps. `state[p]` shows {"step": count, name of a state of the rule: array} of a parameter.

    Raises TypeError or ValueError for params that cannot be optimized and for unknown or senseless
    options. (torch.optim.Optimizer)
    """

    rule = None

    def __init_subclass__(cls, rule=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if rule is not None:
            cls.rule = staticmethod(rule)

    def __new__(cls, *args, **options):
        """Refuses an option that the class does not have, with the name that was probably meant."""
        parameters = inspect.signature(cls.__init__).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            known = [name for name in parameters if name not in ("self", "params")]
            for name in options:
                if name not in known and name != "params":
                    raise TypeError(unknown(name, known, cls.__name__))
        return super().__new__(cls)

    def __init__(self, params, rule=None, **options):
        rule = rule or self.rule
        if rule is None:
            raise TypeError("Optimizer needs rule=, a function w, *states = rule(w, g, *states, "
                            "t); or use SGD, Adam, ...")
        defaults = default_options(rule)
        for name in options:
            if name not in defaults:
                raise TypeError(unknown(name, defaults, self.named(rule)))
        defaults.update(options)
        for name, value in defaults.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.named(rule)} needs a value for '{name}'")
        self.start(params, rule, defaults)

    def named(self, rule):
        """What messages and saved states call this optimizer."""
        return type(self).__name__ if type(self) is not Optimizer else (
            getattr(rule, "__name__", "Optimizer"))

    def start(self, params, rule, defaults):
        """Takes over defaults and parameters. A class with a signature of its own calls this."""
        self.rule, self.kind = rule, self.named(rule)
        self.defaults = {"error_if_nonfinite": False, **defaults}
        self.param_groups = []
        self.steps_taken = 0
        self._recorder = None  # of minigrad.trace, while it watches
        self._memory, self._plans, self._settings = {}, {}, {}
        for group in groups_of(params):
            self.add_param_group(group)
        tensors = [p for group in self.param_groups for p in group["params"]]
        if not tensors:
            raise ValueError("optimizer got an empty parameter list: all groups are empty")
        if not any(p.requires_grad for p in tensors):
            raise ValueError(f"none of the {len(tensors)} parameters has requires_grad=True, so "
                             "no step would change anything; create them with requires_grad=True")

    def add_param_group(self, param_group):
        """Adds {"params": ..., option: value, ...}. Options not given are the constructor's.

        Raises TypeError or ValueError as the constructor does, and then adds nothing.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f'a parameter group must be a dict with "params" in it, got '
                            f"{param_group!r}")
        tensors, names = named_tensors(param_group["params"])
        seen = {p for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(tensors):
            if p in seen:
                raise ValueError(f"parameter {i} ({names[i] or 'unnamed'}, shape {p.array.shape}) "
                                 "is given twice and would step twice; list each tensor once")
            if getattr(self.rule, "matrices", False) and p.array.ndim != 2:
                raise ValueError(f"{self.kind} steps matrices, but parameter {i} is the "
                                 f"{describe(p)}; give this one to another optimizer, e.g. AdamW")
            seen.add(p)
        group = {**self.defaults, **param_group, "params": tensors, "param_names": names}
        if group.get("decay") == "paper":
            group.setdefault("initial_lr", group["lr"])
        self.settings(group)
        self.param_groups.append(group)

    # --- from options to a rule and its hyperparameters ---

    def choose(self, options):
        """The rule that options ask for, and hyperparameters that have no option of their name."""
        return self.rule, {}

    def settings(self, group):
        """(rule, hyperparameters, modifiers) of a group: the arguments of `rules.update`.

        Options are checked, and become plain Python numbers in the group itself.
        """
        options = checked(group, self.defaults, self.rule, self.kind)
        group.update(options)
        rule, values = self.choose(options)
        values = {**options, **values}
        if "betas" in options:
            values["beta1"], values["beta2"] = options["betas"]
        declared = rules.anatomy(rule).hyperparameters
        hyperparameters = {name: values[name] for name in declared}
        modifiers = {}
        if options.get("maximize") and "maximize" not in declared:
            modifiers["maximize"] = True
        if options.get("weight_decay") and "weight_decay" not in declared:
            modifiers["weight_decay"] = options["weight_decay"]
            if options.get("decoupled_weight_decay"):
                modifiers["decay_rate"] = self.decay_rate(options, group)
        return rule, hyperparameters, modifiers

    def decay_rate(self, options, group):
        """What decoupled weight_decay is multiplied by: lr, or the paper's lr / initial lr."""
        if options.get("decay") != "paper":
            return options["lr"]
        if not group["initial_lr"] > 0:
            raise ValueError(f"{self.kind}: decay='paper' divides lr by its initial value, which "
                             f"is {group['initial_lr']}; start with a positive lr")
        return options["lr"] / group["initial_lr"]

    # --- stepping ---

    def step(self, closure=None):
        """Updates every parameter that has a gradient. Returns closure's loss, or None.

        closure, if given, is called once before, with recording on: it should zero the gradients,
        compute the loss, call backward and return the loss. A gradient of None skips its parameter
        altogether; a gradient of zeros is a real step. Nothing is changed if an option or a
        gradient is refused (TypeError, ValueError; RuntimeError for error_if_nonfinite).
        """
        loss = None
        if closure is not None:
            with recording(True):
                loss = closure()
        work = self.prepared()
        with np.errstate(all="ignore"):
            self.apply(work)
        return loss

    def prepared(self):
        """What a step will do: (plan, hyperparameters, modifiers) of every group, all checked."""
        work = []
        for i, group in enumerate(self.param_groups):
            seen, settings = self._settings.get(i, (None, None))
            if group != seen:
                settings = self.settings(group)
                self._settings[i] = dict(group), settings
            rule, hyperparameters, modifiers = settings
            plan = self._plans.get(i)
            if plan is None or not plan.fits(rule, group["params"]):
                plan = self._plans[i] = Plan(rule, group["params"], self._memory)
                plan.fits(rule, group["params"])
            work.append((plan, hyperparameters, modifiers))
        for group in self.param_groups:
            if group["error_if_nonfinite"]:
                refuse_nonfinite(group)
        return work

    def apply(self, work):
        """Does what was prepared."""
        witness = self._recorder and self._recorder.begin()
        for plan, hyperparameters, modifiers in work:
            plan.step(hyperparameters, modifiers, witness)
        self.steps_taken += 1
        if self._recorder is not None:
            self._recorder.end()

    def zero_grad(self, set_to_none=True):
        """Forgets all gradients: None, or (set_to_none=False) zeros, which the next step will take
        as real gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None:
                    p._grad = None if set_to_none else np.zeros_like(p.array)

    @property
    def state(self):
        """{parameter: {"step": count, state: array}} as it is now; empty for one never stepped.

        The mappings are read-only, the arrays are the optimizer's own and may be written to.
        """
        return MappingProxyType({p: MappingProxyType(self._memory.get(p, {}))
                                 for group in self.param_groups for p in group["params"]})

    def __getstate__(self):
        """For copy.deepcopy: all but the plans, which are made anew."""
        return {**self.__dict__, "_plans": {}, "_settings": {}, "_recorder": None}

    def __repr__(self):
        lines = [f"{self.kind} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group)
                      if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])

    def _html(self):
        return optimizer_html(self)


def refuse_nonfinite(group):
    """Raises RuntimeError if a gradient of the group holds a NaN or an infinity."""
    for i, (p, name) in enumerate(zip(group["params"], group["param_names"])):
        if p._grad is None:
            continue
        g = p._grad if type(p._grad) is np.ndarray else p._grad.array
        finite = np.isfinite(g)
        if finite.all():
            continue
        place = tuple(np.argwhere(~finite)[0].tolist())
        raise RuntimeError(
            f"the gradient of parameter {i} ({name or 'unnamed'}, shape {g.shape}) is not finite: "
            f"{(~finite).sum()} of {g.size} numbers, the first {g[place]} at {list(place)}; "
            "nothing was stepped. Lower the learning rate, clip the gradients, or skip this batch")
