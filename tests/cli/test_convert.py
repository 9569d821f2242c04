"""`baleen convert`: each direction, resumed after a kill, and never over what is there."""

import json

import pytest
import torch
from safetensors.torch import load_file

from baleen.cli.convert import parse_size
from baleen.cli.main import main
from baleen.config import ModelConfig, UsageError
from baleen.model import Transformer, conversion, load_model, save_model
from baleen.model.conversion import RECORD


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    config = ModelConfig.preset("tiny", vocab_size=64)
    save_model(
        Transformer(config).initialize(torch.Generator().manual_seed(0)), folder, max_shard_bytes=400_000
    )
    (folder / "tokenizer.json").write_text("{}")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder


def tensors_of(folder) -> dict[str, torch.Tensor]:
    return {n: t for file in folder.glob("*.safetensors") for n, t in load_file(file).items()}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        t.dtype == other[n].dtype and torch.equal(t.view(torch.uint8), other[n].view(torch.uint8))
        for n, t in one.items()
    )


def convert(*words) -> int:
    return main(["convert", *map(str, words)])


def test_resharding_changes_no_byte_and_copies_the_tokenizer_but_no_code(source, tmp_path):
    assert convert(source, tmp_path / "out", "--shard-size", "100KB") == 0
    assert same(tensors_of(source), tensors_of(tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > len(list(source.glob("*.safetensors")))
    assert (tmp_path / "out/tokenizer.json").exists() and not (tmp_path / "out/modeling.py").exists()
    assert not (tmp_path / "out" / RECORD).exists()


def test_to_fp8_and_back_to_bfloat16_and_float32(source, tmp_path):
    assert convert(source, tmp_path / "fp8", "--to", "fp8", "--shard-size", "50KB") == 0
    fp8 = tensors_of(tmp_path / "fp8")
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    assert fp8[name].dtype == torch.float8_e4m3fn and fp8[name + "_scale_inv"].shape == (1, 1)
    for kept in ("mlp.gate.weight", "self_attn.indexer.weights_proj.weight", "input_layernorm.weight"):
        assert fp8["model.layers.1." + kept].dtype == torch.float32
    for word, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        assert convert(tmp_path / "fp8", tmp_path / word, "--to", word) == 0
        back = tensors_of(tmp_path / word)
        assert back.keys() == tensors_of(source).keys()
        assert {t.dtype for n, t in back.items() if "e_score_correction_bias" not in n} == {dtype}
        assert "quantization_config" not in json.loads((tmp_path / word / "config.json").read_text())
    assert torch.equal(tensors_of(tmp_path / "float32")[name], dict(conversion_twin(fp8))[name])
    exact, converted = load_model(tmp_path / "fp8"), load_model(tmp_path / "float32")
    ids = torch.arange(60).unsqueeze(0)
    assert torch.equal(exact(ids), converted(ids))


def conversion_twin(tensors):
    for name, tensor in tensors.items():
        if tensor.dtype == torch.float8_e4m3fn:
            scales = tensors[name + "_scale_inv"]
            rows, columns = (torch.arange(n) // 128 for n in tensor.shape)
            yield name, tensor.float() * scales[rows[:, None], columns[None]]


def test_a_killed_conversion_is_no_model_and_goes_on_with_what_is_missing(
    source, tmp_path, monkeypatch, capsys
):
    words = (source, tmp_path / "out", "--to", "fp8", "--shard-size", "60KB")
    assert convert(source, tmp_path / "whole", *words[2:]) == 0
    written = []

    def dies(path, tensors, write=conversion.write_shard):
        if len(written) == 3:
            path.write_bytes(b"half a shard")
            raise KeyboardInterrupt
        written.append(path)
        write(path, tensors)

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "write_shard", dies)
        assert convert(*words) == 130
    assert not (tmp_path / "out/config.json").exists()
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("model-*")}
    assert len(times) == 3
    assert convert(*words[:2], "--to", "bf16") == 1
    assert "unfinished conversion" in capsys.readouterr().err
    assert convert(*words) == 0
    assert capsys.readouterr().out.count("(was there)") == 3
    assert all(p.stat().st_mtime_ns == time for p, time in times.items())
    assert same(tensors_of(tmp_path / "whole"), tensors_of(tmp_path / "out"))
    assert not list((tmp_path / "out").glob(".*"))


def test_nothing_is_overwritten_without_force(source, tmp_path, capsys):
    (tmp_path / "precious.txt").write_text("mine")
    assert convert(source, tmp_path) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
    assert convert(source, tmp_path, "--force", "--shard-size", "90KB") == 0
    assert convert(source, tmp_path) == 1
    assert convert(source, tmp_path, "--force", "--to", "bf16") == 0
    assert (tmp_path / "precious.txt").read_text() == "mine"
    load_model(tmp_path)
    assert convert(source, source, "--force") == 2
    assert convert(tmp_path / "nowhere", tmp_path / "x") == 1 and not (tmp_path / "x").exists()


def test_a_dense_model_gets_indexers_and_keeps_its_logits(tmp_path):
    transformers = pytest.importorskip("transformers")
    sizes = ModelConfig.preset("tiny", vocab_size=64).to_hf_dict()
    keys = [k for k in transformers.DeepseekV3Config().to_dict() if k in sizes]
    config = transformers.DeepseekV3Config(
        **{k: sizes[k] for k in keys if k not in ("architectures", "model_type")}
    )
    torch.manual_seed(0)
    dense = transformers.DeepseekV3ForCausalLM(config).eval()
    dense.save_pretrained(tmp_path / "v3")
    words = ("--add-indexer", "--index-heads", 4, "--index-dim", 32, "--index-topk", 48)
    assert convert(tmp_path / "v3", tmp_path / "v32", *words) == 0
    before, after = tensors_of(tmp_path / "v3"), tensors_of(tmp_path / "v32")
    added = {n: t for n, t in after.items() if n not in before}
    assert (
        len(added) == 5 * 3
        and all(".indexer." in n for n in added)
        and same(before, {n: after[n] for n in before})
    )
    written = json.loads((tmp_path / "v32/config.json").read_text())
    assert written["model_type"] == "deepseek_v32" and written["index_topk"] == 48
    ids = torch.randint(0, 64, (2, 48), generator=torch.Generator().manual_seed(1))  # all are selected
    with torch.no_grad():
        expected = dense(ids).logits
        assert (load_model(tmp_path / "v32")(ids) - expected).abs().max() < 1e-4
        outside, info = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path / "v32", dtype=torch.float32, output_loading_info=True
        )
        assert not info["missing_keys"] and not info["unexpected_keys"]
        assert (outside(ids).logits - expected).abs().max() < 1e-4
    for seed, equal in ((0, True), (1, False)):
        assert convert(tmp_path / "v3", tmp_path / f"again{seed}", *words, "--seed", seed) == 0
        assert same(after, tensors_of(tmp_path / f"again{seed}")) is equal
    assert convert(tmp_path / "v32", tmp_path / "twice", *words) == 2
    # both at once equal one after the other
    assert convert(tmp_path / "v3", tmp_path / "once", *words, "--to", "fp8") == 0
    assert convert(tmp_path / "v32", tmp_path / "steps", "--to", "fp8") == 0
    assert same(tensors_of(tmp_path / "once"), tensors_of(tmp_path / "steps"))


def test_sizes_are_read_strictly():
    assert [parse_size(t) for t in ("5GB", "800mb", "12B", "3 K")] == [5 * 10**9, 8 * 10**8, 12, 3000]
    for text in ("0", "0GB", "-1GB", "5TB", "", "1.5GB", "GB"):
        with pytest.raises(UsageError, match="shard-size"):
            parse_size(text)


def test_a_size_without_its_unit_is_asked_for(source, tmp_path, capsys):
    assert convert(source, tmp_path / "out", "--shard-size", "5") == 2
    assert "--shard-size '5' has no unit; say 5GB or 5MB" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
