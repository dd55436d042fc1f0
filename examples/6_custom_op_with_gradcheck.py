"""6. An operation of your own, with its derivative checked before it is trusted.

A neuron with tanh says "this side of the line" or "that side". This page gives it the bump
exp(-x^2) instead: "on the line" or "off it". Then one neuron is enough for XOR, which took five in
example 3.
"""

import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.gradcheck import GradcheckError, gradcheck


def bump_of(x):
    """The operation itself: plain NumPy on arrays, nothing else."""
    return np.exp(-x * x)


# An operation is a NumPy function and a rule for each input (a vector-Jacobian product, vjp). The
# rule says how a gradient g that arrives at the output y passes on to the input x: times dy/dx. It
# is easily written down wrongly; here the inner derivative of -x^2 was taken for -x:
wrong = minigrad.primitive(bump_of, lambda g, y, x: g * -x * y, name="wrong_bump")


def train_on_xor(bump):
    """Trains one neuron with a bump on XOR and prints what it has learnt."""
    minigrad.manual_seed(1)
    x = minigrad.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = minigrad.tensor([0.0, 1.0, 1.0, 0.0])
    neuron = nn.Linear(2, 1)
    optimizer = optim.Adam(neuron.parameters(), lr=0.05)
    for step in range(500):
        answers = bump(neuron(x)[:, 0])
        loss = nn.functional.mse_loss(answers, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    rounded = [f"{a:.2f}" for a in answers.tolist()]
    print(f"loss {loss.item():.4f}, answers to 00 01 10 11:", *rounded)


# The trouble with a wrong derivative is that training forgives it. Half a slope still points
# downhill, and Adam, which divides by the size of the gradient, does not notice a factor at all.
print("with the wrong rule:")
train_on_xor(wrong)
#> loss 0.0001, answers to 00 01 10 11: 0.01 1.00 1.00 0.01

# gradcheck does notice. It moves every number of the input a little, looks at what comes out, and
# compares. Float64 (the default) matters: with float32 the rounding would drown the differences.
x = minigrad.tensor([-1.0, 0.5, 2.0], requires_grad=True, name="x")
try:
    gradcheck(wrong, x)
except GradcheckError as error:
    print(textwrap.fill(str(error), 78))
#> gradcheck: the gradient with respect to 'x' (a tensor 'x' of shape (3,)) is
#> wrong at index (1,): analytic 0.4911801371, numeric 0.9823602742, error 0.491
#> (3 of 3 elements are off)

# The rule as calculus has it. order=2 checks the gradient of the gradient as well, for which no
# more has to be written: the rule consists of operations that have rules themselves.
bump = minigrad.primitive(bump_of, lambda g, y, x: g * -2 * x * y, name="bump")
print("the right rule passes:", gradcheck(bump, x, order=2))  #> the right rule passes: True
train_on_xor(bump)
#> loss 0.0001, answers to 00 01 10 11: 0.01 1.00 1.00 0.01

# (About one start in two ends on a line between the corners, at a loss of 0.25, and stays there: a
# gradient leads downhill, not to the lowest place. The seed above was chosen. Example 7 goes on.)
