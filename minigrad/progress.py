"""Progress of a loop on one line: step, numbers, speed, time left.

The one trick: a step costs nothing but a look at the clock. What is shown is only computed when a
line is drawn, at most ten times a second, so a number may be given as a function: `grad=norm`.

    with Progress(total=500) as progress:           for x, y in Progress(loader):
        for x, y in batches:                            ...
            ...
            progress.step(loss=loss)

    120/500  24%  loss 0.2497  grad 0.03104  195 step/s  2s left  ▇▅▃▂▂▁
"""

import html
import math
import os
import shutil
import sys
import time

FLAT = 1e-3  # a curve that changes by less, compared with its size, is drawn flat
BLOCKS = "▁▂▃▄▅▆▇█"
REDRAW = 0.1    # seconds between two drawings, at least
REMEMBERED = 64  # values of the first number kept for the curve, at most


class Progress:
    """Counts steps and shows them on stderr: one line that changes, or a few lines in a log.

    iterable  what to walk over: `for batch in Progress(loader)`. Without one, call `step`
    total     number of steps; len(iterable) if there is one, else unknown
    progress  None: a line in a terminal or a notebook, nothing elsewhere. True: also a log (at
              most 11 lines) elsewhere. "log": always a log. False: nothing. TERM=dumb gets a log
    stream    where to write instead of sys.stderr
    """

    def __init__(self, iterable=None, total=None, *, progress=None, stream=None):
        if progress not in (None, True, False, "log"):
            raise ValueError(f"progress is {progress!r}; choose None, True, False or 'log'")
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)
        self.iterable, self.total = iterable, total
        self.stream = stream or sys.stderr
        self.form = self.form_for(progress)
        self.marks = {1, *(-(-k * total // 10) for k in range(1, 11))} if total else None
        self.count, self.numbers = 0, {}
        self.curve, self.stride = [], 1
        self.started, self.due = time.perf_counter(), 0.0
        self.length, self.handle, self.shown = 0, None, 0

    def form_for(self, progress):
        """"line", "notebook", "log" or None, from what was asked for and where the output goes."""
        terminal = self.stream.isatty()
        if progress is False or progress == "log":
            return progress or None
        if in_notebook():
            return "notebook"
        if terminal and os.environ.get("TERM") != "dumb":
            return "line"
        return "log" if progress or terminal else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __iter__(self):
        if self.iterable is None:
            raise TypeError("this Progress was made without an iterable; call step() in your own "
                            "loop, or give it one: for batch in Progress(loader)")
        try:
            for item in self.iterable:
                yield item
                self.step()
        finally:
            self.close()

    def step(self, **numbers):
        """One step is done. numbers (floats, tensors, or functions that give them) are shown; of a
        number None nothing is."""
        self.count += 1
        if self.form is None:
            return
        if numbers:
            self.numbers = numbers
        if self.count % self.stride == 0:
            self.remember()
        if self.form == "log":
            if self.is_marked():
                self.draw()
        elif time.perf_counter() >= self.due:
            self.draw()
            self.due = time.perf_counter() + REDRAW

    def show(self, **numbers):
        """Sets the numbers beside the steps; for loops in which the iterator counts."""
        self.numbers = numbers

    def close(self):
        """Draws the last line, which stays."""
        if self.form is not None and self.count != self.shown:
            self.draw()
        if self.length:
            self.stream.write("\n")
            self.stream.flush()
        self.form, self.length, self.numbers = None, 0, {}

    def is_marked(self):
        """Has a log a line for this step? For the first and every tenth of the total; without a
        total for 1, 10, 100, ..."""
        if self.marks is not None:
            return self.count in self.marks
        return str(self.count).strip("0") == "1"

    def draw(self):
        """Shows the present state, in whichever form."""
        show = {"line": self.line, "log": self.log, "notebook": self.notebook}[self.form]
        show(self.text())
        self.shown = self.count

    # --- what is shown ---

    def remember(self):
        """Adds the first number to the curve, thinned out as the run gets longer."""
        for value in map(value_of, self.numbers.values()):
            if value is not None:
                self.curve.append(value)
            break
        if len(self.curve) > REMEMBERED:
            self.curve, self.stride = self.curve[::2], 2 * self.stride

    def text(self):
        """The line without its curve."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        done = str(self.count)
        if self.total:
            done = f"{self.count:>{len(str(self.total))}}/{self.total}"
            done += f"  {100 * self.count // self.total:3d}%"
        values = {name: value_of(x) for name, x in self.numbers.items()}
        parts = [done, *(f"{name} {short(x)}" for name, x in values.items() if x is not None),
                 f"{rate(self.count / seconds)} step/s"]
        if self.total and self.count < self.total:
            parts.append(f"{duration(seconds / self.count * (self.total - self.count))} left")
        else:
            parts.append(f"in {duration(seconds)}")
        return "  ".join(parts)

    def sparkline(self, width):
        """The curve of the first number in width characters, logarithmic if it is positive."""
        values = [x for x in self.curve if math.isfinite(x)]
        if len(values) < 2 or width < 4:
            return ""
        if min(values) > 0:
            values = [math.log(x) for x in values]
        n = min(width, len(values))
        values = [values[i * (len(values) - 1) // (n - 1)] / 2 for i in range(n)]  # no overflow
        low, span = min(values), max(values) - min(values)
        if not span > FLAT * max(map(abs, values)):
            return BLOCKS[0] * n
        return "".join(BLOCKS[int((x - low) / span * 7.99)] for x in values)

    # --- where it is shown ---

    def line(self, text):
        """Over the last line of the terminal; spaces erase what the last drawing left."""
        width = terminal_width(self.stream) - 1
        if (getattr(self.stream, "encoding", None) or "").lower().replace("-", "") == "utf8":
            text += "  " + self.sparkline(min(24, width - len(text) - 2))
        text = text.rstrip()[:width]
        self.stream.write("\r" + text.ljust(min(self.length, width)))
        self.stream.flush()
        self.length = len(text)

    def log(self, text):
        """One more plain line."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def notebook(self, text):
        """In the output of the cell: one display that is updated, and saved in its last state."""
        from IPython.display import display
        bar = f'<progress value="{self.count}"' + (f' max="{self.total}"' if self.total else "")
        bundle = {"text/plain": text,
                  "text/html": f"{bar}></progress> <code>{html.escape(text)}</code>"}
        if self.handle is None:
            self.handle = display(bundle, raw=True, display_id=True)
        else:
            self.handle.update(bundle, raw=True)


def in_notebook():
    """Is this code running in the kernel of a notebook?"""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


def terminal_width(stream):
    """Columns of the terminal behind a stream; 80 if nobody knows."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (AttributeError, OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size((80, 24)).columns


def value_of(x):
    """The float of a number, a one-element tensor, or a function that gives one; None of None."""
    x = x if hasattr(x, "__float__") or x is None else x()
    return None if x is None else float(x)


def short(x):
    """A number in four significant digits."""
    return f"{x:#.4g}".removesuffix(".") if math.isfinite(x) else str(x)


def rate(x):
    """Steps per second, as few digits as say it."""
    return f"{x:.0f}" if x >= 10 else f"{x:.2g}"


def duration(seconds):
    """Seconds as 0.4s, 12s, 3m05s or 2h07m."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}s"
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
