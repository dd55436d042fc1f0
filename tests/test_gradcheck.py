"""gradcheck finds every planted mistake, says where it is, and leaves everything as it was."""

import numpy as np
import pytest

import minigrad
from minigrad import primitive
from minigrad.gradcheck import GradcheckError, gradcheck, gradgradcheck


def array(x):
    return x.detach() if isinstance(x, minigrad.Tensor) else x


def values(*shape, seed=0, name=None):
    random = np.random.default_rng([seed, *shape])
    return minigrad.tensor(random.uniform(0.5, 1.5, shape), requires_grad=True, name=name)


def at_one_element(g):
    c = np.array(g)
    if c.size > 1:
        c.flat[1] *= 1.01
    return c


def swapped(g, z, a, b):
    return g @ b  # b.T


def spread(g, x, dim):
    return np.expand_dims(g, dim) * np.ones(x.shape)


# fmt: off
PRODUCT = np.multiply
PLANTED = {  # name: (order at which it is caught, primitive, shapes of the inputs)
    "missing factor":
        (1, primitive(lambda x: x**3, lambda g, y, x: g * x**2, name="cube"), [(3,)]),
    "wrong power":
        (1, primitive(lambda x: x**3, lambda g, y, x: g * 3 * x, name="cube"), [(3,)]),
    "wrong sign":                (1, primitive(np.cos, lambda g, y, x: g * np.sin(x)), [(2, 2)]),
    "sign of the second input":
        (1, primitive(np.subtract, lambda g, *_: g, lambda g, *_: g, name="sub"), [(3,), (3,)]),
    "inputs swapped":
        (1, primitive(PRODUCT, lambda g, z, x, w: g * x, lambda g, z, x, w: g * w, name="mul"),
         [(3,), (3,)]),
    "transposed":
        (1, primitive(np.matmul, swapped, lambda g, z, a, b: a.T @ g, name="mm"), [(3, 3), (3, 3)]),
    "order of a product":
        (1, primitive(np.matmul, lambda g, z, a, b: b.T @ g, lambda g, z, a, b: a.T @ g, name="mm"),
         [(3, 3), (3, 3)]),
    "mean without 1/n":
        (1, primitive(lambda x: x.mean(keepdims=True), lambda g, y, x: g * np.ones(x.shape),
                      name="mean"), [(4,)]),
    "1/n twice":
        (1, primitive(lambda x: x.mean(0), lambda g, y, x: spread(g, x, 0) / x.size, name="mean"),
         [(4, 2)]),
    "un-reduced":
        (1, primitive(lambda x, b: x + b.sum(), lambda g, *_: g, lambda g, y, x, b: g,
                      name="shift"), [(3,), (3,)]),
    "one element only":
        (1, primitive(np.exp, lambda g, y, x: at_one_element(g * y)), [(5,)]),
    "last row forgotten":
        (1, primitive(lambda x: 2 * x,
                      lambda g, y, x: 2 * g * (np.arange(len(x)) < len(x) - 1)[:, None],
                      name="double"), [(3, 2)]),
    "wrong shape":
        (1, primitive(lambda x: x.sum(0), lambda g, y, x: np.ones((7,)), name="sum"), [(3, 2)]),
    "transposed shape":
        (1, primitive(lambda x: 2 * x, lambda g, y, x: 2 * g.T, name="double"), [(3, 3)]),
    "upstream ignored":          (1, primitive(np.sin, lambda g, y, x: np.cos(x)), [(3,)]),
    "upstream squared":          (1, primitive(np.sin, lambda g, y, x: g * g * np.cos(x)), [()]),
    "upstream's sign lost":
        (1, primitive(np.sin, lambda g, y, x: np.abs(g) * np.cos(x)), [()]),
    "upstream averaged":
        (1, primitive(np.sin, lambda g, y, x: g.mean() * np.cos(x)), [(4,)]),
    "result for input":          (1, primitive(np.exp, lambda g, y, x: g * x), [(3,)]),
    "detached":                  (1, primitive(np.sin), [(3,)]),
    "one input forgotten":
        (1, primitive(PRODUCT, lambda g, z, x, w: g * w, name="mul"), [(3,), (3,)]),
    "None returned":             (1, primitive(np.sin, lambda g, *_: None), [(3,)]),
    "slightly off":
        (1, primitive(np.tanh, lambda g, y, x: g * (1 - y**2) * 1.003), [(3,)]),
    "constant term":
        (1, primitive(np.tanh, lambda g, y, x: g * (1 - y**2) + 1e-3), [(3,)]),
    "reversed":
        (1, primitive(lambda x: x[::-1].copy(), lambda g, *_: g, name="flip"), [(3,)]),
    "rolled the wrong way":
        (1, primitive(lambda x: np.roll(x, 1), lambda g, *_: np.roll(g, 1), name="roll"), [(5,)]),
    "repeated index overwrites":
        (1, primitive(lambda x: x[[0, 0, 1]], lambda g, y, x: np.array([g[1], g[2]]), name="take"),
         [(2,)]),
    "raises":
        (1, primitive(np.sin, lambda g, y, x: g @ np.ones((7, 7))), [(3,)]),
    "remembers":
        (1, primitive(np.sin, lambda g, y, x, seen=[]:
                      g * np.cos(x) * (1 + len(seen)) + (seen.append(1) or 0)), [(3,)]),
    "second order cut off":
        (2, primitive(lambda x: x**3, lambda g, y, x: g * 3 * array(x)**2, name="cube"), [(3,)]),
    "upstream cut off":
        (2, primitive(lambda x: x**3, lambda g, y, x: array(g) * 3 * x**2, name="cube"), [(3,)]),
    "half of second order":
        (2, primitive(lambda x: x**3, lambda g, y, x: g * 3 * x * array(x), name="cube"), [(3,)]),
    "other on tensors":
        (2, primitive(np.sin, lambda g, y, x:
                      g * np.cos(x) * (1.5 if isinstance(g, minigrad.Tensor) else 1)), [(3,)]),
    "only on arrays":
        (2, primitive(np.cbrt, lambda g, y, x: g / 3 / np.cbrt(x)**2), [(3,)]),
}
# fmt: on


def inputs_of(shapes):
    return [values(*shape, seed=i) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("mistake", PLANTED)
def test_planted_mistake_is_caught(mistake):
    order, wrong, shapes = PLANTED[mistake]
    with pytest.raises(GradcheckError):
        gradcheck(wrong, inputs_of(shapes), order=order)
    assert gradcheck(wrong, inputs_of(shapes), order=order, raise_exception=False) is False
    if order == 2:  # the first order alone is right
        assert gradcheck(wrong, inputs_of(shapes)) is True
        assert gradgradcheck(wrong, inputs_of(shapes), raise_exception=False) is False


def test_right_rules_pass():
    cube = primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2, name="cube")
    assert gradcheck(cube, values(3), order=2) is True
    assert gradgradcheck(cube, [values(2, 2)]) is True
    assert gradcheck(lambda a, n, b: (a**n * b).sum(1), (values(2, 3), 3, values(3)), order=2)
    assert gradcheck(
        lambda x: (x.sum(), x * 2, x.argmax(), x.detach() * 0), values(3), order=2
    )  # several outputs
    assert gradcheck(lambda x: [x.prod(), x.exp()], values(4), order=2)
    assert gradcheck(lambda x: minigrad.ones(3), values(3), order=2)  # constant, and said to be
    assert gradcheck(minigrad.tanh, values(0), order=2) and gradcheck(
        minigrad.tanh, values(), order=2
    )


def test_a_whole_network():
    net = minigrad.nn.Sequential(
        minigrad.nn.Linear(3, 4), minigrad.nn.Tanh(), minigrad.nn.Linear(4, 1)
    )
    x = values(5, 3)
    parameters = list(net.parameters())
    assert gradcheck(lambda *_: net(x).square().mean(), [*parameters, x], order=2)


def test_message_says_where():
    wrong = primitive(np.exp, lambda g, y, x: at_one_element(g * y), name="exp")
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: wrong(b) + a, (values(2, 3), values(2, 3, name="weight")))
    text = str(caught.value)
    assert "'weight'" in text and "index (0, 1)" in text and "1 of 6 elements" in text
    analytic, numeric = (
        float(text.split(word)[1].split(",")[0]) for word in ("analytic ", "numeric ")
    )
    assert analytic == pytest.approx(1.01 * numeric, rel=1e-5) and "error 0.0" in text
    with pytest.raises(GradcheckError, match="input 1 "):
        gradcheck(lambda a, b: wrong(b) + a, (values(2, 3), values(2, 3)))


@pytest.mark.parametrize(
    "inputs, message",
    [
        (lambda: minigrad.ones(3), "requires_grad=True"),
        (lambda: [1.0, 2], "requires_grad=True"),
        (
            lambda: minigrad.ones(3, dtype=minigrad.float32, requires_grad=True),
            r"float32.*float64.*double\(\)",
        ),
        (lambda: minigrad.ones(1, requires_grad=True).expand(3), r"expanded.*clone\(\)"),
    ],
)
def test_inputs_that_cannot_be_checked(inputs, message):
    with pytest.raises(ValueError, match=message):
        gradcheck(minigrad.sin, inputs())


def test_functions_that_cannot_be_checked():
    with pytest.raises(GradcheckError, match="deterministic"):
        gradcheck(lambda x: x * minigrad.rand(3), values(3))
    with pytest.raises(ValueError, match="must return tensors"):
        gradcheck(lambda x: x.item(), values(1))
    with pytest.raises(ValueError, match="order"):
        gradcheck(minigrad.sin, values(1), order=3)
    with pytest.raises(GradcheckError, match="wrong"):  # a kink: no derivative there
        gradcheck(minigrad.abs, minigrad.tensor([1.0, 1e-9], requires_grad=True))


def test_nothing_is_disturbed():
    minigrad.manual_seed(3)
    x, shared = values(3), minigrad.from_numpy(np.array([0.1, 0.2, 0.7])).requires_grad_()
    x.grad = minigrad.ones(3)
    before, loss = [t.array.copy() for t in (x, shared)], (x * shared).sum()
    state = minigrad.random.generator().bit_generator.state
    gradcheck(lambda a, b: (a * b).sin(), (x, shared), order=2)
    assert minigrad.random.generator().bit_generator.state == state
    assert np.array_equal(x.array, before[0]) and np.array_equal(shared.array, before[1])
    assert x.grad.tolist() == [1, 1, 1] and shared.grad is None
    loss.backward()  # the memory counts as unchanged


def test_inputs_are_restored_when_the_function_raises():
    x = values(3)
    before = x.array.copy()
    calls = []

    def fails(x):
        calls.append(1)
        if len(calls) > 6:
            raise KeyError("late")
        return x * 2

    with pytest.raises(KeyError):
        gradcheck(fails, x)
    assert np.array_equal(x.array, before)


def test_views_and_other_memory_layouts():
    x = values(4, 3)
    for view in (x.T, x[::2], x[:, 1], x.reshape(2, 6), x.permute(1, 0)[1:]):
        assert gradcheck(lambda v: (v * v).sum(0), view)
    assert gradcheck(
        minigrad.matmul,
        (minigrad.tensor(np.asfortranarray(np.eye(3)), requires_grad=True), values(3, 2)),
    )
