"""torch.cuda of a machine without one, so that the device lines of a lesson run as they are.

`"cuda" if minigrad.cuda.is_available() else "cpu"` is "cpu". Seeding does nothing, as it does in
PyTorch when there is no GPU to seed; the one generator is seeded by `minigrad.manual_seed`.
"""

from minigrad.words import Device


def is_available():
    """False: minigrad computes on the CPU."""
    return False


def device_count():
    """0."""
    return 0


def is_initialized():
    """False."""
    return False


def manual_seed(seed):
    """Nothing to seed."""


def manual_seed_all(seed):
    """Nothing to seed."""


def empty_cache():
    """Nothing to empty."""


def absent(*_, **__):
    """Refused: there is no such device."""
    Device("cuda")


current_device = get_device_name = get_device_properties = set_device = synchronize = absent
