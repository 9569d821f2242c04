"""Trajectories as JSON lines, one per episode: every message, every turn's ids, tokens, dollars, times, the outcome.

A row has the ids of a turn's prompt as `prefix`, how many of them repeat the turn before (its prompt and what was
sampled), and `prompt_ids`, the others: a chain is stored once, and whether it only grew can still be checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from baleen.agent.trajectory import Completion, StopReason, Trajectory, Turn, Usage
from baleen.chat import Message
from baleen.config.errors import UserError
from baleen.runs.jsonl import read_lines

NAME = "trajectories.jsonl"


@dataclass(frozen=True)
class Episode:
    """One attempt at one task. model: who played; started: seconds since 1970."""

    trajectory: Trajectory
    attempt: int = 0
    model: str = ""
    started: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        return self.trajectory.task_id, self.attempt

    def to_row(self) -> dict[str, Any]:
        """The episode as plain JSON; what the engine recorded for replay is not in it."""
        played = self.trajectory
        turns: list[dict[str, Any]] = []
        known: list[int] = []
        places = _places(played)
        for turn, place in zip(played.turns, places, strict=True):
            turns.append(_turn_row(turn, place, known))
            known = [*turn.completion.prompt_ids, *turn.completion.token_ids]
        return {
            "task": played.task_id,
            "attempt": self.attempt,
            "model": self.model,
            "started": self.started,
            "seconds": round(played.seconds, 4),
            "thinking_mode": played.thinking_mode,
            "stop_reason": str(played.stop_reason),
            "reward": played.reward,
            "error": played.error,
            "context": played.context,
            "num_fired": played.num_fired,
            "usage": asdict(played.usage),
            "messages": list(played.messages),
            "turns": turns,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Episode":
        """The episode of a row of `to_row`. Raises KeyError, TypeError, ValueError for one that is none."""
        turns: list[Turn] = []
        known: list[int] = []
        for entry in row["turns"]:
            turns.append(_turn(entry, row["messages"], known))
            known = [*turns[-1].completion.prompt_ids, *turns[-1].completion.token_ids]
        trajectory = Trajectory(
            task_id=row["task"],
            thinking_mode=row["thinking_mode"],
            turns=tuple(turns),
            messages=tuple(row["messages"]),
            stop_reason=StopReason(row["stop_reason"]),
            reward=row["reward"],
            error=row["error"],
            context=row["context"],
            num_fired=row["num_fired"],
            seconds=row["seconds"],
        )
        return cls(trajectory, row["attempt"], row["model"], row["started"])


def read_episodes(folder: Path) -> Iterator[Episode]:
    """The episodes of a run, in the order they ended; of an attempt that was played again only the last.

    Raises UserError for a folder without any or a line that is none, OSError.
    """
    path = folder / NAME
    if not path.exists():
        raise UserError(f"{folder} has no {NAME}; give the --out folder of a `baleen agent run`")
    last = {(row["task"], row["attempt"]): number for number, row in _numbered(path)}
    for number, row in _numbered(path):
        if last[row["task"], row["attempt"]] == number:
            try:
                yield Episode.from_row(row)
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(f"{path}, line {number}: {type(error).__name__}: {error}") from None


def is_settled(row: Mapping[str, Any]) -> bool:
    """Whether a row's attempt is done with; what failed through nobody's fault is worth another try."""
    return not StopReason(row["stop_reason"]).is_failure_of_infrastructure


def _numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, row in enumerate(read_lines(path), 1):
        if "task" not in row or "attempt" not in row:
            raise UserError(f"{path}, line {number} is no episode; was it written by `baleen agent run`?")
        yield number, row


def _places(played: Trajectory) -> list[int | None]:
    """For each turn the index of its message among all messages."""
    places: list[int | None] = []
    start = 0
    for turn in played.turns:
        if turn.message is None:
            places.append(None)
            continue
        start = next(i for i in range(start, len(played.messages)) if played.messages[i] is turn.message) + 1
        places.append(start - 1)
    return places


def _turn_row(turn: Turn, place: int | None, known: Sequence[int]) -> dict[str, Any]:
    said = turn.completion
    row: dict[str, Any] = {
        "message": place,
        "starts_chain": turn.starts_chain,
        "is_step": turn.is_step,
        "think_tokens": turn.think_tokens,
        "finish_reason": said.finish_reason,
        "seconds": round(turn.seconds, 4),
        "world_seconds": round(turn.world_seconds, 4),
        "usage": asdict(said.usage),
    }
    if place is None or said.prompt_ids:
        row["text"] = said.text
    if said.prompt_ids:
        prompt_ids = list(said.prompt_ids)
        prefix = (
            len(known) if prompt_ids[: len(known)] == known else len(commonprefix([list(known), prompt_ids]))
        )
        row |= {
            "prefix": prefix,
            "prompt_ids": prompt_ids[prefix:],
            "token_ids": list(said.token_ids),
            "logprobs": list(said.logprobs),
        }
    return row


def _turn(row: Mapping[str, Any], messages: Sequence[Message], known: Sequence[int]) -> Turn:
    place = row["message"]
    completion = Completion(
        prompt_ids=[*known[: row["prefix"]], *row["prompt_ids"]] if "prompt_ids" in row else (),
        token_ids=row.get("token_ids", ()),
        logprobs=row.get("logprobs", ()),
        text=row.get("text", ""),
        finish_reason=row["finish_reason"],
        reported=Usage(**row["usage"]),
    )
    return Turn(
        completion,
        None if place is None else messages[place],
        row["starts_chain"],
        row["think_tokens"],
        row["is_step"],
        row["seconds"],
        row["world_seconds"],
    )
