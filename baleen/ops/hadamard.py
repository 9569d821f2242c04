"""The Hadamard rotation of index queries and keys: every number of a vector becomes a signed mean of all of them.

It is orthonormal, so no q · k changes; only the rounding to FP8 does, in the channels that are large in both q and k.
A key that is kept must be met by queries with the same choice: rotated on one side only, scores are noise.
"""

import torch
from torch import Tensor


def hadamard_matrix(dim: int) -> Tensor:
    """Sylvester's matrix [dim, dim] of float32 +1 and -1, symmetric, H H = dim · I. ValueError unless dim is 2^n."""
    if dim < 1 or dim & (dim - 1):
        raise ValueError(
            f"a Hadamard rotation needs a power of two, got {dim} dimensions: choose such an index_head_dim"
        )
    matrix = torch.ones(1, 1)
    while len(matrix) < dim:
        matrix = torch.cat((torch.cat((matrix, matrix), 1), torch.cat((matrix, -matrix), 1)))
    return matrix


def hadamard_rotate(x: Tensor) -> Tensor:
    """`x` [..., D] times H / sqrt(D), computed in at least float32; its own inverse. Returns `x`'s type.

    One matrix product: at 128 dimensions it is several times faster on a CPU than the log2(D) passes of the fast
    transform.
    """
    dim = x.shape[-1]
    wide = torch.promote_types(x.dtype, torch.float32)
    rotation = hadamard_matrix(dim).to(x.device, wide) * dim**-0.5
    return (x.to(wide) @ rotation).to(x.dtype)
