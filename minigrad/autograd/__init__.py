"""Gradients: as values, of functions, of operations of your own, and with a lookout for NaN.

The names of torch.autograd. The machinery behind all of them is minigrad/backward.py.
"""

from minigrad.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from minigrad.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from minigrad.autograd.gradients import backward, grad
from minigrad.autograd.variable import Variable

from minigrad.gradcheck import gradcheck, gradgradcheck  # which stands on `gradients` above

from minigrad.autograd import function, functional
from minigrad.autograd.function import Function

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "function", "functional",
    "grad", "gradcheck", "gradgradcheck", "inference_mode", "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled", "is_grad_enabled", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]
