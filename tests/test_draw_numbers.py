"""Numbers as cards show them: one scale, no lost zeros, colours that can be read."""

import numpy as np
import pytest

from minigrad import numbers
from minigrad.inspect import cards


def texts(values):
    shown = numbers.grid(np.asarray(values))
    return [[cell.text for cell in row] for row in shown.rows], shown.note


@pytest.mark.parametrize(
    "values, expected, note",
    [
        ([1.426, -1.79, 0.294], [["1.43", "-1.79", "0.29"]], None),
        ([0.1, -0.2, 0.05], [["0.100", "-0.200", "0.050"]], None),
        ([0.0468], [["0.0468"]], None),
        ([123.4, 0.01, -0.01, 0.0], [["123", "+0", "-0", "0"]], None),
        ([9.999, 1.0], [["10.0", "1.0"]], None),
        ([1.47e-5, -2e-6], [["1.47", "-0.20"]], "all x 1e-5"),
        ([2e5, 1.0], [["2.00", "+0"]], "all x 1e5"),
        ([np.nan, np.inf, -np.inf, 1.0], [["nan", "inf", "-inf", "1.00"]], None),
        ([1, -20, 0], [["1", "-20", "0"]], None),
        ([True, False], [["True", "False"]], None),
        (2.5, [["2.50"]], None),
        ([0.0, 0.0], [["0", "0"]], None),
        ([5e-324], [["4.94"]], "all x 1e-324"),
        ([1e308], [["1.00"]], "all x 1e308"),
    ],
)
def test_one_scale_for_all_numbers_of_a_tensor(values, expected, note):
    assert texts(values) == (expected, note)


def test_rows_are_the_rows_of_the_matrix_and_long_vectors_wrap():
    assert len(numbers.grid(np.zeros((4, 3))).rows) == 4
    assert [len(row) for row in numbers.grid(np.zeros(10)).rows] == [8, 2]
    assert [len(row) for row in numbers.grid(np.zeros((2, 2, 3))).rows] == [3] * 4


def test_colours_tell_sign_and_size():
    shades = [cell.fill for cell in numbers.grid(np.array([2.0, 1.0, 0.0, -1.0, -2.0])).rows[0]]
    assert shades[0] == numbers.BLUE and shades[2] == numbers.WHITE and shades[4] == numbers.ORANGE
    assert len(set(shades)) == 5
    assert numbers.grid(np.array([np.nan])).rows[0][0].fill == numbers.ALARM


def test_strip_counts_between_minus_and_plus_the_maximum():
    shown = numbers.strip(np.r_[np.full(90, 1.0), np.full(10, -1.0)])
    assert shown.fills[-1] == numbers.BLUE and shown.fills[0] not in (numbers.ORANGE, numbers.NONE)
    assert set(shown.fills[1:-1]) == {numbers.NONE} and len(shown.fills) == numbers.BINS
    assert shown.text == "rms 1.00  max 1.00" and shown.alarm is None


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(20),
        np.full(20, 1e308),
        np.full(20, 5e-324),
        np.arange(20),
        np.full(20, np.nan),
        np.zeros(20, bool),
    ],
)
def test_strips_of_extreme_values(values):
    assert len(numbers.strip(values).fills) == numbers.BINS


def test_strip_names_what_is_not_finite():
    assert numbers.strip(np.r_[np.ones(20), np.nan, np.inf, np.inf]).alarm == "1 nan  2 inf"


def luminance(colour):
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted([luminance(a), luminance(b)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "ink, paper",
    [
        (numbers.INK, numbers.BLUE),
        (numbers.INK, numbers.ORANGE),
        (numbers.INK, numbers.WHITE),
        (numbers.WHITE, numbers.ALARM),
        (cards.PURPLE, numbers.WHITE),
        (cards.PURPLE, "#F3F8FC"),
        (cards.PURPLE, "#FBF4FA"),
        ("#1F6FB2", "#F3F8FC"),
        (numbers.GREY, numbers.WHITE),
        cards.TAG[::-1],
        *[(kind[1], kind[0]) for kind in cards.KINDS.values()],
        *[(numbers.GREY, kind[0]) for kind in cards.KINDS.values()],
    ],
)
def test_every_text_can_be_read_on_its_ground(ink, paper):
    assert contrast(ink, paper) >= 4.5


@pytest.mark.parametrize("factor, words", [
    (2.5, "2.5"), (10.0, "10"), (101.04, "101"), (1090.3, "1,090"), (19_532.0, "19,500"),
    (999_999.0, "1,000,000"), (2e6, "2e6"), (3.71e14, "3.7e14"), (float("inf"), "inf")])
def test_multiples_are_words_for_people(factor, words):
    assert numbers.multiple(factor) == words
