"""Predictor: a trained network together with all it takes to use it, in one file.

The one trick: what encoded the training rows (the Schema) is saved beside the weights, so a
prediction needs the file of the model and the file of the data, and nothing remembered by hand.
"""

from dataclasses import dataclass, field

import numpy as np

from minigrad import io, nn
from minigrad.creation import tensor
from minigrad.data.table import Schema
from minigrad.engine import recording

KIND = "minigrad MLP"


@dataclass
class Predictor:
    """An MLP with its Schema. about: plain data worth keeping besides (data, seed, settings)."""

    net: nn.MLP
    schema: Schema
    activation: str = "relu"
    about: dict = field(default_factory=dict)

    @classmethod
    def new(cls, schema, hidden=(64, 32), activation="relu", dtype="float32", about=None):
        """An untrained one: the sizes of input and output are those of the Schema."""
        net = nn.MLP(schema.n_inputs, [*hidden, schema.n_outputs], activation=activation)
        return cls(net.to(np.dtype(dtype)), schema, activation, about or {})

    @property
    def dtype(self):
        """The numpy.dtype of the weights."""
        return self.net[0].weight.dtype

    def tensors(self, x, y):
        """What the loss takes: x (n, d) and y as tensors, values as a column (n, 1)."""
        x = tensor(x, dtype=self.dtype)
        return x, tensor(y) if self.schema.class_names else tensor(y[:, None], dtype=self.dtype)

    def outputs(self, x):
        """The network's outputs (n, n_outputs), float64, for encoded rows x (n, d)."""
        with recording(False), np.errstate(all="ignore"):
            return self.net(tensor(x, dtype=self.dtype)).numpy().astype(np.float64)

    def answers(self, x):
        """(answers, probabilities): class names with their probability, or values and None."""
        outputs = self.outputs(x)
        answers = self.schema.decode(outputs)
        if not self.schema.class_names:
            return answers, None
        likely = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return answers, 1 / likely.sum(axis=1)  # of the highest score, where `likely` is 1

    def save(self, path):
        """Writes the file, all of it or nothing (`minigrad.io.save`)."""
        io.save({"kind": KIND, "sizes": list(self.net.sizes), "activation": self.activation,
                 "dtype": str(self.dtype), "schema": self.schema.to_dict(), "about": self.about,
                 "weights": self.net.state_dict()}, path)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote. Raises io.FileFormatError for any other file, OSError."""
        saved = io.load(path)
        if not isinstance(saved, dict) or saved.get("kind") != KIND:
            raise io.FileFormatError(f"{path} was written by minigrad.save, but it is not a model "
                                     "of `python -m minigrad train`; load it with minigrad.load")
        try:
            schema = Schema.from_dict(saved["schema"])
            n_in, *hidden, n_out = saved["sizes"]
            if (n_in, n_out) != (schema.n_inputs, schema.n_outputs):
                raise ValueError(f"the network has {n_in} inputs and {n_out} outputs, the data "
                                 f"has {schema.n_inputs} and {schema.n_outputs}")
            made = cls.new(schema, hidden, saved["activation"], saved["dtype"], saved["about"])
            made.net.load_state_dict(saved["weights"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise io.FileFormatError(f"{path} is a model whose parts do not fit together: {error}"
                                     ) from None
        return made
