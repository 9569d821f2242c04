"""DeepSeekMoE: routed experts with auxiliary-loss-free balancing, and a shared expert (V3 report, sec. 2.1.2)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from baleen.config import ModelConfig
from baleen.model.cache import Record
from baleen.ops import expert_mlp, route


class MLP(nn.Module):
    """SwiGLU: the dense layers' MLP and the shared expert."""

    def __init__(self, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    """The router: an affinity for each expert, and the bias that balances them without a gradient."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))

    def forward(self, tokens: Tensor) -> Tensor:
        """Sigmoid affinities [N, E] of `tokens` [N, hidden_size], in float32 whatever the weights' type."""
        return torch.sigmoid(nn.functional.linear(tokens.float(), self.weight.float()))


class Experts(nn.Module):
    """The routed experts' SwiGLU weights, stacked: [E, I, D] twice and [E, D, I]."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        shape = (config.n_routed_experts, config.moe_intermediate_size, config.hidden_size)
        self.gate_proj = nn.Parameter(torch.empty(shape))
        self.up_proj = nn.Parameter(torch.empty(shape))
        self.down_proj = nn.Parameter(torch.empty(shape[0], shape[2], shape[1]))

    def forward(self, tokens: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        """`tokens` [N, D], the chosen `experts` [N, k] and their `gates` [N, k]. Returns [N, D]."""
        return expert_mlp(tokens, experts, gates, self.gate_proj, self.up_proj, self.down_proj)


class MoE(nn.Module):
    """y = sum of the chosen experts, weighted by their normalized affinity, plus the shared expert."""

    def __init__(self, config: ModelConfig, moe_idx: int | None):
        super().__init__()
        self.config = config
        self.moe_idx = moe_idx  # position among the main model's MoE layers; None in the MTP layer
        self.gate = Gate(config)
        self.experts = Experts(config)
        self.shared_experts = MLP(config.hidden_size, config.moe_intermediate_size * config.n_shared_experts)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """`x` [B, S, hidden_size] -> the same shape."""
        config = self.config
        tokens = x.flatten(0, 1)
        affinity = self.gate(tokens)
        replayed = record.replay_experts if record is not None and self.moe_idx is not None else None
        if replayed is not None:
            experts = replayed[:, :, self.moe_idx].flatten(0, 1)
        else:
            experts = route(
                affinity.detach(),
                self.gate.e_score_correction_bias,
                config.num_experts_per_tok,
                config.n_group,
                config.topk_group,
            )
        # the weight is the raw affinity of the chosen: the bias must not leak into the output
        gates = affinity.gather(1, experts)
        if config.norm_topk_prob:
            gates = gates / gates.sum(-1, keepdim=True)
        gates = gates * config.routed_scaling_factor
        if record is not None and self.moe_idx is not None:
            record.routed_experts.append(experts.view(*x.shape[:2], -1))
            if record.balance:
                record.balance_losses.append(
                    self._balance_loss(affinity, experts, x.shape[0], record.counted)
                )
        return self.experts(tokens, experts, gates).view_as(x) + self.shared_experts(x)

    def _balance_loss(self, affinity: Tensor, experts: Tensor, batch: int, counted: Tensor | None) -> Tensor:
        """sum_i f_i · P_i a sequence, averaged (V3 report, eq. 17-20); 1 when perfectly even."""
        n, k = self.config.n_routed_experts, self.config.num_experts_per_tok
        share = (affinity / affinity.sum(-1, keepdim=True)).view(batch, -1, n)
        chosen = torch.zeros_like(affinity).scatter(1, experts, 1.0).view(batch, -1, n)
        if counted is None:
            return (chosen.mean(1) * n / k * share.mean(1)).sum(-1).mean()
        weight = counted.unsqueeze(-1) / counted.sum(1).clamp(min=1).view(-1, 1, 1)
        return ((chosen * weight).sum(1) * n / k * (share * weight).sum(1)).sum(-1).mean()
