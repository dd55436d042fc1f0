"""Convolution, pooling and padding equal PyTorch's: values, gradients, gradients of gradients."""

import numpy as np
import pytest
from nn_mirror import TOLERANCE, close, compare, compare_modules, compare_twice, loaded, pair, torch

import minigrad
from minigrad import nn
from minigrad.nn import functional as F

TF = torch.nn.functional
pytestmark = pytest.mark.usefixtures("doubles")

# --- convolution ---------------------------------------------------------------------------------

CONV2D = [  # input, weight, bias, options
    ((2, 1, 8, 8), (3, 1, 3, 3), True, {}),
    ((2, 2, 5, 6), (3, 2, 3, 2), True, {"padding": 1}),
    ((2, 2, 5, 6), (3, 2, 3, 2), False, {"padding": (2, 0), "stride": (2, 3)}),
    ((2, 2, 7, 6), (3, 2, 3, 2), True, {"dilation": (2, 1), "stride": 2, "padding": (0, 1)}),
    ((2, 4, 5, 5), (6, 2, 3, 3), True, {"groups": 2}),
    ((2, 4, 5, 5), (8, 1, 2, 2), True, {"groups": 4, "padding": 1, "stride": 2}),
    ((2, 2, 5, 6), (3, 2, 3, 3), True, {"padding": "same"}),
    ((2, 2, 5, 6), (3, 2, 2, 4), True, {"padding": "same"}),
    ((2, 2, 5, 6), (3, 2, 2, 3), True, {"padding": "same", "dilation": (3, 2)}),
    ((2, 2, 5, 6), (3, 2, 2, 3), True, {"padding": "valid", "stride": [2, 1]}),
    ((2, 5, 6), (3, 2, 2, 3), True, {"padding": 1}),
    ((0, 2, 5, 6), (3, 2, 2, 3), True, {}),
    ((1, 1, 1, 1), (1, 1, 1, 1), True, {}),
    ((2, 2, 3, 3), (3, 2, 3, 3), True, {}),
]
CONV1D = [
    ((2, 2, 9), (3, 2, 3), True, {}),
    ((2, 2, 9), (3, 2, 4), False, {"stride": 2, "padding": 1, "dilation": 2}),
    ((2, 4, 9), (4, 2, 4), True, {"padding": "same", "groups": 2}),
    ((2, 9), (3, 2, 3), True, {"padding": (2,)}),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "name, case", [("conv2d", c) for c in CONV2D] + [("conv1d", c) for c in CONV1D], ids=str
)
def test_convolution(name, case, dtype, rng):
    x, w, bias, options = case
    arrays = [rng.normal(size=x), rng.normal(size=w)] + [rng.normal(size=w[0])] * bias
    compare_twice(getattr(F, name), getattr(TF, name), arrays, dtype, **options)


def test_convolution_of_views(rng):
    x, w = rng.normal(size=(5, 4, 3, 2)), rng.normal(size=(2, 3, 2, 2))
    compare_twice(
        lambda x, w: F.conv2d(x.permute(3, 2, 0, 1)[:, :, ::2], w.permute(0, 1, 3, 2)),
        lambda x, w: TF.conv2d(x.permute(3, 2, 0, 1)[:, :, ::2], w.permute(0, 1, 3, 2)),
        [x, w],
    )


def test_large_kernels_are_means(rng):
    x = minigrad.tensor(rng.normal(size=(2, 1, 4, 5)))
    y = F.conv2d(x, minigrad.ones(1, 1, 4, 5) / 20)
    np.testing.assert_allclose(y.numpy().ravel(), x.numpy().mean((1, 2, 3)))


# --- pooling -------------------------------------------------------------------------------------

POOLS = [
    {"kernel_size": 2},
    {"kernel_size": (2, 3)},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": (1, 2), "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": (3, 2), "padding": (1, 0)},
    {"kernel_size": 1, "stride": 3, "ceil_mode": True},
    {"kernel_size": (5, 6)},
]


@pytest.mark.parametrize(
    "options",
    POOLS
    + [
        {"kernel_size": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "dilation": (2, 1)},
        {"kernel_size": 2, "dilation": 3, "ceil_mode": True, "stride": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (3, 5, 6), (0, 3, 5, 6)])
def test_max_pool2d(options, shape, rng):
    if options.get("kernel_size") == (5, 6) and options.get("dilation"):
        return
    compare_twice(F.max_pool2d, TF.max_pool2d, [rng.normal(size=shape)], **options)
    compare(F.max_pool2d, TF.max_pool2d, [rng.integers(0, 2, shape).astype(float)], **options)
    x, z = pair(rng.normal(size=shape))
    close(
        F.max_pool2d(x, return_indices=True, **options)[1],
        TF.max_pool2d(z, return_indices=True, **options)[1],
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize(
    "options", POOLS + [{"kernel_size": 3, "divisor_override": 4, "padding": 1}], ids=str
)
def test_avg_pool2d(options, count_include_pad, dtype, rng):
    for shape in ((2, 3, 5, 6), (3, 5, 6)):
        compare_twice(
            F.avg_pool2d,
            TF.avg_pool2d,
            [rng.normal(size=shape)],
            dtype,
            count_include_pad=count_include_pad,
            **options,
        )


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": (3,), "ceil_mode": True, "stride": 2},
    ],
    ids=str,
)
def test_pools_of_sequences(options, rng):
    for shape in ((2, 3, 8), (3, 8)):
        compare_twice(F.max_pool1d, TF.max_pool1d, [rng.normal(size=shape)], **options)
        compare_twice(F.avg_pool1d, TF.avg_pool1d, [rng.normal(size=shape)], **options)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, (1, 3), (None, 2), (2, None), (4, 1)], ids=str)
def test_adaptive_avg_pool2d(size, rng):
    for shape in ((2, 3, 5, 6), (3, 7, 4)):
        compare_twice(
            F.adaptive_avg_pool2d,
            TF.adaptive_avg_pool2d,
            [rng.normal(size=shape)],
            output_size=size,
        )


@pytest.mark.parametrize("size", [1, 3, 7])
def test_adaptive_avg_pool1d(size, rng):
    compare_twice(
        F.adaptive_avg_pool1d,
        TF.adaptive_avg_pool1d,
        [rng.normal(size=(2, 3, 5))],
        output_size=size,
    )


def test_the_largest_number_may_be_infinite_or_nan():
    x = np.array([[[np.nan, 1, -np.inf, -np.inf, 2, np.inf, 3, np.nan]]])
    close(F.max_pool1d(pair(x)[0], 2), TF.max_pool1d(pair(x)[1], 2))
    close(F.max_pool1d(pair(x)[0], 3, 2, 1), TF.max_pool1d(pair(x)[1], 3, 2, 1))


# --- padding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "amounts",
    [(1, 2), (0, 1, 2, 0), (2, 2, 1, 3), (-1, 2), (1, -2, -1, 1), (0, 0), (1, 1, 1, 1, 2, 0)],
    ids=str,
)
@pytest.mark.parametrize("value", [None, 0.0, 1.5, -np.inf])
def test_constant_padding(amounts, value, rng):
    compare_twice(F.pad, TF.pad, [rng.normal(size=(2, 3, 5, 4))], pad=amounts, value=value)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    "shape, amounts", [((2, 3, 5), (1, 2)), ((2, 3, 5, 4), (1, 2, 3, 0)), ((3, 5, 4), (3, 3, 2, 2))]
)
def test_padding_from_the_input(mode, shape, amounts, rng):
    compare_twice(F.pad, TF.pad, [rng.normal(size=shape)], pad=amounts, mode=mode)


# --- layers --------------------------------------------------------------------------------------

LAYERS = [
    (lambda m: m.Conv2d(2, 4, 3), (3, 2, 6, 5)),
    (
        lambda m: m.Conv2d(2, 4, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), bias=False),
        (3, 2, 6, 5),
    ),
    (lambda m: m.Conv2d(2, 4, 3, padding="same", groups=2), (3, 2, 6, 5)),
    (lambda m: m.Conv2d(2, 4, 3, 1, 1, padding_mode="reflect"), (3, 2, 6, 5)),
    (lambda m: m.Conv2d(2, 4, (2, 3), padding="same", padding_mode="replicate"), (3, 2, 6, 5)),
    (lambda m: m.Conv2d(2, 4, 2, padding="valid", padding_mode="circular"), (2, 6, 5)),
    (lambda m: m.Conv2d(2, 4, 2, padding=(1, 2), padding_mode="circular"), (2, 6, 5)),
    (lambda m: m.Conv1d(2, 4, 3, padding=1), (3, 2, 6)),
    (lambda m: m.Conv1d(2, 4, (3,), stride=(2,)), (2, 6)),
    (lambda m: m.MaxPool2d(2), (2, 3, 6, 5)),
    (lambda m: m.MaxPool2d((2, 3), 1, (1, 0)), (2, 3, 6, 5)),
    (lambda m: m.MaxPool1d(3, ceil_mode=True), (2, 3, 5)),
    (lambda m: m.AvgPool1d(3, 2, 1), (2, 3, 5)),
    (lambda m: m.AvgPool2d(2), (2, 3, 6, 5)),
    (lambda m: m.AvgPool2d(3, 2, 1, True, False), (2, 3, 6, 5)),
    (lambda m: m.AdaptiveAvgPool2d(1), (2, 3, 6, 5)),
    (lambda m: m.AdaptiveAvgPool2d((None, 2)), (3, 6, 5)),
    (lambda m: m.AdaptiveAvgPool1d(2), (2, 3, 5)),
    (lambda m: m.ZeroPad2d(1), (2, 3, 4, 4)),
    (lambda m: m.ZeroPad1d((1, 2)), (2, 3, 4)),
    (lambda m: m.ReflectionPad2d((1, 2, 0, 1)), (2, 3, 4, 4)),
    (lambda m: m.ReflectionPad1d(2), (2, 3, 4)),
    (lambda m: m.ReplicationPad2d(2), (2, 3, 4, 4)),
    (lambda m: m.ReplicationPad1d(2), (2, 3, 4)),
    (lambda m: m.CircularPad2d(2), (2, 3, 4, 4)),
    (lambda m: m.CircularPad1d((1, 0)), (2, 3, 4)),
    (lambda m: m.ConstantPad2d(1, 2.5), (2, 3, 4, 4)),
    (lambda m: m.ConstantPad1d((1, 0), -1.0), (2, 3, 4)),
    (lambda m: m.Unflatten(1, (2, 3)), (4, 6)),
    (lambda m: m.Unflatten(-1, (3, -1)), (2, 4, 6)),
    (lambda m: m.Dropout2d(0.0), (2, 3, 4, 4)),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make, shape", LAYERS)
def test_layers(make, shape, dtype, rng):
    ours, theirs = make(nn).to(np.dtype(dtype)), make(torch.nn).to(getattr(torch, dtype))
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    compare_modules(ours, theirs, rng.normal(size=shape), dtype=dtype)


def test_a_whole_convolutional_network(rng):
    def net(m):
        return m.Sequential(
            m.Conv2d(1, 4, 3, padding=1),
            m.BatchNorm2d(4),
            m.ReLU(),
            m.MaxPool2d(2),
            m.Conv2d(4, 6, 3),
            m.GroupNorm(2, 6),
            m.SELU(),
            m.AdaptiveAvgPool2d(1),
            m.Flatten(),
            m.Linear(6, 3),
        )

    ours, theirs = net(nn), net(torch.nn)
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    for _ in range(2):
        compare_modules(ours, theirs, rng.normal(size=(5, 1, 8, 8)))
    ours.eval(), theirs.eval()
    compare_modules(ours, theirs, rng.normal(size=(5, 1, 8, 8)))


@pytest.mark.parametrize(
    "make", [lambda m: m.Conv2d(3, 40, 5), lambda m: m.Conv1d(6, 51, 9, groups=3)]
)
def test_convolutions_start_like_pytorchs(make):
    minigrad.manual_seed(0)
    ours, theirs = make(nn), make(torch.nn)
    for p, q in zip(ours.parameters(), theirs.parameters()):
        bound = 1 / np.sqrt(ours.weight.numpy()[0].size)
        assert bound * 0.9 < np.abs(p.numpy()).max() <= bound
        assert tuple(p.shape) == tuple(q.shape) and q.abs().max().item() <= bound
