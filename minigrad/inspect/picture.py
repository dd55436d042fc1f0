"""What stands in a picture of a computation, before anything is drawn: cards, arrows, names.

The one trick: the order of the records in time is a topological order. Walking it, oldest first, every
tensor is met after everything it was computed from, so names, cards and arrows can be given out as they
come. The calls of one module are neighbours in time, so folding a module is joining neighbours.
"""

import collections
from dataclasses import dataclass, field

import numpy as np

from minigrad.backward import history
from minigrad.engine import Recorded, as_of
from minigrad.inspect.contribution import explained
from minigrad.inspect.expression import regular

PICTURE, WHOLE = 400, 60  # most cards of a picture; most cards before modules are folded
LOSSES = ("cross_entropy",)


@dataclass
class Card:
    """One box: a tensor, or (folded) a module's call that ends in this tensor."""

    tensor: object           # Recorded or numpy.ndarray
    role: str                # op, loss, output, param, input, target, buffer
    module: object = None    # the Module in whose cluster it stands
    records: list = field(default_factory=list)  # folded: all records of the call
    parameters: list = field(default_factory=list)  # folded: the parameters that only it uses
    name: str = ""
    overwritten: bool = False
    shares: list = field(default_factory=list)   # contributions that arrive here

    @property
    def array(self):
        return getattr(self.tensor, "array", self.tensor)

    @property
    def gradient(self):
        """The gradient as an array, or None."""
        g = getattr(self.tensor, "_grad", None)
        return g.array if isinstance(g, Recorded) else g

    @property
    def tracked(self):
        return getattr(self.tensor, "requires_grad", False)


@dataclass
class Arrow:
    """Data from `source` to `target`; if tracked, gradient back, of which `share` tells how."""

    source: Card
    target: Card
    tracked: bool
    share: object = None  # a Contribution, or None if unknown
    hidden: int = 0       # operations the gradient passes inside the folded target


@dataclass
class Picture:
    cards: list
    arrows: list
    names: dict     # {id(tensor): name}, also of parameters inside folded cards
    outputs: list
    folded: int     # how many operations are hidden in folded cards


def operands(t):
    """(position, tensor or array) of the inputs of t's record, as they were then."""
    for i, x in enumerate(t.inputs):
        if isinstance(x, Recorded):
            yield i, as_of(x, t.order)
        elif isinstance(x, np.ndarray) and not (t.op.name in ("getitem", "setitem") and regular(x)):
            yield i, x


def computed(t):
    """Is t the result of a tracked record (rather than a leaf)?"""
    return isinstance(t, Recorded) and t.op is not None and t.requires_grad


def tensors(outputs):
    """All tensors and arrays behind outputs, every one after what it was computed from."""
    found, order = set(), []

    def meet(x):
        if id(x) not in found:
            found.add(id(x))
            order.append(x)
    for t in reversed(history(outputs)):
        if computed(t):
            for _, x in operands(t):
                if not computed(x):
                    meet(x)
            meet(t)
    for t in outputs:
        meet(t)
    return order


# --- modules --------------------------------------------------------------------------------------

def path_of(module):
    return getattr(module, "_path", "") or ""


def is_loss(module):
    return type(module).__name__.endswith("Loss")


def title_of(module):
    """A module in a few words: "l1: Linear(2, 3)"."""
    kind, text = type(module).__name__, repr(module)
    if "\n" in text or not text.startswith(kind):
        text = kind
    if text.endswith(")") and "(" in text:
        head, _, inside = text[:-1].partition("(")
        plain = ("in_features=", "out_features=", "num_embeddings=", "embedding_dim=", "num_features=")
        parts = [part for part in inside.split(", ") if part and part != "bias=True"]
        for prefix in plain:
            parts = [part.removeprefix(prefix) for part in parts]
        text = f"{head}({', '.join(parts)})"
    path = path_of(module)
    return f"{path}: {text}" if path else text


def folding(records, fold, depth, expand):
    """record -> the key of the module call it is folded into, or None."""
    paths = {path_of(t.module) for t in records if t.module is not None}
    known = {".".join(p.split(".")[:n]) for p in paths for n in range(1, p.count(".") + 2)}
    for path in expand:
        if path not in known:
            raise ValueError(f"draw: expand names {path!r}, but no module of that path computed anything "
                             f"here; there are {', '.join(map(repr, sorted(known))) or 'no modules'}")

    def key(t):
        module = t.module
        if module is None or not (fold or depth is not None):
            return None
        path = path_of(module)
        if any(path == e or path.startswith(e + ".") for e in expand):
            return None
        if depth is None or is_loss(module):
            return id(module)
        parts = path.split(".") if path else []
        return ".".join(parts[:depth]) if len(parts) >= depth else None
    return key


def calls(order, key):
    """Runs of neighbouring records with one key: [(key, records)], leaves left out."""
    runs = []
    for t in order:
        if computed(t):
            k = key(t)
            if runs and k is not None and runs[-1][0] == k:
                runs[-1][1].append(t)
            else:
                runs.append((k, [t]))
    return runs


# --- cards ----------------------------------------------------------------------------------------

def picture(outputs, max_nodes, fold, depth, expand):
    """The Picture of everything `outputs` were computed from. ValueError if it has too many cards."""
    order = tensors(outputs)
    if fold is None:
        fold = depth is not None or WHOLE < len(order) <= max_nodes
    if len(order) > max_nodes and not (fold and depth is not None) and fold is not True:
        refuse(len(order), max_nodes)
    records = [t for t in order if computed(t)]
    groups = calls(order, folding(records, fold, depth, expand) if fold else lambda t: None)
    cards, home, inside = make_cards(order, groups, outputs)
    if len(cards) > max_nodes:
        refuse(len(cards), max_nodes)
    mark_overwritten(cards)
    names = give_names(cards, inside)
    hidden = sum(len(card.records) - 1 for card in cards if card.records)
    return Picture(cards, make_arrows(cards, home, names), names, [home[id(t)] for t in outputs], hidden)


def refuse(n, max_nodes):
    raise ValueError(
        f"draw: the graph has {n} tensors, more than a picture can show (max_nodes={max_nodes}). Draw "
        "modules as single cards with depth=1, draw the loss of a smaller batch or of fewer steps, or "
        f"raise the limit with max_nodes={n}")


def make_cards(order, groups, outputs):
    """(cards in topological order, {id(tensor): card}, parameters inside folded cards)."""
    group_of = {id(t): number for number, (_, records) in enumerate(groups) for t in records}
    users = collections.defaultdict(dict)  # id(leaf) -> {group: user}
    last_used = {}                         # group -> its youngest record used outside
    for _, records in groups:
        for t in records:
            for _, x in operands(t):
                if not computed(x):
                    users[id(x)][group_of[id(t)]] = t
                elif group_of[id(x)] != group_of[id(t)]:
                    last_used[group_of[id(x)]] = x
    for t in outputs:
        if id(t) in group_of:
            last_used[group_of[id(t)]] = t
    ends = {id(t) for t in outputs}
    cards, home, inside, drawn = [], {}, [], {}
    for t in order:
        if not computed(t):
            using = users[id(t)]
            only = next(iter(using)) if len(using) == 1 else None
            first = next(iter(using.values()), None)
            card = leaf_card(t, first, {id(u.module): u.module for u in using.values()})
            if only is not None and groups[only][0] is not None and id(t) not in ends and (
                    card.role in ("param", "buffer")):
                inside.append((t, only))
                continue
        else:
            number = group_of[id(t)]
            shown = last_used.get(number, groups[number][1][-1])
            if number in drawn:
                home[id(t)] = drawn[number]
                continue
            card = Card(shown, "op", shown.module)
            if id(shown) in ends:
                card.role = "loss" if shown.array.size == 1 else "output"
            if groups[number][0] is not None:
                card.records = groups[number][1]
                card.parameters = [p for p, g in inside if g == number]
            drawn[number] = card
        home[id(t)] = card
        cards.append(card)
    for p, number in inside:  # met after the call had begun
        if p not in drawn[number].parameters:
            drawn[number].parameters.append(p)
    return cards, home, [p for p, _ in inside]


def leaf_card(t, user, modules):
    """The card of a leaf: its role, told from what it is and who uses it."""
    name = getattr(t, "name", None) or ""
    kind = type(t).__name__
    owner = [m for m in modules.values() if m is not None and path_of(m)
             and name.startswith(path_of(m) + ".")] if "." in name else []
    if len(modules) == 1 and not owner and None not in modules.values():
        owner = list(modules.values())
    if getattr(t, "requires_grad", False) or kind == "Parameter":
        return Card(t, "param", owner[0] if owner and not is_loss(owner[0]) else None)
    if "." in name:
        return Card(t, "buffer", owner[0] if owner else None)
    in_loss = user is not None and (is_loss(user.module) or any(w in user.op.name for w in LOSSES))
    target = in_loss or name in ("y", "target", "targets", "label", "labels")
    return Card(t, "target" if target else "input")


def mark_overwritten(cards):
    """Notes the cards whose values are gone, because they were changed in place later on."""
    earlier = set()
    for card in cards:
        t = getattr(card.tensor, "before", None)
        while t is not None:
            earlier.add(id(t))
            t = t.before
    for card in cards:
        t = card.tensor
        memory = getattr(t, "memory", None)
        if memory is not None and memory.changed > t.order and (computed(t) or id(t) in earlier):
            card.overwritten = True


# --- names ----------------------------------------------------------------------------------------

def give_names(cards, inside):
    """{id(tensor): name} of all cards and of the parameters inside them. Names are the user's, made
    unique; tensors without one are numbered, with letters that no name of the user's begins with."""
    named = [t for c in cards for t in (*c.parameters, c.tensor)]
    given = {t.name for t in named if getattr(t, "name", None)}
    counts = collections.Counter(kind_of(c) for c in cards if not getattr(c.tensor, "name", None))
    letters = {kind: next(x for x in choices if not clashes(x, given, counts[kind]))
               for kind, choices in LETTERS.items()}
    taken, names, numbers = set(given), {}, collections.Counter()
    unique = set()
    for card in cards:
        for t in (*card.parameters, card.tensor):
            name = getattr(t, "name", None)
            if not name:
                kind = kind_of(card) if t is card.tensor else "param"
                numbers[kind] += 1
                plain = counts[kind] == 1 and kind != "op"
                name = letters[kind] if plain else f"{letters[kind]}{numbers[kind]}"
            first, n = name, 1
            while name in unique or (n > 1 and name in taken):
                n += 1
                name = f"{first}_{n}"
            unique.add(name)
            names[id(t)] = name
        card.name = names[id(card.tensor)]
    return names


LETTERS = {"op": ["v", "h", "u", "z", "node"], "loss": ["L", "loss", "Loss", "output"],
           "param": ["w", "p", "theta", "parameter"], "input": ["x", "i", "input", "data"],
           "target": ["y", "t", "target", "goal"]}


def kind_of(card):
    return {"output": "op", "buffer": "input"}.get(card.role, card.role)


def clashes(letter, given, n):
    return letter in given or any(f"{letter}{i}" in given for i in range(1, n + 1))


# --- arrows ---------------------------------------------------------------------------------------

def make_arrows(cards, home, names):
    """Arrows in the order of their targets; the shares of the gradient are noted at their sources."""
    arrows = []
    for card in cards:
        for t in card.records or ([card.tensor] if computed(card.tensor) else []):
            sources = [(i, x, home[id(x)]) for i, x in operands(t)
                       if id(x) in home and home[id(x)] is not card]
            if not sources:
                continue
            shares = explained(t, names, card.gradient) if t is card.tensor else {}
            known = t is card.tensor and card.gradient is not None
            for i, x, source in sources:
                tracked = isinstance(x, Recorded) and x.requires_grad
                share = shares.get(i)
                if share is not None and not all(id(v) in names for v in share.names.values()):
                    share = None
                if card.records and any(a.source is source and a.target is card for a in arrows[-20:]):
                    continue
                arrows.append(Arrow(source, card, tracked, share, 0 if t is card.tensor else 1))
                if tracked:
                    source.shares.append(share.value if share is not None and known else None)
    return arrows
