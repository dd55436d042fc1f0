"""Anomaly detection: the first NaN or infinity is named where it is born."""

import threading

import numpy as np
import pytest

import minigrad
from minigrad import detect_anomaly, engine, nn, set_detect_anomaly, tensor


def anomaly(function):
    """The message of the anomaly in function."""
    with pytest.raises(RuntimeError, match="^anomaly: ") as error, detect_anomaly():
        function()
    return str(error.value)


def leaf(*values, name=None):
    return tensor(values, requires_grad=True, name=name)


# --- forward -------------------------------------------------------------------------------------

@pytest.mark.parametrize("function, words", [
    (lambda x: x.log(), "log made nan (in 2 of 3 numbers) out of finite numbers"),
    (lambda x: 1 / x, "made infinity (in 1 of 3 numbers) out of finite numbers"),
    (lambda x: x / 0, "div made nan (in 3 of 3 numbers)"),
    (lambda x: (1000 * (x + 1)).exp(), "exp made infinity (in 2 of 3 numbers)"),
    (lambda x: minigrad.sqrt(x - 1), "sqrt made nan (in 2 of 3 numbers)"),
    (lambda x: np.log(x), "log made nan"),
    (lambda x: x.detach().log(), "log made nan"),
    (lambda x: x.clone().div_(0), "div made nan"),
])
def test_forward_births(function, words):
    text = anomaly(lambda: function(leaf(-1.0, 0.0, 1.0, name="x")))
    assert words in text
    assert __file__ in text and text.count("\n") == 1


def test_the_message_names_tensor_and_line():
    def oops():
        x = leaf(1.0, 0.0, name="x")
        return x.log()  # this very line

    text = anomaly(oops)
    assert "tensor 'x' of shape (2,)" in text
    assert text.endswith("return x.log()  # this very line")
    assert f"line {oops.__code__.co_firstlineno + 2}" in text


def test_a_line_inside_a_module_is_the_users_own():
    class Net(nn.Module):
        def forward(self, x):
            return nn.Linear(2, 1)(x).abs().neg().log()

    text = anomaly(lambda: Net()(tensor([[1.0, 2.0]])))
    assert "in forward" not in text and "return nn.Linear" in text


def test_nan_in_the_data_is_said_to_have_come_in():
    text = anomaly(lambda: tensor([1.0, np.nan], name="data") * 2)
    assert "mul made nan" in text and "nan came in with tensor 'data' of shape (2,)" in text


def test_nan_out_of_infinities_is_born():
    text = anomaly(lambda: tensor([np.inf]) - tensor([np.inf]))
    assert "sub made nan" in text and "infinity came in" in text


def test_a_mask_of_minus_infinity_is_meant():
    scores, mask = leaf(1.0, 2.0), tensor([False, True])
    with detect_anomaly():
        weights = scores.masked_fill(mask, float("-inf")).softmax(0)
        weights[0].backward()
    assert weights.tolist() == [1, 0] and scores.grad.tolist() == [0, 0]


def test_questions_about_nan_are_no_anomaly():
    data = tensor([1.0, np.nan])
    with detect_anomaly():
        assert minigrad.isnan(data).tolist() == [False, True]
        assert minigrad.where(minigrad.isnan(data), 0.0, data).tolist() == [1, 0]


def test_own_functions_are_watched():
    class Bad(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return minigrad.from_numpy(x.detach().numpy() * np.inf)

        @staticmethod
        def backward(ctx, g):
            return g * np.nan

    assert "Bad made infinity" in anomaly(lambda: Bad.apply(leaf(1.0)))


# --- backward ------------------------------------------------------------------------------------

def test_the_gradient_of_sqrt_at_zero_with_the_line_of_the_forward():
    def wrong():
        x = leaf(4.0, 0.0, name="x")
        y = x.sqrt()  # born to be infinite
        y.sum().backward()

    text = anomaly(wrong)
    assert ("the backward of sqrt made infinity (in 1 of 2 numbers) in the gradient of its input "
            "0, the tensor 'x' of shape (2,)") in text
    assert text.endswith("y = x.sqrt()  # born to be infinite")


def test_zero_times_infinity():
    x = leaf(0.0)
    with pytest.raises(RuntimeError, match="backward of sqrt made nan"), detect_anomaly():
        (0 * x.sqrt()).sum().backward()


def test_autograd_grad_is_watched():
    x = leaf(0.0)
    assert "backward of sqrt" in anomaly(lambda: minigrad.autograd.grad(x.sqrt().sum(), x))


def test_second_order_names_the_rule_not_its_inside():
    def second():
        x = leaf(0.0)
        minigrad.autograd.grad(x.sqrt().sum(), x, create_graph=True)

    assert "the backward of sqrt made" in anomaly(second)


def test_a_sum_of_gradients_that_overflows():
    def overflow():
        y = leaf(1.0, name="y")
        a, b = y * 1.2e308, y * 1.2e308
        minigrad.autograd.backward([a, b], [minigrad.ones(1), minigrad.ones(1)])

    text = anomaly(overflow)
    assert "the gradients of the tensor 'y' of shape (1,) add up to infinity" in text


def test_an_infinite_start_is_said_to_have_arrived():
    text = anomaly(lambda: (leaf(1.0) * 0).backward(tensor([np.inf])))
    assert "made nan" in text and "infinity arrived at its result" in text


def test_nothing_found_changes_nothing():
    def step():
        minigrad.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
        loss = nn.functional.cross_entropy(net(minigrad.randn(5, 3)), tensor([0, 1, 0, 1, 1]))
        loss.backward()
        return loss.item(), [p.grad.tolist() for p in net.parameters()]

    plain = step()
    with detect_anomaly():
        watched = step()
    assert plain == watched


# --- switches ------------------------------------------------------------------------------------

def test_off_again_after_the_block_also_after_an_error():
    anomaly(lambda: tensor([-1.0]).log())
    assert engine.observer is None and not minigrad.is_anomaly_enabled()
    assert np.isnan(tensor([-1.0]).log().item())


def test_set_detect_anomaly_at_once_and_as_a_block():
    set_detect_anomaly(True)
    try:
        assert minigrad.is_anomaly_enabled() and minigrad.is_anomaly_check_nan_enabled()
        with set_detect_anomaly(False):
            assert not minigrad.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="anomaly"):
            tensor([-1.0]).log()
    finally:
        set_detect_anomaly(False)
    assert not minigrad.is_anomaly_enabled()


def test_blocks_nest_and_decorate():
    with detect_anomaly():
        with detect_anomaly(check_nan=False):
            assert np.isnan(tensor([-1.0]).log().item())
            assert minigrad.is_anomaly_enabled() and not minigrad.is_anomaly_check_nan_enabled()
        with pytest.raises(RuntimeError, match="anomaly"):
            tensor([-1.0]).log()

    @detect_anomaly()
    def watched():
        return tensor([-1.0]).log()

    with pytest.raises(RuntimeError, match="anomaly"):
        watched()
    assert minigrad.autograd.detect_anomaly is detect_anomaly


def test_it_watches_all_threads():
    found = []

    def work():
        try:
            tensor([-1.0]).log()
        except RuntimeError as error:
            found.append(error)

    with detect_anomaly():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(found) == 1


def test_remembered_lines_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(minigrad.autograd.anomaly, "REMEMBERED", 10)
    with detect_anomaly():
        x = leaf(1.0)
        for _ in range(30):
            x = x * 1.01
        assert len(engine.observer.lines) == 10
        x.sum().backward()


def test_pytorchs_own_example_is_found_too():
    torch = pytest.importorskip("torch")
    for m in (minigrad, torch):
        x = m.tensor([0.0], requires_grad=True)
        with pytest.raises(RuntimeError), m.autograd.set_detect_anomaly(True):
            ((x * 0) / (x * 0)).sum().backward()
