import torch

torch.set_default_dtype(torch.float64)
x = torch.ones(2, 2, requires_grad=True)
z = (x + 2) * (x + 2) * 3
out = z.mean()
print(z.detach(), out.item())
out.backward()
print(x.grad)

a = torch.tensor([2.0, 3.0], requires_grad=True)
b = torch.tensor([6.0, 4.0], requires_grad=True)
Q = 3 * a**3 - b**2
Q.backward(gradient=torch.tensor([1.0, 1.0]))
print(9 * a**2 == a.grad, -2 * b == b.grad)

v = torch.tensor([0.3, -0.5, 1.2], requires_grad=True)
y = v * 2
while y.data.norm() < 1000:
    y = y * 2
y.backward(torch.tensor([0.1, 1.0, 0.0001]))
print(y.data, v.grad)

with torch.no_grad():
    print((v**2).requires_grad, v.detach().eq(v).all())
inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
for _ in range(2):
    out.backward(torch.ones_like(out), retain_graph=True)
    print(inp.grad[0])

t = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
f = (t**3).sum() + t[0] * t[1] * t[2] + torch.exp(-t).prod()
(g,) = torch.autograd.grad(f, t, create_graph=True)
H = torch.stack([torch.autograd.grad(gi, t, retain_graph=True)[0] for gi in g])
(hv,) = torch.autograd.grad(g, t, grad_outputs=torch.tensor([1.0, 0.0, -1.0]))
print(H, torch.allclose(H, H.T), hv, f"{f} {f:.3f}")
for broken in (lambda: a.add_(1), lambda: (a * 2).backward(), lambda: torch.ones(1).backward()):
    try:
        broken()
    except RuntimeError:
        print("RuntimeError")
print(a.grad == None, a.grad is not None)
