"""Damaged and hostile checkpoints: each is refused with the file, the tensor and what was expected."""

import json
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from baleen.config import ModelConfig, UserError
from baleen.model import Transformer, load_model, save_model
from baleen.model.safetensors_folder import INDEX, plan_shards, read_header


@pytest.fixture
def folder(tmp_path):
    model = Transformer(ModelConfig.preset("tiny", vocab_size=64)).initialize(
        torch.Generator().manual_seed(0)
    )
    save_model(model, tmp_path, max_shard_bytes=400_000)
    return tmp_path


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "empty file": b"",
    "shorter than a length": b"\1\2\3",
    "huge header": raw({}, length=2**62),
    "negative header": raw({}, length=2**64 - 1),
    "header beyond the file": raw({}, length=1000),
    "not JSON": raw(b"hello"),
    "not UTF-8": raw(b'{"\xff": 1}'),
    "a list": raw([]),
    "a string for a tensor": raw({"a": "b"}),
    "a string for a shape": raw({"a": {"dtype": "F32", "shape": "4", "data_offsets": [0, 4]}}, bytes(4)),
    "negative shape": raw({"a": tensor(0, 4, [-1])}, bytes(4)),
    "negative offset": raw({"a": tensor(-4, 0, [1])}, bytes(4)),
    "overlapping tensors": raw({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, bytes(12)),
    "offsets beyond the data": raw({"a": tensor(0, 400, [100])}, bytes(8)),
    "data that no tensor claims": raw({"a": tensor(0, 4, [1])}, bytes(400)),
    "a hole": raw({"a": tensor(0, 4, [1]), "b": tensor(8, 12, [1])}, bytes(12)),
    "size unlike shape": raw({"a": tensor(0, 8, [1])}, bytes(8)),
    "shape that overflows": raw({"a": tensor(0, 4, [2**40, 2**40])}, bytes(4)),
    "unknown type": raw({"a": tensor(0, 4, [1], "X9")}, bytes(4)),
    "integers": raw({"a": tensor(0, 4, [1], "I32")}, bytes(4)),
    "one name twice": raw(
        b'{"a":'
        + json.dumps(tensor(0, 4, [1])).encode()
        + b',"a":'
        + json.dumps(tensor(4, 8, [1])).encode()
        + b"}",
        bytes(8),
    ),
    "deep nesting": raw(b"[" * 100_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused(folder, name):
    file = sorted(folder.glob("*.safetensors"))[0]
    file.write_bytes(HOSTILE[name])
    with pytest.raises(UserError, match=file.name):
        load_model(folder)


def test_a_hundred_thousand_unknown_tensors_are_refused(folder):
    (folder / INDEX).unlink()
    header = {f"t{i}": tensor(i, i + 1, [1], "F8_E4M3") for i in range(100_000)}
    (folder / "model.safetensors").write_bytes(raw(header, bytes(100_000)))
    with pytest.raises(UserError, match="tensor t0 does not belong"):
        load_model(folder)


def test_a_truncated_or_absent_shard_is_refused(folder):
    file = sorted(folder.glob("*.safetensors"))[1]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{file.name} is damaged"):
        load_model(folder)
    file.unlink()
    with pytest.raises(UserError, match=f"{file.name} does not exist"):
        load_model(folder)


@pytest.mark.parametrize(
    "file", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", "", 3, None, ["a"]]
)
def test_an_index_may_only_name_files_beside_it(folder, file):
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"]["lm_head.weight"] = file
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match="lm_head.weight is said to be in"):
        load_model(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "3", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000]
)
def test_a_damaged_index_is_refused(folder, text):
    (folder / INDEX).write_text(text)
    with pytest.raises(UserError, match="is no index of shards"):
        load_model(folder)


def rewrite(folder, change) -> None:
    """Apply `change` to the tensors of the shard that holds the final norm, the index left alone."""
    file = folder / json.loads((folder / INDEX).read_text())["weight_map"]["model.norm.weight"]
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)


NORM = "model.norm.weight"


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda t: t.pop(NORM), f"{NORM} is missing, .*index.json says"),
        (lambda t: t.update({"x": t[NORM].clone()}), "tensor x is not what .*index.json says"),
        (
            lambda t: t.update({"model.embed_tokens.weight": torch.ones(2)}),
            "tensor model.embed_tokens.weight is",
        ),
        (
            lambda t: t.update({NORM: torch.ones(5)}),
            rf"{NORM} has shape \(5,\), config.json asks for \(96,\)",
        ),
        (lambda t: t.update({NORM: torch.ones(96, dtype=torch.int64)}), f"{NORM} has type I64; expected F32"),
        (lambda t: t.update({NORM: t[NORM].to(torch.float8_e4m3fn)}), f"{NORM} is FP8 without"),
        (
            lambda t: t.update({NORM: t[NORM].to(torch.float8_e8m0fnu)}),
            f"{NORM} has type .*e8m0fnu, which is for",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(folder, change, told):
    rewrite(folder, change)
    with pytest.raises(UserError, match=told):
        load_model(folder)


def test_missing_and_unknown_tensors_of_a_single_file_are_named(folder):
    model = load_model(folder)
    save_model(model, folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    norm = tensors.pop(NORM)
    save_file(tensors, file)
    with pytest.raises(UserError, match=f"1 tensors are missing, the first is {NORM}"):
        load_model(folder)
    save_file(tensors | {NORM: norm, "lm_head.weight_scale_inv": torch.ones(1, 1)}, file)
    with pytest.raises(UserError, match="lm_head.weight_scale_inv scales no FP8 weight"):
        load_model(folder)


def test_shards_respect_the_size_and_the_index_is_whole(folder):
    files = sorted(folder.glob("*.safetensors"))
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    assert len(files) > 3 and {file.name for file in files} == set(weight_map.values())
    for file in files:
        header = read_header(file)
        assert len(header) == 1 or sum(t.nbytes for t in load_file(file).values()) <= 400_000
    assert plan_shards({"a": 6, "b": 4, "c": 1, "d": 99, "e": 1}, 10) == {
        f"model-{n}-of-00004.safetensors": names
        for n, names in [("00001", ["a", "b"]), ("00002", ["c"]), ("00003", ["d"]), ("00004", ["e"])]
    }


@pytest.mark.parametrize("calls", range(12))
def test_a_save_killed_anywhere_leaves_the_old_model_the_new_one_or_none(folder, monkeypatch, calls):
    """Every write, rename and removal is a place to die; another seed's model is saved over the first."""
    old = load_model(folder)
    new = Transformer(old.config).initialize(torch.Generator().manual_seed(1))
    left = iter(range(calls))

    def dies_after(function):
        def wrapped(*arguments, **named):
            if next(left, None) is None:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr("baleen.model.weights.write_shard", dies_after(save_file_like))
        patch.setattr("os.replace", dies_after(__import__("os").replace))
        patch.setattr("pathlib.Path.unlink", dies_after(__import__("pathlib").Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            save_model(new, folder, max_shard_bytes=400_000)
    try:
        found = load_model(folder)
    except UserError as error:
        assert "config.json" in str(error) or "does not exist" in str(error)
        return
    one = next(found.parameters())
    whole = old if torch.equal(one, next(old.parameters())) else new
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), whole.parameters(), strict=True))


def save_file_like(path, tensors) -> None:
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, path)


def test_a_tied_head_is_stored_once_and_loads(tmp_path):
    config = ModelConfig.preset("tiny", vocab_size=64, tie_word_embeddings=True)
    model = Transformer(config).initialize(torch.Generator().manual_seed(3)).eval()
    save_model(model, tmp_path)
    assert "lm_head.weight" not in read_header(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    ids = torch.arange(40).unsqueeze(0)
    assert torch.equal(model(ids), loaded(ids))


def test_saving_over_a_model_replaces_its_files_and_no_others(folder):
    (folder / "adapter.safetensors").write_bytes(b"somebody's")
    shards = len(list(folder.glob("model-*.safetensors")))
    model = load_model(folder)
    save_model(model, folder)
    assert shards > 1 and sorted(p.name for p in folder.glob("*.safetensors")) == [
        "adapter.safetensors",
        "model.safetensors",
    ]
    assert not (folder / INDEX).exists()
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), load_model(folder).parameters(), strict=True)
    )
