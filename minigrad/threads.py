"""How many threads NumPy's matrix products run in.

The one trick: the library that multiplies is asked directly, since its environment variables
(OMP_NUM_THREADS and others) count only before NumPy is imported. For the small matrices of small
networks one thread is as fast as two, and while other programs are busy several times faster:
threads that wait for each other lose every time one of them is interrupted.
"""

import contextlib
import ctypes

import numpy as np

# The names of OpenBLAS's functions, as NumPy's own wheels and as systems build it.
NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
         "openblas_{}_num_threads64_", "openblas_{}_num_threads")


def openblas():
    """(get, set) functions for the number of threads; None if the library is another."""
    try:
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # finds what it was linked with
    except (AttributeError, OSError):
        return None
    for name in NAMES:
        try:
            return library[name.format("get")], library[name.format("set")]
        except AttributeError:
            pass
    return None


def threads():
    """The number of threads of a matrix product now; None if that cannot be found out."""
    found = openblas()
    return found and found[0]()


def get_num_threads():
    """The number of threads of a matrix product; 1 if it cannot be found out."""
    return threads() or 1


def set_num_threads(number):
    """Matrix products run in this many threads from now on, where that can be set."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {number!r}")
    if (found := openblas()) is not None:
        found[1](number)


@contextlib.contextmanager
def one_thread():
    """Context in which matrix products run in one thread, where that can be set."""
    found = openblas()
    if found is None:
        yield
        return
    get, set_number = found
    before = get()
    set_number(1)
    try:
        yield
    finally:
        set_number(before)
