"""Arrows: what their purple lane says, and their line of DOT.

The one trick: a label is code first. It is the rule as NumPy, broken where an expression may be
broken; only what is too long for three lines is told in words, with the size of what passes, and
the tooltip has the code all the same.
"""

import ast
import copy
import re

from minigrad import numbers
from minigrad.inspect.cards import PURPLE, cell, cut, font, quoted, table, tag_of
from minigrad.inspect.expression import text
from minigrad.inspect.graph_calls import computed, path_of, title_of_call
from minigrad.numbers import GREY

ACROSS = 34  # characters of a line of a label
LINES = 3
TRUNK = " weight=4"
DEEPEST = 6  # parentheses in which a line may end
BREAKS = re.compile(r"[][(){}]| (?=(?:[-+*/@=|&<>]|[-+<>=!]=) )|(?<=[,;]) ")


def arrow_text(arrow, ends, key, direction):
    """The line of DOT of an arrow. ends: "n1 -> n3". key: its id in the SVG."""
    if not arrow.tracked:
        return f'  {ends} [id="{key}" class="edge fwd" color="{GREY}"]'
    lines, whole = label(arrow)
    # The way from result to result is drawn straighter than what joins it.
    more = TRUNK if computed(arrow.source.tensor) else ""
    return purple(ends, key, lines, whole, direction, more)


def purple(ends, key, lines, whole, direction, more=""):
    """The line of DOT of an arrow with two lanes. lines: its label. whole: its tooltip."""
    if direction == "TB":  # room between the arrow and its label
        lines = ["\N{NO-BREAK SPACE}" + line for line in lines]
    align = "LEFT" if len(lines) > 1 else "CENTER"
    body = table([[cell(font(line, 10, PURPLE), align=align)] for line in lines], padding=1)
    body = f" label=<{table([[cell(body)]], padding=2)}>" if lines else ""
    return (f'  {ends} [id="{key}" class="edge fwd bwd" dir=both color="{GREY}:{PURPLE}" '
            f"labeltooltip={quoted(whole)} edgetooltip={quoted(whole)}{body}{more}]")


def label(arrow):
    """(lines, tooltip) of a purple lane. Where all is scalar, the label has the numbers in it."""
    share, target = arrow.share, arrow.target
    meaning = f"added to {reached(arrow)}, where g is {target.name}.grad"
    if share is None or share.text is None:
        return in_words(arrow), untold(arrow)
    g, words = target.gradient, readable(share.text)
    known = arrow.value is not None and g is not None
    if known and g.size == 1 and arrow.value.size == 1 and share.node is not None:
        words = with_number(share, float(g.reshape(())))
    whole = f"{share.text}\n{meaning}"
    if known:
        whole += f"\nit brings {numbers.exact(arrow.value)}"
    if arrow.stale:
        whole += "\na value in it was changed in place since: it brought something else"
    lines = broken(words)
    if len(lines) <= LINES:
        return lines, whole
    if len(target.records) > 1:
        return in_words(arrow), whole
    return [*lines[:LINES - 1], cut(" ".join(lines[LINES - 1:]), ACROSS)], whole


def in_words(arrow):
    """What stands for a rule that does not print, or not in three lines."""
    target = arrow.target
    n = len(target.records)
    words = f"through {n} ops of {where(target)}" if n > 1 else f"rule of {where(target)}"
    shape = str(arrow.source.array.shape)
    passing = "" if arrow.value is None else f"  {numbers.summary(arrow.value)}"
    return [cut(words, ACROSS), cut(shape + passing, ACROSS)]


def untold(arrow):
    """The tooltip for the same."""
    target, source, n = arrow.target, arrow.source, len(arrow.target.records)
    words = f"the rule of {where(target)} for {source.name} does not print"
    if n > 1:
        words = f"the gradient passes the {n} operations of {where(target)}"
    known = "" if arrow.value is None else f"\nit brings {numbers.exact(arrow.value)}"
    return f"{words}\nadded to {reached(arrow)}{known}"


def reached(arrow):
    """What the gradient of a purple lane is added to."""
    if arrow.inner:
        return f"the gradient of another result of the operations of {arrow.source.name}"
    return f"{arrow.source.name}.grad"


def where(card):
    """A word for what a card stands for: the path of its module, or its operation."""
    if not card.records:
        return tag_of(card.tensor)
    if len({id(t.module) for t in card.records}) == 1 and card.repeats == 1:
        module = card.records[0].module
        return path_of(module) or type(module).__name__
    return title_of_call(card.records, card.repeats).partition(":")[0]


def with_number(share, g):
    """0.211 * x = 0.316: the label of scalars, with g's number in g's place."""
    result = numbers.short(share.value.reshape(()))
    left = text(share.node)
    if left not in ("g", "-g"):
        decimals, exponent = numbers.scale(abs(g))
        shown = numbers.number(g, decimals) if not exponent else f"{g:.2e}"
        left = text(Numbered(shown).visit(copy.deepcopy(share.node)))
    return f"{readable(left)} = {result}"


class Numbered(ast.NodeTransformer):
    """An expression with a number in the place of g."""

    def __init__(self, shown):
        self.shown = shown

    def visit_Name(self, node):
        return ast.Name(self.shown) if node.id == "g" else node


def broken(words):
    """An expression in lines of at most ACROSS characters, broken before operators and after
    commas, as far outside of its parentheses as can be. What cannot be broken is cut."""
    lines = [words]
    for depth in range(DEEPEST):
        if max(map(len, lines)) <= ACROSS:
            break
        lines = []
        for part in parts(words, depth):
            if lines and len(lines[-1]) + 1 + len(part) <= ACROSS:
                lines[-1] += " " + part
            else:
                lines.append(part)
    return [cut(line, ACROSS) for line in lines]


def parts(words, depth):
    """An expression in the pieces between operators and commas in at most `depth` parentheses."""
    start = inside = 0
    for found in BREAKS.finditer(words):
        if found[0] == " ":
            if inside <= depth:
                yield words[start:found.start()]
                start = found.end()
        else:
            inside += 1 if found[0] in "([{" else -1
    yield words[start:]


def readable(words):
    """NumPy text as a label shows it: without `np.`, long fractions shortened."""
    words = re.sub(r"\bnp\.", "", words.replace("np.vectorize(math.erf)", "erf"))
    return re.sub(r"\d+\.\d{5,}", lambda m: f"{float(m[0]):.4g}", words)
