"""minigrad.source: every program that is printed is executed, and gives the numbers of
loss.backward() to the last bit."""

import ast
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest

import minigrad
from minigrad import nn, ops, optim
from minigrad.codegen.source import source
from minigrad.nn import functional as F
from test_ops_table import CASES

MLP_TEXT = """\
# data:   x (100, 2), y (100, 1)
# params: W1 = 0.weight (16, 2), b1 = 0.bias (16,), W2 = 2.weight (16, 16),
#         b2 = 2.bias (16,), W3 = 4.weight (1, 16), b3 = 4.bias (1,)
import numpy as np

# forward
z1 = x @ W1.T + b1
h1 = np.tanh(z1)
z2 = h1 @ W2.T + b2
h2 = np.tanh(z2)
z3 = h2 @ W3.T + b3
error = z3 - y
loss = (error**2).sum() / 100

# backward
dz3 = 0.02 * error
dW3 = dz3.T @ h2
db3 = dz3.sum(0)
dh2 = dz3 @ W3
dz2 = dh2 * (1 - h2**2)
dW2 = dz2.T @ h1
db2 = dz2.sum(0)
dh1 = dz2 @ W2
dz1 = dh1 * (1 - h1**2)
dW1 = dz1.T @ x
db1 = dz1.sum(0)
"""

DIGITS_TEXT = """\
# data:   x (50, 64), y (50,)
# params: W1 = 0.weight (32, 64), b1 = 0.bias (32,), W2 = 2.weight (10, 32),
#         b2 = 2.bias (10,)
import numpy as np

# forward
z1 = x @ W1.T + b1
h1 = np.maximum(z1, 0)
z2 = h1 @ W2.T + b2
shifted = z2 - z2.max(1, keepdims=True)
e = np.exp(shifted)
loss = (np.log(e.sum(1)) - shifted[np.arange(50), y]).sum() / 50

# backward
# Where a gradient is infinite, minigrad itself sends 0, not nan, through `* (h != 0)`.
targets = np.zeros((50, 10))
targets[np.arange(50), y] = 1.0
dz2 = 0.02 * (e / e.sum(1, keepdims=True) - targets)
dW2 = dz2.T @ h1
db2 = dz2.sum(0)
dh1 = dz2 @ W2
dz1 = dh1 * (h1 != 0)
dW1 = dz1.T @ x
db1 = dz1.sum(0)
"""


def mlp():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(),
                          nn.Linear(16, 1))
    return model, minigrad.randn(100, 2), minigrad.randn(100, 1)


def small():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return model, minigrad.randn(6, 3), minigrad.tensor([0, 1, 1, 0, 1, 0])


def same_bits(loss, params=None):
    """Executes the printed program and holds it against loss.backward(); returns the Source."""
    printed = source(loss, params)
    found = printed.run()
    loss.backward()
    np.testing.assert_array_equal(found.pop("loss"), loss.array)
    assert found, "no gradient was printed"
    for name, value in found.items():
        t = printed.names[name[1:]]
        g = t.grad.numpy()
        assert np.shape(value) == g.shape and np.asarray(value).dtype == g.dtype, name
        np.testing.assert_array_equal(value, g, err_msg=f"{name}\n{printed}")
    tracked = {id(t) for name, t in printed.names.items() if f"d{name}" in found}
    assert all(id(p) in tracked for p in params or () if p.grad is not None)
    assert all(len(line) <= 90 for line in own_lines(printed))
    return printed


def own_lines(printed):
    """The lines of the program, without the functions that are quoted from their files."""
    return str(printed)[str(printed).index("# forward"):].splitlines()


# --- the text -------------------------------------------------------------------------------------

def test_the_text_of_the_mlp_is_what_one_derives_by_hand():
    model, x, y = mlp()
    assert str(source(F.mse_loss(model(x), y), model)) == MLP_TEXT


def test_the_text_of_the_digits_mlp_is_what_one_derives_by_hand():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    loss = F.cross_entropy(model(minigrad.randn(50, 64)), minigrad.randint(0, 10, (50,)))
    assert str(source(loss, model)) == DIGITS_TEXT


def test_the_printed_numbers_are_pytorchs():
    torch = pytest.importorskip("torch")
    model, x, y = mlp()
    found = source(F.mse_loss(model(x), y), model).run()
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 16),
                                 torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    loss = torch.nn.functional.mse_loss(theirs(torch.tensor(x.numpy())), torch.tensor(y.numpy()))
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-12)
    names = ["dW1", "db1", "dW2", "db2", "dW3", "db3"]
    for name, p in zip(names, theirs.parameters()):
        np.testing.assert_allclose(found[name], p.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_a_name_given_by_the_user_stays():
    w, x = minigrad.tensor([1.0, 2.0], requires_grad=True), minigrad.tensor([3.0, 4.0])
    w.name, x.name = "slope", "hours"
    score = w * x
    score.name = "score"
    printed = same_bits((score.exp() * score).sum(), [w])
    assert "score = slope * hours" in str(printed) and "dslope = " in str(printed)
    assert printed.names["score"] is score


@pytest.mark.parametrize("name", ["np", "lambda", "loss", "sum", "t", "a b", 'x"</script>', "é",
                                  "1", "", "line\nbreak", "\u2028", "rows", "w.w", "__", "e",
                                  "params"])
def test_any_name_gives_a_program_that_runs(name):
    w = minigrad.tensor([1.0, 2.0], requires_grad=True)
    v = minigrad.tensor([0.5, -2.0], requires_grad=True)
    w.name, v.name = name, name
    same_bits((w.exp() * v).sum() + w.prod(), [w, v])


def test_each_value_is_computed_once():
    model, x, y = mlp()
    for printed in (source(F.mse_loss(model(x), y), model),
                    source(F.cross_entropy(small()[0](small()[1]), small()[2]))):
        seen = []
        for part in ast.walk(ast.parse(str(printed))):
            text = ast.unparse(part) if isinstance(part, (ast.BinOp, ast.Call)) else "np.arange"
            if not text.startswith(("np.arange", "np.zeros")):
                seen.append(text)
        assert len(seen) == len(set(seen))


def test_the_text_does_not_depend_on_the_hash_seed():
    code = ("import sys; sys.path[:0] = sys.argv[1:]; from test_source import *; "
            "model, x, y = small(); "
            "print(source(F.cross_entropy(model(x).softmax(1).cumsum(1), y), model))")
    texts = set()
    for seed in ("1", "2"):
        done = subprocess.run([sys.executable, "-c", code, os.path.dirname(__file__), *sys.path],
                              env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True,
                              text=True, check=True)
        texts.add(done.stdout)
    assert len(texts) == 1 and "# backward" in texts.pop()


def test_a_notebook_shows_the_text():
    model, x, y = small()
    printed = source(F.cross_entropy(model(x), y), model)
    shown = printed._repr_mimebundle_()
    assert shown["text/plain"] == str(printed) == printed.text
    assert shown["text/html"].startswith("<pre>") and "x @ W1.T" in shown["text/html"]


# --- executed, over many computations -------------------------------------------------------------

def network(*layers, size=(6, 3), classes=4):
    model = nn.Sequential(*layers)
    labels = minigrad.tensor(np.arange(size[0]) % classes)
    return F.cross_entropy(model(minigrad.randn(*size)), labels), list(model.parameters())


def activation(layer):
    return network(nn.Linear(3, 5), layer, nn.Linear(5, 4))


def regression(model, *size):
    output = model(minigrad.randn(*size))
    return F.mse_loss(output, minigrad.randn(*output.shape)), list(model.parameters())


def recurrent(layer):
    head = nn.Linear(4, 2)
    output, _ = layer(minigrad.randn(3, 2, 3))
    return (F.mse_loss(head(output[-1]), minigrad.randn(2, 2)),
            [*layer.parameters(), *head.parameters()])


def convolutions():
    return network(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2),
                   nn.Conv2d(2, 4, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3),
                   size=(4, 1, 8, 8), classes=3)


def attention():
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True), minigrad.randn(2, 3, 8)
    return layer(x, x, x, need_weights=False)[0].square().mean(), list(layer.parameters())


def causal():
    layers = [nn.Linear(4, 4) for _ in range(3)]
    x = minigrad.randn(2, 3, 4)
    q, k, v = (layer(x) for layer in layers)
    return (F.scaled_dot_product_attention(q, k, v, is_causal=True).square().sum(),
            [p for layer in layers for p in layer.parameters()])


def residual():
    a, b, x = nn.Linear(4, 4), nn.Linear(4, 4), minigrad.randn(5, 4)
    h = x + a(x).relu()
    return (h + b(h).relu()).sum(), [*a.parameters(), *b.parameters()]


def embedding():
    table, head = nn.Embedding(7, 4), nn.Linear(4, 7)
    scores = head(table(minigrad.tensor([1, 2, 3, 1])))
    return (F.cross_entropy(scores, minigrad.tensor([2, 3, 1, 0])),
            [*table.parameters(), *head.parameters()])


def tied():
    table = nn.Embedding(7, 4)
    scores = table(minigrad.tensor([1, 2, 3, 1])) @ table.weight.T
    return F.cross_entropy(scores, minigrad.tensor([2, 3, 1, 0])), [table.weight]


def used_twice():
    layer = nn.Linear(4, 4)
    return layer(layer(minigrad.randn(3, 4)).tanh()).tanh().sum(), list(layer.parameters())


def parts():
    w = minigrad.randn(4, 5, requires_grad=True)
    chosen = w[1:3, ::2] * w[minigrad.tensor([0, 2])][:, :3]
    joined = minigrad.cat([w[0], w[1]]).square().sum()
    return (chosen.sum() + joined + minigrad.stack([w[0], w[2]]).exp().mean()
            + minigrad.where(w > 0, w, 0.1 * w).sum()), [w]


def broadcast():
    a, b = minigrad.randn(3, 1, requires_grad=True), minigrad.randn(4, requires_grad=True)
    c = minigrad.tensor(2.0, requires_grad=True)
    return ((a * b + minigrad.randn(2, 3, 4)) ** 3 / c).mean(), [a, b, c]


def in_place():
    w = minigrad.randn(4, requires_grad=True)
    y = w * 2
    y.mul_(3.0)
    y.add_(w)
    z = y.clone()
    z[1:3] = w[:2]
    return (z * y).sum(), [w]


def written():
    w, x = minigrad.randn(3, requires_grad=True), minigrad.zeros(5)
    x[1:4] = w
    x[0] = w.sum()
    return (x**2).sum(), [w]


def by_hand():
    shapes = [(3, 5), (5,), (5, 1), (1,)]
    W1, b1, W2, b2 = params = [minigrad.randn(*s, requires_grad=True) for s in shapes]
    h = (minigrad.randn(6, 3) @ W1 + b1).tanh()
    return ((h @ W2 + b2 - minigrad.randn(6, 1)) ** 2).mean(), params


def statistics():
    w = minigrad.randn(3, 4, requires_grad=True)
    return (w.norm() + w.std() + w.var(dim=0).sum() + w.max() + w.min(dim=1).values.sum()
            + w.logsumexp(1).sum() + w.cumsum(0).square().sum() + w.prod()), [w]


def one_number():
    w = minigrad.tensor(0.3, requires_grad=True)
    return w**3 + w**2 * w.sin() - w**0.5 + w**-1, [w]


def leaf():
    w = minigrad.tensor(0.3, requires_grad=True)
    return w, [w]


def transposed():
    w = minigrad.randn(3, 4, requires_grad=True)
    return (w.T.exp() @ w.permute(0, 1)).sum() + (w.T * w.T.sum(0)).mean(0).square().sum(), [w]


def nothing_to_sum():
    w = minigrad.zeros(0, 3, requires_grad=True)
    return (w * 2).sum(), [w]


def infinite():
    w = minigrad.tensor([0.0, -1.0, 2.0], requires_grad=True)
    return (1 / w.relu()).sum() + w.log().sum(), [w]


def two_dtypes():
    w = minigrad.randn(3, dtype=minigrad.float32, requires_grad=True)
    v = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
    return (w * v + minigrad.tensor([1, 2, 3])).sum(), [w, v]


def binary(logits):
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    y = minigrad.tensor(np.array([[0.0], [1], [1], [0]])).to(minigrad.get_default_dtype())
    z = model(minigrad.randn(4, 3))
    loss = F.binary_cross_entropy_with_logits(z, y) if logits else (
        F.binary_cross_entropy(z.sigmoid(), y))
    return loss, list(model.parameters())


def likelihood():
    model = nn.Linear(3, 4)
    scores, labels = model(minigrad.randn(4, 3)), minigrad.tensor([0, 3, 1, 2])
    return (F.nll_loss(F.log_softmax(scores, dim=1), labels)
            + F.cross_entropy(scores, labels, label_smoothing=0.1)), list(model.parameters())


ACTIVATIONS = ["ReLU", "Tanh", "Sigmoid", "LogSigmoid", "LeakyReLU", "ELU", "GELU", "SiLU",
               "Softplus", "Softsign", "Tanhshrink", "Mish", "SELU", "CELU", "Hardtanh", "ReLU6",
               "PReLU"]
NETWORKS = {
    **{name: lambda name=name: activation(getattr(nn, name)()) for name in ACTIVATIONS},
    "Softmax": lambda: activation(nn.Softmax(dim=1)),
    "no layer": lambda: network(nn.Linear(3, 4)),
    "no bias": lambda: network(nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Linear(5, 4)),
    "dropout": lambda: network(nn.Linear(3, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 4)),
    "BatchNorm1d": lambda: activation(nn.BatchNorm1d(5)),
    "LayerNorm": lambda: activation(nn.LayerNorm(5)),
    "RMSNorm": lambda: activation(nn.RMSNorm(5)),
    "GroupNorm": lambda: network(nn.Linear(3, 6), nn.GroupNorm(2, 6), nn.Linear(6, 4)),
    "Conv1d": lambda: regression(nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.MaxPool1d(2)),
                                 3, 2, 8),
    "AvgPool": lambda: regression(nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1),
                                                nn.AvgPool2d(2)), 2, 2, 8, 8),
    "three dimensions": lambda: regression(nn.Linear(3, 2), 2, 4, 3),
    "LSTM": lambda: recurrent(nn.LSTM(3, 4)), "GRU": lambda: recurrent(nn.GRU(3, 4)),
    "RNN": lambda: recurrent(nn.RNN(3, 4, num_layers=2)),
    "binary": lambda: binary(False), "logits": lambda: binary(True),
    **{f.__name__: f for f in (
        convolutions, attention, causal, residual, embedding, tied, used_twice, parts, broadcast,
        in_place, written, by_hand, statistics, one_number, leaf, transposed, nothing_to_sum,
        infinite, two_dtypes, likelihood)},
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_program_gives_the_gradients_of_backward_to_the_last_bit(name, dtype):
    minigrad.set_default_dtype(getattr(minigrad, dtype))
    try:
        minigrad.manual_seed(zlib.crc32(name.encode()))
        same_bits(*NETWORKS[name]())
    finally:
        minigrad.set_default_dtype(minigrad.float64)


STEPS = [
    lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: a / (b * b + 1),
    lambda a, b: a.tanh(), lambda a, b: a.T, lambda a, b: a @ b, lambda a, b: a.sum(0),
    lambda a, b: a.mean(-1, keepdim=True), lambda a, b: a.reshape(-1), lambda a, b: a[..., ::2],
    lambda a, b: a.relu(), lambda a, b: a.softmax(-1), lambda a, b: minigrad.cat([a, b]),
    lambda a, b: a.unsqueeze(0).expand(2, *a.shape).sum(0), lambda a, b: a.clone().mul_(2.0),
    lambda a, b: a**3, lambda a, b: (a * a + 1) ** -0.5, lambda a, b: minigrad.maximum(a, b),
    lambda a, b: a[minigrad.tensor([0, 0])], lambda a, b: -a]


@pytest.mark.parametrize("seed", range(60))
def test_programs_of_random_operations_give_the_same_bits(seed):
    """Views, transposed memory and shared values in all combinations: what they have in common is
    that the order of numbers in memory decides the last bit of a sum."""
    random = np.random.default_rng(seed)
    minigrad.manual_seed(seed)
    shapes = [(3, 4), (4,), (4, 3), (1, 4), ()]
    values = [minigrad.randn(s, requires_grad=True) for s in shapes]
    for _ in range(12):
        a, b = (values[random.integers(max(0, len(values) - 7), len(values))] for _ in range(2))
        try:
            made = STEPS[random.integers(len(STEPS))](a, b)
        except (RuntimeError, IndexError, ValueError):
            continue  # shapes that do not go together
        values = [*values, made] if made.numel() < 200 else values
    loss = sum((v * v).sum() for v in values[-3:])
    same_bits(loss)


@pytest.mark.parametrize("name", sorted(ops.TABLE))
def test_every_row_of_the_table_prints_as_a_program_that_gives_its_gradients(name):
    printed = 0
    for maker, options in CASES[name]:
        random = np.random.default_rng(zlib.crc32(name.encode()))
        inputs = maker(random)
        y = ops.TABLE[name](*inputs, **options)
        if y.requires_grad and not (name == "setitem" and y.ndim == 0):
            weights = minigrad.tensor(random.normal(size=y.shape))
            same_bits((y * weights).sum())
            printed += 1
    assert printed


def test_only_what_is_asked_for_is_printed():
    model, x, y = small()
    loss = F.cross_entropy(model(x), y)
    printed = source(loss, [model[0].bias])
    assert set(printed.run()) == {"loss", "db1"}
    assert "dW" not in str(printed)
    h = model[1](model[0](x))
    loss = F.cross_entropy(model[2](h), y)
    found = source(loss, [h]).run()
    loss.backward()
    [name] = set(found) - {"loss"}
    np.testing.assert_array_equal(found[name], h.grad.numpy())


def test_a_parameter_that_the_loss_does_not_see_has_no_gradient():
    model, x, y = small()
    other = nn.Parameter(minigrad.ones(2))
    printed = source(F.cross_entropy(model(x), y), [*model.parameters(), other])
    assert set(printed.run()) == {"loss", "dW1", "db1", "dW2", "db2"}


def test_frozen_layers_are_named_as_layers_and_get_no_gradient():
    model, x, y = small()
    model[2].requires_grad_(False)
    printed = same_bits(F.cross_entropy(model(x), y), list(model.parameters())[:2])
    assert "z2 = h1 @ W2.T + b2\n" in str(printed) and "dW2" not in str(printed)


def test_running_statistics_keep_their_names():
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
    model(minigrad.randn(5, 3))
    model.eval()
    printed = same_bits(model(minigrad.randn(5, 3)).square().mean(), list(model.parameters()))
    assert "(z1 - running_mean) / c" in str(printed)


def test_what_was_drawn_on_the_way_is_said_to_be_fixed():
    minigrad.manual_seed(0)
    assert "mask (6, 5)\n# index, mask and c were computed on the way" in str(
        source(*NETWORKS["dropout"]()))
    assert "on the way" not in str(source(*NETWORKS["Tanh"]()))


def test_printing_changes_nothing():
    model, x, y = small()
    loss = F.cross_entropy(model(x), y)
    before = [p.numpy().copy() for p in model.parameters()]
    source(loss, optim.Adam(model.parameters())).run()
    assert all(p.grad is None for p in model.parameters())
    for p, old in zip(model.parameters(), before):
        np.testing.assert_array_equal(p.numpy(), old)
