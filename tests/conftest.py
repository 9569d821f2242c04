"""What every test gets: one torch thread (bits do not depend on the machine), no settings of the user."""

import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# Set before torch is imported anywhere: OpenMP reads them once.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# A slow machine must not fail a test by time, and a run must be repeatable.
settings.register_profile("baleen", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("baleen")


if TYPE_CHECKING:
    from baleen.chat import Tokenizer


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> "Tokenizer":
    """Hardly more than bytes and control tokens: every text has ids, and ids decode to the very text."""
    from baleen.chat import train_tokenizer

    texts = ["Compute 47*83. function_calls invoke parameter name expression string true result"] * 2
    return train_tokenizer(texts, 300, tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def kernels() -> None:
    """For tests of the CPU kernels: they need a C++ compiler, and only continuous integration must have one."""
    from baleen.ops import cpu

    if not cpu.available():
        assert not os.environ.get("CI"), "install g++: in continuous integration this test must run"
        pytest.skip("needs a C++ compiler; on Debian: apt-get install g++")


@pytest.fixture(autouse=True)
def _one_thread_and_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BALEEN_DEBUG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    torch = sys.modules.get("torch")  # tests of rooms without torch stay without it
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
