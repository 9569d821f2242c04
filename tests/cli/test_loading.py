"""Loading a model for a command: what computes is told, and what is not as asked."""

import logging
import os
from pathlib import Path

import pytest
import torch

from baleen.chat import Tokenizer, train_tokenizer
from baleen.cli.loading import ComputeOptions, load, usable_threads
from baleen.cli.main import main
from baleen.config import ModelConfig, UserError
from baleen.engine.serving import default_compute_path
from baleen.model import Transformer, save_model
from baleen.ops import cpu
from baleen.runs import machine
from baleen.runs.model_folder import model_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served")
    tokenizer: Tokenizer = train_tokenizer(["Add 4+5. 9"] * 2, 300, path)
    config = ModelConfig.preset(
        "tiny",
        vocab_size=tokenizer.vocab_size,
        eos_token_id=tokenizer.eos_token_id,
        max_position_embeddings=512,
    )
    save_model(Transformer(config).initialize(torch.Generator().manual_seed(0)), path)
    return path


@pytest.mark.usefixtures("kernels")
def test_the_kernels_are_the_default_and_a_line_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load(folder, 2, None, ComputeOptions())
    assert loaded.engine.compute_path.weight_dtype == "float32"
    line = f"weights: float32 through the CPU kernels ({cpu.instruction_set()})"
    assert capsys.readouterr().err == f"baleen: {line}\n"
    assert str(default_compute_path(ModelConfig.from_pretrained(folder))) == line


def test_without_a_compiler_the_line_has_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "missing", lambda: "no C++ compiler was found; install g++")
    assert load(folder, 2, None, ComputeOptions()).engine.compute_path.weight_dtype is None
    assert capsys.readouterr().err == "baleen: plain PyTorch: no C++ compiler was found; install g++\n"
    assert main(["chat", str(folder), "--once", "hi", "--weights", "int8"]) == 1
    assert "weight_dtype='int8' needs the CPU kernels: no C++ compiler" in capsys.readouterr().err


def test_plain_pytorch_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(folder, 2, None, ComputeOptions(backend="torch"))
    assert capsys.readouterr().err == "baleen: plain PyTorch: as asked\n"


def test_compiling_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from baleen.ops.cpu import build

    monkeypatch.setattr(build.subprocess, "run", lambda words, **_: Path(words[-1]).write_bytes(b"library"))
    with caplog.at_level(logging.WARNING):
        build._compile("g++", tmp_path / "kernels.so")
    assert caplog.messages == ["compiling the CPU kernels (once, some ten seconds)…"]


def test_more_threads_than_processors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "_read", lambda _: "")  # no quota of a container
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert usable_threads(2) == 2
    assert capsys.readouterr().err == ""
    assert usable_threads(99) == 2
    assert "--threads is 99, this process may use 2 processors; using 2" in capsys.readouterr().err


def test_an_answer_longer_than_the_context_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["chat", str(folder), "--once", "hi", "--no-thinking", "--max-tokens"]
    assert main([*words, "3"]) == 0
    assert "this model's context" not in capsys.readouterr().err
    assert main([*words, "100000"]) == 0
    told = "--max-tokens is 100000; answers end where this model's context of 512 tokens is full"
    assert told in capsys.readouterr().err


def test_a_folder_without_tokenizer_says_so(folder: Path, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).symlink_to(folder / file)
    with pytest.raises(UserError, match=r"a model without tokenizer\.json; copy that file"):
        load(tmp_path, 1, None, ComputeOptions())
    assert model_folder(tmp_path) == tmp_path
