"""What a step trains on: windows of real text beside packed documents, a pure function of seed, stage and step."""

import random
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from baleen.chat import Tokenizer
from baleen.data.packing import Document, Packed, join, pack, windows


class Mixture:
    """Batches of text and tasks.

    draw_task: gives (question, solution) as text from a random generator; only the solution is a target.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        texts: Sequence[str],
        draw_task: Callable[[random.Random], tuple[str, str]],
        seed: int,
        text_share: float,
    ):
        self._tokenizer = tokenizer
        self._draw_task = draw_task
        self._seed = seed
        self._text_share = text_share
        ids = [token for text in texts for token in (tokenizer.bos_token_id, *tokenizer.encode_text(text))]
        self._text = np.array(ids, np.int32)

    def batch(self, stage: str, step: int, rows: int, length: int) -> Packed:
        """`rows` rows of `length` tokens; the same arguments give the same batch."""
        key = [self._seed, zlib.crc32(stage.encode()), step]
        numbers = np.random.default_rng(key)
        tasks = random.Random(repr(key))
        text_rows = min(rows - 1, max(1, round(rows * self._text_share)))
        text = windows(self._text, numbers, text_rows, length)
        return join([text, pack(lambda: self.document(*self._draw_task(tasks)), rows - text_rows, length)])

    def document(self, question: str, solution: str) -> Document:
        """One task as a document. The parts are encoded apart: at test time only the question is there."""
        prompt = [self._tokenizer.bos_token_id, *self._tokenizer.encode_text(question)]
        target = [*self._tokenizer.encode_text(solution), self._tokenizer.eos_token_id]
        return Document(prompt + target, [False] * len(prompt) + [True] * len(target))
