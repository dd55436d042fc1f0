"""States of optimizers: shown under the rule's names, saved as plain data, resumed to the bit."""

import copy
import json

import numpy as np
import pytest

import minigrad
from minigrad.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)

RICH = [(SGD, {"momentum": 0.9, "dampening": 0.1}), (SGD, {"maximize": True}),
        (SGD, {"momentum": 0.9, "form": "sutskever"}), (Adagrad, {"lr_decay": 0.1}),
        (RMSprop, {"centered": True, "momentum": 0.5}), (Adam, {}),
        (Adam, {"amsgrad": True, "weight_decay": 0.1}), (AdamW, {"decay": "paper"}),
        (Adadelta, {"rho": 0.5}), (Adamax, {}), (NAdam, {}), (RAdam, {"betas": (0.5, 0.8)}),
        (Rprop, {"etas": (0.4, 1.5)}), (Lion, {"weight_decay": 0.1}), (Muon, {})]


def leaf(values, grad=None):
    p = minigrad.tensor(values, requires_grad=True)
    if grad is not None:
        p.grad = minigrad.tensor(np.broadcast_to(grad, p.shape))
    return p


def give(parameters, gradients):
    for p, g in zip(parameters, gradients):
        p.grad = None if g is None else minigrad.tensor(g)


def norm_rule(w, g, speed, t, *, lr=0.1, inertia=0.5):
    """A rule that is not element by element."""
    speed = inertia * speed + g / (np.sqrt((g * g).sum()) + 1e-12)
    return w - lr * speed, speed


def test_state_shows_the_rules_own_names_and_cannot_be_replaced():
    p, q = leaf([1.0, 2.0], grad=1.0), leaf([1.0])
    optimizer = Adam([p, q], betas=(0.5, 0.5))
    optimizer.step()
    assert {k: np.asarray(v).tolist() for k, v in optimizer.state[p].items()} == {
        "step": 1, "m": [0.5, 0.5], "v": [0.5, 0.5]}
    assert not optimizer.state[q]
    with pytest.raises(TypeError):
        optimizer.state[p]["m"] = 0
    optimizer.state[p]["m"][...] = 0  # writing into it is possible, and counts
    optimizer.step()
    assert optimizer.state[p]["m"].tolist() == [0.5, 0.5]


def test_unused_states_are_not_stored():
    p = leaf([1.0], grad=1.0)
    optimizer = RMSprop([p])
    optimizer.step()
    assert set(optimizer.state[p]) == {"step", "v"}


def is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(k, (str, int)) and is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return value is None or type(value) in (int, float, str, bool, np.ndarray)


def through_json(saved):
    return json.loads(json.dumps(saved, default=lambda array: array.tolist()))


@pytest.mark.parametrize("passed", [lambda saved: saved, through_json, copy.deepcopy])
@pytest.mark.parametrize("kind, options", RICH + [(Optimizer, {"rule": norm_rule})])
def test_resuming_equals_an_uninterrupted_run_to_the_bit(kind, options, passed):
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (), (4,)] if kind is not Muon else [(2, 3), (1, 1), (4, 2)]
    starts = [rng.normal(size=s) for s in shapes]
    gradients = [[rng.normal(size=s) for s in shapes] for _ in range(10)]
    gradients[1][1] = gradients[0][1] = None

    def build(starts):
        parameters = [(f"p{i}", leaf(w)) for i, w in enumerate(starts)]
        groups = [{"params": parameters[:1], "lr": 0.03}, {"params": parameters[1:]}]
        return [p for _, p in parameters], kind(groups, lr=0.1, **options)

    def train(parameters, optimizer, gradients):
        for step in gradients:
            give(parameters, step)
            optimizer.step()
    straight, optimizer = build(starts)
    train(straight, optimizer, gradients)
    first, optimizer = build(starts)
    train(first, optimizer, gradients[:5])
    saved = optimizer.state_dict()
    assert is_plain(saved)
    frozen = copy.deepcopy(saved)
    second, resumed = build([p.numpy().copy() for p in first])
    resumed.param_groups[0]["lr"] = 7.0
    resumed.load_state_dict(passed(saved))
    train(second, resumed, gradients[5:])
    for p, q in zip(straight, second):
        assert np.array_equal(p.numpy(), q.numpy())
    train(first, optimizer, gradients[5:7])  # neither run has touched what was saved
    np.testing.assert_equal(saved, frozen)


def test_a_saved_state_names_kind_groups_and_parameters():
    p = leaf([1.0], grad=1.0)
    optimizer = SGD([("w", p)], lr=0.1, momentum=0.9)
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["optimizer"] == "SGD" and saved["state"][0]["step"] == 1
    assert saved["state"][0]["b"].tolist() == [1.0]
    group = saved["param_groups"][0]
    assert (group["params"], group["param_names"], group["lr"]) == ([0], ["w"], 0.1)


def edited(saved, edit):
    edit(saved)
    return saved


MISFITS = [
    ("another kind", lambda s: s.update(optimizer="SGD"), "that of SGD"),
    ("no state", lambda s: s.pop("state"), "'state'.* missing"),
    ("more groups", lambda s: s["param_groups"].append({}), "2 parameter groups"),
    ("damaged group", lambda s: s["param_groups"][0].pop("params"), "lacks 'params'"),
    ("more parameters", lambda s: s["param_groups"][0].update(params=[0, 1, 2]), "3 parameters"),
    ("other names", lambda s: s["param_groups"][0]["param_names"].reverse(), "here it is 'a'"),
    ("unknown option", lambda s: s["param_groups"][0].update(momentum=1), "no option 'momentum'"),
    ("senseless option", lambda s: s["param_groups"][0].update(lr=-1), "lr is -1"),
    ("unknown state", lambda s: s["state"][1].update(b=np.ones(3)), "saved state 'b'"),
    ("missing state", lambda s: s["state"][1].pop("v"), r"b: the saved state lacks \['v'\]"),
    ("other shape", lambda s: s["state"][1].update(m=np.ones((3, 1))), r"shape \(3, 1\)"),
    ("no step count", lambda s: s["state"][0].pop("step"), "step count is None"),
    ("stray parameter", lambda s: s["state"].update({7: {"step": 1}}), r"parameters \[7\]"),
]


@pytest.mark.parametrize("edit, part", [m[1:] for m in MISFITS], ids=[m[0] for m in MISFITS])
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(edit, part):
    a, b = leaf([1.0, 2.0], grad=1.0), leaf([1.0, 2.0, 3.0], grad=1.0)
    optimizer = Adam([("a", a), ("b", b)], lr=0.1)
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises((ValueError, TypeError), match=part):
        optimizer.load_state_dict(edited(optimizer.state_dict(), edit))
    np.testing.assert_equal(optimizer.state_dict(), before)
    optimizer.step()


def test_a_momentum_of_another_shape_is_refused_for_a_matrix():
    p = leaf([[1.0, 2.0], [3.0, 4.0]], grad=1.0)
    optimizer = Muon([p])
    optimizer.step()
    for edit, part in [(lambda entry: entry.update(b=np.ones(2)), r"shape \(2,\)"),
                       (lambda entry: entry.pop("b"), "lacks")]:
        saved = optimizer.state_dict()
        edit(saved["state"][0])
        with pytest.raises(ValueError, match=part):
            optimizer.load_state_dict(saved)


def test_a_deep_copy_goes_its_own_way():
    p = leaf([1.0, 2.0], grad=1.0)
    optimizer = Adam([p], lr=0.1)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    (q,) = twin.param_groups[0]["params"]
    assert q is not p
    q.grad = minigrad.tensor([1.0, 1.0])
    twin.step()
    assert optimizer.state[p]["step"] == 1 and twin.state[q]["step"] == 2
    optimizer.step()
    assert np.array_equal(p.numpy(), q.numpy())
