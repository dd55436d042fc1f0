"""gradcheck: a derivative is checked against the one thing that cannot share its mistake, numbers.

The one trick: instead of a whole Jacobian, one random direction v at the outputs. The gradient of
<v, f(x)> is what backward computes in one pass; (<v, f(x + eps)> - <v, f(x - eps)>) / (2 eps) is
what it must be, element by element of every input. A wrong rule would have to be wrong exactly
orthogonally to v to pass. The second order needs no second method: the gradient is itself a
function of x and v, and is checked like any other.

Central differences err by about eps^2 f''' / 6 (the formula) + 1e-16 f / eps (rounding): some 1e-10
in float64 with eps=1e-6, but 10 % in float32, which is why float32 is refused.
"""

import contextlib

import numpy as np

from minigrad.autograd.gradients import grad
from minigrad.engine import Recorded, describe, wrap

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The analytic and the numeric gradient differ (torch.autograd.gradcheck.GradcheckError)."""


def gradcheck(function, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, order=1, raise_exception=True):
    """True if the gradients of function are right at inputs (torch.autograd.gradcheck).

    function: of tensors (and anything else) to a tensor or a sequence of tensors, of any shapes.
    inputs: its arguments, a sequence or one tensor. Every element of every one that requires grad
    is moved by +-eps in place, and restored to the bit. They must be float64; keep them away from
    kinks. Passes where |analytic - numeric| <= atol + rtol |numeric|. order=2 also checks the
    gradient of the gradient, and that rules give the same first gradients on arrays as on tensors.

    Raises GradcheckError naming the input, the index, both values and the error (or, with
    raise_exception=False, returns False), and ValueError for inputs that can't be checked.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order!r}")
    checks = [check, check_gradient][:order]
    return verdict(checks, function, arguments(inputs), (eps, atol, rtol), raise_exception)


def gradgradcheck(function, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """True if the gradients of the gradients of function are right: the second half of
    gradcheck(order=2), with its arguments and errors (torch.autograd.gradgradcheck)."""
    checks = [check_gradient]
    return verdict(checks, function, arguments(inputs), (eps, atol, rtol), raise_exception)


def verdict(checks, function, inputs, tolerances, raise_exception):
    try:
        for each in checks:
            each(function, inputs, *tolerances)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def arguments(inputs):
    """The arguments as a tuple, if they can be checked."""
    inputs = (inputs,) if isinstance(inputs, Recorded) else tuple(inputs)
    if not tracked(inputs):
        raise ValueError("gradcheck expects at least one input tensor with requires_grad=True, got "
                         f"{len(inputs)} inputs without")
    for x, label in zip(tracked(inputs), labels(inputs)):
        if x.array.dtype != np.float64:
            raise ValueError(f"gradcheck: {label} is {x.array.dtype}, whose rounding errors are "
                             "larger than the differences to be measured; use float64: x.double()")
        if not x.array.flags.writeable or (x.array.size > 1 and 0 in x.array.strides):
            raise ValueError(f"gradcheck: {label} can't be changed one element at a time (it is "
                             "expanded or read-only); pass a clone()")
    return inputs


def tracked(inputs):
    return [x for x in inputs if isinstance(x, Recorded) and x.requires_grad]


def labels(inputs):
    """How messages call the tracked inputs: by name, or by position."""
    return [f"'{x.name}'" if x.name else f"input {i}" for i, x in enumerate(inputs)
            if isinstance(x, Recorded) and x.requires_grad]


def outputs_of(function, inputs):
    """The floating-point tensors that function returns; no others can have gradients."""
    outputs = function(*inputs)
    outputs = [outputs] if isinstance(outputs, Recorded) else outputs
    if not isinstance(outputs, (tuple, list)) or not all(isinstance(y, Recorded) for y in outputs):
        raise ValueError("gradcheck: the function must return tensors, got "
                         f"{type(outputs).__name__}")
    return [y for y in outputs if y.array.dtype.kind == "f"]


def directions(outputs):
    """v, the gradient to arrive at each output: away from 0, of either sign, always the same."""
    random = np.random.default_rng(20240229)  # its own: the user's random numbers stay as they are
    return [np.asarray(random.uniform(0.5, 1.5, y.shape) * random.choice([-1.0, 1.0], y.shape))
            for y in outputs]


# --- the two sides --------------------------------------------------------------------------------

def analytic(function, inputs, scale=1.0, create_graph=False):
    """What the rules say: the gradients of <v, function(*inputs)> for the tracked inputs."""
    outputs = outputs_of(function, inputs)
    starts = [wrap(v * scale) for v in directions(outputs)]
    paired = [(y, v) for y, v in zip(outputs, starts) if y.requires_grad]
    if not paired:  # a constant has the gradient 0: the numbers will tell whether it is one
        return [np.zeros_like(x.array) for x in tracked(inputs)]
    try:
        gradients = grad([y for y, _ in paired], tracked(inputs), [v for _, v in paired],
                         create_graph=create_graph, materialize_grads=True)
    except Exception as error:
        raise GradcheckError(f"gradcheck: backward failed with {type(error).__name__}: "
                             f"{error}") from error
    return [g.array for g in gradients]


def numeric(function, inputs, x, eps):
    """What the numbers say: the same gradient for one input, by central differences."""
    slope = np.zeros(x.array.shape)
    for index in np.ndindex(x.array.shape):
        value = x.array[index]
        try:
            x.array[index] = value + eps
            above = [y.array.copy() for y in outputs_of(function, inputs)]
            x.array[index] = value - eps
            below = [y.array.copy() for y in outputs_of(function, inputs)]
        finally:
            x.array[index] = value
        with np.errstate(all="ignore"):
            slope[index] = sum((v * (a - b)).sum() for v, a, b in zip(
                directions(below), above, below)) / (2 * eps)
    return slope


@contextlib.contextmanager
def undisturbed(tensors):
    """Afterwards the memory of the tensors counts as unwritten: it holds the same bits."""
    memories = [x.memory for x in tensors if x.memory is not None]
    for memory in memories:
        memory.look()
    stamps = [(memory.changed, memory.digest) for memory in memories]
    try:
        yield
    finally:
        for memory, (changed, digest) in zip(memories, stamps):
            memory.changed, memory.digest = changed, digest


# --- the checks -----------------------------------------------------------------------------------

def check(function, inputs, eps, atol, rtol, what="the gradient"):
    """Raises GradcheckError unless the two sides agree everywhere."""
    with undisturbed(tracked(inputs)):
        check_deterministic(function, inputs)
        results = analytic(function, inputs)
        doubled = analytic(function, inputs, scale=-2.0)
        for x, label, a, b in zip(tracked(inputs), labels(inputs), results, doubled):
            compare(a, numeric(function, inputs, x, eps), atol, rtol,
                    f"{what} with respect to {label} (a {describe(x)}) is wrong", "numeric")
            compare(b / -2, a, 1e-9, 1e-9,
                    f"{what} with respect to {label} is not proportional to the gradient that "
                    "arrives at the output", "with the arriving gradient times -2, divided by -2")


def check_deterministic(function, inputs):
    for i, (a, b) in enumerate(zip(outputs_of(function, inputs), outputs_of(function, inputs))):
        if a.array.shape != b.array.shape or not np.array_equal(a.array, b.array, equal_nan=True):
            raise GradcheckError(f"gradcheck: output {i} differs between two calls with the same "
                                 "inputs; the function must be deterministic (no dropout, no "
                                 "random numbers)")


def check_gradient(function, inputs, eps, atol, rtol):
    """Checks the gradient as a function of the inputs and of v, and both readings of the rules."""
    with undisturbed(tracked(inputs)):
        on_arrays = analytic(function, inputs)
        on_tensors = analytic(function, inputs, create_graph=True)
        for label, a, b in zip(labels(inputs), on_arrays, on_tensors):
            compare(a, b, 1e-12, 1e-9, f"the gradient with respect to {label} depends on whether "
                    "the rules run on arrays or on tensors", "on tensors (create_graph=True)")
        outputs = outputs_of(function, inputs)
    starts = [wrap(v) for y, v in zip(outputs, directions(outputs)) if y.requires_grad]
    for k, v in enumerate(starts):
        v.requires_grad, v.name = True, f"upstream gradient of output {k}"
    n = len(inputs)

    def gradient(*all_inputs):
        sources = [y for y in outputs_of(function, all_inputs[:n]) if y.requires_grad]
        return grad(sources, tracked(all_inputs[:n]), list(all_inputs[n:]), create_graph=True,
                    materialize_grads=True)

    if starts:
        check(gradient, (*inputs, *starts), eps, atol, rtol, "the second-order gradient")


def compare(a, b, atol, rtol, problem, other):
    """Raises GradcheckError at the element where a and b differ most beyond the tolerance."""
    with np.errstate(all="ignore"):
        excess = np.abs(a - b) - (atol + rtol * np.abs(b))
    excess = np.where(np.isnan(excess), np.inf, excess)
    if excess.size == 0 or excess.max() <= 0:
        return
    index = tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
    wrong = int((excess > 0).sum())
    raise GradcheckError(
        f"gradcheck: {problem} at index {index}: analytic {a[index]:.10g}, {other} "
        f"{b[index]:.10g}, error {abs(a[index] - b[index]):.3g} ({wrong} of "
        f"{excess.size} elements are off)")
