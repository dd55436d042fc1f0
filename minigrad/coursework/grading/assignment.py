"""An assignment: one solution with markers, checks with points, and what they ask.

The one trick: a check says what is asked for, not how to test it. An update rule or an autograd
class needs no probe: its inputs, its right numbers and the names of mistakes in it come from the
tables that `diagnose` reads. What no table has is asked by a probe, and its mistakes are edits of
the reference solution: so there is one formula, and a wrong program for each row.

    folder/
      solution.py       the one source; `### BEGIN SOLUTION` ... `### END SOLUTION` are cut out for
                        students (minigrad.coursework.release)
      ASSIGNMENT.toml   title, limits, [[check]] rows with points, [[mistake]] rows (or files of
                        them: mistakes = ["mistakes.toml"])
      probes.py         if needed: functions name(student, rng) that use the submission, a module,
                        and return {quantity: numbers}: numbers, never verdicts that can be forged

With carried = true a mistake costs points once, where it is made: checks whose numbers are those of
the solution with only that mistake in it earn theirs.

A [[check]] has points, a title, perhaps hidden = true, a group (mistakes are looked for in all
checks of a group together; without the word, in those of one function or class), and one of
    rule = "adam"       an update rule f(w, g, config); with convention, function (its name), run
                        ("cold" or "warm"), states and options { ours = "the student's key" }
    engine = "Value"    an autograd class; with graphs = ["c = a * b; y = c + a", ...]
    probe = "train"     a function of probes.py

A [[mistake]] has an id, a title, what to replace in solution.py and by what, its concept in words,
and if wanted `where` and `formula` for the other levels of hints, `source`, `group` or a list of
groups in which it may show (without: in all), and convention = true if it is right elsewhere.
"""

import ast
import os
from dataclasses import dataclass

from minigrad.coursework.grading.questions import check_of, known
from minigrad.coursework.grading.sandbox import Limits
from minigrad.coursework.grading.settings import SettingsError, read
from minigrad.coursework.hints import LEVELS
from minigrad.data.builtin import load as load_data

TOLD = ("none", *LEVELS)
# fmt: off
KEYS = {
    "assignment": {"title", "solution", "probes", "submission", "hints", "seconds", "total",
                   "megabytes", "tolerance", "seed", "data", "rows", "check", "mistake",
                   "mistakes", "carried"},
    "mistake":    {"id", "group", "title", "where", "concept", "formula", "source", "replace",
                   "by", "convention", "everywhere"},
}
# fmt: on


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

    def shows_in(self, group):
        """May it change the numbers of a group of checks? Without groups, those of all."""
        return not self.groups or group in self.groups


@dataclass(frozen=True)
class Assignment:
    """What ASSIGNMENT.toml and the files beside it say; `load` makes it."""

    folder: str
    title: str
    submission: str
    source: str
    solution: str
    probes: str
    checks: tuple
    mistakes: tuple
    hints: str
    limits: Limits
    tolerance: float
    seed: int
    data: dict
    carried: bool = False

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
    known(given, KEYS["assignment"], "an assignment", path)
    source = os.path.join(folder, given.get("solution", "solution.py"))
    solution = text_of(source)
    asked = any("probe" in row for row in given.get("check", []))
    probes = text_of(os.path.join(folder, given.get("probes", "probes.py"))) if asked else ""
    checks = tuple(check_of(row, functions_of(probes), path) for row in given.get("check", []))
    refuse_clashes(checks, path)
    rows = given.get("mistake", [])
    files = given.get("mistakes", [])
    for name in [files] if isinstance(files, str) else files:
        more = os.path.join(folder, name)
        rows = rows + read(text_of(more), more).get("mistake", [])
    mistakes = tuple(mistake_of(row, solution, path) for row in rows)
    groups = {check.group for check in checks}
    for row in mistakes:
        if lost := set(row.groups) - groups:
            raise SettingsError(f"{path}: mistake {row.id!r} is of the group {lost.pop()!r}; there "
                                f"are {', '.join(sorted(groups))}")
    if given.get("hints", "concept") not in TOLD:
        raise SettingsError(f"{path}: hints is {given['hints']!r}; choose " + ", ".join(TOLD))
    limits = Limits(*(number(given, name, usual, path) for name, usual in
                      (("seconds", 5), ("total", 60), ("megabytes", 1024))))
    return Assignment(folder, given.get("title", os.path.basename(folder)),
                      given.get("submission", "submission.py"), source, solution, probes, checks,
                      mistakes, given.get("hints", "concept"), limits,
                      number(given, "tolerance", 1e-6, path), given.get("seed", 0),
                      data_of(given), bool(given.get("carried", False)))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def functions_of(probes):
    """The names of the functions in probes.py."""
    return [node.name for node in ast.parse(probes).body if isinstance(node, ast.FunctionDef)]


def refuse_clashes(checks, path):
    """Raises SettingsError for checks that cannot stand together."""
    if not checks:
        raise SettingsError(f"{path} has no [[check]]; each needs points, and a rule, an engine or "
                            "a probe")
    names, kinds = set(), {}
    for check in checks:
        if check.name in names:
            raise SettingsError(f"{path}: two checks are called {check.name!r}; give one of them "
                                "another title")
        names.add(check.name)
        if kinds.setdefault(check.group, check.kind) != check.kind:
            raise SettingsError(f"{path}: the group {check.group!r} asks for different things; "
                                "mistakes are looked for in each group, give it two names")


def number(row, name, usual, path):
    given = row.get(name, usual)
    if type(given) not in (int, float) or not given > 0:
        raise SettingsError(f"{path}: {name} is {given!r}; it must be a number above 0")
    return given


def mistake_of(row, solution, path):
    """The Mistake in a row, after a look whether the text that it replaces is there once."""
    known(row, KEYS["mistake"], "a [[mistake]]", path)
    if missing := {"id", "title", "concept", "replace", "by"} - set(row):
        raise SettingsError(f"{path}: mistake {row.get('id')!r} has no {sorted(missing)[0]}")
    times = solution.count(row["replace"])
    if times == 0 or (times > 1 and not row.get("everywhere", False)):
        raise SettingsError(f"{path}: mistake {row['id']!r} replaces {row['replace']!r}, which is "
                            f"in the solution {times} times; it must be there once (or, with "
                            "everywhere = true, more often)")
    groups = row.get("group", [])
    groups = tuple(groups) if isinstance(groups, list) else (groups,)
    return Mistake(row["id"], groups, row["title"],
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
