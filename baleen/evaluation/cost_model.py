"""What a token costs at a position in the context: FLOPs, bytes and dollars, for dense MLA and for DSA.

The dollar lines are those of the cost figure in the DeepSeek-V3.2 report, sec. 2.2 (H800 GPUs at 2 dollars
an hour). Their slopes are the attention's FLOPs at a constant share of the H800's peak; what does not depend
on the position is the weights' FLOPs at another share. Both shares are fitted to the figure, so that any
sizes of the V3.2 family can be put in: what comes out is what that model would cost on the same service.
"""

from dataclasses import dataclass
from typing import Literal

from baleen.config.model import ModelConfig

Phase = Literal["prefill", "decode"]

BF16_PEAK = 989.5e12  # dense FLOP/s of an H800
FP8_PEAK = 1979e12
DOLLARS_PER_HOUR = 2.0
DOLLARS_PER_MILLION_SECONDS = DOLLARS_PER_HOUR / 3600 * 1e6


@dataclass(frozen=True)
class Utilisation:
    """Shares of the peak that a phase reaches: FP8's for weights and indexer, BF16's for attention."""

    weights_dense: float
    weights_sparse: float
    dense_attention: float  # over the whole context
    masked_attention: float  # the sparse model's short contexts, with the unchosen positions masked
    sparse_attention: float  # over the selected positions only
    indexer: float


# The report names the masked mode for prefill only. In its figure decode bends at 2.06K instead of 2K, so
# short decodes, too, run a little cheaper than the gathered kernel would.
FITTED: dict[Phase, Utilisation] = {
    "prefill": Utilisation(0.38870, 0.34430, 0.6, 0.5556, 0.5734, 0.40),
    "decode": Utilisation(0.29166, 0.22098, 0.6, 0.412, 0.40, 0.35),
}


def pair_flops(config: ModelConfig) -> tuple[int, int, int]:
    """FLOPs of one query-key pair in one layer: MHA mode, MQA mode, indexer."""
    heads, rope = config.num_attention_heads, config.qk_rope_head_dim
    mha = heads * 2 * (config.qk_nope_head_dim + rope + config.v_head_dim)
    mqa = heads * 2 * (2 * config.kv_lora_rank + rope)
    return mha, mqa, config.index_n_heads * 2 * config.index_head_dim


def attention_flops(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """FLOPs of all layers' attention, indexer included, for the token at `position`.

    Prefill computes in MHA mode while that is cheaper than the selected set in MQA mode; decode in MQA mode.
    """
    mha, mqa, index = pair_flops(config)
    layers, chosen = config.num_hidden_layers, min(position, config.index_topk)
    if not sparse:
        return float(layers * position * (mha if phase == "prefill" else mqa))
    attention = chosen * mqa
    if phase == "prefill":
        attention = min(position * mha, attention)
    return float(layers * (attention + position * index))


def token_flops(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """FLOPs of one token at `position` in the main model: two for every weight it meets, and its attention.

    A decoded token computes logits; so is a prefilled one counted, though a server needs only the last one's.
    """
    return 2 * active_parameters(config, sparse) + attention_flops(config, position, phase, sparse)


def prompt_flops(config: ModelConfig, length: int, sparse: bool) -> float:
    """FLOPs of all layers' attention for a whole prompt: the sum over its causal pairs."""
    mha, mqa, index = pair_flops(config)
    layers, k = config.num_hidden_layers, config.index_topk
    pairs = length**2 / 2
    if not sparse:
        return layers * mha * pairs
    selected = pairs if length <= k else length * k - k**2 / 2
    return layers * (mqa * selected + index * pairs)


def cache_bytes(config: ModelConfig, position: int, sparse: bool, latent: float, index: float) -> float:
    """Bytes of cache that the decode of one token reads, over all layers.

    latent, index: bytes that one token's latent and one token's index key take in the cache of one layer.
    """
    if not sparse:
        return config.num_hidden_layers * latent * position
    return config.num_hidden_layers * (latent * min(position, config.index_topk) + index * position)


def dollars_per_million(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """Dollars for a million tokens at `position`, prefilled or decoded (V3.2 report, figure of sec. 2.2)."""
    mha, mqa, index = pair_flops(config)
    fitted, pair = FITTED[phase], (mha if phase == "prefill" else mqa)
    if not sparse:
        attention = pair * position / (fitted.dense_attention * BF16_PEAK)
        weights = active_parameters(config, sparse=False) / (fitted.weights_dense * FP8_PEAK)
    else:
        masked = pair * position / fitted.masked_attention
        selected = mqa * min(position, config.index_topk) / fitted.sparse_attention
        attention = min(masked, selected) / BF16_PEAK + index * position / (fitted.indexer * FP8_PEAK)
        weights = active_parameters(config, sparse=True) / (fitted.weights_sparse * FP8_PEAK)
    return (config.num_hidden_layers * attention + 2 * weights) * DOLLARS_PER_MILLION_SECONDS


def active_parameters(config: ModelConfig, sparse: bool) -> int:
    """Weights that a token meets in the main model: no embedding, norms or MTP; the indexers if `sparse`."""
    mlp = 3 * config.hidden_size
    experts = mlp * config.moe_intermediate_size * (config.num_experts_per_tok + config.n_shared_experts)
    router = config.hidden_size * config.n_routed_experts
    total = config.num_hidden_layers * (
        _attention_weights(config) + (_indexer_weights(config) if sparse else 0)
    )
    total += config.first_k_dense_replace * mlp * config.intermediate_size
    total += config.num_moe_layers * (experts + router)
    return total + config.vocab_size * config.hidden_size


def total_parameters(config: ModelConfig) -> int:
    """All trained weights: embedding, norms, every expert, indexers and the MTP layer included."""
    width = config.hidden_size
    norms = 2 * width + config.q_lora_rank + config.kv_lora_rank + 2 * config.index_head_dim
    layer = _attention_weights(config) + _indexer_weights(config) + norms
    dense = 3 * width * config.intermediate_size
    experts = config.n_routed_experts + config.n_shared_experts
    moe = 3 * width * config.moe_intermediate_size * experts + width * config.n_routed_experts
    mtp = config.num_nextn_predict_layers * (layer + moe + 2 * width * width + 3 * width)
    embeddings = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    main = (
        config.num_hidden_layers * layer + config.first_k_dense_replace * dense + config.num_moe_layers * moe
    )
    return main + mtp + embeddings + width


def _attention_weights(config: ModelConfig) -> int:
    width, heads = config.hidden_size, config.num_attention_heads
    query = config.q_lora_rank * (width + heads * config.qk_head_dim)
    latent = width * (config.kv_lora_rank + config.qk_rope_head_dim)
    expanded = config.kv_lora_rank * heads * (config.qk_nope_head_dim + config.v_head_dim)
    return query + latent + expanded + heads * config.v_head_dim * width


def _indexer_weights(config: ModelConfig) -> int:
    query = config.q_lora_rank * config.index_n_heads * config.index_head_dim
    return query + config.hidden_size * (config.index_head_dim + config.index_n_heads)
