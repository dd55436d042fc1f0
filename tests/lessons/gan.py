import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(1)


def noise(*size):
    return torch.from_numpy(rng.normal(size=size))


def weights_init(m):
    if m.__class__.__name__.find("Linear") != -1:
        m.weight.data.normal_(0.0, 0.02)
        m.weight.data.copy_(noise(*m.weight.shape) * 0.5)
        m.bias.data.fill_(0)


D = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(0.2, inplace=True), nn.Linear(8, 1))
G = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(True), nn.Linear(8, 2))
D.apply(weights_init)
G.apply(weights_init)
criterion = nn.BCEWithLogitsLoss()
optD = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))
optG = torch.optim.Adam(G.parameters(), lr=0.01, betas=(0.5, 0.999))


def gradient_penalty(real, fake):
    alpha = torch.from_numpy(rng.uniform(size=(real.size(0), 1)))
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    gradients = torch.autograd.grad(outputs=D(mixed), inputs=mixed, create_graph=True,
                                    grad_outputs=torch.ones(real.size(0), 1), retain_graph=True,
                                    only_inputs=True)[0]
    return ((gradients.view(gradients.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()


for step in range(6):
    real = noise(16, 2) * 0.5 + torch.tensor([2.0, -1.0])
    label = torch.full((16, 1), 1.0)
    D.zero_grad()
    errD_real = criterion(D(real), label)
    errD_real.backward()
    fake = G(noise(16, 3))
    label.fill_(0.0)
    errD_fake = criterion(D(fake.detach()), label)
    errD_fake.backward()
    penalty = gradient_penalty(real, fake.detach())
    (0.1 * penalty).backward()
    optD.step()
    G.zero_grad()
    label.fill_(1.0)
    errG = criterion(D(fake), label)
    errG.backward()
    optG.step()
    print("[%d] D %.12f G %.12f penalty %.12f" % (
        step, errD_real.item() + errD_fake.item(), errG.item(), penalty.item()))
print(G[1].running_mean, G[1].num_batches_tracked, torch.sigmoid(D(real)).mean().item())
