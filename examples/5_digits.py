"""5. Handwritten digits: the training loop of every network, written out.

From `torch.manual_seed` down this page is PyTorch code, word for word. To run it there, replace
the imports by those in the comments.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import minigrad as torch        # import torch
from minigrad import nn, optim  # from torch import nn, optim
from minigrad.data import digits
from minigrad.utils.data import DataLoader, TensorDataset, random_split  # from torch.utils...

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)  # this is minigrad's default, PyTorch's is float32

# 1797 pictures of 8 x 8 pixels, as rows of 64 numbers from 0 (paper) to 1 (ink), and the digits.
table = digits()
images, labels = torch.tensor(table.features), torch.tensor(table.targets)

for row in images[0].reshape(8, 8).tolist():
    print("".join(" .:-=+*#%@"[round(9 * ink)] * 2 for ink in row))
print("This is a", labels[0].item())  #> This is a 0

# A fifth is held out: no picture the network is judged by has ever been used to train it.
training, held_out = random_split(TensorDataset(images, labels), [0.8, 0.2])
print(len(training), "to train on,", len(held_out), "held out")  #> 1438 to train on, 359 held out
batches = DataLoader(training, batch_size=32, shuffle=True)
tests = DataLoader(held_out, batch_size=len(held_out))

model = nn.Sequential(
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 10),  # ten scores, one for each digit; the largest is the answer
)
loss_function = nn.CrossEntropyLoss()  # small where the score of the right digit stands out
optimizer = optim.Adam(model.parameters(), lr=0.005)


def accuracy():
    """The share of the held-out pictures the model names rightly."""
    model.eval()  # no layer of this model minds, but dropout and batch norm would
    with torch.no_grad():
        right = sum((model(x).argmax(dim=1) == y).sum().item() for x, y in tests)
    model.train()
    return right / len(held_out)


# An epoch shows the network every training picture once, in a new order, a batch at a time. A
# batch is a poll: its gradient costs a fraction of the whole set's and points much the same way.
for epoch in range(1, 21):
    total = 0.0
    for x, y in batches:
        loss = loss_function(model(x), y)   # forward: how wrong are we?
        optimizer.zero_grad()               # forget the last batch's gradients
        loss.backward()                     # backward: which way is less wrong?
        optimizer.step()                    # one step that way
        total += loss.item() * len(x)
    if epoch in (1, 5, 10, 20):
        mean = total / len(training)
        print(f"epoch {epoch:2d}  loss {mean:.3f}  held out {accuracy():.1%} right")
#> epoch  1  loss 1.571  held out 85.0% right
#> epoch  5  loss 0.152  held out 96.9% right
#> epoch 10  loss 0.085  held out 98.1% right
#> epoch 20  loss 0.042  held out 98.6% right

# Ten pictures more or less are 3%, and another seed holds out others: expect 96% to 99%.
