"""12. New words: a network learns to spell, first through a window, then with attention."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import minigrad as torch        # import torch: but for the list of words, this is PyTorch code
from minigrad import nn, optim  # from torch import nn, optim
from minigrad.data import words

torch.manual_seed(0)
torch.set_default_dtype(torch.float32)

# A letter is a number: a is 1, ..., z is 26, and 0 stands before and after every word. Row by row,
# `letters` is a word as it is read and `following` what comes next (-100: nothing to learn).
LONGEST, vocabulary = 8, words()
letters = torch.zeros(len(vocabulary), LONGEST, dtype=torch.long)
following = torch.full((len(vocabulary), LONGEST), -100, dtype=torch.long)
for row, word in enumerate(vocabulary):
    code = torch.tensor([ord(letter) - ord("a") + 1 for letter in word])
    letters[row, 1:len(word) + 1], following[row, :len(word)] = code, code
    following[row, len(word)] = 0
held_out, training = torch.randperm(len(vocabulary)).split([800, len(vocabulary) - 800])
print(len(training), "words to learn from,", len(held_out), "held out")
#> 7117 words to learn from, 800 held out


class Window(nn.Module):
    """Sees the last four letters: each a vector (embedding), then an MLP with batch norm."""

    def __init__(self, size=4, width=12):
        super().__init__()
        self.size, self.embedding = size, nn.Embedding(27, width)
        self.mlp = nn.Sequential(nn.Linear(size * width, 96, bias=False), nn.BatchNorm1d(96),
                                 nn.Tanh(), nn.Linear(96, 27))

    def forward(self, x):
        before = torch.cat([torch.zeros(len(x), self.size - 1, dtype=torch.long), x], dim=1)
        seen = torch.stack([before[:, k:k + LONGEST] for k in range(self.size)], dim=2)
        return self.mlp(self.embedding(seen).reshape(len(x) * LONGEST, -1))


class Attention(nn.Module):
    """Sees the whole word so far: every letter asks (q) those before it (k) what they know (v)."""

    def __init__(self, width=48):
        super().__init__()
        self.letter, self.place = nn.Embedding(27, width), nn.Embedding(LONGEST, width)
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.mlp = nn.Sequential(nn.Linear(width, 96), nn.ReLU(), nn.Linear(96, 27))

    def forward(self, x):
        place = torch.arange(LONGEST)
        h = self.letter(x) + self.place(place)
        scores = self.q(h) @ self.k(h).transpose(1, 2) / h.shape[2] ** 0.5
        weights = scores.masked_fill(place > place[:, None], float("-inf")).softmax(dim=2)
        return self.mlp((h + weights @ self.v(h)).reshape(len(x) * LONGEST, -1))


def loss_of(model, rows):
    return nn.functional.cross_entropy(model(letters[rows]), following[rows].reshape(-1))


for model in (Window(), Attention()):  # a guess without any knowledge has the loss log 27 = 3.30
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    for batch in torch.randint(len(training), (1000, 64)):
        optimizer.zero_grad()
        loss_of(model, training[batch]).backward()
        optimizer.step()
    model.eval()
    print(f"{type(model).__name__}: loss {loss_of(model, held_out).item():.2f} on words held out")
    written = torch.zeros(8, LONGEST, dtype=torch.long)  # eight words, drawn letter by letter
    for k in range(1, LONGEST):
        chances = model(written).reshape(8, LONGEST, 27)[:, k - 1].softmax(dim=1)
        written[:, k] = torch.multinomial(chances, 1)[:, 0]
    for word in written.tolist():
        print("".join(" abcdefghijklmnopqrstuvwxyz"[code] for code in word[1:]).split(" ")[0])
#> Window: loss 2.26 on words held out
#> Attention: loss 2.20 on words held out
