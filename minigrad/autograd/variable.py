"""autograd.Variable, a word of older lessons: today every tensor is one."""

from minigrad.engine import Recorded

__all__ = ["Variable"]


class Kind(type):
    def __instancecheck__(cls, x):
        return isinstance(x, Recorded)


class Variable(metaclass=Kind):
    """Variable(data, requires_grad=False): a leaf on the memory of the tensor data. Every tensor is
    an instance (torch.autograd.Variable)."""

    def __new__(cls, data, requires_grad=False):
        if not isinstance(data, Recorded):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}: use "
                            "tensor(data, requires_grad=...)")
        return data.detach().requires_grad_(requires_grad)
