"""`config.json` as released, in both forms of rope settings, and configs that cannot be."""

import json

import pytest

from baleen.config import ModelConfig, UserError
from baleen.config.model import PRESETS


def sizes_of(preset: str) -> dict:
    values = json.loads((PRESETS / f"{preset}.json").read_text())
    return {key: value for key, value in values.items() if key != "description"}


V32 = sizes_of("v3.2")
# what the released file says besides the sizes
RELEASED = V32 | {
    "architectures": ["DeepseekV32ForCausalLM"], "model_type": "deepseek_v32", "attention_bias": False,
    "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1, "hidden_act": "silu",
    "initializer_range": 0.02, "moe_layer_freq": 1, "norm_topk_prob": True, "num_key_value_heads": 128,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
    "rms_norm_eps": 1e-6, "scoring_func": "sigmoid", "tie_word_embeddings": False, "topk_method": "noaux_tc",
    "torch_dtype": "bfloat16", "transformers_version": "4.44.2", "use_cache": True,
}  # fmt: skip
V3 = {k: v for k, v in RELEASED.items() if not k.startswith("index_")} | {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "auto_map": {"AutoConfig": "configuration_deepseek.DeepseekV3Config"},
}
TINY = sizes_of("tiny")


def newer(values: dict) -> dict:
    """The same config as `transformers` 5 writes it."""
    values = dict(values)
    scaling = dict(values.pop("rope_scaling"))
    kind = scaling.pop("type")
    theta = values.pop("rope_theta")
    return values | {"rope_parameters": scaling | {"rope_type": kind, "rope_theta": theta}}


@pytest.mark.parametrize("values", [RELEASED, V3])
def test_both_forms_of_rope_settings_are_one_config(values):
    values = values | {"rope_theta": 50000.0}
    config = ModelConfig.from_dict(values, "config.json")
    assert config.rope_theta == 50000.0 and config.rope_scaling is not None
    assert ModelConfig.from_dict(newer(values), "config.json") == config
    assert ModelConfig.from_dict(config.to_hf_dict(), "config.json") == config


def test_the_released_sparse_config_is_the_preset():
    assert ModelConfig.from_dict(RELEASED, "config.json") == ModelConfig.preset("v3.2")


def test_a_v3_config_is_dense_without_indexers():
    config = ModelConfig.from_dict(V3, "config.json")
    assert (config.sparse_attention, config.index_n_heads, config.num_nextn_predict_layers) == (False, 0, 1)
    assert config.to_hf_dict()["model_type"] == "deepseek_v3"
    assert not [key for key in config.to_hf_dict() if key.startswith("index_")]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"qk_rope_head_dim": 15}, "qk_rope_head_dim=15 is odd"),
        ({"index_head_dim": 8}, "index_head_dim=8 is below qk_rope_head_dim=16"),
        ({"n_routed_experts": 9}, "n_routed_experts=9 does not divide into n_group=4"),
        ({"topk_group": 5}, "topk_group=5 exceeds n_group=4"),
        ({"num_experts_per_tok": 5}, "num_experts_per_tok=5 exceeds the 4 experts"),
        ({"first_k_dense_replace": 4}, "first_k_dense_replace=4 exceeds num_hidden_layers=3"),
        ({"eos_token_id": 1024}, "eos_token_id=1024 is outside vocab_size=1024"),
        ({"index_n_heads": 0}, "index_n_heads=0 leaves sparse_attention=True"),
        ({"kv_lora_rank": 0}, "kv_lora_rank"),
        ({"index_topk": 0}, "index_topk"),
        ({"scoring_func": "softmax"}, "scoring_func"),
        ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported; it must be 'silu'"),
        ({"rope_interleave": False}, "rope_interleave=False is not supported"),
        ({"attention_bias": True}, "attention_bias=True is not supported"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope type 'linear' is not supported"),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "original_max_position_embeddings"),
        ({"index_topkk": 3}, "index_topkk"),
    ],
)
def test_impossible_configs_name_the_field(changes, names):
    with pytest.raises(UserError) as caught:
        ModelConfig.from_dict(TINY | changes, "config.json")
    assert str(caught.value).startswith("config.json: ") and names in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"index_topk": 0}, "index_topk: 0 should be greater than 0"),
        ({"hidden_size": "wide"}, "hidden_size: 'wide' should be a valid integer"),
        (
            {"rope_scaling": {"type": "yarn", "factor": 1, "original_max_position_embeddings": 4}},
            "factor: 1 should",
        ),
    ],
)
def test_an_error_shows_the_value(changes, told):
    with pytest.raises(UserError) as error:
        ModelConfig.preset("tiny", **changes)
    assert told in str(error.value)
