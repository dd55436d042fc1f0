"""Saving and loading: state dicts, checkpoints, any nest of plain data and arrays, in one .npz.

The one trick: a file is a NumPy archive (each array a member that `numpy.load` can read too) plus
one JSON member that says how they were nested. Neither can hold code, so loading runs none; a
pickle can.

In the JSON, text, None, True and False, numbers and lists stand for themselves; everything else is
an object whose first key says what it is: {"tensor": "model.0.weight"}, {"dict": [[key, value]]}.
"""

import io
import json
import math
import os
import re
import zipfile

import numpy as np

from minigrad.engine import Recorded, wrap
from minigrad.tensor import Tensor
from minigrad.words import Device

VERSION = 1
MEMBER = "minigrad.json"
DEPTH = 100  # deeper nests are cycles, or mistakes


class FileFormatError(ValueError):
    """A file that minigrad did not write, or that has been damaged since."""


# --- saving --------------------------------------------------------------------------------------

def save(obj, f):
    """Writes obj to f, a path (used exactly as given) or a file object open for binary writing.

    obj: dicts, lists, tuples, text, numbers, None, NumPy arrays and tensors, nested at will, as in
    `{"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 7}`. Subclasses
    come back as their base (OrderedDict as dict, Parameter as Tensor), all values to the bit.
    The same obj gives the same bytes. A save that is interrupted or fails leaves the old file.
    Raises TypeError or ValueError naming the entry that cannot be saved, OSError if writing fails.
    PyTorch: torch.save.
    """
    content = encoded(obj)
    if hasattr(f, "write"):
        f.write(content)
        return
    path = os.fsdecode(f)
    try:
        replace_file(path, content)
    except OSError as error:
        folder = os.path.dirname(os.path.abspath(path))
        cure = ("give the name of a file in it" if os.path.isdir(path) else
                "choose a folder you can write to, with space left" if os.path.isdir(folder) else
                f"there is no folder {folder!r}, create it first")
        raise type(error)(error.errno, f"cannot save: {error.strerror}; {cure}", path) from None


def replace_file(path, content):
    """Puts content under path in one step: there is the old file, then the new one, never half."""
    path = os.path.realpath(path)  # a link keeps pointing to the file
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:  # a device or a pipe: nothing to replace; a folder: refused
            file.write(content)
        return
    mode = None
    if os.path.exists(path):
        mode = os.stat(path).st_mode
        with open(path, "r+b"):  # a file that is write-protected is not to be replaced either
            pass
    beside = os.path.join(os.path.dirname(path), f".minigrad-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:  # Ctrl-C too
        if os.path.exists(beside):
            os.remove(beside)
        raise


def encoded(obj):
    """The bytes of the file for obj."""
    arrays = {}
    structure = outlined(obj, "obj", arrays, 0)
    head = json.dumps({"format": "minigrad", "version": VERSION, "structure": structure},
                      ensure_ascii=True, allow_nan=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        add(archive, MEMBER, head.encode())
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            add(archive, name + ".npy", member.getbuffer())
    return buffer.getvalue()


def add(archive, name, content):
    """One member, dated 1980 like all others: the same content gives the same bytes."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system, info.external_attr = 3, 0o600 << 16  # the same on every system
    archive.writestr(info, content)


def outlined(x, where, arrays, depth):
    """What stands for x in the JSON; its arrays are added to `arrays` under names of their own."""
    if depth > DEPTH:
        raise ValueError(f"{where[:60]}... is nested more than {DEPTH} levels deep; does it "
                         "contain itself?")
    if x is None or isinstance(x, bool):
        return x
    if isinstance(x, Recorded):
        fields = {"tensor": stored(x.array, where, arrays)}
        if x.requires_grad:
            fields["requires_grad"] = True
        if x.name is not None:
            fields["name"] = x.name
        return fields
    if isinstance(x, np.generic) and not isinstance(x, str):
        return {"scalar": stored(np.asarray(x), where, arrays)}
    if type(x) in (np.ndarray, np.memmap):
        return {"array": stored(x, where, arrays)}
    if isinstance(x, str):
        return text_outlined(str(x), where)
    if isinstance(x, int):
        return int(x) if abs(x) < 2**53 else {"int": hex(x)}
    if isinstance(x, float):
        return float(x) if math.isfinite(x) else {"float": repr(float(x))}
    if isinstance(x, list):
        return [outlined(item, f"{where}[{i}]", arrays, depth + 1) for i, item in enumerate(x)]
    if isinstance(x, tuple):
        return {"tuple": [outlined(item, f"{where}[{i}]", arrays, depth + 1)
                          for i, item in enumerate(x)]}
    if isinstance(x, dict):
        return {"dict": [[key_outlined(key, where),
                          outlined(value, f"{where}[{key!r}]", arrays, depth + 1)]
                         for key, value in x.items()]}
    raise unsavable(x, where)


def text_outlined(x, where):
    """A str. One that is not valid Unicode (half of a surrogate pair) could not be read back."""
    try:
        x.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where} is text that is not valid Unicode: {x!r:.60}") from None
    return x


def key_outlined(key, where):
    """What stands for a dict key: text, numbers, None and tuples of them."""
    if isinstance(key, tuple):
        return {"tuple": [key_outlined(part, where) for part in key]}
    if key is None or isinstance(key, (str, int, float)) and not isinstance(key, np.generic):
        return outlined(key, f"a key of {where}", {}, 0)
    raise TypeError(f"{where} has a key of type {type(key).__name__}, {key!r:.60}; keys can be "
                    "text, numbers, None or tuples of them")


def stored(array, where, arrays):
    """The name of the member that x's array becomes; it tells where in the nest it belongs."""
    if array.dtype.hasobject:
        raise TypeError(f"{where} is an array of dtype {array.dtype}, which holds Python objects; "
                        "convert it to numbers or text first, e.g. with .astype(float)")
    parts = re.findall(r"[A-Za-z0-9_.]+", where[len("obj"):]) or ["value"]
    name = base = ".".join(parts)[-100:].strip(".") or "value"
    number = 1
    while name in arrays:
        number += 1
        name = f"{base}-{number}"
    arrays[name] = array
    return name


def unsavable(x, where):
    """The error for an x that is neither plain data nor an array."""
    kind = type(x).__name__
    if hasattr(x, "state_dict") and not isinstance(x, type):
        cure = "save its state_dict()"
    elif isinstance(x, np.ndarray):
        cure = "save numpy.asarray of it, or its parts"
    elif isinstance(x, (set, frozenset)):
        cure = "save it as a list, e.g. sorted(...)"
    elif callable(x):
        kind = f"{kind} {getattr(x, '__name__', '')}".strip()
        cure = "code is never saved; save its name as text"
    else:
        cure = "save dicts, lists, tuples, text, numbers, arrays and tensors"
    return TypeError(f"{where} is a {kind}; {cure}")


# --- loading -------------------------------------------------------------------------------------

def load(f, map_location=None, *, weights_only=True, mmap=None):
    """What `save` wrote to f, a path or a file object open for binary reading.

    Runs no code from the file, whatever weights_only says. Tensors have memory of their own.
    map_location is for PyTorch's sake: everything is loaded to the CPU, other devices are refused.
    Raises FileFormatError if the file is damaged, from elsewhere, or from a newer minigrad;
    OSError if it cannot be read. PyTorch: torch.load.
    """
    if isinstance(map_location, (str, Device)):
        Device(map_location)
    if hasattr(f, "read"):
        content, path = f.read(), getattr(f, "name", "the file")
        if not isinstance(content, bytes):
            raise TypeError(f"{path} is open as text; open it in binary mode, 'rb'")
    else:
        path = os.fsdecode(f)
        with open(path, "rb") as file:
            content = file.read()
    if not content.startswith(b"PK\x03\x04"):
        raise FileFormatError(f"{path} {kind_of(content)}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = archive.namelist()
    except Exception as error:  # damage shows in many ways
        raise damaged(path, error) from None
    if MEMBER not in names:
        raise FileFormatError(f"{path} {kind_of_archive(names)}")
    try:
        head = json.loads(archive.read(MEMBER))
        version = head["version"] if head["format"] == "minigrad" else None
        if isinstance(version, int) and version <= VERSION:
            return restored(head["structure"], archive)
    except Exception as error:  # whatever is wrong in there, the cure is the same
        raise damaged(path, error) from None
    raise FileFormatError(f"{path} has format version {version!r}, this minigrad reads up to "
                          f"{VERSION}; update minigrad to read it")


def damaged(path, error):
    """The error for a file that begins well and then cannot be read."""
    detail = str(error) or type(error).__name__
    return FileFormatError(f"{path} is damaged or cut short ({detail}); use another copy, or save "
                           "it again")


def kind_of(content):
    """What a file that is no archive is, from its first bytes."""
    foreign = ", not a file written by minigrad.save"
    if not content:
        return "is empty: nothing was ever written to it, or it was cut short"
    if content[:1] == b"\x80" and content[1:2] in b"\2\3\4\5":
        return f"is a pickle{foreign}; it is not opened, because a pickle can run any code"
    if content.startswith(b"\x93NUMPY"):
        return f"is a single NumPy array{foreign}; read it with numpy.load"
    if content.startswith(b"\x89HDF"):
        return f"is an HDF5 file{foreign}"
    if content[8:9] == b"{" and int.from_bytes(content[:8], "little") < 10**8:
        return f"looks like a safetensors file{foreign}"
    if len(content) < 4 and b"PK\x03\x04".startswith(content):
        return "is damaged or cut short; use another copy, or save it again"
    return f"is{foreign.removeprefix(',')}"


def kind_of_archive(names):
    """What a zip archive that minigrad did not write is, from the names of its members."""
    foreign = ", not a file written by minigrad.save"
    if any(name.endswith("data.pkl") for name in names):
        return (f"is a PyTorch file{foreign}; it is a pickle inside, which can run any code. In "
                "PyTorch, convert it: "
                "numpy.savez(path, **{k: v.numpy() for k, v in state_dict.items()})")
    if names and all(name.endswith(".npy") for name in names):
        arrays = [name.removesuffix(".npy") for name in names]
        shown = ", ".join(arrays[:8]) + (", ..." if len(arrays) > 8 else "")
        return f"is a plain NumPy archive{foreign}; read its arrays ({shown}) with numpy.load"
    return f"is a zip archive{foreign}"


def restored(x, archive):
    """The object that x stands for in the JSON."""
    if isinstance(x, list):
        return [restored(item, archive) for item in x]
    if not isinstance(x, dict):
        return x
    kind, value = next(iter(x.items()))
    if kind == "dict":
        return {restored(key, archive): restored(item, archive) for key, item in value}
    if kind == "tuple":
        return tuple(restored(item, archive) for item in value)
    if kind == "int":
        return int(value, 16)
    if kind == "float":
        return float(value)
    # Read whole, which compares the checksum, before anything of it is believed.
    member = io.BytesIO(archive.read(value + ".npy"))
    array = np.lib.format.read_array(member, allow_pickle=False)
    if kind == "array":
        return array
    if kind == "scalar":
        return array[()]
    if kind == "tensor":
        t = wrap(array, Tensor)
        t.name = x.get("name")
        return t.requires_grad_(bool(x.get("requires_grad", False)))
    raise ValueError(f"unknown kind {kind!r}")
