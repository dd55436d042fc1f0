"""Readings for people: pictures of what was computed and of the gradients that came back; every
backward step, every update and every number explained; the record of a whole run."""

from minigrad.inspect.draw import Graph, draw
from minigrad.inspect.expression import expression
from minigrad.inspect.health import Health, health
from minigrad.inspect.layout import GraphvizNotFound
from minigrad.inspect.paths import GradientExplanation, explain
from minigrad.inspect.steps import BackwardSteps, backward_steps
from minigrad.inspect.trace import Run, load_trace, trace

__all__ = [
    "BackwardSteps",
    "GradientExplanation",
    "Graph",
    "GraphvizNotFound",
    "Health",
    "Run",
    "backward_steps",
    "draw",
    "explain",
    "expression",
    "health",
    "load_trace",
    "trace",
]
