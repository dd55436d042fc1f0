"""Datasets, splits and batches behave as PyTorch's; the data sets by name are what they say."""

import warnings
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import minigrad.random
from minigrad import data
from minigrad.creation import tensor
from minigrad.data import DataLoader, Dataset, Subset, TensorDataset, random_split


def pairs(n=10):
    return TensorDataset(tensor(np.arange(2. * n).reshape(n, 2)), tensor(np.arange(n)))


def orders(loader):
    return [y for _, batch in loader for y in batch.tolist()]


class Squares(Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return {"i": i, "square": float(i * i), "row": np.full(2, i), "name": f"n{i}"}


def test_a_sample_is_a_tuple_of_rows_and_a_batch_a_list_of_tensors():
    dataset = pairs()
    x, y = dataset[3]
    assert len(dataset) == 10 and x.tolist() == [6, 7] and y.item() == 3
    (x, y), *_, last = DataLoader(dataset, batch_size=4)
    assert type(dataset[0]) is tuple and type(last) is list
    assert x.shape == (4, 2) and y.tolist() == [0, 1, 2, 3] and last[1].tolist() == [8, 9]
    assert x.dtype == np.float64 and y.dtype == np.int64
    assert not x.requires_grad and x.op is None


def test_a_batch_has_memory_of_its_own():
    dataset = pairs()
    x, _ = next(iter(DataLoader(dataset, batch_size=10)))
    x.array[:] = -1
    assert dataset[0][0].tolist() == [0, 1]


def test_gradients_flow_through_batches_of_a_tracked_tensor():
    w = tensor(np.ones((4, 2)), requires_grad=True)
    for (rows,) in DataLoader(TensorDataset(w), batch_size=2, shuffle=True):
        (rows * 3).sum().backward()
    assert w.grad.tolist() == [[3, 3]] * 4


@pytest.mark.parametrize("n, size, drop, lengths", [
    (10, 4, False, [4, 4, 2]), (10, 4, True, [4, 4]), (8, 4, False, [4, 4]), (3, 5, False, [3]),
    (3, 5, True, []), (0, 5, False, [])])
def test_len_and_sizes_of_batches(n, size, drop, lengths):
    loader = DataLoader(pairs(n), batch_size=size, drop_last=drop)
    assert len(loader) == len(lengths) and [len(y) for _, y in loader] == lengths


def test_every_pass_is_a_new_order_of_all_samples():
    loader = DataLoader(pairs(50), batch_size=7, shuffle=True, seed=1)
    first, second = orders(loader), orders(loader)
    assert sorted(first) == sorted(second) == list(range(50)) != first != second


def test_the_same_seed_repeats_the_run_and_leaves_the_common_generator_alone():
    minigrad.random.manual_seed(0)
    before = minigrad.random.generator().bit_generator.state
    runs = []
    for _ in range(2):
        loader = DataLoader(pairs(50), batch_size=7, shuffle=True, seed=1)
        runs.append([orders(loader), orders(loader)])
    assert runs[0] == runs[1]
    assert minigrad.random.generator().bit_generator.state == before


def test_without_a_seed_the_shuffle_follows_manual_seed():
    loader, runs = DataLoader(pairs(50), shuffle=True), []
    for _ in range(2):
        minigrad.random.manual_seed(3)
        runs.append([orders(loader), orders(loader), random_split(pairs(9), [4, 5])[0].indices])
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]


def test_samples_of_any_dataset_are_collated():
    first, last = DataLoader(Squares(), batch_size=3)
    assert first["i"].tolist() == [0, 1, 2] and first["i"].dtype == np.int64
    assert last["square"].tolist() == [9, 16] and last["square"].dtype == np.float64
    assert first["row"].shape == (3, 2) and last["name"] == ["n3", "n4"]


def test_collating_keeps_nests_and_named_tuples():
    Point = namedtuple("Point", "x y")
    batch = data.default_collate([(Point(1, 2.5), [True, tensor([1.])])] * 2)
    assert type(batch) is list and type(batch[0]) is Point
    assert batch[0].x.tolist() == [1, 1] and batch[0].y.tolist() == [2.5, 2.5]
    assert batch[1][0].dtype == np.bool_ and batch[1][1].shape == (2, 1)


def test_a_collate_fn_gets_the_samples():
    assert list(DataLoader([3, 1, 2], batch_size=2, collate_fn=sum)) == [4, 2]


def test_a_subset_of_a_subset_is_batched_like_its_samples():
    inner = Subset(Subset(pairs(), [9, 8, 7, 6, 5]), [4, 0])
    assert inner[0][1].item() == 5 and orders(DataLoader(inner, batch_size=2)) == [5, 9]


def test_a_subclass_with_its_own_samples_is_asked_for_them():
    class Doubled(TensorDataset):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x * 2, y
    x, _ = next(iter(DataLoader(Subset(Doubled(*pairs().tensors), [1]))))
    assert x.tolist() == [[4, 6]]


@pytest.mark.parametrize("lengths, sizes", [
    ([7, 3], [7, 3]), ([0.8, 0.2], [8, 2]), ([0.5, 0.25, 0.25], [6, 2, 2]), ([0.1] * 10, [1] * 10),
    ([1.0], [10]), ([10, 0], [10, 0])])
def test_random_split_cuts_all_samples_into_parts(lengths, sizes):
    parts = random_split(pairs(), lengths, seed=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(i for part in parts for i in part.indices) == list(range(10))


def test_an_empty_split_warns():
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(pairs(1), [0.9, 0.1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        random_split(pairs(5), [0.4, 0.4, 0.2])


@pytest.mark.parametrize("call, error, message", [
    (lambda: TensorDataset(tensor(np.ones((3, 2))), tensor(np.ones(4))), AssertionError,
     r"Size mismatch between tensors: shapes \(3, 2\), \(4,\)"),
    (lambda: TensorDataset(), ValueError, "at least one tensor"),
    (lambda: TensorDataset(tensor(1.)), ValueError, r"shape \(\)"),
    (lambda: TensorDataset([1, 2]), TypeError, "got list; make it one with minigrad.tensor"),
    (lambda: random_split(pairs(), [5, 4]), ValueError,
     r"Sum of input lengths.*\[5, 4\] add up to 9, the dataset has 10"),
    (lambda: random_split(pairs(), [1.5, -0.5]), ValueError, "Fraction at index 0 is not between"),
    (lambda: random_split(pairs(), [11, -1]), ValueError, "must be whole numbers"),
    (lambda: random_split(pairs(), [0.5, 0.4]), ValueError, "fractions that add up to 1"),
    (lambda: random_split(pairs(), [5, 5], seed=-1), ValueError, "seed must be an integer"),
    (lambda: random_split(pairs(), [5, 5], generator=3), TypeError, "numpy.random.default_rng"),
    (lambda: DataLoader(pairs(), batch_size=0), ValueError, "positive integer.*batch_size=0"),
    (lambda: DataLoader(pairs(), batch_size=2.), ValueError, "batch_size=2.0"),
    (lambda: DataLoader(pairs(), seed=1, generator=np.random.default_rng()), ValueError, "both"),
    (lambda: DataLoader(pairs(0), shuffle=True), ValueError, "num_samples=0"),
    (lambda: DataLoader(iter([1])), TypeError, "list_iterator lacks __len__"),
    (lambda: DataLoader(Dataset()), TypeError, "Dataset lacks __len__"),
    (lambda: Dataset()[0], NotImplementedError, "define it to return one sample"),
    (lambda: list(DataLoader([np.ones(2), np.ones(3)], batch_size=2)), RuntimeError,
     r"equal size, but got \[2\] at entry 0 and \[3\] at entry 1"),
    (lambda: list(DataLoader([(1, 2), (1,)], batch_size=2)), RuntimeError, "1 and 2 entries"),
    (lambda: list(DataLoader([{"a": 1}, {"b": 1}], batch_size=2)), RuntimeError, "different keys"),
    (lambda: list(DataLoader([None])), TypeError, "found NoneType.*collate_fn="),
    (lambda: DataLoader(pairs(), batchsize=3), TypeError, "batchsize"),
    (lambda: pairs()[10], IndexError, "10"),
])
def test_misuse_is_named_with_its_cure(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_batches_equal_those_of_pytorch():
    torch = pytest.importorskip("torch")
    import torch.utils.data as theirs
    samples = [(np.arange(3.) + i, i, [float(i), {"k": i > 1}], "s") for i in range(5)]
    for kwargs in ({"batch_size": 2}, {"batch_size": 2, "drop_last": True}, {}):
        mine, other = DataLoader(samples, **kwargs), theirs.DataLoader(samples, **kwargs)
        assert len(mine) == len(other)
        for a, b in zip(mine, other, strict=True):
            assert type(a) is type(b) and a[3] == b[3] or list(b[3]) == a[3]
            assert a[0].tolist() == b[0].tolist() and a[1].tolist() == b[1].tolist()
            assert a[2][0].tolist() == b[2][0].tolist()
            assert a[2][1]["k"].tolist() == b[2][1]["k"].tolist()
    for lengths in ([0.5, 0.3, 0.2], [3, 4]):
        assert [len(s) for s in random_split(range(7), lengths)] == [
            len(s) for s in theirs.random_split(range(7), lengths,
                                                torch.Generator().manual_seed(0))]


# --- data sets by name ---------------------------------------------------------------------------

@pytest.mark.parametrize("name, rows, features, classes", [
    ("digits", 1797, 64, 10), ("iris", 150, 4, 3), ("moons", 400, 2, 2), ("spirals", 400, 2, 2),
    ("xor", 400, 2, 2)])
def test_data_sets_by_name(name, rows, features, classes):
    table = data.load(name)
    assert table.features.shape == (rows, features) == (len(table), len(table.feature_names))
    assert table.features.dtype == np.float64 and table.targets.dtype == np.int64
    assert np.isfinite(table.features).all() and table.task == "classification"
    assert len(table.class_names) == classes and set(table.targets) == set(range(classes))
    assert table.name == name in data.names() and table.source in str(table)
    assert np.array_equal(table.features, data.load(name).features)


def test_real_data_is_attributed_and_scaled():
    digits, iris = data.load("digits"), data.load("iris")
    assert digits.features.min() == 0 and digits.features.max() == 1
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(digits.targets).tolist() == counts
    assert iris.class_names == ["setosa", "versicolor", "virginica"]
    assert iris.features[0].tolist() == [5.1, 3.5, 1.4, 0.2]
    for table, author in ((digits, "Alpaydin"), (iris, "Fisher")):
        assert author in str(table) and "CC BY 4.0" in str(table)
        assert author in (Path(data.builtin.FILES) / "README.md").read_text(encoding="utf-8")


def test_without_noise_the_points_lie_on_the_curves():
    moons = data.moons(101, noise=0)
    x, y = (moons.features - np.array([[0, 0], [1, 0.5]])[moons.targets]).T
    assert np.allclose(np.hypot(x, y), 1) and np.all(np.where(moons.targets == 0, y, -y) > -1e-12)
    spirals = data.spirals(300, noise=0, arms=3, turns=1)
    x, y = spirals.features.T
    turn = np.hypot(x, y) + spirals.targets / 3 - np.arctan2(y, x) / (2 * np.pi)
    assert np.allclose(turn, turn.round()) and np.bincount(spirals.targets).tolist() == [100] * 3
    truth = data.xor(4, noise=0)
    assert truth.features.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert truth.targets.tolist() == [0, 1, 1, 0]


def test_made_data_follows_its_seed():
    for make in (data.moons, data.spirals, data.xor):
        assert not np.array_equal(make().features, make(seed=1).features)
        clean, noisy = make(4000, noise=0).features, make(4000, noise=0.3).features
        assert abs((noisy - clean).std() - 0.3) < 0.01
        minigrad.random.manual_seed(5)
        first = make(seed=None).features
        assert not np.array_equal(first, make(seed=None).features)
        minigrad.random.manual_seed(5)
        assert np.array_equal(first, make(seed=None).features)


@pytest.mark.parametrize("call, error, message", [
    (lambda: data.load("digit"), ValueError, "no data set 'digit'.*Did you mean 'digits'"),
    (lambda: data.load("mnist"), ValueError, "digits, iris, moons, spirals, xor.*read_table"),
    (lambda: data.load("iris", noise=1), TypeError, "noise"),
    (lambda: data.moons(1), ValueError, "n is the number of points.*got 1"),
    (lambda: data.xor(noise=-1), ValueError, "noise is a standard deviation.*-1"),
    (lambda: data.xor(noise=float("nan")), ValueError, "noise"),
    (lambda: data.spirals(arms=1), ValueError, "arms must be"),
])
def test_unknown_data_and_options_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
