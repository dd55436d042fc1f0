"""What the optimizer objects promise: parameters, groups, states, saving, speed-ups to the bit,
errors."""

import json
import pathlib

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
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
    elementwise,
    rules,
)
from minigrad.optim.apply import BLOCK, SMALL

RICH = [(SGD, {"momentum": 0.9, "dampening": 0.1}), (SGD, {"momentum": 0.9, "nesterov": True}),
        (SGD, {"momentum": 0.9, "form": "sutskever"}),
        (SGD, {"maximize": True, "weight_decay": 0.1}),
        (Adagrad, {"lr_decay": 0.1}), (RMSprop, {"centered": True, "momentum": 0.5}), (Adam, {}),
        (Adam, {"amsgrad": True, "weight_decay": 0.1}), (AdamW, {"amsgrad": "corrected"}),
        (Adadelta, {}), (Adamax, {}), (NAdam, {"decoupled_weight_decay": True}), (RAdam, {}),
        (Rprop, {}), (minigrad.optim.Lion, {"weight_decay": 0.1})]


def leaf(values, grad=None, dtype=None, name=None):
    p = minigrad.tensor(values, dtype=dtype, requires_grad=True, name=name)
    if grad is not None:
        p.grad = minigrad.tensor(np.broadcast_to(grad, p.shape), dtype=p.dtype)
    return p


def give(parameters, gradients):
    for p, g in zip(parameters, gradients):
        p.grad = None if g is None else minigrad.tensor(g, dtype=p.dtype)


def norm_rule(w, g, speed, t, *, lr=0.1, inertia=0.5):
    """A rule that is not element by element: every step of a parameter has length lr."""
    speed = inertia * speed + g / (np.sqrt((g * g).sum()) + 1e-12)
    return w - lr * speed, speed


@elementwise
def lion(w, g, m, *, lr=1e-4, beta1=0.9, beta2=0.99):
    update = np.sign(beta1 * m + (1 - beta1) * g)
    m = beta2 * m + (1 - beta2) * g
    return w - lr * update, m


class Lion(Optimizer, rule=lion):
    pass


# --- trajectories stored as numbers --------------------------------------------------------------

STORED = json.loads(pathlib.Path(__file__).with_name("golden_optim.json").read_text())


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: "-".join(
    [case["optimizer"], *map(str, case["options"].values())]))
def test_trajectories_equal_the_vectors_stored_from_torch(case):
    parameters = [leaf(w) for w in STORED["weights"]]
    optimizer = getattr(minigrad.optim, case["optimizer"])(parameters, **case["options"])
    path = []
    for step in STORED["gradients"]:
        give(parameters, step)
        optimizer.step()
        path.append(np.concatenate([p.numpy().ravel() for p in parameters]))
    path = np.array(path)
    scale = np.abs(path).max(axis=0)
    stored = np.array(case["after"])
    worst = np.abs(path[[0, -1]] - stored) / np.where(scale > 0, scale, 1)
    assert worst.max() < 1e-9


# --- joined, walked in blocks, alone: equal to the bit -------------------------------------------

def assorted():
    """Parameters of every awkward kind, the same ones each time."""
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (), (0,), (7,), (2, 3, 2), (SMALL,), (BLOCK + 5,), (70, 70), (1,)]
    arrays = [rng.normal(size=shape) for shape in shapes]
    arrays += [rng.normal(size=shape).astype(np.float32) for shape in [(5,), (2, 2), (BLOCK * 2,)]]
    parameters = [leaf(array, dtype=array.dtype) for array in arrays]
    for view in (rng.normal(size=(4, 6)).T, rng.normal(size=12)[::2]):
        p = leaf([0.0])
        p.array = view
        parameters.append(p)
    return parameters


@pytest.mark.parametrize("kind, options", RICH + [(Lion, {}), (Optimizer, {"rule": norm_rule})])
def test_steps_equal_calling_the_rule_per_parameter_to_the_bit(kind, options):
    rng = np.random.default_rng(1)
    parameters = assorted()
    optimizer = kind(parameters, lr=0.1, **options)
    rule, hyperparameters, modifiers = optimizer.settings(optimizer.param_groups[0])
    expected = [p.array.copy() for p in parameters]
    states = [[0.0] * len(rules.anatomy(rule).states) for _ in parameters]
    counts = [0] * len(parameters)
    for step in range(8):
        absent = set() if step < 2 or step == 7 else set(rng.integers(len(parameters), size=4))
        if step == 5:  # an array is replaced by another: it is followed
            parameters[0].array = expected[0] = rng.normal(size=(3, 4))
            expected[0] = expected[0].copy()
        gradients = [None if i in absent else np.asarray(rng.normal(size=p.shape), dtype=p.dtype)
                     for i, p in enumerate(parameters)]
        give(parameters, gradients)
        optimizer.step()
        for i, g in enumerate(gradients):
            if g is not None:
                counts[i] += 1
                with np.errstate(all="ignore"):
                    expected[i], *states[i] = rules.update(
                        rule, expected[i], g, states[i], counts[i], hyperparameters, **modifiers)
    names = rules.anatomy(rule).states
    for p, w, count, kept in zip(parameters, expected, counts, states):
        assert p.array.dtype == p.dtype and np.array_equal(p.array, w)
        entry = optimizer.state[p]
        assert entry["step"] == count
        for name, state in zip(names, kept):
            assert np.array_equal(entry.get(name, 0.0), state)


def test_parameters_on_one_memory_are_stepped_one_after_the_other():
    memory = np.zeros(4)
    a, b = leaf([0.0]), leaf([0.0])
    a.array, b.array = memory[:3], memory[1:]
    give([a, b], [np.ones(3), np.ones(3)])
    SGD([a, b], lr=1.0).step()
    assert memory.tolist() == [-1, -2, -2, -1]


def test_a_rule_without_the_mark_gets_each_parameter_in_its_own_shape():
    parameters = [leaf(np.zeros((2, 2)), grad=1.0), leaf(np.zeros(3), grad=5.0)]
    optimizer = Optimizer(parameters, rule=norm_rule, lr=0.3)
    optimizer.step()
    assert [np.linalg.norm(p.numpy()) for p in parameters] == pytest.approx([0.3, 0.3])
    assert optimizer.state[parameters[0]]["speed"].shape == (2, 2)


# --- a new optimizer is a rule and a line --------------------------------------------------------

def test_a_new_optimizer_is_one_rule_and_one_line():
    a, b = leaf([1.0, -2.0], grad=[0.3, -5.0]), leaf([1.0, -2.0], grad=[0.3, -5.0])
    Lion([a], lr=0.1, betas=(0.5, 0.5)).step()
    Optimizer([b], rule=lion, lr=0.1).step()
    assert a.tolist() == b.tolist() == [0.9, -1.9]
    assert repr(Lion([a])).startswith("Lion (")
    assert repr(Optimizer([b], rule=lion)).startswith("lion (")


def test_decay_and_maximize_come_with_every_rule():
    p = leaf([1.0], grad=0.5)
    Lion([p], lr=0.1, weight_decay=0.5, decoupled_weight_decay=True, maximize=True).step()
    assert p.item() == pytest.approx(0.95 + 0.1)


def test_adamw_is_the_adamw_rule():
    a, b = (leaf([1.0, -2.0], grad=[0.3, -5.0]) for _ in range(2))
    generic = Optimizer([b], rule=rules.adamw, weight_decay=0.3)
    for optimizer in (AdamW([a], weight_decay=0.3), generic):
        for _ in range(5):
            optimizer.step()
    assert a.tolist() == b.tolist()


def test_a_number_state_of_a_rule_is_kept_and_saved():
    @elementwise
    def shrinking(w, g, product, t, *, lr=1.0):
        product = 0.5 if t == 1 else product * 0.5
        return w - lr * product * g, product
    parameters = [leaf(np.zeros(2), grad=1.0), leaf(np.zeros(3), grad=1.0)]
    optimizer = Optimizer(parameters, rule=shrinking)
    for _ in range(3):
        optimizer.step()
    assert parameters[1].tolist() == [-0.875] * 3
    assert optimizer.state_dict()["state"][0] == {"step": 3, "product": 0.125}
    parameters[0].grad = None
    optimizer.step()
    assert [optimizer.state[p]["product"] for p in parameters] == [0.125, 0.0625]


@pytest.mark.parametrize("rule, part", [
    (lambda w, g, m, *, lr=1: w, "returned 0 states"),
    (lambda w, g, *, lr=1: (w.sum(),), "returned weights of shape")])
def test_a_rule_that_returns_nonsense_is_named_and_changes_nothing(rule, part):
    p = leaf([1.0, 2.0], grad=1.0)
    optimizer = Optimizer([p], rule=rule)
    with pytest.raises(ValueError, match=part):
        optimizer.step()
    assert p.tolist() == [1, 2] and not optimizer.state[p]


# --- gradients: None, zero, wrong ----------------------------------------------------------------

@pytest.mark.parametrize("kind, options, moved", [
    (SGD, {"momentum": 0.9}, -0.09), (Adam, {}, -0.0670), (AdamW, {}, -0.0679),
    (RMSprop, {"momentum": 0.9}, -0.9)])
def test_a_gradient_of_none_moves_nothing_and_a_gradient_of_zero_is_a_step(kind, options, moved):
    p = leaf([1.0], grad=1.0)
    optimizer = kind([p], lr=0.1, **options)
    optimizer.step()
    before = p.item()
    p.grad = None
    optimizer.step()
    assert p.item() == before and optimizer.state[p]["step"] == 1
    p.grad = minigrad.tensor([0.0])
    optimizer.step()
    assert p.item() - before == pytest.approx(moved, abs=6e-4) and optimizer.state[p]["step"] == 2


def test_a_parameter_arriving_late_counts_its_own_steps():
    early, late = leaf([0.0], grad=1.0), leaf([0.0])
    optimizer = Adam([early, late], lr=0.1, eps=0)
    for _ in range(99):
        optimizer.step()
    late.grad = minigrad.tensor([1.0])
    optimizer.step()
    assert late.item() == pytest.approx(-0.1)
    assert [optimizer.state[p]["step"] for p in (early, late)] == [100, 1]


@pytest.mark.parametrize("gradient, part", [
    (np.ones((2, 1)), r"'w' of shape \(2,\).* has shape \(2, 1\)"),
    (np.ones(2, dtype=np.float32), "dtype float32")])
def test_a_gradient_of_another_shape_or_dtype_is_refused_and_nothing_is_done(gradient, part):
    first, p = leaf([1.0], grad=1.0), leaf([1.0, 2.0], name="w")
    optimizer = SGD([first, p], lr=1.0)
    p._grad = gradient
    with pytest.raises(ValueError, match=part):
        optimizer.step()
    assert first.item() == 1 and p.tolist() == [1, 2] and optimizer.steps_taken == 0


def test_zero_grad_sets_none_or_zeros():
    p, q = leaf([1.0], grad=3.0), leaf([1.0])
    optimizer = SGD([p, q])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0] and q.grad is None
    optimizer.zero_grad()
    assert p.grad is None


# --- what a step touches -------------------------------------------------------------------------

@pytest.mark.parametrize("kind, options", RICH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_writes_into_the_same_array_and_keeps_the_dtype(kind, options, dtype):
    parameters = [leaf(np.ones(shape), grad=0.5, dtype=dtype) for shape in [(2, 3), (), (5000,)]]
    arrays = [p.array for p in parameters]
    gradients = [p.grad.numpy() for p in parameters]
    optimizer = kind(parameters, lr=np.float64(0.1), **options)
    for _ in range(2):
        optimizer.step()
    blocks = gradients + arrays
    for p, array in zip(parameters, arrays):
        assert p.array is array and array.dtype == dtype
        assert not np.array_equal(array, np.ones(p.shape))
        assert p.is_leaf and p.requires_grad
        for state in optimizer.state[p].values():
            if isinstance(state, np.ndarray):
                assert state.dtype == dtype and state.shape == p.shape
                assert not any(np.shares_memory(state, block) for block in blocks)
                blocks.append(state)
    assert all((g == 0.5).all() for g in gradients)


def test_backward_through_a_record_older_than_the_step_is_refused():
    p = leaf([1.0, 2.0])
    loss = (p * p).sum()
    p.grad = minigrad.tensor([1.0, 1.0])
    SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_replaced_data_is_followed():
    p = leaf([1.0, 2.0], grad=1.0)
    optimizer = SGD([p], lr=1.0, momentum=0.9)
    optimizer.step()
    p.data = minigrad.tensor([10.0, 20.0])
    optimizer.step()
    assert p.tolist() == pytest.approx([8.1, 18.1])
    p.data = minigrad.tensor([1.0, 2.0, 3.0])
    p.grad = minigrad.tensor([1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="another shape"):
        optimizer.step()


def test_the_closure_records_even_under_no_grad_and_its_loss_is_returned():
    w = leaf([3.0])
    optimizer = SGD([w], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss
    with minigrad.no_grad():
        assert optimizer.step(closure).item() == 9
    assert w.item() == 1.5 and optimizer.step() is None


def test_a_line_is_fitted():
    x = np.linspace(-1, 1, 20)[:, None]
    for kind, lr in ((SGD, 0.3), (Adagrad, 0.5), (RMSprop, 0.02), (Adam, 0.1), (AdamW, 0.1)):
        a, b = leaf([[0.0]]), leaf([0.0])
        optimizer = kind([a, b], lr=lr, weight_decay=0)
        for _ in range(300):
            optimizer.zero_grad()
            ((minigrad.tensor(x) @ a + b - (2 * x - 1)) ** 2).mean().backward()
            optimizer.step()
        assert (a.item(), b.item()) == pytest.approx((2, -1), abs=0.03)


# --- groups and options --------------------------------------------------------------------------

def test_groups_have_their_own_options_and_live_rates():
    a, b = leaf([0.0], grad=1.0), leaf([0.0], grad=1.0)
    optimizer = SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 10
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((-10.1, -1.0))


def test_given_groups_are_copied_and_can_be_reused():
    group = {"params": [leaf([0.0])]}
    first, second = SGD([group], lr=0.1), SGD([group], lr=0.5)
    assert list(group) == ["params"]
    assert [o.param_groups[0]["lr"] for o in (first, second)] == [0.1, 0.5]
    first.param_groups[0]["params"].append(leaf([1.0]))
    assert len(group["params"]) == 1


def test_a_group_can_be_added_later():
    a, b = leaf([0.0], grad=1.0), leaf([0.0], grad=1.0)
    optimizer = Adam([a], lr=0.1, eps=0)
    optimizer.step()
    optimizer.add_param_group({"params": [("late", b)], "lr": 1})
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((-0.2, -1.0))
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [a]})
    assert len(optimizer.param_groups) == 2


def test_names_come_from_pairs_or_from_the_tensors():
    a, b = leaf([0.0]), leaf([0.0], name="bias")
    assert SGD([("w", a), ("b", b)]).param_groups[0]["param_names"] == ["w", "b"]
    assert SGD([a, b]).param_groups[0]["param_names"] == [None, "bias"]
    SGD([leaf([0.0], name="w"), leaf([0.0], name="w")])  # tensors may bear one name


def test_rules_can_be_switched_between_steps():
    p = leaf([0.0], grad=1.0)
    optimizer = SGD([p], lr=1.0)
    optimizer.step()
    optimizer.param_groups[0]["momentum"] = 0.5
    optimizer.step()
    optimizer.step()
    assert p.item() == -1 - 1 - 1.5
    optimizer = Adam([p])
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    optimizer.step()
    assert set(optimizer.state[p]) == {"step", "m", "v", "v_max"}


def test_one_frozen_parameter_among_others_is_fine():
    free, frozen = leaf([1.0], grad=1.0), minigrad.tensor([1.0])
    SGD([free, frozen], lr=0.1).step()
    assert (free.item(), frozen.item()) == (0.9, 1.0)


def test_whole_numbers_do_as_options():
    p = leaf([1.0], grad=2.0)
    Adam([p], lr=1, betas=(0, 0), eps=0).step()
    assert p.item() == 0


@pytest.mark.parametrize("decay, left", [("torch", 0.999), ("paper", 0.366)])
def test_adamw_decay_scales_with_lr_or_with_the_schedule_only(decay, left):
    p = leaf([1.0], grad=0.0)
    optimizer = AdamW([p], lr=1e-3, weight_decay=1e-2, decay=decay)
    for _ in range(100):
        optimizer.step()
    assert p.item() == pytest.approx(left, abs=5e-4)


def test_paper_decay_follows_the_schedule_multiplier():
    p = leaf([1.0], grad=0.0)
    optimizer = AdamW([p], lr=0.5, weight_decay=0.1, decay="paper")
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step()
    assert p.item() == pytest.approx(0.95)
