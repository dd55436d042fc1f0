"""nn equals PyTorch's: activations, layers, statistics, whole models, initial values and clipping.

Values, gradients, state dicts and reprs are compared (for the losses: test_nn_losses_torch.py).
"""

import copy
import math

import numpy as np
import pytest
from nn_mirror import (
    NUMBERS,
    TOLERANCE,
    both_backward,
    close,
    compare,
    compare_modules,
    loaded,
    pair,
    torch,
)

import minigrad
from minigrad import nn
from minigrad.nn import functional as F

TF = torch.nn.functional
pytestmark = pytest.mark.usefixtures("doubles")


# --- activations ---------------------------------------------------------------------------------

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
