"""Limits of the engine and sampling parameters of a request. Impossible values raise UserError."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baleen.config.errors import UserError

MAX_BIAS = 100.0
MAX_ALTERNATIVES = 20
MAX_STOP = 256

WeightDtype = Literal["float32", "bfloat16", "int8"]
BackendName = Literal["auto", "torch"]


class _Checked(BaseModel):
    """Frozen, and rejects unknown names; an error names the field, the value, the limit and the remedy."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(_sentence(type(self), error)) from None


class EngineConfig(_Checked):
    """Sizes of the cache and of a step, and how the engine computes."""

    block_size: int = Field(default=16, gt=0, description="tokens that a cache block holds")
    num_blocks: int = Field(default=4096, gt=1, description="cache blocks, one of them for padding")
    max_num_seqs: int = Field(default=128, gt=0, description="sequences that run at once")
    max_num_batched_tokens: int = Field(
        default=4096, gt=0, description="prompt tokens of one step; longer prompts go in chunks"
    )
    max_model_len: int | None = Field(
        default=None,
        gt=1,
        description="most tokens of prompt and completion together; by default what the model and the cache allow",
    )
    enable_prefix_caching: bool = Field(default=True, description="true or false")
    speculative: bool = Field(
        default=False,
        description="true or false: the MTP layer drafts one token ahead, which the next step verifies; the same "
        "tokens, sooner if drafts are right",
    )
    check_cache: bool = Field(
        default=False,
        description="true or false: check before each step that requests read their own blocks; slow",
    )
    record_selection: bool = Field(
        default=False,
        description="true or false: record which positions each token read in each layer; takes num_blocks * "
        "block_size * layers * index_topk * 4 bytes",
    )
    weight_dtype: Literal["auto", WeightDtype] = Field(
        default="auto",
        description="float32, bfloat16 or int8, or auto: bfloat16 for a bfloat16 model, else float32",
    )
    backend: BackendName = Field(
        default="auto",
        description="auto: the compiled CPU kernels, or plain PyTorch if these are not available and weight_dtype is "
        "auto too; torch: plain PyTorch",
    )

    @model_validator(mode="after")
    def _plain_pytorch_has_no_int8(self) -> "EngineConfig":
        if self.backend == "torch" and self.weight_dtype == "int8":
            raise ValueError(
                "weight_dtype='int8' needs the CPU kernels, backend='torch' does not use them; leave one of the two out"
            )
        return self


class SamplingParams(_Checked):
    """How one request is sampled; temperature 0 takes the likeliest token, the lowest id among equals.

    Logits are changed first, at temperature 0 too, in this order:

    1. repetition_penalty: a positive logit of a token of prompt or completion is divided by it, a negative one
       multiplied, as in transformers and vLLM.
    2. frequency_penalty times the token's count in the completion, and presence_penalty, are subtracted, as in
       OpenAI's API.
    3. logit_bias is added; -100 bans its token.
    4. Before min_tokens, tokens that end the completion are ruled out.

    Then the temperature divides them. Then, unless it is 0, tokens are cut: by min_p and top_k, and by top_p of the
    mass that these leave.

    stop_token_ids end a completion as the end token does, which ignore_eos disables. A completion also ends, min_tokens
    or not, when its text contains a string of `stop`; its ids then end with the token that completed the string.
    logprobs asks for the likeliest tokens at each position, under the distribution before the cuts. For several samples
    of one prompt, send several requests, each with its seed; they share the prompt's cache. The time of the first token
    reveals whether a prompt was cached; give users who must not learn that of each other a cache_salt each.
    """

    max_tokens: int = Field(default=256, gt=0, description="the most tokens to sample")
    min_tokens: int = Field(default=0, ge=0, description="tokens before the completion may stop")
    temperature: float = Field(default=1.0, ge=0.0, le=10.0, description="0 takes the likeliest token")
    top_p: float = Field(
        default=1.0, gt=0.0, le=1.0, description="share of the probability kept, 1 keeps all"
    )
    top_k: int = Field(default=0, ge=0, description="tokens kept, 0 keeps all")
    min_p: float = Field(
        default=0.0, ge=0.0, le=1.0, description="least share of the likeliest's probability, 0 keeps all"
    )
    presence_penalty: float = Field(
        default=0.0,
        ge=-2.0,
        le=2.0,
        description="subtracted from the logit of a token sampled before, 0 for none",
    )
    frequency_penalty: float = Field(
        default=0.0, ge=-2.0, le=2.0, description="subtracted for each time the token was sampled, 0 for none"
    )
    # Bounded on both sides, because a logit that overflows would fail the engine, not the request.
    repetition_penalty: float = Field(
        default=1.0, ge=0.01, le=100.0, description="weakens tokens of prompt and completion, 1 for none"
    )
    logit_bias: dict[int, Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]] = Field(
        default={}, description="added to the logits of token ids, from -100 (ban) to 100"
    )
    logprobs: int | None = Field(
        default=None, ge=0, le=MAX_ALTERNATIVES, description="likeliest tokens to list at each position"
    )
    seed: int | None = Field(default=None, description="an integer; random by default")
    stop_token_ids: tuple[int, ...] = Field(default=(), description="token ids")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=MAX_STOP)], ...] = Field(
        default=(), description=f"strings of 1 to {MAX_STOP} characters that end the completion"
    )
    ignore_eos: bool = Field(default=False, description="true or false")
    cache_salt: str = Field(
        default="", max_length=256, description="only requests of one salt share cached prompts"
    )
    record_sampling_mask: bool = Field(
        default=True, description="whether to record the tokens that the cuts leave, which training needs"
    )

    @property
    def changes_logits(self) -> bool:
        """Whether a penalty or a bias is on."""
        penalized = self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1
        return bool(penalized or self.logit_bias)

    @property
    def banned_ids(self) -> frozenset[int]:
        """Tokens that the bias rules out."""
        return frozenset(token for token, bias in self.logit_bias.items() if bias == -MAX_BIAS)

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
    field, *inner = map(str, first["loc"])
    if field not in model.model_fields:
        return f"{field}={first['input']!r} is unknown; known are {', '.join(model.model_fields)}"
    place = field + "".join(f"[{part}]" for part in inner if part != "[key]")
    rule = first["msg"].removeprefix("Input ")
    return f"{place}={first['input']!r} {rule}; it is: {model.model_fields[field].description}"
