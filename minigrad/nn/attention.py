"""Multi-head attention as a layer (torch.nn).

The one trick: a head is a dimension. Features are reshaped to (heads, features of a head), and one
batched product serves all heads.
"""

import math

import numpy as np

from minigrad.engine import describe, wrap
from minigrad.nn import functional as F
from minigrad.nn import init
from minigrad.nn.checks import floating, operand
from minigrad.nn.fresh import fresh, positive
from minigrad.nn.layers import Linear
from minigrad.nn.module import Module
from minigrad.shaping import chunk, permute, reshape, transpose


class MultiheadAttention(Module):
    """num_heads attentions side by side, each on its share of the embed_dim features.

    query (L, N, embed_dim), key and value (S, N, embed_dim); with batch_first the batch comes
    first; without a batch (L, embed_dim). Returns (output, weights): weights (N, L, S), the mean
    over the heads, or (N, num_heads, L, S), or None if need_weights=False. Masks are True where
    nothing may be seen (the opposite of scaled_dot_product_attention's, as in PyTorch), or numbers
    added to the scores: attn_mask (L, S) or (N * num_heads, L, S), key_padding_mask (N, S).
    (Vaswani et al., 2017)
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, batch_first=False, device=None,
                 dtype=None):
        positive(embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must be divisible by num_heads, got {embed_dim} and "
                             f"{num_heads}")
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.dropout, self.batch_first = F.probability(dropout), batch_first
        self.in_proj_weight = fresh(np.empty, (3 * embed_dim, embed_dim), dtype, device)
        shift = fresh(np.zeros, 3 * embed_dim, dtype, device) if bias else None
        self.register_parameter("in_proj_bias", shift)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the weights anew; biases 0."""
        init.xavier_uniform_(self.in_proj_weight)
        self.out_proj.reset_parameters()
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None,
                average_attn_weights=True, is_causal=False):
        batch = self._check(query, key, value)
        if not batch:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
        elif not self.batch_first:
            query, key, value = (transpose(x, 0, 1) for x in (query, key, value))
        biases = (None,) * 3 if self.in_proj_bias is None else chunk(self.in_proj_bias, 3)
        q, k, v = (self._heads(F.linear(x, w, b)) for x, w, b in zip(
            (query, key, value), chunk(self.in_proj_weight, 3), biases))
        mask = self._mask(attn_mask, key_padding_mask, q, k, is_causal)
        weights = F.attention_weights(q, k, mask)
        dropped = F.dropout(weights, self.dropout, self.training)
        y = permute(dropped @ v, (0, 2, 1, 3))
        y = self.out_proj(reshape(y, (*y.shape[:2], self.embed_dim)))
        if average_attn_weights:
            weights = weights.mean(1)
        if not batch:
            y, weights = y.squeeze(0), weights.squeeze(0)
        elif not self.batch_first:
            y = transpose(y, 0, 1)
        return y, (weights if need_weights else None)

    def _check(self, *inputs):
        """Refuses inputs that do not go together; returns whether there is a batch dimension."""
        for name, x in zip(("query", "key", "value"), inputs):
            x = floating(x, f"MultiheadAttention: {name}")
            if x.ndim not in (2, 3) or x.ndim != inputs[0].ndim or x.shape[-1] != self.embed_dim:
                raise RuntimeError(f"MultiheadAttention: {name} must have 2 dimensions, or 3 with "
                                   f"a batch, and {self.embed_dim} features, got the {describe(x)}")
        return inputs[0].ndim == 3

    def _heads(self, x):
        """(N, L, embed_dim) as (N, num_heads, L, embed_dim / num_heads)."""
        return permute(reshape(x, (*x.shape[:2], self.num_heads, -1)), (0, 2, 1, 3))

    def _mask(self, attn_mask, key_padding_mask, q, k, is_causal):
        """Both masks as numbers to add to the scores (N, num_heads, L, S), or None."""
        if attn_mask is None and is_causal:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        batch, heads, rows, columns = *q.shape[:3], k.shape[2]
        total = None
        for mask, shape in ((attn_mask, (-1, rows, columns)),
                            (key_padding_mask, (-1, 1, 1, columns))):
            if mask is None:
                continue
            mask = operand(mask, "MultiheadAttention: mask")
            if mask.array.size % math.prod(shape[1:]) or mask.shape[-1] != columns:
                raise RuntimeError(f"MultiheadAttention: the mask of shape {tuple(mask.shape)} "
                                   f"does not fit {rows} queries and {columns} keys")
            if mask.array.dtype.kind == "b":
                mask = wrap(np.where(mask.array, -np.inf, 0.0).astype(q.dtype))
            if mask.ndim == 3:
                shape = (batch, heads, rows, columns)
            mask = reshape(mask, shape)
            total = mask if total is None else total + mask
        return total
