"""An experiment: one claim of the slides or of a paper, run, and held against its formula.

The one trick: an experiment is a function of its parameters that returns Checks (a measured number
beside one computed from the formula) and Panels (the curves of its picture). Parameters, their
limits, words and verdicts are read off that; so is the command line.
"""

import difflib
import functools
import inspect
import math
import operator
import textwrap
from dataclasses import dataclass

import numpy as np

from minigrad import markup
from minigrad.autograd import enable_grad
from minigrad.lab import panels
from minigrad.terminal import table as aligned

WIDTH = 80
ROUNDING = 1e-12  # of a few thousand steps in float64


# --- checks --------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Check:
    """A measured number beside the predicted one.

    relation "=": they differ by at most `tolerance` (both infinite, or both NaN, is equal);
    "<=" and ">=": the prediction is a bound, with `tolerance` of slack.
    """

    what: str
    measured: float
    predicted: float
    tolerance: float = 0.0
    relation: str = "="

    @property
    def holds(self):
        if self.relation == "<=":
            return self.measured <= self.predicted + self.tolerance
        if self.relation == ">=":
            return self.measured >= self.predicted - self.tolerance
        if math.isnan(self.predicted):
            return math.isnan(self.measured)
        return (self.measured == self.predicted
                or abs(self.measured - self.predicted) <= self.tolerance)


def equal(what, measured, predicted, tolerance=0.0):
    """A Check that two numbers differ by at most `tolerance`."""
    return Check(what, float(measured), float(predicted), float(tolerance))


def close(what, measured, predicted, relative=1e-9):
    """A Check that two numbers differ by at most this part of the prediction."""
    return equal(what, measured, predicted, relative * abs(float(predicted)))


def same(what, these, those, tolerance=ROUNDING):
    """A Check that two arrays differ nowhere: their largest difference is predicted to be 0."""
    return equal(what, np.max(np.abs(np.asarray(these) - np.asarray(those))), 0, tolerance)


def at_most(what, measured, bound, tolerance=0.0):
    return Check(what, float(measured), float(bound), float(tolerance), "<=")


def at_least(what, measured, bound, tolerance=0.0):
    return Check(what, float(measured), float(bound), float(tolerance), ">=")


# --- results -------------------------------------------------------------------------------------

@dataclass(frozen=True, eq=False)
class Result:
    """What an experiment found.

    name, title, claim   what was claimed
    parameters           {name: value} it was run with
    checks               the Checks; `measured`, `predicted` and `tolerance` are {what: number}
    holds, verdict       do all of them hold? "holds" or "fails"
    panels               the curves of the picture, as numbers
    """

    name: str
    title: str
    claim: str
    parameters: dict
    checks: tuple
    panels: tuple

    @property
    def measured(self):
        return {check.what: check.measured for check in self.checks}

    @property
    def predicted(self):
        return {check.what: check.predicted for check in self.checks}

    @property
    def tolerance(self):
        return {check.what: check.tolerance for check in self.checks}

    @property
    def holds(self):
        return all(check.holds for check in self.checks)

    @property
    def verdict(self):
        return "holds" if self.holds else "fails"

    @property
    def rows(self):
        """(what, measured, predicted, tolerance, verdict) of every check, as texts."""
        return [(c.what, short(c.measured),
                 ("" if c.relation == "=" else c.relation + " ") + short(c.predicted),
                 slack(c.tolerance), "holds" if c.holds else "FAILS") for c in self.checks]

    def table(self):
        """Text of 80 columns: the claim, the parameters, a line for every check, the verdict."""
        used = ", ".join(f"{name}={shown(value)}" for name, value in self.parameters.items())
        good = sum(check.holds for check in self.checks)
        lines = [*textwrap.wrap(f"{self.name}: {self.title}", WIDTH), "", *wrapped(self.claim), "",
                 *textwrap.wrap(f"with {used}", WIDTH), "",
                 aligned(("", "measured", "predicted", "+-", ""), self.rows, (1, 2, 3)), "",
                 f"The claim {self.verdict}: {good} of {len(self.checks)} checks."]
        return "\n".join(lines)

    def plot(self):
        """A matplotlib Figure of the panels. ImportError, with the cure, without matplotlib."""
        return panels.figure(self.title, self.panels)

    def to_dict(self):
        """Everything but the curves, as plain values for JSON; what is not finite as a text."""
        return {"name": self.name, "title": self.title, "parameters": dict(self.parameters),
                "verdict": self.verdict,
                "checks": [{"what": c.what, "measured": plain(c.measured), "relation": c.relation,
                            "predicted": plain(c.predicted), "tolerance": plain(c.tolerance),
                            "holds": c.holds} for c in self.checks]}

    def __str__(self):
        return self.table()

    def __repr__(self):
        good = sum(check.holds for check in self.checks)
        return f"<Result {self.name}: {self.verdict}, {good} of {len(self.checks)} checks>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        text = self.table()
        try:
            svg = panels.rendered(self.plot(), "svg")
            picture = markup.image(svg, f"{self.name}: {self.title}")
        except Exception:  # a display that raises hides the object; the table has the numbers
            picture = ""
        return markup.bundle(text, picture + markup.pre(text))


def short(value):
    """A number in at most 11 characters, "never" for a step that does not come."""
    if value == math.inf:
        return "never"
    text = f"{value:.6g}"
    return text if len(text) <= 11 else f"{value:.4g}"


def slack(tolerance):
    return f"{tolerance:.{1 + (tolerance >= 1)}g}" if tolerance else "exact"


def shown(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def plain(value):
    return value if math.isfinite(value) else str(value)


def wrapped(text):
    """The lines of a text of paragraphs, in 80 columns; indented lines stay as they are."""
    lines = []
    for paragraph in text.split("\n\n"):
        kept = paragraph.startswith("    ")
        lines += [*(paragraph.split("\n") if kept else textwrap.wrap(paragraph, WIDTH)), ""]
    return lines[:-1]


# --- experiments ---------------------------------------------------------------------------------

class Experiment:
    """A function of parameters that returns (checks, panels), made safe to call and to list.

    Called with some of its parameters, it returns a Result. name, title, claim: from the function
    and its docstring. subject: what it is listed under. defaults, limits: {parameter: ...}.
    """

    def __init__(self, function, subject, limits):
        functools.update_wrapper(self, function)
        self.function, self.subject, self.limits = function, subject, limits
        self.name = function.__name__
        title, _, claim = inspect.getdoc(function).partition("\n\n")
        self.title, self.claim = title.rstrip("."), claim
        self.defaults = {name: parameter.default for name, parameter
                         in inspect.signature(function).parameters.items()}

    def __call__(self, **parameters):
        """The Result. Raises TypeError or ValueError for parameters that make no sense."""
        for name in parameters:
            self.known(name)
        used = {name: self.checked(name, parameters.get(name, default))
                for name, default in self.defaults.items()}
        with np.errstate(all="ignore"), enable_grad():
            checks, drawn = self.function(**used)
        return Result(self.name, self.title, self.claim, used, tuple(checks), tuple(drawn))

    def known(self, name):
        """Raises TypeError unless the experiment has a parameter of this name."""
        if name not in self.defaults:
            near = difflib.get_close_matches(str(name), self.defaults, n=1)
            hint = f" did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"{self.name} has no parameter {name!r};{hint} It has "
                            f"{', '.join(self.defaults)}")

    def checked(self, name, value):
        """A value of a parameter, as a plain number or text of its default's type."""
        default, limits = self.defaults[name], self.limits[name]
        if isinstance(default, str):
            if not isinstance(value, str) or value not in limits:
                raise ValueError(f"{self.name}: {name} is {value!r}; choose one of "
                                 f"{', '.join(limits)}")
            return value
        whole = isinstance(default, int)
        try:
            if isinstance(value, (bool, np.bool_, str)):
                raise TypeError
            plain = operator.index(value) if whole else float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{self.name}: {name} is {value!r}; it must be a "
                            f"{'whole ' * whole}number") from None
        if not limits[0] <= plain <= limits[1]:
            raise ValueError(f"{self.name}: {name} is {plain:g}; it must be "
                             f"{self.range_of(name)}")
        return plain

    def range_of(self, name):
        """What a parameter may be, in words."""
        default, limits = self.defaults[name], self.limits[name]
        if isinstance(default, str):
            return "one of " + ", ".join(limits)
        if isinstance(default, int):
            return f"a whole number from {limits[0]} to {limits[1]}"
        return f"a number from {limits[0]:g} to {limits[1]:g}"

    def read(self, name, text):
        """The value that a text stands for, as on the command line. Raises as a call does."""
        self.known(name)
        default = self.defaults[name]
        if isinstance(default, str):
            return self.checked(name, text)
        try:
            value = int(text) if isinstance(default, int) else float(text)
        except ValueError:
            raise ValueError(f"{self.name}: {name} is {text!r}; it must be "
                             f"{self.range_of(name)}") from None
        return self.checked(name, value)

    def __repr__(self):
        return f"<experiment {self.name}: {self.title}>"


def experiment(subject, **limits):
    """Makes an Experiment of a function: limits are (least, most) of each of its parameters, or
    the texts it may be."""
    return lambda function: Experiment(function, subject, limits)
