import math

import torch

torch.set_default_dtype(torch.float64)
device = torch.device("cpu")
x = torch.linspace(-math.pi, math.pi, 400, device=device)
y = torch.sin(x)
start = (0.1, -0.2, 0.3, 0.05)
a, b, c, d = (torch.full((), value, requires_grad=True) for value in start)
for t in range(100):
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    if t % 25 == 24:
        print(t, loss.item())
    loss.backward()
    with torch.no_grad():
        for w in (a, b, c, d):
            w -= 1e-6 * w.grad
            w.grad = None
print(f"Result: y = {a.item()} + {b.item()} x + {c.item()} x^2 + {d.item()} x^3")

xx = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))
model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
model[0].weight.data[:] = torch.tensor([[0.2, -0.1, 0.05]])
model[0].bias.data.fill_(0.3)
loss_fn = torch.nn.MSELoss(reduction="sum")
for t in range(50):
    model.zero_grad()
    loss_fn(model(xx), y).backward()
    with torch.no_grad():
        for param in model.parameters():
            param -= 1e-6 * param.grad
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for t in range(50):
    loss = loss_fn(model(xx), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item(), model[0].bias.item(), model)


class Polynomial3(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(()))
        self.b = torch.nn.Parameter(torch.randn(()))

    def forward(self, x):
        return self.a + self.b * x**3


model = Polynomial3()
with torch.no_grad():
    for p in model.parameters():
        p.fill_(0.25)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
for t in range(30):
    loss = loss_fn(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(model.a.item(), model.b.item(), loss.detach())
