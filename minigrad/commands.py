"""The commands `train` and `predict`.

The one trick: everything that can be refused is refused before the first step, so that a run that
starts ends with a model, even if Ctrl-C ends it. Options are in cli.py, the loop in training.py.
"""

import contextlib
import csv
import os
import shlex
import time
from dataclasses import asdict, dataclass, fields, replace
from io import StringIO

import numpy as np

from minigrad import data, io, random, training
from minigrad.data.csvfile import listed, nearest, read_csv
from minigrad.inspect import GraphvizNotFound, draw
from minigrad.predictor import Predictor
from minigrad.progress import Progress
from minigrad.terminal import (
    PROGRAM,
    Refusal,
    as_json,
    complain,
    made_folder,
    pairs,
    remove_folders,
    result,
    table,
    talk,
)
from minigrad.threads import one_thread

HELD_OUT = 0.2
SHOWN = 20  # rows of predictions printed as a table


# --- train ---------------------------------------------------------------------------------------

def train(options):
    """Trains an MLP, says how good it is, writes model and picture. Returns the exit code."""
    rows = table_of(options.data, options.target, options.task)
    recipe = training.recipe_for(rows, **{name: getattr(options, name) for name in CHOSEN})
    if options.label_smoothing and rows.task == "regression":
        raise Refusal("--label-smoothing is for classes, but the target is a number",
                      "leave it out", code=2)
    try:
        held_in, held_out = rows.split(HELD_OUT, seed=recipe.seed)
    except ValueError as error:
        raise Refusal(error, "add some rows") from None
    schema = data.Schema.fit(held_in)
    random.manual_seed(recipe.seed)
    about = {"data": options.data, "seed": recipe.seed, "settings": plain(recipe)}
    model = Predictor.new(schema, recipe.hidden, recipe.activation, recipe.dtype, about)
    try:
        optimizer = training.optimizer_for(recipe, model.net.named_parameters())
    except ValueError as error:
        hint = "leave --momentum out, or choose another --optimizer"
        raise Refusal(error, hint, code=2) from None
    folder = options.output or default_folder(options.data)
    refuse_overwriting(folder, options)
    created = made_folder(folder)
    say = (lambda text: None) if options.quiet else talk
    try:
        say(opening(rows, held_in, held_out, model, recipe))
        with one_thread() if is_small(model.net, recipe) else contextlib.nullcontext():
            course = trained(model, held_in, recipe, optimizer, options)
    except BaseException:
        remove_folders(created)
        raise
    if course.steps == 0:
        remove_folders(created)
        raise KeyboardInterrupt
    if not options.quiet:
        course.tell()
    return report(options, folder, model, held_in, held_out, course)


CHOSEN = [field.name for field in fields(training.Recipe)]


def plain(recipe):
    """A Recipe as a dict for JSON."""
    return {**asdict(recipe), "hidden": list(recipe.hidden)}


def is_file(name):
    """Is this argument the path of a file rather than the name of a data set?"""
    return name not in data.names() and (
        os.path.sep in name or "/" in name or "." in name or os.path.exists(name))


def table_of(name, target=None, task=None):
    """The Table of a data set's name or a CSV file's path."""
    if name in data.names():
        if target or task:
            given = "--target" if target else "--task"
            raise Refusal(f"{given} is for a CSV file; what to predict in {name} is known",
                          f"leave {given} out", code=2)
        return data.load(name)
    if not is_file(name):
        raise Refusal(f"there is no data set {name!r}; there are {', '.join(data.names())}."
                      f"{nearest(name, data.names())}",
                      f"a CSV file of your own: {PROGRAM} train FILE.csv --target COLUMN", code=2)
    if target is None:
        columns = listed(read_csv(name).header)
        raise Refusal(f"--target is missing: which column of {name} is to be predicted? "
                      f"It has {columns}", f"{PROGRAM} train {name} --target COLUMN", code=2)
    return data.read_table(name, target, task)


def default_folder(name):
    """runs/digits for digits, runs/houses for some/houses.csv."""
    stem = os.path.splitext(os.path.basename(name))[0] if is_file(name) else name
    return os.path.join("runs", stem or "model")


def refuse_overwriting(folder, options):
    """A folder given with -o keeps its model, unless --force. The default one is for reruns."""
    model = os.path.join(folder, "model.npz")
    if options.output and not options.force and os.path.lexists(model):
        raise Refusal(f"{model} exists already",
                      "choose another folder with -o DIR, or replace it with --force")


def opening(rows, held_in, held_out, model, recipe):
    """What is going to happen, in a few lines."""
    net, schema = model.net, model.schema
    kind = (f"{schema.n_outputs} classes" if schema.class_names else
            f"{schema.target.name}, a number")
    why = f" ({rows.why})" if is_file(rows.name) else ""
    sizes, weights = "-".join(map(str, net.sizes)), sum(p.numel() for p in net.parameters())
    decay = f", weight decay {recipe.weight_decay:g}" if recipe.weight_decay else ""
    momentum = f", momentum {recipe.momentum:g}" if recipe.momentum is not None else ""
    schedule = f", {recipe.scheduler} schedule" if recipe.scheduler != "none" else ""
    lines = [
        ("data", f"{rows.name}: {rows.description}"),
        ("", f"{len(held_in)} rows to learn from, {len(held_out)} held out for the test"),
        ("", f"{schema.n_inputs} feature{'s' * (schema.n_inputs > 1)}; to predict: {kind}{why}"),
        ("network", f"MLP {sizes}, {recipe.activation}, {weights} parameters, {recipe.dtype}"),
        ("training", f"{recipe.optimizer}, lr {recipe.lr:g}{momentum}{decay}{schedule}"),
        ("", f"{recipe.epochs} epochs in batches of {recipe.batch_size}, seed {recipe.seed}")]
    if recipe.label_smoothing:
        low = training.lowest_loss(schema.n_outputs, recipe.label_smoothing)
        smoothed = f"labels smoothed by {recipe.label_smoothing:g}: no loss is below {low:.4f}"
        lines.append(("", smoothed))
    return pairs(lines, 10)


def is_small(net, recipe):
    """Are all matrix products too small for a second thread to help?"""
    return recipe.batch_size * max(p.numel() for p in net.parameters()) < 4_000_000


@dataclass
class Course:
    """How a training went."""

    steps: int
    finished: bool    # False: Ctrl-C
    seconds: float
    step: str         # "compiled" or "eager"
    why: str = None   # it could not be compiled

    def tell(self):
        """Says which step it was and, of an eager one that should have been compiled, why."""
        if self.why is not None:
            complain("note", f"the step was not compiled: {self.why.removeprefix('compile: ')}")
        talk(f"{self.step} step: {self.steps} made in {self.seconds:.2f} s")


def trained(model, held_in, recipe, optimizer, options):
    """Runs the loop; returns its Course."""
    x, y = model.tensors(*model.schema.encode(held_in))
    batches = data.DataLoader(data.TensorDataset(x, y), recipe.batch_size, shuffle=True)
    steps = recipe.epochs * len(batches)
    scheduler = training.SCHEDULERS[recipe.scheduler](optimizer, steps)
    criterion = training.criterion_for(recipe, model.schema.task)
    step = training.Step(model.net, criterion, optimizer, options.eager)
    started = time.perf_counter()
    shown = Progress(total=steps, progress=not options.quiet)
    with np.errstate(all="ignore"), shown as progress:
        try:
            done, finished = training.fit(step, batches, scheduler, recipe.epochs, progress)
        except training.Diverged as error:
            progress.close()
            usual = training.LEARNING_RATES[recipe.optimizer]
            smaller = usual if recipe.lr > usual else recipe.lr / 10
            other = "" if recipe.optimizer == "adamw" else ", or --optimizer adamw"
            raise Refusal(f"{error} of {steps} ({recipe.optimizer}, lr {recipe.lr:g}); nothing "
                          "was written", f"try --lr {smaller:g}{other}") from None
    return Course(done, finished, time.perf_counter() - started, step.kind, step.why)


def report(options, folder, model, held_in, held_out, course):
    """Writes the files, prints the results; returns the exit code."""
    schema = model.schema
    (_, train_y), (x, y) = schema.encode(held_in), schema.encode(held_out)
    measured = training.scores(schema, model.outputs(x), y, train_y)
    model.about |= {"steps": course.steps, "finished": course.finished, "test": measured}
    path = os.path.join(folder, "model.npz")
    model.save(path)
    if not course.finished:
        complain("stopped", f"Ctrl-C after {course.steps} steps; the model as it was then is saved")
    picture = drawn(model, held_in, folder)
    if options.json:
        as_json({"data": options.data, "rows": {"train": len(held_in), "test": len(held_out)},
                 "settings": model.about["settings"], "steps": course.steps,
                 "step": course.step, "finished": course.finished,
                 "seconds": round(course.seconds, 3), "test": measured,
                 "files": {"model": path, "graph": picture}})
    else:
        result(pairs([*worded(measured, schema.target.name), ("model", path),
                      ("graph", picture or "not drawn")]))
    if not options.quiet:
        if no_better(measured):
            lr = model.about["settings"]["lr"]
            complain("warning", "the network is no better than the baseline",
                     f"try another --lr (it was {lr:g}), more --epochs, or other --hidden")
        talk(f"next: {PROGRAM} predict {shlex.quote(path)} {shlex.quote(options.data)}")
    return 0 if course.finished else 130


def worded(measured, target, what="held-out rows"):
    """(name, text) lines for what `training.scores` measured."""
    rows = measured["rows"]
    if "accuracy" in measured:
        right, guess = f"{measured['right']} of {rows} {what}", repr(measured["majority"])
        lines = [("test accuracy", f"{measured['accuracy']:7.2%}  {right}"),
                 ("baseline", f"{measured['baseline_accuracy']:7.2%}  always answering {guess}")]
        if measured["mistakes"]:
            confused = listed([f"{a} taken for {b}{f' ({k} times)' if k > 1 else ''}"
                               for a, b, k in measured["mistakes"][:3]])
            more = sum(k for _, _, k in measured["mistakes"][3:])
            lines.append(("mistakes", confused + (f", {more} more" if more else "")))
        return lines
    r2 = "not defined: one value only" if measured["r2"] is None else f"{measured['r2']:.4f}"
    return [("test R2", f"{r2}  on {rows} {what}"),
            ("test RMSE", f"{measured['rmse']:.4g}  in the unit of {target}"),
            ("baseline RMSE", f"{measured['baseline_rmse']:.4g}  always answering the mean")]


def no_better(measured):
    """Has the network learnt nothing, by what `training.scores` measured?"""
    if "accuracy" in measured:
        return measured["accuracy"] <= measured["baseline_accuracy"] < 1
    return measured["rmse"] >= measured["baseline_rmse"] > 0


def drawn(model, held_in, folder):
    """Draws one small batch on its way through the network and the loss; returns the path."""
    few = replace(held_in, features=held_in.features[:4], targets=held_in.targets[:4])
    x, y = model.tensors(*model.schema.encode(few))
    x.name, y.name = "x", "target"
    model.net.zero_grad()
    settings = model.about["settings"]
    criterion = training.criterion_for(training.Recipe(**settings), model.schema.task)
    loss = criterion(model.net(x), y)
    loss.name = "loss"
    loss.backward()
    svg, dot = os.path.join(folder, "graph.svg"), os.path.join(folder, "graph.dot")
    try:
        name = model.about["data"]
        graph = draw(loss, title=f"{name}: {len(few)} rows through the network, and their loss")
        try:
            graph.save(svg)
            other, written = dot, svg
        except (GraphvizNotFound, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            complain("warning", f"{reason}; the graph is written as text, {dot}",
                     "python -m pip install graphviz-pure, or install your system's Graphviz")
            graph.save(dot)
            other, written = svg, dot
    except (ValueError, OSError) as error:
        complain("warning", f"the graph is not drawn: {error}")
        return None
    if os.path.exists(other):
        os.remove(other)  # of an earlier run: it would show another network
    return written


# --- predict -------------------------------------------------------------------------------------

def predict(options):
    """Predicts the rows of a CSV file, or a data set's held-out fifth. Returns the exit code."""
    if options.json and options.output:
        raise Refusal("--json prints to stdout, -o writes CSV", "leave one of them out", code=2)
    model = Predictor.load(options.model)
    if options.output not in (None, "-") and os.path.lexists(options.output) and not options.force:
        raise Refusal(f"{options.output} exists already",
                      "choose another name, or replace it with --force")
    x, y, what = rows_for(model, options)
    answers, probabilities = model.answers(x)
    truth = None if y is None else true_answers(model.schema, y)
    header, rows = cells(model.schema.target.name, answers, probabilities, truth)
    measured = None if y is None else agreement(model, x, y)
    if options.json:
        keys = [name.split()[0] for name in header]
        as_json({"model": options.model, "data": options.data, "target": model.schema.target.name,
                 "rows": [dict(zip(keys, row)) for row in rows], "test": measured})
        return 0
    if options.output:
        write_csv(options.output, header, rows)
    else:
        print_rows(header, rows)
    if measured is not None:
        say = talk if options.output == "-" else result
        say(pairs(judged(measured, model.schema.target.name, what)))
    return 0


def rows_for(model, options):
    """(x, y, what the rows are) for the data that predict was given."""
    name, known = options.data, model.about.get("data")
    if name in data.names():
        if name != known:
            raise Refusal(f"{options.model} was trained on {known}, not on {name}",
                          f"{PROGRAM} predict {options.model} {known}")
        held_out = data.load(name).split(HELD_OUT, seed=model.about["seed"])[1]
        return *model.schema.encode(held_out), "held-out rows"
    if not is_file(name):
        columns = listed([column.name for column in model.schema.columns], 6)
        raise Refusal(f"there is no file {name!r} and no data set of that name."
                      f"{nearest(name, data.names())}",
                      f"give a CSV file with the columns {columns}", code=2)
    x, y = model.schema.read(name)
    if y is not None and known is not None and os.path.basename(name) == os.path.basename(known):
        talk(f"{name} looks like the file that the model was trained on: it knows most rows")
    return x, y, "rows"


def true_answers(schema, y):
    """Encoded targets as class names or values in the unit of the data."""
    return [schema.class_names[k] for k in y] if schema.class_names else schema.decode(y)


def agreement(model, x, y):
    """How well predictions agree with the true answers: accuracy, or r2 and rmse."""
    measured = training.scores(model.schema, model.outputs(x), y, y)
    return {name: measured[name] for name in ("rows", "right", "accuracy", "r2", "rmse")
            if name in measured}


def judged(measured, target, what):
    """`agreement` as (name, text) lines."""
    rows = measured["rows"]
    if "accuracy" in measured:
        return [("accuracy", f"{measured['accuracy']:.2%}  {measured['right']} of {rows} {what}")]
    r2 = [] if measured["r2"] is None else [("R2", f"{measured['r2']:.4f}  on {rows} {what}")]
    return [*r2, ("RMSE", f"{measured['rmse']:.4g}  in the unit of {target}")]


def cells(target, answers, probabilities, truth):
    """(header, rows) of the table of predictions; plain Python numbers."""
    header = ["row", f"predicted {target}"]
    columns = [range(1, len(answers) + 1), answers]
    if truth is not None:
        header.append(f"true {target}")
        columns.append(truth)
    if probabilities is not None:
        header.append("probability")
        columns.append(np.round(probabilities, 6))
    return header, [[cell.item() if isinstance(cell, np.generic) else cell for cell in row]
                    for row in zip(*columns)]


def print_rows(header, rows):
    """The first rows as a table for people."""
    def text(name, x):
        if isinstance(x, float):
            return f"{x:.2%}" if name == "probability" else f"{x:.6g}"
        return str(x)
    texts = [list(map(text, header, row)) for row in rows[:SHOWN]]
    numbers = [i for i, x in enumerate(rows[0]) if not isinstance(x, str)]
    result(table(header, texts, right=numbers))
    if len(rows) > SHOWN:
        talk(f"... and {len(rows) - SHOWN} more rows; all of them: -o FILE.csv, -o - or --json")


def write_csv(path, header, rows):
    """Writes predictions as CSV to a file, at once, or to stdout for "-"."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    if path == "-":
        result(text.getvalue().rstrip("\n"))
        return
    try:
        io.replace_file(path, text.getvalue().encode())
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror or error}",
                      "choose a file in a folder that you can write to") from None
    talk(f"wrote {len(rows)} predictions to {path}")
