"""Test surfaces: landscapes over a plane that optimizers are tried on, with what is known of them.

The one trick: a surface is a function of a tensor w of two numbers, written in minigrad's
operations. Its gradient, its curvature and, where papers give a minimum to six digits only, the
other ten are the engine's.

    surface = surfaces.rosenbrock()
    surface.value((1, 1)), surface.gradient((1, 1))     # 0.0, [0, 0]
    surfaces.quadratic(condition=100, rotation=30)      # one of many

Letters: x, y the two numbers of w; u, v the same along the axes of a rotated bowl.
"""

import inspect
import math
from dataclasses import dataclass

import numpy as np

from minigrad.autograd.functional import hessian
from minigrad.autograd.grad_mode import enable_grad, no_grad
from minigrad.creation import tensor
from minigrad.data.csvfile import listed, nearest
from minigrad.engine import Recorded
from minigrad.functions import sigmoid, sin


@dataclass(frozen=True, repr=False)
class Surface:
    """A function of two numbers, and what a race on it has to know.

    function   of a tensor of shape (2,) to a tensor with one number
    name       what it is called
    start      (x, y) where a race begins
    domain     ((x from, x to), (y from, y to)): the picture; by default a square around 0 with the
               start in it
    minima     [(x, y), ...], as far as they are known; the first is a lowest one
    saddles    [(x, y), ...] where the gradient is 0 as well
    noise      standard deviation of what is added to each gradient, if a race says nothing else
    source     where it comes from
    formula    f(x, y) as text, for displays

    Called with a tensor, it is the function. Raises TypeError or ValueError if start or domain
    cannot be, or the start is outside the domain; a call, if the function returns anything but one
    number that depends on w.
    """

    function: object
    name: str
    start: tuple
    domain: tuple = None
    minima: tuple = ()
    saddles: tuple = ()
    noise: float = 0.0
    source: str = ""
    formula: str = ""

    def __post_init__(self):
        if not callable(self.function):
            raise TypeError(f"a surface is a function of a tensor, got {self.function!r}")
        start = point(self.start, f"surface {self.name}: start")
        domain = around(start) if self.domain is None else box(self.domain, self.name)
        for key, value in (("start", start), ("domain", domain),
                           ("noise", noise_level(self.noise))):
            object.__setattr__(self, key, value)
        if not self.holds(start):
            raise ValueError(f"surface {self.name}: the start {pair(start)} is outside its domain, "
                             f"{spans(domain)}")

    def __call__(self, w):
        y = self.function(w)
        if not isinstance(y, Recorded):
            raise TypeError(f"surface {self.name}: the function must return a tensor, got "
                            f"{type(y).__name__}; write it in operations of tensors")
        if y.array.size != 1:
            raise ValueError(f"surface {self.name}: the function must return one number, got shape "
                             f"{y.array.shape}; sum() or mean() makes it one")
        if w.requires_grad and not y.requires_grad:
            raise ValueError(f"surface {self.name}: what the function returns does not depend on "
                             "its argument (or was detached), so there is no gradient")
        return y.reshape(()) if y.array.ndim else y

    def __repr__(self):
        formula = f", {self.formula}" if self.formula else ""
        return f"<Surface {self.name}{formula}; {spans(self.domain)}>"

    def holds(self, w):
        """Is a point inside the domain?"""
        return all(low <= x <= high for x, (low, high) in zip(w, self.domain))

    def value(self, w):
        """The height at a point, a float."""
        with no_grad():
            return self(tensor(np.asarray(w, float))).item()

    def gradient(self, w):
        """The gradient at a point: (2,), by the engine."""
        w = tensor(np.asarray(w, float), requires_grad=True)
        with enable_grad():
            self(w).backward()
        return np.zeros(2) if w.grad is None else w.grad.numpy().copy()

    def hessian(self, w):
        """The second derivatives at a point: (2, 2), by the engine."""
        with enable_grad():
            return hessian(self, tensor(np.asarray(w, float))).numpy()

    def heights(self, xs, ys):
        """The heights over a grid: (len(ys), len(xs)). NaN where the function is not finite."""
        grid = np.array([[self.value((x, y)) for x in xs] for y in ys], float)
        return np.where(np.isfinite(grid), grid, np.nan)

    @property
    def lowest(self):
        """The height of the lowest known minimum, or None."""
        return min((self.value(w) for w in self.minima), default=None)

    @property
    def size(self):
        """The longer side of the domain."""
        return max(high - low for low, high in self.domain)


# --- what a surface is given ----------------------------------------------------------------------

def point(w, what):
    """Two finite numbers as floats."""
    try:
        numbers = np.asarray(w.array if isinstance(w, Recorded) else w, float)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (2,) or not np.isfinite(numbers).all():
        raise ValueError(f"{what} must be two finite numbers (x, y), got {w!r}")
    return tuple(numbers.tolist())


def box(domain, name):
    """((x from, x to), (y from, y to)) as floats."""
    what = f"surface {name}: domain must be ((x from, x to), (y from, y to))"
    try:
        sides = tuple(point(side, what) for side in domain)
    except (TypeError, ValueError):
        sides = ()
    if len(sides) != 2 or not all(low < high for low, high in sides):
        raise ValueError(f"{what}, each with from < to, got {domain!r}")
    return sides


def around(start):
    """A square around 0 with the start well inside."""
    reach = 1.5 * max(map(abs, start)) or 1.5
    return ((-reach, reach), (-reach, reach))


def noise_level(noise):
    """A standard deviation as a float."""
    return checked("noise", noise, least=0.0)


def checked(name, value, least=None, above=None):
    """A finite number in a range, as a float."""
    words = f"of at least {least:g}" if least is not None else (
        f"above {above:g}" if above is not None else "that is finite")
    number = math.nan
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        number = float(value)
    if not (math.isfinite(number) and (least is None or number >= least)
            and (above is None or number > above)):
        raise ValueError(f"{name} must be a number {words}, got {value!r}")
    return number


def pair(w):
    """(x, y) in few digits."""
    return f"({', '.join(f'{x:.3g}' for x in w)})"


def spans(domain):
    """The domain in words."""
    return ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in zip("xy", domain))


def refined(function, guess):
    """The point near a guess where the gradient is 0: Newton's method, by the engine."""
    surface = Surface(function, "refined", guess)
    w = np.array(guess, float)
    for _ in range(8):
        w = w - np.linalg.solve(surface.hessian(w), surface.gradient(w))
    return tuple(w.tolist())


# --- the surfaces ---------------------------------------------------------------------------------

def quadratic(condition=10.0, rotation=0.0):
    """A bowl with curvatures 1 and `condition`, turned by `rotation` degrees.

    Its condition number decides how slow gradient descent is; its rotation, whether a learning rate
    per coordinate can help.
    """
    condition = checked("quadratic: condition", condition, least=1.0)
    angle = math.radians(checked("quadratic: rotation", rotation))
    cosine, sine = math.cos(angle), math.sin(angle)

    def function(w):
        x, y = w[0], w[1]
        u, v = cosine * x + sine * y, cosine * y - sine * x
        return (u * u + condition * (v * v)) / 2
    return Surface(function, "quadratic", (-2.5, 1.0), ((-3, 3), (-2, 2)), minima=((0.0, 0.0),),
                   source="slide \"SGD's isotropy problem\"; Goh 2017, Why Momentum Really Works",
                   formula=bowl_formula(condition, rotation))


def bowl_formula(condition, rotation):
    """The formula of a quadratic bowl, in words about its axes if it is turned."""
    u, v = ("u", "v") if rotation % 180 else ("x", "y")
    turned = f", u and v: x and y turned by {rotation:g} degrees" if rotation % 180 else ""
    return f"({u}^2 + {condition:g} {v}^2) / 2{turned}"


def noisy(noise=1.0, condition=10.0, rotation=0.0):
    """The quadratic bowl, seen through gradients with noise of this standard deviation, as
    minibatches have it."""
    bowl = quadratic(condition, rotation)
    return Surface(bowl.function, "noisy", bowl.start, bowl.domain, bowl.minima,
                   noise=checked("noisy: noise", noise, least=0.0),
                   source="slide \"Recap: gradient descent vs. batch\"",
                   formula=bowl.formula)


def saddle(y=1e-3):
    """x^2 - y^2: downhill along y, but a start with y = 0 never finds out. y: of the start."""
    def function(w):
        return w[0] * w[0] - w[1] * w[1]
    return Surface(function, "saddle", (1.2, checked("saddle: y", y)), ((-1.5, 1.5), (-1.5, 1.5)),
                   saddles=((0.0, 0.0),), source="slide \"Understanding saddle points\", (1), (2)",
                   formula="x^2 - y^2")


def monkey_saddle():
    """x^3 - 3 x y^2: three ways down (two legs and a tail); at 0 even the curvature is 0."""
    def function(w):
        x, y = w[0], w[1]
        return x * x * x - 3 * (x * y * y)
    return Surface(function, "monkey_saddle", (1.0, 0.05), ((-1.5, 1.5), (-1.5, 1.5)),
                   saddles=((0.0, 0.0),),
                   source="Hilbert and Cohn-Vossen 1932, Anschauliche Geometrie",
                   formula="x^3 - 3 x y^2")


def rosenbrock(a=1.0, b=100.0):
    """(a - x)^2 + b (y - x^2)^2: a bent valley with a flat floor."""
    a = checked("rosenbrock: a", a)
    b = checked("rosenbrock: b", b, above=0.0)

    def function(w):
        x, y = w[0], w[1]
        return (a - x)**2 + b * (y - x * x)**2
    minimum = (a, a * a)
    reach = max(2.0, 1.5 * abs(a))
    return Surface(function, "rosenbrock", (-1.2, 1.0), ((-reach, reach), (-1, max(3, a * a + 1))),
                   minima=(minimum,), source="Rosenbrock 1960",
                   formula=f"({a:g} - x)^2 + {b:g} (y - x^2)^2")


def beale():
    """Beale's function: a flat basin between steep walls at the corners."""
    def function(w):
        x, y = w[0], w[1]
        return ((1.5 - x + x * y)**2 + (2.25 - x + x * y**2)**2 + (2.625 - x + x * y**3)**2)
    return Surface(function, "beale", (1.0, 1.0), ((-4.5, 4.5), (-4.5, 4.5)), minima=((3.0, 0.5),),
                   saddles=((0.0, 1.0),), source="Beale 1958; More, Garbow, Hillstrom 1981, no. 5",
                   formula="(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2")


def himmelblau():
    """(x^2 + y - 11)^2 + (x + y^2 - 7)^2: four minima, all of height 0."""
    def function(w):
        x, y = w[0], w[1]
        return (x * x + y - 11)**2 + (x + y * y - 7)**2
    guesses = (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127)
    between = (0.086678, 2.884255), (-3.073026, -0.081353), (-0.127961, -1.953715), (
        3.385154, 0.073852)
    return Surface(function, "himmelblau", (-0.5, -1.2), ((-5, 5), (-5, 5)),
                   minima=((3.0, 2.0), *(refined(function, guess) for guess in guesses)),
                   saddles=tuple(refined(function, guess) for guess in between),
                   source="Himmelblau 1972, Applied Nonlinear Programming",
                   formula="(x^2 + y - 11)^2 + (x + y^2 - 7)^2")


def styblinski_tang():
    """(x^4 - 16 x^2 + 5 x + the same of y) / 2: one lowest minimum, and three that trap."""
    def function(w):
        return (w**4 - 16 * w**2 + 5 * w).sum() / 2
    high, flat, deep = sorted(np.roots([4, 0, -32, 5]).real.tolist(), reverse=True)
    return Surface(function, "styblinski_tang", (0.4, 0.6), ((-5, 5), (-5, 5)),
                   minima=((deep, deep), (deep, high), (high, deep), (high, high)),
                   saddles=((flat, deep), (flat, high), (deep, flat), (high, flat)),
                   source="Styblinski and Tang 1990",
                   formula="(x^4 - 16 x^2 + 5 x + y^4 - 16 y^2 + 5 y) / 2")


def ravine(steepness=5.0):
    """x^2 / 20 + steepness/2 (y - sin x)^2: steep walls, a winding floor that hardly falls."""
    steepness = checked("ravine: steepness", steepness, above=0.0)

    def function(w):
        x, y = w[0], w[1]
        return x * x / 20 + steepness / 2 * (y - sin(x))**2
    return Surface(function, "ravine", (-5.0, 2.0), ((-6, 3), (-2.5, 2.5)), minima=((0.0, 0.0),),
                   source="after Sutton 1986, Two problems with backpropagation",
                   formula=f"x^2 / 20 + {steepness / 2:g} (y - sin x)^2")


def cliff(steepness=10.0):
    """A plateau with hardly any slope, then a cliff, and below it a shallow bowl."""
    steepness = checked("cliff: steepness", steepness, least=5.0)

    def function(w):
        x, y = w[0], w[1]
        return sigmoid(-steepness * x) + ((x - 1.5)**2 + y * y) / 100
    return Surface(function, "cliff", (-2.0, 1.0), ((-3, 4), (-2, 2)),
                   minima=(refined(function, (1.5, 0.0)),),
                   source="after Pascanu, Mikolov, Bengio 2013",
                   formula=f"sigmoid(-{steepness:g} x) + ((x - 1.5)^2 + y^2) / 100")


SURFACES = {function.__name__: function for function in (
    quadratic, saddle, monkey_saddle, rosenbrock, beale, himmelblau, styblinski_tang, ravine, cliff,
    noisy)}


def surface(name, **parameters):
    """The Surface of that name; parameters are those of its function, such as condition=100.

    Raises ValueError for an unknown name, TypeError for an unknown parameter, each with the nearest
    there is.
    """
    known = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    if known not in SURFACES:
        raise ValueError(f"there is no surface {name!r}; there are {listed(SURFACES)}."
                         f"{nearest(known, SURFACES)}")
    allowed = list(inspect.signature(SURFACES[known]).parameters)
    for key in parameters:
        if key not in allowed:
            has = f"it has {', '.join(allowed)}" if allowed else "it has none"
            raise TypeError(f"surface {known} has no parameter {key!r}; {has}."
                            f"{nearest(key, allowed)}")
    return SURFACES[known](**parameters)
