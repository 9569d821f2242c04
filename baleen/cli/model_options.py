"""The options that name a model behind an OpenAI-compatible address, and what its calls may cost."""

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from baleen.config import UsageError

if TYPE_CHECKING:
    from baleen.agent import CostMeter, Endpoint
    from baleen.agent.cost import Pricing


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model behind an address. Without --base-url there is none."""

    base_url: str | None = None
    """Address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1 of `baleen serve`."""

    model: str | None = None
    """Name of the model there."""

    api_key_env: str | None = None
    """Name of the environment variable that holds the API key, if the server wants one."""

    max_cost: float | None = None
    """Dollars that this command may spend; it ends before a call that could cost more than is left."""

    price_input: float | None = None
    """Dollars per million prompt tokens. Not needed for models in the table of prices."""

    price_cached: float | None = None
    """Dollars per million prompt tokens that the server had cached; --price-input if not given."""

    price_output: float | None = None
    """Dollars per million tokens of answers."""

    max_answer_tokens: int = 8192
    """Longest answer, thinking included."""

    request_seconds: float = 600.0
    """How long one try of a call may take."""

    retries: int = 4
    """Further tries after time-outs, lost connections, full queues and failures of the server."""

    def open(self, meter: "CostMeter | None" = None) -> "Endpoint | None":
        """The model, or None without --base-url. meter: shared by several models; else one of this model alone.

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
        if self.base_url is None:
            for name in ("model", "api_key_env", "max_cost", "price_input", "price_output"):
                if getattr(self, name) is not None:
                    raise UsageError(f"--{name.replace('_', '-')} needs --base-url, the address of a model")
            return
        if not self.model:
            raise UsageError("--base-url needs --model, the name of a model at that address")
        for name in ("max_cost", "price_input", "price_cached", "price_output", "retries"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be 0 or more")
        for name in ("max_answer_tokens", "request_seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be above 0")
        if (self.price_input is None) != (self.price_output is None):
            raise UsageError("--price-input and --price-output go together; give both or neither")
        if self.max_cost is not None and self.price_input is None and not _is_listed(self.model):
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
        from baleen.cost.prices import price_of

        if self.price_input is not None and self.price_output is not None:
            cached = self.price_input if self.price_cached is None else self.price_cached
            return TokenPrice(self.price_input, cached, self.price_output)
        return partial(price_of, model=self.model) if self.model and _is_listed(self.model) else FREE


def _is_listed(model: str) -> bool:
    from baleen.cost.prices import prices

    return any(row.model == model for row in prices())
