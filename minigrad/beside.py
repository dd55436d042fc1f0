"""What a forward pass changes beside its records: running statistics, counters.

The one trick: it is a function of arrays like any other, called through `beside`. So a program that
is made of a forward pass (codegen) can call it again in every step.
"""

from minigrad.engine import clock, mode, written


def beside(function, *tensors, **options):
    """function(*arrays, **options), which may write into all arrays but the first."""
    function(*[t.array for t in tensors], **options)
    for t in tensors[1:]:
        written(t)
    if mode.tracing is not None:
        mode.tracing.append((clock(), function, tensors, options))
