"""style="fast": the printed program with every result written into memory set aside once.

The one trick: it is the readable program on its way through lower.py. What a compiled step runs
can be read, timed and handed in like any other text.
"""

import ast
import re

import numpy as np

from minigrad.codegen.helpers import Helpers
from minigrad.lines.lower import Lowering, needed, reads, shared
from minigrad.codegen.names import Namer, free, sizes
from minigrad.codegen.program import build
from minigrad.codegen.stepfile import EXACT, array_lines, indented
from minigrad.lines.tracer import Tracer
from minigrad.lines.values import Unknown
from minigrad.codegen.wording import WIDTH, wrapped
from minigrad.inspect.expression import regular
from minigrad.inspect.layout import write
from minigrad.markup import bundle

DEMO = """if __name__ == "__main__":
    import timeit

    print("loss", loss_and_gradients())
    print(f"{1e3 * timeit.timeit(loss_and_gradients, number=1000):.1f} us per call")
"""


# What the lines call without `np.`, so that no value may have the name.
FUNCTIONS = {name for name in dir(np) if isinstance(getattr(np, name), np.ufunc)} | {"copyto"}


class FastSource:
    """A computation and its gradients as NumPy text that writes into given memory.

    text        what `print` shows: it runs where the names in `given` are arrays
    names       {identifier: tensor} of the inputs
    given       {identifier: array} of the inputs
    gradients   {identifier of a parameter: name of the array that holds its gradient, or None}
    """

    def __init__(self, loss, parameters, records):
        namer = Namer(records, loss, parameters, FUNCTIONS)
        own = namer.run()
        names = {**namer.words(), **own}  # of values as well: their memory is called after them
        taken, arrays = set(own.values()), {}  # arrays: {parameter: its gradient's name}
        for p in parameters:
            arrays[own[id(p)]] = free(f"d{own[id(p)]}", taken)
            taken.add(arrays[own[id(p)]])
        tracer = Tracer(finite=True, reserved={*FUNCTIONS, *arrays.values()})
        with np.errstate(all="ignore"):
            program = build(loss, parameters, names, tracer=tracer)
        self.names = dict(program.inputs)
        self.given = {name: t.array for name, t in program.inputs.items()}
        statements, renamed = shared(tracer.statements)

        def final(x):
            return renamed.get(x.name, x.name) if isinstance(x, Unknown) else x
        found = {name: final(g) for name, g in program.gradients.items()}
        self.loss = final(program.loss)
        wanted = [g for g in found.values() if isinstance(g, str)]
        statements = needed(statements, [*wanted, self.loss])
        self.lower(statements, tracer.constants, found, arrays)
        called = {final(g): f"d{names[key]}" for key, g in program.arriving.items()
                  if key in names and isinstance(g, Unknown)}
        called |= {final(y): names[key] for key, y in program.values.items()
                   if key in names and isinstance(y, Unknown)}
        self.text = renamed_memory(self.written(), self.lowering, called)

    def lower(self, statements, constants, found, arrays):
        """Decides where results go. Every gradient gets an array of its own, dW1 of W1."""
        stable, homes, self.gradients, self.copies = {**self.given, **constants}, {}, {}, []
        for name, g in found.items():
            self.gradients[name] = array = None if g is None else arrays[name]
            if g is None:
                continue
            stable[array] = np.empty_like(self.given[name])
            if isinstance(g, str) and g not in homes and g not in stable:
                homes[g] = array
            else:
                self.copies.append((array, g))
        self.lowering = Lowering(statements, stable, homes, [self.loss]).run()
        self.homes, self.constants = homes, constants

    def written(self):
        """The whole text."""
        low, helpers = self.lowering, Helpers()
        lines = [*low.ahead, *low.lines]
        used = {word for line in lines for word in words_in(line)}
        constants = []
        for name in sorted(used & self.constants.keys()):
            x = self.constants[name]
            if not isinstance(x, np.ndarray):
                helpers.add(name, x)
            elif x.size > EXACT and not regular(x):
                self.given[name] = x
            else:
                constants += constant_lines(name, x)
        ufuncs = sorted(n for n, x in low.names.items() if n in used and (
            isinstance(x, np.ufunc) or x is np.copyto) and n not in self.constants)
        memory = sorted(low.owned) + [g for g in self.gradients.values() if g]
        body = [*low.lines]
        for target, g in self.copies:
            value = self.homes.get(g) or low.where.get(g, g) if isinstance(g, str) else repr_of(g)
            body.append(f"{target}[...] = {value}")
        body.append(f"return {low.where.get(self.loss, self.loss)}")
        given = [f"{name} {sizes(array)}" for name, array in self.given.items()]
        parts = [*[f"# {line}" for line in wrapped("given: " + ", ".join(given))],
                 *sorted(helpers.imports), "import numpy as np"]
        if ufuncs:
            line = f"from numpy import {', '.join(ufuncs)}"
            parts += [line] if len(line) <= WIDTH else wrapped(
                f"from numpy import ({', '.join(ufuncs)})")
        parts += [""] + [line for text in helpers.texts for line in (*text.splitlines(), "")]
        parts += [*constants, *([""] if constants else [])]
        parts += ["# memory, set aside once", *[empty(name, low.names[name]) for name in memory]]
        if low.ahead:
            parts += ["", "# views of it", *low.ahead]
        parts += ["", "", "def loss_and_gradients():", *indented(body)]
        return "\n".join(parts) + "\n"

    def __str__(self):
        return self.text

    def __repr__(self):
        return self.text

    def _repr_mimebundle_(self, include=None, exclude=None):
        return bundle(self.text)

    def run(self):
        """{"loss": ..., "dW1": ..., ...}, by executing the text."""
        scope = {"np": np, **self.given}
        with np.errstate(all="ignore"):
            exec(compile(self.text, "<minigrad.source>", "exec"), scope)
            loss = scope["loss_and_gradients"]()
        return {"loss": loss, **{g: scope[g] for g in self.gradients.values() if g}}

    def save(self, path):
        """Writes a program that runs with NumPy alone: the arrays (drawn at random where they are
        large), the text, and its time. OSError if it cannot."""
        arrays = [line for name, array in self.given.items() for line in array_lines(name, array)]
        if any(".normal(" in line or "rng." in line for line in arrays):
            arrays.insert(0, "rng = np.random.default_rng(0)  # for arrays of over 2000 numbers")
        text = "\n".join(["import numpy as np", "", *arrays, "", self.text, "", DEMO])
        write(path, text.encode())


def renamed_memory(text, lowering, called):
    """The text with every buffer called after the first value in it that has a name: z1, dh1."""
    taken, names = set(re.findall(r"[A-Za-z_]\w*", text)), {}
    for buffer, values in lowering.holds.items():
        name = next((called[v] for v in values if v in called), None)
        if name is not None and buffer in lowering.owned and name not in taken:
            taken.add(name)
            names[buffer] = name
    text = re.sub(r"[A-Za-z_]\w*", lambda m: names.get(m[0], m[0]), text)
    views = {}
    for view, base in re.findall(r"^(\w+) = (\w+)\.T$", text, re.MULTILINE):
        if f"{base}_T" not in taken:
            taken.add(f"{base}_T")
            views[view] = f"{base}_T"
    return re.sub(r"[A-Za-z_]\w*", lambda m: views.get(m[0], m[0]), text)


def words_in(line):
    """The names in a line of the program."""
    return reads(ast.parse(line))


def constant_lines(name, x):
    """The lines that make a known array."""
    if regular(x) and x.ndim == 1:
        return [f"{name} = np.arange({x.size})"]
    if x.size and x.dtype.kind == "f" and (x == x.flat[0]).all():
        return [f"{name} = np.full({x.shape}, {x.flat[0].item()!r}, np.{x.dtype.name})"]
    return array_lines(name, x)


def repr_of(array):
    """A gradient that is known beforehand."""
    if array.size and (array == array.flat[0]).all():
        return repr(array.flat[0].item())
    return f"np.array({array.tolist()!r})"


def empty(name, array):
    """The line that sets an array aside, in the layout of the example."""
    kind = "" if array.dtype == np.float64 else f", np.{array.dtype.name}" if (
        array.dtype.kind != "b") else ", bool"
    if array.flags.c_contiguous:
        return f"{name} = np.empty({array.shape}{kind})"
    if array.flags.f_contiguous:
        return f'{name} = np.empty({array.shape}{kind or ", float"}, order="F")'
    inward = sorted(range(array.ndim), key=lambda d: -array.strides[d])  # as they lie in memory
    turned = tuple(inward.index(d) for d in range(array.ndim))
    shape = tuple(array.shape[d] for d in inward)
    return f"{name} = np.empty({shape}{kind}).transpose({turned})"
