"""Tables from CSV files: what is read, how it is encoded, and what is refused, where and why."""

import json

import numpy as np
import pytest

from minigrad import data
from minigrad.data import Schema, TableError, read_table

HOUSES = """rooms,city,age,price
3,Berlin,10,250000
4,Paris,20,410000
2,Berlin,5,199000
5,Rome,40,380000
3,Paris,15,305500
4,Rome,30,329000
"""


@pytest.fixture
def csv(tmp_path):
    """A function that writes a CSV file and returns its path."""
    def write(content, name="data.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path
    return write


def column(target_values, name="y"):
    """A CSV text with these targets beside a feature."""
    return f"x,{name}\n" + "".join(f"{i}.5,{value}\n" for i, value in enumerate(target_values))


# --- reading -------------------------------------------------------------------------------------

def test_numbers_stay_and_texts_become_one_feature_per_category(csv):
    table = read_table(csv(HOUSES), "price")
    assert table.task == "regression" and table.class_names is None
    assert table.feature_names == ["rooms", "city=Berlin", "city=Paris", "city=Rome", "age"]
    assert table.features[:2].tolist() == [[3, 1, 0, 0, 10], [4, 0, 1, 0, 20]]
    assert table.targets[:2].tolist() == [250000, 410000] and table.targets.dtype == np.float64


@pytest.mark.parametrize("change", [
    lambda s: s.encode("utf-8-sig"), lambda s: s.replace("\n", "\r\n"),
    lambda s: s.replace("\n", "\r"),
    lambda s: s.replace(",", ";"), lambda s: s.replace(",", "\t"), lambda s: s.replace(",", " , "),
    lambda s: s.rstrip("\n"), lambda s: s + "\n \n\n", lambda s: "\n\n" + s,
    lambda s: s.replace("Berlin", '"Berlin"').replace("city", '"city"'),
], ids=["BOM", "CRLF", "CR", "semicolon", "tab", "spaces", "no last newline",
        "blank lines at the end", "blank lines at the start", "quotes"])
def test_spellings_of_the_same_file(csv, change):
    expected, table = read_table(csv(HOUSES), "price"), read_table(csv(change(HOUSES)), "price")
    assert table.feature_names == expected.feature_names
    assert np.array_equal(table.features, expected.features)
    assert np.array_equal(table.targets, expected.targets)


def test_quotes_protect_delimiters_newlines_and_quotes(csv):
    table = read_table(csv('"a, b",y\n"x\ny, ""z""",1\n"x\ny, ""z""",2.5\nw,3\n'), "y")
    assert table.feature_names == ['a, b=w', 'a, b=x\ny, "z"']
    assert table.targets.tolist() == [1, 2.5, 3]


@pytest.mark.parametrize("values, task", [
    (["setosa"] * 3 + ["virginica"] * 3, "classification"),
    ([0, 1, 1, 0], "classification"), (["-1", "1.0", "1", "-1.0"], "classification"),
    ([0, 1, 2] * 5, "classification"), ([0, 1, 2] * 4, "regression"),
    ([3, 4, 5, 6, 7, 8, 9] * 100, "classification"),
    (range(100), "regression"), ([v * 1000 for v in range(200, 260)], "regression"),
    (list(range(21)) * 20, "regression"), (list(range(20)) * 5, "classification"),
    ([0.5, 1.5] * 20, "regression"), ([1, 2, 3, 5, 8, 13], "regression"),
    ([True, False, True, False], "classification"), (["1e3", "2e3", "3e3"], "regression"),
])
def test_the_target_column_tells_the_task(csv, values, task):
    table = read_table(csv(column(values)), "y")
    assert table.task == task and table.why.startswith("'y' ")


def test_the_task_can_be_asked_for(csv):
    path = csv(column([10, 2, 1] * 5))
    classes, numbers = read_table(path, "y", "classification"), read_table(path, "y", "regression")
    assert classes.class_names == ["1", "2", "10"] and classes.targets[:3].tolist() == [2, 1, 0]
    assert numbers.targets[:3].tolist() == [10, 2, 1] and numbers.class_names is None
    table = read_table(csv(column(["0.5", "x", "0.5", "x", "0.5"])), "y", task="classification")
    assert table.class_names == ["0.5", "x"]


# --- splitting -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["digits", "iris"])
def test_a_fifth_is_held_out_of_every_class(name):
    table = data.load(name)
    train, test = table.split(0.2, seed=1)
    assert len(test) == round(len(table) / 5) and len(train) + len(test) == len(table)
    share = np.bincount(test.targets) / np.bincount(table.targets)
    assert np.all(abs(share - 0.2) < 0.005)
    rows = {row.tobytes() for row in train.features} | {row.tobytes() for row in test.features}
    assert rows == {row.tobytes() for row in table.features}
    again, other = table.split(0.2, seed=1), table.split(0.2, seed=2)
    assert np.array_equal(again[1].features, test.features)
    assert not np.array_equal(other[1].features, test.features)


def test_rows_keep_their_targets_and_no_class_leaves_training(csv):
    path = csv("x,y\n" + "".join(f"{i},{'abc'[i % 3 if i < 6 else 0]}\n" for i in range(40)))
    table = read_table(path, "y")
    for held_out in (0.01, 0.2, 0.5, 0.9, 0.99):
        train, test = table.split(held_out)
        assert set(train.targets) == {0, 1, 2} and len(test) >= 1
        for part in (train, test):
            for (x,), y in zip(part.features, part.targets):
                assert table.targets[int(x)] == y


@pytest.mark.parametrize("held_out", [0, 1, -0.2, 1.5, float("nan")])
def test_a_senseless_share_is_refused(held_out):
    with pytest.raises(ValueError, match="held_out is the fraction"):
        data.load("iris").split(held_out)


def test_too_few_rows_are_refused(csv):
    table = read_table(csv(column([1.5, 2.5])), "y")
    assert [len(part) for part in table.split()] == [1, 1]
    with pytest.raises(ValueError, match="at least 2"):
        table.take([0]).split()
    with pytest.raises(ValueError, match="no class has one to spare"):
        data.xor(4).take([0, 1]).split()


# --- encoding ------------------------------------------------------------------------------------

def test_training_rows_alone_decide_mean_and_deviation(csv):
    table = read_table(csv(HOUSES), "price")
    train, test = table.split(0.4, seed=0)
    schema = Schema.fit(train)
    x, y = schema.encode(train)
    assert np.allclose(x[:, [0, 4]].mean(axis=0), 0) and np.allclose(x[:, [0, 4]].std(axis=0), 1)
    assert np.array_equal(x[:, 1:4], train.features[:, 1:4])
    assert np.isclose(y.mean(), 0) and np.isclose(y.std(), 1)
    x, _ = schema.encode(test)
    mean, std = train.features[:, 0].mean(), train.features[:, 0].std()
    assert np.allclose(x[:, 0], (test.features[:, 0] - mean) / std)
    assert schema.n_inputs == 5 and schema.n_outputs == 1 and schema.task == "regression"


def test_predictions_come_back_in_the_unit_of_the_file(csv):
    table = read_table(csv(HOUSES), "price")
    schema = Schema.fit(table)
    _, y = schema.encode(table)
    assert np.allclose(schema.decode(y[:, None]), table.targets)
    iris = data.load("iris")
    schema = Schema.fit(iris)
    _, y = schema.encode(iris)
    assert np.array_equal(y, iris.targets) and schema.n_outputs == 3
    assert schema.decode(np.eye(3)[[2, 0]]) == ["virginica", "setosa"]
    for outputs in (np.ones(3), np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"scores of shape \(n, 3\)"):
            schema.decode(outputs)


@pytest.mark.parametrize("values", [[7, 7, 7], [0.1] * 3, [1e300, -1e300, 1e300], [1e-310, 0, 0],
                                    [1.7e9, 1.7e9 + 1, 1.7e9 + 2], [1e16, 1e16 + 2, 1e16]])
def test_constant_huge_and_tiny_columns_are_standardized_safely(csv, values):
    path = csv("x,y\n" + "".join(f"{v!r},{i + .5}\n" for i, v in enumerate(values)))
    table = read_table(path, "y")
    with np.errstate(all="raise", under="ignore"):
        x, _ = Schema.fit(table).encode(table)
    assert np.isfinite(x).all() and abs(x).max() < 3
    assert (x == 0).all() == (len(set(values)) == 1)


def test_a_column_constant_in_training_says_nothing_later(csv):
    schema = Schema.fit(read_table(csv("a,b,y\n1,1,0.5\n2,1,1.5\n3,1,1\n"), "y"))
    x, _ = schema.read(csv("b,a\n1000000,2\n", "new.csv"))
    assert x.tolist() == [[0, 0]]


def test_a_schema_survives_json(csv):
    for table in (read_table(csv(HOUSES), "price"), data.load("iris"), data.load("digits")):
        schema = Schema.fit(table)
        again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
        assert again == schema
        assert np.array_equal(again.encode(table)[0], schema.encode(table)[0])


@pytest.mark.parametrize("saved", [
    None, {}, [], {"columns": []}, {"columns": [{"name": 1}], "target": {"name": "y"}},
    {"columns": [{"name": "x", "mean": "a"}], "target": {"name": "y"}},
    {"columns": [{"name": "x", "std": float("nan")}], "target": {"name": "y"}},
    {"columns": [{"name": "x", "code": "a"}], "target": {"name": "y"}}])
def test_what_is_not_a_schema_is_refused(saved):
    with pytest.raises(ValueError, match="not a saved Schema"):
        Schema.from_dict(saved)


def test_a_schema_refuses_a_table_with_other_columns():
    with pytest.raises(ValueError, match="sepal_length.*this Schema was fitted to x, y"):
        Schema.fit(data.load("moons")).encode(data.load("iris"))


# --- prediction ----------------------------------------------------------------------------------

@pytest.fixture
def schema(csv):
    return Schema.fit(read_table(csv(HOUSES), "price"))


def test_another_file_is_matched_by_column_name(csv, schema):
    x, y = schema.encode(read_table(csv(HOUSES), "price"))
    again, no_targets = schema.read(csv("id;age;city;rooms\nA;10;Berlin;3\nB;20;Paris;4\n"))
    assert np.array_equal(again, x[:2]) and no_targets is None
    again, targets = schema.read(csv("price,age,city,rooms\n250000,10,Berlin,3\n", "new.csv"))
    assert np.array_equal(again, x[:1]) and np.array_equal(targets, y[:1])
    assert schema.read(csv("price,age,city,rooms\n,10,Berlin,3\n", "new.csv"))[1] is None


def test_class_names_are_matched_in_any_spelling(csv):
    schema = Schema.fit(read_table(csv(column([0, 1, 1, 0])), "y"))
    assert schema.read(csv("x,y\n1,1.0\n2,0\n", "new.csv"))[1].tolist() == [1, 0]


@pytest.mark.parametrize("content, message", [
    ("city,age\nBerlin,3\n", r"lacks 1 of the 3 columns .*: rooms\. It has city, age\.$"),
    ("Room,city,age\n3,Rome,1\n", r": rooms\. It has Room, city, age\. Did you mean 'Room'\?"),
    ("rooms,city,age\n3,Rome,1\n3,Oslo,1\n", r"1 of 2 values of 'city' is unknown, first at "
     r".*new.csv line 3: 'Oslo'; known are Berlin, Paris, Rome"),
    ("rooms,city,age\n3,paris,1\n", r"Did you mean 'Paris'\?"),
    ("rooms,city,age\n3,,1\n", r"1 of 1 values of 'city' is missing, first .*new.csv line 2: ''"),
    ("rooms,city,age\nthree,Rome,1\n", r"1 values of 'rooms' is not a number.*line 2: 'three'"),
    ("rooms,city,age,price\n1,Rome,1,\n1,Rome,1,3\n", r"'price' is missing.*line 2"),
    ("rooms,city,age\n", r"no rows"),
])
def test_a_file_that_does_not_fit_the_model_is_refused(csv, schema, content, message):
    with pytest.raises(TableError, match=message):
        schema.read(csv(content, "new.csv"))


# --- what is refused -----------------------------------------------------------------------------

def ages(*special):
    """150 rows, some ages replaced: (row, cell)."""
    cells = [str(20 + i % 60) for i in range(150)]
    for row, cell in special:
        cells[row] = cell
    return "age,y\n" + "".join(f"{cell},{i % 2}\n" for i, cell in enumerate(cells))


@pytest.mark.parametrize("content, message", [
    (ages((15, "abc"), (20, "x"), (30, "--")), r"3 of 150 values of 'age' are not numbers, first "
     r"at .*data.csv line 17: 'abc'; correct the value"),
    (ages((3, "1,5")).replace("1,5", '"1,5"'), r"1 of 150 values of 'age' is not a number.*"
     r"line 5: '1,5'; write decimals with a point"),
    (ages((3, "1_000")), r"line 5: '1_000'"), (ages((3, "0x10")), r"line 5: '0x10'"),
    (ages((0, "")), r"1 of 150 values of 'age' is missing, first .*data.csv line 2: ''; fill in"),
    (ages((0, "NA"), (1, "?")), r"2 of 150 values of 'age' are missing, first .* line 2: 'NA'"),
    (ages((9, "NaN")), r"missing.*line 11: 'NaN'"),
    (ages((9, "-inf")), r"1 of 150 values of 'age' is not finite, first .* line 11: '-inf'"),
    (ages((9, "1e999")), r"is not finite.*'1e999'"),
    (ages() + "30\n", r"data.csv line 152 has 1 cell, but there are 2 column names \(1 of 151"),
    (ages() + "30,1,2\n", r"line 152 has 3 cells"),
    ("age,y\n1,0\n\n2,1\n", r"line 3 is blank"),
    ("age,y\n1,\n2,1\n", r"1 of 2 values of 'y' is missing, first at .* line 2"),
    ("a,y,a\n1,0,1\n", r"line 1: columns 1 and 3 are both called 'a'"),
    (",y\n1,0\n", r"line 1: column 1 of 2 has no name; name it, or remove it if it only numbers"),
    (b"", r"data.csv is empty"), ("\n \n\r\n", r"is empty"), (b"\xef\xbb\xbf", r"is empty"),
    ("age,y\n", r"has column names but no rows"),
    ("age,y\n1,0\n", r"has only one row \(line 2\)"),
    ("age,Y\n1,0\n2,1\n", r"has no column 'y'; its columns are age, Y\. Did you mean 'Y'\?"),
    ("1,2\n3,4\n5,6\n", r"no column 'y'.*Line 1 looks like data: put a line with the column"),
    ("y\n1\n2\n", r"has no column beside 'y'"),
    ("age;y\n" + "".join(f"{i},5;{i}\n" for i in range(30)), r"column 'age' .* the first is '0,5'"
     ".*write decimals with a point"),
    ("age,y\n" + "".join(f"{i},c{i}\n" for i in range(30)), r"column 'y' .*; merge classes until"),
    (column([1, 2]), r"2 of 2 values of 'y' stand in one row only.*--task regression"),
    (column(["a"] * 5), r"every value of 'y' in .*data.csv is 'a': with one class"),
    (column([3] * 9), r"every value of 'y'.*is '3'"),
    (column([.5] * 9), r"every value of 'y'.*is 0.5"),
    (column("aab"), r"1 of 3 values of 'y' stands in one row only, first at .* line 4: 'b'"),
    (column([f"id{i}" for i in range(50)]), r"column 'y' of .* has 50 different texts in 50 rows"),
    ("name,y\n" + "".join(f"n{i},{i}.5\n" for i in range(50)), r"column 'name' .* 50 different "
     "texts in 50 rows.*it looks like an id or free text.*remove the column"),
    ("age,y\n1,é\n".encode("latin-1"), r"line 2 is not UTF-8 text \(byte 0xe9\); save the file"),
    ("age,y\n1,0\n".encode("utf-16"), r"UTF-16.*save it as 'CSV UTF-8'"),
    (b"age,y\n1,0\0\n", r"line 2 holds a zero byte"),
    ('age,y\n1,0\n"2,1\n3,0\n', r"line 3: unexpected end of data; check the quotes"),
    ('age,y\n1,0\n"2"x,1\n', r"line 3: .*expected.*check the quotes"),
    ("age,y\n" + "1" * 100000 + "x,0\n1,1\n2,0\n3,1\n", r"line 2: '1+; correct"),  # in linear time
    ("age,y\n" + "1" * 200000 + ",0\n", r"line 2: field larger than field limit"),
])
def test_a_bad_file_is_refused_with_file_line_column_and_cure(csv, content, message):
    path = csv(content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(path, "y")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_lines_are_counted_through_quoted_newlines(csv):
    with pytest.raises(TableError, match="line 4: 'bad'"):
        read_table(csv('a,b,y\n"one\ntwo",1,1\n"one\ntwo",bad,2\n"one\ntwo",3,3\n'), "y")


def test_a_missing_file_and_an_unknown_task_are_refused(csv, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.csv"):
        read_table(tmp_path / "nothing.csv", "y")
    with pytest.raises(ValueError, match="task must be 'classification' or .*, got 'rank'"):
        read_table(csv(HOUSES), "price", task="rank")
    with pytest.raises(TableError, match=r"1 of 6 values of 'price' is missing.*line 2"):
        read_table(csv(HOUSES.replace("250000", "")), "price", task="classification")
