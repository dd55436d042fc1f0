"""Every public operation, as function and method, against PyTorch: value and two gradients.

The cases are the expressions themselves, evaluated once with m = minigrad and once with m = torch.
"""

import itertools

import numpy as np
import pytest
from mirror import compare, expression, positive, real

pytestmark = pytest.mark.usefixtures("doubles")

# fmt: off
UNARY = """
neg negative abs absolute sign exp expm1 log log1p sqrt square reciprocal sin cos tanh sigmoid relu
erf
""".split()

FORMS = """
-x | +x | abs(x) | 2 - x | 2 + x | 2 * x | 2 / x | x - 1.5 | x + 1 | x * -3 | x / 4 | 2 ** x
2.5 ** x | x ** 2
x ** 3 | x ** 0 | x ** 1 | x ** -1 | x ** 2.0 | m.pow(x, 3) | x.pow(2) | x.abs().pow(0.5)
x.abs() ** -2.5
m.pow(2.0, x) | m.add(x, 2) | m.add(x, x, alpha=3) | x.add(1, alpha=2)
m.sub(x, x * x, alpha=0.5) | x.sub(2)
m.mul(x, 3) | m.div(x, 3) | x.mul(x) | x.div(x + 3) | m.true_divide(x, 2) | x.true_divide(2)
m.subtract(x, 1) | m.multiply(x, 2) | m.divide(x, 2) | x.subtract(1) | x.multiply(2) | x.divide(2)
m.div(x.detach(), 0.3, rounding_mode="floor") | x.detach().div(-0.3, rounding_mode="trunc")
x.detach() // 0.4 | 2 // x.detach()
m.clamp(x, -1, 0.9) | x.clamp(min=0.5) | x.clamp(max=0.1) | m.clip(x, -0.5, 0.5) | x.clip(0, 1)
m.clamp(x, 2, 1)
m.clamp(x, min=m.zeros_like(x)) | x.clamp(max=x * 0.5) | m.clamp(x, x - 1, x * x)
x > 0 | x >= 0.5 | x < 0 | x <= 0.5 | x == x | x != x | m.eq(x, 1) | x.ne(1) | m.lt(x, 0)
x.le(0) | m.gt(x, 0)
x.ge(0) | (x > 0) & (x < 1) | (x > 0) | (x < -1) | ~(x > 0) | (x > 0) ^ (x > 1)
m.logical_not(x > 0)
m.logical_and(x > 0, x < 1) | (x > 0).logical_or(x < -1) | m.logical_xor(x > 0, x > 1)
m.isnan(x) | x.isinf()
m.isfinite(x) | m.equal(x, x) | m.allclose(x, x + 1e-9) | x.allclose(x + 1) | (x > 0).all()
(x > 0).any()
m.sum(x) | x.mean() | x.prod() | x.var() | x.std() | x.amax() | x.amin() | x.max() | x.min()
x.argmax() | x.argmin()
x.var(False) | x.std(unbiased=False) | x.var(correction=0) | m.var(x, correction=0)
x.clone() | m.clone(x) | x.detach() | x.contiguous() | x.float() | x.double() | x.long() | x.int()
x.bool() | x.half()
x.to(m.float32) | x.to(m.float64) | x.float() * x | x.to(m.float32).sum() | x.numel() | m.numel(x)
x.dim() | x.ndim
x.reshape(-1) | x.view(-1) | x.flatten() | m.flatten(x) | x.unsqueeze(0) | m.unsqueeze(x, -1)
x.squeeze() | x.T.sum()
m.zeros_like(x) | m.ones_like(x) | m.full_like(x, 3) | x.new_zeros(2, 3) | x.new_ones(2)
x.new_full((2,), 3)
m.softmax(x, -1) | x.softmax(dim=0) | m.log_softmax(x, 0) | x.log_softmax(-1) | m.logsumexp(x, 0)
x.logsumexp(-1, keepdim=True)
m.softmax(x, 0, dtype=m.float32) | m.nn.functional.relu(x) | m.where(x > 0, x, -x)
m.where(x > 0, x, 0.5) | m.where(x > 0, 1.0, x)
m.where(x > 0, x, m.tensor(2.0)) | x.masked_fill(x > 0, 3) | m.masked_fill(x, x < 0, 0.5) | x[...]
x[None] | m.stack([x, x * 2])
m.stack((x, x, x), -1) | x.masked_fill(x > 0, m.tensor(2.0))
""".replace("\n", " | ").split(" | ")
FORMS = [form for form in FORMS if form.strip()]

DIMS = "0 1 -1 (0,) (0,1) (-1,0) (1,-3) [2] None ()".split()
REDUCE = ["m.sum(x, {d}, {k})", "x.mean(dim={d}, keepdim={k})", "m.var(x, {d}, keepdim={k})",
          "x.std({d}, correction=0, keepdim={k})",
          "m.amax(x, {d}, {k})", "x.amin({d}, keepdim={k})"]
REDUCE_ONE = ["m.prod(x, {d}, {k})", "x.argmax({d}, {k})", "m.argmin(x, dim={d}, keepdim={k})",
              "x.max({d}, {k})", "m.min(x, {d}, keepdim={k})",
              "(x > 0).all({d}, {k})", "m.any(x > 0, {d}, keepdim={k})", "m.logsumexp(x, {d}, {k})",
              "m.softmax(x, {d})",
              "x.log_softmax({d})", "m.cat([x, x * 2, x], {d})", "m.stack([x, x], dim={d})",
              "m.unsqueeze(x, {d})",
              "x.split(1, {d})", "m.split(x, 2, dim={d})", "x.chunk(2, {d})", "m.chunk(x, 3, {d})",
              "x.size({d})",
              "x.narrow({d}, 0, 1)", "m.squeeze(x[:1], {d})"]

SHAPES = """
x.reshape(4, 6) | m.reshape(x, (6, -1)) | x.view(24) | x.view(2, -1, 2) | x.flatten(1)
m.flatten(x, 0, 1) | x.flatten(-2, -1)
x.permute(2, 0, 1) | m.permute(x, (1, 0, 2)) | x.permute(-1, 0, 1) | x.transpose(0, 1)
m.transpose(x, -1, 0) | x[0].t() | m.t(x[0])
x[0].T | x.mT | x.squeeze() | x[:, :1].squeeze(1) | x[:, :1].squeeze((0, 1))
m.squeeze(x[:1, :1]) | x.unsqueeze(-1) | x.unsqueeze(1)
x[:, :1].expand(2, 5, 4) | x[:1].expand(3, -1, -1) | x.expand(3, 2, 3, 4)
m.broadcast_to(x[:1], (5, 3, 4)) | x[:1].broadcast_to(2, 3, 4)
x.split([1, 2], 1) | m.split(x, [1, 1, 2], -1) | x.split(2, dim=-1) | m.cat((x, x[:, :1]), 1)
m.cat([x, x[:1]]) | m.cat([x, m.zeros(0)])
m.stack([x[0], x[1]], 2) | m.stack(x.split(1)) | x.T if False else x.mT.reshape(-1)
x.permute(2, 1, 0).reshape(-1) | x.transpose(0, 2).contiguous().view(-1)
x.permute(2, 1, 0).sum(1) | x.transpose(0, 1)[1] * x[0, 1] | x[:, ::2].reshape(-1)
x[..., 1:3].permute(2, 0, 1) * 2 | (x.mT @ x).sum(0)
x.gather(1, m.tensor([[[0, 1, 2, 0]], [[2, 2, 1, 0]]])) | m.gather(x, -1, m.tensor([[[3, 3]]]))
x.gather(0, m.ones_like(x).long())
m.where(x > 0) | [r for r in x] | [*x[0]] | x.size() | x.shape | len(x) | x.stride()
x.is_contiguous() | x.mT.is_contiguous() | x.element_size()
""".replace("\n", " | ").split(" | ")
SHAPES = [form for form in SHAPES if form.strip()]

MATMUL = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)),
          ((3,), (5, 3, 2)), ((5, 2, 3), (3, 4)),
          ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)),
          ((2, 1, 2, 3), (5, 3, 4)), ((2, 1, 1, 3), (2, 4, 3, 1)),
          ((0, 3), (3, 2)), ((2, 0), (0, 2)), ((1, 1), (1, 1)), ((0,), (0,)), ((0, 2, 3), (3, 2))]
# fmt: on


@pytest.mark.parametrize("name", UNARY)
def test_elementwise(name):
    make = positive if name in ("log", "log1p", "sqrt") else real
    for form in (f"m.{name}(x)", f"x.{name}()", f"x.T.{name}()"):
        for shape in ((2, 3), (), (0,), (4,), (1, 1)):
            if form[1:3] != ".T" or len(shape) == 2:
                compare(expression(form), make(*shape))


@pytest.mark.parametrize("form", FORMS)
def test_one_tensor(form):
    compare(expression(form), real(4))
    if "(x > 0).any" in form or "argm" in form or "amax" in form:
        return
    compare(expression(form), real(2, 3) if ".T" in form else real(2, 3, 2))


@pytest.mark.parametrize("form", REDUCE)
def test_reductions(form):
    for d, k in itertools.product(DIMS, ("True", "False")):
        if d != "()" or not (
            "var" in form or "std" in form
        ):  # PyTorch's own gradient is wrong there
            compare(expression(form.format(d=d, k=k)), real(2, 3, 4))


@pytest.mark.parametrize("form", REDUCE_ONE)
def test_along_one_dimension(form):
    for d, k in itertools.product((0, 1, 2, -1, -3), ("True", "False")):
        compare(expression(form.format(d=d, k=k)), real(2, 3, 4))


@pytest.mark.parametrize(
    "form",
    [
        f
        for f in REDUCE + REDUCE_ONE
        if not any(
            word in f for word in ("cat", "split", "chunk", "narrow", "[:1]", "m.var", "size")
        )
    ],
)
def test_numbers_have_dimensions_0_and_minus_1(form):
    for d in ("0", "-1"):
        compare(expression(form.format(d=d, k="True")), real())
        compare(expression(form.format(d=d, k="False")), real())


@pytest.mark.parametrize(
    "form",
    [
        "x.sum()",
        "x.sum(0)",
        "x.sum(1)",
        "x.mean()",
        "x.mean(0)",
        "x.prod()",
        "x.prod(1)",
        "x.var(0)",
        "x.std(1)",
        "x.amax(1)",
        "x.logsumexp(0)",
        "x.logsumexp(1)",
        "x.softmax(0)",
        "x.softmax(1)",
        "x.log_softmax(0)",
        "x.argmax(1)",
        "x.max(1)",
        "x * 2",
        "x.T",
        "x.reshape(3, 0)",
        "x[0:0]",
        "x.all()",
        "x.any(0)",
        "m.cat([x, x])",
        "x.unsqueeze(0)",
        "x.squeeze()",
        "x + m.ones(1)",
        "x + m.ones(1, 3)",
        "m.where(x > 0, x, x)",
        "x.clamp(0, 1)",
        "x @ m.ones(3, 2)",
        "x.split(1)",
        "x.chunk(2)",
        "x == x",
        "x.sum((0, 1), True)",
    ],
)
def test_empty(form):
    compare(expression(form), np.zeros((0, 3)))


@pytest.mark.parametrize("form", SHAPES)
def test_shapes(form):
    compare(expression(form), real(2, 3, 4))


@pytest.mark.parametrize("a, b", MATMUL)
def test_matmul(a, b):
    for form in ("m.matmul(x, y)", "x @ y", "x.matmul(y)"):
        compare(expression(form), real(*a), real(*b, seed=1))


EVERY_SHAPE = [s for n in range(4) for s in itertools.product((1, 2), repeat=n)] + [
    (0,),
    (2, 0),
    (0, 1),
]


@pytest.mark.parametrize(
    "form",
    [
        "x + y",
        "x - y",
        "x * y",
        "x / y",
        "m.pow(x, y)",
        "m.maximum(x, y)",
        "m.minimum(x, y)",
        "m.where(x > y, x, y)",
        "m.where(x > 1, y, x)",
        "x < y",
        "m.clamp(x, min=y)",
    ],
)
def test_broadcasting_of_all_shapes(form):
    for a, b in itertools.product(EVERY_SHAPE, repeat=2):
        try:
            np.broadcast_shapes(a, b)
        except ValueError:
            continue
        compare(
            expression(form),
            positive(*a),
            positive(*b, seed=1),
            order=2 if len(a) + len(b) < 4 else 1,
        )


@pytest.mark.parametrize(
    "form",
    [
        "x + y",
        "y * x",
        "x - y",
        "m.sub(y, x, alpha=2)",
        "x / y",
        "x ** y",
        "m.maximum(x, y)",
        "m.minimum(x, y)",
        "m.where(x > 0, x, y)",
        "x < y",
        "x == y",
        "m.cat([x, y])",
        "m.stack([x, y])",
        "x.detach() // y.detach()",
    ],
)
def test_promotion(form):
    """Floats of both widths, integers and booleans, with dimensions and without."""
    kinds = [
        np.array([1.5, 2.0]),
        np.array([0.5, 2], np.float32),
        np.array([2, 3]),
        np.array([1, 3], np.int32),
        np.array([5, 6], np.uint8),
        np.array([2, 1], np.int8),
    ]
    for a, b in itertools.product(kinds, repeat=2):
        compare(expression(form), a, b, order=1)
        if "cat" not in form and "stack" not in form:
            compare(expression(form), a, np.asarray(b[1]), order=1)
            compare(expression(form), np.asarray(a[0]), np.asarray(b[1]), order=1)


@pytest.mark.parametrize("scalar", ["2", "2.5", "True", "-1"])
@pytest.mark.parametrize(
    "form",
    [
        "x + {}",
        "{} - x",
        "x * {}",
        "{} / x",
        "x ** {}",
        "x > {}",
        "m.where(x > 1, x, {})",
        "x.clamp(min={})",
        "x.masked_fill(x > 1, {})",
        "x.add({})",
    ],
)
def test_python_numbers_do_not_widen(form, scalar):
    for dtype in ("float64", "float32", "int64", "int32"):
        if (form, scalar) in (("x ** {}", "True"), ("{} - x", "True"), ("x.clamp(min={})", "True")):
            continue
        if "int" in dtype and form == "x ** {}" and scalar == "-1":
            continue
        if "int" in dtype and "fill" in form and scalar == "2.5":
            continue  # PyTorch 2.13 refuses; so do we: test_errors
        compare(expression(form.format(scalar)), np.array([1, 2, 3], dtype), order=1)
        compare(expression(form.format(scalar)), np.array(2, dtype), order=1)


@pytest.mark.parametrize(
    "form",
    [
        "x.sum()",
        "x.sum(0)",
        "x.prod()",
        "x.max()",
        "x.amin(0)",
        "x.argmax()",
        "x.exp()",
        "x.sqrt()",
        "x.sigmoid()",
        "x.tanh()",
        "x.abs()",
        "-x",
        "x.square()",
        "x.reciprocal()",
        "x / x",
        "x @ x",
        "x.float().mean()",
        "x.relu()",
        "x.sign()",
        "x.log()",
        "x.clamp(2, 3)",
        "x.clamp(max=2)",
        "x.clamp(min=1.5)",
        "x.sum(dtype=m.float32)",
        "x.sin()",
        "x.mean(dtype=m.float64)",
        "m.prod(x, 0, dtype=m.float64)",
        "x > 1",
        "~x",
        "x & 2",
        "x | 4",
        "x ^ 1",
        "x // 2",
        "x ** 2",
    ],
)
def test_integers(form):
    for dtype in ("int64", "int32", "int8", "uint8"):
        if form == "-x" and dtype == "uint8":
            continue
        compare(expression(form), np.array([1, 2, 3], dtype))


@pytest.mark.parametrize(
    "form",
    [
        "x.sum()",
        "x.sum(0)",
        "x.prod()",
        "x + x",
        "x * 2",
        "x.float()",
        "~x",
        "x & x",
        "x | x",
        "x ^ x",
        "x.any()",
        "x.all()",
        "x + 1.5",
        "x.long()",
        "x.exp()",
        "x == True",
        "x * x",
    ],
)
def test_booleans(form):
    compare(expression(form), np.array([True, False, True]))


@pytest.mark.parametrize(
    "form", UNARY + ["sum", "mean", "var", "std", "prod", "amax", "softmax(0)", "logsumexp(0)"]
)
def test_float32_stays_float32(form):
    call = form if "(" in form else form + "()"
    compare(expression(f"x.abs().{call}"), real(5, dtype=np.float32), order=1)
    compare(expression(f"x.abs().{call}"), real(dtype=np.float32), order=1) if form not in (
        "var",
        "std",
    ) else None


# fmt: off
@pytest.mark.parametrize("form", [
    "m.zeros(2, 3)", "m.zeros((2, 3))", "m.ones(2)", "m.ones([2, 1])", "m.full((2, 2), 7)",
    "m.full((2,), 0.5)", "m.full((), True)",
    "m.eye(3)", "m.eye(2, 3)", "m.arange(5)", "m.arange(1, 7, 2)", "m.arange(0, 1, 0.25)",
    "m.arange(5, 0, -2)", "m.arange(3.0)",
    "m.linspace(0, 1, 5)", "m.linspace(2, 1, 1)", "m.tensor(3)", "m.tensor(3.5)",
    "m.tensor([True])", "m.tensor([[1, 2], [3, 4]])",
    "m.tensor([])", "m.tensor([1, 2.5])", "m.tensor([1, 2], dtype=m.float32)",
    "m.zeros(2, dtype=m.int64)", "m.zeros(())", "m.tensor([[]])",
    "m.nn.functional.one_hot(m.tensor([2, 0, 1]))",
    "m.nn.functional.one_hot(m.tensor([[1, 0]]), 3)", "m.as_tensor([1, 2])",
    "m.zeros_like(m.arange(3))", "m.full_like(m.arange(3), 2)",
    "m.ones_like(m.zeros(2), dtype=m.int32)", "m.tensor(2.5).item()",
    "m.tensor([[1, 2]]).tolist()", "m.tensor([m.tensor(1), m.tensor(2)])",
    "m.arange(10, dtype=m.float32)", "m.arange(2, 2)",
    "m.linspace(0, 1, 0)", "m.empty(2, 3).shape", "m.is_tensor(m.ones(1))",
    "m.tensor([1.0, 2.0]).numel()", "float(m.tensor([2.5]))",
    "int(m.tensor(3))", "bool(m.tensor([0]))", "m.tensor(2) in m.tensor([1, 2])",
    "[1, 2, 3][m.tensor(1)]", "m.get_default_dtype() == m.float64"])
def test_creation(form):
    compare(expression(form))


# fmt: on
