"""minigrad.source with an optimizer, and the file it saves: the update is the step of the
optimizer, and the file trains where there is no minigrad."""

import functools
import subprocess
import sys

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.codegen.source import source
from minigrad.nn import functional as F
from test_source import NETWORKS, mlp, small

# --- the update -----------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.1),
    "nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda ps: optim.Adam(ps, lr=0.01, betas=(0.8, 0.99), amsgrad=True),
    "adamw, climbing": lambda ps: optim.AdamW(ps, lr=0.01, weight_decay=0.1, maximize=True),
    "rmsprop": lambda ps: optim.RMSprop(ps, lr=0.01, centered=True, momentum=0.5),
    "adagrad": lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.1),
    "rprop": lambda ps: optim.Rprop(ps, lr=0.01),
    "two groups": lambda ps: optim.Adam([{"params": ps[:1], "lr": 0.5},
                                         {"params": ps[1:], "weight_decay": 0.1}], lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_printed_update_is_the_optimizers_step_to_the_last_bit(name):
    model, x, y = small()
    optimizer = OPTIMIZERS[name](list(model.parameters()))
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        printed = source(loss, optimizer)
        found = printed.run()
        loss.backward()
        optimizer.step()
        for name in ("W1", "b1", "W2", "b2"):
            np.testing.assert_array_equal(found[name], printed.names[name].numpy())
    assert "# update" in str(printed)


def test_the_update_rule_is_printed_as_its_file_has_it():
    model, x, y = small()
    text = str(source(F.cross_entropy(model(x), y), model, optimizer=optim.Adam(
        model.parameters(), lr=0.1, weight_decay=0.5)))
    assert "    m = beta1 * m + (1 - beta1) * g\n" in text and "@elementwise" not in text
    assert "W1, m_W1, v_W1 = adam(W1, dW1 + 0.5 * W1, m_W1, v_W1, t, lr=0.1)\n" in text


def test_a_rule_of_the_users_own_is_printed():
    def drift(w, g, *, lr=0.1, pull=0.0):
        return w - lr * g - pull * w
    model, x, y = small()
    optimizer = optim.Optimizer(model.parameters(), rule=drift, pull=0.25)
    loss = F.cross_entropy(model(x), y)
    printed = source(loss, optimizer)
    assert "    return w - lr * g - pull * w" in str(printed) and "pull=0.25)" in str(printed)
    assert "\nW1 = drift(W1, dW1, pull=0.25)\n" in str(printed)
    found = printed.run()
    loss.backward()
    optimizer.step()
    np.testing.assert_array_equal(found["W1"], model[0].weight.numpy())


def test_the_states_of_an_optimizer_that_never_stepped_are_zero():
    model, x, y = small()
    printed = source(F.cross_entropy(model(x), y), optim.Adam(model.parameters()))
    assert functools.reduce(lambda found, u: {**found, **u.given}, printed.updates, {}) == {
        "t": 1, **{f"{m}_{name}": 0.0 for m in "mv" for name in ("W1", "b1", "W2", "b2")}}


# --- the file -------------------------------------------------------------------------------------

ALONE = ("import runpy, sys; sys.modules['minigrad'] = None; "
         "runpy.run_path(sys.argv[1], run_name='__main__')")


def losses_of_file(path):
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, str(path)], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return [line.split()[3] for line in done.stdout.splitlines() if line.startswith("step")]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["nesterov", "adamw, climbing", "two groups"])
def test_the_saved_file_trains_without_minigrad(name, dtype, tmp_path):
    model, x, y = small()
    model, x = model.to(getattr(minigrad, dtype)), x.to(getattr(minigrad, dtype))
    optimizer = OPTIMIZERS[name](list(model.parameters()))
    F.cross_entropy(model(x), y).backward()
    optimizer.step()  # the states of this step go into the file
    source(F.cross_entropy(model(x), y), optimizer).save(tmp_path / "step.py")
    expected = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        expected.append(f"{loss.item():.6g}")
        loss.backward()
        optimizer.step()
    assert losses_of_file(tmp_path / "step.py") == expected


def test_a_file_without_an_optimizer_descends_the_gradient(tmp_path):
    model, x, y = mlp()
    source(F.mse_loss(model(x), y), model).save(tmp_path / "step.py")
    text = (tmp_path / "step.py").read_text()
    assert all(len(line) <= 100 for line in text.splitlines())
    losses = [float(word) for word in losses_of_file(tmp_path / "step.py")]
    assert losses == sorted(losses, reverse=True) and len(set(losses)) > 1


@pytest.mark.parametrize("name", ["convolutions", "LSTM", "GELU", "attention", "dropout", "leaf"])
def test_files_bring_every_function_they_call(name, tmp_path):
    minigrad.manual_seed(0)
    loss, params = NETWORKS[name]()
    source(loss, params).save(tmp_path / "step.py")
    assert losses_of_file(tmp_path / "step.py")[0] == f"{loss.item():.6g}"


@pytest.mark.parametrize("name", ["update", "start", "sgd", "adam", "time", "params", "w", "i",
                                  '"""', "\0"])
def test_names_of_tensors_do_no_harm_in_a_file(name, tmp_path):
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    x.name = name
    for optimizer in (None, optim.Adam([x])):
        source((x.exp() * x).sum(), [x], optimizer=optimizer).save(tmp_path / "step.py")
        assert len(losses_of_file(tmp_path / "step.py")) == 5


def test_large_arrays_are_drawn_and_the_file_says_so(tmp_path):
    model = nn.Linear(60, 50)
    loss = F.cross_entropy(model(minigrad.randn(40, 60)), minigrad.zeros(40, dtype=minigrad.int64))
    source(loss, model).save(tmp_path / "step.py")
    text = (tmp_path / "step.py").read_text()
    assert "W = rng.normal(" in text and "more than 2000 numbers are drawn" in text
    assert len(losses_of_file(tmp_path / "step.py")) == 5


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path):
    model, x, y = small()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        source(F.cross_entropy(model(x), y), model).save(tmp_path / "no" / "step.py")
