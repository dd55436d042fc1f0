"""`python -m minigrad report run.npz -o run.html`: the page of a run that was saved.

The one trick: there is none; a saved run knows all that the page shows. Only a rule of the user's
is code, which files do not hold: of such a run the page has all the numbers, but no lines.
"""

import os

from minigrad.inspect.layout import write
from minigrad.inspect.report import page
from minigrad.inspect.trace import load_trace
from minigrad.io import FileFormatError
from minigrad.terminal import as_json, PROGRAM, Refusal, refuse_unwritable, result, talk

SUFFIXES = (".html", ".htm")


def report(options):
    """Writes the page that the command line asks for. Returns the exit code.

    options: `trace`, the path of the trace; `output`, that of the page, "-" for stdout, None for
    beside the trace; `force` and `json`.
    """
    path = target(options)
    recorded = read(options.trace)
    if not len(recorded):
        raise Refusal(f"nothing is recorded in {options.trace}",
                      "save the run after the loop: no optimizer.step() had run")
    text = page(recorded)
    if path == "-":
        result(text.rstrip("\n"))
        return 0
    write(path, text.encode())
    talk(f"wrote {path}: {len(recorded.steps)} steps of {recorded.kind}; open it in a browser")
    if options.json:
        as_json({"file": path, "optimizer": recorded.kind, "parameters": recorded.names,
                 "recorded_steps": len(recorded.steps)})
    return 0


def target(options):
    """Where the page goes. Refuses before the run is read."""
    path = options.output
    if path == "-":
        if options.json:
            raise Refusal("--json and -o - both print to stdout", "leave one of them out", code=2)
        return path
    if path is None:
        path = os.path.splitext(options.trace)[0] + ".html"
    if os.path.splitext(path)[1].lower() not in SUFFIXES:
        raise Refusal(f"cannot save the page of a run as {path!r}: the suffix must be .html",
                      f"{PROGRAM} report {options.trace} -o run.html", code=2)
    refuse_unwritable(path, options.force)
    return path


def read(path):
    """The Run in a file."""
    try:
        return load_trace(path)
    except FileNotFoundError:
        raise Refusal(f"there is no file {path!r}",
                      'run.save("run.npz") writes one, after `with minigrad.trace(...) as run:`'
                      ) from None
    except FileFormatError as error:
        raise Refusal(error, "run.save(...) of minigrad.trace writes the files that `report` "
                             "reads") from None
