"""How many weights a model has, and how many of them a token uses, in closed form."""

from dataclasses import dataclass

from baleen.config.model import ModelConfig


@dataclass(frozen=True)
class Parameters:
    """Numbers of trained weights, by part. The routing bias is not counted: no gradient moves it.

    Attributes:
        backbone: the main model without its indexers: V3.
        indexers: those of all layers of the main model.
        mtp: the MTP layer, with its indexer.
        active: weights of the main model that a token is multiplied with, so neither the embedding's rows nor norms.
        active_mtp: the same of the MTP layer, on top of `active`; the head that it shares is counted there.
    """

    backbone: int
    indexers: int
    mtp: int
    active: int
    active_mtp: int

    @property
    def main(self) -> int:
        """Of the main model."""
        return self.backbone + self.indexers

    @property
    def total(self) -> int:
        """Of the main model and the MTP layer."""
        return self.main + self.mtp


def count_parameters(config: ModelConfig) -> Parameters:
    """Count the trained weights of a model, with its indexers and its MTP layer, whether or not these are used."""
    width, layers, moe_layers = config.hidden_size, config.num_hidden_layers, config.num_moe_layers
    attention, indexer = _attention(config), _indexer(config)
    norms, indexer_norm = 2 * width + config.q_lora_rank + config.kv_lora_rank, 2 * config.index_head_dim
    dense = 3 * width * config.intermediate_size
    router, expert = width * config.n_routed_experts, 3 * width * config.moe_intermediate_size
    shared = config.n_shared_experts * expert
    moe = router + shared + config.n_routed_experts * expert
    backbone = layers * (attention + norms) + config.first_k_dense_replace * dense + moe_layers * moe
    head = config.vocab_size * width
    backbone += width + head * (1 if config.tie_word_embeddings else 2)
    mtp = config.num_nextn_predict_layers
    projection = 2 * width * width  # eh_proj joins the hidden state and the next token's embedding
    mtp_layer = attention + norms + indexer + indexer_norm + moe + projection + 3 * width
    met = router + shared + config.num_experts_per_tok * expert
    return Parameters(
        backbone=backbone,
        indexers=layers * (indexer + indexer_norm),
        mtp=mtp * mtp_layer,
        active=layers * (attention + indexer)
        + config.first_k_dense_replace * dense
        + moe_layers * met
        + head,
        active_mtp=mtp * (attention + indexer + met + projection),
    )


def active_parameters(config: ModelConfig, sparse: bool) -> int:
    """Weights of the main model that a token is multiplied with, those of the indexers only if `sparse`."""
    idle = 0 if sparse else config.num_hidden_layers * _indexer(config)
    return count_parameters(config).active - idle


def _attention(config: ModelConfig) -> int:
    width, heads = config.hidden_size, config.num_attention_heads
    query = config.q_lora_rank * (width + heads * config.qk_head_dim)
    latent = width * (config.kv_lora_rank + config.qk_rope_head_dim)
    expanded = config.kv_lora_rank * heads * (config.qk_nope_head_dim + config.v_head_dim)
    return query + latent + expanded + heads * config.v_head_dim * width


def _indexer(config: ModelConfig) -> int:
    query = config.q_lora_rank * config.index_n_heads * config.index_head_dim
    return query + config.hidden_size * (config.index_head_dim + config.index_n_heads)
