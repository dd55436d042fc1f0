"""The known mistakes of autograd engines: a table, one row each.

The one trick: a mistake is a switch on the right engine, not an engine of its own. The walk and the
derivatives are those of minigrad; a row says what is different (`switches`, read by
engine_model.py), where it can sit (`places`), and what a student may be told about it. Adding a
misconception is adding a row.

Letters in rules: g the gradient arriving, y the output (z for two inputs), x and w the inputs.
"""

import functools
from collections import namedtuple

import numpy as np

Fault = namedtuple("Fault", "id title concept formula source switches places course",
                   defaults=((), None))
# A switch: what kind of thing is different, to what, in which operation (None: everywhere).
Switch = namedtuple("Switch", "fault kind value place")

UNARY = ("neg", "power", "relu", "tanh", "sigmoid", "exp", "log", "sqrt")
BINARY = ("add", "sub", "mul", "div", "matmul")
SHAPING = ("sum", "mean", "max", "getitem", "permute", "reshape", "softmax", "log_softmax")
OPERATIONS = BINARY + UNARY + SHAPING
EVERYWHERE = (None, *OPERATIONS)
ELEMENTWISE = (None, "add", "sub", "mul", "div")
OF_TENSORS, BY_NUMBER = " of tensors", " by a number"
AXES = ("columns", "whole", "shifted columns", "shifted whole")  # what softmax may sum over
SOFTMAXES = (("softmax",), ("log_softmax",), ("softmax", "log_softmax"))
THE_WALKS = ("within one pass", "path by path", "everywhere")  # of no single operation


def only(op, *rules):
    """A switch that replaces rules of one operation (None: the right rule stays)."""
    return "rules", {(op, i): rule for i, rule in enumerate(rules) if rule is not None}


def mirrored(g, y, x, dim, keepdim=False):
    """As softmax's rule, with the sum over the other axis."""
    return y * (g - (g * y).sum(axis=0, keepdims=True))


def restored(g, x, dim, keepdim):
    """The gradient of a sum over `dim`, in the shape of what was summed."""
    g = g if keepdim or dim is None else np.expand_dims(g, dim)
    return np.broadcast_to(g, x.shape)


# Factors of a matrix product that are not, or wrongly, transposed: for x, for w.
WRONG_X = (None, lambda g, z, x, w: g @ w, lambda g, z, x, w: w.T @ g, lambda g, z, x, w: w @ g.T)
WRONG_W = (None, lambda g, z, x, w: x @ g, lambda g, z, x, w: g @ x.T, lambda g, z, x, w: g.T @ x)

# fmt: off
FAULTS = (
    # --- how gradients are collected ---
    Fault("overwrites-gradient", "a gradient is overwritten where it should be added to",
          "A tensor that is used twice gets a share of the gradient from each use.",
          "grad += share, not grad = share",
          "CS231n, Backpropagation notes: gradients add up at forks",
          (("overwrite", True), ("overwrite", "within one pass"), ("overwrite", "path by path"),
           ("overwrite", (0,)), ("overwrite", (1,))), EVERYWHERE),
    Fault("repropagates-accumulated", "a gradient is sent on before it is complete, and then again",
          "A node may send its gradient on only once, when all its uses have contributed.",
          "visit nodes in reverse topological order; do not recurse from inside each rule",
          "karpathy/micrograd issue 2",
          (("order", "recursive"), ("order", "recursive by input"), ("order", "recursive, set"))),
    Fault("wrong-visit-order", "nodes send their gradient on before it is complete",
          "Neither breadth-first nor depth-first order waits for all uses of a node.",
          "reverse topological order: every user of a node before the node itself",
          "derived; see micrograd's topological sort",
          (("order", "breadth"), ("order", "depth"), ("order", "stack"),
           ("order", "stack, marked early"), ("order", "breadth, last first"),
           ("order", "depth, set"), ("order", "breadth, set"))),
    Fault("topological-order-without-visited", "a node that is used twice is visited twice",
          "The list of nodes must hold each node once.",
          "keep a set of visited nodes while building the list",
          "derived from the topological sort of Karpathy's lecture",
          (("order", "unvisited"), ("order", "unvisited, set"),
           ("order", "unvisited, by generation"))),
    Fault("gradient-aliased", "two gradients are one array: what changes one changes the other",
          "An array that is handed on is not copied: += changes it for everybody who holds it.",
          "x.grad = g.copy(), or x.grad = x.grad + g in place of x.grad += g",
          "NumPy, Copies and views",
          (("aliased", "all"), ("aliased", "arrays"), ("aliased", "seed"), ("writes", "relu"),
           ("writes", "tanh"), ("writes", "sigmoid"))),
    Fault("order-not-reversed", "the nodes are visited from the inputs to the result",
          "Backward begins at the result: its inputs get nothing before it has sent.",
          "for node in reversed(order): node._backward()",
          "Karpathy, The spelled-out intro to neural networks and backpropagation",
          (("order", "forward"),)),
    Fault("repeated-operand-lost", "an operand that is given twice counts once",
          "x * x has two operands, though they are one tensor: each has its share.",
          "keep operands in a tuple, not in a set or in a dict keyed by the operand",
          "derived; micrograd keeps _prev in a set for the sort only",
          (("parents", "set"),), (None, *BINARY)),
    Fault("seed-missing", "nothing starts the backward pass",
          "The derivative of the result with respect to itself is 1.",
          "self.grad = 1 before the rules run",
          "Karpathy, The spelled-out intro to neural networks and backpropagation",
          (("seed", 0.0),)),
    Fault("upstream-ignored", "a rule does not multiply with the gradient that arrives",
          "Chain rule: what comes from above, times the local derivative.",
          "grad += local derivative * out.grad",
          "derived: passes every check whose upstream gradient is 1",
          (("upstream", "ignored"), ("upstream", (0,)), ("upstream", (1,)),
           ("upstream", "path by path")), EVERYWHERE),
    Fault("interior-gradients-not-cleared", "a second backward() starts from the first one's sums",
          "Only leaves accumulate over calls; what is in between starts from 0 each time.",
          "set the gradients of interior nodes to 0 at the start of backward()",
          "karpathy/micrograd issues 53, 54, 63, 102",
          (("second", "interior kept"), ("second", "all kept")),
          course="micrograd: one backward() per graph"),
    Fault("leaf-gradients-cleared", "a second backward() forgets the first one's gradients",
          "Gradients of leaves accumulate until zero_grad() clears them.",
          "do not reset the gradients of leaves in backward()",
          "PyTorch, torch.Tensor.backward",
          (("second", "cleared"),), course="CMU 10-414 (needle): each backward() sets .grad"),
    # --- derivatives ---
    Fault("product-rule-wrong-factor", "a factor gets itself where it should get the other one",
          "The derivative of a product with respect to one factor is the other factor.",
          "d(x * w)/dx = w and d(x * w)/dw = x", "calculus",
          (only("mul", lambda g, z, x, w: g * x, lambda g, z, x, w: g * w),
           only("mul", lambda g, z, x, w: g * x), only("mul", None, lambda g, z, x, w: g * w),
           only("mul", lambda g, *_: g, lambda g, *_: g))),
    Fault("subtraction-sign", "the sign of what is subtracted is lost",
          "The result falls when what is subtracted grows.",
          "d(x - w)/dw = -1", "calculus",
          (only("sub", None, lambda g, *_: g), only("neg", lambda g, *_: g),
           only("sub", lambda g, *_: -g))),
    Fault("quotient-rule", "the derivative by the denominator is wrong",
          "x / w is x times w to the power -1: the power rule gives sign and square.",
          "d(x / w)/dw = -x / w**2", "calculus",
          (only("div", None, lambda g, z, x, w: g * x / w**2),
           only("div", None, lambda g, z, x, w: -g * x / w),
           only("div", None, lambda g, z, x, w: g * x),
           only("div", lambda g, z, x, w: g * w), only("div", None, lambda g, z, x, w: -g / w**2))),
    Fault("power-factor-missing", "the exponent is missing as a factor",
          "Power rule: the exponent comes down as a factor.",
          "d(x**n)/dx = n * x**(n - 1)", "calculus",
          (only("power", lambda g, y, x, n: g * x ** (n - 1.0)),)),
    Fault("power-exponent-not-reduced", "the exponent is not reduced by 1",
          "Power rule: one factor x less than before.",
          "d(x**n)/dx = n * x**(n - 1)", "calculus",
          (only("power", lambda g, y, x, n: g * n * x ** float(n)),)),
    Fault("relu-gradient-at-zero", "relu sends a gradient on where its input is exactly 0",
          "At the kink any number from 0 to 1 is a subgradient; PyTorch takes 0.",
          "(x > 0) * g, not (x >= 0) * g", "TinyTorch issue 1336",
          (only("relu", lambda g, y, x: g * (x >= 0)),
           only("relu", lambda g, y, x: g * ((x > 0) + 0.5 * (x == 0)))),
          course="subgradient 1 or 1/2 at the kink"),
    Fault("relu-mask-missing", "relu passes every gradient on, or masks by the wrong thing",
          "Where relu gave 0, a small change of its input changes nothing.",
          "(x > 0) * g; of the output y, which is never below 0: (y > 0) * g, not (y >= 0) * g",
          "CS231n assignment 1, relu_backward",
          (only("relu", lambda g, y, x: g), only("relu", lambda g, y, x: g * (g > 0)),
           only("relu", lambda g, y, x: g * (x < 0)), only("relu", lambda g, y, x: g * y))),
    Fault("tanh-not-squared", "the square is missing in the derivative of tanh",
          "The derivative of tanh is 1 minus the square of its output.",
          "d tanh(x)/dx = 1 - y**2, y = tanh(x)", "calculus",
          (only("tanh", lambda g, y, x: g * (1 - y)),)),
    Fault("derivative-from-input", "a derivative that is written in the output is given the input",
          "exp, tanh, sigmoid have derivatives that are short in their output, not in their input.",
          "tanh: 1 - y**2; sigmoid: y * (1 - y); exp: y; sqrt: 1 / (2 * y), with y the output",
          "karpathy/nn-zero-to-hero issue 52",
          (only("tanh", lambda g, y, x: g * (1 - x**2)), only("exp", lambda g, y, x: g * x),
           only("sigmoid", lambda g, y, x: g * x * (1 - x)),
           only("sqrt", lambda g, y, x: g / (2 * x)))),
    Fault("derivative-from-output", "a derivative that is written in the input is given the output",
          "Here the derivative depends on what went in.",
          "log: 1 / x; exp: y, not exp(y)", "derived",
          (only("log", lambda g, y, x: g / y), only("exp", lambda g, y, x: g * np.exp(y)),
           only("power", lambda g, y, x, n: g * n * y ** (n - 1.0)))),
    Fault("sigmoid-factor-missing", "a factor of sigmoid's derivative is missing",
          "The derivative is a product of the output and what it lacks to 1.",
          "d sigmoid(x)/dx = y * (1 - y)", "calculus",
          (only("sigmoid", lambda g, y, x: g * y), only("sigmoid", lambda g, y, x: g * (1 - y)),
           only("sigmoid", lambda g, y, x: g * (1 - y**2)))),
    Fault("local-derivative-missing", "a rule passes the gradient on unchanged",
          "Chain rule: what comes from above, times the local derivative.",
          "grad += local derivative * out.grad", "derived",
          (("local", "missing"), ("local", "everywhere")),
          (None, "power", "tanh", "sigmoid", "exp", "log", "sqrt")),
    Fault("sign-flipped", "a gradient has the wrong sign",
          "Does the result grow or fall when this input grows?", "change the sign", "derived",
          (("scale", -1.0),), EVERYWHERE),
    Fault("factor-two", "a gradient is twice or half of what it should be",
          "Look for a 2 that a square brings down, or that was cancelled by 1/2 already.",
          "d(x**2)/dx = 2 * x", "CS231n assignment 1, TODO on the regularization's factor",
          (("scale", 2.0), ("scale", 0.5)), EVERYWHERE),
    # --- arrays ---
    Fault("broadcast-not-undone", "the gradient has the shape of the result, not of the input",
          "An entry that broadcasting has copied gets the sum over its copies.",
          "sum the gradient over the axes that broadcasting added or stretched",
          "jimfleming/differentiation issue 1",
          (("broadcast", "kept"), ("broadcast", "only added axes"),
           ("broadcast", "only stretched axes"), ("broadcast", "axes lost"),
           ("broadcast", "kept, left"), ("broadcast", "kept, right")), ELEMENTWISE),
    Fault("broadcast-averaged", "the gradient of a broadcast input is the mean over its copies",
          "Each copy contributes in full: shares are added, not averaged.",
          "sum, not mean, over the axes that broadcasting added or stretched",
          "jimfleming/differentiation issue 1",
          (("broadcast", "mean"), ("broadcast", "mean of added axes"),
           ("broadcast", "mean of stretched axes")), ELEMENTWISE),
    Fault("matmul-not-transposed", "a factor of a matrix product is not transposed",
          "The shapes say it: (n, k) @ (k, m) is (n, m); back to (n, k) leads the transpose.",
          "dx = g @ w.T and dw = x.T @ g", "CS231n, Backpropagation notes",
          [only("matmul", dx, dw) for dx in WRONG_X for dw in WRONG_W if dx or dw]),
    Fault("mean-for-sum", "the gradient of a sum is divided by the number of terms",
          "Each term of a sum has the derivative 1.",
          "sum: every entry gets g; mean: every entry gets g / N", "calculus",
          (("count", "sum"), only("sum", lambda g, y, x, dim, keepdim:
                                  restored(g, x, dim, keepdim) / x.size))),
    Fault("sum-for-mean", "the gradient of a mean is not divided by the number of terms",
          "Each term of a mean has the derivative 1 / N.",
          "mean: every entry gets g / N", "CMU 11-785, fast.ai: who divides by N",
          (("count", "mean"),)),
    Fault("mean-divided-by-length", "the gradient of a mean is divided by the length of one axis",
          "The mean of a matrix has rows times columns terms.",
          "x.size, not len(x), where all entries are averaged", "derived",
          [only("mean", lambda g, y, x, dim, keepdim, d=d:
                restored(g, x, dim, keepdim) / (x.shape[d] if x.ndim else 1)) for d in (0, -1)]),
    Fault("transpose-not-undone", "a gradient is not put back into the shape of the input",
          "Backward of a transpose transposes back; of a reshape, reshapes in the same order.",
          "permute: g.T; reshape: g.reshape(x.shape)", "derived",
          (only("permute", lambda g, y, x, dims: g), only("reshape", lambda g, y, x, shape: g),
           only("permute", lambda g, y, x, dims: g.reshape(x.shape)),
           only("reshape", lambda g, y, x, shape: g.reshape(x.shape, order="F")))),
    Fault("sum-axis-not-restored", "the axis that a sum took away is not put back",
          "Every entry gets the gradient of the sum it went into: along the axis that was summed.",
          "np.broadcast_to(np.expand_dims(g, axis), x.shape)", "derived",
          (only("sum", lambda g, y, x, dim, keepdim: g * np.ones_like(x)),
           only("sum", lambda g, y, x, dim, keepdim: g))),
    Fault("max-gradient-spread", "every entry gets the gradient of the largest one",
          "Only the entry that was the largest changes the maximum.",
          "g * (x == y)", "derived",
          (only("max", lambda g, y, x, dim, keepdim: g * np.ones_like(x)),
           only("max", lambda g, y, x, dim, keepdim: g * x),)),
    Fault("softmax-wrong-axis", "softmax sums over the wrong axis",
          "Each row is a distribution of its own: rows, not columns, sum to 1.",
          "np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)",
          "Stack Overflow 76450489",
          (*((how, names) for how in AXES for names in SOFTMAXES), only("softmax", mirrored),
           only("log_softmax", lambda g, y, x, dim: g - np.exp(y) * g.sum(0, keepdims=True)))),
    Fault("softmax-diagonal-only", "softmax is differentiated entry by entry",
          "When one logit grows, the other probabilities fall.",
          "dx = y * (g - (g * y).sum(axis=-1, keepdims=True))", "derived",
          (only("softmax", lambda g, y, x, dim: g * y * (1 - y)),
           only("log_softmax", lambda g, y, x, dim: g - np.exp(y) * g),
           only("log_softmax", lambda g, y, x, dim: g * (1 - np.exp(y))))),
    Fault("softmax-unstable", "softmax is nan where logits are large",
          "exp overflows; subtracting the largest logit first changes nothing else.",
          "z = z - z.max(axis=-1, keepdims=True) before np.exp",
          "Stack Overflow 76450489",
          [("overflow", names) for names in SOFTMAXES]),
    # --- forward ---
    Fault("reflected-operands-swapped", "2 - a is computed as a - 2 (or 2 / a as a / 2)",
          "__rsub__ is asked of the right operand: self is what is subtracted.",
          "__rsub__(self, other) is other - self", "Python, Data model: reflected operands",
          (("swapped", "Sub"), ("swapped", "Div"))),
    Fault("in-place-overwrites-value", "an in-place change alters what an older rule needs",
          "A rule is about the values of the forward pass.",
          "keep the value, or refuse the change, as PyTorch does", "PyTorch, version counters",
          (("in place", True),)),
)
# Told by what raises an exception, not by numbers.
REFLECTED = Fault("reflected-operator-missing", "an operator fails with a number on its left",
                  "Python asks the right operand where the left one does not know how.",
                  "__radd__ = __add__, __rmul__ = __mul__; __rsub__, __rtruediv__",
                  "micrograd's __radd__ and __rmul__", ())
# fmt: on

BY_ID = {fault.id: fault for fault in (*FAULTS, REFLECTED)}


@functools.cache
def switches():
    """Every switch of the table, each at each of its places; always the same ones."""
    found = [Switch(fault.id, kind, value, place) for fault in FAULTS
             for kind, value in fault.switches for place in (fault.places or (None,))
             if place is None or value not in THE_WALKS and (
                 value not in ((0,), (1,)) or place in BINARY)]
    for s in [*found]:  # needle has classes of their own for a tensor and a number
        for part in (OF_TENSORS, BY_NUMBER):
            if s.kind == "rules" and {op for op, _ in s.value} <= {*ELEMENTWISE}:
                rules = {(op + part, i): rule for (op, i), rule in s.value.items()}
                found.append(s._replace(value=rules))
            elif s.place in ELEMENTWISE[1:] and s.kind != "broadcast":
                found.append(s._replace(place=s.place + part))
    return tuple(found)
