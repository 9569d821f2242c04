"""Dollars for tokens at dated list prices."""

import dataclasses
import datetime

import pytest

from baleen.config.errors import UserError
from baleen.cost import prices
from baleen.cost.prices import price, price_of


def test_a_request_costs_fresh_cached_and_completion_tokens() -> None:
    assert price_of(1_000_000, 0, 0) == pytest.approx(0.28)
    assert price_of(1_000_000, 1_000_000, 0) == pytest.approx(0.028)
    assert price_of(0, 0, 1_000_000) == pytest.approx(0.42)
    assert price_of(1000, 640, 200) == pytest.approx((360 * 0.28 + 640 * 0.028 + 200 * 0.42) / 1e6)


def test_long_prompts_have_their_own_row() -> None:
    assert price_of(200_000, 0, 0, "gemini-3-pro-preview") == pytest.approx(0.4)
    assert price_of(200_001, 0, 0, "gemini-3-pro-preview") == pytest.approx(0.800004)


def test_the_latest_row_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    old = price()
    new = dataclasses.replace(old, as_of=datetime.date(2030, 1, 1), input=1.0)
    monkeypatch.setattr(prices, "prices", lambda: (new, old))
    assert price().input == 1.0


def test_every_row_is_dated_sourced_and_cheaper_when_cached() -> None:
    for row in prices.prices():
        assert isinstance(row.as_of, datetime.date) and row.source
        assert 0 < row.cached < row.input < row.output


def test_unknown_models_and_impossible_counts_are_refused() -> None:
    with pytest.raises(UserError, match="deepseek-v3.2"):
        price_of(1, 0, 1, "no-such-model")
    with pytest.raises(ValueError, match="cached 2"):
        price_of(1, 2, 1)
