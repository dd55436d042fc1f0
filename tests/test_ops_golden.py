"""The core operations against numbers that PyTorch computed, for machines without PyTorch: values,
gradients for a given upstream gradient, and the gradient of the sum of the squared gradients."""

import json
import pathlib

import numpy as np
import pytest

import minigrad

ROWS = json.loads((pathlib.Path(__file__).parent / "golden_ops.json").read_text())["rows"]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row["expression"] for row in ROWS])
def test_golden(number):
    row = ROWS[number]
    inputs = [minigrad.tensor(values, requires_grad=True) for values in row["inputs"]]
    result = eval("lambda m, x, y=None: " + row["expression"])(minigrad, *inputs)
    assert_close(result, row["value"])
    gradients = minigrad.autograd.grad(
        result, inputs, minigrad.tensor(row["upstream"]), create_graph=True
    )
    for g, expected in zip(gradients, row["gradients"]):
        assert_close(g, expected)
    total = sum((g * g).sum() for g in gradients)
    if total.requires_grad:
        second = minigrad.autograd.grad(total, inputs, materialize_grads=True)
    else:
        second = [minigrad.zeros_like(x) for x in inputs]
    for g, expected in zip(second, row["second"]):
        assert_close(g, expected)


def assert_close(tensor, expected):
    assert list(tensor.shape) == list(np.shape(expected))
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
