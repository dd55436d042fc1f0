"""The program inside the sandbox: it runs a submission and answers with numbers, never with points.

The one trick: this text is handed to `python -I -B -c`, so that nothing of minigrad, of the
assignment or of the reference is loaded in the process where a student's code may do as it likes.
It can forge every answer; but only the right numbers are worth points, and these are not here.

In: one JSON object on stdin. Out: a line of JSON per probe, on what was stdout. Around the
student's code stand limits of the operating system and an audit hook, which cannot be taken off
again: what it forbids (files elsewhere, processes, sockets, ...) ends the process.
"""

import importlib.abc
import json
import os
import sys
import traceback
import types

import numpy as np

LARGEST = 200_000   # numbers in one quantity
LINE = 300          # letters of an error message
NOBODY = 65534      # the user that owns no file
FORBIDDEN = frozenset("""
    subprocess.Popen os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile
    os.kill os.killpg signal.pthread_kill os.chdir os.fchdir os.symlink os.link os.rename os.remove
    os.rmdir os.chmod os.chown os.lchown os.truncate os.putenv pty.spawn gc.get_objects
    gc.get_referrers gc.get_referents resource.setrlimit resource.prlimit mmap.__new__
    ctypes.dlopen ctypes.dlsym ctypes.cdata ctypes.call_function ctypes.string_at
    ctypes.wstring_at shutil.move shutil.rmtree sys.addaudithook sys.remote_exec
    cpython.PyInterpreterState_New _posixsubprocess.fork_exec""".split())

LOW = frozenset(("_posixsubprocess", "_testcapi", "_testinternalcapi"))  # below all audit events


class OnlyNumpy(importlib.abc.MetaPathFinder):
    """Says politely that a module is not there; the hook says it less politely."""

    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if (root != "numpy" and root not in sys.stdlib_module_names
                and not root.startswith("_sysconfigdata")):
            raise ImportError(f"no module {root!r} here: there are numpy and the standard library")


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


def guards(channel):
    """Two functions for the hook, made here so that no name leads a student to them: refuse(what)
    ends the process and says why; regular(path): a file, or about to be made, no link, no device?
    """
    def refuse(what, write=os.write, leave=os._exit, dumps=json.dumps):
        write(channel, (dumps({"refused": what[:200]}) + "\n").encode())
        leave(3)

    def regular(path, lstat=os.lstat, errors=OSError):
        try:
            return lstat(path).st_mode & 0o170000 == 0o100000
        except errors:
            return True
    return refuse, regular


def fence(private, channel):
    """Sets up the audit hook. All it needs is bound here: names could be changed by a student."""
    slash = os.sep
    version = "python{}.{}".format(*sys.version_info)
    lib = {os.path.dirname(os.__file__), os.path.dirname(os.path.realpath(os.__file__)),
           os.path.join(sys.base_exec_prefix, sys.platlibdir, version)}
    ours = tuple(root.rstrip(slash) + slash for root in private)
    readable = tuple(root + slash for root in lib)
    numpy = os.path.dirname(np.__file__) + slash
    here = os.getcwd() + slash
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    refuse, regular = guards(channel)

    def hook(event, args, type=type, str=str, bytes=bytes, int=int, len=len,
             forbidden=FORBIDDEN, low=LOW):
        if event == "open":
            path, mode, flags = args
            if type(path) is bytes:
                path = path.decode("utf-8", "replace")
            if type(path) is int or path is None:
                return
            if type(path) is not str:
                refuse("open of something that is no path")
            if not path.startswith(slash) and path[1:2] != ":":
                path = here + path
            changes = type(flags) is int and flags & writing
            if ".." in path.split(slash) or path.startswith(ours):
                refuse("open " + path)
            if path in ("/dev/null", "/dev/urandom") or path.startswith(here) and regular(path):
                return
            if changes or not path.startswith((numpy, *readable)):
                refuse("open " + path)
            if "-packages" in path and not path.startswith(numpy):
                refuse("open " + path)
        elif event == "import":
            if args[0] in low:
                refuse("import " + args[0])
            if len(args) > 1 and type(args[1]) is str and args[1].startswith(here):
                refuse("import of machine code " + args[1])
        elif event in forbidden or event.startswith("socket."):
            refuse(event)

    sys.addaudithook(hook)


def numbers(value):
    """A quantity as JSON: its shape and its numbers, or why it is none."""
    if value is None:
        return {"problem": "is None"}
    if isinstance(value, str):
        return {"problem": value[:LINE]}
    try:
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
        text = str(error)
    except BaseException:
        text = ""
    return {"type": type(error).__name__, "text": " ".join(text.split())[:LINE],
            "line": lines[-1] if lines else None}


def loaded(source, name):
    """(the module that a submission is, what failed in a notebook's cells).

    source: a text, or the texts of a notebook's cells. A cell that fails does not keep the others
    from running: it may be the one that draws, or that tries out.
    """
    module = types.ModuleType(name)
    sys.modules[name] = module
    if isinstance(source, str):
        exec(compile(source, name + ".py", "exec", dont_inherit=True), vars(module))
        return module, ""
    problem = ""
    for number, cell in enumerate(source, 1):
        try:
            exec(compile(cell, name + ".py", "exec", dont_inherit=True), vars(module))
        except BaseException as error:
            what = failure(error, name + ".py")
            problem = problem or f"; cell {number} failed: {what['type']}: {what['text']}"
    return module, problem


def answers(request):
    """Yields what is to be said about each source and each probe."""
    data = {name: np.asarray(values) for name, values in request["data"].items()}
    for index, source in enumerate(request["sources"]):
        try:
            module, problem = loaded(source, "submission")
        except BaseException as error:
            yield {"source": index, "failure": failure(error, "submission.py")}
            continue
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
                answer["failure"] = failure(error, "submission.py")
                answer["failure"]["text"] += problem
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
    channel, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    np.seterr(all="ignore")
    np.random.default_rng(0).standard_normal(2)  # loaded before the fence is up
    sys.meta_path.insert(0, OnlyNumpy())
    sys.modules.update(dict.fromkeys(LOW))  # None: a polite ImportError for `import subprocess`
    nobody(os.getcwd())
    limit(request["seconds"], request["megabytes"])
    fence(request["private"], channel)
    write, dumps, leave = os.write, json.dumps, os._exit
    for answer in answers(request):
        line = (dumps(answer) + "\n").encode()
        while line:
            line = line[write(channel, line):]
    leave(0)


if __name__ == "__main__":
    main()
