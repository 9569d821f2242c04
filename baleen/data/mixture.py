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
    """Token ids of all texts in one array, each text after a begin-of-sentence token."""
    ids = [token for text in texts for token in (tokenizer.bos_token_id, *tokenizer.encode_text(text))]
    return np.array(ids, np.int32)


@dataclass(frozen=True)
class Mixture:
    """Batches of text and documents.

    Attributes:
        text: token ids of all texts in one array.
        text_share: share of the rows of a batch that are text.
        draw: draws a document with the given random generator.
        seed: of everything that is drawn.
    """

    text: NDArray[np.int32]
    text_share: float
    draw: Callable[[random.Random], Document]
    seed: int

    def batch(self, stage: str, step: int, rows: int, length: int) -> Packed:
        """The batch of a step; the same arguments give the same batch.

        Args:
            stage: name of the stage.
            step: number of the step.
            rows: rows of the batch.
            length: tokens of a row.
        """
        key = [self.seed, zlib.crc32(stage.encode()), step]
        numbers = np.random.default_rng(key)
        documents = random.Random(repr(key))
        text_rows = rows if self.text_share == 1 else min(rows - 1, round(rows * self.text_share))
        text = windows(self.text, numbers, text_rows, length)
        return join([text, pack(lambda: self.draw(documents), rows - text_rows, length)])
