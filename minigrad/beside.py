"""What a forward pass does beside its records: running statistics, values taken out.

The one trick: a change of something that is no record is a function of arrays like any other,
called through `beside`. So a program that is made of a forward pass (codegen) can call it again in
every step. What cannot be called again is refused while a program is being made.
"""

from minigrad.engine import clock, describe, mode, written


class NotCompilable(NotImplementedError):
    """Why a step cannot be compiled; it can always be run eagerly.

    loss    of the step that was asked for, where it was done eagerly all the same; else None, and
            nothing was changed
    """

    loss = None


def beside(function, *tensors, **options):
    """function(*arrays, **options), which may write into all arrays but the first."""
    function(*[t.array for t in tensors], **options)
    for t in tensors[1:]:
        written(t)
    if mode.tracing is not None:
        mode.tracing.append((clock(), function, tensors, options))


def taken_out(t):
    """Before a computed number leaves the record (item(), float(), bool(), an `if`): refuses it
    while a program is being made, in which that number would stay what it is now."""
    if mode.tracing is not None and t.op is not None:
        raise NotCompilable(
            f"compile: the {describe(t)} is turned into a Python number or an array (item(), "
            "float(), numpy(), an `if`), and the compiled step would keep today's value for ever; "
            "do that outside loss_fn, use where() instead of `if`, or train eagerly")
