"""What may change while a trace runs: groups, frozen layers, schedules of many groups."""

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim


def stepped(optimizer, *tensors):
    optimizer.zero_grad()
    sum((t * t).sum() for t in tensors).backward()
    optimizer.step()


def weight(*numbers):
    return minigrad.tensor(np.array(numbers), requires_grad=True)


def test_a_group_added_meanwhile_is_recorded_from_then_on(tmp_path):
    a, b = weight(1.0, 2.0), weight(3.0)
    optimizer = optim.Adam([("a", a)], lr=0.1)
    with minigrad.trace(None, optimizer) as run:
        stepped(optimizer, a, b)
        optimizer.add_param_group({"params": [("b", b)], "lr": 0.5})
        before = b.numpy().copy()
        stepped(optimizer, a, b)
    assert run.names == ["a", "b"] and run["b"]["t"].tolist() == [0, 1]
    np.testing.assert_array_equal(run.lr, [[0.1, np.nan], [0.1, 0.5]])
    np.testing.assert_array_equal(run["b"]["data"][1], before)
    np.testing.assert_allclose(before + run["b"]["delta"][1], b.numpy(), atol=1e-15)
    assert np.isnan(run["b"]["data"][0]).all() and "lr 0.1\n" not in run.table()
    assert "nan" not in run.table(1).splitlines()[0]
    run.save(tmp_path / "run.npz")
    np.testing.assert_array_equal(minigrad.load_trace(tmp_path / "run.npz").lr, run.lr)
    with pytest.raises(IndexError):
        run.explain("b", (5,), 2)


def test_a_layer_is_called_frozen_at_the_steps_where_it_was(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = optim.Adam(model.parameters())
    x = minigrad.ones(4, 2)
    model[0].requires_grad_(False)
    with minigrad.trace(model, optimizer) as run:
        for step in range(2):
            model[0].requires_grad_(step == 1)
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
        model[1].bias = nn.Parameter(np.ones(1))
        optimizer.zero_grad()
        (model[1](x @ minigrad.ones(2, 3)) ** 2).mean().backward()
        optimizer.step()
    run.save(tmp_path / "run.npz")
    for one in (run, minigrad.load_trace(tmp_path / "run.npz")):
        assert "frozen" in str(one.explain("0.weight", (0, 0), 1))
        assert one.explain("0.weight", (0, 0), 2).delta != 0
        assert ".grad is None" in str(one.explain("0.weight", (0, 0), 3))
        assert "is now another tensor" in " ".join(str(one.explain("1.bias", None, 3)).split())


def test_a_parameter_in_no_group_says_so_in_a_file_too(tmp_path):
    model = nn.Linear(2, 1)
    optimizer = optim.SGD([model.weight], lr=0.1)
    with minigrad.trace(model, optimizer) as run:
        stepped(optimizer, model.weight, model.bias)
    run.save(tmp_path / "run.npz")
    assert "in none of the groups" in str(run.explain("bias"))
    assert str(minigrad.load_trace(tmp_path / "run.npz").explain("bias")) == str(
        run.explain("bias"))


def test_many_groups_are_few_settings_and_a_short_headline():
    tensors = [weight(1.0, 2.0) for _ in range(15)]
    optimizer = optim.Adam([{"params": [t], "lr": 0.001 * (i + 1)} for i, t in enumerate(tensors)])
    with minigrad.trace(None, optimizer) as run:
        for _ in range(5):
            stepped(optimizer, *tensors)
    assert len(run.tape.settings) == 15
    assert "lr 0.001 to 0.015 in 15 groups" in run.table()
    assert max(map(len, run.table().splitlines())) <= 80


def test_explaining_a_gradient_after_the_step_says_what_changed_the_weights():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss = (model(minigrad.ones(3, 2)) ** 2).mean()
    loss.backward()
    assert minigrad.explain(loss, model[0].weight, (0, 1)).gradient == (
        model[0].weight.grad[0, 1].item())
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"optimizer.step\(\) changes the weights"):
        minigrad.explain(loss, model[0].weight, (0, 1))


def test_a_run_broken_off_inside_a_step_keeps_what_was_complete():
    calls = []

    def interrupted(w, g, *, lr=0.1):
        calls.append(g)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return w - lr * g
    a, b = weight(1.0, 2.0), weight(3.0)
    optimizer = optim.Optimizer([("a", a), ("b", b)], rule=interrupted)
    run = minigrad.trace(None, optimizer)
    with pytest.raises(KeyboardInterrupt), run:
        for _ in range(3):
            stepped(optimizer, a, b)
    assert run.steps.tolist() == [1] and run["a"]["data"].tolist() == [[1.0, 2.0]]
    np.testing.assert_allclose(run["b"]["delta"], [[-0.6]])
    with run:
        stepped(optimizer, a, b)
    assert run.steps.tolist() == [1, 2] and run["a"]["t"].tolist() == [1, 3]


def test_a_gradient_used_twice_is_said_and_one_put_there_by_hand_is_not():
    a = weight(1.0)
    optimizer = optim.SGD([("a", a)], lr=0.1)
    with minigrad.trace(None, optimizer) as run:
        stepped(optimizer, a)
        optimizer.step()
        optimizer.zero_grad()
        a.grad = minigrad.ones(1)
        optimizer.step()
    assert run.explain("a", None, 1).notes == []
    assert "the one of the step before" in run.explain("a", None, 2).notes[0]
    assert run.explain("a", None, 3).notes == []
    assert run["a"]["grad"].ravel().tolist() == [2.0, 2.0, 1.0]


def test_a_forgotten_zero_grad_is_noticed_behind_clipping_too():
    a = weight(1.0)
    optimizer = optim.SGD([("a", a)], lr=0.1)
    with minigrad.trace(None, optimizer) as run:
        for _ in range(2):
            (a * a).sum().backward()
            nn.utils.clip_grad_norm_([a], 0.5)
            optimizer.step()
    assert "zero_grad() was not called" in run.explain("a", None, 2).notes[0]


def test_parameters_of_two_models_with_the_same_names_are_told_apart():
    one, two = nn.Linear(2, 2), nn.Linear(2, 1)
    optimizer = optim.SGD([*one.parameters(), *two.parameters()], lr=0.1)
    with minigrad.trace(None, optimizer) as run:
        stepped(optimizer, one.weight, two.weight)
    assert run.names == ["weight", "bias", "weight (2)", "bias (2)"]
    assert run[two.weight]["data"].shape == (1, 1, 2)
    assert run.explain(two.weight, (0, 1)).after == two.weight.numpy()[0, 1]
    assert optimizer.explain(two.weight, (0, 1)).after == two.weight.numpy()[0, 1]
    with pytest.raises(KeyError, match="2 parameters named 'weight'.*pass the tensor"):
        optimizer.explain("weight", (0, 1))
    with pytest.raises(KeyError, match="another tensor named 'weight'"):
        run.explain(nn.Linear(2, 1).weight, (0, 1))


def test_the_state_of_a_rule_is_recorded_as_the_step_left_it():
    a = weight(1.0, -2.0)
    optimizer = optim.Rprop([("a", a)])
    with minigrad.trace(None, optimizer) as run:
        for _ in range(2):
            stepped(optimizer, a)
    for name in ("previous", "size"):
        np.testing.assert_array_equal(run["a"][name][-1], optimizer.state[a][name])
        assert run.explain("a", (1,)).values[name] == optimizer.state[a][name][1]
