"""Runs a submission in a process of its own, with limits, and takes nothing but numbers from it.

The one trick: what comes out of the sandbox is never believed, it is only compared. A line that is
not what was asked for counts as no answer; a process that stops is started again for the probes
that are left, so that an endless loop costs one probe and not all.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

import numpy as np

import minigrad

HERE = os.path.dirname(os.path.abspath(__file__))
LONGEST = 8 << 20    # bytes of one answer
STARTING = 5.0       # seconds that Python and NumPy may take to start
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
         "PYTHONHASHSEED": "0"}


@dataclass
class Outcome:
    """What a probe said: values {quantity: array or a text that says why it is none}, or, if it
    failed, failure {"kind", "type", "text", "line"}."""

    values: dict = field(default_factory=dict)
    failure: dict = None


@dataclass(frozen=True)
class Limits:
    """seconds: of one probe; total: of a submission; megabytes: of address space."""

    seconds: float = 5.0
    total: float = 60.0
    megabytes: int = 1024


@dataclass(frozen=True)
class Probe:
    """What is asked of a submission: text[call](submission, given), in the sandbox; without
    `given` it gets a generator of random numbers. Its name is that of the Outcome."""

    name: str
    text: str
    call: str
    given: dict = None


def run(sources, probes, *, seed=0, data=None, limits=None, private=()):
    """Runs Probes on submissions: [{name: Outcome}], one dict per source, in their order.

    sources: texts of submissions, or lists of a notebook's cells, run one after the other in one
    process (so give one that is not trusted alone). Each probe's function returns {quantity:
    numbers}. private: folders that no submission may read. Never raises for what a submission does.
    """
    limits = limits or Limits()
    found = [{} for _ in sources]
    end = time.monotonic() + limits.total
    request = {"seed": int(seed), "data": data or {},
               "megabytes": limits.megabytes, "seconds": int(limits.total) + 1,
               "private": [HERE, os.path.dirname(os.path.abspath(minigrad.__file__)),
                           *map(os.path.abspath, private)]}
    for index, source in enumerate(sources):
        if len(found[index]) < len(probes):
            complete(found, index, sources, request, list(probes), limits, end)
    return found


def complete(found, index, sources, request, probes, limits, end):
    """Starts processes until every probe of sources[index] has an outcome; the outcomes of later
    sources that come on the way are kept too."""
    while missing := [probe for probe in probes if probe.name not in found[index]]:
        if time.monotonic() > end:
            outcome = failed("time", f"no time left: {limits.total:g} s in all")
            found[index].update((probe.name, outcome) for probe in missing)
            return
        alone = len(missing) < len(probes)
        last = index + 1 if alone else len(sources)
        asked = dict(request, sources=sources[index:last], **spelled(missing))
        stop = ask(asked, lambda i, name, o: found[index + i].setdefault(name, o), limits, end)
        if stop is None:
            continue
        at, name, outcome = stop
        names = [probe.name for probe in probes] if name is None else [name]
        for each in names:
            found[index + at].setdefault(each, outcome)
        if at:
            return  # the sources before `at` are done; the caller goes on with this one


def spelled(probes):
    """Probes as data for the sandbox; texts that several have in common go over once."""
    texts = list(dict.fromkeys(probe.text for probe in probes))
    return {"texts": texts, "probes": [
        {"name": probe.name, "text": texts.index(probe.text), "call": probe.call,
         "given": probe.given} for probe in probes]}


def failed(kind, text, type="", line=None):
    return Outcome(failure={"kind": kind, "type": type, "text": text, "line": line})


def ask(request, keep, limits, end):
    """One process. Calls keep(source, probe, outcome) for each answer. Returns None if all was
    answered, else (source, probe or None for all, outcome) of where it stopped."""
    expected = [(i, name) for i in range(len(request["sources"]))
                for name in (None, *(probe["name"] for probe in request["probes"]))]
    with tempfile.TemporaryDirectory(prefix="minigrad-", ignore_cleanup_errors=True) as folder:
        process, lines = started(request, os.path.realpath(folder))
        try:
            position = 0
            while position < len(expected):
                i, name = expected[position]
                slow = limits.seconds + (STARTING if position == 0 else 0)
                try:
                    line = lines.get(timeout=max(0.01, min(slow, end - time.monotonic())))
                except queue.Empty:
                    return i, name, failed("time", f"not done after {limits.seconds:g} s")
                outcome = read(line, i, name, process)
                if name is None and outcome.failure is None:
                    position += 1
                elif name is None:
                    for probe in request["probes"]:
                        keep(i, probe["name"], outcome)
                    position += 1 + len(request["probes"])
                else:
                    keep(i, name, outcome)
                    position += 1
                if outcome.failure and outcome.failure["kind"] == "ended":
                    return i, name, outcome
            return None
        finally:
            end_of(process)


def started(request, folder):
    """The process and the queue of its lines; b"" is the last."""
    with open(os.path.join(HERE, "inside.py"), encoding="utf-8") as file:
        program = file.read()
    keep = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH", "PATH")
            if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", program], cwd=folder, env={**keep, **QUIET},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        start_new_session=True)
    lines = queue.Queue(maxsize=4)  # who writes without end has to wait
    threading.Thread(target=talk_to, args=(process, request, lines), daemon=True).start()
    return process, lines


def talk_to(process, request, lines):
    """In a thread: writes the request, then puts each line that comes into the queue."""
    try:
        with process.stdin:
            process.stdin.write(json.dumps(request).encode())
        while line := process.stdout.readline(LONGEST):
            lines.put(line, timeout=60)
    except (OSError, ValueError, queue.Full):
        pass
    finally:
        try:
            process.stdout.close()
            lines.put(b"", timeout=60)
        except (OSError, queue.Full):
            pass


def end_of(process):
    """Ends the process and all that it may have started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()


# --- what is believed ----------------------------------------------------------------------------

def read(line, index, probe, process):
    """The Outcome in a line, if the line is an answer to this probe of this source."""
    if not line:
        return failed("ended", ended(process))
    try:
        answer = json.loads(line)
        if answer["source"] != index or answer.get("probe") != probe:
            return failed("answer", "it did not answer what was asked")
        if "failure" in answer:
            problem = answer["failure"]
            line = problem["line"] if type(problem["line"]) is int else None
            return failed("error", one_line(problem["text"]), one_line(problem["type"]), line)
        return Outcome({one_line(name): quantity(value)
                        for name, value in answer.get("values", {}).items()})
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return failed("answer", "it gave no readable answer")


def quantity(value):
    """The array in a quantity's JSON, or a text that says why there is none."""
    if "problem" in value:
        return one_line(value["problem"])
    shape = value["shape"]
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("shape")
    given = value["numbers"]
    if not all(type(x) in (int, float) for x in given):
        raise ValueError("numbers")
    kind = np.float32 if value.get("single") is True else np.float64
    with np.errstate(all="ignore"):
        return np.array(given, dtype=kind).reshape(shape)


def one_line(text):
    """Printable text of one line, of at most 300 letters: it is shown in reports."""
    text = " ".join(str(text)[:2000].split())
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:300]


def ended(process):
    """Words for a process that is gone."""
    try:
        code = process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return "it closed its output"
    if code == -getattr(signal, "SIGXCPU", 24):
        return "it used more than the allowed processor time"
    if code < 0:
        return f"the process was ended by signal {-code}" + "; out of memory?" * (code == -9)
    return f"it ended the process (exit code {code})"
