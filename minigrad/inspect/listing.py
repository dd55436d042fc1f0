"""A picture without a picture: one line for each tensor, in the order they were computed."""

from minigrad.inspect import numbers
from minigrad.inspect.cards import expression_of, printable, tag_of
from minigrad.inspect.contribution import identifiers
from minigrad.inspect.graph_calls import computed, title_of_call

HEADS = ("name", "made by", "shape", "data", "grad")
LONGEST = (16, 26, 14, 22, 22)
WIDTH = 80  # of a line, if the numbers have ten columns each even so


def listed(picture):
    """Lines of name, operation, shape, data and gradient, under a head."""
    rows = [HEADS] + [row(card, picture.names) for card in picture.cards]
    rows = [[printable(words) for words in line] for line in rows]
    widths = [min(longest, max(len(line[i]) for line in rows)) for i, longest in enumerate(LONGEST)]
    for i in (3, 4):  # the numbers get the room that is left
        room = WIDTH - sum(widths) - 2 * (len(widths) - 1)
        widths[i] = max(10, widths[i] + min(0, room))
    lines = []
    for line in rows:
        words = [fitted(word, width) for word, width in zip(line, widths)]
        lines.append("  ".join(word.ljust(width) for word, width in zip(words, widths)).rstrip())
    return "\n".join(lines)


def row(card, names):
    g = card.gradient
    data = "overwritten" if card.overwritten else numbers.summary(card.array)
    grad = "-" if not card.tracked else "none yet" if g is None else numbers.summary(g)
    return card.name, made_by(card, names), str(card.array.shape), data, grad


def made_by(card, names):
    """tanh(z), x @ W1, or the role of a leaf."""
    t = card.tensor
    if not computed(t):
        return card.role
    inputs = [x for x in t.inputs if id(x) in names]
    words = identifiers([(id(x), names[id(x)]) for x in inputs])
    if card.records and len(card.records) > 1:
        return f"{title_of_call(card.records, card.repeats)}, {len(card.records)} ops"
    written = expression_of(t, words, limit=12)
    return written if "..." not in written else tag_of(t)


def fitted(words, width):
    return words if len(words) <= width else words[:width - 2] + ".."
