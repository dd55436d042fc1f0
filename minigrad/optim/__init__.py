"""Optimizers: pure update rules, PyTorch's classes over them, learning-rate schedulers."""

from minigrad.optim import lr_scheduler, rules
from minigrad.optim.classes import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)
from minigrad.optim.explaining import UpdateExplanation
from minigrad.optim.optimizer import Optimizer
from minigrad.optim.rules import elementwise, matrices

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "UpdateExplanation",
    "elementwise",
    "lr_scheduler",
    "matrices",
    "rules",
]
