"""Text of expressions and of known arrays, and how long lines are broken.

The one trick: whatever is written is read back as the same: numbers to their last digit, arrays
with their shape and dtype, lines broken only where Python does not mind, inside brackets.
"""

import ast
import re

import numpy as np

WIDTH = 90        # columns of a line
SOME = 60         # numbers of a constant array that is written out
SPACES = re.compile(r"\s+")


def copied(node):
    """A tree of its own: what is put in two places must not be shared."""
    if isinstance(node, list):
        return [copied(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    return type(node)(**{name: copied(part) for name, part in ast.iter_fields(node)})


def text_of(node):
    """A tree as one line, in the spacing of formulas: x**2."""
    return ast.unparse(ast.fix_missing_locations(node)).replace(" ** ", "**")


def array_text(x):
    """A known array as text that makes it, exactly; None if only its numbers would do, and they
    are too many or not finite."""
    dtype = x.dtype
    kind = "" if dtype in (np.float64, np.int64) else f", np.{dtype.name}"
    shape = str(x.shape if x.ndim != 1 else x.size)
    if x.ndim == 0:
        return f"np.{dtype.name}({number_text(x.item())})" if dtype.kind != "b" else (
            f"np.bool({x.item()})")
    if x.size and (x == x.flat[0]).all() and not (np.signbit(x).any() and not x.flat[0]) and (
            dtype.kind == "f"):
        value = x.flat[0].item()
        if value in (0, 1):
            return f"np.{'ones' if value else 'zeros'}({shape}{kind})"
        return f"np.full({shape}, {number_text(value)}{kind})"
    if dtype.kind in "iu" and x.size > 1 and max(x.shape) == x.size and (
            x.reshape(-1) == np.arange(x.size)).all():
        more = "" if x.ndim == 1 else f".reshape{x.shape}"
        return f"np.arange({x.size}{f', dtype=np.{dtype.name}' if kind else ''}){more}"
    if x.size == 0:
        return f"np.zeros({shape}{f', np.{dtype.name}' if dtype != np.float64 else ''})"
    if x.size > SOME:
        return None
    numbers = text_of(ast.parse(SPACES.sub(" ", nested(x.tolist())), mode="eval").body)
    return f"np.array({numbers}{kind if dtype.kind != 'b' else ''})"


def nested(x):
    return f"[{', '.join(map(nested, x))}]" if isinstance(x, list) else number_text(x)


def number_text(x):
    if isinstance(x, float) and not np.isfinite(x):
        return "np.nan" if x != x else "np.inf" if x > 0 else "-np.inf"
    return repr(x)


def wrapped(line, width=WIDTH, indent=""):
    """A line of code as lines of at most `width` columns, broken inside brackets."""
    if len(line) <= width:
        return [line]
    head, equals, body = line.partition(" = ")
    if equals and not closes_last(body):
        line = f"{head} = ({body})"
    lines, depth = [], 0
    while len(line) > width:
        at, depth = breaking(line, width, depth)
        if at is None:
            break
        lines.append(line[:at].rstrip())
        line = f"{indent}    {line[at:].lstrip()}"
    return [*lines, line]


def closes_last(body):
    """Does the first bracket of an expression close at its end? Then it can be broken in there."""
    depth = 0
    for i, letter in enumerate(body):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and letter in ")]}":
            return i == len(body) - 1
    return False


def breaking(line, width, depth):
    """(where to break a line, how many brackets are open there): at the last space within `width`
    that stands inside the fewest brackets, but at least one. `depth`: how many are open before."""
    quote, found = None, {}
    start = len(line) - len(line.lstrip())
    for i, letter in enumerate(line[:width]):
        if quote:
            quote = None if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
            if letter == " " and i > start + 20:
                found[depth] = i
    usable = [d for d in found if d > 0]
    return (found[min(usable)] + 1, min(usable)) if usable else (None, 0)
