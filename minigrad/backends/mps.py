"""torch.backends.mps: Apple's GPU, which minigrad does not use."""


def is_available():
    """False: minigrad computes on the CPU."""
    return False


def is_built():
    """False."""
    return False
