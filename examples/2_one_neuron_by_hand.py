"""2. One neuron by hand: every gradient derived on paper, next to the one backward() finds.

A neuron weighs its inputs, adds a bias and bends the sum. How wrong it is, is measured by a loss:

    z = w1 x1 + w2 x2 + b        y = tanh(z)        loss = (y - target)^2
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import math

import minigrad

x = minigrad.tensor([0.5, -1.0], requires_grad=True, name="x")
w = minigrad.tensor([0.8, 0.3], requires_grad=True, name="w")
b = minigrad.tensor(0.4, requires_grad=True, name="b")
target = 1.0

z = (w * x).sum() + b
y = minigrad.tanh(z)
loss = (y - target) ** 2
loss.backward()

# By hand, from the loss back to the inputs. Each line is an earlier one times one more factor, the
# derivative of one step of the forward pass. That is the whole economy of backpropagation: nothing
# is derived twice.
X1, X2, W1, W2, B = 0.5, -1.0, 0.8, 0.3, 0.4
Y = math.tanh(W1 * X1 + W2 * X2 + B)
dy = 2 * (Y - target)             # of (y - target)^2
dz = dy * (1 - Y**2)              # tanh' = 1 - tanh^2
dw1, dw2 = dz * X1, dz * X2       # z grows with w1 as fast as x1 says
dx1, dx2 = dz * W1, dz * W2       # and with x1 as fast as w1 says
db = dz                           # b is added as it is

rows = [
    ("y", dy, y.grad), ("z", dz, z.grad), ("b", db, b.grad),
    ("w1", dw1, w.grad[0]), ("w2", dw2, w.grad[1]),
    ("x1", dx1, x.grad[0]), ("x2", dx2, x.grad[1]),
]
print("gradient of   by hand   backward")
for name, by_hand, found in rows:
    print(f"{name:11s} {by_hand:+9.6f}  {found.item():+9.6f}")
    assert math.isclose(by_hand, found.item(), rel_tol=1e-12)
#> gradient of   by hand   backward
#> y           -1.075766  -1.075766
#> z           -0.846033  -0.846033
#> b           -0.846033  -0.846033
#> w1          -0.423017  -0.423017
#> w2          +0.846033  +0.846033
#> x1          -0.676827  -0.676827
#> x2          -0.253810  -0.253810

# What gradients are for: a small step against them makes the neuron less wrong. no_grad, because
# the step itself is bookkeeping and not part of the function we differentiate.
with minigrad.no_grad():
    w -= 0.1 * w.grad
    b -= 0.1 * b.grad
    after = (minigrad.tanh((w * x).sum() + b) - target) ** 2
print(f"loss {loss.item():.4f} -> {after.item():.4f}")  #> loss 0.2893 -> 0.1614
