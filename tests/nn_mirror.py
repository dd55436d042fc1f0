"""nn called in both libraries: a function or a module runs on minigrad and on PyTorch, and values,
dtypes, gradients and buffers are compared."""

import warnings

import numpy as np
import pytest

import minigrad

torch = pytest.importorskip("torch")

TOLERANCE = {"float64": 1e-9, "float32": 1e-5}
NUMBERS = np.array([[-1e4, -30.0, -3.1, -1.0, -1e-3, 0.0], [1e-3, 0.5, 1.0, 20.0, 21.0, 1e4]])


def pair(array, dtype="float64", tracked=True):
    """The array in both libraries; floats require grad if tracked."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        array = array.astype(dtype)
    track = tracked and array.dtype.kind == "f"
    return (minigrad.tensor(array, requires_grad=track),
            torch.tensor(array, requires_grad=track))


def close(ours, theirs, what="", tolerance=0):
    """Same shape, dtype and numbers (nan and inf included), to the accuracy of the dtype."""
    assert (ours is None) == (theirs is None), what
    if ours is None:
        return
    theirs = torch.tensor(theirs.detach().numpy(force=True))
    assert tuple(ours.shape) == tuple(theirs.shape), what
    assert str(ours.dtype) == str(theirs.dtype).replace("torch.", ""), what
    tolerance = max(TOLERANCE.get(str(ours.dtype), 0), tolerance)
    size = np.abs(theirs.numpy()[np.isfinite(theirs.numpy())]).max(initial=0)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.numpy(), tolerance,
                               tolerance * (size + 1e-4),
                               err_msg=what)


def both_backward(ours, theirs):
    """backward() from both, with one random upstream gradient."""
    if theirs.requires_grad:
        gradient = np.random.default_rng(1).normal(size=tuple(theirs.shape))
        theirs.backward(torch.tensor(gradient, dtype=theirs.dtype))
        ours.backward(minigrad.tensor(gradient.astype(ours.dtype)))


def compare(function, torch_function, arrays, dtype="float64", tolerance=0, **options):
    """Compares values and gradients of function(*arrays, **options), options also arrays."""
    inputs = [pair(a, dtype) for a in arrays]
    extra = {name: pair(value, dtype, False) if isinstance(value, np.ndarray) else (value, value)
             for name, value in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = function(*[x for x, _ in inputs], **{name: x for name, (x, _) in extra.items()})
        theirs = torch_function(*[x for _, x in inputs],
                                **{name: x for name, (_, x) in extra.items()})
    what = f"{function} {options}"
    close(ours, theirs, what, tolerance)
    both_backward(ours, theirs)
    for x, y in inputs:
        close(x.grad, y.grad, "gradient of " + what, tolerance)


def loaded(ours, theirs):
    """The parameters and buffers of ours, copied into theirs: names and shapes must agree."""
    state = {name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)


def compare_modules(ours, theirs, *arrays, dtype="float64"):
    """Compares values, gradients and buffers of two modules called with the arrays."""
    inputs = [pair(a, dtype) for a in arrays]
    y, z = ours(*[x for x, _ in inputs]), theirs(*[x for _, x in inputs])
    close(y, z, repr(ours))
    ours.zero_grad()
    theirs.zero_grad()
    both_backward(y, z)
    for a, b in inputs:
        close(a.grad, b.grad, f"input gradient of {ours!r}")
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        close(p.grad, q.grad, f"{name} of {ours!r}")
    for (name, p), (_, q) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        close(p, q, f"{name} of {ours!r}")


def compare_twice(function, torch_function, arrays, dtype="float64", tolerance=0, **options):
    """Compares values, gradients and gradients of gradients, weighted by random numbers."""
    compare(function, torch_function, arrays, dtype, tolerance, **options)
    rng = np.random.default_rng(2)
    inputs = [pair(a, dtype) for a in arrays]
    what = f"second gradient of {function} {options}"
    results = []
    for library, side, function in ((minigrad, 0, function), (torch, 1, torch_function)):
        rng = np.random.default_rng(2)
        given = [x[side] for x in inputs]
        extra = {name: pair(value, dtype, False)[side] if isinstance(value, np.ndarray) else value
                 for name, value in options.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = function(*given, **extra)
        tracked = [x for x in given if x.requires_grad]
        upstream = library.tensor(rng.normal(size=tuple(y.shape)).astype(dtype))
        first = library.autograd.grad(y, tracked, upstream, create_graph=True)
        weights = [library.tensor(rng.normal(size=tuple(g.shape)).astype(dtype)) for g in first]
        total = sum((g * w).sum() for g, w in zip(first, weights))
        results.append(library.autograd.grad(total, tracked, allow_unused=True)
                       if total.requires_grad else [None] * len(tracked))
    for ours, theirs, (x, _) in zip(*results, [x for x in inputs if x[0].requires_grad]):
        zeros = np.zeros(x.shape, dtype)
        close(*(pair(zeros, dtype)[i] if g is None else g for i, g in enumerate((ours, theirs))),
              what=what, tolerance=max(tolerance, 10 * TOLERANCE[dtype]))
