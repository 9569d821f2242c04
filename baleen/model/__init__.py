"""The architecture, one file per part the paper names, and its weights in and out."""

from baleen.model.backends.cpu import can_prepack, prepack, why_not_prepacked
from baleen.model.cache import AttentionMetadata, LatentCache, Paged, Record
from baleen.model.transformer import Transformer, with_attention
from baleen.model.weights import load_model, save_model, stored_dtype

__all__ = [
    "AttentionMetadata",
    "LatentCache",
    "Paged",
    "Record",
    "Transformer",
    "can_prepack",
    "load_model",
    "prepack",
    "save_model",
    "stored_dtype",
    "why_not_prepacked",
    "with_attention",
]
