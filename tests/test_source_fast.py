"""minigrad.source(style="fast"): the text gives the bits of .grad, again and again, and runs with
NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def classes(n):
    return mg.tensor(np.arange(20) % n)


# name: (network, input, loss of the output)
CASES = {
    "tanh": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)), (20, 3),
             lambda y: ((y - 1)**2).mean()),
    "relu": (lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4)), (20, 3),
             lambda y: nn.functional.cross_entropy(y, classes(4))),
    "sigmoid": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 1)), (20, 3),
                lambda y: nn.functional.binary_cross_entropy_with_logits(y, y.detach() * 0 + 1)),
    "norm": (lambda: nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 2)),
             (20, 3), lambda y: y.var()),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(),
                                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)),
                    (20, 1, 6, 6), lambda y: nn.functional.cross_entropy(y, classes(3))),
    "two uses": (lambda: nn.Linear(3, 3), (20, 3), lambda y: (y * y.tanh() + y).sum()),
}


def computed(case, dtype):
    mg.manual_seed(1)
    network, shape, loss = CASES[case]
    net = network().to(dtype)
    return net, loss(net(mg.randn(*shape).to(dtype)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_the_text_gives_the_bits_of_grad(case, dtype):
    net, loss = computed(case, dtype)
    source = mg.source(loss, net, style="fast")
    found = source.run()
    loss.backward()
    assert float(found["loss"]) == loss.item()
    names = {id(t): name for name, t in source.names.items()}
    for p in net.parameters():
        np.testing.assert_array_equal(found[f"d{names[id(p)]}"], p.grad.numpy())
        assert found[f"d{names[id(p)]}"].dtype == dtype


@pytest.mark.parametrize("case", CASES)
def test_calling_it_again_gives_the_same_again(case):
    net, loss = computed(case, "float64")
    source = mg.source(loss, net, style="fast")
    scope = {**source.given}
    exec(source.text, scope)
    kept = [x.copy() for x in source.given.values()]
    first = scope["loss_and_gradients"]()
    gradients = {g: scope[g].copy() for g in source.gradients.values()}
    assert scope["loss_and_gradients"]() == first
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(scope[name], gradient)
    for before, now in zip(kept, source.given.values()):  # it writes into its own memory only
        np.testing.assert_array_equal(before, now)


def test_it_reads_as_a_person_would_write_it():
    net, loss = computed("tanh", "float64")
    lines = str(mg.source(loss, net, style="fast")).split("def loss_and_gradients():\n")[1]
    assert [line.strip() for line in lines.strip().split("\n")] == [
        "matmul(x, W1_T, z1)",
        "add(z1, b1, z1)",
        "tanh(z1, z1)",
        "matmul(z1, W2_T, z2)",
        "add(z2, b2, z2)",
        "subtract(z2, 1, z2)",
        "square(z2, squares)",
        "v_5 = add.reduce(squares, None)",
        "loss = v_5 / 20",
        "multiply(2, z2, z2)",
        "multiply(0.05, z2, z2)",
        "matmul(z2, W2, dh1)",
        "matmul(z2_T, z1, dW2)",
        "add.reduce(z2, 0, None, db2)",
        "square(z1, z1)",
        "subtract(1, z1, z1)",
        "multiply(dh1, z1, dh1)",
        "matmul(dh1_T, x, dW1)",
        "add.reduce(dh1, 0, None, db1)",
        "return loss",
    ]


@pytest.mark.parametrize("case", ["tanh", "relu", "convolution"])
def test_the_saved_program_needs_numpy_alone(case, tmp_path):
    net, loss = computed(case, "float64")
    mg.source(loss, net, style="fast").save(tmp_path / "fast.py")
    blocked = "import sys; sys.modules['minigrad'] = None; exec(open('fast.py').read())"
    found = subprocess.run([sys.executable, "-c", blocked], cwd=tmp_path, capture_output=True,
                           text=True)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout.split()[1]) == pytest.approx(loss.item(), rel=1e-12)
    assert "us per call" in found.stdout
