"""trace(model, optimizer): every number of a training run, kept while the loop runs as it is.

    with minigrad.trace(model, optimizer) as run:
        train()                                # any loop, no change inside
    run["net.0.weight"]["m_hat"]               # (steps, 16, 2)
    run.explain("net.0.weight", (2, 3), step=7)

The one trick: nothing is computed for the trace. The optimizer's rule has names for its quantities,
and the recorder (recorder.py) writes down what they stood for. Only what no rule has a name for is
added here: `delta`, what it is made of, and `ratio`.
"""

import bisect
import math
import os

import numpy as np

from minigrad import io, matrices
from minigrad.engine import Recorded, mode
from minigrad.inspect import report, runs
from minigrad.inspect.recorder import WHY, Film, Recorder, Settings
from minigrad.nn.module import Module
from minigrad.optim import explaining, rules
from minigrad.optim.asking import Message, unknown_name
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.reading import Update

BUDGET = 2_000_000  # numbers kept of each quantity
VERSION = 1         # of trace files


def trace(model, optimizer=None, every=1, *, budget=BUDGET):
    """A Run, to be used in a `with` statement around a training loop: it records what
    `optimizer.step()` does to the parameters of `model`.

    model: the Module, or None for whatever the optimizer holds. every: record each step (1), or
    every k-th. budget: numbers kept per quantity (so budget // parameters steps); when they are
    used up, every second step is dropped and twice as many are left out from then on, with a
    warning.

    Raises TypeError for anything but a Module and an Optimizer, ValueError if the optimizer is
    being traced already. (trace(matrix), of a tensor, is its sum over the diagonal: torch.trace.)
    """
    if optimizer is None and isinstance(model, (Recorded, np.ndarray)):
        return matrices.trace(model)
    if isinstance(model, Optimizer) and (optimizer is None or isinstance(optimizer, Module)):
        model, optimizer = optimizer, model
    if not isinstance(optimizer, Optimizer) or not (model is None or isinstance(model, Module)):
        raise TypeError("trace takes a Module (or None) and its optimizer, trace(model, "
                        f"optimizer); got {type(model).__name__} and {type(optimizer).__name__}")
    for name, value in (("every", every), ("budget", budget)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"trace: {name} must be a whole number from 1 on, got {value!r}")
    return Run(Recorder(model, optimizer, int(every), int(budget)), model, optimizer)


class Run:
    """The record of a run: `run[name]` is everything known of a parameter, step by step.

    names      of the parameters, in the order of the model
    steps      (n,) the optimizer's numbers of the recorded steps, the first being 1
    loss       (n,) what backward() was called on for the step; of several backward passes, the sum
    lr         (n,), or (n, groups) if the optimizer has several groups (NaN before one was added)
    grad_norm  (n,) 2-norm of all gradients that the step used, as clipping left them
    seconds    (n,) since the recording began
    """

    def __init__(self, tape, model=None, optimizer=None):
        self.tape, self.model, self.optimizer = tape, model, optimizer
        self._norms, self._last = (-1, None), (None, None)

    def __enter__(self):
        if not isinstance(self.tape, Recorder):
            raise RuntimeError("a loaded run is complete; make a new one with trace(model, "
                               "optimizer)")
        if self.optimizer._recorder is not None:
            raise ValueError(f"this {self.kind} is being traced already; leave the other `with` "
                             "block first")
        self.optimizer._recorder = self.tape
        mode.recorders += (self.tape,)
        return self

    def __exit__(self, *exception):
        self.optimizer._recorder = None
        mode.recorders = tuple(r for r in mode.recorders if r is not self.tape)
        self.tape.seen = []

    # --- what was recorded ------------------------------------------------------------------------

    @property
    def kind(self):
        """What the optimizer is called."""
        return self.tape.kind

    @property
    def every(self):
        """One step in so many is kept."""
        return self.tape.every

    @property
    def aliases(self):
        """{other name of a shared parameter: the name it is recorded under}"""
        return self.tape.aliases

    @property
    def names(self):
        return list(self.tape.parameters)

    @property
    def steps(self):
        return np.array(self.tape.steps, int)

    @property
    def loss(self):
        return np.array(self.tape.loss, float)

    @property
    def seconds(self):
        return np.array(self.tape.seconds, float)

    @property
    def lr(self):
        rates = self.rates()
        return rates[:, 0] if rates.shape[1] == 1 else rates

    def rates(self):
        """lr as (n, groups); NaN before a group was added."""
        groups = max(map(len, self.tape.lr), default=1)
        rates = [row + [math.nan] * (groups - len(row)) for row in self.tape.lr]
        return np.array(rates, float).reshape(-1, groups)

    @property
    def grad_norm(self):
        if self._norms[0] != self.version:
            squares = np.zeros(len(self))
            for name in self.names:
                film = self.tape.film(name)
                stepped = film.settings >= 0
                grad = film.quantities[".grad"][stepped].astype(float)
                with np.errstate(over="ignore"):
                    squares[stepped] += (grad * grad).sum(axis=tuple(range(1, grad.ndim)))
            self._norms = self.version, np.sqrt(squares)
        return self._norms[1].copy()

    @property
    def version(self):
        """Changes whenever something was recorded."""
        return len(self.tape.steps), self.tape.steps[-1] if self.tape.steps else 0

    def __len__(self):
        return len(self.tape.steps)

    def __iter__(self):
        return iter(self.names)

    def __contains__(self, name):
        return name in self.tape.parameters or name in self.aliases

    def __getitem__(self, name):
        """{quantity: array (steps, *shape of the parameter)}.

        data       the weights before the update
        grad       the gradient as backward and clipping left it; NaN where there was none
        g, ...     every name of the rule: Adam has g (after decay and maximize), m, v, m_hat,
                   v_hat, denominator, step; single numbers (its hyperparameters, t) are (steps,).
                   A state is what the step left, as in optimizer.state
        adaptive, decay   the two parts of the change: the rule's own, decoupled weight decay's
        delta      the change: the weights after it are data + delta, to the last bit where the
                   rule subtracts its step from the weights, to 1 ulp where it shrinks them as well
        ratio      |delta| / |data|

        A step that left the parameter out has NaN in the names of the rule, and delta 0.
        """
        name = self.named(name)
        if self._last[0] != (name, self.version):
            self._last = (name, self.version), quantities(self.tape.film(name), self.tape.settings)
        return dict(self._last[1])

    def keys(self):
        return self.names

    def named(self, name):
        """The name under which a parameter is recorded. KeyError, with the nearest names."""
        if isinstance(name, Recorded):
            tensor, known = name, self.tape.parameters
            name = next((n for n, p in known.items() if p is tensor), tensor.name)
            other = known.get(name)  # a loaded run has names only
            if other is not None and other is not tensor:
                raise KeyError(Message(f"the run has another tensor named {name!r}, not this one; "
                                       "the name as text leads to that one"))
        name = self.aliases.get(name, name) if isinstance(name, str) else name
        if name not in self.tape.parameters:
            raise KeyError(unknown_name(name, self.names, "the run"))
        return name

    def position(self, step=None):
        """Where in the arrays a step is; by default the last. ValueError if it is not recorded."""
        steps = self.tape.steps
        if not steps:
            raise ValueError("nothing is recorded yet: no optimizer.step() has run inside the "
                             "`with minigrad.trace(...)` block")
        if step is None:
            return len(steps) - 1
        at = bisect.bisect_left(steps, step)
        if at < len(steps) and steps[at] == step:
            return at
        near = ", ".join(map(str, steps[max(0, at - 2):at + 2]))
        kept = "every step" if self.every == 1 else f"one step in {self.every}"
        raise ValueError(f"step {step} was not recorded; the nearest recorded steps are {near} "
                         f"({kept} from {steps[0]} to {steps[-1]})")

    # --- explaining -------------------------------------------------------------------------------

    def update(self, name, step=None):
        """The Update of a parameter at a recorded step; None if that step left it out."""
        name, at = self.named(name), self.position(step)
        film = self.tape.film(name)
        if film.settings[at] < 0:
            return None
        used = self.tape.settings[film.settings[at]]
        states = {key: values[at] if values[at].ndim else values[at].item()
                  for key, values in film.before.items()
                  if key in rules.anatomy(used.rule).states} if callable(used.rule) else {}
        calls, carried = self.tape.backwards[at]
        note = f"the gradient is the sum of {calls} backward calls" if calls > 1 else ""
        if 0 < carried < calls:
            note += f", {carried} of them from before the last step: zero_grad() was not called"
        elif carried:
            note = ("the gradient is the one of the step before: since then, neither zero_grad() "
                    "nor backward() was called")
        data = film.quantities[".data"][at]
        with np.errstate(all="ignore"):
            after = (data + film.quantities[".delta"][at]).astype(data.dtype)
        return Update(name, self.kind, used.rule, self.tape.steps[at], int(film.t[at]), data,
                      film.quantities[".grad"][at], states, used.hyperparameters, used.modifiers,
                      note, after)

    def explain(self, name, index=None, step=None, notation=None):
        """How one number of a parameter changed at a recorded step (by default the last): the rule
        line by line, with its numbers; and why, if it did not move. See Optimizer.explain.

        Raises KeyError for an unknown name, ValueError for a step that is not recorded, IndexError
        for an index out of range.
        """
        name = self.named(name)
        update = self.update(name, step)
        if update is None:
            at = self.position(step)
            return explaining.not_stepped(name, WHY[self.tape.film(name).settings[at]],
                                          kind=self.kind, step=self.tape.steps[at], index=index)
        if not callable(update.rule):
            raise ValueError(f"this run was stepped by the rule {update.rule!r}, which is not one "
                             "of minigrad's, and files hold no code; pass the function: "
                             "load_trace(path, rule=...)")
        return explaining.explained(update, index, notation)

    # --- files and displays -----------------------------------------------------------------------

    def save(self, path):
        """Writes everything recorded to an .npz file (no code, no pickle); `load_trace` reads it.
        Returns path. Raises OSError if it cannot be written."""
        tape = self.tape
        settings = [[rule_name(s.rule), s.hyperparameters, s.modifiers, s.group]
                    for s in tape.settings]
        films = {name: tape.film(name)._asdict() for name in self.names}
        io.save({"minigrad trace": VERSION, "kind": tape.kind, "every": tape.every,
                 "aliases": self.aliases, "steps": self.steps, "loss": self.loss,
                 "lr": self.rates(), "seconds": self.seconds,
                 "backwards": np.array(tape.backwards, int).reshape(-1, 2),
                 "settings": settings, "parameters": films}, path)
        return path

    def to_csv(self, path):
        """Writes one line per step and number, with every quantity in a column. Returns path."""
        return runs.to_csv(self, path)

    def table(self, step=None):
        """Text: all parameters at a recorded step (by default the last), a line each."""
        return runs.table(self, step)

    def report(self, path, graph=None, *, budget=BUDGET):
        """Writes the page of this run, one HTML file to look through it offline: the loss, every
        gradient and update at every step, one weight's update line by line. graph: a Graph to show
        below. Above `budget` numbers every k-th step is kept, and the page says so. Returns path.
        """
        return report.report(self, path, graph, budget=budget)

    def plot(self, names=None):
        """A matplotlib Figure: loss, gradients, ratio and lr over the steps."""
        return runs.plot(self, names)

    def __repr__(self):
        return runs.short(self)

    def __str__(self):
        return runs.text(self)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return runs.bundle(self)


ADDED = ("data", "grad", "adaptive", "decay", "delta", "ratio", "t")


def quantities(film, settings):
    """What run[name] shows, from what was recorded."""
    found, n = film.quantities, len(film.t)
    data = found[".data"]
    shown = {"data": data, "grad": found[".grad"]}
    for name, values in found.items():
        if not name.startswith("."):
            shown[f"{name} (rule)" if name in ADDED else name] = values
    stepped = laid_along(film.settings >= 0, data)
    with np.errstate(all="ignore"):
        delta = np.where(stepped, laid_along(found.get(".delta", np.zeros(n)), data), 0)
        delta = delta.astype(data.dtype)
        decay, adaptive = delta * 0, delta
        if ".decay" in found:  # NaN at steps without decay
            absent = np.isnan(found[".decay"])
            decay = np.where(absent, decay, found[".decay"]).astype(data.dtype)
            adaptive = np.where(absent, delta, found[".adaptive"]).astype(data.dtype)
        ratio = np.where(delta == 0, 0, np.abs(delta) / np.abs(data)).astype(data.dtype)
    shown |= {"adaptive": adaptive, "decay": decay, "delta": delta, "ratio": ratio, "t": film.t}
    used = [settings[k].hyperparameters if k >= 0 else {} for k in film.settings]
    for name, value in next((values for values in used if values), {}).items():
        if isinstance(value, (int, float)) and name not in shown:
            shown[name] = np.array([values.get(name, math.nan) for values in used])
    return shown


def laid_along(values, data):
    """One value per step, or per step and weight, so that it fits beside data."""
    return np.broadcast_to(values.reshape(values.shape + (1,) * (data.ndim - values.ndim)),
                           data.shape)


# --- files ----------------------------------------------------------------------------------------

class Stored:
    """What a trace file holds, in the place of the Recorder that wrote it."""

    def __init__(self, content, rule):
        self.kind, self.every = content["kind"], content["every"]
        self.aliases = dict(content["aliases"])
        self.films = {name: Film(**film) for name, film in content["parameters"].items()}
        self.parameters = dict.fromkeys(self.films)  # the tensors are gone
        self.steps = content["steps"].tolist()
        self.loss, self.lr = content["loss"].tolist(), content["lr"].tolist()
        self.seconds = content["seconds"].tolist()
        self.backwards = [tuple(pair) for pair in content["backwards"].tolist()]
        self.settings = [Settings(rule_named(name, rule), *rest)
                         for name, *rest in content["settings"]]

    def film(self, name):
        return self.films[name]


def rule_name(rule):
    """How a file refers to a rule: "adam" is minigrad's, "mine.adam" the one of a module mine."""
    if not callable(rule):
        return rule
    name = getattr(rule, "__name__", type(rule).__name__)
    ours = getattr(rules, name, None) is rule
    return name if ours else f"{rule.__module__}.{name}"


def rule_named(name, given):
    """The rule of that name: the one given, whatever module it is in now, or minigrad's. The name
    itself if it is neither."""
    if "." not in name:
        return getattr(rules, name, name)
    if given is not None and rule_name(given).rpartition(".")[2] == name.rpartition(".")[2]:
        return given
    return name


def load_trace(path, rule=None):
    """The Run that `run.save(path)` wrote. rule: the function that stepped it, if it is none of
    minigrad's; only explain() needs it.

    Raises FileFormatError if the file is damaged, no trace, or from a newer minigrad; OSError if it
    cannot be read.
    """
    content = io.load(path)
    version = content.get("minigrad trace") if isinstance(content, dict) else None
    if version is None:
        raise io.FileFormatError(f"{os.fspath(path)} is a file of minigrad.save, but not a trace; "
                                 "read it with minigrad.load")
    if version != VERSION:
        raise io.FileFormatError(f"{os.fspath(path)} is a trace of format version {version!r}, "
                                 f"this minigrad reads version {VERSION}; record the run again, "
                                 "or use the minigrad that wrote it")
    try:
        return Run(Stored(content, rule))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise io.FileFormatError(f"{os.fspath(path)} is a damaged trace ({error!r}); use another "
                                 "copy, or record the run again") from None
