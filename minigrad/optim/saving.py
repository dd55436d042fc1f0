"""Saving and resuming an optimizer: plain data and arrays out, everything checked on the way in.

The one trick: a loaded state is built up beside the present one, and takes its place only when
all of it has passed the checks. A state that does not fit leaves the optimizer as it was.
"""

import copy

import numpy as np

from minigrad.optim.apply import is_number
from minigrad.optim.rules import anatomy, has_states_like_w, update


class Saving:
    """state_dict and load_state_dict of an Optimizer."""

    def state_dict(self):
        """A deep copy of everything a resumed run needs: numbers, strings, lists and NumPy arrays.

        {"optimizer": kind, "state": {index: {"step": count, state: array}}, "param_groups":
        [{option: value, "params": [index], "param_names": [name or None]}]}. Indices count the
        parameters through all groups. (torch.optim.Optimizer.state_dict)
        """
        state, groups, index = {}, [], 0
        for group in self.param_groups:
            names = anatomy(self.settings(group)[0]).states
            indices = list(range(index, index + len(group["params"])))
            for i, p in zip(indices, group["params"]):
                if p in self._memory:
                    state[i] = {name: copy.deepcopy(value) for name, value in
                                self._memory[p].items() if name == "step" or name in names}
            index += len(indices)
            groups.append({**copy.deepcopy({k: v for k, v in group.items() if k != "params"}),
                           "params": indices})
        return {"optimizer": self.kind, "state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Takes over a copy of a saved state, options (lr, ...) included.

        Raises ValueError or TypeError, and changes nothing, if the state belongs to another kind
        of optimizer, or the groups, or the number, names or shapes of parameters differ.
        """
        missing = {"optimizer", "state", "param_groups"} - set(state_dict)
        if missing:
            raise ValueError(f"this is not the state of an optimizer: {sorted(missing)} missing "
                             f"from its keys {sorted(map(str, state_dict))}")
        if state_dict["optimizer"] != self.kind:
            raise ValueError(f"the saved state is that of {state_dict['optimizer']}, this "
                             f"optimizer is {self.kind}; make the same kind to resume")
        saved_groups = state_dict["param_groups"]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(f"the saved state has {len(saved_groups)} parameter groups, this "
                             f"optimizer {len(self.param_groups)}; build the same groups first")
        saved_state = {int(i): entry for i, entry in state_dict["state"].items()}
        groups, memory = [], {}
        for number, (group, saved) in enumerate(zip(self.param_groups, saved_groups)):
            match(number, group, saved)
            options = {k: copy.deepcopy(v) for k, v in saved.items()
                       if k not in ("params", "param_names")}
            own = {k: v for k, v in group.items() if k in self.defaults
                   or k in ("params", "param_names")}
            new = {**own, **options}
            rule, hyperparameters, _ = self.settings(new)
            for i, p, name in zip(saved["params"], group["params"], group["param_names"]):
                if i in saved_state:
                    memory[p] = loaded(saved_state.pop(i), p, name or f"parameter {i}", rule)
                    complete(memory[p], name or f"parameter {i}", rule, hyperparameters)
            groups.append(new)
        if saved_state:
            raise ValueError(f"the saved state speaks of parameters {sorted(saved_state)}, which "
                             "belong to none of its groups")
        for group, new in zip(self.param_groups, groups):
            group.clear()
            group.update(new)
        self._memory, self._plans, self._settings = memory, {}, {}


def match(number, group, saved):
    """Refuses a saved group that has another number of parameters, or other names."""
    if "params" not in saved:
        raise ValueError(f"saved group {number} lacks 'params', it has {sorted(saved)}; the file "
                         "is damaged")
    if len(saved["params"]) != len(group["params"]):
        raise ValueError(f"saved group {number} has {len(saved['params'])} parameters, this "
                         f"optimizer's group has {len(group['params'])}; build the same model")
    names = saved.get("param_names") or [None] * len(saved["params"])
    for i, (old, new) in enumerate(zip(names, group["param_names"])):
        if old is not None and new is not None and old != new:
            raise ValueError(f"parameter {i} of saved group {number} is '{old}', here it is "
                             f"'{new}'; build the optimizer with the parameters in the same order")


def loaded(entry, p, called, rule):
    """The checked copy of one parameter's saved {"step": count, state: array}."""
    step = entry.get("step")
    if isinstance(step, np.ndarray) and step.size == 1:
        step = step.item()
    if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step < 1:
        raise ValueError(f"{called}: the saved step count is {step!r}, expected 1 or more")
    result = {"step": int(step)}
    for name, value in entry.items():
        if name == "step":
            continue
        if name not in anatomy(rule).states:
            raise ValueError(f"{called}: the saved state '{name}' is none of this optimizer's "
                             f"states {anatomy(rule).states}")
        if not is_number(value):
            value = np.array(value, dtype=p.array.dtype)
            if has_states_like_w(rule) and value.shape != p.array.shape:
                raise ValueError(f"{called}: the saved state '{name}' has shape {value.shape}, "
                                 f"the parameter has shape {p.array.shape}")
        result[name] = value
    return result


def complete(entry, called, rule, hyperparameters):
    """Refuses a saved entry without a state that the rule makes under these hyperparameters.

    Which ones it makes is seen by trying it on one number: states it leaves unused stay 0.0.
    """
    if not has_states_like_w(rule):
        return
    names, one = anatomy(rule).states, np.ones((1, 1))
    trial = update(rule, one, one, [0.0] * len(names), 1, hyperparameters)
    missing = [name for name, state in zip(names, trial[1:])
               if not is_number(state) and name not in entry]
    if missing:
        raise ValueError(f"{called}: the saved state lacks {missing}, it has {sorted(entry)}; "
                         "the file is damaged or was made under other options")
