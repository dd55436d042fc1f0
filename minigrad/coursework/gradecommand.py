"""`python -m minigrad grade` and `release`: what the command line says and writes."""

import json
import os
import signal
import threading
import zipfile

from minigrad.coursework.grading import classroom, gradebook
from minigrad.coursework.grading.grader import AssignmentError, Grader, seed_of
from minigrad.coursework.grading.releasing import release
from minigrad.coursework.grading.reporting import points
from minigrad.coursework.grading.settings import SettingsError
from minigrad.terminal import PROGRAM, Refusal, as_json, complain, result, talk

AUTOGRADER = "/autograder/results"  # where Gradescope looks for results.json
METADATA = "/autograder/submission_metadata.json"  # and where it says who handed in


def grade(options):
    """Grades a submission or a folder of them. Returns the exit code: 0 whenever it was graded."""
    if options.nbgrader and options.json:
        raise Refusal("--nbgrader and --json both want stdout", "leave one of them out", code=2)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stopped)
    if os.path.isdir(options.submission) or options.submission.endswith(".zip"):
        return grade_folder(options)
    if options.nbgrader:
        return grade_for_nbgrader(options)
    path = options.output or (os.path.join(AUTOGRADER, "results.json")
                              if os.path.isdir(AUTOGRADER) else "results.json")
    path = os.path.join(path, "results.json") if os.path.isdir(path) else path
    graded, message = gradebook.graded_into(path, options.assignment, options.submission,
                                            hints=options.hints, seed=seed_for(options))
    if graded is None:
        raise Refusal(message, f"{path} says so, with 0 points")
    for note in graded.notes:
        complain("warning", note)
    if options.json:
        with open(path, encoding="utf-8") as file:
            as_json(json.load(file))
    else:
        result(str(graded))
        talk(f"wrote {path}")
    return 0


def stopped(number, frame):
    """Ends the grader as Ctrl-C does: with its files written and its processes ended."""
    raise SystemExit(128 + number)


def seed_for(options):
    """The seed of one submission: the class's, or its student's own."""
    if not getattr(options, "seed_per_student", False):
        return options.seed
    return seed_of(student_of(options.submission), options.seed or 0)


def student_of(submission):
    """Who handed in: as Gradescope says, or as the file is called."""
    try:
        with open(METADATA, encoding="utf-8") as file:
            return " ".join(sorted(str(user["email"]) for user in json.load(file)["users"]))
    except (OSError, ValueError, KeyError, TypeError):
        return os.path.splitext(os.path.basename(submission))[0]


def grade_for_nbgrader(options):
    """One number on stdout and not a word on stderr: nbgrader gives 0 for any. The exit code is 1
    where nothing could be graded."""
    score, code = 0.0, 0
    try:
        grader = Grader(options.assignment, seed=seed_for(options))
        score = grader.grade(options.submission, named=False).score
    except Exception:
        code = 1
    result(repr(round(float(score), 6)))
    return code


def grade_folder(options):
    """A class: grades.csv, histogram.txt, reports, and what is unknown, in a folder."""
    if options.nbgrader:
        raise Refusal("--nbgrader grades one submission", "give a file, not a folder", code=2)
    folder = options.output or "grades"
    try:
        graded = classroom.grade_class(
            options.assignment, options.submission, hints=options.hints, seed=options.seed,
            seed_per_student=getattr(options, "seed_per_student", False),
            told=lambda student, one: talk(f"{student}: {points(one.score)}"))
    except zipfile.BadZipFile as error:
        raise Refusal(f"{options.submission}: {error}", "give a folder, or zip it again") from None
    except (AssignmentError, SettingsError) as error:
        raise Refusal(str(error), "correct it; nothing was written") from None
    if not graded.grades and not graded.missing:
        raise Refusal(f"there are no submissions in {options.submission}",
                      f"put STUDENT.py or STUDENT/{graded.assignment.submission} into it")
    classroom.write_class(graded, folder)
    if options.json:
        as_json({"students": {student: {"score": one.score, "of": one.most,
                                        "found": one.misconceptions}
                              for student, one in graded.grades.items()},
                 "missing": graded.missing, "misconceptions": graded.histogram})
    else:
        result(str(graded).rstrip("\n"))
        unknown = " and unknown/" if graded.unknown else ""
        talk(f"wrote grades.csv, histogram.txt, reports/{unknown} to {folder}")
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
