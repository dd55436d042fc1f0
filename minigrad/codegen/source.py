"""The backprop you would have derived by hand: minigrad.source(loss, params).

The one trick: nothing is derived here. The record is the forward pass, and the rules of its rows
are the backward pass; program.py writes both down as NumPy, printer.py in the words of a person. So
the text is a reading of the very computation that it prints, and gives its numbers to the last bit.
"""

import re

import numpy as np

from minigrad.codegen import stepfile
from minigrad.codegen.fasttext import FastSource
from minigrad.codegen.helpers import Helpers
from minigrad.codegen.names import Namer, by_first_use, sizes
from minigrad.codegen.printer import Printer
from minigrad.codegen.program import build, ordered
from minigrad.lines.tracer import Tracer
from minigrad.codegen.updating import updates_of
from minigrad.codegen.wording import wrapped
from minigrad.calculus import logistic
from minigrad.convolution import convolved, input_gradient, weight_gradient
from minigrad.engine import Recorded, describe
from minigrad.inspect.layout import write
from minigrad.markup import bundle

STYLES = ("readable", "fast")
LIMIT = 5000  # records
ENTIRE = {logistic, convolved, input_gradient, weight_gradient}  # printed as functions
FINITE = "# Where a gradient is infinite, minigrad itself sends 0, not nan, through `* (h != 0)`."
FIXED = ["# index, mask and c were computed on the way (where a pool found its maximum, what",
         "# dropout kept, on which side a condition was), and stay as they were."]


class Source:
    """A computation and its gradients as NumPy text. Made by `source`.

    text    what `print` shows: it runs where `np` is NumPy and the names in `given` are arrays
    names   {identifier: tensor} of parameters, data and named values
    """

    note = FINITE

    def __init__(self, loss, printed, names, finite, updates):
        self.loss, self.printed, self.names = loss, printed, names
        self.updates, self.finite = updates, finite
        self.given = {name: x.array if isinstance(x, Recorded) else x
                      for name, x in printed.given.items()}
        self.helpers = Helpers()
        for name, function in printed.functions.items():
            self.helpers.add(name, function)
        self.update_helpers = Helpers()
        for update in updates:
            self.update_helpers.add(update.function, update.rule)
        self.text = self.printed_text()

    def __str__(self):
        return self.text

    def __repr__(self):
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None):
        return bundle(self.text)

    def printed_text(self):
        """Everything, part by part."""
        imports = in_order(self.helpers.imports | self.update_helpers.imports)
        parts = ["\n".join([*self.legend(), *imports]), *self.helpers.texts]
        forward = ["# forward", *self.printed.constants, *self.printed.forward]
        backward = ["# backward", *([FINITE] if self.finite else []), *self.printed.backward]
        parts += ["\n".join(forward), "\n".join(backward)]
        if self.updates:
            parts += self.update_helpers.texts
            lines = [line for update in self.updates for line in wrapped(update.line)]
            parts.append("\n".join(["# update", *lines]))
        return "\n\n".join(parts) + "\n"

    def legend(self):
        """Which name is which tensor, as comments."""
        data, weights = [], []
        order = {name: i for i, name in enumerate(self.printed.gradients)}
        for name in sorted(self.printed.given, key=lambda name: order.get(name, len(order))):
            x = self.printed.given[name]
            known = getattr(x, "name", None)
            known = "" if not known or known == name else " = " + "".join(
                c if c.isprintable() else " " for c in known)
            part = weights if getattr(x, "requires_grad", False) else data
            part.append(f"{name}{known} {sizes(self.given[name])}")
        lines = filled("# data:  ", sorted(data, key=by_name))
        if any(re.match(r"(index|mask|c)(_\d+)? ", word) for word in data):
            lines += FIXED
        return [*lines, *filled("# params:", weights)]

    def scope(self):
        """The names that the text reads: arrays as they are now, and the states of an update."""
        found = {"np": np, **self.given}
        for update in self.updates:
            found |= update.given
        return found

    def run(self):
        """{"loss": ..., "dW1": ..., ...}, by executing the text; with an optimizer also the updated
        parameters under their names. Nothing of the tensors is changed."""
        scope = self.scope()
        with np.errstate(all="ignore"):
            exec(compile(self.text, "<minigrad.source>", "exec"), scope)
        wanted = ["loss", *[g for g in self.printed.gradients.values() if g]]
        wanted += [update.parameter for update in self.updates]
        return {name: scope[name] for name in wanted}

    def save(self, path):
        """Writes a program that runs with NumPy alone: loss and gradients as a function, the
        update, and a short demo on the numbers of this computation. OSError if it cannot."""
        write(path, stepfile.text_of_file(self).encode())


def in_order(imports):
    """Import lines as style guides want them, NumPy always among them."""
    own = sorted(line for line in imports if "numpy" not in line)
    return [*own, "import numpy as np", *sorted(line for line in imports - {"import numpy as np"}
                                                if "numpy" in line)]


def by_name(word):
    """x and y before all others."""
    name = word.partition(" ")[0]
    return (name not in "xy", name)


def filled(head, words):
    """Words after a head, as comment lines of at most 90 columns."""
    lines = [head] if words else []
    for i, word in enumerate(words):
        comma = "," if i < len(words) - 1 else ""
        if len(lines[-1]) + len(word) + 2 > 90:
            lines.append("#" + " " * (len(head) - 1))
        lines[-1] += f" {word}{comma}"
    return lines


def source(loss, params=None, *, style="readable", optimizer=None):
    """The NumPy program of `loss` and of its gradients, as text: a Source.

    loss       a tensor of one number that requires grad
    params     what to print gradients of: tensors, a Module, or an Optimizer, whose update is then
               printed as well. None: the optimizer's parameters, or all leaves that require grad
    style      "readable": the lines a person would write; "fast": the same, with every result
               written into memory set aside once, as a compiled step runs it (a FastSource)
    optimizer  whose update is printed after the gradients

    Executing the text gives the numbers of `loss.backward()` to the last bit. Raises ValueError or
    RuntimeError for a loss that has no gradient, more than 5000 operations, and operations that
    are Python code of the user's own (NotImplementedError for autograd.Function).
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(map(repr, STYLES))}, got {style!r}")
    if not isinstance(loss, Recorded):
        raise TypeError(f"loss must be a Tensor, got {type(loss).__name__}: pass what the forward "
                        "pass computed, before .item()")
    if loss.array.size != 1:
        raise ValueError(f"source() needs a loss of one number, the {describe(loss)} has "
                         f"{loss.array.size}: reduce it with .sum() or .mean()")
    if not loss.requires_grad:
        raise ValueError(f"the {describe(loss)} does not require grad: nothing it was computed "
                         "from has requires_grad=True, or it was made under no_grad()")
    if optimizer is None and hasattr(params, "param_groups"):
        params, optimizer = None, params
    records = ordered(loss)
    if len(records) > LIMIT:
        raise ValueError(f"the loss was computed in {len(records)} operations, and source() prints "
                         f"at most {LIMIT}: print a smaller computation, one batch or fewer steps")
    for t in records:
        if t.op is not None and t.op.joint is not None:
            raise NotImplementedError(
                f"{t.op.name} is an autograd.Function, whose forward and backward are Python code "
                f"that cannot be followed (the {describe(t)}); write it as primitive(forward, vjp)")
    parameters = chosen(params, optimizer, records)
    if style == "fast":
        made = FastSource(loss, parameters, records)
        verify(made, loss)
        return made
    made = written_down(loss, parameters, records, optimizer)
    clashing = made.helpers.done.keys() | made.update_helpers.done.keys()
    if made.helpers.done and clashing & made.used:
        made = written_down(loss, parameters, records, optimizer, clashing)
    verify(made, loss)
    return made


def written_down(loss, parameters, records, optimizer, reserved=()):
    """The Source of a loss. reserved: names that no value may have."""
    namer = Namer(records, loss, parameters, reserved)
    names = namer.run()
    tracer = Tracer(finite=True, entire=ENTIRE)
    with np.errstate(all="ignore"):
        program = build(loss, parameters, names, tracer=tracer)
    printer = Printer(program, names, namer.words(), loss, reserved)
    printed = printer.run()
    tensors = {id(t): t for t in (*parameters, *records)}
    updates = [] if optimizer is None else updates_of(optimizer, names, printed)
    made = Source(loss, printed, {name: tensors[key] for key, name in names.items()},
                  tracer.assumed, updates)
    made.used = set(printer.final.values()) | set(names.values())
    return made


def chosen(params, optimizer, records):
    """The tensors whose gradients are asked for."""
    if params is None and optimizer is not None:
        params = [p for group in optimizer.param_groups for p in group["params"]]
    elif params is None:
        return by_first_use(records, [t for t in records if t.op is None and t.requires_grad])
    elif hasattr(params, "parameters"):
        params = params.parameters()
    elif isinstance(params, Recorded):
        params = [params]
    found = list(params)
    for i, p in enumerate(found):
        if not isinstance(p, Recorded):
            raise TypeError(f"params must be tensors, a Module or an Optimizer; number {i} is a "
                            f"{type(p).__name__}")
    return list({id(p): p for p in found if p.requires_grad}.values())


def verify(made, loss):
    """Refuses a program whose inputs are no longer what the loss was computed from."""
    value = made.run()["loss"]
    if not np.array_equal(value, loss.array, equal_nan=True):
        raise RuntimeError(
            f"the {describe(loss)} is {loss.array.item()!r}, but computed again from its inputs it "
            f"is {np.asarray(value).item()!r}: a tensor it was computed from has been changed in "
            "place since. Call source() before the optimizer's step, or compute the loss anew")
