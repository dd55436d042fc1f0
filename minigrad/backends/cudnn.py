"""torch.backends.cudnn: switches that may be set and change nothing; results here repeat anyway."""

enabled = deterministic = benchmark = allow_tf32 = False


def is_available():
    """False: minigrad computes on the CPU."""
    return False


def version():
    """None: there is no cuDNN."""
