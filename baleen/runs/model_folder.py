"""Find a model folder, and the name to serve its model under."""

from pathlib import Path

from baleen.config.errors import UserError


def model_folder(path: Path) -> Path:
    """Find the folder with `config.json`: `path` itself, or `path/model` of a finished run.

    Raises:
        UserError: there is none.
    """
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    if not path.exists():
        raise UserError(f"MODEL is {str(path)!r}, which does not exist; give a model folder or a run folder")
    raise UserError(
        f"MODEL is {str(path)!r}, which holds neither config.json nor model/config.json; "
        "give a model folder or the folder of a finished run"
    )


def model_name(folder: Path) -> str:
    """The name to serve a model under: its folder's, or its run's if the folder is called `model`."""
    full = folder.resolve()
    return full.parent.name if full.name == "model" else full.name
