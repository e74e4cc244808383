"""What a server counts, for Prometheus, on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from softrl.errors import ConfigError

OUTCOMES = ("stored", "repeated", "refused", "gap", "fenced", "busy", "disk", "unauthenticated")
"""What can become of a call that brings something."""


class Metrics:
    """The numbers of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        about = {"registry": self.registry}
        self.calls = Counter("softrl_calls", "Pushes and joins by what became of them", ["outcome"], **about)
        self.rows = Counter("softrl_rows_stored", "Transitions stored since the server started", **about)
        self.pulls = Counter("softrl_policies_sent", "Policies sent", **about)
        self.saves = Counter("softrl_saves", "Saves", **about)
        self.updates = Counter("softrl_updates", "Gradient updates since the server started", **about)
        self.version = Gauge("softrl_policy_version", "Gradient updates behind the present policy", **about)
        self.transitions = Gauge("softrl_transitions", "Transitions ever stored", **about)
        self.journal = Gauge("softrl_journal_bytes", "Bytes journaled since the last save", **about)
        self.learner = Gauge("softrl_learner", "The learner's own scalars", ["name"], **about)
        self.push_seconds = Histogram("softrl_push_seconds", "Time to store a push, waiting included", **about)
        self.step_seconds = Histogram("softrl_step_seconds", "Time of a call of the learner", **about)
        for outcome in OUTCOMES:
            self.calls.labels(outcome)

    def count(self, outcome: str) -> None:
        """One more call with this outcome."""
        self.calls.labels(outcome).inc()

    def learned(self, values: dict[str, float]) -> None:
        """What `Learner.step` returned."""
        self.updates.inc(values.get("updates", 0.0))
        for name, value in values.items():
            self.learner.labels(name).set(value)

    @contextmanager
    def published(self, port: int) -> Iterator[int]:
        """Serves `/metrics` on 127.0.0.1, at the port that it gives. Raises: ConfigError where `port` is taken."""
        try:
            pages, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except OSError as error:
            raise ConfigError(
                f"metrics port {port}: {error.strerror or error}; choose another --metrics-port"
            ) from None
        try:
            yield pages.server_port
        finally:
            pages.shutdown()
            pages.server_close()
