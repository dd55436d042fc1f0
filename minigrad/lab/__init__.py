"""The laboratory: what the slides claim, as experiments with a known answer."""

from minigrad.lab import experiments, surfaces
from minigrad.lab.comparison import Comparison
from minigrad.lab.race import Lane, Race, race
from minigrad.lab.surfaces import Surface
from minigrad.lab.trials import compare, load_comparison

__all__ = ["Comparison", "Lane", "Race", "Surface", "compare", "experiments", "load_comparison",
           "race", "surfaces"]
