"""The record of one rollout: what was sampled, token for token, what it meant, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from baleen.agent.sample import Replay, TrainingSample, joined
from baleen.chat import Message


class StopReason(StrEnum):
    """Why a rollout ended. Training treats truncated, malformed and failed ones differently."""

    FINISHED = "finished"  # the policy answered; the reward is the environment's score
    MAX_TURNS = "max_turns"  # it was still calling tools in its last turn
    MAX_TOKENS = (
        "max_tokens"  # a completion was cut off, the next prompt too long, or the episode's tokens spent
    )
    MAX_SECONDS = "max_seconds"  # the episode took too long
    MAX_DOLLARS = "max_dollars"  # the episode's money was spent
    PARSE_ERROR = "parse_error"  # a completion did not follow the chat format
    REFUSED = "refused"  # the policy, or a filter of its server, would not answer
    TOOL_ERROR = "tool_error"  # a tool could not be run: nobody's fault, no reward
    POLICY_ERROR = "policy_error"  # no completion could be had: nobody's fault, no reward
    CRASHED = "crashed"  # a mistake in a program, the world's or the policy's: no reward

    @property
    def is_failure_of_infrastructure(self) -> bool:
        """Whether the rollout says nothing about the policy and belongs in no average."""
        return self in (StopReason.TOOL_ERROR, StopReason.POLICY_ERROR, StopReason.CRASHED)

    @property
    def is_truncation(self) -> bool:
        """Whether a limit ended the rollout before the policy had finished."""
        return self in (
            StopReason.MAX_TURNS,
            StopReason.MAX_TOKENS,
            StopReason.MAX_SECONDS,
            StopReason.MAX_DOLLARS,
        )


@dataclass(frozen=True)
class Usage:
    """Tokens and dollars; `cached_tokens` of the `prompt_tokens` came from a cache of prefixes."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.dollars + other.dollars,
        )


@dataclass(frozen=True)
class Completion:
    """What a policy said to one prompt.

    prompt_ids, token_ids: the prompt and the sampled ids, with the end token if it was sampled; empty for a policy
    that shows none. logprobs: one for each sampled id, natural log, under the distribution that was sampled from.
    text: the ids decoded, control tokens included. finish_reason: "stop", "length" or "abort", or what a server
    says. replay: what the engine chose for the prompt and these ids. reported: tokens and dollars as a server or an
    engine counted them.
    """

    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    logprobs: Sequence[float]
    text: str
    finish_reason: str
    replay: Replay | None = field(default=None, repr=False)
    reported: Usage | None = None

    @property
    def usage(self) -> Usage:
        """As reported, else by the ids."""
        return self.reported or Usage(len(self.prompt_ids), 0, len(self.token_ids))


@dataclass(frozen=True)
class Turn:
    """One completion and the assistant message it stands for; None where it was cut off or malformed.

    starts_chain: its prompt does not extend the turn before (the first, one after a
        new user message, one after room was made in the context).
    think_tokens: sampled ids before the end of thinking; all of them when thinking never ended.
    is_step: False only for a summary of the context that does not count as one.
    seconds, world_seconds: how long the policy and then the world took.
    """

    completion: Completion
    message: Message | None
    starts_chain: bool
    think_tokens: int
    is_step: bool = True
    seconds: float = field(default=0.0, compare=False)
    world_seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Trajectory:
    """One rollout. reward: 0.0 to 1.0, None when the infrastructure failed. error: what went wrong, or "".

    messages: all that was said, discarded messages too. context: the context management in words, or "";
    num_fired: how often it made room. seconds: from the first message to the score.
    """

    task_id: str
    thinking_mode: str
    turns: tuple[Turn, ...]
    messages: tuple[Message, ...]
    stop_reason: StopReason
    reward: float | None
    error: str = ""
    context: str = ""
    num_fired: int = 0
    seconds: float = field(default=0.0, compare=False)

    @property
    def is_truncated(self) -> bool:
        """Whether a limit on length, turns, time or money cut it short. Its reward of 0.0 is the policy's own."""
        return self.stop_reason.is_truncation

    @property
    def steps(self) -> int:
        """Completions that count as steps, finished or not."""
        return sum(turn.is_step for turn in self.turns)

    @property
    def prompt_ids(self) -> list[int]:
        """The first prompt; empty when there was no turn."""
        return list(self.turns[0].completion.prompt_ids) if self.turns else []

    @property
    def think_tokens(self) -> int:
        return sum(turn.think_tokens for turn in self.turns)

    @property
    def completion_tokens(self) -> int:
        return sum(turn.completion.usage.completion_tokens for turn in self.turns)

    @property
    def usage(self) -> Usage:
        """Of all turns together."""
        return sum((turn.completion.usage for turn in self.turns), Usage())

    @property
    def tool_calls(self) -> int:
        return sum(len(turn.message.get("tool_calls") or ()) for turn in self.turns if turn.message)

    def samples(self, advantage: float = 0.0) -> list[TrainingSample]:
        """The turns as training rows, each sampled token once.

        There is one row, unless a new user message or a full window made a prompt start afresh.
        """
        starts = [i for i, turn in enumerate(self.turns) if turn.starts_chain]
        return [_sample(self.turns[a:b], advantage) for a, b in pairwise([*starts, len(self.turns)])]


def _sample(turns: tuple[Turn, ...], advantage: float) -> TrainingSample:
    """One row of turns whose prompts extend each other."""
    last = turns[-1].completion
    token_ids = [*last.prompt_ids, *last.token_ids]
    loss_mask, logprobs = [False] * len(token_ids), [0.0] * len(token_ids)
    for turn in turns:
        start = len(turn.completion.prompt_ids)
        end = start + len(turn.completion.token_ids)
        loss_mask[start:end] = [True] * (end - start)
        logprobs[start:end] = turn.completion.logprobs
    replays = [turn.completion.replay for turn in turns if turn.completion.replay is not None]
    replay = joined(replays) if len(replays) == len(turns) else None
    return TrainingSample(token_ids, loss_mask, logprobs, advantage, replay)
