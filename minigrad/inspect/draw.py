"""draw(loss): the computation as a picture: every tensor a card, every use of it an arrow.

The one trick: each arrow has two lanes. Data goes along the grey one, the gradient comes back along
the purple one, and the purple label is what it brings: what is added to the grad of the card it
reaches, as NumPy, with g for the grad of the card it leaves. Where no gradient flows there is no
purple lane.
"""

import ast
import base64
import copy
import os
import re

from minigrad.engine import Recorded
from minigrad.inspect import layout, listing
from minigrad.inspect.boxes import boxed
from minigrad.inspect.cards import (CLASSES, PURPLE, card_html, cell, cut, escaped, expression_of,
                                    font, printable, quoted, table, tag_of, tooltip)
from minigrad.inspect.contribution import identifiers
from minigrad.inspect.expression import text
from minigrad.inspect.numbers import GREY, INK, scale, number
from minigrad.inspect.numbers import short as in_short
from minigrad.inspect.picture import PICTURE, computed, path_of, picture, title_of

WIDE = 8  # levels up to which a picture runs from left to right
LONGEST = 34  # characters of a label; its tooltip has the rest


def draw(outputs, *, depth=None, expand=(), fold=None, max_nodes=PICTURE, direction=None,
         title=None, values=True, merge=True):
    """The Graph of a tensor, or of a list of tensors, and everything they were computed from.

    depth: modules so deep in the model and below become one card each (0: the whole model).
    expand: paths of modules to leave open ("net.0"), a string or several.
    fold: True, every module is one card; False, none; None, modules are folded beyond 60 cards.
    max_nodes: refuse more cards than this. direction: "LR" or "TB"; None: as it fits.
    title: instead of the formula. values: False leaves the numbers out.
    merge: folded modules alike, three or more in a row, become one card ("x12").

    TypeError for anything but tensors, ValueError for too many cards and unknown options.
    """
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    if not outputs:
        raise ValueError("draw: no tensor was given to draw")
    for t in outputs:
        if not isinstance(t, Recorded):
            raise TypeError("draw: expected a Tensor or a list of Tensors, got "
                            f"{type(t).__name__}; of a model, draw what it returns: draw(model(x))")
    if direction not in (None, "LR", "TB"):
        raise ValueError(f"draw: direction must be 'LR', 'TB' or None, got {direction!r}")
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ValueError(f"draw: depth must be None or an int from 0 on, got {depth!r}")
    expand = (expand,) if isinstance(expand, str) else tuple(expand)
    unique = list({id(t): t for t in outputs}.values())
    return Graph(picture(unique, max_nodes, fold, depth, expand, merge), direction, title, values)


class Graph:
    """A drawn computation: `source` is its DOT text, print() lists its tensors."""

    def __init__(self, picture, direction=None, title=None, values=True):
        self.picture, self.values = picture, values
        self.formula = formula(picture)
        self.title = self.formula if title is None else title
        self.direction = direction or ("LR" if levels(picture) <= WIDE else "TB")
        self.source = dot_text(self)
        self.lines = listing.listed(picture)

    def save(self, path):
        """Writes the picture to `path`, whose suffix is the format: .svg, .png, .pdf or .dot.

        Returns path. ValueError for another suffix, OSError if the file cannot be written,
        GraphvizNotFound if there is no layout program (.dot needs none).
        """
        form = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
        if form not in (*layout.FORMATS, "dot", "gv"):
            raise ValueError(f"cannot save a graph as {os.fspath(path)!r}: the suffix must be "
                             ".svg, .png, .pdf or .dot")
        text_form = form in ("dot", "gv")
        layout.write(path, self.source.encode("ascii") if text_form else self.render(form))
        return path

    def render(self, form="svg"):
        """The picture as bytes: "svg", "png" or "pdf"."""
        return layout.rendered(self.source, form, self.about)

    def graphviz(self):
        """The same picture as a graphviz.Source, to render, view or embed by that package's
        means."""
        import graphviz
        return graphviz.Source(self.source)

    @property
    def about(self):
        """One line for those who cannot see the picture."""
        names = ", ".join(printable(card.name) for card in self.picture.outputs)
        return f"computation graph of {names}: {len(self.picture.cards)} tensors"

    def __str__(self):
        return self.lines

    def __repr__(self):
        return f"<Graph of {', '.join(c.name for c in self.picture.outputs)}: " \
               f"{len(self.picture.cards)} tensors>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        """What a notebook shows: an <img>, which untrusted notebooks keep. Never an exception."""
        words = str(self)
        try:
            svg = self.render("svg")
        except Exception as error:
            words = f"{error}\n\n{words}"
            return {"text/html": f"<pre>{escaped_lines(words)}</pre>", "text/plain": words}
        data = base64.b64encode(svg).decode()
        picture = f'<img alt="{escaped(self.about)}" src="data:image/svg+xml;base64,{data}">'
        return {"text/html": picture, "image/svg+xml": svg.decode(), "text/plain": words}


def escaped_lines(words):
    return "\n".join(map(escaped, words.split("\n")))


def formula(picture):
    """L = ((tanh(x @ W1 + b1) @ W2 - y)**2).mean(): what was computed, if it fits in a line."""
    if len(picture.outputs) > 1:
        return ", ".join(card.name for card in picture.outputs)
    card = picture.outputs[0]
    if not computed(card.tensor):
        return card.name
    leaves = [t for c in picture.cards for t in (*c.parameters, c.tensor) if not computed(t)]
    words = identifiers([(id(t), picture.names[id(t)]) for t in leaves])
    written = expression_of(card.tensor, words, limit=40)
    if len(written) <= 72 and "..." not in written:
        return f"{card.name} = {readable(written)}"
    operations = sum(len(c.records) or computed(c.tensor) for c in picture.cards)
    return f"{card.name}: the result of {operations} operations"


def levels(picture):
    """Cards on the longest way through the picture."""
    depth = {id(card): 1 for card in picture.cards}
    for arrow in picture.arrows:  # in the order of their targets, which is topological
        depth[id(arrow.target)] = max(depth[id(arrow.target)], depth[id(arrow.source)] + 1)
    return max(depth.values())


# --- DOT text -------------------------------------------------------------------------------------

def dot_text(graph):
    """The whole picture in DOT."""
    cards, arrows = graph.picture.cards, graph.picture.arrows
    nodes = {id(card): f"n{i}" for i, card in enumerate(cards, 1)}
    lines = ["digraph minigrad {",
             f'  graph [rankdir={graph.direction} fontname="Helvetica" nodesep=0.3 ranksep=0.5 '
             f'bgcolor="#FFFFFF" pad=0.25 labelloc=t labeljust=l label=<{caption(graph)}>]',
             '  node [shape=plain fontname="Helvetica"]',
             '  edge [fontname="Helvetica" arrowsize=0.7 penwidth=1.3]']
    ids = set()
    for depth, line in boxed(cards):
        words = line if isinstance(line, str) else node_text(line, nodes, graph, ids)
        lines.append("  " * (depth + 1) + words)
    lines += [arrow_text(arrow, nodes, graph.direction) for arrow in arrows]
    return "\n".join([*lines, "}", ""])


def caption(graph):
    """Title and legend."""
    picture, rows, notes = graph.picture, [], []
    if graph.title:
        rows.append([cell(font(cut(graph.title, 100), 15, INK, bold=True), align="LEFT")])
    if any(card.records for card in picture.cards):
        n = sum(bool(card.records) for card in picture.cards)
        ops = sum(len(card.records) for card in picture.cards)
        notes.append(f"{ops} operations of modules folded into {n} cards; "
                     "fold=False or expand= opens them")
    if picture.arrows:
        notes.append("grey arrow    data, forward")
    if any(arrow.tracked for arrow in picture.arrows):
        notes += ["purple arrow  gradient, backward: its label is added to the grad it reaches",
                  "g             the grad of the box the purple arrow leaves"]
    rows += [[cell(font(note, 9, GREY), align="LEFT")] for note in notes]
    return table(rows or [[cell("")]], padding=2)


def node_text(card, nodes, graph, ids):
    tag = tag_for(card)
    kind = CLASSES.get(card.role, card.role)
    name = f"t-{re.sub(r'[^A-Za-z0-9_.-]', '_', card.name)}"
    if name in ids:
        name = f"{name}-{nodes[id(card)]}"
    ids.add(name)
    body = card_html(card, graph.picture.names, tag, graph.values)
    return (f'{nodes[id(card)]} [id="{name}" class="tensor {kind}" '
            f"tooltip={quoted(tooltip(card, tag))} label=<{body}>]")


def tag_for(card):
    """The word in the left corner of a card: the operation, the module, or the role."""
    if card.role not in ("op", "loss", "output"):
        return card.role
    if not card.records:
        return tag_of(card.tensor) if computed(card.tensor) else card.role
    modules = {id(t.module): t.module for t in card.records}
    if card.repeats > 1:
        first, last = path_of(card.records[0].module), path_of(card.records[-1].module)
        parts = os.path.commonprefix([first.split("."), last.split(".")])
        ends = "-".join(path.split(".")[len(parts)] for path in (first, last))
        kind = f": {type(card.records[0].module).__name__}" if len(modules) == card.repeats else ""
        return f"{'.'.join([*parts, ends])}{kind} x{card.repeats}"
    if len(modules) == 1:
        return title_of(card.records[0].module)
    paths = [path_of(t.module).split(".") for t in card.records]
    common = os.path.commonprefix(paths)
    return ".".join(common) or "model"


def arrow_text(arrow, nodes, direction):
    ends = f"{nodes[id(arrow.source)]} -> {nodes[id(arrow.target)]}"
    if not arrow.tracked:
        return f'  {ends} [class="edge fwd" color="{GREY}"]'
    words, whole = arrow_label(arrow)
    if direction == "TB":
        words = "\N{NO-BREAK SPACE}" + words  # room between the arrow and its label
    body = table([[cell(font(words, 10, PURPLE))]], padding=3)
    return (f'  {ends} [class="edge fwd bwd" dir=both color="{GREY}:{PURPLE}" '
            f"labeltooltip={quoted(whole)} edgetooltip={quoted(whole)} label=<{body}>]")


def arrow_label(arrow):
    """(label, tooltip) of a purple lane. Where all is scalar, the label has the numbers in it."""
    share, target = arrow.share, arrow.target
    meaning = f"added to {arrow.source.name}.grad, where g is {target.name}.grad"
    if share is None or share.text is None:
        if len(target.records) > 1:
            n = len(target.records)
            return f"through {n} ops", f"the gradient passes the {n} operations of {target.name}"
        return "rule", f"the rule of {tag_for(target)} for {arrow.source.name} does not print"
    g, words = target.gradient, cut(readable(share.text), LONGEST)
    if g is not None and g.size == 1 and share.value.size == 1 and share.node is not None:
        words = with_number(share, float(g.reshape(())))
    return words, f"{share.text}\n{meaning}"


def with_number(share, g):
    """0.211 * x = 0.316: the label of scalars, with g's number in g's place."""
    result = in_short(share.value.reshape(()))
    left = text(share.node)
    if left not in ("g", "-g"):
        decimals, exponent = scale(abs(g))
        shown = number(g, decimals) if not exponent else f"{g:.2e}"
        left = text(Numbered(shown).visit(copy.deepcopy(share.node)))
    return f"{cut(readable(left), LONGEST - len(result) - 3)} = {result}"


class Numbered(ast.NodeTransformer):
    """An expression with a number in the place of g."""

    def __init__(self, shown):
        self.shown = shown

    def visit_Name(self, node):
        return ast.Name(self.shown) if node.id == "g" else node


def readable(words):
    """NumPy text as a label shows it: without `np.`, long fractions shortened."""
    words = words.replace("np.vectorize(math.erf)", "erf").replace("np.", "")
    return re.sub(r"\d+\.\d{5,}", lambda m: f"{float(m[0]):.4g}", words)
