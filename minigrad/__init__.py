"""minigrad: reverse-mode autodiff, small enough to read in an evening, faithful to PyTorch."""

from minigrad import autograd
