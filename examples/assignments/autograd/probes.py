"""Small graphs: each probe builds one from the student's Value and returns its gradients.

Numbers of leaves are drawn anew for each seed, away from 0 and 1, where mistakes hide.
"""


def leaves(student, rng, count):
    signs = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    return [student.Value(float(x)) for x in signs * rng.uniform(0.4, 1.7, count)]


def grads(**values):
    return {name: value.grad for name, value in values.items()}


def addition(student, rng):
    a, b = leaves(student, rng, 2)
    out = a + b * 3.0
    out.backward()
    return {**grads(a=a, b=b), "value": out.data}


def product(student, rng):
    a, b, c = leaves(student, rng, 3)
    ((a * b) * c).backward()
    return grads(a=a, b=b, c=c)


def power(student, rng):
    a, b = leaves(student, rng, 2)
    (a**3 * 2.0 + b**2).backward()
    return grads(a=a, b=b)


def nonlinear(student, rng):
    a, b = leaves(student, rng, 2)
    (a.tanh() * 2.0 + b.exp() * 3.0).backward()
    return {"tanh": a.grad, "exp": b.grad}


def kink(student, rng):
    a, b, zero = student.Value(-1.3), student.Value(0.7), student.Value(0.0)
    (a.relu() * 2.0 + b.relu() * 3.0 + zero.relu() * 5.0).backward()
    return {"negative": a.grad, "positive": b.grad, "zero": zero.grad}


def difference(student, rng):
    a, b, c = leaves(student, rng, 3)
    out = (a - b) * c + (2.0 - a) * 3.0
    out.backward()
    return {**grads(a=a, b=b, c=c), "value": out.data}


def quotient(student, rng):
    a, b = leaves(student, rng, 2)
    out = a / b
    out.backward()
    return {**grads(a=a, b=b), "value": out.data}


def twice(student, rng):
    a, b = leaves(student, rng, 2)
    (a + a).backward()
    (b * b).backward()
    return {"sum": a.grad, "product": b.grad}


def fork(student, rng):
    a, b = leaves(student, rng, 2)
    ((a * b) * (a + b)).backward()
    return grads(a=a, b=b)


def deep_fork(student, rng):
    """An inner Value with two consumers, one near the output and one far from it."""
    a, k = leaves(student, rng, 2)
    b = a * 3.0
    c = b * k
    d = c * b
    (d + b).backward()
    e = student.Value(0.6)
    f = e * 2.0
    (f + (f * 1.5).tanh() * f).backward()
    return {**grads(a=a, k=k, e=e), "inner": b.grad}


def again(student, rng):
    """backward twice: leaves add up, Values in between do not."""
    a, b = leaves(student, rng, 2)
    c = a * b
    out = c * 2.0 + a
    out.backward()
    out.backward()
    return {**grads(a=a, b=b), "inner": c.grad}
