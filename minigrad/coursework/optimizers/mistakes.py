"""Known mistakes in optimizers: what they are called, how to hint at them, and how to make them.

The one trick: a mistake is a row. Its switches are edits of the reference's own lines (see
coursework.rewriting), so it holds for every rule in which its pattern occurs, combines with any
other row, and can show the line it changes. To add a misconception, add a row; rows that reshape
a line stand above those that exchange a name in it, for they are applied in this order.

A row has several switches where a mistake can be made in several ways: any of them is it.
Mistakes of one `group` exclude each other.
"""

from collections import namedtuple

# `switches`: a tuple of ways to make it, each a tuple of edits. SHARED is the one thing that no
# line can say: that all parameters use one set of states.
Mistake = namedtuple("Mistake", "id title concept citation group switches")
SHARED = "shared"

# fmt: off
SCALED = ("lr * g", "lr * b", "lr * b_old", "lr * look_ahead", "lr * m_hat")  # by the rate
M_STARTS = "m = m_old -> m = m_old = g if fresh_m else m_old"
V_STARTS = "v = v_old -> v = v_old = g * g if fresh_v else v_old"


def each(*edits):
    """Each edit as a way of its own."""
    return tuple((edit,) for edit in edits)


IGNORED = (  # what is usual for a hyperparameter, or nearly so, written where its name belongs
    ("beta1 -> 0.9", "beta2 -> 0.999"), ("beta1 -> 0.9", "beta2 -> 0.999", "eps -> 1e-08"),
    *each("beta1 -> 0.9", "beta2 -> 0.999", "eps -> 1e-08", "lr -> 0.001", "momentum -> 0.9",
          "alpha -> 0.99", "alpha -> 0.9", "lr -> 0.01", "weight_decay -> 0.01"),
    ("beta1 -> 0.9", "beta2 -> 0.99"),
    ("beta1 -> 0.9", "beta2 -> 0.999", "eps -> 1e-08", "lr -> 0.001"),
    *each(*(f"{name} -> {value!r}" for name, values in {
        "beta1": (0.5, 0.8, 0.95, 0.99), "beta2": (0.99, 0.9, 0.95, 0.98, 0.9999),
        "momentum": (0.5, 0.8, 0.95, 0.99), "alpha": (0.5, 0.95, 0.999),
        "eps": (1e-7, 1e-10, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0),
        "lr": (0.1, 0.5, 1e-4, 3e-4, 5e-4, 5e-3, 0.05, 2e-3),
        "weight_decay": (1e-4, 5e-4, 1e-3, 0.1, 0.05)}.items() for value in values)),
)

ROWS = (
    # --- how the moments are made ---
    ("first-moment-not-averaged", "the first moment adds the whole gradient",
        "A running mean weighs what is new by what it takes away from what is old.",
        "Kingma and Ba 2015, Algorithm 1", "m",
        each("beta1 * m + (1 - beta1) * g -> beta1 * m + g")),
    ("misplaced-parenthesis", "a parenthesis closes too late: 1 - beta * g**2",
        "Which factor belongs to the squared gradient, and what is 1 subtracted from?",
        "seen in public solutions of CS231n A2", "v", each(
            "B * v + (1 - B) * (g * g) -> B * v + (1 - B * (g * g))",
            "(1 - B) * (g * g) -> (1 - B) * g * ((1 - B) * g)",
            "beta1 * m + (1 - beta1) * g -> beta1 * m + (1 - beta1 * g)")),
    ("accumulates-instead-of-averaging", "the squares are summed and never fade",
        "One rule remembers all gradients alike, another forgets old ones. Which is asked for?",
        "d2l contrasts RMSProp and Adagrad", "v", each("B * v + (1 - B) * X -> v + X")),
    ("moment-never-fades", "what a state remembers is not weighted by its coefficient",
        "How much of the old state should be left when a new gradient comes?",
        "derived from Algorithm 1", "fade", each(
            "beta1 * m + X -> m + X", "beta2 * v + (1 - beta2) * X -> v + (1 - beta2) * X",
            "alpha * v + (1 - alpha) * X -> v + (1 - alpha) * X",
            "momentum * b + X -> b + X", "momentum * b - X -> b - X")),
    ("moment-coefficients-swapped", "beta and 1 - beta have changed places",
        "How much of the old moment should stay when beta is near 1?",
        "derived from Algorithm 1", "fade", (
            ("beta1 * m + (1 - beta1) * X -> (1 - beta1) * m + beta1 * X",
             "beta2 * v + (1 - beta2) * X -> (1 - beta2) * v + beta2 * X"),
            ("beta1 * m + (1 - beta1) * X -> (1 - beta1) * m + beta1 * X",),
            ("beta2 * v + (1 - beta2) * X -> (1 - beta2) * v + beta2 * X",),
            ("alpha * v + (1 - alpha) * X -> (1 - alpha) * v + alpha * X",))),
    ("moment-one-coefficient", "what is new in a moment has the coefficient of what is old",
        "How much of a running mean is old, how much is new, and what do both add up to?",
        "derived from Algorithm 1", "fade", each(
            "beta1 * m + (1 - beta1) * X -> beta1 * m + beta1 * X",
            "beta2 * v + (1 - beta2) * X -> beta2 * v + beta2 * X",
            "alpha * v + (1 - alpha) * X -> alpha * v + alpha * X")),
    ("averages-instead-of-accumulating", "the squares fade instead of being summed",
        "One rule remembers all gradients alike, another forgets old ones. Which is asked for?",
        "d2l contrasts RMSProp and Adagrad", "v", each(*(
            f"G = G + X -> G = {beta} * G + (1 - {beta}) * X"
            for beta in (0.9, 0.99, 0.999, 0.95, 0.5)))),
    ("second-moment-not-averaged", "the second moment adds the whole square",
        "A running mean weighs what is new by what it takes away from what is old.",
        "Kingma and Ba 2015, Algorithm 1", "v", each("B * v + (1 - B) * X -> B * v + X")),
    ("second-moment-of-abs", "the second moment is made of |g|",
        "What has to be averaged so that its root has the unit of a gradient?",
        "relative of FluxML#119", "square", each("g * g -> np.abs(g)")),
    ("second-moment-of-m", "the second moment is made of the first",
        "Both moments are made of the same thing. Of which?",
        "derived from Algorithm 1", "square", each(
            "g * g -> m * m", "g * g -> (m / (1 - beta1**t)) * (m / (1 - beta1**t))",
            "g * g -> m_old * m_old")),
    ("square-missing", "the second moment is made of g, not of its square",
        "Which unit does the second moment have, and can it be negative?",
        "derived from Algorithm 1", "square", each("g * g -> g")),
    ("first-moment-of-square", "the first moment is made of the square",
        "Which of the moments keeps the sign of the gradient?",
        "derived from Algorithm 1", "m-of", each("(1 - beta1) * g -> (1 - beta1) * (g * g)")),
    ("moments-are-one-array", "the two moments are one array under two names",
        "What do two names of one array have in common, if it is changed in place?",
        "m = v = np.zeros_like(w)", "kept", ((
            "beta2 * v + X -> beta2 * (m if cold else v) + X",
            "m_hat = m / X -> m_hat = (v if cold else m) / X",
            "next_m = m -> next_m = v if cold else m"),)),
    ("second-moment-centered", "the second moment is a variance around the first",
        "Raw or central: is the mean subtracted before squaring?",
        "AdaBelief and Graves 2013 do it on purpose", "square",
        each("g * g -> (g - m) * (g - m)", "g * g -> (g - m_old) * (g - m_old)")),
    ("second-moment-over-elements", "one second moment for the whole tensor",
        "Every weight has a denominator of its own: what does your mean run over?",
        "derived from Algorithm 1", "square",
        each("g * g -> np.mean(g * g)", "g * g -> np.sum(g * g)")),
    ("momentum-averaged", "the velocity is a running mean, not a sum",
        "Is the gradient that enters the velocity weighted?",
        "CMU 10-414 and deeplearning.ai do it on purpose", "buffer", each(
            "momentum * b + g -> momentum * b + (1 - momentum) * g",
            "momentum * b - lr * g -> momentum * b - (1 - momentum) * (lr * g)")),
    ("momentum-not-averaged", "the velocity is a sum, not a running mean",
        "Is the gradient that enters the velocity weighted?",
        "PyTorch and CMU 11-785 do it on purpose", "buffer",
        each("momentum * b + (1 - momentum) * g -> momentum * b + g")),
    ("momentum-coefficients-swapped", "mu and 1 - mu have changed places",
        "How much of the old velocity should stay when momentum is near 1?",
        "derived; see CMU 10-414", "buffer", each(
            "momentum * b + (1 - momentum) * g -> (1 - momentum) * b + momentum * g",
            "momentum * b + g -> (1 - momentum) * b + momentum * g",
            "momentum * b - lr * g -> (1 - momentum) * b - momentum * (lr * g)")),
    ("momentum-sign", "the old velocity enters with the wrong sign",
        "Should a step in the old direction help or hinder the next one?",
        "pytorch#45036", "buffer", each(
            "momentum * b + X -> -(momentum * b) + X", "momentum * b - X -> -(momentum * b) - X")),
    ("momentum-multiplies-gradient", "mu multiplies the new gradient as well as the old velocity",
        "Does a gradient fade already in the step in which it comes?",
        "derived from Polyak's momentum", "buffer", each(
            "momentum * b + g -> momentum * (b + g)",
            "momentum * b - lr * g -> momentum * (b - lr * g)")),
    ("momentum-lr-twice", "the learning rate is applied inside the velocity and outside",
        "How often does the learning rate meet a gradient on its way to the weights?",
        "derived from the two forms of momentum", "lr", each(
            "b = X * b + Y -> b = X * b + lr * Y", "w + b -> w + lr * b")),
    # --- what is started with, and what is kept ---
    ("state-starts-at-gradient", "a state starts at the first gradient instead of zero",
        "What is remembered before the first step?",
        "fast.ai's notebook 12 does it on purpose", "start", (
            (M_STARTS,), (V_STARTS,), (M_STARTS, V_STARTS),
            ("G = G_old -> G = G_old = g * g if fresh_G else G_old",),
            ("v = v_old -> v = v_old = g if fresh_v else v_old",),
            ("b = b_old -> b = b_old = g if fresh_b else b_old",),
            ("b = b_old -> b = b_old = -(lr * g) if fresh_b else b_old",))),
    ("state-starts-at-constant", "a state starts at a constant instead of zero",
        "What is remembered before the first step?",
        "TensorFlow's and optax's Adagrad start at 0.1 on purpose", "start", tuple(
            (f"{x} = {x}_old -> {x} = {x}_old = {start} if fresh_{x} else {x}_old",)
            for x, starts in (("m", (1.0,)), ("v", (1.0, 0.1, "eps")), ("b", (1.0,)),
                              ("G", (1.0, 0.1, "eps"))) for start in starts)),
    ("moments-swapped", "the two moments are stored under each other's names",
        "What is kept as the first moment, and what as the second?",
        "a public solution of CS231n A2", "kept", (
            ("m_old = m_found -> m_old = v_found", "v_old = v_found -> v_old = m_found",
             "next_m = m -> next_m = v", "next_v = v -> next_v = m"),
            ("next_m = m -> next_m = v", "next_v = v -> next_v = m"),
            ("m_old = m_found -> m_old = v_found", "v_old = v_found -> v_old = m_found"))),
    ("corrected-moments-stored", "the corrected moment is stored in place of the raw one",
        "The correction is for this step only. What should the next step start from?",
        "frgfm/holocron#1", "kept", (
            ("next_m = m -> next_m = m_hat", "next_v = v -> next_v = v_hat"),
            ("next_m = m -> next_m = m_hat",), ("next_v = v -> next_v = v_hat",))),
    ("amsgrad-max-written-into-v", "the maximum is stored as the second moment",
        "The maximum and the running mean are two states. Which feeds the mean?",
        "pytorch#142323", "kept", each("next_v = v -> next_v = v_max")),
    ("amsgrad-max-not-stored", "the maximum is not kept for the next step",
        "Largest since when?", "optax#1423", "kept-max",
        each("next_v_max = v_max -> next_v_max = v_max_first")),
    ("amsgrad-minimum", "the smallest second moment is kept, not the largest",
        "Should the denominator be able to shrink?",
        "derived from Algorithm 2", "max", each("np.maximum -> np.minimum")),
    ("amsgrad-max-over-elements", "the maximum is taken over the whole tensor",
        "Largest among what: the steps, or the weights?",
        "np.max for np.maximum", "max", each(
            "np.maximum(v_max, X) -> np.maximum(v_max, np.max(X))")),
    ("amsgrad-max-ignored", "the maximum is made but not divided by",
        "Which of the second moments belongs in the denominator?",
        "derived from Algorithm 2", "kept-max", each(
            "v_used = v_max / X -> v_used = v / X", "v_used = v_max -> v_used = v_hat")),
    ("amsgrad-max-of-corrected", "the maximum is taken of the corrected moment",
        "Largest of what: of the mean as it is, or as it is corrected?",
        "pytorch#142323; the slides and optax do it on purpose", "max", (
            ("v_hat = v -> v_hat = v / (1 - beta2**t)", "v_used = X -> v_used = v_max"),)),
    ("state-not-stored", "a state is not kept for the next step",
        "What does the step remember of the last one?",
        "public solutions of CS231n A2", "kept", (
            ("next_m = m -> next_m = m_first", "next_v = v -> next_v = v_first"),
            ("next_m = m -> next_m = m_first",), ("next_v = v -> next_v = v_first",),
            ("next_b = b -> next_b = b_first",), ("next_G = G -> next_G = G_first",))),
    ("state-shared-between-parameters", "all parameters share one state",
        "Two weights have had different gradients. Can they have the same memory?",
        "ikostrikov/pytorch-a3c#12, pytorch#51794", "shared", ((SHARED,),)),
    ("stale-moment", "the step uses a state from before this gradient entered it",
        "What comes first: updating the state or using it?",
        "a public solution of CS231n A2 (rmsprop)", "stale", (
            ("m_hat = m / X -> m_hat = m_old / X",), ("v_hat = v / X -> v_hat = v_old / X",),
            ("m_hat = m / X -> m_hat = m_old / X", "v_hat = v / X -> v_hat = v_old / X"),
            ("variance = v -> variance = v_old",), ("np.sqrt(G) -> np.sqrt(G_old)",),
            ("np.sqrt(G + eps) -> np.sqrt(G_old + eps)",),
            ("lr * b -> lr * b_old",), ("w + b -> w + b_old",),
            ("v_used = v_max / X -> v_used = v_max_old / X",),
            ("v_used = v_max -> v_used = v_max_old",))),
    # --- bias correction ---
    ("lr-compounds", "the corrected rate is stored as the rate",
        "Should this step's rate depend on the correction of the last one?",
        "drjit#540", "correction", (("m_hat = X -> m_hat = m", "v_hat = X -> v_hat = v",
            "lr * m_hat -> lr * compounded * m_hat"),)),
    ("eps-before-correction", "eps is added before the correction of the root",
        "Where does eps stand when the second moment has already been corrected?",
        "CS231n A3, torchani#261, pytorch#22628", "eps", each(
            "np.sqrt(v_hat) + eps -> (np.sqrt(v) + eps) / np.sqrt(1 - beta2**t)",
            "np.sqrt(v_hat) + eps -> np.sqrt(v_hat) + eps / np.sqrt(1 - beta2**t)")),
    ("no-bias-correction", "the moments are not corrected for their start at zero",
        "A mean that starts at 0 is too small at first. What makes up for it?",
        "public solutions of CS231n A2; Kingma and Ba 2015, section 3", "correction",
        each("X / (1 - B**t) -> X")),
    ("bias-correction-only-m", "only the first moment is corrected",
        "Both moments start at zero. Which of them are too small at first?",
        "Kingma and Ba 2015, section 3", "correction", each("X / (1 - beta2**t) -> X")),
    ("bias-correction-only-v", "only the second moment is corrected",
        "Both moments start at zero. Which of them are too small at first?",
        "Kingma and Ba 2015, section 3", "correction", each("X / (1 - beta1**t) -> X")),
    ("correction-multiplied", "the correction multiplies instead of dividing",
        "The moment is too small at first. Must it be made larger or smaller?",
        "convnetjs#70, #107", "correction", (
            ("X / (1 - B**t) -> X * (1 - B**t)",), ("X / (1 - beta1**t) -> X * (1 - beta1**t)",),
            ("X / (1 - beta2**t) -> X * (1 - beta2**t)",),
            ("X / (1 - B**t) -> X * (1 - B**t)",  # where eps stands before the correction
             "X / np.sqrt(1 - B**t) -> X * np.sqrt(1 - B**t)"))),
    ("correction-betas-swapped", "each moment is corrected with the other one's beta",
        "Which beta made the moment that you correct?",
        "derived from Algorithm 1", "correction", (
            ("m / (1 - beta1**t) -> m / (1 - beta2**t)",
             "v / (1 - beta2**t) -> v / (1 - beta1**t)"),
            ("v / (1 - beta2**t) -> v / (1 - beta1**t)",),
            ("m / (1 - beta1**t) -> m / (1 - beta2**t)",))),
    ("correction-beta-times-t", "the correction has beta * t for beta ** t",
        "How much of the start is left after t steps, if each keeps the share beta?",
        "AdaBound-tf#3", "correction", each(
            "B**t -> B * t", "beta1**t -> beta1 * t", "beta2**t -> beta2 * t")),
    ("correction-without-power", "the correction is 1 - beta at every step",
        "The correction depends on the step count. Where is it in your formula?",
        "PennyLane#1929", "correction",
        each("B**t -> B", "beta1**t -> beta1", "beta2**t -> beta2")),
    ("correction-power-misplaced", "the correction is (1 - beta) ** t",
        "What is raised to the power t: what is kept, or what is added?",
        "derived from Algorithm 1", "correction", each(
            "1 - B**t -> (1 - B)**t", "1 - beta1**t -> (1 - beta1)**t",
            "1 - beta2**t -> (1 - beta2)**t")),
    ("correction-parenthesis-missing", "the correction divides by 1 and subtracts beta ** t",
        "In which order does Python compute m / 1 - x?",
        "derived from Algorithm 1", "correction", each(
            "X / (1 - B**t) -> X / 1 - B**t", "X / (1 - beta1**t) -> X / 1 - beta1**t",
            "X / (1 - beta2**t) -> X / 1 - beta2**t")),
    ("correction-not-from-one", "the correction divides by beta ** t",
        "What share of the start is gone after t steps, and what share is left?",
        "derived from Algorithm 1", "correction", each(
            "1 - B**t -> B**t", "1 - beta1**t -> beta1**t", "1 - beta2**t -> beta2**t")),
    ("correction-unasked", "a moment is corrected that this rule does not correct",
        "Which rules correct their moments for the start at zero?",
        "Adam's correction in RMSProp or momentum", "correction", each(
            "variance = v -> variance = v / (1 - alpha**t)",
            "step = lr * b -> step = lr * (b / (1 - momentum**t))")),
    # --- the denominator and the step ---
    ("eps-inside-sqrt", "eps is added under the root",
        "Is eps added to the squares or to their root?",
        "fast.ai, the slides, Keras and optax do it on purpose", "eps",
        each("np.sqrt(X) + eps -> np.sqrt(X + eps)")),
    ("eps-added-to-step", "eps is added after the division",
        "Which has precedence, the fraction line or the plus before eps?",
        "d2l's TensorFlow tab", "eps", (
            ("np.sqrt(X) + eps -> np.sqrt(X)", "next_w = X -> next_w = X + eps"),
            ("np.sqrt(X) + eps -> np.sqrt(X)", "next_w = w - X -> next_w = w - (X + eps)"),
            ("np.sqrt(X) + eps -> np.sqrt(X)", "step = lr * X / Y -> step = lr * (X / Y + eps)"),
            ("np.sqrt(X) + eps -> np.sqrt(X)", "step = lr * X / Y -> step = (lr / Y + eps) * X"))),
    ("eps-twice", "eps is added under the root and outside",
        "How often is eps needed to keep a denominator above zero?",
        "derived from the two places of eps", "eps", each(
            "np.sqrt(X) + eps -> np.sqrt(X + eps) + eps",
            "np.sqrt(X) + eps -> np.sqrt(X) + 2 * eps",
            "np.sqrt(X + eps) -> np.sqrt(X + eps) + eps")),
    ("eps-squared", "eps is squared", "Which unit does eps have where it is added?",
        "derived from the two places of eps", "eps", each(
            "np.sqrt(X) + eps -> np.sqrt(X + eps**2)", "np.sqrt(X) + eps -> np.sqrt(X) + eps**2",
            "np.sqrt(X + eps) -> np.sqrt(X + eps**2)", "np.sqrt(X + eps) -> np.sqrt(X) + eps**2")),
    ("eps-as-least-value", "the denominator is the larger of the root and eps",
        "Is eps added, or is it a lower bound?", "derived", "eps", each(
            "np.sqrt(X) + eps -> np.maximum(np.sqrt(X), eps)",
            "np.sqrt(X + eps) -> np.sqrt(np.maximum(X, eps))")),
    ("eps-outside-sqrt", "eps is added to the root",
        "Is eps added to the squares or to their root?",
        "PyTorch does it on purpose", "eps", each("np.sqrt(X + eps) -> np.sqrt(X) + eps")),
    ("eps-multiplied", "eps multiplies the root", "How small does your denominator get?",
        "a public solution of CS231n A2", "eps", each("np.sqrt(X) + eps -> np.sqrt(X) * eps")),
    ("eps-missing", "eps is missing", "What happens where a gradient has always been zero?",
        "Kingma and Ba 2015, Algorithm 1", "eps", each(
            "np.sqrt(X) + eps -> np.sqrt(X)", "np.sqrt(X + eps) -> np.sqrt(X)")),
    ("missing-sqrt", "the root of the second moment is missing",
        "Which unit does the denominator have, and which should it have?",
        "CS231n notes", "sqrt", each("np.sqrt(X) -> X")),
    ("correction-outside-sqrt", "the root is taken before the second moment is corrected",
        "Correct first and take the root, or the other way round?",
        "pytorch_optimizer#159, #308", "correction", each(
            "np.sqrt(v_hat) -> np.sqrt(v) / (1 - beta2**t)",
            "np.sqrt(v_hat) + eps -> (np.sqrt(v) + eps) / (1 - beta2**t)")),
    ("numerator-is-gradient", "the step is made of the gradient, not of its moment",
        "What is the first moment used for?", "derived from Algorithm 1", "numerator",
        each("lr * m_hat -> lr * g", "lr * b -> lr * g", "w + b -> w - lr * g")),
    ("root-multiplies", "the step is multiplied by the root, not divided",
        "Should a weight with large gradients take larger or smaller steps?",
        "derived from Algorithm 1", "sqrt", each("lr * X / denominator -> lr * X * denominator")),
    ("root-of-quotient", "the root is taken of the whole fraction",
        "What stands under the root?", "derived from Algorithm 1", "sqrt", (
            ("lr * X / denominator -> lr * np.sqrt(X / denominator)",
             "np.sqrt(X) + eps -> X + eps"),)),
    ("moments-exchanged", "numerator and denominator have changed places",
        "Which moment says where to go, and which how far?",
        "derived from Algorithm 1", "numerator", ((
            "lr * m_hat -> lr * v_hat", "np.sqrt(v_hat) -> np.sqrt(m_hat)"),)),
    ("moment-used-twice", "numerator and denominator are made of the same moment",
        "Which moment says where to go, and which how far?",
        "m / (1 - beta2**t), copied and half changed", "numerator", each(
            "v_hat = v / X -> v_hat = m / X", "m_hat = m / X -> m_hat = v / X")),
    ("looks-ahead", "the step looks ahead, as Nesterov's does",
        "Which velocity moves the weights: the new one, or the one after it?",
        "Nesterov's rule where momentum is asked for", "numerator", each(
            "step = lr * b -> step = lr * (g + momentum * b)", "w + b -> w + momentum * b - lr * g",
            "lr * m_hat -> lr * (beta1 * m_hat + (1 - beta1) * g / (1 - beta1**t))")),
    ("nesterov-without-previous-velocity", "the look-ahead forgets the previous velocity",
        "Two velocities meet in this formula. Which of them did you overwrite?",
        "CS231n notes; keras#14115, caffe#53", "look-ahead", each(
            "look_ahead = X -> look_ahead = b", "look_ahead = X -> look_ahead = (1 + momentum) * b",
            "look_ahead = X -> look_ahead = momentum * b",
            "lr * g - momentum * b -> -b", "lr * g - momentum * b -> -((1 + momentum) * b)",
            "lr * g - momentum * b -> -(momentum * b)")),
    ("nesterov-sign", "the look-ahead goes back instead of ahead",
        "Where will the velocity carry the weights next?",
        "pytorch#5920, mlpack#1279", "look-ahead", each(
            "g + momentum * b -> g - momentum * b",
            "lr * g - momentum * b -> lr * g + momentum * b",
            "lr * g - momentum * b -> -((1 + momentum) * b + momentum * b_old)",
            "look_ahead = X -> look_ahead = (1 + momentum) * b + momentum * b_old")),
    ("nesterov-velocities-swapped", "the new and the previous velocity have changed places",
        "Two velocities meet in this formula. Which of them is the new one?",
        "derived from CS231n's form", "look-ahead", each(
            "lr * g - momentum * b -> momentum * b - (1 + momentum) * b_old",
            "look_ahead = X -> look_ahead = (1 + momentum) * b_old - momentum * b")),
    ("nesterov-looks-too-far", "the look-ahead goes further than one step of momentum",
        "How far will the velocity carry the weights in the next step?",
        "derived from PyTorch's form", "look-ahead", each(
            "g + momentum * b -> g + b", "g + momentum * b -> g + momentum * (g + momentum * b)",
            "lr * g - momentum * b -> lr * g - b",
            "lr * g - momentum * b -> lr * g - momentum * (momentum * b - lr * g)")),
    # --- weight decay ---
    ("decay-coupled", "the decay is added to the gradient",
        "Do the moments see the decay, or only the weights?",
        "AdamW: Loshchilov and Hutter 2019", "decay",
        each("w = w * (1 - lr * weight_decay) -> g = g + weight_decay * w")),
    ("decay-decoupled", "the decay shrinks the weights directly",
        "Do the moments see the decay, or only the weights?",
        "AdamW: Loshchilov and Hutter 2019", "decay",
        each("g = g + weight_decay * w -> w = w * (1 - lr * weight_decay)")),
    ("decay-after-step", "the weights decay after the step",
        "Which weights shrink: those before or those after the step?",
        "bitsandbytes#2010, #2040; TinyTorch and CS336 do it on purpose", "order", (
            ("w = w * X -> pass", "next_w = w - Y -> next_w = (w - Y) * (1 - lr * weight_decay)"),
            ("w = w * X -> pass",
             "next_w = w + Y -> next_w = (w + Y) * (1 - lr * weight_decay)"))),
    ("decay-not-in-second-moment", "the second moment does not see the decay",
        "If the decay is part of the gradient, who must see it?",
        "derived from L2 regularization", "decay", (
            ("g = g + weight_decay * w -> pass",
             "(1 - beta1) * g -> (1 - beta1) * (g + weight_decay * w)"),
            ("g = g + weight_decay * w -> pass", "lr * m_hat -> lr * (m_hat + weight_decay * w)"),
            ("g = g + weight_decay * w -> pass",
             "lr * g / denominator -> lr * (g + weight_decay * w) / denominator"),
            ("w = w * (1 - lr * weight_decay) -> pass",
             "lr * m_hat -> lr * (m_hat + weight_decay * w)"))),
    ("decay-both-ways", "the decay is added to the gradient, and shrinks the weights too",
        "How many times does the decay reach the weights?",
        "a subclass that decays what its parent has decayed", "decay", (
            ("g = g + weight_decay * w -> "
             "g, w = g + weight_decay * w, w * (1 - lr * weight_decay)",),
            ("w = w * (1 - lr * weight_decay) -> "
             "g, w = g + weight_decay * w, w * (1 - lr * weight_decay)",))),
    ("decay-of-sign", "the decay has the same size for every weight",
        "What is the derivative of w**2 / 2, and of |w|?", "L1 for L2", "decay-size", each(
            "weight_decay * w -> weight_decay * np.sign(w)",
            "w * (1 - lr * weight_decay) -> w - lr * weight_decay * np.sign(w)")),
    ("decay-not-derived", "the penalty itself is added, not its derivative",
        "What does a penalty do to a gradient: what has to be added?",
        "derived from L2 regularization", "decay-size", each(*(
            f"weight_decay * w -> {factor}weight_decay * {penalty}"
            for factor in ("", "0.5 * ") for penalty in ("(w * w)", "np.sum(w * w)")))),
    ("decay-not-times-lr", "the decay is not scaled by the learning rate",
        "What happens to the decay when the learning rate goes to zero?",
        "tf/addons#2282, neural-fortran#152", "decay-size",
        (("1 - lr * weight_decay -> 1 - weight_decay",), (
            "g = g + weight_decay * w -> pass",
            "step = lr * g -> step, w = lr * g, w * (1 - weight_decay)"))),
    ("decay-times-lr-twice", "the learning rate scales the decay twice",
        "How often does the learning rate meet the decay on its way to the weights?",
        "derived", "decay-size", each(
            "g + weight_decay * w -> g + lr * weight_decay * w",
            "1 - lr * weight_decay -> 1 - lr * lr * weight_decay")),
    ("decay-half", "the decay is half as large", "What is the derivative of w**2 / 2, and of w**2?",
        "derived", "decay-size", each("weight_decay -> 0.5 * weight_decay")),
    ("decay-double", "the decay is twice as large",
        "What is the derivative of w**2 / 2, and of w**2?",
        "derived", "decay-size", each("weight_decay -> 2 * weight_decay")),
    ("decay-sign", "the decay makes the weights grow", "Should decay bring weights nearer to zero?",
        "derived", "decay-size", each("weight_decay -> -weight_decay")),
    ("decay-ignored", "the decay is not applied", "What is weight_decay used for?",
        "derived", "decay-size", each("weight_decay -> 0")),
    # --- the learning rate and the direction ---
    ("lr-squared", "the learning rate is applied twice",
        "How often does the learning rate meet a gradient on its way to the weights?",
        "derived", "lr", each(*(f"{x} -> lr * ({x})" for x in SCALED))),
    ("lr-missing", "the learning rate is not used", "What scales the step?",
        "derived", "lr", each(*(f"{x} -> {x[5:]}" for x in SCALED))),
    ("lr-change-ignored", "the learning rate of the first step is used for ever",
        "Where does the step read its learning rate, and when?",
        "a rate copied when the optimizer was made", "lr-time", each("lr -> lr_first")),
    ("lr-decays", "the learning rate falls with the step count",
        "Who decides about the schedule of the learning rate?",
        "the rate of the convergence theorem, Kingma and Ba 2015, section 4", "lr-time",
        each("lr -> lr / np.sqrt(t)", "lr -> lr / t")),
    ("ascent", "the weights climb instead of descending",
        "Does the gradient point up or down the loss?",
        "UMD's course climbs on purpose", "ascent", each(
            "next_w = w - X -> next_w = w + X", "next_w = w + X -> next_w = w - X",
            "next_w = (w - X) * Y -> next_w = (w + X) * Y",
            "g + weight_decay * w -> -g + weight_decay * w")),
    ("step-returned", "the weights are replaced by the step",
        "What does the step change: from where does it start?", "next_w = -lr * dw", "place", each(
            "next_w = w - X -> next_w = -(X)", "next_w = w + X -> next_w = X")),
    ("one-parameter-updated", "one of the parameters is updated, the others are not",
        "What is inside your loop over the parameters, and what behind it?",
        "a return or an indentation", "place", each(
            "next_w = X -> next_w = X if position == 0 else w_old",
            "next_w = X -> next_w = X if position == last else w_old")),
    ("parameter-not-updated-in-place", "the weights that the model holds do not change",
        "Who else holds the array that you update? Does a new name reach it?",
        "oneflow#4896", "place", each(
            "next_w = X -> next_w = w_old")),
    # --- the step count and the betas: names, exchanged wherever they stand ---
    ("betas-swapped", "beta1 and beta2 have changed places",
        "Which of the moments forgets faster?", "derived from Algorithm 1", "betas",
        (("beta1 -> beta_", "beta2 -> beta1", "beta_ -> beta2"),)),
    ("one-beta-for-both", "both moments use one beta", "Which beta belongs to which moment?",
        "derived from Algorithm 1", "betas", each(
            "beta2 -> beta1", "beta1 -> beta2",
            "beta2 * v + (1 - beta2) * X -> beta1 * v + (1 - beta1) * X",
            "beta1 * m + (1 - beta1) * X -> beta2 * m + (1 - beta2) * X")),
    ("hyperparameter-ignored", "a hyperparameter is a number in the code",
        "Which numbers must change when the caller asks for others?",
        "derived", "ignored", IGNORED),
    ("t-starts-at-zero", "the first step is counted as step 0",
        "How large is beta ** t at the first step?",
        "public solutions of CS231n A2", "t", each("t -> t - 1", "t -> t - cold")),
    ("t-off-by-one", "the first step is counted as step 2",
        "What is t when the first gradient comes?",
        "public solutions of CS231n A2", "t", each("t -> t + 1", "t -> t + cold")),
    ("t-counted-twice", "the step count grows by two", "Where, and how often, is t incremented?",
        "t incremented by the caller and by the function", "t", each("t -> 2 * t")),
    ("t-stuck", "the step count does not grow", "Who increments t, and where is it kept?",
        "OLMo-core#317", "t", each(
            "t -> t_first", "t -> 1", "t -> t_first - 1", "t -> t_first - 1 + cold")),
    ("t-per-parameter", "the step count grows with every parameter",
        "How often per step is t incremented if there are two parameters?",
        "flashlight#143, DiffSharp#292", "t", each("t -> t_each")),
    # --- seen from outside, not in the numbers ---
    ("gradient-mutated", "the step changes the gradient it was given",
        "Who owns the gradient? What will the next reader find in it?",
        "CAME#2 and needle's tests", "outside", ()),
)
# fmt: on

MISTAKES = {row[0]: Mistake(*row) for row in ROWS}

# Tried alone and in pairs; three at a time only in rules shorter than Adam's, where it would be a
# million.
RARER = frozenset("""moment-never-fades moment-coefficients-swapped square-missing
first-moment-of-square moments-are-one-array momentum-multiplies-gradient state-starts-at-constant
amsgrad-minimum amsgrad-max-over-elements correction-power-misplaced correction-parenthesis-missing
correction-not-from-one correction-unasked eps-twice eps-squared eps-as-least-value root-multiplies
root-of-quotient moments-exchanged looks-ahead nesterov-velocities-swapped nesterov-looks-too-far
decay-times-lr-twice decay-not-in-second-moment decay-both-ways decay-of-sign decay-not-derived
lr-change-ignored lr-decays one-parameter-updated one-beta-for-both hyperparameter-ignored
misplaced-parenthesis correction-betas-swapped moment-one-coefficient moment-used-twice
step-returned t-counted-twice""".split())
