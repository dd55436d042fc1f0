"""Progress in a terminal, in a log and in a notebook; what it costs when it is off."""

import io
import sys
import time
import types

import pytest

import minigrad
from minigrad import progress as module
from minigrad.progress import Progress, duration, short, terminal_width


class Stream(io.StringIO):
    """A text stream that may claim to be a terminal."""

    def __init__(self, terminal=False, encoding="utf-8"):
        super().__init__()
        self.terminal, self.name = terminal, encoding

    def isatty(self):
        return self.terminal

    encoding = property(lambda self: self.name)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def run(total, stream, progress=None, **numbers):
    with Progress(total=total, progress=progress, stream=stream) as shown:
        for _ in range(total):
            shown.step(**numbers)
    return stream.getvalue()


def screen(text):
    """What a terminal shows of text with carriage returns: every line after overwriting."""
    lines = []
    for line in text.split("\n"):
        cells = ""
        for part in line.split("\r"):
            cells = part + cells[len(part):]
        lines.append(cells)
    return lines


def test_a_terminal_shows_one_line_that_stays():
    text = run(300, Stream(terminal=True), loss=0.25, grad=lambda: 0.03104)
    *lines, last = screen(text)
    assert last == "" and len(lines) == 1
    assert lines[0].startswith("300/300  100%  loss 0.2500  grad 0.03104  ")
    assert " step/s  in 0" in lines[0]
    assert all(len(part) < 80 for part in text.strip("\n").split("\r"))


def test_a_shorter_line_erases_the_longer_one_before(monkeypatch):
    monkeypatch.setattr(module, "REDRAW", 0)
    stream = Stream(terminal=True)
    with Progress(total=3, stream=stream) as shown:
        shown.step(loss=1.0, accuracy=0.5, grad=12.0)
        shown.step(loss=2.0)
        assert "grad" not in screen(stream.getvalue())[0].rstrip()


def test_a_terminal_is_redrawn_at_most_ten_times_a_second():
    started = time.perf_counter()
    text = run(20_000, Stream(terminal=True), loss=1.0)
    assert text.count("\r") <= 3 + 10 * (time.perf_counter() - started)


def test_a_line_fits_into_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    text = run(9, Stream(terminal=True), loss=1.0).strip("\n")
    assert all(len(part) < 30 for part in text.split("\r"))


@pytest.mark.parametrize("encoding, curve", [("utf-8", True), ("UTF8", True), ("ascii", False)])
def test_the_curve_needs_utf8(encoding, curve):
    stream = Stream(terminal=True, encoding=encoding)
    with Progress(total=100, stream=stream) as shown:
        for i in range(100):
            shown.step(loss=100 / (i + 1))
    assert stream.getvalue().isascii() is not curve
    if curve:
        assert "█▆" in stream.getvalue() and "▁" in stream.getvalue()


def test_the_curve_keeps_the_first_value_of_a_long_run():
    with Progress(total=10_000, stream=Stream(terminal=True)) as shown:
        for i in range(10_000):
            shown.step(loss=float(i + 1))
        assert shown.curve[0] == 1.0 and len(shown.curve) <= module.REMEMBERED
        assert shown.curve == sorted(shown.curve)


def test_losses_that_are_not_finite_are_shown_and_do_no_harm():
    stream = Stream(terminal=True)
    with Progress(total=4, stream=stream) as shown:
        for value in (1.0, float("nan"), float("inf"), -3.0):
            shown.step(loss=value)
    assert "loss -3.000" in stream.getvalue()


@pytest.mark.parametrize("total", [1, 3, 10, 11, 300, 12345])
def test_a_log_has_at_most_11_plain_lines(total):
    lines = run(total, Stream(), "log", loss=1.0).splitlines()
    assert len(lines) == min(total, 11)
    assert "\r" not in "".join(lines) and "\x1b" not in "".join(lines)
    assert lines[0].lstrip().startswith("1/") and f"{total}/{total}  100%" in lines[-1]


def test_an_interrupted_log_still_has_at_most_11_lines():
    stream = Stream()
    shown = Progress(total=1000, progress="log", stream=stream)
    with pytest.raises(KeyboardInterrupt), shown:
        for i in range(1000):
            if i == 987:
                raise KeyboardInterrupt
            shown.step(loss=1.0)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11 and lines[-1].startswith(" 987/1000   98%")


def test_without_a_total_a_log_has_a_line_for_every_power_of_ten():
    stream = Stream()
    for _ in Progress(iter(range(2345)), progress="log", stream=stream):
        pass
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [
        "1", "10", "100", "1000", "2345"]


@pytest.mark.parametrize("progress, terminal, term, form", [
    (None, True, "xterm", "line"), (None, False, "xterm", None), (None, True, "dumb", "log"),
    (True, True, "xterm", "line"), (True, False, "xterm", "log"), (False, True, "xterm", None),
    ("log", True, "xterm", "log"), ("log", False, "dumb", "log"), (None, False, "dumb", None)])
def test_the_form_suits_the_stream(monkeypatch, progress, terminal, term, form):
    monkeypatch.setenv("TERM", term)
    assert Progress(total=1, progress=progress, stream=Stream(terminal)).form == form


def test_unknown_progress_is_refused():
    with pytest.raises(ValueError, match="'bar'; choose None, True, False or 'log'"):
        Progress(total=1, progress="bar")


def test_it_walks_over_batches():
    stream = Stream(terminal=True)
    progress = Progress(["a", "b", "c"], stream=stream)
    seen = []
    for item in progress:
        seen.append(item)
        progress.show(loss=minigrad.tensor(0.5))
    assert seen == ["a", "b", "c"]
    assert screen(stream.getvalue())[0].startswith("3/3  100%  loss 0.5000")


def test_leaving_the_loop_early_closes_the_line():
    stream = Stream(terminal=True)
    for item in Progress(range(10), stream=stream):
        if item == 4:
            break
    assert stream.getvalue().endswith("\n")


def test_nothing_to_walk_over_is_said():
    with pytest.raises(TypeError, match="call step\\(\\) in your own loop"):
        list(Progress(total=3, progress=False))


def test_functions_are_called_only_for_what_is_drawn():
    calls = []
    run(100_000, Stream(terminal=True), loss=1.0, grad=lambda: calls.append(1) or 2.0)
    assert 1 <= len(calls) < 50
    calls.clear()
    run(1000, Stream(), None, grad=lambda: calls.append(1))
    assert not calls


def test_a_number_none_is_left_out():
    assert "grad" not in run(3, Stream(), "log", loss=1.0, grad=lambda: None)


def test_a_step_costs_less_than_a_microsecond_when_off():
    with Progress(total=10**6, progress=False) as shown:
        step = shown.step
        best = min(timed(step) for _ in range(5))
    assert best < 1e-6


def timed(step, n=20_000):
    started = time.perf_counter()
    for _ in range(n):
        step(loss=0.5)
    return (time.perf_counter() - started) / n


def test_a_notebook_updates_one_display(monkeypatch):
    shown = []

    class Handle:
        def update(self, bundle, raw):
            shown[0] = bundle

    def display(bundle, raw, display_id):
        assert raw and display_id
        shown.append(bundle)
        return Handle()

    fake = types.ModuleType("IPython")
    fake.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    fake.display = types.ModuleType("IPython.display")
    fake.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake.display)
    stream = Stream()
    run(300, stream, loss=0.5)
    assert stream.getvalue() == "" and len(shown) == 1
    assert shown[0]["text/plain"].startswith("300/300  100%  loss 0.5000")
    html = shown[0]["text/html"]
    assert html.startswith('<progress value="300" max="300"></progress> <code>300/300')


@pytest.mark.parametrize("x, text", [
    (0.25, "0.2500"), (0.031, "0.03100"), (1234.5, "1234"), (123456.0, "1.235e+05"),
    (0.0, "0.000"), (float("nan"), "nan"), (float("inf"), "inf"), (1e-9, "1.000e-09")])
def test_numbers_in_four_digits(x, text):
    assert short(x) == text


@pytest.mark.parametrize("seconds, text", [
    (0.04, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.6, "1m00s"), (185, "3m05s"),
    (7620, "2h07m")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_width_is_80_if_nobody_knows(monkeypatch):
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "__stdout__", None)
    assert terminal_width(Stream()) == 80
    monkeypatch.setenv("COLUMNS", "57")
    assert terminal_width(Stream()) == 57
