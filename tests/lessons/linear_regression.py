import random

import numpy as np
import torch
from torch import nn
from torch.utils import data

torch.set_default_dtype(torch.float64)
random.seed(0)
rng = np.random.RandomState(0)
true_w, true_b = torch.tensor([2, -3.4]), 4.2
features = torch.from_numpy(rng.normal(0, 1, (200, 2)))
labels = (torch.matmul(features, true_w) + true_b).reshape((-1, 1))
labels += torch.from_numpy(rng.normal(0, 0.01, labels.shape))


def data_iter(batch_size, features, labels):
    indices = list(range(len(features)))
    random.shuffle(indices)
    for i in range(0, len(features), batch_size):
        batch = torch.tensor(indices[i:min(i + batch_size, len(features))])
        yield features[batch], labels[batch]


w = torch.normal(0, 0.01, size=(2, 1), requires_grad=True)
w.data[:] = torch.tensor([[0.01], [-0.02]])
b = torch.zeros(1, requires_grad=True)
for epoch in range(3):
    for X, y in data_iter(10, features, labels):
        loss = (torch.matmul(X, w) + b - y.reshape((-1, 1))) ** 2 / 2
        loss.sum().backward()
        with torch.no_grad():
            for param in (w, b):
                param -= 0.03 * param.grad / len(X)
                param.grad.zero_()
    with torch.no_grad():
        loss = (features @ w + b - labels) ** 2 / 2
        print(f"epoch {epoch + 1}, loss {float(loss.mean()):.12f}")
print((true_w - w.reshape(true_w.shape)).detach(), (true_b - b).item())

loader = data.DataLoader(data.TensorDataset(features, labels), 10, shuffle=False)
net = nn.Sequential(nn.Linear(2, 1))
net[0].weight.data.normal_(0, 0.01)
net[0].weight.data[:] = torch.tensor([[0.01, -0.02]])
net[0].bias.data.fill_(0)
criterion, trainer = nn.MSELoss(), torch.optim.SGD(net.parameters(), lr=0.03)
for epoch in range(3):
    for X, y in loader:
        loss = criterion(net(X), y)
        trainer.zero_grad()
        loss.backward()
        trainer.step()
    print(f"epoch {epoch + 1}, loss {criterion(net(features), labels).item():.12f}")
print(net[0].weight.data, net[0].bias.data, net)
