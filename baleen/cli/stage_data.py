"""What the quickstart's stages learn from: its tokenizer, its documents, the tasks of its rollouts."""

import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from baleen.agent import Trajectory
from baleen.chat import Tokenizer, encode_messages, train_tokenizer
from baleen.config import UsageError
from baleen.config.stages import DataMix, Recipe, RLStage, TaskShare
from baleen.data import Document, conversation_document, plain_document
from baleen.environments import Split, Style, Task, TaskError, demonstrate, plain_text, sample_task

Draw = Callable[[random.Random], Document]


def check_tasks(recipe: Recipe) -> None:
    """Raises UsageError for a family or a difficulty of tasks that does not exist."""

    def difficulties(tasks: Mapping[str, TaskShare]) -> dict[str, Sequence[int]]:
        return {family: share.difficulties for family, share in tasks.items()}

    def check(place: str, kinds: Mapping[str, Sequence[int]]) -> None:
        for family, hardness in kinds.items():
            for difficulty in hardness:
                try:
                    sample_task(family, difficulty, random.Random(0), "train")
                except TaskError as error:
                    raise UsageError(f"{place}: {error}") from None

    for name in ("base_data", "long_data", "chat_data", "distill_data"):
        check(f"{name}.tasks", difficulties(getattr(recipe, name).tasks))
    for name in ("tasks", "hard"):
        check(f"evaluation.{name}", getattr(recipe.evaluation, name))
    for name in type(recipe).model_fields:
        stage = getattr(recipe, name)
        if isinstance(stage, RLStage):
            check(f"{name}.tasks", difficulties(stage.tasks))


def tokenizer_of(folder: Path, recipe: Recipe, texts: Sequence[str]) -> Tokenizer:
    """The run's tokenizer: trained on real text, tasks and conversations, or read back from `folder`."""
    if (folder / "tokenizer_config.json").exists():
        return Tokenizer.from_pretrained(folder)
    rng = random.Random(recipe.seed)

    def tasks() -> Iterator[str]:
        for _ in range(3000):
            yield plain_text(*_drawn(recipe.base_data, rng, "train"))
            task, _ = _drawn(recipe.chat_data, rng, "train")
            yield encode_messages([*task.messages, *demonstrate(task, "full")], "thinking")

    return train_tokenizer([*texts, *tasks()], recipe.vocab_size, folder)


def demonstrations(tokenizer: Tokenizer, mix: DataMix, split: Split = "train") -> Draw:
    """Solved tasks, plain or as conversations: style "direct" in chat mode, the others in thinking mode."""

    def draw(rng: random.Random) -> Document:
        task, style = _drawn(mix, rng, split)
        if rng.random() >= mix.conversations:
            question, solution = plain_text(task, style).split("\n", 1)
            return plain_document(tokenizer, question, "\n" + solution)
        asked = [m for m in task.messages if mix.tool_prompts or m["role"] != "system"]
        mode = "chat" if style == "direct" else "thinking"
        return conversation_document(tokenizer, [*asked, *demonstrate(task, style)], mode)

    return draw


def documents_of(trajectories: Sequence[Trajectory]) -> list[Document]:
    """What was sampled, in the very ids it was sampled as."""
    return [
        Document(chain.token_ids, chain.loss_mask)
        for trajectory in trajectories
        for chain in trajectory.chains()
    ]


def either(documents: Sequence[Document], other: Draw, share: float) -> Draw:
    """One of `documents`, or with probability `share`, and where there are none, a document of `other`."""

    def draw(rng: random.Random) -> Document:
        return other(rng) if not documents or rng.random() < share else rng.choice(documents)

    return draw


def drawn_tasks(kinds: Mapping[str, TaskShare], count: int, key: tuple[object, ...]) -> list[Task]:
    """`count` tasks to train on; the same key gives the same tasks."""
    rng = random.Random(zlib.crc32(repr(key).encode()))
    return [_task(kinds, rng, "train") for _ in range(count)]


def held_out_tasks(kinds: Mapping[str, Sequence[int]], attempts: int, seed: int) -> list[Task]:
    """`attempts` tasks of each difficulty of each family."""
    rng = random.Random(seed)
    return [
        sample_task(family, difficulty, rng, "heldout")
        for family, difficulties in kinds.items()
        for difficulty in difficulties
        for _ in range(attempts)
    ]


def _drawn(mix: DataMix, rng: random.Random, split: Split) -> tuple[Task, Style]:
    task = _task(mix.tasks, rng, split)
    return task, rng.choices(list(mix.styles), list(mix.styles.values()))[0]


def _task(kinds: Mapping[str, TaskShare], rng: random.Random, split: Split) -> Task:
    family = rng.choices(list(kinds), [share.weight for share in kinds.values()])[0]
    return sample_task(family, rng.choice(kinds[family].difficulties), rng, split)
