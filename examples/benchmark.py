"""How fast is a training step? minigrad beside hand-written NumPy and other frameworks.

    python examples/benchmark.py [--rounds 7] [--nets small,deep] [--only minigrad,numpy] [--json]

One process, one thread, float32, Adam. Every contestant starts from the same weights, and nothing
is timed before all agree on the loss after three steps. Then they take turns, round after round,
so that whatever else the machine does meets all alike; the median round counts.

    minigrad, torch   the same lines of code, eager
    compiled          the same loss and optimizer as minigrad's, by minigrad.compile
    torch-fused       the same as torch with Adam(fused=True), PyTorch's quickest on small networks
    numpy             backpropagation and Adam written by hand, every buffer reused: about the best
                      NumPy can do, what a framework on NumPy should be measured by
    jax               the whole step compiled by jax.jit (with optax's Adam it takes as long)
    autograd, mygrad  gradients of the framework, the hand-written Adam

Frameworks that are not installed are left out. The first call is timed on its own: there, programs
are compiled. Last come the updates alone, Adam's and AdamW's of a million parameters.
"""

import os

for library in ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"  # read only once, when NumPy is imported
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import importlib
import importlib.metadata
import json
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # works straight from a checkout as well

import numpy as np

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8


# --- the networks --------------------------------------------------------------------------------

@dataclass
class Net:
    """A multilayer perceptron and its batch: the activation follows all layers but the last."""

    title: str
    sizes: tuple
    batch: int
    activation: str  # tanh or relu
    loss: str        # mse or cross-entropy

    def problem(self):
        """Weights [(w (out, in), b (out,)), ...], inputs (batch, in) and targets: (batch, out), or
        (batch,) classes. The same arrays in every call."""
        rng = np.random.default_rng(0)
        weights = []
        for n_in, n_out in zip(self.sizes, self.sizes[1:]):
            w = rng.standard_normal((n_out, n_in)) * np.sqrt(2 / (n_in + n_out))
            weights.append((w.astype(np.float32), np.zeros(n_out, np.float32)))
        x = rng.standard_normal((self.batch, self.sizes[0])).astype(np.float32)
        if self.loss == "mse":
            target = rng.standard_normal((self.batch, self.sizes[-1])).astype(np.float32)
        else:
            target = rng.integers(0, self.sizes[-1], self.batch)
        return weights, x, target


NETS = {
    "small": Net("2-16-16-1, batch 100", (2, 16, 16, 1), 100, "tanh", "mse"),
    "digits": Net("64-64-32-10, batch 64", (64, 64, 32, 10), 64, "relu", "cross-entropy"),
    "deep": Net("20 layers of 16, batch 32", (16, *[16] * 20, 1), 32, "tanh", "mse"),
    "large": Net("784-256-128-10, batch 128", (784, 256, 128, 10), 128, "relu", "cross-entropy"),
}


# --- the contestants: each makes a step() for a Net, which trains once and returns the loss ------

class Adam:
    """Adam in place on float32 arrays, without allocating (Kingma and Ba 2015, algorithm 1)."""

    def __init__(self, weights):
        self.weights, self.t = weights, 0
        self.m, self.v = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
        self.buffers = [np.empty_like(w) for w in weights]

    def step(self, gradients):
        self.t += 1
        correction1, correction2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        for w, g, m, v, a in zip(self.weights, gradients, self.m, self.v, self.buffers):
            m *= BETA1
            np.multiply(g, 1 - BETA1, out=a)
            m += a
            v *= BETA2
            np.multiply(g, g, out=a)
            a *= 1 - BETA2
            v += a
            np.divide(v, correction2, out=a)
            np.sqrt(a, out=a)
            a += EPS
            np.divide(m, a, out=a)
            a *= LR / correction1
            w -= a


class Layer:
    """One layer of the hand-written network: its arrays, and everything it computes into."""

    def __init__(self, w, b, grad_w, grad_b, batch, activation):
        self.w, self.b, self.grad_w, self.grad_b = w, b, grad_w, grad_b
        self.activation = activation
        self.y = np.empty((batch, len(w)), np.float32)         # output
        self.slope = np.empty_like(self.y)                     # of the activation
        self.grad_x = np.empty((batch, w.shape[1]), np.float32)

    def forward(self, x):
        self.x = x
        np.matmul(x, self.w.T, out=self.y)
        self.y += self.b
        if self.activation == "tanh":
            np.tanh(self.y, out=self.y)
        elif self.activation == "relu":
            np.maximum(self.y, 0, out=self.y)
        return self.y

    def backward(self, g, first):
        if self.activation == "tanh":
            np.multiply(self.y, self.y, out=self.slope)
            np.subtract(1, self.slope, out=self.slope)
            g *= self.slope
        elif self.activation == "relu":
            g *= np.greater(self.y, 0, out=self.slope)
        np.matmul(g.T, self.x, out=self.grad_w)
        np.sum(g, axis=0, out=self.grad_b)
        return g if first else np.matmul(g, self.w, out=self.grad_x)


def numpy_contestant(net):
    """All weights are views of one vector, so that Adam is a dozen NumPy calls for any network."""
    weights, x, target = net.problem()
    flat = np.concatenate([p.ravel() for pair in weights for p in pair])
    gradient = np.empty_like(flat)
    shapes = [p.shape for pair in weights for p in pair]
    views, grad_views = parts(flat, shapes), parts(gradient, shapes)
    activations = [net.activation] * (len(weights) - 1) + [None]
    layers = [Layer(*views[2 * i:2 * i + 2], *grad_views[2 * i:2 * i + 2], net.batch, activation)
              for i, activation in enumerate(activations)]
    loss_and_gradient = mse_by_hand if net.loss == "mse" else cross_entropy_by_hand
    adam, rows = Adam([flat]), np.arange(net.batch)

    def step():
        y = x
        for layer in layers:
            y = layer.forward(y)
        loss, g = loss_and_gradient(y, target, rows)
        for i in reversed(range(len(layers))):
            g = layers[i].backward(g, i == 0)
        adam.step([gradient])
        return loss
    return step


def parts(vector, shapes):
    """Views of consecutive parts of a vector, in the given shapes."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends[:-1]), shapes)]


def mse_by_hand(y, target, rows):
    """Mean squared error and its gradient, which takes y's place."""
    y -= target
    loss = np.vdot(y, y) / y.size
    y *= 2 / y.size
    return loss, y


def cross_entropy_by_hand(y, target, rows):
    """Cross-entropy of scores and its gradient, softmax minus one-hot, which takes y's place."""
    y -= y.max(axis=1, keepdims=True)
    right = y[rows, target]
    np.exp(y, out=y)
    total = y.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - right).mean()
    y /= total
    y[rows, target] -= 1
    y /= len(y)
    return loss, y


def module_contestant(library, compiled=False, **options):
    """minigrad and torch: the same program, and only the imported name differs. options: Adam's."""
    nn, optim = library.nn, library.optim

    def contestant(net):
        weights, x, target = net.problem()
        activation = nn.Tanh if net.activation == "tanh" else nn.ReLU
        layers = []
        for n_in, n_out in zip(net.sizes, net.sizes[1:]):
            layers += [nn.Linear(n_in, n_out), activation()]
        model = nn.Sequential(*layers[:-1]).float()
        with library.no_grad():
            for i, (w, b) in enumerate(weights):
                model[2 * i].weight.copy_(library.tensor(w))
                model[2 * i].bias.copy_(library.tensor(b))
        loss_function = nn.MSELoss() if net.loss == "mse" else nn.CrossEntropyLoss()
        optimizer = optim.Adam(model.parameters(), lr=LR, betas=(BETA1, BETA2), eps=EPS, **options)
        x, target = library.tensor(x), library.tensor(target)
        if compiled:
            step = library.compile(lambda x, target: loss_function(model(x), target), optimizer)
            return lambda: step(x, target)

        def step():
            loss = loss_function(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss
        return step
    return contestant


def functional_loss(net, np):
    """loss(weights, x, target) for a module `np` with NumPy's names: jax.numpy, autograd.numpy."""
    def loss(weights, x, target):
        for i, (w, b) in enumerate(weights):
            x = np.dot(x, w.T) + b
            if i < len(weights) - 1:
                x = np.tanh(x) if net.activation == "tanh" else np.maximum(x, 0)
        if net.loss == "mse":
            return np.mean((x - target) ** 2)
        x = x - np.max(x, axis=1, keepdims=True)
        total = np.log(np.sum(np.exp(x), axis=1))
        return np.mean(total - x[np.arange(len(target)), target])
    return loss


def jax_contestant(jax):
    numpy = jax.numpy

    def contestant(net):
        weights, x, target = net.problem()
        value_and_grad = jax.value_and_grad(functional_loss(net, numpy))
        zeros = jax.tree.map(numpy.zeros_like, weights)

        def adam(w, g, m, v, t):
            m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
            m_hat, v_hat = m / (1 - BETA1**t), v / (1 - BETA2**t)
            return w - LR * m_hat / (numpy.sqrt(v_hat) + EPS), m, v

        @jax.jit
        def update(x, target, weights, m, v, t):
            loss, gradients = value_and_grad(weights, x, target)
            leaves, tree = jax.tree.flatten(weights)
            rest = [jax.tree.leaves(part) for part in (gradients, m, v)]
            new = [adam(*row, t) for row in zip(leaves, *rest)]
            return loss, *[jax.tree.unflatten(tree, column) for column in zip(*new)], t + 1

        state = [weights, zeros, zeros, numpy.float32(1)]

        def step():
            loss, *state[:] = update(x, target, *state)
            return loss
        return step
    return contestant


def autograd_contestant(autograd):
    def contestant(net):
        weights, x, target = net.problem()
        value_and_grad = autograd.value_and_grad(functional_loss(net, autograd.numpy))
        adam = Adam([p for pair in weights for p in pair])

        def step():
            loss, gradients = value_and_grad(weights, x, target)
            adam.step([g for pair in gradients for g in pair])
            return loss
        return step
    return contestant


def mygrad_contestant(mygrad):
    nnet = mygrad.nnet

    def contestant(net):
        weights, x, target = net.problem()
        layers = [[mygrad.tensor(p) for p in pair] for pair in weights]
        tensors = [p for pair in layers for p in pair]
        adam = Adam([p.data for p in tensors])
        activation = mygrad.tanh if net.activation == "tanh" else nnet.activations.relu

        def step():
            y = x
            for i, (w, b) in enumerate(layers):
                y = mygrad.matmul(y, w.T) + b
                if i < len(layers) - 1:
                    y = activation(y)
            if net.loss == "mse":
                loss = mygrad.mean((y - target) ** 2)
            else:
                loss = nnet.losses.softmax_crossentropy(y, target)
            loss.backward()
            adam.step([p.grad for p in tensors])
            return loss
        return step
    return contestant


# --- the race ------------------------------------------------------------------------------------

ROUND = 0.1  # seconds

# name: (its library, library -> contestant).
CONTESTANTS = {
    "minigrad": ("minigrad", module_contestant),
    "compiled": ("minigrad", lambda minigrad: module_contestant(minigrad, compiled=True)),
    "numpy": ("numpy", lambda numpy: numpy_contestant),
    "torch": ("torch", module_contestant),
    "torch-fused": ("torch", lambda torch: module_contestant(torch, fused=True)),
    "jax": ("jax", jax_contestant),
    "autograd": ("autograd", autograd_contestant),
    "mygrad": ("mygrad", mygrad_contestant),
}
# Parts that `import library` alone does not load, or only since some version.
PARTS = {"minigrad": ["minigrad.optim"], "autograd": ["autograd.numpy"], "mygrad": ["mygrad.nnet"]}


def contestants(names):
    """{name: contestant} of those that are installed; says on stderr which are not."""
    found = {}
    for name in names:
        library, contestant_of = CONTESTANTS[name]
        try:
            module = importlib.import_module(library)
            for part in PARTS.get(library, []):
                importlib.import_module(part)
        except ModuleNotFoundError as error:
            if error.name != library:
                raise  # it is there, but broken: that should be seen
            print(f"{name} is not installed: left out", file=sys.stderr)
            continue
        if library == "torch":
            module.set_num_threads(1)
        found[name] = contestant_of(module)
    return found


def number(loss):
    return float(loss.detach() if hasattr(loss, "detach") else loss)


def seconds(step, count):
    """How long `count` steps take. Reading the last loss waits for results still on their way."""
    start = time.perf_counter()
    for _ in range(count):
        loss = step()
    number(loss)
    return time.perf_counter() - start


def race(title, steps, rounds):
    """({name: microseconds of the median round}, {name: milliseconds of the first call}) of steps
    {name: step} that must agree."""
    # The fourth forward pass tells the loss after three steps.
    first, losses = {}, {}
    for name, step in steps.items():
        first[name] = seconds(step, 1) * 1e3
        losses[name] = number([step() for _ in range(3)][-1])
    if not np.ptp(list(losses.values())) <= 1e-4:
        raise AssertionError(f"{title}: the losses after 3 steps differ: {losses}")
    counts, times = {}, {name: [] for name in steps}
    for name, step in steps.items():
        seconds(step, 10)
        counts[name] = max(3, round(ROUND * 10 / seconds(step, 10)))
    for turn in range(rounds):
        names = list(steps)
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            times[name].append(seconds(steps[name], counts[name]) / counts[name] * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}, first


def update_of(library, kind):
    """A step() of the optimizer `kind` alone, for one float32 parameter of a million numbers."""
    rng = np.random.default_rng(0)
    w, g = (library.tensor(array) for array in rng.standard_normal((2, 1000, 1000), np.float32))
    w.requires_grad_()
    w.grad = g
    optimizer = getattr(library.optim, kind)([w], lr=LR)
    corner = w.detach()[0, 0]  # the same memory: it tells whether all compute the same

    def step():
        optimizer.step()
        return corner
    return step


def updates(rounds):
    """{"Adam": {"minigrad": microseconds, "torch": ...}, "AdamW": ...}; torch's default Adam."""
    libraries = {name: importlib.import_module(name) for name in ("minigrad", "torch")}
    found = {}
    for kind in ("Adam", "AdamW"):
        steps = {name: update_of(library, kind) for name, library in libraries.items()}
        found[kind], _ = race(f"{kind} of a million parameters", steps, rounds)
    return found


CHAIN = 100_000


def chain_seconds():
    """Seconds that backward takes through a chain of CHAIN operations in minigrad."""
    minigrad = importlib.import_module("minigrad")
    x = minigrad.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(CHAIN // 2):
        y = y * 0.999 + 0.001
    start = time.perf_counter()
    y.backward()
    return time.perf_counter() - start


def table(title, results, cell):
    """Prints one row for each network, one column for each contestant."""
    names = list(next(iter(results.values())))
    widths = [max(len(name), 7) + 1 for name in names]
    print(f"\n{title}\n{'':7s}" + "".join(f"{name:>{k}s}" for name, k in zip(names, widths)))
    for net, times in results.items():
        cells = [cell(times, name) for name in names]
        print(f"{net:7s}" + "".join(f"{text:>{k}s}" for text, k in zip(cells, widths)))


def names_in(text, known):
    """The names of a comma-separated option; argparse reports the error if one is unknown."""
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(known)}")
    return names


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of a tenth of a second each")
    parser.add_argument("--nets", type=lambda text: names_in(text, NETS), default=list(NETS),
                        help=f"which networks, of {','.join(NETS)}")
    parser.add_argument("--only", type=lambda text: names_in(text, CONTESTANTS), default=None,
                        help=f"which contestants, of {','.join(CONTESTANTS)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = parser.parse_args()
    if chosen.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {chosen.rounds}")
    return chosen


def main():
    chosen = options()
    entrants = contestants(chosen.only or list(CONTESTANTS))
    libraries = sorted({CONTESTANTS[name][0] for name in entrants} - {"minigrad"})
    versions = {name: importlib.metadata.version(name) for name in libraries}
    versions["python"] = platform.python_version()
    times, first = {}, {}
    for name in chosen.nets:
        steps = {title: contestant(NETS[name]) for title, contestant in entrants.items()}
        times[name], first[name] = race(NETS[name].title, steps, chosen.rounds)
    million = updates(chosen.rounds) if {"minigrad", "torch"} <= set(entrants) else None
    chain = chain_seconds() if "minigrad" in entrants else None
    if chosen.json:
        print(json.dumps({"microseconds_per_step": times, "milliseconds_of_first_call": first,
                          "microseconds_per_update_of_a_million": million,
                          "chain_backward_seconds": chain,
                          "versions": versions, "rounds": chosen.rounds}, indent=2))
        return
    print("  ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    print("\n".join(f"{name:7s}{NETS[name].title}" for name in chosen.nets))
    table("microseconds per step", times, lambda row, name: f"{row[name]:.1f}")
    for ours in [name for name in ("minigrad", "compiled") if name in entrants]:
        table(f"{ours}'s time / theirs", times, lambda row, name: f"{row[ours] / row[name]:.2f}")
    table("milliseconds of the first call", first, lambda row, name: f"{row[name]:.1f}")
    if chain is not None:
        print()
    for kind, row in (million or {}).items():
        print(f"{kind} of a million parameters: minigrad {row['minigrad']:.0f} us, torch "
              f"{row['torch']:.0f} us, ratio {row['minigrad'] / row['torch']:.2f}")
    if chain is not None:
        print(f"backward through a chain of {CHAIN:,} operations: {chain:.2f} s")


if __name__ == "__main__":
    main()
