"""10. Step through backward: the whole backward pass, one node at a time.

    python examples/10_step_through_backward.py [PAGE.html]

backward() is a walk over the graph, from the loss back to the weights. At each node it does one
thing: multiply the gradient that has arrived by the node's own derivative, and pass it on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad.inspect import GraphvizNotFound

# Two inputs, two hidden neurons, one output, two samples: small enough to follow with a pencil.
x = minigrad.tensor([[1.0, 2.0], [-1.0, 0.5]], name="x")
y = minigrad.tensor([[1.0], [-1.0]], name="y")
W1 = minigrad.tensor([[0.5, -0.3], [0.2, 0.8]], requires_grad=True, name="W1")
b1 = minigrad.tensor([0.1, -0.1], requires_grad=True, name="b1")
W2 = minigrad.tensor([[0.7], [-0.4]], requires_grad=True, name="W2")

h = minigrad.tanh(x @ W1 + b1)
h.name = "h"
out = h @ W2
out.name = "out"
loss = ((out - y) ** 2).mean()
loss.name = "loss"

steps = minigrad.backward_steps(loss)
print(steps)  # every node, the gradient that arrives there as g, and what it passes on
#> backward from loss, one node at a time: 10 steps, youngest first

# The order is no accident. A node has its turn when all that was computed from it has had its own,
# so that g is complete; the youngest first is such an order. Therefore each node needs only one
# visit, however many ways lead through it.
numbers = {step.name: step.number for step in steps}
print("inputs come later:",
      all(numbers[share.name] > step.number for step in steps for share in step.contributions))
#> inputs come later: True

# The rules are NumPy, and they are the ones that run: evaluate one, and the same numbers come out.
step = next(step for step in steps if step.name == "out")
for share in step.contributions:
    arrays = {word: t.numpy() for word, t in share.names.items() if word != "g"}
    same = np.array_equal(eval(share.rule, {"g": step.incoming, **arrays}), share.value)
    print(f"{share.name}.grad += {share.rule}  the same to the bit: {same}")
#> h.grad += g @ W2.T  the same to the bit: True
#> W2.grad += h.T @ g  the same to the bit: True

# What is passed to a tensor adds up to its gradient. backward() does nothing else.
loss.backward()
for t in (W1, b1, W2):
    total = sum(share.value for step in steps for share in step.contributions if share.input is t)
    print(f"{t.name}.grad is the sum of its shares:", np.array_equal(total, t.grad.numpy()))
#> W1.grad is the sum of its shares: True

# The same as a page: forwards and back with the arrow keys, over the drawn graph.
page = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/backward.html")
page.parent.mkdir(parents=True, exist_ok=True)
try:
    print("page:", steps.save(page))
except GraphvizNotFound:
    print("With a Graphviz layout program installed, this example also writes a page.")
