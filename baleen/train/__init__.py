"""Losses, optimizers, checkpoints and the loop of the supervised stages."""

from baleen.train.checkpoint import CheckpointError, Checkpoints
from baleen.train.supervised import Interrupted, StageContext, train
from baleen.train.workers import Workers

__all__ = ["CheckpointError", "Checkpoints", "Interrupted", "StageContext", "Workers", "train"]
