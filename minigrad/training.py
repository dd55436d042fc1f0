"""Training an MLP on a table: the settings, the loop, and how good the result is.

The one trick: nothing here is special. `Step` and `fit` are the loop that every lesson writes by
hand, and the tables above them are the only place where names from the command line become classes.
"""

import functools
import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from minigrad import nn
from minigrad.codegen.compiled import NotCompilable, compile
from minigrad.optim import SGD, Adagrad, Adam, AdamW, RMSprop, lr_scheduler


@dataclass(frozen=True)
class Recipe:
    """Every setting of a training run. lr None: what suits the optimizer (see LEARNING_RATES)."""

    hidden: tuple = (64, 32)
    activation: str = "relu"
    optimizer: str = "adamw"
    lr: float = None
    weight_decay: float = None
    momentum: float = None
    batch_size: int = 32
    epochs: int = 60
    scheduler: str = "cosine"
    label_smoothing: float = 0.1
    dtype: str = "float32"
    seed: int = 0


# fmt: off
# Measured over 40 seeds, each with its own split: on the held-out fifth of digits at least 97.2 %
# are right, in the median 98.9 %. Without smoothed labels one seed in eight stays below 97 %.
RECIPES = {
    "digits":  Recipe((128,),   batch_size=64, epochs=60,  weight_decay=0.5),
    "iris":    Recipe((16,),    batch_size=16, epochs=60,  weight_decay=0.1),
    "moons":   Recipe((16, 16), batch_size=32, epochs=60),
    "spirals": Recipe((64, 64), batch_size=32, epochs=100),
    "xor":     Recipe((8,),     batch_size=32, epochs=60),
}

# name: (class, its options). SGD's other options come from the settings.
OPTIMIZERS = {
    "sgd":      (SGD,     {}),
    "momentum": (SGD,     {"momentum": 0.9}),
    "nesterov": (SGD,     {"momentum": 0.9, "nesterov": True}),
    "adagrad":  (Adagrad, {}),
    "rmsprop":  (RMSprop, {}),
    "adam":     (Adam,    {}),
    "adamw":    (AdamW,   {}),
    "amsgrad":  (Adam,    {"amsgrad": True}),
}
WITH_MOMENTUM = ("sgd", "momentum", "nesterov", "rmsprop")

LEARNING_RATES = {
    "sgd":      0.1,   "momentum": 0.03,  "nesterov": 0.03,  "adagrad":  0.03,
    "rmsprop":  0.003, "adam":     0.01,  "adamw":    0.01,  "amsgrad":  0.01,
}

# name: the scheduler for n steps in all, stepped once a batch ("plateau": once an epoch).
SCHEDULERS = {
    "none":        lambda optimizer, n: None,
    "step":        lambda optimizer, n: lr_scheduler.StepLR(optimizer, step_size=max(1, n // 3)),
    "cosine":      lambda optimizer, n: lr_scheduler.CosineAnnealingLR(optimizer, T_max=n),
    "exponential": lambda optimizer, n: lr_scheduler.ExponentialLR(optimizer, gamma=0.01**(1 / n)),
    "linear":      lambda optimizer, n: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=n),
    "onecycle":    lambda optimizer, n: one_cycle(optimizer, n),
    "plateau":     lambda optimizer, n: lr_scheduler.ReduceLROnPlateau(optimizer),
}
# fmt: on


def one_cycle(optimizer, n):
    """OneCycleLR up to the optimizer's own rate; a momentum is cycled only where there is one."""
    moving = "betas" in optimizer.defaults or optimizer.defaults.get("momentum", 0) > 0
    return lr_scheduler.OneCycleLR(optimizer, max_lr=optimizer.defaults["lr"], total_steps=n,
                                   cycle_momentum=moving)


def recipe_for(table, **chosen):
    """The Recipe for a Table: the one of its name, else one for about 2000 steps.

    chosen: settings by name that take their place; None leaves a setting as it is.
    """
    recipe = RECIPES.get(table.name)
    if recipe is None:
        steps_per_epoch = math.ceil(0.8 * len(table) / Recipe.batch_size)
        recipe = Recipe(epochs=min(max(round(2000 / steps_per_epoch), 5), 200))
    given = {name: value for name, value in chosen.items() if value is not None}
    recipe = replace(recipe, **given)
    if recipe.lr is None:
        recipe = replace(recipe, lr=LEARNING_RATES[recipe.optimizer])
    if "weight_decay" not in given:  # that of the recipe is for AdamW: L2 is another thing
        decay = (recipe.weight_decay or 0.01) if recipe.optimizer == "adamw" else 0.0
        recipe = replace(recipe, weight_decay=decay)
    return recipe if table.task == "classification" else replace(recipe, label_smoothing=0.0)


def optimizer_for(recipe, parameters):
    """The optimizer of a Recipe. ValueError for a momentum that it does not have."""
    cls, options = OPTIMIZERS[recipe.optimizer]
    if recipe.momentum is not None:
        if recipe.optimizer not in WITH_MOMENTUM:
            raise ValueError(f"{recipe.optimizer} has no momentum to set; it goes with "
                             f"{', '.join(WITH_MOMENTUM)}")
        options = {**options, "momentum": recipe.momentum}
    return cls(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, **options)


def criterion_for(recipe, task):
    """The loss: cross-entropy for classes, mean squared error for values."""
    if task == "regression":
        return nn.MSELoss()
    return nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)


def lowest_loss(classes, smoothing):
    """The cross-entropy that smoothed labels leave to a perfect network: their own entropy."""
    right, wrong = 1 - smoothing + smoothing / classes, smoothing / classes
    shares = [right, *[wrong] * (classes - 1)]
    return -sum(share * math.log(share) for share in shares if share > 0)


# --- the loop ------------------------------------------------------------------------------------

class Diverged(ArithmeticError):
    """The loss or a weight became infinite or NaN at `step`."""

    def __init__(self, step, what):
        super().__init__(f"training diverged: {what} at step {step}")
        self.step = step


def gradient_norm(model):
    """The length of all gradients taken as one vector: sqrt of the sum of their squares. None if
    there are no gradients."""
    squares = [float(np.vdot(p.grad.array, p.grad.array)) for p in model.parameters()
               if p.grad is not None]
    return math.sqrt(sum(squares)) if squares else None


class Step:
    """One step of training: step(x, y) updates the parameters of `model` and returns the loss.

    Compiled where that is possible, which gives the same numbers sooner (minigrad.compile).

    kind  "compiled" or "eager": how steps are made now
    why   the reason, in words, if steps could not be compiled; else None
    """

    def __init__(self, model, criterion, optimizer, eager=False):
        self.model, self.optimizer = model, optimizer
        self.loss = lambda x, y: criterion(model(x), y)
        self.kind, self.why = "eager" if eager else "compiled", None
        self.compiled = compile(self.loss, optimizer)

    def __call__(self, x, y):
        if self.kind == "compiled":
            try:
                return self.compiled(x, y)
            except NotCompilable as refusal:
                self.kind, self.why = "eager", str(refusal)
                if refusal.loss is not None:
                    return refusal.loss
        self.optimizer.zero_grad()
        loss = self.loss(x, y)
        loss.backward()
        self.optimizer.step()
        return loss


def fit(step, batches, scheduler=None, epochs=1, progress=None):
    """Makes a Step with each (x, y) of the batches; returns (number of steps, were all made?).

    scheduler: stepped after each batch, ReduceLROnPlateau after each epoch with its mean loss.
    progress: a `minigrad.progress.Progress`, stepped once a batch.
    Ctrl-C ends the training, the model stays as it is then. Raises Diverged.
    """
    steps = 0
    plateau = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    norm = functools.partial(gradient_norm, step.model)  # computed only when it is shown
    try:
        for _ in range(epochs):
            total = 0.0
            for x, y in batches:
                value = step(x, y).item()
                if not math.isfinite(value):
                    raise Diverged(steps + 1, f"the loss became {value}")
                if scheduler is not None and not plateau:
                    scheduler.step()
                steps, total = steps + 1, total + value
                if progress is not None:
                    progress.step(loss=value, grad=norm)
            if plateau:
                scheduler.step(total / len(batches))
    except KeyboardInterrupt:
        return steps, False
    for name, p in step.model.named_parameters():
        if not np.isfinite(p.array).all():
            raise Diverged(steps, f"{name} is no longer finite")
    return steps, True


# --- how good it is ------------------------------------------------------------------------------

def scores(schema, outputs, y, train_y):
    """How well outputs (n, d) of the network predict y (n,), beside a guess that learnt nothing.

    Classification: accuracy, right, rows; baseline_accuracy of always answering `majority`, the
    most frequent class of the training rows; mistakes [[class, taken for, times]]. Regression: r2,
    rmse and baseline_rmse (of always answering the training mean) in the unit of the data.
    """
    n = len(y)
    if schema.class_names:
        answers = outputs.argmax(axis=1)
        majority = np.bincount(train_y).argmax()
        names, wrong = schema.class_names, answers != y
        mistakes = Counter(zip(y[wrong].tolist(), answers[wrong].tolist())).most_common()
        return {"rows": n, "right": int((answers == y).sum()),
                "accuracy": float((answers == y).mean()),
                "majority": names[majority], "baseline_accuracy": float((y == majority).mean()),
                "mistakes": [[names[a], names[b], times] for (a, b), times in mistakes]}
    unit = schema.target.std
    error, spread = outputs.reshape(-1) - y, y - y.mean()
    r2 = float(1 - (error @ error) / (spread @ spread)) if spread.any() else None
    return {"rows": n, "r2": r2, "rmse": float(unit * math.sqrt(error @ error / n)),
            "baseline_rmse": float(unit * math.sqrt(((y - train_y.mean()) ** 2).mean()))}
