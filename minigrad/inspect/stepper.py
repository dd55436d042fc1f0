"""The page that walks through a backward pass: the drawn graph, and the steps over it.

The one trick: the picture is drawn from a copy of the record, in which every tensor has the
gradient of this pass. So the picture is the usual one, nobody's .grad is touched, and the page only
has to hide what has not arrived yet: its script computes nothing.

All names are the user's: in the SVG Graphviz has escaped them, in the data they are JSON, and the
script puts them on the page as text, never as HTML.
"""

import base64
import collections
import hashlib
import html
import json
import re
from importlib import resources

from minigrad import numbers
from minigrad.engine import Recorded, as_of, wrap
from minigrad.inspect.cards import PURPLE, printable
from minigrad.inspect.draw import draw
from minigrad.inspect.picture import PICTURE, operands, tensors
from minigrad.markup import escaped

COPIED = ("requires_grad", "op", "options", "order", "memory", "module", "name")
CARD = re.compile(r'<g id="([^"]*)" class="((?:node|edge) [^"]*)">\n<title>(.*?)</title>')
GRAD = re.compile(rf'(<text [^>]* font-size="9\.00" fill="{PURPLE.lower()}">grad</text>\n)'
                  r'((?:<(?:text|polygon fill="#[0-9a-f]+") .*\n)+)')


def page(steps, direction=None):
    """The page of BackwardSteps as HTML text. direction: of the drawing, "LR", "TB" or None."""
    copies = record_copied(steps)
    graph = draw(copies[id(steps.output)], fold=False, direction=direction, title="")
    svg = interactive(graph.render("svg").decode(), graph.picture)
    script, style = file("stepper.js"), file("stepper.css")
    styles = [style, *re.findall(r"<style>(.*?)</style>", svg, re.DOTALL)]
    policy = (f"default-src 'none'; script-src {fingerprint(script)}; "
              f"style-src {' '.join(map(fingerprint, styles))}; "
              "base-uri 'none'; form-action 'none'")
    title = f"{steps.names[id(steps.output)]}.backward(), one node at a time"
    parts = {"TITLE": escaped(printable(title)), "POLICY": policy, "STYLE": style, "SVG": svg,
             "FORMULA": escaped(printable(graph.formula)), "DIRECTION": graph.direction,
             "STEPS": str(len(steps)), "TABLE": escaped(steps), "SCRIPT": script,
             "DATA": quoted(data(steps, copies, graph.picture))}
    return re.sub(r"%([A-Z]+)%", lambda m: parts[m[1]], file("stepper.html"))


def file(name):
    return resources.files("minigrad.inspect").joinpath("files", name).read_text("utf-8")


def fingerprint(words):
    """What the page's policy calls a script or a style that may run: its hash."""
    digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def quoted(content):
    """JSON that may stand inside <script>: nothing in it can end the script or open a comment."""
    words = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return words.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


# --- the picture ----------------------------------------------------------------------------------

def record_copied(steps):
    """{id(t): a copy of t whose gradient is that of this pass} for all tracked tensors."""
    order = tensors([steps.output])
    if len(order) > PICTURE:
        raise ValueError(
            f"backward_steps: the graph has {len(order)} tensors, more than a page can show "
            f"({PICTURE}); print(steps) lists every step. For a page, take fewer layers or time "
            "steps (fewer samples help only where the loss is a loop over them)")
    gradients = {id(step.node): step.incoming for step in steps}
    copies = {}
    for t in order:
        if getattr(t, "requires_grad", False):
            copies[id(t)] = copied(t, copies, gradients.get(id(t)))
    return copies


def copied(t, copies, gradient):
    """t with another gradient, its inputs replaced by their copies."""
    twin = wrap(t.array, type(t))
    for slot in COPIED:
        setattr(twin, slot, getattr(t, slot))
    inputs = [as_of(x, t.order) if isinstance(x, Recorded) else x for x in t.inputs]
    twin.inputs = tuple(copies.get(id(x), x) for x in inputs)
    before = t.before
    while before is not None and id(before) not in copies:
        before = before.before
    twin.before = t.before if before is None else copies[id(before)]
    twin._grad = gradient
    return twin


def interactive(svg, picture):
    """The SVG for the page: cards and arrows have their numbers (data-card, data-lane), what a card
    shows of its gradient is a group of its own, and tooltips are of the kind every browser shows.
    """
    cards = {id(card): f"n{i}" for i, card in enumerate(picture.cards, 1)}
    lanes = collections.defaultdict(collections.deque)  # several between the same two cards
    for i, arrow in enumerate(picture.arrows, 1):
        lanes[f"{cards[id(arrow.source)]}->{cards[id(arrow.target)]}"].append(i)

    def numbered(m):
        name, kind, title = m[1], m[2], html.unescape(m[3])
        if kind.startswith("edge"):
            return f'<g class="{kind}" data-lane="{lanes[title].popleft()}">'
        return f'<g id="{name}" class="{kind}" data-card="{title.removeprefix("n")}">'
    svg = re.sub(r"<!--.*?-->\s*", "", svg[svg.index("<svg"):], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"><a xlink:title="([^"]*)">', r"<g><title>\1</title>", svg)
    svg = re.sub(r"<title>(minigrad|cluster_\d+)</title>\n", "", svg.replace("</a>\n", ""))
    return GRAD.sub(r'\1<g class="grad">\n\2</g>\n', CARD.sub(numbered, svg))


# --- the data -------------------------------------------------------------------------------------

def data(steps, copies, picture):
    """What the script shows: for every step its card, its gradient, and what it sends where."""
    drawn = {id(t): i for i, card in enumerate(picture.cards, 1)
             for t in (card.tensor, *card.twins)}
    places = {key: drawn[id(twin)] for key, twin in copies.items()}
    lanes, arrows = {}, collections.defaultdict(list)
    for i, arrow in enumerate(picture.arrows, 1):
        arrows[id(arrow.target)].append(i)
    for place, card in enumerate(picture.cards, 1):
        if id(card) in arrows:
            lanes |= {(place, i): lane
                      for (i, _), lane in zip(operands(card.tensor), arrows[id(card)])}
    return [one_step(step, steps, places, lanes) for step in steps]


def one_step(step, steps, places, lanes):
    place = places[id(step.node)]
    return {"card": place, "name": printable(step.name), "title": step.title,
            "note": note(step, steps), "g": shown(step.incoming),
            "shares": [one_share(share, places, lanes[place, share.position])
                       for share in step.contributions]}


def one_share(share, places, lane):
    words = {"card": places[id(share.input)], "lane": lane, "line": printable(share.line),
             "worked": share.worked, "value": shown(share.value),
             "operands": {word: shown(a) for word, a in share.operands.items()},
             "where": [f"{word} is {printable(name)}" for word, name in share.where.items()],
             "progress": printable(share.progress or f"{share.name}.grad is complete: no other "
                                                     "operation used it")}
    if share.parts > 1 and share.value.size > 1:
        words["before"] = None if share.before is None else shown(share.before)
        words["after"] = shown(share.after)
    return words


def note(step, steps):
    """What happens at a step, in a sentence."""
    name = step.name
    if step.node is steps.output:
        start = "with the gradient that was given" if steps.given else f"d {name} / d {name} = 1"
        words = f"Backward starts here: {start}."
    elif step.op is None:
        words = f"{name} is a leaf: its gradient is finished and stays here"
        words += ", for the optimizer to read." if step.made == "param" else "."
    else:
        words = f"Everything computed from {name} has sent its share: {name}.grad is finished."
    if step.op is not None:
        names = list(dict.fromkeys(f"{share.name}.grad" for share in step.contributions))
        several = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        words += (f" The rule of {step.op} adds to {several}." if names else
                  f" {step.op} sends nothing on.")
    return printable(words)


def shown(array):
    """An array as cards show it: a grid of cells, or a strip of colours and a line of words."""
    words = {"shape": str(array.shape), "exact": numbers.exact(array)}
    if array.size == 0:
        return words | {"text": "empty"}
    if array.size <= numbers.FEW:
        grid = numbers.grid(array)
        return words | {"rows": [[[c.text, c.fill, c.ink] for c in row] for row in grid.rows],
                        "text": grid.note or ""}
    strip = numbers.strip(array)
    return words | {"fills": strip.fills, "text": strip.text, "alarm": strip.alarm or ""}
