"""The candidates of a run, in an order that takes packages in turn and is the same in every run."""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, zip_longest
from pathlib import Path
from typing import TypeVar

from packaging.version import InvalidVersion, Version

from baleen.config.errors import UsageError
from baleen.synthesis.code.bases import Base, known_versions
from baleen.synthesis.code.judging import FailedSetup, MutantWork, ReleaseWork, Work, WrittenWork
from baleen.synthesis.code.mutants import mutants
from baleen.synthesis.code.written import requests
from baleen.synthesis.pipeline import Candidate

_T = TypeVar("_T")


def candidates(
    bases: Sequence[Base], per_package: int, written: int, pairs: Sequence[ReleaseWork], seed: int
) -> Iterator[Candidate[Work]]:
    """per_package: mutants of each package; written: bugs asked of the model for each."""
    for base in bases:
        if base.setup.reason:
            failed = FailedSetup(base.setup.reason, base.setup.detail)
            yield Candidate(f"setup {base.package.key}", "setup", failed)
    usable = [base for base in bases if not base.setup.reason]
    for pair in pairs:
        yield Candidate(f"release {pair.name} {pair.old}..{pair.new}", "release", pair)
    yield from in_turn([_written(base, written, seed) for base in usable])
    yield from in_turn([islice(_mutants(base, seed), per_package) for base in usable])


def _mutants(base: Base, seed: int) -> Iterator[Candidate[Work]]:
    rng = random.Random(f"{seed} {base.package.key}")
    for mutant in mutants(base.tree, base.runner, rng):
        name = f"mutant {base.package.key} {mutant.name}"
        yield Candidate(name, f"mutant {mutant.kind}", MutantWork(base, mutant))


def _written(base: Base, count: int, seed: int) -> Iterator[Candidate[Work]]:
    rng = random.Random(f"{seed} written {base.package.key}")
    for request in requests(base.tree, base.runner, rng, count):
        name = f"written {base.package.key} {request.path}:{request.lines[0]}"
        yield Candidate(name, "written", WrittenWork(base, request))


def in_turn(many: Sequence[Iterable[_T]]) -> Iterator[_T]:
    """One of each, then the next of each, until all are at their ends."""
    for row in zip_longest(*many):
        yield from (item for item in row if item is not None)


def newest_pairs(name: str, count: int, assets: Path) -> list[ReleaseWork]:
    """The newest `count` pairs of consecutive releases. Raises SourceError."""
    versions = known_versions(name, assets)
    return [ReleaseWork(name, old, new) for old, new in pairwise(versions[-count - 1 :])] if count else []


def pairs_between(text: str, assets: Path) -> list[ReleaseWork]:
    """The consecutive pairs from NAME==OLD..NEW. Raises UsageError, SourceError."""
    name, _, span = text.partition("==")
    old, _, new = span.partition("..")
    try:
        first, last = Version(old), Version(new)
    except InvalidVersion:
        raise UsageError(f"--releases {text}: give NAME==OLD..NEW, such as semver==3.0.0..3.0.4") from None
    within = [v for v in known_versions(name, assets) if first <= Version(v) <= last]
    if len(within) < 2:
        raise UsageError(f"--releases {text}: fewer than two releases of {name} in that span")
    return [ReleaseWork(name, a, b) for a, b in pairwise(within)]
