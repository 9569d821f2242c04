"""The measurements of `baleen bench`: which there are, in turns over the engines, and what is compared with what."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from baleen.bench.contender import Contender, ContenderError, weights_of
from baleen.bench.options import LOAD_PROMPT, LOAD_TOKENS, OURS, Options
from baleen.config import ModelConfig
from baleen.cost.roofline import Roofline, Work, decode_work, prefill_work
from baleen.evaluation.timing import Sample, ratio

FLAT_OVER = 16  # flatness: decode at the longest context against decode at this many times less
# of a weight, a latent, an index key
NUMBER_BYTES = {"float32": (4, 4, 4), "bfloat16": (2, 2, 2), "int8": (1, 2, 1)}
Key = tuple[str, int, str]  # measurement, at how many tokens or streams, engine


@dataclass
class Row:
    """One measurement of one engine: seconds of each round, and the least that the roofline allows.

    tokens: how many are made in those seconds; 0 where the seconds themselves are what counts.
    """

    measurement: str
    at: int
    engine: str
    tokens: int
    roofline_seconds: float
    bound: str
    seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """For JSON: values in `unit`, their median and spread, and the roofline's time as a share of the median's."""
        values = Sample(tuple(self.tokens / s if self.tokens else 1e3 * s for s in self.seconds))
        return {
            "measurement": self.measurement,
            "at": self.at,
            "engine": self.engine,
            "unit": "tokens/s" if self.tokens else "ms",
            "values": list(values.values),
            "median": values.median,
            "spread": known_spread(values),
            "roofline_share": self.roofline_seconds / Sample(tuple(self.seconds)).median,
            "bound": self.bound,
        }


@dataclass(frozen=True)
class Comparison:
    """A ratio of two measurements, round by round."""

    name: str
    at: int
    sample: Sample

    def figures(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "at": self.at,
            "values": list(self.sample.values),
            "median": self.sample.median,
            "spread": known_spread(self.sample),
        }


def known_spread(sample: Sample) -> float | None:
    """None after one round, which tells nothing of how far the next would be off."""
    return sample.spread if len(sample.values) > 1 else None


class Rounds:
    """Runs every measurement `repeats` times, the engines in turns. `failures` names the peers that were given up."""

    def __init__(
        self,
        options: Options,
        config: ModelConfig,
        contenders: dict[str, Contender],
        roofline: Roofline,
        tell: Callable[[str], None],
    ):
        self.options = options
        self.config = config
        self.roofline = roofline
        self.rows: dict[Key, Row] = {}
        self.failures: list[str] = []
        self._contenders = contenders
        self._tell = tell

    def run(self) -> None:
        """All measurements. Raises ContenderError when ours fails."""
        for engine in list(
            self._contenders
        ):  # not counted: the first call of a kind allocates and chooses kernels
            self._ask(engine, "prefill", length=self.options.prompts[0], seed=self.options.seed)
            self._ask(engine, "decode", context=self.options.prompts[0], tokens=2, seed=self.options.seed + 1)
        for length in self.options.prompts:
            self._prefill(length)
        self._streams(1)
        if self.options.streams > 1:
            self._streams(self.options.streams)
        self._first_token(self.options.prefix)
        for context in self.options.contexts:  # ascending: each continues what is cached of the one before
            self._decode(context)

    def _prefill(self, length: int) -> None:
        for engine, answer in self._turns("prefill", everybody=True, length=length, seed=self.options.seed):
            work = prefill_work(self.config, length, self._bytes(engine)[0])
            self._record("prefill", length, engine, length, answer["seconds"], [(work, 1)])
        self._report("prefill", length)

    def _decode(self, context: int) -> None:
        tokens = self.options.tokens
        arguments = {"context": context, "tokens": tokens, "seed": self.options.seed}
        for engine, answer in self._turns("decode", everybody=True, **arguments):
            work = decode_work(self.config, context + tokens // 2, *self._bytes(engine))
            self._record("decode", context, engine, tokens, answer["seconds"], [(work, tokens)])
        self._report("decode", context)

    def _streams(self, count: int) -> None:
        tokens = LOAD_TOKENS
        weight_bytes, *cache_bytes = self._bytes(OURS)
        prompts = prefill_work(self.config, LOAD_PROMPT, weight_bytes, prompts=count)
        step = decode_work(self.config, LOAD_PROMPT + tokens // 2, weight_bytes, *cache_bytes, streams=count)
        arguments = {"count": count, "length": LOAD_PROMPT, "tokens": tokens, "seed": self.options.seed}
        for engine, answer in self._turns("streams", everybody=False, **arguments):
            works = [(prompts, 1), (step, tokens - 1)]
            self._record("streams", count, engine, count * tokens, answer["seconds"], works)
        self._report("streams", count)

    def _first_token(self, length: int) -> None:
        weight_bytes = self._bytes(OURS)[0]
        cold = prefill_work(self.config, length, weight_bytes)
        arguments = {"length": length, "seed": self.options.seed}
        for engine, answer in self._turns("first_token", everybody=False, **arguments):
            cached = answer["cached"]
            warm = prefill_work(self.config, length - cached, weight_bytes, start=cached)
            self._record("first token", length, engine, 0, answer["cold"], [(cold, 1)])
            self._record("first token, cached", length, engine, 0, answer["warm"], [(warm, 1)])
        self._report("first token", length)
        self._report("first token, cached", length)

    def _bytes(self, engine: str) -> tuple[int, int, int]:
        return NUMBER_BYTES[weights_of(engine, self.options.weights)]

    def _turns(
        self, operation: str, everybody: bool, **arguments: Any
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """(engine, answer) for each round and engine; only ours unless `everybody`."""
        for _ in range(self.options.repeats):
            for engine in list(self._contenders) if everybody else [OURS]:
                answer = self._ask(engine, operation, **arguments)
                if answer is not None:
                    yield engine, answer

    def _ask(self, engine: str, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """The answer; None from a peer that fails, which is then ended and not asked again."""
        try:
            return self._contenders[engine].ask(operation, **arguments)
        except ContenderError as error:
            if engine == OURS:
                raise
            self.failures.append(str(error))
            self._tell(f"left out from here on: {error}")
            self._contenders.pop(engine).end(patience=0)
            return None

    def _record(
        self,
        measurement: str,
        at: int,
        engine: str,
        tokens: int,
        seconds: float,
        works: list[tuple[Work, int]],
    ) -> None:
        """Add a round. works: what was done, and how often; the slowest of them names the bound."""
        key = measurement, at, engine
        if key not in self.rows:
            times = [work.seconds(self.roofline) * count for work, count in works]
            slowest = works[times.index(max(times))][0]
            bound = slowest.bound(self.roofline)
            self.rows[key] = Row(measurement, at, engine, tokens, sum(times), bound)
        self.rows[key].seconds.append(seconds)

    def _report(self, measurement: str, at: int) -> None:
        found = [
            row.figures() for row in self.rows.values() if (row.measurement, row.at) == (measurement, at)
        ]
        told = ", ".join(f"{row['engine']} {row['median']:.4g} {row['unit']}" for row in found)
        self._tell(f"{measurement} at {at:,}: {told}")


def comparisons(rows: Mapping[Key, Row]) -> list[Comparison]:
    """Flatness, load, prefix cache, and ours over each peer's speed; above 1 we are faster."""

    def times(measurement: str, at: int) -> list[float]:
        """Seconds for each token, or of each round where no tokens are counted."""
        row = rows[measurement, at, OURS]
        return [seconds / max(1, row.tokens) for seconds in row.seconds]

    ats = {name: sorted({at for found, at, _ in rows if found == name}) for name, _, _ in rows}
    found = []
    if ats.get("decode"):
        longest = ats["decode"][-1]
        near = [at for at in ats["decode"] if FLAT_OVER * at <= longest]
        if near:
            name = f"flatness: ms a token at {longest:,} over {near[-1]:,}"
            found.append(
                Comparison(name, longest, ratio(times("decode", longest), times("decode", near[-1])))
            )
    if len(ats.get("streams", [])) > 1:
        one, many = ats["streams"]
        name = f"throughput of {many} streams over 1"
        found.append(Comparison(name, many, ratio(times("streams", one), times("streams", many))))
    for at in ats.get("first token", []):
        sample = ratio(times("first token", at), times("first token, cached", at))
        found.append(Comparison("first token without over with the prefix cached", at, sample))
    for (measurement, at, engine), row in rows.items():
        if engine != OURS:
            sample = ratio(row.seconds, rows[measurement, at, OURS].seconds)
            found.append(Comparison(f"{measurement}, baleen over {engine}", at, sample))
    return found
