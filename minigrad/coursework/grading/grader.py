"""Grades a submission: points per quantity, and the mistake that gives the student's numbers.

The one trick: what is right and the submission never meet. The submission runs in a process of its
own and only answers with numbers; they are compared here, and named here.
"""

import hashlib
import os
import warnings
from dataclasses import dataclass, field

import numpy as np

from minigrad.coursework.grading import findings, sandbox
from minigrad.coursework.grading.assignment import load
from minigrad.coursework.grading.edits import Edits
from minigrad.coursework.grading.notebooks import cells_of
from minigrad.coursework.grading.questions import NOT_YET
from minigrad.coursework.grading.reporting import report

LARGEST = 1 << 22  # bytes of a submission; notebooks hold pictures


class AssignmentError(RuntimeError):
    """The assignment is at fault, not the submission."""


@dataclass
class Checked:
    """One check of one submission: wrong {quantity: what is wrong with it}, failure in words;
    carried: its numbers are wrong only for a mistake that was made elsewhere."""

    check: object
    earned: float
    quantities: list
    wrong: dict
    failure: str = ""
    carried: bool = False

    @property
    def right(self):
        return not self.wrong and not self.failure


@dataclass
class Grade:
    """A graded submission: .score, .most, .checks, .findings; notes are for the instructor. Its
    text is the report for students."""

    title: str
    checks: list
    findings: list
    hints: str
    seed: int = 0
    notes: list = field(default_factory=list)

    @property
    def score(self):
        return sum(checked.earned for checked in self.checks)

    @property
    def most(self):
        return sum(checked.check.most for checked in self.checks)

    @property
    def misconceptions(self):
        """The ids of all that was found, each once."""
        return list(dict.fromkeys(id for finding in self.findings for id in finding.ids))

    def __str__(self):
        return report(self).rstrip("\n")

    @property
    def unknown(self):
        """{group: the numbers} of what no known mistake explains; a rule's are a trace."""
        return {finding.group: finding.numbers for finding in self.findings if finding.numbers}


def grade(assignment, submission, *, hints=None, seed=None):
    """The Grade of a submission, the path of a .py or .ipynb file, for the path of an
    ASSIGNMENT.toml.

    hints: how much students are told, "none", "where", "concept" or "formula" (default: what the
    assignment says). seed: other numbers, for each class or student (see `seed_of`). Raises
    AssignmentError and SettingsError for a broken assignment, OSError for a file that cannot be
    read; nothing for what a submission does.
    """
    return Grader(assignment, seed=seed).grade(submission, hints=hints)


def seed_of(student, seed=0):
    """A student's own seed: the same whenever it is asked for, told by nothing but the name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{student}".encode()).digest()[:4], "big")


class Grader:
    """Grades many submissions of an assignment; runs the reference and its mistakes once."""

    def __init__(self, assignment, *, seed=None):
        self.assignment = (load(assignment) if isinstance(assignment, (str, os.PathLike))
                           else assignment)
        self.seed = self.assignment.seed if seed is None else seed
        checks = self.assignment.checks
        self.checks = {check.name: check for check in checks}
        for check in checks:  # the catalogue of graphs, for names alone
            if check.kind[0] == "engine":
                rest = check.rest()
                self.checks.setdefault(rest.name, rest)
        outcomes, = self.run([self.assignment.solution], [check.name for check in checks])
        self.expected = {}
        for check in checks:
            self.expected[check.name] = self.right(check, outcomes[check.name])
        self.edits = Edits(self.assignment, self.run, outcomes)

    def right(self, check, outcome):
        """The right {quantity: numbers} of a check; the reference solution must have them."""
        if outcome.failure:
            raise AssignmentError(f"the reference solution fails probe {check.name}: "
                                  + words(outcome.failure))
        expected = check.expected(self.seed)
        if expected is None:
            expected = outcome.values
            problems = [f"{name} {value}" for name, value in expected.items()
                        if isinstance(value, str) or not np.isfinite(value).all()]
        else:
            problems = [f"{name} {problem}" for name, problem in check.wrong(
                outcome.values, expected, self.assignment.tolerance).items()
                        ] if not set(check.shares(expected)) - set(expected) else []
        if problems or not expected:
            raise AssignmentError(f"the reference solution fails probe {check.name}: "
                                  + (", ".join(problems) or "it returns no quantities"))
        if unknown := set(check.shares(expected)) - set(expected):
            raise AssignmentError(f"check {check.name} gives points for {sorted(unknown)[0]!r}; "
                                  f"its quantities are {', '.join(expected)}")
        return expected

    def run(self, sources, names):
        """`sandbox.run` with what the assignment says."""
        a = self.assignment
        probes = [self.checks[name].probe(a.probes, self.seed) for name in names]
        return sandbox.run(sources, probes, seed=self.seed, data=a.data, limits=a.limits,
                           private=[a.folder])

    def grade(self, submission, *, hints=None, named=True):
        """The Grade of a submission, the path of a file. named: look for mistakes, too."""
        source, problem = source_of(submission)
        if problem:
            outcomes = dict.fromkeys(self.checks, sandbox.failed("error", problem))
        else:
            outcomes, = self.run([source], list(self.checks))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a word on stderr costs all points in nbgrader
            return self.judged(outcomes, hints, named)

    def judged(self, outcomes, hints=None, named=True):
        """The Grade of a submission of which there are outcomes, by check."""
        checks = [self.checked(check, outcomes[check.name]) for check in self.assignment.checks]
        result = Grade(self.assignment.title, checks, [], hints or self.assignment.hints, self.seed)
        for group in self.assignment.groups if named or self.assignment.carried else ():
            wrong = [one for one in checks if one.check.group == group and not one.right]
            if not wrong:
                continue
            try:
                found = self.finding(group, wrong, outcomes, result.findings)
            except Exception as error:  # points do not depend on names for mistakes
                found = findings.Finding(group, "unknown")
                result.notes.append(f"{group or 'all checks'}: the search for mistakes failed: "
                                    f"{type(error).__name__}: {error}")
            if self.assignment.carried and self.made_elsewhere(found, result.findings):
                for one in (one for one in wrong if not one.failure):  # an error shows nothing
                    one.earned, one.carried = one.check.most, True
            result.findings.append(found)
        return result

    def made_elsewhere(self, found, before):
        """Were all causes of a finding found before, in the group that asks for what they spoil?"""
        shown = {id: finding.group for finding in reversed(before) for id in finding.causes}

        def elsewhere(id):
            made_in = {row.groups[0] for row in self.assignment.mistakes
                       if row.id == id and row.groups}
            return shown.get(id) in made_in
        return bool(found.causes) and not found.partly and all(map(elsewhere, found.causes))

    def checked(self, check, outcome):
        """The points of one check."""
        expected = self.expected[check.name]
        shares = check.shares(expected)
        if outcome.failure:
            return Checked(check, 0.0, list(shares), {}, words(outcome.failure))
        wrong = check.wrong(outcome.values, expected, self.assignment.tolerance)
        earned = sum(points for name, points in shares.items() if name not in wrong)
        return Checked(check, check.most if not wrong else earned, list(shares), wrong)

    def finding(self, group, wrong, outcomes, before):
        """The Finding for a group in which some checks are wrong."""
        if all(unwritten(one, outcomes[one.check.name]) for one in wrong):
            return findings.Finding(group, "unwritten")
        checks = [check for check in self.checks.values() if check.group == group]
        kind = checks[0].kind[0]
        edited = None
        if kind == "probe" or any(row.shows_in(group) for row in self.assignment.mistakes):
            edited = self.edits.finding(group, outcomes, before)
        if kind == "probe" or edited and edited.causes and not edited.partly:
            return edited
        if kind == "engine":
            return findings.of_engine(group, checks[::-1], outcomes, self.seed)
        return findings.of_rule(group, checks, outcomes, self.seed, before)


def unwritten(checked, outcome):
    """Is all that is wrong in a check not written yet?"""
    if checked.failure:
        return findings.unwritten(outcome)
    return all(problem == NOT_YET for problem in checked.wrong.values())


def source_of(submission):
    """(text or cells, "") of a submission's file, or ("", what is wrong with it). Raises OSError.
    """
    if os.path.islink(submission):
        return "", "the submission is a link to another file"
    if os.path.exists(submission) and not os.path.isfile(submission):
        return "", "the submission is no regular file"  # a pipe would be waited for
    with open(submission, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        return "", f"the file is larger than {LARGEST} bytes"
    try:
        text = content.decode("utf-8-sig")
        return (cells_of(text) if str(submission).endswith(".ipynb") else text), ""
    except UnicodeDecodeError as error:
        return "", f"the file is not UTF-8 text: {error}"
    except ValueError as error:
        return "", str(error)


def words(failure):
    """An Outcome's failure as one line."""
    place = f" (line {failure['line']} of the submission)" if failure["line"] else ""
    if failure["type"] == findings.UNWRITTEN and failure["text"] == "":
        return f"not written yet{place}"
    kind = f"{failure['type']}: " if failure["type"] else ""
    return f"{kind}{failure['text']}{place}"
