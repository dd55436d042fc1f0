"""Grading: the reference and other right answers pass, wrong ones are named, points add up."""

import copy
import dataclasses
import json
import os

import numpy as np
import pytest
from coursework_answers import ANSWERS, wrong
from coursework_students import STUDENTS

from minigrad.coursework.grading import findings, gradebook
from minigrad.coursework.grading.assignment import LEVELS, load
from minigrad.coursework.grading.grader import AssignmentError, Grader, grade, seed_of
from minigrad.coursework.grading.questions import difference
from minigrad.coursework.grading.reporting import report
from minigrad.coursework.grading.settings import SettingsError

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "examples", "assignments")
OTHERS = [(name, i) for name, (_, rows) in STUDENTS.items() for i in range(len(rows))]
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
def test_the_reference_and_answers_written_otherwise_get_all_points(name, graders):
    grader = graders[name]
    texts = [grader.assignment.solution, ANSWERS[name][0], STUDENTS[name][0]]
    for found in map(grader.judged, grader.run(texts, list(grader.checks))):
        assert found.score == found.most == grader.assignment.points
        assert found.findings == []


@pytest.fixture(scope="module")
def all_graded(graders):
    """{(name, key): Grade} of all wrong answers, those of an assignment in one process."""
    found = {}
    for name, grader in graders.items():
        right, rows = STUDENTS[name]
        assert all(old in right for _, old, _ in rows)
        texts = {id: wrong(name, id) for id, _, _ in ANSWERS[name][1]}
        texts |= {i: right.replace(old, new) for i, (_, old, new) in enumerate(rows)}
        outcomes = grader.run(list(texts.values()), list(grader.checks))
        found.update(((name, key), grader.judged(one)) for key, one in zip(texts, outcomes))
    return found


# What is right in another course has two names: whose it is, and what it is here.
TWINS = {"momentum/ema": "momentum-averaged", "eps-inside-sqrt": "rmsprop/eps-inside",
         "no-bias-correction": "adam/uncorrected", "eps-before-correction": "adam/eps-hat"}


@pytest.mark.parametrize("name, id", PAIRS)
def test_a_typical_wrong_answer_is_named_and_nothing_else_is(name, id, all_graded):
    found = all_graded[name, id]
    assert set(found.misconceptions) == {id, TWINS.get(id, id)} and not found.notes
    assert 0 <= found.score < found.most
    assert not any(finding.partly for finding in found.findings)


@pytest.mark.parametrize("name, i", OTHERS)
def test_wrong_answers_by_other_hands_are_named(name, i, all_graded):
    found = all_graded[name, i]
    assert set(found.misconceptions) == set(STUDENTS[name][1][i][0]) and not found.notes
    assert found.score < found.most


def test_every_edit_of_the_table_has_its_own_name_on_another_seed():
    grader = Grader(os.path.join(FOLDER, "mlp_digits"), seed=7)
    assert len(grader.assignment.mistakes) >= 70
    for group in grader.assignment.groups:
        names = [check.name for check in grader.assignment.checks if check.group == group]
        rows = [row for row in grader.assignment.mistakes if row.groups[0] == group]
        for row, outcomes in zip(rows, grader.edits.variants_of([(row,) for row in rows], names)):
            found = grader.edits.finding(group, outcomes, [])
            assert (found.ids, found.partly) == ((row.id,), False)


def test_other_seeds_give_other_numbers_and_the_same_points_and_names():
    seed = 2**32 - 1
    for name, id in (("autograd", "tanh-not-squared"), ("optimizers", "betas-swapped")):
        grader = Grader(os.path.join(FOLDER, name), seed=seed)
        right, bad = grader.run([ANSWERS[name][0], wrong(name, id)], list(grader.checks))
        assert grader.judged(right).score == grader.assignment.points
        assert grader.judged(bad).misconceptions == [id]
    assert len({seed_of(student, seed) for student in ("ann", "bob", "Ann")}) == 3
    assert seed_of("ann", 1) == 4101325801 != seed_of("ann", 2)


def test_points_do_not_depend_on_the_search_for_mistakes(graded, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("no search")
    monkeypatch.setattr(findings, "explained", broken)
    found = graded("optimizers", wrong("optimizers", "betas-swapped"))
    assert found.score == 19 and found.misconceptions == ["unknown"]
    assert "no search" in found.notes[0]


def test_single_precision_and_lists_are_right(graded):
    text = ANSWERS["optimizers"][0]
    single = text + """
def halved(f):
    def g(w, dw, config):
        w, config = f(w.astype(np.float32), dw.astype(np.float32), config)
        return np.float32(w), {k: np.float32(x) if k in "mvs" else x for k, x in config.items()}
    return g
sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw = map(
    halved, (sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw))
"""
    lists = text + """
def sgd(w, g, config):
    return [[a - config["lr"] * b for a, b in zip(*rows)] for rows in zip(w.tolist(), g)], None
"""
    for one in (single, lists):
        assert (graded("optimizers", one).score, one[-20:]) == (32, one[-20:])
    assert "eps-inside-sqrt" in graded("optimizers", single.replace(
        'down = (v / c2) ** 0.5 + config["eps"]', 'down = (v / c2 + config["eps"]) ** 0.5')
        ).misconceptions


def test_a_notebook_is_graded_by_its_code_cells(graders, tmp_path):
    path = tmp_path / "mine.ipynb"
    cells = [["%matplotlib inline\n", "!pip install numpy\n", "import numpy as np"],
             ["import matplotlib.pyplot as plt\n", "plt.plot([1])"], ["%%bash\n", "rm -rf /"],
             ["np.sqrt?"], ANSWERS["optimizers"][0]]
    book = {"cells": [{"cell_type": "markdown", "source": "def"},
                      *({"cell_type": "code", "source": source} for source in cells)]}
    path.write_text(json.dumps(book))
    found = graders["optimizers"].grade(str(path))
    assert found.score == found.most == 32
    for text in ("{}", "[]", '{"cells": [{}]}', "x"):
        path.write_text(text)
        found = graders["optimizers"].grade(str(path))
        assert found.score == 0 and "no notebook" in found.checks[0].failure


def test_two_mistakes_in_one_function_are_named_together(graded):
    text = wrong("optimizers", "betas-swapped")
    old = '(v / c2) ** 0.5 + config["eps"]'
    assert old in text
    found = graded("optimizers", text.replace(old, '(v / c2 + config["eps"]) ** 0.5'))
    assert set(found.misconceptions) == {"betas-swapped", "eps-inside-sqrt"}
    adam = next(finding for finding in found.findings if finding.group == "adam")
    assert {"betas-swapped", "eps-inside-sqrt"} >= set(adam.ids) and len(adam.ids) == 2


def test_points_are_given_for_each_right_quantity(all_graded):
    found = all_graded["optimizers", "no-bias-correction"]
    adam = next(one for one in found.checks if one.check.name == "adam")
    assert (adam.earned, list(adam.wrong)) == (4, ["w"])  # m and v are right: 2 + 2 of 8


def test_what_is_not_written_yet_is_said_so_and_the_rest_is_graded(graded):
    text = ANSWERS["optimizers"][0].replace(
        "def adamw(w, g, config):\n", "def adamw(w, g, config):\n    raise NotImplementedError()\n")
    found = graded("optimizers", text)
    assert found.misconceptions == ["unwritten"] and found.score == found.most - 4


def test_complex_numbers_are_not_taken_for_their_real_part(graded):
    found = graded("optimizers", ANSWERS["optimizers"][0] + """
def sgd(w, g, config):
    return w - config["lr"] * g + 1j, config
""")
    assert found.score == 30 and found.checks[0].wrong == {"w": "has complex numbers"}


def test_four_printed_digits_would_do(graders):
    a = graders["optimizers"].assignment
    assert a.tolerance == 1e-6
    expected = np.array([1.0, -2.0, 0.5])
    assert difference(expected + 1e-7, expected, 1e-6) == ""
    assert "[1]" in difference(expected + [0, 1e-3, 0], expected, 1e-6)
    assert "shape" in difference(expected[:2], expected, 1e-6)
    assert "nan" in difference(expected * np.nan, expected, 1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_hints_tell_as_much_as_the_instructor_chose(level, all_graded):
    found = all_graded["optimizers", "no-bias-correction"]
    text = report(dataclasses.replace(found, hints=level))
    assert ("m_hat is the first that differs, in step 1" in text) == (level == "where")
    assert ("What makes up for it?" in text) == (level == "concept")
    assert ("m_hat = m / (1 - beta1 ** t)" in text) == (level == "formula")
    assert max(map(len, text.splitlines())) <= 79


def test_hidden_checks_say_nothing_about_what_went_wrong(all_graded):
    found = copy.deepcopy(all_graded["autograd", "repropagates-accumulated"])
    assert any("b" == text[:1] for text in found.checks[9].wrong)
    hidden = gradebook.gradescope(found)["tests"][9]
    assert hidden["visibility"] == "hidden" and hidden["status"] == "failed"
    assert "d = c * b" not in report(found)
    for one in found.checks:
        one.wrong = one.wrong if one.check.hidden else {}
    assert "what it looks like" not in report(found)


def test_results_for_gradescope_add_up(all_graded):
    found = all_graded["mlp_digits", "sum-for-mean"]
    result = gradebook.gradescope(found, 1.4)
    assert result["score"] == pytest.approx(sum(test["score"] for test in result["tests"]))
    assert result["execution_time"] == 1
    assert result["extra_data"] == {"misconceptions": ["sum-for-mean"], "seed": 0}
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


def test_a_mistake_costs_points_only_where_it_is_made(graders, all_graded):
    """The numbers of functions that call the wrong one are wrong, too, but exactly so."""
    carried, assignment = 0, graders["mlp_digits"].assignment
    for id, _, _ in ANSWERS["mlp_digits"][1]:
        made_in = {row.groups[0] for row in assignment.mistakes if row.id == id}
        first = next(group for group in assignment.groups if group in made_in)
        checks = all_graded["mlp_digits", id].checks
        lost = {one.check.group for one in checks if one.earned < one.check.most}
        stopped = {one.check.group for one in checks if one.failure}  # shows nothing of itself
        assert first in lost and lost <= {first} | stopped, id
        again = [one for one in checks if one.carried]
        assert all(not one.right and one.earned == one.check.most for one in again)
        carried += bool(again)
    assert carried >= 6
    assert "no points are lost here" in report(all_graded["mlp_digits", "softmax-wrong-axis"])


def test_without_the_word_carried_every_wrong_number_costs(graders, all_graded):
    grader = copy.copy(graders["mlp_digits"])
    grader.assignment = dataclasses.replace(grader.assignment, carried=False)
    text = wrong("mlp_digits", "softmax-wrong-axis")
    found = grader.judged(grader.run([text], list(grader.checks))[0])
    assert found.score < all_graded["mlp_digits", "softmax-wrong-axis"].score
    assert not any(one.carried for one in found.checks)
