"""Limits of the engine and sampling parameters of a request. Impossible values raise UserError at once."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baleen.config.errors import UserError

MAX_BIAS = 100.0
MAX_ALTERNATIVES = 20
MAX_STOP = 256

WeightFormat = Literal["float32", "bfloat16", "int8"]
Weights = Literal["auto", WeightFormat]
Backend = Literal["auto", "torch"]


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
    speculative: bool = Field(
        default=False,
        description="true or false: the MTP layer guesses a token ahead, and a step checks it on the way; "
        "the same tokens, sooner where guesses are right",
    )
    check_pages: bool = Field(
        default=False, description="true or false: check before each step that it reads its own pages; slow"
    )
    record_selection: bool = Field(
        default=False,
        description="true or false: a result tells which positions each token read in each layer; takes "
        "num_blocks * block_size * layers * index_topk * 4 bytes",
    )
    weights: Weights = Field(
        default="auto",
        description="float32, bfloat16 or int8, or auto: bfloat16 where the model is bfloat16, else float32",
    )
    backend: Backend = Field(
        default="auto",
        description="auto: the compiled CPU kernels, or plain PyTorch where these cannot be had and weights are auto "
        "too; torch: plain PyTorch",
    )

    @model_validator(mode="after")
    def _plain_pytorch_has_no_int8(self) -> "EngineConfig":
        if self.backend == "torch" and self.weights == "int8":
            raise ValueError(
                "weights='int8' needs the CPU kernels, backend='torch' is without them; leave one of the two out"
            )
        return self


class SamplingParams(_Checked):
    """How one request is sampled; temperature 0 takes the likeliest token, the lowest id among equals.

    First the logits change, at temperature 0 too, in this order: repetition_penalty (of every token of prompt and
    completion a positive logit is divided by it, a negative one multiplied, as in transformers and vLLM);
    frequency_penalty times the token's count in the completion and presence_penalty are subtracted (OpenAI's);
    logit_bias is added, and -100 bans its token; before min_tokens no token that ends may come. Then the
    temperature divides. Then, unless it is 0, tokens are cut: min_p and top_k, then top_p of the mass these leave.

    stop_token_ids end a completion as the end token does, which ignore_eos switches off; until min_tokens are sampled
    none of them is. Where the text of the completion comes to hold a string of `stop` it ends too, min_tokens or not;
    its ids then end with the token that completed the string. Without a seed each request draws its own. logprobs
    asks for the likeliest tokens at each position, under the distribution before the cuts. Several samples of one
    prompt are several requests, each with its seed: they share the prompt's cache. Whoever guesses a prompt can tell
    by the time of the first token whether it was cached; users who must not learn that of each other get a cache_salt
    each.
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
        default=0.0, ge=-2.0, le=2.0, description="taken off the logit of a token sampled before, 0 for none"
    )
    frequency_penalty: float = Field(
        default=0.0, ge=-2.0, le=2.0, description="taken off for each time it was sampled, 0 for none"
    )
    # bounded on both sides: a penalty that makes a logit overflow would be an engine's failure, not a request's
    repetition_penalty: float = Field(
        default=1.0, ge=0.01, le=100.0, description="weakens tokens of prompt and completion, 1 for none"
    )
    logit_bias: dict[int, Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]] = Field(
        default={}, description="what is added to the logits of token ids, from -100 (ban) to 100"
    )
    logprobs: int | None = Field(
        default=None, ge=0, le=MAX_ALTERNATIVES, description="likeliest tokens listed at each position"
    )
    seed: int | None = Field(default=None, description="a whole number, or none for a fresh one")
    stop_token_ids: tuple[int, ...] = Field(default=(), description="token ids")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=MAX_STOP)], ...] = Field(
        default=(), description=f"strings of 1 to {MAX_STOP} characters that end the completion"
    )
    ignore_eos: bool = Field(default=False, description="true or false")
    cache_salt: str = Field(
        default="", max_length=256, description="only requests of one salt share cached prompts"
    )
    record_sampling_mask: bool = Field(
        default=True, description="whether the sets that the cuts leave are recorded: training needs them"
    )

    @property
    def changes_logits(self) -> bool:
        """Whether a penalty or a bias is on."""
        penalised = self.presence_penalty or self.frequency_penalty or self.repetition_penalty != 1
        return bool(penalised or self.logit_bias)

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
