"""`baleen synth search`: build a corpus, then questions over it that one search does not answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from baleen.cli.synth_run import SynthOptions, run_synthesis
from baleen.config import UsageError
from baleen.environments.corpus import Corpus
from baleen.environments.search import CORPUS_FILE
from baleen.synthesis.search import Judge, Models, debian, documents, wordnet
from baleen.synthesis.search.draw import DEEPEST


@dataclass(frozen=True, kw_only=True)
class SearchOptions(SynthOptions):
    """Make search tasks over WordNet, the Debian package index or your own documents."""

    corpus: str = "wordnet"
    """`wordnet` (Debian package wordnet-base), `debian` (the package index of this machine), a folder with WordNet's
    data files, or a Packages file."""

    documents: Path | None = None
    """Your own: a folder of text files, or a JSONL of title and text; instead of --corpus."""

    depths: tuple[int, ...] = (1, 2, 3, 4)
    """Hops from the clue to the answer."""

    breadths: tuple[int, ...] = (1, 2, 3)
    """Conditions per hop beside the kind of thing."""


def main(argv: Sequence[str]) -> int:
    """Raises UserError, OSError."""
    options = tyro.cli(SearchOptions, args=list(argv), prog="baleen synth search")
    _check(options)
    path = options.out / "assets" / CORPUS_FILE
    settings = {
        "corpus": str(options.documents) if options.documents else options.corpus,
        "depths": options.depths,
        "breadths": options.breadths,
    }
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _build(options, path)
    judge = Judge(Corpus(path), Models())
    entities, candidates = judge.candidates(options.depths, options.breadths, options.seed)
    return run_synthesis("search", options, settings, candidates, judge, len(entities) * len(options.depths))


def _check(options: SearchOptions) -> None:
    for name, values, limit in (("depths", options.depths, DEEPEST), ("breadths", options.breadths, 6)):
        wrong = [value for value in values if not 1 <= value <= limit]
        if wrong or not values:
            raise UsageError(f"--{name} has {wrong or 'nothing'}; give numbers from 1 to {limit}")


def _build(options: SearchOptions, path: Path) -> None:
    if options.documents is not None:
        documents.build(options.documents, path)
    elif options.corpus == "wordnet":
        wordnet.build(wordnet.DEFAULT_FOLDER, path)
    elif options.corpus == "debian":
        debian.build(None, path)
    elif Path(options.corpus).is_dir():
        wordnet.build(Path(options.corpus), path)
    elif Path(options.corpus).is_file():
        debian.build(Path(options.corpus), path)
    else:
        raise UsageError(
            f"--corpus is {options.corpus!r}; give wordnet, debian, a folder of WordNet's data files or a Packages file"
        )
