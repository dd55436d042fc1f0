"""Grades a submission: points per quantity, and the mistake that gives the student's numbers.

The one trick: the grader and the reference never meet the submission. Three things run in separate
processes, the submission, the reference, and the reference with known mistakes in it; each only
answers with numbers, and the numbers are compared here.
"""

import itertools
import os
from dataclasses import dataclass, field

import numpy as np

from minigrad.coursework import sandbox
from minigrad.coursework.assignment import load

PAIRS = 300        # pairs of mistakes that are tried where no single one explains the numbers
LARGEST = 1 << 20  # bytes of a submission
ROUNDING = 1e-12   # what sums that should be 0 leave over


class AssignmentError(RuntimeError):
    """The assignment is at fault, not the submission."""


@dataclass
class Checked:
    """One check of one submission: wrong {quantity: what is wrong with it}, failure in words."""

    check: object
    earned: float
    quantities: list
    wrong: dict
    failure: str = ""

    @property
    def right(self):
        return not self.wrong and not self.failure


@dataclass
class Finding:
    """What explains the numbers of a group of checks.

    verdict: "mistake", "convention", "unwritten", "failed" or "unknown"; causes: the Mistakes that
    together give these numbers; ties: other sets as small that give them too; partly: they give
    the numbers of most probes that are wrong, not of all.
    """

    group: str
    verdict: str
    causes: tuple = ()
    ties: list = field(default_factory=list)
    partly: bool = False

    @property
    def ids(self):
        return tuple(cause.id for cause in self.causes) or (self.verdict,)

    @property
    def title(self):
        """What was found, in a line."""
        return {"unwritten": "not written yet",
                "failed": "it stops with an error that no known mistake explains",
                "unknown": "no known mistake gives these numbers"}.get(
                    self.verdict, "; and ".join(cause.title for cause in self.causes))

    def hint(self, level):
        """What students are told, lines of the chosen level; "" for level none."""
        return " ".join(filter(None, (cause.hint(level) for cause in self.causes)))


@dataclass
class Grade:
    """A graded submission: .score, .most, .checks, .findings."""

    title: str
    checks: list
    findings: list
    hints: str
    seconds: float = 0.0

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


def grade(assignment, submission, *, hints=None, seed=None):
    """The Grade of a submission, the path of a .py file, for the path of an ASSIGNMENT.toml.

    hints: how much students are told, "none", "where", "concept" or "formula" (default: what the
    assignment says). Raises AssignmentError and SettingsError for a broken assignment, OSError for
    a file that cannot be read; nothing for what a submission does.
    """
    return Grader(assignment, seed=seed).grade(submission, hints=hints)


class Grader:
    """Grades many submissions of an assignment; runs the reference and its mistakes once."""

    def __init__(self, assignment, *, seed=None):
        self.assignment = load(assignment) if isinstance(assignment, str) else assignment
        self.seed = self.assignment.seed if seed is None else seed
        self.variants = {}
        names = [check.probe for check in self.assignment.checks]
        self.reference, = self.run([self.assignment.solution], names)
        for name, outcome in self.reference.items():
            problems = [f"{key} {value}" for key, value in outcome.values.items()
                        if isinstance(value, str) or not np.isfinite(value).all()]
            if outcome.failure or problems or not outcome.values:
                raise AssignmentError(
                    f"the reference solution fails probe {name}: "
                    + (words(outcome.failure) if outcome.failure else ", ".join(problems)
                       or "it returns no quantities"))

    def run(self, sources, probes):
        """`sandbox.run` with what the assignment says."""
        a = self.assignment
        return sandbox.run(sources, a.probes, probes, seed=self.seed, data=a.data,
                           limits=a.limits, private=[a.folder])

    def grade(self, submission, *, hints=None):
        """The Grade of a submission, the path of a file."""
        names = [check.probe for check in self.assignment.checks]
        text, problem = text_of(submission)
        if problem:
            outcomes = dict.fromkeys(names, sandbox.failed("error", problem))
        else:
            outcomes, = self.run([text], names)
        checks = [self.checked(check, outcomes[check.probe]) for check in self.assignment.checks]
        findings = []
        for group in self.assignment.groups:
            if not all(one.right for one in checks if one.check.group == group):
                findings.append(self.finding(group, outcomes, findings))
        return Grade(self.assignment.title, checks, findings, hints or self.assignment.hints)

    # --- points ----------------------------------------------------------------------------------

    def checked(self, check, outcome):
        """The points of one check."""
        expected = self.reference[check.probe].values
        shares = check.shares(expected)
        if unknown := set(shares) - set(expected):
            raise AssignmentError(f"check {check.probe} gives points for {sorted(unknown)[0]!r}; "
                                  f"its probe returns {', '.join(expected)}")
        if outcome.failure:
            return Checked(check, 0.0, list(shares), {}, words(outcome.failure))
        tolerance, wrong, earned = self.assignment.tolerance, {}, 0.0
        for name, points in shares.items():
            problem = difference(outcome.values.get(name, "is missing"), expected[name], tolerance)
            if problem:
                wrong[name] = problem
            else:
                earned += points
        return Checked(check, check.most if not wrong else earned, list(shares), wrong)

    # --- names for mistakes ----------------------------------------------------------------------

    def finding(self, group, outcomes, before):
        """The Finding for a group in which something is wrong. A mistake that was found in a group
        before explains this one, if it can."""
        found = {row for finding in before for row in finding.causes}
        probes = [check.probe for check in self.assignment.checks if check.group == group]
        failures = [outcomes[name].failure for name in probes]
        bad = [name for name in probes
               if not same(outcomes[name], self.reference[name], self.assignment.tolerance)]
        if all(unwritten(outcomes[name]) for name in bad):
            return Finding(group, "unwritten")
        rows = [row for row in self.assignment.mistakes if group in row.groups]
        for size in (1, 2):
            sets = list(itertools.islice(itertools.combinations(rows, size), PAIRS))
            fitting = [causes for causes, variant in zip(sets, self.variants_of(sets, probes))
                       if variant and self.explains(variant, outcomes, probes,
                                                    found.issuperset(causes))]
            if fitting:
                return chosen(group, fitting, found)
        fitting = self.most_of(rows, outcomes, probes, bad)
        if fitting:
            return chosen(group, fitting, found, partly=True)
        return Finding(group, "failed" if all(failures) else "unknown")

    def most_of(self, rows, outcomes, probes, bad):
        """The mistakes, as sets of one, that give the student's wrong numbers in most of the
        probes that are wrong, at least two thirds: code of another build than the reference, such
        as a quotient that is no power, does not carry a mistake to the very same places."""
        hits = {}
        for (row,), variant in zip([(row,) for row in rows],
                                   self.variants_of([(row,) for row in rows], probes)):
            hits[row] = sum(not outcomes[name].failure and
                            same(outcomes[name], variant[name], self.assignment.tolerance)
                            for name in bad)
        best = max(hits.values(), default=0)
        if 3 * best < 2 * len(bad):
            return []
        return [(row,) for row, count in hits.items() if count == best]

    def variants_of(self, sets, probes):
        """The outcomes of the solution with each set of mistakes in it; None where two cannot
        stand together."""
        keys = [(causes, tuple(probes)) for causes in sets]
        texts = {}
        for causes, key in zip(sets, keys):
            if key not in self.variants:
                text = self.assignment.solution
                for row in causes:
                    text = None if text is None else row.made_in(text)
                self.variants[key] = None
                if text is not None:
                    texts[key] = text
        if texts:
            self.variants.update(zip(texts, self.run(list(texts.values()), probes)))
        return [self.variants[key] for key in keys]

    def explains(self, variant, outcomes, probes, seen=False):
        """Does a variant give the student's numbers in all probes, and wrong ones in one?

        Where the student's code stopped with an error there are no numbers: there the variant must
        be wrong in any way, or stop too. What is not written yet says nothing. seen: whether the
        mistake was recognized in another group before.
        """
        for name in probes:
            mine, its = outcomes[name], variant[name]
            if unwritten(mine):
                continue
            right = same(its, self.reference[name], self.assignment.tolerance)
            if mine.failure:
                if right:
                    return False
                seen |= bool(its.failure) and mine.failure["type"] == its.failure["type"]
            elif not same(mine, its, self.assignment.tolerance):
                return False
            else:
                seen |= not right
        return seen


def chosen(group, fitting, found, partly=False):
    """The Finding for the sets of mistakes that fit; those found in a group before come first."""
    causes = next((one for one in fitting if found.issuperset(one)), fitting[0])
    ids = {row.id for row in causes}
    ties = [] if found.issuperset(causes) else [
        one for one in fitting if {row.id for row in one} != ids]
    convention = all(cause.convention for cause in causes)
    return Finding(group, "convention" if convention else "mistake", causes, ties, partly)


def unwritten(outcome):
    """Did the submission stop at `raise NotImplementedError()`?"""
    return bool(outcome.failure) and outcome.failure["type"] == "NotImplementedError"


def text_of(submission):
    """(text, "") of a submission's file, or ("", what is wrong with it). Raises OSError."""
    if os.path.islink(submission):
        return "", "the submission is a link to another file"
    with open(submission, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        return "", f"the file is larger than {LARGEST} bytes"
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        return "", f"the file is not UTF-8 text: {error}"


def same(a, b, tolerance):
    """Do two outcomes have the same numbers?"""
    if a.failure or b.failure:
        return bool(a.failure and b.failure) and a.failure["type"] == b.failure["type"]
    return a.values.keys() >= b.values.keys() and all(
        not difference(a.values[name], value, tolerance) for name, value in b.values.items())


def difference(given, expected, tolerance):
    """Words for what is wrong with an array, "" if nothing is. The expected numbers are not told.

    Numbers are right if they differ by less than tolerance times the largest expected one.
    """
    if isinstance(given, str) or isinstance(expected, str):
        return "" if isinstance(given, str) and isinstance(expected, str) else str(given)
    if given.shape != expected.shape:
        return f"has shape {given.shape}, expected {expected.shape}"
    finite = np.isfinite(expected)
    scale = np.abs(expected[finite]).max(initial=0.0) or 1.0
    with np.errstate(all="ignore"):
        near = np.abs(given - expected) <= tolerance * scale + ROUNDING
    right = near | (given == expected) | (np.isnan(given) & np.isnan(expected))
    if right.all():
        return ""
    first = tuple(int(i) for i in np.argwhere(~right)[0]) if given.ndim else ()
    where = f" from [{', '.join(map(str, first))}] on" if first else ""
    bad = given[first] if np.isfinite(given[first]) else f"{given[first]} (not a number to use)"
    return (f"differs{where}: you have {bad:.6g}" if not isinstance(bad, str)
            else f"differs{where}: you have {bad}")


def words(failure):
    """An Outcome's failure as one line."""
    place = f" (line {failure['line']} of the submission)" if failure["line"] else ""
    kind = f"{failure['type']}: " if failure["type"] else ""
    return f"{kind}{failure['text']}{place}"
