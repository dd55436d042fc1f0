"""8. One neuron, every update explained: each number of a training step can be asked where from.

Why is this gradient what it is? minigrad.explain. Why did that weight move so far? The optimizer's
explain. What happened over the whole run? minigrad.trace. And beside them: all of it by hand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim

# One example to learn from, two weights and a bias: y = tanh(w1 x1 + w2 x2 + b) is to become 1.
x = minigrad.tensor([[0.5, -1.0]], name="x")
neuron = nn.Linear(2, 1)
neuron.weight.data = minigrad.tensor([[0.8, 0.3]])
neuron.bias.data = minigrad.tensor([0.4])
optimizer = optim.Adam(neuron.parameters(), lr=0.1)

with minigrad.trace(neuron, optimizer) as run:  # watches; nothing inside has to change
    for step in range(1, 6):
        loss = ((minigrad.tanh(neuron(x)) - 1.0) ** 2).mean()
        loss.name = "loss"
        optimizer.zero_grad()
        loss.backward()
        if step == 1:
            # Every operation between the weight and the loss is one factor of the gradient.
            print(minigrad.explain(loss, neuron.weight, (0, 0)))
        optimizer.step()
#> d loss / d weight[0, 0] = -0.423

# The last update: the rule that ran, line by line, with the numbers it ran on.
print(optimizer.explain("weight", (0, 0)))
#> m_hat = m / (1 - beta1**t) = -0.05945 / 0.40951 = -0.1452             slide (14)

# The whole run, of the same weight. Adam's first step is lr, here 0.1, whatever the gradient is.
weight = run["weight"]
recorded = [weight[name][:, 0, 0] for name in ("data", "grad", "m", "v", "delta")]
print("step    loss   weight      grad         m         v     delta")
for step, loss, (w, *others) in zip(run.steps, run.loss, np.transpose(recorded)):
    print(f"{step:4d}  {loss:.4f}  {w:.5f}", *(f"{number:+.6f}" for number in others))
#> step    loss   weight      grad         m         v     delta
#>    1  0.2893  0.80000 -0.423017 -0.042302 +0.000179 +0.100000
#>    2  0.1331  0.90000 -0.217665 -0.059838 +0.000226 +0.093635
#>    5  0.0140  1.15309 -0.026394 -0.059447 +0.000240 +0.066203

# The same by hand, weights and bias in one vector: the bias is the weight of an input that is 1.
# The gradient has three factors, of the square, of tanh and of the weighted sum.
theta, inputs = np.array([0.8, 0.3, 0.4]), np.array([0.5, -1.0, 1.0])
m, v, by_hand = 0, 0, []
for t in range(1, 6):
    y = np.tanh(theta @ inputs)
    g = 2 * (y - 1) * (1 - y**2) * inputs
    m = 0.9 * m + 0.1 * g         # where to: a running mean of the gradients
    v = 0.999 * v + 0.001 * g**2  # how large: a running mean of their squares
    delta = -0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    by_hand.append([theta[0], g[0], m[0], v[0], delta[0]])
    theta = theta + delta
print("by hand the same:", np.allclose(np.transpose(by_hand), recorded, rtol=1e-12, atol=0))
#> by hand the same: True
