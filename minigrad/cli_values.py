"""Values of options: what a word of the command line must be, and what is said if it is not."""

import argparse
import math

from minigrad.data.csvfile import nearest

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "amsgrad")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu", "softplus")
SCHEDULERS = ("none", "step", "cosine", "exponential", "linear", "onecycle", "plateau")


def listed(names):
    """a, b or c"""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def one_of(*names):
    """The type of an option that takes one of several names."""
    def choice(word):
        if word not in names:
            raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(names)}."
                                             f"{nearest(word, names)}")
        return word
    return choice


def number(least=None, above=None, below=math.inf):
    """The type of an option that takes a finite number in a range."""
    words = f"above {above}" if least is None else f"of at least {least}"
    words += f" and below {below}" if below < math.inf else ""

    def checked(word):
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not (value < below and (value > above if least is None else value >= least)):
            raise argparse.ArgumentTypeError(f"it must be a number {words}, got {word!r}")
        return value
    return checked


def whole(least):
    """The type of an option that takes a whole number."""
    def checked(word):
        if not word.isascii() or not word.isdigit() or int(word) < least:
            raise argparse.ArgumentTypeError(f"it must be a whole number of at least {least}, "
                                             f"got {word!r}")
        return int(word)
    return checked


def layers(word):
    """Sizes of hidden layers: "64,32", or "none" for a linear model."""
    if word == "none":
        return ()
    sizes = word.split(",")
    if not all(size.isascii() and size.isdigit() and int(size) > 0 for size in sizes):
        raise argparse.ArgumentTypeError("it must be sizes separated by commas, such as 64,32, "
                                         f"or none, got {word!r}")
    return tuple(map(int, sizes))


def several(one):
    """The type of an option that takes several values between commas; one: the type of each."""
    def checked(word):
        return [one(part) for part in word.split(",")]
    return checked
