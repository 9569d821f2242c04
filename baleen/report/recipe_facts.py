"""What a run's resolved recipe says of the model and of where a stage changes its data."""

import tomllib
from pathlib import Path
from typing import Any

from baleen.config.errors import UserError
from baleen.config.model import ModelConfig


def model_config(folder: Path, resolved: str) -> ModelConfig | None:
    """The sizes of the finished model, or those that the recipe names; None where neither tells."""
    if (folder / "model" / "config.json").exists():
        return ModelConfig.from_pretrained(folder / "model")
    try:
        model = tomllib.loads(resolved).get("model")
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{folder / 'resolved.toml'} is not valid TOML: {error}") from None
    if isinstance(model, str):
        return ModelConfig.preset(model)
    if isinstance(model, dict):
        changes = dict(model)
        preset = changes.pop("preset", None)
        values = ModelConfig.preset(preset).to_hf_dict() if preset else {}
        return ModelConfig.from_dict(values | changes, str(folder / "resolved.toml"))
    return None


def data_changes(resolved: str) -> list[tuple[int, str]]:
    """Steps of pre-training from which on it reads other data, with a few words for each."""
    recipe = tomllib.loads(resolved)
    stage: dict[str, Any] = recipe.get("pretrain", {})
    changes = []
    if stage.get("copy_steps"):
        changes.append((stage["copy_steps"], "copying ends"))
    if stage.get("extension_steps") and "steps" in stage:
        begin = stage["steps"] - stage["extension_steps"]
        words = f"{stage['extension_length']} tokens" if "extension_length" in stage else "longer context"
        share = recipe.get("long_data", {}).get("text_share")
        changes.append((begin, words if share is None else f"{words}, {share:.0%} real text"))
    return changes
