"""Containers and MLP: they hold, call, edit, name and print their modules as PyTorch's do.

And MLP serves a reader of a scalar autograd tutorial: lists in, training by hand, mistakes refused.
"""

import collections

import numpy as np
import pytest
from nets import names

import minigrad
from minigrad import nn

# --- containers ----------------------------------------------------------------------------------

def test_sequential():
    a, b, c = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)
    net = nn.Sequential(a, b)
    assert net.append(c) is net and list(net) == [a, b, c] and len(net) == 3
    assert net[0] is a and net[-1] is c and list(net[1:]) == [b, c]
    assert isinstance(net[:2], nn.Sequential) and names(net[1:].named_children()) == ["1", "2"]
    x = minigrad.rand(5, 2)
    assert net(x).tolist() == c(b(a(x))).tolist() == net[1:](net[0](x)).tolist()
    del net[1]
    assert names(net.named_children()) == ["0", "1"] and net[1] is c
    assert net.pop() is c and list(net) == [a]
    net += nn.Sequential(b, c)
    assert list(net) == [a, b, c]
    assert nn.Sequential()(x) is x
    tail = net[1:].append(a)
    assert list(tail) == [b, c, a] and list(net[1:] + net[:1]) == [b, c, a]


def test_named_sequential():
    net = nn.Sequential(collections.OrderedDict(first=nn.Linear(2, 2), second=nn.Tanh(),
                                                last=nn.ReLU()))
    assert net.first is net[0] and names(net.named_parameters()) == ["first.weight", "first.bias"]
    assert names(net[::2].named_children()) == ["first", "last"]
    net[1] = nn.Sigmoid()
    del net[0]
    assert names(net.named_children()) == ["second", "last"]
    assert isinstance(net.second, nn.Sigmoid)


def test_module_list():
    layers = nn.ModuleList(nn.Linear(n, n) for n in (1, 2, 3))
    first, *_ = layers
    layers.insert(1, nn.ReLU())
    layers.extend([nn.Tanh()])
    assert [type(m).__name__ for m in layers] == ["Linear", "ReLU", "Linear", "Linear", "Tanh"]
    assert first in layers and len(layers) == 5
    assert names(layers[1:3].named_children()) == ["0", "1"]
    layers[-1] = first
    del layers[1:4]
    assert list(layers) == [first, first]
    assert len(list(layers.parameters())) == 2
    assert len(nn.ModuleList()) == len(nn.ModuleList(None)) == 0


def test_module_dict():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Tanh()})
    assert list(heads) == list(heads.keys()) == ["a", "b"] and "a" in heads and len(heads) == 2
    heads["c"] = nn.ReLU()
    heads.update([("d", nn.Sigmoid())])
    assert isinstance(heads.pop("b"), nn.Tanh)
    del heads["c"]
    assert [name for name, _ in heads.items()] == ["a", "d"] and heads["a"] in heads.values()
    assert names(heads.named_parameters()) == ["a.weight", "a.bias"]


# --- repr: PyTorch's text (test_nn_torch.py compares many more) ----------------------------------

REPR = """Model(
  (encoder): Sequential(
    (0): Linear(in_features=4, out_features=8, bias=True)
    (1): ReLU(inplace=True)
    (2): Dropout(p=0.1, inplace=False)
  )
  (blocks): ModuleList(
    (0-2): 3 x Linear(in_features=8, out_features=8, bias=True)
    (3): Sequential(
      (0): Tanh()
    )
  )
  (empty): ModuleList()
  (norm): BatchNorm1d(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
)"""


def test_repr():
    class Model(nn.Module):
        pass

    model = Model()
    model.encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Dropout(0.1))
    model.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)] + [nn.Sequential(nn.Tanh())])
    model.empty = nn.ModuleList()
    model.norm = nn.BatchNorm1d(8)
    assert repr(model) == REPR
    model.extra_repr = lambda: "alpha=1"
    assert repr(model) == REPR.replace("Model(\n", "Model(\n  alpha=1\n", 1)
    assert repr(Model()) == "Model()"
    assert repr(nn.Parameter([1.0])).startswith("Parameter containing:\ntensor([1.]")


# --- MLP, as a reader of a scalar autograd tutorial calls it -------------------------------------

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def test_mlp_trains_sample_by_sample():
    minigrad.manual_seed(1)
    net = minigrad.MLP(3, [4, 4, 1], activation="tanh")
    assert len(list(net.parameters())) == 6 and net.sizes == (3, 4, 4, 1)
    losses = []
    for _ in range(60):
        loss = sum((net(x) - y) ** 2 for x, y in zip(XS, YS))
        net.zero_grad()
        loss.backward()
        for p in net.parameters():
            p.data += -0.05 * p.grad
        losses.append(loss.item())
    assert losses[-1] < 0.1 < losses[0]


def test_mlp_takes_lists_arrays_tensors_and_batches():
    net = minigrad.MLP(3, [4, 1])
    one = net(XS[0]).item()
    assert net(XS[0]).shape == (1,)
    for batch in (XS, np.array(XS), minigrad.tensor(XS), [minigrad.tensor(x) for x in XS],
                  tuple(map(tuple, XS)), [np.array(x) for x in XS]):
        assert net(batch).shape == (4, 1)
        assert net(batch)[0].item() == pytest.approx(one)
    assert net([2, 3, -1]).item() == net(np.array([2, 3, -1])).item() == pytest.approx(one)
    net.float()
    assert net(XS).dtype == net(np.array(XS)).dtype == minigrad.float32


def test_gradients_flow_into_a_list_of_tensors():
    net = minigrad.MLP(2, [3, 1], activation="tanh")
    a, b = minigrad.tensor(0.5, requires_grad=True), minigrad.tensor(-1.0, requires_grad=True)
    net([[a, b], [b, 1.0]]).sum().backward()
    assert a.grad.item() != 0 and b.grad.item() != 0


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu",
                                        "silu",
                                        "softplus", nn.Tanh, lambda: nn.LeakyReLU(0.3)])
def test_mlp_activations(activation):
    net = minigrad.MLP(2, (3, 3, 1), activation)
    assert [isinstance(m, nn.Linear) for m in net] == [True, False, True, False, True]
    assert net([1.0, 2.0]).shape == (1,)


def test_mlp_is_a_sequential():
    net = minigrad.MLP(2, [3, 1])
    assert isinstance(net, nn.Sequential) and list(net.state_dict())[-1] == "2.bias"
    assert minigrad.MLP(2, 1).sizes == minigrad.MLP(2, [1]).sizes == (2, 1)
    assert isinstance(net[:1], nn.Sequential)


BAD_MLPS = [
    (lambda: minigrad.MLP(2, []), ValueError, "at least one layer"),
    (lambda: minigrad.MLP(0, [1]), ValueError, "in_features must be a positive"),
    (lambda: minigrad.MLP(2, [3, -1]), ValueError, "out_features must be a positive"),
    (lambda: minigrad.MLP(2, [3.5]), ValueError, "3.5"),
    (lambda: minigrad.MLP(2, [3], activation="rel"), ValueError, "'rel'.*relu, tanh"),
    (lambda: minigrad.MLP(2, [3], activation=3), ValueError, "unknown activation 3"),
    (lambda: minigrad.MLP(2, [3])([1.0, 2.0, 3.0]), RuntimeError, "has 3 features.*takes 2"),
    (lambda: minigrad.MLP(2, [3])([[1.0], [1.0, 2.0]]), ValueError, "ragged"),
    (lambda: minigrad.MLP(2, [3])("ab"), TypeError, "str"),
]


@pytest.mark.parametrize("mistake, kind, message", BAD_MLPS)
def test_mlp_refuses(mistake, kind, message):
    with pytest.raises(kind, match=message):
        mistake()
