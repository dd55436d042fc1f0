"""Optimizers compared on real data: every one with several learning rates and several seeds.

    minigrad.lab.compare("digits", ["sgd", "adam"], lrs=[0.1, 0.01, 0.001], seeds=3)

The one trick: a trial is watched through the hole that is there already. `training.fit` tells a
progress bar of every batch; the Watch takes its place, stops the clock, and looks at the scores.

With the same seed all optimizers see the same split of the rows, start from the same weights and
get the same batches. The rows are split in three: those trained on, those that the learning rate is
chosen by (validation), and those that chose nothing, on which the results are reported (test).
"""

import contextlib
import json
import math
import numbers
import time
from dataclasses import asdict, dataclass, fields

import numpy as np

from minigrad import data as datasets
from minigrad import random, training
from minigrad.autograd import enable_grad
from minigrad.data.csvfile import nearest
from minigrad.engine import recording
from minigrad.lab import comparefile
from minigrad.lab.comparefile import CURVES, PARTS, Trial
from minigrad.lab.comparison import Comparison, check_goal
from minigrad.optim import Optimizer
from minigrad.predictor import Predictor
from minigrad.progress import Progress
from minigrad.threads import one_thread

HELD_OUT = 0.2     # of the rows for the test, and as much of the others for the validation
STEPS = 500        # about as many steps make a trial, unless epochs says otherwise
LOOKS = 48         # times that a trial is looked at, about: often at first, ever more seldom
DTYPES = ("float32", "float64")
DECAY = {"adamw": 0.01}  # weight decay unless one is asked for: AdamW's own
AROUND = (1 / 10, 1 / 3, 1, 10 / 3, 10)  # times the usual lr, to one digit: 0.01 0.03 0.1 0.3 1

SETTINGS = [f.name for f in fields(training.Recipe)
            if f.name not in ("optimizer", "lr", "seed", "momentum")]


def compare(data="digits", optimizers=None, lrs=None, seeds=3, *, goal=None, goal_loss=None,
            by="score", folder=None, force=False, progress=None, **settings):
    """Trains an MLP with every optimizer, learning rate and seed; returns the Comparison.

    data        name of a data set (digits, iris, moons, spirals, xor) or a Table (read_table)
    optimizers  names as on the command line (default all eight), or {name: maker} with
                maker(parameters, lr) -> Optimizer for your own; a maker None is the one of the name
    lrs         for all of them, or {name: lrs}; default: five around the usual rate of each
    seeds       how many, or which: of split, weights and batches
    goal        steps and time are told to this test accuracy (R2 of values); default: 95 % of the
                way from the best constant guess to the best result. Or goal_loss: to this
                training loss
    by          the lr is chosen by "score", accuracy or R2 on the validation rows; by "loss", the
                training loss; or by "steps" to the goal
    folder      keep each trial there as a file: the same call goes on where it was stopped.
                Optimizers of your own are run anew. force: begin anew
    progress    as for minigrad.progress.Progress
    settings    hidden, activation, batch_size, epochs, scheduler, weight_decay, label_smoothing,
                dtype, as for `python -m minigrad train`. Defaults: no scheduler, no smoothing, no
                weight decay but AdamW's, about 500 steps; the rest as `train` chooses it

    All but the seconds is the same in every run. Ctrl-C returns what is done, with finished=False.
    Raises ValueError or TypeError for what cannot be run, before anything is; FileExistsError if
    the folder has trials with other settings.
    """
    plan = planned(data, optimizers, lrs, seeds, **settings)
    check_goal(plan.table.task, goal, goal_loss, by)
    done, finished = tried(plan, taken_up(plan, folder, force), folder, progress)
    return Comparison(done, goal=goal, goal_loss=goal_loss, by=by, names=list(plan.makers),
                      finished=finished)


def load_comparison(folder, **judged):
    """The Comparison of all trials in a folder; judged: goal, goal_loss and by, as for compare.

    Raises FileNotFoundError if there are none, FileFormatError for a file that is none.
    """
    found = comparefile.read_all(folder)
    if not found:
        raise FileNotFoundError(f"there are no trials in {folder!r}; "
                                "compare(..., folder=...) writes them")
    return Comparison(found, **judged)


# --- what is going to be run ----------------------------------------------------------------------

@dataclass(frozen=True)
class Plan:
    """All trials of a comparison, before the first."""

    table: object
    makers: dict     # {name: maker(parameters, lr), or None for a name of training.OPTIMIZERS}
    lrs: dict        # {name: [lr, ...]}
    seeds: list
    chosen: dict     # settings of the Recipe
    stamp: dict      # what the data are, for the files

    def recipe(self, name, lr, seed):
        chosen = {"weight_decay": DECAY.get(name, 0.0), **self.chosen}
        return training.recipe_for(self.table, optimizer=name, lr=lr, seed=seed, **chosen)

    def settings(self, name, lr, seed):
        """All that decides about the numbers of a trial, as it comes back from JSON."""
        own = {"own": True} if self.makers[name] else {}
        return json.loads(json.dumps({**self.stamp, **asdict(self.recipe(name, lr, seed)), **own}))

    def keys(self):
        """(name, lr, seed) in the order of the trials: every optimizer is tried with the first
        seed before the second begins, so a comparison that is stopped has something of each."""
        return [(name, lr, seed) for seed in self.seeds for name in self.makers
                for lr in self.lrs[name]]

    def steps(self, rows):
        """Steps of one trial on so many rows."""
        recipe = self.recipe(*self.keys()[0])
        return recipe.epochs * math.ceil(rows / recipe.batch_size)


def planned(data, optimizers=None, lrs=None, seeds=3, **settings):
    """The Plan of a comparison. Arguments and errors as for `compare`."""
    table = datasets.load(data) if isinstance(data, str) else data
    if not isinstance(table, datasets.Table):
        raise TypeError("data must be the name of a data set or a Table, got "
                        f"{type(data).__name__}; minigrad.data.read_table(path, target) makes one")
    makers = checked_makers(optimizers)
    chosen = checked_settings(settings)
    seeds = checked_seeds(seeds)
    train = split(table, seeds[0])[0]
    if "epochs" not in chosen:
        size = chosen.get("batch_size") or training.recipe_for(table).batch_size
        chosen["epochs"] = min(max(round(STEPS / math.ceil(len(train) / size)), 5), 200)
    stamp = {"data": str(table.name), "fingerprint": comparefile.fingerprint(table),
             "asked_decay": chosen.get("weight_decay")}
    plan = Plan(table, makers, checked_lrs(lrs, makers), seeds, chosen, stamp)
    try:  # what the network refuses is refused before anything is run
        with drawing_apart():
            new_model(plan.recipe(*plan.keys()[0]), datasets.Schema.fit(train))
    except (TypeError, ValueError) as error:
        raise ValueError(f"compare: {error}") from None
    return plan


def checked_makers(optimizers):
    """{name: maker or None}."""
    known = training.OPTIMIZERS
    if optimizers is None:
        return dict.fromkeys(known)
    if isinstance(optimizers, str):
        optimizers = [optimizers]
    makers = dict(optimizers) if isinstance(optimizers, dict) else dict.fromkeys(optimizers)
    if not makers:
        raise ValueError(f"there are no optimizers to compare; choose from {', '.join(known)}")
    for name, maker in makers.items():
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"an optimizer is compared under a name, got {name!r}")
        if maker is None and name not in known:
            raise ValueError(f"there is no optimizer {name!r}; there are {', '.join(known)}."
                             f"{nearest(name, known)} For your own: {{{name!r}: lambda parameters, "
                             "lr: Optimizer(parameters, rule=..., lr=lr)}")
        if maker is not None and not callable(maker):
            raise TypeError(f"{name!r} must come with a function (parameters, lr) -> Optimizer, "
                            f"or None, got {type(maker).__name__}")
    return makers


def checked_lrs(lrs, makers):
    """{name: [lr, ...]}, ascending."""
    if isinstance(lrs, dict):
        for name in lrs:
            if name not in makers:
                raise ValueError(f"lrs are given for {name!r}, which is not compared; these are: "
                                 f"{', '.join(makers)}.{nearest(name, makers)}")
        each = {name: lrs.get(name) for name in makers}
    else:
        each = dict.fromkeys(makers, lrs)
    for name, values in each.items():
        if values is None:
            if name not in training.LEARNING_RATES:
                raise ValueError(f"nobody knows the usual learning rate of {name!r}: say which to "
                                 f"try, lrs={{{name!r}: [0.1, 0.01, 0.001]}}")
            usual = training.LEARNING_RATES[name]
            values = [float(f"{usual * factor:.0e}") for factor in AROUND]
        values = [values] if isinstance(values, numbers.Real) else list(values)
        for lr in values:
            if not is_number(lr) or not 0 < lr < math.inf:
                raise ValueError(f"a learning rate is a number above 0, got {lr!r} for {name}")
        if not values:
            raise ValueError(f"there is no learning rate to try with {name}")
        each[name] = sorted({float(lr) for lr in values})
    return each


def checked_seeds(seeds):
    """The list of seeds; a number n means 0 to n - 1."""
    given = seeds
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = range(seeds)
    if isinstance(seeds, (str, bool, float)) or not len(seeds := list(dict.fromkeys(seeds))) or any(
            isinstance(s, bool) or not isinstance(s, (int, np.integer)) or s < 0 for s in seeds):
        raise ValueError("seeds is how many there are, at least 1, or a list of whole numbers of "
                         f"at least 0, got {given!r}")
    return [int(seed) for seed in seeds]


def checked_settings(settings):
    """The settings that were chosen; None leaves one as it is."""
    for name in settings:
        if name not in SETTINGS:
            raise TypeError(f"compare() has no setting {name!r}; there are "
                            f"{', '.join(SETTINGS)}.{nearest(name, SETTINGS)}")
    chosen = {"scheduler": "none", "label_smoothing": 0.0} | {
        name: value for name, value in settings.items() if value is not None}
    for name in ("epochs", "batch_size"):
        value = chosen.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    for name, below in (("label_smoothing", 1), ("weight_decay", math.inf)):
        value = chosen.get(name, 0)
        if not is_number(value) or not 0 <= value < below:
            raise ValueError(f"{name} must be at least 0 and below {below}, got {value!r}")
    if chosen["scheduler"] not in training.SCHEDULERS:
        known = training.SCHEDULERS
        raise ValueError(f"there is no scheduler {chosen['scheduler']!r}; there are "
                         f"{', '.join(known)}.{nearest(chosen['scheduler'], known)}")
    if chosen.get("dtype", DTYPES[0]) not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {chosen['dtype']!r}")
    if "hidden" in chosen:
        sizes = chosen["hidden"]
        try:
            chosen["hidden"] = (sizes,) if isinstance(sizes, int) else tuple(sizes)
        except TypeError:
            raise ValueError("hidden is the sizes of the hidden layers, such as [64, 32], got "
                             f"{sizes!r}") from None
    return chosen


def is_number(x):
    """Is this a real number, of Python or of NumPy?"""
    return isinstance(x, numbers.Real) and not isinstance(x, (bool, np.bool_))


def split(table, seed):
    """The Tables (train, validation, test) of a seed. ValueError if there are too few rows."""
    held_in, test = table.split(HELD_OUT, seed=seed)
    return *held_in.split(HELD_OUT, seed=seed), test


def new_model(recipe, schema):
    """The untrained network, from the weights of the recipe's seed."""
    random.manual_seed(recipe.seed)
    return Predictor.new(schema, recipe.hidden, recipe.activation, recipe.dtype)


# --- running it -----------------------------------------------------------------------------------

def taken_up(plan, folder, force=False):
    """{key: Trial} of what the folder has already. FileExistsError if that is another comparison;
    with force it is removed."""
    if folder is None:
        return {}
    if force:
        comparefile.remove_all(folder)
    found, keys = comparefile.read_all(folder), plan.keys()
    wanted = comparefile.shared(plan.settings(*keys[0]))
    for trial in found:
        key = trial.optimizer, trial.lr, trial.seed
        differs = comparefile.differing(comparefile.shared(trial.settings), wanted)
        if not differs and key in keys:
            differs = comparefile.differing(trial.settings, plan.settings(*key))
        if differs:
            raise FileExistsError(f"{folder} has trials of another comparison: {differs}; choose "
                                  "another folder, or begin anew with force")
    return {(t.optimizer, t.lr, t.seed): t for t in found if "own" not in t.settings}


def tried(plan, known, folder=None, progress=None):
    """([Trial, ...] in the order of the plan, were all made?). known: those that are done."""
    keys = plan.keys()
    done = {key: known[key] for key in keys if key in known}
    missing = [key for key in keys if key not in done]
    finished, seed, rows = True, None, None
    steps = plan.steps(len(split(plan.table, plan.seeds[0])[0]))
    shown = Progress(total=steps * len(missing), progress=progress if missing else False)
    with drawing_apart(), one_thread(), enable_grad(), np.errstate(all="ignore"), shown:
        try:
            for key in missing:
                if key[2] != seed:
                    seed = key[2]
                    rows = Rows.of(plan, seed)
                done[key] = trial = attempt(plan, rows, key, steps, shown)
                if folder is not None:
                    comparefile.write(folder, trial)
        except KeyboardInterrupt:
            finished = False
            if not done:
                raise
    return [done[key] for key in keys if key in done], finished


@contextlib.contextmanager
def drawing_apart():
    """Context after which the one generator goes on as if nothing had been drawn."""
    state = random.generator().bit_generator.state
    started = random.initial_seed()
    try:
        yield
    finally:
        random.manual_seed(started)
        random.generator().bit_generator.state = state


@dataclass
class Rows:
    """What all trials of one seed share: the rows, encoded, and how good a constant guess is."""

    schema: object
    parts: dict       # {"train": (x, y), ...}: arrays, x standardized
    baseline: float

    @classmethod
    def of(cls, plan, seed):
        tables = dict(zip(PARTS, split(plan.table, seed)))
        schema = datasets.Schema.fit(tables["train"])
        parts = {name: schema.encode(table) for name, table in tables.items()}
        y, train_y = parts["test"][1], parts["train"][1]
        baseline = float((y == np.bincount(train_y).argmax()).mean()) if schema.class_names else 0.0
        return cls(schema, parts, baseline)


def attempt(plan, rows, key, steps, progress):
    """The Trial of a key."""
    name, lr, seed = key
    recipe = plan.recipe(*key)
    model = new_model(recipe, rows.schema)
    if plan.makers[name] is None:
        optimizer = training.optimizer_for(recipe, model.net.named_parameters())
    else:
        optimizer = plan.makers[name](list(model.net.parameters()), lr)
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"the maker of {name!r} must return an Optimizer, got "
                            f"{type(optimizer).__name__}")
    criterion = training.criterion_for(recipe, rows.schema.task)
    parts = {part: (*model.tensors(x, y), y) for part, (x, y) in rows.parts.items()}
    batches = datasets.DataLoader(datasets.TensorDataset(*parts["train"][:2]), recipe.batch_size,
                                  shuffle=True)
    scheduler = training.SCHEDULERS[recipe.scheduler](optimizer, steps)
    step = training.Step(model.net, criterion, optimizer)
    watch = Watch(model, criterion, parts, steps, progress)
    diverged = None
    try:
        watch.look()
        if not training.fit(step, batches, scheduler, recipe.epochs, watch)[1]:
            raise KeyboardInterrupt
    except training.Diverged as error:
        diverged = str(error).removeprefix("training diverged: ")
        progress.count += steps - watch.count  # those that need not be made
    about = {"task": rows.schema.task, "score": score_name(rows.schema.task),
             "rows": {part: len(y) for part, (_, y) in rows.parts.items()},
             "target": rows.schema.target.name, "sizes": list(model.net.sizes),
             "parameters": sum(p.numel() for p in model.net.parameters()),
             "baseline": rows.baseline, "steps": steps}
    return Trial(name, lr, seed, plan.settings(*key), about, watch.curve, watch.seconds, diverged)


def score_name(task):
    return "accuracy" if task == "classification" else "R2"


def looks(steps):
    """The steps after which a trial is looked at: as many from 1 to 10 as from 10 to 100, and the
    last."""
    return sorted({round(x) for x in np.geomspace(1, steps, LOOKS)})


class Watch:
    """Takes the place of a Progress in training.fit: notes loss and score as the steps go by."""

    def __init__(self, model, criterion, parts, steps, progress):
        self.model, self.criterion, self.parts = model, criterion, parts
        self.due = set(looks(steps))
        self.curve, self.seconds = {name: [] for name in CURVES}, []
        self.count, self.elapsed, self.progress = 0, 0.0, progress
        self.mark = time.perf_counter()

    def step(self, loss, grad=None):
        """One batch is done; the clock stands still until this returns."""
        self.elapsed += time.perf_counter() - self.mark
        self.count += 1
        if self.count in self.due:
            self.look()
        self.progress.step(loss=loss)
        self.mark = time.perf_counter()

    def look(self):
        """Adds a point to every curve. Raises Diverged for a loss that is not finite."""
        train_y, point = self.parts["train"][2], {"step": self.count}
        for part, (x, y, answers) in self.parts.items():
            with recording(False):
                outputs = self.model.net(x)
                loss = self.criterion(outputs, y).item()
            if not math.isfinite(loss):
                raise training.Diverged(self.count, f"the loss on the {part} rows became {loss}")
            found = training.scores(self.model.schema, outputs.numpy().astype(np.float64), answers,
                                    train_y)
            score = found["accuracy" if "accuracy" in found else "r2"]
            point[f"{part}_loss"] = loss
            point[f"{part}_score"] = math.nan if score is None else score
        for name, value in point.items():
            self.curve[name].append(value)
        self.seconds.append(self.elapsed)
        self.mark = time.perf_counter()
