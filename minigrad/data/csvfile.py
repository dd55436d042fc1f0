"""CSV files, read whole and believed only after every cell was looked at.

The one trick: each row remembers the line it came from, so that whatever is wrong is said once,
with file, line, column and how often, before anything has been computed.
"""

import csv
import difflib
import io
import re
from dataclasses import dataclass

import numpy as np

# fmt: off
NUMBER  = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.A | re.I).fullmatch
MISSING = {"", "?", "na", "n/a", "#n/a", "nan", "-nan", "null"}  # compared in lower case
# fmt: on


class TableError(ValueError):
    """A table that cannot be used as it is; the message says where and what to do."""


def nearest(name, known):
    """" Did you mean 'age'?" when one of the known names is close, else "" (for messages)."""
    folded = {k.lower(): k for k in known}
    found = difflib.get_close_matches(str(name).lower(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[found[0]]!r}?" if found else ""


def listed(names, most=12):
    """The first names as "a, b, c and 7 more" (for messages)."""
    names = list(map(str, names))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@dataclass
class Sheet:
    """The cells of a file as text: header, rows, and the line each row starts on."""

    path: str
    header: list
    rows: list
    lines: list

    def column(self, name):
        """The cells of one column. TableError if the column or one of its cells is missing."""
        if name not in self.header:
            hint = nearest(name, self.header)
            if not hint and all(map(NUMBER, self.header)):
                hint = " Line 1 looks like data: put a line with the column names above it."
            raise TableError(f"{self.path} has no column {name!r}; its columns are "
                             f"{listed(self.header)}.{hint}")
        i = self.header.index(name)
        cells = [row[i] for row in self.rows]
        missing = [k for k, cell in enumerate(cells) if cell.lower() in MISSING]
        self.refuse(name, cells, missing, "is missing", "are missing",
                    "fill in the value, or remove the row or the column")
        return cells

    def numbers(self, name):
        """A column as float64 (n,). Raises TableError if a cell is not a finite number."""
        cells = self.column(name)
        bad = [k for k, cell in enumerate(cells) if not NUMBER(cell)]
        comma = bad and NUMBER(cells[bad[0]].replace(",", ".", 1))
        cure = "correct the value, or remove the row or the column"
        self.refuse(name, cells, bad, "is not a number", "are not numbers",
                    "write decimals with a point, thousands without a comma" if comma else cure)
        values = np.array([float(cell) for cell in cells])
        self.refuse(name, cells, np.flatnonzero(~np.isfinite(values)), "is not finite",
                    "are not finite", cure)
        return values

    def refuse(self, name, cells, bad, singular, plural, cure):
        """Raises TableError naming the first of the bad cells, if there are any."""
        if len(bad) > 0:
            wrong = plural if len(bad) > 1 else singular
            first = bad[0]
            raise TableError(f"{len(bad)} of {len(cells)} values of {name!r} {wrong}, first at "
                             f"{self.path} line {self.lines[first]}: {cells[first]!r:.60}; {cure}")


def is_numeric(cells):
    """Is a column meant as numbers? Yes if at least half of its cells are.

    A column with fewer numbers is text; one with more but not only numbers holds mistakes, which
    `Sheet.numbers` names. All rows count, not just the first ones.
    """
    return 2 * sum(NUMBER(cell) is not None for cell in cells) >= len(cells)


def read_csv(path):
    """The Sheet of a CSV file: UTF-8, with a line of column names; comma, semicolon or tab.

    Quoted cells, a byte order mark, any line ends and blank lines at the end are fine.
    Raises TableError with file and line for a row of the wrong width, an unnamed or repeated
    column, broken quotes, another encoding, or no rows; OSError if the file cannot be read.
    """
    with open(path, "rb") as file:
        content = file.read()
    path = str(path)
    text = decoded(path, content)
    if not text.strip():
        raise TableError(f"{path} is empty; expected a line of column names, then one row a line")
    header, *rows = records(path, text, delimiter(text))
    line, header = header
    check_header(path, line, header)
    while rows and blank(rows[-1][1]):
        rows.pop()
    if not rows:
        raise TableError(f"{path} has column names but no rows")
    wrong = [(line, row) for line, row in rows if len(row) != len(header)]
    if wrong:
        line, row = wrong[0]
        found = "is blank" if blank(row) else f"has {len(row)} cell{'s' * (len(row) > 1)}"
        raise TableError(f"{path} line {line} {found}, but there are {len(header)} column names "
                         f"({len(wrong)} of {len(rows)} rows do not fit); correct or remove the "
                         "row. A cell with the delimiter in it needs quotes")
    return Sheet(path, header, [row for _, row in rows], [line for line, _ in rows])


def decoded(path, content):
    """The text of a file in UTF-8, with or without a byte order mark."""
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise TableError(f"{path} is UTF-16 text, not UTF-8; save it as 'CSV UTF-8'")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TableError(f"{path} line {line} is not UTF-8 text (byte "
                         f"{content[error.start]:#04x}); save the file as 'CSV UTF-8'") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TableError(f"{path} line {line} holds a zero byte: this is not a CSV file")
    return text


def delimiter(text):
    """The one of comma, semicolon and tab that cuts the first line into most columns."""
    def columns(mark):
        try:
            return len(next(csv.reader(io.StringIO(text.lstrip("\r\n")), delimiter=mark)))
        except csv.Error:
            return 0
    return max(",;\t", key=columns)


def records(path, text, mark):
    """(line, cells) for every record, blank ones before the first left out, cells stripped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True,
                        skipinitialspace=True)
    found, line = [], 1
    try:
        for row in reader:
            if found or not blank(row):
                found.append((line, [cell.strip() for cell in row]))
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{path} line {line}: {error}; check the quotes from there on") from None
    return found


def blank(row):
    """Is this record an empty line?"""
    return not row or row == [""]


def check_header(path, line, header):
    """Raises TableError for a column without a name or two with the same."""
    first = {}
    for i, name in enumerate(header, start=1):
        if not name:
            raise TableError(f"{path} line {line}: column {i} of {len(header)} has no name; name "
                             "it, or remove it if it only numbers the rows")
        if name in first:
            raise TableError(f"{path} line {line}: columns {first[name]} and {i} are both called "
                             f"{name!r}; rename or remove one")
        first[name] = i
