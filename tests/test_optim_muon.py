"""Muon against the singular value decomposition, and against PyTorch's, with its bfloat16 and
without."""

import numpy as np
import pytest

import minigrad
from minigrad.optim import Muon, Optimizer, rules

SHAPES = [(3, 5), (5, 3), (4, 4), (1, 6), (6, 1), (1, 1)]
COEFFICIENTS = (3.4445, -4.775, 2.0315)


def by_singular_values(matrix, steps=5):
    """What the iteration does, said otherwise: each singular value goes through the polynomial."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.sqrt((s * s).sum())
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return u * s @ vt


@pytest.mark.parametrize("shape", SHAPES)
def test_the_iteration_acts_on_the_singular_values_alone(shape):
    matrix = np.random.default_rng(0).normal(size=shape)
    for steps in (0, 1, 5):
        result = rules.orthogonalized(matrix, COEFFICIENTS, steps, 1e-7)
        np.testing.assert_allclose(result, by_singular_values(matrix, steps), atol=1e-13)
    assert np.linalg.svd(result)[1].min() > 0.6 and np.linalg.svd(result)[1].max() < 1.25


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjust", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", SHAPES)
def test_trajectories_equal_a_reference_by_singular_values(shape, adjust, nesterov):
    rng = np.random.default_rng(1)
    p = minigrad.tensor(rng.normal(size=shape), requires_grad=True)
    w, b = p.numpy().copy(), np.zeros(shape)
    optimizer = Muon([p], lr=0.1, weight_decay=0.2, momentum=0.8, nesterov=nesterov,
                     adjust_lr_fn=adjust)
    scale = 0.2 * max(shape) ** 0.5 if adjust == "match_rms_adamw" else (
        max(1, shape[0] / shape[1]) ** 0.5)
    for _ in range(10):
        g = rng.normal(size=shape) * 10 ** rng.uniform(-4, 2)
        p.grad = minigrad.tensor(g)
        optimizer.step()
        b = b + 0.2 * (g - b)
        direction = g + 0.8 * (b - g) if nesterov else b
        w = w * (1 - 0.1 * 0.2) - 0.1 * scale * by_singular_values(direction)
        np.testing.assert_allclose(p.numpy(), w, rtol=1e-9, atol=1e-11)
    assert optimizer.state[p]["b"] == pytest.approx(b)


def test_a_zero_gradient_only_decays_and_no_gradient_does_nothing():
    p = minigrad.tensor([[1.0, -2.0]], requires_grad=True)
    optimizer = Muon([p], lr=0.5, weight_decay=0.1)
    optimizer.step()
    assert p.tolist() == [[1.0, -2.0]]
    p.grad = minigrad.tensor([[0.0, 0.0]])
    optimizer.step()
    assert p.tolist() == [[0.95, -1.9]]


def test_the_scale_of_the_loss_does_not_matter_and_float32_stays():
    g = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    for factor in (1, 2.0**-10):
        w, b = rules.muon(np.zeros((4, 3), np.float32), factor * g, 0.0)
        assert w.dtype == b.dtype == np.float32
        np.testing.assert_allclose(w, rules.muon(0 * g, g, 0.0)[0], rtol=1e-5)


def test_an_empty_matrix_steps_to_itself():
    p = minigrad.tensor(np.zeros((3, 0)), requires_grad=True)
    q = minigrad.tensor([[1.0]], requires_grad=True)
    p.grad, q.grad = minigrad.tensor(np.zeros((3, 0))), minigrad.tensor([[1.0]])
    Muon([p, q]).step()
    assert p.shape == (3, 0) and q.item() < 1


def test_an_update_can_be_differentiated():
    w0 = np.random.default_rng(3).normal(size=(3, 2))

    def final(w):
        return rules.muon(w, w * w, 0.0, lr=0.5)[0]
    w = minigrad.tensor(w0, requires_grad=True)
    final(w).sum().backward()
    for place in np.ndindex(3, 2):
        h = np.zeros((3, 2))
        h[place] = 1e-6
        numeric = (final(w0 + h).sum() - final(w0 - h).sum()) / 2e-6
        assert w.grad.numpy()[place] == pytest.approx(numeric, rel=1e-5)


def test_the_rule_alone_is_refused_for_vectors_too():
    with pytest.raises(ValueError, match="muon steps matrices"):
        Optimizer([minigrad.tensor([1.0], requires_grad=True)], rule=rules.muon)


# --- PyTorch's -----------------------------------------------------------------------------------

def both(options, steps):
    """The weights after every step, by minigrad and by PyTorch."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    start = [rng.normal(size=shape) for shape in SHAPES]
    gradients = [[rng.normal(size=shape) * 10 ** rng.uniform(-5, 2) for shape in SHAPES]
                 for _ in range(steps)]
    if steps > 5:
        gradients[2] = [np.zeros(shape) for shape in SHAPES]
        gradients[4][1] = None
    paths = []
    for library in (minigrad, torch):
        make = lambda a, library=library, **options: library.tensor(a, dtype=library.float64,
                                                                    **options)
        parameters = [make(w, requires_grad=True) for w in start]
        optimizer = library.optim.Muon(parameters, **options)
        path = []
        for step in gradients:
            for p, g in zip(parameters, step):
                p.grad = None if g is None else make(g)
            optimizer.step()
            path.append([p.detach().numpy().copy() for p in parameters])
        paths.append(path)
    return paths


@pytest.mark.parametrize("options", [
    {}, {"lr": 0.1, "weight_decay": 0.3}, {"nesterov": False}, {"momentum": 0},
    {"adjust_lr_fn": "match_rms_adamw"}, {"adjust_lr_fn": "original"}, {"ns_steps": 2},
    {"ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 9}, {"eps": 0.1, "lr": 0.1}])
def test_sixty_steps_equal_torchs_algorithm_without_its_rounding(options, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())  # it stays float64
    ours, theirs = both(options, 60)
    for a, b in zip(ours, theirs):
        for x, y in zip(a, b):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)


def test_torchs_step_differs_by_the_rounding_of_bfloat16():
    """bfloat16 keeps 8 bits, half a unit of the last is 2**-9 = 0.2 %. The iteration multiplies
    errors of small singular values by up to 3.4 a round, and adds its own: some percent remain."""
    ours, theirs = both({"lr": 1.0, "weight_decay": 0, "momentum": 0}, 2)
    first, second = ([a - b for a, b in zip(path[1], path[0])] for path in (ours, theirs))
    for a, b in zip(first, second):
        assert 0 < np.linalg.norm(a - b) < 16 * 2**-8 * np.linalg.norm(a)
