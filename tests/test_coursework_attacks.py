"""What a submission may try, and what it gets for it: nothing that its numbers do not earn."""

import ctypes
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from coursework_answers import OPTIMIZERS

from minigrad.cli import main
from minigrad.coursework.grading import sandbox
from minigrad.coursework.grading.grader import Grader

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "examples", "assignments", "optimizers")
ZEROS = OPTIMIZERS.replace("return ", "return w * 0, {}\n    return ")  # every function is wrong


@pytest.fixture(scope="module")
def grader():
    grader = Grader(FOLDER)
    sandbox.STARTING, before = 0.7, sandbox.STARTING
    object.__setattr__(grader.assignment, "limits", sandbox.Limits(0.6, 12, 512))
    yield grader
    sandbox.STARTING = before


@pytest.fixture
def score(grader, tmp_path):
    def of(text, named=False):
        path = tmp_path / "submission.py"
        path.write_text(textwrap.dedent(text))
        return grader.grade(str(path), named=named)
    return of


ATTACKS = {
    "prints points": 'print(\'{"score": 100}\')',
    "says it answered": """
        import json, os
        for fd in range(3, 20):
            for probe in ("sgd", "adam", "adamw"):
                line = json.dumps({"source": 0, "probe": probe, "values": {"w": {
                    "shape": [7, 2, 3], "numbers": [0.0] * 42}}})
                try: os.write(fd, (line + "\\n").encode())
                except OSError: pass""",
    "writes rubbish": """
        import os
        for fd in range(3, 20):
            try: os.write(fd, b'{"source": 0, "values": [[[\\xff\\n[]\\n{}\\nnull\\n')
            except OSError: pass""",
    "patches numpy": """
        import numpy as np
        for name in ("allclose", "array_equal", "isclose"):
            setattr(np, name, lambda *a, **k: True)
        np.asarray = np.array = lambda x, *a, **k: 0.0
        np.testing.assert_allclose = lambda *a, **k: None""",
    "patches the language": """
        import builtins, json
        builtins.abs = builtins.sum = lambda *a: 0
        json.dumps = lambda *a, **k: '{"score": 99}'
        builtins.isinstance = builtins.type = lambda *a: True""",
    "always equal": """
        import numpy as np
        class Same(np.ndarray):
            def __eq__(self, other): return True
            def __sub__(self, other): return np.zeros(1)
            def __array__(self, *a, **k): return np.zeros((2, 3))
        zero = np.zeros((2, 3)).view(Same)""",
    "reads the solution": f"exec(open({os.path.join(FOLDER, 'solution.py')!r}).read())",
    "reads by os.open": f"""
        import os
        exec(os.read(os.open({os.path.join(FOLDER, 'solution.py')!r}, os.O_RDONLY), 10**5))""",
    "reads beside /usr": f"exec(open('/usr/lib/../..{FOLDER}/solution.py').read())",
    "reads through numpy": f"""
        import numpy as np
        exec(bytes(np.fromfile({os.path.join(FOLDER, 'solution.py')!r}, dtype=np.uint8)))""",
    "reads with a false path": f"""
        class Path(str):
            def startswith(self, *a): return True
        exec(open(Path({os.path.join(FOLDER, 'solution.py')!r})).read())""",
    "imports the solution": f"""
        import sys
        sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != "OnlyNumpy"]
        sys.path.insert(0, {FOLDER!r})
        from solution import *""",
    "imports minigrad": f"""
        import sys
        sys.meta_path = [f for f in sys.meta_path if type(f).__name__ != "OnlyNumpy"]
        sys.path.insert(0, {ROOT!r})
        import minigrad.optim.rules""",
    "reads the grader's memory": """
        import os
        open(f"/proc/{os.getppid()}/mem", "rb").read(10)""",
    "links": f"""
        import os
        os.symlink({os.path.join(FOLDER, 'solution.py')!r}, "here.py")
        exec(open("here.py").read())""",
    "runs a program": "import subprocess; subprocess.run(['cat', '/etc/passwd'])",
    "forks": "import os\nos.fork()",
    "kills its parent": "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
    "opens a socket": "import socket; socket.socket().connect(('127.0.0.1', 9))",
    "finds the fence": "import gc; gc.get_objects()",
    "raises its limits": """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))""",
    "calls C": "import ctypes; ctypes.CDLL(None).system(b'true')",
    "writes elsewhere": f"open({os.path.join(FOLDER, 'x')!r}, 'w').write('x')",
    "exits": "import sys; sys.exit(0)",
    "exits at once": "import os; os._exit(0)",
    "stops with an exception of its own": """
        class Strange(BaseException):
            def __str__(self): raise SystemExit
        raise Strange""",
    "much memory": "x = 'x' * 10**10",
    "deep recursion": "def f(): f()\nf()",
    "writes without end": """
        import os
        while True: os.write(3, b'x' * 10**6)""",
    "loops": "while True: pass",
    "numbers beyond all floats": """
        import os
        for fd in range(3, 20):
            for probe in ("sgd", "momentum", "adam"):
                try: os.write(fd, (b'{"source": 0}\\n{"source": 0, "probe": "%s", "values": {"w": '
                    b'{"shape": [1], "numbers": [1%s]}}}\\n') % (probe.encode(), b"0" * 400))
                except OSError: pass""",
    "runs a program below subprocess": """
        import os, sys
        del sys.modules["_posixsubprocess"]
        import _posixsubprocess
        r, w = os.pipe()
        _posixsubprocess.fork_exec([b"/bin/cat"], [b"/bin/cat"], True, (w,), None, None, -1, -1,
            -1, -1, -1, -1, r, w, False, False, -1, None, None, None, -1, None, False)""",
    "makes a device": """
        import os, stat
        os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(8, 0))
        open("disk", "rb").read(10)""",
    "waits for the end": """
        import atexit, json, os, threading, time
        def forge():
            for fd in range(3, 20):
                try: os.write(fd, b'{"source": 0, "score": 99}\\n')
                except OSError: pass
        atexit.register(forge)
        threading.Thread(target=lambda: (time.sleep(0.2), forge()), daemon=False).start()
        class Last:
            def __del__(self): forge()
        last = Last()""",
    "traces the driver": """
        import sys
        def spy(frame, event, arg):
            for name in list(frame.f_locals):
                if name in ("expected", "right", "solution"): frame.f_locals[name] = 0
            return spy
        sys.settrace(spy)
        sys.setprofile(lambda *a: None)""",
    "looks at frames": """
        import sys
        frame, found = sys._getframe(), {}
        while frame:
            found.update(frame.f_globals, **frame.f_locals)
            frame = frame.f_back
        for name in ("reference", "expected", "solution", "points"):
            if name in found: sgd = found[name]""",
    "looks at its environment": """
        import os, sys
        for value in (*os.environ.values(), *sys.argv, *sys.modules):
            if "solution" in value or "minigrad" in value: exec(open(value).read())
        open("/proc/self/environ").read(), open("/proc/self/cmdline").read()""",
    "signals": """
        import os, signal
        for number in range(1, 60):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        signal.raise_signal(signal.SIGKILL)""",
    "writes many files": """
        for i in range(10 ** 4): open(f"f{i}", "wb").write(b"x" * 10 ** 7)""",
    "guesses its seed": """
        import numpy as np
        np.random.default_rng = lambda *a: np.random.Generator(np.random.PCG64(0))
        np.random.seed(0)""",
    "an answer as deep as a well": """
        import os
        for fd in range(3, 20):
            try: os.write(fd, b"[" * 10**5 + b"\\n")
            except OSError: pass""",
    "a class that lies": """
        import numpy as np
        class Right(float):
            __array_priority__ = 1e9
            def __float__(self): raise SystemExit
            def __array__(self, *a, **k): raise MemoryError
        def sgd(w, g, config): return Right(), config""",
    "finds C where NumPy had it": """
        import numpy as np, sys
        ctypes = np._core._internal.ctypes or sys.modules["ctypes"]
        ctypes.CDLL(None).system(b"true")""",
    "loads C under another name": """
        import _imp, importlib.machinery as m, os, sys
        del sys.modules["_ctypes"]
        for folder in filter(os.path.isdir, sys.path):
            for name in os.listdir(folder):
                if name.startswith("_ctypes."):
                    _imp.create_dynamic(m.ModuleSpec("x._ctypes", None, origin=folder + "/" + name))
                    sgd = 1 / 0""",
    "writes over its fence": f"""
        import sys, types
        import numpy as np
        class Memory:
            def __init__(self, at, size):
                self.__array_interface__ = dict(data=(at, False), shape=(size,), typestr="|u1",
                                                version=3)
        code = next(one for one in sys.modules["__main__"].fence.__code__.co_consts
                    if isinstance(one, types.CodeType) and one.co_name == "hook")
        nothing = np.frombuffer((lambda: None).__code__.co_code, np.uint8)
        memory = bytes(np.asarray(Memory(id(code), 600)))
        at = max(memory.find(code.co_code[:size]) for size in (2, 4, 6))
        np.asarray(Memory(id(code) + at, len(nothing)))[:] = nothing
        exec(open({os.path.join(FOLDER, 'solution.py')!r}).read())""",
}


@pytest.fixture(scope="module")
def attacked(grader, tmp_path_factory):
    """{name: Grade} of all attacks: two at a time, as most of their time is the start of Python."""
    folder = tmp_path_factory.mktemp("attacks")

    def grade(name):
        path = folder / f"{list(ATTACKS).index(name)}.py"
        path.write_text(ZEROS + "\n" + textwrap.dedent(ATTACKS[name]))  # what it gets comes last
        return grader.grade(str(path), named=False)
    with ThreadPoolExecutor(2) as threads:
        return dict(zip(ATTACKS, threads.map(grade, ATTACKS)))


def has_landlock():
    """Is there a kernel that forbids, whatever is written into the memory of the process?"""
    return (sys.platform == "linux"
            and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) > 0)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_nothing(name, attacked):
    if name == "writes over its fence" and not has_landlock():
        pytest.skip("only the kernel can keep memory from being written")
    assert attacked[name].score == 0
    assert not os.path.exists(os.path.join(FOLDER, "x"))


def test_what_writes_over_its_fence_is_stopped_by_the_kernel(score):
    if sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)) or not has_landlock():
        pytest.skip("needs Landlock, and the layout of code that the attack knows")
    failure = score(ATTACKS["writes over its fence"]).checks[0].failure
    assert "Errno 13" in failure and "may not do this" not in failure


def test_what_runs_as_nobody_cannot_read_what_only_root_may(tmp_path):
    if os.geteuid():
        pytest.skip("only root can become nobody")
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)
    text = ("import os\ndef who(student, rng):\n    return {'uid': os.getuid(), 'may': "
            f"os.access({str(secret)!r}, os.R_OK)}}\n")
    probe = sandbox.Probe("who", text, "who")
    found, = sandbox.run([""], [probe])
    if found["who"].values["uid"] == 0:
        pytest.skip("this Python itself is where only root may read")
    assert found["who"].values == {"uid": 65534, "may": 0}


def test_results_are_there_when_the_grader_is_stopped(tmp_path):
    (tmp_path / "s.py").write_text("import time\ntime.sleep(60)")
    command = [sys.executable, "-m", "minigrad", "grade", FOLDER, "s.py", "-o", "deep/results.json"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT},
                               stderr=subprocess.PIPE)
    out = tmp_path / "deep" / "results.json"
    while not out.exists():
        time.sleep(0.05)
    time.sleep(0.3)
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert json.loads(out.read_text())["score"] == 0 and "stopped" in out.read_text()


@pytest.mark.parametrize("pair", [("nowhere.toml", "s.py"), (FOLDER, "nowhere.py")])
def test_results_are_there_for_what_is_not(pair, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["grade", *pair, "-o", "r.json"]) == 1
    told = capfd.readouterr().err
    assert "nowhere" in told and "Traceback" not in told
    assert "nowhere" in json.loads((tmp_path / "r.json").read_text())["output"]
    assert main(["grade", *pair, "--nbgrader"]) == 1
    assert capfd.readouterr() == ("0.0\n", "")


def test_what_it_tried_is_said(score):
    found = score("import os\nos.fork()\n" + OPTIMIZERS)
    assert "os.fork" in found.checks[0].failure
    assert "_posixsubprocess" in score("import sys\ndel sys.modules['_posixsubprocess']\n"
                                      "import _posixsubprocess").checks[0].failure
    device = score(ATTACKS["makes a device"].replace("\n        ", "\n")).checks[0].failure
    assert "disk" in device or "not permitted" in device  # by the hook, or to nobody
    assert "ended the process" in score("import os; os._exit(0)").checks[0].failure
    assert "not UTF-8" not in score("x = 'ü'\n" + OPTIMIZERS).checks[0].failure


HABITS = {
    "above": """
        from __future__ import annotations
        import collections, dataclasses, functools, math, multiprocessing, os, random, subprocess
        import typing, unittest, warnings
        import matplotlib.pyplot as plt, seaborn
        from IPython.display import display
        import numpy.linalg
        os.environ["OMP_NUM_THREADS"] = "1"
        print("hello", os.path.dirname(__file__))
        warnings.warn("a warning")
        @dataclasses.dataclass
        class Options:
            lr: float = 0.1
        fig, ax = plt.subplots(figsize=(3, 4))
        ax.plot([1], [2])
        plt.rcParams["font.size"] = 3
        try:
            from .utils import helper
            import torch
        except ImportError:
            torch = None
        if __name__ == "__main__":
            raise SystemExit
        """,
    "below": """
        np.testing.assert_allclose(1.0, 1.0)
        from numpy import *
        import doctest, os
        os.makedirs("plots", exist_ok=True)
        np.save("plots/w.npy", np.ones(3))
        assert np.load("plots/w.npy").sum() == 3
        doctest.testmod()
        """,
    "exit": "raise SystemExit(0)", "failure": "print(undefined)", "file": "open('/home/me/x.csv')",
}


@pytest.mark.parametrize("name", HABITS)
def test_harmless_habits_cost_nothing(name, score):
    habit = textwrap.dedent(HABITS[name])
    found = score(habit + OPTIMIZERS if name == "above" else OPTIMIZERS + "\n" + habit)
    assert found.score == found.most


def test_ends_of_lines_marks_and_tabs_cost_nothing(grader, tmp_path):
    path = tmp_path / "submission.py"
    for text in (OPTIMIZERS.replace("\n", "\r\n"), "\ufeff" + OPTIMIZERS,
                 OPTIMIZERS.replace("    ", "\t").replace("\n", "\r")):
        path.write_bytes(text.encode())
        assert grader.grade(str(path)).score == 32


@pytest.mark.parametrize("text, words", [
    ("import torch\n", "no module 'torch' here.*line 1"),
    ("x = 1\ny = 1 / 0\n", "ZeroDivisionError.*line 2"), ("def f(:\n", "SyntaxError.*line 1"),
    ("open('/etc/x')\n", "open /etc/x .line 1"), ("x = 1\n", "no attribute 'sgd'"),
])
def test_what_keeps_a_file_from_loading_is_said_with_its_line(text, words, score):
    assert re.search(words, score(text).checks[0].failure)


def test_an_endless_loop_in_one_function_costs_only_its_points(score):
    found = score(OPTIMIZERS.replace("def sgd(w, g, config):",
                                     "def sgd(w, g, config):\n    while True: pass"))
    assert found.score == found.most - 2
    assert "not done after 0.6 s" in found.checks[0].failure


def test_an_exit_in_one_function_costs_only_its_points(score):
    found = score("import os\n" + OPTIMIZERS.replace("def sgd(w, g, config):",
                                                     "def sgd(w, g, config):\n    os._exit(0)"))
    assert found.score == found.most - 2


def test_a_link_to_the_solution_is_not_graded(grader, tmp_path):
    os.symlink(os.path.join(FOLDER, "solution.py"), tmp_path / "submission.py")
    found = grader.grade(str(tmp_path / "submission.py"))
    assert found.score == 0 and "link" in found.checks[0].failure


def test_a_pipe_is_not_waited_for(grader, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with a name here")
    os.mkfifo(tmp_path / "submission.py")
    found = grader.grade(str(tmp_path / "submission.py"))
    assert found.score == 0 and "no regular file" in found.checks[0].failure


def test_bytes_that_are_no_text_get_nothing(grader, tmp_path):
    path = tmp_path / "submission.py"
    for content in (b"\xff\xfe\x00", b"x = 1\0", b"", b"#" * (1 << 21)):
        path.write_bytes(content)
        assert grader.grade(str(path)).score == 0


HUGE = OPTIMIZERS + """
def adam(w, g, config):
    return w * 1e300 * 1e300, {"m": w * np.nan, "v": 1e300 * w, "t": 1}
adamw = adam
"""


@pytest.mark.parametrize("text, score", [("import os; os._exit(0)", 0), (OPTIMIZERS, 32),
                                         (HUGE, 18)])
def test_results_are_written_and_nbgrader_gets_a_number_and_silence(text, score, tmp_path, capfd,
                                                                    monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text(text)
    assert main(["grade", FOLDER, "s.py", "--nbgrader"]) == 0
    told = capfd.readouterr()
    assert (float(told.out), told.err) == (score, "") and os.listdir() == ["s.py"]
    assert main(["grade", FOLDER, "s.py"]) == 0
    result = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert result["score"] == score and capfd.readouterr().err == "wrote results.json\n"


def test_a_process_of_nbgrader_hears_a_number_and_nothing_else(tmp_path):
    (tmp_path / "s.py").write_text(HUGE)
    done = subprocess.run([sys.executable, "-W", "always", "-m", "minigrad", "grade", FOLDER,
                           "s.py", "--nbgrader"], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": ROOT})
    assert (float(done.stdout), done.stderr, done.returncode) == (18, "", 0)
