"""Data parallelism inside one process: threads that each take a share of the rows.

The tensors of a small model are too small for a matrix product to use two cores well; two half batches use them
nearly fully. Gradients come back from `torch.autograd.grad`, so the threads share the weights and write nothing.
"""

import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")
Item = TypeVar("Item")
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h


class Workers:
    """`count` threads with one intra-op thread each; sums are in the order of the parts, so runs repeat exactly."""

    def __init__(self, count: int):
        self.count = count
        keep_freed_memory()
        torch.set_num_threads(1)
        self._pool = (
            ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) if count > 1 else None
        )

    def map(self, function: Callable[[Part], Any], parts: Iterable[Part]) -> list[Any]:
        """`function` of each part, in order."""
        return list(self._pool.map(function, parts) if self._pool else map(function, parts))

    def ahead(self, make: Callable[[int], Item], numbers: Iterable[int]) -> Iterator[Item]:
        """Yield `make(number)` for each number; with workers, the next item is computed while this one is used."""
        if self._pool is None:
            yield from map(make, numbers)
            return
        with ThreadPoolExecutor(1) as aside:
            coming = None
            for number in numbers:
                ready, coming = coming, aside.submit(make, number)
                if ready is not None:
                    yield ready.result()
            if coming is not None:
                yield coming.result()

    def gradients(
        self, loss_of: Callable[[Part], tuple[Tensor, Any]], parts: Sequence[Part], params: Sequence[Tensor]
    ) -> list[Any]:
        """Set `.grad` of `params` to the gradient of the summed losses. Returns what `loss_of` gave besides."""

        def one(part: Part) -> tuple[tuple[Tensor | None, ...], Any]:
            loss, extra = loss_of(part)
            return torch.autograd.grad(loss, params, allow_unused=True), extra

        results = self.map(one, parts)
        for i, param in enumerate(params):
            grads = [grads[i] for grads, _ in results if grads[i] is not None]
            param.grad = torch.stack(grads).sum(0) if len(grads) > 1 else (grads[0] if grads else None)
        return [extra for _, extra in results]

    def slices(self, rows: int) -> list[slice]:
        """Row ranges of nearly equal size, one a worker."""
        count = min(self.count, rows)
        bounds = [rows * i // count for i in range(count + 1)]
        return [slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]


def keep_freed_memory() -> None:
    """Let this process reuse the memory of freed tensors, where its C library is glibc.

    By default glibc gives large blocks back to the system at once and gets them again page by page: a fifth of a
    training step in rows of 512 tokens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_ARENA_MAX, 1)):
            mallopt(option, value)


def clip_gradients(params: Sequence[Tensor], limit: float) -> float:
    """Scale all gradients together so that their norm is at most `limit`. Returns the norm before."""
    return float(torch.nn.utils.clip_grad_norm_(params, limit))
