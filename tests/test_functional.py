"""autograd.functional: Jacobians, Hessians and their products, by hand and against PyTorch."""

import numpy as np
import pytest

import minigrad
from minigrad.autograd import functional

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")


def arrays(*shapes):
    random = np.random.default_rng(5)
    return [random.uniform(0.3, 1.7, shape) * random.choice([-1, 1], shape) for shape in shapes]


def single(m, x):
    return (x**3).sum()


def two(m, x, y):
    return (x.exp() * y.sum()).sum() + (x * x).sum() * y[0]


def network(m, w, x):
    return ((x @ w).tanh() ** 2).sum()


def apart(m, x, y):
    return (x**2).sum()


def linear(m, x, y):
    return (2 * x).sum() + (3 * y).sum()


def constant(m, x):
    return m.ones(())


def vectors(m, x, y):
    return x * y.sum(), x.exp()[0], (y**2).sum()


def matrix(m, x):
    return x[:, None] * x[None, :]


def untouched(m, x):
    return x


# fmt: off
SCALAR = [(single, [(3,)]), (single, [()]), (single, [(2, 2)]), (two, [(2,), (3,)]),
          (network, [(2, 3), (4, 2)]), (apart, [(2,), (3,)]), (linear, [(2,), (3,)]),
          (constant, [(2,)])]
ANY = [*SCALAR, (vectors, [(2,), (3,)]), (matrix, [(2,)]), (untouched, [(2,)])]
# fmt: on


def names(case):
    return f"{case[0].__name__}{case[1]}"


def flat(result):
    return [t for r in result for t in flat(r)] if isinstance(result, tuple) else [result]


def outcome(m, name, function, inputs, v=None, **options):
    """The results of functional.<name> (structure, arrays), or that it was refused."""
    tensors = tuple(m.tensor(a, requires_grad=True) for a in inputs)
    tensors = tensors[0] if len(tensors) == 1 else tensors
    if v is not None:
        v = tuple(m.tensor(a) for a in v)
        options["v"] = v[0] if len(v) == 1 else v
    try:
        result = getattr(m.autograd.functional, name)(
            lambda *args: function(m, *args), tensors, **options)
    except RuntimeError:
        return "refused", []
    return structure(result), flat(result)


def structure(result):
    return [structure(r) for r in result] if isinstance(result, tuple) else tuple(result.shape)


def values(t):
    return np.asarray(t.detach().numpy())


def compare(name, function, inputs, v=None, **options):
    ours = outcome(minigrad, name, function, inputs, v, **options)
    theirs = outcome(torch, name, function, inputs, v, **options)
    assert ours[0] == theirs[0]
    for a, b in zip(ours[1], theirs[1]):
        np.testing.assert_allclose(values(a), values(b), rtol=1e-9, atol=1e-12)
        assert b.requires_grad or not a.requires_grad  # 2 of x**2 is a constant here, not there


@pytest.fixture
def options(request):
    return {"create_graph": request.param & 1 == 1, "strict": request.param & 2 == 2}


every_option = pytest.mark.parametrize("options", range(4), indirect=True, ids=[
    "plain", "create_graph", "strict", "both"])


@needs_torch
@every_option
@pytest.mark.parametrize("case", ANY, ids=names)
def test_jacobian_equals_torch(case, options, doubles):
    compare("jacobian", case[0], arrays(*case[1]), **options)


@needs_torch
@every_option
@pytest.mark.parametrize("case", [*SCALAR, ANY[-3]], ids=names)
def test_hessian_equals_torch(case, options, doubles):
    compare("hessian", case[0], arrays(*case[1]), **options)


@needs_torch
@every_option
@pytest.mark.parametrize("name", ["vhp", "hvp", "jvp"])
@pytest.mark.parametrize("case", SCALAR, ids=names)
def test_products_equal_torch(case, name, options, doubles):
    compare(name, case[0], arrays(*case[1]), arrays(*case[1]), **options)


@needs_torch
@every_option
@pytest.mark.parametrize("case", ANY[-3:], ids=names)
def test_vjp_equals_torch(case, options, doubles):
    inputs = arrays(*case[1])
    outputs = case[0](minigrad, *map(minigrad.tensor, inputs))
    v = arrays(*[y.shape for y in (outputs if isinstance(outputs, tuple) else (outputs,))])
    compare("vjp", case[0], inputs, v, **options)
    compare("jvp", case[0], inputs, arrays(*case[1]), **options)


@needs_torch
def test_without_v_equals_torch(doubles):
    for name in ("vjp", "jvp", "vhp", "hvp"):
        for shape in ((), (1,), (2,)):
            compare(name, single, arrays(shape))


@needs_torch
def test_a_tuple_of_one_stays_a_tuple_as_in_torch(doubles):
    for m in (minigrad, torch):
        x = (m.tensor([1.0, 2.0]),)
        assert structure(m.autograd.functional.hessian(lambda x: (x**2).sum(), x)) == [[(2, 2)]]
        assert structure(m.autograd.functional.hvp(lambda x: (x**2).sum(), x, x)) == [(), [(2,)]]
        assert structure(m.autograd.functional.jacobian(lambda x: (x,), x)) == [[(2, 2)]]


# --- by hand -------------------------------------------------------------------------------------

def test_jacobian_by_hand():
    x, y = minigrad.tensor([1.0, 2.0]), minigrad.tensor([3.0])
    J = functional.jacobian(lambda x, y: (x * x * y, x.sum()), (x, y))
    assert [[block.tolist() for block in row] for row in J] == [
        [[[6, 0], [0, 12]], [[1], [4]]], [[1, 1], [0]]]
    assert x.grad is None and not x.requires_grad


def test_hessian_by_hand_and_symmetric_blocks():
    x, y = minigrad.tensor([1.0, 2.0]), minigrad.tensor(3.0)
    (xx, xy), (yx, yy) = functional.hessian(lambda x, y: (x**2).sum() * y**2, (x, y))
    assert xx.tolist() == [[18, 0], [0, 18]] and yy.item() == 10
    assert xy.tolist() == yx.tolist() == [12, 24]


def test_products_are_the_jacobian_times_a_vector():
    x, v = (minigrad.tensor(a) for a in arrays((3,), (3,)))
    def f(x):
        return (x[:, None] * x).cumsum(0) if hasattr(x, "cumsum") else x[:, None] * x

    J = functional.jacobian(f, x)
    y, right = functional.jvp(f, x, v)
    np.testing.assert_allclose(y.numpy(), f(x).numpy())
    np.testing.assert_allclose(right.numpy(), J.numpy() @ v.numpy(), rtol=1e-13)
    u = minigrad.tensor(arrays((3, 3))[0])
    _, left = functional.vjp(f, x, u)
    np.testing.assert_allclose(left.numpy(), np.tensordot(u.numpy(), J.numpy()), rtol=1e-13)


def test_create_graph_goes_back_to_the_callers_tensor():
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    H = functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    H.sum().backward()
    assert x.grad.tolist() == [24, 48]


def test_a_jacobian_of_nothing_is_empty():
    J = functional.jacobian(lambda x: x[:, None] * x, minigrad.zeros(0))
    assert J.shape == (0, 0, 0)


def test_nothing_of_the_caller_is_touched():
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    w = minigrad.tensor([2.0, 3.0], requires_grad=True)
    result = functional.jacobian(lambda x: w * x, x)
    assert not result.requires_grad and x.grad is None and w.grad is None


def test_recording_is_switched_on_inside_no_grad():
    with minigrad.no_grad():
        J = functional.jacobian(lambda x: x**2, minigrad.tensor([1.0, 2.0]))
    assert J.tolist() == [[2, 0], [0, 4]]


@pytest.mark.parametrize("call, error, words", [
    (lambda x: functional.jacobian(lambda x: 3.0, x), TypeError, "outputs of the function.*float"),
    (lambda x: functional.vjp(lambda x: x, [1.0]), TypeError, "inputs given to vjp.*list"),
    (lambda x: functional.vjp(lambda x: x, x), RuntimeError, "v can only be None"),
    (lambda x: functional.vjp(lambda x: x, x, minigrad.ones(3)), RuntimeError, "invalid size"),
    (lambda x: functional.jvp(lambda x: x, x, (x, x)), RuntimeError, "should be 1 but got 2"),
    (lambda x: functional.hessian(lambda x: x, x), RuntimeError, "single element.*shape"),
    (lambda x: functional.hvp(lambda x: (x.sum(), x), x, x), RuntimeError, "single Tensor"),
    (lambda x: functional.jacobian(lambda x: x, x, strategy="fast"), ValueError, "strategy"),
    (lambda x: functional.jacobian(lambda x: minigrad.ones(1), x, strict=True), RuntimeError,
     "strict"),
])
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call(minigrad.tensor([1.0, 2.0]))
