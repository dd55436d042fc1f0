"""The page of a run: every number in it is the run's, and a browser shows them."""

import base64
import gzip
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from urllib.parse import quote

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from minigrad.inspect import layout
from minigrad.inspect import report as module
from minigrad.inspect.report import page, report
from minigrad.inspect.report_lines import SLOT
from minigrad.inspect.trace import load_trace
from minigrad.optim import rules
from tests.test_trace import OPTIMIZERS, made, recorded

NASTY = "a\"'<img src=x onerror=alert(1)></script><!--%DATA%&amp;\u2202\u0007"
SHOWN = NASTY.replace("\x07", "\\x07")


class Page:
    """A page read as the script reads it, written out once more in NumPy."""

    def __init__(self, text):
        self.text = text
        self.words = json.loads(self.script("data"))
        self.raw = gzip.decompress(base64.b64decode(self.script("numbers")))
        self.arrays, start = [], 0
        for rows, n, kind, *same in self.words["series"]:
            if kind == "=":
                self.arrays.append(np.full((rows, n), same[0]))
                continue
            width = int(kind[1])
            end = start + rows * n * width
            planes = np.frombuffer(self.raw[start:end], np.uint8).reshape(width, -1)
            self.arrays.append(np.ascontiguousarray(planes.T).view(f"<f{width}").reshape(rows, n))
            start = end
        assert start == len(self.raw)

    def script(self, name):
        return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', self.text,
                         re.DOTALL)[1]

    def parameter(self, name):
        return next(p for p in self.words["parameters"] if p["name"] == name)

    def value(self, reference, k, i):
        if not isinstance(reference, list):
            return reference
        number, shift, minus = [*reference, 0, 0][:3]
        rows = self.arrays[number]
        if k - shift < 0:
            return 0.0
        return (-1 if minus else 1) * rows[k - shift][i if rows.shape[1] > 1 else 0]

    def quantity(self, name, key, k):
        p = self.parameter(name)
        values = [self.value(p["quantities"][key], k, i) for i in range(int(np.prod(p["shape"])))]
        return np.array(values, float).reshape(p["shape"])

    def lines(self, name, k, i):
        """[(target, source, text with numbers put in)] as the script shows them, exact."""
        p = self.parameter(name)
        number = p["lines"][k]
        refs, start, found = p["slots"][str(number)], 0, []
        for line in self.words["lines"][number]:
            texts = [line.get("numbers", ""), line.get("shown", "")]
            slots = [int(s) for text in texts for s in SLOT.findall(text)]
            end = start + 1 + max(slots, default=-1)
            values = [self.value(ref, k, i) for ref in refs[start:end]]
            start = end
            filled = [SLOT.sub(lambda m, v=values: f"({float(v[int(m[1])])!r})", text)
                      for text in texts]
            found.append((line.get("target", ""), line.get("source", ""), *filled))
        assert start == len(refs)
        return found


def trained(steps=8, make=lambda ps: optim.Adam(ps, lr=0.01), **options):
    """The Run of a small network on scripted data."""
    mg.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    optimizer, rng = make(net.parameters()), np.random.default_rng(0)
    with mg.trace(net, optimizer, **options) as run:
        for _ in range(steps):
            x = mg.tensor(rng.normal(size=(4, 2)), dtype="float32")
            optimizer.zero_grad()
            ((net(x) - 1) ** 2).mean().backward()
            optimizer.step()
    return run


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_number_on_the_page_is_the_runs_and_every_line_computes(kind, dtype):
    run, before, grads, after = recorded(made(kind), 6, dtype)
    shown = Page(page(run))
    assert shown.words["troubles"] == [] and shown.words["steps"] == run.steps.tolist()
    weights = [*before, after]
    for j, name in enumerate(run.names):
        p, entry = shown.parameter(name), run[name]
        for k in range(len(run)):
            np.testing.assert_array_equal(shown.quantity(name, "data", k),
                                          weights[k][j].astype(np.float32))
            np.testing.assert_array_equal(shown.quantity(name, "grad", k),
                                          grads[k][j].astype(np.float32))
            for key in p["quantities"]:
                expected = np.broadcast_to(entry[key][k], p["shape"])
                np.testing.assert_allclose(shown.quantity(name, key, k), expected, rtol=1e-7,
                                           atol=0)
            for i in (0, 3):
                lines = shown.lines(name, k, i)
                check_lines(lines)
                assert float(eval(lines[-1][3])) == pytest.approx(
                    float(weights[k + 1][j].ravel()[i]), rel=3e-7)


def check_lines(lines):
    """Is what stands before the last "=" of each line the number that stands after it?"""
    for target, _, numbers, result in lines:
        if target and numbers:
            with np.errstate(all="ignore"):
                value = eval(numbers, {"np": np, "max": max, "min": min, "abs": abs})
                operands = [abs(float(x)) for x in re.findall(r"\((-?[\d.e+-]+)\)", numbers)]
            room = 1e-6 * max(operands, default=1) if "-" in numbers or "+" in numbers else 0
            assert value == pytest.approx(float(eval(result)), rel=1e-5, abs=room), target


def test_the_lines_are_those_of_the_source_with_the_numbers_of_the_weight():
    run = trained()
    shown = Page(page(run))
    lines = shown.lines("0.weight", 4, 3)
    assert [line[:2] for line in lines] == [
        ("m", "beta1 * m + (1 - beta1) * g"), ("v", "beta2 * v + (1 - beta2) * (g * g)"),
        ("m_hat", "m / (1 - beta1**t)"), ("v_hat", "v / (1 - beta2**t)"),
        ("denominator", "np.sqrt(v_hat) + eps"), ("step", "lr * m_hat / denominator"),
        ("w", "w - step")]
    m, g = (run["0.weight"][key].astype(np.float32).reshape(8, -1)[:, 3] for key in ("m", "grad"))
    assert lines[0][2] == f"(0.9) * ({float(m[3])!r}) + ({1 - 0.9!r}) * ({float(g[4])!r})"
    assert lines[0][3] == f"({float(m[4])!r})"
    assert shown.lines("0.weight", 0, 3)[0][2].startswith("(0.9) * (0.0) + ")
    assert shown.words["lines"][0][0]["equation"] == "slide (11)"


def test_what_is_the_same_is_kept_once():
    shown = Page(page(trained()))
    p = shown.parameter("0.weight")
    rows = [label for label in shown.words["series"] if label[1] == 6 and label[2] != "="]
    # data (with room for the last), grad, m, v, m_hat, v_hat, denominator, step: and delta is -step
    assert [label[0] for label in rows] == [9] + [8] * 7
    assert p["quantities"]["delta"] == [p["quantities"]["step"][0], 0, 1]
    assert p["quantities"]["g"] == p["quantities"]["grad"] and p["quantities"]["decay"] == 0


def test_the_series_of_the_whole_run():
    run = trained(steps=5)
    shown = Page(page(run))
    for key, values in (("loss", run.loss), ("norm", run.grad_norm)):
        np.testing.assert_array_equal(shown.arrays[shown.words[key]][:, 0], values)
    for number, name in zip(shown.words["sizes"], run.names):
        grads = run[name]["grad"].astype(float).reshape(5, -1)
        np.testing.assert_allclose(shown.arrays[number][:, 0], np.sqrt((grads**2).mean(1)))
    for number, name in zip(shown.words["ratios"], run.names):
        parts = [np.linalg.norm(run[name][key].astype(float).reshape(5, -1), axis=1)
                 for key in ("delta", "data")]
        np.testing.assert_allclose(shown.arrays[number][:, 0], parts[0] / parts[1])
    assert len(shown.words["lr"]) == 1


def test_several_groups_and_a_schedule():
    mg.manual_seed(0)
    net = nn.Linear(2, 2)
    optimizer = optim.SGD([{"params": [net.weight], "lr": 0.5}, {"params": [net.bias]}], lr=0.1,
                          momentum=0.9)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with mg.trace(net, optimizer) as run:
        for _ in range(4):
            net(mg.ones(1, 2)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    shown = Page(page(run))
    rates = [shown.arrays[number][:, 0].tolist() for number in shown.words["lr"]]
    assert rates == [[0.5, 0.25, 0.125, 0.0625], [0.1, 0.05, 0.025, 0.0125]]
    for name, rate in zip(run.names, rates):
        assert [shown.value(shown.parameter(name)["fixed"]["lr"], k, 0) for k in range(4)] == rate
        assert all(f"({rate[k]!r}) * " in shown.lines(name, k, 0)[1][2] for k in range(4))


def with_holes():
    """A run of two parameters in which b has a gradient at the steps 2, 3 and 5 only."""
    a, b = (mg.tensor([1.0, 2.0], requires_grad=True, name=name) for name in ("a", NASTY))
    optimizer = optim.Adam([a, b], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for k in range(5):
            optimizer.zero_grad()
            (a.sum() + (b * b).sum() if k in (1, 2, 4) else a.sum()).backward()
            optimizer.step()
    return run


def test_steps_without_a_gradient_are_holes_with_a_reason():
    run, b = with_holes(), SHOWN
    shown = Page(page(run))
    p = shown.parameter(b)
    assert p["none"] == [0, 3] and [line < 0 for line in p["lines"]] == [1, 0, 0, 1, 0]
    assert p["lines"][0] == p["lines"][3] == -1
    assert p["still"].keys() == {"0", "3"}
    assert len(p["reasons"]) == 1
    assert f"{b} was not stepped: its .grad is None" in p["reasons"][p["still"]["3"]]
    assert shown.parameter("a")["still"] == {} and shown.parameter("a")["none"] == []
    assert np.isnan(shown.arrays[shown.words["sizes"][1]][[0, 3], 0]).all()
    m = [0.0]
    for k in (1, 2, 4):  # the moments go on where they stood
        g = float(run[NASTY]["grad"][k][1])
        m.append(0.9 * m[-1] + (1 - 0.9) * g)
        line = shown.lines(b, k, 1)[0]
        assert eval(line[3]) == pytest.approx(m[-1], rel=1e-6)
        assert line[2].startswith("(0.9) * ")
        assert eval(line[2].split(" + ")[0]) == pytest.approx(0.9 * m[-2], rel=1e-6)


def test_nan_and_infinity_and_numbers_beyond_float32():
    w = mg.tensor([1.0, 2.0, 3.0], dtype="float64", requires_grad=True, name="w")
    optimizer = optim.Adam([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for g in ([1e-30, np.nan, 1.0], [1.0, 1.0, np.inf], [1e300, 1.0, 1.0]):
            w.grad = mg.tensor(g, dtype="float64")
            optimizer.step()
    shown = Page(page(run))
    np.testing.assert_array_equal(shown.quantity("w", "grad", 1), [1, 1, np.inf])
    np.testing.assert_array_equal(shown.quantity("w", "grad", 2), [1e300, 1, 1])
    v = shown.quantity("w", "v", 0)  # 1e-63 is 0 in float32
    assert v[0] == run["w"]["v"][0, 0] > 0 and np.isnan(v[1])
    assert "NaN" not in shown.script("data") and "Infinity" not in shown.script("data")


def test_thinned_pages_say_so_and_keep_the_first_and_the_last():
    run = trained(steps=50)
    full, thin = Page(page(run)), Page(page(run, budget=2000))
    assert len(full.words["steps"]) == 50 and "Too much" not in full.words["note"]
    kept = thin.words["steps"]
    apart = kept[1] - kept[0]
    assert kept[0] == 1 and kept[-1] == 50 and apart > 1 and kept[:-1] == list(range(1, 50, apart))
    assert f"of 50 recorded steps, every number of {len(kept)} is here, one in {apart}." in (
        thin.words["note"])
    assert sum(rows * n for rows, n, kind, *_ in thin.words["series"] if kind != "=") < 3500
    assert thin.words["all"] == list(range(1, 51)) and len(thin.arrays[thin.words["loss"]]) == 50
    for k, step in enumerate(kept):
        assert thin.lines("0.bias", k, 1) == full.lines("0.bias", step - 1, 1)
        np.testing.assert_array_equal(thin.quantity("0.bias", "v", k),
                                      run["0.bias"]["v"][step - 1].astype(np.float32))


def test_runs_recorded_in_part():
    shown = Page(page(trained(steps=9, every=3)))
    assert shown.words["steps"] == [1, 4, 7] and "One step in 3 was recorded" in shown.words["note"]
    check_lines(shown.lines("0.weight", 1, 0))


def test_more_steps_than_a_slider_has_places(monkeypatch):
    monkeypatch.setattr(module, "STEPS", 10)
    assert len(Page(page(trained(steps=35))).words["steps"]) == 10


def users(p, dp, speed, t, *, lr=0.1, friction=0.5):
    """A rule of the user's."""
    speed = friction * speed + dp
    size = np.sqrt((dp * dp).sum())
    size *= 2
    if t > 2:
        speed = np.where(dp > 0, speed, 0.0)
    return p - lr * speed / (1 + size), speed


def test_a_rule_of_the_users():
    w = mg.tensor([[1.0, -2.0]], requires_grad=True, name="w")
    optimizer = optim.Optimizer([w], rule=users)
    with mg.trace(None, optimizer) as run:
        for _ in range(4):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
    shown = Page(page(run))
    assert shown.words["troubles"] == []
    assert shown.parameter("w")["grids"] == ["data", "grad", "speed", "delta"]
    lines = shown.lines("w", 3, 1)
    check_lines(lines)
    size = np.linalg.norm(run["w"]["grad"][3])
    assert [eval(line[3]) for line in lines if line[0] == "size"] == pytest.approx([size, 2 * size])
    assert any(line[0] == "" and line[1] == "t > 2" for line in lines)
    assert eval(lines[-1][3]) == pytest.approx(w.numpy()[0, 1])


def test_a_rule_that_depends_on_something_else_has_no_lines():
    noise = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])

    def noisy(w, g, *, lr=0.1):
        step = lr * g * next(noise)
        return (w - step,)
    w = mg.tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.Optimizer([w], rule=noisy)
    with mg.trace(None, optimizer) as run:
        w.grad = mg.tensor([1.0])
        optimizer.step()
    shown = Page(page(run))
    assert shown.parameter("w")["lines"] == [-2]
    assert "another result than it gave in the run" in shown.words["troubles"][0]
    assert shown.quantity("w", "step", 0) == np.float32(0.1 * 0.1)


def test_a_loaded_run_has_the_same_page(tmp_path):
    run = trained()
    run.save(tmp_path / "run.npz")
    one, other = Page(page(run)), Page(page(load_trace(tmp_path / "run.npz")))
    assert one.words == other.words and one.raw == other.raw


def test_a_loaded_run_of_a_rule_of_the_users_has_numbers_but_no_lines(tmp_path):
    def mine(w, g, *, lr=0.1):
        step = lr * g
        return (w - step,)
    w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    optimizer = optim.Optimizer([w], rule=mine)
    with mg.trace(None, optimizer) as run:
        for _ in range(3):
            w.grad = mg.tensor([1.0, 3.0])
            optimizer.step()
    run.save(tmp_path / "run.npz")
    shown = Page(page(load_trace(tmp_path / "run.npz")))
    assert shown.parameter("w")["lines"] == [-2] * 3
    assert "does not hold the rule 'test_report.mine'" in shown.words["troubles"][0]
    np.testing.assert_allclose(shown.quantity("w", "delta", 1), [-0.1, -0.3], rtol=1e-6)
    given = Page(page(load_trace(tmp_path / "run.npz", rule=mine)))
    assert [line[:2] for line in given.lines("w", 1, 0)] == [("step", "lr * g"), ("w", "w - step")]


def test_single_numbers_and_empty_parameters():
    tensors = [mg.tensor(2.0, requires_grad=True, name="one"),
               mg.tensor(np.zeros((0, 3)), requires_grad=True, name="empty")]
    optimizer = optim.AdamW(tensors, lr=0.1)
    with mg.trace(None, optimizer) as run:
        for _ in range(3):
            optimizer.zero_grad()
            ((tensors[0] - 1) ** 2 + tensors[1].sum()).backward()
            optimizer.step()
    shown = Page(page(run))
    assert shown.parameter("one")["shape"] == [] and shown.parameter("empty")["shape"] == [0, 3]
    assert shown.quantity("one", "data", 0) == 2
    assert shown.parameter("one")["grids"] == ["data", "grad", "m", "v", "delta"]
    check_lines(shown.lines("one", 2, 0))


def test_a_step_after_several_backward_passes_says_so():
    w = mg.tensor([1.0], requires_grad=True, name="w")
    optimizer = optim.SGD([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        for n in (1, 2):
            optimizer.zero_grad()
            for _ in range(n):
                (w * 2).sum().backward()
            optimizer.step()
    assert Page(page(run)).words["remarks"] == {"1": "the gradient is the sum of 2 backward calls"}


def test_the_same_run_gives_the_same_bytes():
    run = trained()
    assert page(run) == page(run)


def test_one_file_without_a_network_and_only_its_own_scripts():
    w = mg.tensor([1.0], requires_grad=True, name=NASTY)
    optimizer = optim.SGD([w], lr=0.1)
    with mg.trace(None, optimizer) as run:
        w.grad = mg.tensor([1.0])
        optimizer.step()
    text = page(run)
    assert "<img" not in text and "<!--" not in text and text.count("</script>") == 3
    assert "innerHTML" not in text and "document.write" not in text and "eval(" not in text
    assert set(re.findall(r"\w+://[^\s\"'<>]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|iframe|object|embed|base)\b|\bsrc=\"|@import|url\(", text)
    policy = html.unescape(re.search(r'Policy" content="([^"]*)"', text)[1])
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    for words in (script, style):
        digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert Page(text).words["parameters"][0]["name"] == SHOWN
    assert "<noscript>" in text and 'lang="en"' in text


def test_the_script_has_no_formula_of_any_rule():
    script = module.file("report_parts.js") + module.file("report.js")
    names = {name for rule in (rules.adam, rules.rmsprop, rules.momentum)
             for name in rules.anatomy(rule).hyperparameters} - {"form", "lr"}
    assert not [name for name in names if re.search(rf"\b{name}\b", script)]
    assert "Math.sqrt" not in script


def test_a_graph_is_shown_as_a_picture():
    try:
        layout.program()
    except layout.GraphvizNotFound:
        pytest.skip("no Graphviz layout program")
    x = mg.tensor([1.0], requires_grad=True, name="x")
    text = page(trained(steps=2), mg.draw((x * x).sum()))
    assert text.count('<img alt="computation graph" src="data:image/svg+xml;base64,') == 1


def test_bad_input_is_refused(tmp_path):
    run = trained(steps=2)
    assert report(run, tmp_path / "run.html") == tmp_path / "run.html"
    with pytest.raises(ValueError, match="suffix must be .html"):
        report(run, tmp_path / "run.txt")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        report(run, tmp_path / "nowhere" / "run.html")
    with pytest.raises(TypeError, match="graph must be what minigrad.draw"):
        report(run, tmp_path / "run.html", graph="<svg>")
    with pytest.raises(ValueError, match="nothing is recorded yet"):
        page(trained(steps=0))


# --- in a browser ---------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)


def in_a_browser(run, folder, place):
    """The page in a browser, as HTML and as the text in it."""
    report(run, folder / "run.html")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000",
         "--window-size=1200,2400", "--dump-dom",
         f"file://{os.fspath(folder / 'run.html')}#{place}"],
        capture_output=True, timeout=60, text=True, check=False)
    if "<output" not in done.stdout:
        pytest.skip("Chromium does not run here")
    assert "CONSOLE" not in done.stderr
    assert re.search(r'<p class="notice" id="trouble" role="alert" hidden=""></p>', done.stdout)
    return done.stdout, html.unescape(re.sub(r"<[^>]*>", "", done.stdout))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_shows_the_numbers_of_the_address(tmp_path):
    run = trained(steps=12)
    source, text = in_a_browser(run, tmp_path, "step=7&p=0.weight&i=2,1")
    entry = {key: values[6] if values.ndim == 1 else values[6][2, 1]
             for key, values in run["0.weight"].items()}
    worked = text[text.index("0.weight[2, 1], step 7, Adam"):text.index("Every name, as recorded")]
    numbers = [float(x) for x in re.findall(r"-?\d+\.?\d*(?:e[+-]\d+)?", worked)]
    for key in ("m", "v", "m_hat", "v_hat", "denominator", "step", "grad", "data", "delta", "lr"):
        assert min(abs(x - entry[key]) for x in numbers) <= 1e-5 * abs(entry[key]), key
    assert min(abs(x - run["0.weight"]["m"][5][2, 1]) for x in numbers) < 1e-7
    assert "m = beta1 * m + (1 - beta1) * g" in worked and "slide (11)" in worked
    assert re.search(r"<output[^>]*>step 7 of 12  loss ", source)
    assert "0.weight[2, 1] is " in source  # what a screen reader hears of the grids


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_says_why_a_parameter_was_not_stepped(tmp_path):
    source, text = in_a_browser(with_holes(), tmp_path, "step=4&p=" + quote(SHOWN) + "&i=1")
    assert f"{SHOWN}[1], step 4, Adam" in html.unescape(source).replace("<b>", "").replace(
        "</b>", "")
    assert "was not stepped: its .grad is None" in text
    for quantity in ("grad", "m", "v"):
        assert f"<b>{quantity}</b> <span>none</span>" in source
    assert "onerror" not in re.sub(r">[^<]*<|\"[^\"]*\"", "", source)
