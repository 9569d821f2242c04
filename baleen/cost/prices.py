"""What tokens would cost at a hosted model's list price; the prices are dated data in `prices.toml`."""

import datetime
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from baleen.config.errors import UserError

DEFAULT_MODEL = "deepseek-v3.2"


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens, read on `as_of`, for prompts of more than `prompt_above` tokens."""

    model: str
    as_of: datetime.date
    input: float
    cached: float
    output: float
    source: str
    prompt_above: int = -1


@cache
def prices() -> tuple[Price, ...]:
    """Every row of the shipped price data."""
    text = (files("baleen.cost") / "prices.toml").read_text(encoding="utf-8")
    return tuple(Price(**row) for row in tomllib.loads(text)["price"])


def is_listed(model: str) -> bool:
    """Whether the price data has a price of `model`."""
    return any(row.model == model for row in prices())


def price(model: str = DEFAULT_MODEL, prompt_tokens: int = 0) -> Price:
    """The latest price of `model` that holds for a prompt of that length.

    Raises UserError for a model without one.
    """
    rows = [row for row in prices() if row.model == model and prompt_tokens > row.prompt_above]
    if not rows:
        known = ", ".join(sorted({row.model for row in prices()}))
        raise UserError(f"no price is known for model {model!r}; choose one of: {known}")
    return max(rows, key=lambda row: (row.as_of, row.prompt_above))


def price_of(
    prompt_tokens: float, cached_tokens: float, completion_tokens: float, model: str = DEFAULT_MODEL
) -> float:
    """Dollars for one request: `cached_tokens` of the `prompt_tokens` were served from the prefix cache.

    Token counts may be means. Raises UserError for an unknown model, ValueError for impossible counts.
    """
    if not 0 <= cached_tokens <= prompt_tokens or completion_tokens < 0:
        counts = f"prompt {prompt_tokens}, cached {cached_tokens}, completion {completion_tokens}"
        raise ValueError(f"impossible token counts: {counts}")
    row = price(model, int(prompt_tokens))
    fresh = prompt_tokens - cached_tokens
    return (fresh * row.input + cached_tokens * row.cached + completion_tokens * row.output) / 1e6
