"""The candidates of a synthesis, each with its own author."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from baleen.agent import ChatModel
from baleen.synthesis.general.model_author import ModelAuthor
from baleen.synthesis.general.prompts import ToolKind
from baleen.synthesis.general.proposal import Author
from baleen.synthesis.general.scripted import ScriptedAuthor
from baleen.synthesis.pipeline import Candidate

MakeAuthor = Callable[[], Author]


def scripted_candidates(
    count: int, seed: int, domains: Sequence[str], levels: int
) -> Iterator[Candidate[MakeAuthor]]:
    """`count` environments from seeded generators, cycling through the domains, with tasks of up to `levels` levels."""
    for number in range(count):
        domain = domains[number % len(domains)]
        make = partial(ScriptedAuthor, domain, f"{seed}-{number}", levels)
        yield Candidate(f"{domain}-{number:05d}", domain, make)


def model_candidates(
    count: int, seed: int, model: ChatModel, tools: ToolKind
) -> Iterator[Candidate[MakeAuthor]]:
    """`count` environments written by a model, on themes drawn with `seed`. tools: language of the tools."""
    for number in range(count):
        yield Candidate(
            f"model-{number:05d}", "model", partial(ModelAuthor, model, f"{seed}-{number}", tools)
        )
