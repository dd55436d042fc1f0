"""Cards: how one tensor looks in a picture, as a Graphviz HTML-like label.

The one trick: a card says everything twice. The kind of a tensor is a colour and a word, the size
of a number is a shade and digits, so nothing is lost on paper or to a reader who sees no colours.
Colours have six digits (Graphviz 2.43 draws three-digit ones black); contrasts are at least 4.5.
"""

import ast
import html
import re

import numpy as np

from minigrad import numbers
from minigrad.inspect import draw_sums
from minigrad.inspect.expression import constant, expression, place, text
from minigrad.numbers import ALARM, GREY, INK, WHITE

PURPLE = "#8E2A80"
TAG = "#FFE9A8", "#6B4E00"  # operation: fill, ink
# role: header fill, header ink, border, border width
KINDS = {
    "param": ("#CFE3F5", "#0B3C66", "#1F6FB2", 2),
    "input": ("#E4E7EC", "#344054", "#667085", 1),
    "target": ("#E4E7EC", "#344054", "#667085", 1),
    "buffer": ("#E4E7EC", "#344054", "#667085", 1),
    "op": ("#F2F4F7", "#344054", "#98A2B3", 1),
    "loss": ("#EAD3E7", "#5B1550", PURPLE, 2),
    "output": ("#EAD3E7", "#5B1550", PURPLE, 2),
}
USUAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}  # tags leave them out
CLASSES = {"op": "mid"}
LONGEST = 28  # characters of a name or tag; the tooltip has the rest


def printable(words):
    """Any text in one line; control characters as Python writes them."""
    return "".join(c if c.isprintable() or c == "\xa0" else repr(c)[1:-1] for c in words)


def escaped(words):
    """Any text, as HTML in ASCII for a label. Graphviz puts names in the place of \\N, \\G, \\E,
    \\T, \\H and \\L there, entity or not, unless the backslash is doubled."""
    words = re.sub(r"(?<!\\)((?:\\\\)*)\\(?=[NGETHL])", r"\1\\\\", printable(words))
    return entities(words)


def quoted(words):
    """Any text of one or more lines, as a DOT string, in which every backslash must be doubled.
    Characters of more than 16 bits are spelled U+1F642: Graphviz garbles them in such strings."""
    words = "".join(c if ord(c) < 0x10000 else f"U+{ord(c):X}" for c in words)
    return '"' + "&#10;".join(entities(printable(line).replace("\\", "\\\\"))
                              for line in words.split("\n")) + '"'


def entities(words):
    words = html.escape(words, quote=True).replace("\\", "&#92;")
    return words.encode("ascii", "xmlcharrefreplace").decode()


def cut(words, longest=LONGEST):
    return words if len(words) <= longest else words[:longest - 2] + ".."


def font(words, size=10, colour=INK, bold=False, face="Courier"):
    words = escaped(words)
    if not words:
        return ""
    face = f' FACE="{face}"' if face else ""
    words = f"<B>{words}</B>" if bold else words
    return f'<FONT{face} POINT-SIZE="{size}" COLOR="{colour}">{words}</FONT>'


def cell(inside, **attributes):
    words = "".join(f' {k.upper()}="{v}"' for k, v in attributes.items())
    return f"<TD{words}>{inside}</TD>"


def table(rows, border=0, spacing=0, padding=0, **attributes):
    words = "".join(f' {k.upper()}="{v}"' for k, v in attributes.items())
    body = "".join(f"<TR>{''.join(row)}</TR>" for row in rows)
    return (f'<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="{spacing}" '
            f'CELLPADDING="{padding}"{words}>{body}</TABLE>')


# --- the operation --------------------------------------------------------------------------------

def tag_of(t):
    """The operation of a record, with the numbers it was given: "@", "*2", "1 -", "sum(0)"."""
    op, symbol = t.op, t.op.symbol
    plain = [(i, x) for i, x in enumerate(t.inputs) if isinstance(x, (int, float))]
    if len(t.inputs) == 2 and not re.search(r"\w", symbol):
        if plain:
            i, x = plain[0]
            shown = numbers_short(x)
            space = " " if symbol == "-" else ""  # "-0.5" would read as a number
            return f"{shown} {symbol}" if i == 0 else f"{symbol}{space}{shown}"
        return symbol
    if op.name in ("linear", "cross_entropy"):
        return op.name
    if op.name == "getitem":
        index = place(t.options["index"], [constant(None)] * (len(t.inputs) - 1))
        whole = text(ast.Subscript(ast.Name("x"), index))
        return "[...]" if len(t.inputs) > 1 else whole[1:]
    if op.name == "permute":
        written = expression_of(t, {id(t.inputs[0]): "x"})
        return written.removeprefix("x")
    options = {k: v for k, v in t.options.items() if v is not None and v is not False
               and not (k in USUAL and set(np.ravel(v).tolist()) == {USUAL[k]})}
    if op.name in ("reshape", "expand", "spread", "setitem", "scatter"):
        options = {}
    options.pop("keepdim", None)
    if isinstance(options.get("dim"), tuple) and len(options["dim"]) == 1:
        options["dim"] = options["dim"][0]
    given = [numbers_short(x) for _, x in plain] + [
        str(v) if k in ("dim", "dtype") else f"{k}={v}" for k, v in options.items()
        if not (k == "correction" and v == 1)]
    return symbol + (f"({', '.join(given)})" if given else "")


def numbers_short(x):
    return repr(x) if isinstance(x, int) or len(repr(x)) <= 6 else numbers.short(x)


def expression_of(t, names, limit=None):
    return expression(t, names, limit, short=True)


# --- rows -----------------------------------------------------------------------------------------

def values(array, few=numbers.FEW):
    """The numbers of an array: a grid, a strip, or a word if there are none."""
    if array.size == 0:
        return cell(font("empty", 9, GREY, face=None), align="LEFT")
    if array.size <= few:
        return cell(grid(numbers.grid(array)), align="RIGHT")
    return cell(strip(numbers.strip(array)), align="LEFT")


def grid(shown):
    width = 6 + 6 * max(4, *[len(c.text) for row in shown.rows for c in row])
    rows = [[cell(font(c.text, 10, c.ink), bgcolor=c.fill, align="RIGHT", width=width) for c in row]
            for row in shown.rows]
    if shown.note:
        rows.append([cell(font(shown.note, 9, GREY), align="RIGHT", colspan=len(shown.rows[0]))])
    return table(rows, spacing=1, padding=2)


def strip(shown):
    across = len(shown.fills)
    rows = [[cell("", bgcolor=fill, width=13, height=12) for fill in shown.fills],
            [cell(font(shown.text, 9), colspan=across, align="LEFT")]]
    if shown.alarm:
        alarm = font(f" {shown.alarm} ", 9, WHITE)
        rows.append([cell(alarm, colspan=across, align="LEFT", bgcolor=ALARM)])
    return table(rows, spacing=1, padding=1)


def label(words, colour=GREY):
    return cell(font(words, 9, colour, face=None), align="RIGHT", valign="MIDDLE")


def remark(words, ink=GREY):
    return cell(font(words, 9, ink, face=None), align="LEFT")


def rows_of(card, few=numbers.FEW):
    """The rows data and grad, and where the gradient comes from if from several arrows."""
    rows = [[label("data"), remark("overwritten in place later") if card.overwritten
             else values(card.array, few)]]
    if card.tracked:
        g = card.gradient
        rows.append([label("grad", PURPLE), remark("none yet") if g is None else values(g, few)])
        if g is not None:
            rows += [[cell(font(words, 9, PURPLE), colspan=2, align="RIGHT")]
                     for words in draw_sums.lines_of(card.shares, g)]
    return rows


def parameter_rows(card, names, show):
    """Of a folded card: its parameters, each with name, shape and numbers."""
    rows = []
    fill, ink = KINDS["param"][:2]
    for p, last in zip(card.parameters[:4], endings([names[id(p)] for p in card.parameters])):
        head = table([[cell(font(cut(last, 16), 10, ink, bold=True), align="LEFT"),
                       cell(font(str(p.array.shape), 9, GREY), align="RIGHT")]], padding=2)
        rows.append([cell(head, colspan=2, bgcolor=fill, align="LEFT")])
        if show:
            rows += rows_of(type(card)(p, "param"), few=4)
    if len(card.parameters) > 4:
        more = f"and {len(card.parameters) - 4} more parameters"
        rows.append([cell(font(more, 9, GREY), colspan=2)])
    return rows


def endings(names):
    """Paths without the beginning that all of them share: "net.0.weight", "net.0.bias" are weight
    and bias; with "net.2.weight", they are 0.weight, 0.bias and 2.weight."""
    parts = [name.split(".") for name in names]
    shared = 0
    while len({tuple(path[:shared + 1]) for path in parts}) == 1 and (
            all(len(path) > shared + 1 for path in parts)):
        shared += 1
    return [".".join(path[shared:]) for path in parts]


def card_html(card, names, tag, show=True):
    """The HTML-like label of a card. show=False: without numbers."""
    fill, ink, border, width = KINDS[card.role]
    operation = tag not in ("result", card.role)
    tag_fill, tag_ink = TAG if operation else (fill, ink)
    shape = str(card.array.shape)
    header = table([[
        cell(font(cut(tag), 10, tag_ink, bold=operation), bgcolor=tag_fill, align="CENTER"),
        cell(font(cut(card.name), 13, ink, bold=True), bgcolor=fill, align="LEFT"),
        cell(font(shape, 10, GREY), bgcolor=fill, align="RIGHT")]], padding=4)
    rows = [[cell(header, colspan=2, bgcolor=fill)]]
    if show:
        rows += rows_of(card)
    if card.repeats == 1:
        rows += parameter_rows(card, names, show)
    if len(card.records) > 1:
        words = f"{len(card.records)} ops folded"
        if card.repeats > 1:
            words = f"{card.repeats} in a row, {len(card.parameters)} parameters, {words}"
        if card.exits > 1:
            words += f", {card.exits} results, the last is shown"
        rows.append([cell(font(words, 9, PURPLE), colspan=2, align="RIGHT")])
    return table(rows, border=width, spacing=2, padding=1, color=border, bgcolor=WHITE)


def operation_html(tag):
    """The label of a node that is an operation alone."""
    fill, ink = TAG
    return table([[cell(font(cut(tag), 12, ink, bold=True), border=0, align="CENTER")]], border=1,
                 padding=5, color=ink, bgcolor=fill, style="ROUNDED")


def tooltip(card, tag):
    """What the card says, in full precision."""
    lines = [f"{card.name} {card.array.shape} {card.array.dtype}", tag]
    if not card.overwritten:
        lines.append(f"data {numbers.exact(card.array)}")
    if card.tracked:
        g = card.gradient
        lines.append("grad none yet" if g is None else f"grad {numbers.exact(g)}")
    return "\n".join(lines)
