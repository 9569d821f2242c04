"""What a run's recipe says of the model and of where a stage changes its data."""

from pathlib import Path

from baleen.config.model import ModelConfig
from baleen.config.recipe import Recipe
from baleen.config.stages import PretrainStage


def model_config(folder: Path, recipe: Recipe) -> ModelConfig:
    """The sizes of the finished model, of the one that the run began with, or those that the recipe names."""
    for stage in reversed(recipe.stages):
        if stage.save_as and (folder / stage.save_as / "config.json").exists():
            return ModelConfig.from_pretrained(folder / stage.save_as)
    first = recipe.stages[0]
    if first.start:
        return ModelConfig.from_pretrained(Path(first.start).expanduser())
    return ModelConfig.preset(recipe.preset, **recipe.sizes)


def data_changes(recipe: Recipe, stage: str) -> list[tuple[int, str]]:
    """Steps of a stage from which on it reads other data, with a few words for each."""
    found = recipe.stage(stage)
    if not isinstance(found, PretrainStage):
        return []
    changes = [(found.copy_steps, "copying ends")] if found.copy_steps else []
    if found.extension_steps:
        share = recipe.data[found.extension_data or found.data].text_share
        words = f"{found.extension_seq_len} tokens, {share:.0%} real text"
        changes.append((found.steps - found.extension_steps, words))
    return changes
