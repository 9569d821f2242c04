"""Limits of the engine and the sampling parameters of a request."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baleen.config.errors import UserError


class EngineConfig(BaseModel):
    """Sizes of the cache and of one step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    block_size: int = Field(default=16, gt=0)  # tokens a block
    num_blocks: int = Field(default=4096, gt=1)  # block 0 takes the writes of padding
    max_num_seqs: int = Field(default=128, gt=0)  # sequences a step
    max_num_batched_tokens: int = Field(default=4096, gt=0)  # prompt tokens a step; longer prompts go in chunks
    max_model_len: int = Field(default=4096, gt=1)  # prompt and completion together
    enable_prefix_caching: bool = True


class SamplingParams(BaseModel):
    """How one request is sampled; temperature 0 takes the likeliest token, the lowest id among equals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(default=256, gt=0)
    min_tokens: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    top_k: int = Field(default=0, ge=0)  # 0: no limit
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False

    @classmethod
    def checked(cls, **values: object) -> "SamplingParams":
        """Build from a user's values. Raises UserError that names the field, the value and the limit."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise UserError(f"{field} = {first['input']!r}: {first['msg']}") from None
