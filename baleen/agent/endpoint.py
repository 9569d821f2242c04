"""Any OpenAI-compatible server as a chat model: retries, odd answers, thinking sent back, tokens to dollars."""

import json
import re
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from baleen.agent.cost import FREE, BudgetSpent, CostMeter, Pricing, TokenPrice
from baleen.agent.model import ModelFailure, Reply
from baleen.agent.wire import from_wire, offered_tools, to_wire
from baleen.chat import Message, without_lone_surrogates
from baleen.config.errors import UserError
from baleen.installation import install_command

__all__ = ["BudgetSpent", "CostMeter", "Endpoint", "TokenPrice"]

_FINISHES = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "model_length": "length",
}
_BROKEN_OFF = ("abort", "error", "insufficient_system_resource")  # the server's failure, told with status 200
_TOO_LONG = re.compile(
    r"context.(length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceeds the maximum number of tokens",
    re.I,
)
_UNKNOWN_MODEL = re.compile(
    r"model[ _]not[ _](exist|found)|(invalid|unknown|no such)[ _]model|not a valid model"
    r"|model\W+\S+\W+(does not exist|not found)",
    re.I,
)
_SHOWN = 300  # characters of a server's complaint
_BYTES_PER_TOKEN = 2  # at least, in a price that must not be too low


class Endpoint:
    """The model `model` behind `base_url` (such as `http://127.0.0.1:8000/v1`). Safe to call from many threads.

    api_key: what the server wants, None for nothing; it appears in no message and no record.
    pricing, meter: what the tokens cost, and where it is added up and capped.
    max_tokens: of an answer where a call names no limit. timeout: seconds for one try.
    retries: further tries, with growing pauses or those the server asks for, after timeouts, lost connections,
    the statuses 408, 409, 429 and 5xx, and answers that the server broke off.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        pricing: Pricing = FREE,
        meter: CostMeter | None = None,
        max_tokens: int = 8192,
        timeout: float = 600.0,
        retries: int = 4,
    ) -> None:
        """Raises UserError when the `openai` package is missing or `base_url` is not an address."""
        openai = _openai()
        address = urlsplit(base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UserError(f"--base-url is {base_url!r}; give an address such as http://127.0.0.1:8000/v1")
        self.base_url = base_url
        self.meter = meter or CostMeter()
        self._model = model
        self._pricing = pricing
        self._max_tokens = max_tokens
        self._secret = api_key
        self._retries = retries
        self._openai = openai
        # The one hosted API that refuses the name that all others take.
        self._limit_name = "max_completion_tokens" if address.hostname == "api.openai.com" else "max_tokens"
        local = address.hostname in ("localhost", "127.0.0.1", "::1")
        self._client = openai.OpenAI(
            base_url=base_url,
            api_key=api_key or "none",
            max_retries=retries,
            timeout=timeout,
            http_client=openai.DefaultHttpxClient(trust_env=not local),  # no proxy to this machine
        )

    @property
    def name(self) -> str:
        return self._model

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """One answer. `tools` are offered beside those that the messages carry.

        A refusal has the finish reason "content_filter", a conversation too long for the model "length" and no
        content, an answer that does not follow the model's format "malformed"; all three are values.
        Raises ModelFailure when there is no answer after the retries, BudgetSpent before a call that could not
        be paid, UserError where every call would fail (key, model, balance).
        """
        limit = max_tokens or self._max_tokens
        request: dict[str, Any] = {
            "model": self._model,
            "messages": to_wire(messages),
            self._limit_name: limit,
        }
        if offered := [*offered_tools(messages), *tools]:
            request["tools"] = offered
        for key, value in (("temperature", temperature), ("seed", seed)):
            if value is not None:
                request[key] = value
        request = without_lone_surrogates(request)
        finish = ""
        for number in range(self._retries + 1):
            if number:
                time.sleep(min(0.25 * 2**number, 8.0))
            reply = self._try(request, limit)
            finish = reply.finish_reason
            if finish not in _BROKEN_OFF:
                return reply
        raise ModelFailure(f"{self.base_url} broke off its answer (finish_reason {finish!r})")

    def _try(self, request: dict[str, Any], limit: int) -> Reply:
        """One call, paid for; its finish reason may also be one of `_BROKEN_OFF`."""
        size = len(json.dumps(request, ensure_ascii=False).encode()) // _BYTES_PER_TOKEN
        with self.meter.call(self._pricing(size, 0, limit)) as bill:
            answer = self._ask(request)
            if isinstance(answer, Reply):
                bill.dollars = 0.0
                return answer
            usage = _usage(answer)
            if usage is not None:
                bill.dollars = self._pricing(*usage[:3])
            return self._reply(answer, usage or (0, 0, 0, 0), bill.dollars)

    def _ask(self, request: dict[str, Any]) -> Any:
        """The library's answer, or a Reply where the conversation was too long."""
        openai = self._openai
        try:
            return self._client.chat.completions.create(**request)
        except openai.APIStatusError as error:
            if error.status_code in (400, 413, 422) and _TOO_LONG.search(_complaint(error)):
                return Reply({"role": "assistant", "content": ""}, "length")
            raise self._refused(error) from None
        except openai.APITimeoutError:
            raise ModelFailure(f"{self.base_url} gave no answer in time") from None
        except openai.APIConnectionError as error:
            reason = error.__cause__ or error
            raise ModelFailure(f"{self.base_url} cannot be reached: {self._clean(reason)}") from None
        except (openai.APIError, ValueError) as error:  # a body that is not what it says
            raise ModelFailure(f"{self.base_url} answered nonsense: {self._clean(error)}") from None

    def _refused(self, error: Any) -> UserError | ModelFailure:
        body = error.body if isinstance(error.body, dict) else {}
        status, said = error.status_code, self._clean(body.get("message") or error.message)
        # Servers disagree on the status of an unknown model: 400, 403, 404 and 503 are all in use.
        if status == 404 or _UNKNOWN_MODEL.search(_complaint(error)):
            return UserError(
                f"{self.base_url} knows no model {self._model!r} or no such address (status {status}: {said}); "
                "check --model and --base-url"
            )
        if status in (401, 403):
            return UserError(
                f"{self.base_url} refused the API key (status {status}); set the variable that --api-key-env names"
            )
        if status == 402 or getattr(error, "code", None) == "insufficient_quota":
            return UserError(f"{self.base_url}: the account has no money left (status {status}: {said})")
        return ModelFailure(f"{self.base_url} answered with status {status}: {said}")

    def _reply(self, answer: Any, usage: tuple[int, int, int, int], dollars: float) -> Reply:
        choices = getattr(answer, "choices", None)
        message = getattr(choices[0], "message", None) if choices else None
        if not choices or message is None:
            raise ModelFailure(f"{self.base_url} gave an answer without a choice: {self._clean(answer)}")
        told = choices[0].finish_reason
        finish = told if told in _BROKEN_OFF else _FINISHES.get(str(told), "stop")
        said = from_wire(message)
        if finish in _BROKEN_OFF:
            pass  # whatever it holds is not an answer
        elif message.refusal:
            finish = "content_filter"
        # Baleen's own server tells when a model's text did not follow its format.
        elif said is None or (choices[0].model_extra or {}).get("parse_error"):
            finish = "malformed" if finish != "length" else finish
        elif said.get("tool_calls") and finish == "stop":
            finish = "tool_calls"
        said = said or {"role": "assistant", "content": ""}
        prompt, cached, completion, reasoning = usage
        return Reply(said, finish, prompt, cached, completion, dollars, reasoning)

    def _clean(self, error: object) -> str:
        """One line of what a server said, without the key that some quote."""
        text = " ".join(str(error).split())
        if self._secret:
            text = text.replace(self._secret, "…")
        return text[:_SHOWN]


def _complaint(error: Any) -> str:
    """All that a server said about a request that it refused: code, type and message."""
    body = error.body if isinstance(error.body, dict) else {}
    return f"{body.get('code')} {body.get('type')} {error.message}"


def _usage(answer: Any) -> tuple[int, int, int, int] | None:
    """(prompt, cached, completion, reasoning tokens) as the server counted them; None if it did not."""
    usage = getattr(answer, "usage", None)
    if usage is None:
        return None

    def count(holder: str, name: str) -> int:
        value = getattr(getattr(usage, holder, None) if holder else usage, name, None)
        return value if isinstance(value, int) else 0

    prompt = count("", "prompt_tokens")
    cached = count("prompt_tokens_details", "cached_tokens") or count("", "prompt_cache_hit_tokens")
    reasoning = count("completion_tokens_details", "reasoning_tokens")
    return prompt, min(cached, prompt), count("", "completion_tokens"), reasoning


def _openai() -> Any:
    """The `openai` package, which only endpoints need."""
    try:
        import openai
    except ImportError:
        raise UserError(
            f"a model behind an address needs the package openai; install it with: {install_command('agents')}"
        ) from None
    return openai
