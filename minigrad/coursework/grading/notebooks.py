"""A notebook as a submission: the code of its cells, without what only a notebook understands.

The one trick: a line of magic becomes a comment, so that all other lines keep their numbers.
"""

import json
import re

MAGIC = re.compile(r"^\s*(%%?[A-Za-z]|!|\?)|^[^#'\"=]*\?\s*$")
HARMLESS = re.compile(r"^%%(time|timeit|capture|prun)\b")


def cells_of(text):
    """The code cells of a notebook, in order. Raises ValueError for a text that is none."""
    try:
        cells = json.loads(text)["cells"]
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        return ["".join(source) if isinstance(source, list) else str(source)
                for source in map(plain, sources)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("the file is no notebook: it has no list of cells") from None


def plain(source):
    """A cell without magic. A cell of another language (%%bash) is empty."""
    lines = ("".join(source) if isinstance(source, list) else source).splitlines()
    if lines and lines[0].startswith("%%") and not HARMLESS.match(lines[0]):
        return ""
    return "\n".join(re.sub(r"\S.*", "pass  # magic", line) if MAGIC.match(line) else line
                     for line in lines)
