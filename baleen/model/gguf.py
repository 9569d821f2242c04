"""A model as the GGUF file that llama.cpp's `deepseek32` architecture reads; needs the `gguf` package.

Names and keys are those of llama.cpp's loader. What it wants otherwise than the release stores it: the experts of a
layer stacked, kv_b_proj split by head into a transposed key half and a value half, one key-value head (absorbed MLA).
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baleen.config import ModelConfig
from baleen.config.engine import WeightDtype
from baleen.model.transformer import Transformer

_TOP = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.o_proj": "attn_output",
    "self_attn.indexer.wq_b": "indexer.attn_q_b",
    "self_attn.indexer.wk": "indexer.attn_k",
    "self_attn.indexer.k_norm": "indexer.k_norm",
    "self_attn.indexer.weights_proj": "indexer.proj",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
}
_EXPERTS = {
    "gate_proj": "ffn_gate_exps.weight",
    "up_proj": "ffn_up_exps.weight",
    "down_proj": "ffn_down_exps.weight",
}
_KINDS = {"float32": "F32", "bfloat16": "BF16", "int8": "Q8_0"}
_BLOCK = 32  # numbers that share a scale in q8_0
_FLOAT32 = ("ffn_gate_inp", "indexer.proj")  # what makes choices, as in llama.cpp's own files


def write_gguf(model: Transformer, path: Path, weights: WeightDtype) -> None:
    """Write the main model, with tokens that have no text; matrices in float32, bfloat16, or q8_0 for int8.

    q8_0 scales blocks of 32 numbers: matrices of other widths stay float32.
    """
    gguf: Any = importlib.import_module("gguf")
    writer = gguf.GGUFWriter(path, "deepseek32")
    _write_sizes(writer, model.config, gguf)
    _write_vocabulary(writer, model.config, gguf)
    for name, tensor in _tensors(model):
        wide = tensor.ndim < 2 or any(part in name for part in _FLOAT32)
        wide |= weights == "int8" and tensor.shape[-1] % _BLOCK > 0
        kind = getattr(gguf.GGMLQuantizationType, "F32" if wide else _KINDS[weights])
        numbers = gguf.quantize(tensor.detach().float().contiguous().numpy(), kind)
        writer.add_tensor(name, numbers, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: Any, config: ModelConfig, gguf: Any) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(1)
    writer.add_q_lora_rank(config.q_lora_rank)
    writer.add_kv_lora_rank(config.kv_lora_rank)
    writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
    writer.add_value_length(config.kv_lora_rank)
    writer.add_key_length_mla(config.qk_head_dim)
    writer.add_value_length_mla(config.v_head_dim)
    writer.add_rope_dimension_count(config.qk_rope_head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_count(config.n_routed_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_group_count(config.n_group)
    writer.add_expert_group_used_count(config.topk_group)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    writer.add_expert_weights_norm(config.norm_topk_prob)
    writer.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    writer.add_indexer_head_count(config.index_n_heads)
    writer.add_indexer_key_length(config.index_head_dim)
    writer.add_indexer_top_k(config.index_topk)


def _write_vocabulary(writer: Any, config: ModelConfig, gguf: Any) -> None:
    """A name for each id: prompts go in and tokens come out as ids, but llama.cpp wants a vocabulary."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([f"t{token}" for token in range(config.vocab_size)])
    writer.add_token_types([gguf.TokenType.NORMAL] * config.vocab_size)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)


def _tensors(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the main model under llama.cpp's name and in its shape."""
    config = model.config
    for key, tensor in model.state_dict().items():
        if key == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if key in _TOP:
            yield _TOP[key], tensor
            continue
        _, _, layer, name = key.split(".", 3)
        module, _, kind = name.rpartition(".")
        if int(layer) >= config.num_hidden_layers:  # the MTP layer
            continue
        block = f"blk.{layer}."
        if module == "self_attn.kv_b_proj":
            heads = tensor.unflatten(0, (config.num_attention_heads, -1))
            keys, values = heads.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
            yield block + "attn_k_b.weight", keys.transpose(1, 2)
            yield block + "attn_v_b.weight", values
        elif module == "mlp.experts":
            yield block + _EXPERTS[kind], tensor
        elif kind == "e_score_correction_bias":
            yield block + "exp_probs_b.bias", tensor.to(torch.float32)
        else:
            yield f"{block}{_LAYER[module]}.{kind}", tensor
