"""`softrl serve`: a learner that actors in other processes feed."""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from softrl.config import Within
from softrl.errors import ConfigError
from softrl.learner import Learner
from softrl.serve import service, shared_learner
from softrl.serve.access import Access, TokenCheck
from softrl.serve.prometheus import Metrics
from softrl.serve.shared_learner import SharedLearner
from softrl.training.signals import Request

_THREADS = 16
_CALLS = 64  # at once; times the longest message this bounds the memory that strangers can take
_IDLE_S = 0.2
_GRACE_S = 5.0


@dataclass(frozen=True)
class ServeConfig:
    """How a server goes about it; nothing of it is part of the learner's identity."""

    updates_per_transition: Annotated[float, Within(0.0, above=True)] = 1.0
    """Make this many gradient updates for each transition stored; inf makes as many as there is time for."""
    updates_per_call: Annotated[int, Within(1)] = 16
    """One compiled call makes at most this many updates; a push may have to wait for its end."""
    updates_behind: Annotated[int, Within(1)] = 2048
    """Pushes wait while the learner owes more updates than this."""
    save_every: Annotated[float, Within(0.0, above=True)] = 300.0
    """Save after every so many seconds; between saves the journal keeps what was pushed."""
    journal_mib: Annotated[int, Within(1)] = 256
    """Save also when the journal has grown to this many MiB."""
    sync: bool = False
    """Wait for the disk at every push, so that a loss of power takes none that was acknowledged; a kill never does."""
    message_mib: Annotated[int, Within(1, 1024)] = 16  # about 40,000 transitions of a 17-number robot
    """Refuse messages longer than this many MiB."""
    metrics_port: Annotated[int | None, Within(0, 65535)] = None
    """Serve metrics for Prometheus at this port of 127.0.0.1, 0 for any port; without it there are none."""


@dataclass(frozen=True)
class Server:
    """A running server. address: with the port that was given. metrics_port: of /metrics, or None."""

    shared: SharedLearner
    config: ServeConfig
    metrics: Metrics
    address: str
    metrics_port: int | None


@contextmanager
def running(learner: Learner, directory: Path, access: Access, config: ServeConfig) -> Iterator[Server]:
    """A server that answers while the context is open; the learner learns only in `learn`. Saves on leaving.

    Raises: ConfigError: the address cannot be had. CheckpointError: the journal or the save was refused.
    """
    behind = lambda shared: owed(shared, config) > config.updates_behind
    metrics, healthy, max_bytes = Metrics(), health.HealthServicer(), config.message_mib * 2**20
    with ExitStack() as stack:  # ports before the journal: a server that cannot be had leaves no segment behind
        server = _grpc_server(access, metrics, max_bytes)
        stack.callback(lambda: server.stop(_GRACE_S).wait())
        host, port = access.address.rpartition(":")[0], _bound(server, access)
        pages = None if config.metrics_port is None else stack.enter_context(metrics.published(config.metrics_port))
        shared = shared_learner.open_shared(learner, directory, behind, sync=config.sync)
        stack.callback(shared_learner.close, shared)
        metrics.version.set_function(lambda: shared.version)
        metrics.transitions.set_function(lambda: shared.stored)
        metrics.journal.set_function(lambda: shared.log.size)
        server.add_generic_rpc_handlers((service.handlers(service.Service(shared, metrics, max_bytes)),))
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        server.start()
        healthy.set("", health_pb2.HealthCheckResponse.SERVING)
        stack.callback(healthy.enter_graceful_shutdown)
        yield Server(shared, config, metrics, f"{host}:{port}", pages)


def learn(server: Server, request: Request, note: Callable[[str], None] = print) -> None:
    """Learns and saves until a signal asks to stop.

    Raises: DivergedError: learning stopped because losses became non-finite.
    """
    shared, config, saved = server.shared, server.config, time.monotonic()
    while request.requested is None:
        updates = int(min(max(owed(shared, config), 0.0), config.updates_per_call))
        if updates:
            with shared_learner.learning(shared), server.metrics.step_seconds.time():
                server.metrics.learned(shared.learner.step(updates))
        else:
            with shared.turn:
                shared.turn.wait(timeout=_IDLE_S)
        if time.monotonic() - saved > config.save_every or shared.log.size > config.journal_mib * 2**20:
            note(f"saved version {shared_learner.save(shared):,} with {shared.stored:,} transitions")
            server.metrics.saves.inc()
            saved = time.monotonic()


def owed(shared: SharedLearner, config: ServeConfig) -> float:
    """Updates that the stored transitions ask for and that have not been made."""
    starts = max(shared.learner.config.sampling.learning_starts, 1)
    if shared.stored < starts:
        return 0.0
    if math.isinf(config.updates_per_transition):
        return float(config.updates_per_call)
    return config.updates_per_transition * (shared.stored - starts + 1) - shared.version


def _grpc_server(access: Access, metrics: Metrics, max_bytes: int) -> grpc.Server:
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", max_bytes),  # refused by its declared length, before it is read
        ("grpc.max_metadata_size", 8192),
        ("grpc.max_concurrent_streams", _CALLS),
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 600_000),
        ("grpc.so_reuseport", 0),  # otherwise a second server would take every other call from the same port
    ]
    checks = [TokenCheck(access.token, lambda: metrics.count("unauthenticated"))] if access.token else []
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")
    return grpc.server(pool, interceptors=checks, options=options, maximum_concurrent_rpcs=_CALLS)


def _bound(server: grpc.Server, access: Access) -> int:
    try:
        if access.credentials is None:
            return server.add_insecure_port(access.address)
        return server.add_secure_port(access.address, access.credentials)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {access.address}: {error}") from None
