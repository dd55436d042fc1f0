"""9. Adam's moments: what m and v do while a network learns to read digits.

    python examples/9_adam_moments.py [FOLDER]

Adam keeps two numbers per weight: m, a running mean of its gradients, and v, one of their squares.
The step is lr * m_hat / sqrt(v_hat): about lr where gradients agree, less where they do not.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

import minigrad
from minigrad import nn, optim

minigrad.manual_seed(0)
table, lr = minigrad.data.digits(), 0.005
images, labels = minigrad.tensor(table.features), minigrad.tensor(table.targets)
model = nn.MLP(64, [16, 10])
optimizer = optim.Adam(model.parameters(), lr=lr)

with minigrad.trace(model, optimizer) as run:
    for batch in minigrad.randint(len(images), (300, 32)):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# How long is a step, in units of lr? The first is 1: a single gradient has nothing to disagree
# with. Then signs differ, which m averages away and v does not: steps shorten as noise is left.
# The hats: m and v start at 0, too small. After one step m is a tenth of the gradient, but v a
# thousandth of its square, and m / sqrt(v) is sqrt(10) times too long.
w = {name: np.concatenate([run[part][name].reshape(300, -1) for part in run.names], axis=1)
     for name in ("m", "v", "m_hat", "denominator", "delta")}
moved = (w["delta"] != 0).any(axis=0)
hats = abs(w["m_hat"] / w["denominator"])[:, moved]
bare = abs(w["m"] / (np.sqrt(w["v"]) + 1e-8))[:, moved]
print("step   loss  |step| / lr without hats")
for k in (0, 9, 99, 299):
    print(f"{k + 1:4d}  {run.loss[k]:.3f}", *(f"{np.median(x[k]):12.2f}" for x in (hats, bare)))
#> step   loss  |step| / lr without hats
#>    1  2.340         1.00         3.16
#>   10  2.140         0.32         2.06
#>  100  0.597         0.20         0.64
#>  300  0.134         0.12         0.24

# And the others? The corner pixel is blank in all pictures, so what it is multiplied by makes no
# difference to the loss: its gradient is 0, and so are m, v and the step.
print("never moved:", (~moved).sum(), "of", moved.size)  #> never moved: 93 of 1210
print(optimizer.explain("0.weight", (3, 0)))  #> Why it did not move:

try:
    from matplotlib.figure import Figure
except ImportError:
    print("With matplotlib installed, this example also draws a picture.")
    sys.exit()

one, blue, orange, grey = run["2.weight"], "#0072b2", "#b06000", "#98a2b3"
g, m, m_hat, v, v_hat, delta = (one[name][:, 0, 0] for name in "g m m_hat v v_hat delta".split())
panels = {
    "m: the mean of g": [(g, ".", grey, "g"), (m, "-", blue, "m"), (m_hat, "--", blue, "m_hat")],
    "sqrt(v): the usual size of g":
        [(abs(g), ".", grey, "|g|"), (v**0.5, "-", orange, "sqrt(v)"),
         (v_hat**0.5, "--", orange, "sqrt(v_hat)")],
    "The step of 2.weight[0, 0], in units of lr": [(-delta / lr, "-", "k", "m_hat / sqrt(v_hat)")],
    "The steps of all weights, in units of lr":
        [(np.percentile(hats, share, axis=1), style, "k", f"{share}% are shorter")
         for share, style in ((90, ":"), (50, "-"), (10, "--"))]}
figure = Figure(figsize=(11, 6.5), layout="constrained")
for axes, title in zip(figure.subplots(2, 2, sharex=True).flat, panels):
    for values, style, colour, label in panels[title]:
        axes.plot(run.steps, values, style, color=colour, markersize=3, label=label)
    axes.set(title=title, xlabel="step")
    axes.legend(frameon=False)
(folder := Path(sys.argv[1] if len(sys.argv) > 1 else "runs")).mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "adam_moments.png", dpi=90)
print("picture:", folder / "adam_moments.png")
