"""The trials of a comparison on disk: one small JSON file each, there whole or not at all.

The one trick: a file holds every setting that decided about its numbers. A trial is taken up again
only if it is the very one that is wanted, so a comparison that was stopped goes on where it was,
and two different ones never mix.
"""

import hashlib
import json
import math
import os
import re
from dataclasses import asdict, dataclass

import numpy as np

from minigrad.io import FileFormatError, replace_file

KIND, VERSION, FOLDER = "minigrad comparison trial", 1, "trials"
PARTS = ("train", "validation", "test")
CURVES = ("step", *(f"{part}_{what}" for part in PARTS for what in ("loss", "score")))
OF_ONE = ("optimizer", "lr", "seed", "weight_decay", "own")  # what trials may differ in


@dataclass(frozen=True)
class Trial:
    """One training: an optimizer, a learning rate, a seed, and how it went.

    settings  everything that decides about the numbers: the data's fingerprint, the recipe
    about     what the data and the network are: task, score, rows, sizes, baseline
    curve     {"step": [0, 9, ...], "train_loss": [...], ...}: see CURVES. A score is the accuracy,
              or R2 of values (nan where it is not defined: all true values alike)
    seconds   time spent in training up to each of these steps, compiling the step included and
              looking left out; the one thing that never repeats
    diverged  None, or in words what became infinite, and when: there the curve is cut
    """

    optimizer: str
    lr: float
    seed: int
    settings: dict
    about: dict
    curve: dict
    seconds: list
    diverged: str = None

    def last(self, name):
        """The last value of a curve; of a trial that diverged the worst there is."""
        if self.diverged is None:
            return self.curve[name][-1]
        return -math.inf if name.endswith("score") else math.inf


def fingerprint(table):
    """16 letters that tell a Table from every other one: of its numbers and its columns."""
    seen = hashlib.sha256()
    seen.update(json.dumps([[asdict(c) for c in table.columns], asdict(table.target)]).encode())
    for array in (table.features, table.targets):
        seen.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()[:16]


def shared(settings):
    """The settings that all trials of one comparison have in common."""
    return {name: value for name, value in settings.items() if name not in OF_ONE}


def differing(one, other):
    """"epochs 20, not 30": how settings differ in words, "" if they do not."""
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)}, not {other.get(name)}" for name in names)


# --- writing and reading --------------------------------------------------------------------------

def place(folder, trial):
    """The path of a trial's file. Letters that file systems may refuse are replaced, and then a
    few digits tell such names apart."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", trial.optimizer)[:60]
    if name != trial.optimizer:
        name += "-" + hashlib.sha256(trial.optimizer.encode("utf-8", "replace")).hexdigest()[:8]
    return os.path.join(folder, FOLDER, f"{name}_lr{trial.lr!r}_seed{trial.seed}.json")


def write(folder, trial):
    """Writes the file of a trial, at once or not at all. OSError if it cannot be written."""
    content = {"kind": KIND, "version": VERSION, **asdict(trial), "curve": {
        name: [None if math.isnan(x) else x for x in trial.curve[name]] for name in CURVES}}
    path = place(folder, trial)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    replace_file(path, json.dumps(content, allow_nan=False).encode())


def read(path):
    """The Trial in a file. FileFormatError for any other file, OSError if it cannot be read."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        saved = json.loads(content)
        if saved["kind"] != KIND or saved["version"] != VERSION:
            raise ValueError(f"kind {saved['kind']!r}, version {saved['version']!r}")
        curve = {name: [math.nan if x is None else float(x) for x in saved["curve"][name]]
                 for name in CURVES}
        curve["step"] = [int(step) for step in curve["step"]]
        seconds, diverged = [float(x) for x in saved["seconds"]], saved["diverged"]
        if {len(values) for values in (*curve.values(), seconds)} != {len(seconds)} or not seconds:
            raise ValueError("its curves differ in length")
        settings, about = dict(saved["settings"]), dict(saved["about"])
        about["score"], about["baseline"], shared(settings)["data"]  # KeyError if one is missing
        return Trial(str(saved["optimizer"]), float(saved["lr"]), int(saved["seed"]), settings,
                     about, curve, seconds, None if diverged is None else str(diverged))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{path} is not a trial of a comparison, or it is damaged "
                              f"({type(error).__name__}: {error}); remove it, and its training is "
                              "done anew") from None


def paths(folder):
    """The files of the trials in a folder, sorted."""
    where = os.path.join(folder, FOLDER)
    if not os.path.isdir(where):
        return []
    return [os.path.join(where, name) for name in sorted(os.listdir(where))
            if name.endswith(".json") and not name.startswith(".")]


def read_all(folder):
    """All Trials in a folder. FileFormatError for a file that is none."""
    return [read(path) for path in paths(folder)]


def remove_all(folder):
    """Removes the files of all trials in a folder, and nothing else."""
    for path in paths(folder):
        os.remove(path)
