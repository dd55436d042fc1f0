"""Fixtures that several test files share."""

import numpy as np
import pytest


@pytest.fixture
def doubles():
    """PyTorch with minigrad's default dtype, for the time of a test."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def rng():
    """Random numbers, the same in every test."""
    return np.random.default_rng(3)
