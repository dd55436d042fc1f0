import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, RandomSampler, random_split

torch.set_default_dtype(torch.float64)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(1)
if torch.cuda.is_available():
    torch.cuda.manual_seed_all(1)
torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False
print(f"Using {device} device")


class Points(Dataset):
    def __init__(self, n, transform=None):
        rng = np.random.default_rng(0)
        self.y = rng.integers(0, 3, n)
        self.x = rng.normal(size=(n, 6)) + 2 * np.eye(6)[self.y]
        self.transform = transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, idx):
        x = self.x[idx]
        return (self.transform(x) if self.transform else x), self.y[idx]


class NeuralNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.stack = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(inplace=True),
                                   nn.Dropout(p=0.0), nn.Linear(12, 3))

    def forward(self, x):
        return self.stack(self.flatten(x))


def train(loader, model, loss_fn, optimizer):
    model.train()
    for batch, (X, y) in enumerate(loader):
        X, y = X.to(device), y.to(device, non_blocking=True)
        loss = loss_fn(model(X), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if batch % 2 == 0:
            print(f"loss: {loss.item()} [{(batch + 1) * len(X):>5d}/{len(loader.dataset):>5d}]")


def test(loader, model, loss_fn):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in loader:
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    accuracy = 100 * correct / len(loader.dataset)
    print(f"Accuracy: {accuracy:>0.1f}%, Avg loss: {test_loss / len(loader)}")


training, testing = Points(60), Points(30, transform=torch.from_numpy)
model = NeuralNetwork().to(device)
rng = np.random.default_rng(2)
for p in model.parameters():
    p.data.copy_(torch.tensor(rng.normal(size=tuple(p.shape)) * 0.5))
loader = DataLoader(training, batch_size=16, num_workers=0, pin_memory=False)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(2):
    train(loader, model, loss_fn, optimizer)
    test(DataLoader(testing, batch_size=10), model, loss_fn)
X, y = next(iter(loader))
prob, predicted = torch.max(F.softmax(model(X), dim=1).data, 1)
print(predicted, prob.sum().item(), predicted.eq(y.view_as(predicted)).sum().item())
a, b = random_split(training, [0.8, 0.2], generator=torch.Generator().manual_seed(42))
shuffled = DataLoader(training, batch_size=8, sampler=RandomSampler(training), drop_last=True)
print(len(a), len(b), len(shuffled), [len(y) for _, y in shuffled], X.is_cuda, model)
