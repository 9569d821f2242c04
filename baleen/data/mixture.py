"""What a step trains on: windows of real text beside packed documents, a pure function of seed, stage and step."""

import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baleen.chat import Tokenizer
from baleen.data.packing import Document, Packed, join, pack, windows


def text_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> NDArray[np.int32]:
    """All texts as one sequence, each after the begin-of-sentence token."""
    ids = [token for text in texts for token in (tokenizer.bos_token_id, *tokenizer.encode_text(text))]
    return np.array(ids, np.int32)


@dataclass(frozen=True)
class Mixture:
    """Batches of text and documents.

    text: one long token sequence. text_share: of the rows. draw: gives a document from a random
    generator.
    """

    text: NDArray[np.int32]
    text_share: float
    draw: Callable[[random.Random], Document]
    seed: int

    def batch(self, stage: str, step: int, rows: int, length: int) -> Packed:
        """`rows` rows of `length` tokens; the same arguments give the same batch."""
        key = [self.seed, zlib.crc32(stage.encode()), step]
        numbers = np.random.default_rng(key)
        documents = random.Random(repr(key))
        text_rows = rows if self.text_share == 1 else min(rows - 1, round(rows * self.text_share))
        text = windows(self.text, numbers, text_rows, length)
        return join([text, pack(lambda: self.draw(documents), rows - text_rows, length)])
