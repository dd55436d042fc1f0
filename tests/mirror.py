"""One expression, two libraries: whatever is written in terms of `m` runs on minigrad and on
PyTorch, and values, dtypes, gradients and second gradients are compared."""

import warnings

import numpy as np
import pytest

import minigrad

torch = pytest.importorskip("torch")

TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2}
FLOATS = tuple(TOLERANCE)


def leaves_of(inputs, library):
    """The inputs as that library's tensors; arrays of floats require grad, the rest is as it is."""
    made = minigrad.tensor if library is minigrad else torch.tensor
    return [
        made(a.copy()).requires_grad_(a.dtype.kind == "f") if isinstance(a, np.ndarray) else a
        for a in inputs
    ]


def flat(results):
    if isinstance(results, (tuple, list)):
        return [r for result in results for r in flat(result)]
    return [results]


def values(tensor):
    if isinstance(tensor, torch.Tensor):
        return tensor.numpy(force=True)
    return tensor.detach().numpy() if isinstance(tensor, minigrad.Tensor) else tensor


def dtype_of(tensor):
    return str(tensor.dtype).replace("torch.", "")


def same(ours, theirs, what, rtol=0):
    """Asserts equal shapes, dtypes and values (to the tolerance of the dtype, at least rtol)."""
    if theirs is None or not hasattr(theirs, "detach"):
        assert ours == theirs or (ours != ours and theirs != theirs), f"{what}: {ours} != {theirs}"
        return
    assert isinstance(ours, minigrad.Tensor), f"{what}: {type(ours)}"
    assert tuple(ours.shape) == tuple(theirs.shape), (
        f"{what}: {ours.shape} != {tuple(theirs.shape)}"
    )
    assert dtype_of(ours) == dtype_of(theirs), f"{what}: {ours.dtype} != {theirs.dtype}"
    rtol = max(TOLERANCE.get(dtype_of(theirs), 0), rtol)
    np.testing.assert_allclose(
        values(ours), values(theirs), rtol=rtol, atol=rtol / 100, err_msg=what
    )


def upstream(outputs):
    random = np.random.default_rng(7)
    return [
        np.asarray(
            random.uniform(0.5, 1.5, tuple(y.shape)) * random.choice([-1, 1], tuple(y.shape))
        )
        for y in outputs
    ]


def gradients(library, outputs, leaves, create_graph=True):
    """Gradients of the tracked outputs, each weighted by its upstream gradient, or None."""
    outputs = [y for y in outputs if hasattr(y, "requires_grad") and y.requires_grad]
    leaves = [x for x in leaves if hasattr(x, "requires_grad") and x.requires_grad]
    if not outputs or not leaves:
        return []
    starts = [library.tensor(v).to(y.dtype) for v, y in zip(upstream(outputs), outputs)]
    return library.autograd.grad(
        outputs, leaves, starts, create_graph=create_graph, allow_unused=True
    )


def compare(function, *inputs, order=2):
    """Asserts that function(m, *inputs) has equal values and gradients on both sides.

    inputs: arrays (made tensors; tracked if they are floats) and anything else (passed on).
    """
    ours, theirs = leaves_of(inputs, minigrad), leaves_of(inputs, torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = flat(function(minigrad, *ours)), flat(function(torch, *theirs))
    what = "value"
    rtol = max(
        [TOLERANCE.get(dtype_of(t), 0) for t in b + theirs if hasattr(t, "dtype")], default=0
    )
    for k in range(order + 1):
        if (
            k == 2
        ):  # PyTorch says "zero" and "does not depend on it" as the case may be: both mean 0
            a, b = [[*c, *[None] * (len(theirs) - len(c))] for c in (a, b)]
        assert len(a) == len(b), f"{what}: {len(a)} results, PyTorch has {len(b)}"
        for i, (mine, yours) in enumerate(zip(a, b)):
            if k == 2 and (mine is None or yours is None):
                present = values(yours if mine is None else mine)
                assert present is None or not np.any(present), f"{what} {i}: {mine} != {yours}"
                continue
            same(mine, yours, f"{what} {i}", rtol)
            if k == 0 and hasattr(yours, "requires_grad"):
                assert mine.requires_grad == yours.requires_grad, f"{what} {i}: requires_grad"
        if k == order:
            break
        a = gradients(minigrad, a, ours, create_graph=order > k + 1)
        b = gradients(torch, b, theirs, create_graph=order > k + 1)
        what = ("gradient", "second gradient")[k]


def expression(text):
    """The function of (m, x, y, z) that an expression in these letters stands for."""
    return eval(f"lambda m, x=None, y=None, z=None: {text}")


def real(*shape, seed=0, dtype=np.float64):
    """Numbers of either sign, away from 0 (the kinks have tests of their own)."""
    random = np.random.default_rng([seed, len(shape), *shape])
    return np.asarray(random.uniform(0.3, 1.7, shape) * random.choice([-1.0, 1.0], shape)).astype(
        dtype
    )


def positive(*shape, seed=0, dtype=np.float64):
    return np.asarray(abs(real(*shape, seed=seed, dtype=dtype)))
