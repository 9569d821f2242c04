"""The model's sizes: one frozen record whose fields are the keys of the released `config.json`."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baleen.config.errors import UserError

PRESETS = Path(__file__).parent / "presets"

# Keys of released configs that say nothing about the computation; everything else unknown is an error.
_IGNORED_KEYS = frozenset(
    [
        "architectures",
        "attention_dropout",
        "auto_map",
        "dtype",
        "torch_dtype",
        "ep_size",
        "head_dim",
        "initializer_range",
        "model_type",
        "num_key_value_heads",
        "pretraining_tp",
        "quantization_config",
        "transformers_version",
        "use_cache",
        "seq_aux",
        "aux_loss_alpha",
        "num_experts",
        "mlp_layer_types",
        "layer_types",
        "mlp_bias",
        "output_router_logits",
        "pad_token_id",
        "is_encoder_decoder",
        "tie_encoder_decoder",
        "output_hidden_states",
        "output_attentions",
        "return_dict",
        "chunk_size_feed_forward",
        "id2label",
        "label2id",
        "problem_type",
        "qk_head_dim",
        "scale_fmt",
        "num_local_experts",
    ]
)


def presets() -> dict[str, str]:
    """Every shipped config's name and what it is for, the `description` in its file."""
    return {file.stem: json.loads(file.read_text())["description"] for file in sorted(PRESETS.glob("*.json"))}


# Of these keys one value is what the code computes; another would load and silently compute something else.
_SUPPORTED = {
    "hidden_act": "silu",
    "topk_method": "noaux_tc",
    "moe_layer_freq": 1,
    "rope_interleave": True,
    "attention_bias": False,
}

_SPARSE_KEYS = frozenset(["index_n_heads", "index_head_dim", "index_topk", "sparse_attention"])


class RopeScaling(BaseModel):
    """YaRN context extension (Peng et al. 2023): rescales the slow rotary frequencies by `factor`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: float = Field(gt=1)
    original_max_position_embeddings: int = Field(gt=0)
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 1.0
    mscale_all_dim: float = 0.0  # absent, the release's code leaves the softmax scale alone


class ModelConfig(BaseModel):
    """Sizes of a V3.2-family model; paper symbols in the comments (DeepSeek-V2, V3 and V3.2 reports)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vocab_size: int = Field(gt=0)
    hidden_size: int = Field(gt=0)  # d: width of the residual stream
    num_hidden_layers: int = Field(gt=0)
    first_k_dense_replace: int = Field(ge=0)  # leading layers with a dense MLP
    intermediate_size: int = Field(gt=0)  # width of a dense MLP
    moe_intermediate_size: int = Field(gt=0)  # width of one expert
    num_attention_heads: int = Field(gt=0)
    q_lora_rank: int = Field(gt=0)  # d_c': width of the query latent
    kv_lora_rank: int = Field(gt=0)  # d_c: width of the cached key-value latent
    qk_nope_head_dim: int = Field(gt=0)  # per-head query/key width without position
    qk_rope_head_dim: int = Field(gt=0)  # d_h^R: rotary width; the rotary key is shared by all heads
    v_head_dim: int = Field(gt=0)
    n_routed_experts: int = Field(gt=0)
    n_shared_experts: int = Field(ge=1)
    num_experts_per_tok: int = Field(gt=0)
    n_group: int = Field(default=1, gt=0)
    topk_group: int = Field(default=1, gt=0)
    routed_scaling_factor: float = 2.5
    scoring_func: Literal["sigmoid"] = "sigmoid"
    norm_topk_prob: bool = True
    index_n_heads: int = Field(default=64, ge=0)  # H^I; 0: no indexer at all (V3, V3.1)
    index_head_dim: int = Field(default=128, gt=0)  # d^I
    index_topk: int = Field(default=2048, gt=0)  # k: tokens a query may read
    num_nextn_predict_layers: int = Field(default=0, ge=0, le=1)  # MTP depth; `transformers` writes none
    rope_theta: float = Field(default=10000.0, gt=0)
    rope_scaling: RopeScaling | None = None
    max_position_embeddings: int = Field(default=163840, gt=0)
    rms_norm_eps: float = Field(default=1e-6, gt=0)
    bos_token_id: int = 0
    eos_token_id: int = 1
    tie_word_embeddings: bool = False
    # Baleen's own switch: False computes dense MLA (the stages before DSA), keeping the indexer's weights, if any.
    sparse_attention: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelConfig":
        def require(ok: bool, message: str) -> None:
            if not ok:
                raise ValueError(message)

        rope, index = self.qk_rope_head_dim, self.index_head_dim
        require(rope % 2 == 0, f"qk_rope_head_dim={rope} is odd; rotary pairs need an even width")
        require(
            index >= rope,
            f"index_head_dim={index} is below qk_rope_head_dim={rope}; it holds the rotary part",
        )
        require(
            self.index_n_heads > 0 or not self.sparse_attention,
            "index_n_heads=0 leaves sparse_attention=True without an indexer; set sparse_attention to False",
        )
        experts, groups = self.n_routed_experts, self.n_group
        require(
            experts % groups == 0, f"n_routed_experts={experts} does not divide into n_group={groups} groups"
        )
        require(self.topk_group <= groups, f"topk_group={self.topk_group} exceeds n_group={groups}")
        allowed = self.topk_group * (experts // groups)
        chosen = self.num_experts_per_tok
        require(
            chosen <= allowed,
            f"num_experts_per_tok={chosen} exceeds the {allowed} experts of topk_group groups",
        )
        layers = self.num_hidden_layers
        dense = self.first_k_dense_replace
        require(dense <= layers, f"first_k_dense_replace={dense} exceeds num_hidden_layers={layers}")
        for name in ("bos_token_id", "eos_token_id"):
            token = getattr(self, name)
            require(0 <= token < self.vocab_size, f"{name}={token} is outside vocab_size={self.vocab_size}")
        return self

    @property
    def qk_head_dim(self) -> int:
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @property
    def index_key_dim(self) -> int:
        """Width of the index key that is cached for each token: 0 in a model without indexers."""
        return self.index_head_dim if self.index_n_heads else 0

    @property
    def num_moe_layers(self) -> int:
        """MoE layers of the main model, the MTP layer not counted."""
        return self.num_hidden_layers - self.first_k_dense_replace

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str) -> "ModelConfig":
        """Build from a `config.json` in the released form or in the newer `rope_parameters` form.

        `model_type` deepseek_v3 (V3, V3.1) is dense attention without indexers.

        Raises:
            UserError: an unknown key, a missing one, a computation we do not have, or sizes that do not fit together.
        """
        for key, only in _SUPPORTED.items():
            if values.get(key) not in (None, only):
                raise UserError(f"{source}: {key}={values[key]!r} is not supported; it must be {only!r}")
        if values.get("model_type") == "deepseek_v3":
            values = values | {"index_n_heads": 0, "sparse_attention": False}
        values = {
            k: v for k, v in values.items() if k not in _IGNORED_KEYS | _SUPPORTED.keys() and v is not None
        }
        rope = values.pop("rope_parameters", None) or values.pop("rope_scaling", None)
        if rope is not None:
            rope = {k: v for k, v in rope.items() if v is not None}
            values["rope_theta"] = rope.pop("rope_theta", values.get("rope_theta", 10000.0))
            kind = rope.pop("rope_type", rope.pop("type", "default"))
            rope.pop("type", None)
            if kind == "yarn":
                values["rope_scaling"] = rope
            elif kind != "default":
                raise UserError(f"{source}: rope type {kind!r} is not supported; use 'yarn' or 'default'")
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where, rule = (
                ".".join(map(str, first["loc"])) or "sizes",
                first["msg"].removeprefix("Value error, "),
            )
            if rule.startswith("Input "):  # about one value
                rule = f"{first['input']!r:.100} {rule.removeprefix('Input ')}"
            raise UserError(f"{source}: {where}: {rule}") from None

    @classmethod
    def from_pretrained(cls, path: str | Path) -> "ModelConfig":
        """Read `config.json` of a Hugging Face-format folder, or that file itself."""
        file = Path(path) if Path(path).is_file() else Path(path) / "config.json"
        try:
            values = json.loads(file.read_text())
        except FileNotFoundError:
            raise UserError(
                f"{file} does not exist; give the folder of a model that holds config.json"
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{file} is not valid JSON ({error}); restore it from the checkpoint's source"
            ) from None
        if not isinstance(values, dict):
            raise UserError(f"{file} holds no JSON object; restore it from the checkpoint's source")
        return cls.from_dict(values, str(file))

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "ModelConfig":
        """A shipped config: see `presets/`; `changes` replace single fields."""
        if name not in (known := presets()):
            choices = "; ".join(f"{preset} ({purpose})" for preset, purpose in known.items())
            raise UserError(f"preset {name!r} does not exist; choose one of: {choices}")
        values = json.loads((PRESETS / f"{name}.json").read_text())
        del values["description"]
        changed = f" with {', '.join(changes)}" if changes else ""
        return cls.from_dict(values | changes, f"{name}.json{changed}")

    def replace(self, **changes: Any) -> "ModelConfig":
        """A copy with `changes`, checked like a new one."""
        return type(self)(**(self.model_dump() | changes))

    def to_hf_dict(self) -> dict[str, Any]:
        """The `config.json` that both Baleen and `transformers` read.

        It names `DeepseekV32ForCausalLM`, or `DeepseekV3ForCausalLM` where there is no indexer. `transformers` does
        not know `sparse_attention`: with indexers it always computes sparse attention.
        """
        values = self.model_dump()
        scaling = values.pop("rope_scaling")
        dense = self.index_n_heads == 0
        if dense:
            values = {k: v for k, v in values.items() if k not in _SPARSE_KEYS}
        values["rope_parameters"] = {"rope_theta": values.pop("rope_theta"), "rope_type": "default"}
        if scaling:
            values["rope_parameters"] |= scaling | {"rope_type": "yarn"}
        return {
            "architectures": ["DeepseekV3ForCausalLM" if dense else "DeepseekV32ForCausalLM"],
            "model_type": "deepseek_v3" if dense else "deepseek_v32",
            "hidden_act": "silu",
            "num_key_value_heads": self.num_attention_heads,
        } | values
