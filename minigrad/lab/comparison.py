"""What a comparison of optimizers says: the best learning rate of each, curves, tables.

The one trick: trials only record, and everything here only judges what they recorded. Another goal
or another way to choose the learning rate costs nothing: no trial is run again for it.

Of the seeds of an optimizer and a learning rate, the median is shown, and the range.
"""

import math
import textwrap
from functools import cached_property

import numpy as np

from minigrad import markup
from minigrad.data.csvfile import nearest
from minigrad.inspect.overview import cuts
from minigrad.inspect.runs import significant
from minigrad.lab import comparefile, comparepicture
from minigrad.terminal import table as aligned
from minigrad.training import OPTIMIZERS

BY = ("score", "loss", "steps")
WAY = 0.95     # the default goal: so much of the way from the baseline to the best result
WIDTH = 80
NAME = 16      # columns for the name of an optimizer


def check_goal(task, goal, goal_loss, by):
    """Raises ValueError for a goal that makes no sense, and for an unknown `by`."""
    if by not in BY:
        raise ValueError(f"the learning rate is chosen by {', '.join(BY[:-1])} or {BY[-1]}, "
                         f"got {by!r}.{nearest(by, BY)}")
    if goal is not None and goal_loss is not None:
        raise ValueError("goal and goal_loss are both given; a comparison has one of them")
    if goal is not None and not 0 < goal <= 1:
        if task == "regression":
            raise ValueError(f"the goal is an R2 above 0 and of at most 1, got {goal!r}")
        cure = f"; {goal:g} % is {goal / 100:g}" if 1 < goal <= 100 else ""
        raise ValueError(f"the goal is an accuracy above 0 and of at most 1, got {goal!r}{cure}")
    if goal_loss is not None and not 0 < goal_loss < math.inf:
        raise ValueError(f"goal_loss is a training loss above 0, got {goal_loss!r}")


class Comparison:
    """The trials of several optimizers, learning rates and seeds, and what they amount to.

    trials      [Trial, ...]: minigrad.lab.comparefile
    optimizers  their names; lrs {name: [lr, ...]} and seeds: what was tried
    score       "accuracy", or "R2" of values; both are 1 at best
    finished    False: it was stopped by Ctrl-C, and some trials are missing
    best        {name: the learning rate chosen, None if all of them diverged}
    goal        (curve, value) that steps and seconds are told to: ("test_score", 0.95), or
                ("train_loss", 0.01); None if nobody got further than the baseline
    rows        [dict, ...]: the numbers of the table, for programs

    print(comparison) shows the tables; plot() is a matplotlib Figure, picture() an SVG.
    """

    def __init__(self, trials, *, goal=None, goal_loss=None, by="score", names=None,
                 finished=True):
        if not trials:
            raise ValueError("there are no trials to compare")
        common = comparefile.shared(trials[0].settings)
        for trial in trials:
            differs = comparefile.differing(common, comparefile.shared(trial.settings))
            if differs:
                raise ValueError(f"these are trials of different comparisons: {differs}")
        self.trials, self.by, self.finished = list(trials), by, finished
        self.about, self.settings, self.score = trials[0].about, common, trials[0].about["score"]
        check_goal(self.about["task"], goal, goal_loss, by)
        self.asked = ("test_score", goal) if goal is not None else ("train_loss", goal_loss)
        seen = {trial.optimizer for trial in trials}
        order = [*(names or []), *OPTIMIZERS, *sorted(seen)]
        self.optimizers = [name for name in dict.fromkeys(order) if name in seen]
        self.lrs = {name: sorted({t.lr for t in trials if t.optimizer == name})
                    for name in self.optimizers}
        self.seeds = sorted({trial.seed for trial in trials})
        self.cells = {(name, lr): [] for name in self.optimizers for lr in self.lrs[name]}
        for trial in sorted(self.trials, key=lambda t: t.seed):
            self.cells[trial.optimizer, trial.lr].append(trial)

    # --- what is best ---

    def of(self, name, lr=None):
        """The trials of an optimizer, one per seed; lr None: with the best one. KeyError."""
        lr = self.best[self.known(name)] if lr is None else float(lr)
        if lr is None:
            return []
        if (self.known(name), lr) not in self.cells:
            raise KeyError(f"{name} was not tried with lr {lr:g}; with "
                           f"{', '.join(f'{x:g}' for x in self.lrs[name])} it was")
        return self.cells[name, lr]

    def known(self, name):
        if name not in self.optimizers:
            raise KeyError(f"{name!r} is not in this comparison; these are: "
                           f"{', '.join(self.optimizers)}.{nearest(name, self.optimizers)}")
        return name

    def final(self, curve, name, lr):
        """The last value of a curve, the median of the seeds; one that diverged is infinitely
        bad."""
        return middle([trial.last(curve) for trial in self.cells[name, lr]])

    @cached_property
    def goal(self):
        if self.asked[1] is not None:
            return self.asked
        base = middle([trial.about["baseline"] for trial in self.trials])
        best = {name: self.chosen(name, "score") for name in self.optimizers}
        top = max([self.final("test_score", *cell) for cell in best.items() if cell[1]], default=0)
        return ("test_score", base + WAY * (top - base)) if top > base else None

    @cached_property
    def best(self):
        return {name: self.chosen(name, self.by) for name in self.optimizers}

    def chosen(self, name, by):
        """The learning rate that is best by "score", "loss" or "steps". Among equals the lower
        validation loss counts. None if all diverged."""
        usable = [lr for lr in self.lrs[name]
                  if math.isfinite(self.final("train_loss", name, lr))]
        return min(usable, default=None, key=lambda lr: self.rank(name, lr, by))

    def rank(self, name, lr, by):
        """Small is good. What is chosen by is seen on the validation rows, not on the test's."""
        loss = self.final("validation_loss", name, lr)
        if by == "loss":
            return self.final("train_loss", name, lr), loss
        score = self.final("validation_score", name, lr)
        score = 0.0 if math.isnan(score) else -score
        if by == "steps" and self.goal:
            curve, value = self.goal
            seen = (curve.replace("test", "validation"), value)
            return middle([reached(t, seen)[0] for t in self.cells[name, lr]]), score, loss
        return score, loss

    def edge(self, name):
        """">" if the best lr is the largest that was tried, "<" if the smallest, else ""."""
        tried, lr = self.lrs[name], self.best[name]
        if len(tried) == 1 or lr is None:
            return ""
        return ">" if lr == tried[-1] else "<" if lr == tried[0] else ""

    # --- numbers ---

    def band(self, curve, name, lr=None):
        """(steps, lowest, median, highest) of a curve over the seeds, arrays; lr None: the best.

        curve: "train_loss", "train_score", the same of "validation" and "test". A trial that
        diverged counts as far as it went. All are empty if every learning rate diverged.
        """
        trials = self.of(name, lr)
        if not trials:
            return (np.zeros(0),) * 4
        steps = max((trial.curve["step"] for trial in trials), key=len)
        values = np.full((len(trials), len(steps)), np.nan)
        for row, trial in zip(values, trials):
            row[:len(trial.curve[curve])] = trial.curve[curve]
        values[:, np.isnan(values).all(axis=0)] = np.inf  # not defined for any: not drawn
        ends = np.nanmin(values, axis=0), np.nanmedian(values, axis=0), np.nanmax(values, axis=0)
        return (np.array(steps), *(np.where(np.isfinite(x), x, np.nan) for x in ends))

    def steps_to_goal(self, name, lr=None):
        """(n,) steps after which each seed was first seen at the goal, inf if never; lr None: the
        best one."""
        return np.array([reached(trial, self.goal)[0] for trial in self.of(name, lr)])

    @cached_property
    def rows(self):
        return [self.row(name) for name in self.optimizers]

    def row(self, name):
        """The numbers of an optimizer at its best learning rate. Ranges are [lowest, median,
        highest] of the seeds; steps and seconds to the goal are inf where it was not reached."""
        trials = self.of(name)
        at_goal = [reached(trial, self.goal) for trial in trials]
        speeds = [np.median(np.diff(t.seconds) / np.diff(t.curve["step"])) for t in trials
                  if len(t.seconds) > 1]
        return {"optimizer": name, "lr": self.best[name], "edge": self.edge(name),
                "seeds": len(trials), "diverged": sum(t.diverged is not None for t in trials),
                "test_score": spread([t.last("test_score") for t in trials]),
                "validation_score": spread([t.last("validation_score") for t in trials]),
                "train_loss": spread([t.last("train_loss") for t in trials]),
                "steps": spread([steps for steps, _ in at_goal]),
                "seconds": spread([seconds for _, seconds in at_goal]),
                "us_per_step": float(1e6 * np.median(speeds)) if speeds else math.nan}

    # --- text ---

    def table(self):
        """One line per optimizer: best lr, test score, training loss, steps and seconds."""
        head = ["optimizer", "best lr", f"test {self.score}", "train loss"]
        if self.goal:
            head += [f"steps to {self.goal_text()}", "seconds"]
        names = cuts(self.optimizers, NAME)
        lines = [self.line(name, row) for name, row in zip(names, self.rows)]
        return aligned(head, [line[:len(head)] for line in lines], right=range(1, len(head)))

    def line(self, name, row):
        if row["lr"] is None:
            return [name, "none", "diverged", "-", "-", "-"]
        return [name, f"{row['lr']:g}{row['edge'] or ' '}",
                ranged(row["test_score"], self.score_text, "%" if self.is_share() else ""),
                loss_text(row["train_loss"][1]), ranged(row["steps"], steps_text),
                seconds_text(row["seconds"][1])]

    def grid(self):
        """The score on the validation rows for every learning rate, median of the seeds; the best
        in brackets. Wide grids are cut into blocks."""
        lrs = sorted({lr for tried in self.lrs.values() for lr in tried})
        names = cuts(self.optimizers, NAME)
        each = max(8, max(len(f"{lr:g}") for lr in lrs) + 2)
        across = max(1, (WIDTH - max(map(len, [*names, "optimizer"]))) // each)
        blocks = []
        for start in range(0, len(lrs), across):
            some = lrs[start:start + across]
            lines = [[short, *(self.cell(name, lr) for lr in some)]
                     for short, name in zip(names, self.optimizers)]
            blocks.append(aligned(["optimizer", *(f"{lr:g} " for lr in some)], lines,
                                  right=range(1, len(some) + 1)))
        return "\n\n".join(blocks)

    def cell(self, name, lr):
        if (name, lr) not in self.cells:
            return ""
        score = self.final("validation_score", name, lr)
        text = "diverged" if score == -math.inf else self.score_text(score)
        return f"[{text}]" if lr == self.best[name] else f"{text} "

    def is_share(self):
        return self.score == "accuracy"

    def score_text(self, value):
        """An accuracy as 97.8, in percent; R2 as 0.978."""
        if not math.isfinite(value):
            return "diverged" if value == -math.inf else "-"
        if self.is_share():
            return f"{100 * value:.1f}"
        return f"{value:.3f}" if abs(value) < 1000 else f"{value:.1e}"

    def goal_text(self):
        curve, value = self.goal
        if curve == "train_loss":
            return f"loss {value:.3g}"
        return f"{100 * value:.1f}%" if self.is_share() else f"{value:.3f}"

    def headline(self):
        """What was compared, in a few lines."""
        rows, about, s = self.about["rows"], self.about, self.settings
        sizes = "-".join(map(str, about["sizes"]))
        least = min(len(trials) for trials in self.cells.values())
        seeds = counted(len(self.seeds), "seed")
        schedule = f", {s['scheduler']} schedule" if s["scheduler"] != "none" else ""
        words = (f"{s['data']}: {rows['train']} rows to learn from, {rows['validation']} to choose "
                 f"the learning rate by, {rows['test']} for the test. MLP {sizes}, "
                 f"{s['activation']}, {counted(about['steps'], 'step')} in batches of "
                 f"{s['batch_size']}"
                 f"{schedule}, {seeds}: median (range).")
        if not self.finished or least < len(self.seeds):
            words += f" Stopped: {len(self.trials)} trainings were done."
        return textwrap.fill(words, WIDTH, break_on_hyphens=False, break_long_words=False)

    def notes(self):
        """What a reader of the tables has to know, one line each."""
        lines = []
        edges = {row["edge"] for row in self.rows}
        if ">" in edges:
            lines.append("> the largest learning rate tried: a larger one may be better")
        if "<" in edges:
            lines.append("< the smallest learning rate tried: a smaller one may be better")
        if self.goal and self.asked[1] is None:
            lines.append(f"{self.goal_text()}, as no goal was given: {WAY:.0%} of the way from a "
                         "constant guess to the best result")
        if not self.goal:
            lines.append("no optimizer did better than a constant guess")
        for name in self.optimizers:
            lost = {lr: sum(t.diverged is not None for t in self.cells[name, lr])
                    for lr in self.lrs[name]}
            words = ", ".join(f"{lr:g} ({n} of {len(self.cells[name, lr])})"
                              for lr, n in lost.items() if n)
            cure = "" if self.best[name] is not None else ": try smaller ones"
            if words:
                lines.append(f"{name} diverged with lr {words}{cure}")
        return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines)

    def __str__(self):
        what = {"score": "is the highest", "loss": "by training loss",
                "steps": "by steps to the goal"}[self.by]
        percent = " in %" if self.is_share() else ""
        head = f"validation {self.score}{percent} by learning rate, [chosen] {what}:"
        parts = [self.headline(), self.table(), f"{head}\n{self.grid()}", self.notes()]
        return "\n\n".join(filter(None, parts))

    def __repr__(self):
        return (f"<Comparison on {self.settings['data']}: "
                f"{counted(len(self.optimizers), 'optimizer')}, "
                f"{counted(len(self.trials), 'trial')}>")

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            alt = f"{self!r}: loss and {self.score} over the steps"
            return markup.bundle(str(self), markup.image(self.picture(), alt)
                                 + markup.pre(str(self)))
        except Exception as error:  # a display that raises hides the object
            return markup.bundle(f"<Comparison that cannot be shown: {error}>")

    # --- pictures ---

    def plot(self):
        """A matplotlib Figure: loss, score, what the learning rate does, steps to the goal.

        Raises ImportError without matplotlib (the extra "plot"); picture() and print() need none.
        """
        return comparepicture.figure(self)

    def picture(self):
        """Loss and score over the steps as an SVG, text."""
        return comparepicture.svg(self)


# --- small readings -------------------------------------------------------------------------------

def reached(trial, goal):
    """(steps, seconds) after which a trial was first seen at the goal; (inf, inf) if never, or if
    there is no goal."""
    if goal is None:
        return math.inf, math.inf
    curve, value = goal
    values = np.array(trial.curve[curve])
    hits = np.flatnonzero(values <= value if curve.endswith("loss") else values >= value)
    if not len(hits):
        return math.inf, math.inf
    return trial.curve["step"][hits[0]], trial.seconds[hits[0]]


def middle(values):
    """The median. Of an even number of values with an infinite one beside the middle, that."""
    values = sorted(values)
    low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
    return low if low == high else float(low + high) / 2


def spread(values):
    """[lowest, median, highest]; nothing of nothing."""
    return [min(values), middle(values), max(values)] if values else [math.nan] * 3


def ranged(ends, text, unit=""):
    """"97.8% (97.2-98.1)" of [lowest, median, highest]; without the range if all look alike."""
    low, mid, high = map(text, ends)
    unit = unit if math.isfinite(ends[1]) else ""
    return f"{mid}{unit}" if low == high else f"{mid}{unit} ({low}-{high})"


def counted(n, thing):
    return f"{n} {thing}{'s' * (n != 1)}"


def steps_text(steps):
    return f"{steps:g}" if math.isfinite(steps) else "never"


def seconds_text(seconds):
    return significant(seconds) if math.isfinite(seconds) else "-"


def loss_text(loss):
    return significant(loss) if math.isfinite(loss) else "diverged"
