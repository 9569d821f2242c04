"""A checkpoint into another number format, other shards, or with an indexer: one shard in memory, resumable."""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from baleen.config import ModelConfig, UsageError, UserError
from baleen.model.safetensors_folder import (
    INDEX,
    Entry,
    TensorFolder,
    partial_name,
    plan_shards,
    publish,
    read_header,
    withdraw,
    write_shard,
)
from baleen.model.transformer import Transformer
from baleen.model.weights import QUANTIZATION_CONFIG, check_tensors, scale_name
from baleen.ops import FP8, dequantize, quantize, scale_shape
from baleen.runs.files import sync_folder, write_json

RECORD = ".convert.json"  # in an unfinished folder: what is being made of what
_FORMATS = {"bfloat16": torch.bfloat16, "float32": torch.float32}
# The matrices that the release stores in FP8; embedding, head, norms, router, weights_proj and eh_proj are not.
_QUANTISED = re.compile(
    r"model\.layers\.\d+\..*\b(q_a_proj|q_b_proj|kv_a_proj_with_mqa|kv_b_proj|o_proj|wq_b|wk"
    r"|gate_proj|up_proj|down_proj)\.weight"
)
# Small and kept in float32 whatever the format: their rounding would change which experts are chosen.
_FLOAT32 = re.compile(r".*\.e_score_correction_bias")


@dataclass(frozen=True)
class IndexerSizes:
    """The new indexers: heads, width of a head, tokens a query may read, and the seed of their random weights."""

    heads: int = 64
    dim: int = 128
    topk: int = 2048
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What to make. to: number format, None keeps each tensor's. indexer: add one to each layer of a dense model."""

    to: Literal["fp8", "bfloat16", "float32"] | None = None
    max_shard_bytes: int = 5 * 10**9
    indexer: IndexerSizes | None = None


def convert(
    source: Path,
    target: Path,
    plan: Plan,
    force: bool = False,
    progress: Callable[[str, int, int, bool], None] = lambda *_: None,
) -> None:
    """Make of the model in `source` the one of `plan` in `target`, shard by shard.

    A second call with the same arguments goes on after the shards that are there; `progress(file, number, of, made)`
    is told of each. Peak memory is one shard of each side and one tensor.

    Raises:
        UserError: `source` is no whole model, or `target` holds something else and `force` is not given.
        UsageError: the plan does not fit the model.
    """
    if source.resolve() == target.resolve():
        raise UsageError(f"{target} is the source itself; give another folder")
    folder = TensorFolder(source)
    config = _config(source, folder, plan)
    outputs = dict(_outputs(folder, plan, config))
    model_config = ModelConfig.from_dict(dict(config), f"{source}/config.json")
    with torch.device("meta"):
        check_tensors(str(source), outputs, Transformer(model_config))
    _claim(target, {"source": _fingerprint(folder), **asdict(plan)}, force)
    sizes = {name: math.prod(e.shape) * e.dtype.itemsize for name, e in outputs.items()}
    shards = plan_shards(sizes, plan.max_shard_bytes)
    for number, (file, names) in enumerate(shards.items(), 1):
        made = not _is_there(target / file, {name: outputs[name] for name in names})
        if made:
            _write(target / file, folder, {name: outputs[name] for name in names}, plan)
        progress(file, number, len(shards), made)
    for path in source.iterdir():  # tokenizer and templates; never code
        if path.suffix in (".json", ".jinja", ".txt", ".model") and path.name not in ("config.json", INDEX):
            shutil.copyfile(path, target / path.name)
    publish(target, shards, sizes, config)
    (target / RECORD).unlink()


def _outputs(folder: TensorFolder, plan: Plan, config: dict[str, Any]) -> Iterator[tuple[str, Entry]]:
    """Every tensor of the result with its type and shape; a weight's scales follow it, so they share a shard mostly."""
    entries = dict(folder.entries)
    if plan.indexer:
        entries |= _indexer_entries(entries, plan.indexer, config)
    for name, entry in entries.items():
        if name.endswith("_scale_inv"):
            if plan.to in (None, "fp8") or name.removesuffix("_scale_inv") not in entries:
                yield name, entry
        elif entry.dtype == FP8 and plan.to in (None, "fp8"):
            yield name, entry
        elif plan.to == "fp8" and _QUANTISED.fullmatch(name) and len(entry.shape) == 2:
            yield name, entry._replace(dtype=FP8)
            yield scale_name(name), Entry(entry.file, torch.float32, scale_shape(entry.shape))
        elif plan.to in _FORMATS and not _FLOAT32.fullmatch(name):
            yield name, entry._replace(dtype=_FORMATS[plan.to])
        else:
            yield name, entry


def _indexer_entries(
    entries: dict[str, Entry], sizes: IndexerSizes, config: dict[str, Any]
) -> dict[str, Entry]:
    """The weights of a new indexer in every layer, the MTP layer included, in the type of the layer's norm."""
    width, latent = config["hidden_size"], config["q_lora_rank"]
    added = {}
    for name, entry in entries.items():
        if not name.endswith(".self_attn.q_a_layernorm.weight"):
            continue
        indexer = name.removesuffix("q_a_layernorm.weight") + "indexer."
        for part, shape in {
            "wq_b.weight": (sizes.heads * sizes.dim, latent),
            "wk.weight": (sizes.dim, width),
            "k_norm.weight": (sizes.dim,),
            "k_norm.bias": (sizes.dim,),
            "weights_proj.weight": (sizes.heads, width),
        }.items():
            added[indexer + part] = Entry("", entry.dtype, shape)
    return added


def _write(path: Path, folder: TensorFolder, names: dict[str, Entry], plan: Plan) -> None:
    tensors: dict[str, Tensor] = {}
    for name, entry in names.items():
        if name not in tensors:
            tensors |= {k: t for k, t in _make(name, entry, folder, plan).items() if k in names}
    write_shard(partial_name(path), tensors)
    os.replace(partial_name(path), path)
    sync_folder(path.parent)


def _make(name: str, entry: Entry, folder: TensorFolder, plan: Plan) -> dict[str, Tensor]:
    """The tensor `name` of the result, with the scales or the weight that are made together with it."""
    if name in folder.entries and folder.entries[name].dtype == entry.dtype:
        # a copy: what lies in the mapped file would keep all of its pages that were touched
        return {name: folder.read(name).clone()}
    weight = name.removesuffix("_scale_inv")
    if weight not in folder.entries and plan.indexer:
        tensor = _initial(weight, entry, folder, plan.indexer)
    else:
        tensor = folder.read(weight)
        if tensor.dtype == FP8:
            tensor = dequantize(tensor, folder.read(scale_name(weight)))
    if name != weight or entry.dtype == FP8:
        values, scales = quantize(tensor)
        return {weight: values, scale_name(weight): scales}
    return {name: tensor.to(entry.dtype)}


def _initial(name: str, entry: Entry, folder: TensorFolder, sizes: IndexerSizes) -> Tensor:
    """A new indexer's tensor, N(0, 1/fan_in) as `Transformer.initialize`; the seed of each is its name's."""
    if "k_norm" in name:
        return torch.full(entry.shape, float(name.endswith("weight")))
    digest = hashlib.sha256(f"{sizes.seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    shape = entry.shape
    if name.endswith("wq_b.weight"):  # the entry may be that of the scales
        latent = folder.entries[name.replace("indexer.wq_b", "q_a_layernorm")].shape[0]
        shape = (sizes.heads * sizes.dim, latent)
    elif name.endswith("wk.weight"):
        shape = (sizes.dim, folder.entries["model.norm.weight"].shape[0])
    return torch.randn(shape, generator=generator) * shape[-1] ** -0.5


def _config(source: Path, folder: TensorFolder, plan: Plan) -> dict[str, Any]:
    """The result's `config.json`: the source's, with the number format, the MTP depth and the indexer's sizes."""
    try:
        config = json.loads((source / "config.json").read_text())
        layers = config["num_hidden_layers"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source}/config.json is no model config ({error!r}); restore it") from None
    has_mtp = any(name.startswith(f"model.layers.{layers}.") for name in folder.entries)
    config["num_nextn_predict_layers"] = int(has_mtp)  # `transformers` drops the layer and not always the key
    has_indexer = any(".indexer." in name for name in folder.entries)
    if plan.indexer and has_indexer:
        raise UsageError(f"{source} has indexers already; leave out --add-indexer")
    if plan.indexer:
        config |= {
            "architectures": ["DeepseekV32ForCausalLM"],
            "model_type": "deepseek_v32",
            "index_n_heads": plan.indexer.heads,
            "index_head_dim": plan.indexer.dim,
            "index_topk": plan.indexer.topk,
        }
        config.pop("sparse_attention", None)
    if plan.to:
        config.pop("torch_dtype", None)
        config.pop("quantization_config", None)
        config["dtype"] = "float32" if plan.to == "float32" else "bfloat16"
        if plan.to == "fp8":
            config["quantization_config"] = QUANTIZATION_CONFIG
    return config


def _claim(target: Path, record: dict[str, Any], force: bool) -> None:
    """Make `target` ours: new, empty, or begun by the same conversion. With `force` an older model goes."""
    record = json.loads(json.dumps(record))
    if force and target.is_dir():
        withdraw(target)
        (target / RECORD).unlink(missing_ok=True)
    elif (target / RECORD).exists():
        try:
            begun = json.loads((target / RECORD).read_text())
        except ValueError:
            begun = None
        if begun != record:
            raise UserError(
                f"{target} holds an unfinished conversion of another source or with other options; repeat "
                "those, or start afresh with --force"
            )
        return
    elif target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is not empty; choose another folder, or replace its model with --force")
    target.mkdir(parents=True, exist_ok=True)
    write_json(target / RECORD, record)


def _fingerprint(folder: TensorFolder) -> dict[str, Any]:
    """What tells whether the source is still the one that a conversion was begun from."""
    files = sorted({entry.file for entry in folder.entries.values()} | {"config.json"})
    stats = {file: (folder.path / file).stat() for file in files}
    return {file: [stat.st_size, stat.st_mtime_ns] for file, stat in stats.items()}


def _is_there(path: Path, expected: dict[str, Entry]) -> bool:
    """Whether `path` was written by the run before: renamed when whole, so its header is all there is to check."""
    if not path.exists():
        return False
    header = read_header(path)
    return {k: e[1:] for k, e in header.items()} == {k: e[1:] for k, e in expected.items()}
