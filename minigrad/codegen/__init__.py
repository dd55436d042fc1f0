"""Readings for the machine: a computation printed as NumPy, and run as what was printed."""
