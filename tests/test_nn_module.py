"""Module: registration, walking, names, modes, dtype and state; mistakes are refused."""

import copy
import gc

import numpy as np
import pytest
from nets import Net, names

import minigrad
from minigrad import nn

# --- registration --------------------------------------------------------------------------------

def test_members_are_found_in_order():
    net = Net()
    assert names(net.named_parameters()) == [
        "gain", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight",
        "rest.1.bias"]
    assert names(net.named_buffers()) == [
        "seen", "rest.1.running_mean", "rest.1.running_var", "rest.1.num_batches_tracked"]
    assert names(net.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert names(net.named_modules(prefix="net")) == ["net", "net.first", "net.rest", "net.rest.0",
                                                      "net.rest.1"]
    assert names(net.named_children()) == ["first", "rest"]
    assert names(net.named_parameters(recurse=False)) == ["gain"]
    assert list(net.children()) == [net.first, net.rest]
    assert next(net.modules()) is net
    assert all(p.requires_grad and p.is_leaf for p in net.parameters())


def test_members_by_path():
    net = Net()
    assert net.get_submodule("rest.1") is net.rest[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("rest.0.bias") is net.rest[0].bias
    assert net.get_buffer("rest.1.running_var") is net.rest[1].running_var
    for method in (net.get_submodule, net.get_parameter, net.get_buffer):
        with pytest.raises(AttributeError, match="nowhere"):
            method("nowhere")


def test_shared_members_are_walked_once_but_saved_under_both_names():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net.append(net[0])
    assert names(net.named_parameters()) == ["0.weight", "0.bias", "1.bias"]
    assert names(net.named_parameters(remove_duplicate=False))[-1] == "2.bias"
    assert names(net.named_modules()) == ["", "0", "1"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias", "2.weight",
                                      "2.bias"]
    assert names(net.named_children()) == ["0", "1"]


def test_reassigning_and_deleting():
    net = Net()
    net.first = nn.Linear(2, 1, bias=False)
    assert names(net.named_parameters())[1:2] == ["first.weight"]
    net.gain = None
    assert net.gain is None and "gain" not in net.state_dict()
    net.gain = nn.Parameter([1.0])
    assert names(net.named_parameters())[0] == "gain"  # the name kept its place
    del net.first
    del net.gain
    del net.seen
    assert names(net.named_children()) == ["rest"]
    assert not hasattr(net, "gain") and "seen" not in net.state_dict()
    with pytest.raises(AttributeError):
        del net.first
    net.rest = None
    assert names(net.named_parameters()) == []


def test_a_parameter_takes_the_place_of_a_buffer_or_a_plain_attribute():
    net = nn.Module()
    net.a = 3
    net.register_buffer("b", minigrad.zeros(2), persistent=False)
    net.a, net.b = nn.Parameter([1.0]), nn.Parameter([2.0])
    assert names(net.named_parameters()) == ["a", "b"] and not list(net.buffers())
    assert list(net.state_dict()) == ["a", "b"]


def test_buffers():
    net = nn.Module()
    net.register_buffer("kept", minigrad.tensor([1.0]))
    net.register_buffer("forgotten", minigrad.tensor([2.0]), persistent=False)
    net.register_buffer("none", None)
    assert list(net.state_dict()) == ["kept"]
    assert names(net.named_buffers()) == ["kept", "forgotten"]
    net.kept = net.kept + 1
    net.none = minigrad.tensor([5.0])
    assert net.state_dict()["kept"].item() == 2 and net.state_dict()["none"].item() == 5
    net.register_buffer("forgotten", minigrad.tensor([3.0]))
    assert "forgotten" in net.state_dict()
    net.kept = None
    assert "kept" not in net.state_dict()


def test_plain_tensors_are_not_members():
    net = nn.Module()
    net.constant = minigrad.tensor([1.0], requires_grad=True)
    assert not list(net.parameters()) and not net.state_dict()


def test_super_init_may_be_forgotten():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(x)

    assert names(Forgetful().named_parameters()) == ["layer.weight", "layer.bias"]
    assert Forgetful()(minigrad.ones(3, 2)).shape == (3, 1)


BAD_MEMBERS = [
    (lambda m: setattr(m, "gain", 3), TypeError, "'gain'.*nn.Parameter"),
    (lambda m: setattr(m, "gain", minigrad.zeros(3)), TypeError, "cannot assign Tensor.*'gain'"),
    (lambda m: setattr(m, "gain", nn.ReLU()), TypeError, "cannot assign ReLU as parameter 'gain'"),
    (lambda m: setattr(m, "first", 3), TypeError, "cannot assign int as child module 'first'"),
    (lambda m: setattr(m, "seen", [1]), TypeError, "cannot assign list as buffer 'seen'"),
    (lambda m: m.register_buffer("first", minigrad.zeros(1)), KeyError, "'first' already exists"),
    (lambda m: m.register_buffer("a.b", minigrad.zeros(1)), KeyError, "a.b"),
    (lambda m: m.register_buffer("", minigrad.zeros(1)), KeyError, "empty"),
    (lambda m: m.register_buffer("new", 3), TypeError, "int as buffer 'new'"),
    (lambda m: m.register_parameter("new", minigrad.zeros(1)), TypeError,
     "Tensor as parameter 'new'"),
    (lambda m: m.register_parameter("forward", nn.Parameter([1.0])), KeyError,
     "'forward' already"),
    (lambda m: m.add_module("a.b", nn.ReLU()), KeyError, "a.b"),
    (lambda m: m.add_module("seen", nn.ReLU()), KeyError, "'seen' already exists"),
    (lambda m: m.add_module("new", nn.ReLU), TypeError, "nn.ReLU\\(\\)"),
    (lambda m: m.add_module(3, nn.ReLU()), TypeError, "must be a string"),
    (lambda m: nn.Sequential(nn.ReLU(), 3), TypeError, "'1': int 3 is not a Module"),
    (lambda m: nn.Sequential([nn.ReLU()]), TypeError, "not a Module"),
    (lambda m: nn.ModuleList([nn.ReLU]), TypeError, "not a Module"),
    (lambda m: m.rest.insert(0, 3), TypeError, "not a Module"),
    (lambda m: m.rest.insert(9, nn.ReLU()), IndexError, "index 9.*2 modules"),
    (lambda m: m.rest[2], IndexError, "index 2.*ModuleList has 2 modules"),
    (lambda m: m.rest[-3], IndexError, "index -3"),
    (lambda m: m.rest.__setitem__(0, 3), TypeError, "not a Module"),
    (lambda m: m.rest.__delitem__(5), IndexError, "index 5"),
    (lambda m: nn.Parameter([1, 2]), RuntimeError, "floating point.*int64"),
    (lambda m: nn.Parameter("text"), TypeError, "data"),
    (lambda m: m.to(minigrad.int64), TypeError, "floating point.*int64"),
    (lambda m: m.to("bool"), TypeError, "floating point.*bool"),
    (lambda m: m.to("cuda"), RuntimeError, "cuda"),
    (lambda m: nn.Module()(1), NotImplementedError, "does not define forward"),
    (lambda m: nn.ModuleList([nn.ReLU()])(1), NotImplementedError,
     "ModuleList does not define forward"),
]


@pytest.mark.parametrize("mistake, kind, message", BAD_MEMBERS)
def test_refused(mistake, kind, message):
    net = Net()
    before = list(net.state_dict()), repr(net)
    with pytest.raises(kind, match=message):
        mistake(net)
    assert (list(net.state_dict()), repr(net)) == before


# --- names by path -------------------------------------------------------------------------------

def test_parameters_are_named_by_their_path():
    net = Net()
    root = nn.Module()
    root.net = net
    assert all(p.name == name for name, p in root.named_parameters())
    assert all(m._path == path for path, m in root.named_modules())
    net.rest.append(nn.Sequential(nn.Linear(3, 3)))
    net.rest.insert(0, nn.Linear(3, 3))
    net.rest[1] = nn.LayerNorm(3)
    del net.rest[2]
    net.rest[-1].append(nn.Linear(1, 1))
    assert net.rest[2][1].weight.name == "net.rest.2.1.weight"
    assert all(p.name == name for name, p in root.named_parameters())
    assert all(m._path == path for path, m in root.named_modules())


def test_a_slice_leaves_the_names_alone():
    root = nn.Module()
    root.layers = nn.Sequential(*[nn.Linear(2, 2) for _ in range(4)])
    for part in (root.layers[1:3], root.layers[:2] + root.layers[2:]):
        assert all(isinstance(m, nn.Linear) for m in part)
    assert all(p.name == name for name, p in root.named_parameters())


def test_operations_know_their_module():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Sequential(nn.Linear(3, 1)))
    y = net(minigrad.ones(4, 2))
    assert y.module is net[2][0] and y.module._path == "2.0"
    assert y.inputs[0].module is net[1]
    assert (y * 2).module is None


def test_the_running_module_is_forgotten_after_an_error():
    with pytest.raises(RuntimeError):
        nn.Linear(2, 3)(minigrad.ones(4, 5))
    assert (minigrad.ones(1, requires_grad=True) * 2).module is None


# --- modes and gradients -------------------------------------------------------------------------

def test_train_and_eval_reach_all_modules():
    net = Net()
    assert net.training and net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.rest.train() is net.rest
    assert net.rest[1].training and not net.first.training


def test_freezing():
    net = Net()
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(minigrad.ones(4, 2)).requires_grad
    net.rest.requires_grad_()
    net(minigrad.rand(4, 2)).sum().backward()
    assert net.first.weight.grad is None and net.rest[0].weight.grad is not None


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad(set_to_none):
    net = Net()
    net(minigrad.rand(4, 2)).square().sum().backward()
    net.zero_grad(set_to_none)
    for p in net.parameters():
        assert p.grad is None if set_to_none else not p.grad.numpy().any()


def test_apply_visits_children_first():
    visited = []
    net = Net()
    assert net.apply(lambda m: visited.append(type(m).__name__)) is net
    assert visited == ["Linear", "Linear", "BatchNorm1d", "ModuleList", "Net"]

    def zeros(module):
        if isinstance(module, nn.Linear):
            module.weight.data.fill_(0.0)
    net.apply(zeros)
    assert not net.first.weight.numpy().any()


# --- dtype ---------------------------------------------------------------------------------------

def test_casting_in_place():
    net = Net()
    weight = net.first.weight
    net(minigrad.rand(4, 2)).sum().backward()
    gradient = weight.grad.numpy().copy()
    assert net.float() is net and net.first.weight is weight
    assert weight.dtype == weight.grad.dtype == minigrad.float32
    np.testing.assert_allclose(weight.grad.numpy(), gradient, rtol=1e-6)
    assert net.rest[1].running_mean.dtype == minigrad.float32
    assert net.rest[1].num_batches_tracked.dtype == minigrad.int64
    y = net(minigrad.rand(4, 2, dtype=minigrad.float32))
    assert y.dtype == minigrad.float32
    y.sum().backward()
    assert net.double().first.weight.dtype == minigrad.float64
    assert net.to("float32").gain.dtype == minigrad.float32
    assert net.double().to(dtype=minigrad.float32).gain.dtype == minigrad.float32
    assert net.half().gain.dtype == minigrad.float16
    assert net.to(minigrad.zeros(1)).gain.dtype == minigrad.float64
    assert net.to("cpu") is net.to(device="cpu") is net.cpu() is net
    assert net.gain.dtype == minigrad.float64


def test_casting_between_forward_and_backward_is_noticed():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(minigrad.ones(1, 2)).sum()
    net.float()
    with pytest.raises(RuntimeError, match="weight"):
        loss.backward()


# --- state ---------------------------------------------------------------------------------------

def test_a_state_is_a_copy():
    net = Net()
    state = net.state_dict()
    net.gain.data.fill_(0)
    assert state["gain"].tolist() == [1, 2, 3]
    assert not any(t.requires_grad for t in state.values())
    assert repr(net.load_state_dict(state)) == "<All keys matched successfully>"
    assert net.gain.tolist() == [1, 2, 3]
    state["gain"].fill_(9)
    assert net.gain.tolist() == [1, 2, 3]


def test_a_state_may_hold_arrays_and_lists():
    net = nn.Linear(2, 1)
    net.load_state_dict({"weight": np.array([[1, 2]]), "bias": [3.5]})
    assert net(minigrad.tensor([1.0, 1.0])).tolist() == [6.5]


BAD_STATES = [
    ({"gain": None}, {}, ["missing: gain"]),
    ({}, {"other": np.zeros(1)}, ["unknown: other"]),
    ({}, {"rest.1.num_batches_tracked": np.zeros(2)},
     ["rest.1.num_batches_tracked", r"\(2,\)", r"\(\)"]),
    ({"gain": None, "seen": None}, {"extra": np.zeros(1), "first.bias": np.zeros(4)},
     ["missing: gain, seen", "unknown: extra", "first.bias", r"\(4,\)", r"\(3,\)"]),
    ({}, {"rest.1.running_var": ["a", "b", "c"]}, ["rest.1.running_var", "not numeric"]),
    ({}, {"rest.1.running_var": [[1], [1, 2]]}, ["rest.1.running_var", "not an array"]),
    ({}, {"rest.1.running_var": np.zeros(3, complex)}, ["rest.1.running_var", "complex"]),
]


@pytest.mark.parametrize("removed, added, messages", BAD_STATES)
def test_states_that_do_not_fit_change_nothing(removed, added, messages):
    net = Net()
    before = {name: t.numpy().copy() for name, t in net.state_dict().items()}
    state = {name: t + 1 for name, t in net.state_dict().items() if name not in removed} | added
    with pytest.raises(RuntimeError, match="Net.*unchanged") as caught:
        net.load_state_dict(state)
    for message in messages:
        assert caught.match(message)
    for name, t in net.state_dict().items():
        np.testing.assert_array_equal(t.numpy(), before[name])


def test_loading_loosely():
    net = Net()
    state = {"gain": minigrad.tensor([4.0, 5.0, 6.0]), "unknown": minigrad.zeros(1)}
    result = net.load_state_dict(state, strict=False)
    assert net.gain.tolist() == [4, 5, 6]
    assert result.unexpected_keys == ["unknown"] and len(result.missing_keys) == 10
    assert "missing_keys" in repr(result)
    with pytest.raises(RuntimeError, match="gain.*size mismatch"):
        net.load_state_dict({"gain": minigrad.zeros(2)}, strict=False)
    with pytest.raises(TypeError, match="dict-like, got int"):
        net.load_state_dict(3)


def test_loading_between_forward_and_backward_is_noticed():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(minigrad.ones(1, 2)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="'1.weight'.*changed in place"):
        loss.backward()


def test_deep_copies_share_nothing():
    net = Net()
    net.alias = net.first
    net.rest[0].weight = net.gain_matrix = nn.Parameter(np.eye(3))
    twin = copy.deepcopy(net)
    assert names(twin.named_parameters()) == names(net.named_parameters())
    assert twin.alias is twin.first and twin.rest[0].weight is twin.gain_matrix
    assert isinstance(twin.gain, nn.Parameter) and twin.gain.name == "gain"
    twin.gain.data.fill_(0)
    twin.seen.fill_(7)
    twin.first.weight.data.fill_(0)
    assert net.gain.tolist() == [1, 2, 3] and net.seen.item() == 0
    assert net.first.weight.numpy().all()
    twin.gain = nn.Parameter([5.0])
    assert net.gain.numel() == 3
    twin(minigrad.rand(4, 2)).sum().backward()
    assert net.first.weight.grad is None


def living_tensors():
    return sum(issubclass(type(o), minigrad.Tensor) for o in gc.get_objects())


def test_models_leave_no_garbage_behind():
    gc.collect()
    gc.disable()
    try:
        net, x = Net(), minigrad.rand(4, 2)
        net(x).sum().backward()
        net.zero_grad()
        before = living_tensors()
        for _ in range(3):
            net(x).sum().backward()
            net.zero_grad()
        assert living_tensors() == before
    finally:
        gc.enable()
