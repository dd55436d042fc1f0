"""Readings for people: pictures of what was computed and of the gradients that came back."""

from minigrad.inspect.draw import Graph, draw
from minigrad.inspect.expression import expression
from minigrad.inspect.layout import GraphvizNotFound

__all__ = ["Graph", "GraphvizNotFound", "draw", "expression"]
