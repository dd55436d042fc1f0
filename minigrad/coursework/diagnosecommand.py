"""`python -m minigrad diagnose optim.py:adam`: which mistake an optimizer makes.

The one trick: the file is run as an ordinary program by whoever wrote it. Code of others belongs
into `grade`, which keeps it in a process of its own.
"""

import os
import runpy

from minigrad.coursework.diagnosis import diagnose
from minigrad.coursework.known_checks import checks, diagnose_number
from minigrad.terminal import PROGRAM, Refusal, result

TRACES = (".csv", ".json", ".npz")


def run(options):
    """Prints the diagnosis. Returns the exit code."""
    if options.what == "checks":
        result("\n".join(checks()))
        return 0
    try:
        found = diagnosis_of(options)
        result(found.hint(options.hint) if options.hint else str(found))
    except (ValueError, TypeError) as error:
        raise Refusal(error, f"{PROGRAM} diagnose --help lists the options") from error
    return 0 if found.verdict in ("correct", "convention") else 1


def diagnosis_of(options):
    what = options.what
    if what in checks():
        if options.quantity is None or options.number is None:
            raise Refusal(f"{what} is a check; say what it printed",
                          '--quantity "next_w error" --number 0.2072', code=2)
        return diagnose_number(what, options.quantity, options.number)
    asked = {"rule": options.rule, "convention": options.convention, "seed": options.seed}
    if os.path.splitext(what)[1].lower() in TRACES:
        if not os.path.isfile(what):
            raise Refusal(f"cannot read {what}", "give the path of a trace", code=2)
        return diagnose(what, **asked)
    path, colon, name = what.rpartition(":")
    if not colon or not os.path.isfile(path):
        raise Refusal(f"cannot read {what!r}", "give FILE.py:NAME, a trace, or one of the checks "
                      + ", ".join(checks()), code=2)
    values = runpy.run_path(path)
    if name not in values:
        made = [key for key, value in values.items() if callable(value) and key[0] != "_"]
        raise Refusal(f"{path} has no {name!r}", "it has " + ", ".join(made), code=2)
    return diagnose(values[name], **asked)
