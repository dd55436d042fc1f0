"""Kinks, ties and edges: minigrad takes the subgradients that PyTorch 2.13 takes."""

import itertools

import numpy as np
import pytest
from mirror import compare, expression

pytestmark = pytest.mark.usefixtures("doubles")

ZERO = np.array([-1.0, 0.0, 2.0, -0.0])
ONES = np.array([1.0, 1.0, 1.0])
TIES = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [0.0, 5.0, 1.0]])
INF, NAN = np.inf, np.nan
# fmt: off
CASES = {
    "kinks at 0": (ZERO, """
        m.relu(x) | abs(x) | m.sign(x) | x * m.relu(x) | m.maximum(x, m.zeros_like(x)) | x.minimum(m.zeros(1)) | x.clamp(min=0)
        x.clamp(max=0) | m.clamp(x, 0, 2) | m.clamp(x, -1, 0) | x.abs().sqrt() | x.square().sqrt() | m.where(x > 0, x, 2 * x)
        m.nn.functional.leaky_relu(x, 0.1) | m.clamp(x, min=m.zeros_like(x)) | m.clamp(x, max=m.zeros_like(x)) | x.max() | x.min()"""),
    "edges of powers and logs": (ZERO, """
        x ** 0 | x ** 1 | x ** 2 | x ** 3 | x.abs() ** 1.5 | x ** m.tensor(2.0) | x ** m.tensor([0.0, 0.0, 1.0, 2.0])
        m.tensor(0.0) ** x.abs() | 0 ** x.abs() | 2 ** x | m.tensor([0.0, 2.0, 0.0, 1.0]) ** (x * x) | (x * x) ** x.abs()
        x.abs() ** 0.5 | x ** -1 | x.reciprocal() | 1 / x | x / x | m.log(x) | m.log1p(x) | x.sqrt() | m.exp(x * 1000) | x ** 0.0"""),
    "no spread": (ONES, """
        x.std() | x.var() | x.std(0, keepdim=True) | x.std(correction=0) | x.var(correction=0) | x[:1].var() | x[:1].std(correction=0)
        x[:1].std() | x.std() ** 2 | x[:2].var(correction=2)"""),
    "ties": (TIES, """
        x.amax() | x.amax(1) | x.amin(0) | x.amin(-1, keepdim=True) | x.amax((0, 1)) | x.max() | x.min() | x.max(1) | x.min(0) | x.max(0, True)
        m.max(x) | x.argmax() | x.argmax(1) | x.argmin(0) | m.maximum(x, x[0]) | m.minimum(x, x[:, :1]) | m.maximum(x, x) | x.max(x * 1)
        m.min(x, 2 * x) | m.maximum(x, m.tensor(2.0)) | x.clamp(1, 3) | x.clamp(min=x[0]) | x.clamp(max=x[:, 1:2]) | x.clamp(x[0], x[0] + 1)
        m.clamp(x, m.tensor(1.0), m.tensor(3.0)) | m.clamp(x, 2, 2) | m.clamp(x, 3, 1) | m.relu(x - 2) | m.softmax(x * 20, 1)"""),
    "products with zeros": (TIES - 2, """
        x.prod() | x.prod(0) | x.prod(1) | m.prod(x, -1, True) | x[1].prod() | x[:1].prod() | (x * x).prod(1) | x[0, :2].prod() | x[:, 0].prod() * 3
        (x - x).prod(0) | x.reshape(-1).prod() | m.prod(x.T, 0)"""),
    "not finite": (np.array([[INF, 1.0], [-INF, -INF], [-INF, 0.0], [1e300, -1e300], [NAN, 1.0]]), """
        m.sigmoid(x) | x.tanh() | m.exp(x) | m.relu(x) | x.clamp(0, 1) | x.isnan() | x.isinf() | x.isfinite() | x[1:4].logsumexp(1) | x[2:4].softmax(1)
        x[2:4].log_softmax(1) | x[1].logsumexp(0) | m.maximum(x, m.zeros(1)) | x.amax(1) | x[:4].amin(0) | x.argmax(1) | x[2:4].abs() | m.where(x > 0, x, 0.0)"""),
    "large": (np.array([-1000.0, -50.0, -20.0, 20.0, 50.0, 800.0]), """
        m.sigmoid(x) | x.tanh() | x.softmax(0) | x.log_softmax(0) | x.logsumexp(0) | m.erf(x) | m.log1p(m.exp(-x.abs()))
        m.expm1(x.clamp(-60, 60))"""),
}
# fmt: on
CASES = {
    f"{title}: {form.strip()}": (inputs, form.strip())
    for title, (inputs, forms) in CASES.items()
    for form in forms.strip().replace("\n", " | ").split(" | ")
}


@pytest.mark.parametrize("name", CASES)
def test_edge(name):
    inputs, form = CASES[name]
    compare(
        expression(form), inputs, order=1 if "not finite" in name or "no spread: x[:" in name else 2
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
