"""11. Change the import: one script, run by minigrad and by PyTorch, and the weights moved over.

Without PyTorch installed, the first half runs and the second says what is missing.
"""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import minigrad

# A PyTorch script as one finds them, here as a text so that it can be run twice. From outside come
# the points and labels to learn, and `start`, the weights to start from.
SCRIPT = """
import torch
from torch import nn, optim

torch.set_default_dtype(torch.float64)
x, y = torch.tensor(points), torch.tensor(labels)
net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
net.load_state_dict(start)
optimizer = optim.AdamW(net.parameters(), lr=0.02, weight_decay=0.01)
scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=200)
losses = []
for step in range(200):
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
"""

# Two lines change, the imports:
OURS = SCRIPT.replace("import torch\n", "import minigrad as torch\n").replace(
    "from torch import", "from minigrad import")

table = minigrad.data.moons(100)
data = {"points": table.features.tolist(), "labels": table.targets.tolist()}
minigrad.manual_seed(0)
start = minigrad.nn.Sequential(
    minigrad.nn.Linear(2, 16), minigrad.nn.Tanh(), minigrad.nn.Linear(16, 2)).state_dict()


def trained(script, start):
    """What the names of a script stand for after it has run."""
    names = {**data, "start": start}
    exec(script, names)
    return names


def show(library, losses):
    print(f"{library:9s} loss", *[f"{losses[k]:.6f}" for k in (0, 1, 50, 199)])


ours = trained(OURS, start)
show("minigrad", ours["losses"])
#> minigrad  loss 0.587962 0.538102 0.214892 0.068866

# The same from the same weights in PyTorch. A state dict has the same names and shapes on both
# sides: to_torch and from_torch only change the kind of tensor in it.
if importlib.util.find_spec("torch") is None:
    print("PyTorch is not installed: pip install torch, and this page goes on here")
else:
    theirs = trained(SCRIPT, minigrad.to_torch(start))
    show("torch", theirs["losses"])

    # And back: the weights that PyTorch has trained are, but for rounding, those trained here.
    back = minigrad.from_torch(theirs["net"].state_dict())
    gap = max((back[name] - w).abs().max().item() for name, w in ours["net"].state_dict().items())
    print("trained weights differ by less than 1e-9:", gap < 1e-9)
    ours["net"].load_state_dict(back)  # a net that PyTorch has trained, at work here
