"""Folders of safetensors: what they hold, checked before any of it is used; shards written whole or not at all."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from baleen.config import UserError
from baleen.runs.files import sync_folder, write_atomic

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
}


class Entry(NamedTuple):
    """What a header says of one tensor; `file` is a name in the folder."""

    file: str
    dtype: torch.dtype
    shape: tuple[int, ...]


class TensorFolder:
    """The tensors of one model: all headers read and checked, contents read one by one.

    entries: tensor name -> Entry, file by file.

    Raises:
        UserError: a file is missing or damaged, the index and the files disagree, or a number type is not known.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        index = read_index(self.path)
        self.entries: dict[str, Entry] = {}
        for file in sorted(set(index.values())) if index else [SINGLE]:
            for name, entry in read_header(self.path / file).items():
                if name in self.entries:
                    raise UserError(
                        f"{self.path}: tensor {name} is in {self.entries[name].file} and in {file}"
                    )
                if index and index.get(name) != file:
                    raise UserError(
                        f"{self.path / file}: tensor {name} is not what {INDEX} says is here; "
                        "copy index and shards from one source"
                    )
                self.entries[name] = entry
        for name, file in index.items():
            if name not in self.entries:
                raise UserError(f"{self.path / file}: tensor {name} is missing, {INDEX} says it is here")
        self._file = ""
        self._shard: Any = None  # the library names no type for an open file

    def read(self, name: str) -> Tensor:
        """The tensor as stored. One file is open at a time, so that at most its pages stay in memory."""
        file = self.entries[name].file
        if file != self._file:
            self._shard = None
            self._file, self._shard = file, safe_open(self.path / file, framework="pt")
        return self._shard.get_tensor(name)


def read_index(folder: Path) -> dict[str, str]:
    """Tensor name -> file name of a sharded checkpoint; empty when the folder has no index."""
    path = folder / INDEX
    return read_weight_map(path) if path.exists() else {}


def read_weight_map(path: Path) -> dict[str, str]:
    """The `weight_map` of an index file: tensor name -> file name. Raises UserError."""
    try:
        weight_map = json.loads(path.read_text())["weight_map"]
        if not isinstance(weight_map, dict) or not weight_map:
            raise TypeError("weight_map is no object, or empty")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; give a checkpoint's {INDEX}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is no index of shards ({error!r}); copy it again from its source") from None
    for name, file in weight_map.items():
        plain = isinstance(file, str) and Path(file).name == file and "\0" not in file
        if not plain or not file.endswith(".safetensors"):
            raise UserError(
                f"{path}: tensor {name} is said to be in {file!r}; expected the name of a .safetensors file "
                "in the same folder"
            )
    return weight_map


def read_header(path: Path) -> dict[str, Entry]:
    """What one safetensors file holds. The library refuses headers and offsets that do not fit the file."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; the checkpoint is incomplete: copy it again from its source")
    entries = {}
    try:
        with safe_open(path, framework="pt") as shard:
            for name in shard.offset_keys():
                part = shard.get_slice(name)
                dtype = part.get_dtype()
                if dtype not in DTYPES:
                    raise UserError(f"{path}: tensor {name} has type {dtype}; expected {', '.join(DTYPES)}")
                entries[name] = Entry(path.name, DTYPES[dtype], tuple(part.get_shape()))
    except UserError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); copy it again from its source") from None
    return entries


def plan_shards(sizes: Mapping[str, int], max_shard_bytes: int) -> dict[str, list[str]]:
    """File name -> tensor names, in order, no file above `max_shard_bytes` unless one tensor alone is."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if shards[-1] and filled + size > max_shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    if len(shards) == 1:
        return {SINGLE: shards[0]}
    return {f"model-{i:05d}-of-{len(shards):05d}.safetensors": names for i, names in enumerate(shards, 1)}


def write_shard(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write one safetensors file and wait until its content is on the disk."""
    save_file({k: t.detach().contiguous() for k, t in tensors.items()}, path, metadata={"format": "pt"})
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def partial_name(path: Path) -> Path:
    """Where the content of `path` grows before it is whole."""
    return path.with_name(f".{path.name}.partial")


def withdraw(folder: Path, keep: Iterable[str] = ()) -> None:
    """Make the model in `folder` absent: config and index first, so that no moment shows a part of it.

    Only files with a model's names go: what else lies in the folder is somebody's.
    """
    for name in ("config.json", INDEX):
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    for pattern in (SINGLE, "model-*-of-*.safetensors", ".model*.safetensors.partial"):
        for path in folder.glob(pattern):
            if path.name not in keep:
                path.unlink()


def publish(
    folder: Path, shards: Mapping[str, list[str]], sizes: Mapping[str, int], config: Mapping[str, Any]
) -> None:
    """Write the index of more than one shard, then `config.json`: from here on the folder is a model."""
    if len(shards) > 1:
        weight_map = {name: file for file, names in shards.items() for name in names}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        write_atomic(folder / INDEX, json.dumps(index, indent=2) + "\n")
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
