"""The training loop, its measures and the saved model, used as a library."""

import numpy as np
import pytest

import minigrad
from minigrad import data, threads, training
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
    assert training.fit(model.net, criterion, batches, optimizer, epochs=2) == (10, True)
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
        training.fit(model.net, minigrad.nn.CrossEntropyLoss(), batches, optimizer, epochs=1)


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
