"""How good and how sure: benchmarks, intervals, paired tests, strategies for the context."""

from baleen.evaluation.benchmark import Benchmark, paired_rise, run_benchmark
from baleen.evaluation.intervals import Interval, bootstrap_mean, newcombe, newcombe_paired, wilson

__all__ = [
    "Benchmark",
    "Interval",
    "bootstrap_mean",
    "newcombe",
    "newcombe_paired",
    "paired_rise",
    "run_benchmark",
    "wilson",
]
