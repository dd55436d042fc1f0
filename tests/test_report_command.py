"""`python -m minigrad report run.npz`: what is written, said and refused."""

import json
from types import SimpleNamespace

import pytest

import minigrad as mg
from minigrad import reporting
from minigrad.inspect.report import page
from minigrad.inspect.trace import load_trace
from minigrad.terminal import Refusal
from tests.test_report import trained


def options(run, output=None, force=False, json=False):
    return SimpleNamespace(trace=str(run), output=output and str(output), force=force, json=json)


def test_the_command_writes_the_page_of_a_saved_run(tmp_path, capsys):
    run = trained()
    run.save(tmp_path / "run.npz")
    assert reporting.report(options(tmp_path / "run.npz")) == 0
    assert (tmp_path / "run.html").read_text("utf-8") == page(load_trace(tmp_path / "run.npz"))
    out, err = capsys.readouterr()
    assert out == "" and "run.html: 8 steps of Adam" in err
    with pytest.raises(Refusal, match="exists already"):
        reporting.report(options(tmp_path / "run.npz"))
    assert reporting.report(options(tmp_path / "run.npz", force=True, json=True)) == 0
    assert json.loads(capsys.readouterr().out)["recorded_steps"] == 8
    assert reporting.report(options(tmp_path / "run.npz", "-")) == 0
    assert capsys.readouterr().out == (tmp_path / "run.html").read_text("utf-8")


def test_the_command_refuses_in_words(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK no")
    mg.save({"a": 1}, tmp_path / "model.npz")
    trained(steps=0).save(tmp_path / "none.npz")
    for path, output, words in (
            ("missing.npz", None, "there is no file"), ("bad.npz", None, "bad.npz"),
            ("model.npz", None, "not a trace"), ("none.npz", None, "nothing is recorded"),
            ("model.npz", tmp_path / "a.txt", "suffix must be .html"),
            ("model.npz", tmp_path / "no" / "a.html", "there is no folder")):
        with pytest.raises(Refusal, match=words) as refused:
            reporting.report(options(tmp_path / path, output))
        assert refused.value.hint
    assert not list(tmp_path.glob("*.html"))
