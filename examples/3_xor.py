"""3. XOR: what a single neuron cannot learn, and a hidden layer can.

"Exactly one of two" is the smallest problem that no straight line solves: whichever line you draw
between the four corners of a square, one corner ends up on the wrong side.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import minigrad
from minigrad import nn, optim

minigrad.manual_seed(0)

x = minigrad.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
target = minigrad.tensor([[0.0], [1.0], [1.0], [0.0]])
loss_function = nn.MSELoss()


def trained(model, steps=2000):
    """The loss of the model after so many steps of gradient descent on all four cases."""
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    for step in range(steps):
        loss = loss_function(model(x), target)
        optimizer.zero_grad()  # gradients add up until they are told to start again
        loss.backward()
        optimizer.step()
    return loss.item()


def answers(model):
    with minigrad.no_grad():
        return [f"{y:.2f}" for y in model(x).flatten().tolist()]


# One neuron draws one straight line. The best it can do is to answer "one half" to everything:
# wrong by 0.5 each time, a loss of 0.25.
line = nn.Linear(2, 1)
print(f"one neuron      loss {trained(line):.4f}")  #> one neuron      loss 0.2500
print("answers to 00 01 10 11:", *answers(line))
#> answers to 00 01 10 11: 0.50 0.50 0.50 0.50

# Four neurons in between draw four lines, bent by tanh, and the last one weighs them against each
# other. Without the tanh this would still be one straight line: lines of lines are lines.
network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
print(f"hidden layer    loss {trained(network):.4f}")  #> hidden layer    loss 0.0000
print("answers to 00 01 10 11:", *answers(network))
#> answers to 00 01 10 11: 0.00 1.00 1.00 0.00

# Nobody told the hidden neurons what to look for. Each row: the answers of one to the four cases.
with minigrad.no_grad():
    hidden = network[1](network[0](x)).T
for i, row in enumerate(hidden.tolist()):
    print(f"hidden neuron {i}:", *[f"{h:+.1f}" for h in row])
#> hidden neuron 0: -0.7 -0.2 -0.9 -0.8
#> hidden neuron 1: -0.2 +0.8 +0.9 +1.0
#> hidden neuron 2: -0.8 -0.1 -0.5 +0.5
#> hidden neuron 3: +0.3 +0.7 +0.8 +0.9
