"""The options that name a model behind an OpenAI-compatible address, and what its calls may cost."""

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from baleen.cli.options import require_at_least, require_positive
from baleen.config import UsageError

if TYPE_CHECKING:
    from baleen.agent import CostMeter, Endpoint
    from baleen.agent.cost import Pricing


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model behind an address; without --base-url there is none."""

    base_url: str | None = None
    """Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1 for `baleen serve`."""

    model: str | None = None
    """Name of the model on that server."""

    api_key_env: str | None = None
    """Name of the environment variable that holds the API key, if the server needs one."""

    max_cost: float | None = None
    """Dollars that this command may spend; it stops before a call that could cost more than is left."""

    price_input: float | None = None
    """Dollars per million prompt tokens. Not needed for models whose price Baleen knows."""

    price_cached: float | None = None
    """Dollars per million cached prompt tokens; as --price-input if not given."""

    price_output: float | None = None
    """Dollars per million completion tokens."""

    max_answer_tokens: int = 8192
    """Longest answer in tokens, thinking included."""

    request_seconds: float = 600.0
    """Longest time of one try of a call."""

    retries: int = 4
    """How often to retry after timeouts, lost connections, full queues and server errors."""

    def open(self, meter: "CostMeter | None" = None) -> "Endpoint | None":
        """The model, or None without --base-url. meter: shared by several models; by default it has one of its own.

        Raises UsageError for options that do not go together, UserError for a key that is not set or a missing
        package.
        """
        self._check()
        if self.base_url is None:
            return None
        from baleen.agent import Endpoint

        assert self.model is not None
        return Endpoint(
            self.base_url,
            self.model,
            self._key(),
            pricing=self._pricing(),
            meter=meter or self.meter(),
            max_tokens=self.max_answer_tokens,
            timeout=self.request_seconds,
            retries=self.retries,
        )

    def meter(self) -> "CostMeter":
        """A meter with the cap of --max-cost."""
        from baleen.agent import CostMeter

        return CostMeter(self.max_cost)

    def settings(self) -> dict[str, Any]:
        """What decides the answers, for the record of a run: no key, no limit on cost."""
        return {"base_url": self.base_url, "model": self.model, "max_answer_tokens": self.max_answer_tokens}

    def _check(self) -> None:
        from baleen.cost.prices import is_listed

        if self.base_url is None:
            for name in ("model", "api_key_env", "max_cost", "price_input", "price_output"):
                if getattr(self, name) is not None:
                    raise UsageError(f"--{name.replace('_', '-')} needs --base-url, the address of a model")
            return
        if not self.model:
            raise UsageError("--base-url needs --model, the name of a model at that address")
        require_at_least(0, self, "max_cost", "price_input", "price_cached", "price_output", "retries")
        require_positive(self, "max_answer_tokens", "request_seconds")
        if (self.price_input is None) != (self.price_output is None):
            raise UsageError("--price-input and --price-output go together; give both or neither")
        if self.max_cost is not None and self.price_input is None and not is_listed(self.model):
            raise UsageError(
                f"--max-cost needs a price, and none is known for {self.model}; give --price-input and "
                "--price-output, in dollars per million tokens"
            )

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env)
        if not key:
            raise UsageError(f"--api-key-env names {self.api_key_env}, which is not set; export it first")
        return key

    def _pricing(self) -> "Pricing":
        from baleen.agent.cost import FREE, TokenPrice
        from baleen.cost.prices import is_listed, price_of

        if self.price_input is not None and self.price_output is not None:
            cached = self.price_input if self.price_cached is None else self.price_cached
            return TokenPrice(self.price_input, cached, self.price_output)
        return partial(price_of, model=self.model) if self.model and is_listed(self.model) else FREE
