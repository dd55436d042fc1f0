"""The claims of the slides, and of the papers behind them, as experiments with known answers.

    experiments.list()                            # their names
    print(experiments.momentum_rates(kappa=50))   # each is a function; without arguments, defaults
    experiments.run("momentum_rates", kappa=50)   # the same by name

The one trick: there is no list to keep. What an exp_ module calls an experiment is found there, in
the order in which it is written.
"""

import difflib

from minigrad.lab import (
    exp_adagrad,
    exp_adam,
    exp_amsgrad,
    exp_batches,
    exp_decay,
    exp_isotropy,
    exp_momentum,
    exp_saddle,
    exp_schedules,
    exp_typos,
    exp_wilson,
)
from minigrad.lab.experiment import Experiment

MODULES = (exp_batches, exp_isotropy, exp_saddle, exp_momentum, exp_adagrad,
           exp_adam, exp_amsgrad, exp_wilson, exp_decay, exp_schedules, exp_typos)

catalogue = {name: found for module in MODULES for name, found in vars(module).items()
             if isinstance(found, Experiment)}
globals().update(catalogue)


def get(name):
    """The Experiment of a name. ValueError, with the nearest name, if there is none."""
    if name not in catalogue:
        near = difflib.get_close_matches(str(name), catalogue, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "experiments.list() names them all"
        raise ValueError(f"there is no experiment {name!r}; {hint}")
    return catalogue[name]


def run(name, **parameters):
    """The Result of an experiment called by its name. Raises as `get`, and as the experiment."""
    return get(name)(**parameters)


def names():
    """The names of all experiments, in the order of the slides."""
    return [*catalogue]


list = names  # experiments.list() reads well; nothing above needs the builtin


def __dir__():
    return sorted({*globals(), *catalogue})
