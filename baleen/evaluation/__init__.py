"""How good, how sure, and at what price: intervals, prices, the cost model, benchmarks, the report."""

from baleen.evaluation.intervals import Interval, bootstrap_mean, newcombe, newcombe_paired, wilson
from baleen.evaluation.prices import price_of

__all__ = ["Interval", "bootstrap_mean", "newcombe", "newcombe_paired", "price_of", "wilson"]
