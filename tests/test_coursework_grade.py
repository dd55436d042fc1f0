"""Grading: the reference and other right answers pass, wrong ones are named, points add up."""

import os

import numpy as np
import pytest

from coursework_answers import ANSWERS, wrong
from minigrad.coursework import gradebook
from minigrad.coursework.assignment import LEVELS, load
from minigrad.coursework.grading import AssignmentError, Grader, difference, grade
from minigrad.coursework.settings import SettingsError

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "examples", "assignments")
PAIRS = [(name, id) for name, (_, rows) in ANSWERS.items() for id, _, _ in rows]


@pytest.fixture(scope="module")
def graders():
    return {name: Grader(os.path.join(FOLDER, name)) for name in ANSWERS}


@pytest.fixture
def graded(graders, tmp_path):
    def of(name, text, **options):
        path = tmp_path / "submission.py"
        path.write_text(text)
        return graders[name].grade(str(path), **options)
    return of


@pytest.mark.parametrize("name", ANSWERS)
def test_the_reference_and_an_answer_written_otherwise_get_all_points(name, graders, graded):
    for text in (graders[name].assignment.solution, ANSWERS[name][0]):
        found = graded(name, text)
        assert found.score == found.most == graders[name].assignment.points
        assert found.findings == []


@pytest.mark.parametrize("name, id", PAIRS)
def test_a_typical_wrong_answer_is_named_and_nothing_else_is(name, id, graded):
    found = graded(name, wrong(name, id))
    assert found.misconceptions == [id]
    assert 0 <= found.score < found.most
    assert not any(finding.ties for finding in found.findings)


@pytest.mark.parametrize("name", ANSWERS)
def test_every_mistake_of_the_table_has_its_own_name_on_another_seed(name):
    grader = Grader(os.path.join(FOLDER, name), seed=7)
    assert len(grader.assignment.mistakes) >= 20
    for group in grader.assignment.groups:
        probes = [check.probe for check in grader.assignment.checks if check.group == group]
        rows = [row for row in grader.assignment.mistakes if row.groups[0] == group]
        for row, outcomes in zip(rows, grader.variants_of([(row,) for row in rows], probes)):
            found = grader.finding(group, outcomes, [])
            assert (found.ids, found.ties, found.partly) == ((row.id,), [], False)


def test_two_mistakes_in_one_function_are_named_together(graded):
    text = wrong("optimizers", "betas-swapped")
    old = '(v / c2) ** 0.5 + config["eps"]'
    assert old in text
    found = graded("optimizers", text.replace(old, '(v / c2 + config["eps"]) ** 0.5'))
    assert set(found.misconceptions) == {"betas-swapped", "eps-inside-sqrt"}


def test_points_are_given_for_each_right_quantity(graded):
    found = graded("optimizers", wrong("optimizers", "no-bias-correction"))
    adam = next(one for one in found.checks if one.check.probe == "adam")
    assert (adam.earned, list(adam.wrong)) == (4, ["w"])  # m and v are right: 2 + 2 of 8


def test_a_mistake_outside_the_table_is_unknown(graded):
    text = ANSWERS["optimizers"][0].replace("np.square(g)\n    c1", "np.square(g)**1.1\n    c1")
    assert graded("optimizers", text).misconceptions == ["unknown"]


def test_what_is_not_written_yet_is_said_so_and_the_rest_is_graded(graded):
    text = ANSWERS["optimizers"][0].replace(
        "def adamw(w, g, config):\n", "def adamw(w, g, config):\n    raise NotImplementedError()\n")
    found = graded("optimizers", text)
    assert found.misconceptions == ["unwritten"] and found.score == found.most - 4


def test_four_printed_digits_would_do(graders):
    a = graders["optimizers"].assignment
    assert a.tolerance == 1e-6
    expected = np.array([1.0, -2.0, 0.5])
    assert difference(expected + 1e-7, expected, 1e-6) == ""
    assert "[1]" in difference(expected + [0, 1e-3, 0], expected, 1e-6)
    assert "shape" in difference(expected[:2], expected, 1e-6)
    assert "nan" in difference(expected * np.nan, expected, 1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_hints_tell_as_much_as_the_instructor_chose(level, graded):
    found = graded("optimizers", wrong("optimizers", "no-bias-correction"), hints=level)
    text = gradebook.report(found)
    assert ("look at the first step" in text) == (level == "where")
    assert ("m and v begin at 0" in " ".join(text.split())) == (level == "concept")
    assert ("m_hat = m / (1 - beta1**t)" in text) == (level == "formula")
    assert max(map(len, text.splitlines())) <= 79


def test_hidden_checks_say_nothing_about_what_went_wrong(graded):
    found = graded("autograd", wrong("autograd", "interior-gradients-not-cleared"))
    again = next(t for t in gradebook.gradescope(found)["tests"] if "twice" in t["name"]
                 and "backward" in t["name"])
    assert again["visibility"] == "hidden" and again["status"] == "failed"
    assert "differs" not in gradebook.report(found)


def test_results_for_gradescope_add_up(graded):
    found = graded("mlp_digits", wrong("mlp_digits", "sum-for-mean"))
    result = gradebook.gradescope(found, 1.4)
    assert result["score"] == pytest.approx(sum(test["score"] for test in result["tests"]))
    assert result["execution_time"] == 1
    assert result["extra_data"] == {"misconceptions": ["sum-for-mean"]}
    assert {test["status"] for test in result["tests"]} == {"passed", "failed"}


def test_a_broken_assignment_is_the_instructors_and_still_writes_results(tmp_path):
    (tmp_path / "solution.py").write_text("def f(x):\n    return x\n")
    (tmp_path / "probes.py").write_text("def p(student, rng):\n    return {'y': student.g(1)}\n")
    toml = tmp_path / "ASSIGNMENT.toml"
    toml.write_text('[[check]]\nprobe = "p"\n')
    with pytest.raises(AssignmentError, match="reference solution fails probe p.*has no attrib"):
        grade(str(toml), str(tmp_path / "solution.py"))
    out = tmp_path / "results.json"
    done, message = gradebook.graded_into(str(out), str(toml), str(tmp_path / "solution.py"))
    assert done is None and "fails probe p" in message
    assert '"score": 0' in out.read_text()


@pytest.mark.parametrize("row, words", [
    ('[[check]]\nprobe = "q"\n', "asks for the probe 'q'"),
    ('[[check]]\nprobe = "p"\npoints = -1\n', "points -1"),
    ('[[check]]\nprobe = "p"\ncolour = 1\n', "has no 'colour'"),
    ('[[check]]\nprobe = "p"\n[[mistake]]\nid = "a"\ntitle = "t"\nconcept = "c"\n'
     'replace = "nowhere"\nby = "x"\n', "in the solution 0 times"),
    ("", r"no \[\[check\]\]"),
])
def test_what_is_wrong_in_an_assignment_is_said(row, words, tmp_path):
    (tmp_path / "solution.py").write_text("x = 1\n")
    (tmp_path / "probes.py").write_text("def p(student, rng):\n    return {'y': 1}\n")
    (tmp_path / "ASSIGNMENT.toml").write_text(row)
    with pytest.raises(SettingsError, match=words):
        load(str(tmp_path))
