"""What the commands say: results on stdout, everything else on stderr, files all or nothing.

The one trick: a mistake of the user is a Refusal, one line of what is wrong and one of what to do,
raised wherever it is found and printed in one place.
"""

import json
import os
import shutil
import sys
import textwrap
import unicodedata

PROGRAM = "python -m minigrad"  # works where the command `minigrad` is on no PATH


class Refusal(Exception):
    """What the user can put right. hint: what to do. code: the exit code, 2 for wrong usage."""

    def __init__(self, message, hint="", code=1):
        super().__init__(message)
        self.hint, self.code = hint, code


def put(text, stream):
    """Prints text; characters that the stream cannot encode are spelled out."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def result(text):
    """Prints a result, on stdout."""
    put(text, sys.stdout)


def talk(text):
    """Prints what accompanies the results, on stderr."""
    put(text, sys.stderr)


def complain(kind, message, hint=""):
    """One line that says what is wrong, one that says what to do; coloured where it is welcome,
    and broken between words where a terminal would break them anywhere."""
    coloured = (sys.stderr.isatty() and not os.environ.get("NO_COLOR")
                and os.environ.get("TERM") != "dumb")
    colour = "31" if kind == "error" else "33"
    start, end = (f"\x1b[1;{colour}m", "\x1b[0m") if coloured else ("", "")
    words = folded(f"{kind}: {' '.join(str(message).split())}", len(kind) + 2)
    talk(f"{start}{kind}:{end}{words[len(kind) + 1:]}")
    if hint:
        talk(folded(f"{'hint:':<{len(kind) + 1}} {hint}", len(kind) + 2))


def folded(line, indent):
    """A line for stderr: in a terminal, as wide as that; elsewhere, for programs, as it is."""
    if not sys.stderr.isatty():
        return line
    return "\n".join(textwrap.wrap(
        line, max(20, shutil.get_terminal_size().columns - 1), subsequent_indent=" " * indent,
        break_long_words=False, break_on_hyphens=False))


def as_json(data):
    """Prints data as JSON, on stdout."""
    result(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def quietly_closed():
    """Forgets a stdout whose reader has gone (`... | head`), so that Python does not complain."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


# --- tables --------------------------------------------------------------------------------------

def width_of(text):
    """Columns that text takes in a terminal: two for each wide character, none for accents."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def padded(text, width, right):
    """text filled up to width with spaces, at its left if right=True."""
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def table(header, rows, right=()):
    """Rows of texts as aligned lines; columns whose number is in `right` are set to the right."""
    lines = [header, *rows]
    widths = [max(width_of(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join("  ".join(padded(text, width, i in right) for i, (text, width)
                               in enumerate(zip(line, widths))).rstrip() for line in lines)


def pairs(rows, width=16):
    """(name, text) rows as two columns."""
    return "\n".join(f"{name:<{width}}{text}" for name, text in rows)


# --- folders -------------------------------------------------------------------------------------

def made_folder(path):
    """Makes sure that files can be written into a folder; returns the folders created for it.

    Raises Refusal, and leaves nothing behind, if they cannot.
    """
    created, missing = [], os.path.abspath(path)
    while not os.path.lexists(missing):
        created.append(missing)
        missing = os.path.dirname(missing)
    try:
        os.makedirs(path, exist_ok=True)
        probe = os.path.join(path, f".minigrad-{os.getpid()}")
        with open(probe, "xb"):
            pass
        os.remove(probe)
    except OSError as error:
        remove_folders(created)
        raise Refusal(f"cannot write into the folder {path!r}: {error.strerror or error}",
                      "choose another with -o DIR; nothing was trained") from None
    return created


def remove_folders(created):
    """Removes folders that made_folder created, as far as they are empty. Deepest first."""
    for folder in created:
        try:
            os.rmdir(folder)
        except OSError:
            return


def refuse_unwritable(path, force):
    """Refusal, before the work is done, if a file could not be written or is there already."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise Refusal(f"cannot write {path}: there is no folder {folder!r}",
                      "create it first, or write somewhere else")
    if os.path.lexists(path) and not force:
        raise Refusal(f"{path} exists already", "choose another name, or replace it with --force")
