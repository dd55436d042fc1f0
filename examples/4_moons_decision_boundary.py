"""4. Two moons: train a classifier, then look at where it changes its mind.

    python examples/4_moons_decision_boundary.py [FOLDER]

Draws the boundary in letters and, with matplotlib, as a picture in FOLDER (default: runs).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.data import moons

minigrad.manual_seed(0)
# Points seen in training prove little: a network can learn them by heart. Fresh ones judge it.
train, fresh = moons(400, noise=0.15, seed=0), moons(400, noise=0.15, seed=1)
x, is_lower = minigrad.tensor(train.features), minigrad.tensor(train.targets).double()

# One output, the logit: above 0 the network says "lower moon", below 0 "upper moon". Its sigmoid
# is how sure the network is; BCEWithLogitsLoss takes it itself, where it cannot overflow.
network = nn.MLP(2, [16, 16, 1], activation="tanh")
loss_function = nn.BCEWithLogitsLoss()
optimizer = optim.Adam(network.parameters(), lr=0.02)


@minigrad.no_grad()
def logits(points):
    """The logits (n,) of the points (n, 2)."""
    return network(minigrad.tensor(points)).numpy()[:, 0]


def accuracy(table):
    return ((logits(table.features) > 0) == table.targets).mean()


for step in range(301):
    loss = loss_function(network(x)[:, 0], is_lower)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step:3d}  loss {loss.item():.3f}  fresh points {accuracy(fresh):.1%} right")
#> step   0  loss 0.693  fresh points 77.8% right
#> step 100  loss 0.018  fresh points 99.8% right
#> step 200  loss 0.007  fresh points 99.5% right
#> step 300  loss 0.003  fresh points 99.5% right

# The boundary is where the logit is 0: ask at every point of a grid, rows from the top down.
across, down = np.linspace(-1.6, 2.6, 76), np.linspace(1.7, -1.1, 26)
field = logits(np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)).reshape(26, 76)
letters = np.where(field > 0, ".", " ")
for point, target in zip(fresh.features, fresh.targets):
    nearest = np.abs(down - point[1]).argmin(), np.abs(across - point[0]).argmin()
    letters[nearest] = "x" if target else "o"
print("\no upper moon, x lower moon; dots where the network says lower\n")
print("\n".join("".join(row) for row in letters))

try:
    from matplotlib.figure import Figure
except ImportError:
    print("\nWith matplotlib installed, this example also draws a picture.")
    sys.exit()

# Blue and orange look different to every kind of colour vision, dots and crosses without colours.
axes = (figure := Figure(figsize=(7, 4.7), layout="constrained")).subplots()
axes.contourf(across, down, field, levels=[-99, 0, 99], colors=["#cfe3f1", "#fbe3b5"])
axes.contour(across, down, field, levels=[0], colors="black")
for k, name, colour, sign in (0, "upper moon", "#0072b2", "o"), (1, "lower moon", "#b06000", "x"):
    axes.scatter(*fresh.features[fresh.targets == k].T, s=18, c=colour, marker=sign, label=name)
axes.set(aspect="equal", title=f"Fresh points: {accuracy(fresh):.1%} right")
axes.legend(loc="upper left", frameon=False)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "moons.png", dpi=120)
print(f"\npicture: {folder / 'moons.png'}")
