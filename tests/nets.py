"""What tests of modules share: a model with everything to walk over, and the names of a walk."""

import minigrad
from minigrad import nn


class Net(nn.Module):
    """Two layers, a list, a buffer: enough to have everything to walk over."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.rest = nn.ModuleList([nn.Linear(3, 3), nn.BatchNorm1d(3)])
        self.gain = nn.Parameter([1.0, 2.0, 3.0])
        self.register_buffer("seen", minigrad.zeros(1))

    def forward(self, x):
        x = self.first(x).relu()
        for module in self.rest:
            x = module(x)
        return x * self.gain


def names(pairs):
    """The names of a walk: of named_parameters(), named_modules() and so on."""
    return [name for name, _ in pairs]
