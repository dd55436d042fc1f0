"""The page that steps through backward: one safe file, every step in it, and it runs."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

import minigrad as mg
from minigrad.inspect import layout
from minigrad.inspect.draw import draw, readable
from minigrad.inspect.steps import backward_steps
from tests.test_backward_steps import (
    classifier,
    each_graph,
    in_place,
    leaf,
    neuron,
    residual,
    twice,
    xor,
)

NASTY = "a\"'<img src=x onerror=alert(1)></script><!--%DATA%&amp;\u2202"


@pytest.fixture(autouse=True)
def a_layout_program():
    """Pages need one."""
    try:
        layout.program()
    except layout.GraphvizNotFound:
        pytest.skip("no Graphviz layout program")


@pytest.fixture
def saved(tmp_path):
    """A function that saves a graph's page and returns its text."""
    def page(loss, **options):
        path = tmp_path / "backward.html"
        assert backward_steps(loss).save(path, **options) == path
        return path.read_text("utf-8")
    return page


def data(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page,
                                re.DOTALL)[1])


def group(page, kind, number):
    """The SVG of one card or arrow, up to the next one."""
    start = page.index(f'data-{kind}="{number}"')
    ends = [page.find(word, start + 1) for word in ("data-card=", "data-lane=", "</svg>")]
    return page[start:min(end for end in ends if end > 0)]


@each_graph
def test_every_step_has_a_card_and_every_share_an_arrow(graph, saved):
    loss = graph()
    page, steps = saved(loss), backward_steps(loss)
    written = data(page)
    assert len(written) == len(steps)
    used = []
    for step, found in zip(steps, written):
        card = group(page, "card", found["card"])
        assert html.escape(step.name) in html.unescape(card).replace("&", "&amp;")
        assert '<g class="grad">' in card and ">grad</text>" in card
        assert [s["line"] for s in found["shares"]] == [s.line for s in step.contributions]
        for share in found["shares"]:
            assert "bwd" in page[page.index(f'data-lane="{share["lane"]}"') - 60:][:60]
            used.append((found["card"], share["lane"]))
    assert len({lane for _, lane in used}) == len({(card, lane) for card, lane in used})


def test_an_arrow_that_lights_up_is_labelled_with_the_rule_of_its_step(saved):
    loss = classifier()
    page, labels = saved(loss), 0
    for step, found in zip(backward_steps(loss), data(page)):
        for share, words in zip(step.contributions, found["shares"]):
            label = re.search(r">([^<>]+)</text>", group(page, "lane", words["lane"]))[1]
            label = html.unescape(label).replace("\xa0", " ").strip()
            assert readable(share.rule).startswith(label.removesuffix(".."))
            labels += 1
    assert labels == 8


def test_both_arrows_of_x_plus_x_have_their_share(saved):
    shares = data(saved(twice()))[1]["shares"]
    assert len({share["lane"] for share in shares}) == 2
    assert [share["progress"][:13] for share in shares] == ["1 of 2 shares", "2 of 2 shares"]


def test_the_numbers_on_the_page_are_the_gradients(saved):
    loss = neuron()
    steps = data(saved(loss))
    loss.backward()
    leaves = {t.name: t.grad.numpy() for t in (step.node for step in backward_steps(loss))
              if t.op is None}
    for step in steps:
        if step["name"] in leaves:
            shown = [float(cell[0]) for row in step["g"]["rows"] for cell in row]
            np.testing.assert_allclose(shown, leaves[step["name"]].ravel(), atol=5e-3)


def test_sums_are_shown_before_and_after(saved):
    several = [share for step in data(saved(residual())) for share in step["shares"]
               if "after" in share]
    assert several and any(share["before"] for share in several)


def test_the_picture_shows_this_pass_and_not_what_grad_has_accumulated(saved):
    loss = xor()
    fresh = saved(loss)
    loss.backward()
    loss.backward()
    assert saved(loss) == fresh
    assert all(word in fresh for word in ("none yet", "g * (1 - v2**2)"))
    assert ">none yet</text>" not in fresh


def test_the_drawing_is_the_usual_one(saved):
    loss = xor()
    loss.backward()
    usual = draw(loss, fold=False, title="").render("svg").decode()
    texts = re.compile(r"<text [^>]*>[^<]*</text>")
    page = saved(loss)
    assert texts.findall(page[page.index("<svg"):page.index("</svg>")]) == texts.findall(usual)


def test_one_file_without_a_network(saved):
    page = saved(xor())
    assert set(re.findall(r"\w+://[^\s\"'<>]+", page)) == {
        "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"<(link|iframe|img|object|embed|base|form)\b|\bsrc=|@import|url\(", page)
    assert "innerHTML" not in page and "document.write" not in page and "eval(" not in page
    assert "<noscript>" in page and 'lang="en"' in page


def test_the_policy_lets_only_these_scripts_and_styles_run(saved):
    page = saved(xor())
    policy = html.unescape(re.search(r'Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    inline = [words for words in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)]
    inline += re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(inline) == 3
    for words in inline:
        digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r"<[^>]*\s(style|on\w+)=", page[:page.index('<script type="app')])


def test_the_same_graph_gives_the_same_bytes(saved):
    assert saved(residual()) == saved(residual())


def test_names_cannot_break_out_of_the_page(saved):
    x = mg.tensor([1.0, 2.0], requires_grad=True, name=NASTY)
    y = x * 3
    y.name = NASTY + " too"
    page = saved((y * x).sum())
    assert "<img" not in page and page.count("</script>") == 2 and "<!--" not in page
    assert {step["name"] for step in data(page)} >= {NASTY, NASTY + " too"}


def test_a_page_after_a_change_in_place_is_refused(tmp_path):
    w = leaf(2, name="w")
    steps = backward_steps((w * w).sum())
    with mg.no_grad():
        w.sub_(0.1)
    with pytest.raises(RuntimeError, match="'w' of shape .* was changed in place since the steps"):
        steps.save(tmp_path / "late.html")
    assert not (tmp_path / "late.html").exists()


def test_changes_in_place_that_are_recorded_have_their_page(saved):
    assert len(data(saved(in_place()))) == len(backward_steps(in_place()))


def test_too_many_tensors_are_refused_with_what_to_do(tmp_path):
    x = mg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(450):
        y = y * 1.01
    with pytest.raises(ValueError, match=r"451 tensors, more than a page can show \(400\); print"):
        backward_steps(y).save(tmp_path / "long.html")


def test_other_suffixes_and_missing_folders_are_refused(tmp_path):
    steps = backward_steps(neuron())
    with pytest.raises(ValueError, match="suffix must be .html"):
        steps.save(tmp_path / "backward.svg")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        steps.save(tmp_path / "nowhere" / "backward.html")


def test_without_a_layout_program_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_DOT", str(tmp_path / "no-dot"))
    path = tmp_path / "backward.html"
    path.write_text("as it was")
    steps = backward_steps(neuron())
    with pytest.raises(layout.GraphvizNotFound, match="not an executable file[^$]*print"):
        steps.save(path)
    assert path.read_text() == "as it was" and "w.grad += g * x" in str(steps)


# --- in a browser ---------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_shows_the_step_of_the_address(saved, tmp_path):
    x = mg.tensor([1.0, 2.0], requires_grad=True, name=NASTY)
    h = x.tanh()
    h.name = "h"
    saved((h * h).sum())
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=1000",
         "--window-size=1200,800", "--dump-dom",
         f"file://{os.fspath(tmp_path / 'backward.html')}#step=3"],
        capture_output=True, timeout=60, text=True, check=False)
    page = done.stdout
    if "<output" not in page:
        pytest.skip("Chromium does not run here")
    assert "CONSOLE" not in done.stderr
    assert re.search(r"<output[^>]*>step 3 of 4: h = tanh\(", page)
    panel = html.unescape(re.search(r'<section id="panel".*?</section>', page, re.DOTALL)[0])
    assert "g = h.grad" in panel and f"{NASTY}.grad += g * (1 - h**2)" in panel
    steps = data(page)
    here, there = steps[2]["card"], steps[2]["shares"][0]["card"]
    states = {int(number): kinds.split() for kinds, number in re.findall(
        r'class="(node [^"]*)" data-card="(\d+)"', page)}
    assert "now" in states[here] and "gets" in states[there]
    assert not any("waiting" in kinds for kinds in states.values())
    assert re.search(rf'class="edge [^"]*\bnow\b[^"]*" data-lane="{steps[2]["shares"][0]["lane"]}"',
                     page)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_hides_gradients_that_have_not_arrived(saved, tmp_path):
    w, x = leaf(name="w"), mg.tensor(2.0, name="x")
    saved((w * x).tanh() + w)
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=1000", "--dump-dom",
         f"file://{os.fspath(tmp_path / 'backward.html')}#step=1"],
        capture_output=True, timeout=60, text=True, check=False)
    if "<output" not in done.stdout:
        pytest.skip("Chromium does not run here")
    assert ">1 of 2</text>" in group(done.stdout, "card", 1)
    assert done.stdout.count(">none yet</text>") == 1
