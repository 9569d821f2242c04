"""Losses, optimisers, checkpoints and the loop of the supervised stages."""

from baleen.train.checkpoint import Checkpoints
from baleen.train.supervised import Interrupted, Surroundings, train
from baleen.train.workers import Workers

__all__ = ["Checkpoints", "Interrupted", "Surroundings", "Workers", "train"]
