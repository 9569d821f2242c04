"""A dense checkpoint that `transformers` wrote gets indexers, a warm-up and sparse training, by the shipped recipe."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from baleen.chat import train_tokenizer
from baleen.cli.main import main
from baleen.config import ModelConfig
from baleen.model import Transformer, load_model, save_model

SIZES = {"index_n_heads": 0, "sparse_attention": False, "num_nextn_predict_layers": 0}
SMALL = [
    *("--set", "warmup.steps=2", "--set", "warmup.batch_size=2", "--set", "warmup.seq_len=96"),
    *("--set", "sparse.steps=2", "--set", "sparse.batch_size=2", "--set", "sparse.seq_len=96"),
    *("--set", "evaluation.seq_len=96", "--set", "judged=false", "--set", "sizes.index_topk=16"),
]


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """A V3 model without indexers, written by transformers, and its tokenizer."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    tokenizer = train_tokenizer(["some text to learn a few tokens from, twice"] * 2, 300, ours)
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, **SIZES)
    save_model(Transformer(config).initialize(torch.Generator().manual_seed(0)), ours)
    AutoModelForCausalLM.from_pretrained(ours).save_pretrained(theirs)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(ours / file, theirs / file)
    (tmp_path / "text.txt").write_text("a line of text that is somebody's own\n" * 900)
    return theirs


def train(folder: Path, *words: str) -> int:
    run, text = folder.parent / "run", folder.parent / "text.txt"
    given = ["--from", str(folder), "--text", str(text), "--out", str(run), "--threads", "1", "--seed", "3"]
    return main(["train", "retrofit", *given, *SMALL, *words])


def test_it_becomes_a_sparse_model_and_the_same_command_finds_it_done(dense: Path) -> None:
    assert train(dense) == 0
    run = dense.parent / "run"
    found = load_model(run / "model")
    assert found.config.sparse_attention and found.config.index_n_heads == 4 and found.config.index_topk == 16
    before, after = load_model(dense).state_dict(), found.state_dict()
    assert set(after) - set(before) == {name for name in after if ".indexer." in name} != set()
    assert not torch.equal(before["lm_head.weight"], after["lm_head.weight"])
    warmed = json.loads((run / "stages" / "warmup.json").read_text())["summary"]
    assert warmed["kl"] != json.loads((run / "stages" / "warmup-start.json").read_text())["summary"]["kl"]
    metrics = (run / "metrics.jsonl").read_bytes()
    assert train(dense) == 0 and (run / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "warmup.from=./nowhere"], ["nowhere"]),
        (["--set", "sparse.from=warm"], ["sparse.from = 'warm'", "did you mean warmup?"]),
        (["--set", "sizes.index_head_dim=8"], ["index_head_dim=8"]),
        (["--from", "/no/such/folder"], ["/no/such/folder"]),
    ],
)
def test_what_cannot_be_started_from_is_one_line(
    dense: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: list[str]
) -> None:
    assert train(dense, *words) in (1, 2)
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1 and all(word in error for word in told), error
    assert not (dense.parent / "run").exists()


def test_two_starts_share_their_vocabulary_and_shape(dense: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = dense.parent / "other"
    shutil.copytree(dense, other)
    train_tokenizer(["quite another text"] * 2, 300, other)
    assert train(dense, "--set", f"sparse.from={other}") == 2
    assert f"{other} has another vocabulary than {dense}" in capsys.readouterr().err
    shutil.copytree(dense, other, dirs_exist_ok=True)
    config = json.loads((other / "config.json").read_text()) | {"num_hidden_layers": 4}
    (other / "config.json").write_text(json.dumps(config))
    assert train(dense, "--set", f"sparse.from={other}") == 2
    assert "num_hidden_layers = 4" in capsys.readouterr().err
    assert not (dense.parent / "run").exists()
