"""Dollars of a token at a position in the context, as a service of V3.2 pays them, for dense MLA and for DSA.

The lines are those of the cost figure in the DeepSeek-V3.2 report, sec. 2.2 (H800 GPUs at 2 dollars an hour). Their
slopes are the attention's FLOPs at a constant share of the H800's peak; what does not depend on the position is the
weights' FLOPs at another share. Both shares are fitted to the figure, so that any sizes of the V3.2 family can be put
in: what comes out is what that model would cost on the same service.
"""

from dataclasses import dataclass

from baleen.config.model import ModelConfig
from baleen.cost.flops import Phase, pair_flops
from baleen.cost.parameters import active_parameters

BF16_PEAK = 989.5e12  # dense FLOP/s of an H800
FP8_PEAK = 1979e12
DOLLARS_PER_HOUR = 2.0
DOLLARS_PER_MILLION_SECONDS = DOLLARS_PER_HOUR / 3600 * 1e6


@dataclass(frozen=True)
class Utilization:
    """Fraction of peak FLOP/s reached in a phase: of FP8 peak for weights and indexer, of BF16 peak for attention.

    Attributes:
        weights_dense: by the products with the weights of the dense model.
        weights_sparse: by those of the sparse model.
        dense_attention: by attention over the whole context.
        masked_attention: in short contexts of the sparse model, with the positions that were not selected masked.
        sparse_attention: by attention over the selected positions only.
        indexer: by the indexer.
    """

    weights_dense: float
    weights_sparse: float
    dense_attention: float
    masked_attention: float
    sparse_attention: float
    indexer: float


# The report names the masked mode for prefill only. In its figure decode bends at 2.06K instead of 2K, so
# short decodes, too, run a little cheaper than the gathered kernel would.
FITTED: dict[Phase, Utilization] = {
    "prefill": Utilization(0.38870, 0.34430, 0.6, 0.5556, 0.5734, 0.40),
    "decode": Utilization(0.29166, 0.22098, 0.6, 0.412, 0.40, 0.35),
}


def dollars_per_million(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """Dollars per million tokens (V3.2 report, figure of sec. 2.2).

    Args:
        config: the sizes of the model.
        position: tokens before each of them.
        phase: whether they are prefilled or decoded.
        sparse: DSA, or dense attention.
    """
    mha, mqa, index = pair_flops(config)
    fitted, pair = FITTED[phase], (mha if phase == "prefill" else mqa)
    if not sparse:
        attention = pair * position / (fitted.dense_attention * BF16_PEAK)
        weights = active_parameters(config, sparse=False) / (fitted.weights_dense * FP8_PEAK)
    else:
        masked = pair * position / fitted.masked_attention
        selected = mqa * min(position, config.index_topk) / fitted.sparse_attention
        attention = min(masked, selected) / BF16_PEAK + index * position / (fitted.indexer * FP8_PEAK)
        weights = active_parameters(config, sparse=True) / (fitted.weights_sparse * FP8_PEAK)
    return (config.num_hidden_layers * attention + 2 * weights) * DOLLARS_PER_MILLION_SECONDS
