"""Releasing an assignment, reading its settings, grading a class."""

import csv
import json
import os
import time
import zipfile

import pytest
from coursework_answers import OPTIMIZERS, wrong

from minigrad.cli import main
from minigrad.coursework import diagnose
from minigrad.coursework.grading import assignment, classroom, settings
from minigrad.coursework.grading.grader import grade
from minigrad.coursework.grading.releasing import release, released
from minigrad.terminal import Refusal

FOLDER = os.path.join(os.path.dirname(os.path.dirname(__file__)), "examples", "assignments")
NAMES = ("autograd", "optimizers", "mlp_digits")


@pytest.mark.parametrize("name", NAMES)
def test_a_released_assignment_has_no_solution_and_grades_as_unwritten(name, tmp_path):
    source = os.path.join(FOLDER, name, "solution.py")
    path, count = release(source, str(tmp_path))
    text, whole = open(path).read(), open(source).read()
    assert count == text.count("raise NotImplementedError()") == whole.count("BEGIN SOLUTION") > 5
    assert "SOLUTION" not in text
    inside = [part.split("### END")[0] for part in whole.split("### BEGIN SOLUTION\n")[1:]]
    assert not any(part.strip() in text for part in inside)
    found = grade(os.path.join(FOLDER, name), path)
    assert found.score == 0 and found.misconceptions == ["unwritten"]


def test_markers_keep_their_indentation_and_hidden_tests_go():
    text = ("def f(x):\n    # keep\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION\n"
            "### BEGIN HIDDEN TESTS\nassert f(1) == 1\n### END HIDDEN TESTS\ny = 1\n")
    assert released(text) == ("def f(x):\n    # keep\n    # YOUR CODE HERE\n"
                              "    raise NotImplementedError()\ny = 1\n")


@pytest.mark.parametrize("name", NAMES)
def test_of_an_assignment_students_get_one_file_and_nothing_else(name, tmp_path):
    path, _ = release(os.path.join(FOLDER, name), str(tmp_path))
    assert os.listdir(tmp_path) == [assignment.load(os.path.join(FOLDER, name)).submission]
    assert "BEGIN SOLUTION" not in open(path).read()
    with pytest.raises(Refusal, match="no assignment can be read"):
        release(str(tmp_path), str(tmp_path / "out"))


@pytest.mark.parametrize("text, words", [
    ("### BEGIN SOLUTION\nx = 1\n", "line 1 has no END"),
    ("x = 1\n### END SOLUTION\n", "without a BEGIN"),
    ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION\n", "after BEGIN SOLUTION"),
    ("### BEGIN SOLUTION\n### END HIDDEN TESTS\n", "END HIDDEN TESTS after BEGIN SOLUTION"),
    ("x = 1\n", "no solution to strip"),
    ("if True:\n### BEGIN SOLUTION\n    x = 1\n### END SOLUTION\n", "is no Python"),
])
def test_wrong_markers_are_refused_and_nothing_is_written(text, words, tmp_path):
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(Refusal, match=words):
        release(str(tmp_path / "a.py"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_notebook_is_released_without_outputs_of_its_solutions(tmp_path):
    cells = [{"cell_type": "code", "source": ["### BEGIN SOLUTION\n", "x = 1\n",
                                              "### END SOLUTION"],
              "outputs": [{"text": "1"}], "execution_count": 3, "metadata": {}},
             {"cell_type": "markdown", "source": ["### BEGIN SOLUTION"], "metadata": {}}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    path, count = release(str(tmp_path / "a.ipynb"), str(tmp_path / "out"))
    book = json.load(open(path))
    assert count == 1 and book["cells"][0]["outputs"] == []
    assert "".join(book["cells"][0]["source"]) == "# YOUR CODE HERE\nraise NotImplementedError()"
    assert book["cells"][1] == cells[1]


def test_a_file_is_replaced_only_by_force(tmp_path):
    source = os.path.join(FOLDER, "optimizers", "solution.py")
    release(source, str(tmp_path))
    with pytest.raises(Refusal, match="exists already"):
        release(source, str(tmp_path))
    release(source, str(tmp_path), force=True)
    with pytest.raises(Refusal, match="is the source itself"):
        release(source, os.path.dirname(source), force=True)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_read_as_tomllib_reads_them(name):
    tomllib = pytest.importorskip("tomllib")
    text = open(os.path.join(FOLDER, name, "ASSIGNMENT.toml"), encoding="utf-8").read()
    assert settings.read(text) == tomllib.loads(text)


def test_kinds_of_values_are_those_of_toml():
    tomllib = pytest.importorskip("tomllib")
    text = ("many = [1, # one\n  'two]',\n\n  3]\n# words\na = 1 # one\n"
            "b = -2.5e-3\nc = [1, 'two', \"th#ree\\n\", true,]\n"
            "d = { x = 1, y = \"=\" }\ne = '''\n  'quoted' \"\n'''\nf = \"\"\"one\ntwo\"\"\"\n"
            "g = 1_000\nh = []\n[table]\nk = 'it\\n'\n[[row]]\nz = 1\n[[row]]\nz = 2\n")
    assert settings.read(text) == tomllib.loads(text)


@pytest.mark.parametrize("text, words", [
    ("a = word", "quotes around 'word'"), ("a", "expected key = value"), ("a = [1", "the value"),
    ("a = [1\nb = 2", "cannot read"),
    ("a = '''\nx", "not closed"), ("[[a]", "do not match"), ("a = 1\na = 2", "given twice"),
    ("a = 1 2", "cannot read"), ("[a]\n[a]", "given twice"),
])
def test_wrong_settings_are_refused_with_their_line(text, words):
    with pytest.raises(settings.SettingsError, match="line"):
        settings.read(text)
    with pytest.raises(settings.SettingsError, match=words):
        settings.read(text)


def test_a_class_gives_one_table_and_a_histogram(tmp_path):
    folder = tmp_path / "class"
    for student, text in (("ann", OPTIMIZERS), ("bob", wrong("optimizers", "t-stuck")),
                          ("=cat", wrong("optimizers", "t-stuck")),
                          ("dan", "import os; os.abort()")):
        (folder / student).mkdir(parents=True)
        (folder / student / "mine.py").write_text(text)
    (folder / "eve.py").write_text(wrong("optimizers", "decay-coupled"))
    (folder / "fay").mkdir()
    room = classroom.grade_class(os.path.join(FOLDER, "optimizers"), str(folder))
    assert room.histogram == {"t-stuck": 2, "decay-coupled": 1, "failed": 1}
    assert list(room.missing) == ["fay"]
    classroom.write_class(room, str(tmp_path / "out"))
    rows = list(csv.DictReader(open(tmp_path / "out" / "grades.csv")))
    assert [row["student"] for row in rows] == ["'=cat", "ann", "bob", "dan", "eve", "fay"]
    assert [float(row["score"]) for row in rows] == [22, 32, 22, 0, 28, 0]
    assert rows[2]["found"] == "t-stuck"
    assert "t-stuck          2  ##\n" in (tmp_path / "out" / "histogram.txt").read_text()
    assert sorted(os.listdir(tmp_path / "out" / "reports")) == [
        "=cat.txt", "ann.txt", "bob.txt", "dan.txt", "eve.txt"]


def test_what_another_course_defines_is_counted_once(tmp_path):
    """It has two names, whose it is and what it is here; grades.csv keeps both."""
    (tmp_path / "ann.py").write_text(wrong("optimizers", "momentum/ema"))
    room = classroom.grade_class(os.path.join(FOLDER, "optimizers"), str(tmp_path))
    first, second = room.grades["ann"].misconceptions
    assert {first, second} == {"momentum/ema", "momentum-averaged"}
    assert room.histogram == {first: 1}
    assert f"{first} {second}\n" in room.csv()


@pytest.fixture
def class_zip(tmp_path):
    path = tmp_path / "class.zip"
    unknown = OPTIMIZERS.replace("cache + (1 - rho)", "0.3 + cache + (1 - rho)")
    assert unknown != OPTIMIZERS
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("download/ann/optimizers.py", OPTIMIZERS)
        book.writestr("download/ann/notes.txt", "x")
        book.writestr("download/bob/other.py", unknown)
        book.writestr("__MACOSX/download/ann/._optimizers.py", "x")
        book.writestr("download/../../../evil.py", "x")
    return str(path)


def test_a_zip_file_of_a_class_is_graded_each_student_with_other_numbers(class_zip, tmp_path):
    room = classroom.grade_class(os.path.join(FOLDER, "optimizers"), class_zip,
                                 seed_per_student=True)
    assert {"ann", "bob"} <= set(room.grades) and not (tmp_path.parent / "evil.py").exists()
    assert room.grades["ann"].score == 32 > room.grades["bob"].score
    assert room.grades["ann"].seed != room.grades["bob"].seed
    assert room.grades["bob"].misconceptions == ["unknown"]
    classroom.write_class(room, str(tmp_path / "out"))
    trace = str(tmp_path / "out" / "unknown" / "bob-rmsprop.json")
    again = diagnose(trace, rule="rmsprop", most=1)  # what the instructor does next
    assert again.verdict == "unknown" and again.first_difference.quantity == "v"


def test_a_class_of_thirty_takes_less_than_45_seconds(tmp_path):
    for i in range(4):
        (tmp_path / f"s{i}.py").write_text(wrong("optimizers", "betas-swapped"))
    begin = time.monotonic()
    room = classroom.grade_class(os.path.join(FOLDER, "optimizers"), str(tmp_path))
    assert room.histogram == {"betas-swapped": 4}
    assert (time.monotonic() - begin) / 4 < 45 / 30


def test_what_is_no_class_is_refused_by_name(tmp_path, capsys):
    (tmp_path / "class.zip").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, words in (("class.zip", "not a zip file"), ("empty", "there are no submissions")):
        assert main(["grade", os.path.join(FOLDER, "optimizers"), str(tmp_path / name)]) == 1
        told = capsys.readouterr().err
        assert words in told and name in told and "Traceback" not in told


def test_an_output_that_is_a_folder_gets_results_json_in_it(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("x = 1")
    command = ["grade", os.path.join(FOLDER, "optimizers"), str(tmp_path / "mine.py")]
    assert main(command + ["-o", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["score"] == 0


def test_an_assignment_from_nothing_names_its_own_mistake(tmp_path):
    (tmp_path / "solution.py").write_text(
        "def half(x):\n    ### BEGIN SOLUTION\n    return x / 2\n    ### END SOLUTION\n")
    (tmp_path / "probes.py").write_text(
        "def half(student, rng):\n    return {'y': student.half(rng.standard_normal(3))}\n")
    (tmp_path / "ASSIGNMENT.toml").write_text(
        '[[check]]\nprobe = "half"\n[[mistake]]\nid = "doubled"\ntitle = "twice, not half"\n'
        'concept = "Half is smaller."\nreplace = "x / 2"\nby = "x * 2"\n')
    (tmp_path / "mine.py").write_text("def half(x):\n    return x + x\n")
    found = grade(str(tmp_path), str(tmp_path / "mine.py"))
    assert (found.score, found.most, found.misconceptions) == (0, 1, ["doubled"])
    assert "twice, not half" in str(found)
    with open(tmp_path / "ASSIGNMENT.toml", "a") as file:
        file.write('group = "nowhere"\n')
    with pytest.raises(settings.SettingsError, match="of the group 'nowhere'; there are half"):
        grade(str(tmp_path), str(tmp_path / "mine.py"))
