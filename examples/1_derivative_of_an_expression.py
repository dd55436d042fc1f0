"""1. The derivative of an expression: write a formula, call backward(), read off every slope.

Lines after `#>` show what the program prints.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import minigrad

# A tensor that requires a gradient is a variable: whatever is computed from it remembers how.
x = minigrad.tensor(2.0, requires_grad=True, name="x")
w = minigrad.tensor(-3.0, requires_grad=True, name="w")

u = x * w          # -6
v = u + 10         #  4
y = v**2 + x       # 16 + 2: x is used a second time
print(y)           #> tensor(18., grad_fn=<add>)

# backward() starts at y with dy/dy = 1 and walks the record from the youngest entry to the oldest.
# Each operation knows one thing, how its own result changes with its inputs; the chain rule does
# the rest:
#
#     dy/dv = 2v            =   8
#     dy/du = dy/dv * 1     =   8
#     dy/dw = dy/du * x     =  16
#     dy/dx = dy/du * w + 1 = -23    x reaches y along two ways, and their slopes add up
y.backward()
print(v.grad, u.grad)  #> tensor(8.) tensor(8.)
print(w.grad)          #> tensor(16., name='w.grad')
print(x.grad)          #> tensor(-23., name='x.grad')


# Is it true? A slope is what is left of (f(x + h) - f(x - h)) / 2h when h is small. That needs no
# calculus at all, but two evaluations for every variable. backward() needs one walk for all.
def f(x, w):
    return (x * w + 10) ** 2 + x


h = 1e-6
print(f"{(f(2 + h, -3) - f(2 - h, -3)) / (2 * h):.4f}")  #> -23.0000
print(f"{(f(2, -3 + h) - f(2, -3 - h)) / (2 * h):.4f}")  #> 16.0000
