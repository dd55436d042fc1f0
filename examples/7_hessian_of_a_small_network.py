"""7. The Hessian of a small network: gradients of gradients, and what they tell about a place.

Where the gradient is zero, ask the second derivatives, the Hessian matrix. If its eigenvalues are
all positive, it is a minimum; if the signs are mixed, a saddle: up some ways and down others.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.autograd import grad


def derivatives(f, variables):
    """The first and second derivatives of f by all n numbers in the variables: (n,) and (n, n)."""
    # create_graph=True records how the gradient is computed. So each slope in it is a tensor like
    # any other, with a gradient of its own: one row of the Hessian.
    slopes = minigrad.cat([g.flatten() for g in grad(f, variables, create_graph=True)])
    rows = [grad(slope, variables, materialize_grads=True) for slope in slopes]
    hessian = [np.concatenate([h.flatten().numpy() for h in row]) for row in rows]
    return slopes.detach().numpy(), np.array(hessian)


# The saddle of the lecture, x^2 - y^2. Its equation (2) has df/dy = 2y, without the minus.
x, y = minigrad.tensor(1.0, requires_grad=True), minigrad.tensor(1.0, requires_grad=True)
slopes, hessian = derivatives(x**2 - y**2, [x, y])
print("slopes at (1, 1):", slopes)                   #> slopes at (1, 1): [ 2. -2.]
print("eigenvalues:", np.linalg.eigvalsh(hessian))   #> eigenvalues: [-2.  2.]

# Now a network of seven parameters, two tanh neurons and their sum, that is to follow the sine.
minigrad.manual_seed(3)
network = nn.MLP(1, [2, 1], activation="tanh")
parameters = list(network.parameters())
inputs = minigrad.linspace(-2, 2, 9).reshape(9, 1)


def loss():
    return nn.functional.mse_loss(network(inputs), minigrad.sin(inputs))


def report(place):
    slopes, hessian = derivatives(loss(), parameters)
    print(f"{place}: loss {loss().item():.4f}, steepest slope {abs(slopes).max():.4f}")
    print("eigenvalues:", *np.linalg.eigvalsh(hessian).round(4) + 0.0)  # + 0.0 turns -0.0 to 0.0


# Adam finds a place without a slope. All eigenvalues are positive: a minimum, in a valley that is
# thousands of times steeper across than along. One step size for all would crawl through it.
optimizer = optim.Adam(parameters, lr=0.05)
for step in range(3000):
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
report("after training")
#> after training: loss 0.0012, steepest slope 0.0000
#> eigenvalues: 0.0004 0.0008 0.016 0.0516 0.2804 2.2737 2.7074

# Is that Hessian right? Moving one parameter by a little must change the slopes by its row.
(slopes, hessian), numeric, h = derivatives(loss(), parameters), [], 1e-6
for p in parameters:
    for index in np.ndindex(p.shape):
        p.data[index] += h
        numeric.append((derivatives(loss(), parameters)[0] - slopes) / h)
        p.data[index] -= h
print("differences agree:", np.allclose(hessian, numeric, atol=1e-4))  #> differences agree: True
print("it is symmetric:", np.allclose(hessian, hessian.T))             #> it is symmetric: True

# With all weights zero there is no slope either: no neuron says anything, none is asked. But the
# signs are mixed: a saddle, where gradient descent would stand still though two ways lead down.
# That is why networks start from random weights.
for p in parameters:
    nn.init.zeros_(p)
report("all weights zero")
#> all weights zero: loss 0.6133, steepest slope 0.0000
#> eigenvalues: -1.9538 -1.9538 0.0 0.0 1.9538 1.9538 2.0
