"""Kinks, ties and edges: minigrad takes the subgradients that PyTorch 2.13 takes."""

import itertools

import numpy as np
import pytest
from mirror import compare, expression

import minigrad

pytestmark = pytest.mark.usefixtures("doubles")

ZERO = np.array([-1.0, 0.0, 2.0, -0.0])
ONES = np.array([1.0, 1.0, 1.0])
TIES = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [0.0, 5.0, 1.0]])
INF, NAN = np.inf, np.nan
# fmt: off
CASES = {
    "kinks at 0": (ZERO, """
        m.relu(x) | abs(x) | m.sign(x) | x * m.relu(x) | m.maximum(x, m.zeros_like(x))
        x.minimum(m.zeros(1)) | x.clamp(min=0)
        x.clamp(max=0) | m.clamp(x, 0, 2) | m.clamp(x, -1, 0) | x.abs().sqrt() | x.square().sqrt()
        m.where(x > 0, x, 2 * x)
        m.nn.functional.leaky_relu(x, 0.1) | m.clamp(x, min=m.zeros_like(x))
        m.clamp(x, max=m.zeros_like(x)) | x.max() | x.min()"""),
    "edges of powers and logs": (ZERO, """
        x ** 0 | x ** 1 | x ** 2 | x ** 3 | x.abs() ** 1.5 | x ** m.tensor(2.0)
        x ** m.tensor([0.0, 0.0, 1.0, 2.0])
        m.tensor(0.0) ** x.abs() | 0 ** x.abs() | 2 ** x
        m.tensor([0.0, 2.0, 0.0, 1.0]) ** (x * x) | (x * x) ** x.abs()
        x.abs() ** 0.5 | x ** -1 | x.reciprocal() | 1 / x | x / x | m.log(x) | m.log1p(x)
        x.sqrt() | m.exp(x * 1000) | x ** 0.0"""),
    "no spread": (ONES, """
        x.std() | x.var() | x.std(0, keepdim=True) | x.std(correction=0) | x.var(correction=0)
        x[:1].var() | x[:1].std(correction=0)
        x[:1].std() | x.std() ** 2 | x[:2].var(correction=2)"""),
    "ties": (TIES, """
        x.amax() | x.amax(1) | x.amin(0) | x.amin(-1, keepdim=True) | x.amax((0, 1)) | x.max()
        x.min() | x.max(1) | x.min(0) | x.max(0, True)
        m.max(x) | x.argmax() | x.argmax(1) | x.argmin(0) | m.maximum(x, x[0])
        m.minimum(x, x[:, :1]) | m.maximum(x, x) | x.max(x * 1)
        m.min(x, 2 * x) | m.maximum(x, m.tensor(2.0)) | x.clamp(1, 3) | x.clamp(min=x[0])
        x.clamp(max=x[:, 1:2]) | x.clamp(x[0], x[0] + 1)
        m.clamp(x, m.tensor(1.0), m.tensor(3.0)) | m.clamp(x, 2, 2) | m.clamp(x, 3, 1)
        m.relu(x - 2) | m.softmax(x * 20, 1)"""),
    "products with zeros": (TIES - 2, """
        x.prod() | x.prod(0) | x.prod(1) | m.prod(x, -1, True) | x[1].prod() | x[:1].prod()
        (x * x).prod(1) | x[0, :2].prod() | x[:, 0].prod() * 3
        (x - x).prod(0) | x.reshape(-1).prod() | m.prod(x.T, 0)"""),
    "steps": (np.array([-2.0, -1.5, -0.5, -0.0, 0.0, 0.5, 1.0, 2.5, 3.0]), """
        m.round(x) | m.floor(x) | m.ceil(x) | m.trunc(x) | m.frac(x) | m.sgn(x)
        x.round(decimals=1) | x * m.floor(x) | 1 / m.floor(x)
        m.remainder(x, 0.5) | m.remainder(x, -0.5) | m.fmod(x, 0.5) | m.remainder(x, x)
        m.fmod(x, x) | m.remainder(x, m.zeros(1)) | m.fmod(x, m.zeros(1))
        m.remainder(x, m.tensor(1.5)) | m.fmod(x, m.tensor(-1.5))
        m.div(x, 0.5, rounding_mode="floor") | m.div(x, 0.1, rounding_mode="floor")
        m.div(x, 0.1, rounding_mode="trunc")
        m.div(x, m.zeros(1), rounding_mode="floor") | m.div(x, m.zeros(1), rounding_mode="trunc")
        m.div(x, x, rounding_mode="floor") | m.nan_to_num(x / 0) | m.nan_to_num(m.log(x))
        m.clamp_min(x, 0.5) | m.clamp_max(x, 0.5) | m.lerp(x, x, 0.5)"""),
    "norms with zeros": (np.array([[0.0, 0.0, 0.0], [0.0, -2.0, 2.0], [1.0, 1.0, -1.0]]), """
        x.norm(1) | x.norm(m.inf) | x.norm(m.inf, 1) | x.norm(1, 0) | x.norm(-m.inf, 1)
        m.linalg.norm(x, 1) | m.linalg.norm(x, m.inf) | m.linalg.norm(x, -m.inf)
        x[1:].norm() | x[1:].norm(dim=1) | m.linalg.vector_norm(x[2], 3)
        (x[1:] ** 2).norm(1, 1)"""),
    "first order: norms at 0": (np.array([[0.0, 0.0, 0.0], [0.0, -2.0, 2.0], [1.0, 1.0, -1.0]]), """
        x.norm() | x.norm(dim=1) | x[0].norm() | m.linalg.vector_norm(x[0])
        m.linalg.vector_norm(x, 3, 1) | m.linalg.vector_norm(x, 1.5, 1)
        x.norm(dim=1, keepdim=True) | m.norm(x[0], 3)
        x.norm(2, (0, 1)) | (x * 0).norm() | x[0].norm(1.5) | x[0].norm(m.inf)"""),
    "running products with zeros": (TIES - 2, """
        x.cumprod(0) | x.cumprod(1) | (x - x).cumprod(0) | (x * x).cumprod(1)
        m.cumprod(x.reshape(-1), 0) | x.T.cumprod(0) | m.cumsum(x * 0, 1)"""),
    "functions at the ends of their domains": (np.array([-1.0, 0.0, 1.0]), """
        m.exp2(x) | m.atan(x) | m.sinh(x) | m.cosh(x) | m.asinh(x) | m.tan(x)
        m.log2(x.abs() + 1)"""),
    "first order: singular": (np.array([-1.0, -0.0, 0.0, 1.0]), """
        m.asin(x) | m.acos(x) | m.acosh(x) | m.atanh(x) | m.log2(x) | m.log10(x) | m.rsqrt(x)
        m.atan2(x, x) | m.atan2(x, 0 * x) | m.atan2(m.zeros(4), x) | m.where(x > 0, m.log10(x), 0.0)
        m.where(x != 0, m.sin(x) / x, 1.0) | m.where(x > 0, x.sqrt(), x) | x.abs() ** 0.5"""),
    "sorted ties": (TIES, """
        x.sort(1).values | x.sort(0, descending=True).values | x.sort(1)[0] * x
        x.flip(1).sort(1).values | x.sort(1, descending=True).indices | x.sort(1).indices"""),
    "singular matrices": (np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.5, 1.0, 3.0]]), """
        m.linalg.det(x) | m.linalg.det(x + m.eye(3)) | m.det(x[:2, :2] * 2 - 1)"""),
    "not finite": (np.array([[INF, 1.0], [-INF, -INF], [-INF, 0.0], [1e300, -1e300], [NAN, 1.0]]),
                   """
        m.sigmoid(x) | x.tanh() | m.exp(x) | m.relu(x) | x.clamp(0, 1) | x.isnan() | x.isinf()
        x.isfinite() | x[1:4].logsumexp(1) | x[2:4].softmax(1)
        x[2:4].log_softmax(1) | x[1].logsumexp(0) | m.maximum(x, m.zeros(1)) | x.amax(1)
        x[:4].amin(0) | x.argmax(1) | x[2:4].abs() | m.where(x > 0, x, 0.0)"""),
    "large": (np.array([-1000.0, -50.0, -20.0, 20.0, 50.0, 800.0]), """
        m.sigmoid(x) | x.tanh() | x.softmax(0) | x.log_softmax(0) | x.logsumexp(0) | m.erf(x)
        m.log1p(m.exp(-x.abs()))
        m.expm1(x.clamp(-60, 60))"""),
}
# fmt: on
CASES = {
    f"{title}: {form.strip()}": (inputs, form.strip())
    for title, (inputs, forms) in CASES.items()
    for form in forms.strip().replace("\n", " | ").split(" | ")
}


# Where minigrad differs from PyTorch 2.13 on purpose: it has a derivative where PyTorch has none.
EXCEPTIONS = {
    "PyTorch refuses to differentiate x // y and 2 % y": ("x // 0.3", 0.0),
    "2 % y follows remainder(tensor, y)": ("2 % x", -np.floor(2 / 0.7)),
    "the norm that counts has the derivative 0, not None": ("x.norm(0)", 0.0),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_deliberate_exceptions(name):
    form, expected = EXCEPTIONS[name]
    x = minigrad.tensor([0.7, 0.7], requires_grad=True)
    expression(form)(minigrad, x).sum().backward()
    assert x.grad.tolist() == [expected, expected]


@pytest.mark.parametrize("form", ["x.norm()", "m.atan2(x, x)"])
def test_second_derivatives_at_0_are_0_where_pytorchs_are_nan(form):
    x = minigrad.zeros(2, requires_grad=True)
    (g,) = minigrad.autograd.grad(expression(form)(minigrad, x).sum(), x, create_graph=True)
    (second,) = minigrad.autograd.grad(g.sum(), x, materialize_grads=True)
    assert g.tolist() == second.tolist() == [0, 0]


@pytest.mark.parametrize("name", CASES)
def test_edge(name):
    inputs, form = CASES[name]
    compare(
        expression(form), inputs, order=1
        if "not finite" in name or "no spread: x[:" in name or name.startswith("first order")
        else 2
    )


@pytest.mark.parametrize(
    "form",
    [
        "m.maximum(x, y)",
        "m.minimum(x, y)",
        "m.max(x, y)",
        "m.where(x >= y, x, y)",
        "x.clamp(min=y)",
        "x.clamp(max=y)",
        "x.clamp(y, y + 1)",
        "x ** y",
        "x / y",
    ],
)
def test_all_pairs_of_special_values(form):
    """0 and ties, in every combination, where two inputs meet."""
    values = [0.0, 1.0, 2.0]
    pairs = np.array(list(itertools.product(values, values)))
    compare(expression(form), pairs[:, 0].copy(), pairs[:, 1].copy(), order=1)


def test_zeros_of_a_product_in_second_order():
    for zeros in ((), (0,), (0, 1), (0, 1, 2)):
        x = np.array([2.0, 3.0, 4.0])
        x[list(zeros)] = 0
        compare(expression("x.prod()"), x)
        compare(expression("m.stack([x, x + 1]).prod(1)"), x)


@pytest.mark.parametrize("size", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_that_is_not_finite_does_not_pass_a_relu_that_is_off(size, create_graph):
    x = minigrad.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    (minigrad.relu(x) * size).sum().backward(create_graph=create_graph)
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.0, size])
