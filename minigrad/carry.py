"""Carrying over: tensors and state dicts to PyTorch and back.

The one trick: there is nothing to translate. Layers here have PyTorch's parameters, its names and
its layout (a Linear's weight is of shape (outputs, inputs)), so a state dict fits one to one:

    torch_net.load_state_dict(minigrad.to_torch(net.state_dict()))
    net.load_state_dict(minigrad.from_torch(torch_net.state_dict()))

PyTorch is imported when one of the two functions is called, and by nothing else in minigrad.
"""

import collections.abc

import numpy as np

from minigrad.engine import Recorded, describe, wrap

__all__ = ["from_torch", "to_torch"]


def to_torch(value):
    """A Tensor as a torch.Tensor; a state dict (any nest of dicts, lists, tuples) of them likewise.

    A copy: same shape, dtype and requires_grad. Raises ImportError without PyTorch, RuntimeError
    for a tensor with history, which would be lost, TypeError for what is no tensor, number or text.
    """
    torch = pytorch()

    def one(t):
        if not t.is_leaf:
            raise RuntimeError(f"to_torch: the {describe(t)} has a history that PyTorch can't go "
                               "back through; give t.detach()")
        array = np.array(t.array, order="C")  # PyTorch knows no negative strides
        return torch.from_numpy(array).requires_grad_(t.requires_grad)
    return carried(value, Recorded, one, "to_torch")


def from_torch(value):
    """A torch.Tensor as a Tensor; a state dict (any nest of dicts, lists, tuples) of them likewise.

    A copy on the CPU: same shape, dtype and requires_grad. Raises as to_torch, and TypeError for
    dtypes that NumPy does not have (bfloat16) and for sparse tensors.
    """
    torch = pytorch()

    def one(t):
        if t.grad_fn is not None:
            raise RuntimeError(f"from_torch: the tensor of shape {tuple(t.shape)} has a history "
                               "(grad_fn) that would be lost; give t.detach()")
        try:
            array = t.detach().cpu().numpy().copy()
        except TypeError:
            array = None
        if array is None or array.dtype.kind not in "fiub":
            raise TypeError(f"from_torch: a {str(t.layout).removeprefix('torch.')} tensor of dtype "
                            f"{t.dtype} has no counterpart here; give t.to_dense() or t.float()")
        return wrap(array).requires_grad_(t.requires_grad)
    return carried(value, torch.Tensor, one, "from_torch")


def pytorch():
    try:
        import torch  # heavy, and only wanted here
    except ImportError:
        raise ImportError("to_torch and from_torch need PyTorch, which is not installed: "
                          "pip install torch") from None
    return torch


def carried(value, kind, one, name):
    """value with every tensor of the kind in it replaced by one(tensor)."""
    if isinstance(value, kind):
        return one(value)
    if isinstance(value, collections.abc.Mapping):
        return {key: carried(x, kind, one, name) for key, x in value.items()}
    if type(value) in (list, tuple):
        return type(value)([carried(x, kind, one, name) for x in value])
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    cure = ": give its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"{name} takes tensors and state dicts of this side, got "
                    f"{type(value).__module__}.{type(value).__name__}{cure}")
