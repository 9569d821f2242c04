"""Prometheus metrics, named as vLLM names its own but for the prefix: its boards need one replacement."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Metrics:
    """Metrics of one server in a registry of their own: two servers in one process do not mix."""

    def __init__(self, model_name: str) -> None:
        self.registry = CollectorRegistry()
        self._model = model_name
        self.running = self._gauge("num_requests_running", "Answers the engine works on")
        self.waiting = self._gauge("num_requests_waiting", "Answers waiting for the engine")
        self.prompt_tokens = self._counter("prompt_tokens", "Prompt tokens of finished answers")
        self.generation_tokens = self._counter("generation_tokens", "Tokens generated")
        self.cache_queries = self._counter(
            "prefix_cache_queries", "Prompt tokens looked up in the prefix cache"
        )
        self.cache_hits = self._counter("prefix_cache_hits", "Prompt tokens found in the prefix cache")
        self.first_token = self._histogram("time_to_first_token_seconds", "From admission to the first token")
        self.between_tokens = self._histogram(
            "inter_token_latency_seconds", "Between two outputs of one answer"
        )
        self.latency = self._histogram("e2e_request_latency_seconds", "From admission to the last token")
        self._finished = Counter(
            "baleen:request_success",
            "Answers that ended, by finish reason",
            ["model_name", "finished_reason"],
            registry=self.registry,
        )
        self._refused = Counter(
            "baleen:request_errors",
            "Requests that failed, by status",
            ["model_name", "status"],
            registry=self.registry,
        )

    def finished(self, reason: str) -> None:
        self._finished.labels(self._model, reason).inc()

    def failed(self, status: int) -> None:
        self._refused.labels(self._model, str(status)).inc()

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"baleen:{name}", text, ["model_name"], registry=self.registry).labels(self._model)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"baleen:{name}", text, ["model_name"], registry=self.registry).labels(self._model)

    def _histogram(self, name: str, text: str) -> Histogram:
        metric = Histogram(f"baleen:{name}", text, ["model_name"], registry=self.registry, buckets=_SECONDS)
        return metric.labels(self._model)
