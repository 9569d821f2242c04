"""The lightning indexer: a small scorer that chooses the tokens that attention may read (V3.2 report, sec. 2.1)."""

import torch
from torch import Tensor, nn

from baleen.config import ModelConfig
from baleen.ops import blocked_index_scores, rotate_half_split


class Float32Linear(nn.Linear):
    """Computes in float32: rounded head weights cause ties between tokens, and ties an arbitrary choice."""

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input.float(), self.weight.float())


class Indexer(nn.Module):
    """Index scores I[t,s] from the query latent and one shared key per token; few heads, no values."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        heads, dim = config.index_n_heads, config.index_head_dim
        self.wq_b = nn.Linear(config.q_lora_rank, heads * dim, bias=False)
        self.wk = nn.Linear(config.hidden_size, dim, bias=False)
        self.k_norm = nn.LayerNorm(dim, eps=1e-6)
        self.weights_proj = Float32Linear(config.hidden_size, heads, bias=False)

    def keys(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """k^I of each token: `x` [B, S, hidden_size], `cos`/`sin` [B, S, R/2]. Returns [B, S, index_head_dim]."""
        return self._rotate(self.k_norm(self.wk(x)), cos, sin)

    def queries(self, x: Tensor, c_q: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """q^I [B, S, J, D] from `c_q` [B, S, q_lora_rank], and its heads' weights w^I [B, S, J] float32 from `x`."""
        heads, dim = self.config.index_n_heads, self.config.index_head_dim
        q = self.wq_b(c_q).unflatten(-1, (heads, dim))
        q = self._rotate(q, cos.unsqueeze(2), sin.unsqueeze(2))
        return q, self.weights_proj(x) * (heads * dim) ** -0.5

    def forward(self, x: Tensor, c_q: Tensor, cos: Tensor, sin: Tensor, keys: Tensor) -> Tensor:
        """Index scores of the queries against `keys` [B, T, index_head_dim]; `c_q` [B, S, q_lora_rank].

        Returns [B, S, T] float32, not yet masked.
        """
        q, weights = self.queries(x, c_q, cos, sin)
        return blocked_index_scores(q, keys, weights)

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        # head layout [rope | nope], half-split pairs: both differ from MLA's
        rope, nope = x.tensor_split([self.config.qk_rope_head_dim], dim=-1)
        return torch.cat((rotate_half_split(rope, cos, sin), nope), dim=-1)
