"""Losses: values by hand, the identities between them, extremes, bad input."""

import math
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.gradcheck import gradcheck
from minigrad.nn import functional as F

SCORES = [[2.0, 1.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 3.0, 0.5]]
LABELS = [0, 2, 1]


def tensor(data, **options):
    return minigrad.tensor(data, **options)


def log_probabilities(scores=SCORES):
    scores = np.array(scores)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


# --- values by hand ------------------------------------------------------------------------------

BY_HAND = [
    (nn.MSELoss(), [1.0, 2.0], [0.0, 4.0], 2.5), (nn.MSELoss("sum"), [1.0, 2.0], [0.0, 4.0], 5.0),
    (nn.MSELoss(reduction="none"), [1.0, 2.0], [0.0, 4.0], [1.0, 4.0]),
    (nn.L1Loss(), [1.0, 2.0], [0.0, 4.0], 1.5), (nn.HuberLoss(), [0.5, 3.0], [0.0, 0.0], 1.3125),
    (nn.HuberLoss(delta=2.0, reduction="none"), [1.0, 3.0], [0.0, 0.0], [0.5, 4.0]),
    (nn.SmoothL1Loss(beta=2.0, reduction="none"), [1.0, 3.0], [0.0, 0.0], [0.25, 2.0]),
    (nn.BCELoss(), [0.5, 0.25], [1.0, 0.0], (math.log(2) + math.log(4 / 3)) / 2),
    (nn.BCELoss(reduction="sum"), [0.0, 1.0], [0.0, 1.0], 0.0),
    (nn.BCELoss(reduction="sum"), [0.0, 1.0], [1.0, 0.0], 200.0),
    (nn.BCEWithLogitsLoss(), [0.0, 0.0], [1.0, 0.0], math.log(2)),
    (nn.BCEWithLogitsLoss(pos_weight=tensor([3.0])), [0.0, 0.0], [1.0, 0.0], 2 * math.log(2)),
    (nn.BCEWithLogitsLoss(weight=tensor([1.0, 3.0])), [0.0, 0.0], [1.0, 0.0], 2 * math.log(2)),
    (nn.CrossEntropyLoss(), [[0.0, 0.0]], [1], math.log(2)),
    (nn.CrossEntropyLoss(), [0.0, 0.0, 0.0], 2, math.log(3)),
    (nn.CrossEntropyLoss(), [[0.0, 0.0]], [[0.3, 0.7]], math.log(2)),
    (nn.NLLLoss(), [[-1.0, -2.0], [-3.0, -4.0]], [0, 1], 2.5),
    (nn.NLLLoss(weight=tensor([1.0, 3.0])), [[-1.0, -2.0], [-3.0, -4.0]], [0, 1], 13 / 4),
    (nn.NLLLoss(ignore_index=0), [[-1.0, -2.0], [-3.0, -4.0]], [0, 1], 4.0),
]


@pytest.mark.parametrize("loss, input, target, expected", BY_HAND)
def test_by_hand(loss, input, target, expected):
    np.testing.assert_allclose(loss(tensor(input), tensor(target)).numpy(), expected, rtol=1e-12)


# --- identities ----------------------------------------------------------------------------------

@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.5]])
def test_cross_entropy_is_nll_of_log_softmax(reduction, weight):
    weight = weight if weight is None else tensor(weight)
    options = {"weight": weight, "reduction": reduction, "ignore_index": 2}
    a = F.cross_entropy(tensor(SCORES), tensor(LABELS), **options)
    b = F.nll_loss(tensor(log_probabilities()), tensor(LABELS), **options)
    np.testing.assert_allclose(a.numpy(), b.numpy())


def test_classes_are_probabilities_of_one():
    one_hot = F.one_hot(tensor(LABELS), 3).double()
    for smoothing in (0.0, 0.3):
        a = F.cross_entropy(tensor(SCORES), tensor(LABELS), label_smoothing=smoothing)
        b = F.cross_entropy(tensor(SCORES), one_hot, label_smoothing=smoothing)
        assert a.item() == pytest.approx(b.item())


def test_the_gradient_of_cross_entropy_is_softmax_minus_target():
    x = tensor(SCORES, requires_grad=True)
    F.cross_entropy(x, tensor(LABELS), reduction="sum").backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(log_probabilities()) - np.eye(3)[LABELS],
                               atol=1e-15)


def test_logits_are_probabilities_before_sigmoid():
    x, t = minigrad.linspace(-3, 3, 7), minigrad.linspace(0, 1, 7)
    a, b = F.binary_cross_entropy_with_logits(x, t), F.binary_cross_entropy(F.sigmoid(x), t)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)


def test_huber_is_half_the_squared_error_inside():
    x = tensor([0.3, -0.9])
    assert F.huber_loss(x, x * 0).item() == pytest.approx(F.mse_loss(x, x * 0).item() / 2)
    assert F.smooth_l1_loss(x, x * 0, beta=0).item() == F.l1_loss(x, x * 0).item()


def test_gradients_flow_to_soft_targets_too():
    t = tensor([[0.2, 0.8]], requires_grad=True)
    F.cross_entropy(tensor([[1.0, 2.0]]), t).backward()
    np.testing.assert_allclose(t.grad.numpy(), -log_probabilities([[1.0, 2.0]]))


LOSSES_OF_NUMBERS = [F.mse_loss, F.huber_loss, F.smooth_l1_loss, F.binary_cross_entropy,
                     F.binary_cross_entropy_with_logits, F.cross_entropy]


@pytest.mark.parametrize("loss", LOSSES_OF_NUMBERS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradients_equal_finite_differences(loss, reduction):
    minigrad.manual_seed(0)
    x = (minigrad.rand(3, 4) * 0.8 + 0.1).requires_grad_()
    t = minigrad.rand(3, 4).requires_grad_(loss not in (F.binary_cross_entropy,))
    assert gradcheck(lambda x, t: loss(x, t, reduction=reduction), [x, t])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 3)])
def test_gradients_of_class_losses_equal_finite_differences(shape, smoothing):
    minigrad.manual_seed(0)
    x = minigrad.randn(shape, requires_grad=True)
    labels = minigrad.randint(4, shape[:1] * (len(shape) > 1) + shape[2:])
    weight = minigrad.rand(4) + 0.5
    assert gradcheck(
        lambda x: F.cross_entropy(x, labels, weight=weight, label_smoothing=smoothing), [x])


# --- dtypes, extremes ----------------------------------------------------------------------------

@pytest.mark.parametrize("labels", [np.array(LABELS, t) for t in ("int64", "int32", "uint8")])
def test_labels_of_any_integer_dtype(labels):
    for target in (labels, minigrad.from_numpy(labels)):
        assert F.cross_entropy(tensor(SCORES), target).item() == pytest.approx(
            -log_probabilities()[range(3), LABELS].mean())


def test_float32_stays_float32():
    x = tensor(SCORES, dtype=minigrad.float32, requires_grad=True)
    for options in ({}, {"weight": tensor([1.0, 2.0, 3.0])}, {"label_smoothing": 0.1},
                    {"ignore_index": 1}):
        loss = F.cross_entropy(x, tensor(LABELS), **options)
        assert loss.dtype == minigrad.float32
        loss.backward()
        assert x.grad.dtype == minigrad.float32


def test_integer_targets_of_regression():
    assert F.mse_loss(tensor([1.0, 2.0]), tensor([0, 4])).item() == 2.5


def test_huge_scores_stay_finite(recwarn):
    x = tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = F.cross_entropy(x, tensor([0, 0]), reduction="none")
    assert loss.tolist() == [0, 2e4]
    loss.sum().backward()
    assert x.grad.tolist() == [[0, 0], [-1, 1]]
    y = tensor([1e4, -1e4, 1e4, -1e4])
    assert F.binary_cross_entropy_with_logits(y, tensor([1.0, 0.0, 0.0, 1.0]),
                                              reduction="none").tolist() \
        == [0, 0, 1e4, 1e4]
    assert not list(recwarn)


def test_an_ignored_sample_may_be_infinitely_wrong():
    logp = tensor([[-math.inf, 0.0], [-1.0, -2.0]], requires_grad=True)
    loss = F.nll_loss(logp, tensor([-100, 1]))
    loss.backward()
    assert loss.item() == 2 and logp.grad.tolist() == [[0, 0], [0, -1]]


@pytest.mark.parametrize("reduction, expected",
                         [("mean", math.nan), ("sum", 0.0), ("none", [0.0] * 3)])
def test_a_batch_that_is_ignored_altogether(reduction, expected):
    loss = F.cross_entropy(tensor(SCORES), tensor([-100] * 3), reduction=reduction)
    np.testing.assert_array_equal(loss.numpy(), expected)


def test_a_broadcast_target_is_warned_about():
    with pytest.warns(UserWarning, match=r"mse_loss.*\(3,\).*\(3, 1\)"):
        assert F.mse_loss(minigrad.zeros(3, 1), minigrad.ones(3)).item() == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        F.mse_loss(minigrad.zeros(3, 1), minigrad.ones(3, 1))


def test_weights_are_part_of_the_state():
    loss = nn.CrossEntropyLoss(weight=tensor([1.0, 2.0, 3.0]))
    assert list(loss.state_dict()) == ["weight"] and not list(loss.parameters())
    assert nn.CrossEntropyLoss().state_dict() == {}
    loss.float()
    assert loss.weight.dtype == minigrad.float32
    array = nn.BCEWithLogitsLoss(pos_weight=np.array([2.0]))
    assert list(array.state_dict()) == ["pos_weight"]
    assert repr(loss) == "CrossEntropyLoss()"


# --- bad input -----------------------------------------------------------------------------------

def cross_entropy(labels, scores=SCORES, **options):
    return lambda: F.cross_entropy(tensor(scores), tensor(labels), **options)


BAD = [
    (cross_entropy([0, 1, 3]), IndexError, "Target 3 is out of bounds.*3 classes.*0 to 2"),
    (cross_entropy([0, -1, 2]), IndexError, "Target -1"),
    (cross_entropy([0, -100, 2], ignore_index=0), IndexError, "Target -100"),
    (cross_entropy([0.0, 1.0, 2.0]), RuntimeError, "must be integers.*float64.*long"),
    (cross_entropy([True, False, True]), RuntimeError, "must be integers.*bool"),
    (cross_entropy([0, 1]), ValueError, r"\(3,\).*\(2,\)"),
    (cross_entropy([[0], [1], [2]]), ValueError, r"\(3,\).*\(3, 1\).*reshape\(-1\)"),
    (cross_entropy([[0, 1, 0]] * 3), ValueError, r"\(3,\).*\(3, 3\)"),
    (cross_entropy([[0.5, 0.5]] * 3), RuntimeError, r"\(3, 2\)"),
    (cross_entropy(0), ValueError, r"\(3,\).*\(\)"),
    (cross_entropy(0, scores=1.0), ValueError, "0-d"),
    (lambda: F.nll_loss(tensor(1.0), tensor(0)), ValueError, "0-d"),
    (lambda: F.cross_entropy(tensor(SCORES), LABELS), TypeError,
     "target must be a Tensor, not list"),
    (lambda: F.cross_entropy(SCORES, tensor(LABELS)), TypeError,
     "input must be a Tensor, not list"),
    (lambda: F.nll_loss(tensor(SCORES), LABELS), TypeError, "target must be a Tensor, not list"),
    (cross_entropy(LABELS, scores=[[1, 2, 3]] * 3), RuntimeError, "floating point.*int64"),
    (cross_entropy(LABELS, weight=minigrad.ones(2)), RuntimeError, r"all 3 classes.*\(2,\)"),
    (cross_entropy(LABELS, weight=[1.0, 2, 3]), TypeError, "weight must be a Tensor, not list"),
    (cross_entropy(LABELS, weight=minigrad.ones(3, requires_grad=True)), RuntimeError,
     "no gradient"),
    (cross_entropy([[0.5, 0.5, 0.0]] * 3, weight=minigrad.ones(2)), RuntimeError, "all 3 classes"),
    (cross_entropy(LABELS, label_smoothing=1.5), RuntimeError, "label_smoothing.*1.5"),
    (cross_entropy(LABELS, label_smoothing=-0.1), RuntimeError, "label_smoothing.*-0.1"),
    (cross_entropy(LABELS, reduction="avg"), ValueError,
     "'avg' is not a valid value for reduction"),
    (lambda: nn.CrossEntropyLoss(reduction="average"), ValueError, "'average'"),
    (lambda: nn.MSELoss(minigrad.ones(3)), ValueError, "tensor.*not a valid value for reduction"),
    (lambda: nn.MSELoss(weights=3), TypeError, "weights"),
    (lambda: F.mse_loss(minigrad.ones(2), minigrad.ones(3)), RuntimeError, r"\(2,\).*\(3,\)"),
    (lambda: F.mse_loss(minigrad.ones(2), [1.0, 2.0]), TypeError, "mse_loss: target.*not list"),
    (lambda: F.mse_loss(minigrad.ones(2), minigrad.ones(2), reduction="x"), ValueError, "'x'"),
    (lambda: F.huber_loss(minigrad.ones(2), minigrad.ones(2), delta=0), RuntimeError,
     "delta, got 0"),
    (lambda: F.smooth_l1_loss(minigrad.ones(2), minigrad.ones(2), beta=-1), RuntimeError,
     "beta, got -1"),
    (lambda: F.binary_cross_entropy(tensor([1.5]), tensor([1.0])), RuntimeError,
     "0 and 1, found 1.5"),
    (lambda: F.binary_cross_entropy(tensor([math.nan]), tensor([1.0])), RuntimeError, "found nan"),
    (lambda: F.binary_cross_entropy(tensor([0.5]), tensor([1])), RuntimeError,
     "floating point.*int64"),
    (lambda: F.binary_cross_entropy(tensor([0.5]), tensor([[1.0]])), ValueError,
     r"\(1, 1\).*\(1,\)"),
    (lambda: F.binary_cross_entropy_with_logits(tensor([0.5]), tensor([1.0, 0.0])), ValueError,
     r"\(2,\)"),
    (lambda: F.binary_cross_entropy_with_logits(tensor([0.5]), tensor([1])), RuntimeError,
     "int64"),
    (lambda: F.binary_cross_entropy_with_logits(tensor([0.5, 1.0]), tensor([1.0, 0.0]),
                                                pos_weight=minigrad.ones(3)), RuntimeError,
                                                r"\(3,\)"),
    (lambda: F.binary_cross_entropy(tensor([0.5]), 1.0), ValueError, r"\(\).*\(1,\)"),
]


@pytest.mark.parametrize("mistake, kind, message", BAD)
def test_refused(mistake, kind, message):
    with pytest.raises(kind, match=message):
        mistake()


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss])
def test_a_target_that_does_not_fit_is_refused_with_both_shapes(loss):
    with pytest.raises(RuntimeError, match=r"_loss: the input.*\(2, 3\).*target.*\(4, 3\)"):
        loss()(minigrad.zeros(2, 3), minigrad.zeros(4, 3))
