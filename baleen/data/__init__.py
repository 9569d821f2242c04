"""Corpora, packing and batches that any step can be resumed from."""

from baleen.data.corpus import Corpus, load_corpus
from baleen.data.mixture import Mixture
from baleen.data.packing import Document, Packed

__all__ = ["Corpus", "Document", "Mixture", "Packed", "load_corpus"]
