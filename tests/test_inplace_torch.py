"""In-place changes give PyTorch's values and gradients, to second order."""

import numpy as np
import pytest
from mirror import (
    compare,
    flat,
    gradients,
    leaves_of,
    positive,
    same,
    torch,
)

import minigrad

pytestmark = pytest.mark.usefixtures("doubles")


def program(text):
    """The function (m, x, y) whose body are the statements of text; it returns z."""
    names = {}
    body = "\n".join("    " + line for line in text.strip().replace("; ", "\n").split("\n"))
    exec(f"def run(m, x, y):\n{body}\n    return z", names)
    return names["run"]


# fmt: off
PROGRAMS = [
    "z = x * 1; z.add_(y)", "z = x * 1; z.sub_(y, alpha=2)", "z = x * 1; z.mul_(y)",
    "z = x * 1; z.div_(y)",
    "z = x * 1; z.pow_(3)", "z = x * 1; z.pow_(y)", "z = x * 1; z.exp_()", "z = x * 1; z.log_()",
    "z = x * 1; z.sqrt_()",
    "z = x * 1; z.neg_()", "z = x * 1; z.abs_()", "z = x * 1; z.tanh_()", "z = x * 1; z.sigmoid_()",
    "z = x * 1; z.relu_()",
    "z = x * 1; z.square_()", "z = x * 1; z.reciprocal_()", "z = x * 1; z.clamp_(0.5, 1)",
    "z = x * 1; z.fill_(2)",
    "z = x * 1; z.zero_()", "z = x * 1; z.copy_(y)", "z = x * 1; z.masked_fill_(x > 1, 2)",
    "z = x * 1; z += y; z *= y; z /= 3; z -= x",
    "z = x * 1; z **= 2; z = z + 1", "z = m.zeros(2, 3); z += x",
    "z = m.zeros(2, 3); z[0] = x[1]; z[1] += y[0]",
    "z = x * 1; z[0].mul_(y[1])", "z = x * 1; z[0] += y[0]", "z = x * 1; z[0][1:] *= y[1][:2]",
    "z = x * 1; z.T[0].exp_()",
    "z = x * 1; z.view(-1)[2:4].mul_(y.view(-1)[:2])", "z = x * 1; z.T[1:].T[0].add_(y[0, :2])",
    "z = x * 1; z.permute(1, 0)[:, 0].tanh_()",
    "z = x * 1; v = z[0]; v.mul_(2); z.add_(1); z = z + v",
    "z = x * 1; v = z[0]; z.mul_(y); z = (z, v, v * 2)",
    "z = x * 1; v = z[0]; w = v[1:]; w.mul_(3); z = (z, v + 0, w + 0)",
    "z = x * 1; v = z.view(3, 2); z[0, 0] = 5.0; z = v * v",
    "z = x * 1; v = z.view(6); v[::2].mul_(y.view(6)[1::2]); z = z.sum(0) * v[:3]",
    "z = x * 1; z[x > 1] = 0.0",
    "z = x * 1; z[x > 1] = y[x > 1] * 2", "z = x * 1; z[:, [0, 2]] = y[:, [2, 0]]",
    "z = x * 1; z[:, [0, 2]] *= y[:, :2]",
    "z = x * 1; z[[1, 0], [2, 0]] = y[0, :2]", "z = m.stack([x, y]); z[1, 0] += z[0, 1]",
    "z = x + 1; z.mul_(x); z.mul_(x)",
    "z = x * 1\nfor i in range(3):\n    z[:, i] = x[:, i] * i + y[:, 2 - i]",
    "z = m.zeros(4)\nfor i in range(4):\n    z[i] = (x * i).sum() + y[0, 0]",
    "z = x.unsqueeze(0); z = z * 1; z.squeeze(0).mul_(y)", "z = x * 1; z.flatten().mul_(2)", 
    "z = x * 1; z[0] = z[1]", "z = x * 1; z[:, 0] = z[:, 1] + z[:, 2]", "z = x * 1; z[0] += z[1]",
    "z = x * 1; z += z",
    "z = x * 1; z.sub_(z.clone())", "z = x * 1; z.detach().mul_(2); z = z + 1",
    "z = x * 1; z.data += 1; z = z + y",
    "z = x * 1\nwith m.no_grad():\n    z *= 2\nz = z + y",
    "z = x.detach().clone(); z.mul_(y); z[0] = x[0]", "z = x.T.contiguous(); z.mul_(y.T)",
    "z = x * 1; z[..., None].mul_(y[..., None])", "z = x * 1; z[None, :, 1].exp_()",
    "z = m.zeros_like(x); z[0] = x[0]; w = z * 2; z[1] = w[0]; z = (z, w)",
]
OWN_VALUES = ["z = x * 1; z.mul_(z)", "z = x * 1; z *= z[0]", "z = x * 1; z[0] *= z[1]",
              "z = x * 1; z[:, :2].mul_(z[:, 1:])",
              "z = x * 1; z.div_(z[:, :1])", "z = x * 1; z.pow_(z)", "z = x * 1; z.add_(z[0])",
              "z = x * 1; a, b = z.split([1, 2], 1); a.mul_(x[:, :1]); z = z + b[:, :1]"]
# fmt: on


@pytest.mark.parametrize("text", PROGRAMS)
def test_program(text):
    compare(program(text), positive(2, 3), positive(2, 3, seed=1))


@pytest.mark.parametrize("text", OWN_VALUES)
def test_own_values_are_right_or_refused(text):
    """z.mul_(z) overwrites what its own rule needs. PyTorch refuses some of these, and in
    z.div_(z[:, :1]) divides by numbers already divided; here they are never silently wrong."""
    inputs = positive(2, 3), positive(2, 3, seed=1)
    try:
        compare(program(text), *inputs)
    except (RuntimeError, AssertionError) as error:
        assert isinstance(error, AssertionError) == ("div_" in text)
        x = minigrad.tensor(inputs[0], requires_grad=True)
        try:
            (analytic,) = minigrad.autograd.grad(program(text)(minigrad, x, None).sum(), x)
        except RuntimeError as refused:
            assert "changed in place" in str(refused)
            return
        eps = 1e-6
        for index in np.ndindex(2, 3):
            ends = []
            for sign in (1, -1):
                moved = inputs[0].copy()
                moved[index] += sign * eps
                ends.append(program(text)(minigrad, minigrad.tensor(moved), None).sum().item())
            assert analytic[index].item() == pytest.approx(
                (ends[0] - ends[1]) / (2 * eps), rel=1e-5
            )


def outcome(library, run):
    """What a program did: its gradients, or that it was refused."""
    inputs = leaves_of((positive(2, 3), positive(2, 3, seed=1)), library)
    try:
        return gradients(library, flat(run(library, *inputs)), inputs, create_graph=False)
    except RuntimeError as error:
        assert "place" in str(error) or "single memory location" in str(error)
        return "refused"


def test_random_programs():
    """Of random programs, minigrad refuses only what PyTorch refuses, and is right on the rest."""
    steps = [
        "z[0] += y[1]",
        "z.mul_(1.5)",
        "z[:, 1] = y[:, 0]",
        "v = z[1]",
        "v = z.view(-1)[1:4]",
        "v.mul_(0.7)",
        "v += y[0, :3]",
        "z = z * v.sum()",
        "z.tanh_()",
        "v = v.exp()",
        "z.T[1].add_(v.sum())",
        "z[z > 1] = 0.5",
        "u = z + 0",
        "z.add_(u)",
        "z[0] = v",
        "v = z[0]",
        "z = z.clone()",
        "u.mul_(z)",
    ]
    random = np.random.default_rng(5)
    for _ in range(300):
        chosen = [steps[i] for i in random.integers(0, len(steps), 5)]
        text = "; ".join(["z = x * 1", "v = z[0]", "u = z * 2", *chosen, "z = (z, v + 0, u * 1)"])
        ours, theirs = outcome(minigrad, program(text)), outcome(torch, program(text))
        if theirs != "refused":
            assert ours != "refused", text
            for i, (mine, yours) in enumerate(zip(ours, theirs)):
                assert (mine is None) == (yours is None), text
                if mine is not None:
                    same(mine, yours, f"{text}: gradient {i}")
