"""Mixture of experts: group-limited sigmoid routing and the routed experts' MLPs (V3 report, sec. 2.1.2)."""

import torch
from torch import Tensor
from torch.nn.functional import silu

# N tokens, E routed experts, k experts per token, D hidden_size, I moe_intermediate_size


def route(scores: Tensor, bias: Tensor, k: int, n_group: int, topk_group: int) -> Tensor:
    """Choose `k` experts a token among the `topk_group` best of `n_group` groups.

    `scores` [N, E] sigmoid affinities in float32, `bias` [E]. The bias moves the choice and never the weight: it
    balances load without a gradient. A group's score is the sum of its two best. Returns expert ids [N, k] int64.
    """
    choice = scores + bias
    if topk_group < n_group:
        groups = choice.view(-1, n_group, choice.shape[-1] // n_group)
        best = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(-1)
        kept = torch.zeros_like(best, dtype=torch.bool).scatter(
            1, best.topk(topk_group, dim=-1).indices, True
        )
        choice = groups.masked_fill(~kept.unsqueeze(-1), float("-inf")).flatten(1)
    return choice.topk(k, dim=-1).indices


def expert_mlp(
    x: Tensor, experts: Tensor, gates: Tensor, gate_proj: Tensor, up_proj: Tensor, down_proj: Tensor
) -> Tensor:
    """sum_i gate_i · SwiGLU_i(x) over the chosen experts.

    `x` [N, D], `experts` [N, k] ids, `gates` [N, k]; weights stacked: `gate_proj`, `up_proj` [E, I, D],
    `down_proj` [E, D, I]. Tokens are sorted by expert so that each expert runs one matrix product. Returns [N, D].
    """
    k = experts.shape[1]
    order = experts.flatten().argsort(stable=True)
    rows = order // k
    counts = torch.bincount(experts.flatten(), minlength=gate_proj.shape[0]).tolist()
    outputs = []
    for expert, tokens in enumerate(x[rows].split(counts)):
        if len(tokens):
            hidden = silu(tokens @ gate_proj[expert].T) * (tokens @ up_proj[expert].T)
            outputs.append(hidden @ down_proj[expert].T)
    weighted = torch.cat(outputs) * gates.flatten()[order].unsqueeze(-1).to(x.dtype)
    return torch.zeros_like(x).index_add(0, rows, weighted)
