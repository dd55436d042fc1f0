"""`python -m minigrad diagnose optim.py:adam`: which mistake an optimizer, an engine, a layer, or a
number shows.

The one trick: the file is run as an ordinary program by whoever wrote it. Code of others belongs
into `grade`, which keeps it in a process of its own.
"""

import difflib
import json
import os
import re
import runpy
import textwrap

import numpy as np

from minigrad.coursework.engines.diagnosis import ACCEPTED, diagnose_autograd
from minigrad.coursework.hints import LEVELS
from minigrad.coursework.layers.diagnosis import diagnose_backward
from minigrad.coursework.numbers.known_checks import check, checks, diagnose_number, found
from minigrad.coursework.optimizers.diagnosis import diagnose
from minigrad.terminal import PROGRAM, Refusal, result

TRACES = (".csv", ".json", ".npz")


def run(options):
    """Prints the diagnosis. Returns the exit code: 0 for right numbers, else 1. Raises Refusal,
    with code 2, where there is none."""
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
        raise Refusal(error, f"{PROGRAM} diagnose --help lists the options", code=2) from error
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
        return diagnose(what, **rule, hyperparameters=settings_of(options))
    if settings_of(options):
        raise Refusal(f"--set {options.settings[0]} is for a trace, and {what} is none",
                      "the hyperparameters of code are those of the probe", code=2)
    if options.rule == "backward":
        return diagnosis_of_layer(what, options)
    student = named_in_file(what)
    if options.rule == "autograd":
        usual = options.convention if ACCEPTED.get(options.convention) else None
        return diagnose_autograd(student, convention=usual)
    return diagnose(student, **rule)


def settings_of(options):
    """{"lr": 0.1} of --set lr=0.1. Raises Refusal."""
    found = {}
    for word in getattr(options, "settings", None) or ():
        name, _, value = word.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise Refusal(f"--set needs a name and a number, got {word!r}", "--set lr=0.1",
                          code=2) from None
    return found


def diagnosis_of_layer(what, options):
    """The diagnosis of NAME_forward and NAME_backward, or of an object NAME with both."""
    shapes = [shape_of(word) for word in (options.inputs or "").split(",")]
    path, _, name = what.rpartition(":")
    values = ran(path)
    if f"{name}_forward" in values and f"{name}_backward" in values:
        pair = values[f"{name}_forward"], values[f"{name}_backward"]
    else:
        layer = named_in_file(what, f"{name}_forward and {name}_backward")
        pair = (layer() if isinstance(layer, type) else layer), None
    return diagnose_backward(*pair, shapes, seed=options.seed)


def shape_of(word):
    """(4, 3) of "4x3". Raises Refusal."""
    if not re.fullmatch(r"\d+(x\d+)*", word.strip()):
        raise Refusal(f"--inputs needs a shape for each input, got {word!r}" if word else
                      "--rule backward needs the shapes of the inputs",
                      "--inputs 4x3,3x5,5 for x (4, 3), w (3, 5), b (5,)", code=2)
    return tuple(map(int, word.split("x")))


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


def named_in_file(what, wanted=None):
    """The value of a name in a program: FILE.py:NAME. Raises Refusal, for want of what is wanted.
    """
    path, _, name = what.rpartition(":")
    if os.path.isfile(what):
        raise Refusal(f"what is in {what}?", f"give its name, as in {what}:adam", code=2)
    if not os.path.isfile(path):
        near = difflib.get_close_matches(what, checks(), n=1)
        such = f"did you mean the check {near[0]}? Else " if near else ""
        raise Refusal(f"cannot read {what!r}", f"{such}give FILE.py:NAME, a trace, or one of the "
                      f"checks that {PROGRAM} diagnose checks lists", code=2)
    values = ran(path)
    if name not in values:
        made = [key for key, value in values.items() if callable(value) and key[0] != "_"]
        raise Refusal(f"{path} has no {wanted or repr(name)}",
                      "it has " + (", ".join(made) or "no functions"), code=2)
    return values[name]


def ran(path):
    """The names of a program that was run. Raises Refusal."""
    if not os.path.isfile(path):
        return {}
    try:
        return runpy.run_path(path)
    except (Exception, SystemExit) as error:
        raise Refusal(f"{path} does not run: {type(error).__name__}: {error}",
                      f"try it: python {path}", code=2) from error


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
    """What every diagnosis has, of whatever kind it is. hints: by level."""
    first = diagnosis.first_difference
    return {"verdict": diagnosis.verdict, "causes": list(diagnosis.causes),
            "ties": [list(tie) for tie in diagnosis.ties],
            "first_difference": None if first is None else plain(first._asdict()),
            "residual": plain(diagnosis.residual),
            "notes": list(getattr(diagnosis, "notes", ())),
            "hints": {level: diagnosis.hint(level) for level in LEVELS}}


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
