"""health(): every disease is named, healthy networks are left alone, and nothing is disturbed."""

import re
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.data import digits
from minigrad.inspect import symptoms
from minigrad.inspect.health import health
from minigrad.inspect.trace import trace
from minigrad.nn import functional as F


def trained(layers, lr=0.01, steps=30, kind=optim.SGD, seed=1):
    """(model, run, x) after a few steps of regression on noise: 64 samples of 8 numbers."""
    minigrad.manual_seed(seed)
    model = layers if isinstance(layers, nn.Module) else nn.Sequential(*layers())
    x, y = minigrad.randn(64, 8), minigrad.randn(64, 1)
    optimizer = kind([p for p in model.parameters() if p.requires_grad], lr=lr)
    with trace(model, optimizer) as run:
        for _ in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
    return model, run, x


def two_layers(activation=nn.ReLU, weights=1.0, bias=0.0):
    def layers():
        first = nn.Linear(8, 16)
        first.weight.array[...] *= weights
        first.bias.array[:8] += bias
        return first, activation(), nn.Linear(16, 1)
    return layers


def by_label(found):
    return {row.layer: row for row in found.rows}


# --- the diseases ---------------------------------------------------------------------------------

def test_dead_units_are_counted_and_named():
    model, run, x = trained(two_layers(bias=-50))
    row = by_label(health(model, run, x))["1 ReLU"]
    with minigrad.no_grad():
        y = np.maximum(x.numpy() @ model[0].weight.numpy().T + model[0].bias.numpy(), 0)
    assert row.dead == (y == 0).all(axis=0).mean() == 0.5
    assert row.verdict == "50 % of 16 units dead: lower lr, He initialisation or LeakyReLU"
    assert health(model, run, x).worst is not None


def test_units_that_sleep_in_a_small_batch_are_not_called_dead():
    model, run, x = trained(two_layers(bias=-50))
    row = by_label(health(model, run, x[:4]))["1 ReLU"]
    assert row.severity == 1 and "for all of 4 samples" in row.verdict


def test_all_units_dead_leave_the_layer_before_without_gradient():
    model, run, x = trained(lambda: two_layers(bias=-50)()[:1] + (nn.ReLU(),), steps=0)
    model[0].bias.array[...] = -50.0
    model(x).sum().backward()
    rows = by_label(health(model, x=x))
    assert rows["1 ReLU"].dead == 1.0 and "100 % of 16 units dead" in rows["1 ReLU"].verdict
    assert "gradient is 0" in rows["0 Linear"].verdict


@pytest.mark.parametrize("activation, function, near", [
    (nn.Tanh, np.tanh, lambda y: np.abs(y) > 0.97),
    (nn.Sigmoid, lambda z: 1 / (1 + np.exp(-z)), lambda y: (y < 0.03) | (y > 0.97))])
def test_saturated_values_are_counted_and_named(activation, function, near):
    model, run, x = trained(two_layers(activation, weights=40), lr=1e-4)
    row = by_label(health(model, run, x))[f"1 {activation.__name__}"]
    y = function(x.numpy() @ model[0].weight.numpy().T + model[0].bias.numpy())
    assert row.saturated == near(y).mean() > 0.8
    assert "of 1,024 values saturated: smaller initial weights (Xavier)" in row.verdict


def test_twenty_sigmoid_layers_let_the_gradient_vanish():
    def layers():
        return [part for _ in range(20) for part in (nn.Linear(8, 8), nn.Sigmoid())] + [
            nn.Linear(8, 1)]
    model, run, x = trained(layers, steps=5)
    found = by_label(health(model, run, x))
    assert found["0 Linear"].verdict.startswith("vanishing, gradient ")
    assert "smaller than in 40 Linear" in found["0 Linear"].verdict
    first, last = ([np.median(np.sqrt(sum((run[f"{i}.{name}"]["grad"] ** 2).reshape(5, -1).sum(1)
                                          for name in ("weight", "bias"))))] for i in (0, 40))
    np.testing.assert_allclose([found["0 Linear"].gradient, found["40 Linear"].gradient],
                               [*first, *last], rtol=1e-12)
    assert found["40 Linear"].verdict == "fine"


def test_a_deep_linear_network_with_large_weights_explodes():
    def layers():
        deep = [nn.Linear(8, 8) for _ in range(12)]
        for layer in deep:
            layer.weight.array[...] *= 10
        return [*deep, nn.Linear(8, 1)]
    model, run, x = trained(layers, lr=1e-30, steps=3)
    found = health(model, run, x)
    assert all(row.verdict.startswith("exploding, gradient ") for row in found.rows)
    assert found.worst is found.rows[0]


def test_a_gradient_that_is_larger_towards_the_input_explodes():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1))
    for p, g in zip(model.parameters(), (300.0, 300.0, 0.1, 0.1)):
        p.grad = minigrad.full_like(p, g)
    assert health(model).rows[0].verdict.startswith("exploding, gradient ")


def test_a_gradient_that_grows_while_the_loss_rises_is_called_exploding():
    minigrad.manual_seed(0)
    model = nn.Linear(1, 1, bias=False)
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    with trace(model, optimizer) as run:
        for k in range(30):
            optimizer.zero_grad()
            (1e-3 * 2.0**k * model(minigrad.ones(1, 1))).sum().backward()
            model.weight.array[...] = 1.0 + k
            optimizer.step()
    assert "gradient grew" in health(model, run).rows[0].verdict


@pytest.mark.parametrize("lr, words", [(1.0, "of its size: lower lr"), (1e-6, "hardly moves, ")])
def test_the_size_of_the_updates_is_judged_by_the_weights(lr, words):
    model, run, _ = trained(two_layers(nn.Tanh), lr=lr, steps=3, kind=optim.Adam)
    row = health(model, run).rows[0]
    assert words in row.verdict
    moved = [np.concatenate([run[f"0.{name}"][key].reshape(3, -1) for name in ("weight", "bias")],
                            axis=1) for key in ("delta", "data")]
    moved, weights = (np.linalg.norm(part, axis=1) for part in moved)
    np.testing.assert_allclose(row.ratio, np.median(moved / weights), rtol=1e-12)


def test_a_network_that_explodes_at_too_high_a_rate_is_not_told_to_vanish():
    def layers():
        return [nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)]
    model, run, x = trained(layers, lr=20.0, steps=5)
    for found in (health(model, run), health(model, run, x)):
        lines = [row for row in found.rows if "Linear" in row.layer]
        assert not any("vanishing" in row.verdict or "sigmoid" in row.verdict for row in lines)
        assert all(row.verdict.startswith("exploding, ") and "lower lr" in row.verdict
                   for row in lines)
        for row in lines:
            said = re.search(r"by (\S+) times its size", row.verdict)[1]
            np.testing.assert_allclose(float(said.replace(",", "")), row.ratio, rtol=0.06)
            i = row.layer.split()[0]
            parts = [[np.linalg.norm(run[f"{i}.{name}"][key].reshape(5, -1), axis=1)
                      for name in ("weight", "bias")] for key in ("delta", "data")]
            moved, weights = (np.hypot(*part) for part in parts)
            np.testing.assert_allclose(row.ratio, np.median(moved / weights), rtol=1e-9)


@pytest.mark.parametrize("ratio, words", [
    (0.25, "25 % of"), (1.5, "150 % of"), (19_532.0, "19,500 times"), (3.7e14, "3.7e14 times"),
    (2e6, "2e6 times"), (999_999.0, "1,000,000 times")])
def test_large_shares_are_told_as_multiples(ratio, words):
    assert symptoms.share(ratio) == words


def deep(activation, last=()):
    return [part for _ in range(12) for part in (nn.Linear(8, 8), activation())] + [
        nn.Linear(8, 1), *last]


@pytest.mark.parametrize("activation, last, named", [
    (nn.Sigmoid, (), True), (nn.Tanh, (), False), (nn.Tanh, (nn.Sigmoid(),), False)])
def test_a_sigmoid_is_blamed_only_where_there_is_one(activation, last, named):
    def layers():
        minigrad.manual_seed(0)
        parts = deep(activation, last)
        for part in parts[::2] if not named else ():
            if isinstance(part, nn.Linear):
                part.weight.array[...] *= 0.2
        return parts
    model, run, x = trained(layers, steps=3)
    for found in (health(model, run), health(model, run, x)):
        row = by_label(found)["0 Linear"]
        assert row.verdict.startswith("vanishing")
        assert ("instead of sigmoid" in row.verdict) == named


def test_numbers_that_are_not_finite_are_told_with_their_first_step():
    model, run, _ = trained(two_layers(), lr=30.0)
    wrong = [int(run.steps[np.argmax(~np.isfinite(run["0.weight"]["grad"]).all(axis=(1, 2)))])]
    row = health(model, run).rows[0]
    assert row.severity == 3
    assert row.verdict.startswith(f"gradient of weight not finite from step {wrong[0]} on")


def test_a_frozen_layer_is_a_note_and_no_complaint():
    model = nn.Sequential(*two_layers()())
    model[0].requires_grad_(False)
    model, run, x = trained(model)
    found = health(model, run, x)
    rows = by_label(found)
    assert rows["0 Linear"].verdict == "frozen (requires_grad=False)" and found.worst is None
    assert rows["1 ReLU"].dead is not None, "activations after frozen layers are seen as well"


class Forgetful(nn.Module):
    """Has a layer that its forward does not use."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(8, 1), nn.Linear(8, 1)

    def forward(self, x):
        return F.relu(self.used(x))


def test_an_unused_layer_is_found_with_and_without_a_batch():
    model, run, x = trained(Forgetful())
    assert by_label(health(model, run))["unused Linear"].verdict.startswith("no gradient: call it")
    assert by_label(health(model, run, x))["unused Linear"].verdict.startswith("not used in this")
    assert by_label(health(model))["unused Linear"].severity == 2


def test_a_layer_that_no_optimizer_steps_is_found():
    model = nn.Sequential(*two_layers()())
    x, optimizer = minigrad.randn(64, 8), optim.SGD(model[2].parameters(), lr=0.1)
    with trace(model, optimizer) as run:
        for _ in range(3):
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
    assert health(model, run).rows[0].verdict == "never stepped: give it to the optimizer"


def test_the_first_operation_that_makes_an_infinity_is_found():
    class Log(nn.Module):
        def forward(self, x):
            return minigrad.log(x * 0.0)
    found = health(nn.Sequential(nn.Linear(8, 4), Log()), x=minigrad.ones(20, 8))
    assert found.worst.layer == "1 (log)" and "made by log" in found.worst.verdict
    found = health(nn.Linear(2, 1), x=np.array([[np.nan, 1.0]]))
    assert found.worst.layer == "input"


def test_before_backward_there_is_a_note_and_no_complaint():
    found = health(nn.MLP(2, [4, 1]))
    assert found.worst is None and found.rows[0].verdict.startswith("no gradient yet")


# --- the healthy ----------------------------------------------------------------------------------

def test_a_network_that_learns_the_digits_has_no_complaint():
    table = digits()
    minigrad.manual_seed(0)
    x, y = minigrad.tensor(table.features[:640]), minigrad.tensor(table.targets[:640])
    model = nn.MLP(64, [32, 10])
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    with trace(model, optimizer) as run:
        for i in range(100):
            part = slice(64 * (i % 10), 64 * (i % 10) + 64)
            optimizer.zero_grad()
            F.cross_entropy(model(x[part]), y[part]).backward()
            optimizer.step()
    assert run.loss[-1] < 0.3
    found = health(model, run, x)
    assert found.worst is None and {row.verdict for row in found.rows} == {"fine"}
    assert found.notes == []


def test_an_output_near_its_limits_is_no_complaint():
    model = nn.Sequential(nn.Linear(8, 1), nn.Sigmoid())
    model[0].weight.array[...] = 50.0
    found = health(model, x=minigrad.randn(64, 8))
    assert by_label(found)["1 Sigmoid"].saturated > 0.9 and found.worst is None


def test_gates_and_parts_of_formulas_are_no_activations():
    for layer in (nn.LSTM(4, 3), nn.GRU(4, 3)):
        labels = [row.layer for row in health(layer, x=minigrad.randn(5, 2, 4)).rows]
        assert not any("sigmoid" in label for label in labels)
    for part in (nn.SiLU(), nn.Mish(), nn.GELU(approximate="tanh")):
        rows = health(nn.Sequential(nn.Linear(4, 3), part), x=minigrad.randn(20, 4)).rows
        assert [row.layer for row in rows] == ["0 Linear"]


def test_channels_are_the_units_of_images_and_time_steps_are_one_line():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    model[0].bias.array[0] = -100.0
    rows = health(model, x=minigrad.randn(20, 1, 6, 6)).rows
    assert rows[1].dead == 1 / 3
    rows = health(nn.RNN(4, 3), x=minigrad.randn(30, 2, 4)).rows
    assert [row.layer for row in rows if row.saturated is not None] == ["RNN (tanh)"]


def test_one_activation_used_twice_is_two_lines():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Linear(8, 5), shared, nn.Linear(5, 4), shared)
    labels = [row.layer for row in health(model, x=minigrad.randn(20, 8)).rows]
    assert labels == ["0 Linear", "1 ReLU", "2 Linear", "1 ReLU, use 2"]


# --- a tensor instead of a model ------------------------------------------------------------------

def test_a_loss_is_examined_by_its_record():
    model, x = nn.MLP(8, [4, 1]), minigrad.randn(20, 8)
    loss = F.mse_loss(model(x), minigrad.zeros(20, 1))
    loss.backward()
    assert [row.layer for row in health(loss).rows] == ["0 Linear", "1 ReLU", "2 Linear"]


def test_parameters_without_a_module_have_lines_of_their_own():
    w = minigrad.randn(8, 4, requires_grad=True)
    w.name = "W1"
    (minigrad.randn(20, 8) @ w).relu().sum().backward()
    y = (minigrad.randn(20, 8) @ w).relu()
    row = health(y).rows[0]
    assert row.layer == "W1"
    np.testing.assert_allclose(row.gradient, np.linalg.norm(w.grad.numpy()))
    assert health(y).rows[1].layer == "(relu)"


def test_changes_in_place_are_seen_as_they_were():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x):
            return self.layer(x).relu_()
    model = Net()
    model.layer.bias.array[...] = -100.0
    rows = by_label(health(model, x=minigrad.randn(20, 8)))
    assert rows["Net (relu)"].dead == 1.0


# --- nothing is disturbed -------------------------------------------------------------------------

def test_health_leaves_no_trace():
    minigrad.manual_seed(5)
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
    x = minigrad.randn(20, 8)
    earlier = model(x).sum()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    minigrad.manual_seed(6)
    expected = minigrad.rand(3).numpy()
    minigrad.manual_seed(6)
    health(model, x=x)
    np.testing.assert_array_equal(minigrad.rand(3).numpy(), expected)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert model.training and all(p.grad is None for p in model.parameters())
    assert x.grad is None and not x.requires_grad
    earlier.backward()  # nothing that it needs is taken for changed


def test_an_evaluated_batch_norm_can_still_go_backward():
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4)).eval()
    x = minigrad.randn(20, 8)
    loss = model(x).sum()
    health(model, x=x)
    loss.backward()
    assert not model.training


def test_health_works_under_no_grad_and_with_float32():
    model = nn.MLP(8, [4, 1]).float()
    with minigrad.no_grad():
        found = health(model, x=minigrad.randn(20, 8).float())
    assert len(found.rows) == 3


# --- what is shown --------------------------------------------------------------------------------

def test_the_text_fits_80_columns_and_gives_advice_once():
    def layers():
        return [part for _ in range(20) for part in (nn.Linear(8, 8), nn.Sigmoid())] + [
            nn.Linear(8, 1)]
    text = str(health(*trained(layers, steps=3)))
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("skip") == 1 and "(as above)" in text


def test_what_was_not_looked_at_is_said_and_how_to():
    found = health(nn.MLP(2, [4, 1]))
    assert "health(model, run, x)" in found.notes[0] and "minigrad.trace" in found.notes[1]
    assert "off" not in str(found).splitlines()[2]


def test_the_notebook_form_escapes_names():
    model = nn.Sequential()
    model.add_module("<script>", nn.Linear(2, 1))
    html = health(model)._repr_mimebundle_()["text/html"]
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_a_module_without_parameters_has_nothing_to_complain_about():
    assert health(nn.ReLU()).rows == []
    assert "no complaint" in str(health(nn.ReLU()))
    assert health(nn.ReLU(), x=minigrad.randn(20, 3)).rows[0].layer == "ReLU"


# --- wrong use ------------------------------------------------------------------------------------

def test_wrong_arguments_are_refused_with_words():
    model, x = nn.Linear(8, 1), minigrad.randn(20, 8)
    with pytest.raises(TypeError, match="Module or a Tensor with a record, got list"):
        health([model])
    with pytest.raises(TypeError, match="passed as x="):
        health(model, x)
    with pytest.raises(ValueError, match="no record to examine"):
        health(x)
    with pytest.raises(TypeError, match="brings its own record"):
        health(model(x).sum(), x=x)
    _, run, _ = trained(two_layers(), steps=2)
    with pytest.raises(ValueError, match="recorded other parameters"):
        health(nn.Sequential(nn.Identity(), nn.Linear(3, 1)), run)


def test_a_run_without_steps_counts_as_no_run():
    model = nn.Linear(2, 1)
    found = health(model, trace(model, optim.SGD(model.parameters(), lr=0.1)))
    assert len(found.notes) == 2


def test_health_warns_of_nothing():
    model, run, x = trained(two_layers(), lr=30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        str(health(model, run, x))
