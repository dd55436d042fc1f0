"""`python -m minigrad lab`: the claims of the slides, listed, run one by one, or all.

The one trick: there is none; a Result knows its table, its picture and whether it holds. What can
be refused is refused before anything runs.
"""

import os
import time

from minigrad.inspect.layout import write
from minigrad.lab import experiments, panels
from minigrad.terminal import as_json, PROGRAM, Refusal, refuse_unwritable, result, table, talk

FORMATS = ("png", "svg", "pdf")
ALL = "all"


def lab(options):
    """Lists the experiments, or runs what the command line asks for. Returns the exit code: 1 if a
    claim fails.

    options: `name` (None, one of the experiments, or "all"), `settings` (texts "parameter=value"),
    `output` (a picture, or for all a folder; or None), `force` and `json`.
    """
    if options.name is None:
        return listing(options)
    if options.output is not None:
        refuse_without_matplotlib()
    return every(options) if options.name == ALL else single(options)


def refuse_without_matplotlib():
    """Tried rather than looked for: one that cannot be imported draws nothing either."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise Refusal("the pictures need matplotlib", "python -m pip install matplotlib; without "
                                                      "-o, the table has all the numbers") from None


# --- listing -------------------------------------------------------------------------------------

def listing(options):
    """Prints what there is."""
    for given, flag in ((options.settings, "--set"), (options.output, "-o")):
        if given:
            raise Refusal(f"{flag} is for an experiment; say which", f"{PROGRAM} lab "
                          f"momentum_rates {flag} ...; {PROGRAM} lab lists them", code=2)
    if options.json:
        as_json([about(found) for found in experiments.catalogue.values()])
        return 0
    for subject, members in subjects().items():
        result("\n".join([subject, *(f"  {e.name:<21}{e.title}" for e in members), ""]))
    result(f"{PROGRAM} lab NAME runs one, {PROGRAM} lab all runs all.")
    return 0


def subjects():
    """{subject: its experiments}, in order."""
    found = {}
    for experiment in experiments.catalogue.values():
        found.setdefault(experiment.subject, []).append(experiment)
    return found


def about(experiment):
    """What there is to know of an experiment, for JSON."""
    return {"name": experiment.name, "title": experiment.title, "subject": experiment.subject,
            "claim": experiment.claim,
            "parameters": {name: {"default": default, "range": experiment.range_of(name)}
                           for name, default in experiment.defaults.items()}}


# --- one -----------------------------------------------------------------------------------------

def single(options):
    """Runs one experiment."""
    try:
        experiment = experiments.get(options.name)
    except ValueError as error:
        raise Refusal(error, f"{PROGRAM} lab lists them; all runs all", code=2) from None
    form = form_of(options)
    try:
        found = experiment(**settings(experiment, options.settings))
    except (TypeError, ValueError) as error:
        raise Refusal(error, f"{PROGRAM} lab {experiment.name} runs it as it is", code=2) from None
    if options.json:
        as_json(found.to_dict())
    else:
        result(found.table())
        talk("\n--set NAME=VALUE changes\n" + "\n".join(
            f"  {name:<14}{experiment.range_of(name)}" for name in experiment.defaults))
    if form:
        write(options.output, panels.rendered(found.plot(), form))
        talk(f"wrote {options.output}")
    return 0 if found.holds else 1


def settings(experiment, words):
    """{parameter: value} of words "parameter=value"."""
    chosen = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise Refusal(f"--set takes PARAMETER=VALUE, got {word!r}",
                          f"{experiment.name} has {', '.join(experiment.defaults)}", code=2)
        chosen[name] = experiment.read(name, text)
    return chosen


def form_of(options):
    """The format of the picture, told by the suffix; None if none is asked for."""
    path = options.output
    if path is None:
        return None
    form = os.path.splitext(path)[1].lower().lstrip(".")
    if form not in FORMATS:
        raise Refusal(f"cannot save a picture as {path!r}: the suffix must be .png, .svg or .pdf",
                      f"{PROGRAM} lab {options.name} -o {options.name}.png", code=2)
    refuse_unwritable(path, options.force)
    return form


def refuse_overwriting(paths, options):
    """Refusal if a file is there, unless --force."""
    for path in paths:
        if os.path.lexists(path) and not options.force:
            raise Refusal(f"{path} exists already",
                          "choose another name, or replace it with --force")


# --- all -----------------------------------------------------------------------------------------

def every(options):
    """Runs all experiments as they are, a line each."""
    if options.settings:
        raise Refusal("--set is for one experiment; they have different parameters",
                      f"{PROGRAM} lab momentum_rates --set kappa=10", code=2)
    folder = options.output
    if folder is not None:
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise Refusal(f"{folder} is a file; the pictures of all go into a folder",
                          "choose another name after -o")
        refuse_overwriting([os.path.join(folder, f"{name}.png")
                            for name in experiments.catalogue], options)
        os.makedirs(folder, exist_ok=True)
    started, found = time.perf_counter(), []
    for subject, members in subjects().items():
        if not options.json:
            result(subject)
        for experiment in members:
            found.append(outcome := experiment())
            if not options.json:
                result(f"  {'holds' if outcome.holds else 'FAILS'} {outcome.name:<20} "
                       f"{outcome.title}")
            if folder is not None:
                write(os.path.join(folder, f"{outcome.name}.png"),
                      panels.rendered(outcome.plot(), "png"))
    failed = [outcome for outcome in found if not outcome.holds]
    if options.json:
        as_json([outcome.to_dict() for outcome in found])
    else:
        for outcome in failed:
            result(f"\n{outcome.name} fails:\n" + table(
                ("", "measured", "predicted", "+-"),
                [row[:4] for row in outcome.rows if row[4] == "FAILS"], (1, 2, 3)))
        checks = sum(len(outcome.checks) for outcome in found)
        result(f"\n{len(found) - len(failed)} of {len(found)} claims hold; {checks} checks in "
               f"{time.perf_counter() - started:.1f} s")
    if folder is not None:
        talk(f"wrote {len(found)} pictures to {folder}")
    return 1 if failed else 0
