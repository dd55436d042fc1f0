import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
rng = np.random.RandomState(0)
images = torch.tensor(rng.uniform(0, 1, (60, 1, 3, 4)))
labels = (images.reshape(60, -1).sum(1) * 7).long() % 4
W = torch.tensor(rng.normal(0, 0.1, (12, 4)), requires_grad=True)
b = torch.zeros(4, requires_grad=True)


def softmax(X):
    X_exp = torch.exp(X)
    return X_exp / X_exp.sum(1, keepdim=True)


def net(X):
    return softmax(torch.matmul(X.reshape((-1, W.shape[0])), W) + b)


def cross_entropy(y_hat, y):
    return -torch.log(y_hat[range(len(y_hat)), y])


def accuracy(y_hat, y):
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(axis=1)
    cmp = y_hat.type(y.dtype) == y
    return float(cmp.type(y.dtype).sum())


for epoch in range(3):
    total, right, n = 0.0, 0.0, 0
    for i in range(0, 60, 20):
        X, y = images[i:i + 20], labels[i:i + 20]
        y_hat = net(X)
        loss = cross_entropy(y_hat, y)
        loss.sum().backward()
        with torch.no_grad():
            for p in (W, b):
                p -= 0.1 * p.grad / X.shape[0]
                p.grad.zero_()
        total, right, n = total + loss.sum().item(), right + accuracy(y_hat, y), n + y.numel()
    print(total / n, right / n)
model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))


def init_weights(m):
    if type(m) == nn.Linear:
        nn.init.normal_(m.weight, std=0.01)
        m.weight.data.copy_(torch.tensor(rng.normal(0, 0.5, m.weight.shape)))
        nn.init.zeros_(m.bias)


model.apply(init_weights)
criterion = nn.CrossEntropyLoss(reduction="none")
trainer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
for epoch in range(3):
    loss = criterion(model(images), labels)
    trainer.zero_grad()
    loss.mean().backward()
    trainer.step()
    print(loss.sum().item(), accuracy(model(images), labels))
print(torch.bincount(labels), torch.max(model(images[:3]), 1)[1], model)
