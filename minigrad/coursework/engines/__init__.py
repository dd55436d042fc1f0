"""Diagnosing autograd engines: tiny graphs, a right engine with switches, and the search."""
