"""Reads ASSIGNMENT.toml: the part of TOML that assignments need, as Python 3.10 has no tomllib.

The one trick: a value is what `json` reads, once quotes and commas are in JSON's spelling. There
are [tables], [[lists of tables]], key = value with strings, numbers, true and false, arrays,
inline tables on one line, and texts of several lines between three quotes.
"""

import json
import re

HEAD = re.compile(r"\[(\[)?([A-Za-z0-9_.-]+)\](\])?\s*(#.*)?$")
PAIR = re.compile(r'([A-Za-z0-9_-]+|"[^"]+")\s*=\s*(.*)$', re.DOTALL)
TOKEN = re.compile(r"""\s*(?:(?P<basic>"(?:[^"\\]|\\.)*")|'(?P<literal>[^']*)'
                       |(?P<word>[A-Za-z_][A-Za-z0-9_-]*)
                       |(?P<number>[+-]?[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][+-]?[0-9]+)?)
                       |(?P<mark>[\[\]{},=])|(?P<comment>\#.*))""", re.VERBOSE)


class SettingsError(ValueError):
    """What is wrong in a file of settings, with its line."""


def read(text, path="settings"):
    """The dict that a text in (a part of) TOML describes. Raises SettingsError."""
    result, lines = {}, text.splitlines()
    table, number = result, 0
    while number < len(lines):
        line, first = lines[number].strip(), number + 1
        number += 1
        if not line or line.startswith("#"):
            continue
        if head := HEAD.match(line):
            if bool(head[1]) != bool(head[3]):
                raise SettingsError(f"{path}, line {first}: brackets do not match in {line!r}")
            table = opened(result, head[2], bool(head[1]), f"{path}, line {first}")
            continue
        pair = PAIR.match(line)
        if not pair:
            raise SettingsError(f"{path}, line {first}: expected key = value, got {line!r}")
        name, rest = pair[1].strip('"'), pair[2]
        if name in table:
            raise SettingsError(f"{path}, line {first}: {name} is given twice")
        quote = rest[:3]
        if quote in ("'''", '"""'):
            table[name], number = several_lines(lines, number, rest[3:], quote, path)
        else:
            while unclosed(rest) and number < len(lines):
                rest += "\n" + lines[number]
                number += 1
            table[name] = value(rest, f"{path}, line {first}")
    return result


def unclosed(text):
    """Does an array go on in the next line?"""
    marks = [token["mark"] for token in TOKEN.finditer(text)]
    return marks.count("[") > marks.count("]")


def opened(result, name, many, where):
    """The table that [name] or [[name]] begins."""
    if not many:
        if name in result:
            raise SettingsError(f"{where}: [{name}] is given twice")
        return result.setdefault(name, {})
    entries = result.setdefault(name, [])
    if not isinstance(entries, list):
        raise SettingsError(f"{where}: [{name}] and [[{name}]] are both given")
    entries.append({})
    return entries[-1]


def several_lines(lines, number, begun, quote, path):
    """(text, number of the next line) of a text between three quotes."""
    first, parts = number, [begun]
    while quote not in parts[-1]:
        if number == len(lines):
            raise SettingsError(f"{path}, line {first}: the text is not closed by {quote}")
        parts.append(lines[number])
        number += 1
    text, _, rest = "\n".join(parts).partition(quote)
    if rest.strip() and not rest.strip().startswith("#"):
        raise SettingsError(f"{path}, line {number}: {rest.strip()!r} after the closing {quote}")
    if quote == '"""' and "\\" in text:
        raise SettingsError(f"{path}, line {first}: write ''' around a text with a backslash")
    return text.removeprefix("\n"), number


def value(text, where):
    """The value that stands right of a = sign."""
    pieces, position = [], 0
    while position < len(text.rstrip()):
        token = TOKEN.match(text, position)
        if not token:
            raise SettingsError(f"{where}: cannot read {text[position:].strip()!r}")
        position = token.end()
        if token["basic"]:
            pieces.append(token["basic"])
        elif token["literal"] is not None:
            pieces.append(json.dumps(token["literal"]))
        elif token["word"]:
            word = token["word"]
            pieces.append(word if word in ("true", "false") else json.dumps(word))
        elif token["number"]:
            pieces.append(token["number"].replace("_", "").lstrip("+"))
        elif token["mark"]:
            pieces.append(":" if token["mark"] == "=" else token["mark"])
    joined = re.sub(r",\s*([\]}])", r"\1", " ".join(pieces))
    if re.fullmatch(r'"[A-Za-z_][A-Za-z0-9_-]*"', joined) and text.strip()[:1] not in "'\"":
        raise SettingsError(f"{where}: put quotes around {text.strip()!r}")
    try:
        return json.loads(joined)
    except ValueError:
        raise SettingsError(f"{where}: cannot read the value {text.strip()!r}") from None
