"""Data sets by name: two real ones that ship with minigrad, three made from geometry and a seed.

    table = load("digits")           # also iris, moons, spirals, xor
    print(table)                     # what it is, where it comes from, under which licence
"""

import math
import os
from dataclasses import replace

import numpy as np

from minigrad import random
from minigrad.data.csvfile import nearest
from minigrad.data.table import Column, Table, read_table

FILES = os.path.join(os.path.dirname(__file__), "files")


def digits():
    """1797 handwritten digits: 64 pixels from 0 (paper) to 1 (ink), row by row; 10 classes.

    `table.features[i].reshape(8, 8)` is the picture. UCI Machine Learning Repository.
    """
    with np.load(os.path.join(FILES, "digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"]
    columns = [Column(f"pixel_{row}_{column}") for row in range(8) for column in range(8)]
    return Table(
        images.reshape(len(images), 64) / 16, labels.astype(np.int64), columns,
        Column("digit", [str(k) for k in range(10)]), name="digits",
        description="handwritten digits, 8 x 8 pixels from 0 (paper) to 1 (ink)",
        source="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (test part), "
               "UCI Machine Learning Repository, 1998",
        licence="CC BY 4.0", why="10 digits")


def iris():
    """150 flowers of 3 species: length and width of sepals and petals in cm. Fisher 1936."""
    return replace(
        read_table(os.path.join(FILES, "iris.csv"), "species"), name="iris",
        description="iris flowers, four measurements in cm, three species",
        source="R. A. Fisher, Iris, UCI Machine Learning Repository, 1936", licence="CC BY 4.0")


def moons(n=400, noise=0.1, seed=0):
    """Two half circles that reach into each other, n points in all; two classes.

    The upper one is centred at (0, 0), the lower one at (1, 0.5), both of radius 1.
    noise: standard deviation added to x and y. seed=None draws from `minigrad.random.generator()`.
    """
    rng = generator(n, noise, seed)
    label = np.arange(n) % 2
    angle = np.pi * spread(n, 2)
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    return plane("moons", "two half circles that reach into each other", x, y, label, noise, rng,
                 ["upper", "lower"])


def spirals(n=400, noise=0.02, seed=0, arms=2, turns=1.5):
    """Spirals wound into each other, out to radius 1, n points in all; one class per arm.

    noise: standard deviation added to x and y. seed=None draws from `minigrad.random.generator()`.
    """
    if not isinstance(arms, int) or not 2 <= arms <= n:
        raise ValueError(f"arms must be a whole number from 2 to n={n}, got {arms!r}")
    rng = generator(n, noise, seed)
    label = np.arange(n) % arms
    radius = 0.1 + 0.9 * spread(n, arms)  # the arms meet at radius 0, where no class is right
    angle = 2 * np.pi * (turns * radius + label / arms)
    return plane("spirals", f"{arms} spirals wound into each other", radius * np.cos(angle),
                 radius * np.sin(angle), label, noise, rng, [f"arm {k}" for k in range(arms)])


def xor(n=400, noise=0.1, seed=0):
    """The exclusive or of two inputs: n points at the corners of the unit square; two classes.

    `xor(4, noise=0)` is the truth table. noise: standard deviation added to both inputs.
    seed=None draws from `minigrad.random.generator()`.
    """
    rng = generator(n, noise, seed)
    corner = np.arange(n) % 4
    a, b = corner // 2, corner % 2
    return plane("xor", "exclusive or: is exactly one of two inputs 1?", a, b, a ^ b, noise, rng,
                 ["0", "1"])


def spread(n, groups):
    """Where each of n points stands in its group, dealt out in turn: 0 for its first to 1."""
    place, size = np.arange(n) // groups, (n + groups - 1 - np.arange(n) % groups) // groups
    return place / np.maximum(size - 1, 1)


def generator(n, noise, seed):
    """The random generator of a made data set, after a look at its options."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise ValueError(f"n is the number of points, a whole number of at least 2, got {n!r}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is a standard deviation, at least 0, got {noise!r}")
    return random.generator() if seed is None else np.random.default_rng(seed)


def plane(name, description, x, y, label, noise, rng, classes):
    """The Table of points in the plane, with noise added."""
    points = np.stack([x, y], axis=1) + noise * rng.standard_normal((len(label), 2))
    return Table(points, label.astype(np.int64), [Column("x"), Column("y")],
                 Column("class", classes), name=name, description=description,
                 source="made by minigrad from a formula", why=f"{len(classes)} classes")


MAKERS = {maker.__name__: maker for maker in (digits, iris, moons, spirals, xor)}


def names():
    """The names that `load` knows."""
    return list(MAKERS)


def load(name, **options):
    """The Table of a data set by its name; options (n, noise, seed, ...) for the made ones.

    Raises ValueError for an unknown name, TypeError for an option the data set does not have.
    """
    if name not in MAKERS:
        raise ValueError(f"there is no data set {name!r}; there are {', '.join(MAKERS)}."
                         f"{nearest(name, MAKERS)} For a CSV file: read_table(path, target)")
    return MAKERS[name](**options)
