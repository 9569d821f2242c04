"""How good, how sure, and at what price: intervals, prices, the cost model, benchmarks, the report.

The report is `baleen.evaluation.report.write_report`; it is not imported here because it brings matplotlib.
"""

from baleen.cost.prices import price_of
from baleen.evaluation.benchmark import Benchmark, paired_rise, run_benchmark
from baleen.evaluation.intervals import Interval, bootstrap_mean, newcombe, newcombe_paired, wilson

__all__ = [
    "Benchmark",
    "Interval",
    "bootstrap_mean",
    "newcombe",
    "newcombe_paired",
    "paired_rise",
    "price_of",
    "run_benchmark",
    "wilson",
]
