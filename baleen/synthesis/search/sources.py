"""Build the corpus of search tasks, from a known source or the user's own documents."""

from pathlib import Path

from baleen.config import UsageError
from baleen.synthesis.search import debian, documents, wordnet


def build_corpus(source: str, path: Path, own: Path | None = None) -> None:
    """Write a corpus.

    Args:
        source: "wordnet", "debian", a folder of WordNet's data files, or a Packages file.
        path: the file to write.
        own: the user's own documents, instead of `source`: a folder of text files or a JSONL of title and text.

    Raises:
        UsageError: there is no such source.
        UserError: the source is missing or damaged.
        OSError: a file cannot be read or written.
    """
    if own is not None:
        documents.build(own, path)
    elif source == "wordnet":
        wordnet.build(wordnet.DEFAULT_FOLDER, path)
    elif source == "debian":
        debian.build(None, path)
    elif Path(source).is_dir():
        wordnet.build(Path(source), path)
    elif Path(source).is_file():
        debian.build(Path(source), path)
    else:
        raise UsageError(
            f"--corpus is {source!r}; give wordnet, debian, a folder of WordNet's data files or a Packages file"
        )
