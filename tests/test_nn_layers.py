"""Layers and activations: values by hand, finite differences, randomness, bad input."""

import math

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.gradcheck import gradcheck
from minigrad.nn import functional as F


@pytest.fixture(autouse=True)
def seeded():
    minigrad.manual_seed(0)


def tensor(data, **options):
    return minigrad.tensor(data, **options)


# --- Linear and Embedding ------------------------------------------------------------------------

def test_linear_by_hand():
    layer = nn.Linear(2, 3)
    layer.load_state_dict({"weight": [[1, 2], [3, 4], [5, 6]], "bias": [10, 20, 30]})
    assert layer(tensor([1.0, -1.0])).tolist() == [9, 19, 29]
    x = tensor([[1.0, 0.0], [2.0, 1.0]], requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad.tolist() == [[3, 1]] * 3 and layer.bias.grad.tolist() == [2, 2, 2]
    assert x.grad.tolist() == [[9, 12], [9, 12]]
    assert nn.Linear(2, 3, bias=False).bias is None
    assert layer(np.array([[1.0, -1.0]])).tolist() == [[9, 19, 29]]


def test_linear_starts_within_its_bound():
    layer = nn.Linear(400, 50)
    bound = 1 / math.sqrt(400)
    for p in layer.parameters():
        assert np.abs(p.numpy()).max() <= bound
    assert layer.weight.numpy().std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    first = layer.weight.numpy().copy()
    layer.reset_parameters()
    assert (layer.weight.numpy() != first).all()


def test_dtypes_of_layers():
    assert nn.Linear(1, 1).weight.dtype == minigrad.float64
    for make in (lambda o: nn.Linear(2, 2, **o), lambda o: nn.Embedding(2, 2, **o),
                 lambda o: nn.BatchNorm1d(2, **o), lambda o: nn.LayerNorm(2, **o)):
        layer = make({"dtype": minigrad.float32, "device": "cpu"})
        assert {t.dtype for t in layer.state_dict().values()} <= {minigrad.float32, minigrad.int64}
    minigrad.set_default_dtype(minigrad.float32)
    try:
        assert nn.Linear(1, 1).weight.dtype == minigrad.float32
        assert nn.BatchNorm1d(1).running_mean.dtype == minigrad.float32
    finally:
        minigrad.set_default_dtype(minigrad.float64)


def test_embedding_adds_up_repeated_rows():
    layer = nn.Embedding(4, 2)
    rows = layer(tensor([1, 1, 3]))
    assert rows.shape == (3, 2) and rows[0].tolist() == layer.weight[1].tolist()
    rows.sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]
    assert layer(tensor([[0], [2]])).shape == (2, 1, 2)
    assert layer(2).shape == (2,) and layer(np.array([1, 2])).shape == (2, 2)


def test_embedding_padding():
    layer = nn.Embedding(4, 2, padding_idx=-4)
    assert layer.weight[0].tolist() == [0, 0] and layer.padding_idx == 0
    layer(tensor([0, 0, 1])).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0]]


# --- Dropout -------------------------------------------------------------------------------------

def test_dropout_keeps_the_mean():
    layer, x = nn.Dropout(0.3), minigrad.ones(200, 200, requires_grad=True)
    y = layer(x)
    kept = y.detach().numpy() != 0
    assert kept.mean() == pytest.approx(0.7, abs=0.02)
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.7)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert (layer(x).detach().numpy() != y.detach().numpy()).any()


def test_dropout_in_eval_and_at_the_ends():
    x = minigrad.rand(4, 5)
    layer = nn.Dropout(0.5)
    assert layer.eval()(x) is x
    assert nn.Dropout(0)(x) is x
    assert not nn.Dropout(1)(x).numpy().any()
    assert np.isfinite(nn.Dropout(1.0)(tensor([1.0])).numpy()).all()
    assert F.dropout(x.float(), 0.5).dtype == minigrad.float32
    assert F.dropout(tensor([1, 2]), training=False).tolist() == [1, 2]


def test_dropout_in_place():
    x = minigrad.ones(100)
    y = nn.Dropout(0.5, inplace=True)(x)
    assert y is x and 0 < (x.numpy() == 0).sum() < 100


def test_everything_random_repeats():
    def draw():
        minigrad.manual_seed(5)
        net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 2))
        return [*(p.tolist() for p in net.parameters()), net(minigrad.rand(6, 3)).tolist(),
                minigrad.randperm(9).tolist(), nn.Embedding(3, 2).weight.tolist(),
                nn.init.xavier_normal_(minigrad.empty(2, 2)).tolist()]
    assert draw() == draw()


# --- normalization -------------------------------------------------------------------------------

def test_batch_norm_by_hand():
    layer = nn.BatchNorm1d(1, eps=0.0, momentum=0.5)
    y = layer(tensor([[1.0], [2.0], [3.0]]))
    np.testing.assert_allclose(y.detach().numpy(),
                               np.array([[-1.0], [0.0], [1.0]]) * math.sqrt(1.5))
    assert layer.running_mean.item() == 1.0  # halfway from 0 to 2
    assert layer.running_var.item() == 1.0  # halfway from 1 to the unbiased variance, 1
    assert layer.num_batches_tracked.item() == 1
    assert layer.eval()(tensor([[1.0], [3.0]])).tolist() == [[0.0], [2.0]]
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_averages_all_batches_without_momentum():
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = minigrad.randn(5, 8, 2) * 3 + 1
    for batch in batches:
        layer(batch)
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.numpy().mean(axis=(0, 1)))
    np.testing.assert_allclose(layer.running_var.numpy(),
                               batches.numpy().var(axis=1, ddof=1).mean(axis=0))
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0] and layer.num_batches_tracked.item() == 0
    layer.weight.data.fill_(5)
    layer.reset_parameters()
    assert layer.weight.tolist() == [1, 1] and layer.bias.tolist() == [0, 0]


def test_a_refused_batch_is_not_counted():
    layer = nn.BatchNorm1d(2)
    with pytest.raises(ValueError, match="drop_last"):
        layer(minigrad.ones(1, 2))
    assert layer.num_batches_tracked.item() == 0 and layer.running_mean.tolist() == [0, 0]
    assert layer.eval()(minigrad.ones(1, 2)).shape == (1, 2)
    assert layer.train()(minigrad.ones(1, 2, 3)).shape == (1, 2, 3)


def test_layer_norm_by_hand():
    y = nn.LayerNorm(2, eps=0.0)(tensor([[1.0, 3.0], [5.0, 9.0]]))
    assert y.tolist() == [[-1, 1], [-1, 1]]
    assert nn.LayerNorm(3, bias=False).bias is None
    layer = nn.LayerNorm((2, 2), elementwise_affine=False)
    assert not list(layer.parameters())
    assert abs(layer(minigrad.rand(3, 2, 2)).numpy().mean(axis=(1, 2))).max() < 1e-12


GRADCHECKED = [
    ("Linear", lambda: nn.Linear(3, 2), (4, 3)),
    ("BatchNorm1d", lambda: nn.BatchNorm1d(3), (4, 3)),
    ("BatchNorm1d 3-D", lambda: nn.BatchNorm1d(3), (2, 3, 2)),
    ("LayerNorm", lambda: nn.LayerNorm(3), (4, 3)),
    ("GELU", nn.GELU, (4,)), ("GELU tanh", lambda: nn.GELU("tanh"), (4,)), ("SiLU", nn.SiLU, (4,)),
    ("ELU", lambda: nn.ELU(0.7), (4,)), ("Softplus", lambda: nn.Softplus(2.0, 1.0), (4,)),
    ("LogSigmoid", nn.LogSigmoid, (4,)), ("Softmax", lambda: nn.Softmax(-1), (2, 3)),
    ("LeakyReLU", lambda: nn.LeakyReLU(0.3), (4,)),
    ("MLP", lambda: minigrad.MLP(3, [2, 1], "tanh"), (2, 3)),
]


@pytest.mark.parametrize("make, shape", [case[1:] for case in GRADCHECKED],
                         ids=[c[0] for c in GRADCHECKED])
def test_gradients_equal_finite_differences(make, shape):
    module = make()
    for p in module.parameters():
        nn.init.normal_(p)
    inputs = [minigrad.randn(shape, requires_grad=True), *module.parameters()]
    assert gradcheck(lambda x, *_: module(x), inputs)


# --- activations ---------------------------------------------------------------------------------

ACTIVATIONS = [
    (nn.ReLU(), [0, 0, 0, 1]), (nn.LeakyReLU(), [-0.02, -0.01, 0, 1]),
    (nn.LeakyReLU(0.5), [-1, -0.5, 0, 1]),
    (nn.Tanh(), np.tanh([-2, -1, 0, 1])), (nn.Sigmoid(), 1 / (1 + np.exp([2, 1, 0, -1]))),
    (nn.SiLU(), [-2, -1, 0, 1] / (1 + np.exp([2, 1, 0, -1]))),
    (nn.ELU(2.0), [2 * math.expm1(-2), 2 * math.expm1(-1), 0, 1]),
    (nn.GELU(), [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in (-2, -1, 0, 1)]),
    (nn.Softplus(), np.log1p(np.exp([-2, -1, 0, 1]))), (nn.Softplus(threshold=0.5), [
        *np.log1p(np.exp([-2, -1, 0])), 1]),
    (nn.LogSigmoid(), -np.log1p(np.exp([2, 1, 0, -1]))), (nn.Identity(3, a=4), [-2, -1, 0, 1]),
    (nn.Softmax(0), np.exp([-2, -1, 0, 1]) / np.exp([-2, -1, 0, 1]).sum()),
]


@pytest.mark.parametrize("module, expected", ACTIVATIONS,
                         ids=lambda v: repr(v) if hasattr(v, "eval") else "")
def test_activation_values(module, expected):
    np.testing.assert_allclose(module(tensor([-2.0, -1.0, 0.0, 1.0])).numpy(), expected,
                               atol=1e-15)


EVERYWHERE_FINITE = [nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.ELU(), nn.GELU(), nn.Softplus(),
                     nn.LogSigmoid(),
                     nn.LogSoftmax(0), nn.Softmax(0), nn.Softplus(beta=3.0)]


@pytest.mark.parametrize("module", EVERYWHERE_FINITE, ids=repr)
@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64])
def test_large_inputs_neither_overflow_nor_warn(module, dtype, recwarn):
    x = tensor([-1e4, -800.0, 0.0, 800.0, 1e4], dtype=dtype, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert np.isfinite(y.detach().numpy()).all() and np.isfinite(x.grad.numpy()).all()
    assert y.dtype == dtype and not list(recwarn)


@pytest.mark.parametrize("make", [nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU])
def test_in_place_activations(make):
    data = np.array([-1.0, 0.5, 2.0])
    x, y = tensor(data, requires_grad=True), tensor(data, requires_grad=True)
    h = x * 2
    out = make(inplace=True)(h)
    expected = make()(y * 2)
    assert out is h and out.tolist() == expected.tolist()
    out.sum().backward()
    expected.sum().backward()
    assert x.grad.tolist() == y.grad.tolist()
    assert "inplace=True" in repr(make(inplace=True)) and "inplace" not in repr(make())
    with pytest.raises(RuntimeError, match="leaf"):
        make(inplace=True)(x)


def test_flatten():
    x = minigrad.rand(2, 3, 4)
    assert nn.Flatten()(x).shape == (2, 12) and nn.Flatten(0)(x).shape == (24,)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)


# --- initial values ------------------------------------------------------------------------------

def test_initial_values_fill_in_place():
    p = nn.Parameter(np.zeros((3, 4)))
    for fill in (nn.init.uniform_, nn.init.normal_, nn.init.ones_, nn.init.zeros_,
                 nn.init.xavier_uniform_,
                 nn.init.kaiming_normal_, nn.init.eye_, lambda t: nn.init.constant_(t, 3)):
        assert fill(p) is p and p.requires_grad and p.is_leaf
    assert p.tolist() == [[3] * 4] * 3
    a, b = (nn.init.normal_(minigrad.empty(5), generator=minigrad.Generator().manual_seed(3))
            for _ in range(2))
    assert a.tolist() == b.tolist()


def test_a_refilled_parameter_is_noticed_by_backward():
    w = nn.Parameter([1.0, 2.0])
    y = (w * w).sum()
    nn.init.zeros_(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


# --- clipping ------------------------------------------------------------------------------------

def test_clipping():
    p, q, unused = nn.Parameter([0.0, 0.0]), nn.Parameter([0.0]), nn.Parameter([0.0])
    p.grad, q.grad = tensor([3.0, 0.0]), tensor([4.0])
    assert nn.utils.clip_grad_norm_([p, q, unused], 10.0).item() == 5
    assert p.grad.tolist() == [3, 0]
    assert nn.utils.clip_grad_norm_(iter([p, q, unused]), 1.0).item() == 5
    np.testing.assert_allclose([*p.grad.tolist(), *q.grad.tolist()], [0.6, 0, 0.8], rtol=1e-6)
    nn.utils.clip_grad_value_([p, q], 0.7)
    np.testing.assert_allclose([*p.grad.tolist(), *q.grad.tolist()], [0.6, 0, 0.7], rtol=1e-6)
    assert nn.utils.clip_grad_norm_([unused], 1.0).item() == 0
    p.grad = tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist() == [math.inf, 1.0]


# --- bad input: the type of error, and what its message must name --------------------------------

BAD = [
    (lambda: nn.Linear(3, 2)(minigrad.ones(4, 5)), RuntimeError,
     r"\(4, 5\).*5 features.*\(2, 3\).*takes 3"),
    (lambda: nn.Linear(3, 2)(tensor([[1.0, 2.0]], name="batch")), RuntimeError,
     "'batch'.*2 features"),
    (lambda: nn.Linear(3, 2, bias=False)(minigrad.ones(2)), RuntimeError, "2 features.*takes 3"),
    (lambda: nn.Linear(3, 2)(tensor(1.0)), RuntimeError, "no features.*takes 3"),
    (lambda: nn.Linear(3, 2)([1.0, 2.0, 3.0]), TypeError,
     r"must be a Tensor, not list.*minigrad.tensor"),
    (lambda: nn.Linear(3, 2)(np.ones(2)), RuntimeError, "2 features.*takes 3"),
    (lambda: F.linear(minigrad.ones(2), minigrad.ones(2)), RuntimeError, "linear"),
    (lambda: nn.Linear(0, 2), ValueError, "in_features must be a positive whole number, got 0"),
    (lambda: nn.Linear(2, -1), ValueError, "out_features.*-1"),
    (lambda: nn.Linear(2.0, 1), ValueError, "in_features.*2.0"),
    (lambda: nn.Linear(True, 1), ValueError, "in_features.*True"),
    (lambda: nn.Linear(2, 1, dtype=minigrad.int64), TypeError, "floating point.*int64"),
    (lambda: nn.Linear(2, 1, device="cuda"), RuntimeError, "cuda"),
    (lambda: nn.Linear(2, 1, biases=True), TypeError, "biases"),
    (lambda: nn.Embedding(0, 2), ValueError, "num_embeddings"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx.*3"),
    (lambda: nn.Embedding(3, 2)(tensor([0, 3])), IndexError, "out of range.*0 to 2, got 3"),
    (lambda: nn.Embedding(3, 2)(tensor([-1])), IndexError, "got -1"),
    (lambda: nn.Embedding(3, 2)(tensor([1.0])), RuntimeError, "integers, got float64.*long"),
    (lambda: nn.Embedding(3, 2)(tensor([True])), RuntimeError, "integers, got bool"),
    (lambda: nn.Embedding(3, 2)("abc"), TypeError, "must be a Tensor, not str"),
    (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
    (lambda: nn.Dropout(-0.1), ValueError, "-0.1"),
    (lambda: nn.Dropout(math.nan), ValueError, "nan"),
    (lambda: F.dropout(minigrad.ones(2), p=2), ValueError, "got 2"),
    (lambda: F.dropout(tensor([1, 2])), RuntimeError, "floating point.*int64"),
    (lambda: nn.BatchNorm1d(0), ValueError, "num_features"),
    (lambda: nn.BatchNorm1d(3)(minigrad.ones(1, 3)), ValueError, r"more than 1 value.*\(1, 3\)"),
    (lambda: nn.BatchNorm1d(3)(minigrad.ones(4, 2)), RuntimeError,
     r"BatchNorm1d\(3\).*\(4, 2\).*2 features"),
    (lambda: nn.BatchNorm1d(3)(minigrad.ones(3)), ValueError, r"2D or 3D.*\(3,\)"),
    (lambda: nn.BatchNorm1d(3)(minigrad.ones(2, 3, 1, 1)), ValueError, "2D or 3D"),
    (lambda: nn.LayerNorm(0), ValueError, "normalized_shape"),
    (lambda: nn.LayerNorm((2, -1)), ValueError, "normalized_shape.*-1"),
    (lambda: nn.LayerNorm(3)(minigrad.ones(2, 4)), RuntimeError, r"\(3,\).*\(2, 4\)"),
    (lambda: nn.LayerNorm((2, 3))(minigrad.ones(3)), RuntimeError, r"\(2, 3\).*\(3,\)"),
    (lambda: F.gelu(minigrad.ones(2), approximate="erf"), RuntimeError,
     "'none' or 'tanh', got 'erf'"),
    (lambda: nn.Tanh(3), TypeError, "takes 1 positional"),
    (lambda: nn.ReLU(slope=3), TypeError, "slope"),
    (lambda: F.softmax(tensor([1, 2]), dim=0), RuntimeError, "int64"),
    (lambda: F.softmax(minigrad.ones(2, 2), dim=2), IndexError, r"\[-2, 1\], but got 2"),
    (lambda: nn.init.xavier_uniform_(minigrad.ones(3)), ValueError, r"2 dimensions.*\(3,\)"),
    (lambda: nn.init.kaiming_normal_(minigrad.ones(3, 2), mode="fan"), ValueError,
     "fan_in.*'fan'"),
    (lambda: nn.init.calculate_gain("swish"), ValueError, "'swish'.*leaky_relu"),
    (lambda: nn.init.eye_(minigrad.ones(3)), ValueError, r"\(3,\)"),
    (lambda: nn.init.normal_(minigrad.ones(3), std=-1), RuntimeError, "std -1"),
    (lambda: nn.init.uniform_(minigrad.ones(3), 2, 1), RuntimeError, "a=2, b=1"),
    (lambda: nn.init.uniform_(tensor([1, 2])), TypeError, "int64"),
    (lambda: nn.init.zeros_([1.0]), TypeError, "list"),
]


@pytest.mark.parametrize("mistake, kind, message", BAD)
def test_refused(mistake, kind, message):
    with pytest.raises(kind, match=message):
        mistake()
