"""autograd.Function: PyTorch's form of an own operation. The classes below are written once, for a
library `m`; where PyTorch is installed it has to give the same numbers."""

import gc
import weakref

import numpy as np
import pytest

import minigrad

try:
    import torch
except ImportError:
    torch = None

LIBRARIES = [minigrad] if torch is None else [minigrad, torch]
only_here = pytest.mark.parametrize("m", [minigrad], ids=["minigrad"])


@pytest.fixture(params=LIBRARIES, ids=lambda m: m.__name__)
def m(request):
    return request.param


def leaf(m, *values, dtype="float64"):
    return m.tensor(values, dtype=getattr(m, dtype), requires_grad=True)


def made(m, forward, backward, **members):
    """A Function of these two."""
    return type("Made", (m.autograd.Function,), {
        "forward": staticmethod(forward), "backward": staticmethod(backward),
        **{name: staticmethod(f) for name, f in members.items()}})


def cube(m):
    class Cube(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x**3
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return g * 3 * y / x
    return Cube


def pair(m):
    """exp(x), sum(x w) k and the sign of x, with a number among the arguments."""
    class Pair(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, k, w):
            a = x.exp()
            ctx.k = k
            ctx.save_for_backward(x, a, w)
            return a, (x * w).sum() * k, x > 0

        @staticmethod
        def backward(ctx, ga, gb, gc):
            x, a, w = ctx.saved_tensors
            assert gc.tolist() == [0] * len(x)
            return ga * a + gb * w * ctx.k, None, gb * x * ctx.k
    return Pair


def test_three_derivatives_through_a_saved_output(m):
    x = leaf(m, 1, 2, -3)
    g = cube(m).apply(x)
    for expected in ([3, 12, 27], [6, 12, -18], [6, 6, 6]):
        (g,) = m.autograd.grad(g.sum(), x, create_graph=True)
        np.testing.assert_allclose(g.tolist(), expected, rtol=1e-12)


def test_several_outputs_and_arguments_without_gradient(m):
    x, w = leaf(m, 0.5, -1), leaf(m, 2, 3)
    a, b, positive = pair(m).apply(x, 10, w)
    assert (a.requires_grad, b.requires_grad, positive.requires_grad) == (True, True, False)
    assert a.grad_fn is not None and not a.is_leaf and positive.grad_fn is None
    assert positive.tolist() == [True, False] and b.item() == -20
    (2 * a.sum() + 3 * b).backward()
    np.testing.assert_allclose(x.grad.tolist(), 2 * np.exp([0.5, -1]) + [60, 90], rtol=1e-14)
    assert w.grad.tolist() == [15, -30]


def test_one_output_of_several_is_enough(m):
    x, w = leaf(m, 0.5, -1), leaf(m, 2, 3)
    a, b, _ = pair(m).apply(x, 10, w)
    b.backward()
    assert (x.grad.tolist(), w.grad.tolist()) == ([20, 30], [5, -10])
    a, b, _ = pair(m).apply(x, 10, w)
    (g,) = m.autograd.grad(a.sum(), x)
    np.testing.assert_allclose(g.tolist(), np.exp([0.5, -1]), rtol=1e-14)


def test_gradcheck_of_all_of_it(m):
    x, w = leaf(m, 0.5, -1), leaf(m, 2, 3)
    for function, inputs in ((cube(m).apply, (x,)),
                             (lambda *args: pair(m).apply(*args)[:2], (x, 2, w))):
        assert m.autograd.gradcheck(function, inputs)
        assert m.autograd.gradgradcheck(function, inputs)


def test_the_newer_form_with_setup_context(m):
    def forward(x, n=2):
        return x**n

    def setup_context(ctx, inputs, output):
        x, ctx.n = inputs
        ctx.save_for_backward(x)

    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.n * x**(ctx.n - 1), None

    Power = made(m, forward, backward, setup_context=setup_context)
    x = leaf(m, 2, 3)
    for call, slope in ((Power.apply(x), 2), (Power.apply(x, 3), 3), (Power.apply(x, n=3), 3)):
        (g,) = m.autograd.grad(call.sum(), x)
        assert g.tolist() == [slope * v**(slope - 1) for v in (2, 3)]


@pytest.mark.parametrize("materialize", [True, False])
def test_an_output_no_gradient_reaches(m, materialize):
    arrived = []

    def forward(ctx, x):
        ctx.set_materialize_grads(materialize)
        return x * 1, x * 2, x * 3

    def backward(ctx, *gs):
        arrived.append([g if g is None else g.tolist() for g in gs])
        return sum(k * g for k, g in enumerate(gs, 1) if g is not None)

    x = leaf(m, 1, 1)
    for _ in range(2):  # the second time is as the first
        y = made(m, forward, backward).apply(x)[1]
        y.sum().backward(retain_graph=True)
        y.sum().backward()
    assert x.grad.tolist() == [8, 8]
    nothing = [0, 0] if materialize else None
    assert arrived == [[nothing, [1, 1], nothing]] * 4


def test_mark_non_differentiable(m):
    def forward(ctx, x):
        values, places = x.sort()
        whole = values.floor() if hasattr(values, "floor") else values - values % 1
        ctx.mark_non_differentiable(whole)
        ctx.save_for_backward(places)
        return values, whole, 7, places

    def backward(ctx, g, *others):
        seen.append([None if h is None else h.tolist() for h in others])
        (places,) = ctx.saved_tensors
        back = m.zeros_like(g)
        back[places] = g
        return back

    seen = []
    x = leaf(m, 2.5, 0.5)
    if not hasattr(x, "sort"):
        pytest.skip("needs sort")
    values, whole, seven, places = made(m, forward, backward).apply(x)
    assert (values.requires_grad, whole.requires_grad, places.requires_grad) == (True, False, False)
    assert seven == 7 and places.tolist() == [1, 0] and whole.tolist() == [0, 2]
    (values * m.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [10, 1] and seen == [[[0, 0], None, [0, 0]]]


def test_needs_input_grad_and_untracked_calls(m):
    seen = []

    def forward(ctx, x, k, w):
        seen.append(ctx.needs_input_grad)
        assert not m.is_grad_enabled()
        return x * w * k

    def backward(ctx, g):
        seen.append(ctx.needs_input_grad)
        return g, None, None

    Scale = made(m, forward, backward)
    x, w = leaf(m, 1.0), m.tensor([2.0])
    y = Scale.apply(x, 3, w)
    y.backward(m.ones(1, dtype=y.dtype))
    assert seen == [(True, False, False)] * 2 and x.grad.tolist() == [1]
    assert not Scale.apply(w, 3, w).requires_grad
    with m.no_grad():
        assert not Scale.apply(x, 3, w).requires_grad


def test_computing_in_numpy_with_once_differentiable(m):
    once_differentiable = m.autograd.function.once_differentiable

    class Sine(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return m.from_numpy(np.sin(x.detach().numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * m.from_numpy(np.cos(x.detach().numpy()))

    x, w = leaf(m, 0.5, 1), leaf(m, 2.0)
    (g,) = m.autograd.grad((w * Sine.apply(x)).sum(), x, create_graph=True)
    np.testing.assert_allclose(g.tolist(), 2 * np.cos([0.5, 1]), rtol=1e-12)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        g.sum().backward()


@only_here
def test_once_differentiable_is_remembered_also_for_a_plain_start(m):
    Twice = made(m, lambda ctx, x: 2 * x,
                 m.autograd.function.once_differentiable(lambda ctx, g: 2 * g))
    x = leaf(m, 1.0)
    (g,) = m.autograd.grad(Twice.apply(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice Made"):
        m.autograd.grad(g.sum(), x)


def test_gradients_are_summed_over_what_was_broadcast_and_cast(m):
    Add = made(m, lambda ctx, a, b: a + b, lambda ctx, g: (g, g.double()))
    a, b = leaf(m, 1.0, dtype="float32"), leaf(m, 1, 2, 3, dtype="float32")
    Add.apply(a, b).sum().backward()
    assert a.grad.tolist() == [3] and b.grad.tolist() == [1, 1, 1]
    assert a.grad.dtype == b.grad.dtype == m.float32


def test_an_input_without_gradient_keeps_none(m):
    First = made(m, lambda ctx, a, b: a * b, lambda ctx, g: (g, None))
    a, b = leaf(m, 1.0), leaf(m, 2.0)
    First.apply(a, b).backward(m.ones(1, dtype=m.float64))
    assert a.grad.tolist() == [1] and b.grad is None


def test_outputs_of_several_dtypes(m):
    def forward(ctx, x):
        return x * 2, (x * 3).float()

    Both = made(m, forward, lambda ctx, g, h: 2 * g + 3 * h.double())
    x = leaf(m, 1, 2)
    y, z = Both.apply(x)
    assert (y.dtype, z.dtype) == (m.float64, m.float32)
    (y.sum() + z.sum()).backward()
    assert x.grad.tolist() == [5, 5]


def test_an_output_that_is_the_input(m):
    Same = made(m, lambda ctx, x: x, lambda ctx, g: g * 2)
    x = leaf(m, 1.0)
    y = Same.apply(x)
    assert y is not x and y.requires_grad and x.is_leaf
    y.sum().backward()
    assert x.grad.tolist() == [2]


def test_gradients_do_not_share_memory(m):
    Hand = made(m, lambda ctx, x, w: (ctx.save_for_backward(w), x * w)[1],
                lambda ctx, g: (ctx.saved_tensors[0], g))
    x, w = leaf(m, 1.0), leaf(m, 5.0)
    for _ in range(2):
        Hand.apply(x, w).backward(m.ones(1, dtype=m.float64))
    assert (x.grad.tolist(), w.grad.tolist(), w.tolist()) == ([10], [2], [5])


def test_a_tuple_of_one_stays_a_tuple(m):
    One = made(m, lambda ctx, x: (x * 2,), lambda ctx, g: (g * 2,))
    (y,) = One.apply(leaf(m, 1.0))
    assert y.requires_grad


# --- refusals ------------------------------------------------------------------------------------

def failure(m, forward, backward, *arguments):
    x = leaf(m, 1, 2)
    with pytest.raises((RuntimeError, TypeError, NotImplementedError)) as error:
        made(m, forward, backward).apply(x, *arguments).sum().backward()
    return str(error.value)


def test_the_wrong_number_of_gradients(m):
    text = failure(m, lambda ctx, x, k: x * k, lambda ctx, g: g, 2)
    assert "Made" in text and "incorrect number of gradients (expected 2, got 1)" in text
    text = failure(m, lambda ctx, x: x * 2, lambda ctx, g: (g, g))
    assert "incorrect number of gradients (expected 1, got 2)" in text
    x = leaf(m, 1.0)
    made(m, lambda ctx, x: x * 2, lambda ctx, g: (g, None, None)).apply(x).sum().backward()
    assert x.grad.tolist() == [1]  # trailing Nones are welcome


def test_a_gradient_where_none_belongs(m):
    text = failure(m, lambda ctx, x, k: x * k, lambda ctx, g: (g, g), 2)
    assert "gradient different than None at position" in text


def test_a_gradient_that_is_no_tensor_or_of_another_shape(m):
    assert "float" in failure(m, lambda ctx, x: x * 2, lambda ctx, g: 2.0)
    text = failure(m, lambda ctx, x: x * 2, lambda ctx, g: m.ones(3))
    assert "shape" in text and "Made" in text


def test_what_is_saved_must_not_change(m):
    def forward(ctx, x, y):
        ctx.save_for_backward(y)
        return x * y

    Times = made(m, forward, lambda ctx, g: (g * ctx.saved_tensors[0], None))
    x, y = leaf(m, 1, 2), m.ones(2)
    z = Times.apply(x, y)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_saved_output_must_not_change(m):
    x = leaf(m, 1, 2)
    y = cube(m).apply(x)
    y.add_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_is_not_saved_may_change(m):
    x, y = leaf(m, 1, 2), m.ones(2)
    z = made(m, lambda ctx, x, y: x * 3, lambda ctx, g: (g * 3, None)).apply(x, y)
    y.mul_(2)
    z.mul_(2)
    z.sum().backward()
    assert x.grad.tolist() == [6, 6]


@only_here
def test_a_saved_intermediate_must_not_change(m):
    kept = []

    def forward(ctx, x):
        kept.append(x.exp())
        ctx.save_for_backward(kept[0])
        return x * 2

    y = made(m, forward, lambda ctx, g: g * ctx.saved_tensors[0]).apply(leaf(m, 1.0))
    kept[0].zero_()
    with pytest.raises(RuntimeError, match="Made saved a tensor .* changed in place"):
        y.sum().backward()


def test_only_tensors_are_saved(m):
    with pytest.raises(TypeError, match="save_for_backward can only save"):
        made(m, lambda ctx, x: ctx.save_for_backward(3), None).apply(leaf(m, 1.0))


def test_none_can_be_saved(m):
    def forward(ctx, x, bias):
        ctx.save_for_backward(x, bias)
        return x * 2

    def backward(ctx, g):
        assert ctx.saved_tensors[1] is None
        return g * 2, None

    x = leaf(m, 1.0)
    made(m, forward, backward).apply(x, None).sum().backward()
    assert x.grad.tolist() == [2]


def test_functions_are_not_instantiated_and_need_a_backward(m):
    class Half(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / 2

    with pytest.raises((RuntimeError, NotImplementedError)):
        Half.apply(leaf(m, 1.0)).sum().backward()
    if m is minigrad:
        with pytest.raises(TypeError, match="keyword"):
            Half.apply(x=1)
        with pytest.raises(RuntimeError, match="Half.apply"):
            Half()
        with pytest.raises(NotImplementedError, match="forward"):
            m.autograd.Function.apply(1)


# --- here only -----------------------------------------------------------------------------------

@only_here
def test_no_reference_cycles(m):
    gc.disable()
    try:
        for function, extra in ((cube(m), ()), (pair(m), (2, leaf(m, 2, 3)))):
            x = leaf(m, 0.5, -1)
            result = function.apply(x, *extra)
            outputs = result if isinstance(result, tuple) else (result,)
            total = sum(y.sum() for y in outputs[:2])
            (g,) = m.autograd.grad(total, x, create_graph=True)
            g.sum().backward()
            seen = [weakref.ref(t) for t in (*outputs, total, g)]
            del result, outputs, total, g
            assert [r() for r in seen] == [None] * len(seen)
    finally:
        gc.enable()


@only_here
def test_pictures_name_the_function_and_print_its_rule(m):
    x, w = leaf(m, 0.5, -1), leaf(m, 2, 3)
    x.name, w.name = "x", "w"
    y = cube(m).apply(x)
    a, b, _ = pair(m).apply(y, 2, w)
    loss = a.sum() + b
    loss.backward()
    graph = m.draw(loss)
    assert "Cube" in graph.source and "Pair" in graph.source
    assert "Cube" in str(graph) and "Pair[0]" in str(graph)
    one = made(m, lambda ctx, x: (y := x.exp(), ctx.save_for_backward(y))[0],
               lambda ctx, g: g * ctx.saved_tensors[0]).apply(x)
    assert "g * v1" in m.draw(one).source  # the user's own backward, read like any rule


@only_here
def test_every_gradient_can_be_read_and_backward_repeated(m):
    x = leaf(m, 1, 2)
    y = cube(m).apply(x)
    for n in (1, 2):
        y.sum().backward()
        assert y.grad.tolist() == [n, n] and x.grad.tolist() == [3 * n, 12 * n]


@only_here
def test_a_record_of_one_call_is_not_repeated(m):
    y = cube(m).apply(leaf(m, 1.0))
    with pytest.raises(RuntimeError, match="Cube .* primitive"):
        y.op(y.detach())


@only_here
def test_variable_is_a_word_for_tensor(m):
    x = m.autograd.Variable(m.ones(2), requires_grad=True)
    assert isinstance(x, m.autograd.Variable) and isinstance(x, m.Tensor) and x.requires_grad
    assert not isinstance(3, m.autograd.Variable)
    with pytest.raises(TypeError, match="has to be a tensor"):
        m.autograd.Variable([1.0])
