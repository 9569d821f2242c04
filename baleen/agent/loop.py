"""One policy in one environment: prompt, completion, tool results, and so on until an end.

Whatever a policy can write ends as a record with a reason. Exceptions leave `rollout` only for mistakes in
the program: a thinking mode that does not exist, an environment that breaks its protocol.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from baleen.agent.context import ContextManagement, ManagedConversation
from baleen.agent.trajectory import Completion, StopReason, Trajectory, Turn
from baleen.chat import (
    ChatError,
    EncodingError,
    Message,
    StreamParser,
    Tokenizer,
    parse_message_from_completion_text,
)
from baleen.chat.tokens import THINK_END
from baleen.config.engine import SamplingParams
from baleen.environments import Environment, ToolFailure


class PolicyFailure(RuntimeError):
    """A policy could not give a completion, through no fault of what it was asked."""


class Generate(Protocol):
    """A policy: ids in, a sampled completion out. Raises PolicyFailure."""

    async def __call__(self, prompt_ids: list[int], params: SamplingParams) -> Completion: ...


@dataclass(frozen=True)
class Limits:
    """max_turns: steps of an episode, a counted summary among them. max_length: a prompt so long ends it.

    Keep max_length below the engine's max_model_len; it is the engine that cuts completions.
    """

    max_turns: int
    max_length: int


@dataclass(frozen=True)
class _End:
    reason: StopReason
    error: str = ""
    reward: float | None = 0.0


async def rollout(
    generate: Generate,
    tokenizer: Tokenizer,
    environment: Environment,
    thinking_mode: str,
    params: SamplingParams,
    limits: Limits,
    management: ContextManagement | None = None,
) -> Trajectory:
    """Play one episode. `params` goes to `generate` as it is; `management` makes room in a full window.

    The prompt of each turn starts with the prompt and the sampled ids of the turn before, unless the
    environment sends a user message or room was made. The reward is the environment's score of the final
    message, 0.0 for an episode that did not get there, None where the infrastructure failed.
    """
    episode = _Episode(tokenizer, environment, thinking_mode, management)
    end: _End | None = None
    while end is None:
        end = await episode.play_turn(generate, params, limits)
    return Trajectory(
        task_id=environment.task.id,
        thinking_mode=thinking_mode,
        turns=tuple(episode.turns),
        messages=tuple(episode.conversation.history),
        stop_reason=end.reason,
        reward=end.reward,
        error=end.error,
        context=management.describe() if management else "",
        num_fired=episode.conversation.num_fired,
    )


async def rollout_all(
    generate: Generate,
    tokenizer: Tokenizer,
    environments: Sequence[Environment],
    thinking_mode: str,
    params: Sequence[SamplingParams],
    limits: Limits,
) -> list[Trajectory]:
    """Play one episode in each environment, all at the same time; `params` one each. Trajectories in their order."""
    async with asyncio.TaskGroup() as group:
        playing = [
            group.create_task(rollout(generate, tokenizer, environment, thinking_mode, param, limits))
            for environment, param in zip(environments, params, strict=True)
        ]
    return [done.result() for done in playing]


class _Episode:
    def __init__(
        self,
        tokenizer: Tokenizer,
        environment: Environment,
        thinking_mode: str,
        management: ContextManagement | None,
    ) -> None:
        self.turns: list[Turn] = []
        self.conversation = ManagedConversation(tokenizer, thinking_mode, environment.reset(), management)
        self._management = management
        self._environment = environment
        self._thinking_mode = thinking_mode
        self._think_end = tokenizer.control_id(THINK_END)

    async def play_turn(self, generate: Generate, params: SamplingParams, limits: Limits) -> _End | None:
        """One completion and the world's reply; the end of the episode if this was it."""
        try:
            if self.conversation.is_due and (end := await self._make_room(generate, params)):
                return end
        except EncodingError as error:
            return self._without_rendering(error)
        prompt_ids = self.conversation.prompt_ids
        if len(prompt_ids) >= limits.max_length:
            error = f"the prompt has {len(prompt_ids)} tokens, max_length is {limits.max_length}"
            return _End(StopReason.MAX_TOKENS, error)
        completion = await self._ask(generate, prompt_ids, params)
        if isinstance(completion, _End):
            return completion
        if completion.finish_reason == "length":
            self._record(completion, None)
            return _End(StopReason.MAX_TOKENS, "the completion was cut off")
        try:
            message = parse_message_from_completion_text(completion.text, self._thinking_mode)
        except ChatError as error:
            self._record(completion, None)
            return _End(StopReason.PARSE_ERROR, f"{error.kind}: {error}")
        self._record(completion, message)
        return self._answer(message, limits)

    async def _ask(
        self, generate: Generate, prompt_ids: list[int], params: SamplingParams
    ) -> Completion | _End:
        try:
            completion = await generate(prompt_ids, params)
        except PolicyFailure as failure:
            return _End(StopReason.POLICY_ERROR, str(failure), reward=None)
        if completion.finish_reason == "abort":
            self._record(completion, None)
            return _End(StopReason.POLICY_ERROR, "the completion was aborted", reward=None)
        return completion

    async def _make_room(self, generate: Generate, params: SamplingParams) -> _End | None:
        management = self._management
        summary = ""
        if management and management.strategy == "summary":
            completion = await self._ask(generate, self.conversation.summary_prompt_ids(), params)
            if isinstance(completion, _End):
                return completion
            # Whatever can be read of it is better than nothing.
            parser = StreamParser(self._thinking_mode)
            deltas = parser.push(completion.text) + parser.finish()
            summary = "".join(delta.content for delta in deltas).strip()
            think_tokens = self._think_tokens(completion)
            self.turns.append(Turn(completion, None, True, think_tokens, management.count_summary))
        self.conversation.make_room(summary)
        return None

    def _record(self, completion: Completion, message: Message | None) -> None:
        think_tokens = self._think_tokens(completion)
        self.turns.append(Turn(completion, message, self.conversation.starts_chain, think_tokens))
        if message is not None:
            self.conversation.add_completion(message, completion.token_ids)

    def _think_tokens(self, completion: Completion) -> int:
        if self._thinking_mode != "thinking":
            return 0
        ids = list(completion.token_ids)
        return ids.index(self._think_end) if self._think_end in ids else len(ids)

    def _answer(self, message: Message, limits: Limits) -> _End | None:
        """Let the world reply, unless nobody would read it."""
        calls = message.get("tool_calls") or ()
        spent = sum(turn.is_step for turn in self.turns) >= limits.max_turns
        out_of_turns = _End(StopReason.MAX_TURNS, f"no answer in {limits.max_turns} turns")
        if spent and calls:
            return out_of_turns
        try:
            replies = self._environment.step(message)
        except ToolFailure as failure:
            return _End(StopReason.TOOL_ERROR, str(failure), reward=None)
        if not replies:
            return _End(StopReason.FINISHED, reward=self._environment.score(message))
        results = sum(reply["role"] == "tool" for reply in replies)
        # The format closes the block of results after as many as there are calls.
        assert results == len(calls), f"{results} results for {len(calls)} calls"
        if spent:
            return out_of_turns
        try:
            self.conversation.add(replies)
        except EncodingError as error:
            return self._without_rendering(error)
        return None

    def _without_rendering(self, error: EncodingError) -> _End:
        """A call the tools could refuse may still have no rendering once its turn is encoded afresh."""
        if "tool_calls" not in error.field:
            raise error
        return _End(StopReason.PARSE_ERROR, f"{error.kind}: {error}")
