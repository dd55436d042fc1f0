import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
words = "emma olivia ava isabella sophia mia amelia harper evelyn abigail".split()
chars = ["."] + sorted(set("".join(words)))
stoi = {s: i for i, s in enumerate(chars)}
N = torch.zeros((len(chars), len(chars)), dtype=torch.int32)
pairs = [(stoi[a], stoi[b]) for w in words for a, b in zip("." + w, w + ".")]
for a, b in pairs:
    N[a, b] += 1
P = (N + 1).double()
P /= P.sum(1, keepdim=True)
g = torch.Generator().manual_seed(2147483647)
ix = torch.multinomial(P[0], num_samples=20, replacement=True, generator=g)
print(N.sum(), N[0], ix.shape, (P[0][ix] > 0).all(), N.max(), (N > 2).sum())

log_likelihood, n = 0.0, 0
for a, b in pairs:
    log_likelihood += torch.log(P[a, b])
    n += 1
nll = -log_likelihood
print(f"{nll / n} {nll / n:.4f}", n)

xs, ys = (torch.tensor(side) for side in zip(*pairs))
num = xs.nelement()
W = torch.linspace(-1, 1, len(chars) ** 2).view(len(chars), -1).sin().requires_grad_()
for k in range(20):
    xenc = F.one_hot(xs, num_classes=len(chars)).double()
    logits = xenc @ W
    counts = logits.exp()
    probs = counts / counts.sum(1, keepdims=True)
    loss = -probs[torch.arange(num), ys].log().mean() + 0.01 * (W**2).mean()
    W.grad = None
    loss.backward()
    W.data += -50 * W.grad
    if k % 5 == 0:
        print(k, loss.item())
print(torch.allclose(F.cross_entropy(logits, ys), -logits.log_softmax(1)[range(num), ys].mean()))
