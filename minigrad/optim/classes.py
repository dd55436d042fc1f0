"""PyTorch's optimizers: which options a rule gets, in PyTorch's order and with its defaults.

The one trick: there is nothing here but signatures. An optimizer that has several forms says in
`choose` which rule its options mean; the formulas are in rules.py.

Keywords that PyTorch does not have come last: error_if_nonfinite (see Optimizer), and form,
eps_inside_sqrt, decay, amsgrad="...", the slides' and papers' forms.
"""

from minigrad.optim import rules
from minigrad.optim.optimizer import Optimizer


def refuse_implementations(**switches):
    """PyTorch's choices among its own implementations: here there is one, and it is fast."""
    for name, value in switches.items():
        if value is not None and value is not False:
            raise ValueError(f"{name}={value!r} chooses among PyTorch's implementations, minigrad "
                             f"has one; leave {name} out")


class SGD(Optimizer, rule=rules.sgd):
    """Gradient descent, with momentum or Nesterov momentum: rules `sgd`, `momentum`, `nesterov`.

    The first momentum buffer is the gradient itself. form="sutskever" keeps lr inside the buffer.
    Raises ValueError for nesterov without momentum or with dampening. (torch.optim.SGD)
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
                 maximize=False, foreach=None, differentiable=False, fused=None, form="torch",
                 error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, differentiable=differentiable, fused=fused)
        self.start(params, rules.sgd, dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize, form=form,
            error_if_nonfinite=error_if_nonfinite))

    def choose(self, options):
        if options["nesterov"]:
            if options["momentum"] == 0 or options["dampening"] != 0:
                raise ValueError("SGD: Nesterov momentum requires a momentum and zero dampening; "
                                 f"it is momentum={options['momentum']}, "
                                 f"dampening={options['dampening']}")
            return rules.nesterov, {}
        if options["form"] == "sutskever" and options["dampening"] != 0:
            raise ValueError("SGD: form='sutskever' has no dampening; leave dampening at 0")
        return (rules.momentum if options["momentum"] else rules.sgd), {}


class Adagrad(Optimizer, rule=rules.adagrad):
    """A learning rate per weight that only falls: rule `adagrad`. (torch.optim.Adagrad)

    eps_inside_sqrt=True is the form of slide equation (8), of Keras and of optax.
    """

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0,
                 eps=1e-10, foreach=None, *, maximize=False, differentiable=False, fused=None,
                 eps_inside_sqrt=False, error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, differentiable=differentiable, fused=fused)
        self.start(params, rules.adagrad, dict(
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
            eps_inside_sqrt=eps_inside_sqrt, error_if_nonfinite=error_if_nonfinite))


class RMSprop(Optimizer, rule=rules.rmsprop):
    """Gradients divided by their running root mean square: rule `rmsprop`. (torch.optim.RMSprop)

    eps_inside_sqrt=True is the form of slide equation (10), of Keras and of optax.
    """

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0,
                 centered=False, capturable=False, foreach=None, maximize=False,
                 differentiable=False, *, eps_inside_sqrt=False,
                 error_if_nonfinite=False):
        refuse_implementations(capturable=capturable, foreach=foreach,
                               differentiable=differentiable)
        self.start(params, rules.rmsprop, dict(
            lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize, eps_inside_sqrt=eps_inside_sqrt,
            error_if_nonfinite=error_if_nonfinite))


class Adam(Optimizer, rule=rules.adam):
    """Bias-corrected first and second moments: rules `adam`, `amsgrad`. (torch.optim.Adam)

    weight_decay is L2, through the moments. amsgrad=True is PyTorch's code, "corrected" the
    slides' and optax's form, "paper" that of Reddi et al. 2018.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
                 amsgrad=False, *, foreach=None, maximize=False, capturable=False,
                 differentiable=False, fused=None, decoupled_weight_decay=False,
                 error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, capturable=capturable,
                               differentiable=differentiable, fused=fused)
        self.start(params, rules.adam, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, decoupled_weight_decay=decoupled_weight_decay,
            error_if_nonfinite=error_if_nonfinite))

    def choose(self, options):
        if options["amsgrad"] is False:
            return rules.adam, {}
        convention = "torch" if options["amsgrad"] is True else options["amsgrad"]
        return rules.amsgrad, {"convention": convention}


class AdamW(Adam, rule=rules.adam):
    """Adam with weight decay past the moments: w shrinks by 1 - lr * weight_decay before the step.

    decay="paper" multiplies weight_decay by lr / initial lr instead of by lr, as Loshchilov and
    Hutter 2019 do, so that it does not depend on the learning rate itself. (torch.optim.AdamW)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2,
                 amsgrad=False, *, maximize=False, foreach=None, capturable=False,
                 differentiable=False, fused=None, decay="torch", error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, capturable=capturable,
                               differentiable=differentiable, fused=fused)
        self.start(params, rules.adam, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, decoupled_weight_decay=True, decay=decay,
            error_if_nonfinite=error_if_nonfinite))


class Adadelta(Optimizer, rule=rules.adadelta):
    """Updates that find their own size: rule `adadelta`. (torch.optim.Adadelta)"""

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *,
                 capturable=False, maximize=False, differentiable=False,
                 error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, capturable=capturable,
                               differentiable=differentiable)
        self.start(params, rules.adadelta, dict(
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class Adamax(Optimizer, rule=rules.adamax):
    """Adam with the largest gradient for the root mean square: rule `adamax`.
    (torch.optim.Adamax)"""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
                 foreach=None, *, maximize=False, differentiable=False, capturable=False,
                 error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, differentiable=differentiable,
                               capturable=capturable)
        self.start(params, rules.adamax, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class NAdam(Optimizer, rule=rules.nadam):
    """Adam with Nesterov's look-ahead: rule `nadam`. (torch.optim.NAdam)"""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
                 momentum_decay=4e-3, decoupled_weight_decay=False, *, foreach=None,
                 maximize=False, capturable=False, differentiable=False,
                 error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, capturable=capturable,
                               differentiable=differentiable)
        self.start(params, rules.nadam, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class RAdam(Optimizer, rule=rules.radam):
    """Adam that waits until its second moment is worth something: rule `radam`.
    (torch.optim.RAdam)"""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
                 decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
                 differentiable=False, error_if_nonfinite=False):
        refuse_implementations(foreach=foreach, capturable=capturable,
                               differentiable=differentiable)
        self.start(params, rules.radam, dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class Rprop(Optimizer, rule=rules.rprop):
    """A step size per weight, led by the signs of its gradients: rule `rprop`.

    Raises ValueError unless 0 < etas[0] < 1 < etas[1]. (torch.optim.Rprop)
    """

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *,
                 capturable=False, foreach=None, maximize=False, differentiable=False,
                 error_if_nonfinite=False):
        refuse_implementations(capturable=capturable, foreach=foreach,
                               differentiable=differentiable)
        self.start(params, rules.rprop, dict(
            lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class Lion(Optimizer, rule=rules.lion):
    """Steps of one size in the direction of the momentum's sign: rule `lion`. weight_decay is
    decoupled. (optax.lion, whose weight_decay is 1e-3 by default; the paper has 0)"""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0, *, maximize=False,
                 error_if_nonfinite=False):
        self.start(params, rules.lion, dict(
            lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize,
            error_if_nonfinite=error_if_nonfinite))


class Muon(Optimizer, rule=rules.muon):
    """Momentum with its singular values made equal, for weight matrices: rule `muon`.

    Everything but matrices (biases, norms), and by custom embeddings and the last layer, belongs
    to another optimizer. weight_decay is decoupled. Raises ValueError for parameters of other
    than two dimensions. (torch.optim.Muon)
    """

    def __init__(self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
                 ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, ns_steps=5,
                 adjust_lr_fn=None, *, maximize=False, error_if_nonfinite=False):
        self.start(params, rules.muon, dict(
            lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
            ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn, maximize=maximize, error_if_nonfinite=error_if_nonfinite))
