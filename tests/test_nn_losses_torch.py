"""Losses equal PyTorch's: values, gradients and reprs, for all reductions, weights and extremes."""

import itertools

import numpy as np
import pytest
from nn_mirror import NUMBERS, TOLERANCE, compare, loaded, pair, torch

import minigrad
from minigrad import nn
from minigrad.nn import functional as F

TF = torch.nn.functional
pytestmark = pytest.mark.usefixtures("doubles")

# --- losses of numbers ---------------------------------------------------------------------------

REDUCTIONS = ["none", "mean", "sum"]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, options", [
    ("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {}), ("huber_loss", {"delta": 0.3}),
    ("huber_loss", {"delta": 5}), ("smooth_l1_loss", {}), ("smooth_l1_loss", {"beta": 0.4}),
    ("smooth_l1_loss", {"beta": 0}), ("smooth_l1_loss", {"beta": 3.0})])
def test_regression_losses(name, options, reduction, dtype, rng):
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    y[0] = x[0]
    y[1, 0] = x[1, 0] + 1
    for a, b in [(x, y), (x[0, 0], y[0, 1]), (x * 1e4, y), (x[:0], y[:0]), (x, y[:, :1]),
                 (x, y[0])]:
        compare(getattr(F, name), getattr(TF, name), [a, b], dtype, reduction=reduction, **options)


PROBABILITIES = np.array([[0.0, 1.0, 0.0, 1.0], [0.5, 1e-12, 1 - 1e-12, 0.3]])
TARGETS = np.array([[0.0, 1.0, 1.0, 0.0], [0.2, 1.0, 0.0, 0.7]])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, np.array([[2.0], [0.5]]), np.array([1.0, 2, 3, 0]),
                                    np.array(2.0)])
def test_binary_cross_entropy(weight, reduction):
    for dtype in TOLERANCE:  # 1e-8: the 1e-12 that PyTorch divides by at least is a float32
        t = pair(TARGETS, dtype, tracked=False)
        compare(lambda p, **o: F.binary_cross_entropy(p, t[0], **o),  # noqa: B023
                lambda p, **o: TF.binary_cross_entropy(p, t[1], **o),  # noqa: B023
                [PROBABILITIES], dtype, tolerance=1e-8, weight=weight, reduction=reduction)
    inside = np.array([0.1, 0.5, 0.9])
    compare(F.binary_cross_entropy, TF.binary_cross_entropy, [inside, TARGETS[0, :3]],
            reduction=reduction)
    compare(F.binary_cross_entropy, TF.binary_cross_entropy, [inside[:0], inside[:0]],
            reduction=reduction)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, np.array([[2.0], [0.5]])])
@pytest.mark.parametrize("pos_weight", [None, np.array([1.0, 2, 0.5, 0, 3, 1]), np.array([3.0])])
def test_binary_cross_entropy_with_logits(pos_weight, weight, reduction, dtype, rng):
    for target in (rng.uniform(size=(2, 6)), np.zeros((2, 6)), np.ones((2, 6))):
        compare(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits,
                [NUMBERS, target], dtype, weight=weight, pos_weight=pos_weight,
                reduction=reduction)


# --- losses of classes ---------------------------------------------------------------------------

SHAPES = [(4,), (5, 4), (1, 4), (3, 4, 2), (2, 4, 3, 2), (5, 1), (0, 4)]


def scores(shape, rng):
    """(scores, labels, class dimension, number of classes)."""
    dim = min(len(shape) - 1, 1)
    labels = rng.integers(0, shape[dim], shape[:dim] + shape[dim + 1:])
    return rng.normal(0, 3, shape), np.asarray(labels), dim, shape[dim]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_with_classes(shape, reduction, smoothing, rng):
    x, labels, _, classes = scores(shape, rng)
    weights = [None, rng.uniform(0.1, 3, classes)]
    for dtype, weight, ignored in itertools.product(TOLERANCE, weights, (-100, 0)):
        compare(F.cross_entropy, TF.cross_entropy, [x, labels], dtype, weight=weight,
                reduction=reduction,
                ignore_index=ignored, label_smoothing=smoothing)
    if labels.ndim:
        labels.flat[:1] = -7
        compare(F.cross_entropy, TF.cross_entropy, [x, labels], weight=weights[1],
                reduction=reduction,
                ignore_index=-7, label_smoothing=smoothing)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_with_probabilities(shape, reduction, rng):
    x, _, dim, classes = scores(shape, rng)
    target = rng.uniform(size=shape)
    target /= target.sum(axis=dim, keepdims=True)
    for dtype, weight, smoothing in itertools.product(
            TOLERANCE, [None, rng.uniform(0.1, 3, classes)], (0.0, 0.2)):
        compare(F.cross_entropy, TF.cross_entropy, [x, target], dtype, weight=weight,
                reduction=reduction,
                label_smoothing=smoothing)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(shape, reduction, rng):
    x, labels, _, classes = scores(shape, rng)
    for weight, ignored in itertools.product([None, rng.uniform(0.1, 3, classes)], (-100, 0)):
        compare(F.nll_loss, TF.nll_loss, [x, labels], weight=weight, reduction=reduction,
                ignore_index=ignored)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("options", [
    {}, {"weight": np.array([1.0, 0, 2])}, {"label_smoothing": 0.1}], ids=str)
def test_batches_that_are_ignored_altogether(reduction, options, rng):
    x, labels = rng.normal(size=(4, 3)), np.full(4, -100)
    compare(F.cross_entropy, TF.cross_entropy, [x, labels], reduction=reduction, **options)
    if "label_smoothing" not in options:
        compare(F.nll_loss, TF.nll_loss, [x, labels], reduction=reduction, **options)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_extreme_scores(reduction):
    x = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, 1e4], [0.0, 0.0, 0.0], [700.0, 710.0, 705.0]])
    for dtype in TOLERANCE:
        for labels in (np.array([0, 2, 1, 1]), np.array([2, 0, 1, 0])):
            compare(F.cross_entropy, TF.cross_entropy, [x, labels], dtype, reduction=reduction)
            compare(F.cross_entropy, TF.cross_entropy, [x, labels], dtype, reduction=reduction,
                    label_smoothing=0.1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_infinite_log_probabilities(reduction):
    x = np.array([[-np.inf, 0.0, -1.0], [-np.inf, -np.inf, 0.0], [-1.0, -2.0, -3.0]])
    for labels in ([1, 2, 0], [0, 2, 0], [-100, 2, 0], [-100, -100, 1]):
        compare(F.nll_loss, TF.nll_loss, [x, np.array(labels)], reduction=reduction)
        compare(F.cross_entropy, TF.cross_entropy, [x, np.array(labels)], reduction=reduction)
    compare(F.nll_loss, TF.nll_loss, [x, np.array([0, 2, 0])], reduction=reduction,
            weight=np.array([0.0, 1.0, 2.0]))


LOSSES = [
    ("MSELoss", {}, "numbers"), ("L1Loss", {}, "numbers"),
    ("HuberLoss", {"delta": 0.4}, "numbers"),
    ("SmoothL1Loss", {"beta": 0.4}, "numbers"), ("BCELoss", {}, "probabilities"),
    ("BCELoss", {"weight": np.array([1.0, 2, 3, 4])}, "probabilities"),
    ("BCEWithLogitsLoss", {}, "probabilities"),
    ("BCEWithLogitsLoss", {"weight": np.array([1.0, 2, 3, 4]),
                           "pos_weight": np.array([3.0, 1, 2, 0])},
     "probabilities"),
    ("CrossEntropyLoss", {}, "classes"), ("CrossEntropyLoss", {}, "probabilities"),
    ("CrossEntropyLoss", {"weight": np.array([1.0, 2, 3, 4]), "label_smoothing": 0.2,
                          "ignore_index": 1},
     "classes"),
    ("NLLLoss", {"weight": np.array([1.0, 2, 3, 4]), "ignore_index": 2}, "classes")]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name, options, kind", LOSSES, ids=str)
def test_losses_as_modules(name, options, kind, reduction, rng):
    x = rng.uniform(0.1, 0.9, (6, 4))
    target = rng.integers(0, 4, 6) if kind == "classes" else rng.uniform(0.1, 0.9, (6, 4))
    ours, theirs = (
        getattr(library, name)(reduction=reduction, **{
            key: make(value) if isinstance(value, np.ndarray) else value
            for key, value in options.items()})
        for library, make in ((nn, minigrad.tensor), (torch.nn, torch.tensor)))
    assert repr(ours) == repr(theirs)
    loaded(ours, theirs)
    compare(ours, theirs, [x, target])
