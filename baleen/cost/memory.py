"""Bytes of a model's tensors and cache, and the memory of a device, from names and shapes alone."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from baleen.config import ModelConfig, UsageError

Shapes = Mapping[str, tuple[int, ...]]  # `baleen.model.weights.released_shapes`

BF16, FP32, FP8_BLOCK = 2, 4, 128  # bytes, bytes, side of the square that shares one scale

# What the release keeps in BF16 beside its FP8 matrices: it is small, or it decides (router, index weights).
_NOT_IN_FP8 = ("embed_tokens", "lm_head", "mlp.gate.", "weights_proj", "eh_proj")
# Dimension along which tensor parallelism cuts a matrix; what is not named stays whole on every device. The latent
# projections and the indexer are whole: all heads share the latent, and all devices must choose the same tokens.
_CUT = {"q_b_proj": 0, "kv_b_proj": 0, "o_proj": 1, "gate_proj": 0, "up_proj": 0, "down_proj": 1}
_CUT |= {"embed_tokens": 0, "lm_head": 0}


@dataclass(frozen=True)
class Mesh:
    """How `data` x `tensor` devices share a model.

    Attributes:
        data: groups of devices, each of which serves its own sequences.
        expert: devices over which one copy of the routed experts is spread, each expert whole.
        tensor: devices of a group, which share heads, MLP widths and vocabulary.
    """

    data: int = 1
    expert: int = 1
    tensor: int = 1

    @property
    def devices(self) -> int:
        """Number of devices."""
        return self.data * self.tensor

    def check(self, config: ModelConfig) -> None:
        """Check that the mesh divides a model.

        Raises:
            UsageError: a size is below 1 or does not divide what it splits.
        """
        for name, size in (("data", self.data), ("expert", self.expert), ("tensor", self.tensor)):
            if size < 1:
                raise UsageError(f"--{name} {size} is below 1; give the number of devices")
        splits = [("expert", self.expert, "n_routed_experts", config.n_routed_experts)]
        splits += [
            ("tensor", self.tensor, field, getattr(config, field))
            for field in ("num_attention_heads", "intermediate_size", "moe_intermediate_size", "vocab_size")
        ]
        splits.append(("expert", self.expert, "the devices, data x tensor", self.devices))
        for name, size, what, whole in splits:
            if whole % size:
                raise UsageError(
                    f"--{name} {size} does not divide {what} = {whole}; give one of its divisors"
                )


def tensor_bytes(name: str, shape: tuple[int, ...], fp8: bool) -> int:
    """Bytes of one tensor: BF16 matrices, float32 norms and biases, as released.

    With `fp8`, matrices have one byte per number and a float32 scale per block of 128 x 128, except embedding, head,
    router, index weights and eh_proj, which stay in BF16.
    """
    size = math.prod(shape)
    if len(shape) < 2:
        return size * FP32
    if not fp8 or any(part in name for part in _NOT_IN_FP8):
        return size * BF16
    return size + FP32 * math.ceil(shape[0] / FP8_BLOCK) * math.ceil(shape[1] / FP8_BLOCK)


def weight_bytes(shapes: Shapes, fp8: bool) -> int:
    """Bytes of all tensors, without the MTP layer's copies of embedding and head."""
    return sum(tensor_bytes(name, shape, fp8) for name, shape in shapes.items())


def latent_cache_bytes(config: ModelConfig, fp8: bool) -> int:
    """Bytes of one token's c_kv and k_rope in the cache of all layers of the main model.

    In BF16, or with `fp8` in FlashMLA's layout: c_kv in FP8 with a float32 scale per 128 numbers, k_rope in BF16.
    """
    latent, rope = config.kv_lora_rank, config.qk_rope_head_dim
    wide = latent + FP32 * math.ceil(latent / FP8_BLOCK) if fp8 else BF16 * latent
    return config.num_hidden_layers * (wide + BF16 * rope)


def index_cache_bytes(config: ModelConfig, fp8: bool) -> int:
    """Bytes of one token's index keys in the cache of all layers of the main model.

    In BF16, or with `fp8` in FP8 with a float32 scale per 128 numbers.
    """
    dim = config.index_head_dim
    return config.num_hidden_layers * (dim + FP32 * math.ceil(dim / FP8_BLOCK) if fp8 else BF16 * dim)


def serving_memory(
    shapes: Shapes, config: ModelConfig, mesh: Mesh, context: int, sequences: int, fp8: bool
) -> dict[str, int]:
    """Memory of the fullest device when serving.

    Every data group keeps all weights; tensor parallelism does not divide the cache, which all heads share.

    Args:
        shapes: name and shape of every tensor.
        config: the sizes of the model.
        mesh: the devices.
        context: tokens of one sequence.
        sequences: how many have their cache on the devices at once.
        fp8: whether weights and cache are FP8; otherwise BF16.

    Returns:
        Bytes: `weights`, `cache` and `total`.

    Raises:
        UsageError: the mesh does not divide the model.
    """
    mesh.check(config)
    dense, experts = _held(shapes, mesh, lambda name, shape: tensor_bytes(name, shape, fp8))
    token = latent_cache_bytes(config, fp8) + index_cache_bytes(config, fp8)
    cache = math.ceil(sequences / mesh.data) * context * token
    return {"weights": dense + experts, "cache": cache, "total": dense + experts + cache}


def training_memory(
    shapes: Shapes, config: ModelConfig, mesh: Mesh, optimizer_states: Callable[[str, int], int]
) -> dict[str, int]:
    """Memory of one device when training, all in float32: split as for serving, then sharded where copies would be.

    Args:
        shapes: name and shape of every tensor.
        config: the sizes of the model.
        mesh: the devices.
        optimizer_states: of a tensor's name and number of dimensions, how many numbers the optimizer keeps per weight.

    Returns:
        Bytes: `weights`, `gradients`, `optimizer`, `gathered` (what sharding must bring back for the largest layer
        while it is computed) and `total`. Activations are not counted.

    Raises:
        UsageError: the mesh does not divide the model.
    """
    mesh.check(config)
    trained = {name: shape for name, shape in shapes.items() if _trained(name)}

    def sharded(copies: Callable[[str, int], int]) -> int:
        def size(name: str, shape: tuple[int, ...]) -> int:
            return FP32 * math.prod(shape) * copies(name, len(shape))

        dense, experts = _held(trained, mesh, size)
        return math.ceil(dense / mesh.data) + math.ceil(experts * mesh.expert / mesh.devices)

    weights, states = sharded(lambda name, dimensions: 1), sharded(optimizer_states)
    layers: dict[int, dict[str, tuple[int, ...]]] = {}
    for name, shape in trained.items():
        if (number := _layer(name)) is not None:
            layers.setdefault(number, {})[name] = shape
    gathered = 0
    for layer in layers.values():
        dense, experts = _held(layer, mesh, lambda name, shape: FP32 * math.prod(shape))
        gathered = max(gathered, dense * (mesh.data > 1) + experts * (mesh.devices > mesh.expert))
    parts = {"weights": weights, "gradients": weights, "optimizer": states, "gathered": gathered}
    return parts | {"total": sum(parts.values())}


def _held(shapes: Shapes, mesh: Mesh, size: Callable[[str, tuple[int, ...]], int]) -> tuple[int, int]:
    """Sum of `size` over what one device holds: (everything but routed experts, its routed experts)."""
    dense = experts = 0
    for name, shape in shapes.items():
        if _routed(name):
            experts += size(name, shape)
            continue
        cut = _CUT.get(name.split(".")[-2]) if ".indexer." not in name else None
        if cut is not None:
            shape = tuple(n // mesh.tensor if i == cut else n for i, n in enumerate(shape))
        dense += size(name, shape)
    return dense, experts // mesh.expert  # all experts are of one size, and `expert` divides their number


def _trained(name: str) -> bool:
    return not name.endswith("e_score_correction_bias")


def _routed(name: str) -> bool:
    return ".mlp.experts." in name


def _layer(name: str) -> int | None:
    found = re.match(r"model\.layers\.(\d+)\.", name)
    return int(found[1]) if found else None
