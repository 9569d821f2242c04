"""An environment of your own, played by a model: guess a number from hints.

python examples/own_environment.py MODEL
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

import baleen
from baleen.agent import EnginePolicy, Limits, TokenPlayer, play
from baleen.chat import Message, Tokenizer
from baleen.engine import AsyncEngine
from baleen.environments import Task

TASK = Task(
    id="guess-42",
    domain="tool",
    family="guess",
    difficulty=1,
    split="train",
    messages=({"role": "user", "content": "Guess my number between 1 and 99."},),
    answer="42",
    data={"number": 42},
)


class Guess:
    """Answers every guess with a hint; at most five. It sees messages, never tokens."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._guesses: list[str] = []

    def reset(self) -> list[Message]:
        self._guesses = []
        return list(self.task.messages)

    def step(self, assistant: Message) -> list[Message]:
        said = str(assistant.get("content", "")).strip()
        self._guesses.append(said)
        if said == self.task.answer or len(self._guesses) == 5:
            return []
        higher = said.isdigit() and int(said) < self.task.data["number"]
        return [{"role": "user", "content": "higher" if higher else "lower, or no number"}]

    def score(self, final: Message) -> float:
        return float(self._guesses[-1:] == [self.task.answer])

    def snapshot(self) -> bytes:
        return json.dumps(self._guesses).encode()

    def restore(self, state: bytes) -> None:
        self._guesses = json.loads(state)

    def close(self) -> None:
        pass


def main(folder: str) -> Mapping[str, Any]:
    tokenizer = Tokenizer.from_pretrained(folder)
    engine = baleen.Engine.from_pretrained(folder, baleen.EngineConfig())
    params = baleen.SamplingParams(max_tokens=32, temperature=1.0, seed=0)

    async def one_episode() -> Any:
        policy = EnginePolicy(AsyncEngine(engine), tokenizer)
        player = TokenPlayer(policy, tokenizer, "thinking", params)
        return await play(player, Guess(TASK), Limits(max_turns=6, max_length=1024))

    trajectory = asyncio.run(one_episode())
    for turn in trajectory.turns:
        print(repr(tokenizer.decode(turn.completion.token_ids)))
    print(f"reward {trajectory.reward}, ended: {trajectory.stop_reason}")
    return {"reward": trajectory.reward}


if __name__ == "__main__":
    main(*sys.argv[1:])
