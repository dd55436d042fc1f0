"""Scripted gradients: over many scales, with exact zeros, and a learning rate that changes midway.

Each probe drives one function of the student's, step by step, and returns the weights and states
that the function returns. Options are drawn anew for each seed, away from the usual ones, with an
eps that can be seen. Where there are states a second tensor of the same shape is stepped too.
"""

STEPS, SHAPE = 7, (2, 3)


def gradients(rng):
    """(steps, 2, 3): big, then small, then big ones; zeros; both signs."""
    scale = np.array([1.0, 3.0, 0.02, 0.0, 0.3, 2.0, 0.1]).reshape(-1, 1, 1)
    each = np.array([[1.0, 0.1, 0.01], [2.0, 0.5, 0.0]])
    return scale * each * rng.uniform(0.5, 1.5, (STEPS, *SHAPE)) * rng.choice([-1.0, 1.0], SHAPE)


def options(rng, **more):
    return {"lr": rng.uniform(0.05, 0.2), **more}


def driven(function, rng, config, states, start=None):
    """{quantity: its value after each step}, for two tensors that take turns."""
    weights = [rng.uniform(-1, 1, SHAPE), rng.uniform(-1, 1, SHAPE)]
    script, other = gradients(rng), gradients(rng)
    configs = [dict(config, **{k: np.copy(v) for k, v in (start or {}).items()}) for _ in weights]
    seen = {name: [] for name in ("w", *states)}
    for step in range(STEPS):
        for i, g in enumerate((script[step], other[step])):
            configs[i]["lr"] = config["lr"] * (0.5 if step >= 4 else 1.0)
            weights[i], configs[i] = function(np.copy(weights[i]), np.copy(g), configs[i])
            seen["w"].append(np.copy(weights[i]))
            for name in states:
                seen[name].append(np.copy(configs[i].get(name, np.nan)))
    return {name: np.array(values) for name, values in seen.items()}


def sgd(student, rng):
    return driven(student.sgd, rng, options(rng), ())


def momentum(student, rng):
    return driven(student.momentum, rng, options(rng, momentum=rng.uniform(0.6, 0.8)), ("v",))


def nesterov(student, rng):
    return driven(student.nesterov, rng, options(rng, momentum=rng.uniform(0.6, 0.8)), ("v",))


def adagrad(student, rng):
    return driven(student.adagrad, rng, options(rng, eps=0.05), ("s",))


def rmsprop(student, rng):
    return driven(student.rmsprop, rng, options(rng, eps=0.05, decay=rng.uniform(0.7, 0.9)), ("s",))


def adam_options(rng, **more):
    return options(rng, beta1=rng.uniform(0.6, 0.8), beta2=rng.uniform(0.85, 0.95), eps=0.05,
                   **more)


def adam(student, rng):
    return driven(student.adam, rng, adam_options(rng), ("m", "v"))


def adam_warm(student, rng):
    """Not from the first step, but from the fourth, with moments that are there already."""
    start = {"m": rng.uniform(-1, 1, SHAPE), "v": rng.uniform(0.5, 1, SHAPE), "t": 3}
    config = adam_options(rng)
    start["t"] = 3
    weights, g = rng.uniform(-1, 1, SHAPE), gradients(rng)[0]
    after, config = student.adam(weights, g, dict(config, **start))
    return {"w": after, "t": config["t"]}


def adamw(student, rng):
    return driven(student.adamw, rng, adam_options(rng, weight_decay=rng.uniform(0.3, 0.6)), ())
