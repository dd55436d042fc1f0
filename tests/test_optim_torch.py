"""Trajectories equal PyTorch's (Lion: optax's): every option crossed, gradients over eleven
decades, float64.

Run as a program (`python tests/test_optim_torch.py`) this file writes golden_optim.json, the
stored part of the same trajectories, by which test_optim_optimizers.py checks without PyTorch.
"""

import importlib.util
import inspect
import itertools
import json
import pathlib

import numpy as np
import pytest

import minigrad

torch = pytest.importorskip("torch")
GOLDEN = pathlib.Path(__file__).with_name("golden_optim.json")


def crossed(**options):
    """All combinations of the options' values, as dicts."""
    return [dict(zip(options, values)) for values in itertools.product(*options.values())]


COMMON = {"weight_decay": [0, 0.1], "maximize": [False, True]}
ADAM = {"betas": [(0.9, 0.999), (0.5, 0.8)], "eps": [1e-8, 1e-3], "amsgrad": [False, True]}
# fmt: off
CASES = [("SGD", {"lr": 0.01, **o}) for o in
         crossed(momentum=[0], **COMMON)
         + crossed(momentum=[0.9], dampening=[0, 0.3], **COMMON)
         + crossed(momentum=[0.9], nesterov=[True], **COMMON)]
CASES += [("Adagrad", {"lr": 0.05, **o}) for o in
          crossed(lr_decay=[0, 0.1], initial_accumulator_value=[0, 0.2], eps=[1e-10, 1e-3],
                  **COMMON)]
CASES += [("RMSprop", {"lr": 0.01, **o}) for o in
          crossed(alpha=[0.99, 0.8], momentum=[0, 0.9], centered=[False, True], eps=[1e-8, 1e-3],
                  **COMMON)]
CASES += [("Adam", {"lr": 0.01, **o}) for o in
          crossed(**ADAM, decoupled_weight_decay=[False, True], **COMMON)]
CASES += [("AdamW", {"lr": 0.01, **o}) for o in crossed(**ADAM, **COMMON)]
CASES += [("Adadelta", {"lr": 0.5, **o}) for o in
          crossed(rho=[0.9, 0.5], eps=[1e-6, 1e-3], **COMMON)]
CASES += [("Adamax", {"lr": 0.01, **o}) for o in
          crossed(betas=ADAM["betas"], eps=ADAM["eps"], **COMMON)]
CASES += [("NAdam", {"lr": 0.01, **o}) for o in
          crossed(betas=ADAM["betas"], momentum_decay=[4e-3, 0.3],
                  decoupled_weight_decay=[False, True], **COMMON)]
CASES += [("RAdam", {"lr": 0.01, **o}) for o in
          crossed(betas=ADAM["betas"], eps=ADAM["eps"], decoupled_weight_decay=[False, True],
                  **COMMON)]
CASES += [("Rprop", {"lr": 0.01, **o}) for o in
          crossed(etas=[(0.5, 1.2), (0.3, 2.0)], step_sizes=[(1e-6, 50), (0.005, 0.03)],
                  maximize=[False, True])]
CASES += [("Lion", {"lr": 0.01, **o}) for o in
          crossed(betas=[(0.9, 0.99), (0.5, 0.8)], **COMMON)]
# fmt: on
NAMES = ["SGD", "Adagrad", "RMSprop", "Adam", "AdamW", "Adadelta", "Adamax", "NAdam", "RAdam",
         "Rprop", "Muon"]
SHAPES = [(3, 2), (5,)]


def problem(steps, seed=0, shapes=SHAPES):
    """Start weights, some 0, and gradients from 1e-9 to 1e2: with single zeros, a step of zeros,
    and a step at which one parameter has none."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape) * (rng.random(shape) < 0.6) for shape in shapes]
    gradients = []
    for t in range(steps):
        gradients.append([10 ** rng.uniform(-9, 2, shape) * rng.choice([-1, 1], shape)
                          * (rng.random(shape) < 0.85) for shape in shapes])
    gradients[2] = [np.zeros(shape) for shape in shapes]
    gradients[4][1] = None
    return weights, gradients


def trajectory(library, name, options, weights, gradients):
    """The weights after every step, flattened: an array of shape (steps, numbers)."""
    if library is torch and name == "Lion":
        return lion_trajectory(options, weights, gradients)
    if library is torch:
        make = lambda a: torch.tensor(a, dtype=torch.float64)
        params = [torch.nn.Parameter(make(w)) for w in weights]
        numbers = lambda p: p.detach().numpy().ravel().copy()
    else:
        make = minigrad.tensor
        params = [minigrad.tensor(w, requires_grad=True) for w in weights]
        numbers = lambda p: p.numpy().ravel().copy()
    optimizer = getattr(library.optim, name)(params, **options)
    path = []
    for step in gradients:
        for p, g in zip(params, step):
            p.grad = None if g is None else make(g)
        optimizer.step()
        path.append(np.concatenate([numbers(p) for p in params]))
    return np.array(path)


def lion_trajectory(options, weights, gradients):
    """As `trajectory`, by optax: PyTorch has no Lion."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    sign = -1 if options["maximize"] else 1
    b1, b2 = options["betas"]
    with jax.enable_x64(True):
        rule = optax.lion(options["lr"], b1=b1, b2=b2, weight_decay=options["weight_decay"])
        weights = [jax.numpy.asarray(w) for w in weights]
        states, path = [rule.init(w) for w in weights], []
        for step in gradients:
            for i, g in enumerate(step):
                if g is not None:
                    change, states[i] = rule.update(sign * g, states[i], weights[i])
                    weights[i] = optax.apply_updates(weights[i], change)
            path.append(np.concatenate([np.ravel(w) for w in weights]))
    return np.array(path)


@pytest.fixture(autouse=True)
def exact_numbers():
    """NAdam's product of momenta is in PyTorch's default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_same(ours, theirs, rtol=1e-9):
    """Equal to rtol of each number's own largest value on the way."""
    scale = np.abs(theirs).max(axis=0)
    worst = np.abs(ours - theirs) / np.where(scale > 0, scale, 1)
    step = worst.max(axis=1).argmax()
    assert worst.max() <= rtol, f"relative difference {worst.max():.1e} at step {step}"


@pytest.mark.parametrize("name, options", CASES)
def test_sixty_steps_equal_torch(name, options):
    weights, gradients = problem(60)
    assert_same(*(trajectory(library, name, options, weights, gradients)
                  for library in (minigrad, torch)))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_defaults_groups_and_changing_rates_equal_torch(name):
    weights, gradients = problem(30, seed=1)
    paths = []
    for library in (minigrad, torch):
        params = [library.tensor(w, dtype=library.float64, requires_grad=True) for w in weights]
        own = {"lr": 0.1} if name == "Rprop" else {"lr": 0.1, "weight_decay": 0.3}
        optimizer = getattr(library.optim, name)(
            [{"params": params[:1]}, {"params": params[1:], **own}])
        path = []
        for t, step in enumerate(gradients):
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + t)
            for p, g in zip(params, step):
                p.grad = None if g is None else library.tensor(g, dtype=library.float64)
            optimizer.step()
            path.append(np.concatenate([p.detach().numpy().ravel().copy() for p in params]))
        paths.append(np.array(path))
    assert_same(*paths)


@pytest.mark.parametrize("name", NAMES)
def test_constructors_have_torchs_arguments_in_torchs_order(name):
    ours, theirs = (inspect.signature(getattr(library.optim, name)).parameters.values()
                    for library in (minigrad, torch))
    ours, theirs = ([(p.name, p.kind, p.default) for p in parameters]
                    for parameters in (ours, theirs))
    assert ours[:len(theirs)] == theirs
    assert all(kind == inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(theirs):])


@pytest.mark.parametrize("name", NAMES)
def test_the_repr_is_torchs_without_the_implementation_switches(name):
    ours, theirs = (repr(getattr(library.optim, name)([library.ones(2, 2, requires_grad=True)]))
                    for library in (minigrad, torch))
    own = ("form", "eps_inside_sqrt", "decay", "error_if_nonfinite")
    own += ("maximize",) if name == "Muon" else ()
    switches = ("foreach", "fused", "capturable", "differentiable")
    kept = lambda text, left_out: [line for line in text.splitlines()
                                   if line.strip().split(":")[0] not in left_out]
    assert kept(ours, own) == kept(theirs, switches)


def test_the_step_of_a_closure_is_torchs():
    results = []
    for library in (minigrad, torch):
        w = library.tensor([1.0, -2.0], dtype=library.float64, requires_grad=True)
        optimizer = library.optim.SGD([w], lr=0.1, momentum=0.9)

        def closure(w=w, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (w * w).sum()
            loss.backward()
            return loss
        losses = [optimizer.step(closure).item() for _ in range(5)]
        results.append(losses + w.tolist())
    assert results[0] == pytest.approx(results[1], rel=1e-14)


# --- schedulers ----------------------------------------------------------------------------------

# fmt: off
SCHEDULES = [
    ("StepLR",            {"step_size": 3, "gamma": 0.5}),
    ("StepLR",            {"step_size": 1}),
    ("MultiStepLR",       {"milestones": [5, 2, 5, 9], "gamma": 0.3}),
    ("ExponentialLR",     {"gamma": 0.9}),
    ("LinearLR",          {}),
    ("LinearLR",          {"start_factor": 0.25, "end_factor": 0.5, "total_iters": 4}),
    ("LinearLR",          {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 10}),
    ("CosineAnnealingLR", {"T_max": 6}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.1}),
    ("CosineAnnealingLR", {"T_max": 1}),
    ("LambdaLR",          {"lr_lambda": lambda epoch: 0.95 ** epoch}),
    ("LambdaLR",          {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: epoch]}),
    ("OneCycleLR",        {"max_lr": 1.0, "total_steps": 25}),
    ("OneCycleLR",        {"max_lr": [1.0, 0.3], "epochs": 5, "steps_per_epoch": 5,
                           "anneal_strategy": "linear"}),
    ("OneCycleLR",        {"max_lr": 1.0, "total_steps": 25, "three_phase": True, "pct_start": 0.4,
                           "base_momentum": [0.7, 0.8], "max_momentum": 0.9, "div_factor": 10.0}),
    ("OneCycleLR",        {"max_lr": 1.0, "total_steps": 25, "cycle_momentum": False}),
    ("ConstantLR",        {}),
    ("ConstantLR",        {"factor": 0.7, "total_iters": 1}),
    ("ConstantLR",        {"factor": 1.0}),
    ("PolynomialLR",      {}),
    ("PolynomialLR",      {"total_iters": 20, "power": 0.9}),
    ("MultiplicativeLR",  {"lr_lambda": lambda epoch: 0.9}),
    ("MultiplicativeLR",  {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: 1.1]}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
    ("CyclicLR",          {"base_lr": 0.8, "max_lr": 1.5, "step_size_up": 4}),
    ("CyclicLR",          {"base_lr": 0.8, "max_lr": [1.5, 1.0], "step_size_up": 3,
                           "step_size_down": 5, "mode": "triangular2",
                           "base_momentum": [0.6, 0.7], "max_momentum": 0.95}),
    ("CyclicLR",          {"base_lr": 0.8, "max_lr": 1.5, "step_size_up": 4,
                           "mode": "exp_range", "gamma": 0.9}),
    ("CyclicLR",          {"base_lr": 0.8, "max_lr": 1.5, "step_size_up": 4,
                           "cycle_momentum": False, "scale_fn": lambda x: 1 / x}),
    ("CyclicLR",          {"base_lr": 0.8, "max_lr": 1.5, "step_size_up": 4.5,
                           "scale_fn": lambda x: 0.9**x, "scale_mode": "iterations"}),
]
# fmt: on


def two_groups(library, name="SGD", **options):
    params = [library.ones(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.5}]
    return getattr(library.optim, name)(groups, lr=1.0, **options)


@pytest.mark.parametrize("optimizer, momentum", [("SGD", {"momentum": 0.9}), ("Adam", {})])
@pytest.mark.parametrize("name, options", SCHEDULES)
def test_schedules_equal_torchs(name, options, optimizer, momentum):
    sequences = []
    for library in (minigrad, torch):
        opt = two_groups(library, optimizer, **momentum)
        scheduler = getattr(library.optim.lr_scheduler, name)(opt, **options)
        rows = []
        for epoch in range(25):
            rows.append([*scheduler.get_last_lr(), scheduler.last_epoch]
                        + [g["lr"] for g in opt.param_groups]
                        + [g["initial_lr"] for g in opt.param_groups]
                        + [g.get("momentum", g.get("betas", [0])[0]) for g in opt.param_groups])
            if epoch == 12 and name in ("StepLR", "ExponentialLR", "MultiStepLR",
                                        "MultiplicativeLR", "ConstantLR", "PolynomialLR"):
                opt.param_groups[0]["lr"] = 0.7  # a hand on the wheel: carried on from
            opt.step()
            scheduler.step()
        sequences.append(np.array(rows, dtype=float))
    np.testing.assert_allclose(*sequences, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("options", crossed(mode=["min", "max"], threshold_mode=["rel", "abs"],
                                            cooldown=[0, 3], patience=[0, 2],
                                            min_lr=[0, [0.02, 0.01]]))
def test_reduce_on_plateau_equals_torchs(options):
    metrics = np.random.default_rng(0).normal(size=40).cumsum().round(1)
    sequences = []
    for library in (minigrad, torch):
        opt = two_groups(library)
        scheduler = library.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, **options)
        rows = []
        for metric in metrics:
            scheduler.step(metric)
            rows.append([*scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.best])
        sequences.append(rows)
    assert sequences[0] == sequences[1]


@pytest.mark.parametrize("name, options", [
    case for case in SCHEDULES if case[0] != "OneCycleLR" and case[1].get("T_mult") != 3])
def test_resuming_by_last_epoch_equals_torchs(name, options):
    sequences = []
    for library in (minigrad, torch):
        opt = two_groups(library)
        for group in opt.param_groups:
            group["initial_lr"] = 0.8
        scheduler = getattr(library.optim.lr_scheduler, name)(opt, **options, last_epoch=4)
        rows = []
        for _ in range(12):
            rows.append(scheduler.get_last_lr() + [scheduler.last_epoch])
            opt.step()
            scheduler.step()
        sequences.append(rows)
    np.testing.assert_allclose(*sequences, rtol=1e-12)


def schedulers(library, optimizer, parts):
    return [getattr(library.optim.lr_scheduler, name)(optimizer, **options)
            for name, options in parts]


# fmt: off
COMBINED = [
    ([("ConstantLR", {"factor": 0.1, "total_iters": 3}), ("ExponentialLR", {"gamma": 0.9})], [3]),
    ([("LinearLR", {"start_factor": 0.1, "total_iters": 5}), ("CosineAnnealingLR", {"T_max": 20})],
     [5]),
    ([("StepLR", {"step_size": 2}), ("MultiStepLR", {"milestones": [0, 3]}),
      ("PolynomialLR", {"total_iters": 4}), ("LinearLR", {"total_iters": 3})], [5, 9, 15]),
    ([("CosineAnnealingWarmRestarts", {"T_0": 3}), ("CosineAnnealingWarmRestarts",
                                                    {"T_0": 2, "T_mult": 2})], [4]),
    ([("LambdaLR", {"lr_lambda": lambda epoch: 0.8 ** epoch}),
      ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.7}), ("ConstantLR", {})], [4, 8]),
    ([("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.7}),
      ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3}),
      ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30})], [4, 11]),
    ([("ExponentialLR", {"gamma": 0.9}), ("StepLR", {"step_size": 3}),
      ("ConstantLR", {"total_iters": 2})], [0, 6]),
    ([("ExponentialLR", {"gamma": 0.9}), ("StepLR", {"step_size": 3}),
      ("ConstantLR", {"total_iters": 2})], [6, 6]),
]
# fmt: on


@pytest.mark.parametrize("parts, milestones", COMBINED)
def test_schedules_in_sequence_and_chained_equal_torchs(parts, milestones):
    for kind in ("SequentialLR", "ChainedScheduler"):
        sequences = []
        for library in (minigrad, torch):
            opt = two_groups(library, momentum=0.9)
            made = schedulers(library, opt, parts)
            combine = getattr(library.optim.lr_scheduler, kind)
            scheduler = combine(opt, made, milestones) if kind == "SequentialLR" else combine(made)
            rows = []
            for _ in range(25):
                rows.append([*scheduler.get_last_lr()] + [g["momentum"] for g in opt.param_groups]
                            + [g["lr"] for g in opt.param_groups])
                opt.step()
                scheduler.step()
            sequences.append(np.array(rows, dtype=float))
        np.testing.assert_allclose(*sequences, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("T_mult", [1, 2])
def test_warm_restarts_between_epochs_equal_torchs(T_mult):
    sequences = []
    for library in (minigrad, torch):
        opt = two_groups(library)
        scheduler = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 3, T_mult)
        rows = []
        for epoch in [0, 0.25, 0.5, 2.75, 3, 3.5, 8.9, 9, 11.3, 1.5, None, None, 20.5, None]:
            opt.step()
            scheduler.step(epoch)
            rows.append(scheduler.get_last_lr() + [scheduler.last_epoch, scheduler.T_cur,
                                                   scheduler.T_i])
        sequences.append(rows)
    np.testing.assert_allclose(*sequences, rtol=1e-12)


@pytest.mark.parametrize("name", [
    "ConstantLR", "PolynomialLR", "MultiplicativeLR", "CosineAnnealingWarmRestarts", "CyclicLR",
    "SequentialLR", "ChainedScheduler"])
def test_schedulers_have_torchs_arguments(name):
    ours, theirs = (inspect.signature(getattr(library.optim.lr_scheduler, name)).parameters
                    for library in (minigrad, torch))
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()]


# --- the stored part -----------------------------------------------------------------------------

GOLDEN_STEPS = 9


def golden():
    """The stored vectors: how they were made, the gradients, and torch's weights in every case."""
    weights, gradients = problem(GOLDEN_STEPS, seed=2, shapes=[(2, 1), (3,)])
    plain = lambda arrays: [None if a is None else np.vectorize(float)(a).tolist() for a in arrays]
    cases = []
    for name, options in CASES:
        if name == "Lion" and not importlib.util.find_spec("optax"):
            continue
        path = trajectory(torch, name, options, weights, gradients)
        cases.append({"optimizer": name, "options": options, "after": [
            [float(f"{x:.12g}") for x in path[t]] for t in (0, GOLDEN_STEPS - 1)]})
    return {"made": f"by torch.optim {torch.__version__.split('+')[0]} in float64, Lion by optax, "
                    "`python tests/test_optim_torch.py`: the weights of both parameters, "
                    f"flattened, after steps 1 and {GOLDEN_STEPS} under these gradients "
                    "(null: None)",
            "weights": plain(weights), "gradients": [plain(step) for step in gradients],
            "cases": cases}


def test_the_stored_vectors_are_what_torch_computes():
    stored, fresh = json.loads(GOLDEN.read_text()), golden()
    assert next(iter(stored)) == "made"
    assert stored["gradients"] == fresh["gradients"] and stored["weights"] == fresh["weights"]
    made = {new["optimizer"] for new in fresh["cases"]}
    cases = [old for old in stored["cases"] if old["optimizer"] in made]
    for old, new in zip(cases, fresh["cases"], strict=True):
        assert old["optimizer"] == new["optimizer"]
        assert_same(np.array(old["after"]), np.array(new["after"]), rtol=1e-10)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    data = golden()
    cases = data.pop("cases")
    lines = [json.dumps(case) for case in cases]
    head = json.dumps(data)[1:-1]
    GOLDEN.write_text("{" + head + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")
