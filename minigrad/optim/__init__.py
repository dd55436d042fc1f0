"""Optimizers: pure update rules, PyTorch's classes over them, learning-rate schedulers."""

from minigrad.optim import lr_scheduler, rules
from minigrad.optim.optimizer import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.optim.rules import elementwise

__all__ = ["Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "SGD", "elementwise",
           "lr_scheduler", "rules"]
