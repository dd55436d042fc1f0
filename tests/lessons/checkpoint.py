import copy

import numpy as np
import torch
from torch import nn, optim

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
X, y = torch.tensor(rng.normal(size=(20, 3))), torch.tensor(rng.normal(size=(20, 2)))
Xv, yv = torch.tensor(rng.normal(size=(10, 3))), torch.tensor(rng.normal(size=(10, 2)))


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(3, 4)
        self.fc2 = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


model = Net()
with torch.no_grad():
    for name, p in model.named_parameters():
        p.copy_(torch.tensor(rng.normal(size=tuple(p.shape)) * 0.5))
        print(name, "\t", tuple(p.size()))
optimizer = optim.Adam(model.parameters(), lr=0.02)
criterion = nn.MSELoss()


def go(model, optimizer, n):
    for _ in range(n):
        optimizer.zero_grad()
        loss = criterion(model(X), y)
        loss.backward()
        optimizer.step()
    return loss


torch.save({"epoch": 5, "loss": go(model, optimizer, 5), "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict()}, "checkpoint.pt")
first = go(model, optimizer, 5).item()
model = Net()
optimizer = optim.Adam(model.parameters(), lr=0.5)
checkpoint = torch.load("checkpoint.pt", map_location=torch.device("cpu"), weights_only=True)
print(model.load_state_dict(checkpoint["model_state_dict"]))
optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
second = go(model, optimizer, 5).item()
print(first, second, first == second, checkpoint["epoch"], checkpoint["loss"].item())

best, best_weights, bad = float("inf"), None, 0
for epoch in range(60):
    model.train()
    go(model, optimizer, 1)
    model.eval()
    with torch.no_grad():
        val_loss = criterion(model(Xv), yv)
    if val_loss < best:
        best, best_weights, bad = val_loss, copy.deepcopy(model.state_dict()), 0
    else:
        bad += 1
        if bad >= 3:
            print(f"early stopping at epoch {epoch}")
            break
model.load_state_dict(best_weights)
print(f"{best} {criterion(model(Xv), yv).item()}")
clone = copy.deepcopy(model)
print(clone.fc1.weight.grad is None, torch.equal(clone.fc1.weight, model.fc1.weight))
