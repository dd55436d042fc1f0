"""What stands in a picture of a computation, before anything is drawn: cards, arrows, names.

The one trick: the order of the records in time is a topological order. Walking it, oldest first,
every tensor is met after everything it was computed from, so names, cards and arrows can be given
out as they come. The records of one module's call are neighbours in time, so folding a module is
joining neighbours.
"""

import collections
from dataclasses import dataclass, field

import numpy as np

from minigrad.backward import history
from minigrad.engine import Recorded, as_of
from minigrad.inspect.contribution import explained, explained_call
from minigrad.inspect.expression import regular

PICTURE, WHOLE = 400, 60  # most cards of a picture; most cards before modules are folded
EXPLAINED = 12           # most operations of a folded card whose gradients are spelled out
REPEATED = 3             # modules alike in a row that become one card
TARGETS = ("y", "target", "targets", "label", "labels")
PLAIN = ("in_features=", "out_features=", "num_embeddings=", "embedding_dim=", "num_features=")
USUAL = {"bias=True", "inplace=False", "affine=True", "elementwise_affine=True", "eps=1e-05",
         "track_running_stats=True", "momentum=0.1", "approximate='none'"}  # titles leave them out


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
    shares: list = field(default_factory=list)   # contributions that arrive here

    @property
    def array(self):
        return getattr(self.tensor, "array", self.tensor)

    @property
    def gradient(self):
        """The gradient as an array, or None."""
        found = [getattr(t, "_grad", None) for t in (self.tensor, *self.twins)]
        found = [g.array if isinstance(g, Recorded) else g for g in found if g is not None]
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
    share: object = None  # a Contribution, or None if unknown


@dataclass(eq=False)
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
        parts = [part for part in inside.split(", ") if part and part not in USUAL]
        for prefix in PLAIN:
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
            there = ", ".join(map(repr, sorted(known))) or "no modules"
            raise ValueError(f"draw: expand names {path!r}, but no module of that path computed "
                             f"anything here; there are {there}")

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


@dataclass(eq=False)
class Call:
    """Records that go on one card; `key` is None for a single record that is not folded."""

    key: object
    records: list
    repeats: int = 1


def calls(order, key):
    """The Calls of a picture: runs of neighbouring records with one key. Leaves are left out."""
    runs = []
    for t in order:
        if computed(t):
            k = key(t)
            if runs and k is not None and runs[-1].key == k:
                runs[-1].records.append(t)
            else:
                runs.append(Call(k, [t]))
    return runs


def merged(runs):
    """The Calls with modules alike in a row, each computed from the one before, made one Call."""
    rows = []
    for run in runs:
        if rows and follows(rows[-1][-1], run):
            rows[-1].append(run)
        else:
            rows.append([run])
    result = []
    for row in rows:
        if len(row) < REPEATED:
            result += row
        else:
            result.append(Call(row[0].key, [t for run in row for t in run.records], len(row)))
    return result


def follows(first, second):
    """Is `second` a sibling of `first` that does the same operations on its result?"""
    if first.key is None or second.key is None or looks(first) != looks(second):
        return False
    own, result = {id(t) for t in second.records}, first.records[-1]
    return all(x is result for t in second.records for _, x in operands(t)
               if computed(x) and id(x) not in own)


def looks(call):
    """What calls of modules that are alike have in common."""
    module = call.records[0].module
    path = call.key if isinstance(call.key, str) else path_of(module)
    return (path.rpartition(".")[0], type(module).__name__,
            [(t.op.name, t.array.shape, [getattr(x, "shape", x) for x in t.inputs])
             for t in call.records])


# --- cards ----------------------------------------------------------------------------------------

def picture(outputs, max_nodes=PICTURE, fold=None, depth=None, expand=(), merge=True):
    """The Picture of all that `outputs` were computed from. ValueError if it has too many cards."""
    order = tensors(outputs)
    if fold is None:
        fold = depth is not None or WHOLE < len(order) <= max_nodes
    if len(order) > max_nodes and not (fold and depth is not None) and fold is not True:
        refuse(len(order), max_nodes)
    records = [t for t in order if computed(t)]
    groups = calls(order, folding(records, fold, depth, expand))
    cards, home = make_cards(order, merged(groups) if merge else groups, outputs)
    if len(cards) > max_nodes:
        refuse(len(cards), max_nodes)
    mark_overwritten(cards)
    names = give_names(cards)
    hidden = sum(len(card.records) - 1 for card in cards if card.records)
    ends = [home[id(t)] for t in outputs]
    return Picture(cards, make_arrows(cards, home, names), names, ends, hidden)


def refuse(n, max_nodes):
    raise ValueError(
        f"draw: the graph has {n} tensors, more than a picture can show (max_nodes={max_nodes}). "
        "Draw modules as single cards with depth=1, draw the loss of a smaller batch or of fewer "
        f"steps, or raise the limit with max_nodes={n}")


def make_cards(order, groups, outputs):
    """(cards in topological order, {id(tensor): card}); `groups` are the Calls."""
    group_of = {id(t): number for number, call in enumerate(groups) for t in call.records}
    users, shown = uses(groups, group_of, outputs)
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
            card = result_card(groups[number], shown.get(number, groups[number].records[-1]), ends)
            drawn[number] = at[card.tensor.order] = card
        home[id(t)] = card
        cards.append(card)
    for p, number in inside:
        drawn[number].parameters.append(p)
    return cards, home


def uses(groups, group_of, outputs):
    """({id(leaf): {group: a record of it that uses the leaf}},
    {group: its youngest record that is used outside})"""
    users, shown = collections.defaultdict(dict), {}
    for call in groups:
        for t in call.records:
            for _, x in operands(t):
                if not computed(x):
                    users[id(x)].setdefault(group_of[id(t)], t)
                elif group_of[id(x)] != group_of[id(t)]:
                    number = group_of[id(x)]
                    shown[number] = max(shown.get(number, x), x, key=lambda t: t.order)
    for t in outputs:
        if id(t) in group_of:
            shown[group_of[id(t)]] = t
    return users, shown


def result_card(call, t, ends):
    """The card of a Call that shows its tensor t; `ends` are the ids of the outputs."""
    role = "op" if id(t) not in ends else "loss" if t.array.size == 1 else "output"
    card = Card(t, role, t.module)
    if call.key is not None:
        card.records, card.repeats = call.records, call.repeats
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

def make_arrows(cards, home, names):
    """Arrows in the order of their targets; shares of the gradient are noted at their sources."""
    arrows = []
    for card in cards:
        if card.records:
            arrows += folded_arrows(card, home, names)
        elif computed(card.tensor):
            shares = explained(card.tensor, names, card.gradient)
            for i, x in operands(card.tensor):
                if id(x) in home:
                    arrows.append(Arrow(home[id(x)], card, is_tracked(x), shares.get(i)))
    for arrow in arrows:
        if arrow.tracked:
            known = arrow.share is not None and arrow.target.gradient is not None
            arrow.source.shares.append(arrow.share.value if known else None)
    return arrows


def folded_arrows(card, home, names):
    """The arrows into a folded call: one from each card that it uses."""
    sources = {}
    for t in card.records:
        for _, x in operands(t):
            if id(x) in home and home[id(x)] is not card:
                sources.setdefault(id(home[id(x)]), []).append(x)
    shares = {}
    if len(card.records) <= EXPLAINED:
        shares = explained_call(card.records, card.tensor, names, card.gradient)
    arrows = []
    for xs in sources.values():
        share = shares.get(id(xs[0])) if len({id(x) for x in xs}) == 1 else None
        arrows.append(Arrow(home[id(xs[0])], card, any(map(is_tracked, xs)), share))
    return arrows


def is_tracked(x):
    return isinstance(x, Recorded) and x.requires_grad
