"""`baleen synth search`: build a corpus, then questions over it that one search does not answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from baleen.agent import ChatModel
from baleen.cli.options import require_at_least
from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError
from baleen.environments.search.corpus import Corpus
from baleen.environments.search.world import CORPUS_FILE
from baleen.synthesis.search import Judge, Models
from baleen.synthesis.search.draw import DEEPEST
from baleen.synthesis.search.sources import build_corpus


@dataclass(frozen=True, kw_only=True)
class SearchOptions(SynthOptions):
    """Make search tasks over WordNet, the Debian package index or your own documents.

    Without a model everything is scripted. The model of --base-url and --model takes the --roles given.
    """

    corpus: str = "wordnet"
    """`wordnet` (Debian package wordnet-base), `debian` (the package index of this machine), a folder with WordNet's
    data files, or a Packages file."""

    documents: Path | None = None
    """Your own documents instead of --corpus: a folder of text files, or a JSONL of title and text."""

    depths: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of hops from the clue to the answer."""

    breadths: tuple[int, ...] = (1, 2, 3)
    """Numbers of conditions per hop, besides the kind of thing."""

    roles: tuple[Literal["author", "answerer", "verifier"], ...] = ("answerer", "verifier")
    """What --model does. The author rewords the questions; the answerer tries them, from memory and with one search;
    the verifier checks the truth against the documents, and the answers of the answerers."""

    answerers: tuple[str, ...] = ()
    """Names of further models at --base-url that try the questions."""

    passes: int = 2
    """How often a verifier checks each truth; one doubt rejects."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth search`. Returns the exit code. Raises UserError, OSError."""
    options = tyro.cli(SearchOptions, args=list(argv), prog="baleen synth search")
    _check(options)
    path = options.out / "assets" / CORPUS_FILE
    models = _models(options)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        build_corpus(options.corpus, path, options.documents)
    judge = Judge(Corpus(path), models)
    entities, candidates = judge.candidates(options.depths, options.breadths, options.seed)
    return run_synthesis(
        "search", options, _settings(options), candidates, judge, len(entities) * len(options.depths)
    )


def _settings(options: SearchOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "corpus": str(options.documents.resolve()) if options.documents else options.corpus,
        "depths": options.depths,
        "breadths": options.breadths,
    }
    if options.base_url is not None:
        settings |= options.settings()
        settings |= {"roles": options.roles, "answerers": options.answerers, "passes": options.passes}
    return settings


def _models(options: SearchOptions) -> Models:
    meter = options.meter()
    model = options.open(meter)
    if model is None:
        if options.answerers:
            raise UsageError("--answerers needs --base-url and --model, the address of the models")
        return Models()
    others = [replace(options, model=name).open(meter) for name in options.answerers]
    answerers: list[ChatModel] = [other for other in others if other is not None]
    return Models(
        author=model if "author" in options.roles else None,
        answerers=[*([model] if "answerer" in options.roles else []), *answerers],
        verifiers=[model] if "verifier" in options.roles else [],
        passes=options.passes,
    )


def _check(options: SearchOptions) -> None:
    for name, values, limit in (("depths", options.depths, DEEPEST), ("breadths", options.breadths, 6)):
        wrong = [value for value in values if not 1 <= value <= limit]
        if wrong or not values:
            raise UsageError(f"--{name} has {wrong or 'nothing'}; give numbers from 1 to {limit}")
    require_at_least(1, options, "passes")
