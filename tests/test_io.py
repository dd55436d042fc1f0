"""What save writes, load gives back; what is not such a file is refused in one clear error."""

import enum
import io
import json
import os
import pickle
import stat
import zipfile
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad.creation import tensor
from minigrad.engine import Recorded
from minigrad.io import FileFormatError, load, save


def same(a, b):
    """Equal in type, structure and to the bit."""
    if isinstance(a, Recorded):
        return isinstance(b, Recorded) and same(a.array, b.array) and (
            (a.requires_grad, a.name) == (b.requires_grad, b.name))
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and (
            a.tobytes() == b.tobytes())
    if isinstance(a, dict):
        return type(b) is dict and len(a) == len(b) and all(
            same(k, l) and same(a[k], b[l]) for k, l in zip(a, b))
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):  # repr tells -0.0 from 0.0, and nan is nan
        return isinstance(b, float) and repr(a) == repr(b)
    return type(a) is type(b) and a == b


def through(obj):
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return load(buffer)


CHECKPOINT = {
    "model": {"0.weight": tensor(np.arange(6.).reshape(2, 3), requires_grad=True, name="0.weight"),
              "0.bias": tensor([0.1, -0.2], dtype=np.float32)},
    "optimizer": {"state": {0: {"step": 3, "exp_avg": tensor([1e-300, -0.0])}, 1: {}},
                  "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0, 1],
                                    "amsgrad": False, "foreach": None}]},
    "rng": {"state": 2**127 + 1, "negative": -(10**5000)},
    "history": [1.5, float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 0.1],
    "note": "naïve \u2202 \0 \"quoted\"", "": [], (1, "a", None): {}, None: (), 2.5: [[()]],
}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save(CHECKPOINT, tmp_path / "c.npz")
    assert same(CHECKPOINT, load(tmp_path / "c.npz"))


@pytest.mark.parametrize("array", [
    np.array(3.5), np.zeros((0, 3)), np.array([True, False]),
    np.arange(12).reshape(3, 4)[:, ::2].T,
    np.asfortranarray(np.arange(6.).reshape(2, 3)), np.array([np.nan, np.inf, -0.0]),
    np.arange(3, dtype=">i2"), np.array(["a", "\u2202"]), np.float16([1, 2]), np.uint8(7),
    np.float32(0.1), np.bool_(True), np.datetime64("2020-01-01"),
], ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_and_numpy_scalars_keep_dtype_shape_and_bits(array):
    assert same(array, through(array))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() |
    st.text(st.characters(exclude_categories=["Cs"])) |
    hnp.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), hnp.array_shapes(
        min_dims=0, max_dims=3, min_side=0, max_side=3)),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) |
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(), inner,
                    max_size=3), max_leaves=8)


@given(plain)
@settings(max_examples=100, deadline=None)
def test_any_nest_of_plain_data_comes_back(obj):
    assert same(obj, through(obj))


def test_subclasses_come_back_as_their_base():
    class Color(enum.IntEnum):
        RED = 3
    Point = namedtuple("Point", "x y")
    back = through([OrderedDict(a=1), Color.RED, Point(1, 2), np.str_("s")])
    assert same([{"a": 1}, 3, (1, 2), "s"], back)


def test_a_restored_tensor_is_a_leaf_with_writable_memory_of_its_own():
    x = tensor([1., 2.], requires_grad=True)
    y = through({"y": x * 2})["y"]
    assert y.is_leaf and y.requires_grad and y.grad is None and y.op is None
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8] and x.grad is None
    y.array[0] = 9
    assert x.tolist() == [1, 2]


def test_the_same_object_gives_the_same_bytes(tmp_path):
    save(CHECKPOINT, tmp_path / "a")
    save(CHECKPOINT, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_can_read_the_arrays_under_telling_names(tmp_path):
    save({"model": {"0.weight": tensor([1., 2.])}, "steps": np.arange(2)}, tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as file:
        assert file["model.0.weight"].tolist() == [1, 2] and file["steps"].tolist() == [0, 1]
        assert json.loads(file["minigrad.json"])["format"] == "minigrad"


def test_hostile_keys_collide_with_nothing_and_leave_the_archive():
    obj = {key: np.array(i) for i, key in enumerate(
        ["a b", "a_b", "a/b", "a.b", "../../x", "/etc", "..", "", "x" * 500, "x" * 501, "minigrad",
         "\u2202", "\u2207", 1, "1", "A.B"])}
    assert same(obj, through(obj))
    buffer = io.BytesIO()
    save(obj, buffer)
    for name in zipfile.ZipFile(buffer).namelist():
        assert "/" not in name and not name.startswith(".") and len(name) < 120


def test_the_path_is_used_exactly_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("model", "model.ckpt", b"bytes"):
        save(1, name)
    assert sorted(os.listdir()) == ["bytes", "model", "model.ckpt"]
    assert load("model.ckpt") == 1 and load(b"bytes") == 1


# --- what cannot be saved ------------------------------------------------------------------------

class Linear:
    def state_dict(self):
        return {}


cycle = []
cycle.append({"again": cycle})


@pytest.mark.parametrize("obj, error, message", [
    ({"model": Linear()}, TypeError, r"obj\['model'\] is a Linear; save its state_dict\(\)"),
    ([1, {2: (0, {3})}], TypeError, r"obj\[1\]\[2\]\[1\] is a set; save it as a list"),
    (np.array([1, None]), TypeError, r"obj is an array of dtype object"),
    ({"f": len}, TypeError, r"obj\['f'\] is a builtin_function_or_method len; code is never"),
    ({"f": Linear}, TypeError, r"obj\['f'\] is a type Linear; code is never saved"),
    ({"z": 1j}, TypeError, r"obj\['z'\] is a complex; save dicts"),
    ({"b": b"x"}, TypeError, r"obj\['b'\] is a bytes"),
    ({"m": np.ma.masked_array([1], [1])}, TypeError, r"obj\['m'\] is a MaskedArray; save numpy"),
    ({frozenset(): 1}, TypeError, r"obj has a key of type frozenset"),
    ({np.int64(1): 1}, TypeError, r"obj has a key of type int64"),
    (cycle, ValueError, r"nested more than 100 levels deep; does it contain itself"),
    ({"t": "\ud800"}, ValueError, r"obj\['t'\] is text that is not valid Unicode"),
])
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path, obj, error, message):
    path = tmp_path / "old.npz"
    save("old", path)
    with pytest.raises(error, match=message):
        save(obj, path)
    assert load(path) == "old" and os.listdir(tmp_path) == ["old.npz"]


# --- writing -------------------------------------------------------------------------------------

def test_a_missing_folder_is_named_with_the_cure(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot save.*there is no folder .*create it"):
        save(1, tmp_path / "no" / "m.npz")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(OSError, match="give the name of a file in it"):
        save(1, tmp_path)
    with pytest.raises(OSError):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_write_protection_is_respected(tmp_path):
    path = tmp_path / "m.npz"
    save("old", path)
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="cannot save"):
        save("new", path)
    tmp_path.chmod(0o555)
    with pytest.raises(PermissionError, match="choose a folder you can write to"):
        save("new", tmp_path / "other.npz")
    tmp_path.chmod(0o755)
    assert load(path) == "old" and os.listdir(tmp_path) == ["m.npz"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing, error):
    path = tmp_path / "m.npz"
    save("old", path)

    def fail(*args):
        raise error
    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(type(error)) as caught:
            save("new", path)
    if isinstance(error, OSError):
        assert "cannot save: No space left on device" in str(caught.value)
        assert caught.value.errno == 28
    assert load(path) == "old" and os.listdir(tmp_path) == ["m.npz"]


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_mode_and_links_of_the_old_file_stay(tmp_path):
    path, link = tmp_path / "m.npz", tmp_path / "latest"
    save("old", path)
    path.chmod(0o640)
    link.symlink_to(path)
    save("new", link)
    assert link.is_symlink() and load(path) == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    save("device", os.devnull)
    assert not os.path.isfile(os.devnull)


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    save(1, tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


# --- files that are refused ----------------------------------------------------------------------

def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "m.npz"
    save(CHECKPOINT, path)
    whole = path.read_bytes()
    cuts = {*range(0, len(whole), 100), 1, 2, 3, 4, len(whole) - 1, len(whole) - 22}
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(FileFormatError, match="m.npz"):
            load(path)


def test_a_damaged_byte_is_refused_or_harmless():
    buffer = io.BytesIO()
    save({"w": np.arange(4.), "n": [1, 2.5, "t"]}, buffer)
    whole = buffer.getvalue()
    refused = 0
    for i in range(len(whole)):
        for flip in (0x01, 0xff):
            spoilt = bytearray(whole)
            spoilt[i] ^= flip
            try:
                back = load(io.BytesIO(bytes(spoilt)))
            except FileFormatError:
                refused += 1
            else:  # a date or another field that nothing depends on
                assert same({"w": np.arange(4.), "n": [1, 2.5, "t"]}, back)
    assert refused > len(whole)


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, weight=np.ones(2), bias=np.ones(1))
    return buffer.getvalue()


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def head(structure, version=1):
    return json.dumps({"format": "minigrad", "version": version, "structure": structure})


@pytest.mark.parametrize("content, message", [
    (b"", "is empty"),
    (b"PK", "is damaged or cut short"),
    (np.random.default_rng(0).bytes(2000), "is not a file written by minigrad.save"),
    (b"a,b\n1,2\n", "is not a file written by minigrad.save"),
    (pickle.dumps({"a": Bomb()}), "is a pickle"),
    (npy(np.ones(3)), "is a single NumPy array"),
    (npz(), r"is a plain NumPy archive.*weight, bias.*numpy.load"),
    (archive(model__data_pkl=b"\x80", model__version=b"3"), "is a PyTorch file"),
    (archive(readme_txt=b"hi"), "is a zip archive"),
    (b"\x89HDF\r\n", "is an HDF5 file"),
    (archive(minigrad_json=b"{"), "is damaged"),
    (archive(minigrad_json=b"[1]"), "is damaged"),
    (archive(minigrad_json=b"[" * 100000), "is damaged"),
    (archive(minigrad_json=b"{}"), "is damaged"),
    (archive(minigrad_json=head(1, version=2)), "format version 2, this minigrad reads up to 1"),
    (archive(minigrad_json=head({"array": "w"})), "is damaged"),
    (archive(minigrad_json=head({"code": "w"}), w_npy=npy(np.ones(1))), "is damaged"),
    (archive(minigrad_json=head({"dict": [[[1], 2]]})), "is damaged"),
    (archive(minigrad_json=head({})), "is damaged"),
    (archive(minigrad_json=head({"array": "w"}),
             w_npy=npy(np.array([Bomb()]), allow_pickle=True)), "is damaged"),
    (archive(minigrad_json=head({"tensor": "w", "requires_grad": True}), w_npy=npy(np.arange(2))),
     "is damaged"),
])
def test_a_foreign_file_is_refused_and_told_what_it_is(tmp_path, content, message):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__ or (
        caught.value.__context__ is None)


def test_a_missing_file_and_a_text_file_object_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.npz"):
        load(tmp_path / "nothing.npz")
    with pytest.raises(TypeError, match="binary mode"):
        load(io.StringIO("text"))


def test_a_pytorch_file_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        torch.save({"w": torch.ones(2)}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        with pytest.raises(FileFormatError, match="PyTorch file|is a pickle"):
            load(tmp_path / "m.pt")
