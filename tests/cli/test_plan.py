"""`baleen plan`: the report's figures from the command, its other outputs, and one line for every bad input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from baleen.cli.main import main
from baleen.config import ModelConfig, presets

# Dollars per million tokens, read from the vector paths of the V3.2 report's figure, at these thousands of tokens
POSITIONS = [0, 2, 8, 16, 32, 64, 96, 128]
FIGURE = {
    ("prefill", "dense"): [0.0529, 0.0624, 0.0912, 0.1295, 0.2061, 0.3593, 0.5125, 0.6658],
    ("prefill", "dsa"): [0.0611, 0.0729, 0.1009, 0.1067, 0.1182, 0.1412, 0.1641, 0.1871],
    ("decode", "dense"): [0.0705, 0.1031, 0.2007, 0.3310, 0.5915, 1.1124, 1.6334, 2.1543],
    ("decode", "dsa"): [0.0952, 0.1444, 0.1506, 0.1572, 0.1703, 0.1966, 0.2228, 0.2491],
}


def planned(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["plan", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_released_model(capsys: pytest.CaptureFixture[str]) -> None:
    figures = planned(capsys, "--preset", "v3.2")
    counts, cache = figures["parameters"], figures["cache_bytes_per_token"]
    assert (round(counts["backbone"] / 1e9), round(counts["active"] / 1e9)) == (671, 37)
    assert (cache["mla_bf16"], cache["dsa_fp8"]) == (70_272, 48_068)
    assert figures["positions"] == [1024 * position for position in POSITIONS]
    for (phase, kind), dollars in FIGURE.items():
        assert figures["dollars_per_million"][phase][kind] == pytest.approx(dollars, abs=5e-4)
    assert figures["memory_per_device"]["serving"]["fp8"]["weights"] == figures["weight_bytes"]["fp8"]


def test_the_tables_show_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--preset", "v3.2"]) == 0
    out = capsys.readouterr().out
    for figure in ("671,026,404,352", "37,476,106,240", "70,272 B", "48,068 B", "0.2491", "638.7 GiB"):
        assert figure in out
    assert "activations" in out and "$2 an hour" in out


@pytest.mark.parametrize("name", presets())
def test_every_preset_says_what_it_is_for(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        from baleen.cli import plan

        plan.main(["--help"])
    assert f"{name}: {presets()[name]}" in " ".join(capsys.readouterr().out.replace("│", "").split())


def test_a_folder_a_file_and_its_tensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = ModelConfig.preset("tiny", num_nextn_predict_layers=0)
    (tmp_path / "config.json").write_text(json.dumps(config.to_hf_dict()))
    from_folder = planned(capsys, str(tmp_path), "--tensors")
    from_file = planned(capsys, str(tmp_path / "config.json"), "--tensors")
    assert from_folder["tensors"] == from_file["tensors"]
    assert from_folder["tensors"]["lm_head.weight"] == [1024, 96]
    assert len(from_folder["tensors"]) == from_folder["num_tensors"]
    assert main(["plan", str(tmp_path), "--tensors"]) == 0
    assert "model.layers.1.mlp.experts.7.down_proj.weight [96, 64]\n" in capsys.readouterr().out


def test_an_index_that_differs_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = planned(capsys, "--preset", "tiny", "--tensors")["tensors"]
    file = tmp_path / "model.safetensors.index.json"
    file.write_text(json.dumps({"weight_map": dict.fromkeys(names, "a.safetensors")}))
    words = ("--preset", "tiny", "--index", str(file))
    assert planned(capsys, *words)["index"] == dict.fromkeys(
        ("missing", "unexpected", "tied_copies", "scales"), []
    )
    del names["model.norm.weight"]
    file.write_text(json.dumps({"weight_map": dict.fromkeys([*names, "model.bias"], "a.safetensors")}))
    index = planned(capsys, *words, code=1)["index"]
    assert (index["missing"], index["unexpected"]) == (["model.norm.weight"], ["model.bias"])
    assert main(["plan", *words]) == 1
    out = capsys.readouterr().out
    assert "missing: model.norm.weight" in out and "unexpected: model.bias" in out


def test_a_checkpoint_of_one_file_is_compared_by_its_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As docs/checkpoints.md has it after `baleen convert`, which writes no index beside a single file."""
    from baleen.model import Transformer, save_model

    save_model(Transformer(ModelConfig.preset("tiny", vocab_size=64)), tmp_path / "model")
    source, made = str(tmp_path / "model"), str(tmp_path / "made")
    assert main(["convert", source, made, "--to", "bfloat16"]) == 0
    capsys.readouterr()
    for index in (made, f"{made}/model.safetensors.index.json", f"{made}/model.safetensors"):
        assert not any(planned(capsys, made, "--index", index)["index"].values())
    assert planned(capsys, "--preset", "tiny", "--index", made)["index"]["missing"] == []
    config = json.loads((tmp_path / "made/config.json").read_text()) | {"num_nextn_predict_layers": 0}
    (tmp_path / "made/config.json").write_text(json.dumps(config))
    assert planned(capsys, made, "--index", made, code=1)["index"]["unexpected"]


def test_the_plot_is_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "cost.svg"
    planned(capsys, "--preset", "small", "--plot", str(file))
    text = file.read_text()
    root = ElementTree.fromstring(text)
    shown = " ".join("".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text"))
    assert "Prefill, $ per" in shown and "Decode, MFLOP per token" in shown and "DSA" in shown
    used = {part.split(")")[0] for part in text.split("var(")[1:]}
    assert used and all(f"{variable}:" in text for variable in used), "colours that only the page would know"


def test_the_mesh_and_the_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--preset", "v3.2", "--data", "8", "--expert", "16", "--tensor", "2")
    memory = planned(capsys, *words, "--sequences", "16", "--context", "4096")["memory_per_device"]
    assert memory["mesh"] == {"data": 8, "expert": 16, "tensor": 2, "devices": 16}
    assert memory["serving"]["fp8"]["cache"] == 2 * 4096 * 48_068
    for kind in (*memory["serving"].values(), memory["training"]):
        assert kind["total"] == sum(value for part, value in kind.items() if part != "total")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--preset", "huge"], 1, ["huge", "tiny", "v3.2 (the released"]),
        ([], 2, ["--preset NAME"]),
        (["model", "--preset", "tiny"], 2, ["either"]),
        (["nowhere"], 1, ["nowhere", "does not exist"]),
        (["--preset", "v3.2", "--tensor", "3"], 2, ["--tensor 3", "num_attention_heads = 128"]),
        (["--preset", "v3.2", "--expert", "3"], 2, ["--expert 3", "n_routed_experts = 256"]),
        (["--preset", "tiny", "--data", "-1"], 2, ["--data -1"]),
        (["--preset", "tiny", "--context", "9000"], 1, ["--context 9000", "8192"]),
        (["--preset", "tiny", "--sequences", "0"], 2, ["--sequences 0"]),
        (["--preset", "tiny", "--index", "nowhere.json"], 1, ["nowhere.json", "does not exist"]),
        (["--preset", "tiny", "--index", "broken.json"], 1, ["broken.json", "no index of shards"]),
        (["--preset", "tiny", "--index", "."], 1, ["model.safetensors.index.json", "does not exist"]),
        (["--preset", "tiny", "--plot", "cost.png"], 2, ["cost.png", ".svg"]),
        (["--preset", "tiny", "--plot", "nowhere/cost.svg"], 1, ["nowhere/cost.svg"]),
        (["broken.json"], 1, ["broken.json", "not valid JSON"]),
        (["list.json"], 1, ["list.json", "no JSON object"]),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    code: int,
    told: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.json").write_text('{"weight_map"')
    Path("list.json").write_text("[1]")
    assert main(["plan", *words]) == code
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and err.startswith("baleen: error: ") and not out
    assert all(part in err for part in told), err


def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys\nfrom baleen.cli.main import main\nassert main(['plan', '--help']) == 0\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--preset" in done.stdout, done.stderr
