"""minigrad.trace: which steps are kept, files, and what is refused."""

import numpy as np
import pytest
import minigrad as mg
from minigrad import optim
from test_trace import parameters, recorded, made, network, train  # noqa: F401


# --- every, budget --------------------------------------------------------------------------------

def test_every_kth_step_is_recorded():
    model = network()
    optimizer = optim.Adam(model.parameters())
    with mg.trace(model, optimizer, every=3) as run:
        losses = train(model, optimizer, 8)
    assert run.steps.tolist() == [1, 4, 7]
    np.testing.assert_array_equal(run.loss, [losses[0], losses[3], losses[6]])
    assert run["0.weight"]["t"].tolist() == [1, 4, 7]
    with pytest.raises(ValueError, match="step 5 was not recorded; the nearest .* 1, 4, 7"):
        run.explain("0.weight", (0, 0), 5)


def test_a_full_budget_is_said_aloud_and_thins_the_steps():
    model, twin = network(), network()  # 21 numbers
    optimizer = optim.AdamW(model.parameters(), lr=0.1)
    with mg.trace(model, optimizer, budget=21 * 4) as run:
        with pytest.warns(UserWarning, match=r"budget of 84.*one step in 2 is kept"):
            train(model, optimizer, 5)
        assert run.steps.tolist() == [1, 3, 5]
        with pytest.warns(UserWarning, match="one step in 4"):
            train(model, optimizer, 6)
    assert run.steps.tolist() == [1, 5, 9]
    other = optim.AdamW(twin.parameters(), lr=0.1)
    with mg.trace(twin, other) as whole:
        train(twin, other, 11)
    for name in run.names:
        for key, values in run[name].items():
            np.testing.assert_array_equal(values, whole[name][key][[0, 4, 8]])


# --- files ----------------------------------------------------------------------------------------

def test_a_saved_run_comes_back_to_the_bit(tmp_path):
    model = network()
    optimizer = optim.Adam(model.parameters(), amsgrad=True)
    with mg.trace(model, optimizer, every=2) as run:
        train(model, optimizer, 6)
    run.save(tmp_path / "run.npz")
    back = mg.load_trace(tmp_path / "run.npz")
    assert back.names == run.names and back.kind == "Adam" and back.every == 2
    for series in ("steps", "loss", "lr", "grad_norm", "seconds"):
        np.testing.assert_array_equal(getattr(back, series), getattr(run, series))
    for name in run.names:
        assert list(back[name]) == list(run[name])
        for key, values in run[name].items():
            np.testing.assert_array_equal(back[name][key], values)
            assert back[name][key].dtype == values.dtype
    assert str(back.explain("0.weight", (1, 1), 3)) == str(run.explain("0.weight", (1, 1), 3))
    with np.load(tmp_path / "run.npz") as plain:  # NumPy alone can read it
        assert any(np.array_equal(plain[key], run["0.weight"]["m_hat"]) for key in plain.files
                   if key.endswith("m_hat"))


def test_a_loaded_run_of_a_rule_from_elsewhere_asks_for_it(tmp_path):
    def mine(w, g, *, lr=0.1):
        return w - lr * g
    run, *_ = recorded(lambda ps: optim.Optimizer(ps, rule=mine), 2)
    run.save(tmp_path / "run.npz")
    with pytest.raises(ValueError, match=r"\.mine'.*load_trace"):
        mg.load_trace(tmp_path / "run.npz").explain("w", (0, 0))
    again = mg.load_trace(tmp_path / "run.npz", rule=mine)
    assert str(again.explain("w", (0, 0))) == str(run.explain("w", (0, 0)))


def test_files_that_are_no_trace_of_this_version_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    mg.save({"a": 1}, path)
    with pytest.raises(mg.io.FileFormatError, match="not a trace"):
        mg.load_trace(path)
    mg.save({"minigrad trace": 99}, path)
    with pytest.raises(mg.io.FileFormatError, match="version 99, this minigrad reads version 1"):
        mg.load_trace(path)
    mg.save({"minigrad trace": 1, "kind": "Adam"}, path)
    with pytest.raises(mg.io.FileFormatError, match="damaged trace"):
        mg.load_trace(path)


# --- errors ---------------------------------------------------------------------------------------

def test_an_unknown_name_is_answered_with_the_nearest():
    run, *_ = recorded(made("adam"), 2)
    with pytest.raises(KeyError, match="no parameter named 'ww'; did you mean 'w'"):
        run["ww"]
    assert "w" in run and "ww" not in run


def test_nothing_recorded_yet_is_said():
    run = mg.trace(None, optim.SGD(parameters()))
    with pytest.raises(ValueError, match="nothing is recorded yet"):
        run.explain("w", (0, 0))
    assert len(run) == 0 and run["w"]["data"].shape == (0, 3, 2) and run.grad_norm.shape == (0,)
    assert run.lr.size == 0
    str(run), repr(run), run._repr_mimebundle_()


def test_trace_refuses_what_it_cannot_watch():
    model = network()
    optimizer = optim.SGD(model.parameters())
    with pytest.raises(TypeError, match=r"trace\(model, optimizer\)"):
        mg.trace(model)
    with pytest.raises(TypeError, match="got int"):
        mg.trace(3, optimizer)
    for bad in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="every must be"):
            mg.trace(model, optimizer, every=bad)
    with mg.trace(model, optimizer):
        with pytest.raises(ValueError, match="being traced already"):
            mg.trace(model, optimizer).__enter__()
    assert mg.trace(optimizer, model).model is model  # the other way round is meant the same


def test_trace_of_a_matrix_is_the_sum_of_its_diagonal():
    assert mg.trace(mg.tensor([[1.0, 2.0], [3.0, 4.0]])).item() == 5
