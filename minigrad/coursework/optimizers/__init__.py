"""Diagnosing optimizers: the rule, known mistakes as edits of its lines, and the search."""
