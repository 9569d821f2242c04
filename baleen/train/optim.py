"""Muon for the hidden matrices, AdamW for the rest; one schedule."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Each = Callable[[Callable[[Sequence[Tensor]], None], Iterable[Sequence[Tensor]]], Iterable[None]]
_SMALL = 1 << 17  # parameters with fewer elements are orthogonalized in batches of one shape
# quintic Newton-Schulz coefficients (Jordan et al. 2024): fast growth of small singular values, not exact convergence
_NS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized: every singular value of a matrix's step is about 1 (Jordan et al. 2024).

    `torch.optim.Muon` takes single matrices only; the experts here are stacks [E, I, D], one matrix each.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def step(self, each: Each = map) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient.

        each: applies the update to each group of parameters, as `map` does, possibly in threads.
        """
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = {}
            for param in group["params"]:
                if param.grad is not None:
                    key = tuple(param.shape) if param.numel() < _SMALL else (id(param),)
                    alike.setdefault(key, []).append(param)
            list(each(partial(self._update, group), alike.values()))

    @torch.no_grad()
    def _update(self, group: dict[str, Any], params: Sequence[Tensor]) -> None:
        """Update parameters of one shape, orthogonalized in one batch: for small matrices the calls dominate."""
        steps = []
        for param in params:
            assert param.grad is not None
            state = self.state[param]
            if not state:
                state["momentum"] = torch.zeros_like(param)
            state["momentum"].lerp_(param.grad, 1 - group["momentum"])
            steps.append(param.grad.lerp(state["momentum"], group["momentum"]))
        for param, update in zip(params, orthogonalize(torch.stack(steps)), strict=True):
            param.mul_(1 - group["lr"] * group["weight_decay"])
            # sqrt(rows/columns): equal root-mean-square change of the output, whatever the shape
            scale = max(1.0, param.shape[-2] / param.shape[-1]) ** 0.5
            param.add_(update, alpha=-group["lr"] * scale)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearly UVᵀ of each matrix in `matrices` [..., m, n] = UΣVᵀ, by Newton-Schulz iteration."""
    a, b, c = _NS
    x = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrices.shape[-2] <= matrices.shape[-1] else x.mT


def takes_muon(name: str, dimensions: int) -> bool:
    """Whether a parameter is a hidden matrix, or a stack of them, rather than a vector, a table or a small chooser."""
    return dimensions >= 2 and not any(
        part in name for part in ("embed_tokens", "lm_head", "mlp.gate.", "indexer")
    )


class Optimizers:
    """The two optimizers of a stage, with one `schedule` over both; muon_lr 0 leaves all to AdamW."""

    def __init__(
        self,
        model: nn.Module,
        names: set[str],
        muon_lr: float,
        adam_lr: float,
        total_steps: int,
        hold: float = 0.0,
    ):
        matrices, others = [], []
        for name, param in model.named_parameters():
            if name in names:
                (matrices if muon_lr and takes_muon(name, param.ndim) else others).append(param)
        self.total_steps, self.hold = total_steps, hold
        self._optimizers: list[torch.optim.Optimizer] = []
        if matrices:
            self._optimizers.append(Muon(matrices, muon_lr))
        if others:
            self._optimizers.append(torch.optim.AdamW(others, adam_lr, betas=(0.9, 0.95), weight_decay=0.0))
        self._peaks = [optimizer.param_groups[0]["lr"] for optimizer in self._optimizers]
        self.params = matrices + others

    def step(self, step: int, each: Each = map) -> float:
        """Apply the gradients with the learning rate of `step` (0-based). Returns the share of the peak rate.

        each: as of `Muon.step`.
        """
        share = schedule(step, self.total_steps, self.hold)
        for optimizer, peak in zip(self._optimizers, self._peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * share
            if isinstance(optimizer, Muon):
                optimizer.step(each)
            else:
                optimizer.step()
        return share

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors, for a checkpoint."""
        named = {}
        for i, optimizer in enumerate(self._optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                named |= {f"{i}.{j}.{key}": value for key, value in state.items()}
        return named

    def load_tensors(self, named: dict[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        for i, optimizer in enumerate(self._optimizers):
            states: dict[int, dict[str, Tensor]] = {}
            for name, value in named.items():
                which, param, key = name.split(".")
                if int(which) == i:
                    states.setdefault(int(param), {})[key] = value
            optimizer.load_state_dict(
                {"state": states, "param_groups": optimizer.state_dict()["param_groups"]}
            )


def schedule(step: int, total: int, hold: float = 0.0, warmup: float = 0.03, final: float = 0.05) -> float:
    """Linear warm-up over the first share of the steps, 1 until `hold` of them, then a cosine down to `final`."""
    rise = max(1, round(total * warmup))
    if step < rise:
        return (step + 1) / rise
    top = max(rise, round(total * hold))
    progress = max(0, step - top) / max(1, total - top)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
