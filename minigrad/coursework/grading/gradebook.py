"""A Grade as the file that Gradescope reads, results.json.

The one trick: the file is there before the grading begins, with 0 points, and is replaced at the
end; whatever happens in between, a results.json is found.
"""

import json
import math
import os
import time

from minigrad import io
from minigrad.coursework.grading.grader import AssignmentError, Grader
from minigrad.coursework.grading.reporting import advice, problems
from minigrad.coursework.grading.settings import SettingsError


def gradescope(grade, seconds=None):
    """The Grade as the dict of Gradescope's results.json."""
    tests = []
    for number, checked in enumerate(grade.checks, 1):
        check, output = checked.check, problems(checked)
        finding = next((f for f in grade.findings if f.group == check.group), None)
        if not checked.right and finding:
            output += advice(finding, grade.hints)
        tests.append({
            "name": check.title, "number": str(number), "score": round(checked.earned, 4),
            "max_score": check.most,
            "status": "passed" if checked.right or checked.carried else "failed",
            "output": "\n".join(output), "output_format": "text",
            "visibility": "hidden" if check.hidden else "visible"})
    extra = {"misconceptions": grade.misconceptions, "seed": grade.seed}
    if grade.unknown:
        extra["unknown"] = plain(grade.unknown)
    if grade.notes:
        extra["notes"] = grade.notes
    result = {"score": round(grade.score, 4), "output": f"{grade.title}", "output_format": "text",
              "tests": tests, "extra_data": extra}
    if seconds is not None:
        result["execution_time"] = round(seconds)
    return result


def plain(value):
    """Numbers as JSON has them: it knows no NaN and no infinity, so these become texts."""
    if isinstance(value, dict):
        return {name: plain(x) for name, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def nothing(message):
    """results.json of a grading that did not come to its end."""
    return {"score": 0, "output": message, "output_format": "text", "tests": [],
            "extra_data": {"misconceptions": []}}


def write_json(path, result):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    io.replace_file(path, (json.dumps(result, indent=1) + "\n").encode())


def graded_into(path, assignment, submission, *, hints=None, seed=None):
    """Grades and writes results.json under path, whatever happens: (Grade or None, message)."""
    write_json(path, nothing("The grader was stopped before it was done. Please hand in again, or "
                             "tell your instructor."))
    begin = time.monotonic()
    try:
        grade = Grader(assignment, seed=seed).grade(submission, hints=hints)
        write_json(path, gradescope(grade, time.monotonic() - begin))
    except (AssignmentError, SettingsError, OSError) as error:
        message = f"The grader could not grade this: {error}"
        write_json(path, nothing(message))
        return None, message
    except BaseException as error:
        write_json(path, nothing(f"The grader stopped: {type(error).__name__}. Please tell your "
                                 "instructor."))
        raise
    return grade, ""
