"""Policies: two that follow a script, for tests and demonstrations, and one that asks an engine."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from baleen.agent.dialogue import PolicyFailure
from baleen.agent.model import ModelFailure, Reply
from baleen.agent.sample import Replay, SamplingMask
from baleen.agent.trajectory import Completion, Usage
from baleen.chat import Message, Tokenizer, encode_pieces
from baleen.chat.preamble import split_controls
from baleen.chat.tokens import EOS
from baleen.config.engine import SamplingParams


class ScriptedPolicy:
    """Says what it is told, whatever the prompt: the sure way to test an environment or to encode a teacher.

    script: assistant messages, or texts that stand for the sampled tokens verbatim, control tokens included
    (a text without the end token at its end counts as cut off). Other roles are skipped, so that a whole
    demonstration can be given. Log-probabilities are 0.0. `prompts` keeps what it was asked.
    """

    def __init__(self, tokenizer: Tokenizer, thinking_mode: str, script: Iterable[Message | str]) -> None:
        self.prompts: list[list[int]] = []
        self._tokenizer = tokenizer
        self._thinking_mode = thinking_mode
        self._script = [s for s in script if isinstance(s, str) or s["role"] == "assistant"]

    async def __call__(self, prompt_ids: list[int], params: SamplingParams) -> Completion:
        """Raises PolicyFailure at the end of the script."""
        if len(self.prompts) == len(self._script):
            raise PolicyFailure(f"the script has only {len(self._script)} completions")
        line = self._script[len(self.prompts)]
        self.prompts.append(list(prompt_ids))
        pieces = split_controls(line) if isinstance(line, str) else self._pieces(line)
        token_ids = self._tokenizer.encode_pieces(pieces)
        return Completion(
            prompt_ids=list(prompt_ids),
            token_ids=token_ids,
            logprobs=[0.0] * len(token_ids),
            text="".join(pieces),
            finish_reason="stop" if pieces and pieces[-1] == EOS else "length",
        )

    def _pieces(self, message: Message) -> list[str]:
        # The question before it makes this the turn in which thinking is shown.
        question: Message = {"role": "user", "content": ""}
        return encode_pieces([message], self._thinking_mode, context=[question])


class ScriptedModel:
    """A chat model that says what it is told, in one conversation. script: messages; only the assistant's count."""

    name = "scripted"

    def __init__(self, script: Iterable[Message]) -> None:
        self._script = [message for message in script if message["role"] == "assistant"]
        self._said = 0

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """Raises ModelFailure at the end of the script."""
        if self._said == len(self._script):
            raise ModelFailure(f"the script has only {len(self._script)} answers")
        message = self._script[self._said]
        self._said += 1
        return Reply(dict(message), "tool_calls" if message.get("tool_calls") else "stop")


class Result(Protocol):
    """What an engine returns for a request, as far as a rollout needs it (see `engine.GenerationResult`)."""

    @property
    def token_ids(self) -> Sequence[int]: ...
    @property
    def logprobs(self) -> Sequence[float]: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def num_cached_tokens(self) -> int: ...
    @property
    def routed_experts(self) -> NDArray[np.int16]: ...
    @property
    def selected(self) -> NDArray[np.int32] | None: ...
    @property
    def sampling_mask(self) -> SamplingMask | None: ...
    @property
    def policy_version(self) -> int: ...


class Generator(Protocol):
    """Anything that completes one prompt; it may batch the prompts of many rollouts behind this face."""

    async def generate(self, prompt_ids: list[int], params: SamplingParams) -> Result: ...


class EnginePolicy:
    """A policy whose completions come from an engine. What the engine raises, it raises."""

    def __init__(self, engine: Generator, tokenizer: Tokenizer) -> None:
        self._engine = engine
        self._tokenizer = tokenizer

    async def __call__(self, prompt_ids: list[int], params: SamplingParams) -> Completion:
        result = await self._engine.generate(prompt_ids, params)
        return Completion(
            prompt_ids=prompt_ids,
            token_ids=result.token_ids,
            logprobs=result.logprobs,
            # Not skip_special: tool calls and the end of thinking are control tokens.
            text=self._tokenizer.decode(result.token_ids),
            finish_reason=result.finish_reason or "abort",
            replay=Replay(
                result.routed_experts, result.selected, result.sampling_mask, result.policy_version
            ),
            reported=Usage(len(prompt_ids), result.num_cached_tokens, len(result.token_ids)),
        )
