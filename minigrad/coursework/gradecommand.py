"""`python -m minigrad grade` and `release`: what the command line says and writes."""

import os
import time

from minigrad.coursework import classroom, gradebook
from minigrad.coursework.grading import AssignmentError, Grader
from minigrad.coursework.releasing import release
from minigrad.coursework.settings import SettingsError
from minigrad.terminal import PROGRAM, Refusal, as_json, result, talk

AUTOGRADER = "/autograder/results"  # where Gradescope looks for results.json


def grade(options):
    """Grades a submission or a folder of them. Returns the exit code: 0 whenever it was graded."""
    if options.nbgrader and options.json:
        raise Refusal("--nbgrader and --json both want stdout", "leave one of them out", code=2)
    if os.path.isdir(options.submission):
        return grade_folder(options)
    if options.nbgrader:
        return grade_for_nbgrader(options)
    path = options.output or (os.path.join(AUTOGRADER, "results.json")
                              if os.path.isdir(AUTOGRADER) else "results.json")
    begin = time.monotonic()
    graded, message = gradebook.graded_into(path, options.assignment, options.submission,
                                            hints=options.hints, seed=options.seed)
    if graded is None:
        raise Refusal(message, f"{path} says so, with 0 points")
    found = gradebook.gradescope(graded, time.monotonic() - begin)
    gradebook.write_json(path, found)
    if options.json:
        as_json(found)
    else:
        result(gradebook.report(graded).rstrip("\n"))
        talk(f"wrote {path}")
    return 0


def grade_for_nbgrader(options):
    """One number on stdout and not a word on stderr: nbgrader gives 0 for any."""
    try:
        graded = Grader(options.assignment, seed=options.seed).grade(options.submission)
        score = graded.score
    except (AssignmentError, SettingsError, OSError):
        score = 0.0
    result(repr(round(float(score), 6)))
    return 0


def grade_folder(options):
    """A class: grades.csv, histogram.txt and reports in a folder."""
    if options.nbgrader:
        raise Refusal("--nbgrader grades one submission", "give a file, not a folder", code=2)
    folder = options.output or "grades"
    try:
        graded = classroom.grade_class(
            options.assignment, options.submission, hints=options.hints, seed=options.seed,
            told=lambda student, one: talk(f"{student}: {gradebook.points(one.score)}"))
    except (AssignmentError, SettingsError) as error:
        raise Refusal(str(error), "correct the assignment; nothing was written") from None
    if not graded.grades and not graded.missing:
        raise Refusal(f"there are no submissions in {options.submission}",
                      "put STUDENT.py or STUDENT/"
                      f"{graded.assignment.submission} into it")
    classroom.write_class(graded, folder)
    if options.json:
        as_json({"students": {student: {"score": one.score, "of": one.most,
                                        "found": one.misconceptions}
                              for student, one in graded.grades.items()},
                 "missing": graded.missing, "misconceptions": graded.histogram})
    else:
        result(str(graded).rstrip("\n"))
        talk(f"wrote grades.csv, histogram.txt and reports/ to {folder}")
    return 0


def strip(options):
    """Writes what students get. Returns the exit code."""
    path, count = release(options.file, options.output, name=options.name, force=options.force)
    if options.json:
        as_json({"file": path, "solutions": count})
    else:
        result(f"{path}: {count} solutions taken out")
        talk(f"grade it with {PROGRAM} grade ASSIGNMENT.toml SUBMISSION.py")
    return 0
