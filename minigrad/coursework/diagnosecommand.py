"""`python -m minigrad diagnose optim.py:adam`: which mistake an optimizer, or a number, shows.

The one trick: the file is run as an ordinary program by whoever wrote it. Code of others belongs
into `grade`, which keeps it in a process of its own.
"""

import json
import os
import runpy
import textwrap

import numpy as np

from minigrad.coursework.diagnosis import diagnose
from minigrad.coursework.engines import ACCEPTED, diagnose_autograd
from minigrad.coursework.known_checks import check, checks, diagnose_number, found
from minigrad.terminal import PROGRAM, Refusal, result

TRACES = (".csv", ".json", ".npz")


def run(options):
    """Prints the diagnosis. Returns the exit code: 0 for right numbers, else 1."""
    if options.what == "checks":
        result(json.dumps(known(), indent=2) if asked_for_json(options) else listing())
        return 0
    try:
        diagnosis = diagnosis_of(options)
        if asked_for_json(options):
            result(json.dumps(as_json(diagnosis), indent=2, allow_nan=False))
        else:
            result(diagnosis.hint(options.hint) if options.hint else str(diagnosis))
    except (ValueError, TypeError) as error:
        raise Refusal(error, f"{PROGRAM} diagnose --help lists the options") from error
    return 0 if diagnosis.verdict in ("correct", "convention") else 1


def asked_for_json(options):
    return getattr(options, "json", False)


# --- what is diagnosed ---------------------------------------------------------------------------

def diagnosis_of(options):
    what = options.what
    if is_check(what):
        return diagnosis_of_number(options)
    rule = {"rule": options.rule, "convention": options.convention, "seed": options.seed}
    if os.path.splitext(what)[1].lower() in TRACES:
        if not os.path.isfile(what):
            raise Refusal(f"cannot read {what}", "give the path of a trace", code=2)
        return diagnose(what, **rule)
    student = named_in_file(what)
    if options.rule == "autograd":
        usual = options.convention if options.convention in ACCEPTED else "torch"
        return diagnose_autograd(student, convention=usual)
    return diagnose(student, **rule)


def is_check(what):
    """Is this the name of a known check, by any name of its course?"""
    if os.path.exists(what) or what.rpartition(":")[1]:
        return False
    try:
        found(what)
    except ValueError:
        return False
    return True


def diagnosis_of_number(options):
    what = options.what
    if options.quantity is None or options.number is None:
        name = options.quantity or found(what).quantities[0]
        raise Refusal(f"{what} is a check; say which number it printed",
                      f'--quantity "{name}" --number 0.1234; it has '
                      + ", ".join(found(what).quantities), code=2)
    return diagnose_number(what, options.quantity, options.number,
                           most=getattr(options, "most", None))


def named_in_file(what):
    """The value of a name in a program: FILE.py:NAME."""
    path, _, name = what.rpartition(":")
    if not os.path.isfile(path):
        near = "; or one of the checks, such as " + ", ".join(checks()[:3])
        raise Refusal(f"cannot read {what!r}", f"give FILE.py:NAME or a trace{near}; "
                      f"{PROGRAM} diagnose checks lists them", code=2)
    try:
        values = runpy.run_path(path)
    except (Exception, SystemExit) as error:
        raise Refusal(f"{path} does not run: {type(error).__name__}: {error}",
                      f"try it: python {path}", code=2) from error
    if name not in values:
        made = [key for key, value in values.items() if callable(value) and key[0] != "_"]
        raise Refusal(f"{path} has no {name!r}", "it has " + (", ".join(made) or "no functions"),
                      code=2)
    return values[name]


# --- what is printed -----------------------------------------------------------------------------

def listing():
    """All checks with their titles and quantities, for a terminal of 80 columns."""
    lines = []
    for name in checks():
        known = found(name)
        lines += [name, *textwrap.wrap(known.facts["title"], 76, initial_indent="    ",
                                       subsequent_indent="    ")]
        lines += textwrap.wrap("prints: " + ", ".join(known.quantities), 76,
                               initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


def known():
    """The checks with what they print, for JSON."""
    facts = {name: check(name) for name in checks()}
    return {name: {"title": one["title"], "source": one["source"], "kind": one["kind"],
                   "right": plain(one["right"])} for name, one in facts.items()}


def as_json(diagnosis):
    """What every diagnosis has, of whatever kind it is."""
    first = diagnosis.first_difference
    return {"verdict": diagnosis.verdict, "causes": list(diagnosis.causes),
            "ties": [list(tie) for tie in diagnosis.ties],
            "first_difference": None if first is None else plain(first._asdict()),
            "residual": plain(diagnosis.residual)}


def plain(value):
    """Values as JSON has them: arrays as lists; what is no number of JSON as text."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, (int, float, str, type(None))) else str(value)
