"""Tensors from data, sizes, ranges and the generator; how they print; the names lessons use."""

import math
import types

import numpy as np
import pytest

import minigrad
from minigrad import nn, random

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")


@pytest.fixture(autouse=True)
def float64_in_torch():
    if torch is None:
        yield
        return
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


def same(ours, theirs):
    """Equal numbers, shape, dtype and requires_grad."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype).replace("torch.", "")
    assert ours.requires_grad == theirs.requires_grad
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-13,
                               atol=1e-15)


# --- creation: what PyTorch makes of the same call -----------------------------------------------

CALLS = [
    "zeros(2, 3)", "zeros((2, 3))", "zeros([2, 3])", "zeros(m.ones(2, 3).size())",
    "zeros(size=(2,))", "zeros(())", "zeros(0)", "zeros(2, 0, 3)", "ones(3, dtype=m.int64)",
    "ones(2, dtype=m.bool)", "ones(2, dtype=float)", "ones(2, dtype=int)",
    "ones(2, requires_grad=True)", "zeros(2, device='cpu')", "zeros(m.tensor(2), 3)",
    "zeros(np.int64(2))", "full((2, 2), 7)", "full((2,), 1.5)", "full((2,), True)", "full((), 3)",
    "full((2,), 1, dtype=m.float32)", "full((2,), 2.0, requires_grad=True)",
    "full(m.ones(2).shape, math.inf)", "eye(3)", "eye(2, 3)", "eye(3, 2, dtype=m.int64)", "eye(0)",
    "arange(5)", "arange(2, 5)", "arange(1, 10, 3)", "arange(5, 0, -2)", "arange(0)",
    "arange(3.0)", "arange(0, 1, 0.1)", "arange(1, 2.5, 0.5)", "arange(0, -1, -0.25)",
    "arange(2, 2)", "arange(5, dtype=m.float32)", "arange(0, 3, dtype=m.float64)", "arange(end=4)",
    "arange(start=1, end=4)", "arange(0.0, 0.3, 0.1)", "arange(4.0, requires_grad=True)",
    "arange(1, 1.05, 0.1)", "arange(10**15, 10**15 + 3)", "linspace(0, 1, 5)",
    "linspace(-1, 1, 4)", "linspace(1, 0, 3)", "linspace(2, 3, 1)", "linspace(0, 1, 0)",
    "linspace(0, 10, steps=3)", "linspace(0, 1, 3, dtype=m.float32)",
    "linspace(0, 8, 5, dtype=m.int64)", "zeros_like(m.ones(2, 3))", "ones_like(m.tensor([1, 2]))",
    "ones_like(m.tensor(3.0))", "zeros_like(m.ones(2), dtype=m.int64)",
    "ones_like(m.zeros(2), requires_grad=True)", "full_like(m.tensor([1, 2]), 3)",
    "full_like(m.ones(2), 3)", "full_like(m.ones(2, 2), 1, dtype=m.int64)", "tensor(3)",
    "tensor(3.5)", "tensor(True)", "tensor([])", "tensor([[], []])", "tensor([1, 2])",
    "tensor([1, 2.5])", "tensor([True, False])", "tensor([True, 2])", "tensor([True, 2.5])",
    "tensor([[1, 2], [3, 4]])", "tensor(((1, 2), (3, 4.0)))", "tensor([[[1]]])",
    "tensor(range(3))", "tensor([m.tensor(1.5), m.tensor(2.0)])",
    "tensor([m.tensor(1), m.tensor(2)])", "tensor([[m.tensor(1.0), 2], [3, 4]])",
    "tensor(m.tensor([1, 2]).numpy())", "tensor(np.float32(1.5))", "tensor(np.int32(2))",
    "tensor(np.bool_(True))", "tensor(np.arange(3))", "tensor(np.ones((2, 2), np.float32))",
    "tensor([np.float64(1), np.float64(2)])", "tensor([np.arange(2), np.arange(2)])",
    "tensor([1, 2], dtype=m.float32)", "tensor([1.7, -1.7], dtype=m.int64)",
    "tensor([0, 2, 3], dtype=m.bool)", "tensor([1.0, 2.0], requires_grad=True)",
    "tensor(1, device='cpu')", "tensor([2**62, -2**63])", "tensor([math.nan, math.inf])",
    "tensor(np.array([1, 2], np.uint8))", "as_tensor([1, 2])", "as_tensor(2.5)",
    "as_tensor(np.ones(2))", "as_tensor(np.ones(2), dtype=m.float32)",
    "as_tensor(m.ones(2), dtype=m.int64)", "from_numpy(np.arange(3))",
    "from_numpy(np.zeros((2, 0)))", "FloatTensor([1, 2])", "FloatTensor(2, 3).zero_()",
    "LongTensor([[1, 2]])", "FloatTensor()", "LongTensor([])", "DoubleTensor([1, 2])",
    "IntTensor([1, 2])",
]


@needs_torch
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_creation_as_pytorch(call):
    results = [eval(f"m.{call}", {"m": m, "np": np, "math": math}) for m in (minigrad, torch)]
    same(*results)


def test_tensor_copies_and_from_numpy_does_not():
    array = np.array([1.0, 2.0])
    copied, shared = minigrad.tensor(array), minigrad.from_numpy(array)
    also = minigrad.as_tensor(array)
    array[0] = 9
    assert copied.tolist() == [1, 2] and shared.tolist() == also.tolist() == [9, 2]
    x = minigrad.ones(2, requires_grad=True)
    assert minigrad.as_tensor(x) is x
    assert minigrad.tensor(x).is_leaf and not minigrad.tensor(x).requires_grad
    a, b = minigrad.zeros(2), minigrad.zeros(2)
    a += 1
    assert b.tolist() == [0, 0]


def test_names_and_default_dtype():
    assert minigrad.tensor([1.0], name="w").name == "w"
    minigrad.set_default_dtype(minigrad.float32)
    try:
        for t in (minigrad.tensor(1.5), minigrad.zeros(1), minigrad.rand(1), minigrad.arange(1.0),
                  minigrad.linspace(0, 1, 2), minigrad.eye(1), minigrad.full((1,), 0.5),
                  minigrad.randn(1)):
            assert t.dtype == minigrad.float32 and "dtype" not in repr(t)
        assert "dtype=float64" in repr(minigrad.zeros(1, dtype=minigrad.float64))
    finally:
        minigrad.set_default_dtype(minigrad.float64)


BAD = [
    (lambda: minigrad.tensor("text"), TypeError, "number"),
    (lambda: minigrad.tensor(["a", "b"]), TypeError, "number"),
    (lambda: minigrad.tensor(1j), TypeError, "complex"),
    (lambda: minigrad.tensor(np.array([1j])), TypeError, "complex"),
    (lambda: minigrad.tensor(None), (TypeError, RuntimeError), "object"),
    (lambda: minigrad.tensor([None]), (TypeError, RuntimeError), "object"),
    (lambda: minigrad.tensor({1: 2}), (TypeError, RuntimeError), "object"),
    (lambda: minigrad.tensor(object()), (TypeError, RuntimeError), "object"),
    (lambda: minigrad.tensor([[1, 2], [3]]), ValueError, "ragged"),
    (lambda: minigrad.tensor([1, [2]]), ValueError, "ragged"),
    (lambda: minigrad.tensor([[1, 2], 3]), ValueError, "ragged"),
    (lambda: minigrad.tensor([1, 2], requires_grad=True), RuntimeError, "floating point"),
    (lambda: minigrad.tensor(1.0, device="cuda"), RuntimeError, "cuda"),
    (lambda: minigrad.tensor(1.0, grad=True), TypeError, "grad"),
    (lambda: minigrad.as_tensor([1.0], device="cuda:0"), RuntimeError, "cuda:0"),
    (lambda: minigrad.as_tensor(np.ones(1), device="gpu"), RuntimeError, "gpu"),
    (lambda: minigrad.from_numpy([1.0]), TypeError, "np.ndarray.*list"),
    (lambda: minigrad.from_numpy(np.array(["a"])), TypeError, "can't make"),
    (lambda: minigrad.zeros(), TypeError, "size is missing"),
    (lambda: minigrad.zeros(-1), RuntimeError, r"negative dimension: \[-1\]"),
    (lambda: minigrad.ones(2, size=(2,)), TypeError, "twice"),
    (lambda: minigrad.ones(2.5), TypeError, "float"),
    (lambda: minigrad.ones("2"), TypeError, "str"),
    (lambda: minigrad.zeros(2, dtype=complex), TypeError, "complex"),
    (lambda: minigrad.zeros(2, dtype=minigrad.int64, requires_grad=True), RuntimeError,
     "floating point"),
    (lambda: minigrad.zeros(2, device="mps"), RuntimeError, "mps"),
    (lambda: minigrad.full((2,), [1, 2]), TypeError, "one number"),
    (lambda: minigrad.full((2,), "a"), TypeError, "number"),
    (lambda: minigrad.full((-2,), 1), RuntimeError, "negative"),
    (lambda: minigrad.eye(-1), RuntimeError, "negative"),
    (lambda: minigrad.eye(1.5), TypeError, "float"),
    (lambda: minigrad.arange(0, 1, 0), RuntimeError, "step must be nonzero"),
    (lambda: minigrad.arange(0, 5, -1), RuntimeError, "inconsistent with step sign"),
    (lambda: minigrad.arange(-5), RuntimeError, "inconsistent with step sign"),
    (lambda: minigrad.arange(math.nan), RuntimeError, "unsupported range"),
    (lambda: minigrad.arange(math.inf), RuntimeError, "unsupported range"),
    (lambda: minigrad.linspace(0, 1, -1), RuntimeError, "non-negative, got -1"),
    (lambda: minigrad.linspace(0, 1, 2.5), TypeError, "float"),
    (lambda: minigrad.LongTensor(-1), RuntimeError, "negative"),
    (lambda: minigrad.rand(-1), RuntimeError, "negative"),
    (lambda: minigrad.rand(), TypeError, "size is missing"),
    (lambda: minigrad.rand(2, dtype=minigrad.int64), TypeError, "randint"),
    (lambda: minigrad.randn(2, dtype=minigrad.bool), TypeError, "not bool"),
    (lambda: minigrad.rand(2, device="cuda"), RuntimeError, "cuda"),
    (lambda: minigrad.rand(2, generator=3), TypeError, "minigrad.Generator.*int"),
    (lambda: minigrad.rand_like(minigrad.tensor([1])), TypeError, "int64"),
    (lambda: minigrad.randint(0, (2,)), RuntimeError, "low=0, high=0"),
    (lambda: minigrad.randint(5, 2, (2,)), RuntimeError, "low=5, high=2"),
    (lambda: minigrad.randint(5), TypeError, "needs a size"),
    (lambda: minigrad.randint(5, (2,), requires_grad=True), RuntimeError, "floating point"),
    (lambda: minigrad.randperm(-1), RuntimeError, "negative"),
    (lambda: minigrad.randperm(2.5), TypeError, "float"),
    (lambda: minigrad.manual_seed("a"), (TypeError, ValueError), "seed|invalid"),
    (lambda: minigrad.Generator("cuda"), RuntimeError, "cuda"),
    (lambda: minigrad.set_printoptions(profile="tiny"), ValueError,
     "default, short, full.*'tiny'"),
]


@pytest.mark.parametrize("mistake, kind, message", BAD)
def test_refused(mistake, kind, message):
    with pytest.raises(kind, match=message):
        mistake()


# --- randomness ----------------------------------------------------------------------------------

def draws():
    return [minigrad.rand(3).tolist(), minigrad.randn(2, 2).tolist(),
            minigrad.randint(0, 9, (4,)).tolist(),
            minigrad.randperm(7).tolist(), minigrad.rand_like(minigrad.ones(2)).tolist(),
            minigrad.randn_like(minigrad.ones(2)).tolist(), nn.Linear(2, 2).weight.tolist(),
            nn.functional.dropout(minigrad.ones(20)).tolist()]


def test_a_seed_makes_everything_repeatable():
    minigrad.manual_seed(42)
    first = draws()
    second = draws()
    minigrad.manual_seed(42)
    assert draws() == first != second
    minigrad.manual_seed(43)
    assert draws() != first
    minigrad.manual_seed(-1)
    assert draws() == (minigrad.manual_seed(2**64 - 1), draws())[1]


def test_the_one_generator_is_reseeded_in_place():
    held = random.generator()
    assert minigrad.manual_seed(3) is held is random.generator()
    expected = minigrad.rand(2).tolist()
    minigrad.manual_seed(3)
    assert held.random(2).tolist() == expected
    assert held.initial_seed() == 3


def test_generators_of_ones_own():
    minigrad.manual_seed(0)
    expected = minigrad.rand(2).tolist()
    minigrad.manual_seed(0)
    for generator in (minigrad.Generator().manual_seed(5), np.random.default_rng(5)):
        values = minigrad.rand(2, generator=generator)
        assert values.tolist() == np.random.default_rng(5).random(2).tolist()
        for make in (minigrad.rand_like, minigrad.randn_like):
            make(values, generator=generator)
        minigrad.randn(2, generator=generator)
        minigrad.randint(9, (2,), generator=generator)
        minigrad.randperm(5, generator=generator)
    assert minigrad.rand(2).tolist() == expected  # nothing was drawn from the one generator
    a, b = minigrad.Generator(), minigrad.Generator()
    assert a.seed() != b.seed() and a.initial_seed() != b.initial_seed()
    assert minigrad.rand(3, generator=a).tolist() != minigrad.rand(3, generator=b).tolist()


def test_distributions():
    minigrad.manual_seed(0)
    u, z, n = minigrad.rand(20000), minigrad.randn(20000), minigrad.randint(-2, 3, (20000,))
    assert 0 <= u.numpy().min() and u.numpy().max() < 1 and abs(u.numpy().mean() - 0.5) < 0.01
    assert abs(z.numpy().mean()) < 0.03 and abs(z.numpy().std() - 1) < 0.03
    assert set(n.tolist()) == {-2, -1, 0, 1, 2} and n.dtype == minigrad.int64
    assert sorted(minigrad.randperm(50).tolist()) == list(range(50))
    assert minigrad.rand(100000, dtype=minigrad.float32).numpy().max() < 1


@pytest.mark.parametrize("make", [minigrad.rand, minigrad.randn])
def test_shapes_of_random_tensors(make):
    x = minigrad.ones(2, 3)
    for arguments in ((2, 3), ((2, 3),), ([2, 3],), (x.shape,), (x.size(),)):
        assert make(*arguments).shape == (2, 3)
    assert make(size=(2, 3)).shape == (2, 3) and make(()).shape == () and make(0).shape == (0,)
    assert make(2, requires_grad=True).requires_grad
    assert make(2, dtype=minigrad.float32).dtype == minigrad.float32
    like = {minigrad.rand: minigrad.rand_like, minigrad.randn: minigrad.randn_like}[make]
    assert like(minigrad.ones(2, 3)).shape == (2, 3) and like(minigrad.tensor(1.0)).shape == ()
    assert like(minigrad.ones(2, dtype=minigrad.float32)).dtype == minigrad.float32
    assert like(minigrad.tensor([1]), dtype=minigrad.float64, requires_grad=True).requires_grad


def test_forms_of_randint():
    for t in (minigrad.randint(5, (2, 3)), minigrad.randint(2, 5, (2, 3)),
              minigrad.randint(5, size=(2, 3)),
              minigrad.randint(high=5, size=(2, 3)), minigrad.randint(low=2, high=5, size=[2, 3])):
        assert t.shape == (2, 3) and t.numpy().min() >= 0 and t.numpy().max() < 5
    assert minigrad.randint(2, 3, (1,)).item() == 2
    assert minigrad.randint(5, (2,), dtype=minigrad.float32).dtype == minigrad.float32
    assert minigrad.randint(5, (2,), dtype=minigrad.float64, requires_grad=True).requires_grad


# --- printing ------------------------------------------------------------------------------------

PRINTED = [
    (3.14159, "tensor(3.1416)"), (3.0, "tensor(3.)"), (7, "tensor(7)"), (True, "tensor(True)"),
    ([], "tensor([])"), ([[], []], "tensor([], size=(2, 0))"),
    ([1, 2, -30], "tensor([  1,   2, -30])"),
    ([1.0, 2.5], "tensor([1.0000, 2.5000])"), ([1.0, -2.0], "tensor([ 1., -2.])"),
    ([True, False], "tensor([ True, False])"), ([1e10, 1.0], "tensor([1.0000e+10, 1.0000e+00])"),
    ([1e-5], "tensor([1.0000e-05])"),
    ([math.nan, 1.5, -math.inf], "tensor([   nan, 1.5000,   -inf])"),
    ([[1.5, 2.25], [-3.0, 4.0]], "tensor([[ 1.5000,  2.2500],\n        [-3.0000,  4.0000]])"),
    ([float(i) for i in range(2000)], ("tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., "
                                       "1.9970e+03, 1.9980e+03,\n        1.9990e+03])")),
]


@pytest.mark.parametrize("data, text", PRINTED, ids=range(len(PRINTED)))
def test_printing(data, text):
    assert repr(minigrad.tensor(data)) == str(minigrad.tensor(data)) == text


def test_notes_behind_the_numbers():
    w = minigrad.tensor([1.0], requires_grad=True, name="w")
    assert repr(w) == "tensor([1.], name='w', requires_grad=True)"
    assert repr(w * 2) == "tensor([2.], grad_fn=<mul>)"
    assert repr(minigrad.ones(2, dtype=minigrad.float32)) == "tensor([1., 1.], dtype=float32)"
    assert repr(minigrad.ones(1, dtype=minigrad.int32)) == "tensor([1], dtype=int32)"
    w.name = "n" * 60
    assert repr(w) == f"tensor([1.], name='{w.name}',\n       requires_grad=True)"


GRID = [[i / 7 * j for i in range(30)] for j in range(5)]
# fmt: off
VALUES = [
    3.14159, 3.0, -2.5, [], [[], []], [[[]]], True, [True, False], 10**12, [1e9, 1], [1e8, 1e7],
    [1e8 + 1, 3.0],
    [1e-5, 1.0], [0.0001], [0.00009999], [math.nan, 1.0], [math.nan, 1.5, math.inf, -math.inf],
    [math.inf],
    [math.nan, math.nan], [0.0, 0.0], [-0.0], [0.0, 1e-3], [[1.5, 2.25], [-3, 4]],
    list(range(100)),
    [i / 7 for i in range(100)], GRID, [GRID, GRID], [float(i) for i in range(1000)],
    [float(i) for i in range(1001)], list(range(5000)),
    [[float(i + j) for i in range(40)] for j in range(40)],
    [[[i * j * 0.1 for i in range(12)] for j in range(12)] for k in range(12)], [[True] * 300] * 5,
    [[1.0] * 200] * 6, [[2.0] * 2] * 600, [1234.5678, 0.1], [12345.678, 1.0], [1e5, 0.5],
    [100000.5],
    [1.23456789e-7, 5.0], [999.0, 1.5, 1e6], [1.0, 1000.0], [1.0, 1001.0], [1e300], [1e-300],
    [5e-324],
    [1e300, 1e-300], [2**62, -1], [1e15 + 0.5], [0.1 + 0.2], [1e4, -1e-4], [-1, 100], [[-1.0]],
    [[[7]]],
]
# fmt: on


@needs_torch
@pytest.mark.parametrize("data", VALUES, ids=range(len(VALUES)))
def test_printing_as_pytorch(data):
    assert repr(minigrad.tensor(data)) == repr(torch.tensor(data))


@needs_torch
@pytest.mark.parametrize("options", [
    {"precision": 2}, {"threshold": 10}, {"threshold": 5, "edgeitems": 1}, {"linewidth": 40},
    {"sci_mode": True}, {"sci_mode": False, "precision": 6}, {"profile": "short"},
    {"profile": "full"}],
    ids=str)
def test_print_options_as_pytorch(options):
    try:
        minigrad.set_printoptions(**options)
        torch.set_printoptions(**options)
        for data in VALUES:
            assert repr(minigrad.tensor(data)) == repr(torch.tensor(data))
    finally:
        for library in (minigrad, torch):
            library.set_printoptions(profile="default")
            library.set_printoptions(sci_mode=None)


# --- the names that lessons on small networks use ------------------------------------------------

NAMES = {
    "Tensor": """backward mul add __getitem__ item grad sub sum shape data mean div view add_
    matmul __format__ numpy size __setitem__ detach __eq__ requires_grad sub_ unsqueeze zero_ to
    __bool__ __len__ float numel requires_grad_ __float__ __iter__ dtype gt pow clone max neg
    reshape cpu exp lt squeeze T abs grad_fn t contiguous device div_ double ge log ndim transpose
    type var argmax long min mul_ permute retain_grad tolist __int__ all eq expand fill_
    masked_fill relu split __and__ argmin clamp is_contiguous is_leaf le logsumexp masked_fill_
    new_tensor sqrt std stride tanh""", "minigrad": """tensor randn zeros no_grad ones rand tanh
    arange from_numpy manual_seed cat matmul device stack float32 linspace save Tensor float load
    max randint sigmoid sum long mean ones_like FloatTensor Generator LongTensor exp sin sqrt abs
    argmax inference_mode mul relu set_printoptions softmax unsqueeze empty multiply pow randperm
    sub transpose zeros_like add all allclose as_tensor chunk cos div double eq eye flatten float64
    full gt int32 int64 is_tensor isfinite log lt maximum min rand_like reshape set_grad_enabled
    split squeeze var""", "Module": """__call__ parameters eval state_dict to zero_grad train
    __repr__ load_state_dict named_parameters add_module apply register_buffer children cpu
    named_children named_modules""", "nn": """Linear Module Sequential ReLU MSELoss Parameter
    CrossEntropyLoss Tanh Embedding ModuleList Softmax BCELoss Sigmoid BCEWithLogitsLoss
    BatchNorm1d Dropout Flatten LayerNorm L1Loss LeakyReLU ModuleDict NLLLoss""",
    "init": "normal_ constant_ xavier_uniform_ uniform_ xavier_normal_ zeros_",
    "functional": """cross_entropy relu softmax log_softmax mse_loss one_hot
    binary_cross_entropy_with_logits leaky_relu nll_loss sigmoid smooth_l1_loss softplus tanh""",
    "optim": "SGD Adam AdamW RMSprop",
    "utils.data": "DataLoader Dataset TensorDataset",
}


@pytest.mark.parametrize("home", NAMES)
def test_names_of_lessons_exist(home):
    homes = types.SimpleNamespace(
        Tensor=minigrad.tensor([1.0]), minigrad=minigrad, Module=nn.Module, nn=nn, init=nn.init,
        functional=nn.functional, optim=minigrad.optim)
    place = minigrad.utils.data if home == "utils.data" else getattr(homes, home)
    assert not [name for name in NAMES[home].split() if not hasattr(place, name)]
    assert hasattr(nn.ModuleList, "__iter__") and hasattr(nn.Sequential, "__getitem__")
