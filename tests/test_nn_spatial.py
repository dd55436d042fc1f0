"""Convolution, pooling, attention and the rest without PyTorch: stored vectors, values by hand,
finite differences to second order, bad input."""

import json
import pathlib

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.gradcheck import gradcheck
from minigrad.nn import functional as F

X = ((np.arange(32) * 7 % 11 - 5) / 4).reshape(1, 2, 4, 4)
W = ((np.arange(24) * 5 % 7 - 3) / 2).reshape(3, 2, 2, 2)
B = np.array([0.5, -1, 2])
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden_nn.json").read_text())

CASES = {
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), X, W, B),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), X),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), X),
    "rms_norm": (lambda x: F.rms_norm(x, (4,)), X[0, 0]),
    "layer_norm": (lambda x: F.layer_norm(x, (4,)), X[0, 0]),
    "mish": (F.mish, X[0, 0, 0]),
    "selu": (F.selu, X[0, 0, 0]),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        X[0, 0, :2],
        X[0, 1, :2],
        X[0, 0, 2:],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_of_pytorch(name):
    """golden_nn.json holds what PyTorch 2.13 returned for the same arrays and gradients."""
    function, *arrays = CASES[name]
    inputs = [minigrad.tensor(a, requires_grad=True) for a in arrays]
    y = function(*inputs)
    values, gradients = GOLDEN[name]
    np.testing.assert_allclose(y.detach().numpy().ravel(), values, rtol=1e-8, atol=1e-9)
    y.backward(minigrad.tensor((np.arange(y.numel()) * 3.0 % 5 - 2).reshape(y.shape)))
    for x, g in zip(inputs, gradients, strict=True):
        np.testing.assert_allclose(x.grad.numpy().ravel(), g, rtol=1e-8, atol=1e-9)


def test_convolution_by_hand():
    x = minigrad.tensor([[[1.0, 2, 3, 4]]], requires_grad=True)
    w = minigrad.tensor([[[1.0, 0, -1]]], requires_grad=True)
    y = F.conv1d(x, w, padding=1)
    assert y.tolist() == [[[-2, -2, -2, 3]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[1, 0, 0, -1]]] and w.grad.tolist() == [[[6, 10, 9]]]


def test_a_convolution_is_a_sum_over_windows():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 2, 3))
    y = F.conv2d(minigrad.tensor(x), minigrad.tensor(w), stride=(2, 1)).numpy()
    for i in range(3):
        for j in range(3):
            window = x[:, :, 2 * i : 2 * i + 2, j : j + 3]
            np.testing.assert_allclose(y[:, :, i, j], np.einsum("ncij,ocij->no", window, w))


def tracked(*shapes):
    rng = np.random.default_rng(0)
    return [minigrad.tensor(rng.normal(size=s), requires_grad=True) for s in shapes]


CHECKED = [
    (lambda x, w, b: F.conv2d(x, w, b, 2, 1, 2, 2), (1, 2, 5, 4), (2, 1, 2, 2), (2,)),
    (lambda x, w: F.conv1d(x, w, padding="same"), (2, 2, 4), (1, 2, 2)),
    (lambda x: F.max_pool2d(x, 2, 1), (1, 2, 3, 3)),
    (lambda x: F.avg_pool1d(x, 2, 1, 1, True), (2, 2, 4)),
    (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (1, 2, 3, 4)),
    (lambda x: F.pad(x, (1, 1), "reflect"), (2, 3)),
    (lambda x, w, b: F.layer_norm(x, (3,), w, b), (2, 3), (3,), (3,)),
    (lambda x: F.group_norm(x, 2), (2, 4, 2)),
    (lambda x: F.rms_norm(x, (3,)), (2, 3)),
    (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), (2, 3), (4, 3), (4, 2)),
    (F.normalize, (2, 3)),
    (F.cosine_similarity, (2, 3), (2, 3)),
    (F.pairwise_distance, (2, 3), (2, 3)),
]


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_finite_differences(case):
    function, *shapes = case
    assert gradcheck(function, tracked(*shapes), order=2)


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU])
def test_finite_differences_through_time(make):
    minigrad.manual_seed(0)
    layer = make(2, 2)
    inputs = tracked((3, 1, 2)) + list(layer.parameters())
    assert gradcheck(lambda x, *_: layer(x)[0], inputs, order=2)


def test_a_small_network_learns_where_a_bar_is():
    """Bars in four positions: solved by two filters and max pooling in a few steps."""
    minigrad.manual_seed(0)
    images, labels = np.zeros((8, 1, 6, 6)), np.arange(8) % 2
    for i in range(8):
        images[(i, 0, i // 2 + 1) if i % 2 else (i, 0, slice(None), i // 2 + 1)] = 1
    x, y = minigrad.tensor(images), minigrad.tensor(labels)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(2, 2)
    )
    adam = minigrad.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(150):
        adam.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        adam.step()
    assert loss.item() < 0.05


# --- layers --------------------------------------------------------------------------------------


def test_dropout_of_whole_channels():
    minigrad.manual_seed(0)
    y = nn.Dropout2d(0.5)(minigrad.ones(4, 50, 3, 3)).numpy()
    per_channel = y.reshape(200, 9)
    assert (per_channel == per_channel[:, :1]).all() and set(np.unique(y)) == {0.0, 2.0}
    assert 60 < (per_channel[:, 0] == 0).sum() < 140
    x = minigrad.ones(1, 2, 2, 2)
    assert nn.Dropout2d(0.5).eval()(x) is x


def test_dropout_between_recurrent_layers():
    minigrad.manual_seed(0)
    layer, x = nn.LSTM(2, 3, num_layers=2, dropout=0.5), minigrad.ones(4, 1, 2)
    assert (layer(x)[0].numpy() != layer(x)[0].numpy()).any()
    layer.eval()
    assert (layer(x)[0].numpy() == layer(x)[0].numpy()).all()


def test_float32_stays_float32():
    x = minigrad.ones(2, 2, 4, 4).float()
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Mish(),
        nn.AvgPool2d(2),
        nn.GroupNorm(2, 4),
        nn.MaxPool2d(2),
        nn.PReLU(),
        nn.Softshrink(),
        nn.Hardtanh(),
        nn.Flatten(),
        nn.RMSNorm(4),
    ).float()
    y = net(x)
    y.sum().backward()
    assert y.dtype == minigrad.float32
    assert all(p.grad.dtype == minigrad.float32 for p in net.parameters())
    for layer in (nn.RNN(4, 3), nn.LSTM(4, 3), nn.GRU(4, 3), nn.MultiheadAttention(4, 2)):
        z = minigrad.ones(5, 2, 4).float()
        inputs = (z, z, z) if isinstance(layer, nn.MultiheadAttention) else (z,)
        assert layer.float()(*inputs)[0].dtype == minigrad.float32


# --- bad input -----------------------------------------------------------------------------------


def ones(*shape):
    return minigrad.ones(*shape)


BAD = [
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 2, 3, 3)),
        RuntimeError,
        r"expected input with 2 channels.*\(2, 3, 8, 8\) has 3",
    ),
    (
        lambda: F.conv2d(ones(8, 8), ones(4, 2, 3, 3)),
        RuntimeError,
        r"3D \(unbatched\) or 4D \(batched\).*\(8, 8\)",
    ),
    (lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3)), RuntimeError, r"4 dimensions.*\(4, 3, 3\)"),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 9, 9)),
        RuntimeError,
        r"\(9, 9\).*larger than.*\(2, 3, 8, 8\)",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), ones(3)),
        RuntimeError,
        r"4 output channels.*\(3,\)",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 1, 3, 3), groups=3),
        RuntimeError,
        "groups.*divides the 4",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), stride=0),
        RuntimeError,
        "stride must be at least 1, got 0",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), padding=-1),
        RuntimeError,
        "padding must be at least 0",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), stride=(1, 2, 3)),
        TypeError,
        r"stride.*\(1, 2, 3\)",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8), ones(4, 3, 3, 3), stride=2, padding="same"),
        RuntimeError,
        "'same' is not supported for strided",
    ),
    (
        lambda: F.conv2d(ones(2, 3, 8, 8).long(), ones(4, 3, 3, 3)),
        RuntimeError,
        "floating point.*int64",
    ),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError, "Invalid padding string 'full'"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode='mirror'"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels must be divisible by groups"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError, "out_channels must be divisible by groups"),
    (lambda: nn.Conv2d(0, 3, 3), ValueError, "in_channels must be a positive"),
    (lambda: nn.Conv2d(1, 3, 3, 2, "same"), ValueError, "strided"),
    (lambda: F.max_pool2d(ones(1, 1, 3, 3), 4), RuntimeError, r"\(1, 1, 3, 3\).*too small"),
    (
        lambda: F.max_pool2d(ones(1, 1, 3, 3), 2, padding=2),
        RuntimeError,
        "at most half of effective kernel size",
    ),
    (lambda: F.max_pool2d(ones(3, 3), 2), RuntimeError, r"\(3, 3\)"),
    (lambda: F.max_pool2d(ones(1, 1, 3, 3).long(), 2), RuntimeError, "floating point"),
    (
        lambda: F.avg_pool2d(ones(1, 1, 3, 3), 2, divisor_override=0),
        RuntimeError,
        "divisor must be not zero",
    ),
    (lambda: F.adaptive_avg_pool2d(ones(1, 1, 3, 3), (1, 2, 3)), TypeError, "output_size"),
    (lambda: F.pad(ones(2, 3), (1,)), RuntimeError, r"two amounts.*\(2, 3\)"),
    (lambda: F.pad(ones(2, 3), (3, 0), "reflect"), RuntimeError, r"smaller than the dimension.*3"),
    (lambda: F.pad(ones(2, 3), (4, 0), "circular"), RuntimeError, "around once"),
    (lambda: F.pad(ones(2, 3), (1, 0), "mirror"), NotImplementedError, "'mirror'"),
    (lambda: F.pad(ones(2, 3), (1, 0), "reflect", 2.0), ValueError, "no value"),
    (lambda: F.pad(ones(2, 3), (-2, -2)), RuntimeError, r"cuts more off.*\(2, 3\)"),
    (lambda: F.layer_norm(ones(2, 3), (2,)), RuntimeError, r"\(2,\).*\(2, 3\)"),
    (lambda: F.rms_norm(ones(2, 3), (2, 2, 3)), RuntimeError, r"\(2, 2, 3\).*\(2, 3\)"),
    (lambda: F.group_norm(ones(2, 3), 2), RuntimeError, r"num_groups=2.*\(2, 3\)"),
    (
        lambda: nn.GroupNorm(2, 3),
        ValueError,
        r"num_channels \(3\) must be divisible by num_groups \(2\)",
    ),
    (
        lambda: nn.BatchNorm2d(3)(ones(2, 3)),
        ValueError,
        r"expected 4D input \(N, C, H, W\).*\(2, 3\)",
    ),
    (lambda: nn.BatchNorm2d(3)(ones(2, 4, 1, 1)), RuntimeError, r"BatchNorm2d\(3\).*4 features"),
    (lambda: nn.BatchNorm2d(3)(ones(1, 3, 1, 1)), ValueError, "more than 1 value per channel"),
    (lambda: F.prelu(ones(2, 3), ones(2)), RuntimeError, "has 2.*has 3 channels"),
    (lambda: F.glu(ones(2, 3)), RuntimeError, r"\(2, 3\) must be even"),
    (lambda: F.hardtanh(ones(2), 1.0, 0.0), ValueError, "min_val 1.0 cannot be greater"),
    (lambda: F.softshrink(ones(2), -1.0), RuntimeError, "-1.0"),
    (lambda: F.celu(ones(2), 0), ZeroDivisionError, "alpha"),
    (
        lambda: F.scaled_dot_product_attention(ones(3, 4), ones(3, 5), ones(3, 5)),
        RuntimeError,
        r"query \(3, 4\), key \(3, 5\)",
    ),
    (
        lambda: F.scaled_dot_product_attention(ones(3), ones(3), ones(3)),
        RuntimeError,
        "at least 2 dimensions",
    ),
    (
        lambda: F.scaled_dot_product_attention(
            ones(3, 4), ones(3, 4), ones(3, 4), ones(3, 3) > 0, is_causal=True
        ),
        RuntimeError,
        "is_causal",
    ),
    (
        lambda: F.scaled_dot_product_attention(ones(3, 4), ones(3, 4), ones(3, 4), ones(2, 3) > 0),
        RuntimeError,
        r"\(2, 3\) does not broadcast.*\(3, 3\)",
    ),
    (
        lambda: F.scaled_dot_product_attention(
            ones(3, 4), ones(3, 4), ones(3, 4), ones(3, 3).long()
        ),
        RuntimeError,
        "boolean or floating point",
    ),
    (
        lambda: F.scaled_dot_product_attention(ones(3, 4), ones(3, 4), ones(3, 4), dropout_p=2),
        ValueError,
        "between 0 and 1",
    ),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "divisible by num_heads, got 5 and 2"),
    (
        lambda: nn.MultiheadAttention(4, 2)(*[ones(3, 1, 5)] * 3),
        RuntimeError,
        r"query.*4 features.*\(3, 1, 5\)",
    ),
    (lambda: nn.LSTM(3, 4, bidirectional=True), NotImplementedError, "bidirectional"),
    (lambda: nn.LSTM(3, 4)(ones(2, 1, 5)), RuntimeError, r"Expected 3.*\(2, 1, 5\)"),
    (lambda: nn.LSTM(3, 4)(ones(3)), RuntimeError, r"2 or 3 dimensions.*\(3,\)"),
    (
        lambda: nn.GRU(3, 4)(ones(2, 1, 3), ones(1, 2, 4)),
        RuntimeError,
        r"\(1, 1, 4\), got \[\(1, 2, 4\)\]",
    ),
    (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "'sin'"),
    (lambda: F.kl_div(ones(2, 3), ones(2, 3), reduction="all"), ValueError, "'all'"),
    (lambda: nn.KLDivLoss("batch"), ValueError, "'batch'.*batchmean"),
    (lambda: F.multi_margin_loss(ones(2, 3), minigrad.tensor([0, 3])), IndexError, "Target 3"),
    (lambda: F.multi_margin_loss(ones(2, 3), minigrad.tensor([0, 1]), p=3), ValueError, "got 3"),
    (lambda: F.triplet_margin_loss(*[ones(2, 3)] * 3, margin=-1.0), ValueError, "-1.0"),
    (lambda: F.gaussian_nll_loss(ones(2), ones(2), -ones(2)), ValueError, "negative"),
    (lambda: F.dropout2d(ones(2, 3)), RuntimeError, r"\(2, 3\)"),
]


@pytest.mark.parametrize("call, kind, message", BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_input(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
