"""`python -m minigrad compare digits`: which optimizer, with which learning rate, how soon?

The one trick: every training that is done is a file before the next begins. So Ctrl-C loses one of
them at most, and the same command goes on with those that are missing.
"""

import json
import math
import os

from minigrad import commands, io
from minigrad.io import FileFormatError
from minigrad.lab import trials as lab
from minigrad.lab.comparison import Comparison, check_goal
from minigrad.terminal import (
    PROGRAM,
    Refusal,
    as_json,
    complain,
    made_folder,
    pairs,
    remove_folders,
    result,
    talk,
)

HELP = f"{PROGRAM} compare --help lists the options"
SETTINGS = [name for name in lab.SETTINGS if name != "label_smoothing"]


def compare(options):
    """Runs what is missing, prints the tables, draws the picture. Returns the exit code.

    options: `data`, `target`, `task`; `optimizers` and `lrs`, lists or None; `seeds`, a number;
    `seed`, the first of them; `goal`, `goal_loss`, `by`; the settings of `compare`; `output`,
    `force`, `json`, `quiet`.
    """
    table = table_of(options)
    settings = {name: getattr(options, name) for name in SETTINGS}
    seeds = range(options.seed, options.seed + options.seeds)
    try:
        check_goal(table.task, options.goal, options.goal_loss, options.by)
        plan = lab.planned(table, options.optimizers, options.lrs, seeds, **settings)
    except ValueError as error:
        raise Refusal(error, HELP, code=2) from None
    folder = options.output or default_folder(options.data)
    known = taken_up(plan, folder, options.force)
    created = made_folder(folder)
    say = (lambda text: None) if options.quiet else talk
    say(opening(plan, known, folder))
    try:
        done, finished = lab.tried(plan, known, folder, progress=not options.quiet)
    except BaseException:
        trials = os.path.join(folder, "trials")
        remove_folders([trials, *created] if os.path.isdir(trials) else created)
        raise
    compared = Comparison(done, goal=options.goal, goal_loss=options.goal_loss, by=options.by,
                          names=list(plan.makers), finished=finished)
    return report(options, compared, folder, len(plan.keys()))


def table_of(options):
    """The Table that the command line names."""
    try:
        return commands.table_of(options.data, options.target, options.task)
    except Refusal as error:
        hint = error.hint.replace(f"{PROGRAM} train", f"{PROGRAM} compare")
        raise Refusal(error, hint, error.code) from None


def default_folder(name):
    """runs/compare-digits for digits."""
    return os.path.join("runs", f"compare-{os.path.basename(commands.default_folder(name))}")


def taken_up(plan, folder, force):
    """The trials that are done already. Refusal if the folder has others."""
    try:
        return lab.taken_up(plan, folder, force)
    except FileExistsError as error:
        raise Refusal(str(error).partition(";")[0],
                      "another folder with -o DIR keeps them; --force removes them") from None
    except FileFormatError as error:
        raise Refusal(error, "or choose another folder with -o DIR") from None


def opening(plan, known, folder):
    """What is going to happen, in a few lines."""
    keys = plan.keys()
    done = sum(key in known for key in keys)
    several = f", {done} of them done before" if done else ""
    first = plan.recipe(*keys[0])
    seeds = f"{plan.seeds[0]} to {plan.seeds[-1]}" if len(plan.seeds) > 1 else str(plan.seeds[0])
    lines = [("data", f"{plan.table.name}: {plan.table.description}"),
             ("optimizers", ", ".join(plan.makers)),
             ("trainings", f"{len(keys)}{several}"),
             ("", f"each {first.epochs} epochs in batches of {first.batch_size}, seeds {seeds}"),
             ("folder", folder)]
    return pairs(lines, 12)


def report(options, compared, folder, wanted):
    """Writes and prints what was found; returns the exit code."""
    picture = drawn(compared, folder)
    found = summary(compared)
    written = os.path.join(folder, "compare.json")
    io.replace_file(written, json.dumps(found, indent=2, allow_nan=False).encode())
    files = {"picture": picture, "numbers": written, "trainings": os.path.join(folder, "trials")}
    if options.json:
        as_json({**found, "files": files})
    else:
        result(f"{compared}\n\n{pairs(list(files.items()), 12)}")
    if not compared.finished:
        complain("stopped", f"Ctrl-C after {len(compared.trials)} of {wanted} trainings, which are "
                 "kept", "the same command does the others")
        return 130
    return 0


def drawn(compared, folder):
    """Draws the picture, PNG with matplotlib, else SVG; returns its path. The other one, of an
    earlier run, is removed: it would show other numbers."""
    png, svg = os.path.join(folder, "compare.png"), os.path.join(folder, "compare.svg")
    try:
        content, path, other = compared.plot()._repr_png_(), png, svg
    except ImportError:
        content, path, other = compared.picture().encode(), svg, png
    io.replace_file(path, content)
    if os.path.exists(other):
        os.remove(other)
    return path


def summary(compared):
    """The numbers of the tables as plain data; None is what is infinite or not defined."""
    cells = [{"optimizer": name, "lr": lr, "seeds": len(trials),
              "diverged": sum(trial.diverged is not None for trial in trials),
              **{curve: compared.final(curve, name, lr)
                 for curve in ("train_loss", "validation_score", "test_score")}}
             for (name, lr), trials in compared.cells.items()]
    return plain({"data": compared.settings["data"], "score": compared.score,
                  "chosen_by": compared.by, "goal": compared.goal, "finished": compared.finished,
                  "seeds": compared.seeds, "settings": compared.settings, "about": compared.about,
                  "best": compared.rows, "all": cells})


def plain(x):
    """Nested data with None for every number that JSON does not know."""
    if isinstance(x, dict):
        return {name: plain(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x
