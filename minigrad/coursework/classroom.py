"""Grades a class: a folder of submissions becomes one CSV and a histogram of misconceptions.

The one trick: all are graded by one Grader, so the reference and its known mistakes run once.
"""

import collections
import csv
import io as textio
import os

from minigrad.coursework.gradebook import points, report
from minigrad.coursework.grading import Grader


def submissions(folder, name):
    """[(student, path)] in a folder: FILE.py is a student's, and FOLDER/<name> is, too; a folder
    with one .py file need not call it so."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file() and entry.name.endswith(".py"):
            found.append((entry.name.removesuffix(".py"), entry.path))
        elif entry.is_dir() and not entry.name.startswith((".", "__")):
            files = sorted(file for file in os.listdir(entry.path) if file.endswith(".py"))
            chosen = name if name in files or len(files) != 1 else files[0]
            found.append((entry.name, os.path.join(entry.path, chosen)))
    return found


class Classroom:
    """The grades of a class: .grades {student: Grade}, .missing {student: why}."""

    def __init__(self, assignment, grades, missing):
        self.assignment, self.grades, self.missing = assignment, grades, missing

    @property
    def histogram(self):
        """{id: how many students}, most frequent first."""
        counts = collections.Counter(id for grade in self.grades.values()
                                     for id in grade.misconceptions)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def csv(self):
        """One line per student: points of each check, and what was found."""
        text = textio.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        checks = self.assignment.checks
        rows.writerow(["student", "score", "of", *(check.probe for check in checks), "found"])
        for student in sorted({*self.grades, *self.missing}):
            if student in self.missing:
                rows.writerow([cell(student), 0, points(self.assignment.points),
                               *[0 for _ in checks], cell(self.missing[student])])
                continue
            grade = self.grades[student]
            rows.writerow([cell(student), points(grade.score), points(grade.most),
                           *(points(one.earned) for one in grade.checks),
                           " ".join(grade.misconceptions)])
        return text.getvalue()

    def __str__(self):
        scores = sorted(grade.score for grade in self.grades.values())
        lines = [f"{self.assignment.title}: {len(scores)} submissions"]
        if scores:
            middle = (scores[len(scores) // 2] + scores[(len(scores) - 1) // 2]) / 2
            lines.append(f"of {points(self.assignment.points)} points: least {points(scores[0])}, "
                         f"median {points(middle)}, most {points(scores[-1])}")
        lines += [f"{student}: {why}" for student, why in self.missing.items()]
        counts = self.histogram
        if counts:
            width = min(40, max(map(len, counts)))
            most = max(counts.values())
            lines += ["", "misconceptions, and how many have them"]
            lines += [f"{id[:40]:<{width}} {count:>4}  {'#' * max(1, round(30 * count / most))}"
                      for id, count in counts.items()]
        return "\n".join(lines) + "\n"


def cell(text):
    """A text for a spreadsheet, which must not take it for a formula."""
    return "'" + text if text[:1] in tuple("=+-@\t\r") and text else text


def grade_class(assignment, folder, *, hints=None, seed=None, told=None):
    """Grades all submissions in a folder: a Classroom. told(student, grade) is called after each.

    A file that cannot be read is listed as missing. Raises AssignmentError, SettingsError.
    """
    grader = Grader(assignment, seed=seed)
    grades, missing = {}, {}
    for student, path in submissions(folder, grader.assignment.submission):
        try:
            grades[student] = grader.grade(path, hints=hints)
        except OSError as error:
            missing[student] = f"no file to grade: {error.strerror or error}"
            continue
        if told:
            told(student, grades[student])
    return Classroom(grader.assignment, grades, missing)


def write_class(classroom, folder):
    """Writes grades.csv, histogram.txt and a report per student into a folder."""
    reports = os.path.join(folder, "reports")
    os.makedirs(reports, exist_ok=True)
    texts = {"grades.csv": classroom.csv(), "histogram.txt": str(classroom)}
    for student, grade in classroom.grades.items():
        texts[os.path.join("reports", student + ".txt")] = report(grade)
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
