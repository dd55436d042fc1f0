"""Bad input to tensors and operations: PyTorch's exception type, and a message that names the
thing, the shapes and the cure."""

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.autograd import grad


def ones(*shape, name=None, dtype=None, grad=True):
    return minigrad.tensor(np.ones(shape), dtype=dtype, requires_grad=grad, name=name)


def twice(x):
    return x * 2


m = minigrad
# fmt: off
TABLE = [  # (what is done, exception, words of the message)
    # shapes
    (lambda: ones(2, 3, name="x") + ones(4, name="b"), RuntimeError, "add 'x' (2, 3) 'b' (4,)"),
    (lambda: ones(2, 3, name="x") * np.ones(4), RuntimeError, "mul 'x' (2, 3) (4,)"),
    (lambda: ones(2, 3, name="x") @ ones(4, 2, name="w"), RuntimeError,
     "matmul 'x' (2, 3) 'w' (4, 2) 3 4"),
    (lambda: ones(2, 3) @ ones(4), RuntimeError, "matmul (2, 3) (4,)"),
    (lambda: ones(3, 2, 3) @ ones(2, 3, 1), RuntimeError, "matmul (3, 2, 3) (2, 3, 1)"),
    (lambda: ones() @ ones(4), RuntimeError, "matmul at least 1 dimension *"),
    (lambda: nn.functional.linear(ones(2, 3, name="x"), ones(5, 4, name="weight"), ones(5)),
     RuntimeError, "'x' (2, 3) 'weight' (5, 4)"),
    (lambda: ones(2, 3).reshape(4, 2), RuntimeError, "[4, 2] size 6 (2, 3)"),
    (lambda: ones(2, 3).reshape(-1, 4), RuntimeError, "[-1, 4] size 6"),
    (lambda: ones(2, 3).view(7), RuntimeError, "[7] size 6"),
    (lambda: ones(2, 3, name="x").expand(4, 3), RuntimeError, "'x' (2, 3) 4"),
    (lambda: ones(2, 3).permute(0, 0), RuntimeError, "permute (0, 0) once"),
    (lambda: ones(2, 3).permute(0), RuntimeError, "permute (0,) 2 dimensions"),
    (lambda: ones(2, 3, 4).t(), RuntimeError, "t() at most 2 (2, 3, 4)"),
    (lambda: ones(3).mT, RuntimeError, "mT 2 dimensions (3,)"),
    (lambda: m.cat([ones(2, 3), ones(2, 4)]), RuntimeError, "cat (2, 3) (2, 4)"),
    (lambda: m.cat([]), ValueError, "cat empty list"),
    (lambda: m.cat([ones(), ones()]), RuntimeError, "zero-dimensional stack()"),
    (lambda: m.cat([ones(2), 3]), TypeError, "cat element 1 int Tensor"),
    (lambda: m.stack([ones(2), ones(3)]), RuntimeError, "stack equal size [2] [3] entry 1"),
    (lambda: ones(5).split([2, 2]), RuntimeError, "split 5 [2, 2]"),
    (lambda: ones(5).split(0), RuntimeError, "split positive 0"),
    (lambda: ones(5).chunk(0), RuntimeError, "chunk greater than 0"),
    (lambda: m.where(ones(2) > 0, ones(3, name="x"), 0.0), RuntimeError, "where (2,) 'x' (3,)"),
    # dimensions
    (lambda: ones(2, 3).sum(2), IndexError, "[-2, 1] 2"),
    (lambda: ones(2, 3).softmax(-3), IndexError, "[-2, 1] -3"),
    (lambda: ones(2, 3).unsqueeze(4), IndexError, "[-3, 2] 4"),
    (lambda: ones(2, 3).transpose(0, 2), IndexError, "[-2, 1] 2"),
    (lambda: ones().sum(1), IndexError, "[-1, 0] 1"),
    (lambda: ones(2, 3).sum((0, 0)), RuntimeError, "multiple times (0, 0)"),
    (lambda: ones(2, 3).sum((0, -2)), RuntimeError, "multiple times (0, -2)"),
    (lambda: ones(2, 3).sum("rows"), TypeError, "dim int 'rows'"),
    (lambda: ones(2, 3).mean(1.0), TypeError, "dim int 1.0"),
    (lambda: ones(2, 3).prod((0, 1)), TypeError, "prod one int (0, 1)"),
    (lambda: ones(2, 3).softmax(), TypeError, "softmax dim -1 (2, 3)"),
    (lambda: ones(2, 3).sum(dims=1), TypeError, "dims"),
    (lambda: ones(0, 3).amax(), RuntimeError, "amax (0, 3)"),
    (lambda: ones(0, 3, name="x").max(0), IndexError, "'x' (0, 3) dim 0"),
    (lambda: ones(0).argmin(), IndexError, "argmin (0,)"),
    # indices
    (lambda: ones(2, 3, name="x")[2], IndexError, "'x' (2, 3) 2 out of bounds"),
    (lambda: ones(2, 3)[0, 0, 0], IndexError, "(2, 3) too many indices"),
    (lambda: ones(2, 3)[[0, 5]], IndexError, "5 out of bounds"),
    (lambda: ones(2, 3)[m.tensor([True, False, True])], IndexError, "boolean index (2, 3)"),
    (lambda: ones(2, 3)[1.0], (IndexError, TypeError), "float 1.0"),
    (lambda: ones(2, 3)["row"], (IndexError, TypeError), "str 'row'"),
    (lambda: ones(2, 3)[m.tensor([0.0])], IndexError, "long bool float64"),
    (lambda: (ones(2, 3) * 1).__setitem__(0, m.ones(4)), RuntimeError, "setitem (2, 3) (4,)"),
    (lambda: (ones(2, 3) * 1).__setitem__(5, 1.0), IndexError, "5 out of bounds"),
    (lambda: ones(2, 3).gather(1, m.tensor([[0, 3]])), (IndexError, RuntimeError),
     "gather 3 dimension 1 size 3"),
    (lambda: ones(2, 3).gather(1, m.tensor([0])), RuntimeError, "gather 1 dimensions 2 (2, 3)"),
    (lambda: ones(2, 3).gather(1, m.tensor([[0.0]])), RuntimeError, "gather integer float64"),
    (lambda: nn.functional.one_hot(m.tensor([0, 4]), 3), RuntimeError, "4 num_classes=3"),
    (lambda: nn.functional.one_hot(m.tensor([-1])), RuntimeError, "non-negative -1"),
    (lambda: nn.functional.one_hot(m.tensor([1.0])), RuntimeError, "index tensors float64"),
    # kinds of numbers
    (lambda: m.tensor([1, 2], requires_grad=True), RuntimeError, "floating point int64 float()"),
    (lambda: m.tensor([True]).requires_grad_(), RuntimeError, "floating point bool float()"),
    (lambda: m.tensor([[1, 2], [3]]), ValueError, "ragged"),
    (lambda: m.tensor(["a"]), TypeError, "tensor() numbers"),
    (lambda: m.tensor([1 + 2j]), TypeError, "complex128 numbers"),
    (lambda: m.tensor(None), TypeError, "object numbers"),
    (lambda: m.from_numpy([1.0]), TypeError, "np.ndarray list tensor()"),
    (lambda: m.from_numpy(np.array(["a"])), TypeError, "from_numpy"),
    (lambda: ones(2) + "1", TypeError, "add str number"),
    (lambda: ones(2) + np.array(["a", "b"]), TypeError, "add <U1"),
    (lambda: ones(2) * None, TypeError, "mul NoneType"),
    (lambda: ones(2) + np.array([1j, 2]), TypeError, "complex128"),
    (lambda: ones(2) ** "2", TypeError, "pow str"),
    (lambda: m.tensor([1, 2]).mean(), RuntimeError, "mean floating point int64 float()"),
    (lambda: m.tensor([1, 2]).var(), RuntimeError, "var floating point int64"),
    (lambda: m.tensor([1, 2]).softmax(0), RuntimeError, "softmax floating point int64"),
    (lambda: m.tensor([1, 2]) ** -1, RuntimeError, "negative integer powers float()"),
    (lambda: m.where(m.tensor([1, 0]), ones(2), 0.0), RuntimeError, "condition boolean int64"),
    (lambda: ones(2).masked_fill(m.tensor([1, 0]), 0.0), RuntimeError, "masked_fill boolean int64"),
    (lambda: (ones(2) * 1).masked_fill_(m.tensor([1, 0]), 0.0), RuntimeError,
     "masked_fill_ boolean int64"),
    (lambda: m.tensor([1, 2]).masked_fill(m.tensor([True, False]), 2.5), RuntimeError,
     "masked_fill 2.5 int64 float()"),
    (lambda: ones(2).clamp(), RuntimeError, "clamp min max"),
    (lambda: m.div(ones(2), 2, rounding_mode="up"), (RuntimeError, ValueError),
     "rounding_mode 'up'"),
    (lambda: ones(2).to("cuda"), RuntimeError, "CPU 'cuda'"),
    (lambda: m.zeros(2, device="cuda:0"), RuntimeError, "CPU 'cuda:0'"),
    (lambda: m.set_default_dtype(m.int64), TypeError, "floating-point int64"),
    (lambda: m.arange(0, 5, -1), RuntimeError, "arange step sign 0 5 -1"),
    (lambda: m.arange(0, 5, 0), RuntimeError, "arange nonzero"),
    (lambda: m.randint(5, 5, (2,)), RuntimeError, "randint low=5 high=5"),
    # to Python
    (lambda: ones(2, 3, name="x").item(), RuntimeError, "6 elements item() 'x'"),
    (lambda: bool(ones(2, name="x") > 0), RuntimeError, "ambiguous (2,) any() all()"),
    (lambda: float(ones(2)), (RuntimeError, TypeError), "2 elements (2,)"),
    (lambda: len(ones()), TypeError, "0-d"),
    (lambda: list(ones()), TypeError, "0-d"),
    (lambda: [1, 2][ones()], TypeError, "integer index"),
    (lambda: np.asarray(ones(2, name="x")), TypeError, "'x' detach().numpy()"),
    (lambda: np.linalg.svd(ones(2)), TypeError, "svd no derivative rule detach()"),
    # gradients
    (lambda: twice(ones(2, 3, name="x")).backward(), RuntimeError,
     "scalar (2, 3) mul 6 sum() gradient="),
    (lambda: ones(2, grad=False, name="x").sum().backward(), RuntimeError,
     "does not require grad grad_fn requires_grad=True"),
    (lambda: ones(2, 3).sum().backward(m.ones(2)), RuntimeError, "gradient shape (2,) ()"),
    (lambda: twice(ones(2, 3)).backward(np.ones(3)), RuntimeError, "gradient (3,) mul (2, 3)"),
    (lambda: grad(ones(2).sum(), ones(2, name="x")), RuntimeError, "input 0 'x' allow_unused=True"),
    (lambda: grad(ones(2).sum(), ones(2, grad=False, name="x")), RuntimeError,
     "input 0 'x' require grad"),
    (lambda: grad(ones(2).sum(), []), (RuntimeError, ValueError), "non-empty"),
    (lambda: grad([ones(2).sum()], ones(2), [None, None]), RuntimeError,
     "1 outputs 2 grad_outputs"),
    (lambda: twice(ones(2, name="x")).requires_grad_(False), RuntimeError, "leaf detach()"),
    (lambda: setattr(ones(2, 3, name="x"), "grad", m.ones(3)), RuntimeError, "(3,) 'x' (2, 3)"),
    (lambda: setattr(ones(2, name="x"), "grad", m.ones(2, dtype=m.float32)), RuntimeError,
     "float32 'x' float64"),
    (lambda: setattr(ones(2), "grad", 1.0), TypeError, "grad Tensor float"),
    (lambda: ones(2, grad=False, name="x").retain_grad(), RuntimeError,
     "retain_grad 'x' requires_grad=False"),
    (lambda: setattr(ones(2, name="x"), "data", m.tensor([1, 2])), RuntimeError,
     "int64 'x' floating point"),
    # rules of one's own
    (lambda: m.primitive(np.exp, lambda g, y, x: np.ones(7), name="mine")(ones(2)).sum().backward(),
     RuntimeError, "rule mine input 0 (7,) (2,)"),
    (lambda: m.primitive(np.exp, lambda g, y, x: np.ones(()),
                         name="mine")(ones(2)).sum().backward(), RuntimeError, "rule mine () (2,)"),
]
# fmt: on


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_bad_input(number):
    action, expected, words = TABLE[number]
    with pytest.raises(expected) as caught:
        action()
    text = str(caught.value)
    for word in split(words):
        assert word in text, f"{word!r} is not in {text!r}"
    assert "\n" not in text


def split(words):
    """The words of a row; what stands in brackets or quotes stays together."""
    found, open_, start = [], 0, 0
    for i, letter in enumerate(words + " "):
        open_ += (letter in "([") - (letter in ")]")
        if letter == " " and not open_:
            found.append(words[start:i])
            start = i + 1
    return [w for w in found if w]


def test_nothing_is_half_done():
    """A refused operation leaves values, gradients and the graph as they were."""
    x = ones(2, 3, name="x")
    y = x * 2
    for action in (
        lambda: y.add_(m.ones(4)),
        lambda: y.__setitem__(0, m.ones(5)),
        lambda: y.mul_("a"),
        lambda: y.view(-1)[2:4].add_(m.ones(3)),
        lambda: y.copy_(m.ones(7)),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            action()
        assert y.tolist() == [[2.0] * 3] * 2 and y.op.name == "mul" and x.grad is None
    with pytest.raises(RuntimeError):
        y.backward(m.ones(5))
    assert x.grad is None and y.grad is None
    y.sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2


def test_exceptions_are_torchs():
    """Where the same call fails in PyTorch, the type is one of PyTorch's own choice."""
    torch = pytest.importorskip("torch")
    x = {m: m.ones(2, 3, requires_grad=True), torch: torch.ones(2, 3, requires_grad=True)}
    for call in (
        lambda m: x[m] + m.ones(4),
        lambda m: x[m] @ m.ones(4),
        lambda m: x[m].sum(2),
        lambda m: x[m].reshape(4),
        lambda m: x[m][2],
        lambda m: x[m][0, 0, 0],
        lambda m: x[m].backward(),
        lambda m: m.ones(2).sum().backward(),
        lambda m: m.cat([x[m], m.ones(2, 4)]),
        lambda m: m.stack([x[m], m.ones(2)]),
        lambda m: m.tensor([1]).mean(),
        lambda m: m.tensor([1], requires_grad=True),
        lambda m: x[m].item(),
        lambda m: bool(x[m]),
        lambda m: x[m].add_(1),
        lambda m: x[m].permute(0, 0),
        lambda m: x[m].expand(4, 3),
        lambda m: m.tensor([[1], [1, 2]]),
        lambda m: x[m] + "a",
        lambda m: x[m].sum(0).backward(m.ones(2)),
        lambda m: m.autograd.grad(x[m].sum(), m.ones(1, requires_grad=True)),
        lambda m: len(m.tensor(1)),
        lambda m: x[m].clamp(),
        lambda m: m.arange(0, 5, -1),
        lambda m: m.zeros(0).amax(),
        lambda m: m.zeros(0, 3).max(0),
        lambda m: x[m].transpose(0, 2),
        lambda m: x[m].split([1, 2]),
        lambda m: iter(m.tensor(1)),
        lambda m: x[m].squeeze(5),
        lambda m: x[m].gather(1, m.tensor([0])),
        lambda m: x[m].softmax(7),
        lambda m: m.cat([]),
    ):
        with pytest.raises(Exception) as theirs:
            call(torch)
        with pytest.raises(Exception) as ours:
            call(m)
        assert issubclass(ours.type, theirs.type) or issubclass(theirs.type, ours.type), (
            f"{theirs.value!r}: {ours.value!r}"
        )
