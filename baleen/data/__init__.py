"""Text and tasks as rows of tokens; every batch is a pure function of seed, stage and step."""

from baleen.data.corpus import Corpus, load_corpus
from baleen.data.documents import conversation_document, plain_document
from baleen.data.mixture import Mixture, text_tokens
from baleen.data.packing import Document, Packed

__all__ = [
    "Corpus",
    "Document",
    "Mixture",
    "Packed",
    "conversation_document",
    "load_corpus",
    "plain_document",
    "text_tokens",
]
