"""14. Which mistake? Wrong code goes in, the name of the misconception comes out."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

from minigrad import coursework


# An optimizer in the form of CS231n. The moments, corrected for their start at zero, are kept.
def adam(w, dw, config):
    beta1, beta2 = config["beta1"], config["beta2"]
    t = config["t"] = config.get("t", 0) + 1
    m = (beta1 * config.get("m", 0) + (1 - beta1) * dw) / (1 - beta1**t)
    v = (beta2 * config.get("v", 0) + (1 - beta2) * dw**2) / (1 - beta2**t)
    config["m"], config["v"] = m, v
    return w - config["learning_rate"] * m / (np.sqrt(v) + config["epsilon"]), config


found = coursework.diagnose(adam, rule="adam")
print("Adam:", found.verdict, *found.causes)
#> Adam: mistake corrected-moments-stored
for level in ("where", "concept"):  # an instructor chooses how much is told; "formula" says all
    print(found.hint(level))
#> The correction is for this step only. What should the next step start from?


# An autograd engine in which backward() of a node calls that of its operands at once.
class Value:
    def __init__(self, data, operands=(), slopes=()):
        self.data, self.grad, self.operands, self.slopes = data, 0.0, operands, slopes

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def backward(self, g=1.0):
        self.grad += g
        for operand, slope in zip(self.operands, self.slopes):
            operand.backward(self.grad * slope)


found = coursework.diagnose_autograd(Value)
print("engine:", *found.causes)
#> engine: repropagates-accumulated
print(found.hint("concept"))
print(*found.program, sep="\n")  # the smallest graph that shows it; found.graph() draws it
#> d = c + c
#> print(a.grad)


# A layer, with the gradient of its bias averaged over the batch.
def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.mean(axis=0)


found = coursework.diagnose_backward(affine, affine_backward, [(4, 3), (3, 5), (5,)])
print("layer:", found.by_input)
#> layer: {'b': ('broadcast-averaged', 'divided by 4 = x.shape[0]')}

# A number that the check of a public course printed, where an error of 1e-7 was right.
found = coursework.diagnose_number("cs231n/adam", "next_w error", 0.2072)
print("check:", *found.causes)
#> check: no-bias-correction
