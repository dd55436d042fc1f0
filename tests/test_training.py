"""The training loop, compiled and eager, its measures and the saved model, used as a library."""

import json
import re

import numpy as np
import pytest

import minigrad
from minigrad import cli, data, threads, training
from minigrad.predictor import Predictor


def small():
    rows = data.load("iris")
    schema = data.Schema.fit(rows)
    minigrad.manual_seed(0)
    model = Predictor.new(schema, (8,))
    x, y = model.tensors(*schema.encode(rows))
    return rows, model, data.DataLoader(data.TensorDataset(x, y), 30)


def test_fit_is_the_loop_every_lesson_writes():
    _, model, batches = small()
    optimizer = minigrad.optim.SGD(model.net.parameters(), lr=0.1)
    criterion = minigrad.nn.CrossEntropyLoss()
    step = training.Step(model.net, criterion, optimizer, eager=True)
    assert training.fit(step, batches, epochs=2) == (10, True)
    by_hand = small()[1].net
    optimizer = minigrad.optim.SGD(by_hand.parameters(), lr=0.1)
    for _ in range(2):
        for x, y in batches:
            optimizer.zero_grad()
            minigrad.nn.functional.cross_entropy(by_hand(x), y).backward()
            optimizer.step()
    for mine, theirs in zip(by_hand.parameters(), model.net.parameters()):
        assert (mine.array == theirs.array).all()


def test_weights_that_are_no_longer_finite_are_divergence():
    _, model, batches = small()
    optimizer = minigrad.optim.SGD(model.net.parameters(), lr=1e38)
    with np.errstate(all="ignore"), pytest.raises(training.Diverged, match="diverged"):
        training.fit(training.Step(model.net, minigrad.nn.CrossEntropyLoss(), optimizer), batches)


@pytest.mark.parametrize("eager", [True, False])
def test_a_loss_that_is_not_finite_is_divergence_at_its_step(eager):
    _, model, batches = small()
    optimizer = minigrad.optim.SGD(model.net.parameters(), lr=1e30)
    step = training.Step(model.net, minigrad.nn.MSELoss(), optimizer, eager)
    pairs = [(x, minigrad.zeros(len(x), 3, dtype=minigrad.float32)) for x, _ in batches]
    with np.errstate(all="ignore"), pytest.raises(training.Diverged) as raised:
        training.fit(step, pairs)
    assert raised.value.step == 2 and "the loss became" in str(raised.value)


def trained(name, eager, **settings):
    """The Step and the weights after the training of `python -m minigrad train NAME`."""
    rows = data.load(name)
    recipe = training.recipe_for(rows, **settings)
    held_in, _ = rows.split(0.2, seed=recipe.seed)
    schema = data.Schema.fit(held_in)
    minigrad.manual_seed(recipe.seed)
    model = Predictor.new(schema, recipe.hidden, recipe.activation, recipe.dtype)
    optimizer = training.optimizer_for(recipe, model.net.named_parameters())
    x, y = model.tensors(*schema.encode(held_in))
    batches = data.DataLoader(data.TensorDataset(x, y), recipe.batch_size, shuffle=True)
    steps = recipe.epochs * len(batches)
    scheduler = training.SCHEDULERS[recipe.scheduler](optimizer, steps)
    step = training.Step(model.net, training.criterion_for(recipe, schema.task), optimizer, eager)
    assert training.fit(step, batches, scheduler, recipe.epochs) == (steps, True)
    return step, [p.numpy() for p in model.net.parameters()]


def same_weights(settings, rtol, name="iris"):
    eager, by_the_book = trained(name, True, **settings)
    step, weights = trained(name, False, **settings)
    assert (eager.kind, step.kind, step.why) == ("eager", "compiled", None)
    largest = max(abs(w).max() for w in by_the_book)
    return all(np.allclose(a, b, rtol=rtol, atol=rtol * largest)
               for a, b in zip(weights, by_the_book))


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-4), ("float64", 1e-9)])
@pytest.mark.parametrize("name", training.RECIPES)
def test_the_compiled_step_learns_every_data_set_with_the_numbers_of_the_eager_one(
        name, dtype, rtol):
    assert same_weights({"dtype": dtype, "epochs": 20}, rtol, name)


@pytest.mark.parametrize("optimizer", training.OPTIMIZERS)
def test_every_optimizer_is_compiled(optimizer):
    assert same_weights({"optimizer": optimizer, "dtype": "float64", "epochs": 5}, 1e-9)


@pytest.mark.parametrize("scheduler", training.SCHEDULERS)
def test_every_scheduler_goes_with_the_compiled_step(scheduler):
    assert same_weights({"scheduler": scheduler, "dtype": "float64", "epochs": 5}, 1e-9)


@pytest.mark.parametrize("activation", minigrad.nn.containers.ACTIVATIONS)
def test_every_activation_is_compiled(activation):
    assert same_weights({"activation": activation, "dtype": "float64", "epochs": 5}, 1e-9)


@pytest.mark.parametrize("settings", [{"hidden": ()}, {"label_smoothing": 0.0}, {"batch_size": 1},
                                      {"batch_size": 1000}, {"weight_decay": 0.0}])
def test_other_settings_are_compiled(settings):
    assert same_weights({"dtype": "float64", "epochs": 5} | settings, 1e-9)


class Watched(minigrad.nn.CrossEntropyLoss):
    """A loss whose way depends on numbers, or on how often it was called: no straight lines."""

    def __init__(self, how):
        super().__init__()
        self.how, self.calls = how, 0

    def forward(self, scores, y):
        loss = super().forward(scores, y)
        self.calls += 1
        if self.how == "numbers":
            return loss * 2 if scores.array.sum() > 0 else loss
        return loss * (1.0 if self.calls < 5 else 3.0)  # 4 to make a program


@pytest.mark.parametrize("how, why", [("numbers", "takes another way"), ("calls", "differs from")])
def test_what_cannot_be_compiled_is_done_eagerly_and_no_step_twice(how, why):
    """A refusal at the first call changes nothing; one at the second comes with its step done."""
    _, model, batches = small()
    criterion = Watched(how)
    step = training.Step(model.net, criterion, minigrad.optim.Adam(model.net.parameters()))
    x, y = next(iter(batches))
    losses = [step(x, y).item() for _ in range(5)]
    assert step.kind == "eager" and why in step.why

    _, twin, _ = small()
    again = Watched(how)
    again.calls = criterion.calls - 5 if how == "calls" else 0
    optimizer = minigrad.optim.Adam(twin.net.parameters())
    expected = []
    for k in range(5):
        loss = minigrad.nn.functional.cross_entropy(twin.net(x), y)
        if how == "calls":
            loss = loss * (1.0 if k == 0 else 3.0)
        elif twin.net(x).array.sum() > 0:
            loss = loss * 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses == pytest.approx(expected, rel=1e-5)
    assert all(np.allclose(p.array, q.array, rtol=1e-5) for p, q in
               zip(model.net.parameters(), twin.net.parameters()))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs a command in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return lambda *argv: (cli.main(list(argv)), *capsys.readouterr())


def test_training_says_which_step_it_took_and_both_learn_the_same(run):
    words = ["train", "moons", "--epochs", "5", "--json"]
    told = {}
    for kind, more in (("compiled", []), ("eager", ["--eager"])):
        code, out, err = run(*words, *more, "-o", kind)
        assert code == 0 and re.search(rf"^{kind} step: 50 made in [\d.]+ s$", err, re.MULTILINE)
        told[kind] = json.loads(out)
        assert told[kind]["step"] == kind
    assert told["compiled"]["test"] == told["eager"]["test"]
    assert told["compiled"]["settings"] == told["eager"]["settings"]
    a, b = (Predictor.load(f"{kind}/model.npz").net.parameters() for kind in told)
    assert all(np.allclose(p.array, q.array, rtol=1e-4, atol=1e-6) for p, q in zip(a, b))
    assert run("train", "xor", "--epochs", "2", "--quiet")[2] == ""


def test_a_step_that_cannot_be_compiled_is_eager_and_the_reason_is_told(run, monkeypatch):
    class Branching(minigrad.nn.CrossEntropyLoss):
        def forward(self, scores, y):
            loss = super().forward(scores, y)
            return loss * 2 if scores.array.sum() > 0 else loss
    monkeypatch.setattr(training, "criterion_for", lambda recipe, task: Branching())
    code, out, err = run("train", "iris", "--epochs", "2", "--json")
    assert code == 0 and json.loads(out)["step"] == "eager"
    note, = [line for line in err.splitlines() if line.startswith("note:")]
    assert "the step was not compiled: loss_fn takes another way" in note
    assert re.search(r"^eager step: 16 made", err, re.MULTILINE)
    assert run("train", "iris", "--epochs", "2", "--quiet")[2] == ""


def test_the_norm_of_all_gradients():
    model = minigrad.nn.Linear(2, 1)
    assert training.gradient_norm(model) is None
    (model.weight.sum() * 2 + model.bias.sum()).backward()
    assert training.gradient_norm(model) == pytest.approx(3.0)


def test_scores_of_a_regression_whose_test_rows_are_equal():
    schema = data.Schema([data.Column("x")], data.Column("y", mean=5.0, std=2.0))
    outputs, y, train_y = np.array([[1.0], [1.0]]), np.array([0.0, 0.0]), np.array([1.0, -1.0])
    measured = training.scores(schema, outputs, y, train_y)
    assert measured == {"rows": 2, "r2": None, "rmse": 2.0, "baseline_rmse": 0.0}


def test_a_saved_model_predicts_the_same(tmp_path):
    rows, model, _ = small()
    x, _ = model.schema.encode(rows)
    model.save(tmp_path / "model.npz")
    names, probabilities = model.answers(x)
    again, same = Predictor.load(tmp_path / "model.npz").answers(x)
    assert names == again and (probabilities == same).all()
    scores = model.outputs(x)
    softmax = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert np.allclose(probabilities, softmax.max(1))


def test_smoothed_labels_have_a_lowest_loss():
    assert training.lowest_loss(10, 0.1) == pytest.approx(0.5003, abs=1e-4)
    assert training.lowest_loss(3, 0.0) == 0


def test_one_thread_and_back():
    before = threads.threads()
    with threads.one_thread():
        assert threads.threads() in (1, None)
    assert threads.threads() == before


def test_one_thread_without_openblas(monkeypatch):
    monkeypatch.setattr(threads, "NAMES", ("no_such_function_{}",))
    assert threads.threads() is None
    with threads.one_thread():
        assert (np.eye(2) @ np.eye(2) == np.eye(2)).all()
