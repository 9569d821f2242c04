"""What calls of a model cost, and a cap on what a run may spend."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from baleen.config.errors import UserError

Pricing = Callable[[int, int, int], float]
"""Dollars of one call: (prompt tokens, how many of them were cached, completion tokens)."""


class BudgetSpent(UserError):
    """The next call might cost more than is left of the run's budget. What was done so far is kept."""


@dataclass(frozen=True)
class TokenPrice:
    """A flat price: dollars per million tokens."""

    input: float
    cached: float
    output: float

    def __call__(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * self.cached + completion_tokens * self.output) / 1e6


FREE = TokenPrice(0.0, 0.0, 0.0)


@dataclass
class _Bill:
    """What one call cost; its highest possible price until somebody knows better."""

    dollars: float


class CostMeter:
    """Adds up the dollars of a run, from many threads. max_dollars: the cap, None for none."""

    def __init__(self, max_dollars: float | None = None) -> None:
        self.max_dollars = max_dollars
        self.spent = 0.0
        self.calls = 0
        self.refused = False
        """Whether a call was refused for want of money: there is no point in going on."""
        self._reserved = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def call(self, at_most: float) -> Iterator[_Bill]:
        """Around one call that may cost `at_most` dollars; set the bill's `dollars` when the price is known.

        A call that fails costs nothing. Raises BudgetSpent when what is left might not do, calls still under
        way taken into account.
        """
        with self._lock:
            if self.max_dollars is not None and self.spent + self._reserved + at_most > self.max_dollars:
                self.refused = True
                raise BudgetSpent(
                    f"--max-cost {self.max_dollars:g} dollars: {self.spent:.4f} are spent and the next call may "
                    f"cost {at_most:.4f}; the same command with a higher --max-cost goes on"
                )
            self._reserved += at_most
        bill = _Bill(at_most)
        try:
            yield bill
        except BaseException:
            bill.dollars = 0.0
            raise
        finally:
            with self._lock:
                self._reserved -= at_most
                self.spent += bill.dollars
                self.calls += 1

    def __str__(self) -> str:
        cap = "" if self.max_dollars is None else f" of {self.max_dollars:g}"
        return f"{self.calls} calls of a model, {self.spent:.4f}{cap} dollars"
