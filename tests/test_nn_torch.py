"""nn equals PyTorch's: values, gradients, statistics, initial values, state dicts and reprs."""

import copy
import itertools
import math
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional
TOLERANCE = {"float64": 1e-9, "float32": 1e-5}


@pytest.fixture(autouse=True)
def float64_in_torch():
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(default)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def pair(array, dtype="float64", tracked=True):
    """The array in both libraries; floats require grad if tracked."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        array = array.astype(dtype)
    track = tracked and array.dtype.kind == "f"
    return (minigrad.tensor(array, requires_grad=track),
            torch.tensor(array, requires_grad=track))


def close(ours, theirs, what="", tolerance=0):
    """Same shape, dtype and numbers (nan and inf included), to the accuracy of the dtype."""
    assert (ours is None) == (theirs is None), what
    if ours is None:
        return
    theirs = theirs.detach()
    assert tuple(ours.shape) == tuple(theirs.shape), what
    assert str(ours.dtype) == str(theirs.dtype).replace("torch.", ""), what
    tolerance = max(TOLERANCE.get(str(ours.dtype), 0), tolerance)
    size = np.abs(theirs.numpy()[np.isfinite(theirs.numpy())]).max(initial=0)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.numpy(), tolerance,
                               tolerance * (size + 1e-5),
                               err_msg=what)


def both_backward(ours, theirs):
    """backward() from both, with one random upstream gradient."""
    if theirs.requires_grad:
        gradient = np.random.default_rng(1).normal(size=tuple(theirs.shape))
        theirs.backward(torch.tensor(gradient, dtype=theirs.dtype))
        ours.backward(minigrad.tensor(gradient.astype(ours.dtype)))


def compare(function, torch_function, arrays, dtype="float64", tolerance=0, **options):
    """Compares values and gradients of function(*arrays, **options), options also arrays."""
    inputs = [pair(a, dtype) for a in arrays]
    extra = {name: pair(value, dtype, False) if isinstance(value, np.ndarray) else (value, value)
             for name, value in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = function(*[x for x, _ in inputs], **{name: x for name, (x, _) in extra.items()})
        theirs = torch_function(*[x for _, x in inputs],
                                **{name: x for name, (_, x) in extra.items()})
    what = f"{function} {options}"
    close(ours, theirs, what, tolerance)
    both_backward(ours, theirs)
    for x, y in inputs:
        close(x.grad, y.grad, "gradient of " + what, tolerance)


# --- activations ---------------------------------------------------------------------------------

NUMBERS = np.array([[-1e4, -30.0, -3.1, -1.0, -1e-3, 0.0], [1e-3, 0.5, 1.0, 20.0, 21.0, 1e4]])
# fmt: off
ACTIVATIONS = [
    ("relu", {}), ("tanh", {}), ("sigmoid", {}), ("silu", {}), ("logsigmoid", {}),
    ("leaky_relu", {}), ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -0.5}),
    ("leaky_relu", {"negative_slope": 0.0}),
    ("elu", {}), ("elu", {"alpha": 0.3}), ("elu", {"alpha": 2}),
    ("gelu", {}), ("gelu", {"approximate": "tanh"}),
    ("softplus", {}), ("softplus", {"beta": 3.0}), ("softplus", {"beta": 0.5, "threshold": 4.0}),
    ("softplus", {"threshold": 1.0}),
    ("softmax", {"dim": 0}), ("softmax", {"dim": -1}), ("log_softmax", {"dim": 0}),
    ("log_softmax", {"dim": 1}), ("softmax", {}), ("log_softmax", {}),
]
# fmt: on


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name, options", ACTIVATIONS)
def test_activations(name, options, dtype):
    compare(getattr(F, name), getattr(TF, name), [NUMBERS], dtype, **options)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4), (2, 3, 2, 2)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_guesses_its_dimension_as_pytorch(name, shape, rng):
    x = rng.normal(size=shape)
    with pytest.warns(UserWarning, match=name):
        getattr(F, name)(minigrad.tensor(x))
    compare(getattr(F, name), getattr(TF, name), [x])


@pytest.mark.parametrize("name, options", [
    ("relu", {}), ("leaky_relu", {"negative_slope": 0.2}), ("elu", {"alpha": 1.5}), ("silu", {})])
def test_in_place_activations(name, options, rng):
    data = rng.normal(size=(3, 4))
    (x, y), options = pair(data), options | {"inplace": True}
    h, k = x * 1, y * 1
    close(getattr(F, name)(h, **options), getattr(TF, name)(k, **options))
    close(h, k)
    both_backward(h, k)
    close(x.grad, y.grad)


MODULES = [
    lambda m: m.ReLU(), lambda m: m.LeakyReLU(0.2), lambda m: m.Tanh(), lambda m: m.Sigmoid(),
    lambda m: m.GELU(), lambda m: m.GELU("tanh"), lambda m: m.SiLU(),
    lambda m: m.Softplus(2.0, 3.0),
    lambda m: m.ELU(0.7), lambda m: m.Softmax(-1), lambda m: m.LogSoftmax(dim=0),
    lambda m: m.LogSigmoid(),
    lambda m: m.Flatten(), lambda m: m.Flatten(0, 1), lambda m: m.Identity(),
    lambda m: m.Dropout(0.0),
    lambda m: m.LayerNorm(3), lambda m: m.LayerNorm((2, 3), eps=0.1),
    lambda m: m.LayerNorm([4, 2, 3], bias=False),
    lambda m: m.LayerNorm(3, elementwise_affine=False),
    lambda m: m.Linear(3, 5), lambda m: m.Linear(3, 5, bias=False), lambda m: m.Linear(3, 1),
]


def loaded(ours, theirs):
    """The parameters and buffers of ours, copied into theirs: names and shapes must agree."""
    state = {name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)


def compare_modules(ours, theirs, *arrays, dtype="float64"):
    inputs = [pair(a, dtype) for a in arrays]
    y, z = ours(*[x for x, _ in inputs]), theirs(*[x for _, x in inputs])
    close(y, z, repr(ours))
    ours.zero_grad()
    theirs.zero_grad()
    both_backward(y, z)
    for a, b in inputs:
        close(a.grad, b.grad, f"input gradient of {ours!r}")
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        close(p.grad, q.grad, f"{name} of {ours!r}")
    for (name, p), (_, q) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        close(p, q, f"{name} of {ours!r}")


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("make", MODULES)
def test_modules(make, dtype, rng):
    ours, theirs = make(nn).to(np.dtype(dtype)), make(torch.nn).to(getattr(torch, dtype))
    for p in ours.parameters():
        nn.init.normal_(p)
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    compare_modules(ours, theirs, rng.normal(size=(4, 2, 3)), dtype=dtype)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (6, 3), (2, 4, 3), (2, 2, 2, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_shapes(shape, bias, rng):
    ours, theirs = nn.Linear(3, 2, bias), torch.nn.Linear(3, 2, bias)
    loaded(ours, theirs)
    compare_modules(ours, theirs, rng.normal(size=shape))


@pytest.mark.parametrize("padding", [None, 1, -1])
@pytest.mark.parametrize("labels", [np.array(2), np.array([0, 3, 3, 1]),
                                    np.array([[1, 2, 0], [3, 3, 3]]),
                                    np.array([[1, 2]], dtype=np.int32)])
def test_embedding(labels, padding):
    ours, theirs = (library.Embedding(4, 3, padding_idx=padding) for library in (nn, torch.nn))
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    compare_modules(ours, theirs, labels)
    if padding is not None:
        assert ours.weight[padding].tolist() == [0, 0, 0]


# --- normalization -------------------------------------------------------------------------------

BATCH_NORMS = [
    {}, {"momentum": 0.3}, {"momentum": None}, {"momentum": 0.0}, {"momentum": 1.0}, {"eps": 0.1},
    {"affine": False}, {"bias": False}, {"track_running_stats": False},
    {"affine": False, "momentum": None},
    {"affine": False, "track_running_stats": False}]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (1, 3, 4)])
@pytest.mark.parametrize("options", BATCH_NORMS, ids=str)
def test_batch_norm_over_several_batches_and_in_eval(options, shape, dtype, rng):
    ours, theirs = nn.BatchNorm1d(3, **options), torch.nn.BatchNorm1d(3, **options)
    ours.to(dtype), theirs.to(getattr(torch, dtype))
    for p in ours.parameters():
        nn.init.normal_(p)
    loaded(ours, theirs)
    assert repr(ours) == repr(theirs)
    for scale in (1, 5, 0.5):
        compare_modules(ours, theirs, rng.normal(0.5, scale, shape), dtype=dtype)
    ours.eval(), theirs.eval()
    for _ in range(2):
        compare_modules(ours, theirs, rng.normal(size=shape), dtype=dtype)
    ours.train(), theirs.train()
    compare_modules(ours, theirs, rng.normal(size=shape), dtype=dtype)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
def test_batch_norm_function(training, statistics, rng):
    if not (training or statistics):
        return
    x, weight, bias = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3)
    means = pair(rng.normal(size=3), tracked=False) if statistics else (None, None)
    variances = pair(rng.uniform(size=3), tracked=False) if statistics else (None, None)
    ours, theirs = (
        library.batch_norm(pair(x)[i], means[i], variances[i], pair(weight)[i], pair(bias)[i],
                           training=training, momentum=0.4, eps=1e-3)
        for i, library in enumerate((F, TF)))
    close(ours, theirs)
    close(means[0], means[1])
    close(variances[0], variances[1])


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


# --- whole models --------------------------------------------------------------------------------

def block(m, n):
    return m.Sequential(m.Linear(n, n), m.BatchNorm1d(n), m.ReLU(inplace=True))


MODELS = [
    lambda m: m.Linear(4, 3),
    lambda m: m.Sequential(),
    lambda m: m.ModuleList(),
    lambda m: m.Sequential(m.Linear(4, 8), m.Tanh(), m.Linear(8, 2)),
    lambda m: m.Sequential(m.Sequential(m.Linear(4, 4), m.ReLU()), block(m, 4), m.Dropout(0.1)),
    lambda m: m.ModuleList([m.Linear(4, 4) for _ in range(3)]),
    lambda m: m.ModuleList([m.Linear(2, 2), m.Linear(2, 2), m.ReLU(), m.ReLU(), m.Linear(2, 2)]),
    lambda m: m.ModuleList([block(m, 3), block(m, 3), block(m, 4)]),
    lambda m: m.Sequential(m.ModuleList([block(m, 3)] * 2), m.LayerNorm([2, 3]),
                           m.Embedding(3, 2)),
    lambda m: m.ModuleDict({"first": m.Linear(2, 2), "second": block(m, 2)}),
    lambda m: m.Sequential(m.LeakyReLU(0.2, inplace=True), m.ELU(inplace=True), m.SiLU(),
                           m.GELU("tanh"),
                           m.Softplus(), m.Softmax(dim=1), m.LogSoftmax(), m.Flatten(),
                           m.Sigmoid()),
]


def named_model(m, tensor):
    """A model with all that a state dict must get right: nesting, sharing, buffers, None."""
    class Model(m.Module):
        def __init__(self):
            super().__init__()
            self.scale = m.Parameter(tensor([1.5]))
            self.blocks = m.ModuleList([block(m, 3) for _ in range(2)])
            self.alias = self.blocks[0]
            self.head = m.Linear(3, 3, bias=False)
            self.tied = m.Linear(3, 3)
            self.tied.weight = self.head.weight
            self.nothing = None
            self.register_module("empty", None)
            self.register_parameter("absent", None)
            self.register_buffer("mask", tensor([1.0, 0.0, 1.0]))
            self.register_buffer("cache", tensor([0.0]), persistent=False)

        def forward(self, x):
            for module in self.blocks:
                x = module(x)
            return self.tied(self.head(self.alias(x)) * self.mask * self.scale)
    return Model()


@pytest.mark.parametrize("make", MODELS)
def test_reprs_and_names_of_models(make):
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    loaded(ours, theirs)
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]


def test_a_model_with_everything(rng):
    ours, theirs = named_model(nn, minigrad.tensor), named_model(torch.nn, torch.tensor)
    assert repr(ours) == repr(theirs)
    for walk in ("named_modules", "named_parameters", "named_buffers", "named_children"):
        assert ([n for n, _ in getattr(ours, walk)()]
                == [n for n, _ in getattr(theirs, walk)()]), walk
    options = {"prefix": "net", "remove_duplicate": False}
    for walk in ("named_modules", "named_parameters"):
        assert ([n for n, _ in getattr(ours, walk)(**options)]
                == [n for n, _ in getattr(theirs, walk)(**options)]), walk
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    loaded(ours, theirs)
    for _ in range(3):
        compare_modules(ours, theirs, rng.normal(size=(5, 3)))
    ours, theirs = copy.deepcopy(ours).eval(), copy.deepcopy(theirs).eval()
    compare_modules(ours, theirs, rng.normal(size=(5, 3)))
    ours.float(), theirs.float()
    compare_modules(ours, theirs, rng.normal(size=(5, 3)), dtype="float32")


def test_a_state_goes_from_pytorch_to_minigrad(rng):
    ours, theirs = named_model(nn, minigrad.tensor), named_model(torch.nn, torch.tensor)
    ours.load_state_dict({name: t.numpy() for name, t in theirs.state_dict().items()})
    compare_modules(ours, theirs, rng.normal(size=(5, 3)))


def edited(m, kind):
    members = [m.Linear(1, n + 1) for n in range(5)]
    net = m.ModuleList(members) if kind == "list" else m.Sequential(*members)
    net.append(m.ReLU())
    net.insert(1, m.Tanh())
    net.insert(4, m.Tanh())
    net.insert(len(net), m.SiLU())
    net.extend([m.Linear(9, 9), m.Linear(9, 9)])
    net[0] = m.Sigmoid()
    net[-1] = m.GELU()
    del net[2]
    del net[-2]
    del net[0:4:2]
    net.pop(1)
    return net


@pytest.mark.parametrize("kind", ["list", "sequential"])
def test_edited_containers(kind):
    ours, theirs = edited(nn, kind), edited(torch.nn, kind)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for part in (slice(1, 3), slice(None, -1), slice(None, None, 2), slice(0, 0)):
        assert repr(ours[part]) == repr(theirs[part])
    assert repr(ours + ours) == repr(theirs + theirs)
    assert len(ours) == len(theirs)


# --- initial values ------------------------------------------------------------------------------

SHAPED = [("Linear", (60, 50)), ("Embedding", (60, 50)), ("BatchNorm1d", (7,)),
          ("LayerNorm", (7,))]


@pytest.mark.parametrize("name, sizes", SHAPED)
def test_layers_start_like_pytorchs(name, sizes):
    minigrad.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(*sizes), getattr(torch.nn, name)(*sizes)
    for key, t in theirs.state_dict().items():
        check_same_distribution(ours.state_dict()[key].numpy(), t.numpy())


@pytest.mark.parametrize("shape", [(60, 40), (20, 30, 5)])
@pytest.mark.parametrize("name, options", [
    ("uniform_", {}), ("uniform_", {"a": -2, "b": 5}), ("normal_", {}),
    ("normal_", {"mean": 3.0, "std": 0.1}),
    ("constant_", {"val": 2.5}), ("zeros_", {}), ("ones_", {}), ("xavier_uniform_", {"gain": 2}),
    ("xavier_normal_", {}), ("xavier_normal_", {"gain": 0.5}), ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5)}),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {}), ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "tanh"})],
    ids=str)
def test_initial_values(name, options, shape):
    minigrad.manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(nn.init, name)(minigrad.empty(*shape), **options)
    theirs = getattr(torch.nn.init, name)(torch.empty(*shape), **options)
    check_same_distribution(ours.numpy(), theirs.numpy())


def check_same_distribution(ours, theirs):
    """Same shape, mean and deviation (to the accuracy of their number), same bounds if uniform."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    n, deviation = ours.size, theirs.std()
    assert abs(ours.mean() - theirs.mean()) <= 6 * deviation / math.sqrt(n)
    assert abs(ours.std() - deviation) <= 6 * deviation / math.sqrt(n)
    uniform = abs(np.abs(theirs - theirs.mean()).max() / (deviation or 1) - math.sqrt(3)) < 0.15
    if uniform and n > 500:
        np.testing.assert_allclose([ours.min(), ours.max()], [theirs.min(), theirs.max()],
                                   rtol=0.02,
                                   atol=0.02 * deviation)


@pytest.mark.parametrize("arguments", [("linear",), ("conv2d",), ("sigmoid",), ("tanh",),
                                       ("relu",),
                                       ("leaky_relu",), ("leaky_relu", 0.3), ("selu",)])
def test_gains(arguments):
    assert nn.init.calculate_gain(*arguments) == torch.nn.init.calculate_gain(*arguments)


# --- clipping ------------------------------------------------------------------------------------

@pytest.mark.parametrize("norm_type", [2.0, 1, 3.0, math.inf, "inf", 0.5])
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1.0, np.nan, np.inf, 0.0])
def test_clipping_by_norm(norm_type, max_norm, scale, rng):
    parameters = [pair(rng.normal(size=shape)) for shape in [(3, 4), (5,), (), (2,)]]
    for p, q in parameters[:-1]:
        gradient = rng.normal(size=p.shape)
        gradient.flat[:1] *= scale
        p.grad, q.grad = minigrad.tensor(gradient), torch.tensor(gradient)
    ours = nn.utils.clip_grad_norm_((p for p, _ in parameters), max_norm, norm_type)
    theirs = torch.nn.utils.clip_grad_norm_([q for _, q in parameters], max_norm, norm_type)
    close(ours, theirs)
    for p, q in parameters:
        close(p.grad, q.grad)


def test_clipping_by_value(rng):
    p, q = pair(rng.normal(size=(3, 4)))
    p.grad, q.grad = minigrad.tensor(p.numpy() * 2), torch.tensor(p.numpy() * 2)
    nn.utils.clip_grad_value_(p, 0.7)
    torch.nn.utils.clip_grad_value_(q, 0.7)
    close(p.grad, q.grad)
