"""The known mistakes of a layer's backward: a table, one row each.

The one trick: a row names a function that makes the wrong gradient (in forms.py, formulas.py or
uses.py). If the student's numbers are a constant times that gradient, the constant is a second
mistake, and `constants` gives it a name: 1/x.shape[0], 2, sqrt(2), 1 - p.
"""

from collections import namedtuple
from fractions import Fraction

import numpy as np

from minigrad.coursework.layers import forms as form
from minigrad.coursework.layers import formulas as formula
from minigrad.coursework.layers import uses
from minigrad.coursework.layers.forms import NEAR

LayerFault = namedtuple("LayerFault", "id title concept formula source forms course",
                        defaults=(None, None))

OUTPUT = "Chain rule: what comes from above, times the local derivative."
SLOPES = "karpathy/nn-zero-to-hero issue 52"
NOTES = "CS231n, Backpropagation notes"


def both(*functions):
    """The forms of several functions, one after the other."""
    def forms(yours, at, name):
        for function in functions:
            yield from function(yours, at, name)
    return forms


def row(cause, title, concept, cure, source, *functions):
    forms = both(*functions) if functions else None
    return LayerFault(cause, title, concept, cure, source, forms)


FAULTS = (
    row("upstream-ignored", "it does not depend on the gradient that arrives",
        OUTPUT, "multiply with dout", "derived: passes every check with dout = 1"),
    row("gradient-missing", "it is missing, or zero everywhere",
        "Does this input matter for the output? Then it has a gradient.",
        "assign what was computed, and return it", "derived", form.zero),
    row("relu-mask-missing", "relu passes on more, or other, entries than it should",
        "Where relu gave 0, a small change of its input changes nothing.",
        "dx = dout * (x > 0)", "CS231n assignment 1, relu_backward",
        form.masked_otherwise, formula.product_forms("relu-mask-missing")),
    row("dropout-mask-missing", "dropout's mask, or its scale, is not that of the forward pass",
        "What was dropped has no gradient; what was kept was scaled, and so is its gradient.",
        "dx = dout * mask, with the very mask of the forward pass",
        "CS231n assignment 2, dropout_backward", form.dropout_unmasked),
    row("tanh-not-squared", "the square is missing in the derivative of tanh",
        "The derivative of tanh is 1 minus the square of its output.",
        "dx = dout * (1 - y**2)", "calculus",
        form.slopes_of("tanh-not-squared"), formula.product_forms("tanh-not-squared")),
    row("sigmoid-factor-missing", "a factor of the sigmoid's derivative is wrong",
        "The sigmoid is flat where its output is near 0, and where it is near 1: two factors.",
        "dx = dout * y * (1 - y)", "calculus", form.slopes_of("sigmoid-factor-missing")),
    row("derivative-from-input", "a derivative written in the output is given the input",
        "exp, tanh and sigmoid have derivatives that are short in their output.",
        "tanh: 1 - y**2; sigmoid: y * (1 - y); exp: y", SLOPES,
        form.slopes_of("derivative-from-input")),
    row("derivative-from-output", "a derivative written in the input is given the output",
        "What is in the cache: the input of the function, or its output?",
        "f'(x), with the x that forward was given", SLOPES, form.derivative_at_output),
    row("power-exponent-not-reduced", "the exponent is not reduced by one",
        "Differentiation lowers the degree of a power by one.", "d(x**n)/dx = n * x**(n - 1)",
        "calculus", form.slopes_of("power-exponent-not-reduced")),
    row("divided-by-derivative", "dout is divided by the local derivative",
        OUTPUT, "dx = dout * f'(x)", "derived",
        form.slopes_of("divided-by-derivative"), form.divided),
    row("softmax-diagonal-only", "softmax's outputs are not coupled as they should be",
        "When one logit grows, the other probabilities fall.",
        "dx = y * (dout - (dout * y).sum(axis=-1, keepdims=True))", "derived",
        formula.softmax_diagonal, formula.cross_entropy_slips("softmax-diagonal-only")),
    row("softmax-wrong-axis", "softmax sums over the wrong axis",
        "Each row is a distribution of its own.", "sum over axis=-1, with keepdims=True",
        "Stack Overflow 76450489",
        formula.softmax_axis, formula.cross_entropy_slips("softmax-wrong-axis")),
    row("target-not-subtracted", "the label's 1 is not subtracted, or nothing else is there",
        "The right label's score should grow: its gradient is p - 1, the others' is p.",
        "dx = (p - onehot(y)) / N", "CS231n assignment 1, softmax_loss",
        formula.cross_entropy_slips("target-not-subtracted")),
    row("softmax-missing", "the scores stand where their softmax belongs",
        "The gradient of cross-entropy compares probabilities with the label.",
        "dx = (softmax(x) - onehot(y)) / N", "CS231n assignment 1, softmax_loss",
        formula.cross_entropy_slips("softmax-missing")),
    row("softmax-twice", "softmax is taken of probabilities",
        "Is what is given to softmax a score, or a probability already?",
        "dx = (p - onehot(y)) / N, with one softmax", "derived",
        formula.cross_entropy_slips("softmax-twice")),
    row("hinge-label-row", "the entry of the right label is wrong",
        "Each margin that is violated pushes the right label's score up once.",
        "dx[i, y[i]] = -number of violated margins", "CS231n assignment 1, svm_loss",
        formula.hinge_slips),
    row("cross-entropy-factor", "the derivative of binary cross-entropy is not this one",
        "By the probability it is (p - y) / (p (1 - p)); by the logit it is p - y.",
        "dp = (p - y) / (p * (1 - p)) / N", "calculus", formula.binary_slips),
    row("statistics-held-constant", "mean or variance are taken for constants",
        "A batch's mean and variance move when an entry moves: they pass gradients back, too.",
        "dx = (d - d.mean(0) - z * (d * z).mean(0)) / std, d = dout * gamma",
        "Ioffe and Szegedy 2015, Batch Normalization, section 3", formula.statistics_constant),
    row("normalization-term-wrong", "a term of the normalization's gradient is wrong",
        "Three ways lead from an input to the output: directly, by the mean, by the variance.",
        "dx = (d - d.mean(0) - z * (d * z).mean(0)) / std, d = dout * gamma",
        "Ioffe and Szegedy 2015, Batch Normalization, section 3", formula.normalization_slips),
    row("scale-of-raw-input", "the scale's gradient is not made with the normalized input",
        "What is the factor of gamma in the forward pass?", "dgamma = (dout * z).sum(axis=0)",
        "Ioffe and Szegedy 2015, Batch Normalization, section 3", formula.scale_of_raw_input),
    row("decay-ignored", "the penalty's gradient is missing",
        "The penalty is a part of the loss.", "dw += 2 * reg * w",
        "CS231n assignment 1", formula.penalty_slips("decay-ignored")),
    row("decay-half", "the penalty's gradient is half of what it should be",
        "Is there a 1/2 before the penalty?", "reg * sum(w**2) has the gradient 2 * reg * w",
        "CS231n assignment 1", formula.penalty_slips("decay-half")),
    row("decay-double", "the penalty's gradient is twice what it should be",
        "Is there a 1/2 before the penalty?", "reg/2 * sum(w**2) has the gradient reg * w",
        "CS231n assignment 1", formula.penalty_slips("decay-double")),
    row("decay-sign", "the penalty's gradient has the wrong sign",
        "The penalty grows with the weights.", "dw += 2 * reg * w", "derived",
        formula.penalty_slips("decay-sign")),
    row("broadcast-not-undone", "the gradient has the shape of the output, not of the input",
        "An entry that broadcasting has copied gets the sum over its copies.",
        "db = dout.sum(axis=0)", "jimfleming/differentiation issue 1", form.unreduced),
    row("broadcast-averaged", "the mean over the batch is taken where the sum belongs",
        "Each copy contributes in full: shares are added, not averaged.",
        "db = dout.sum(axis=0), not .mean(axis=0)", "jimfleming/differentiation issue 1"),
    row("gradient-shape", "the numbers are right, the shape is not",
        "A gradient has the shape of its input.", "dx = dx.reshape(x.shape)",
        "CS231n, affine_backward", form.reshaped),
    row("broadcast-wrong-axis", "it is summed over the wrong axis",
        "Sum over the axis that the input does not have.",
        "db = dout.sum(axis=0): one entry per column", "coursework with square arrays",
        form.wrong_axis),
    row("product-rule-wrong-factor", "it is multiplied with the wrong factor",
        "The derivative of a product by one factor is the other factor.",
        "y = a * b: da = dout * b and db = dout * a", "calculus",
        form.slopes_of("product-rule-wrong-factor"), form.other_factor),
    row("gradients-swapped", "it is the right gradient of another input",
        "Gradients are returned in the order of the inputs.", "return dx, dw, db",
        "derived", form.swapped),
    row("matmul-not-transposed",
        "a factor of a matrix product is not transposed, or not the right one",
        "The shapes say it, if they are not square: back to the input leads the transpose.",
        "dx = dout @ w.T and dw = x.T @ dout", NOTES,
        formula.product_forms("matmul-not-transposed")),
    row("gradient-transposed", "it is the transpose of the right gradient",
        "A gradient has the shape of its input, entry for entry.",
        "dw[i, j] is the derivative by w[i, j]", "derived", form.transposed),
    row("axes-reordered", "the numbers are right, but in the wrong places",
        "Backward undoes a transpose, a flip or a reshape in the same order.",
        "dx = dout.reshape(x.shape); a transpose with the inverse order of axes", "derived",
        form.reordered),
    row("subtraction-sign", "the sign of what is subtracted is lost",
        "When the subtrahend grows, the difference falls.", "y = a - b: db = -dout", "calculus",
        formula.cross_entropy_slips("subtraction-sign")),
    row("factor-two", "it is twice or half of what it should be",
        "Look for a 2 that a square brings down, or that was cancelled by 1/2 already.",
        "d(x**2)/dx = 2 * x", "CS231n assignment 1, TODO on the regularization's factor"),
    row("power-factor-missing", "the exponent is missing as a factor",
        "The exponent comes down as a factor.", "d(x**n)/dx = n * x**(n - 1)", "calculus",
        form.slopes_of("power-factor-missing")),
    row("mean-for-sum", "it is divided by a size", "Was 1/N applied in the loss already?",
        "divide by N once", "CMU 11-785: Linear.backward divides by N itself"),
    row("sum-for-mean", "a division by a size is missing",
        "Each term of a mean has the derivative 1 / N.", "divide by N once", "fast.ai: mse"),
    row("sign-flipped", "it has the wrong sign", "Does the output grow when this input grows?",
        "change the sign", "derived"),
    row("constant-factor", "it is off by a constant factor",
        "The direction is right; which number stands before it?", "find the factor", "derived"),
    row("max-mask-missing", "max passes on to every entry, not to the largest alone",
        "Only the entry that was the maximum had an influence on the output.",
        "dx = dout * (x == max)", "CS231n assignment 2, max_pool_backward", form.max_unmasked),
    row("output-ignored", "the gradient of one of the outputs is not used",
        "Each output that is used sends a gradient: they all come back, and are added.",
        "dc = dnext_c + dnext_h * o * (1 - tanh(c)**2)", "CS231n, lstm_step_backward",
        form.output_ignored),
    row("jacobian-not-transposed", "backward does to dout what forward does to its input",
        "Backward goes the other way: what entry i of the output took from entry j, it gives back "
        "to j.", "multiply dout with the transpose of what forward multiplies with", NOTES,
        form.jacobian),
    row("local-derivative-missing", "the gradient that arrives is passed on unchanged",
        OUTPUT, "dx = dout * local derivative", "derived",
        form.passed_on, formula.product_forms("local-derivative-missing")),
    row("overwrites-gradient", "only one of several contributions has arrived",
        "Each use of an entry contributes: contributions are added.",
        "dx += ..., not dx = ..., inside the loop", NOTES,
        form.overwritten, uses.of_one_use),
    row("upstream-changed-before-use", "dout is summed, averaged or changed before it is used",
        "Each entry of dout belongs to one entry of the output, and stays with it.",
        "use dout as it arrives", "derived", form.upstream_forms),
)
OTHERS = (
    LayerFault("relu-gradient-at-zero", "another subgradient where relu's input is exactly 0",
               "At a kink any number between the two slopes is a subgradient; PyTorch's relu "
               "takes 0.", "(x > 0) * dout", "TinyTorch issue 1336",
               course="any subgradient is allowed at a kink"),
    row("upstream-changed-in-place", "backward changes dout",
        "The gradient that arrives belongs to the layer above.",
        "dx = dout * mask or dout.copy(), not dout *= mask", "derived"),
    row("cache-changed", "a second backward gives other numbers",
        "Backward reads what forward kept: it does not write there.",
        "do not change cached arrays in place, and begin with zeros", "derived"),
)
BY_ID = {fault.id: fault for fault in (*FAULTS, *OTHERS)}
ORDER = {fault.id: i for i, fault in enumerate(FAULTS)}

# These say less than any other that fits: never a tie.
VAGUE = {"mean-for-sum", "sum-for-mean", "constant-factor", "gradient-shape", "axes-reordered",
         "local-derivative-missing", "overwrites-gradient", "product-rule-wrong-factor",
         "sign-flipped", "upstream-changed-before-use", "divided-by-derivative",
         "broadcast-wrong-axis", "derivative-from-output", "gradient-transposed",
         "jacobian-not-transposed", "gradients-swapped"}


# --- constants ------------------------------------------------------------------------------------

def constants(k, at, name):
    """[(ids, key, text)] of a factor k: every name that it has, the plainest first."""
    found = [(ids, key, text) for ids, key, text, number in names_of(at, name)
             if np.isclose(k, number, rtol=NEAR, atol=0)]
    simple = Fraction(k).limit_denominator(64)
    exact = simple and np.isclose(float(simple), k, rtol=NEAR, atol=0)
    text = f"times {simple if exact else format(k, '.5g')}"  # what is a size here is but a 3 there
    named = found and all(len(ids) > 1 for ids, _, _ in found)  # two names say more than "-4"
    plain = [] if named else [(("constant-factor",), text, text)]
    size = any(ids == ("constant-factor",) and key[0] == "*" for ids, key, _ in found)
    return [*plain, *found] if size else [*found, *plain]


def names_of(at, name):
    """(ids, key, text, number) of every factor that has a name."""
    flipped = "subtraction-sign" if subtrahend(at, name) else "sign-flipped"
    yield ("factor-two",), "2", "times 2", 2.0
    yield ("factor-two",), "1/2", "times 1/2", 0.5
    yield (flipped,), "-1", "", -1.0
    yield ("factor-two", flipped), "-2", "times -2", -2.0
    yield ("factor-two", flipped), "-1/2", "times -1/2", -0.5
    copies, alone = form.copies(at, name), entrywise(at, name)
    means = {n: "broadcast-averaged" if n == copies else "mean-for-sum" for _, n in sizes(at)}
    if copies and copies > 1 and copies not in means:
        yield ("broadcast-averaged",), "copies", f"divided by {copies}, its copies", 1 / copies
    for label, n in sizes(at):
        yield (means[n],), f"/{label}", f"divided by {n} = {label}", 1 / n
        what = "constant-factor" if alone else "sum-for-mean"
        yield (what,), f"*{label}", f"times {n} = {label}", float(n)
    for label, n in sizes(at):
        yield (means[n], flipped), f"-/{label}", f"divided by -{n}, {label}", -1 / n
        yield ("sum-for-mean", flipped), f"-*{label}", f"times -{n}, {label}", -float(n)
        yield ("factor-two", means[n]), f"2/{label}", f"times 2/{n}, 2 / {label}", 2 / n
        yield ("factor-two", "sum-for-mean"), f"2*{label}", f"times 2 * {n}, {label}", 2.0 * n
        yield (("factor-two", means[n]), f"/2{label}", f"divided by 2 * {n}, {label}",
               0.5 / n)
        yield ("factor-two", "sum-for-mean"), f"/2*{label}", f"times {n}/2, {label} / 2", n / 2
        for key, number in (("sqrt({})", n**0.5), ("1/sqrt({})", n**-0.5),
                            ("{0}/({0} - 1)", n / (n - 1)), ("({0} - 1)/{0}", (n - 1) / n),
                            ("{0}**2", n * n), ("1/{0}**2", 1 / n**2)):
            said = f"times {key.format(n)}, {label} = {n}"
            yield ("constant-factor",), key.format(label), said, number
    for text, number in (("sqrt(2)", 2**0.5), ("1/sqrt(2)", 0.5**0.5), ("log(2)", np.log(2)),
                         ("1/log(2)", 1 / np.log(2)), ("log(10)", np.log(10)),
                         ("1/log(10)", 1 / np.log(10)), ("pi", np.pi)):
        yield ("constant-factor",), text, f"times {text}", number
    for label, p in at.settings.items():
        for text, number in ((f"{label}", p), (f"1 / {label}", 1 / p if p else 0.0),
                             (f"1 - {label}", 1 - p), (f"1 / (1 - {label})", 1 / (1 - p or 2))):
            yield ("constant-factor",), text, f"times {text}, {number:.4g}", number


def sizes(at):
    """(how it is written, a size) of all arrays, those of the inputs first; 1 tells nothing."""
    arrays = [*((n, x) for n, x in at.values.items() if isinstance(x, np.ndarray)),
              ("out", at.out)]
    shapes = [(f"{n}.shape[{i}]", size) for n, x in arrays for i, size in enumerate(x.shape)]
    totals = [(f"{n}.size", x.size) for n, x in arrays if x.ndim > 1]
    windows = [(f"{n}.shape[{i}] * {n}.shape[{j}]", x.shape[i] * x.shape[j]) for n, x in arrays
               for i in range(x.ndim) for j in range(i + 1, x.ndim) if x.ndim > 2]
    threes = [(f"{n}.size / {n}.shape[1]", x.size // max(x.shape[1], 1)) for n, x in arrays
              if x.ndim > 2]
    return [(label, n) for label, n in (*shapes, *totals, *windows, *threes) if n > 1]


def entrywise(at, name):
    """Does forward work entry by entry, so that it can have taken no mean?"""
    depends = np.abs(at.J[name].reshape(at.out.size, -1)) > 1e-9
    return at.out.size > 1 and bool((depends.sum(axis=1) < 2).all())


def subtrahend(at, name):
    """Is this input subtracted, entry by entry?"""
    J = at.J[name]
    return bool(J.size and at.out.size > 1 and np.any(J < -0.5)
                and np.all((np.abs(J) < 1e-6) | (np.abs(J + 1) < 1e-6)))


