"""The architecture, one file per part the paper names, and its weights in and out."""

from baleen.model.cache import AttentionMetadata, LatentCache, Paged, Record
from baleen.model.packed import pack
from baleen.model.transformer import Transformer
from baleen.model.weights import load_model, save_model

__all__ = [
    "AttentionMetadata",
    "LatentCache",
    "Paged",
    "Record",
    "Transformer",
    "load_model",
    "pack",
    "save_model",
]
