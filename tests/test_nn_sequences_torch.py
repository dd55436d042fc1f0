"""Attention and recurrent layers equal PyTorch's: values, gradients, gradients of gradients."""

import numpy as np
import pytest
from nn_mirror import TOLERANCE, both_backward, close, compare, compare_twice, loaded, pair, torch

import minigrad
from minigrad import nn
from minigrad.nn import functional as F

TF = torch.nn.functional
pytestmark = pytest.mark.usefixtures("doubles")

# --- attention -----------------------------------------------------------------------------------

BOOLS = np.array([[True, False, True, True], [False, True, False, False], [True] * 4])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": BOOLS},
        {"attn_mask": np.where(BOOLS, 0.5, -np.inf)},
        {"attn_mask": BOOLS[:1]},
    ],
    ids=str,
)
def test_attention(options, lead, dtype, rng):
    q, k, v = (rng.normal(size=(*lead, *s)) for s in ((3, 5), (4, 5), (4, 2)))
    compare_twice(
        F.scaled_dot_product_attention, TF.scaled_dot_product_attention, [q, k, v], dtype, **options
    )


def test_a_query_that_sees_nothing_gets_nothing(rng):
    mask = BOOLS.copy()
    mask[1] = False
    arrays = [rng.normal(size=s) for s in ((3, 5), (4, 5), (4, 2))]
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        compare(
            F.scaled_dot_product_attention, TF.scaled_dot_product_attention, arrays, attn_mask=m
        )


def test_dropout_of_attention():
    minigrad.manual_seed(0)
    q = minigrad.ones(2, 50, 4)
    y = F.scaled_dot_product_attention(q, q, q, dropout_p=0.5)
    assert y.numpy().std() > 0.05 and abs(y.numpy().mean() - 1) < 0.1


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("batch", [(), (2,)])
def test_multihead_attention(options, batch, rng):
    ours, theirs = (
        nn.MultiheadAttention(6, 2, **options),
        torch.nn.MultiheadAttention(6, 2, **options),
    )
    for p in ours.parameters():
        nn.init.normal_(p)
    loaded(ours, theirs)
    first = options.get("batch_first")
    sizes = [(*batch, n, 6) if first else (n, *batch, 6) for n in (3, 4, 4)]
    q, k, v = (pair(rng.normal(size=s)) for s in sizes)
    hidden = pair(~BOOLS, tracked=False)
    padding = pair(
        np.array([[False, True, False, False]] * 2)[: len(batch) + 1].squeeze()
        if not batch
        else np.array([[False, True, False, False]] * 2),
        tracked=False,
    )
    calls = [
        {},
        {"attn_mask": hidden},
        {"need_weights": False},
        {"average_attn_weights": False},
        {"key_padding_mask": padding},
        {"key_padding_mask": padding, "attn_mask": pair(rng.normal(size=(3, 4)), tracked=False)},
        {"attn_mask": pair(rng.normal(size=(2 * 2 if batch else 2, 3, 4)), tracked=False)},
    ]
    for call in calls:
        results = [
            module(
                q[i],
                k[i],
                v[i],
                **{n: x[i] if isinstance(x, tuple) else x for n, x in call.items()},
            )
            for i, module in enumerate((ours, theirs))
        ]
        close(results[0][0], results[1][0], str(call))
        close(results[0][1], results[1][1], str(call))
        both_backward(results[0][0], results[1][0])
        for a, b in (q, k, v):
            close(a.grad, b.grad, str(call))
    for p, r in zip(ours.parameters(), theirs.parameters()):
        close(p.grad, r.grad)


# --- recurrent layers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_first": True},
        {"num_layers": 2},
        {"bias": False},
        {"num_layers": 3, "bias": False, "batch_first": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers(name, options, rng):
    variants = [options, dict(options, nonlinearity="relu")] if name == "RNN" else [options]
    for options in variants:
        ours = getattr(nn, name)(3, 4, **options)
        theirs = getattr(torch.nn, name)(3, 4, **options)
        loaded(ours, theirs)
        assert repr(ours) == repr(theirs)
        layers = options.get("num_layers", 1)
        for shape, start in (
            ((5, 2, 3), False),
            ((5, 2, 3), True),
            ((5, 3), False),
            ((5, 3), True),
        ):
            x = pair(rng.normal(size=shape))
            n = shape[0 if options.get("batch_first") else 1]
            size = (layers, n, 4) if len(shape) == 3 else (layers, 4)
            state = [pair(rng.normal(size=size)) for _ in range(2 if name == "LSTM" else 1)]
            results = []
            for i, module in enumerate((ours, theirs)):
                hx = tuple(s[i] for s in state)
                results.append(module(x[i], (hx if name == "LSTM" else hx[0]) if start else None))
            ends = [r[1] if name == "LSTM" else (r[1],) for r in results]
            close(results[0][0], results[1][0])
            for a, b in zip(*ends):
                close(a, b)
            totals = [
                (r[0] ** 2).sum() + sum((e**3).sum() for e in end) for r, end in zip(results, ends)
            ]
            ours.zero_grad(), theirs.zero_grad()
            totals[0].backward(), totals[1].backward()
            for a, b in [x, *(state if start else [])]:
                close(a.grad, b.grad)
            for p, q in zip(ours.parameters(), theirs.parameters()):
                close(p.grad, q.grad)


def test_recurrent_layers_start_like_pytorchs():
    layer = nn.LSTM(3, 16)
    assert all(0.2 < np.abs(p.numpy()).max() <= 0.25 for p in layer.parameters())
