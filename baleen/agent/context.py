"""What to do when an agent's trajectory fills its window: the test-time strategies of the report (section 4.4).

    summary      the policy sums up what it did; the rollout starts again from the question and that summary
    discard-75   the first 75 % of the tool-call history is dropped
    discard-all  all of it is dropped
    parallel-fewest-step   independent rollouts; the one that needed the fewest steps counts (`fewest_steps`)

What the report leaves open is an option here, and `ContextManagement.describe` says what was chosen. A call and
its results go together or stay together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from baleen.agent.trajectory import StopReason, Trajectory
from baleen.chat import Message

Strategy = Literal["summary", "discard-75", "discard-all"]

_DISCARDED_SHARE = {"discard-75": 0.75, "discard-all": 1.0, "summary": 1.0}
_TURN_ROLES = ("user", "developer")

SUMMARY_REQUEST = (
    "Your context is nearly full and will be cleared. Write down all that is needed to go on with the task "
    "without it: what was found, with the exact values, what was tried in vain, and what to do next."
)


@dataclass(frozen=True)
class ContextManagement:
    """When and how a rollout makes room.

    window: tokens that prompt and completion of one turn may fill together. trigger: the share of it that a
    prompt may fill before something is done.
    reasoning: what becomes of the thinking in discarded turns: "discard", or "keep" as notes after the question.
    share_of: whether 75 % of the history is 75 % of its "calls" or of its "tokens".
    fires: whether room is made "once" in a rollout or "repeatedly".
    count_summary: whether writing a summary counts as a step.
    """

    strategy: Strategy
    window: int
    trigger: float = 0.8
    reasoning: Literal["discard", "keep"] = "discard"
    share_of: Literal["calls", "tokens"] = "calls"
    fires: Literal["once", "repeatedly"] = "repeatedly"
    count_summary: bool = True

    def __post_init__(self) -> None:
        if self.strategy not in _DISCARDED_SHARE:
            known = ", ".join(_DISCARDED_SHARE)
            raise ValueError(f"strategy is {self.strategy!r}; it must be one of {known}")
        if self.window < 1:
            raise ValueError(f"window is {self.window} tokens; it must be at least 1")
        if not 0 < self.trigger <= 1:
            raise ValueError(f"trigger is {self.trigger}; it must be above 0 and at most 1")

    def is_due(self, num_prompt_tokens: int, num_fired: int) -> bool:
        """Whether a prompt of this length calls for room, when room was made `num_fired` times before."""
        may_fire = self.fires == "repeatedly" or num_fired == 0
        return may_fire and num_prompt_tokens > self.trigger * self.window

    def describe(self) -> str:
        """Every choice in one line, to print beside a result."""
        parts = [f"{self.strategy} above {self.trigger:.0%} of {self.window:,} tokens", f"fires {self.fires}"]
        if self.strategy == "discard-75":
            parts.append(f"share of {self.share_of}")
        if self.strategy == "summary":
            parts.append(f"summary {'counted' if self.count_summary else 'not counted'} as a step")
        else:
            parts.append(f"reasoning of discarded turns: {self.reasoning}")
        return ", ".join(parts)

    def discard(
        self, messages: Sequence[Message], size: Callable[[Sequence[Message]], int]
    ) -> tuple[list[Message], str]:
        """(the messages that stay, the thinking of the discarded turns that is to be kept).

        Whole turns go, the earliest first, as many as fit into the share, but at least one if there is any.
        size: tokens that a turn takes.
        """
        turns = _tool_turns(messages)
        sizes = [self._share(messages[first:end], size) for first, end in turns]
        wanted, done = _DISCARDED_SHARE[self.strategy] * sum(sizes), 0
        dropped: set[int] = set()
        thoughts: list[str] = []
        for (first, end), share in zip(turns, sizes, strict=True):
            if dropped and done + share > wanted:
                break
            done += share
            dropped.update(range(first, end))
            thoughts.append(str(messages[first].get("reasoning_content") or ""))
        kept = [message for i, message in enumerate(messages) if i not in dropped]
        keeps = self.reasoning == "keep" and self.strategy != "summary"
        return kept, "\n".join(filter(None, thoughts)) if keeps else ""

    def _share(self, turn: Sequence[Message], size: Callable[[Sequence[Message]], int]) -> int:
        return len(turn[0]["tool_calls"]) if self.share_of == "calls" else size(turn)


class ManagedHistory:
    """The messages of one rollout: all that was said, and what of it the policy still sees."""

    def __init__(self, messages: Iterable[Message], management: ContextManagement | None) -> None:
        self.all: list[Message] = list(messages)
        self.num_fired = 0
        self._management = management
        self._kept = list(self.all)  # without notes
        self._notes = ""

    @property
    def seen(self) -> list[Message]:
        """What the policy sees."""
        return with_notes(self._kept, self._notes) if self._notes else self._kept

    def is_due(self, num_prompt_tokens: int) -> bool:
        """Whether room has to be made before the next completion; only tool calls can give any."""
        if self._management is None or not self._management.is_due(num_prompt_tokens, self.num_fired):
            return False
        return bool(_tool_turns(self._kept))

    def add(self, messages: Sequence[Message]) -> None:
        self._kept.extend(messages)
        self.all.extend(messages)

    def make_room(self, size: Callable[[Sequence[Message]], int], summary: str = "") -> None:
        """Discard, and note the summary in place of earlier notes."""
        assert self._management is not None, "there is no strategy to make room with"
        self.num_fired += 1
        self._kept, thoughts = self._management.discard(self._kept, size)
        self._notes = summary or "\n".join(filter(None, (self._notes, thoughts)))


def with_notes(messages: Sequence[Message], notes: str) -> list[Message]:
    """`messages`, the last question among them followed by notes on the work done on it."""
    noted = list(messages)
    for i in range(len(noted) - 1, -1, -1):
        if noted[i].get("role") in _TURN_ROLES:
            noted[i] = {**noted[i], "content": f"{noted[i].get('content')}\n\n# Notes so far\n{notes}"}
            return noted
    return noted


def fewest_steps(trajectories: Sequence[Trajectory]) -> Trajectory:
    """Parallel-fewest-step: of those that came to an answer the one with the fewest steps, else the first.

    The cost of the choice is the steps of all of them. Raises ValueError for no trajectory.
    """
    if not trajectories:
        raise ValueError("there is no trajectory to choose from")
    finished = [t for t in trajectories if t.stop_reason is StopReason.FINISHED]
    return min(finished or trajectories[:1], key=lambda trajectory: trajectory.steps)


def _tool_turns(messages: Sequence[Message]) -> list[tuple[int, int]]:
    """[first, end) of every assistant message with calls together with its results."""
    turns: list[tuple[int, int]] = []
    for i, message in enumerate(messages):
        if message.get("role") == "assistant" and message.get("tool_calls"):
            end = i + 1
            while end < len(messages) and messages[end].get("role") == "tool":
                end += 1
            turns.append((i, end))
    return turns
