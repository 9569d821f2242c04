"""The models that a run starts from: random weights, or model folders, with indexers added if they have none."""

from pathlib import Path

import torch
from pydantic import ValidationError

from baleen.chat import Tokenizer
from baleen.config import ModelConfig, UsageError
from baleen.config.recipe import Recipe
from baleen.config.stages import IndexWarmupStage, SparseStage
from baleen.model import Transformer, load_model

INDEXER_SIZES = ("index_n_heads", "index_head_dim", "index_topk")


def folders(recipe: Recipe) -> list[Path]:
    """The model folders that stages of `recipe` start from, without duplicates."""
    starts = [
        Path(stage.start).expanduser()
        for stage in recipe.stages
        if stage.start and not recipe.parent(stage.name)
    ]
    return list(dict.fromkeys(starts))


def model_config(recipe: Recipe, vocab_size: int) -> ModelConfig:
    """The config of all models of the run. Raises UserError, UsageError if the starting models differ in size."""
    found = [(folder, _with_indexers(folder, recipe)) for folder in folders(recipe)]
    if any(stage.kind == "pretrain" and not stage.start for stage in recipe.stages):
        fresh = ModelConfig.preset(recipe.preset, **recipe.sizes | {"vocab_size": vocab_size})
        found.append((Path(f"preset {recipe.preset}"), fresh))
    (first, config), *others = found
    for folder, other in others:
        for key, value in other.model_dump().items():
            mine = getattr(config, key)
            if key != "sparse_attention" and value != mine:
                raise UsageError(
                    f"{folder} has {key} = {value!r}, but {first} has {mine!r}; stages of one run share their sizes"
                )
    return config


def check_starts(recipe: Recipe) -> None:
    """Check the starting models and their tokenizers. Raises UserError, UsageError."""
    known = folders(recipe)
    tokenizers = [Tokenizer.from_pretrained(folder) for folder in known]
    for folder, tokenizer in zip(known, tokenizers, strict=True):
        size = ModelConfig.from_pretrained(folder).vocab_size
        if tokenizer.vocab_size > size:
            raise UsageError(
                f"{folder}: its tokenizer has {tokenizer.vocab_size} tokens, its model {size}; "
                "give a folder whose tokenizer belongs to its model"
            )
        if _vocabulary(tokenizer) != _vocabulary(tokenizers[0]):
            raise UsageError(
                f"{folder} has another vocabulary than {known[0]}; stages of one run share their tokenizer"
            )
    model_config(recipe, recipe.vocab_size if not known else ModelConfig.from_pretrained(known[0]).vocab_size)


def read_start(folder: Path, config: ModelConfig, seed: int) -> Transformer:
    """Load the model in `folder`, with random indexers of `config`'s sizes if it has none."""
    model = load_model(folder)
    if model.config.index_n_heads == config.index_n_heads:
        return model
    grown = Transformer(config.replace(sparse_attention=False))
    grown.initialize(torch.Generator().manual_seed(seed))
    grown.load_state_dict(model.state_dict(), strict=False)
    return grown


def _with_indexers(folder: Path, recipe: Recipe) -> ModelConfig:
    """The config of `folder`, with indexers of the recipe's sizes if it has none and a stage trains them."""
    trains = any(isinstance(stage, IndexWarmupStage | SparseStage) for stage in recipe.stages)
    config = ModelConfig.from_pretrained(folder)
    if config.index_n_heads or not trains:
        return config
    sizes = {key: recipe.sizes[key] for key in INDEXER_SIZES if key in recipe.sizes}
    sizes = {"index_n_heads": 64} | sizes
    try:
        return config.replace(**sizes)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"{folder} cannot have indexers of sizes {sizes}: {reason}") from None


def _vocabulary(tokenizer: Tokenizer) -> list[bytes]:
    return [tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)]
