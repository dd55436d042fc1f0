"""Backward, one node at a time: for step in backward_steps(loss).

The one trick: nothing is computed here. The steps are what the loop of backward() itself yields
(backward.sweep), kept instead of being added to anybody's .grad, so their sums are its sums to the
bit. The rule of each share is read off the record by the same hand that labels pictures.

Letters: t the tensor of a step, g its finished gradient, x an input of its record, c what the
record adds to x.grad.
"""

import ast
import copy
import os
import re
import textwrap
from dataclasses import dataclass

import numpy as np

from minigrad import markup
from minigrad.backward import seed, sweep
from minigrad.engine import Recorded, clock, describe, recording
from minigrad.inspect import layout, stepper
from minigrad.inspect.cards import printable
from minigrad.inspect.contribution import explained, words_of
from minigrad.inspect.draw import readable
from minigrad.inspect.expression import Filled, text
from minigrad.inspect.listing import fitted, made_by
from minigrad.inspect.picture import calls, computed, give_names, make_cards, tensors
from minigrad.numbers import FEW, short, summary

WIDTH = 80                # columns of the printed table
LEFT, COLUMN = 44, 56     # where the shape and the numbers of a step stand
INDENT = 8                # of what a step sends, under the step
MOST = 4                  # numbers that are printed; of more their size


def backward_steps(loss, gradient=None):
    """Every step that loss.backward(gradient) would take, in its order: a BackwardSteps.

    No .grad is read or changed, and it does not matter whether backward() ran before. The numbers
    are those of now: what is changed in place afterwards does not change the steps.

    loss: a Tensor of one number, or of any shape with `gradient` (d of what you want / d loss, of
    loss's shape). TypeError for anything but one tensor. RuntimeError, as by backward(): if loss
    does not require grad, is not a single number, if the shapes differ, or if a value that a rule
    needs was changed in place.
    """
    if not isinstance(loss, Recorded):
        raise TypeError(f"backward_steps: expected one Tensor, got {type(loss).__name__}; steps go "
                        "back from one result: of several, take their sum")
    return BackwardSteps(loss, seed(loss, gradient, create_graph=False), gradient is not None)


@dataclass(eq=False)
class Share:
    """What one step adds to the gradient of one input of its record.

    `rule` is NumPy text: an expression of g and the identifiers in `names`, or a statement that
    changes `grad` ("grad[0] += g"); None if the rule cannot be printed. Run by NumPy it gives
    `value`, which has the shape and dtype of `input`, before broadcasting and to the bit; functions
    that NumPy lacks (softmax, conv) keep the name of their operation, and those are equal up to
    rounding.
    """

    input: Recorded
    name: str
    rule: str | None
    value: np.ndarray
    names: dict            # identifier in the rule -> tensor or array
    position: int          # of the input in the record
    line: str              # "z.grad += g * (1 - h**2)"
    worked: str            # scalars: "0.211 * 1.50 = 0.316"; "" if there is nothing to work out
    where: dict            # words of the rule that are not their tensor's name -> that name
    operands: dict         # words of the rule -> their numbers, as far as they are few
    before: np.ndarray | None = None   # input's gradient so far, None at the first share
    after: np.ndarray | None = None    # and with this share
    part: int = 1          # this is share `part` of `parts` that input receives
    parts: int = 1

    def __str__(self):
        return self.line

    @property
    def progress(self):
        """How far the gradient of an input is that receives several shares; "" if it is the only.
        """
        if self.parts == 1:
            return ""
        head = f"{self.part} of {self.parts} shares: {self.name}.grad"
        done = " so far" if self.part < self.parts else ", complete"
        if self.before is None or self.value.size != 1:
            return f"{head} is {summary(self.after, MOST)}{done}"
        before, value, after = (a.item() for a in (self.before, self.value, self.after))
        sign = "-" if value < 0 else "+"
        end = done if self.part == self.parts else ""
        return f"{head} so far {short(before)}, now {sign} {short(abs(value))} = " \
               f"{short(after)}{end}"


@dataclass(eq=False)
class BackwardStep:
    """The backward pass at one tensor: its finished gradient, and what its record sends on."""

    number: int            # from 1 on
    node: Recorded
    name: str
    op: str | None         # name of the operation; None for a leaf
    made: str              # "tanh(z)", or the role of a leaf: "param"
    incoming: np.ndarray   # g: the finished gradient of node
    contributions: list    # of Share; empty for a leaf

    def __str__(self):
        return "\n".join(step_lines(self))

    def __repr__(self):
        return f"<BackwardStep {self.number}: {printable(self.name)}>"

    @property
    def title(self):
        """h = tanh(z), or W1 (param)."""
        words = f"{self.name} = {self.made}" if self.op else f"{self.name} ({self.made})"
        return printable(words)


class BackwardSteps:
    """The steps of one backward pass: to loop over (again and again), index, print and save."""

    def __init__(self, loss, gradient, given=False):
        self.output, self.given = loss, given  # given: not the 1 that backward starts from
        self.names, self.cards = named(loss)
        self.words = words_of(self.names)
        self.tick = clock()
        self.steps = []
        with recording(False), np.errstate(all="ignore"):
            for t, g, shares in sweep([loss], [gradient]):
                self.steps.append(self.step(t, kept(g), shares))
        running = {}
        for share in [share for step in self.steps for share in step.contributions]:
            running.setdefault(id(share.input), []).append(share)
        for shares in running.values():
            summed(shares)

    def step(self, t, g, shares):
        rules = explained(t, self.words, g) if shares else {}
        sent = [self.share(t, g, rules.get(i), i, x, c) for i, x, c in shares]
        op = t.op.name if computed(t) else None
        made = made_by(self.cards[id(t)], self.words)
        return BackwardStep(len(self.steps) + 1, t, self.names[id(t)], op, made, g, sent)

    def share(self, t, g, rule, i, x, c):
        """The Share of input i of t's record; `rule` is its Contribution, or None."""
        written, words, node = (rule.text, rule.names, rule.node) if rule else (None, {}, None)
        parts = ast.walk(ast.parse(written or ""))
        used = {part.id for part in parts if isinstance(part, ast.Name)}
        arrays = {word: np.asarray(getattr(a, "array", a)) for word, a in words.items()
                  if word in used}
        where = {word: self.names[id(a)] for word, a in words.items()
                 if word in used and self.names.get(id(a), word) != word}
        few = {word: kept(a) for word, a in arrays.items() if a.size <= FEW}
        name = self.names[id(x)]
        return Share(x, name, written, kept(c), words, i, line_of(t, name, written),
                     worked(node, arrays | {"g": g}, c), where, few)

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        return iter(self.steps)

    def __getitem__(self, i):
        return self.steps[i]

    @property
    def about(self):
        """What this is, in a line."""
        n = len(self.steps)
        return (f"backward from {printable(self.names[id(self.output)])}, one node at a time: "
                f"{n} step{'s' * (n != 1)}, youngest first")

    def __str__(self):
        return "\n".join([fitted(self.about, WIDTH), *(str(step) for step in self.steps)])

    def __repr__(self):
        n = len(self.steps)
        return f"<BackwardSteps of {printable(self.names[id(self.output)])}: " \
               f"{n} step{'s' * (n != 1)}>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        """What a notebook shows: a table, which untrusted notebooks keep."""
        rows = []
        for step in self.steps:
            head = [str(step.number), step.title, str(step.incoming.shape),
                    summary(step.incoming, MOST)]
            sent = [[printable(s.line), summary(s.value, MOST)] for s in step.contributions]
            for i, line in enumerate(sent or [["", ""]]):
                rows.append((head if i == 0 else [""] * 4) + line)
        heads = ["step", "node", "shape", "g, its gradient", "it adds", "numbers added"]
        return markup.bundle(str(self), markup.table(heads, rows))

    def save(self, path, *, direction=None):
        """Writes one page (.html) to step forwards and back over the drawn graph; returns path.

        The page is one file that needs no network; an existing file is replaced at once or not at
        all. direction: "LR" or "TB", of the drawing; None: as it fits. ValueError for another
        suffix and for more than 400 tensors, RuntimeError if values were changed in place since
        the steps were taken (by optimizer.step(), say), GraphvizNotFound without a layout program
        (printing the steps needs none), OSError if the file cannot be written.
        """
        if os.path.splitext(os.fspath(path))[1].lower() not in (".html", ".htm"):
            raise ValueError(f"cannot save backward steps as {os.fspath(path)!r}: the page is "
                             "HTML, so the suffix must be .html")
        self.check_unchanged()
        try:
            page = stepper.page(self, direction)
        except layout.GraphvizNotFound as error:
            raise layout.GraphvizNotFound(
                f"{error}\nprint(steps) lists every step and needs no layout program") from None
        layout.write(path, page.encode())
        return path

    def check_unchanged(self):
        """Refuses to draw values that are not those the steps were taken with."""
        for t in tensors([self.output]):
            memory = getattr(t, "memory", None)
            if memory is not None:
                memory.look()
                if memory.changed > self.tick:
                    raise RuntimeError(
                        f"the {describe(t)} was changed in place since the steps were taken, so the"
                        " picture would show other numbers: save the page before that (before "
                        "optimizer.step()), or run forward and backward_steps again")


def named(loss):
    """({id(tensor): name}, {id(tensor): Card}) of all that loss was computed from. The names are
    those of the picture."""
    order = tensors([loss])
    records = [t for t in order if computed(t)]
    cards, home = make_cards(order, calls(records, lambda t: None), [loss])
    return give_names(cards), home


def kept(array):
    """A copy that nobody can change."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def summed(shares):
    """Notes in the shares of one tensor what its gradient is before and after each of them."""
    total = None
    for part, share in enumerate(shares, 1):
        share.part, share.parts, share.before = part, len(shares), total
        with np.errstate(all="ignore"):
            total = share.value if total is None else kept(total + share.value)
        share.after = total


# --- words ----------------------------------------------------------------------------------------

def figure(value):
    """A number as a syntax tree, to three digits; a sign is an operator, so that powers of negative
    numbers get their parentheses."""
    size = ast.Name(short(abs(value)))
    return ast.UnaryOp(ast.USub(), size) if value < 0 else size


def worked(node, values, c):
    """A rule with numbers in the place of its words, "0.211 * 1.50 = 0.316"; "" if they are not all
    single numbers, or if there is nothing to work out."""
    if node is None or isinstance(node, ast.Name) or any(
            a.size != 1 for a in (c, *values.values())):
        return ""
    figures = {word: figure(a.item()) for word, a in values.items()}
    left = text(Filled(figures).visit(copy.deepcopy(node)))
    return f"{readable(left)} = {short(c.item())}"


def line_of(t, name, rule):
    """z.grad += g * (1 - h**2), or the statements that change z.grad."""
    if rule is None:
        return f"{name}.grad += rule of {t.op.name} (no NumPy text)"
    if re.search(r"\bgrad\b", rule):
        return re.sub(r"\bgrad\b", lambda m: f"{name}.grad", rule)
    return f"{name}.grad += {rule}"


def step_lines(step):
    """The lines of one step in the printed table."""
    shape = fitted(str(step.incoming.shape), LEFT // 2)
    words = f"g  {summary(step.incoming, MOST)}"
    left = min(LEFT, COLUMN - 1 - len(shape))  # a long shape takes room from the title,
    tight = WIDTH - 2 - len(words) - len(shape)  # and numbers do where it needs none
    left = tight if len(step.title) + 8 <= tight < left else left
    head = f"{step.number:>4}  {fitted(step.title, left - 8)}".ljust(left) + shape
    lines = with_numbers([head], words)
    for share in step.contributions:
        lines += share_lines(share)
    return lines


def with_numbers(lines, words):
    """Lines with words at the right of the last one, or under it if they do not fit there."""
    words = fitted(words, WIDTH - INDENT)
    start = min(COLUMN, WIDTH - len(words))
    *lines, last = lines if len(lines[-1]) < start else [*lines, ""]
    return [*lines, last.ljust(start) + words]


def share_lines(share):
    """A line of NumPy with its numbers at the right, and remarks under it."""
    lines = wrapped(printable(share.line), INDENT)
    lines = with_numbers(lines, f"+  {summary(share.value, MOST)}")
    if share.worked:
        lines += wrapped(share.worked, INDENT + 2)
    if share.where:
        words = ", ".join(f"{word} is {printable(name)}" for word, name in share.where.items())
        lines += wrapped(f"where {words}", INDENT + 2)
    if share.parts > 1:
        lines += wrapped(printable(share.progress), INDENT + 2)
    return lines


def wrapped(words, indent):
    return textwrap.wrap(words, WIDTH, initial_indent=" " * indent, break_on_hyphens=False,
                         subsequent_indent=" " * (indent + 4))
