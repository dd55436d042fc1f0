"""Change the import and go on: programs written for PyTorch, run on minigrad, print the same.

Each file of tests/lessons is a program as lessons have them, with `import torch`. It runs with only
its import lines changed, and what it prints is compared with what PyTorch printed (NAME.txt beside
it, which needs no PyTorch) and, where PyTorch is installed, with what it prints now: words exactly,
numbers to 1e-9 (or to the digits printed). What is drawn at random is not printed.

`python tests/test_lessons.py` writes the stored outputs anew, with PyTorch.
"""

import contextlib
import importlib
import io
import math
import os
import pathlib
import re
import tempfile
import warnings

import pytest

LESSONS = pathlib.Path(__file__).parent / "lessons"
NAMES = sorted(path.stem for path in LESSONS.glob("*.py"))
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)")
IMPORTS = ((r"^import torch$", "import minigrad as torch"),
           (r"^import torch\.", "import minigrad."),
           (r"^from torch\b", "from minigrad"))


def source(name, library):
    """The program, with its imports changed for minigrad."""
    text = (LESSONS / f"{name}.py").read_text(encoding="utf-8")
    for pattern, replacement in IMPORTS if library == "minigrad" else ():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def printed(name, library):
    """What the program prints; warnings are errors."""
    module = importlib.import_module(library)
    before, output, place = module.get_default_dtype(), io.StringIO(), os.getcwd()
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings():
            warnings.filterwarnings("error", category=UserWarning)
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                try:
                    exec(compile(source(name, library), name, "exec"), {"__name__": "__main__"})
                finally:
                    os.chdir(place)
    finally:
        module.set_default_dtype(before)
    return alike(output.getvalue())


def alike(text):
    """The output without what differs on purpose: tensors have names here, dtypes are NumPy's and
    shapes are tuples."""
    for pattern, replacement in (
            (r",\s+name='[^']*'", ""), (r"\btorch\.(float|int)", r"\1"),
            (r"torch\.Size\(\[(\d+)\]\)", r"(\1,)"), (r"torch\.Size\(\[([\d, ]*)\]\)", r"(\1)")):
        text = re.sub(pattern, replacement, text)
    return text


def assert_same(ours, theirs):
    """Words equal, numbers equal to 1e-9, the last digit of rounded ones may differ by one."""
    assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs)
    for mine, other in zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True):
        decimals = len(other.partition(".")[2])
        rounding = 1.01 * 10.0**-decimals if 0 < decimals <= 12 and "e" not in other else 0
        assert mine == other or math.isclose(float(mine), float(other), rel_tol=1e-9,
                                             abs_tol=rounding), f"{mine} != {other}"


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_prints_what_pytorch_printed(name):
    stored = (LESSONS / f"{name}.txt").read_text(encoding="utf-8")
    assert_same(printed(name, "minigrad"), stored)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_prints_what_pytorch_prints(name):
    pytest.importorskip("torch")
    assert_same(printed(name, "minigrad"), printed(name, "torch"))


def test_there_are_enough_lessons_and_only_imports_are_changed():
    assert len(NAMES) >= 12
    for name in NAMES:
        pairs = zip(source(name, "torch").splitlines(), source(name, "minigrad").splitlines())
        assert {a.split()[0] for a, b in pairs if a != b} <= {"import", "from"}


if __name__ == "__main__":
    for lesson in NAMES:
        (LESSONS / f"{lesson}.txt").write_text(printed(lesson, "torch"), encoding="utf-8")
