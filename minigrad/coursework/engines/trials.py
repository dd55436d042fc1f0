"""The tiny graphs, run on somebody's class: what each gave, and which the class cannot run.

The one trick: an outcome is plain data, {"value": numbers, leaf: numbers} or ("raises", text) or
("lacks", text), so the graphs may as well run in another process and come back as JSON.
"""

import ast
import functools

import numpy as np

from minigrad.coursework.engines.adapters import Missing

LACKING = (Missing, TypeError, AttributeError, NotImplementedError)


def observed(adapter, graph):
    """The outcome of a graph on the student's class; it never raises.

    {"value": .., leaf: gradient, ..}; ("lacks", its text) if forward has no such operation;
    ("raises", its text) of any other exception.
    """
    try:
        with np.errstate(all="ignore"):
            leaves = {name: adapter.leaf(x) for name, x in graph.leaves.items()}
            values, names = dict(leaves), adapter.names()
            for line in graph.lines:
                exec(adapter.compiled(line), names, values)
            found = {"value": adapter.data(values["y"])}
    except LACKING as error:
        return "lacks", told(error)
    except (Exception, SystemExit) as error:
        return "raises", told(error)
    try:
        with np.errstate(all="ignore"):
            for _ in range(graph.calls):
                adapter.backward(values["y"])
            for name, leaf in leaves.items():
                found[name] = unpadded(adapter.grad(leaf), adapter.data(leaf), graph.leaves[name])
    except (Exception, SystemExit) as error:
        return "raises", told(error)
    return found


def unpadded(g, held, x):
    """A gradient in the shape of the leaf x, where the class holds (1, 3) for (3,)."""
    fits = g is not None and np.shape(held) == np.shape(g) and np.size(held) == np.size(x)
    return np.reshape(g, np.shape(x)) if fits else g


def told(error):
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def numeric(graph, found):
    """An outcome with ndarrays in it; gradients of None are 0. What is not numbers "raises"."""
    if not isinstance(found, dict):
        kind, text = found
        return str(kind), str(text)
    try:
        given = {name: found.get(name) for name in ("value", *graph.leaves)}
        return {name: np.zeros(np.shape(graph.leaves[name])) if x is None and name != "value"
                else np.array(x, dtype=float) for name, x in given.items()}
    except (TypeError, ValueError, OverflowError):
        return "raises", "what came back are not numbers"


def sorted_out(outcomes):
    """(results, lacking, reflected) of [(graph, outcome)]: the graphs that ran, with outcomes as
    ndarrays; the graphs that cannot; those of them where only a number on the left fails."""
    results, lacking, reflected = [], [], []
    for graph, given in outcomes:
        found = numeric(graph, given)
        refusable = graph.calls > 1 or "+=" in "".join(graph.lines)  # PyTorch refuses these
        if isinstance(found, tuple) and (found[0] == "lacks" or refusable):
            lacking.append(graph)
        else:
            results.append((graph, found))
    ran = {line for graph, _ in results for line in graph.lines}
    for graph in lacking:
        words = graph.lines[0].split()
        if words[2] == "2" and " ".join((*words[:2], "a", *words[3:4], "2")) in ran:
            reflected.append(graph)
    return results, lacking, reflected


def untested(results, lacking, reflected=()):
    """The operations of graphs that could not run, and of no other, as texts: "tanh", "x - y"."""
    ran = {op for graph, _ in results for op in operations_of(graph.lines)}
    ran |= {op for graph in reflected for op in operations_of(graph.lines)}  # told in a note
    found = [op for graph in lacking for op in operations_of(graph.lines) if op not in ran]
    refused = ["backward() twice" for graph in lacking if graph.calls > 1]
    return tuple(dict.fromkeys(found + (refused if not found else [])))


@functools.cache
def operations_of(lines):
    """The operations of a graph's lines, as texts."""
    return [*each_operation(lines)]


def each_operation(lines):
    for line in lines:
        for node in ast.walk(ast.parse(line)):
            if isinstance(node, ast.Call):
                yield node.func.id
            elif isinstance(node, ast.BinOp):
                left, right = (operand(x, letter) for x, letter in ((node.left, "x"),
                                                                    (node.right, "y")))
                yield f"{left} {SIGNS[type(node.op).__name__]} {right}"
            elif isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Name):
                yield "-x"
            elif isinstance(node, ast.Subscript):
                yield "x[0]"


SIGNS = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "**", "MatMult": "@"}


def operand(node, letter):
    """x or y; "number" where a number stands, but the exponent itself of a power."""
    if isinstance(node, (ast.Constant, ast.UnaryOp)):
        return "number"
    return letter


LONG = 1500  # nodes: more than Python's recursion reaches


def too_deep(adapter):
    """What backward raises on a long chain, where it is that Python's recursion is too short."""
    try:
        x = y = adapter.leaf(1.0)
        for _ in range(LONG):
            y = y + x if adapter.functions.get("add") is None else adapter.functions["add"](y, x)
        adapter.backward(y)
    except RecursionError as error:
        return told(error)
    except (Exception, SystemExit):
        pass  # is told elsewhere
    return None
