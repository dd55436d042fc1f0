"""What minigrad.source cannot print, it refuses with a reason; what is merely long or strange it
prints."""

import numpy as np
import pytest

import minigrad
from minigrad.codegen.source import source
from test_source import same_bits


def test_what_cannot_be_printed_is_refused_with_a_reason():
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"loss of one number, the tensor of shape \(2,\)"):
        source(w * 2)
    with pytest.raises(ValueError, match="does not require grad"):
        source(w.detach().sum())
    with pytest.raises(TypeError, match="loss must be a Tensor, got float"):
        source(1.0)
    with pytest.raises(ValueError, match="'readable'.*got 'pretty'"):
        source(w.sum(), style="pretty")
    with pytest.raises(TypeError, match="number 1 is a str"):
        source(w.sum(), [w, "b"])


def test_a_computation_too_large_to_read_is_refused():
    x = minigrad.tensor(1.0, requires_grad=True)
    for _ in range(5001):
        x = x * 1.0
    with pytest.raises(ValueError, match="5002 operations, and source.. prints at most 5000"):
        source(x)


def test_a_long_chain_is_printed_without_recursion():
    x = minigrad.tensor(1.0, requires_grad=True)
    for _ in range(2500):
        x = x.sin()
    same_bits(x)


def test_python_code_of_the_users_own_is_refused():
    class Double(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(NotImplementedError, match="autograd.Function"):
        source(Double.apply(w).sum())


def test_a_value_that_was_overwritten_is_noticed():
    w, x = minigrad.tensor([1.0, 2.0], requires_grad=True), minigrad.tensor([3.0, 4.0])
    loss = (w + x).sum()
    x.add_(1.0)
    with pytest.raises(RuntimeError, match="changed in place since. Call source"):
        source(loss)


def test_a_function_without_source_is_refused():
    scope = {"np": np}
    exec("def cube(x):\n    return x**3 if x.sum() > 0 else x\n", scope)
    cube = minigrad.primitive(scope["cube"], lambda g, y, x: g * 3 * x**2, name="cube")
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match="source of cube cannot be found"):
        source(cube(w).sum())


def test_a_primitive_of_the_users_own_is_followed():
    cube = minigrad.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2, name="cube")
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    assert "w**3" in str(same_bits(cube(w).sum(), [w]))
