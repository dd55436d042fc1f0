"""13. Print the backprop: the NumPy lines you would have derived by hand, and how fast they are.

    python examples/13_print_the_backprop.py [STEP.py]

All that loss.backward() does can be written down. So it can be read, run, and compiled.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim

# A saddle to learn, y = x1 x2, from 100 of its points.
points = np.random.default_rng(0).uniform(-1, 1, (100, 2))
x = minigrad.tensor(points, name="x")
y = minigrad.tensor(points[:, :1] * points[:, 1:], name="y")


def beginner():
    """(loss function, optimizer) of a network that has learnt nothing, the same in every call."""
    minigrad.manual_seed(0)
    net = nn.MLP(2, [16, 16, 1], activation="tanh")
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    return lambda x, y: nn.functional.mse_loss(net(x), y), optimizer


loss_of, optimizer = beginner()
loss = loss_of(x, y)
loss.backward()

# What happened? Forward, the operations; backward, the chain rule from the loss to the weights.
program = minigrad.source(loss)
print(program)
#> h1 = np.tanh(z1)
#> dz2 = dh2 * (1 - h2**2)
#> dW2 = dz2.T @ h1

# That is no picture of a program, it is one. Run it: all gradients, also those of z1, h1, ...,
# which no optimizer asks for, are the ones that backward() found, to the last bit.
names = {"np": np, **program.given}
exec(program.text, names)
same = {f"d{name}": np.array_equal(names[f"d{name}"], t.grad.numpy())
        for name, t in program.names.items() if f"d{name}" in names}
print(sum(same.values()), "of", len(same), "gradients are the same")
#> 11 of 11 gradients are the same

# And with the optimizer's rule, as a file that needs NumPy alone: `python runs/step.py` trains.
path = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/step.py")
path.parent.mkdir(parents=True, exist_ok=True)
minigrad.source(loss, optimizer).save(path)
print("program:", path)

# Training repeats that step. compile makes a program of it, too, but for speed: most results go
# into memory set aside once, named last. Both ways take turns, each from the same weights.
learners = {"eager": beginner(), "compiled": beginner()}
step = minigrad.compile(*learners["compiled"])
seconds, losses = {"eager": [], "compiled": []}, {"eager": [], "compiled": []}
for _ in range(500):
    for name, (loss_of, optimizer) in learners.items():
        start = time.perf_counter()
        if name == "compiled":
            loss = step(x, y)
        else:
            loss = loss_of(x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds[name].append(time.perf_counter() - start)
        losses[name].append(loss.item())
print(*step.source.partition("def step")[2].splitlines()[1:7], "    ...", sep="\n")
for name, values in seconds.items():
    print(f"{name:8s} loss {losses[name][-1]:.7f}, {np.median(values) * 1e6:4.0f} us per step")
print("equal losses in all steps:", np.allclose(losses["eager"], losses["compiled"], rtol=1e-9))
#> equal losses in all steps: True
