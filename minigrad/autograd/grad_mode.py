"""Switches for recording: no_grad, enable_grad, set_grad_enabled (torch.autograd.grad_mode).

The one trick: whether operations are recorded is one flag of the running thread, which every
operation reads. A switch remembers the flag, sets it, and puts it back, also when an error passes.
"""

import functools

from minigrad.engine import mode, recording

__all__ = ["no_grad", "enable_grad", "set_grad_enabled", "inference_mode", "is_grad_enabled"]


class GradMode(recording):
    """A context manager and decorator: `with no_grad(): ...` or `@no_grad()`."""

    on = None

    def __init__(self):
        pass

    def __new__(cls, function=None):
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __call__(self, function):
        @functools.wraps(function)
        def switched(*args, **kwargs):
            with type(self)():
                return function(*args, **kwargs)
        return switched


class no_grad(GradMode):
    """Operations inside are not recorded: results do not require grad."""

    on = False


class enable_grad(GradMode):
    """Operations inside are recorded again, also within no_grad()."""

    on = True


class inference_mode(no_grad):
    """no_grad under its newer PyTorch name."""


class set_grad_enabled:
    """Switches recording on or off: at once, for a `with` block, or for calls of a decorated
    function."""

    def __init__(self, enabled):
        self.enabled = bool(enabled)
        self.previous, mode.recording = mode.recording, self.enabled

    def __call__(self, function):
        mode.recording = self.previous

        @functools.wraps(function)
        def switched(*args, **kwargs):
            with set_grad_enabled(self.enabled):
                return function(*args, **kwargs)
        return switched

    def __enter__(self):
        pass

    def __exit__(self, *exception):
        mode.recording = self.previous


def is_grad_enabled():
    """Is this thread recording?"""
    return mode.recording
