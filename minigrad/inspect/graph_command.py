"""`python -m minigrad graph FILE.py:NAME`: the picture of a tensor that a program of yours made.

The one trick: the program is run as Python would run it, under the name __main__ and beside its own
files, and then its variables are looked at. What it prints goes to stderr, so that stdout has the
picture or the listing and nothing else.
"""

import contextlib
import inspect
import os
import sys
import traceback
import types

from minigrad.data.csvfile import listed, nearest
from minigrad.engine import Recorded
from minigrad.inspect import layout
from minigrad.inspect.draw import draw
from minigrad.inspect.listing import made_by
from minigrad.nn.module import Module
from minigrad.terminal import as_json, PROGRAM, Refusal, refuse_unwritable, result, talk

FORMATS = (*layout.FORMATS, "dot", "gv")
EXAMPLE = "FILE.py:NAME, such as train.py:loss"


def graph(options):
    """Draws what the command line asks for. Returns the exit code."""
    path, name = split(options.what)
    form = form_of(options)
    source = read(path)
    module, failure = run(path, source)
    if failure is not None and name not in vars(module):
        raise failure
    christen(vars(module))
    wanted = named(module, name, path)
    try:
        drawn = draw(wanted, depth=options.depth, expand=expanded(options.expand),
                     fold=False if options.no_fold else None, max_nodes=options.max_nodes,
                     direction=options.direction, title=options.title, ops=options.ops,
                     merge=not options.no_merge)
    except ValueError as error:
        hint = f"{PROGRAM} graph --help lists the options"
        if "max_nodes" in str(error):
            hint = "--depth 1 makes each module one card, --max-nodes N raises the limit"
        raise Refusal(error, hint) from None
    deliver(drawn, form, options)
    return 0


def christen(values):
    """Tensors without a name get that of their variable."""
    for name, value in values.items():
        if isinstance(value, Recorded) and not value.name and not name.startswith("_"):
            value.name = name


def expanded(words):
    return [path for word in words or () for path in word.split(",") if path]


def split(what):
    """(path, name) of "FILE.py:NAME"."""
    path, colon, name = what.rpartition(":")
    if not colon or not path or name.endswith(".py"):
        path, name = what, ""
    if not name.isidentifier():
        asked = f", got the name {name!r}" if name else f", {what!r} names no tensor"
        raise Refusal(f"say what to draw as {EXAMPLE}{asked}",
                      f"{PROGRAM} graph {path}:loss draws the variable loss", code=2)
    return path, name


def form_of(options):
    """The format to write, or None for the listing. Refuses before the program is run."""
    path, form = options.output, options.format
    if path is None:
        if form:
            raise Refusal("--format is for -o", f"{PROGRAM} graph ... -o - --format {form}", code=2)
        return None
    if path == "-":
        if options.json:
            raise Refusal("--json and -o - both print to stdout", "leave one of them out", code=2)
        form = form or "svg"
    else:
        suffix = os.path.splitext(path)[1].lower().lstrip(".")
        if suffix not in FORMATS or (form and form != suffix):
            raise Refusal(f"cannot save a graph as {path!r}: the suffix says the format, and it "
                          "must be .svg, .png, .pdf or .dot", code=2,
                          hint="for example -o graph.svg, or -o - for stdout")
        form = suffix
        refuse_unwritable(path, options.force)
    if form not in ("dot", "gv"):
        try:
            layout.program()
        except layout.GraphvizNotFound as error:
            raise Refusal(str(error).splitlines()[0].rstrip("."),
                          "python -m pip install graphviz-pure; or write DOT text: -o graph.dot")
    return form


def read(path):
    """The text of a program. Refusal if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        near = [f for f in os.listdir(os.path.dirname(path) or ".")
                if f.endswith(".py")] if os.path.isdir(os.path.dirname(path) or ".") else []
        raise Refusal(f"cannot read {path}: {error.strerror or error}."
                      f"{nearest(os.path.basename(path), near)}", f"give {EXAMPLE}",
                      code=2) from None


# --- running the program --------------------------------------------------------------------------

def run(path, source):
    """(the program as a module, None or the Refusal that tells how it ended too early)."""
    module = types.ModuleType("__main__")
    module.__file__ = path
    failure = None
    with standing_in(module, path):
        try:
            exec(compile(source, path, "exec"), module.__dict__)
        except SystemExit as stop:
            if stop.code not in (None, 0):
                failure = Refusal(f"{path} ended itself with {stop.code!r}; nothing was drawn",
                                  "draw what it has computed before, or mend it")
        except Exception as error:
            raise explained(error, path, "nothing was drawn") from error
    return module, failure


@contextlib.contextmanager
def standing_in(module, path):
    """For a while: module is the program, its folder is searched first, its prints go to stderr."""
    before = sys.modules["__main__"], sys.argv, list(sys.path)
    sys.modules["__main__"], sys.argv = module, [path]
    sys.path[:0] = [os.path.dirname(os.path.abspath(path))]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before


def explained(error, path, ending):
    """A Refusal for an error in the program, after the lines of the program that led to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename == path]
    words = traceback.format_list(frames)
    if isinstance(error, SyntaxError):
        words += traceback.format_exception_only(error)[:-1]
    if words:
        talk("".join(words).rstrip())
    return Refusal(f"{path} stopped with {type(error).__name__}: {error}; {ending}",
                   "the lines above are where; --debug shows all of it")


# --- the tensor -----------------------------------------------------------------------------------

def named(module, name, path):
    """The tensor, or the list of tensors, that a program's name stands for."""
    values = vars(module)
    known = {k: v for k, v in values.items() if not k.startswith("_")}
    tensors = [k for k, v in known.items() if is_drawable(v)]
    if name not in values:
        close = nearest(name, tensors) or nearest(name, known)
        there = f"its tensors are {listed(tensors)}" if tensors else "it has no tensors"
        raise Refusal(f"{path} has no variable {name!r}; {there}.{close}", f"give {EXAMPLE}")
    value, what = values[name], f"{name} in {path}"
    if isinstance(value, Module):
        raise Refusal(f"{what} is a {type(value).__name__}, and a module computes nothing until it "
                      f"is called", f"add a line like out = {name}(x) to {path}, and draw out")
    if callable(value):
        value, what = called(value, name, module), f"what {name}() in {path} returns"
    if not is_drawable(value):
        hint = f"{path} has the tensors {listed(tensors)}" if tensors else f"give {EXAMPLE}"
        raise Refusal(f"{what} is {described(value)}, expected a tensor, a list of tensors or a "
                      f"function that returns one of them", hint)
    return value


def is_drawable(value):
    return isinstance(value, Recorded) or (isinstance(value, (list, tuple)) and len(value) > 0 and (
        all(isinstance(t, Recorded) for t in value)))


def described(value):
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"of type {type(value).__name__}"


def called(function, name, module):
    """What a function without arguments returns."""
    path = module.__file__
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise Refusal(f"{name} in {path} needs arguments: {name}{inspect.signature(function)}",
                      "draw a tensor it returned, or a function without arguments") from None
    except ValueError:  # a built-in function, which tells nothing
        pass
    with standing_in(module, path):
        try:
            return function()
        except SystemExit as stop:
            raise Refusal(f"{name}() in {path} ended the program with {stop.code!r}; nothing was "
                          "drawn", "draw what it has computed before, or mend it") from None
        except Exception as error:
            raise explained(error, path, "nothing was drawn") from error


# --- the answer -----------------------------------------------------------------------------------

def deliver(drawn, form, options):
    """Writes the picture, or prints the listing."""
    path = options.output
    if path == "-":
        data = encoded(drawn, form)
        if form in ("png", "pdf"):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        else:
            result(data.decode().rstrip("\n"))
        return
    if path is not None:
        layout.write(path, encoded(drawn, form))
        talk(f"wrote {path}: {drawn.about}")
    if options.json:
        as_json({"file": path, "tensors": [about(card, drawn) for card in drawn.picture.cards]})
    elif path is None:
        result(str(drawn))


def encoded(drawn, form):
    """The picture as bytes. Refusal if the layout program cannot do it."""
    if form in ("dot", "gv"):
        return drawn.source.encode("ascii")
    try:
        return drawn.render(form)
    except RuntimeError as error:
        raise Refusal(str(error).splitlines()[0], "-o graph.svg and -o graph.dot are the safest "
                      "choices") from None


def about(card, drawn):
    """A card as JSON."""
    return {"name": card.name, "role": card.role, "made_by": made_by(card, drawn.picture.words),
            "shape": list(card.array.shape), "dtype": str(card.array.dtype),
            "tracked": bool(card.tracked), "has_grad": card.gradient is not None}
