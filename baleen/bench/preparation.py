"""What comes before measuring: a model with random weights, its GGUF file, and the machine's own rates."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from baleen.config import ModelConfig
from baleen.config.engine import WeightDtype
from baleen.model import Transformer, load_model, save_model

READ_ROWS = 8192  # 256 MiB of float32, beyond a processor's cache
MATRIX = 1024  # rows and columns
TRIES = 7


class Preparation:
    """One process for all of it, which then gives its memory back by ending."""

    def __init__(self, threads: int):
        torch.set_num_threads(threads)

    def make(self, config: dict[str, Any], seed: int, folder: str, dtype: str) -> dict[str, Any]:
        """Write a model of `config` with random weights in `dtype` to `folder`."""
        model = Transformer(ModelConfig(**config)).initialize(torch.Generator().manual_seed(seed))
        save_model(model.set_dtype(getattr(torch, dtype)), folder)
        return {}

    def gguf(self, folder: str, file: str, weights: WeightDtype) -> dict[str, Any]:
        """Write the model in `folder` as the GGUF `file` for llama.cpp."""
        from baleen.model.gguf import write_gguf

        write_gguf(load_model(folder), Path(file), weights)
        return {}

    def rates(self) -> dict[str, Any]:
        """{"bandwidth": bytes read from memory a second, "flops": FLOPs a second of a product, by type}.

        The best of a few tries: a roofline is what the machine can do, not what it did while it was busy.
        """
        # a sum and, as decoding does, a matrix times a vector: which one reads faster depends on the processor
        matrix, vector = torch.ones(READ_ROWS, READ_ROWS), torch.ones(READ_ROWS)
        bandwidth = matrix.nbytes / min(_best(lambda: matrix.sum()), _best(lambda: matrix @ vector))
        flops = {}
        for name in ("float32", "bfloat16"):
            a, b = (torch.ones(MATRIX, MATRIX, dtype=getattr(torch, name)) for _ in range(2))
            flops[name] = 2 * MATRIX**3 / _best(lambda a=a, b=b: a @ b)
        return {"bandwidth": bandwidth, "flops": flops}


def _best(action: Callable[[], object]) -> float:
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)
