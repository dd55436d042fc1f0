import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
rng = np.random.RandomState(3)
n, V = 20, 11
C, W1, b1, W2, b2 = parameters = [
    torch.tensor(rng.normal(size=s) * 0.5) for s in ((V, 5), (15, 16), (16,), (16, V), (V,))]
bngain, bnbias = torch.ones((1, 16)), torch.zeros((1, 16))
running_mean, running_var = torch.zeros((1, 16)), torch.ones((1, 16))
parameters += [bngain, bnbias]
for p in parameters:
    p.requires_grad = True
Xb, Yb = torch.tensor(rng.randint(0, V, (n, 3))), torch.tensor(rng.randint(0, V, (n,)))

emb = C[Xb]
embcat = emb.view(emb.shape[0], -1)
hprebn = embcat @ W1 + b1
bnmeani = 1 / n * hprebn.sum(0, keepdim=True)
bndiff = hprebn - bnmeani
bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdim=True)
bnvar_inv = (bnvar + 1e-5) ** -0.5
bnraw = bndiff * bnvar_inv
hpreact = bngain * bnraw + bnbias
h = torch.tanh(hpreact)
logits = h @ W2 + b2
norm_logits = logits - logits.max(1, keepdim=True).values
counts = norm_logits.exp()
probs = counts * counts.sum(1, keepdims=True) ** -1
logprobs = probs.log()
loss = -logprobs[range(n), Yb].mean()
with torch.no_grad():
    running_mean = 0.999 * running_mean + 0.001 * hprebn.mean(0, keepdim=True)
    running_var = 0.999 * running_var + 0.001 * hprebn.var(0, keepdim=True)
for t in (logprobs, logits, h, hpreact, hprebn, embcat, emb):
    t.retain_grad()
loss.backward()
print(loss.item(), running_mean.sum().item(), running_var.mean().item())


def cmp(s, dt, t):
    exact = torch.all(dt == t.grad).item()
    maxdiff = (dt - t.grad).abs().max().item()
    assert exact or maxdiff < 1e-12
    print(f"{s:10s} | approximate: {str(torch.allclose(dt, t.grad)):5s} | {t.grad.norm().item()}")


dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0 / n
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n
dh = dlogits @ W2.T
dhpreact = (1.0 - h**2) * dh
dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0)
                                    - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
dembcat = dhprebn @ W1.T
demb, dC = dembcat.view(emb.shape), torch.zeros_like(C)
for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        dC[Xb[k, j]] += demb[k, j]
for s, dt, t in (("logprobs", dlogprobs, logprobs), ("logits", dlogits, logits), ("h", dh, h),
                 ("W2", h.T @ dlogits, W2), ("b2", dlogits.sum(0), b2),
                 ("bngain", (bnraw * dhpreact).sum(0, keepdim=True), bngain),
                 ("bnbias", dhpreact.sum(0, keepdim=True), bnbias), ("hprebn", dhprebn, hprebn),
                 ("embcat", dembcat, embcat), ("W1", embcat.T @ dhprebn, W1), ("C", dC, C)):
    cmp(s, dt, t)
