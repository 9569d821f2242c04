"""Check a stored episode: its assistant messages in a fresh environment must give the same results and score."""

from collections.abc import Iterator
from itertools import pairwise

from baleen.agent.trajectory import StopReason, Trajectory
from baleen.chat import Message, without_lone_surrogates
from baleen.environments import Environment


def differences(stored: Trajectory, environment: Environment) -> Iterator[str]:
    """Differences in words; closes the environment. Raises ToolFailure."""
    try:
        yield from _differences_of_ids(stored)
        yield from _differences_of_world(stored, environment)
    finally:
        environment.close()


def _differences_of_ids(stored: Trajectory) -> Iterator[str]:
    """Within a chain, each prompt starts with the prompt and the sampled ids of the turn before."""
    for number, (before, after) in enumerate(pairwise(stored.turns), 2):
        known = [*before.completion.prompt_ids, *before.completion.token_ids]
        prompt = list(after.completion.prompt_ids)
        if not prompt or after.starts_chain or prompt[: len(known)] == known:
            continue
        same = next((i for i, (a, b) in enumerate(zip(known, prompt, strict=False)) if a != b), len(prompt))
        yield f"turn {number}: its prompt leaves the turn before at token {same} of {len(known)}"


def _differences_of_world(stored: Trajectory, environment: Environment) -> Iterator[str]:
    messages = list(stored.messages)
    opening = without_lone_surrogates(environment.reset())
    if messages[: len(opening)] != opening:
        yield "the opening messages differ"
        return
    place, turn = len(opening), 0
    while place < len(messages):
        said = messages[place]
        turn += 1
        is_last = place == len(messages) - 1
        if is_last and stored.stop_reason is not StopReason.FINISHED:
            return  # the world was not asked, or its reply was not kept
        replies = without_lone_surrogates(environment.step(said))
        if not replies:
            yield from _differences_of_end(stored, environment, said, turn, is_last)
            return
        then = messages[place + 1 : place + 1 + len(replies)]
        for k, (was, now) in enumerate(zip(then, replies, strict=False), 1):
            if was != now:
                yield f"turn {turn}, result {k}: {_shown(was, now)}"
        if len(then) < len(replies):
            yield f"turn {turn}: {len(replies)} results, there were {len(then)}"
            return
        place += 1 + len(replies)


def _differences_of_end(
    stored: Trajectory, environment: Environment, said: Message, turn: int, is_last: bool
) -> Iterator[str]:
    if not is_last:
        yield f"turn {turn}: the episode is over, it went on"
        return
    score = environment.score(said)
    if score != stored.reward:
        yield f"score {score}, it was {stored.reward}"


def _shown(was: Message, now: Message) -> str:
    old, new = str(was.get("content")), str(now.get("content"))
    if old == new:
        return f"{now}, it was {was}"
    start = max(0, next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0) - 20)
    return f"{new[start : start + 80]!r}, it was {old[start : start + 80]!r}"
