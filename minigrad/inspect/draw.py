"""draw(loss): the computation as a picture: every tensor a card, every use of it an arrow.

The one trick: each arrow has two lanes. Data goes along the grey one, the gradient comes back along
the purple one, and the purple label is what it brings: what is added to the grad of the card it
reaches, as NumPy, with g for the grad of the card it leaves. Where no gradient flows there is no
purple lane.
"""

import os
import re

from minigrad import markup
from minigrad.engine import Recorded
from minigrad.inspect import layout, listing
from minigrad.inspect.boxes import boxed
from minigrad.inspect.cards import (
    CLASSES,
    card_html,
    cell,
    cut,
    expression_of,
    font,
    operation_html,
    printable,
    quoted,
    table,
    tag_of,
    tooltip,
)
from minigrad.inspect.draw_arrows import arrow_text, purple, readable
from minigrad.inspect.graph_calls import computed, title_of_call
from minigrad.inspect.picture import PICTURE, picture
from minigrad.numbers import GREY, INK

WIDE = 8  # levels up to which a picture runs from left to right
OPS = "tags", "nodes"


def draw(outputs, *, depth=None, expand=(), fold=None, max_nodes=PICTURE, direction=None,
         title=None, values=True, merge=True, ops="tags"):
    """The Graph of a tensor, or of a list of tensors, and everything they were computed from.

    depth: modules so deep in the model and below become one card each (0: the whole model).
    expand: paths of modules to leave open, a string or several: "0" of a Sequential, "net.0" of
    one that is self.net.
    fold: True, every module is one card; False, none; None, modules are folded beyond 60 cards.
    max_nodes: refuse more cards than this. direction: "LR" or "TB"; None: as it fits.
    title: instead of the formula. values: False leaves the numbers out.
    merge: folded modules alike, three or more in a row, become one card ("x12"), and so do groups
    of them (Linear and Tanh, twenty times). False: they do not.
    ops: "tags", the operation stands in the corner of its result; "nodes", as a node of its own.

    Of a scalar function applied to a batch, number by number, draw one sample.
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
    if ops not in OPS:
        raise ValueError(f"draw: ops must be 'tags' or 'nodes', got {ops!r}")
    expand = (expand,) if isinstance(expand, str) else tuple(expand)
    unique = list({id(t): t for t in outputs}.values())
    return Graph(picture(unique, max_nodes, fold, depth, expand, merge), direction, title, values,
                 ops)


class Graph:
    """A drawn computation: `source` is its DOT text, print() lists its tensors."""

    def __init__(self, picture, direction=None, title=None, values=True, ops="tags"):
        self.picture, self.values, self.ops = picture, values, ops
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
            return markup.bundle(f"{error}\n\n{words}")
        more = {"image/svg+xml": svg.decode()}
        return markup.bundle(words, markup.image(svg, self.about), **more)


def formula(picture):
    """L = ((tanh(x @ W1 + b1) @ W2 - y)**2).mean(): what was computed, if it fits in a line."""
    if len(picture.outputs) > 1:
        return ", ".join(card.name for card in picture.outputs)
    card = picture.outputs[0]
    if not computed(card.tensor):
        return card.name
    leaves = [t for c in picture.cards for t in (*c.parameters, c.tensor) if not computed(t)]
    words = {id(t): picture.words[id(t)] for t in leaves}
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
    keys = unique(cards, key_of)
    for depth, line in boxed(cards):
        words = [line] if isinstance(line, str) else node_lines(line, nodes, graph, keys)
        lines += ["  " * (depth + 1) + word for word in words]
    between = unique(arrows, lambda a: f"e-{keys[id(a.source)][2:]}-{keys[id(a.target)][2:]}")
    for arrow in arrows:
        end = nodes[id(arrow.target)]
        end = f"o{end[1:]}" if has_operation(arrow.target, graph) else end
        ends = f"{nodes[id(arrow.source)]} -> {end}"
        lines.append(arrow_text(arrow, ends, between[id(arrow)], graph.direction))
    return "\n".join([*lines, "}", ""])


def key_of(card):
    """The id of a card in the SVG, for scripts: t-W1."""
    return f"t-{re.sub(r'[^A-Za-z0-9_.-]', '_', card.name)}"


def unique(things, word_of):
    """{id(thing): its word}, the words made unique with -2, -3, ..."""
    words, taken, times = {}, set(), {}
    for thing in things:
        first = word = word_of(thing)
        while word in taken:
            times[first] = times.get(first, 1) + 1
            word = f"{first}-{times[first]}"
        taken.add(word)
        words[id(thing)] = word
    return words


def has_operation(card, graph):
    """Does the operation of a card stand in a node of its own?"""
    return graph.ops == "nodes" and computed(card.tensor)


def caption(graph):
    """Title and legend."""
    picture, rows, notes = graph.picture, [], []
    if graph.title:
        rows.append([cell(font(cut(graph.title, 100), 15, INK, bold=True), align="LEFT")])
    if any(card.records for card in picture.cards):
        n = sum(bool(card.records) for card in picture.cards)
        ops = sum(len(card.records) for card in picture.cards)
        notes.append(f"{ops} operations of modules folded into {n} card{'s' * (n > 1)}; "
                     "fold=False or expand= opens them")
    if any(card.repeats > 1 for card in picture.cards):
        notes.append("modules alike in a row are one card; merge=False shows each")
    if any(arrow.stale for arrow in picture.arrows):
        notes.append("changed in place since (by a step?): data is as it is now, grad is of before")
    if picture.arrows:
        notes.append("grey arrow    data, forward")
    if any(arrow.tracked for arrow in picture.arrows):
        notes += ["purple arrow  gradient, backward: its label is added to the grad it reaches",
                  "g             the grad of the box the purple arrow leaves"]
    rows += [[cell(font(note, 9, GREY), align="LEFT")] for note in notes]
    return table(rows or [[cell("")]], padding=2)


def node_lines(card, nodes, graph, keys):
    """The lines of DOT of a card, and of the node of its operation if there is one."""
    node, key, tag = nodes[id(card)], keys[id(card)], tag_for(card)
    kind, whole = CLASSES.get(card.role, card.role), quoted(tooltip(card, tag))
    apart = has_operation(card, graph)
    shown = ("result" if card.role == "op" else card.role) if apart else tag
    body = card_html(card, graph.picture.names, shown, graph.values)
    lines = [f'{node} [id="{key}" class="tensor {kind}" tooltip={whole} label=<{body}>]']
    if apart:
        op, name = f"o{node[1:]}", key[2:]
        lines.append(f'{op} [id="o-{name}" class="op" tooltip={quoted(tag)} '
                     f"label=<{operation_html(tag)}>]")
        lines.append(purple(f"{op} -> {node}", f"r-{name}", (), f"g is {card.name}.grad",
                            graph.direction, " weight=8").strip())
    return lines


def tag_for(card):
    """The word in the left corner of a card: the operation, the module, or the role."""
    if card.role not in ("op", "loss", "output"):
        return card.role
    if not card.records:
        return tag_of(card.tensor) if computed(card.tensor) else card.role
    return title_of_call(card.records, card.repeats)
