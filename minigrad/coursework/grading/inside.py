"""The program inside the sandbox: it runs a submission and answers with numbers, never with points.

The one trick: this text is handed to `python -I -B -c`, so that nothing of minigrad, of the
assignment or of the reference is loaded in the process where a student's code may do as it likes.
It can forge every answer; but only the right numbers are worth points, and these are not here.

In: one JSON object on stdin. Out: a line of JSON per probe, on what was stdout. Two fences keep
files out of reach. An audit hook, which cannot be taken off again, forbids by name and says what;
but NumPy reads and writes any memory of its process for those who know how, the hook's as well. So
on Linux the kernel is asked, too (Landlock, from 5.13 on): it does not forget.
"""

import importlib.abc
import importlib.machinery
import json
import os
import struct
import sys
import traceback
import types


class Powerless(types.ModuleType):
    """Stands in for a module that starts processes: it can be imported, and does nothing."""

    def fork_exec(self, *args):
        raise PermissionError("a submission may not start processes")


LOW = frozenset("""_posixsubprocess ctypes _ctypes _testcapi _testinternalcapi _sqlite3
    _remote_debugging""".split())  # modules below all audit events
sys.modules.update(dict.fromkeys(LOW))  # None: they cannot be imported, not by NumPy either
sys.modules["_posixsubprocess"] = Powerless("_posixsubprocess")  # numpy.testing wants subprocess

import numpy as np  # noqa: E402

LARGEST = 200_000   # numbers in one quantity
LINE = 300          # letters of an error message
NOBODY = 65534      # the user that owns no file
DRAWING = frozenset(("matplotlib", "mpl_toolkits", "seaborn", "plotly", "IPython", "graphviz"))
FORBIDDEN = frozenset("""
    subprocess.Popen os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile
    os.kill os.killpg signal.pthread_kill os.chdir os.fchdir os.symlink os.link os.rename os.remove
    os.rmdir os.chmod os.chown os.lchown os.truncate pty.spawn gc.get_objects
    gc.get_referrers gc.get_referents resource.setrlimit resource.prlimit mmap.__new__
    shutil.move shutil.rmtree sys.addaudithook sys.remote_exec
    cpython.PyInterpreterState_New _posixsubprocess.fork_exec""".split())


class Silent(types.ModuleType):
    """Stands in for a module that draws: all that is asked of it is itself, and does nothing."""

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __iter__(self):
        return iter((self, self))  # figure, axes = plt.subplots()

    def __getitem__(self, key):
        return self

    def __setitem__(self, key, value):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class OnlyNumpy(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Says politely that a module is not there; the hook says it less politely. What draws is not
    there either, but it is not missed."""

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in DRAWING:
            return importlib.machinery.ModuleSpec(name, self)
        if (root != "numpy" and root not in sys.stdlib_module_names
                and not root.startswith("_sysconfigdata")):
            raise ImportError(f"no module {root!r} here: there are numpy and the standard library")

    def create_module(self, spec):
        return Silent(spec.name)

    def exec_module(self, module):
        pass


def limit(seconds, megabytes):
    """The limits of the operating system, where there are any (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (("RLIMIT_AS", megabytes << 20), ("RLIMIT_CPU", seconds),
                       ("RLIMIT_FSIZE", 1 << 20), ("RLIMIT_CORE", 0),
                       ("RLIMIT_NPROC", 0)):
        try:
            resource.setrlimit(getattr(resource, kind), (most, most))
        except (AttributeError, ValueError, OSError):
            pass  # some systems know no such limit; the grader's clock still runs


def libraries():
    """The folders of the standard library."""
    version = "python{}.{}".format(*sys.version_info)
    return {os.path.dirname(os.__file__), os.path.dirname(os.path.realpath(os.__file__)),
            os.path.join(sys.base_exec_prefix, sys.platlibdir, version)}


def landlock(here, system=("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")):
    """Asks the kernel to let this process read the standard library, NumPy and what they are linked
    with, and write into the folder `here`; and nothing else, whatever becomes of the audit hook.

    No package but NumPy is readable: minigrad has the right formulas. An older kernel, and one that
    is not Linux, changes nothing. The layout of the three calls is that of linux/landlock.h.
    """
    if not sys.platform.startswith("linux"):
        return
    for name in ("ctypes", "_ctypes"):
        del sys.modules[name]
    import ctypes
    sys.modules.update(dict.fromkeys(("ctypes", "_ctypes")))
    libc = ctypes.CDLL(None)
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    read, every = 0b101, 0b1_1111_1111_0111 | (version >= 3) << 14  # execute too; not: list names
    network, signals = 3 * (version >= 4), 3 * (version >= 6)
    rules = libc.syscall(444, struct.pack("=QQQ", every, network, signals), ctypes.c_size_t(24), 0)
    above = os.path.dirname(np.__file__)
    open_to = {above: read, above + ".libs": read, os.devnull: 0b111, "/dev/urandom": read,
               here: every}
    for folder in (*system, os.path.join(sys.base_exec_prefix, "lib"), *libraries()):
        if os.path.isdir(folder):
            open_to.update((os.path.join(folder, name), read) for name in os.listdir(folder)
                           if not name.startswith("python") and not name.endswith("-packages"))
    for path, rights in open_to.items():
        try:
            file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rights = rights if os.path.isdir(path) else rights & 0b111
        libc.syscall(445, rules, 1, struct.pack("=Qi", rights, file), 0)
        os.close(file)
    none = ctypes.c_ulong(0)
    libc.prctl(38, ctypes.c_ulong(1), none, none, none)  # no new privileges: a condition
    libc.syscall(446, rules, 0)
    os.close(rules)


def fence(private):
    """Sets up the audit hook. All it needs is bound here: names could be changed by a student."""
    slash, here = os.sep, os.getcwd() + os.sep
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    allowed = permit(private, here)

    def refuse(what, error=PermissionError):
        raise error("a submission may not do this: " + what[:200])

    def hook(event, args, type=type, str=str, bytes=bytes, int=int, len=len,
             forbidden=FORBIDDEN, low=LOW, missing=ImportError):
        if event in ("open", "os.mkdir"):
            path = args[0]
            if type(path) is bytes:
                path = path.decode("utf-8", "replace")
            if type(path) is int or path is None:
                return
            if type(path) is not str:
                refuse("open what is no path")
            if not path.startswith(slash) and path[1:2] != ":":
                path = here + path
            flags = args[2] if event == "open" else writing
            if not allowed(path, type(flags) is not int or flags & writing):
                refuse(event + " " + path)
        elif event == "import":
            if args[0].rpartition(".")[2] in low:
                refuse("import " + args[0], missing)
            if len(args) > 1 and type(args[1]) is str and args[1].startswith(here):
                refuse("import machine code, " + args[1])
        elif event in forbidden or event.startswith(("socket.", "ctypes.", "sqlite3.")):
            refuse(event)

    sys.addaudithook(hook)


def permit(private, here):
    """The function that says whether a path may be opened (changes: written, too): plain files of
    the folder `here`, and of the standard library and NumPy, but of no other package."""
    slash = os.sep
    ours = tuple(root.rstrip(slash) + slash for root in private)
    numpy = os.path.dirname(np.__file__) + slash
    readable = (numpy, *(root + slash for root in libraries()))

    def is_file(path, look, errors=OSError):  # or about to be one; no folder, no link, no device
        try:
            return look(path).st_mode & 0o170000 == 0o100000
        except errors:
            return True

    def allowed(path, changes, stat=os.stat, lstat=os.lstat):
        if ".." in path.split(slash) or path.startswith(ours):
            return False
        if path in ("/dev/null", "/dev/urandom"):
            return True
        if path.startswith(here):
            return is_file(path, lstat)
        if "-packages" in path.lower() and not path.startswith(numpy):
            return False
        return path.startswith(readable) and not changes and is_file(path, stat)

    return allowed


def numbers(value):
    """A quantity as JSON: its shape and its numbers, or why it is none."""
    if value is None:
        return {"problem": "is None"}
    if isinstance(value, str):
        return {"problem": value[:LINE]}
    try:
        if np.iscomplexobj(value):
            return {"problem": "has complex numbers"}
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return {"problem": f"is a {type(value).__name__}, not numbers"}
    if array.size > LARGEST:
        return {"problem": f"has {array.size} numbers"}
    return {"shape": list(array.shape), "numbers": array.ravel().tolist(),
            "single": getattr(sample(value), "dtype", None) in (np.float32, np.float16)}


def sample(value):
    """The first entry of nested lists."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value


def failure(error, name):
    """An exception as JSON: what it is, what it says, and in which line of the submission."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == name]
    if isinstance(error, SyntaxError) and error.filename == name:
        lines.append(error.lineno)
    try:
        kind, text = str(type(error).__name__), str(error)
    except BaseException:
        kind, text = "error", ""  # a class may be made to fail even here
    return {"type": kind, "text": " ".join(text.split())[:LINE],
            "line": lines[-1] if lines else None}


def loaded(source, name):
    """(the module that a submission is, the first failure on the way or None).

    source: a text, or the texts of a notebook's cells. What fails does not undo what stands above
    it: it may be a drawing, a try-out, or an exit() at the end. In a notebook, what is below runs.
    """
    module = types.ModuleType(name)
    module.__file__ = os.path.join(os.getcwd(), name + ".py")
    sys.modules[name] = module
    first = None
    for number, cell in enumerate([source] if isinstance(source, str) else source, 1):
        try:
            exec(compile(cell, name + ".py", "exec", dont_inherit=True), vars(module))
        except BaseException as error:
            what = failure(error, name + ".py")
            if cell is not source:
                what.update(text=f"{what['text']} (in cell {number})", line=None)
            first = first or what
    return module, first


def answers(request):
    """Yields what is to be said about each source and each probe."""
    data = {name: np.asarray(values) for name, values in request["data"].items()}
    for index, source in enumerate(request["sources"]):
        module, problem = loaded(source, "submission")
        yield {"source": index}
        for probe in request["probes"]:
            name, given = probe["name"], probe["given"]
            space = {"DATA": data, "np": np}
            answer = {"source": index, "probe": name}
            try:
                exec(compile(request["texts"][probe["text"]], "probes.py", "exec",
                             dont_inherit=True), space)
                if given is None:
                    given = np.random.default_rng([request["seed"], *name.encode()])
                values = space[probe["call"]](module, given)
                answer["values"] = {key: numbers(value) for key, value in values.items()}
            except BaseException as error:
                absent = isinstance(error, AttributeError) and error.obj is module
                answer["failure"] = (absent and problem) or failure(error, "submission.py")
            yield answer


def nobody(folder):
    """Becomes the user who owns nothing, if this is root: so that the assignment's files, the
    grader's memory and its processes are out of reach for the operating system, too."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return
    try:
        os.chown(folder, NOBODY, NOBODY)
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        readable = all(os.access(file, os.R_OK, effective_ids=True)
                       for file in (os.__file__, np.__file__, np.linalg.__file__))
        os.seteuid(0)
        os.setegid(0)
        if readable:
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    except (OSError, NotImplementedError, AttributeError):
        pass  # the audit hook stands all the same


def main():
    channel, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    np.seterr(all="ignore")
    np.random.default_rng(0).standard_normal(2)  # loaded before the fence is up
    sys.meta_path.insert(0, OnlyNumpy())
    nobody(os.getcwd())
    landlock(os.getcwd())
    limit(request["seconds"], request["megabytes"])
    fence(request["private"])
    write, dumps, leave = os.write, json.dumps, os._exit
    for answer in answers(request):
        line = (dumps(answer) + "\n").encode()
        while line:
            line = line[write(channel, line):]
    leave(0)


if __name__ == "__main__":
    main()
