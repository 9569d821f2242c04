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
    """List price of a model.

    Attributes:
        model: its name.
        as_of: day on which the price was read.
        input: dollars per million prompt tokens that were not cached.
        cached: dollars per million prompt tokens that were.
        output: dollars per million completion tokens.
        source: where the price was read.
        prompt_above: the price is for prompts of more than so many tokens.
    """

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
    """The latest price of `model` for a prompt of that length.

    Raises:
        UserError: the model has none.
    """
    rows = [row for row in prices() if row.model == model and prompt_tokens > row.prompt_above]
    if not rows:
        known = ", ".join(sorted({row.model for row in prices()}))
        raise UserError(f"no price is known for model {model!r}; choose one of: {known}")
    return max(rows, key=lambda row: (row.as_of, row.prompt_above))


def price_of(
    prompt_tokens: float, cached_tokens: float, completion_tokens: float, model: str = DEFAULT_MODEL
) -> float:
    """Dollars for one request. Token counts may be means.

    Args:
        prompt_tokens: all of them.
        cached_tokens: how many of those the prefix cache served.
        completion_tokens: tokens that were sampled.
        model: whose price.

    Raises:
        UserError: the model has no price.
        ValueError: the counts are impossible.
    """
    if not 0 <= cached_tokens <= prompt_tokens or completion_tokens < 0:
        counts = f"prompt {prompt_tokens}, cached {cached_tokens}, completion {completion_tokens}"
        raise ValueError(f"impossible token counts: {counts}")
    row = price(model, int(prompt_tokens))
    fresh = prompt_tokens - cached_tokens
    return (fresh * row.input + cached_tokens * row.cached + completion_tokens * row.output) / 1e6
