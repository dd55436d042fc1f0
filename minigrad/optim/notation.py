r"""Letters: what the slides, the papers and PyTorch's documentation call the quantities of a rule.

The one trick: the table is data. A name in a rule's source has, per notation, a text for terminals
and a symbol for LaTeX, in which # stands for the time of a state (t, or t-1 before it is updated)
and @ for the same counted from the other end (t+1, t), as the slides and some papers number
weights. A name without an entry keeps its letter.

The symbols clash on purpose, the sources do. beta is the parameters on the slides and the decay
rates in Kingma and Ba. gamma is the decay of RMSProp (9) and of Adam (11)-(14) on the slides, and
lr in PyTorch. tau is the momentum on the slides (4) and the dampening in PyTorch. v is the velocity
(4) and Adam's first moment (11) on the slides, everywhere else the second moment. alpha is lr in
Kingma and Ba, and RMSprop's decay in PyTorch.
"""

import unicodedata

NOTATIONS = ("slides", "paper", "torch")

THETA, X = ("theta", r"\theta_#"), ("x", "x_@")
EPSILON, LAMBDA = ("epsilon", r"\epsilon"), ("lambda", r"\lambda")
ALPHA, ETA, MU, GAMMA = [(n, "\\" + n) for n in ("alpha", "eta", "mu", "gamma")]
BETA1, BETA2 = ("beta1", r"\beta_1"), ("beta2", r"\beta_2")
M_HAT, V_HAT = ("m_hat", r"\hat{m}_#"), ("v_hat", r"\hat{v}_#")
SLOPE = ("dE_dw", r"\frac{\partial E}{\partial w}^{(#)}")
SQUARES = ("E[g^2]", "E[g^2_#]")
RHO_INF, RHO_T = ("rho_inf", r"\rho_\infty"), ("rho_t", r"\rho_t")
MU_T, MU_NEXT = ("mu_t", r"\mu_t"), ("mu_t+1", r"\mu_{t+1}")
MU_PRODUCT = ("prod(mu)", r"\left(\prod_{i=1}^{#} \mu_i\right)")
GROW = {"shrink": ("eta-", r"\eta^{-}"), "grow": ("eta+", r"\eta^{+}")}

# For every rule, unless its own table says otherwise.
# fmt: off
COMMON = {
    "slides": {"w": ("beta", r"\beta_@"), "g": ("grad_L", r"\nabla L"), "lr": ETA,
               "eps": ("epsilon", r"\varepsilon"), "weight_decay": LAMBDA},
    "paper":  {"w": THETA, "eps": EPSILON, "weight_decay": LAMBDA,
               "decay_rate": ("eta_t", r"\eta_t")},   # Loshchilov and Hutter: schedule multiplier
    "torch":  {"w": THETA, "lr": GAMMA, "eps": EPSILON, "weight_decay": LAMBDA},
}

VELOCITY = {
    "slides": {"b": ("v", "v_#"), "momentum": ("tau", r"\tau")},
    "paper":  {"b": ("v", "v_#"), "momentum": MU, "lr": ("epsilon", r"\varepsilon"),
               "g": ("grad_f", r"\nabla f")},          # Sutskever et al. 2013, eq. 1 to 4
    "torch":  {"momentum": MU, "b": ("b", r"\mathbf{b}_#")},
}
MOMENTS = {
    "slides": {"m": ("v", "v_#"), "v": SQUARES, "m_hat": V_HAT,
               "v_hat": ("E_hat[g^2]", r"\hat{E}[g^2_#]"),
               "beta1": ("gamma1", r"\gamma_1"), "beta2": ("gamma2", r"\gamma_2")},
    "paper":  {"lr": ALPHA, "beta1": BETA1, "beta2": BETA2, "m_hat": M_HAT, "v_hat": V_HAT},
    "torch":  {"beta1": BETA1, "beta2": BETA2, "m_hat": M_HAT, "v_hat": V_HAT},
}


def also(table, **more):
    """A table with more entries, {notation: {...}}."""
    return {name: {**table[name], **more.get(name, {})} for name in NOTATIONS}


NONE = {name: {} for name in NOTATIONS}

LETTERS = {
    "sgd": also(NONE, paper={"lr": ETA}),
    "momentum": also(VELOCITY, torch={"dampening": ("tau", r"\tau")}),
    "nesterov": also(VELOCITY, slides={"look_ahead": ("grad_L'", r"\nabla L'")}),
    "adagrad": also(
        NONE,
        slides={"G": ("diag(G)", r"\mathrm{diag}(G_#)")},
        paper={"w": X, "lr": ETA, "eps": ("delta", r"\delta")},
        torch={"G": ("state_sum", r"\mathrm{state\_sum}_#"), "lr_decay": ETA,
               "initial_accumulator_value": ("tau", r"\tau"),
               "rate": ("gamma~", r"\tilde{\gamma}")}),
    "rmsprop": also(
        NONE,
        slides={"v": SQUARES, "alpha": GAMMA, "momentum": ("tau", r"\tau")},
        paper={"w": ("w", "w_#"), "g": SLOPE,
               "v": ("MeanSquare", r"\mathrm{MeanSquare}(w, #)")},
        torch={"alpha": ALPHA, "m": ("g_ave", r"g^{ave}_#"), "variance": ("v~", r"\tilde{v}_t"),
               "b": ("b", r"\mathbf{b}_#"), "momentum": MU}),
    "adadelta": also(
        NONE,
        slides={"v": SQUARES},
        paper={"w": X, "rho": ("rho", r"\rho"), "v": ("E[g^2]", "E[g^2]_#"),
               "u": ("E[dx^2]", r"E[\Delta x^2]_#")},
        torch={"rho": ("rho", r"\rho"), "dx": ("dx", r"\Delta x_#")}),
    "adam": MOMENTS,
    "adamw": MOMENTS,
    "amsgrad": also(
        MOMENTS,
        slides={"v_max": ("E_max[g^2]", r"\hat{E}^{max}[g^2_#]"),
                "v_hat": ("E'[g^2]", r"E'[g^2_#]"), "v_used": ("E_hat[g^2]", r"\hat{E}[g^2_#]")},
        paper={"w": X, "v_max": V_HAT, "v_hat": ("v'", "v'_#"), "v_used": ("v''", "v''_#")},
        torch={"v_max": ("v_max", r"v^{max}_#"), "v_hat": ("v'", "v'_#"), "v_used": V_HAT}),
    "adamax": MOMENTS,
    "nadam": also(
        MOMENTS,
        paper={"v": ("n", "n_#"), "v_hat": ("n_hat", r"\hat{n}_#"), "beta1": MU,
               "beta2": ("nu", r"\nu"), "m_hat": ("m_bar", r"\bar{m}_#"), "mu": MU_T,
               "mu_next": MU_NEXT, "mu_product": MU_PRODUCT},
        torch={"mu": MU_T, "mu_next": MU_NEXT, "mu_product": MU_PRODUCT,
               "momentum_decay": ("psi", r"\psi")}),
    "radam": also(
        MOMENTS,
        slides={"rho_inf": RHO_INF, "rho": RHO_T},
        paper={"rho_inf": RHO_INF, "rho": RHO_T, "rectifier": ("r_t", "r_t")},
        torch={"rho_inf": RHO_INF, "rho": RHO_T, "rectifier": ("r_t", "r_t")}),
    "rprop": also(
        NONE,
        slides={"previous": ("grad_L'", r"\nabla L'")},
        paper={**GROW, "w": ("w", "w_#"), "g": SLOPE, "previous": ("dE_dw'", SLOPE[1]),
               "size": ("Delta", r"\Delta_#"), "lr": ("Delta_0", r"\Delta_0"),
               "least": ("Delta_min", r"\Delta_{min}"), "most": ("Delta_max", r"\Delta_{max}")},
        torch={**GROW, "previous": ("g_prev", "g_{prev}"), "size": ("eta", r"\eta_#"),
               "lr": ("eta_0", r"\eta_0"), "least": ("Gamma_min", r"\Gamma_{min}"),
               "most": ("Gamma_max", r"\Gamma_{max}")}),
    "lion": also(MOMENTS, paper={"lr": ETA}),
    "muon": also(
        NONE,
        slides={"momentum": ("tau", r"\tau")},
        paper={"g": ("G", "G_#"), "b": ("B", "B_#"), "momentum": MU, "lr": ETA,
               "direction": ("O", "O_#")},
        torch={"b": ("B", "B_#"), "momentum": MU, "direction": ("O", "O_#"),
               "look_ahead": ("B~", r"\tilde{B}_#")}),
}

# The slide's equation for a quantity of a rule: the first whose hyperparameters are those given.
INSIDE = {"eps_inside_sqrt": True}
ADAM = {"m": [("slide (11)", {})], "v": [("slide (13)", {})]}
EQUATIONS = {
    "sgd":      {"w": [("slide Recap", {})]},
    "momentum": {"b": [("slide (4)", {"form": "torch", "dampening": 0})],
                 "w": [("slide (5)", {"form": "torch"})]},
    "adagrad":  {"G": [("slide (7)", {})],
                 "w": [("slide (8)", INSIDE), ("slide (8), eps outside", {})]},
    "rmsprop":  {"v": [("slide (9)", {})],
                 "w": [("slide (10)", {"momentum": 0, "centered": False, **INSIDE}),
                       ("slide (10), eps outside", {"momentum": 0, "centered": False})]},
    "adam":     {**ADAM, "m_hat": [("slide (14)", {})], "v_hat": [("slide (14)", {})],
                 "w": [("slide (15)", {})]},
    "adamw":    {"w": [("slide (16)", {})]},
    "amsgrad":  {**ADAM, "m_hat": [("slide (14)", {"convention": "torch"}),
                                   ("slide (14)", {"convention": "corrected"})],
                 "v_max": [("slide pseudo-code", {"convention": "corrected"})]},
    "update":   {"w": [("slide (16)", {})], "g": [("slide pseudo-code", {})]},
}
# fmt: on

GREEK = {n: "\\" + n for n in (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega").split()}
GREEK |= {unicodedata.lookup("GREEK SMALL LETTER " + n.replace("lambda", "lamda")): "\\" + n
          for n in GREEK if n.islower()}
GREEK |= {"eps": r"\epsilon", "lambda_": r"\lambda"}
ACCENTS = {"hat": "hat", "bar": "bar", "tilde": "tilde"}


def letters(rule, notation):
    """{name in the source: (text, LaTeX)} of a built-in rule, by its name; {} for notation None
    and for rules of the user's (""), which keep their letters.

    Raises ValueError for a notation that is none of "slides", "paper", "torch".
    """
    if notation is None:
        return {}
    if notation not in NOTATIONS:
        raise ValueError(f'notation is {notation!r}; it is "slides", "paper" or "torch", or None '
                         "for the letters of the source")
    if not rule:
        return {}
    return {**COMMON[notation], **LETTERS.get(rule, NONE)[notation]}


def equation(rule, name, hyperparameters):
    """"slide (11)" for a quantity of a built-in rule, or ""."""
    for text, holds in EQUATIONS.get(rule, {}).get(name, ()):
        if all(hyperparameters.get(key) == value for key, value in holds.items()):
            return text
    return ""


def symbol(name, scope):
    """A name as LaTeX, with its time."""
    pattern = scope.letters[name][1] if name in scope.letters else own_symbol(name, scope)
    old = name in scope.old
    return pattern.replace("#", "t-1" if old else "t").replace("@", "t" if old else "t+1").replace(
        "_t-1", "_{t-1}").replace("_t+1", "_{t+1}")


def own_symbol(name, scope):
    """The pattern of a name that keeps its letter: beta1 is \\beta_1, m_hat is \\hat{m}_#."""
    first, *rest = name.split("_")
    digits = first[len(first.rstrip("0123456789")):]
    stem = first[:len(first) - len(digits)]
    base = GREEK.get(stem, stem if len(stem) == 1 else None)
    if name in GREEK:
        base, rest, digits = GREEK[name], [], ""
    if base is None:
        return rf"\mathrm{{{name}}}".replace("_", r"\_")
    if rest and rest[0] in ACCENTS:
        base = rf"\{ACCENTS[rest.pop(0)]}{{{base}}}"
    below = ([digits] if digits else []) + [rf"\mathrm{{{word}}}" for word in rest if word]
    if name in scope.moving:
        below.append("#")
    if not below:
        return base
    return f"{base}_{below[0]}" if below in (["#"], [digits]) else f"{base}_{{{', '.join(below)}}}"
