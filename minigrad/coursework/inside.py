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
FORBIDDEN = frozenset("""
    subprocess.Popen os.system os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile
    os.kill os.killpg signal.pthread_kill os.chdir os.fchdir os.symlink os.link os.rename os.remove
    os.rmdir os.chmod os.chown os.lchown os.truncate os.putenv pty.spawn gc.get_objects
    gc.get_referrers gc.get_referents resource.setrlimit resource.prlimit mmap.__new__
    ctypes.dlopen ctypes.dlsym ctypes.cdata ctypes.call_function ctypes.string_at
    ctypes.wstring_at shutil.move shutil.rmtree sys.addaudithook sys.remote_exec
    cpython.PyInterpreterState_New _posixsubprocess.fork_exec""".split())


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
                       ("RLIMIT_FSIZE", 1 << 20), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, kind), (most, most))
        except (AttributeError, ValueError, OSError):
            pass  # some systems know no such limit; the grader's clock still runs


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

    def refuse(what, write=os.write, leave=os._exit, dumps=json.dumps, repr=repr):
        write(channel, (dumps({"refused": what[:200]}) + "\n").encode())
        leave(3)

    def hook(event, args, type=type, str=str, bytes=bytes, int=int, len=len,
             forbidden=FORBIDDEN):
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
            if path.startswith(here) or path in ("/dev/null", "/dev/urandom"):
                return
            if changes or not path.startswith((numpy, *readable)):
                refuse("open " + path)
            if "-packages" in path and not path.startswith(numpy):
                refuse("open " + path)
        elif event == "import":
            if len(args) > 1 and type(args[1]) is str and args[1].startswith(here):
                refuse("import of machine code " + args[1])
        elif event in forbidden or event.startswith("socket."):
            refuse(event)

    sys.addaudithook(hook)


def numbers(value):
    """A quantity as JSON: its shape and its numbers, or why it is none."""
    if value is None:
        return {"problem": "is None"}
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return {"problem": f"is a {type(value).__name__}, not numbers"}
    if array.size > LARGEST:
        return {"problem": f"has {array.size} numbers"}
    return {"shape": list(array.shape), "numbers": array.ravel().tolist()}


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
    """The module that a submission is."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name + ".py", "exec", dont_inherit=True), vars(module))
    return module


def answers(request):
    """Yields what is to be said about each source and each probe."""
    for index, source in enumerate(request["sources"]):
        try:
            module = loaded(source, "submission")
        except BaseException as error:
            yield {"source": index, "failure": failure(error, "submission.py")}
            continue
        yield {"source": index}
        for probe in request["probes"]:
            space = {"np": np, "DATA": {name: np.asarray(values)
                                        for name, values in request["data"].items()}}
            answer = {"source": index, "probe": probe}
            try:
                exec(compile(request["text"], "probes.py", "exec", dont_inherit=True), space)
                rng = np.random.default_rng([request["seed"], *probe.encode()])
                values = space[probe](module, rng)
                answer["values"] = {key: numbers(value) for key, value in values.items()}
            except BaseException as error:
                answer["failure"] = failure(error, "submission.py")
            yield answer


def main():
    channel, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    np.seterr(all="ignore")
    np.random.default_rng(0).standard_normal(2)  # loaded before the fence is up
    sys.meta_path.insert(0, OnlyNumpy())
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
