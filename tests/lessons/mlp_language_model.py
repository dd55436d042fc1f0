import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
words = "emma olivia ava isabella sophia mia amelia harper evelyn abigail emily ella".split()
stoi = {s: i for i, s in enumerate(["."] + sorted(set("".join(words))))}
X, Y, block = [], [], 3
for w in words:
    context = [0] * block
    for ch in w + ".":
        X.append(context)
        Y.append(stoi[ch])
        context = context[1:] + [stoi[ch]]
X, Y, V = torch.tensor(X), torch.tensor(Y), len(stoi)
rng = np.random.RandomState(7)
C, W1, b1, W2, b2 = parameters = [
    torch.tensor(rng.normal(size=s)) for s in ((V, 4), (12, 30), (30,), (30, V), (V,))]
print(X.shape, sum(p.nelement() for p in parameters))
for p in parameters:
    p.requires_grad = True
lrs = 10 ** torch.linspace(-3, 0, 40)
lossi = []
for i in range(40):
    ix = torch.tensor(rng.randint(0, X.shape[0], (16,)))
    emb = C[X[ix]]
    h = torch.tanh(emb.view(-1, 12) @ W1 + b1)
    loss = F.cross_entropy(h @ W2 + b2, Y[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    for p in parameters:
        p.data += -(lrs[i] if i < 20 else 0.05) * p.grad
    lossi.append(loss.log10().item())
print(torch.tensor(lossi).view(-1, 10).mean(1), lossi[-1])


@torch.no_grad()
def split_loss(x, y):
    h = torch.tanh(C[x].view(x.shape[0], -1) @ W1 + b1)
    return F.cross_entropy(h @ W2 + b2, y).item()


print(split_loss(X[:50], Y[:50]), split_loss(X[50:], Y[50:]))
emb = C[X]
print(torch.cat(torch.unbind(emb, 1), 1).eq(emb.view(-1, 12)).all())
print((h.abs() > 0.99).float().mean())
g, context = torch.Generator().manual_seed(10), [0] * block
for _ in range(20):
    probs = F.softmax(torch.tanh(C[torch.tensor([context])].view(1, -1) @ W1 + b1) @ W2 + b2, dim=1)
    context = context[1:] + [torch.multinomial(probs, num_samples=1, generator=g).item()]
    assert 0 <= context[-1] < V
