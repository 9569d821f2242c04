"""The FLOPs formulas against PyTorch's own count of the matrix products that the model runs."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from baleen.config import ModelConfig
from baleen.cost.flops import pair_flops, token_flops
from baleen.cost.parameters import active_parameters
from baleen.model import AttentionMetadata, LatentCache, Paged, Record, Transformer


def counted(config: ModelConfig, tokens: torch.Tensor, meta: AttentionMetadata | None, kl: bool) -> int:
    """FLOPs of one forward pass, logits included, as dispatched to PyTorch."""
    model = Transformer(config).initialize(torch.Generator().manual_seed(1)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        # asking for the KL takes the attention that is made of plain products; the fused one is not counted on a CPU
        model.logits(model.hidden_states(tokens, meta, Record(index_kl=kl)))
    return counter.get_total_flops()


def decode(config: ModelConfig, context: int) -> tuple[torch.Tensor, AttentionMetadata]:
    """One token that sees `context` positions, itself among them."""
    slots = torch.arange(1, context + 1).view(1, -1)
    paged = Paged(LatentCache(config, context + 1), slots[:, -1:], slots)
    return torch.zeros(1, 1, dtype=torch.int64), AttentionMetadata(torch.tensor([[context - 1]]), paged=paged)


@pytest.mark.parametrize("preset", ["tiny", "small"])
@pytest.mark.parametrize("times_topk", [2, 5])
def test_a_decoded_token_of_dsa(preset: str, times_topk: int) -> None:
    config = ModelConfig.preset(preset)
    context = times_topk * config.index_topk
    ours = token_flops(config, context, "decode", sparse=True)
    # the weighted sum over indexer heads, which the formula leaves out beside the dot products
    head_sum = config.num_hidden_layers * 2 * config.index_n_heads * context
    assert counted(config, *decode(config, context), kl=False) == ours + head_sum


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_a_decoded_token_of_dense_mla(preset: str) -> None:
    config = ModelConfig.preset(preset, sparse_attention=False)
    ours = token_flops(config, 300, "decode", sparse=False)
    # the model keeps its index keys even where they are not read
    keys = config.num_hidden_layers * 2 * config.hidden_size * config.index_head_dim
    assert counted(config, *decode(config, 300), kl=False) == ours + keys


@pytest.mark.parametrize("sparse", [False, True])
def test_a_whole_prompt_in_mha_mode(sparse: bool) -> None:
    """Masked attention computes all pairs, so every token costs as much as the last."""
    config, length = ModelConfig.preset("tiny", sparse_attention=sparse), 96
    tokens = torch.arange(length).view(1, -1)
    mha, _, index = pair_flops(config)
    weights = 2 * active_parameters(config, sparse=True)  # the KL needs the indexers in either case
    head_sum = 2 * config.index_n_heads
    ours = length * (weights + config.num_hidden_layers * length * (mha + index + head_sum))
    if sparse:  # the KL asks for the index queries and the scores of the selected once more, with a gradient
        queries = 2 * config.index_n_heads * (config.q_lora_rank * config.index_head_dim + config.hidden_size)
        ours += length * config.num_hidden_layers * (queries + config.index_topk * (index + head_sum))
    assert counted(config, tokens, None, kl=True) == ours


def test_prefill_is_the_cheaper_of_the_two_modes() -> None:
    config = ModelConfig.preset("v3.2")
    weights = 2 * active_parameters(config, sparse=True)
    short, long = (token_flops(config, n, "prefill", sparse=True) for n in (1024, 65536))
    assert short - weights == 61 * 1024 * (81_920 + 16_384)
    assert long - weights == 61 * (2048 * 278_528 + 65536 * 16_384)
