"""Optimizers in the styles of many courses, right and wrong, come out as what they are."""

import functools

import numpy as np
import pytest
from coursework_style_classes import STYLES
from coursework_styles import student

from minigrad.coursework.optimizers.adapters import kind_of
from minigrad.coursework.optimizers.diagnosis import diagnose

RIGHT = [name for name in STYLES if name != "gradient kept as state"]
WRONG = [(name, id) for name, row in STYLES.items() for id in row[4]]


@pytest.mark.parametrize("name", RIGHT)
def test_right_ones_of_every_style_are_right(name):
    rule, convention = STYLES[name][:2]
    found = diagnose(student(name), rule=rule, convention=convention, most=1)
    assert found.verdict in ("correct", "convention"), found


@pytest.mark.parametrize("name, id", WRONG)
def test_wrong_ones_of_every_style_are_named(name, id):
    rule, convention = STYLES[name][:2]
    found = diagnose(student(name, id), rule=rule, convention=convention, most=2)
    assert (id,) in (found.causes, *found.ties), found


class Adam:
    """A class to derive odd ones from."""

    def __init__(self, params, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self._lr, self.betas, self.eps = list(params), lr, (beta1, beta2), eps
        self.t, self.state = 0, {}

    @property
    def lr(self):
        return self._lr

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        for i, p in enumerate(self.params):
            m, v = self.state.get(i, (0, 0))
            m, v = b1 * m + (1 - b1) * p.grad, b2 * v + (1 - b2) * p.grad**2
            self.state[i] = m, v
            step = m / (1 - b1**self.t) / (np.sqrt(v / (1 - b2**self.t)) + self.eps)
            self.move(p, self.lr * step)

    def move(self, p, step):
        p.data = p.data - step


def moving(move):
    return type("Odd", (Adam,), {"move": lambda self, p, step: move(p, step)})


def test_a_warm_start_is_made_where_states_can_be_set():
    assert not any("start from nothing" in note for note in diagnose(Adam).notes)


@pytest.mark.parametrize("factory", [
    functools.partial(Adam, lr=0.01), lambda params, **more: Adam(params, **more),
    lambda params: Adam(params, 0.02, 0.8, 0.9), lambda params, lr: Adam(params, lr),
    moving(lambda p, step: p.data.__isub__(step)),
    moving(lambda p, step: setattr(p, "data", (p.data - step).astype(np.float32)))])
def test_factories_and_ways_to_move_are_right(factory):
    assert diagnose(factory).verdict == "correct"


def zeroes(p, step):
    p.data -= step
    p.grad = np.zeros_like(p.grad)


def halves(p, step):
    p.data -= step
    p.grad *= 0.5


def test_gradients_may_be_zeroed_but_not_changed():
    assert diagnose(moving(zeroes)).verdict == "correct"
    assert diagnose(moving(halves)).causes == ("gradient-mutated",)


def test_a_state_that_is_the_gradient_itself_is_noticed():
    class SGD:
        def __init__(self, params, lr=0.1, momentum=0.9):
            self.params, self.lr, self.momentum, self.u = params, lr, momentum, {}

        def step(self):
            for p in self.params:
                if p not in self.u:
                    self.u[p] = p.grad
                else:
                    self.u[p] *= self.momentum
                    self.u[p] += p.grad
                p.data = p.data - self.lr * self.u[p]
    assert diagnose(SGD, rule="momentum").causes == ("gradient-mutated",)


def test_what_cannot_be_run_is_told_with_its_cure():
    class Fails(Adam):
        def step(self):
            super().step()
            if self.t == 2:
                raise RuntimeError("boom")
    with pytest.raises(ValueError, match="RuntimeError: boom, at step 2") as caught:
        diagnose(Fails)
    assert "called as student(a list) of arrays" in str(caught.value).replace("\n ", "")
    assert "kind=" in str(caught.value) and "layout=" in str(caught.value)
    with pytest.raises(ValueError, match="another shape"):
        diagnose(moving(lambda p, step: setattr(p, "data", np.zeros(5))))
    with pytest.raises(ValueError, match="kind is 'x'; choose one of cs231n"):
        diagnose(Adam, kind="x")
    with pytest.raises(ValueError, match="layout is 'x'; choose one of arrays"):
        diagnose(Adam, layout="x")
    with pytest.raises(TypeError, match="an adapter needs the functions"):
        diagnose(Adam, layout=3)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("result", [
    lambda w, g, lr: np.asmatrix(w - lr * g), lambda w, g, lr: (w - lr * g).tolist(),
    lambda w, g, lr: (w - lr * g,)])
def test_results_may_be_lists_and_matrices(result):
    assert diagnose(result, rule="sgd").verdict == "correct"


def test_names_may_be_given():
    assert diagnose(lambda w, g, q: w - q * g, rule="sgd", names={"lr": "q"}).verdict == "correct"


def test_kinds_are_told_by_signatures():
    class Called:
        def __call__(self, w, dw, config):
            return w - config["learning_rate"] * dw, config
    assert kind_of(Called()) == "cs231n" and kind_of(Adam) == "class"
    assert kind_of(lambda w, g, lr: 0) == "rule"
    assert diagnose(Called(), rule="sgd").verdict == "correct"
    assert diagnose(lambda w, dw, memo=None: (w - memo["learning_rate"] * dw, memo),
                    rule="sgd").verdict == "correct"


def test_an_adapter_makes_parameters_of_another_kind():
    class Box:
        def __init__(self, content):
            self.data, self.grad = content, None

    class SGD:
        def __init__(self, params, lr):
            self.params, self.lr = params, lr

        def step(self):
            for p in self.params:
                assert isinstance(p, Box) and p.grad[0] == "gradient"
                p.data = p.data - self.lr * p.grad[1]

    class Layout:
        parameter = Box

        @staticmethod
        def gradient(array):
            return "gradient", array
    assert diagnose(SGD, rule="sgd", layout=Layout).verdict == "correct"


# --- forms seen in packages ----------------------------------------------------------------------

class Cached:
    """No parameters at first; update() finds the states by a name, and step() only counts."""

    def __init__(self, lr=0.01, decay=0.9, eps=1e-7, clip_norm=None, **kwargs):
        self.options, self.cur_step, self.cache = (lr, decay, eps), 0, {}

    def step(self):
        self.cur_step += 1

    def update(self, param, param_grad, param_name, cur_loss=None):
        assert self.cur_step > 0
        lr, decay, eps = self.options
        old = self.cache.get(param_name, np.zeros_like(param_grad))
        self.cache[param_name] = decay * old + (1 - decay) * param_grad**2
        return param - lr * param_grad / (np.sqrt(self.cache[param_name]) + eps)


def test_update_is_called_where_step_only_counts():
    found = diagnose(Cached, rule="rmsprop")
    assert found.verdict == "correct" and not found.states_differ


class Subtracted:
    """lr inside a velocity that is subtracted: a state with the other sign. Decay as it comes."""

    def __init__(self, params, lr=0.1, momentum=0.9, wd=0.0):
        self.params, self.lr, self.momentum, self.wd = list(params), lr, momentum, wd
        self.velocities = [np.zeros_like(p.data) for p in self.params]

    def step(self):
        for k, p in enumerate(self.params):
            self.velocities[k] = self.momentum * self.velocities[k] + self.lr * p.grad
            p.data = p.data - self.velocities[k] - self.decay(p.data)

    def decay(self, w):
        return self.lr * self.wd * w


def test_a_velocity_may_have_the_other_sign():
    found = diagnose(type("S", (Subtracted,), {"decay": lambda self, w: 0}), rule="momentum",
                     convention="cs231n")
    assert found.causes == ("decay-ignored",) and found.states_differ
    assert any("left out" in note for note in found.notes)


def test_two_mistakes_by_another_convention_are_named():
    def step(self):
        for k, p in enumerate(self.params):
            self.velocities[k] = self.momentum * self.velocities[k] - self.lr * p.grad
            p.data = p.data - self.wd * p.data + self.velocities[k]
    found = diagnose(type("S", (Subtracted,), {"step": step}), "momentum")
    assert set(found.causes) == {"momentum/lr-inside", "decay-decoupled", "decay-not-times-lr"}


@pytest.mark.parametrize("top, causes", [("m", ()), ("g", ("numerator-is-gradient",))])
def test_constants_of_single_precision_are_forgiven_and_said(top, causes):
    def student(w, g, m, v, t, *, lr, beta1, beta2, eps):
        b1, b2 = np.float32(beta1), np.float32(beta2)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        top_ = m / (1 - b1**t) if top == "m" else g
        return w - np.float32(lr) * top_ / (np.sqrt(v / (1 - b2**t)) + np.float32(eps)), m, v

    found = diagnose(student)
    assert found.causes == causes and 0 < found.residual < 1e-5
    assert any("six digits" in note for note in found.notes)


def test_more_than_rounding_is_not_forgiven():
    assert diagnose(lambda w, g, lr: w - 1.0001 * lr * g, rule="sgd").verdict == "unknown"


def test_the_numbers_of_another_rule_are_said_to_be_so():
    class RMSprop(Subtracted):
        def __init__(self, params, lr=0.1, alpha=0.9, eps=1e-8):
            super().__init__(params, lr, alpha)
            self.eps = eps

        def step(self):
            for k, p in enumerate(self.params):
                v = self.velocities[k]
                v[...] = self.momentum * v + (1 - self.momentum) * p.grad**2
                p.data = p.data - self.lr * p.grad / (np.sqrt(v) + self.eps)
    found = diagnose(RMSprop, rule="sgd")
    assert found.verdict == "unknown" and found.causes == ()
    assert any("the numbers of rmsprop/torch" in note for note in found.notes)
    # one that takes momentum is not called gradient descent because it can do without
    found = diagnose(type("S", (Subtracted,), {"step": lambda self: [
        p.data.__isub__(np.tanh(self.momentum) * p.grad) for p in self.params]}), rule="momentum")
    assert found.verdict == "unknown" and not any("numbers of" in n for n in found.notes)


# fmt: off
COPIED = {  # what stands in the line of the biases
    "parameters['W' + l] - lr * grads['db' + l]": "parameters-mixed-up",
    "parameters['b' + l] - lr * grads['dW' + l]": "parameters-mixed-up",
    "parameters['b' + l] - lr * (grads['dW' + l] + wd * parameters['b' + l])":
        "parameters-mixed-up",
    "parameters['b' + l] - lr * grads['db' + l]": "decay-skips-parameters",
}
# fmt: on


@pytest.mark.parametrize("line", COPIED)
def test_lines_copied_for_biases_are_told_from_those_of_weights(line):
    decay = ", wd" * ("wd" in line or "skips" in COPIED[line])
    more = " + wd * parameters['W' + l]" * bool(decay)
    space = {}
    exec(f"""
def update(parameters, grads, lr{decay}):
    for l in "12":
        parameters["W" + l] = parameters["W" + l] - lr * (grads["dW" + l]{more})
        parameters["b" + l] = {line}
    return parameters
""", space)
    found = diagnose(space["update"], rule="sgd")
    assert found.causes == (COPIED[line],) and found.first_difference.parameter == 1


# --- optimizers that change nothing: they return moves, or states ---------------------------------

def pair_of_functions(lr, momentum=0.9):
    def init(params):
        return [np.zeros_like(p) for p in params]

    def update(grads, state, params=None):
        state = [momentum * s + g for s, g in zip(state, grads)]
        return [-lr * s for s in state], state
    return type("Pair", (), {"init": staticmethod(init), "update": staticmethod(update)})


def three_functions(step_size, momentum=0.9, faulty=False):
    def update(i, g, state):
        w, v = state
        v = momentum * v + (1 - momentum * faulty) * g
        return w - step_size * v, v
    return lambda w: (w, np.zeros_like(w)), update, lambda state: state[0]


def test_functions_without_side_effects_are_run():
    assert diagnose(pair_of_functions, "momentum").verdict == "correct"
    assert diagnose(three_functions, "momentum").verdict == "correct"
    wrong = diagnose(lambda lr, momentum: three_functions(lr, momentum, True), "momentum")
    assert wrong.causes == ("momentum/ema",)


@pytest.mark.parametrize("name, rule, causes", [
    ("sgd", "sgd", ()), ("sgd", "momentum", ()), ("sgd", "nesterov", ()), ("adam", "adam", ()),
    ("adamw", "adamw", ()), ("amsgrad", "amsgrad", ("amsgrad/corrected",)),
    ("rmsprop", "rmsprop", ("rmsprop/eps-inside",)),
    ("adagrad", "adagrad", ("adagrad/starts-at-0.1",))])
def test_optax_is_taken_as_it_is(name, rule, causes):
    optax = pytest.importorskip("optax")  # in single precision or double, as jax is set
    assert diagnose(getattr(optax, name), rule).causes == causes


def test_a_dictionary_of_arrays_may_be_given_to_the_maker():
    class Momentum:
        def __init__(self, params, lr=0.1, momentum=0.9):
            self.params, self.lr, self.momentum = params, lr, momentum
            self.v = {name: np.zeros_like(w) for name, w in params.items()}

        def step(self, grads):
            for name, g in grads.items():
                self.v[name] = self.momentum * self.v[name] - self.lr * g
                self.params[name] = self.params[name] + self.v[name]
    assert diagnose(Momentum, "momentum", "cs231n").verdict == "correct"
