import torch
import torch.optim as optim

torch.set_default_dtype(torch.float64)


def rosenbrock(xy):
    x, y = xy
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


for name, make in {
    "sgd": lambda p: optim.SGD(p, lr=1e-3),
    "momentum": lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, dampening=0.3, weight_decay=1e-3),
    "nesterov": lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.5),
    "rmsprop": lambda p: optim.RMSprop(p, lr=1e-2, alpha=0.9, centered=True),
    "adam": lambda p: optim.Adam(p, lr=0.05, betas=(0.9, 0.99)),
    "amsgrad": lambda p: optim.Adam(p, lr=0.05, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.05),
}.items():
    xy_t = torch.tensor((-1.5, 1.2), requires_grad=True)
    optimizer = make([xy_t])
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.7)
    path = [xy_t.detach().numpy().copy()]
    for i in range(30):
        optimizer.zero_grad()
        loss = rosenbrock(xy_t)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(xy_t, 1.0)
        optimizer.step()
        scheduler.step()
        path.append(xy_t.detach().numpy().copy())
    print(name, xy_t.tolist(), loss.item(), norm.item(), path[10].tolist())
    print(optimizer.param_groups[0]["lr"], scheduler.get_last_lr())

w, v, beta = torch.tensor(3.0, requires_grad=True), 0.0, 0.9
for t in range(10):
    y = (w - 1) ** 4 + w.sin()
    y.backward()
    with torch.no_grad():
        v = beta * v + w.grad
        w -= 0.01 * v
        w.grad.zero_()
print(f"w={w.item()} y={y:.6f} v={v:.6f}")
