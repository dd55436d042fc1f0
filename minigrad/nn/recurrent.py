"""Recurrent layers: RNN, LSTM and GRU (torch.nn), under PyTorch's parameter names.

The one trick: what goes in is multiplied for all time steps at once; then a layer is a loop in
which the state is multiplied and a cell, a few lines that differ from layer to layer, makes the
next state. Backward through time is nothing special: the record is simply long.

Letters: x (L, N, input_size) input, h (N, hidden_size) state, c the LSTM's second state.
"""

import math

import numpy as np

from minigrad.creation import zeros
from minigrad.engine import describe
from minigrad.functions import relu, sigmoid, tanh
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.checks import floating
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.module import Module
from minigrad.shaping import chunk, stack, transpose


class Recurrent(Module):
    """What RNN, LSTM and GRU have in common.

    Input (L, N, input_size), with batch_first (N, L, input_size), or (L, input_size) for one
    sequence. Returns (output, state): the top layer's h at every step, in the layout of the input,
    and the last h of every layer (num_layers, N, hidden_size); the LSTM's state is (h, c). All
    parameters start uniform on +-1/sqrt(hidden_size). bidirectional is not supported.
    """

    gates, states = 1, 1

    def __init__(self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False,
                 dropout=0.0, bidirectional=False, device=None, dtype=None):
        positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if bidirectional:
            raise NotImplementedError(f"{type(self).__name__} with bidirectional=True is not "
                                      "supported: run a second one over x.flip(0)")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, F.probability(dropout)
        rows = self.gates * hidden_size
        for k in range(num_layers):
            shapes = {"weight_ih": (rows, hidden_size if k else input_size),
                      "weight_hh": (rows, hidden_size)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            for name, shape in shapes.items():
                setattr(self, f"{name}_l{k}", fresh(np.empty, shape, dtype, device))
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def forward(self, input, hx=None):
        name = type(self).__name__
        x = floating(input, f"{name}: input")
        if x.ndim not in (2, 3):
            raise RuntimeError(f"{name}: expected input of 2 or 3 dimensions, got the "
                               f"{describe(x)}")
        if x.shape[-1] != self.input_size:
            raise RuntimeError(f"{name}: input.size(-1) must be equal to input_size. Expected "
                               f"{self.input_size}, got the {describe(x)}")
        batch = x.ndim == 3
        if not batch:
            x = x.unsqueeze(1)
        elif self.batch_first:
            x = transpose(x, 0, 1)
        states, last = self._starts(hx, x, batch), []
        for k in range(self.num_layers):
            if k:
                x = F.dropout(x, self.dropout, self.training)
            x, state = self._layer(k, x, [s[k] for s in states])
            last.append(state)
        if not batch:
            x = x.squeeze(1)
        elif self.batch_first:
            x = transpose(x, 0, 1)
        ends = tuple(stack(s) if batch else stack(s).squeeze(1) for s in zip(*last))
        return x, (ends if self.states > 1 else ends[0])

    def _starts(self, hx, x, batch):
        """The states to start from (num_layers, N, hidden_size): hx, or zeros."""
        shape = (self.num_layers, x.shape[1], self.hidden_size)
        if hx is None:
            return [zeros(shape, dtype=x.dtype)] * self.states
        given = hx if isinstance(hx, (tuple, list)) else (hx,)
        given = [s if batch else s.unsqueeze(1) for s in given]
        if len(given) != self.states or any(s.shape != shape for s in given):
            wanted = shape if batch else (shape[0], shape[2])
            raise RuntimeError(f"{type(self).__name__}: expected {self.states} hidden state(s) of "
                               f"shape {wanted}, got {[tuple(s.shape) for s in given]}")
        return given

    def _layer(self, k, x, state):
        """(h at every step, last state) of layer k."""
        inward = [getattr(self, f"{name}_ih_l{k}", None) for name in ("weight", "bias")]
        onward = [getattr(self, f"{name}_hh_l{k}", None) for name in ("weight", "bias")]
        outputs = []
        for step in F.linear(x, *inward):
            state = self._cell(step, F.linear(state[0], *onward), *state)
            outputs.append(state[0])
        return stack(outputs), state

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (("num_layers", 1), ("bias", True), ("batch_first", False),
                            ("dropout", 0.0)):
            value = getattr(self, name)
            text += "" if value == usual else f", {name}={value}"
        return text


class RNN(Recurrent):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu. (Elman, 1990) See Recurrent."""

    def __init__(self, input_size, hidden_size, num_layers=1, nonlinearity="tanh", *args,
                 **options):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or "
                             "'relu'.")
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, num_layers, *args, **options)

    def _cell(self, x, h, old):
        return ((tanh if self.nonlinearity == "tanh" else relu)(x + h),)


class LSTM(Recurrent):
    """Long short-term memory: gates i (in), f (forget), o (out) and news g; c = f c + i g,
    h = o tanh(c). (Hochreiter and Schmidhuber, 1997; Gers et al., 2000) See Recurrent."""

    gates, states = 4, 2

    def _cell(self, x, h, old, c):
        i, f, g, o = chunk(x + h, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRU(Recurrent):
    """Gated recurrent unit: gates r (reset), z (keep) and news n; h = (1 - z) n + z h.
    (Cho et al., 2014) See Recurrent."""

    gates = 3

    def _cell(self, x, h, old):
        (xr, xz, xn), (hr, hz, hn) = chunk(x, 3, -1), chunk(h, 3, -1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = tanh(xn + r * hn)
        return (n + z * (old - n),)
