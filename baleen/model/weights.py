"""Hugging Face-format folders in and out: `config.json` and safetensors under the released names."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from baleen.config import ModelConfig, UserError
from baleen.model.fp8 import FP8Linear, FP8Stack
from baleen.model.safetensors_folder import (
    Entry,
    TensorFolder,
    partial_name,
    plan_shards,
    publish,
    withdraw,
    write_shard,
)
from baleen.model.transformer import Transformer
from baleen.ops import FP8, dequantize, scale_shape
from baleen.runs.files import sync_folder

QUANTIZATION_CONFIG = {
    "quant_method": "fp8",
    "fmt": "e4m3",
    "activation_scheme": "dynamic",
    "weight_block_size": [128, 128],
}
SCALE_DTYPES = (torch.float32, torch.float8_e8m0fnu)
_STACKED = r"(.*\.experts)\.(gate_proj|up_proj|down_proj)(\.weight(?:_scale_inv)?)?"


def save_model(model: Transformer, path: str | Path, max_shard_bytes: int = 5 * 10**9) -> None:
    """Write the model as released: experts one tensor each, FP8 weights with their block scales.

    Files hold at most `max_shard_bytes`; more than one come with an index. A model that the folder holds stays until
    the new files are written; then its `config.json` goes first and the new one comes last, so that a kill leaves
    a whole model or none.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = dict(released_tensors(model))
    sizes = {name: tensor.nbytes for name, tensor in tensors.items()}
    shards = plan_shards(sizes, max_shard_bytes)
    partials = {file: partial_name(folder / file) for file in shards}
    for file, names in shards.items():
        write_shard(partials[file], {name: tensors[name] for name in names})
    withdraw(folder, keep=[path.name for path in partials.values()])
    for file, partial in partials.items():
        os.replace(partial, folder / file)
    sync_folder(folder)
    config = model.config.to_hf_dict()
    if any(tensor.dtype == FP8 for tensor in tensors.values()):
        config["quantization_config"] = QUANTIZATION_CONFIG
    publish(folder, shards, sizes, config)


def load_model(
    path: str | Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    fp8: Literal["dequantize", "keep"] = "dequantize",
) -> Transformer:
    """Read a folder that `save_model` or `transformers` wrote, or a release with FP8 weights, tensor by tensor.

    Peak memory is the model and one shard. `fp8="keep"` leaves the FP8 weights of the layers as stored and
    dequantizes them at each use: a quarter of the memory of float32, more time; such a model is not trained.

    Raises:
        UserError: missing or damaged files, or tensors that are missing, unexpected, of another shape or type than
            the config says. All headers are checked before memory is taken.
    """
    folder = TensorFolder(path)
    config = ModelConfig.from_pretrained(path)
    with torch.device("meta"):
        model = Transformer(config)
    check_tensors(str(path), folder.entries, model)
    model.set_dtype(dtype)
    if fp8 == "keep":
        _keep_fp8(model, folder.entries, dtype)
    model.to_empty(device=device)
    model.restore_rope()
    if config.tie_word_embeddings:
        model.lm_head.weight = model.model.embed_tokens.weight
    targets = dict(released_tensors(model))
    for name in folder.entries:
        if name not in targets:  # a tied copy, or the scales of a weight that is dequantized
            continue
        tensor = folder.read(name)
        if tensor.dtype == FP8 and targets[name].dtype != FP8:
            tensor = dequantize(tensor, folder.read(scale_name(name)))
        with torch.no_grad():
            targets[name].copy_(tensor)
    return model.eval()


def stored_dtype(path: str | Path) -> torch.dtype:
    """bfloat16 where a model that is loaded so keeps every number of the folder's checkpoint, else float32.

    What `Transformer.set_dtype` leaves in float32 may have any type. Raises UserError as `load_model`.
    """
    chooses = (".weights_proj.weight", ".e_score_correction_bias")
    types = {entry.dtype for name, entry in TensorFolder(path).entries.items() if not name.endswith(chooses)}
    return torch.bfloat16 if types == {torch.bfloat16} else torch.float32


def check_tensors(source: str, entries: Mapping[str, Entry], model: Transformer) -> None:
    """Compare what a folder `source` holds with the names and shapes of `model`, block scales with their weights."""
    wanted = {name: tuple(tensor.shape) for name, tensor in released_tensors(model)}
    for name, (file, dtype, shape) in entries.items():
        where = f"{source}/{file}: tensor {name}"
        weight = name.removesuffix("_scale_inv")
        if name != weight:
            if weight not in entries or entries[weight].dtype != FP8:
                raise UserError(f"{where} scales no FP8 weight; expected {weight} of type float8_e4m3fn")
            if dtype not in SCALE_DTYPES:
                raise UserError(f"{where} has type {dtype}; expected float32 or float8_e8m0fnu")
            expected = scale_shape(entries[weight].shape)
        elif name in wanted:
            expected = wanted[name]
        elif is_tied_copy(name, model.config):
            continue
        else:
            raise UserError(f"{where} does not belong to this config; check config.json's sizes")
        if shape != expected:
            raise UserError(f"{where} has shape {shape}, config.json asks for {expected}")
        if dtype == FP8 and (len(shape) != 2 or scale_name(name) not in entries):
            raise UserError(f"{where} is FP8 without {scale_name(name)}; copy the checkpoint again")
        if dtype == torch.float8_e8m0fnu and name == weight:
            raise UserError(f"{where} has type {dtype}, which is for scales; expected float32 or bfloat16")
    missing = wanted.keys() - entries.keys()
    if missing:
        raise UserError(f"{source}: {len(missing)} tensors are missing, the first is {min(missing)}")


def scale_name(weight: str) -> str:
    """The released name of the block scales of `weight`."""
    return f"{weight}_scale_inv"


def is_tied_copy(name: str, config: ModelConfig) -> bool:
    """The MTP layer's copies of embedding and head, and the head of a model that ties it."""
    mtp = f"model.layers.{config.num_hidden_layers}."
    copies = {mtp + "embed_tokens.weight", mtp + "shared_head.head.weight"}
    return name in copies or (config.tie_word_embeddings and name == "lm_head.weight")


def released_tensors(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """Every weight, routing bias and block scale under its released name; stacked experts as views of single ones."""
    seen: set[int] = set()
    for key, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in seen:  # a tied head is stored once
            continue
        seen.add(id(tensor))
        name = re.sub(r"\.stored$", ".weight", key)
        stacked = re.fullmatch(_STACKED, name)
        if stacked and tensor.ndim == 3:
            for expert in range(tensor.shape[0]):
                yield f"{stacked[1]}.{expert}.{stacked[2]}{stacked[3] or '.weight'}", tensor[expert]
        else:
            yield name, tensor


def released_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that `load_model` asks a checkpoint of `config` for; nothing is allocated."""
    with torch.device("meta"):
        model = Transformer(config)
    return {name: tuple(tensor.shape) for name, tensor in released_tensors(model)}


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
    tied = [name for name in more if is_tied_copy(name, config)]
    matrices = {f"{name}_scale_inv" for name, shape in expected.items() if len(shape) == 2}
    scales = [name for name in more if name in matrices]
    unexpected = sorted(set(more) - set(tied) - set(scales))
    return IndexDifference(sorted(set(expected) - given), unexpected, tied, scales)


def _keep_fp8(model: Transformer, entries: Mapping[str, Entry], dtype: torch.dtype) -> None:
    """Replace the layers' linear maps and expert stacks whose weights are FP8 in the checkpoint."""
    for path, module in list(model.model.layers.named_modules(prefix="model.layers")):
        if isinstance(module, torch.nn.Linear):
            scale = _scale_dtype([f"{path}.weight"], entries)
            if scale is not None:
                parent, _, child = path.rpartition(".")
                setattr(model.get_submodule(parent), child, FP8Linear(module.weight.shape, scale, dtype))
        elif path.endswith(".experts"):
            for child, stack in list(module.named_parameters(recurse=False)):
                scale = _scale_dtype([f"{path}.{e}.{child}.weight" for e in range(len(stack))], entries)
                if scale is not None:
                    delattr(module, child)
                    setattr(module, child, FP8Stack(stack.shape, scale, dtype))


def _scale_dtype(weights: list[str], entries: Mapping[str, Entry]) -> torch.dtype | None:
    """The one type of the scales of `weights`; None unless all are FP8 and agree, so they can be stacked."""
    found: set[Any] = {entries[w].dtype == FP8 and entries[scale_name(w)].dtype for w in weights}
    return found.pop() or None if len(found) == 1 else None
