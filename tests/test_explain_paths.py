"""Many paths in few words: where each leaves the first one and joins it again."""

import re

import minigrad as mg
from minigrad import nn
from minigrad.inspect.paths import explain


class Residual(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(n)])

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x).tanh()
        return x


def rebuilt(line, first):
    """The tensors of a path from its line, and from those of path 1."""
    way = list(first)
    for part in line.split("but ")[1].split("; "):
        names = re.findall(r"\w+", part.split(" (input")[0])
        way[way.index(names[0]):way.index(names[-1]) + 1] = names
    return way


def test_a_path_is_told_by_where_it_leaves_the_first_and_joins_it_again():
    mg.manual_seed(0)
    x = mg.randn(2, 3)
    e = explain(Residual(4)(x).sum(), "layers.0.weight", (1, 1))
    text = re.sub(r"\n    (?=\S)", " ", str(e))
    ways = [[e.words.identifiers[id(t)] for t in path.tensors] for path in e.paths]
    seen = 0
    for n, way in enumerate(ways, 1):
        line = re.search(rf"path {n} of 8: \S+   (as path 1, but .*)", text)
        if line and ".." not in line[1]:
            assert rebuilt(line[1], ways[0]) == way
            seen += 1
    assert seen >= 3 and max(map(len, str(e).splitlines())) <= 79


def test_a_path_that_differs_by_the_input_it_enters_by_says_so():
    w = mg.tensor(3.0, requires_grad=True, name="w")
    h = w
    for _ in range(30):
        h = h * 1.01
    e = explain(h * h + (h - 1) * (h - 2), w)
    lines = [line for line in str(e).splitlines() if "as path 1" in line]
    assert len(lines) == 1 and "(input " in " ".join(str(e).split())


def test_the_module_that_used_a_weight_is_named_in_full_where_there_is_room():
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    q = mg.randn(2, 3, 4)
    text = str(explain(attention(q, q, q)[0].sum(), attention.in_proj_weight, (5, 1)))
    assert " in MultiheadAttention  share " in text
    assert max(map(len, text.splitlines())) <= 79
    assert not re.search(r"together: (\S+) = \1$", text, re.MULTILINE)
