"""compile(loss_fn, optimizer): a training step as the straight lines of NumPy that it is.

    step = minigrad.compile(lambda x, y: loss_function(model(x), y), optimizer)
    for x, y in batches:
        loss = step(x, y)              # zero_grad, forward, backward and update

The one trick: the first call for a shape of data runs as ever, and its record becomes a program
(program.py) whose results are written into memory set aside once (lower.py). Gradients are written
where the optimizer reads them. Nothing is believed: the loss is recorded a second time, for other
numbers, and what then differs beside the data (a branch, a value that was taken out of the record)
is refused; the first step of every program is held against the eager one.
"""

import builtins
import math
import warnings
from dataclasses import dataclass, field

import numpy as np

from minigrad import engine, random
from minigrad.beside import NotCompilable
from minigrad.codegen.lower import Lowering, needed, shared
from minigrad.codegen.program import build, ordered
from minigrad.codegen.straight import Tracer, Unknown
from minigrad.engine import Recorded, describe, mode, wrap
from minigrad.optim.optimizer import Optimizer

MOST = 16  # programs of one step: more shapes than that are a mistake, or work for eager


def compile(loss_fn, optimizer, *, after_backward=None):
    """A training step as a function: step(*data) does zero_grad, forward, backward and update as
    straight-line NumPy in reused memory, and returns the loss, a 0-d tensor without history.

    loss_fn(*data) -> loss, a tensor of one number; data are tensors, arrays (passed on as tensors),
    or other values, which are part of the program. after_backward: called between backward and
    update, e.g. to clip: `lambda: nn.utils.clip_grad_norm_(model.parameters(), 1.0)`.

    A program is made for each shape and dtype of the data and each mode (train, eval), anew when a
    parameter gets another array or a number that loss_fn closes over changes. The loss and the
    gradients are those of the eager step. Dropout draws anew in every step, running statistics
    advance, groups and schedulers work. `step.source` is the text of what runs.

    Python code in loss_fn runs only while a program is made: what it prints or appends happens
    then only. Inside minigrad.trace and detect_anomaly steps run eagerly, and say so.

    Raises TypeError for anything but a function and an Optimizer; NotCompilable, at the first call
    and before anything is changed, for what cannot be made a program: a branch on numbers, random
    numbers other than dropout's, values taken out of the record (item(), numpy(), argmax), an
    autograd.Function.
    """
    if not callable(loss_fn) or not isinstance(optimizer, Optimizer):
        raise TypeError("compile takes a function that returns the loss and an optimizer, "
                        f"compile(loss_fn, optimizer); got {type(loss_fn).__name__} and "
                        f"{type(optimizer).__name__}")
    return CompiledStep(loss_fn, optimizer, after_backward)


@dataclass
class Compiled:
    """One program, ready to run."""

    run: object            # run(*arrays) -> loss; writes the gradients
    text: str
    gradients: list        # [(parameter, array its gradient is written into, or None)]
    bound: list            # [(tensor, the array it had)]: parameters and buffers the lines name
    modules: list          # [(module, was it training)]
    outside: list          # [(namespace, name, value)]: numbers that loss_fn sees around it
    sums: list             # vectors that must be finite, or the step is done eagerly
    kinds: list            # (shape, dtype) of each argument, (None, None) of a plain value
    checked: bool = False  # has it been held against the eager step?
    effects: list = field(default_factory=list)

    def fits(self, data):
        """Are the data of the kind that this program was made for?"""
        if len(data) != len(self.kinds):
            return False
        for x, (shape, dtype) in zip(data, self.kinds):
            if shape is None:
                return False  # a plain value: looked up
            array = x.array if isinstance(x, Recorded) else x
            if type(array) is not np.ndarray or array.shape != shape or array.dtype is not dtype:
                return False
        return True

    def holds(self):
        """Is all that the lines took for granted still so?"""
        for t, array in self.bound:
            if t.array is not array:
                return False
        for module, training in self.modules:
            if module.training is not training:
                return False
        return all(space.get(name) is value for space, name, value in self.outside)


class CompiledStep:
    """What minigrad.compile returns: call it with a batch."""

    def __init__(self, loss_fn, optimizer, after_backward=None):
        self.loss_fn, self.optimizer, self.after_backward = loss_fn, optimizer, after_backward
        self.programs, self.last, self.told = {}, None, set()
        self.plain = type(optimizer).step is Optimizer.step  # else a subclass does more in step()

    def __call__(self, *data):
        last = self.last  # most calls are like the one before
        if last is not None and last.checked and last.fits(data) and last.holds() and (
                not mode.recorders and engine.observer is None):
            return self.step(last, data)
        if mode.recorders or engine.observer is not None:
            self.say("a run is being traced" if mode.recorders else "anomalies are being detected")
            return self.eager(data)
        key = tuple([(x.array.shape, x.array.dtype) if isinstance(x, Recorded) else
                     (x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in data])
        try:
            program = self.programs.get(key)
        except TypeError:
            raise TypeError("compile: data must be tensors, arrays or plain values, got "
                            + ", ".join(type(x).__name__ for x in data)) from None
        if program is None or not program.holds():
            return self.first(key, data)
        if not program.checked:
            return self.check(program, data)
        self.last = program
        return self.step(program, data)

    def step(self, program, data):
        """One step by the program."""
        with np.errstate(all="ignore"):
            loss = program.run(*[x.array if isinstance(x, Recorded) else x for x in data])
            for vector in program.sums:  # their squares: the quickest look at all numbers
                if not math.isfinite(np.dot(vector, vector)):
                    return self.eager(data)  # an infinite gradient: the rules know what to do
            for p, gradient in program.gradients:
                p._grad = gradient
            if self.after_backward is not None:
                self.after_backward()
            if self.plain:
                self.optimizer.apply(self.optimizer.prepared())
            else:
                self.optimizer.step()
        return wrap(np.asarray(loss))

    def eager(self, data):
        """One step as ever."""
        self.optimizer.zero_grad()
        loss = self.loss_fn(*as_tensors(data))
        loss.backward()
        if self.after_backward is not None:
            self.after_backward()
        self.optimizer.step()
        return loss.detach()

    def say(self, why):
        if why not in self.told:
            self.told.add(why)
            warnings.warn(f"compiled step: {why}, so steps run eagerly meanwhile", stacklevel=3)

    @property
    def source(self):
        """The text of the program that ran last, and of the update after it."""
        if self.last is None:
            return "# nothing has been compiled yet: call the step once"
        updates = {batch.form[1].versions[0].text for plan in self.optimizer._plans.values()
                   for batch in plan.batches if batch.form and batch.form[1].versions}
        return "\n\n".join([self.last.text, *sorted(updates)])

    def __repr__(self):
        return f"<compiled step of {self.optimizer.kind}, {len(self.programs)} programs>"

    # --- making a program ---

    def first(self, key, data):
        """The first call for its kind of data: an eager step, of which the program is made."""
        if key not in self.programs and len(self.programs) >= MOST:
            raise NotCompilable(
                f"compile: {MOST} programs have been made, one for each shape of the data or value "
                "of a plain argument, and here is another; pass numbers that change as tensors, "
                "drop a last smaller batch (drop_last=True), or train eagerly")
        given = as_tensors(data)
        state = random.generator().bit_generator.state
        loss, effects = recorded(self.loss_fn, given)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        names = self.examined(loss, effects, given, parameters, state)
        after = random.generator().bit_generator.state
        random.generator().bit_generator.state = state
        draft = drafted(loss, effects, parameters, names, given)
        random.generator().bit_generator.state = after
        self.optimizer.zero_grad()
        loss.backward()
        if self.after_backward is not None:
            self.after_backward()
        self.optimizer.step()
        self.programs[key] = self.last = self.finished(draft, parameters, effects)
        return loss.detach()

    def examined(self, loss, effects, given, parameters, state):
        """{id(leaf): name in the program}; refuses what the record does not tell the whole of."""
        if not isinstance(loss, Recorded) or loss.array.size != 1 or not loss.requires_grad:
            what = describe(loss) if isinstance(loss, Recorded) else type(loss).__name__
            raise NotCompilable("compile: loss_fn must return a tensor of one number that was "
                                f"computed from parameters, got the {what}")
        for t in ordered(loss):
            if t.op is not None and t.op.name == "getitem" and any(
                    isinstance(x, Recorded) and x.array.dtype.kind == "b" for x in t.inputs[1:]):
                raise NotCompilable(
                    f"compile: the {describe(t)} holds as many numbers as a mask is true, which "
                    "may be others in the next step; use where(mask, x, 0), or train eagerly")
        others = probe(self.loss_fn, given, parameters, effects)
        records = ordered(loss, [t for _, _, tensors, _ in effects for t in tensors])
        names = {id(t): f"x{i}" for i, t in enumerate(given) if isinstance(t, Recorded)}
        names |= {id(p): f"w{i}" for i, p in enumerate(parameters)}
        if others is None:  # the other numbers made an error: every leaf counts as lasting
            names |= {id(t): f"s{i}" for i, t in enumerate(records)
                      if t.op is None and id(t) not in names}
            return names
        swapped, twins = others
        if [kind_of(t) for t in records] != [kind_of(t) for t in twins]:
            raise NotCompilable("compile: loss_fn takes another way for other numbers: an `if`, a "
                                "loop or an index in it depends on values, which straight lines "
                                "cannot; train eagerly, or use where() instead of if")
        for i, (t, twin) in enumerate(zip(records, twins)):
            if t is twin and t.op is None:
                names.setdefault(id(t), f"s{i}")
            elif id(t) not in names and not alike(t, twin):
                raise NotCompilable(
                    f"compile: the {describe(t)} holds values that change with the data or from "
                    "time to time, but no recorded operation made them: values taken out by "
                    "item(), numpy(), detach() or argmax, or random numbers drawn in loss_fn "
                    "(dropout is fine); train eagerly, or pass them as arguments")
        return names

    def finished(self, draft, parameters, effects):
        """The Compiled of a drafted program. Gradients go where the optimizer gathers them."""
        homes = {}
        for plan in self.optimizer._plans.values():
            for batch in plan.batches:
                for i, p in enumerate(batch.parameters):
                    if batch.joined:
                        homes[id(p)] = batch.g_parts[i]
        return lowered(draft, parameters, homes, effects, namespaces(self.loss_fn))

    def check(self, program, data):
        """The second call: the program beside the eager step, on the same numbers."""
        state = random.generator().bit_generator.state
        kept = [(t, t.array.copy()) for _, _, tensors, _ in program.effects for t in tensors[1:]]
        with np.errstate(all="ignore"):
            loss = np.asarray(program.run(*[x.array if isinstance(x, Recorded) else x
                                            for x in data])).copy()
        found = [(p, None if g is None else g.copy()) for p, g in program.gradients]
        random.generator().bit_generator.state = state
        for t, array in kept:
            t.array[...] = array
        self.optimizer.zero_grad()
        eager = self.loss_fn(*as_tensors(data))
        eager.backward()
        differs = [] if close(loss, eager.array) else ["the loss"]
        differs += [f"the gradient of {p.name or describe(p)}" for p, g in found
                    if not close(g, array_of(p._grad))]
        if self.after_backward is not None:
            self.after_backward()
        self.optimizer.step()
        if differs:
            refusal = NotCompilable(
                f"compile: {differs[0]} of the compiled step differs from the eager one (the step "
                "was done eagerly, nothing is lost). Something that loss_fn uses changes from call "
                "to call without being an argument; train eagerly, or pass it as a tensor")
            refusal.loss = eager.detach()
            raise refusal
        program.checked = True
        return eager.detach()


def as_tensors(data):
    return [wrap(x) if isinstance(x, np.ndarray) else x for x in data]


def array_of(g):
    return g.array if isinstance(g, Recorded) else g


def close(one, other):
    """Do two results agree, up to another order of summation?"""
    if one is None or other is None:
        return one is other
    tolerance = 1e-4 if one.dtype.itemsize < 8 else 1e-9
    scale = np.max(np.abs(other), initial=0.0, where=np.isfinite(other))
    return np.allclose(one, other, rtol=tolerance, atol=tolerance * float(scale), equal_nan=True)


def recorded(loss_fn, given):
    """(loss, effects) of a call in which everything is recorded."""
    mode.tracing = effects = []
    try:
        return loss_fn(*given), effects
    finally:
        mode.tracing = None


# --- the second recording -------------------------------------------------------------------------

def probe(loss_fn, given, parameters, effects):
    """(data, records) of loss_fn for other data, other parameters and other random numbers; None
    if it raises an error for them. Leaves everything as it was."""
    data = [wrap(other(t.array, i)) if isinstance(t, Recorded) else t
            for i, t in enumerate(given)]
    arrays = [p.array for p in parameters]
    kept = [(t, t.array.copy()) for _, _, tensors, _ in effects for t in tensors[1:]]
    state = random.generator().bit_generator.state
    random.generator().manual_seed(271828)
    try:
        for i, p in enumerate(parameters):
            p.array = other(p.array, i)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss, more = recorded(loss_fn, data)
        return data, ordered(loss, [t for _, _, tensors, _ in more for t in tensors])
    except Exception:  # of the user's own code, for numbers that it was not meant for
        return None
    finally:
        for p, array in zip(parameters, arrays):
            p.array = array
        for t, array in kept:
            t.array[...] = array
        random.generator().bit_generator.state = state


def other(array, i):
    """Other numbers of the same kind: in another order, and other signs and sizes."""
    turned = array[::-1].copy() if array.ndim else array.copy()
    return turned * np.asarray(-0.7 - 0.1 * (i % 5), array.dtype) if array.dtype.kind == "f" else (
        turned)


def kind_of(t):
    """What must be the same for other numbers."""
    return (t.op.name if t.op is not None else None, t.array.shape, t.array.dtype, len(t.inputs))


def alike(t, twin):
    """Do a record and its twin have the same constants?"""
    if t.op is None:
        return np.array_equal(t.array, twin.array, equal_nan=t.array.dtype.kind == "f")
    for x, y in zip((*t.inputs, *t.options.values()), (*twin.inputs, *twin.options.values())):
        if not isinstance(x, Recorded) and not same(x, y):
            return False
    return True


def same(x, y):
    if isinstance(x, (tuple, list)):
        return type(x) is type(y) and len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return np.array_equal(x, y)
    return x is y or x == y or (x != x and y != y)


def namespaces(function):
    """[(namespace, name, value)] of the plain values that a function sees around it."""
    code, found = getattr(function, "__code__", None), []
    if code is None:
        return found
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, (int, float, str)):
            found.append((function.__globals__, name, value))
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        value = cell.cell_contents
        if isinstance(value, (int, float, str)):
            found.append((Cell(cell), name, value))
    return found


class Cell:
    """A variable of an enclosing function, read like an entry of a namespace."""

    def __init__(self, cell):
        self.cell = cell

    def get(self, name):
        return self.cell.cell_contents


# --- from a record to lines -----------------------------------------------------------------------

@dataclass
class Draft:
    """A program, before it is known where its results go."""

    statements: list
    constants: dict
    inputs: dict
    gradients: dict
    loss: object
    arguments: list
    assumed: bool
    modules: list
    kinds: list


def drafted(loss, effects, parameters, names, given):
    """The Draft of a recorded loss."""
    wanted = [p for p in parameters if p.requires_grad]
    tracer = Tracer(finite=not effects)
    try:
        program = build(loss, wanted, names, effects, tracer)
    except NotImplementedError as error:
        raise NotCompilable(f"compile: {error}; train eagerly") from None
    statements, renamed = shared(tracer.statements)

    def final(x):
        return renamed.get(x.name, x.name) if isinstance(x, Unknown) else x
    by_name = {name: t for name, t in program.inputs.items()}
    gradients = {id(p): final(program.gradients.get(names[id(p)])) for p in wanted}
    loss_name = final(program.loss)
    outputs = [g for g in gradients.values() if isinstance(g, str)] + [loss_name]
    statements = needed(statements, outputs)
    records = ordered(loss)
    modules = {id(t.module): t.module for t in records if t.module is not None}
    arguments = [names[id(t)] if isinstance(t, Recorded) else None for t in given]
    return Draft(statements, tracer.constants, by_name, gradients, loss_name, arguments,
                 tracer.assumed, [(m, m.training) for m in modules.values()],
                 [(t.array.shape, t.array.dtype) if isinstance(t, Recorded) else (None, None)
                  for t in given])


def lowered(draft, parameters, homes, effects, outside):
    """The Compiled of a Draft."""
    stable = {name: t.array for name, t in draft.inputs.items() if name not in draft.arguments}
    stable |= draft.constants
    places, gradients = {}, []
    for i, p in enumerate(parameters):
        g = draft.gradients.get(id(p))
        if g is None:
            gradients.append((p, None))
            continue
        home = homes.get(id(p))
        if home is None:
            home = np.empty_like(p.array)
        gradients.append((p, home))
        if isinstance(g, str) and g not in places and g not in stable and (
                g not in draft.arguments):
            stable[f"d{i}"] = home
            places[g] = f"d{i}"
    lowering = Lowering(draft.statements, stable, places, [draft.loss]).run()
    lines = lowering.lines
    for p, home in gradients:  # a gradient that is also another's, or a known array
        g = draft.gradients.get(id(p))
        if g is not None and (not isinstance(g, str) or stable.get(places.get(g)) is not home):
            name = lowering.fresh("dw")
            lowering.names[name] = home
            if isinstance(g, str):
                lines.append(f"{name}[...] = {places.get(g) or lowering.where.get(g, g)}")
            else:
                home[...] = g
    arguments = [name or f"_{i}" for i, name in enumerate(draft.arguments)]
    text = "\n    ".join([f"def step({', '.join(arguments)}):", *lines,
                          f"return {lowering.where.get(draft.loss, draft.loss)}"])
    head = "\n".join(f"# {line}" for line in lowering.ahead)
    scope = {"np": np, **lowering.names}
    exec(builtins.compile(text, "<compiled step>", "exec"), scope)
    bound = [(t, t.array) for name, t in draft.inputs.items() if name not in draft.arguments]
    together = {id(home if home.base is None else home.base): joined(home)
                for _, home in gradients if home is not None}
    return Compiled(scope["step"], f"{head}\n{text}\n", gradients, bound, draft.modules, outside,
                    list(together.values()) if draft.assumed else [], draft.kinds, effects=effects)


def joined(home):
    """The vector that a gradient is a part of, or its own numbers in a row."""
    base = home.base if isinstance(home.base, np.ndarray) else home
    return base.reshape(-1)
