"""The rest of nn equals PyTorch's: activations, distances, losses of pairs, normalizations: values,
gradients, gradients of gradients."""

import numpy as np
import pytest
from nn_mirror import (
    NUMBERS,
    TOLERANCE,
    compare,
    compare_modules,
    compare_twice,
    loaded,
    pair,
    torch,
)

from minigrad import nn
from minigrad.nn import functional as F

TF = torch.nn.functional
pytestmark = pytest.mark.usefixtures("doubles")

# --- activations ---------------------------------------------------------------------------------

ACTIVATIONS = [
    ("selu", {}),
    ("celu", {}),
    ("celu", {"alpha": 0.4}),
    ("mish", {}),
    ("softsign", {}),
    ("relu6", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.5, "max_val": 2.0}),
    ("logsigmoid", {}),
    ("hardswish", {}),
    ("hardsigmoid", {}),
    ("tanhshrink", {}),
    ("hardshrink", {}),
    ("hardshrink", {"lambd": 1.0}),
    ("softshrink", {}),
    ("softshrink", {"lambd": 1.0}),
    ("threshold", {"threshold": 0.5, "value": 7}),
    ("softmin", {"dim": 0}),
    ("softmin", {"dim": -1}),
    ("glu", {}),
    ("glu", {"dim": 0}),
]
ROUGH = {"celu", "hardsigmoid"}  # PyTorch's kernels have 1 / alpha and 1 / 6 in float32
FIRST_ORDER = {"hardsigmoid"}  # PyTorch has no second derivative
MODERATE = np.array([[-6.0, -3.0, -2.9, -1.0, -0.5, -1e-3], [1e-3, 0.5, 1.0, 2.0, 3.0, 6.0]])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name, options", ACTIVATIONS)
def test_activations(name, options, dtype, rng):
    ours, theirs = getattr(F, name), getattr(TF, name)
    rough = 1e-7 if name in ROUGH else 0
    compare(ours, theirs, [NUMBERS], dtype, rough, **options)
    compare(ours, theirs, [MODERATE], dtype, rough, **options)
    if name not in FIRST_ORDER:
        compare_twice(ours, theirs, [rng.normal(0, 2, (2, 4, 4))], dtype, rough, **options)


@pytest.mark.parametrize(
    "name, options",
    [
        a
        for a in ACTIVATIONS
        if a[0]
        in ("selu", "celu", "mish", "relu6", "hardtanh", "hardswish", "hardsigmoid", "threshold")
    ],
)
def test_in_place_activations(name, options, rng):
    x = rng.normal(size=(2, 3))
    compare(
        lambda x: getattr(F, name)(x * 1, inplace=True, **options),
        lambda x: getattr(TF, name)(x * 1, inplace=True, **options),
        [x],
        tolerance=1e-7 if name in ROUGH else 0,
    )


@pytest.mark.parametrize(
    "shape, weights",
    [((3, 4), 1), ((3, 4), 4), ((2, 4, 3), 4), ((5,), 1), ((), 1), ((2, 3, 2, 2), 3)],
)
def test_prelu(shape, weights, rng):
    x, slopes = rng.normal(size=shape), rng.normal(size=weights)
    compare_twice(F.prelu, TF.prelu, [x, slopes])
    compare(F.prelu, TF.prelu, [np.where(x > 0.5, 0, x), slopes])


UNITS = [
    lambda m: m.SELU(),
    lambda m: m.SELU(inplace=True),
    lambda m: m.CELU(0.5),
    lambda m: m.Mish(),
    lambda m: m.Softsign(),
    lambda m: m.ReLU6(),
    lambda m: m.Hardtanh(),
    lambda m: m.Hardtanh(-2.0, 0.5, True),
    lambda m: m.Hardswish(),
    lambda m: m.Hardsigmoid(),
    lambda m: m.Tanhshrink(),
    lambda m: m.Hardshrink(0.2),
    lambda m: m.Softshrink(),
    lambda m: m.Threshold(0.1, 20),
    lambda m: m.Softmin(1),
    lambda m: m.GLU(),
    lambda m: m.GLU(dim=0),
    lambda m: m.PReLU(),
    lambda m: m.PReLU(4, 0.1),
    lambda m: m.RMSNorm(2),
    lambda m: m.RMSNorm([4, 2], eps=0.1),
    lambda m: m.RMSNorm(2, elementwise_affine=False),
    lambda m: m.GroupNorm(2, 4),
    lambda m: m.GroupNorm(1, 4, eps=0.1),
    lambda m: m.GroupNorm(4, 4, 0.5, affine=False),
    lambda m: m.LayerNorm([4, 2]),
]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", UNITS)
def test_units_and_norms(make, dtype, rng):
    ours, theirs = make(nn).to(np.dtype(dtype)), make(torch.nn).to(getattr(torch, dtype))
    for p in ours.parameters():
        nn.init.normal_(p)
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    x = rng.normal(size=(6, 4, 2))
    if getattr(ours, "inplace", False):
        compare(lambda x: ours(x * 1), lambda x: theirs(x * 1), [x], dtype)
    elif not isinstance(ours, nn.Hardsigmoid):
        compare_modules(ours, theirs, x, dtype=dtype)


# --- normalization -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    "shape, dims",
    [((4, 3), (3,)), ((2, 3, 4), (3, 4)), ((2, 3, 4), (4,)), ((3,), (3,)), ((0, 3), (3,))],
)
def test_layer_and_rms_norm(shape, dims, dtype, rng):
    x, w, b = rng.normal(1, 2, shape), rng.normal(size=dims), rng.normal(size=dims)
    for name, extra in (("layer_norm", [w, b]), ("rms_norm", [w])):
        ours, theirs = getattr(F, name), getattr(TF, name)
        compare_twice(
            lambda x, *e: ours(x, dims, *e),
            lambda x, *e: theirs(x, dims, *e),  # noqa: B023
            [x, *extra],
            dtype,
            tolerance=1e-4 if dtype == "float32" else 0,
        )
        compare_twice(
            lambda x: ours(x, dims, eps=0.1),
            lambda x: theirs(x, dims, eps=0.1),  # noqa: B023
            [x],
            dtype,
            tolerance=1e-4 if dtype == "float32" else 0,
        )


def test_layer_norm_of_equal_numbers():
    x = np.array([[2.0, 2.0, 2.0], [1e8, 1e8, 1e8 + 1]])
    compare(lambda x: F.layer_norm(x, (3,)), lambda x: TF.layer_norm(x, (3,)), [x], tolerance=1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (3, 3, 2, 4)])
@pytest.mark.parametrize("training", [True, False])
def test_second_gradients_of_batch_norm(shape, training, rng):
    x, w, b = rng.normal(size=shape), rng.normal(size=3), rng.normal(size=3)
    mean, var = rng.normal(size=3), rng.uniform(0.5, 2, 3)
    compare_twice(
        lambda x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, training),
        lambda x, w, b, mean, var: TF.batch_norm(x, mean, var, w, b, training),
        [x, w, b],
        mean=mean,
        var=var,
    )


@pytest.mark.parametrize(
    "options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}], ids=str
)
def test_batch_norm_of_images(options, rng):
    ours, theirs = nn.BatchNorm2d(3, **options), torch.nn.BatchNorm2d(3, **options)
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    for shape in ((4, 3, 2, 5), (1, 3, 4, 4)):
        compare_modules(ours, theirs, rng.normal(0.5, 2, shape))
    ours.eval(), theirs.eval()
    compare_modules(ours, theirs, rng.normal(size=(2, 3, 2, 2)))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3), (2, 4, 3, 2)])
def test_group_norm(groups, shape, rng):
    compare_twice(
        lambda x, w, b: F.group_norm(x, groups, w, b),
        lambda x, w, b: TF.group_norm(x, groups, w, b),
        [rng.normal(size=shape), rng.normal(size=4), rng.normal(size=4)],
        tolerance=1e-7,
    )


# --- lengths and angles --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 1.0},
        {"p": 3.0, "dim": 0},
        {"p": np.inf},
        {"dim": -1, "eps": 0.5},
        {"p": 1.5, "dim": 2},
    ],
    ids=str,
)
def test_normalize(options, rng):
    x = rng.normal(size=(3, 4, 2))
    compare_twice(F.normalize, TF.normalize, [x], **options)
    if options.get("p", 2) == 2:
        x[0] = 0
        compare(F.normalize, TF.normalize, [x], **options)


@pytest.mark.parametrize("options", [{}, {"dim": 0}, {"dim": -1, "eps": 0.1}], ids=str)
def test_cosine_similarity(options, rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    compare_twice(F.cosine_similarity, TF.cosine_similarity, [x, y], **options)
    compare_twice(F.cosine_similarity, TF.cosine_similarity, [x, y[:1]], **options)
    x[0] = 0
    compare(F.cosine_similarity, TF.cosine_similarity, [x, y], **options)
    compare_modules(nn.CosineSimilarity(**options), torch.nn.CosineSimilarity(**options), x, y)


@pytest.mark.parametrize(
    "options", [{}, {"p": 1.0}, {"p": 3.0, "keepdim": True}, {"eps": 0.0}, {"p": np.inf}], ids=str
)
def test_pairwise_distance(options, rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    compare_twice(F.pairwise_distance, TF.pairwise_distance, [x, y], **options)
    compare_twice(F.pairwise_distance, TF.pairwise_distance, [x, y[0]], **options)
    if "p" not in options:
        compare(F.pairwise_distance, TF.pairwise_distance, [x, x], **options)


# --- losses --------------------------------------------------------------------------------------

REDUCTIONS = ["none", "mean", "sum"]


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
def test_kl_div(reduction, rng):
    x, t = rng.normal(size=(3, 4)), rng.uniform(0.1, 1, (3, 4))
    compare_twice(F.kl_div, TF.kl_div, [x, t], reduction=reduction)
    compare_twice(F.kl_div, TF.kl_div, [x, np.log(t)], reduction=reduction, log_target=True)
    t[0, 1] = 0
    target = pair(t, tracked=False)
    compare(
        lambda x: F.kl_div(x, target[0], reduction=reduction),
        lambda x: TF.kl_div(x, target[1], reduction=reduction),
        [x],
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_pairs(reduction, dtype, rng):
    sign = np.where(rng.random(5) < 0.5, -1, 1)
    x = [rng.normal(size=(5, 3)) for _ in range(3)]
    each = [v[:, 0] for v in x]
    for margin in (0.0, 0.4, 2.0):
        compare_twice(
            F.hinge_embedding_loss,
            TF.hinge_embedding_loss,
            [each[0], sign],
            dtype,
            margin=margin,
            reduction=reduction,
        )
        compare_twice(
            F.margin_ranking_loss,
            TF.margin_ranking_loss,
            [*each[:2], sign],
            dtype,
            margin=margin,
            reduction=reduction,
        )
        compare_twice(
            F.cosine_embedding_loss,
            TF.cosine_embedding_loss,
            [*x[:2], sign],
            dtype,
            margin=margin / 2,
            reduction=reduction,
        )
    compare_twice(
        F.soft_margin_loss, TF.soft_margin_loss, [each[0], sign], dtype, reduction=reduction
    )
    for options in ({}, {"p": 1.0}, {"swap": True, "margin": 3.0}, {"eps": 0.1}):
        compare_twice(
            F.triplet_margin_loss, TF.triplet_margin_loss, x, dtype, reduction=reduction, **options
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "options", [{}, {"p": 2}, {"margin": 0.3}, {"weight": np.array([1.0, 0.5, 2.0])}], ids=str
)
def test_multi_margin_loss(options, reduction, rng):
    compare(
        F.multi_margin_loss,
        TF.multi_margin_loss,  # PyTorch has no second derivative
        [rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])],
        reduction=reduction,
        **options,
    )
    compare(
        F.multi_margin_loss,
        TF.multi_margin_loss,
        [rng.normal(size=3), np.array(2)],
        reduction=reduction,
        **options,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_likelihoods(reduction, rng):
    x, n, v = (
        rng.uniform(0.5, 2, (4, 3)),
        rng.integers(0, 5, (4, 3)).astype(float),
        rng.uniform(0.1, 2, (4, 3)),
    )
    t = pair(n, tracked=False)
    for options in ({}, {"full": True}, {"log_input": False}, {"log_input": False, "eps": 0.1}):
        compare_twice(
            lambda x, **o: F.poisson_nll_loss(x, t[0], **o),
            lambda x, **o: TF.poisson_nll_loss(x, t[1], **o),
            [x],
            reduction=reduction,
            **options,
        )
    for options in ({}, {"full": True}, {"eps": 0.5}):
        compare_twice(
            F.gaussian_nll_loss, TF.gaussian_nll_loss, [x, n, v], reduction=reduction, **options
        )
        compare(
            F.gaussian_nll_loss,
            TF.gaussian_nll_loss,
            [x, n, v[:, 0]],
            reduction=reduction,
            **options,
        )


LOSSES = [
    (lambda m: m.KLDivLoss(reduction="batchmean"), ((3, 4), (3, 4))),
    (lambda m: m.KLDivLoss(log_target=True), ((3, 4), (3, 4))),
    (lambda m: m.HingeEmbeddingLoss(0.5), ((3,), 3)),
    (lambda m: m.SoftMarginLoss(), ((3,), 3)),
    (lambda m: m.MarginRankingLoss(0.1), ((3,), (3,), 3)),
    (lambda m: m.CosineEmbeddingLoss(reduction="sum"), ((3, 4), (3, 4), 3)),
    (lambda m: m.TripletMarginLoss(2.0, swap=True), ((3, 4), (3, 4), (3, 4))),
    (lambda m: m.PoissonNLLLoss(full=True), ((3, 4), (3, 4))),
    (lambda m: m.GaussianNLLLoss(full=True), ((3, 4), (3, 4), (3, 4))),
    (lambda m: m.PairwiseDistance(1.0, keepdim=True), ((3, 4), (3, 4))),
]


@pytest.mark.parametrize("make, shapes", LOSSES)
def test_losses_as_modules(make, shapes, rng):
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    arrays = [
        rng.uniform(0.1, 1, s) if isinstance(s, tuple) else np.array([1, -1, 1]) for s in shapes
    ]
    compare_modules(ours, theirs, *arrays)
