"""Checkpoints that survive kill -9 and a power cut: written beside, synced, then renamed; verified when read."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from baleen.runs.files import sync_folder, write_synced

MANIFEST = "manifest.json"

Checkpoint = tuple[int, dict[str, dict[str, Tensor]], dict[str, Any]]
"""(step, groups, state) as given to `Checkpoints.save`."""


class CheckpointError(ValueError):
    """A checkpoint that is missing or damaged; the message names its file and what is wrong."""


class Checkpoints:
    """The numbered checkpoints `step-N` of one stage; the newest intact one counts, the last two are kept.

    tell: gets one line when a damaged one is passed over.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda line: None):
        self.folder, self.tell = folder, tell

    def save(self, step: int, groups: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
        """Write `groups` (file name -> named tensors) and the JSON-able `state`: the checkpoint after `step` steps."""
        final = self._path(step)
        if final.exists():
            return
        partial = self.folder / f".partial-{step:06d}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        checksums = {}
        for name, tensors in groups.items():
            data = save({key: tensor.detach().contiguous() for key, tensor in tensors.items()})
            checksums[f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
            write_synced(partial / f"{name}.safetensors", data)
        manifest = {"step": step, "state": state, "sha256": checksums}
        write_synced(partial / MANIFEST, json.dumps(manifest, indent=2).encode())
        sync_folder(partial)
        os.rename(partial, final)
        sync_folder(self.folder)
        for old in self._all()[:-2]:
            shutil.rmtree(old)

    def latest(self) -> Checkpoint | None:
        """The newest intact checkpoint, or None. Damaged ones after it are put aside, and `tell` is told."""
        damaged: list[Path] = []
        found = None
        for folder in reversed(self._all()):
            try:
                found = _read(folder)
                break
            except CheckpointError:
                damaged.append(folder)
        for folder in damaged:  # out of the way of the one that will be written in its place
            aside = folder.with_name(f"damaged-{folder.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(folder, aside)
            how = f"step {found[0]}" if found else "the start of the stage"
            self.tell(f"checkpoint {folder} is damaged (kept as {aside.name}); going on from {how}")
        return found

    def at(self, step: int) -> Checkpoint:
        """The checkpoint after `step` steps. Raises CheckpointError where it is missing or damaged."""
        return _read(self._path(step))

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}"

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


def _read(folder: Path) -> Checkpoint:
    """Raises CheckpointError."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        step, state, checksums = manifest["step"], manifest["state"], manifest["sha256"]
        if folder.name != f"step-{step:06d}":
            raise CheckpointError(f"{folder / MANIFEST} is of step {step}")
        groups = {}
        for file, checksum in checksums.items():
            data = (folder / file).read_bytes()
            if hashlib.sha256(data).hexdigest() != checksum:
                raise CheckpointError(f"{folder / file} does not match its checksum")
            groups[file.removesuffix(".safetensors")] = load(data)
        return step, groups, state
    except OSError as error:
        raise CheckpointError(f"{error.filename}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{folder / MANIFEST} is not a checkpoint's manifest") from None
