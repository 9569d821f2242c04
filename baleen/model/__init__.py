"""The architecture, one file per part the paper names, and its weights in and out."""

from baleen.model.cache import AttentionMetadata, LatentCache, Paged, Record
from baleen.model.packed import can_pack, pack, why_not_packed
from baleen.model.transformer import Transformer, with_attention
from baleen.model.weights import load_model, save_model, stored_dtype

__all__ = [
    "AttentionMetadata",
    "LatentCache",
    "Paged",
    "Record",
    "Transformer",
    "can_pack",
    "load_model",
    "pack",
    "save_model",
    "stored_dtype",
    "why_not_packed",
    "with_attention",
]
