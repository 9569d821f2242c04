"""What the quickstart's stages learn from: its tokenizer, its documents, the tasks of its rollouts."""

import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from baleen.agent import Trajectory
from baleen.chat import Tokenizer, encode_messages, train_tokenizer
from baleen.config import UsageError
from baleen.config.stages import DataMix, Recipe, RLStage
from baleen.data import Document, conversation_document, plain_document
from baleen.environments import Split, Style, Task, TaskError, demonstrate, plain_text, sample_task

Draw = Callable[[random.Random], Document]


def check_tasks(recipe: Recipe) -> None:
    """Raises UsageError for a family or a difficulty of tasks that does not exist."""

    def check(place: str, kinds: Mapping[str, Sequence[int]]) -> None:
        for family, difficulties in kinds.items():
            for difficulty in difficulties:
                try:
                    sample_task(family, difficulty, random.Random(0), "train")
                except TaskError as error:
                    raise UsageError(f"{place}: {error}") from None

    for name in ("base_data", "long_data", "chat_data"):
        mix: DataMix = getattr(recipe, name)
        check(f"{name}.tasks", {family: share.difficulties for family, share in mix.tasks.items()})
    for name in ("tasks", "hard"):
        check(f"evaluation.{name}", getattr(recipe.evaluation, name))
    for name in type(recipe).model_fields:
        stage = getattr(recipe, name)
        if isinstance(stage, RLStage):
            check(f"{name}.tasks", stage.tasks)


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


def solved_documents(trajectories: Sequence[Trajectory]) -> list[Document]:
    """What was solved, in the very ids it was sampled as."""
    return [
        Document(chain.token_ids, chain.loss_mask)
        for trajectory in trajectories
        if trajectory.reward == 1.0
        for chain in trajectory.chains()
    ]


def either(first: Sequence[Sequence[Document]], other: Draw, share: float) -> Draw:
    """A document of `other` with probability `share`, else one of the lists, each as likely as the next.

    Empty lists are passed over: a specialist may have solved nothing.
    """
    lists = [documents for documents in first if documents]

    def draw(rng: random.Random) -> Document:
        return other(rng) if not lists or rng.random() < share else rng.choice(rng.choice(lists))

    return draw


def drawn_tasks(
    kinds: Mapping[str, Sequence[int]], count: int, key: tuple[object, ...], split: Split = "train"
) -> list[Task]:
    """`count` tasks of random families and difficulties; the same key gives the same tasks."""
    rng = random.Random(zlib.crc32(repr(key).encode()))
    families = sorted(kinds)
    tasks = []
    for _ in range(count):
        family = rng.choice(families)
        tasks.append(sample_task(family, rng.choice(kinds[family]), rng, split))
    return tasks


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
    family = rng.choices(list(mix.tasks), [share.weight for share in mix.tasks.values()])[0]
    task = sample_task(family, rng.choice(mix.tasks[family].difficulties), rng, split)
    return task, rng.choices(list(mix.styles), list(mix.styles.values()))[0]
