"""Checkpoints that survive kill -9 and a power cut: written beside, synced, then renamed; verified when read."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

from baleen.config.files import sync_folder, write_synced

MANIFEST = "manifest.json"


class Checkpoints:
    """The numbered checkpoints `step-N` of one stage; the newest intact one counts, the last two are kept."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, step: int, groups: dict[str, dict[str, Tensor]], state: dict[str, Any]) -> None:
        """Write `groups` (file name -> named tensors) and the JSON-able `state`: the checkpoint after `step` steps."""
        final = self.folder / f"step-{step:06d}"
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

    def latest(self) -> tuple[int, dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """(step, groups, state) of the newest intact checkpoint, or None. A damaged one is passed over."""
        for folder in reversed(self._all()):
            try:
                manifest = json.loads((folder / MANIFEST).read_text())
                groups = {}
                for file, checksum in manifest["sha256"].items():
                    data = (folder / file).read_bytes()
                    if hashlib.sha256(data).hexdigest() != checksum:
                        raise ValueError(f"{folder / file} does not match its checksum")
                    groups[file.removesuffix(".safetensors")] = load(data)
                return manifest["step"], groups, manifest["state"]
            except (OSError, ValueError, KeyError):
                continue
        return None

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))
