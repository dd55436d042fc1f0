"""torch.accelerator of a machine without one: `is_available()` is False, lessons take "cpu"."""


def is_available():
    """False: minigrad computes on the CPU."""
    return False


def current_accelerator(check_available=False):
    """None: there is no accelerator."""


def device_count():
    """0."""
    return 0
