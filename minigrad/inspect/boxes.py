"""Boxes: cards that one module computed stand together, and boxes nest as modules do.

The one trick: a box is known by its trail, the boxes around it from the outermost in. Sorted by
trail, the cards of a box are neighbours, and what neighbouring trails do not share is closed and
opened.
"""

import re

from minigrad.inspect.cards import PURPLE, cut, font
from minigrad.inspect.picture import is_loss, path_of, title_of

MODULE = "#F3F8FC", "#9CC3E6", "#1F6FB2"  # ground, border and title of a box
LOSS = "#FBF4FA", "#DDB5D8", PURPLE


def boxed(cards):
    """(depth, card or line of DOT) for every card, inside the opening and closing of its boxes."""
    shown = [card.module for card in cards if card.module is not None and not card.records]
    modules = {id(m): m for m in shown}
    trails = {key: trail_of(m, list(modules.values())) for key, m in modules.items()}
    inside = {}
    for card in cards:
        trail = trails[id(card.module)] if card.module is not None and not card.records else ()
        inside.setdefault(trail, []).append(card)
    first = {}  # where each box comes: at the place of the first card in it or in a box in it
    for place, trail in enumerate(inside):
        for n in range(1, len(trail) + 1):
            first.setdefault(trail[:n], place)

    def places(trail):
        return [first[trail[:n]] for n in range(1, len(trail) + 1)]
    open_boxes = ()
    for trail in sorted(inside, key=places):
        yield from moved(open_boxes, trail, modules, first)
        yield from ((len(trail), card) for card in inside[trail])
        open_boxes = trail
    yield from moved(open_boxes, (), modules, first)


def trail_of(module, modules):
    """The boxes around a module's cards, outermost first, its own last: (path, id of the module or
    None). Modules that hold others but computed nothing themselves are known by path alone."""
    around = {path_of(m): id(m) for m in modules if m is not module and holds(m, module)}
    trail = [("", around[""])] if "" in around else []
    parts = path_of(module).split(".")
    for n in range(1, len(parts)):
        path = ".".join(parts[:n])
        trail.append((path, around.get(path)))
    return (*trail, (path_of(module), id(module)))


def holds(outer, module):
    """Is `module` a part of `outer`, at any depth?"""
    if hasattr(outer, "named_modules"):
        return any(m is module for _, m in outer.named_modules())
    return bool(path_of(outer)) and path_of(module).startswith(path_of(outer) + ".")


def moved(old, new, modules, first):
    """Closing and opening of boxes on the way from one trail to the next."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    for n in reversed(range(same, len(old))):
        yield n, "}"
    for n in range(same, len(new)):
        path, key = new[n]
        yield n, opening(path, modules.get(key), list(first).index(new[:n + 1]) + 1)


def opening(path, module, number):
    """The line of DOT that opens a box."""
    kind, at = MODULE, "labeljust=l"
    if module is not None and is_loss(module):
        kind, at = LOSS, "labeljust=r labelloc=b"  # the corner that arrows keep clear of
    ground, border, ink = kind
    title = font(cut(path if module is None else title_of(module), 60), 11, ink, bold=True)
    word = re.sub(r"[^A-Za-z0-9]", "_", path or "model")
    return (f'subgraph "cluster_{number}" {{ id="m-{word}-{number}" label=<{title}> {at} '
            f'style="rounded,filled" fillcolor="{ground}" color="{border}" margin=12')
