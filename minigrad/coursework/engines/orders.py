"""The orders in which engines visit the nodes of a graph: the right one, and known wrong ones.

The one trick: the order of a wrong engine depends on the graph alone, not on its numbers, so each
is a function that gives a list of (tensor, which of its inputs get their share; None: all).
"""

import functools

from minigrad.backward import history, tracked_inputs

RECURSION_BOUND = 4000  # visits of a wrong order; the graphs are tiny


def inputs_of(t):
    return [x for _, x in tracked_inputs(t)]


def topological(root):
    return [(t, None) for t in history([root])]


def forward(root):
    return topological(root)[::-1]


def recursive(root, inputs=inputs_of):
    """Each visit sends the gradient on and visits the inputs, however often that happens."""
    waiting, order = [root], []
    while waiting and len(order) < RECURSION_BOUND:
        t = waiting.pop()
        order.append((t, None))
        waiting += inputs(t)[::-1]
    return order


def recursive_by_input(root):
    """As `recursive`, one input at a time: its share, then its visit."""
    waiting, order = [(root, None)], []
    while waiting and len(order) < RECURSION_BOUND:
        t, position = waiting.pop()
        if position is not None:
            order.append((t, {position}))
            continue
        for i, x in reversed([*tracked_inputs(t)]):
            waiting += [(x, None), (t, i)]
    return order


def in_a_set(root, mask):
    """inputs_of, as sets would give them: each once, in an order that `mask` chooses by node."""
    number = {t: i for i, t in enumerate(t for t in history([root]) if len(inputs_of(t)) > 1)}

    def inputs(t):
        found = [*dict.fromkeys(inputs_of(t))]
        return found[::-1] if t in number and mask >> number[t] & 1 else found
    return inputs


def any_order(walk):
    """The orders of a walk over inputs that are kept in sets."""
    return [lambda root, mask=mask: walk(root, inputs=in_a_set(root, mask)) for mask in range(32)]


def breadth(root, last_first=False, inputs=inputs_of):
    seen, order = {root}, [root]
    for t in order:  # grows while it is walked
        for x in inputs(t)[::-1] if last_first else inputs(t):
            if x not in seen:
                seen.add(x)
                order.append(x)
    return [(t, None) for t in order]


def depth(root, reverse=False, early=False, inputs=inputs_of):
    """Depth first, each node when it is first met; `early`: marked when put on the stack."""
    waiting, seen, order = [root], {root} if early else set(), []
    while waiting:
        t = waiting.pop()
        if not early and t in seen:
            continue
        seen.add(t)
        order.append(t)
        for x in inputs(t) if reverse else inputs(t)[::-1]:
            if x not in seen:
                waiting.append(x)
                if early:
                    seen.add(x)
    return [(t, None) for t in order]


def unvisited(root, inputs=inputs_of):
    """The topological sort without its set of visited nodes, reversed."""
    waiting, order = [root], []
    while waiting and len(order) < RECURSION_BOUND:  # root, then inputs: postorder, from its end
        t = waiting.pop()
        order.append((t, None))
        waiting += inputs(t)
    return order


def unvisited_by_generation(root):
    """Functions popped youngest first, pushed again by every use: once for each path to them."""
    paths = {root: 1}
    generation = {}
    for t in history([root])[::-1]:
        generation[t] = max((generation[x] + 1 for x in inputs_of(t)), default=0)
    order = sorted(generation, key=generation.get, reverse=True)
    for t in order:
        for x in inputs_of(t):
            paths[x] = min(paths.get(x, 0) + paths[t], RECURSION_BOUND)
    return [(t, None) for t in order for _ in range(paths[t] if t.op else 1)]


def sorted_by_depth(root, inputs=inputs_of):
    """A topological sort, depth first; siblings in the order of `inputs`."""
    waiting, seen, order = [(root, False)], set(), []
    while waiting:
        t, done = waiting.pop()
        if done:
            order.append((t, None))
        elif t not in seen:
            seen.add(t)
            waiting += [(t, True), *((x, False) for x in inputs(t)[::-1])]
    return order[::-1]


SORTS = any_order(sorted_by_depth)
ORDERS = {  # what a switch may say, and the orders (one must fit) that it means
    "topological": [topological], "forward": [forward], "breadth": [breadth],
    "breadth, last first": [functools.partial(breadth, last_first=True)],
    "unvisited": [unvisited], "unvisited, by generation": [unvisited_by_generation],
    "unvisited, set": any_order(unvisited),
    "recursive": [recursive], "recursive by input": [recursive_by_input],
    "recursive, set": any_order(recursive), "depth": [depth], "depth, set": any_order(depth),
    "breadth, set": any_order(breadth),
    "stack": [functools.partial(depth, reverse=True)],
    "stack, marked early": [functools.partial(depth, reverse=True, early=True)],
}


def distinct(root, orders):
    """Those of the orders that differ on this graph."""
    if len(orders) == 1:
        return orders
    seen = {tuple(t for t, _ in order(root)): order for order in orders}
    return [*seen.values()]
