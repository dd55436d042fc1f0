"""`python -m minigrad race saddle --optimizers sgd,momentum,adam -o race.html`

The one trick: there is none; lab.race runs the race, and whatever is refused there in Python is
refused here in the same words.
"""

import inspect
import os

from minigrad.inspect import layout
from minigrad.inspect.runs import png
from minigrad.lab import racepage, raceplot, surfaces
from minigrad.lab.race import race as run_race
from minigrad.terminal import as_json, PROGRAM, Refusal, refuse_unwritable, result, table, talk

SUFFIXES = (".html", ".htm", ".png")
LIST = "list"


def race(options):
    """Runs the race that the command line asks for. Returns the exit code.

    options: `surface`, a name or "list"; `set`, ["condition=100"]; `optimizers`, "sgd,adam"; `lr`,
    "0.1" or "sgd=0.1,adam=0.01"; `start`, "1,2"; `steps`, `noise`, `seed`; `output`, the path of a
    page or a picture, or None; `force` and `json`.
    """
    if options.surface == LIST:
        return listing(options)
    checked_output(options)
    try:
        surface = surfaces.surface(options.surface, **settings(options.set or []))
        start = None if options.start is None else numbers(options.start, "--start")
        finished = run_race(surface, names(options.optimizers), steps=options.steps, start=start,
                            noise=options.noise, seed=options.seed, lr=rates(options.lr))
    except (TypeError, ValueError) as error:
        raise Refusal(error, f"{PROGRAM} race --help lists the options, {PROGRAM} race list the "
                      "surfaces", code=2) from None
    if options.output is not None:
        layout.write(options.output, encoded(finished, options.output))
        opened = "" if options.output.lower().endswith(".png") else "; open it in a browser"
        talk(f"wrote {options.output}: {finished.about}{opened}")
    if options.json:
        as_json({**finished.summary(), "file": options.output})
    else:
        result(finished.table())
    return 0


def listing(options):
    """All surfaces, a line each."""
    made = {name: function() for name, function in surfaces.SURFACES.items()}
    parameters = {name: ", ".join(f"{p.name}={p.default:g}" for p in
                                  inspect.signature(function).parameters.values())
                  for name, function in surfaces.SURFACES.items()}
    if options.json:
        as_json([{"surface": name, "parameters": parameters[name], "start": list(s.start),
                  "minima": [list(m) for m in s.minima], "source": s.source}
                 for name, s in made.items()])
        return 0
    rows = [(name, parameters[name], str(len(s.minima) or "-"), surfaces.pair(s.start))
            for name, s in made.items()]
    result(table(("surface", "--set", "minima", "start"), rows, right=(2,)))
    return 0


# --- what the words mean --------------------------------------------------------------------------

def settings(words):
    """{"condition": 100.0} from ["condition=100", ...]; several may be in one, with commas."""
    found = {}
    for word in (part for several in words for part in several.split(",")):
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"--set takes NAME=NUMBER, such as condition=100; got {word!r}")
        found[name.strip()] = number(value, f"--set {name.strip()}")
    return found


def names(words):
    """Names separated by commas."""
    found = [name.strip() for name in words.split(",") if name.strip()]
    if not found:
        raise ValueError("--optimizers takes names separated by commas, such as sgd,adam")
    return found


def rates(words):
    """None, a number, or {name: number} from "sgd=0.1,adam=0.01"."""
    if words is None:
        return None
    if "=" not in words:
        return number(words, "--lr")
    found = {}
    for word in words.split(","):
        name, _, value = word.partition("=")
        found[name.strip().lower()] = number(value, f"--lr {word}")
    return found


def numbers(words, option):
    """Numbers separated by commas."""
    return tuple(number(word, option) for word in words.split(","))


def number(word, option):
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"{option}: {word.strip()!r} is not a number") from None


# --- the answer -----------------------------------------------------------------------------------

def checked_output(options):
    """Refuses a file that could not be written, before the race is run."""
    path = options.output
    if path is None:
        return
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise Refusal(f"cannot save a race as {path!r}: the suffix must be .html or .png",
                      f"{PROGRAM} race {options.surface} -o race.html", code=2)
    refuse_unwritable(path, options.force)
    if path.lower().endswith(".png"):
        try:
            import matplotlib.figure  # noqa: F401
        except ImportError:
            raise Refusal("a picture needs matplotlib: python -m pip install matplotlib",
                          "-o race.html works without, and so does the table") from None


def encoded(finished, path):
    """The page or the picture as bytes."""
    if path.lower().endswith(".png"):
        return png(raceplot.figure(finished))
    return racepage.page(finished).encode()
