"""Trajectories for people: one HTML page that needs nothing else, no network and no script included."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baleen.agent import StopReason, Trajectory, Turn, Usage
from baleen.agent.records import Episode, read_episodes
from baleen.chat import Message
from baleen.evaluation.intervals import Interval, wilson_mean
from baleen.report.formats import duration, short
from baleen.report.page import template
from baleen.report.task_titles import TaskTitle, kinds_of, title_of
from baleen.runs.files import write_atomic

MOST_EPISODES = 300  # on one page
_SHOWN = 6000  # characters of one text
_OPEN = 240  # a thought of so many characters is not folded away

_WORDS = {
    StopReason.MAX_TURNS: "out of turns",
    StopReason.MAX_TOKENS: "out of tokens",
    StopReason.MAX_SECONDS: "out of time",
    StopReason.MAX_DOLLARS: "out of money",
    StopReason.PARSE_ERROR: "malformed",
    StopReason.REFUSED: "refused",
    StopReason.TOOL_ERROR: "tool failed",
    StopReason.POLICY_ERROR: "policy failed",
    StopReason.CRASHED: "crashed",
}


@dataclass(frozen=True)
class Call:
    """A tool call and its result, which is None if there was none."""

    name: str
    arguments: str
    result: str | None
    is_error: bool


@dataclass
class Step:
    """One answer of the policy.

    Attributes:
        mark: what happened to the context before it, or "".
    """

    number: int
    thought: str = ""
    text: str = ""
    calls: list[Call] = field(default_factory=list)
    mark: str = ""
    tokens: str = ""
    seconds: str = ""
    raw: bool = False

    @property
    def folded(self) -> bool:
        """Whether the thinking is too long to be shown at once."""
        return len(self.thought) > _OPEN


@dataclass(frozen=True)
class Said:
    """A message of the system or of the user between the steps."""

    role: str
    text: str
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Card:
    """One episode as the page shows it.

    Attributes:
        outcome: the word by which it is filtered.
    """

    episode: Episode
    title: TaskTitle
    outcome: str
    entries: Sequence[Said | Step]
    usage: Usage

    @property
    def key(self) -> str:
        return key_of(self.outcome)


@dataclass(frozen=True)
class Totals:
    """The head of the page; steps, calls and seconds are means per episode."""

    episodes: int
    tasks: int
    reward: Interval
    usage: Usage
    steps: float
    calls: float
    seconds: float
    outcomes: Mapping[str, int]
    models: str


def write_page(run: Path) -> Path:
    """Write `trajectories.html` in the folder of a run of episodes.

    Of more than `MOST_EPISODES` episodes it shows so many, each outcome in proportion.

    Returns:
        The path of the page.

    Raises:
        UserError: the folder has no trajectories, or one is damaged.
        OSError: the page cannot be written.
    """
    totals, wanted = _survey(run)
    kinds = kinds_of(run)
    cards = [_card(episode, kinds) for i, episode in enumerate(read_episodes(run)) if i in wanted]
    order = {card.episode.trajectory.task_id: -i for i, card in enumerate(reversed(cards))}
    cards.sort(key=lambda card: (order[card.episode.trajectory.task_id], card.episode.attempt))
    page = template("trajectories.html.j2", duration=duration, short=short, key=key_of)
    path = run / "trajectories.html"
    write_atomic(path, page.render(name=run.resolve().name, totals=totals, cards=cards))
    return path


def outcome_of(played: Trajectory) -> str:
    """One or two words for how an episode ended."""
    if played.stop_reason is not StopReason.FINISHED:
        return _WORDS[played.stop_reason]
    reward = played.reward or 0.0
    return "solved" if reward >= 1.0 else "partly solved" if reward > 0.0 else "wrong"


def key_of(outcome: str) -> str:
    """An outcome as the name of a CSS class."""
    return outcome.replace(" ", "-")


def _survey(run: Path) -> tuple[Totals, set[int]]:
    """Sums over all episodes, and the places of those to show."""
    outcomes: list[str] = []
    rewards: dict[str, list[float]] = {}
    models: set[str] = set()
    usage, steps, calls, seconds = Usage(), 0, 0, 0.0
    for episode in read_episodes(run):
        played = episode.trajectory
        outcomes.append(outcome_of(played))
        models.add(episode.model)
        tries = rewards.setdefault(played.task_id, [])
        if played.reward is not None:
            tries.append(played.reward)
        usage += played.usage
        steps, calls, seconds = steps + played.steps, calls + played.tool_calls, seconds + played.seconds
    count = max(1, len(outcomes))
    means = [sum(tries) / len(tries) for tries in rewards.values() if tries]
    totals = Totals(
        len(outcomes),
        len(rewards),
        wilson_mean(means),
        usage,
        steps / count,
        calls / count,
        seconds / count,
        dict(Counter(outcomes).most_common()),
        ", ".join(sorted(filter(None, models))),
    )
    return totals, _chosen(outcomes)


def _chosen(outcomes: Sequence[str]) -> set[int]:
    """All places, or of each outcome the first so many that the page is full; the rare ones whole."""
    places: dict[str, list[int]] = {}
    for place, outcome in enumerate(outcomes):
        places.setdefault(outcome, []).append(place)
    chosen: set[int] = set()
    rarest_first = sorted(places.values(), key=len)
    for i, found in enumerate(rarest_first):
        share = (MOST_EPISODES - len(chosen)) // (len(rarest_first) - i)
        chosen.update(found[:share])
    return chosen


def _card(episode: Episode, kinds: Mapping[str, str]) -> Card:
    played = episode.trajectory
    return Card(episode, title_of(played, kinds), outcome_of(played), list(_entries(played)), played.usage)


def _entries(played: Trajectory) -> Iterator[Said | Step]:
    turns = list(played.turns)
    by_message = {id(turn.message): turn for turn in turns if turn.message is not None}
    summaries = [turn for turn in turns if turn.message is None]
    messages = list(played.messages)
    number = place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if message["role"] != "assistant":
            yield Said(message["role"], _cut(message.get("content")), tuple(message.get("tools") or ()))
            continue
        number += 1
        results = []
        while place < len(messages) and messages[place]["role"] == "tool":
            results.append(str(messages[place].get("content")))
            place += 1
        turn = by_message.get(id(message))
        while turn is not None and summaries and turns.index(summaries[0]) < turns.index(turn):
            yield _raw_step(number, summaries.pop(0), "the context was summed up")
        yield _step(number, message, results, turn)
    for turn in summaries:
        yield _raw_step(number + 1, turn, "as it came")


def _step(number: int, message: Message, results: Sequence[str], turn: Turn | None) -> Step:
    calls = []
    for k, call in enumerate(message.get("tool_calls") or ()):
        result = results[k] if k < len(results) else None
        is_error = result is not None and result.startswith("error:")
        shown = None if result is None else _cut(result)
        calls.append(
            Call(call["function"]["name"], _arguments(call["function"]["arguments"]), shown, is_error)
        )
    starts = turn is not None and turn.starts_chain and number > 1
    return Step(
        number,
        _cut(message.get("reasoning_content")),
        _cut(message.get("content")),
        calls,
        "the prompt starts afresh" if starts else "",
        _tokens(turn),
        _seconds(turn),
    )


def _raw_step(number: int, turn: Turn, mark: str) -> Step:
    """A completion that is no message: cut off, malformed, refused, or a summary."""
    text = _cut(turn.completion.text) or "(nothing)"
    return Step(number, "", text, [], mark, _tokens(turn), _seconds(turn), raw=True)


def _tokens(turn: Turn | None) -> str:
    if turn is None or not turn.completion.usage.completion_tokens:
        return ""
    usage = turn.completion.usage
    return f"{short(usage.prompt_tokens)} → {short(usage.completion_tokens)} tokens"


def _seconds(turn: Turn | None) -> str:
    if turn is None:
        return ""
    world = f" + {duration(turn.world_seconds)} tools" if turn.world_seconds >= 0.05 else ""
    return f"{duration(turn.seconds)}{world}"


def _arguments(text: str) -> str:
    """`name: value` lines; the text as it is where it is no JSON object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return _cut(text)
    if not isinstance(values, dict):
        return _cut(text)
    return _cut("\n".join(_argument(name, value) for name, value in values.items()))


def _argument(name: str, value: object) -> str:
    """A text of several lines stands below its name, so that its lines are seen as they are indented."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"


def _cut(text: object) -> str:
    shown = "" if text is None else str(text)
    left = len(shown) - _SHOWN
    return shown if left <= 0 else f"{shown[:_SHOWN]}\n… {left:,} characters more"
