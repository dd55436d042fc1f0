"""A picture without a picture: one line for each tensor, in the order they were computed."""

from minigrad import numbers
from minigrad.inspect.cards import expression_of, printable, tag_of
from minigrad.inspect.graph_calls import computed, operands, title_of_call

HEADS = ("name", "made by", "shape", "data", "grad")
LONGEST = (16, 26, 14, 22, 22)
WIDTH = 80  # of a line, if the numbers have ten columns each even so


def listed(picture):
    """Lines of name, operation, shape, data and gradient, under a head."""
    rows = [HEADS] + [row(card, picture.words) for card in picture.cards]
    rows = [[printable(words) for words in line] for line in rows]
    whole = [max(len(line[i]) for line in rows) for i in range(len(HEADS))]
    widths = [min(longest, width) for longest, width in zip(LONGEST, whole)]
    for i in (3, 4, 1):  # the numbers get the room that is left, formulas what they leave of it
        room = WIDTH - sum(widths) - 2 * (len(widths) - 1)
        widths[i] = min(max(widths[i], whole[i]), widths[i] + room) if i == 1 and room > 0 else (
            max(10, widths[i] + min(0, room)))
    lines = []
    for line in rows:
        words = [fitted(word, width) for word, width in zip(line, widths)]
        lines.append("  ".join(word.ljust(width) for word, width in zip(words, widths)).rstrip())
    return "\n".join(lines)


def row(card, words):
    g = card.gradient
    data = "overwritten" if card.overwritten else numbers.summary(card.array)
    grad = "-" if not card.tracked else "none yet" if g is None else numbers.summary(g)
    return card.name, made_by(card, words), str(card.array.shape), data, grad


def made_by(card, words):
    """tanh(z), x @ W1, or the role of a leaf. words: {id(tensor): its name as a word of Python}"""
    t = card.tensor
    if not computed(t):
        return card.role
    if card.records and len(card.records) > 1:
        return f"{title_of_call(card.records, card.repeats)}, {len(card.records)} ops"
    inputs = {id(x): words[id(x)] for _, x in operands(t) if id(x) in words}
    written = expression_of(t, inputs, limit=12)
    return written if "..." not in written else tag_of(t)


def fitted(words, width):
    return words if len(words) <= width else words[:width - 2] + ".."
