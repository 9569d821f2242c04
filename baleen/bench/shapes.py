"""The shapes of `baleen bench`: models with random weights, small enough to time and large enough to tell something."""

from typing import Any

from baleen.config import ModelConfig

# Contexts reach 32K, and llama.cpp's rotation of the index keys asks for widths that are multiples of 64.
_COMMON: dict[str, Any] = {
    "max_position_embeddings": 65536,
    "num_nextn_predict_layers": 0,
    "index_n_heads": 8,
    "index_head_dim": 64,
}
_MEDIUM: dict[str, Any] = _COMMON | {
    "vocab_size": 8192,
    "num_hidden_layers": 8,
    "first_k_dense_replace": 1,
    "intermediate_size": 2048,
    "num_attention_heads": 12,
    "kv_lora_rank": 256,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "v_head_dim": 64,
    "n_shared_experts": 1,
    "num_experts_per_tok": 4,
    "index_topk": 512,
}
SHAPES = ("400m", "140m", "tiny")


def shape(name: str) -> ModelConfig:
    """The config of one of `SHAPES`; each is named for its number of parameters."""
    if name == "tiny":
        return ModelConfig.preset("tiny", **_COMMON)
    sizes = {
        "400m": {
            "hidden_size": 1024,
            "q_lora_rank": 512,
            "moe_intermediate_size": 512,
            "n_routed_experts": 32,
        },
        "140m": {
            "hidden_size": 768,
            "q_lora_rank": 384,
            "moe_intermediate_size": 384,
            "n_routed_experts": 16,
        },
    }
    return ModelConfig(**_MEDIUM, **sizes[name])
