"""A tokenizer of bytes and control tokens: every text has ids, and ids decode to the very text."""

from pathlib import Path

import pytest

from baleen.chat import Tokenizer, train_tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    texts = ["Compute 47*83. function_calls invoke parameter name expression string true result"] * 2
    return train_tokenizer(texts, 300, folder)
