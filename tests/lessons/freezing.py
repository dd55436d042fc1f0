from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.nn.parameter import Parameter

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
X, y = torch.tensor(rng.normal(size=(32, 6))), torch.tensor(rng.integers(0, 3, 32))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Sequential(OrderedDict([("lin", nn.Linear(6, 8)), ("act", nn.Tanh())]))
        self.scales = nn.ParameterList([Parameter(torch.ones(8) * i) for i in (1, 2)])
        self.classifier = nn.Linear(8, 3)
        self.register_buffer("offset", torch.full((8,), 0.1))

    def forward(self, x):
        x = self.base(x)
        for scale in self.scales:
            x = x * scale
        return self.classifier(x + self.offset)


model = Net()
for name, p in model.named_parameters():
    if not name.startswith("scales"):
        p.data.copy_(torch.tensor(rng.normal(size=tuple(p.shape)) * 0.3))
print(list(model.state_dict()), [name for name, _ in model.named_children()])
criterion = nn.CrossEntropyLoss()


def train(optimizer, steps=5):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(X), y)
        loss.backward()
        optimizer.step()
    print(loss.item())


train(optim.SGD([{"params": model.base.parameters()},
                 {"params": model.classifier.parameters(), "lr": 0.1}], lr=0.01, momentum=0.9))
for param in model.base.parameters():
    param.requires_grad = False
before = model.base.lin.weight.clone()
optimizer = optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=0.01)
train(optimizer)
print(torch.equal(before, model.base[0].weight), len(optimizer.param_groups[0]["params"]))
for param in model.base.parameters():
    param.requires_grad_(True)
optimizer.add_param_group({"params": model.base.parameters(), "lr": 1e-3})
train(optimizer)
decay = [p for p in model.parameters() if p.dim() > 1]
rest = [p for p in model.parameters() if p.dim() <= 1]
optimizer = optim.AdamW([{"params": decay, "weight_decay": 0.1},
                         {"params": rest, "weight_decay": 0.0}], lr=0.01)
train(optimizer)
for group in optimizer.param_groups:
    group["lr"] *= 0.1
    print(group["lr"], group["betas"], group["weight_decay"])
shapes = []
hook = model.base.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
model(X)
hook.remove()
model(X)
print(len(shapes), tuple(shapes[0]), sum(p.numel() for p in model.parameters() if p.requires_grad))
for p in model.parameters():
    nn.init.xavier_uniform_(p) if p.dim() > 1 else nn.init.constant_(p, 0.1)
print(model.classifier.bias.data, model.classifier.weight.abs().max() <= (6 / 11) ** 0.5)
