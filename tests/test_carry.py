"""Carrying over: state dicts to PyTorch and back, and the list of words that ships."""

import builtins
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import minigrad
from minigrad import from_torch, nn, tensor, to_torch
from minigrad.data import words

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


def both(make):
    """The same network on both sides."""
    return make(nn), make(torch.nn)


def layers(nn):
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.LayerNorm(5),
                         nn.Dropout(0.5), nn.Linear(5, 2, bias=False))


@needs_torch
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_dtype_shape_and_values_are_kept_both_ways(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    there = to_torch(tensor(array))
    assert there.dtype == getattr(torch, dtype) and tuple(there.shape) == shape
    back = from_torch(there)
    assert back.dtype == np.dtype(dtype) and np.array_equal(back.numpy(), array)
    assert back.shape == shape


@needs_torch
def test_networks_carried_over_compute_the_same(doubles):
    ours, theirs = both(layers)
    x = np.random.default_rng(0).standard_normal((7, 3))
    ours(tensor(x))  # running statistics that are not the initial ones
    state = to_torch(ours.state_dict())
    assert list(state) == list(theirs.state_dict())
    assert {k: v.dtype for k, v in state.items()} == {
        k: v.dtype for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(state)
    np.testing.assert_allclose(ours.eval()(tensor(x)).detach().numpy(),
                               theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12)


@needs_torch
def test_networks_carried_back_compute_the_same(doubles):
    ours, theirs = both(layers)
    ours.load_state_dict(from_torch(theirs.state_dict()))
    x = np.random.default_rng(0).standard_normal((7, 3))
    np.testing.assert_allclose(ours.eval()(tensor(x)).detach().numpy(),
                               theirs.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-12)


@needs_torch
def test_copies_and_flags():
    w = nn.Parameter(tensor([1.0, 2.0]))
    there = to_torch(w)
    assert there.requires_grad and there.is_leaf
    with torch.no_grad():
        there += 1
    assert w.tolist() == [1, 2]
    back = from_torch(there)
    assert back.requires_grad and back.is_leaf and back.tolist() == [2, 3]
    back.detach().numpy()[0] = 9
    assert there.tolist() == [2, 3]
    assert to_torch(tensor([1.0, 2.0]).flip(0) if hasattr(w, "flip") else w).shape == (2,)


@needs_torch
def test_nests():
    there = to_torch({"epoch": 3, "w": [tensor(1.0), (tensor(2),)], "note": "x", "none": None})
    assert there["epoch"] == 3 and there["note"] == "x" and there["none"] is None
    assert isinstance(there["w"][0], torch.Tensor) and isinstance(there["w"][1], tuple)
    back = from_torch(there)
    assert isinstance(back["w"][1][0], minigrad.Tensor)


@needs_torch
@pytest.mark.parametrize("call, error, words", [
    (lambda: to_torch(tensor(1.0, requires_grad=True) * 2), RuntimeError, "mul has a history"),
    (lambda: from_torch(torch.ones(2, requires_grad=True) * 2), RuntimeError, "grad_fn"),
    (lambda: from_torch(torch.ones(2, dtype=torch.bfloat16)), TypeError, "bfloat16"),
    (lambda: from_torch(torch.ones(2, dtype=torch.complex64)), TypeError, "complex64"),
    (lambda: from_torch(torch.eye(2).to_sparse()), TypeError, "sparse"),
    (lambda: to_torch(nn.Linear(1, 1)), TypeError, "Linear: give its state_dict()"),
    (lambda: to_torch(torch.ones(1)), TypeError, "torch.Tensor"),
    (lambda: from_torch(tensor(1.0)), TypeError, "minigrad.tensor.Tensor"),
    (lambda: to_torch(np.ones(2)), TypeError, "ndarray"),
])
def test_refusals(call, error, words):
    with pytest.raises(error, match=re.escape(words) if "(" in words else words):
        call()


def test_without_pytorch(monkeypatch):
    def no_torch(name, *rest):
        if name == "torch":
            raise ImportError(name)
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_torch)
    for function in (to_torch, from_torch):
        with pytest.raises(ImportError, match="need PyTorch.*pip install torch"):
            function({})


def test_pytorch_is_imported_by_nothing_else():
    code = "import sys, minigrad, minigrad.carry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_readme_shows_the_example():
    root = pathlib.Path(__file__).parents[1]
    page = (root / "README.md").read_text(encoding="utf-8").split("## Carrying over")[1]
    example = (root / "examples" / "11_change_the_import.py").read_text(encoding="utf-8")
    script = example.split('"""')[3].strip().split("losses = []")[0]
    assert script in page
    assert re.search("#> (minigrad .*)", example)[1] in page


# --- the words -----------------------------------------------------------------------------------

def test_words():
    listed = words()
    assert len(listed) == 7917 and listed == sorted(set(listed))
    assert all(re.fullmatch("[a-z]{4,7}", word) for word in listed)
    assert {"abacus", "learn", "zebra"} <= set(listed)
    listed.clear()
    assert words()
