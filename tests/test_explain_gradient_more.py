"""minigrad.explain(loss, w): the rest of its cases."""

import gc
import json
import re
import weakref
import numpy as np
import pytest
import minigrad as mg
from minigrad import nn
from minigrad.inspect.paths import explain
from test_explain_gradient import leaf, X, Y, net  # noqa: F401


# --- questions that have no answer ----------------------------------------------------------------

def test_errors_name_the_cause(net):
    w = leaf([1.0, 2.0], "w")
    loss = (w * w).sum()
    for call, kind, words in [
        (lambda: explain(loss, w, 2), IndexError, r"index \(2,\) is out of range for w of shape"),
        (lambda: explain(loss, w, (0, 0)), IndexError, "out of range"),
        (lambda: explain(loss, w, "a"), TypeError, "whole numbers"),
        (lambda: explain(loss, w, slice(None)), TypeError, "whole numbers"),
        (lambda: explain(loss, w), ValueError, r"2 numbers.*explain\(loss, w, \(1,\)\)"),
        (lambda: explain(loss, w, 0, limit=0), ValueError, "limit"),
        (lambda: explain(3.0, w, 0), TypeError, "loss must be a Tensor, got float"),
        (lambda: explain(loss, np.ones(2), 0), TypeError, "got ndarray"),
        (lambda: explain(loss, leaf([1.0], "other")), ValueError, "was not used to compute loss"),
        (lambda: explain(loss, leaf([1.0], "w")), ValueError, "another tensor called 'w'"),
        (lambda: explain(loss, mg.ones(2), 0), ValueError, "does not require grad"),
        (lambda: explain((w.detach() * leaf([1.0, 1.0])).sum(), w, 0), ValueError, "detached copy"),
        (lambda: explain(loss, w * 2, 0), ValueError, "computed after loss"),
        (lambda: explain(w.detach().sum(), w, 0), RuntimeError, "does not require grad"),
        (lambda: explain(nn.MSELoss()(net(mg.tensor(X)), mg.tensor(Y)), "0.wieght", (0, 0)),
         ValueError, "'0.weight'"),
    ]:
        with pytest.raises(kind, match=words):
            call()


def test_an_input_without_requires_grad_says_how_to_get_one():
    x = mg.tensor([1.0, 2.0])
    loss = (leaf([1.0, 2.0]) * x).sum()
    with pytest.raises(ValueError, match="requires_grad=True before the forward"):
        explain(loss, x, 0)


def test_an_older_value_is_told_from_the_new_one():
    h = leaf([1.0, 2.0]) * 2
    loss = (h + 1).sum()
    h += 1
    with pytest.raises(ValueError, match="from before it was changed in place"):
        explain(loss, h, 0)


def test_two_tensors_of_one_name_are_not_guessed_between():
    a, b = leaf(1.0, "w"), leaf(2.0, "w")
    with pytest.raises(ValueError, match="2 tensors behind loss are called 'w'"):
        explain(a * b, "w")


def test_empty_tensors_have_no_numbers():
    w = leaf(np.zeros((0, 2)), "w")
    with pytest.raises(IndexError, match="out of range"):
        explain(w.sum(), w, (0, 0))
    with pytest.raises(ValueError, match="0 numbers"):
        explain(w.sum(), w)


# --- text -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["a'b\"c", "</script><b>", "größe", "two words", "g", "np",
                                  "\n"])
def test_strange_names_are_only_names(name):
    w = leaf([1.0, 2.0], name)
    bundle = explain((w * w).tanh().sum(), w, 1)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and json.dumps(bundle)
    assert not re.search(r"<(script|b>[^d])", bundle["text/html"])
    assert "error" not in bundle["text/plain"].lower()


def test_the_notebook_form_is_tables_and_text(net):
    loss = nn.MSELoss()(net(mg.tensor(X)), mg.tensor(Y))
    html = explain(loss, "2.weight", (0, 1))._repr_mimebundle_()["text/html"]
    assert "<table>" in html and "<pre>" in html and "<svg" not in html
    w = leaf(2.0, "w")
    assert "share" in explain(w * w, w)._repr_mimebundle_()["text/html"]


def test_numbers_that_carry_the_contribution_are_listed(rng):
    x, w = rng.normal(size=(9, 2)), rng.normal(size=(2, 3))
    W = leaf(w.copy(), "W")
    loss = ((mg.tensor(x) @ W)**2).sum()
    text = str(explain(loss, W, (1, 2)))
    products = x[:, 1] * 2 * (x @ w)[:, 2]
    largest = np.argsort(-np.abs(products))
    k = largest[0]
    assert f"v1[{k}, 2]" in text and f"= {products[k]:.4g}\n" in text
    assert f"and 4 more numbers, together {products[largest[5:]].sum():.4g}" in text


def test_no_explanation_keeps_a_graph_alive():
    gc.disable()
    try:
        w = leaf([1.0, 2.0], "w")
        h = w * w
        gone = weakref.ref(h)
        text = str(explain(h.sum(), w, 0))
        del h
        assert text and gone() is None
    finally:
        gc.enable()
