"""An assignment: one solution with markers, probes, points, and the mistakes that students make.

The one trick: a mistake is an edit of the reference solution, a row with the text to `replace` and
what stands there instead. So there is one formula, and a wrong program for each row; run on the
same probes, it gives the numbers that a student with this mistake gets.

    folder/
      solution.py       the one source; `### BEGIN SOLUTION` ... `### END SOLUTION` are cut out for
                        students (minigrad.coursework.release)
      probes.py         functions name(student, rng) that use the submission, a module, and return
                        {quantity: numbers}: numbers and never verdicts, which could be forged
      ASSIGNMENT.toml   title, limits, [[check]] rows with points, [[mistake]] rows
"""

import ast
import os
from dataclasses import dataclass

from minigrad.coursework.hints import LEVELS
from minigrad.coursework.sandbox import Limits
from minigrad.coursework.settings import SettingsError, read
from minigrad.data.builtin import load as load_data

TOLD = ("none", *LEVELS)
# fmt: off
KEYS = {
    "assignment": {"title", "solution", "probes", "submission", "hints", "seconds", "total",
                   "megabytes", "tolerance", "seed", "data", "rows", "check", "mistake"},
    "check":      {"probe", "title", "group", "points", "hidden"},
    "mistake":    {"id", "group", "title", "where", "concept", "formula", "source", "replace",
                   "by", "convention", "everywhere"},
}
# fmt: on


@dataclass(frozen=True)
class Check:
    """A probe and its points: a number, shared evenly by its quantities, or {quantity: points}."""

    probe: str
    title: str
    group: str
    points: object
    hidden: bool = False

    @property
    def most(self):
        return sum(self.points.values()) if isinstance(self.points, dict) else self.points

    def shares(self, quantities):
        """{quantity: points} for the quantities that the reference has."""
        if isinstance(self.points, dict):
            return self.points
        return {name: self.points / len(quantities) for name in quantities}


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: an edit of the solution, and words for it in three levels."""

    id: str
    groups: tuple
    title: str
    where: str
    concept: str
    formula: str
    source: str
    replace: str
    by: str
    convention: bool = False
    everywhere: bool = False

    def made_in(self, solution):
        """The solution with this mistake in it; None where its text is not there, as after
        another edit of the same line. everywhere: replaced wherever it stands."""
        times = solution.count(self.replace)
        if times == 0 or (times > 1 and not self.everywhere):
            return None
        return solution.replace(self.replace, self.by)

    def hint(self, level):
        """What a student is told: "" for level none."""
        return "" if level == "none" else getattr(self, level)


@dataclass(frozen=True)
class Assignment:
    """What ASSIGNMENT.toml and the files beside it say; `load` makes it."""

    folder: str
    title: str
    submission: str
    solution: str
    probes: str
    checks: tuple
    mistakes: tuple
    hints: str
    limits: Limits
    tolerance: float
    seed: int
    data: dict

    @property
    def points(self):
        return sum(check.most for check in self.checks)

    @property
    def groups(self):
        """The groups of checks, in order: mistakes are looked for in each on its own."""
        return list(dict.fromkeys(check.group for check in self.checks))

    def mistake(self, id):
        return next(row for row in self.mistakes if row.id == id)


def load(path):
    """The Assignment in ASSIGNMENT.toml (or in the folder that has it).

    Raises SettingsError for what is wrong in it, OSError for files that are not there.
    """
    if os.path.isdir(path):
        path = os.path.join(path, "ASSIGNMENT.toml")
    folder = os.path.dirname(os.path.abspath(path))
    given = read(text_of(path), path)
    known(given, "assignment", path)
    solution = text_of(os.path.join(folder, given.get("solution", "solution.py")))
    probes = text_of(os.path.join(folder, given.get("probes", "probes.py")))
    checks = tuple(check_of(row, probes, path) for row in given.get("check", []))
    if not checks:
        raise SettingsError(f"{path} has no [[check]]; each needs a probe and points")
    mistakes = tuple(mistake_of(row, solution, path) for row in given.get("mistake", []))
    if given.get("hints", "concept") not in TOLD:
        raise SettingsError(f"{path}: hints is {given['hints']!r}; choose " + ", ".join(TOLD))
    limits = Limits(*(number(given, name, usual, path) for name, usual in
                      (("seconds", 5), ("total", 60), ("megabytes", 1024))))
    return Assignment(folder, given.get("title", os.path.basename(folder)),
                      given.get("submission", "submission.py"), solution, probes, checks, mistakes,
                      given.get("hints", "concept"), limits,
                      number(given, "tolerance", 1e-6, path), given.get("seed", 0),
                      data_of(given))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def known(row, kind, path):
    if unknown := set(row) - KEYS[kind]:
        raise SettingsError(f"{path}: a [[{kind}]] has no {sorted(unknown)[0]!r}; it may have "
                            + ", ".join(sorted(KEYS[kind])))


def number(row, name, usual, path):
    given = row.get(name, usual)
    if type(given) not in (int, float) or not given > 0:
        raise SettingsError(f"{path}: {name} is {given!r}; it must be a number above 0")
    return given


def check_of(row, probes, path):
    """The Check in a row, after a look whether its probe is there."""
    known(row, "check", path)
    there = [node.name for node in ast.parse(probes).body if isinstance(node, ast.FunctionDef)]
    if row.get("probe") not in there:
        raise SettingsError(f"{path}: a check asks for the probe {row.get('probe')!r}; "
                            f"probes.py has {', '.join(there)}")
    points = row.get("points", 1)
    parts = points.values() if isinstance(points, dict) else [points]
    if not parts or not all(type(part) in (int, float) and part >= 0 for part in parts):
        raise SettingsError(f"{path}: check {row['probe']} has points {points!r}; give a number, "
                            "or {quantity = points, ...}")
    return Check(row["probe"], row.get("title", row["probe"]), row.get("group", ""), points,
                 row.get("hidden", False))


def mistake_of(row, solution, path):
    """The Mistake in a row, after a look whether the text that it replaces is there once."""
    known(row, "mistake", path)
    if missing := {"id", "title", "concept", "replace", "by"} - set(row):
        raise SettingsError(f"{path}: mistake {row.get('id')!r} has no {sorted(missing)[0]}")
    times = solution.count(row["replace"])
    if times == 0 or (times > 1 and not row.get("everywhere", False)):
        raise SettingsError(f"{path}: mistake {row['id']!r} replaces {row['replace']!r}, which is "
                            f"in the solution {times} times; it must be there once (or, with "
                            "everywhere = true, more often)")
    group = row.get("group", "")
    return Mistake(row["id"], tuple(group) if isinstance(group, list) else (group,), row["title"],
                   row.get("where", row["title"]), row["concept"],
                   row.get("formula", row["concept"]), row.get("source", ""), row["replace"],
                   row["by"], row.get("convention", False), row.get("everywhere", False))


def data_of(given):
    """What probes find in DATA: rows of a data set that ships, {"x": lists, "y": list}."""
    if "data" not in given:
        return {}
    table = load_data(given["data"])
    rows = slice(0, given.get("rows", 200))
    return {"x": table.features[rows].tolist(), "y": table.targets[rows].tolist()}
