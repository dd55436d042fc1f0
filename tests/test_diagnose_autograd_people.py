"""Engines written in other ways still: single mistakes, double ones, right ones, and programs that
show them."""

import sys
import types

import numpy as np
import pytest
from coursework_engines import LECTURE, engine
from coursework_people import CLOSURES, DATACLASS, FREE, HANDED_ON, HEAP

from minigrad.coursework.engines.diagnosis import diagnose_autograd

SOURCES = {"dataclass": (DATACLASS, "Node"), "closures": (CLOSURES, "Tensor"),
           "heap": (HEAP, "Var"), "handed on": (HANDED_ON, "Scalar"), "free": (FREE, "Node"),
           "lecture": (LECTURE, "Value")}
MODULE = "module_of_a_student"
sys.modules.setdefault(MODULE, types.ModuleType(MODULE))  # dataclasses look there
KEPT = "interior-gradients-not-cleared"
# fmt: off
IN_PLACE = ("lambda g: self._acc(np.where(self.data > 0, g, 0))", "lambda g: masked(self, g)")
MASKED = ("def _unbroadcast", "def masked(t, g):\n    g *= t.data > 0\n    t._acc(g)\n\ndef _unbroadcast")
SHARED = ("grads[id(p)] = grads[id(p)] + s", "grads[id(p)] += s")
ADDED_TO = ("self.grad += g", "self.grad = self.grad + g")
SINGLE = [
    ("dataclass", "repeated-operand-lost", [("for p, d in zip(node.parents, node.locals_)", "for p, d in dict(zip(node.parents, node.locals_)).items()")]),
    ("dataclass", "wrong-visit-order", [("for node in reversed(order):", "order, todo, met = [], [self], {id(self)}\n        while todo:\n            n = todo.pop()\n            order.append(n)\n            for p in n.parents:\n                if id(p) not in met: met.add(id(p)); todo.append(p)\n        for node in order:")]),
    ("dataclass", "upstream-ignored", [("+ d * g", "+ d")]),
    ("dataclass", "quotient-rule", [("-self.number / o.number ** 2", "self.number / o.number ** 2")]),
    ("dataclass", "leaf-gradients-cleared", [("g if node.grad is None else node.grad + g", "g")]),
    ("closures", "gradient-aliased", [("g.copy()", "g")]),
    ("closures", "gradient-aliased", [("g.copy()", "g"), ADDED_TO, IN_PLACE, MASKED]),
    ("closures", "broadcast-not-undone", [("self._acc(g * other.data)", "self.grad = g * other.data if self.grad is None else self.grad + g * other.data")]),
    ("closures", "broadcast-not-undone", [("        if n == 1 and g", "        if False and g"), ADDED_TO]),
    ("closures", "broadcast-averaged", [("g = g.sum(axis=0)", "g = g.mean(axis=0)")]),
    ("closures", "matmul-not-transposed", [("self.data.T @ g", "g.T @ self.data")]),
    ("closures", "matmul-not-transposed", [("g @ other.data.T", "other.data.T @ g"), ("self.data.T @ g", "g @ self.data.T")]),
    ("closures", "mean-divided-by-length", [("self.data.size if axis", "self.data.shape[0] if axis")]),
    ("closures", "mean-for-sum", [("self._acc(np.broadcast_to(g, self.data.shape))", "self._acc(np.broadcast_to(g, self.data.shape) / self.data.size)")]),
    ("closures", "softmax-wrong-axis", [("s = e / e.sum(axis=axis, keepdims=True)", "s = e / e.sum()"), ("(g * s).sum(axis=axis, keepdims=True)", "(g * s).sum()")]),
    ("closures", KEPT, [("            if t._ctx: t.grad = None\n", "            pass\n")]),
    ("heap", "wrong-visit-order", [("(-f.gen, id(f), f)", "(f.gen, id(f), f)")]),
    ("heap", "topological-order-without-visited", [("                seen.add(id(f))\n", "")]),
    ("heap", "reflected-operands-swapped", [("sub(b, a)", "sub(a, b)")]),
    ("handed on", "repropagates-accumulated", [("d.backward(upstream * local)", "d.backward(self.derivative * local)")]),
    ("handed on", "overwrites-gradient", [("self.derivative += upstream", "self.derivative = upstream")]),
    ("handed on", "upstream-ignored", [("upstream * local", "local")]),
    ("handed on", "local-derivative-missing", [("upstream * local", "upstream")]),
    ("free", "gradient-aliased", [SHARED]),
    ("lecture", "repeated-operand-lost", [("            self.grad += 1.0 * out.grad\n            other.grad += 1.0 * out.grad", "            for v in out._prev: v.grad += out.grad")]),
]
SEVERAL = [
    ("free", {"gradient-aliased", "matmul-not-transposed"}, [SHARED, ("g @ b.array.T", "g @ b.array")]),
    ("free", {"relu-mask-missing", "local-derivative-missing"}, [("(g * (a.array > 0),)", "(g,)"), ("(g * y,)", "(g,)")]),
    ("closures", {"matmul-not-transposed", "relu-mask-missing", "tanh-not-squared"}, [("g @ other.data.T", "g @ other.data"), ("np.where(self.data > 0, g, 0)", "g"), ("1 - y * y", "1 - y")]),
    # each of these two hides the other one on some graph
    ("lecture", {"overwrites-gradient", "topological-order-without-visited"}, [("if v not in visited", "if True"), ("self.grad += 1.0", "self.grad = 1.0"), ("other.grad += 1.0", "other.grad = 1.0")]),
]
RIGHT = [
    ("dataclass", []), ("heap", []), ("handed on", []), ("free", []), ("closures", []),
    ("dataclass", [("float(self.number)", "np.float32(self.number)")]),
    ("closures", [("np.float64", "np.float32")]),
    ("closures", [("np.asarray(data, dtype=np.float64)", "np.atleast_1d(np.asarray(data, dtype=np.float64))")]),
    ("closures", [("gradient=None", "gradient")]),
    ("handed on", [("        self.derivative += upstream\n", "        if not self.deps: self.derivative += upstream\n")]),
]
# fmt: on


def made(style, changes, program=""):
    """The class; a program is run behind it."""
    source, name = SOURCES[style]
    return engine(f"__name__ = {MODULE!r}\n{source}\n{program}", *changes, name=name)


@pytest.mark.parametrize("style, cause, changes", SINGLE)
def test_single_mistakes_are_named(style, cause, changes):
    found = diagnose_autograd(made(style, changes))
    assert found.causes == (cause,), found
    assert found.verdict == ("convention" if "cleared" in cause else "mistake")


@pytest.mark.parametrize("style, causes, changes", SEVERAL)
def test_several_mistakes_are_named_together(style, causes, changes):
    found = diagnose_autograd(made(style, changes))
    assert causes in [{*found.causes}, *map(set, found.ties)], found


@pytest.mark.parametrize("style, changes", RIGHT)
def test_right_engines_are_right(style, changes):
    found = diagnose_autograd(made(style, changes))
    assert found.verdict == "correct" and not found.causes, found


def test_an_exception_beside_a_mistake_is_told_and_hides_nothing():
    fails = ("(k * self.number ** (k - 1),)", "(None,)")
    found = diagnose_autograd(made("dataclass", [fails, ("(1., -1.)", "(1., 1.)")]))
    assert found.causes == ("subtraction-sign",) and "TypeError" in " ".join(found.notes), found
    only = diagnose_autograd(made("dataclass", [fails]))
    assert only.verdict == "unknown" and "TypeError" in only.first_difference.yours


@pytest.mark.parametrize("style, row", [("dataclass", 2), ("closures", 5), ("handed on", 21),
                                        ("free", 23), ("lecture", 24)])
def test_the_program_of_the_report_shows_the_mistake(style, row, capsys):
    changes = SINGLE[row][2]
    found = diagnose_autograd(made(style, changes))
    program = "\n".join(found.program)
    assert all(line in str(found) for line in found.program)
    made(style, changes, program)
    printed = capsys.readouterr().out.strip()
    assert found.first_difference.quantity.startswith("the gradient")
    assert np.isclose(float(printed), float(found.first_difference.yours)), (program, printed)
