"""Limits of the engine and sampling parameters of a request. Impossible values raise UserError at once."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baleen.config.errors import UserError


class _Checked(BaseModel):
    """Frozen and closed to unknown names; an error names the field, the value, the limit and the remedy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(_sentence(type(self), error)) from None


class EngineConfig(_Checked):
    """Sizes of the cache and of one step."""

    block_size: int = Field(default=16, gt=0, description="tokens that a cache block holds")
    num_blocks: int = Field(default=4096, gt=1, description="cache blocks, one of them for padding")
    max_num_seqs: int = Field(default=128, gt=0, description="sequences that run at once")
    max_num_batched_tokens: int = Field(
        default=4096, gt=0, description="prompt tokens of one step; longer prompts go in chunks"
    )
    max_model_len: int = Field(default=4096, gt=1, description="tokens of prompt and completion together")
    enable_prefix_caching: bool = Field(default=True, description="true or false")
    weights: Literal["float32", "bfloat16", "int8"] | None = Field(
        default=None,
        description="float32, bfloat16 or int8: pack the weights for the CPU kernels; none: plain PyTorch",
    )


class SamplingParams(_Checked):
    """How one request is sampled; temperature 0 takes the likeliest token, the lowest id among equals.

    stop_token_ids end a completion as the end token does, which ignore_eos switches off; until min_tokens are
    sampled none of them is. top_k comes before top_p. Without a seed each request draws its own.
    """

    max_tokens: int = Field(default=256, gt=0, description="the most tokens to sample")
    min_tokens: int = Field(default=0, ge=0, description="tokens before the completion may stop")
    temperature: float = Field(default=1.0, ge=0.0, le=10.0, description="0 takes the likeliest token")
    top_p: float = Field(
        default=1.0, gt=0.0, le=1.0, description="share of the probability kept, 1 keeps all"
    )
    top_k: int = Field(default=0, ge=0, description="tokens kept, 0 keeps all")
    seed: int | None = Field(default=None, description="a whole number, or none for a fresh one")
    stop_token_ids: tuple[int, ...] = Field(default=(), description="token ids")
    ignore_eos: bool = Field(default=False, description="true or false")

    @model_validator(mode="after")
    def _minimum_below_maximum(self) -> "SamplingParams":
        if self.min_tokens > self.max_tokens:
            raise ValueError(
                f"min_tokens={self.min_tokens} exceeds max_tokens={self.max_tokens}; lower the first"
            )
        return self


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    field = str(first["loc"][0])
    if field not in model.model_fields:
        return f"{field}={first['input']!r} is unknown; known are {', '.join(model.model_fields)}"
    rule = first["msg"].removeprefix("Input ")
    return f"{field}={first['input']!r} {rule}; it is: {model.model_fields[field].description}"
