"""The contenders' processes: their answers, their ends; and the GGUF file, tensor by tensor."""

import importlib.util
import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baleen.bench.agreement import agreement
from baleen.bench.contender import Contender, ContenderError
from baleen.bench.prompts import prompt
from baleen.bench.shapes import shape
from baleen.model import Transformer
from baleen.model.gguf import write_gguf


def gone(contender: Contender) -> bool:
    try:
        os.kill(contender._process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_error_is_told_and_the_process_goes_on() -> None:
    with Contender("preparation", 1, 60) as contender:
        with pytest.raises(ContenderError, match="preparation failed at load: TypeError"):
            contender.ask("load", wrong=1)
        assert contender.ask("load", threads=1) == {}
    assert gone(contender)


def test_a_process_that_takes_too_long_is_ended() -> None:
    with Contender("preparation", 1, 0.01) as contender:
        with pytest.raises(ContenderError, match="took longer than 0.01 s at load; raise --seconds"):
            contender.ask("load", threads=1)
        assert gone(contender)


def test_a_process_that_ends_is_told_with_its_last_words() -> None:
    with (
        Contender("unknown engine", 1, 60) as contender,
        pytest.raises(ContenderError, match="failed at load: KeyError: 'unknown engine'"),
    ):
        contender.ask("load")
    with Contender("preparation", 1, 60) as contender:
        contender._process.kill()
        with pytest.raises(ContenderError, match="ended with code -9 at load; it may have run out of memory"):
            contender.ask("load", threads=1)


def test_longer_prompts_continue_shorter_ones() -> None:
    long, short = prompt(1024, 50, 7), prompt(1024, 20, 7)
    assert long[:20] == short and prompt(1024, 20, 8) != short
    assert min(prompt(5, 200, 0)) == 3 and max(prompt(5, 200, 0)) == 4


class Writer:
    """Records what is written, in the place of `gguf.GGUFWriter`."""

    def __init__(self, path: Path, architecture: str):
        self.architecture = architecture
        self.keys: dict[str, Any] = {}
        self.tensors: dict[str, np.ndarray] = {}
        self.kinds: dict[str, str] = {}
        written.append(self)

    def add_tensor(self, name: str, numbers: np.ndarray, raw_dtype: str) -> None:
        self.tensors[name], self.kinds[name] = numbers, raw_dtype

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.keys.update({name: values[0] if values else None})


written: list[Writer] = []


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    gguf: Any = types.ModuleType("gguf")
    gguf.GGUFWriter = Writer
    gguf.GGMLQuantizationType = types.SimpleNamespace(F32="f32", BF16="bf16", Q8_0="q8_0")
    gguf.ExpertGatingFuncType = types.SimpleNamespace(SIGMOID="sigmoid")
    gguf.TokenType = types.SimpleNamespace(NORMAL=1)
    gguf.quantize = lambda numbers, kind: numbers
    monkeypatch.setitem(sys.modules, "gguf", gguf)
    written.clear()
    return written


def test_the_gguf_file_holds_every_tensor_in_its_place(recorder: list[Writer], tmp_path: Path) -> None:
    config = shape("tiny").replace(num_nextn_predict_layers=1)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0))
    write_gguf(model, tmp_path / "model.gguf", "bfloat16")
    (writer,) = recorder
    assert writer.architecture == "deepseek32"
    assert {int(name.split(".")[1]) for name in writer.tensors if name.startswith("blk.")} == {0, 1, 2}
    attention = model.model.layers[1].self_attn
    heads, latent = config.num_attention_heads, config.kv_lora_rank
    keys, values = writer.tensors["blk.1.attn_k_b.weight"], writer.tensors["blk.1.attn_v_b.weight"]
    assert keys.shape == (heads, latent, config.qk_nope_head_dim)
    whole = np.concatenate((keys.transpose(0, 2, 1), values), 1).reshape(-1, latent)
    assert np.array_equal(whole, attention.kv_b_proj.weight.detach().numpy())
    experts = (config.n_routed_experts, config.hidden_size, config.moe_intermediate_size)
    assert writer.tensors["blk.2.ffn_down_exps.weight"].shape == experts
    main = sum(t.numel() for name, t in model.state_dict().items() if not name.startswith("model.layers.3."))
    assert sum(numbers.size for numbers in writer.tensors.values()) == main
    wide = {name.split(".", 2)[2] for name, kind in writer.kinds.items() if kind == "f32" and "blk." in name}
    assert {"indexer.proj.weight", "ffn_gate_inp.weight", "exp_probs_b.bias", "attn_norm.weight"} <= wide
    assert writer.kinds["blk.1.attn_q_a.weight"] == writer.kinds["token_embd.weight"] == "bf16"
    assert writer.keys["add_indexer_top_k"] == config.index_topk
    assert writer.keys["add_key_length"] == latent + config.qk_rope_head_dim
    assert writer.keys["write_tensors_to_file"] is None and "close" in writer.keys


def test_float32_stays_float32(recorder: list[Writer], tmp_path: Path) -> None:
    model = Transformer(shape("tiny")).initialize(torch.Generator().manual_seed(0))
    write_gguf(model, tmp_path / "model.gguf", "float32")
    assert set(recorder[0].kinds.values()) == {"f32"}


def test_int8_is_q8_0_where_the_width_allows_its_blocks(recorder: list[Writer], tmp_path: Path) -> None:
    config = shape("tiny")
    model = Transformer(config).initialize(torch.Generator().manual_seed(0))
    write_gguf(model, tmp_path / "model.gguf", "int8")
    kinds = recorder[0].kinds
    assert config.qk_nope_head_dim % 32 and kinds["blk.1.attn_k_b.weight"] == "f32"
    assert kinds["blk.1.attn_v_b.weight"] == kinds["blk.1.ffn_down_exps.weight"] == "q8_0"
    assert kinds["blk.1.ffn_gate_inp.weight"] == kinds["blk.1.indexer.proj.weight"] == "f32"


@pytest.mark.skipif(
    not (importlib.util.find_spec("xllamacpp") and importlib.util.find_spec("gguf")),
    reason="llama.cpp is an optional peer: pip install -e '.[bench]'",
)
def test_llama_cpp_computes_the_same(tmp_path: Path) -> None:
    (row,) = agreement(["llama.cpp"], False, 1, 120, tmp_path)
    assert row.equal and row.logprob_difference < 1e-3
