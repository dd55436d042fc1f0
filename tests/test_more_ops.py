"""The operations beyond the everyday ones without PyTorch: stored vectors, draws, errors, views."""

import json
import math
import pathlib

import numpy as np
import pytest

import minigrad as m
from minigrad.gradcheck import gradcheck

ROWS = json.loads((pathlib.Path(__file__).parent / "golden_more.json").read_text())["rows"]


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[row["expression"] for row in ROWS])
def test_stored_vectors(number):
    """Values, gradients for a given upstream gradient, and gradients of the sum of the squared
    gradients, as PyTorch 2.13 computed them."""
    row = ROWS[number]
    inputs = [m.tensor(values, requires_grad=True) for values in row["inputs"]]
    result = eval("lambda m, x, y=None: " + row["expression"])(m, *inputs)
    assert_close(result, row["value"])
    if row["gradients"] is None:
        return
    gradients = m.autograd.grad(
        result, inputs, m.tensor(row["upstream"]), create_graph=True, materialize_grads=True
    )
    for g, expected in zip(gradients, row["gradients"]):
        assert_close(g, expected)
    total = sum((g * g).sum() for g in gradients)
    second = [m.zeros_like(x) for x in inputs]
    if total.requires_grad:
        second = m.autograd.grad(total, inputs, materialize_grads=True)
    for g, expected in zip(second, row["second"]):
        assert_close(g, expected)


def assert_close(tensor, expected):
    assert list(tensor.shape) == list(np.shape(expected))
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-9, atol=1e-12)


# --- views and copies -----------------------------------------------------------------------------

VIEWS = """x.diagonal() x.diagonal(1) x.select(0,1) x.unbind(1)[0] x.movedim(0,1) x.swapaxes(0,1) x.narrow(1,0,2)
x.unflatten(1,(3,1)) x.expand_as(x) x.view_as(x) x.reshape_as(x) m.meshgrid(x[0],x[1])[0] m.atleast_2d(x)""".split()
COPIES = """x.flip(0) x.roll(1) x.roll(0) x.repeat(1,1) x.diag() x.tril() x.sort()[0] x.index_select(0,m.tensor([0,1,2]))
x.floor() x.clone() x.masked_select(x==x) x.cumsum(0) x.take(m.tensor([0])) x.tile(1) x.where(x==x,0.0)""".split()


@pytest.mark.parametrize("form", VIEWS + COPIES)
def test_what_pytorch_returns_as_a_view_is_a_view(form):
    x = m.arange(9.0).reshape(3, 3)
    y = eval(form, {"x": x, "m": m})
    assert np.shares_memory(x.array, y.array) == (form in VIEWS)


def test_writing_into_a_diagonal_writes_the_matrix_and_its_gradient():
    x = m.ones(3, 4, requires_grad=True)
    h = x * 2
    h.diagonal(1).mul_(5)
    (h * h).sum().backward()
    assert h.tolist() == [[2, 10, 2, 2], [2, 2, 10, 2], [2, 2, 2, 10]]
    assert x.grad.tolist() == [[8, 200, 8, 8], [8, 8, 200, 8], [8, 8, 8, 200]]


def test_a_rounded_value_still_has_a_gradient_of_zeros():
    x = m.tensor([0.4, 1.6], requires_grad=True)
    for y in (x.round(), x.floor(), x // 0.3, x.div(0.3, rounding_mode="trunc")):
        assert y.requires_grad and m.autograd.grad(y.sum(), x)[0].tolist() == [0, 0]
    assert m.autograd.grad((1 / (x - x).floor()).sum(), x)[0].tolist() == [0, 0]  # not 0 * inf


def test_floor_division_is_pythons():
    for a, b in [(1.0, 0.1), (-1.0, 0.1), (7.5, -2.0), (-7.5, -2.0), (0.3, 0.1)]:
        assert (m.tensor(a) // b).item() == a // b
        assert (m.tensor(a) % b).item() == a % b
    assert (m.tensor([7, -7]) // 2).tolist() == [3, -4]
    big = 2**60 + 1
    assert m.div(m.tensor(big), 1, rounding_mode="trunc").item() == big
    assert (7 // m.tensor(2)).item() == 3 and (7 % m.tensor([4, 5])).tolist() == [3, 2]


# --- NumPy's functions ----------------------------------------------------------------------------

NUMPY = """floor ceil trunc exp2 log2 log10 tan arcsin arccos arctan sinh cosh arcsinh arctanh ravel cumsum cumprod
sort argsort flip round nan_to_num""".split()


@pytest.mark.parametrize("name", NUMPY)
def test_numpy_functions_are_recorded(name):
    values = np.array([[0.3, 0.1, 0.7], [0.5, 0.9, 0.2]])
    y = getattr(np, name)(m.tensor(values, requires_grad=True))
    assert isinstance(y, m.Tensor) and y.requires_grad == (name != "argsort")
    np.testing.assert_allclose(y.detach().numpy(), getattr(np, name)(values), rtol=1e-12)


@pytest.mark.parametrize(
    "form",
    """np.linalg.inv(x) np.linalg.det(x) np.linalg.solve(x,x) np.linalg.norm(x) np.linalg.norm(x,axis=0)
    np.linalg.norm(x,1) np.einsum("ij,jk",x,x) np.tril(x) np.triu(x,1) np.trace(x) np.diagonal(x) np.diag(x)
    np.outer(x,x) np.inner(x,x) np.roll(x,1) np.roll(x,1,1) np.tile(x,2) np.repeat(x,2,0) np.flip(x,0) np.cumsum(x,0)
    np.hstack([x,x]) np.vstack([x,x]) np.mod(x,0.3) np.fmod(x,0.3) np.floor_divide(x,0.3) np.arctan2(x,x) 2.0%x 2.0//x
    np.sort(x,0) np.isclose(x,x) np.round(x,1) np.linalg.matrix_power(x,3)""".split(),
)
def test_numpy_functions_of_matrices_are_recorded(form):
    values = np.array([[0.3, 0.1, 0.7], [0.5, 0.9, 0.2], [-0.4, 0.6, 0.8]])
    y = eval(form, {"np": np, "x": m.tensor(values, requires_grad=True)})
    assert isinstance(y, m.Tensor)
    expected = eval(form, {"np": np, "x": values})
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-10, atol=1e-14)


# --- gradients by finite differences, where rules take a turn of their own ------------------------

@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_determinants_of_any_rank(rank):
    random = np.random.default_rng(rank)
    a = random.normal(size=(3, rank)) @ random.normal(size=(rank, 3)) if rank else np.zeros((3, 3))
    a = np.round(a * 2) if rank == 3 else np.outer([1, 2, 3], [1, 0, 2]) * (rank > 0) * 1.0
    if rank == 2:
        a[2, 2] += 1
    gradcheck(m.linalg.det, [m.tensor(a, requires_grad=True)], order=2)


@pytest.mark.parametrize("zeros", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_running_products_with_zeros(zeros):
    x = np.array([2.0, -3.0, 0.5, 1.5])
    x[list(zeros)] = 0
    gradcheck(lambda x: x.cumprod(0), [m.tensor(x, requires_grad=True)], order=2)


EQUATIONS = "ab,bc,cd->ad ab,ab-> ii,i->i ab,b,ab->b ...a,ba->...b aab->b a,b,c->cab ab,cd->".split()


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    sizes = dict(zip("abcdi", (2, 3, 2, 4, 3)))
    random = np.random.default_rng(0)
    shapes = [[sizes[c] for c in word.replace("...", "cd")]
              for word in equation.split("->")[0].split(",")]
    inputs = [m.tensor(random.normal(size=shape), requires_grad=True) for shape in shapes]
    expected = np.einsum(equation, *[x.detach().numpy() for x in inputs])
    np.testing.assert_allclose(m.einsum(equation, *inputs).detach().numpy(), expected, rtol=1e-12)
    gradcheck(lambda *xs: m.einsum(equation, *xs), inputs, order=2)


# --- draws ----------------------------------------------------------------------------------------

def test_draws_have_the_right_shapes_means_and_dtypes():
    m.manual_seed(0)
    assert m.normal(0.0, 1.0, (2, 3)).shape == (2, 3)
    assert m.normal(m.zeros(4), m.ones(4)).shape == (4,)
    assert m.normal(m.zeros(2, 1), 3.0).shape == (2, 1)
    assert m.normal(2.0, m.ones(5, dtype=m.float32)).dtype == m.float32
    x = m.normal(3.0, 0.5, (20000,))
    assert abs(x.mean().item() - 3) < 0.02 and abs(x.std().item() - 0.5) < 0.02
    assert abs(m.bernoulli(m.full((20000,), 0.3)).mean().item() - 0.3) < 0.02
    assert set(m.bernoulli(m.tensor([0.0, 1.0])).tolist()) == {0.0, 1.0}
    x = m.zeros(20000).uniform_(-1, 3)
    assert -1 <= x.min().item() and x.max().item() < 3 and abs(x.mean().item() - 1) < 0.05
    x = m.zeros(20000, dtype=m.float32).normal_(1, 2)
    assert x.dtype == m.float32 and abs(x.mean().item() - 1) < 0.06
    assert set(m.zeros(100).random_(3).tolist()) == {0, 1, 2}
    assert set(m.zeros(50).bernoulli_(0.5).tolist()) == {0, 1}


def test_a_seed_repeats_every_draw():
    weights = m.tensor([0.2, 0.3, 0.5])
    draws = [lambda g: m.normal(0.0, 1.0, (3,), generator=g),
             lambda g: m.bernoulli(weights, generator=g),
             lambda g: m.multinomial(weights, 8, True, generator=g),
             lambda g: m.multinomial(weights, 2, generator=g),
             lambda g: m.zeros(4).normal_(generator=g), lambda g: m.zeros(4).uniform_(generator=g)]
    for draw in draws:
        same = [draw(m.Generator().manual_seed(5)).tolist() for _ in range(2)]
        assert same[0] == same[1]
        m.manual_seed(5)
        assert draw(None).tolist() == same[0]


def test_multinomial_draws_in_proportion():
    m.manual_seed(1)
    weights = m.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = m.multinomial(weights, 20000, replacement=True)
    assert drawn.shape == (2, 20000) and drawn.dtype == m.int64
    for row, expected in zip(drawn, ([0.25, 0, 0.75], [0.5, 0.5, 0])):
        shares = m.bincount(row, minlength=3) / 20000
        np.testing.assert_allclose(shares.numpy(), expected, atol=0.02)
        assert shares[expected.index(0)] == 0
    firsts = [m.multinomial(m.tensor([1.0, 0.0, 3.0]), 2).tolist() for _ in range(400)]
    assert all(sorted(pair) == [0, 2] for pair in firsts)
    assert 0.65 < np.mean([pair[0] == 2 for pair in firsts]) < 0.85


# --- errors ---------------------------------------------------------------------------------------

A, V, W = m.ones(2, 3), m.ones(3), m.tensor([1, 2, 3])
ERRORS = [
    (lambda: m.mm(A, V), RuntimeError, "mat2 must have 2 dimensions.*(3,)"),
    (lambda: m.mm(A, A), RuntimeError, r"\(2, 3\).*do not fit"),
    (lambda: m.bmm(m.ones(2, 2, 2), m.ones(3, 2, 2)), RuntimeError, "not equally long"),
    (lambda: m.dot(A, V), RuntimeError, "dot: input must have 1 dimension,"),
    (lambda: m.inner(A, m.ones(2)), RuntimeError, "last dimensions must be equal"),
    (lambda: m.trace(V), RuntimeError, "trace"), (lambda: m.tril(V), RuntimeError, "at least 2"),
    (lambda: m.diag(m.ones(1, 1, 1)), RuntimeError, "diag"),
    (lambda: m.diagonal(A, 0, 1, -1), RuntimeError, "identical"),
    (lambda: m.einsum("ij,jk", A), RuntimeError, "2 operands in the equation, 1 given"),
    (lambda: m.einsum("ij,jk", A, A), RuntimeError, "sizes along one letter differ, 3 and 2"),
    (lambda: m.einsum("i", A), RuntimeError, "do not fit"),
    (lambda: m.einsum("ij->k", A), RuntimeError, "behind the arrow"),
    (lambda: m.einsum("ij->ii", A), RuntimeError, "stand there once"),
    (lambda: m.linalg.inv(A), RuntimeError, "square"),
    (lambda: m.linalg.inv(m.ones(2, 2)), RuntimeError, "inv of tensor of shape .2, 2.: Singular"),
    (lambda: m.linalg.solve(m.eye(2), V), RuntimeError, "incompatible shapes"),
    (lambda: m.linalg.det(W), RuntimeError, "floating point"),
    (lambda: m.linalg.norm(A, "nuc"), RuntimeError, "singular values"),
    (lambda: m.linalg.norm(A, 2), RuntimeError, "singular values"),
    (lambda: m.norm(W), RuntimeError, "floating point"),
    (lambda: m.unflatten(A, 1, (2, 2)), RuntimeError, r"unflatten.*\[2, 2\].*\(3\)"),
    (lambda: m.select(A, 1, 3), IndexError, "index 3 out of range"),
    (lambda: m.narrow(A, 1, 2, 2), RuntimeError, "exceeds dimension 1 of size 3"),
    (lambda: A.repeat(2), RuntimeError, "one number of repetitions"),
    (lambda: m.flip(A, (0, 0)), RuntimeError, "multiple times"),
    (lambda: m.flip(A, 2), IndexError, "Dimension out of range"),
    (lambda: m.roll(A, (1, 2), (0,)), RuntimeError, "equally many"),
    (lambda: m.movedim(A, (0, 1), (0,)), RuntimeError, "equally many"),
    (lambda: m.meshgrid(A, V), RuntimeError, "scalar or 1D"),
    (lambda: m.meshgrid(V, V, indexing="yx"), RuntimeError, "'yx'"),
    (lambda: m.repeat_interleave(A, W, 0), RuntimeError, "2 of them"),
    (lambda: m.index_select(A, 0, m.tensor([2])), IndexError, "index 2 is out of range"),
    (lambda: m.index_select(A, 0, V), RuntimeError, "integers, got float64"),
    (lambda: m.take(V, m.tensor([3])), IndexError, "out of range for the 3"),
    (lambda: m.masked_select(A, V), RuntimeError, "boolean mask, got float64"),
    (lambda: m.scatter(A, 0, m.tensor([[2]]), 1.0), IndexError, "index 2 is out of bounds"),
    (lambda: m.scatter(A, 0, m.tensor([0]), 1.0), RuntimeError, "index has 1 dimensions"),
    (lambda: m.scatter(A, 1, m.zeros(3, 1).long(), A), RuntimeError, "no larger than src"),
    (lambda: m.scatter(A, 1, m.zeros(1, 1).long(), A.float()), RuntimeError, "float64 and float32"),
    (lambda: m.scatter(A, 1, m.zeros(1, 1).long(), A, reduce="mean"), RuntimeError, "'mean'"),
    (lambda: m.topk(V, 4), RuntimeError, "k=4.*3 elements"),
    (lambda: m.bincount(m.tensor([-1])), RuntimeError, "non-negative"),
    (lambda: m.bincount(W, V[:2]), RuntimeError, "do not fit"),
    (lambda: W // 0, RuntimeError, "ZeroDivisionError"), (lambda: W % 0, RuntimeError, "by zero"),
    (lambda: m.div(V, 2, rounding_mode="up"), ValueError, "'up'"),
    (lambda: m.round(W, decimals=1), RuntimeError, "decimals=1"),
    (lambda: m.isclose(V, V.float()), RuntimeError, "different dtypes"),
    (lambda: m.lerp(V, V.float(), 0.5), RuntimeError, "one dtype"),
    (lambda: m.cumsum(V, 1), IndexError, "Dimension out of range"),
    (lambda: m.normal(0.0, -1.0, (2,)), RuntimeError, "std >= 0"),
    (lambda: m.normal(0.0, 1.0), TypeError, "size is missing"),
    (lambda: m.normal(V, 1.0, (3,)), TypeError, "leave size out"),
    (lambda: m.bernoulli(V * 2), RuntimeError, "between 0 and 1"),
    (lambda: m.bernoulli(W), RuntimeError, "real numbers"),
    (lambda: m.multinomial(-V, 1), RuntimeError, "element < 0"),
    (lambda: m.multinomial(V * 0, 1), RuntimeError, "sum of probabilities"),
    (lambda: m.multinomial(V, 4), RuntimeError, "4 different ones of 3"),
    (lambda: m.multinomial(V, 0), RuntimeError, "n_sample <= 0"),
    (lambda: m.zeros(2).uniform_(1, 0), RuntimeError, "low <= high"),
    (lambda: m.zeros(2).long().normal_(), RuntimeError, "floating point"),
    (lambda: m.zeros(2).long().lerp_(m.ones(2).long(), 0.5), RuntimeError, "can't be cast"),
    (lambda: m.ones(2).addmm_(A, A.T), RuntimeError, "does not fit in place"),
    (lambda: m.zeros(2, requires_grad=True).round_(), RuntimeError, "a leaf that requires grad"),
    (lambda: m.matrix_power(A, 2), RuntimeError, "square"),
    (lambda: m.take_along_dim(A, m.tensor([0]), 0), RuntimeError, "same number of dimensions"),
    (lambda: m.broadcast_tensors(A, m.ones(2)), RuntimeError, r"\(2, 3\), \(2,\)"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors_name_what_is_wrong(number):
    call, kind, message = ERRORS[number]
    with pytest.raises(kind, match=message.replace("(3,)", r"\(3,\)")):
        call()


# --- names ----------------------------------------------------------------------------------------

def test_constants_and_constructors():
    assert (m.pi, m.e, m.inf) == (math.pi, math.e, math.inf) and math.isnan(m.nan)
    assert m.finfo(m.float32).eps == np.finfo(np.float32).eps and m.iinfo(m.int8).max == 127
    assert m.tensor([1.7]).type(m.LongTensor).tolist() == [1]
    assert m.tensor([1.7]).type(m.FloatTensor).dtype == m.float32
    assert m.BoolTensor([1, 0]).tolist() == [True, False]
    assert m.tensor([1.5]).short().dtype == m.int16 and m.tensor([1.5]).byte().dtype == m.uint8
    assert m.result_type(m.ones(2, dtype=m.float32), 1.5) == m.float32
    assert m.promote_types(m.int64, m.float32) == m.float32
    assert m.manual_seed(7) is not None and m.initial_seed() == 7
    assert m.seed() == m.initial_seed()
    assert repr(m.sort(m.tensor([2.0, 1.0]))).count("indices=") == 1
