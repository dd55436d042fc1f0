"""Is this network healthy? One line per layer, in plain words, with what to try.

The one trick: nothing is attached to the network. Gradients and updates are read off the run (or
off .grad), activations off the record of one forward pass, and each symptom is one function that
looks at one layer.
"""

import itertools
import textwrap
from dataclasses import dataclass, field

import numpy as np

from minigrad import markup
from minigrad.engine import Recorded
from minigrad.inspect.activity import Recording, forward_record
from minigrad.inspect.overview import cuts
from minigrad.inspect.runs import significant
from minigrad.inspect.symptoms import (
    BROKEN, COMPLAINT, Finding, Layer, Surroundings, SYMPTOMS, counted, judged, measure, percent,
    saturation, sleep, typical,
)
from minigrad.nn.module import Module, Parameter
from minigrad.nn.units import Activation, Sigmoid
from minigrad.terminal import table as aligned
from minigrad.terminal import width_of

WIDTH = 80


@dataclass(frozen=True)
class Row:
    """One layer or activation. Numbers that are not known are None.

    layer      path and kind: "net.0 Linear", "net.1 ReLU", "net (tanh)" for a function in forward()
    verdict    what is seen and what to try, in words
    severity   0 fine, 1 a note, 2 a complaint, 3 no longer finite
    dead       share of the units of a relu that were 0 for every sample
    saturated  share of the values of a tanh or sigmoid near its limits
    gradient   Euclidean norm of the gradients of its parameters: the median over the run, or now
    ratio      |update| / |weights|: the median over the run
    """

    layer: str
    finding: object
    dead: object = None
    saturated: object = None
    gradient: object = None
    ratio: object = None

    @property
    def severity(self):
        return self.finding.severity

    @property
    def verdict(self):
        advice = self.finding.advice
        return f"{self.finding.words}: {advice}" if advice else self.finding.words


@dataclass(frozen=True)
class Health:
    """What `health` found: `rows` in the order of the network, `notes` on what is not known."""

    rows: list
    notes: list = field(default_factory=list)

    @property
    def worst(self):
        """The row with the gravest complaint, the first of them; None if there is no complaint."""
        row = max(self.rows, key=lambda row: row.severity, default=None)
        return row if row is not None and row.severity >= COMPLAINT else None

    def __str__(self):
        return "\n".join([self.headline(), "", self.table(), *self.wrapped_notes()])

    __repr__ = __str__

    def headline(self):
        n = sum(row.severity >= COMPLAINT for row in self.rows)
        if not n:
            return f"health: no complaint about {counted(len(self.rows), 'line')}"
        return (f"health: {n} of {counted(len(self.rows), 'line')} "
                f"need{'s' * (n == 1)} attention, first of all {self.worst.layer}")

    def columns(self):
        """(head, [text of each row]) of the columns in which something is known."""
        found = [("layer", cuts([row.layer for row in self.rows], 22)),
                 ("off", [off(row) for row in self.rows]),
                 ("grad norm", [size(row.gradient) for row in self.rows]),
                 ("update/w", [size(row.ratio) for row in self.rows])]
        return [(head, texts) for head, texts in found if head == "layer" or any(texts)]

    def table(self):
        columns = self.columns()
        used = sum(max(map(width_of, [head, *texts])) + 2 for head, texts in columns)
        lines, given = [], set()
        for i, row in enumerate(self.rows):
            advice = row.finding.advice
            verdict = f"{row.finding.words} (as above)" if advice in given else row.verdict
            given.update([advice] if advice else [])
            mark = "" if row.severity < COMPLAINT else "! "
            words = textwrap.wrap(mark + verdict, max(30, WIDTH - used))
            cells = [texts[i] for _, texts in columns]
            lines += [[*first, words] for first, words in
                      zip(itertools.chain([cells], itertools.repeat([""] * len(cells))), words)]
        return aligned([*(head for head, _ in columns), "verdict"], lines,
                       range(1, len(columns)))

    def wrapped_notes(self):
        return ["", *(line for note in self.notes for line in textwrap.wrap(note, WIDTH))] if (
            self.notes) else []

    def _repr_mimebundle_(self, include=None, exclude=None):
        columns = self.columns()
        rows = [[*(texts[i] for _, texts in columns), row.verdict]
                for i, row in enumerate(self.rows)]
        html = (f"<b>{markup.escaped(self.headline())}</b>"
                + markup.table([*(head for head, _ in columns), "verdict"], rows)
                + "".join(f"<p>{markup.escaped(note)}</p>" for note in self.notes))
        return markup.bundle(str(self), html)


def off(row):
    if row.dead is not None:
        return f"{percent(row.dead)} dead"
    return "" if row.saturated is None else f"{percent(row.saturated)} sat"


def size(value):
    return "" if value is None else significant(value)


# --- the examination ------------------------------------------------------------------------------

def health(model, run=None, x=None):
    """Examines a network: a Health with one row per layer, to be printed.

    model  a Module; or a Tensor, whose record then tells which layers there were
    run    the Run of `minigrad.trace`: gradients and updates over its steps. Without it gradients
           are the present .grad
    x      a batch for model(x) (a tuple for several inputs), to see the activations. The model is
           run once as it stands, in training or evaluation mode; buffers, gradients and the random
           generator are left as they were

    Looks for dead relu units (0 for every sample of the batch), saturated tanh and sigmoid (|tanh|
    > 0.97, sigmoid within 0.03 of 0 or 1), vanishing and exploding gradients, updates too large or
    too small for the weights (a rule of thumb: 1e-3 of their size per step), numbers that are not
    finite, layers that are frozen, unused or never stepped. Raises TypeError if model is neither
    Module nor Tensor, ValueError if nothing was recorded.
    """
    if isinstance(model, Recorded):
        if x is not None:
            raise TypeError("x is a batch for a Module; a Tensor brings its own record: "
                            "health(tensor) or health(model, run, x)")
        if model.op is None or not model.requires_grad:
            raise ValueError("this tensor has no record to examine: give a loss or an output that "
                             "was computed from parameters, outside no_grad()")
        record, modules = Recording([model]), None
    elif isinstance(model, Module):
        record = None if x is None else forward_record(model, x)
        modules = list(model.named_modules())
    else:
        raise TypeError(f"health examines a Module or a Tensor with a record, got "
                        f"{type(model).__name__}")
    layers, paths = layers_of(modules, record)
    if run is not None and not hasattr(run, "tape"):
        raise TypeError(f"run is what minigrad.trace gave, got {type(run).__name__}; a batch is "
                        "passed as x=")
    run = run if run is not None and len(run.steps) else None
    layers, paths = layers_of(modules, record)
    measure(layers, run)
    placed = [*layer_rows(layers, record, run, has_sigmoid(modules, record)),
              *activity_rows(record, paths), *broken_rows(record, paths)]
    return Health([row for _, row in sorted(placed, key=lambda pair: pair[0])],
                  notes_on(record, run))


def layers_of(modules, record):
    """(the Layers in the order they are used, {module: path})"""
    inferred = modules is None
    if inferred:
        modules = [(module._path, module) for module in record.modules()]
    paths = {module: path for path, module in modules}
    layers, owned, place = [], set(), 0.0
    for path, module in modules:
        own = {(f"{path}.{name}" if path else name): p
               for name, p in module._parameters.items() if p is not None}
        if not own:
            continue
        owned.update(own.values())
        if record is not None:  # one that is not used stays behind its neighbour
            place = min((record.used[p] for p in own.values() if p in record.used), default=place)
        layers.append(Layer(called(path, type(module).__name__), own, place))
    if inferred:  # parameters that belong to no Module: a lesson's W1 and b1
        for t, tick in record.used.items():
            if t not in owned:
                label = t.name or f"tensor of shape {t.array.shape}"
                layers.append(Layer(label, {label: t}, tick))
    return sorted(layers, key=lambda layer: layer.place), paths


def has_sigmoid(modules, record):
    """Is there a sigmoid that is neither a gate nor the output? Told from the record; without one,
    from the Modules."""
    if record is not None:
        return any(a.op == "sigmoid" and not a.output for a in record.activities)
    inner = [module for _, module in modules if not module._modules]
    return any(isinstance(module, Sigmoid) for module in inner[:-1])


def called(path, kind):
    return f"{path} {kind}" if path else kind


# --- rows -----------------------------------------------------------------------------------------

def layer_rows(layers, record, run, sigmoid):
    """(place, Row) of each layer. sigmoid: is there one between them?"""
    graded = [layer for layer in layers if typical(layer.gradients)]
    around = Surroundings(graded[-1] if graded else None, record, run,
                          any(layer.gradients is not None for layer in layers), sigmoid)
    for layer in layers:
        finding = judged([symptom(layer, around) for symptom in SYMPTOMS])
        yield layer.place, Row(layer.label, finding, gradient=typical(layer.gradients),
                               ratio=typical(layer.ratios))


def activity_rows(record, paths):
    """(place, Row) of each activation of a record."""
    seen = {}
    for a in record.activities if record is not None else ():
        label = label_of(a.module, a.op, paths)
        seen[label] = seen.get(label, 0) + 1
        if seen[label] > 1:
            label += f", use {seen[label]}"
        dead = a.dead / a.units if a.op == "relu" else None
        saturated = None if a.op == "relu" else a.saturated / a.values
        finding = sleep(a) if a.op == "relu" else saturation(a)
        yield a.order, Row(label, finding, dead=dead, saturated=saturated)


def label_of(module, op, paths):
    """net.1 ReLU, or net (relu) where it is a function in a forward()."""
    if module is None:
        return f"({op})"
    path, kind = paths.get(module, module._path), type(module).__name__
    return called(path, kind) if isinstance(module, Activation) else f"{path or kind} ({op})"


def broken_rows(record, paths):
    """(place, Row) of where numbers first stop being finite."""
    if record is None:
        return
    for t in record.leaves:
        if not isinstance(t, Parameter) and not np.isfinite(t.array).all():
            yield -1, Row("input", Finding(BROKEN, "holds inf or nan", "clean the data"))
            return
    t = record.broken
    if t is not None:
        yield t.order, Row(label_of(t.module, t.op.name, paths), Finding(
            BROKEN, f"the first inf or nan, made by {t.op.name}", "smaller weights or inputs, "
            "lower lr"))


def notes_on(record, run):
    """What was not looked at, and how to."""
    notes = []
    if record is None:
        notes.append("Activations were not looked at: health(model, run, x) with a batch x shows "
                     "dead and saturated units.")
    if run is None:
        notes.append("Updates were not looked at: record the training with minigrad.trace(model, "
                     "optimizer) and give the run.")
    return notes
