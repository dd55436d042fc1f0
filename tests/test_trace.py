"""minigrad.trace: what is recorded of a run is what happened, held against copies made by hand
beside the loop, formulas written out in NumPy, and PyTorch's states."""

import math
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.optim import rules
from minigrad.optim.apply import BLOCK

OPTIMIZERS = {
    "sgd": (optim.SGD, {}), "sgd + l2": (optim.SGD, {"weight_decay": 0.1}),
    "momentum": (optim.SGD, {"momentum": 0.9, "dampening": 0.3}),
    "sutskever": (optim.SGD, {"momentum": 0.9, "form": "sutskever"}),
    "nesterov": (optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
    "adagrad": (optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    "rmsprop": (optim.RMSprop, {}),
    "rmsprop centered": (optim.RMSprop, {"centered": True, "momentum": 0.5}),
    "adadelta": (optim.Adadelta, {"weight_decay": 0.1}),
    "adam": (optim.Adam, {}), "adam + l2": (optim.Adam, {"weight_decay": 0.1, "maximize": True}),
    "adamw": (optim.AdamW, {"weight_decay": 0.1}),
    "adamw paper": (optim.AdamW, {"weight_decay": 0.1, "decay": "paper"}),
    "amsgrad": (optim.Adam, {"amsgrad": True}),
    "amsgrad corrected": (optim.AdamW, {"amsgrad": "corrected"}),
    "amsgrad paper": (optim.Adam, {"amsgrad": "paper"}),
    "adamax": (optim.Adamax, {}), "nadam": (optim.NAdam, {}), "radam": (optim.RAdam, {}),
    "nadam decoupled": (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    "rprop": (optim.Rprop, {}), "lion": (optim.Lion, {}),
    "lion + decay": (optim.Lion, {"weight_decay": 0.1}), "muon": (optim.Muon, {}),
}
SHRINKING = {"adamw", "adamw paper", "amsgrad corrected", "nadam decoupled", "lion",
             "lion + decay", "muon"}  # rules that multiply the weights as well
LR = {"adadelta": 1.0, "lion": 1e-3}


def parameters(dtype="float64"):
    generator = np.random.default_rng(1)
    return [mg.tensor(generator.normal(size=shape), dtype=dtype, requires_grad=True, name=name)
            for name, shape in (("w", (3, 2)), ("v", (2, 2)))]


def gradients(steps, dtype="float64"):
    """Over nine decades, with zeros."""
    generator = np.random.default_rng(2)
    for _ in range(steps):
        g = [generator.normal(size=s) * 10.0**generator.integers(-8, 1, size=s)
             for s in ((3, 2), (2, 2))]
        g[0][0, 0] = 0
        yield [array.astype(dtype) for array in g]


def recorded(make, steps=12, dtype="float64"):
    """(Run, [weights before each step], [gradients], weights at the end) of scripted gradients."""
    ps = parameters(dtype)
    optimizer = make(ps)
    before, given = [], list(gradients(steps, dtype))
    with mg.trace(None, optimizer) as run:
        for gs in given:
            before.append([p.numpy().copy() for p in ps])
            for p, g in zip(ps, gs):
                p.grad = mg.tensor(g, dtype=dtype)
            optimizer.step()
    return run, before, given, [p.numpy().copy() for p in ps]


def made(kind):
    cls, options = OPTIMIZERS[kind]
    return lambda ps: cls(ps, **{"lr": LR.get(kind, 0.01), **options})


def ulps(one, other):
    return np.abs(one - other) / np.spacing(np.maximum(np.abs(one), np.abs(other)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_data_plus_delta_is_the_next_data_and_the_parts_sum_to_delta(kind, dtype):
    run, before, given, last = recorded(made(kind), dtype=dtype)
    for i, name in enumerate(run.names):
        entry = run[name]
        assert entry["data"].dtype == dtype
        np.testing.assert_array_equal(entry["data"], [weights[i] for weights in before])
        np.testing.assert_array_equal(entry["grad"], [g[i] for g in given])
        after = np.array([weights[i] for weights in (*before[1:], last)])
        reached = entry["data"] + entry["delta"]
        if kind in SHRINKING:
            assert ulps(reached, after).max() <= 1
        else:
            np.testing.assert_array_equal(reached, after)
            assert not entry["decay"].any()
        parts = entry["adaptive"] + entry["decay"]
        largest = np.maximum(np.abs(entry["data"]), np.abs(entry["delta"]))
        assert (np.abs(parts - entry["delta"]) <= 2 * np.spacing(largest)).all()
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(entry["ratio"],
                                          np.abs(entry["delta"]) / np.abs(entry["data"]))


def test_every_name_of_adam_is_what_the_paper_says():
    run, before, given, _ = recorded(made("adam + l2"))
    entry = run["w"]
    assert list(entry)[:10] == ["data", "grad", "g", "m", "v", "m_hat", "v_hat", "denominator",
                                "step", "adaptive"]
    m = v = 0.0
    for i, (weights, (grad, _)) in enumerate(zip(before, given)):
        t, g = i + 1, -grad + 0.1 * weights[0]  # maximize, then L2; the gradient shown stays apart
        m, v = 0.9 * m + (1 - 0.9) * g, 0.999 * v + (1 - 0.999) * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        step = 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)
        expected = {"data": weights[0], "grad": grad, "g": g, "m": m, "v": v, "m_hat": m_hat,
                    "v_hat": v_hat, "denominator": np.sqrt(v_hat) + 1e-8, "step": step,
                    "adaptive": -step, "delta": -step, "t": t, "lr": 0.01, "beta1": 0.9}
        for name, value in expected.items():
            np.testing.assert_allclose(entry[name][i], value, rtol=1e-12, err_msg=name)


def test_the_names_of_the_other_rules_are_theirs():
    def names(kind):
        return set(recorded(made(kind), 8)[0]["w"]) - {"data", "grad", "g", "adaptive", "decay",
                                                     "delta", "ratio", "t", "lr"}
    assert names("momentum") == {"b", "step", "momentum", "dampening"}
    assert names("adagrad") >= {"G", "rate", "denominator", "step"}
    assert names("rmsprop centered") >= {"v", "m", "variance", "denominator", "b", "step"}
    assert names("amsgrad") >= {"m", "v", "m_hat", "v_max", "v_used", "denominator", "step"}
    assert names("adadelta") >= {"v", "u", "dx", "step"}
    assert names("radam") >= {"rho", "rho_inf", "rectifier", "correction"}


def test_a_name_that_a_step_did_not_reach_is_nan_there():
    entry = recorded(made("radam"), 8)[0]["w"]
    assert np.isnan(entry["denominator"][:5]).all()  # rho <= 5: a step of momentum
    assert np.isfinite(entry["denominator"][5:]).all()
    assert entry["rho"].shape == (8,) and np.isfinite(entry["rho"]).all()


def test_decoupled_decay_is_the_decay_part_alone():
    run, before, _, _ = recorded(made("adamw"))
    expected = [weights[0] * (1 - 0.01 * 0.1) - weights[0] for weights in before]
    np.testing.assert_array_equal(run["w"]["decay"], expected)
    np.testing.assert_array_equal(run["w"]["adaptive"], -run["w"]["step"])
    np.testing.assert_array_equal(run["w"]["g"], run["w"]["grad"])  # past the moments


@pytest.mark.parametrize("kind", ["adam", "adamw", "amsgrad", "momentum", "rmsprop", "adagrad"])
def test_states_and_weights_are_pytorchs(kind):
    torch = pytest.importorskip("torch")
    run, before, given, _ = recorded(made(kind))
    cls, options = OPTIMIZERS[kind]
    w = torch.nn.Parameter(torch.tensor(before[0][0]))
    optimizer = getattr(torch.optim, cls.__name__)([w], **{"lr": 0.01, **options})
    called = {"m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq", "b": "momentum_buffer",
              "G": "sum"} | ({"v": "square_avg"} if kind == "rmsprop" else {})
    seen = 0
    for i, (grad, _) in enumerate(given):
        np.testing.assert_allclose(run["w"]["data"][i], w.detach().numpy(), rtol=1e-9)
        w.grad = torch.tensor(grad)
        optimizer.step()
        for ours, theirs in called.items():
            if theirs in optimizer.state[w] and ours in run["w"]:
                np.testing.assert_allclose(run["w"][ours][i], optimizer.state[w][theirs].numpy(),
                                           rtol=1e-9)
                seen += 1
    assert seen >= len(given)


# --- real loops -----------------------------------------------------------------------------------

def network(dtype=None):
    mg.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
    return model if dtype is None else model.to(dtype)


X = np.random.default_rng(4).normal(size=(7, 2))
Y = np.random.default_rng(5).normal(size=(7, 1))


def train(model, optimizer, steps=5, after_backward=lambda: None, after_step=lambda: None):
    """Losses, and the gradient norm and seconds' order are left to the run."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(mg.tensor(X, dtype=next(model.parameters()).dtype)) - Y)**2).mean()
        loss.backward()
        losses.append(loss.item())
        after_backward()
        optimizer.step()
        after_step()
    return losses


def test_loss_lr_norm_seconds_and_steps_of_a_loop():
    model = network()
    optimizer, norms = optim.Adam(model.parameters(), lr=0.1), []
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)

    def clip():
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.5)))
    with mg.trace(model, optimizer) as run:
        losses = train(model, optimizer, 6, clip, schedule.step)
    assert run.names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    np.testing.assert_array_equal(run.steps, [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(run.loss, losses)
    np.testing.assert_allclose(run.lr, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    np.testing.assert_array_equal(run["0.bias"]["lr"], run.lr)
    assert max(norms) > 0.5  # it did clip; what is recorded is what the step used
    np.testing.assert_allclose(run.grad_norm, np.minimum(norms, 0.5), rtol=1e-5)
    assert run.seconds.shape == (6,) and (np.diff(run.seconds) > 0).all()
    assert run["0.weight"]["m_hat"].shape == (6, 5, 2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tracing_changes_no_number(dtype):
    plain, traced = network(dtype), network(dtype)
    train(plain, optim.AdamW(plain.parameters()), 9)
    optimizer = optim.AdamW(traced.parameters())
    with mg.trace(traced, optimizer):
        train(traced, optimizer, 5)
    train(traced, optimizer, 4)
    for p, q in zip(plain.parameters(), traced.parameters()):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_groups_have_their_own_lr_and_parameters_their_group():
    model = network()
    optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 0.5},
                           {"params": model[2].parameters(), "momentum": 0.9}], lr=0.1)
    with mg.trace(model, optimizer) as run:
        train(model, optimizer, 3)
    np.testing.assert_array_equal(run.lr, [[0.5, 0.1]] * 3)
    np.testing.assert_array_equal(run["0.weight"]["lr"], [0.5] * 3)
    np.testing.assert_array_equal(run["2.weight"]["lr"], [0.1] * 3)
    assert "b" in run["2.weight"] and "b" not in run["0.weight"]


def test_a_parameter_without_gradient_stays_and_says_nan():
    model = network()
    frozen = model[0].weight.requires_grad_(False)
    optimizer = optim.Adam(model.parameters())
    with mg.trace(model, optimizer) as run:
        train(model, optimizer, 2)
        frozen.requires_grad_(True)
        train(model, optimizer, 2)
    entry = run["0.weight"]
    assert np.isnan(entry["grad"][:2]).all() and np.isfinite(entry["grad"][2:]).all()
    assert not entry["delta"][:2].any() and entry["delta"][2:].all()
    np.testing.assert_array_equal(entry["data"][0], entry["data"][2])
    np.testing.assert_array_equal(entry["t"], [0, 0, 1, 2])
    assert np.isnan(entry["m"][:2]).all() and np.isnan(entry["lr"][:2]).all()
    np.testing.assert_allclose(run.grad_norm[:2], [np.sqrt(sum(
        (run[n]["grad"][i]**2).sum() for n in run.names if n != "0.weight")) for i in (0, 1)])


def test_a_parameter_in_no_group_is_shown_with_its_gradient():
    model = network()
    optimizer = optim.SGD(model[2].parameters(), lr=0.1)
    with mg.trace(model, optimizer) as run:
        train(model, optimizer, 2)
    assert np.isfinite(run["0.weight"]["grad"]).all() and not run["0.weight"]["delta"].any()
    assert "step" not in run["0.weight"]


def test_a_shared_parameter_is_recorded_once_under_all_its_names():
    class Tied(nn.Module):
        def __init__(self):
            self.first = nn.Linear(2, 2, bias=False)
            self.second = nn.Linear(2, 2, bias=False)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x).tanh()).sum(1, keepdim=True)
    model = Tied()
    optimizer = optim.Adam(model.parameters())
    with mg.trace(model, optimizer) as run:
        train(model, optimizer, 2)
    assert run.names == ["first.weight"]
    np.testing.assert_array_equal(run["second.weight"]["m"], run["first.weight"]["m"])


def test_losses_of_several_backward_calls_add_up():
    w = mg.tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for factor in (2.0, 3.0):
            optimizer.zero_grad()
            for _ in range(4):
                (w * factor / 4).sum().backward()
            optimizer.step()
    np.testing.assert_allclose(run.loss, [2.0, (1 - 0.2) * 3])
    assert "4 backward calls" in run.update("w", 1).note


def test_a_forgotten_zero_grad_is_said():
    w = mg.tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for _ in range(3):
            (w * 2).sum().backward()
            optimizer.step()
    assert "2 of them from before the last step" in run.update("w").note
    np.testing.assert_allclose(run["w"]["grad"].ravel(), [2, 4, 6])
    np.testing.assert_allclose(run.loss, [2.0, 1.6, 0.8])


def test_each_of_two_optimizers_has_the_loss_that_reached_it():
    a, b = (mg.tensor([2.0], requires_grad=True, name=name) for name in "ab")
    first, second = optim.SGD([a], lr=0.1), optim.SGD([b], lr=0.1)
    with mg.trace(None, first) as one, mg.trace(None, second) as two:
        first.zero_grad()
        (a * b).sum().backward()  # reaches both, but b's is thrown away
        first.step()
        second.zero_grad()
        (b * 5).sum().backward()
        second.step()
    assert one.loss.tolist() == [4.0] and two.loss.tolist() == [10.0]


def test_a_closure_is_seen():
    w = mg.tensor([3.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss
    with mg.trace(None, optimizer) as run:
        optimizer.step(closure)
    assert run.loss.tolist() == [9.0] and run["w"]["grad"].tolist() == [[6.0]]


# --- rules of the user ----------------------------------------------------------------------------

def run_rule(rule, steps=3, **options):
    run, *_ = recorded(lambda ps: optim.Optimizer(ps, rule=rule, **options), steps)
    return run["w"]


def test_whatever_local_names_a_rule_has_are_recorded():
    def lookahead(w, g, fast, t, *, lr=0.1, every=2):
        fast = 0.5 * fast + g
        tilted = fast * np.sign(g)
        scale = float(np.abs(tilted).max())
        return w - lr * fast, fast
    entry = run_rule(lookahead)
    np.testing.assert_allclose(entry["fast"][1], 0.5 * entry["grad"][0] + entry["grad"][1])
    np.testing.assert_array_equal(entry["tilted"], entry["fast"] * np.sign(entry["g"]))
    np.testing.assert_array_equal(entry["scale"], np.abs(entry["tilted"]).max((1, 2)))


def test_a_rule_that_calls_another_shows_the_names_of_both():
    def clipped(w, g, m, v, t, *, lr=0.1, most=0.5):
        g = np.clip(g, -most, most)
        signs = np.sign(g)
        return rules.adam(w, g, m, v, t, lr=lr)
    entry = run_rule(clipped)
    assert {"signs", "m_hat", "v_hat", "denominator"} <= set(entry)
    np.testing.assert_array_equal(entry["g"], np.clip(entry["grad"], -0.5, 0.5))
    np.testing.assert_array_equal(entry["delta"], -entry["step"])


def test_a_rule_without_source_tells_its_names_too():
    names = {}
    exec("def typed(w, g, m, *, lr=0.1):\n    m = 0.5 * m + g\n    twice = 2 * m\n"
         "    return w - lr * twice, m", names)
    entry = run_rule(names["typed"])
    np.testing.assert_array_equal(entry["twice"], 2 * entry["m"])
    assert ulps(entry["data"][0] + entry["delta"][0], entry["data"][1]).max() <= 1


def test_a_rule_in_a_closure_sees_what_it_closes_over():
    def make(factor):
        def rule(w, g, *, lr=0.1):
            nonlocal factor
            factor = 2 * factor
            scaled = factor * g
            return w - lr * scaled
        return rule
    entry = run_rule(make(1.0))  # called for w and for v: factor doubles twice a step
    np.testing.assert_array_equal(entry["scaled"],
                                  entry["grad"] * np.array([2.0, 8, 32])[:, None, None])
    assert "factor" not in entry


def test_a_lambda_is_a_rule():
    entry = run_rule(lambda w, g, *, lr=0.5: w - lr * g)
    np.testing.assert_array_equal(entry["delta"], -0.5 * entry["grad"])


def test_names_that_the_trace_uses_itself_are_kept_apart():
    def rule(w, g, *, lr=0.1):
        delta = 7 * g
        return w - lr * g
    entry = run_rule(rule)
    np.testing.assert_array_equal(entry["delta (rule)"], 7 * entry["g"])
    np.testing.assert_array_equal(entry["delta"], -0.1 * entry["grad"])


def test_weights_and_gradient_may_be_called_anything():
    def rule(theta, grad, *, lr=0.1):
        return theta - lr * grad
    entry = run_rule(rule, weight_decay=0.5)
    np.testing.assert_array_equal(entry["g"], entry["grad"] + 0.5 * entry["data"])
    assert "theta" not in entry


def test_a_rule_may_write_into_its_states():
    def rule(w, g, m, *, lr=0.1):
        if type(m) is float:
            m = np.zeros_like(g)
        m *= 0.5
        m += g
        return w - lr * m, m
    entry = run_rule(rule, 4)
    m = 0
    for g, kept in zip(entry["grad"], entry["m"]):
        m = 0.5 * m + g
        np.testing.assert_allclose(kept, m)


def test_a_decay_that_the_rule_writes_itself_is_the_decay_part():
    def rule(w, g, *, lr=0.1, fade=0.3):
        return w * (1 - lr * fade) - lr * g
    entry = run_rule(rule)
    np.testing.assert_array_equal(entry["decay"], entry["data"] * (1 - 0.1 * 0.3) - entry["data"])
    np.testing.assert_array_equal(entry["adaptive"], -0.1 * entry["grad"])


def test_steps_subtracted_one_after_the_other_are_not_taken_for_decay():
    def rule(w, g, m, *, lr=0.1):
        m = 0.9 * m + g
        return w - lr * g - lr * m, m
    entry = run_rule(rule)
    assert not entry["decay"].any()
    assert ulps(entry["data"][0] + entry["delta"][0], entry["data"][1]).max() <= 1


# --- odd sizes and failures -----------------------------------------------------------------------

@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (BLOCK + 5,), (3, BLOCK)])
def test_parameters_of_every_size_are_recorded_whole(shape):
    w = mg.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True, name="w")
    optimizer = optim.AdamW([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for _ in range(3):
            w.grad = mg.tensor(np.random.default_rng(1).normal(size=shape))
            optimizer.step()
    entry = run["w"]
    assert entry["m_hat"].shape == (3, *shape)
    np.testing.assert_allclose(entry["m"][0], 0.1 * entry["grad"][0])
    np.testing.assert_allclose(entry["data"][2] + entry["delta"][2], w.numpy())


def test_nan_and_inf_are_recorded_as_they_are():
    w = mg.tensor([1.0, 2.0, 3.0], requires_grad=True, name="w")
    optimizer = optim.AdamW([w], lr=0.1)
    with mg.trace(None, optimizer) as run, warnings.catch_warnings():
        warnings.simplefilter("error")
        w.grad = mg.tensor([math.nan, math.inf, 1.0])
        optimizer.step()
        run["w"], run.grad_norm
    assert np.isnan(run["w"]["delta"][0]).tolist() == [True, True, False]
    np.testing.assert_array_equal(run["w"]["grad"], [[math.nan, math.inf, 1.0]])


def test_a_step_that_failed_half_way_leaves_nothing_behind():
    calls = []

    def rule(w, g, *, lr=0.1):
        calls.append(1)
        if len(calls) == 4:
            raise FloatingPointError("as asked")
        return w - lr * g
    w, v = (mg.tensor([1.0], requires_grad=True, name=name) for name in "wv")
    optimizer = optim.Optimizer([w, v], rule=rule)  # not elementwise: one call for each
    with mg.trace(None, optimizer) as run:
        for _ in range(3):
            w.grad, v.grad = mg.tensor([1.0]), mg.tensor([2.0])
            try:
                optimizer.step()
            except FloatingPointError:
                pass
    assert run.steps.tolist() == [1, 2]
    assert run["w"]["delta"].tolist() == [[-0.1], [-0.1]]


def test_the_recording_ends_with_the_block_even_after_an_error():
    model = network()
    optimizer = optim.SGD(model.parameters())
    with pytest.raises(ZeroDivisionError), mg.trace(model, optimizer) as run:
        train(model, optimizer, 2)
        raise ZeroDivisionError
    train(model, optimizer, 2)
    assert run.steps.tolist() == [1, 2] and optimizer._recorder is None
    assert mg.engine.mode.recorders == ()
