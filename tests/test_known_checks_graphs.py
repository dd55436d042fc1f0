"""Public autograd graphs: right gradients by complex steps, wrong ones of wrong engines named; and
the command."""

import json
import math

import numpy as np
import pytest

from minigrad import cli
from minigrad.coursework.numbers.known_checks import check, checks, diagnose_number, printed
from minigrad.terminal import Refusal

GRAPHS = [name for name in checks() if check(name)["kind"] == "autograd"]
H = 1e-60


class Z:
    """A complex number, or an array of them, that knows the methods of a tensor: f(x + ih) has the
    derivative in its imaginary part, to the last digit."""

    def __init__(self, z):
        self.z = np.asarray(z, dtype=complex)

    def relu(self):
        return Z(np.where(self.z.real > 0, self.z, 0))

    def tanh(self):
        return Z(np.tanh(self.z))

    def exp(self):
        return Z(np.exp(self.z))

    def log(self):
        return Z(np.log(self.z))

    def sin(self):
        return Z(np.sin(self.z))

    def sigmoid(self):
        return Z(1 / (1 + np.exp(-self.z)))

    def sum(self):
        return Z(self.z.sum())

    def mean(self):
        return Z(self.z.mean())

    def __pow__(self, n):
        return Z(self.z ** n)

    def __neg__(self):
        return Z(-self.z)


def operator(name):
    def method(self, other):
        other = other.z if isinstance(other, Z) else other
        return Z(getattr(self.z, name)(other))
    return method


for op in ("add", "sub", "mul", "truediv"):
    for side in ("", "r"):
        setattr(Z, f"__{side}{op}__", operator(f"__{side}{op}__"))


def values(facts, name=None, index=()):
    """The values of a graph, `name` (a leaf, or the result of one line) shifted by ih."""
    def shifted(z):
        z = z.copy()
        z[index] += 1j * H
        return z

    names = {leaf: Z(x) for leaf, x in facts["leaves"].items()}
    if name in names:
        names[name] = Z(shifted(names[name].z))
    for line in facts["lines"]:
        exec(line, {}, names)
        if line.split()[0] == name:
            names[name] = Z(shifted(names[name].z))
    return names


def derived(facts, quantity):
    """A value or a gradient, by complex steps."""
    name, _, gradient = quantity.partition(".")
    value = values(facts)[name].z.real
    if not gradient:
        return value
    result = facts["lines"][-1].split()[0]
    return np.array([values(facts, name, index)[result].z.imag / H
                     for index in np.ndindex(value.shape)]).reshape(value.shape)


@pytest.mark.parametrize("name", GRAPHS)
def test_published_digits_are_derived_twice(name):
    facts = check(name)
    for quantity, texts in facts["published"].items():
        numbers, tolerances = printed(texts)
        ours = derived(facts, quantity)
        assert np.all(np.abs(np.ravel(ours) - numbers) <= tolerances + 1e-15 * np.abs(numbers))
        np.testing.assert_allclose(facts["right"][quantity], ours, rtol=1e-13, atol=1e-15)
        assert diagnose_number(name, quantity, texts, most=0).verdict == "correct"


# --- wrong engines, written out ------------------------------------------------------------------

class Value:
    """micrograd in a few lines, for + and * of scalars, with the mistakes of an engine."""

    def __init__(self, data, inputs=(), locals=()):
        self.data, self.inputs, self.locals, self.grad = data, inputs, locals, 0.0

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    __radd__, __rmul__ = __add__, __mul__

    def backward(self, wrong=None):
        self.grad = 1.0
        if wrong == "recursive":
            return self.sent_on()
        for node in self.order(wrong):
            shares = zip(node.inputs, node.locals)
            for x, d in {id(x): (x, d) for x, d in shares}.values() if wrong == "set" else shares:
                up = 1.0 if wrong == "no upstream" else node.grad
                x.grad = d * up if wrong == "overwrites" else x.grad + d * up

    def sent_on(self):
        for x, d in zip(self.inputs, self.locals):
            x.grad += d * self.grad
        for x in self.inputs:
            x.sent_on()

    def order(self, wrong):
        if wrong == "breadth":
            order = [self]
            for node in order:
                order += [x for x in dict.fromkeys(node.inputs) if x not in order]
            return order
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                if wrong != "unvisited":
                    seen.add(node)
                for x in node.inputs:
                    visit(x)
                order.append(node)
        visit(self)
        return order if wrong == "forward" else order[::-1]


def wrong_gradient(name, leaf, wrong):
    facts = check(name)
    names = {key: Value(x) for key, x in facts["leaves"].items()}
    given = dict(names)
    for line in facts["lines"]:
        exec(line, {}, names)
    names[facts["lines"][-1].split()[0]].backward(wrong)
    return given[leaf].grad


IDS = {"overwrites": "overwrites-gradient", "recursive": "repropagates-accumulated",
       "breadth": "wrong-visit-order", "unvisited": "topological-order-without-visited",
       "forward": "order-not-reversed", "set": "repeated-operand-lost",
       "no upstream": "upstream-ignored"}


@pytest.mark.parametrize("wrong", IDS)
@pytest.mark.parametrize("name, leaf", [
    ("micrograd/fork", "a"), ("micrograd/fork", "b"), ("micrograd/twice_the_same", "a"),
    ("unequal-paths", "a"), ("micrograd/lecture", "a"), ("cs231n/circuit", "x"), ("colah", "b"),
    ("dezero/three_times", "x")])
def test_wrong_engines_are_named_by_one_number(name, leaf, wrong):
    number = wrong_gradient(name, leaf, wrong)
    diagnosis = diagnose_number(name, f"{leaf}.grad", number)
    assert diagnosis.right == (number == check(name)["right"][f"{leaf}.grad"])
    assert diagnosis.right or (IDS[wrong],) in (diagnosis.causes, *diagnosis.ties), diagnosis


@pytest.mark.parametrize("number, id", [
    (183, "repropagates-accumulated"), (39, "wrong-visit-order"), (3, "overwrites-gradient")])
def test_the_graph_of_unequal_paths_parts_the_orders(number, id):
    diagnosis = diagnose_number("unequal-paths", "a.grad", number)
    assert (id,) in (diagnosis.causes, *diagnosis.ties)


@pytest.mark.parametrize("quantity, number, id", [
    ("w1.grad", 2 * (1 - 1 / math.sqrt(2)), "tanh-not-squared"),
    ("w1.grad", 2.0 * (1 - 0.8813735870195432**2), "derivative-from-input"),
    ("w1.grad", 2.0, "local-derivative-missing"), ("x1.grad", 1.0, "product-rule-wrong-factor")])
def test_wrong_derivatives_in_the_neuron_of_the_lecture(quantity, number, id):
    diagnosis = diagnose_number("micrograd/neuron", quantity, f"{number:.4f}")
    assert (id,) in (diagnosis.causes, *diagnosis.ties), diagnosis


def test_numbers_seen_together_say_more_than_one():
    one = diagnose_number("micrograd/fork", "a.grad", 3)
    both = diagnose_number("micrograd/fork", {"a.grad": 3, "b.grad": -2})
    assert both.causes == ("overwrites-gradient",) and not both.ties and one.causes == both.causes


def test_either_topological_order_may_overwrite():
    diagnosis = diagnose_number("micrograd/fork", {"a.grad": -6, "b.grad": -6})
    assert diagnosis.causes == ("overwrites-gradient",)


def test_gradients_in_between_can_be_asked_for():
    assert diagnose_number("micrograd/lecture", "d.grad", -2).right
    assert diagnose_number("cs231n/circuit", "q.grad", 1.0).causes


# --- the command ---------------------------------------------------------------------------------

def told(*words):
    options = cli.parsed(["diagnose", *words])
    return options.run(options)


def test_the_command(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("def adam(w, g, m, v, t, *, lr, beta1, beta2, eps):\n"
                    "    m = beta1 * m + g\n"
                    "    v = beta2 * v + (1 - beta2) * g * g\n"
                    "    below = (v / (1 - beta2**t))**.5 + eps\n"
                    "    return w - lr * m / (1 - beta1**t) / below, m, v\n")
    assert told(f"{path}:adam") == 1
    assert "first-moment-not-averaged" in capsys.readouterr().out
    assert told("cs231n/adam", "--quantity", "next_w error", "--number", "1e-8") == 0
    assert told("needle/sgd", "--quantity", "loss", "--number", "3.207009") == 0
    with pytest.raises(Refusal, match="has no 'adm'"):
        told(f"{path}:adm")
    with pytest.raises(Refusal, match="what is in"):
        told(str(path))
    with pytest.raises(Refusal, match="cannot read"):
        told("nothing.csv")
    with pytest.raises(Refusal, match="cannot read") as refused:
        told("cs231n/adm")
    assert "did you mean the check cs231n/adam?" in refused.value.hint
    with pytest.raises(Refusal, match="has no quantity") as refused:
        told("cs231n/adam", "--quantity", "nothing", "--number", "1")
    assert refused.value.code == 2  # 1 says that numbers are wrong
    with pytest.raises(Refusal, match="which number"):
        told("cs231n/adam")
    path.write_text("1 / 0\n")
    with pytest.raises(Refusal, match="does not run: ZeroDivisionError"):
        told(f"{path}:adam")


def test_the_command_knows_engines(tmp_path, capsys):
    path = tmp_path / "engine.py"
    path.write_text("from minigrad.tensor import Tensor\n"
                    "from minigrad import tensor\n"
                    "def Value(x):\n    return tensor(x, requires_grad=True)\n")
    assert told(f"{path}:Value", "--rule", "autograd") == 0
    assert "correct" in capsys.readouterr().out


LAYERS = """
import numpy as np
def affine_forward(x, w, b):
    return x @ w + b, (x, w)
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.mean(axis=0)
class Square:
    def forward(self, x):
        self.x = x
        return x**2
    def backward(self, dout):
        return 2 * self.x * dout
"""


def test_the_command_knows_layers(tmp_path, capsys):
    path = tmp_path / "layers.py"
    path.write_text(LAYERS)
    asked = f"{path}:affine", "--rule", "backward"
    assert told(*asked, "--inputs", "4x3,3x5,5") == 1
    assert "broadcast-averaged" in capsys.readouterr().out
    assert told(f"{path}:Square", *asked[1:], "--inputs", "4x3") == 0
    with pytest.raises(Refusal, match="needs the shapes"):
        told(*asked)
    with pytest.raises(Refusal, match="a shape for each input, got '3y5'"):
        told(*asked, "--inputs", "4x3,3y5,5")
    with pytest.raises(Refusal, match="has no relu_forward and relu_backward") as refused:
        told(f"{path}:relu", *asked[1:], "--inputs", "4x3")
    assert "affine_forward" in refused.value.hint and refused.value.code == 2


def test_the_command_lists_checks_and_speaks_json(capsys):
    assert told("checks") == 0
    listed = capsys.readouterr().out
    assert all(len(line) <= 80 for line in listed.splitlines())
    assert all(name in listed for name in checks()) and "next_w error" in listed
    assert told("checks", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == set(checks())
    assert told("cs231n/adam", "--quantity", "next_w error", "--number", "0.2072", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["causes"] == ["no-bias-correction"] and answer["verdict"] == "mistake"
    assert set(answer) == {"verdict", "causes", "ties", "first_difference", "residual", "hints",
                           "notes"}
    assert "m_hat" in answer["hints"]["formula"]
