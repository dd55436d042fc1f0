"""Jacobians and Hessians of functions, and their products with vectors (torch.autograd.functional).

The one trick: a backward pass gives v^T J, the vector on the left. The gradient is linear in v, so
differentiating it with respect to v, by a second backward pass, puts the vector on the right: J v.
And all of the second order is of the first: the Hessian is the Jacobian of the gradient.

Everywhere: func takes tensors and returns a tensor or a tuple of them; inputs is one tensor or a
tuple. They are not changed, and no .grad is touched. create_graph=True: the results can be
differentiated again. strict=True: an error, in place of zeros, where a result does not depend on an
input at all (with create_graph, also where the result is a constant).

Letters: J[i][j] of shape (*output i, *input j), v the given vector, u the one that stands for it.
"""

import numpy as np

from minigrad import ops
from minigrad.autograd.grad_mode import enable_grad, set_grad_enabled
from minigrad.autograd.gradients import grad
from minigrad.engine import Recorded, mode, wrap
from minigrad.shaping import stack

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T J): v has the shapes of the outputs, the product those of the inputs.

    v may be left out where the output is a single number. RuntimeError if v does not fit.
    """
    with enable_grad():
        single, inputs = leaves(inputs, create_graph, "inputs", "vjp")
        lone, outputs = called(func, inputs, strict, "vjp")
        v = vector(v, outputs, lone, create_graph, "vjp", "the function returns")
    with set_grad_enabled(create_graph or mode.recording):
        product = gradients(outputs, inputs, v, create_graph)
        product = filled(product, inputs, strict, create_graph, "The output of the function")
    return finished(outputs, lone, create_graph), finished(product, single, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), J v): v has the shapes of the inputs, the product those of the outputs.

    v may be left out where the input is a single number. RuntimeError if v does not fit.
    """
    with enable_grad():
        single, inputs = leaves(inputs, create_graph, "inputs", "jvp")
        v = vector(v, inputs, single, create_graph, "jvp", "the input is")
        lone, outputs = called(func, inputs, strict, "jvp")
        # v^T J is linear in v: at which u it is differentiated does not matter.
        u = [zeros(y).requires_grad_() for y in outputs]
        product = gradients(outputs, inputs, u, True)
        if strict:
            filled(product, inputs, True, True, "The output of the function")
        product = filled(gradients(product, u, v, create_graph), outputs, strict, create_graph,
                         "The gradient", "entry {} of its output")
    return finished(outputs, lone, create_graph), finished(product, lone, create_graph)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), v^T H) of a function to a single number; v and the product are shaped like
    the inputs."""
    gradient = Gradient(func, inputs, strict, "vhp")
    _, product = vjp(gradient, inputs, v, create_graph, strict)
    return gradient.value(create_graph), product


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(func(*inputs), H v) of a function to a single number; v and the product are shaped like the
    inputs. H is symmetric where func is smooth: vhp gives the same with one pass less."""
    gradient = Gradient(func, inputs, strict, "hvp")
    _, product = jvp(gradient, inputs, v, create_graph, strict)
    return gradient.value(create_graph), product


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False,
             strategy="reverse-mode"):
    """J: a tensor of shape (*output, *input); for several inputs a tuple of them, for several
    outputs a tuple of those. One backward pass for each number of the outputs.

    vectorize and strategy are accepted and make no difference: the numbers are the same.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    with enable_grad():
        single, inputs = leaves(inputs, create_graph, "inputs", "jacobian")
        lone, outputs = called(func, inputs, strict, "jacobian")
        blocks = []
        for k, y in enumerate(outputs):
            rows = [filled(gradients([y], inputs, [v], create_graph), inputs, strict, create_graph,
                           f"Output {k} of the function") for v in unit_vectors(y)]
            blocks.append(finished([joined([row[i] for row in rows], y, x)
                                    for i, x in enumerate(inputs)], single, create_graph))
    return blocks[0] if lone else tuple(blocks)


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False,
            outer_jacobian_strategy="reverse-mode"):
    """H of a function to a single number: a tensor of shape (*input, *input); for a tuple of inputs
    a tuple of tuples of them. RuntimeError if the function returns anything but one number.

    vectorize and outer_jacobian_strategy are accepted and make no difference.
    """
    return jacobian(Gradient(func, inputs, strict, "hessian"), inputs, create_graph, strict,
                    vectorize, outer_jacobian_strategy)


class Gradient:
    """The gradient of a function to a single number, as a function of the same inputs."""

    def __init__(self, func, inputs, strict, name):
        self.func, self.strict, self.name = func, strict, name
        self.single = not isinstance(inputs, tuple)

    def __call__(self, *inputs):
        lone, outputs = called(self.func, inputs, self.strict, self.name)
        if not lone:
            raise RuntimeError(f"The function given to {self.name} should return a single Tensor, "
                               f"it returned a tuple of {len(outputs)}")
        if outputs[0].array.size != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {self.name} should "
                               f"contain a single element, it has shape {outputs[0].shape}")
        self.output = outputs[0]
        found = filled(gradients(outputs, inputs, None, True), inputs, self.strict, False,
                       "The output of the function")
        return found[0] if self.single else tuple(found)

    def value(self, create_graph):
        """What the function returned."""
        return self.output if create_graph else self.output.detach()


# --- arguments and results -----------------------------------------------------------------------

def tensors(x, what, name):
    """(was it a single tensor?, the tensors as a tuple)."""
    single = not isinstance(x, tuple)
    for t in (x,) if single else x:
        if not isinstance(t, Recorded):
            raise TypeError(f"The {what} given to {name} must be either a Tensor or a tuple of "
                            f"Tensors, got {'' if single else 'a tuple with '}{type(t).__name__}")
    return single, (x,) if single else x


def leaves(inputs, create_graph, what, name):
    """The inputs as tensors of the function's own: apart from the caller's graph, unless the
    results are to be differentiated through it."""
    single, inputs = tensors(inputs, what, name)
    return single, tuple(ops.clone(x) if create_graph and x.requires_grad
                         else x.detach().requires_grad_() for x in inputs)


def called(func, inputs, strict, name):
    """(is it a single output?, the outputs)."""
    lone, outputs = tensors(func(*inputs), "outputs of the function", name)
    for k, y in enumerate(outputs):
        if strict and not y.requires_grad:
            raise RuntimeError(f"Output {k} of the function given to {name} does not require "
                               "gradients: it does not depend on the inputs by operations that can "
                               "be differentiated, which strict=True asks for")
    return lone, outputs


def vector(v, like, single, create_graph, name, where):
    """v as a list of tensors shaped as those it stands beside, or None."""
    if v is None:
        if len(like) != 1 or like[0].array.size != 1:
            raise RuntimeError(f"{name}: the vector v can only be None if {where} a single Tensor "
                               "with a single element")
        return None
    _, v = tensors(v, "v", name)
    if len(v) != len(like):
        raise RuntimeError(f"{name}: v must be {'a single Tensor' if single else 'a tuple'} of as "
                           f"many tensors as {where}: should be {len(like)} but got {len(v)}")
    for k, (a, b) in enumerate(zip(v, like)):
        if a.array.shape != b.array.shape:
            raise RuntimeError(f"{name}: entry {k} of v has invalid size: should be "
                               f"{b.array.shape} but got {a.array.shape}")
    return [a if create_graph and a.requires_grad else a.detach() for a in v]


def gradients(outputs, inputs, v, create_graph):
    """grad() for outputs some of which may be missing (None) or constants; None where there is
    no way to an input."""
    starts = [None] * len(outputs) if v is None else v
    live = [(y, g) for y, g in zip(outputs, starts) if y is not None and y.requires_grad]
    if not live:
        return [None] * len(inputs)
    return list(grad([y for y, _ in live], inputs, [g for _, g in live],
                     create_graph=create_graph, allow_unused=True))


def filled(found, like, strict, create_graph, what, of="input {}"):
    """Gradients with zeros for those that are missing; with strict, an error."""
    for i, g in enumerate(found):
        if strict and g is None:
            raise RuntimeError(f"{what} is independent of {of.format(i)}. This is not allowed in "
                               "strict mode: without it, zeros are returned")
        if strict and create_graph and not g.requires_grad:
            raise RuntimeError(f"{what} has a derivative by {of.format(i)} that is independent of "
                               "the inputs, a constant. This is not allowed in strict mode when "
                               "it is to be differentiated again")
    return [zeros(x) if g is None else g for g, x in zip(found, like)]


def finished(found, single, create_graph):
    """Tensors as the caller gets them: one, or a tuple, with history only if asked for."""
    found = tuple(found) if create_graph else tuple(t.detach() for t in found)
    return found[0] if single else found


def zeros(x):
    return wrap(np.zeros_like(x.array))


def unit_vectors(y):
    """For each number of y: zeros of y's shape with a 1 in its place."""
    for k in range(y.array.size):
        v = zeros(y)
        v.array.reshape(-1)[k] = 1
        yield v


def joined(rows, y, x):
    """The rows of a Jacobian as one tensor of shape (*y, *x)."""
    shape = (*y.array.shape, *x.array.shape)
    return stack(rows).reshape(shape) if rows else wrap(np.zeros(shape, x.array.dtype))
