"""The page of a race has the numbers of the race, and the command says and refuses in words."""

import base64
import gzip
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad import optim
from minigrad.lab import racepage, racing, surfaces
from minigrad.lab.race import OPTIMIZERS, race
from minigrad.terminal import Refusal
from tests.test_lab_race import NASTY, bowl, coarse  # noqa: F401 (a fixture of all tests)


def page_numbers(text):
    """(words, [array of each series]) of a page, unpacked in NumPy."""
    def script(name):
        return re.search(rf'<script type="[^"]*" id="{name}">(.*?)</script>', text, re.DOTALL)[1]
    words, raw = json.loads(script("data")), gzip.decompress(base64.b64decode(script("numbers")))
    arrays, start = [], 0
    for rows, n, kind, *same in words["series"]:
        if kind == "=":
            arrays.append(np.full((rows, n), same[0]))
            continue
        width = int(kind[1])
        planes = np.frombuffer(raw[start:start + rows * n * width], np.uint8).reshape(width, -1)
        arrays.append(np.ascontiguousarray(planes.T).view(f"<f{width}").reshape(rows, n))
        start += rows * n * width
    assert start == len(raw)
    return words, arrays


def test_every_number_on_the_page_is_the_races():
    r = race("noisy", ["sgd", "momentum", "rmsprop", "adam", "adamw"], steps=30, seed=2)
    words, arrays = page_numbers(racepage.page(r))
    assert words["steps"] == list(range(31)) and words["start"] == [-2.5, 1.0]
    xs, ys = (np.linspace(*side, n) for side, n in zip(
        words["domain"], reversed(arrays[words["grid"]].shape)))
    np.testing.assert_allclose(arrays[words["grid"]], xs**2 / 2 + 5 * ys[:, None]**2, rtol=1e-6,
                               atol=1e-12)
    for found, lane in zip(words["lanes"], r.lanes.values()):
        assert (found["name"], found["ending"], found["steps"]) == (
            lane.label, lane.ending, list(range(31)))
        np.testing.assert_array_equal(arrays[found["w"]], lane.points.astype(np.float32))
        np.testing.assert_array_equal(arrays[found["values"]][:, 0],
                                      lane.values.astype(np.float32))
        for key, number in found["quantities"].items():
            rows, entry = arrays[number], lane.quantities[key]
            np.testing.assert_array_equal(rows[1:], entry.reshape(30, -1).astype(np.float32))
            assert np.isnan(rows[0]).all()
    shown = [list(lane["quantities"]) for lane in words["lanes"]]
    assert shown[0] == ["grad", "step", "delta"] and shown[1][:2] == ["grad", "b"]
    assert "m" not in shown[2] and shown[3][:3] == ["grad", "m", "v"]
    assert "decay" in shown[4] and "decay" not in shown[3]


def test_lanes_that_end_early_stop_on_the_page():
    r = race("saddle", {"slow": lambda p: optim.SGD(p, lr=0.05),
                        "fast": lambda p: optim.SGD(p, lr=0.4)}, steps=40)
    words, arrays = page_numbers(racepage.page(r))
    slow, fast = words["lanes"]
    assert slow["steps"] == list(range(41)) and fast["steps"] == list(range(len(r["fast"]) + 1))
    assert fast["cut"] and len(arrays[fast["w"]]) == len(r["fast"]) + 1
    assert words["heights"]["log"] is False


def test_long_races_are_thinned_and_say_so(monkeypatch):
    monkeypatch.setattr(racepage, "STEPS", 10)
    r = race("saddle", {"SGD": lambda p: optim.SGD(p, lr=0.001),
                        "fast": lambda p: optim.SGD(p, lr=0.4)}, steps=95)
    words, arrays = page_numbers(racepage.page(r))
    assert words["steps"] == [*range(0, 95, 10), 95] and "One step in 10 is shown" in words["note"]
    n = len(r["fast"])
    assert words["lanes"][1]["steps"] == [*range(0, n, 10), n]
    np.testing.assert_array_equal(arrays[words["lanes"][0]["w"]][3],
                                  r["SGD"].points[30].astype(np.float32))
    number = words["lanes"][0]["quantities"]["grad"]
    np.testing.assert_array_equal(arrays[number][3],
                                  r["SGD"].quantities["grad"][29].astype(np.float32))


def test_one_file_without_a_network_and_only_its_own_scripts():
    made = surfaces.Surface(bowl, NASTY, (1, 1), source=NASTY, formula=NASTY)
    r = race(made, {NASTY: lambda p: optim.SGD(p, lr=0.1)}, steps=3)
    text = racepage.page(r)
    assert text == racepage.page(race(made, {NASTY: lambda p: optim.SGD(p, lr=0.1)}, steps=3))
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
    words, _ = page_numbers(text)
    assert words["lanes"][0]["name"] == NASTY.replace("\x07", "\\x07")
    assert "<noscript>" in text and 'lang="en"' in text


def test_pages_go_where_they_are_sent(tmp_path):
    r = race("saddle", ["sgd"], steps=2)
    path = tmp_path / "race.html"
    assert r.animate(path) == path and path.read_text("utf-8") == racepage.page(r)
    with pytest.raises(ValueError, match="suffix must be .html; race.plot"):
        r.animate(tmp_path / "race.png")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        r.animate(tmp_path / "no" / "race.html")


# --- the command ----------------------------------------------------------------------------------

def options(surface, **given):
    defaults = dict(surface=surface, set=None, optimizers="sgd,momentum,adam", lr=None, start=None,
                    steps=20, noise=None, seed=0, output=None, force=False, json=False)
    return SimpleNamespace(**{**defaults, **given})


def test_the_command_prints_the_table_or_json(capsys, tmp_path):
    assert racing.race(options("Rosenbrock", set=["a=1.5,b=10"], start="-1,1",
                               lr="sgd=0.001,adam=0.1")) == 0
    expected = race(surfaces.rosenbrock(a=1.5, b=10), ["sgd", "momentum", "adam"], start=(-1, 1),
                    lr={"sgd": 0.001, "adam": 0.1}, steps=20)
    out, err = capsys.readouterr()
    assert out == expected.table() + "\n" and err == ""
    path = str(tmp_path / "race.html")
    assert racing.race(options("beale", lr="1e300", output=path, json=True)) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["file"] == path and found["lanes"][0]["ending"].startswith("diverged")
    assert f"wrote {path}: 3 optimizers on beale, 20 steps; open it" in err
    again = race("beale", ["sgd", "momentum", "adam"], lr=1e300, steps=20)
    assert (tmp_path / "race.html").read_text("utf-8") == racepage.page(again)


def test_the_command_writes_pictures_and_lists_surfaces(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "race.png"
    assert racing.race(options("saddle", output=str(path))) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert racing.race(options("list")) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in surfaces.SURFACES) and "condition=10, rotation=0" in out
    assert max(map(len, out.splitlines())) <= 80
    assert racing.race(options("list", json=True)) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(surfaces.SURFACES)


def test_the_command_refuses_in_words(tmp_path):
    (tmp_path / "there.html").write_text("as it was")
    cases = [("sadle", {}, "Did you mean 'saddle'"),
             ("saddle", {"optimizers": "sgd,adamm"}, "no optimizer 'adamm'"),
             ("saddle", {"optimizers": " , "}, "names separated by commas"),
             ("saddle", {"set": ["y"]}, "--set takes NAME=NUMBER"),
             ("saddle", {"set": ["y=no"]}, "--set y: 'no' is not a number"),
             ("quadratic", {"set": ["kappa=3"]}, "no parameter 'kappa'; it has condition"),
             ("saddle", {"lr": "fast"}, "--lr: 'fast' is not a number"),
             ("saddle", {"lr": "adam="}, "--lr adam=: '' is not a number"),
             ("saddle", {"lr": "sgd=nan"}, "lr of sgd must be a number above 0"),
             ("saddle", {"start": "1"}, "must be two finite numbers"),
             ("saddle", {"start": "9,9"}, "outside its domain"),
             ("saddle", {"output": "race.gif"}, "suffix must be .html or .png"),
             ("saddle", {"output": str(tmp_path / "no" / "race.html")}, "there is no folder"),
             ("saddle", {"output": str(tmp_path / "there.html")}, "exists already")]
    for surface, given, words in cases:
        with pytest.raises(Refusal, match=words) as refused:
            racing.race(options(surface, **given))
        assert refused.value.hint
    assert (tmp_path / "there.html").read_text() == "as it was"
    assert racing.race(options("saddle", output=str(tmp_path / "there.html"), force=True)) == 0


# --- in a browser ---------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_browser_shows_the_numbers_of_the_address(tmp_path):
    r = race("rosenbrock", {NASTY: lambda p: optim.Adam(p, lr=0.05),
                            "lost": lambda p: optim.SGD(p, lr=0.1)}, steps=40)
    r.animate(tmp_path / "race.html")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
         "--window-size=1200,1400", "--dump-dom",
         f"file://{os.fspath(tmp_path / 'race.html')}#step=17"],
        capture_output=True, timeout=60, text=True, check=False)
    if "<output" not in done.stdout:
        pytest.skip("Chromium does not run here")
    assert "CONSOLE" not in done.stderr
    assert re.search(r'id="trouble" role="alert" hidden=""></p>', done.stdout)
    assert re.search(r"<output[^>]*>step 17 of 40</output>", done.stdout)
    lane = r[NASTY]
    cards = re.findall(r'<div class="card".*?</table></div>', done.stdout, re.DOTALL)
    rows = {html.unescape(name): (x, y) for name, x, y in re.findall(
        r"<th>([^<]*)</th><td>([^<]*)</td><td>([^<]*)</td>", cards[0])}
    for key in ("grad", "m", "v", "m_hat", "v_hat", "denominator", "step", "delta"):
        shown = [float(x) for x in rows[key]]
        np.testing.assert_allclose(shown, lane.quantities[key][16], rtol=5e-5)
    np.testing.assert_allclose([float(x) for x in rows["point"]], lane.points[17], rtol=5e-6)
    assert f"height {lane.values[17]:.5g}" in cards[0]
    assert NASTY.replace("\x07", "\\x07") in html.unescape(cards[0])
    n = len(r["lost"])
    assert n < 17 and f"ended at step {n}" in cards[1]
    assert f"diverged, cut at step {n}" in done.stdout
    assert "onerror" not in re.sub(r">[^<]*<|\"[^\"]*\"", "", done.stdout)


def test_pages_stay_small():
    assert len(racepage.page(race("saddle", list(OPTIMIZERS), steps=100))) < 400_000
