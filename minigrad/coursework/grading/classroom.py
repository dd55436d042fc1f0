"""Grades a class: a folder of submissions becomes one CSV and a histogram of misconceptions.

The one trick: all are graded by one Grader, so the reference and its known mistakes run once.
"""

import collections
import contextlib
import csv
import io as textio
import json
import os
import tempfile
import zipfile

from minigrad.coursework.grading.findings import is_convention
from minigrad.coursework.grading.grader import Grader, seed_of
from minigrad.coursework.grading.reporting import points, report

ENDINGS = (".py", ".ipynb")
LARGEST = 1 << 26  # bytes that a ZIP file of a class may unpack to


def submissions(folder, name):
    """[(student, path)] in a folder: FILE.py or FILE.ipynb is a student's, and FOLDER/<name> is,
    too; a folder with one such file need not call it so."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_file() and entry.name.endswith(ENDINGS):
            found.append((os.path.splitext(entry.name)[0], entry.path))
        elif entry.is_dir() and not entry.name.startswith((".", "__")):
            files = sorted(file for file in os.listdir(entry.path) if file.endswith(ENDINGS))
            chosen = name if name in files or len(files) != 1 else files[0]
            found.append((entry.name, os.path.join(entry.path, chosen)))
    return found


@contextlib.contextmanager
def opened(path):
    """A folder of submissions; a ZIP file, as learning platforms give it, is unpacked for a while:
    only what may be a submission, under its own name."""
    if os.path.isdir(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="minigrad-") as folder, zipfile.ZipFile(path) as book:
        members = [info for info in book.infolist()
                   if info.filename.endswith(ENDINGS) and "__MACOSX" not in info.filename]
        if sum(info.file_size for info in members) > LARGEST:
            raise zipfile.BadZipFile(f"{path} unpacks to more than {LARGEST} bytes")
        for info in members:
            book.extract(info, folder)  # never outside of it
        inside = os.listdir(folder)
        while len(inside) == 1 and os.path.isdir(os.path.join(folder, *inside)):
            below = os.listdir(os.path.join(folder, *inside))
            if any(name.endswith(ENDINGS) for name in below) and len(below) == 1:
                break  # one student's folder
            folder, inside = os.path.join(folder, *inside), below
        yield folder


class Classroom:
    """The grades of a class: .grades {student: Grade}, .missing {student: why}."""

    def __init__(self, assignment, grades, missing):
        self.assignment, self.grades, self.missing = assignment, grades, missing

    @property
    def histogram(self):
        """{id: how many students}, most frequent first."""
        counts = collections.Counter(id for grade in self.grades.values() for id in dict.fromkeys(
            id for finding in grade.findings for id in counted(finding)))
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def unknown(self):
        """{"student-group": the numbers} that no known mistake explains."""
        return {f"{student}-{group or 'all'}".replace(os.sep, "-"): numbers
                for student, grade in self.grades.items()
                for group, numbers in grade.unknown.items()}

    def csv(self):
        """One line per student: points of each check, and what was found."""
        text = textio.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        checks = self.assignment.checks
        rows.writerow(["student", "score", "of", *(check.name for check in checks), "found"])
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
            scale = min(1, 30 / max(counts.values()))
            lines += ["", "misconceptions, and how many have them"]
            lines += [f"{id[:40]:<{width}} {count:>4}  {'#' * max(1, round(scale * count))}"
                      for id, count in counts.items()]
        return "\n".join(lines) + "\n"


def counted(finding):
    """The ids under which a finding is counted: what is right in another course has two names, and
    goes by the first."""
    return finding.ids[:1] if is_convention(finding.ids[:1]) else finding.ids


def cell(text):
    """A text for a spreadsheet, which must not take it for a formula."""
    return "'" + text if text[:1] in tuple("=+-@\t\r") and text else text


def grade_class(assignment, folder, *, hints=None, seed=None, seed_per_student=False, told=None):
    """Grades all submissions in a folder (or ZIP file): a Classroom. told(student, grade) is called
    after each.

    seed_per_student: other numbers for each student, by the name. A file that cannot be read is
    listed as missing. Raises AssignmentError, SettingsError, BadZipFile.
    """
    grader = Grader(assignment, seed=seed)
    grades, missing = {}, {}
    with opened(folder) as here:
        for student, path in submissions(here, grader.assignment.submission):
            own = grader
            if seed_per_student:
                own = Grader(grader.assignment, seed=seed_of(student, grader.seed))
            try:
                grades[student] = own.grade(path, hints=hints)
            except OSError as error:
                missing[student] = f"no file to grade: {error.strerror or error}"
                continue
            if told:
                told(student, grades[student])
    return Classroom(grader.assignment, grades, missing)


def write_class(classroom, folder):
    """Writes grades.csv, histogram.txt, a report per student, and a file of numbers for all that is
    unknown; those of an update rule are a trace, which `diagnose` reads."""
    texts = {"grades.csv": classroom.csv(), "histogram.txt": str(classroom)}
    for student, grade in classroom.grades.items():
        texts[os.path.join("reports", student + ".txt")] = report(grade)
    for name, numbers in classroom.unknown.items():
        texts[os.path.join("unknown", name + ".json")] = json.dumps(numbers, indent=1) + "\n"
    for name, text in texts.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
