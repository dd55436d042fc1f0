"""A printed program as a file of its own: it needs NumPy and nothing else.

The one trick: the lines are those of the printed text, put into functions. What is added is what a
learner needs to run and time them: the numbers they were printed for, and a loop of a few steps.
"""

import re

import numpy as np

from minigrad.codegen.helpers import Helpers
from minigrad.codegen.wording import WIDTH, number_text, wrapped
from minigrad.optim import rules

EXACT = 2000  # numbers of an array that are written into the file
STEPS = 5
RATE = 0.01   # of the demo of a file without an optimizer
LONGEST = 96  # columns
HEAD = '"""One training step in NumPy alone, printed by minigrad: loss, gradients, update."""'


def text_of_file(source):
    """The text of the file that Source.save writes."""
    parameters = [name for name in source.printed.gradients
                  if name in source.given and source.printed.gradients[name]]
    data = [name for name in source.given if name not in parameters]
    data = sorted(data, key=lambda name: (name not in ("x", "y"), name))
    helpers, updating = source.update_helpers, source.updates
    if not updating:
        helpers = Helpers()
        helpers.add("sgd", rules.sgd)
    imports = source.helpers.imports | helpers.imports | {"import time"}
    parts = [HEAD,
             "\n".join([*sorted(i for i in imports if "numpy" not in i), "", "import numpy as np",
                        *sorted(i for i in imports if "numpy" in i and i != "import numpy as np")])]
    parts.append("\n".join(["", *source.legend()]))
    parts += [f"\n{text}" for text in source.helpers.texts]
    parts.append("\n" + step_function(source, parameters, data))
    parts += [f"\n{text}" for text in helpers.texts if text not in source.helpers.texts]
    parts.append("\n" + update_function(source, parameters))
    parts.append("\n" + demo(source, parameters, data))
    return "\n\n".join(parts) + "\n"


def indented(lines, depth=1):
    return ["    " * depth + line if line else line for line in lines]


def step_function(source, parameters, data):
    """def loss_and_gradients(params, x, y): the lines of the printed program."""
    printed = source.printed
    gradients = [printed.gradients[name] for name in parameters] or [
        g for g in printed.gradients.values() if g]
    body = ['"""(loss, its gradients with respect to params, in their order)"""']
    if parameters:
        line = f"{', '.join(parameters)} = params"
        body += wrapped(f"({', '.join(parameters)},) = params") if (
            len(parameters) == 1 or len(line) > WIDTH) else [line]
    body += ["# forward", *printed.constants, *printed.forward, "", "# backward"]
    body += [source.note, *printed.backward] if source.finite else printed.backward
    body += ["", *wrapped(f"return loss, [{', '.join(gradients)}]")]
    head = wrapped(f"def loss_and_gradients({', '.join(['params', *data])}):", LONGEST)
    return "\n".join([*head, *indented(body)])


def update_function(source, parameters):
    """def update(params, gradients, states, t): the rule, called for every parameter."""
    updates = [u for u in source.updates if u.parameter in parameters]
    kind = updates[0].kind if updates else "gradient descent"
    body = [f'"""One step of {re.sub(r"[^0-9A-Za-z_. ]", "", kind)}, the t-th: writes into params '
            'and states."""']
    if not updates:
        body += ["for i, (w, g) in enumerate(zip(params, gradients)):",
                 f"    (params[i],) = sgd(w, g, lr={RATE})"]
    first = min((u.time for u in updates), default=1)
    calls = {}
    for u in updates:
        later = "t" if u.time == first else f"t + {u.time - first}"
        targets = "params[i], *states[i]" if u.states else "params[i]," if u.packed else "params[i]"
        call = f"{targets} = {u.call('w', 'g', ['*states[i]'] if u.states else [], later)}"
        calls.setdefault(call, []).append(parameters.index(u.parameter))
    for call, places in calls.items():
        every = places == list(range(len(parameters)))
        body += ["for i, (w, g) in enumerate(zip(params, gradients)):" if every else
                 f"for i in {places}:"]
        body += indented(["w, g = params[i], gradients[i]"] if not every else [])
        body += indented(wrapped(call))
    return "\n".join(["def update(params, gradients, states, t):", *indented(body)])


def demo(source, parameters, data):
    """The block that runs a few steps when the file is run."""
    drawn = [n for n in (*parameters, *data) if source.given[n].size > EXACT]
    lines = []
    if drawn:
        lines += ["# Arrays of more than 2000 numbers are drawn here, in the right shapes, and are "
                  "not", "# those that the program was printed for: the losses will differ.",
                  "rng = np.random.default_rng(0)"]
    for name in (*parameters, *data):
        lines += array_lines(name, source.given[name])
    lines += wrapped(f"params = [{', '.join(parameters)}]")
    lines += state_lines(source.updates, parameters)
    arguments = ", ".join(["params", *data])
    first = min((u.time for u in source.updates), default=1)
    lines += [f"for t in range({first}, {first + STEPS}):",
              "    start = time.perf_counter()",
              *indented(wrapped(f"loss, gradients = loss_and_gradients({arguments})")),
              "    update(params, gradients, states, t)",
              "    microseconds = 1e6 * (time.perf_counter() - start)",
              '    print(f"step {t}  loss {loss.item():.6g}  {microseconds:.0f} us")']
    return "\n".join(['if __name__ == "__main__":', *indented(lines)])


def state_lines(updates, parameters):
    """states = [...]: for each parameter the list of its states."""
    by_name = {u.parameter: u for u in updates}
    lists, lines = [], []
    for name in parameters:
        u = by_name.get(name)
        values = []
        for state in u.states if u else ():
            value = u.given[state]
            if isinstance(value, np.ndarray):
                lines += array_lines(state, value)
                values.append(state)
            else:
                values.append(number_text(value))
        lists.append(f"[{', '.join(values)}]")
    if len(set(lists)) == 1 and not lines:
        return [f"states = [{lists[0]} for _ in params]"]
    return [*lines, *wrapped(f"states = [{', '.join(lists)}]")]


def array_lines(name, x):
    """`name = np.array(...)`, to the last bit; or numbers drawn like them, if they are many."""
    kind = "" if x.dtype in (np.float64, np.int64) else f", np.{x.dtype.name}"
    if x.size > EXACT:
        return [f"{name} = {drawn_like(x)}"]
    shape = "" if x.ndim == 1 else f".reshape{x.shape or '(())'}"
    if not x.size:
        return [f"{name} = np.zeros({x.shape}, np.{x.dtype.name})"]
    numbers = [short_number(v) for v in x.reshape(-1)]
    if x.dtype.kind == "b":
        kind = ""
    return wrapped(f"{name} = np.array([{', '.join(numbers)}]{kind}){shape}", WIDTH)


def short_number(v):
    """The shortest text that is this number of this dtype."""
    text = str(v)
    if v.dtype.kind == "f" and np.isfinite(v) and v.dtype.type(float(text)) == v:
        return text
    return number_text(v.item())


def drawn_like(x):
    """An expression for random numbers of the shape, dtype and spread of x."""
    if x.dtype.kind == "b":
        return f"rng.random({x.shape}) < 0.5"
    if x.dtype.kind in "iu":
        more = "" if x.dtype == np.int64 else f", dtype=np.{x.dtype.name}"
        return f"rng.integers({x.min()}, {int(x.max()) + 1}, {x.shape}{more})"
    finite = x[np.isfinite(x)]
    spread = float(f"{finite.std() if finite.size else 1:.2g}")
    more = "" if x.dtype == np.float64 else f".astype(np.{x.dtype.name})"
    return f"rng.normal(0, {spread}, {x.shape}){more}"
