"""Layers with a random upstream gradient and shapes that are nowhere square; then real digits."""


def linear(student, rng):
    x, W, b = (rng.standard_normal(shape) for shape in ((3, 5), (5, 4), 4))
    dout = rng.standard_normal((3, 4))
    dx, dW, db = student.linear_backward(dout, x, W, b)
    return {"out": student.linear(x, W, b), "dx": dx, "dW": dW, "db": db}


def linear_square(student, rng):
    """As many rows as inputs as outputs: what is transposed has the right shape here."""
    x, W, dout = (rng.standard_normal((4, 4)) for _ in range(3))
    b = rng.standard_normal(4)
    dx, dW, db = student.linear_backward(dout, x, W, b)
    return {"dx": dx, "dW": dW, "db": db}


def relu(student, rng):
    x = rng.standard_normal((4, 5))
    x[1, 2] = x[3, 0] = 0.0
    return {"out": student.relu(x), "dx": student.relu_backward(rng.standard_normal((4, 5)), x)}


def softmax(student, rng):
    z = rng.standard_normal((3, 5)) * 2
    return {"p": student.softmax(z), "large": student.softmax(z + 1000.0)}


def cross_entropy(student, rng):
    z, y = rng.standard_normal((3, 5)), rng.integers(0, 5, 3)
    loss, dz = student.cross_entropy(z, y)
    return {"loss": loss, "dz": dz}


def network(rng, hidden=12):
    inputs = DATA["x"].shape[1]
    return [rng.standard_normal((inputs, hidden)) * 0.2, np.zeros(hidden),
            rng.standard_normal((hidden, 10)) * 0.3, np.zeros(10)]


def gradients(student, rng):
    params = network(rng)
    loss, grads = student.gradients(params, DATA["x"][:20], DATA["y"][:20].astype(int))
    return {"loss": loss, **dict(zip(("dW1", "db1", "dW2", "db2"), grads))}


def train(student, rng):
    """Ten steps on digits; then the probabilities of rows that were not trained on."""
    x, y = DATA["x"], DATA["y"].astype(int)
    params, losses = student.train(network(rng), x[:150], y[:150], 0.01, 10)
    hidden = np.maximum(x[150:] @ params[0] + params[1], 0)
    return {"losses": losses, "scores": hidden @ params[2] + params[3]}
