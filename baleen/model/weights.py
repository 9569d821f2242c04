"""Hugging Face-format folders in and out: `config.json` and safetensors under the released names."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


def released_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that `load_model` asks a checkpoint of `config` for; nothing is allocated."""
    with torch.device("meta"):
        model = Transformer(config)
    return {name: tuple(tensor.shape) for name, tensor in _released_tensors(model)}


def read_index(file: Path) -> dict[str, str]:
    """The `weight_map` of a `model.safetensors.index.json`: tensor name -> file of its shard.

    Raises:
        UserError: the file does not exist, is not JSON, or holds no weight_map.
    """
    try:
        names = json.loads(file.read_text())["weight_map"]
        return {str(name): str(shard) for name, shard in names.items()}
    except FileNotFoundError:
        raise UserError(f"{file} does not exist; give a checkpoint's model.safetensors.index.json") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid JSON ({error}); copy it again from its source") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{file} has no weight_map of names to files; give a checkpoint's model.safetensors.index.json"
        ) from None


@dataclass(frozen=True)
class IndexDifference:
    """Where the names of an index depart from a config's, in order; and those that need no place of their own."""

    missing: list[str]
    unexpected: list[str]
    tied_copies: list[str]  # of the embedding and the head
    scales: list[str]  # of FP8 blocks, beside the matrices they belong to


def compare_index(config: ModelConfig, names: Iterable[str]) -> IndexDifference:
    """`names` of a checkpoint against `released_shapes`. An index knows no shapes, so names are all that is seen."""
    expected, given = released_shapes(config), set(names)
    more = sorted(given - set(expected))
    tied = [name for name in more if _is_tied_copy(name, config)]
    matrices = {f"{name}_scale_inv" for name, shape in expected.items() if len(shape) == 2}
    scales = [name for name in more if name in matrices]
    unexpected = sorted(set(more) - set(tied) - set(scales))
    return IndexDifference(sorted(set(expected) - given), unexpected, tied, scales)


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
    files = sorted(set(read_index(index).values())) if index.exists() else ["model.safetensors"]
    for file in files:
        if not (folder / file).exists():
            raise UserError(f"{folder / file} does not exist; the checkpoint is incomplete")
        try:
            with safe_open(folder / file, framework="pt") as shard:
                for name in shard.keys():  # noqa: SIM118  (safe_open is no mapping)
                    yield name, shard.get_tensor(name)
        except SafetensorError as error:
            raise UserError(f"{folder / file} is damaged ({error}); copy it again from its source") from None
