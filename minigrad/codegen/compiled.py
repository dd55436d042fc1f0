"""compile(loss_fn, optimizer): a training step as the straight lines of NumPy that it is.

    step = minigrad.compile(lambda x, y: loss_function(model(x), y), optimizer)
    for x, y in batches:
        loss = step(x, y)              # zero_grad, forward, backward and update

The one trick: the first call for a shape of data runs as ever, and its record becomes a program
(program.py) whose results are written into memory set aside once (lower.py). Gradients are written
where the optimizer reads them. Nothing is believed: the loss is recorded a second time, for other
numbers, and what then differs beside the data (a branch, a value that was taken out of the record)
is refused; the 2nd, 4th, 8th, ... step of every program is held against the eager one.
"""

import builtins
import math
import warnings
from dataclasses import dataclass, field

import numpy as np

from minigrad import engine, random
from minigrad.beside import NotCompilable, Tracing, Unfit
from minigrad.lines.lower import RESERVED, Lowering, needed, shared
from minigrad.codegen.around import Around, namespaces
from minigrad.codegen.probing import UNREPEATED, WAYS, all_of, compared, probe, recorded
from minigrad.codegen.program import build, ordered
from minigrad.lines.tracer import Tracer
from minigrad.lines.values import Unknown
from minigrad.engine import Recorded, describe, mode, wrap
from minigrad.optim.optimizer import Optimizer

OFTEN = 20  # programs made anew: time for a word about it
MOST = 16  # programs of one step: more shapes than that are a mistake, or work for eager


def compile(loss_fn, optimizer, *, after_backward=None):
    """A training step as a function: step(*data) does zero_grad, forward, backward and update as
    straight-line NumPy in reused memory, and returns the loss, a 0-d tensor without history.

    loss_fn(*data) -> loss, a tensor of one number; data are tensors, arrays (passed on as tensors),
    or other values, which are part of the program. after_backward: called between backward and
    update, e.g. to clip: `lambda: nn.utils.clip_grad_norm_(model.parameters(), 1.0)`.

    A program is made for each shape and dtype of the data and each mode (train, eval), anew when a
    parameter gets another array, is frozen or unfrozen, or a variable around loss_fn changes. (A
    number in a dict, a list or an attribute is what it was when the program was made; the
    comparison with the eager step, at the 2nd, 4th, 8th, ... step, will tell.) The loss and the
    gradients are those of the eager step. Dropout draws anew in every step, running statistics
    advance, groups and schedulers work. `step.source` is the text of what runs.

    Python code in loss_fn runs only while a program is made: what it prints or appends happens
    then only. Inside minigrad.trace and detect_anomaly steps run eagerly, and say so.

    Raises TypeError for anything but a function and an Optimizer; NotCompilable, at the first call
    and before anything is changed, for what cannot be made a program: a branch on numbers, random
    numbers other than dropout's, values taken out of the record (item(), numpy()), an
    autograd.Function, backward(), writing into a buffer or renewing a tensor kept in a variable or
    an attribute (a running average of your own), labels that are ignored.
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
    bound: list            # [(tensor, its array, its requires_grad)] of what the lines name
    groups: list           # [(parameters of a group, how many)]
    modules: list          # [(module, was it training)]
    outside: list          # [(namespace, name, value)]: what loss_fn sees around it
    sums: list             # vectors that must be finite, or the step is done eagerly
    kinds: list            # (shape, dtype) of each argument, (None, None) of a plain value
    left: int = 1          # steps until it is held against the eager one (again)
    apart: int = 1         # and how many there will be until the next time: twice as many each time
    changing: list = field(default_factory=list)  # running statistics
    draws: bool = False    # does it draw random numbers?

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

    def holds(self, optimizer):
        """Is all that the lines took for granted still so?"""
        for t, array, requires_grad in self.bound:
            if t.array is not array or t.requires_grad is not requires_grad:
                return False
        for module, training in self.modules:
            if module.training is not training:
                return False
        if len(optimizer.param_groups) != len(self.groups):
            return False
        for group, (parameters, n) in zip(optimizer.param_groups, self.groups):
            if group["params"] is not parameters or len(parameters) != n:
                return False
        for space, name, value in self.outside:
            now = space.get(name)
            if now is not value and not unchanged(now, value):
                return False
        return True

    def finite(self):
        """Are all gradients finite, if the lines took that for granted? Their squares are the
        quickest look at all numbers."""
        for vector in self.sums:
            if not math.isfinite(np.dot(vector, vector)):
                return False
        return True

    def before(self):
        """What a run changes beside gradients, as it is now: to be put back by `restored`."""
        if not self.draws and not self.changing:
            return None, ()
        state = random.generator().bit_generator.state if self.draws else None
        return state, [(t, t.array.copy()) for t in self.changing]


class CompiledStep:
    """What minigrad.compile returns: call it with a batch."""

    def __init__(self, loss_fn, optimizer, after_backward=None):
        self.loss_fn, self.optimizer, self.after_backward = loss_fn, optimizer, after_backward
        self.programs, self.last, self.told, self.remade = {}, None, set(), 0
        self.plain = type(optimizer).step is Optimizer.step  # else a subclass does more in step()

    def __call__(self, *data):
        last = self.last  # most calls are like the one before
        if last is not None and last.left > 1 and last.fits(data) and last.holds(
                self.optimizer) and not mode.recorders and engine.observer is None:
            return self.step(last, data)
        if mode.recorders or engine.observer is not None:
            self.say(f"{'a run is being traced' if mode.recorders else 'anomalies are detected'}, "
                     "so steps run eagerly meanwhile")
            return self.eager(data)
        for i, x in enumerate(data):
            if isinstance(x, Recorded) and x.requires_grad:
                raise NotCompilable(f"compile: argument {i}, the {describe(x)}, requires grad, "
                                    "which a compiled step does not compute; detach() it, make it "
                                    "inside loss_fn, or train eagerly")
        key = tuple([(x.array.shape, x.array.dtype) if isinstance(x, Recorded) else
                     (x.shape, x.dtype) if isinstance(x, np.ndarray) else (type(x), x)
                     for x in data])
        try:
            program = self.programs.get(key)
        except TypeError:
            raise TypeError("compile: data must be tensors, arrays or plain values, got "
                            + ", ".join(type(x).__name__ for x in data)) from None
        if program is None or not program.holds(self.optimizer):
            self.remade += program is not None
            if self.remade == OFTEN:
                self.say(f"its program has been made {OFTEN} times, because what loss_fn uses (a "
                         "number, a tensor that is no argument) keeps changing, and making one "
                         "takes longer than an eager step; pass it as an argument")
            return self.first(key, data)
        self.last = program
        if program.left == 1:
            return self.check(program, data)
        return self.step(program, data)

    def step(self, program, data):
        """One step by the program."""
        program.left -= 1
        with np.errstate(all="ignore"):
            before = program.before()
            try:
                loss = program.run(*[x.array if isinstance(x, Recorded) else x for x in data])
                fine = program.finite()  # else the rules know what to do
            except (Unfit, IndexError):
                fine = False
            if not fine:
                restored(before)
                return self.eager(data)
            for p, gradient in program.gradients:
                p._grad = gradient
            if self.after_backward is not None:
                self.after_backward()
            if self.plain:
                self.optimizer.apply(self.optimizer.prepared())
            else:
                self.optimizer.step()
        return wrap(np.array(loss))

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
            warnings.warn(f"compiled step: {why}", stacklevel=3)

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
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state, effects = random.generator().bit_generator.state, Tracing(all_of(given, parameters))
        around, old = Around(self.loss_fn), [(p, p._grad) for p in parameters]
        try:
            self.optimizer.zero_grad()
            loss = recorded(self.loss_fn, given, effects)
            for t in effects.written():
                raise NotCompilable(f"compile: loss_fn writes into the {describe(t)}, {UNREPEATED}")
            refuse_carried(around, effects, parameters)
            after_call = Around(self.loss_fn)
            try:
                names = self.examined(loss, effects, given, parameters)
            finally:
                after_call.restore()
                for p in parameters:
                    p._grad = None
            after = random.generator().bit_generator.state
            random.generator().bit_generator.state = state
            draft = drafted(loss, effects, parameters, names, given)
        except BaseException:  # as if nothing had been called
            random.generator().bit_generator.state = state
            effects.undo()
            around.restore()
            for p, g in old:
                p._grad = g
            raise
        random.generator().bit_generator.state = after
        self.optimizer.zero_grad()
        loss.backward()
        if self.after_backward is not None:
            self.after_backward()
        self.optimizer.step()
        self.programs[key] = self.last = self.finished(draft, parameters, effects)
        return loss.detach()

    def examined(self, loss, effects, given, parameters):
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
            if t.op is not None and t.op.joint is not None:
                raise NotCompilable(
                    f"compile: {t.op.name} is an autograd.Function, Python code that cannot become "
                    "lines of NumPy; write it as primitive(forward, *vjps), or train eagerly")
        others = [found for way in WAYS
                  if (found := probe(self.loss_fn, given, parameters, way)) is not None]
        records = ordered(loss, [t for _, _, tensors, _ in effects for t in tensors])
        names = {id(t): f"x{i}" for i, t in enumerate(given) if isinstance(t, Recorded)}
        names |= {id(p): f"w{i}" for i, p in enumerate(parameters)}
        if not others:  # the other numbers made an error: every leaf counts as lasting
            names |= {id(t): f"s{i}" for i, t in enumerate(records)
                      if t.op is None and id(t) not in names}
        for twins in others:
            compared(records, twins, names, effects)
        return names

    def finished(self, draft, parameters, effects):
        """The Compiled of a drafted program. Gradients go where the optimizer gathers them."""
        homes = {}
        for plan in self.optimizer._plans.values():
            for batch in plan.batches:
                for i, p in enumerate(batch.parameters):
                    if batch.joined:
                        homes[id(p)] = batch.g_parts[i]
        program = lowered(draft, parameters, homes, namespaces(self.loss_fn))
        program.groups = [(g["params"], len(g["params"])) for g in self.optimizer.param_groups]
        program.changing = [t for _, _, tensors, _ in effects for t in tensors[1:]]
        program.draws = any(not s.pure for s in draft.statements)
        if not program.sums and not any(len(tensors) == 1 for _, _, tensors, _ in effects):
            program.before = nothing  # no step is given up halfway
        return program

    def check(self, program, data):
        """The 2nd, 4th, 8th, ... call: the program beside the eager step, on the same numbers."""
        before = Compiled.before(program)
        try:
            with np.errstate(all="ignore"):
                loss = np.array(program.run(*[x.array if isinstance(x, Recorded) else x
                                              for x in data]))
                fine = program.finite()
        except (Unfit, IndexError):
            fine = False
        restored(before)
        if not fine:
            return self.eager(data)  # these data say nothing about the program
        found = [(p, None if g is None else g.copy()) for p, g in program.gradients]
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
                "to call without being an argument; train eagerly, or pass it as a tensor. The "
                f"steps since the last comparison ({program.apart - 1}) ran with what it was then")
            refusal.loss = eager.detach()
            raise refusal
        program.apart *= 2
        program.left = program.apart
        return eager.detach()


def refuse_carried(around, effects, parameters):
    """Refuses tensors around loss_fn that it has written into, or made anew from themselves, and
    gradients that it has written already."""
    for p in parameters:
        if p._grad is not None:
            raise NotCompilable(f"compile: loss_fn writes the gradient of the {describe(p)}; leave "
                                "backward() to the step, use grad(..., create_graph=True) for a "
                                "gradient within the loss, or train eagerly")
    by_beside = {id(t) for _, _, tensors, _ in effects for t in tensors[1:]}
    for t, _ in around.tensors:
        if id(t) not in by_beside and t.memory is not None and t.memory.exposed is None and (
                t.memory.changed > effects.start):
            raise NotCompilable(f"compile: loss_fn writes into the {describe(t)}, {UNREPEATED}")
    for name, before, now in around.replaced():
        if any(t is before for t in ordered(now)):
            raise NotCompilable(f"compile: loss_fn computes a new '{name}' from the old one, "
                                f"{UNREPEATED}")


def nothing():
    """For `before`, of a program that is never given up."""
    return None, ()


def restored(before):
    """Puts back what `before` told."""
    state, arrays = before
    if state is not None:
        random.generator().bit_generator.state = state
    for t, array in arrays:
        t.array[...] = array


def as_tensors(data):
    """Data as loss_fn gets them: arrays as tensors, and tensors without their history (X[:10])."""
    return [wrap(x) if isinstance(x, np.ndarray) else
            wrap(x.array) if isinstance(x, Recorded) and not x.requires_grad else x for x in data]


def array_of(g):
    return g.array if isinstance(g, Recorded) else g


def close(one, other):
    """Do two results agree, up to another order of summation?"""
    if one is None or other is None:
        return one is other
    tolerance = 1e-4 if one.dtype.itemsize < 8 else 1e-9
    scale = np.max(np.abs(other), initial=0.0, where=np.isfinite(other))
    return np.allclose(one, other, rtol=tolerance, atol=tolerance * float(scale), equal_nan=True)


def unchanged(now, value):
    """Is what a name stands for still the same object, or an equal number or text?"""
    return now is value or (type(now) is type(value) and isinstance(now, (int, float, str))
                            and now == value)


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
    tracer = Tracer(finite=True, reserved=RESERVED)
    try:
        with np.errstate(all="ignore"):
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
    arguments = [names[id(t)] if isinstance(t, Recorded) else None for t in given]
    return Draft(statements, tracer.constants, by_name, gradients, loss_name, arguments,
                 tracer.assumed, [(m, m.training) for m in effects.modules.values()],
                 [(t.array.shape, t.array.dtype) if isinstance(t, Recorded) else (None, None)
                  for t in given])


def lowered(draft, parameters, homes, outside):
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
            if not isinstance(g, str):  # written anew each time: who clips it writes into it
                lowering.names[f"{name}_known"], g = g, f"{name}_known"
            lines.append(f"{name}[...] = {places.get(g) or lowering.where.get(g, g)}")
    arguments = [name or f"_{i}" for i, name in enumerate(draft.arguments)]
    text = "\n    ".join([f"def step({', '.join(arguments)}):", *lines,
                          f"return {lowering.where.get(draft.loss, draft.loss)}"])
    head = "\n".join(f"# {line}" for line in lowering.ahead)
    scope = {"np": np, **lowering.names}
    exec(builtins.compile(text, "<compiled step>", "exec"), scope)
    bound = [(t, t.array, t.requires_grad) for name, t in draft.inputs.items()
             if name not in draft.arguments]
    together = {id(home if home.base is None else home.base): joined(home)
                for _, home in gradients if home is not None}
    return Compiled(scope["step"], f"{head}\n{text}\n", gradients, bound, [], draft.modules,
                    outside, list(together.values()) if draft.assumed else [], draft.kinds)


def joined(home):
    """The vector that a gradient is a part of, or its own numbers in a row."""
    base = home.base if isinstance(home.base, np.ndarray) else home
    return base.reshape(-1)
