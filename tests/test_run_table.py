"""A run for people: table, CSV, text, plot and notebook form, each against the recorded numbers."""

import base64
import builtins
import csv
import json
import math
import re
import xml.dom.minidom

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.inspect import overview, runs
from minigrad.inspect.trace import load_trace, trace
from minigrad.nn import functional as F


def recorded(model=None, steps=25, kind=optim.Adam, skip=(), **options):
    """The run of a small regression; the parameters named in `skip` never get a gradient."""
    minigrad.manual_seed(0)
    model = model or nn.MLP(2, [5, 1], activation="tanh")
    x, y = minigrad.randn(16, 2), minigrad.randn(16, 1)
    x, y = x.to(next(model.parameters()).dtype), y.to(next(model.parameters()).dtype)
    optimizer = kind(model.parameters(), **{"lr": 0.01, **options})
    with trace(model, optimizer) as run:
        for _ in range(steps):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            for name in skip:
                model.get_parameter(name).grad = None
            optimizer.step()
    return run


class Long(nn.Module):
    """Parameters with long names that differ in their middle only."""

    def __init__(self, n):
        super().__init__()
        self.a_rather_long_name_of_a_container = nn.ModuleList(
            [nn.Linear(2, 2) for _ in range(n)])

    def forward(self, x):
        for layer in self.a_rather_long_name_of_a_container:
            x = layer(x).tanh()
        return x.sum(dim=1, keepdim=True)


def rms(array):
    return math.sqrt(np.mean(np.asarray(array, dtype=float) ** 2))


def lines_of(text):
    """{parameter: {column: text}} of a table."""
    head, *rows = [line.split() for line in text.split("\n\n")[1].splitlines()]
    return {row[0]: dict(zip(head, row)) for row in rows}


# --- the table ------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, states", [
    (optim.Adam, ["m", "v"]), (optim.SGD, []), (optim.Adagrad, ["G"]),
    (optim.Adadelta, ["v", "u"])])
def test_the_table_shows_rms_of_data_gradient_states_and_change(kind, states):
    run = recorded(kind=kind)
    shown = lines_of(run.table(7))
    assert list(shown) == run.names
    for name in run.names:
        entry = run[name]
        assert list(shown[name]) == ["parameter", "shape", "data", "grad", *states, "delta",
                                     "ratio"]
        for column in ("data", "grad", *states, "delta"):
            assert float(shown[name][column]) == pytest.approx(rms(entry[column][6]), rel=5.1e-3)
        change, weights = (np.linalg.norm(entry[key][6]) for key in ("delta", "data"))
        assert float(shown[name]["ratio"]) == pytest.approx(change / weights, rel=5.1e-3)


def test_the_line_above_the_table_has_the_numbers_of_the_step():
    run = recorded()
    head = run.table(3).splitlines()[0].split()
    assert head[:2] == ["step", "3"] and head[4:6] == ["lr", "0.01"]
    squares = sum((run[name]["grad"][2] ** 2).sum() for name in run.names)
    assert float(head[3]) == pytest.approx(run.loss[2], rel=5.1e-3)
    assert float(head[-1]) == pytest.approx(math.sqrt(squares), rel=5.1e-3)
    assert run.table().splitlines()[0].startswith("step 25 ")


def test_every_group_has_its_learning_rate_in_the_line_above():
    model = nn.MLP(2, [5, 1])
    optimizer = optim.SGD([{"params": model[0].parameters(), "lr": 0.5},
                           {"params": model[2].parameters()}], lr=0.1)
    with trace(model, optimizer) as run:
        model(minigrad.randn(4, 2)).sum().backward()
        optimizer.step()
    assert "lr 0.5, 0.1" in run.table()


@pytest.mark.parametrize("value, text", [
    (0.0, "0"), (1.0, "1.00"), (0.0123456, "0.0123"), (12.345, "12.3"), (999.9, "1.00e3"),
    (0.00012345, "1.23e-4"), (1.5e-300, "1.50e-300"), (-2.5, "-2.50"), (math.nan, "nan"),
    (math.inf, "inf"), (123.4, "123"), (0.00099999, "0.00100")])
def test_numbers_have_three_significant_digits(value, text):
    assert runs.significant(value) == text


def test_rms_neither_overflows_nor_hides_what_is_not_finite():
    stack = np.array([[3e300, 4e300], [3e-300, 4e-300], [0, 0], [1, np.nan], [1, -np.inf]])
    np.testing.assert_allclose(runs.rms(stack), [math.sqrt(12.5) * 1e300, math.sqrt(12.5) * 1e-300,
                                                 0, np.nan, np.inf], rtol=1e-14)
    assert runs.rms(np.zeros((3, 0, 2))).tolist() == [0, 0, 0]
    assert runs.rms(np.array([2.0, -3.0])).tolist() == [2, 3], "of single numbers"


@pytest.mark.parametrize("kind, options", [(optim.Adam, {"amsgrad": True}), (optim.Adam, {})])
def test_tables_of_many_long_names_fit_80_columns_and_keep_the_names_different(kind, options):
    run = recorded(Long(25), steps=2, kind=kind, **options)
    table = run.table()
    assert max(map(len, table.splitlines())) <= 80
    names = [line.split()[0] for line in table.split("\n\n")[1].splitlines()[1:]]
    assert len(set(names)) == 50 and all(".." in name for name in names)


def test_a_rule_with_many_states_names_those_that_do_not_fit():
    def five(w, g, first_state, second_state, third_state, fourth_state, fifth_state, *, lr=0.1):
        return w - lr * g, g, 2 * g, 3 * g, 4 * g, 5 * g
    run = recorded(Long(2), steps=2, kind=optim.Optimizer, rule=five)
    table = run.table()
    assert max(map(len, table.splitlines())) <= 80
    head = table.split("\n\n")[1].splitlines()[0].split()
    left_out = re.search("also recorded: (.*)", table.replace("\n", " "))[1].split(", ")
    assert head[4:-2] + left_out == ["first_state", "second_state", "third_state", "fourth_state",
                                     "fifth_state"]


def test_a_parameter_without_gradient_has_none_and_did_not_change():
    shown = lines_of(recorded(skip=["0.bias"]).table())["0.bias"]
    assert [shown[key] for key in ("grad", "m", "v", "delta", "ratio")] == ["none", "-", "-", "0",
                                                                            "0"]


def test_names_are_cut_where_they_differ_and_wide_letters_count_double():
    assert overview.cuts(["encoder.0.weight", "x"], 10) == ["enco..ight", "x"]
    names = [f"aaaaaaaaaaaa{i}bbbbbbbbbbbbb" for i in range(10)]
    assert len(set(overview.cuts(names, 16))) == 10
    assert overview.cuts(["層層層層層層層層"], 8) == ["層..層"]
    assert overview.cuts(["a\nb"], 8) == [r"a\nb"]


def test_a_step_that_was_not_recorded_is_refused():
    with pytest.raises(ValueError, match="step 99 was not recorded"):
        recorded().table(99)


def test_a_run_from_a_file_shows_the_same(tmp_path):
    run = recorded(steps=3)
    run.save(tmp_path / "run.npz")
    assert str(load_trace(tmp_path / "run.npz")) == str(run)


# --- the CSV file ---------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_csv_file_reads_back_to_the_bit(tmp_path, dtype):
    run = recorded(nn.MLP(2, [3, 1], activation="tanh").to(np.dtype(dtype)), steps=4)
    run.to_csv(tmp_path / "run.csv")
    with open(tmp_path / "run.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * sum(run[name]["data"][0].size for name in run.names)
    assert [*rows[0]][:5] == ["step", "parameter", "index", "data", "grad"]
    assert [*rows[0]][-2:] == ["delta", "ratio"]
    for row in rows:
        entry, i = run[row["parameter"]], int(row["step"]) - 1
        index = tuple(json.loads(row["index"]))
        for key in ("data", "grad", "m", "v", "m_hat", "v_hat", "denominator", "delta", "ratio"):
            assert np.dtype(dtype).type(float(row[key])) == entry[key][i][index]
        assert float(row["step (rule)"]) == entry["step"][i][index]


def test_quantities_that_a_parameter_does_not_have_are_empty_cells(tmp_path):
    run = recorded(steps=2, skip=["0.bias"])
    run.to_csv(tmp_path / "run.csv")
    with open(tmp_path / "run.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["parameter"] == "0.bias"]
    assert {row["m_hat"] for row in rows} == {""} and {row["grad"] for row in rows} == {"nan"}


def test_single_numbers_and_strange_names_get_through_the_csv_file(tmp_path):
    class Strange(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_parameter('a "b", é\n<c>', nn.Parameter(2.0))

        def forward(self, x):
            return x.sum(dim=1, keepdim=True) * next(self.parameters())
    run = recorded(Strange(), steps=3, kind=optim.SGD)
    run.to_csv(tmp_path / "run.csv")
    with open(tmp_path / "run.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["[]"] * 3
    assert {row["parameter"] for row in rows} == {'a "b", é\n<c>'}
    assert "\n\n" in str(run) and max(map(len, run.table().splitlines())) <= 80
    assert "<c>" not in run._repr_mimebundle_()["text/html"]


def test_a_csv_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        recorded(steps=1).to_csv(tmp_path / "nowhere" / "run.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        recorded(steps=1).to_csv(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- words and pictures ---------------------------------------------------------------------------

def test_the_repr_is_one_line():
    assert repr(recorded()) == ("<Run: Adam, 21 numbers in 4 parameters, 25 steps recorded "
                                "(every 1)>")
    assert repr(recorded(steps=1)).endswith("1 step recorded (every 1)>")


def test_printing_a_run_gives_the_loss_and_the_last_table():
    run = recorded()
    text = str(run)
    first, last = re.search("loss (.*) -> (.*), steps 1 to 25", text).groups()
    np.testing.assert_allclose([float(first), float(last)], run.loss[[0, -1]], rtol=5.1e-3)
    assert text.endswith(run.table())


def test_the_curve_is_ascii_where_stdout_is(monkeypatch):
    class Latin:
        encoding = "ascii"
    monkeypatch.setattr("sys.stdout", Latin())
    assert runs.sparkline(np.geomspace(1, 1e-3, 8)).isascii()


@pytest.mark.parametrize("loss, flat", [
    (1.53 - 1e-9 * np.arange(30), True),         # lr 1e-9: 1.53 -> 1.53
    (-2.0 + 1e-9 * np.arange(30), True),
    (np.zeros(30), True),
    (np.full(30, 1.7e308), True),
    (np.array([1.53, np.nan, 1.53, np.inf, 1.53]), True),
    (np.linspace(1.53, 1.45, 30), False),
])
def test_a_loss_that_hardly_changes_is_a_flat_line_in_text_and_picture(loss, flat):
    line = runs.sparkline(loss)
    assert (len(set(line)) == 1) == flat and line
    steps = list(range(len(loss)))
    svg = overview.picture("t", steps, loss, {"w": np.ones(len(loss))}, 1)
    path = max(re.findall(r'<path d="([^"]*)" fill="none" stroke="#1F6FB2"', svg), key=len)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
    assert (max(heights) - min(heights) < 1) == flat
    labels = svg.count(f">{overview.numbers.short(np.nanmax(loss[np.isfinite(loss)]))}<")
    assert labels == 1  # not the same number at the top and at the bottom


def test_the_numbers_of_a_table_have_one_form():
    run = recorded(steps=2, kind=optim.SGD, lr=1e-9)
    text = run.table()
    assert "lr 1e-9 " in text
    assert not re.search(r"e-0\d", text) and re.search(r"\de-\d", text.split("\n\n")[1])
    assert float(re.search(r"lr (\S+)", text)[1]) == 1e-9


@pytest.mark.parametrize("value, expected", [
    (0.01, "0.01"), (1e-9, "1e-9"), (1.5e-5, "1.5e-5"), (0.0, "0"), (1.0, "1"), (2e7, "2e7")])
def test_learning_rates_are_brief(value, expected):
    assert runs.brief(value) == expected and float(expected) == value


def test_what_a_run_writes_is_returned(tmp_path):
    run = recorded(steps=1)
    for write, name in ((run.save, "run.npz"), (run.to_csv, "run.csv")):
        for path in (tmp_path / name, str(tmp_path / name)):
            assert write(path) is path


def test_a_run_without_steps_or_with_one_shows_and_never_raises():
    model = nn.Linear(2, 1)
    run = trace(model, optim.SGD(model.parameters(), lr=0.1))
    assert "nothing recorded yet" in str(run)
    assert "nothing recorded yet" in run._repr_mimebundle_()["text/html"]
    with pytest.raises(ValueError, match="nothing is recorded yet"):
        run.table()
    one = recorded(steps=1)
    assert "<img" in one._repr_mimebundle_()["text/html"]


def test_a_loss_that_is_not_finite_shows_as_such():
    run = recorded(lr=1e200, kind=optim.SGD, steps=6)
    assert not np.isfinite(run.loss).all()
    assert "not finite" in str(run)
    assert overview.numbers.ALARM in svg_of(run)


def test_a_number_between_two_that_are_not_finite_is_a_dot():
    parts = overview.loss_curve([np.nan, 2.0, np.inf, 1.0], 0, 100)
    assert sum("h0" in part and part.count("M") == 2 for part in parts) == 1
    assert sum(overview.numbers.ALARM in part for part in parts) == 2


def svg_of(run):
    html = run._repr_mimebundle_()["text/html"]
    svg = base64.b64decode(re.search('base64,([^"]*)', html)[1]).decode()
    xml.dom.minidom.parseString(svg)
    return svg


def test_the_picture_has_the_extremes_of_the_loss_and_a_row_for_each_parameter():
    run = recorded(steps=60)
    svg = svg_of(run)
    for name in (*run.names, "step 1", "step 60", overview.numbers.short(run.loss.max()),
                 overview.numbers.short(run.loss.min())):
        assert f">{name}</text>" in svg
    path = re.search('<path d="(M[^"]*)" fill="none" stroke="#1F6FB2"', svg)[1].replace("h0", "")
    heights = np.array([float(pair.split()[1]) for pair in re.split("[ML]", path)[1:]])
    expected = np.log(run.loss)
    expected = (expected.max() - expected) / np.ptp(expected)
    np.testing.assert_allclose((heights - 56) / 120, expected, atol=1e-3)


def test_no_spike_is_lost_in_the_picture_of_a_long_run():
    values = np.zeros(50_000)
    values[31_234], values[777] = 5.0, np.nan
    assert {31_234, 777} <= set(overview.extremes(values))
    assert len(overview.extremes(values)) < 1000
    assert 5.0 in overview.columns_of(np.nan_to_num(values)) and len(
        overview.columns_of(values)) == overview.COLUMNS


def test_colours_go_from_pale_to_dark_and_tell_nothing_from_infinity():
    small, middle, large = (overview.colour_of(10.0**k, 1e-6, 1.0) for k in (-6, -3, 0))
    assert (small, large) == (overview.PALE, overview.DARK) and middle not in (small, large)
    assert overview.colour_of(0.0, 1e-6, 1.0) == overview.NOTHING
    assert overview.colour_of(math.nan, 1e-6, 1.0) == overview.numbers.ALARM


def test_a_display_that_fails_says_so_instead_of_raising():
    class Broken:
        names = steps = property(lambda self: 1 / 0)
    assert "ZeroDivisionError" in runs.bundle(Broken())["text/plain"]


# --- the plot -------------------------------------------------------------------------------------

def test_the_plot_has_loss_gradients_ratios_and_learning_rate():
    pytest.importorskip("matplotlib")
    run = recorded()
    figure = run.plot()
    loss, gradients, ratio, lr = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), run.loss)
    for line, name in zip(gradients.lines, run.names):
        assert line.get_label() == name
        norms = [np.linalg.norm(g) for g in run[name]["grad"]]
        np.testing.assert_allclose(line.get_ydata(), norms, rtol=1e-13)
    for line, name in zip(ratio.lines, run.names):
        moved = [np.linalg.norm(d) / np.linalg.norm(w)
                 for d, w in zip(run[name]["delta"], run[name]["data"])]
        np.testing.assert_allclose(line.get_ydata(), moved, rtol=1e-13)
    assert ratio.lines[-1].get_ydata()[0] == 1e-3
    assert gradients.get_yscale() == ratio.get_yscale() == "log"
    np.testing.assert_array_equal(lr.lines[0].get_ydata(), run.lr)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_many_parameters_become_rows_of_a_heatmap():
    pytest.importorskip("matplotlib")
    run = recorded(Long(6), steps=3)
    axis = run.plot().axes[1]
    grid = axis.collections[0].get_array().reshape(12, 3)
    norms = [[math.log10(np.linalg.norm(g)) for g in run[name]["grad"]] for name in run.names]
    np.testing.assert_allclose(grid, norms, rtol=1e-12)
    assert len(axis.get_yticklabels()) == 12


def test_chosen_names_are_plotted_and_unknown_ones_refused():
    pytest.importorskip("matplotlib")
    run = recorded(steps=3)
    assert [line.get_label() for line in run.plot("0.bias").axes[1].lines] == ["0.bias"]
    with pytest.raises(KeyError, match="0.bias"):
        run.plot(["0.biass"])


def test_plotting_changes_no_global_state_and_survives_what_is_not_finite():
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    recorded(lr=1e200, kind=optim.SGD, steps=6).plot()._repr_png_()
    recorded(steps=2, skip=["0.bias"]).plot()._repr_png_()
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    importing = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importing(name, *rest)
    run = recorded(steps=1)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install matplotlib.*run\.to_csv"):
        run.plot()
