"""Every row of the derivative table against finite differences: first and second order, on arrays
and on tensors. A row without a case here fails by name."""

import functools
import zlib

import numpy as np
import pytest

import minigrad
from minigrad import ops
from minigrad.gradcheck import gradcheck

INDEX = ops.ARRAY


def made(random, kind, shape):
    """A tracked tensor: any real numbers, or only positive ones, or those between 0 and 1."""
    low, high = {"real": (0.3, 1.7), "positive": (0.4, 2.0), "unit": (0.2, 0.8)}[kind]
    values = random.uniform(low, high, shape)
    if kind == "real":  # away from the kinks at 0
        values = values * random.choice([-1.0, 1.0], shape)
    return minigrad.tensor(values, requires_grad=True)


def real(*shapes):
    return lambda random: [made(random, "real", shape) for shape in shapes]


def positive(*shapes):
    return lambda random: [made(random, "positive", shape) for shape in shapes]


def unit(*shapes):
    return lambda random: [made(random, "unit", shape) for shape in shapes]


def exactly(*values):
    return lambda random: [
        minigrad.tensor(v, requires_grad=True) if isinstance(v, (list, float)) else v
        for v in values
    ]


def mixed(*makers):
    """The inputs of several makers, one after the other; what is no maker is a constant."""
    return lambda random: [x for m in makers for x in (m(random) if callable(m) else [m])]


ELEMENTWISE = [real((2, 3)), real(()), real((0,)), real((1, 2, 2))]
BROADCAST = [
    real((2, 3), (3,)),
    real((2, 1), (1, 3)),
    real((), (2,)),
    real((3,), (3,)),
    real((), ()),
]
REDUCED = [
    dict(dim=None, keepdim=False),
    dict(dim=None, keepdim=True),
    dict(dim=1, keepdim=False),
    dict(dim=0, keepdim=True),
    dict(dim=(0, 2), keepdim=False),
]
ZEROS = [[[1.0, 0.0, 3.0], [2.0, -1.0, 0.5], [0.0, 0.0, 2.0]]]


def each(makers, **options):
    return [(m, options) for m in makers]


def reduced(maker, options=REDUCED):
    return [(maker, o) for o in options] + [(real(()), o) for o in options[:2]]


def spread(maker):
    return [(maker, dict(o, correction=c)) for o in REDUCED for c in (0, 1)]


def rows(*indices_and_arrays):
    """Cases of getitem: (index, arrays...) on a (3, 4) tensor."""
    return [
        (mixed(real((3, 4)), *arrays), dict(index=index)) for index, *arrays in indices_and_arrays
    ]


REPEATED, MASK = np.array([0, 2, 2, 0]), np.array([[True, False, True, True]] * 3)
COLUMN = np.array([[0], [2]])

PLAIN = dict(stride=(1,), padding=(0,), dilation=(1,), groups=1)
GROUPED = dict(stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
CONVOLUTIONS = [
    ([(2, 2, 4), (3, 2, 2), (3,)], PLAIN),
    ([(2, 2, 4), (3, 2, 2)], dict(PLAIN, stride=(3,), padding=(2,))),
    ([(1, 4, 3, 4), (2, 2, 2, 2), (2,)], GROUPED),
    ([(0, 1, 4), (1, 1, 2), (1,)], PLAIN),
]
TRANSPOSED = [
    ((2, 2, 4), (3, 2, 2), (2, 3, 3), PLAIN),
    ((1, 4, 3, 4), (2, 2, 2, 2), (1, 2, 2, 2), GROUPED),
]

# fmt: off
CASES = {
    "add": each(BROADCAST), "sub": each(BROADCAST), "mul": each(BROADCAST), "div": each(BROADCAST),
    "maximum": each(BROADCAST[:3]), "minimum": each(BROADCAST[:3]),
    "pow": each([positive((2, 3), (3,)), positive((), ()), mixed(positive((3,)), 2.5),
                 mixed(1.5, real((3,))),
                 mixed(real((3,)), np.array([2.0, 0.0, 3.0])),
                 mixed(exactly([0.0, 0.0]), np.array([2.0, 3.0]))]),
    "power": each([mixed(positive((2, 3)), n) for n in (2, 3, 0, 1, -1, 2.5, -0.5)]
                  + [mixed(exactly([0.0, -2.0]), 3), mixed(real(()), 3)]),
    "neg": each(ELEMENTWISE), "square": each(ELEMENTWISE), "reciprocal": each(ELEMENTWISE),
    "abs": each(ELEMENTWISE), "sign": each(ELEMENTWISE), "exp": each(ELEMENTWISE),
    "expm1": each(ELEMENTWISE),
    "log": each([positive((2, 3)), positive(())]), "log1p": each([positive((2, 3)), positive(())]),
    "sqrt": each([positive((2, 3)), positive(())]), "sin": each(ELEMENTWISE),
    "cos": each(ELEMENTWISE),
    "tanh": each(ELEMENTWISE), "sigmoid": each(ELEMENTWISE), "erf": each(ELEMENTWISE),
    "softplus": each(ELEMENTWISE), "relu": each(ELEMENTWISE),
    "leaky_relu": each([mixed(real(s), 0.1) for s in ((2, 3), (), (0,))]),
    "clamp": (each([real((2, 3)), real(())], min=-1.0, max=0.9)
              + each([real((3,))], min=-np.inf, max=0.1)),
    "where": each([mixed(np.array([True, False, True]), real((2, 3), (3,))),
                   mixed(np.array([[True], [False]]), real((3,), ())),
                   mixed(np.array(True), real((), ())),
                   mixed(np.array([True, False]), real((2,)), 0.5)]),
    "sum": reduced(real((2, 3, 2))), "mean": reduced(real((2, 3, 2))),
    "spread": [(real(s), dict(o, shape=(2, 3, 2)))
               for s, o in zip(((), (1, 1, 1), (2, 2), (1, 3, 2), (3,)), REDUCED)],
    "prod": reduced(real((2, 3, 2)), REDUCED[:4]) + [(exactly(*ZEROS), o) for o in REDUCED[:4]],
    "var": spread(real((2, 3, 2))), "std": spread(real((2, 3, 2))),
    "amax": reduced(real((2, 3, 2))), "amin": reduced(real((2, 3, 2))),
    "logsumexp": reduced(real((2, 3, 2))),
    "softmax": [(real((2, 3, 2)), dict(dim=d)) for d in (0, 1, 2)] + [(real(()), dict(dim=None))],
    "log_softmax": ([(real((2, 3, 2)), dict(dim=d)) for d in (0, 1, 2)]
                    + [(real(()), dict(dim=None))]),
    "cross_entropy": [
        (mixed(real(shape), np.array(labels)), dict(dim=dim, smoothing=smoothing))
        for shape, labels, dim in (((3, 4), [0, 3, 0], 1), ((4,), 2, 0),
                                   ((2, 3, 2), [[0, 2], [1, 1]], 1),
                                   ((0, 3), np.zeros(0, int), 1))
        for smoothing in (0.0, 0.2)],
    "binary_cross_entropy": each([unit((2, 3), (2, 3)), unit((), ())]),
    "matmul": each([real(a, b) for a, b in [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((2, 2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((0, 3), (3, 2))]]),
    "linear": each([real((4, 3), (2, 3), (2,)), real((1, 1), (1, 1), (1,))]),
    "conv": [(real(*shapes), how) for shapes, how in CONVOLUTIONS],
    "conv_input": [(real(output, w), dict(how, shape=x)) for x, w, output, how in TRANSPOSED],
    "conv_weight": [(real(output, x), dict(how, shape=w)) for x, w, output, how in TRANSPOSED],
    "standardize": [(real((2, 3, 2)), dict(dim=d, eps=e)) for d in (0, 1, (0, 2))
                    for e in (1e-5, 0.5)],
    "affine": each([real((2, 3), (3,), (3,)), real((2, 2, 3), (2, 1), (2, 1)), real((), (), ())]),
    "reshape": ([(real((2, 3)), dict(shape=s)) for s in ((6,), (3, 2), (1, 6, 1))]
                + each([real(())], shape=(1,))),
    "permute": [(real((2, 3, 2)), dict(dims=d)) for d in ((2, 0, 1), (1, 2, 0), (0, 1, 2))],
    "expand": ([(real((1, 3)), dict(shape=s)) for s in ((2, 3), (2, 2, 3))]
               + each([real(())], shape=(2, 2))),
    "cast": each([real((2, 3)), real(())], dtype=np.dtype("float64")),
    "clone": each(ELEMENTWISE),
    "cat": each([real((2, 3), (1, 3), (0, 3))], dim=0) + each([real((2, 3), (2, 1))], dim=1),
    "stack": each([real((2, 3), (2, 3))], dim=1) + each([real((), (), ())], dim=0),
    "getitem": rows(((1,),), ((slice(0, 3, 2),),), ((Ellipsis, None, 2),),
                    ((INDEX,), REPEATED), ((slice(None), INDEX), REPEATED), ((INDEX,), MASK),
                    ((INDEX, INDEX), COLUMN, REPEATED), ((INDEX, None, 1), REPEATED),
                    ((1, INDEX), REPEATED)),
    "setitem": [(mixed(real((3, 4), s), *arrays), dict(index=index)) for s, index, *arrays in [
        ((4,), (1,)), ((), (slice(None), 2)), ((3, 1), (Ellipsis,)),
        ((2, 4), (INDEX,), np.array([2, 0])),
        ((), (INDEX,), MASK), ((9,), (INDEX,), MASK)]] + [(real((), ()), dict(index=(Ellipsis,)))],
    **{name: each(ELEMENTWISE) for name in (
        "exp2", "tan", "atan", "sinh", "cosh", "asinh", "floor", "ceil", "trunc")},
    **{name: each([unit((2, 3)), unit(()), unit((0,))]) for name in ("asin", "acos", "atanh")},
    "log2": each([positive((2, 3)), positive(())]), "log10": each([positive((2, 3)), positive(())]),
    "acosh": each([exactly([1.2, 2.0, 5.0]), exactly(3.0)]),
    "round": [(mixed(m, decimals), {}) for m in ELEMENTWISE for decimals in (0, 1)],
    "atan2": each(BROADCAST), "remainder": each(BROADCAST), "fmod": each(BROADCAST),
    "floor_divide": each(BROADCAST), "trunc_divide": each(BROADCAST),
    "norm": reduced(real((2, 3, 2))),
    "cumsum": [(real((2, 3, 2)), dict(dim=d)) for d in (0, 1, 2)] + each([real((0,))], dim=0),
    "cumprod": [(m, dict(dim=d)) for m in (real((2, 3, 2)),)
                for d in (0, 1, 2)] + [(exactly(*ZEROS), dict(dim=d)) for d in (0, 1)],
    "einsum": each([real((2, 3), (3, 4))], equation="ij,jk->ik") + each([real((2, 3))],
                                                                        equation="ij->ji")
              + each([real((2,), (3,), (2, 3))],
                  equation="i,j,ij->") + each([real((2, 3, 2), (2, 2, 3))],
                                              equation="bij,bjk->bik"),
    "inv": each([exactly([[2.0, 0.5], [-1.0, 1.5]]), exactly([[[3.0]], [[-2.0]]])]),
    "det": each([exactly([[2.0, 0.5], [-1.0, 1.5]]), exactly([[1.0, 2.0], [2.0, 4.0]]),
                 exactly([[0.0, 0.0], [0.0, 0.0]]),
                 exactly([[[3.0]], [[-2.0]]]), exactly([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0],
                                                        [1.0, 0.0, 1.0]])]),
    "solve": each([mixed(exactly([[2.0, 0.5], [-1.0, 1.5]]), real((2, 3))),
                   mixed(exactly([[2.0, 0.5], [-1.0, 1.5]]), real((2, 2, 1)))]),
    "diagonal": each([real((3, 3)), real((2, 2, 2)), real((0, 0))]),
    "scatter": [(mixed(real(s), *arrays), dict(index=index, shape=(3, 4)))
                for s, index, *arrays in [
        ((4,), (1,)), ((4, 4), (INDEX,), REPEATED), ((9,), (INDEX,), MASK),
        ((3,), (slice(None), 2))]],
}
# fmt: on


@pytest.mark.parametrize("name", sorted(ops.TABLE))
def test_row(name):
    assert name in CASES, f"row {name!r} of ops.TABLE has no case: add one to CASES in this file"
    for maker, options in CASES[name]:
        random = np.random.default_rng(zlib.crc32(name.encode()))
        inputs = maker(random)
        gradcheck(functools.partial(ops.TABLE[name], **options), inputs, order=2)


def test_no_case_without_a_row():
    assert sorted(CASES) == sorted(ops.TABLE)


def test_every_input_is_checked_or_a_constant():
    """In at least one case of its row, every input that has a rule is tracked."""
    for name, row in ops.TABLE.items():
        if row.each is not None:
            continue
        tracked = set()
        for maker, _ in CASES[name]:
            inputs = maker(np.random.default_rng(0))
            tracked |= {i for i, x in enumerate(inputs) if isinstance(x, minigrad.Tensor)}
        assert tracked >= {i for i, rule in enumerate(row.vjps) if rule is not None}, name
