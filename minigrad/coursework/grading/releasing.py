"""Strips solutions: what students get is made from the one source that the reference is.

The one trick: what stands between `### BEGIN SOLUTION` and `### END SOLUTION` becomes `# YOUR CODE
HERE` and `raise NotImplementedError()`, as in nbgrader, at the indentation of the first marker;
what is between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS` goes away.
"""

import json
import os
import re

from minigrad import io
from minigrad.coursework.grading.assignment import load
from minigrad.coursework.grading.settings import SettingsError
from minigrad.terminal import Refusal

MARK = re.compile(r"^([ \t]*)#+\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")


def released(text, path="the text"):
    """The text without its solutions. Raises ValueError for markers that do not match, or if the
    result is no Python."""
    lines, opened = [], None
    for number, line in enumerate(text.splitlines(), 1):
        mark = MARK.match(line)
        if not mark:
            if opened is None:
                lines.append(line)
            continue
        indent, what, kind = mark.groups()
        if (what == "BEGIN") != (opened is None) or (what == "END" and opened[1] != kind):
            raise ValueError(f"{path}, line {number}: {what} {kind} "
                             + ("without a BEGIN before it" if opened is None else
                                f"after BEGIN {opened[1]} in line {opened[0]}"))
        opened = (number, kind) if what == "BEGIN" else None
        if what == "BEGIN" and kind == "SOLUTION":
            lines += [f"{indent}# YOUR CODE HERE", f"{indent}raise NotImplementedError()"]
    if opened is not None:
        raise ValueError(f"{path}: BEGIN {opened[1]} in line {opened[0]} has no END")
    return "\n".join(lines) + ("\n" if text.endswith("\n") else "")


def released_file(content, path):
    """(content without solutions, how many solutions) of a .py file or an .ipynb notebook."""
    text = content.decode("utf-8")
    if path.endswith(".ipynb"):
        book, count = json.loads(text), 0
        for number, cell in enumerate(book["cells"], 1):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                count += solutions(source)
                stripped = released(source, f"{path}, cell {number}")
                cell["source"] = stripped.splitlines(keepends=True)
                if stripped != source:
                    cell["outputs"], cell["execution_count"] = [], None
        return (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode(), count
    stripped = released(text, path)
    try:
        compile(stripped, path, "exec")
    except SyntaxError as error:
        raise ValueError(f"{path} without its solutions is no Python, line {error.lineno}: "
                         f"{error.msg}") from None
    return stripped.encode(), solutions(text)


def source_in(path, name):
    """(the solution of an assignment, the name that students hand it in under)."""
    try:
        assignment = load(path)
    except (SettingsError, OSError) as error:
        raise Refusal(f"no assignment can be read from {path}: {error}",
                      "give a file with solutions, or a folder with ASSIGNMENT.toml") from None
    return assignment.source, name or assignment.submission


def solutions(text):
    """How many solutions a text has."""
    marks = filter(None, map(MARK.match, text.splitlines()))
    return sum(mark.group(2, 3) == ("BEGIN", "SOLUTION") for mark in marks)


def release(path, folder, *, name=None, force=False):
    """Writes the file without its solutions into a folder; returns (path written, solutions).

    path: a .py file or .ipynb notebook, or the folder of an assignment: of that, students get the
    one file that they hand in, and nothing else. name: another name for it there. Raises Refusal
    for what the user can put right.
    """
    if os.path.isdir(path) or path.endswith(".toml"):
        path, name = source_in(path, name)
    try:
        with open(path, "rb") as file:
            content, count = released_file(file.read(), path)
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror}", "give a .py or .ipynb file, or the "
                      "folder of an assignment") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(str(error), "correct the file; nothing was written") from None
    if not count:
        raise Refusal(f"{path} has no solution to strip",
                      "put ### BEGIN SOLUTION and ### END SOLUTION around each")
    target = os.path.join(folder, name or os.path.basename(path))
    if os.path.exists(target) and os.path.samefile(target, path):
        raise Refusal(f"{target} is the source itself", "choose another folder with -o DIR")
    if os.path.lexists(target) and not force:
        raise Refusal(f"{target} exists already", "choose another folder, or replace it: --force")
    os.makedirs(folder, exist_ok=True)
    io.replace_file(target, content)
    return target, count
