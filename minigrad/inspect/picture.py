"""What stands in a picture of a computation, before anything is drawn: cards, arrows, names.

The one trick: the order of the records in time is a topological order. Walking it, oldest first,
every tensor is met after everything it was computed from, so names, cards and arrows can be given
out as they come. Which records go on one card is told in graph_calls.py.
"""

import collections
from dataclasses import dataclass, field

import numpy as np

from minigrad.backward import contributions
from minigrad.engine import Recorded
from minigrad.inspect.contribution import explained, explained_call, words_of
from minigrad.inspect.graph_calls import (
    Call,
    calls,
    computed,
    folding,
    is_loss,
    merged,
    operands,
    path_of,
    tensors,
    title_of,
)

PICTURE, WHOLE = 400, 60  # most cards of a picture; most cards before modules are folded
EXPLAINED = 12           # most operations of a folded card whose gradients are spelled out
TARGETS = ("y", "target", "targets", "label", "labels")
__all__ = ["Call", "Card", "Picture", "calls", "computed", "give_names", "make_cards", "operands",
           "path_of", "picture", "tensors", "title_of"]


@dataclass(eq=False)
class Card:
    """One box: a tensor, or (folded) a module's call that ends in this tensor."""

    tensor: object           # Recorded or numpy.ndarray
    role: str                # op, loss, output, param, input, target, buffer
    module: object = None    # the Module in whose cluster it stands
    records: list = field(default_factory=list)  # folded: all records of the call
    parameters: list = field(default_factory=list)  # folded: the parameters that only it uses
    name: str = ""
    overwritten: bool = False
    repeats: int = 1         # folded: so many modules alike, one after the other
    twins: list = field(default_factory=list)  # copies of the tensor that the engine kept apart
    exits: int = 0           # folded: how many of its results are used outside
    shares: list = field(default_factory=list)   # contributions that arrive here; None: unknown

    @property
    def array(self):
        return getattr(self.tensor, "array", self.tensor)

    @property
    def gradient(self):
        """The gradient as an array, or None."""
        found = [gradient_of(t) for t in (self.tensor, *self.twins)]
        found = [g for g in found if g is not None]
        return np.sum(found, axis=0) if len(found) > 1 else found[0] if found else None

    @property
    def tracked(self):
        return getattr(self.tensor, "requires_grad", False)


@dataclass(eq=False)
class Arrow:
    """Data from `source` to `target`; if tracked, gradient back, of which `share` tells how."""

    source: Card
    target: Card
    tracked: bool
    share: object = None  # a Contribution: the rule as text; None: it does not print
    value: object = None  # the array that it brings now; None: not known, or not yet
    stale: bool = False   # was a value that its rule reads changed in place since then?
    inner: bool = False   # is the gradient for another result of `source` than it shows?


@dataclass(eq=False)
class Picture:
    cards: list
    arrows: list
    names: dict     # {id(tensor): name}, also of parameters inside folded cards
    outputs: list
    folded: int     # how many operations are hidden in folded cards
    words: dict     # {id(tensor): its name as a word of Python, "weight_0"}: what rules are told in


def gradient_of(t):
    """The gradient of a tensor as an array, or None."""
    g = getattr(t, "_grad", None)
    return g.array if isinstance(g, Recorded) else g


# --- cards ----------------------------------------------------------------------------------------

def picture(outputs, max_nodes=PICTURE, fold=None, depth=None, expand=(), merge=True):
    """The Picture of all that `outputs` were computed from. ValueError if it has too many cards."""
    order = tensors(outputs)
    if fold is None:
        fold = depth is not None or WHOLE < len(order) <= max_nodes
    if len(order) > max_nodes and not (fold and depth is not None) and fold is not True:
        refuse(len(order), max_nodes)
    records = [t for t in order if computed(t)]
    groups, ends = calls(order, folding(records, fold, depth, expand)), {id(t) for t in outputs}
    cards, home = make_cards(order, merged(groups, ends) if merge else groups, outputs)
    if len(cards) > max_nodes:
        refuse(len(cards), max_nodes)
    mark_overwritten(cards)
    names = give_names(cards)
    hidden = sum(len(card.records) - 1 for card in cards if card.records)
    ends = [home[id(t)] for t in outputs]
    words = words_of(names)
    return Picture(cards, make_arrows(cards, home, words), names, ends, hidden, words)


def refuse(n, max_nodes):
    raise ValueError(
        f"draw: the graph has {n} tensors, more than a picture can show (max_nodes={max_nodes}). "
        "Draw modules as single cards with depth=1, draw the loss of a smaller batch or of fewer "
        f"steps, or raise the limit with max_nodes={n}")


def make_cards(order, groups, outputs):
    """(cards in topological order, {id(tensor): card}); `groups` are the Calls."""
    group_of = {id(t): number for number, call in enumerate(groups) for t in call.records}
    users, exits = uses(groups, group_of, outputs)
    ends = {id(t) for t in outputs}
    cards, home, inside = [], {}, []
    drawn, at = {}, {}  # cards of groups, and of records by their tick
    for t in order:
        if not computed(t):
            using = users.get(id(t), {})
            card = leaf_card(t, list(using.values()))
            folded = [n for n in using if groups[n].key is not None]
            if len(using) == 1 and folded and card.module is not None and id(t) not in ends:
                inside.append((t, folded[0]))
                continue
        elif group_of[id(t)] in drawn:
            home[id(t)] = drawn[group_of[id(t)]]
            continue
        elif t.order in at:
            home[id(t)] = at[t.order]
            twin(at[t.order], t)
            continue
        else:
            number = group_of[id(t)]
            card = result_card(groups[number], exits.get(number, {}), ends)
            drawn[number] = at[card.tensor.order] = card
        home[id(t)] = card
        cards.append(card)
    for p, number in inside:
        drawn[number].parameters.append(p)
    place = {id(t): n for n, t in enumerate(order)}
    cards.sort(key=lambda card: place[id(card.records[-1] if card.records else card.tensor)])
    return cards, home


def uses(groups, group_of, outputs):
    """({id(leaf): {group: a record of it that uses the leaf}},
    {group: {id: a record of it that is used outside, or an output}})"""
    users, exits = collections.defaultdict(dict), collections.defaultdict(dict)
    for call in groups:
        for t in call.records:
            for _, x in operands(t):
                if not computed(x):
                    users[id(x)].setdefault(group_of[id(t)], t)
                elif group_of[id(x)] != group_of[id(t)]:
                    exits[group_of[id(x)]][id(x)] = x
    for t in outputs:
        if id(t) in group_of:
            exits[group_of[id(t)]][id(t)] = t
    return users, exits


def result_card(call, exits, ends):
    """The card of a Call. It shows the youngest result that is an output or is used outside;
    `ends` are the ids of the outputs."""
    shown = [t for t in exits.values() if id(t) in ends] or exits.values() or call.records[-1:]
    t = max(shown, key=lambda t: t.order)
    role = "op" if id(t) not in ends else "loss" if t.array.size == 1 else "output"
    card = Card(t, role, t.module)
    if call.key is not None:
        card.records, card.repeats, card.exits = call.records, call.repeats, len(exits)
    return card


def twin(card, t):
    """Notes on the card that t is the same tensor: a change in place whose rule needs the old
    values keeps a copy for itself, and older records see the original. The copy has the values."""
    if t.memory is None:
        card.tensor, t = t, card.tensor
    card.twins.append(t)


def leaf_card(t, users):
    """The card of a leaf: its role, told from what it is and which records use it. The members of
    a module (Parameters, and what has a path for a name) stand with it."""
    name = getattr(t, "name", None) or ""
    parameter = type(t).__name__ == "Parameter"
    modules = list({id(u.module): u.module for u in users if u.module is not None}.values())
    owner = None
    if parameter or "." in name:
        owner = next((m for m in modules if path_of(m) and name.startswith(path_of(m) + ".")),
                     modules[0] if len(modules) == 1 and not is_loss(modules[0]) else None)
    if parameter or getattr(t, "requires_grad", False):
        return Card(t, "param", owner)
    if "." in name:
        return Card(t, "buffer", owner)
    target = name in TARGETS or any(is_loss(u.module) or chooses_classes(u) for u in users)
    return Card(t, "target" if target else "input")


def chooses_classes(t):
    """Is t the step of a cross-entropy that reads off the log-probability of each label?"""
    source = t.inputs[0]
    return "cross_entropy" in t.op.name or (
        t.op.name == "getitem" and source.op is not None and source.op.name == "log_softmax")


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

# fmt: off
LETTERS = {
    "op":     ["v", "h", "u", "z", "node"],
    "loss":   ["L", "loss", "Loss", "output"],
    "param":  ["w", "p", "theta", "parameter"],
    "input":  ["x", "i", "input", "data"],
    "target": ["y", "t", "target", "goal"],
}
# fmt: on


def give_names(cards):
    """{id(tensor): name} of all cards and of the parameters inside them. Names are the user's,
    made unique; tensors without one are numbered, with letters that clash with no given name."""
    named = [t for c in cards for t in (*c.parameters, c.tensor)]
    given = {t.name for t in named if getattr(t, "name", None)}
    counts = collections.Counter(kind_of(c) for c in cards if not getattr(c.tensor, "name", None))
    letters = {kind: next((x for x in choices if not clashes(x, given, counts[kind])), choices[-1])
               for kind, choices in LETTERS.items()}
    unique, names, numbers = set(), {}, collections.Counter()
    for card in cards:
        for t in (*card.parameters, card.tensor):
            name = getattr(t, "name", None)
            if not name:
                kind = kind_of(card) if t is card.tensor else "param"
                numbers[kind] += 1
                plain = counts[kind] == 1 and kind != "op"
                name = letters[kind] if plain else f"{letters[kind]}{numbers[kind]}"
            first, n = name, 1
            while name in unique or (n > 1 and name in given):
                n += 1
                name = f"{first}_{n}"
            unique.add(name)
            names[id(t)] = name
            if t is card.tensor:
                names |= {id(other): name for other in card.twins}
        card.name = names[id(card.tensor)]
    return names


def kind_of(card):
    return {"output": "op", "buffer": "input"}.get(card.role, card.role)


def clashes(letter, given, n):
    return letter in given or any(f"{letter}{i}" in given for i in range(1, n + 1))


# --- arrows ---------------------------------------------------------------------------------------

def make_arrows(cards, home, words):
    """Arrows in the order of their targets; what they bring is noted at their sources."""
    arrows = []
    for card in cards:
        if card.records:
            arrows += folded_arrows(card, home, words)
        elif computed(card.tensor):
            g = card.gradient
            shares, values = explained(card.tensor, words, g), {}
            if g is not None:
                values = {i: share.value for i, share in shares.items()} or sent(card.tensor, g)
            old = [i for i in values if changed_since(card.tensor, i)]
            values = {i: c for i, c in values.items() if i not in old}
            for i, x in operands(card.tensor):
                if id(x) in home:
                    source = home[id(x)]
                    arrows.append(Arrow(source, card, is_tracked(x), shares.get(i), values.get(i),
                                        i in old, not is_shown(x, source)))
    for arrow in arrows:
        if arrow.tracked and not arrow.inner:
            arrow.source.shares.append(arrow.value)
    return arrows


def is_shown(x, card):
    """Is x the tensor that the card shows, or a copy of it?"""
    return x is card.tensor or any(x is t for t in card.twins)


def changed_since(t, i):
    """Was a value that the rule of input i reads changed in place after t was recorded? Optimizers
    do that to parameters: what the rule would give now is not what it gave in the backward pass."""
    for j, x in enumerate((t, *t.inputs), start=-1):
        memory = x.memory if isinstance(x, Recorded) else None
        if memory is not None:
            memory.look()
            if memory.changed > t.order and t.op.reads_value(i, j):
                return True
    return False


def sent(t, g):
    """{input position: array} that the record of t sends on when g arrives; {} if it cannot."""
    try:
        with np.errstate(all="ignore"):
            return {i: c for i, _, c in contributions(t, g)}
    except Exception:  # a rule of the user's that fails, or values that are gone
        return {}


def folded_arrows(card, home, words):
    """The arrows into a folded call: one from each card that it uses."""
    sources = {}
    for t in card.records:
        for i, x in operands(t):
            if id(x) in home and home[id(x)] is not card:
                sources.setdefault(id(home[id(x)]), []).append((t, i, x))
    shares = {}
    if len(card.records) <= EXPLAINED and card.exits < 2:  # else the text would be a part of it
        shares = explained_call(card.records, card.tensor, words, card.gradient)
    arrows = []
    for uses_of in sources.values():
        x = uses_of[0][2]
        source, alone = home[id(x)], len({id(x) for _, _, x in uses_of}) == 1
        arrows.append(Arrow(source, card, any(is_tracked(x) for _, _, x in uses_of),
                            shares.get(id(x)) if alone else None, brought(uses_of),
                            any(changed_since(t, i) for t, i, _ in uses_of),
                            not (alone and is_shown(x, source))))
    return arrows


def brought(uses_of):
    """The sum of what records send to one tensor: uses_of lists (record, input position, tensor).
    None if that is not known, or if they are several tensors."""
    if len({id(x) for _, _, x in uses_of}) > 1:
        return None
    found, gradients = [], {id(t): gradient_of(t) for t, _, _ in uses_of}
    for t, i, _ in uses_of:
        g = gradients[id(t)]
        if g is not None:
            found.append(sent(t, g).get(i))
    if not found or any(c is None for c in found):
        return None
    return np.sum(found, axis=0) if len(found) > 1 else found[0]


def is_tracked(x):
    return isinstance(x, Recorded) and x.requires_grad
