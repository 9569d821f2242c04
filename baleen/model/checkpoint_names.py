"""The names of a checkpoint's tensors, without reading the tensors."""

from collections.abc import Iterable
from pathlib import Path

from baleen.model.safetensors_folder import INDEX, SINGLE, read_header, read_weight_map


def checkpoint_names(path: Path) -> Iterable[str]:
    """Names of a checkpoint's tensors, from its index, or from its header if it is a single file without one.

    Args:
        path: the checkpoint's folder, its index, or its single safetensors file.

    Raises:
        UserError: the file is missing or damaged.
    """
    index = path / INDEX if path.is_dir() else path
    if index.suffix == ".safetensors":
        return read_header(index)
    single = index.with_name(SINGLE)
    return read_header(single) if not index.exists() and single.is_file() else read_weight_map(index)
