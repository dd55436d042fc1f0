"""Lines of a formula, rewritten: "np.sqrt(X) + eps -> np.sqrt(X + eps)".

The one trick: a formula is a tuple of lines of Python, and a mistake in it is a rewriting of
lines. Capital letters stand for any expression, all else for itself, so one rewriting serves every
rule in which its pattern occurs, and one that finds nothing tells that it makes no sense there.
"""

import ast
import copy
import functools


def each(*edits):
    """Each edit as a way of its own to make a mistake: ((edit,), (edit,), ...)."""
    return tuple((edit,) for edit in edits)


def rewritten(lines, edits):
    """The lines after all edits, one after the other. None if one of them finds nothing to do.

    An edit is "pattern -> replacement": two expressions, which applies wherever the pattern
    occurs, or two assignments, which replaces a line ("pass" leaves it out).
    """
    for edit in edits:
        changed = tuple(line for old in lines for line in line_after(old, edit))
        if changed == lines:
            return None
        lines = changed
    return lines


@functools.lru_cache(maxsize=None)
def line_after(line, edit):
    """One line after an edit, as a tuple: empty if the line was left out."""
    pattern, replacement = parsed_edit(edit)
    statement = ast.parse(line).body[0]
    if isinstance(pattern, ast.stmt):
        found = {}
        if not matches(pattern, statement, found):
            return (line,)
        if isinstance(replacement, ast.Pass):
            return ()
        return (ast.unparse(filled(replacement, found)),)
    return (ast.unparse(Rewriter(pattern, replacement).visit(statement)),)


@functools.lru_cache(maxsize=None)
def parsed_edit(edit):
    """(pattern, replacement) of "pattern -> replacement", as syntax trees."""
    sides = edit.split(" -> ")
    if len(sides) != 2:
        raise ValueError(f"edit {edit!r} must be written 'pattern -> replacement'")
    pattern, replacement = (ast.parse(side.strip()).body[0] for side in sides)
    if isinstance(pattern, ast.Expr):
        return pattern.value, replacement.value
    return pattern, replacement


class Rewriter(ast.NodeTransformer):
    """Replaces every occurrence of a pattern. Inner ones first; what was put in stays."""

    def __init__(self, pattern, replacement):
        self.pattern, self.replacement = pattern, replacement

    def visit(self, node):
        node = self.generic_visit(node)
        found = {}
        stored = isinstance(getattr(node, "ctx", None), ast.Store)  # left of "=": no expression
        if isinstance(node, ast.expr) and not stored and matches(self.pattern, node, found):
            return filled(self.replacement, found)
        return node


def is_wild(node):
    """Does a name of a pattern stand for any expression? (G, Adagrad's sum, is itself.)"""
    return isinstance(node, ast.Name) and node.id in {"X", "Y", "B"}


def matches(pattern, node, found):
    """Is the node what the pattern says? Fills `found` with what its wild names stand for."""
    if is_wild(pattern) and isinstance(node, ast.expr):
        known = found.setdefault(pattern.id, node)
        return ast.dump(known) == ast.dump(node)
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        return len(pattern) == len(node) and all(
            matches(one, other, found) for one, other in zip(pattern, node))
    if not isinstance(pattern, ast.AST):
        return pattern == node
    return all(matches(getattr(pattern, field, None), getattr(node, field, None), found)
               for field in pattern._fields if field not in {"ctx", "type_comment", "kind"})


def filled(replacement, found):
    """The replacement with its wild names filled in."""
    class Filler(ast.NodeTransformer):
        def visit_Name(self, node):
            return copy.deepcopy(found[node.id]) if is_wild(node) and node.id in found else node
    return Filler().visit(copy.deepcopy(replacement))
