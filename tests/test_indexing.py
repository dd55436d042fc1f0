"""Indexing and assignment: basic, boolean, integer arrays, repeated, mixed, equal to PyTorch's."""

import numpy as np
import pytest
from mirror import compare, expression, real

import minigrad

pytestmark = pytest.mark.usefixtures("doubles")

# fmt: off
BASIC = """
0 | -1 | 1:3 | : | ::2 | ... | None | 1, 2 | :, 1 | ..., 0 | 1:, :2 | None, 1 | :, None, 2
0, ..., None | 4:1 | 1:1 | -2: | ..., 1:3
:, -1, : | 0, 1, 2 | 1, :, ::2 | (slice(1, 3), 0) | m.tensor(1) | :, m.tensor(-1)
..., None, None | 2:100
""".strip().replace("\n", " | ").split(" | ")

ADVANCED = """
[0, 2] | [0, 0, 2, 0] | m.tensor([1, 1]) | m.tensor([[0], [2]]) | [0, 1], [1, 2] | :, [0, 0, 1]
..., [1, 1]
[1, 0], :, [0, 3] | 1, [0, 2] | [0, 1], 1 | m.tensor([0, 2]), None, 1 | :, m.tensor([-1, 0]), 1:3
m.arange(3)[:, None], m.tensor([0, 1])
m.tensor([True, False, True]) | m.tensor([False, False, False]) | :, m.tensor([True, False, True])
x > 0 | x[:, :, 0] > 0 | (x > 5)
m.tensor([True, False, True]), 1 | m.tensor([True, True, False]), m.tensor([0, 2])
m.tensor([], dtype=m.long) | [2], [1], [3]
m.tensor([0, 0]), m.tensor([1, 1]), m.tensor([2, 2]) | m.tensor(True) | x.argmax(0)
m.tensor([0, 1, 1], dtype=m.int32) | True
[True, False, True] | [0], ..., [1] | m.tensor([2, 0]), :, 1:3 | 0, :, m.tensor([1, 1])
""".strip().replace("\n", " | ").split(" | ")

VALUES = ["5", "y", "y * 2", "m.tensor(2.0)"]
# fmt: on


@pytest.mark.parametrize("index", BASIC + ADVANCED)
def test_getitem(index):
    compare(expression(f"x[{index}]"), real(3, 3, 4))
    compare(expression(f"x.permute(1, 0, 2)[{index}]"), real(3, 3, 4))
    compare(expression(f"(x * x)[{index}].sum() * 3"), real(3, 3, 4))


def assigning(index, value, augmented="="):
    """The function (m, x, y) that returns a copy of x after x[index] = value, and a view of it."""
    names = {}
    exec(
        f"def assign(m, x, y):\n"
        f"    x = x * 2\n"
        f"    z = x + 1\n"
        f"    x[{index}] {augmented} {value}\n"
        f"    return x, x[0] * 2, z",
        names,
    )
    return names["assign"]


@pytest.mark.parametrize("index", BASIC + ADVANCED)
def test_setitem(index):
    if index == "[0, 0, 2, 0]":
        return
    repeated = {
        "[0, 0, 2, 0]",
        "m.tensor([1, 1])",
        ":, [0, 0, 1]",
        "..., [1, 1]",
        "x.argmax(0)",
        "m.tensor([0, 0]), m.tensor([1, 1]), m.tensor([2, 2])",
        "m.tensor([0, 1, 1], dtype=m.int32)",
        "0, :, m.tensor([1, 1])",
    }
    for value in VALUES[:1] if index in repeated else VALUES:
        compare(assigning(index, value), real(3, 3, 4), real())


@pytest.mark.parametrize("index", BASIC)
@pytest.mark.parametrize("augmented", ["+=", "*=", "-=", "/="])
def test_augmented_assignment(index, augmented):
    compare(assigning(index, "y", augmented), real(3, 3, 4), real())


@pytest.mark.parametrize(
    "index, shape",
    [
        ("0", (3, 4)),
        ("0", (4,)),
        ("0", (1, 4)),
        ("0", (1, 3, 4)),
        (":, 1", (3, 1)),
        ("..., 0", (3,)),
        ("[0, 2]", (2, 3, 4)),
        ("[0, 2]", (1, 4)),
        (":, [0, 2]", (3, 2, 4)),
        ("m.tensor([True, False, True])", (2, 3, 4)),
        ("0, 1", (1, 4)),
        ("m.tensor([True, False, True])", (4,)),
        ("1:", (2, 3, 4)),
        ("::2, 0, 1:3", (2, 2)),
        ("0, 0, 0", (1,)),
    ],
)
def test_assigned_values_broadcast(index, shape):
    compare(assigning(index, "y"), real(3, 3, 4), real(*shape, seed=1))


def test_values_are_cast():
    for dtype in (np.int64, np.float32, np.int32, bool):
        for value in (
            "2.7",
            "True",
            "3",
            "m.tensor(1.5)",
            "m.tensor([1.5, 2.5])",
            "m.tensor([1, 0])",
        ):

            def assign(m, x, value=value):
                x = x.clone().detach()
                x[1:] = eval(value, {"m": m})
                return x

            compare(assign, np.array([1, 0, 1], dtype))


def test_repeated_places_add_up():
    table = minigrad.tensor(np.zeros((4, 2)), requires_grad=True)
    table[[1, 1, 3, 1]].sum().backward()
    assert table.grad.tolist() == [[0, 0], [3, 3], [0, 0], [1, 1]]


def test_loops_fill_buffers():
    def states(m, x, y):
        buffer = m.zeros(5)
        buffer[0] = x[0]
        for i in range(1, 5):
            buffer[i] = buffer[i - 1] * y + x[i]
        return buffer

    def rows(m, x, y):
        buffer = m.zeros(2, 5)
        for row in range(2):
            buffer[row] = x * (row + 1)
            buffer[row][1:3] *= y
        return buffer, buffer.sum(0)

    compare(rows, real(5), real())
    with pytest.raises(
        RuntimeError, match="in place"
    ):  # PyTorch refuses too: the product needs buffer
        compare(states, real(5), real())


def test_one_hot_gather_and_where():
    labels = np.array([2, 0, 1])
    compare(expression("m.nn.functional.one_hot(y, 4)"), real(3), labels)
    compare(expression("-x.log_softmax(1).gather(1, y[:, None]).mean()"), real(3, 4), labels)
    compare(expression("-x.log_softmax(1)[m.arange(3), y].mean()"), real(3, 4), labels)
    compare(
        expression("m.where(m.nn.functional.one_hot(y, 4).bool(), x, 0.0).sum(1)"),
        real(3, 4),
        labels,
    )
    compare(expression("m.gather(x, 0, y[None])"), real(3, 3), labels)
    compare(expression("x.gather(1, m.tensor([[0, 0], [1, 0]]))"), real(3, 4))  # fewer rows than x


def test_masks_of_other_shapes():
    mask = np.array([True, False, True, False])
    compare(expression("x.masked_fill(y, 7)"), real(3, 4), mask)
    compare(expression("x.clone().masked_fill_(y, 7) * 2"), real(3, 4), mask)
    compare(expression("x.clone().masked_fill_(y, m.tensor(2.0)) * 2"), real(3, 4), mask)
    compare(expression("x[0].masked_fill(y[:, None], 7)"), real(3, 4), mask)
