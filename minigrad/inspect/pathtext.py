"""An explanation of a gradient as text: what people read of paths.py.

The one trick: nothing is described twice. Results print as the records they are, local derivatives
are read off the rules as on the arrows of a picture; where a number depends on one number only, g
is taken out of the text: "g * (1 - h**2)" is "1 - h**2".
"""

import ast
import copy
import textwrap

import numpy as np

from minigrad import markup
from minigrad.engine import Recorded, as_of
from minigrad.inspect.cards import expression_of, printable
from minigrad.inspect.contribution import explained
from minigrad.inspect.expression import elementwise, text
from minigrad.inspect.graph_calls import origin, path_of

DETAILED = 3  # paths of which every step is shown
STEPS, NUMBERS, CARRIERS, USES = 12, 4, 5, 10  # most of each
DETOURS = 4  # most that are spelled out of how a path differs from the first
SHARE = 22   # characters of a share and of the space between
RESULT = 40  # characters of a result and its operation
WIDTH = 79
LEGEND = "(g -> ... is what the rule sends back when a gradient g arrives.)"


def short(number):
    """A number as people write it: at most four digits."""
    return f"{float(number) + 0.0:.4g}"  # + 0.0: no "-0"


def module_name(t):
    return "" if t.module is None else path_of(t.module) or type(t.module).__name__


def index_text(index):
    return f"[{', '.join(map(str, index))}]" if index else ""


def cut(words, longest):
    return words if len(words) <= longest else words[:longest - 3] + "..."


def counted(n, word):
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def region(moving):
    """Where a boolean array is true, as an index of numbers and slices."""
    places = np.nonzero(moving) if moving.ndim else ()
    return tuple(int(k[0]) if k.size and (k == k[0]).all() else slice(None) for k in places)


def region_text(index):
    if all(isinstance(k, slice) for k in index):
        return ""
    return index_text([":" if isinstance(k, slice) else k for k in index])


def listed(array, index, room):
    """The numbers of array[index], as many as there is room for."""
    numbers = np.asarray(array[index]).reshape(-1)
    for n in range(min(NUMBERS, numbers.size), 0, -1):
        shown = " ".join(short(v) for v in numbers[:n])
        if n < numbers.size:
            shown += f" .. ({numbers.size} numbers)"
        if len(shown) <= room:
            return shown
    return f"({numbers.size} numbers)" if room >= 20 else ""


def made(t, words, longest=RESULT):
    """t with the operation that made it: "h = tanh(z)"."""
    names = {id(x): words.identifiers.get(id(x)) for x in inputs_of(t)}
    names = {key: word for key, word in names.items() if word}
    operation = expression_of(t, names)
    start = f"{words.identifiers[id(t)]} = "
    if len(start + operation) > longest:
        inputs = [names[id(x)] for x in inputs_of(t) if id(x) in names]
        operation = f"{t.op.name}({', '.join(inputs)})"
    return cut(start + operation, longest)


def entered(x, step):
    """Which of its inputs a path enters a record by, where x is several of them."""
    return which_input(x, step.tensor, step.position)


def which_input(x, t, position):
    same = sum(other is x for other in inputs_of(t))
    return f" (input {position + 1})" if same > 1 else ""


def inputs_of(t):
    return [origin(as_of(x, t.order)) if isinstance(x, Recorded) else x for x in t.inputs]


class WithoutG(ast.NodeTransformer):
    """A product with g, as the other factor."""

    def visit_Name(self, node):
        return ast.Constant(1) if node.id == "g" else node

    def visit_BinOp(self, node):
        node = self.generic_visit(node)
        if isinstance(node.op, (ast.Mult, ast.Div)):
            if is_one(node.right):
                return node.left
            if isinstance(node.op, ast.Mult) and is_one(node.left):
                return node.right
            if isinstance(node.left, ast.UnaryOp) and is_one(node.left.operand) and (
                    isinstance(node.op, ast.Mult)):
                return ast.UnaryOp(node.left.op, node.right)
        return node


def is_one(node):
    return isinstance(node, ast.Constant) and node.value == 1 and type(node.value) is int


def rule_text(step, words):
    """The local derivative as text ("1 - h**2"), or what the rule sends back ("g -> g.T @ x")."""
    t = step.tensor
    told = {id(x): words.identifiers[id(x)] for x in (t, *inputs_of(t))
            if id(x) in words.identifiers}
    share = explained(t, told).get(step.position)
    if share is None or share.text is None:
        return ""
    if share.node is None:  # a statement
        return share.text
    if step.derivative is None or not elementwise(t.op):
        return f"g -> {share.text}"
    node = WithoutG().visit(copy.deepcopy(share.node))
    return f"({text(node)})" if isinstance(node, ast.Compare) else text(node)


def valued(rule, numbers):
    """A local derivative with its numbers: "1 - h**2 = 0.42"; a constant is its own number."""
    try:
        return short(float(rule))
    except ValueError:
        told = rule and not rule.startswith("g ->")
        return " = ".join(part for part in (rule if told else "", numbers) if part)


# --- the whole ------------------------------------------------------------------------------------

def explanation_lines(e):
    loss = printable(e.words.names[id(e.source.loss)])
    lines = [f"d {loss} / d {e.target} = {short(e.gradient)}", *use_lines(e), ""]
    shown = [p for n, p in enumerate(e.paths) if n < DETAILED or p.contribution != 0]
    for n, path in enumerate(shown, start=1):
        head = f"path {n} of {e.total_paths:,}: {short(path.contribution)}"
        if n <= DETAILED:
            lines += [head, *path_lines(path, e.words), ""]
        else:
            way = way_text(path, e.paths[0], e.words, WIDTH - len(head) - 3)
            lines += textwrap.wrap(f"{head}   {way}", WIDTH, subsequent_indent="    ",
                                   break_long_words=False)
    if len(shown) < len(e.paths):
        zero = len(e.paths) - len(shown)
        lines.append(f"{counted(zero, 'path')} that {'contributes' if zero == 1 else 'contribute'} "
                     "exactly 0")
    lines += remainder_lines(e)
    if any("   g -> " in line for line in lines):
        lines.append(LEGEND)
    return lines


def use_lines(e):
    w = e.source.w
    name = cut(printable(e.words.names[id(w)]), 40)
    lines = [f"{name} is used {times_text(len(e.uses))}; "
             f"{counted(e.total_paths, 'path')} from there to the loss."]
    if not e.total_paths:
        lines.append("The rules on the way there send no gradient to it.")
    if len(e.uses) < 2:
        return lines
    rows = [(made(u.tensor, e.words) + entered(w, u), u.where, short(u.share))
            for u in e.uses[:USES]]
    rest = e.uses[USES:]
    if rest:
        rows.append((f"and {counted(len(rest), 'more use')}, together", "",
                     short(sum(u.share for u in rest))))
    wide = max(len(result) for result, _, _ in rows)
    homes = [cut(f"in {where}" if where else "", WIDTH - SHARE - wide) for _, where, _ in rows]
    home = max(map(len, homes))
    return lines + [f"  {result:{wide}}  {where:{home}}  share {share:>10}"
                    for (result, _, share), where in zip(rows, homes)]


def times_text(n):
    return {0: "nowhere", 1: "once", 2: "twice"}.get(n, f"{n} times")


def way_text(path, first, words, room):
    """w -> v1 -> ... -> L; or, of a long way, where it leaves the first path and joins it again."""
    names = [words.identifiers[id(t)] for t in path.tensors]
    way = " -> ".join(names)
    if len(way) <= room:
        return way
    if path is first:
        return shortened(names)
    ways = [detour_text(detour, words) for detour in detours(path, first)]
    more = [f"and {len(ways) - DETOURS} more"] if len(ways) > DETOURS else []
    return "as path 1, but " + "; ".join([*ways[:DETOURS], *more])


def detours(path, first):
    """The ways of a path between tensors of the first one that are not its ways: lists of
    (tensor, the input that it is entered by)."""
    known = {(id(x), id(t), i) for x, t, i in steps_along(first)}
    found, on_the_way = [], False
    for x, t, i in steps_along(path):
        new = (id(x), id(t), i) not in known
        if new:
            found += [] if on_the_way else [[(x, None)]]
            found[-1].append((t, i))
        on_the_way = new
    return found


def steps_along(path):
    return zip(path.tensors, path.tensors[1:], path.positions)


def detour_text(detour, words):
    """v9 -> v10 -> v11 -> v12"""
    names = [words.identifiers[id(t)] for t, _ in detour]
    (x, _), (t, i) = detour[-2:]
    return shortened(names) + which_input(x, t, i)


def shortened(names):
    """w -> v1 -> .. -> v9 -> L"""
    return " -> ".join(names if len(names) < 8 else [*names[:2], "..", *names[-2:]])


# --- one path -------------------------------------------------------------------------------------

def path_lines(path, words):
    steps = path.locals
    if all(step.tensor.array.size == 1 for step in steps):
        lines = scalar_lines(path, steps, words)
    else:
        lines = tensor_lines(path, steps, words) + carrier_lines(steps, words)
    if path.contribution == 0:
        lines += zero_lines(steps, words)
    return lines


def some(steps):
    """The steps to show: all, or the first and last, with None for the rest."""
    return steps if len(steps) <= STEPS + 2 else [*steps[:STEPS // 2], None, *steps[-STEPS // 2:]]


def scalar_lines(path, steps, words):
    """dL/dw = dL/dp * dp/dw = 2 * 3 = 6, and what each factor is."""
    names = [words.identifiers[id(step.tensor)] for step in steps]
    ratios = [f"d{t}/d{x}" for x, t in zip(names, names[1:])]
    numbers = [short(step.derivative.item()) for step in steps[1:]]
    rows = list(zip(ratios, numbers, steps, steps[1:]))
    whole, start = f"d{names[-1]}/d{names[0]}", path.source.start.item()
    if start != 1:
        whole += " * gradient"
        ratios, numbers = [*ratios, "gradient"], [*numbers, short(start)]
    parts = [whole]
    if len(ratios) > 1 and len(rows) <= STEPS + 2:
        parts += [" * ".join(reversed(ratios)), factors_text(reversed(numbers))]
    lines = wrapped([*parts, short(path.contribution)])
    shown = some(rows)
    results = [row and made(row[3].tensor, words) + entered(row[2].tensor, row[3]) for row in shown]
    wide = max((len(result) for result in results if result), default=0)
    across = max((len(row[0]) for row in shown if row), default=0)
    for result, row in zip(results, shown):
        if row is None:
            lines.append(f"    .. {counted(len(rows) - STEPS, 'more step')} ..")
            continue
        ratio, number, _, step = row
        lines.append(cut(f"    {result:{wide}}   {ratio:{across}} = "
                         f"{valued(rule_text(step, words), number)}", WIDTH))
    return lines


def factors_text(numbers):
    return " * ".join(f"({n})" if n.startswith("-") else n for n in numbers)


def wrapped(parts):
    """a = b = c in one line if it fits, else with a line for each part."""
    line = "  " + " = ".join(parts)
    if len(line) <= WIDTH:
        return [line]
    lines = textwrap.wrap(parts[0] + " = " + parts[1], WIDTH, initial_indent="  ",
                          subsequent_indent="      ", break_long_words=False)
    for part in parts[2:]:
        lines += textwrap.wrap("= " + part, WIDTH, initial_indent="    ",
                               subsequent_indent="      ", break_long_words=False)
    return lines


def tensor_lines(path, steps, words):
    """What happens along a path if w[index] grows: two lines a tensor."""
    name = words.identifiers[id(steps[0].tensor)] + index_text(path.source.index)
    lines = [cut(f"  For each unit that {name} grows, to first order:", WIDTH)]
    dead = next((k for k, s in enumerate(steps) if s.change is not None and not s.change.any()),
                len(steps))
    every = list(zip(steps, steps[1:dead + 1]))
    pairs = some(every)
    results = [pair and made(pair[1].tensor, words) + entered(pair[0].tensor, pair[1])
               for pair in pairs]
    wide = max((len(result) for result in results if result), default=0)
    for result, pair in zip(results, pairs):
        if pair is None:
            lines.append(f"    .. {counted(len(every) - STEPS, 'more step')} ..")
        else:
            lines += step_lines(f"    {result:{wide}}   ", *pair, words)
    return lines


def step_lines(first, before, step, words):
    """A result (`first`) with its local derivative, and what it grows by."""
    rule = rule_text(step, words)
    if step.derivative is not None and step.change is not None and rule != "1":
        at = region(before.change != 0) if before.change.shape == step.change.shape else ()
        numbers = listed(step.derivative, at, WIDTH - len(first) - len(rule) - 3)
        rule = valued(rule, numbers)
    first = cut((first + rule).rstrip(), WIDTH)
    name = words.identifiers[id(step.tensor)]
    if step.change is None:
        return [first, f"      {name} grows by an unknown amount: its rule runs on arrays only"]
    if not step.change.any():
        return [first, f"      {name} does not change"]
    where = region(step.change != 0) if step.change.size > 1 else (0,) * step.change.ndim
    start = f"      {name}{region_text(where) if step.change.size > 1 else ''} grows by "
    return [first, start + listed(step.change, where, WIDTH - len(start))]


def carrier_lines(steps, words):
    """Which numbers of the first tensor that several numbers change in carry the contribution."""
    step = next((s for s in steps if s.change is not None and np.count_nonzero(s.change) > 1), None)
    if step is None or not step.products.any():
        return []
    name, products = words.identifiers[id(step.tensor)], step.products.reshape(-1)
    changed = np.nonzero(step.change.reshape(-1))[0]
    sizes = np.where(np.isnan(products), np.inf, np.abs(products))[changed]
    order = changed[np.argsort(-sizes, kind="stable")][:CARRIERS]
    rows = []
    for k in order:
        at = tuple(int(n) for n in np.unravel_index(k, step.change.shape))
        rows.append((name + index_text(at), factors_text([short(step.change[at]),
                                                          short(step.gradient[at])]),
                     short(products[k])))
    widths = [max(len(row[k]) for row in rows) for k in (0, 1)]
    lines = [f"  Change * gradient sums to {short(step.share)} at each step. In {name} it is:"]
    lines += [f"    {where:{widths[0]}}   {factors:>{widths[1]}} = {product}"
              for where, factors, product in rows]
    more = changed.size - len(order)
    if more:
        rest = float(products[changed].sum() - products[order].sum())
        lines.append(f"    and {counted(more, 'more number')}, together {short(rest)}")
    return lines


def zero_lines(steps, words):
    """Why a path contributes exactly 0."""
    dead = next((s for s in steps if s.change is not None and not s.change.any()), None)
    if dead is None:
        return ["  The changes meet gradients of 0 only, or they cancel exactly."]
    name, op = words.identifiers[id(dead.tensor)], dead.tensor.op.name
    if dead.derivative is None or dead is steps[0]:
        return [f"  Cut at {name}: {op} takes nothing from what changes, or all of it cancels."]
    why = ": a dead relu, for these inputs" if op == "relu" else ""
    return textwrap.wrap(f"Cut at {name}: the local derivative of {op} is exactly 0 wherever its "
                         f"input changes{why}.", WIDTH, initial_indent="  ",
                         subsequent_indent="    ")


def remainder_lines(e):
    """What was not shown, so that everything sums to the gradient."""
    more = e.total_paths - len(e.paths)
    if not more:
        if e.total_paths < 2:
            return []
        parts = [short(p.contribution) for p in e.paths if p.contribution]
        total = " = ".join([" + ".join(parts)] * (len(parts) > 1) + [short(e.gradient)])
        line = f"all paths together: {total}".replace("+ -", "- ")
        return [line if len(line) <= WIDTH else f"all paths together: {short(e.gradient)}"]
    lines = [f"and {counted(more, 'more path')}, together {short(e.remainder)}"]
    if not e.exact:
        lines += ["There are too many to walk them all. The paths above are large ones, found by",
                  "keeping the most promising at each tensor; others may be as large."]
    return lines


# --- notebooks ------------------------------------------------------------------------------------

def page(e):
    """The explanation as HTML: tables of uses and paths, and the first paths step by step."""
    w, loss = e.source.w, printable(e.words.names[id(e.source.loss)])
    parts = [f"<p><b>{markup.escaped(f'd {loss} / d {e.target} = {short(e.gradient)}')}</b></p>"]
    if len(e.uses) > 1:
        rows = [(made(u.tensor, e.words, WIDTH) + entered(w, u), u.where, short(u.share))
                for u in e.uses[:USES]]
        if len(e.uses) > USES:
            rows.append((f"{len(e.uses) - USES} more uses", "",
                         short(sum(u.share for u in e.uses[USES:]))))
        parts.append(markup.table(["use", "module", "share"], rows))
    rows = [(n, short(p.contribution), way_text(p, e.paths[0], e.words, 2 * WIDTH))
            for n, p in enumerate(e.paths, start=1)]
    if e.total_paths > len(e.paths):
        rows.append((f"{e.total_paths - len(e.paths):,} more", short(e.remainder), ""))
    parts.append(markup.table(["path", "contribution", "through"], rows))
    for n, path in enumerate(e.paths[:DETAILED], start=1):
        parts.append(markup.pre("\n".join([f"path {n}", *path_lines(path, e.words)])))
    if any("   g -&gt; " in part for part in parts):
        parts.append(markup.pre(LEGEND))
    if len(e.paths) < e.total_paths:
        parts.append(markup.pre("\n".join(remainder_lines(e))))
    return "".join(parts)
