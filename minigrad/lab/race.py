"""race(surface, optimizers): several optimizers from one start, and every number of each.

    race = lab.race("rosenbrock", {"SGD": lambda p: optim.SGD(p, lr=1e-3),
                                   "Adam": lambda p: optim.Adam(p, lr=0.05)}, steps=500)
    print(race)                                 # who got where, a line each
    race["Adam"].quantities["m_hat"]            # (500, 2): what minigrad.trace recorded
    race.plot(); race.animate("race.html")

The one trick: gradient noise is a tilt. Adding noise * (w @ random numbers) to the surface adds
noise * those numbers to its gradient, so even a noisy gradient is the engine's own, and all
optimizers meet the same noise.
"""

import math
import os
from dataclasses import replace

import numpy as np

from minigrad import markup
from minigrad.autograd.grad_mode import enable_grad
from minigrad.creation import tensor
from minigrad.data.csvfile import listed, nearest
from minigrad.inspect import layout, runs
from minigrad.inspect.cards import printable
from minigrad.inspect.overview import cuts
from minigrad.inspect.trace import trace
from minigrad.lab import racepage, raceplot, surfaces
from minigrad.optim import Adadelta, Adamax, Lion, NAdam, RAdam, Rprop
from minigrad.optim.asking import Message
from minigrad.optim.optimizer import Optimizer
from minigrad.terminal import table as aligned
from minigrad.terminal import width_of
from minigrad.training import OPTIMIZERS as TRAINED

LEEWAY = 1.0   # how many widths of the domain a path may leave it before it is cut
CLOSE = 0.01   # of the domain's size: so near a minimum is there
NAME = 14      # columns of a name in the table
MOST = 100_000  # steps
HEAD = ("optimizer", "lr", "value", "best", "distance", "there", "end")  # of the table

# fmt: off
# name: (class, its options)
OPTIMIZERS = {
    **TRAINED,
    "adadelta": (Adadelta, {}),
    "adamax":   (Adamax,   {}),
    "nadam":    (NAdam,    {}),
    "radam":    (RAdam,    {}),
    "rprop":    (Rprop,    {}),
    "lion":     (Lion,     {}),
}

# The learning rates of those chosen by name. Of gradient descent and its relatives: a share of
# what the surface allows (see `descent_lr`). Of the others, whose steps are about as long as lr
# whatever the gradient: a share of the surface's size.
DESCENT = {"sgd": 1.0, "momentum": 0.2, "nesterov": 0.2}
SIZED = {"adagrad": 0.05, "rmsprop": 0.005, "adam": 0.01, "adamw": 0.01, "amsgrad": 0.01,
         "adamax": 0.01, "nadam": 0.01, "radam": 0.01, "rprop": 0.005, "lion": 0.003}
# fmt: on


def race(surface, optimizers=("sgd", "momentum", "adam"), *, steps=200, start=None, noise=None,
         seed=0, lr=None, domain=None):
    """Runs every optimizer from the same start; returns the Race.

    surface     a Surface, the name of one (lab.surfaces), or any function of a tensor of two
                numbers to a tensor of one: this needs a start
    optimizers  {label: function of a list of parameters to an optimizer}, or names from
                race.OPTIMIZERS, for which a learning rate is chosen
    start       (x, y) instead of the surface's; domain instead of its picture's
    noise       standard deviation of what is added to each gradient; the same for all
    seed        of the noise
    lr          for optimizers given by name: a number, or {name: number}

    An optimizer is stopped where its point or the height is not finite, or where it is further
    outside the domain than the domain is wide. Raises ValueError or TypeError for an unknown name
    (with the nearest), a start outside the domain, a surface that is no number or not finite at the
    start, and a function that returns no optimizer of these parameters.
    """
    surface = landscape(surface, start, domain)
    if isinstance(optimizers, str):
        optimizers = [name for name in optimizers.split(",") if name.strip()]
    if not isinstance(optimizers, dict):
        optimizers = by_name(optimizers, surface, lr)
    elif lr is not None:
        raise TypeError("race: lr is for optimizers given by name; in a dict each function sets "
                        "its own")
    if not optimizers:
        raise ValueError("race: no optimizers were given; there are "
                         f"{', '.join(OPTIMIZERS)}, or {{label: function}}")
    if len({str(name) for name in optimizers}) < len(optimizers):
        raise ValueError("race: two optimizers have the same label: "
                         f"{', '.join(map(repr, optimizers))}")
    steps, seed = whole("steps", steps, 1, MOST), whole("seed", seed, 0, math.inf)
    noise = surface.noise if noise is None else surfaces.noise_level(noise)
    tilts = noise * np.random.default_rng(seed).normal(size=(steps, 2)) if noise else None
    if not math.isfinite(surface.value(surface.start)):
        raise ValueError(f"race: {surface.name} is {surface.value(surface.start)} at the start "
                         f"{surfaces.pair(surface.start)}; choose another")
    with np.errstate(all="ignore"):
        lanes = {str(name): run_lane(surface, str(name), make, steps, tilts)
                 for name, make in optimizers.items()}
    return Race(surface, lanes, steps, noise, seed)


def whole(name, value, least, most):
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or (
            not least <= value <= most):
        upto = "on" if most == math.inf else f"to {most:,}"
        raise ValueError(f"race: {name} must be a whole number from {least} {upto}, got {value!r}")
    return int(value)


def landscape(surface, start, domain):
    """The Surface of a race."""
    if isinstance(surface, str):
        surface = surfaces.surface(surface)
    if isinstance(surface, surfaces.Surface):
        old = surface
        if start is None and domain is None:
            return surface
        return replace(old, start=old.start if start is None else start,
                       domain=old.domain if domain is None else domain)
    if not callable(surface):
        raise TypeError("race: the surface must be a name, a Surface or a function of a tensor, "
                        f"got {type(surface).__name__}")
    name = getattr(surface, "__name__", type(surface).__name__).replace("<lambda>", "f(x, y)")
    if start is None:
        raise ValueError(f"race: a function needs a start: race({name}, ..., start=(x, y))")
    return surfaces.Surface(surface, name, start, domain)


# --- optimizers by name ---------------------------------------------------------------------------

def by_name(names, surface, lr=None):
    """{name: function of parameters to its optimizer}, with a learning rate for each."""
    for name in names:
        if not isinstance(name, str):
            raise TypeError("race: optimizers are names, or {label: function of a list of "
                            "parameters to an optimizer}, such as {'Adam': lambda p: optim.Adam(p, "
                            f"lr=0.1)}}; got {name!r}")
    names = [name.strip().lower() for name in names]
    rates = lr if isinstance(lr, dict) else dict.fromkeys(names, lr)
    for name in (*names, *rates):
        if name not in OPTIMIZERS:
            raise ValueError(f"there is no optimizer {name!r}; there are "
                             f"{listed(OPTIMIZERS, 20)}.{nearest(name, OPTIMIZERS)}")
    for name in rates:
        if name not in names:
            raise ValueError(f"race: there is an lr for {name!r}, which does not take part")
    return {name: maker(name, surface, rates.get(name)) for name in names}


def maker(name, surface, lr):
    cls, options = OPTIMIZERS[name]
    lr = default_lr(name, surface) if lr is None else surfaces.checked(f"lr of {name}", lr, above=0)
    return lambda parameters: cls(parameters, lr=lr, **options)


def default_lr(name, surface):
    """The learning rate of an optimizer that is given by name: see DESCENT and SIZED."""
    if name in DESCENT:
        return two_digits(DESCENT[name] * descent_lr(surface))
    return two_digits(SIZED[name] * surface.size) if name in SIZED else 1.0


def descent_lr(surface):
    """What gradient descent can take at the start: half of 1 / (largest curvature), of which 2 /
    (largest curvature) would be the edge, and no first step beyond a twentieth of the picture."""
    curvature = np.abs(np.linalg.eigvalsh(surface.hessian(surface.start))).max()
    slope = np.linalg.norm(surface.gradient(surface.start))
    choices = [0.5 / curvature if curvature else math.inf,
               surface.size / (20 * slope) if slope else math.inf]
    return min(choices) if math.isfinite(min(choices)) else 0.01 * surface.size


def two_digits(x):
    return float(f"{x:.2g}")


# --- one optimizer --------------------------------------------------------------------------------

def run_lane(surface, label, make, steps, tilts):
    """The Lane of one optimizer."""
    w = tensor(surface.start, requires_grad=True, name="w")
    optimizer = made(label, make, w)
    values = []
    with enable_grad(), trace(None, optimizer, budget=2 * MOST + 2) as run:
        for k in range(steps):
            height = surface(w)
            values.append(height.item())
            if not math.isfinite(values[-1]) or not roughly_inside(surface, w.array):
                break
            optimizer.zero_grad()
            (height if tilts is None else height + (w * tilts[k]).sum()).backward()
            optimizer.step()
        else:
            values.append(surface.value(w.array))
    quantities = run[w]
    points = np.concatenate([quantities["data"], w.array[None]])
    return Lane(surface, label, run, quantities, points, np.array(values))


def made(label, make, w):
    """What the function of a label makes for w. TypeError or ValueError if that is no optimizer of
    w."""
    if not callable(make):
        raise TypeError(f"race: {label!r} must be a function of a list of parameters, such as "
                        f"lambda p: optim.Adam(p, lr=0.1); got {type(make).__name__}")
    optimizer = make([w])
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"race: the function of {label!r} must return an optimizer, got "
                        f"{type(optimizer).__name__}")
    if not any(p is w for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(f"race: the optimizer of {label!r} has other parameters; hand it those "
                         "that the function is given: lambda p: optim.Adam(p)")
    return optimizer


def roughly_inside(surface, w):
    """Is a point in the picture, or at least not further from it than it is wide?"""
    return all(low - LEEWAY * (high - low) <= x <= high + LEEWAY * (high - low)
               for x, (low, high) in zip(w, surface.domain))


class Lane:
    """One optimizer's way.

    label, surface
    run           the Run of minigrad.trace: run.explain("w", 0, step=7) and so on
    quantities    run["w"]: {name in the rule: (n, 2)} of the n steps taken
    points        (n + 1, 2): the start, and where each step led
    values        (n + 1,): the height there, without noise
    """

    def __init__(self, surface, label, run, quantities, points, values):
        self.surface, self.label, self.run, self.quantities = surface, label, run, quantities
        self.points, self.values = points, values

    def __len__(self):
        """How many steps it took."""
        return len(self.values) - 1

    def __repr__(self):
        return f"<Lane {self.label}: {len(self)} steps on {self.surface.name}, {self.ending}>"

    @property
    def kind(self):
        return self.run.kind

    @property
    def lr(self):
        """The learning rate of the first step; NaN if there is none."""
        rates = self.run.rates()
        return float(rates[0, 0]) if rates.size else math.nan

    @property
    def distances(self):
        """(n + 1,): from the nearest known minimum; NaN if none is known."""
        gaps = [np.hypot(*(self.points - np.array(m)).T) for m in self.surface.minima]
        return np.min(gaps, axis=0) if gaps else np.full(len(self.points), math.nan)

    @property
    def reached(self):
        """The step from which on it stays within 1 % of the surface's size of a minimum, or
        None."""
        far = np.flatnonzero(~(self.distances <= CLOSE * self.surface.size))
        first = int(far[-1]) + 1 if len(far) else 0
        return first if first < len(self.values) else None

    @property
    def cut(self):
        """Was it stopped, because its point or the height is not finite or far outside?"""
        end = self.points[-1]
        return not (np.isfinite(self.values[-1]) and np.isfinite(end).all()
                    and roughly_inside(self.surface, end))

    @property
    def ending(self):
        """How it ended, in words."""
        end, value, n = self.points[-1], float(self.values[-1]), len(self)
        if not np.isfinite(end).all():
            return f"not finite from step {n} on"
        if self.cut and not value < self.values[0]:
            return f"diverged, cut at step {n}"
        if self.cut:
            return f"left downhill at step {n}"
        near = CLOSE * self.surface.size
        for place, known in (("minimum", self.surface.minima), ("saddle", self.surface.saddles)):
            for there in known:
                if math.dist(end, there) <= near:
                    return f"at the {place} {surfaces.pair(there)}"
        return "on its way" if self.surface.holds(end) else "outside the domain"

    def cells(self, label):
        """Its line in the table: see HEAD."""
        size = runs.significant
        return (label, f"{self.lr:.3g}", size(self.values[-1]), size(best(self.values)),
                size(self.distances[-1]), "-" if self.reached is None else str(self.reached),
                self.ending)

    def summary(self):
        """What the table says, for JSON: numbers that are not finite are None."""
        def number(x):
            return float(x) if math.isfinite(x) else None
        return {"label": self.label, "optimizer": self.kind, "lr": number(self.lr),
                "steps": len(self), "value": number(self.values[-1]),
                "best": number(best(self.values)), "point": [number(x) for x in self.points[-1]],
                "distance": number(self.distances[-1]), "reached": self.reached, "cut": self.cut,
                "ending": self.ending}


def best(values):
    """The lowest finite value."""
    return min(filter(math.isfinite, values.tolist()), default=math.nan)


# --- the race -------------------------------------------------------------------------------------

class Race:
    """Several optimizers from one start on one surface: `race[label]` is a Lane.

    surface, steps, noise, seed    as asked for
    lanes                          {label: Lane}
    """

    def __init__(self, surface, lanes, steps, noise, seed):
        self.surface, self.lanes, self.steps = surface, lanes, steps
        self.noise, self.seed = noise, seed

    @property
    def names(self):
        return list(self.lanes)

    def __getitem__(self, label):
        if label not in self.lanes:
            raise KeyError(Message(f"the race has no {label!r}; it has {listed(self.lanes)}."
                                   f"{nearest(label, self.lanes)}"))
        return self.lanes[label]

    def __iter__(self):
        return iter(self.lanes)

    def __len__(self):
        return len(self.lanes)

    def __repr__(self):
        return f"<Race: {self.about}>"

    @property
    def about(self):
        """Who, where and how long, in short."""
        n = len(self)
        return (f"{n} optimizer{'s' * (n != 1)} on {printable(self.surface.name)}, {self.steps} "
                f"step{'s' * (self.steps != 1)}")

    def __str__(self):
        return self.table()

    @property
    def title(self):
        noise = f", noise {self.noise:g}, seed {self.seed}" if self.noise else ""
        steps = f"{self.steps} step{'s' * (self.steps != 1)}"
        return (f"{printable(self.surface.name)} from {surfaces.pair(self.surface.start)}, {steps}"
                f"{noise}")

    def table(self):
        """Text: where each optimizer got, a line each, 80 columns.

        value is the height at the end, best the lowest on the way, distance that of the end from
        the nearest known minimum, "there" the step from which on that is 1 % of the picture's size
        or less.
        """
        known, names = bool(self.surface.minima), cuts(self.names, NAME)
        rows = [lane.cells(label) for lane, label in zip(self.lanes.values(), names)]
        for hidden in ((), ("best",), ("best", "there")):  # as many columns as fit
            gone = {*hidden, *(() if known else ("distance", "there"))}
            kept = [i for i, name in enumerate(HEAD) if name not in gone]
            head, *body = [[row[i] for i in kept] for row in (HEAD, *rows)]
            text = aligned(head, body, range(1, len(head) - 1))
            if max(map(width_of, text.split("\n"))) <= 80:
                break
        lines = [self.title, "", text]
        if known:
            there = f"; there: from which step on it is at most {CLOSE * self.surface.size:.2g}"
            lines += ["", "distance: from the nearest minimum" + there * ("there" in head)]
        return "\n".join(lines)

    def summary(self):
        """The table as data, for JSON."""
        return {"surface": self.surface.name, "start": list(self.surface.start),
                "minima": [list(m) for m in self.surface.minima], "steps": self.steps,
                "noise": self.noise, "seed": self.seed,
                "lanes": [lane.summary() for lane in self.lanes.values()]}

    def plot(self):
        """A matplotlib Figure: the paths over the contours, and the height over the steps.
        ImportError without matplotlib."""
        return raceplot.figure(self)

    def animate(self, path):
        """Writes the race as one .html page to play, offline: the paths step by step, and every
        quantity of every optimizer at each. Returns path.

        An existing file is replaced, at once or not at all. Raises ValueError for another suffix,
        OSError if it cannot be written.
        """
        if os.path.splitext(os.fspath(path))[1].lower() not in (".html", ".htm"):
            raise ValueError(f"cannot save a race as {os.fspath(path)!r}: the page is HTML, so the "
                             "suffix must be .html; race.plot().savefig(...) writes pictures")
        layout.write(path, racepage.page(self).encode())
        return path

    def _repr_mimebundle_(self, include=None, exclude=None):
        try:
            plain = self.table()
        except Exception as error:  # a display that raises hides the object
            return markup.bundle(f"<Race that cannot be shown: {type(error).__name__}: {error}>")
        try:
            picture = raceplot.image(self)
        except Exception:  # no matplotlib; the table tells it all
            picture = ""
        return markup.bundle(plain, picture + markup.pre(plain))
