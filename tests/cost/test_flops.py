"""The cost model against the V3.2 report's figure, the published sizes, and the model itself."""

import pytest

from baleen.config.model import ModelConfig
from baleen.cost.dollars import dollars_per_million
from baleen.cost.flops import Phase, attention_flops, cache_bytes, pair_flops, prompt_flops
from baleen.cost.parameters import active_parameters, count_parameters

V32 = ModelConfig.preset("v3.2")
POSITIONS = (0, 2, 8, 16, 32, 64, 96, 128)  # thousands (1,024) of tokens
# Dollars per million tokens, read from the vector paths of the report's figure
FIGURE: list[tuple[Phase, bool, tuple[float, ...]]] = [
    ("prefill", False, (0.0529, 0.0624, 0.0912, 0.1295, 0.2061, 0.3593, 0.5125, 0.6658)),
    ("prefill", True, (0.0611, 0.0729, 0.1009, 0.1067, 0.1182, 0.1412, 0.1641, 0.1871)),
    ("decode", False, (0.0705, 0.1031, 0.2007, 0.3310, 0.5915, 1.1124, 1.6334, 2.1543)),
    ("decode", True, (0.0952, 0.1444, 0.1506, 0.1572, 0.1703, 0.1966, 0.2228, 0.2491)),
]


@pytest.mark.parametrize(("phase", "sparse", "dollars"), FIGURE)
def test_every_value_of_the_papers_figure(phase: Phase, sparse: bool, dollars: tuple[float, ...]) -> None:
    for position, value in zip(POSITIONS, dollars, strict=True):
        ours = dollars_per_million(V32, position * 1024, phase, sparse)
        assert ours == pytest.approx(value, abs=5e-4), f"{phase} at {position}K"


def test_flops_per_pair_are_the_published_ones() -> None:
    assert pair_flops(V32) == (81_920, 278_528, 16_384)


def test_parameters_of_the_released_model() -> None:
    assert active_parameters(V32, sparse=False) == pytest.approx(36.6e9, rel=2e-3)
    indexers = active_parameters(V32, sparse=True) - active_parameters(V32, sparse=False)
    assert indexers == 61 * 13_959_168
    without_mtp = count_parameters(V32.replace(num_nextn_predict_layers=0)).total
    assert without_mtp == pytest.approx(671e9 + indexers, rel=1e-3)


def test_parameters_of_the_tiny_model_are_those_it_has() -> None:
    from baleen.model.transformer import Transformer

    config = ModelConfig.preset("tiny")
    weights = sum(parameter.numel() for parameter in Transformer(config).parameters())
    assert count_parameters(config).total == weights


def test_where_sparse_attention_begins_to_pay() -> None:
    def cheaper(position: int, phase: Phase) -> bool:
        sparse = attention_flops(V32, position, phase, sparse=True)
        return sparse < attention_flops(V32, position, phase, sparse=False)

    assert not cheaper(2_176, "decode") and cheaper(2_177, "decode")
    assert not cheaper(8_704, "prefill") and cheaper(8_705, "prefill")


def test_a_whole_prompt_of_128k() -> None:
    assert prompt_flops(V32, 2**17, sparse=False) == pytest.approx(42.9e15, rel=1e-2)
    assert prompt_flops(V32, 2**17, sparse=True) == pytest.approx(13.1e15, rel=1e-2)
    short = prompt_flops(V32, 1024, sparse=True)  # nothing is left out below index_topk
    assert short == 61 * (278_528 + 16_384) * 1024**2 / 2


def test_bytes_that_a_decoded_token_reads_at_128k() -> None:
    assert cache_bytes(V32, 2**17, False, 1152, 132) == pytest.approx(9_211e6, rel=1e-3)
    assert cache_bytes(V32, 2**17, True, 656, 132) == pytest.approx(1_137e6, rel=1e-3)
