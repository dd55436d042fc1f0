"""Tables for training: columns of numbers and categories, and one column to predict.

The one trick: everything learnt from the data beside the weights (the categories of a column, its
mean and standard deviation) is a Schema, a few plain dicts that are saved with the model. Training
and prediction encode their rows with the same Schema, so they cannot disagree.

    table = read_table("houses.csv", "price")   # numbers as they are, categories as 0 and 1
    train, test = table.split(0.2, seed=0)
    schema = Schema.fit(train)                  # means and deviations of the training rows only
    x, y = schema.encode(train)                 # what the network sees
    schema.decode(outputs)                      # class names, or prices in the file's unit
"""

from collections import Counter
from dataclasses import asdict, dataclass, replace

import numpy as np

from minigrad.data.csvfile import NUMBER, TableError, is_numeric, listed, nearest, read_csv


@dataclass
class Column:
    """A column of a table: numbers (categories is None), or one of `categories`.

    mean and std are those of the training rows; std is 0 for a column that is constant there.
    """

    name: str
    categories: list = None
    mean: float = 0.0
    std: float = 1.0

    @property
    def feature_names(self):
        """Names of the inputs this column becomes: itself, or one per category."""
        if self.categories is None:
            return [self.name]
        return [f"{self.name}={category}" for category in self.categories]

    def fitted(self, values):
        """This column with the mean and standard deviation of values (n,)."""
        if self.categories is not None:
            return self
        if (values == values[0]).all():
            return replace(self, mean=float(values[0]), std=0.0)
        power = np.frexp(np.abs(values).max())[1]  # exact scaling: no square overflows or vanishes
        scaled = np.ldexp(values, -power)
        return replace(self, mean=float(np.ldexp(scaled.mean(), power)),
                       std=float(np.ldexp(scaled.std(), power)))

    def standardized(self, values):
        """Numbers with mean 0 and standard deviation 1 over the training rows; a column that was
        constant in training tells nothing, its weights were never trained: it gives zeros."""
        if self.std == 0:
            return np.zeros_like(values)
        return (values - self.mean) / self.std

    def codes(self, sheet):
        """The position of each cell's category, int64 (n,). TableError for an unknown category."""
        cells = sheet.column(self.name)
        position = {category: i for i, category in enumerate(self.categories)}
        if all(map(whole, self.categories)):  # 1.0 in one file is 1 in another
            cells = [integer(cell) if whole(cell) else cell for cell in cells]
        bad = [k for k, cell in enumerate(cells) if cell not in position]
        cure = f"known are {listed(self.categories)}"
        if bad:
            cure += "." + nearest(cells[bad[0]], self.categories)
        sheet.refuse(self.name, cells, bad, "is unknown", "are unknown", cure)
        return np.array([position[cell] for cell in cells], dtype=np.int64)

    def read(self, sheet):
        """The column of a sheet as float64 (n, width): numbers as they are, categories 0 and 1."""
        if self.categories is None:
            return sheet.numbers(self.name)[:, None]
        return np.eye(len(self.categories))[self.codes(sheet)]


@dataclass(eq=False, repr=False)
class Table:
    """Rows to learn from: features float64 (n, d), targets (n,), int64 classes or float64 values.

    columns and target say what they mean; `why` says how the task was told. Features are not
    standardized: that is left to a Schema, once it is known which rows are for training.
    """

    features: np.ndarray
    targets: np.ndarray
    columns: list
    target: Column
    name: str = "table"
    description: str = ""
    source: str = ""
    licence: str = ""
    why: str = ""

    @property
    def task(self):
        """"classification" or "regression"."""
        return "regression" if self.target.categories is None else "classification"

    @property
    def feature_names(self):
        """The d names of the features; a category is "column=category"."""
        return [name for column in self.columns for name in column.feature_names]

    @property
    def class_names(self):
        """The names of classes 0, 1, ...; None for regression."""
        return self.target.categories

    def __len__(self):
        return len(self.targets)

    def __repr__(self):
        return (f"<Table {self.name}: {len(self)} rows, {self.features.shape[1]} features, "
                f"{self.task} of {self.target.name!r}>")

    def __str__(self):
        what = (f"one of {len(self.class_names)} classes: {listed(self.class_names)}"
                if self.class_names else "a number")
        lines = [f"{self.name}: {self.description}",
                 f"{len(self)} rows, {self.features.shape[1]} features: "
                 f"{listed(self.feature_names)}",
                 f"to predict: {self.target.name}, {what}",
                 self.source and f"source: {self.source}",
                 self.licence and f"licence: {self.licence}"]
        return "\n".join(filter(None, lines))

    def take(self, rows):
        """The Table of these rows (an integer array)."""
        return replace(self, features=self.features[rows], targets=self.targets[rows])

    def split(self, held_out=0.2, seed=0):
        """(training rows, held-out rows): two Tables, the same for the same seed.

        Each class is held out in its proportion, and keeps a row to train on. Raises ValueError
        unless 0 < held_out < 1, and if there are too few rows for both.
        """
        if not 0 < held_out < 1:
            raise ValueError("held_out is the fraction of rows to test on, between 0 and 1, "
                             f"got {held_out!r}")
        if len(self) < 2:
            raise ValueError(f"{self.name} has {len(self)} rows: a split needs at least 2")
        order = np.random.default_rng(seed).permutation(len(self))
        wanted = max(1, round(held_out * len(self)))
        if self.class_names is None:
            groups, count = [order], quotas([len(self)], wanted)
        else:
            groups = [order[self.targets[order] == k] for k in range(len(self.class_names))]
            count = quotas([len(group) for group in groups], wanted)
        if count.sum() == 0:
            raise ValueError(f"{self.name} has {len(self)} rows: no class has one to spare "
                             "for the test; give each at least 2")
        held = np.zeros(len(self), dtype=bool)
        for group, k in zip(groups, count):
            held[group[:k]] = True
        return self.take(order[~held[order]]), self.take(order[held[order]])


def quotas(sizes, wanted):
    """How many of each group to hold out: in proportion, `wanted` in all, never a whole group.

    What rounding down leaves over goes to the groups with the largest remainders.
    """
    sizes = np.array(sizes)
    exact = sizes * (wanted / sizes.sum())
    count = np.floor(exact + 1e-9).astype(int)
    largest = np.argsort(count - exact, kind="stable")
    count[largest[:max(0, wanted - count.sum())]] += 1
    return np.minimum(count, np.maximum(sizes - 1, 0))


@dataclass
class Schema:
    """How rows become what the network sees, and how its outputs become answers.

    columns: the Columns of the features, in the order of the inputs; target: the one to predict.
    """

    columns: list
    target: Column

    @classmethod
    def fit(cls, train):
        """The Schema with the means and standard deviations of the rows of a Table."""
        columns, start = [], 0
        for column in train.columns:
            columns.append(column.fitted(train.features[:, start]))
            start += len(column.feature_names)
        return cls(columns, train.target.fitted(train.targets))

    task = Table.task
    feature_names = Table.feature_names
    class_names = Table.class_names

    @property
    def n_inputs(self):
        """The width of the network's input."""
        return len(self.feature_names)

    @property
    def n_outputs(self):
        """The width of its output: one score per class, or one number."""
        return len(self.class_names) if self.class_names else 1

    def encode(self, table):
        """(x, y) for the network: x float64 (n, d) standardized; y int64 classes (n,), or the
        values standardized (n,). Categories stay 0 and 1. ValueError for other columns."""
        if table.feature_names != self.feature_names:
            raise ValueError(f"the features of {table.name} are {listed(table.feature_names)}; "
                             f"this Schema was fitted to {listed(self.feature_names)}")
        return self._features(table.features), self._targets(table.targets)

    def _features(self, values):
        x, i = values.copy(), 0
        for column in self.columns:
            if column.categories is None:
                x[:, i] = column.standardized(values[:, i])
            i += len(column.feature_names)
        return x

    def _targets(self, values):
        return values if self.class_names else self.target.standardized(values)

    def read(self, path):
        """(x, y) of another CSV file, encoded like the training rows.

        Columns are found by name, in any order; others are ignored. y is None if the file does not
        have the target column, or has it empty.
        Raises TableError for a missing column, a missing or unknown value.
        """
        sheet = read_csv(path)
        absent = [c.name for c in self.columns if c.name not in sheet.header]
        if absent:
            n = len(self.columns)
            raise TableError(f"{sheet.path} lacks {len(absent)} of the {n} columns the model "
                             f"was trained on: {listed(absent)}. It has "
                             f"{listed(sheet.header)}.{nearest(absent[0], sheet.header)}")
        x = self._features(np.hstack([column.read(sheet) for column in self.columns]))
        name = self.target.name
        i = sheet.header.index(name) if name in sheet.header else None
        if i is None or not any(row[i] for row in sheet.rows):
            return x, None
        values = self.target.codes(sheet) if self.class_names else sheet.numbers(name)
        return x, self._targets(values)

    def decode(self, outputs):
        """What outputs (an array) mean: for scores (n, classes) the list of the n names of the
        highest, for regression (n,) or (n, 1) the values (n,) in the unit of the file."""
        outputs = np.asarray(outputs)
        if self.class_names:
            if outputs.ndim != 2 or outputs.shape[1] != self.n_outputs:
                raise ValueError(f"expected scores of shape (n, {self.n_outputs}), one per class, "
                                 f"got {outputs.shape}")
            return [self.class_names[i] for i in outputs.argmax(axis=1)]
        if outputs.size != len(outputs):
            raise ValueError(f"expected one number per row, got shape {outputs.shape}")
        return outputs.reshape(-1) * self.target.std + self.target.mean

    def to_dict(self):
        """The Schema as plain dicts, lists, strings and numbers, to be saved with a model."""
        return {"columns": [asdict(column) for column in self.columns],
                "target": asdict(self.target)}

    @classmethod
    def from_dict(cls, saved):
        """The Schema that to_dict() described. Raises ValueError for anything else."""
        try:
            schema = cls([Column(**column) for column in saved["columns"]],
                         Column(**saved["target"]))
            texts = [text for c in (*schema.columns, schema.target)
                     for text in (c.name, *(c.categories or ()))]
            numbers = [x for c in (*schema.columns, schema.target) for x in (c.mean, c.std)]
            if not all(isinstance(text, str) for text in texts) or not np.isfinite(numbers).all():
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise ValueError("this is not a saved Schema: expected a dict with 'columns' and "
                             "'target', as to_dict() gives it") from None
        return schema


# --- reading a table from a file -----------------------------------------------------------------

def read_table(path, target, task=None):
    """The Table of a CSV file (see `read_csv`): column `target` is to be told from the others.

    A column of numbers is a feature as it is; a column of text becomes one feature per category,
    1 in the rows of that category and 0 elsewhere. All rows decide (see `is_numeric`).

    The task is told by the target column, unless `task` is given:
    - text: classification.
    - whole numbers of at most 20 different values, each with 5 rows on average (two values such as
      0 and 1 need no minimum): classification, the numbers being the names of the classes.
    - other numbers: regression. So prices and measurements are, and whole-number scores in a file
      of a few rows; a rating from 1 to 5 of many rows is not, unless task="regression" says so.

    Raises TableError, with file, line and column, for missing or wrong cells, an absent or
    constant target, a class with a single row, text that differs in most rows; OSError if the file
    cannot be read.
    """
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    sheet = read_csv(path)
    cells = sheet.column(target)
    others = [name for name in sheet.header if name != target]
    if not others:
        raise TableError(f"{sheet.path} has no column beside {target!r} to predict it from")
    if len(sheet.rows) < 2:
        raise TableError(f"{sheet.path} has only one row (line {sheet.lines[0]}): some rows are "
                         "needed for training and some for the test")
    why = f"asked for with task={task!r}"
    if task is None:
        task, why = told_task(sheet, target, cells)
    goal = class_column(sheet, target, cells) if task == "classification" else Column(target)
    columns = [feature_column(sheet, name) for name in others]
    values = goal.codes(sheet) if goal.categories else sheet.numbers(target)
    if (values == values[0]).all():
        raise TableError(f"every value of {target!r} in {sheet.path} is {cells[0]}: there is "
                         "nothing to predict")
    return Table(np.hstack([column.read(sheet) for column in columns]), values, columns, goal,
                 name=sheet.path, description=f"{target} from {listed(others)}",
                 why=why)


def whole(cell):
    """Is this cell a whole number, as 3 or 3.0 is?"""
    return NUMBER(cell) is not None and float(cell).is_integer()


def integer(cell):
    """A whole number in one spelling: "3" for 3, 3.0 and +3."""
    return str(int(cell) if cell.lstrip("+-").isdigit() else int(float(cell)))


def told_task(sheet, target, cells):
    """(task, why) as the target column tells it: the rule in `read_table`."""
    if not is_numeric(cells):
        return "classification", f"{target!r} is text"
    different = len(set(sheet.numbers(target)))
    if not all(map(whole, cells)):
        return "regression", f"{target!r} has numbers that are not whole"
    if different == 2 or (different <= 20 and 5 * different <= len(cells)):
        return "classification", f"{target!r} has only {different} different whole numbers"
    return "regression", f"{target!r} has {different} different numbers in {len(cells)} rows"


def class_column(sheet, name, cells):
    """The target column of a classification: numbers sorted as numbers, texts as texts."""
    if all(map(whole, cells)):
        cells = [integer(cell) for cell in cells]
        names = sorted(set(cells), key=int)
    else:
        names = categories(sheet, name, cells, "merge classes until each has several rows")
    if len(names) == 1:
        raise TableError(f"every value of {name!r} in {sheet.path} is {names[0]!r}: with one "
                         "class there is nothing to predict")
    count = Counter(cells)
    single = [k for k, cell in enumerate(cells) if count[cell] == 1]
    cure = "a class needs at least 2 rows, to train and to test: add some, or remove this one"
    if is_numeric(cells):
        cure += "; if these are amounts, the task is regression: --task regression"
    sheet.refuse(name, cells, single, "stands in one row only", "stand in one row only", cure)
    return Column(name, names)


def feature_column(sheet, name):
    """The Column of a feature: numbers, or the categories of a text."""
    cells = sheet.column(name)
    if is_numeric(cells):
        return Column(name)
    cure = "remove the column, or group its values into fewer"
    return Column(name, categories(sheet, name, cells, cure))


def categories(sheet, name, cells, cure):
    """The different texts of a column, sorted. TableError if it looks like an id or free text."""
    names = sorted(set(cells))
    if len(names) > 200 or (len(names) >= 10 and 2 * len(names) > len(cells)):
        if is_numeric([cell.replace(",", ".", 1) for cell in cells]):
            cure = "write decimals with a point, thousands without a comma"
        raise TableError(f"column {name!r} of {sheet.path} has {len(names)} different texts in "
                         f"{len(cells)} rows, the first is {cells[0]!r:.60}: it looks like an id "
                         f"or free text, from which a network cannot generalize; {cure}")
    return names
