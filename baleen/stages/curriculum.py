"""What the quickstart's stages learn from: its tokenizer, its documents, the tasks of its rollouts."""

import random
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from baleen.agent import Trajectory
from baleen.chat import Tokenizer, encode_messages, train_tokenizer
from baleen.config import UsageError
from baleen.config.data import DataMix, TaskShare
from baleen.config.recipe import Recipe
from baleen.config.stages import RLStage, SupervisedStage
from baleen.data import Document, conversation_document, plain_document
from baleen.environments import (
    Split,
    Style,
    Task,
    TaskError,
    demonstrate,
    follow_up,
    plain_text,
    sample_conversation,
    sample_task,
)

_PIECE, _PIECES = (3, 8), 3  # tokens of a copied piece, and how many there are
_TURNS = 4  # of a conversation, at most
_FRUITLESS = 20  # draws per distinct task that is known
_EASY = 12  # tokens to copy from, at most, while copying is new
Draw = Callable[[random.Random], Document]


def check_tasks(recipe: Recipe) -> None:
    """Check the task families of a recipe.

    Raises:
        UsageError: a family or a difficulty does not exist.
    """

    def difficulties(tasks: Mapping[str, TaskShare]) -> dict[str, Sequence[int]]:
        return {family: share.difficulties for family, share in tasks.items()}

    def check(place: str, kinds: Mapping[str, Sequence[int]]) -> None:
        for family, hardness in kinds.items():
            for difficulty in hardness:
                try:
                    sample_task(family, difficulty, random.Random(0), "train")
                except TaskError as error:
                    raise UsageError(f"{place}: {error}") from None

    for name, mix in recipe.data.items():
        check(f"data.{name}.tasks", difficulties(mix.tasks))
    for name in ("tasks", "hard"):
        check(f"evaluation.{name}", getattr(recipe.evaluation, name))
    for stage in recipe.stages:
        if isinstance(stage, RLStage):
            check(f"{stage.name}.tasks", difficulties(stage.tasks))


def tokenizer_of(folder: Path, recipe: Recipe, texts: Sequence[str]) -> Tokenizer:
    """The run's tokenizer, read from `folder` or, the first time, trained on text, tasks and conversations."""
    if (folder / "tokenizer_config.json").exists():
        return Tokenizer.from_pretrained(folder)
    rng = random.Random(recipe.seed)

    base, chat = _first_mix(recipe, "pretrain"), _first_mix(recipe, "sft")

    def tasks() -> Iterator[str]:
        for _ in range(3000 if base.tasks and chat.tasks else 0):
            task = _task(base.tasks, rng, "train", base.follow_ups)
            yield plain_text(task, _style(base, task, rng))
            task = _task(chat.tasks, rng, "train", chat.follow_ups)
            yield encode_messages([*task.messages, *demonstrate(task, "full")], "thinking")

    return train_tokenizer([*texts, *tasks()], recipe.vocab_size, folder)


def _first_mix(recipe: Recipe, kind: str) -> DataMix:
    """The mixture of the first stage of `kind`, or of the first supervised stage where there is none."""
    stages = [stage for stage in recipe.stages if isinstance(stage, SupervisedStage)]
    stage = next((stage for stage in stages if stage.kind == kind), stages[0])
    return recipe.data[stage.data]


def demonstrations(tokenizer: Tokenizer, mix: DataMix, split: Split = "train") -> Draw:
    """Draws solved tasks, plain or as conversations: style "direct" in chat mode, the others in thinking mode."""
    copy = copies(tokenizer)

    def draw(rng: random.Random) -> Document:
        if mix.copies and rng.random() < mix.copies:
            return copy(rng)
        tasks = [_task(mix.tasks, rng, split, mix.follow_ups)]
        if mix.whole_conversations and rng.random() < mix.whole_conversations:
            tasks = _conversation(mix.tasks, rng, split, rng.randint(2, _TURNS))
            tasks[1:] = [replace(task, messages=task.messages[-1:]) for task in tasks[1:]]
        solved = _in_chat if rng.random() < mix.conversations else _plain
        parts = [solved(tokenizer, mix, task, _style(mix, task, rng)) for task in tasks]
        return parts[0] if len(parts) == 1 else _joined(parts)

    return draw


def _plain(tokenizer: Tokenizer, mix: DataMix, task: Task, style: Style) -> Document:
    question, solution = plain_text(task, style).split("\n", 1)
    return plain_document(tokenizer, question, "\n" + solution)


def _in_chat(tokenizer: Tokenizer, mix: DataMix, task: Task, style: Style) -> Document:
    asked = [message for message in task.messages if mix.tool_prompts or message["role"] != "system"]
    mode = "chat" if style == "direct" else "thinking"
    return conversation_document(tokenizer, [*asked, *demonstrate(task, style)], mode)


def _joined(documents: Sequence[Document]) -> Document:
    """One document of several, which all begin with the begin-of-sentence token; only the first one keeps it."""
    first, *rest = documents
    return Document(
        first.token_ids + [token for document in rest for token in document.token_ids[1:]],
        first.loss_mask + [counts for document in rest for counts in document.loss_mask[1:]],
    )


def copies(tokenizer: Tokenizer, longest: int = 160, whole: float = 0.0) -> Draw:
    """Documents of random tokens followed by three pieces of the same, which are learned except for their first tokens.

    Nothing in them can be memorized. From a few million tokens of tasks a small model learns the names in them by heart
    instead; a few hundred steps of this, easy ones first, teach it to copy names that it has never seen.

    Args:
        tokenizer: the run's tokenizer.
        longest: most random tokens.
        whole: share of the documents in which all tokens are copied at once, which is easier.
    """
    separator = tokenizer.encode_text("\n")
    kept_out = {*separator, *tokenizer.control_ids.values()}
    known = [token for token in range(tokenizer.vocab_size) if token not in kept_out]

    def draw(rng: random.Random) -> Document:
        ids = rng.choices(known, k=rng.randint(_PIECE[0], longest))
        token_ids = [tokenizer.bos_token_id, *ids, *separator]
        loss_mask = [False] * len(token_ids)
        if rng.random() < whole:
            return Document(token_ids + ids, loss_mask + [True] * len(ids))
        for _ in range(_PIECES):
            size = rng.randint(_PIECE[0], min(_PIECE[1], len(ids)))
            at = rng.randint(0, len(ids) - size)
            token_ids += ids[at : at + size]
            loss_mask += [False, *[True] * (size - 1)]
        return Document(token_ids, loss_mask)

    return draw


def first_copies(tokenizer: Tokenizer, done: float) -> Draw:
    """The copies of pre-training after a share `done` of the steps for them: easy ones first.

    Finding the piece that continues is learned from a mixture that changes slowly; after whole copies alone it is not.
    """
    return copies(tokenizer, _EASY, whole=1.4 - 1.6 * done) if done < 0.8 else copies(tokenizer)


def documents_of(trajectories: Sequence[Trajectory]) -> list[Document]:
    """What was sampled, as the token ids that were sampled."""
    return [
        Document(sample.token_ids, sample.loss_mask)
        for trajectory in trajectories
        for sample in trajectory.samples()
    ]


def either(documents: Sequence[Document], other: Draw, share: float) -> Draw:
    """One of `documents`; with probability `share`, or if there are none, a document of `other`."""

    def draw(rng: random.Random) -> Document:
        return other(rng) if not documents or rng.random() < share else rng.choice(documents)

    return draw


def drawn_tasks(
    kinds: Mapping[str, TaskShare],
    count: int,
    key: tuple[object, ...],
    follow_ups: float = 0.0,
    others: Mapping[str, TaskShare] | None = None,
) -> list[Task]:
    """Draw tasks to train on.

    Args:
        kinds: the task families.
        count: number of tasks.
        key: the same key gives the same tasks.
        follow_ups: share of the tasks that are asked somewhere in a conversation.
        others: the families of the other turns of those conversations; by default `kinds`.
    """
    rng = random.Random(zlib.crc32(repr(key).encode()))
    return [_task(kinds, rng, "train", follow_ups, others) for _ in range(count)]


def held_out_tasks(
    kinds: Mapping[str, Sequence[int]],
    attempts: int,
    seed: int,
    tell: Callable[[str], None] = lambda line: None,
) -> list[Task]:
    """Draw distinct held-out tasks.

    A difficulty without that many tasks gives all that it has: after `_FRUITLESS` draws without a new one, for each
    that is known and one more, the chance that one is left is about 2e-9.

    Args:
        kinds: difficulties of each family; one that is named twice gives twice as many tasks.
        attempts: tasks per difficulty.
        seed: the same seed gives the same tasks.
        tell: receives a line for each difficulty that has too few.
    """
    rng = random.Random(seed)
    tasks: list[Task] = []
    for family, difficulties in kinds.items():
        for difficulty, times in Counter(difficulties).items():
            wanted, fruitless = times * attempts, 0
            found: dict[str, Task] = {}
            while len(found) < wanted and fruitless < _FRUITLESS * (len(found) + 1):
                task = sample_task(family, difficulty, rng, "heldout")
                fruitless = fruitless + 1 if task.id in found else 0
                found.setdefault(task.id, task)
            if len(found) < wanted:
                tell(
                    f"{family} of difficulty {difficulty} has {len(found)} held-out tasks, not {wanted}: all are asked"
                )
            tasks += found.values()
    return tasks


def _style(mix: DataMix, task: Task, rng: random.Random) -> Style:
    share = mix.tasks.get(task.family) or mix.tasks[task.domain]  # "general" stands for all of its domains
    styles = share.styles or mix.styles
    return rng.choices(list(styles), list(styles.values()))[0]


def _task(
    kinds: Mapping[str, TaskShare],
    rng: random.Random,
    split: Split,
    follow_ups: float = 0.0,
    others: Mapping[str, TaskShare] | None = None,
) -> Task:
    """One task of `kinds`. In a conversation it may be the first question: tools are offered for later ones, too."""
    if follow_ups and rng.random() < follow_ups:
        tasks = _conversation(others or kinds, rng, split, _TURNS, kinds if others else None)
        # The later of two draws: late turns are the long ones, and the hard ones.
        asked = max(rng.randint(0, _TURNS - 1) for _ in range(2))
        return follow_up([*tasks[:asked], tasks[-1]])
    family = rng.choices(list(kinds), [share.weight for share in kinds.values()])[0]
    return sample_task(family, rng.choice(kinds[family].difficulties), rng, split)


def _conversation(
    kinds: Mapping[str, TaskShare],
    rng: random.Random,
    split: Split,
    turns: int,
    last: Mapping[str, TaskShare] | None = None,
) -> list[Task]:
    """The tasks of a conversation, one per turn, of `kinds`; the last one of the kinds `last`, if given."""
    return sample_conversation(
        {name: share.difficulties for name, share in kinds.items()},
        turns,
        rng,
        split,
        [share.weight for share in kinds.values()],
        {name: share.difficulties for name, share in last.items()} if last else None,
    )
