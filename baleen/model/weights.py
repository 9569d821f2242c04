"""Hugging Face-format folders in and out: `config.json` and safetensors under the released names."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from baleen.config import ModelConfig, UserError
from baleen.model.transformer import Transformer, rope_frequencies


def save_model(model: Transformer, path: str | Path) -> None:
    """Write `config.json` and `model.safetensors`; experts are unstacked to one tensor each, as released."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().contiguous() for name, tensor in _released_tensors(model)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config.to_hf_dict(), indent=2) + "\n")


def load_model(
    path: str | Path, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Transformer:
    """Read a folder that `save_model` or `transformers` wrote; shards are found by their index.

    Raises:
        UserError: missing files, or tensors that are missing, unexpected or of another shape than the config says.
    """
    folder = Path(path)
    config = ModelConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device=device)
    model.to(dtype)
    # not a weight: it comes from the config, and rounding it to `dtype` would shift far positions
    model.rope_frequencies = rope_frequencies(config).to(device)
    targets = dict(_released_tensors(model))
    missing = set(targets)
    for name, tensor in _read(folder):
        if name not in targets:
            if _is_tied_copy(name, config):
                continue
            raise UserError(
                f"{folder}: tensor {name} does not belong to this config; check config.json's sizes"
            )
        if targets[name].shape != tensor.shape:
            have, want = tuple(tensor.shape), tuple(targets[name].shape)
            raise UserError(f"{folder}: tensor {name} has shape {have}, config.json asks for {want}")
        with torch.no_grad():
            targets[name].copy_(tensor)
        missing.discard(name)
    if missing:
        raise UserError(f"{folder}: {len(missing)} tensors are missing, the first is {min(missing)}")
    return model.eval()


def _released_tensors(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and routing bias under its released name; stacked experts as views of single experts."""
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in seen:  # a tied head is stored once
            continue
        seen.add(id(tensor))
        stacked = re.fullmatch(r"(.*\.experts)\.(gate_proj|up_proj|down_proj)", name)
        if stacked:
            for expert in range(tensor.shape[0]):
                yield f"{stacked[1]}.{expert}.{stacked[2]}.weight", tensor[expert]
        else:
            yield name, tensor


def _is_tied_copy(name: str, config: ModelConfig) -> bool:
    """The MTP layer's copies of embedding and head, and the head of a model that ties it."""
    mtp = f"model.layers.{config.num_hidden_layers}."
    copies = {mtp + "embed_tokens.weight", mtp + "shared_head.head.weight"}
    return name in copies or (config.tie_word_embeddings and name == "lm_head.weight")


def _read(folder: Path) -> Iterator[tuple[str, Tensor]]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        files = ["model.safetensors"]
    for file in files:
        if not (folder / file).exists():
            raise UserError(f"{folder / file} does not exist; the checkpoint is incomplete")
        try:
            with safe_open(folder / file, framework="pt") as shard:
                for name in shard.keys():  # noqa: SIM118  (safe_open is no mapping)
                    yield name, shard.get_tensor(name)
        except SafetensorError as error:
            raise UserError(f"{folder / file} is damaged ({error}); copy it again from its source") from None
