"""Layout programs: DOT text in, SVG, PNG or PDF out.

The one trick: any of three programs will do, since all read the same text: the one the variable
MINIGRAD_DOT names, the system's `dot`, or the graphviz-pure package, which pip installs anywhere.
The package's command is found through its metadata: an unactivated environment has it on no PATH.
"""

import os
import pathlib
import re
import shutil
import subprocess

FORMATS = ("svg", "png", "pdf")
DPI = 120             # of a PNG that is not too large:
PIXELS = 60_000_000   # most in all, and
SIDE = 32_000         # most in a row or column, which is what programs can open
LONG = 100_000        # characters of DOT text that may be too large a picture
TIMEOUT = 60  # seconds; 400 cards take less than one
STYLE = ("<style>text[font-family^=Courier]{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"
         "'DejaVu Sans Mono',monospace}</style>")


class GraphvizNotFound(RuntimeError):
    """No layout program was found."""


NOT_FOUND = """minigrad cannot draw this graph: no Graphviz layout program was found.
  looked for   MINIGRAD_DOT (not set), "dot" on PATH, the graphviz-pure package
  quick fix    python -m pip install graphviz-pure
  or           apt install graphviz  |  brew install graphviz  |  winget install graphviz
  without it   print(graph) lists every node, graph.source is the DOT text,
               graph.save("graph.dot") writes it"""


def program():
    """Path of the layout program. GraphvizNotFound if there is none."""
    chosen = os.environ.get("MINIGRAD_DOT")
    if chosen:
        if not (os.path.isfile(chosen) and os.access(chosen, os.X_OK)):
            raise GraphvizNotFound(
                f"MINIGRAD_DOT is set to {chosen!r}, which is not an executable file")
        return chosen
    found = shutil.which("dot") or packaged()
    if found is None:
        raise GraphvizNotFound(NOT_FOUND)
    return found


def packaged():
    """The command that the graphviz-pure package installed, or None."""
    import importlib.metadata  # a third of what `import minigrad` may cost
    try:
        files = importlib.metadata.distribution("graphviz-pure").files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = pathlib.Path(file.locate())
        if path.stem == "graphviz-pure" and path.suffix in ("", ".exe"):
            if path.is_file() and os.access(path, os.X_OK):
                return str(path.resolve())
    return None


def rendered(source, form, about="computation graph"):
    """DOT text laid out, as bytes. form: "svg", "png" or "pdf". about: what an SVG tells those who
    cannot see it. RuntimeError if the program fails; GraphvizNotFound if there is none."""
    dot = program()
    if form == "pdf" and "graphviz-pure" in os.path.basename(dot):
        raise RuntimeError("PDF needs a system Graphviz; svg and png work with graphviz-pure")
    data = source.encode("ascii")
    done = laid_out(dot, form, data, [f"-Gdpi={fitting(dot, data):.4g}"] if form == "png" else [])
    return accessible(done, about) if form == "svg" else done


def fitting(dot, data):
    """Dots per inch at which a picture is no larger than can be opened."""
    if len(data) < LONG:
        return DPI
    words = laid_out(dot, "plain", data).split(maxsplit=4)  # graph 1 width height, in inches
    width, height = (float(word) + 0.5 for word in words[2:4])  # and the margin, draw's `pad`
    return min(DPI, SIDE / max(width, height), (PIXELS / (width * height)) ** 0.5)


def laid_out(dot, form, data, more=()):
    """What the program at path `dot` makes of DOT text. RuntimeError if it fails."""
    try:
        done = subprocess.run([dot, f"-T{form}", *more], input=data, capture_output=True,
                              timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"{dot} took more than {TIMEOUT} s for this graph: draw it with depth=1") from None
    except OSError as error:
        raise RuntimeError(f"{dot} cannot be run: {error}") from None
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{dot} failed (exit code {done.returncode}): "
                           f"{said[0] if said else 'no output'}")
    return done.stdout


def accessible(svg, about):
    """The SVG with monospaced fonts that the reader has, and a label for screen readers."""
    about = about.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    head = f'<svg role="img" aria-label="{about}" '
    svg = svg.decode("utf-8")
    return re.sub("<svg ([^>]*)>", lambda m: f"{head}{m[1]}>\n{STYLE}", svg, count=1).encode()


def write(path, data):
    """Writes bytes to a file at once or not at all. OSError that says what to do."""
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {str(path.parent)!r}; "
                                "create it first, or save somewhere else")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give a file name in it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise type(error)(f"cannot write {path}: {error.strerror or error}; choose a folder that "
                          "can be written to") from None
