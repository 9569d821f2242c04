"""One policy in one environment: prompt, completion, tool results, and so on until an end.

Whatever a policy can write ends as a record with a reason. Exceptions leave the loop only for mistakes in the
program (a thinking mode that does not exist, an environment that breaks its protocol) and for a user's (an API key
that is refused).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from baleen.agent.context import SUMMARY_REQUEST, ContextManagement, ManagedHistory
from baleen.agent.cost import BudgetSpent
from baleen.agent.dialogue import Generate, Player, PolicyFailure, Said, TokenPlayer
from baleen.agent.trajectory import StopReason, Trajectory, Turn, Usage
from baleen.agent.worker import Worker
from baleen.chat import EncodingError, Message, Tokenizer, without_lone_surrogates
from baleen.config.engine import SamplingParams
from baleen.config.errors import UserError
from baleen.environments import Environment, ToolFailure

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """What ends an episode; None for no limit.

    max_turns: steps, a counted summary among them. max_length: a prompt of so many tokens. max_tokens: completions of
    all turns together. max_seconds: wall time; it cuts an answer short, but a tool call only ends by its own limit.
    max_dollars: price of all turns together. Those on tokens and dollars are looked at between turns.

    Keep max_length below the engine's max_model_len; it is the engine that cuts completions.
    """

    max_turns: int
    max_length: int
    max_tokens: int | None = None
    max_seconds: float | None = None
    max_dollars: float | None = None


@dataclass(frozen=True)
class _End:
    reason: StopReason
    error: str = ""
    reward: float | None = 0.0


async def play(
    player: Player,
    environment: Environment,
    limits: Limits,
    management: ContextManagement | None = None,
    worker: Worker | None = None,
    contain: bool = False,
) -> Trajectory:
    """Play one episode and close the environment. `management` makes room in a full window.

    worker: the thread in which `environment` was made and lives, where its tools would block the event loop; without
    it they run in the loop itself. contain: make any exception but UserError the record's outcome.

    With token ids, the prompt of each turn starts with the prompt and the sampled ids of the turn before, unless the
    environment sends a user message or room was made. The reward is the environment's score of the final message,
    0.0 for an episode that did not get there, None where the infrastructure failed.
    """
    episode = _Episode(player, environment, limits, management, worker)
    try:
        end = await episode.play()
    except UserError:
        raise
    except Exception as error:
        if not contain:
            raise
        end = _End(StopReason.CRASHED, f"{type(error).__name__}: {error}", None)
    finally:
        await episode.close()
    return Trajectory(
        task_id=environment.task.id,
        thinking_mode=player.thinking_mode,
        turns=tuple(episode.turns),
        messages=tuple(episode.history.all),
        stop_reason=end.reason,
        reward=end.reward,
        error=without_lone_surrogates(end.error),
        context=management.describe() if management else "",
        num_fired=episode.history.num_fired,
        seconds=time.perf_counter() - episode.began,
    )


async def rollout(
    generate: Generate,
    tokenizer: Tokenizer,
    environment: Environment,
    thinking_mode: str,
    params: SamplingParams,
    limits: Limits,
    management: ContextManagement | None = None,
) -> Trajectory:
    """`play` with a policy of token ids, in a world that does not block."""
    player = TokenPlayer(generate, tokenizer, thinking_mode, params)
    return await play(player, environment, limits, management)


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
        player: Player,
        environment: Environment,
        limits: Limits,
        management: ContextManagement | None,
        worker: Worker | None,
    ) -> None:
        self.turns: list[Turn] = []
        self.history = ManagedHistory((), management)
        self.began = time.perf_counter()
        self._dialogue = player.begin()
        self._environment = environment
        self._limits = limits
        self._management = management
        self._worker = worker
        self._spent = Usage()

    async def close(self) -> None:
        self._dialogue.close()
        await self._in_world(self._environment.close)

    async def play(self) -> _End:
        try:
            messages = without_lone_surrogates(await self._in_world(self._environment.reset))
        except ToolFailure as failure:
            return _End(StopReason.TOOL_ERROR, str(failure), None)
        self.history = ManagedHistory(messages, self._management)
        self._dialogue.show(self.history.seen)
        end: _End | None = None
        while end is None:
            end = await self._play_turn()
        return end

    async def _play_turn(self) -> _End | None:
        """One completion and the world's reply; the end of the episode if this was it."""
        try:
            if self.history.is_due(self._dialogue.prompt_tokens) and (end := await self._make_room()):
                return end
        except EncodingError as error:
            return _without_rendering(error)
        if end := self._over_limit():
            return end
        said = await self._ask(self._dialogue.ask)
        if isinstance(said, _End):
            return said
        self._record(said)
        if said.message is None:
            return self._fault(said)
        self.history.add([said.message])
        return await self._answer(said.message)

    def _over_limit(self) -> _End | None:
        limits, spent = self._limits, self._spent
        length = self._dialogue.prompt_tokens
        if length >= limits.max_length:
            error = f"the prompt has {length} tokens, max_length is {limits.max_length}"
            return _End(StopReason.MAX_TOKENS, error)
        if limits.max_tokens is not None and spent.completion_tokens >= limits.max_tokens:
            error = f"{spent.completion_tokens} tokens were completed, max_tokens is {limits.max_tokens}"
            return _End(StopReason.MAX_TOKENS, error)
        if limits.max_dollars is not None and spent.dollars >= limits.max_dollars:
            error = f"{spent.dollars:.4f} dollars were spent, max_dollars is {limits.max_dollars}"
            return _End(StopReason.MAX_DOLLARS, error)
        return self._out_of_time() if self._seconds_left() == 0 else None

    def _seconds_left(self) -> float | None:
        if self._limits.max_seconds is None:
            return None
        return max(0.0, self._limits.max_seconds - (time.perf_counter() - self.began))

    def _out_of_time(self) -> _End:
        return _End(StopReason.MAX_SECONDS, f"no answer in {self._limits.max_seconds} seconds")

    async def _ask(self, ask: Callable[..., Any], *args: Message) -> Any:
        """What `ask` returns, or the end of the episode. Notes how long it took."""
        started = time.perf_counter()
        try:
            left = self._seconds_left()
            if left is None:
                return await ask(*args)
            return await asyncio.wait_for(ask(*args), left)
        except TimeoutError:
            return self._out_of_time()
        except (PolicyFailure, BudgetSpent) as failure:
            return _End(StopReason.POLICY_ERROR, str(failure), None)
        finally:
            self._asked_for = time.perf_counter() - started

    async def _make_room(self) -> _End | None:
        management = self._management
        summary = ""
        if management and management.strategy == "summary":
            request: Message = {"role": "user", "content": SUMMARY_REQUEST}
            answer = await self._ask(self._dialogue.ask_aside, request)
            if isinstance(answer, _End):
                return answer
            said, text = answer
            # Whatever can be read of it is better than nothing.
            summary = text.strip()
            self._record(replace(said, message=None), management.count_summary)
            if said.fault is StopReason.POLICY_ERROR:
                return self._fault(said)
        self.history.make_room(self._dialogue.size, summary)
        self._dialogue.show(self.history.seen)
        return None

    def _record(self, said: Said, is_step: bool = True) -> None:
        turn = Turn(
            said.completion, said.message, said.starts_chain, said.think_tokens, is_step, self._asked_for
        )
        self.turns.append(turn)
        self._spent += said.completion.usage

    def _fault(self, said: Said) -> _End:
        assert said.fault is not None, "a completion without a message has a reason"
        return _End(said.fault, said.error, None if said.fault.is_failure_of_infrastructure else 0.0)

    async def _answer(self, message: Message) -> _End | None:
        """Let the world reply, unless nobody would read it."""
        calls = message.get("tool_calls") or ()
        spent = sum(turn.is_step for turn in self.turns) >= self._limits.max_turns
        out_of_turns = _End(StopReason.MAX_TURNS, f"no answer in {self._limits.max_turns} turns")
        if spent and calls:
            return out_of_turns
        started = time.perf_counter()
        try:
            replies = without_lone_surrogates(await self._in_world(self._environment.step, message))
            if not replies:
                score = await self._in_world(self._environment.score, message)
                return _End(StopReason.FINISHED, reward=score)
        except ToolFailure as failure:
            return _End(StopReason.TOOL_ERROR, str(failure), None)
        finally:
            self.turns[-1] = replace(self.turns[-1], world_seconds=time.perf_counter() - started)
        results = sum(reply["role"] == "tool" for reply in replies)
        # The format closes the block of results after as many as there are calls.
        assert results == len(calls), f"{results} results for {len(calls)} calls"
        if spent:
            return out_of_turns
        try:
            self._dialogue.add(replies)
        except EncodingError as error:
            return _without_rendering(error)
        self.history.add(replies)
        return None

    async def _in_world(self, function: Callable[..., Result], *args: Message) -> Result:
        return function(*args) if self._worker is None else await self._worker.run(function, *args)


def _without_rendering(error: EncodingError) -> _End:
    """A call the tools could refuse may still have no rendering once its turn is encoded afresh."""
    if "tool_calls" not in error.field:
        raise error
    return _End(StopReason.PARSE_ERROR, f"{error.kind}: {error}")
