"""What a model computes with: interchangeable operations, and weights prepacked for compiled kernels."""

from baleen.model.backends.backend import TORCH, Backend, training_backend

__all__ = ["TORCH", "Backend", "training_backend"]
